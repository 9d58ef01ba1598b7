"""The user's tables, such as pandas and polars frames: columns, dtypes, values and rows.

Nearly all code that tells the two libraries apart is here, and it imports neither until it
returns a frame. The user's table passes through :func:`wrapped` once, which makes it a
:class:`Table`, or a :class:`Frame` if it is a frame of either library. Both answer the same
questions, so that no other module asks what a table is.
"""

import datetime
import re
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from numbers import Number
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array

from sknet._requirements import require
from sknet.data.row_blocks import RowBlocks, as_row_blocks

#: Names of the polars dtypes whose columns are categories.
POLARS_CATEGORIES = {"Categorical", "Enum", "String", "Object"}
#: The names of the float32 dtypes of NumPy, pandas (also with Arrow's types) and polars.
SINGLE_DTYPES = {"float32", "Float32", "float[pyarrow]"}
#: The maximum number of rows of a frame whose values are all read at once.
FEW_ROWS = 16
#: How the dtype names of each kind of times begin, in lower case.
TIME_DTYPES = {"date": ("date", "timestamp"), "duration": ("duration", "timedelta")}
#: The types of the values of each kind of times in columns of objects.
TIME_TYPES: dict[str, tuple[type, ...]] = {
    "date": (datetime.date, np.datetime64),
    "duration": (datetime.timedelta, np.timedelta64),
}

# Tables.


