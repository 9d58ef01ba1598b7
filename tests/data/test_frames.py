"""What differs between frames of pandas and of polars, and arrays."""

import warnings
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.utils import check_array

from sknet import NNRegressor
from sknet.data import frames
from sknet.data.choices import categorical_columns
from sknet.data.kinds import check_kinds

FRAMES = pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
NUMBERS = np.arange(6.0).reshape(3, 2)
TABLES = {
    "pandas": pd.DataFrame(NUMBERS),
    "polars": pl.DataFrame(NUMBERS),
    "pandas series": pd.Series(NUMBERS[:, 0], index=[7, 7, 9]),
    "array": NUMBERS,
    "csr": sparse.csr_array(NUMBERS),
    "list": NUMBERS.tolist(),
}


@FRAMES
def test_columns_are_chosen_by_position(frame):
    given = frame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    X = frames.wrapped(given)
    assert isinstance(X, frames.Frame)
    assert X.given is X.data is given
    assert X.names == list(X.columns) == ["a", "b", "c"]
    assert_array_equal(X.column(1), [3, 4])
    assert_array_equal(X.numbers(np.array([2, 0])), [[5, 1], [6, 2]])
    array = frames.wrapped(given.to_numpy())
    assert array.names is None and not array.columns
    assert_array_equal(array.column(1), [3, 4])
    assert_array_equal(array.numbers(np.array([2, 0])), [[5, 1], [6, 2]])


@pytest.mark.parametrize("kind", ["pandas series", "array", "csr", "list"])
def test_other_data_than_frames_answer_as_frames_do(kind):
    """They have no names, no dates and no categories, and are as the user gave them."""
    given = TABLES[kind]
    X = frames.wrapped(given)
    assert X.given is given
    assert (X.data is given) == (kind != "list")
    assert X.shape == np.shape(given) and X.dtypes == [np.dtype(float)]
    assert X.names is None and not X.columns and not X.time_columns
    assert not X.object_columns.size
    assert X.is_sparse == (kind == "csr") and X.blocks is None


def test_objects_of_an_array_may_be_anything():
    X = frames.wrapped(np.array([["a", 1.0]], dtype=object))
    assert X.object_columns.tolist() == [0, 1]
    assert not categorical_columns(X, "from_dtype").size


ROWS = [["a", 1.0], ["b", 2.0]]


@pytest.mark.parametrize(
    "given", [pd.DataFrame(ROWS), ROWS, np.array(ROWS, dtype=object), np.array(ROWS)], ids=type
)
def test_columns_may_hold_values_of_different_kinds(given):
    mixed = frames.wrapped(given).mixed()
    assert list(mixed.column(0)) == ["a", "b"]
    assert [float(value) for value in mixed.column(1)] == [1, 2]


@pytest.mark.parametrize(
    "given",
    [NUMBERS, sparse.csr_array(NUMBERS), ["a", "b"], np.array(["a"]), [["a"], ["b", "c"]], []]
    + [[["a"], ("b",)], [("a", 1.0)], np.array([[["a"]]])],
    ids=str,
)
def test_tables_without_such_columns(given):
    assert frames.wrapped(given).mixed() is None


@pytest.mark.parametrize("kind", ["pandas", "polars", "array", "csr", "list"])
def test_the_first_row(kind):
    assert frames.wrapped(TABLES[kind]).first_row() == [0, 1]


@pytest.mark.parametrize("kind", ["pandas", "polars", "array", "list"])
def test_a_dense_table_has_columns(kind):
    X = frames.wrapped(TABLES[kind])
    assert_array_equal(X.dense().column(1), NUMBERS[:, 1])
    assert (X.dense() is X) == (kind in ("pandas", "polars"))


def test_a_table_has_rows_and_columns():
    with pytest.raises(ValueError, match="Expected 2D array"):
        frames.wrapped([1.0, 2.0]).dense()


@FRAMES
def test_messages_name_the_column_of_a_dtype(frame):
    X = frame({"a": [1], "b": [datetime(2025, 1, 1)]})
    with pytest.raises(ValueError, match=r"^Column 'b' of X_val holds dates"):
        check_kinds(X, "X_val")
    with pytest.raises(ValueError, match=r"^X_val holds complex numbers"):
        check_kinds(np.array([[1j]]), "X_val")


