"""Numbers: how they are read, checked (with messages that name a column) and encoded."""

import copy
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from sklearn.utils import check_array

from sknet.data.batches import Dataset, in_range
from sknet.data.columns import scaling
from sknet.data.columns.column import Feature, Region
from sknet.data.draws import most_copied_rows, same_rows
from sknet.data.frames import Table, name_of
from sknet.data.kinds import FARTHEST, NESTED, check_values
from sknet.data.weights import Floats

# Reading.


def read_numbers(X: Table, positions: NDArray[np.intp], names: Sequence[str] | None) -> Floats:
    """Return the given columns as a float array that may hold NaN, but not infinity."""
    check_objects(X, positions, names)
    try:
        return _check_numbers(X.numbers(positions))
    except (TypeError, ValueError, OverflowError):
        # Only after an error is each column checked on its own, to name the one at fault.
        _check_each(X, positions, names)
        raise


def check_objects(X: Table, positions: NDArray[np.intp], names: Sequence[str] | None) -> None:
    """Refuse objects such as dates in columns that are read as numbers.

    NumPy would convert objects such as numpy.datetime64, bytes and complex numbers. Nested
    values pass, since NumPy's error for them is the one that scikit-learn's checks ask for.

    Raises
    ------
    ValueError
        If one of the columns holds such objects.
    """
    for column in sorted({*positions.tolist()} & {*X.object_columns.tolist()}):
        values = np.asarray(X.column(column), dtype=object).tolist()
        check_values(values, f"Column {name_of(column, names)} of X", allowed=(NESTED,))


def _check_each(X: Table, positions: NDArray[np.intp], names: Sequence[str] | None) -> None:
    """Check some columns one by one, and name the first that does not hold finite numbers."""
    for column in positions.tolist():
        try:
            _check_numbers(X.numbers(np.array([column])))
        except (TypeError, ValueError, OverflowError) as reason:
            kind = TypeError if isinstance(reason, TypeError) else ValueError
            raise kind(
                f"Column {name_of(column, names)} of X is not a category, but cannot be read "
                f"as finite numbers: {reason}{_advice(column, X.column(column))}"
            ) from reason


def _advice(column: int, values: Any) -> str:
    """Return what to do about a column that is not a category, if it holds text."""
    if not any(isinstance(value, str) for value in np.asarray(values).tolist()):
        return ""
    return (
        ". If its text stands for categories, choose the column in categorical_features before "
        f"fit, by its position {column} or by its name. A list must contain all categorical "
        "columns."
    )


def check_columns(X: Table) -> None:
    """Name the first column of a frame, or of rows of objects, that does not hold numbers.

    Other tables pass, since all their columns have one dtype.

    Raises
    ------
    TypeError, ValueError
        If a column cannot be read as finite numbers, if a frame has no columns, or if the table
        consists of dicts.
    """
    rows = X.given if isinstance(X.given, list | tuple) else [X.given]
    if rows and isinstance(rows[0], dict):
        raise TypeError("X holds dicts, not rows of values. Pass a frame: pandas.DataFrame(X).")
    if X.names is not None and not X.shape[1]:
        raise ValueError("X has no columns, but a network needs at least one.")
    mixed = X.mixed()
    if mixed is not None and mixed.shape[0]:
        _check_each(mixed, np.arange(mixed.shape[1]), mixed.names)


def is_plain(X: Any) -> bool:
    """Return whether X is an array that scikit-learn's checks would return unchanged.

    These checks take most of the time of a prediction for one row.
    """
    is_floats = type(X) is np.ndarray and X.dtype.char in "fd" and X.dtype.isnative
    if not is_floats or X.ndim != 2 or X.size == 0:
        return False
    # The sum is not finite if any element is NaN or infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())


def _check_numbers(X: Any) -> NDArray[np.floating]:
    if is_plain(X):
        return X
    # A sum of finite numbers may overflow; scikit-learn then looks at each number.
    with np.errstate(over="ignore", invalid="ignore"):
        return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


# Encoding.


