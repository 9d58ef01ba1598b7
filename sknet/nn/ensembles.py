"""Layers whose rows hold the signals of several members, trained as one network.

The members of an ensemble share the large weight matrices and differ by cheap parameters of
their own: a scale for each input of a hidden layer, biases, and the output layer. This is
BatchEnsemble (Wen, Tran and Ba, 2020), as TabM uses it for tables (Gorishniy, Kotelnikov and
Babenko, 2025), with the scale on the input side only: one on the output side would be followed
by the next layer's. A row holds the members one after another, (members, columns) flattened.
"""

import math
from dataclasses import dataclass

import numpy as np

from sknet.nn.activations import Activation
from sknet.nn.initializers import INITIALIZERS
from sknet.nn.kernels import column_sums, matmul
from sknet.nn.layers import Layer, Parameter, activate, deactivate


@dataclass(frozen=True)
class EnsembleLayer(Layer):
    """A hidden layer of all members: a_m = f((x_m * r_m) W + b_m)."""

    n_units: int
    activation: Activation
    n_members: int

    def n_outputs(self, n_inputs):
        return self.n_members * self.n_units

    def _n_inputs(self, n_inputs):
        """Return the number of inputs of one member."""
        return n_inputs // self.n_members

    def parameters(self, n_inputs):
        n_inputs = self._n_inputs(n_inputs)
        return {
            "weight": Parameter((n_inputs, self.n_units), penalized=True),
            "scale": Parameter((self.n_members, n_inputs)),
            "bias": Parameter((self.n_members, self.n_units)),
        }

    def buffers(self, n_inputs):
        widths = {"a": self.n_outputs(n_inputs), "delta": n_inputs}
        if self.activation.needs_z:
            widths["z"] = widths["a"]
        return widths

    def initialize(self, params, rng, X):
        params.weight[...] = INITIALIZERS[self.activation.initializer](rng, params.weight.shape)
        bound = 1 / math.sqrt(params.weight.shape[0])
        params.bias[...] = rng.uniform(-bound, bound, params.bias.shape)
        params.scale.fill(1)


@dataclass(frozen=True)
class EnsembleInput(EnsembleLayer):
    """The first hidden layer, whose input the members share: x (r_m[:, None] * W) + b_m.

    The scales go to the weights, so that one product of x, which may be sparse, serves all
    members. They start as random signs, which is what makes the members differ.
    """

    def _n_inputs(self, n_inputs):
        return n_inputs

    def initialize(self, params, rng, X):
        super().initialize(params, rng, X)
        params.scale[...] = rng.choice([-1.0, 1.0], params.scale.shape)

    def matrix(self, params):
        """Return what the input is multiplied by: the members' weights side by side."""
        scaled = params.scale.T[:, :, np.newaxis] * params.weight[:, np.newaxis, :]
        return scaled.reshape(params.weight.shape[0], -1)

    def forward(self, params, x, buffers, rng=None):
        matmul(x, self.matrix(params), out=buffers.get("z", buffers["a"]))
        return activate(self.activation, params.bias.ravel(), buffers)

    def backward(self, params, grads, x, delta, buffers):
        deactivate(self.activation, delta, buffers)
        scaled = self.matrix(params)
        if grads is not None:
            column_sums(delta, out=grads.bias.reshape(-1))
            gradient = np.empty_like(scaled)
            matmul(x.T, delta, out=gradient)
            gradient = gradient.reshape(-1, self.n_members, self.n_units)
            np.einsum("imj,mi->ij", gradient, params.scale, out=grads.weight)
            np.einsum("imj,ij->mi", gradient, params.weight, out=grads.scale)
        if "delta" not in buffers:
            return None
        return matmul(delta, scaled.T, out=buffers["delta"])


@dataclass(frozen=True)
class EnsembleDense(EnsembleLayer):
    """A further hidden layer: one product of all members' rows with the shared weights."""

    def buffers(self, n_inputs):
        return {**super().buffers(n_inputs), "scaled": n_inputs}

    def forward(self, params, x, buffers, rng=None):
        np.multiply(x, params.scale.reshape(-1), out=buffers["scaled"])
        z = buffers.get("z", buffers["a"])
        n_rows = x.shape[0] * self.n_members
        rows = buffers["scaled"].reshape(n_rows, -1)
        matmul(rows, params.weight, out=z.reshape(n_rows, -1))
        return activate(self.activation, params.bias.reshape(-1), buffers)

    def backward(self, params, grads, x, delta, buffers):
        deactivate(self.activation, delta, buffers)
        n_rows = x.shape[0] * self.n_members
        rows = delta.reshape(n_rows, -1)
        # The first hidden layer of an ensemble comes before, so the inputs' gradient is wanted.
        inputs = buffers["delta"]
        matmul(rows, params.weight.T, out=inputs.reshape(n_rows, -1))
        if grads is not None:
            column_sums(delta, out=grads.bias.reshape(-1))
            matmul(buffers["scaled"].reshape(n_rows, -1).T, rows, out=grads.weight)
            np.einsum("ni,ni->i", inputs, x, out=grads.scale.reshape(-1))
        inputs *= params.scale.reshape(-1)
        return inputs


@dataclass(frozen=True)
class EnsembleHead(Layer):
    """The linear output layers of all members, each with weights of its own."""

    n_units: int
    n_members: int

    def n_outputs(self, n_inputs):
        return self.n_members * self.n_units

    def parameters(self, n_inputs):
        shape = self.n_members, n_inputs // self.n_members, self.n_units
        return {
            "weight": Parameter(shape, penalized=True),
            "bias": Parameter((self.n_members, self.n_units)),
        }

    def buffers(self, n_inputs):
        return {"out": self.n_members * self.n_units, "delta": n_inputs}

    def initialize(self, params, rng, X):
        n_inputs = params.weight.shape[1]
        draw = INITIALIZERS["glorot_uniform"]
        for weight in params.weight:
            weight[...] = draw(rng, weight.shape)
        bound = 1 / math.sqrt(n_inputs)
        params.bias[...] = rng.uniform(-bound, bound, params.bias.shape)

    def forward(self, params, x, buffers, rng=None):
        out = buffers["out"]
        np.matmul(self._members(x), params.weight, out=self._members(out))
        out += params.bias.reshape(-1)
        return out

    def backward(self, params, grads, x, delta, buffers):
        by_member = self._members(delta)
        if grads is not None:
            column_sums(delta, out=grads.bias.reshape(-1))
            np.matmul(self._members(x).transpose(0, 2, 1), by_member, out=grads.weight)
        inputs = buffers["delta"]
        np.matmul(by_member, params.weight.transpose(0, 2, 1), out=self._members(inputs))
        return inputs

    def _members(self, x):
        """Return the view (members, rows, columns)."""
        return x.reshape(x.shape[0], self.n_members, -1).transpose(1, 0, 2)


def by_member(raw, n_members):
    """Return raw predictions as an array (rows, members, columns)."""
    return raw.reshape(raw.shape[0], n_members, -1)


def mean_of_members(raw, n_members, loss):
    """Return the raw predictions that stand for the mean of the members' predictions."""
    if n_members == 1:
        return raw
    return loss.link(loss.inverse_link(by_member(raw, n_members)).mean(axis=1))


def over_members(members, with_std):
    """Return the mean over the members, and the standard deviation if asked for; a tuple."""
    mean = members[:, 0] if members.shape[1] == 1 else members.mean(axis=1)
    return (mean, members.std(axis=1)) if with_std else (mean,)
