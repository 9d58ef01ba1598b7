"""Rows of a table in the form that the inputs of an ONNX model have."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet._base import kind_of
from sknet.data import frames
from sknet.data.frames import is_frame
from sknet.data.time_columns import other_times, read_times
from sknet.export._columns import MISSING_TEXT, PRODUCER, RENAMED, TIMES
from sknet.export._encoding import TEXT

#: The dtypes of NumPy whose names differ from those of onnxruntime.
DTYPES = {"float": np.dtype("float32"), "double": np.dtype("float64"), "string": TEXT}


class ModelInput(NamedTuple):
    """What an ONNX model tells about one of its inputs.

    Attributes
    ----------
    name : str
    dtype : dtype
        The dtype of the tensor; object stands for text.
    column : str
        The name of the column of a frame.
    kind, zone : str or None
        The kind of times that training had in the column, "date" or "duration", and their time
        zone.
    n_columns : int
    missing_text : str
        The text that stands for missing text.
    knows_times : bool
        Whether the model tells which columns held times.
    """

    name: str
    dtype: np.dtype[Any]
    column: str
    kind: str | None
    zone: str | None
    n_columns: int
    missing_text: str
    knows_times: bool


def onnx_inputs(session: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Return rows in the form that an ONNX model takes.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The session of the ONNX model, or another object with the method ``get_inputs``.
    X : {array-like, data frame} of shape (n_rows, n_features)
        Rows. The columns of a frame are found by their names, or by their positions if a name
        is no text. For a row that is a dict, pass ``pandas.DataFrame([row])``.

    Returns
    -------
    dict of str to ndarray
        The argument of ``session.run``, an array for each input. In an input of text, a value
        that is no text counts as missing. It becomes "", or the text that the model of
        :func:`to_onnx` names if "" was a level in training. Dates become seconds since
        1970-01-01 00:00, by the clocks of the time zone that training had, and durations become
        seconds.

    Raises
    ------
    TypeError
        If X is no table, such as a dict.
    ValueError
        If X lacks a column, if it has another number of columns than the ONNX model has
        inputs, if an input of integers would have to hold missing values, if a column cannot
        be read as its input, if it holds dates where training had other values, or if dates
        have a time zone although those of training had none, or the reverse.

    Examples
    --------
    >>> import pandas as pd
    >>> from types import SimpleNamespace
    >>> from sknet.export import onnx_inputs
    >>> cities = SimpleNamespace(name="city", type="tensor(string)")
    >>> session = SimpleNamespace(get_inputs=lambda: [cities])
    >>> onnx_inputs(session, pd.DataFrame({"city": ["Oslo", None]}))
    {'city': array([['Oslo'],
           ['']], dtype=object)}
    """
    inputs = model_inputs(session)
    X = frames.looked_up(X) if is_frame(X) else _as_array(X)
    if len(inputs) == 1 and (inputs[0].n_columns > 1 or not _has_column(X, inputs[0].column)):
        return {inputs[0].name: _joined(X, inputs[0])}
    places = _places(X, inputs)
    return {
        one.name: _tensor(frames.column(X, place), one)
        for one, place in zip(inputs, places, strict=True)
    }


def model_inputs(session: Any) -> list[ModelInput]:
    """Return what the ONNX model of a session tells about its inputs."""
    properties = _properties(session)
    knows_times = properties is not None
    properties = properties or {}
    renamed = json.loads(properties.get(RENAMED, "{}"))
    missing_text = properties.get(MISSING_TEXT, "")
    inputs = []
    for one in session.get_inputs():
        kind, _, zone = properties.get(TIMES + one.name, "").partition(" ")
        element = one.type.removeprefix("tensor(").removesuffix(")")
        dtype = DTYPES.get(element) or np.dtype(element)
        known = renamed.get(one.name, one.name), kind or None, zone or None
        n_columns = getattr(one, "shape", (None, 1))[1]
        inputs.append(ModelInput(one.name, dtype, *known, n_columns, missing_text, knows_times))
    return inputs


