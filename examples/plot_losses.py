"""
Loss functions for regression
=============================

The picture shows what an error costs with four loss functions: the squared error, the Huber
loss, the absolute error and the quantile loss. Beside it are the predictions of networks with
these losses for the same patients. The target, a blood measurement, has a long upper tail.

The loss function decides what a prediction means: a mean, a mean that outliers hardly move, a
median or a high quantile.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknet import NNRegressor
from sknet.nn.losses import AbsoluteError, Huber, Pinball, SquaredError

# %%
# The loss classes compute the costs. A raw prediction of e for y = 0 has the error e.

error = np.linspace(-3, 3, 301)[:, np.newaxis]
losses = {
    "squared_error": SquaredError(),
    "huber": Huber(),
    "absolute_error": AbsoluteError(),
    "quantile 0.9": Pinball(0.9),
}
costs = {
    name: loss.pointwise(np.zeros_like(error), error, np.empty_like(error))
    for name, loss in losses.items()
}

# %%
# The column s5 of the diabetes table is the logarithm of a blood measurement, possibly of
# triglycerides:

patients = load_diabetes(as_frame=True, scaled=False).data
bmi, level = patients[["bmi"]].to_numpy(), np.exp(patients["s5"].to_numpy())
grid = np.linspace(18, 42, 200)[:, np.newaxis]
curves = {}
for name, options in {
    "squared_error": {"loss": "squared_error"},
    "huber": {"loss": "huber"},
    "absolute_error": {"loss": "absolute_error"},
    "quantile 0.9": {"loss": "quantile", "quantile": 0.9},
}.items():
    network = NNRegressor(**options, random_state=0).fit(bmi, level)
    curves[name] = network.predict(grid)
    print(f"{name:14} at a body mass index of 30: {network.predict([[30.0]])[0]:.0f}")

# %%
# Mean, median and quantile
# -------------------------
# The long tail lifts the mean above the median in most places. About 90 % of the patients are
# below the 0.9 quantile.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
right.scatter(bmi[:, 0], level, s=6, color="lightgray")
for name in losses:
    left.plot(error[:, 0], costs[name], label=name)
    right.plot(grid[:, 0], curves[name], label=name)
left.set(xlabel="prediction - y", ylabel="loss", ylim=(0, 4), title="Cost of an error")
right.set(
    xlabel="body mass index",
    ylabel="triglycerides (mg/dl)",
    ylim=(20, 400),
    title="Predictions",
)
left.legend()
right.legend()
plt.show()
