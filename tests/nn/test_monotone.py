"""The promise of monotonic constraints, and what keeps it: order, weights and output layer.

The activations are tested with the others.
"""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.activations import Identity, Reflected, SiLU, Tanh
from sknet.nn.ensembles import EnsembleInput
from sknet.nn.groups import GroupColumns, GroupedDense
from sknet.nn.layers import Dense
from sknet.nn.monotone import (
    ByUnit,
    MonotonePairwiseHead,
    Order,
    Promise,
    SmoothReLU,
)
from sknet.nn.network import Network, Workspace
from sknet.nn.sets import MonotoneWeights, Signed, Stacked

INF = np.inf
PROMISE = Promise((0, 1, -1))
#: Two embedded columns of each number, then the indicator of a missing value of the second
#: number and a category.
ENCODED = np.array([0, 0, 1, 1, 2, 2, 3, 4])
SOURCES = np.array([5, 5, 2, 2, 0, 0, 2, 1])
#: Groups of the inputs of a network of pairs.
GROUPS = (0, 3), (1,), (3, 2, 0)


def test_what_a_promise_is_about():
    assert PROMISE.columns == (1, 2)
    assert PROMISE.of_encoded(5) == (0, 1, -1, 0, 0)
    assert list(PROMISE.described(["a", "b", "c"])) == [
        ("only rises with", ["b"]),
        ("only falls with", ["c"]),
    ]
    assert list(Promise((0, 1)).described(["a", "b"])) == [("only rises with", ["b"])]


def test_embedded_columns_have_the_sign_of_their_number():
    order = PROMISE.order(ENCODED, SOURCES, None)
    assert order.signs == order.constrained == ((0, 0, 1, 1, -1, -1, 0, 0),)


def test_groups_are_padded_and_know_the_columns_of_their_inputs():
    """The indicator of a missing value is free, but it comes from a constrained column."""
    order = PROMISE.order(ENCODED, SOURCES, ((2, 3, 6), (0, 4), ()))
    assert order.signs == ((1, 1, 0), (0, -1, 0), (0, 0, 0))
    assert order.constrained == ((1, 1, 1), (0, 1), ())


