"""Arrays: names for their types, and operations in the form that NumPy computes fastest."""

import math
from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

#: A dense array of float32 or float64.
Array: TypeAlias = NDArray[np.floating[Any]]
#: Rows of a network's input: a dense array or a sparse matrix in CSR format. Sparse
#: matrices are Any, since SciPy has no types.
Rows: TypeAlias = Array | Any
#: The arrays of one layer by attribute: its parameters, or the gradients of its parameters.
Views: TypeAlias = SimpleNamespace

#: The number of elements of a block. A few arrays of this size stay in the L2 cache. Two
#: threads that work on smaller blocks wait for the interpreter's lock too often.
BLOCK_SIZE = 65_536
#: For an array of at most this size, the number of calls counts more than their form.
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
    # Unlike np.matmul, dot hands a column times a row to BLAS as well. The method takes less
    # time than the function np.dot, which asks all arguments for overrides.
    return x.dot(w, out=out)


class SparseRows:
    """A sparse matrix with equally many entries in each row, for products with dense arrays.

    Its entries can be changed in place, so that one object serves for many batches.

    Parameters
    ----------
    n_rows : int
    per_row : int
        The number of entries of a row.
    n_columns : int
    dtype : dtype

    Attributes
    ----------
    values : ndarray of shape (n_rows, per_row)
        The entries, ones at first.
    places : ndarray of int of shape (n_rows, per_row)
        The columns of the entries, zeros at first.
    """

    def __init__(self, n_rows: int, per_row: int, n_columns: int, dtype: DTypeLike) -> None:
        n_entries = n_rows * per_row
        entries = np.ones(n_entries, dtype), np.zeros(n_entries, np.int32)
        starts = np.arange(0, n_entries + 1, per_row)
        self._matrix = sparse.csr_array((*entries, starts), shape=(n_rows, n_columns))
        self._transposed: Any = None
        self.values: Array = self._matrix.data.reshape(n_rows, per_row)
        self.places: NDArray[Any] = self._matrix.indices.reshape(n_rows, per_row)

    def times(self, dense: Array) -> Array:
        """Return the product with an array of ``n_columns`` rows."""
        return self._matrix @ dense

    def transposed_times(self, dense: Array) -> Array:
        """Return the product of the transposed matrix with an array of ``n_rows`` rows."""
        if self._transposed is None:
            # It shares the arrays of the entries, and predictions do not need it.
            self._transposed = self._matrix.T
        return self._transposed @ dense


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
    # NumPy compares two arrays more than twice as fast as an array and a number.
    for x_block, out_block in blocks(x, out):
        np.maximum(x_block, constant(value, x_block.shape, x.dtype), out=out_block)
    return out


#: The factor by which :func:`rounded` splits numbers of float64 at their 24th bit.
SPLITTER = 2.0**29 + 1


def rounded(x: Array) -> Array:
    """Return numbers of float64 rounded to the 24 bits of float32, in the range of float64.

    Dekker (1971), equation 5.6: the nearest number of so many bits.
    """
    scaled = x * SPLITTER
    return scaled - (scaled - x)


def negate(x: Array) -> Array:
    """Change the signs of numbers in place, and return them.

    ``np.negative`` of NumPy 2.4 reads wrong elements of one column of rows of four numbers of
    float32, or of eight of float64.
    """
    return np.multiply(x, -1, out=x)


def cosine(angle: Array, out: Array) -> None:
    """Write cos(angle) into ``out``, and change ``angle`` into what :func:`sine` needs."""
    if angle.dtype == np.float32:
        np.cos(angle, out=out)
        return
    # With t = tan(angle / 2), cos(angle) = 2 / (1 + t^2) - 1. In float64 NumPy has vector
    # instructions for the tangent alone: both functions from it take 0.1 to 0.5 of the time.
    angle *= 0.5
    np.tan(angle, out=angle)
    np.multiply(angle, angle, out=out)
    out += 1
    np.divide(2, out, out=out)
    out -= 1


def sine(changed: Array) -> Array:
    """Return sin(angle) in the place of the angle that :func:`cosine` has changed."""
    if changed.dtype == np.float32:
        return np.sin(changed, out=changed)
    # sin(angle) = 2 t / (1 + t^2)
    divisor = changed * changed
    divisor += 1
    changed *= 2
    changed /= divisor
    return changed


def constant(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a read-only array full of ``value``; small ones are remembered."""
    remember = math.prod(shape) <= BLOCK_SIZE
    return _remembered(value, shape, dtype) if remember else _full(value, shape, dtype)


def _full(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    array = np.full(shape, value, dtype)
    array.flags.writeable = False
    return array


_remembered = lru_cache(maxsize=32)(_full)


def blocks(*arrays: Array) -> Sequence[Sequence[Array]]:
    """Return the arrays, all of one shape, block by block: one block of each at a time.

    Blocks of vectors have ``BLOCK_SIZE`` numbers, and those of matrices whole rows of about so
    many.
    """
    size, n_rows = arrays[0].size, len(arrays[0])
    if size <= BLOCK_SIZE:
        return [arrays]
    step = max(1, BLOCK_SIZE * n_rows // size)
    return [[one[start : start + step] for one in arrays] for start in range(0, n_rows, step)]


def divided(start: int, stop: int, n_parts: int) -> list[int]:
    """Return the limits of at most ``n_parts`` parts of an interval, each of some blocks."""
    n_parts = max(1, min(n_parts, (stop - start) // (2 * BLOCK_SIZE)))
    return [start + (stop - start) * i // n_parts for i in range(n_parts + 1)]
