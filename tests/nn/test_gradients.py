"""Analytic gradients against central differences: all pairs of the registries."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.activations import ACTIVATIONS, Identity, Tanh
from sknet.nn.layers import LAYERS, Dense, Dropout
from sknet.nn.losses import LOSSES
from sknet.nn.network import Workspace
from sknet.nn.penalties import ElasticNet


def assert_gradients_agree(actual, expected):
    """Check to 1e-6 of each number, or of what differences resolve beside the largest one."""
    assert_allclose(actual, expected, rtol=1e-6, atol=1e-8 * max(np.abs(expected).max(), 1e-2))


@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("alpha", [0, 0.3], ids=["free", "penalized"])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_directional_derivative(
    activation,
    loss,
    n_outputs,
    weighted,
    alpha,
    as_sparse,
    make_problem,
    evaluate_objective,
    directional_derivative,
):
    hidden = ACTIVATIONS[activation]()
    objective, params, batch = make_problem(
        (Dense(5, hidden), Dense(4, hidden)),
        LOSSES[loss](),
        n_outputs,
        penalty=ElasticNet(alpha),
        weighted=weighted,
        as_sparse=as_sparse,
    )
    _, gradient = evaluate_objective(objective, params, batch)
    assert np.isfinite(gradient).all()
    constant = loss == "log_loss" and n_outputs == 1 and not alpha
    assert gradient.any() != constant
    # Differences have an error of their own, so a direction must not be nearly level by
    # chance: each is the gradient's and a random one.
    rng = np.random.default_rng(1)
    along = gradient / (np.linalg.norm(gradient) or 1)
    aside = rng.normal(size=params.size) / np.sqrt(params.size)
    for v in (along + aside, along - aside):
        expected = directional_derivative(
            lambda at: evaluate_objective(objective, at, batch)[0], params, v
        )
        assert_gradients_agree(gradient @ v, expected)


@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_coordinate(
    activation, loss, as_sparse, make_problem, evaluate_objective, numeric_gradient
):
    hidden = ACTIVATIONS[activation]()
    objective, params, batch = make_problem(
        (Dense(3, hidden), Dense(3, hidden)),
        LOSSES[loss](),
        2,
        n_inputs=3,
        penalty=ElasticNet(0.3),
        weighted=True,
        as_sparse=as_sparse,
    )
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_gradients_agree(gradient, expected)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(name, place, make_rule, make_problem, evaluate_objective, numeric_gradient):
    stack = [Dense(4, Tanh()), Dense(3, Tanh())]
    stack.insert(place, make_rule(LAYERS[name]))
    objective, params, batch = make_problem(stack, n_outputs=2, weighted=True)

    def at(params):
        # A new generator of the same seed draws the same masks.
        return evaluate_objective(objective, params, batch, np.random.default_rng(5))

    gradient = at(params)[1]
    assert np.count_nonzero(gradient) > params.size / 3
    assert_gradients_agree(gradient, numeric_gradient(lambda p: at(p)[0], params))


@pytest.mark.parametrize("rng_seed", [None, 5], ids=["predicting", "training"])
@pytest.mark.parametrize("name", LAYERS)
def test_gradient_of_the_inputs(name, rng_seed, make_rule, make_problem, numeric_gradient):
    stack = [Dense(4, Tanh()), make_rule(LAYERS[name])]
    objective, params, batch = make_problem(stack, n_outputs=2, weighted=True)
    workspace = Workspace(objective.network, batch.X.shape[0], np.float64, input_gradient=True)

    def loss(X):
        rng = None if rng_seed is None else np.random.default_rng(rng_seed)
        raw = objective.network.forward(params, X, workspace, rng)
        return objective.loss.mean(batch.y, raw, batch.sample_weight, workspace.delta)

    expected = numeric_gradient(loss, batch.X)
    loss(batch.X)
    gradient = np.empty_like(params)
    inputs = objective.network.backward(params, gradient, batch.X, workspace)
    assert inputs.shape == batch.X.shape
    assert np.count_nonzero(inputs) > inputs.size / 2
    assert_gradients_agree(inputs, expected)


def test_no_gradient_of_the_inputs_unless_asked_for(make_problem):
    objective, params, batch = make_problem()
    workspace = Workspace(objective.network, batch.X.shape[0], np.float64)
    assert "delta" not in workspace.buffers[0]
    raw = objective.network.forward(params, batch.X, workspace)
    objective.loss.mean(batch.y, raw, None, workspace.delta)
    gradient = np.empty_like(params)
    assert objective.network.backward(params, gradient, batch.X, workspace) is None


@pytest.mark.parametrize("loss", LOSSES)
def test_linear_model(loss, make_problem, evaluate_objective, numeric_gradient):
    objective, params, batch = make_problem((), LOSSES[loss](), 3, penalty=ElasticNet(0.1))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_gradients_agree(gradient, expected)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_agrees_with_float64(activation, loss, make_problem, evaluate_objective):
    objective, params, batch = make_problem(
        (Dense(5, ACTIVATIONS[activation]()), Dropout(0.2)), LOSSES[loss](), 3, weighted=True
    )
    # Without a generator: masks of the two dtypes differ.
    expected_value, expected = evaluate_objective(objective, params, batch)
    narrow = batch._replace(
        **{k: v.astype(np.float32) for k, v in batch._asdict().items() if v is not None}
    )
    value, gradient = evaluate_objective(objective, params.astype(np.float32), narrow)
    assert gradient.dtype == np.float32
    assert_allclose(value, expected_value, rtol=1e-5)
    assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_user_activation_that_is_not_registered(
    make_problem, evaluate_objective, numeric_gradient
):
    class Cube(Identity):
        needs_z = True

        def forward(self, z, a):
            np.power(z, 3, out=a)

        def backward(self, z, a, delta):
            delta *= 3 * z**2

    objective, params, batch = make_problem((Dense(4, Cube()),))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_gradients_agree(gradient, expected)


def test_a_wrong_gradient_is_noticed(make_problem, evaluate_objective, numeric_gradient):
    # The yardstick itself: an error of 1e-5 in one derivative must fail.
    class Wrong(Tanh):
        def backward(self, z, a, delta):
            super().backward(z, a, delta)
            delta *= 1 + 1e-5

    objective, params, batch = make_problem((Dense(4, Wrong()),))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_gradients_agree(gradient, expected)


@pytest.mark.parametrize("name", LAYERS)
def test_gradient_of_the_inputs_alone(name, make_rule, make_problem):
    stack = [Dense(4, Tanh()), make_rule(LAYERS[name])]
    objective, params, batch = make_problem(stack, n_outputs=2)
    results = []
    for gradient in (np.empty_like(params), None):
        workspace = Workspace(objective.network, 9, np.float64, input_gradient=True)
        raw = objective.network.forward(params, batch.X, workspace)
        objective.loss.mean(batch.y, raw, None, workspace.delta)
        results.append(objective.network.backward(params, gradient, batch.X, workspace))
    assert_array_equal(*results)
