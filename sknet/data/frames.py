"""Data frames of pandas and polars: columns, dtypes, categories, missing values and rows.

This is the only module that tells the two libraries apart, and it imports neither: a pandas
object has ``iloc``. Functions that take a table take an array in place of a frame as well.
"""

import datetime
import sys
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: Names of the polars dtypes whose columns are categories.
POLARS_CATEGORIES = {"Categorical", "Enum", "String", "Object"}
#: The most rows of a frame whose values are read together.
FEW_ROWS = 16
#: How the names of the dtypes of each kind of times begin, in lower case.
TIME_DTYPES = {"date": ("date", "timestamp"), "duration": ("duration", "timedelta")}
#: The types of the values of each kind of times in columns of objects.
TIME_TYPES: dict[str, tuple[type, ...]] = {
    "date": (datetime.date, np.datetime64),
    "duration": (datetime.timedelta, np.timedelta64),
}


def is_frame(X: Any) -> bool:
    """Whether X is a data frame, which has named columns with a dtype each."""
    # The class is asked, since pandas makes the dtypes of a frame anew each time.
    return hasattr(type(X), "columns") and hasattr(type(X), "dtypes")


def _is_pandas(data: Any) -> bool:
    return hasattr(data, "iloc")


def _is_polars(data: Any) -> bool:
    return hasattr(data, "is_null") or (is_frame(data) and not _is_pandas(data))


def library(data: Any) -> str | None:
    """Return the library of a frame or a series, "pandas" or "polars"; None of other data."""
    if _is_pandas(data):
        return "pandas"
    return "polars" if _is_polars(data) else None


class LookedUp:
    """A frame whose dtypes and columns are each looked up once.

    pandas makes both anew each time, which takes most of the time of a prediction for one row.
    The functions that read columns take such an object in the place of its frame.

    Parameters
    ----------
    frame : frame of pandas or polars
    """

    # Slots are attributes of the class, which make it a frame for :func:`is_frame`.
    __slots__ = ("_series", "columns", "dtypes", "frame", "iloc", "ndim", "shape")

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.columns = frame.columns
        self.dtypes = list(frame.dtypes)
        self.shape, self.ndim = frame.shape, 2
        self._series: dict[int, Any] = {}
        if _is_pandas(frame):
            self.iloc = frame.iloc

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        return self.frame[key]

    def column(self, position: int) -> Any:
        """Return the series at a position."""
        if position not in self._series:
            self._series[position] = self._look_up(position)
        return self._series[position]

    def _look_up(self, position: int) -> Any:
        name = self.columns[position]
        if _is_pandas(self.frame) and isinstance(name, str) and self.columns.is_unique:
            return self.frame[name]  # four times as fast as by the position
        return column(self.frame, position)


def looked_up(X: Any) -> Any:
    """Return a frame as a :class:`LookedUp`, and another table, or a lazy one, as it is."""
    return LookedUp(X) if is_frame(X) and hasattr(X, "__len__") else X


def as_given(X: Any) -> Any:
    """Return the frame of a :class:`LookedUp`, and another table as it is."""
    return X.frame if isinstance(X, LookedUp) else X


def name_of(column: int, names: Sequence[str] | None) -> str:
    """Return the name of a column, or else its position, as a message shows it."""
    return repr(column if names is None else names[column])


def column_names(X: Any) -> list[str] | None:
    """Return the names of the columns as text, or None if X is not a frame."""
    return [str(name) for name in X.columns] if is_frame(X) else None


def column(X: Any, position: int) -> Any:
    """Return one column of a frame as a series, or of another table as an array."""
    if isinstance(X, LookedUp):
        return X.column(position)
    if not is_frame(X):
        return np.asarray(X)[:, position]
    return X.iloc[:, position] if _is_pandas(X) else X[:, position]


def columns_at(X: Any, positions: Sequence[int]) -> list[Any]:
    """Return columns of a table as :func:`column` does, or of a short frame as arrays.

    pandas reads all values of a few rows in the time of two columns. Columns that may hold
    dates or durations are series in any case.
    """
    if not (isinstance(X, LookedUp) and _is_pandas(X.frame) and len(X) <= FEW_ROWS):
        return [column(X, position) for position in positions]
    values = X.frame.to_numpy(dtype=object)
    return [_short_column(X, position, values) for position in positions]


def _short_column(X: LookedUp, position: int, values: NDArray[Any]) -> Any:
    """Return a column, given the values of all columns as objects."""
    dtype = X.dtypes[position]
    if _is_object(dtype) or _kind_of_times(dtype):
        return X.column(position)
    found = values[:, position]
    return found.astype(dtype) if isinstance(dtype, np.dtype) else found


def columns(X: Any, positions: NDArray[np.intp]) -> Any:
    """Return several columns of a frame as a frame, or of another table as an array."""
    if not is_frame(X):
        return np.asarray(X)[:, positions]
    return X.iloc[:, positions] if _is_pandas(X) else X[:, positions.tolist()]


