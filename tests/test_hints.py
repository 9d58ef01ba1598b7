"""Names and values of other libraries are refused with what to use instead."""

import re

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet._hints import ADVICE, NAMES, VALUES
from sknet.nn.losses import Huber, Pinball
from sknet.streaming import fit_chunks

#: Wrong values, and the right ones that the messages name.
WRONG_VALUES = [
    ("loss", "mse", "'squared_error'"),
    ("loss", "MAE", "'absolute_error'"),
    ("loss", "Huber", "'huber'"),
    ("loss", "squared error", "'squared_error'"),
    ("activation", "ReLU", "'relu'"),
    ("activation", "sigmoid", "'logistic'"),
    ("activation", "Leaky-ReLU", "'leaky_relu'"),
    ("activation", "linear", "'identity'"),
    ("solver", "Adam", "'adam'"),
    ("solver", "L-BFGS", "'lbfgs'"),
    ("learning_rate", "onecycle", "'one_cycle'"),
    ("learning_rate", 0.01, "learning_rate_init=0.01"),
    ("numeric_embedding", "PLE", "'piecewise_linear'"),
    ("scoring", "accurracy", "'accuracy'"),
    ("dtype", "Float32", "'float32'"),
    ("n_iter_no_change", "Auto", "'auto'"),
    ("categorical_features", "from dtype", "'from_dtype'"),
    ("categorical_features", "city", "categorical_features=['city']"),
]
#: Arguments of other libraries, and what the messages name.
WRONG_NAMES = [
    ("epochs", "max_iter"),
    ("hidden_layers", "hidden_layer_sizes"),
    ("lr", "learning_rate_init"),
    ("optimizer", "solver"),
    ("weight_decay", "alpha"),
    ("patience", "n_iter_no_change"),
    ("seed", "random_state"),
    ("n_estimators", "n_members"),
    ("n_jobs", "OMP_NUM_THREADS"),
    ("callbacks", "set_callbacks"),
    ("device", "CPU"),
    ("validation_data", "X_val= and y_val="),
    ("eval_set", "X_val= and y_val="),
    ("iterations", "max_iter"),
    ("n_layers", "hidden_layer_sizes"),
    ("max_itr", "max_iter"),
]
#: Where the name that is meant, or the same name, is a parameter.
WRONG_PLACES = [
    (NNClassifier, "sample_weight", "It is a parameter of fit."),
    (NNClassifier.fit, "max_iter", "It is a parameter of the constructor."),
    (
        NNClassifier.fit,
        "epochs",
        "It is called max_iter and is a parameter of the constructor.",
    ),
    (NNClassifier.partial_fit, "groups", "It is a parameter of fit."),
    (NNClassifier.partial_fit, "patience", ".*; partial_fit itself makes one pass, .*"),
    (NNClassifier, "n_layers", "In .* hidden_layer_sizes=.128, 128. makes two hidden layers."),
    (NNMultiTarget, "criterion", "It is called targets here."),
    (NNMultiTarget, "loss", "It is called targets here."),
]


@pytest.mark.parametrize(("name", "value", "meant"), WRONG_VALUES)
def test_a_value_that_is_not_known(regression, name, value, meant):
    with pytest.raises(ValueError, match=rf"Got .* instead\. .*{re.escape(meant)}"):
        NNRegressor(**{name: value}).fit(*regression)


def test_a_value_like_no_other_gets_no_hint(regression):
    with pytest.raises(ValueError, match=r"Got 'xyz' instead\.$"):
        NNRegressor(loss="xyz").fit(*regression)


def test_the_loss_of_a_classifier(binary):
    with pytest.raises(ValueError, match="Did you mean 'log_loss'"):
        NNClassifier(loss="cross_entropy").fit(*binary)
    # Cross-validation asks for the kind of an estimator before it fits one.
    assert is_classifier(NNClassifier(loss="cross_entropy"))


def test_values_are_listed_in_order(regression):
    with pytest.raises(ValueError, match=r"\{'adam', 'adamw', 'lbfgs', 'rmsprop', 'sgd'\}"):
        NNRegressor(solver="newton").fit(*regression)


@pytest.mark.parametrize(("name", "meant"), WRONG_NAMES)
def test_an_argument_of_another_library(regression, name, meant):
    with pytest.raises(TypeError, match=rf"NNRegressor\(\).*{name!r}.*{meant}"):
        NNRegressor(**{name: 1})
    with pytest.raises(TypeError, match=rf"NNRegressor\.fit\(\).*{name!r}.*{meant}"):
        NNRegressor().fit(*regression, **{name: 1})


@pytest.mark.parametrize(("name", "meant"), WRONG_NAMES)
def test_a_parameter_of_another_library_that_is_set(name, meant):
    """``set_params``, which a search calls, says what to use."""
    with pytest.raises(ValueError, match=rf"Invalid parameter '{name}'.*\]\. .*{meant}"):
        NNRegressor().set_params(**{name: 1})


def test_an_argument_of_partial_fit(regression):
    with pytest.raises(TypeError, match=r"partial_fit\(\) has no parameter 'epochs'.*max_iter"):
        NNRegressor().partial_fit(*regression, epochs=3)


def test_a_parameter_of_the_constructor_that_fit_is_given(regression):
    with pytest.raises(TypeError, match="batch_size.*parameter of the constructor"):
        NNRegressor().fit(*regression, batch_size=32)


@pytest.mark.parametrize(("called", "name", "hint"), WRONG_PLACES)
def test_an_argument_of_another_method(binary, called, name, hint):
    arguments = () if isinstance(called, type) else (NNClassifier(), *binary)
    with pytest.raises(TypeError, match=rf"{called.__name__}\(\).*{name!r}\. {hint}$"):
        called(*arguments, **{name: 1})


