"""Several targets in one y: their columns, what is known of each, and their encoding.

A y with several targets is an array of two dimensions, whose columns are all labels, or a
structured array with a field for each target: float64 for numbers, and another dtype for
labels. A row may lack a target, as NaN or None.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.multiclass import type_of_target

from sknet.data import frames
from sknet.data.targets import ClassTarget, RegressionTarget
from sknet.data.weights import Floats, LabelCounts

#: The key of the dtype's metadata that says of which library the user's y was.
LIBRARY = "library"
#: The key of the user's names of the columns, which the fields of the dtype have as text.
NAMES = "names"


class Column(NamedTuple):
    """One target: its name, whether it is numbers, which rows have it, and their values."""

    name: Any
    numeric: bool
    known: NDArray[np.bool_]
    values: NDArray[Any]


def known_rows(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which values of a column of a checked y are not missing: NaN, NaT or None."""
    if values.dtype == object:
        return np.not_equal(values, np.array(None, object)).astype(bool)
    return values == values


def fields_of(y: NDArray[Any]) -> Iterator[tuple[Any, NDArray[Any]]]:
    """Yield the names and the columns of a structured array."""
    metadata: Any = y.dtype.metadata or {}
    fields = y.dtype.names or ()
    for name, field in zip(metadata.get(NAMES, fields), fields, strict=True):
        yield name, y[field]


def columns_of(y: NDArray[Any]) -> Iterator[Column]:
    """Yield the targets of a checked y."""
    for name, values in enumerate(y.T) if y.ndim == 2 else fields_of(y):
        known = known_rows(values)
        own = values[known]
        # Objects are labels with gaps between them, and become text or numbers without any.
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
    """Return whether a checked y of labels has several columns, and is not multi-label."""
    return y.ndim == 2 and not type_of_target(y).startswith("multilabel")


def rows_with_targets(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows of a structured array have at least one target."""
    return np.any([known_rows(y[name]) for name in y.dtype.names or ()], axis=0)


@dataclass
class KnownTargets:
    """What is known of each target after a look at a table, or at a part of one.

    Attributes
    ----------
    parts : dict of str to LabelCounts, RegressionTarget or None
        The counts of labels or the scale of each target; None if all rows lack it.
    weights : ndarray of shape (n_targets + 1,)
        The sum of the weights of the rows that have each target, and of all rows.
    unit : float
        The unit of the weights.
    form : str
        The names and kinds of the targets, which are the same in all parts of one y.
    library : str or None
        The library of the user's y, if that was a frame.
    """

    parts: dict[Any, LabelCounts | RegressionTarget | None]
    weights: Floats
    unit: float
    form: str
    library: str | None

    def merge(self, other: Self) -> None:
        """Add what is known of further rows.

        Raises
        ------
        ValueError
            If a target has labels of text in one part, and of numbers in another.
        """
        unit = max(self.unit, other.unit)
        self.weights = self.weights * (self.unit / unit) + other.weights * (other.unit / unit)
        self.unit = unit
        for name, part in other.parts.items():
            own: Any = self.parts[name]
            if own is None or part is None:
                self.parts[name] = part if own is None else own
                continue
            if own.form != part.form:
                raise ValueError(
                    f"The parts differ: target {name!r} has {own.form} and {part.form}."
                )
            own.merge(part)


@dataclass
class JointTarget:
    """Several targets, whose encoded columns stand side by side.

    Attributes
    ----------
    names : tuple
        The names of the targets, or their positions.
    targets : tuple of ClassTarget or RegressionTarget
    shares : tuple of float
        The share of the weighted training rows that have each target.
    library : str or None
        The library of the user's y, if that was a frame.
    """

    names: tuple[Any, ...]
    targets: tuple[Any, ...]
    shares: tuple[float, ...]
    library: str | None = None
    kind = "multioutput"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of encoded columns of each target."""
        return tuple(target.n_outputs for target in self.targets)

    @property
    def n_outputs(self) -> int:
        """The number of encoded columns of all targets."""
        return sum(self.sizes)

    @property
    def classes_(self) -> list[NDArray[Any]]:
        """The classes of each target that has labels."""
        return [one.classes_ for one in self.targets if isinstance(one, ClassTarget)]

    def transform(self, y: NDArray[Any], dtype: DTypeLike) -> Floats:
        """Return y as a float array of shape (n_rows, n_outputs); NaN is a missing target."""
        Y, start = np.full((len(y), self.n_outputs), np.nan, dtype), 0
        for target, column in zip(self.targets, columns_of(y), strict=True):
            stop = start + target.n_outputs
            if column.known.any():
                Y[column.known, start:stop] = target.transform(column.values, dtype)
            start = stop
        return Y

    def as_given(self, y: NDArray[Any], like: Any) -> Any:
        """Return a checked y in the form of the user's, a frame with the index of ``like``."""
        if y.dtype.names is None:
            return y
        # Rows of several chunks lack the metadata of the dtype.
        columns = {name: y[str(name)] for name in self.names}
        return side_by_side(columns, self.library, like)

    def check_columns(self, y: NDArray[Any], name: str) -> None:
        """Check that y, which messages call ``name``, has the targets of training.

        Raises
        ------
        ValueError
            If it has others.
        """
        found = tuple(one.name for one in columns_of(y)) if y.ndim == 2 or y.dtype.names else ()
        if found != self.names:
            raise ValueError(
                f"{name} must have the targets {list(self.names)}, as in training, got "
                f"{list(found) or 'one column'}."
            )

    def labels(self, places: NDArray[np.intp]) -> NDArray[Any]:
        """Return the labels at places among the classes, with a column for each target."""
        columns = zip(self.targets, places.T, strict=True)
        return np.column_stack([target.labels(own) for target, own in columns])

    def by_target(self, columns: NDArray[Any]) -> list[NDArray[Any]]:
        """Return probabilities or logits of labels as an array for each target that has them.

        ``columns`` has those of all targets side by side.
        """
        targets = [one for one in self.targets if isinstance(one, ClassTarget)]
        sizes = [one.classes_.size for one in targets]
        if sum(sizes) != columns.shape[1]:
            sizes = [one.n_outputs for one in targets]
        parts = np.split(columns, np.cumsum(sizes)[:-1], axis=1)
        return [target.by_target(part) for target, part in zip(targets, parts, strict=True)]
