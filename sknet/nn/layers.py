"""Layers: their parameters, outputs and gradients.

To add a layer, derive a frozen dataclass from :class:`Layer`. The tests find it automatically.
A layer that normalizes also gets a line in :data:`NORMALIZATIONS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from sknet.nn.activations import ACTIVATION, Activation, Draws, Identity, named, small_uniform
from sknet.nn.kernels import Array, Rows, Views, blocks, column_sums, matmul, stretches
from sknet.nn.rules import FRACTION, POSITIVE, POSITIVE_INT, TRUTH_VALUE, Rule
from sknet.nn.sets import ParameterSet

# A layer's declarations of its work arrays, by name. A number declares an array with that many
# columns, and with a row for each row of the batch. A function ``make(n_rows, dtype)`` returns
# any other object. A dict declares the work arrays of an inner layer.
WorkArrays: TypeAlias = dict[str, Any]
# The work arrays of one layer, by name.
Buffers: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """The declaration of one parameter array of a layer.

    Parameters
    ----------
    shape : tuple of int
    penalized : bool, default=False
        Whether the penalty of the objective applies to the array.
    within : ParameterSet or None, default=None
        The set that the array stays in. None means no constraint.
    ridge : float, default=0.0
        In addition to the penalty, the objective includes ``ridge / 2`` times the sum of
        squares of the array.
    rate : float, default=1.0
        A stochastic solver multiplies the learning rate of the array by this number.
    """

    shape: tuple[int, ...]
    penalized: bool = False
    within: ParameterSet | None = None
    ridge: float = 0.0
    rate: float = 1.0


class Affine(NamedTuple):
    """An affine map x M + v, and the activation that follows.

    Attributes
    ----------
    matrix : ndarray or sparse array
        The matrix M.
    bias : ndarray
        The vector v.
    activation : Activation or None
    """

    matrix: Any
    bias: Array
    activation: Activation | None = None


class Layer(Rule, ABC):
    """A differentiable function of each row. A layer has no state: all arrays are arguments.

    A subclass declares its parameter arrays in :meth:`parameters` and its work arrays in
    :meth:`buffers`. The other methods receive them as ``params`` (an attribute for each name)
    and ``buffers`` (a dict).

    The backward pass of a layer has up to three steps. :meth:`backward_shared` always comes
    first. In training, :meth:`backward_params` follows. :meth:`backward_inputs` comes last, if
    a layer with parameters precedes this one, or if the caller asks for the gradient of the
    network's inputs. In training, layers before the first one with parameters have no backward
    pass. The network decides which steps it needs, so a layer need not know which gradients the
    caller wants.
    """

    #: The weight arrays of an output layer. Its outputs are linear in them and the bias.
    output_weights: ClassVar[tuple[str, ...]] = ("weight",)
    #: The name of the layer in a table of layers. If empty, it is the name of the class.
    words: ClassVar[str] = ""

    @property
    def smooth(self) -> bool:
        """Whether the derivative is continuous.

        Attributions use this for all layers except those that embed single columns.
        """
        return True

    def describe(self) -> str:
        """Return a short description of the layer for a table of layers."""
        return self.words or type(self).__name__

    def n_outputs(self, n_inputs: int) -> int:
        """Return the number of output columns. By default, it is the number of inputs."""
        return n_inputs

    def output_counts(self, n_inputs: int) -> list[int] | None:
        """Return the number of outputs of each input column, or None if outputs mix columns.

        By default, it is None.
        """
        return None

    def affine(self, params: Views, n_inputs: int, dtype: DTypeLike) -> Affine | None:
        """Return the layer as an affine map and an activation, or None, the default.

        Attributions are faster with the map of the first layer that mixes columns.
        """
        return None

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        """Return the declaration of each parameter array by name, by default none."""
        return {}

    def buffers(self, n_inputs: int) -> WorkArrays:
        """Return the declaration of each work array by name, by default none.

        A number declares an array with that many columns, and with a row for each row of the
        batch. A function ``make(n_rows, dtype)`` returns any other work array for a batch of
        ``n_rows`` rows.

        The name "delta" is reserved for an array that only :meth:`backward_inputs` uses: it
        is missing from ``buffers`` if the network does not call that method.
        """
        return {}

    def initialize(self, params: Views, rng: Generator) -> None:
        """Fill ``params`` with initial values. By default, they stay zero."""
        return

    @property
    def learns_levels(self) -> bool:
        """Whether the layer learns a vector for each level of a category."""
        return False

    def adapted(self, unexplained: float) -> "Layer":
        """Return the layer for the next epoch of training, by default this one.

        ``unexplained`` is the share of the variance of y that the network does not explain yet.
        The result must have the same parameters and work arrays.
        """
        return self

    @abstractmethod
    def forward(self, params: Views, x: Rows, buffers: Buffers, rng: Draws = None) -> Array:
        """Return the outputs.

        Parameters
        ----------
        params : namespace of ndarray
            The parameters, which must not be changed.
        x : ndarray or CSR matrix of shape (n_rows, n_inputs)
            The inputs, which must not be changed. Only the first layer of a network may
            receive a sparse matrix.
        buffers : dict of ndarray
            The work arrays. They keep their values until the backward pass.
        rng : numpy Generator, optional
            The source of random draws in training; None in prediction.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            The outputs; may be a work array.
        """

    def backward_shared(self, params: Views, x: Rows, delta: Array, buffers: Buffers) -> Any:
        """Do the part of the backward pass that the other two methods share.

        The typical use is to multiply ``delta`` by the derivative of an activation.

        Parameters
        ----------
        params, x, buffers
            As in :meth:`forward`.
        delta : ndarray of shape (n_rows, n_outputs)
            The gradient of the outputs, which may be overwritten.

        Returns
        -------
        object
            The ``delta`` that the other two methods receive, by default ``delta`` itself.
        """
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Rows, delta: Any, buffers: Buffers
    ) -> None:
        """Write the gradients of the parameters into ``grads``; do not change ``delta``.

        The network calls this method only if the layer has parameters.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has parameters, so it must define backward_params."
        )

    def rescale(self, params: Views, factor: Array, shift: Array) -> None:
        """Change an output layer in place so that each output becomes factor * output + shift.

        ``factor`` and ``shift`` have one entry for each output of a member.
        """
        for name in (*self.output_weights, "bias"):
            by_output = getattr(params, name).reshape(-1, factor.size)
            by_output *= factor
        by_output = params.bias.reshape(-1, factor.size)
        by_output += shift

    @abstractmethod
    def backward_inputs(self, params: Views, x: Rows, delta: Any, buffers: Buffers) -> Array:
        """Return the gradient of the inputs; ``delta`` may be overwritten.

        The result may be a work array, such as ``buffers["delta"]``, or ``delta``.
        """


