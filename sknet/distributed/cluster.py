"""Training on a Dask cluster: what runs where, and in which order.

All work is in tasks of pure functions, so that Dask itself makes again what is lost with a
worker.
"""

import copy
import math
from collections import deque
from dataclasses import dataclass, replace

import dask
import numpy as np
from distributed import wait

from sknet._auto import SMALLEST_BATCH
from sknet._base import BaseNN
from sknet._fitting import Problem, Run
from sknet._input import Features
from sknet._model import Model
from sknet._monitoring import EpochPrinter
from sknet.distributed.agreement import agree, describe, sample, shares_of_sample
from sknet.distributed.partitions import Partitions
from sknet.distributed.rounds import OuterStep, Point, Round
from sknet.distributed.shards import make_shard, most_shards, share_out, train_alone
from sknet.nn.training import (
    TrainingResult,
    TrainingState,
    train_epochs,
    update_average,
    visible_params,
)

#: Rounds that are submitted before the first of them has ended.
ROUNDS_IN_FLIGHT = 2
#: Rounds after which the shared parameters are sent anew. A task can be made again as long as
#: the scheduler knows all that came before, which must not be the whole training.
LONGEST_CHAIN = 100


class Cluster:
    """Tasks on a Dask cluster, with one worker as the home of each shard.

    A home is a preference: Dask runs the tasks of a shard elsewhere if its worker is gone.
    """

    def __init__(self, client, n_shards=None):
        client.wait_for_workers(1)
        self._client = client
        self._workers = sorted(client.nthreads())
        self.n_shards = n_shards

    @property
    def n_workers(self):
        """Workers there were at the start."""
        return len(self._workers)

    def submit(self, function, *arguments, shard_number=None):
        """Return the future of a function's result."""
        place = {} if shard_number is None else self._home(shard_number)
        return self._client.submit(function, *arguments, pure=False, **place)

    def send(self, value):
        """Return a future of ``value``; unlike scattered data, it outlives its worker."""
        # Dask warns of large arguments, since they are kept by the scheduler: that is the aim.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.submit(_itself, value)

    def compute(self, delayed, shard_number):
        """Return the futures of Delayed objects, in lists that may hold None."""
        flat = [one for part in delayed for one in part if one is not None]
        computed = iter(self._client.compute(flat, **self._home(shard_number)))
        return [[None if one is None else next(computed) for one in part] for part in delayed]

    def gather(self, futures):
        """Return the results, or raise the first future's error, whichever was there first."""
        self.wait(futures)
        return self._client.gather(futures)

    def wait(self, futures):
        """Wait for the futures, and raise where there is an error."""
        wait(futures)
        for future in futures:
            if future.status == "error":
                future.result()

    def _home(self, shard_number):
        worker = self._workers[shard_number % len(self._workers)]
        return {"workers": [worker], "allow_other_workers": True}


def _itself(value):
    return value


@dataclass(frozen=True)
class ClusterFit:
    """The outcome of a fit on a cluster: the trained model, and how training went.

    ``n_rows`` counts the training rows of all partitions, validation rows included.
    """

    model: Model
    features: Features
    result: TrainingResult
    n_rows: int
    n_shards: int


def fit_on_cluster(
    cluster: Cluster,
    estimator: BaseNN,
    partitions: Partitions,
    outer: OuterStep,
    local_steps: int,
) -> ClusterFit:
    """Train a model on the partitions of Dask collections.

    Parameters
    ----------
    cluster : Cluster
    estimator : NNClassifier or NNRegressor
        With checked parameters, which say how to fit; it is left as it is.
    partitions : Partitions
    outer : OuterStep
    local_steps : int
        The largest number of mini-batches of a shard in a round.
    """
    held = _hold(cluster, partitions)
    descriptions = _describe(cluster, estimator, held)
    agreed = agree(estimator, descriptions)
    # Drawn after the checks, so that an error leaves a given RandomState as it was.
    run = Run.start(estimator.random_state)
    # From a copy, so that a single shard finds the run as a local fit does.
    seed = int(copy.deepcopy(run.streams["shuffle"]).integers(2**31))
    samples = _sample(cluster, agreed, held, descriptions, seed)
    model = agreed.start_model(samples, run.streams["init"])
    groups = _groups(cluster, model.settings, descriptions, local_steps)
    parts = [[(one.number, *held[one.number]) for one in group] for group in groups]
    if len(parts) == 1:
        shared = cluster.send((model, agreed.features))
        (result,) = cluster.gather([cluster.submit(_train_alone, shared, run, parts[0])])
    else:
        model = _share_batch(model, len(parts))
        shards = _make_shards(cluster, model, agreed.features, parts, seed)
        plan = _make_plan(cluster, model.settings, shards, local_steps)
        result = _train(cluster, model, shards, outer, plan)
    return ClusterFit(
        model.with_params(result.params),
        agreed.features,
        result,
        sum(one.n_rows for one in descriptions),
        len(parts),
    )


