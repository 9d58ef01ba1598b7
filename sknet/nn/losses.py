"""Losses of raw predictions, with the gradient and the inverse link.

To add one, derive a class from :class:`Loss`, write ``pointwise``, and add a line to
:data:`LOSSES`; ``docs/extending.md`` lists the other places. The base class applies weights
and takes the mean.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import special

from sknet.nn.kernels import row_maxima, row_sums
from sknet.nn.rules import (
    CLOSED_UNIT_INTERVAL,
    OPEN_UNIT_INTERVAL,
    POSITIVE,
    Constraint,
    Interval,
    Rule,
)
from sknet.nn.types import Array


@dataclass(frozen=True)
class Loss(Rule):
    """A loss function l(y, raw), whose value for a row is a sum over the raw predictions.

    The last layer of the network is linear. The inverse link, a function that turns raw
    predictions into means or probabilities, belongs to the loss. A user's own subclass works
    without being registered.
    """

    #: The kind of estimator that the loss is for: "regression" or "classification".
    task: ClassVar[str] = "regression"
    #: The inverse link's name, as in scikit-learn's ``out_activation_``.
    out_activation: ClassVar[str] = "identity"
    #: Whether standardising may shift y. If not, y is only scaled.
    shifts_y: ClassVar[bool] = True
    #: Whether the probabilities of several columns sum to one, as those of classes must. Those
    #: of the labels of a multi-label target do not.
    exclusive: ClassVar[bool] = True
    #: Whether rows that are held out can correct how certain the predictions are: the scale of
    #: logits, or that of a standard deviation.
    has_temperature: ClassVar[bool] = False
    #: The limits of the logarithm of that correction, a factor of the certainty. A classifier
    #: only ever becomes less certain: see ``sknet.nn.temperature``.
    log_certainty: ClassVar[tuple[float, float]] = (-2.0, 0.0)
    #: Whether the loss estimates a standard deviation of y for each row.
    predicts_std: ClassVar[bool] = False

    @property
    def domain(self) -> str:
        """The values that y may have, in words."""
        return "any number"

    @property
    def estimates(self) -> str:
        """What a prediction estimates, in the words of a model card; empty for no words."""
        return ""

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The levels of the quantiles of y that predictions estimate; empty if they do not.

        With them, ``NNRegressor.score`` is D2 of the pinball loss.
        """
        return ()

    @property
    def predicts_quantiles(self) -> bool:
        """Whether a prediction has a column for each of ``quantiles``."""
        return False

    @property
    def identity_link(self) -> bool:
        """Whether predictions are the raw predictions themselves.

        By default it is whether the inverse link is that of this class.
        """
        return type(self).inverse_link is Loss.inverse_link

    @property
    def rising(self) -> bool:
        """Whether no prediction falls when a raw prediction rises, as monotone networks need.

        By default it is whether the inverse link is the identity.
        """
        return self.identity_link

    @property
    def one_output(self) -> bool:
        """Whether y must have one column."""
        return False

    def binary(self) -> "Loss":
        """Return the loss that replaces this one for two classes and for multi-label targets.

        It has one raw prediction for two classes, or one for each label. By default it is this
        loss itself.
        """
        return self

    def in_domain(self, y: Array) -> bool:
        """Whether all of y are values that the loss is defined for."""
        return True

    def n_raw(self, n_outputs: int) -> int:
        """Return the number of raw predictions for ``n_outputs`` columns of y."""
        return n_outputs

    def _predicts_as_y(self, n_outputs: int) -> bool:
        """Whether raw predictions are numbers as y is, which a subclass may have changed."""
        return self.identity_link and self.n_raw(n_outputs) == n_outputs

    def n_predicted(self, n_outputs: int) -> int:
        """Return the number of columns of ``inverse_link`` for ``n_outputs`` columns of y."""
        return self.n_raw(n_outputs)

    def unpromised(self, n_raw: int) -> tuple[int, ...]:
        """Return the positions of raw predictions about which constraints promise nothing.

        ``inverse_link`` does not read them. By default there are none.
        """
        return ()

    def initial_outputs(self, mean: Array, std: Array) -> tuple[Array, Array] | None:
        """Return how to change the raw predictions of a network that is not trained yet.

        Parameters
        ----------
        mean, std : ndarray of shape (n_outputs,)
            The mean and the standard deviation of the standardised y.

        Returns
        -------
        pair of ndarray of shape (n_raw,), or None
            A factor and a shift of the raw predictions. None, the default, leaves them as they
            are.
        """
        return None

    def constant(self, y: Array) -> Array:
        """Return the raw predictions, the same for all rows, that predictions are judged by.

        By default they are zero, which stands for the mean of the scaled y and for classes of
        equal probability. The best ones for a few rows, which may be of one class or all zero,
        would be infinite. A loss whose predictions are numbers as y is returns those of the
        least mean loss, whatever the units of y.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_outputs)

        Returns
        -------
        ndarray of shape (n_raw,)
        """
        n_outputs = y.shape[1]
        if self._predicts_as_y(n_outputs):
            return self._best_number(y)
        return np.zeros(self.n_raw(n_outputs), y.dtype)

    def _best_number(self, y: Array) -> Array:
        """Return the prediction of the least mean loss, if predictions are numbers as y is."""
        return np.zeros(y.shape[1], y.dtype)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        """Return l of each row; write dl/draw into ``gradient_out``.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_outputs)
        raw : ndarray of shape (n_rows, n_raw)
        gradient_out : ndarray of shape (n_rows, n_raw)

        Returns
        -------
        ndarray of shape (n_rows,)
            Of the dtype of ``raw``.
        """
        raise NotImplementedError

    def weigh_steps(self, raw: Array, gradient: Array) -> None:
        """Weight the gradients of rows in place, for the steps of a stochastic solver.

        By default they are left as ``pointwise`` wrote them, up to a factor. lbfgs needs these,
        which are the derivatives of the values.

        Parameters
        ----------
        raw, gradient : ndarray of shape (n_rows, n_raw)
        """

    def rescaling(
        self, old_scale: Array, new_scale: Array, shift: Array
    ) -> tuple[Array, Array] | None:
        """Return how to change raw predictions when the scale of the standardised y changes.

        A prediction p in units of ``old_scale`` is p old_scale / new_scale + shift in the new
        units.

        Parameters
        ----------
        old_scale, new_scale, shift : ndarray of shape (n_outputs,)

        Returns
        -------
        pair of ndarray of shape (n_raw,), or None
            The factor and the shift of raw predictions that have this effect. None if there
            are none.
        """
        if self._predicts_as_y(1):
            return old_scale / new_scale, shift
        return None

    def inverse_link(self, raw: Array) -> Array:
        """Return predictions of y, such as means or probabilities, for raw predictions.

        The last axis of ``raw`` has the raw predictions of a row.
        """
        return raw

    def link(self, prediction: Array) -> Array:
        """Return raw predictions for predictions: the inverse function of ``inverse_link``.

        By default :meth:`mean_of_members` needs it.
        """
        return prediction

    def mean_of_members(self, members: Array) -> Array:
        """Return the raw predictions that stand for the mean of the members' predictions.

        Parameters
        ----------
        members : ndarray of shape (n_rows, n_members, n_raw)
            Raw predictions.

        Returns
        -------
        ndarray of shape (n_rows, n_raw)
        """
        return self.link(self.inverse_link(members).mean(axis=1))

    def std(self, raw: Array) -> Array:
        """Return the standard deviations of the standardised y, if ``predicts_std``.

        The last axis of the result has an entry for each output.
        """
        raise NotImplementedError(f"{type(self).__name__} estimates no standard deviation.")

    def with_certainty(self, factor: float, n_raw: int) -> tuple[Array, Array]:
        """Return how to change raw predictions to make them ``factor`` times as certain.

        Returns
        -------
        pair of ndarray of shape (n_raw,)
            A factor and a shift of the raw predictions. By default these are logits, which are
            multiplied.
        """
        return np.full(n_raw, factor), np.zeros(n_raw)

    def inverse_link_backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient of ``raw``, given the gradient of ``inverse_link(raw)``."""
        return delta

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        """Return the gradient of ``prediction``, given the gradient of ``link(prediction)``."""
        return delta

    def mean(
        self, y: Array, raw: Array, sample_weight: Array | None, gradient_out: Array
    ) -> float:
        """Return sum_i w_i l_i / n; write its gradient into ``gradient_out``.

        The weights have mean one over all training rows, so that the expected value over
        random batches is the weighted mean over all training rows.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_outputs)
        raw, gradient_out : ndarray of shape (n_rows, n_raw)
        sample_weight : ndarray of shape (n_rows,) or None
            None stands for weights of one.
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

    estimates = "the mean of y"

    def _best_number(self, y: Array) -> Array:
        return y.mean(axis=0)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        np.subtract(raw, y, out=gradient_out)
        return 0.5 * row_sums(np.square(gradient_out))


