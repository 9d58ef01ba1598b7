"""The columns that ``categorical_features`` chooses; ``test_monotone.py`` has constraints, and
``test_additive.py`` groups."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from word_columns import FRAMES

from sknet.data.choices import categorical_columns
from sknet.data.frames import wrapped


@pytest.mark.parametrize("frame, words, kind", FRAMES)
def test_from_dtype(frame, words, kind):
    X = frame({"x": [0.5, 1, 2, 3], "c": words(kind), "n": [1, 2, 3, 4]})
    assert_array_equal(categorical_columns(wrapped(X), "from_dtype"), [1])


@pytest.mark.parametrize(
    "wanted, expected",
    [
        (["b"], [1]),
        (["c", "a"], [2, 0]),
        (np.array(["a", "b"], dtype=object), [0, 1]),
        ([2, 0], [2, 0]),
        (np.array([1], dtype=np.uint8), [1]),
        ([True, False, True], [0, 2]),
        ([False] * 3, []),
        ([], []),
        (None, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_names_positions_and_masks(frame, wanted, expected):
    X = frame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    assert_array_equal(categorical_columns(wrapped(X), wanted), expected)


def test_arrays_have_no_dtype_of_a_column():
    X = np.array([["a", 1.0]], dtype=object)
    assert categorical_columns(wrapped(X), "from_dtype").size == 0
    assert categorical_columns(wrapped(X.tolist()), "from_dtype").size == 0


@pytest.mark.parametrize(
    "wanted, match",
    [
        ([3], r"positions of columns of X, from 0 to 2, got \[3\]"),
        ([0, 3], r"from 0 to 2, got \[0, 3\]"),
        ([0, -1], r"from 0 to 2, got \[0, -1\]"),
        ([True, False], r"one entry for each of the 3 columns of X, got shape \(2,\)"),
        (["a", "q"], r"names \['q'\], but X has \["),
        (["a", 1], r"mixes names with positions or truth values: \['a', 1\]. Choose"),
        (["a", True, False], r"mixes names with positions or truth values"),
        ([0.0], r"names \[0.0\], but X has"),
    ],
    ids=str,
)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_that_do_not_exist(frame, wanted, match):
    X = frame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    with pytest.raises(ValueError, match=match):
        categorical_columns(wrapped(X), wanted)


def test_a_name_of_several_columns_is_refused():
    """A name that two columns have chooses none of them; a position or another name does."""
    X = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"names \['a'\], but several columns"):
        categorical_columns(wrapped(X), ["b", "a"])
    assert_array_equal(categorical_columns(wrapped(X), ["b"]), [1])
    assert_array_equal(categorical_columns(wrapped(X), [2]), [2])


def test_names_need_a_frame():
    with pytest.raises(ValueError, match=r"names \['a'\], but X has no feature names"):
        categorical_columns(wrapped(np.ones((2, 3))), ["a"])
