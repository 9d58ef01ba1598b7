"""The promise of monotonic constraints, and the order that it asks of each layer.

Weights, activations and the output layer of pairs are tested with the other sets, activations
and layers of groups.
"""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknet.nn.activations import SiLU, Tanh
from sknet.nn.ensembles import EnsembleInput
from sknet.nn.monotone import (
    ByUnit,
    MonotoneWeights,
    Order,
    Promise,
    Reflected,
    SmoothReLU,
    Stacked,
)
from sknet.nn.sets import Signed

PROMISE = Promise((0, 1, -1))
#: Two embedded columns of each number, then the indicator of a missing value of the second
#: number and a category.
ENCODED = np.array([0, 0, 1, 1, 2, 2, 3, 4])
SOURCES = np.array([5, 5, 2, 2, 0, 0, 2, 1])


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
