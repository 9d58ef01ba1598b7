"""
Additive network: an interpretable model of curves
==================================================

The first picture shows everything that an additive network has learned about the price of
diamonds: a curve for each column. An additive network is a sum of functions of one column each.
The curves are the whole model, as in a generalized additive model (GAM). The second picture
shows how pairs of columns interact.

The table of 53 940 diamonds comes with the package plotnine. The networks learn from 4000 of
them.
"""

import matplotlib.pyplot as plt
import numpy as np
from plotnine.data import diamonds
from sklearn.model_selection import train_test_split

from sknet import NNRegressor
from sknet.inspection import ShapeFunctionsDisplay, shape_functions

X = diamonds[["carat", "cut", "color", "clarity", "depth", "table"]]
X_train, X_test, y_train, y_test = train_test_split(
    X, diamonds["price"], train_size=4000, test_size=10_000, random_state=0
)
print(diamonds.groupby("cut", observed=True)[["carat", "price"]].median())

# %%
# Shape functions: curves that add up
# -----------------------------------
# Diamonds of the best cut, "Ideal", are the cheapest ones in this table, because most of them
# are small. The curves separate the effects of the columns: a better cut raises the price, and
# the weight in carats explains most of the price.
#
# The loss "gamma" has a log link, so the curves add up to the logarithm of the price. A
# contribution of 0.7 doubles the price. The gray bars show the distribution of the rows.

additive = NNRegressor(loss="gamma", interaction_cst="no_interactions", random_state=0)
additive.fit(X_train, y_train)
shapes = shape_functions(additive, X_train)
total = shapes.intercept + shapes.contributions(X_test).sum(axis=1)
gap = np.abs(total[:, 0] - np.log(additive.predict(X_test))).max()
print(f"largest difference between sum of curves and log of prediction: {gap:.1e}")

display = ShapeFunctionsDisplay.from_estimator(additive, X_train)
display.figure_.suptitle("Contributions to the logarithm of the price")
plt.show()

# %%
# Pairwise interactions
# ---------------------
# With pairs of columns, the network learns that the color matters most for clear diamonds
# (clarity IF and VVS). The heat maps show the two most important pairs. Here, the network of
# pairs is nearly as accurate as a network in which all columns may interact.

pairs = NNRegressor(loss="gamma", interaction_cst="pairwise", random_state=0)
pairs.fit(X_train, y_train)
free = NNRegressor(loss="gamma", random_state=0).fit(X_train, y_train)
for name, network in (("additive", additive), ("pairs", pairs), ("free", free)):
    error = np.abs(network.predict(X_test) / y_test - 1).median()
    score = network.score(X_test, y_test)
    print(f"{name:8}  R2 {score:.3f}  median error {error:.1%} of the price")

display = ShapeFunctionsDisplay.from_estimator(pairs, X_train, max_features=4, max_surfaces=2)
display.figure_.set_size_inches(12, 6.5)
display.figure_.suptitle("Curves and pairwise interactions")
plt.show()
