"""Layers of groups of columns, against a loop over the groups."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet.nn.activations import SELU, Identity, Tanh
from sknet.nn.groups import GroupColumns, GroupedDense, PairwiseHead
from sknet.nn.layers import Dense
from sknet.nn.monotone import MonotonePairwiseHead
from sknet.nn.network import Network, Workspace

GROUPS = (0, 3), (1,), (3, 2, 0)


def outputs(network, params, X):
    return network.forward(params, X, Workspace(network, X.shape[0], np.float64)).copy()


@pytest.mark.parametrize("to_rows", [np.asarray, sparse.csr_matrix])
def test_columns_are_gathered_and_padded(to_rows):
    X = np.arange(1.0, 11).reshape(2, 5)
    layer = GroupColumns(GROUPS)
    expected = X[:, [0, 3, 0, 1, 0, 0, 3, 2, 0]]
    expected[:, [2, 4, 5]] = 0
    assert_array_equal(outputs(Network((layer,), 5), np.empty(0), to_rows(X)), expected)


@pytest.mark.parametrize("n_groups", [1, 3])
def test_each_group_is_a_dense_layer(n_groups):
    rng = np.random.default_rng(0)
    network = Network((GroupedDense(2, Tanh(), n_groups),), 4 * n_groups)
    params, X = network.init(rng), rng.normal(size=(6, 4 * n_groups))
    (views,) = network.views(params)
    single = Network((Dense(2, Tanh()),), 4)
    for g, out in enumerate(np.split(outputs(network, params, X), n_groups, axis=1)):
        of_group = np.concatenate([views.weight[g].ravel(), views.bias[g]])
        expected = outputs(single, of_group, np.split(X, n_groups, axis=1)[g])
        assert_allclose(out, expected, rtol=1e-13)


def test_initial_weights_of_the_padding_are_zero_and_the_others_count_the_inputs():
    layer = GroupedDense(4000, SELU(), 2, n_used=(1, 4))
    (views,) = (network := Network((layer,), 8)).views(network.init(np.random.default_rng(0)))
    assert not views.weight[0, 1:].any() and views.weight[1].all()
    # LeCun's standard deviation is 1 / sqrt(inputs).
    assert_allclose(views.weight[0, 0].std(), 1, rtol=0.05)
    assert_allclose(views.weight[1].std(), 0.5, rtol=0.05)
    assert 0.49 < np.abs(views.bias[1]).max() < 0.5 < np.abs(views.bias[0]).max()


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("n_groups", [1, 2, 4])
def test_pairs_are_the_sum_over_all_pairs(n_groups, n_members):
    rng = np.random.default_rng(0)
    layer = PairwiseHead(3, n_members, n_groups=n_groups, n_factors=5)
    network = Network((layer,), 2 * n_groups * n_members, n_members)
    params, X = network.init(rng), rng.normal(size=(6, network.n_inputs))
    (views,) = network.views(params)
    h = X.reshape(6, n_members, n_groups, 2)
    for m, raw in enumerate(np.split(outputs(network, params, X), n_members, axis=1)):
        u = [h[:, m, g] @ views.factor[m * n_groups + g] for g in range(n_groups)]
        n_pairs = max(1, n_groups * (n_groups - 1) / 2)
        pairs = sum(
            (u[g] * u[k] for g, k in combinations(range(n_groups), 2)), np.zeros((6, 5))
        )
        expected = h[:, m].reshape(6, -1) @ views.weight[m] + views.bias[m]
        expected += pairs @ views.strength[m] / np.sqrt(n_pairs)
        assert_allclose(raw, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("head", ["dense", "pairs", "monotone"])
def test_rescaled_outputs(head, n_members):
    rng = np.random.default_rng(0)
    front = GroupColumns(GROUPS * n_members), GroupedDense(2, Tanh(), 3 * n_members)
    output = {
        "pairs": PairwiseHead(2, n_members, n_groups=3, n_factors=4),
        "monotone": MonotonePairwiseHead(
            2, n_members, n_groups=3, n_factors=6, signs=(1, 0, 0), n_free=2
        ),
        "dense": Dense(2 * n_members, Identity()),
    }
    network = Network((*front, output[head]), 5, n_members)
    params, X = network.init(rng), rng.normal(size=(6, 5))
    before = outputs(network, params, X)
    factor, shift = np.array([2.0, 0.5]), np.array([1.0, -3.0])
    network.rescale_outputs(params, factor, shift)
    expected = before * np.tile(factor, n_members) + np.tile(shift, n_members)
    assert_allclose(outputs(network, params, X), expected, rtol=1e-12)
