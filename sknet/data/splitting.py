"""The split into rows to train on and rows to validate with."""

import math
import warnings

import numpy as np
from sklearn.model_selection import train_test_split


def split_rows(n_rows, fraction, labels, seed):
    """Return indices of training and of validation rows.

    Parameters
    ----------
    n_rows : int
    fraction : float
        Share of the rows to validate with, rounded up.
    labels : array of shape (n_rows,) or None
        Classes whose shares both parts should keep.
    seed : int

    Raises
    ------
    ValueError
        If fewer than two rows would be left for validation, or none for training.
    """
    n_validation = math.ceil(n_rows * fraction)
    if n_validation < 2 or n_validation >= n_rows:
        raise ValueError(
            f"The validation set is too small, or leaves no row to train on: early stopping "
            f"would hold out {n_validation} of n_samples={n_rows} rows. Change "
            f"validation_fraction={fraction}, give more rows, or pass X_val and y_val to fit."
        )
    if labels is not None and not _can_stratify(labels, n_validation):
        warnings.warn(
            "The validation set is not stratified, since a class has a single row or there "
            "are more classes than validation rows. Pass X_val and y_val to fit to choose "
            "the validation set yourself.",
            UserWarning,
            stacklevel=2,
        )
        labels = None
    return train_test_split(
        np.arange(n_rows), test_size=n_validation, stratify=labels, random_state=seed
    )


def _can_stratify(labels, n_validation):
    counts = np.unique(labels, return_counts=True)[1]
    smaller_part = min(n_validation, labels.shape[0] - n_validation)
    return counts.min() >= 2 and counts.size <= smaller_part
