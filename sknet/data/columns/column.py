"""What a kind of column has to define: how it is read, surveyed and encoded.

A :class:`Column` is a column of a table that is read in its own way. Its statistic is what a
survey gathers from it, and a :class:`Feature` is some adjacent columns of the encoded table.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknet.data.batches import Dataset
from sknet.data.frames import name_of
from sknet.data.weights import Floats


class Region(IntEnum):
    """The regions of an encoded row, from left to right."""

    #: Scaled numbers, for which the network may have an embedding.
    NUMBERS = 0
    #: Zeros and ones.
    FLAGS = 1
    #: Level numbers, for which the network learns an embedding.
    LEVELS = 2


class Feature(ABC):
    """Some adjacent columns of an encoded table.

    Tables are as ``TableReader.read`` returns them.

    Attributes
    ----------
    region : Region
    sources : ndarray of int of shape (width,)
        For each encoded column, the position of the column that it comes from.
    """

    region: Region
    sources: NDArray[np.intp]

    @property
    def width(self) -> int:
        """The number of encoded columns."""
        return self.sources.size

    @abstractmethod
    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[Any]:
        """Return the encoded columns of rows of an array.

        ``dtype`` is that of the encoded rows. The columns may have a different dtype whose
        values it can hold.
        """

    @abstractmethod
    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return the names of the encoded columns.

        Parameters
        ----------
        names : sequence of str
            The names of the columns of the table.
        levels : sequence of sequence
            The levels of each of these columns; a numeric column has none.
        """


class Surveyed(NamedTuple):
    """What is known about a column of the training table when its features are made.

    Attributes
    ----------
    place : int
        The position of the column among those that are read.
    statistic : ndarray
        What :meth:`Column.statistic` returns for all rows.
    has_missing : bool
        Whether it has missing values.
    sample : Dataset
        Some rows of the table.
    encoder : TableEncoder
        The encoder for which the features are made. Its options tell whether numbers are
        scaled, with which columns predictions only rise or only fall, and whether rare levels
        are kept.
    """

    place: int
    statistic: NDArray[Any]
    has_missing: bool
    sample: Dataset
    encoder: Any


class Column(ABC):
    """A column of a table that is read in its own way.

    Plain numbers have no such object, since they are read together.

    Parameters
    ----------
    X : Table
        The user's table.
    position : int
        The position of the column in it.
    declared : bool, default=False
        Whether its levels are those that its dtype declares, even if X lacks some of them.
    """

    #: How cards and messages name columns of the kind.
    plural: ClassVar[str]
    #: Whether the values are numbers that can be ordered; otherwise they are level numbers.
    numeric: ClassVar[bool]
    #: Whether single values may have their own meaning (see ``single_values.py``).
    may_be_code: ClassVar[bool] = False

    def __init__(self, X: Any, position: int, declared: bool = False) -> None:
        self.position = position
        #: The name or the position, as messages show it.
        self.label: str = name_of(position, X.names)

    @classmethod
    @abstractmethod
    def find(cls, X: Any, wanted: Any) -> Sequence[int]:
        """Return the positions of the columns of this kind.

        Parameters
        ----------
        X : Table
        wanted : "from_dtype", None or list of int, str or bool
            The parameter ``categorical_features`` of the estimators.
        """

    def of_part(self, X: Any) -> Self:
        """Return the column of another part of the table, which has the same columns."""
        return self

    def merged(self, others: Sequence[Self]) -> Self:
        """Return the column of a table, given those of its other parts."""
        return self

    @abstractmethod
    def read(self, X: Any) -> NDArray[np.float64]:
        """Return the column of a table as numbers, NaN for missing values."""

    def statistic(self, x: Floats, repeated: Floats) -> NDArray[Any]:
        """Return what a survey gathers in addition to missing values and a sample of rows.

        Parameters
        ----------
        x : ndarray of shape (n_rows,)
            The column as it was read; NaN is a missing value.
        repeated : ndarray of shape (n_rows,)
            How often each row counts.
        """
        return np.empty(0)

    def of_both(self, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        """Return the statistic of all rows, given those of some rows and of the others."""
        return one

    def repeated(self, statistic: NDArray[Any], times: float) -> NDArray[Any]:
        """Return the statistic of the same rows if each counts ``times`` times as often."""
        return statistic

    def translated(self, statistic: NDArray[Any], part: Self) -> NDArray[Any]:
        """Return the statistic of a part of the table in terms of this column."""
        return statistic

    def features(self, found: Surveyed) -> list[Feature]:
        """Return features in addition to the numeric value and its missing-value flag."""
        return []

    def shown(self, x: np.floating) -> str:
        """Return a value as the shortest text that tells it apart from other values."""
        return number_text(x)

    @abstractmethod
    def on_card(self, name: str) -> str:
        """Return what a card says about the column, given its name."""


def number_text(x: np.floating) -> str:
    """Return a number as text, without the decimal point of a whole number."""
    return str(x).removesuffix(".0")
