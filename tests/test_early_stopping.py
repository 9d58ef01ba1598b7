"""Early stopping: its switch, its score, its patience, its end, and what it restores."""

import math
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, make_scorer, roc_auc_score

import sknet
from sknet import _fitting
from sknet._monitoring import HeldOut, Validation
from sknet.data import draws
from sknet.data.batches import Dataset
from sknet.nn import state


def overfit(problem, **parameters):
    """Return an estimator and noisy data on which the validation loss soon rises again."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 8))
    y = X[:, 0] + 2 * rng.normal(size=160)
    if problem.cls is NNClassifier:
        y = (y > 0).astype(int)
    defaults = {
        "early_stopping": True,
        "learning_rate_init": 0.01,
        "batch_size": 20,
        "random_state": 0,
    }
    return problem.cls((40,), **{**defaults, **parameters}), X, y


def validation_loss(network, X, y, y_train=None, sample_weight=None):
    """Return what scoring="loss" watches, recomputed from predictions."""
    if is_classifier(network):
        return log_loss(y, network.predict_proba(X), sample_weight=sample_weight)
    # On the standardized y of the training rows.
    error = (network.predict(X) - y) / y_train.std()
    return np.average(error**2 / 2, weights=sample_weight)


@pytest.mark.parametrize("patience", [1, 4, 10])
@pytest.mark.parametrize("scoring", ["loss", None])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_patience_is_exact(problem, patience, scoring, solver):
    network, X, y = overfit(
        problem, n_iter_no_change=patience, scoring=scoring, solver=solver, tol=0.01
    )
    network.fit(X, y)
    scores = network.history_["validation_score"]
    stalled, best = 0, -np.inf
    for epoch, score in enumerate(scores, start=1):
        improved = best == -np.inf or score > best + 0.01 * abs(best)
        best = max(best, score)
        stalled = 0 if improved else stalled + 1
        assert (stalled == patience) == (epoch == network.n_iter_), epoch
    assert network.n_iter_ < network.max_iter


@pytest.mark.usefixtures("without_temperature")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_parameters_are_restored(problem, solver, weighted):
    network, X, y = overfit(problem, solver=solver)
    train, val = slice(0, 100), slice(100, 160)
    weight = np.random.default_rng(1).uniform(0.1, 3, size=60) if weighted else None
    network.fit(X[train], y[train], X_val=X[val], y_val=y[val], sample_weight_val=weight)
    scores, losses = network.validation_scores_, network.history_["validation_loss"]
    assert_allclose(scores, np.negative(losses))
    assert network.best_validation_score_ == max(scores)
    assert network.best_iter_ == np.argmax(scores) + 1 < network.n_iter_
    loss = validation_loss(network, X[val], y[val], y[train], weight)
    assert_allclose(loss, min(losses), rtol=1e-6)
    assert loss < losses[-1]


def test_without_it_the_last_parameters_stay(problem):
    network, X, y = overfit(problem, early_stopping=False, n_iter_no_change=np.inf, max_iter=20)
    network.fit(X, y)
    assert network.validation_scores_ is None
    assert set(network.history_) == {"loss", "penalty", "learning_rate", "seconds"}
    # One step of length zero shows the objective of the parameters.
    again = network.set_params(warm_start=True, learning_rate_init=1e-300, max_iter=1)
    last = network.loss_
    assert again.fit(X, y).loss_ < last


@pytest.fixture
def splits(monkeypatch):
    """Record the arguments and the result of every split."""
    calls = []
    original = draws.split_rows

    def recorded(n_rows, fraction, labels, seed):
        rows = original(n_rows, fraction, labels, seed)
        calls.append((n_rows, fraction, labels, *rows))
        return rows

    for name, module in list(sys.modules.items()):
        if name.startswith("sknet.") and getattr(module, "split_rows", None) is original:
            monkeypatch.setattr(module, "split_rows", recorded)
    return calls


def test_a_split_is_stratified_where_it_can_be(splits):
    # One class is rare: a split that ignores the classes would often miss it.
    y = np.array(["a"] * 160 + ["b"] * 30 + ["c"] * 10)
    X = np.random.default_rng(0).normal(size=(200, 3))
    for seed in range(5):
        NNClassifier(
            (3,), early_stopping=True, max_iter=1, learning_rate="cosine", random_state=seed
        ).fit(X, y)
        *_, train, val = splits[-1]
        assert_array_equal(np.unique(y[val], return_counts=True)[1], [16, 3, 1])
        assert_array_equal(np.sort(np.r_[train, val]), np.arange(200))
    assert len({tuple(split[-1]) for split in splits}) == 5


@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_the_share_that_is_held_out(problem, splits, fraction):
    network, X, y = overfit(problem, validation_fraction=fraction, max_iter=1)
    network.set_params(learning_rate="cosine").fit(X, y)
    (call,) = splits
    assert len(call[-1]) == 160 * fraction
    assert network.t_ == 160 * (1 - fraction)


@pytest.mark.filterwarnings("ignore:Early stopping has 2 validation rows")
def test_two_rows_are_held_out_at_least(problem, splits):
    network, X, y = overfit(problem, validation_fraction=0.1, max_iter=1)
    network.set_params(learning_rate="cosine").fit(X[:12], np.resize(y[:2] * 0 + [0, 1], 12))
    assert len(splits[0][-1]) == 2


def test_labels_that_do_not_exclude_each_other_are_split(multilabel, splits):
    X, Y = multilabel
    network = NNClassifier((3,), early_stopping=True, max_iter=1, learning_rate="cosine")
    network.fit(X, Y)
    assert splits[0][2] is None
    assert len(splits[0][-1]) == 15


def test_given_rows_are_watched_and_no_others_held_out(problem, splits):
    network, X, y = overfit(problem, early_stopping="auto", max_iter=1)
    network.set_params(learning_rate="cosine")
    network.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    assert splits == []
    assert network.t_ == 150
    assert len(network.validation_scores_) == 1


def test_given_rows_are_used(problem):
    network, X, y = overfit(problem, max_iter=3, n_iter_no_change=np.inf)
    first = network.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:]).validation_scores_
    other = network.fit(X[:80], y[:80], X_val=X[80:120], y_val=y[80:120]).validation_scores_
    assert not np.allclose(first, other)


def test_weights_of_validation_rows_are_repetitions(problem):
    network, X, y = overfit(problem, max_iter=5, n_iter_no_change=np.inf)
    X, y, X_val, y_val = X[:80], y[:80], X[80:], y[80:]
    weight = np.random.default_rng(0).integers(0, 4, size=80)

    def scores(X_val, y_val, weight=None):
        network.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
        return network.validation_scores_

    repeated = scores(np.repeat(X_val, weight, axis=0), np.repeat(y_val, weight))
    weighted = scores(X_val, y_val, weight)
    assert_allclose(weighted, repeated)
    assert not np.allclose(weighted, scores(X_val, y_val), rtol=1e-3)
    for scoring in [None, "r2" if problem.cls is NNRegressor else "accuracy"]:
        network.set_params(scoring=scoring)
        assert_allclose(
            scores(X_val, y_val, weight),
            scores(np.repeat(X_val, weight, axis=0), np.repeat(y_val, weight)),
        )


def recall_of_zero(network, X, y):
    return np.mean(network.predict(X)[y == 0] == 0)


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        (None, lambda network, X, y: network.score(X, y)),
        ("accuracy", lambda network, X, y: accuracy_score(y, network.predict(X))),
        ("neg_log_loss", lambda network, X, y: -log_loss(y, network.predict_proba(X))),
        (recall_of_zero, recall_of_zero),
        (make_scorer(accuracy_score), lambda network, X, y: network.score(X, y)),
    ],
    # The names of functions hold addresses, by which pytest-xdist would tell tests apart.
    ids=["score", "accuracy", "neg_log_loss", "function", "scorer"],
)
@pytest.mark.usefixtures("without_temperature")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_scoring(binary, scoring, expected, solver):
    X, y = binary
    network = NNClassifier(
        (20,),
        scoring=scoring,
        solver=solver,
        learning_rate_init=0.02,
        n_iter_no_change=5,
        early_stopping="auto",
        random_state=0,
    )
    network.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    scores = network.validation_scores_
    assert network.best_iter_ == np.argmax(scores) + 1
    assert_allclose(expected(network, X[60:], y[60:]), max(scores))
    assert len(set(scores)) > 1
    # The loss is recorded all the same.
    assert len(network.history_["validation_loss"]) == network.n_iter_


@pytest.mark.parametrize(
    ("scoring", "match"),
    [
        ("roc_auc", "scoring='roc_auc' does not work on the validation rows: multi_class"),
        (lambda network, X, y: np.nan, "^scoring=<[^=]*> returned nan on the validation rows"),
    ],
    ids=["raises", "nan"],
)
def test_an_unsuitable_scorer_fails_before_training(
    multiclass, scoring, match, forbid_training
):
    forbid_training()
    with pytest.raises(ValueError, match=match):
        NNClassifier((4,), early_stopping=True, scoring=scoring).fit(*multiclass)


def test_a_scorer_of_one_class_asks_for_its_label(binary):
    X, y = binary
    options = {"early_stopping": True, "learning_rate": "cosine", "max_iter": 2}
    network = NNClassifier((4,), scoring="f1", **options)
    with pytest.raises(ValueError, match=r"Name the class: make_scorer\(..., pos_label=...\)"):
        network.fit(X, np.where(y == y[0], "no", "yes"))
    scorer = make_scorer(f1_score, pos_label="yes")
    clone(network).set_params(scoring=scorer).fit(X, np.where(y == y[0], "no", "yes"))


@pytest.mark.parametrize(
    ("cls", "data", "scoring", "usable"),
    [
        (NNClassifier, "multiclass", "roc_auc", ["roc_auc_ovr", "roc_auc_ovo"]),
        (NNRegressor, "regression", "accuracy", ["r2"]),
        (NNClassifier, "multiclass", "r2", ["accuracy"]),
    ],
)
def test_an_unsuitable_scorer_names_usable_ones(cls, data, scoring, usable, request):
    X, y = request.getfixturevalue(data)
    network = cls((4,), early_stopping=True, max_iter=2, learning_rate="cosine")
    with pytest.raises(ValueError, match=f"{usable[0]}'") as error:
        clone(network).set_params(scoring=scoring).fit(X, y)
    for name in usable:
        assert repr(name) in str(error.value)
        clone(network).set_params(scoring=name).fit(X, y)


@pytest.mark.usefixtures("without_temperature")
@pytest.mark.parametrize("scoring", ["loss", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_float32_is_watched_as_it_predicts(problem, solver, dtype, scoring):
    """Each epoch is evaluated in the precision of the result, whatever the solver computes in.

    The minimizer of lbfgs computes in float64. What it returns, and what early stopping sees,
    are parameters of float32.
    """
    X = problem.X.astype(dtype)
    network = problem.cls((5, 5), solver=solver, scoring=scoring, dtype="float32")
    network.set_params(early_stopping="auto", max_iter=8, n_iter_no_change=np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X[:60], problem.y[:60], X_val=X[60:], y_val=problem.y[60:])
    assert {array.dtype for array in network.coefs_} == {np.dtype(np.float32)}
    if scoring is None:
        best = network.score(X[60:], problem.y[60:])
    else:
        best = -validation_loss(network, X[60:], problem.y[60:], problem.y[:60])
    assert_allclose(network.best_validation_score_, best, rtol=1e-5)


def test_scoring_sees_the_units_and_the_names_of_the_user(regression):
    X, y = regression
    y_string = np.where(y > 5, "high", "low")
    seen = []

    def scorer(network, X, y):
        seen.append((network.predict(X), y))
        return 0.0

    options = {"scoring": scorer, "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    options["early_stopping"] = "auto"
    network = NNRegressor((5,), **options).fit(X, 1000 * y, X_val=X[:10], y_val=1000 * y[:10])
    prediction, target = seen.pop()
    assert_allclose(target, 1000 * y[:10])
    assert_allclose(prediction, network.predict(X[:10]))
    NNClassifier((5,), **options).fit(X, y_string, X_val=X[:10], y_val=y_string[:10])
    prediction, target = seen.pop()
    assert {*prediction, *target} <= {"high", "low"}


@pytest.mark.usefixtures("without_temperature")
def test_warm_start_makes_two_fits_of_two_fits(problem):
    network, X, y = overfit(problem, warm_start=True, n_iter_no_change=5)
    network.fit(X, y)
    assert network.n_iter_ == network.best_iter_ + 5
    network.fit(X, y)
    # The second fit starts from the best parameters, with a new count and a new record.
    assert len(network.validation_scores_) == network.n_iter_ >= 5
    assert network.best_validation_score_ == max(network.validation_scores_)
    assert network.best_iter_ == np.argmax(network.validation_scores_) + 1
    # With tiny steps a third fit stays there, and ends after n_iter_no_change epochs.
    best = network.best_validation_score_
    network.set_params(learning_rate_init=1e-12).fit(X, y)
    assert network.validation_scores_[0] == pytest.approx(best, rel=1e-6)
    assert network.n_iter_ == 6


@pytest.mark.parametrize(("n_rows", "on"), [(99, False), (100, True)])
def test_auto_is_on_from_a_hundred_rows(problem, n_rows, on):
    X = np.resize(problem.X, (n_rows, 5))
    y = np.resize(problem.y, n_rows)
    network = problem.cls((2,), max_iter=1, learning_rate="cosine", early_stopping="auto")
    network.fit(X, y)
    assert network.early_stopping == "auto"
    assert (network.validation_scores_ is not None) is on


def test_true_and_false_overrule_the_number_of_rows(problem):
    options = {"max_iter": 1, "learning_rate": "cosine"}
    X, y = np.resize(problem.X, (200, 5)), np.resize(problem.y, 200)
    network = problem.cls((2,), early_stopping=False, **options).fit(X, y)
    assert network.validation_scores_ is None
    options["validation_fraction"] = 0.2
    network = problem.cls((2,), early_stopping=True, **options).fit(X[:50], y[:50])
    assert network.validation_scores_ is not None


def test_tol_is_relative(regression):
    # Every loss is below 1e-4 here long before the fit is good.
    X, y = regression
    network = NNRegressor(
        (),
        early_stopping=True,
        standardize=False,
        solver="sgd",
        momentum=0,  # no oscillation
        learning_rate_init=0.02,
        max_iter=2000,
        random_state=0,
    ).fit(X, y * 1e-3)
    assert network.n_iter_ < network.max_iter
    assert network.score(X, y * 1e-3) > 0.9 * LinearRegression().fit(X, y).score(X, y)


def test_the_split_can_be_repeated(problem, splits):
    network, X, y = overfit(problem, max_iter=1, learning_rate="cosine")
    network.fit(X, y)
    network.fit(X, y)
    assert_array_equal(splits[0][-1], splits[1][-1])


# The cool-down on all rows.


def planned(problem, **parameters):
    """Return an estimator whose learning rate falls to zero by plan, and noisy data."""
    options = {"learning_rate": "cosine", "max_iter": 40, "n_iter_no_change": 6, **parameters}
    return overfit(problem, **options)


def test_the_training_ends_on_all_rows(problem, monkeypatch):
    """The epochs after the stall have no score, and the rows held out count as seen."""
    # The few validation rows cannot show that something has been learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
    network, X, y = planned(problem, refit=True)
    network.fit(X, y)
    scores = np.array(network.validation_scores_)
    n_scored = np.isfinite(scores).sum()
    assert np.isnan(scores[n_scored:]).all()
    assert n_scored == network.best_iter_ + 6 < network.n_iter_ <= network.max_iter
    assert network.n_iter_ - n_scored == math.ceil(0.3 * network.best_iter_)
    assert network.best_validation_score_ == np.nanmax(scores)
    n_training = 160 - math.ceil(160 * network.validation_fraction)
    assert network.t_ == n_scored * n_training + (network.n_iter_ - n_scored) * 160


def test_rows_that_were_held_out_change_the_result(problem, monkeypatch):
    """Their targets do nothing but stop training that does not end on all rows."""
    # The few validation rows cannot show that something has been learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
    network, X, y = planned(problem, refit=True, max_iter=20)
    with_all = network.fit(X, y).predict(X)
    assert (with_all != network.set_params(refit=False).fit(X, y).predict(X)).any()
    assert np.isfinite(network.validation_scores_).all()


@pytest.mark.parametrize(
    "parameters",
    [{"learning_rate": "constant"}, {"learning_rate": "adaptive"}, {"early_stopping": False}],
    ids=str,
)
def test_without_a_plan_or_a_score_nothing_is_refitted(problem, parameters):
    network, X, y = planned(problem)
    network.set_params(**parameters, max_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = [
            network.set_params(refit=refit).fit(X, y).predict(X) for refit in (False, True)
        ]
    assert_array_equal(*results)


def test_rows_that_are_given_to_validate_with_are_not_trained_on(problem):
    network, X, y = planned(problem)
    fits = [
        network.set_params(refit=refit).fit(X[:120], y[:120], X_val=X[120:], y_val=y[120:])
        for refit in (False, True)
    ]
    predictions = [one.predict(X) for one in fits]
    assert_array_equal(*predictions)
    assert np.isfinite(network.validation_scores_).all()


@pytest.mark.parametrize("order", [1, -1])
def test_weights_follow_their_rows_into_the_cool_down(problem, order):
    """Rows of weight zero are as if they were not there, wherever they are."""
    network, X, y = planned(problem)
    weight = np.linspace(0.5, 1.5, 160)
    expected = network.fit(X, y, weight).predict(X)
    more = [np.concatenate([part, part[:20] + 1][::order]) for part in (X, y)]
    if problem.cls is NNClassifier:
        more[1] = np.concatenate([y, y[:20]][::order])
    weights = np.concatenate([weight, np.zeros(20)][::order])
    assert_array_equal(network.fit(*more, weights).predict(X), expected)


def test_many_rows_are_not_refitted(problem, monkeypatch):
    """Beyond a number of rows, the cool-down has a score, as with ``refit=False``."""
    monkeypatch.setattr(_fitting, "MANY_ROWS", 100)
    network, X, y = planned(problem)
    results = [network.set_params(refit=refit).fit(X, y).predict(X) for refit in (False, True)]
    assert_array_equal(*results)


# Patience, which begins when something has been learned.


def many_categories(seed):
    """Return rows of many categories, of which few matter, and y."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(26, size=(1400, 40))
    y = (levels[:, 0] < 10) + (levels[:, 1] > 12) * (levels[:, 2] > 12.0)
    X = pd.DataFrame(
        {f"c{i}": pd.Categorical(one.astype(str)) for i, one in enumerate(levels.T)}
    )
    return X, y + 0.1 * rng.normal(size=1400)


