"""
Autoencoder: hidden features and dimensionality reduction
=========================================================

The picture shows 540 images of digits as points in a plane. On the left, the coordinates are
the first two principal components. On the right, they are the two units in the middle of an
autoencoder. Images of the same digit lie together, although neither method was told the digits.

An autoencoder is a network that predicts its own inputs. The units of a narrow hidden layer
have to describe each row with few numbers, which ``hidden_features`` returns.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sknet import NNRegressor
from sknet.inspection import hidden_features

# %%
# A regressor that predicts its inputs
# ------------------------------------
# The 64 pixels are both ``X`` and ``y``. All pixels have the same scale, so they enter the
# network as they are, without standardization or embedding. With ``tanh``, the two numbers of
# an image lie between -1 and 1. With several members, each of them would have its own plane, so
# the network has only one member.

X, digit = load_digits(return_X_y=True)
X /= 16
X_train, X_test, digit_train, digit_test = train_test_split(
    X, digit, test_size=0.3, stratify=digit, random_state=0
)
autoencoder = NNRegressor(
    (128, 32, 2, 32, 128),
    activation="tanh",
    n_members=1,
    standardize=False,
    numeric_embedding=None,
    dropout=0.0,
    max_iter=300,
    random_state=0,
).fit(X_train, X_train)
pca = PCA(2).fit(X_train)

# %%
# Two numbers for each image
# --------------------------
# ``layer=2`` is the third hidden layer, the one with two units. There are two measures of how
# much the two numbers say about an image: the error of the pixels that are computed from them,
# and the accuracy of a nearest-neighbor classifier that knows nothing else about the image.

methods = {
    "PCA": (pca.transform, pca.inverse_transform(pca.transform(X_test))),
    "autoencoder": (
        lambda rows: hidden_features(autoencoder, rows, layer=2),
        autoencoder.predict(X_test),
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
for axis, (name, (encode, rebuilt)) in zip(axes, methods.items(), strict=True):
    neighbors = KNeighborsClassifier(15).fit(encode(X_train), digit_train)
    codes = encode(X_test)
    accuracy = neighbors.score(codes, digit_test)
    error = np.mean((rebuilt - X_test) ** 2)
    print(f"{name:11}  squared error of pixels {error:.3f}, accuracy of digits {accuracy:.2f}")
    points = axis.scatter(*codes.T, c=digit_test, s=12, cmap="tab10", vmin=-0.5, vmax=9.5)
    axis.set(title=f"{name}: accuracy {accuracy:.0%}", xticks=[], yticks=[])
figure.colorbar(points, ax=axes, ticks=range(10), label="digit", pad=0.01)
plt.show()

# %%
# Reconstructions
# ---------------
# The decoder (the layers after the two units) draws an image from two numbers. It cannot draw
# what the two numbers do not encode. A row with a large error is unlike the training rows,
# which is why autoencoders are also used to find anomalies.

shown = [np.flatnonzero(digit_test == kind)[0] for kind in range(10)]
rows = {"image": X_test, **{name: rebuilt for name, (_, rebuilt) in methods.items()}}
figure, axes = plt.subplots(3, 10, figsize=(10, 3.4), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(line, images[shown], strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
figure.suptitle("Images and their reconstructions from two numbers")
plt.show()
