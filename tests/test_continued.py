"""Training that is continued: each parameter acts, is refused, or is free; ``warm_start``."""

import copy
from dataclasses import dataclass
from inspect import signature

import joblib
import numpy as np
import pytest
from guards import needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone
from sklearn.metrics import make_scorer, mean_absolute_error

import sknet
from sknet._parameters import same_value
from sknet._persistence import FREE_TO_RESUME
from sknet.callbacks import Checkpoint
from sknet.nn.embeddings import Periodic
from sknet.nn.losses import BinaryLogLoss, Loss
from sknet.nn.optimizers import Adam
from sknet.nn.schedules import Constant

EARLY = {"early_stopping": True, "validation_fraction": 0.2}
LEARNS = {"validation_fraction": 0.5, "max_iter": 40, "learning_rate_init": 0.02}
#: For each parameter another value, and the parameters with which it matters.
CHANGES = {
    "hidden_layer_sizes": ((9,), {}),
    "activation": ("tanh", {}),
    "loss": ("absolute_error", {}),
    "delta": (0.1, {"loss": "huber"}),
    "quantile": (0.9, {"loss": "quantile"}),
    "power": (1.1, {"loss": "tweedie"}),
    "class_weight": ({False: 1, True: 5}, {}),
    "label_smoothing": (0.3, {}),
    "solver": ("sgd", {}),
    "alpha": (10.0, {}),
    "l1_ratio": (0.9, {"alpha": 10.0}),
    "batch_size": (20, {}),
    "learning_rate": ("invscaling", {}),
    "learning_rate_init": (0.1, {}),
    "power_t": (2.0, {"learning_rate": "invscaling"}),
    "max_iter": (6, {}),
    "shuffle": (False, {}),
    "random_state": (7, {}),
    "time_limit": (1e-9, {}),
    "tol": (1e3, {"n_iter_no_change": 1, "max_iter": 9, "tol": 0.0}),
    "verbose": (True, {}),
    "warm_start": (False, {}),
    "frozen_layers": (1, {}),
    "hidden_rate_factor": (0.1, {}),
    "momentum": (0.1, {"solver": "sgd"}),
    "nesterovs_momentum": (False, {"solver": "sgd"}),
    "early_stopping": (True, {"validation_fraction": 0.2}),
    # Only a network that has learned something is refitted.
    "refit": (False, {**EARLY, **LEARNS, "learning_rate": "one_cycle"}),
    "validation_fraction": (0.4, EARLY),
    "beta_1": (0.1, {}),
    "beta_2": (0.1, {}),
    "epsilon": (0.1, {}),
    "n_iter_no_change": (2, {"n_iter_no_change": 1, "max_iter": 9, "tol": 1e3}),
    "max_fun": (2, {"solver": "lbfgs", "max_iter": 9}),
    "dropout": (0.5, {}),
    "normalization": ("layer", {}),
    "input_noise": (0.5, {}),
    "mixup": (0.5, {}),
    "ema_decay": (0.5, {}),
    "n_members": (2, {}),
    "share_weights": (False, {"n_members": 2}),
    "interaction_cst": ("no_interactions", {}),
    "scoring": (make_scorer(mean_absolute_error, greater_is_better=False), EARLY),
    "standardize": (False, {}),
    "categorical_features": (["no such column"], {}),
    "monotonic_cst": ([1, 0, 0], {}),
    "numeric_embedding": ("periodic", {}),
    "n_components": (2, {"numeric_embedding": "periodic", "n_components": 0}),
    "column_scales": (True, {"column_scales": False}),
    "dtype": ("float32", {"dtype": "float64"}),
}
#: The parameters of the layers, the encodings and the constraints, which must stay.
REFUSED = {
    "hidden_layer_sizes", "activation", "dropout", "normalization", "n_members",
    "share_weights", "interaction_cst", "standardize", "categorical_features", "monotonic_cst",
    "numeric_embedding", "n_components", "column_scales",
}  # fmt: skip
#: The parameters that have no effect in later calls of partial_fit, as its documentation says:
#: those of several epochs, and the seed of the first call. It has no solver "lbfgs".
FREE_IN_PARTIAL_FIT = {
    "max_iter", "tol", "n_iter_no_change", "early_stopping", "refit", "validation_fraction",
    "scoring", "random_state", "verbose", "warm_start", "max_fun", "time_limit",
}  # fmt: skip


