"""sknet in a minute: fit, cross-validate, search, stop early, save.

Run it with ``python examples/quickstart.py``; it takes a few seconds.
"""

import tempfile
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from sknet import NNClassifier, NNRegressor

#: Large steps first, then ever smaller ones down to zero in the last epoch.
decaying_rate = {"learning_rate": "cosine", "learning_rate_init": 0.01}


def report(what, score, start):
    print(f"{what:<58} {score:>7}   {perf_counter() - start:5.1f} s")


def classify_digits():
    """Put a network behind another step, in a pipeline."""
    start = perf_counter()
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    network = NNClassifier((64,), max_iter=40, **decaying_rate, random_state=0)
    model = make_pipeline(VarianceThreshold(), network).fit(X_train, y_train)
    report(
        "digits: accuracy, constant pixels dropped", f"{model.score(X_test, y_test):.3f}", start
    )


def cross_validate_breast_cancer():
    """No scaler is needed: the network scales its inputs itself."""
    start = perf_counter()
    X, y = load_breast_cancer(return_X_y=True)
    network = NNClassifier((32,), max_iter=40, **decaying_rate, random_state=0)
    scores = cross_val_score(network, X, y, cv=5)
    report("breast cancer: cross-validated accuracy", f"{scores.mean():.3f}", start)


def search_diabetes():
    """Choose size, strength and kind of the penalty by cross-validation."""
    start = perf_counter()
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = make_pipeline(
        PolynomialFeatures(2, include_bias=False),
        NNRegressor(max_iter=60, **decaying_rate, random_state=0),
    )
    grid = {
        "nnregressor__hidden_layer_sizes": [(8,), (32, 16)],
        "nnregressor__alpha": [0.01, 0.03, 0.1],
        "nnregressor__l1_ratio": [0.0, 0.9],
    }
    search = GridSearchCV(model, grid, cv=5).fit(X_train, y_train)
    report("diabetes: R2, best of 12 networks", f"{search.score(X_test, y_test):.3f}", start)
    weights = search.best_estimator_[-1].coefs_[0]
    best = {name.split("__")[1]: value for name, value in search.best_params_.items()}
    print(f"    {best}; {np.mean(weights == 0):.0%} of its first weights are exactly zero")


def stop_early():
    """Hold rows out, stop when they no longer gain, and return to the best epoch."""
    start = perf_counter()
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    network = NNClassifier(
        (128,), learning_rate_init=0.005, early_stopping=True, dropout=0.2, random_state=0
    ).fit(X_train, y_train)
    report(
        "digits: accuracy with early stopping", f"{network.score(X_test, y_test):.3f}", start
    )
    print(f"    {network.n_iter_} epochs, the best one was number {network.best_iter_}")
    return network, X_test


def save_and_load(network, X):
    """Save a fitted network, which is its parameters and little else."""
    start = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.joblib"
        joblib.dump(network, path)
        same = np.array_equal(joblib.load(path).predict_proba(X), network.predict_proba(X))
        size = path.stat().st_size / 1024
    report(f"joblib round trip, {size:.0f} KiB: same predictions", str(same), start)


def main():
    start = perf_counter()
    classify_digits()
    cross_validate_breast_cancer()
    search_diabetes()
    save_and_load(*stop_early())
    print(f"{'total':<58} {'':>7}   {perf_counter() - start:5.1f} s")


if __name__ == "__main__":
    main()
