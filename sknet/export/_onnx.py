"""Fitted estimators as ONNX models: from inputs to labels, probabilities and numbers."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from sknet._base import BaseNN, fitted
from sknet._input import Features
from sknet._joint_model import JointModel
from sknet._model import ClassificationModel, Model, RegressionModel
from sknet._requirements import kind_of, require
from sknet._version import __version__
from sknet.classifier import NNClassifier
from sknet.data.targets import ClassTarget
from sknet.export._columns import PRODUCER, column_properties, free_name, input_columns
from sknet.export._encoding import TEXT, InputColumns, encode
from sknet.export._graph import Graph, Port, Tensor, numbered_names, onnx_type
from sknet.export._rules import (
    INVERSE_LINKS,
    counterpart,
    median,
    network_outputs,
    predicted_std,
)
from sknet.multi_target import NNMultiTarget
from sknet.nn.cumulative import Cumulative
from sknet.regressor import NNRegressor


def exported(estimator: Any) -> tuple[Features, Model]:
    """Return the features and the model of a fitted estimator that is to be exported.

    Raises
    ------
    TypeError
        If the object is not a supported estimator.
    NotFittedError
        If the estimator is not fitted.
    """
    if not isinstance(estimator, NNClassifier | NNRegressor | NNMultiTarget):
        raise TypeError(
            "to_onnx takes a fitted NNClassifier, NNRegressor or NNMultiTarget, got "
            f"{kind_of(estimator)}. For a Dask estimator, pass its to_local(). For a pipeline "
            "or another estimator that contains an NNClassifier or NNRegressor, call "
            "sknet.export.register() and then skl2onnx.to_onnx."
        )
    features, model = fitted(estimator)
    return features, model.with_params(model.predictor.params)


def write_predictions(
    table: InputColumns,
    model: Model,
    dtype: np.dtype[Any],
    *,
    with_std: bool = False,
    raw_scores: bool = False,
) -> dict[str, Port]:
    """Write the operators of a model into the graph of the inputs.

    Parameters
    ----------
    table : InputColumns
        The columns of the inputs.
    model : Model
    dtype : dtype
        The precision of probabilities and numbers.
    with_std : bool, default=False
        Whether to write the standard deviation of y as well, if the loss predicts it.
    raw_scores : bool, default=False
        Whether to write the decision function in place of the probabilities, unless there are
        several targets. Two classes get two columns, the first of which is minus the second.

    Returns
    -------
    dict of str to Port
        "label" and "probabilities" of a classifier, or "variable" of a regressor, and "std".
        With several targets, each has an output with its name; the probabilities of "name" are
        "name_probabilities".
    """
    x = encode(table, model)
    raw = network_outputs(model.network, model.params, x).cast(np.float64)
    if model.settings.promise is not None:
        raw = model.settings.promise.settled(raw)
    outputs = _outputs(model, raw, dtype, with_std)
    if raw_scores and "probabilities" in outputs:
        scores = Port(_scores(model, raw).cast(dtype), n_columns(model))
        return {**outputs, "probabilities": scores}
    return outputs


def _outputs(
    model: Model, raw: Tensor, dtype: np.dtype[Any], with_std: bool = False
) -> dict[str, Port]:
    """Return the outputs of a model, given its raw predictions."""
    if isinstance(model, JointModel):
        return _by_target(model, raw, dtype)
    if isinstance(model, RegressionModel):
        return _numbers(model, raw, dtype, with_std and model.loss.link.predicts_std)
    return _classes(cast(ClassificationModel, model), raw, dtype)


def _by_target(model: JointModel, raw: Tensor, dtype: np.dtype[Any]) -> dict[str, Port]:
    """Return the outputs of each target, whose labels or numbers have the target's name."""
    outputs, places = {}, np.arange(model.n_members * model.n_raw)[np.newaxis]
    for name, (one, own) in zip(model.target.names, model.each(places), strict=True):
        found = _outputs(one, raw.take(own[0], axis=1), dtype)
        for key, port in found.items():
            key = f"{name}_{key}" if key == "probabilities" else str(name)
            if key in outputs:
                raise ValueError(f"Two outputs would be called {key!r}. Rename a target of y.")
            outputs[key] = port
    return outputs


