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
        if before != now and not (before and frames.is_all_missing(frames.column(X, column))):
            raise other_times(f"Column {name_of(column, names)} of X", before, now)


def other_times(where: str, before: str | None, now: str | None) -> ValueError:
    """Return the error that a column holds times now and held other values, or the reverse."""
    return ValueError(
        f"{where} held {_kind(before)} in training, but holds {_kind(now)} now. Give it the "
        "dtype that it had in training."
    )


def _kind(kind: str | None) -> str:
    """Return words for a kind of times; None stands for other values."""
    return "numbers or categories" if kind is None else f"{kind}s"


def read_times(series: Any, kind: str, zone: str | None, where: str) -> NDArray[np.float64]:
    """Return a column of dates or durations of a frame as seconds, NaN for missing values.

    Parameters
    ----------
    series : column of a frame
        It has the kind, or no value at all, as :func:`check_times` makes sure.
    kind : {"duration", "date"}
    zone : str or None
        The time zone that the dates had in training, whose clocks they are read from.
    where : str
        The column, for messages.

    Raises
    ------
    ValueError
        If the dates have a time zone although ``zone`` is None, or the reverse, or if the
        column cannot be read.
    """
    has_kind = frames.time_kind(series) == kind
    zone_now = frames.time_zone(series) if has_kind and kind == "date" else None
    if not has_kind or (zone_now is None) != (zone is None):
        if frames.is_all_missing(series):
            return np.full(len(series), np.nan)
        raise _other_zone(zone_now, zone, where)
    try:
        return seconds(frames.times(series, zone))
    # The libraries have errors of their own for time zones that they do not know.
    except Exception as error:
        raise ValueError(f"{where} cannot be read as {kind}s: {error}") from error


def _other_zone(now: str | None, before: str | None, where: str) -> ValueError:
    """Return the error that dates had a time zone in training and have none, or the reverse."""
    if before is None:
        found = f"held dates without a time zone in training, but has the time zone {now} now"
    else:
        found = f"held dates of the time zone {before} in training, but has no time zone now"
    return ValueError(f"{where} {found}. Convert it, such as by dt.tz_localize({before!r}).")
