"""The loss and the link of a network with several targets. The loss is a sum over the targets.

Each target has its own columns of y and its own raw predictions, side by side. If a row is NaN
in all columns of a target, it lacks this target, and does not count in the target's loss. In
pre-training, the targets are the columns of a table.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sknet.nn.kernels import Array
from sknet.nn.links import LOG_STD_LIMITS, Change, Link, Softmax
from sknet.nn.losses import Loss, MultinomialLogLoss, SquaredError


def stretches(sizes: Iterable[int]) -> list[slice]:
    """Return slices of consecutive columns, given the number of columns of each."""
    return [slice(*pair) for pair in pairwise(accumulate(sizes, initial=0))]


@dataclass(frozen=True)
class JointLink(Link):
    """The links of several targets, each for its own raw predictions.

    Parameters
    ----------
    parts : tuple of (Link, int)
        The link of each target, and the number of its columns of y.
    n_logs : int, default=0
        The number of raw predictions at the end that are the same for all rows, and that
        predictions do not use.
    """

    parts: tuple[tuple[Link, int], ...]
    n_logs: int = 0
    out_activation = "joint"
    exclusive = False

    @property
    def columns(self) -> list[slice]:
        """The slices of the raw predictions of each target."""
        return stretches(link.n_raw(n) for link, n in self.parts)

    def each(self) -> Iterator[tuple[Link, slice]]:
        """Yield the link of each target with the slice of its raw predictions."""
        return zip((link for link, _ in self.parts), self.columns, strict=True)

    def n_raw(self, n_outputs: int) -> int:
        return self.columns[-1].stop + self.n_logs

    def n_predicted(self, n_outputs: int) -> int:
        return sum(link.n_predicted(n) for link, n in self.parts)

    def unpromised(self, n_raw: int) -> tuple[int, ...]:
        return tuple(
            c.start + i for link, c in self.each() for i in link.unpromised(c.stop - c.start)
        )

    def n_constant(self, n_raw: int) -> int:
        return self.n_logs

    def inverse(self, raw: Array) -> Array:
        return np.concatenate([link.inverse(raw[..., c]) for link, c in self.each()], axis=-1)

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        gradient = np.zeros_like(raw)
        places = stretches(link.n_predicted(n) for link, n in self.parts)
        for (link, c), place in zip(self.each(), places, strict=True):
            gradient[..., c] = link.inverse_backward(raw[..., c], delta[..., place])
        return gradient

    def mean_of_members(self, members: Array) -> Array:
        mean = members.mean(axis=1)
        for link, c in self.each():
            mean[..., c] = link.mean_of_members(members[..., c])
        return mean

    def with_certainty(self, factor: Any, n_raw: int) -> Change:
        """Return the change, given a factor for each target."""
        pairs = zip(self.each(), factor, strict=True)
        return self.joined(
            [link.with_certainty(own, c.stop - c.start) for (link, c), own in pairs]
        )

    def joined(self, changes: Sequence[Change | None]) -> Change:
        """Return the change of all raw predictions, given one, or None, for each target."""
        factor, shift = np.ones(self.n_raw(0)), np.zeros(self.n_raw(0))
        for columns, change in zip(self.columns, changes, strict=True):
            if change is not None:
                factor[columns], shift[columns] = change
        return factor, shift


class Part(NamedTuple):
    """A target in a batch: which rows have it, their columns of y, its raw columns and loss."""

    known: NDArray[np.bool_]
    y: Array
    columns: slice
    loss: Loss


@dataclass(frozen=True)
class JointLoss(Loss):
    """l = sum_k w_k l_k(y_k, raw_k) over the targets k that a row has.

    With ``learned``, l = sum_k w_k (exp(-s_k) l_k(y_k, raw_k) + s_k / 2), where the numbers s_k
    are parameters of the network: Kendall, Gal and Cipolla, "Multi-Task Learning Using
    Uncertainty to Weigh Losses for Scene Geometry and Semantics" (2018), equations 7 and 10,
    with s_k = log sigma_k^2. The best s_k is log(2 l_k). A target that is mostly noise, and
    therefore has a large mean loss, gets a small weight. A loss that may be negative would have
    no best s_k, and stays as it is. So does the loss of a constant target: its s_k would fall
    without end, and with it the validation loss.

    Parameters
    ----------
    losses : tuple of (Loss, int)
        The loss of each target, and the number of its columns of y.
    weights : tuple of float > 0
        The weight w_k of each target, divided by the share of the training rows that have it.
    learned : bool, default=False
    constant_targets : tuple of int, default=()
        The positions of the targets that are constant.
    """

    losses: tuple[tuple[Loss, int], ...]
    weights: tuple[float, ...]
    learned: bool = False
    constant_targets: tuple[int, ...] = ()
    task = "several targets"

    @property
    def link(self) -> JointLink:
        links = tuple((loss.link, n) for loss, n in self.losses)
        return JointLink(links, len(links) if self.learned else 0)

    def of_spread(self, spread: tuple[Any, ...]) -> Self:
        """Return the loss for targets that vary by these shares of their means."""
        pairs = zip(self.losses, spread, strict=True)
        return replace(self, losses=tuple((loss.of_spread(own), n) for (loss, n), own in pairs))

    @property
    def are_learned(self) -> list[bool]:
        """Whether the weight of each target is learned."""
        return [
            self.learned and loss.not_negative and k not in self.constant_targets
            for k, (loss, _) in enumerate(self.losses)
        ]

    @property
    def not_negative(self) -> bool:  # type: ignore[override]
        return not self.learned and all(loss.not_negative for loss, _ in self.losses)

    @property
    def quadratic(self) -> bool:  # type: ignore[override]
        return any(loss.quadratic for loss, _ in self.losses)

    @property
    def has_temperature(self) -> bool:  # type: ignore[override]
        return any(loss.has_temperature for loss, _ in self.losses)

    @property
    def predicts_distribution(self) -> bool:
        """Whether the distribution of at least one target is predicted."""
        return any(loss.predicts_distribution for loss, _ in self.losses)

    @property
    def has_dispersion(self) -> bool:  # type: ignore[override]
        return any(loss.has_dispersion for loss, _ in self.losses)

    def each(self) -> Iterator[tuple[Loss, slice, slice]]:
        """Yield the loss of each target with its raw columns and its columns of y."""
        losses, sizes = zip(*self.losses, strict=True)
        return zip(losses, self.link.columns, stretches(sizes), strict=True)

    def parts(self, y: Array) -> Iterator[Part]:
        """Yield the targets of a batch, given its encoded columns of y."""
        for loss, columns, place in self.each():
            known: Any = ~np.isnan(y[:, place]).all(axis=1)
            yield Part(known, y[known, place], columns, loss)

    def constant(self, y: Array) -> Array:
        raw = np.zeros(self.link.n_raw(y.shape[1]), y.dtype)
        for part in self.parts(y):
            if len(part.y):
                raw[part.columns] = part.loss.constant(part.y)
        return raw

    def baseline(self, mean: Array) -> Array:
        raw = super().baseline(mean)
        for loss, columns, place in self.each():
            raw[columns] = loss.baseline(mean[place])
        return raw

    def least(self, y: Array) -> Array:
        value = np.zeros(len(y), y.dtype)
        # Learned weights change the loss, so the smallest value is unknown.
        weights = [0.0] * len(self.weights) if self.learned else self.weights
        for weight, part in zip(weights, self.parts(y), strict=True):
            value[part.known] += weight * part.loss.least(part.y)
        return value

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        value, first_log = np.zeros(len(raw), raw.dtype), raw.shape[1] - len(self.losses)
        gradient_out[...] = 0
        are_learned = self.are_learned
        for k, (known, own_y, columns, loss) in enumerate(self.parts(y)):
            own, weight = np.ascontiguousarray(raw[known, columns]), float(self.weights[k])
            gradient = np.empty_like(own)
            own_value = loss.pointwise(own_y, own, gradient)
            if are_learned[k]:
                log = np.clip(raw[known, first_log + k], *LOG_STD_LIMITS)
                precision = np.exp(-log)
                own_value *= precision
                gradient *= precision[:, np.newaxis]
                gradient_out[known, first_log + k] = weight * (0.5 - own_value)
                own_value += 0.5 * log
            value[known] += weight * own_value
            gradient_out[known, columns] = weight * gradient
        return value

    def weigh_steps(self, raw: Array, gradient: Array) -> None:
        for loss, columns, _ in self.each():
            loss.weigh_steps(raw[:, columns], gradient[:, columns])


class CellError(SquaredError):
    """l = (raw - y)^2 / 2, summed over the columns of a row that are not NaN."""

    def _best_number(self, y: Array) -> Array:
        return np.zeros(y.shape[1], y.dtype)

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        return super().pointwise(np.where(np.isnan(y), raw, y), raw, gradient_out)


@dataclass(frozen=True)
class LevelLogLoss(Loss):
    """l = log sum_k exp(raw_k) - raw_y, where the single column y is the position of a level.

    Parameters
    ----------
    n_levels : int
        The number of levels, each of which has a raw prediction.
    """

    n_levels: int

    @property
    def link(self) -> Link:
        return JointLink(((Softmax(), self.n_levels),))

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        chosen = (y == np.arange(self.n_levels)).astype(raw.dtype)
        return MultinomialLogLoss().pointwise(chosen, raw, gradient_out)


def loss_of_cells(n_numbers: int, n_levels: Sequence[int]) -> JointLoss:
    """Return the mean loss over the columns of a table: numbers, then positions of levels."""
    losses: list[tuple[Loss, int]] = [(CellError(), n_numbers)] if n_numbers else []
    losses += [(LevelLogLoss(n), 1) for n in n_levels]
    n_columns = sum(n for _, n in losses)
    return JointLoss(tuple(losses), (1 / n_columns,) * len(losses))