def label_dtype(target: ClassTarget) -> np.dtype[Any]:
    """Return the dtype of labels: text, or int64 for numbers and booleans.

    Raises
    ------
    ValueError
        If the labels are dates or durations, or if int64 does not hold them.
    """
    classes = target.classes_
    if isinstance(classes[0], str):
        return TEXT
    if classes.dtype.kind in "mM" or classes[-1] > np.iinfo(np.int64).max:
        raise ValueError(
            f"ONNX has no type for labels like {classes[-1]}. Train with labels of text (in "
            "NumPy and pandas, y.astype(str))."
        )
    return np.dtype(np.int64)


def n_columns(model: Model) -> int:
    """Return the number of columns of the probabilities, or of the predicted numbers."""
    return model.n_predicted if model.numeric_y else model.target.classes_.size


def _classes(model: ClassificationModel, raw: Tensor, dtype: np.dtype[Any]) -> dict[str, Port]:
    """Return the labels and the probabilities."""
    target, link, proba = model.target, model.loss.link, _over_members(model, raw)
    if target.kind == "multilabel":
        label = Port(proba.op("Greater", 0.5, dtype=bool).cast(np.int64), n_columns(model))
    elif isinstance(link, Cumulative):
        label = Port(_label(target, median(link, proba)), 0)
    else:
        place = proba.op("ArgMax", dtype=np.int64, axis=-1, keepdims=0)
        label = Port(_label(target, place), 0)
    # predict_proba has the same limits: rounding must not turn a probability into certainty.
    limits = np.finfo(dtype)
    proba = proba.maximum(limits.tiny).minimum(1 - limits.epsneg).cast(dtype)
    return {"label": label, "probabilities": Port(proba, n_columns(model))}


def _scores(model: Model, raw: Tensor) -> Tensor:
    """Return the decision function, with a column for each of two classes."""
    kind, scores = model.target.kind, raw
    if model.members.before_link and not model.loss.link.ordered:
        scores = _mean(model, _split(model, raw))
    elif model.n_members > 1 or model.loss.link.ordered:
        proba = _over_members(model, raw)
        scores = proba.op("Log")
        if kind == "multilabel":
            scores = scores - (-proba + 1.0).op("Log")
        elif kind == "binary":
            scores = scores.columns(1, 2) - scores.columns(0, 1)
    return scores.graph.concat([-scores, scores], axis=-1) if kind == "binary" else scores


def _label(target: ClassTarget, place: Tensor) -> Tensor:
    """Return the labels of the classes at the given positions."""
    dtype = label_dtype(target)
    if dtype != TEXT:
        return place.graph.constant(target.classes_, dtype).take(place, axis=0)
    numbers, texts = [*range(target.classes_.size)], [*target.classes_]
    return place.labels(TEXT, keys_int64s=numbers, values_strings=texts)


def _numbers(
    model: RegressionModel, raw: Tensor, dtype: np.dtype[Any], with_std: bool
) -> dict[str, Port]:
    """Return the predicted numbers in the units of y, and their standard deviation."""
    outputs = {"variable": _over_members(model, raw)}
    if with_std:
        outputs["std"] = _total_std(model, raw, outputs["variable"])
    return {k: Port(v.cast(dtype), n_columns(model)) for k, v in outputs.items()}


def _total_std(model: RegressionModel, raw: Tensor, mean: Tensor) -> Tensor:
    """Return the standard deviation of the mixture of the members' distributions."""
    members = raw if model.n_members == 1 else _split(model, raw)
    within = predicted_std(members) * model.target.scale_
    if model.n_members == 1:
        return within
    error = _predicted(model, members) - mean.reshape(0, 1, n_columns(model))
    return _mean(model, within * within + error * error).op("Sqrt")


