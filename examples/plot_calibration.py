"""
Do the probabilities keep their word?
=====================================

Of the rows that a network gives a probability of 0.8, eight in ten should be of the class.
scikit-learn's ``CalibrationDisplay`` shows whether that holds: here for a network that has
learned its rows by heart, and for one that was kept from it.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknet import NNClassifier

# %%
# Two networks, few rows
# ----------------------
# Is a digit even or odd? There are 200 digits to learn from, and 1597 to judge by. Both
# networks make a similar number of errors, but one of them is far too sure of itself.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y % 2, train_size=200, random_state=0)

shared = {
    "hidden_layer_sizes": (64, 64),
    "activation": "silu",
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 100,
    "dropout": 0.0,
    "numeric_embedding": None,
    "ema_decay": None,
    "early_stopping": False,
    "random_state": 0,
}
networks = {
    "by heart": NNClassifier(**shared, alpha=0.0, n_members=1),
    "with mixup and members": NNClassifier(**shared, alpha=1e-3, mixup=0.3, n_members=8),
}
for name, network in networks.items():
    network.fit(X_train, y_train)
    loss = log_loss(y_test, network.predict_proba(X_test))
    print(f"{name}: accuracy {network.score(X_test, y_test):.3f}, log loss {loss:.3f}")

# %%
# Calibration curves
# ------------------
# A curve on the diagonal keeps its word. Below, the histograms of the probabilities.

figure, axes = plt.subplots(
    2, 2, figsize=(11, 6), height_ratios=[3, 1], sharex=True, layout="constrained"
)
for (name, network), (curve, histogram) in zip(networks.items(), axes.T, strict=True):
    display = CalibrationDisplay.from_estimator(
        network, X_test, y_test, n_bins=6, ax=curve, name=name
    )
    curve.set(title=name, xlabel="", ylabel="share of odd digits")
    histogram.hist(display.y_prob, bins=20, color="0.6")
    histogram.set(xlabel="probability of odd", ylabel="digits")
plt.show()
