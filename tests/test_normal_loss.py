"""The loss "normal": a mean and a standard deviation for each row."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNRegressor
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.metrics import r2_score

import sknet
from sknet.nn.losses import NormalLikelihood

EXACT = {"solver": "lbfgs", "alpha": 0.0, "tol": 0.0, "max_iter": 5000, "random_state": 0}
BRIEF = {"max_iter": 5, "learning_rate": "cosine", "learning_rate_init": 0.01}
BRIEF |= {"loss": "normal", "random_state": 0}


def uneven(n_rows, seed=0):
    """Return rows, y with noise that grows along a column, and the deviation of the noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n_rows, 2))
    std = 3 * np.exp(X[:, 1])
    return X, 500 + 10 * np.sin(3 * X[:, 0]) + std * rng.normal(size=n_rows), std


def members_by_hand(network, X):
    """Return means and standard deviations in the units of y, as (rows, members, outputs)."""
    (raw,) = network._model.predict(X, lambda raw: (raw,))
    raw = raw.reshape(len(raw), network._model.n_members, -1)
    target = network._model.target
    mean = raw[..., ::2] * target.scale_ + target.mean_
    return mean, np.exp(raw[..., 1::2]) * target.scale_


# What is estimated.


def test_the_standard_deviation_is_the_true_one():
    X, y, true = uneven(8000)
    network = sknet.NNRegressor(loss="normal", random_state=0).fit(X[:6000], y[:6000])
    mean, std = network.predict(X[6000:], return_std=True)
    assert np.mean(np.abs(std / true[6000:] - 1)) < 0.1
    z = (y[6000:] - mean) / std
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.02)
    assert network.score(X, y) == r2_score(y, network.predict(X))


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_intercept_alone_has_the_moments_of_y(standardize, weighted):
    rng = np.random.default_rng(0)
    y = rng.gamma(2, size=300) + 50
    weight = rng.uniform(0.1, 3, 300) if weighted else None
    network = NNRegressor((), loss="normal", standardize=standardize, **EXACT)
    network.fit(np.zeros((300, 1)), y, weight)
    mean, std = network.predict(np.zeros((1, 1)), return_std=True)
    expected = np.average(y, weights=weight)
    assert_allclose(mean, expected, rtol=1e-5)
    expected = np.sqrt(np.average((y - expected) ** 2, weights=weight))
    assert_allclose(std, expected, rtol=1e-4)


