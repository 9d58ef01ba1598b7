"""
Uncertainty of predictions by an ensemble
=========================================

The members of an ensemble agree where there are training rows, and disagree where there are
none. ``predict(X, return_std=True)`` returns the mean and the standard deviation of the
members' predictions. Here 32 members predict the blood pressure of patients from their age.
They are trained on the patients from 35 to 65.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from sknet import NNRegressor

patients = load_diabetes(as_frame=True, scaled=False).data
inside = patients["age"].between(35, 65)
known, left_out = patients[inside], patients[~inside]

ensemble = NNRegressor(n_members=32, random_state=0)
ensemble.fit(known[["age"]], known["bp"])

# %%
# The standard deviation says how well the curve of the mean is known. It does not say how far a
# single patient may be from the curve: see the example on quantile regression for that.

age = np.linspace(10, 100, 200)
mean, std = ensemble.predict(pd.DataFrame({"age": age}), return_std=True)
figure, (above, below) = plt.subplots(
    2, 1, figsize=(8, 6), height_ratios=[2, 1], sharex=True, layout="constrained"
)
above.scatter(known["age"], known["bp"], s=10, color="black", label="training rows")
above.scatter(
    left_out["age"], left_out["bp"], s=10, color="tab:gray", alpha=0.4, label="left out"
)
above.plot(age, mean, color="tab:blue", label="mean of the members")
above.fill_between(age, mean - 2 * std, mean + 2 * std, color="tab:blue", alpha=0.25)
above.set(ylabel="blood pressure", title="Mean and two standard deviations")
above.legend()
below.plot(age, std, color="tab:blue")
below.axvspan(35, 65, color="0.9")
below.set(xlabel="age", ylabel="standard deviation", ylim=(0, None))
plt.show()
