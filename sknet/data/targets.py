"""From the user's y to a float array with one column an output, and back."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

#: Rows whose labels are turned into columns at a time.
BINARIZED_ROWS = 2**18


class ClassTarget:
    """Labels as columns: one for two classes, one for each of more, one for each label.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        A single class, which a network cannot get wrong, counts as multiclass.
    classes_ : ndarray of shape (n_classes,)
    """

    def fit(self, y, classes=None):
        """Learn the classes from y, or take those given."""
        multilabel = type_of_target(y).startswith("multilabel")
        # The columns of a multi-label y say all there is to know.
        self._binarizer = LabelBinarizer().fit(y if classes is None or multilabel else classes)
        self.classes_ = self._binarizer.classes_
        if multilabel:
            self.kind = "multilabel"
        else:
            self.kind = "binary" if self.classes_.size == 2 else "multiclass"
        return self

    @property
    def n_outputs(self):
        """Columns of the encoded target."""
        return 1 if self.kind == "binary" else self.classes_.size

    def check_labels(self, y, name):
        """Raise if y has labels that the classes lack."""
        if self.kind == "multilabel":
            if y.ndim != 2 or y.shape[1] != self.classes_.size:
                raise ValueError(
                    f"{name} must have {self.classes_.size} columns of labels, as in training, "
                    f"got shape {y.shape}."
                )
            return
        if y.ndim != 1:
            raise ValueError(
                f"{name} has labels that training lacks: it has {y.shape[1]} columns, but "
                "training had one of classes."
            )
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if unknown.size:
            raise ValueError(
                f"{name} has labels that training lacks: {unknown.tolist()}; "
                f"the classes are {self.classes_.tolist()}."
            )

    def transform(self, y, dtype):
        """Return y as a float array of shape (n_rows, n_outputs)."""
        if self.classes_.size == 1 and self.kind == "multiclass":
            return np.ones((len(y), 1), dtype=dtype)
        Y = np.empty((y.shape[0], self.n_outputs), dtype=dtype)
        # Piece by piece: LabelBinarizer takes ten times the room of its result.
        for start in range(0, len(Y), BINARIZED_ROWS):
            piece = slice(start, start + BINARIZED_ROWS)
            columns = self._binarizer.transform(y[piece])
            Y[piece] = columns.toarray() if hasattr(columns, "toarray") else columns
        return Y

    def class_weights(self, class_weight, training_y, y):
        """Return the weight of each row of y; "balanced" balances the training rows."""
        if self.kind == "multilabel":
            return self._label_weights(class_weight, training_y, y)
        if isinstance(class_weight, dict):
            by_class = [class_weight.get(label, 1) for label in self.classes_.tolist()]
        else:
            seen = np.isin(self.classes_, training_y)
            by_class = np.ones(self.classes_.size)
            by_class[seen] = compute_class_weight(
                class_weight, classes=self.classes_[seen], y=training_y
            )
        return np.asarray(by_class, dtype=float)[np.searchsorted(self.classes_, y)]

    @staticmethod
    def _label_weights(class_weight, training_y, y):
        """Return the product of the labels' weights, as scikit-learn does."""
        if isinstance(class_weight, dict) or len(training_y.shape) != 2:
            raise ValueError("class_weight for a multi-label y must be 'balanced' or a list.")
        dense = [Y.toarray() if hasattr(Y, "toarray") else Y for Y in (training_y, y)]
        if class_weight == "balanced":
            class_weight = [
                dict(
                    zip(
                        seen,
                        compute_class_weight("balanced", classes=seen, y=label),
                        strict=True,
                    )
                )
                for label in dense[0].T
                for seen in [np.unique(label)]
            ]
        if len(class_weight) != dense[1].shape[1]:
            raise ValueError(
                f"class_weight has {len(class_weight)} dicts for {dense[1].shape[1]} labels."
            )
        weight = np.ones(dense[1].shape[0])
        for label, by_value in zip(dense[1].T, class_weight, strict=True):
            weight *= np.where(label == 1, by_value.get(1, 1), by_value.get(0, 1))
        return weight

    def smooth(self, Y, amount):
        """Return encoded targets mixed with equal shares of all classes.

        Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), section 7.
        """
        n_values = self.classes_.size if self.kind == "multiclass" else 2
        return Y * (1 - amount) + amount / n_values

    def places(self, decision):
        """Return the numbers of the most probable classes, or 0 and 1 for each label.

        ``decision`` are the decision function's columns.
        """
        if self.kind == "multiclass":
            return decision.argmax(axis=1)
        places = (decision > 0).astype(int)
        return places[:, 0] if self.kind == "binary" else places

    def labels(self, places):
        """Return the labels at the given places among the classes."""
        return places if self.kind == "multilabel" else self.classes_[places]

    def probabilities(self, raw, inverse_link):
        """Return the inverse link of the logits, with one column for each class or label.

        With two classes, the first one's logit is minus the second's. ``raw`` may have more
        axes in front of its columns.
        """
        if self.kind == "binary":
            raw = np.concatenate([-raw, raw], axis=-1)
        return inverse_link(raw)


