"""
What the first layer looks at
=============================

Each unit of the first layer has one weight for each pixel, so its weights are a picture.
With an L1 penalty the pixels that a unit does not need become exactly zero.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import NNClassifier
from sknet.inspection import WeightsDisplay, summary

# %%
# A small network for digits
# --------------------------
# Images of 8 x 8 pixels; 32 units, then 16.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
network = NNClassifier(
    (32, 16),
    activation="relu",
    standardize=False,
    alpha=1e-3,
    l1_ratio=1.0,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=60,
    numeric_embedding=None,
    n_members=1,
    dropout=0.0,
    ema_decay=None,
    early_stopping=False,
    random_state=0,
).fit(X_train / 16, y_train)
print(f"accuracy on new digits: {network.score(X_test / 16, y_test):.3f}")
print(summary(network))

# %%
# Weights as pictures
# -------------------
# Red pixels excite a unit, blue ones calm it, white ones it does not see. On the right how the
# weights are distributed in each layer, and how many of them and of the units are idle.

weights = network.coefs_[0].T.reshape(-1, 8, 8)
figure = plt.figure(figsize=(12, 4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.4])
for ax, weight in zip(left.subplots(4, 8).flat, weights, strict=True):
    limit = max(np.abs(weight).max(), 1e-9)
    ax.imshow(weight, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_axis_off()
left.suptitle("weights of the first layer's units")
WeightsDisplay.from_estimator(network, X_test / 16, ax=right.subplots(1, 2))
plt.show()
