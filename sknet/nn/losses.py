"""Losses of raw predictions, with their gradients.

To add one, derive a class from :class:`Loss`, write ``pointwise``, and add a line to
:data:`LOSSES`; ``docs/new_rules.md`` lists the other places to change. The base class applies
weights and takes the mean.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sknet.nn import links
from sknet.nn.activations import logistic
from sknet.nn.cumulative import CUMULATIVE_LINK, CUMULATIVE_LINKS, DISTINCT
from sknet.nn.distributions import Distribution, Gamma, PiecewiseNormal, Poisson, Tweedie
from sknet.nn.kernels import Array, row_maxima, row_sums
from sknet.nn.links import LOG_STD_LIMITS, Change, Link, side_by_side
from sknet.nn.rules import CLOSED_UNIT_INTERVAL, POSITIVE, QUANTILES, Interval, Rule


@dataclass(frozen=True)
class Loss(Rule, ABC):
    """A loss function l(y, raw), with one value for each row.

    The last layer of the network is linear. The inverse of the loss's link turns raw
    predictions into means or probabilities. A user's own subclass works without being
    registered.
    """

    #: The kind of estimator that the loss is for: "regression" or "classification".
    task: ClassVar[str] = "regression"
    #: Whether standardization may shift y. If not, y is only scaled.
    shifts_y: ClassVar[bool] = True
    #: Whether outliers count less in the scale of y, since their gradients are bounded as well.
    robust: ClassVar[bool] = False
    #: Whether held-out rows can correct how certain the predictions are: the scale of logits,
    #: or that of a standard deviation.
    has_temperature: ClassVar[bool] = False
    #: Whether no value of the loss is negative. If one may be, the dropout rate does not adapt.
    not_negative: ClassVar[bool] = True
    #: Whether the loss of a small error grows with its square, and not with its magnitude.
    quadratic: ClassVar[bool] = True
    #: Whether the distribution of y has a dispersion, which is estimated after training: from
    #: held-out rows or, if there are none, from training rows.
    has_dispersion: ClassVar[bool] = False

    @property
    def link(self) -> Link:
        """The link, whose inverse turns raw predictions into predictions of y."""
        return links.Identity()

    @property
    def domain(self) -> str:
        """The values that y may have, in words."""
        return "any number"

    @property
    def estimates(self) -> str:
        """What a prediction estimates, in the words of a model card, or an empty string."""
        return ""

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The levels of the quantiles of y that predictions estimate; empty if there are none.

        If there are any, ``NNRegressor.score`` is D2 of the pinball loss.
        """
        return ()

    @property
    def predicts_quantiles(self) -> bool:
        """Whether a prediction has a column for each of ``quantiles``."""
        return False

    @property
    def predicts_distribution(self) -> bool:
        """Whether :meth:`distribution` turns predictions into distributions of y.

        By default, this is so if a subclass overrides that method.
        """
        return type(self).distribution is not Loss.distribution

    def distribution(self, prediction: Array, *std: Array) -> Distribution:
        """Return the distribution of y in each row, if ``predicts_distribution``.

        Parameters
        ----------
        prediction : ndarray of shape (n_rows, n_columns)
            Predictions in the units of y.
        std : ndarray of shape (n_rows, n_outputs)
            The standard deviations of y, if the link predicts them.

        Returns
        -------
        Distribution
            The distribution before calibration. If it has a dispersion, this is one.
        """
        raise NotImplementedError(f"{type(self).__name__} estimates no distribution.")

    def binary(self) -> "Loss":
        """Return the loss that replaces this one for two classes and for multi-label targets.

        It has one raw prediction for two classes, or one for each label. By default, it is this
        loss itself.
        """
        return self

    def of_classes(self, classes: NDArray[Any], declared: Sequence[Any]) -> "Loss":
        """Return the loss for a y that has one of these classes in each row.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            The sorted classes.
        declared : sequence
            All classes in the order that the dtype of y declares; empty if it declares none.

        Raises
        ------
        ValueError
            If the loss needs an order of the classes, and there is none.
        """
        return self.binary() if classes.size == 2 else self

    def in_domain(self, y: Array) -> bool:
        """Whether the loss is defined for all values of y."""
        return True

    def of_spread(self, spread: tuple[float, ...]) -> "Loss":
        """Return the loss for a y whose outputs vary by these shares of their means.

        By default, it is this loss itself.
        """
        return self

    def initial_outputs(self, mean: Array, std: Array) -> Change | None:
        """Return how to change the raw predictions of a network that is not trained yet.

        Parameters
        ----------
        mean, std : ndarray of shape (n_outputs,)
            The mean and the standard deviation of the standardized y.

        Returns
        -------
        pair of ndarray of shape (n_raw,), or None
            A factor and a shift of the raw predictions. None, the default, leaves them
            unchanged.
        """
        return None

    def constant(self, y: Array) -> Array:
        """Return constant raw predictions, with which those of a network are compared.

        By default, they are zero, which stands for the mean of the scaled y and for classes of
        equal probability. The best constants for a few rows could be infinite, if all rows have
        the same class or are zero. The losses in ``LOSSES`` with the identity link return the
        constants with the smallest mean loss, whatever the units of y.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_outputs)

        Returns
        -------
        ndarray of shape (n_raw,)
        """
        if isinstance(self.link, links.Identity):
            return self._best_number(y)
        return np.zeros(self.link.n_raw(y.shape[1]), y.dtype)

    def _best_number(self, y: Array) -> Array:
        """Return the constant with the least mean loss for an identity link; 0 by default."""
        return np.zeros(y.shape[1], y.dtype)

    def baseline(self, mean: Array) -> Array:
        """Return the raw predictions of a network that has learned no more than a mean.

        By default, they are zero, which stands for the mean of the scaled y.

        Parameters
        ----------
        mean : ndarray of shape (n_outputs,)
            The mean of the scaled y; for classes, the frequency of each.

        Returns
        -------
        ndarray of shape (n_raw,)
        """
        return np.zeros(self.link.n_raw(mean.size), mean.dtype)

    def least(self, y: Array) -> Array:
        """Return the loss of each row for the best predictions of y; by default, zeros.

        It is positive for labels that are smoothed.
        """
        return np.zeros(len(y), y.dtype)

    def unexplained(self, loss: float, constant: float) -> float:
        """Return the share of the variance of y that predictions with this loss do not explain.

        It is the ratio of the two losses, or the square of this ratio if the loss is not
        ``quadratic``. It is 1 if the loss may be negative, and at most 1.

        Parameters
        ----------
        loss, constant : float
            The mean losses of the predictions and of a constant.
        """
        if not (self.not_negative and 0 <= loss < constant < math.inf):
            return 1.0
        return loss / constant if self.quadratic else (loss / constant) ** 2

    @abstractmethod
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
            The values, in the dtype of ``raw``.
        """

    def weigh_steps(self, raw: Array, gradient: Array) -> None:
        """Weight the gradients of rows in place, for the steps of a stochastic solver.

        By default, they stay as ``pointwise`` wrote them, up to a factor. lbfgs does not weight
        them, because it needs the derivatives of the values.

        Parameters
        ----------
        raw, gradient : ndarray of shape (n_rows, n_raw)
        """

    def mean(
        self, y: Array, raw: Array, sample_weight: Array | None, gradient_out: Array
    ) -> float:
        """Return sum_i w_i l_i / n; write its gradient into ``gradient_out``.

        The weights have a mean of one over all training rows, so the expected value over random
        batches is the weighted mean over all training rows.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_outputs)
        raw, gradient_out : ndarray of shape (n_rows, n_raw)
        sample_weight : ndarray of shape (n_rows,) or None
            None stands for weights of one.
        """
        n_rows = raw.shape[0]
        value = self.pointwise(y, raw, gradient_out)
        if np.shape(value) != (n_rows,):
            raise ValueError(
                f"{type(self).__name__}.pointwise must return one value for each of the "
                f"{n_rows} rows, but its result has the shape {np.shape(value)}."
            )
        if sample_weight is not None:
            gradient_out *= sample_weight[:, np.newaxis]
            value = value * sample_weight
        gradient_out *= 1 / n_rows
        # In float32, the loss of one outlier would hide how those of the other rows change.
        return float(np.add.reduce(value, dtype=np.float64)) / n_rows


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
    robust = True
    quadratic = False

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
        The threshold, in units of the standardized y.
    """

    estimates = "a mean of y that is robust to outliers"
    robust = True

    delta: Annotated[float, POSITIVE] = 1.35

    def _best_number(self, y: Array) -> Array:
        def slope(number: float) -> float:
            errors = np.clip(number - column, -self.delta, self.delta)
            return float(errors.sum(dtype=np.float64))

        best = []
        for column in y.T:
            # The slope rises with the number. It is linear between these points.
            points = np.sort(np.concatenate([column - self.delta, column + self.delta]))
            above = bisect_left(points, 0.0, key=slope)
            ends = points[max(0, above - 1) : above + 1]
            best.append(np.interp(0, [slope(end) for end in ends], ends))
        return np.array(best, y.dtype)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        error = raw - y
        clipped = np.clip(error, -self.delta, self.delta, out=gradient_out)
        # With c the clipped error, both branches are c (e - c / 2).
        error -= 0.5 * clipped
        return np.einsum("ij,ij->i", clipped, error)


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

    quadratic = False

    quantile: Annotated[float | tuple[float, ...], QUANTILES] = 0.5

    def __post_init__(self) -> None:
        given: Any = self.quantile
        if isinstance(given, Iterator):  # The check would use up its quantiles.
            object.__setattr__(self, "quantile", given := tuple(given))
        super().__post_init__()
        if not isinstance(given, Real):
            object.__setattr__(self, "quantile", tuple(map(float, given)))

    @property
    def quantiles(self) -> tuple[float, ...]:
        return tuple(np.atleast_1d(self.quantile).tolist())

    @property
    def predicts_quantiles(self) -> bool:
        return not isinstance(self.quantile, Real)

    @property
    def robust(self) -> bool:  # type: ignore[override]
        """False if a quantile is very low or very high, since outliers then matter."""
        return all(0.05 <= one <= 0.95 for one in self.quantiles)

    @property
    def link(self) -> Link:
        n_values = np.size(self.quantile)
        return links.Identity() if n_values == 1 else links.Increasing(n_values)

    @property
    def estimates(self) -> str:
        noun = "quantiles" if len(self.quantiles) > 1 else "quantile"
        return f"the {noun} {', '.join(map(str, self.quantiles))} of y"

    @property
    def predicts_distribution(self) -> bool:
        return len(self.quantiles) > 1

    def distribution(self, prediction: Array, *std: Array) -> Distribution:
        return PiecewiseNormal.through(np.array(self.quantiles), prediction[:, np.newaxis])

    def constant(self, y: Array) -> Array:
        found = np.quantile(y, self.quantile, axis=0, method="inverted_cdf")
        return self.link.link(found[..., 0]) if self.predicts_quantiles else found

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        level = np.asarray(self.quantile, dtype=raw.dtype)
        error = y - self.link.inverse(raw)
        value = np.maximum(level * error, (level - 1) * error).sum(axis=1)
        np.subtract(error < 0, level, out=gradient_out)
        gradient_out[...] = self.link.inverse_backward(raw, gradient_out)
        return value


