"""From the user's table, a frame or an array with categories, to plain numbers."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import check_array

from sknet.data import frames
from sknet.data.frames import is_frame
from sknet.data.kinds import check_values

#: scikit-learn finds numbers that are not finite by a sum, in which large numbers of both signs
#: may overflow. It then looks at each number, so that NumPy need not warn.
FINITE_SUMS = np.errstate(over="ignore", invalid="ignore")


class TableReader:
    """Turns frames and arrays with categories into plain float arrays.

    The numeric columns come first and keep their values. The categories follow, as the numbers
    of their levels. A value that is missing, or that is none of the levels, becomes NaN.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like of int, str or bool
        The parameter of the estimators.

    Attributes
    ----------
    categorical_ : ndarray of int
        Positions of the categories among the columns of X.
    numeric_ : ndarray of int
        Positions of the other columns.
    """

    categorical_: NDArray[np.intp]
    numeric_: NDArray[np.intp]

    def __init__(self, categorical_features: Any) -> None:
        self.categorical_features = categorical_features

    def fit(
        self, X: Any, feature_names: Sequence[str] | None, *, declared: bool = False
    ) -> Self:
        """Learn which columns are categories, and their levels.

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
            If X has no rows, if a chosen column does not exist, or if a category has levels
            of text and of numbers.
        """
        mask = np.zeros(np.shape(X)[1], dtype=bool)
        mask[categorical_columns(X, self.categorical_features, feature_names)] = True
        self.categorical_ = np.flatnonzero(mask)
        self.numeric_ = np.flatnonzero(~mask)
        self._names = feature_names
        _check_has_rows(X)
        self._encoders: list[OrdinalEncoder | None] = []
        for column in self.categorical_.tolist():
            with _naming_column(column, feature_names):
                self._encoders.append(_fit_levels(X, column, feature_names, declared))
        return self

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
        merged._encoders = [
            self._merged_encoder(i, readers) for i in range(len(self._encoders))
        ]
        return merged

    def _merged_encoder(
        self, category: int, readers: Sequence["TableReader"]
    ) -> OrdinalEncoder | None:
        """Return an encoder of all levels of one category, or None if it has none."""
        found = [
            one.levels_[category] for one in readers if one._encoders[category] is not None
        ]
        if len({levels.dtype.kind == "O" for levels in found}) > 1:
            column = _name(int(self.categorical_[category]), self._names)
            raise ValueError(
                f"The levels of column {column} are text in some partitions and numbers in "
                "others."
            )
        return _encoder(np.unique(np.concatenate(found))) if found else None

    @property
    def levels_(self) -> list[NDArray[Any]]:
        """The sorted levels of each category; a missing value is not a level."""
        return [
            np.array([], dtype=object) if encoder is None else encoder.categories_[0]
            for encoder in self._encoders
        ]

    @property
    def n_levels_(self) -> list[int]:
        """The number of levels of each category."""
        return [len(levels) for levels in self.levels_]

    @property
    def order_(self) -> NDArray[np.intp]:
        """Positions in X of the columns that ``read`` returns."""
        return np.concatenate([self.numeric_, self.categorical_])

    def read(self, X: Any) -> NDArray[np.floating]:
        """Return a float array with the numeric columns first, then the level numbers.

        Raises
        ------
        ValueError
            If X has no rows; if the levels of a category were text in training and are
            numbers now, or the reverse; or if a numeric column holds infinity or text.
        """
        _check_has_rows(X)
        parts = []
        dtype: np.dtype[np.floating] = np.dtype(np.float64)
        if self.numeric_.size:
            parts = [_numbers(X, self.numeric_, self._names)]
            dtype = parts[0].dtype
        for column, encoder in zip(self.categorical_.tolist(), self._encoders, strict=True):
            values, known = _column_values(X, column, self._names)
            if encoder is not None:
                self._check_kind(column, encoder, values[known])
            with _naming_column(column, self._names):
                numbers = _level_numbers(encoder, values, known)
            parts.append(numbers.astype(dtype)[:, np.newaxis])
        return np.hstack(parts)

    def _check_kind(self, column: int, encoder: OrdinalEncoder, values: NDArray[Any]) -> None:
        """Raise if values are numbers where the levels are text, or the reverse."""
        was_text = isinstance(encoder.categories_[0][0], str)
        if values.dtype.kind == "O":
            differs = any(isinstance(value, str) != was_text for value in values)
        else:
            differs = was_text and values.size > 0
        if differs:
            before, now = ("text", "numbers") if was_text else ("numbers", "text")
            raise ValueError(
                f"Column {_name(column, self._names)} is a category whose levels were {before} "
                f"in training, but holds {now} now."
            )


def _check_has_rows(X: Any) -> None:
    """Raise ValueError, with the words of scikit-learn, if X has no rows."""
    if np.shape(X)[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is "
            "required."
        )


@contextmanager
def _naming_column(column: int, names: Sequence[str] | None) -> Iterator[None]:
    """Name the category whose levels cannot be sorted, or are not finite."""
    try:
        yield
    except TypeError as error:
        raise ValueError(
            f"The levels of column {_name(column, names)} cannot be sorted: they must be all "
            "text or all numbers."
        ) from error
    except ValueError as error:
        if str(error).startswith("Column"):
            raise
        raise ValueError(
            f"The levels of column {_name(column, names)} are not valid: {error}"
        ) from error


def _name(column: int, names: Sequence[str] | None) -> str:
    """Return the name of a column, or else its position, as a message shows it."""
    return repr(column if names is None else names[column])


def _column_values(
    X: Any, column: int, names: Sequence[str] | None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values of a category, and which of them are not missing.

    Raises
    ------
    ValueError
        If the category has objects that are neither numbers nor text.
    """
    values, known = frames.column_values(X, column)
    if values.dtype == object:
        check_values(values[known], f"Column {_name(column, names)} of X")
    return values, known


