"""The inputs of a model: what they are, and rows in their form."""

from numbers import Number
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from sknet._extras import require
from sknet.data.tables import is_frame
from sknet.export._encoding import TEXT


class Column(NamedTuple):
    """The name, the type (object for text) and the number of columns of one input."""

    name: str
    dtype: np.dtype
    n_columns: int


def input_columns(features, model, X, initial_types):
    """Return a Column for each input of the model."""
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


def _check_distinct(names):
    """Raise if two columns would be inputs of one name."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"Columns of X have the same name: {repeated}. Rename them.")


def check_n_columns(features, n_columns):
    """Raise if the inputs have another number of columns than training had.

    Raises
    ------
    ValueError
        With both numbers.
    """
    if n_columns != features.n_features:
        raise ValueError(
            f"The inputs have {n_columns} columns in all, but "
            f"{type(features.estimator).__name__} was fitted to {features.n_features}."
        )


def _declared_column(name, kind):
    """Return what a type of skl2onnx or of onnx says."""
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


def _columns_of_training(features, model):
    """Return columns as they were in training, as far as the model knows."""
    encoder, reader = model.encoder, features.reader
    known = [one for one in (encoder.center_, encoder.scale_) if one is not None]
    dtype = known[0].dtype.newbyteorder("=") if known and known[0].size else np.dtype("float64")
    n_features, names = features.n_features, features.names
    dtypes = [dtype] * n_features
    if reader is not None:
        for i, levels in zip(reader.categorical_, reader.levels_, strict=True):
            dtypes[i] = TEXT if levels.size == 0 or isinstance(levels[0], str) else dtype
    if names is None and TEXT not in dtypes:
        return [Column("X", dtype, n_features)]
    names = [f"x{i}" for i in range(n_features)] if names is None else names
    return [Column(str(name), one, 1) for name, one in zip(names, dtypes, strict=True)]


def _columns_like(X):
    """Return columns as a frame or an array has them."""
    if is_frame(X):
        names = [str(name) for name in X.columns]
        return [
            Column(name, _tensor_dtype(X[column]), 1)
            for name, column in zip(names, X.columns, strict=True)
        ]
    if X.dtype.kind not in "OUS":
        return [Column("X", _tensor_dtype(X), X.shape[1])]
    return [Column(f"x{i}", _tensor_dtype(X[:, i]), 1) for i in range(X.shape[1])]


def _tensor_dtype(column):
    """Return the type of a tensor that holds a column's values, missing ones included."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.dtype.newbyteorder("=")
    # Objects may be numbers, also True and False. If all are missing, text is likelier.
    values = np.asarray(column)
    kinds = (Number, np.bool_)
    is_number = any(isinstance(value, kinds) and value == value for value in values)
    return np.dtype(np.float64) if is_number else TEXT


def onnx_inputs(session, X):
    """Return rows in the form in which an ONNX model takes them.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        A model's session, or whatever has its ``get_inputs``.
    X : {array-like, data frame} of shape (n_rows, n_features)
        Rows; those of a frame are found by the names of its columns.

    Returns
    -------
    dict of str to ndarray
        To be given to ``session.run``. In a text input, what is no text is missing: "".

    Raises
    ------
    ValueError
        If columns are missing, or an input of integers would have to hold missing values.

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
    if not is_frame(X):
        X = X if hasattr(X, "dtype") else np.asarray(X)
        columns = [X] if len(inputs) == 1 else [X[:, [i]] for i in range(X.shape[1])]
    elif len(inputs) == 1 and inputs[0].name not in list(X.columns):
        columns = [X]
    else:
        names = {str(name): name for name in X.columns}
        missing = [one.name for one in inputs if one.name not in names]
        if missing:
            raise ValueError(f"The model needs the columns {missing}, which X lacks.")
        columns = [X[[names[one.name]]] for one in inputs]
    if len(columns) != len(inputs):
        raise ValueError(f"The model has {len(inputs)} inputs, X has {len(columns)} columns.")
    return {
        one.name: _as_tensor(x, one.name, one.type)
        for one, x in zip(inputs, columns, strict=True)
    }


def _as_tensor(x, name, kind):
    """Return columns as an array of a type that onnxruntime calls ``kind``."""
    if kind == "tensor(string)":
        values = np.asarray(x, dtype=object)
        text = [value if isinstance(value, str) else "" for value in values.ravel()]
        return np.array(text, dtype=object).reshape(values.shape)
    dtype = kind.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(dtype, dtype))
    if dtype.kind == "f" and hasattr(x, "astype"):
        x = x.astype(dtype)  # pandas.NA of booleans becomes NaN, as NumPy would not make it
    values = np.asarray(x, dtype=None if dtype.kind in "iub" else dtype)
    if dtype.kind in "iub" and values.dtype.kind not in "iub":
        raise ValueError(
            f"The input {name!r} of the model takes {dtype.name}, which has no missing values, "
            f"but got {values.dtype.name}. Export the estimator with rows in which this column "
            "is float64."
        )
    return values.astype(dtype, copy=False)
