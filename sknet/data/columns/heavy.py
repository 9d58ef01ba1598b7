"""Heavy values: single values of a numeric column that hold far more rows than those around.

A zero that most rows have, a cap, a code or a round number often means something of its own. A
smooth function of the number cannot tell it from the values beside it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknet.data.batches import Dataset
from sknet.data.columns.column import Column, Feature, Region, number_text
from sknet.data.columns.scaling import coarser
from sknet.data.weights import repetitions

Floats = NDArray[np.floating]

#: A heavy value has at least this share of the rows, and so many rows.
LEAST_SHARE, LEAST_ROWS = 0.002, 20
#: It has at least ``LEAST_RATIO`` times as many rows as the median of the values around it, of
#: which there are ``NEIGHBOURS`` on each side.
LEAST_RATIO, NEIGHBOURS = 5, 3
#: The largest number of heavy values of a column. If there are more, the heaviest count.
MOST_VALUES = 32


def heavy_values(data: Dataset) -> dict[int, NDArray[np.float64]]:
    """Return the increasing heavy values of each column that has some, by its position.

    A weight that is a count equals so many rows. Other weights do not say how often a row was
    seen, and each row counts once, so that no row with a large weight is heavy by itself. A
    column of two values has no heavy value: the number itself tells which of them it is.
    """
    found = {}
    repeated = repetitions(data.sample_weight)
    for columns, block in data.column_blocks():
        for i in _candidates(block, repeated):
            values = _of_column(block[:, i], repeated)
            if values.size:
                found[int(columns.start + i)] = values
    return found


def _candidates(block: Floats, repeated: Floats | None) -> NDArray[np.intp]:
    """Return the positions of the columns that may have a heavy value."""
    n_rows, n_columns = block.shape
    least = math.ceil(max(LEAST_SHARE * (~np.isnan(block)).sum(axis=0).min(), LEAST_ROWS))
    if repeated is not None or n_rows < least:
        return np.arange(n_columns)
    # Among sorted numbers, a value of so many rows is found again so many places later.
    ordered = np.sort(block, axis=0)
    repeated = ordered[least - 1 :] == ordered[: n_rows - least + 1]
    return np.flatnonzero(repeated.any(axis=0))


def _of_column(x: Floats, repeated: Floats | None) -> NDArray[np.float64]:
    """Return the increasing heavy values of a column."""
    known = ~np.isnan(x)
    values, places = np.unique(x[known], return_inverse=True)
    if values.size < 3:
        return np.empty(0)
    counts = np.bincount(places, None if repeated is None else repeated[known])
    n_rows = counts.sum()
    many = np.flatnonzero(counts >= max(LEAST_SHARE * n_rows, LEAST_ROWS)).tolist()
    heavy = [i for i in many if counts[i] >= LEAST_RATIO * _around(counts, i)]
    heaviest = sorted(heavy, key=lambda i: -counts[i])[:MOST_VALUES]
    return values[sorted(heaviest)].astype(np.float64)


def _around(counts: NDArray[Any], i: int) -> float:
    """Return the median of the counts of the neighbours of a value."""
    left, right = counts[max(0, i - NEIGHBOURS) : i], counts[i + 1 : i + 1 + NEIGHBOURS]
    return float(np.median(np.concatenate([left, right])))


class HeavyFlags(Feature):
    """Indicators of the heavy values of numeric columns.

    Parameters
    ----------
    heavy : dict of int to ndarray
        The heavy values of each column that has some.
    center : ndarray of shape (n_numeric,)
        The medians of the numeric columns, which stand for missing numbers here, too.
    columns : mapping of int to Column
        Those of the numeric columns that are of a kind of their own.

    Attributes
    ----------
    values, medians : ndarray of shape (width,)
        The heavy value of each indicator and the median of its column, in the precision of
        training.
    """

    region = Region.FLAGS

    def __init__(
        self, heavy: Mapping[int, NDArray[Any]], center: Floats, columns: Mapping[int, Column]
    ) -> None:
        n_values = [values.size for values in heavy.values()]
        self.sources = np.repeat(np.array(list(heavy), np.intp), n_values)
        self.values: Floats = np.concatenate(list(heavy.values())).astype(center.dtype)
        self.medians: Floats = center[self.sources]
        self._columns = {i: columns[i] for i in heavy if i in columns}

    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[np.bool_]:
        """Return whether the numbers are these values."""
        x = X[:, self.sources]
        compared = coarser(x.dtype, self.values.dtype)
        with np.errstate(over="ignore"):
            x, medians = x.astype(compared), self.medians.astype(compared)
            return np.where(np.isnan(x), medians, x) == self.values.astype(compared)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name with each value, as short as tells it apart in training's precision."""
        # The sum with zero takes the sign from a negative zero.
        return [
            f"{names[i]}={self._columns[i].shown(x) if i in self._columns else number_text(x)}"
            for i, x in zip(self.sources.tolist(), self.values + 0, strict=True)
        ]
