"""Sample weights in their own unit, weights of classes, weighted quantiles: only ratios matter.

Weights enter a fit once, through :func:`in_own_units`. All later steps see numbers of moderate
size, which are the same (up to rounding) whatever the unit of the user's weights.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
Floats = NDArray[np.floating]

#: Whole multiples of the smallest weight count as repeated rows up to this number.
MOST_REPETITIONS = 2**31
#: If this many rows of a class, or more, all weigh more than the lightest row of the table, it
#: is hardly by chance: the weights are those of classes.
CLASS_ROWS = 20
#: The relative rounding error of the ratio of two weights multiplied by the same number.
ROUNDING = 4 * np.finfo(np.float64).eps
#: Products of many weights are clipped, so that the magnitude of their binary exponents is at
#: most this.
LARGEST_EXPONENT = 900
#: The smallest normal number: a divisor that stands for zero.
TINY = float(np.finfo(np.float64).tiny)


def in_own_units(weights: Weights, *, by_class: bool = False) -> tuple[Weights | None, float]:
    """Return weights divided by their unit, and the unit.

    If all weights are whole multiples of the smallest one, that is the unit, and the weights
    count repeated rows exactly. Otherwise the unit is a power of two, so that the division is
    exact, and the largest result is between 1 and 2.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        Positive weights.
    by_class : bool, default=False
        Whether the weights tell how much a class matters. These count no rows.

    Returns
    -------
    weights : ndarray of shape (n_rows,), or None
        None if all weights are equal.
    unit : float
    """
    smallest, largest = smallest_and_largest(weights)
    if smallest == largest:
        return None, smallest
    counts = not by_class and are_counts(weights, smallest, largest)
    unit = smallest if counts else power_of_two(largest)
    return divided(weights, unit, counts), unit


def smallest_and_largest(weights: Weights) -> tuple[float, float]:
    """Return the smallest positive weight (infinity if there is none) and the largest one."""
    smallest = np.min(weights, initial=math.inf, where=weights > 0)
    return float(smallest), float(np.max(weights, initial=0.0))


def are_counts(weights: Weights, smallest: float, largest: float) -> bool:
    """Return whether all weights are whole multiples of the smallest one, up to rounding."""
    if largest > MOST_REPETITIONS * smallest:
        return False
    ratios = weights / smallest
    return bool((np.abs(ratios - np.rint(ratios)) <= ROUNDING * ratios).all())


def divided(weights: Weights, unit: float, counts: bool) -> Weights:
    """Return weights divided by a unit, and rounded if they are ``counts`` of it."""
    ratios = weights / unit
    return np.rint(ratios, out=ratios) if counts else ratios


def power_of_two(weight: float) -> float:
    """Return the largest power of two that is not larger than a positive weight."""
    return math.ldexp(1.0, math.frexp(weight)[1] - 1)


def repetitions(weights: Floats | None) -> Floats | None:
    """Return how often each row counts, or None if each counts once.

    ``weights`` are in their own unit. Weights that are not counts do not say how often a row
    was seen, so each row counts once.
    """
    # Weights that are not counts are less than two, so that those of some of the rows are whole
    # numbers only if they are one.
    return None if weights is None or (weights != np.rint(weights)).any() else weights


def mean(weights: Weights) -> float:
    """Return the mean of positive weights, whose sum might overflow."""
    unit = power_of_two(float(weights.max()))
    return float(np.mean(weights / unit)) * unit


def product(factors: Iterable[Weights]) -> Weights:
    """Return the product of non-negative weights.

    Its binary exponent is clipped, to at most ``LARGEST_EXPONENT`` in magnitude.
    """
    # Mantissas are multiplied and exponents are added, so that no intermediate product
    # overflows.
    first, *others = factors
    value, exponent = np.frexp(first)
    for factor in others:
        mantissa, more = np.frexp(factor)
        value, carried = np.frexp(value * mantissa)
        exponent += more + carried
    return np.ldexp(value, np.clip(exponent, -LARGEST_EXPONENT, LARGEST_EXPONENT))


def dense(Y: Any) -> NDArray[Any]:
    """Return a multi-label y, which may be sparse, as an array."""
    return Y.toarray() if hasattr(Y, "toarray") else Y


def label_weights(class_weight: Any, y: Any) -> NDArray[np.float64]:
    """Return, for each row, the product of the weights of its labels, as scikit-learn does."""
    return product(
        np.where(label == 1, float(by_value.get(1, 1)), float(by_value.get(0, 1)))
        for label, by_value in zip(dense(y).T, class_weight, strict=True)
    )


def _label_columns(y: Any) -> Iterator[NDArray[np.intp]]:
    """Yield, for each label of a multi-label y, whether the rows have it, as 0 and 1."""
    y = y.tocsc() if hasattr(y, "tocsc") else y
    for label in range(y.shape[1]):
        yield (dense(y[:, [label]]) == 1).ravel().astype(np.intp)


@dataclass
class LabelCounts:
    """How often each label occurs in the weighted rows of a table, or of a part of it.

    A weight of two counts as two rows.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        The sorted labels; 0 and 1 if y is multi-label.
    counts : ndarray of shape (n_columns, n_labels)
        The sum of the weights of the rows with each label in each column of y.
    unit : float
        The unit of the weights.
    multilabel : bool
        Whether y has a column for each label.
    n_rows : ndarray of shape (n_columns, n_labels)
        The number of the rows with each label, whatever their weights.
    smallest : ndarray of shape (n_columns, n_labels)
        The smallest weight of a row with each label; infinity without such a row.
    order : tuple
        The labels in the order that the dtype of y declares; empty if it declares none.
    """

    labels: NDArray[Any]
    counts: NDArray[np.float64]
    unit: float
    multilabel: bool
    n_rows: NDArray[np.float64]
    smallest: NDArray[np.float64]
    order: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        y: Any,
        sample_weight: Floats | None = None,
        weight_unit: float = 1.0,
        order: tuple[Any, ...] = (),
    ) -> Self:
        """Return the counts of a one-dimensional y, or of a multi-label y.

        ``weight_unit`` is the unit of the weights, or the weight of each row if these are None.
        """
        multilabel = y.ndim == 2
        if multilabel:
            labels, columns = np.arange(2), _label_columns(y)
        else:
            labels, places = np.unique(y, return_inverse=True)
            columns = iter([places])
        found = []
        for one in columns:
            sums = [np.bincount(one, weights, labels.size) for weights in (sample_weight, None)]
            smallest = np.full(labels.size, math.inf)
            np.minimum.at(smallest, one, 1.0 if sample_weight is None else sample_weight)
            found.append([*sums, smallest])
        counts, n_rows, smallest = np.array(found, float).swapaxes(0, 1)
        return cls(labels, counts, weight_unit, multilabel, n_rows, smallest, order)

    @property
    def form(self) -> str:
        """The columns and the kind of the labels, which are the same in all parts of one y."""
        times = {"M": "dates", "m": "durations"}
        kind = "text" if isinstance(self.labels[0], str) else "numbers"
        return f"{len(self.counts)} column(s) of {times.get(self.labels.dtype.kind, kind)}"

    def merged(self, other: Self) -> Self:
        """Return the counts of these rows and of further ones.

        The order of the labels is that of ``self``, unless that of ``other`` has more labels in
        the same order.
        """
        shared = tuple(one for one in other.order if one in self.order)
        order = other.order if shared == self.order else self.order
        labels = np.union1d(self.labels, other.labels)
        unit = max(self.unit, other.unit)
        counts, n_rows = np.zeros((2, len(self.counts), labels.size))
        smallest = np.full_like(counts, math.inf)
        for part in (self, other):
            places = np.searchsorted(labels, part.labels)
            counts[:, places] += part.counts * (part.unit / unit)
            n_rows[:, places] += part.n_rows
            scaled = part.smallest * (part.unit / unit)
            smallest[:, places] = np.minimum(smallest[:, places], scaled)
        return replace(
            self,
            labels=labels,
            counts=counts,
            unit=unit,
            n_rows=n_rows,
            smallest=smallest,
            order=order,
        )

    def weighted(self, class_weight: dict[Any, float]) -> Self:
        """Return the counts of classes with these weights, each in units of the largest."""
        by_label = np.array([class_weight.get(one, 1) for one in self.labels.tolist()], float)
        return replace(self, counts=self.counts * (by_label / max(by_label.max(), TINY)))

    def shares_of(self, classes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the share of each class, of the second of two classes, or of each label."""
        if self.multilabel:
            return self.counts[:, 1] / self.counts.sum(axis=1)
        counts = dict(zip(self.labels.tolist(), self.counts[0].tolist(), strict=True))
        shares = np.array([counts.get(one, 0) for one in classes.tolist()])
        return (shares[1:] if shares.size == 2 else shares) / max(shares.sum(), TINY)

    @property
    def weighs_classes(self) -> bool:
        """Whether the weights tell how much a class matters, as far as they show it."""
        # Weights of parts with different units have rounding errors.
        heavier = self.smallest > self.smallest.min() * (1 + 2 * ROUNDING)
        return bool((heavier & (self.n_rows >= CLASS_ROWS)).any())

    @property
    def minority_share(self) -> float:
        """The share of the rows without the most frequent label; 1 if y is multi-label."""
        return 1.0 if self.multilabel else 1 - float(self.n_rows.max() / self.n_rows.sum())

    def balanced_weights(self) -> dict[Any, float] | list[dict[Any, float]]:
        """Return ``class_weight="balanced"`` as numbers; if y is multi-label, a dict per label.

        As in scikit-learn, the weight of a class is the sum of all weights, divided by the
        number of classes and by the sum of the weights of the class.
        """
        by_column = [self._balance(counts.tolist()) for counts in self.counts]
        return by_column if self.multilabel else by_column[0]

    def _balance(self, counts: list[float]) -> dict[Any, float]:
        """Return the weights of the labels that occur; a ratio that overflows is clipped."""
        # These are Python floats, whose ratio may overflow without a warning.
        total, n_classes = sum(counts), len(counts) - counts.count(0)
        largest = 2.0**LARGEST_EXPONENT
        return {
            label: min(total / (n_classes * count), largest)
            for label, count in zip(self.labels.tolist(), counts, strict=True)
            if count
        }


