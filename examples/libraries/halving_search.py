"""Successive halving: many settings get a few epochs, and the best of them get more."""

import numpy as np
from scipy.stats import loguniform, uniform
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV, train_test_split

from sknet import NNClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=600, random_state=0)

# One epoch in the first round would say little, so this round has four.
search = HalvingRandomSearchCV(
    NNClassifier((64,), random_state=0),
    {"learning_rate_init": loguniform(1e-4, 0.1), "dropout": uniform(0, 0.5)},
    resource="max_iter",
    min_resources=4,
    max_resources=36,
    factor=3,
    n_candidates=9,
    scoring="neg_log_loss",
    cv=3,
    random_state=0,
).fit(X_train, y_train)

rounds = list(zip(search.n_candidates_, search.n_resources_, strict=True))
print("settings and epochs of each round:", rounds)
assert rounds == [(9, 4), (3, 12), (1, 36)]
assert search.best_estimator_.max_iter == 36

# All rounds together take a third of the epochs of nine full fits.
assert np.dot(search.n_candidates_, search.n_resources_) * 3 == 9 * 36

# The learning-rate schedule spans max_iter epochs, so short fits also end with a low rate.
scores = search.cv_results_["mean_test_score"]
chance = -np.log(10)
best_after_four = scores[:9].max()
print(f"log loss: {-best_after_four:.2f} after 4 epochs, {-search.best_score_:.2f} after 36")
assert chance < best_after_four < search.best_score_
