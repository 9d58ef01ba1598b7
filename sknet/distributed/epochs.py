"""Epochs on a cluster: the division of a table into shards, the rounds, and the outer step.

All work is done by tasks that are pure functions, so that Dask can compute a result again if it
is lost with a worker.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from sknet._auto import LARGEST_BATCH
from sknet._base_model import CALIBRATION_ROWS
from sknet._model import Model
from sknet._monitoring import Predicted
from sknet._settings import Settings
from sknet.distributed.partitions import Cluster
from sknet.distributed.shards import LocalRound, Point, Round, Shard
from sknet.nn.budget import Budget
from sknet.nn.epochs import Epochs, update_average
from sknet.nn.network import Network
from sknet.nn.state import Remembered, TrainingState, score_of_learning

#: The number of rounds that are submitted before the first of them has ended.
ROUNDS_IN_FLIGHT = 2
#: The number of rounds after which the shared parameters and the states of the optimizers are
#: sent anew. To compute a task again, Dask's scheduler must know all tasks that came before it.
#: Without a limit, these would span the whole training.
LONGEST_CHAIN = 100


def share_out(sizes: Sequence[int], n_shards: int) -> list[list[int]]:
    """Return the positions of each shard's partitions.

    Each shard gets at least one partition. Its partitions are consecutive, and the shards'
    numbers of rows are as equal as this order allows.

    Parameters
    ----------
    sizes : sequence of int
        The number of rows of each partition.
    n_shards : int
        The number of shards, at most the number of partitions.
    """
    ends = np.cumsum(sizes)
    goals = ends[-1] * np.arange(1, n_shards) / n_shards
    cuts = np.searchsorted(ends - np.asarray(sizes) / 2, goals)
    # Each shard before a cut and each shard after it needs at least one partition.
    number = np.arange(1, n_shards)
    cuts = np.maximum.accumulate(np.maximum(cuts, number) - number) + number
    cuts = np.minimum(cuts, len(sizes) - n_shards + number)
    return [list(part) for part in np.split(np.arange(len(sizes)), cuts)]


def most_shards(settings: Settings, n_rows: int, local_steps: int) -> int:
    """Return the largest number of shards that have ``local_steps`` full mini-batches each.

    With fewer mini-batches in an epoch, the rounds would be shorter, and the mean of the shards
    would be taken after few steps. The number is at least 1.
    """
    held_out = settings.split.fraction if settings.early_stopping else 0
    batch_size = settings.batch_size
    if "batch_size" in settings.auto:
        # The shards share a large batch, so that it need not be full for each of them.
        batch_size = min(batch_size, LARGEST_BATCH)
    n_batches = n_rows * (1 - held_out) / batch_size
    return max(1, int(n_batches / local_steps))


@dataclass(frozen=True)
class OuterStep:
    """The step that moves the shared parameters toward the mean of the shards' parameters.

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
        The network, if its parameters have bounds: the results of both formulas may be out of
        bounds, and are then moved back.
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

    def end(self, point: Point, previous: Point, results: Sequence[Point]) -> Point:
        """Return the next point, given the last two points and the results of all shards."""
        results = [result for result in results if result.weight]
        weight = sum(result.weight for result in results)
        # The sum is in float64: the mean of equal float32 numbers then rounds to that number.
        mean = np.zeros(point.params.size)
        for result in results:
            mean += result.weight * result.params.astype(np.float64)
        mean /= weight
        if self.learning_rate != 1:
            start = self.start(point, previous)
            mean = (1 - self.learning_rate) * start + self.learning_rate * mean
        params = self._inside(mean.astype(point.params.dtype))
        loss = point.loss + sum(result.loss for result in results)
        return Point(params, loss, point.weight + weight, results[0].learning_rate)


