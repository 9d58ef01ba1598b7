"""Single values of a numeric column that have their own meaning: heavy values and codes.

A heavy value occurs in far more rows than the values around it do. A zero that most rows have,
a cap or a round number often has its own meaning. A smooth function of the number cannot tell
it from the adjacent values.

In a column of codes, each value has its own meaning. The number of a shop, a postal code or the
day of a measurement is a number, but y may change from one value to the next, so that no smooth
function of the column fits it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknet.data.batches import Dataset
from sknet.data.columns.categories import MOST_ONE_HOT_LEVELS, Levels
from sknet.data.columns.column import Column, Feature, Region, number_text
from sknet.data.columns.scaling import coarser
from sknet.data.copies import equal_rows
from sknet.data.effects import MOST_PRODUCTS, RowsByLevel, some_rows
from sknet.data.weights import Floats, repetitions

#: A heavy value has at least this share of the rows, and at least this many rows.
LEAST_SHARE, LEAST_ROWS = 0.002, 20
#: It has at least ``LEAST_RATIO`` times as many rows as the median of the values around it:
#: ``NEIGHBORS`` on each side.
LEAST_RATIO, NEIGHBORS = 5, 3
#: Or it is more than this many ranges of all other values away from them.
FAR = 10
#: The maximum number of heavy values of a column. If there are more, only the heaviest count.
MOST_VALUES = 32
#: A number counts as equal to a value if they differ by at most this many float32 roundings of
#: the value, or of a typical one. A table may have been float32 in training and be float64 now,
#: or a scaler before the network may compute in float32, as in ONNX.
ROUNDINGS = 64


def tolerances(values: Floats) -> Floats:
    """Return how far a number may be from each of the increasing values to count as that value.

    No number is that close to two values.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = np.diff(values, prepend=-np.inf, append=np.inf)
        sizes = np.abs(values)
        roundings = ROUNDINGS * np.finfo(np.float32).eps * np.maximum(sizes, np.median(sizes))
        return np.minimum(np.minimum(gaps[:-1], gaps[1:]) / 4, roundings)


def heavy_values(data: Dataset) -> dict[int, Floats]:
    """Return the increasing heavy values of each column that has some, by its position.

    A weight that is a count stands for that many rows. Other weights do not say how often a row
    was seen. With these, each row counts once, so that a single row with a large weight does
    not make its value heavy. A column of two values has no heavy value: the number itself shows
    which of them it is.
    """
    found: dict[int, Floats] = {}
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
    # Among sorted numbers, a value of ``least`` rows recurs ``least - 1`` places later.
    ordered = np.sort(block, axis=0)
    found_again = ordered[least - 1 :] == ordered[: n_rows - least + 1]
    return np.flatnonzero(found_again.any(axis=0))


def _of_column(x: Floats, repeated: Floats | None) -> NDArray[np.float64]:
    """Return the increasing heavy values of a column."""
    known = ~np.isnan(x)
    values, places = np.unique(x[known], return_inverse=True)
    if values.size < 3:
        return np.empty(0)
    counts = np.bincount(places, None if repeated is None else repeated[known])
    n_rows = counts.sum()
    many = np.flatnonzero(counts >= max(LEAST_SHARE * n_rows, LEAST_ROWS)).tolist()
    far = _far_ends(values)
    heavy = [i for i in many if i in far or counts[i] >= LEAST_RATIO * _around(counts, i)]
    heaviest = sorted(heavy, key=lambda i: -counts[i])[:MOST_VALUES]
    return values[sorted(heaviest)].astype(np.float64)


def _far_ends(values: Floats) -> list[int]:
    """Return the places of the lowest and the highest of the sorted values, if they are far.

    In a column of few values, such as 0, 1 and -999, all values may be frequent.
    """
    with np.errstate(over="ignore"):
        below, above = values[1] - values[0], values[-1] - values[-2]
        low_is_far = below > FAR * (values[-1] - values[1])
        high_is_far = above > FAR * (values[-2] - values[0])
    return [0] * bool(low_is_far) + [len(values) - 1] * bool(high_is_far)


def _around(counts: NDArray[Any], i: int) -> float:
    """Return the median of the counts of the neighbors of a value."""
    left, right = counts[max(0, i - NEIGHBORS) : i], counts[i + 1 : i + 1 + NEIGHBORS]
    return float(np.median(np.concatenate([left, right])))


