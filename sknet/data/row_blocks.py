"""Tables larger than memory, which are read in blocks of rows."""

import copy
import math
import os
from numbers import Integral

import numpy as np
from scipy import sparse

from sknet.data.counts import check_count
from sknet.data.tables import is_frame

#: About how many bytes are read at a time: far more than seeking costs.
BLOCK_BYTES = 2**20
#: Bytes of the rows that are held in memory and shuffled together.
WINDOW_BYTES = 2**26


class RowBlocks:
    """A table that stays where it is and is read in blocks of rows.

    Estimators wrap by themselves what they recognise: objects such as the datasets of h5py
    and the arrays of zarr, and memory maps larger than half of the main memory. Wrap X
    yourself to choose the sizes, or to have a smaller memory map read in blocks too.

    An epoch visits the blocks in random order; as many as fill a window are held in memory
    and their rows shuffled together.

    Parameters
    ----------
    source : object
        Anything with ``shape`` (n_rows, n_columns), a NumPy ``dtype`` of numbers, and
        slicing: ``source[start:stop]`` is, or ``numpy.asarray`` makes it, an array of those
        rows. If it has ``chunks``, as in h5py and zarr, blocks are made of whole chunks.
    block_rows : int, default=None
        Rows that are read at a time. None: about 1 MiB, in whole chunks.
    window_rows : int, default=None
        Rows that are held in memory and shuffled together. None: 64 MiB, at least a block.

    Attributes
    ----------
    shape : tuple of two int
    dtype : dtype
        That of the blocks: float32 for float32 sources, else float64.

    Raises
    ------
    TypeError
        If ``source`` lacks what is asked of it, or is a sparse matrix.
    ValueError
        If it has no two dimensions, no rows or no columns, if it does not hold numbers, or if
        the sizes are no positive integers.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet import NNRegressor
    >>> from sknet.streaming import RowBlocks
    >>> X = np.random.default_rng(0).normal(size=(5000, 3))
    >>> network = NNRegressor((16,), max_iter=20, learning_rate="cosine",
    ...                       learning_rate_init=0.01, random_state=0)
    >>> blocks = RowBlocks(X, block_rows=100, window_rows=1000)
    >>> network.fit(blocks, X[:, 0]).score(blocks, X[:, 0]) > 0.9
    True
    """

    def __init__(self, source, *, block_rows=None, window_rows=None):
        self._source = source
        self._reader = None
        self.shape = _checked_shape(source)
        single = source.dtype == np.float32
        self.dtype = np.dtype(np.float32 if single else np.float64)
        row_bytes = self.shape[1] * self.dtype.itemsize
        self.block_rows = _size("block_rows", block_rows, _whole_chunks(source, row_bytes))
        room = max(self.block_rows, WINDOW_BYTES // row_bytes)
        self.window_rows = _size("window_rows", window_rows, room)

    def __len__(self):
        return self.shape[0]

    def read_by(self, reader):
        """Return the same table as a ``TableReader`` reads its blocks; None: as they are."""
        table = copy.copy(self)
        table._reader = reader
        return table

    def __repr__(self):
        return (
            f"RowBlocks(shape={self.shape}, dtype={self.dtype}, block_rows={self.block_rows}, "
            f"window_rows={self.window_rows})"
        )

    def __array__(self, dtype=None, copy=None):
        """Return all rows, read into memory."""
        if copy is False:
            raise ValueError("RowBlocks are read into a new array: copy=False is impossible.")
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows):
        """Return chosen rows as an array does, given a slice, a mask, indices, or one index."""
        if isinstance(rows, tuple):
            rows = _without_columns(rows)
        positions = self._positions(rows)
        if positions.ndim == 0:
            return self._take(positions[np.newaxis])[0]
        if (positions[1:] >= positions[:-1]).all():
            return self._take(positions)
        order = np.argsort(positions, kind="stable")
        out = np.empty((positions.size, self.shape[1]), self.dtype)
        out[order] = self._take(positions[order])
        return out

    def _positions(self, rows):
        """Return the positions from 0 on that are chosen by a slice, a mask or indices."""
        n_rows = self.shape[0]
        if isinstance(rows, slice):
            return np.arange(*rows.indices(n_rows))
        rows = np.asarray(rows)
        if rows.size == 0:
            rows = rows.astype(int)
        if rows.dtype == bool and rows.shape == (n_rows,):
            return np.flatnonzero(rows)
        if rows.dtype.kind not in "iu" or rows.ndim > 1:
            raise IndexError(
                f"Rows of RowBlocks are chosen by a slice, integers, or a mask of {n_rows} "
                f"truth values, got dtype {rows.dtype} and shape {rows.shape}."
            )
        if ((rows < -n_rows) | (rows >= n_rows)).any():
            raise IndexError(f"Rows {rows.min()} to {rows.max()} are asked of {n_rows} rows.")
        positions = rows.astype(np.intp)
        return np.where(positions < 0, positions + n_rows, positions)

    def _take(self, positions):
        """Return the rows at increasing positions."""
        out = np.empty((positions.size, self.shape[1]), self.dtype)
        blocks = positions // self.block_rows
        start = 0
        for stop in [*(np.flatnonzero(np.diff(blocks)) + 1), positions.size]:
            here = positions[start:stop]
            if here.size:
                block = self._read(here[0], here[-1] + 1)
                whole = len(block) == here.size
                out[start:stop] = block if whole else block.take(here - here[0], axis=0)
            start = stop
        return out

    @property
    def _edges(self):
        """Where the blocks begin, and where the last one ends."""
        return np.append(np.arange(0, self.shape[0], self.block_rows), self.shape[0])

    def _read(self, start, stop):
        """Return neighbouring rows as finite numbers or NaN."""
        start, stop = int(start), int(stop)
        try:
            block = np.asarray(self._source[start:stop])
        except TypeError as error:
            raise TypeError(
                f"X is {_kind(self._source)}, of which X[{start}:{stop}] fails: {error}. To be "
                "read in blocks of rows, X must be sliced by rows; else pass a NumPy array."
            ) from error
        if block.shape != (stop - start, self.shape[1]):
            raise ValueError(
                f"X[{start}:{stop}] has shape {block.shape}, but X.shape={self.shape} promises "
                f"{(stop - start, self.shape[1])}: all rows must have the same columns."
            )
        if self._reader is not None:
            block = self._reader.read(block)
        block = block.astype(self.dtype, copy=False)
        # A sum that is finite has no summand that is not.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not math.isfinite(block.sum())
        if suspicious and np.isinf(block).any():
            raise ValueError(
                f"Input X contains infinity or a value too large for {self.dtype}, in rows "
                f"{start} to {stop - 1}."
            )
        return block

    def check_finite(self):
        """Raise for infinity in any block, reading all of them."""
        for start in range(0, self.shape[0], self.block_rows):
            self._read(start, min(start + self.block_rows, self.shape[0]))

    def windows(self, rows, batch_size, rng=None):
        """Yield the numbers of the rows of each window, in increasing order.

        Parameters
        ----------
        rows : ndarray of int or None
            Increasing positions of the rows to choose from; their numbers count from 0.
        batch_size : int
            A window has a multiple of it, the last one apart.
        rng : numpy Generator, optional
            Brings the blocks in random order.
        """
        edges = self._edges
        begins = edges if rows is None else np.searchsorted(rows, edges)
        order = np.arange(edges.size - 1) if rng is None else rng.permutation(edges.size - 1)
        sizes = np.diff(begins)[order]
        # In the order of the epoch, block order[k] takes the places up to ends[k].
        ends = np.cumsum(sizes)
        step = batch_size * max(1, self.window_rows // batch_size)
        for start in range(0, begins[-1], step):
            stop = min(start + step, begins[-1])
            first, last = np.searchsorted(ends, [start, stop - 1], side="right")
            parts = []
            for k in range(first, last + 1):
                place = ends[k] - sizes[k]
                inside = np.arange(max(start, place), min(stop, ends[k]))
                parts.append(inside + (begins[order[k]] - place))
            yield np.sort(np.concatenate(parts))


class ChosenRows:
    """Some rows of a table that is read in blocks, as a table of that kind.

    ``positions`` are increasing.
    """

    def __init__(self, table, positions):
        self._table = table
        self._positions = positions
        self.shape = (positions.size, table.shape[1])
        self.dtype = table.dtype

    def __getitem__(self, rows):
        return self._table[self._positions[rows]]


def as_row_blocks(X):
    """Return X as ``RowBlocks`` if it shall be read in blocks, else None.

    Raises
    ------
    TypeError, ValueError
        If X is none of the usual tables, and cannot be read in blocks either.
    """
    if isinstance(X, RowBlocks):
        return X
    if isinstance(X, np.memmap):
        single = X.dtype == np.float32
        too_large = X.size * (4 if single else 8) > main_memory() / 2
        return RowBlocks(X) if too_large else None
    if isinstance(X, np.ndarray | np.generic) or sparse.issparse(X) or is_frame(X):
        return None
    # Tensors of other libraries have dtypes of their own.
    described = isinstance(getattr(X, "dtype", None), np.dtype) and hasattr(X, "shape")
    if not described or (hasattr(X, "__array__") and len(X.shape) < 2):
        return None
    return RowBlocks(X) if hasattr(X, "__getitem__") or not hasattr(X, "__array__") else None


def main_memory():
    """Return the bytes of main memory; infinity where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def distinct_values(table, columns):
    """Return an array with the distinct values of some columns of a table, read in blocks.

    The shorter ones of these columns repeat their last value; the other columns are zero.
    """
    found = [np.empty(0, table.dtype) for _ in columns]
    for start in range(0, table.shape[0], table.block_rows):
        block = table[start : start + table.block_rows]
        found = [
            np.union1d(values, block[:, column])
            for values, column in zip(found, columns, strict=True)
        ]
    out = np.zeros((max(map(len, found)), table.shape[1]), table.dtype)
    for values, column in zip(found, columns, strict=True):
        out[:, column] = np.pad(values, (0, len(out) - len(values)), mode="edge")
    return out


def _without_columns(index):
    """Return the rows of an index such as scikit-learn's ``X[rows, ...]``."""
    rows, *others = index or (slice(None),)
    if any(other is not Ellipsis and other != slice(None) for other in others):
        raise IndexError(
            "RowBlocks are indexed by rows only, to choose columns use X[rows][:, columns]."
        )
    return rows


def _kind(source):
    return f"of type {type(source).__module__}.{type(source).__qualname__}"


def _checked_shape(source):
    """Return the shape of a source that keeps to the protocol."""
    if sparse.issparse(source):
        raise TypeError(
            "X is a sparse matrix, which is not read in blocks of rows: pass it to the "
            "estimator itself, without RowBlocks."
        )
    lacking = [name for name in ("shape", "dtype", "__getitem__") if not hasattr(source, name)]
    if lacking:
        raise TypeError(
            f"X is {_kind(source)} without {', '.join(lacking)}. To be read in blocks of rows "
            "it needs shape, dtype and slicing by rows, X[start:stop]; else pass a NumPy array."
        )
    shape = tuple(source.shape)
    if len(shape) != 2:
        raise ValueError(
            f"Expected 2D X, got {len(shape)} dimension(s): shape {shape}. Give each row's "
            "numbers one axis."
        )
    if not all(isinstance(size, Integral) for size in shape):
        raise ValueError(f"The number of rows or columns of X is unknown: shape {shape}.")
    for size, what in zip(shape, ["sample(s)", "feature(s)"], strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={shape}) while a minimum of 1 is required."
            )
    if np.dtype(source.dtype).kind not in "fiub":
        raise ValueError(
            f"X must hold real numbers to be read in blocks of rows, got dtype {source.dtype}."
        )
    return tuple(map(int, shape))


def _whole_chunks(source, row_bytes):
    """Return the rows of a block: whole chunks of the source, as many as fit."""
    chunks = getattr(source, "chunks", None)
    # Dask has a tuple of sizes for each axis.
    chunk_rows = int(np.max(chunks[0])) if chunks else 1
    return chunk_rows * max(1, BLOCK_BYTES // (row_bytes * chunk_rows))


def _size(name, value, default):
    """Return a size that was given, or else the default."""
    if value is None:
        return default
    check_count(name, value)
    return int(value)
