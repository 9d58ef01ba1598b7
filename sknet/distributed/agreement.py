"""What is learned of partitions before training: the look at each, its weights, and a sample.

Nothing here knows of Dask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet._base import BaseNN
from sknet._input import Features, read_rows, read_training
from sknet._looking import Agreement, Look, look_at
from sknet._model import Model, model_class
from sknet.data.batches import Batch, Dataset
from sknet.data.columns.column import Statistic
from sknet.data.draws import draw_rows, most_copied_rows
from sknet.data.kinds import as_numbers, naming
from sknet.data.survey import Survey, gather, merge_statistics


@dataclass(frozen=True)
class Description:
    """The description of a partition.

    Attributes
    ----------
    number : int
        The position of the partition in the table.
    look : Look
        The look at its rows.
    """

    number: int
    look: Look

    @property
    def n_rows(self) -> int:
        """Rows of positive weight."""
        return self.look.n_rows


class Sample(NamedTuple):
    """What is learned from a partition when the weights of its rows are known.

    Attributes
    ----------
    rows : Batch
        Random rows as numbers, with their y.
    statistics : list of Statistic or None
        What was gathered of the columns of the whole table; None without weights, when the
        descriptions have it.
    """

    rows: Batch
    statistics: list[Statistic] | None


def describe(
    estimator: BaseNN, number: int, X: Any, y: Any, sample_weight: Any
) -> Description | None:
    """Return the description of a partition, or None if it has no rows of positive weight.

    Raises
    ------
    ValueError
        If the rows are not valid, as in ``fit``. The message has the number of the partition.
    """
    with naming(f"Partition {number}"):
        if not has_rows(X, y, sample_weight):
            return None
        features, data = read_training(estimator, X, y, sample_weight)
        part = f"partition {number}"
        return Description(number, look_at(estimator, features, data, data, part))


def read_partition(
    features: Features, number: int, X: Any, y: Any, sample_weight: Any
) -> Dataset:
    """Return the rows of positive weight of a partition, given the features of the table.

    Raises
    ------
    ValueError
        If the rows are not valid, as in ``fit``. The message has the number of the partition.
    """
    with naming(f"Partition {number}"):
        return read_rows(features, X, y, sample_weight)


def has_rows(X: Any, y: Any, sample_weight: Any) -> bool:
    """Return whether a partition has rows of positive weight.

    Raises
    ------
    ValueError
        If X, y and the weights have different numbers of rows, or if the weights are not
        numbers.
    """
    lengths = {part.shape[0] for part in (X, y, sample_weight) if part is not None}
    if len(lengths) > 1:
        raise ValueError(
            f"X, y and sample_weight differ in their numbers of rows: {sorted(lengths)}."
        )
    if sample_weight is not None:
        sample_weight = as_numbers(sample_weight, "sample_weight")
    return bool(X.shape[0]) and (sample_weight is None or bool(np.any(sample_weight)))


def weigh(
    agreed: Agreement, number: int, X: Any, y: Any, sample_weight: Any
) -> NDArray[np.float64]:
    """Return the weights of all rows of a partition, times the weights of their classes."""
    data = read_partition(agreed.features, number, X, y, sample_weight)
    kind = model_class(agreed.features.numeric_y)
    weights = kind.row_weights(agreed.settings, agreed.target, data.y, data.sample_weight)
    of_all = np.zeros(X.shape[0])
    of_all[data.positions] = 1.0 if weights is None else weights
    return of_all


def sample(
    features: Features,
    number: int,
    n_wanted: int,
    seed: int,
    X: Any,
    y: Any,
    sample_weight: Any,
) -> Sample:
    """Return up to ``n_wanted`` random rows of a partition, and the statistics of its columns.

    The weights are those that training uses. They are known only after the description, so the
    statistics of weighted rows are gathered anew.
    """
    data = read_partition(features, number, X, y, sample_weight)
    statistics = None if data.sample_weight is None else gather(data, features.reader)
    chosen = draw_rows(data.n_rows, n_wanted, np.random.default_rng((seed, number)))
    return Sample(data.choose(chosen).batch(), statistics)


def shares_of_sample(descriptions: Sequence[Description], survey: Survey) -> list[int]:
    """Return the number of rows of each partition in the sample of the whole table.

    The sample is copied to the client, so its size is limited.
    """
    most = most_copied_rows(survey.row_bytes)
    if survey.n_rows <= most:
        return [one.n_rows for one in descriptions]
    return [max(1, most * one.n_rows // survey.n_rows) for one in descriptions]


def start_model(
    agreed: Agreement, samples: Sequence[Sample], rng: np.random.Generator
) -> Model:
    """Return a model with the encodings of the whole table, and initial parameters."""
    reader = agreed.features.reader
    weighted = [(reader, one.statistics) for one in samples if one.statistics is not None]
    statistics = merge_statistics(reader, weighted) if weighted else None
    return agreed.start_model([one.rows for one in samples], rng, statistics)
