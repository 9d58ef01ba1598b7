"""No training ends in garbage without a word, whatever diverges and by whatever path."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from endings import ADVICE_LBFGS, BRIEF, WILD, check_ending
from guards import needs_callbacks
from numpy.testing import assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, r2_score

import sknet
from sknet.inspection import summary
from sknet.nn import state
from sknet.nn.losses import Loss
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.soundness import DivergenceError, Judge
from sknet.streaming import RowBlocks, fit_chunks

pytestmark = pytest.mark.no_cover


def make_wild(cls, wild, **options):
    """Return an estimator with settings that make its training diverge."""
    return cls(**{"hidden_layer_sizes": (8,), **BRIEF, **WILD[wild], **options})


def raw(estimator, X):
    """Return the predictions of a network in which NaN and infinity show."""
    return getattr(estimator, "decision_function", estimator.predict)(X)


# The paths: options, and a function that trains an estimator on rows.


def fit(estimator, X, y):
    estimator.fit(X, y)


def fit_with_validation(estimator, X, y):
    estimator.fit(X, y, X_val=X[:30], y_val=y[:30])


def fit_weighted(estimator, X, y):
    estimator.fit(X, y, sample_weight=np.linspace(0, 5, len(y)))


def fit_in_chunks(estimator, X, y):
    fit_chunks(estimator, [(X[:70], y[:70]), (X[70:], y[70:])])


def fit_row_blocks(estimator, X, y):
    estimator.fit(RowBlocks(X, block_rows=10, window_rows=40), y)


def pass_by_pass(estimator, X, y):
    classes = {"classes": np.unique(y)} if isinstance(estimator, sknet.NNClassifier) else {}
    for _ in range(20):
        estimator.partial_fit(X, y, **classes)


PATHS = {
    "fit": ({}, fit),
    "early stopping": ({"early_stopping": True}, fit),
    "early stopping, scorer": (
        {"early_stopping": True, "scoring": "neg_mean_squared_error"},
        fit,
    ),
    "X_val": ({"early_stopping": "auto"}, fit_with_validation),
    "weights": ({}, fit_weighted),
    "chunks": ({}, fit_in_chunks),
    "chunks, early stopping": ({"early_stopping": True}, fit_in_chunks),
    "row blocks": ({}, fit_row_blocks),
}


# Each path meets each divergence, with one of the estimators. Both estimators meet each path
# and each divergence: the classifier takes those whose positions add up to an even number.
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("wild", WILD)
def test_a_training_that_goes_wrong_says_so(wild, path, binary, regression):
    """There is an error or a warning, with advice for the solver, for every path."""
    options, train = PATHS[path]
    even = (list(PATHS).index(path) + list(WILD).index(wild)) % 2 == 0
    cls, (X, y) = (NNClassifier, binary) if even else (NNRegressor, regression)
    network = make_wild(cls, wild, **options)
    check_ending(network, lambda one: train(one, X, y), lambda one: raw(one, X))


@pytest.mark.parametrize("wild", WILD)
def test_passes_that_go_wrong_say_so(wild, problem):
    """``partial_fit`` raises an error, and what an earlier pass has learned is kept."""
    network = make_wild(problem.cls, wild)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DivergenceError, match="Lower learning_rate_init"):
            pass_by_pass(network, problem.X, problem.y)
    assert {one.category for one in caught} <= {ConvergenceWarning}
    if hasattr(network, "_model"):
        assert np.isfinite(raw(network, problem.X)).all()


@pytest.mark.parametrize("wild", WILD)
def test_a_warm_start_that_goes_wrong_says_so(wild, problem):
    """A fit that continues from a good network does not replace it by garbage in silence."""
    options = {"hidden_layer_sizes": (8,), **BRIEF, **WILD[wild]}
    calm = {"learning_rate_init": 1e-3, "alpha": 0.0, "solver": "adam"}
    network = problem.cls(**{**options, **calm}, warm_start=True).fit(problem.X, problem.y)
    network.set_params(**{"alpha": 0.0, "solver": "adam", **WILD[wild]})
    check_ending(
        network,
        lambda one: one.fit(problem.X, problem.y),
        lambda one: raw(one, problem.X),
    )


#: Fits with defaults that once ended in garbage without a word.
ONCE_SILENT = {
    "sgd": (sknet.NNClassifier, {"solver": "sgd", "learning_rate_init": 3, "max_iter": 20}),
    "adam": (sknet.NNRegressor, {"learning_rate_init": 10, "max_iter": 20}),
    "penalty": (sknet.NNRegressor, {"solver": "sgd", "alpha": 1e6, "max_iter": 5}),
    "float32": (
        sknet.NNClassifier,
        {"learning_rate_init": 1e30, "max_iter": 1, "dtype": "float32"},
    ),
    "decay": (sknet.NNRegressor, {"solver": "adamw", "alpha": 1e6, "max_iter": 5}),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("once", ONCE_SILENT)
def test_a_result_is_sound_or_something_is_said(once, seed):
    """What is returned in silence predicts the training rows not far worse than a constant."""
    cls, options = ONCE_SILENT[once]
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 5))
    y = X[:, 0] + X[:, 1] ** 2 + rng.normal(size=60)
    y = (y > y.mean()).astype(int) if cls is sknet.NNClassifier else y
    network = cls((8,), random_state=seed, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            network.fit(X, y)
        except DivergenceError:
            return
    if caught:
        assert np.isfinite(raw(network, X)).all()
    elif cls is sknet.NNClassifier:
        assert log_loss(y, network.predict_proba(X)) < 4 * np.log(2)
    else:
        assert r2_score(y, network.predict(X)) > 1 - 4


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "rmsprop"])
def test_no_schedule_makes_garbage_a_success(solver, schedule, problem):
    """A schedule that falls to zero has ended as planned, but its result is judged as well."""
    network = problem.cls((8,), solver=solver, learning_rate=schedule, **BRIEF)
    network.set_params(learning_rate_init=1e8)
    check_ending(
        network,
        lambda estimator: estimator.fit(problem.X, problem.y),
        lambda estimator: raw(estimator, problem.X),
    )


def test_a_score_that_is_never_finite_is_an_error(regression):
    """Validation rows whose losses overflow leave nothing to choose the best epoch by."""
    X, y = regression
    far = np.full(20, 1e30)
    network = NNRegressor((8,), max_iter=5, standardize=False, dtype="float32")
    network.set_params(early_stopping="auto")
    with pytest.raises(DivergenceError, match="Training diverged"):
        network.fit(X, y, X_val=X[:20], y_val=far)


def test_a_scorer_is_not_asked_for_a_network_that_has_diverged(problem):
    """A scorer that refuses such predictions does not hide what has happened."""
    seen = []

    def finite(estimator, X, y):
        seen.append(np.isfinite(raw(estimator, X)).all())
        return 0.0

    network = problem.cls((8,), solver="sgd", scoring=finite, early_stopping=True, **BRIEF)
    network.set_params(learning_rate_init=1e4, batch_size=50)
    with pytest.raises(DivergenceError, match="Training diverged"):
        network.fit(problem.X, problem.y)
    assert all(seen)


# lbfgs.

FAR = {
    "penalty": ({"alpha": 1e300}, 1.0),
    "far inputs": ({"standardize": False}, 1e200),
    "penalty, float32": ({"alpha": 1e300, "dtype": "float32"}, 1.0),
    "L1": ({"alpha": 1e300, "l1_ratio": 1.0}, 1.0),
    "members": ({"alpha": 1e300, "n_members": 2}, 1.0),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("far", FAR)
def test_lbfgs_says_so(far, early_stopping, problem):
    """The advice does not name parameters that lbfgs does not have."""
    options, scale = FAR[far]
    network = problem.cls((8,), solver="lbfgs", early_stopping=early_stopping, **options)
    network.set_params(random_state=0)
    text = check_ending(
        network,
        lambda one: one.fit(problem.X * scale, problem.y),
        lambda one: raw(one, problem.X * scale),
        ADVICE_LBFGS,
    )
    assert "learning_rate" not in text


@pytest.mark.parametrize("solver, named", [("lbfgs", "max_fun"), ("adam", "learning_rate")])
def test_advice_at_max_iter_fits_the_solver(solver, named, problem):
    """A warning that training has not converged names parameters that the solver has."""
    network = problem.cls((8,), solver=solver, max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="has not converged") as caught:
        network.fit(problem.X, problem.y)
    (warning,) = caught
    text = str(warning.message)
    assert named in text
    assert ("learning_rate" in text) == (solver == "adam")
    assert warning.filename == __file__


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warnings_name_the_line_of_the_user(method, regression):
    """However deep in the package they come from, and whatever decorates the method."""
    X, y = regression
    network = NNRegressor((2,), max_iter=1, learning_rate="cosine", random_state=0)
    with pytest.warns(UserWarning, match="float32 rounds an output of y") as caught:
        getattr(network, method)(X.astype(np.float32), y + 1e9)
    assert {one.filename for one in caught} == {__file__}


# What is returned.


def test_the_best_epoch_is_restored_where_the_last_is_worse(regression):
    """The network is the one of the best epoch, and not the last one."""
    X, y = regression
    options = {**BRIEF, "max_iter": 12, "solver": "rmsprop", "learning_rate": Late(300)}
    network = NNRegressor((8,), learning_rate_init=0.01, **options)
    with pytest.warns(ConvergenceWarning, match="are restored") as caught:
        network.fit(X, y)
    assert caught[0].filename == __file__
    assert network.best_iter_ < network.n_iter_ == 12
    expected = NNRegressor((8,), learning_rate_init=0.01, **options)
    expected.set_params(learning_rate="constant", max_iter=network.best_iter_ - 1)
    assert_array_equal(network.predict(X), expected.fit(X, y).predict(X))


def test_a_poor_result_stays_if_no_epoch_was_better(regression):
    """Inputs in odd units, which standardize=False keeps: nothing is good, but it is said."""
    X, y = regression
    network = NNRegressor((8,), standardize=False, learning_rate_init=1e-6, **BRIEF)
    with pytest.warns(ConvergenceWarning, match="far worse than a constant") as caught:
        network.fit(X * 1e6, y)
    assert caught[0].filename == __file__
    assert np.isfinite(network.predict(X * 1e6)).all()


def test_a_poor_pass_is_said(regression):
    """``partial_fit`` warns of rows that are still predicted far worse than by a constant."""
    X, y = regression
    network = NNRegressor((8,), standardize=False, learning_rate_init=1e-6, random_state=0)
    with pytest.warns(ConvergenceWarning, match="far worse than a constant") as caught:
        network.partial_fit(X * 1e6, y)
    assert caught[0].filename == __file__
    assert network.n_iter_ == 1


@needs_callbacks
def test_a_resumed_training_ends_as_one_without_interruption(regression, tmp_path):
    """The warning and every bit of the result are those of the whole fit."""
    from sknet.callbacks import Checkpoint

    X, y = regression
    options = {**BRIEF, "max_iter": 12, "solver": "rmsprop", "learning_rate": Late(300)}
    network = NNRegressor((8,), learning_rate_init=0.01, **options)
    network.set_callbacks(Checkpoint(tmp_path / "network.joblib", every=8))
    with pytest.warns(ConvergenceWarning) as whole:
        network.fit(X, y)
    expected = network.predict(X)
    with pytest.warns(ConvergenceWarning) as rest:
        network.set_callbacks().fit(X, y, resume_from=tmp_path / "network.joblib")
    assert [str(one.message) for one in rest] == [str(one.message) for one in whole]
    assert_array_equal(network.predict(X), expected)


@dataclass(frozen=True)
class Late(Schedule):
    """1 for the first three quarters of the training, then a factor."""

    factor: float

    def __call__(self, progress, samples_seen):
        return 1.0 if progress < 0.75 else self.factor


@dataclass(frozen=True)
class Bounded(Loss):
    """l = e^2 / (1 + e^2), which is finite for infinite predictions."""

    def pointwise(self, y, raw, gradient_out):
        error = np.clip(raw - y, -1e9, 1e9)
        gradient_out[...] = 2 * error / (1 + error**2) ** 2
        return (error**2 / (1 + error**2)).sum(axis=1)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_loss_that_is_bounded_does_not_hide_infinite_predictions(early_stopping, regression):
    """Predictions are looked at themselves, and not only their loss."""
    X, y = regression
    network = NNRegressor((8, 8), loss=Bounded(), early_stopping=early_stopping, **BRIEF)
    network.set_params(learning_rate_init=1e150, max_iter=1)
    with pytest.raises(DivergenceError, match="Training diverged"):
        network.fit(X, y)


# What is sound.

NOISY = {
    "one epoch": {"max_iter": 1},
    "one row a batch": {"batch_size": 1, "max_iter": 3},
    "one_cycle": {"learning_rate": "one_cycle", "learning_rate_init": 0.03},
    "coslog": {"learning_rate": "coslog", "learning_rate_init": 0.03},
    "average": {"ema_decay": 0.999, "max_iter": 2},
    "dropout": {"dropout": 0.5},
    "mixup and noise": {"mixup": 1.0, "input_noise": 0.5},
    "members": {"n_members": 4, "max_iter": 2},
    "wide": {"hidden_layer_sizes": (256, 256), "learning_rate_init": 0.01, "max_iter": 2},
    "penalty": {"alpha": 10.0, "max_iter": 1},
    "L1": {"alpha": 10.0, "l1_ratio": 1.0, "max_iter": 1},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "normalization": {"normalization": "layer", "max_iter": 2},
    "bins": {"numeric_embedding": "piecewise_linear", "max_iter": 2},
    "early stopping": {"early_stopping": True, "batch_size": 4},
}


#: Early stopping needs rows that it can hold out.
NOISY_CASES = [
    (noisy, n_rows)
    for noisy, options in NOISY.items()
    for n_rows in ([10, 120] if options.get("early_stopping") else [1, 2, 10, 120])
]


# Other warnings tell of rows that cannot be what the user means.
@pytest.mark.filterwarnings("ignore:y has a single class", "ignore:Early stopping has")
@pytest.mark.parametrize("noisy, n_rows", NOISY_CASES)
def test_ordinary_noise_is_silent(noisy, n_rows, problem):
    """Few rows, few epochs and random training data are no reason to warn (an error here)."""
    options = {**BRIEF, "hidden_layer_sizes": (16,), "learning_rate_init": 0.01, **NOISY[noisy]}
    smooth = {"label_smoothing": 0.2} if problem.cls is NNClassifier else {}
    problem.cls(**options, **smooth).fit(problem.X[:n_rows], problem.y[:n_rows])


@pytest.mark.parametrize("size", [1, 3, 20])
@pytest.mark.parametrize("hidden", [(16,), (256, 256)])
def test_passes_over_few_rows_are_silent(hidden, size, problem):
    """Single passes over few rows are no reason to warn, and their rows may be outliers."""
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    network = problem.cls(hidden, learning_rate_init=0.01, random_state=0)
    y = problem.y.copy()
    if not classes:
        y[::7] *= 30
    for start in range(0, min(120, 20 * size), size):
        rows = slice(start, start + size)
        network.partial_fit(problem.X[rows], y[rows], **classes)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_units_of_y_are_no_reason_to_warn(scale, loss, regression):
    """The losses are compared in the units of the standardized y."""
    X, y = regression
    NNRegressor((8,), loss=loss, learning_rate_init=0.01, **BRIEF).fit(X, y * scale)


@pytest.mark.parametrize("alpha", [1e-4, 1e-2])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_y_that_cannot_be_predicted_is_no_fault_of_alpha(solver, alpha, problem):
    y = np.random.default_rng(1).permutation(problem.y)
    options = {"solver": solver, "alpha": alpha, "random_state": 0}
    getattr(sknet, problem.name)((16, 16), **options).fit(problem.X, y)


@pytest.mark.parametrize("seed", range(4))
def test_a_weak_signal_is_no_fault_of_a_strong_alpha(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1000, 5))
    y = 0.4 * X[:, 0] + rng.normal(size=1000)
    sknet.NNRegressor((16,), alpha=0.06, random_state=0).fit(X, y)
    rare = rng.random(1000) < 1 / (1 + np.exp(2.5 - X[:, 0]))
    sknet.NNClassifier((), alpha=0.15, random_state=0).fit(X, rare)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("options", [{"solver": "lbfgs"}, {"max_iter": 200}], ids=str)
def test_a_penalty_that_makes_all_weights_vanish_says_so(options, early_stopping, problem):
    """scikit-learn's alpha=1 for a batch of 120 rows is 1 / 120 here."""
    options = {**options, "early_stopping": early_stopping, "random_state": 0}
    network = getattr(sknet, problem.name)((16, 16), alpha=1.0, **options)
    with pytest.warns(ConvergenceWarning, match="alpha is so strong.* is alpha=0.0") as record:
        network.fit(problem.X, problem.y)
    assert len(record) == 1
    assert "alpha is so strong" in " ".join(str(summary(network).card).split())
    said = ("(96 rows here)", "=0.01 ") if early_stopping else ("(120 rows here)", "=0.0083")
    assert all(part in str(record[0].message) for part in said)
    # Further warnings would be errors.
    network.set_params(alpha="auto", max_iter=20, solver="adam").fit(problem.X, problem.y)
    network.set_params(alpha=1.0, max_iter=1).fit(problem.X, problem.y)
    network.set_params(l1_ratio=1, **{"max_iter": 500, **options}).fit(problem.X, problem.y)


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_a_cool_down_that_spoils_the_predictions_is_undone_with_a_warning(
    cls, binary, monkeypatch
):
    """What is spoiled is for ``Judge`` to say; the estimator says it, and keeps the best."""
    monkeypatch.setattr(Judge, "finds_spoiled", lambda self, params, best: True)
    # The few validation rows cannot show that something has been learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
    X, y = binary
    options = {"early_stopping": True, "refit": True, "learning_rate": "one_cycle"}
    network = cls((8,), max_iter=10, random_state=0, **options)
    with pytest.warns(ConvergenceWarning, match="trained on the validation rows, .* restored"):
        network.fit(X, y)
    assert np.isnan(network.validation_scores_[-1])
    card = " ".join(str(summary(network).card).split())
    assert "on the validation rows, made predictions far worse" in card
    assert network.best_iter_ < network.n_iter_
