"""partial_fit makes one pass over the given rows and continues from the last call."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

import sknet
from sknet.nn.optimizers import OPTIMIZERS, Adam


def first_classes(problem):
    return {"classes": np.unique(problem.y)} if problem.cls is NNClassifier else {}


def passes(network, X, y, n=1, **kwargs):
    for _ in range(n):
        network.partial_fit(X, y, **kwargs)
    return network


@pytest.mark.parametrize("solver", list(OPTIMIZERS))
def test_passes_equal_epochs(problem, solver):
    # Unshuffled, each pass is one epoch of a fit, the optimizer's memory included.
    options = {"solver": solver, "batch_size": 16, "shuffle": False, "random_state": 0}
    network = passes(
        problem.cls((6,), **options), problem.X, problem.y, 5, **first_classes(problem)
    )
    whole = problem.cls((6,), max_iter=5, n_iter_no_change=np.inf, **options)
    whole.fit(problem.X, problem.y)
    for one, other in zip(network.coefs_, whole.coefs_, strict=True):
        assert_allclose(one, other, rtol=1e-10)
    assert_allclose(network.loss_curve_, whole.loss_curve_, rtol=1e-10)
    assert network.n_iter_ == len(network.loss_curve_) == 5
    assert network.t_ == whole.t_ == 5 * len(problem.X)
    assert network.best_iter_ == whole.best_iter_
    assert network.loss_ == network.loss_curve_[-1]


def test_it_learns_from_chunks(problem):
    network = problem.cls((20,), batch_size=10, learning_rate_init=0.01, random_state=0)
    classes = first_classes(problem)
    for _ in range(40):
        for chunk in np.array_split(np.arange(len(problem.X)), 3):
            network.partial_fit(problem.X[chunk], problem.y[chunk], **classes)
    assert network.score(problem.X, problem.y) > 0.85
    assert network.n_iter_ == 120
    assert network.t_ == 40 * len(problem.X)


def test_rows_are_shuffled_anew_in_each_pass(problem):
    options = {"batch_size": 16, "random_state": 0}
    network = passes(
        problem.cls((6,), **options), problem.X, problem.y, 3, **first_classes(problem)
    )
    whole = problem.cls((6,), max_iter=3, n_iter_no_change=np.inf, **options)
    assert_allclose(
        whole.fit(problem.X, problem.y).loss_curve_, network.loss_curve_, rtol=1e-10
    )


def test_the_first_call_fixes_the_scaling(problem):
    X, y = problem.X, problem.y
    network = problem.cls((6,), random_state=0, learning_rate_init=1e-300)
    network.partial_fit(X, y, **first_classes(problem))
    before = network.predict(X)
    # No step moves the parameters: predictions move only if the scaling does.
    target = y if problem.cls is NNClassifier else 100 * y + 7
    network.partial_fit(5 * X + 3, target)
    assert_allclose(network.predict(X), before, rtol=1e-9)


def test_sparse_chunks(problem):
    X = np.where(np.abs(problem.X) < 0.5, 0, problem.X)
    options = {"standardize": False, "batch_size": 16, "random_state": 0}
    dense = passes(problem.cls((6,), **options), X, problem.y, 3, **first_classes(problem))
    network = passes(
        problem.cls((6,), **options),
        sparse.csr_matrix(X),
        problem.y,
        3,
        **first_classes(problem),
    )
    assert_allclose(network.coefs_[0], dense.coefs_[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("given", [None, [0, 1, 2]])
def test_multilabel(multilabel, given):
    X, Y = multilabel
    network = NNClassifier((10,), batch_size=10, learning_rate_init=0.02, random_state=0)
    passes(network, X, Y, 20, classes=given)
    assert network.predict(X).shape == Y.shape
    assert np.mean(network.predict(X) == Y) > 0.85


def test_multioutput(multioutput):
    X, Y = multioutput
    options = {"batch_size": 10, "random_state": 0}
    network = passes(NNRegressor((20,), **options), X, Y, 5)
    whole = NNRegressor((20,), max_iter=5, n_iter_no_change=np.inf, **options).fit(X, Y)
    assert_allclose(network.predict(X), whole.predict(X), rtol=1e-8)


def test_classes_may_come_later(multiclass):
    X, y = multiclass
    network = NNClassifier((10,), batch_size=10, learning_rate_init=0.02, random_state=0)
    known = ["ash", "beech", "cedar", "yew"]
    network.partial_fit(X[y == "ash"], y[y == "ash"], classes=known)
    assert list(network.classes_) == known
    passes(network, X, y, 20)
    passes(network, X, y, 1, classes=known)
    assert network.predict_proba(X).shape == (len(y), 4)
    assert network.score(X, y) > 0.9


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_column_of_labels_is_said_once(method, binary):
    """Its classes are looked at before and, if rows are left out, after it is read."""
    X, y = binary
    weight = np.arange(len(y)) % 2
    classes = {"classes": [0, 1]} if method == "partial_fit" else {}
    network = NNClassifier((4,), max_iter=2, early_stopping=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(network, method)(X, y[:, np.newaxis], weight, **classes)
    assert sum(one.category is DataConversionWarning for one in caught) == 1


def test_two_classes_of_which_the_first_call_has_one(binary):
    X, y = binary
    network = NNClassifier((10,), batch_size=10, learning_rate_init=0.02, random_state=0)
    network.partial_fit(X[y == 1], y[y == 1], classes=[0, 1])
    assert network.n_outputs_ == 1
    assert passes(network, X, y, 30).score(X, y) > 0.85


def test_a_changed_learning_rate_acts(problem):
    network = problem.cls((6,), random_state=0)
    network.partial_fit(problem.X, problem.y, **first_classes(problem))
    same, changed = copy.deepcopy(network), copy.deepcopy(network)
    before = network.coefs_[0].copy()
    changed.set_params(learning_rate_init=0.01)
    for one in [same, changed]:
        one.partial_fit(problem.X, problem.y)
    # Ten times the learning rate makes ten times the step of the only batch.
    assert_allclose(changed.coefs_[0] - before, 10 * (same.coefs_[0] - before), rtol=1e-6)
    assert changed.history_["learning_rate"] == [0.001, 0.01]


@pytest.mark.parametrize("solver", ["sgd", "rmsprop", Adam(beta_1=0.5)], ids=str)
def test_a_changed_solver_goes_on_from_the_parameters(problem, solver):
    network = problem.cls((6,), batch_size=10, random_state=0)
    passes(network, problem.X, problem.y, 3, **first_classes(problem))
    last = network.loss_
    network.set_params(solver=solver, learning_rate_init=1e-4)
    network.partial_fit(problem.X, problem.y)
    assert network.loss_ == pytest.approx(last, rel=0.2)
    assert network.n_iter_ == 4


def test_a_schedule_without_a_horizon_goes_on(problem):
    n = len(problem.X)
    network = problem.cls(
        (6,), learning_rate="invscaling", learning_rate_init=0.01, batch_size=n, random_state=0
    )
    passes(network, problem.X, problem.y, 4, **first_classes(problem))
    expected = 0.01 / np.sqrt(np.arange(4) * n + 1)
    assert_allclose(network.history_["learning_rate"], expected)


@pytest.mark.parametrize("learning_rate", ["cosine", "one_cycle", "coslog"])
def test_a_schedule_with_a_horizon_is_constant(problem, learning_rate):
    network = problem.cls((6,), learning_rate=learning_rate, random_state=0)
    passes(network, problem.X, problem.y, 4, **first_classes(problem))
    assert network.history_["learning_rate"] == [0.001] * 4


def test_weights_are_relative_within_a_call(problem):
    weight = np.random.default_rng(0).integers(0, 3, len(problem.y))
    options = {"batch_size": 1000, "random_state": 0}
    classes = first_classes(problem)
    weighted, repeated, scaled = (problem.cls((6,), **options) for _ in range(3))
    for _ in range(3):
        weighted.partial_fit(problem.X, problem.y, weight, **classes)
        scaled.partial_fit(problem.X, problem.y, 7.0 * weight, **classes)
        repeated.partial_fit(
            np.repeat(problem.X, weight, axis=0), np.repeat(problem.y, weight), **classes
        )
    assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-6)
    assert_allclose(weighted.coefs_[0], scaled.coefs_[0], rtol=1e-6)


def test_after_a_fit_it_goes_on(problem):
    network = problem.cls(
        (20,),
        batch_size=10,
        early_stopping=True,
        learning_rate="cosine",
        learning_rate_init=0.01,
        max_iter=10,
        random_state=0,
    ).fit(problem.X, problem.y)
    network.partial_fit(problem.X, problem.y)
    assert network.n_iter_ == len(network.loss_curve_) == 11
    assert network.loss_ < network.loss_curve_[0]
    # A pass has no validation score, so the scores of the fit are dropped.
    assert network.validation_scores_ is None


def test_after_a_fit_the_learning_rate_rises_slowly(problem):
    """A new Adam's first steps move each weight by the whole rate, whatever the gradient."""
    options = {"learning_rate_init": 0.01, "early_stopping": False, "random_state": 0}
    network = problem.cls((20,), batch_size=10, max_iter=30, learning_rate="cosine", **options)
    network.fit(problem.X, problem.y)
    before, weights = network.score(problem.X, problem.y), network.coefs_[0].copy()
    network.partial_fit(problem.X[:1], problem.y[:1])
    assert network.history_["learning_rate"][-1] == pytest.approx(0.01 / 2000)
    assert np.abs(network.coefs_[0] - weights).max() < 1e-5
    restored = pickle.loads(pickle.dumps(network)).partial_fit(problem.X[:20], problem.y[:20])
    assert restored.history_["learning_rate"][-1] == pytest.approx(0.01 * 3 / 2000)
    passes(network, problem.X, problem.y, 3)
    assert network.score(problem.X, problem.y) > before - 0.02


