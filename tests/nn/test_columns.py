import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime

from sknet.nn.columns import PrincipalComponents, Repeated
from sknet.nn.network import Network, Workspace

CENTER, DIRECTIONS = (0.5, -1.0), ((1.0, 2.0, -1.0), (-0.5, 0.0, 4.0))
#: Random rows lie within these limits, or on either side of them.
WIDE, NARROW = ((-99.0,) * 3, (99.0,) * 3), ((-0.7, -0.5, -0.9), (0.3, 0.2, 1.1))


def forward(layer, x):
    """Return the outputs, and the gradient of the inputs for a random gradient of them."""
    network = Network((layer,), x.shape[1])
    workspace = Workspace(network, len(x), x.dtype, input_gradient=True)
    outputs = network.forward(np.empty(0, x.dtype), x, workspace).copy()
    delta = np.random.default_rng(1).normal(size=outputs.shape)
    workspace.delta = delta.astype(x.dtype)
    return outputs, delta, network.backward(np.empty(0, x.dtype), None, x, workspace)


def test_components_of_numbers_that_are_spaced_out():
    """The numbers are the first of every three inputs; the last input is another one."""
    x = np.random.default_rng(0).normal(size=(6, 7))
    outputs, delta, gradient = forward(
        PrincipalComponents(CENTER, DIRECTIONS, *WIDE, (0, 3)), x
    )
    assert_array_equal(outputs[:, :7], x)
    assert_allclose(outputs[:, 7:], (x[:, [0, 3]] - CENTER) @ DIRECTIONS, rtol=1e-14)
    expected = delta[:, :7].copy()
    expected[:, [0, 3]] += delta[:, 7:] @ np.transpose(DIRECTIONS)
    assert_allclose(gradient, expected, rtol=1e-14)


def test_the_gradient_of_a_repeated_column_is_the_sum_of_those_of_its_copies():
    x = np.random.default_rng(0).normal(size=(4, 3))
    outputs, delta, gradient = forward(Repeated(2), x)
    assert_array_equal(outputs, x[:, [0, 0, 1, 1, 2, 2]])
    assert_array_equal(gradient, delta[:, ::2] + delta[:, 1::2])


@pytest.mark.parametrize("limits", [WIDE, NARROW])
def test_limited_components_and_their_gradient(limits):
    x = np.random.default_rng(0).normal(size=(8, 6))
    layer = PrincipalComponents(CENTER, DIRECTIONS, *limits, (0, 3))
    outputs, delta, gradient = forward(layer, x)
    expected = (x[:, [0, 3]] - CENTER) @ DIRECTIONS
    limited = np.clip(expected, *limits)
    assert (limited != expected).any() == (limits is NARROW)
    assert_allclose(outputs[:, 6:], limited, rtol=1e-13)

    def value(flat):
        return float(np.vdot(forward(layer, flat.reshape(x.shape))[0], delta))

    differences = approx_fprime(x.ravel(), value, 1e-7)
    assert_allclose(gradient.ravel(), differences, rtol=1e-5, atol=1e-5)


def test_precision_is_kept():
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    layer = PrincipalComponents(CENTER, DIRECTIONS, *NARROW, (0, 1))
    outputs, _, gradient = forward(layer, x)
    assert outputs.dtype == gradient.dtype == np.float32
