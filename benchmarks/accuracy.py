"""Compare estimators on real tables: error, log loss, calibration, nrmse and fit time.

    python benchmarks/accuracy.py FOLDER [--models default] [--splits 3] [--picture a.png]
    python benchmarks/accuracy.py FOLDER --rows 200 --reference linear
    python benchmarks/accuracy.py --openml 31,44956

FOLDER contains tables as CSV files (possibly compressed) with a column "target". Text targets,
and numbers with at most 20 values, are classes. ``--openml`` takes ids of OpenML data sets,
which are downloaded. Each split holds out a quarter of the rows (stratified for classes) and
trains on at most 10 000 rows, unless ``--rows`` sets another limit. Rows of classes that the
training rows lack are not scored. The models take turns on the same splits of the raw frame,
with text columns as categories.

The printed table has the score of each model divided by that of the reference, as geometric
means over tables. Below 1 is better. Unless ``--reference`` names another model, the reference
is scikit-learn's MLP with early stopping, in a pipeline that also scales y. ECE is the expected
calibration error in 15 bins of the predicted class's probability. It is a mean, not a ratio.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from sknet import NNClassifier, NNRegressor

MOST_ROWS = 10_000
MOST_CLASSES = 20
REFERENCE = "sklearn MLP"
#: sknet's settings by name, as in docs/accuracy.md. The strongest model is a weighted mean of
#: several networks with the default settings and of boosted trees.
SETTINGS: dict[str, dict] = {
    "default": {},
    "fastest": {"hidden_layer_sizes": (64,), "n_members": 1, "max_iter": 25},
}
STRONGEST, N_NETWORKS, WEIGHT_OF_TREES = "strongest", 8, 2


def in_pipeline(estimator):
    """Return a pipeline that prepares a raw frame for an estimator of scikit-learn."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", min_frequency=2, sparse_output=False)
    return make_pipeline(
        make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (categories, make_column_selector(dtype_include="category")),
        ),
        estimator,
    )