class Shards:
    """The shards of a training run, and the rounds that they make.

    Some training rows of each shard are the probe, on which the result of training is checked.

    Parameters
    ----------
    cluster : Cluster
    model : Model
        The model that all shards train.
    futures : list of Future
        The futures of the shards.
    local_steps : int
        The maximum number of mini-batches of a shard in a round.

    Attributes
    ----------
    n_rows, n_validation : int
        The numbers of training and of validation rows of all shards.
    per_epoch : int
        The number of rounds in an epoch.
    steps_per_round : float
        The mean number of mini-batches of the largest shard in a round.

    Raises
    ------
    ValueError
        If early stopping is on and no shard has enough rows to hold some of them out.
    """

    #: Whether the validation rows are independent: groups are not supported.
    independent = True

    def __init__(self, cluster: Cluster, model: Model, futures: list[Any], local_steps: int):
        self.cluster = cluster
        self.model = model
        self.futures = futures
        n_rows, n_validation, n_batches = zip(*self.ask(Shard.sizes), strict=True)
        if model.settings.early_stopping and not sum(n_validation):
            raise ValueError(
                "The validation set is too small: no shard has enough rows to hold out "
                f"validation_fraction={model.settings.split.fraction} of them. "
                "Increase this fraction, use fewer shards, or set early_stopping=False."
            )
        self.n_rows: int = sum(n_rows)
        self.n_validation: int = sum(n_validation)
        self.per_epoch: int = math.ceil(max(n_batches) / local_steps)
        self.steps_per_round: float = max(n_batches) / self.per_epoch

    def submit(self, function: Callable, of_each: Iterable[Any], *args: Any) -> list[Any]:
        """Return the futures of ``function(one, *args)`` for an object of each shard."""
        submit = self.cluster.submit
        return [submit(function, one, *args, shard_number=i) for i, one in enumerate(of_each)]

    def ask(self, method: Callable, *args: Any) -> list[Any]:
        """Return what a method of each shard returns."""
        return self.cluster.gather(self.submit(method, self.futures, *args))

    def mean(self, method: Callable, *args: Any) -> float:
        """Return the weighted mean of the losses that a method of each shard returns."""
        losses, weights = zip(*self.ask(method, *args), strict=True)
        return float(np.average(losses, weights=weights))

    def predictions(self, model: Model) -> Predicted:
        """Return what a model predicts for validation rows of all shards.

        If there are more than about ``CALIBRATION_ROWS`` rows, that many are drawn, always the
        same ones. Weights are divided by their mean, even if they count rows.
        """
        share = min(1.0, CALIBRATION_ROWS / self.n_validation)
        found = self.ask(Shard.predictions, self.cluster.send(Point(model.params)), share)
        parts = zip(*(one for one in found if one is not None), strict=True)
        raw, Y, weight = (np.concatenate(part) for part in parts)
        return model.members, raw, Y, None if np.ptp(weight) == 0 else weight / weight.mean()

    def loss(self, params: np.ndarray) -> float:
        """Return the mean loss of the probe; NaN if a raw prediction is infinite or NaN."""
        return self.mean(Shard.probe_loss, self.cluster.send(Point(params.copy())))

    def constant_loss(self) -> float:
        """Return the mean loss of the probe for a constant prediction."""
        return self.mean(Shard.probe_loss, None)