@dataclass(frozen=True, eq=False)
class Numbers(Feature):
    """The numeric columns of a table, imputed and scaled.

    A dense column x becomes c((x - median) s), where c(u) = u / sqrt(1 + (u / L)^2) is a smooth
    clip to (-L, L), and s is the inverse of the interquartile range. If that is zero, s is 2 /
    (max - min), and zero for a constant column (Holzmueller, Grinsztajn and Steinwart, "Better
    by Default", 2024, section 3). This s is larger if numbers far out would otherwise make
    all others equal. The limit L is 3. In regression with up to 100
    numeric columns, L is larger on the side of a long tail, such as that of amounts of money,
    since y is often linear in them. ``NormalScores`` are further inputs for a very long tail.

    A sparse column keeps its zeros: it becomes c(x s), where s maps the median magnitude of the
    non-zeros to 1/2. The formula for dense columns maps the median distance from the center of
    a symmetric column to the same number.

    If another number o, the origin, must become zero, the column is c((x - center) s) -
    c((o - center) s). There are three such cases:

    - In a sparse column that is far from zero in most rows, such as one of years, zero must
      remain zero. Center and s are those of its non-zeros.
    - Center and s of a column with heavy values, such as a zero in most rows or a code for
      missing values, are those of its other values. Its median remains zero.
    - A column that was constant gets its center and s from later rows (see
      :meth:`with_late_scales`). Its constant remains zero.

    A missing number becomes zero.

    Without scaling, numbers are clipped at minus ``FARTHEST`` and at ``FARTHEST``, and a
    missing number becomes the median, or zero if training rows were sparse.

    Attributes
    ----------
    sources : ndarray of int of shape (n_columns,)
    in_order : bool, default=False
        Whether c(u) is computed as 1 / sqrt(1 / u^2 + 1 / L^2) with the sign of u. In this
        form, rounding never reverses the order of two numbers.
    keeps_tails : bool, default=False
        Whether L is larger on the side of a long tail.
    keeps_sparse : bool, default=False
        Whether training rows were sparse. Encoded sparse rows then stay sparse.
    center : ndarray of shape (n_columns,) or None
        The centers, which are medians; None if no column of sparse training rows has one.
    scale : ndarray of shape (n_columns,) or None
        The factors s; None without scaling.
    origin : ndarray of shape (n_columns,) or None
        The numbers that become zero; None if they are the centers.
    limit : ndarray of shape (2, n_columns) or None
        The limits of the smooth clip with ``keeps_tails``, below and above the center; None for
        sparse training rows and without scaling.
    empty : ndarray of bool of shape (n_columns,)
        Whether a column had no number in dense training rows; only with scaling.
    """

    region = Region.NUMBERS
    sources: NDArray[np.intp]
    in_order: bool = False
    keeps_tails: bool = False
    keeps_sparse: bool = False
    center: Floats | None = None
    scale: Floats | None = None
    origin: Floats | None = None
    limit: Floats | None = None
    empty: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def learned(
        self,
        sample: Dataset,
        standardize: bool,
        heavy: Mapping[int, Floats],
        marked: Container[int] = (),
    ) -> Self:
        """Return the feature with what it learns from sampled rows.

        The center and the scale of a column are those of its values that are not heavy. Heavy
        values of ``marked`` columns have indicators.
        """
        if sparse.issparse(sample.X):
            return self._learned_sparse(sample, standardize)
        numbers = self.raw_rows(sample)
        center, scale, limit = scaling.center_and_scale(numbers)
        empty = np.isnan(center)
        center[empty] = 0
        if not standardize:
            return replace(self, center=center)
        origin = center.copy() if heavy else None
        scaling.scale_by_others(center, scale, limit, numbers, heavy, marked)
        return replace(
            self, center=center, scale=scale, origin=origin, limit=limit, empty=empty
        )

    def _learned_sparse(self, sample: Dataset, standardize: bool) -> Self:
        """Return the feature with what it learns from sampled sparse rows, whose zeros stay."""
        if not standardize:
            return replace(self, keeps_sparse=True)
        center, scale = scaling.sparse_center_and_scale(sample)
        if not center.any():
            return replace(self, keeps_sparse=True, scale=scale)
        zeros = np.zeros_like(center)
        return replace(self, keeps_sparse=True, scale=scale, center=center, origin=zeros)

    @property
    def zero(self) -> Floats | None:
        """The numbers that become zero; None stands for zeros, as in sparse training rows."""
        return self.center if self.origin is None else self.origin

    def raw(self, X: Floats) -> Floats:
        """Return the numbers of rows before they are scaled."""
        return X[:, : self.width]

    def raw_rows(self, data: Dataset) -> Dataset:
        """Return the numbers of the rows of a data set before they are scaled."""
        return data._replace(X=self.raw(data.X))

    def encode(self, X: Floats, dtype: DTypeLike) -> Floats:
        """Return the columns, imputed and scaled; without scaling, they may be a view of X."""
        return self.scaled(self.raw(X), dtype)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return the names of the columns themselves."""
        return [names[i] for i in self.sources]

    def slopes(self, X: Floats) -> Floats:
        """Return the derivative of each encoded column with respect to its source.

        It is c'(u) s with c'(u) = (1 + (u / L)^2)^(-3/2), and zero for a missing number.
        Without scaling, it is one, and zero for numbers that are missing or clipped.
        """
        numbers = self.raw(X)
        if self.scale is None:
            return np.where(np.abs(numbers) <= FARTHEST, 1.0, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(numbers, slice(None))
            u = u.astype(np.float64, copy=False)
            return scaling.clip_slopes(u, self._limits(u, slice(None))) * self.scale

    def scaled(self, numbers: Floats, dtype: DTypeLike, columns: Any = slice(None)) -> Floats:
        """Return numbers imputed and scaled, given their columns: a slice, or one for each."""
        if self.scale is None:
            if not _is_moderate(numbers):
                filling = 0 if self.center is None else self.center[columns]
                numbers = np.where(np.isnan(numbers), filling, numbers)
                numbers = np.clip(numbers, -FARTHEST, FARTHEST)
            return numbers.astype(dtype, copy=False)
        u = self._clipped(numbers, dtype, columns)
        if self.origin is not None:
            origin = self.rounded_origin(numbers.dtype)
            u -= self._clipped(origin[columns], dtype, columns)
        if math.isnan(u.sum()):
            # The value for a missing number, usually the median, is zero after scaling.
            u[np.isnan(u)] = 0
        return u

    def _clipped(self, numbers: Floats, dtype: DTypeLike, columns: Any) -> Floats:
        """Return c((x - center) s) of the given columns."""
        clip = scaling.clip_in_order if self.in_order else scaling.clip_smoothly
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(numbers, columns).astype(dtype, copy=False)
            return clip(u, self._limits(u, columns))

    @property
    def clip_limit(self) -> Floats | float:
        """The limits L of the columns, below and above, or the limit of all of them."""
        return scaling.CLIP if self.limit is None or not self.keeps_tails else self.limit

    def _limits(self, u: Floats, columns: Any) -> Floats | float:
        """Return the limit for each u of the given columns, or the limit of all of them."""
        limit = self.clip_limit
        if isinstance(limit, float):
            return limit
        below, above = limit[:, columns].astype(u.dtype)
        # np.where would also need an array of truth values.
        found = np.sign(u)
        found *= (above - below) / 2
        found += (above + below) / 2
        return found

    def _standardized(self, numbers: Floats, columns: Any) -> Floats:
        """Return (x - center) s of the given columns."""
        scale = cast(Floats, self.scale)[columns]
        if self.center is None:
            return numbers * scale
        # In the precision of X: a cast to float32 before the subtraction would lose small
        # differences around a large offset.
        u = numbers - self.center[columns]
        u *= scale
        return u

    def scaled_sparse(self, X: Any, dtype: DTypeLike) -> Any:
        """Return scaled CSR rows, if training rows were also sparse."""
        canonical = X.has_canonical_format
        X = copy.copy(X) if canonical else X.copy()
        if not canonical:
            X.sum_duplicates()
        X.data = self.scaled(X.data, dtype, X.indices)
        return X

    def rounded_origin(self, dtype: np.dtype[Any]) -> Floats:
        """Return the origins, rounded like numbers of a dtype that must become zero."""
        origin = cast(Floats, self.origin)
        with np.errstate(over="ignore"):
            return origin.astype(scaling.coarser(dtype, origin.dtype)).astype(dtype)

    def with_late_scales(self, data: Dataset) -> Self:
        """Return the feature with scales for columns that had none in training.

        Such a column was constant, or had no number, and has been zero since. The first rows
        with other numbers determine its center and its scale. A constant and missing numbers
        remain zero, so predictions for rows without other numbers do not change.
        """
        if self.keeps_sparse or self.center is None or self.scale is None or self.scale.all():
            return self
        late = np.flatnonzero(self.scale == 0)
        n_wanted = most_copied_rows(data.X.shape[1] * data.X.dtype.itemsize)
        sample = dense_sample(data, n_wanted)
        constants = self.center[late]
        constants[self.empty[late]] = np.nan
        rounding = float(np.finfo(scaling.coarser(data.X.dtype, self.center.dtype)).eps)
        tells = scaling.differ(constants.astype(np.float64), sample.X[:, late], rounding)
        if not tells.any():
            return self
        late, constants = late[tells], constants[tells]
        center, scale = self.center.copy(), self.scale.copy()
        numbers = in_range(sample.X[:, late], scale.dtype).astype(scale.dtype)
        of_late = scaling.late_center_and_scale(constants, sample._replace(X=numbers))
        center[late], scale[late] = of_late
        origin = (self.center if self.origin is None else self.origin).copy()
        origin[late] = np.where(np.isnan(constants), center[late], constants)
        empty = self.empty.copy()
        empty[late] = False
        return replace(self, center=center, scale=scale, origin=origin, empty=empty)


class MissingFlags(Feature):
    """Indicators of the missing numbers of columns in which training had some."""

    region = Region.FLAGS

    def __init__(self, columns: NDArray[np.intp]) -> None:
        self.sources = columns

    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[np.bool_]:
        """Return whether the numbers are missing."""
        return np.isnan(X[:, self.sources])

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name for each indicator."""
        return [f"{names[i]}_missing" for i in self.sources]


def _is_moderate(x: Floats) -> bool:
    """Whether no number is missing, and all are between ``FARTHEST`` and minus ``FARTHEST``."""
    # If a number is NaN, so are the extremes, for which the comparison is false.
    return x.size == 0 or bool(max(x.max(), -x.min()) <= FARTHEST)


def dense_sample(data: Dataset, n_wanted: int) -> Dataset:
    """Return at most ``n_wanted`` rows, the same in each call, as a dense array."""
    X, _, sample_weight = same_rows(data, n_wanted).batch()
    return Dataset(X.toarray() if sparse.issparse(X) else X, sample_weight=sample_weight)