class ActivationLayer(Layer):
    """A layer whose last step is an activation: a = f(z + bias)."""

    activation: Activation

    @property
    def smooth(self) -> bool:
        return self.activation.smooth

    def describe(self) -> str:
        linear = isinstance(self.activation, Identity)
        return super().describe() + ("" if linear else f" {named(self.activation)}")

    def z_and_a(self, n_units: int) -> dict[str, int]:
        """Return the declarations of the work arrays of z and a.

        If the derivative of the activation does not read z, one array serves as both.
        """
        return {"a": n_units, "z": n_units} if self.activation.needs_z else {"a": n_units}

    def array_of_z(self, buffers: Buffers) -> Array:
        """Return the work array of z."""
        return buffers["z" if self.activation.needs_z else "a"]

    def activate(self, bias: Array | None, buffers: Buffers) -> Array:
        """Return f(z + bias), computed block by block to stay in the processor's cache."""
        for z_block, a_block in blocks(self.array_of_z(buffers), buffers["a"]):
            if bias is not None:
                z_block += bias
            self.activation.forward(z_block, a_block)
        return buffers["a"]

    def backward_shared(self, params: Views, x: Rows, delta: Array, buffers: Buffers) -> Array:
        """Multiply ``delta`` by f'(z), block by block."""
        for parts in blocks(self.array_of_z(buffers), buffers["a"], delta):
            self.activation.backward(*parts)
        return delta