def number_columns(X: Any, positions: NDArray[np.intp] | None = None) -> Any:
    """Return several columns as an array if all of them are NumPy's numbers, else as they are.

    scikit-learn's checks of a frame take ten times as long as those of an array. By default,
    all columns are returned.
    """
    chosen = as_given(X) if positions is None else columns(X, positions)
    if not _is_pandas(chosen):
        return chosen
    dtypes = list(X.dtypes)
    places = range(len(dtypes)) if positions is None else positions.tolist()
    of_numpy = (isinstance(dtypes[i], np.dtype) and dtypes[i].kind in "iuf" for i in places)
    return chosen.to_numpy() if all(of_numpy) else chosen


def with_nan(column: Any) -> NDArray[Any]:
    """Return the values of a column as an array in which missing values of any kind are NaN."""
    values = np.asarray(column)
    if values.dtype != object:
        return values
    return np.array([np.nan if is_missing(value) else value for value in values.tolist()])


def distinct_values(X: Any, position: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct values of a column, and the position of each row's value among them.

    The position of a missing value is -1. Values that are neither numbers nor truth values come
    as an array of objects.

    Raises
    ------
    TypeError
        If a value, such as a list, cannot be hashed.
    """
    series = column(X, position)
    if _is_pandas(series) and hasattr(series.dtype, "categories"):
        return _distinct_categories(series)
    values = np.asarray(series)
    if values.dtype.kind in "biuf":
        distinct, positions = np.unique(values, return_inverse=True)
        missing = distinct != distinct
    else:
        distinct, positions = _distinct_objects(np.asarray(series, dtype=object))
        missing = np.array([is_missing(value) for value in distinct.tolist()], dtype=bool)
    if missing.any():
        return distinct[~missing], _renumbered(~missing, positions)
    return distinct, positions


def _distinct_categories(series: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return what ``distinct_values`` does for a column of a category dtype of pandas."""
    # The array and the dtype have what the accessor "cat" has, which takes far longer.
    positions, categories = series.array.codes.astype(np.intp), series.dtype.categories
    counts = np.bincount(positions + 1, minlength=len(categories) + 1)[1:]
    used = np.flatnonzero(counts)
    distinct = np.asarray(categories.take(used))
    if distinct.dtype.kind not in "biuf":
        distinct = distinct.astype(object)
    return distinct, _renumbered(counts > 0, positions)


def _distinct_objects(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct objects, and the position of each row's object among them."""
    found: dict[Any, int] = {}
    positions = [found.setdefault(value, len(found)) for value in values.tolist()]
    distinct = np.empty(len(found), dtype=object)
    distinct[:] = list(found)
    return distinct, np.array(positions, dtype=np.intp)


def _renumbered(kept: NDArray[np.bool_], positions: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return positions among the kept values, -1 for the others, given positions among all."""
    # The last entry is for -1.
    places = np.full(kept.size + 1, -1, dtype=np.intp)
    places[:-1][kept] = np.arange(np.count_nonzero(kept))
    return places[positions]


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA."""
    # A value can be pandas.NA only if pandas has been imported.
    if value is None or value is getattr(sys.modules.get("pandas"), "NA", None):
        return True
    # NaN and NaT are the values that differ from themselves. Decimal is a Number, but no Real.
    return isinstance(value, Number | datetime.date | np.generic) and value != value


def category_columns(X: Any) -> NDArray[np.intp]:
    """Return the positions of a frame's columns of categories, text or objects.

    Columns of objects that are dates or durations are none of them: see :func:`time_columns`.
    """
    if _is_pandas(X):
        # Categories and text are extension dtypes, whose kind is "O" unless they name another.
        found = [getattr(dtype, "kind", "O") in "OUS" for dtype in X.dtypes]
    else:
        found = [_polars_type(dtype) in POLARS_CATEGORIES for dtype in X.dtypes]
    times = time_columns(X) if any(found) else {}
    return np.array([i for i, one in enumerate(found) if one and i not in times], np.intp)


def time_columns(X: Any) -> dict[int, str]:
    """Return the positions and the kinds, "date" or "duration", of a frame's columns of times.

    Dates may have a time of day and a time zone. A column of objects of pandas has the kind of
    its first value that is not missing. Other tables than frames have no such columns.
    """
    if not is_frame(X):
        return {}
    others = "fiubUS"  # the kinds of dtypes that hold none
    may_be = [i for i, d in enumerate(X.dtypes) if getattr(d, "kind", "O") not in others]
    kinds = {i: time_kind(column(X, i)) for i in may_be}
    return {i: kind for i, kind in kinds.items() if kind is not None}


def time_kind(series: Any) -> str | None:
    """Return the kind of times that a column of a frame holds; None if it holds others."""
    if isinstance(series, np.ndarray):
        return None
    if _is_object(series.dtype):
        value = _first_known(series)
        return next((kind for kind, of in TIME_TYPES.items() if isinstance(value, of)), None)
    return _kind_of_times(series.dtype)


def _kind_of_times(dtype: Any) -> str | None:
    """Return the kind of times of a dtype other than that of objects; None if it has none."""
    name = str(dtype).lower()
    return next((kind for kind, of in TIME_DTYPES.items() if name.startswith(of)), None)


def _is_object(dtype: Any) -> bool:
    """Whether a dtype is NumPy's of objects, which only pandas has."""
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _first_known(series: Any) -> Any:
    """Return the first value of a column that is not missing, or None if all are."""
    return next((value for value in series.to_numpy() if not is_missing(value)), None)


def time_zone(series: Any) -> str | None:
    """Return the name of the time zone of a column of dates, or None if it has none."""
    dtype = series.dtype
    if _is_object(dtype):
        zone = getattr(_first_known(series), "tzinfo", None)
    elif _is_pandas(series):
        zone = getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None)
    else:
        zone = getattr(dtype, "time_zone", None)
    return None if zone is None else str(zone)


def is_all_missing(series: Any) -> bool:
    """Whether a column of a frame has no value at all, whatever its dtype."""
    if not _is_pandas(series):
        return series.null_count() == len(series)
    return bool(series.isna().all())


def times(series: Any, zone: str | None) -> NDArray[Any]:
    """Return a column of dates or durations as an array of datetime64 or timedelta64.

    Parameters
    ----------
    series : column of a frame, one of its ``time_columns``
    zone : str or None
        The time zone of whose clocks the dates of a column with a time zone are. None for
        dates without a time zone, and for durations.

    Raises
    ------
    ValueError, TypeError
        If a column of objects holds other values, too, or if the time zone is not known.
    """
    if not _is_pandas(series):
        if zone is not None:
            series = series.dt.convert_time_zone(zone).dt.replace_time_zone(None)
        return series.to_numpy()
    series = _as_native_times(series)
    if zone is None:
        return series.to_numpy()
    # The array has the same methods as the accessor "dt", which takes ten times as long.
    return series.array.tz_convert(zone).tz_localize(None).to_numpy()


def _as_native_times(series: Any) -> Any:
    """Return a series of times of pandas with a dtype of NumPy or of pandas itself."""
    pandas, dtype = sys.modules["pandas"], series.dtype
    if _is_object(dtype):
        return _from_objects(series)
    if not hasattr(dtype, "pyarrow_dtype"):
        return series
    # Arithmetic of pandas 2.2 with the time zones of Arrow is wrong.
    arrow = dtype.pyarrow_dtype
    unit, zone = getattr(arrow, "unit", "s"), getattr(arrow, "tz", None)
    if zone is not None:
        return series.astype(pandas.DatetimeTZDtype(unit, zone))
    kind = "timedelta64" if str(arrow).startswith("duration") else "datetime64"
    return series.astype(f"{kind}[{unit}]")


def _from_objects(series: Any) -> Any:
    """Return a series of objects, all of which are dates or all durations, with their dtype."""
    pandas = sys.modules["pandas"]
    found = {type(value) for value in series if not is_missing(value)}
    for kind, convert in (("date", pandas.to_datetime), ("duration", pandas.to_timedelta)):
        if all(issubclass(one, TIME_TYPES[kind]) for one in found):
            return convert(series)
    raise ValueError(f"it mixes values of the types {sorted(one.__name__ for one in found)}.")


def declared_levels(X: Any, position: int) -> NDArray[Any] | None:
    """Return the levels that the dtype of a column declares, sorted, or None without any."""
    levels = _categories(X, position)
    if levels is None:
        return None
    return np.sort(levels if levels.dtype.kind in "biuf" else levels.astype(object))


def declares_levels(X: Any, position: int) -> bool:
    """Whether the dtype of a column declares levels."""
    return _categories(X, position) is not None


def _categories(X: Any, position: int) -> NDArray[Any] | None:
    if not is_frame(X):
        return None
    levels = getattr(list(X.dtypes)[position], "categories", None)
    if levels is None or np.ndim(levels) == 0 or len(levels) == 0:
        return None
    return np.asarray(levels)


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


def _polars_kind(dtype: Any) -> str:
    """Return what kind a dtype of polars is of: numbers, categories, or a type by its name."""
    if dtype.is_numeric():
        return "numbers"
    name = _polars_type(dtype)
    return "categories" if name in POLARS_CATEGORIES else name


def _polars_type(dtype: Any) -> str:
    """Return the name of a dtype of polars, without its parameters."""
    return str(dtype).split("(")[0]


def concatenate(parts: Sequence[Any]) -> Any:
    """Return one frame, or one pandas series, with the rows of several.

    Columns of several types of numbers get one that holds all of them.
    """
    # The library that made the parts has been imported by then.
    concat = sys.modules[type(parts[0]).__module__.split(".")[0]].concat
    if _is_pandas(parts[0]):
        return concat(parts, ignore_index=True)
    of_columns = zip(*(part.dtypes for part in parts), strict=False)
    # A relaxed concatenation would make text of what other parts have as text.
    relaxed = all(len(set(map(_polars_kind, dtypes)) - {"Null"}) < 2 for dtypes in of_columns)
    return concat(parts, how="vertical_relaxed" if relaxed else "vertical")
