"""A fit on a Dask cluster, from partitions to the trained model.

The functions that the cluster runs know nothing about Dask.
"""

import copy
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet._auto import LARGEST_BATCH, SMALLEST_BATCH, learning_rate
from sknet._base import BaseNN, warn_of_doubts
from sknet._fitting import calibrated
from sknet._input import Features, read_training
from sknet._model import Model
from sknet._monitoring import reporter
from sknet._parameters import check_random_split
from sknet._run import Run
from sknet._settings import Settings
from sknet._starting import Agreement, Look, agree, look_at, merge_looks
from sknet._target_learning import row_weights
from sknet.data.batches import Batch, Dataset, join
from sknet.data.chunks import as_chunk
from sknet.data.draws import draw_rows, most_copied_rows
from sknet.data.joint import JointTarget
from sknet.data.kinds import naming
from sknet.data.survey import survey_rows
from sknet.data.weights import are_counts, divided, power_of_two, smallest_and_largest
from sknet.distributed.epochs import ClusterEpoch, OuterStep, Shards, most_shards, share_out
from sknet.distributed.partitions import Cluster, Partitions
from sknet.distributed.shards import Partition, make_shard, read_partition, train_alone
from sknet.nn.budget import Budget
from sknet.nn.lbfgs import is_stochastic
from sknet.nn.state import TrainingResult
from sknet.nn.training import train_epochs

#: What is learned from a partition once the weights of its rows are known: random rows as
#: numbers, with their y, and statistics of the columns. Without weights, the statistics are
#: None, since the look at the partition already has them.
Sample = tuple[Batch, list[NDArray[Any]] | None]
#: A partition that a worker holds, and that has rows of positive weight: the look at its rows,
#: and its number, with the futures of X, y and sample_weight.
Held = tuple[Look, Partition]


def check_supported(local: BaseNN) -> None:
    """Refuse parameters that have no meaning on a cluster.

    Raises
    ------
    ValueError
        If the solver is not stochastic, if ``warm_start`` is on, if ``scoring`` is not the
        loss, or if validation rows are not drawn at random.
    """
    check_random_split(local, "")
    if not is_stochastic(local.solver):
        raise ValueError(
            f"solver={local.solver!r} needs all rows at once, which no worker has. Use a "
            "stochastic solver such as 'adam'."
        )
    if local.warm_start:
        raise ValueError("warm_start=True does not work on a cluster. Set it to False.")
    if not (isinstance(local.scoring, str) and local.scoring == "loss"):
        raise ValueError(
            f"scoring={local.scoring!r} needs all validation rows in one place. On a cluster, "
            "early stopping watches scoring='loss'."
        )


