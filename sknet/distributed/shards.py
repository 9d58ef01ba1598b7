"""Shards: their rows, and their steps in a round of local SGD.

Nothing here knows about Dask. All functions are pure: the same arguments give the same numbers
on any worker, as often as they are called, so that a lost result can be computed again.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sknet._fitting import fit_network, split_off_validation
from sknet._input import Features, read_rows
from sknet._model import Model
from sknet._monitoring import HeldOut, raw_predictions
from sknet._run import ONE_BLAS_THREAD, Run
from sknet.data.batches import Batch, Batches, Dataset, join, start_of_part
from sknet.data.draws import same_rows
from sknet.data.kinds import naming
from sknet.nn.budget import Budget
from sknet.nn.epochs import Epoch
from sknet.nn.network import Workspace
from sknet.nn.soundness import Probe
from sknet.nn.state import Horizon, TrainingResult, TrainingState

#: A partition: its number, X, y and sample_weight.
Partition = tuple[int, Any, Any, Any]


class Round(NamedTuple):
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
        The number of epochs, and how far along the plan each of them is.
    samples_seen : int
        The number of rows in all earlier epochs, with repetition.
    plateau_factor : float
        The factor of the learning rate that the schedule "adaptive" lowers.
    left_out : float
        The number of planned epochs that were left out to meet a time limit.
    unexplained : float
        The share of the variance of y that the best epoch does not explain.
    """

    epoch: int
    number: int
    per_epoch: int
    horizon: Horizon
    samples_seen: int
    plateau_factor: float
    left_out: float = 0.0
    unexplained: float = 1.0


class Point(NamedTuple):
    """The parameters after a round: those of one shard, or those that all shards share.

    Attributes
    ----------
    params : ndarray of shape (n_params,)
    loss : float
        The weighted sum of the objective of the shard's rows in the round; for a shared point,
        of all rows since the training began.
    weight : float
        The sum of the weights of these rows, which is zero if the shard has none in the round.
    learning_rate : float
        The learning rate of the last step of the round.
    """

    params: np.ndarray
    loss: float = 0.0
    weight: float = 0.0
    learning_rate: float = np.nan


class InnerState(NamedTuple):
    """The state of a shard's optimizer after a round, from which the next round continues.

    Attributes
    ----------
    slots : ndarray of shape (n_slots, n_params)
        The vectors of the optimizer, such as the moments of adam.
    n_updates : int
        The number of steps that the optimizer has taken.
    """

    slots: np.ndarray
    n_updates: int


class LocalRound(NamedTuple):
    """What a shard has after a round: a result for all shards, and a state that it keeps."""

    result: Point
    inner: InnerState | None