class AbsoluteError(Loss):
    """l = abs(raw - y), identity link: estimates the median."""

    estimates = "the median of y"

    def _best_number(self, y: Array) -> Array:
        return np.median(y, axis=0)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        error = raw - y
        np.sign(error, out=gradient_out)
        return np.abs(error, out=error).sum(axis=1)


@dataclass(frozen=True)
class Huber(Loss):
    """l = e^2 / 2 for abs(e) <= delta, delta (abs(e) - delta / 2) beyond, with e = raw - y.

    Huber (1964).

    Parameters
    ----------
    delta : float > 0, default=1.35
        The threshold, in units of the standardised y.
    """

    estimates = "a mean of y that far values change little"

    delta: Annotated[float, POSITIVE] = 1.35

    def _best_number(self, y: Array) -> Array:
        # The sum of the clipped errors is linear between these points, and zero at the best.
        points = np.sort(np.concatenate([y - self.delta, y + self.delta]), axis=0)
        errors = np.clip(points[:, np.newaxis] - y, -self.delta, self.delta).sum(axis=1)
        best = [np.interp(0, e, p) for e, p in zip(errors.T, points.T, strict=True)]
        return np.array(best, y.dtype)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        error = raw - y
        clipped = np.clip(error, -self.delta, self.delta, out=gradient_out)
        # With c the clipped error, both branches are c (e - c / 2).
        error -= 0.5 * clipped
        return np.einsum("ij,ij->i", clipped, error)


