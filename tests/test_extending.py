"""The documentation's examples of a user's own rules run and do what the page says."""

import runpy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import NNRegressor, _building
from sknet.data.batches import Batch
from sknet.inspection import input_gradients, integrated_gradients
from sknet.nn.activations import Identity, Tanh
from sknet.nn.layers import Dense
from sknet.nn.losses import SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Objective
from sknet.nn.sets import ElasticNet

ROOT = Path(__file__).parents[1]
FILES = {path.stem: path for path in sorted((ROOT / "examples/extending").glob("*.py"))}
if not find_spec("sklearn.callback"):
    # Callbacks need scikit-learn 1.9.
    del FILES["callback"]


@pytest.fixture(scope="module")
def run():
    """Return a function that runs a file once and returns its namespace."""
    done = {}

    def run(name):
        if name not in done:
            done[name] = runpy.run_path(str(FILES[name]))
        return done[name]

    return run


@pytest.mark.parametrize("name", [name for name in FILES if name != "callback"])
def test_it_learns(name, run):
    # y is a nonlinear function of two columns. R2 of a network that learned nothing is 0.
    namespace = run(name)
    X, y = namespace["X"], namespace["y"]
    predictions = (
        namespace["prediction"] if name == "layer" else namespace["network"].predict(X)
    )
    assert 1 - np.mean((y - predictions) ** 2) / np.var(y) > 0.9


def test_page_includes_every_file():
    page = (ROOT / "docs" / "extending.md").read_text()
    assert [path.name for path in FILES.values() if f"extending/{path.name}" not in page] == []


def test_activation_is_its_formula_and_derivative(run):
    squareplus = run("activation")["Squareplus"]()
    z = np.linspace(-3, 3, 13)[:, np.newaxis]

    def f(z):
        return (z + np.sqrt(z**2 + 4)) / 2

    a, delta = z.copy(), np.full_like(z, 2.0)
    squareplus.forward(a, a)
    assert_allclose(a, f(z), rtol=1e-14)
    squareplus.backward(a, a, delta)
    assert_allclose(delta, (f(z + 1e-6) - f(z - 1e-6)) / 1e-6, rtol=1e-8)


def test_loss_is_its_formula_and_derivative(run):
    loss = run("loss")["LogCosh"]()
    rng = np.random.default_rng(0)
    y, raw = rng.normal(size=(2, 6, 2))
    gradient, room = np.empty_like(raw), np.empty_like(raw)
    value = loss.pointwise(y, raw, gradient)
    narrow = [array.astype(np.float32) for array in (y, raw, gradient)]
    assert loss.pointwise(*narrow).dtype == np.float32
    assert_allclose(value, np.log(np.cosh(raw - y)).sum(axis=1), rtol=1e-12)
    for column in range(2):
        step = 1e-6 * np.eye(2)[column]
        difference = loss.pointwise(y, raw + step, room) - loss.pointwise(y, raw - step, room)
        assert_allclose(gradient[:, column], difference / 2e-6, rtol=1e-6, atol=1e-9)
    far = np.array([[1e6]])
    assert_allclose(loss.pointwise(np.zeros((1, 1)), far, np.empty((1, 1))), 1e6 - np.log(2))


def test_optimizer_follows_its_formula(run):
    lion = run("optimizer")["Lion"](beta_1=0.5, beta_2=0.8)
    params, m = np.array([1.0, -2.0, 0.5]), np.zeros(3)
    expected = params.copy()
    state = lion.init(3, np.float64)
    for t, gradient in enumerate(np.random.default_rng(0).normal(size=(5, 3)), start=1):
        lion.step(params, gradient.copy(), state, t, 0.1)
        expected -= 0.1 * np.sign(0.5 * m + 0.5 * gradient)
        m = 0.8 * m + 0.2 * gradient
    assert_allclose(params, expected, rtol=1e-14)


def test_schedule_rises_and_falls(run):
    schedule = run("schedule")["WarmUpThenLine"](warm_up=0.2)
    factors = [schedule(progress, 0) for progress in (0, 0.1, 0.2, 0.6, 1)]
    assert_allclose(factors, [0, 0.5, 1, 0.5, 0], atol=1e-15)


