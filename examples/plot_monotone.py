"""
Monotonic constraints
=====================

The picture shows how the predicted progression of diabetes changes with a patient's blood
pressure, for 37 patients. The network on the left has no constraints. The one on the right has
``monotonic_cst``, which guarantees that no line falls.

A higher blood pressure and a higher body mass index are known to make the disease worse. A
network that learns from 442 patients also learns the noise of the data. For some patients, it
may predict a better course at a higher value of one of the two. The constraints rule that out,
and leave all other columns free.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score

from sknet import NNRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
constraints = {"bmi": 1, "bp": 1}
networks = {
    "free": NNRegressor(random_state=3),
    "monotone in bmi and bp": NNRegressor(monotonic_cst=constraints, random_state=3),
}
for name, network in networks.items():
    scores = cross_val_score(network, X, y, cv=5)
    print(f"{name}: R2 is {scores.mean():.2f}")
    network.fit(X, y)

# %%
# Predictions that only rise
# --------------------------
# Each line is one patient, whose blood pressure changes while all other columns stay the same.
# Without constraints, some lines fall a little (red). With them, no line falls anywhere.

pressure = np.linspace(X["bp"].min(), X["bp"].max(), 100)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for axis, (name, network) in zip(axes, networks.items(), strict=True):
    falls = 0
    for _, patient in X.iloc[::12].iterrows():
        rows = X.iloc[[0] * len(pressure)].assign(**patient).assign(bp=pressure)
        line = network.predict(rows)
        falling = np.diff(line, prepend=-np.inf) < 0
        falls += bool(falling.any())
        axis.plot(pressure, line, color="tab:blue", alpha=0.4, linewidth=1)
        axis.plot(pressure, np.where(falling, line, np.nan), color="tab:red", linewidth=2)
    axis.set(
        xlabel="blood pressure", title=f"{name}: {falls} of {len(X.iloc[::12])} lines fall"
    )
axes[0].set_ylabel("predicted progression")
plt.show()