@dataclass
class LabelCounts:
    """How often each label occurs in the y of a table, or of a part of it.

    Attributes
    ----------
    labels : ndarray of shape (n_labels,)
        The sorted labels; of a multi-label y, the numbers of its columns.
    counts : ndarray of shape (n_labels,)
        The number of rows with each label.
    n_rows : int
        The number of rows, which may have several labels or none if y is multi-label.
    n_columns : int
        The number of columns of y, 1 if each row has exactly one label.
    """

    labels: NDArray[Any]
    counts: NDArray[np.integer]
    n_rows: int
    n_columns: int

    @classmethod
    def of(cls, y: Any) -> Self:
        """Return the counts of a y of one dimension, or of a multi-label y."""
        if y.ndim == 1:
            return cls(*np.unique(y, return_counts=True), n_rows=y.size, n_columns=1)
        n_rows, n_columns = y.shape
        counts = np.asarray(y.sum(axis=0)).ravel()
        return cls(np.arange(n_columns), counts, n_rows, n_columns)

    @property
    def form(self) -> str:
        """The columns and the kind of labels, in which the parts of one y agree."""
        kind = "text" if isinstance(self.labels[0], str) else "numbers"
        return f"{self.n_columns} column(s) of {kind}"

    def merge(self, other: Self) -> None:
        """Add the counts of further rows."""
        both = np.concatenate([self.labels, other.labels])
        labels, places = np.unique(both, return_inverse=True)
        counts = np.bincount(places, np.concatenate([self.counts, other.counts]))
        self.labels, self.counts = labels, counts.astype(int)
        self.n_rows += other.n_rows

    def labels_as_y(self) -> NDArray[Any]:
        """Return a small y from which ``ClassTarget`` learns the same labels."""
        if self.n_columns == 1:
            return self.labels
        return np.zeros((1, self.n_columns), dtype=int)

    def balanced_weights(self) -> dict[Any, float] | list[dict[Any, float]]:
        """Return ``class_weight="balanced"`` as numbers: n_rows / (n_classes * count).

        For a multi-label y there is one dict for each label.
        """
        if self.n_columns == 1:
            return self._balance(self.labels.tolist(), self.counts.tolist())
        return [
            self._balance([0, 1], [self.n_rows - count, count])
            for count in self.counts.tolist()
        ]

    def _balance(self, labels: list[Any], counts: list[int]) -> dict[Any, float]:
        n_classes = np.count_nonzero(counts)
        return {
            label: self.n_rows / (n_classes * count)
            for label, count in zip(labels, counts, strict=True)
            if count
        }


