"""Data frames of pandas and polars: columns, dtypes, categories, missing values and rows.

This is the only module that tells the two libraries apart, and it imports neither: a pandas
object has ``iloc``. Functions that take a table take an array in place of a frame as well.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: Names of the polars dtypes whose columns are categories.
POLARS_CATEGORIES = {"Categorical", "Enum", "String", "Object"}


def is_frame(X: Any) -> bool:
    """Whether X is a data frame, which has named columns with a dtype each."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _is_pandas(data: Any) -> bool:
    return hasattr(data, "iloc")


def _is_polars(data: Any) -> bool:
    return hasattr(data, "is_null") or (is_frame(data) and not _is_pandas(data))


def column_names(X: Any) -> list[str] | None:
    """Return the names of the columns as text, or None if X is not a frame."""
    return [str(name) for name in X.columns] if is_frame(X) else None


def column(X: Any, position: int) -> Any:
    """Return one column of a frame as a series, or of another table as an array."""
    if not is_frame(X):
        return np.asarray(X)[:, position]
    return X.iloc[:, position] if _is_pandas(X) else X[:, position]


def columns(X: Any, positions: NDArray[np.intp]) -> Any:
    """Return several columns of a frame as a frame, or of another table as an array."""
    if not is_frame(X):
        return np.asarray(X)[:, positions]
    return X.iloc[:, positions] if _is_pandas(X) else X[:, positions.tolist()]


def column_values(X: Any, position: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values of a column, and which of them are not missing.

    Values that are neither numbers nor truth values come as an array of objects.
    """
    series = column(X, position)
    missing = _missing(series)
    values = np.asarray(series)
    if values.dtype.kind not in "biuf":
        values = np.asarray(series, dtype=object)
        # NaN is the only float that differs from itself.
        missing = missing | np.array([isinstance(v, float) and v != v for v in values])
    elif values.dtype.kind == "f":
        missing = missing | np.isnan(values)
    return values, ~missing


def _missing(series: Any) -> NDArray[np.bool_]:
    """Return which values are missing to the library of the series, or None in an array."""
    if hasattr(series, "isna"):
        return series.isna().to_numpy()
    if hasattr(series, "is_null"):
        return series.is_null().to_numpy()
    return np.array([value is None for value in series])


def category_columns(X: Any) -> NDArray[np.intp]:
    """Return the positions of a frame's columns of categories, text or objects."""
    if _is_pandas(X):
        # Categories and text are extension dtypes, whose kind is "O" unless they name another.
        found = [getattr(dtype, "kind", "O") in "OUS" for dtype in X.dtypes]
    else:
        found = [str(dtype).split("(")[0] in POLARS_CATEGORIES for dtype in X.dtypes]
    return np.flatnonzero(found)


def declared_levels(X: Any, position: int) -> NDArray[Any] | None:
    """Return the levels that the dtype of a column declares, sorted, or None without any."""
    if not is_frame(X):
        return None
    dtype = X.dtypes.iloc[position] if _is_pandas(X) else X.dtypes[position]
    levels = getattr(dtype, "categories", None)
    if levels is None or np.ndim(levels) == 0 or len(levels) == 0:
        return None
    levels = np.asarray(levels)
    return np.sort(levels if levels.dtype.kind in "biuf" else levels.astype(object))


def take_rows(data: Any, rows: Any) -> Any:
    """Return the rows of a frame, series, array, sparse matrix or list at the positions."""
    if _is_pandas(data):
        return data.iloc[rows]
    if sparse.issparse(data) and data.format not in ("csr", "csc"):
        # The other formats have no fast selection of rows, or none at all.
        data = data.tocsr()
    if isinstance(data, np.ndarray) or sparse.issparse(data) or _is_polars(data):
        return data[rows]
    # Other tables, such as those of pyarrow, choose rows in ways of their own.
    return np.asarray(data)[rows] if hasattr(data, "__array__") else [data[i] for i in rows]


def is_frame_or_series(data: Any) -> bool:
    """Whether ``data`` is a frame, or a series of pandas."""
    return is_frame(data) or _is_pandas(data)


def concatenate(parts: Sequence[Any]) -> Any:
    """Return one frame, or one pandas series, with the rows of several."""
    # The library that made the parts has been imported by then.
    library = sys.modules[type(parts[0]).__module__.split(".")[0]]
    options = {"ignore_index": True} if _is_pandas(parts[0]) else {}
    return library.concat(parts, **options)
