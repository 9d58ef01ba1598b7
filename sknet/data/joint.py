"""Several targets in one y: their columns, what is known about each, and their encoding.

A y with several targets is a two-dimensional array, whose columns are all labels, or a
structured array with a field for each target: float64 for numbers, and another dtype for
labels. NaN or None means that a row lacks a target.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from sklearn.utils.multiclass import type_of_target

from sknet.data import frames
from sknet.data.kinds import naming
from sknet.data.targets import ClassTarget, Target, only_zeros_and_ones
from sknet.data.weights import Floats

#: The key of the dtype's metadata for the library of the user's y, if that was a frame.
LIBRARY = "library"
#: The key for the user's names of the columns, which the fields of the dtype have as text.
NAMES = "names"


class Column(NamedTuple):
    """One target: its name, whether it holds numbers, which rows have it, and their values."""

    name: Any
    numeric: bool
    known: NDArray[np.bool_]
    values: NDArray[Any]


def known_rows(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values of a column of a checked y are not missing (NaN, NaT or None)."""
    if values.dtype == object:
        return np.not_equal(values, np.array(None, object)).astype(bool)
    return values == values


def structured(fields: dict[Any, NDArray[Any]], library: str | None) -> NDArray[Any]:
    """Return a structured array of columns by name, which knows the library of a frame."""
    dtypes = [(str(name), column.dtype) for name, column in fields.items()]
    dtype = np.dtype(dtypes, metadata={LIBRARY: library, NAMES: tuple(fields)})
    y = np.empty(len(next(iter(fields.values()))), dtype)
    for name, column in fields.items():
        y[str(name)] = column
    return y


def fields_of(y: NDArray[Any]) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Yield the names and the columns of a structured array."""
    metadata: Any = y.dtype.metadata or {}
    fields = y.dtype.names or ()
    for name, field in zip(metadata.get(NAMES, fields), fields, strict=True):
        yield name, y[field]


def library_of(y: NDArray[Any]) -> str | None:
    """Return the library of the user's y, or None if that was not a frame."""
    metadata: Any = y.dtype.metadata or {}
    return metadata.get(LIBRARY)


def columns_of(y: NDArray[Any]) -> Iterator[Column]:
    """Yield the targets of a checked y."""
    for name, values in enumerate(y.T) if y.ndim == 2 else fields_of(y):
        known = known_rows(values)
        own = values[known]
        # Objects are labels with missing values; without these, they become text or numbers.
        own = np.array(own.tolist()) if own.dtype == object else own
        yield Column(name, y.ndim == 1 and values.dtype == np.float64, known, own)


def side_by_side(columns: Mapping[Any, NDArray[Any]], library: str | None, like: Any) -> Any:
    """Return the columns of all targets as a frame of a library, or as an array if it is None.

    A frame of pandas has the index of ``like``, if that has one.
    """
    if library is not None:
        return frames.frame_of(columns, library, like)
    arrays = list(columns.values())
    of_numbers = all(one.dtype.kind in "biuf" for one in arrays)
    dtype = np.result_type(*arrays) if of_numbers else object
    return np.column_stack([one.astype(dtype) for one in arrays])


def is_multioutput(y: Any) -> bool:
    """Return whether a checked y of labels has several columns, and is not multi-label.

    For scikit-learn, a y with any two whole numbers is multi-label, even with 5 and 7. Here,
    its values must be zero and one, or it would be predicted as zeros and ones.
    """
    multilabel = y.ndim == 2 and type_of_target(y).startswith("multilabel")
    return y.ndim == 2 and not (multilabel and only_zeros_and_ones(y))


