"""sknet in the place of the installed scikit-learn's MLPs."""

import inspect
import pickle
import warnings
from numbers import Real

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils._param_validation import StrOptions

from sknet import NNClassifier, NNRegressor

PAIRS = [(MLPClassifier, NNClassifier), (MLPRegressor, NNRegressor)]
# Few epochs, without the warning that training has not converged.
QUICK = {"max_iter": 3, "n_iter_no_change": np.inf, "random_state": 0}


def data_for(cls):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X[:, 0] - X[:, 1]) ** 2  # also for losses of counts
    return (X, (y > 1).astype(int)) if issubclass(cls, MLPClassifier | NNClassifier) else (X, y)


def string_options():
    """Yield every string that scikit-learn's constraints list."""
    for theirs, ours in PAIRS:
        for name, constraints in theirs._parameter_constraints.items():
            if name in theirs().get_params():
                for constraint in constraints:
                    if isinstance(constraint, StrOptions):
                        for option in sorted(constraint.options):
                            yield pytest.param(
                                ours, name, option, id=f"{ours.__name__}-{option}"
                            )


def public_attributes(fitted):
    """Return the names of the public fitted attributes and properties."""
    names = {*vars(fitted), *dir(type(fitted))}
    names = {n for n in names if n.endswith("_") and not n.startswith("_")}
    return {name for name in names if hasattr(fitted, name)}


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_every_parameter_is_accepted(theirs, ours):
    their_values = theirs().get_params()
    assert set(their_values) <= set(ours().get_params())
    X, y = data_for(ours)
    network = ours(**{**their_values, **QUICK}).fit(X, y)
    assert network.n_iter_ == 3


@pytest.mark.parametrize(("ours", "name", "option"), list(string_options()))
def test_every_option_is_accepted(ours, name, option):
    solver = {"solver": "sgd"} if name == "learning_rate" else {}
    X, y = data_for(ours)
    network = ours((4,), **{**QUICK, **solver, "max_iter": 200, "tol": 1e-3, name: option})
    network.fit(X, y)
    assert network.loss_ < network.loss_curve_[0]