def test_patience_begins_when_something_is_learned():
    X, y = many_categories(seed=3)
    network = sknet.NNRegressor(random_state=3).fit(X[:400], y[:400])
    assert network.score(X[400:], y[400:]) > 0.4


def test_a_training_that_learns_nothing_cools_down_at_the_end():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.normal(size=300)
    network = sknet.NNRegressor(random_state=0, max_iter=40).fit(X, y)
    assert 32 < network.n_iter_ <= 40
    assert abs(network.predict(X).mean() - y.mean()) < 0.2


def test_a_constant_learning_rate_ends_as_it_is_asked_to():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.normal(size=300)
    network = sknet.NNRegressor(
        random_state=0, learning_rate="constant", early_stopping=True, n_iter_no_change=4
    )
    assert network.fit(X, y).n_iter_ < 40


@pytest.mark.parametrize("weighted", [False, True])
def test_the_least_score_is_that_of_the_mean_and_a_little(weighted):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), 5 + 3 * rng.normal(size=200)
    weights = rng.uniform(0.5, 2, 200) if weighted else None
    network = sknet.NNRegressor(random_state=0, max_iter=1, n_iter_no_change=np.inf)
    network.fit(X, y, weights)
    model = network._model
    held = HeldOut(Dataset(X[:50], y[:50], None if weights is None else weights[:50]))
    found = Validation(model, held).of_constants
    of_rows = np.square(model.target.transform(y[:50], float)[:, 0]) / 2
    constant = np.average(of_rows, weights=None if weights is None else weights[:50])
    expected = -constant * (1 - 1.5 / np.sqrt(50))
    for name in "least_score", "least_score_of_refit":
        assert found[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["two classes", "three classes", "ordinal", "labels"])
