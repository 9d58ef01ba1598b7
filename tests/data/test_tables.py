"""Frames and arrays with categories as plain numbers."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from word_columns import FRAMES, LEVEL_NUMBERS, WORDS

from sknet.data.frames import wrapped
from sknet.data.tables import TableReader

NAN = np.nan


def read(X, wanted="from_dtype", *, declared=False):
    X = wrapped(X)
    reader = TableReader.learn(X, wanted, declared=declared)
    return reader, reader.read(X)


def n_levels_of(reader):
    return list(map(len, reader.levels_))


# Numbers and categories.


@pytest.mark.parametrize(
    "column",
    [
        [1.5, NAN, 2, 3],
        [1, 2, 3, 4],
        [True, False, True, True],
        pd.array([1, None, 2, 3], dtype="Int64"),
        pd.array([1, None, 2, 3], dtype="Float32"),
        pd.array([True, None, True, False], dtype="boolean"),
        np.array([1, 2, 3, 4], dtype=np.uint8),
    ],
    ids=lambda column: str(getattr(column, "dtype", type(column[0]).__name__)),
)
def test_numbers_are_no_categories_in_pandas(column):
    X = pd.DataFrame({"c": pd.Categorical(WORDS), "x": column})
    reader, table = read(X)
    assert_array_equal(reader.categorical_, [0])
    expected = [NAN if pd.isna(value) else float(value) for value in column]
    assert_array_equal(table, np.column_stack([expected, LEVEL_NUMBERS]))


@pytest.mark.parametrize(
    "column", [[1.5, None, 2, 3], [1, None, 3, 4], [True, None, True, False]], ids=str
)
def test_numbers_are_no_categories_in_polars(column):
    reader, table = read(pl.DataFrame({"c": WORDS, "x": column}))
    assert_array_equal(reader.categorical_, [0])
    expected = [NAN if value is None else float(value) for value in column]
    assert_array_equal(table, np.column_stack([expected, LEVEL_NUMBERS]))


# Levels.


@pytest.mark.parametrize("frame, words, kind", FRAMES)
def test_levels_are_sorted_and_missing_ones_are_nan(frame, words, kind):
    X = frame({"c": words(kind), "x": [0.5, 1, 2, 3]})
    reader, table = read(X)
    assert [list(levels) for levels in reader.levels_] == [["a", "b"]]
    assert n_levels_of(reader) == [2]
    # Numbers come first, wherever they stood.
    assert_array_equal(table, np.column_stack([[0.5, 1, 2, 3], LEVEL_NUMBERS]))


@pytest.mark.parametrize("frame, words, kind", FRAMES)
def test_declared_levels_count_if_asked(frame, words, kind):
    X = frame({"c": words(kind), "x": [0.5, 1, 2, 3]})
    reader, table = read(X, declared=True)
    declares = kind in ("category", "Enum")
    expected = ["a", "b", "z"] if declares else ["a", "b"]
    assert [list(levels) for levels in reader.levels_] == [expected]
    assert n_levels_of(reader) == [len(expected)]
    assert_array_equal(table[:, 1], LEVEL_NUMBERS)


def test_declared_levels_count_only_if_asked():
    X = pd.DataFrame({"c": pd.Categorical(WORDS, categories=["z", "b", "a"])})
    assert TableReader.learn(wrapped(X), "from_dtype").levels_[0].tolist() == ["a", "b"]


def test_declared_numbers_and_a_plain_column_beside_them():
    X = pd.DataFrame(
        {
            "c": pd.Categorical([3, 1, None, 3], categories=[5, 3, 1]),
            "d": pd.Series(["y", "x", "y", "x"], dtype=object),
        }
    )
    reader, table = read(X, declared=True)
    assert [list(levels) for levels in reader.levels_] == [[1, 3, 5], ["x", "y"]]
    assert_array_equal(table, [[1, 1], [0, 0], [NAN, 1], [1, 0]])


@pytest.mark.parametrize("missing", [None, NAN])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_unknown_and_missing_levels_at_predict_time(frame, missing):
    reader, _ = read(frame({"c": ["b", "a", "b", "a"], "x": [1.0, 2, 3, 4]}))
    missing = missing if frame is pd.DataFrame else None
    new = frame({"c": ["q", "b", missing, "a"], "x": [5.0, 6, 7, 8]})
    assert_array_equal(reader.read(wrapped(new)), [[5, NAN], [6, 1], [7, NAN], [8, 0]])
    # Nor does it matter if the training rows had missing ones.
    reader, _ = read(frame({"c": WORDS, "x": [1.0, 2, 3, 4]}))
    assert_array_equal(reader.read(wrapped(new)), [[5, NAN], [6, 1], [7, NAN], [8, 0]])


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([None, None], dtype=object),
        pd.Series([NAN, NAN], dtype=object),
        pd.Series([NAN, NAN]),
        pd.Categorical([None, None], categories=["a"]),
        pd.array([pd.NA, pd.NA], dtype="string"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_a_column_without_any_level_left(column):
    reader, _ = read(pd.DataFrame({"c": ["b", "a"], "x": [1.0, 2]}))
    assert_array_equal(
        reader.read(wrapped(pd.DataFrame({"c": column, "x": [3.0, 4]}))), [[3, NAN], [4, NAN]]
    )


def test_a_column_without_any_level_in_training():
    X = pd.DataFrame({"c": pd.Series([None, None], dtype=object), "x": [1.0, 2]})
    reader, table = read(X)
    assert n_levels_of(reader) == [0]
    assert_array_equal(table, [[1, NAN], [2, NAN]])
    new = pd.DataFrame({"c": ["a", None], "x": [1.0, 2]})
    assert_array_equal(reader.read(wrapped(new)), [[1, NAN], [2, NAN]])


@pytest.mark.parametrize(
    "numbers",
    [
        [1, 2],
        [1.5, NAN],
        [True, False],
        pd.Categorical([1, 2]),
        pd.array([1, None], dtype="Int64"),
    ],
    ids=str,
)
def test_a_category_that_became_numeric(numbers):
    reader, _ = read(pd.DataFrame({"x": [1.0, 2], "shop": ["b", "a"]}))
    with pytest.raises(
        ValueError, match=r"'shop' .* text in earlier .*, but holds numbers now. .* text"
    ):
        reader.read(wrapped(pd.DataFrame({"x": [1.0, 2], "shop": numbers})))


def test_a_category_that_became_numeric_has_a_position_in_arrays():
    reader, _ = read(np.array([["a", 1.0], ["b", 2.0]], dtype=object), [0])
    with pytest.raises(ValueError, match=r"Column (np.int64\()?0\)? .* numbers now"):
        reader.read(np.array([[1.0, 1.0], [2.0, 2.0]]))


def test_categories_of_numbers_stay_numbers():
    X = pd.DataFrame({"c": [10, 20, 10, 30], "x": [1.0, 2, 3, 4]})
    reader, table = read(X, ["c"])
    assert_array_equal(table[:, 1], [0, 1, 0, 2])
    new = pd.DataFrame({"c": [30.0, 15.0, NAN], "x": [1.0, 2, 3]})
    assert_array_equal(reader.read(wrapped(new))[:, 1], [2, NAN, NAN])


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64"])
def test_categories_of_nullable_numbers(dtype):
    X = pd.DataFrame({"c": pd.array([1, None, 0, 1], dtype=dtype), "x": [1.0, 2, 3, 4]})
    reader, table = read(X, ["c"])
    assert [list(levels) for levels in reader.levels_] == [[0, 1]]
    assert_array_equal(table[:, 1], [1, NAN, 0, 1])


@pytest.mark.parametrize("wanted", [[0], [True, False]], ids=str)
@pytest.mark.parametrize(
    "X, levels",
    [
        (np.array([[7, 1.5], [3, NAN], [7, 2], [NAN, 4]]), [3, 7]),
        (np.array([["v", 1.5], ["u", NAN], ["v", 2], [None, 4]], dtype=object), ["u", "v"]),
        (np.array([["v", 1.5], ["u", NAN], ["v", 2], [NAN, 4]], dtype=object), ["u", "v"]),
        ([[7, 1.5], [3, NAN], [7, 2], [NAN, 4]], [3, 7]),
    ],
    ids=["floats", "None", "NaN", "list"],
)
def test_arrays_by_position(X, levels, wanted):
    reader, table = read(X, wanted)
    assert [list(one) for one in reader.levels_] == [levels]
    assert table.dtype == np.float64
    assert_array_equal(table, [[1.5, 1], [NAN, 0], [2, 1], [4, NAN]])


def test_several_categories_keep_their_order():
    X = pd.DataFrame(
        {"c": ["b", "a"], "x": [1, 2], "d": ["p", "q"], "y": [3, 4], "e": ["s", "s"]}
    )
    reader, table = read(X)
    assert_array_equal(reader.categorical_, [0, 2, 4])
    assert_array_equal(reader.numeric_, [1, 3])
    assert n_levels_of(reader) == [2, 2, 1]
    assert_array_equal(table, [[1, 3, 1, 0, 0], [2, 4, 0, 1, 0]])
    # The order in which they are named does not matter.
    assert_array_equal(read(X, ["e", "c", "d"])[1], table)


def test_reading_leaves_the_frame_alone():
    X = pd.DataFrame({"c": pd.Categorical(WORDS), "x": [1.0, NAN, 3, 4]})
    before = X.copy(deep=True)
    read(X)
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_scikit_learn_s_output_configuration_stays_outside(output):
    from sklearn import config_context

    X = pd.DataFrame({"c": pd.Categorical(WORDS), "x": [1.0, 2, 3, 4]})
    with config_context(transform_output=output):
        assert type(read(X)[1]) is np.ndarray


@pytest.mark.parametrize("n_levels", [3, 127, 128, 300])
def test_level_numbers_of_many_declared_categories(n_levels):
    """pandas keeps the codes of a category in as few bytes as possible."""
    names = [f"level {i:03}" for i in range(n_levels)]
    values = [names[-1], names[0], None, names[1]]
    X = pd.DataFrame({"c": pd.Categorical(values, categories=names[::-1])})
    reader, table = read(X)
    assert [list(levels) for levels in reader.levels_] == [[names[0], names[1], names[-1]]]
    assert_array_equal(table[:, 0], [2, 0, NAN, 1])
    reader, table = read(X, declared=True)
    assert n_levels_of(reader) == [n_levels]
    assert_array_equal(table[:, 0], [n_levels - 1, 0, NAN, 1])


def test_values_that_cannot_be_hashed_are_refused():
    X = pd.DataFrame({"c": pd.Series([["a"], ["b"]], dtype=object)})
    with pytest.raises(ValueError, match="Column 'c' of X holds nested values"):
        read(X)


@pytest.mark.parametrize("values, levels", [([True, False, None], [0, 1]), (["b"], ["b"])])
def test_objects_of_a_column_are_levels(values, levels):
    reader, table = read(pd.DataFrame({"c": pd.Series(values, dtype=object)}))
    assert [list(one) for one in reader.levels_] == [levels]
    expected = [NAN if value is None else levels.index(value) for value in values]
    assert_array_equal(table[:, 0], expected)


class Unhashable:
    __hash__ = None


NOT_COMPARED = {
    "text and numbers": ["a", 1],
    "one object": [object(), None],
    "unhashable objects": [Unhashable(), Unhashable()],
    "Decimal sNaN": [Decimal(1), Decimal("sNaN")],
}


@pytest.mark.parametrize("kind", NOT_COMPARED)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_levels_that_cannot_be_compared_are_refused(frame, kind):
    """The error names the column, both in training and in prediction."""
    values = NOT_COMPARED[kind]
    series = pl.Series(values, dtype=pl.Object)
    X = frame({"c": pd.Series(values, dtype=object) if frame is pd.DataFrame else series})
    reader, _ = read(pd.DataFrame({"c": [1, 2]}), ["c"])
    for call in [lambda: read(X), lambda: reader.read(wrapped(X))]:
        with pytest.raises(ValueError, match="column 'c'|Column 'c'"):
            call()


def test_declared_levels_that_cannot_be_compared_are_refused():
    X = pd.DataFrame({"c": pd.Categorical(["a", "b"], categories=["a", "b", 3])})
    assert n_levels_of(read(X)[0]) == [2]
    with pytest.raises(ValueError, match="The levels of column 'c' cannot be compared"):
        read(X, declared=True)


def test_intervals_are_not_compared_with_numbers():
    reader, table = read(pd.DataFrame({"c": pd.cut([1.0, 5.0, 3.0], [0, 2, 4, 6])}))
    assert_array_equal(table[:, 0], [0, 2, 1])
    with pytest.raises(ValueError, match="The levels of column 'c' cannot be compared"):
        reader.read(wrapped(pd.DataFrame({"c": [1.0, 5.0]})))


@pytest.mark.parametrize("levels", [["a", "b"], [Decimal(1), Decimal(2)], [1, 2]])
@pytest.mark.parametrize(
    "missing",
    [None, NAN, np.float32(NAN), Decimal("NaN"), pd.NA, pd.NaT, np.datetime64("NaT", "s")],
    ids=lambda missing: f"{type(missing).__name__} {missing}",
)
def test_missing_objects_are_no_levels(levels, missing):
    values = [levels[1], missing, levels[0], missing]
    reader, table = read(pd.DataFrame({"c": pd.Series(values, dtype=object)}), ["c"])
    assert [list(one) for one in reader.levels_] == [levels]
    assert_array_equal(table[:, 0], [1, NAN, 0, NAN])


@pytest.mark.parametrize(
    "first, second, levels",
    [
        (pd.array([True, None], "boolean"), pd.array([False], "boolean"), [False, True]),
        (pd.array([1, None], "object"), pd.array([3, 1], "int64"), [1, 3]),
        (pd.array([1, None], "Int64"), pd.array([3, 1], "Int64"), [1, 3]),
    ],
    ids=lambda values: str(getattr(values, "dtype", "levels")),
)
def test_readers_are_merged_where_only_one_part_has_missing_values(first, second, levels):
    """Such parts are arrays of different dtypes."""
    readers = [read(pd.DataFrame({"c": part}), ["c"])[0] for part in (first, second)]
    for one, other in [readers, readers[::-1]]:
        assert [list(found) for found in one.merged([other]).levels_] == [levels]


def test_readers_of_objects_of_text_and_of_numbers_are_not_merged():
    words, numbers = (pd.DataFrame({"c": pd.Series(v, dtype=object)}) for v in ("ab", [1, 2]))
    with pytest.raises(ValueError, match="cannot be compared: .* in all parts"):
        read(words)[0].merged([read(numbers)[0]])


def test_objects_that_are_neither_numbers_nor_text_are_no_levels():
    X = pd.DataFrame({"c": pd.Series(["a", datetime.date(2000, 1, 1)], dtype=object)})
    with pytest.raises(ValueError, match="Column 'c' of X holds dates"):
        read(X)


@pytest.mark.parametrize("values", [[0.0, np.inf], [-np.inf, NAN, 1.0]], ids=str)
def test_infinity_is_no_level(values):
    X = pd.DataFrame({"c": values})
    with pytest.raises(ValueError, match="Column 'c' of X is a category with infinity"):
        read(X, ["c"])


def test_levels_are_all_text_or_all_numbers():
    X = pd.DataFrame({"c": pd.Series(["a", 1], dtype=object)})
    with pytest.raises(ValueError, match="levels of column 'c' cannot be compared"):
        read(X)
    text, _ = read(pd.DataFrame({"c": ["a", "b"]}))
    with pytest.raises(
        ValueError, match="levels were text in earlier .* numbers now. Convert it to text"
    ):
        text.read(wrapped(X))
    numbers, _ = read(pd.DataFrame({"c": [1, 2]}), ["c"])
    with pytest.raises(
        ValueError, match="levels were numbers in earlier .* now. Convert it to numbers"
    ):
        numbers.read(wrapped(X))


def test_a_table_has_rows():
    """A table without rows is refused in training and later, even if it has no numbers."""
    X = pd.DataFrame({"c": ["a", "b"]})
    none = X.iloc[:0]
    with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 1\)\)"):
        TableReader.learn(wrapped(none), "from_dtype")
    reader, _ = read(X)
    with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 1\)\)"):
        reader.read(wrapped(none))
    assert_array_equal(reader.read(wrapped(X.iloc[1:])), [[1]])


def test_tables_keep_the_precision_of_their_numbers():
    """The numbers of levels have the dtype of the numeric columns beside them."""
    X = pd.DataFrame({"c": ["b", None], "x": np.array([0.5, 1], dtype=np.float32)})
    _, table = read(X)
    assert table.dtype == np.float32
    assert_array_equal(table, [[0.5, 0], [1, NAN]])


# Readers of parts of a table.


def test_merged_readers_know_the_levels_of_all():
    """The levels are those of the whole table, also of a category that has none in a part."""
    whole = pd.DataFrame(
        {"c": ["b", "a", "d", None], "e": [None] * 4, "n": [NAN, NAN, 7.0, 3.0]}
    ).astype({"e": object})
    parts = [read(whole.iloc[rows], ["c", "e", "n"])[0] for rows in (slice(2), slice(2, 4))]
    merged = parts[0].merged(parts[1:])
    assert [list(levels) for levels in merged.levels_] == [["a", "b", "d"], [], [3, 7]]
    assert_array_equal(
        merged.read(wrapped(whole)), [[1, NAN, NAN], [0, NAN, NAN], [2, NAN, 1], [NAN, NAN, 0]]
    )
    # The parts stay as they were.
    assert n_levels_of(parts[0]) == [2, 0, 0]


def test_readers_of_text_and_of_numbers_cannot_be_merged():
    text, _ = read(pd.DataFrame({"x": [0.0], "c": ["a"]}), ["c"])
    numbers, _ = read(pd.DataFrame({"x": [0.0], "c": [1]}), ["c"])
    with pytest.raises(ValueError, match="column 'c' cannot be compared: .* in all parts"):
        text.merged([text, numbers])


def test_a_reader_names_the_column_that_is_to_blame():
    reader, _ = read(pd.DataFrame({"c": ["a", "b"], "x": [1.0, 2.0], "z": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="^Column 'z' of X is not a category"):
        reader.read(wrapped(pd.DataFrame({"c": ["a"], "x": [1.0], "z": ["u"]})))


# Numbers in a column whose dtype makes it a category.


NUMBERS = np.linspace(0.5, 1.5, 40)
OBJECTS = pd.Series(range(40), dtype=object)
#: A quarter of the values is other text, so that the column is not read as numbers.
MIXED = [f"not {x}" if i % 4 == 0 else str(x) for i, x in enumerate(NUMBERS)]


def test_numbers_that_occur_once_as_levels_are_a_warning():
    X = pd.DataFrame({"good": NUMBERS, "odd": OBJECTS})
    with pytest.warns(UserWarning, match="Column 'odd' .* but has 40 different numbers in 40"):
        read(X)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_numbers_with_some_other_text_are_a_warning(frame):
    with pytest.warns(UserWarning, match="Column 'odd' .* but has 30 different numbers in 40"):
        read(frame({"odd": MIXED}))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(NUMBERS).astype("category"),
        pd.Series(np.repeat(np.arange(20), 2), dtype=object),
        pd.Series(range(19), dtype=object),
        pd.Series(NUMBERS, dtype=object),
        pd.Series([f"{i:05d}" for i in range(40)]),
        pd.Series([f"u{i}" for i in range(40)]),
        pd.Series([f"2024_{i:04d}" for i in range(40)]),
    ],
    ids=["categories", "repeated", "few rows", "floats", "digits", "words", "underscores"],
)
def test_other_levels_are_no_warning(values):
    read(pd.DataFrame({"fine": values}))


def test_a_chosen_category_of_numbers_is_no_warning():
    read(pd.DataFrame({"fine": OBJECTS}), ["fine"])
