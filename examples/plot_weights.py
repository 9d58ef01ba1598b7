"""
Weights of the first layer as images
====================================

The picture shows the weights of 32 units as images, with one weight for each pixel. The network
classifies images of digits. With an L1 penalty, weights that a unit does not need become
exactly zero. Beside the images are the distribution of the weights of each layer, and the share
of weights that are zero.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import NNClassifier
from sknet.inspection import WeightsDisplay, summary

# %%
# A network with an L1 penalty
# ----------------------------
# The first layer has only 32 units, few enough to draw. The pixels enter as they are, without
# scaling or an embedding, so that there is one weight for each pixel.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
network = NNClassifier(
    (32, 16),
    alpha=1e-3,
    l1_ratio=1.0,
    n_members=1,
    standardize=False,
    numeric_embedding=None,
    random_state=0,
).fit(X_train / 16, y_train)
print(f"accuracy on new digits: {network.score(X_test / 16, y_test):.3f}")
print(summary(network))

# %%
# Images and distribution of the weights
# --------------------------------------
# Each image on the left belongs to one unit: a weight is positive where a pixel is red,
# negative where it is blue and zero where it is white. The boxes on the right show the
# distribution of the nonzero weights of each layer, and the bars the shares of weights that are
# zero and of dead units.

weights = network.coefs_[0].T.reshape(-1, 8, 8)
figure = plt.figure(figsize=(12, 4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.4])
for ax, weight in zip(left.subplots(4, 8).flat, weights, strict=True):
    limit = max(np.abs(weight).max(), 1e-9)
    ax.imshow(weight, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_axis_off()
left.suptitle("Weights of the units of the first layer")
WeightsDisplay.from_estimator(network, X_test / 16, ax=right.subplots(1, 2))
plt.show()
