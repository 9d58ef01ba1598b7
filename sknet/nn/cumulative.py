"""Cumulative links: probabilities of ordered classes.

P(y <= k) = F(theta_k - f), with one score f for each row, K - 1 thresholds theta_1 < theta_2 <
..., and a distribution function F. The score plus noise with this distribution lies between the
thresholds of its class: McCullagh, "Regression Models for Ordinal Data" (1980).

To add a link, derive a class from :class:`Cumulative`, write the logarithms and the quantiles
of its F, and add a line to :data:`CUMULATIVE_LINKS`.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sknet.nn.kernels import Array, read_only
from sknet.nn.links import Change, Link, Logit, Softmax
from sknet.nn.rules import Constraint, Rule

#: The limits of log(distance between two thresholds / their distance for equal probabilities).
LOG_GAP_LIMITS = (-50.0, 10.0)
#: The largest magnitude of a score.
FARTHEST_SCORE = 1e6
#: The upper limit of the highest class, and minus the lower limit of the lowest.
EDGE = 1e9
#: With the probit link, the probability of a narrower class is computed as its width times the
#: density at its center.
NARROW = 1e-5


@dataclass(frozen=True)
class Cumulative(Rule, Link):
    """P(y <= k) = F(theta_k - f), with raw_1 = f and thresholds from the other raw predictions.

    theta_1 = e_1 and theta_k = theta_(k-1) + (e_k - e_(k-1)) exp(raw_k), where e_k are the
    thresholds of K equal probabilities, F(e_k) = k / K. Thresholds are therefore always
    ordered, and classes are equally probable if all raw predictions are zero. raw_2, ... are
    the same for all rows. With two classes, there is one column of predictions, the probability
    of the second class.

    Everything is computed in float64, from logarithms without cancellation.

    Parameters
    ----------
    order : tuple of int, default=()
        The positions of the classes among the sorted ones, from the lowest class. By default,
        the order is that of the sorted classes. The columns of predictions are always those of
        the sorted classes.
    """

    out_activation: ClassVar[str] = "cumulative"
    rising: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    order: tuple[int, ...] = ()

    @abstractmethod
    def log_below(self, z: Array) -> Array:
        """Return log F(z)."""

    def log_above(self, z: Array) -> Array:
        """Return log(1 - F(z)). The default is for a symmetric F."""
        return self.log_below(-z)

    @abstractmethod
    def log_density(self, z: Array) -> Array:
        """Return log F'(z)."""

    @abstractmethod
    def log_between(self, lower: Array, upper: Array, gaps: Array) -> Array:
        """Return log(F(upper) - F(lower)) with upper = lower + gaps."""

    @abstractmethod
    def quantile(self, below: Array, above: Array) -> Array:
        """Return z with F(z) = below, where above = 1 - below; both are positive."""

    def n_raw(self, n_outputs: int) -> int:
        return max(1, n_outputs - 1)

    def n_predicted(self, n_outputs: int) -> int:
        return n_outputs

    def n_constant(self, n_raw: int) -> int:
        return n_raw - 1

    def of_decision(self, n_raw: int) -> Link:
        return Logit() if n_raw == 1 else Softmax()

    def thresholds(self, raw: Array) -> Array:
        """Return theta_k - f, an increasing row for each row of raw predictions."""
        return self._edges_and_gaps(raw)[0][..., 1:-1]

    def _edges_and_gaps(self, raw: Array) -> tuple[Array, Array]:
        """Return the limits of all classes, and their widths; the outer ones are huge."""
        even = even_thresholds(self, raw.shape[-1])
        edges, gaps = (np.full((*raw.shape[:-1], even.size + n), EDGE) for n in (2, 1))
        edges[..., 0] = -EDGE
        edges[..., 1] = even[0] - np.clip(raw[..., 0], -FARTHEST_SCORE, FARTHEST_SCORE)
        between = np.clip(raw[..., 1:], *LOG_GAP_LIMITS, dtype=np.float64)
        gaps[..., 1:-1] = np.exp(between, out=between) * (even[1:] - even[:-1])
        # For a few columns, this is faster than NumPy's cumulative sum.
        for k in range(1, even.size):
            np.add(edges[..., k], gaps[..., k], out=edges[..., k + 1])
        return edges, gaps

    def log_probabilities(self, raw: Array) -> Array:
        """Return log P(y = k), with a column for each of the sorted classes."""
        edges, gaps = self._edges_and_gaps(raw)
        log_p = self.log_between(edges[..., :-1], edges[..., 1:], gaps)
        return log_p[..., np.argsort(self.order)] if self.is_permuted else log_p

    def log_likelihood(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        """Return sum_k y_k log P(y = k); write its gradient into ``gradient_out``.

        ``y`` has a column for each of the sorted classes.
        """
        (edges, gaps), y = self._edges_and_gaps(raw), self._in_order(y)
        # Most rows have a single class, so most entries of y need no logarithms.
        chosen = np.flatnonzero(y != 0)
        below = chosen + chosen // y.shape[-1]  # Rows of edges have one more column.
        above, share = below + 1, y.take(chosen)
        lower, upper = edges.take(below), edges.take(above)
        value: Array = np.zeros(y.size)
        of_edges: Array = np.zeros(edges.size)
        log_p = self.log_between(lower, upper, gaps.take(chosen))
        value[chosen] = share * log_p
        of_edges[above] = share * np.exp(self.log_density(upper) - log_p)
        of_edges[below] -= share * np.exp(self.log_density(lower) - log_p)
        of_edges = of_edges.reshape(edges.shape)
        # The step up to a threshold also moves all higher thresholds.
        for k in range(raw.shape[-1] - 1, 0, -1):
            of_edges[..., k] += of_edges[..., k + 1]
        gradient_out[..., 0] = -of_edges[..., 1]
        gradient_out[..., 1:] = of_edges[..., 2:-1] * gaps[..., 1:-1]
        total = np.einsum("...k->...", value.reshape(y.shape))
        return total.astype(raw.dtype, copy=False)

    def inverse(self, raw: Array) -> Array:
        p = self.both(raw)
        return p[..., 1:] if raw.shape[-1] == 1 else p

    def both(self, raw: Array) -> Array:
        return np.exp(self.log_probabilities(raw)).astype(raw.dtype, copy=False)

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        if raw.shape[-1] == 1:
            delta = np.concatenate([np.zeros_like(delta), delta], axis=-1)
        gradient = np.empty_like(raw)
        self.log_likelihood(delta * np.exp(self.log_probabilities(raw)), raw, gradient)
        return gradient

    def link(self, prediction: Array) -> Array:
        p: Array = prediction.astype(np.float64, copy=False)
        p = self._in_order(np.concatenate([1 - p, p], axis=-1) if p.shape[-1] == 1 else p)
        tiny = np.finfo(np.float64).tiny
        below = np.maximum(np.cumsum(p, axis=-1)[..., :-1], tiny)
        above = np.maximum(np.cumsum(p[..., :0:-1], axis=-1)[..., ::-1], tiny)
        even, z = even_thresholds(self, below.shape[-1]), self.quantile(below, above)
        gaps = np.maximum(np.diff(z, axis=-1), tiny)
        raw = np.concatenate([even[0] - z[..., :1], np.log(gaps / np.diff(even))], axis=-1)
        return raw.astype(prediction.dtype, copy=False)

    def exceeding(self, raw: Array) -> Array:
        """Return P(y > k) for all classes k except the highest, in the order of the classes."""
        return np.exp(self.log_above(self.thresholds(raw)))

    def median(self, exceeding: Array) -> NDArray[np.intp]:
        """Return the positions of the median among the sorted classes."""
        places = (exceeding > 0.5).sum(axis=-1)
        return np.array(self.order)[places] if self.is_permuted else places

    @property
    def is_permuted(self) -> bool:
        """Whether the order of the classes differs from that of the sorted ones."""
        return list(self.order) != sorted(self.order)

    def with_certainty(self, factor: float, n_raw: int) -> Change:
        # The factor multiplies all theta_k - f.
        first = even_thresholds(self, n_raw)[0]
        factors, shift = np.ones(n_raw), np.full(n_raw, math.log(factor))
        factors[0], shift[0] = factor, first * (1 - factor)
        return factors, shift

    def _in_order(self, columns: Array) -> Array:
        """Return columns in the order of the classes, given columns in sorted order."""
        return columns[..., list(self.order)] if self.is_permuted else columns


class CumulativeLogit(Cumulative):
    """F(z) = 1 / (1 + exp(-z)): proportional odds."""

    def log_below(self, z: Array) -> Array:
        # For thousands of numbers, SciPy's function takes several times as long.
        return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))

    def log_density(self, z: Array) -> Array:
        size = np.abs(z)
        return -size - 2 * np.log1p(np.exp(-size))

    def log_between(self, lower: Array, upper: Array, gaps: Array) -> Array:
        return self.log_below(upper) + self.log_above(lower) + np.log(-np.expm1(-gaps))

    def quantile(self, below: Array, above: Array) -> Array:
        return np.log(below) - np.log(above)