class HeavyFlags(Feature):
    """Indicators of the heavy values of numeric columns.

    Parameters
    ----------
    heavy : dict of int to ndarray
        The heavy values of each column that has some.
    data : Dataset
        The training rows in which they were found.
    center : ndarray of shape (n_numeric,)
        The medians of the numeric columns, which also stand for missing numbers here.
    columns : mapping of int to Column
        The numeric columns that have their own kind.

    Attributes
    ----------
    values, medians, tolerances : ndarray of shape (width,)
        The heavy value of each indicator, the median of its column, and how far a number may be
        from the value to count as the value, in the precision of training.
    """

    region = Region.FLAGS

    def __init__(
        self,
        heavy: Mapping[int, Floats],
        data: Dataset,
        center: Floats,
        columns: Mapping[int, Column],
    ) -> None:
        places = [np.full(x.size, i) for i, x in heavy.items()]
        self.sources: NDArray[np.intp] = np.concatenate(places)
        self.values: Floats = np.concatenate(list(heavy.values())).astype(center.dtype)
        self.medians: Floats = center[self.sources]
        near = [_tolerances_at(x, data.column(i)) for i, x in heavy.items()]
        self.tolerances: Floats = np.concatenate(near).astype(center.dtype)
        self._columns = {i: columns[i] for i in heavy if i in columns}

    def compared(self, dtype: np.dtype[Any]) -> tuple[Floats, Floats, Floats]:
        """Return values, medians and tolerances in the dtype of a comparison with numbers."""
        dtype = coarser(dtype, self.values.dtype)
        with np.errstate(over="ignore"):
            values, medians = self.values.astype(dtype), self.medians.astype(dtype)
            # No number is near a value that the dtype cannot hold.
            near = np.where(np.isinf(values), 0, self.tolerances).astype(dtype)
        return values, medians, near

    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[np.bool_]:
        """Return whether the numbers are these values."""
        x = X[:, self.sources]
        values, medians, near = self.compared(x.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            x = x.astype(values.dtype)
            same: NDArray[np.bool_] = np.abs(np.where(np.isnan(x), medians, x) - values) <= near
        return same

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return names with the values, each as the shortest text that tells it apart."""
        # Adding zero removes the sign of a negative zero.
        return [
            f"{names[i]}={self._columns[i].shown(x) if i in self._columns else number_text(x)}"
            for i, x in zip(self.sources.tolist(), self.values + 0, strict=True)
        ]


def _tolerances_at(heavy: Floats, x: Floats) -> Floats:
    """Return the tolerances of some values of a column."""
    values = np.unique(x[~np.isnan(x)])
    return tolerances(values)[np.searchsorted(values, heavy)]


#: A column is a code only if its values have at least this many rows on average.
ROWS_PER_VALUE = 3
#: The effects of neighboring values differ if the sum of their squared differences exceeds its
#: expectation under chance by more than this many standard deviations.
LEAST_NEIGHBOR_DEVIATIONS = 10
#: These differences have at least this share of the variance of the effects. A smooth function
#: of many values differs little between neighbors.
LEAST_ROUGHNESS = 0.2
#: Equal rows count once if less than this share of rows equal, in X, a row with another y.
LEAST_CONFLICTS = 0.1
#: The maximum number of rows that are looked at.
MOST_ROWS = 20_000


class Code(Levels):
    """The level numbers of a numeric column whose values are also the levels of a category.

    Parameters
    ----------
    column : int
        The position of the column.
    data : Dataset
        Training rows with weights in their own unit; NaN stands for a missing number.
    keep_rare : bool
        Whether a value that occurs once is told apart from other such values.

    Attributes
    ----------
    values : ndarray of shape (n_values,)
        The increasing values in training, in the precision of training.
    """

    def __init__(self, column: int, data: Dataset, keep_rare: bool) -> None:
        x, repeated = data.column(column), repetitions(data.sample_weight)
        known = ~np.isnan(x)
        values, of_row = np.unique(x[known], return_inverse=True)
        self.values: Floats = values
        counts = np.bincount(of_row, None if repeated is None else repeated[known])
        super().__init__(column, counts.astype(np.float64), not known.all(), keep_rare)

    def compared(self, dtype: np.dtype[Any]) -> tuple[Floats, np.floating, NDArray[np.intp]]:
        """Return the values that numbers of a dtype are compared with, and the place of each.

        Returns
        -------
        values : ndarray of shape (n_compared,)
            The increasing values, in the dtype of the comparison.
        tolerance : floating
            A number that is no farther than this from a value counts as the value. No number is
            that close to two values.
        levels : ndarray of int of shape (1 + n_compared,)
            The place of a number that is none of the values, then the place of each value.
        """
        dtype = coarser(dtype, self.values.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            # Values that are equal in a coarser dtype have the level of the first of them.
            values, first = np.unique(self.values.astype(dtype), return_index=True)
        levels = super().places(np.array([np.nan, *first]))
        return values, tolerances(values).min().astype(dtype), levels

    def places(self, x: Floats) -> NDArray[np.intp]:
        """Return the place of each number's value."""
        values, tolerance, levels = self.compared(x.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            x = x.astype(values.dtype)
            places = np.minimum(np.searchsorted(values + tolerance, x), values.size - 1)
            same = np.abs(x - values[places]) <= tolerance
        return levels[np.where(same, places + 1, 0)]

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name other than that of the numeric column."""
        return [f"{names[self.column]}_value"]


def find_codes(data: Dataset, numbers: Sequence[int], Y: Floats, keep_rare: bool) -> list[Code]:
    """Return the codes among some numeric columns of a table.

    Rows that are equal in all columns and in y count once, however often they occur and
    whatever they weigh: copies of one row would make any column look like a code. But if rows
    that are equal in all columns often differ in y, equal rows may be observations. All rows
    then count, and if some are copies, the means of y vary more (see :func:`is_code`).

    Parameters
    ----------
    data : Dataset
        Rows with weights in their own unit; NaN stands for a missing number.
    numbers : sequence of int
        The positions of these columns.
    Y : ndarray of shape (n_rows, n_outputs)
        The targets as the loss gets them: standardized numbers, or indicators of classes.
    keep_rare : bool
        Whether a value that occurs once is told apart from other such values.
    """
    rows = some_rows(data.n_rows, max(data.X.shape[1], MOST_PRODUCTS // MOST_ROWS))
    looked_at, Y = data.choose(rows), Y[rows]
    candidates = [i for i in numbers if _may_be_code(looked_at.column(i))]
    if not candidates:
        return []
    X = looked_at.batch().X
    _, same = equal_rows(Dataset(X))
    distinct = np.sort(equal_rows(Dataset(np.hstack([X, Y])))[0])
    n_targets = np.bincount(same[distinct])
    if np.mean(n_targets[same] > 1) < LEAST_CONFLICTS:
        looked_at, Y, same = looked_at.choose(distinct), Y[distinct], same[distinct]
    codes = [
        Code(i, data, keep_rare) for i in candidates if is_code(looked_at.column(i), Y, same)
    ]
    return [one for one in codes if one.embedded]


def _variance_of_equal(by_value: RowsByLevel, Y: Floats, same: NDArray[np.intp]) -> Floats:
    """Return the variance within values of the means of equal rows, times their number.

    It is zero if all rows with a value are equal in all columns.
    """
    equal = RowsByLevel(same, np.ones(same.size))
    n_free = equal.sizes.size - by_value.sizes.size
    squares = equal.sizes @ np.square(equal.means(by_value.centered(Y)))
    return squares / n_free if n_free > 0 else np.zeros(Y.shape[1])


def _may_be_code(x: Floats) -> bool:
    """Return whether a column has enough values, and enough rows for each, to be a code."""
    x = np.sort(x[~np.isnan(x)])
    # Compared rather than subtracted, since differences of the largest numbers overflow.
    n_values = np.count_nonzero(x[1:] != x[:-1]) + 1
    return bool(MOST_ONE_HOT_LEVELS < n_values <= x.size / ROWS_PER_VALUE)


def is_code(x: Floats, Y: Floats, same: NDArray[np.intp] | None = None) -> bool:
    """Return whether single values of a column have their own meaning.

    The means of y at neighboring values of n and m rows differ by chance: the square of their
    difference, times n m / (n + m), is on average s^2, the variance within values. The sum over
    all pairs of neighbors is larger if each value has its own effect, and hardly larger if the
    effects change smoothly. This is the ratio of von Neumann ("Distribution of the ratio of the
    mean square successive difference to the variance", 1941) for means of different precision.
    Copies of rows make the means vary more than their numbers of rows suggest. The variance
    within values is therefore at least that of the means of equal rows, times their number.

    Parameters
    ----------
    x : ndarray of shape (n_rows,)
        The column; NaN stands for a missing value.
    Y : ndarray of shape (n_rows, n_outputs)
        The target as the loss gets it: standardized numbers, or indicators of classes.
    same : ndarray of int of shape (n_rows,), optional
        The same number for rows that are equal in all columns. By default, no rows are.
    """
    if not _may_be_code(x):
        return False
    known = ~np.isnan(x)
    by_value = RowsByLevel(x[known], np.ones(np.count_nonzero(known)))
    Y = Y[known] - Y[known].mean(axis=0)
    within, between, _ = by_value.variances(Y)
    if same is not None:
        within = np.maximum(within, _variance_of_equal(by_value, Y, same[known]))
    sizes, n_pairs = by_value.sizes, by_value.sizes.size - 1
    worth = sizes[1:] * sizes[:-1] / (sizes[1:] + sizes[:-1])
    excess = worth @ np.square(np.diff(by_value.means(Y), axis=0)) - n_pairs * within
    # Neighboring differences share a mean, which makes the variance 1.5 times as large.
    of_squares = 1.5 * (2 + by_value.excess_kurtosis(Y) * np.mean(1 / sizes))
    chance = within * np.sqrt(of_squares * n_pairs)
    rough = excess / (2 * worth.sum())
    sure = excess.sum() > LEAST_NEIGHBOR_DEVIATIONS * chance.sum()
    return bool(sure and rough.sum() > LEAST_ROUGHNESS * between.sum())