def _hold(cluster, partitions):
    """Compute the partitions, near where they will be needed."""
    parts, n_rows = partitions
    groups = share_out(n_rows, min(cluster.n_shards or cluster.n_workers, len(parts)))
    held = [
        cluster.compute([parts[i] for i in group], number)
        for number, group in enumerate(groups)
    ]
    return [part for group in held for part in group]


def _describe(cluster, estimator, held):
    """Return the descriptions of the partitions with rows."""
    futures = [cluster.submit(describe, estimator, i, *part) for i, part in enumerate(held)]
    descriptions = [one for one in cluster.gather(futures) if one is not None]
    if not descriptions:
        raise ValueError("X has no rows of positive weight in any of its partitions.")
    return descriptions


def _sample(cluster, agreed, held, descriptions, seed):
    """Return rows of all partitions from which quantiles are estimated."""
    features = cluster.send(agreed.features)
    shares = shares_of_sample(descriptions, agreed.survey)
    futures = [
        cluster.submit(sample, features, one.number, n_wanted, seed, *held[one.number])
        for one, n_wanted in zip(descriptions, shares, strict=True)
    ]
    return cluster.gather(futures)


def _groups(cluster, settings, descriptions, local_steps):
    """Return the descriptions of each shard's partitions."""
    n_rows = [one.n_rows for one in descriptions]
    n_shards = cluster.n_shards
    if n_shards is None:
        most = most_shards(settings, sum(n_rows), local_steps)
        n_shards = min(cluster.n_workers, most)
    groups = share_out(n_rows, min(n_shards, len(n_rows)))
    return [[descriptions[i] for i in group] for group in groups]


