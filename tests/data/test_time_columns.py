"""Columns of dates and durations: read as seconds, and compared with those of training."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sknet.data.columns.times import check_times, read_times
from sknet.data.frames import wrapped

DAY = 86_400.0
NAMES = ["x", "when", "lasts"]
TIMES = {1: "date", 2: "duration"}


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
    check_times(wrapped(X), TIMES, NAMES)


@pytest.mark.parametrize("library", [pd, pl])
def test_columns_are_of_the_kinds_that_they_had_in_training(library):
    X = table(library)
    check_times(wrapped(X), TIMES, NAMES)
    with pytest.raises(ValueError, match="'when' of X held durations .* holds dates now"):
        check_times(wrapped(X), {1: "duration", 2: "duration"}, NAMES)
    with pytest.raises(ValueError, match="'lasts' of X held numbers .* holds durations now"):
        check_times(wrapped(X), {1: "date"}, NAMES)
    with pytest.raises(ValueError, match="'x' of X held dates .* holds numbers or cat"):
        check_times(wrapped(X), {0: "date", **TIMES}, NAMES)


def test_an_array_has_no_dates():
    X = np.zeros((2, 3))
    check_times(wrapped(X), {}, None)
    with pytest.raises(ValueError, match="X must be a data frame, since column 'when'"):
        check_times(wrapped(X), {1: "date"}, NAMES)


def test_dates_with_and_without_a_time_zone_do_not_mix():
    naive, zoned = table(), table()
    zoned["when"] = zoned["when"].dt.tz_localize("Europe/Oslo")
    assert_array_equal(read(zoned, 1, "date", "Europe/Oslo"), [2 * DAY, np.nan])
    with pytest.raises(ValueError, match="'when' of X held dates without a time zone"):
        read(zoned, 1, "date", None)
    with pytest.raises(ValueError, match="'when' of X held dates of the time zone Eur"):
        read(naive, 1, "date", "Europe/Oslo")


def test_a_column_that_cannot_be_read_is_named():
    X = table()
    X["when"] = X["when"].dt.tz_localize("UTC")
    with pytest.raises(ValueError, match="'when' of X cannot be read as dates: .*Nowhere"):
        read(X, 1, "date", "Nowhere")
