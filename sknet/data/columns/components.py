"""Principal components of numeric columns, from a sample of rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sknet.data.weights import repetitions

Floats = NDArray[np.floating]

#: A component has at least this share of the variance of all columns. Of a smaller one, too
#: much is rounding in float32.
LEAST_VARIANCE = 1e-6

#: Correlations are no chance if the sum of their squares exceeds what independent columns have
#: on average by more than so many standard deviations.
MOST_DEVIATIONS = 5


class Components(NamedTuple):
    """Linear combinations of columns with mean zero, variance one and no correlation.

    Attributes
    ----------
    center : tuple of float
        The mean of each column.
    directions : tuple of tuple of float
        For each column, its factor in each component.
    """

    center: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]


def principal_components(
    rows: Floats, sample_weight: Floats | None, most: int
) -> Components | None:
    """Return the components of the largest variance.

    Components of columns without any correlation are an arbitrary rotation of them, which tells
    a network nothing.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
        Overwritten, since a copy may take more memory than a training.
    sample_weight : ndarray of shape (n_rows,) or None
    most : int >= 1
        The largest number of components.

    Returns
    -------
    Components or None
        None if no column varies, or if their correlations may be chance.
    """
    counts = None if sample_weight is None else repetitions(sample_weight)
    n_rows = len(rows) if counts is None else float(counts.sum())
    center = np.average(rows, axis=0, weights=sample_weight)
    rows -= center
    if sample_weight is None:
        rows *= 1 / np.sqrt(len(rows))
    else:
        rows *= np.sqrt(sample_weight / sample_weight.sum())[:, np.newaxis]
    total = np.vdot(rows, rows)
    product = _smaller_product(rows)
    if not total or _may_be_chance(rows, product, n_rows):
        return None
    variances, directions = _largest(rows, product, most)
    kept = variances > LEAST_VARIANCE * total
    directions = directions[:, kept] / np.sqrt(variances[kept])
    # The sign of a component is arbitrary: its factor of the largest magnitude is positive.
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[largest, np.arange(largest.size)])
    return Components(tuple(center.tolist()), tuple(map(tuple, directions.tolist())))


def _may_be_chance(rows: Floats, product: Floats, n_rows: float) -> bool:
    """Return whether independent columns may have such correlations.

    The square of a correlation of n rows is 1 / (n - 1) on average, and its standard deviation
    the root of two times that. The sum over all pairs, which is nearly normal if these are
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
    # The mean of a constant column is rounded, so that its deviations need not be zero.
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
    """Return the smaller one of two products, which have the same positive eigenvalues."""
    return rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows


def _largest(rows: Floats, product: Floats, most: int) -> tuple[Floats, Floats]:
    """Return the largest variances in decreasing order, and their directions of length one."""
    n_rows, n_columns = rows.shape
    size = len(product)
    variances, vectors = linalg.eigh(product, subset_by_index=[max(0, size - most), size - 1])
    variances, vectors = variances[::-1], vectors[:, ::-1]
    if n_rows < n_columns:
        vectors = rows.T @ (vectors / np.sqrt(np.maximum(variances, np.finfo(float).tiny)))
    return variances, vectors