class ClusterEpoch(Epochs):
    """One pass over the rows of all shards, round by round.

    ``train_epochs`` uses it for epochs on a cluster, as it uses ``Epoch`` for local ones.

    Parameters
    ----------
    shards : Shards
        Their model has the initial parameters, the rule of their steps and the plan.
    outer : OuterStep
    budget : Budget, optional
        The time that the fit may take.
    """

    def __init__(self, shards: Shards, outer: OuterStep, budget: Budget | None = None):
        params, settings = shards.model.params.copy(), shards.model.settings
        rule, horizon = shards.model.update_rule, settings.stopping.horizon(None)
        # The state needs a generator, but no numbers are drawn here: each shard draws its own.
        state = TrainingState.start(rule.optimizer, params, np.random.default_rng())
        objective, budget = shards.model.objective, budget or Budget()
        super().__init__(params, rule, horizon, state, objective, budget=budget)
        self._shards = shards
        self._cluster = shards.cluster
        self._outer = outer
        self._loss = self._weight = self._n_steps = 0.0
        self._begin(Point(params.copy()))

    def run(self) -> tuple[float, float]:
        """Run an epoch; return its mean loss, and the penalty at its beginning."""
        penalty, per_epoch = self.objective.penalty_value(self.params), self._shards.per_epoch
        in_flight: deque[Any] = deque()
        n_begun = 0
        while n_begun < per_epoch and not self._is_cut(n_begun, per_epoch):
            if self._n_chained == LONGEST_CHAIN:
                # Dask forgets the earlier tasks once their results have been sent anew.
                gather = self._cluster.gather
                self._send(gather([self._point, self._previous]), gather(self._rounds))
            in_flight.append(self._submit_round(n_begun))
            n_begun += 1
            if len(in_flight) == ROUNDS_IN_FLIGHT:
                self._end_round(in_flight.popleft())
                self._keep_limit(n_begun, per_epoch)
        while in_flight:
            self._end_round(in_flight.popleft())
            self._keep_limit(n_begun, per_epoch)
        (point,) = self._cluster.gather([self._point])
        np.copyto(self.params, point.params)
        self.learning_rate: float = point.learning_rate
        self._end(self._shards.n_rows, self._shards.n_rows * n_begun // per_epoch)
        loss, weight = point.loss - self._loss, point.weight - self._weight
        self._loss, self._weight = point.loss, point.weight
        return loss / weight - penalty, penalty

    def remember(self, visible: np.ndarray) -> None:
        """Keep in the state what a return to this epoch needs; optimizers then begin anew."""
        state, n_steps = self.state, round(self._n_steps)
        state.best = Remembered(visible, state.slots, n_steps, state.position)

    def go_back(self, best: Remembered) -> None:
        """Go back to an epoch, with new optimizers. The sums of the losses continue."""
        super().go_back(best)
        self._n_steps = best.n_updates
        self._begin(Point(self.params.copy(), self._loss, self._weight))

    def evaluate(self, params: np.ndarray) -> dict[str, float]:
        """Return the loss and the score of the validation rows of all shards."""
        averages = self.rule.ema_decay is not None
        shared = self._cluster.send(Point(params)) if averages else self._point
        loss = self._shards.mean(Shard.evaluate, shared)
        return {"validation_loss": loss, "validation_score": -loss}

    def of_constants(self) -> dict[str, Any]:
        """Return what constant and best predictions say about training: see ``Stopping``.

        Where shards differ, their best constants do, too, so a dropout rate falls later.
        """
        shards = self._shards
        found = {"least_loss": shards.mean(Shard.least_loss)}
        if self.objective.network.adapts:
            found["constant_loss"] = shards.mean(Shard.constant_loss)
        loss = shards.mean(Shard.evaluate, None)
        return {**found, "least_score": score_of_learning(loss, shards.n_validation)}

    def _begin(self, point: Point) -> None:
        """Begin the next rounds at a point, without momentum, and with new optimizers."""
        self._send([point] * 2, [None] * len(self._shards.futures))

    def _send(self, points: Sequence[Point], rounds: Sequence[LocalRound | None]) -> None:
        """Send the last two points, and what each shard has after its last round."""
        self._point, self._previous = map(self._cluster.send, points)
        self._rounds = list(map(self._cluster.send, rounds))
        self._n_chained = 0

    def _submit_round(self, number: int) -> Any:
        """Submit the tasks of a round, whose result becomes the shared point; return it."""
        round_ = Round(
            self.state.iteration,
            number,
            self._shards.per_epoch,
            self.horizon,
            self.state.samples_seen,
            self.state.plateau_factor,
            self.state.left_out,
            self.state.unexplained,
        )
        # Without momentum, the previous point is not needed, and Dask need not keep it.
        points = [self._point, self._previous if self._outer.momentum else self._point]
        begun = zip(self._shards.futures, self._rounds, strict=True)
        self._rounds = self._shards.submit(_train_locally, begun, self._outer, points, round_)
        # The states of the optimizers stay where they are; only the results are moved.
        results = self._shards.submit(getattr, self._rounds, "result")
        point = self._cluster.submit(OuterStep.end, self._outer, *points, results)
        self._point, self._previous = point, self._point
        self._n_chained += 1
        return point

    def _end_round(self, shared: Any) -> None:
        """Wait for the point of a round; move the running average as its steps would have."""
        if self.rule.ema_decay is None:
            return self._cluster.wait([shared])
        n_steps = self._shards.steps_per_round
        self._n_steps += n_steps
        decay = self.rule.average_decay(self._n_steps) ** n_steps
        (point,) = self._cluster.gather([shared])
        update_average(cast(np.ndarray, self.state.average), point.params, decay)


def _train_locally(
    begun: tuple[Shard, LocalRound | None], outer: OuterStep, last: list[Point], round_: Round
) -> LocalRound:
    """Return what a shard has after a round, given the shard and what it had before."""
    shard, before = begun
    return shard.train(outer.start(*last), round_, before and before.inner)