def known_targets(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which targets each row of a structured array has, with a column for each."""
    return np.column_stack([known_rows(y[name]) for name in y.dtype.names or ()])


def rows_with_targets(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows of a structured array have at least one target."""
    return np.any(known_targets(y), axis=1)


@dataclass
class JointTarget(Target):
    """Several targets, whose encoded columns are side by side.

    After a look at a table, or at a part of one, ``parts`` has what is known about each target.
    Its values become encoders when all rows have been looked at.

    Attributes
    ----------
    parts : dict of str to ClassTarget, RegressionTarget, LabelCounts or None
        The encoder of each target by its name or position, or the counts of its labels. None
        if no row has the target.
    weights : ndarray of shape (n_targets + 1,)
        The sum of the weights of the rows that have each target, and that of all rows.
    unit : float
        The unit of the weights.
    form : str
        The names of the targets, which are the same in all parts of one y.
    library : str or None
        The library of the user's y, if that was a frame.
    """

    parts: dict[Any, Any]
    weights: Floats
    unit: float
    form: str
    library: str | None
    kind = "multioutput"

    @property
    def spread_(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The spread of each target."""
        return tuple(one.spread_ for one in self.targets)

    def merged(self, other: Self) -> Self:
        """Return what is known from these rows and from further ones.

        Raises
        ------
        ValueError
            If the values of a target are text in one part and numbers in another.
        """
        unit = max(self.unit, other.unit)
        weights = self.weights * (self.unit / unit) + other.weights * (other.unit / unit)
        parts = dict(self.parts)
        for name, part in other.parts.items():
            own = parts[name]
            if own is None:
                parts[name] = part
            elif part is not None:
                if own.form != part.form:
                    raise ValueError(
                        f"The parts differ: target {name!r} has {own.form} in one part and "
                        f"{part.form} in another."
                    )
                parts[name] = own.merged(part)
        return replace(self, parts=parts, weights=weights, unit=unit)

    @property
    def shares(self) -> list[float]:
        """The weighted share of the training rows that have each target."""
        *weights, total = self.weights.tolist()
        return [weight / total for weight in weights]

    @property
    def names(self) -> list[Any]:
        """The names of the targets, or their positions."""
        return list(self.parts)

    @property
    def targets(self) -> list[Any]:
        """The values of ``parts``, in the order of the columns of y."""
        return list(self.parts.values())

    @property
    def n_outputs(self) -> int:
        """The number of encoded columns of all targets."""
        return sum(target.n_outputs for target in self.targets)

    @property
    def of_labels(self) -> dict[Any, ClassTarget]:
        """The targets that have labels, by name."""
        return {k: one for k, one in self.parts.items() if isinstance(one, ClassTarget)}

    @property
    def classes_(self) -> list[NDArray[Any]]:
        """The classes of each target that has labels."""
        return [one.classes_ for one in self.of_labels.values()]

    def columns(self, y: NDArray[Any]) -> Iterator[tuple[Any, Column]]:
        """Yield each target with its column of a checked y, in whatever order y has them."""
        found = {str(column.name): column for column in columns_of(y)}
        return ((target, found[str(name)]) for name, target in self.parts.items())

    def _split(self, Y: Floats) -> list[Floats]:
        """Return the encoded columns of each target."""
        sizes = [target.n_outputs for target in self.targets]
        return np.split(Y, np.cumsum(sizes)[:-1], axis=1)

    def transform(self, y: NDArray[Any], dtype: DTypeLike) -> Floats:
        """Return y as a float array of shape (n_rows, n_outputs); NaN is a missing target."""
        Y = np.full((len(y), self.n_outputs), np.nan, dtype)
        for (target, column), own in zip(self.columns(y), self._split(Y), strict=True):
            if column.known.any():
                own[column.known] = target.transform(column.values, dtype)
        return Y

    def refined(self, y: NDArray[Any], sample_weight: Floats | None) -> Self:
        """Return the targets, each given the sampled rows that have it."""
        parts = {}
        for name, (target, column) in zip(self.parts, self.columns(y), strict=True):
            known = column.known
            own = None if sample_weight is None else sample_weight[known]
            parts[name] = target.refined(column.values, own) if known.any() else target
        return replace(self, parts=parts)

    def smooth(self, Y: Floats, amount: float) -> Floats:
        """Return encoded targets, those of labels mixed with the shares of the classes."""
        parts = zip(self.targets, self._split(Y), strict=True)
        return np.hstack([target.smooth(own, amount) for target, own in parts])

    def as_given(self, y: NDArray[Any], like: Any) -> Any:
        """Return a checked y in the user's form; a frame has the index of ``like``."""
        if y.dtype.names is None:
            return y
        # Rows of several chunks lack the metadata of the dtype.
        columns = {name: y[str(name)] for name in self.names}
        return side_by_side(columns, self.library, like)

    def check_columns(self, y: NDArray[Any], name: str) -> None:
        """Check that y, which messages call ``name``, has the targets of training.

        Their order does not matter.

        Raises
        ------
        ValueError
            If y lacks a target, or has others.
        """
        several = (y.ndim == 2 or y.dtype.names) and not sparse.issparse(y)
        found = [one.name for one in columns_of(y)] if several else []
        if set(found) != set(self.names):
            other = "a sparse matrix" if sparse.issparse(y) else "one column"
            raise ValueError(
                f"{name} must have the targets {self.names}, as in training, got "
                f"{found or other}."
            )

    def check_all_labels(self, y: NDArray[Any]) -> None:
        """Check that each class of each target occurs in y."""
        for target, column in self.columns(y):
            with naming(f"Target {column.name!r}"):
                target.check_all_labels(column.values)

    def held_back(self, y: NDArray[Any], y_val: NDArray[Any]) -> list[Any]:
        """Return the names of the targets that only validation rows have."""
        sides = zip(self.names, self.columns(y), self.columns(y_val), strict=True)
        known = ((name, own.known, val.known) for name, (_, own), (_, val) in sides)
        return [name for name, own, val in known if val.any() and not own.any()]

    def labels(self, values: NDArray[np.intp]) -> NDArray[Any]:
        """Return the labels at positions among the classes, with a column for each target."""
        return np.column_stack([*self.in_form_of_y(values.T).values()])

    def in_form_of_y(self, values: Iterable[NDArray[Any]]) -> dict[Any, NDArray[Any]]:
        """Return the predictions of each target by name, given class positions or numbers."""
        parts = zip(self.parts.items(), values, strict=True)
        return {name: target.labels(own) for (name, target), own in parts}

    def by_target(self, columns: NDArray[Any]) -> list[NDArray[Any]]:
        """Return probabilities or logits as an array for each target that has labels.

        ``columns`` has those of all these targets side by side.
        """
        targets = self.of_labels.values()
        sizes = [one.classes_.size for one in targets]
        if sum(sizes) != columns.shape[1]:
            sizes = [one.n_outputs for one in targets]
        parts = np.split(columns, np.cumsum(sizes)[:-1], axis=1)
        return [target.by_target(part) for target, part in zip(targets, parts, strict=True)]