class Table:
    """The user's table; this class itself is for arrays, sparse matrices and lists.

    Attributes
    ----------
    given : object
        The table as the user gave it, for scikit-learn's checks.
    columns : sequence
        The names of the columns, as the user has them; an array has none.
    names : list of str or None
        The names of the columns as text; None for an array.
    time_columns : dict of int to str
        The positions and the kinds, "date" or "duration", of the columns of times.
    text_columns : sequence of int
        The positions of the columns of text or objects that have no dtype of categories.
    kind : str
        What it is, for messages.
    """

    kind = "an array or sparse matrix"
    columns: Any = ()
    names: list[str] | None = None
    time_columns: Any = MappingProxyType({})
    text_columns: Any = ()

    def __init__(self, given: Any) -> None:
        self.given = given

    @cached_property
    def data(self) -> Any:
        """The table, or the array that NumPy makes of one without a dtype, such as a list."""
        return self.given if hasattr(self.given, "dtype") else np.asarray(self.given)

    @cached_property
    def dtypes(self) -> list[Any]:
        """The dtypes of the columns, or the one dtype of all columns of an array."""
        return [self.data.dtype]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The numbers of rows and of columns."""
        return np.shape(self.data)

    @cached_property
    def object_columns(self) -> NDArray[np.intp]:
        """The positions of the columns that may hold objects of any kind."""
        of_objects = getattr(self.dtypes[0], "kind", "O") == "O"
        return np.arange(self.shape[1] if of_objects and len(self.shape) == 2 else 0)

    @property
    def blocks(self) -> RowBlocks | None:
        """The table if it has to be read in blocks, else None."""
        return as_row_blocks(self.given)

    @property
    def is_sparse(self) -> bool:
        """Whether it is a sparse matrix."""
        return sparse.issparse(self.given)

    def dense(self) -> "Table":
        """Return the table with columns that can be read one by one, if it is not sparse.

        Raises
        ------
        TypeError, ValueError
            If the table does not have rows and columns.
        """
        return Table(check_array(self.given, dtype=None, ensure_all_finite=False))

    def mixed(self) -> "Table | None":
        """Return the table if its columns may hold values of different kinds, else None."""
        rows = self.given
        if isinstance(rows, list) and all(isinstance(row, list) for row in rows):
            if len({len(row) for row in rows}) == 1:
                return Table(np.array(rows, dtype=object)).mixed()
        of_objects = isinstance(rows, np.ndarray) and rows.dtype.kind in "OSU"
        return self if of_objects and rows.ndim == 2 else None

    def column(self, position: int) -> Any:
        """Return a column as a series of a frame, or as an array."""
        return np.asarray(self.data)[:, position]

    def values(self, position: int) -> Any:
        """Return a column as a series of a frame, or as an array if that is faster."""
        return self.column(position)

    def numbers(self, positions: NDArray[np.intp] | None = None) -> Any:
        """Return several columns as an array if that loses nothing, else as a frame.

        scikit-learn's checks of a frame take ten times as long as those of an array, and make
        float64 of dtypes that are not NumPy's. By default, all columns are returned.
        """
        return np.asarray(self.data)[:, slice(None) if positions is None else positions]

    def with_columns(
        self, arrays: Mapping[int, NDArray[Any]], in_utc: Collection[int] = ()
    ) -> "Table":
        """Return an array of objects with other columns, but no dates, at these positions."""
        data = np.array(self.data, dtype=object)
        for i, array in arrays.items():
            data[:, i] = array
        return Table(data)

    def are_single(self, positions: NDArray[np.intp] | None = None) -> bool:
        """Return whether several columns of a frame, by default all, are float32."""
        return False

    def first_row(self) -> list[Any]:
        """Return the values of the first row."""
        return list(self.data.toarray()[0] if self.is_sparse else np.asarray(self.data)[0])


class Frame(Table, ABC):
    """The user's data frame, whose dtypes and columns are each looked up once.

    pandas makes both anew on each access, which takes most of the time of a prediction for one
    row.
    """

    blocks: None = None

    def __init__(self, given: Any) -> None:
        self.given: Any = given
        self.data: Any = given
        self.columns: Any = given.columns
        self.names: list[str] = [str(name) for name in self.columns]
        self.dtypes: list[Any] = list(given.dtypes)
        self._series: dict[int, Any] = {}

    def dense(self) -> Table:
        """Return the frame, whose columns can be read one by one."""
        return self

    def mixed(self) -> Table:
        """Return the frame, since each of its columns has a dtype of its own."""
        return self

    def column(self, position: int) -> Any:
        """Return a column as a series."""
        if position not in self._series:
            self._series[position] = self._look_up(position)
        return self._series[position]

    @abstractmethod
    def _look_up(self, position: int) -> Any:
        """Return a column as a series, which is kept."""

    def are_single(self, positions: NDArray[np.intp] | None = None) -> bool:
        """Return whether several columns, by default all, are float32."""
        chosen = {*self.dtypes} if positions is None else {self.dtypes[i] for i in positions}
        return bool(chosen) and set(map(str, chosen)) <= SINGLE_DTYPES

    def first_row(self) -> list[Any]:
        """Return the values of the first row."""
        return [self.column(i).to_list()[0] for i in range(self.shape[1])]

    @cached_property
    def object_columns(self) -> NDArray[np.intp]:
        """The positions of the columns of categories, text or objects.

        Columns of objects that are dates or durations are not among them.
        """
        found = [i for i in range(len(self.dtypes)) if self._is_category(i)]
        return np.array([i for i in found if i not in self.time_columns], np.intp)

    @abstractmethod
    def _is_category(self, position: int) -> bool:
        """Return whether the dtype of a column is one of categories, text or objects."""

    @cached_property
    def text_columns(self) -> list[int]:
        """The positions of the columns of text or objects that have no dtype of categories."""
        # "category", or "Categorical" and "Enum" of polars.
        declared = [str(dtype).lower().startswith(("cat", "enum")) for dtype in self.dtypes]
        return [i for i in self.object_columns.tolist() if not declared[i]]

    @cached_property
    def time_columns(self) -> dict[int, str]:
        """The positions and the kinds, "date" or "duration", of the columns of times.

        Dates may have a time of day and a time zone. A column of objects in pandas has the kind
        of its first value that is not missing.
        """
        others = "fiubUS"  # the kinds of dtypes that hold none
        may_be = [i for i, d in enumerate(self.dtypes) if getattr(d, "kind", "O") not in others]
        return {i: kind for i in may_be if (kind := self._time_kind(i)) is not None}

    def _time_kind(self, position: int) -> str | None:
        """Return the kind of times of a column; None if it holds other values."""
        name = str(self.dtypes[position]).lower()
        return next((kind for kind, of in TIME_DTYPES.items() if name.startswith(of)), None)

    @abstractmethod
    def time_zone(self, position: int) -> str | None:
        """Return the name of the time zone of a column of times, or None if it has none."""

    @abstractmethod
    def times(self, position: int, zone: str | None) -> NDArray[Any]:
        """Return a column of dates or durations as an array of datetime64 or timedelta64.

        Parameters
        ----------
        position : int
            The position of one of the ``time_columns``.
        zone : str or None
            The time zone in whose clock time the dates are returned, if the column has a time
            zone. None for dates without one, and for durations.

        Raises
        ------
        ValueError, TypeError
            If a column of objects also holds other values, or if the time zone is unknown.
        """

    @abstractmethod
    def is_all_missing(self, position: int) -> bool:
        """Return whether a column has no value at all, whatever its dtype."""


class PandasFrame(Frame):
    """A frame of pandas."""

    kind = "a pandas DataFrame"

    def readable(self) -> Frame:
        """Return the frame with dense columns, unless all of its columns are sparse.

        scikit-learn warns of sparse columns beside others, or refuses them.
        """
        found = [i for i, one in enumerate(self.dtypes) if type(one).__name__ == "SparseDtype"]
        if not found or len(found) == len(self.dtypes):
            return self
        return self.with_columns({i: np.asarray(self.column(i)) for i in found})

    def _look_up(self, position: int) -> Any:
        name = self.columns[position]
        if isinstance(name, str) and self.columns.is_unique:
            return self.given[name]  # four times as fast as by position
        return self.given.iloc[:, position]

    def values(self, position: int) -> Any:
        """Return a column as a series, or as an array if the frame is short.

        pandas reads all values of a few rows in the time that two columns take. Columns of
        dates or durations are always series.
        """
        if self.shape[0] > FEW_ROWS or position in self.time_columns:
            return self.column(position)
        dtype, values = self.dtypes[position], self._objects[:, position]
        return values.astype(dtype) if isinstance(dtype, np.dtype) else values

    @cached_property
    def _objects(self) -> NDArray[Any]:
        """All values as objects."""
        return self.given.to_numpy(dtype=object)

    def numbers(self, positions: NDArray[np.intp] | None = None) -> Any:
        """Return several columns as an array if it has their precision, else as a frame."""
        chosen = self.given if positions is None else self.given.iloc[:, positions]
        dtypes = self.dtypes if positions is None else [self.dtypes[i] for i in positions]
        of_numpy = all(isinstance(one, np.dtype) and one.kind in "iuf" for one in dtypes)
        if not of_numpy and self.are_single(positions):
            return chosen.to_numpy(dtype=np.float32, na_value=np.nan)
        return chosen.to_numpy() if of_numpy else chosen

    def _is_category(self, position: int) -> bool:
        # Categories and text are extension dtypes, whose kind is "O" unless they name another.
        return getattr(self.dtypes[position], "kind", "O") in "OUS"

    def _time_kind(self, position: int) -> str | None:
        if self.dtypes[position] != np.dtype(object):
            return super()._time_kind(position)
        value = self._first_known(position)
        return next((kind for kind, of in TIME_TYPES.items() if isinstance(value, of)), None)

    def with_columns(
        self, arrays: Mapping[int, NDArray[Any]], in_utc: Collection[int] = ()
    ) -> "Frame":
        """Return the frame with other columns at these positions; the rest is not copied.

        The dates in the columns ``in_utc`` have this time zone.
        """
        given, with_zone = self.given.copy(deep=False), sys.modules["pandas"].DatetimeIndex
        for i, array in arrays.items():
            given.isetitem(i, with_zone(array, tz="UTC") if i in in_utc else array)
        return PandasFrame(given)

    def time_zone(self, position: int) -> str | None:
        """Return the name of the time zone of a column of times, or None if it has none."""
        dtype = self.dtypes[position]
        if dtype == np.dtype(object):
            zone = getattr(self._first_known(position), "tzinfo", None)
        else:
            zone = getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None)
        return None if zone is None else _zone_name(zone)

    def times(self, position: int, zone: str | None) -> NDArray[Any]:
        """Return a column of dates or durations as an array of datetime64 or timedelta64."""
        convert = _from_objects if self.dtypes[position] == np.dtype(object) else _from_arrow
        series = convert(self.column(position))
        if zone is None:
            return series.to_numpy()
        # The array has the same methods as the accessor "dt", which takes ten times as long.
        return series.array.tz_convert(zone).tz_localize(None).to_numpy()

    def is_all_missing(self, position: int) -> bool:
        """Return whether a column has no value at all, whatever its dtype."""
        return bool(self.column(position).isna().all())

    def _first_known(self, position: int) -> Any:
        """Return the first value of a column that is not missing, or None if all are."""
        values = self.column(position).to_numpy()
        return next((value for value in values if not is_missing(value)), None)


def _zone_name(zone: datetime.tzinfo) -> str:
    """Return the name of a time zone, which is that of a file or of an offset in dateutil."""
    name = str(zone)
    if "(" in name and (offset := zone.utcoffset(None)) is not None:
        return str(datetime.timezone(offset))
    return re.sub(r"tzfile\('(?:.*zoneinfo/)?(.+)'\)", r"\1", name)


def _from_objects(series: Any) -> Any:
    """Return a series of objects, which are all dates or all durations, with their dtype."""
    known = [value for value in series if not is_missing(value)]
    found = {type(value) for value in known}
    if all(issubclass(one, TIME_TYPES["date"]) for one in found):
        zoned = {getattr(one, "tzinfo", None) is not None for one in known}
        if len(zoned) == 2:
            raise ValueError("it mixes dates with and without a time zone.")
        # pandas converts values with different time zones, or offsets, only to UTC. Nanoseconds
        # would end in 2262.
        return series.astype("datetime64[us, UTC]" if zoned == {True} else "datetime64[us]")
    if all(issubclass(one, TIME_TYPES["duration"]) for one in found):
        return sys.modules["pandas"].to_timedelta(series)
    raise ValueError(f"it mixes values of the types {sorted(one.__name__ for one in found)}.")


def _from_arrow(series: Any) -> Any:
    """Return a series of times with a dtype of NumPy or pandas, even if it had one of Arrow.

    pandas 2.2 computes wrong results with the time zones of Arrow.
    """
    if not hasattr(series.dtype, "pyarrow_dtype"):
        return series
    arrow = series.dtype.pyarrow_dtype
    unit, zone = getattr(arrow, "unit", "s"), getattr(arrow, "tz", None)
    if zone is not None:
        return series.astype(sys.modules["pandas"].DatetimeTZDtype(unit, zone))
    kind = "timedelta64" if str(arrow).startswith("duration") else "datetime64"
    return series.astype(f"{kind}[{unit}]")


class PolarsFrame(Frame):
    """A frame of polars."""

    kind = "a polars DataFrame"

    def _look_up(self, position: int) -> Any:
        return self.given[:, position]

    def numbers(self, positions: NDArray[np.intp] | None = None) -> Any:
        """Return several columns as an array if all are float32, else as a frame."""
        chosen = self.given if positions is None else self.given[:, positions.tolist()]
        return chosen.to_numpy() if self.are_single(positions) else chosen

    def _is_category(self, position: int) -> bool:
        return _polars_type(self.dtypes[position]) in POLARS_CATEGORIES

    def with_columns(
        self, arrays: Mapping[int, NDArray[Any]], in_utc: Collection[int] = ()
    ) -> "Frame":
        """Return the frame with other columns at these positions; the rest is not copied.

        The dates in the columns ``in_utc`` have this time zone.
        """
        make = sys.modules["polars"].Series
        new = {i: make(self.columns[i], array) for i, array in arrays.items()}
        new.update({i: new[i].dt.replace_time_zone("UTC") for i in in_utc})
        return PolarsFrame(self.given.with_columns(new.values()))

    def time_zone(self, position: int) -> str | None:
        """Return the name of the time zone of a column of times, or None if it has none."""
        return getattr(self.dtypes[position], "time_zone", None)

    def times(self, position: int, zone: str | None) -> NDArray[Any]:
        """Return a column of dates or durations as an array of datetime64 or timedelta64."""
        series = self.column(position)
        if zone is not None:
            series = series.dt.convert_time_zone(zone).dt.replace_time_zone(None)
        return series.to_numpy()

    def is_all_missing(self, position: int) -> bool:
        """Return whether a column has no value at all, whatever its dtype."""
        known = self.column(position).drop_nulls()
        return bool(known.is_nan().all()) if known.dtype.is_float() else known.is_empty()


def wrapped(data: Any, name: str = "X") -> Table:
    """Return the user's table, or one that is already wrapped, as a :class:`Table`.

    ``name`` is the name of the argument in messages.

    Raises
    ------
    TypeError
        If the data are a lazy table, such as a LazyFrame of polars, or a table of pyarrow.
    """
    if isinstance(data, Table):
        return data
    cls = type(data)
    if _is_lazy(data):
        method = "collect" if hasattr(cls, "collect") else "compute"
        raise TypeError(f"{name} is a lazy {cls.__name__}: use {name}.{method}() first.")
    if cls.__module__.startswith("pyarrow") and hasattr(cls, "column_names"):
        raise TypeError(
            f"{name} is a {cls.__name__} of pyarrow: pass {name}.to_pandas() or "
            f"polars.from_arrow({name})."
        )
    if not _is_frame(data):
        return Table(data)
    return PandasFrame(data).readable() if library(data) == "pandas" else PolarsFrame(data)


def _is_lazy(data: Any) -> bool:
    # Look at the class, since a lazy table may compute something for its attributes.
    cls = type(data)
    can_compute = hasattr(cls, "collect") or hasattr(cls, "compute")
    has_no_rows = not hasattr(cls, "__len__") or hasattr(cls, "__dask_graph__")
    return hasattr(cls, "columns") and can_compute and has_no_rows


def _is_frame(data: Any) -> bool:
    # Look at the class, since pandas makes the dtypes of a frame anew on each access.
    return hasattr(type(data), "columns") and hasattr(type(data), "dtypes")


def library(data: Any) -> str | None:
    """Return the library of the user's frame or series, "pandas" or "polars", or None."""
    if hasattr(data, "iloc"):
        return "pandas"
    return "polars" if hasattr(data, "is_null") or _is_frame(data) else None


