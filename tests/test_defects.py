"""The estimators lack the known defects of scikit-learn's MLPs; each has a test."""

import pickle
import warnings
from dataclasses import dataclass

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge

from sknet.nn.losses import SquaredError
from sknet.nn.schedules import Schedule

# A learning rate so small that no step improves the loss by a relative 1e-4.
STANDSTILL = 1e-12


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("standardize", [True, False])
def test_01_weights_are_normalized_once(solver, standardize):
    # Normalized per batch, a heavy row counts no more in its batch of ten than all the
    # light ones together: the constant fitted is then about 0.34, not 0.84.
    heavy = np.arange(200) % 20 == 0
    weight = np.where(heavy, 100.0, 1.0)
    X, y = np.zeros((200, 1)), heavy.astype(float)
    mean = np.average(y, weights=weight)
    options = {
        "solver": solver,
        "batch_size": 10,
        "learning_rate": "cosine",
        "learning_rate_init": 0.01,
        "max_iter": 200,
        "standardize": standardize,
        "random_state": 0,
    }
    regressor = NNRegressor((), **options).fit(X, y, sample_weight=weight)
    assert_allclose(regressor.predict(X), mean, atol=0.01)
    classifier = NNClassifier((), **options).fit(X, heavy, sample_weight=weight)
    assert_allclose(classifier.predict_proba(X)[:, 1], mean, atol=0.01)


def test_02_a_batch_without_weight_is_harmless(problem):
    # Unshuffled, half of the batches of ten would have weight zero.
    X, y = problem.X[:100], problem.y[:100]
    weight = np.where(np.arange(100) < 50, 0.0, 2.0)
    network = problem.cls(
        (5,), batch_size=10, shuffle=False, learning_rate="cosine", max_iter=5, random_state=0
    )
    network.fit(X, y, sample_weight=weight)
    predictions = network.predict(X)
    assert np.isfinite(network.loss_curve_).all()
    assert_array_equal(predictions, network.fit(X[50:], y[50:]).predict(X))


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_03_loss_and_gradient_belong_together(n_outputs):
    # A small step of -lr g lowers the reported loss by lr |g|^2 = |step|^2 / lr; with a loss
    # averaged over outputs, and a gradient that is not, by n_outputs times less.
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, n_outputs)).squeeze()
    rate = 1e-5
    network = NNRegressor(
        (4,), "tanh", solver="sgd", momentum=0, batch_size=40, learning_rate_init=rate
    )
    flat = []
    for _ in range(3):
        network.partial_fit(X, Y)
        flat.append(np.concatenate([a.ravel() for a in network.coefs_ + network.intercepts_]))
    expected = np.sum((flat[1] - flat[0]) ** 2) / rate
    # The loss of a pass is that before its step.
    assert_allclose(network.loss_curve_[1] - network.loss_curve_[2], expected, rtol=1e-3)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [10, 50, 200])
def test_04_alpha_means_the_same_for_every_batch_size(solver, batch_size):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = X @ [3.0, -2.0, 1.0, 0.0] + 0.1 * rng.normal(size=200) + 1
    network = NNRegressor(
        (),
        solver=solver,
        alpha=0.5,
        batch_size=batch_size,
        learning_rate="cosine",
        learning_rate_init=0.05,
        max_iter=300,
        n_iter_no_change=np.inf,
        standardize=False,
        random_state=0,
    ).fit(X, y)
    # Ridge minimizes the sum of the squared errors and not their mean, hence the factor.
    reference = Ridge(alpha=0.5 * len(X)).fit(X, y)
    assert_allclose(network.coefs_[0].ravel(), reference.coef_, atol=0.01)
    assert_allclose(network.intercepts_[0], reference.intercept_, atol=0.01)


