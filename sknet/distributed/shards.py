"""Shards: the rows that one worker trains on, and its part of a round.

Nothing here knows of Dask.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sknet._batching import mini_batches, validation_blocks
from sknet._fitting import Problem, Run, fit_batches, split_off_validation
from sknet._input import Features
from sknet._model import Model
from sknet._monitoring import HeldOut
from sknet._settings import Settings
from sknet.data.batches import Batches, Dataset, join
from sknet.data.splitting import split_rows
from sknet.distributed.agreement import read_partition
from sknet.distributed.rounds import LocalResult, Round
from sknet.nn.network import Workspace
from sknet.nn.objective import Objective
from sknet.nn.training import Epoch, TrainingResult, TrainingState, UpdateRule

#: A partition: its number, X, y and sample_weight.
Partition = tuple[int, Any, Any, Any]


def share_out(sizes: Sequence[int], n_shards: int) -> list[list[int]]:
    """Return for each shard the positions of its partitions.

    They are neighbours, each shard has at least one, and its rows come as near to an equal
    share as the order allows.
    """
    ends = np.cumsum(sizes)
    goals = ends[-1] * np.arange(1, n_shards) / n_shards
    cuts = np.searchsorted(ends - np.asarray(sizes) / 2, goals)
    # One partition each, at the least, for those before a cut and for those after it.
    number = np.arange(1, n_shards)
    cuts = np.maximum.accumulate(np.maximum(cuts, number) - number) + number
    cuts = np.minimum(cuts, len(sizes) - n_shards + number)
    return [list(part) for part in np.split(np.arange(len(sizes)), cuts)]


def most_shards(settings: Settings, n_rows: int, local_steps: int) -> int:
    """Return how many shards can take ``local_steps`` full mini-batches an epoch, at least 1.

    In shorter rounds the inner optimizer, which begins anew in each, learns too little.
    """
    held_out = settings.validation_fraction if settings.early_stopping else 0
    n_batches = n_rows * (1 - held_out) / settings.batch_size
    return max(1, int(n_batches / local_steps))


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
        self.rule: UpdateRule = replace(rule, ema_decay=None)
        self.batches = batches
        self.validation = validation
        self.shuffle = shuffle
        self.seed = seed
        self.weight = weight
        self.validation_weight = validation_weight
        self._order: tuple[int, np.ndarray] | None = None

    def __sizeof__(self) -> int:
        X = self.batches.data.X
        return X.data.nbytes if hasattr(X, "indptr") else X.nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_order": None}

    def train(self, start: np.ndarray, round_: Round) -> LocalResult:
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
        # As in ``train``, overflow is looked for once an epoch.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss = epoch.run()
        weight = self.weight * rows.size / self.batches.n_rows
        return LocalResult(params, loss, weight, epoch.learning_rate)

    def evaluate(self, params: np.ndarray) -> tuple[float, float]:
        """Return the loss of the rows held out, and the sum of their weights."""
        if self.validation is None:
            return 0.0, 0.0
        workspace = Workspace(self.objective.network, self.validation.batch_size, params.dtype)
        loss = self.objective.mean_loss(params, self.validation, workspace)
        return loss, self.validation_weight

    def _rng(self, epoch: int, purpose: int) -> np.random.Generator:
        """Return the generator of a round, counted from 1, or of the epoch's order, 0."""
        return np.random.default_rng((*self.seed, epoch, purpose))

    def _rows(self, round_: Round) -> np.ndarray:
        """Return the rows of a round's batches: a stretch of the epoch's random order."""
        n_batches, batch_size = len(self.batches), self.batches.batch_size
        first, stop = (
            n_batches * number // round_.per_epoch * batch_size
            for number in (round_.number, round_.number + 1)
        )
        return self._epoch_order(round_.epoch)[first:stop]

    def _epoch_order(self, epoch: int) -> np.ndarray:
        """Return the order of the rows, remembered from one round to the next."""
        n_rows = self.batches.n_rows
        if not self.shuffle:
            return np.arange(n_rows)
        known = self._order
        if known is None or known[0] != epoch:
            known = self._order = epoch, self._rng(epoch, 0).permutation(n_rows)
        return known[1]


def make_shard(
    model: Model,
    features: Features,
    number: int,
    seed: int,
    partitions: Sequence[Partition],
) -> Shard:
    """Return a shard of the given partitions.

    Parameters
    ----------
    model : Model
        The model that all shards train.
    features : Features
        The columns of all partitions.
    number : int
        The number of the shard.
    seed : int
        The seed of the fit.
    partitions : sequence of (number, X, y, sample_weight)
    """
    data, held_out = _hold_out(model, _read_all(model, features, partitions), (seed, number))
    problem = Problem.of(model)
    no_streams = {"shuffle": None, "augmentation": None}
    return Shard(
        problem.objective,
        problem.rule,
        mini_batches(model, data, no_streams, encoded_bytes=math.inf),
        held_out and validation_blocks(model, held_out, encoded_bytes=math.inf),
        shuffle=model.settings.shuffle,
        seed=(seed, number),
        weight=_sum_of_weights(data),
        validation_weight=_sum_of_weights(held_out) if held_out else 0.0,
    )


def train_alone(
    model: Model, features: Features, run: Run, partitions: Sequence[Partition]
) -> TrainingResult:
    """Return the result of training on all partitions in one place, as a local fit does.

    Parameters
    ----------
    model : Model
    features : Features
        The columns of all partitions.
    run : Run
        One that has not begun.
    partitions : sequence of (number, X, y, sample_weight)
    """
    # If Dask makes this again, it must find the run as it was.
    run = copy.deepcopy(run)
    rows = _read_all(model, features, partitions)
    data, held_out = split_off_validation(model, rows, run.split_seed)
    batches = mini_batches(model, data, run.streams, encoded_bytes=math.inf)
    held = held_out and HeldOut(held_out)
    return fit_batches(model, batches, held, run)


def _read_all(model: Model, features: Features, partitions: Sequence[Partition]) -> Dataset:
    """Return the rows of all partitions, with their weights."""
    parts = [read_partition(features, *part) for part in partitions]
    data = Dataset(*join([part.batch() for part in parts]))
    return model.weighted(data, data.y)


def _hold_out(
    model: Model, data: Dataset, seed: tuple[int, int]
) -> tuple[Dataset, Dataset | None]:
    """Return the rows to train on, and the rows to validate with or None."""
    settings = model.settings
    fraction = settings.validation_fraction
    # A share of too few rows in one shard may be enough in all shards together.
    if not settings.early_stopping or data.n_rows * fraction < 1 or data.n_rows < 3:
        return data, None
    state = int(np.random.default_rng(seed).integers(2**31))
    training, held_out = split_rows(data.n_rows, fraction, model.strata(data.y), state)
    return data.choose(training), data.choose(held_out)


def _sum_of_weights(data: Dataset) -> float:
    weight = data.sample_weight
    return float(data.n_rows if weight is None else weight.sum())
