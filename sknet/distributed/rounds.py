"""Local SGD: the place of a round in the training, and the step that joins its results.

Nothing here knows of Dask. All functions are pure: the same arguments give the same numbers on
any worker, as often as they are called, so that a lost round can be computed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Round:
    """Where in the training a round stands.

    ``number`` counts the rounds of an epoch from 0 up to ``per_epoch``; ``samples_seen`` counts
    the rows of all earlier epochs.
    """

    epoch: int
    number: int
    per_epoch: int
    max_iter: int
    samples_seen: int
    plateau_factor: float


@dataclass(frozen=True)
class Point:
    """Parameters that all workers share, and how the epoch has gone up to here.

    ``loss`` is the sum of the rows' losses, weighted, and ``weight`` the sum of the weights.
    """

    params: np.ndarray
    loss: float = 0.0
    weight: float = 0.0
    learning_rate: float = np.nan

    def __sizeof__(self) -> int:
        # Dask judges by this number what it costs to move the object.
        return self.params.nbytes


@dataclass(frozen=True)
class LocalResult:
    """Where a worker's steps have led; without any rows the parameters are None."""

    params: np.ndarray | None
    loss: float
    weight: float
    learning_rate: float

    def __sizeof__(self) -> int:
        return 0 if self.params is None else self.params.nbytes


@dataclass(frozen=True)
class OuterStep:
    """How the mean of the workers' parameters moves the shared ones.

    With the shared points x_0, x_1, ..., round t starts at z_t = x_t + mu (x_t - x_{t-1}), and
    x_{t+1} = (1 - eta) z_t + eta (mean of the workers' parameters). This is Nesterov's momentum
    as Sutskever, Martens, Dahl and Hinton (2013) write it, with z_t - mean for the gradient:
    the outer optimizer of DiLoCo (Douillard et al., 2023, algorithm 1). Its velocity is the
    difference of two shared points, so no worker keeps anything that another lacks. eta = 1 and
    mu = 0 is plain averaging.
    """

    learning_rate: float
    momentum: float

    def start(self, point: Point, previous: Point) -> np.ndarray:
        """Return the parameters that a round starts at."""
        if not self.momentum:
            return point.params
        return point.params + self.momentum * (point.params - previous.params)

    def __call__(self, point: Point, previous: Point, results: Sequence[LocalResult]) -> Point:
        """Return the next point, given the results of all shards."""
        results = [result for result in results if result.params is not None]
        weight = sum(result.weight for result in results)
        # The sum is in float64, where the mean of equal float32 numbers is that number, so that
        # weights that are zero in all shards stay zero.
        mean = np.zeros(point.params.size)
        for result in results:
            mean += result.weight * np.asarray(result.params, dtype=np.float64)
        mean /= weight
        if self.learning_rate != 1:
            start = self.start(point, previous)
            mean = (1 - self.learning_rate) * start + self.learning_rate * mean
        return Point(
            mean.astype(point.params.dtype),
            point.loss + sum(result.weight * result.loss for result in results),
            point.weight + weight,
            results[0].learning_rate,
        )
