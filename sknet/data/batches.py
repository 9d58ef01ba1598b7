"""Mini-batches of encoded rows, from arrays, sparse matrices and tables read in blocks."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from sknet.data.row_blocks import RowBlocks


class Batch(NamedTuple):
    """Rows of a network's input, with what belongs to them.

    ``sample_weight`` is None where all weights are one.
    """

    X: Any
    y: Any = None
    sample_weight: np.ndarray | None = None


class Dataset(NamedTuple):
    """Chosen rows of a table, which itself is never copied.

    ``X`` is the whole table: an array, CSR, or ``RowBlocks``; ``y`` and ``sample_weight``
    belong to the chosen rows, and ``rows`` are their positions in the table, increasing for
    ``RowBlocks``, or None if all are chosen.
    """

    X: Any
    y: Any = None
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None

    @property
    def n_rows(self):
        """The number of chosen rows."""
        return self.X.shape[0] if self.rows is None else self.rows.size

    @property
    def positions(self):
        """The positions of the chosen rows in the table."""
        return np.arange(self.n_rows) if self.rows is None else self.rows

    def choose(self, which):
        """Return the data set of some of the rows: a slice, a mask, or an array of indices."""
        y, sample_weight = _gather(self.y, which), _gather(self.sample_weight, which)
        rows = which if self.rows is None and _are_indices(which) else self.positions[which]
        return Dataset(self.X, y, sample_weight, rows)

    def of_positive_weight(self, weight_name):
        """Return the data set of the rows of positive weight; there must be weights.

        Raises
        ------
        ValueError
            If no weight is positive; ``weight_name`` says what the weights are.
        """
        keep = self.sample_weight > 0
        if not keep.any():
            raise ValueError(f"{weight_name} must contain at least one non-zero number.")
        return self if keep.all() else self.choose(keep)

    def batch(self, which=slice(None)):
        """Return a copy of some of the rows; of a slice of all rows it may be a view."""
        rows = which if self.rows is None else self.rows[which]
        y, sample_weight = _gather(self.y, which), _gather(self.sample_weight, which)
        return Batch(_gather(self.X, rows), y, sample_weight)


def _are_indices(rows):
    return isinstance(rows, np.ndarray) and rows.dtype != bool


def _gather(array, rows):
    """Return rows of an array or sparse matrix, or None of None."""
    if array is None:
        return None
    # ndarray.take is several times faster than indexing, but copies all of an array that is
    # not C-contiguous.
    if _are_indices(rows) and isinstance(array, np.ndarray) and array.flags.c_contiguous:
        return array.take(rows, axis=0)
    return array[rows]


class Batches:
    """The rows of a data set, batch by batch; each iteration is one epoch.

    Parameters
    ----------
    data : Dataset
        All rows; its y is a float array of shape (n_rows, n_outputs).
    batch_size : int
        Rows a batch; the last batch of an epoch may be smaller.
    encode : callable or None
        ``encode(X)`` turns gathered rows into the network's input. Rows are encoded batch
        by batch, so that X is never copied whole. None: they are that already.
    rng : numpy Generator, optional
        Shuffles the rows anew for each epoch; without it they keep their order. A table
        that is read in blocks is shuffled window by window, as ``RowBlocks`` tells.
    augment : Augmentation, optional
        ``augment(batch)`` changes each encoded batch.
    """

    def __init__(self, data, batch_size, encode, rng=None, augment=None):
        self.data = data
        self.n_rows = data.n_rows
        self.batch_size = min(batch_size, self.n_rows)
        self._encode = encode
        self._augment = augment
        # A single batch is the same rows in any order.
        self._rng = rng if len(self) > 1 else None

    def choose(self, rows, rng):
        """Return batches of some rows in the given order, augmented by ``rng``."""
        augment = self._augment and replace(self._augment, rng=rng)
        return Batches(self.data.choose(rows), self.batch_size, self._encode, augment=augment)

    def __len__(self):
        return -(-self.n_rows // self.batch_size)

    def __iter__(self):
        return self._by_windows() if isinstance(self.data.X, RowBlocks) else self._at_once()

    def _by_windows(self):
        """Yield batches of the rows of one window after another, each read into memory."""
        for numbers in self.data.X.windows(self.data.rows, self.batch_size, self._rng):
            # Nothing here refers to a window when the next one is read.
            yield from Batches(
                Dataset(*self.data.batch(numbers)),
                self.batch_size,
                self._encode,
                self._rng,
                self._augment,
            )

    def _at_once(self):
        """Yield batches of rows that are all at hand."""
        order = None if self._rng is None else self._rng.permutation(self.n_rows)
        for start in range(0, self.n_rows, self.batch_size):
            rows = slice(start, start + self.batch_size)
            batch = self.data.batch(rows if order is None else order[rows])
            if self._encode is not None:
                batch = batch._replace(X=self._encode(batch.X))
            yield batch if self._augment is None else self._augment(batch)


def stack_rows(blocks, n_rows, float_dtype):
    """Return arrays of ``n_rows`` rows, filled from tuples of arrays with some rows each.

    Floating-point numbers become ``float_dtype``.
    """
    outputs: tuple[np.ndarray, ...] = ()
    start = 0
    for parts in blocks:
        if not outputs:
            outputs = tuple(_room(part, n_rows, float_dtype) for part in parts)
        stop = start + parts[0].shape[0]
        for output, part in zip(outputs, parts, strict=True):
            output[start:stop] = part
        start = stop
    return outputs


def _room(part, n_rows, float_dtype):
    """Return an empty array with the columns of ``part``."""
    dtype = float_dtype if part.dtype.kind == "f" else part.dtype
    return np.empty((n_rows, *part.shape[1:]), dtype)
