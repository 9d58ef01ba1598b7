"""
Uncertainty of predictions from an ensemble
===========================================

The picture shows two bands around the predicted blood pressure of patients, by age. On the left
is the spread of the members of an ensemble, on the right the standard deviation of y that
``loss="normal"`` estimates. Only the band on the right is a prediction interval.

A prediction is uncertain for two reasons. Patients of the same age differ in their blood
pressure, and there are too few patients to know the curve of the mean. The members of an
ensemble show only the second reason: they agree where there are training rows, and disagree
where there are none. With ``loss="normal"``, each member also estimates how much y varies, and
``predict(X, return_std=True)`` returns the standard deviation of y that results from both.

The ensembles have 16 members. They are trained on half of the patients aged 35 to 65.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sknet import NNRegressor

patients = load_diabetes(as_frame=True, scaled=False).data[["age", "bp"]]
inside = patients["age"].between(35, 65)
known, tested = train_test_split(patients[inside], test_size=0.5, random_state=0)
left_out = patients[~inside]

networks = {
    "spread of the members": NNRegressor(n_members=16, random_state=0),
    'standard deviation of y, loss="normal"': NNRegressor(
        loss="normal", n_members=16, random_state=0
    ),
}


def band(network, X):
    """Return the mean, and the limits of the central 90 % of a normal distribution."""
    mean, std = network.predict(X, return_std=True)
    return mean, *stats.norm.interval(0.9, mean, std)


coverage = {}
for name, network in networks.items():
    network.fit(known[["age"]], known["bp"])
    _, low, high = band(network, tested[["age"]])
    coverage[name] = np.mean((low <= tested["bp"]) & (tested["bp"] <= high))
    print(f"{name}: {100 * coverage[name]:.0f} % of the test patients are in the 90 % band")

# %%
# Which band to use
# -----------------
# Few patients are in the band on the left, although it is drawn for 90 % of a normal
# distribution. It shows how well the curve of the mean is known, and is wider where the
# members had no training rows. For a prediction interval, use ``loss="normal"`` or quantiles,
# and measure how many held-out rows the interval covers. Do not rely on any band far from the
# training rows.

age = np.linspace(10, 100, 200)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), sharey=True, layout="constrained")
for axis, (name, network) in zip(axes, networks.items(), strict=True):
    mean, low, high = band(network, pd.DataFrame({"age": age}))
    axis.axvspan(35, 65, color="0.93", label="ages of the training rows")
    axis.fill_between(age, low, high, color="tab:blue", alpha=0.3, label="90 % band")
    axis.plot(age, mean, color="tab:blue", label="mean of the members")
    for rows, color, label in [
        (tested, "black", "test rows"),
        (left_out, "tab:red", "other ages"),
    ]:
        axis.scatter(rows["age"], rows["bp"], s=8, color=color, label=label)
    covered = f"{100 * coverage[name]:.0f} % of the test rows covered"
    axis.set(xlabel="age", title=f"{name}:\n{covered}")
axes[0].set(ylabel="blood pressure")
axes[0].legend(loc="upper left", fontsize="small")
plt.show()
