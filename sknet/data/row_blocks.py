"""Tables larger than memory, which are read in blocks of rows."""

import copy
import math
from collections.abc import Callable, Iterator
from itertools import pairwise, starmap
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from sknet._requirements import check_count, main_memory

#: The approximate size of a block in bytes. Reading this much takes long compared with a seek.
BLOCK_BYTES = 2**20
#: The size in bytes of the rows that are held in memory and shuffled together.
WINDOW_BYTES = 2**26
#: The maximum number of rows that stay in memory after the first pass over a table, and their
#: maximum size in bytes, which may be exceeded to keep ``FEWEST_KEPT`` rows.
MOST_KEPT, KEPT_BYTES, FEWEST_KEPT = 1000, 2**23, 128


class RowBlocks:
    """A table that stays where it is and is read in blocks of rows.

    Estimators read some tables in blocks without being told: objects such as h5py datasets and
    zarr arrays, and memory maps larger than half of the main memory. Wrap X yourself to choose
    the sizes, or to have a smaller memory map read in blocks.

    An epoch visits the blocks in random order. As many blocks as fill a window are held in
    memory, and their rows are shuffled together.

    Parameters
    ----------
    source : object
        Anything with ``shape`` (n_rows, n_columns), a NumPy ``dtype`` of numbers, and slicing
        by rows: ``source[start:stop]`` is an array of these rows, or an object that
        ``numpy.asarray`` turns into one. If it has ``chunks``, as in h5py and zarr, blocks
        are made of whole chunks by default.
    block_rows : int, default=None
        The number of rows that are read together. None means about 1 MiB, in whole chunks.
    window_rows : int, default=None
        The number of rows that are held in memory and shuffled together. None means 64 MiB, but
        at least one block.

    Attributes
    ----------
    shape : tuple of two int
        The numbers of rows and of columns.
    dtype : dtype
        The dtype of the blocks: float32 for float32 sources, else float64.

    Raises
    ------
    TypeError
        If ``source`` has no shape, no dtype or no slicing, or if it is a sparse matrix.
    ValueError
        If it does not have two dimensions, if it has no rows or no columns, if it does not
        hold numbers, or if a size is not a positive integer.

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

    def __init__(
        self, source: Any, *, block_rows: int | None = None, window_rows: int | None = None
    ) -> None:
        self._source = source
        self.shape: tuple[int, int] = _checked_shape(source)
        self._to_numbers: Callable[[Any], NDArray[Any]] = np.asarray
        single = source.dtype == np.float32
        self.dtype: np.dtype[np.floating] = np.dtype(np.float32 if single else np.float64)
        row_bytes = self.shape[1] * self.dtype.itemsize
        for name, size in [("block_rows", block_rows), ("window_rows", window_rows)]:
            if size is not None:
                check_count(name, size)
        self.block_rows: int = int(block_rows or _whole_chunks(source, row_bytes))
        room = max(self.block_rows, WINDOW_BYTES // row_bytes)
        self.window_rows: int = int(window_rows or room)
        n_kept = max(FEWEST_KEPT, min(MOST_KEPT, KEPT_BYTES // row_bytes))
        self._kept_step = -(-self.shape[0] // n_kept)
        self._kept: dict[int, NDArray[np.floating]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A copy may turn rows into other numbers, and a pickle should not hold rows.
        return {**vars(self), "_kept": {}}

    def __len__(self) -> int:
        return self.shape[0]

    def read_by(self, read: Callable[[Any], NDArray[Any]]) -> "RowBlocks":
        """Return the same table, whose blocks the given function turns into numbers."""
        blocks = copy.copy(self)
        blocks._to_numbers = read
        return blocks

    @property
    def kept(self) -> NDArray[np.intp]:
        """The positions of the evenly spaced rows that stay in memory once they are read."""
        return np.array(sorted(self._kept), np.intp)

    def kept_rows(self, positions: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return the rows at some of the :attr:`kept` positions."""
        rows = [self._kept[i] for i in positions.tolist()]
        return np.array(rows, self.dtype).reshape(-1, self.shape[1])

    def __repr__(self) -> str:
        return (
            f"RowBlocks(shape={self.shape}, dtype={self.dtype}, block_rows={self.block_rows}, "
            f"window_rows={self.window_rows})"
        )

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Return all rows, read into memory."""
        if copy is False:
            raise ValueError("RowBlocks is read into a new array: copy=False is impossible.")
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows: Any) -> NDArray[np.floating]:
        """Return the rows at a slice, a mask, indices or one index, as an array does."""
        positions = self._positions(rows)
        if positions.ndim and (positions[1:] > positions[:-1]).all():
            return self._take(positions)
        distinct, places = np.unique(positions, return_inverse=True)
        return self._take(distinct)[places]

    def _positions(self, rows: Any) -> NDArray[np.intp]:
        """Return the positions, counted from 0, that a slice, a mask or indices choose.

        The index may also choose all columns, as scikit-learn's ``X[rows, ...]`` does.

        Raises
        ------
        IndexError
            If the index chooses columns, or if a row does not exist.
        """
        n_rows = self.shape[0]
        if isinstance(rows, tuple):
            rows, *others = rows or (slice(None),)
            if any(other is not Ellipsis and other != slice(None) for other in others):
                raise IndexError("RowBlocks is indexed by rows only: use X[rows][:, columns].")
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
                f"booleans, got dtype {rows.dtype} and shape {rows.shape}."
            )
        if (outside := rows[(rows < -n_rows) | (rows >= n_rows)]).size:
            raise IndexError(
                f"Positions of rows must be from {-n_rows} to {n_rows - 1}, got {outside[0]}."
            )
        return rows.astype(np.intp) % n_rows

    def _take(self, positions: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return the rows at strictly increasing positions.

        Each block is read once.
        """
        out = np.empty((positions.size, self.shape[1]), self.dtype)
        blocks = positions // self.block_rows
        # Where each block begins among the positions, and where the last one ends.
        limits = np.flatnonzero(np.diff(blocks, prepend=-1, append=-1))
        for start, stop in pairwise(limits):
            here = positions[start:stop]
            block = self._read(int(here[0]), int(here[-1]) + 1)
            whole = len(block) == here.size
            out[start:stop] = block if whole else block.take(here - here[0], axis=0)
        return out

    def _read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Return consecutive rows as numbers, which may be NaN.

        Raises
        ------
        TypeError
            If the source cannot be sliced by rows.
        ValueError
            If the shape of the rows is not that of the source, or if they hold infinity.
        """
        try:
            block = np.asarray(self._source[start:stop])
        except TypeError as error:
            raise TypeError(
                f"X[{start}:{stop}] fails, with X of type {_type_name(self._source)}: {error}. "
                "Pass an X that can be sliced by rows, or a NumPy array."
            ) from error
        if block.shape != (stop - start, self.shape[1]):
            raise ValueError(
                f"X[{start}:{stop}] has shape {block.shape}, but X.shape={self.shape} promises "
                f"{(stop - start, self.shape[1])}. A slice must have all rows and columns that "
                "X.shape promises."
            )
        block = self._to_numbers(block).astype(self.dtype, copy=False)
        # If the sum is finite, all of its terms are.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not math.isfinite(block.sum())
        if suspicious and np.isinf(block).any():
            raise ValueError(
                f"Input X contains infinity or a value too large for {self.dtype}, in rows "
                f"{start} to {stop - 1}."
            )
        # The first multiple of the step that is not before the start, and those after it.
        for i in range(start + -start % self._kept_step, stop, self._kept_step):
            self._kept[i] = block[i - start].copy()
        return block

    def check_finite(self) -> None:
        """Read all blocks to find infinity.

        Raises
        ------
        ValueError
            If a block holds infinity.
        """
        for start in range(0, self.shape[0], self.block_rows):
            self._read(start, min(start + self.block_rows, self.shape[0]))

    def windows(
        self, rows: NDArray[np.intp] | None, batch_size: int, rng: np.random.Generator | None
    ) -> Iterator[NDArray[np.intp]]:
        """Return an iterator over the increasing numbers of the rows of each window.

        Parameters
        ----------
        rows : ndarray of int or None
            Increasing positions of the chosen rows, which are numbered from 0; None if all
            rows are chosen.
        batch_size : int
            The maximum number of rows of a batch. Each window has whole batches of an epoch
            whose rows are divided evenly.
        rng : numpy Generator or None
            Draws the order of the blocks; without it, they keep their order.
        """
        edges = np.append(np.arange(0, self.shape[0], self.block_rows), self.shape[0])
        begins = edges if rows is None else np.searchsorted(rows, edges)
        order = np.arange(edges.size - 1) if rng is None else rng.permutation(edges.size - 1)
        sizes = np.diff(begins)[order]
        # In the epoch, the rows of block order[k] are at the places just before ends[k].
        ends = np.cumsum(sizes)
        shifts = begins[order] - (ends - sizes)
        n_rows = int(begins[-1])
        n_batches, per_window = -(-n_rows // batch_size), max(1, self.window_rows // batch_size)
        limits = [n_rows * first // n_batches for first in range(0, n_batches, per_window)]

        def window(start: int, stop: int) -> NDArray[np.intp]:
            places = np.arange(start, stop)
            return np.sort(places + shifts[np.searchsorted(ends, places, side="right")])

        return starmap(window, pairwise([*limits, n_rows]))


def as_row_blocks(X: Any) -> RowBlocks | None:
    """Return X as ``RowBlocks`` if it must be read in blocks, else None.

    Raises
    ------
    TypeError, ValueError
        If X is neither a frame nor an array nor a sparse matrix, and ``RowBlocks`` refuses it.
    """
    if isinstance(X, RowBlocks):
        return X
    if isinstance(X, np.memmap):
        too_large = X.size * (4 if X.dtype == np.float32 else 8) > main_memory() / 2
        return RowBlocks(X) if too_large else None
    if isinstance(X, np.ndarray | np.generic) or sparse.issparse(X):
        return None
    # A tensor of another library has no NumPy dtype, and is converted as a whole.
    described = isinstance(getattr(X, "dtype", None), np.dtype) and hasattr(X, "shape")
    sliceable = described and len(X.shape) > 1 and hasattr(X, "__getitem__")
    return RowBlocks(X) if sliceable or (described and not hasattr(X, "__array__")) else None


def _type_name(source: Any) -> str:
    """Return the full name of the type of a source."""
    return f"{type(source).__module__}.{type(source).__qualname__}"


def _checked_shape(source: Any) -> tuple[int, int]:
    """Return the shape of an object, after checks that it can be a source of ``RowBlocks``."""
    if sparse.issparse(source):
        raise TypeError("X is a sparse matrix: pass it to the estimator, without RowBlocks.")
    lacking = [name for name in ("shape", "dtype", "__getitem__") if not hasattr(source, name)]
    if lacking:
        raise TypeError(
            f"X is of type {_type_name(source)}, which lacks {', '.join(lacking)}. To be read "
            "in blocks, X needs shape, dtype and slicing by rows, X[start:stop]. Otherwise, "
            "pass a NumPy array."
        )
    shape = tuple(source.shape)
    if len(shape) != 2:
        raise ValueError(f"Expected 2D X, got shape {shape}. Give it one row for each sample.")
    if not all(isinstance(size, Integral) for size in shape):
        raise ValueError(f"The number of rows or columns of X is unknown: shape {shape}.")
    for size, what in zip(shape, ["sample(s)", "feature(s)"], strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={shape}) while a minimum of 1 is required."
            )
    if np.dtype(source.dtype).kind not in "fiub":
        raise ValueError(f"Blocks of X must hold real numbers, got dtype {source.dtype}.")
    return int(shape[0]), int(shape[1])


def _whole_chunks(source: Any, row_bytes: int) -> int:
    """Return the number of rows of the largest block of whole chunks; at least one chunk."""
    chunks = getattr(source, "chunks", None)
    # Dask has a tuple of sizes for each axis.
    chunk_rows = int(np.max(chunks[0])) if chunks else 1
    return chunk_rows * max(1, BLOCK_BYTES // (row_bytes * chunk_rows))
