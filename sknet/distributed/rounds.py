"""Local SGD: what one worker does in a round, and how the workers' results become one.

Nothing here knows of Dask. All functions are pure: the same arguments give the same numbers on
any worker, as often as they are called, so that a round that was lost can be made again.
"""

from dataclasses import dataclass, replace

import numpy as np

from sknet.data.batches import Batches
from sknet.nn.network import Workspace
from sknet.nn.objective import Objective
from sknet.nn.training import Epoch, TrainingState, UpdateRule


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

    def __sizeof__(self):
        # By which Dask judges what it costs to move this.
        return self.params.nbytes


@dataclass(frozen=True)
class LocalResult:
    """Where a worker's steps have led; without any rows the parameters are None."""

    params: np.ndarray | None
    loss: float
    weight: float
    learning_rate: float

    def __sizeof__(self):
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

    def start(self, point, previous):
        """Return the parameters that a round starts at."""
        if not self.momentum:
            return point.params
        return point.params + self.momentum * (point.params - previous.params)

    def __call__(self, point, previous, results):
        """Return the next point."""
        results = [result for result in results if result.params is not None]
        weight = sum(result.weight for result in results)
        # In float64, where the mean of equal float32 numbers is that number: weights that are
        # zero everywhere stay zero.
        mean = sum(result.weight * result.params.astype(np.float64) for result in results)
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


class Shard:
    """The rows that one worker trains on, and all that it takes to do so.

    Parameters
    ----------
    objective : Objective
    rule : UpdateRule
        Of the inner optimizer, which starts anew in each round.
    batches : Batches
        The training rows.
    validation : Batches or None
        The rows held out.
    shuffle : bool
    seed : tuple of int
        That of the fit and the number of the shard: randomness belongs to the shard, and not
        to the worker that happens to hold it.
    weight, validation_weight : float
        Sums of the rows' weights.
    """

    def __init__(
        self,
        objective: Objective,
        rule: UpdateRule,
        batches: Batches,
        validation: Batches | None,
        *,
        shuffle: bool,
        seed: tuple[int, int],
        weight: float,
        validation_weight: float,
    ):
        self.objective = objective
        self.rule = replace(rule, ema_decay=None)
        self.batches = batches
        self.validation = validation
        self.shuffle = shuffle
        self.seed = seed
        self.weight = weight
        self.validation_weight = validation_weight
        self._order: tuple[int, np.ndarray] | None = None

    def __sizeof__(self):
        X = self.batches.data.X
        return X.data.nbytes if hasattr(X, "indptr") else X.nbytes

    def __getstate__(self):
        return {**vars(self), "_order": None}

    def train(self, start, round_):
        """Make a round's share of an epoch's steps from ``start`` on."""
        rows = self._rows(round_)
        if not rows.size:
            return LocalResult(None, 0.0, 0.0, np.nan)
        params = start.copy()
        dropout, augmentation = self._rng(round_.epoch, 1 + round_.number).spawn(2)
        state = TrainingState.start(self.rule.optimizer, params, dropout)
        state.iteration = round_.epoch * round_.per_epoch + round_.number
        state.samples_seen = round_.samples_seen
        state.plateau_factor = round_.plateau_factor
        n_rounds = round_.max_iter * round_.per_epoch
        batches = self.batches.choose(rows, augmentation)
        epoch = Epoch(self.objective, params, batches, self.rule, n_rounds, state)
        # As in ``train``: overflow is looked for once an epoch.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss = epoch.run()
        weight = self.weight * rows.size / self.batches.n_rows
        return LocalResult(params, loss, weight, epoch.learning_rate)

    def evaluate(self, params):
        """Return the loss of the rows held out, and the sum of their weights."""
        if self.validation is None:
            return 0.0, 0.0
        workspace = Workspace(self.objective.network, self.validation.batch_size, params.dtype)
        loss = self.objective.mean_loss(params, self.validation, workspace)
        return loss, self.validation_weight

    def _rng(self, epoch, purpose):
        """Return the generator of a round, counted from 1, or of the epoch's order, 0."""
        return np.random.default_rng((*self.seed, epoch, purpose))

    def _rows(self, round_):
        """Return the rows of a round's batches: a stretch of the epoch's random order."""
        n_batches, batch_size = len(self.batches), self.batches.batch_size
        first, stop = (
            n_batches * number // round_.per_epoch * batch_size
            for number in (round_.number, round_.number + 1)
        )
        return self._epoch_order(round_.epoch)[first:stop]

    def _epoch_order(self, epoch):
        """Return the order of the rows, remembered from one round to the next."""
        n_rows = self.batches.n_rows
        if not self.shuffle:
            return np.arange(n_rows)
        known = self._order
        if known is None or known[0] != epoch:
            known = self._order = epoch, self._rng(epoch, 0).permutation(n_rows)
        return known[1]