# Names of columns.


def name_of(column: int, names: Sequence[str] | None) -> str:
    """Return a column's name, or its position if names are missing, as messages show it."""
    return repr(column if names is None else names[column])


# Values of a column, which is a series or an array.


def with_nan(column: Any) -> NDArray[Any]:
    """Return the values of a column as an array in which missing values of any kind are NaN."""
    values = np.asarray(column)
    if values.dtype != object:
        return values
    return np.array([np.nan if is_missing(value) else value for value in values.tolist()])


def without_na(X: Table, positions: NDArray[np.intp]) -> Table:
    """Return a table with NaN for pandas.NA in some columns of objects.

    NumPy cannot convert pandas.NA, which an array or a single row of nullable columns may hold.
    """
    if isinstance(X, PolarsFrame) or "pandas" not in sys.modules:
        return X
    na, arrays = sys.modules["pandas"].NA, {}
    for i in sorted({*positions.tolist()} & {*X.object_columns.tolist()}):
        values = X.column(i).tolist()
        if any(value is na for value in values):
            arrays[i] = np.array([np.nan if v is na else v for v in values], dtype=object)
    return X.with_columns(arrays) if arrays else X


def distinct_values(column: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct values of a column, and the position of each row's value among them.

    The position of a missing value is -1. Values that are neither numbers nor booleans are
    returned as an array of objects.

    Raises
    ------
    TypeError
        If a value, such as a list, cannot be hashed.
    """
    # Only the categories of pandas have codes. The accessor "cat" takes far longer.
    if hasattr(getattr(column, "array", None), "codes"):
        return _distinct_categories(column)
    values = np.asarray(column)
    if values.dtype.kind in "biuf":
        distinct, positions = np.unique(values, return_inverse=True)
        missing = distinct != distinct
    else:
        distinct, positions = _distinct_objects(np.asarray(column, dtype=object))
        missing = np.array([is_missing(value) for value in distinct.tolist()], dtype=bool)
    places = np.where(missing, -1, np.cumsum(~missing) - 1)
    return distinct[~missing], places[positions]


def _distinct_categories(column: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the result of ``distinct_values`` for a pandas series of categories."""
    positions, categories = column.array.codes.astype(np.intp), column.dtype.categories
    used = np.bincount(positions + 1, minlength=len(categories) + 1)[1:] > 0
    distinct = np.asarray(categories.take(np.flatnonzero(used)))
    if distinct.dtype.kind not in "biuf":
        distinct = distinct.astype(object)
    # The last entry is for -1.
    return distinct, np.append(np.cumsum(used) - 1, -1)[positions]


def _distinct_objects(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the distinct objects, and the position of each row's object among them."""
    found: dict[Any, int] = {}
    positions = [found.setdefault(value, len(found)) for value in values.tolist()]
    return np.fromiter(found, object, len(found)), np.array(positions, dtype=np.intp)


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA."""
    if type(value) in (str, float):  # Nearly all values. The other checks take longer.
        return bool(value != value)
    # A value can be pandas.NA only if pandas has been imported.
    if value is None or value is getattr(sys.modules.get("pandas"), "NA", None):
        return True
    # NaN and NaT are the values that differ from themselves. Decimal is a Number, but not a
    # Real.
    return isinstance(value, Number | datetime.date | np.generic) and value != value


def declared_levels(column: Any) -> NDArray[Any] | None:
    """Return the levels that the dtype of a column declares, in its order, or None."""
    levels = getattr(column.dtype, "categories", None)
    if levels is None or np.ndim(levels) == 0 or len(levels) == 0:
        return None
    levels = np.asarray(levels)
    return levels if levels.dtype.kind in "biuf" else levels.astype(object)


def declared_order(column: Any) -> tuple[Any, ...]:
    """Return the levels in the order that an ordered category dtype declares, or nothing.

    The levels are numbers or text. A frame of one column, which y may be, stands for its
    column. The dtype Enum of polars is ordered.
    """
    if _is_frame(column) and len(column.columns) == 1:
        column = column[column.columns[0]]
    dtype = getattr(column, "dtype", None)
    ordered = getattr(dtype, "ordered", False) or type(dtype).__name__ == "Enum"
    levels = declared_levels(column) if ordered else None
    order = () if levels is None else tuple(levels.tolist())
    return order if all(isinstance(level, str | Number) for level in order) else ()


# Rows of the user's data.


def frame_of(columns: Mapping[Any, NDArray[Any]], library: str, like: Any = None) -> Any:
    """Return a frame of a library with these columns, and the index of ``like`` if it has one.

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    module = require("pandas") if library == "pandas" else require("polars")
    index = {"index": like.index} if library == "pandas" and hasattr(like, "iloc") else {}
    return module.DataFrame(dict(columns), **index)


def without_nullable(column: Any) -> Any:
    """Return a pandas series or frame, which has no missing values, with dtypes of NumPy.

    scikit-learn would make floats of nullable integers and booleans, and of categories that are
    booleans. Other data are returned unchanged.
    """
    if _is_frame(column) and library(column) == "pandas":
        return column.apply(without_nullable)
    given = getattr(column, "dtype", None)
    if getattr(getattr(given, "categories", None), "dtype", None) == np.bool_:
        return column.astype(np.bool_)
    dtype = np.dtype(getattr(given, "numpy_dtype", object))
    return column.astype(dtype) if dtype.kind in "biuf" else column


def take_rows(data: Any, rows: Any) -> Any:
    """Return the rows of a frame, series, array, sparse matrix or list at some positions."""
    if library(data) == "pandas":
        return data.iloc[rows]
    if sparse.issparse(data) and data.format not in ("csr", "csc"):
        # The other formats have no fast selection of rows, or none at all.
        data = data.tocsr()
    if isinstance(data, np.ndarray) or sparse.issparse(data) or library(data) == "polars":
        return data[rows]
    # Other data with rows may select them in other ways.
    return np.asarray(data)[rows] if hasattr(data, "__array__") else [data[i] for i in rows]


def concatenate(parts: Sequence[Any]) -> Any:
    """Return one frame, or one pandas series, with the rows of several.

    A column whose parts differ in type has a type that holds all of their values: objects if
    it has both numbers and text.

    Raises
    ------
    ValueError
        If a column of polars has dates or durations in some parts and other values in others.
    """
    # The library that made the parts has been imported by then.
    if library(parts[0]) == "pandas":
        with warnings.catch_warnings():
            # pandas 2 announces another dtype for columns that have no value in some part.
            warnings.simplefilter("ignore", FutureWarning)
            return sys.modules["pandas"].concat(parts, ignore_index=True)
    polars = sys.modules["polars"]
    for name, *dtypes in zip(parts[0].columns, *(part.dtypes for part in parts), strict=True):
        known = [dtype for dtype in dtypes if str(dtype) != "Null"]
        kinds = {_polars_kind(dtype) for dtype in known}
        if len(kinds) > 1:
            if not kinds <= {"numbers", "text", "Object"}:
                types = ", ".join(dict.fromkeys(map(str, known)))
                raise ValueError(f"Column {name!r} has several types: {types}. Cast it to one.")
            # polars would turn all of them into text, or raise an error.
            columns = [
                polars.Series(name, part[name].to_list(), polars.Object) for part in parts
            ]
        elif len({*known}) > 1 and kinds <= {"text", "zoned dates"}:
            dtype = polars.String if kinds == {"text"} else known[0]
            columns = [part[name].cast(dtype) for part in parts]
        else:
            continue
        parts = [part.with_columns(one) for part, one in zip(parts, columns, strict=True)]
    return polars.concat(parts, how="vertical_relaxed")


def _polars_kind(dtype: Any) -> str:
    """Return the kind of a polars dtype: numbers, text, dates, zoned dates, or its name."""
    name = _polars_type(dtype)
    if dtype.is_numeric() or name == "Boolean":
        return "numbers"
    if name in ("Date", "Datetime"):
        return "dates" if getattr(dtype, "time_zone", None) is None else "zoned dates"
    return "text" if name in POLARS_CATEGORIES - {"Object"} else name


def _polars_type(dtype: Any) -> str:
    """Return the name of a dtype of polars, without its parameters."""
    return str(dtype).split("(")[0]
