"""Columns of dates and durations: seconds, phases, and what networks make of them."""

import datetime
import pickle
from functools import reduce
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from dateutil import tz
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet.data import frames
from sknet.data.columns.times import (
    CYCLES,
    DAY,
    MOST_PHASES,
    DateColumn,
    Phases,
    check_times,
    phase_slopes,
    phases,
    read_times,
    seconds,
    times,
    varying_cycles,
)
from sknet.data.frames import wrapped
from sknet.inspection import AttributionDisplay, input_gradients, integrated_gradients
from sknet.nn.embeddings import MappedPiecewiseLinear
from sknet.streaming import fit_chunks

ALL = list(CYCLES)
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
    codes = phases(t, [name])
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
    just_before, at = (phases(x, ALL) for x in (t - 1e-3, t))
    assert_allclose(just_before, at, atol=1e-7)


def test_a_missing_date_has_no_phase():
    codes = phases(np.array([np.nan, 0.0]), ["day", "year", "month"])
    assert_array_equal(np.isnan(codes), [[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]])


def test_phases_of_dates_that_no_calendar_has():
    # Dates of pandas in seconds reach so far.
    codes = phases(np.array([-9e18, 9e18, 1e15]), ALL)
    assert np.isfinite(codes).all()


def test_slopes_are_derivatives():
    rng = np.random.default_rng(0)
    t = rng.uniform(-1e9, 2e9, 100)
    step = 10.0
    expected = (phases(t + step, ALL) - phases(t - step, ALL)) / (2 * step)
    assert_allclose(phase_slopes(t, ALL), expected, rtol=1e-4, atol=1e-11)


def test_names_and_numbers_of_phases():
    of_b = Phases(np.ones(4, int), cycles=["week", "year"])
    assert of_b.names(["a", "b"], []) == [
        "b_week_sin",
        "b_week_cos",
        "b_year_sin",
        "b_year_cos",
    ]
    assert phases(np.zeros(1), ["week", "year"]).shape == (1, 4)
    assert phases(np.zeros(1), ALL).shape == (1, MOST_PHASES)


def test_dates_as_text():
    column = DateColumn(wrapped(pd.DataFrame({"when": [EPOCH]})), 0)
    assert column.shown(number(datetime.datetime(2024, 2, 29))) == "2024-02-29"
    assert column.shown(number(datetime.datetime(2024, 2, 29, 6, 30))) == "2024-02-29T06:30:00"


# The choice of cycles.


def cycles_of(dates):
    """Return the cycles that the range of dates chooses."""
    column = DateColumn(wrapped(pd.DataFrame({"when": [EPOCH]})), 0)
    t = seconds(pd.to_datetime(dates).to_numpy())
    return varying_cycles(column.statistic(t, np.ones(t.size)))


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
    column = DateColumn(wrapped(pd.DataFrame({"when": [EPOCH]})), 0)
    whole, *parts = [
        column.statistic(rows, np.ones(rows.size)) for rows in (t, *np.split(t, cuts))
    ]
    found = reduce(column.of_both, (column.translated(part, column) for part in parts))
    assert_array_equal(found, whole)
    assert varying_cycles(found) == varying_cycles(whole)


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
    assert frame.object_columns.size == 0
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


@pytest.mark.parametrize("zone", [None, datetime.UTC])
def test_objects_of_dates_far_from_1970(zone):
    """pandas alone would count nanoseconds since 1970, which end in 2262."""
    far = [datetime.datetime(year, 12, 31, tzinfo=zone) for year in (1, 9999)]
    series = pd.Series([*far, pd.Timestamp("2026-01-01", tz=zone).as_unit("ns")], dtype=object)
    found = seconds(as_frame(series).times(1, zone and "UTC"))
    expected = [number(one.replace(tzinfo=None)) for one in series]
    assert_array_equal(found, expected)


