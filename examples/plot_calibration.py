"""
Calibration of predicted probabilities
======================================

The picture shows the calibration curves of two networks: one that overfits, and one with the
default settings. Probabilities are calibrated if, for example, 80 % of all rows with a
predicted probability of 0.8 belong to the class. scikit-learn's ``CalibrationDisplay`` draws
the curves.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknet import NNClassifier

# %%
# Two networks trained on few rows
# --------------------------------
# The networks predict whether a digit is even or odd. They are trained on 200 digits and tested
# on the other 1597. In the first network, everything that reduces overfitting is switched off.
# Here, it predicts more labels correctly, but its probabilities are worse.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y % 2, train_size=200, random_state=0)

networks = {
    "no regularization": NNClassifier(
        alpha=0.0,
        dropout=0.0,
        ema_decay=None,
        n_members=1,
        early_stopping=False,
        random_state=0,
    ),
    "default settings": NNClassifier(random_state=0),
}
for name, network in networks.items():
    network.fit(X_train, y_train)
    loss = log_loss(y_test, network.predict_proba(X_test))
    print(f"{name}: accuracy {network.score(X_test, y_test):.3f}, log loss {loss:.3f}")

# %%
# Calibration curves
# ------------------
# The curve of a calibrated network lies on the diagonal. The histograms below show how often
# each probability was predicted.

figure, axes = plt.subplots(
    2, 2, figsize=(11, 6), height_ratios=[3, 1], sharex=True, sharey="row", layout="constrained"
)
for (name, network), (curve, histogram) in zip(networks.items(), axes.T, strict=True):
    display = CalibrationDisplay.from_estimator(
        network, X_test, y_test, n_bins=6, ax=curve, name=name
    )
    curve.set(title=name, xlabel="", ylabel="share of odd digits")
    histogram.hist(display.y_prob, bins=20, color="0.6")
    histogram.set(xlabel="probability of odd", ylabel="digits", yscale="log")
plt.show()
