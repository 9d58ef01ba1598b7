"""Layers whose rows hold the signals of several members, trained as one network.

The members of an ensemble share the large weight matrices and differ in small parameters of
their own: a scale for each input of a hidden layer, biases, and the output layer. This is
BatchEnsemble (Wen, Tran and Ba, 2020), as TabM uses it for tables (Gorishniy, Kotelnikov and
Babenko, 2025), with one change. Only the inputs of a layer have a scale. Its outputs need none,
since they are the inputs of the next layer, which scales them. A row holds the members one
after another: an array (members, columns), flattened.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from sknet.nn.activations import Activation, Draws, Identity, small_uniform
from sknet.nn.kernels import Array, Rows, Views, column_sums, matmul
from sknet.nn.layers import (
    ActivationLayer,
    Affine,
    Blocks,
    Buffers,
    Layer,
    Parameter,
    WorkArrays,
)
from sknet.nn.sets import ParameterSet


@dataclass(frozen=True)
class EnsembleLayer(ActivationLayer):
    """A hidden layer of all members: a_m = f((x_m * r_m) W + b_m).

    The matrix W is shared. Each member has a scale r_m of the inputs and a bias b_m.

    Parameters
    ----------
    n_units : int >= 1
        The number of outputs of one member.
    activation : Activation
    n_members : int >= 1
    within : ParameterSet or None, default=None
        The set that the shared matrix stays in. The scales are constrained, too, so that each
        member's matrix stays in the set. None means no constraint.
    """

    words: ClassVar[str] = "dense by member"

    n_units: int
    activation: Activation
    n_members: int
    within: ParameterSet | None = None

    def n_outputs(self, n_inputs: int) -> int:
        return self.n_members * self.n_units

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        scales = None if self.within is None else self.within.scales
        weight = Parameter((n_inputs, self.n_units), penalized=True, within=self.within)
        scale = Parameter((self.n_members, n_inputs), within=scales)
        bias = Parameter((self.n_members, self.n_units))
        return {"weight": weight, "scale": scale, "bias": bias}

    def initialize(self, params: Views, rng: Generator) -> None:
        params.weight[...] = self.activation.draw_weights(rng, params.weight.shape)
        params.bias[...] = small_uniform(rng, params.bias.shape, len(params.weight))
        params.scale.fill(1)


@dataclass(frozen=True)
class EnsembleInput(EnsembleLayer):
    """The first hidden layer; the members share its input: a_m = f(x (r_m[:, None] * W) + b_m).

    The scales multiply the weights, so one product with x, which may be sparse, serves all
    members. The scales start as random signs, so that the members differ.
    """

    def buffers(self, n_inputs: int) -> WorkArrays:
        def matrices(n_rows: int, dtype: DTypeLike) -> Array:
            """Return an array for the members' matrices, side by side."""
            return np.empty((n_inputs, self.n_members, self.n_units), dtype)

        z_and_a = self.z_and_a(self.n_outputs(n_inputs))
        return {**z_and_a, "matrix": matrices, "matrix_gradient": matrices, "delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        super().initialize(params, rng)
        params.scale[...] = rng.choice([-1.0, 1.0], params.scale.shape)

    def matrix(self, params: Views, out: Array | None = None) -> Array:
        """Return the members' matrices, side by side, which multiply the input."""
        scale, weight = params.scale.T[:, :, np.newaxis], params.weight[:, np.newaxis, :]
        return np.multiply(scale, weight, out=out).reshape(params.weight.shape[0], -1)

    def affine(self, params: Views, n_inputs: int, dtype: DTypeLike) -> Affine:
        return Affine(self.matrix(params), params.bias.reshape(-1), self.activation)

    def forward(self, params: Views, x: Rows, buffers: Buffers, rng: Draws = None) -> Array:
        matmul(x, self.matrix(params, out=buffers["matrix"]), out=self.array_of_z(buffers))
        return self.activate(params.bias.ravel(), buffers)

    def backward_params(
        self, params: Views, grads: Views, x: Rows, delta: Array, buffers: Buffers
    ) -> None:
        column_sums(delta, out=grads.bias.reshape(-1))
        gradient = buffers["matrix_gradient"]
        matmul(x.T, delta, out=gradient.reshape(x.shape[1], -1))
        np.einsum("imj,mi->ij", gradient, params.scale, out=grads.weight)
        np.einsum("imj,ij->mi", gradient, params.weight, out=grads.scale)

    def backward_inputs(self, params: Views, x: Rows, delta: Array, buffers: Buffers) -> Array:
        return matmul(delta, buffers["matrix"].reshape(x.shape[1], -1).T, out=buffers["delta"])


@dataclass(frozen=True)
class EnsembleDense(EnsembleLayer):
    """A later hidden layer: one product of all members' rows with the shared weights.

    With s = x * r: dJ/ds = delta W', dJ/dr = column sums of dJ/ds * x, dJ/dx = dJ/ds * r.
    """

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return super().parameters(n_inputs // self.n_members)

    def buffers(self, n_inputs: int) -> WorkArrays:
        widths = self.z_and_a(self.n_outputs(n_inputs))
        return {**widths, "scaled": n_inputs, "scaled_gradient": n_inputs}

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        np.multiply(x, params.scale.reshape(-1), out=buffers["scaled"])
        z = self._by_member(self.array_of_z(buffers))
        matmul(self._by_member(buffers["scaled"]), params.weight, out=z)
        return self.activate(params.bias.reshape(-1), buffers)

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        super().backward_shared(params, x, delta, buffers)
        # The gradients of the scales and of the inputs follow from this array.
        out = self._by_member(buffers["scaled_gradient"])
        matmul(self._by_member(delta), params.weight.T, out=out)
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        column_sums(delta, out=grads.bias.reshape(-1))
        matmul(self._by_member(buffers["scaled"]).T, self._by_member(delta), out=grads.weight)
        np.einsum("ni,ni->i", buffers["scaled_gradient"], x, out=grads.scale.reshape(-1))

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        inputs = buffers["scaled_gradient"]
        inputs *= params.scale.reshape(-1)
        return inputs

    def _by_member(self, array: Array) -> Array:
        """Return the view with one row for each member of each row."""
        return array.reshape(array.shape[0] * self.n_members, -1)


@dataclass(frozen=True)
class EnsembleHead(Blocks):
    """The linear output layers of all members, each with its own weights.

    Parameters
    ----------
    n_units : int >= 1
        The number of outputs of one member.
    n_members : int >= 1
    within : ParameterSet or None, default=None
        The set that each member's matrix stays in. None means no constraint.
    """

    words: ClassVar[str] = "dense by member"

    n_units: int
    n_members: int
    within: ParameterSet | None = None
    activation: ClassVar[Activation] = Identity()  # type: ignore[misc]

    @property
    def n_blocks(self) -> int:
        return self.n_members

    def initialize(self, params: Views, rng: Generator) -> None:
        for weight in params.weight:
            weight[...] = self.activation.draw_weights(rng, weight.shape)
        params.bias[...] = small_uniform(rng, params.bias.shape, params.weight.shape[1])


def members_of_rows(array: Array, n_members: int) -> Array:
    """Return the view (rows, members, columns)."""
    return array.reshape(len(array), n_members, -1)


@dataclass(frozen=True)
class WithConstants(Layer):
    """An output layer, and additional outputs of each member that are the same for all rows.

    Parameters
    ----------
    head : Layer
        The output layer, whose parameters keep their names.
    n_members : int >= 1
    n_constants : int >= 1
        The number of constants of one member. They follow the head's outputs for the member.
    """

    head: Layer
    n_members: int
    n_constants: int

    @property
    def smooth(self) -> bool:
        return self.head.smooth

    def describe(self) -> str:
        return self.head.describe()

    def n_outputs(self, n_inputs: int) -> int:
        return self.head.n_outputs(n_inputs) + self.n_members * self.n_constants

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        constant = Parameter((self.n_members, self.n_constants))
        return {**self.head.parameters(n_inputs), "constant": constant}

    def buffers(self, n_inputs: int) -> WorkArrays:
        out = {"with_constants": self.n_outputs(n_inputs)}
        own = {"of_head": self.head.n_outputs(n_inputs)}
        return {**self.head.buffers(n_inputs), **out, **own}

    def initialize(self, params: Views, rng: Generator) -> None:
        self.head.initialize(params, rng)

    def forward(self, params: Views, x: Rows, buffers: Buffers, rng: Draws = None) -> Array:
        outputs = self.head.forward(params, x, buffers, rng)
        return self._join(outputs, params.constant, buffers["with_constants"])

    def backward_shared(self, params: Views, x: Rows, delta: Array, buffers: Buffers) -> Any:
        """Return ``delta`` after the shared step of the head, and the constants' gradient."""
        by_member, of_head = members_of_rows(delta, self.n_members), buffers["of_head"]
        n_varying = by_member.shape[2] - self.n_constants
        members_of_rows(of_head, self.n_members)[...] = by_member[:, :, :n_varying]
        of_constants = by_member[:, :, n_varying:].sum(axis=0)
        return self.head.backward_shared(params, x, of_head, buffers), of_constants

    def backward_params(
        self, params: Views, grads: Views, x: Rows, delta: Any, buffers: Buffers
    ) -> None:
        self.head.backward_params(params, grads, x, delta[0], buffers)
        grads.constant[...] = delta[1]

    def backward_inputs(self, params: Views, x: Rows, delta: Any, buffers: Buffers) -> Array:
        return self.head.backward_inputs(params, x, delta[0], buffers)

    def rescale(self, params: Views, factor: Array, shift: Array) -> None:
        n = factor.size - self.n_constants
        self.head.rescale(params, factor[:n], shift[:n])
        params.constant *= factor[n:]
        params.constant += shift[n:]

    def _join(self, outputs: Array, constant: Array, out: Array) -> Array:
        """Write the outputs of the head and the constants, member by member."""
        by_member, own = (members_of_rows(one, self.n_members) for one in (out, outputs))
        by_member[:, :, : own.shape[2]] = own
        by_member[:, :, own.shape[2] :] = constant
        return out
