"""
Learning-rate schedules
=======================

A rate that stays high never settles; one that is low from the start arrives late. Schedules
begin high and end low. Above, the rate that each of them gives; below, the loss of the same
network on the same images of digits.
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

figure, (above, below) = plt.subplots(
    2, 1, figsize=(8, 7), sharex=True, layout="constrained", height_ratios=[1, 1.4]
)
for learning_rate in ["constant", "invscaling", "cosine", "one_cycle", "coslog"]:
    network = NNClassifier(
        (32,),
        learning_rate=learning_rate,
        learning_rate_init=0.02,
        power_t=0.2,
        batch_size=50,
        max_iter=40,
        alpha=0.0,
        early_stopping=False,
        numeric_embedding=None,
        dropout=0.1,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(X_train, y_train)
    epochs = range(1, network.n_iter_ + 1)
    above.plot(epochs, network.history_["learning_rate"], label=learning_rate)
    below.plot(epochs, network.loss_curve_, label=learning_rate)
    print(f"{learning_rate:11} accuracy on new images {network.score(X_test, y_test):.3f}")
above.set(ylabel="learning rate", title="The rate at the end of each epoch")
below.set(xlabel="epoch", ylabel="log loss, trained images", yscale="log", title="The loss")
above.legend(loc="upper right")
plt.show()