class CumulativeProbit(Cumulative):
    """F is the distribution function of the standard normal distribution."""

    def log_below(self, z: Array) -> Array:
        return special.log_ndtr(z)

    def log_density(self, z: Array) -> Array:
        return -0.5 * np.square(z) - 0.5 * math.log(2 * math.pi)

    def log_between(self, lower: Array, upper: Array, gaps: Array) -> Array:
        narrow = self.log_density(lower + gaps / 2) + np.log(gaps)
        # Computed on the side where neither probability is near one.
        sides = np.where(lower + upper < 0, (upper, lower), (-lower, -upper))
        larger, smaller = self.log_below(sides)
        ratio = np.maximum(larger - smaller, NARROW**2)
        return np.where(gaps < NARROW, narrow, larger + np.log(-np.expm1(-ratio)))

    def quantile(self, below: Array, above: Array) -> Array:
        return np.where(below < above, special.ndtri(below), -special.ndtri(above))


class CumulativeCLogLog(Cumulative):
    """F(z) = 1 - exp(-exp(z)), the complementary log-log link: proportional hazards."""

    def log_below(self, z: Array) -> Array:
        # For z below -40, F(z) is exp(z) up to rounding.
        return np.where(z < -40, z, np.log(-np.expm1(-_growth(np.maximum(z, -40)))))

    def log_above(self, z: Array) -> Array:
        return -_growth(z)

    def log_density(self, z: Array) -> Array:
        return z - _growth(z)

    def log_between(self, lower: Array, upper: Array, gaps: Array) -> Array:
        # Of the probability above the lower threshold, the share that lies below the upper one.
        share = self.log_below(upper + np.log(-np.expm1(-gaps)))
        return self.log_above(lower) + share

    def quantile(self, below: Array, above: Array) -> Array:
        small = np.minimum(below, 0.5)
        return np.log(np.where(below < 0.5, -np.log1p(-small), -np.log(above)))


def _growth(z: Array) -> Array:
    """Return exp(z), with z limited where F is one anyway, so that it does not overflow."""
    return np.exp(np.minimum(z, 80))


@lru_cache(maxsize=64)
def even_thresholds(link: Cumulative, n: int) -> Array:
    """Return the thresholds of n + 1 equal probabilities."""
    below = np.arange(1, n + 1) / (n + 1)
    return read_only(link.quantile(below, below[::-1]))


#: Links of ordered classes, by name.
CUMULATIVE_LINKS: dict[str, type[Cumulative]] = {
    "logit": CumulativeLogit,
    "probit": CumulativeProbit,
    "cloglog": CumulativeCLogLog,
}
CUMULATIVE_LINK = Constraint(
    f"one of {list(CUMULATIVE_LINKS)} or a Cumulative",
    (str, Cumulative),
    lambda link: not isinstance(link, str) or link in CUMULATIVE_LINKS,
)
DISTINCT = Constraint(
    "a sequence of two or more distinct classes, or an empty one",
    (Sequence, np.ndarray),
    lambda classes: not isinstance(classes, str) and len(set(classes)) == len(classes) != 1,
)
