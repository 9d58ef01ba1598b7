"""The phases of dates as ONNX operators, like those of :mod:`sknet.data.columns.calendar`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sknet.data.columns.calendar import DAY, CalendarCycle, Cycle, EvenCycle
from sknet.export._graph import Tensor
from sknet.export._operators import counterpart

#: Days from 0001-01-01 to 1970-01-01 in the Gregorian calendar, with which a cycle of 400 years
#: begins.
DAYS_BEFORE_1970 = 719_162
#: The mean number of days of a year.
DAYS_OF_YEAR = 365.2425
#: The days of a common year on which a month begins, and the next year.
FIRST_DAYS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
#: The days by which they move in a leap year.
SHIFTS = np.array([0, 0, *[1] * 11])


def phases(dates: Tensor, cycles: Sequence[Cycle]) -> Tensor:
    """Return the sine and the cosine of the phases of a column of dates in some cycles."""
    columns = []
    for cycle in cycles:
        phase = counterpart("cycle", PHASES, cycle)(cycle, dates)
        # cos(u) = sin(u + pi / 2): older runtimes implement only the sine for float64.
        columns += [(phase + quarter) * (2 * math.pi) for quarter in (0.0, 0.25)]
    return dates.graph.concat([angle.op("Sin") for angle in columns])


def _even_phase(cycle: EvenCycle, t: Tensor) -> Tensor:
    turns = (t - cycle.begin) / cycle.length
    return turns - turns.op("Floor")


def _calendar_phase(cycle: CalendarCycle, t: Tensor) -> Tensor:
    """Return the phase in the year, or in the month of a day of the year."""
    now = t / DAY + DAYS_BEFORE_1970
    days = now.op("Floor")
    # Years of the mean length begin at most one day off, so the year is one of three.
    candidates = (days / DAYS_OF_YEAR).op("Floor") + np.array([-1.0, 0.0, 1.0, 2.0])
    begin, end = _enclosing(days, _first_day(candidates), 4)
    if cycle.unit == "M":
        first_days = begin + (end - begin - 365.0) * SHIFTS + FIRST_DAYS
        begin, end = _enclosing(days, first_days, FIRST_DAYS.size)
    return (now - begin) / (end - begin)


def _first_day(years: Tensor) -> Tensor:
    """Return the number of days of so many years after 0001-01-01."""
    days = years * 365.0
    for sign, every in ((1.0, 4.0), (-1.0, 100.0), (1.0, 400.0)):
        days = days + (years / every).op("Floor") * sign
    return days


def _enclosing(days: Tensor, edges: Tensor, n_edges: int) -> tuple[Tensor, Tensor]:
    """Return the last of increasing edges at or before each day, and the first one after it."""
    low, high = edges.columns(0, n_edges - 1), edges.columns(1, n_edges)
    passed = [one.op("LessOrEqual", days, dtype=bool).cast(days.dtype) for one in (low, high)]
    here = passed[0] - passed[1]
    return (low * here).sum(1), (high * here).sum(1)


#: The function for each class of cycles.
PHASES: dict[type[Cycle], Callable[[Any, Tensor], Tensor]] = {
    EvenCycle: _even_phase,
    CalendarCycle: _calendar_phase,
}