def _over_members(model: Model, raw: Tensor) -> Tensor:
    """Return the prediction of all members, as ``Members.predictions`` does."""
    if model.n_members == 1:
        return _predicted(model, raw)
    members = _split(model, raw)
    if model.members.before_link:
        return _predicted(model, _mean(model, members))
    return _mean(model, _predicted(model, members))


def _predicted(model: Model, raw: Tensor) -> Tensor:
    """Return the probabilities of all classes or labels, or the numbers in the units of y."""
    target, link = model.target, model.loss.link
    if not model.numeric_y and target.kind == "binary" and not link.ordered:
        raw = raw.graph.concat([-raw, raw], axis=-1)
    predicted = counterpart("link", INVERSE_LINKS, link)(link, raw)
    return predicted * target.scale_ + target.mean_ if model.numeric_y else predicted


def _split(model: Model, raw: Tensor) -> Tensor:
    """Return raw predictions as (rows, members, columns)."""
    return raw.reshape(0, model.n_members, model.n_raw)


def _mean(model: Model, members: Tensor) -> Tensor:
    return members.sum(1, keepdims=False) * (1 / model.n_members)


#: The oldest version in which the operators have the forms that the graphs use.
OLDEST_OPSET = 13
#: The version that is written by default. It is that of ONNX 1.12 (2022), so that runtimes need
#: not be new.
DEFAULT_OPSET = 17
#: The version of the domain "ai.onnx.ml", whose LabelEncoder turns text into numbers and back.
ML_OPSET = 2


def to_onnx(
    estimator: BaseNN,
    X: Any = None,
    *,
    initial_types: Iterable[tuple[str, Any]] | None = None,
    target_opset: int | None = None,
) -> Any:
    """Return a fitted estimator as an ONNX model that predicts without Python.

    The ONNX model takes the raw table: it scales numbers, and handles missing values and
    categories. It uses only standard ONNX operators, so any runtime can run it. Its predictions
    agree with ``predict`` and ``predict_proba`` up to rounding.

    For an array, the ONNX model has one input, "X". For a data frame, each column is an input
    of shape (n_rows, 1) with the name of the column, as with skl2onnx. An array with text
    columns also has one input per column: "x0", "x1" and so on. In a text column, any text that
    was not a level in training, such as "", counts as missing. Dates and durations are float64
    inputs. A date is the number of seconds since 1970-01-01 00:00 on a clock in the time zone
    of training, and a duration is its number of seconds. :func:`onnx_inputs` converts rows to
    such inputs.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        A fitted estimator. For a pipeline with one target, use :func:`register` and
        ``skl2onnx.to_onnx``.
    X : {array-like, data frame}, default=None
        Some rows whose columns and dtypes define the inputs. Values matter only in columns of
        objects or categories, where they tell text from numbers. By default, the inputs are the
        columns of training. Pass float64 rows if precision matters: float32 has seven digits,
        too few for small differences between large numbers.
    initial_types : list of pairs of a name and a type, default=None
        The inputs, instead of X. A type is either a type of skl2onnx, as in ``("X",
        FloatTensorType([None, 4]))``, or a ``TypeProto`` of onnx.
    target_opset : int, default=None
        The version of the operators, at least 13; by default 17.

    Returns
    -------
    onnx.ModelProto
        The ONNX model. A classifier has the outputs "label" and "probabilities"; a regressor
        has the output "variable" of shape (n_rows, n_outputs), and with ``loss="normal"`` also
        "std", the standard deviation of y, of the same shape. Labels are text or int64.
        Boolean labels, and floats (always whole numbers if they are labels), become int64.
        With several targets, each has an output with its name (in an NNClassifier, its number),
        and "name_probabilities" are the probabilities of the target "name".
        Probabilities and numbers are float32 if that is the common dtype of all numeric inputs,
        else float64. If a column has the same name as an output, a 1 is appended to the name of
        the output, as with skl2onnx.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    NotFittedError
        If the estimator is not fitted.
    NotImplementedError
        If an activation, a layer or the loss is a custom one. The message names it.
    TypeError
        If ``estimator`` is not an sknet estimator, or if X is not a table.
    ValueError
        If X or ``initial_types`` differ from the columns of training, if both are given, if X
        does not have two dimensions, if it has values of a kind that sknet does not read, if
        two columns have the same name, if a column has a different kind of values than in
        training, if labels are dates, durations or above the largest int64, or if the installed
        onnx does not know ``target_opset``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.export import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = NNClassifier((8,), max_iter=20, learning_rate="cosine", random_state=0)
    >>> onnx_model = to_onnx(estimator.fit(X, y))
    >>> [output.name for output in onnx_model.graph.output]
    ['label', 'probabilities']
    """
    onnx = require("onnx", "onnx")
    features, model = exported(estimator)
    opset = _check_opset(target_opset, onnx.defs.onnx_opset_version())
    columns = input_columns(features, model, X, initial_types)
    names = [one.name for one in columns]
    graph = Graph(numbered_names(names))
    inputs = [Port(Tensor(graph, one.name, one.dtype), len(one.names)) for one in columns]
    table = InputColumns(features, inputs)
    predictions = write_predictions(table, model, table.precision, with_std=True)
    outputs = [
        Port(tensor.op("Identity", output=name), n_columns)
        for name, (tensor, n_columns) in zip(
            _output_names(predictions, names), predictions.values(), strict=True
        )
    ]
    proto = _model_proto(type(estimator).__name__, graph, inputs, outputs, opset)
    onnx.helper.set_model_props(proto, column_properties(features, columns))
    return proto


