"""Mini-batches of encoded rows, from arrays, memory maps and sparse matrices."""

from typing import Any, NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Rows of X, with what belongs to them: a mini-batch, or a whole data set.

    ``sample_weight`` is None where all weights are one; ``rows`` are the positions in what
    the user gave, where they matter.
    """

    X: Any
    y: Any = None
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None

    def take(self, rows):
        """Return the given rows: a slice, a mask, or an array of indices."""
        return Batch(*[None if one is None else gather(one, rows) for one in self])


def gather(array, rows):
    """Return rows of an array or sparse matrix: a slice, a mask, or indices in any order."""
    # ndarray.take is several times faster than indexing, but copies all of an array that is
    # not C-contiguous.
    indices = isinstance(rows, np.ndarray) and rows.dtype != bool
    if indices and isinstance(array, np.ndarray) and array.flags.c_contiguous:
        return array.take(rows, axis=0)
    return array[rows]


class Batches:
    """The rows of a data set, batch by batch; each iteration is one epoch.

    Parameters
    ----------
    data : Batch
        All rows: X dense or CSR, y a float array of shape (n_rows, n_outputs).
    batch_size : int
        Rows a batch; the last batch of an epoch may be smaller.
    encode : callable or None
        ``encode(X)`` turns gathered rows into the network's input. Rows are encoded batch
        by batch, so that X is never copied whole. None: they are that already.
    rng : numpy Generator, optional
        Shuffles the rows anew for each epoch; without it they keep their order.
    augment : callable, optional
        ``augment(batch)`` changes each encoded batch.
    """

    def __init__(self, data, batch_size, encode, rng=None, augment=None):
        self.data = data
        self.n_rows = data.X.shape[0]
        self.batch_size = min(batch_size, self.n_rows)
        self._encode = encode
        self._augment = augment
        # A single batch is the same rows in any order.
        self._rng = rng if len(self) > 1 else None

    def __len__(self):
        return -(-self.n_rows // self.batch_size)

    def __iter__(self):
        order = None if self._rng is None else self._rng.permutation(self.n_rows)
        for start in range(0, self.n_rows, self.batch_size):
            rows = slice(start, start + self.batch_size)
            batch = self.data.take(rows if order is None else order[rows])
            if self._encode is not None:
                batch = batch._replace(X=self._encode(batch.X))
            yield batch if self._augment is None else self._augment(batch)