class HalfBinaryLogLoss(BinaryLogLoss):
    """l = half of the log loss."""

    def pointwise(self, y, raw, gradient_out):
        value = super().pointwise(y, raw, gradient_out)
        gradient_out *= 0.5
        return 0.5 * value


def network_of(cls, others, **options):
    plain = {"max_iter": 3, "n_iter_no_change": np.inf, "batch_size": 10, "random_state": 0}
    return cls((8,), **{**plain, "n_components": 0, **options, **others})


#: Each parameter of each estimator.
CASES = [
    pytest.param(made, name, id=f"{made.args[0].__name__}-{name}")
    for made in (NNClassifier, NNRegressor)
    for name in signature(made.args[0]).parameters
]


@pytest.fixture(scope="module")
def table():
    X = np.random.default_rng(0).normal(size=(150, 3))
    return X, np.random.default_rng(1).poisson(np.exp(X[:, 0])).astype(float)


def value_for(made, name):
    value, others = CHANGES[name]
    if name == "loss" and made is NNClassifier:
        return HalfBinaryLogLoss(), others
    if name == "scoring" and made is NNClassifier:
        return "f1", others
    return value, others


def outcome(network, X, y, method):
    """Return what another fit makes of a network: its parameters and its record."""
    network = copy.deepcopy(network)
    getattr(network, method)(X, y)
    history = {k: v for k, v in network.history_.items() if k != "seconds"}
    return network._model.params, history


def differ(one, other):
    return one[0].dtype != other[0].dtype or not same_value(one, other)


def assert_in_its_place(made, name, table, method, free):
    """Hold a changed parameter to act, to be refused, or to change nothing if it is free."""
    X, y = table
    y = y > 1 if made is NNClassifier else y
    value, others = value_for(made, name)
    first = {"classes": [False, True]} if made is NNClassifier else {}
    if method == "partial_fit":
        if others.get("solver") == "lbfgs":
            return
        network = network_of(made, others).partial_fit(X, y, **first)
    else:
        network = network_of(made, others, warm_start=True).fit(X, y)
    changed = copy.deepcopy(network).set_params(**{name: value})
    if name in REFUSED:
        before = changed._model
        with pytest.raises(ValueError, match=rf"(?s){name}.*fit a clone"):
            getattr(changed, method)(X, y)
        assert changed._model is before
        getattr(clone(changed).set_params(categorical_features=None), method)(
            X, y, **(first if method == "partial_fit" else {})
        )  # The remedy of the message.
    else:
        acts = differ(outcome(changed, X, y, method), outcome(network, X, y, method))
        assert acts == (name not in free)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("made", "name"), CASES)
def test_partial_fit(made, name, table):
    assert_in_its_place(made, name, table, "partial_fit", FREE_IN_PARTIAL_FIT)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("made", "name"), CASES)
def test_warm_start(made, name, table):
    assert_in_its_place(made, name, table, "fit", {"verbose"})


@needs_callbacks
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("made", "name"), CASES)
def test_a_resumed_fit(made, name, table, tmp_path, forbid_training):
    """Nothing may change but what is free, and that is not refused."""
    X, y = table
    y = y > 1 if made is NNClassifier else y
    value, others = value_for(made, name)
    if others.get("solver") == "lbfgs":
        return
    path = tmp_path / "network.joblib"
    network = network_of(made, others).set_callbacks(Checkpoint(path)).fit(X, y)
    network.set_callbacks().set_params(**{name: value})
    if name not in FREE_TO_RESUME:
        forbid_training()
        with pytest.raises(
            ValueError, match=rf"parameters have changed since the checkpoint: \['{name}'\]"
        ):
            network.fit(X, y, resume_from=path)
    else:
        network.fit(X, y, resume_from=path)


def test_the_documentation_of_partial_fit_names_what_is_free():
    for cls in (sknet.NNClassifier, sknet.NNRegressor):
        text = cls.partial_fit.__doc__
        for name in FREE_IN_PARTIAL_FIT - {"verbose", "warm_start", "max_fun"}:
            assert f"``{name}``" in text


