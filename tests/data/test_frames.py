"""What differs between frames of pandas and of polars, and arrays."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sknet.data import frames

VALUES = {"c": ["b", "a", "b"], "x": [0.5, 1.0, 2.0]}
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
    X = frame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    assert frames.is_frame(X)
    assert frames.column_names(X) == ["a", "b", "c"]
    assert_array_equal(frames.column(X, 1), [3, 4])
    assert_array_equal(frames.columns(X, np.array([2, 0])), [[5, 1], [6, 2]])
    array = X.to_numpy()
    assert not frames.is_frame(array)
    assert frames.column_names(array) is None
    assert_array_equal(frames.column(array, 1), [3, 4])
    assert_array_equal(frames.columns(array, np.array([2, 0])), [[5, 1], [6, 2]])


def test_names_are_text():
    assert frames.column_names(pd.DataFrame(np.ones((2, 2)))) == ["0", "1"]


@pytest.mark.parametrize("kind", TABLES)
def test_rows_are_taken_by_position(kind):
    data = TABLES[kind]
    taken = frames.take_rows(data, np.array([2, 0]))
    assert type(taken) is type(data)
    expected = NUMBERS[[2, 0]]
    found = taken.toarray() if kind == "csr" else np.asarray(taken)
    assert_array_equal(found, expected[:, 0] if kind == "pandas series" else expected)


def test_rows_of_a_table_without_such_a_choice_are_those_of_an_array():
    table = pa.table({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    assert_array_equal(frames.take_rows(table, np.array([2, 0])), NUMBERS[[2, 0]])


@pytest.mark.parametrize("kind", ["pandas", "polars", "pandas series"])
def test_frames_of_a_kind_are_concatenated(kind):
    data = TABLES[kind]
    assert frames.is_frame_or_series(data)
    joined = frames.concatenate([data, data[:1]])
    assert type(joined) is type(data)
    assert_array_equal(np.asarray(joined), np.asarray(data)[[0, 1, 2, 0]])
    if kind != "polars":
        assert joined.index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["array", "csr", "list"])
def test_other_data_are_neither_frames_nor_series(kind):
    assert not frames.is_frame_or_series(TABLES[kind])
