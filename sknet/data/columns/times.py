"""Dates and durations: how columns of frames are read as seconds, surveyed and encoded.

A date is the number of seconds since 1970-01-01 00:00, without leap seconds. In float64, whole
seconds are exact, and fractions are accurate to within a microsecond for all dates within 300
years of 1970. A duration is its number of seconds. A date also has phases in the cycles of the
calendar.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sknet.data.batches import Dataset
from sknet.data.columns.column import Column, Feature, Surveyed
from sknet.data.columns.numbers import Numbers
from sknet.data.frames import Frame, name_of
from sknet.data.weights import Floats

#: A cycle is encoded if the training dates span at least ``LEAST_SPAN`` of its length, and if
#: their phases cover at least ``LEAST_VARIATION`` of it.
LEAST_SPAN, LEAST_VARIATION = 0.75, 0.01
#: The number of seconds of a day.
DAY = 86_400.0
#: How many of each NumPy unit make a second; coarser units are whole seconds.
PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
#: The units of dates and durations that are made from numbers, the finest first, and how many
#: make a second. Nanoseconds would be finer than the precision of the numbers.
INVERSE_UNITS = [("us", 10**6), ("ms", 10**3), ("s", 1)]
#: NumPy's codes of the kinds of times.
TIME_CODES = {"date": "M", "duration": "m"}

# Seconds, and the phases of a date in the cycles of the calendar.


def seconds(times: NDArray[np.datetime64] | NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return dates or durations of any unit as numbers of seconds, NaN for NaT.

    Equal times in different units give equal numbers.
    """
    kind, (unit, _) = times.dtype.kind, np.datetime_data(times.dtype)
    per_second = PER_SECOND.get(unit, 1)
    counts = (times if unit in PER_SECOND else times.astype(f"{kind}8[s]")).view(np.int64)
    # Whole seconds and the quotient depend only on the time, not on its unit.
    rest = np.fmod(counts, per_second)
    found = (counts - rest) // per_second + rest / per_second
    return np.where(np.isnat(times), np.nan, found)


