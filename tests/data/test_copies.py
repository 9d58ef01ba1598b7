"""Copies of rows stay on one side of a split of a table that has many of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from sknet import NNClassifier, NNRegressor
from sknet.data.batches import Dataset
from sknet.data.copies import with_copies_grouped
from sknet.data.splits import RandomRows


def oversampled(seed=0, n_rows=600):
    """Return a table whose rare class was copied until it is as large as the other, and more.

    The further rows of both classes are not copied.
    """
    X, y = make_classification(
        n_rows + 2000, 8, n_informative=6, weights=[0.9], flip_y=0.02, random_state=seed
    )
    rng = np.random.default_rng(seed)
    rare = np.flatnonzero(y[:n_rows] == 1)
    copies = rng.choice(rare, n_rows - 2 * rare.size)
    rows = rng.permutation(np.concatenate([np.arange(n_rows), copies]))
    return X[rows], y[rows], X[n_rows:], y[n_rows:]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_a_group(dtype):
    X, y, _, _ = oversampled()
    X = X.astype(dtype)
    X[X[:, 0] > 1, 3] = np.nan
    data = with_copies_grouped(Dataset(X, y), y, 0.2)
    same = (X[:, np.newaxis] == X) | (np.isnan(X[:, np.newaxis]) & np.isnan(X))
    assert_array_equal(data.groups[:, np.newaxis] == data.groups, same.all(axis=2))
    training, held_out = RandomRows(0.2)(data, y, 0, ())
    assert not np.isin(data.groups[training], data.groups[held_out]).any()
    assert abs(y[held_out].mean() - y.mean()) < 0.1


rng = np.random.default_rng(1)
#: Rows, and labels, of tables in which equal rows are few, or need not be copies.
NO_COPIES = {
    "all rows differ": (rng.normal(size=(300, 3)), rng.integers(2, size=300)),
    "some copies": (np.tile(rng.normal(size=(300, 3)), (2, 1))[:390], np.arange(390) % 300 % 2),
    "one column of numbers": (np.tile(rng.normal(size=(50, 1)), (8, 1)), np.tile([0, 1], 200)),
    "values of dice": (rng.integers(1, 7, size=(900, 3)) * 1.0, np.arange(900) % 2),
    "repeated trials": (np.tile(rng.normal(size=(50, 3)), (8, 1)), rng.integers(2, size=400)),
    "few rows of a class": (np.repeat(rng.normal(size=(99, 3)), 4, 0), np.arange(396) >= 280),
    "classes of one row": (np.repeat(rng.normal(size=(30, 4)), 9, 0), np.repeat(range(30), 9)),
    "blank rows": (np.r_[rng.normal(size=(300, 3)), np.zeros((300, 3))], np.arange(600) % 2),
    "few rows": (np.tile(rng.normal(size=(10, 3)), (8, 1)), np.tile([0, 1], 40)),
}


@pytest.mark.parametrize(("X", "y"), NO_COPIES.values(), ids=NO_COPIES)
def test_other_tables_are_left_alone(X, y):
    data = Dataset(X, y)
    assert with_copies_grouped(data, y, 0.2) is data


def test_groups_of_the_user_are_kept():
    X, y, _, _ = oversampled()
    data = Dataset(X, y, groups=np.arange(len(y)) // 2)
    assert with_copies_grouped(data, y, 0.2) is data


def test_two_groups_are_held_out_or_none():
    X = np.repeat(rng.normal(size=(40, 3)), [41, *[1] * 39], axis=0)
    y = X[:, 0]
    assert with_copies_grouped(Dataset(X, y), None, 0.05).groups is not None
    assert with_copies_grouped(Dataset(X, y), None, 0.04).groups is None
    NNRegressor(validation_fraction=0.02, max_iter=2, random_state=0).fit(X, y)


def test_probabilities_of_an_oversampled_table_are_those_of_new_rows():
    """A network that was scored on copies of its training rows was far too sure."""
    X, y, X_new, y_new = oversampled()
    weight = np.where(y_new == 1, 1 / y_new.mean(), 1 / (1 - y_new.mean()))
    network = NNClassifier(random_state=0).fit(X, y)
    found = log_loss(y_new, network.predict_proba(X_new), sample_weight=weight)
    # It was 0.57, and 0.69 is the loss of equal probabilities.
    assert found < 0.45
    assert found < 2 * -network.best_validation_score_
