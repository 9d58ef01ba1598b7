"""
Export to ONNX and predict without Python
=========================================

The picture shows that an exported network makes the same predictions as ``predict``, and how
long both take. ``to_onnx`` writes a fitted network as a graph of standard operators. ONNX
runtimes on servers, in browsers and on phones can run it. The graph takes the raw table: the
encoding and scaling of the inputs are part of it.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_diabetes

from sknet import NNRegressor
from sknet.export import onnx_inputs, to_onnx

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
network = NNRegressor(random_state=0).fit(X, y)

# %%
# Export, and compare
# -------------------
# The ONNX model has one input for each of the ten columns of the frame, with the column's name.
# ``onnx_inputs`` converts rows to that form. Programs in other languages pass ten small arrays.

model = to_onnx(network, X)
session = onnxruntime.InferenceSession(model.SerializeToString())
(answers,) = session.run(None, onnx_inputs(session, X))
expected = network.predict(X)
difference = np.abs(answers[:, 0] - expected) / expected.std()
print(f"inputs:  {[one.name for one in session.get_inputs()]}")
print(f"file:    {len(model.SerializeToString()) / 1024:.0f} KiB")
print(f"largest difference: {difference.max():.1e} standard deviations of the predictions")

# %%
# Time of a prediction
# --------------------
# For few rows, the runtime is faster than ``predict``, which checks and encodes the frame in
# Python. Python programs also need ``onnx_inputs``, whose time is drawn separately. For many
# rows, arithmetic takes most of the time.


def milliseconds(call, n_times=15):
    """Return the median time of a call."""
    times = []
    for _ in range(n_times):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return 1000 * np.median(times)


n_rows = [1, 10, 100, 1000, 10_000]
by_sknet, by_onnx, of_inputs = [], [], []
for n in n_rows:
    rows = X.sample(n, replace=True, random_state=0)
    inputs = onnx_inputs(session, rows)
    by_sknet.append(milliseconds(lambda rows=rows: network.predict(rows)))
    by_onnx.append(milliseconds(lambda inputs=inputs: session.run(None, inputs)))
    of_inputs.append(milliseconds(lambda rows=rows: onnx_inputs(session, rows)))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(expected, answers[:, 0], ".", markersize=4)
left.axline((150, 150), slope=1, color="gray", linewidth=0.8)
left.set(
    title=f"Equal up to {difference.max():.0e} standard deviations",
    xlabel="predict",
    ylabel="onnxruntime",
)
right.loglog(n_rows, by_sknet, "o-", label="predict")
right.loglog(n_rows, by_onnx, "s-", label="onnxruntime")
right.loglog(n_rows, of_inputs, "^-", label="onnx_inputs")
right.set(title="Time of one call", xlabel="rows", ylabel="milliseconds")
right.legend()
plt.show()