@dataclass(frozen=True)
class PositiveMean(Loss):
    """l = (h(2 - p, d) - exp((p - 2) d) h(p - 1, d)) m^(2 - p) / s^2: half the deviance.

    Here m = exp(s raw) is the mean, d = log(m / y), p is the power of the mean to which the
    variance of y is proportional, h(a, d) = (1 - exp(-a d)) / a, and h(0, d) = d. For d < 0,
    the equivalent form (h(p - 1, k) - exp((1 - p) k) h(2 - p, k)) y m^(1 - p) / s^2 with k = -d
    does not overflow. With s = 1, this is half the Tweedie deviance: Jorgensen, "Exponential
    Dispersion Models" (1987). The terms are arranged so that float32 holds the small loss of a
    mean that is nearly right.

    Parameters
    ----------
    spread : tuple of float in (0, 1], default=(1.0,)
        The number s, a single one or one for each output. If y varies by only a small share s
        of its mean, raw predictions and the loss are in units of s and s^2. A penalty and a
        learning rate then have the effect that they have on a standardized y. A fit replaces s
        with the spread of y.
    """

    spread: tuple[float, ...] = field(default=(1.0,), kw_only=True, repr=False, compare=False)

    estimates = "the mean of y"
    shifts_y = False

    @property
    def link(self) -> Link:
        return links.Log(self.spread)

    def of_spread(self, spread: tuple[float, ...]) -> Self:
        return replace(self, spread=spread)

    @property
    @abstractmethod
    def variance_power(self) -> float:
        """The power of the mean to which the variance of y is proportional."""

    @property
    def has_dispersion(self) -> bool:  # type: ignore[override]
        # The variance of a Poisson distribution is its mean.
        return self.variance_power > 1

    def distribution(self, prediction: Array, *std: Array) -> Distribution:
        mean = np.maximum(prediction, np.finfo(float).tiny)[..., np.newaxis]
        if self.variance_power == 1:
            return Poisson(mean)
        return Gamma(mean) if self.variance_power == 2 else Tweedie(mean, self.variance_power)

    @property
    def domain(self) -> str:
        return "y >= 0" if self.variance_power < 2 else "y > 0"

    def in_domain(self, y: Array) -> bool:
        return bool((y >= 0 if self.variance_power < 2 else y > 0).all())

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        spread, a = np.asarray(self.spread, raw.dtype), 2 - float(self.variance_power)
        log_mean = raw * spread
        # If y must be positive, a zero is a number that was rounded to zero.
        least = -LARGEST_LOG if a else math.log(np.finfo(raw.dtype).tiny)
        with np.errstate(divide="ignore"):
            d = log_mean - np.maximum(np.log(y), least)
        k = np.abs(d)
        # The larger of m^(2 - p) and y m^(1 - p), whose difference is the derivative.
        larger = np.exp(a * log_mean + np.maximum(-d, 0)) / spread
        np.multiply(np.copysign(larger, d), _growth(1, k), out=gradient_out)
        of_mean, of_y = _growth(a, k), _growth(1 - a, k)
        above, below = of_mean - np.exp(-a * k) * of_y, of_y - np.exp((a - 1) * k) * of_mean
        value = np.maximum(np.where(d > 0, above, below), 0)
        return (value * (larger / spread)).sum(axis=1)


