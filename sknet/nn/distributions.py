"""Distributions of y: probabilities, quantiles, samples and scores.

To add one, derive a class from :class:`Distribution`, and return an instance from the method
``distribution`` of its loss.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, special

from sknet.nn.kernels import Array

#: The levels at which distributions are calibrated.
CALIBRATED = np.array([0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975])
#: The largest magnitude of z, the normal score of y, that a calibration uses. If the quantiles
#: of a row are nearly equal, as those of integers can be, its z has no limit. The row would
#: then distort the calibration, which all rows share.
FARTHEST = 30.0
#: In a calibration, the quantiles of a standard normal z count as much as this many rows.
PRIOR_ROWS = 50
#: The largest mean of a Poisson distribution. Not far above it, SciPy's functions return NaN.
LARGEST_COUNT = 5e8
#: The smallest dispersion: that of rows with a mean of one that are predicted exactly.
LEAST_DISPERSION = 1e-12
#: With more jumps on average, the distribution of their sum is nearly a shifted gamma
#: distribution: the probabilities differ by less than 2e-4.
MANY_JUMPS = 300.0
#: The largest number of means for which quantiles are computed one by one. With more means,
#: the quantiles are interpolated between this many means.
N_NODES = 150
#: Jumps of a larger shape are nearly equal, so the quantiles of their sums, as functions of the
#: mean number of jumps, have steps. Interpolating them takes ``MANY_NODES`` means.
SMOOTH_SHAPE = 10.0
MANY_NODES = 3000
#: The least mean number of jumps, and the least excess in ``Tweedie.quantiles``, that are used:
#: smaller values are raised to it.
LEAST = 1e-13


class Distribution(ABC):
    """The distribution of y in each row and each output.

    The parameters are arrays of shape (n_rows, n_outputs, 1). In some subclasses, the last axis
    is longer. The last axis of arguments and results can have any length. All numbers are
    float64, in the units of y.
    """

    @abstractmethod
    def cdf(self, y: Array) -> Array:
        """Return the probabilities that a sample of the distribution is at most y."""

    @abstractmethod
    def quantiles(self, levels: Array) -> Array:
        """Return the smallest numbers whose ``cdf`` is at least the level."""

    @abstractmethod
    def crps(self, y: Array) -> Array:
        """Return the continuous ranked probability score of y, shape (n_rows, n_outputs, 1).

        It is the integral over x of the square of cdf(x) - (y <= x), or
        E|Y - y| - E|Y - Y'| / 2 with independent Y and Y': Gneiting and Raftery, "Strictly
        Proper Scoring Rules, Prediction, and Estimation" (2007), equations 20 and 21. The
        closed forms are in Jordan, Krueger and Lerch, "Evaluating Probabilistic Forecasts with
        scoringRules" (2019), appendix A.
        """

    @abstractmethod
    def sample(self, n_samples: int, rng: Any) -> Array:
        """Return independent samples; ``rng`` is a generator or RandomState of NumPy."""

    def calibration(self, y: Array, sample_weight: Array | None) -> Array | None:
        """Return a correction of the distributions of all rows, or None if there is none.

        It is estimated from rows whose y is known.

        Parameters
        ----------
        y : ndarray of shape (n_rows, n_outputs, 1)
        sample_weight : ndarray of shape (n_rows,) or None

        Returns
        -------
        ndarray of shape (n_outputs, n_numbers), or None
        """
        return None

    def calibrated(self, calibration: Array) -> "Distribution":
        """Return the distributions with a correction that :meth:`calibration` has returned."""
        return self


@dataclass(frozen=True, eq=False)
class PiecewiseNormal(Distribution):
    """y = value_j + slope_j (z - start_j) for a standard normal z in [start_j, start_(j + 1)).

    The first piece begins at minus infinity, and the last one never ends, so both tails are
    those of normal distributions. A single piece is a normal distribution.

    Parameters
    ----------
    starts : ndarray of shape (n_pieces,)
    values, slopes : ndarray of shape (n_rows, n_outputs, n_pieces)
        The values rise, and the slopes are positive.
    """

    starts: Array
    values: Array
    slopes: Array

    @classmethod
    def through(cls, levels: Array, quantiles: Array) -> Self:
        """Return the distributions with the given quantiles, two or more in the last axis."""
        z = special.ndtri(levels)
        slopes = np.diff(quantiles) / np.diff(z)
        # Rounding may have made neighbors equal.
        return cls(z[:-1], quantiles[..., :-1], np.maximum(slopes, np.finfo(float).tiny))

    def cdf(self, y: Array) -> Array:
        return special.ndtr(self._z(y))

    def calibration(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the quantiles, at the levels ``CALIBRATED``, of the normal scores z of all y.

        With few rows, they are close to those of a standard normal z, which keep the
        quantiles at these levels.
        """
        z = np.clip(self._z(y)[..., 0], -FARTHEST, FARTHEST)
        found = np.quantile(z, CALIBRATED, 0, weights=sample_weight, method="inverted_cdf")
        expected = special.ndtri(CALIBRATED)
        n_rows = len(y) if sample_weight is None else sample_weight.sum()
        return expected + n_rows / (n_rows + PRIOR_ROWS) * (found.T - expected)

    def calibrated(self, calibration: Array) -> Self:
        """Return the distributions with other quantiles at the levels ``CALIBRATED``.

        Each quantile becomes the y at the z that ``calibration`` has for its level.

        The method is that of Kuleshov, Fenner and Ermon, "Accurate Uncertainties for Deep
        Learning Using Calibrated Regression" (2018), with a function of normal z instead of
        probabilities.
        """
        return self.through(CALIBRATED, self._at(calibration))

    def quantiles(self, levels: Array) -> Array:
        return self._at(special.ndtri(levels))

    def _at(self, z: Array) -> Array:
        """Return y at normal z."""
        piece = np.searchsorted(self.starts[1:], np.array(z, ndmin=3), side="right")
        value, slope = self._of_pieces(piece)
        return value + slope * (z - self.starts[piece])

    def sample(self, n_samples: int, rng: Any) -> Array:
        levels = rng.uniform(2.0**-54, 1, (*self.values.shape[:-1], n_samples))
        return self.quantiles(levels)

    def crps(self, y: Array) -> Array:
        """Return 2 times the integral of (Q(z) - y) ((Q(z) > y) - cdf(z)) over a normal z."""
        low, high = np.append(-np.inf, self.starts[1:]), np.append(self.starts[1:], np.inf)
        constant = self.values - self.slopes * self.starts - y
        above = np.clip(self._z(y), low, high)
        pieces = 2 * (self._mean_below(high, constant) - self._mean_below(above, constant))
        pieces -= self._ranked_below(high, constant) - self._ranked_below(low, constant)
        return pieces.sum(axis=-1, keepdims=True)

    def _mean_below(self, z: Array, constant: Array) -> Array:
        """Return the integral of constant + slope z over a normal z up to a limit."""
        return constant * special.ndtr(z) - self.slopes * _density(z)

    def _ranked_below(self, z: Array, constant: Array) -> Array:
        """Return the integral in :meth:`_mean_below`, with 2 cdf(z) as a further factor."""
        rank = special.ndtr(z)
        spread = special.ndtr(math.sqrt(2) * z) / math.sqrt(math.pi) - 2 * _density(z) * rank
        return constant * rank**2 + self.slopes * spread

    def _z(self, y: Array) -> Array:
        """Return the z at which the standard normal distribution has the ``cdf`` of y."""
        piece = (y[..., np.newaxis] >= self.values[..., np.newaxis, 1:]).sum(axis=-1)
        value, slope = self._of_pieces(piece)
        # Where quantiles are equal, the slope is tiny, and z can be infinite.
        with np.errstate(over="ignore"):
            return self.starts[piece] + (y - value) / slope

    def _of_pieces(self, piece: NDArray[np.intp]) -> tuple[Array, ...]:
        """Return the values and the slopes of chosen pieces."""
        arrays = self.values, self.slopes
        return tuple(np.take_along_axis(one, piece, axis=-1) for one in arrays)