# Values.


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("given", [[0], (0,), np.array([0])], ids=repr)
def test_equal_values_in_other_containers_are_no_change(table, method, given):
    X, y = table
    network = network_of(NNRegressor, {}, categorical_features=[0], warm_start=True)
    X = np.column_stack([X[:, 0] > 0, X[:, 1:]])
    getattr(network, method)(X, y)
    getattr(network.set_params(categorical_features=given), method)(X, y)


def test_a_list_that_was_changed_in_place_is_noticed(table):
    X, y = table
    X = np.column_stack([X[:, 0] > 0, X[:, 1:]])
    columns = [0]
    network = network_of(NNRegressor, {}, categorical_features=columns).partial_fit(X, y)
    columns.append(1)
    with pytest.raises(ValueError, match="categorical_features is .0, 1., but .0,. in"):
        network.partial_fit(X, y)


class Scorer:
    """A callable with attributes and without a comparison, whose repr has an address."""

    def __init__(self, sign):
        self.sign = sign

    def __call__(self, estimator, X, y):
        return self.sign * estimator.score(X, y)


def middle(value):
    """Return a long array whose repr is shortened, with a value in its middle."""
    long = np.zeros(5000, int)
    long[2500] = value
    return long


@pytest.mark.parametrize(
    ("same", "other"),
    [
        (lambda: middle(0), middle(1)),
        (lambda: middle(0).tolist(), middle(1)),
        (lambda: {"a": 1, "b": middle(0)}, {"b": middle(1), "a": 1}),
        (lambda: {"a": 1}, {"a": 1, "b": 1}),
        (lambda: [1, 2], [1, 2, 3]),
        (lambda: Scorer(1), Scorer(-1)),
        (lambda: make_scorer(mean_absolute_error), make_scorer(max)),
        (lambda: [Periodic(4), Adam(0.5)], [Periodic(4), Adam(0.6)]),
        (lambda: {"a", "b"}, {"a", "c"}),
        (lambda: np.float64(0.5), 0.6),
        (lambda: "auto", middle(0)),
        (lambda: None, 0),
        (lambda: float("nan"), 0.0),
        (lambda: Scorer(1), lambda: 1),
        (lambda: "ab", ["a", "b"]),
    ],
    # A name from the repr of a function would differ between the processes of pytest-xdist.
    ids=(
        "arrays, list and array, dicts, more keys, more entries, scorers, made scorers, rules, "
        "sets, numbers, text and array, None, NaN, scorer and function, text and list"
    ).split(", "),
)
def test_values_are_compared_whole(same, other):
    assert same_value(same(), same())
    assert not same_value(same(), other)
    assert not same_value(other, same())
    assert same_value(other, other)


@dataclass(frozen=True)
class Table(Constant):
    """A schedule with an array, which has no one truth value."""

    rates: np.ndarray


def test_rules_with_arrays_are_compared_whole():
    assert same_value(Table(np.array([0.1, 0.2])), Table(np.array([0.1, 0.2])))
    assert not same_value(Table(np.array([0.1, 0.2])), Table(np.array([0.1, 0.3])))


def test_a_lambda_equals_itself_alone():
    one, other = (lambda: 1), (lambda: 1)
    assert same_value(one, one)
    assert not same_value(one, other)


@needs_callbacks
@pytest.mark.parametrize("columns", [1500, 3])
def test_a_long_constraint_that_differs_in_its_middle(columns, tmp_path, forbid_training):
    X = np.random.default_rng(0).normal(size=(40, columns))
    constraints = np.zeros(columns, int)
    constraints[0] = 1
    network = network_of(NNRegressor, {}, monotonic_cst=constraints)
    path = tmp_path / "network.joblib"
    network.set_callbacks(Checkpoint(path)).fit(X, X[:, 0])
    other = constraints.copy()
    other[columns // 2] = 1
    forbid_training()
    with pytest.raises(
        ValueError, match=r"parameters have changed since the checkpoint: \['monotonic_cst'\]"
    ):
        network.set_callbacks().set_params(monotonic_cst=other).fit(
            X, X[:, 0], resume_from=path
        )


# ``warm_start``: a second fit begins where the first one ended.


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
