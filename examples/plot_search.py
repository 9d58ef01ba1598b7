"""
Grid search of hyperparameters with a progress bar
==================================================

The picture shows the cross-validated accuracy of networks for images of digits, by the number
of units and the dropout. ``GridSearchCV`` tries all combinations, and scikit-learn's callback
``ProgressBar`` (scikit-learn 1.9 or newer) shows how much of the search is done. In a terminal,
the bar moves; this page shows its last state.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from sknet import NNClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=400, stratify=y, random_state=0
)

network = NNClassifier(random_state=0)
grid = {
    "hidden_layer_sizes": [(8,), (32,), (128,)],
    "dropout": [0.0, 0.2, 0.4],
}
search = GridSearchCV(network, grid, cv=3)
search.set_callbacks(ProgressBar(max_propagation_depth=0)).fit(X_train, y_train)
print(search.best_params_)
print(f"accuracy of the best network on new images: {search.score(X_test, y_test):.3f}")

# %%
# Accuracy by number of units and dropout
# ---------------------------------------
# The error bars are the standard errors of the means over the three folds.

results = search.cv_results_
scores = results["mean_test_score"].reshape(len(grid["dropout"]), -1)
errors = results["std_test_score"].reshape(scores.shape) / np.sqrt(3 - 1)
sizes = [size for (size,) in grid["hidden_layer_sizes"]]
figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
for dropout, score, error in zip(grid["dropout"], scores, errors, strict=True):
    axis.errorbar(sizes, score, error, marker="o", capsize=3, label=f"dropout {dropout}")
axis.set_xscale("log", base=2)
axis.set_xticks(sizes, sizes)
axis.set(
    xlabel="units of the hidden layer",
    ylabel="accuracy, three folds",
    title="Accuracy by number of units and dropout",
)
axis.legend()
plt.show()
