from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet.nn import layers
from sknet.nn.activations import ACTIVATIONS, GELU, Identity, LeakyReLU, Reflected, ReLU, SiLU
from sknet.nn.columns import Columns, Embedding, PrincipalComponents, Repeated
from sknet.nn.embeddings import Periodic
from sknet.nn.ensembles import EnsembleHead, EnsembleInput
from sknet.nn.kernels import BLOCK_SIZE
from sknet.nn.layers import (
    Activated,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    Parameter,
    long_mask,
)
from sknet.nn.monotone import ByUnit
from sknet.nn.network import Network, Workspace


@pytest.mark.parametrize("n_inputs", [1, 4, 100])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: (Dense(size, ReLU()),),
        lambda size: (EnsembleInput(size, ReLU(), 2),),
        lambda size: (EnsembleHead(size, 1),),
    ],
    ids=["dense", "members", "head"],
)
def test_initial_biases_fill_the_documented_interval(make, n_inputs):
    """Biases are uniform between -1 and 1 over the root of the number of inputs."""
    network = Network(make(2000), n_inputs)
    (views,) = network.views(network.init(np.random.default_rng(0)))
    bound = 1 / np.sqrt(n_inputs)
    assert 0.99 * bound < views.bias.max() < bound
    assert -bound < views.bias.min() < -0.99 * bound


def test_a_layer_needs_no_more_than_its_two_abstract_methods():
    class Double(Layer):
        def forward(self, params, x, buffers, rng=None):
            return 2 * x

        def backward_inputs(self, params, x, delta, buffers):
            return 2 * delta

    network = Network((Double(), Double()), 3)
    workspace = Workspace(network, 2, np.float64, input_gradient=True)
    params, X = network.init(np.random.default_rng(0)), np.ones((2, 3))
    assert params.size == 0
    assert_array_equal(network.forward(params, X, workspace), 4)
    workspace.delta[...] = 1
    assert_array_equal(network.backward(params, params, X, workspace), 4)


