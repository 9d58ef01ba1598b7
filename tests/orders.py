"""Tables, and pairs of rows whose predictions must be in order, for tests of constraints."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info

from sknet import NNRegressor

#: Other libraries of BLAS than that of NumPy's wheels for Linux and Windows may round the rows
#: of one product in different ways, which breaks ties.
OPENBLAS = any(one["internal_api"] == "openblas" for one in threadpool_info())
SLACK = 0.0 if OPENBLAS else 1e-12
SMALL = {"hidden_layer_sizes": (16, 12), "max_iter": 8, "random_state": 0}
#: Column 0 rises, column 3 falls, 1 and 2 are free.
SIGNS = [1, 0, 0, -1]


def numbers(n_rows, seed=0, *, missing=False):
    X = np.random.default_rng(seed).normal(0, 1.5, size=(n_rows, 4))
    X[:, 3] = np.round(X[:, 3], 1)
    if missing:
        X[np.random.default_rng(seed + 1).random(X.shape) < 0.1] = np.nan
    return X


def truth(X):
    X = np.nan_to_num(np.asarray(X)[:, :4].astype(float))
    rising = np.tanh(2 * X[:, 0]) * (1 + X[:, 1] ** 2)
    return rising + np.sin(2 * X[:, 2]) - X[:, 3] * np.exp(-(X[:, 1] ** 2))


def target(cls, X, seed=0):
    y = truth(X) + 0.2 * np.random.default_rng(seed).normal(size=len(X))
    return y if cls is NNRegressor else np.where(y > 0, "yes", "no")


def frame(n_rows, seed=0, *, missing=False):
    """Return a frame with categories of few and of many levels among the numbers."""
    X, rng = numbers(n_rows, seed, missing=missing), np.random.default_rng(seed + 2)
    table = pd.DataFrame(X, columns=list("abcd"))
    table.insert(0, "few", pd.Categorical(rng.choice(list("pqr"), n_rows)))
    table["many"] = pd.Categorical(rng.integers(30, size=n_rows).astype(str))
    return table


def predicted(estimator, X):
    """Return the numbers that must be monotone."""
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)[:, 1]
    return estimator.predict(X)


def pairs(X, column, seed=0):
    """Return rows and the same rows with a larger number in a column: next, near or far."""
    rng, n_rows = np.random.default_rng(seed), len(X)
    low = rng.normal(0, 1.5, n_rows)
    near = low + rng.exponential(1e-4, n_rows)
    far = low + rng.exponential(3, n_rows) * 10.0 ** rng.integers(0, 5, n_rows)
    high = np.choose(rng.integers(3, size=n_rows), [np.nextafter(low, np.inf), near, far])
    low, high = np.where(rng.random(n_rows) < 0.2, low * 1e3, low), high
    rows = []
    for values in (np.minimum(low, high), np.maximum(low, high)):
        changed = X.copy()
        if isinstance(X, pd.DataFrame):
            changed[column] = values
        else:
            changed[:, column] = values.astype(X.dtype)
        rows.append(changed)
    return rows


def stack(*parts):
    return pd.concat(parts) if isinstance(parts[0], pd.DataFrame) else np.vstack(parts)


def assert_monotone(estimator, X, columns=((0, 1), (3, -1)), slack=SLACK, predict=predicted):
    """No pair of rows is in the wrong order, in one call and in two."""
    for column, sign in columns:
        low, high = pairs(X, column)
        together, n_rows = predict(estimator, stack(low, high)), len(X)
        rises = sign * (together[n_rows:] - together[:n_rows])
        assert (rises >= -slack).all(), (column, (rises < 0).sum(), rises.min())
        assert (rises > 0).mean() > 0.1, "A constant is monotone, too."
        apart = sign * (predict(estimator, high[7:]) - predict(estimator, low)[7:])
        assert (apart >= -slack).all(), (column, (apart < 0).sum(), apart.min())
