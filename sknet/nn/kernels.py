"""Arrays: names for their types, and operations in the form that NumPy computes fastest.

The classes at the end find the bins of numbers, and interpolate between the edges of bins.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

#: A dense array of float32 or float64.
Array: TypeAlias = NDArray[np.floating[Any]]
#: Rows of a network's input: a dense array or a sparse matrix in CSR format. The type of sparse
#: matrices is Any, since SciPy has no annotations.
Rows: TypeAlias = Array | Any
#: The arrays of one layer as attributes: its parameters, or their gradients.
Views: TypeAlias = SimpleNamespace
#: The increasing edges of the bins of each column.
Edges: TypeAlias = tuple[tuple[float, ...], ...]

#: The number of elements of a block. A few arrays of this size stay in the L2 cache. Two
#: threads that work on smaller blocks wait for the interpreter's lock too often.
BLOCK_SIZE = 65_536
#: For an array of at most this size, the number of calls matters more than their form.
SMALL_ARRAY = 1024
#: NumPy multiplies a column by a row of at least this length faster than BLAS does.
LONG_ROW = 512


def matmul(x: Rows, w: Array, out: Array) -> Array:
    """Write the product into ``out`` and return it; ``x`` may be sparse."""
    if not isinstance(x, np.ndarray):
        # SciPy's public product cannot write into an array.
        out[...] = x @ w
        return out
    if x.shape[1] == 1 and w.shape[1] >= LONG_ROW:
        return np.multiply(x, w, out=out)
    # Unlike np.matmul, dot also uses BLAS for a column times a row. The method takes less time
    # than the function np.dot, which checks all arguments for overrides.
    return x.dot(w, out=out)


class SparseRows:
    """A sparse matrix with a fixed number of entries in each row.

    It is for products with dense arrays. Its entries can be changed in place, so one object
    serves many batches.

    Parameters
    ----------
    n_rows : int
    per_row : int
        The number of entries in a row.
    n_columns : int
    dtype : dtype

    Attributes
    ----------
    matrix : sparse array
    values : ndarray of shape (n_rows, per_row)
        The entries, initially ones.
    places : ndarray of int of shape (n_rows, per_row)
        The columns of the entries, initially zeros.
    """

    def __init__(self, n_rows: int, per_row: int, n_columns: int, dtype: DTypeLike) -> None:
        n_entries = n_rows * per_row
        entries = np.ones(n_entries, dtype), np.zeros(n_entries, np.int32)
        starts = np.arange(0, n_entries + 1, per_row)
        self.matrix: Any = sparse.csr_array((*entries, starts), shape=(n_rows, n_columns))
        self.values: Array = self.matrix.data.reshape(n_rows, per_row)
        self.places: NDArray[Any] = self.matrix.indices.reshape(n_rows, per_row)

    @cached_property
    def transposed(self) -> Any:
        """The transpose, which shares the arrays of the entries. Predictions do not need it."""
        return self.matrix.T


def stretches(x: Array, n: int) -> Array:
    """Return the view (stretches, rows, columns) of ``n`` equal stretches of each row."""
    return x.reshape(x.shape[0], n, -1).transpose(1, 0, 2)


def column_sums(x: Array, out: Array | None = None) -> Array:
    """Return the sum of each column, as a product with ones."""
    return constant(1, (x.shape[0],), x.dtype).dot(x, out=out)


def row_sums(x: Array) -> Array:
    """Return the sum of each row, as a product with ones."""
    return x.dot(constant(1, (x.shape[1],), x.dtype))


def row_maxima(x: Array) -> Array:
    """Return the maximum of each row of a matrix with few columns, by comparing columns."""
    return np.maximum.reduce(x.T.copy(), axis=0)


def maximum(x: Array, value: float, out: Array) -> Array:
    """Write the elementwise maximum of a matrix and a number into ``out``."""
    if x.size <= SMALL_ARRAY:
        return np.maximum(x, value, out=out)
    # NumPy compares two arrays more than twice as fast as an array with a number.
    for x_block, out_block in blocks(x, out):
        np.maximum(x_block, constant(value, x_block.shape, x.dtype), out=out_block)
    return out


#: The factor by which :func:`rounded` splits float64 numbers at their 24th bit.
SPLITTER = 2.0**29 + 1


def rounded(x: Array) -> Array:
    """Return float64 numbers, up to 3e299 in size, rounded to the 24 bits of float32.

    Dekker (1971), equation 5.6: the nearest number with 24 bits.
    """
    scaled = x * SPLITTER
    return scaled - (scaled - x)


def negate(x: Array) -> Array:
    """Change the signs of numbers in place, and return them.

    ``np.negative`` of NumPy 2.4 reads wrong elements if it changes one column of a matrix with
    rows of four float32 or eight float64 numbers.
    """
    return np.multiply(x, -1, out=x)


def cosine(angle: Array, out: Array) -> None:
    """Write cos(angle) into ``out``, and turn ``angle`` into the argument of :func:`sine`."""
    if angle.dtype == np.float32:
        np.cos(angle, out=out)
        return
    # With t = tan(angle / 2), cos(angle) = 2 / (1 + t^2) - 1. In float64, NumPy uses vector
    # instructions for the tangent, but not for the sine and the cosine. Computed from the
    # tangent, both take 0.1 to 0.5 of the time of NumPy's functions.
    angle *= 0.5
    np.tan(angle, out=angle)
    np.multiply(angle, angle, out=out)
    out += 1
    np.divide(2, out, out=out)
    out -= 1


def sine(changed: Array) -> Array:
    """Return sin(angle), in place, given the array that :func:`cosine` has changed."""
    if changed.dtype == np.float32:
        return np.sin(changed, out=changed)
    # sin(angle) = 2 t / (1 + t^2)
    divisor = changed * changed + 1
    changed *= 2
    changed /= divisor
    return changed


def constant(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a read-only array full of ``value``; small ones are remembered."""
    remember = math.prod(shape) <= BLOCK_SIZE
    return _remembered(value, shape, dtype) if remember else _full(value, shape, dtype)