def test_a_fit_starts_anew(problem):
    options = {"max_iter": 3, "n_iter_no_change": np.inf, "batch_size": 10, "random_state": 0}
    network = problem.cls((6,), **options)
    passes(network, problem.X[:50] * 3, problem.y[:50], 2, **first_classes(problem))
    network.fit(problem.X, problem.y)
    expected = problem.cls((6,), **options).fit(problem.X, problem.y)
    assert network.loss_curve_ == expected.loss_curve_
    assert network.n_iter_ == 3


def test_divergence_leaves_the_estimator_as_it_was(problem):
    network = problem.cls((6,), solver="sgd", batch_size=10, random_state=0)
    passes(network, problem.X, problem.y, 2, **first_classes(problem))
    before = [W.copy() for W in network.coefs_]
    network.set_params(learning_rate_init=1e300)
    with pytest.raises(ValueError, match="Training diverged"):
        network.partial_fit(problem.X, problem.y)
    for now, then in zip(network.coefs_, before, strict=True):
        assert_array_equal(now, then)
    assert network.n_iter_ == 2
    # The estimator can be trained further.
    network.set_params(learning_rate_init=1e-3).partial_fit(problem.X, problem.y)
    assert network.n_iter_ == 3


def test_it_returns_itself(problem):
    network = problem.cls((6,))
    assert network.partial_fit(problem.X, problem.y, **first_classes(problem)) is network


@pytest.mark.parametrize(
    ("options", "targets"),
    [({"standardize": False}, [300.0] * 5), ({}, [0.0] * 5 + [1.0] * 5 + [50.0])],
    ids=["in its own units", "far from the rows before"],
)
def test_a_row_alone_is_no_poor_result(options, targets):
    """One number tells no spread of y that its prediction could be judged by."""
    rows = np.random.default_rng(0).normal(size=(len(targets), 1, 3))
    network = sknet.NNRegressor(random_state=0, **options)
    for row, target in zip(rows, targets, strict=True):
        network.partial_fit(row, [target])
    assert network.t_ == len(targets)


def test_the_history_has_an_entry_of_each_quantity_for_each_epoch(problem):
    """With lbfgs, there is no learning rate; the passes after it have one."""
    options = {"solver": "lbfgs", "max_iter": 3, "tol": 0.5}
    network = sknet.NNRegressor((6,), **options).fit(problem.X, problem.X[:, 0])
    network.set_params(solver="adam").partial_fit(problem.X, problem.X[:, 0])
    lengths = {name: len(values) for name, values in network.history_.items()}
    assert set(lengths.values()) == {network.n_iter_}
    assert np.isnan(network.history_["learning_rate"][:-1]).all()
