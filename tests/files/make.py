"""Make the files that later versions must be able to load: run once for each release.

With the oldest supported versions of everything, since newer ones read what older ones wrote,
but not the other way round. In a clone of this repository with the release checked out:

    python -m venv oldest && . oldest/bin/activate
    python -m pip install . pandas -c .ci/oldest.txt
    python tests/files/make.py

It writes ``sknet-<version>``: fitted estimators (``*.joblib``), rows to predict for
(``rows.csv``) and what the estimators predicted of them (``predictions.npz``).
"""

import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

import sknet
from sknet import NNClassifier, NNRegressor
from sknet.nn.activations import ACTIVATIONS

N_ROWS = 60
NUMBERS = ["size", "weight"]
BRIEFLY = {"max_iter": 5, "learning_rate": "cosine", "random_state": 0, "dtype": "float64"}


def make_rows(rng):
    """Return a frame with numbers, holes, a category and one of too many levels to spread."""
    return pd.DataFrame(
        {
            "size": rng.normal(1000, 1, N_ROWS),
            "weight": np.where(rng.random(N_ROWS) < 0.2, np.nan, rng.lognormal(size=N_ROWS)),
            "color": rng.choice(["blue", "green", None], N_ROWS),
            "model": np.resize([f"m{i}" for i in range(20)], N_ROWS),
        }
    )


def fitted_estimators(frame):
    """Return estimators by name; those of ``array`` in their name know the numbers alone."""
    array = frame[NUMBERS].to_numpy()
    y = (array[:, 0] - 1000) + (frame["color"] == "blue")
    kind = np.where(y > 0.5, "high", np.where(y < -0.5, "low", "middle"))
    labels = np.column_stack([y > 0, frame["color"] == "green"]).astype(int)
    everything = list(ACTIVATIONS)
    partial = NNRegressor((4,), **BRIEFLY)
    for _ in range(2):
        partial.partial_fit(array, y)
    estimators = {
        "binary-array": NNClassifier((4,), **BRIEFLY).fit(array, y > 0),
        "multiclass": NNClassifier((4,), normalization="layer", **BRIEFLY).fit(frame, kind),
        "multilabel": NNClassifier((4,), n_members=2, **BRIEFLY).fit(frame, labels),
        "activations-array": NNRegressor([2] * len(everything), everything, **BRIEFLY).fit(
            array, y
        ),
        "float32": NNRegressor((4,), **{**BRIEFLY, "dtype": "float32"}).fit(frame, y),
        "lbfgs": NNRegressor((4,), solver="lbfgs", tol=100.0, random_state=0).fit(frame, y),
        "multioutput": NNRegressor((4,), **BRIEFLY).fit(frame, np.column_stack([y, -y])),
        "partial_fit-array": partial,
        "periodic": NNRegressor((4, 4), numeric_embedding="periodic", n_members=2, **BRIEFLY),
        "piecewise_linear": NNRegressor(
            (4,), numeric_embedding="piecewise_linear", dropout=0.1, **BRIEFLY
        ),
        "quantiles": NNRegressor((4,), loss="quantile", quantile=[0.1, 0.9], **BRIEFLY),
    }
    for name in ["periodic", "piecewise_linear", "quantiles"]:
        estimators[name].fit(frame, y)
    for loss in ["absolute_error", "huber", "poisson", "gamma"]:
        estimators[loss] = NNRegressor((4,), loss=loss, **BRIEFLY).fit(frame, np.exp(y))
    return estimators


def predict(estimator, rows, name):
    """Return probabilities or numbers of the rows."""
    X = rows[NUMBERS].to_numpy() if name.endswith("array") else rows
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def main():
    """Write the folder of the installed version."""
    folder = Path(__file__).parent / f"sknet-{sknet.__version__}"
    folder.mkdir()
    rng = np.random.default_rng(0)
    estimators = fitted_estimators(make_rows(rng))
    make_rows(rng).to_csv(folder / "rows.csv", index=False)
    # Read again: the numbers as the file has them.
    rows = pd.read_csv(folder / "rows.csv")
    for name, estimator in estimators.items():
        joblib.dump(estimator, folder / f"{name}.joblib", compress=3)
    predictions = {name: predict(one, rows, name) for name, one in estimators.items()}
    np.savez_compressed(folder / "predictions.npz", **predictions)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
