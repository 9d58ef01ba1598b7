import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.activations import ACTIVATIONS
from sknet.nn.initializers import INITIALIZERS
from sknet.nn.layers import Dense
from sknet.nn.network import Network, Workspace

SHAPE = 300, 200
# Variance of the draws, and their largest magnitude.
EXPECTED = {
    "glorot_uniform": (2 / (300 + 200), math.sqrt(6 / (300 + 200))),
    "lecun_normal": (1 / 300, math.inf),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_moments_and_bound(name):
    variance, bound = EXPECTED[name]
    draws = INITIALIZERS[name](np.random.default_rng(0), SHAPE)
    assert draws.shape == SHAPE
    # 60 000 draws: six standard errors.
    assert abs(draws.mean()) < 6 * math.sqrt(variance / draws.size)
    assert_allclose(draws.var(), variance, rtol=6 * math.sqrt(2 / draws.size))
    assert np.abs(draws).max() <= bound
    if math.isfinite(bound):
        assert np.abs(draws).max() > 0.99 * bound
    else:
        assert np.abs(draws).max() > 3.5 * math.sqrt(variance)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_draws_come_from_the_generator(name):
    first, again, other = (
        INITIALIZERS[name](np.random.default_rng(seed), (3, 4)) for seed in (1, 1, 2)
    )
    assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_draws_as_its_activation_asks(name):
    activation = ACTIVATIONS[name]()
    network = Network((Dense(7, activation),), 5)
    (views,) = network.views(network.init(np.random.default_rng(3)))
    rng = np.random.default_rng(3)
    assert_array_equal(views.weight, INITIALIZERS[activation.initializer](rng, (5, 7)))
    assert np.abs(views.bias).max() <= 1 / math.sqrt(5)
    assert np.unique(views.bias).size == 7


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softplus", "logistic"}))
def test_signal_neither_explodes_nor_vanishes(name):
    # Ten layers deep; logistic and softplus have a fixed point far from zero.
    rng = np.random.default_rng(0)
    network = Network(tuple(Dense(128, ACTIVATIONS[name]()) for _ in range(10)), 128)
    X = rng.normal(size=(200, 128))
    out = network.forward(network.init(rng), X, Workspace(network, 200, np.float64))
    assert 0.02 < out.std() < 20
