"""Columns of numbers, and messages that name those that hold something else."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sknet.data.columns.numbers import check_columns, read_numbers
from sknet.data.frames import wrapped

NAN = np.nan


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_the_chosen_columns_are_read_in_their_order(frame):
    X = frame({"x": [1.0, NAN], "c": ["a", "b"], "z": [3, 4]})
    assert_array_equal(read_numbers(wrapped(X), np.array([2, 0]), None), [[3, 1], [4, NAN]])


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_infinity_is_an_error(frame, bad):
    X = frame({"c": ["a", "b"], "x": [1.0, bad]})
    with pytest.raises(ValueError, match="^Column 'x' of X is not a category.*infinity"):
        read_numbers(wrapped(X), np.array([1]), ["c", "x"])


def test_text_in_a_numeric_column_is_an_error():
    X = pd.DataFrame({"c": ["a", "b"], "x": ["one", "two"]})
    with pytest.raises(ValueError, match="could not convert string to float"):
        read_numbers(wrapped(X), np.array([1]), ["c", "x"])


@pytest.mark.parametrize(
    "X, name",
    [
        (pd.DataFrame({"a": [1.0], "b": ["u"], "c": ["v"]}), "'b'"),
        (pl.DataFrame({"a": [1.0], "b": ["u"], "c": ["v"]}), "'b'"),
        (pd.DataFrame({"a": [1.0], "b": [np.inf]}), "'b'"),
        (np.array([[1.0, "u"], [2.0, "v"]], dtype=object), "1"),
        (np.array([["1", "u"], ["2", "v"]]), "1"),
        ([[1.0, "u"], [2.0, "v"]], "1"),
    ],
    ids=["pandas", "polars", "infinity", "objects", "text", "list"],
)
def test_the_first_column_without_numbers_is_named(X, name):
    with pytest.raises(ValueError, match=f"^Column {name} of X is not a category, but cannot"):
        check_columns(wrapped(X))


@pytest.mark.parametrize("X", [np.array([[1.0, "u"]], dtype=object), np.array([["1", "u"]])])
def test_a_column_of_text_that_is_no_category_has_advice(X):
    with pytest.raises(ValueError, match="choose .* in categorical_features .* position 1 or"):
        check_columns(wrapped(X))


def test_a_column_of_text_that_was_left_out_has_advice():
    X = pd.DataFrame({"shop": [1.0, 2.0], "town": ["u", "v"]})
    with pytest.raises(ValueError, match="'town' .* choose the column in categorical_features"):
        read_numbers(wrapped(X), np.array([1]), ["shop", "town"])


def test_a_column_of_infinity_has_no_such_advice():
    with pytest.raises(ValueError, match=r"^(?!.*categorical_features)"):
        check_columns(wrapped(pd.DataFrame({"b": [np.inf]})))


def test_a_column_of_objects_without_a_number_is_a_type_error():
    with pytest.raises(TypeError, match="^Column 1 of X is not a category"):
        check_columns(wrapped(np.array([[1.0, object()]], dtype=object)))


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"a": [1.0, NAN], "b": [True, False]}),
        np.array([[1.0, None], [2, True]], dtype=object),
        [[1.0, None], [2, True]],
        pd.DataFrame({"a": ["u"]}).iloc[:0],
        np.empty((0, 1), dtype=object),
        np.array([[np.inf]]),
        np.array(["u", "v"]),
        np.array([[["u"]]]),
        [[1.0, "u"], [2.0]],
        [["u"], ("v",)],
        [("u", "v")],
    ],
    ids=["pandas", "objects", "list", "no rows of a frame", "no rows of objects", "numbers"]
    + ["a vector", "three axes", "ragged", "a list and a tuple", "tuples"],
)
def test_tables_of_numbers_and_tables_without_kinds_of_columns_pass(X):
    check_columns(wrapped(X))
