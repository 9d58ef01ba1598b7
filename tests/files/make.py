"""Make the files that later versions must be able to load: run once for each release.

With the oldest supported versions of everything, since newer ones read what older ones wrote,
but not the other way round. In a clone of this repository with the release checked out:

    python -m venv oldest && . oldest/bin/activate
    python -m pip install . pandas skops -c .ci/oldest.txt
    python tests/files/make.py

It writes ``sknet-<version>``: fitted estimators (``*.joblib``, and one as ``*.skops``), rows to
predict for (``rows.csv``), the estimators' predictions for these rows (``predictions.npz``),
and the predictions of some estimators that learned from these rows too (``continued.npz``).

Callbacks need a newer scikit-learn. A second run, in an environment with scikit-learn 1.9.0 and
otherwise the oldest versions that go with it, adds a checkpoint of an unfinished fit
(``fit.checkpoint``), and its data and the predictions of the finished fit (``resumed.npz``).

The tests let it write such files of this version into another folder.
"""

import argparse
import warnings
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZIP_DEFLATED

import joblib
import numpy as np
import pandas as pd
import skops.io

import sknet
from sknet import NNClassifier, NNRegressor
from sknet.callbacks import Checkpoint
from sknet.nn.activations import ACTIVATIONS

HAS_CALLBACKS = find_spec("sklearn.callback") is not None
N_ROWS = 60
NUMBERS = ["size", "weight"]
#: Estimators that can learn further from where they are.
CONTINUED = ["partial_fit-array", "partial_fit-classifier", "warm_start"]
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
        "monotone": NNRegressor((4,), monotonic_cst={"size": 1}, **BRIEFLY),
        "additive": NNRegressor((4,), interaction_cst="pairwise", **BRIEFLY),
    }
    for name in ["periodic", "piecewise_linear", "quantiles", "monotone", "additive"]:
        estimators[name].fit(frame, y)
    warm = NNRegressor((4,), warm_start=True, n_members=2, **BRIEFLY).fit(frame, y)
    estimators["warm_start"] = warm.fit(frame, y)
    classifier = NNClassifier((4,), **BRIEFLY)
    for _ in range(2):
        classifier.partial_fit(frame, kind, classes=["high", "low", "middle"])
    estimators["partial_fit-classifier"] = classifier
    estimators["defaults"] = NNClassifier(random_state=0).fit(frame, kind)
    for loss in ["absolute_error", "huber", "poisson", "gamma", "tweedie", "normal"]:
        estimators[loss] = NNRegressor((4,), loss=loss, **BRIEFLY).fit(frame, np.exp(y))
    return estimators


def predict(estimator, rows, name):
    """Return probabilities or numbers of the rows."""
    X = rows[NUMBERS].to_numpy() if name.endswith("array") else rows
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def go_on(estimator, rows, name):
    """Let an estimator of ``CONTINUED`` learn from the rows, beginning where it is."""
    X = rows[NUMBERS].to_numpy() if name.endswith("array") else rows
    y = rows["size"] - 1000
    if isinstance(estimator, NNClassifier):
        y = np.where(y > 0, "high", "low")
    learn = estimator.partial_fit if name.startswith("partial_fit") else estimator.fit
    return learn(X, y)


def unfinished(path=None):
    """Return a network whose fit takes six epochs, with a checkpoint in the middle of them."""
    options = {**BRIEFLY, "max_iter": 6, "early_stopping": True, "n_members": 2}
    network = NNRegressor((4,), numeric_embedding="periodic", dropout=0.1, **options)
    return network if path is None else network.set_callbacks(Checkpoint(path, every=4))


def write_estimators(folder):
    """Write fitted estimators, rows, and predictions of the rows."""
    rng = np.random.default_rng(0)
    estimators = fitted_estimators(make_rows(rng))
    make_rows(rng).to_csv(folder / "rows.csv", index=False)
    # Read again: the numbers as the file has them.
    rows = pd.read_csv(folder / "rows.csv")
    for name, estimator in estimators.items():
        joblib.dump(estimator, folder / f"{name}.joblib", compress=3)
    skops.io.dump(
        estimators["multiclass"], folder / "multiclass.skops", compression=ZIP_DEFLATED
    )
    predictions = {name: predict(one, rows, name) for name, one in estimators.items()}
    np.savez_compressed(folder / "predictions.npz", **predictions)
    continued = {name: go_on(estimators[name], rows, name) for name in CONTINUED}
    predictions = {name: predict(one, rows, name) for name, one in continued.items()}
    np.savez_compressed(folder / "continued.npz", **predictions)


def write_checkpoint(folder):
    """Write a checkpoint, and what its network predicts then and after the whole fit."""
    path = folder / "fit.checkpoint"
    # Kept as it is: a resumed fit wants the same bits, and versions of pandas read text
    # differently in the last one.
    X = pd.read_csv(folder / "rows.csv")[NUMBERS].to_numpy()
    y = X[:, 0] - 1000
    network = unfinished(path).fit(X, y)
    then, finished = joblib.load(path).predict(X), network.predict(X)
    np.savez_compressed(folder / "resumed.npz", X=X, y=y, then=then, finished=finished)


def main():
    """Write what the folder of the installed version lacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parent", nargs="?", type=Path, default=Path(__file__).parent)
    folder = parser.parse_args().parent / f"sknet-{sknet.__version__}"
    if not folder.exists():
        folder.mkdir()
        write_estimators(folder)
    if HAS_CALLBACKS and not (folder / "fit.checkpoint").exists():
        write_checkpoint(folder)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