def times(numbers: Floats, kind: str) -> NDArray[np.datetime64] | NDArray[np.timedelta64]:
    """Return numbers of seconds as dates or durations, the inverse of :func:`seconds`.

    They have the finest unit in which all of them fit: microseconds within 290,000 years.

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
class Cycle:
    """A cycle of the calendar, whose turns follow each other without gaps.

    Parameters
    ----------
    length : float
        The mean length of a turn in seconds.
    begin : float, default=0.0
        A date at which a turn begins, if all turns are equally long.
    unit : {"M", "Y"} or None, default=None
        NumPy's unit of dates for a turn, if turns are the months or the years of the Gregorian
        calendar, which differ in length.
    """

    length: float
    begin: float = 0.0
    unit: Literal["M", "Y"] | None = None

    def turns(self, t: Floats) -> tuple[Floats, Floats | float]:
        """Return the beginning and the length, in seconds, of the turn that each date is in."""
        if self.unit is None:
            n_passed = np.floor((t - self.begin) / self.length)
            return n_passed * self.length + self.begin, self.length
        days = np.floor(np.nan_to_num(t) / DAY).astype("datetime64[D]")
        turn = days.astype(f"datetime64[{self.unit}]")
        after = turn + np.timedelta64(1, self.unit)
        begin, end = (seconds(one.astype("datetime64[D]")) for one in (turn, after))
        return begin, end - begin

    def phases(self, t: Floats) -> Floats:
        """Return the fraction of its turn that has passed at each date, from 0 to 1."""
        begin, length = self.turns(t)
        return (t - begin) / length


#: The cycles by name. A week begins on a Monday, such as 1970-01-05.
CYCLES: dict[str, Cycle] = {
    "day": Cycle(DAY),
    "week": Cycle(7 * DAY, begin=4 * DAY),
    "month": Cycle(365.2425 / 12 * DAY, unit="M"),
    "year": Cycle(365.2425 * DAY, unit="Y"),
}
#: The maximum number of phases of a date: the sine and the cosine of each cycle.
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
    """Return the derivatives of the :func:`phases` with respect to the dates, per second."""
    out = phases(t, cycles)
    for j, name in enumerate(cycles):
        _, length = CYCLES[name].turns(t)
        sine, cosine, speed = out[:, 2 * j], out[:, 2 * j + 1], 2 * math.pi / length
        out[:, 2 * j], out[:, 2 * j + 1] = cosine * speed, -sine * speed
    return out


# Columns.


class TimeColumn(Column):
    """A column of dates or durations in a frame, which is read as seconds.

    Attributes
    ----------
    zone : str or None
        The time zone in whose clock time the dates are read; None for durations and for dates
        without a zone.
    """

    numeric = True
    #: The kind as ``Frame.time_columns`` has it.
    kind: ClassVar[str]

    def __init__(self, X: Any, position: int, declared: bool = False) -> None:
        super().__init__(X, position)
        self.zone: str | None = X.time_zone(position)

    @classmethod
    def find(cls, X: Any, wanted: Any) -> list[int]:
        """Return the positions of the columns of this kind, in a frame."""
        return [i for i, kind in X.time_columns.items() if kind == cls.kind]

    def read(self, X: Any) -> NDArray[np.float64]:
        """Return the column of a frame as seconds, NaN for missing values."""
        return read_times(X, self.position, self.kind, self.zone, f"Column {self.label} of X")

    def on_card(self, name: str) -> str:
        """Return the name of the column, and its time zone if it has one."""
        return name if self.zone is None else f"{name} ({self.zone})"


class DurationColumn(TimeColumn):
    """A column of durations, which are numbers like any others."""

    kind: ClassVar[str] = "duration"
    plural: ClassVar[str] = "durations"
    may_be_code: ClassVar[bool] = True


class DateColumn(TimeColumn):
    """A column of dates, which also has phases in the cycles of the calendar."""

    kind: ClassVar[str] = "date"
    plural: ClassVar[str] = "dates"

    def statistic(self, x: Floats, repeated: Floats) -> Floats:
        """Return the ranges of the dates, and of their phases in each of the ``CYCLES``.

        Returns
        -------
        ndarray of shape (2, 1 + n_cycles)
            The lowest numbers, and minus the highest; NaN if all dates are missing.
        """
        found = np.stack([x, *(cycle.phases(x) for cycle in CYCLES.values())])
        return np.stack([np.fmin.reduce(found, axis=1), -np.fmax.reduce(found, axis=1)])

    def of_both(self, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        """Return the ranges that include both."""
        return np.fmin(one, other)

    def features(self, found: Surveyed) -> list[Feature]:
        """Return the phases of the date, unless predictions only rise or only fall with it.

        Raises
        ------
        ValueError
            If ``standardize`` is False.
        """
        if not found.encoder.standardize:
            raise ValueError(
                "standardize=False leaves columns as they are, but X has columns of dates, "
                "which are read as seconds since 1970 and need to be scaled. Set "
                "standardize=True, or convert the dates to numbers of moderate size."
            )
        ordered, cycles = found.encoder.ordered, varying_cycles(found.statistic)
        # A phase falls at times while its date keeps rising.
        if found.place in ordered or not cycles:
            return []
        sources = np.full(2 * len(cycles), found.place)
        return [Phases(sources, bool(ordered), cycles=cycles).learned(found.sample, True, {})]

    def shown(self, x: np.floating) -> str:
        """Return a date as text, without the time of day if it is midnight."""
        date = np.datetime64(math.floor(x), "s")
        return str(date.astype("datetime64[D]") if x % DAY == 0 else date)


def varying_cycles(ranges: Floats) -> list[str]:
    """Return the names of the cycles in which phases are encoded.

    They are the cycles of which the dates span enough (``LEAST_SPAN``), and in which they are
    not all at one phase (``LEAST_VARIATION``). Dates without a time of day, for example, are
    all at one phase of the day. ``ranges`` is what :meth:`DateColumn.statistic` returns.
    """
    span, *variations = (-ranges.sum(axis=0)).tolist()
    return [
        name
        for (name, cycle), variation in zip(CYCLES.items(), variations, strict=True)
        if span >= LEAST_SPAN * cycle.length and variation >= LEAST_VARIATION
    ]


@dataclass(frozen=True, eq=False)
class Phases(Numbers):
    """The sine and the cosine of the phases of a date, which are scaled like other numbers.

    Attributes
    ----------
    cycles : sequence of str
        The names of the cycles.
    """

    cycles: Sequence[str] = ()

    @property
    def place(self) -> int:
        """The position of the date among the columns that are read."""
        return int(self.sources[0])

    def raw(self, X: Floats) -> Floats:
        """Return the phases before they are scaled."""
        return phases(X[:, self.place], self.cycles)

    def raw_rows(self, data: Dataset) -> Dataset:
        """Return the phases of the chosen rows only: those of all might not fit into memory."""
        return data._replace(X=phases(data.column(self.place), self.cycles), rows=None)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name for each function of each cycle."""
        date, functions = names[self.place], ("sin", "cos")
        return [f"{date}_{cycle}_{one}" for cycle in self.cycles for one in functions]

    def slopes(self, X: Floats) -> Floats:
        """Return the derivatives with respect to the date, per second; 0 for a missing date."""
        slopes = super().slopes(X) * phase_slopes(X[:, self.place], self.cycles)
        slopes[np.isnan(slopes)] = 0
        return slopes


