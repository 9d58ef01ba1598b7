"""A custom embedding of numeric columns."""

from dataclasses import dataclass

import numpy as np

from sknet import NNRegressor
from sknet.nn.embeddings import NumericEmbedding


@dataclass(frozen=True)
class SignedLog(NumericEmbedding):
    """Each number x becomes x and sign(x) log(1 + |x|), whose derivative is 1 / (1 + |x|)."""

    def output_counts(self, n_inputs):
        """Return the number of outputs of each column."""
        return [2] * n_inputs

    def buffers(self, n_inputs):
        """Declare work arrays: for the outputs, and for the gradient of the inputs."""
        return {"out": 2 * n_inputs, "delta": n_inputs}

    def forward(self, params, x, buffers, rng=None):
        """Return the outputs. The two outputs of a number lie side by side."""
        out = buffers["out"].reshape(*x.shape, 2)
        out[:, :, 0] = x
        np.multiply(np.sign(x), np.log1p(np.abs(x)), out=out[:, :, 1])
        return buffers["out"]

    def backward_inputs(self, params, x, delta, buffers):
        """Return the gradient of the inputs."""
        delta = delta.reshape(*x.shape, 2)
        inputs = np.divide(delta[:, :, 1], 1 + np.abs(x), out=buffers["delta"])
        inputs += delta[:, :, 0]
        return inputs


X = np.random.default_rng(0).normal(size=(200, 3))
y = np.abs(X[:, 0])
network = NNRegressor(numeric_embedding=SignedLog(), random_state=0).fit(X, y)
print(f"R2: {network.score(X, y):.2f}")