@FRAMES
def test_a_frame_is_wrapped_once(frame):
    X = frames.wrapped(frame({"a": [1, 2]}))
    assert frames.wrapped(X) is X
    assert X.column(0) is X.column(0)


def test_a_lazy_frame_is_refused():
    lazy = pl.DataFrame({"a": [1]}).lazy()
    with pytest.raises(TypeError, match=r"^X_val is a lazy Lazy.* X_val.collect\(\) first"):
        frames.wrapped(lazy, "X_val")


def test_names_are_text():
    assert frames.wrapped(pd.DataFrame(np.ones((2, 2)))).names == ["0", "1"]


@pytest.mark.parametrize("kind", TABLES)
def test_rows_are_taken_by_position(kind):
    data = TABLES[kind]
    taken = frames.take_rows(data, np.array([2, 0]))
    assert type(taken) is type(data)
    expected = NUMBERS[[2, 0]]
    found = taken.toarray() if kind == "csr" else np.asarray(taken)
    assert_array_equal(found, expected[:, 0] if kind == "pandas series" else expected)


@pytest.mark.parametrize("kind", ["coo", "dia", "bsr", "lil", "csc"])
def test_rows_of_every_sparse_format(kind):
    taken = frames.take_rows(sparse.csr_array(NUMBERS).asformat(kind), np.array([2, 0]))
    assert sparse.issparse(taken)
    assert_array_equal(taken.toarray(), NUMBERS[[2, 0]])


