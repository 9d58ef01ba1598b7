"""From plain numbers to the network's input: the features of a table are found and encoded."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from sknet.data.batches import Dataset, stack_rows
from sknet.data.columns.categories import MOST_ONE_HOT_LEVELS, Levels
from sknet.data.columns.column import Feature, Region, Surveyed
from sknet.data.columns.numbers import MissingFlags, Numbers, dense_sample
from sknet.data.columns.scaling import CLIP, Components, principal_components
from sknet.data.columns.scores import NormalScores
from sknet.data.columns.single_values import HeavyFlags, find_codes, heavy_values
from sknet.data.effects import prior_rows, some_rows
from sknet.data.survey import Survey
from sknet.data.targets import Target
from sknet.data.weights import Floats, quantiles, repetitions

Kind = TypeVar("Kind", bound=Feature)

#: The smallest distance between the edges of a bin.
SMALLEST_WIDTH = float(np.finfo(np.float32).tiny)
#: A column may have an edge of a bin at each value with this many rows per value on average.
ROWS_PER_EDGE = 10
#: The maximum number of rows, and of numbers in them, from which components are found.
COMPONENT_ROWS, COMPONENT_NUMBERS = 10_000, 2**23


@dataclass(eq=False, repr=False)
class TableEncoder:
    """Scales numeric columns robustly, imputes missing values and encodes categories.

    An encoded row consists of features (see :mod:`sknet.data.columns.column`), sorted by their
    region: numbers, phases of dates and normal scores; indicators of missing numbers and of
    heavy values, and one-hot columns of categories with few levels; level numbers of categories
    with many levels and of codes, for which the network learns an embedding.

    A numeric column in which training had missing values gets an indicator column as well. With
    ``marks_heavy``, so does each heavy value (see :mod:`sknet.data.columns.single_values`). A
    numeric column of codes (see the same module) becomes a category as well, whose levels are
    its values.

    The levels of a category that training saw once, and missing values, share one level if
    training had any of them. If it had none, a missing or unknown value belongs to no level.

    Parameters
    ----------
    standardize : bool
        Whether to scale numeric columns.
    n_bins : int, default=0
        The number of bins with equal shares of the rows for each numeric column; 0 for none.
    marks_heavy : bool, default=False
        Whether heavy values get an indicator. Those of sparse columns never do.
    n_components : int, default=0
        The maximum number of principal components; 0 for none.
    ordered : tuple of int, default=()
        The positions of the numeric columns whose order must be kept exactly, because the
        predictions are monotonic in them. Their heavy values have no indicators.
    keep_rare : bool, default=False
        Whether a level that occurs once, or has not occurred yet, gets its own place.
    keeps_tails : bool, default=False
        Whether numeric columns with a long tail are clipped farther from their center.
    scores_gaps : bool, default=False
        Whether numeric columns with a gap also become normal scores, except those whose order
        must be kept.
    scores_tails : bool, default=False
        With ``scores_gaps``, whether columns with a very long tail do so, too.

    Attributes
    ----------
    n_columns_ : int
        The number of columns of the table.
    features_ : tuple of Feature
        The features in the order of their columns. The first are the numeric columns.
    bin_edges_ : tuple of tuple of float
        With ``n_bins``, the increasing edges of the bins of each encoded numeric column.
    components_ : Components or None
        With ``n_components``, the principal components of the encoded numeric columns before
        the normal scores; None if these are sparse or constant, or if their correlations may be
        due to chance.
    """

    standardize: bool
    n_bins: int = 0
    marks_heavy: bool = False
    n_components: int = 0
    ordered: tuple[int, ...] = ()
    keep_rare: bool = False
    keeps_tails: bool = False
    scores_gaps: bool = False
    scores_tails: bool = False

    # These methods learn the features.

    def fit_survey(self, survey: Survey) -> Self:
        """Learn the encoding from a survey.

        Parameters
        ----------
        survey : Survey
            The survey of the training rows, with a sample.

        Raises
        ------
        ValueError
            If the survey has dates although ``standardize`` is False.
        """
        sample = cast(Dataset, survey.sample)
        self.n_columns_: int = survey.missing.size
        heavy = self._heavy_values(survey, sample)
        found = [*self._of_numbers(survey, sample, heavy), *self._of_kinds(survey, sample)]
        if self.scores_gaps:
            numbers = cast(Numbers, found[0])
            scores = NormalScores.beside(
                numbers, sample, heavy, self.ordered, tails=self.scores_tails
            )
            found += scores
        # Within a region, they stay in the order in which they were found.
        self.features_: tuple[Feature, ...] = tuple(sorted(found, key=lambda one: one.region))
        never = {i for i, one in survey.reader.places_.items() if not one.may_be_code}
        # A prediction that only rises or only falls cannot rise and fall from value to value.
        self._may_be_codes = sorted({*range(self.n_read_)} - never - {*self.ordered})
        self.components_: Components | None = None
        if not survey.sparse:
            if self.n_bins:
                self.bin_edges_: tuple[tuple[float, ...], ...] = self._find_bin_edges(sample)
            if self.n_components and self.n_numeric_:
                self.components_ = self._find_components(sample)
        return self

    def _heavy_values(self, survey: Survey, sample: Dataset) -> dict[int, Floats]:
        """Return the heavy values of the numeric columns, if they are needed."""
        if survey.sparse or not (self.standardize or self.marks_heavy):
            return {}
        # Phases are left out: sines are equal only if they are computed in the same way.
        return heavy_values(sample._replace(X=sample.X[:, : survey.reader.numeric_.size]))

    def _of_numbers(
        self, survey: Survey, sample: Dataset, heavy: Mapping[int, Floats]
    ) -> list[Feature]:
        """Return the features of all numeric columns, the numbers themselves first."""
        n_read = survey.reader.numeric_.size
        columns, in_order = np.arange(n_read), bool(self.ordered)
        numbers = Numbers(columns, in_order=in_order, keeps_tails=self.keeps_tails)
        marked = {i: x for i, x in heavy.items() if self.marks_heavy and i not in self.ordered}
        numbers = numbers.learned(sample, self.standardize, heavy, marked)
        found: list[Feature] = [numbers]
        if survey.missing[:n_read].any():
            found.append(MissingFlags(np.flatnonzero(survey.missing[:n_read])))
        if marked:
            zero = cast(Floats, numbers.zero)
            found.append(HeavyFlags(marked, sample, zero, survey.reader.places_))
        return found

    def _of_kinds(self, survey: Survey, sample: Dataset) -> list[Feature]:
        """Return the features of the columns that are not plain numbers."""
        found: list[Feature] = []
        places = survey.reader.places_.items()
        for (place, column), statistic in zip(places, survey.statistics, strict=True):
            has_missing = bool(survey.missing[place])
            found += column.features(Surveyed(place, statistic, has_missing, sample, self))
        return found

    def _find_bin_edges(self, sample: Dataset) -> tuple[tuple[float, ...], ...]:
        """Return the edges of the bins of each encoded numeric column."""
        levels = np.linspace(0, 1, self.n_bins + 1)
        edges: list[tuple[float, ...]] = []
        for feature in self.of_kind(Numbers):
            for columns, block in feature.raw_rows(sample).column_blocks():
                encoded = feature.scaled(block, np.float64, columns)
                found = quantiles(encoded, levels, sample.sample_weight)
                edges += map(_edges_of, encoded.T, found.T)
        return tuple(edges)

    def _find_components(self, sample: Dataset) -> Components | None:
        """Return the principal components of the encoded numeric columns."""
        rows = sample.choose(slice(None, None, math.ceil(sample.n_rows / self._most_rows())))
        return principal_components(
            self._numbers_of(rows), rows.sample_weight, self.n_components
        )

    def _most_rows(self) -> int:
        """Return the maximum number of rows from which components are found."""
        return min(COMPONENT_ROWS, max(1, COMPONENT_NUMBERS // self.n_numeric_))

    def _numbers_of(self, rows: Dataset) -> Floats:
        """Return the encoded numeric columns of dense rows, without normal scores."""
        blocks = ((self._encoded_numbers(X),) for _, X in rows.row_blocks())
        (encoded,) = stack_rows(blocks, rows.n_rows, np.float64)
        return encoded

    def learn_from_target(
        self, sample: Dataset, Y: Floats, *, labels: bool, finds_codes: bool = False
    ) -> None:
        """Learn what depends on y: which columns are codes, and what the levels say about y.

        Parameters
        ----------
        sample : Dataset
            Some training rows, with weights in their own unit.
        Y : ndarray of shape (n_rows, n_outputs)
            Their targets as the loss gets them.
        labels : bool
            Whether y holds labels.
        finds_codes : bool, default=False
            Whether to look for codes among the numeric columns.
        """
        if finds_codes:
            codes = find_codes(sample, self._may_be_codes, Y, self.keep_rare)
            self.features_ = (*self.features_, *codes)
        # The codes are found first, since their values are also levels. A fit without a penalty
        # on levels needs the effects, too: a later fit that continues it may have one.
        if self.embedded_:
            self._learn_effects(sample, Y, labels)

    def _learn_effects(self, sample: Dataset, Y: Floats, labels: bool) -> None:
        """Learn how much the levels of embedded categories say about y."""
        counts = repetitions(sample.sample_weight)
        # Two equal rows are worth as much as one row that counts twice.
        rows_per_count = 1.0 if counts is None else counts.size / float(counts.sum())
        rows = some_rows(len(Y), self.n_numeric_ * Y.shape[1])
        numbers = self._encoded_numbers(sample.choose(rows).batch().X)
        for feature in self.embedded_:
            levels = feature.places(sample.column(feature.column))
            counted = prior_rows(levels, Y, counts, labels=labels, numbers=numbers, rows=rows)
            feature.prior_rows = counted * rows_per_count

    def with_late_scales(self, data: Dataset) -> Self:
        """Return the encoder with scales for columns that had none in training."""
        numbers = self.numbers_.with_late_scales(data)
        if numbers is self.numbers_:
            return self
        after = copy.copy(self)
        after.features_ = (numbers, *self.features_[1:])
        return after

    def covering(self, data: Dataset) -> Self:
        """Return the encoder whose limits of components also cover further training rows."""
        if self.components_ is None:
            return self
        rows = dense_sample(data, self._most_rows())
        after = copy.copy(self)
        after.components_ = self.components_.covering(self._numbers_of(rows))
        return after

    # These methods use the learned features.

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Return the features of a class and its subclasses."""
        return [one for one in self.features_ if isinstance(one, kind)]

    @property
    def numbers_(self) -> Numbers:
        """The numeric columns."""
        return cast(Numbers, self.features_[0])

    @property
    def n_read_(self) -> int:
        """The number of numeric columns that are read, before phases are added."""
        return self.numbers_.width

    @property
    def n_numeric_(self) -> int:
        """The number of encoded numeric columns, including phases and normal scores."""
        return sum(one.width for one in self.of_kind(Numbers))

    @property
    def scored_(self) -> list[int]:
        """The positions of the columns that have normal scores."""
        return [int(i) for one in self.of_kind(NormalScores) for i in one.sources]

    @property
    def n_plain_(self) -> int:
        """The number of encoded columns before the level numbers."""
        return sum(one.width for one in self.features_ if one.region < Region.LEVELS)

    @property
    def n_outputs_(self) -> int:
        """The number of encoded columns."""
        return sum(one.width for one in self.features_)

    @property
    def n_found_components_(self) -> int:
        """The number of principal components."""
        return 0 if self.components_ is None else len(self.components_.directions[0])

    @property
    def keeps_sparse(self) -> bool:
        """Whether encoded sparse rows stay sparse, as they do if training rows were sparse."""
        return self.numbers_.keeps_sparse

    @property
    def embedded_(self) -> list[Levels]:
        """The categories that become a column of level numbers; codes come last."""
        return [one for one in self.of_kind(Levels) if one.embedded]

    @property
    def sources_(self) -> NDArray[np.intp]:
        """For each encoded column, the position of the column that it comes from."""
        return np.concatenate([one.sources for one in self.features_])

    def feature_names(self, names: Sequence[str], levels: Sequence[Any]) -> list[str]:
        """Return the names of the encoded columns.

        Parameters
        ----------
        names : sequence of str
            The names of the columns as they were read: numeric columns, then categories.
        levels : sequence of sequence
            The levels of each category.
        """
        by_column = [*[()] * self.n_read_, *levels]
        return [name for one in self.features_ for name in one.names(names, by_column)]

    def typical_row(self) -> Floats:
        """Return a row with the median of each numeric column, and missing categories.

        For sparse columns, zero takes the place of the median.
        """
        zero = self.numbers_.zero
        numbers = np.zeros(self.n_read_) if zero is None else zero
        categories = np.full(self.n_columns_ - self.n_read_, np.nan)
        return np.concatenate([numbers, categories])[np.newaxis]

    def slopes(self, X: Floats) -> Floats:
        """Return the derivatives of encoded numeric columns with respect to their sources.

        ``X`` is dense.
        """
        return np.hstack([one.slopes(X) for one in self.of_kind(Numbers)])

    def _encoded_numbers(self, X: Floats) -> Floats:
        """Return the encoded numeric columns of rows, without normal scores, in float64."""
        parts = [one for one in self.of_kind(Numbers) if not isinstance(one, NormalScores)]
        return np.hstack([one.encode(X, np.float64) for one in parts])

    def transform(self, X: Any, dtype: DTypeLike) -> Any:
        """Return the encoded rows of an array or CSR matrix as an array or CSR of ``dtype``."""
        if sparse.issparse(X):
            if self.keeps_sparse:
                return self.numbers_.scaled_sparse(X, dtype)
            # The network was trained on dense columns.
            X = X.toarray()
        if len(self.features_) == 1:
            return self.numbers_.encode(X, dtype)
        out = np.empty((X.shape[0], self.n_outputs_), dtype)
        stops = accumulate(one.width for one in self.features_)
        for feature, stop in zip(self.features_, stops, strict=True):
            out[:, stop - feature.width : stop] = feature.encode(X, dtype)
        return out


