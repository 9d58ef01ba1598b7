"""Mini-batches of encoded rows, from arrays, sparse matrices and tables read in blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from sknet.data import frames
from sknet.data.joint import is_multioutput, rows_with_targets
from sknet.data.row_blocks import RowBlocks
from sknet.data.weights import LabelCounts, in_own_units

#: The number of elements of a block when a table is processed in blocks of rows or columns. It
#: limits the memory that this takes.
BLOCK_ELEMENTS = 2**19


class Batch(NamedTuple):
    """Some rows of X, with their targets and weights.

    ``y`` is None where no targets are needed, and ``sample_weight`` is None if all weights
    are one.
    """

    X: Any
    y: Any = None
    sample_weight: NDArray[np.floating] | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.X.shape[0]


def take(batch: Batch, rows: Any) -> Batch:
    """Return the rows of a batch at the given positions."""
    return Batch(*(None if part is None else frames.take_rows(part, rows) for part in batch))


def evenly_spaced(n_rows: int, n_wanted: int) -> NDArray[np.intp]:
    """Return the positions of at most ``n_wanted`` of ``n_rows`` rows, evenly spaced."""
    return np.linspace(0, n_rows - 1, min(n_rows, n_wanted)).astype(np.intp)


def start_of_part(number: int, n_parts: int, n_rows: int) -> int:
    """Return where a part begins if the sizes of the parts differ by at most one row."""
    return n_rows * number // n_parts


def evenly_divided(n_rows: int, n_parts: int) -> Iterator[slice]:
    """Yield consecutive parts of rows, whose sizes differ by at most one."""
    limits = (start_of_part(number, n_parts, n_rows) for number in range(n_parts + 1))
    return (slice(start, stop) for start, stop in pairwise(limits))


def largest_part(n_rows: int, at_most: int) -> int:
    """Return the size of the largest part if rows are divided evenly into the fewest parts.

    No part has more than ``at_most`` rows.
    """
    n_parts = -(-n_rows // at_most)
    return -(-n_rows // n_parts)


def join(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the rows of several batches, whose X come from one library.

    If only some batches have weights, the rows of the others get weights of one. If one X or y
    is sparse, so is the result.
    """
    if len(batches) == 1:
        return batches[0]
    X, y, weights = zip(*batches, strict=True)
    dtypes = {weight.dtype for weight in weights if weight is not None}
    if dtypes:
        weights = tuple(
            np.ones(batch.n_rows, np.result_type(*dtypes)) if weight is None else weight
            for batch, weight in zip(batches, weights, strict=True)
        )
    return Batch(*(None if part[0] is None else _join(part) for part in (X, y, weights)))


def _join(parts: Sequence[Any]) -> Any:
    kinds = {(frames.library(part), len(part.shape)) for part in parts}
    if len(kinds) == 1 and kinds <= {("pandas", 1), ("pandas", 2), ("polars", 2)}:
        return frames.concatenate(parts)
    if any(map(sparse.issparse, parts)):
        return sparse.vstack(parts, format="csr")
    return np.concatenate([np.asarray(part) for part in parts])


