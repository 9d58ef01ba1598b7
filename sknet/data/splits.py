"""Splits of a table into training rows and the validation rows of early stopping."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sknet._requirements import warn
from sknet.data.batches import Dataset
from sknet.data.copies import with_copies_grouped
from sknet.data.draws import Labels, count_validation_rows, deal_groups, split_rows
from sknet.data.kinds import naming

#: X, y and groups as the user passed them, with all rows.
Given = tuple[Any, ...]
#: The indices of the rows to train on, and of the rows to validate with.
Sides = tuple[NDArray[np.intp], NDArray[np.intp]]

#: What to do if groups leave too few rows on a side.
MORE_GROUPS = (
    "Give more groups (of consecutive rows if validation_fraction='last'), pass X_val and "
    "y_val to fit, or set early_stopping=False."
)
#: If the split of a user's splitter uses a smaller share of the rows, a warning says so.
MOSTLY_USED = 0.9


@dataclass(frozen=True)
class Split(ABC):
    """Divides rows into training rows and validation rows, without dividing a group of rows.

    Parameters
    ----------
    fraction : float
        The share of the validation rows. A user's splitter ignores it.
    """

    fraction: float

    #: Whether the rows are drawn at random, so that each member may have different ones.
    is_random: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, data: Dataset, labels: Labels, seed: int, given: Given) -> Sides:
        """Return the indices of the rows to train on, and of the rows to validate with.

        Parameters
        ----------
        data : Dataset
        labels : array of shape (n_rows,) or None
            Classes, whose shares are the same on both sides if the rows are drawn at random.
        seed : int
        given : tuple
            The user's X, y and groups, for a scikit-learn splitter.

        Raises
        ------
        ValueError
            If there are no rows to train on, or fewer than two to validate with.

        Warns
        -----
        UserWarning
            If the training rows lack a class.
        """


def _checked(
    data: Dataset, labels: Labels, sides: NDArray[Any], remedy: str = MORE_GROUPS
) -> Sides:
    """Return the rows of a split by groups, time or a splitter, after the checks of Split.

    ``sides`` has 0 for each row to train on, and 1 for each row to validate with. ``remedy``
    ends the message if a side has too few rows.
    """
    training, validation = (np.flatnonzero(sides == one) for one in (0, 1))
    if not training.size or validation.size < 2:
        undivided = "" if data.groups is None else f" in {data.n_groups} undivided group(s)"
        raise ValueError(
            f"Early stopping would train on {training.size} and validate with "
            f"{validation.size} of the {data.n_rows} rows{undivided}, but it needs at least 1 "
            f"training row and 2 validation rows. {remedy}"
        )
    if labels is not None and (lost := np.setdiff1d(labels[validation], labels[training])).size:
        warn(
            f"The training rows lack the classes {lost.tolist()} of validation rows. Choose a "
            "validation_fraction or groups that leave rows of all classes for training, or "
            "pass X_val and y_val to fit."
        )
    return training, validation


@dataclass(frozen=True)
class RandomRows(Split):
    """Random rows, or random groups if there are groups."""

    is_random = True

    def __call__(self, data: Dataset, labels: Labels, seed: int, given: Given) -> Sides:
        """Return the sides of a random split."""
        data = with_copies_grouped(data, labels, self.fraction)
        if data.groups is None:
            return split_rows(data.n_rows, self.fraction, labels, seed)
        count_validation_rows(data.n_rows, self.fraction)
        shares = np.array([1 - self.fraction, self.fraction])
        return _checked(data, labels, deal_groups(data, shares, labels, seed))


@dataclass(frozen=True)
class LastRows(Split):
    """The last rows of the table, which may be sorted by time.

    With groups, they begin at the nearest row that does not divide a group.
    """

    def __call__(self, data: Dataset, labels: Labels, seed: int, given: Given) -> Sides:
        """Return the rows before the first validation row, and that row with all later ones."""
        rows = np.arange(data.n_rows)
        first = data.n_rows - count_validation_rows(data.n_rows, self.fraction)
        if data.groups is not None:
            last = np.zeros(data.groups.max() + 1, np.intp)
            last[data.groups] = rows
            # At these rows, every earlier group has ended.
            limits = np.flatnonzero(np.maximum.accumulate(last[data.groups]) == rows)[:-1] + 1
            first = int(limits[np.abs(limits - first).argmin()]) if limits.size else 0
        return _checked(data, labels, rows >= first)


@dataclass(frozen=True)
class FirstSplit(Split):
    """The first split of a scikit-learn splitter, which gets all rows of the user's table.

    Rows on neither side are not used. If there are many, a warning says so. Rows on both sides
    are validation rows.

    Parameters
    ----------
    splitter : splitter of scikit-learn
    """

    splitter: Any

    def __call__(self, data: Dataset, labels: Labels, seed: int, given: Given) -> Sides:
        """Return the sides of the first split.

        Raises
        ------
        TypeError, ValueError
            If the splitter raises an error, or if it divides groups.
        """
        sides = np.full(data.X.shape[0], -1, np.int8)
        with naming(f"validation_fraction={self.splitter!r} cannot split the rows"):
            for side, rows in enumerate(next(iter(self.splitter.split(*given)), ())):
                sides[rows] = side
        sides = sides[data.positions]
        groups = data.positions if data.groups is None else data.groups
        if np.isin(groups[sides == 0], groups[sides == 1]).any():
            raise ValueError(
                f"validation_fraction={self.splitter!r} divides groups. Use a splitter that "
                "keeps groups together, such as GroupShuffleSplit, or do not pass groups."
            )
        found = _checked(
            data,
            labels,
            sides,
            f"Change the splitter, validation_fraction={self.splitter!r}: only its first split "
            "is used, and rows of zero weight do not count. Or pass X_val and y_val to fit.",
        )
        if (n_used := np.count_nonzero(sides >= 0)) < MOSTLY_USED * data.n_rows:
            warn(
                f"The first split of validation_fraction={self.splitter!r} leaves out "
                f"{data.n_rows - n_used} of {data.n_rows} rows, which are not used at all. To "
                "validate with the last rows, set validation_fraction='last'."
            )
        return found


#: Splits by name.
SPLITS: dict[str, type[Split]] = {"last": LastRows}
