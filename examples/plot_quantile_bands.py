"""
Quantile bands
==============

A single number hides how uncertain it is. With ``loss="quantile"`` and a list of levels, one
network predicts several quantiles at once, and they never cross. Here it is the course of
diabetes a year after ten measurements, of 442 patients.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, cross_val_predict

from sknet import NNRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

network = NNRegressor(
    (16,),
    loss="quantile",
    quantile=[0.1, 0.5, 0.9],
    alpha=0.02,
    learning_rate="cosine",
    learning_rate_init=0.01,
    batch_size=32,
    max_iter=60,
    early_stopping=False,
    n_members=8,
    numeric_embedding=None,
    dropout=0.0,
    random_state=0,
)
folds = KFold(10, shuffle=True, random_state=0)
low, middle, high = cross_val_predict(network, X, y, cv=folds).T
inside = (low <= y) & (y <= high)
print(f"{inside.mean():.0%} of the patients are within their band of 80 %")

# %%
# Patients in the order of their median. The band is wider where the course is less certain, and
# it is not symmetric.

order = np.argsort(middle)
place = np.arange(len(y))
figure, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
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
for hit, colour, label in [(True, "black", "within"), (False, "tab:red", "outside")]:
    rows = (inside == hit).to_numpy()[order]
    axis.scatter(place[rows], y.to_numpy()[order][rows], s=8, color=colour, label=label)
axis.set(
    xlabel="patients, by predicted median",
    ylabel="disease progression",
    xlim=(0, len(y)),
    title=f"{inside.mean():.0%} within a band of 80 %, all predicted out of fold",
)
axis.legend(loc="upper left")
plt.show()