def _fit_levels(
    X: Any, column: int, names: Sequence[str] | None, declared: bool
) -> OrdinalEncoder | None:
    """Return an encoder of the levels of a category, or None if it has no levels."""
    levels = frames.declared_levels(X, column) if declared else None
    if levels is not None:
        return _encoder(levels, levels)
    values, known = _column_values(X, column, names)
    return _encoder(values[known]) if known.any() else None


def _encoder(values: NDArray[Any], levels: NDArray[Any] | None = None) -> OrdinalEncoder:
    """Return an encoder of the given levels, or else of all levels among the values."""
    encoder = OrdinalEncoder(
        categories="auto" if levels is None else [levels],
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
    ).set_output(transform="default")
    return encoder.fit(values[:, np.newaxis])


def _level_numbers(
    encoder: OrdinalEncoder | None, values: NDArray[Any], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the number of the level of each value; NaN for a missing or an unknown one."""
    numbers = np.full(values.shape[0], np.nan)
    if encoder is not None and known.any():
        numbers[known] = encoder.transform(values[known][:, np.newaxis])[:, 0]
    return numbers


def _numbers(
    X: Any, positions: NDArray[np.intp], names: Sequence[str] | None
) -> NDArray[np.floating]:
    """Return the given columns as a float array that may hold NaN, but not infinity."""
    try:
        return _check_numbers(frames.columns(X, positions))
    except (TypeError, ValueError, OverflowError):
        # Only now column by column, to name the one that is to blame.
        _check_each(X, positions, names)
        raise


def _check_each(X: Any, positions: NDArray[np.intp], names: Sequence[str] | None) -> None:
    """Check the numbers of some columns one by one, and name the first that has others."""
    for column in positions.tolist():
        try:
            _check_numbers(np.asarray(frames.column(X, column))[:, np.newaxis])
        except (TypeError, ValueError, OverflowError) as reason:
            kind = TypeError if isinstance(reason, TypeError) else ValueError
            raise kind(
                f"Column {_name(column, names)} of X is not a category, but cannot be read as "
                f"finite numbers: {reason}"
            ) from reason


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


@FINITE_SUMS
def _check_numbers(X: Any) -> NDArray[np.floating]:
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
