"""Selection of columns by weights and by attributions, and feature importance by shuffling."""

import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknet import NNRegressor
from sknet.inspection import integrated_gradients

# Only the first five of the 15 columns affect y.
INFORMATIVE = [0, 1, 2, 3, 4]
X, y = make_friedman1(1500, 15, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


def first_weights(network):
    """Return the sum of the absolute weights of each column."""
    return np.abs(network.coefs_[0]).sum(axis=1)


# Select by the weights of a network with an L1 penalty. It has one row of weights per column.
sparse_network = NNRegressor(
    alpha=0.001,
    l1_ratio=1.0,
    early_stopping=False,  # the best epoch may come before the weights have become small
    numeric_embedding=None,
    n_components=0,
    random_state=0,
)
by_weights = SelectFromModel(sparse_network, importance_getter=first_weights, threshold="mean")
by_weights.fit(X_train, y_train)
assert list(by_weights.get_support(indices=True)) == INFORMATIVE


def contributions(network):
    """Return the mean size of each column's contributions to predictions."""
    return np.abs(integrated_gradients(network, X_train)).mean(axis=0)


# Select by the attributions of any network, here one with the default settings.
by_contributions = SelectFromModel(
    NNRegressor(random_state=0), importance_getter=contributions, threshold="mean"
).fit(X_train, y_train)
assert list(by_contributions.get_support(indices=True)) == INFORMATIVE

# Compare a network that has only the selected columns with one that has all columns.
selected = make_pipeline(by_contributions, NNRegressor(random_state=0)).fit(X_train, y_train)
network = NNRegressor(random_state=0).fit(X_train, y_train)
r2_all, r2_selected = network.score(X_test, y_test), selected.score(X_test, y_test)
print(f"R2 on new rows: {r2_all:.3f} with all columns, {r2_selected:.3f} with those selected")
assert r2_selected > r2_all

# The permutation importance is how much R2 on new rows falls if a column is shuffled.
shuffled = permutation_importance(network, X_test, y_test, n_repeats=5, random_state=0)
print("drop in R2:", shuffled.importances_mean.round(3))
assert set(np.argsort(shuffled.importances_mean)[-5:]) == set(INFORMATIVE)
assert shuffled.importances_mean[INFORMATIVE].min() > 0.03
assert shuffled.importances_mean[5:].max() < 0.03