def _output_names(predictions: Iterable[str], inputs: Sequence[str]) -> list[str]:
    """Return the names of the outputs: those of the predictions, unless an input has them."""
    found, taken = [], {*inputs, *predictions}
    for name in predictions:
        found.append(free_name(name, taken) if name in inputs else name)
        taken.add(found[-1])
    return found


def _check_opset(target_opset: int | None, newest: int) -> int:
    """Return the version of the operators to write.

    Raises
    ------
    ValueError
        If the version is too old for the graphs, or too new for the installed onnx.
    """
    if target_opset is None:
        return min(DEFAULT_OPSET, newest)
    if target_opset not in range(OLDEST_OPSET, newest + 1):
        raise ValueError(
            f"target_opset must be from {OLDEST_OPSET} to {newest}, the newest that the "
            f"installed onnx knows, got {target_opset!r}."
        )
    return target_opset


def _model_proto(
    name: str, graph: Graph, inputs: Iterable[Port], outputs: Iterable[Port], opset: int
) -> Any:
    """Return a graph with its inputs and outputs as a ModelProto."""
    onnx = require("onnx", "onnx")
    helper = onnx.helper
    nodes = [
        helper.make_node(op_type, names, [output], name=output, domain=domain, **attributes)
        for op_type, names, output, domain, attributes in graph.nodes
    ]
    constants = [onnx.numpy_helper.from_array(v, k) for k, v in graph.constants.items()]
    ports = [[_value(helper, *one) for one in some] for some in (inputs, outputs)]
    proto = helper.make_graph(nodes, name, *ports, initializer=constants)
    opsets = [helper.make_opsetid("", opset)]
    if any(node.domain for node in graph.nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    # The oldest file format that has these operators, since a runtime refuses a format that is
    # newer than itself.
    ir_version = helper.find_min_ir_version_for(opsets)
    producer = {"producer_name": PRODUCER, "producer_version": __version__}
    return helper.make_model(proto, opset_imports=opsets, ir_version=ir_version, **producer)


def _value(helper: Any, tensor: Tensor, n_columns: int) -> Any:
    """Return the description of an input or output with any number of rows."""
    shape = [None, n_columns] if n_columns else [None]
    return helper.make_tensor_value_info(tensor.name, onnx_type(tensor.dtype), shape)