def _properties(session: Any) -> dict[str, str] | None:
    """Return the properties of an ONNX model of sknet; None for another, as of skl2onnx."""
    if not hasattr(session, "get_modelmeta"):
        return None
    described = session.get_modelmeta()
    return described.custom_metadata_map if described.producer_name == PRODUCER else None


def _as_array(X: Any) -> Any:
    """Return a table other than a frame as an array.

    Raises
    ------
    TypeError
        If it is no table, or a sparse one.
    """
    given = X
    X = X if hasattr(X, "dtype") else np.asarray(X)
    if len(X.shape) != 2 or sparse.issparse(X):
        raise TypeError(
            "X must be rows, as a data frame or an array of shape (n_rows, n_features), got "
            f"{kind_of(given)}. For a row that is a dict, pass pandas.DataFrame([row])."
        )
    return X


def _has_column(X: Any, name: str) -> bool:
    return is_frame(X) and name in frames.column_names(X)


def _places(X: Any, inputs: Sequence[ModelInput]) -> Sequence[int]:
    """Return the position of each input's column."""
    if is_frame(X) and all(isinstance(name, str) for name in X.columns):
        places = {name: i for i, name in enumerate(X.columns)}
        missing = [one.column for one in inputs if one.column not in places]
        if missing:
            raise ValueError(f"The ONNX model needs the columns {missing}, which X lacks.")
        return [places[one.column] for one in inputs]
    if X.shape[1] != len(inputs):
        raise ValueError(
            f"The ONNX model has {len(inputs)} inputs, X has {X.shape[1]} columns."
        )
    return range(len(inputs))


def _joined(X: Any, one: ModelInput) -> NDArray[Any]:
    """Return all columns of a table as one tensor."""
    numbers = frames.number_columns(X)
    if isinstance(numbers, np.ndarray) and numbers.dtype != object and one.dtype != TEXT:
        return _as_dtype(numbers, one)
    return np.hstack([_tensor(frames.column(X, i), one) for i in range(X.shape[1])])


def _tensor(column: Any, one: ModelInput) -> NDArray[Any]:
    """Return a column as a tensor of shape (n_rows, 1)."""
    return _values(column, one)[:, np.newaxis]


def _values(column: Any, one: ModelInput) -> NDArray[Any]:
    """Return the values of a column in the dtype of its input.

    Raises
    ------
    ValueError
        If the column holds times and held other values in training, or cannot be read.
    """
    kind = frames.time_kind(column)
    if kind is not None:
        where = f"Column {one.column!r} of X"
        if not one.knows_times:
            return _as_dtype(read_times(column, kind, frames.time_zone(column), where), one)
        # Columns of seconds are read where training had times, but not the reverse.
        if kind != one.kind and not (one.kind and frames.is_all_missing(column)):
            raise other_times(where, one.kind, kind)
        return _as_dtype(read_times(column, kind, one.zone, where), one)
    if one.dtype == TEXT:
        values = np.asarray(column, dtype=object).tolist()
        missing = one.missing_text
        return np.array([v if isinstance(v, str) else missing for v in values], dtype=object)
    return _as_dtype(frames.with_nan(column), one)


def _as_dtype(values: NDArray[Any], one: ModelInput) -> NDArray[Any]:
    """Return numbers in the dtype of their input.

    Raises
    ------
    ValueError
        If the dtype is an integer or a boolean, but the values are of floats or objects, or if
        they are no numbers.
    """
    if one.dtype.kind in "iub" and values.dtype.kind not in "iub":
        raise ValueError(
            f"The input {one.name!r} of the ONNX model takes {one.dtype.name}, which has no "
            f"missing values, but got {values.dtype.name}. Export the estimator with rows in "
            "which this column is float64."
        )
    try:
        return values.astype(one.dtype, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        held = "numbers" if one.kind is None else f"{one.kind}s"
        advice = "" if one.kind is None else f" by pandas.to_{_CONVERSIONS[one.kind]}"
        raise ValueError(
            f"Column {one.column!r} of X held {held} in training, but cannot be read as such "
            f"now: {error}. Convert it{advice}."
        ) from error


#: The functions of pandas that read text as times.
_CONVERSIONS = {"date": "datetime", "duration": "timedelta"}
