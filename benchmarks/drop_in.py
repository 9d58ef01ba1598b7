"""Time whole fits of scikit-learn's MLPs and of sknet with the same arguments.

    OMP_NUM_THREADS=1 python benchmarks/drop_in.py [--splits 4] [--only digits,wine]

A user changes an import and keeps the arguments. In one call, sknet also gets
``share_weights=True``, which scikit-learn does not have. Each row is a call as users write it,
on a data set prepared by a ``StandardScaler``, and by a ``OneHotEncoder`` if it has categories.
The row has the processor time of scikit-learn's fit in seconds, the ratio of sknet's time to
it, and the scores of both on held-out rows, as means over several splits. If scikit-learn's
training diverges and raises an error, the row has only sknet's score.
"""

import argparse
import math
import time
import warnings

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknet import NNClassifier, NNRegressor

CALLS = {
    "()": {},
    "(), share_weights=True": {},
    "(50, 50), tanh, alpha=1e-3, max_iter=500": {
        "hidden_layer_sizes": (50, 50),
        "activation": "tanh",
        "alpha": 1e-3,
        "max_iter": 500,
    },
    "(20,), lbfgs, max_iter=500": {
        "hidden_layer_sizes": (20,),
        "solver": "lbfgs",
        "max_iter": 500,
    },
    "sgd, adaptive, 0.01, max_iter=60": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.01,
        "max_iter": 60,
    },
    "(200,), early_stopping": {"hidden_layer_sizes": (200,), "early_stopping": True},
    "(64, 32, 16), batch_size=32, max_iter=50": {
        "hidden_layer_sizes": (64, 32, 16),
        "batch_size": 32,
        "max_iter": 50,
    },
}

#: The arguments of a call that only sknet accepts.
OWN = {"(), share_weights=True": {"share_weights": True}}


def people(n_rows=4000):
    """Return a table with categories, and whether each person buys."""
    rng = np.random.default_rng(0)
    names = ["age", "income", "visits", "debt"]
    X = pd.DataFrame(rng.normal(size=(n_rows, len(names))), columns=names)
    cities = [f"city {i}" for i in range(12)]
    X["city"] = rng.choice(cities, n_rows)
    X["job"] = rng.choice([f"job {i}" for i in range(8)], n_rows)
    effect = dict(zip(cities, rng.normal(size=len(cities)), strict=True))
    signal = X["age"] * X["income"] + X["city"].map(effect) + X["visits"]
    return X, (signal + rng.normal(size=n_rows) > 0).astype(int)


def classes():
    return datasets.make_classification(3000, 20, n_informative=8, n_classes=3, random_state=0)


CLASSES = {
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "made classes": classes,
    "people": people,
}
NUMBERS = {
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "friedman1": lambda: datasets.make_friedman1(1000, noise=1.0, random_state=0),
    "friedman2": lambda: datasets.make_friedman2(3000, noise=50.0, random_state=0),
}


def prepared(X, model):
    """Return a pipeline that scales numbers and encodes categories."""
    if not isinstance(X, pd.DataFrame):
        return make_pipeline(StandardScaler(), model)
    is_number = make_column_selector(dtype_include="number")
    others = make_column_selector(dtype_exclude="number")
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        make_column_transformer((StandardScaler(), is_number), (encoder, others)), model
    )


def measure(model, X, y, seed):
    """Return the processor time of a fit in seconds and its score, or NaN if the fit fails."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, random_state=seed, stratify=y if is_classifier(model) else None
    )
    pipeline = prepared(X, model)
    start = time.process_time()
    try:
        pipeline.fit(X_train, y_train)
    except ValueError:
        return math.nan, math.nan
    return time.process_time() - start, pipeline.score(X_test, y_test)


def mean_of_splits(cls, options, X, y, n_splits):
    """Return the means of the results of ``measure`` over different splits of the rows."""
    return np.mean(
        [measure(cls(random_state=seed, **options), X, y, seed) for seed in range(n_splits)],
        axis=0,
    )


def main():
    """Print a row for each call and data set, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=4)
    parser.add_argument("--only", default="", help="names of data sets, separated by commas")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    only = set(filter(None, arguments.only.split(",")))
    ratios, gains = [], []
    for name, load in {**CLASSES, **NUMBERS}.items():
        if only and name not in only:
            continue
        X, y = load()
        pair = (MLPClassifier, NNClassifier) if name in CLASSES else (MLPRegressor, NNRegressor)
        for call, options in CALLS.items():
            (theirs, their_score), (ours, our_score) = (
                mean_of_splits(cls, {**options, **own}, X, y, arguments.splits)
                for cls, own in zip(pair, ({}, OWN.get(call, {})), strict=True)
            )
            ratios.append(ours / theirs)
            gains.append(our_score - their_score)
            print(
                f"{name:13} {call:41} {theirs:6.3f} s, ratio {ratios[-1]:5.2f}; "
                f"scores {their_score:6.3f}, {our_score:.3f}",
                flush=True,
            )
    known = np.isfinite(ratios)
    ratios, gains = np.array(ratios)[known], np.array(gains)[known]
    print(
        f"{known.sum()} calls; ratio of times: median {np.median(ratios):.2f}, largest "
        f"{ratios.max():.2f}, above 2 in {(ratios > 2).sum()} calls; difference of scores: "
        f"median {np.median(gains):+.4f}, smallest {gains.min():+.3f}, below -0.01 in "
        f"{(gains < -0.01).sum()} calls"
    )


if __name__ == "__main__":
    main()
