"""
Which columns made one prediction
=================================

A network is trained to tell benign from malignant tumours. Integrated gradients then say,
for one tumour, how much each measurement moved the logit away from that of a typical
tumour: the contributions of all columns add up to the difference.
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
# Thirty columns of very different scales enter as they are.

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
names = np.array(["malignant", "benign"])[y]
X_train, X_test, y_train, y_test = train_test_split(X, names, random_state=0)
network = NNClassifier(
    (32,),
    activation="silu",
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    alpha=1e-3,
    max_iter=60,
    early_stopping=False,
    random_state=0,
).fit(X_train, y_train)
print(f"accuracy on new tumours: {network.score(X_test, y_test):.3f}")

# %%
# One tumour, and all of them
# ---------------------------
# Of the new tumours that the network calls malignant we take the one that it is least sure
# of, and compare it with a row of medians.

logit = network.decision_function(X_test)  # of the second class: malignant
row = X_test.iloc[[np.argmin(np.where(logit > 0, logit, np.inf))]]
typical = X_train.median()
parts = integrated_gradients(network, row, target="malignant", baseline=typical)
moved = network.decision_function(row) - network.decision_function(typical.to_frame().T)
print(f"contributions add up to {parts.sum():+.3f}; the logit moved by {moved[0]:+.3f}")

figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
shared = {"target": "malignant", "baseline": typical}
AttributionDisplay.from_estimator(network, row, **shared, ax=axes[0])
axes[0].set_title("one tumour")
AttributionDisplay.from_estimator(network, X_test, **shared, ax=axes[1])
axes[1].set_title("all new tumours")
figure.suptitle("contributions to the logit of malignant")
plt.show()