def _are_quantiles(value: Any) -> bool:
    """Return whether a value is a number in (0, 1), or an increasing sequence of them."""
    levels = list(value) if np.iterable(value) else [value]
    return bool(
        levels
        and all(isinstance(q, Real) and OPEN_UNIT_INTERVAL.contains(q) for q in levels)
        and all(low < high for low, high in pairwise(levels))
    )


QUANTILES = Constraint(
    "a number in (0, 1) or an increasing sequence of these",
    (Real, Iterable),
    _are_quantiles,
)


@dataclass(frozen=True)
class Pinball(Loss):
    """l = sum_k max(q_k e_k, (q_k - 1) e_k) with e_k = y - f_k: estimates quantiles q_k.

    Koenker and Bassett (1978).

    Parameters
    ----------
    quantile : float in (0, 1), or increasing sequence of them, default=0.5
        With a number, f = raw. With a sequence, y has one column and there is one raw
        prediction for each quantile: f_1 = raw_1 and f_k = f_(k-1) + log(1 + exp(raw_k)), so
        that predicted quantiles never cross.
    """

    quantile: Annotated[float | tuple[float, ...], QUANTILES] = 0.5
    rising: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.quantile
        if not isinstance(given, Real):
            object.__setattr__(self, "quantile", tuple(map(float, given)))

    @property
    def quantiles(self) -> tuple[float, ...]:
        return tuple(np.atleast_1d(self.quantile).tolist())

    @property
    def predicts_quantiles(self) -> bool:
        return not isinstance(self.quantile, Real)

    @property
    def identity_link(self) -> bool:
        return np.size(self.quantile) == 1

    @property
    def estimates(self) -> str:
        if not self.predicts_quantiles:
            return f"the quantile {self.quantile} of y"
        return f"the quantiles {', '.join(map(str, np.ravel(self.quantile)))} of y"

    @property
    def one_output(self) -> bool:
        return self.predicts_quantiles

    def n_raw(self, n_outputs: int) -> int:
        return np.size(self.quantile) if self.predicts_quantiles else n_outputs

    def constant(self, y: Array) -> Array:
        found = np.quantile(y, self.quantile, axis=0, method="inverted_cdf")
        return self.link(found[..., 0]) if self.predicts_quantiles else found

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        level = np.asarray(self.quantile, dtype=raw.dtype)
        error = y - self.inverse_link(raw)
        value = np.maximum(level * error, (level - 1) * error).sum(axis=1)
        np.subtract(error < 0, level, out=gradient_out)
        gradient_out[...] = self.inverse_link_backward(raw, gradient_out)
        return value

    def inverse_link(self, raw: Array) -> Array:
        if not self.predicts_quantiles:
            return raw
        steps = np.concatenate([raw[..., :1], np.logaddexp(0, raw[..., 1:])], axis=-1)
        return np.cumsum(steps, axis=-1, out=steps)

    def link(self, prediction: Array) -> Array:
        if not self.predicts_quantiles:
            return prediction
        # log(exp(s) - 1) for the steps s. Rounding may have made a step zero.
        steps = np.maximum(np.diff(prediction, axis=-1), np.finfo(prediction.dtype).tiny)
        raw = steps + np.log(-np.expm1(-steps))
        return np.concatenate([prediction[..., :1], raw], axis=-1)

    def inverse_link_backward(self, raw: Array, delta: Array) -> Array:
        if not self.predicts_quantiles:
            return delta
        # Through the sums, then through log(1 + exp(raw)).
        delta = np.cumsum(delta[..., ::-1], axis=-1)[..., ::-1].copy()
        delta[..., 1:] *= special.expit(raw[..., 1:])
        return delta

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        if not self.predicts_quantiles:
            return delta
        # d log(exp(s) - 1) / ds = 1 / (1 - exp(-s)), with s a difference of neighbours.
        steps = np.maximum(np.diff(prediction, axis=-1), np.finfo(prediction.dtype).tiny)
        by_step = delta[..., 1:] / -np.expm1(-steps)
        gradient = np.concatenate([delta[..., :1], by_step], axis=-1)
        gradient[..., :-1] -= by_step
        return gradient


