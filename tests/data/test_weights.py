"""Units of weights: the ratios stay, the numbers become moderate, counts stay whole."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.data.batches import Dataset
from sknet.data.weights import (
    MOST_REPETITIONS,
    in_own_units,
    mean,
    product,
    repetitions,
    smallest_and_largest,
)

UNITS = [1.0, 0.1, 3.0, 1 / 3, 1e-300, 1e300]


@pytest.mark.parametrize("unit", [*UNITS, 5e-324, 1.7e308])
def test_equal_weights_are_none(unit):
    weights, found = in_own_units(np.full(20, unit))
    assert weights is None
    assert found == unit


@pytest.mark.parametrize("unit", UNITS)
def test_multiples_of_the_smallest_weight_become_exact_counts(unit):
    counts = np.random.default_rng(0).integers(1, 1000, 500).astype(float)
    counts[7] = 1
    weights, found = in_own_units(counts * unit)
    assert_array_equal(weights, counts)
    assert found == unit
    assert_array_equal(repetitions(weights), counts)


@pytest.mark.parametrize("unit", UNITS)
def test_other_weights_keep_their_ratios(unit):
    given = np.random.default_rng(0).uniform(0.01, 1, 500)
    weights, found = in_own_units(given * unit)
    assert_allclose(weights / weights[0], given / given[0], rtol=1e-15)
    assert 1 <= weights.max() < 2
    # The division was exact.
    assert_array_equal(weights * found, given * unit)
    assert repetitions(weights) is None


def test_negligible_weights_leave():
    data = Dataset(np.arange(3.0)[:, np.newaxis], None, np.array([1e300, 1e-300, 3e300]))
    assert_array_equal(data.in_own_units("Weights").positions, [0, 2])


@pytest.mark.parametrize(
    "weights, expected",
    [([0, 3, 0.5, 2], (0.5, 3)), ([7], (7, 7)), ([0, 0], (np.inf, 0)), ([], (np.inf, 0))],
    ids=str,
)
def test_the_smallest_weight_is_positive(weights, expected):
    """A part of a table may have no row of positive weight, or no row at all."""
    assert smallest_and_largest(np.array(weights, float)) == expected


def test_weights_of_very_different_sizes_are_no_counts():
    # 2^40 is a multiple of 1, but nobody has this many rows.
    weights, _ = in_own_units(np.array([1.0, 2.0**40]))
    assert repetitions(weights) is None
    # The largest number of rows that weights may count is stated.
    counts = np.array([1.0, MOST_REPETITIONS])
    assert_array_equal(in_own_units(counts)[0], counts)
    assert in_own_units(counts + [0, 1])[0][0] < 1


def test_mean_and_product_do_not_overflow():
    assert mean(np.full(9, 1.5e308)) == pytest.approx(1.5e308)
    weights = product(np.full(2, value) for value in (1e308, 1e308, 3e-308, 1e-308))
    assert_allclose(weights, 3.0, rtol=1e-14)
    assert np.isfinite(product(np.full(2, 1e308) for _ in range(9))).all()