@pytest.mark.parametrize("value", [0, -0.1])
def test_a_learning_rate_that_no_parameter_takes(regression, value):
    with pytest.raises(ValueError, match=rf"Got {value} instead\.$"):
        NNRegressor(learning_rate=value).fit(*regression)


def test_the_tables_of_hints_are_true():
    """They name parameters and values that there are, and no name that is one itself."""
    every = {cls: {*cls().get_params()} for cls in (NNClassifier, NNRegressor, NNMultiTarget)}
    assert NAMES.keys() <= set().union(*every.values())
    for parameters in every.values():
        own = [names for name, names in NAMES.items() if name in parameters]
        others = [one for names in (*own, *ADVICE.values()) for one in names]
        assert parameters.isdisjoint(others)
        assert len(others) == len(set(others))
    for name, values in VALUES.items():
        constraints = [*NNRegressor._parameter_constraints[name]]
        constraints += NNClassifier._parameter_constraints[name]
        known = set().union(*(getattr(one, "options", ()) for one in constraints))
        assert values.keys() <= known
        assert known.isdisjoint(one for names in values.values() for one in names)


# Parameters without effect.


@pytest.mark.parametrize(
    ("name", "value", "loss"),
    [("quantile", 0.9, "quantile"), ("delta", 2.0, "huber"), ("power", 1.2, "tweedie")],
)
def test_an_option_of_another_loss(regression, name, value, loss):
    X, y = regression
    with pytest.warns(UserWarning, match=rf"{name}=.* has no effect .*loss='{loss}'") as record:
        NNRegressor(**{name: value}, max_iter=1).fit(X, y)
    assert [one.filename for one in record] == [__file__]
    with pytest.warns(UserWarning, match=rf"{name}=.* has no effect"):
        NNRegressor(**{name: value}, loss=Huber(1.0), max_iter=1).fit(X, y)
    NNRegressor(**{name: value}, loss=loss, max_iter=1).fit(X, abs(y))


@pytest.mark.parametrize(
    "fit",
    [
        lambda network, X, y: network.partial_fit(X, y),
        lambda network, X, y: fit_chunks(network, [(X, y)]),
    ],
    ids=["partial_fit", "fit_chunks"],
)
def test_doubts_of_other_ways_to_fit(regression, fit):
    X, y = regression
    with pytest.warns(UserWarning, match=r"quantile=0\.9 has no effect") as record:
        fit(NNRegressor(quantile=0.9, max_iter=1), X, y)
    assert [one.filename for one in record] == [__file__]


def test_defaults_of_options_of_other_losses_pass(regression):
    X, y = regression
    NNRegressor(quantile=0.5, delta=1.35, max_iter=1).fit(X, y)
    NNRegressor(loss=Pinball(0.9), max_iter=1).fit(X, y)


#: Options that the other parameters of a network switch off, and what they do not.
SWITCHED_OFF = [
    ({"dropout": 0.2, "hidden_layer_sizes": ()}, "no hidden layers"),
    ({"dropout": 0.2, "hidden_layer_sizes": []}, "no hidden layers"),
    ({"normalization": "layer", "hidden_layer_sizes": ()}, "no hidden layers"),
    ({"scoring": "neg_mean_absolute_error", "early_stopping": False}, "stopping is off"),
]
IN_EFFECT = [
    {"dropout": 0.2, "normalization": "layer", "hidden_layer_sizes": (4,)},
    {"dropout": 0.0, "normalization": None, "hidden_layer_sizes": ()},
    {"dropout": (), "hidden_layer_sizes": ()},
    {"scoring": "neg_mean_absolute_error", "early_stopping": True},
    {"scoring": "neg_mean_absolute_error"},
    {"scoring": None, "early_stopping": False},
]


@pytest.mark.parametrize(("options", "message"), SWITCHED_OFF)
def test_an_option_that_another_switches_off(regression, options, message):
    name = next(iter(options))
    with pytest.warns(UserWarning, match=f"^{name}=.* has no effect, .*{message}") as record:
        NNRegressor(**options, max_iter=1).fit(*regression)
    assert [one.filename for one in record] == [__file__]


@pytest.mark.parametrize("options", IN_EFFECT, ids=str)
def test_options_in_effect_pass(regression, options):
    NNRegressor(**options, max_iter=1).fit(*regression)


# Data that are not what the user thinks.


def test_text_as_y_of_a_regressor(regression):
    X, y = regression
    with pytest.raises(ValueError, match="could not convert.*NNClassifier"):
        NNRegressor().fit(X, np.where(y > 0, "high", "low"))
    NNRegressor(max_iter=1).fit(X, y.astype(str))


def test_one_class_is_said(binary):
    X, _ = binary
    with pytest.warns(UserWarning, match="a single class, 'a'") as record:
        network = NNClassifier(max_iter=2).fit(X, np.full(len(X), "a"))
    ours = [one for one in record if one.category is not ConvergenceWarning]
    assert [one.filename for one in ours] == [__file__]
    assert set(network.predict(X)) == {"a"}


@pytest.mark.parametrize(("n_rows", "warned"), [(40, True), (50, False)])
def test_a_handful_of_validation_rows_is_said(regression, recwarn, n_rows, warned):
    X, y = regression
    NNRegressor(max_iter=1, early_stopping=True).fit(X[:n_rows], y[:n_rows])
    assert any("validation rows" in str(one.message) for one in recwarn.list) == warned
