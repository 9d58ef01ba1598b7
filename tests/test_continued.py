"""Every parameter of a training that is continued: it acts, it is refused, or it is free."""

import copy
from dataclasses import dataclass
from inspect import signature

import numpy as np
import pytest
from guards import needs_callbacks
from plain import NNClassifier, NNRegressor
from sklearn.base import clone
from sklearn.metrics import make_scorer, mean_absolute_error

import sknet
from sknet._parameters import same_value
from sknet._persistence import FREE_TO_RESUME
from sknet.callbacks import Checkpoint
from sknet.nn.embeddings import Periodic
from sknet.nn.losses import BinaryLogLoss
from sknet.nn.optimizers import Adam
from sknet.nn.schedules import Constant

EARLY = {"early_stopping": True, "validation_fraction": 0.2}
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
    "tol": (1e3, {"n_iter_no_change": 1, "max_iter": 9, "tol": 0.0}),
    "verbose": (True, {}),
    "warm_start": (False, {}),
    "momentum": (0.1, {"solver": "sgd"}),
    "nesterovs_momentum": (False, {"solver": "sgd"}),
    "early_stopping": (True, {"validation_fraction": 0.2}),
    "refit": (False, {**EARLY, "learning_rate": "one_cycle"}),
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
    "interaction_cst": ("no_interactions", {}),
    "scoring": (make_scorer(mean_absolute_error, greater_is_better=False), EARLY),
    "standardize": (False, {}),
    "categorical_features": (["no such column"], {}),
    "monotonic_cst": ([1, 0, 0], {}),
    "numeric_embedding": ("periodic", {}),
    "n_components": (2, {"numeric_embedding": "periodic", "n_components": 0}),
    "dtype": ("float32", {"dtype": "float64"}),
}
#: The parameters of the layers, the encodings and the constraints, which must stay.
REFUSED = {
    "hidden_layer_sizes", "activation", "dropout", "normalization", "n_members",
    "interaction_cst", "standardize", "categorical_features", "monotonic_cst",
    "numeric_embedding", "n_components",
}  # fmt: skip
#: The parameters that have no effect in later calls of partial_fit, as its documentation says:
#: those of several epochs, and the seed of the first call. It has no solver "lbfgs".
FREE_IN_PARTIAL_FIT = {
    "max_iter", "tol", "n_iter_no_change", "early_stopping", "refit", "validation_fraction",
    "scoring", "random_state", "verbose", "warm_start", "max_fun",
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
        with pytest.raises(ValueError, match=rf"parameters have changed: \['{name}'\]"):
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
    with pytest.raises(ValueError, match="categorical_features changed"):
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
    with pytest.raises(ValueError, match=r"parameters have changed: \['monotonic_cst'\]"):
        network.set_callbacks().set_params(monotonic_cst=other).fit(
            X, X[:, 0], resume_from=path
        )
