"""Tables that come in chunks, again and again: sampled, shuffled, cut into batches."""

import numpy as np

from sknet.data.batches import Batch, join, n_rows, take


def as_chunk(parts):
    """Return (X, y) or (X, y, sample_weight) as a ``Batch``, without rows of zero weight.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the lengths differ.
    """
    if not isinstance(parts, tuple | list) or len(parts) not in (2, 3):
        raise TypeError(
            f"Each chunk must be (X, y) or (X, y, sample_weight), got {type(parts).__name__}"
            f"{f' of {len(parts)}' if isinstance(parts, tuple | list) else ''}."
        )
    chunk = Batch(*(part if hasattr(part, "shape") else np.asarray(part) for part in parts))
    if chunk.sample_weight is not None:
        chunk = chunk._replace(sample_weight=np.asarray(chunk.sample_weight, np.float64))
    lengths = [part.shape[0] for part in chunk if part is not None]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"The parts of a chunk, X, y and sample_weight, have {lengths} rows; they must "
            "have as many each."
        )
    weight = chunk.sample_weight
    if weight is None or weight.ndim > 1 or weight.all():
        return chunk
    return take(chunk, np.flatnonzero(weight))


def checked(chunks, check):
    """Yield ``check(chunk)`` for each chunk that has rows, as ``as_chunk`` makes it.

    Raises
    ------
    TypeError, ValueError
        Those of ``as_chunk`` and ``check``, with the number of the chunk.
    """
    for i, parts in enumerate(chunks):
        try:
            chunk = as_chunk(parts)
            result = check(chunk) if n_rows(chunk) else None
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Chunk {i}, counted from 0: {error}") from error
        if n_rows(chunk):
            yield result


def shuffled(chunks, window, rng):
    """Yield chunks whose rows are shuffled together with those of their window.

    ``window`` chunks are held in memory, joined, shuffled and cut into as many again.
    """
    waiting = []
    for chunk in chunks:
        waiting.append(chunk)
        if len(waiting) == window:
            yield from _mixed(waiting, rng)
            waiting = []
    if waiting:
        yield from _mixed(waiting, rng)


def _mixed(chunks, rng):
    order = rng.permutation(sum(n_rows(chunk) for chunk in chunks))
    parts = np.array_split(order, len(chunks))
    together = join(chunks)
    chunks.clear()
    for rows in parts:
        yield take(together, rows)


class KeyedSample:
    """The rows with the smallest of random keys, however many rows there are.

    Each pass over the same chunks draws the same keys, so that a row is known by its key and
    no positions need be kept.

    Parameters
    ----------
    size : int
        Rows to keep.
    """

    def __init__(self, size):
        self.size = size
        self._chunks: list[Batch] = []
        self._keys: list[np.ndarray] = []
        self._limit = np.inf

    def add(self, chunk, keys):
        """Consider the rows of a chunk."""
        rows = np.flatnonzero(keys < self._limit)
        if rows.size:
            self._chunks.append(take(chunk, rows))
            self._keys.append(keys[rows])
        if sum(map(len, self._keys)) > 2 * self.size:
            self._shrink()

    def _shrink(self):
        keys = np.concatenate(self._keys)
        order = np.argsort(keys)[: self.size]
        self._chunks, self._keys = [take(join(self._chunks), order)], [keys[order]]
        if order.size == self.size:
            self._limit = self._keys[0][-1]

    def first(self, count):
        """Return the rows of the ``count`` smallest keys, the other kept ones, and the limit.

        Keys up to the limit belong to the first rows.
        """
        self._shrink()
        (chunk,), (keys,) = self._chunks, self._keys
        limit = keys[count - 1] if count else -1.0
        order = np.arange(keys.size)
        return take(chunk, order[:count]), take(chunk, order[count:]), limit


class ChunkBatches:
    """The rows of chunks, batch by batch; each iteration is one epoch.

    Parameters
    ----------
    open_chunks : callable
        ``open_chunks()`` returns an iterator over the chunks of an epoch.
    n_rows : int
        Rows that an epoch has.
    batch_size : int
        Rows a batch; the last batch of an epoch may be smaller.
    encode : callable
        ``encode(chunk)`` returns a ``Batch`` of the network's input.
    augment : callable, optional
        ``augment(batch)`` changes each encoded batch.
    """

    def __init__(self, open_chunks, n_rows, batch_size, encode, augment=None):
        self.n_rows = n_rows
        self.batch_size = min(batch_size, n_rows)
        self._open_chunks = open_chunks
        self._encode = encode
        self._augment = augment

    def __len__(self):
        return -(-self.n_rows // self.batch_size)

    def __iter__(self):
        found = 0
        for batch in self._cut():
            found += n_rows(batch)
            yield batch if self._augment is None else self._augment(batch)
        if found != self.n_rows:
            raise ValueError(
                f"The chunks had {self.n_rows} rows to train on in the first pass and {found} "
                "in a later one. Each pass must bring the same rows in the same order."
            )

    def _cut(self):
        """Yield batches of equal size, whatever the sizes of the chunks."""
        rest = []
        for chunk in self._open_chunks():
            together = join([*rest, self._encode(chunk)])
            whole = n_rows(together) - n_rows(together) % self.batch_size
            for start in range(0, whole, self.batch_size):
                yield take(together, slice(start, start + self.batch_size))
            remaining = n_rows(together) > whole
            rest = [take(together, np.arange(whole, n_rows(together)))] if remaining else []
        yield from rest
