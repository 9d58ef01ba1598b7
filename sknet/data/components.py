"""Principal components of numeric columns, from a sample of rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Floats = NDArray[np.floating]

#: A component has at least this share of the variance of all columns. Of a smaller one, too
#: much is rounding in float32.
LEAST_VARIANCE = 1e-6


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
    """Return the components of the largest variance, or None if no column varies.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_columns)
    sample_weight : ndarray of shape (n_rows,) or None
    most : int >= 1
        The largest number of components.
    """
    center = np.average(rows, axis=0, weights=sample_weight)
    rows = rows - center
    if sample_weight is None:
        rows *= 1 / np.sqrt(len(rows))
    else:
        rows *= np.sqrt(sample_weight / sample_weight.sum())[:, np.newaxis]
    variances, directions = _largest(rows, most)
    total = np.vdot(rows, rows)
    kept = variances > LEAST_VARIANCE * total
    if not total or not kept.any():
        return None
    directions = directions[:, kept] / np.sqrt(variances[kept])
    # The sign of a component is arbitrary: its factor of the largest magnitude is positive.
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[largest, np.arange(largest.size)])
    return Components(tuple(center.tolist()), tuple(map(tuple, directions.tolist())))


def _largest(rows: Floats, most: int) -> tuple[Floats, Floats]:
    """Return the largest variances in decreasing order, and their directions of length one."""
    n_rows, n_columns = rows.shape
    # The smaller of the two products: both have the same positive eigenvalues.
    wide = n_rows < n_columns
    product = rows @ rows.T if wide else rows.T @ rows
    size = len(product)
    variances, vectors = linalg.eigh(product, subset_by_index=[max(0, size - most), size - 1])
    variances, vectors = variances[::-1], vectors[:, ::-1]
    if wide:
        vectors = rows.T @ (vectors / np.sqrt(np.maximum(variances, np.finfo(float).tiny)))
    return variances, vectors