@dataclass(eq=False)
class Shard:
    """The rows that one worker trains on, with the model that all shards train.

    Parameters
    ----------
    model : Model
    batches : Batches
        The training rows, in their order, without random changes.
    validation : Batches or None
        The rows that are held out for validation.
    seed : tuple of int
        The seed of the fit and the number of the shard. Random numbers depend on the shard and
        not on the worker, so that another worker can compute a lost result again.
    weight, validation_weight : float
        The sums of the weights of the training rows and of the validation rows.
    """

    model: Model
    batches: Batches
    validation: Batches | None
    seed: tuple[int, int]
    weight: float
    validation_weight: float
    _order: tuple[int, np.ndarray] | None = None

    def __sizeof__(self) -> int:
        # From this number, Dask estimates the cost of moving the object.
        X = self.batches.data.X
        return X.data.nbytes if hasattr(X, "indptr") else X.nbytes

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_order": None}

    def train(self, start: np.ndarray, round_: Round, inner: InnerState | None) -> LocalRound:
        """Return what the shard has after the steps of a round, which begin at ``start``.

        ``inner`` is the state of the optimizer after the shard's last round; None stands for a
        new optimizer.
        """
        rows = self._rows(round_)
        if not rows.size:
            return LocalRound(Point(start), inner)
        params, model = start.copy(), self.model
        # The client keeps the running average, which is that of the shared parameters.
        rule = replace(model.update_rule, ema_decay=None)
        dropout, changes = self._rng(round_.epoch, 1 + round_.number).spawn(2)
        state = TrainingState.start(rule.optimizer, params, dropout)
        if inner is not None:
            state.slots, state.n_updates = inner.slots.copy(), inner.n_updates
        state.iteration = round_.epoch * round_.per_epoch + round_.number
        state.left_out = round_.left_out * round_.per_epoch
        state.samples_seen = round_.samples_seen
        state.plateau_factor = round_.plateau_factor
        state.unexplained = round_.unexplained
        horizon = round_.horizon.in_rounds(round_.per_epoch)
        data, augment = self.batches.data.choose(rows), model.augmentation(changes)
        batches = replace(self.batches, data=data, augment=augment)
        epoch = Epoch(params, rule, horizon, state, model.objective, batches)
        # NumPy need not warn about each overflow: the result is checked after each epoch.
        with ONE_BLAS_THREAD, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss = sum(epoch.run())
        weight = self.weight * rows.size / self.batches.n_rows
        result = Point(params, weight * loss, weight, epoch.learning_rate)
        return LocalRound(result, InnerState(state.slots, state.n_updates))

    def sizes(self) -> tuple[int, int, int]:
        """Return the numbers of training rows, of validation rows and of batches."""
        n_validation = 0 if self.validation is None else self.validation.n_rows
        return self.batches.n_rows, n_validation, len(self.batches)

    def evaluate(self, point: Point | None) -> tuple[float, float]:
        """Return the mean loss of the validation rows, and the sum of their weights.

        None stands for a constant prediction.
        """
        if self.validation is None:
            return 0.0, 0.0
        objective, n_rows = self.model.objective, self.validation.batch_size
        with ONE_BLAS_THREAD:
            if point is None:
                return objective.constant_losses(self.validation)[0], self.validation_weight
            workspace = Workspace(self.model.network, n_rows, self.model.params.dtype)
            loss = objective.mean_loss(point.params, self.validation, workspace)
        return loss, self.validation_weight

    def constant_loss(self) -> tuple[float, float]:
        """Return the mean loss of the validation rows for a constant, and their weight."""
        if self.validation is None:
            return 0.0, 0.0
        with ONE_BLAS_THREAD:
            loss = self.model.objective.least_constant_loss(self.validation)
        return loss, self.validation_weight

    def least_loss(self) -> tuple[float, float]:
        """Return the training loss of the best predictions, and the weight of the shard."""
        rows = self.batches.data
        least = np.average(self.model.loss.least(rows.y), weights=rows.sample_weight)
        return float(least), self.weight

    def predictions(
        self, point: Point, share: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return the raw predictions, targets and weights of a share of the validation rows.

        They are always the same rows. None if the shard has no validation rows.
        """
        if self.validation is None:
            return None
        rows = same_rows(self.validation.data, math.ceil(share * self.validation.n_rows))
        model, batches = self.model.with_params(point.params), self.validation
        with ONE_BLAS_THREAD:
            raw = raw_predictions(model, replace(batches, data=rows))
        # The weights of the shard's rows were divided by their mean.
        unit = self.validation_weight / batches.n_rows
        weight = np.ones(rows.n_rows) if rows.sample_weight is None else rows.sample_weight
        return raw, rows.y, unit * weight.astype(np.float64)

    def probe_loss(self, point: Point | None) -> tuple[float, float]:
        """Return the mean loss of some training rows, and the weight of the shard.

        The result of training is checked on these rows. None stands for a constant prediction.
        """
        probe = Probe(self.model.objective, self.batches)
        return probe.constant_loss() if point is None else probe.loss(point.params), self.weight

    def _rng(self, epoch: int, purpose: int) -> np.random.Generator:
        """Return a generator of an epoch: purpose 0 is the rows' order, n + 1 is round n."""
        return np.random.default_rng((*self.seed, epoch, purpose))

    def _rows(self, round_: Round) -> np.ndarray:
        """Return the rows of a round's batches, which are consecutive in the epoch's order."""
        n_batches, n_rows = len(self.batches), self.batches.n_rows
        first, stop = (
            start_of_part(n_batches * number // round_.per_epoch, n_batches, n_rows)
            for number in (round_.number, round_.number + 1)
        )
        return self._epoch_order(round_.epoch)[first:stop]

    def _epoch_order(self, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch, and keep it for its other rounds."""
        n_rows = self.batches.n_rows
        if not self.model.settings.shuffle:
            return np.arange(n_rows)
        known = self._order
        if known is None or known[0] != epoch:
            known = self._order = epoch, self._rng(epoch, 0).permutation(n_rows)
        return known[1]


def make_shard(
    model: Model, features: Features, number: int, seed: int, partitions: Sequence[Partition]
) -> Shard:
    """Return the shard of some partitions.

    Parameters
    ----------
    model : Model
        The model that all shards train.
    features : Features
        The columns of the table.
    number : int
        The number of the shard.
    seed : int
        The seed of the fit.
    partitions : sequence of (number, X, y, sample_weight)
        The partitions, with the weights that training uses.
    """
    data, held_out = _read_all(features, partitions), None
    # A shard with too few rows holds none of them out, since others may have enough.
    if data.n_rows * model.settings.split.fraction >= 1 and data.n_rows >= 3:
        split_seed = int(np.random.default_rng((seed, number)).integers(2**31))
        data, held_out = split_off_validation(model, data, split_seed)
    batches = replace(model.blocks(data, math.inf), batch_size=model.settings.batch_size)
    validation = held_out and model.blocks(held_out, math.inf, smooth=False)
    weight, held_weight = _sum_of_weights(data), _sum_of_weights(held_out) if held_out else 0.0
    return Shard(model, batches, validation, (seed, number), weight, held_weight)


def train_alone(
    model: Model,
    features: Features,
    run: Run,
    budget: Budget | None,
    partitions: Sequence[Partition],
) -> tuple[TrainingResult, int]:
    """Train on all partitions on one worker, like a local fit without cross-fitting.

    Parameters
    ----------
    model : Model
    features : Features
        The columns of the table.
    run : Run
        A run that has not begun. It is not changed.
    budget : Budget or None
        The time that the fit may take. It is not changed.
    partitions : sequence of (number, X, y, sample_weight)

    Returns
    -------
    result : TrainingResult
    n_validation : int
        The number of rows that early stopping held out.
    """
    # Dask may compute this again from the same run.
    run, budget = copy.deepcopy((run, budget))
    rows = _read_all(features, partitions)
    data, held_out = split_off_validation(model, rows, run.split_seed)
    held = held_out and HeldOut(held_out, of_training=True)
    result = fit_network(model, data, held, run, encoded_bytes=math.inf, budget=budget)
    return result, 0 if held_out is None else held_out.n_rows


def read_partition(features: Features, partition: Partition) -> Dataset:
    """Return the rows of positive weight of a partition, given the features of the table.

    Raises
    ------
    ValueError
        If the rows are not valid, as in ``fit``. The message has the number of the partition.
    """
    number, X, y, sample_weight = partition
    with naming(f"Partition {number}"):
        return read_rows(features, Batch(X, y, sample_weight))


def _read_all(features: Features, partitions: Sequence[Partition]) -> Dataset:
    """Return the rows of all partitions, whose weights include the weights of the classes."""
    return Dataset(*join([read_partition(features, one).batch() for one in partitions]))


def _sum_of_weights(data: Dataset) -> float:
    """Return the sum of the weights of the rows."""
    weight = data.sample_weight
    return float(data.n_rows if weight is None else weight.sum())
