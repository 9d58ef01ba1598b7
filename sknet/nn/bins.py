"""Bins of numbers: their edges, their places, and the interpolation between edges."""

from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknet.nn.kernels import Array, SparseRows
from sknet.nn.rules import FINITE, Constraint, TupleOf

#: The increasing edges of the bins of each column.
Edges: TypeAlias = tuple[tuple[float, ...], ...]


SEVERAL_NUMBERS = TupleOf("a tuple of at least two finite numbers", FINITE, least=2)
COLUMNS_OF_NUMBERS = TupleOf("a tuple of such tuples", SEVERAL_NUMBERS)


def _are_edges(edges: Any) -> bool:
    """Return whether each column has equally many increasing edges, at least two."""
    return (
        COLUMNS_OF_NUMBERS.contains(edges)
        and len(set(map(len, edges))) <= 1
        and all(map(_increase, edges))
    )


def _increase(edges: tuple[Any, ...]) -> bool:
    """Return whether edges increase; only the last may be repeated."""
    n_distinct = edges.index(edges[-1]) + 1
    increase = n_distinct > 1 and all(low < high for low, high in pairwise(edges[:n_distinct]))
    return increase and set(edges[n_distinct:]) <= {edges[-1]}


EDGES = Constraint(
    "a tuple of a tuple of at least two finite, increasing numbers for each column, of which "
    "only the last may be repeated, with equally many numbers for each column (see "
    "of_equal_length)",
    (tuple,),
    _are_edges,
)


def of_equal_length(edges: Edges) -> Edges:
    """Return the edges of each column, the last one repeated to the length of the longest."""
    longest = max(map(len, edges), default=0)
    return tuple(one + one[-1:] * (longest - len(one)) for one in edges)


@lru_cache(maxsize=16)
def bins_between(
    edges: Edges, dtype: np.dtype[Any]
) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
    """Return column, start, 1 / width (0 if empty) and limits of the bins of all columns."""
    n_bins = np.array([len(one) - 1 for one in edges], dtype=np.intp)
    column = np.repeat(np.arange(len(edges)), n_bins)
    low = np.concatenate([one[:-1] for one in edges]).astype(dtype)
    width = np.concatenate([np.diff(one) for one in edges]).astype(dtype)
    inverse_width = np.divide(1, width, out=np.zeros_like(width), where=width > 0)
    first = np.cumsum(n_bins) - n_bins
    last = first + np.add.reduceat(width > 0, first, dtype=np.intp) - 1
    smallest, largest = np.zeros_like(low), np.ones_like(low)
    smallest[first], largest[last] = -1, 2
    return column, low, inverse_width, smallest, largest


class BinGrid:
    """Finds the bins of numbers, for many columns at once and without a search.

    The range between the bins of a column is divided into equal cells. Each cell knows how many
    of the edges between bins lie in the cells below it; the edges in the cell itself are
    compared with the number. A cell holds one edge at most if no two edges are closer than
    1 / ``N_CELLS`` of the range, as those of estimators are.

    Parameters
    ----------
    edges : tuple of tuple of float
        The edges of the bins of each column, equally many of each.
    dtype : dtype
        The dtype of the numbers.
    """

    N_CELLS = 1024
    #: A limit of the factor from numbers to cells, so that no product overflows in float32.
    LARGEST_SCALE = 1e20

    def __init__(self, edges: Edges, dtype: np.dtype[Any]) -> None:
        n_columns, n_bins = len(edges), len(edges[0]) - 1
        # No number is above NaN, which follows the last edge of a column.
        self._inner = np.full((n_columns, n_bins), np.nan, dtype)
        # One edge or none between the bins has no range, and may be in a cell of any size.
        self._low, self._scale = np.zeros(n_columns, dtype), np.ones(n_columns, dtype)
        for column, of_column in enumerate(edges):
            # Edges that the dtype cannot tell apart stay, since each of them ends a bin.
            n_distinct = of_column.index(of_column[-1]) + 1
            inner = np.array(of_column[1 : n_distinct - 1], dtype)
            self._inner[column, : inner.size] = inner
            if inner.size > 1:
                per_cell = (inner[-1] - inner[0]) / self.N_CELLS
                self._low[column] = inner[0]
                self._scale[column] = 1 / max(per_cell, 1 / self.LARGEST_SCALE)
        # Two more cells are for the numbers beyond the edges.
        self._first_cells = np.arange(n_columns, dtype=np.int32) * (self.N_CELLS + 2) + 1
        self._first_bins = np.arange(n_columns, dtype=np.int32) * n_bins
        self._bins, self._most_edges = self._fill_cells()

    def _fill_cells(self) -> tuple[NDArray[np.int32], int]:
        """Return the lowest bin of each cell, and the largest number of edges in a cell."""
        n_columns = self._low.size
        inner = self._inner.T
        cells = self._cells(np.where(np.isfinite(inner), inner, 0))[np.isfinite(inner)]
        n_cells = n_columns * (self.N_CELLS + 2)
        counts = np.bincount(cells, minlength=n_cells).reshape(n_columns, -1)
        lowest = np.cumsum(counts, axis=1) - counts + self._first_bins[:, np.newaxis]
        return lowest.ravel().astype(np.int32), int(counts.max())

    def _cells(self, x: Array) -> NDArray[np.int32]:
        """Return the cell of each number. It never falls when the number rises."""
        place = np.subtract(x, self._low)
        place *= self._scale
        np.clip(place, -1, self.N_CELLS, out=place)
        cells = place.astype(np.int32)
        cells += self._first_cells
        return cells

    def bins(self, x: Array) -> NDArray[np.int32]:
        """Return the place of each number's bin among the bins of all columns.

        Parameters
        ----------
        x : ndarray of shape (n_rows, n_columns)
        """
        # NaN, whose cell is not defined, gets any bin.
        bins = self._bins.take(self._cells(x), mode="clip")
        inner = self._inner.ravel()
        for _ in range(self._most_edges):
            bins += x >= inner.take(bins)
        return bins