class LogLink(Loss):
    """A loss of positive means, with raw = log mean. y may be scaled, but not shifted."""

    out_activation = "exp"
    estimates = "the mean of y"
    shifts_y = False
    rising = True

    def rescaling(
        self, old_scale: Array, new_scale: Array, shift: Array
    ) -> tuple[Array, Array] | None:
        return np.ones_like(old_scale), np.log(old_scale / new_scale)

    def inverse_link(self, raw: Array) -> Array:
        return np.exp(raw)

    def link(self, prediction: Array) -> Array:
        return np.log(prediction)

    def inverse_link_backward(self, raw: Array, delta: Array) -> Array:
        return delta * np.exp(raw)

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        return delta / prediction


class HalfPoisson(LogLink):
    """l = exp(raw) - y raw for y >= 0, log link: half the Poisson deviance up to a constant."""

    domain = "y >= 0"

    def in_domain(self, y: Array) -> bool:
        return bool((y >= 0).all())

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        np.exp(raw, out=gradient_out)
        value = (gradient_out - y * raw).sum(axis=1)
        gradient_out -= y
        return value


class HalfGamma(LogLink):
    """l = raw + y exp(-raw) for y > 0, log link: half the gamma deviance up to a constant."""

    domain = "y > 0"

    def in_domain(self, y: Array) -> bool:
        return bool((y > 0).all())

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        np.exp(np.negative(raw, out=gradient_out), out=gradient_out)
        gradient_out *= y
        value = (raw + gradient_out).sum(axis=1)
        np.subtract(1, gradient_out, out=gradient_out)
        return value


TWEEDIE_POWERS = Interval(Real, 1, 2, closed="both")


@dataclass(frozen=True)
class HalfTweedie(LogLink):
    """l = h(2 - p) - y h(1 - p) with h(a) = (exp(a raw) - 1) / a + a and h(0) = raw, log link.

    It is half the Tweedie deviance of power p, up to a constant: Jorgensen, "Exponential
    Dispersion Models" (1987). Between the limits it suits zeros and positive amounts, such as
    the sum of a random number of random amounts. At the limits it equals :class:`HalfPoisson`
    and :class:`HalfGamma`.

    Parameters
    ----------
    power : float in [1, 2], default=1.5
        The power p of the mean to which the variance of y is proportional. y >= 0 for p < 2,
        and y > 0 for p = 2.
    """

    power: Annotated[float, TWEEDIE_POWERS] = 1.5

    @property
    def domain(self) -> str:
        return "y > 0" if self.power == 2 else "y >= 0"

    def in_domain(self, y: Array) -> bool:
        return bool((y > 0 if self.power == 2 else y >= 0).all())

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        power = float(self.power)  # A scalar of NumPy would make float64 of float32.
        of_mean, gradient = _growth(2 - power, raw)
        of_y, gradient_of_y = _growth(1 - power, raw)
        np.subtract(gradient, y * gradient_of_y, out=gradient_out)
        return (of_mean - y * of_y).sum(axis=1)


