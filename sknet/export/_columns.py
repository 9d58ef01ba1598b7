"""The inputs of an ONNX model: their names and types, and rows in their form."""

from collections.abc import Iterable
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from sknet._extras import require
from sknet._input import Features
from sknet._model import Model
from sknet.data import frames
from sknet.data.frames import is_frame
from sknet.data.time_columns import check_times, read_times
from sknet.export._encoding import TEXT

#: How the names of the properties of an ONNX model begin that tell which inputs are durations
#: and dates. The name of the column follows. The value is the kind, and for dates with a time
#: zone a space and the zone, as in "date Europe/Oslo".
TIMES = "sknet.times/"


#: The name of sknet in the ONNX models that it writes.
PRODUCER = "sknet"


class Column(NamedTuple):
    """The name, the dtype (object for text) and the number of columns of one input."""

    name: str
    dtype: np.dtype[Any]
    n_columns: int


def input_columns(
    features: Features, model: Model, X: Any, initial_types: Iterable[tuple[str, Any]] | None
) -> list[Column]:
    """Return a Column for each input of the ONNX model.

    Raises
    ------
    ValueError
        If both X and ``initial_types`` are given, if they have other columns than training
        had, or if two columns have the same name.
    """
    if X is not None and initial_types is not None:
        raise ValueError("X and initial_types both say what the inputs are: give one of them.")
    if initial_types is not None:
        columns = [_declared_column(name, kind) for name, kind in initial_types]
        check_n_columns(features, sum(one.n_columns for one in columns))
        return columns
    if X is None:
        return _columns_of_training(features, model)
    if is_frame(X):
        _check_distinct([str(name) for name in X.columns])
    elif not hasattr(X, "dtype"):
        X = np.asarray(X)
    validate_data(features.estimator, X, reset=False, skip_check_array=True)
    return _columns_like(X)


def _check_distinct(names: list[str]) -> None:
    """Refuse columns of the same name, since the names of inputs must differ."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"Columns of X have the same name: {repeated}. Rename them.")


def check_n_columns(features: Features, n_columns: int) -> None:
    """Check the number of columns of all inputs together.

    Raises
    ------
    ValueError
        If training had another number of columns.
    """
    if n_columns != features.n_features:
        raise ValueError(
            f"The inputs have {n_columns} columns in all, but "
            f"{type(features.estimator).__name__} was fitted to {features.n_features}."
        )


def _declared_column(name: str, kind: Any) -> Column:
    """Return the Column that a type of skl2onnx, or a TypeProto of onnx, describes."""
    onnx = require("onnx", "onnx")
    kind = kind.to_onnx_type() if hasattr(kind, "to_onnx_type") else kind
    tensor = kind.tensor_type
    width = tensor.shape.dim[1].dim_value if len(tensor.shape.dim) == 2 else 0
    if not width:
        raise ValueError(
            f"The type of the input {name!r} must have two dimensions, of which the second, "
            "the number of columns, is given."
        )
    return Column(name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type), width)


def _columns_of_training(features: Features, model: Model) -> list[Column]:
    """Return the columns of training, with dtypes that follow from what the model stores.

    The model does not store the dtype of each column. All numeric columns get the dtype of
    their medians or scales.
    """
    encoder, reader = model.encoder, features.reader
    known = [one for one in (encoder.center_, encoder.scale_) if one is not None]
    dtype = known[0].dtype.newbyteorder("=") if known and known[0].size else np.dtype("float64")
    n_features = features.n_features
    dtypes: list[np.dtype[Any]] = [dtype] * n_features
    if reader is not None:
        for i, levels in zip(reader.categorical_, reader.levels_, strict=True):
            dtypes[i] = TEXT if levels.size == 0 or isinstance(levels[0], str) else dtype
    if features.names is None and TEXT not in dtypes:
        return [Column("X", dtype, n_features)]
    names = [f"x{i}" for i in range(n_features)] if features.names is None else features.names
    return [Column(str(name), one, 1) for name, one in zip(names, dtypes, strict=True)]


def _columns_like(X: Any) -> list[Column]:
    """Return the columns of a frame or an array."""
    if is_frame(X):
        times = frames.time_columns(X)
        return [
            Column(str(name), np.dtype(float) if i in times else _tensor_dtype(X[name]), 1)
            for i, name in enumerate(X.columns)
        ]
    if X.dtype.kind not in "OUS":
        return [Column("X", _tensor_dtype(X), X.shape[1])]
    return [Column(f"x{i}", _tensor_dtype(X[:, i]), 1) for i in range(X.shape[1])]


def times_properties(features: Features, columns: Iterable[Column]) -> dict[str, str]:
    """Return the properties of an ONNX model that describe its dates and durations."""
    times = {} if features.reader is None else features.reader.times_
    names: Any = features.names
    if names is None:
        names = [one.name for one in columns for _ in range(one.n_columns)]
    return {
        f"{TIMES}{names[i]}": kind if zone is None else f"{kind} {zone}"
        for i, (kind, zone) in times.items()
    }


def _tensor_dtype(column: Any) -> np.dtype[Any]:
    """Return the dtype of a tensor that can hold the values of a column, also missing ones."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.dtype.newbyteorder("=")
    # Objects may be numbers, also True and False. A column without any value is taken as text,
    # which is the likelier kind of a column of objects.
    values = np.asarray(column)
    kinds = (Number, np.bool_)
    is_number = any(isinstance(value, kinds) and value == value for value in values)
    return np.dtype(np.float64) if is_number else TEXT


