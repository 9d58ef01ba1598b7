"""
Prediction intervals with quantile regression
=============================================

The picture shows prediction intervals for 442 patients. The network expects 80 % of the
patients to be within their interval. With ``loss="quantile"`` and a list of levels, one network
predicts several quantiles. They never cross, and two of them bound an interval.

The network predicts the progression of diabetes from ten measurements that were taken one year
earlier.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, cross_val_predict

from sknet import NNRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

network = NNRegressor(loss="quantile", quantile=[0.1, 0.5, 0.9], random_state=0)
folds = KFold(10, shuffle=True, random_state=0)
low, middle, high = cross_val_predict(network, X, y, cv=folds).T
inside = (low <= y) & (y <= high)
print(f"{100 * inside.mean():.0f} % of the patients are within their 80 % interval")

# %%
# Coverage of the intervals
# -------------------------
# The prediction for each patient comes from a network that was trained on the other folds. The
# patients are sorted by predicted median. An interval is wider where the progression is less
# certain, and it need not be symmetric.

order = np.argsort(middle)
place = np.arange(len(y))
figure, axis = plt.subplots(figsize=(8, 5), layout="constrained")
axis.fill_between(
    place,
    low[order],
    high[order],
    color="tab:blue",
    alpha=0.25,
    label="10 % to 90 %",
    linewidth=0,
)
axis.plot(place, middle[order], color="tab:blue", label="median")
for hit, color, label in [(True, "black", "within"), (False, "tab:red", "outside")]:
    rows = (inside == hit).to_numpy()[order]
    axis.scatter(place[rows], y.to_numpy()[order][rows], s=8, color=color, label=label)
axis.set(
    xlabel="patients, by predicted median",
    ylabel="disease progression",
    xlim=(0, len(y)),
    title=f"{100 * inside.mean():.0f} % of the patients are within their 80 % interval",
)
axis.legend(loc="upper left")
plt.show()