def test_rows_of_a_table_without_such_a_choice_are_those_of_an_array():
    table = pa.table({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    assert_array_equal(frames.take_rows(table, np.array([2, 0])), NUMBERS[[2, 0]])


@pytest.mark.parametrize("kind", ["pandas", "polars", "pandas series"])
def test_frames_of_a_kind_are_concatenated(kind):
    data = TABLES[kind]
    joined = frames.concatenate([data, data[:1]])
    assert type(joined) is type(data)
    assert_array_equal(np.asarray(joined), np.asarray(data)[[0, 1, 2, 0]])
    if kind != "polars":
        assert joined.index.tolist() == [0, 1, 2, 3]


def test_a_part_without_values_is_joined_without_a_warning(monkeypatch):
    """pandas 2 warns, pandas 3 does not."""

    def concat(parts, **options):
        warnings.warn("another dtype in a future version", FutureWarning, stacklevel=2)
        return join(parts, **options)

    join = pd.concat
    monkeypatch.setattr(pd, "concat", concat)
    parts = [pd.DataFrame({"a": one}) for one in ([0.5], np.array([None]))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frames.concatenate(parts)["a"].tolist()[0] == 0.5


@pytest.mark.parametrize("values", [[date(2024, 1, 1)], [timedelta(1)]], ids=str)
def test_text_beside_times_is_not_concatenated(values):
    """polars would make text of them."""
    parts = [pl.DataFrame({"a": values}), pl.DataFrame({"a": ["x"]})]
    with pytest.raises(ValueError, match="Column 'a' has several types: D.*, String. Cast it"):
        frames.concatenate(parts)


NOON = datetime(2024, 1, 1, 12)
NOON_IN_UTC = NOON.replace(tzinfo=UTC)
#: Values of the parts of a column, and those of the joined one.
PARTS = {
    "truth and integers": ([[True], [2]], [1, 2]),
    "integers and floats": ([[1], [0.5]], [1.0, 0.5]),
    "numbers and text": ([[1], ["x"], [True], [0.5]], [1, "x", True, 0.5]),
    "no value and text": ([[None], ["x"], [None]], [None, "x", None]),
    "dates": ([[date(2024, 1, 1)], [NOON]], [datetime(2024, 1, 1), NOON]),
    "categories": (
        [pl.Series(["x"], dtype=pl.Enum(["x"])), pl.Series(["y"], dtype=pl.Enum(["y"]))],
        ["x", "y"],
    ),
    "categories and text": ([pl.Series(["x"], dtype=pl.Categorical), ["y"]], ["x", "y"]),
    "objects and text": ([pl.Series([1], dtype=pl.Object), ["y"], [None]], [1, "y", None]),
    "zones": (
        [pl.Series([NOON_IN_UTC]).dt.convert_time_zone(zone) for zone in ("UTC", "Asia/Tokyo")],
        [NOON_IN_UTC] * 2,
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_of_several_types_keep_their_values(case):
    """This holds for each column on its own, whether or not other columns differ as well."""
    values, expected = PARTS[case]
    parts = [pl.DataFrame({"same": ["u"], "a": one, "b": [i]}) for i, one in enumerate(values)]
    joined = frames.concatenate(parts)
    assert joined["a"].to_list() == expected
    assert list(map(type, joined["a"].to_list())) == list(map(type, expected))
    assert joined["same"].dtype == pl.String
    assert joined["b"].to_list() == [*range(len(values))]


# Values, missing values and levels.

COLUMNS = {
    "pandas text": (pd.Series(["b", None, "a", np.nan]), ["b", None, "a", None], "O"),
    "pandas category": (pd.Series(["b", None, "a"], dtype="category"), ["b", None, "a"], "O"),
    "pandas category of numbers": (
        pd.Series(pd.Categorical.from_codes([1, -1, 0, 1], [1, 3])),
        [3, None, 1, 3],
        "i",
    ),
    "pandas category of nothing": (
        pd.Series([None, None], dtype=pd.CategoricalDtype([])),
        [None, None],
        "O",
    ),
    "pandas floats": (pd.Series([0.5, np.nan]), [0.5, None], "f"),
    "pandas integers": (pd.Series([3, 1]), [3, 1], "i"),
    # Older versions of pandas make objects of them, and newer ones floats.
    "pandas nullable": (pd.Series([3, None], dtype="Int64"), [3, None], "Of"),
    "polars text": (pl.Series(["b", None, "a"]), ["b", None, "a"], "O"),
    "polars floats": (pl.Series([0.5, None, float("nan")]), [0.5, None, None], "f"),
    "polars truth": (pl.Series([True, False]), [True, False], "b"),
    "objects": (np.array(["b", None, np.nan, 1.5], object), ["b", None, None, 1.5], "O"),
    "floats": (np.array([0.5, np.nan]), [0.5, None], "f"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_values_and_which_are_missing(kind):
    """None, NaN and the null of each library are missing; every other value is as it was."""
    series, expected, kinds = COLUMNS[kind]
    values, positions = frames.distinct_values(series)
    found = [None if position == -1 else values[position] for position in positions]
    assert found == expected
    assert len(values) == len(set(expected) - {None})
    assert values.dtype.kind in kinds


def test_columns_of_categories_and_text_are_found():
    text, category = ["b", "a"], pd.Categorical(["b", "a"])
    X = pd.DataFrame({"n": [1, 2], "t": text, "c": category, "x": [0.5, 1], "o": [True, "a"]})
    assert frames.wrapped(X).object_columns.tolist() == [1, 2, 4]
    X = pl.DataFrame(
        {
            "n": [1, 2],
            "t": text,
            "c": pl.Series(text, dtype=pl.Categorical),
            "x": [0.5, 1],
            "e": pl.Series(text, dtype=pl.Enum(["a", "b"])),
        }
    )
    assert frames.wrapped(X).object_columns.tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    "series, expected",
    [
        (pd.Series(["b", "a"], dtype=pd.CategoricalDtype(["c", "b", "a"])), ["c", "b", "a"]),
        (pd.Series([2, 1], dtype=pd.CategoricalDtype([10, 2, 1])), [10, 2, 1]),
        (pd.Series([None], dtype=pd.CategoricalDtype(["a"])), ["a"]),
        (pd.Series([None], dtype=pd.CategoricalDtype([])), None),
        (pd.Series(["b", "a"]), None),
        (pd.Series([2, 1]), None),
        (pl.Series(["b", "a"], dtype=pl.Enum(["c", "b", "a"])), ["c", "b", "a"]),
        (pl.Series(["b", "a"]), None),
    ],
    ids=str,
)
def test_levels_that_a_dtype_declares(series, expected):
    """They are in the order of the dtype; a column without any has None."""
    found = frames.declared_levels(series)
    if expected is None:
        assert found is None
    else:
        assert found.tolist() == expected
        assert (found.dtype == object) == isinstance(expected[0], str)


def test_an_array_declares_no_levels():
    assert frames.declared_levels(np.array(["a"], object)) is None


@pytest.mark.parametrize(
    "dtypes", [("float32", "float32"), ("float32", "int8"), ("int64", "float32"), ("uint8",)]
)
def test_number_columns_are_those_of_scikit_learn(dtypes):
    """The array has the dtype and the numbers that scikit-learn makes of the frame."""
    X = pd.DataFrame({f"x{i}": np.arange(3).astype(dtype) for i, dtype in enumerate(dtypes)})
    positions = np.arange(len(dtypes))[::-1]
    found = frames.wrapped(X).numbers(positions)
    expected = check_array(X.iloc[:, positions], dtype=[np.float64, np.float32])
    assert isinstance(found, np.ndarray)
    found = check_array(found, dtype=[np.float64, np.float32])
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "column", [pd.array([1, None], dtype="Int64"), [True, False], ["a", "b"]], ids=str
)
def test_other_columns_stay_a_frame(column):
    X = pd.DataFrame({"x": [0.5, 1.5], "c": column})
    assert_array_equal(frames.wrapped(X).numbers().columns, ["x", "c"])


SHORT = pd.DataFrame(
    {
        "float": [0.1, np.nan],
        "single": np.array([0.1, 3e38], np.float32),
        "int": [2**53 + 1, -3],
        "large": np.array([2**64 - 1, 0], np.uint64),
        "bool": [True, False],
        "nullable": pd.array([1, None], "Int64"),
        "text": ["a", None],
        "object": pd.Series(["a", 1], dtype=object),
        "category": pd.Categorical(["a", None]),
        "numbers": pd.Categorical([3, 1]),
        "date": pd.to_datetime(["2026-01-01", None]),
        "zone": pd.to_datetime(["2026-01-01", "2026-07-01"]).tz_localize("Europe/Oslo"),
        "duration": pd.to_timedelta([1, 2], unit="D"),
        "day": pd.Series([date(2026, 1, 1), None], dtype=object),
        "arrow date": pd.array(
            [date(2026, 1, 1), date(2026, 1, 2)], pd.ArrowDtype(pa.date32())
        ),
        "arrow": pd.array([1.5, None], pd.ArrowDtype(pa.float32())),
    }
)


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("n_rows", [1, 2])
def test_columns_of_a_short_frame_are_those_of_any_frame(name, n_rows):
    short = SHORT.iloc[:n_rows]
    position = list(SHORT).index(name)
    X = frames.wrapped(short)
    found, expected = X.values(position), short.iloc[:, position]
    if position not in X.time_columns:
        assert isinstance(found, np.ndarray)
        found, expected = frames.with_nan(found), frames.with_nan(expected)
        assert found.dtype.kind == expected.dtype.kind
    assert_array_equal(found, expected)


def as_arrow(frame):
    return frame.astype("float32[pyarrow]")


@pytest.mark.parametrize("text", [False, True], ids=["numbers", "with text"])
@pytest.mark.parametrize(
    "convert", [pl.from_pandas, as_arrow, lambda frame: frame.astype("Float32")]
)
def test_float32_stays_float32_in_every_library(convert, text):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)).astype(np.float32), columns=[*"abc"])
    y = frame["a"] * frame["b"]
    frame.loc[:5, "b"] = np.nan
    other = convert(frame)
    if text:
        words = np.where(np.arange(60) % 3, "x", "y")
        frame["d"] = words
        known = isinstance(other, pd.DataFrame)
        other = other.assign(d=words) if known else other.with_columns(d=pl.Series(words))
    fits = [NNRegressor(max_iter=3, random_state=0).fit(X, y) for X in (frame, other)]
    predictions = [one.predict(X) for one, X in zip(fits, (frame, other), strict=True)]
    assert predictions[0].dtype == predictions[1].dtype == np.float32
    assert_array_equal(*predictions)
    assert_array_equal(fits[1].predict(other[:1]), fits[0].predict(frame[:1]))
