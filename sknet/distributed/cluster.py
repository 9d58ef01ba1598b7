"""A fit on a Dask cluster, from partitions to the trained model."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sknet._auto import LARGEST_BATCH, SMALLEST_BATCH, learning_rate
from sknet._base import BaseNN
from sknet._fitting import Problem
from sknet._input import Features
from sknet._looking import Agreement, agree, merge_looks
from sknet._model import Model
from sknet._monitoring import EpochPrinter
from sknet._run import Run
from sknet._settings import Settings
from sknet.data.weights import are_counts, divided, power_of_two, smallest_and_largest
from sknet.distributed.agreement import (
    Description,
    describe,
    sample,
    shares_of_sample,
    start_model,
    weigh,
)
from sknet.distributed.epochs import ClusterEpoch, Plan, make_plan
from sknet.distributed.partitions import Cluster, Partitions
from sknet.distributed.rounds import OuterStep
from sknet.distributed.shards import make_shard, most_shards, share_out, train_alone
from sknet.nn.state import TrainingResult, TrainingState
from sknet.nn.training import train_epochs


@dataclass(frozen=True)
class ClusterFit:
    """The result of a fit on a cluster.

    Attributes
    ----------
    model : Model
        The trained model.
    features : Features
        The columns of the table.
    result : TrainingResult
        The parameters and the history of the training.
    n_seen : int
        The number of training rows that were seen; a row counts again in each epoch.
    n_shards : int
        The number of shards.
    """

    model: Model
    features: Features
    result: TrainingResult
    n_seen: int
    n_shards: int


def fit_on_cluster(
    cluster: Cluster,
    estimator: BaseNN,
    partitions: Partitions,
    outer: OuterStep,
    local_steps: int,
) -> ClusterFit:
    """Train a model on the partitions of a table.

    Parameters
    ----------
    cluster : Cluster
    estimator : NNClassifier or NNRegressor
        An estimator whose parameters have been checked. It is left as it is.
    partitions : Partitions
    outer : OuterStep
    local_steps : int
        The largest number of mini-batches of a shard in a round.

    Returns
    -------
    ClusterFit

    Raises
    ------
    ValueError
        If the parameters or the rows are not valid, if the partitions are not parts of one
        table, or if training diverges before any epoch has ended well.
    """
    held = _hold(cluster, partitions)
    descriptions = _describe(cluster, estimator, held)
    agreed = agree(estimator, merge_looks([one.look for one in descriptions]))
    # The run draws its seed after the checks, so that an error leaves a given RandomState as it
    # was.
    run = Run.start(estimator.random_state)
    # The seed is drawn from a copy, so that training on a single shard draws the numbers that a
    # local fit draws.
    seed = int(copy.deepcopy(run.streams["shuffle"]).integers(2**31))
    held, descriptions = _weigh(cluster, agreed, held, descriptions)
    samples = _sample(cluster, agreed, held, descriptions, seed)
    model = start_model(agreed, samples, run.streams["init"])
    groups = _groups(cluster, model.settings, descriptions, local_steps)
    parts = [[(one.number, *held[one.number]) for one in group] for group in groups]
    if len(parts) == 1:
        shared = cluster.send(model), cluster.send(agreed.features)
        alone = cluster.submit(train_alone, *shared, run, parts[0])
        ((result, n_validation),) = cluster.gather([alone])
    else:
        model = _share_batch(model, len(parts))
        shards = _make_shards(cluster, model, agreed.features, parts, seed)
        plan = make_plan(cluster, model.settings, shards, local_steps)
        result, n_validation = _train(cluster, model, shards, outer, plan), plan.n_validation
    n_rows = sum(one.n_rows for one in descriptions) - n_validation
    return ClusterFit(
        model.begun(n_rows, n_validation).trained(result),
        agreed.features,
        result,
        n_rows * len(result.history["loss"]) + n_validation * result.n_refit,
        len(parts),
    )


def _hold(cluster: Cluster, partitions: Partitions) -> list[list[Any]]:
    """Return the futures of the partitions, computed by the workers that will train on them.

    This is a guess: the number of shards is known only after the partitions are described.
    """
    parts, n_rows = partitions
    groups = share_out(n_rows, min(cluster.n_shards or cluster.n_workers, len(parts)))
    held = [
        cluster.compute([parts[i] for i in group], number)
        for number, group in enumerate(groups)
    ]
    return [part for group in held for part in group]


def _describe(
    cluster: Cluster, estimator: BaseNN, held: Sequence[list[Any]]
) -> list[Description]:
    """Return the descriptions of the partitions that have rows of positive weight.

    Raises
    ------
    ValueError
        If no partition has rows of positive weight, or if the rows of one are not valid.
    """
    futures = [cluster.submit(describe, estimator, i, *part) for i, part in enumerate(held)]
    descriptions = [one for one in cluster.gather(futures) if one is not None]
    if not descriptions:
        raise ValueError("X has no rows of positive weight in any of its partitions.")
    return descriptions


def _weigh(
    cluster: Cluster,
    agreed: Agreement,
    held: list[list[Any]],
    descriptions: list[Description],
) -> tuple[list[list[Any]], list[Description]]:
    """Return the futures of the partitions with the weights that training uses.

    These are the products of sample weights and class weights, in units of their own, as
    ``sknet.data.weights.in_own_units`` has them for a table in memory. The descriptions of
    partitions without a positive weight are left out.

    Raises
    ------
    ValueError
        If no row has a positive weight.
    """
    if agreed.settings.class_weight is None and held[descriptions[0].number][2] is None:
        return held, descriptions
    shared = cluster.send(agreed)
    given = [
        cluster.submit(weigh, shared, one.number, *held[one.number]) for one in descriptions
    ]
    ranges = cluster.gather([cluster.submit(smallest_and_largest, one) for one in given])
    smallest, largest = min(low for low, _ in ranges), max(high for _, high in ranges)
    if not largest:
        raise ValueError(
            "class_weight times sample_weight must contain at least one non-zero number."
        )
    counted = [cluster.submit(are_counts, one, smallest, largest) for one in given]
    counts = all(cluster.gather(counted))
    unit = smallest if counts else power_of_two(largest)
    held, kept = list(held), []
    for one, weights, (_, high) in zip(descriptions, given, ranges, strict=True):
        # Weights that are negligible beside the largest one become zero.
        if high / unit:
            X, y, _ = held[one.number]
            held[one.number] = [X, y, cluster.submit(divided, weights, unit, counts)]
            kept.append(one)
    return held, kept


def _sample(
    cluster: Cluster,
    agreed: Agreement,
    held: Sequence[list[Any]],
    descriptions: Sequence[Description],
    seed: int,
) -> list[Any]:
    """Return rows of each partition, from which quantiles are estimated."""
    features = cluster.send(agreed.features)
    shares = shares_of_sample(descriptions, agreed.survey)
    futures = [
        cluster.submit(sample, features, one.number, n_wanted, seed, *held[one.number])
        for one, n_wanted in zip(descriptions, shares, strict=True)
    ]
    return cluster.gather(futures)


def _groups(
    cluster: Cluster,
    settings: Settings,
    descriptions: Sequence[Description],
    local_steps: int,
) -> list[list[Description]]:
    """Return for each shard the descriptions of its partitions."""
    n_rows = [one.n_rows for one in descriptions]
    n_shards = cluster.n_shards
    if n_shards is None:
        most = most_shards(settings, sum(n_rows), local_steps)
        n_shards = min(cluster.n_workers, most)
    groups = share_out(n_rows, min(n_shards, len(n_rows)))
    return [[descriptions[i] for i in group] for group in groups]


def _share_batch(model: Model, n_shards: int) -> Model:
    """Return the model with a batch size of "auto" divided by the number of shards.

    Each shard then makes as many steps in an epoch as a single machine would make. A learning
    rate of "auto" is that of the smaller batches in regression. In classification, whose
    gradients are mostly noise, it stays: the mean of the shards has the noise of a whole batch.
    """
    settings = model.settings
    if "batch_size" not in settings.auto:
        return model
    smallest = min(settings.batch_size, SMALLEST_BATCH)
    shared: dict[str, Any] = {"batch_size": max(smallest, settings.batch_size // n_shards)}
    if "learning_rate_init" in settings.auto and model.numeric_y:
        usual = min(settings.batch_size, LARGEST_BATCH)
        shared["learning_rate_init"] = learning_rate(shared["batch_size"], usual)
    settings = replace(settings.with_values(**shared), auto={**settings.auto, **shared})
    return replace(model, settings=settings)


def _make_shards(
    cluster: Cluster,
    model: Model,
    features: Features,
    parts: Sequence[Sequence[Any]],
    seed: int,
) -> list[Any]:
    """Return the futures of the shards."""
    shared = cluster.send(model), cluster.send(features)
    return [
        cluster.submit(make_shard, *shared, number, seed, group, shard_number=number)
        for number, group in enumerate(parts)
    ]


def _train(
    cluster: Cluster, model: Model, shards: Sequence[Any], outer: OuterStep, plan: Plan
) -> TrainingResult:
    """Return the result of training on the shards, given their futures."""
    settings, problem = model.settings, Problem.of(model)
    params = model.params.copy()
    # The state needs a generator, but no numbers are drawn here: each shard draws its own.
    unused = np.random.default_rng()
    state = TrainingState.start(problem.rule.optimizer, params, unused)
    if model.network.bounds(params.dtype) is not None:
        outer = replace(outer, network=model.network)
    stopping, evaluate = problem.stopping, None
    horizon = stopping.horizon(state.cooling)
    epoch = ClusterEpoch(cluster, shards, outer, plan, params, problem.rule, horizon, state)
    if settings.early_stopping:
        evaluate = epoch.evaluate
        stopping = replace(stopping, least_score=epoch.least_score())
    return train_epochs(
        epoch,
        stopping,
        evaluate=evaluate,
        report=EpochPrinter(settings.verbose) if settings.verbose else None,
    )
