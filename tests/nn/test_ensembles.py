"""Members of an ensemble are networks of their own: each layer against a loop over them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet.data.batches import Batch
from sknet.nn.activations import GELU, ReLU, Tanh
from sknet.nn.ensembles import (
    EnsembleDense,
    EnsembleHead,
    EnsembleInput,
)
from sknet.nn.layers import LayerNorm
from sknet.nn.losses import LOSSES, SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Objective
from sknet.nn.sets import ElasticNet


@pytest.fixture
def make_ensemble():
    def make(activation, n_members=3, n_outputs=2, norm=False):
        rng = np.random.default_rng(0)
        layers = [
            EnsembleInput(5, activation, n_members),
            EnsembleDense(4, activation, n_members),
            EnsembleHead(n_outputs, n_members),
        ]
        if norm:
            layers.insert(2, LayerNorm(Tanh(), n_members))
        network = Network(tuple(layers), 6, n_members)
        params = network.init(rng)
        return network, params + rng.normal(scale=0.1, size=params.size), rng

    return make


@pytest.mark.parametrize("activation", [Tanh(), GELU()], ids=["one-array", "two-arrays"])
@pytest.mark.parametrize("to_rows", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_forward_is_that_of_each_member(activation, to_rows, make_ensemble):
    network, params, rng = make_ensemble(activation)
    X = rng.normal(size=(7, 6)) * (rng.random((7, 6)) < 0.6)
    raw = network.forward(params, to_rows(X), Workspace(network, 7, np.float64))
    first, second, head = network.views(params)
    members = raw.reshape(7, 3, 2)

    def f(z):
        a = np.empty_like(z)
        activation.forward(z.copy(), a)
        return a

    for m in range(3):
        h = f((X * first.scale[m]) @ first.weight + first.bias[m])
        h = f((h * second.scale[m]) @ second.weight + second.bias[m])
        expected = h @ head.weight[m] + head.bias[m]
        assert_allclose(members[:, m], expected, rtol=1e-12, atol=1e-14)


# Each loss with each value of the other factors, and all pairs of these.
@pytest.mark.parametrize(
    "loss, weighted, as_sparse, norm",
    [
        (loss, k == 1, (i + k) % 2 == 1, (i // 2 + k) % 2 == 1)
        for i, loss in enumerate(LOSSES)
        for k in (0, 1)
    ],
)
def test_gradient(
    loss, weighted, as_sparse, norm, make_ensemble, make_target, evaluate_objective,
    numeric_gradient,
):  # fmt: skip
    loss = LOSSES[loss]()
    network, params, rng = make_ensemble(GELU(), n_outputs=loss.link.n_raw(2), norm=norm)
    X = rng.normal(size=(5, 6))
    weight = np.array([0.5, 1.5, 2.0, 0.7, 0.3]) if weighted else None
    batch = Batch(
        sparse.csr_matrix(X) if as_sparse else X, make_target(loss, 5, 2, rng), weight
    )
    objective = Objective(network, loss, ElasticNet(0.1))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_mean_of_the_members_losses(weighted, make_ensemble, evaluate_objective):
    network, params, rng = make_ensemble(ReLU())
    X, y = rng.normal(size=(9, 6)), rng.normal(size=(9, 2))
    weight = rng.uniform(0.1, 2, 9) if weighted else None
    objective = Objective(network, SquaredError(), ElasticNet())
    value, _ = evaluate_objective(objective, params, Batch(X, y, weight))
    raw = network.forward(params, X, Workspace(network, 9, np.float64)).reshape(9, 3, 2)
    losses = [
        SquaredError().mean(y, raw[:, m].copy(), weight, np.empty((9, 2))) for m in range(3)
    ]
    assert_allclose(value, np.mean(losses), rtol=1e-12)
    # So members with equal outputs cost what one of them costs.
    assert np.ptp(losses) > 0


def test_members_start_apart_and_share_matrices(make_ensemble):
    network, _, _ = make_ensemble(ReLU(), n_members=4)
    first, second, head = network.views(network.init(np.random.default_rng(0)))
    assert_array_equal(np.unique(first.scale), [-1, 1])
    assert_array_equal(second.scale, 1)
    assert np.unique(first.bias).size == first.bias.size
    assert (first.weight.shape, second.weight.shape) == ((6, 5), (5, 4))
    assert head.weight.shape == (4, 4, 2)
    # Only matrices are penalized.
    assert network.n_penalized == 6 * 5 + 5 * 4 + 4 * 4 * 2


@pytest.mark.parametrize("norm", [False, True])
def test_gradient_of_the_inputs_alone(norm, make_ensemble, numeric_gradient):
    network, params, rng = make_ensemble(Tanh(), norm=norm)
    X, weights = rng.normal(size=(7, 6)), rng.normal(size=(7, 6))
    workspace = Workspace(network, 7, np.float64, input_gradient=True)

    def value(X):
        return float((network.forward(params, X, workspace) * weights).sum())

    expected = numeric_gradient(value, X)
    value(X)
    workspace.delta[...] = weights
    actual = network.backward(params, None, X, workspace)
    assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)
