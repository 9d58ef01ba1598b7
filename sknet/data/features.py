"""The columns of an encoded table: what becomes of numbers, dates, missing values and levels.

A :class:`Feature` is some neighbouring encoded columns: it knows where they come from, what is
in them and what they are called. ``TableEncoder`` walks over its features for everything that
it does, and ``sknet.export`` has a function for each of their classes.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from sknet.data.batches import Dataset
from sknet.data.categories import Category
from sknet.data.dates import date_text, phase_names, phase_slopes, phases
from sknet.data.limits import FARTHEST
from sknet.data.scaling import (
    center_and_scale,
    clip_in_order,
    clip_slopes,
    clip_smoothly,
    column_medians,
    differ,
    late_center_and_scale,
    scale_by_others,
    sparse_scale,
)
from sknet.data.survey import most_copied_rows, same_rows

Floats = NDArray[np.floating]


class Region(IntEnum):
    """The regions of an encoded row, from left to right."""

    #: Scaled numbers, for which the network may have an embedding.
    NUMBERS = 0
    #: Zeros and ones.
    FLAGS = 1
    #: Level numbers, for which the network learns an embedding.
    LEVELS = 2


class Feature(ABC):
    """Some neighbouring columns of an encoded table.

    Tables are as ``TableReader.read`` returns them: numeric columns, then categories.

    Attributes
    ----------
    region : Region
    sources : ndarray of int of shape (width,)
        For each of the encoded columns, the position of the column that it comes from.
    """

    region: ClassVar[Region]
    sources: NDArray[np.intp]

    @property
    def width(self) -> int:
        """The number of encoded columns."""
        return self.sources.size

    @abstractmethod
    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[Any]:
        """Return the encoded columns of rows of an array.

        ``dtype`` is that of the encoded rows. The columns may have another one, whose values
        it can hold.
        """

    @abstractmethod
    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return the names of the encoded columns.

        Parameters
        ----------
        names : sequence of str
            The names of the columns of the table.
        levels : sequence of sequence
            The levels of each of these columns, of which a numeric column has none.
        """


# Numbers.