@dataclass(frozen=True)
class Dense(ActivationLayer):
    """a = f(x W + b).

    With z = x W + b, and delta = dJ/da * f'(z) elementwise: dJ/dW = x' delta, dJ/db = column
    sums of delta, dJ/dx = delta W'. ``x`` is dense or CSR.

    Parameters
    ----------
    n_units : int >= 1
        The number of outputs.
    activation : Activation
    within : ParameterSet or None, default=None
        The set that the weight matrix stays in. None means no constraint.
    """

    words: ClassVar[str] = "dense"

    n_units: Annotated[int, POSITIVE_INT]
    activation: Annotated[Activation, ACTIVATION]
    within: ParameterSet | None = None

    def n_outputs(self, n_inputs: int) -> int:
        return self.n_units

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        weight = Parameter((n_inputs, self.n_units), penalized=True, within=self.within)
        return {"weight": weight, "bias": Parameter((self.n_units,))}

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {**self.z_and_a(self.n_units), "delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        params.weight[...] = self.activation.draw_weights(rng, params.weight.shape)
        params.bias[...] = small_uniform(rng, params.bias.shape, len(params.weight))

    def affine(self, params: Views, n_inputs: int, dtype: DTypeLike) -> Affine:
        return Affine(params.weight, params.bias, self.activation)

    def forward(self, params: Views, x: Rows, buffers: Buffers, rng: Draws = None) -> Array:
        matmul(x, params.weight, out=self.array_of_z(buffers))
        return self.activate(params.bias, buffers)

    def backward_params(
        self, params: Views, grads: Views, x: Rows, delta: Array, buffers: Buffers
    ) -> None:
        matmul(x.T, delta, out=grads.weight)
        column_sums(delta, out=grads.bias)

    def backward_inputs(self, params: Views, x: Rows, delta: Array, buffers: Buffers) -> Array:
        return matmul(delta, params.weight.T, out=buffers["delta"])


class Blocks(ActivationLayer):
    """a_k = f(x_k W_k + b_k) for each of several stretches x_k of a row, all equally long.

    A subclass has the field ``n_units``, the number of outputs of one stretch, and the field
    ``within``, the set that the weights stay in.
    """

    n_units: int
    within: ParameterSet | None

    @property
    @abstractmethod
    def n_blocks(self) -> int:
        """The number of stretches."""

    def n_outputs(self, n_inputs: int) -> int:
        return self.n_blocks * self.n_units

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        shape = self.n_blocks, n_inputs // self.n_blocks, self.n_units
        weight = Parameter(shape, penalized=True, within=self.within)
        return {"weight": weight, "bias": Parameter((self.n_blocks, self.n_units))}

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {**self.z_and_a(self.n_outputs(n_inputs)), "delta": n_inputs}

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        self._times_each(x, params.weight, out=self.array_of_z(buffers))
        return self.activate(params.bias.reshape(-1), buffers)

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        column_sums(delta, out=grads.bias.reshape(-1))
        self._gradient_of_each(x, delta, out=grads.weight)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        inputs = buffers["delta"]
        if self.n_units == 1:
            # For a column times a row, einsum is several times as fast as matmul.
            by_block = inputs.reshape(x.shape[0], self.n_blocks, -1)
            np.einsum("nk,ki->nki", delta, params.weight[:, :, 0], out=by_block)
        else:
            self._times_each(delta, params.weight.transpose(0, 2, 1), out=inputs)
        return inputs

    @staticmethod
    def _times_each(x: Array, matrices: Array, out: Array) -> None:
        """Write the product of each of the equal stretches of the rows with its matrix."""
        n = len(matrices)
        np.matmul(stretches(x, n), matrices, out=stretches(out, n))

    @staticmethod
    def _gradient_of_each(x: Array, delta: Array, out: Array) -> None:
        """Write the gradient of each matrix, given that of the products."""
        n = len(out)
        np.matmul(stretches(x, n).transpose(0, 2, 1), stretches(delta, n), out=out)


@dataclass(frozen=True)
class Activated(ActivationLayer):
    """a = f(z): the second half of a hidden layer. The input z is x W + b.

    Parameters
    ----------
    activation : Activation
    """

    words: ClassVar[str] = "activation"

    activation: Activation

    def buffers(self, n_inputs: int) -> WorkArrays:
        return self.z_and_a(n_inputs)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        np.copyto(self.array_of_z(buffers), x)
        return self.activate(None, buffers)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        return delta


#: An adaptive dropout rate falls once the unexplained share of the variance of y is below the
#: inverse of the first number. It is rounded to ``DECIMALS`` decimals: a rate that has become
#: tiny only takes time.
FALLING, DECIMALS = 4, 3


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, zero each input with probability ``rate`` and divide the others by 1 - rate.

    Srivastava et al. (2014), in the inverted form, which leaves predictions untouched. The mask
    of each block of rows is a stretch of one long random mask, taken from a random place.
    Drawing a random number for each input would take longer than computing the activation of a
    layer.

    Parameters
    ----------
    rate : float in [0, 1)
        It is rounded to a multiple of 1/262144, or of a smaller number for more than 4096
        inputs.
    adapts : bool, default=False
        Whether the rate falls as the network explains more of y. If it explains all but a share
        u of the variance, the rate is ``rate * min(1, 4 u)``, rounded to three decimals. It
        thus falls once R2 exceeds 0.75.
        Dropout makes the predictions of a training step inexact. If y has little noise, this is
        the largest part of the error, and it hides what is left to learn.
    """

    words: ClassVar[str] = "dropout"

    rate: Annotated[float, FRACTION]
    adapts: Annotated[bool, TRUTH_VALUE] = False

    def describe(self) -> str:
        return f"{super().describe()} {self.rate:g}{', adaptive' if self.adapts else ''}"

    def adapted(self, unexplained: float) -> "Dropout":
        if not self.adapts:
            return self
        return Dropout(round(self.rate * min(1, FALLING * unexplained), DECIMALS))

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {"out": n_inputs}

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        masks = buffers["masks"] = []
        if rng is None or not self.rate:
            return x
        long = long_mask(self.rate, max(2**18, 64 * x.shape[1]), x.dtype)
        for x_block, out_block in blocks(x, buffers["out"]):
            start = rng.integers(long.size - x_block.size + 1)
            masks.append(long[start : start + x_block.size].reshape(x_block.shape))
            np.multiply(x_block, masks[-1], out=out_block)
        return buffers["out"]

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        for (delta_block,), mask in zip(blocks(delta), buffers["masks"], strict=False):
            delta_block *= mask
        return delta


@lru_cache(maxsize=8)
def long_mask(rate: float, size: int, dtype: np.dtype[Any]) -> Array:
    """Return a fixed random mask with a fraction ``rate`` of zeros and a mean of one."""
    n_zeros = min(round(rate * size), size - 1)
    mask = np.where(shuffled(size) < n_zeros, 0, dtype.type(size / (size - n_zeros)))
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=2)
def shuffled(size: int) -> NDArray[np.int32]:
    """Return the numbers below ``size`` in a fixed random order."""
    numbers = np.arange(size, dtype=np.int32)
    np.random.default_rng(0).shuffle(numbers)
    return numbers


@dataclass(frozen=True)
class LayerNorm(ActivationLayer):
    """a = f(gain u + bias), where u is a row of inputs, standardized to mean 0 and variance 1.

    Ba, Kiros and Hinton (2016), equation 4.

    Parameters
    ----------
    activation : Activation
    n_groups : int >= 1, default=1
        The number of equal stretches of a row that are normalized separately: one for each
        member of an ensemble, or for each group of columns of each member.
    epsilon : float > 0, default=1e-5
        A number that is added to the variance, which is zero if all inputs are equal.
    """

    words: ClassVar[str] = "layer normalization"

    activation: Annotated[Activation, ACTIVATION]
    n_groups: Annotated[int, POSITIVE_INT] = 1
    epsilon: Annotated[float, POSITIVE] = 1e-5

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {"gain": Parameter((n_inputs,)), "bias": Parameter((n_inputs,))}

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {**self.z_and_a(n_inputs), "u": n_inputs, "deviation": self.n_groups}

    def initialize(self, params: Views, rng: Generator) -> None:
        params.gain.fill(1)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        u, deviation = self._grouped(buffers["u"]), buffers["deviation"]
        np.subtract(self._grouped(x), self._grouped(x).mean(axis=2, keepdims=True), out=u)
        variance = np.einsum("ngi,ngi->ng", u, u) * (1 / u.shape[2])
        np.sqrt(variance + self.epsilon, out=deviation)
        u /= deviation[:, :, np.newaxis]
        np.multiply(buffers["u"], params.gain, out=self.array_of_z(buffers))
        return self.activate(params.bias, buffers)

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        np.einsum("ni,ni->i", delta, buffers["u"], out=grads.gain)
        column_sums(delta, out=grads.bias)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        delta *= params.gain
        # The derivative of u removes the components along the vector of ones and along u.
        u, d = self._grouped(buffers["u"]), self._grouped(delta)
        along_u = np.einsum("ngi,ngi->ng", d, u)[:, :, np.newaxis] * (1 / u.shape[2])
        d -= d.mean(axis=2, keepdims=True)
        d -= u * along_u
        d /= buffers["deviation"][:, :, np.newaxis]
        return delta

    def _grouped(self, x: Array) -> Array:
        """Return the view (rows, groups, columns of a group)."""
        return x.reshape(x.shape[0], self.n_groups, -1)


#: Normalizations by name. Each is a function of the activation and of the number of equal
#: stretches of a row that are normalized separately.
NORMALIZATIONS: dict[str, Callable[[Activation, int], Layer]] = {"layer": LayerNorm}
