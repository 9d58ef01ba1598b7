"""Seconds, and the phases of dates in the cycles of the calendar."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

#: The number of seconds of a day.
DAY = 86_400.0
#: The number of the units of NumPy in a second; coarser units are whole seconds.
PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
#: The units of dates and durations that are made of numbers, from the finest, and their numbers
#: in a second. Nanoseconds are finer than the numbers.
INVERSE_UNITS = [("us", 10**6), ("ms", 10**3), ("s", 1)]
#: NumPy's codes of the kinds of times.
TIME_CODES = {"date": "M", "duration": "m"}


def seconds(times: NDArray[np.datetime64] | NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return dates or durations of any unit as numbers of seconds, NaN for NaT.

    Equal times in different units give equal numbers.
    """
    kind, (unit, _) = times.dtype.kind, np.datetime_data(times.dtype)
    if unit not in PER_SECOND:
        found = times.astype(f"{kind}8[s]").view(np.int64).astype(np.float64)
    else:
        counts, per_second = times.view(np.int64), PER_SECOND[unit]
        # Whole seconds and the quotient depend on the time only, and not on its unit.
        rest = np.fmod(counts, per_second)
        found = (counts - rest) // per_second + rest / per_second
    return np.where(np.isnat(times), np.nan, found)


def times(numbers: Floats, kind: str) -> NDArray[np.datetime64] | NDArray[np.timedelta64]:
    """Return numbers of seconds as dates or durations, of which :func:`seconds` is the inverse.

    They have the finest unit in which all of them fit: microseconds within 290 000 years.

    Parameters
    ----------
    numbers : ndarray
        Finite numbers.
    kind : {"date", "duration"}
    """
    largest = float(np.abs(numbers).max(initial=0.0))
    unit, per_second = next(one for one in INVERSE_UNITS if largest * one[1] < 2**63)
    counts = np.rint(numbers * float(per_second)).astype(np.int64)
    return counts.view(f"{TIME_CODES[kind]}8[{unit}]")


@dataclass(frozen=True)
class Cycle(ABC):
    """A cycle of the calendar, whose turns follow each other without gaps.

    Parameters
    ----------
    length : float
        The mean length of a turn in seconds.
    """

    length: float

    @abstractmethod
    def turns(self, t: Floats) -> tuple[Floats, Floats | float]:
        """Return the beginning and the length, in seconds, of the turn that each date is in."""

    def phases(self, t: Floats) -> Floats:
        """Return the share of its turn that has passed at each date, from 0 to 1."""
        begin, length = self.turns(t)
        return (t - begin) / length


@dataclass(frozen=True)
class EvenCycle(Cycle):
    """A cycle whose turns are equally long.

    Parameters
    ----------
    length : float
    begin : float, default=0.0
        A date at which a turn begins.
    """

    begin: float = 0.0

    def turns(self, t: Floats) -> tuple[Floats, float]:
        """Return the beginnings of the turns, and their common length."""
        return np.floor((t - self.begin) / self.length) * self.length + self.begin, self.length


@dataclass(frozen=True)
class CalendarCycle(Cycle):
    """The months or the years of the Gregorian calendar, which differ in length.

    Parameters
    ----------
    length : float
    unit : {"M", "Y"}
        NumPy's unit of dates for a turn.
    """

    unit: str

    def turns(self, t: Floats) -> tuple[Floats, Floats]:
        """Return the beginnings and the lengths of the months or years."""
        days = np.floor(np.nan_to_num(t) / DAY).astype("datetime64[D]")
        turn = days.astype(f"datetime64[{self.unit}]")
        begin, end = (seconds(one.astype("datetime64[D]")) for one in (turn, turn + 1))
        return begin, end - begin


#: The cycles by name. A week begins on Monday, as 1970-01-05 was.
CYCLES: dict[str, Cycle] = {
    "day": EvenCycle(DAY),
    "week": EvenCycle(7 * DAY, 4 * DAY),
    "month": CalendarCycle(365.2425 / 12 * DAY, "M"),
    "year": CalendarCycle(365.2425 * DAY, "Y"),
}
#: The largest number of phases of a date: the sine and the cosine of each cycle.
MOST_PHASES = 2 * len(CYCLES)


def phases(t: Floats, cycles: Sequence[str]) -> Floats:
    """Return the sine and the cosine of the phases of dates, side by side.

    Parameters
    ----------
    t : ndarray of shape (n_rows,)
        Dates in seconds; NaN gives NaN.
    cycles : sequence of str
        The names of the cycles.

    Returns
    -------
    ndarray of shape (n_rows, 2 * n_cycles)
        sin(2 pi p) and cos(2 pi p) of the phase p, cycle after cycle.
    """
    out = np.empty((t.size, 2 * len(cycles)), t.dtype)
    for j, name in enumerate(cycles):
        angles = CYCLES[name].phases(t) * (2 * math.pi)
        np.sin(angles, out=out[:, 2 * j])
        np.cos(angles, out=out[:, 2 * j + 1])
    return out


def phase_slopes(t: Floats, cycles: Sequence[str]) -> Floats:
    """Return the derivatives of what :func:`phases` returns by the dates, per second."""
    out = phases(t, cycles)
    for j, name in enumerate(cycles):
        _, length = CYCLES[name].turns(t)
        sine, cosine, speed = out[:, 2 * j], out[:, 2 * j + 1], 2 * math.pi / length
        out[:, 2 * j], out[:, 2 * j + 1] = cosine * speed, -sine * speed
    return out
