"""From the user's table, an array or a frame with categories and dates, to plain numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sknet._requirements import warn
from sknet.data.columns.categories import CategoryColumn, warn_of_rare_levels
from sknet.data.columns.column import Column
from sknet.data.columns.numbers import read_numbers
from sknet.data.columns.times import DateColumn, DurationColumn, TimeColumn, check_times
from sknet.data.frames import Table, name_of, without_na, wrapped
from sknet.data.texts import Format, find_formats, read_texts, warn_of_formats

#: The kinds of columns that are not plain numbers, in the order in which they are read. The
#: numeric ones come before the others.
KINDS: tuple[type[Column], ...] = (DurationColumn, DateColumn, CategoryColumn)

Kind = TypeVar("Kind", bound=Column)


@dataclass(frozen=True, eq=False)
class TableReader:
    """Turns the user's frames and arrays into plain float arrays.

    The columns of plain numbers come first and keep their values. The others follow in the
    order of :data:`KINDS`: the durations and the dates of a frame as seconds (see
    :mod:`sknet.data.columns.times`), and the categories as level numbers. A date
    is its clock time in the time zone that its column had in training. A value that is missing,
    or is not one of the levels, becomes NaN.

    Attributes
    ----------
    numbers_ : ndarray of int
        The positions in X of the columns of plain numbers.
    columns_ : tuple of Column
        The other columns.
    names : list of str or None
        The names of the columns of X, for messages.
    formats : mapping of int to Format
        The formats of the columns of text that are numbers or dates, by their positions.
    """

    numbers_: NDArray[np.intp]
    columns_: tuple[Column, ...] = ()
    names: list[str] | None = None
    formats: Mapping[int, Format] = field(default_factory=dict)

    @classmethod
    def learn(cls, X: Table, wanted: Any, *, declared: bool = False) -> Self:
        """Learn which columns are categories or dates, and the levels of the categories.

        Parameters
        ----------
        X : Table
        wanted : "from_dtype", None or array-like of int, str or bool
            The parameter ``categorical_features`` of the estimators.
        declared : bool, default=False
            Whether X is the first chunk of a table, so that the levels of a column are those
            that its dtype declares, even if X lacks some of them.

        Raises
        ------
        ValueError
            If a chosen column does not exist or holds dates or durations, if X has no rows but
            has columns that are not plain numbers, or if the levels of a category cannot be
            compared, such as text and numbers.

        Warns
        -----
        UserWarning
            If a column is a category only by its dtype of objects or text, but has different
            levels in most of its rows (except in a first chunk), could be read as numbers or
            dates in several ways or but for a few values, or has no value in the first chunk.
        """
        found = find_formats(X, wanted)
        formats = {i: of_one[0] for i, of_one in found.items() if len(of_one) == 1}
        X = read_texts(X, formats)
        kinds = _find_kinds(X, wanted)
        if kinds:
            _check_has_rows(X)
        columns = tuple(kind(X, i, declared) for i, kind in kinds.items())
        numbers = np.setdiff1d(np.arange(X.shape[1]), list(kinds))
        reader = cls(numbers, columns, X.names, formats)
        for column in reader.of_kind(CategoryColumn) if isinstance(wanted, str) else ():
            # A categorical dtype is the user's choice.
            if column.position in X.text_columns:
                _warn_of_doubts(column, X, found.get(column.position, []), declared)
        return reader

    def of_part(self, X: Table) -> Self:
        """Return the reader of another part of the table, with the levels of that part.

        Raises
        ------
        ValueError
            If the levels of a category cannot be compared, such as text and numbers, or if X
            does not match the table, as in :meth:`read`.
        """
        self._check(X)
        return replace(self, columns_=tuple(column.of_part(X) for column in self.columns_))

    def prepared(self, X: Table) -> Table:
        """Return a table whose numbers and dates NumPy can convert, even those in text."""
        X = read_texts(X, self.formats) if self.formats else X
        return without_na(X, self.numbers_)

    def merged(self, others: Sequence["TableReader"]) -> "TableReader":
        """Return a reader with the levels that this one and others have found.

        The others have read further rows of the same table.

        Raises
        ------
        ValueError
            If the levels of a column are text for some readers and numbers for others.
        """
        columns = zip(self.columns_, *(one.columns_ for one in others), strict=True)
        return replace(self, columns_=tuple(one.merged(parts) for one, *parts in columns))

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Return the columns of a kind and its subclasses."""
        return [one for one in self.columns_ if isinstance(one, kind)]

    @property
    def only_numbers(self) -> bool:
        """Whether all columns are plain numbers."""
        return not self.columns_

    @property
    def numeric_(self) -> NDArray[np.intp]:
        """The positions in X of the columns that are read as numbers, in that order."""
        others = [one.position for one in self.columns_ if one.numeric]
        return np.array([*self.numbers_, *others], np.intp)

    @property
    def categorical_(self) -> NDArray[np.intp]:
        """The positions in X of the categories."""
        return np.array([one.position for one in self.of_kind(CategoryColumn)], np.intp)

    @property
    def levels_(self) -> list[NDArray[Any]]:
        """The sorted levels of each category, an array of numbers or of objects."""
        return [one.levels for one in self.of_kind(CategoryColumn)]

    @property
    def times_(self) -> dict[int, tuple[str, str | None]]:
        """The kind and the time zone of each column of durations or dates, by position."""
        return {one.position: (one.kind, one.zone) for one in self.of_kind(TimeColumn)}

    @property
    def order_(self) -> NDArray[np.intp]:
        """The positions in X of the columns that ``read`` returns."""
        return np.array([*self.numbers_, *(one.position for one in self.columns_)], np.intp)

    @property
    def places_(self) -> dict[int, Column]:
        """The columns that are not plain numbers, by their positions in what is read."""
        return dict(enumerate(self.columns_, self.numbers_.size))

    def read(self, X: Any) -> NDArray[np.floating]:
        """Return a float array with the columns in the order of ``order_``.

        X is a ``Table``, or a block of rows of one that is read in blocks. With dates or
        durations, the array is float64, which is exact enough for them. A table of only plain
        numbers is returned as it is, and the caller checks it.

        Raises
        ------
        ValueError
            If X has no rows; if the levels of a category were text in training and are numbers
            now, or the reverse, or cannot be compared with its values; if a column holds dates
            or durations now but not in training, or the reverse; if dates have a time zone only
            now or only in training; or if a numeric column holds infinity or text.
        """
        if self.only_numbers:
            return X
        X = wrapped(X)
        self._check(X)
        parts = [read_numbers(X, self.numbers_, self.names)] if self.numbers_.size else []
        dtype = parts[0].dtype if parts else np.dtype(np.float64)
        for column in self.columns_:
            numbers = column.read(X)[:, np.newaxis]
            # Level numbers are exact in the dtype of any numbers.
            parts.append(numbers if column.numeric else numbers.astype(dtype))
        return np.hstack(parts)

    def _check(self, X: Table) -> None:
        """Check that a table has rows, and times in the columns that had them in training."""
        _check_has_rows(X)
        check_times(X, {i: kind for i, (kind, _) in self.times_.items()}, self.names)


