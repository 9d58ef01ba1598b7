"""Layers of groups of columns, against a loop over the groups."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet.nn.activations import SELU, Identity, SiLU, Tanh
from sknet.nn.groups import GroupColumns, GroupedDense
from sknet.nn.layers import Dense
from sknet.nn.monotone import (
    ByUnit,
    MonotonePairwiseHead,
    MonotoneWeights,
    Reflected,
    SmoothReLU,
    Stacked,
)
from sknet.nn.network import Network, Workspace
from sknet.nn.pairs import PairwiseHead

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
    matrix, bias, activation = layer.affine(SimpleNamespace(), 5, np.float64)
    assert_array_equal(X @ matrix + bias, expected)
    assert activation is None


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


def monotone_head(n_members, *, signs=(1, 0, 0), n_free=2, unpromised=()):
    """Return a head of three groups of two inputs each, with six factors."""
    within = MonotoneWeights(
        tuple(sign for sign in signs for _ in range(2)), unpromised=unpromised
    )
    options = {"n_groups": 3, "n_factors": 6, "signs": signs, "n_free": n_free}
    return MonotonePairwiseHead(2, n_members, within, **options)


def rectified(z):
    return np.where(z < -2, 0, np.where(z > 2, z, (z + 2) ** 2 / 8))


@pytest.mark.parametrize("n_members", [1, 2])
def test_factors_of_a_monotone_head_are_linear_or_rectified_or_reflections(n_members):
    rng = np.random.default_rng(0)
    network = Network((monotone_head(n_members),), 6 * n_members, n_members)
    params, X = network.init(rng), rng.normal(0, 3, size=(9, network.n_inputs))
    params += rng.normal(0, 0.3, size=params.size)
    (views,) = network.views(params)
    h = X.reshape(9, n_members, 3, 2)
    for m, raw in enumerate(np.split(outputs(network, params, X), n_members, axis=1)):
        u = []
        for g in range(3):
            z = h[:, m, g] @ views.factor[3 * m + g] + views.offset[3 * m + g]
            parts = z[:, :2], rectified(z[:, 2:4]), -rectified(-z[:, 4:])
            u.append(np.concatenate(parts, axis=1))
        pairs = sum(u[g] * u[k] for g, k in combinations(range(3), 2)) / np.sqrt(3)
        expected = h[:, m].reshape(9, -1) @ views.weight[m] + views.bias[m]
        assert_allclose(raw, expected + pairs @ views.strength[m], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("signs", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 1, 0)])
@pytest.mark.parametrize("n_members", [1, 2])
def test_a_monotone_head_rises_with_the_constrained_groups_alone(signs, n_members):
    """For any parameters in the sets, also where the sum of the pairs is large."""
    rng = np.random.default_rng(0)
    head = monotone_head(n_members, signs=signs, unpromised=(1,))
    network = Network((head,), 6 * n_members, n_members)
    rises = {0: [], 1: []}
    for _ in range(5):
        params = rng.normal(0, 2, size=network.n_params)
        network.project(params)
        low = rng.normal(0, 2, size=(500, n_members, 3, 2))
        for g, sign in enumerate(signs):
            high = low.copy()
            high[:, :, g] += rng.exponential(1, high[:, :, g].shape)
            high[::2, :, g] = np.nextafter(low[::2, :, g], np.inf)
            rise = outputs(network, params, high.reshape(500, -1)) - outputs(
                network, params, low.reshape(500, -1)
            )
            rises[sign].append(rise)
    promised = np.concatenate(rises[1])[:, ::2]
    # BLAS may sum the products of equal rows in different orders here.
    assert promised.min() > -1e-12 and promised.max() > 1
    for free in (*rises[0], np.concatenate(rises[1])[:, 1::2]):
        assert free.min() < -1 and free.max() > 1


@pytest.mark.parametrize("signs", [(1, 0, 0), (1, 1, 1)])
@pytest.mark.parametrize("n_members", [1, 2])
def test_gradients_of_constrained_groups_are_those_of_differences(signs, n_members):
    rng, n_all = np.random.default_rng(0), 3 * n_members
    free, monotone = (2, SiLU()), (2, Reflected(SmoothReLU(), 1))
    activation = ByUnit(tuple(monotone if sign else free for sign in signs))
    sets = [MonotoneWeights((sign,) * 3, 0 if sign else 2) for sign in signs]
    layers = (
        GroupColumns(GROUPS * n_members),
        GroupedDense(2, activation, n_all, within=Stacked(tuple(sets * n_members))),
        monotone_head(n_members, signs=signs),
    )
    network = Network(layers, 5, n_members)
    params, X = network.init(rng), rng.normal(size=(7, 5))
    direction, weight = rng.normal(size=params.size), rng.normal(size=(7, 2 * n_members))
    workspace, gradient = Workspace(network, 7, np.float64), np.empty(params.size)
    network.forward(params, X, workspace)
    workspace.delta[...] = weight
    network.backward(params, gradient, X, workspace)
    step = 1e-6 * direction
    change = outputs(network, params + step, X) - outputs(network, params - step, X)
    assert_allclose(gradient @ direction, (change * weight).sum() / 2e-6, rtol=1e-7)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("head", ["dense", "pairs", "monotone"])
def test_rescaled_outputs(head, n_members):
    rng = np.random.default_rng(0)
    front = GroupColumns(GROUPS * n_members), GroupedDense(2, Tanh(), 3 * n_members)
    output = {
        "pairs": PairwiseHead(2, n_members, n_groups=3, n_factors=4),
        "monotone": monotone_head(n_members),
        "dense": Dense(2 * n_members, Identity()),
    }
    network = Network((*front, output[head]), 5, n_members)
    params, X = network.init(rng), rng.normal(size=(6, 5))
    before = outputs(network, params, X)
    factor, shift = np.array([2.0, 0.5]), np.array([1.0, -3.0])
    network.rescale_outputs(params, factor, shift)
    expected = before * np.tile(factor, n_members) + np.tile(shift, n_members)
    assert_allclose(outputs(network, params, X), expected, rtol=1e-12)
