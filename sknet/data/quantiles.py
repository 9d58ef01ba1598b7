"""Quantiles of the columns of a table, many columns at a time, with weights or without."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet.data.batches import BLOCK_ELEMENTS

Floats = NDArray[np.floating]


def quantiles(
    block: Floats, levels: Sequence[float] | Floats, weights: Floats | None = None
) -> NDArray[np.float64]:
    """Return quantiles of each column: an array of shape (n_levels, n_columns).

    A quantile is the smallest value of the column at which the sum of the weights of all
    values up to it reaches the level times the sum of all weights. Hence a weight equals a
    repetition, and only the ratios of the weights matter. Without weights, the values are
    those of ``np.quantile`` with ``method="inverted_cdf"``.

    Parameters
    ----------
    block : ndarray of shape (n_rows, n_columns)
        NaN is not a value. The quantiles of a column without values are NaN.
    levels : array-like of shape (n_levels,)
        Numbers from 0 to 1.
    weights : ndarray of shape (n_rows,) or (n_rows, n_columns), optional
        Positive weights of the rows, or of the values.
    """
    levels = np.asarray(levels, np.float64)
    # A copy in which the values of a column are neighbours.
    values = np.array(block.T, order="C")
    n_known = values.shape[1] - np.isnan(values).sum(axis=1)
    if weights is None:
        # Sorting is much faster than a partition at several levels. It puts NaN last.
        values.sort(axis=1)
        places = np.ceil(n_known[:, np.newaxis] * levels - 1).astype(np.intp)
        places = _among(places, n_known)
    else:
        order = values.argsort(axis=1)
        places = _among(_weighted_places(order, n_known, levels, weights), n_known)
        places = np.take_along_axis(order, places, axis=1)
    # In float64, where differences of the largest float32 numbers do not overflow.
    return np.take_along_axis(values, places, axis=1).T.astype(np.float64)


def _among(places: NDArray[np.intp], n_known: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return places among the sorted values of each column cut to those that exist."""
    return np.clip(places, 0, np.maximum(n_known - 1, 0)[:, np.newaxis])


def _weighted_places(
    order: NDArray[np.intp],
    n_known: NDArray[np.intp],
    levels: Floats,
    weights: Floats,
) -> NDArray[np.intp]:
    """Return the places of the quantiles among the sorted values of each column."""
    n_columns, n_rows = order.shape
    if weights.ndim == 1:
        sums = weights.take(order)
    else:
        sums = np.take_along_axis(weights.T, order, axis=1)
    if (n_known < n_rows).any():
        sums[np.arange(n_rows) >= n_known[:, np.newaxis]] = 0
    # Sums of whole numbers are exact. Otherwise, rounding must not decide at a tie, where a
    # sum equals the level: a level is lowered by the largest error that a sum may have.
    exact = bool((weights == np.rint(weights)).all())
    np.cumsum(sums, axis=1, out=sums)
    total = sums[:, -1:]
    wanted = total * levels
    if not exact:
        wanted -= n_rows * np.finfo(np.float64).eps * total
    places = np.empty((n_columns, levels.size), np.intp)
    # The loop runs over the levels or the columns, whichever are fewer.
    if levels.size < n_columns:
        for i in range(levels.size):
            (sums < wanted[:, i : i + 1]).sum(axis=1, out=places[:, i])
    else:
        for i in range(n_columns):
            places[i] = np.searchsorted(sums[i], wanted[i])
    # The last value, whatever the sums of the smallest weights have lost.
    places[:, levels == 1] = n_rows
    return places


def nonzero_medians(X: Any, weights: Floats | None) -> NDArray[np.float64]:
    """Return the median magnitude of the non-zeros of each column of a CSC matrix.

    It is NaN for a column without non-zeros.
    """
    medians = np.full(X.shape[1], np.nan)
    for columns, block, rows in _magnitude_blocks(X):
        of_values = None if weights is None else weights[rows]
        medians[columns] = quantiles(block, [0.5], of_values)[0]
    return medians


def _magnitude_blocks(X: Any) -> Iterator[tuple[NDArray, Floats, NDArray]]:
    """Yield numbers of columns, their magnitudes, and the rows of these.

    The blocks of magnitudes have as many rows as the longest of their columns has stored
    values. The places of zeros, and the places behind the last value of a column, hold NaN.
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
        block = np.abs(X.data[places]).astype(np.float64)
        block[outside | (block == 0)] = np.nan
        yield columns, block, X.indices[places]