@pytest.mark.parametrize("as_objects", [False, True])
@pytest.mark.parametrize(
    "zone, expected",
    [
        (tz.gettz("Europe/Oslo"), "Europe/Oslo"),
        (tz.tzutc(), "UTC"),
        (tz.tzoffset("X", -19800), "UTC-05:30"),
        (datetime.timezone(datetime.timedelta(hours=2)), "UTC+02:00"),
    ],
    ids=str,
)
def test_time_zones_of_dateutil_have_names(zone, expected, as_objects):
    # pandas 2.2 cannot turn times in zones of dateutil 4 into objects.
    objects = [None if one is None else one.replace(tzinfo=zone) for one in TIMES]
    index = objects if as_objects else pd.DatetimeIndex(TIMES, tz=zone)
    frame = as_frame(pd.Series(index, dtype=object if as_objects else None))
    assert frame.time_zone(1) == expected
    assert_array_equal(seconds(frame.times(1, expected)), seconds(np.array(TIMES, "M8[us]")))


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


# Columns of frames, compared with those of training.


NAMES = ["x", "when", "lasts"]
KINDS_OF_TIMES = {1: "date", 2: "duration"}


def table(library=pd):
    """Return a frame of a number, a date and a duration, with a missing value of each."""
    columns = {
        "x": [0.5, 1.0],
        "when": [datetime.datetime(1970, 1, 3), None],
        "lasts": [None, datetime.timedelta(days=2)],
    }
    return library.DataFrame(columns)


def read(X, position, kind, zone):
    """Return a column of a frame as seconds."""
    where = f"Column {NAMES[position]!r} of X"
    return read_times(wrapped(X), position, kind, zone, where)


@pytest.mark.parametrize("library", [pd, pl])
def test_dates_and_durations_are_seconds(library):
    X = table(library)
    assert_array_equal(read(X, 1, "date", None), [2 * DAY, np.nan])
    assert_array_equal(read(X, 2, "duration", None), [np.nan, 2 * DAY])


@pytest.mark.parametrize("library", [pd, pl])
def test_a_column_without_any_value_is_missing_throughout(library):
    """Whatever its dtype is, and whichever time zone training had."""
    X = library.DataFrame({"x": [0.5, 1.0], "when": [None, None], "lasts": [None, None]})
    assert np.isnan(read(X, 1, "date", "Europe/Oslo")).all()
    check_times(wrapped(X), KINDS_OF_TIMES, NAMES)


@pytest.mark.parametrize("library", [pd, pl])
def test_columns_are_of_the_kinds_that_they_had_in_training(library):
    X = table(library)
    check_times(wrapped(X), KINDS_OF_TIMES, NAMES)
    with pytest.raises(ValueError, match="'when' of X held durations .* holds dates now"):
        check_times(wrapped(X), {1: "duration", 2: "duration"}, NAMES)
    with pytest.raises(ValueError, match="'lasts' of X held numbers .* holds durations now"):
        check_times(wrapped(X), {1: "date"}, NAMES)
    with pytest.raises(ValueError, match="'x' of X held dates .* holds numbers or cat"):
        check_times(wrapped(X), {0: "date", **KINDS_OF_TIMES}, NAMES)


def test_an_array_has_no_dates():
    X = np.zeros((2, 3))
    check_times(wrapped(X), {}, None)
    with pytest.raises(ValueError, match="X must be a data frame: column 'when'"):
        check_times(wrapped(X), {1: "date"}, NAMES)


def test_columns_with_and_without_a_time_zone_do_not_mix():
    naive, zoned = table(), table()
    zoned["when"] = zoned["when"].dt.tz_localize("Europe/Oslo")
    assert_array_equal(read(zoned, 1, "date", "Europe/Oslo"), [2 * DAY, np.nan])
    with pytest.raises(
        ValueError, match="had no time zone .*localize.None. .*zone.None. of polars"
    ):
        read(zoned, 1, "date", None)
    with pytest.raises(ValueError, match="'when' of X had the time zone Eur"):
        read(naive, 1, "date", "Europe/Oslo")


