"""The conversion of the rows of a table to the inputs of an ONNX model."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet._input import shown_names
from sknet._requirements import kind_of
from sknet.data.columns.times import check_same_times, read_times
from sknet.data.frames import Table, with_nan, wrapped
from sknet.export._columns import MISSING_TEXT, PRODUCER, RENAMED, TIMES
from sknet.export._encoding import TEXT

#: The dtypes of NumPy whose names differ from those of onnxruntime.
DTYPES: dict[str, np.dtype[Any]] = {"float": np.dtype("float32"), "string": TEXT}


class ModelInput(NamedTuple):
    """What an ONNX model says about one of its inputs.

    Attributes
    ----------
    name : str
    dtype : dtype
        The dtype of the tensor; object stands for text.
    column : str
        The name of its column in a frame.
    is_column : bool
        Whether its shape is that of a single column.
    times : dict of str to str or None
        The columns that held times in training, and what the property ``TIMES`` says about
        them; None if sknet did not write the model.
    missing_text : str
        The text that stands for missing text.
    """

    name: str
    dtype: np.dtype[Any]
    column: str
    is_column: bool
    times: dict[str, str] | None
    missing_text: str

    @property
    def kind_and_zone(self) -> tuple[str | None, str | None]:
        """The kind of times that training had in the column, and their time zone, or None."""
        kind, _, zone = (self.times or {}).get(self.column, "").partition(" ")
        return kind or None, zone or None


def onnx_inputs(session: Any, X: Any) -> dict[str, NDArray[Any]]:
    """Convert rows to the inputs of an ONNX model.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The session of the ONNX model, or another object with the method ``get_inputs``.
    X : {array-like, data frame} of shape (n_rows, n_features)
        The rows. The columns of a frame are found by name, or by position if the names are not
        strings. For a row that is a dict, pass ``pandas.DataFrame([row])``.

    Returns
    -------
    dict of str to ndarray
        The argument of ``session.run``, with an array for each input. In a text input, a value
        that is not a string counts as missing. It becomes "", or, if "" was a level in
        training, the text that the model of :func:`to_onnx` names instead. Dates become seconds
        since 1970-01-01 00:00 on a clock in the time zone of training, and durations become
        seconds.

    Raises
    ------
    TypeError
        If X is not a table, but, for example, a dict, or if ``session`` is not a session.
    ValueError
        If X lacks a column, if the number of columns differs from the number of inputs, if an
        integer input would have to hold missing values, if a column cannot be read as its
        input, if it holds dates or durations where training had other values, or if its dates
        have a time zone only now or only in training.

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
    table = wrapped(X)
    if len(table.shape) != 2 or table.is_sparse:
        raise TypeError(
            "X must be rows, as a data frame or an array of shape (n_rows, n_features), got "
            f"{kind_of(X)}. For a row that is a dict, pass pandas.DataFrame([row])."
        )
    if len(inputs) == 1 and not (inputs[0].is_column and _has_column(table, inputs[0])):
        return {inputs[0].name: _joined(table, inputs[0])}
    places = zip(inputs, _places(table, inputs), strict=True)
    return {one.name: _values(table, place, one)[:, np.newaxis] for one, place in places}


def model_inputs(session: Any) -> list[ModelInput]:
    """Return what the ONNX model of a session says about its inputs."""
    if not hasattr(session, "get_inputs"):
        raise TypeError(
            f"session must be an onnxruntime.InferenceSession, got {kind_of(session)}. For a "
            "model of to_onnx, it is InferenceSession(model.SerializeToString())."
        )
    described = session.get_modelmeta() if hasattr(session, "get_modelmeta") else None
    times, renamed, missing_text = None, dict[str, str](), ""
    # Models that sknet did not write, such as those of skl2onnx, lack these properties.
    if described is not None and described.producer_name == PRODUCER:
        properties = described.custom_metadata_map
        times, renamed = (json.loads(properties.get(key, "{}")) for key in (TIMES, RENAMED))
        missing_text = properties.get(MISSING_TEXT, "")
    inputs = []
    for one in session.get_inputs():
        element = one.type.removeprefix("tensor(").removesuffix(")")
        dtype = DTYPES.get(element) or np.dtype(element)
        is_column = list(getattr(one, "shape", (None, 1)))[1:] == [1]
        column = renamed.get(one.name, one.name)
        inputs.append(ModelInput(one.name, dtype, column, is_column, times, missing_text))
    return inputs


def _has_column(X: Table, one: ModelInput) -> bool:
    return not {one.column, one.name}.isdisjoint(X.names or ())


def _has_names(X: Table) -> bool:
    """Return whether a table has column names. As in scikit-learn, numbers are not names."""
    return any(isinstance(name, str) for name in X.columns)


