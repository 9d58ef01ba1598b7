"""
Learning rate schedules
=======================

The picture shows the learning rate of five schedules, and the training loss of the same network
on images of digits with each of them. With a high learning rate, the loss falls fast, but does
not settle. With a low one, it falls slowly. Most schedules therefore end with a low rate.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import NNClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=800, stratify=y, random_state=0
)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for learning_rate in ["constant", "invscaling", "cosine", "one_cycle", "coslog"]:
    network = NNClassifier(
        learning_rate=learning_rate,
        power_t=0.2,  # for "invscaling", whose rate falls as t ** -power_t after t rows
        max_iter=40,
        early_stopping=False,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X_train, y_train)
    epochs = range(1, network.n_iter_ + 1)
    left.plot(epochs, network.history_["learning_rate"], label=learning_rate)
    right.plot(epochs, network.loss_curve_, label=learning_rate)
    print(f"{learning_rate:11} accuracy on new images {network.score(X_test, y_test):.3f}")
left.set(xlabel="epoch", ylabel="learning rate", title="Learning rate schedules")
right.set(xlabel="epoch", ylabel="log loss", yscale="log", title="Training loss")
right.legend()
plt.show()
