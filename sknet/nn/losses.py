"""Losses of raw predictions, with the gradient and the inverse link.

To add one: subclass :class:`Loss`, write ``pointwise``, and give it a line in
:data:`LOSSES`. Weights and means are the base class's business.
"""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from scipy import special

from sknet.nn.kernels import row_maxima, row_sums


@dataclass(frozen=True)
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
    #: Whether y may be shifted, and not only scaled, to standardise it.
    shifts_y: ClassVar[bool] = True
    #: The values that y may have, in words.
    domain: ClassVar[str] = "any number"

    @property
    def one_output(self):
        """Whether y must have one column."""
        return False

    def binary(self):
        """Return the loss of one column for two classes that stands for this one."""
        return self

    def in_domain(self, y):
        """Whether all of y are values that the loss is defined for."""
        return True

    def n_raw(self, n_outputs):
        """Return the number of raw predictions for ``n_outputs`` columns of y."""
        return n_outputs

    def pointwise(self, y, raw, gradient_out):
        """Return l per row; write dl/draw into ``gradient_out``, whose shape is raw's."""
        raise NotImplementedError

    def rescaling(self, old_scale, new_scale, shift):
        """Return the raw predictions' factor and shift that keep predictions in a new scale.

        Predictions p of y in units of ``old_scale`` become p old_scale / new_scale + shift.
        None if no affine map of raw predictions does that.
        """
        if self.out_activation == "identity" and self.n_raw(1) == 1:
            return old_scale / new_scale, shift
        return None

    def inverse_link(self, raw):
        """Turn raw predictions, the last axis of ``raw``, into predictions in y's space."""
        return raw

    def link(self, prediction):
        """Return raw predictions for predictions: what undoes the inverse link.

        It is asked for the mean of several members' predictions.
        """
        return prediction

    def inverse_link_backward(self, raw, delta):
        """Return the gradient of ``raw``, given that of ``inverse_link(raw)``."""
        return delta

    def link_backward(self, prediction, delta):
        """Return the gradient of ``prediction``, given that of ``link(prediction)``."""
        return delta

    def mean(self, y, raw, sample_weight, gradient_out):
        """Return sum_i w_i l_i / n; write its gradient into ``gradient_out``.

        The weights have mean one over all training rows, so that over random batches
        the expected value is the weighted mean of the whole.
        """
        value = self.pointwise(y, raw, gradient_out)
        n_rows = raw.shape[0]
        if sample_weight is None:
            gradient_out *= 1 / n_rows
            return float(np.add.reduce(value)) / n_rows
        gradient_out *= sample_weight[:, np.newaxis]
        gradient_out *= 1 / n_rows
        return float(sample_weight @ value) / n_rows


class SquaredError(Loss):
    """l = (raw - y)^2 / 2, identity link."""

    def pointwise(self, y, raw, gradient_out):
        np.subtract(raw, y, out=gradient_out)
        return 0.5 * row_sums(np.square(gradient_out))


class AbsoluteError(Loss):
    """l = abs(raw - y), identity link: estimates the median."""

    def pointwise(self, y, raw, gradient_out):
        error = raw - y
        np.sign(error, out=gradient_out)
        return np.abs(error, out=error).sum(axis=1)


@dataclass(frozen=True)
class Huber(Loss):
    """l = e^2 / 2 for abs(e) <= delta, delta (abs(e) - delta / 2) beyond, with e = raw - y.

    Huber (1964); ``delta`` is in units of the (standardised) y.
    """

    delta: float = 1.35

    def pointwise(self, y, raw, gradient_out):
        error = raw - y
        clipped = np.clip(error, -self.delta, self.delta, out=gradient_out)
        # With c the clipped error, both branches are c (e - c / 2).
        error -= 0.5 * clipped
        return np.einsum("ij,ij->i", clipped, error)


