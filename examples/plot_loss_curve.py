"""
Early stopping and the loss curve
=================================

The picture shows the loss curves of two fits. The one on the left runs all 100 epochs, and
early stopping ends the one on the right. A network that is trained for too long on a few
hundred rows overfits: the training loss continues to fall, while the loss on the held-out rows
rises again. Early stopping watches the loss on the held-out rows and returns to the best epoch.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sknet import NNRegressor
from sknet.inspection import LossCurveDisplay

# %%
# The same network with two kinds of patience
# -------------------------------------------
# ``n_iter_no_change`` is the patience: training stops after that many epochs without
# improvement. With infinite patience, it runs all epochs, and still returns to the best one.
# The default learning rate falls to zero by the end of training, so this example uses a
# constant one. Dropout and the running average of the weights are switched off, since both
# reduce overfitting.

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

shared = {
    "learning_rate": "constant",
    "learning_rate_init": 0.0001,
    "max_iter": 100,
    "dropout": 0.0,
    "ema_decay": None,
    "random_state": 0,
}
patient = NNRegressor(**shared, n_iter_no_change=np.inf).fit(X_train, y_train)
stopped = NNRegressor(**shared, n_iter_no_change=15).fit(X_train, y_train)
for name, network in (("all epochs", patient), ("stopped", stopped)):
    print(
        f"{name}: {network.n_iter_} epochs, best {network.best_iter_}, "
        f"R2 on new rows {network.score(X_test, y_test):.2f}"
    )

# %%
# Both curves
# -----------
# The dotted line marks the best epoch. Both networks keep the parameters of that epoch.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
LossCurveDisplay.from_estimator(patient, ax=axes[0], learning_rate=False)
axes[0].set_title("Infinite patience")
LossCurveDisplay.from_estimator(stopped, ax=axes[1], learning_rate=False)
axes[1].set_title("Stopped after 15 epochs without improvement")
axes[1].set_xlim(axes[0].get_xlim())
plt.show()