def _edges_of(x: NDArray[np.float64], found: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the edges of a column's bins: its quantiles, or all of its values.

    A column of few values is never treated as a code, so bins must tell its values apart.
    """
    most = min(MOST_ONE_HOT_LEVELS, x.size / ROWS_PER_EDGE)
    if found.size < most:
        values = np.unique(x[~np.isnan(x)])
        found = values if found.size < values.size <= most else found
    return _kept_edges(found)


def _kept_edges(found: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the edges of bins, given increasing quantiles.

    An edge is left out if its distance from the previous one is at most a thousandth of the
    range, or is subnormal in float32, in which the network may divide by it. If all quantiles
    are one number, bins of equal width are placed around it, for the numbers of a later call.
    There are fewer bins if the number is so large that some edges would be equal.
    """
    nearest = max(1e-3 * (found[-1] - found[0]), SMALLEST_WIDTH)
    kept = [found[0]]
    for edge in found[1:]:
        if edge - kept[-1] > nearest:
            kept.append(edge)
    if len(kept) == 1:
        kept = np.unique(found[0] + np.linspace(-CLIP, CLIP, found.size)).tolist()
    return tuple(map(float, kept))


class ColumnsTarget(Target):
    """The columns of a table as a target: encoded numbers, then the places of levels.

    Missing values are NaN. Each level of a training row has a place.

    Parameters
    ----------
    encoder : TableEncoder
    corruption : float
        The probability that a cell is changed in training.
    """

    def __init__(self, encoder: TableEncoder, corruption: float) -> None:
        # Without the usual limit, a few numbers far out would make up most of the loss.
        self._numbers = [replace(one, keeps_tails=False) for one in encoder.of_kind(Numbers)]
        self._levels = [one for one in encoder.of_kind(Levels) if one.n_levels]
        self.n_levels: tuple[int, ...] = tuple(one.n_levels for one in self._levels)
        of_levels = np.array([one.column for one in self._levels], np.intp)
        of_numbers = [one.sources for one in self._numbers]
        self.sources: NDArray[np.intp] = np.concatenate([*of_numbers, of_levels])
        self.n_outputs: int = self.sources.size
        self.corruption = corruption

    def transform(self, X: NDArray[np.floating], dtype: DTypeLike) -> NDArray[Any]:
        """Return the target columns of rows, given the rows as they were read."""
        numbers = [one.encode(X, dtype) for one in self._numbers]
        places = [one.places(X[:, one.column])[:, np.newaxis] for one in self._levels]
        Y = np.hstack([*numbers, *places], dtype=dtype, casting="unsafe")
        Y[np.isnan(X[:, self.sources])] = np.nan
        return Y
