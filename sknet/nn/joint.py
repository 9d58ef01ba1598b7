"""The loss and the link of a network with several targets: a sum over those of each target.

Each target has columns of y and raw predictions of its own, side by side. NaN in a column of y
is a target that a row lacks. The row then has no part in the loss of that target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet.nn.kernels import Array
from sknet.nn.links import LOG_STD_LIMITS, Change, Link
from sknet.nn.losses import Loss
from sknet.nn.rules import NOT_NEGATIVE_INT, POSITIVE, POSITIVE_INT, TupleOf, instance_of

#: The limits of a learned logarithm s, which only data that are fitted exactly would pass.
LOG_LIMITS = LOG_STD_LIMITS

LINKS = TupleOf("a tuple of links, not empty", instance_of(Link), least=1)
LOSSES = TupleOf("a tuple of losses, not empty", instance_of(Loss), least=1)
COUNTS = TupleOf("a tuple of integers >= 1", POSITIVE_INT, least=1)
FACTORS = TupleOf("a tuple of numbers > 0", POSITIVE, least=1)


def stretches(sizes: Sequence[int]) -> list[slice]:
    """Return the places of consecutive stretches of so many columns."""
    return [slice(*pair) for pair in pairwise(accumulate(sizes, initial=0))]


@dataclass(frozen=True)
class JointLink(Link):
    """The links of several targets, each of its own raw predictions.

    Parameters
    ----------
    links : tuple of Link
    n_outputs : tuple of int
        The number of columns of y of each target.
    n_logs : int, default=0
        The number of raw predictions at the end that are the same for all rows, and that no
        prediction is made of.
    """

    links: Annotated[tuple[Link, ...], LINKS]
    n_outputs: Annotated[tuple[int, ...], COUNTS]
    n_logs: Annotated[int, NOT_NEGATIVE_INT] = 0
    out_activation = "joint"
    exclusive = False

    @property
    def _pairs(self) -> list[tuple[Link, int]]:
        return list(zip(self.links, self.n_outputs, strict=True))

    @property
    def columns(self) -> list[slice]:
        """The places of the raw predictions of each target."""
        return stretches([link.n_raw(n) for link, n in self._pairs])

    @property
    def _logs(self) -> list[int]:
        stop = self.columns[-1].stop
        return list(range(stop, stop + self.n_logs))

    def n_raw(self, n_outputs: int) -> int:
        return self.columns[-1].stop + self.n_logs

    def n_predicted(self, n_outputs: int) -> int:
        return sum(link.n_predicted(n) for link, n in self._pairs)

    def unpromised(self, n_raw: int) -> tuple[int, ...]:
        found = [
            columns.start + i
            for (link, n), columns in zip(self._pairs, self.columns, strict=True)
            for i in link.unpromised(link.n_raw(n))
        ]
        return (*found, *self._logs)

    def constant(self, n_raw: int) -> tuple[int, ...]:
        return tuple(self._logs)

    def _parts(self, raw: Array) -> list[tuple[Link, Array]]:
        pairs = zip(self.links, self.columns, strict=True)
        return [(link, raw[..., columns]) for link, columns in pairs]

    def inverse(self, raw: Array) -> Array:
        found = [link.inverse(own) for link, own in self._parts(raw)]
        return np.concatenate(found, axis=-1)

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        gradient = np.zeros_like(raw)
        predicted = stretches([link.n_predicted(n) for link, n in self._pairs])
        for (link, own), columns, places in zip(
            self._parts(raw), self.columns, predicted, strict=True
        ):
            gradient[..., columns] = link.inverse_backward(own, delta[..., places])
        return gradient

    def mean_of_members(self, members: Array) -> Array:
        found = [link.mean_of_members(own) for link, own in self._parts(members)]
        return np.concatenate([*found, members[..., self._logs].mean(axis=1)], axis=-1)

    def with_certainty(self, factor: Any, n_raw: int) -> Change:
        """Return the change for a factor of each target."""
        changes = [
            link.with_certainty(own, link.n_raw(n))
            for (link, n), own in zip(self._pairs, factor, strict=True)
        ]
        return self.joined(changes)

    def joined(self, changes: Sequence[Change | None]) -> Change:
        """Return the change of all raw predictions, given that of each target or None."""
        factor, shift = np.ones(self.n_raw(0)), np.zeros(self.n_raw(0))
        for columns, change in zip(self.columns, changes, strict=True):
            if change is not None:
                factor[columns], shift[columns] = change
        return factor, shift


class Part(NamedTuple):
    """A target in a batch: its number, which rows have it, its columns, and its loss."""

    number: int
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
    with s_k = log sigma_k^2. The best s_k is log(2 l_k), so that a target with a large mean
    loss, which is mostly noise, has a small weight.

    Parameters
    ----------
    losses : tuple of Loss
    n_outputs : tuple of int
        The number of columns of y of each target.
    weights : tuple of float > 0
        The weight w_k of each target, over the share of the training rows that have it.
    learned : bool, default=False
    """

    losses: Annotated[tuple[Loss, ...], LOSSES]
    n_outputs: Annotated[tuple[int, ...], COUNTS]
    weights: Annotated[tuple[float, ...], FACTORS]
    learned: bool = False
    task = "several targets"

    @property
    def link(self) -> JointLink:
        links = tuple(loss.link for loss in self.losses)
        return JointLink(links, self.n_outputs, len(links) if self.learned else 0)

    @property
    def has_temperature(self) -> bool:  # type: ignore[override]
        return any(loss.has_temperature for loss in self.losses)

    def parts(self, y: Array) -> Iterator[Part]:
        """Yield the parts of a batch with encoded targets ``y``."""
        places = zip(stretches(self.n_outputs), self.link.columns, self.losses, strict=True)
        for number, (outputs, columns, loss) in enumerate(places):
            known = ~np.isnan(y[:, outputs.start])
            yield Part(number, known, y[known, outputs], columns, loss)

    def constant(self, y: Array) -> Array:
        raw = np.zeros(self.link.n_raw(y.shape[1]), y.dtype)
        for part in self.parts(y):
            if len(part.y):
                raw[part.columns] = part.loss.constant(part.y)
        return raw

    def pointwise(self, y: Array, raw: Array, gradient_out: Array) -> Array:
        value = np.zeros(len(raw), raw.dtype)
        gradient_out[...] = 0
        for number, known, own_y, columns, loss in self.parts(y):
            own = np.ascontiguousarray(raw[known, columns])
            gradient = np.empty_like(own)
            loss_of_rows = loss.pointwise(own_y, own, gradient)
            weight = self.weights[number]
            if self.learned:
                place = columns_of_logs(raw, len(self.losses))[number]
                log = np.clip(raw[known, place], *LOG_LIMITS)
                precision = np.exp(-log)
                loss_of_rows = precision * loss_of_rows
                gradient *= precision[:, np.newaxis]
                gradient_out[known, place] = weight * (0.5 - loss_of_rows)
                loss_of_rows += 0.5 * log
            value[known] += weight * loss_of_rows
            gradient_out[known, columns] = weight * gradient
        return value

    def weigh_steps(self, raw: Array, gradient: Array) -> None:
        for loss, columns in zip(self.losses, self.link.columns, strict=True):
            loss.weigh_steps(raw[:, columns], gradient[:, columns])


def columns_of_logs(raw: Array, n_targets: int) -> range:
    """Return the places of the learned logarithms, which are the last raw predictions."""
    return range(raw.shape[1] - n_targets, raw.shape[1])
