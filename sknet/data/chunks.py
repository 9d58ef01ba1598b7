"""Tables that come in chunks of rows: checks, a random sample, shuffling and mini-batches.

A chunk is a ``Batch`` as the user passes it, whose X may be a frame.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sknet.data import frames
from sknet.data.batches import Batch, evenly_divided, evenly_spaced, join, largest_part, take
from sknet.data.kinds import LABELS, as_array, as_numbers, naming

Checked = TypeVar("Checked")
#: What a chunk's X is, and the columns of its X and y, for messages.
Form = tuple[str, str, str]


def as_chunk(parts: Any) -> Batch:
    """Return (X, y) or (X, y, sample_weight) as a ``Batch``, without rows of zero weight.

    Raises
    ------
    TypeError
        If ``parts`` is not a tuple or list of two or three items.
    ValueError
        If X, y and sample_weight have different numbers of rows, or if the weights are not
        numbers.
    """
    if not isinstance(parts, tuple | list) or len(parts) not in (2, 3):
        raise TypeError(
            f"Each chunk must be (X, y) or (X, y, sample_weight), got {type(parts).__name__}"
            f"{f' of {len(parts)}' if isinstance(parts, tuple | list) else ''}."
        )
    X, y, *given = parts
    weights = [as_numbers(one, "sample_weight") for one in given if one is not None]
    X = X if hasattr(X, "shape") else as_array(X, "X")
    y = y if hasattr(y, "shape") else as_array(y, "y", LABELS)
    chunk = Batch(X, y, *weights)
    shapes = [tuple(part.shape) for part in chunk if part is not None]
    if len({shape[:1] for shape in shapes}) > 1 or () in shapes:
        raise ValueError(
            "X, y and any sample_weight must have the same number of rows, got the shapes "
            f"{', '.join(map(str, shapes))}."
        )
    weight = chunk.sample_weight
    if weight is None or weight.ndim > 1 or weight.all():
        return chunk
    return take(chunk, np.flatnonzero(weight))


def checked(
    chunks: Iterable[Any], check: Callable[[int, Batch], Checked], *, same_columns: bool = False
) -> Iterator[Checked]:
    """Yield ``check(i, as_chunk(parts))`` for each chunk i that has rows of positive weight.

    Raises
    ------
    TypeError, ValueError
        If ``as_chunk`` or ``check`` raises it, if X changes between arrays and frames or
        between libraries, or if the columns of X or y change although ``same_columns`` is True.
        The message gives the number of the chunk.
    """
    known = None
    for i, parts in enumerate(chunks):
        with naming(f"Chunk {i}, counted from 0"):
            chunk = as_chunk(parts)
            if not chunk.n_rows:
                continue
            form = _form(chunk)
            known = known or form
            _check_form(form, known, same_columns)
            yield check(i, chunk)


def _form(chunk: Batch) -> Form:
    """Return what X is, and the columns of X and y."""
    table = frames.wrapped(chunk.X)
    of_X, of_y = (f"rows of shape {part.shape[1:]}" for part in (chunk.X, chunk.y))
    return table.kind, of_X if table.names is None else f"the columns {table.names}", of_y


def _check_form(form: Form, known: Form, same_columns: bool) -> None:
    """Check that a chunk has the form of the previous chunks.

    Raises
    ------
    ValueError
        If X is now a frame of another library, if X is a frame only now or only before, or if
        ``same_columns`` is True and the columns of X or y differ.
    """
    if form[0] != known[0]:
        raise ValueError(
            f"X is {form[0]}, but was {known[0]} in the previous chunks. Use one of them for "
            "all chunks: to_pandas() turns a polars DataFrame into a pandas DataFrame, and "
            "to_numpy() turns either into an array."
        )
    for name, now, before in zip("Xy", form[1:], known[1:], strict=True):
        if same_columns and now != before:
            raise ValueError(f"{name} has {now}, but had {before} in the previous chunks.")


def counted(chunks: Iterable[Batch], expected: int) -> Iterator[Batch]:
    """Yield the chunks of a later pass, which must have as many rows as those of the first.

    Raises
    ------
    ValueError
        If a chunk has rows beyond the expected number, or if there are fewer at the end.
    """
    found = 0
    for chunk in chunks:
        found += chunk.n_rows
        if found > expected:
            break
        yield chunk
    if found != expected:
        raise ValueError(
            f"The chunks had {expected} rows of positive weight in the first pass and "
            f"{found if found < expected else 'more'} in a later one. Each pass must yield the "
            "same rows in the same order."
        )


def shuffled(chunks: Iterable[Batch], window: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Yield the same number of chunks, the rows of ``window`` adjacent ones shuffled together.

    Memory holds ``window`` chunks and a joined copy of them.
    """
    chunks = iter(chunks)
    while together := list(islice(chunks, window)):
        yield from _mixed(together, rng)


