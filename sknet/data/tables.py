"""From the user's X to the network's input."""

import math

import numpy as np
from scipy import sparse

#: Rows from which quantiles are estimated; of larger tables, this many drawn at random.
QUANTILE_ROWS = 100_000
#: Where the smooth clip saturates, in units of the robust scale.
CLIP = 3.0
BOUND = 1e15


class TableEncoder:
    """Scales numeric columns robustly and clips them smoothly.

    A dense column x becomes c((x - median) s), where c(u) = u / sqrt(1 + (u / 3)^2) keeps
    values within +-3 without a corner, and s is the inverse of the interquartile range. If
    that is zero, s is 2 / (max - min), and zero for a constant column. A sparse column keeps
    its zeros: it becomes c(x s), where s takes the median magnitude of its non-zeros to 1/2,
    as it takes the median distance from the center of a symmetric dense column.
    Holzmueller, Grinsztajn and Steinwart, "Better by Default" (2024), section 3, for dense
    columns.

    Parameters
    ----------
    standardize : bool
        Whether to scale at all.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_features,) or None
        The medians (None if sparse) and s.
    """

    def __init__(self, standardize):
        self.standardize = standardize
        self.center_ = self.scale_ = None

    def fit(self, X, sample_weight, rng):
        """Learn center and scale from weighted rows of a validated X."""
        if not self.standardize:
            return self
        X, sample_weight = _subsample(X, sample_weight, rng)
        if sparse.issparse(X):
            self.scale_ = _sparse_scale(X, sample_weight)
        else:
            self.center_, self.scale_ = _center_and_scale(X, sample_weight)
        return self

    def n_outputs(self, n_features):
        """Return the number of columns of the encoded table."""
        return n_features

    def transform(self, X, dtype):
        """Return the encoded rows as an array or CSR matrix of ``dtype``."""
        if self.scale_ is None:
            return X.astype(dtype, copy=False)
        if sparse.issparse(X):
            if self.center_ is None:
                X = X.multiply(self.scale_).tocsr()
                X.data = _clip_smoothly(X.data, dtype)
                return X
            # The network was trained on dense, centred columns.
            X = X.toarray()
        # Centred in X's own dtype: a cast first would lose small differences around large
        # offsets.
        with np.errstate(over="ignore"):
            X = X * self.scale_ if self.center_ is None else (X - self.center_) * self.scale_
        return _clip_smoothly(X, dtype)


def _clip_smoothly(u, dtype):
    """Return u / sqrt(1 + (u / CLIP)^2) in ``dtype``; ``u`` may be overwritten."""
    # Far beyond where the result is CLIP to the last bit, but before the square overflows.
    np.minimum(u, BOUND, out=u)
    np.maximum(u, -BOUND, out=u)
    u = u.astype(dtype, copy=False)
    divisor = u * (1 / CLIP)
    divisor *= divisor
    divisor += 1
    u /= np.sqrt(divisor, out=divisor)
    return u


def _subsample(X, sample_weight, rng):
    if X.shape[0] <= QUANTILE_ROWS:
        return X, sample_weight
    rows = np.sort(rng.choice(X.shape[0], QUANTILE_ROWS, replace=False))
    return X[rows], None if sample_weight is None else sample_weight[rows]


def _center_and_scale(X, sample_weight):
    """Return medians and inverse spreads, column by column to bound the memory."""
    weights = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    statistics = np.array([_median_and_scale(column, weights) for column in X.T])
    return statistics[:, 0].astype(X.dtype), statistics[:, 1].astype(X.dtype)


def _median_and_scale(x, weights):
    # The inverted distribution function returns one of the values, so that a weight
    # equals a repetition.
    x = x.astype(np.float64)
    quantiles = [0, 0.25, 0.5, 0.75, 1]
    low, q1, median, q3, high = np.quantile(
        x, quantiles, weights=weights, method="inverted_cdf"
    )
    # Spreads within rounding of a constant are no spread.
    smallest = 4 * np.finfo(x.dtype).eps * max(abs(low), abs(high))
    if q3 - q1 > smallest:
        return median, _inverse(q3 - q1)
    return median, _inverse((high - low) / 2) if high - low > smallest else 0.0


def _sparse_scale(X, sample_weight):
    X = X.tocsc()
    scale = np.ones(X.shape[1], dtype=X.dtype)
    for j, (start, stop) in enumerate(zip(X.indptr[:-1], X.indptr[1:], strict=True)):
        values = np.abs(X.data[start:stop]).astype(np.float64)
        rows, values = X.indices[start:stop][values > 0], values[values > 0]
        if values.size:
            weights = np.ones(values.size) if sample_weight is None else sample_weight[rows]
            median = np.quantile(values, 0.5, weights=weights, method="inverted_cdf")
            scale[j] = _inverse(2 * median)
    return scale


def _inverse(x):
    """Return 1 / x, finite also where that overflows."""
    return min(1 / x, math.sqrt(np.finfo(np.float32).max))