def test_the_least_score_of_classes_is_that_of_their_frequencies(kind, weighted):
    """Equal probabilities decide about the refit, and the frequencies about the patience."""
    rng = np.random.default_rng(0)
    n, loss = 200, "ordinal" if kind == "ordinal" else "log_loss"
    X, y = rng.normal(size=(n, 3)), (rng.random(n) < 0.1).astype(int)
    if kind == "labels":
        y = np.column_stack([y, rng.random(n) < 0.4]).astype(int)
    elif kind != "two classes":
        y += rng.random(n) < 0.3
    weights = rng.uniform(0.5, 2, n) if weighted else np.ones(n)
    network = sknet.NNClassifier(loss=loss, random_state=0, max_iter=1).fit(X, y, weights)
    model, own = network._model, weights[:80]
    found = Validation(model, HeldOut(Dataset(X[:80], y[:80], own))).of_constants
    one_hot = np.eye(y.max() + 1)[y[:80]]
    if kind == "labels":
        one_hot = np.stack([1 - y[:80], y[:80]], axis=2)
    shares = np.average(one_hot, axis=0, weights=own)
    k = one_hot.shape[-1]
    for name, assumed in (
        ("least_score", 0.99 * shares + 0.01 / k),
        ("least_score_of_refit", np.full(shares.shape, 1 / k)),
    ):
        constant = -(shares * np.log(assumed)).sum()
        if name == "least_score" or kind != "ordinal":  # whose zero has other probabilities
            expected = -constant * (1 - 1.5 / np.sqrt(80))
            assert found[name] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", [1, 4])
