"""From the user's y to a float array with one column for each output, and back."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import sparse
from sklearn.utils.multiclass import unique_labels

from sknet.data.kinds import FARTHEST, SINGLE_LIMITS
from sknet.data.weights import (
    Floats,
    LabelCounts,
    dense,
    label_weights,
    power_of_two,
    quantiles,
)

#: The scale of a constant y is this share of its magnitude, so that outputs near zero are
#: predictions near the constant, whatever the units of y.
CONSTANT_SHARE = 2.0**-10
#: The smallest share of its mean by which a y that is only scaled counts as varying. float32
#: could hardly tell apart the numbers of a y that varies less.
LEAST_SHARE = 1e-5
#: An outlier of y is farther than this many interquartile ranges from the quartiles, and among
#: this share of the highest or lowest values: a group of a fifth of y is not made of outliers.
FENCE, MOST_OUTLIERS = 3.0, 0.02
#: There are outliers only if the quartiles are apart by more than this share of the range.
LEAST_SPREAD = 1e-12
#: float32 is too coarse for a y if its numbers near the mean of y are apart by more than this
#: share of the standard deviation.
COARSE_SHARE = 0.3


def only_zeros_and_ones(y: Any) -> bool:
    """Return whether y, dense or sparse, has no other values, as a multi-label y must."""
    values = y.data if sparse.issparse(y) else y
    return values.dtype.kind in "biuf" and bool(np.isin(values, (0, 1)).all())


class Target:
    """Base class of encoders that turn y into columns that a network predicts, and back.

    It has the methods that only labels need. By default, they leave numbers as they are.
    """

    #: How much numbers vary: see :class:`RegressionTarget`. With several targets, the spread
    #: of each.
    spread_: tuple[Any, ...] = ()

    def check_all_labels(self, y: Any) -> None:
        """Check that each class occurs in y.

        Raises
        ------
        ValueError
            If y lacks a class.
        """

    def refined(self, y: Any, sample_weight: Floats | None) -> Self:
        """Return the target of a table in parts, given a sample of all its rows."""
        return self

    def smooth(self, Y: Floats, amount: float) -> Floats:
        """Return encoded targets, those of labels mixed with the shares of the classes."""
        return Y

    def strata(self, y: Any) -> Any:
        """Return the class of each row, whose shares a validation split keeps, or None."""
        return None

    def as_given(self, y: Any, like: Any) -> Any:
        """Return a checked y in a form that scorers read; ``like`` is the user's X."""
        return y

    def labels(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return predictions in the form of y, given numbers or the places of classes."""
        return values


class ClassTarget(Target):
    """Class labels as columns of zeros and ones.

    Two classes become one column; more classes become one column each. A multi-label y has one
    column for each label.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        A single class counts as multiclass: a softmax over one class is always right.
    classes_ : ndarray of shape (n_classes,)
        The sorted classes; of a multi-label y, the numbers of its columns.
    declared_ : tuple
        The classes in the order that the dtype of y declares; empty if it declares none.
    shares_ : ndarray of shape (n_outputs,)
        The mean of each column of the encoded target.
    """

    kind: str
    classes_: NDArray[Any]
    declared_: tuple[Any, ...] = ()
    shares_: Floats

    @classmethod
    def of(cls, counts: LabelCounts, classes: ArrayLike | None = None) -> Self:
        """Return the target of the labels that have been counted, or of the given classes.

        Raises
        ------
        ValueError
            If a label is not among the given classes.
        """
        target = cls()
        if counts.multilabel:
            # The labels are the columns of y, whatever ``classes`` says.
            target.kind, target.classes_ = "multilabel", np.arange(len(counts.counts))
        else:
            target.classes_ = unique_labels(counts.labels if classes is None else classes)
            target.kind = "binary" if target.classes_.size == 2 else "multiclass"
            target.check_labels(counts.labels, "y")
        target.declared_, target.shares_ = counts.order, counts.shares_of(target.classes_)
        return target

    @property
    def n_outputs(self) -> int:
        """The number of columns of the encoded target."""
        return 1 if self.kind == "binary" else self.classes_.size

    @property
    def is_constant(self) -> bool:
        """Whether there is a single class."""
        return self.kind == "multiclass" and self.classes_.size == 1

    def check_labels(self, y: Any, name: str) -> None:
        """Check that y, which messages call ``name``, has labels that were learned.

        Raises
        ------
        ValueError
            If y has a label that is not among the classes, or a different number of columns
            than in training.
        """
        classes = self.classes_.tolist()
        multilabel = self.kind == "multilabel"
        if y.shape[1:] != ((len(classes),) if multilabel else ()):
            wanted = f"{len(classes)} columns of labels" if multilabel else "one class per row"
            raise ValueError(f"{name} must have {wanted}, as in training, got shape {y.shape}.")
        if multilabel:
            if not only_zeros_and_ones(y):
                raise ValueError(
                    f"{name} must have zeros and ones, which tell the labels of a row, as in "
                    "training. It has other values."
                )
            return
        known = set(classes)
        # Labels of another type, such as text instead of numbers, cannot be sorted with the
        # classes.
        unknown = [label for label in unique_labels(y).tolist() if label not in known]
        if unknown:
            raise ValueError(
                f"{name} has labels that are not among the classes {classes}: {unknown}. "
                "Leave these rows out, or fit a new network (with warm_start=False) whose "
                "training rows, or classes= in the first call of partial_fit, have them."
            )

    def check_all_labels(self, y: Any) -> None:
        """Check that each class occurs in y. The columns of a multi-label y may be empty."""
        if self.kind == "multilabel":
            return
        missing = np.setdiff1d(self.classes_, y)
        if missing.size:
            raise ValueError(
                f"y lacks classes of the last fit, {missing.tolist()}, but warm_start=True "
                "continues with the same classes. Add rows of these classes, continue with "
                "partial_fit, which takes any of the classes, or set warm_start=False."
            )

    def transform(self, y: Any, dtype: DTypeLike) -> Floats:
        """Return y as a float array of shape (n_rows, n_outputs)."""
        if self.kind == "multilabel":
            return np.ascontiguousarray(dense(y.astype(dtype)))
        places = self._places_of(y)
        if self.kind == "binary":
            return places[:, np.newaxis].astype(dtype)
        Y = np.zeros((len(places), self.n_outputs), dtype=dtype)
        Y[np.arange(len(places)), places] = 1
        return Y

    def class_weights(self, class_weight: Any, y: Any) -> NDArray[np.float64]:
        """Return the weight that ``class_weight`` gives to each row of y.

        It is relative to a power of two that depends only on the weights of the classes. With
        one label for each row, it is less than one, so that its product with a weight is
        finite.

        Parameters
        ----------
        class_weight : dict or list of dict
            The parameter of the estimators, which ``check_class_weight`` has checked; instead
            of "balanced", the numbers that ``LabelCounts.balanced_weights`` returns.
        y : array or CSR
            The labels of the rows to weight.
        """
        if self.kind == "multilabel":
            return label_weights(class_weight, y)
        by_class = np.array([class_weight.get(c, 1) for c in self.classes_.tolist()], float)
        by_class /= power_of_two(float(by_class.max()))
        by_class /= 2
        return by_class[self._places_of(y)]

    def _places_of(self, y: Any) -> NDArray[np.intp]:
        """Return the places of known labels among the classes."""
        # NumPy would compare signed and unsigned 64-bit integers as float64.
        return np.searchsorted(self.classes_, y.astype(self.classes_.dtype))

    def smooth(self, Y: Floats, amount: float) -> Floats:
        """Return encoded targets mixed with the shares of the classes, or of each label.

        Pereyra, Tucker, Chorowski, Kaiser and Hinton (2017) call this unigram label smoothing.
        Equal shares would raise the mean probability of rare classes.
        """
        return Y * (1 - amount) + (amount * self.shares_).astype(Y.dtype)

    def strata(self, y: Any) -> Any:
        """Return the class of each row, or None for a multi-label y."""
        return None if self.kind == "multilabel" else y

    def places(self, decision: Floats) -> NDArray[np.intp]:
        """Return the numbers of the most probable classes, or 0 and 1 for each label.

        ``decision`` holds the columns of the decision function.
        """
        if self.kind == "multiclass":
            return decision.argmax(axis=1)
        places = (decision > 0).astype(int)
        return places[:, 0] if self.kind == "binary" else places

    def labels(self, values: NDArray[np.intp]) -> NDArray[Any]:
        """Return the labels at the given places among the classes."""
        return values if self.kind == "multilabel" else self.classes_[values]

    def by_target(self, columns: NDArray[Any]) -> Any:
        """Return columns of predictions in the user's form; the logit of two classes is 1D."""
        return columns[:, 0] if columns.shape[1] == 1 and self.kind == "binary" else columns

    def probabilities(self, raw: Floats, link: Any) -> Floats:
        """Return the inverse link of raw predictions, with a column for each class or label.

        ``raw`` may have further axes before its columns.
        """
        return link.both(raw) if self.kind == "binary" else link.inverse(raw)

    def standardized_moments(self) -> tuple[Floats, Floats]:
        """Return the mean and standard deviation of each column of the encoded target."""
        return self.shares_, np.sqrt(self.shares_ * (1 - self.shares_))


class RegressionTarget(Target):
    """Numbers with mean zero and standard deviation one in each column.

    Parameters
    ----------
    standardize : bool
        Whether to scale y; if not, it is used as it is.
    shift : bool, default=True
        Whether y may be shifted. If not, scaling divides it by its mean.
    robust : bool, default=False
        Whether outliers count less in the mean and the standard deviation: those farther than
        ``FENCE`` interquartile ranges from the quartiles count as if they were that far.

    Attributes
    ----------
    n_outputs : int
        The number of columns of y.
    mean_, scale_ : ndarray of shape (n_outputs,)
        The numbers that are subtracted from y, and those by which the difference is divided.
    spread_ : tuple of float
        For each column, the deviation of y as a share of its mean, at most one, if scaling
        divides y by its mean. Otherwise ones.
    """

    n_outputs: int
    mean_: Floats
    scale_: Floats

    def __init__(self, standardize: bool, shift: bool = True, robust: bool = False) -> None:
        self.standardize = standardize
        self.shift = shift
        self.robust = robust

    def fit(
        self, y: Floats, sample_weight: Floats | None = None, weight_unit: float = 1.0
    ) -> Self:
        """Learn the weighted mean and standard deviation of each column.

        ``weight_unit`` is the unit of the weights, or the weight of each row if these are None.
        """
        return self._learn(*self._moments_of(y, sample_weight), weight_unit)

    def _moments_of(
        self, y: Floats, sample_weight: Floats | None
    ) -> tuple[float, Floats, Floats]:
        """Return the sum of the weights, and the mean and standard deviation of each column."""
        Y = y.reshape(len(y), -1)
        judged = _without_outliers(Y, sample_weight) if self.robust else Y
        return _moments(judged, sample_weight)

    @property
    def is_constant(self) -> bool:
        """Whether all rows had the same numbers."""
        return not self._deviation.any()

    def fits(self, dtype: np.dtype[Any]) -> bool:
        """Return whether numbers of a dtype can hold predictions of each column."""
        return self._fits_single or dtype != np.float32

    def rounds(self, dtype: np.dtype[Any]) -> bool:
        """Return whether a dtype is too coarse for how much a column differs from its mean."""
        return self._rounds_single and dtype == np.float32

    @property
    def form(self) -> str:
        """The number of columns of numbers, which is the same in all parts of one y."""
        return f"{self.n_outputs} column(s) of numbers"

    def merged(self, other: Self) -> Self:
        """Return the target of the rows that this one and another have learned from.

        Chan, Golub and LeVeque (1983), equations 2.1: with d the difference of the means, the
        variance of all is the weighted mean of the variances plus w_1 w_2 d^2 / (w_1 + w_2)^2.
        """
        unit = max(self._unit, other._unit)
        before, added = (one._weight * (one._unit / unit) for one in (self, other))
        weight = before + added
        share = added / weight
        apart = np.sqrt(share * (1 - share)) * (other._mean - self._mean)
        own, others = np.sqrt(1 - share) * self._deviation, np.sqrt(share) * other._deviation
        within = np.hypot(own, others)
        mean = self._mean + share * (other._mean - self._mean)
        return copy.copy(self)._learn(weight, mean, np.hypot(within, apart), unit)

    def refined(self, y: Floats, sample_weight: Floats | None) -> Self:
        """Return the target with the moments of a sample, if outliers count less in them.

        A part of a table, such as one with all the outliers, does not show which values are
        outliers of the whole.
        """
        if not self.robust:
            return self
        _, mean, deviation = self._moments_of(y, sample_weight)
        return copy.copy(self)._learn(self._weight, mean, deviation, self._unit)

    def _learn(self, weight: float, mean: Floats, deviation: Floats, unit: float) -> Self:
        """Keep the moments of y and the weight of its rows, and set what follows from them."""
        self._weight, self._mean, self._deviation, self._unit = weight, mean, deviation, unit
        self.n_outputs = mean.size
        sizes = np.maximum(np.abs(mean), deviation)
        low, high = SINGLE_LIMITS
        self._fits_single = bool(((sizes == 0) | ((low <= sizes) & (sizes <= high))).all())
        size = np.abs(mean)
        coarse = np.finfo(np.float32).eps * size > COARSE_SHARE * deviation
        # The deviation of a constant may be a rounding error.
        self._rounds_single = bool((coarse & (deviation > LEAST_SPREAD * size)).any())
        self.mean_, self.scale_ = np.zeros(self.n_outputs), np.ones(self.n_outputs)
        self.spread_ = (1.0,) * self.n_outputs
        if self.standardize and self.shift:
            self.mean_ = mean
            # The scale of a constant is small, so that the constant is predicted. It is in the
            # units of y, which a column of zeros does not reveal.
            share = np.maximum(CONSTANT_SHARE * np.abs(mean), np.finfo(np.float64).tiny)
            constant = np.where(mean == 0, 1.0, share)
            self.scale_ = np.where(deviation > 0, deviation, constant)
        elif self.standardize and (mean > 0).all():
            self.scale_ = mean
            self.spread_ = tuple(np.clip(deviation / mean, LEAST_SHARE, 1).tolist())
        elif self.standardize:
            self.scale_ = mean
        return self

    def check_outputs(self, y: Floats, name: str) -> None:
        """Check that y, which messages call ``name``, has as many columns as in training.

        Raises
        ------
        ValueError
            If it has a different number of columns.
        """
        found = 1 if y.ndim == 1 else y.shape[1]
        if found != self.n_outputs:
            raise ValueError(
                f"The number of outputs must be {self.n_outputs}, as in training, but {name} "
                f"has {found}."
            )

    def transform(self, y: Floats, dtype: DTypeLike) -> Floats:
        """Return y as a float array of shape (n_rows, n_outputs)."""
        Y = y.reshape(len(y), -1) - self.mean_
        with np.errstate(over="ignore"):
            Y /= self.scale_
        if self.standardize:
            np.clip(Y, -FARTHEST, FARTHEST, out=Y)
        return Y.astype(dtype)

    def inverse_transform(self, prediction: Floats) -> Floats:
        """Return predictions in the units of y.

        A single output may have several columns of predictions.
        """
        return prediction * self.scale_ + self.mean_

    def scaled(self, deviation: Floats) -> Floats:
        """Return differences of standardized numbers in the units of y."""
        return deviation * self.scale_

    def standardized_moments(self) -> tuple[Floats, Floats]:
        """Return the mean and standard deviation of each column of the y that is trained on."""
        return (self._mean - self.mean_) / self.scale_, self._deviation / self.scale_


def merge_targets(targets: Sequence[tuple[str, Any]]) -> Any:
    """Return what is known about the whole y, given what is known about each named part.

    The result is a LabelCounts, a RegressionTarget or a JointTarget.

    Raises
    ------
    ValueError
        If two parts differ in their columns, or if one has labels of text and another of
        numbers.
    """
    (first, whole), *others = targets
    form = whole.form
    for other, target in others:
        if target.form != form:
            zeros_and_ones = (
                " A part with only zeros and ones in several columns is multi-label."
            )
            raise ValueError(
                f"The parts differ: y has {form} in {first}, but {target.form} in {other}."
                f"{zeros_and_ones if type(target) is not type(whole) else ''}"
            )
        whole = whole.merged(target)
    return whole


def _without_outliers(Y: Floats, sample_weight: Floats | None) -> Floats:
    """Return y with its outliers moved to the values that limit them.

    The limit is the outer fence of Tukey, "Exploratory Data Analysis" (1977), or the quantile
    beyond which outliers may be, whichever is farther out. A column whose quartiles are equal,
    or differ by so little that it may be rounding, has no outliers.
    """
    levels = [0, MOST_OUTLIERS, 0.25, 0.75, 1 - MOST_OUTLIERS, 1]
    least, lowest, low, high, highest, most = quantiles(Y, levels, sample_weight)
    has_spread = high - low > LEAST_SPREAD * (most - least)
    reach = np.where(has_spread, FENCE * (high - low), np.inf)
    return np.clip(Y, np.minimum(low - reach, lowest), np.maximum(high + reach, highest))


def _moments(Y: Floats, sample_weight: Floats | None) -> tuple[float, Floats, Floats]:
    """Return the sum of the weights, and the mean and standard deviation of each column.

    The deviation of a column that is constant up to rounding is zero.
    """
    weight = float(len(Y) if sample_weight is None else sample_weight.sum())
    # The mean is relative to the first row, so that the mean of a constant is exactly that
    # constant.
    mean: Floats = Y[0] + np.average(Y - Y[0], axis=0, weights=sample_weight)
    # The deviation is relative to the largest difference, whose square might overflow or
    # vanish.
    difference = Y - mean
    largest = np.maximum(difference.max(axis=0), -difference.min(axis=0))
    constant = largest <= 8 * np.finfo(np.float64).eps * np.abs(mean)
    difference /= np.where(constant, 1, largest)
    difference *= difference
    deviation = largest * np.sqrt(np.average(difference, axis=0, weights=sample_weight))
    return weight, mean, np.where(constant, 0, deviation)