def fit_on_cluster(
    cluster: Cluster,
    estimator: BaseNN,
    parts: Partitions,
    outer: OuterStep,
    local_steps: int,
    budget: Budget | None = None,
) -> tuple[Features, Model, TrainingResult, int]:
    """Train a model on the partitions of a table.

    Parameters
    ----------
    cluster : Cluster
    estimator : NNClassifier or NNRegressor
        An estimator whose parameters have been checked. It is not changed.
    parts : Partitions
    outer : OuterStep
    local_steps : int
        The maximum number of mini-batches of a shard in a round.
    budget : Budget, optional
        The time that the fit may take.

    Returns
    -------
    features : Features
        The columns of the table.
    model : Model
        The model before the training.
    result : TrainingResult
        The parameters and the history of the training.
    n_shards : int
        The number of shards.

    Raises
    ------
    ValueError
        If the parameters or the rows are not valid, if the partitions are not parts of one
        table, or if training diverges before any epoch has ended well.
    """
    held = _describe(cluster, estimator, _hold(cluster, parts))
    look = merge_looks([look for look, _ in held])
    agreed = agree(estimator, look)
    if isinstance(agreed.target, JointTarget):
        raise ValueError(
            "On a cluster, y must have one column of classes or be multi-label, but it has "
            f"{len(agreed.target.names)} columns of classes. Fit a network for each column."
        )
    # The run draws its seed after the checks, so that an error leaves a given RandomState
    # unchanged.
    run = Run.start(estimator.random_state)
    # The seed is drawn from a copy, so that training on a single shard draws the numbers that a
    # local fit draws.
    seed = int(copy.deepcopy(run.streams["shuffle"]).integers(2**31))
    by_class = look.weighs_classes or agreed.settings.class_weight is not None
    held = _weigh(cluster, agreed, held, by_class)
    samples = _sample(cluster, agreed, held, seed)
    rows, statistics = zip(*samples, strict=True)
    model = agreed.start_model(rows, run.streams["init"], statistics)
    warn_of_doubts(estimator, model)
    groups = _groups(cluster, model.settings, held, local_steps)
    n_rows, n_shards = sum(look.survey.n_rows for look, _ in held), len(groups)
    model = _with_shared_batch(model, n_shards)
    shared = cluster.send(model), cluster.send(agreed.features)
    if n_shards == 1:
        alone = cluster.submit(train_alone, *shared, run, budget, groups[0])
        ((result, n_validation),) = cluster.gather([alone])
    else:
        futures = [
            cluster.submit(make_shard, *shared, i, seed, group, shard_number=i)
            for i, group in enumerate(groups)
        ]
        # Dask keeps the partitions until their shards are made, and those of a lost worker are
        # computed anew. Their futures would keep them in memory while the shards train.
        del held, groups
        shards = Shards(cluster, model, futures, local_steps)
        result, n_validation = _train(shards, outer, budget), shards.n_validation
        batches = model.blocks(Dataset(*join(rows)), encoded_bytes=0)
        held_out = shards if model.settings.early_stopping else None
        result = calibrated(model, result, held_out, batches)
    begun = model.begun(n_rows - n_validation, n_validation)
    return agreed.features, begun, result, n_shards


def _hold(cluster: Cluster, partitions: Partitions) -> list[Partition]:
    """Return the futures of the partitions, computed where training will probably need them.

    The workers are a guess, since the number of shards is known only after the look at the
    partitions.
    """
    parts, n_rows = partitions
    groups = share_out(n_rows, min(cluster.n_shards or cluster.n_workers, len(parts)))
    held = [
        cluster.compute([parts[i] for i in group], number)
        for number, group in enumerate(groups)
    ]
    return [(i, *part) for i, part in enumerate(chain(*held))]


def _describe(cluster: Cluster, estimator: BaseNN, partitions: list[Partition]) -> list[Held]:
    """Return the partitions that have rows of positive weight, given the futures of them all.

    Raises
    ------
    ValueError
        If no partition has rows of positive weight, or if the rows of one are not valid.
    """
    looks = cluster.gather([cluster.submit(describe, estimator, one) for one in partitions])
    found = zip(looks, partitions, strict=True)
    held = [(look, partition) for look, partition in found if look is not None]
    if not held:
        raise ValueError("X has no rows of positive weight in any of its partitions.")
    return held


def describe(estimator: BaseNN, partition: Partition) -> Look | None:
    """Return the look at a partition, or None if it has no rows of positive weight.

    Raises
    ------
    ValueError
        If the rows are not valid, as in ``fit``. The message has the number of the partition.
    """
    number, *rows = partition
    with naming(f"Partition {number}"):
        if not as_chunk(rows).X.shape[0]:
            return None
        features, data = read_training(estimator, Batch(*rows))
        return look_at(features, data, data, f"partition {number}")


def _weigh(cluster: Cluster, agreed: Agreement, held: list[Held], by_class: bool) -> list[Held]:
    """Return the partitions with the weights that training uses.

    These are the products of sample weights and class weights, in their own units, as
    ``sknet.data.weights.in_own_units`` has them for a table in memory. Partitions without a
    positive weight are left out.

    Raises
    ------
    ValueError
        If no row has a positive weight.
    """
    _, (*_, sample_weight) = held[0]
    if agreed.settings.class_weight is None and sample_weight is None:
        return held
    shared = cluster.send(agreed)
    given = [cluster.submit(weigh, shared, partition) for _, partition in held]
    ranges = cluster.gather([cluster.submit(smallest_and_largest, one) for one in given])
    smallest, largest = min(low for low, _ in ranges), max(high for _, high in ranges)
    if not largest:
        raise ValueError(
            "class_weight times sample_weight must contain at least one non-zero number."
        )
    counted = [cluster.submit(are_counts, one, smallest, largest) for one in given]
    counts = not by_class and all(cluster.gather(counted))
    unit = smallest if counts else power_of_two(largest)
    return [
        (look, (i, X, y, cluster.submit(divided, weights, unit, counts)))
        for (look, (i, X, y, _)), weights, (_, high) in zip(held, given, ranges, strict=True)
        # Weights that are negligible beside the largest one become zero.
        if high / unit
    ]