def test_05_warm_start_keeps_no_record_of_the_last_fit(regression):
    # The second task is pure noise: no epoch comes near the first fit's best score, and with
    # that score as its best value the second fit would restore no epoch of its own.
    X, y = regression
    noise = np.random.default_rng(5).permutation(y)
    network = NNRegressor(
        (20,),
        early_stopping=True,
        warm_start=True,
        learning_rate_init=0.02,
        n_iter_no_change=np.inf,
        max_iter=100,
        random_state=0,
    )
    network.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    first_best, first_coefs = network.best_validation_score_, network.coefs_
    copies = [W.copy() for W in first_coefs]
    network.fit(X[:80], noise[:80], X_val=X[80:], y_val=noise[80:])
    scores = network.validation_scores_
    assert len(scores) == 100
    assert network.best_validation_score_ == max(scores) < first_best
    # The best epoch is not the last, and its parameters are those that predict.
    assert network.best_iter_ == np.argmax(scores) + 1 < 100
    errors = (network.predict(X[80:]) - noise[80:]) / y[:80].std()
    assert np.mean(errors**2) / 2 == pytest.approx(-max(scores))
    for before, now in zip(copies, first_coefs, strict=True):
        assert_array_equal(before, now)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_06_patience_starts_anew_in_each_fit(problem, early_stopping):
    network = problem.cls(
        (5,),
        learning_rate_init=STANDSTILL,
        n_iter_no_change=4,
        warm_start=True,
        early_stopping=early_stopping,
        random_state=0,
    )
    for _ in range(3):
        network.fit(problem.X, problem.y)
        assert network.n_iter_ == 1 + 4
        assert len(network.loss_curve_) == 1 + 4


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_07_divergence_raises_where_nothing_is_good(problem, solver, early_stopping):
    network = problem.cls(
        (5,),
        solver=solver,
        learning_rate_init=1e300,
        early_stopping=early_stopping,
        alpha=1e-3,
        random_state=0,
    )
    before = joblib.hash(vars(network))
    with pytest.raises(ValueError, match="Training diverged"):
        network.fit(problem.X, problem.y)
    assert joblib.hash(vars(network)) == before


@dataclass(frozen=True)
class Explosion(Schedule):
    """A learning rate that explodes after half of the epochs."""

    def __call__(self, progress, samples_seen):
        return 1.0 if progress < 0.5 else 1e100