def test_a_column_that_cannot_be_read_is_named():
    X = table()
    X["when"] = X["when"].dt.tz_localize("UTC")
    with pytest.raises(ValueError, match="'when' of X cannot be read as dates: .*Nowhere"):
        read(X, 1, "date", "Nowhere")


# Fits, predictions, errors and attributions.


QUICK = {"max_iter": 4, "learning_rate": "cosine", "random_state": 0}
N_ROWS = 200


@pytest.fixture
def frame():
    """A frame of numbers, dates over three years, durations and categories."""
    rng = np.random.default_rng(0)
    minutes = rng.integers(0, 3 * 365 * 24 * 60, N_ROWS)
    return pd.DataFrame(
        {
            "x": rng.normal(size=N_ROWS),
            "when": (np.datetime64("2020-01-01", "us") + minutes.astype("m8[m]")),
            "kind": rng.choice(["a", "b"], N_ROWS),
            "lasts": rng.integers(0, 9000, N_ROWS).astype("m8[s]").astype("m8[us]"),
        }
    )


@pytest.fixture
def y(frame):
    hours = frame["when"].dt.hour + frame["when"].dt.minute / 60
    return (np.sin(2 * np.pi * hours / 24) + 0.1 * frame["x"]).to_numpy()


@pytest.fixture
def fitted(frame, y):
    return NNRegressor((6,), **QUICK).fit(frame, y)


def in_zone(frame, zone="Europe/Oslo"):
    """Return the frame with the same instants of UTC in another time zone."""
    return frame.assign(when=frame["when"].dt.tz_localize("UTC").dt.tz_convert(zone))


# What the network gets.


def test_a_daily_course_is_learned(frame, y):
    # The test rows follow the training rows in time.
    order = np.argsort(frame["when"].to_numpy())
    train, test = order[:150], order[150:]
    network = sknet.NNRegressor(random_state=0, max_iter=100)
    assert network.fit(frame.iloc[train], y[train]).score(frame.iloc[test], y[test]) > 0.9


def test_columns_and_their_names(fitted):
    assert fitted.n_features_in_ == 4
    assert fitted.feature_names_in_.tolist() == ["x", "when", "kind", "lasts"]
    cycles = [f"when_{name}_{f}" for name in CYCLES for f in ("sin", "cos")]
    expected = ["x", "lasts", "when", *cycles, "kind_a", "kind_b"]
    assert fitted.encoded_feature_names_.tolist() == expected


@pytest.mark.parametrize("embedding", [None, "periodic", MappedPiecewiseLinear()])
def test_a_date_is_its_number_and_its_phases(frame, y, embedding):
    """The network is that of a table with these columns in the place of the date."""
    when = seconds(frame["when"].to_numpy())
    codes = phases(when, ALL)
    spelled_out = np.column_stack([frame["x"], frame["lasts"].dt.total_seconds(), when, codes])
    columns = frame[["x", "lasts", "when"]]
    # A date and its phases have one scale.
    networks = [
        NNRegressor((6,), numeric_embedding=embedding, column_scales=False, **QUICK).fit(X, y)
        for X in (columns, spelled_out)
    ]
    assert_array_equal(networks[0].predict(columns), networks[1].predict(spelled_out))


