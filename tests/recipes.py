"""Checks of the activation, loss, parameter and constraint of the pages on new things.

``test_recipes.py`` runs this program with a copy of the package that has them. It prints for
each "well", or the error.
"""

import inspect
import json
import pickle
import traceback
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import sknet
from sknet import NNClassifier, NNRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
Y = X[:, 0] + np.abs(X[:, 1])
#: A network whose predictions are the formula of its ``coefs_``, and its few epochs.
PLAIN = {"numeric_embedding": None, "n_components": 0, "standardize": False, "dropout": 0.0}
SHORT = {"max_iter": 3, "learning_rate": "cosine", "random_state": 0}
WITHOUT_STEPS = {"solver": "lbfgs", "learning_rate": "constant"}


def fitted(cls=NNRegressor, y=Y, **options):
    return cls(**{"hidden_layer_sizes": (4,), **SHORT, **options}).fit(X, y)


def is_stored_and_exported(network):
    """Check that files and graphs of a network predict what it predicts."""
    expected = network.predict(X)
    assert_array_equal(pickle.loads(pickle.dumps(network)).predict(X), expected)
    assert_array_equal(clone(network).fit(X, Y).predict(X), expected)
    if find_spec("skops"):
        import skops.io

        from sknet.export import SKOPS_TRUSTED

        loaded = skops.io.loads(skops.io.dumps(network), trusted=SKOPS_TRUSTED)
        assert_array_equal(loaded.predict(X), expected)
    if find_spec("onnxruntime"):
        import onnxruntime

        from sknet.export import onnx_inputs, to_onnx

        graph = to_onnx(network).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        (outputs,) = session.run(None, onnx_inputs(session, X))
        assert_allclose(outputs[:, 0], expected, rtol=1e-5, atol=1e-5)


def is_refused(message, **options):
    with pytest.raises(ValueError, match=message):
        fitted(**options)


def activation():
    network = fitted(activation="arctan", dtype="float64", **PLAIN)
    (first, last), (bias, shift) = network.coefs_, network.intercepts_
    expected = np.arctan(X @ first + bias) @ last + shift
    assert_allclose(network.predict(X), expected[:, 0], rtol=1e-12)
    is_stored_and_exported(network)
    fitted(NNClassifier, Y > 0, activation=["arctan"], monotonic_cst=[1, 0, 0])
    assert '"arctan"' in inspect.getdoc(NNClassifier)
    is_refused("'arctan'", activation="arctangent")


def loss():
    on_all_rows = {"early_stopping": False, "alpha": 0, **WITHOUT_STEPS, **PLAIN}
    network = fitted(loss="log_cosh", **on_all_rows)
    errors = network.predict(X) - Y
    assert_allclose(network.loss_, np.log(np.cosh(errors)).mean(), rtol=1e-6)
    is_stored_and_exported(fitted(loss="log_cosh", n_members=3))
    assert '"log_cosh": ' in inspect.getdoc(NNRegressor)
    is_refused("'log_cosh'", loss="logcosh")


def parameter():
    """A step of gradient descent is as long as the limit times the learning rate."""
    one_step = {"solver": "sgd", "momentum": 0, "ema_decay": None, "alpha": 0, "max_iter": 1}
    one_step |= {"batch_size": 200, "early_stopping": False, "learning_rate_init": 0.1, **PLAIN}
    ends = [
        np.concatenate([array.ravel() for array in network.coefs_ + network.intercepts_])
        for limit in (0.001, 0.003)
        for network in [fitted(max_gradient_norm=limit, dtype="float64", **one_step)]
    ]
    assert_allclose(np.linalg.norm(ends[1] - ends[0]), 0.1 * 0.002, rtol=1e-9)
    small, large = (fitted(batch_size=n).auto_params_["max_gradient_norm"] for n in (8, 50))
    assert (small, large) == (1.0, None)
    is_stored_and_exported(fitted(batch_size=8))
    for cls in (NNClassifier, NNRegressor):
        assert inspect.signature(cls).parameters["max_gradient_norm"].default == "auto"
        assert "fewer than 32 rows" in " ".join(inspect.getdoc(cls).split())
    is_refused("'max_gradient_norm' parameter .* Got -1", max_gradient_norm=-1)
    is_refused("cannot use max_gradient_norm=2.0", max_gradient_norm=2.0, **WITHOUT_STEPS)


def constraint():
    low, high = bounds = 0.5, 1.0
    free, members = (fitted(bounds=one, n_members=3).predict(X) for one in (None, bounds))
    assert free.min() < low < high < free.max()
    network = fitted(bounds=bounds, loss="quantile").partial_fit(X, Y)
    outputs = fitted(y=np.column_stack([Y, 10 * Y]), bounds=bounds)
    for predictions in (members, network.predict(X), outputs.predict(X)):
        assert np.abs(predictions - 0.75).max() < 0.25 + 1e-9
    is_stored_and_exported(fitted(bounds=bounds, n_members=3))
    rising = fitted(bounds=bounds, monotonic_cst=[1, 0, 0])
    assert (rising.predict(X + [1, 0, 0]) >= rising.predict(X)).all()
    assert "bounds : tuple of float" in inspect.getdoc(NNRegressor)
    for wrong in [(1, 0), (0, 0), (1,), ({}, {}), (0, np.inf)]:
        is_refused("bounds must be two rising numbers", bounds=wrong)
    is_refused("without a link, got HalfPoisson", y=Y**2, loss="poisson", bounds=bounds)


if __name__ == "__main__":
    found = {"package": str(Path(sknet.__file__).parent)}
    for check in (activation, loss, parameter, constraint):
        try:
            check()
            found[check.__name__] = "well"
        except (Exception, pytest.fail.Exception):
            found[check.__name__] = traceback.format_exc()
    print(json.dumps(found))
