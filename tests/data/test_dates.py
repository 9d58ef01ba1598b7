"""Dates and durations in seconds, and the phases of dates in the cycles of the calendar."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.data import frames
from sknet.data.columns.calendar import (
    CYCLES,
    DAY,
    MOST_PHASES,
    count_phases,
    date_text,
    phase_names,
    phase_slopes,
    phases,
    seconds,
    times,
)
from sknet.data.columns.times import DateRange

ALL = [list(CYCLES)]
EPOCH = datetime.datetime(1970, 1, 1)
#: Days before and after 1970, the end of a month, a leap day, the end of a year that is no leap
#: year although it is a multiple of four, and dates far away.
MOMENTS = [
    datetime.datetime(1969, 12, 31, 23, 59, 59),
    datetime.datetime(1970, 1, 1),
    datetime.datetime(2024, 2, 29, 12, 30),
    datetime.datetime(2025, 4, 30, 23, 59, 59),
    datetime.datetime(1900, 12, 31, 18),
    datetime.datetime(2000, 3, 1),
    datetime.datetime(1, 1, 1, 6),
    datetime.datetime(9999, 12, 31, 12),
]


def number(moment):
    """Return a date in seconds, by the arithmetic of Python."""
    return (moment - EPOCH).total_seconds()


# Seconds.


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_dates_are_seconds_since_1970(unit):
    times = np.array([*MOMENTS, None], dtype=f"datetime64[{unit}]")
    assert_array_equal(seconds(times), [*map(number, MOMENTS), np.nan])


def test_days_are_seconds_at_midnight():
    days = [moment.date() for moment in MOMENTS]
    midnights = [datetime.datetime.combine(day, datetime.time()) for day in days]
    found = seconds(np.array(days, dtype="datetime64[D]"))
    assert_array_equal(found, [number(midnight) for midnight in midnights])


@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
def test_the_unit_does_not_change_a_bit(kind):
    rng = np.random.default_rng(0)
    counts = rng.integers(-(2**60) // 1000, 2**60 // 1000, 1000) // 7
    microseconds = counts.astype(f"{kind}[us]")
    assert_array_equal(seconds(microseconds), seconds(microseconds.astype(f"{kind}[ns]")))
    # The nearest number to the exact one, which has 17 digits.
    assert_allclose(seconds(microseconds), counts / 1e6, rtol=2e-16)


@pytest.mark.parametrize("kind", ["date", "duration"])
@pytest.mark.parametrize("size", [1.0, 1e9, 1e13, 1e16])
def test_times_are_the_inverse_of_seconds(kind, size):
    """Up to a microsecond, and for dates that no unit so fine can hold, to one of theirs."""
    numbers = np.random.default_rng(0).uniform(-size, size, 100)
    made = times(numbers, kind)
    assert made.dtype.kind == {"date": "M", "duration": "m"}[kind]
    assert_allclose(seconds(made), numbers, rtol=1e-15, atol=1e-3 if size > 1e12 else 1e-6)
    assert times(np.empty(0), kind).shape == (0,)


def test_times_of_whole_seconds_are_exact():
    expected = np.array(["1969-12-31T23:59:59", "2024-02-29T12:30"], "datetime64[s]")
    assert_array_equal(times(seconds(expected), "date"), expected)


def test_durations_are_seconds():
    spans = [datetime.timedelta(days=400), datetime.timedelta(microseconds=-1), None]
    found = seconds(np.array(spans, dtype="timedelta64[us]"))
    assert_array_equal(found, [400 * DAY, -1e-6, np.nan])


# Phases.


def turn_of(moment, name):
    """Return the beginning and the end of the turn of a cycle, by the calendar of Python."""
    midnight = moment.replace(hour=0, minute=0, second=0)
    if name == "day":
        return midnight, midnight + datetime.timedelta(1)
    if name == "week":
        monday = midnight - datetime.timedelta(midnight.weekday())
        return monday, monday + datetime.timedelta(7)
    if name == "month":
        first = midnight.replace(day=1)
        return first, (first + datetime.timedelta(31)).replace(day=1)
    first = midnight.replace(month=1, day=1)
    return first, first.replace(year=first.year + 1)


@pytest.mark.parametrize("name", CYCLES)
def test_phases_are_those_of_the_calendar(name):
    # Python's years end with 9999, and its weeks begin with 0001-01-01.
    moments = [moment for moment in MOMENTS if moment.year < 9999]
    expected = []
    for moment in moments:
        begin, end = turn_of(moment, name)
        expected.append((moment - begin) / (end - begin))
    t = np.array([number(moment) for moment in moments])
    assert_allclose(CYCLES[name].phases(t), expected, atol=1e-9)
    codes = phases(t[:, np.newaxis], [[name]])
    angles = 2 * np.pi * np.array(expected)
    assert_allclose(codes, np.column_stack([np.sin(angles), np.cos(angles)]), atol=1e-8)


@pytest.mark.parametrize("name", CYCLES)
def test_the_turns_of_a_cycle_have_its_mean_length(name):
    # 400 years, after which the calendar repeats itself.
    days = np.arange(np.datetime64("1800"), np.datetime64("2200"), dtype="datetime64[D]")
    _, lengths = CYCLES[name].turns(seconds(days))
    begins, _ = CYCLES[name].turns(seconds(days))
    n_turns = np.unique(begins).size
    assert_allclose(days.size * DAY / n_turns, CYCLES[name].length, rtol=1e-4)
    assert np.all(np.asarray(lengths) > 0)


def test_phases_are_smooth_where_turns_meet():
    t = np.array([number(datetime.datetime(2025, 1, 1))])
    just_before, at = (phases(x[:, np.newaxis], ALL) for x in (t - 1e-3, t))
    assert_allclose(just_before, at, atol=1e-7)


def test_a_missing_date_has_no_phase():
    codes = phases(np.array([[np.nan, 0.0], [0.0, np.nan]]), [["day", "year"], ["month"]])
    assert_array_equal(np.isnan(codes), [[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]])


def test_phases_of_dates_that_no_calendar_has():
    # Dates of pandas in seconds reach so far.
    codes = phases(np.array([[-9e18], [9e18], [1e15]]), ALL)
    assert np.isfinite(codes).all()


def test_slopes_are_derivatives():
    rng = np.random.default_rng(0)
    t = rng.uniform(-1e9, 2e9, (50, 2))
    cycles = [list(CYCLES), ["year"]]
    step = 10.0
    expected = (phases(t + step, cycles) - phases(t - step, cycles)) / (2 * step)
    assert_allclose(phase_slopes(t, cycles), expected, rtol=1e-4, atol=1e-11)


def test_names_and_numbers_of_phases():
    assert phase_names(["a", "b"], [["day"], ["week", "year"]]) == [
        "a_day_sin", "a_day_cos", "b_week_sin", "b_week_cos", "b_year_sin", "b_year_cos",
    ]  # fmt: skip
    assert count_phases([["day"], ["week", "year"]]) == 6
    assert count_phases(ALL) == MOST_PHASES


def test_dates_as_text():
    assert date_text(number(datetime.datetime(2024, 2, 29))) == "2024-02-29"
    assert date_text(number(datetime.datetime(2024, 2, 29, 6, 30))) == "2024-02-29T06:30:00"


# The choice of cycles.


def cycles_of(dates):
    """Return the cycles that the range of dates chooses."""
    found = DateRange()
    found.add(seconds(pd.to_datetime(dates).to_numpy()), None)
    return found.varying_cycles()


@pytest.mark.parametrize(
    "start, end, step, expected",
    [
        ("2020-01-01", "2023-01-01", "7h", ["day", "week", "month", "year"]),
        # Days without a time of day.
        ("2020-01-01", "2023-01-01", "1D", ["week", "month", "year"]),
        # At the same time of each day.
        ("2020-01-01T08", "2023-01-01T08", "1D", ["week", "month", "year"]),
        # On one day of each week, on the first or the last day of each month, of each year.
        ("2020-01-01", "2023-01-01", "7D", ["month", "year"]),
        ("2020-01-01", "2023-01-01", "MS", ["week", "year"]),
        ("2020-01-01", "2023-01-01", "ME", ["week", "year"]),
        ("1990-01-01", "2023-01-01", "YS", ["week"]),
        # Rows that span less than three quarters of a year, of a month, of a week, of a day.
        ("2020-01-01", "2020-09-01", "7h", ["day", "week", "month"]),
        ("2020-01-01", "2020-10-05", "7h", ["day", "week", "month", "year"]),
        ("2020-01-01", "2020-01-15", "7h", ["day", "week"]),
        ("2020-01-01", "2020-01-05", "7h", ["day"]),
        ("2020-01-01", "2020-01-01T17", "1h", []),
        ("2020-01-01", "2020-01-01", "1h", []),
    ],
)
def test_cycles_are_those_that_the_rows_span_and_vary_in(start, end, step, expected):
    assert cycles_of(pd.date_range(start, end, freq=step)) == expected


def test_missing_dates_tell_no_cycles():
    days = pd.Series(pd.date_range("2020-01-01", "2023-01-01", freq="1D"))
    assert cycles_of(days.where(np.arange(len(days)) % 3 > 0)) == ["week", "month", "year"]
    assert cycles_of(pd.Series([pd.NaT] * 9)) == []


@pytest.mark.parametrize("cuts", [[1], [10, 20, 990]])
@pytest.mark.parametrize("share_missing", [0.3, 1])
def test_ranges_of_blocks_and_of_parts_are_those_of_the_whole(cuts, share_missing):
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 4e7, 1000)
    t[rng.random(t.shape) < share_missing] = np.nan
    whole, by_blocks, by_parts = DateRange(), DateRange(), DateRange()
    whole.add(t, None)
    for block in np.split(t, cuts):
        by_blocks.add(block, None)
        part = DateRange()
        part.add(block, None)
        by_parts.include(part, None)
    for found in (by_blocks, by_parts):
        assert_array_equal(found.lowest, whole.lowest)
        assert_array_equal(found.highest, whole.highest)
        assert found.varying_cycles() == whole.varying_cycles()


# Columns of frames.

TIMES = [
    datetime.datetime(2026, 3, 29, 0, 59, 59, 123456),
    None,
    datetime.datetime(1969, 7, 20, 20, 17),
]
SPANS = [datetime.timedelta(microseconds=-1), None, datetime.timedelta(days=5)]
DAYS = [time and time.date() for time in TIMES]
UTC = [time and time.replace(tzinfo=datetime.UTC) for time in TIMES]


def arrow(values, dtype):
    return pd.Series(values, dtype=pd.ArrowDtype(dtype))


#: For each kind of values: columns that hold them, and their numbers of seconds.
COLUMNS = {
    "dates": (
        TIMES,
        [
            *(pd.Series(TIMES).astype(f"datetime64[{unit}]") for unit in ("us", "ns")),
            *(arrow(TIMES, pa.timestamp(unit)) for unit in ("us", "ns")),
            pd.Series(TIMES, dtype=object),
            pd.Series(np.array(TIMES, "datetime64[us]").astype("datetime64[ns]"), dtype=object),
            *(pl.Series(TIMES, dtype=pl.Datetime(unit)) for unit in ("us", "ns")),
        ],
    ),
    "days": (
        [day and datetime.datetime.combine(day, datetime.time()) for day in DAYS],
        [
            pd.Series(DAYS).astype("datetime64[s]"),
            arrow(DAYS, pa.date32()),
            arrow(DAYS, pa.date64()),
            pd.Series(DAYS, dtype=object),
            pl.Series(DAYS),
        ],
    ),
    "durations": (
        SPANS,
        [
            *(pd.Series(SPANS).astype(f"timedelta64[{unit}]") for unit in ("us", "ns")),
            arrow(SPANS, pa.duration("us")),
            pd.Series(SPANS, dtype=object),
            pl.Series(SPANS, dtype=pl.Duration("ns")),
        ],
    ),
}
#: The same with a time zone, in which no clock shows the same.
ZONED = [
    pd.Series(TIMES).dt.tz_localize("UTC"),
    pd.Series(TIMES).astype("datetime64[ns]").dt.tz_localize("UTC"),
    pd.Series(TIMES).dt.tz_localize("UTC").dt.tz_convert("America/New_York"),
    arrow(UTC, pa.timestamp("ns", tz="UTC")),
    arrow(UTC, pa.timestamp("us", tz="Asia/Tokyo")),
    pd.Series(UTC, dtype=object),
    pl.Series(TIMES).dt.replace_time_zone("UTC"),
    pl.Series(TIMES).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
]


def as_frame(series):
    """Return a frame in which the series is the second column."""
    library = pl if isinstance(series, pl.Series) else pd
    return frames.wrapped(library.DataFrame({"x": [0.5, 1.0, 2.0], "when": series}))


@pytest.mark.parametrize(
    "name, series",
    [
        pytest.param(name, one, id=f"{type(one).__module__[:6]}-{one.dtype}-{i}")
        for name, (_, several) in COLUMNS.items()
        for i, one in enumerate(several)
    ],
)
def test_columns_of_times_are_found_and_read(name, series):
    frame, kind = as_frame(series), "duration" if name == "durations" else "date"
    assert frame.time_columns == {1: kind}
    assert frame.category_columns.size == 0
    assert frame.time_zone(1) is None
    start = datetime.timedelta() if kind == "duration" else EPOCH
    values = COLUMNS[name][0]
    expected = [np.nan if one is None else (one - start).total_seconds() for one in values]
    assert_array_equal(seconds(frame.times(1, None)), expected)


@pytest.mark.parametrize(
    "series", ZONED, ids=lambda one: f"{type(one).__module__[:6]}-{one.dtype}"
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "America/St_Johns"])
def test_dates_with_a_time_zone_are_what_clocks_show(series, zone):
    frame = as_frame(series)
    assert frame.time_columns == {1: "date"}
    assert frame.time_zone(1) in {
        "UTC",
        "America/New_York",
        "Asia/Tokyo",
    }
    clocks = [one and one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for one in UTC]
    expected = [np.nan if one is None else number(one) for one in clocks]
    assert_array_equal(seconds(frame.times(1, zone)), expected)


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["2026-01-01", "b", None]),
        pd.Series(["2026-01-01", DAYS[0], None], dtype=object),
        pd.Series([None, None, None], dtype=object),
        pd.Series(pd.Categorical(TIMES)),
        pd.Series(pd.period_range("2026-01", periods=3, freq="M")),
        pd.Series([1, 2, 3]),
        arrow([datetime.time(1)] * 3, pa.time64("us")),
        pl.Series([datetime.time(1)] * 3),
        pl.Series([None] * 3),
    ],
    ids=lambda one: f"{type(one).__module__[:6]}-{one.dtype}",
)
def test_other_columns_are_no_columns_of_times(series):
    assert as_frame(series).time_columns == {}
    assert frames.wrapped(np.zeros((3, 2))).time_columns == {}


@pytest.mark.parametrize("other", ["2026-01-02", 3, datetime.timedelta(1)])
def test_objects_of_several_kinds_are_not_read(other):
    frame = as_frame(pd.Series([DAYS[0], other, None], dtype=object))
    with pytest.raises(ValueError, match="it mixes values of the types .*'date'"):
        frame.times(1, None)
