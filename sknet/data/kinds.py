"""The kinds of columns and vectors that are read, and checks of them.

Columns and vectors hold numbers, booleans, text, or categories of these; columns of frames may
also hold dates and durations. ``UNREAD`` lists the other kinds, which conversions by NumPy
would change silently. Three constants limit the magnitudes of numbers.
"""

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence, ValuesView
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet.data.frames import TIME_DTYPES, TIME_TYPES, Table, wrapped

#: The maximum magnitude of a number to predict, and of a prediction. The squares of larger
#: numbers may overflow.
LARGEST = 1e150
#: The limits of the magnitude of numbers to predict in float32. Predictions may be several
#: times as large.
SINGLE_LIMITS = 1e-36, 1e36
#: The maximum magnitude of a number that a network is given: X and y are clipped here. Its
#: square does not overflow in float32, and the smooth clip maps all larger numbers to the same
#: number, to the last bit. A standardized y is farther from the mean only if its share of the
#: weights is below the inverse square of this limit, or if y has changed since the scale was
#: learned.
FARTHEST = 1e15


class Unread(NamedTuple):
    """A kind of columns and vectors that is neither numbers nor categories.

    Attributes
    ----------
    what : str
        The kind, for messages.
    remedy : str
        How to turn it into numbers or categories.
    kinds : str
        The kinds of its dtypes, as in ``dtype.kind``.
    names : tuple of str
        How the names of its dtypes begin, in lower case.
    types : tuple of type
        The types of its values in columns of objects.
    """

    what: str
    remedy: str
    kinds: str = ""
    names: tuple[str, ...] = ()
    types: tuple[type, ...] = ()


#: Columns of frames may hold these nevertheless: see ``Frame.time_columns``.
DATES = Unread(
    "dates or durations",
    "A data frame X may hold them in columns of a date or duration dtype, which "
    "pandas.to_datetime and pandas.to_timedelta return. Elsewhere, turn them into numbers, "
    "such as days since a fixed date, or into text if they are categories.",
    "mM",
    (*TIME_DTYPES["date"], *TIME_DTYPES["duration"]),
    (*TIME_TYPES["date"], *TIME_TYPES["duration"]),
)
CLOCK_TIMES = Unread(
    "times of day or periods",
    "Turn times of day into numbers, such as hours since midnight, and periods into dates, "
    "for example with dt.to_timestamp().",
    "",
    ("time", "period"),
    (datetime.time,),
)
#: The kinds that are read as the labels of a classifier.
LABELS = (DATES, CLOCK_TIMES)
NESTED = Unread(
    "nested values",
    "Give each entry its own column.",
    "",
    ("list", "large_list", "fixed_size_list", "array", "struct", "map"),
    (list, tuple, dict, set, frozenset, np.ndarray),
)
UNREAD = (
    DATES,
    CLOCK_TIMES,
    Unread(
        "complex numbers",
        "Complex data not supported: give the real and imaginary parts their own columns.",
        "c",
        ("complex",),
        (complex, np.complexfloating),
    ),
    NESTED,
    Unread(
        "records",
        "Give each field its own column, as in a data frame.",
        "V",
        ("void",),
        (np.void,),
    ),
    Unread("integers of 128 bits", "Cast them to Int64 or Float64.", "", ("int128", "uint128")),
    Unread(
        "bytes",
        "Decode them to text, or convert numbers with astype(float).",
        "S",
        ("binary",),
        (bytes, bytearray),
    ),
)


def check_kinds(
    data: Any, name: str, allowed: Sequence[Unread] = (), *, with_times: bool = False
) -> Table:
    """Return a table or a vector as a ``Table``, and refuse the kinds that ``UNREAD`` lists.

    The values in columns of objects are not checked: see :func:`check_values`.

    Parameters
    ----------
    data : frame, series, array, sparse matrix, list, or another object
    name : str
        The name of the argument, for messages.
    allowed : sequence of Unread, optional
        The kinds that pass although they are listed in ``UNREAD``.
    with_times : bool, default=False
        Whether columns of a frame may hold dates and durations.

    Raises
    ------
    TypeError
        If the data are a lazy table, such as a LazyFrame of polars, a table of pyarrow, or an
        iterator.
    ValueError
        If a column of a frame, or the array or series, is of such a kind, or if the data are a
        masked array with masked values.
    """
    table = checked_table(data, name)
    for position, dtype in enumerate(table.dtypes):
        unread = _unread(dtype, allowed)
        is_read = unread is DATES and with_times and position in table.time_columns
        if unread is not None and not is_read:
            is_column = table.names is not None
            where = f"Column {table.columns[position]!r} of {name}" if is_column else name
            raise _refusal(where, unread, f"dtype {dtype}")
    return table


def checked_table(data: Any, name: str) -> Table:
    """Return a table or a vector of any kind as a ``Table``.

    Raises
    ------
    TypeError
        If the data are a lazy table, a table of pyarrow, or an iterator, which NumPy would take
        for a single object.
    ValueError
        If the data are a masked array with masked values.
    """
    table = wrapped(data, name)
    if isinstance(data, Iterator | ValuesView):
        kind = type(data).__name__
        raise TypeError(f"{name} has type {kind}, not a sequence: pass list({name}).")
    _check_mask(table, name)
    return table


