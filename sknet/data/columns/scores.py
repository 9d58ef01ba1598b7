"""Normal scores of ranks, beside columns with gaps or numbers of many magnitudes."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import numpy as np
from scipy import special

from sknet.data.batches import Dataset
from sknet.data.columns.numbers import Numbers
from sknet.data.columns.scaling import LARGEST_CLIP
from sknet.data.weights import Floats, quantiles

#: The number of intervals between the quantiles with which scores are interpolated.
INTERVALS = 100
#: A column has a gap if most of its quantiles are closer to the next one than this share of the
#: interquartile range. It is 1 / 50 if the numbers are uniform.
NARROW = 1e-3
#: Quantiles of smaller magnitude count as zero, and larger ones are clipped, so that slopes are
#: finite.
SMALLEST, LARGEST = 1e-290, 1e290
#: The interquartile range of a standard normal variable.
NORMAL_RANGE = 2 * special.ndtri(0.75)


class Curve(NamedTuple):
    """A continuous function that is linear between knots, and constant outside.

    Attributes
    ----------
    numbers, scores : ndarray of shape (n_knots,)
        Increasing.
    """

    numbers: Floats
    scores: Floats

    @classmethod
    def learned(cls, x: Floats, weights: Floats | None) -> Self:
        """Return the function from the numbers of a column to their scores."""
        levels = np.linspace(0, 1, INTERVALS + 1)
        found = quantiles(x[:, np.newaxis], levels, weights)[:, 0]
        found = np.where(np.abs(found) < SMALLEST, 0, found).clip(-LARGEST, LARGEST)
        # The extremes count as the middle of what lies beyond the next quantile.
        levels[[0, -1]] = 0.5 / INTERVALS, 1 - 0.5 / INTERVALS
        numbers, places, counts = np.unique(found, return_inverse=True, return_counts=True)
        # Equal quantiles have the mean of their scores.
        scores = np.bincount(places, special.ndtri(levels)) / counts / NORMAL_RANGE
        return cls(numbers, scores)

    @property
    def usual_width(self) -> float:
        """The median distance of neighboring knots; zero for a single knot."""
        return float(np.median(np.diff(self.numbers))) if self.numbers.size > 1 else 0.0

    def __call__(self, x: Floats) -> Floats:
        """Return the scores of numbers; NaN for a missing number."""
        return np.interp(x, self.numbers, self.scores)

    def slopes(self, x: Floats) -> Floats:
        """Return the derivatives of the scores; zero outside and for a missing number."""
        slopes = np.diff(self.scores) / np.diff(self.numbers)
        intervals = np.searchsorted(self.numbers, x, side="right")
        return np.array([0.0, *slopes, 0.0])[intervals]


@dataclass(frozen=True, eq=False)
class NormalScores(Numbers):
    """Scores of the ranks of numbers, with an approximately normal distribution.

    A quantile of the column becomes the quantile of a standard normal variable for the same
    level (van der Waerden, "Order tests for the two-sample problem and their power", 1952),
    divided by the interquartile range of that variable. Other numbers are interpolated. Scores
    are then centered and clipped like other numbers.

    Attributes
    ----------
    curves : sequence of Curve
        For each column, its scores.
    """

    curves: Sequence[Curve] = ()

    @classmethod
    def beside(
        cls,
        numbers: Numbers,
        sample: Dataset,
        heavy: Mapping[int, Floats],
        ordered: Container[int] = (),
        *,
        tails: bool,
    ) -> list[Self]:
        """Return the scores of columns with a gap or a very long tail, if any.

        The column must have enough numbers. With a gap between groups of numbers, and also with
        a very long tail, most numbers are close to each other once they are scaled.

        Parameters
        ----------
        numbers : Numbers
            The scaled columns. The number that becomes zero there has the score zero.
        sample : Dataset
        heavy : mapping of int to ndarray
            The heavy values of columns, which have no share in the ranks of the other numbers.
        ordered : container of int
            Columns that have no scores, since rounding might reverse the order of two numbers.
        tails : bool
            Whether columns with a very long tail, but without a gap, have scores.
        """
        if numbers.limit is None:
            return []
        found = {}
        scales = cast(Floats, numbers.scale).tolist()
        for column, limit in enumerate(numbers.limit.max(axis=0).tolist()):
            x = sample.column(column)
            x = np.where(np.isin(x, heavy.get(column, ())), np.nan, x)
            curve = Curve.learned(x, sample.sample_weight)
            has_gap = curve.usual_width * scales[column] < NARROW
            scored = has_gap or (tails and limit >= LARGEST_CLIP)
            if scored and curve.numbers.size > INTERVALS / 2 and column not in ordered:
                found[column] = curve
        return [cls._of_curves(found, cast(Floats, numbers.zero))] if found else []

    @classmethod
    def _of_curves(cls, curves: Mapping[int, Curve], zero: Floats) -> Self:
        """Return the scores of columns, given the number of each that becomes zero."""
        center = [curve(zero[column]) for column, curve in curves.items()]
        return cls(
            np.array([*curves], np.intp),
            center=np.array(center, zero.dtype),
            scale=np.ones(len(curves), zero.dtype),
            curves=(*curves.values(),),
        )

    def raw(self, X: Floats) -> Floats:
        """Return the scores."""
        return self._scores(X[:, j] for j in self.sources)

    def raw_rows(self, data: Dataset) -> Dataset:
        """Return the scores of the chosen rows only."""
        return data._replace(X=self._scores(map(data.column, self.sources)), rows=None)

    def _scores(self, columns: Iterable[Floats]) -> Floats:
        return np.column_stack([f(x) for f, x in zip(self.curves, columns, strict=True)])

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return a name for the scores of each column."""
        return [f"{names[i]}_score" for i in self.sources]

    def slopes(self, X: Floats) -> Floats:
        """Return the derivatives of the encoded scores with respect to the numbers."""
        of_scores = super().slopes(X)
        curves = zip(self.curves, self.sources, strict=True)
        return of_scores * np.column_stack([f.slopes(X[:, j]) for f, j in curves])
