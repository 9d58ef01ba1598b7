"""From plain numbers to the network's input: scaling, missing values, one-hot columns."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from sknet.data.batches import Dataset, stack_rows
from sknet.data.categories import Category
from sknet.data.codes import Code, find_codes
from sknet.data.components import Components, principal_components
from sknet.data.dates import count_phases, date_text, phase_names, phase_slopes, phases
from sknet.data.effects import prior_rows, some_rows
from sknet.data.heavy import heavy_values
from sknet.data.limits import FARTHEST
from sknet.data.quantiles import quantiles
from sknet.data.scaling import (
    CLIP,
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
from sknet.data.survey import Survey, most_copied_rows, same_rows
from sknet.data.weights import repetitions

Floats = NDArray[np.floating]

#: The smallest distance of the edges of bins.
SMALLEST_WIDTH = float(np.finfo(np.float32).tiny)
#: The largest number of rows, and of numbers in them, from which components are found.
COMPONENT_ROWS, COMPONENT_NUMBERS = 10_000, 2**23


class TableEncoder:
    """Scales numeric columns robustly, imputes missing values and encodes categories.

    A dense numeric column x becomes c((x - median) s), where c(u) = u / sqrt(1 + (u / 3)^2)
    is a smooth clip to (-3, 3), and s is the inverse of the interquartile range. If that is
    zero, s is 2 / (max - min), and zero for a constant column (Holzmueller, Grinsztajn and
    Steinwart, "Better by Default", 2024, section 3). A sparse column keeps its zeros: it
    becomes c(x s), where s takes the median magnitude of the non-zeros to 1/2. This is where
    the formula for dense columns takes the median distance from the center of a symmetric
    column.

    A column that was constant gets its median and s from later rows (see
    :meth:`with_late_scales`). Its constant o, the origin, remains zero: the column becomes
    c((x - median) s) - c((o - median) s).

    Without scaling, a number is cut at ``FARTHEST`` and minus ``FARTHEST``.

    A date is a number, and the sine and the cosine of its phase in each cycle of the calendar
    in which the training rows vary (see :meth:`sknet.data.dates.Ranges.varying_cycles`) are
    numbers besides, treated like all others.

    A missing number becomes the median, or the origin if there is one. A numeric column in
    which training had missing values gets an indicator column as well. With ``marks_heavy``, so
    does each heavy value of a column (see :mod:`sknet.data.heavy`), and s is the inverse
    interquartile range of its other values, so that a zero that most rows have does not decide
    about the scale of the others.

    The levels of a category that training saw once, and missing values, share one level if
    training had any of them. If it had none, a missing or unknown value belongs to no level.

    A number that is a code (see :mod:`sknet.data.codes`) becomes a category besides, whose
    levels are its values.

    The encoded columns are, in this order: numeric columns, phases of dates, indicators of
    missing numbers and of heavy values, one-hot columns of categories with few levels, and
    level numbers of categories with many and of codes, for which the network learns an
    embedding.

    Parameters
    ----------
    standardize : bool
        Whether to scale numeric columns.
    n_bins : int, default=0
        The number of bins of equal share to find for each numeric column; 0 for none.
    marks_heavy : bool, default=False
        Whether heavy values get an indicator. Those of sparse columns never do.
    n_components : int, default=0
        The largest number of principal components to find; 0 for none.
    ordered : tuple of int, default=()
        The positions of the numeric columns whose order must be kept exactly, because the
        predictions are monotone in them. Their heavy values have no indicators. If there are
        such columns, c(u) is computed as 1 / sqrt(1 / u^2 + 1 / 9) with the sign of u, in which
        rounding never reverses the order of two numbers.

    Attributes
    ----------
    n_numeric_ : int
        The number of encoded numeric columns, including the phases.
    cycles_ : sequence of sequence of str
        The names of the cycles of each date. The dates are the last of the numeric columns that
        are read.
    center_ : ndarray of shape (n_numeric,) or None
        The medians; None if training rows were sparse.
    scale_ : ndarray of shape (n_numeric,) or None
        The factors s; None without scaling.
    origin_ : ndarray of shape (n_numeric,) or None
        The numbers that become zero; None if they are the medians.
    indicated_ : ndarray of int
        The numeric columns that have an indicator of missing numbers.
    empty_ : ndarray of int
        The numeric columns of dense training rows that had no number.
    heavy_columns_ : ndarray of int
        The numeric column of each indicator of a heavy value.
    heavy_values_ : ndarray of float64
        The heavy value of each of these indicators.
    categories_ : list of Category
    bin_edges_ : tuple of tuple of float
        With ``n_bins``, the increasing edges of the bins of each encoded numeric column.
    components_ : Components or None
        With ``n_components``, the principal components of the encoded numeric columns, unless
        these are constant.
    """

    n_numeric_: int
    cycles_: Sequence[Sequence[str]]
    center_: NDArray[np.floating] | None
    scale_: NDArray[np.floating] | None
    origin_: NDArray[np.floating] | None
    indicated_: NDArray[np.intp]
    empty_: NDArray[np.intp]
    heavy_columns_: NDArray[np.intp]
    heavy_values_: NDArray[np.float64]
    categories_: list[Category]
    codes_: Sequence[Code]
    bin_edges_: tuple[tuple[float, ...], ...]
    components_: Components | None

    def __init__(
        self,
        standardize: bool,
        n_bins: int = 0,
        marks_heavy: bool = False,
        n_components: int = 0,
        ordered: tuple[int, ...] = (),
    ) -> None:
        self.standardize = standardize
        self.n_bins = n_bins
        self.marks_heavy = marks_heavy
        self.n_components = n_components
        self.ordered = ordered

    def fit_survey(self, survey: Survey, *, keep_rare: bool = False) -> Self:
        """Learn the encoding from a survey.

        Parameters
        ----------
        survey : Survey
            The survey of the training rows.
        keep_rare : bool, default=False
            Whether a level that occurs once, or not yet, gets a place of its own.

        Raises
        ------
        ValueError
            If the survey has no sample of rows, or if it has dates, but they are not to be
            scaled.
        """
        sample = survey.sample
        if sample is None:
            raise ValueError("The survey has no sample to estimate quantiles from.")
        n_read = survey.n_features - len(survey.level_counts)
        self.cycles_ = self._choose_cycles(survey, n_read)
        self.n_numeric_ = n_read + count_phases(self.cycles_)
        self.indicated_ = np.flatnonzero(survey.missing[:n_read])
        self.center_ = self.scale_ = self.origin_ = None
        self.empty_ = self.heavy_columns_ = np.empty(0, np.intp)
        self.heavy_values_ = np.empty(0)
        self.codes_, self.components_ = (), None
        self.categories_ = [
            Category(counts, has_missing, keep_rare)
            for counts, has_missing in zip(
                survey.level_counts, survey.missing[n_read:], strict=True
            )
        ]
        if not survey.sparse:
            self._fit_dense(sample)
        elif self.standardize:
            self.scale_ = sparse_scale(sample)
        return self

    def _fit_dense(self, sample: Dataset) -> None:
        """Learn the scale, the heavy values, the bins and the components of dense columns."""
        numeric, heavy = self._numeric_sample(sample), self._find_heavy_values(sample)
        if self.standardize:
            self.center_, self.scale_ = center_and_scale(numeric)
            scale_by_others(self.scale_, numeric, heavy)
        else:
            self.center_ = column_medians(numeric)
        columns = self.indicated_[self.center_[self.indicated_] == 0]
        empty = [i for i in columns if np.isnan(numeric.column(i)).all()]
        self.empty_ = np.array(empty, np.intp)
        if heavy:
            n_values = [values.size for values in heavy.values()]
            self.heavy_columns_ = np.repeat(np.array(list(heavy), np.intp), n_values)
            self.heavy_values_ = np.concatenate(list(heavy.values()))
        if self.n_bins:
            self.bin_edges_ = self._find_bin_edges(numeric)
        if self.n_components and self.n_numeric_:
            self.components_ = self._find_components(numeric)

    def learn_from_target(
        self,
        sample: Dataset,
        Y: Floats,
        *,
        labels: bool,
        finds_codes: bool = False,
        keep_rare: bool = False,
    ) -> None:
        """Learn what depends on y: which numbers are codes, and what the levels tell about y.

        Parameters
        ----------
        sample : Dataset
            Some training rows, with weights in own units.
        Y : ndarray of shape (n_rows, n_outputs)
            Their targets as the loss gets them.
        labels : bool
            Whether y holds labels.
        finds_codes : bool, default=False
            Whether to look for codes among the numeric columns.
        keep_rare : bool, default=False
            As for :meth:`fit_survey`.
        """
        if finds_codes:
            self._learn_codes(sample, Y, keep_rare)
        # After the codes, whose values are levels, too. A fit without a penalty of levels needs
        # the effects as well: a later fit that continues it may have one.
        if self.embedded_:
            self._learn_effects(sample, Y, labels)

    def _learn_codes(self, sample: Dataset, Y: Floats, keep_rare: bool) -> None:
        """Learn which numeric columns are codes."""
        n_numbers = self.n_read_ - len(self.cycles_)
        found = find_codes(sample, n_numbers, Y, keep_rare=keep_rare)
        # A prediction that only rises or only falls cannot leap from value to value.
        self.codes_ = [one for one in found if one.column not in self.ordered]

    def _learn_effects(self, sample: Dataset, Y: Floats, labels: bool) -> None:
        """Learn how much the levels of embedded categories tell about y."""
        counts = repetitions(sample.sample_weight)
        # Two equal rows are worth as much as one row that counts twice.
        rows_per_count = 1.0 if counts is None else counts.size / float(counts.sum())
        rows = some_rows(len(Y), self.n_numeric_ * Y.shape[1])
        some = sample.choose(rows).batch().X
        numbers = self._transform_numeric(self._with_phases(some), np.float64)
        of_rows = self._level_numbers(sample.column)
        for levels, category in zip(of_rows, self.embedded_, strict=True):
            counted = prior_rows(levels, Y, counts, labels=labels, numbers=numbers, rows=rows)
            category.prior_rows = counted * rows_per_count

    def _choose_cycles(self, survey: Survey, n_read: int) -> list[list[str]]:
        """Return the names of the cycles in which each date is encoded."""
        if survey.ranges is None:
            return []
        if not self.standardize:
            raise ValueError(
                "standardize=False passes columns on as they are, but X has columns of dates, "
                "which are seconds since 1970 and have no scale of their own. Set "
                "standardize=True, or turn the dates into numbers of a moderate size."
            )
        cycles = survey.ranges.varying_cycles()
        first = n_read - len(cycles)
        # A phase falls where its date goes on rising.
        return [[] if first + i in self.ordered else one for i, one in enumerate(cycles)]

    def _numeric_sample(self, sample: Dataset) -> Dataset:
        """Return the numeric columns of sampled rows, with the phases of their dates."""
        if not count_phases(self.cycles_):
            return sample._replace(X=sample.X[:, : self.n_read_])
        # Of the sampled rows only: the phases of the whole table might fill the memory.
        return Dataset(self._with_phases(sample.batch().X), sample_weight=sample.sample_weight)

    def _with_phases(self, X: Floats) -> Floats:
        """Return the numeric columns of rows that were read, and the phases of their dates."""
        numeric = X[:, : self.n_read_]
        if not count_phases(self.cycles_):
            return numeric
        return np.hstack([numeric, phases(self._dates(X), self.cycles_)])

    def _dates(self, X: Floats) -> Floats:
        """Return the dates of rows that were read."""
        return X[:, self.n_read_ - len(self.cycles_) : self.n_read_]

    def _find_heavy_values(self, sample: Dataset) -> dict[int, NDArray[Any]]:
        """Return the heavy values that get an indicator, by the positions of their columns."""
        if not self.marks_heavy:
            return {}
        # Phases have none: sines are equal only if they are computed in the same way.
        found = heavy_values(sample._replace(X=sample.X[:, : self.n_read_]))
        return {i: values for i, values in found.items() if i not in self.ordered}

    def _find_bin_edges(self, numeric: Dataset) -> tuple[tuple[float, ...], ...]:
        """Return the edges of the bins of each encoded numeric column."""
        levels = np.linspace(0, 1, self.n_bins + 1)
        edges: list[tuple[float, ...]] = []
        for columns, block in numeric.column_blocks():
            encoded = self._transform_numeric(block, np.float64, columns)
            found = quantiles(encoded, levels, numeric.sample_weight)
            edges += [_kept_edges(of_one) for of_one in found.T]
        return tuple(edges)

    def _find_components(self, numeric: Dataset) -> Components | None:
        """Return the principal components of the encoded numeric columns."""
        most_rows = min(COMPONENT_ROWS, max(1, COMPONENT_NUMBERS // self.n_numeric_))
        rows = numeric.choose(slice(None, None, math.ceil(numeric.n_rows / most_rows)))
        blocks = ((self._transform_numeric(X, np.float64),) for _, X in rows.row_blocks())
        (encoded,) = stack_rows(blocks, rows.n_rows, np.float64)
        return principal_components(encoded, rows.sample_weight, self.n_components)

    @property
    def keeps_sparse(self) -> bool:
        """Whether encoded sparse rows are sparse, which they are if training rows were."""
        return self.center_ is None and not self.categories_

    @property
    def one_hot_(self) -> list[Category]:
        """The categories that become one-hot columns."""
        return [one for one in self.categories_ if not one.embedded]

    @property
    def embedded_(self) -> list[Category]:
        """The categories that become a column of level numbers, the codes last."""
        of_codes = [one.category for one in self.codes_]
        return [one for one in self.categories_ if one.embedded] + of_codes

    @property
    def n_read_(self) -> int:
        """The number of numeric columns of rows that were read, which have no phases yet."""
        return self.n_numeric_ - count_phases(self.cycles_)

    @property
    def n_plain_(self) -> int:
        """The number of encoded columns before the level numbers."""
        widths = [one.n_levels for one in self.one_hot_]
        return self.n_numeric_ + self.indicated_.size + self.heavy_columns_.size + sum(widths)

    @property
    def n_found_components_(self) -> int:
        """The number of principal components."""
        return 0 if self.components_ is None else len(self.components_.directions[0])

    @property
    def n_outputs_(self) -> int:
        """The number of encoded columns."""
        return self.n_plain_ + len(self.embedded_)

    @property
    def sources_(self) -> NDArray[np.intp]:
        """For each encoded column, the position of the column that it comes from."""
        places = np.arange(self.n_read_, self.n_read_ + len(self.categories_))
        one_hot = [
            np.full(one.n_levels, place)
            for place, one in zip(places, self.categories_, strict=True)
            if not one.embedded
        ]
        embedded = places[np.array([one.embedded for one in self.categories_], dtype=bool)]
        numeric = np.arange(self.n_read_)
        dates = numeric[numeric.size - len(self.cycles_) :]
        of_phases = np.repeat(dates, [count_phases([one]) for one in self.cycles_])
        indicators = self.indicated_, self.heavy_columns_
        codes = np.array([one.column for one in self.codes_], dtype=np.intp)
        return np.concatenate([numeric, of_phases, *indicators, *one_hot, embedded, codes])

    def typical_row(self) -> Floats:
        """Return a row with the median of each numeric column, and missing categories.

        For sparse columns, in which most entries are zero, the median is taken as zero.
        """
        numeric = np.zeros(self.n_read_) if self.center_ is None else self.center_
        numeric = numeric[: self.n_read_]
        return np.concatenate([numeric, np.full(len(self.categories_), np.nan)])[np.newaxis]

    def slopes(self, X: Floats) -> Floats:
        """Return the derivatives of the encoded numeric columns by the columns of dense X.

        They are c'(u) s with c'(u) = (1 + (u / 3)^2)^(-3/2), and zero for missing numbers. For
        a phase it is times the derivative of the phase by the date. Without scaling they are
        one, and zero for missing numbers and for those that are cut.
        """
        dates = self._dates(X)
        X = self._with_phases(X)
        if self.scale_ is None:
            return np.where(np.abs(X) <= FARTHEST, 1.0, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(X, slice(None), self.scale_).astype(np.float64, copy=False)
            slopes = clip_slopes(u) * self.scale_
        if self.cycles_:
            slopes[:, self.n_read_ :] *= phase_slopes(dates, self.cycles_)
        slopes[np.isnan(X)] = 0
        return slopes

    def transform(self, X: Any, dtype: DTypeLike) -> Any:
        """Return the encoded rows of an array or CSR matrix as an array or CSR of ``dtype``."""
        if sparse.issparse(X):
            if self.keeps_sparse:
                return self._transform_sparse(X, dtype)
            # The network was trained on dense columns.
            X = X.toarray()
        numeric = self._with_phases(X)
        if self.n_outputs_ == X.shape[1] and not self.categories_:
            return self._transform_numeric(numeric, dtype)
        out = np.empty((X.shape[0], self.n_outputs_), dtype=dtype)
        out[:, : self.n_numeric_] = self._transform_numeric(numeric, dtype)
        start = self.n_numeric_ + self.indicated_.size
        out[:, self.n_numeric_ : start] = np.isnan(numeric[:, self.indicated_])
        stop = start + self.heavy_columns_.size
        if stop > start:
            out[:, start:stop] = self._are_heavy(numeric)
        self._write_one_hot(X[:, self.n_read_ :], out[:, stop : self.n_plain_])
        of_rows = self._level_numbers(lambda i: X[:, i])
        for levels, column in zip(of_rows, out.T[self.n_plain_ :], strict=True):
            column[:] = levels
        return out

    def with_late_scales(self, data: Dataset) -> Self:
        """Return the encoder with scales for columns whose training rows told none.

        Such a column was constant, or had no number, and has been zero since. The first rows
        with other numbers tell its center and its scale. A constant and missing numbers remain
        zero, so what is predicted for rows without other numbers does not change.
        """
        if self.center_ is None or self.scale_ is None:
            return self
        late = np.flatnonzero(self.scale_[: self.n_read_] == 0)
        if not late.size:
            return self
        sample = _sampled(data)
        constants = self.center_[late]
        constants[np.isin(late, self.empty_)] = np.nan
        rounding = float(np.finfo(self.value_dtype(data.X.dtype)).eps)
        tells = differ(constants.astype(np.float64), sample.X[:, late], rounding)
        if not tells.any():
            return self
        late, constants = late[tells], constants[tells]
        numbers = _some_columns(sample, late, self.scale_.dtype)
        return self._rescaled(late, constants, *late_center_and_scale(constants, numbers))

    def _rescaled(
        self, columns: NDArray[np.intp], constants: Floats, center: Floats, scale: Floats
    ) -> Self:
        """Return the encoder with other centers and scales of columns that have been zero.

        The constants of these columns, or for NaN the centers, remain zero.
        """
        after, before = copy.copy(self), cast(Floats, self.center_)
        after.center_, after.scale_ = before.copy(), cast(Floats, self.scale_).copy()
        after.center_[columns], after.scale_[columns] = center, scale
        after.origin_ = (before if self.origin_ is None else self.origin_).copy()
        after.origin_[columns] = np.where(np.isnan(constants), center, constants)
        after.empty_ = np.setdiff1d(self.empty_, columns)
        return after

    def _are_heavy(self, numeric: Floats) -> NDArray[np.bool_]:
        """Return for each row whether it has each of the heavy values."""
        x = numeric[:, self.heavy_columns_]
        with np.errstate(over="ignore"):
            dtype = self.value_dtype(x.dtype)
            x, values = x.astype(dtype), self.heavy_values_.astype(dtype)
            medians = cast(Floats, self.center_)[self.heavy_columns_].astype(dtype)
        # A missing number counts as the median here, too.
        return np.where(np.isnan(x), medians, x) == values

    def value_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype in which numbers of a dtype are compared with those of training.

        It is the coarser one of this dtype and that of training, in which a decimal number such
        as 0.1 is the same number.
        """
        return min(dtype, cast(Floats, self.center_).dtype, key=lambda one: one.itemsize)

    def rounded_origin(self, dtype: np.dtype[Any]) -> Floats:
        """Return the origins, rounded as numbers of a dtype are that shall become zero."""
        with np.errstate(over="ignore"):
            return cast(Floats, self.origin_).astype(self.value_dtype(dtype)).astype(dtype)

    def _write_one_hot(self, codes: Floats, out: Floats) -> None:
        """Write the one-hot columns of the categories."""
        start = 0
        for of_category, category in zip(codes.T, self.categories_, strict=True):
            if not category.embedded:
                stop = start + category.n_levels
                levels = category.levels(of_category)[:, np.newaxis]
                out[:, start:stop] = levels == np.arange(category.n_levels)
                start = stop

    def _level_numbers(self, column: Callable[[int], Floats]) -> Iterator[NDArray[np.intp]]:
        """Yield the level of each row, for the embedded categories and the codes.

        ``column(i)`` returns a column of the rows.
        """
        for i, category in enumerate(self.categories_, self.n_read_):
            if category.embedded:
                yield category.levels(column(i))
        for code in self.codes_:
            x = column(code.column)
            yield code.levels(x, self.value_dtype(x.dtype))

    def _transform_sparse(self, X: Any, dtype: DTypeLike) -> Any:
        """Return sparse rows scaled."""
        if self.scale_ is None:
            X = copy.copy(X)
            data = X.data if _is_plain(X.data) else np.clip(X.data, -FARTHEST, FARTHEST)
            X.data = data.astype(dtype, copy=False)
            return X
        with np.errstate(over="ignore"):
            X = X.multiply(self.scale_).tocsr()
            X.data = self._clip_smoothly(X.data.astype(dtype, copy=False))
        return X

    def _transform_numeric(
        self, X: Floats, dtype: DTypeLike, columns: slice = slice(None)
    ) -> Floats:
        """Return the given columns imputed and scaled."""
        if self.scale_ is None:
            if not _is_plain(X):
                missing = np.isnan(X)
                X = np.where(missing, 0 if self.center_ is None else self.center_[columns], X)
                X = np.clip(X, -FARTHEST, FARTHEST)
            return X.astype(dtype, copy=False)
        u = self._scaled(X, dtype, columns, self.scale_)
        if self.origin_ is not None:
            origin = self.rounded_origin(X.dtype)
            u -= self._scaled(origin[np.newaxis, columns], dtype, columns, self.scale_)
        if math.isnan(u.sum()):
            # What replaces a missing number, mostly the median, is zero after scaling.
            u[np.isnan(u)] = 0
        return u

    def _scaled(self, X: Floats, dtype: DTypeLike, columns: slice, scale: Floats) -> Floats:
        """Return c((x - center) s) of the given columns."""
        with np.errstate(over="ignore", invalid="ignore"):
            u = self._standardized(X, columns, scale).astype(dtype, copy=False)
            return self._clip_smoothly(u)

    def _clip_smoothly(self, u: Floats) -> Floats:
        """Return c(u), in place."""
        return clip_in_order(u) if self.ordered else clip_smoothly(u)

    def _standardized(self, X: Floats, columns: slice, scale: Floats) -> Floats:
        """Return (x - center) s of the given columns."""
        if self.center_ is None:
            return X * scale[columns]
        # In the precision of X: a cast to float32 before the subtraction would lose small
        # differences around a large offset.
        u = X - self.center_[columns]
        u *= scale[columns]
        return u

    def _shown_heavy_values(self) -> list[str]:
        """Return the heavy values as text, as short as tells them apart in training's dtype."""
        if not self.heavy_values_.size:
            return []
        # The sum with zero takes the sign from a negative zero.
        values = self.heavy_values_.astype(cast(Floats, self.center_).dtype) + 0
        are_dates = self.heavy_columns_ >= self.n_read_ - len(self.cycles_)
        return [
            date_text(value) if is_date else str(value).removesuffix(".0")
            for value, is_date in zip(values, are_dates, strict=True)
        ]

    def heavy_names(self, names: Sequence[str]) -> list[str]:
        """Return a name for each heavy value, given the names of the columns that were read."""
        shown = zip(self.heavy_columns_, self._shown_heavy_values(), strict=True)
        return [f"{names[i]}={value}" for i, value in shown]

    def feature_names(
        self, names: Sequence[str], levels: Sequence[Sequence[Any]]
    ) -> tuple[list[str], list[str]]:
        """Return the names of the encoded columns.

        Parameters
        ----------
        names : sequence of str
            The names of the columns as they were read: numeric columns, then categories.
        levels : sequence of sequence
            The levels of each category.

        Returns
        -------
        plain : list of str
            The names of the columns before the level numbers.
        embedded : list of str
            The names of the categories and codes that become level numbers.
        """
        numeric, categories = names[: self.n_read_], names[self.n_read_ :]
        dates = numeric[len(numeric) - len(self.cycles_) :]
        plain = [*numeric, *phase_names(dates, self.cycles_)]
        plain += [f"{numeric[i]}_missing" for i in self.indicated_]
        plain += self.heavy_names(numeric)
        embedded = []
        for name, one, of_one in zip(categories, self.categories_, levels, strict=True):
            if one.embedded:
                embedded.append(name)
            else:
                plain += [f"{name}_{level}" for level in one.level_names(of_one)]
        return plain, embedded + [f"{numeric[one.column]}_value" for one in self.codes_]


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


def _is_plain(x: Floats) -> bool:
    """Whether no number is missing, and all are between ``FARTHEST`` and minus ``FARTHEST``."""
    # The extremes of numbers among which NaN is are NaN, for which the comparison is false.
    return x.size == 0 or bool(max(x.max(), -x.min()) <= FARTHEST)


def _kept_edges(found: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the edges of bins, given increasing quantiles.

    An edge that is closer than a thousandth of the range to the one before it is left out. So
    is an edge whose distance is denormal in float32, in which the network may divide by it.
    Quantiles that are one number get bins of equal width around it, for the numbers of a later
    call: fewer, if the number is so large that its edges would be one number.
    """
    nearest = max(1e-3 * (found[-1] - found[0]), SMALLEST_WIDTH)
    kept = [found[0]]
    for edge in found[1:]:
        if edge - kept[-1] > nearest:
            kept.append(edge)
    if len(kept) == 1:
        kept = np.unique(found[0] + np.linspace(-CLIP, CLIP, found.size)).tolist()
    return tuple(map(float, kept))