@pytest.mark.parametrize("cls", [sknet.NNRegressor, sknet.NNClassifier])
def test_all_libraries_and_units_are_the_same(frame, y, cls):
    frame.loc[3, "when"] = pd.NaT
    target = y if cls is sknet.NNRegressor else y > 0
    objects = {"when": frame["when"].astype(object), "lasts": frame["lasts"].astype(object)}
    same = [
        frame,
        frame.assign(when=frame["when"].astype("M8[ns]")),
        frame.assign(lasts=frame["lasts"].astype("m8[ns]")),
        frame.assign(when=frame["when"].astype(pd.ArrowDtype(pa.timestamp("us")))),
        frame.assign(lasts=frame["lasts"].astype(pd.ArrowDtype(pa.duration("us")))),
        frame.assign(**objects),
        pl.from_pandas(frame),
        pl.from_pandas(frame).with_columns(pl.col("when").cast(pl.Datetime("ns"))),
    ]
    networks = [cls(**QUICK).fit(X, target) for X in same]
    expected = networks[0].predict(frame)
    for network, X in zip(networks, same, strict=True):
        assert_array_equal(network.predict(frame), expected)
        assert_array_equal(networks[0].predict(X), expected)


def test_days_without_a_time_of_day(frame, y):
    days = frame["when"].dt.normalize()
    same = [
        frame.assign(when=days),
        frame.assign(when=days.dt.date),
        frame.assign(when=days.dt.date.astype(pd.ArrowDtype(pa.date32()))),
        pl.from_pandas(frame).with_columns(pl.col("when").cast(pl.Date)),
    ]
    networks = [NNRegressor((6,), **QUICK).fit(X, y) for X in same]
    assert not any("when_day" in name for name in networks[0].encoded_feature_names_)
    for network, X in zip(networks, same, strict=True):
        assert_array_equal(network.predict(X), networks[0].predict(same[0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_near_dates_are_told_apart_beside_columns_of_float32(dtype):
    """In float32 seconds since 1970 have a distance of 128."""
    when = np.datetime64("2026-01-01", "ms") + np.arange(200)
    frame = pd.DataFrame({"x": np.zeros(200, np.float32), "when": when})
    network = NNRegressor((6,), dtype=dtype, **QUICK).fit(frame, np.arange(200.0))
    prediction = network.predict(frame)
    assert prediction.dtype == np.float64
    assert np.unique(prediction).size == 200


def test_heavy_dates_are_named(frame):
    when = frame["when"].where(np.arange(N_ROWS) % 4 > 0, pd.Timestamp("1900-01-01"))
    network = NNClassifier((6,), numeric_embedding="periodic", **QUICK)
    network.fit(frame.assign(when=when), frame["x"] > 0)
    assert "when=1900-01-01" in network.encoded_feature_names_


def test_cycles_are_those_of_training_rows(frame, y):
    weight = (frame["when"] < "2020-03-01").to_numpy().astype(float)
    assert 10 < weight.sum() < 50
    network = NNRegressor((6,), **QUICK).fit(frame, y, weight)
    few = NNRegressor((6,), **QUICK).fit(frame[weight > 0], y[weight > 0])
    assert not any("year" in name for name in network.encoded_feature_names_)
    assert_array_equal(network.predict(frame), few.predict(frame))


# Missing values.


def test_a_missing_date_has_an_indicator(frame, y):
    frame.loc[::5, "when"] = pd.NaT
    frame.loc[::7, "lasts"] = pd.NaT
    network = NNRegressor((6,), **QUICK).fit(frame, y)
    names = network.encoded_feature_names_.tolist()
    assert [name for name in names if "missing" in name] == ["lasts_missing", "when_missing"]
    assert np.isfinite(network.predict(frame)).all()


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NaT, "polars"])
def test_a_column_without_any_date_is_missing(frame, fitted, nothing):
    missing = frame.assign(when=pd.Series([pd.NaT] * N_ROWS, dtype="M8[us]"))
    other = frame.assign(when=[nothing] * N_ROWS)
    if nothing == "polars":
        other = pl.from_pandas(frame).with_columns(pl.lit(None).alias("when"))
    assert_array_equal(fitted.predict(other), fitted.predict(missing))


# Time zones.


def test_clocks_of_the_time_zone_of_training_count(frame, y):
    zoned = in_zone(frame)
    network = NNRegressor((6,), **QUICK).fit(zoned, y)
    clocks = frame.assign(when=zoned["when"].dt.tz_localize(None))
    naive = NNRegressor((6,), **QUICK).fit(clocks, y)
    expected = naive.predict(clocks)
    for X in (zoned, in_zone(frame, "Asia/Tokyo"), pl.from_pandas(in_zone(frame, "UTC"))):
        assert_array_equal(network.predict(X), expected)


@pytest.mark.parametrize("polars", [False, True])
def test_dates_with_and_without_a_time_zone_do_not_mix(frame, y, polars):
    with_zone, without = in_zone(frame), frame
    if polars:
        with_zone, without = pl.from_pandas(with_zone), pl.from_pandas(without)
    network = NNRegressor((6,), **QUICK)
    with pytest.raises(ValueError, match=r"Column 'when' of X had the time zone Eur"):
        network.fit(with_zone, y).predict(without)
    with pytest.raises(ValueError, match=r"had no time zone.* has the time zone Europe/Os"):
        network.fit(without, y).predict(with_zone)


def test_a_time_zone_that_is_not_known(frame, y):
    offset = datetime.timezone(datetime.timedelta(hours=2))
    network = NNRegressor((6,), **QUICK).fit(in_zone(frame, offset), y)
    expected = network.predict(in_zone(frame, offset))
    assert_array_equal(network.predict(in_zone(frame)), expected)
    # polars knows no zones but those with names.
    with pytest.raises(
        ValueError, match=r"Column 'when' of X cannot be read as dates: .*02:00"
    ):
        network.predict(pl.from_pandas(in_zone(frame)))


# Errors.


@pytest.mark.parametrize("chosen", [["when"], [1], [False, True, False, False], ["lasts"]])
def test_a_date_is_no_category(frame, y, chosen):
    kind, name = ("duration", "lasts") if chosen == ["lasts"] else ("date", "when")
    match = f"categorical_features chooses column '{name}' of X, which holds {kind}s.*text"
    with pytest.raises(ValueError, match=match):
        NNRegressor(categorical_features=chosen).fit(frame, y)


@pytest.mark.parametrize("chosen", [None, ["kind"], "from_dtype"])
def test_dates_are_read_whatever_categories_are_chosen(frame, y, chosen):
    X = frame if chosen else frame.drop(columns="kind")
    network = NNRegressor((6,), categorical_features=chosen, **QUICK).fit(X, y)
    assert "when_day_sin" in network.encoded_feature_names_


@pytest.mark.parametrize(
    "change, match",
    [
        ({"when": 1.0}, "'when' of X held dates in earlier training rows, but holds numbers"),
        (
            {"when": "2026-01-01"},
            "'when' of X held dates in earlier training rows, but holds numbers or cat",
        ),
        ({"when": datetime.timedelta(1)}, "'when' of X held dates .* but holds durations now"),
        ({"lasts": datetime.datetime(2026, 1, 1)}, "'lasts' of X held durations .* dates now"),
        ({"x": datetime.datetime(2026, 1, 1)}, "'x' of X held numbers or categories .* dates"),
        ({"kind": datetime.date(2026, 1, 1)}, "'kind' of X held numbers or cat.* holds dates"),
    ],
)
@pytest.mark.parametrize("polars", [False, True])
def test_a_column_that_changes_its_kind(frame, fitted, polars, change, match):
    ((name, value),) = change.items()
    odd = frame.assign(**{name: [value] * N_ROWS})
    with pytest.raises(ValueError, match=f"Column {match}"):
        fitted.predict(pl.from_pandas(odd) if polars else odd)


@pytest.mark.parametrize("moment", [np.datetime64("2026-01-01"), datetime.timedelta(1)])
def test_dates_where_training_had_only_numbers(moment):
    numbers = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [0.0, 1, 0, 1]})
    network = NNRegressor((6,), **QUICK).fit(numbers, numbers["a"])
    kind = "durations" if isinstance(moment, datetime.timedelta) else "dates"
    match = f"Column 'b' of X held numbers or categories in earlier .*, but holds {kind}"
    with pytest.raises(ValueError, match=match):
        network.predict(numbers.assign(b=[moment] * 4))


