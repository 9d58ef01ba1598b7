"""
Additive networks: a glass box
==============================

An additive network is a sum of functions of one column each, so that a few curves show all
that it has learned. Here it predicts how many bicycles are rented in an hour. Then the columns
may interact in pairs.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sknet import NNRegressor
from sknet.inspection import ShapeFunctionsDisplay, shape_functions

# %%
# Rented bicycles
# ---------------
# The table is made up, so that the truth is known. Working days have two peaks, at the way to
# work and back, and other days one in the afternoon: the hour interacts with the kind of day.
# Some hours lack the temperature.

rng = np.random.default_rng(0)
n = 6000
X = pd.DataFrame(
    {
        "hour": rng.integers(24, size=n),
        "temperature": rng.normal(12, 8, n).round(1),
        "humidity": rng.uniform(30, 100, n).round(),
        "day": rng.choice(["working", "weekend", "holiday"], n, p=[0.68, 0.27, 0.05]),
        "weather": rng.choice(["clear", "clouds", "rain"], n, p=[0.6, 0.3, 0.1]),
    }
)


def peak(center, width):
    return np.exp(-(((X["hour"] - center) / width) ** 2))


log_rate = (
    3.2
    + np.where(X["day"] == "working", 2 * peak(8, 2) + 2 * peak(18, 2.5), 2 * peak(14, 4.5))
    - 1.2 * peak(3, 4)
    + 0.9 * np.tanh((X["temperature"] - 8) / 10)
    - 0.4 * ((X["humidity"] - 60) / 40).clip(lower=0)
    + X["weather"].map({"clear": 0, "clouds": -0.1, "rain": -0.8})
)
y = rng.poisson(np.exp(log_rate))
X.loc[rng.random(n) < 0.05, "temperature"] = np.nan
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Curves that add up
# ------------------
# The loss "poisson" has a log link, so the curves add up to the logarithm of the prediction: a
# contribution of 0.7 doubles it. The grey bars are the distribution of the rows, and the red
# diamond is the contribution of a missing temperature.

additive = NNRegressor(loss="poisson", interaction_cst="no_interactions", random_state=0)
additive.fit(X_train, y_train)
shapes = shape_functions(additive, X_train)
total = shapes.intercept + shapes.contributions(X_test).sum(axis=1)
gap = np.abs(total[:, 0] - np.log(additive.predict(X_test))).max()
print(f"largest difference between the sum of the curves and the logarithm: {gap:.1e}")

display = ShapeFunctionsDisplay.from_estimator(additive, X_train)
display.figure_.suptitle("Contributions to the logarithm of the rented bicycles")
plt.show()

# %%
# Pairs
# -----
# The additive network has one curve for all days. With pairs of columns, it learns that the
# curve of the hour depends on the day. The heat maps show the two most important pairs. The
# first one is real; the contributions of the second one are small.

pairs = NNRegressor(loss="poisson", interaction_cst="pairwise", random_state=0)
pairs.fit(X_train, y_train)
free = NNRegressor(loss="poisson", random_state=0).fit(X_train, y_train)
for name, network in (("additive", additive), ("pairs", pairs), ("free", free)):
    print(f"{name:8s} R2 on new hours: {network.score(X_test, y_test):.3f}")

display = ShapeFunctionsDisplay.from_estimator(pairs, X_train, max_features=4, max_surfaces=2)
display.figure_.suptitle("Curves and interactions")
plt.show()