def weigh(agreed: Agreement, partition: Partition) -> NDArray[np.float64]:
    """Return the weights of all rows of a partition, times the weights of their classes."""
    data = read_partition(agreed.features, partition)
    weights = row_weights(agreed.settings, agreed.target, data)
    of_all = np.zeros(data.X.shape[0])
    of_all[data.positions] = 1.0 if weights is None else weights
    return of_all


def _sample(cluster: Cluster, agreed: Agreement, held: list[Held], seed: int) -> list[Sample]:
    """Return rows of each partition, from which quantiles are estimated.

    They are copied to the client, so their number is limited.
    """
    features, survey = cluster.send(agreed.features), agreed.survey
    most = most_copied_rows(survey.row_bytes)
    wanted = [max(1, most * look.survey.n_rows // survey.n_rows) for look, _ in held]
    samples = [
        cluster.submit(sample, features, n_wanted, seed, partition)
        for n_wanted, (_, partition) in zip(wanted, held, strict=True)
    ]
    return cluster.gather(samples)


def sample(features: Features, n_wanted: int, seed: int, partition: Partition) -> Sample:
    """Return up to ``n_wanted`` random rows of a partition, and the statistics of its columns.

    The weights are those that training uses. They are known only after the look, so the
    statistics of weighted rows are gathered anew.
    """
    data = read_partition(features, partition)
    statistics = None
    if data.sample_weight is not None and features.reader.columns_:
        statistics = survey_rows(data, features.reader).statistics
    chosen = draw_rows(data.n_rows, n_wanted, np.random.default_rng((seed, partition[0])))
    return data.choose(chosen).batch(), statistics


def _groups(
    cluster: Cluster, settings: Settings, held: list[Held], local_steps: int
) -> list[list[Partition]]:
    """Return the partitions of each shard."""
    n_rows = [look.survey.n_rows for look, _ in held]
    most = most_shards(settings, sum(n_rows), local_steps)
    n_shards = cluster.n_shards or min(cluster.n_workers, most)
    groups = share_out(n_rows, min(n_shards, len(n_rows)))
    return [[held[i][1] for i in group] for group in groups]


def _with_shared_batch(model: Model, n_shards: int) -> Model:
    """Return the model with values of "auto" that divide a batch among several shards.

    Each takes as many steps in an epoch as a single machine would, or fewer if its batches
    would be smaller than ``SMALLEST_BATCH``. In regression, the learning rate is that of the
    smaller batches. In classification, whose gradients are mostly noise, it is that of batches
    ``n_shards`` times as large as a single machine's: Adam takes smaller steps where gradients
    are noisier, and the mean of the shards has less noise than each of them.
    """
    settings, size = model.settings, model.settings.batch_size
    if n_shards == 1 or "batch_size" not in settings.auto:
        return model
    shared = max(min(size, SMALLEST_BATCH), size // n_shards)
    like = shared if model.numeric_y else size * n_shards
    rate = learning_rate(like, min(size, LARGEST_BATCH), model.numeric_y)
    suited = {"batch_size": shared, "learning_rate_init": rate}
    chosen = {name: value for name, value in suited.items() if name in settings.auto}
    settings = replace(settings.with_values(**chosen), auto={**settings.auto, **chosen})
    return replace(model, settings=settings)


def _train(shards: Shards, outer: OuterStep, budget: Budget | None) -> TrainingResult:
    """Return the result of training on the shards."""
    network, settings = shards.model.network, shards.model.settings
    if network.bounds(shards.model.params.dtype) is not None:
        outer = replace(outer, network=network)
    stopping, evaluate = settings.stopping, None
    epoch = ClusterEpoch(shards, outer, budget)
    if settings.early_stopping:
        evaluate = epoch.evaluate
        stopping = replace(stopping, **epoch.of_constants())
    return train_epochs(epoch, shards, stopping, evaluate, reporter(settings.verbose))
