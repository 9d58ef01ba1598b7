"""
Early stopping, seen
====================

A large network on a few hundred rows learns them by heart. Its training loss falls and
falls; the loss of rows that were held out turns round. Early stopping watches the second
and goes back to the best epoch.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sknet import NNRegressor
from sknet.inspection import LossCurveDisplay

# %%
# The same network with and without patience
# -------------------------------------------
# With patience for 15 epochs training ends soon after the best one; with a patience that is
# never exhausted it goes on, so that we see what would have come.

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

shared = {
    "hidden_layer_sizes": (128, 128),
    "activation": "silu",
    "learning_rate": "constant",
    "learning_rate_init": 0.0005,
    "early_stopping": True,
    "validation_fraction": 0.2,
    "numeric_embedding": None,
    "n_members": 1,
    "dropout": 0.0,
    "ema_decay": None,
    "random_state": 1,
}
patient = NNRegressor(**shared, max_iter=120, n_iter_no_change=np.inf).fit(X_train, y_train)
stopped = NNRegressor(**shared, max_iter=120, n_iter_no_change=15).fit(X_train, y_train)
for name, network in (("all epochs", patient), ("stopped", stopped)):
    print(
        f"{name}: {network.n_iter_} epochs, best {network.best_iter_}, "
        f"R2 on new rows {network.score(X_test, y_test):.2f}"
    )

# %%
# Both curves
# -----------
# Whatever the number of epochs, the parameters that are kept are those of the dotted line.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
LossCurveDisplay.from_estimator(patient, ax=axes[0], learning_rate=False)
axes[0].set_title("without an end")
LossCurveDisplay.from_estimator(stopped, ax=axes[1], learning_rate=False)
axes[1].set_title("stopped after 15 epochs without progress")
axes[1].set_xlim(axes[0].get_xlim())
plt.show()
