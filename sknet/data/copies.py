"""Equal rows of a table, and whether they are copies of each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet.data.batches import Dataset

#: A table has many copies of rows if at least this share of the rows equal an earlier row.
MANY_COPIES = 1 / 3
#: Equal rows need not be copies, as in a table of few values. They are if two columns or more
#: have at least ``MOSTLY_DIFFERENT`` times as many values as there are different rows, and if,
#: of the rows that equal others, at most the share ``MOST_CONFLICTS`` equal one with a
#: different y.
MOSTLY_DIFFERENT, MOST_CONFLICTS = 0.5, 0.05
#: The smallest number of different rows of each class of a table with copies. With fewer, the
#: score of whole groups would be too uncertain to choose an epoch.
FEWEST_DIFFERENT = 30


def equal_rows(data: Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the position of the first of each set of equal rows, and the set of each row.

    Rows are equal if their values in X are, bit for bit. X is an array.
    """
    _, first, numbers = np.unique(_hashes(data), return_index=True, return_inverse=True)
    return first, numbers


def _hashes(data: Dataset) -> NDArray[np.uint64]:
    """Return a number for each row: almost certainly different ones for different rows."""
    n_columns, n_bytes = data.X.shape[1], data.X.dtype.itemsize
    factors = np.random.default_rng(0).integers(2**63, size=n_columns, dtype=np.uint64) * 2 + 1
    hashes = np.empty(data.n_rows, np.uint64)
    for start, block in data.row_blocks():
        bits = np.ascontiguousarray(block).view(f"u{n_bytes}").astype(np.uint64)
        # The last bits of round numbers are all zero.
        bits ^= bits >> np.uint64(4 * n_bytes)
        hashes[start : start + len(block)] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return hashes


def with_copies_grouped(data: Dataset, labels: NDArray[Any] | None, fraction: float) -> Dataset:
    """Return a table in which equal rows are a group, if it has many copies of rows.

    Classes are often balanced by copies of rare rows. If a copy of a training row were held
    out, the network would seem right about rows that it has memorized.

    Parameters
    ----------
    data : Dataset
    labels : array of shape (n_rows,) or None
        The classes, if y has any.
    fraction : float
        The share of the rows that is held out, which must be two groups or more.
    """
    if data.groups is not None or not isinstance(data.X, np.ndarray):
        return data
    if data.y is None or data.y.ndim != 1 or data.y.dtype.names is not None:
        return data
    first, numbers = equal_rows(data)
    if first.size * fraction < 2 or first.size > (1 - MANY_COPIES) * data.n_rows:
        return data
    classes = class_numbers(labels, data.n_rows)
    n_of_class = np.bincount(classes[first], minlength=classes.max() + 1)
    are_enough = n_of_class.min() >= FEWEST_DIFFERENT
    are_copies = are_enough and _agree(data.y, numbers) and _differ(data, first)
    return data._replace(groups=numbers) if are_copies else data


def class_numbers(labels: NDArray[Any] | None, n_rows: int) -> NDArray[np.intp]:
    """Return the number of the class of each row, which is zero if there are no labels."""
    if labels is None:
        return np.zeros(n_rows, np.intp)
    return np.unique(labels, return_inverse=True)[1]


def _agree(y: NDArray[Any], numbers: NDArray[np.intp]) -> bool:
    """Return whether nearly all rows that equal others, by number, have the same y as these."""
    values, of_row = np.unique(y, return_inverse=True)
    pairs = np.unique(numbers * values.size + of_row)
    conflicts = np.bincount(pairs // values.size) > 1
    are_several = np.bincount(numbers) > 1
    n_conflicts = np.count_nonzero(conflicts[numbers])
    return bool(n_conflicts <= MOST_CONFLICTS * np.count_nonzero(are_several[numbers]))


def _differ(data: Dataset, first: NDArray[np.intp]) -> bool:
    """Return whether at least two columns have many values in the first rows of the sets."""
    different, n_found = data.choose(first), 0
    for i in range(data.X.shape[1]):
        n_found += np.unique(different.column(i)).size >= MOSTLY_DIFFERENT * first.size
        if n_found == 2:
            return True
    return False