def onnx_inputs(session: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Return rows in the form that an ONNX model takes.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The session of the ONNX model, or another object with the method ``get_inputs``.
    X : {array-like, data frame} of shape (n_rows, n_features)
        Rows. The columns of a frame are found by their names.

    Returns
    -------
    dict of str to ndarray
        The argument of ``session.run``, an array for each input. In an input of text, a value
        that is no text counts as missing and becomes "". Dates become seconds since 1970-01-01
        00:00, by the clocks of the time zone that training had, and durations become seconds.

    Raises
    ------
    ValueError
        If X lacks a column, if it has another number of columns than the ONNX model has
        inputs, if an input of integers would have to hold missing values, if a column holds
        dates where training had other values, or if dates have a time zone although those of
        training had none, or the reverse.

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
    inputs = session.get_inputs()
    X = _with_seconds(X, _times_in_training(session))
    columns = _split(X, [one.name for one in inputs])
    if len(columns) != len(inputs):
        raise ValueError(
            f"The ONNX model has {len(inputs)} inputs, X has {len(columns)} columns."
        )
    return {
        one.name: _as_tensor(x, one.name, one.type)
        for one, x in zip(inputs, columns, strict=True)
    }


def _split(X: Any, names: list[str]) -> list[Any]:
    """Return the part of X for each input, given the names of the inputs."""
    if not is_frame(X):
        X = X if hasattr(X, "dtype") else np.asarray(X)
        return [X] if len(names) == 1 else [X[:, [i]] for i in range(X.shape[1])]
    if len(names) == 1 and names[0] not in list(X.columns):
        return [X]
    columns = {str(column): column for column in X.columns}
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(f"The ONNX model needs the columns {missing}, which X lacks.")
    return [X[[columns[name]]] for name in names]


def _times_in_training(session: Any) -> dict[str, tuple[str, str | None]] | None:
    """Return the kind and the time zone of each column of times, as the ONNX model tells them.

    They are None if they are not known, as for a pipeline that skl2onnx exported.
    """
    if not hasattr(session, "get_modelmeta"):
        return None
    described = session.get_modelmeta()
    if described.producer_name != PRODUCER:
        return None
    times = {}
    for name, value in described.custom_metadata_map.items():
        if name.startswith(TIMES):
            kind, _, zone = value.partition(" ")
            times[name.removeprefix(TIMES)] = kind, zone or None
    return times


def _with_seconds(X: Any, times: dict[str, tuple[str, str | None]] | None) -> Any:
    """Return a frame whose dates and durations are replaced by seconds, and others as they are.

    ``times`` has the kind and the time zone of each such column in training. If they are not
    known, each column keeps its own.

    Raises
    ------
    ValueError
        If a column held other values in training, or if it has a time zone and had none, or the
        reverse.
    """
    names, found = frames.column_names(X) or [], frames.time_columns(X)
    if times is None:
        times = {names[i]: (kind, frames.time_zone(X, i)) for i, kind in found.items()}
    known = {i: times[names[i]] for i in found if names[i] in times}
    # Columns of seconds are read where training had times, so only those found are checked.
    check_times(X, {i: kind for i, (kind, _) in known.items()}, names)
    for i, (kind, zone) in known.items():
        X = frames.with_column(X, i, read_times(X, i, kind, zone, names))
    return X


def _as_tensor(x: Any, name: str, kind: str) -> NDArray[Any]:
    """Return columns as an array of the type that onnxruntime calls ``kind``.

    Raises
    ------
    ValueError
        If the type is an integer or a boolean, but the columns are of floats or objects.
    """
    if kind == "tensor(string)":
        values = np.asarray(x, dtype=object)
        text = [value if isinstance(value, str) else "" for value in values.ravel()]
        return np.array(text, dtype=object).reshape(values.shape)
    element = kind.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(element, element))
    if dtype.kind == "f" and hasattr(x, "astype"):
        # pandas turns its pandas.NA into NaN, which NumPy cannot do.
        x = x.astype(dtype)
    values = np.asarray(x, dtype=None if dtype.kind in "iub" else dtype)
    if dtype.kind in "iub" and values.dtype.kind not in "iub":
        raise ValueError(
            f"The input {name!r} of the ONNX model takes {dtype.name}, which has no missing "
            f"values, but got {values.dtype.name}. Export the estimator with rows in which "
            "this column is float64."
        )
    return values.astype(dtype, copy=False)
