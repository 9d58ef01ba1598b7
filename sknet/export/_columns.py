"""The inputs of an ONNX model: their names and types, and what a file says about them."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from sknet._input import Features, shown_names
from sknet._model import Model
from sknet._requirements import kind_of, require
from sknet.data.frames import Table, is_missing, wrapped
from sknet.data.kinds import check_kinds
from sknet.export._encoding import TEXT

#: The name of sknet in the ONNX models that it writes.
PRODUCER = "sknet"
#: The property of an ONNX model with the columns that held durations and dates, if there are
#: any: a JSON object with the name of each column and its kind. For dates with a time zone, a
#: space and the zone follow, as in "date Europe/Oslo".
TIMES = "sknet.times"
#: The property with the inputs whose names differ from those of their columns, if there are
#: any: a JSON object with the name of each such input and the name of its column.
RENAMED = "sknet.renamed"
#: The property with the text that stands for missing text, which is not a level of any
#: category. Without the property, "" stands for it.
MISSING_TEXT = "sknet.missing_text"


class Column(NamedTuple):
    """One input.

    Attributes
    ----------
    name : str
    dtype : dtype
        The dtype of its tensor; object stands for text.
    names : tuple of str
        The names of the columns of X that it holds.
    """

    name: str
    dtype: np.dtype[Any]
    names: tuple[str, ...]


def input_columns(
    features: Features, model: Model, X: Any, initial_types: Iterable[tuple[str, Any]] | None
) -> list[Column]:
    """Return a Column for each input of the ONNX model.

    Raises
    ------
    TypeError
        If X is not a table, but, for example, the name of a file.
    ValueError
        If both X and ``initial_types`` are given, if the columns of either differ from those of
        training, or if two columns have the same name.
    """
    if X is not None and initial_types is not None:
        raise ValueError("X and initial_types both define the inputs: pass only one of them.")
    if initial_types is not None:
        return _declared_columns(features, initial_types)
    trained = _dtypes_of_training(features, model)
    if X is None:
        if features.names is None and TEXT not in trained:
            return [Column("X", trained[0], tuple(features.shown_names))]
        return _one_each(features.shown_names, trained)
    table = model.reader.prepared(_as_rows(X, features.n_features))
    # scikit-learn's own error about equal names does not say what to do.
    input_names(table.names or ())
    validate_data(features.estimator, table.data, reset=False, skip_check_array=True)
    if table.names is None and table.data.dtype.kind not in "OUS":
        return [Column("X", table.data.dtype.newbyteorder("="), tuple(features.shown_names))]
    dtypes = [
        np.dtype(float) if i in table.time_columns else _tensor_dtype(table.column(i), dtype)
        for i, dtype in enumerate(trained)
    ]
    return _one_each(shown_names(table.names, table.shape[1]), dtypes)


def _as_rows(X: Any, n_features: int) -> Table:
    """Return the rows that define the inputs: a frame, or an array with a dtype of NumPy.

    Raises
    ------
    TypeError
        If X is not a table.
    ValueError
        If X is an array that does not have two dimensions, or of a kind that is not read.
    """
    table = wrapped(X)
    if table.names is None and not isinstance(table.dtypes[0], np.dtype):
        table = wrapped(np.asarray(X))
    as_given = table.data is X
    if len(table.shape) == 2 and (as_given or all(map(_is_value, table.data.flat))):
        return check_kinds(table, "X", with_times=True)
    shape = f" of shape {table.shape}" if table.shape else ""
    raise (ValueError if as_given and table.shape else TypeError)(
        "X must be rows like those of training, as a data frame or an array of shape (n_rows, "
        f"{n_features}), got {kind_of(X)}{shape}. Pass the types of the inputs as "
        "initial_types. To write the result to a file, call "
        "path.write_bytes(model.SerializeToString())."
    )


def _is_value(value: Any) -> bool:
    """Return whether an entry of a list is a number, a boolean, text or missing."""
    return isinstance(value, Number | np.bool_ | str) or is_missing(value)


def input_names(names: Sequence[str]) -> list[str]:
    """Return the name of each column's input: the name of the column, unless it is empty.

    An empty name becomes "x" and the column's position, since ONNX does not allow empty names.

    Raises
    ------
    ValueError
        If columns have the same name, since the names of inputs must differ.
    """
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"Columns of X have the same name: {repeated}. Rename them.")
    return [name or free_name(f"x{i}", names) for i, name in enumerate(names)]


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return a name, with a 1 appended until it is not taken."""
    known = set(taken)
    while name in known:
        name += "1"
    return name


