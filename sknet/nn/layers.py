"""Layers: what they own, compute forward, and propagate backward.

To add one: a frozen dataclass derived from :class:`Layer`, and a line in :data:`LAYERS`.
"""

import math
from dataclasses import dataclass

import numpy as np

from sknet.nn.activations import Activation
from sknet.nn.initializers import INITIALIZERS
from sknet.nn.kernels import column_sums, matmul, row_blocks


@dataclass(frozen=True)
class Parameter:
    """What a layer says of one of its parameters.

    ``penalized`` says whether the penalty applies to it, ``lr_scale`` is its factor of the
    learning rate.
    """

    shape: tuple[int, ...]
    penalized: bool = False
    lr_scale: float = 1.0


class Layer:
    """A differentiable map of rows, without state: arrays come as arguments.

    ``params`` and ``grads`` have an attribute for each name in ``parameters``; ``buffers``
    maps each name in ``buffers`` to an array with as many rows as the batch. The buffer
    named "delta" is for the gradient of the inputs, and absent where nobody needs that.
    """

    def n_outputs(self, n_inputs):
        """Return the number of output columns."""
        return n_inputs

    def parameters(self, n_inputs):
        """Return a :class:`Parameter` for each name."""
        return {}

    def buffers(self, n_inputs):
        """Return the number of columns of each work array, by name."""
        return {}

    def initialize(self, params, rng, X):
        """Fill ``params``; ``X`` are some rows of the layer's input, or None."""

    def forward(self, params, x, buffers, rng=None):
        """Return the outputs; ``rng`` is given only in training."""
        raise NotImplementedError

    def backward(self, params, grads, x, delta, buffers):
        """Fill ``grads`` given the gradient ``delta`` of the outputs, which may be overwritten.

        ``grads`` is None where only the gradient of the inputs is wanted. Return that one, or
        None where no "delta" buffer is given.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Dense(Layer):
    """a = f(x W + b).

    With delta = dJ/da * f'(z) elementwise: dJ/dW = x' delta, dJ/db = column sums of delta,
    dJ/dx = delta W'. ``x`` is dense or CSR.
    """

    n_units: int
    activation: Activation

    def n_outputs(self, n_inputs):
        return self.n_units

    def parameters(self, n_inputs):
        return {
            "weight": Parameter((n_inputs, self.n_units), penalized=True),
            "bias": Parameter((self.n_units,)),
        }

    def buffers(self, n_inputs):
        widths = {"a": self.n_units, "delta": n_inputs}
        return {**widths, "z": self.n_units} if self.activation.needs_z else widths

    def initialize(self, params, rng, X):
        n_inputs = params.weight.shape[0]
        params.weight[...] = INITIALIZERS[self.activation.initializer](rng, params.weight.shape)
        # Small random biases: with zeros, the kinks of all ReLUs meet in the origin.
        bound = 1 / math.sqrt(n_inputs)
        params.bias[...] = rng.uniform(-bound, bound, self.n_units)

    def matrix(self, params):
        """Return what the input is multiplied by."""
        return params.weight

    def forward(self, params, x, buffers, rng=None):
        matmul(x, params.weight, out=buffers.get("z", buffers["a"]))
        return activate(self.activation, params.bias, buffers)

    def backward(self, params, grads, x, delta, buffers):
        deactivate(self.activation, delta, buffers)
        if grads is not None:
            matmul(x.T, delta, out=grads.weight)
            column_sums(delta, out=grads.bias)
        if "delta" not in buffers:
            return None
        return matmul(delta, params.weight.T, out=buffers["delta"])


@dataclass(frozen=True)
class Activated(Layer):
    """a = f(z): a hidden layer whose product has been computed.

    It overwrites its input, so it can only be the first layer, of rows that nobody else needs.
    """

    activation: Activation

    def buffers(self, n_inputs):
        return {"a": n_inputs} if self.activation.needs_z else {}

    def forward(self, params, x, buffers, rng=None):
        a = buffers.get("a", x)
        for z_block, a_block in row_blocks(x, a):
            self.activation.forward(z_block, a_block)
        return a

    def backward(self, params, grads, x, delta, buffers):
        for z_block, a_block, delta_block in row_blocks(x, buffers.get("a", x), delta):
            self.activation.backward(z_block, a_block, delta_block)
        return delta


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, zero each input with probability ``rate`` and divide the others by 1 - rate.

    Srivastava et al. (2014), in the inverted form that leaves prediction untouched. The rate
    is a multiple of 1 / 65 536: sixteen random bits decide of an input.
    """

    rate: float

    def buffers(self, n_inputs):
        return {"out": n_inputs, "mask": n_inputs}

    def forward(self, params, x, buffers, rng=None):
        mask = buffers["mask"]
        if rng is None:
            mask.fill(1)
            return x
        # Several times faster than a random float for each.
        bits = rng.bit_generator.random_raw(-(-mask.size // 4)).view(np.uint16)
        threshold = min(round(self.rate * 2**16), 2**16 - 1)
        kept = bits[: mask.size].reshape(mask.shape) >= threshold
        np.multiply(kept, mask.dtype.type(2**16 / (2**16 - threshold)), out=mask)
        return np.multiply(x, mask, out=buffers["out"])

    def backward(self, params, grads, x, delta, buffers):
        delta *= buffers["mask"]
        return delta


@dataclass(frozen=True)
class LayerNorm(Layer):
    """a = f(gain u + bias), with u a row's inputs at mean zero and variance one.

    Ba, Kiros and Hinton (2016), equation 4. With ``n_groups`` > 1 a row consists of as many
    stretches, the members of an ensemble, each normalised by itself.
    """

    activation: Activation
    n_groups: int = 1
    epsilon: float = 1e-5

    def parameters(self, n_inputs):
        return {"gain": Parameter((n_inputs,)), "bias": Parameter((n_inputs,))}

    def buffers(self, n_inputs):
        widths = {"u": n_inputs, "deviation": self.n_groups, "a": n_inputs}
        return {**widths, "z": n_inputs} if self.activation.needs_z else widths

    def initialize(self, params, rng, X):
        params.gain.fill(1)
        params.bias.fill(0)

    def forward(self, params, x, buffers, rng=None):
        z = buffers.get("z", buffers["a"])
        u, deviation = self._grouped(buffers["u"]), buffers["deviation"]
        np.subtract(self._grouped(x), self._grouped(x).mean(axis=2, keepdims=True), out=u)
        np.einsum("ngi,ngi->ng", u, u, out=deviation)
        deviation *= 1 / u.shape[2]
        deviation += self.epsilon
        np.sqrt(deviation, out=deviation)
        u /= deviation[:, :, np.newaxis]
        np.multiply(buffers["u"], params.gain, out=z)
        return activate(self.activation, params.bias, buffers)

    def backward(self, params, grads, x, delta, buffers):
        deactivate(self.activation, delta, buffers)
        if grads is not None:
            np.einsum("ni,ni->i", delta, buffers["u"], out=grads.gain)
            column_sums(delta, out=grads.bias)
        delta *= params.gain
        # The derivative of u takes out the parts along 1 and along u.
        u, d = self._grouped(buffers["u"]), self._grouped(delta)
        along_u = np.einsum("ngi,ngi->ng", d, u)[:, :, np.newaxis] * (1 / u.shape[2])
        d -= d.mean(axis=2, keepdims=True)
        d -= u * along_u
        d /= buffers["deviation"][:, :, np.newaxis]
        return delta

    def _grouped(self, x):
        return x.reshape(x.shape[0], self.n_groups, -1)


def activate(activation, bias, buffers):
    """Return the activation of z + bias, block by block; z is the buffer "z", or else "a"."""
    a = buffers["a"]
    for z_block, a_block in row_blocks(buffers.get("z", a), a):
        z_block += bias
        activation.forward(z_block, a_block)
    return a


def deactivate(activation, delta, buffers):
    """Multiply ``delta`` by the derivative of the activation, block by block."""
    a = buffers["a"]
    for z_block, a_block, delta_block in row_blocks(buffers.get("z", a), a, delta):
        activation.backward(z_block, a_block, delta_block)


#: Layers by name.
LAYERS = {"dense": Dense, "dropout": Dropout, "layer_norm": LayerNorm}