class Dataset(NamedTuple):
    """Chosen rows of a table, which is never copied whole.

    Attributes
    ----------
    X : ndarray, CSR or RowBlocks
        The whole table.
    y : array of shape (n_chosen,) or (n_chosen, n_outputs), or None
        The targets of the chosen rows.
    sample_weight : ndarray of shape (n_chosen,) or (n_chosen, n_members), or None
        The weights of the chosen rows, or of each row for each member; None if all are one.
    rows : ndarray of shape (n_chosen,), or None
        The positions of the chosen rows in the table, increasing for ``RowBlocks``; None if
        all rows are chosen.
    weight_unit : float
        The unit of the weights, or the weight of each row if ``sample_weight`` is None. It
        matters only if the rows are joined with rows that have a different unit.
    groups : ndarray of int of shape (n_chosen,), or None
        The number of the group of each chosen row, if a split must not divide groups.
    order : tuple
        The classes in the order that the dtype of the user's y declares; empty if it declares
        none.
    """

    X: Any
    y: Any = None
    sample_weight: NDArray[np.floating] | None = None
    rows: NDArray[np.intp] | None = None
    weight_unit: float = 1.0
    groups: NDArray[np.intp] | None = None
    order: tuple[Any, ...] = ()

    @property
    def n_rows(self) -> int:
        """The number of chosen rows."""
        return self.X.shape[0] if self.rows is None else self.rows.size

    @property
    def n_groups(self) -> int:
        """The number of groups of the chosen rows; without groups, each row counts as one."""
        return self.n_rows if self.groups is None else np.unique(self.groups).size

    @property
    def positions(self) -> NDArray[np.intp]:
        """The positions of the chosen rows in the table."""
        return np.arange(self.n_rows) if self.rows is None else self.rows

    @property
    def is_cross_fitted(self) -> bool:
        """Whether each row has a weight for each member."""
        return self.sample_weight is not None and self.sample_weight.ndim == 2

    def with_row_weights(self) -> "Dataset":
        """Return the rows with one weight each: that for the members that have the row."""
        if self.sample_weight is None or self.sample_weight.ndim == 1:
            return self
        return self._replace(sample_weight=self.sample_weight.max(axis=1))

    def choose(self, which: Any) -> "Dataset":
        """Return the data set of some of the rows: a slice, a mask, or an array of indices."""
        y, sample_weight = _gather(self.y, which), _gather(self.sample_weight, which)
        rows = which if self.rows is None and _are_indices(which) else self.positions[which]
        groups = _gather(self.groups, which)
        return self._replace(y=y, sample_weight=sample_weight, rows=rows, groups=groups)

    def of_positive_weight(self, weight_name: str = "Sample weights") -> "Dataset":
        """Return the data set of the rows of positive weight; without weights, of all rows.

        Raises
        ------
        ValueError
            If no weight is positive. ``weight_name`` is the name of the weights in the message.
        """
        if self.sample_weight is None:
            return self
        message = f"{weight_name} must contain at least one non-zero number."
        return self._kept(self.sample_weight > 0, message)

    def with_targets(self, name: str) -> "Dataset":
        """Return the rows that have at least one target: all rows if y has a single target.

        ``name`` is the name of y in messages.

        Raises
        ------
        ValueError
            If no row has a target.
        """
        if self.y.dtype.names is None:
            return self
        return self._kept(rows_with_targets(self.y), f"No row of {name} has a target.")

    def _kept(self, keep: NDArray[np.bool_], message: str) -> "Dataset":
        """Return the data set of the rows to keep; raise ValueError if there are none."""
        if not keep.any():
            raise ValueError(message)
        return self if keep.all() else self.choose(keep)

    def count_labels(self, numeric: bool) -> LabelCounts | None:
        """Return the counts of the labels, or None if y holds numbers or several targets.

        ``numeric`` tells whether a y of one target holds numbers.
        """
        if numeric or self.y.dtype.names is not None or is_multioutput(self.y):
            return None
        return LabelCounts.of(self.y, self.sample_weight, self.weight_unit, self.order)

    def with_user_weights(self, numeric: bool) -> "Dataset":
        """Return the rows of positive weight, with the user's weights in their own unit.

        Weights that tell classes apart count no rows (see ``LabelCounts.weighs_classes``).
        ``numeric`` is as in :meth:`count_labels`.

        Raises
        ------
        ValueError
            If there are weights, and none is positive.
        """
        counts = None if self.sample_weight is None else self.count_labels(numeric)
        return self.in_own_units(by_class=counts is not None and counts.weighs_classes)

    def in_own_units(
        self, weight_name: str = "Sample weights", *, by_class: bool = False
    ) -> "Dataset":
        """Return the rows of positive weight, with their weights in their own unit.

        ``by_class`` is as in :func:`sknet.data.weights.in_own_units`.

        Raises
        ------
        ValueError
            If there are weights, and none is positive. ``weight_name`` is the name of the
            weights in the message.
        """
        # A weight that is negligible beside the largest one becomes zero in its own unit.
        rows = self.of_positive_weight(weight_name)
        return rows.with_own_unit(by_class=by_class).of_positive_weight()

    def with_own_unit(self, *, by_class: bool = False) -> "Dataset":
        """Return the same rows, of positive weight, with their weights in their own unit.

        A weight that is negligible compared with the largest one may become zero.
        """
        if self.sample_weight is None:
            return self
        given = np.asarray(self.sample_weight, np.float64)
        weights, unit = in_own_units(given, by_class=by_class)
        return self._replace(sample_weight=weights, weight_unit=unit)

    def united(self, other: "Dataset") -> "Dataset":
        """Return the rows of two data sets of one table, in the order of the table."""
        positions = np.concatenate([self.positions, other.positions])
        order = np.argsort(positions)
        pairs = [(self.y, other.y), (self.sample_weight, other.sample_weight)]
        y, weight = (None if pair[0] is None else _join(pair)[order] for pair in pairs)
        rows = positions[order]
        return self._replace(y=y, sample_weight=weight, rows=rows, groups=None)

    def batch(self, which: Any = slice(None)) -> Batch:
        """Return a copy of some of the rows; if all rows are chosen, a slice may be a view."""
        rows = which if self.rows is None else self.rows[which]
        y, sample_weight = _gather(self.y, which), _gather(self.sample_weight, which)
        return Batch(_gather(self.X, rows), y, sample_weight)

    def sample(self, n_wanted: int) -> Batch:
        """Return at most ``n_wanted`` of the rows, evenly spaced.

        If the table is read in blocks, they are taken from the rows that it keeps in memory,
        provided that these are at least half as many as wanted.
        """
        n_wanted = min(n_wanted, self.n_rows)
        if isinstance(self.X, RowBlocks):
            kept = self.kept_rows()
            if 2 * kept.n_rows >= n_wanted:
                return take(kept, evenly_spaced(kept.n_rows, n_wanted))
        return self.batch(evenly_spaced(self.n_rows, n_wanted))

    def kept_rows(self) -> Batch:
        """Return the rows that ``RowBlocks`` keeps in memory."""
        which = positions = self.X.kept
        if self.rows is not None:
            which = np.searchsorted(self.rows, positions)
            which = which[self.rows.take(which, mode="clip") == positions]
            positions = self.rows[which]
        y, sample_weight = _gather(self.y, which), _gather(self.sample_weight, which)
        return Batch(self.X.kept_rows(positions), y, sample_weight)

    def column(self, i: int) -> NDArray[np.floating]:
        """Return the chosen rows of a column of an array."""
        return _gather(self.X[:, i], self.rows) if self.rows is not None else self.X[:, i]

    def row_blocks(self) -> Iterator[tuple[int, Any]]:
        """Yield the rows of X in blocks, each with the number of its first row."""
        in_memory = max(1, BLOCK_ELEMENTS // max(1, self.X.shape[1]))
        step = self.X.block_rows if isinstance(self.X, RowBlocks) else in_memory
        for start in range(0, self.n_rows, step):
            yield start, self.batch(slice(start, start + step)).X

    def column_blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield the chosen rows of X in blocks of columns, each with the slice of columns."""
        step = max(1, BLOCK_ELEMENTS // self.n_rows)
        for start in range(0, self.X.shape[1], step):
            columns = slice(start, start + step)
            yield columns, self._replace(X=self.X[:, columns]).batch().X


def _are_indices(rows: Any) -> bool:
    return isinstance(rows, np.ndarray) and rows.dtype.kind != "b"


def _gather(array: Any, rows: Any) -> Any:
    """Return the given rows of an array, a sparse matrix or RowBlocks; None for None."""
    if array is None:
        return None
    # ndarray.take is several times faster than indexing, but it copies the whole of an array
    # that is not C-contiguous.
    if _are_indices(rows) and isinstance(array, np.ndarray) and array.flags.c_contiguous:
        return array.take(rows, axis=0)
    return array[rows]


@dataclass(eq=False)
class Batches:
    """The rows of a data set, batch by batch; each iteration is one epoch.

    Parameters
    ----------
    data : Dataset
        All rows; its y is a float array of shape (n_rows, n_outputs).
    batch_size : int
        The maximum number of rows of a batch. The rows of an epoch are divided evenly, since a
        step on a few remaining rows would be mostly noise.
    encode : callable or None
        ``encode(X)`` turns rows into the input of the network. It is called for each batch, so
        that X is never copied whole. None if the rows are encoded already.
    rng : numpy Generator, optional
        Shuffles the rows anew for each epoch; without it, they keep their order. A table that
        is read in blocks is shuffled window by window (see ``RowBlocks``).
    augment : callable, optional
        ``augment(batch)`` changes each encoded batch.
    """

    data: Dataset
    batch_size: int
    encode: Callable[[Any], Any] | None
    rng: np.random.Generator | None = None
    augment: Callable[[Batch], Batch] | None = None

    def __post_init__(self) -> None:
        # The shares of a batch (see ``sknet.nn.shares``) are equal only if its real size is
        # known.
        self.batch_size = largest_part(self.n_rows, self.batch_size)
        # The order of the rows does not matter within a single batch.
        self.rng = self.rng if len(self) > 1 else None

    @property
    def n_rows(self) -> int:
        """The number of rows of an epoch."""
        return self.data.n_rows

    def sample(self, n_rows: int) -> Batch:
        """Return at most ``n_rows`` evenly spaced rows, encoded but not augmented."""
        rows = self.data.sample(n_rows)
        return rows if self.encode is None else rows._replace(X=self.encode(rows.X))

    def without_columns(self) -> "Batches":
        """Return the batches with only y and weights, so that no row of X is read."""
        no_columns = np.empty((self.data.X.shape[0], 0))
        return Batches(self.data._replace(X=no_columns), self.batch_size, None)

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if isinstance(self.data.X, RowBlocks):
            return self._by_windows(self.data.X)
        return self._from_memory()

    def _by_windows(self, blocks: RowBlocks) -> Iterator[Batch]:
        """Yield the batches window by window; each window is read into memory."""
        for numbers in blocks.windows(self.data.rows, self.batch_size, self.rng):
            # No variable refers to a window when the next one is read, so memory holds only
            # one.
            yield from replace(self, data=Dataset(*self.data.batch(numbers)))

    def _from_memory(self) -> Iterator[Batch]:
        """Yield the batches of rows that are in memory."""
        order = None if self.rng is None else self.rng.permutation(self.n_rows)
        for rows in evenly_divided(self.n_rows, len(self)):
            batch = self.data.batch(rows if order is None else order[rows])
            if self.encode is not None:
                batch = batch._replace(X=self.encode(batch.X))
            yield batch if self.augment is None else self.augment(batch)


def stack_rows(
    blocks: Iterable[tuple[NDArray[Any], ...]], n_rows: int, float_dtype: DTypeLike
) -> tuple[NDArray[Any], ...]:
    """Return arrays of ``n_rows`` rows, filled from blocks with some rows of each array.

    Floating-point numbers become ``float_dtype``, and are clipped to its range.
    """
    outputs: tuple[np.ndarray, ...] = ()
    start = 0
    for parts in blocks:
        if not outputs:
            dtypes = [float_dtype if one.dtype.kind == "f" else one.dtype for one in parts]
            pairs = zip(parts, dtypes, strict=True)
            outputs = tuple(np.empty((n_rows, *one.shape[1:]), dtype) for one, dtype in pairs)
        stop = start + len(parts[0])
        for output, part in zip(outputs, parts, strict=True):
            output[start:stop] = in_range(part, output.dtype)
        start = stop
    return outputs


def in_range(part: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return numbers, clipped to the range of a dtype if that is smaller than their own."""
    dtype = np.dtype(dtype)
    if part.dtype.itemsize <= dtype.itemsize:
        return part
    largest = float(np.finfo(dtype).max)
    return part.clip(-largest, largest)