def _warn_of_doubts(
    column: CategoryColumn, X: Table, found: list[Format], first_chunk: bool
) -> None:
    """Warn about a column of text or objects that may be useless as a category."""
    where = f"Column {column.label} of X" + " in the first chunk" * first_chunk
    if first_chunk and not column.levels.size:
        warn(
            f"{where} has no value that shows its kind, so it is read as a category, even if "
            "later text in it is numbers or dates. In partial_fit, later values count as "
            "missing. Begin with rows in which the column has values or, if it is a category, "
            "give it a categorical dtype with all levels."
        )
    elif not (warn_of_formats(where, column.levels, found) or first_chunk):
        # Later chunks may repeat levels that occur once in the first.
        values = X.column(column.position)
        warn_of_rare_levels(where, values.dtype, column.levels, int(values.count()))


def _find_kinds(X: Table, wanted: Any) -> dict[int, type[Column]]:
    """Return the kind of each column that does not hold plain numbers, by its position.

    They are in the order in which they are read. A column that suits two kinds has the first.

    Raises
    ------
    ValueError
        If ``wanted``, the parameter ``categorical_features``, chooses columns that do not
        exist or that are of another kind.
    """
    kinds: dict[int, type[Column]] = {}
    for kind in KINDS:
        for i in kind.find(X, wanted):
            before = kinds.setdefault(i, kind)
            if before is not kind and not isinstance(wanted, str):
                raise ValueError(
                    f"categorical_features chooses column {name_of(i, X.names)} of X, which "
                    f"holds {before.plural}. Leave it out: {before.plural} are encoded as "
                    "such. If its values are categories, turn them into text."
                )
    return kinds


def _check_has_rows(X: Table) -> None:
    """Raise ValueError, with the words of scikit-learn, if X has no rows."""
    if X.shape[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required."
        )