@pytest.mark.parametrize("n_members", [1, 3])
def test_embedding_works_in_ensembles_and_with_attributions(n_members, run):
    X, y = run("embedding")["X"][:40], run("embedding")["y"][:40]
    options = {"learning_rate": "cosine", "max_iter": 5, "random_state": 0}
    embedding = run("embedding")["SignedLog"]()
    network = NNRegressor((4,), "tanh", numeric_embedding=embedding, n_members=n_members)
    network.set_params(**options).fit(X, y)
    assert network.coefs_[0].shape == (2 * 3, 4)
    assert_agrees_with_differences(network, X[:5])


def test_layer_has_the_gradient_of_differences(run):
    gate = run("layer")["Gate"]()
    network = Network((Dense(4, Tanh()), gate, Dense(2, Identity())), n_inputs=3)
    rng = np.random.default_rng(0)
    params = network.init(rng)
    params += rng.normal(scale=0.3, size=params.size)
    batch = Batch(rng.normal(size=(6, 3)), rng.normal(size=(6, 2)))
    objective = Objective(network, SquaredError(), ElasticNet())
    workspace = Workspace(network, 6, params.dtype)
    gradient, room = np.empty_like(params), np.empty_like(params)
    objective.loss_and_gradient(params, batch, workspace, gradient)
    for i, step in enumerate(1e-6 * np.eye(params.size)):
        above, below = (
            objective.loss_and_gradient(params + s, batch, workspace, room)
            for s in (step, -step)
        )
        assert_allclose(gradient[i], (above - below) / 2e-6, rtol=1e-5, atol=1e-8)


def assert_agrees_with_differences(network, rows):
    """Check the gradients of predictions by the columns of X."""
    steps = 1e-5 * np.eye(rows.shape[1])
    differences = np.transpose(
        [(network.predict(rows + s) - network.predict(rows - s)) / 2e-5 for s in steps]
    )
    assert_allclose(input_gradients(network, rows), differences, rtol=1e-5, atol=1e-7)


@pytest.fixture
def gated(run, monkeypatch):
    """Return a regressor that has a gate after each hidden layer, fitted to random rows."""
    gate, hidden_layers = run("layer")["Gate"](), _building._hidden_layers

    def with_gates(*given):
        layers, order = hidden_layers(*given)
        return [one for layer in layers for one in (layer, gate)], order

    def fit(n_members, **options):
        monkeypatch.setattr(_building, "_hidden_layers", with_gates)
        rng = np.random.default_rng(0)
        X = rng.normal(size=(120, 3))
        plain = {"learning_rate": "cosine", "dropout": 0.0, "max_iter": 10, "dtype": "float64"}
        options = plain | options
        network = NNRegressor((6, 4), "tanh", n_members=n_members, random_state=0, **options)
        return network.fit(X, np.abs(X[:, 0]) + X[:, 1]), X

    return fit


@pytest.mark.parametrize("embedding", [None, "periodic"])
@pytest.mark.parametrize("n_members", [1, 3])
def test_layer_works_in_ensembles_and_with_attributions(n_members, embedding, gated):
    network, X = gated(n_members, numeric_embedding=embedding)
    rows, start = X[:5], np.zeros((1, 3))
    assert_agrees_with_differences(network, rows)
    parts = integrated_gradients(network, rows, baseline=start[0])
    assert_allclose(parts.sum(axis=1), network.predict(rows) - network.predict(start))
    # Training has changed the factors of each member.
    gates = [
        one
        for one in network._model.network.views(network._model.params)
        if hasattr(one, "factor")
    ]
    assert [gate.factor.size for gate in gates] == [6 * n_members, 4 * n_members]
    assert all((gate.factor != 1).all() for gate in gates)


def test_layer_closes_the_gates_of_columns_that_do_not_count(run):
    gates = run("layer")["gates"]
    assert_array_equal(gates != 0, [True, True, *[False] * 6])


@pytest.mark.parametrize("name", FILES.keys() & {"callback"})
def test_callback_stops_at_the_first_loss_that_is_low_enough(name, run):
    losses = run(name)["network"].loss_curve_
    assert losses[-1] <= 0.1
    assert min(losses[:-1]) > 0.1