def _check_mask(table: Table, name: str) -> None:
    """Refuse a masked array with masked values; ``name`` is the name of the argument.

    Raises
    ------
    ValueError
        If the table is such an array.
    """
    if isinstance(table.given, np.ma.MaskedArray) and np.ma.is_masked(table.given):
        raise ValueError(
            f"{name} is a masked array with masked values, whose mask would be lost. Leave out "
            "these rows, or fill in other values; in an X of numbers, "
            "X.astype(float).filled(numpy.nan) makes the values missing."
        )


def _unread(dtype: Any, allowed: Sequence[Unread]) -> Unread | None:
    """Return the unread kind of a dtype of NumPy, pandas or polars; None if it is read."""
    if dtype is None or getattr(dtype, "kind", "O") in ("f", "i", "b", "u"):
        return None
    # The values of a category are those of its levels.
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)
    kind, name = str(getattr(dtype, "kind", "O")), str(dtype).lower()
    of_dtype = (one for one in UNREAD if kind in one.kinds or name.startswith(one.names))
    # Only the first kind counts: "timedelta64" also begins with "time".
    unread = next(of_dtype, None)
    return None if unread in allowed else unread


def check_values(values: Iterable[Any], where: str, allowed: Sequence[Unread] = ()) -> None:
    """Refuse values of objects that are neither numbers nor text; ``where`` names the column.

    ``allowed`` are kinds that pass although they are listed in ``UNREAD``.

    Raises
    ------
    ValueError
        If a value is of an unread kind.
    """
    for cls in set(map(type, values)):
        for unread in UNREAD:
            if issubclass(cls, unread.types) and unread not in allowed:
                raise _refusal(where, unread, f"type {cls.__name__}")


def _refusal(where: str, unread: Unread, found: str) -> ValueError:
    return ValueError(f"{where} holds {unread.what} ({found}). {unread.remedy}")


def as_array(data: Any, name: str, allowed: Sequence[Unread] = ()) -> Any:
    """Return y or weights as an array, a frame, a series or a sparse matrix.

    Raises
    ------
    TypeError, ValueError
        If the data are of a kind that is neither numbers nor labels, such as complex numbers.
    """
    with checking(name):
        table = check_kinds(data, name, allowed)
        _check_list(table)
        kind = getattr(getattr(table.data, "dtype", None), "kind", "O")
        if kind == "O":
            values = np.asarray(table.data)
            if values.dtype == object:
                check_values(values.flat, name, allowed)
        # scikit-learn does not know NumPy's text of variable length.
        return table.data.astype(object) if kind == "T" else table.data


def as_numbers(data: Any, name: str) -> NDArray[np.float64]:
    """Return a vector of numbers as an array of float64.

    Raises
    ------
    TypeError, ValueError
        If the data are not numbers.
    """
    with checking(name):
        return np.asarray(as_array(data, name), dtype=np.float64)


def _check_list(table: Table) -> None:
    """Refuse a list that mixes text with other values, which NumPy would turn into text.

    Raises
    ------
    ValueError
        If the table is such a list.
    """
    if isinstance(table.given, list | tuple) and table.data.dtype.kind == "U":
        values = np.array(table.given, dtype=object).ravel()
        types = set(map(type, values))
        if not all(issubclass(one, str) for one in types):
            found = sorted(one.__name__ for one in types)
            raise ValueError(f"a list must be all text or all numbers, got {found}.")
        members = [one for one in values if isinstance(one, Enum)]
        if any(str(one) != one.value for one in members):
            raise ValueError(
                f"a list has members of {type(members[0]).__name__}, whose names NumPy would "
                "cut to the length of their values. Pass their values instead."
            )


@contextmanager
def naming(prefix: str, *, unless: str | None = None) -> Iterator[None]:
    """Put text, such as the number of a chunk, before the message of an error.

    A TypeError stays a TypeError, and the other errors become a ValueError. With ``unless``, an
    error whose message contains this word stays as it is.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        # Subclasses, such as UnicodeDecodeError, may not take a message alone.
        kind = TypeError if isinstance(error, TypeError) else ValueError
        # A name such as y['price'] does not end at the boundary of a word.
        word = unless and rf"(?<!\w){re.escape(unless)}(?!\w)"
        if word and isinstance(error, kind) and re.search(word, str(error)):
            raise
        raise kind(f"{prefix}: {error}") from error


@contextmanager
def checking(name: str) -> Iterator[None]:
    """Put the name of an argument before the message of an error that lacks it.

    The checks of scikit-learn sum and cast numbers. NumPy's warnings about large numbers are
    silenced, since those that are not finite raise an error.
    """
    with naming(f"{name} is not valid", unless=name):
        with np.errstate(over="ignore", invalid="ignore"):
            yield