@pytest.mark.parametrize("early_stopping", [True, False])
def test_07_divergence_restores_the_last_good_epoch(problem, early_stopping):
    X, y = problem.X, problem.y
    network = problem.cls(
        (5,),
        learning_rate=Explosion(),
        learning_rate_init=0.01,
        batch_size=10,
        solver="sgd",
        max_iter=20,
        early_stopping=early_stopping,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="Training diverged at epoch 10"):
        network.fit(X, y)
    assert network.n_iter_ == len(network.loss_curve_) == 10
    assert np.isfinite(network.loss_curve_).all()
    assert all(np.isfinite(W).all() for W in network.coefs_ + network.intercepts_)
    # As if training had ended before the rate exploded. An epoch's training loss is that of
    # the parameters that it began with, which are then the last ones known to be good.
    n_good = 10 if early_stopping else 9
    expected = clone(network).set_params(learning_rate="constant", max_iter=n_good)
    expected.set_params(n_iter_no_change=np.inf).fit(X, y)
    assert network.loss_curve_[:n_good] == expected.loss_curve_
    for restored, good in zip(network.coefs_, expected.coefs_, strict=True):
        assert_array_equal(restored, good)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_08_the_units_of_y_do_not_matter(regression, solver, scale):
    X, y = regression
    network = NNRegressor((20,), solver=solver, learning_rate_init=0.01, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = network.fit(X, y).score(X, y)
        n_iter = network.n_iter_
        network.fit(X, y * scale)
    assert expected > LinearRegression().fit(X, y).score(X, y)
    assert network.score(X, y * scale) == pytest.approx(expected, abs=1e-3)
    if solver != "lbfgs":  # whose line searches depend on the last bits
        assert network.n_iter_ == pytest.approx(n_iter, rel=0.1)


@pytest.mark.parametrize("patience", [1, 3, 10])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_09_patience_is_exact(problem, patience, early_stopping):
    network = problem.cls(
        (5,),
        learning_rate_init=STANDSTILL,
        n_iter_no_change=patience,
        early_stopping=early_stopping,
        random_state=0,
    ).fit(problem.X, problem.y)
    # The first epoch is the best, and then none improves.
    assert network.n_iter_ == 1 + patience


@pytest.mark.parametrize("rare", [1, 0])
def test_10_a_class_of_one_row_can_stop_early(multiclass, rare):
    X, y = multiclass
    y = np.where(np.arange(len(y)) < rare, "yew", y)
    network = NNClassifier(
        (5,), early_stopping=True, learning_rate="cosine", max_iter=5, random_state=0
    )
    if rare:
        with pytest.warns(UserWarning, match="not stratified"):
            network.fit(X, y)
    else:
        network.fit(X, y)
    assert len(network.validation_scores_) == 5
    assert len(network.classes_) == 3 + rare


def test_11_lbfgs_stops_early_and_keeps_its_curve(regression):
    X, y = regression
    y = y + 3 * np.random.default_rng(0).normal(size=len(y))  # to overfit to
    options = {"solver": "lbfgs", "max_iter": 60, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        whole = NNRegressor((30,), **options).fit(X, y)
    assert len(whole.loss_curve_) == whole.n_iter_ == 60
    assert (np.diff(whole.loss_curve_) < 0).all()
    stopped = NNRegressor((30,), early_stopping=True, n_iter_no_change=5, **options).fit(X, y)
    assert stopped.n_iter_ == stopped.best_iter_ + 5 < 60
    assert len(stopped.validation_scores_) == stopped.n_iter_
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)


class Interrupted(SquaredError):  # noqa: N818
    """Raises KeyboardInterrupt at the hundredth evaluation."""

    calls = 0

    def pointwise(self, y, raw, gradient_out):
        type(self).calls += 1
        if type(self).calls == 100:
            raise KeyboardInterrupt
        return super().pointwise(y, raw, gradient_out)


@pytest.mark.parametrize("method", ["fit", "warm fit", "partial_fit", "lbfgs"])
def test_12_an_interrupt_propagates_and_leaves_nothing_half_set(
    regression, method, monkeypatch
):
    X, y = regression
    monkeypatch.setattr(Interrupted, "calls", 0)
    network = NNRegressor((5,), loss=Interrupted(), batch_size=3, random_state=0)
    if method == "warm fit":
        network.set_params(warm_start=True, max_iter=1, n_iter_no_change=np.inf).fit(X, y)
    elif method == "partial_fit":
        network.partial_fit(X, y)
    elif method == "lbfgs":
        network.set_params(solver="lbfgs")
    network.set_params(max_iter=200)
    before = joblib.hash(vars(network))
    monkeypatch.setattr(Interrupted, "calls", 65)  # an epoch has forty batches
    with pytest.raises(KeyboardInterrupt):
        (network.partial_fit if method == "partial_fit" else network.fit)(X, y)
    assert joblib.hash(vars(network)) == before


@pytest.mark.parametrize("early_stopping", [True, False])
def test_13_a_pickle_holds_the_weights_once(problem, early_stopping):
    network = problem.cls(
        (300, 100),
        early_stopping=early_stopping,
        learning_rate="cosine",
        max_iter=2,
        random_state=0,
    ).fit(problem.X, problem.y)
    weights = sum(W.nbytes for W in network.coefs_ + network.intercepts_)
    assert weights > 200_000
    assert weights < len(pickle.dumps(network)) < weights + 24 * 1024


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("early_stopping", [True, "auto", False])
def test_14_partial_fit_leaves_early_stopping_aside(problem, solver, early_stopping):
    network = problem.cls((5,), solver=solver, early_stopping=early_stopping, random_state=0)
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    for passes in range(1, 4):
        network.partial_fit(problem.X, problem.y, **classes)
        assert network.n_iter_ == passes
        assert network.t_ == passes * len(problem.X)  # no row is held out
    assert network.validation_scores_ is None


def test_14_partial_fit_exists_where_the_solver_can_step(problem):
    assert hasattr(problem.cls(), "partial_fit")
    assert not hasattr(problem.cls(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
        problem.cls(solver="lbfgs").partial_fit(problem.X, problem.y)
    assert "needs a stochastic solver" in str(error.value.__cause__)