class RegressionTarget:
    """Numbers with mean zero and standard deviation one in each column.

    Parameters
    ----------
    standardize : bool
        Without it, y is used as it is.
    shift : bool, default=True
        Whether y may be shifted. If not, it is divided by its mean.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_outputs,)
    """

    def __init__(self, standardize, shift=True):
        self.standardize = standardize
        self.shift = shift

    def fit(self, y, sample_weight=None):
        """Learn the weighted mean and standard deviation of each column."""
        Y = y.reshape(len(y), -1)
        self.n_outputs = Y.shape[1]
        self._weight, self._mean, self._deviation = _moments(Y, sample_weight)
        self._set_scale()
        return self

    def update(self, y, sample_weight=None):
        """Let further rows join the mean and the standard deviation.

        Chan, Golub and LeVeque (1983), equations 2.1: with d the difference of the means, the
        variance of all is the mean of the variances plus w_1 w_2 d^2 / (w_1 + w_2)^2.
        """
        self._join(*_moments(y.reshape(len(y), -1), sample_weight))

    @property
    def form(self) -> str:
        """The columns, in which the parts of one y agree."""
        return f"{self.n_outputs} column(s)"

    def merge(self, other):
        """Let the rows that another target has learned from join in the same way."""
        self._join(other._weight, other._mean, other._deviation)

    def _join(self, weight, mean, deviation):
        share = weight / (self._weight + weight)
        apart = np.sqrt(share * (1 - share)) * (mean - self._mean)
        within = np.hypot(np.sqrt(1 - share) * self._deviation, np.sqrt(share) * deviation)
        self._weight += weight
        self._mean = self._mean + share * (mean - self._mean)
        self._deviation = np.hypot(within, apart)
        self._set_scale()

    def _set_scale(self):
        """Set what y is shifted and divided by."""
        self.mean_, self.scale_ = np.zeros(self.n_outputs), np.ones(self.n_outputs)
        if self.standardize and self.shift:
            self.mean_ = self._mean
            self.scale_ = np.where(self._deviation > 0, self._deviation, 1)
        elif self.standardize:
            self.scale_ = self._mean

    def check_outputs(self, y, name):
        """Raise if y has another number of columns."""
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if n_outputs != self.n_outputs:
            raise ValueError(
                f"{name} has {n_outputs} outputs, but training had {self.n_outputs}."
            )

    def transform(self, y, dtype):
        """Return y as a float array of shape (n_rows, n_outputs)."""
        Y = y.reshape(len(y), -1) - self.mean_
        Y /= self.scale_
        return Y.astype(dtype)

    def inverse_transform(self, prediction):
        """Return predictions in y's units; their columns may be several of one output."""
        return prediction * self.scale_ + self.mean_


KnownTarget = LabelCounts | RegressionTarget


def merge_targets(targets: Sequence[tuple[str, KnownTarget]]) -> KnownTarget:
    """Return what is known of the whole y, given the names and the targets of its parts.

    Raises
    ------
    ValueError
        If two parts differ in their columns, or have labels of text and of numbers.
    """
    (first, known), *others = targets
    merged: Any = copy.copy(known)
    form = merged.form
    for other, target in others:
        if target.form != form:
            raise ValueError(
                f"Partitions differ: y has {form} in {first}, but {target.form} in {other}."
            )
        merged.merge(target)
    return merged


def _moments(Y, sample_weight):
    """Return the sum of the weights, and the mean and standard deviation of each column.

    The deviation of a column that is constant up to rounding is zero.
    """
    weight = float(len(Y)) if sample_weight is None else sample_weight.sum()
    # From the first row on: the mean of a constant is that constant, exactly.
    mean = Y[0] + np.average(Y - Y[0], axis=0, weights=sample_weight)
    # Scaled by the largest, so that squares neither overflow nor vanish.
    difference = Y - mean
    largest = np.maximum(difference.max(axis=0), -difference.min(axis=0))
    constant = largest <= 8 * np.finfo(np.float64).eps * np.abs(mean)
    difference /= np.where(constant, 1, largest)
    difference *= difference
    deviation = largest * np.sqrt(np.average(difference, axis=0, weights=sample_weight))
    return weight, mean, np.where(constant, 0, deviation)