def test_a_rare_class_is_learned_from_equal_categories(seed):
    """A network first learns how rare the class is, and only then when it occurs."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 10, (1000, 2)).astype(str).astype(object)
    y = (X[:, 0] == X[:, 1]).astype(int)
    network = sknet.NNClassifier(categorical_features=[0, 1], random_state=0)
    proba = network.fit(X[:600], y[:600]).predict_proba(X[600:])[:, 1]
    assert roc_auc_score(y[600:], proba) > 0.9


def test_what_is_learned_after_the_rows_are_memorized():
    """The parity of three signs is learned late: first a network memorizes the few rows."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, X_test = rng.normal(size=(300, 5)), rng.normal(size=(2000, 5))
        y, y_test = ((one[:, :3] > 0).sum(axis=1) % 2 for one in (X, X_test))
        assert sknet.NNClassifier(random_state=seed).fit(X, y).score(X_test, y_test) > 0.8


def test_smoothed_labels_do_not_hide_that_rows_are_memorized():
    """Their training loss stays high, but a long plan is shortened all the same."""
    X, y = load_digits(return_X_y=True)
    network = sknet.NNClassifier(
        (50, 50), activation="tanh", max_iter=500, label_smoothing=0.02, random_state=0
    )
    network.fit(X, y)
    assert min(network.loss_curve_) > np.nanmin(network.history_["validation_loss"])
    # The learning rate rises in the first 150 epochs.
    assert network.n_iter_ < 150


@pytest.mark.parametrize("seed", [0, 1])
def test_effects_of_many_levels_are_learned_after_noise_is_memorized(seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(1400, 6))).add_prefix("x")
    shop = rng.integers(200, size=1400)
    X["shop"] = [f"shop {i}" for i in shop]
    X["product"] = [f"product {i}" for i in rng.integers(100, size=1400)]
    for name in ("opened", "ordered"):
        hours = pd.to_timedelta(rng.integers(0, 24_000, 1400), unit="h")
        X[name] = pd.Timestamp("2020-01-01") + hours
    y = X["x0"] + rng.normal(size=200)[shop] + 0.3 * rng.normal(size=1400)
    network = sknet.NNRegressor(random_state=seed).fit(X[:400], y[:400])
    # About half of the variance is that of the shops.
    assert network.score(X[400:], y[400:]) > 0.53
