"""Shards: which partitions a worker trains on, and how they become its rows.

Nothing here knows of Dask.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sknet._batching import mini_batches, validation_blocks
from sknet._fitting import Problem, Run, fit_batches, split_off_validation
from sknet._input import Features
from sknet._model import Model
from sknet._monitoring import HeldOut
from sknet._settings import Settings
from sknet.data.batches import Dataset, join
from sknet.data.splitting import split_rows
from sknet.distributed.agreement import read_partition
from sknet.distributed.rounds import Shard
from sknet.nn.training import TrainingResult

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
