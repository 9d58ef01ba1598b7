"""
Gradient descent of a single neuron: logistic regression
========================================================

The picture shows how gradient descent moves the decision boundary of a single neuron from epoch
to epoch, and how the loss falls. A single neuron is a weighted sum, a bias and a sigmoid, which
is logistic regression; its decision boundary is a straight line.

An ``NNClassifier`` without hidden layers is such a neuron. The solver ``sgd`` without momentum,
on all rows at once, is gradient descent. The other options switch off most of what the defaults
add to it, and ``warm_start`` lets you look at the weights between epochs.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from sknet import NNClassifier

X, y = load_iris(return_X_y=True)
X, y = X[50:, 2:], y[50:]  # length and width of petals, of versicolor and virginica
X = (X - X.mean(axis=0)) / X.std(axis=0)

neuron = NNClassifier(
    (),
    solver="sgd",
    momentum=0.0,
    learning_rate="constant",
    learning_rate_init=0.3,
    batch_size=len(y),
    alpha=0.0,
    standardize=False,
    ema_decay=None,
    n_iter_no_change=np.inf,
    warm_start=True,
    random_state=3,
)
epochs = [1, 5, 20, 100]
weights, losses = [], []
for n_epochs in np.diff([0, *epochs]):
    neuron.set_params(max_iter=int(n_epochs)).fit(X, y)
    weights.append((neuron.coefs_[0][:, 0].copy(), float(neuron.intercepts_[0][0])))
    losses += neuron.loss_curve_
print(f"accuracy {neuron.score(X, y):.2f}, loss {losses[-1]:.3f}")

# %%
# The left plot shows the decision boundary x w + b = 0 after some of the epochs, the right plot
# the loss.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for kind, color in [(1, "tab:blue"), (2, "tab:orange")]:
    rows = X[y == kind]
    left.scatter(*rows.T, s=18, color=color, label=["versicolor", "virginica"][kind - 1])
along = np.array([-3.0, 3.0])
for epoch, (w, b), shade in zip(epochs, weights, [0.25, 0.45, 0.7, 1.0], strict=True):
    boundary = -(w[0] * along + b) / w[1]
    left.plot(along, boundary, color="black", alpha=shade, label=f"after epoch {epoch}")
left.set(
    xlim=(-2.6, 2.6),
    ylim=(-2.4, 3.8),
    xlabel="petal length (standardized)",
    ylabel="petal width (standardized)",
    title="Decision boundary",
)
left.legend(loc="upper center", ncols=3, fontsize=8)
right.plot(range(1, len(losses) + 1), losses, color="black")
right.plot(epochs, [losses[epoch - 1] for epoch in epochs], "o", color="tab:red")
right.set(xlabel="epoch", ylabel="log loss", ylim=(0, None), title="Log loss")
plt.show()
