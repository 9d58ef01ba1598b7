"""A whole estimator as ONNX operators: from inputs to labels, probabilities and numbers."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

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


def check_exportable(estimator):
    """Raise for what is not a fitted estimator of sknet.

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
    check_is_fitted(estimator)


def write_predictions(estimator, inputs, dtype):
    """Write the operators of a fitted estimator into the graph of its inputs.

    ``dtype`` is the precision of probabilities and numbers.

    Returns
    -------
    dict of str to Output
        "label" and "probabilities", or "variable".
    """
    x = encode(estimator, inputs)
    raw = network_outputs(estimator._network, estimator._params, x).cast(np.float64)
    if isinstance(estimator, NNClassifier):
        return _classes(estimator, raw, dtype)
    return _numbers(estimator, raw, dtype)


def label_dtype(estimator):
    """Return the type of labels: text, or int64 for numbers and booleans."""
    return TEXT if isinstance(estimator.classes_[0], str) else np.dtype(np.int64)


def n_columns(estimator):
    """Return the columns of the probabilities, or of the predicted numbers."""
    if isinstance(estimator, NNClassifier):
        return estimator.classes_.size
    return estimator._n_raw


def _classes(estimator, raw, dtype):
    target, loss = estimator._target, estimator._loss
    members = _by_member(estimator, raw)
    if target.kind == "binary":
        members = raw.graph.concat([-members, members], axis=-1)
    proba = _mean_over_members(estimator, _inverse_link(loss, members))
    if target.kind == "multilabel":
        is_on = proba.op("Greater", 0.5, dtype=bool)
        label = Output(is_on.cast(np.int64), n_columns(estimator))
    else:
        place = proba.op("ArgMax", dtype=np.int64, axis=-1, keepdims=0)
        label = Output(_label(estimator, place), None)
    # As predict_proba, which keeps rounding from making a certainty.
    limits = np.finfo(dtype)
    proba = proba.maximum(limits.tiny).minimum(1 - limits.epsneg).cast(dtype)
    return {"label": label, "probabilities": Output(proba, n_columns(estimator))}


def _label(estimator, place):
    """Return the labels at places among the classes."""
    dtype = label_dtype(estimator)
    if dtype != TEXT:
        return place.graph.constant(estimator.classes_, dtype).take(place, axis=0)
    return place.op(
        "LabelEncoder",
        dtype=TEXT,
        domain="ai.onnx.ml",
        keys_int64s=[*range(estimator.classes_.size)],
        values_strings=[*estimator.classes_],
    )


def _numbers(estimator, raw, dtype):
    target = estimator._target
    members = _inverse_link(estimator._loss, _by_member(estimator, raw))
    prediction = _mean_over_members(estimator, members * target.scale_ + target.mean_)
    return {"variable": Output(prediction.cast(dtype), n_columns(estimator))}


def _inverse_link(loss, raw):
    return counterpart(INVERSE_LINKS, loss)(loss, raw)


def _by_member(estimator, raw):
    """Return raw predictions as (rows, members, columns), or as they are of one member."""
    n_members = estimator._network.n_members
    return raw if n_members == 1 else raw.reshape(0, n_members, estimator._n_raw)


def _mean_over_members(estimator, members):
    n_members = estimator._network.n_members
    if n_members == 1:
        return members
    return members.sum(1, keepdims=False) * (1 / n_members)