#: Minus the logarithm of zero, as a finite number: ``exp(-LARGEST_LOG)`` is zero.
LARGEST_LOG = 1e30


def _growth(rate: float, k: Array) -> Array:
    """Return h(a, k) = (1 - exp(-a k)) / a for a rate a, and its limit k for a = 0."""
    return np.expm1(-rate * k) / -rate if rate else k


class HalfPoisson(PositiveMean):
    """l = m - y - y log(m / y) for y >= 0 and p = 1."""

    variance_power = 1.0


class HalfGamma(PositiveMean):
    """l = log(m / y) + y / m - 1 for y > 0 and p = 2."""

    variance_power = 2.0


TWEEDIE_POWERS = Interval(Real, 1, 2, closed="both")


@dataclass(frozen=True)
class HalfTweedie(PositiveMean):
    """Half the deviance of a Tweedie distribution.

    For 1 < p < 2, it suits zeros and positive amounts, such as the sum of a random number of
    random amounts. For p = 1 it equals :class:`HalfPoisson`, and for p = 2 it equals
    :class:`HalfGamma`.

    Parameters
    ----------
    power : float in [1, 2], default=1.5
        The power p of the mean to which the variance of y is proportional. y >= 0 for p < 2,
        and y > 0 for p = 2.
    spread : tuple of float in (0, 1], default=(1.0,)
        As in :class:`PositiveMean`.
    """

    power: Annotated[float, TWEEDIE_POWERS] = 1.5

    @property
    def variance_power(self) -> float:
        return float(self.power)


