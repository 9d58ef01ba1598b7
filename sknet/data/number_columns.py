"""The columns of a table that hold numbers: read, and checked so that messages name them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from sknet.data import frames
from sknet.data.frames import is_frame, name_of
from sknet.data.kinds import NESTED, check_kinds, check_values


def read_numbers(
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
    chosen = positions.tolist()
    if is_frame(X):
        objects = set(frames.category_columns(X).tolist())
        chosen = [column for column in chosen if column in objects]
    elif getattr(getattr(X, "dtype", None), "kind", "O") != "O":
        return
    for column in chosen:
        values = np.asarray(frames.column(X, column), dtype=object).tolist()
        check_values(values, f"Column {name_of(column, names)} of X", allowed=(NESTED,))


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
                f"Column {name_of(column, names)} of X is not a category, but cannot be read "
                f"as finite numbers: {reason}{_advice(column, values)}"
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


def is_plain(X: Any) -> bool:
    """Return whether X is an array that scikit-learn's checks would return unchanged.

    These checks take most of the time of a prediction for one row.
    """
    if type(X) is not np.ndarray or X.dtype.char not in "fd" or not X.dtype.isnative:
        return False
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] == 0:
        return False
    # The sum is not finite if any element is NaN or infinity.
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(X.sum())


def _check_numbers(X: Any) -> NDArray[np.floating]:
    if is_plain(X):
        return X
    # A sum of finite numbers may overflow; scikit-learn then looks at each number.
    with np.errstate(over="ignore", invalid="ignore"):
        return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
