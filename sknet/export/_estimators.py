"""A fitted estimator as ONNX operators: from inputs to labels, probabilities and numbers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from sknet._base import fitted, kind_of
from sknet._input import Features
from sknet._model import ClassificationModel, Model, RegressionModel
from sknet.classifier import NNClassifier
from sknet.data.targets import ClassTarget
from sknet.export._encoding import TEXT, Input, encode
from sknet.export._graph import Tensor
from sknet.export._layers import network_outputs
from sknet.export._operators import INVERSE_LINKS, STDS, counterpart
from sknet.regressor import NNRegressor


class Output(NamedTuple):
    """One output of an ONNX model. ``n_columns`` is None if it has one dimension."""

    tensor: Tensor
    n_columns: int | None


def exported(estimator: Any) -> tuple[Features, Model]:
    """Return the features and the model of a fitted estimator that is to be exported.

    Raises
    ------
    TypeError
        If the object is no NNClassifier or NNRegressor.
    NotFittedError
        If the estimator is not fitted.
    """
    if not isinstance(estimator, NNClassifier | NNRegressor):
        raise TypeError(
            "to_onnx takes a fitted NNClassifier or NNRegressor, got "
            f"{kind_of(estimator)}. For a pipeline or another estimator that holds one, call "
            "sknet.export.register() and then skl2onnx.to_onnx."
        )
    features, model = fitted(estimator)
    return features, model.with_params(model.predictor.params)


def write_predictions(
    features: Features,
    model: Model,
    inputs: Sequence[Input],
    dtype: np.dtype[Any],
    *,
    with_std: bool = False,
) -> dict[str, Output]:
    """Write the operators of a model into the graph of the inputs.

    Parameters
    ----------
    features : Features
    model : Model
    inputs : sequence of Input
        The columns of the table, in the order of training.
    dtype : dtype
        The precision of probabilities and numbers.
    with_std : bool, default=False
        Whether to write the standard deviation of y as well, if the loss predicts it.

    Returns
    -------
    dict of str to Output
        "label" and "probabilities" of a classifier, or "variable" of a regressor, and "std".
    """
    x = encode(features, model, inputs)
    raw = network_outputs(model.network, model.params, x).cast(np.float64)
    if model.settings.promise is not None:
        raw = model.settings.promise.settled(raw)
    if isinstance(model, RegressionModel):
        return _numbers(model, raw, dtype, with_std and model.loss.link.predicts_std)
    return _classes(cast(ClassificationModel, model), raw, dtype)


def label_dtype(target: ClassTarget) -> np.dtype[Any]:
    """Return the dtype of labels: text, or int64 for numbers and booleans."""
    return TEXT if isinstance(target.classes_[0], str) else np.dtype(np.int64)


def n_columns(model: Model) -> int:
    """Return the number of columns of the probabilities, or of the predicted numbers."""
    return model.n_predicted if model.numeric_y else model.target.classes_.size


def _classes(
    model: ClassificationModel, raw: Tensor, dtype: np.dtype[Any]
) -> dict[str, Output]:
    """Return the labels and the probabilities."""
    target = model.target

    def predict(members: Tensor) -> Tensor:
        if target.kind == "binary":
            members = raw.graph.concat([-members, members], axis=-1)
        return _inverse_link(model, members)

    proba = _over_members(model, raw, predict)
    if target.kind == "multilabel":
        is_on = proba.op("Greater", 0.5, dtype=bool)
        label = Output(is_on.cast(np.int64), n_columns(model))
    else:
        place = proba.op("ArgMax", dtype=np.int64, axis=-1, keepdims=0)
        label = Output(_label(target, place), None)
    # predict_proba has the same limits: rounding must not make a certainty of a probability.
    limits = np.finfo(dtype)
    proba = proba.maximum(limits.tiny).minimum(1 - limits.epsneg).cast(dtype)
    return {"label": label, "probabilities": Output(proba, n_columns(model))}


def _label(target: ClassTarget, place: Tensor) -> Tensor:
    """Return the labels of the classes at the given positions."""
    dtype = label_dtype(target)
    if dtype != TEXT:
        return place.graph.constant(target.classes_, dtype).take(place, axis=0)
    numbers, texts = [*range(target.classes_.size)], [*target.classes_]
    return place.labels(TEXT, keys_int64s=numbers, values_strings=texts)


def _numbers(
    model: RegressionModel, raw: Tensor, dtype: np.dtype[Any], with_std: bool
) -> dict[str, Output]:
    """Return the predicted numbers in the units of y, and their standard deviation."""
    target = model.target

    def predict(members: Tensor) -> Tensor:
        return _inverse_link(model, members) * target.scale_ + target.mean_

    prediction = _over_members(model, raw, predict)
    outputs = {"variable": prediction}
    if with_std:
        outputs["std"] = _total_std(model, raw, prediction, predict)
    return {k: Output(v.cast(dtype), n_columns(model)) for k, v in outputs.items()}


def _total_std(
    model: RegressionModel, raw: Tensor, mean: Tensor, predict: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the standard deviation of the mixture of the members' distributions."""
    members = raw if model.n_members == 1 else _split(model, raw)
    link = model.loss.link
    within = counterpart("link", STDS, link)(link, members) * model.target.scale_
    if model.n_members == 1:
        return within
    error = predict(members) - mean.reshape(0, 1, n_columns(model))
    return _mean(model, within * within + error * error).op("Sqrt")


def _inverse_link(model: Model, raw: Tensor) -> Tensor:
    link = model.loss.link
    return counterpart("link", INVERSE_LINKS, link)(link, raw)


def _over_members(model: Model, raw: Tensor, predict: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the prediction of all members, as ``Members.predictions`` does."""
    if model.n_members == 1:
        return predict(raw)
    members = _split(model, raw)
    if model.members.before_link:
        return predict(_mean(model, members))
    return _mean(model, predict(members))


def _split(model: Model, raw: Tensor) -> Tensor:
    """Return raw predictions as (rows, members, columns)."""
    return raw.reshape(0, model.n_members, model.n_raw)


def _mean(model: Model, members: Tensor) -> Tensor:
    return members.sum(1, keepdims=False) * (1 / model.n_members)