@dataclass(frozen=True)
class NormalLikelihood(Loss):
    """l = log s + ((y - m)^2 + e^2) / (2 s^2) with m = raw_1 and s = exp(raw_2).

    It is the negative log likelihood of a normal distribution whose mean m and standard
    deviation s depend on the row, up to a constant: Nix and Weigend, "Estimating the mean and
    variance of the target probability distribution" (1994). Each output has two raw
    predictions, side by side; predictions are the means.

    Parameters
    ----------
    noise : float > 0, default=1e-3
        The standard deviation e, in units of the standardized y, of a little additional noise
        that y is assumed to have: l is the mean over this noise. Without it, the likelihood of
        exactly predicted rows would have no limit.
    beta : float in [0, 1], default=0.5
        A stochastic solver multiplies the gradient of a row by s^(2 beta), which is treated as
        a constant. Without this factor, rows with a small s would dominate the gradient of the
        mean, and other rows would stay badly predicted: Seitzer, Tavakoli, Antic and Martius,
        "On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic Neural
        Networks" (2022), who call the resulting loss the beta-NLL.
    """

    link: ClassVar[Link] = links.MeanAndStd()
    estimates = "the mean of y"
    has_temperature = True
    not_negative = False

    noise: Annotated[float, POSITIVE] = 1e-3
    beta: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.5

    def initial_outputs(self, mean: Array, std: Array) -> Change:
        """Return the factor 0 and a shift, so that training starts at the distribution of y.

        For a constant y, the standard deviation starts at one, in units of the scaled y.
        """
        log_std = np.log(np.where(std > 0, std, 1.0))
        return np.zeros(2 * mean.size), side_by_side(mean, log_std)

    def distribution(self, prediction: Array, *std: Array) -> Distribution:
        columns = (one[..., np.newaxis] for one in (prediction, *std))
        return PiecewiseNormal(np.zeros(1), *columns)

    def constant(self, y: Array) -> Array:
        log_std = np.log(np.hypot(y.std(axis=0), float(self.noise)))
        return side_by_side(y.mean(axis=0), log_std)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        mean, log_std = raw[:, ::2], raw[:, 1::2]
        # Below this bound, which lies below the log of the noise, the precision 1 / s^2 follows
        # its tangent, so that it does not overflow.
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
        gradient *= np.repeat(np.exp(2 * float(self.beta) * log_std), 2, axis=1)


