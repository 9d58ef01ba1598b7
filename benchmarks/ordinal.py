"""Compare losses on tables whose classes have an order.

    python benchmarks/ordinal.py FOLDER [--splits 5]

FOLDER contains tables as CSV files (possibly compressed) with a column "target". The script
uses those that ``TABLES`` names. Edges or quantiles turn numbers into classes. Each split
trains on at most 2000 rows, and at most 70 % of the table. It tests on at most 5000 other rows.
The scores are the mean absolute error in classes, and the ranked probability score divided by
the number of thresholds (Epstein, 1969). Lower is better.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sknet import NNClassifier, NNRegressor

MOST_TRAINING_ROWS, MOST_TEST_ROWS, TRAINING_SHARE = 2000, 5000, 0.7
CUTS = ["Fair", "Good", "Very Good", "Premium", "Ideal"]


def by_edges(*edges):
    """Return a function that cuts the target of a table into classes at the edges."""
    return lambda table: np.digitize(table.pop("target"), edges)


def by_quantiles(n_classes):
    """Return a function that cuts the target of a table into classes of equal size."""

    def take(table):
        target, levels = table.pop("target"), np.arange(1, n_classes) / n_classes
        return np.digitize(target, np.quantile(target, levels))

    return take


#: The classes of each table. Those of beijing_pm25 are the levels of China's air quality index
#: for the daily mean of PM2.5.
TABLES = {
    "wine_quality": by_edges(4, 5, 6, 7, 8, 9),
    "beijing_pm25": by_edges(35, 75, 115, 150, 250),
    "california_housing": by_quantiles(7),
    "concrete": by_quantiles(5),
    "auto_mpg": by_quantiles(5),
    "cpu_act": by_quantiles(6),
    # The price is one of the columns of X here.
    "diamonds": lambda table: pd.Categorical(table.pop("cut"), CUTS).codes.astype(int),
}


def read(path):
    """Return the columns and the classes of a table."""
    table = pd.read_csv(path)
    y = np.asarray(TABLES[path.name.split(".")[0]](table))
    text = table.select_dtypes(object).columns
    return table.astype(dict.fromkeys(text, "category")), y


def ranked_probability_score(below, y):
    """Return the mean squared error of P(y <= k) for all classes k but the last."""
    happened = y[:, np.newaxis] <= np.arange(below.shape[1])
    return np.mean((below - happened) ** 2)


def evaluate(X, y, seed):
    """Yield the name of each model, and its scores in one split."""
    n_rows, n_classes = min(MOST_TRAINING_ROWS, int(TRAINING_SHARE * len(y))), y.max() + 1
    X, X_test, y, y_test = train_test_split(
        X,
        y,
        train_size=n_rows,
        test_size=min(MOST_TEST_ROWS, len(y) - n_rows),
        random_state=seed,
        stratify=y,
    )
    for loss in ("ordinal", "log_loss"):
        network = NNClassifier(loss=loss, random_state=seed).fit(X, y)
        proba = np.zeros((len(y_test), n_classes))
        proba[:, network.classes_] = network.predict_proba(X_test)
        below = np.cumsum(proba, axis=1)[:, :-1]
        error = np.abs(network.predict(X_test) - y_test).mean()
        yield loss, error, ranked_probability_score(below, y_test)
    numbers = NNRegressor(random_state=seed).fit(X, y).predict(X_test)
    error = np.abs(np.clip(np.rint(numbers), 0, n_classes - 1) - y_test)
    yield "rounded", error.mean(), error.mean() / (n_classes - 1)


def main():
    """Print the mean scores of each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [
        (path.name.split(".")[0], *scores)
        for path in sorted(options.folder.glob("*.csv*"))
        if path.name.split(".")[0] in TABLES
        for seed in range(options.splits)
        for scores in evaluate(*read(path), seed)
    ]
    results = pd.DataFrame(rows, columns=["table", "model", "error", "RPS"])
    means = results.groupby(["table", "model"]).mean().unstack("model")
    print(means.round(4).to_string())


if __name__ == "__main__":
    main()
