"""A whole estimator as ONNX operators: from inputs to labels, probabilities and numbers."""

from typing import NamedTuple

import numpy as np

from sknet._base import fitted
from sknet.classifier import NNClassifier
from sknet.export._encoding import TEXT, encode
from sknet.export._graph import Tensor
from sknet.export._layers import network_outputs
from sknet.export._operators import INVERSE_LINKS, counterpart
from sknet.regressor import NNRegressor


class Output(NamedTuple):
    """One output of a model; ``n_columns`` is None if it has one dimension."""

    tensor: Tensor
    n_columns: int | None


def exported(estimator):
    """Return the features and the model of a fitted estimator that is to be exported.

    Raises
    ------
    TypeError
        If it is something else.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(estimator, NNClassifier | NNRegressor):
        raise TypeError(
            f"to_onnx takes a fitted NNClassifier or NNRegressor, got "
            f"{type(estimator).__name__}. For a pipeline or another estimator that holds one, "
            "call sknet.export.register() and then skl2onnx.to_onnx."
        )
    return fitted(estimator)


def write_predictions(features, model, inputs, dtype):
    """Write the operators of a model into the graph of its inputs.

    ``dtype`` is the precision of probabilities and numbers.

    Returns
    -------
    dict of str to Output
        "label" and "probabilities", or "variable".
    """
    x = encode(features, model, inputs)
    raw = network_outputs(model.network, model.params, x).cast(np.float64)
    return (_numbers if model.numeric_y else _classes)(model, raw, dtype)


def label_dtype(target):
    """Return the type of labels: text, or int64 for numbers and booleans."""
    return TEXT if isinstance(target.classes_[0], str) else np.dtype(np.int64)


def n_columns(model):
    """Return the columns of the probabilities, or of the predicted numbers."""
    return model.n_raw if model.numeric_y else model.target.classes_.size


def _classes(model, raw, dtype):
    target, loss = model.target, model.loss
    members = _by_member(model, raw)
    if target.kind == "binary":
        members = raw.graph.concat([-members, members], axis=-1)
    proba = _mean_over_members(model, _inverse_link(loss, members))
    if target.kind == "multilabel":
        is_on = proba.op("Greater", 0.5, dtype=bool)
        label = Output(is_on.cast(np.int64), n_columns(model))
    else:
        place = proba.op("ArgMax", dtype=np.int64, axis=-1, keepdims=0)
        label = Output(_label(target, place), None)
    # As predict_proba, which keeps rounding from making a certainty.
    limits = np.finfo(dtype)
    proba = proba.maximum(limits.tiny).minimum(1 - limits.epsneg).cast(dtype)
    return {"label": label, "probabilities": Output(proba, n_columns(model))}


def _label(target, place):
    """Return the labels at places among the classes."""
    dtype = label_dtype(target)
    if dtype != TEXT:
        return place.graph.constant(target.classes_, dtype).take(place, axis=0)
    return place.op(
        "LabelEncoder",
        dtype=TEXT,
        domain="ai.onnx.ml",
        keys_int64s=[*range(target.classes_.size)],
        values_strings=[*target.classes_],
    )


def _numbers(model, raw, dtype):
    target = model.target
    members = _inverse_link(model.loss, _by_member(model, raw))
    prediction = _mean_over_members(model, members * target.scale_ + target.mean_)
    return {"variable": Output(prediction.cast(dtype), n_columns(model))}


def _inverse_link(loss, raw):
    return counterpart(INVERSE_LINKS, loss)(loss, raw)


def _by_member(model, raw):
    """Return raw predictions as (rows, members, columns), or as they are of one member."""
    return raw if model.n_members == 1 else raw.reshape(0, model.n_members, model.n_raw)


def _mean_over_members(model, members):
    if model.n_members == 1:
        return members
    return members.sum(1, keepdims=False) * (1 / model.n_members)
