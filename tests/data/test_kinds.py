"""The kinds of columns and vectors that are read, and the names in errors of the others."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sknet.data.kinds import DATES, UNREAD, as_array, as_numbers, check_kinds, checking

VALUES = {"c": ["b", "a", "b"], "x": [0.5, 1.0, 2.0]}
FRAMES = pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
NUMBERS = np.arange(6.0).reshape(3, 2)

DAY = datetime.date(2026, 1, 1)
TIME = datetime.datetime(2026, 1, 1, 12)
SPAN = datetime.timedelta(hours=1)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([TIME, TIME]),
        pd.Series([TIME, TIME]).dt.tz_localize("UTC"),
        pd.Series([SPAN, SPAN]),
        pd.Series(pd.period_range("2026-01", periods=2, freq="M")),
        pl.Series([DAY, DAY]),
        pl.Series([TIME, TIME]),
        pl.Series([SPAN, SPAN]),
        pl.Series([TIME.time(), TIME.time()]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_dates_and_durations_are_refused(column):
    frame = pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame
    with pytest.raises(ValueError, match="Column 'when' of X holds dates.*durations into"):
        check_kinds(frame({"x": [1.0, 2.0], "when": column}), "X")
    with pytest.raises(ValueError, match="y holds dates.*durations into"):
        check_kinds(column, "y")
    check_kinds(column, "y", (DATES,))


@FRAMES
def test_numbers_and_text_are_read(frame):
    check_kinds(frame(VALUES), "X")
    check_kinds(NUMBERS, "X")
    check_kinds(NUMBERS.tolist(), "X")


def test_an_array_of_dates_is_refused():
    with pytest.raises(ValueError, match="X holds dates"):
        check_kinds(np.array([[TIME]], dtype="datetime64[s]"), "X")


@pytest.mark.parametrize("unread", UNREAD, ids=lambda unread: unread.what)
def test_every_kind_has_a_remedy(unread):
    assert unread.kinds or unread.names
    assert unread.remedy.endswith(".")


@pytest.mark.parametrize("error", [ValueError, TypeError, OverflowError])
def test_errors_get_the_name_that_they_lack(error):
    expected = TypeError if error is TypeError else ValueError
    with pytest.raises(expected, match="^y is not valid: too many") as caught:
        with checking("y"):
            raise error("too many")
    assert isinstance(caught.value.__cause__, error)


def test_errors_that_have_the_name_stay_as_they_are():
    original = ValueError("Input y contains NaN.")
    with pytest.raises(ValueError) as caught:
        with checking("y"):
            raise original
    assert caught.value is original
    # A letter in a word is no name.
    with pytest.raises(ValueError, match="^y is not valid: empty array"):
        with checking("y"):
            raise ValueError("empty array")


@pytest.mark.parametrize("numbers", [[1, 2], (1.0, 2), pd.Series([1, 2]), pl.Series([1, 2])])
def test_numbers_become_float64(numbers):
    found = as_numbers(numbers, "sample_weight")
    assert found.dtype == np.float64
    assert found.tolist() == [1, 2]


def test_lists_of_one_kind_become_arrays():
    assert as_array(["a", "b"], "y").dtype.kind == "U"
    assert as_array([b"a", b"b"], "y").dtype.kind == "S"
    assert as_array([1, True], "y").tolist() == [1, 1]
    with pytest.raises(ValueError, match="y is not valid: a list must be all text or all"):
        as_array([b"a", "b"], "y")
