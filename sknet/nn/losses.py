"""Losses of raw predictions, with the gradient and the inverse link.

To add one: subclass :class:`Loss`, write ``pointwise``, and give it a line in
:data:`LOSSES`. Weights and means are the base class's business.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special


class Loss:
    """l(y, raw): one value a row, summed over the columns of the raw predictions.

    ``y`` and ``raw`` are float arrays of shape (n_rows, n_outputs). The network's last
    layer is linear: what turns raw predictions into means or probabilities, the inverse
    link, belongs to the loss. A user's own subclass works without being registered.
    """

    #: The kind of target that the loss is for: "regression" or "classification".
    task: ClassVar[str] = "regression"
    #: The inverse link's name, as in scikit-learn's ``out_activation_``.
    out_activation: ClassVar[str] = "identity"

    def pointwise(self, y, raw, gradient_out):
        """Return l per row; write dl/draw into ``gradient_out``, whose shape is raw's."""
        raise NotImplementedError

    def inverse_link(self, raw):
        """Turn raw predictions into predictions in y's space."""
        return raw

    def mean(self, y, raw, sample_weight, gradient_out):
        """Return sum_i w_i l_i / n; write its gradient into ``gradient_out``.

        The weights have mean one over all training rows, so that over random batches
        the expected value is the weighted mean of the whole.
        """
        value = self.pointwise(y, raw, gradient_out)
        n_rows = raw.shape[0]
        if sample_weight is None:
            gradient_out *= 1 / n_rows
            return float(value.sum()) / n_rows
        gradient_out *= sample_weight[:, np.newaxis]
        gradient_out *= 1 / n_rows
        return float(sample_weight @ value) / n_rows


@dataclass(frozen=True)
class SquaredError(Loss):
    """l = (raw - y)^2 / 2, identity link."""

    def pointwise(self, y, raw, gradient_out):
        np.subtract(raw, y, out=gradient_out)
        return 0.5 * np.einsum("ij,ij->i", gradient_out, gradient_out)


@dataclass(frozen=True)
class BinaryLogLoss(Loss):
    """l = log(1 + exp(raw)) - y raw, logit link, summed over columns.

    One column is a binary target, several are the labels of a multi-label one; y in [0, 1].
    """

    task = "classification"
    out_activation = "logistic"

    def pointwise(self, y, raw, gradient_out):
        # log(1 + exp(raw)) = max(raw, 0) + log1p(exp(-|raw|)): no overflow.
        np.abs(raw, out=gradient_out)
        np.exp(np.negative(gradient_out, out=gradient_out), out=gradient_out)
        np.log1p(gradient_out, out=gradient_out)
        gradient_out += np.maximum(raw, 0)
        gradient_out -= y * raw
        value = gradient_out.sum(axis=1)
        # s(raw) - y through tanh: see activations.logistic.
        np.tanh(np.multiply(raw, 0.5, out=gradient_out), out=gradient_out)
        gradient_out *= 0.5
        gradient_out += 0.5
        gradient_out -= y
        return value

    def inverse_link(self, raw):
        return special.expit(raw)


@dataclass(frozen=True)
class MultinomialLogLoss(Loss):
    """l = log sum_k exp(raw_k) - sum_k y_k raw_k, softmax link; the y_k of a row sum to 1."""

    task = "classification"
    out_activation = "softmax"

    def pointwise(self, y, raw, gradient_out):
        # Shifted by the row's maximum, the largest exponential is 1.
        np.subtract(raw, raw.max(axis=1, keepdims=True), out=gradient_out)
        linear = np.einsum("ij,ij->i", y, gradient_out)
        np.exp(gradient_out, out=gradient_out)
        total = gradient_out.sum(axis=1)
        gradient_out /= total[:, np.newaxis]
        gradient_out -= y
        return np.log(total) - linear

    def inverse_link(self, raw):
        return special.softmax(raw, axis=1)


LOSSES = {
    "squared_error": SquaredError,
    "log_loss": MultinomialLogLoss,
    "binary_log_loss": BinaryLogLoss,
}