#: The grid of some edges, which is remembered from one batch to the next.
bin_grid = lru_cache(maxsize=16)(BinGrid)


class Interpolation:
    """Interpolates the values at the edges of bins, for a batch of numbers.

    The work arrays of an interpolation are made once for many batches.

    Parameters
    ----------
    edges : tuple of tuple of float
        The edges of the bins of each column, equally many of each.
    n_rows : int
    dtype : dtype
        The dtype of the numbers.

    Attributes
    ----------
    bins : ndarray of int32 of shape (n_rows, n_columns)
        The place of each number's bin among the bins of all columns.
    share : ndarray of shape (n_rows, n_columns)
        The share of the bin's width that is below the number.
    """

    def __init__(self, edges: Edges, n_rows: int, dtype: DTypeLike) -> None:
        n_columns, n_edges = len(edges), len(edges[0])
        self._grid = bin_grid(edges, np.dtype(dtype))
        of_bins = bins_between(edges, np.dtype(dtype))
        _, self._low, self._inverse_width, _, self._largest = of_bins
        self.bins: NDArray[np.int32] = np.zeros((n_rows, n_columns), np.int32)
        self.share: Array = np.zeros((n_rows, n_columns), dtype)
        # Each column has one more edge than bins.
        self._n_edges_more = np.arange(n_columns, dtype=np.int32)
        # A number has an entry for the edge before it and one for the edge after it.
        self._matrix = SparseRows(n_rows * n_columns, 2, n_columns * n_edges, dtype)

    def locate(self, x: Array) -> None:
        """Find the bin of each number of ``x``, and its place in the bin."""
        self.bins = bins = self._grid.bins(x)
        share = np.subtract(x, self._low.take(bins), out=self.share)
        share *= self._inverse_width.take(bins)
        # Farther than one width of a bin beyond the ends, the value stays the same.
        np.clip(share, -1, 2, out=share)
        places = self._matrix.places.reshape(*x.shape, 2)
        np.add(bins, self._n_edges_more, out=places[:, :, 0])
        np.add(places[:, :, 0], 1, out=places[:, :, 1])
        weights = self._matrix.values.reshape(*x.shape, 2)
        np.subtract(1, share, out=weights[:, :, 0])
        weights[:, :, 1] = share

    def values(self, at_edges: Array) -> Array:
        """Return values at the numbers, given values at the edges.

        Parameters
        ----------
        at_edges : ndarray of shape (n_columns, n_edges, n_values)

        Returns
        -------
        ndarray of shape (n_rows * n_columns, n_values)
        """
        return self._matrix.times(at_edges.reshape(-1, at_edges.shape[2]))

    def backward(self, delta: Array) -> Array:
        """Return the gradient of the values at the edges, given that of :meth:`values`."""
        of_edges = self._matrix.transposed_times(delta)
        return of_edges.reshape(self._n_edges_more.size, -1, delta.shape[1])

    def share_of_bin(self) -> Array:
        """Return the shares, none of which is above that of the end of its bin by rounding."""
        return np.minimum(self.share, self._largest.take(self.bins))

    def slopes(self) -> Array:
        """Return the derivative of each share by its number."""
        inside = (self.share > -1) & (self.share < 2)
        return self._inverse_width.take(self.bins) * inside