def _mostly(frequencies: Array, n_classes: int) -> Array:
    """Return frequencies, 1 % of which is spread evenly over the classes, so none is zero."""
    return 0.99 * frequencies + 0.01 / n_classes


class BinaryLogLoss(Loss):
    """l = log(1 + exp(raw)) - y raw, logit link, summed over columns.

    One column is a binary target; several columns are the labels of a multi-label target.
    y is in [0, 1].
    """

    task = "classification"
    link: ClassVar[Link] = links.Logit()
    estimates = "the probability of a class or label"
    has_temperature = True

    def baseline(self, mean: Array) -> Array:
        return self.link.link(_mostly(mean, 2))

    def least(self, y: Array) -> Array:
        # Rounding may make y slightly larger than 1.
        return (special.entr(y) + special.entr(np.maximum(1 - y, 0))).sum(axis=1)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        # log(1 + exp(raw)) = max(raw, 0) + log1p(exp(-|raw|)): no overflow.
        np.abs(raw, out=gradient_out)
        np.exp(np.negative(gradient_out, out=gradient_out), out=gradient_out)
        np.log1p(gradient_out, out=gradient_out)
        gradient_out += np.maximum(raw, 0)
        gradient_out -= y * raw
        value = gradient_out.sum(axis=1)
        # The derivative is s(raw) - y, with the logistic s.
        logistic(raw, out=gradient_out)
        gradient_out -= y
        return value


class MultinomialLogLoss(Loss):
    """l = log sum_k exp(raw_k) - sum_k y_k raw_k, softmax link; the y_k of a row sum to 1."""

    task = "classification"
    link: ClassVar[Link] = links.Softmax()
    estimates = "the probability of each class"
    has_temperature = True

    def binary(self) -> Loss:
        return BinaryLogLoss()

    def baseline(self, mean: Array) -> Array:
        return self.link.link(_mostly(mean, mean.size))

    def least(self, y: Array) -> Array:
        return special.entr(y).sum(axis=1)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        # After a shift by the row's maximum, the largest exponential is 1.
        np.subtract(raw, row_maxima(raw)[:, np.newaxis], out=gradient_out)
        linear = np.einsum("ij,ij->i", y, gradient_out)
        np.exp(gradient_out, out=gradient_out)
        total = row_sums(gradient_out)
        gradient_out /= total[:, np.newaxis]
        gradient_out -= y
        return np.log(total) - linear