@dataclass(frozen=True, eq=False)
class Numbers(Feature):
    """The numeric columns of a table, imputed and scaled.

    A dense column x becomes c((x - median) s), where c(u) = u / sqrt(1 + (u / 3)^2) is a smooth
    clip to (-3, 3), and s is the inverse of the interquartile range. If that is zero, s is
    2 / (max - min), and zero for a constant column (Holzmueller, Grinsztajn and Steinwart,
    "Better by Default", 2024, section 3). A sparse column keeps its zeros: it becomes c(x s),
    where s takes the median magnitude of the non-zeros to 1/2. This is where the formula for
    dense columns takes the median distance from the center of a symmetric column.

    A column that was constant gets its median and s from later rows (see
    :meth:`with_late_scales`). Its constant o, the origin, remains zero: the column becomes
    c((x - median) s) - c((o - median) s).

    Without scaling, a number is cut at ``FARTHEST`` and minus ``FARTHEST``.

    A missing number becomes the median, or the origin if there is one.

    Attributes
    ----------
    sources : ndarray of int of shape (n_columns,)
    in_order : bool, default=False
        Whether c(u) is computed as 1 / sqrt(1 / u^2 + 1 / 9) with the sign of u, in which
        rounding never reverses the order of two numbers.
    center : ndarray of shape (n_columns,) or None
        The medians; None if training rows were sparse.
    scale : ndarray of shape (n_columns,) or None
        The factors s; None without scaling.
    origin : ndarray of shape (n_columns,) or None
        The numbers that become zero; None if they are the medians.
    empty : ndarray of bool of shape (n_columns,)
        Whether dense training rows had no number; only with scaling.
    """

    region = Region.NUMBERS
    sources: NDArray[np.intp]
    in_order: bool = False
    center: Floats | None = None
    scale: Floats | None = None
    origin: Floats | None = None
    empty: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def learned(
        self, sample: Dataset, standardize: bool, heavy: dict[int, NDArray[Any]]
    ) -> Self:
        """Return the feature with what it learns from sampled rows.

        The scale is that of the values that are not heavy.
        """
        if sparse.issparse(sample.X):
            return replace(self, scale=sparse_scale(sample) if standardize else None)
        numbers = self.raw_rows(sample)
        if not standardize:
            return replace(self, center=column_medians(numbers))
        center, scale = center_and_scale(numbers)
        scale_by_others(scale, numbers, heavy)
        empty = np.isnan(center)
        center[empty] = 0
        return replace(self, center=center, scale=scale, empty=empty)

    def raw(self, X: Floats) -> Floats:
        """Return the numbers of rows before they are scaled."""
        return X[:, : self.width]

    def raw_rows(self, data: Dataset) -> Dataset:
        """Return the numbers of the rows of a data set before they are scaled."""
        return data._replace(X=self.raw(data.X))

    def encode(self, X: Floats, dtype: DTypeLike) -> Floats:
        """Return the columns imputed and scaled; it may be a view of X without scaling."""
        return self.scaled(self.raw(X), dtype)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return the names of the columns themselves."""
        return [names[i] for i in self.sources]

    def slopes(self, X: Floats) -> Floats:
        """Return the derivative of each encoded column by its source.

        It is c'(u) s with c'(u) = (1 + (u / 3)^2)^(-3/2), and zero for a missing number.
        Without scaling it is one, and zero for missing numbers and for those that are cut.
        """
        numbers = self.raw(X)
        if self.scale is None:
            return np.where(np.abs(numbers) <= FARTHEST, 1.0, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(numbers, slice(None), self.scale)
            return clip_slopes(u.astype(np.float64, copy=False)) * self.scale

    def scaled(self, numbers: Floats, dtype: DTypeLike, columns: slice = slice(None)) -> Floats:
        """Return the given ones of the columns, imputed and scaled."""
        if self.scale is None:
            if not _is_plain(numbers):
                filling = 0 if self.center is None else self.center[columns]
                numbers = np.where(np.isnan(numbers), filling, numbers)
                numbers = np.clip(numbers, -FARTHEST, FARTHEST)
            return numbers.astype(dtype, copy=False)
        u = self._clipped(numbers, dtype, columns, self.scale)
        if self.origin is not None:
            origin = self.rounded_origin(numbers.dtype)
            u -= self._clipped(origin[np.newaxis, columns], dtype, columns, self.scale)
        if math.isnan(u.sum()):
            # What replaces a missing number, mostly the median, is zero after scaling.
            u[np.isnan(u)] = 0
        return u

    def _clipped(
        self, numbers: Floats, dtype: DTypeLike, columns: slice, scale: Floats
    ) -> Floats:
        """Return c((x - center) s) of the given columns."""
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(numbers, columns, scale).astype(dtype, copy=False)
            return self._clip(u)

    def _clip(self, u: Floats) -> Floats:
        """Return c(u), in place."""
        return clip_in_order(u) if self.in_order else clip_smoothly(u)

    def _standardized(self, numbers: Floats, columns: slice, scale: Floats) -> Floats:
        """Return (x - center) s of the given columns."""
        if self.center is None:
            return numbers * scale[columns]
        # In the precision of X: a cast to float32 before the subtraction would lose small
        # differences around a large offset.
        u = numbers - self.center[columns]
        u *= scale[columns]
        return u

    def scaled_sparse(self, X: Any, dtype: DTypeLike) -> Any:
        """Return sparse rows scaled; training rows were sparse, too."""
        if self.scale is None:
            X = copy.copy(X)
            data = X.data if _is_plain(X.data) else np.clip(X.data, -FARTHEST, FARTHEST)
            X.data = data.astype(dtype, copy=False)
            return X
        with np.errstate(over="ignore"):
            X = X.multiply(self.scale).tocsr()
            X.data = self._clip(X.data.astype(dtype, copy=False))
        return X

    def rounded_origin(self, dtype: np.dtype[Any]) -> Floats:
        """Return the origins, rounded as numbers of a dtype are that shall become zero."""
        origin = cast(Floats, self.origin)
        with np.errstate(over="ignore"):
            return origin.astype(coarser(dtype, origin.dtype)).astype(dtype)

    def with_late_scales(self, data: Dataset) -> Self:
        """Return the feature with scales for columns whose training rows told none.

        Such a column was constant, or had no number, and has been zero since. The first rows
        with other numbers tell its center and its scale. A constant and missing numbers remain
        zero, so what is predicted for rows without other numbers does not change.
        """
        if self.center is None or self.scale is None:
            return self
        late = np.flatnonzero(self.scale == 0)
        if not late.size:
            return self
        sample = _sampled(data)
        constants = self.center[late]
        constants[self.empty[late]] = np.nan
        rounding = float(np.finfo(coarser(data.X.dtype, self.center.dtype)).eps)
        tells = differ(constants.astype(np.float64), sample.X[:, late], rounding)
        if not tells.any():
            return self
        late, constants = late[tells], constants[tells]
        numbers = _some_columns(sample, late, self.scale.dtype)
        center, scale = self.center.copy(), self.scale.copy()
        center[late], scale[late] = late_center_and_scale(constants, numbers)
        origin = (self.center if self.origin is None else self.origin).copy()
        origin[late] = np.where(np.isnan(constants), center[late], constants)
        empty = self.empty.copy()
        empty[late] = False
        return replace(self, center=center, scale=scale, origin=origin, empty=empty)


@dataclass(frozen=True, eq=False)
class Phases(Numbers):
    """The sine and the cosine of the phases of dates, which are scaled like other numbers.

    Attributes
    ----------
    first_date : int
        The position of the first column of dates.
    cycles : sequence of sequence of str
        The names of the cycles of each date.
    """

    first_date: int = 0
    cycles: Sequence[Sequence[str]] = ()

    def _dates(self, X: Floats) -> Floats:
        """Return the dates of rows."""
        return X[:, self.first_date : self.first_date + len(self.cycles)]

    def raw(self, X: Floats) -> Floats:
        """Return the phases before they are scaled."""
        return phases(self._dates(X), self.cycles)

    def raw_rows(self, data: Dataset) -> Dataset:
        """Return the phases of the chosen rows only: those of a whole table might not fit."""
        dates = data._replace(X=self._dates(data.X)).batch().X
        return Dataset(phases(dates, self.cycles), sample_weight=data.sample_weight)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name for each function of each cycle of each date."""
        dates = names[self.first_date : self.first_date + len(self.cycles)]
        return phase_names(dates, self.cycles)

    def slopes(self, X: Floats) -> Floats:
        """Return the derivatives by the dates, per second; zero for a missing date."""
        slopes = super().slopes(X) * phase_slopes(self._dates(X), self.cycles)
        slopes[np.isnan(slopes)] = 0
        return slopes