def _density(z: Array) -> Array:
    """Return the density of a standard normal number."""
    with np.errstate(over="ignore"):
        return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Poisson(Distribution):
    """The probability of k = 0, 1, 2, ... is exp(-mean) mean^k / k!.

    Parameters
    ----------
    mean : ndarray of shape (n_rows, n_outputs, 1)
    """

    mean: Array

    @property
    def known_mean(self) -> Array:
        """The mean, if the distribution can be computed.

        Raises
        ------
        ValueError
            If the mean is too large.
        """
        if (largest := self.mean.max(initial=0)) > LARGEST_COUNT:
            raise ValueError(
                f"The mean of a Poisson distribution must be at most {LARGEST_COUNT:.0e}, got "
                f"{largest:.3g}. Choose loss='gamma' or 'tweedie' for amounts."
            )
        return self.mean

    def cdf(self, y: Array) -> Array:
        return np.where(y >= 0, special.pdtr(np.floor(np.maximum(y, 0)), self.known_mean), 0.0)

    def quantiles(self, levels: Array) -> Array:
        above = np.ceil(special.pdtrik(levels, self.known_mean))
        # Rounding may have led to the next larger integer.
        below = np.maximum(above - 1, 0)
        return np.where(special.pdtr(below, self.mean) >= levels, below, above)

    def sample(self, n_samples: int, rng: Any) -> Array:
        return rng.poisson(self.known_mean, (*self.mean.shape[:-1], n_samples)).astype(float)

    def crps(self, y: Array) -> Array:
        mean, k = self.known_mean, np.floor(y)
        at_k = self.cdf(y) - self.cdf(k - 1)
        half_difference = mean * (special.ive(0, 2 * mean) + special.ive(1, 2 * mean))
        return (y - mean) * (2 * self.cdf(y) - 1) + 2 * mean * at_k - half_difference


