"""The robust scale of columns, the smooth clip, and components."""

from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sknet.data.batches import BLOCK_ELEMENTS, Dataset
from sknet.data.kinds import FARTHEST
from sknet.data.weights import Floats, quantiles, repetitions

#: The usual limit of the smooth clip, in units of the robust scale.
CLIP = 3.0
#: A long tail has a higher limit: this number times the square of the distance of the 5 % or
#: 95 % quantile from the center, in units of the scale. It is never above the second number.
#: The limits of normally distributed numbers remain ``CLIP``.
TAIL_FACTOR, LARGEST_CLIP = 2.0, 30.0

#: The levels of the quantiles that give the center, the scale and the limit of a column.
LEVELS = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
#: Those of the non-zeros of a sparse column.
NONZERO_LEVELS = (0, 0.01, 0.25, 0.5, 0.75, 0.99, 1)
#: If the quartiles of a column are equal, its range counts for the scale up to this multiple
#: of the median distance of the other values. Distances up to the second number times the size
#: of the numbers are rounding errors: float64 may hold numbers that were once float32.
FAR_OUT, ROUNDING = 20, 64 * float(np.finfo(np.float32).eps)
#: Heavy values are at least this far apart after the clip, so that bins can separate them.
LEAST_APART = 0.01
#: A sparse column is centered only if at least the first share of its entries are not zero, and
#: their median is more than the second number of interquartile ranges away from zero. With a
#: smaller number, functions that are also linear at zero would be learned less precisely.
MOSTLY_NONZERO, FAR_FROM_ZERO = 0.5, 10
#: A column varies if it has at least this share of the variance of all columns.
LEAST_VARIANCE = 1e-6
#: A component has at least this share of the variance of all columns. Too much of a smaller one
#: would be rounding errors of the numbers.
LEAST_OF_COMPONENT = 1e-8
#: Correlations are not due to chance if the sum of their squares exceeds the average for
#: independent columns by more than this many standard deviations.
MOST_DEVIATIONS = 5


def nonzero_quantiles(X: Any, weights: Floats | None) -> tuple[NDArray[np.float64], Floats]:
    """Return the median magnitudes and the quantiles of the non-zeros of each CSC column.

    They are NaN for a column without non-zeros.

    Returns
    -------
    magnitudes : ndarray of shape (n_columns,)
    found : ndarray of shape (len(NONZERO_LEVELS), n_columns)
    """
    magnitudes = np.full(X.shape[1], np.nan)
    found = np.full((len(NONZERO_LEVELS), X.shape[1]), np.nan)
    for columns, block, rows in _nonzero_blocks(X):
        of_values = None if weights is None else weights[rows]
        found[:, columns] = quantiles(block, NONZERO_LEVELS, of_values)
        magnitudes[columns] = quantiles(np.abs(block), [0.5], of_values)[0]
    return magnitudes, found