def _mixed(chunks: list[Batch], rng: np.random.Generator) -> Iterator[Batch]:
    """Yield the shuffled rows of all chunks in the same number of chunks; empty the list."""
    together = join(chunks)
    parts = np.array_split(rng.permutation(together.n_rows), len(chunks))
    # Memory holds the chunks together with the joined copy no longer than needed.
    chunks.clear()
    for rows in parts:
        yield take(together, rows)


class KeyedSample:
    """A random sample of the rows of chunks: those with the smallest random keys.

    Each pass over the chunks draws the same keys. The key of a row tells a later pass whether
    the row was sampled, so no positions are kept.

    Parameters
    ----------
    size : int
        The number of rows to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._chunks: list[Batch] = []
        self._keys: list[np.ndarray] = []
        self._limit = math.inf

    def add(self, chunk: Batch, keys: NDArray[np.float64]) -> None:
        """Keep the rows of a chunk whose keys are small enough, given the key of each row."""
        rows = np.flatnonzero(keys < self._limit)
        if rows.size:
            self._chunks.append(take(chunk, rows))
            self._keys.append(keys[rows])
        if sum(map(len, self._keys)) > 2 * self.size:
            self._shrink()

    def _shrink(self) -> None:
        """Keep the rows with the ``size`` smallest keys in one chunk, sorted by their keys."""
        keys = np.concatenate(self._keys)
        order = np.argsort(keys)[: self.size]
        self._chunks, self._keys = [take(join(self._chunks), order)], [keys[order]]
        if order.size == self.size:
            self._limit = self._keys[0][-1]

    def first(self, count: int) -> tuple[Batch, Batch, float]:
        """Return the rows with the ``count`` smallest keys, the other kept rows, and a limit.

        The keys of the first rows are at most the limit; all other keys are larger.
        """
        self._shrink()
        (chunk,), (keys,) = self._chunks, self._keys
        limit = keys[count - 1] if count else -1.0
        order = np.arange(keys.size)
        return take(chunk, order[:count]), take(chunk, order[count:]), limit


@dataclass(eq=False)
class ChunkBatches:
    """The rows of chunks, batch by batch; each iteration is one epoch.

    The first iteration may be the rest of an interrupted epoch. It reads all chunks again, but
    does not encode those whose rows are all done.

    Parameters
    ----------
    open_chunks : callable
        ``open_chunks()`` returns an iterator over the chunks of an epoch.
    n_rows : int
        The number of rows of an epoch, which is that of all chunks together.
    batch_size : int
        The maximum number of rows of a batch. The rows of an epoch are divided evenly, so that
        the sizes of the batches do not depend on those of the chunks.
    encode : callable
        ``encode(chunk)`` returns a ``Batch`` with the input of the network.
    drawn : Batch
        Some of the checked rows, from which :meth:`sample` takes rows.
    augment : callable, optional
        ``augment(batch)`` changes each encoded batch.
    n_done : int, default=0
        The number of completed batches of the first epoch.
    tell : callable, optional
        ``tell(n_rows)`` is called with the number of rows of the epoch that are done or
        skipped. The calls come before each batch is made (when the step on the previous batch
        is over), and for each chunk whose rows are all done.
    """

    open_chunks: Callable[[], Iterable[Batch]]
    n_rows: int
    batch_size: int
    encode: Callable[[Batch], Batch]
    drawn: Batch
    augment: Callable[[Batch], Batch] | None = None
    n_done: int = 0
    tell: Callable[[int], None] = lambda n_rows: None

    def __post_init__(self) -> None:
        self.batch_size = largest_part(self.n_rows, self.batch_size)

    def sample(self, n_rows: int) -> Batch:
        """Return at most ``n_rows`` of the drawn rows, encoded but not augmented."""
        return self.encode(take(self.drawn, evenly_spaced(self.drawn.n_rows, n_rows)))

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n_done, self.n_done = self.n_done, 0
        parts = islice(evenly_divided(self.n_rows, len(self)), n_done, None)
        part, first, rest = next(parts, None), 0, list[Batch]()
        for chunk in self.open_chunks():
            if part is None or first + chunk.n_rows <= part.start:
                first += chunk.n_rows
                self.tell(first)
                continue
            together = join([*rest, self.encode(chunk)])
            stop = first + together.n_rows
            while part is not None and part.stop <= stop:
                self.tell(part.start)
                batch = take(together, slice(part.start - first, part.stop - first))
                yield batch if self.augment is None else self.augment(batch)
                part = next(parts, None)
            left = stop if part is None else part.start
            kept = np.arange(left - first, stop - first)
            rest = [take(together, kept)] if kept.size else []
            first = left