def _growth(rate: float, raw: Array) -> tuple[Array, Array]:
    """Return h(a) = (exp(a raw) - 1) / a + a for a rate a, and its derivative exp(a raw)."""
    if rate == 0:
        return raw, np.ones_like(raw)
    grown = np.expm1(rate * raw)
    return grown / rate + rate, grown + 1


#: The limits of a predicted log standard deviation, in the units of the standardised y.
LOG_STD_LIMITS = (-20.0, 20.0)


@dataclass(frozen=True)
class NormalLikelihood(Loss):
    """l = log s + ((y - m)^2 + e^2) / (2 s^2) with m = raw_1 and s = exp(raw_2).

    It is the negative log likelihood of a normal distribution whose mean m and standard
    deviation s depend on the row, up to a constant: Nix and Weigend, "Estimating the mean and
    variance of the target probability distribution" (1994). Each output has two raw
    predictions, side by side. ``inverse_link`` returns the means.

    Parameters
    ----------
    noise : float > 0, default=1e-3
        The standard deviation e, in units of the standardised y, of noise that y is taken to
        have besides: l is the mean over this noise. Without it, the likelihood of rows that are
        predicted exactly has no limit.
    beta : float in [0, 1], default=0.5
        A stochastic solver multiplies the gradient of a row by s^(2 beta), as a constant.
        Without this, rows of small s would have most of the say in the mean, and the others
        would stay badly predicted: Seitzer, Tavakoli, Antic and Martius, "On the Pitfalls of
        Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks" (2022), who
        call it the beta-NLL.
    """

    estimates = "the mean of y"
    has_temperature = True
    log_certainty = (-2.0, 2.0)
    predicts_std = True
    rising = True

    noise: Annotated[float, POSITIVE] = 1e-3
    beta: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.5

    def n_raw(self, n_outputs: int) -> int:
        return 2 * n_outputs

    def n_predicted(self, n_outputs: int) -> int:
        return n_outputs

    def unpromised(self, n_raw: int) -> tuple[int, ...]:
        return tuple(range(1, n_raw, 2))

    def initial_outputs(self, mean: Array, std: Array) -> tuple[Array, Array]:
        """Return the factor 0 and a shift, so that training starts at the distribution of y.

        The standard deviation of a constant y, which is the unit of its scale, starts at one.
        """
        log_std = np.log(np.where(std > 0, std, 1.0))
        return np.zeros(2 * mean.size), _side_by_side(mean, log_std)

    def constant(self, y: Array) -> Array:
        log_std = np.log(np.hypot(y.std(axis=0), float(self.noise)))
        return _side_by_side(y.mean(axis=0), log_std)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        mean, log_std = raw[:, ::2], raw[:, 1::2]
        # Below this bound, which lies below the log of the noise, the precision 1 / s^2 goes on
        # along its tangent, so that it does not overflow.
        bound = max(math.log(self.noise) - 2, LOG_STD_LIMITS[0])
        slope = np.exp(-2 * np.maximum(log_std, bound))
        precision = slope * (1 - 2 * np.minimum(log_std - bound, 0))
        error = mean - y
        square = np.square(error)
        square += float(self.noise) ** 2
        np.multiply(error, precision, out=gradient_out[:, ::2])
        np.subtract(1, square * slope, out=gradient_out[:, 1::2])
        return (log_std + 0.5 * (square * precision)).sum(axis=1)

    def weigh_steps(self, raw: Array, gradient: Array) -> None:
        log_std = np.clip(raw[:, 1::2], *LOG_STD_LIMITS)
        weight = np.exp(2 * float(self.beta) * log_std)
        gradient[:, ::2] *= weight
        gradient[:, 1::2] *= weight

    def rescaling(
        self, old_scale: Array, new_scale: Array, shift: Array
    ) -> tuple[Array, Array] | None:
        ratio = old_scale / new_scale
        return _side_by_side(ratio, np.ones_like(ratio)), _side_by_side(shift, np.log(ratio))

    def inverse_link(self, raw: Array) -> Array:
        return raw[..., ::2]

    def link(self, prediction: Array) -> Array:
        raise NotImplementedError("A mean does not tell the standard deviation.")

    def inverse_link_backward(self, raw: Array, delta: Array) -> Array:
        gradient = np.zeros_like(raw)
        gradient[..., ::2] = delta
        return gradient

    def std(self, raw: Array) -> Array:
        return np.exp(np.clip(raw[..., 1::2], *LOG_STD_LIMITS))

    def mean_of_members(self, members: Array) -> Array:
        """Return the normal distribution that has the moments of the members' mixture."""
        means = members[..., ::2]
        std = total_std(means, self.std(members))
        return _side_by_side(means.mean(axis=1), np.log(std))

    def with_certainty(self, factor: float, n_raw: int) -> tuple[Array, Array]:
        n_outputs = n_raw // 2
        shift = np.full(n_outputs, -math.log(factor))
        return np.ones(n_raw), _side_by_side(np.zeros(n_outputs), shift)


