"""Compare the normal distributions that models predict for the rows of real tables.

    python benchmarks/uncertainty.py FOLDER [--models normal,constant,NGBoost] [--splits 1]

FOLDER contains tables as CSV files (possibly compressed) with a column "target". Tables whose
target is not a number are left out. The splits and limits are those of ``accuracy.py``. A
prediction is a mean and a standard deviation for each row. The scores are the mean negative log
likelihood (NLL), the mean CRPS (Gneiting and Raftery, 2007) and the root mean squared error,
for y in its own units. Lower is better.

"constant" is a default network that predicts the same standard deviation for each row: that of
its errors on held-out rows. "NGBoost" needs the package ngboost.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from accuracy import MOST_ROWS, in_pipeline, prepare, read_folder
from scipy import stats
from sklearn.model_selection import train_test_split

from sknet import NNRegressor
from sknet.nn.losses import NormalLikelihood

#: Like the default for members that share weights, "constant" holds out the fraction
#: ``HELD_OUT`` of the training rows, or ``OF_FEW`` if there are fewer than ``MANY`` rows.
HELD_OUT, OF_FEW, MANY = 0.1, 0.2, 500


def network(loss):
    """Return a function that predicts with a network with a normal loss."""

    def predict(X, y, X_test, seed):
        fitted = NNRegressor(loss=loss, random_state=seed).fit(X, y)
        return fitted.predict(X_test, return_std=True)

    return predict


def constant(X, y, X_test, seed):
    """Predict with a default network and the standard deviation of its errors."""
    share = OF_FEW if len(y) < MANY else HELD_OUT
    X, X_val, y, y_val = train_test_split(X, y, test_size=share, random_state=seed)
    fitted = NNRegressor(random_state=seed).fit(X, y, X_val=X_val, y_val=y_val)
    error = y_val - fitted.predict(X_val)
    return fitted.predict(X_test), np.full(len(X_test), np.sqrt(np.mean(error**2)))


def ngboost(X, y, X_test, seed):
    """Predict with NGBoost's defaults."""
    from ngboost import NGBRegressor

    pipeline = in_pipeline(NGBRegressor(random_state=seed, verbose=False)).fit(X, y)
    found = pipeline[-1].pred_dist(pipeline[:-1].transform(X_test)).params
    return found["loc"], found["scale"]


MODELS = {
    "normal": network("normal"),
    "beta=0": network(NormalLikelihood(beta=0.0)),
    "beta=1": network(NormalLikelihood(beta=1.0)),
    "constant": constant,
    "NGBoost": ngboost,
}


def scores(y, mean, std):
    """Return the scores of predicted normal distributions by name."""
    z = (y - mean) / std
    normal = stats.norm
    crps = std * (z * (2 * normal.cdf(z) - 1) + 2 * normal.pdf(z) - 1 / np.sqrt(np.pi))
    return {
        "NLL": -np.mean(normal.logpdf(y, mean, std)),
        "CRPS": np.mean(crps),
        "RMSE": np.sqrt(np.mean((y - mean) ** 2)),
    }


def evaluate(tables, models, n_splits):
    """Return a frame with a row for each model, table and split."""
    rows = []
    for name, frame, target in tables:
        if not pd.api.types.is_numeric_dtype(target):
            continue
        X, y = prepare(frame, target)[0], target.to_numpy(float)
        for seed in range(n_splits):
            parts = train_test_split(X, y, test_size=0.25, random_state=seed)
            X_train, X_test, y_train, y_test = (part[:MOST_ROWS] for part in parts)
            for model in models:
                predicted = MODELS[model](X_train, y_train, X_test, seed)
                found = scores(y_test, *predicted)
                rows.append({"model": model, "table": name, "split": seed, **found})
                values = " ".join(f"{key} {value:.4g}" for key, value in found.items())
                print(f"{name:<20} {seed} {model:<10} {values}", flush=True)
    return pd.DataFrame(rows)


def summarize(results, reference):
    """Return the mean NLL minus the reference's, and geometric mean ratios of CRPS and RMSE."""
    means = results.groupby(["model", "table"])[["NLL", "CRPS", "RMSE"]].mean()
    summary = (means[["NLL"]] - means.loc[reference, ["NLL"]]).groupby("model").mean()
    ratios = means[["CRPS", "RMSE"]] / means.loc[reference, ["CRPS", "RMSE"]]
    return summary.join(np.exp(np.log(ratios).groupby("model").mean()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--models", default="normal,constant")
    parser.add_argument("--splits", type=int, default=1)
    arguments = parser.parse_args()
    models = arguments.models.split(",")
    if unknown := set(models).difference(MODELS):
        parser.error(f"unknown models: {', '.join(sorted(unknown))}; choose from {[*MODELS]}")
    warnings.simplefilter("ignore")
    results = evaluate(read_folder(arguments.folder), models, arguments.splits)
    if results.empty:
        parser.error("the folder has no files named *.csv* whose target is a number")
    print(f"\nNLL minus that of {models[0]}; CRPS and RMSE divided by those of {models[0]}")
    summary = summarize(results, models[0])
    print(summary.to_string(float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
