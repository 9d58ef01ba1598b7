"""Quantiles of many columns against ``np.quantile`` of each column."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sknet.data.columns import scaling as module
from sknet.data.columns.scaling import NONZERO_LEVELS, nonzero_quantiles
from sknet.data.weights import quantiles

LEVELS = [np.array([0, 0.25, 0.5, 0.75, 1]), np.linspace(0, 1, 11), np.linspace(0, 1, 49)]


def make_block(n_rows, n_columns, missing=0.0, dtype=np.float64):
    """Return columns with ties, and a share of missing values."""
    rng = np.random.default_rng(n_rows)
    block = rng.normal(size=(n_rows, n_columns)).round(1)
    block[rng.random(block.shape) < missing] = np.nan
    return block.astype(dtype)


def by_column(block, levels, repeats=1):
    """Return the quantiles of the repeated values of each column that are not missing."""
    columns = []
    for x in np.repeat(block, repeats, axis=0).T:
        known = x[~np.isnan(x)].astype(np.float64)
        if known.size:
            columns.append(np.quantile(known, levels, method="inverted_cdf"))
        else:
            columns.append(np.full(len(levels), np.nan))
    return np.transpose(columns)


@pytest.mark.parametrize("levels", LEVELS, ids=len)
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("shape", [(1, 3), (7, 100), (100, 3), (300, 2)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_column_has_the_quantiles_of_numpy(shape, missing, levels, dtype):
    block = make_block(*shape, missing, dtype)
    assert_array_equal(quantiles(block, levels), by_column(block, levels))


@pytest.mark.parametrize("levels", LEVELS, ids=len)
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(7, 100), (100, 3), (300, 2)], ids=str)
def test_whole_weights_are_repetitions(shape, missing, levels):
    block = make_block(*shape, missing)
    weights = np.random.default_rng(1).integers(1, 5, shape[0])
    expected = by_column(block, levels, weights)
    assert_array_equal(quantiles(block, levels, weights.astype(float)), expected)


@pytest.mark.parametrize("unit", [0.1, 1 / 3, 0.7])
@pytest.mark.parametrize("shape", [(20, 50), (1000, 2)], ids=str)
def test_rounding_does_not_decide_at_a_tie(unit, shape):
    # All quartiles are ties: the sum of the weights equals the level there.
    block = make_block(*shape)
    levels = LEVELS[0]
    found = quantiles(block, levels, np.full(shape[0], unit))
    assert_array_equal(found, by_column(block, levels))


def test_the_largest_value_counts_however_small_its_weight_is():
    weights = np.array([1.0, 0.7, 1e-30])
    found = quantiles(np.array([[1.0], [2], [3]]), [0, 1], weights)
    assert_array_equal(found, [[1], [3]])


def test_denormal_weights_give_values_of_the_column():
    block = make_block(50, 3)
    found = quantiles(block, [0, 0.5, 1], np.full(50, 1e-310))
    assert np.isin(found, block).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("elements", [1, 50, 2**19])
def test_quantiles_of_the_non_zeros(weighted, elements, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", elements)
    X = sparse.random(60, 30, density=0.2, format="csc", random_state=0)
    X.data = (X.data - 0.5).round(1)  # Some stored values are zero.
    X.data[X.indptr[4] : X.indptr[5]] = 0
    weights = np.random.default_rng(0).integers(1, 4, 60) if weighted else np.ones(60, int)
    sizes, found = nonzero_quantiles(X, weights.astype(float) if weighted else None)
    for column, size, of_column in zip(X.toarray().T, sizes, found.T, strict=True):
        values = np.repeat(column, weights)
        values = values[values != 0]
        if values.size:
            levels, method = NONZERO_LEVELS, "inverted_cdf"
            assert_array_equal(of_column, np.quantile(values, levels, method=method))
            assert_array_equal(size, np.quantile(np.abs(values), 0.5, method=method))
        else:
            assert np.isnan([size, *of_column]).all()