@dataclass(frozen=True, eq=False)
class Dispersed(Distribution):
    """A distribution of amounts, whose variance is dispersion * mean^power.

    Parameters
    ----------
    mean : ndarray of shape (n_rows, n_outputs, 1)
    power : float
    dispersion : ndarray of shape (n_outputs, 1), default=1.0
    """

    mean: Array
    power: float
    dispersion: Array | float = 1.0

    def calibration(self, y: Array, sample_weight: Array | None) -> Array:
        """Return the dispersion by Pearson's estimate: the mean of (y - mean)^2 / mean^power.

        McCullagh and Nelder, "Generalized Linear Models" (1989), section 8.3.6.
        """
        square = np.square((y - self.mean) / self.mean ** (self.power / 2))
        # A dispersion has the units of y to the power of 2 - power.
        least = LEAST_DISPERSION * self.mean.mean(axis=0) ** (2 - self.power)
        return np.maximum(np.average(square, 0, sample_weight), least)

    def calibrated(self, calibration: Array) -> Self:
        """Return the distributions with a different dispersion."""
        return replace(self, dispersion=calibration)


@dataclass(frozen=True, eq=False)
class Gamma(Dispersed):
    """A gamma distribution whose variance is dispersion * mean^2."""

    power: float = 2.0

    @cached_property
    def shape(self) -> Array:
        """The shape: the exponent of y in the density, plus one."""
        return 1 / np.asarray(self.dispersion)

    @cached_property
    def scale(self) -> Array:
        """The scale, by which y is divided in the density."""
        return self.dispersion * self.mean

    def cdf(self, y: Array) -> Array:
        return special.gammainc(self.shape, np.maximum(y, 0) / self.scale)

    def quantiles(self, levels: Array) -> Array:
        return special.gammaincinv(self.shape, levels) * self.scale

    def sample(self, n_samples: int, rng: Any) -> Array:
        shape = np.broadcast_to(self.shape, (*self.mean.shape[:-1], n_samples))
        return rng.standard_gamma(shape) * self.scale

    def crps(self, y: Array) -> Array:
        next_cdf = special.gammainc(self.shape + 1, np.maximum(y, 0) / self.scale)
        half_difference = self.scale / special.beta(0.5, self.shape)
        return y * (2 * self.cdf(y) - 1) - self.mean * (2 * next_cdf - 1) - half_difference


