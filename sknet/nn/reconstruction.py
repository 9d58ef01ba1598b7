"""The loss of a network that reconstructs the columns of a table, for pre-training."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np

from sknet.nn import links
from sknet.nn.kernels import Array
from sknet.nn.losses import Loss, MultinomialLogLoss, SquaredError
from sknet.nn.rules import NOT_NEGATIVE_INT, POSITIVE_INT, TupleOf


@dataclass(frozen=True)
class OfColumns(links.Identity):
    """raw = prediction, where some columns of y have several predictions each.

    Parameters
    ----------
    n_columns : int
        The number of raw predictions of all columns of y.
    """

    n_columns: int

    def n_raw(self, n_outputs: int) -> int:
        return self.n_columns


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
    def link(self) -> links.Link:
        return OfColumns(self.n_numbers + sum(self.n_levels))

    def _best_number(self, y: Array) -> Array:
        return np.zeros(self.link.n_raw(y.shape[1]), y.dtype)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        n, scored = self.n_numbers, ~np.isnan(y)
        numbers = np.where(scored[:, :n], y[:, :n], raw[:, :n])
        value = SquaredError().pointwise(numbers, raw[:, :n], gradient_out[:, :n])
        stops = np.cumsum([n, *self.n_levels]).tolist()
        for i, (start, stop) in enumerate(pairwise(stops), start=n):
            gradient = gradient_out[:, start:stop]
            chosen = (y[:, i, np.newaxis] == np.arange(stop - start)).astype(raw.dtype)
            entropy = MultinomialLogLoss().pointwise(chosen, raw[:, start:stop], gradient)
            value += scored[:, i] * entropy
            gradient *= scored[:, i, np.newaxis]
        gradient_out /= y.shape[1]
        return value / y.shape[1]