def test_dense_is_affine_then_activation():
    rng = np.random.default_rng(0)
    network = Network((Dense(3, ReLU()),), 4)
    params, X = network.init(rng), rng.normal(size=(6, 4))
    (views,) = network.views(params)
    out = network.forward(params, X, Workspace(network, 6, np.float64))
    assert_allclose(out, np.maximum(X @ views.weight + views.bias, 0), rtol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", [Dense, partial(EnsembleInput, n_members=2)])
def test_a_layer_is_its_matrix_and_what_is_activated(kind, activation):
    rng = np.random.default_rng(0)
    layer = kind(3, ACTIVATIONS[activation]())
    whole = Network((layer,), 4)
    params, X = whole.init(rng), rng.normal(size=(6, 4))
    (views,) = whole.views(params)
    matrix, bias, activation = layer.affine(views, 4, np.float64)
    Z = X @ matrix + bias
    rest = Network((Activated(activation),), Z.shape[1])
    delta = rng.normal(size=Z.shape)
    results = []
    for network, vector, rows in [(whole, params, X), (rest, np.empty(0), Z)]:
        workspace = Workspace(network, 6, np.float64, input_gradient=True)
        out = network.forward(vector, rows, workspace).copy()
        workspace.delta[...] = delta
        results.append((out, network.backward(vector, None, rows, workspace)))
    (out, inputs), (rest_out, rest_inputs) = results
    assert_allclose(rest_out, out, rtol=1e-12)
    assert_allclose(rest_inputs @ matrix.T, inputs, rtol=1e-12)


def test_dense_penalizes_weights_not_biases():
    parameters = Dense(3, ReLU()).parameters(4)
    assert parameters == {
        "weight": Parameter((4, 3), penalized=True),
        "bias": Parameter((3,), penalized=False),
    }


@pytest.mark.parametrize("to_sparse", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("activation", [ReLU(), GELU()], ids=["one-array", "two-arrays"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_takes_sparse_rows(to_sparse, activation, dtype):
    rng = np.random.default_rng(0)
    network = Network((Dense(3, activation), Dense(2, Identity())), 8)
    params = network.init(rng).astype(dtype)
    X = (rng.normal(size=(20, 8)) * (rng.random((20, 8)) < 0.3)).astype(dtype)
    results = []
    for rows in (X, to_sparse(X)):
        workspace = Workspace(network, 20, dtype, input_gradient=True)
        out = network.forward(params, rows, workspace).copy()
        workspace.delta[...] = out
        gradient = np.empty_like(params)
        inputs = network.backward(params, gradient, rows, workspace)
        assert out.dtype == gradient.dtype == inputs.dtype == dtype
        results.append(np.concatenate([out.ravel(), gradient, inputs.ravel()]))
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    assert_allclose(results[1], results[0], rtol=rtol, atol=rtol / 10)


def test_dense_takes_a_fortran_ordered_or_strided_input():
    rng = np.random.default_rng(0)
    network = Network((Dense(3, ReLU()),), 4)
    params, X = network.init(rng), rng.normal(size=(6, 8))
    expected = network.forward(params, X[:, ::2].copy(), Workspace(network, 6, np.float64))
    for rows in (X[:, ::2], np.asfortranarray(X[:, ::2])):
        out = network.forward(params, rows, Workspace(network, 6, np.float64))
        assert_allclose(out, expected, rtol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_keeps_z_where_it_is_needed(name):
    rng = np.random.default_rng(0)
    activation = ACTIVATIONS[name]()
    network = Network((Dense(3, activation),), 4)
    params, X = network.init(rng), rng.normal(size=(6, 4))
    workspace = Workspace(network, 6, np.float64)
    network.forward(params, X, workspace)
    (views,) = network.views(params)
    assert ("z" in workspace.buffers[0]) == activation.needs_z
    if activation.needs_z:
        # Either z itself, or what the activation put in its place.
        z, a = X @ views.weight + views.bias, np.empty((6, 3))
        activation.forward(z, a)
        assert_allclose(workspace.buffers[0]["z"], z, rtol=1e-13, atol=1e-15)
        assert_allclose(workspace.buffers[0]["a"], a, rtol=1e-13, atol=1e-15)


@pytest.fixture
def drop():
    def run(rate, rng, x, delta=None):
        network = Network((Dropout(rate), Dense(1, Identity())), x.shape[1])
        workspace = Workspace(network, x.shape[0], x.dtype, input_gradient=True)
        buffers = workspace.buffers[0]
        out = Dropout(rate).forward(None, x, buffers, rng)
        return out, Dropout(rate).backward_inputs(None, x, delta, buffers)

    return run


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_in_training(rate, dtype, drop):
    x = np.full((400, 100), 3, dtype=dtype)
    out, delta = drop(rate, np.random.default_rng(0), x, np.full_like(x, 7))
    assert out.dtype == delta.dtype == dtype
    kept = out != 0
    assert_allclose(out[kept], 3 / (1 - rate), rtol=1e-4)  # the rate is rounded
    # The gradient passes where the signal passed, by the same factor.
    assert_allclose(delta, out / 3 * 7, rtol=1e-6)
    # 40 000 draws: six standard errors.
    assert abs(kept.mean() - (1 - rate)) < 6 * np.sqrt(rate * (1 - rate) / x.size)
    # Each element by itself: no row or column is dropped as a whole.
    spread = 6 * np.sqrt(rate * (1 - rate) / 100)
    assert np.abs(kept.mean(axis=0) - (1 - rate)).max() < spread
    assert np.abs(kept.mean(axis=1) - (1 - rate)).max() < spread


def test_masks_of_dropout_are_balanced():
    """The share of zeros is the rate as nearly as it can be, and the mean is one."""
    mask = long_mask(0.25, 1000, np.dtype(float))
    assert np.count_nonzero(mask == 0) == 250
    assert_allclose(mask[mask != 0], 4 / 3)
    # A rate that rounds to one keeps an input, and nothing is divided by zero.
    mask = long_mask(1 - 1e-9, 1000, np.dtype(float))
    assert_array_equal(np.sort(mask)[-2:], [0, 1000])
    # All fits of the process share the mask.
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = 1


@pytest.mark.parametrize(("n_inputs", "size"), [(5, 262_144), (10_000, 640_000)])
def test_there_are_many_masks_to_choose_from(n_inputs, size, drop, monkeypatch):
    """A wide layer has a longer mask, so that the stretches of two batches seldom overlap."""
    sizes, x = [], np.ones((3, n_inputs), np.float32)

    def recorded(rate, size, dtype):
        sizes.append(size)
        return long_mask(rate, size, dtype)

    monkeypatch.setattr(layers, "long_mask", recorded)
    drop(0.5, np.random.default_rng(0), x, x)
    assert sizes == [size]


def test_rows_of_more_than_a_block_have_masks_of_their_own(drop):
    """A large batch draws a place for each block, so that no mask is as long as the batch."""
    x = np.ones((3, BLOCK_SIZE))
    out, delta = drop(0.5, np.random.default_rng(0), x, x.copy())
    assert_array_equal(delta, out)
    kept = out != 0
    assert np.abs(np.corrcoef(kept)[np.triu_indices(3, k=1)]).max() < 6 / np.sqrt(BLOCK_SIZE)


def test_masks_of_rows_and_of_steps_differ(drop):
    x, rng = np.ones((50, 300)), np.random.default_rng(0)
    kept = [drop(0.5, rng, x, x.copy())[0] != 0 for _ in range(2)]
    rows = np.concatenate(kept).astype(float)
    correlation = np.corrcoef(rows)[np.triu_indices(100, k=1)]
    # Six standard errors of the correlation of two independent rows, and their usual spread.
    assert np.abs(correlation).max() < 6 / np.sqrt(300)
    assert_allclose(correlation.std(), 1 / np.sqrt(300), rtol=0.1)


def test_dropout_draws_anew_each_time(drop):
    rng, x = np.random.default_rng(0), np.ones((20, 20))
    first, second = (drop(0.5, rng, x, np.ones_like(x))[0].copy() for _ in range(2))
    assert (first != second).any()
    assert_array_equal(drop(0.5, np.random.default_rng(0), x, np.ones_like(x))[0], first)


def test_dropout_without_generator_is_the_identity(drop):
    x = np.random.default_rng(0).normal(size=(5, 4))
    out, delta = drop(0.5, None, x, 2 * x)
    assert_array_equal(out, x)
    assert_array_equal(delta, 2 * x)


def test_dropout_prediction_after_training_is_clean():
    # One workspace serves both: a mask of training must not stay.
    rng = np.random.default_rng(0)
    network = Network((Dense(50, ReLU()), Dropout(0.5), Dense(1, Identity())), 3)
    params, X = network.init(rng), rng.normal(size=(7, 3))
    workspace = Workspace(network, 7, np.float64)
    clean = network.forward(params, X, workspace).copy()
    noisy = network.forward(params, X, workspace, rng).copy()
    assert (noisy != clean).all()
    assert_array_equal(network.forward(params, X, workspace), clean)


def test_dropout_of_rate_zero_changes_nothing(drop):
    x = np.random.default_rng(0).normal(size=(5, 4))
    out, delta = drop(0.0, np.random.default_rng(0), x, 2 * x)
    assert_array_equal(out, x)
    assert_array_equal(delta, 2 * x)


@pytest.mark.parametrize(
    ("unexplained", "rate"),
    [(1, 0.2), (0.25, 0.2), (0.125, 0.1), (0.01, 0.008), (0.0005, 0), (0, 0)],
)
def test_adaptive_dropout_falls_with_the_unexplained_share(unexplained, rate):
    """It is proportional to this share below a quarter, to three digits."""
    assert Dropout(0.2, adapts=True).adapted(unexplained) == Dropout(rate)
    assert Dropout(0.2).adapted(unexplained) == Dropout(0.2)


@pytest.mark.parametrize("n_groups", [1, 3])
@pytest.mark.parametrize("name", ["identity", "relu", "gelu"])
def test_layer_norm_formula(name, n_groups):
    rng = np.random.default_rng(0)
    activation = ACTIVATIONS[name]()
    network = Network((LayerNorm(activation, n_groups), Dense(1, Identity())), 12)
    params = network.init(rng) + rng.normal(scale=0.2, size=network.n_params)
    X = 5 + 3 * rng.normal(size=(6, 12))
    workspace = Workspace(network, 6, np.float64)
    network.forward(params, X, workspace)
    groups = X.reshape(6, n_groups, -1)
    mean = groups.mean(axis=2, keepdims=True)
    variance = groups.var(axis=2, keepdims=True)
    u = ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(6, 12)
    views = network.views(params)[0]
    expected = np.empty_like(X)
    activation.forward(u * views.gain + views.bias, expected)
    assert_allclose(workspace.outputs[0], expected, rtol=1e-12, atol=1e-14)


def test_layer_norm_starts_as_the_plain_norm():
    network = Network((LayerNorm(Identity()), Dense(1, Identity())), 5)
    views = network.views(network.init(np.random.default_rng(0)))[0]
    assert_array_equal(views.gain, 1)
    assert_array_equal(views.bias, 0)
    assert network.n_penalized == 5  # gains are free


def test_layer_norm_of_equal_columns_is_finite():
    network = Network((LayerNorm(Identity()), Dense(1, Identity())), 5)
    params = network.init(np.random.default_rng(0))
    workspace = Workspace(network, 3, np.float64, input_gradient=True)
    X = np.full((3, 5), 1e6)
    network.forward(params, X, workspace)
    assert_array_equal(workspace.outputs[0], 0)
    workspace.delta[...] = 1
    assert np.isfinite(network.backward(params, np.empty_like(params), X, workspace)).all()


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Dense(3, Identity()), "dense"),
        (Dense(3, GELU()), "dense gelu"),
        (Dense(3, LeakyReLU(slope=0.1)), "dense leaky_relu"),
        (Dense(4, ByUnit(((2, SiLU()), (2, Reflected(ReLU(), 1))))), "dense silu and relu"),
        (EnsembleInput(3, ReLU(), 2), "dense by member relu"),
        (EnsembleHead(1, 2), "dense by member"),
        (LayerNorm(ReLU()), "layer normalization relu"),
        (Dropout(0.25), "dropout 0.25"),
        (Dropout(0.25, adapts=True), "dropout 0.25, adaptive"),
        (
            PrincipalComponents((0.0, 0.0), ((1.0,), (0.0,)), (-9.0,), (9.0,), (0, 1)),
            "principal components (1)",
        ),
        (Repeated(5), "columns repeated 5 times"),
        (
            Columns((((0, 1), Periodic()), ((2,), None), ((3,), Embedding(3, 2)))),
            "columns (level vectors, periodic waves)",
        ),
        (
            Columns((((0, 1, 2), Columns((((0, 2), Periodic()), ((1,), None)))), ((3,), None))),
            "columns (periodic waves)",
        ),
        (Columns((((0, 1), None),)), "columns"),
    ],
)
def test_a_layer_describes_itself(layer, text):
    """The table of layers shows the activation, the rate or the inner layers."""
    assert layer.describe() == text


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_layer_is_as_smooth_as_its_activation(activation):
    """Attributions choose their rule of integration by what the layers say."""
    f = ACTIVATIONS[activation]()
    for layer in (Dense(3, f), EnsembleInput(3, f, 2), LayerNorm(f), Activated(f)):
        assert layer.smooth == f.smooth
    assert Dropout(0.5).smooth
