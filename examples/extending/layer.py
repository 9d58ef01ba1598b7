"""A custom layer, in a network that is built by hand."""

from dataclasses import dataclass

import numpy as np

from sknet.data.batches import Batches, Dataset
from sknet.nn.activations import Identity, ReLU
from sknet.nn.epochs import UpdateRule
from sknet.nn.layers import Dense, Layer, Parameter
from sknet.nn.losses import SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Objective
from sknet.nn.optimizers import Adam
from sknet.nn.schedules import Cosine
from sknet.nn.sets import ElasticNet
from sknet.nn.state import Stopping, TrainingState
from sknet.nn.training import train


@dataclass(frozen=True)
class Gate(Layer):
    """a = g x, with one learned factor g for each column.

    dJ/dg = the sum of delta x over the rows, dJ/dx = delta g.
    """

    def parameters(self, n_inputs):
        """Declare the factors, to which the penalty of the objective applies."""
        return {"factor": Parameter((n_inputs,), penalized=True)}

    def buffers(self, n_inputs):
        """Declare work arrays: for the outputs, and for the gradient of the inputs."""
        return {"out": n_inputs, "delta": n_inputs}

    def initialize(self, params, rng):
        """Begin with all gates open."""
        params.factor.fill(1)

    def forward(self, params, x, buffers, rng=None):
        """Return the outputs."""
        return np.multiply(x, params.factor, out=buffers["out"])

    def backward_params(self, params, grads, x, delta, buffers):
        """Write the gradient of the factors."""
        np.einsum("ij,ij->j", delta, x, out=grads.factor)

    def backward_inputs(self, params, x, delta, buffers):
        """Return the gradient of the inputs."""
        return np.multiply(delta, params.factor, out=buffers["delta"])


rng = np.random.default_rng(0)
X = rng.normal(size=(400, 8))
y = np.abs(X[:, :1]) + X[:, 1:2]  # only two of the eight columns matter

network = Network((Gate(), Dense(32, ReLU()), Dense(1, Identity())), n_inputs=8)
# Almost all of the penalty is L1, which closes gates.
objective = Objective(network, SquaredError(), ElasticNet(alpha=0.005, l1_ratio=0.99))
params = network.init(rng)
optimizer = Adam()
train(
    objective,
    params,
    Batches(Dataset(X, y), batch_size=50, encode=None, rng=rng),
    UpdateRule(optimizer, Cosine(), learning_rate_init=0.01),
    Stopping(max_iter=200, tol=0.0, n_iter_no_change=np.inf),
    TrainingState.start(optimizer, params, rng),
)
prediction = network.forward(params, X, Workspace(network, len(X), params.dtype))
gates = network.views(params)[0].factor
print(f"R2: {1 - np.var(y - prediction) / np.var(y):.2f}")
print(f"gates: {np.round(gates, 2)}")
