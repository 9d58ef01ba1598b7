"""warm_start: a second fit begins where the first one ended."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor

from sknet.nn.losses import Loss


def options(**parameters):
    defaults = {"max_iter": 5, "n_iter_no_change": np.inf, "batch_size": 10, "random_state": 0}
    return {**defaults, "warm_start": True, **parameters}


def test_it_begins_with_the_last_parameters(problem):
    network = problem.cls((8,), **options(learning_rate_init=0.01))
    network.fit(problem.X, problem.y)
    after_one = [W.copy() for W in network.coefs_]
    # Steps of no size show where the fit begins.
    network.set_params(learning_rate_init=1e-300).fit(problem.X, problem.y)
    for now, then in zip(network.coefs_, after_one, strict=True):
        assert_array_equal(now, then)


def test_without_it_a_fit_forgets(problem):
    network = problem.cls((8,), **options(warm_start=False))
    first = network.fit(problem.X, problem.y).loss_curve_
    assert network.fit(problem.X, problem.y).loss_curve_ == first


def test_it_gets_further(problem):
    network = problem.cls((8,), **options(learning_rate_init=0.01))
    losses = [network.fit(problem.X, problem.y).loss_ for _ in range(4)]
    assert (np.diff(losses) < 0).all()
    # Counts are those of the last fit.
    assert network.n_iter_ == len(network.loss_curve_) == 5
    assert network.t_ == 5 * len(problem.X)


def test_plain_gradient_descent_does_not_notice_the_break(problem):
    plain = {"solver": "sgd", "momentum": 0, "shuffle": False}
    network = problem.cls((8,), **options(**plain))
    curve = [loss for _ in range(3) for loss in network.fit(problem.X, problem.y).loss_curve_]
    whole = problem.cls((8,), **options(**plain, max_iter=15)).fit(problem.X, problem.y)
    assert_allclose(curve, whole.loss_curve_, rtol=1e-10)


def test_the_scaling_of_the_first_fit_stays(problem):
    network = problem.cls((8,), **options(learning_rate_init=1e-300, max_iter=1))
    network.fit(problem.X, problem.y)
    before = network.predict(problem.X)
    target = problem.y if problem.cls is NNClassifier else 100 * problem.y
    network.fit(3 * problem.X + 1, target)
    assert_array_equal(network.predict(problem.X), before)


@pytest.mark.parametrize("before", ["fit", "partial_fit"])
def test_a_class_that_is_missing_is_refused_by_fit(multiclass, forbid_training, before):
    X, y = multiclass
    network = NNClassifier((8,), **options())
    if before == "fit":
        network.fit(X, y)
    else:
        network.partial_fit(X[y != "ash"], y[y != "ash"], classes=np.unique(y))
    forbid_training()
    hashed = joblib.hash(vars(network))
    with pytest.raises(ValueError, match=r"y lacks classes of the last fit, \['ash'\]"):
        network.fit(X[y != "ash"], y[y != "ash"])
    # Rows of weight zero are left out, and so are their classes.
    with pytest.raises(ValueError, match=r"y lacks classes of the last fit, \['ash'\]"):
        network.fit(X, y, sample_weight=(y != "ash").astype(float))
    assert joblib.hash(vars(network)) == hashed


def test_partial_fit_takes_rows_of_some_classes(multiclass):
    X, y = multiclass
    network = NNClassifier((8,), **options()).fit(X, y)
    network.partial_fit(X[y != "ash"], y[y != "ash"])
    assert list(network.classes_) == ["ash", "beech", "cedar"]
    assert network.predict_proba(X).shape == (len(X), 3)


def test_the_labels_of_a_multilabel_y_may_be_empty(multilabel):
    # The classes of a multi-label y are its columns.
    X, Y = multilabel
    network = NNClassifier((8,), **options()).fit(X, Y)
    assert network.fit(X, Y * [1, 0, 1]).predict_proba(X).shape == Y.shape


def test_without_it_fewer_classes_are_a_new_problem(multiclass):
    X, y = multiclass
    network = NNClassifier((8,), **options(warm_start=False)).fit(X, y)
    network.fit(X[y != "ash"], y[y != "ash"])
    assert list(network.classes_) == ["beech", "cedar"]


@pytest.mark.parametrize("solvers", [("adam", "lbfgs"), ("lbfgs", "adam"), ("sgd", "adam")])
def test_another_solver_goes_on(problem, solvers):
    first, second = solvers
    network = problem.cls((8,), **options(solver=first, tol=0.05))
    network.set_params(max_iter=100).fit(problem.X, problem.y)
    last = network.loss_
    assert last < 0.95 * network.loss_curve_[0]
    network.set_params(solver=second, learning_rate_init=1e-4).fit(problem.X, problem.y)
    assert network.loss_curve_[0] <= last * 1.02


def test_other_data_may_have_another_number_of_rows(problem):
    network = problem.cls((8,), **options()).fit(problem.X, problem.y)
    network.fit(problem.X[:30], problem.y[:30])
    assert network.t_ == 5 * 30


def test_it_goes_on_after_partial_fit(problem):
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    network = problem.cls((8,), **options(learning_rate_init=0.01))
    for _ in range(10):
        network.partial_fit(problem.X, problem.y, **classes)
    first, last = network.loss_curve_[0], network.loss_
    assert last < 0.8 * first
    # It begins nearer to the end of the last pass than to the beginning of the first one.
    assert network.fit(problem.X, problem.y).loss_curve_[0] < (first + last) / 2


class Halved(Loss):
    """A quarter of the squared error."""

    def pointwise(self, y, raw, gradient_out):
        np.multiply(raw - y, 0.5, out=gradient_out)
        return ((raw - y) ** 2).sum(axis=1) / 4


def test_another_loss_of_the_same_kind_goes_on(regression):
    X, y = regression
    network = NNRegressor((8,), **options(alpha=0.0, batch_size=1000)).fit(X, y)
    network.set_params(max_iter=1)
    last = network.fit(X, y).loss_
    network.set_params(loss=Halved(), learning_rate_init=1e-300).fit(X, y)
    assert network.loss_ == pytest.approx(last / 2, rel=0.05)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("losses", [("squared_error", "poisson"), ("poisson", "squared_error")])
def test_a_loss_for_which_y_is_scaled_otherwise_is_refused(regression, method, losses):
    # The Poisson loss needs an unshifted y: the stored scale would make counts negative.
    X, y = regression
    network = NNRegressor((8,), **options(loss=losses[0])).fit(X, np.abs(y))
    network.set_params(loss=losses[1])
    with pytest.raises(ValueError, match="loss"):
        getattr(network, method)(X, np.abs(y))
