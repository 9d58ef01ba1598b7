"""Fitted networks of all kinds, and what they compute, by name."""

import copy
import warnings
from collections.abc import Hashable
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from sknet import NNClassifier, NNRegressor

#: Short training that no change of the estimators' defaults touches.
PLAIN = {
    "hidden_layer_sizes": (12, 8),
    "activation": "silu",
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 15,
    "early_stopping": False,
    "n_members": 1,
    "dropout": 0.0,
    "ema_decay": None,
    "normalization": None,
    "numeric_embedding": None,
    "dtype": "float64",
    "random_state": 0,
}

#: Kinds of networks, as changes of the plain one.
KINDS = {
    "plain": {},
    "linear": {"hidden_layer_sizes": ()},
    "unscaled": {"standardize": False, "learning_rate_init": 0.001},
    "normalized": {"normalization": "layer", "dropout": 0.2, "ema_decay": 0.9},
    "periodic": {"numeric_embedding": "periodic"},
    "binned": {"numeric_embedding": "piecewise_linear"},
    "members": {"n_members": 3},
    "additive": {"interaction_cst": "no_interactions", "numeric_embedding": "periodic"},
    "pairs": {"interaction_cst": "pairwise", "n_members": 3, "normalization": "layer"},
    "groups": {"interaction_cst": [{0, 1}, {1, 2}], "hidden_layer_sizes": (8,)},
    "all": {
        "n_members": 3,
        "numeric_embedding": "periodic",
        "dropout": 0.1,
        "ema_decay": 0.9,
        "normalization": "layer",
    },
}


def make_numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    X[:, 4] += X[:, 0]
    return X * [1, 10, 0.1, 3, 1] + [0, 100, 0, -5, 2]


@pytest.fixture
def numbers():
    """An array of five columns of different units, of which two are correlated."""
    return make_numbers()


def make_tasks(numbers):
    rng = np.random.default_rng(1)
    z = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    signal = z[:, 0] + np.abs(z[:, 1]) - z[:, 2] * z[:, 3]
    y = 50 + 20 * signal + rng.normal(size=len(z))
    several = np.column_stack([y, z[:, 3] * 1e-3])
    species = np.array(["ash", "beech", "cedar"])[np.digitize(signal, [0, 1])]
    return {
        "squared_error": (NNRegressor, {}, y),
        "outputs": (NNRegressor, {}, several),
        "poisson": (NNRegressor, {"loss": "poisson"}, rng.poisson(np.exp(signal / 2))),
        "gamma": (NNRegressor, {"loss": "gamma"}, np.exp(signal / 2)),
        "normal": (NNRegressor, {"loss": "normal"}, several),
        "quantiles": (NNRegressor, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}, y),
        "binary": (NNClassifier, {}, np.where(signal > 0.5, "yes", "no")),
        "multiclass": (NNClassifier, {}, species),
        "multilabel": (NNClassifier, {}, (np.column_stack([z[:, 0], signal]) > 0).astype(int)),
    }


@pytest.fixture
def tasks(numbers):
    """For each task, y and the estimator with its parameters."""
    return make_tasks(numbers)


def fitted(X, cls, options, y):
    with warnings.catch_warnings():
        # The gamma loss of raw inputs: a bad network, whose derivatives are right.
        warnings.filterwarnings("ignore", "Training failed", ConvergenceWarning)
        return cls(**options).fit(X, y)


@cache
def fitted_to_numbers(task, kind, **parameters):
    """Return a network that several tests look at, each at a copy."""
    X = make_numbers()
    cls, options, y = make_tasks(X)[task]
    return fitted(X, cls, {**PLAIN, **options, **KINDS[kind], **parameters}, y)


@pytest.fixture
def fit(numbers, tasks):
    """Return a fitted network of a kind for a task, with its outputs as a function of X."""

    def fit(task="squared_error", kind="plain", X=None, **parameters):
        cls, options, y = tasks[task]
        if X is None and all(isinstance(one, Hashable) for one in parameters.values()):
            estimator = copy.deepcopy(fitted_to_numbers(task, kind, **parameters))
        else:
            parameters = {**PLAIN, **options, **KINDS[kind], **parameters}
            estimator = fitted(numbers if X is None else X, cls, parameters, y)

        def outputs(X):
            compute = getattr(estimator, "decision_function", estimator.predict)
            return compute(X).reshape(np.shape(X)[0], -1)

        return SimpleNamespace(estimator=estimator, outputs=outputs, y=y)

    return fit


@pytest.fixture
def frame(numbers):
    """A frame with two categories, one of many levels, and holes in several columns."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(numbers.copy(), columns=list("abcde"))
    frame.insert(0, "city", rng.choice(["Bergen", "Oslo", "Tromso"], 200))
    frame.insert(3, "street", [f"s{i:02d}" for i in rng.integers(20, size=200)])
    frame.loc[::7, "a"] = np.nan
    frame.loc[::11, "city"] = None
    return frame
