import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import train_test_split

from sknet.data import draws
from sknet.data.draws import split_rows


def assert_partition(train, validation, n_rows):
    assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(n_rows))


@pytest.mark.parametrize(
    "n_rows, fraction, n_validation",
    [(100, 0.1, 10), (101, 0.1, 11), (10, 0.1, 2), (15, 0.1, 2), (3, 0.4, 2), (8, 0.75, 6)],
)
def test_sizes(n_rows, fraction, n_validation):
    train, validation = split_rows(n_rows, fraction, None, 0)
    assert len(validation) == n_validation
    assert_partition(train, validation, n_rows)


@pytest.mark.parametrize("labels", [None, np.repeat(["a", "b", "c"], [60, 30, 10])])
@pytest.mark.parametrize("seed", range(2))
def test_the_split_is_that_of_train_test_split(labels, seed):
    expected = train_test_split(
        np.arange(100), test_size=15, stratify=labels, random_state=seed
    )
    for part, rows in zip(split_rows(100, 0.15, labels, seed), expected, strict=True):
        assert_array_equal(part, rows)


def test_many_rows_are_not_stratified(monkeypatch):
    labels = np.repeat(["a", "b"], [70, 30])
    monkeypatch.setattr(draws, "STRATIFIED_ROWS", 99)
    for part, rows in zip(
        split_rows(100, 0.15, labels, 0), split_rows(100, 0.15, None, 0), strict=True
    ):
        assert_array_equal(part, rows)


@pytest.mark.parametrize("seed", range(2))
def test_shares_of_the_classes_are_kept(seed):
    labels = np.repeat(["a", "b", "c"], [600, 300, 100])
    train, validation = split_rows(1000, 0.2, labels, seed)
    assert_partition(train, validation, 1000)
    for part, size in ((train, 800), (validation, 200)):
        counts = np.unique(labels[part], return_counts=True)[1]
        assert_array_equal(counts, np.array([0.6, 0.3, 0.1]) * size)


def test_rows_are_drawn_at_random():
    first, again, other = (split_rows(50, 0.2, None, seed)[1] for seed in (0, 0, 1))
    assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(first) != set(range(40, 50))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0] * 10 + [1] * 9 + [2]),  # a class of one row
        np.arange(20) // 2,  # more classes than validation rows
        np.array(["x"] * 19 + ["y"]),
    ],
    ids=["single-row", "many-classes", "strings"],
)
def test_without_strata_where_there_cannot_be_any(labels):
    with pytest.warns(UserWarning, match="validation set is not stratified"):
        train, validation = split_rows(20, 0.2, labels, 0)
    assert len(validation) == 4
    assert_partition(train, validation, 20)


def test_more_classes_than_training_rows():
    # Stratifying needs a row of each class in either part.
    with pytest.warns(UserWarning, match="not stratified"):
        train, validation = split_rows(10, 0.7, np.arange(10) // 2, 0)
    assert (len(train), len(validation)) == (3, 7)


@pytest.mark.parametrize("labels", [None, np.zeros(20), np.array([0, 1] * 10)])
def test_no_warning_where_strata_work(labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, validation = split_rows(20, 0.25, labels, 0)
    assert_partition(train, validation, 20)


def test_as_many_classes_as_validation_rows():
    labels = np.tile([0, 1, 2, 3], 5)
    _, validation = split_rows(20, 0.2, labels, 0)
    assert sorted(labels[validation]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "n_rows, fraction", [(5, 0.1), (9, 0.1), (1, 0.5), (2, 0.5), (4, 0.99)]
)
def test_too_few_rows(n_rows, fraction):
    with pytest.raises(ValueError, match="The validation set is too small") as error:
        split_rows(n_rows, fraction, None, 0)
    message = str(error.value)
    assert f"validation_fraction={fraction}" in message
    assert f"n_samples={n_rows}" in message
    assert "Increase validation_fraction" in message and "X_val" in message