def coarser(dtype: np.dtype[Any], of_training: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which numbers of a dtype are compared with those of training.

    It is the coarser one of both, in which a decimal number such as 0.1 is the same number.
    """
    return min(dtype, of_training, key=lambda one: one.itemsize)


def _is_plain(x: Floats) -> bool:
    """Whether no number is missing, and all are between ``FARTHEST`` and minus ``FARTHEST``."""
    # The extremes of numbers among which NaN is are NaN, for which the comparison is false.
    return x.size == 0 or bool(max(x.max(), -x.min()) <= FARTHEST)


def _sampled(data: Dataset) -> Dataset:
    """Return a sample of the rows, the same in each call, as a dense array."""
    n_wanted = most_copied_rows(data.X.shape[1] * data.X.dtype.itemsize)
    X, _, sample_weight = same_rows(data, n_wanted).batch()
    return Dataset(X.toarray() if sparse.issparse(X) else X, sample_weight=sample_weight)


def _some_columns(sample: Dataset, columns: NDArray[np.intp], dtype: np.dtype[Any]) -> Dataset:
    """Return some columns of an array, as the nearest finite numbers of ``dtype``."""
    X = sample.X[:, columns]
    if X.dtype.itemsize > dtype.itemsize:
        largest = np.finfo(dtype).max
        X = np.clip(X, -largest, largest)
    return sample._replace(X=X.astype(dtype, copy=False))


# Zeros and ones.


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


class HeavyFlags(Feature):
    """Indicators of the heavy values of numeric columns (see :mod:`sknet.data.heavy`).

    Parameters
    ----------
    heavy : dict of int to ndarray
        The heavy values of each column that has some.
    center : ndarray of shape (n_numeric,)
        The medians of the numeric columns, which stand for missing numbers here, too.
    first_date : int
        The position of the first column of dates, which are the last of the numeric ones.

    Attributes
    ----------
    values, medians : ndarray of shape (width,)
        The heavy value of each indicator and the median of its column, in the precision of
        training.
    """

    region = Region.FLAGS

    def __init__(self, heavy: dict[int, NDArray[Any]], center: Floats, first_date: int) -> None:
        n_values = [values.size for values in heavy.values()]
        self.sources = np.repeat(np.array(list(heavy), np.intp), n_values)
        self.values: Floats = np.concatenate(list(heavy.values())).astype(center.dtype)
        self.medians: Floats = center[self.sources]
        self._first_date = first_date

    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[np.bool_]:
        """Return whether the numbers are these values."""
        x = X[:, self.sources]
        compared = coarser(x.dtype, self.values.dtype)
        with np.errstate(over="ignore"):
            x, medians = x.astype(compared), self.medians.astype(compared)
            return np.where(np.isnan(x), medians, x) == self.values.astype(compared)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name with each value, as short as tells it apart in training's precision."""
        # The sum with zero takes the sign from a negative zero.
        return [
            f"{names[i]}={date_text(x) if i >= self._first_date else _number_text(x)}"
            for i, x in zip(self.sources, self.values + 0, strict=True)
        ]


def _number_text(x: np.floating) -> str:
    """Return a number as text, without the decimal point of a whole number."""
    return str(x).removesuffix(".0")


# Levels.


class LevelFeature(Feature):
    """Encoded columns of a single column, whose values are levels.

    Parameters
    ----------
    column : int
        The position of the column.
    category : Category
        Which of the levels the network tells apart.
    """

    def __init__(self, column: int, category: Category) -> None:
        self.column, self.category = column, category
        self.sources = np.array([column])

    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[Any]:
        """Return the encoded columns of rows of an array."""
        return self.encode_column(X[:, self.column])

    @abstractmethod
    def encode_column(self, x: Floats) -> NDArray[Any]:
        """Return the encoded columns, given the column."""


class OneHot(LevelFeature):
    """A column for each level of a category that the network tells apart."""

    region = Region.FLAGS

    def __init__(self, column: int, category: Category) -> None:
        super().__init__(column, category)
        self.sources = np.full(category.n_levels, column)

    def encode_column(self, x: Floats) -> NDArray[np.bool_]:
        """Return whether the rows have each level."""
        return self.category.levels(x)[:, np.newaxis] == np.arange(self.category.n_levels)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name with each level."""
        of_levels = self.category.level_names(levels[self.column])
        return [f"{names[self.column]}_{level}" for level in of_levels]


class Levels(LevelFeature):
    """The level numbers of a category with many levels."""

    region = Region.LEVELS

    def encode_column(self, x: Floats) -> NDArray[np.intp]:
        """Return the level of each row, as a column."""
        return self.category.levels(x)[:, np.newaxis]

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return the name of the category."""
        return [names[self.column]]
