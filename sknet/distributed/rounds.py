"""Rounds of local SGD: their place in the training, their results, and the outer step.

Nothing here knows of Dask. All functions are pure: the same arguments give the same numbers on
any worker, as often as they are called, so that a lost round can be computed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sknet.nn.network import Network
from sknet.nn.state import Horizon


@dataclass(frozen=True)
class Round:
    """The place of a round in the training.

    Attributes
    ----------
    epoch : int
        The number of the epoch, from 0.
    number : int
        The number of the round in its epoch, from 0.
    per_epoch : int
        The number of rounds in each epoch.
    horizon : Horizon
        The number of epochs, and how far each of them is on in the plan.
    samples_seen : int
        The number of rows in all earlier epochs, with repetition.
    plateau_factor : float
        The factor of the learning rate that the schedule "adaptive" lowers.
    """

    epoch: int
    number: int
    per_epoch: int
    horizon: Horizon
    samples_seen: int
    plateau_factor: float


@dataclass(frozen=True)
class Point:
    """The parameters that all shards share after a round.

    Attributes
    ----------
    params : ndarray of shape (n_params,)
    loss : float
        The weighted sum of the losses of all rows since the training began.
    weight : float
        The sum of the weights of these rows.
    learning_rate : float
        The learning rate of the last step of the round.
    """

    params: np.ndarray
    loss: float = 0.0
    weight: float = 0.0
    learning_rate: float = np.nan

    def __sizeof__(self) -> int:
        # From this number Dask estimates the cost of moving the object.
        return self.params.nbytes


@dataclass(frozen=True)
class LocalResult:
    """The result of a shard's steps in a round.

    Attributes
    ----------
    params : ndarray of shape (n_params,) or None
        The parameters after the steps; None if the shard has no rows in this round.
    loss : float
        The mean loss of the shard's rows in this round.
    weight : float
        The weight of the shard, times the share of its rows that are in this round.
    learning_rate : float
        The learning rate of the last step.
    """

    params: np.ndarray | None
    loss: float
    weight: float
    learning_rate: float

    def __sizeof__(self) -> int:
        return 0 if self.params is None else self.params.nbytes


@dataclass(frozen=True)
class InnerState:
    """The state of a shard's optimizer after a round, with which the next round goes on.

    Attributes
    ----------
    slots : ndarray of shape (n_slots, n_params)
        The vectors of the optimizer, such as the moments of adam.
    n_updates : int
        The number of steps that the optimizer has made.
    """

    slots: np.ndarray
    n_updates: int

    def __sizeof__(self) -> int:
        return self.slots.nbytes


class LocalRound(NamedTuple):
    """What a shard has after a round: the result for all, and a state that stays with it."""

    result: LocalResult
    inner: InnerState | None


@dataclass(frozen=True)
class OuterStep:
    """The step that moves the shared parameters towards the mean of the shards' parameters.

    With the shared points x_0, x_1, ..., round t starts at z_t = x_t + mu (x_t - x_{t-1}), and
    x_{t+1} = (1 - eta) z_t + eta (weighted mean of the shards' parameters). This is Nesterov's
    momentum as Sutskever, Martens, Dahl and Hinton (2013) write it, with z_t - mean in place of
    the gradient: the outer optimizer of DiLoCo (Douillard et al., 2023, algorithm 1). The
    velocity is the difference of two shared points, so no worker keeps it. With eta = 1 and
    mu = 0, the step is plain averaging.

    Parameters
    ----------
    learning_rate : float
        eta in these formulas.
    momentum : float
        mu in these formulas.
    network : Network or None, default=None
        The network, if its parameters have bounds: both formulas may leave these, and their
        results are moved back.
    """

    learning_rate: float
    momentum: float
    network: Network | None = None

    def start(self, point: Point, previous: Point) -> np.ndarray:
        """Return the parameters at which a round starts, given the last two points."""
        if not self.momentum:
            return point.params
        return self._inside(point.params + self.momentum * (point.params - previous.params))

    def _inside(self, params: np.ndarray) -> np.ndarray:
        """Move parameters into their bounds, in place, and return them."""
        if self.network is not None:
            self.network.project(params)
        return params

    def end(self, point: Point, previous: Point, results: Sequence[LocalResult]) -> Point:
        """Return the next point, given the last two points and the results of all shards."""
        results = [result for result in results if result.params is not None]
        weight = sum(result.weight for result in results)
        # The sum is in float64: the mean of equal float32 numbers then rounds to that number.
        mean = np.zeros(point.params.size)
        for result in results:
            mean += result.weight * np.asarray(result.params, dtype=np.float64)
        mean /= weight
        if self.learning_rate != 1:
            start = self.start(point, previous)
            mean = (1 - self.learning_rate) * start + self.learning_rate * mean
        return Point(
            self._inside(mean.astype(point.params.dtype)),
            point.loss + sum(result.weight * result.loss for result in results),
            point.weight + weight,
            results[0].learning_rate,
        )
