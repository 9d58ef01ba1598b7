"""
Feature importance and attributions of a prediction
===================================================

The picture shows why a network calls a tumor malignant. On the left are the contributions of
the measurements to the prediction for one tumor. On the right is their mean size over all new
tumors, which is a measure of feature importance.

The contributions are integrated gradients. They say how much each measurement moved the logit
away from the logit of a typical tumor, and they add up to the difference of the two.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from sknet import NNClassifier
from sknet.inspection import AttributionDisplay, integrated_gradients

# %%
# The network
# -----------
# The 30 columns have very different scales. The network scales them itself.

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
names = np.array(["malignant", "benign"])[y]
X_train, X_test, y_train, y_test = train_test_split(X, names, random_state=0)
network = NNClassifier(random_state=0).fit(X_train, y_train)
print(f"accuracy on new tumors: {network.score(X_test, y_test):.3f}")

# %%
# One tumor and all tumors
# ------------------------
# The tumor on the left is the one that the network calls malignant with the lowest probability.
# It is compared with a typical tumor, a row of medians.

logit = network.decision_function(X_test)  # for the second class, malignant
row = X_test.iloc[[np.argmin(np.where(logit > 0, logit, np.inf))]]
typical = X_train.median()
parts = integrated_gradients(network, row, target="malignant", baseline=typical)
moved = network.decision_function(row) - network.decision_function(typical.to_frame().T)
print(f"contributions add up to {parts.sum():+.3f}; the logit moved by {moved[0]:+.3f}")

figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
shared = {"target": "malignant", "baseline": typical}
AttributionDisplay.from_estimator(network, row, **shared, ax=axes[0])
axes[0].set_title("One tumor")
AttributionDisplay.from_estimator(network, X_test, **shared, ax=axes[1])
axes[1].set_title("All new tumors")
figure.suptitle("Contributions to the logit of the class malignant")
plt.show()
