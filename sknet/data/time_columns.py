"""The columns of a frame that hold dates and durations: read as seconds, and checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet.data import frames
from sknet.data.dates import seconds
from sknet.data.frames import is_frame, name_of


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
                f"X must be a data frame, since column {name_of(column, names)} held {kind}s "
                "in training."
            )
        return
    found = frames.time_columns(X)
    for column in sorted({*times, *found}):
        before, now = times.get(column), found.get(column)
        if before == now or (before and frames.is_all_missing(X, column)):
            continue
        raise ValueError(
            f"Column {name_of(column, names)} of X held {_kind(before)} in training, but holds "
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
    where = f"Column {name_of(column, names)} of X"
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