@pytest.mark.parametrize(
    "constrained, n_free", [((0, 0), 5), ((1, 0), 2), ((1, 1), 0)], ids=["free", "mixed", "all"]
)
@pytest.mark.parametrize("activation", [SiLU(), Tanh()])
def test_a_layer_of_one_group(constrained, n_free, activation):
    """Half of the monotone units are reflected, and an activation that may fall is replaced."""
    order = Order(((1, 0),), (constrained,))
    found, (weights,), following = order.layer(5, activation)
    rising = SmoothReLU() if activation == SiLU() else activation
    parts = (n_free, activation), (5 - n_free, Reflected(rising, (5 - n_free) // 2))
    assert found == ByUnit(tuple(part for part in parts if part[0]))
    assert weights == MonotoneWeights((1, 0), n_free)
    assert following.signs == following.constrained == ((0,) * n_free + (1,) * (5 - n_free),)


def test_a_layer_of_several_groups():
    """Unequal groups have activations one after another, and the output layer sees them all."""
    free, rising = (3, Tanh()), (3, Reflected(Tanh(), 1))
    found, weights, following = Order(((1,), (0,)), ((1,), (0,))).layer(3, Tanh())
    assert found == ByUnit((rising, free))
    assert weights == (MonotoneWeights((1,)), MonotoneWeights((0,), 3))
    assert following.output((2,)) == MonotoneWeights((1, 1, 1, 0, 0, 0), unpromised=(2,))
    assert Order(((1,), (1,)), ((1,), (1,))).layer(3, Tanh())[0] == ByUnit((rising,))


@pytest.mark.parametrize("n_free_groups, n_free", [(0, 0), (1, 0), (2, 4), (3, 4)])
def test_two_free_groups_keep_their_linear_factors(n_free_groups, n_free):
    signs = ((-1, 0), *[(0, 0)] * n_free_groups)
    head = Order(signs, signs).pairs(1, 2, 4, ())
    assert (head.n_free, head.n_factors) == (n_free, n_free + 4)
    assert head.signs == (1, *[0] * n_free_groups)
    assert (head.n_units, head.n_members, head.n_groups) == (1, 2, len(signs))
    assert head.within == MonotoneWeights(tuple(np.ravel(signs).tolist()))


def test_sums_that_differ_in_the_last_bit_are_settled_to_one_number():
    sums = np.random.default_rng(0).normal(size=1000).astype(np.float32).astype(np.float64)
    assert_array_equal(PROMISE.settled(np.nextafter(sums, np.inf)), sums)
    assert_array_equal(PROMISE.settled(np.nextafter(sums, -np.inf)), sums)


@pytest.mark.parametrize(
    "within, signs",
    [(MonotoneWeights((1, -1, 0)), (1, 1, 0)), (Stacked((MonotoneWeights((1,)),)), (1,))],
)
def test_scales_of_members_keep_a_matrix_in_its_set(within, signs):
    """Those of monotone inputs are at least zero, and those of free inputs any numbers."""
    assert within.scales == Signed(signs)
    layer = EnsembleInput(2, Tanh(), 3, within)
    assert layer.parameters(3)["scale"].within == Signed(signs)


def test_monotone_weights_have_signs_and_zeros():
    bounds = MonotoneWeights((1, -1, 0), n_free=1).bounds((3, 3))
    assert_array_equal(bounds.low, [[0, 0, 0], [0, -INF, -INF], [-INF, -INF, -INF]])
    assert_array_equal(bounds.high, [[0, INF, INF], [0, 0, 0], [INF, INF, INF]])


def test_weights_of_outputs_without_a_promise_have_no_bounds():
    weights = MonotoneWeights((1, -1, 0), unpromised=(1,))
    bounds = weights.bounds((2, 3, 2))
    assert_array_equal(bounds.low[0], [[0, -INF], [-INF, -INF], [-INF, -INF]])
    assert_array_equal(bounds.high[1], [[INF, INF], [0, INF], [INF, INF]])
    drawn = np.random.default_rng(0).normal(size=(2, 3, 2))
    weights.enter(entered := drawn.copy())
    assert_array_equal(entered[:, :, 1], drawn[:, :, 1])
    assert (entered[:, 0, 0] > 0).all() and (entered[:, 1, 0] < 0).all()


def test_each_matrix_of_a_stack_has_its_set():
    parts = MonotoneWeights((1, 0)), MonotoneWeights((0, -1), 1)
    stack = np.random.default_rng(0).normal(size=(2, 2, 3))
    low, high = Stacked(parts).bounds(stack.shape)
    for i, part in enumerate(parts):
        assert_array_equal(low[i], part.bounds((2, 3)).low)
        assert_array_equal(high[i], part.bounds((2, 3)).high)
    Stacked(parts).enter(entered := stack.copy())
    for part, matrix, given in zip(parts, entered, stack, strict=True):
        part.enter(given)
        assert_array_equal(matrix, given)


def test_sets_of_several_matrices_are_those_of_each():
    weights = MonotoneWeights((1, 0), n_free=1)
    for several, one in zip(weights.bounds((4, 2, 3)), weights.bounds((2, 3)), strict=True):
        assert_array_equal(several, np.broadcast_to(one, (4, 2, 3)))


def test_initial_weights_of_monotone_inputs_keep_the_size_of_a_common_signal():
    """If all inputs rise by one, a monotone unit does so on average."""
    network = Network((Dense(400, Identity(), MonotoneWeights((1,) * 50)),), 50)
    (views,) = network.views(network.init(np.random.default_rng(0)))
    assert_allclose(views.weight.sum(axis=0).mean(), 1, rtol=1e-12)


def outputs(network, params, X):
    return network.forward(params, X, Workspace(network, X.shape[0], np.float64)).copy()


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
