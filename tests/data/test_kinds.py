"""The kinds of columns and vectors that are read, and the names in errors of the others."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sknet.data.kinds import (
    CLOCK_TIMES,
    DATES,
    LABELS,
    UNREAD,
    as_array,
    as_numbers,
    check_kinds,
    check_values,
    checking,
)

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
        pl.Series([DAY, DAY]),
        pl.Series([TIME, TIME]),
        pl.Series([SPAN, SPAN]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_dates_and_durations_are_refused_where_they_are_not_read(column):
    frame = pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame
    with pytest.raises(ValueError, match="Column 'when' of y holds dates or durations.*into"):
        check_kinds(frame({"x": [1.0, 2.0], "when": column}), "y")
    with pytest.raises(ValueError, match="y holds dates or durations.*pandas.to_datetime"):
        check_kinds(column, "y", (CLOCK_TIMES,))
    check_kinds(column, "y", (DATES,))
    check_kinds(frame({"x": [1.0, 2.0], "when": column}), "X", with_times=True)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.period_range("2026-01", periods=2, freq="M")),
        pl.Series([TIME.time(), TIME.time()]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_times_of_day_and_periods_are_refused(column):
    frame = pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame
    with pytest.raises(ValueError, match="Column 'when' of X holds times of day.*midnight"):
        check_kinds(frame({"when": column}), "X", with_times=True)
    with pytest.raises(ValueError, match="y holds times of day or periods"):
        check_kinds(column, "y", (DATES,))
    check_kinds(column, "y", LABELS)


@pytest.mark.parametrize("moment", [TIME, SPAN])
def test_a_category_of_dates_is_no_column_of_dates(moment):
    frame = pd.DataFrame({"c": pd.Categorical([moment, moment])})
    with pytest.raises(ValueError, match="Column 'c' of X holds dates or durations"):
        check_kinds(frame, "X", with_times=True)


@FRAMES
def test_numbers_and_text_are_read(frame):
    check_kinds(frame(VALUES), "X")
    check_kinds(NUMBERS, "X")
    check_kinds(NUMBERS.tolist(), "X")


def test_an_array_of_dates_is_refused():
    with pytest.raises(ValueError, match="X holds dates"):
        check_kinds(np.array([[TIME]], dtype="datetime64[s]"), "X")


@pytest.mark.parametrize(
    "column, what",
    [
        (pd.Series(pd.Categorical([TIME, TIME])), "dates"),
        (pd.Series([1j, 2j]), "complex numbers"),
        (pl.Series([[1, 2], [3]]), "nested values"),
        (pl.Series([{"a": 1}, {"a": 2}]), "nested values"),
        (pl.Series([b"a", b"b"]), "bytes"),
        (pl.Series([1, 2], dtype=pl.Int128), "integers of 128 bits"),
    ],
    ids=lambda one: str(getattr(one, "dtype", one)),
)
def test_columns_that_are_neither_numbers_nor_text_are_refused(column, what):
    """The levels of a category count, not that it is one."""
    frame = pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame
    with pytest.raises(ValueError, match=f"^Column 'c' of X holds {what}"):
        check_kinds(frame({"x": [1.0, 2.0], "c": column}), "X")
    with pytest.raises(ValueError, match=f"^y holds {what}"):
        check_kinds(column, "y")


def test_records_are_refused():
    records = np.zeros(2, dtype=[("a", float), ("b", int)])
    with pytest.raises(ValueError, match=r"^y holds records \(dtype"):
        check_kinds(records, "y")


def test_a_mask_is_not_lost():
    """Masked values are refused; a masked array without any is an array."""
    values = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ValueError, match="^y is a masked array .*these rows, or fill"):
        check_kinds(values, "y")
    check_kinds(np.ma.array([1.0, 2.0]), "y")


class LazyRows:
    """A table like those of Dask: it has columns and a length, but computes both."""

    columns = property(lambda self: pytest.fail("The columns were computed."))
    __dask_graph__ = __len__ = compute = lambda self: pytest.fail("Something was computed.")


@pytest.mark.parametrize(
    "table, method",
    [(pl.LazyFrame(VALUES), "collect"), (LazyRows(), "compute")],
    ids=["polars", "like Dask"],
)
def test_lazy_tables_are_to_be_computed_first(table, method):
    with pytest.raises(TypeError, match=f"X is a lazy Lazy.*: use X.{method}\\(\\) first"):
        check_kinds(table, "X")


def test_a_table_of_an_unknown_kind_is_not_taken_as_lazy():
    """Neither a name of columns nor a method to compute something makes a table lazy alone."""

    class Table:
        columns = ("a",)
        __len__ = compute = lambda self: 1

    class Computed:
        compute = collect = lambda self: 1

    check_kinds(Table(), "X")
    check_kinds(Computed(), "X")


@pytest.mark.parametrize(
    "data",
    [
        np.array([TIME], "datetime64[s]"),
        [TIME],
        [np.datetime64(DAY)],
        [1j],
        [[b"a", 1]],
        [b"1.5"],
        np.array([b"1.5"]),
    ],
)
def test_vectors_of_other_kinds_are_refused(data):
    with pytest.raises(ValueError, match="y (holds|is not valid)"):
        as_array(data, "y")


@pytest.mark.parametrize(
    "data",
    [NUMBERS, pd.Series(["a", "b"]), pl.Series([1, 2]), pd.DataFrame(VALUES)],
    ids=lambda data: type(data).__module__,
)
def test_vectors_and_tables_of_numbers_and_text_stay_as_they_are(data):
    assert as_array(data, "y") is data


# Values of columns of objects.


@pytest.mark.parametrize(
    "value, what",
    [
        *((value, "dates") for value in [DAY, TIME, SPAN, np.datetime64(DAY)]),
        (TIME.time(), "times of day"),
        *((value, "complex") for value in [1j, np.complex64(1j)]),
        *((value, "nested") for value in [[1], (1,), {"a": 1}, {1}, frozenset(), np.ones(1)]),
        (np.zeros(1, dtype=[("a", int)])[0], "records"),
        (b"a", "bytes"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_objects_that_are_neither_numbers_nor_text_are_refused(value, what):
    """The message has the type, even if other values come before and after."""
    message = f"^y holds {what}.*\\(type {type(value).__name__}\\)"
    with pytest.raises(ValueError, match=message):
        check_values(["a", value, None], "y")
    vector = np.empty(3, dtype=object)
    vector[:] = ["a", value, None]
    with pytest.raises(ValueError, match=message):
        as_array(vector, "y")


def test_objects_that_are_numbers_or_text_are_values():
    values = ["a", 1, 1.5, None, True, np.float32(1), Decimal(1), Fraction(1, 2), pd.NA]
    check_values(values, "y")
    vector = np.array(values, dtype=object)
    assert as_array(vector, "y") is vector


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
    assert as_array([1, True], "y").tolist() == [1, 1]
    for mixed in [[b"a", "b"], ("a", 1.5), [["a", "b"], [1, 2]]]:
        with pytest.raises(ValueError, match="y is not valid: a list must be all text or all"):
            as_array(mixed, "y")
