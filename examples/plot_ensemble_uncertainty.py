"""
Where an ensemble is unsure
===========================

Thirty-two networks, trained as one, agree where there are rows, and part where there are none.
``predict(X, return_std=True)`` gives their mean and their spread. The rows are patients: their
blood pressure, given their age. Only those from 35 to 65 are trained on.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from sknet import NNRegressor

patients = load_diabetes(as_frame=True, scaled=False).data
inside = patients["age"].between(35, 65)
known, left_out = patients[inside], patients[~inside]

ensemble = NNRegressor(
    (32, 32),
    "relu",
    n_members=32,
    learning_rate="cosine",
    learning_rate_init=0.01,
    batch_size=32,
    max_iter=100,
    early_stopping=False,
    numeric_embedding="periodic",
    dropout=0.0,
    ema_decay=None,
    random_state=0,
)
ensemble.fit(known[["age"]], known["bp"])

# %%
# The spread is of the members' means, not of the patients: it says how well the curve is known,
# not how far a patient may be from it. For that see the quantile bands.

age = np.linspace(10, 100, 200)
mean, std = ensemble.predict(pd.DataFrame({"age": age}), return_std=True)
figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
axis.scatter(known["age"], known["bp"], s=10, color="black", label="trained on")
axis.scatter(
    left_out["age"], left_out["bp"], s=10, color="tab:gray", alpha=0.4, label="left out"
)
axis.plot(age, mean, color="tab:blue", label="mean of the members")
axis.fill_between(age, mean - 2 * std, mean + 2 * std, color="tab:blue", alpha=0.25)
axis.set(xlabel="age", ylabel="blood pressure", ylim=(50, 150), title="Two standard deviations")
axis.legend()
plt.show()