@dataclass(frozen=True, eq=False)
class Tweedie(Dispersed):
    """The sum of a random number of gamma-distributed jumps.

    The number of jumps has a Poisson distribution, and the sum of no jumps is zero. This is the
    Tweedie distribution of power 1 < p < 2, whose variance is dispersion * mean^p: Dunn and
    Smyth, "Series evaluation of Tweedie exponential dispersion model densities" (2005), section
    2. Probabilities are sums over the number of jumps. With more than ``MANY_JUMPS`` on
    average, a shifted gamma distribution with the same mean, variance and skewness is used
    instead.
    """

    @property
    def shape(self) -> float:
        """The shape of a jump."""
        return (2 - self.power) / (self.power - 1)

    @cached_property
    def scale(self) -> Array:
        """The scale of a jump."""
        return self.dispersion * (self.power - 1) * self.mean ** (self.power - 1)

    @cached_property
    def jumps(self) -> Array:
        """The mean number of jumps."""
        return self.mean ** (2 - self.power) / (self.dispersion * (2 - self.power))

    @cached_property
    def _few(self) -> NDArray[np.bool_]:
        return self.jumps <= MANY_JUMPS

    @cached_property
    def _shift(self) -> Array:
        return self.mean * (1 - 2 / self.power)

    @cached_property
    def _limit(self) -> Gamma:
        """The gamma distribution of a sum of many jumps, before the shift."""
        cv_squared = self.dispersion * self.mean ** (self.power - 2)
        return Gamma(2 / self.power * self.mean, dispersion=self.power**2 / 4 * cv_squared)

    def cdf(self, y: Array) -> Array:
        x = np.maximum(y, 0) / self.scale
        sums = _sum_over_jumps(self._few_jumps, lambda n: special.gammainc(n * self.shape, x))
        below = np.exp(-self._few_jumps) + sums
        below = np.where(self._few, below, self._limit.cdf(y - self._shift))
        # The sum of many terms may be rounded up.
        return np.where(y >= 0, np.minimum(below, 1), 0.0)

    def quantiles(self, levels: Array) -> Array:
        found = np.maximum(self._limit.quantiles(levels) + self._shift, 0)
        found[self._few[..., 0]] = 0
        n_nodes = N_NODES if self.shape < SMOOTH_SHAPE else MANY_NODES
        for k, level in enumerate(levels.tolist()):
            # Where this is not positive, zero alone has at least the probability ``level``.
            excess = self.jumps + math.log(level)
            some = self._few & (excess > 0)
            at = np.log(np.maximum(excess[some], LEAST))
            # As functions of the log of the excess, quantiles have no kink.
            log_x = _interpolated(partial(_log_quantiles, self.shape, level), at, n_nodes)
            found[some[..., 0], k] = self.scale[some] * np.exp(log_x)
        return found

    def sample(self, n_samples: int, rng: Any) -> Array:
        n_jumps = rng.poisson(self._few_jumps, (*self.mean.shape[:-1], n_samples))
        few = rng.standard_gamma(n_jumps * self.shape) * self.scale
        return np.where(self._few, few, self._limit.sample(n_samples, rng) + self._shift)

    def crps(self, y: Array) -> Array:
        x = np.maximum(y, 0) / self.scale
        below = _sum_over_jumps(
            self._few_jumps,
            lambda n: n * self.shape * special.gammainc(n * self.shape + 1, x),
        )
        distance = y * (2 * self.cdf(y) - 1) + self.mean - 2 * self.scale * below
        jumps = np.maximum(self._few_jumps, LEAST)
        half = _interpolated(partial(_log_half_differences, self.shape), np.log(jumps))
        few = distance - self.scale * np.exp(half) * (self._few_jumps / jumps)
        return np.where(self._few, few, self._limit.crps(y - self._shift))

    @cached_property
    def _few_jumps(self) -> Array:
        return np.minimum(self.jumps, MANY_JUMPS)


def _probabilities(n: Array | int, mean: Array) -> Array:
    """Return the probabilities of n jumps, given their mean number."""
    return np.exp(special.xlogy(n, mean) - mean - special.gammaln(n + 1))


def _numbers(mean: Array) -> range:
    """Return the numbers of jumps, from 1, with noticeable probabilities for these means."""
    most = float(np.max(mean, initial=0))
    return range(1, int(most + 9 * math.sqrt(most)) + 30)


def _sum_over_jumps(mean: Array, term: Callable[[int], Array]) -> Array:
    """Return the sum of ``term(n)`` times the probability of n jumps, for n from 1."""
    terms = (_probabilities(n, mean) * term(n) for n in _numbers(mean))
    return sum(terms, np.zeros(()))


def _log_quantiles(shape: float, level: float, log_excess: Array) -> Array:
    """Return the logarithms of positive quantiles of sums of jumps, by bisection."""
    excess = np.exp(log_excess)
    jumps = excess - math.log(level)
    n = np.array(_numbers(jumps))[:, np.newaxis]
    probabilities, wanted = _probabilities(n, jumps), -level * np.expm1(-excess)
    low = np.full_like(jumps, -700)
    high = np.log(100 + jumps * shape + 50 * np.sqrt(jumps * shape * (shape + 1)))
    for _ in range(50):
        middle = 0.5 * (low + high)
        reached = (probabilities * special.gammainc(n * shape, np.exp(middle))).sum(axis=0)
        low, high = np.where(reached < wanted, (middle, high), (low, middle))
    return high


def _log_half_differences(shape: float, log_jumps: Array) -> Array:
    """Return log E|X - X'| / 2 for sums X of jumps of scale one: the integral of F (1 - F)."""
    jumps, step = np.exp(log_jumps), 0.02
    most = float(jumps.max()) * shape
    log_x = np.arange(-30, math.log(100 + most + 50 * math.sqrt(most * (shape + 1))), step)
    x, n = np.exp(log_x), np.array(_numbers(jumps))[:, np.newaxis]
    cdf = np.exp(-jumps)[:, np.newaxis]
    cdf = cdf + _probabilities(n, jumps).T @ special.gammainc(n * shape, x)
    return np.log(step * ((cdf * (1 - cdf)) @ x))


def _interpolated(
    function: Callable[[Array], Array], at: Array, n_nodes: int = N_NODES
) -> Array:
    """Return the values of a smooth function, from a spline if there are many."""
    known, places = np.unique(at, return_inverse=True)
    if known.size > n_nodes:
        nodes = np.linspace(known[0], known[-1], n_nodes)
        return interpolate.CubicSpline(nodes, function(nodes))(at)
    return function(known)[places].reshape(at.shape) if known.size else at