# Reading.


def check_times(X: Any, times: Mapping[int, str], names: Sequence[str] | None) -> None:
    """Check that a table has dates and durations in the columns that had them in training.

    Parameters
    ----------
    X : Table
    times : mapping of int to {"duration", "date"}
        The kinds of these columns in training, by their positions.
    names : sequence of str or None
        The names of the columns.

    Raises
    ------
    ValueError
        If a column holds dates or durations now, but held other values in training, or the
        reverse. In place of dates or durations, a column without any value may have any dtype.
    """
    if X.names is None and times:
        column, kind = next(iter(times.items()))
        raise ValueError(
            f"X must be a data frame: column {name_of(column, names)} held {kind}s in earlier "
            "training rows."
        )
    for column in sorted({*times, *X.time_columns}):
        where = f"Column {name_of(column, names)} of X"
        check_same_times(X, column, times.get(column), where)


def check_same_times(X: Any, position: int, before: str | None, where: str) -> None:
    """Check that a column has times of the kind that it had in training, or still has none.

    It raises the errors of :func:`check_times`. ``where`` names the column.
    """
    now = X.time_columns.get(position)
    if before != now and not (before and X.is_all_missing(position)):
        had, has = (f"{one}s" if one else "numbers or categories" for one in (before, now))
        raise ValueError(
            f"{where} held {had} in earlier training rows, but holds {has} now. Give it the "
            "same dtype."
        )


def read_times(
    X: Frame, position: int, kind: str, zone: str | None, where: str
) -> NDArray[np.float64]:
    """Return a column of dates or durations of a frame as seconds, NaN for missing values.

    Parameters
    ----------
    X : Frame
    position : int
        The position of a column that has the kind, or no value at all, as :func:`check_times`
        ensures.
    kind : {"duration", "date"}
    zone : str or None
        The time zone that the dates had in training, in whose clock time they are read.
    where : str
        The column, for messages.

    Raises
    ------
    ValueError
        If the dates have a time zone although ``zone`` is None, or the reverse, or if the
        column cannot be read.
    """
    has_kind = X.time_columns.get(position) == kind
    now = X.time_zone(position) if has_kind else None
    if not has_kind or (now is None) != (zone is None):
        if X.is_all_missing(position):
            return np.full(X.shape[0], np.nan)
        had, has = (f"the time zone {one}" if one else "no time zone" for one in (zone, now))
        other = " If its clock times are those of another zone, name that one." if zone else ""
        raise ValueError(
            f"{where} had {had} in earlier training rows, but has {has} now. Convert it with "
            f"dt.tz_localize({zone!r}) of pandas (objects first with pandas.to_datetime), or "
            f"dt.replace_time_zone({zone!r}) of polars (dates first with cast(pl.Datetime))."
            f"{other}"
        )
    try:
        return seconds(X.times(position, zone))
    # The libraries raise their own errors for time zones that they do not know.
    except Exception as error:
        raise ValueError(f"{where} cannot be read as {kind}s: {error}") from error