@pytest.mark.parametrize("ours", [NNClassifier, NNRegressor])
def test_only_layers_and_activation_are_positional(ours):
    parameters = list(inspect.signature(ours).parameters.values())
    assert [p.name for p in parameters[:2]] == ["hidden_layer_sizes", "activation"]
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters[:2])
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[2:])


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_every_method_exists_with_its_arguments(theirs, ours):
    methods = [
        name
        for name, member in inspect.getmembers(theirs(), callable)
        if not name.startswith("_") and not name.endswith("_request")
    ]
    assert {"fit", "partial_fit", "predict", "score"} <= set(methods)
    for name in methods:
        their_arguments = list(inspect.signature(getattr(theirs(), name)).parameters)
        our_arguments = list(inspect.signature(getattr(ours(), name)).parameters)
        assert set(their_arguments) <= set(our_arguments), name
        first = their_arguments[:2]
        assert our_arguments[: len(first)] == first, name


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_every_fitted_attribute_exists(theirs, ours, solver, early_stopping):
    X, y = data_for(ours)
    X = pd.DataFrame(X, columns=list("abcd"))
    options = {**QUICK, "solver": solver, "early_stopping": early_stopping}
    options |= {"max_iter": 100, "tol": 0.01}  # tol is for lbfgs
    reference = theirs(hidden_layer_sizes=(7, 3), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference.fit(X, y)
    # Without embedding and members, the shapes of the weights equal scikit-learn's.
    network = ours((7, 3), numeric_embedding=None, n_members=1, **options).fit(X, y)
    expected = public_attributes(reference)
    assert {"coefs_", "loss_", "n_iter_", "feature_names_in_", "t_"} <= expected
    assert expected <= public_attributes(network)
    # With early stopping by lbfgs these are None there, and not here.
    for name in expected - {"validation_scores_", "best_validation_score_", "best_loss_"}:
        theirs_is = type(getattr(reference, name))
        kind = Real if issubclass(theirs_is, Real) else theirs_is
        assert isinstance(getattr(network, name), kind), name
    for name in ["n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]:
        assert getattr(network, name) == getattr(reference, name), name
    for name in ["coefs_", "intercepts_"]:
        shapes = [array.shape for array in getattr(reference, name)]
        assert [array.shape for array in getattr(network, name)] == shapes
    assert list(network.feature_names_in_) == list("abcd")
    if early_stopping:
        assert network.best_loss_ is None
        assert network.best_validation_score_ == max(network.validation_scores_)
        assert len(network.validation_scores_) == network.n_iter_
    else:
        assert network.validation_scores_ is None
        assert network.best_validation_score_ is None
        assert network.best_loss_ == min(network.loss_curve_)


CODE = """
from sklearn.neural_network import MLPClassifier

model = MLPClassifier((64, 32), alpha=1e-3, early_stopping=True, random_state=0)
model.fit(X_train, y_train)
accuracy = model.score(X_test, y_test)
probabilities = model.predict_proba(X_test)
best = model.best_validation_score_
epochs = len(model.loss_curve_)
first_layer = model.coefs_[0].shape
"""


def test_code_works_when_only_the_import_changes():
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, random_state=0)
    data = dict(zip(["X_train", "X_test", "y_train", "y_test"], split, strict=True))
    theirs, ours = dict(data), dict(data)
    exec(CODE, theirs)
    line = "from sklearn.neural_network import MLPClassifier"
    assert line in CODE
    exec(CODE.replace(line, "from sknet import NNClassifier as MLPClassifier"), ours)
    assert isinstance(ours["model"], NNClassifier)
    assert ours["accuracy"] > theirs["accuracy"] - 0.02
    assert ours["probabilities"].shape == theirs["probabilities"].shape
    # Each pixel has some features besides itself, as encoded_feature_names_ says.
    n_inputs = len(ours["model"].encoded_feature_names_)
    assert ours["first_layer"] == (n_inputs, 64)
    assert ours["epochs"] == ours["model"].n_iter_ > 1
    assert ours["best"] == max(ours["model"].validation_scores_)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_loss_in_first_place_is_pointed_out(loss, forbid_training):
    # scikit-learn's regressor takes its loss first.
    X, y = data_for(NNRegressor)
    forbid_training()
    with pytest.raises(ValueError, match=rf"(?s)first positional.*loss='{loss}'"):
        NNRegressor(loss).fit(X, y)


class Narrow(NNClassifier):
    """A subclass whose constructor has other parameters, as scikit-learn allows."""

    def __init__(self, width=3):
        super().__init__((width,), max_iter=3, random_state=0)
        self.width = width


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_subclass_with_its_own_constructor():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(Narrow(), {"width": [2, 4]}, cv=2).fit(X, y)
    network = clone(search.best_estimator_).fit(X, y)
    assert network.coefs_[-1].shape[-2] == search.best_params_["width"]
    assert_array_equal(pickle.loads(pickle.dumps(network)).predict(X), network.predict(X))
    assert Narrow().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y).n_iter_ == 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_layer_sizes": (10,), "max_iter": 1000},
        {"hidden_layer_sizes": (4,), "activation": "tanh", "learning_rate_init": 0.1},
        {"hidden_layer_sizes": (4,), "activation": "logistic", "solver": "sgd",
         "learning_rate_init": 0.5, "max_iter": 4000},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("seed", range(2))
def test_the_first_network_that_people_train(options, seed):
    """XOR, with four rows."""
    X = [[0, 0], [0, 1], [1, 0], [1, 1]]
    network = NNClassifier(random_state=seed, **options).fit(X, [0, 1, 1, 0])
    assert network.predict(X).tolist() == [0, 1, 1, 0]
