"""A user's script, which type checkers must accept and whose types they must know.

The step "lint" checks it and does not run it.
"""

from typing import assert_type

import numpy as np

from sknet import NNClassifier, NNRegressor

rng = np.random.default_rng(0)
X, y = rng.normal(size=(40, 3)), rng.integers(2, size=40)

classifier = assert_type(NNClassifier((8,), max_iter=5).fit(X, y), NNClassifier)
assert_type(classifier.partial_fit(X, y, classes=[0, 1]), NNClassifier)
assert_type(classifier.predict_proba(X), np.ndarray)
probabilities = classifier.predict_proba(X)[:, 1].round(2)
best = classifier.predict_proba(X).argmax(axis=1)
means, stds = classifier.predict_proba(X, return_std=True)
print(means.shape, stds.shape, probabilities[:3], best[:3])

regressor = NNRegressor(loss="normal").fit(X, X[:, 0], sample_weight=np.ones(40))
assert_type(regressor.predict(X), np.ndarray)
assert_type(regressor.predict(X, return_std=True), tuple[np.ndarray, np.ndarray])
print(regressor.predict_quantiles(X, [0.1, 0.9])[:, 1].max())

# An unknown argument is an error. If it were not, mypy would report a needless "ignore".
classifier.fit(X, y, weights=y)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
