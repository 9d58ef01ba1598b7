"""From plain numbers to the network's input: scaling, missing values, one-hot columns."""

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet.data.batches import Dataset
from sknet.data.survey import Survey

#: Where the smooth clip saturates, in units of the robust scale.
CLIP = 3.0
#: Far beyond where the clip is saturated to the last bit, far below where a square overflows.
BOUND = 1e15
#: Most levels of a category that get a column each. Beyond, the columns are nearly all zeros
#: and each level is too rare to learn a weight for every hidden unit; an embedding learns a
#: few numbers for each level instead.
MOST_ONE_HOT_LEVELS = 16


class TableEncoder:
    """Scales numeric columns robustly, imputes them, and spreads out categories.

    A dense numeric column x becomes c((x - median) s), where c(u) = u / sqrt(1 + (u / 3)^2)
    keeps values within +-3 without a corner, and s is the inverse of the interquartile range.
    If that is zero, s is 2 / (max - min), and zero for a constant column. A sparse column
    keeps its zeros: it becomes c(x s), where s takes the median magnitude of its non-zeros to
    1/2, as it takes the median distance from the center of a symmetric dense column.
    Holzmueller, Grinsztajn and Steinwart, "Better by Default" (2024), section 3, for dense
    columns.

    A missing number becomes the median, and a column in which training had some gets an
    indicator column. A category's levels that training saw once, and missing values, share
    one level where training had any; without it, what is missing or unknown belongs to no
    level. The encoded columns are: numeric ones, indicators, one-hot columns, and the level
    numbers of categories for which the network learns an embedding.

    Parameters
    ----------
    standardize : bool
        Whether to scale numeric columns.
    n_bins : int
        Bins of equal share to find for each numeric column, if any.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_numeric,) or None
        The medians (None if sparse) and s (None without scaling).
    indicated_ : ndarray of int
        Numeric columns that have an indicator.
    categories_ : list of Category
    bin_edges_ : tuple of tuple of float
        With ``n_bins``, increasing edges for each encoded numeric column.
    """

    n_numeric_: int
    center_: NDArray[np.floating] | None
    scale_: NDArray[np.floating] | None
    indicated_: NDArray[np.intp]
    categories_: "list[Category]"
    bin_edges_: tuple[tuple[float, ...], ...]

    def __init__(self, standardize: bool, n_bins: int = 0) -> None:
        self.standardize = standardize
        self.n_bins = n_bins

    def fit_survey(self, survey: Survey, *, keep_rare: bool = False) -> Self:
        """Learn the encoding from a survey with a sample.

        With ``keep_rare``, a level that was seen once, or not yet, stays itself.
        """
        sample = survey.sample
        if sample is None:
            raise ValueError("The survey has no sample to estimate quantiles from.")
        self.n_numeric_ = survey.n_features - len(survey.level_counts)
        self.indicated_ = np.flatnonzero(survey.missing[: self.n_numeric_])
        self.center_ = self.scale_ = None
        self.categories_ = [
            Category(counts, has_missing, keep_rare)
            for counts, has_missing in zip(
                survey.level_counts, survey.missing[self.n_numeric_ :], strict=True
            )
        ]
        if survey.sparse:
            if self.standardize:
                self.scale_ = _sparse_scale(sample)
            return self
        numeric = sample._replace(X=sample.X[:, : self.n_numeric_])
        if self.standardize:
            self.center_, self.scale_ = _center_and_scale(numeric)
        else:
            self.center_ = _medians(numeric)
        if self.n_bins:
            self.bin_edges_ = self._find_bin_edges(numeric)
        return self

    def _find_bin_edges(self, numeric: Dataset) -> tuple[tuple[float, ...], ...]:
        """Return the edges of the bins of each encoded numeric column."""
        return tuple(
            _bin_edges(x, numeric.sample_weight, self.n_bins)
            for columns, block in numeric.column_blocks()
            for x in self._transform_numeric(block, np.float64, columns).T
        )

    @property
    def keeps_sparse(self):
        """Whether sparse rows stay sparse: so they do if training saw sparse ones."""
        return self.center_ is None and not self.categories_

    @property
    def one_hot_(self):
        """Categories with a column for each level."""
        return [one for one in self.categories_ if not one.embedded]

    @property
    def embedded_(self):
        """Categories whose level numbers are handed on."""
        return [one for one in self.categories_ if one.embedded]

    @property
    def n_plain_(self):
        """Encoded columns before the level numbers."""
        widths = [one.n_levels for one in self.one_hot_]
        return self.n_numeric_ + self.indicated_.size + sum(widths)

    @property
    def n_outputs_(self):
        """Columns of the encoded table."""
        return self.n_plain_ + len(self.embedded_)

    @property
    def sources_(self):
        """For each encoded column the column that it comes from."""
        places = np.arange(self.n_numeric_, self.n_numeric_ + len(self.categories_))
        one_hot = [
            np.full(one.n_levels, place)
            for place, one in zip(places, self.categories_, strict=True)
            if not one.embedded
        ]
        embedded = places[np.array([one.embedded for one in self.categories_], dtype=bool)]
        numeric = np.arange(self.n_numeric_)
        return np.concatenate([numeric, self.indicated_, *one_hot, embedded])

    def typical_row(self):
        """Return a row with the median of each number, and missing categories.

        The median of a sparse column is taken as zero.
        """
        numeric = np.zeros(self.n_numeric_) if self.center_ is None else self.center_
        return np.concatenate([numeric, np.full(len(self.categories_), np.nan)])[np.newaxis]

    def slopes(self, X):
        """Return the derivatives of the encoded numeric columns by the columns of dense rows.

        c'(u) s with c'(u) = (1 + (u / 3)^2)^(-3/2); zero for a missing number.
        """
        X = X[:, : self.n_numeric_]
        if self.scale_ is None:
            return np.where(np.isnan(X), 0.0, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(X, slice(None)).astype(np.float64, copy=False)
            slopes = (1 + (np.clip(u, -BOUND, BOUND) / CLIP) ** 2) ** -1.5 * self.scale_
        slopes[np.isnan(X)] = 0
        return slopes

    def transform(self, X, dtype):
        """Return the encoded rows as an array or CSR matrix of ``dtype``."""
        if sparse.issparse(X):
            if self.keeps_sparse:
                return self._transform_sparse(X, dtype)
            # The network was trained on dense columns.
            X = X.toarray()
        numeric = X[:, : self.n_numeric_]
        if self.n_outputs_ == X.shape[1] and not self.categories_:
            return self._transform_numeric(numeric, dtype)
        out = np.empty((X.shape[0], self.n_outputs_), dtype=dtype)
        out[:, : self.n_numeric_] = self._transform_numeric(numeric, dtype)
        start = self.n_numeric_ + self.indicated_.size
        out[:, self.n_numeric_ : start] = np.isnan(numeric[:, self.indicated_])
        code = self.n_plain_
        for i, category in enumerate(self.categories_):
            levels = category.levels(X[:, self.n_numeric_ + i])
            if category.embedded:
                out[:, code] = levels
                code += 1
            else:
                stop = start + category.n_levels
                out[:, start:stop] = levels[:, np.newaxis] == np.arange(category.n_levels)
                start = stop
        return out

    def _transform_sparse(self, X, dtype):
        if self.scale_ is None:
            return X.astype(dtype, copy=False)
        with np.errstate(over="ignore"):
            X = X.multiply(self.scale_).tocsr()
            X.data = _clip_smoothly(X.data.astype(dtype, copy=False))
        return X

    def _transform_numeric(self, X, dtype, columns=slice(None)):
        """Return the given columns imputed and scaled."""
        if self.scale_ is None:
            missing = np.isnan(X)
            if missing.any():
                X = np.where(missing, 0 if self.center_ is None else self.center_[columns], X)
            return X.astype(dtype, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):
            u = _clip_smoothly(self._standardized(X, columns).astype(dtype, copy=False))
        if math.isnan(u.sum()):
            # A missing number is the median, which is zero now.
            u[np.isnan(u)] = 0
        return u

    def _standardized(self, X, columns):
        """Return (x - center) s of the given columns."""
        if self.center_ is None:
            return X * self.scale_[columns]
        # Centred in X's own dtype: a cast first would lose small differences around large
        # offsets.
        u = X - self.center_[columns]
        u *= self.scale_[columns]
        return u

    def feature_names(self, names, levels):
        """Return the names of the plain columns, and of the categories with level numbers.

        ``names`` are those of the numeric columns, then of the categories; ``levels`` are
        the latter's.
        """
        numeric, categories = names[: self.n_numeric_], names[self.n_numeric_ :]
        plain = [*numeric, *(f"{numeric[i]}_missing" for i in self.indicated_)]
        embedded = []
        for name, one, of_one in zip(categories, self.categories_, levels, strict=True):
            if one.embedded:
                embedded.append(name)
            else:
                plain += [f"{name}_{level}" for level in one.level_names(of_one)]
        return plain, embedded


class Category:
    """The levels of one category that the network tells apart.

    Parameters
    ----------
    counts : ndarray of shape (n_levels,)
        How often training saw each level.
    has_missing : bool
        Whether it saw missing values.
    keep_rare : bool
        Whether a level that was seen once, or not yet, stays itself.

    Attributes
    ----------
    n_levels : int
        Including the one that rare levels and missing values share, the last, if any.
    has_rest : bool
        Whether there is that shared level.
    embedded : bool
        Whether there are too many levels for a column each.
    """

    def __init__(self, counts, has_missing, keep_rare):
        kept = np.ones(counts.size, bool) if keep_rare else counts > 1
        self.has_rest = bool(has_missing or (counts[~kept] > 0).any())
        self.n_levels = int(kept.sum()) + self.has_rest
        self.embedded = self.n_levels > MOST_ONE_HOT_LEVELS
        # The place of what belongs to no level: the shared one, or one past the last.
        rest = self.n_levels - self.has_rest
        self._kept = np.flatnonzero(kept)
        self._position = np.full(counts.size + 1, rest)
        self._position[self._kept] = np.arange(self._kept.size)

    def levels(self, codes):
        """Return level numbers; ``n_levels`` stands for none of the levels."""
        unknown = np.isnan(codes)
        return self._position[np.where(unknown, self._position.size - 1, codes).astype(int)]

    def level_names(self, levels):
        """Return the names of the levels that are told apart, given those of all."""
        return [levels[i] for i in self._kept] + ["other"] * self.has_rest


def _clip_smoothly(u):
    """Return u / sqrt(1 + (u / CLIP)^2), in place."""
    np.clip(u, -BOUND, BOUND, out=u)
    divisor = u * (1 / CLIP)
    divisor *= divisor
    divisor += 1
    u /= np.sqrt(divisor, out=divisor)
    return u


def _center_and_scale(data):
    """Return medians and inverse spreads of the columns."""
    statistics = [
        _median_and_scale(x, data.sample_weight)
        for _, block in data.column_blocks()
        for x in block.T
    ]
    center, scale = np.array(statistics).reshape(-1, 2).T
    return center.astype(data.X.dtype), scale.astype(data.X.dtype)


def _medians(data):
    """Return the medians of the columns."""
    medians = []
    for _, block in data.column_blocks():
        for x in block.T:
            known, weights = _without_nan(x, data.sample_weight)
            medians.append(_quantiles(known, 0.5, weights) if known.size else 0.0)
    return np.array(medians, dtype=data.X.dtype)


def _without_nan(x, weights):
    known = ~np.isnan(x)
    if known.all():
        return x, weights
    return x[known], None if weights is None else weights[known]


def _median_and_scale(x, weights):
    x, weights = _without_nan(x, weights)
    if x.size == 0:
        return 0.0, 0.0
    # The smallest spread whose inverse is a number of x's type.
    limits = np.finfo(x.dtype)
    low, q1, median, q3, high = _quantiles(x, [0, 0.25, 0.5, 0.75, 1], weights)
    # Halved first, so that no difference overflows. Spreads within rounding of a constant are
    # no spread.
    smallest = 2 * np.finfo(np.float64).eps * max(abs(low), abs(high))
    quartiles, half_range = q3 / 2 - q1 / 2, high / 2 - low / 2
    if quartiles > smallest:
        return median, 0.5 / max(quartiles, limits.tiny)
    return median, 1 / max(half_range, limits.tiny) if half_range > smallest else 0.0


def _quantiles(x, levels, weights):
    """Return quantiles that are values of x, so that a weight equals a repetition."""
    # In float64, where differences of the largest float32 numbers do not overflow.
    found = np.quantile(x, levels, weights=weights, method="inverted_cdf")
    return found.astype(np.float64)


def _bin_edges(x, sample_weight, n_bins):
    """Return the quantiles of a column at equal shares, one bin at the least.

    Of edges closer than a thousandth of the range only the first is kept.
    """
    found = _quantiles(x, np.linspace(0, 1, n_bins + 1), sample_weight)
    nearest = 1e-3 * (found[-1] - found[0])
    kept = [found[0]]
    for edge in found[1:]:
        if edge - kept[-1] > nearest:
            kept.append(edge)
    return tuple(map(float, kept if len(kept) > 1 else found[0] + [-1.0, 1.0]))


def _sparse_scale(data):
    # Without a copy by rows where all of them are chosen.
    X = (data.X if data.rows is None else data.X[data.rows]).tocsc()
    sample_weight = data.sample_weight
    scale = np.ones(X.shape[1], dtype=X.dtype)
    for j, (start, stop) in enumerate(zip(X.indptr[:-1], X.indptr[1:], strict=True)):
        values = np.abs(X.data[start:stop]).astype(np.float64)
        rows, values = X.indices[start:stop][values > 0], values[values > 0]
        if values.size:
            weights = np.ones(values.size) if sample_weight is None else sample_weight[rows]
            median = np.quantile(values, 0.5, weights=weights, method="inverted_cdf")
            scale[j] = 0.5 / max(median, np.finfo(X.dtype).tiny)
    return scale