def _nonzero_blocks(X: Any) -> Iterator[tuple[NDArray, Floats, NDArray]]:
    """Yield positions of columns, the values in them, and the rows of the values.

    The blocks of values have as many rows as the longest of their columns has stored values.
    The places of zeros, and those after the last value of a column, hold NaN.
    """
    counts = np.diff(X.indptr)
    # Columns of about equal length share a block, so that it has few empty places.
    by_length = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    start = 0
    while start < by_length.size:
        longest = int(counts[by_length[start]])
        columns = by_length[start : start + max(1, BLOCK_ELEMENTS // longest)]
        start += columns.size
        places = X.indptr[columns].astype(np.intp) + np.arange(longest)[:, np.newaxis]
        outside = np.arange(longest)[:, np.newaxis] >= counts[columns]
        places[outside] = 0
        block = X.data[places].astype(np.float64)
        block[outside | (block == 0)] = np.nan
        yield columns, block, X.indices[places]


def clip_smoothly(u: Floats, limit: Floats | float = CLIP) -> Floats:
    """Return u / sqrt(1 + (u / limit)^2), in place; limits for each number are overwritten."""
    # For a single row, np.clip takes four times as long.
    np.minimum(np.maximum(u, -FARTHEST, out=u), FARTHEST, out=u)
    if isinstance(limit, np.ndarray) and limit.shape == u.shape:
        divisor = np.divide(1, limit, out=limit)
        divisor *= u
    else:
        divisor = u * (1 / limit)
    divisor *= divisor
    divisor += 1
    u /= np.sqrt(divisor, out=divisor)
    return u


def clip_in_order(u: Floats, limit: Floats | float = CLIP) -> Floats:
    """Return u / sqrt(1 + (u / limit)^2), in place, so that rounding keeps the order.

    Each step is rounded correctly, and is monotonic for u >= 0. In ``clip_smoothly``, the
    numerator and the denominator both rise, and their rounding can swap large numbers.
    """
    with np.errstate(divide="ignore", under="ignore"):
        magnitude = np.square(u)
        np.divide(1, magnitude, out=magnitude)
        magnitude += 1 / limit**2
        np.sqrt(magnitude, out=magnitude)
        np.divide(1, magnitude, out=magnitude)
    return np.copysign(magnitude, u, out=u)


def clip_slopes(u: Floats, limit: Floats | float = CLIP) -> Floats:
    """Return the derivative of the smooth clip, (1 + (u / limit)^2)^(-3/2); 0 where it cuts."""
    slopes = (1 + (np.clip(u, -FARTHEST, FARTHEST) / limit) ** 2) ** -1.5
    return np.where(np.abs(u) <= FARTHEST, slopes, 0)


def center_and_scale(data: Dataset) -> tuple[Floats, Floats, Floats]:
    """Return the medians, the inverse spreads and the limits of the columns.

    If a column has no value, its median is NaN. If it has no spread, the inverse is zero. The
    limits below and above the center are two rows.
    """
    center, scale, *limits = np.zeros((4, data.X.shape[1]), data.X.dtype)
    limit = np.stack(limits)
    for columns, block in data.column_blocks():
        found = quantiles(block, LEVELS, data.sample_weight)
        left, middle, right = np.nan_to_num(found[1:6:2])
        center[columns] = found[3]
        scale[columns] = _inverse_spread(block, found, data.sample_weight, scale.dtype)
        limit[:, columns] = _limits(left, middle, right, scale[columns])
    return center, scale, limit


def _limits(left: Floats, center: Floats, right: Floats, scale: Floats) -> Floats:
    """Return the limits of the smooth clip, given the 5 % and 95 % quantiles.

    There is one for each side of the center. If the side without a long tail had the limit of
    the other, a code such as -999 in a column of amounts would be farther out than any amount.
    """
    with np.errstate(over="ignore"):
        distances = np.stack([center - left, right - center]) * scale
        return np.clip(TAIL_FACTOR * distances**2, CLIP, LARGEST_CLIP)


def _inverse_spread(X: Floats, found: Floats, weights: Floats | None, dtype: Any) -> Floats:
    """Return the inverse spreads of columns, given their quantiles at ``LEVELS``.

    The spread is the distance of the quartiles. If they are equal, it is half the range, but at
    most ``FAR_OUT`` / 2 times the median distance of the other values from the median: a single
    number far out, such as -9999 among zeros and ones, would otherwise make all other numbers
    equal. The inverse is zero for a constant.
    """
    low, _, q1, middle, q3, _, high = np.nan_to_num(found)
    inverse = _inverse_distance(q1, q3, dtype)
    flat = np.flatnonzero((inverse == 0) & (low < high))
    if not flat.size:
        return inverse
    low, middle, high = low[flat], middle[flat], high[flat]
    distances = np.abs(X[:, flat] / 2 - middle / 2)  # Halved, so that none overflows.
    distances[distances == 0] = np.nan
    # The largest numbers may be far out, and do not show how numbers are rounded.
    size = np.maximum(np.abs(middle), np.nan_to_num(quantiles(distances, [0.75], weights)[0]))
    distances[distances <= ROUNDING * size] = np.nan
    usual = np.nan_to_num(quantiles(distances, [0.5], weights)[0])
    by_others = _inverse_distance(-usual, usual, dtype) * (2 / FAR_OUT)
    inverse[flat] = np.maximum(2 * _inverse_distance(low, high, dtype), by_others)
    return inverse


def scale_by_others(
    center: Floats,
    scale: Floats,
    limit: Floats,
    data: Dataset,
    heavy: Mapping[int, Floats],
    marked: Container[int],
) -> None:
    """Center, scale and limit columns with heavy values by their other values, in place.

    A column stays as it is if the clip would make heavy values equal, or one of them equal to
    the new center, unless they are marked, that is, have indicators.
    """
    for column, values in heavy.items():
        x = data.column(column)[:, np.newaxis]
        others = np.where(np.isin(x, values), np.nan, x)
        found = quantiles(others, LEVELS, data.sample_weight)
        left, middle, right = found[1:6:2, 0]
        factor = _inverse_spread(others, found, data.sample_weight, scale.dtype)[0]
        with np.errstate(over="ignore"):
            apart = np.diff(clip_smoothly((np.sort([*values, middle]) - middle) * factor))
        if factor and (column in marked or (apart > LEAST_APART).all()):
            center[column], scale[column] = middle, factor
            limit[:, column] = _limits(left, middle, right, factor)


def late_center_and_scale(constants: Floats, numbers: Dataset) -> tuple[Floats, Floats]:
    """Return centers and scales of columns that had only one number in earlier rows, or none.

    They are those of the given numbers. If these have no spread either, the constant remains
    the center, and its distance from the new number becomes 1/2, unless it is negligible.
    ``constants`` has NaN for a column without earlier numbers.
    """
    center, scale, _ = center_and_scale(numbers)
    alone = np.flatnonzero((scale == 0) & ~np.isnan(constants))
    low, high = np.sort([center[alone], constants[alone]], axis=0)
    scale[alone] = _inverse_distance(low, high, scale.dtype) / 2
    center[alone] = constants[alone]
    return center, scale


def differ(constants: Floats, X: Floats, rounding: float) -> NDArray[np.bool_]:
    """Return which columns have a number that differs from their constant.

    Numbers whose relative difference is at most ``rounding`` count as equal. Every number
    differs from NaN.
    """
    # Only the extremes are compared, since comparing all numbers would take a copy of X.
    low, high = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
    with np.errstate(over="ignore"):
        margin = rounding * np.abs(constants)
        beyond = (low < constants - margin) | (high > constants + margin)
    return beyond | (np.isnan(constants) & ~np.isnan(low))


def _inverse_distance(low: Floats, high: Floats, dtype: Any) -> Floats:
    """Return 1 / (high - low), finite in ``dtype``; 0 if the distance is rounding or NaN."""
    # Both are halved before the subtraction, which might overflow otherwise.
    half = high / 2 - low / 2
    negligible = 2 * np.finfo(np.float64).eps * np.maximum(abs(low), abs(high))
    return np.where(half > negligible, 0.5 / np.maximum(half, np.finfo(dtype).tiny), 0)


def sparse_center_and_scale(data: Dataset) -> tuple[Floats, Floats]:
    """Return centers and scales of sparse columns.

    A scale maps the median magnitude of the non-zeros to 1/2, and the center is zero. But if
    most rows of a column have numbers far from zero compared with their spread, such as years,
    center and scale are the median and the inverse spread of the non-zeros. A column with a
    long tail, in which the clip would then cut more, is not centered.
    """
    # If all rows are chosen, indexing would copy them for nothing.
    X = (data.X if data.rows is None else data.X[data.rows]).tocsc()
    X.sum_duplicates()
    magnitudes, found = nonzero_quantiles(X, data.sample_weight)
    low, left, q1, middle, q3, right, high = found
    scale = 0.5 / np.maximum(magnitudes, np.finfo(X.dtype).tiny)
    by_quartiles = _inverse_distance(q1, q3, X.dtype)
    by_range = 2 * _inverse_distance(low, high, X.dtype)
    by_spread = np.where(by_quartiles > 0, by_quartiles, by_range)
    weights = np.ones(X.shape[0]) if data.sample_weight is None else data.sample_weight
    far = weights @ (X != 0) >= MOSTLY_NONZERO * weights.sum()
    far &= (by_spread > 0) & (np.abs(middle) * by_spread > FAR_FROM_ZERO)
    far &= np.maximum(middle - left, right - middle) * by_spread <= CLIP
    scale = np.where(far, by_spread, np.where(np.isnan(magnitudes), 1, scale))
    return np.where(far, middle, 0).astype(X.dtype), scale.astype(X.dtype)


def coarser(dtype: np.dtype[Any], of_training: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which numbers of a dtype are compared with numbers of training.

    It is the coarser of the two, in which a decimal number such as 0.1 is the same for both.
    """
    return min(dtype, of_training, key=lambda one: one.itemsize)


# Principal components.


class Components(NamedTuple):
    """Linear combinations of columns with mean zero, variance one and no correlation.

    Attributes
    ----------
    center : tuple of float
        The mean of each column.
    directions : tuple of tuple of float
        For each column, its factor in each component.
    low, high : tuple of float
        The limits of each component.
    """

    center: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def covering(self, rows: Floats) -> "Components":
        """Return the components with limits that also cover further rows."""
        low, high = _limits_of((rows - self.center) @ np.array(self.directions))
        low, high = np.minimum(self.low, low), np.maximum(self.high, high)
        return self._replace(low=tuple(low.tolist()), high=tuple(high.tolist()))


def principal_components(
    rows: Floats, sample_weight: Floats | None, most: int
) -> Components | None:
    """Return the components with the largest variances.

    Components of columns without any correlation are an arbitrary rotation of them, which tells
    a network nothing.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        Overwritten, since a copy may take more memory than training.
    sample_weight : ndarray of shape (n_rows,) or None
    most : int >= 1
        The maximum number of components.

    Returns
    -------
    Components or None
        None if no column varies among the rows that have the weight, or if the correlations may
        be due to chance.
    """
    counts = None if sample_weight is None else repetitions(sample_weight)
    n_rows = len(rows) if counts is None else float(counts.sum())
    center = np.average(rows, axis=0, weights=sample_weight)
    rows -= center
    unweighted = np.vdot(rows, rows) / len(rows)
    root: Any = 1 / np.sqrt(len(rows))
    if sample_weight is not None:
        root = np.sqrt(sample_weight / sample_weight.sum())[:, np.newaxis]
    rows *= root
    total = np.vdot(rows, rows)
    product = _smaller_product(rows)
    # A few rows with nearly all of the weight say nothing about the other rows.
    if total <= LEAST_VARIANCE * unweighted or _may_be_chance(rows, product, n_rows):
        return None
    variances, directions = _largest(rows, product, most)
    kept = variances > LEAST_OF_COMPONENT * total
    directions = directions[:, kept] / np.sqrt(variances[kept])
    # The sign of a component is arbitrary: its factor of largest magnitude becomes positive.
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[largest, np.arange(largest.size)])
    low, high = _limits_of(rows @ directions / root)
    described = center.tolist(), map(tuple, directions.tolist()), low.tolist(), high.tolist()
    return Components(*map(tuple, described))


def _limits_of(scores: Floats) -> tuple[Floats, Floats]:
    """Return the lowest and the highest value that each component may have.

    They are the range of its values, extended by half of its width on either side. If columns
    have always had a fixed relation, a row without it, such as one with a missing number, may
    be hundreds of standard deviations away, and the network would extrapolate to it.
    """
    low, high = scores.min(axis=0), scores.max(axis=0)
    margin = (high - low) / 2
    return low - margin, high + margin


def _may_be_chance(rows: Floats, product: Floats, n_rows: float) -> bool:
    """Return whether independent columns could have these correlations by chance.

    For n rows, the square of a correlation is 1 / (n - 1) on average, and its standard
    deviation is sqrt(2) times that. The sum over all pairs, which is nearly normal if there are
    many, is the statistic of Schott ("Testing for complete independence in high dimensions",
    2005).

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        With mean zero.
    product : ndarray
        Their smaller product.
    n_rows : float
        The number of rows, where a weight counts as repetitions.
    """
    variances = np.einsum("ij,ij->j", rows, rows)
    # The mean of a constant column is rounded, so its deviations need not be zero.
    varies = variances > LEAST_VARIANCE * variances.sum()
    n_columns = np.count_nonzero(varies)
    if n_columns < 2:
        # Without a pair, rounding would decide.
        return True
    n_pairs = n_columns * (n_columns - 1)
    on_average = n_pairs / (n_rows - 1)
    factors = np.divide(1, np.sqrt(variances), out=np.zeros(varies.size), where=varies)
    excess = _squared_correlations(rows, product, factors) - n_columns - on_average
    # Each pair is counted twice.
    return bool(excess <= MOST_DEVIATIONS * 2 * np.sqrt(n_pairs) / (n_rows - 1))


def _squared_correlations(rows: Floats, product: Floats, factors: Floats) -> float:
    """Return the sum of the squares of all correlations.

    The factors are the inverse lengths of the columns, or zero for a column to leave out.
    """
    if len(product) == factors.size:
        correlations = product * factors
        correlations *= factors[:, np.newaxis]
        return float(np.vdot(correlations, correlations))
    product = _smaller_product(rows * factors)
    return float(np.vdot(product, product))


def _smaller_product(rows: Floats) -> Floats:
    """Return the smaller of two products, which have the same positive eigenvalues."""
    return rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows


def _largest(rows: Floats, product: Floats, most: int) -> tuple[Floats, Floats]:
    """Return the largest variances in decreasing order, and their directions of unit length."""
    n_rows, n_columns = rows.shape
    size = len(product)
    variances, vectors = linalg.eigh(product, subset_by_index=[max(0, size - most), size - 1])
    variances, vectors = variances[::-1], vectors[:, ::-1]
    if n_rows < n_columns:
        vectors = rows.T @ (vectors / np.sqrt(np.maximum(variances, np.finfo(float).tiny)))
    return variances, vectors
