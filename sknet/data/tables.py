"""From the user's table, an array or a frame with categories and dates, to plain numbers."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sknet.data import frames
from sknet.data.category_choice import categorical_columns
from sknet.data.frames import name_of
from sknet.data.kinds import check_values
from sknet.data.number_columns import read_numbers
from sknet.data.time_columns import check_times, read_times

#: Fewer rows than this tell nothing about whether a column of numbers holds categories.
FEWEST_ROWS_OF_NUMBERS = 20


class TableReader:
    """Turns frames and arrays with categories into plain float arrays.

    The numeric columns come first and keep their values. The durations and then the dates of a
    frame follow, as seconds (see :mod:`sknet.data.dates`). A date is what the clocks of its
    column's time zone show, in the zone that training had. The categories come last, as the
    numbers of their levels. A value that is missing, or that is none of the levels, becomes
    NaN.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like of int, str or bool
        The parameter of the estimators.

    Attributes
    ----------
    categorical_ : ndarray of int
        Positions of the categories among the columns of X.
    numeric_ : ndarray of int
        Positions of the other columns: numbers, then durations, then dates.
    time_kinds_ : list of {"duration", "date"}
        The kinds of the durations and dates.
    time_zones_ : list of str or None
        The time zone of each of them; None for a duration and for dates without a zone.
    levels_ : list of ndarray
        The sorted levels of each category, an array of numbers or of objects. A missing value
        is not a level.
    """

    categorical_: NDArray[np.intp]
    numeric_: NDArray[np.intp]
    time_kinds_: list[str]
    time_zones_: list[str | None]
    levels_: list[NDArray[Any]]

    def __init__(self, categorical_features: Any) -> None:
        wanted = categorical_features
        if wanted is not None and not isinstance(wanted, str):
            # Files keep a list, whatever library the sequence is of.
            wanted = wanted.tolist() if hasattr(wanted, "tolist") else list(wanted)
        self.categorical_features = wanted

    @classmethod
    def of_numbers(cls, n_columns: int) -> Self:
        """Return the reader of a table all of whose columns are numbers."""
        reader = cls(None)
        reader.categorical_, reader.numeric_ = np.arange(0), np.arange(n_columns)
        reader.time_kinds_, reader.time_zones_, reader.levels_ = [], [], []
        return reader

    def fit(
        self, X: Any, feature_names: Sequence[str] | None, *, declared: bool = False
    ) -> Self:
        """Learn which columns are categories or dates, and the levels of the categories.

        Parameters
        ----------
        X : frame, or array-like of shape (n_rows, n_columns)
        feature_names : sequence of str or None
            The names of the columns, by which the user may have chosen the categories.
        declared : bool, default=False
            Whether the levels of a column are those that its dtype declares, even if X lacks
            some of them.

        Raises
        ------
        ValueError
            If X has no rows, if a chosen column does not exist or holds dates or durations, or
            if the levels of a category cannot be compared, such as text and numbers.

        Warns
        -----
        UserWarning
            If a column is a category only by its dtype of objects or text, but has different
            numbers in most of its rows.
        """
        mask = np.zeros(np.shape(X)[1], dtype=bool)
        mask[categorical_columns(X, self.categorical_features, feature_names)] = True
        self.categorical_ = np.flatnonzero(mask)
        self._names = feature_names
        times = frames.time_columns(X)
        _check_not_both(self.categorical_.tolist(), times, feature_names)
        # Dates after durations: the encoder finds them at the end of the numeric columns.
        last = sorted(times, key=lambda i: (times[i] == "date", i))
        numbers = np.setdiff1d(np.flatnonzero(~mask), last)
        self.numeric_ = np.concatenate([numbers, np.array(last, np.intp)])
        self.time_kinds_ = [times[i] for i in last]
        self.time_zones_ = [
            frames.time_zone(frames.column(X, i)) if times[i] == "date" else None for i in last
        ]
        _check_has_rows(X)
        self.levels_ = [
            _find_levels(X, column, feature_names, declared)
            for column in self.categorical_.tolist()
        ]
        if isinstance(self.categorical_features, str) and not declared:
            self._warn_of_numbers(X)
        return self

    def _warn_of_numbers(self, X: Any) -> None:
        """Warn of categories by their dtype of text or objects that hold numbers."""
        for column, levels in zip(self.categorical_.tolist(), self.levels_, strict=True):
            # A dtype of categories is the choice of the user.
            if not frames.declares_levels(X, column):
                where = f"Column {name_of(column, self._names)} of X"
                warn_of_numbers(where, list(X.dtypes)[column], levels, np.shape(X)[0])

    def merged(self, others: Sequence["TableReader"]) -> "TableReader":
        """Return a reader with the levels that this one and others have found.

        The others have read further rows of the same table.

        Raises
        ------
        ValueError
            If the levels of a column are text for some readers and numbers for others.
        """
        merged = copy.copy(self)
        readers = [self, *others]
        merged.levels_ = [
            self._merged_levels(i, [one.levels_[i] for one in readers if one.levels_[i].size])
            for i in range(len(self.levels_))
        ]
        return merged

    def _merged_levels(self, category: int, found: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return all levels of one category, given those that the readers have found."""
        if not found:
            return self.levels_[category]
        try:
            return np.unique(np.concatenate(found))
        except TypeError as error:
            column = name_of(int(self.categorical_[category]), self._names)
            raise ValueError(
                f"The levels of column {column} are text in some partitions and numbers in "
                "others."
            ) from error

    @property
    def only_numbers(self) -> bool:
        """Whether no column is a category, a duration or a date."""
        return not self.categorical_.size and not self.time_kinds_

    @property
    def n_levels_(self) -> list[int]:
        """The number of levels of each category."""
        return [len(levels) for levels in self.levels_]

    @property
    def n_dates_(self) -> int:
        """The number of columns of dates."""
        return self.time_kinds_.count("date")

    @property
    def times_(self) -> dict[int, tuple[str, str | None]]:
        """The kind and the time zone of each column of durations or dates, by its position."""
        positions = self.numeric_[self.numeric_.size - len(self.time_kinds_) :].tolist()
        both = zip(self.time_kinds_, self.time_zones_, strict=True)
        return dict(zip(positions, both, strict=True))

    @property
    def order_(self) -> NDArray[np.intp]:
        """Positions in X of the columns that ``read`` returns."""
        return np.concatenate([self.numeric_, self.categorical_])

    def read(self, X: Any) -> NDArray[np.floating]:
        """Return a float array with the numeric columns first, then the level numbers.

        With dates or durations it is float64, in which they are exact enough. A table of
        numbers alone is returned as it is: whoever has it checks it in a way of their own.

        Raises
        ------
        ValueError
            If X has no rows; if the levels of a category were text in training and are
            numbers now, or the reverse, or cannot be compared with its values; if a column
            holds dates that held none in training, or the reverse, or if they have a time
            zone only now or only then; or if a numeric column holds infinity or text.
        """
        if self.only_numbers:
            return X
        _check_has_rows(X)
        times = self.times_
        check_times(X, {i: kind for i, (kind, _) in times.items()}, self._names)
        parts = []
        dtype: np.dtype[np.floating] = np.dtype(np.float64)
        n_numbers = self.numeric_.size - len(times)
        if n_numbers:
            parts = [read_numbers(X, self.numeric_[:n_numbers], self._names)]
            dtype = parts[0].dtype
        for column, (kind, zone) in times.items():
            where = f"Column {name_of(column, self._names)} of X"
            parts.append(read_times(frames.column(X, column), kind, zone, where)[:, np.newaxis])
        for column, levels in zip(self.categorical_.tolist(), self.levels_, strict=True):
            with _comparing_levels(column, self._names):
                values, positions = _distinct_values(X, column, self._names)
                if levels.size:
                    self._check_kind(column, levels, values)
                numbers = _level_numbers(levels, values).astype(dtype)
            # Position -1, of a missing value, is the last.
            parts.append(np.append(numbers, dtype.type(np.nan))[positions][:, np.newaxis])
        return np.hstack(parts)

    def _check_kind(self, column: int, levels: NDArray[Any], values: NDArray[Any]) -> None:
        """Raise if values are numbers where the levels are text, or the reverse."""
        was_text = isinstance(levels[0], str)
        if any(isinstance(value, str) != was_text for value in values.tolist()):
            before, now = ("text", "numbers") if was_text else ("numbers", "text")
            raise ValueError(
                f"Column {name_of(column, self._names)} is a category whose levels were "
                f"{before} in training, but holds {now} now."
            )


