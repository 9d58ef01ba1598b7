from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.columns import PrincipalComponents, Repeated
from sknet.nn.network import Network, Workspace

CENTER, DIRECTIONS = (0.5, -1.0), ((1.0, 2.0, -1.0), (-0.5, 0.0, 4.0))


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
    outputs, delta, gradient = forward(PrincipalComponents(CENTER, DIRECTIONS, (0, 3)), x)
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


def test_matrix_and_shift_are_the_same_map():
    x = np.random.default_rng(0).normal(size=(5, 6))
    layer = PrincipalComponents(CENTER, DIRECTIONS, (0, 3))
    matrix, shift, activation = layer.affine(SimpleNamespace(), 6, np.float64)
    assert activation is None
    assert_allclose(x @ matrix + shift, forward(layer, x)[0], rtol=1e-13)


def test_precision_is_kept():
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    outputs, _, gradient = forward(PrincipalComponents(CENTER, DIRECTIONS, (0, 1)), x)
    assert outputs.dtype == gradient.dtype == np.float32
    found = PrincipalComponents(CENTER, DIRECTIONS, (0, 1)).affine(SimpleNamespace(), 2, "f")
    assert found.matrix.dtype == found.bias.dtype == np.float32