def _share_batch(model, n_shards):
    """Let the shards share a mini-batch that is "auto", so that none makes fewer steps."""
    settings = model.settings
    if "batch_size" not in settings.auto:
        return model
    share = max(SMALLEST_BATCH, settings.batch_size // n_shards)
    auto = {**settings.auto, "batch_size": share}
    return replace(model, settings=replace(settings, batch_size=share, auto=auto))


def _make_shards(cluster, model, features, parts, seed):
    """Return the futures of the shards."""
    shared = cluster.send((model, features))
    return [
        cluster.submit(_make_shard, shared, number, seed, group, shard_number=number)
        for number, group in enumerate(parts)
    ]


@dataclass(frozen=True)
class Plan:
    """How the training is divided into rounds.

    ``n_rows`` are the training rows of all shards, and ``n_steps`` the mini-batches that the
    largest shard takes in an epoch; ``per_epoch`` counts the rounds of each of at most
    ``max_iter`` epochs.
    """

    n_rows: int
    n_steps: int
    per_epoch: int
    max_iter: int

    @property
    def steps_per_round(self):
        """Mini-batches that the largest shard takes in a round, on average."""
        return self.n_steps / self.per_epoch


def _make_plan(cluster, settings, shards, local_steps):
    """Return the plan of a training.

    Raises
    ------
    ValueError
        If there are no rows to validate with, but early stopping needs them.
    """
    facts = cluster.gather([cluster.submit(_facts, shard) for shard in shards])
    n_rows, n_batches, validation_weights = zip(*facts, strict=True)
    if settings.early_stopping and not sum(validation_weights):
        raise ValueError(
            "The validation set is too small: no shard has enough rows to hold "
            f"validation_fraction={settings.validation_fraction} of them out. Increase it, use "
            "fewer shards, or set early_stopping=False."
        )
    n_steps = max(n_batches)
    return Plan(sum(n_rows), n_steps, math.ceil(n_steps / local_steps), settings.max_iter)


def _facts(shard):
    return shard.batches.n_rows, len(shard.batches), shard.validation_weight


def _train(cluster, model, shards, outer, plan):
    """Return the result of the training."""
    settings, problem = model.settings, Problem.of(model)
    params = model.params.copy()
    state = TrainingState.start(problem.rule.optimizer, params, rng=None)
    epoch = ClusterEpoch(cluster, shards, outer, plan, params, problem.rule, state)
    return train_epochs(
        epoch,
        problem.stopping,
        evaluate=epoch.evaluate if settings.early_stopping else None,
        report=EpochPrinter(settings.verbose) if settings.verbose else None,
    )


class ClusterEpoch:
    """One pass over the rows of all shards, round by round; stands in for ``Epoch``."""

    def __init__(self, cluster, shards, outer, plan, params, rule, state):
        self.params = params
        self.rule = rule
        self.state = state
        self.learning_rate = math.nan
        if rule.ema_decay is not None:
            state.average = params.copy()
        self._cluster = cluster
        self._shards = shards
        self._outer = outer
        self._plan = plan
        self._loss = self._weight = 0.0
        self._send_points([Point(params.copy())] * 2)

    def run(self):
        """Return the mean over the batches of the objective before each step."""
        in_flight = deque()
        for number in range(self._plan.per_epoch):
            if self._n_chained == LONGEST_CHAIN:
                self._send_points(self._cluster.gather([self._point, self._previous]))
            in_flight.append(self._submit_round(number))
            if len(in_flight) == ROUNDS_IN_FLIGHT:
                self._cluster.wait(in_flight.popleft())
            if self.rule.ema_decay is not None:
                self._average()
        (point,) = self._cluster.gather([self._point])
        np.copyto(self.params, point.params)
        self.learning_rate = point.learning_rate
        self.state.samples_seen += self._plan.n_rows
        self.state.iteration += 1
        loss, weight = point.loss - self._loss, point.weight - self._weight
        self._loss, self._weight = point.loss, point.weight
        return loss / weight

    def visible_params(self):
        """Return the parameters to evaluate."""
        return visible_params(self.params, self.rule, self.state)

    def evaluate(self, params):
        """Return the loss of the rows that the shards hold out; a dict as ``train`` expects."""
        shared = self._point
        if self.rule.ema_decay is not None:
            shared = self._cluster.send(Point(params))
        futures = [
            self._cluster.submit(_evaluate, shard, shared, shard_number=number)
            for number, shard in enumerate(self._shards)
        ]
        losses, weights = zip(*self._cluster.gather(futures), strict=True)
        loss = float(np.average(losses, weights=weights))
        return {"validation_loss": loss, "validation_score": -loss}

    def _send_points(self, points):
        """Begin a chain of rounds from the last two points."""
        self._point, self._previous = map(self._cluster.send, points)
        self._n_chained = 0

    def _submit_round(self, number):
        """Submit a round, make its result the shared point, and return its futures."""
        round_ = Round(
            self.state.iteration,
            number,
            self._plan.per_epoch,
            self._plan.max_iter,
            self.state.samples_seen,
            self.state.plateau_factor,
        )
        # Without momentum nobody needs the point before.
        points = self._point, self._previous if self._outer.momentum else self._point
        results = [
            self._cluster.submit(
                _train_locally, shard, self._outer, *points, round_, shard_number=i
            )
            for i, shard in enumerate(self._shards)
        ]
        point = self._cluster.submit(_take_outer_step, self._outer, *points, results)
        self._point, self._previous = point, self._point
        self._n_chained += 1
        return [point, *results]

    def _average(self):
        """Let the running average follow a round, as far as its steps would have taken it."""
        n_steps = self._plan.steps_per_round
        self.state.n_updates += n_steps
        decay = self.rule.average_decay(self.state.n_updates) ** n_steps
        (point,) = self._cluster.gather([self._point])
        update_average(self.state.average, point.params, decay)


def _train_alone(shared, run, partitions):
    return train_alone(*shared, run, partitions)


def _make_shard(shared, number, seed, partitions):
    return make_shard(*shared, number, seed, partitions)


def _train_locally(shard, outer, point, previous, round_):
    return shard.train(outer.start(point, previous), round_)


def _take_outer_step(outer, point, previous, results):
    return outer(point, previous, results)


def _evaluate(shard, point):
    return shard.evaluate(point.params)
