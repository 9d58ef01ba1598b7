"""From the user's table, an array or a frame with categories and dates, to plain numbers."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from sknet.data import frames
from sknet.data.dates import seconds
from sknet.data.frames import is_frame
from sknet.data.kinds import NESTED, check_kinds, check_values

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
    # Readers in files of version 0.1.0 know no dates.
    time_kinds_: Sequence[str] = ()
    time_zones_: Sequence[str | None] = ()
    levels_: list[NDArray[Any]]

    def __init__(self, categorical_features: Any) -> None:
        self.categorical_features = categorical_features

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
            frames.time_zone(X, i) if times[i] == "date" else None for i in last
        ]
        _check_has_rows(X)
        self.levels_ = [
            _find_levels(X, column, feature_names, declared)
            for column in self.categorical_.tolist()
        ]
        if isinstance(self.categorical_features, str) and not declared:
            for column, levels in zip(self.categorical_.tolist(), self.levels_, strict=True):
                _warn_of_numbers(X, column, levels, feature_names)
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a reader, also one of version 0.1.0, which kept encoders of the levels."""
        state = dict(state)
        if "_encoders" in state:
            none = np.array([], dtype=object)
            encoders = state.pop("_encoders")
            state["levels_"] = [none if one is None else one.categories_[0] for one in encoders]
        vars(self).update(state)

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
            column = _name(int(self.categorical_[category]), self._names)
            raise ValueError(
                f"The levels of column {column} are text in some partitions and numbers in "
                "others."
            ) from error

    @property
    def n_levels_(self) -> list[int]:
        """The number of levels of each category."""
        return [len(levels) for levels in self.levels_]

    @property
    def n_dates_(self) -> int:
        """The number of columns of dates."""
        return list(self.time_kinds_).count("date")

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

        With dates or durations it is float64, in which they are exact enough.

        Raises
        ------
        ValueError
            If X has no rows; if the levels of a category were text in training and are
            numbers now, or the reverse, or cannot be compared with its values; if a column
            holds dates that held none in training, or the reverse, or if they have a time
            zone only now or only then; or if a numeric column holds infinity or text.
        """
        _check_has_rows(X)
        times = self.times_
        check_times(X, {i: kind for i, (kind, _) in times.items()}, self._names)
        parts = []
        dtype: np.dtype[np.floating] = np.dtype(np.float64)
        n_numbers = self.numeric_.size - len(times)
        if n_numbers:
            parts = [_numbers(X, self.numeric_[:n_numbers], self._names)]
            dtype = parts[0].dtype
        for column, (kind, zone) in times.items():
            parts.append(read_times(X, column, kind, zone, self._names)[:, np.newaxis])
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
                f"Column {_name(column, self._names)} is a category whose levels were {before} "
                f"in training, but holds {now} now."
            )


def _check_not_both(
    categories: Sequence[int], times: Mapping[int, str], names: Sequence[str] | None
) -> None:
    """Raise ValueError if a chosen category holds dates or durations."""
    for column in categories:
        if column in times:
            raise ValueError(
                f"categorical_features chooses column {_name(column, names)} of X, which holds "
                f"{times[column]}s. Leave it out: {times[column]}s are encoded as such. If its "
                "values are categories, turn them into text."
            )


def check_times(X: Any, times: Mapping[int, str], names: Sequence[str] | None) -> None:
    """Check that a table has dates and durations in the columns that had them in training.

    Parameters
    ----------
    X : frame, array, list or sparse matrix
    times : mapping of int to {"duration", "date"}
        The kinds of these columns in training, by their positions.
    names : sequence of str or None
        The names of the columns.

    Raises
    ------
    ValueError
        If a column holds dates or durations now, but held other values in training, or the
        reverse. A column without any value may have any dtype.
    """
    if not is_frame(X):
        for column, kind in times.items():
            raise ValueError(
                f"X must be a data frame, since column {_name(column, names)} held {kind}s in "
                "training."
            )
        return
    found = frames.time_columns(X)
    for column in sorted({*times, *found}):
        before, now = times.get(column), found.get(column)
        if before == now or (before and frames.is_all_missing(X, column)):
            continue
        raise ValueError(
            f"Column {_name(column, names)} of X held {_kind(before)} in training, but holds "
            f"{_kind(now)} now. Give it the dtype that it had in training."
        )


def _kind(kind: str | None) -> str:
    """Return words for a kind of times; None stands for other values."""
    return "numbers or categories" if kind is None else f"{kind}s"


def read_times(
    X: Any, column: int, kind: str, zone: str | None, names: Sequence[str] | None
) -> NDArray[np.float64]:
    """Return a column of dates or durations of a frame as seconds, NaN for missing values.

    Parameters
    ----------
    X : frame
    column : int
        The position of the column.
    kind : {"duration", "date"}
    zone : str or None
        The time zone that the dates had in training, whose clocks they are read from.
    names : sequence of str or None
        The names of the columns.

    Raises
    ------
    ValueError
        If the dates have a time zone although ``zone`` is None, or the reverse, or if the
        column cannot be read.
    """
    if frames.is_all_missing(X, column):
        return np.full(np.shape(X)[0], np.nan)
    where = f"Column {_name(column, names)} of X"
    if kind == "date":
        _check_zone(frames.time_zone(X, column), zone, where)
    try:
        return seconds(frames.times(X, column, zone))
    # The libraries have errors of their own for time zones that they do not know.
    except Exception as error:
        raise ValueError(f"{where} cannot be read as {kind}s: {error}") from error


def _check_zone(now: str | None, before: str | None, where: str) -> None:
    """Raise ValueError if dates had a time zone in training and have none now, or reverse."""
    if (now is None) == (before is None):
        return
    if before is None:
        found = f"held dates without a time zone in training, but has the time zone {now} now"
    else:
        found = f"held dates of the time zone {before} in training, but has no time zone now"
    raise ValueError(f"{where} {found}. Convert it, such as by dt.tz_localize({before!r}).")


def _check_has_rows(X: Any) -> None:
    """Raise ValueError, with the words of scikit-learn, if X has no rows."""
    if np.shape(X)[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is "
            "required."
        )


def _name(column: int, names: Sequence[str] | None) -> str:
    """Return the name of a column, or else its position, as a message shows it."""
    return repr(column if names is None else names[column])


@contextmanager
def _comparing_levels(column: int, names: Sequence[str] | None) -> Iterator[None]:
    """Name the column whose levels cannot be hashed, or not be compared with each other."""
    try:
        yield
    # Comparing a signalling NaN of Decimal is an ArithmeticError.
    except (TypeError, ArithmeticError) as error:
        raise ValueError(
            f"The levels of column {_name(column, names)} cannot be compared: they must be all "
            "text or all numbers."
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
    where = f"Column {_name(column, names)} of X"
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


def _warn_of_numbers(
    X: Any, column: int, levels: NDArray[Any], names: Sequence[str] | None
) -> None:
    """Warn if a category by its dtype holds numbers most of which occur once.

    Such levels are as good as missing. There may be text such as "?" among them. A dtype of
    categories is the choice of the user, and text of digits alone is often an identifier.
    """
    n_rows = np.shape(X)[0]
    # With so many levels, more than half of the rows may have one of their own.
    if 2 * levels.size <= n_rows or levels.size < FEWEST_ROWS_OF_NUMBERS:
        return
    n_numbers = sum(map(_is_number, levels.tolist()))
    if frames.declared_levels(X, column) is None and 2 * n_numbers > n_rows:
        warnings.warn(
            f"Column {_name(column, names)} of X is read as a category because of its dtype, "
            f"{list(X.dtypes)[column]}, but has {n_numbers} different numbers in {n_rows} "
            "rows. Numbers that occur once tell nothing as levels. If they are quantities, "
            "convert the column, such as by astype(float), after other text in it, such as "
            "'?', was replaced by missing values; if it is a category, give it a dtype of "
            "categories.",
            UserWarning,
            stacklevel=2,
        )


def _is_number(level: Any) -> bool:
    """Whether a level is a number, or text of one that has more than digits, such as 0.5."""
    if not isinstance(level, str):
        return isinstance(level, Number)
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


def _numbers(
    X: Any, positions: NDArray[np.intp], names: Sequence[str] | None
) -> NDArray[np.floating]:
    """Return the given columns as a float array that may hold NaN, but not infinity."""
    _check_objects(X, positions, names)
    try:
        return _check_numbers(frames.number_columns(X, positions))
    except (TypeError, ValueError, OverflowError):
        # Only now column by column, to name the one that is to blame.
        _check_each(X, positions, names)
        raise


def _check_objects(X: Any, positions: NDArray[np.intp], names: Sequence[str] | None) -> None:
    """Refuse objects such as dates in columns that are read as numbers.

    NumPy would convert the objects of numpy.datetime64, bytes and complex numbers. Nested
    values pass, since NumPy's error for them is the one that scikit-learn's checks ask for.

    Raises
    ------
    ValueError
        If one of the columns holds such objects.
    """
    if is_frame(X):
        positions = np.intersect1d(positions, frames.category_columns(X))
    elif getattr(getattr(X, "dtype", None), "kind", "O") != "O":
        return
    for column in positions.tolist():
        values = np.asarray(frames.column(X, column), dtype=object).tolist()
        check_values(values, f"Column {_name(column, names)} of X", allowed=(NESTED,))


def check_objects(X: Any) -> None:
    """Refuse objects such as dates in a table without categories, which may be a list.

    Raises
    ------
    ValueError
        If a column holds such objects.
    """
    if not is_frame(X) and not hasattr(X, "dtype"):
        X = np.asarray(X)
        check_kinds(X, "X")
    if np.ndim(X) == 2:
        _check_objects(X, np.arange(X.shape[1]), frames.column_names(X))


def _check_each(X: Any, positions: NDArray[np.intp], names: Sequence[str] | None) -> None:
    """Check the numbers of some columns one by one, and name the first that has others."""
    for column in positions.tolist():
        values = np.asarray(frames.column(X, column))
        try:
            _check_numbers(values[:, np.newaxis])
        except (TypeError, ValueError, OverflowError) as reason:
            kind = TypeError if isinstance(reason, TypeError) else ValueError
            raise kind(
                f"Column {_name(column, names)} of X is not a category, but cannot be read as "
                f"finite numbers: {reason}{_advice(column, values)}"
            ) from reason


def _advice(column: int, values: NDArray[Any]) -> str:
    """Return what to do about a column that is no category, if it holds text."""
    if not any(isinstance(value, str) for value in values.tolist()):
        return ""
    return (
        ". If its text stands for categories, categorical_features has to choose the column in "
        f"fit, by its position {column} or by its name: a list names all categories."
    )


def check_columns(X: Any) -> None:
    """Name the first column of a frame, or of rows of objects, that does not hold numbers.

    Other tables, whose columns have no kinds of their own, pass.

    Raises
    ------
    TypeError, ValueError
        If a column cannot be read as finite numbers.
    """
    if isinstance(X, list) and all(isinstance(row, list) for row in X):
        if len({len(row) for row in X}) == 1:
            X = np.array(X, dtype=object)
    of_objects = isinstance(X, np.ndarray) and X.dtype.kind in "OSU" and X.ndim == 2
    if (is_frame(X) or of_objects) and X.shape[0]:
        _check_each(X, np.arange(X.shape[1]), frames.column_names(X))


def _check_numbers(X: Any) -> NDArray[np.floating]:
    # A sum of finite numbers may overflow; scikit-learn then looks at each number.
    with np.errstate(over="ignore", invalid="ignore"):
        return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


def categorical_columns(
    X: Any, wanted: Any, feature_names: Sequence[str] | None
) -> NDArray[np.intp]:
    """Return the positions of the categories that ``categorical_features`` chooses.

    Parameters
    ----------
    X : frame, or array-like of shape (n_rows, n_columns)
    wanted : "from_dtype", None or array-like of int, str or bool
        The parameter ``categorical_features`` of the estimators.
    feature_names : sequence of str or None

    Raises
    ------
    ValueError
        If a position or a name does not exist, or if a mask does not have one entry for each
        column.
    """
    if wanted is None or (isinstance(wanted, str) and not is_frame(X)):
        return np.array([], dtype=int)
    if isinstance(wanted, str):
        return frames.category_columns(X)
    wanted = np.asarray(wanted)
    if wanted.size == 0:
        return np.array([], dtype=int)
    if wanted.dtype.kind == "b":
        return _masked(wanted, np.shape(X)[1])
    if wanted.dtype.kind in "iu":
        return _positioned(wanted, np.shape(X)[1])
    return _named(wanted.tolist(), feature_names)


def _masked(wanted: NDArray[np.bool_], n_features: int) -> NDArray[np.intp]:
    """Return the positions that a mask chooses."""
    if wanted.shape != (n_features,):
        raise ValueError(
            f"categorical_features as a mask must have one entry for each of the "
            f"{n_features} features, got shape {wanted.shape}."
        )
    return np.flatnonzero(wanted)


def _positioned(wanted: NDArray[np.integer], n_features: int) -> NDArray[np.intp]:
    """Return the positions, all of which exist."""
    if wanted.min() < 0 or wanted.max() >= n_features:
        raise ValueError(
            f"categorical_features must be positions in [0, {n_features - 1}], got "
            f"{wanted.tolist()}."
        )
    return wanted.astype(np.intp)


def _named(wanted: list[Any], feature_names: Sequence[str] | None) -> NDArray[np.intp]:
    """Return the positions of the columns with the given names."""
    known = {name: i for i, name in enumerate(feature_names or ())}
    unknown = [name for name in wanted if not isinstance(name, str) or name not in known]
    twice = [name for name in wanted if (feature_names or []).count(name) > 1]
    if twice:
        raise ValueError(
            f"categorical_features names {twice}, but several columns of X have this name. "
            "Choose columns by their positions, or rename them."
        )
    if unknown:
        raise ValueError(
            f"categorical_features names {unknown}, which are not among the feature names"
            + (": X has none." if feature_names is None else f" {list(feature_names)}.")
        )
    return np.array([known[name] for name in wanted])