@dataclass(frozen=True, repr=False)
class Ordinal(Loss):
    """l = -sum_k y_k log p_k with P(y <= k) = F(theta_k - f), for ordered classes.

    A cumulative link model: McCullagh, "Regression Models for Ordinal Data" (1980). A row has
    one score f, and the thresholds theta_1 < theta_2 < ... are learned, without a penalty.
    Numbers, dates and truth values are ordered by value. Other classes, such as text, need an
    ordered category dtype of y, or ``classes``.

    Parameters
    ----------
    link : {"logit", "probit", "cloglog"} or Cumulative, default="logit"
        The distribution function F. "logit" is the proportional odds model. "cloglog", with
        F(z) = 1 - exp(-exp(z)), is the proportional hazards model.
    classes : sequence, default=()
        All classes, from the lowest to the highest, if neither their values nor the dtype of y
        determines their order.
    """

    task = "classification"
    estimates = "the median class, and the probability of each class"
    has_temperature = True

    link: Annotated[Any, CUMULATIVE_LINK] = "logit"
    classes: Annotated[tuple[Any, ...], DISTINCT] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        link = CUMULATIVE_LINKS[self.link]() if isinstance(self.link, str) else self.link
        object.__setattr__(self, "link", link)
        object.__setattr__(self, "classes", tuple(np.asarray(self.classes, object).tolist()))

    def __repr__(self) -> str:
        names = {cls: repr(name) for name, cls in CUMULATIVE_LINKS.items()}
        classes = f", classes={self.classes}" if self.classes else ""
        return f"Ordinal(link={names.get(type(self.link), self.link)}{classes})"

    def of_classes(self, classes: NDArray[Any], declared: Sequence[Any]) -> Loss:
        if classes.size == 1:
            return MultinomialLogLoss()
        known = classes.tolist()
        order = self.classes or tuple(declared)
        if not order and classes.dtype.kind in "OUS":
            raise ValueError(
                f"loss={self!r} needs the order of the classes, but {known} are text. Give y "
                "an ordered category dtype or whole numbers, or name the classes from the "
                "lowest to the highest: loss=Ordinal(classes=[...])."
            )
        order = order or tuple(known)
        if missing := [one for one in known if one not in order]:
            raise ValueError(
                f"y has the classes {missing}, which are not among the ordered ones: {order}."
            )
        places = tuple(known.index(one) for one in order if one in known)
        in_order = tuple(known[place] for place in places)
        return replace(self, link=replace(self.link, order=places), classes=in_order)

    def initial_outputs(self, mean: Array, std: Array) -> Change:
        """Return a shift, so that probabilities start at the frequencies of the classes."""
        raw = self.baseline(mean)
        return np.ones_like(raw), raw

    def baseline(self, mean: Array) -> Array:
        return self.link.link(_mostly(mean, max(2, mean.size)))

    def least(self, y: Array) -> Array:
        # The labels of two classes have one column.
        return (BinaryLogLoss() if y.shape[1] == 1 else MultinomialLogLoss()).least(y)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        y = np.concatenate([1 - y, y], axis=1) if y.shape[1] == 1 else y
        return self.link.log_likelihood(-y, raw, gradient_out)


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
    "ordinal": Ordinal,
}


def shown(loss: Loss) -> str:
    """Return a loss for a message: ``loss='poisson'``, or the object if it has no name."""
    names = {cls: name for name, cls in LOSSES.items()}
    return f"loss={names.get(type(loss), loss)!r}"


def is_log_loss(loss: Any) -> bool:
    """Return whether a loss, given by name or as an instance, is the log loss."""
    return loss == "log_loss" or type(loss) in (BinaryLogLoss, MultinomialLogLoss)


def uses_order(loss: Any) -> bool:
    """Return whether a loss, given by name or as an instance, uses the order of the classes."""
    if isinstance(loss, str):  # An unknown name has no loss; ``fit`` refuses it.
        return loss in LOSSES and LOSSES[loss]().link.ordered
    return isinstance(loss, Loss) and loss.link.ordered
