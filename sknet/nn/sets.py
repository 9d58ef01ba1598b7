"""The penalty on the weights, and the sets of values that parameters may have.

A layer declares the set of an array in its :class:`~sknet.nn.layers.Parameter`. Initial values
are moved into the set. After each step, the optimizer projects the array onto the set, just as
it applies the proximal step of an L1 penalty. The sets are convex, so a running average of
parameters, or their mean over workers, stays in them.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet.nn.kernels import Array
from sknet.nn.rules import CLOSED_UNIT_INTERVAL, NOT_NEGATIVE, Rule


@dataclass(frozen=True)
class ElasticNet(Rule):
    """alpha (l1_ratio ||w||_1 + (1 - l1_ratio) / 2 ||w||_2^2).

    The gradient of the quadratic part is added to that of the loss. The L1 part has no gradient
    at zero. Optimizers apply its proximal step instead, so weights can become exactly zero.

    Parameters
    ----------
    alpha : float >= 0, default=0.0
        The strength of the penalty.
    l1_ratio : float in [0, 1], default=0.0
        The share of the L1 part.
    """

    alpha: Annotated[float, NOT_NEGATIVE] = 0.0
    l1_ratio: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.0

    @property
    def l1(self) -> float:
        """The factor of ||w||_1."""
        return self.alpha * self.l1_ratio

    @property
    def l2(self) -> float:
        """The factor of ||w||_2^2 / 2."""
        return self.alpha * (1 - self.l1_ratio)

    def value(self, w: Array) -> float:
        """Return the penalty on the weights ``w``, a vector."""
        l1, l2 = self.l1, self.l2
        value = l2 / 2 * float(w.dot(w)) if l2 else 0.0
        return value + l1 * float(np.abs(w).sum()) if l1 else value

    def add_gradient(self, w: Array, out: Array) -> None:
        """Add the gradient of the smooth part to ``out``."""
        if l2 := self.l2:
            out += l2 * w

    def prox(self, w: Array, step: float | Array) -> None:
        """Shrink ``w`` in place by soft thresholding: ``sign(w) max(abs(w) - step l1, 0)``.

        ``step`` is the optimizer's step per unit of gradient: one number, or one for each
        weight.
        """
        if self.l1:
            threshold = step * self.l1
            # w minus its projection onto [-threshold, threshold].
            w -= np.clip(w, -threshold, threshold)


class Bounds(NamedTuple):
    """The lowest and highest allowed value of each entry of an array; infinite if unbounded.

    Both arrays have the shape of that array, or a shape that broadcasts to it.
    """

    low: Array
    high: Array

    def project(self, array: Array) -> None:
        """Move each entry to the nearest allowed value, in place. NaN stays NaN."""
        np.maximum(array, self.low, out=array)
        np.minimum(array, self.high, out=array)

    def part(self, where: slice) -> "Bounds":
        """Return the bounds of a stretch of a vector."""
        return Bounds(self.low[where], self.high[where])


class ParameterSet(Rule, ABC):
    """A set of arrays whose entries lie between bounds, each of which is zero or infinite."""

    @abstractmethod
    def bounds(self, shape: tuple[int, ...]) -> Bounds:
        """Return the bounds of the entries of an array of this shape, in float64."""

    def enter(self, array: Array) -> None:
        """Move initial values, which were drawn without bounds, into the set, in place.

        By default, they are projected.
        """
        self.bounds(array.shape).project(array)

    @property
    def scales(self) -> "ParameterSet":
        """The set of factors of a matrix's rows that keep the matrix in this set.

        By default, the factors are at least zero.
        """
        return Signed((1,))


@dataclass(frozen=True)
class Signed(ParameterSet):
    """Arrays whose entries have a given sign for each place along an axis.

    Parameters
    ----------
    signs : tuple of int
        For each place: 1 (entries are at least zero), -1 (at most zero) or 0 (any number). A
        single sign applies to all places.
    axis : int, default=-1
        The axis that ``signs`` runs along.
    """

    signs: tuple[int, ...]
    axis: int = -1

    def bounds(self, shape: tuple[int, ...]) -> Bounds:
        """Return the bounds: zero on one side for each entry with a sign."""
        signs = self._along_axis(len(shape))
        return Bounds(np.where(signs > 0, 0.0, -np.inf), np.where(signs < 0, 0.0, np.inf))

    def enter(self, array: Array) -> None:
        """Change the sign of entries with the wrong sign."""
        signs = self._along_axis(array.ndim)
        np.copyto(array, np.abs(array) * signs, where=signs != 0)

    def _along_axis(self, n_axes: int) -> NDArray[np.intp]:
        """Return the signs as an array that broadcasts to arrays with ``n_axes`` axes."""
        shape = [1] * n_axes
        shape[self.axis] = -1
        return np.array(self.signs).reshape(shape)


@dataclass(frozen=True)
class MonotoneWeights(ParameterSet):
    """Weight matrices of a layer whose outputs rise with some inputs and fall with others.

    The units of the layer are free or monotone. A free unit sees only free inputs. A monotone
    unit sees all inputs: its weight for a rising input is at least zero, for a falling input at
    most zero, and for a free input any number. With an activation that never falls, the
    monotone units then rise with the rising inputs and fall with the falling ones. So they are
    rising inputs of the next layer (Dugas, Bengio, Belisle, Nadeau and Garcia, "Incorporating
    Functional Knowledge in Neural Networks", 2009; Runje and Shankaranarayana, "Constrained
    Monotonic Neural Networks", 2023).

    Parameters
    ----------
    signs : tuple of int
        For each input: 1 (rising), -1 (falling) or 0 (free).
    n_free : int >= 0, default=0
        The number of free units, which are the first ones.
    unpromised : tuple of int, default=()
        The positions of output units without a promise. They see all inputs, and their weights
        may be any numbers.
    """

    signs: tuple[int, ...]
    n_free: int = 0
    unpromised: tuple[int, ...] = ()

    @property
    def scales(self) -> Signed:
        """The set of factors of the inputs: at least zero for rising and falling inputs."""
        return Signed(tuple(map(abs, self.signs)))

    def bounds(self, shape: tuple[int, ...]) -> Bounds:
        """Return the bounds of the weights.

        The weights of inputs with a sign are bounded by zero: on one side if they lead into
        monotone units, and on both sides if they lead into free units.
        """
        low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
        signs = np.array(self.signs)
        low[..., signs > 0, :] = 0
        high[..., signs < 0, :] = 0
        low[..., signs != 0, : self.n_free] = high[..., signs != 0, : self.n_free] = 0
        low[..., list(self.unpromised)], high[..., list(self.unpromised)] = -np.inf, np.inf
        return Bounds(low, high)

    def enter(self, array: Array) -> None:
        """Give the weights of rising and falling inputs their signs, and a suitable scale.

        Weights of one sign do not cancel. The usual scale preserves the variance of independent
        signals. With it, sums of signals that rise together would become larger from layer to
        layer. A mean magnitude of one divided by the number of rising and falling inputs keeps
        the size of the signals. The weights are scaled squares of the drawn ones, which differ
        more from unit to unit than the magnitudes do.
        """
        signs = np.array(self.signs)
        drawn = array[..., list(self.unpromised)]
        inside = array[..., signs != 0, self.n_free :]
        array[..., signs != 0, :] = 0
        if inside.size:
            squares = np.square(inside)
            squares *= signs[signs != 0][:, np.newaxis] / (inside.shape[-2] * squares.mean())
            array[..., signs != 0, self.n_free :] = squares
        array[..., list(self.unpromised)] = drawn


@dataclass(frozen=True)
class Stacked(ParameterSet):
    """Stacks of matrices, each with its own set.

    Parameters
    ----------
    parts : tuple of MonotoneWeights
        The set of each matrix along the first axis.
    """

    parts: tuple[MonotoneWeights, ...]

    def bounds(self, shape: tuple[int, ...]) -> Bounds:
        """Return the stacked bounds of the matrices."""
        low, high = zip(*(part.bounds(shape[1:]) for part in self.parts), strict=True)
        return Bounds(np.stack(low), np.stack(high))

    def enter(self, array: Array) -> None:
        """Move the initial values of each matrix into its set."""
        for part, matrix in zip(self.parts, array, strict=True):
            part.enter(matrix)
