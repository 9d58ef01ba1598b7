"""The loss of a network that reconstructs the columns of a table, for pre-training."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sknet.nn.kernels import Array, row_maxima, row_sums
from sknet.nn.links import Link
from sknet.nn.losses import Loss
from sknet.nn.rules import NOT_NEGATIVE_INT, POSITIVE_INT, TupleOf


@dataclass(frozen=True)
class OfColumns(Link):
    """raw = prediction, where some columns of y have several predictions each.

    Parameters
    ----------
    n_columns : int
        The number of raw predictions of all columns of y.
    """

    n_columns: int

    def n_raw(self, n_outputs: int) -> int:
        return self.n_columns

    def inverse(self, raw: Array) -> Array:
        return raw

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        return delta

    def mean_of_members(self, members: Array) -> Array:
        return members.mean(axis=1)


@dataclass(frozen=True)
class Reconstruction(Loss):
    """l = mean over columns j of (raw_j - y_j)^2 / 2, or of log sum_k exp(raw_k) - raw_(y_j).

    The first columns of y are numbers, and the others are the places of levels, each of which
    has a raw prediction: their loss is the cross-entropy. A cell that is NaN is not scored.

    Parameters
    ----------
    n_numbers : int
        The number of columns of numbers.
    n_levels : tuple of int
        The number of levels of each other column.
    """

    n_numbers: Annotated[int, NOT_NEGATIVE_INT]
    n_levels: Annotated[tuple[int, ...], TupleOf("a tuple of integers > 0", POSITIVE_INT)]

    @property
    def link(self) -> Link:
        return OfColumns(self.n_numbers + sum(self.n_levels))

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        n, scored = self.n_numbers, ~np.isnan(y)
        error = gradient_out[:, :n]
        np.subtract(raw[:, :n], y[:, :n], out=error)
        error[~scored[:, :n]] = 0
        value = 0.5 * row_sums(np.square(error))
        stops = np.cumsum([n, *self.n_levels]).tolist()
        for i, (start, stop) in enumerate(zip(stops, stops[1:], strict=False), start=n):
            rows = np.flatnonzero(scored[:, i])
            gradient_out[:, start:stop] = 0
            entropy, gradient = cross_entropy(y[rows, i].astype(np.intp), raw[rows, start:stop])
            value[rows] += entropy
            gradient_out[rows, start:stop] = gradient
        gradient_out /= y.shape[1]
        return value / y.shape[1]


def cross_entropy(places: Array, raw: Array) -> tuple[Array, Array]:
    """Return log sum_k exp(raw_k) - raw_place of each row, and its gradient."""
    shifted = raw - row_maxima(raw)[:, np.newaxis]
    gradient = np.exp(shifted)
    total, rows = row_sums(gradient), np.arange(len(raw))
    value = np.log(total) - shifted[rows, places]
    gradient /= total[:, np.newaxis]
    gradient[rows, places] -= 1
    return value, gradient
