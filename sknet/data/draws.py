"""Which rows: a sample of them, and the split into rows to train on and to validate with."""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from sknet.data.batches import Dataset

#: Rows from which quantiles are estimated; of larger tables, this many drawn at random.
QUANTILE_ROWS = 100_000
#: Most bytes of the sampled rows where they must be copied: from a table that is read in
#: blocks, or that lies on a cluster.
SAMPLE_BYTES = 2**27
#: The largest number of rows of a stratified split, which makes a Python object of each row. A
#: random split of more rows keeps the shares of the classes nearly as well.
STRATIFIED_ROWS = 2**22


def draw_rows(n_rows: int, n_wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the increasing numbers of ``n_wanted`` random rows, or of all rows if fewer."""
    if n_rows <= n_wanted:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, n_wanted, replace=False))


def same_rows(data: Dataset, n_wanted: int) -> Dataset:
    """Return at most so many of the rows, which are the same in each call."""
    if data.n_rows <= n_wanted:
        return data
    # Evenly spaced rows of an ordered table might lack most of the levels.
    return data.choose(draw_rows(data.n_rows, n_wanted, np.random.default_rng(0)))


def most_copied_rows(row_bytes: float) -> int:
    """Return the most rows of so many bytes that a sample which is a copy may have."""
    return min(QUANTILE_ROWS, max(1, int(SAMPLE_BYTES / max(1, row_bytes))))


def count_validation_rows(n_rows: int, fraction: float) -> int:
    """Return how many of ``n_rows`` rows to validate with, at least two.

    Raises
    ------
    ValueError
        If the fraction is less than one row, or if no row is left to train on.
    """
    n_validation = max(2, math.ceil(n_rows * fraction))
    if n_rows * fraction < 1 or n_validation >= n_rows:
        raise ValueError(
            f"The validation set is too small: validation_fraction={fraction} of "
            f"n_samples={n_rows} is {n_rows * fraction:.3g} rows. Early stopping needs at "
            "least 1 (2 are held out then), of every class if there are classes. Increase "
            "validation_fraction, give more rows, or pass X_val and y_val to fit."
        )
    return n_validation


def split_rows(
    n_rows: int, fraction: float, labels: NDArray[Any] | None, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the rows to train on, and of the rows to validate with.

    Parameters
    ----------
    n_rows : int
    fraction : float
        The share of the rows to validate with. Their number is rounded up, and at least two.
    labels : array of shape (n_rows,) or None
        Classes whose shares both parts keep, if there are at most ``STRATIFIED_ROWS`` rows.
    seed : int

    Raises
    ------
    ValueError
        If the fraction is less than one row, or if no row is left to train on.

    Warns
    -----
    UserWarning
        If the classes cannot keep their shares: one has a single row, or there are more
        classes than validation rows.
    """
    n_validation = count_validation_rows(n_rows, fraction)
    if labels is not None and not _can_stratify(labels, n_validation):
        warnings.warn(
            "The validation set is not stratified, since a class has a single row or there "
            "are more classes than validation rows. Pass X_val and y_val to fit to choose "
            "the validation set yourself.",
            UserWarning,
            stacklevel=2,
        )
        labels = None
    stratified = labels is not None and n_rows <= STRATIFIED_ROWS
    splitter = StratifiedShuffleSplit if stratified else ShuffleSplit
    # The same split as train_test_split makes, which would copy the rows.
    rows = np.broadcast_to(0.0, n_rows)
    return next(splitter(1, test_size=n_validation, random_state=seed).split(rows, labels))


def _can_stratify(labels: NDArray[Any], n_validation: int) -> bool:
    """Whether each class has two rows, and each part of the split has room for all classes."""
    counts = np.unique(labels, return_counts=True)[1]
    smaller_part = min(n_validation, labels.shape[0] - n_validation)
    return bool(counts.min() >= 2 and counts.size <= smaller_part)