def test_an_array_in_the_place_of_a_frame(fitted):
    with pytest.raises(ValueError, match="X must be a data frame: column 'lasts' held"):
        with pytest.warns(UserWarning, match="feature names"):
            fitted.predict(np.zeros((2, 4)))


@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]", object])
def test_arrays_of_dates_are_refused(dtype):
    X = np.array([["2026-01-01"], ["2026-01-02"]], "datetime64[s]")
    X = X - X[0] if dtype == "timedelta64[s]" else X.astype(dtype)
    match = "X holds dates or durations .*A data frame X may hold them in columns of a date or"
    with pytest.raises(ValueError, match=match):
        NNRegressor().fit(X, [1.0, 2.0])


def test_text_among_dates_is_named(frame, y):
    values = frame["when"].astype(object)
    values[5] = "soon"
    with pytest.raises(ValueError, match="Column 'when' of X cannot be read as dates: .*'str'"):
        NNRegressor().fit(frame.assign(when=values), y)


def test_dates_need_a_scale(frame, y):
    with pytest.raises(ValueError, match="standardize=False leaves columns as they are.*dates"):
        NNRegressor(standardize=False).fit(frame, y)
    durations = frame.drop(columns="when").assign(lasts=frame["lasts"] / 9000)
    network = NNRegressor((6,), standardize=False, **QUICK).fit(durations, y)
    assert "lasts" in network.encoded_feature_names_


