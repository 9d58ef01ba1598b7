"""NNRegressor: outputs, units, penalty, and agreement with scikit-learn's linear models."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor

from sknet.nn.lbfgs import LBFGS
from sknet.nn.losses import Loss

QUICK = {
    "learning_rate": "cosine",
    "learning_rate_init": 0.02,
    "max_iter": 40,
    "batch_size": 10,
    "random_state": 0,
}


def quick(**parameters):
    return NNRegressor(**{"hidden_layer_sizes": (16,), **QUICK, **parameters})


def exact(**parameters):
    """Return a linear model that is trained until nothing improves."""
    defaults = {"solver": "lbfgs", "tol": 1e-8, "max_iter": 5000, "standardize": False}
    return NNRegressor((), **{**defaults, "alpha": 0.0, **parameters})


# Against scikit-learn's linear models.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
def test_without_hidden_layers_it_is_linear_regression(multioutput, weighted, standardize):
    X, Y = multioutput
    weight = np.random.default_rng(0).uniform(0.1, 3, len(Y)) if weighted else None
    X = np.clip(X, -1, 1) if standardize else X
    network = exact(standardize=standardize).fit(X, Y, sample_weight=weight)
    if standardize:
        # The smooth clip of the inputs is not linear: compare on what the network sees.
        X = network._model.encoder.transform(X, np.float64)
    reference = LinearRegression().fit(X, Y, sample_weight=weight)
    expected = reference.predict(X)
    raw = X @ network.coefs_[0] + network.intercepts_[0]
    if standardize:
        raw = raw * network._model.target.scale_ + network._model.target.mean_
    assert_allclose(raw, expected, rtol=1e-3, atol=1e-3)


def test_alpha_is_ridge_s_divided_by_the_number_of_rows(multioutput):
    X, Y = multioutput
    network = exact(alpha=0.3).fit(X, Y)
    reference = Ridge(alpha=0.3 * len(X)).fit(X, Y)
    assert_allclose(network.coefs_[0].T, reference.coef_, rtol=1e-4, atol=1e-4)
    assert_allclose(network.intercepts_[0], reference.intercept_, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("l1_ratio", [0.3, 1])
def test_alpha_and_l1_ratio_are_those_of_elastic_net(regression, l1_ratio):
    X, y = regression
    network = exact(alpha=0.3, l1_ratio=l1_ratio).fit(X, y)
    reference = ElasticNet(alpha=0.3, l1_ratio=l1_ratio, tol=1e-10).fit(X, y)
    coef = network.coefs_[0].ravel()
    assert_allclose(coef, reference.coef_, atol=1e-4)
    assert_array_equal(coef == 0, reference.coef_ == 0)
    assert (coef == 0).any()


def test_alpha_of_scikit_learn_divided_by_n_is_the_same_penalty(regression):
    # Both minimize the same function of the parameters: each finds no better than the other's
    # value at its own minimum, and from the same minimum neither moves.
    X, y = regression
    options = {"solver": "lbfgs", "tol": 1e-7, "max_iter": 5000, "max_fun": 10**6}
    theirs = MLPRegressor(
        hidden_layer_sizes=(4,), activation="tanh", alpha=2.0, random_state=0, **options
    ).fit(X, y)
    ours = NNRegressor(
        (4,), "tanh", alpha=2.0 / len(y), standardize=False, warm_start=True, **options
    )
    ours.set_params(max_iter=1)
    with pytest.warns(ConvergenceWarning):
        ours.fit(X, y)
    for name in ["coefs_", "intercepts_"]:
        for mine, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            mine[:] = other
    ours.set_params(max_iter=5000).fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-2)
    assert_allclose(ours.loss_, theirs.loss_, rtol=1e-5)


# Units and outputs.


@pytest.mark.parametrize("early_stopping", [False, True])
def test_units_of_y_do_not_matter(regression, early_stopping):
    X, y = regression
    network = quick(early_stopping=early_stopping)
    expected = network.fit(X, y).score(X, y)
    assert expected > LinearRegression().fit(X, y).score(X, y)
    for scale, offset in [(1e-3, 0), (1e3, 0), (1, 1e4), (1e-100, 0), (1e100, 0)]:
        changed = y * scale + offset
        score = network.fit(X, changed).score(X, changed)
        assert score == pytest.approx(expected, abs=1e-3), (scale, offset)


def test_units_of_x_do_not_matter(regression):
    X, y = regression
    expected = quick().fit(X, y).predict(X)
    changed = X * [1e-3, 1, 1e3, 1e-10, 1e10] + [0, 1e3, 1e5, 0, 0]
    assert_allclose(quick().fit(changed, y).predict(changed), expected, rtol=1e-4, atol=1e-4)


def test_every_output_is_learned_whatever_its_units(multioutput):
    X, Y = multioutput
    network = quick(max_iter=150).fit(X, Y)
    prediction = network.predict(X)
    assert prediction.shape == Y.shape
    assert network.n_outputs_ == 3
    r2 = 1 - ((prediction - Y) ** 2).sum(axis=0) / ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
    assert r2.min() > 0.85


def test_the_reported_loss_is_half_the_squared_error_of_standardized_y(multioutput):
    X, Y = multioutput
    weight = np.random.default_rng(0).uniform(0.1, 3, len(Y))
    network = quick(batch_size=1000, alpha=0.0, warm_start=True, max_iter=1)
    network.fit(X, Y, sample_weight=weight)
    mean = np.average(Y, axis=0, weights=weight)
    scale = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weight))
    error = (network.predict(X) - Y) / scale
    expected = np.average((error**2).sum(axis=1) / 2, weights=weight)
    assert_allclose(network.fit(X, Y, sample_weight=weight).loss_, expected, rtol=1e-9)


def test_a_penalty_is_part_of_the_reported_loss(regression):
    X, y = regression
    network = quick(alpha=0.5, l1_ratio=0.3, batch_size=1000, warm_start=True, max_iter=1)
    network.fit(X, y)
    W = np.concatenate([W.ravel() for W in network.coefs_])
    error = (network.predict(X) - y) / y.std()
    penalty = 0.5 * (0.3 * np.abs(W).sum() + 0.7 / 2 * (W**2).sum())
    expected = np.mean(error**2) / 2 + penalty
    assert_allclose(network.fit(X, y).loss_, expected, rtol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 1.0, -1e9, 1e-30])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_constant_target(regression, constant, solver):
    X, _ = regression
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    network = quick(solver=solver, learning_rate=learning_rate, max_iter=200)
    network.fit(X, np.full(len(X), constant))
    assert_allclose(network.predict(X), constant, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_one_row(solver):
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    network = quick(solver=solver, learning_rate=learning_rate, max_iter=200)
    network.fit([[1.0, 2.0]], [3.0])
    assert_allclose(network.predict([[1.0, 2.0]]), 3.0, atol=0.1)


def test_a_column_of_y(regression):
    X, y = regression
    expected = quick().fit(X, y).predict(X)
    with pytest.warns(DataConversionWarning):
        network = quick().fit(X, y[:, np.newaxis])
    assert_array_equal(network.predict(X), expected)


def test_outputs_may_be_constant(regression):
    X, y = regression
    network = quick(max_iter=150).fit(X, np.column_stack([y, np.full(len(y), 7.0)]))
    assert_allclose(network.predict(X)[:, 1], 7, atol=0.3)


# Rows.


def test_weights_are_repetitions(regression):
    X, y = regression
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    for options in [{"batch_size": 10_000}, {"solver": "lbfgs", "learning_rate": "constant"}]:
        network = quick(tol=1e-3, max_iter=300, **options)
        weighted = network.fit(X, y, sample_weight=weight).predict(X)
        repeated = clone(network).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert_allclose(weighted, repeated.predict(X), rtol=1e-4, atol=1e-4)
        assert not np.allclose(weighted, network.fit(X, y).predict(X), atol=1e-2)
        # Only ratios of weights matter.
        scaled = network.fit(X, y, sample_weight=weight * 1e-5).predict(X)
        assert_allclose(scaled, weighted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_predictions(regression, dtype):
    X, y = regression
    for fit_dtype in [np.float32, np.float64]:
        network = quick(max_iter=1).fit(X.astype(fit_dtype), y)
        assert network.predict(X.astype(dtype)).dtype == dtype
    assert network.predict(X.astype(int)).dtype == np.float64


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_small_differences_around_a_large_offset(solver):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 1))
    X = x * 1e-3 + 1e6
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    network = quick(solver=solver, learning_rate=learning_rate, batch_size=100, tol=1e-3)
    network.set_params(max_iter=100).fit(X, x[:, 0])
    assert network.score(X, x[:, 0]) > 0.95


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_equal_dense_ones(multioutput, solver):
    X, Y = multioutput
    X, Y = np.where(np.abs(X) < 0.5, 0, X), Y / Y.std(axis=0)
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    network = quick(standardize=False, solver=solver, learning_rate=learning_rate)
    network.set_params(tol=0.02, max_iter=40 if solver == "adam" else 400)
    expected = clone(network).fit(X, Y).predict(X)
    for as_sparse in [sparse.csr_matrix, sparse.csc_array]:
        actual = clone(network).fit(as_sparse(X), Y).predict(as_sparse(X))
        assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_sparse_rows_are_scaled_inside(regression):
    X, y = regression
    X = np.where(np.abs(X) < 0.3, 0, X)
    expected = quick().fit(sparse.csr_matrix(X), y).predict(X)
    changed = X * [1e-3, 1, 1e3, 1e-6, 1e6]
    network = quick().fit(sparse.csr_matrix(changed), y)
    assert network.score(changed, y) > 0.8
    assert_allclose(network.predict(changed), expected, rtol=1e-6, atol=1e-6)


def test_outliers_do_not_spoil_the_scaling(regression):
    X, y = regression
    X = X.copy()
    X[0] = 1e12
    network = quick().fit(X, y)
    linear = LinearRegression().fit(X[1:], y[1:])
    assert network.score(X[1:], y[1:]) > linear.score(X[1:], y[1:])


def test_large_tables_go_block_by_block():
    # More elements than one block of rows of the widest layer holds.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 3))
    network = quick(hidden_layer_sizes=(400,), max_iter=1, batch_size=3000, dtype="float64")
    network.fit(X, X[:, 0])
    whole = network.predict(X)
    assert_allclose(np.concatenate([network.predict(X[:7]), network.predict(X[7:])]), whole)


# What a fit reports.


def test_counts(regression):
    X, y = regression
    network = quick(max_iter=7).fit(X, y)
    assert network.n_iter_ == len(network.loss_curve_) == 7
    assert network.t_ == 7 * len(y)
    assert network.loss_ == network.loss_curve_[-1]
    assert network.best_loss_ == min(network.loss_curve_)
    assert network.best_iter_ == np.argmin(network.loss_curve_) + 1
    both = network.history_["loss"], network.history_["penalty"]
    assert network.loss_curve_ == np.sum(both, axis=0).tolist()
    assert {len(values) for values in network.history_.values()} == {7}
    assert min(network.history_["seconds"]) >= 0
    weight = np.r_[np.zeros(20), np.ones(len(y) - 20)]
    # A row of no weight is not there, and those held out are trained on in two epochs.
    assert network.fit(X, y, sample_weight=weight).t_ == 7 * 100
    assert network.set_params(early_stopping=True).fit(X, y, weight).t_ == 5 * 90 + 2 * 100
    assert network.set_params(refit=False).fit(X, y, weight).t_ == 7 * 90


def test_the_learning_rate_is_recorded(regression):
    X, y = regression

    def rates(**parameters):
        network = quick(batch_size=len(y), learning_rate_init=0.01, max_iter=6, **parameters)
        return network.set_params(n_iter_no_change=np.inf).fit(X, y).history_["learning_rate"]

    assert_allclose(rates(learning_rate="constant"), 0.01)
    epochs = np.arange(6)
    assert_allclose(rates(), 0.01 * (1 + np.cos(np.pi * epochs / 6)) / 2)
    expected = 0.01 / (epochs * len(y) + 1) ** 0.7
    for solver in ["sgd", "adam", "rmsprop", "adamw"]:
        assert_allclose(rates(learning_rate="invscaling", power_t=0.7, solver=solver), expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_adaptive_rate_falls_by_five_on_a_plateau(regression, early_stopping):
    X, y = regression
    network = NNRegressor(
        (3,),
        learning_rate="adaptive",
        learning_rate_init=1e-5,
        n_iter_no_change=3,
        tol=0.5,  # nothing improves by a half
        early_stopping=early_stopping,
        random_state=0,
    ).fit(X, y)
    # One epoch to start, three to stall at each rate, until 1e-6 is passed.
    expected = [1e-5] * 4 + [2e-6] * 3 + [4e-7] * 3
    assert_allclose(network.history_["learning_rate"], expected)


def test_a_warning_where_epochs_run_out(regression):
    X, y = regression
    for parameters in [
        {"learning_rate": "constant"},
        {"learning_rate": "invscaling", "power_t": 0.01},
        {"learning_rate": "adaptive"},
        {"solver": "lbfgs", "learning_rate": "constant"},
    ]:
        with pytest.warns(ConvergenceWarning, match=r"ended at iteration 3 \(max_iter=3\)"):
            quick(max_iter=3, **parameters).fit(X, y)


def test_no_warning_where_the_rate_decays_or_all_epochs_are_asked_for(regression):
    # Warnings are errors here.
    X, y = regression
    for learning_rate in ["cosine", "one_cycle", "coslog"]:
        assert quick(max_iter=3, learning_rate=learning_rate).fit(X, y).n_iter_ == 3
    network = quick(max_iter=3, learning_rate="constant", n_iter_no_change=np.inf)
    assert network.fit(X, y).n_iter_ == 3


@pytest.mark.parametrize(
    "options", [{"solver": "lbfgs", "max_fun": 5}, {"solver": LBFGS(max_fun=5)}]
)
def test_max_fun_bounds_the_evaluations(regression, options):
    X, y = regression
    network = NNRegressor((9,), random_state=0, **options)
    with pytest.warns(ConvergenceWarning, match=r"\(max_fun=5\)"):
        network.fit(X, y)
    assert network.n_iter_ <= 5


# Options of the solvers act.


@pytest.mark.parametrize(
    ("solver", "parameters"),
    [
        ("sgd", {"momentum": 0.3}),
        ("sgd", {"nesterovs_momentum": False}),
        ("adam", {"beta_1": 0.5}),
        ("adam", {"beta_2": 0.5}),
        ("adam", {"epsilon": 0.1}),
        ("adamw", {"alpha": 0.5}),
        ("rmsprop", {"epsilon": 0.1}),
    ],
    ids=str,
)
def test_options_of_the_solver(regression, solver, parameters):
    X, y = regression
    plain = quick(solver=solver, max_iter=3).fit(X, y).predict(X)
    changed = quick(solver=solver, max_iter=3, **parameters).fit(X, y).predict(X)
    assert not np.allclose(plain, changed, rtol=1e-3)


def test_adamw_decays_outside_of_the_objective(regression):
    X, y = regression
    network = quick(solver="adamw", alpha=10.0, max_iter=30)
    network.fit(X, y)
    plain = quick(solver="adamw", alpha=0.0, max_iter=30).fit(X, y)
    assert np.abs(network.coefs_[0]).sum() < 0.7 * np.abs(plain.coefs_[0]).sum()
    # The first loss is that of the initial parameters, and has no penalty.
    first, same = (
        quick(solver="adamw", alpha=alpha, max_iter=1, batch_size=1000).fit(X, y).loss_
        for alpha in [0.0, 10.0]
    )
    assert first == same


# A user's own loss.


class Median(Loss):
    """l = |raw - y|, written as a user would: no dataclass, no registration."""

    def __init__(self, level=0.5):
        self.level = level

    def pointwise(self, y, raw, gradient_out):
        above = raw > y
        gradient_out[...] = np.where(above, 1 - self.level, -self.level)
        return ((raw - y) * gradient_out).sum(axis=1)


def test_losses_with_different_attributes_differ():
    assert Median(0.3) == Median(0.3) != Median(0.9)


def test_values_that_are_not_one_per_row_are_refused():
    class Columns(Median):
        def pointwise(self, y, raw, gradient_out):
            return super().pointwise(y, raw, gradient_out)[:, np.newaxis]

    with pytest.raises(ValueError, match=r"pointwise must return one value .* shape \(20, 1\)"):
        quick(loss=Columns()).fit(np.zeros((20, 1)), np.arange(20.0))


def test_a_loss_of_the_user():
    rng = np.random.default_rng(0)
    X, y = np.zeros((400, 1)), rng.exponential(size=400)
    for level in [0.3, 0.9]:
        network = quick(
            hidden_layer_sizes=(), loss=Median(level), max_iter=100, learning_rate_init=0.05
        ).fit(X, y)
        assert np.mean(y < network.predict(X)[0]) == pytest.approx(level, abs=0.02)


def test_a_loss_of_the_user_in_a_grid_and_on_disk(regression):
    X, y = regression
    search = GridSearchCV(
        quick(), {"loss": [Median(0.5), Median(0.99), "squared_error"]}, cv=2
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > scores[1]
    assert len(set(scores)) == 3
    network = quick(loss=Median()).fit(X, y)
    for again in [pickle.loads(pickle.dumps(network)), copy.deepcopy(network)]:
        assert_array_equal(again.predict(X), network.predict(X))


@pytest.mark.parametrize("constant", [3e-9, 5.0, -1e9])
def test_a_constant_is_predicted(constant):
    """Far from the training rows too, a prediction is near the only value that y had."""
    X = np.random.default_rng(0).normal(size=(20, 3))
    network = NNRegressor((4,), max_iter=20, n_iter_no_change=np.inf, random_state=0)
    network.fit(X, np.full(20, constant))
    assert_allclose(network.predict(np.vstack([X, 10 * X])), constant, rtol=1e-2)


@pytest.mark.parametrize(("offset", "warns"), [(0, False), (1e6, False), (1e8, True)])
def test_float32_that_rounds_y_away_gives_a_warning(offset, warns):
    rng = np.random.default_rng(0)
    X, network = rng.normal(size=(60, 2)), NNRegressor(max_iter=2, learning_rate="cosine")
    y = offset + X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.fit(X, y).predict(X)
        network.fit(X.astype(np.float32), np.full(60, offset))  # A constant is no signal.
        if not warns:
            network.fit(X.astype(np.float32), y)
    if warns:
        with pytest.warns(UserWarning, match="float32 rounds an output of y"):
            network.fit(X.astype(np.float32), y)


@pytest.mark.parametrize("later", [False, True])
def test_text_that_is_no_finite_number_is_refused(regression, later):
    X, y = regression
    text = y.astype(str).astype(object)
    text[3] = "nan"
    validation = {"X_val": X, "y_val": text} if later else {}
    with pytest.raises(ValueError, match="not finite numbers, such as 'nan' as text"):
        NNRegressor((4,), early_stopping=True).fit(X, y if later else text, **validation)
