"""Small data sets and fixtures that the tests of the estimators share."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from plain import NNClassifier, NNRegressor
from threadpoolctl import threadpool_limits

from sknet.nn.losses import BinaryLogLoss, MultinomialLogLoss
from sknet.nn.objective import Objective

#: Added to each seed that a test or a fit gives to NumPy's ``default_rng``: other data, other
#: initial weights and other splits, in every test at once.
SEED_OFFSET = int(os.environ.get("SKNET_SEED_OFFSET", "0"))


def shifted_default_rng(seed=None, make=np.random.default_rng):
    """Return the generator of ``seed + SEED_OFFSET``."""
    return make(seed + SEED_OFFSET if isinstance(seed, int | np.integer) else seed)


if SEED_OFFSET:
    np.random.default_rng = shifted_default_rng


def pytest_configure(config):
    # pytest-xdist defines this option, and it need not be installed.
    config.addinivalue_line("markers", "xdist_group(name): run by the same process")


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """Use one BLAS thread: small products gain nothing by more, and workers have one each."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def binary():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 5))
    return X, (X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int)


@pytest.fixture
def multiclass():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 4))
    names = np.array(["ash", "beech", "cedar"])
    return X, names[np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])]


@pytest.fixture
def multilabel():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(150, 4))
    return X, np.column_stack([X[:, 0] > 0, X[:, 1] > 0.5, X[:, 0] + X[:, 2] > 0]).astype(int)


@pytest.fixture
def regression():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 5))
    return X, 3 * X[:, 0] - 2 * np.abs(X[:, 1]) + 0.1 * rng.normal(size=120) + 5


@pytest.fixture
def multioutput(regression):
    X, y = regression
    return X, np.column_stack([y, X[:, 2] * 100, X[:, 3] - X[:, 4]])


@pytest.fixture(params=[NNClassifier, NNRegressor])
def problem(request, binary, regression):
    """Each estimator's class with data for it."""
    X, y = binary if request.param is NNClassifier else regression
    name = request.param.args[0].__name__
    return SimpleNamespace(cls=request.param, name=name, X=X, y=y)


@pytest.fixture
def without_temperature(monkeypatch):
    """Leave logits as the best epoch had them (test_temperature.py is about their scale)."""
    for loss in (BinaryLogLoss, MultinomialLogLoss):
        monkeypatch.setattr(loss, "has_temperature", False)


@pytest.fixture
def forbid_training(monkeypatch):
    """Return a function after which it is an error to compute a gradient."""

    def reached(*args, **kwargs):
        raise AssertionError("training was reached")

    def forbid():
        # Every solver computes its gradients by this method.
        monkeypatch.setattr(Objective, "loss_and_gradient", reached)

    return forbid
