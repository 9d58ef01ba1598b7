"""Shards: which partitions a worker trains on, and how they become its rows.

Nothing here knows of Dask.
"""

import copy
import math

import numpy as np

from sknet._batching import mini_batches, validation_blocks
from sknet._building import make_optimizer_and_penalty, make_update_rule
from sknet._fitting import fit_batches, split_off_validation
from sknet.data.batches import Dataset, join
from sknet.data.splitting import split_rows
from sknet.distributed.agreement import read
from sknet.distributed.rounds import Shard
from sknet.nn.objective import Objective


def share_out(sizes, n_shards):
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


def most_shards(settings, n_rows, local_steps):
    """Return how many shards can take ``local_steps`` full mini-batches an epoch, at least 1.

    In shorter rounds the inner optimizer, which begins anew in each, learns too little.
    """
    held_out = settings.validation_fraction if settings.early_stopping else 0
    n_batches = n_rows * (1 - held_out) / settings.batch_size
    return max(1, int(n_batches / local_steps))


def make_shard(model, number, seed, partitions):
    """Return a shard of the given partitions.

    Parameters
    ----------
    model : NNClassifier or NNRegressor
        With encoders, network and a value for each parameter that is "auto".
    number : int
        That of the shard.
    seed : int
        That of the fit.
    partitions : list of (number, X, y, sample_weight)
    """
    data = _read_all(model, partitions)
    data, held_out = _hold_out(model, data, (seed, number))
    optimizer, penalty = make_optimizer_and_penalty(model._settings)
    no_streams = {"shuffle": None, "augmentation": None}
    return Shard(
        Objective(model._network, model._loss, penalty),
        make_update_rule(model._settings, optimizer),
        mini_batches(model, data, no_streams, encoded_bytes=math.inf),
        held_out and validation_blocks(model, held_out, encoded_bytes=math.inf),
        shuffle=model.shuffle,
        seed=(seed, number),
        weight=_sum_of_weights(data),
        validation_weight=_sum_of_weights(held_out) if held_out else 0.0,
    )


def train_alone(model, run, partitions):
    """Return the result of training on all partitions in one place, as a local fit does.

    Parameters
    ----------
    model : NNClassifier or NNRegressor
        As for ``make_shard``.
    run : Run
        One that has not begun.
    partitions : list of (number, X, y, sample_weight)
    """
    # If this is made again, it must find both as they were.
    model, run = copy.deepcopy((model, run))
    data, held_out = split_off_validation(model, _read_all(model, partitions), run)
    batches = mini_batches(model, data, run.streams, encoded_bytes=math.inf)
    return fit_batches(model, batches, (held_out, None), run)


def _read_all(model, partitions):
    """Return the rows of all partitions, with the weights that they shall have."""
    parts = [read(model, *part, reset=False) for part in partitions]
    data = Dataset(*join([part.batch() for part in parts]))
    return model._weighted(data, data)


def _hold_out(model, data, seed):
    """Return the rows to train on, and those to validate with or None."""
    settings = model._settings
    fraction = settings.validation_fraction
    # What is too few rows in one shard may be enough in all together.
    if not settings.early_stopping or data.n_rows * fraction < 1 or data.n_rows < 3:
        return data, None
    state = int(np.random.default_rng(seed).integers(2**31))
    parts = split_rows(data.n_rows, fraction, model._strata(data.y), state)
    return tuple(data.choose(rows) for rows in parts)


def _sum_of_weights(data):
    weight = data.sample_weight
    return float(data.n_rows if weight is None else weight.sum())
