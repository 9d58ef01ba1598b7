"""The agreement of all partitions before training: columns, levels, scales and labels.

Each partition gets a description, which is small. ``sknet.data`` merges the surveys of X and
the statistics of y in the descriptions. Quantiles are estimated from a sample of rows, which is
read after the levels of the categories have been merged. Nothing here knows of Dask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet._auto import Facts
from sknet._base import BaseNN
from sknet._building import check_precision, check_scale
from sknet._input import Features, read_rows, read_training
from sknet._model import ClassificationModel, Model, RegressionModel, model_class
from sknet._settings import Settings
from sknet._starting import settle
from sknet.data.batches import Batch, Dataset
from sknet.data.columns.column import Statistic
from sknet.data.draws import draw_rows, most_copied_rows
from sknet.data.kinds import as_numbers, naming
from sknet.data.survey import Survey, gather, merge_statistics, merge_surveys
from sknet.data.targets import (
    ClassTarget,
    KnownTarget,
    RegressionTarget,
    merge_targets,
)
from sknet.data.weights import LabelCounts


@dataclass(frozen=True)
class Description:
    """The description of a partition.

    Attributes
    ----------
    number : int
        The position of the partition in the table.
    survey : Survey
        The survey of its X, without a sample.
    target : LabelCounts or RegressionTarget
        The weighted counts of the labels in its y, or the scale of its y.
    """

    number: int
    survey: Survey
    target: KnownTarget

    @property
    def n_rows(self) -> int:
        """Rows of positive weight."""
        return self.survey.n_rows


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


@dataclass(frozen=True)
class Agreement:
    """The agreement of all partitions.

    Attributes
    ----------
    features : Features
        The columns of the table.
    survey : Survey
        The survey of the whole X, without a sample.
    settings : Settings
        The settings of the fit.
    target : ClassTarget or RegressionTarget
        The encoder of y.
    """

    features: Features
    survey: Survey
    settings: Settings
    target: ClassTarget | RegressionTarget

    def start_model(self, samples: Sequence[Sample], rng: np.random.Generator) -> Model:
        """Return a model with the encodings of the whole table, and initial parameters.

        Parameters
        ----------
        samples : sequence of Sample
            Rows of each partition, from which quantiles and the effects of levels are
            estimated, with the statistics of columns if the rows have weights.
        rng : numpy Generator
            Draws the parameters.
        """
        survey = self.survey.with_sample([one.rows for one in samples])
        reader = survey.reader
        weighted = [(reader, one.statistics) for one in samples if one.statistics is not None]
        if weighted:
            survey = replace(survey, statistics=merge_statistics(reader, weighted))
        kind = model_class(self.features.numeric_y)
        return kind.start(self.settings, survey, self.target, rng)


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
        survey = features.survey(data, part=f"partition {number}")
        return Description(number, survey, _describe_target(estimator, features, data))


def _describe_target(estimator: BaseNN, features: Features, data: Dataset) -> KnownTarget:
    """Return the counts of the labels of a partition, or the scale of its numbers."""
    if not features.numeric_y:
        return LabelCounts.of(data.y, data.sample_weight, data.weight_unit)
    settings = settle(estimator, Facts.of(data.X, data.n_rows, features.numeric_y))
    return RegressionModel.measure_target(settings, data)


def agree(estimator: BaseNN, descriptions: Sequence[Description]) -> Agreement:
    """Return the agreement of all partitions, given their descriptions.

    Raises
    ------
    ValueError
        If the partitions are not parts of one table, or if y does not suit the loss.
    """
    survey = merge_surveys([one.survey for one in descriptions])
    known = merge_targets([(one.survey.part, one.target) for one in descriptions])
    features = Features.of(estimator, survey)
    settings = settle(estimator, _facts(survey, features), features.promise)
    if isinstance(known, RegressionTarget):
        check_precision(known, settings, survey.dtype)
    return Agreement(features, survey, *_adopt_target(settings, known))


def _facts(survey: Survey, features: Features) -> Facts:
    """Return the facts of a table that the values of "auto" depend on."""
    return Facts(
        n_rows=survey.n_rows,
        n_columns=survey.n_features,
        is_sparse=survey.sparse,
        dtype=survey.dtype,
        numeric_y=features.numeric_y,
        n_levels=features.n_levels,
        n_dates=features.n_dates,
    )


def _adopt_target(
    settings: Settings, known: KnownTarget
) -> tuple[Settings, ClassTarget | RegressionTarget]:
    """Return the settings, with balanced class weights as numbers, and the encoder of y."""
    if isinstance(known, RegressionTarget):
        return settings, check_scale(known, settings.loss)
    target = ClassificationModel.learn_target(settings, Dataset(None, known.labels_as_y()))
    if isinstance(settings.class_weight, str):
        settings = settings.with_values(class_weight=known.balanced_weights())
    return settings, target


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
