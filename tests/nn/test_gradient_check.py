from dataclasses import dataclass

import numpy as np
import pytest

from sknet.nn.activations import ACTIVATIONS, SiLU, Tanh
from sknet.nn.embeddings import MappedPiecewiseLinear, Periodic
from sknet.nn.gradients import largest_error
from sknet.nn.layers import Dense
from sknet.nn.losses import LOSSES, SquaredError

LAYERS = [Dense(3, Tanh()), Periodic(), MappedPiecewiseLinear()]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "rule", [cls() for cls in [*ACTIVATIONS.values(), *LOSSES.values()]] + LAYERS, ids=repr
)
def test_the_gradients_of_the_package_are_right(rule, seed):
    assert largest_error(rule, seed) < 1e-6


class FlippedError(SquaredError):
    def pointwise(self, y, raw, gradient_out):
        value = super().pointwise(y, raw, gradient_out)
        np.negative(gradient_out, out=gradient_out)
        return value


class ScaledError(SquaredError):
    def pointwise(self, y, raw, gradient_out):
        value = super().pointwise(y, raw, gradient_out)
        gradient_out *= 1.1
        return value


class Returned(SiLU):
    """Returns the gradient instead of writing it."""

    def backward(self, z, a, delta):
        return delta * (a + 1)


@dataclass(frozen=True)
class Forgotten(Dense):
    """The gradient of the biases is never written."""

    def backward_params(self, params, grads, x, delta, buffers):
        super().backward_params(params, grads, x, delta, buffers)
        grads.bias[...] = 0


@pytest.mark.parametrize(
    "rule", [FlippedError(), ScaledError(), Returned(), Forgotten(3, Tanh())], ids=repr
)
def test_a_wrong_gradient_is_found(rule):
    assert largest_error(rule) > 0.05


class OneSidedError(SquaredError):
    """The sign is wrong if a prediction is too high."""

    def pointwise(self, y, raw, gradient_out):
        value = super().pointwise(y, raw, gradient_out)
        np.negative(gradient_out, out=gradient_out, where=raw > y)
        return value


class NegativeError(SquaredError):
    """The gradient is zero if y is negative."""

    def pointwise(self, y, raw, gradient_out):
        value = super().pointwise(y, raw, gradient_out)
        gradient_out[y < 0] = 0
        return value


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("loss", [OneSidedError(), NegativeError()], ids=repr)
def test_a_mistake_for_some_numbers_is_found(loss, seed):
    assert largest_error(loss, seed) > 0.05


class ShareError(SquaredError):
    domain = "0 < y < 1"

    def in_domain(self, y):
        return bool(((y > 0) & (y < 1)).all())

    def pointwise(self, y, raw, gradient_out):
        assert self.in_domain(y)
        return super().pointwise(y, raw, gradient_out)


def test_y_is_from_the_domain():
    assert largest_error(ShareError()) < 1e-6

    class HundredError(ShareError):
        domain = "y > 100"

        def in_domain(self, y):
            return bool((y > 100).all())

    with pytest.raises(ValueError, match="Its domain is y > 100"):
        largest_error(HundredError())


@pytest.mark.parametrize("rule", [SquaredError(), SiLU(), Periodic()], ids=repr)
def test_it_is_the_same_for_a_seed(rule):
    assert largest_error(rule, 3) == largest_error(rule, 3) != largest_error(rule, 4)