@dataclass(frozen=True)
class Pinball(Loss):
    """l = sum_k max(q_k e_k, (q_k - 1) e_k) with e_k = y - f_k: estimates quantiles q_k.

    Koenker and Bassett (1978). A single ``quantile`` has f = raw. A sorted sequence has one
    column each, f_1 = raw_1 and f_k = f_(k-1) + log(1 + exp(raw_k)), so that they never
    cross; y then has one column.
    """

    quantile: float | tuple[float, ...] = 0.5

    def __post_init__(self):
        if not isinstance(self.quantile, Real):
            object.__setattr__(self, "quantile", tuple(map(float, self.quantile)))

    @property
    def several(self):
        """Whether there is a column for each of several quantiles."""
        return not isinstance(self.quantile, Real)

    @property
    def one_output(self):
        return self.several

    def n_raw(self, n_outputs):
        return len(self.quantile) if self.several else n_outputs

    def pointwise(self, y, raw, gradient_out):
        level = np.asarray(self.quantile, dtype=raw.dtype)
        error = y - self.inverse_link(raw)
        value = np.maximum(level * error, (level - 1) * error).sum(axis=1)
        np.subtract(error < 0, level, out=gradient_out)
        gradient_out[...] = self.inverse_link_backward(raw, gradient_out)
        return value

    def inverse_link(self, raw):
        if not self.several:
            return raw
        steps = np.concatenate([raw[..., :1], np.logaddexp(0, raw[..., 1:])], axis=-1)
        return np.cumsum(steps, axis=-1, out=steps)

    def link(self, prediction):
        if not self.several:
            return prediction
        # log(exp(s) - 1) for the steps s, which rounding may have made zero.
        steps = np.maximum(np.diff(prediction, axis=-1), np.finfo(prediction.dtype).tiny)
        raw = steps + np.log(-np.expm1(-steps))
        return np.concatenate([prediction[..., :1], raw], axis=-1)

    def inverse_link_backward(self, raw, delta):
        if not self.several:
            return delta
        # Through the sums, then through log(1 + exp(raw)).
        delta = np.cumsum(delta[..., ::-1], axis=-1)[..., ::-1].copy()
        delta[..., 1:] *= special.expit(raw[..., 1:])
        return delta

    def link_backward(self, prediction, delta):
        if not self.several:
            return delta
        # d log(exp(s) - 1) / ds = 1 / (1 - exp(-s)), with s a difference of neighbours.
        steps = np.maximum(np.diff(prediction, axis=-1), np.finfo(prediction.dtype).tiny)
        by_step = delta[..., 1:] / -np.expm1(-steps)
        gradient = np.concatenate([delta[..., :1], by_step], axis=-1)
        gradient[..., :-1] -= by_step
        return gradient


class LogLink(Loss):
    """A loss of positive means, raw = log mean: y may be scaled, but not shifted."""

    out_activation = "exp"
    shifts_y = False

    def rescaling(self, old_scale, new_scale, shift):
        return np.ones_like(old_scale), np.log(old_scale / new_scale)

    def inverse_link(self, raw):
        return np.exp(raw)

    def link(self, prediction):
        return np.log(prediction)

    def inverse_link_backward(self, raw, delta):
        return delta * np.exp(raw)

    def link_backward(self, prediction, delta):
        return delta / prediction


class HalfPoisson(LogLink):
    """l = exp(raw) - y raw for y >= 0, log link: half the Poisson deviance up to a constant."""

    domain = "y >= 0"

    def in_domain(self, y):
        return bool((y >= 0).all())

    def pointwise(self, y, raw, gradient_out):
        np.exp(raw, out=gradient_out)
        value = (gradient_out - y * raw).sum(axis=1)
        gradient_out -= y
        return value


class HalfGamma(LogLink):
    """l = raw + y exp(-raw) for y > 0, log link: half the gamma deviance up to a constant."""

    domain = "y > 0"

    def in_domain(self, y):
        return bool((y > 0).all())

    def pointwise(self, y, raw, gradient_out):
        np.exp(np.negative(raw, out=gradient_out), out=gradient_out)
        gradient_out *= y
        value = (raw + gradient_out).sum(axis=1)
        np.subtract(1, gradient_out, out=gradient_out)
        return value


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

    def link(self, prediction):
        limits = np.finfo(prediction.dtype)
        return special.logit(np.clip(prediction, limits.tiny, 1 - limits.epsneg))

    def inverse_link_backward(self, raw, delta):
        return delta * special.expit(raw) * special.expit(-raw)

    def link_backward(self, prediction, delta):
        limits = np.finfo(prediction.dtype)
        p = np.clip(prediction, limits.tiny, 1 - limits.epsneg)
        return delta / (p * (1 - p))


class MultinomialLogLoss(Loss):
    """l = log sum_k exp(raw_k) - sum_k y_k raw_k, softmax link; the y_k of a row sum to 1."""

    task = "classification"
    out_activation = "softmax"

    def binary(self):
        return BinaryLogLoss()

    def pointwise(self, y, raw, gradient_out):
        # Shifted by the row's maximum, the largest exponential is 1.
        np.subtract(raw, row_maxima(raw)[:, np.newaxis], out=gradient_out)
        linear = np.einsum("ij,ij->i", y, gradient_out)
        np.exp(gradient_out, out=gradient_out)
        total = row_sums(gradient_out)
        gradient_out /= total[:, np.newaxis]
        gradient_out -= y
        return np.log(total) - linear

    def inverse_link(self, raw):
        return special.softmax(raw, axis=-1)

    def link(self, prediction):
        return np.log(np.maximum(prediction, np.finfo(prediction.dtype).tiny))

    def inverse_link_backward(self, raw, delta):
        p = special.softmax(raw, axis=-1)
        return p * (delta - (p * delta).sum(axis=-1, keepdims=True))

    def link_backward(self, prediction, delta):
        return delta / np.maximum(prediction, np.finfo(prediction.dtype).tiny)


#: Losses by name.
LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Pinball,
    "poisson": HalfPoisson,
    "gamma": HalfGamma,
    "log_loss": MultinomialLogLoss,
    "binary_log_loss": BinaryLogLoss,
}