def _check_not_both(
    categories: Sequence[int], times: Mapping[int, str], names: Sequence[str] | None
) -> None:
    """Raise ValueError if a chosen category holds dates or durations."""
    for column in categories:
        if column in times:
            raise ValueError(
                f"categorical_features chooses column {name_of(column, names)} of X, which "
                f"holds {times[column]}s. Leave it out: {times[column]}s are encoded as such. "
                "If its values are categories, turn them into text."
            )


def _check_has_rows(X: Any) -> None:
    """Raise ValueError, with the words of scikit-learn, if X has no rows."""
    if np.shape(X)[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is "
            "required."
        )


@contextmanager
def _comparing_levels(column: int, names: Sequence[str] | None) -> Iterator[None]:
    """Name the column whose levels cannot be hashed, or not be compared with each other."""
    try:
        yield
    # Comparing a signalling NaN of Decimal is an ArithmeticError.
    except (TypeError, ArithmeticError) as error:
        raise ValueError(
            f"The levels of column {name_of(column, names)} cannot be compared: they must be "
            "all text or all numbers."
        ) from error


def _distinct_values(
    X: Any, column: int, names: Sequence[str] | None
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct values of a category, and the position of each row's among them.

    Raises
    ------
    ValueError
        If the category has infinity, or objects that are neither numbers nor text.
    TypeError
        If it has an object that cannot be hashed and is of another kind than these.
    """
    where = f"Column {name_of(column, names)} of X"
    try:
        values, positions = frames.distinct_values(X, column)
    except TypeError:
        # An object that cannot be hashed, such as a list.
        check_values(np.asarray(frames.column(X, column), dtype=object), where)
        raise
    if values.dtype == object:
        check_values(values, where)
    elif np.isinf(values).any():
        raise ValueError(f"{where} is a category with infinity among its levels.")
    return values, positions


def _find_levels(
    X: Any, column: int, names: Sequence[str] | None, declared: bool
) -> NDArray[Any]:
    """Return the sorted levels of a category."""
    with _comparing_levels(column, names):
        levels = frames.declared_levels(X, column) if declared else None
        return np.sort(_distinct_values(X, column, names)[0]) if levels is None else levels


def warn_of_numbers(where: str, dtype: Any, levels: NDArray[Any], n_rows: int) -> None:
    """Warn if the levels of a column of text or objects are numbers most of which occur once.

    Such levels are as good as missing. There may be text such as "?" among them. Text of digits
    alone is often an identifier.

    Parameters
    ----------
    where : str
        The column, for the message.
    dtype : dtype
        Its dtype.
    levels : ndarray of shape (n_levels,)
    n_rows : int
        The number of rows that the levels were found in.
    """
    # With so many levels, more than half of the rows may have one of their own.
    if 2 * levels.size <= n_rows or levels.size < FEWEST_ROWS_OF_NUMBERS:
        return
    n_numbers = sum(map(_is_number, levels.tolist()))
    if 2 * n_numbers > n_rows:
        warnings.warn(
            f"{where} is read as a category because of its dtype, {dtype}, but has {n_numbers} "
            f"different numbers in {n_rows} rows. Numbers that occur once tell nothing as "
            "levels. If they are quantities, replace other text among them, such as '?', by "
            "missing values, and read or convert the column as numbers (na_values of "
            "pandas.read_csv, astype(float)). If it is a category, give it a dtype of "
            "categories.",
            UserWarning,
            stacklevel=2,
        )


def _is_number(level: Any) -> bool:
    """Whether a level is a number, or text of one that has more than digits, such as 0.5."""
    if not isinstance(level, str):
        return isinstance(level, Number)
    if "_" in level:
        return False  # Python reads 2024_0001 as a number, but people as an identifier.
    try:
        float(level)
    except ValueError:
        return False
    return not level.isdigit()


def _level_numbers(levels: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the number of the level that each value is; NaN for a value that is none."""
    if not levels.size:
        return np.full(values.size, np.nan)
    numbers = np.minimum(np.searchsorted(levels, values), levels.size - 1)
    return np.where(levels[numbers] == values, numbers, np.nan)