def _full(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return read_only(np.full(shape, value, dtype))


def read_only(array: Array) -> Array:
    """Return an array that several callers share, after making it read-only."""
    array.flags.writeable = False
    return array


_remembered = lru_cache(maxsize=32)(_full)


@lru_cache(maxsize=16)
def lower_triangle(size: int, dtype: np.dtype[Any]) -> Array:
    """Return a lower triangular matrix of ones: a product with it is a running sum."""
    return read_only(np.tri(size, dtype=dtype))


def blocks(*arrays: Array) -> Sequence[Sequence[Array]]:
    """Return arrays of the same shape block by block: each item has one block of each array.

    A block of a vector has ``BLOCK_SIZE`` numbers. A block of a matrix has whole rows with
    about as many numbers.
    """
    size, n_rows = arrays[0].size, len(arrays[0])
    if size <= BLOCK_SIZE:
        return [arrays]
    step = max(1, BLOCK_SIZE * n_rows // size)
    return [[one[start : start + step] for one in arrays] for start in range(0, n_rows, step)]


def divided(start: int, stop: int, n_parts: int) -> list[int]:
    """Return the limits of at most ``n_parts`` equal parts of an interval.

    If there are several parts, each has at least two blocks.
    """
    n_parts = max(1, min(n_parts, (stop - start) // (2 * BLOCK_SIZE)))
    return [start + (stop - start) * i // n_parts for i in range(n_parts + 1)]


@lru_cache(maxsize=16)
def bins_between(
    edges: Edges, dtype: np.dtype[Any]
) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
    """Return each bin's column, start, 1 / width (0 if empty), and limits of the share."""
    low, width = np.array(edges)[:, :-1].astype(dtype), np.diff(edges).astype(dtype)
    inverse_width = np.divide(1, width, out=np.zeros_like(width), where=width > 0)
    columns = np.arange(len(edges))
    smallest, largest = np.zeros_like(low), np.ones_like(low)
    smallest[:, 0] = -1
    largest[columns, (width > 0).sum(axis=1) - 1] = 2
    of_bins = low.ravel(), inverse_width.ravel(), smallest.ravel(), largest.ravel()
    return np.repeat(columns, low.shape[1]), *of_bins


class BinGrid:
    """Finds the bins of numbers, for many columns at once and without a search.

    The range of the edges between the bins of a column is divided into equal cells. Each cell
    knows how many of these edges lie in the cells below it. The edges in the cell itself are
    compared with the number. A cell holds at most one edge if the distance between edges is at
    least 1 / ``N_CELLS`` of the range, as it is when an estimator chooses the edges.

    Parameters
    ----------
    edges : tuple of tuple of float
        The edges of the bins of each column, the same number for each.
    dtype : dtype
        The dtype of the numbers.
    """

    N_CELLS = 1024
    #: The largest factor from numbers to cells: with it, no product overflows in float32.
    LARGEST_SCALE = 1e20

    def __init__(self, edges: Edges, dtype: np.dtype[Any]) -> None:
        ends = np.array(edges, dtype)[:, 1:]
        n_columns, n_bins = ends.shape
        # Edges that are equal in the dtype all stay, since each of them ends a bin.
        n_inner = np.array([of_column.index(of_column[-1]) - 1 for of_column in edges])
        # No number is above NaN, which takes the place of the last edge of a column.
        is_inner = np.arange(n_bins) < n_inner[:, np.newaxis]
        self._inner: Array = np.where(is_inner, ends, np.nan)
        first, last = self._inner[:, 0], self._inner[np.arange(n_columns), n_inner - 1]
        per_cell = np.maximum((last - first) / self.N_CELLS, 1 / self.LARGEST_SCALE)
        # A single edge between the bins has no range, so cells may have any size.
        self._low: Array = np.where(n_inner > 1, first, 0)
        self._scale: Array = np.where(n_inner > 1, 1 / per_cell, 1)
        # Two more cells hold the numbers beyond the edges.
        self._first_cells = np.arange(n_columns, dtype=np.int32) * (self.N_CELLS + 2) + 1
        self._first_bins = np.arange(n_columns, dtype=np.int32) * n_bins
        self._bins, self._most_edges = self._fill_cells()

    def _fill_cells(self) -> tuple[NDArray[np.int32], int]:
        """Return the lowest bin in each cell, and the largest number of edges in a cell."""
        n_columns = self._low.size
        inner = self._inner.T
        cells = self._cells(np.where(np.isfinite(inner), inner, 0))[np.isfinite(inner)]
        n_cells = n_columns * (self.N_CELLS + 2)
        counts = np.bincount(cells, minlength=n_cells).reshape(n_columns, -1)
        lowest = np.cumsum(counts, axis=1) - counts + self._first_bins[:, np.newaxis]
        return lowest.ravel().astype(np.int32), int(counts.max())

    def _cells(self, x: Array) -> NDArray[np.int32]:
        """Return the cell of each number. It never falls when the number rises."""
        place = (x - self._low) * self._scale
        np.clip(place, -1, self.N_CELLS, out=place)
        return place.astype(np.int32) + self._first_cells

    def bins(self, x: Array) -> NDArray[np.int32]:
        """Return the place of each number's bin among the bins of all columns.

        Parameters
        ----------
        x : ndarray of shape (n_rows, n_columns)
        """
        # The cell of NaN is not defined, so NaN gets an arbitrary bin.
        bins = self._bins.take(self._cells(x), mode="clip")
        inner = self._inner.ravel()
        for _ in range(self._most_edges):
            bins += x >= inner.take(bins)
        return bins


#: The :class:`BinGrid` of some edges, which is remembered from one batch to the next.
bin_grid = lru_cache(maxsize=16)(BinGrid)


class Interpolation:
    """Interpolates between values at the edges of bins, for a batch of numbers.

    The work arrays of an interpolation are made once for many batches.

    Parameters
    ----------
    edges : tuple of tuple of float
        The edges of the bins of each column, the same number for each.
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
        # Each column has one more edge than it has bins.
        self._n_edges_more = np.arange(n_columns, dtype=np.int32)
        # A number has an entry for the edge before it and one for the edge after it.
        self._rows = SparseRows(n_rows * n_columns, 2, n_columns * n_edges, dtype)

    def locate(self, x: Array) -> None:
        """Find the bin of each number of ``x``, and its place in the bin."""
        self.bins = bins = self._grid.bins(x)
        share = np.subtract(x, self._low.take(bins), out=self.share)
        share *= self._inverse_width.take(bins)
        # More than one bin width beyond the ends, the value stays the same.
        np.clip(share, -1, 2, out=share)
        places = self._rows.places.reshape(*x.shape, 2)
        np.add(bins, self._n_edges_more, out=places[:, :, 0])
        np.add(places[:, :, 0], 1, out=places[:, :, 1])
        weights = self._rows.values.reshape(*x.shape, 2)
        np.subtract(1, share, out=weights[:, :, 0])
        weights[:, :, 1] = share

    def values(self, at_edges: Array) -> Array:
        """Return the values at the numbers, given the values at the edges.

        Parameters
        ----------
        at_edges : ndarray of shape (n_columns, n_edges, n_values)

        Returns
        -------
        ndarray of shape (n_rows * n_columns, n_values)
        """
        return self._rows.matrix @ at_edges.reshape(-1, at_edges.shape[2])

    def backward(self, delta: Array) -> Array:
        """Return the gradient of the values at the edges, given that of :meth:`values`."""
        of_edges = self._rows.transposed @ delta
        return of_edges.reshape(self._n_edges_more.size, -1, delta.shape[1])

    def share_of_bin(self) -> Array:
        """Return the shares, capped at their upper limits, which rounding may have exceeded."""
        return np.minimum(self.share, self._largest.take(self.bins))

    def slopes(self) -> Array:
        """Return the derivative of each share with respect to its number."""
        inside = (self.share > -1) & (self.share < 2)
        return self._inverse_width.take(self.bins) * inside