def _places(X: Table, inputs: Sequence[ModelInput]) -> Sequence[int]:
    """Return the position of each input's column."""
    if _has_names(X):
        places = {name: i for i, name in enumerate(X.columns)}
        # Declared types may have given an input a name that no column had in training.
        needed = [one.column if one.column in places else one.name for one in inputs]
        found = zip(inputs, needed, strict=True)
        if missing := [one.column for one, name in found if name not in places]:
            raise ValueError(f"The ONNX model needs the columns {missing}, which X lacks.")
        counts = Counter(X.columns)
        if repeated := [name for name in needed if counts[name] > 1]:
            raise ValueError(f"X has several columns named {repeated}. Rename them.")
        return [places[name] for name in needed]
    if X.shape[1] != len(inputs):
        raise ValueError(
            f"The ONNX model has {len(inputs)} inputs, but X has {X.shape[1]} columns."
        )
    return range(len(inputs))


def _joined(X: Table, one: ModelInput) -> NDArray[Any]:
    """Return all columns of a table as one tensor."""
    numbers = X.numbers()
    if isinstance(numbers, np.ndarray) and numbers.dtype != object and one.dtype != TEXT:
        return _as_dtype(numbers, one)
    names = shown_names(X.columns if _has_names(X) else None, X.shape[1])
    columns = [_values(X, i, one._replace(column=name)) for i, name in enumerate(names)]
    return np.column_stack(columns)


def _values(X: Any, position: int, one: ModelInput) -> NDArray[Any]:
    """Return the values of a column in the dtype of its input.

    Raises
    ------
    ValueError
        If the column holds times and held other values in training, if it holds text where the
        input takes numbers, or if it cannot be read.
    """
    kind, told = X.time_columns.get(position), one.times is not None
    if kind is not None and (told or one.dtype != TEXT):
        trained, zone = one.kind_and_zone if told else (kind, X.time_zone(position))
        # Columns of seconds are read where training had times, but not the reverse.
        check_same_times(X, position, trained, _where(one))
        return _as_dtype(read_times(X, position, kind, zone, _where(one)), one)
    column = X.values(position)
    if one.dtype == TEXT:
        values = np.asarray(column, dtype=object).tolist()
        missing = one.missing_text
        return np.array([v if isinstance(v, str) else missing for v in values], dtype=object)
    with _reading(one):
        values = with_nan(column)
        if values.ndim > 1:
            raise ValueError("it holds lists")
        if values.dtype.kind == "U":
            # Digits would be read as seconds where training had times, and "1.234" as a number
            # below two where it had text with points between thousands.
            known = values[values != "nan"]
            if known.size:
                raise ValueError(f"it holds text, such as {str(known[0])!r}")
    return _as_dtype(values, one)


def _where(one: ModelInput) -> str:
    return f"Column {one.column!r} of X"


def _as_dtype(values: NDArray[Any], one: ModelInput) -> NDArray[Any]:
    """Return numbers in the dtype of their input.

    Raises
    ------
    ValueError
        If the dtype is an integer or boolean type, but the values are floats or objects or
        beyond its range, or if they are not numbers. Times may be whole seconds.
    """
    needs_integers = one.dtype.kind in "iub" and values.dtype.kind not in "iub"
    # Times are floats. If all of them are whole seconds, none is missing.
    of_times = one.kind_and_zone[0] is not None and values.dtype.kind == "f"
    if needs_integers and not (of_times and (values == np.rint(values)).all()):
        raise ValueError(
            f"The input {one.name!r} of the ONNX model takes {one.dtype.name}, which cannot "
            f"hold fractions or missing values, but got {values.dtype.name}. Export the "
            "estimator again, with an X in which this column is float64."
        )
    with _reading(one):
        converted = values.astype(one.dtype, copy=False)
    if one.dtype.kind in "iub" and (beyond := values[converted != values]).size:
        raise ValueError(
            f"The input {one.name!r} of the ONNX model takes {one.dtype.name}, which cannot "
            f"hold {beyond[0]}. Export the estimator again, with an X in which this column is "
            f"{values.dtype.name}."
        )
    return converted


@contextmanager
def _reading(one: ModelInput) -> Iterator[None]:
    """Raise a ValueError that names the column if its values cannot be read."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        kind, _ = one.kind_and_zone
        held = "numbers" if kind is None else f"{kind}s"
        advice = "" if kind is None else f" with pandas.to_{_CONVERSIONS[kind]}"
        raise ValueError(
            f"{_where(one)} held {held} in training, but cannot be read as {held} now: "
            f"{error}. Convert it{advice}."
        ) from error


#: The functions of pandas that read text as times.
_CONVERSIONS = {"date": "datetime", "duration": "timedelta"}