def check_n_columns(features: Features, n_columns: int) -> None:
    """Check the number of columns of all inputs together.

    Raises
    ------
    ValueError
        If training had a different number of columns.
    """
    if n_columns != features.n_features:
        raise ValueError(
            f"The number of columns of all inputs must be {features.n_features}, as in the fit "
            f"of {type(features.estimator).__name__}, got {n_columns}."
        )


def _declared_columns(
    features: Features, initial_types: Iterable[tuple[str, Any]]
) -> list[Column]:
    """Return the columns that skl2onnx types or onnx TypeProtos declare, with their names."""
    declared = [(name, *dtype_and_width(name, kind)) for name, kind in initial_types]
    check_n_columns(features, sum(width for *_, width in declared))
    names = iter(features.shown_names)
    columns = [Column(name, dtype, (*islice(names, width),)) for name, dtype, width in declared]
    if features.names is not None:
        return columns
    # A column without a name in training has that of its input.
    return [one._replace(names=(one.name,)) if len(one.names) == 1 else one for one in columns]


def dtype_and_width(name: str, kind: Any) -> tuple[np.dtype[Any], int]:
    """Return the dtype and the number of columns of an input's type."""
    kind = kind.to_onnx_type() if hasattr(kind, "to_onnx_type") else kind
    tensor = kind.tensor_type
    width = tensor.shape.dim[1].dim_value if len(tensor.shape.dim) == 2 else 0
    if not width:
        raise ValueError(
            f"The type of the input {name!r} must have two dimensions: [None, n_columns]."
        )
    return require("onnx", "onnx").helper.tensor_dtype_to_np_dtype(tensor.elem_type), width


def _dtypes_of_training(features: Features, model: Model) -> list[np.dtype[Any]]:
    """Return, for each column of training, a dtype that follows from what the model stores.

    The model does not store the dtype of each column. All numeric columns get the dtype of
    their medians or scales.
    """
    numbers, reader = model.encoder.numbers_, features.reader
    known = [one for one in (numbers.center, numbers.scale) if one is not None]
    dtype = known[0].dtype.newbyteorder("=") if known and known[0].size else np.dtype("float64")
    dtypes: list[np.dtype[Any]] = [dtype] * features.n_features
    for i, levels in zip(reader.categorical_, reader.levels_, strict=True):
        dtypes[i] = TEXT if levels.size == 0 or isinstance(levels[0], str) else dtype
    return dtypes


def _one_each(names: Sequence[str], dtypes: Iterable[np.dtype[Any]]) -> list[Column]:
    """Return inputs of one column each, given the names and dtypes of the columns."""
    return [
        Column(name, dtype, (of_column,))
        for name, dtype, of_column in zip(input_names(names), dtypes, names, strict=True)
    ]


def _tensor_dtype(column: Any, trained: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of a tensor that can hold a column's values, including missing ones.

    For a column without any value, it is the dtype of training.
    """
    of_numbers = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    if of_numbers and trained != TEXT:
        return column.dtype.newbyteorder("=")
    values = np.asarray(column, dtype=object).tolist()
    known = next((value for value in values if not is_missing(value)), None)
    if known is None:
        return trained
    # Objects may be numbers, including True and False.
    return np.dtype(np.float64) if isinstance(known, Number | np.bool_) else TEXT


def column_properties(features: Features, columns: Sequence[Column]) -> dict[str, str]:
    """Return the properties of an ONNX model that :func:`onnx_inputs` reads."""
    reader = features.reader
    names = [name for one in columns for name in one.names]
    single = [(one.name, *one.names) for one in columns if len(one.names) == 1]
    found = {
        RENAMED: {of_input: name for of_input, name in single if of_input != name},
        TIMES: {names[i]: " ".join(filter(None, time)) for i, time in reader.times_.items()},
    }
    levels = {level for of_one in reader.levels_ for level in of_one.tolist()}
    properties = {MISSING_TEXT: free_name("missing", levels)} if "" in levels else {}
    return properties | {key: json.dumps(of_key) for key, of_key in found.items() if of_key}