def _side_by_side(first: Array, second: Array) -> Array:
    """Return an array whose last axis has the entries of both in turn."""
    return np.stack([first, second], axis=-1).reshape(*first.shape[:-1], -1)


def spread(values: Array) -> Array:
    """Return the standard deviation of the members' values, the second of three axes."""
    return _root_mean_square(values - values.mean(axis=1, keepdims=True))


def _root_mean_square(values: Array) -> Array:
    """Return the root of the mean square over the second axis, in any units of the values.

    The squares of very small numbers would vanish. The unit is a power of two, so that nothing
    is rounded.
    """
    _, exponent = np.frexp(np.abs(values).max(axis=1))
    in_units = np.ldexp(values, -exponent[:, np.newaxis])
    return np.ldexp(np.sqrt(np.square(in_units).mean(axis=1)), exponent)


def total_std(means: Array, stds: Array) -> Array:
    """Return the standard deviation of a mixture of the members' distributions.

    By the law of total variance, the variance is the mean of the members' variances plus the
    variance of their means.

    Parameters
    ----------
    means, stds : ndarray of shape (n_rows, n_members, n_outputs)

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
    """
    return np.hypot(_root_mean_square(stds), spread(means))


class BinaryLogLoss(Loss):
    """l = log(1 + exp(raw)) - y raw, logit link, summed over columns.

    One column is a binary target, several are the labels of a multi-label one; y in [0, 1].
    """

    task = "classification"
    estimates = "the probability of a class or label"
    has_temperature = True
    out_activation = "logistic"
    exclusive = False
    rising = True

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
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

    def inverse_link(self, raw: Array) -> Array:
        return special.expit(raw)

    def link(self, prediction: Array) -> Array:
        limits = np.finfo(prediction.dtype)
        return special.logit(np.clip(prediction, limits.tiny, 1 - limits.epsneg))

    def inverse_link_backward(self, raw: Array, delta: Array) -> Array:
        return delta * special.expit(raw) * special.expit(-raw)

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        limits = np.finfo(prediction.dtype)
        p = np.clip(prediction, limits.tiny, 1 - limits.epsneg)
        return delta / (p * (1 - p))


class MultinomialLogLoss(Loss):
    """l = log sum_k exp(raw_k) - sum_k y_k raw_k, softmax link; the y_k of a row sum to 1."""

    task = "classification"
    estimates = "the probability of each class"
    has_temperature = True
    out_activation = "softmax"

    def binary(self) -> Loss:
        return BinaryLogLoss()

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        # Shifted by the row's maximum, the largest exponential is 1.
        np.subtract(raw, row_maxima(raw)[:, np.newaxis], out=gradient_out)
        linear = np.einsum("ij,ij->i", y, gradient_out)
        np.exp(gradient_out, out=gradient_out)
        total = row_sums(gradient_out)
        gradient_out /= total[:, np.newaxis]
        gradient_out -= y
        return np.log(total) - linear

    def inverse_link(self, raw: Array) -> Array:
        return special.softmax(raw, axis=-1)

    def link(self, prediction: Array) -> Array:
        return np.log(np.maximum(prediction, np.finfo(prediction.dtype).tiny))

    def inverse_link_backward(self, raw: Array, delta: Array) -> Array:
        p = special.softmax(raw, axis=-1)
        return p * (delta - (p * delta).sum(axis=-1, keepdims=True))

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        return delta / np.maximum(prediction, np.finfo(prediction.dtype).tiny)


#: Losses by name.
LOSSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Pinball,
    "poisson": HalfPoisson,
    "gamma": HalfGamma,
    "tweedie": HalfTweedie,
    "normal": NormalLikelihood,
    "log_loss": MultinomialLogLoss,
    "binary_log_loss": BinaryLogLoss,
}
