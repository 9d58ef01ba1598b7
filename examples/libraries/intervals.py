"""Prediction intervals and sets of labels whose coverage MAPIE guarantees."""

import numpy as np
from mapie.classification import SplitConformalClassifier
from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor
from mapie.utils import train_conformalize_test_split
from sklearn.datasets import make_classification

from sknet import NNClassifier, NNRegressor

LEVEL = 0.9
SIZES = {"train_size": 1000, "conformalize_size": 1000, "test_size": 4000}


def check_coverage(name, covered, n_conformalize):
    """Check that the coverage of new rows is within three standard errors of the level."""
    variance = LEVEL * (1 - LEVEL) * (1 / covered.size + 1 / n_conformalize)
    print(f"{name}: {covered.mean():.1%} of the new rows are covered")
    assert abs(covered.mean() - LEVEL) < 3 * np.sqrt(variance)


# A regression target whose noise depends on the second column.
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(6000, 2))
noise = np.where(X[:, 1] > 0, 0.5, 0.1)
y = np.sin(3 * X[:, 0]) + rng.normal(scale=noise)
X_train, X_conf, X_test, y_train, y_conf, y_test = train_conformalize_test_split(
    X, y, random_state=0, **SIZES
)
noisy = X_test[:, 1] > 0


def intervals(conformal):
    conformal.conformalize(X_conf, y_conf)
    _, limits = conformal.predict_interval(X_test)
    return limits[:, 0, 0], limits[:, 1, 0]


# Around the predictions of a fitted network, intervals that are equally wide for all rows.
network = NNRegressor(random_state=0).fit(X_train, y_train)
low, high = intervals(SplitConformalRegressor(network, confidence_level=LEVEL, prefit=True))
check_coverage("split conformal", (low <= y_test) & (y_test <= high), len(y_conf))
equal_width = np.mean(high - low)
assert np.allclose(high - low, equal_width)

# MAPIE also fits quantile models itself, but only those on a list that contains no networks.
try:
    ConformalizedQuantileRegressor(NNRegressor(loss="quantile")).fit(X_train, y_train)
except ValueError as error:
    print("MAPIE:", str(error).splitlines()[0])
else:
    raise AssertionError("MAPIE can now fit networks: pass one instead of three.")

# MAPIE accepts fitted networks for the lower quantile, the upper one and the median, in this
# order.
quantiles = [
    NNRegressor(loss="quantile", quantile=quantile, random_state=0).fit(X_train, y_train)
    for quantile in [(1 - LEVEL) / 2, (1 + LEVEL) / 2, 0.5]
]
low, high = intervals(
    ConformalizedQuantileRegressor(quantiles, confidence_level=LEVEL, prefit=True)
)
check_coverage("conformalized quantiles", (low <= y_test) & (y_test <= high), len(y_conf))
width_in_noise, width_elsewhere = np.mean((high - low)[noisy]), np.mean((high - low)[~noisy])
print(f"widths: {width_in_noise:.2f} where y is noisy, {width_elsewhere:.2f} elsewhere")
assert width_in_noise > 2 * width_elsewhere
assert np.mean(high - low) < equal_width

# Sets of labels.
X, y = make_classification(6000, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0)
trees = np.array(["ash", "beech", "cedar"])[y]
X_train, X_conf, X_test, y_train, y_conf, y_test = train_conformalize_test_split(
    X, trees, random_state=0, **SIZES
)
classifier = NNClassifier(random_state=0).fit(X_train, y_train)
conformal = SplitConformalClassifier(classifier, confidence_level=LEVEL, prefit=True)
_, sets = conformal.conformalize(X_conf, y_conf).predict_set(X_test)
in_set = sets[:, :, 0]  # a row for each tree, a column for each of classifier.classes_
covered = in_set[np.arange(len(y_test)), np.searchsorted(classifier.classes_, y_test)]
check_coverage("sets of labels", covered, len(y_conf))
print(f"labels in a set: {in_set.sum(axis=1).mean():.2f} on average")