def test_without_hidden_layers_it_is_the_most_likely_linear_model():
    X, y, _ = uneven(400)
    network = NNRegressor((), loss="normal", standardize=False, **EXACT).fit(X, y)
    features = np.column_stack([np.ones(400), X])

    def minus_log_likelihood(beta):
        mean, log_std = features @ beta[:3], features @ beta[3:]
        return np.mean(log_std + ((y - mean) / np.exp(log_std)) ** 2 / 2)

    start = np.r_[y.mean(), 0, 0, np.log(y.std()), 0, 0]
    best = minimize(minus_log_likelihood, start, options={"gtol": 1e-8}).x
    found = np.vstack([network.intercepts_[0], network.coefs_[0]])
    assert_allclose(found[:, 0], best[:3], rtol=1e-3, atol=1e-2)
    assert_allclose(found[:, 1], best[3:], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_law_of_total_variance(n_members, n_outputs):
    """The variance is the mean of the members' variances plus the variance of their means."""
    X, y, _ = uneven(200)
    Y = y if n_outputs == 1 else np.column_stack([y, -1e-3 * y])
    network = NNRegressor((8,), n_members=n_members, **BRIEF).fit(X, Y)
    means, stds = members_by_hand(network, X)
    mean, std = network.predict(X, return_std=True)
    assert mean.shape == std.shape == Y.shape
    within, between = (stds**2).mean(axis=1), means.var(axis=1)
    assert_allclose(mean.reshape(200, -1), means.mean(axis=1), rtol=1e-10)
    assert_allclose(std.reshape(200, -1) ** 2, within + between, rtol=1e-8)
    assert (between > 0).all() == (n_members > 1)
    assert_array_equal(network.predict(X), mean)


@pytest.mark.parametrize(("factor", "shift"), [(1000.0, 0.0), (1e-5, 0.0), (1.0, 700.0)])
def test_the_standard_deviation_is_in_y_s_units(factor, shift):
    X, y, _ = uneven(200)
    one = NNRegressor((8,), **BRIEF, dtype="float64").fit(X, y)
    other = clone(one).fit(X, factor * y + shift)
    (mean, std), (mean_of_other, std_of_other) = (
        network.predict(X, return_std=True) for network in (one, other)
    )
    assert_allclose(mean_of_other, factor * mean + shift, rtol=1e-5)
    assert_allclose(std_of_other, factor * std, rtol=1e-4)


@pytest.mark.parametrize("loss", ["normal", "squared_error"])
@pytest.mark.parametrize("power", [-1000, -530, -40, 300])
def test_the_unit_of_y_is_no_matter(power, loss):
    """In units that are a power of two smaller, all that is predicted is so, bit for bit."""
    X, y, _ = uneven(100)
    options = {**BRIEF, "loss": loss, "n_members": 3, "dtype": "float64"}
    one, other = (NNRegressor((8,), **options).fit(X, y * f) for f in (1.0, 2.0**power))
    expected = one.predict(X, return_std=True)
    for array, in_units in zip(expected, other.predict(X, return_std=True), strict=True):
        assert (array > 0).all()
        assert_array_equal(in_units, np.ldexp(array, power))


# The training.


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("n_members", [1, 3])
def test_training_starts_at_the_distribution_of_y(standardize, n_members):
    X, y, _ = uneven(200)
    Y = np.column_stack([y, np.full(200, 7.0), 1e4 * y])
    options = {**BRIEF, "max_iter": 1, "learning_rate_init": 1e-12, "dtype": "float64"}
    network = NNRegressor((8,), standardize=standardize, n_members=n_members, **options)
    mean, std = network.fit(X, Y).predict(X, return_std=True)
    assert_allclose(mean, np.tile(Y.mean(axis=0), (200, 1)), rtol=1e-6)
    constant = 7 / 1024 if standardize else 1
    expected = [y.std(), constant, 1e4 * y.std()]
    assert_allclose(std, np.tile(expected, (200, 1)), rtol=1e-6)


def test_early_stopping_watches_the_likelihood_of_the_ensemble(monkeypatch):
    monkeypatch.setattr(NormalLikelihood, "has_temperature", False)
    X, y, _ = uneven(300)
    network = NNRegressor((8,), n_members=3, early_stopping=True, dtype="float64", **BRIEF)
    network.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    mean, std = network.predict(X[200:], return_std=True)
    scale = network._model.target.scale_[0]
    rows = np.log(std / scale) + ((y[200:] - mean) ** 2 + (1e-3 * scale) ** 2) / std**2 / 2
    best = network.history_["validation_loss"][network.best_iter_ - 1]
    assert best == pytest.approx(rows.mean(), rel=1e-10)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:Training ended at:sklearn.exceptions.ConvergenceWarning")
def test_held_out_rows_calibrate_the_standard_deviation(solver, monkeypatch):
    """A network that knows its training rows by heart is too certain of others."""
    X, y, _ = uneven(1100)
    options = {"loss": "normal", "scoring": lambda *args: 0.0, "n_iter_no_change": 60}
    options |= {"max_iter": 60, "learning_rate_init": 0.01, "random_state": 0}
    network = NNRegressor((40,), solver=solver, early_stopping=True, **options)

    def fitted():
        one = clone(network).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        mean, std = one.predict(X[100:], return_std=True)
        return mean, std, np.mean(((y[100:] - mean) / std) ** 2)

    mean, std, square = fitted()
    monkeypatch.setattr(NormalLikelihood, "has_temperature", False)
    mean_before, std_before, square_before = fitted()
    assert_allclose(mean, mean_before, rtol=1e-6)
    assert_allclose(std / std_before, std[0] / std_before[0], rtol=1e-4)
    assert abs(square - 1) < 0.05 < abs(square_before - 1)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_only_a_stochastic_solver_weighs_its_steps(solver):
    X, y, _ = uneven(200)
    one, other = (
        NNRegressor((4,), solver=solver, loss=NormalLikelihood(beta=beta), max_iter=5,
                    n_iter_no_change=np.inf, tol=1.0, random_state=0).fit(X, y)
        for beta in (0.0, 1.0)
    )  # fmt: skip
    equal = np.array_equal(one.predict(X), other.predict(X))
    assert equal == (solver == "lbfgs")


def test_rows_that_are_predicted_exactly_have_a_least_standard_deviation():
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = X @ [0.3, -0.4]
    loss = NormalLikelihood(noise=0.01)
    network = NNRegressor((), loss=loss, standardize=False, **EXACT).fit(X, y)
    mean, std = network.predict(X, return_std=True)
    assert_allclose(mean, y, atol=1e-4)
    assert_allclose(std, 0.01, rtol=1e-2)


# The estimator's protocol.


def test_float32_stays_float32():
    X, y, _ = uneven(200)
    network = NNRegressor((8,), dtype="float32", early_stopping=True, **BRIEF)
    for one in network.fit(X.astype(np.float32), y).predict(X[:3].astype("f"), return_std=True):
        assert one.dtype == np.float32
    assert network._model.params.dtype == np.float32


def test_it_is_copied_and_stored(tmp_path):
    X, y, _ = uneven(200)
    network = NNRegressor((4,), **{**BRIEF, "loss": NormalLikelihood(noise=0.01, beta=0)})
    network.fit(X, y)
    assert clone(network).loss == NormalLikelihood(0.01, 0)
    again = pickle.loads(pickle.dumps(network))
    for one, other in zip(
        again.predict(X, return_std=True), network.predict(X, return_std=True), strict=True
    ):
        assert_array_equal(one, other)


def test_a_warm_start_goes_on_and_refuses_another_loss():
    X, y, _ = uneven(200)
    network = NNRegressor((4,), warm_start=True, **BRIEF).fit(X, y)
    before = network.loss_
    assert network.fit(X, y).loss_ < before
    network.set_params(loss="squared_error")
    with pytest.raises(
        ValueError, match="The loss, its quantile or target_weights has changed"
    ):
        network.fit(X, y)


def test_attributes_of_the_output_layer():
    X, y, _ = uneven(200)
    network = NNRegressor((4,), **BRIEF).fit(X, np.column_stack([y, y]))
    assert network.n_outputs_ == 2
    assert network.coefs_[-1].shape == (4, 4)
    assert network.out_activation_ == "identity"


def test_each_output_has_its_own_correction():
    """The noise of one output says nothing about the noise of another."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (3000, 3))
    signal = np.column_stack([X[:, 0] * X[:, 1], np.sin(3 * X[:, 2]), np.zeros(3000)])
    Y = signal + np.array([0.02, 0.02, 1.0]) * rng.normal(size=(3000, 3))
    network = sknet.NNRegressor(loss="normal", random_state=0).fit(X[:1500], Y[:1500])
    mean, std = network.predict(X[1500:], return_std=True)
    scores = ((Y[1500:] - mean) / std).std(axis=0)
    assert_allclose(scores, 1, atol=0.3)
