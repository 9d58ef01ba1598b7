"""The analysis of variance of rows that are grouped by a level."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import f_oneway, kurtosis

from sknet.data import variances
from sknet.data.variances import Groups, some_rows


@pytest.fixture
def table():
    """Return the levels of 60 rows in four groups of unequal size, and two columns."""
    rng = np.random.default_rng(0)
    levels = rng.permutation(np.repeat([7, 2, 4, 9], [30, 15, 10, 5]))
    return levels, rng.normal(size=(60, 2)) + 0.5 * levels[:, np.newaxis]


def test_means_and_deviations_are_those_of_each_level(table):
    levels, values = table
    groups = Groups(levels, np.ones(60))
    means = np.array([values[levels == level].mean(axis=0) for level in (2, 4, 7, 9)])
    assert_array_equal(groups.sizes, [15, 10, 30, 5])
    assert_allclose(groups.means(values), means)
    of_rows = means[np.searchsorted([2, 4, 7, 9], levels)]
    assert_allclose(groups.centred(values), values - of_rows)
    standardized = groups.standardized(values)
    for level in (2, 4, 7, 9):
        assert_allclose(standardized[levels == level].std(axis=0), 1)


def test_a_column_that_hardly_varies_within_a_level_is_zero_there(table):
    levels, values = table
    values[levels == 9] = 3.0
    standardized = Groups(levels, np.ones(60)).standardized(values)
    assert not standardized[levels == 9].any() and standardized[levels != 9].all()


def test_the_variances_are_those_of_the_f_test(table):
    """F = (within + usual size * between) / within, for the size in the mean of its square."""
    levels, values = table
    found = Groups(levels, np.ones(60)).variances(values)
    parts = [values[levels == level] for level in np.unique(levels)]
    sizes = np.array([len(part) for part in parts])
    within = sum(np.square(part - part.mean(axis=0)).sum(axis=0) for part in parts) / 56
    usual_size = (60 - np.square(sizes).sum() / 60) / 3
    assert_allclose(found.within, within)
    assert_allclose(1 + usual_size * found.between / within, f_oneway(*parts).statistic)


def test_the_chance_is_the_deviation_of_the_estimate_without_effects():
    levels = np.repeat(np.arange(20), 50)
    draws = np.random.default_rng(0).normal(size=(1000, 2000))
    found = Groups(levels, np.ones(1000)).variances(draws)
    assert found.between.std() == pytest.approx(found.chance.mean(), rel=0.1)


def test_a_weight_of_two_equals_a_repeated_row(table):
    levels, values = table
    weights = np.where(np.arange(60) % 3, 1.0, 2.0)
    weighted = Groups(levels, weights)
    repeated = Groups(np.repeat(levels, weights.astype(int)), np.ones(80))
    found = weighted.variances(values)
    assert_allclose(found, repeated.variances(np.repeat(values, weights.astype(int), axis=0)))


def test_the_excess_kurtosis_is_that_of_scipy_or_zero():
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.standard_exponential(500), rng.uniform(size=500)])
    values -= values.mean(axis=0)
    found = Groups(np.zeros(500), np.ones(500)).excess_kurtosis(values)
    assert_allclose(found, [kurtosis(values[:, 0]), 0])


def test_some_rows_have_no_more_products_than_are_allowed(monkeypatch):
    monkeypatch.setattr(variances, "MOST_PRODUCTS", 300)
    assert some_rows(100, 3) == slice(None)
    rows = some_rows(101, 3)
    assert np.unique(rows).size == 100 and 0 <= rows.min() and rows.max() <= 100
    assert_array_equal(rows, some_rows(101, 3))
    assert np.size(some_rows(101, 1000)) == 1