def numbers_of_levels():
    """Return a transformer that replaces each level of a category with a number."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    categories = make_column_selector(dtype_exclude="number")
    return make_column_transformer((encoder, categories), remainder="passthrough")


def make_model(name, classes, seed):
    """Return an unfitted model by its name, for classes or for numbers."""
    network = NNClassifier if classes else NNRegressor
    if name in SETTINGS:
        return network(random_state=seed, **SETTINGS[name])
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    if name == STRONGEST:
        seeds = range(N_NETWORKS * seed, N_NETWORKS * (seed + 1))
        networks = [(f"network {one}", network(random_state=one)) for one in seeds]
        trees = make_pipeline(numbers_of_levels(), boosting(random_state=seed))
        models = [*networks, ("boosted trees", trees)]
        weights = [1] * N_NETWORKS + [WEIGHT_OF_TREES]
        if classes:
            return VotingClassifier(models, voting="soft", weights=weights)
        return VotingRegressor(models, weights=weights)
    if name == REFERENCE:
        if classes:
            return in_pipeline(MLPClassifier(early_stopping=True, random_state=seed))
        mlp = in_pipeline(MLPRegressor(early_stopping=True, random_state=seed))
        return TransformedTargetRegressor(mlp, transformer=StandardScaler())
    if name == "linear":
        return in_pipeline(LogisticRegression(max_iter=1000) if classes else Ridge())
    if name == "HistGradientBoosting":
        return boosting(categorical_features="from_dtype", random_state=seed)
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if classes else LGBMRegressor)(random_state=seed, verbose=-1)


PEERS = ["linear", "HistGradientBoosting", "LightGBM"]


def read_folder(folder):
    """Yield (name, frame, target) of each table in a folder."""
    for path in sorted(Path(folder).glob("*.csv*")):
        frame = pd.read_csv(path, low_memory=False)
        yield path.name.split(".csv")[0], frame, frame.pop("target")


def read_openml(ids):
    """Yield (name, frame, target) of OpenML data sets."""
    from sklearn.datasets import fetch_openml

    for number in ids:
        found = fetch_openml(data_id=int(number), as_frame=True)
        yield found.details["name"], found.data, found.target


def prepare(frame, target):
    """Return the frame with text as categories, the target, and whether it has classes."""
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]) or frame[column].dtype == bool:
            frame[column] = frame[column].astype(str).where(frame[column].notna())
            frame[column] = frame[column].astype("category")
    classes = not pd.api.types.is_numeric_dtype(target) or target.nunique() <= MOST_CLASSES
    return frame, target.astype(str).to_numpy() if classes else target.to_numpy(float), classes


def calibration_error(y, proba, labels, n_bins=15):
    """Return the mean difference between confidence and accuracy, weighted by the bins' sizes.

    Guo, Pleiss, Sun and Weinberger (2017), equation 3.
    """
    confidence, right = proba.max(axis=1), labels[proba.argmax(axis=1)] == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs(np.sum(right[bins == b] - confidence[bins == b])) for b in range(n_bins)]
    return float(np.sum(gaps) / len(y))


def score(model, classes, train, test):
    """Return a dict of the scores of a model."""
    start = time.perf_counter()
    model.fit(*train)
    seconds = time.perf_counter() - start
    X, y = test
    if not classes:
        return {"nrmse": np.sqrt(max(0, 1 - r2_score(y, model.predict(X)))), "seconds": seconds}
    proba = np.asarray(model.predict_proba(X), dtype=float)
    proba /= proba.sum(axis=1, keepdims=True)
    labels = model.classes_
    return {
        "error": np.mean(labels[proba.argmax(axis=1)] != y),
        "log loss": log_loss(y, np.clip(proba, 1e-7, 1), labels=labels),
        "ECE": calibration_error(y, proba, labels),
        "seconds": seconds,
    }


def evaluate(tables, models, n_splits, most_rows=MOST_ROWS):
    """Return a frame with a row for each model, table and split."""
    rows = []
    for name, *table in tables:
        X, y, classes = prepare(*table)
        for seed in range(n_splits):
            parts = train_test_split(
                X, y, test_size=0.25, random_state=seed, stratify=y if classes else None
            )
            X_train, y_train = (part[:most_rows] for part in parts[::2])
            X_test, y_test = (part[:MOST_ROWS] for part in parts[1::2])
            if classes:
                known = np.isin(y_test, y_train)
                X_test, y_test = X_test[known], y_test[known]
            for model in models:
                estimator = make_model(model, classes, seed)
                scores = score(estimator, classes, (X_train, y_train), (X_test, y_test))
                rows.append({"model": model, "table": name, "split": seed, **scores})
                values = " ".join(f"{key} {value:.4g}" for key, value in scores.items())
                print(f"{name:<20} {seed} {model:<22} {values}", flush=True)
    return pd.DataFrame(rows)


def summarize(results, reference=REFERENCE):
    """Return a row for each model: geometric mean ratios to the reference, seconds, ECE."""
    metrics = [m for m in ("error", "log loss", "nrmse") if m in results]
    means = results.groupby(["model", "table"])[[*metrics, "seconds"]].mean()
    ratios = (means[metrics] + 1e-3) / (means.loc[reference, metrics] + 1e-3)
    summary = np.exp(np.log(ratios).groupby("model").mean())
    summary["seconds"] = means["seconds"].groupby("model").sum()
    if "ECE" in results:
        summary["ECE"] = (
            results.groupby(["model", "table"])["ECE"].mean().groupby("model").mean()
        )
    return summary.sort_values(metrics[0])


def draw(summary, path):
    """Draw accuracy against fit time."""
    import matplotlib.pyplot as plt

    metrics = [m for m in ("error", "log loss", "nrmse") if m in summary]
    figure, axes = plt.subplots(1, len(metrics), figsize=(4.5 * len(metrics), 4), squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        for model, row in summary.iterrows():
            ours = model in [*SETTINGS, STRONGEST]
            ax.scatter(row["seconds"], row[metric], color="C0" if ours else "0.5", zorder=2)
            ax.annotate(
                model,
                (row["seconds"], row[metric]),
                # sknet's labels are below the points, so that neighbors do not overlap.
                (0, -14 if ours else 6),
                textcoords="offset points",
                ha="center",
            )
        ax.set(xscale="log", xlabel="fit time of all tables, s", title=f"{metric}, ratio")
        ax.margins(0.3, 0.15)
        ax.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--openml", help="ids of data sets, separated by commas")
    parser.add_argument("--models", default="default,fastest,linear,HistGradientBoosting")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--rows", type=int, default=MOST_ROWS, help="maximum training rows")
    parser.add_argument("--reference", default=REFERENCE, help="the model to compare with")
    parser.add_argument("--picture", help="file for a picture of accuracy against fit time")
    arguments = parser.parse_args()
    if (arguments.folder is None) == (arguments.openml is None):
        parser.error("give either a folder of tables or --openml with ids")
    warnings.simplefilter("ignore")
    tables = (
        read_folder(arguments.folder)
        if arguments.folder
        else read_openml(arguments.openml.split(","))
    )
    models = list(dict.fromkeys([arguments.reference, *arguments.models.split(",")]))
    known = [*SETTINGS, STRONGEST, REFERENCE, *PEERS]
    if unknown := set(models).difference(known):
        parser.error(f"unknown models: {', '.join(sorted(unknown))}; choose from {known}")
    results = evaluate(tables, models, arguments.splits, arguments.rows)
    if results.empty:
        parser.error("the folder has no tables: no files named *.csv*")
    summary = summarize(results, arguments.reference)
    print(f"\n{os.environ.get('OMP_NUM_THREADS', 'all')} threads, {arguments.splits} splits")
    print(summary.to_string(float_format=lambda value: f"{value:.3f}"))
    if arguments.picture:
        draw(summary, arguments.picture)


if __name__ == "__main__":
    main()
