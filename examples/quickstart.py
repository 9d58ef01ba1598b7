"""sknet in half a minute: compare, look inside, save and load, search.

The price of a diamond is predicted from a raw table with numbers, categories and missing
values. Run the script with ``python examples/quickstart.py``. It writes a picture,
``quickstart.png``. It needs matplotlib, and plotnine for the table, which that package brings
along.
"""

import tempfile
from pathlib import Path
from time import perf_counter

import joblib
import matplotlib

matplotlib.use("agg")  # The picture goes to a file, so that no window is needed.

import matplotlib.pyplot as plt
import numpy as np
from plotnine.data import diamonds
from scipy.stats import loguniform
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import (
    RandomizedSearchCV,
    ShuffleSplit,
    cross_validate,
    train_test_split,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknet import NNRegressor
from sknet.inspection import AttributionDisplay, LossCurveDisplay


def load_table():
    """Return 53 940 diamonds and their prices in dollars."""
    X = diamonds.drop(columns="price")
    # The table marks a length, width or depth that was not measured by zero.
    sizes = ["x", "y", "z"]
    X[sizes] = X[sizes].replace(0, np.nan)
    return X, diamonds["price"].astype(float)


def make_mlp():
    """Return scikit-learn's network with the preparation of the table that it needs."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    encoder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )
    network = make_pipeline(encoder, MLPRegressor(random_state=0))
    return TransformedTargetRegressor(network, transformer=StandardScaler())


def compare(X, y):
    """Score three regressors, all with default settings, on five random splits."""
    models = {
        "sknet.NNRegressor": NNRegressor(random_state=0),
        "HistGradientBoostingRegressor": HistGradientBoostingRegressor(random_state=0),
        "MLPRegressor in a pipeline": make_mlp(),
    }
    splits = ShuffleSplit(5, train_size=2000, test_size=10_000, random_state=0)
    print("Default settings, 2000 diamonds to train on, mean of five splits:\n")
    print(f"{'':31}{'R2':>6}{'mean error':>14}{'one fit':>12}")
    for name, model in models.items():
        result = cross_validate(
            model, X, y, cv=splits, scoring=["r2", "neg_mean_absolute_error"]
        )
        r2, error = result["test_r2"].mean(), -result["test_neg_mean_absolute_error"].mean()
        seconds = result["fit_time"].mean()
        print(f"{name:31}{r2:6.3f}{error:8.0f} dollars{seconds:10.2f} s")


def draw(network, X, path):
    """Draw how the loss fell, and how much each column moves the predictions."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    LossCurveDisplay.from_estimator(network, ax=left, learning_rate=False)
    left.set_title("Loss in each epoch")
    AttributionDisplay.from_estimator(network, X, ax=right)
    right.set_title("Contribution of each column to the price")
    figure.savefig(path)
    print(f"\nLoss curve and contributions of the columns: {path}")


def save_and_load(network, X):
    """Save a fitted network with joblib, load it, and compare the predictions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.joblib"
        joblib.dump(network, path)
        loaded = joblib.load(path)
        size = path.stat().st_size / 1024
    same = np.array_equal(loaded.predict(X), network.predict(X))
    print(f"Saved and loaded, {size:.0f} KiB; the predictions are equal: {same}")


def search(network, X, y, X_test, y_test):
    """Try four random settings by cross-validation."""
    settings = {
        "hidden_layer_sizes": [(64,), (64, 64), (128, 128)],
        "learning_rate_init": loguniform(0.003, 0.03),
        "dropout": [0.0, 0.1, 0.2],
    }
    start = perf_counter()
    found = RandomizedSearchCV(network, settings, n_iter=4, cv=2, n_jobs=2, random_state=0)
    found.fit(X, y)
    print(f"\nRandom search, 4 settings in 2 folds, {perf_counter() - start:.0f} s:")
    for name, value in found.best_params_.items():
        print(f"    {name} = {value if isinstance(value, tuple) else f'{value:.3g}'}")
    best, default = found.score(X_test, y_test), network.score(X_test, y_test)
    print(f"    R2 on new diamonds {best:.3f}, with the default settings {default:.3f}")


def main():
    start = perf_counter()
    X, y = load_table()
    compare(X, y)

    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=2000, test_size=10_000, random_state=0
    )
    network = NNRegressor(random_state=0).fit(X_train, y_train)
    draw(network, X_test.iloc[:500], Path("quickstart.png"))
    save_and_load(network, X_test)
    search(network, X_train, y_train, X_test, y_test)
    print(f"\nAll of it took {perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
