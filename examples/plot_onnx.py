"""
Predict without Python: ONNX
============================

A fitted network becomes a graph of standard operators, which a small runtime computes, be it in
a server, a browser or a phone. The graph takes the raw table: scaling is part of it. Here it is
held against ``predict`` on data that scikit-learn brings along, in what it answers and in how
long that takes.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_diabetes

from sknet import NNRegressor
from sknet.export import onnx_inputs, to_onnx

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
network = NNRegressor(
    (64, 64),
    "silu",
    n_members=4,
    numeric_embedding="periodic",
    learning_rate="cosine",
    learning_rate_init=0.003,
    max_iter=30,
    early_stopping=False,
    dropout=0.0,
    ema_decay=None,
    alpha=0.01,
    random_state=0,
).fit(X, y)

# %%
# The frame has ten columns, and so the model has ten inputs of those names. ``onnx_inputs``
# brings rows into that form; any other language builds ten small arrays.

model = to_onnx(network, X)
session = onnxruntime.InferenceSession(model.SerializeToString())
(answers,) = session.run(None, onnx_inputs(session, X))
expected = network.predict(X)
difference = np.abs(answers[:, 0] - expected) / expected.std()
print(f"inputs:  {[one.name for one in session.get_inputs()]}")
print(f"file:    {len(model.SerializeToString()) / 1024:.0f} KiB")
print(f"largest difference: {difference.max():.1e} of the predictions' spread")

# %%
# For single rows the runtime is far ahead: it has no Python in its way. For many rows both
# spend their time on the same arithmetic.


def milliseconds(call, n_times=15):
    """Return the median time of a call."""
    times = []
    for _ in range(n_times):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return 1000 * np.median(times)


n_rows = [1, 10, 100, 1000, 10_000]
by_sknet, by_onnx = [], []
for n in n_rows:
    rows = X.sample(n, replace=True, random_state=0)
    inputs = onnx_inputs(session, rows)
    by_sknet.append(milliseconds(lambda rows=rows: network.predict(rows)))
    by_onnx.append(milliseconds(lambda inputs=inputs: session.run(None, inputs)))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(expected, answers[:, 0], ".", markersize=4)
left.axline((150, 150), slope=1, color="grey", linewidth=0.8)
left.set(
    title=f"same answers: apart by {difference.max():.0e} of the spread",
    xlabel="predict",
    ylabel="onnxruntime",
)
right.loglog(n_rows, by_sknet, "o-", label="predict")
right.loglog(n_rows, by_onnx, "s-", label="onnxruntime")
right.set(title="time of one call", xlabel="rows", ylabel="milliseconds")
right.legend()
plt.show()