def test_columns_in_another_order(frame, fitted):
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["when", "x", "kind", "lasts"]])


# Estimators with such frames.


def test_pickle_and_clone(frame, y, fitted):
    expected = fitted.predict(frame)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(frame), expected)
    assert_array_equal(clone(fitted).fit(frame, y).predict(frame), expected)


def test_validation_rows(frame, y):
    network = NNRegressor((6,), early_stopping=True, **QUICK)
    held_out = {"X_val": pl.from_pandas(frame[150:]), "y_val": y[150:]}
    network.fit(frame[:150], y[:150], **held_out)
    assert len(network.validation_scores_) == network.n_iter_
    with pytest.raises(ValueError, match="Column 'when' of X held dates in earlier"):
        network.fit(frame, y, X_val=frame.assign(when=1.0), y_val=y)


@pytest.mark.parametrize("polars", [False, True])
def test_a_column_of_nan_has_no_dates(frame, fitted, polars):
    """It means the same as a column of missing dates, in every library."""
    missing = frame.assign(when=pd.NaT)
    odd = frame.assign(when=np.nan)
    found = fitted.predict(pl.from_pandas(odd, nan_to_null=False) if polars else odd)
    assert_array_equal(found, fitted.predict(missing))


def test_a_pipeline_with_frames(frame, y, fitted):
    columns = ColumnTransformer(
        [("scale", StandardScaler(), ["x"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(columns, NNRegressor((6,), **QUICK)).set_output(transform="pandas")
    found = pipeline.fit(frame, y).predict(frame)
    assert_allclose(found, fitted.predict(frame), rtol=1e-6)


def test_a_search(frame, y):
    search = GridSearchCV(NNRegressor((6,), **QUICK), {"alpha": [0, 1e-3]}, cv=3)
    assert np.isfinite(search.fit(frame, y).cv_results_["mean_test_score"]).all()


def test_a_warm_start_keeps_the_cycles(frame, y):
    network = NNRegressor((6,), warm_start=True, **QUICK).fit(frame, y)
    names = network.encoded_feature_names_
    network.fit(frame[:40], y[:40])
    assert_array_equal(network.encoded_feature_names_, names)


def test_the_first_chunk_decides(frame, y):
    first = frame.assign(when=frame["when"].dt.normalize())
    network = NNRegressor((6,), random_state=0).partial_fit(first, y)
    names = network.encoded_feature_names_
    network.partial_fit(frame, y)
    assert_array_equal(network.encoded_feature_names_, names)
    assert not any("when_day" in name for name in names)


def test_chunks_are_the_whole_table(frame, y):
    """Each chunk of a month knows nothing of years."""
    order = np.argsort(frame["when"].to_numpy())
    chunks = [(frame.iloc[rows], y[rows]) for rows in np.array_split(order, 20)]
    network = fit_chunks(NNRegressor((6,), **QUICK), chunks)
    whole = NNRegressor((6,), **QUICK).fit(frame, y)
    assert_array_equal(network.encoded_feature_names_, whole.encoded_feature_names_)
    ours, expected = (one._model.encoder.numbers_ for one in (network, whole))
    assert_array_equal(ours.center, expected.center)


# Attributions.


def test_gradients_by_dates_are_derivatives(frame, y):
    network = NNRegressor((6,), activation="tanh", **QUICK).fit(frame, y)
    step = np.timedelta64(10, "s")
    for place, name in ((1, "when"), (3, "lasts")):
        up, down = (frame.assign(**{name: frame[name] + s}) for s in (step, -step))
        expected = (network.predict(up) - network.predict(down)) / 20
        assert_allclose(input_gradients(network, frame)[:, place], expected, rtol=1e-4)


def test_attributions_are_those_of_the_columns_of_the_user(frame, y):
    network = NNRegressor((6,), **QUICK).fit(frame, y)
    parts = integrated_gradients(network, frame, baseline=frame[:1])
    assert parts.shape == frame.shape
    difference = network.predict(frame) - network.predict(frame[:1])
    assert_allclose(parts.sum(axis=1), difference, atol=1e-9)
    # A row that differs from the baseline in its date only.
    other = frame[:1].assign(when=frame["when"][1])
    parts = integrated_gradients(network, other, baseline=frame.iloc[0])
    assert np.abs(parts[0, 1]) > 0
    assert_array_equal(parts[0, [0, 2, 3]], 0)


def test_the_default_baseline_has_the_median_date(frame, y):
    odd = frame[1:]
    network = NNRegressor((6,), **QUICK).fit(odd, y[1:])
    medians = {name: odd[name].median() for name in ["x", "when", "lasts"]}
    typical = odd[:1].assign(kind=[None], **medians)
    parts = integrated_gradients(network, frame)
    assert_allclose(parts, integrated_gradients(network, frame, baseline=typical), atol=1e-9)


def test_a_display_shows_the_date(frame, fitted):
    pytest.importorskip("matplotlib").use("agg")
    display = AttributionDisplay.from_estimator(fitted, frame[:1])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert f"when = {frame['when'][0]}" in labels


def test_offsets_of_objects():
    """Timestamps on both sides of a change of the clock have different offsets."""
    offsets = ["2021-01-05 10:00+01:00", "2021-07-05 10:00+02:00"]
    given = pd.Series([pd.Timestamp(one) for one in offsets] * 30, dtype=object)
    X, y = pd.DataFrame({"t": given, "u": np.arange(60.0)}), np.arange(60.0)
    same = X.assign(t=pd.to_datetime(given, utc=True).dt.tz_convert("+01:00"))
    network = NNRegressor(max_iter=3, learning_rate="cosine", random_state=0)
    one, other = (clone(network).fit(each, y) for each in (X, same))
    assert_array_equal(one.predict(X), other.predict(same))


def test_objects_with_and_without_a_zone():
    mixed = [pd.Timestamp("2021-01-05 10:00+01:00"), pd.Timestamp("2021-07-05 10:00")]
    X = pd.DataFrame({"t": pd.Series(mixed * 5, dtype=object)})
    with pytest.raises(ValueError, match="Column 't' .* with and without a time zone"):
        NNRegressor(max_iter=1).fit(X, np.arange(10.0))