def quantiles(
    block: Floats, levels: Sequence[float] | Floats, weights: Floats | None = None
) -> NDArray[np.float64]:
    """Return quantiles of each column: an array of shape (n_levels, n_columns).

    A quantile is the smallest value of the column at which the sum of the weights of all values
    up to it reaches the level times the sum of all weights. Hence a weight acts like repeated
    values, and only the ratios of the weights matter. Without weights, the values are those of
    ``np.quantile`` with ``method="inverted_cdf"``.

    Parameters
    ----------
    block : ndarray of shape (n_rows, n_columns)
        NaN is not a value. The quantiles of a column without values are NaN.
    levels : array-like of shape (n_levels,)
        Numbers from 0 to 1.
    weights : ndarray of shape (n_rows,) or (n_rows, n_columns), optional
        Positive weights of the rows, or of the values.
    """
    levels = np.asarray(levels, np.float64)
    # In this copy, the values of a column are adjacent in memory.
    values = np.array(block.T, order="C")
    n_known = values.shape[1] - np.isnan(values).sum(axis=1)
    if weights is None:
        # Sorting is much faster than a partition at several levels. It puts NaN last.
        values.sort(axis=1)
        places = np.ceil(n_known[:, np.newaxis] * levels - 1).astype(np.intp)
    else:
        order = values.argsort(axis=1)
        places = _weighted_places(order, n_known, levels, weights)
        values = np.take_along_axis(values, order, axis=1)
    places = np.clip(places, 0, np.maximum(n_known - 1, 0)[:, np.newaxis])
    # Differences of the largest float32 numbers do not overflow in float64.
    return np.take_along_axis(values, places, axis=1).T.astype(np.float64)


def _weighted_places(
    order: NDArray[np.intp], n_known: NDArray[np.intp], levels: Floats, weights: Floats
) -> NDArray[np.intp]:
    """Return the places of the quantiles among the sorted values of each column."""
    n_rows = order.shape[1]
    sums = np.take_along_axis(np.broadcast_to(weights.T, order.shape), order, axis=1)
    sums[np.arange(n_rows) >= n_known[:, np.newaxis]] = 0
    np.cumsum(sums, axis=1, out=sums)
    total = sums[:, -1:]
    wanted = total * levels
    # Sums of whole numbers are exact. Otherwise, rounding must not decide at a tie, where a
    # sum equals the level: a level is lowered by the largest error that a sum may have.
    if (weights != np.rint(weights)).any():
        wanted -= n_rows * np.finfo(np.float64).eps * total
    places = np.stack([np.searchsorted(*one) for one in zip(sums, wanted, strict=True)])
    # Level 1 is the last value, whatever rounding has taken from the sums.
    places[:, levels == 1] = n_rows
    return places
