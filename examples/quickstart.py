"""sknet in half a minute: compare it with two other classifiers, look inside, save and load.

The models predict the cut of a diamond, one of five grades, from a raw table with numbers,
categories and missing values. Run the script with ``python examples/quickstart.py``. It prints
a table and writes two pictures, ``quickstart_calibration.png`` and ``quickstart_columns.png``.
It needs matplotlib, and the package plotnine, which contains the table.
"""

import tempfile
import warnings
from pathlib import Path
from time import perf_counter, process_time

import joblib
import matplotlib

matplotlib.use("agg")  # The pictures go to files, so no window is needed.

import matplotlib.pyplot as plt
import numpy as np
from plotnine.data import diamonds
from sklearn.calibration import CalibrationDisplay
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import ShuffleSplit, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknet import NNClassifier
from sknet.inspection import AttributionDisplay

SCORES = ["accuracy", "neg_log_loss"]


def load_table():
    """Return 53 940 diamonds with sizes, price and grades, and the cut of each."""
    X = diamonds.drop(columns="cut")
    # A length, width or depth of zero means that it was not measured.
    sizes = ["x", "y", "z"]
    X[sizes] = X[sizes].replace(0, np.nan)
    return X, diamonds["cut"].astype(str)


def make_mlp():
    """Return scikit-learn's network with the preparation of the table that it needs."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    encoder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )
    return make_pipeline(encoder, MLPClassifier(random_state=0))


def make_models():
    """Return three classifiers by name, with default settings."""
    return {
        "sknet.NNClassifier": NNClassifier(random_state=0),
        "HistGradientBoostingClassifier": HistGradientBoostingClassifier(random_state=0),
        "MLPClassifier in a pipeline": make_mlp(),
    }


def compare(X, y, splits):
    """Print the mean scores of each model; return the models fitted to the first split."""
    print("Cut of 10 000 new diamonds, learned from 2000; means of three splits:\n")
    print(f"{'':32}{'accuracy':>9}{'log loss':>10}{'one fit':>10}")
    fitted = {}
    for name, model in make_models().items():
        with warnings.catch_warnings():
            # MLPClassifier stops at max_iter. With 500 epochs, its accuracy rises by only 0.01.
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = cross_validate(
                model, X, y, cv=splits, scoring=SCORES, return_estimator=True
            )
        accuracy, loss = result["test_accuracy"].mean(), -result["test_neg_log_loss"].mean()
        print(f"{name:32}{accuracy:9.3f}{loss:10.3f}{result['fit_time'].mean():8.2f} s")
        fitted[name] = result["estimator"][0]
    print("\nHigher accuracy and lower log loss are better. HistGradientBoosting grows trees")
    print("for each of the five classes. With two classes, or numbers to predict, it fits")
    print("several times as fast as sknet.")
    return fitted


def draw_calibration(models, X, y, path):
    """Draw the share of diamonds of the cut "Ideal" against the predicted probability."""
    figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
    for name, model in models.items():
        probability = model.predict_proba(X)[:, list(model.classes_).index("Ideal")]
        CalibrationDisplay.from_predictions(
            y == "Ideal", probability, n_bins=10, name=name, ax=axis
        )
    axis.set(xlabel="predicted probability of Ideal", ylabel="share of diamonds that are Ideal")
    axis.set_title("Calibration: probabilities on the diagonal are right")
    figure.savefig(path)
    print(f"\n{path}: the closer a curve is to the diagonal, the more you")
    print("can trust the probabilities. On it, 70 % of the diamonds with a probability of 70 %")
    print("have the cut Ideal.")


def draw_columns(network, X, path):
    """Draw how much each column moves the predictions of the network."""
    figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
    AttributionDisplay.from_estimator(network, X, ax=axis)
    axis.set_title("How much each column moves a prediction")
    figure.savefig(path)
    print(f"{path}: the longer the bar, the more the column moves the")
    print("predictions of sknet's network.")


def save_and_load(network, X):
    """Save a fitted network with joblib, load it, and compare the predictions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.joblib"
        joblib.dump(network, path)
        loaded = joblib.load(path)
        size = path.stat().st_size / 1024
    same = np.array_equal(loaded.predict(X), network.predict(X))
    print(f"\nSaved and loaded, {size:.0f} KiB; the predictions are equal: {same}")


def main():
    start, cpu = perf_counter(), process_time()
    X, y = load_table()
    splits = ShuffleSplit(3, train_size=2000, test_size=10_000, random_state=0)
    models = compare(X, y, splits)

    _, test = next(splits.split(X))
    X_test, y_test = X.iloc[test], y.iloc[test]
    draw_calibration(models, X_test, y_test, Path("quickstart_calibration.png"))
    network = models["sknet.NNClassifier"]
    draw_columns(network, X_test.iloc[:500], Path("quickstart_columns.png"))
    save_and_load(network, X_test)
    seconds, of_processor = perf_counter() - start, process_time() - cpu
    print(f"\nThe script took {seconds:.0f} s, and {of_processor:.0f} s of processor time.")


if __name__ == "__main__":
    main()
