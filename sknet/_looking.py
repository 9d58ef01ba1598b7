"""One look at each part of a table, and what all parts agree on before training.

A part is a chunk of a stream, or a partition on a cluster. The look at it is small, and the
looks at the parts of a table merge into that at the whole table, with exact levels, classes and
scale of y. Quantiles are estimated from a sample of rows, which is read when the levels of all
parts are known.

A table in memory starts by ``Model.of_rows`` instead: its survey counts rows with the weights
of their classes, which are known only when y has been looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from sknet._input import Features
from sknet._model import Model, RegressionModel, model_class
from sknet._settings import Settings
from sknet._starting import facts_of, settle
from sknet.data.batches import Batch, Dataset
from sknet.data.columns.column import Statistic
from sknet.data.survey import Survey, merge_surveys, survey_rows
from sknet.data.targets import ClassTarget, KnownTarget, RegressionTarget, merge_targets
from sknet.data.weights import LabelCounts


class Look(NamedTuple):
    """The result of one look at a part of a table.

    Attributes
    ----------
    survey : Survey
        The survey of its X, without a sample.
    target : LabelCounts or RegressionTarget
        The weighted counts of the labels in its y, or the scale of its y.
    """

    survey: Survey
    target: KnownTarget

    @property
    def n_rows(self) -> int:
        """Rows of positive weight."""
        return self.survey.n_rows


def look_at(
    estimator: BaseEstimator, features: Features, data: Dataset, weighted: Dataset, part: str
) -> Look:
    """Return the look at a part of a table.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        The estimator whose parameters are used.
    features : Features
        The columns of the part.
    data : Dataset
        Its rows, as ``features`` reads them. Weights that are whole numbers count rows.
    weighted : Dataset
        The same rows, with weights in units of their own.
    part : str
        The name of the part, for messages.

    Raises
    ------
    ValueError
        If y does not suit the loss.
    """
    survey = survey_rows(data, features.reader, features.names, part=part)
    if not features.numeric_y:
        counts = LabelCounts.of(weighted.y, weighted.sample_weight, weighted.weight_unit)
        return Look(survey, counts)
    facts = facts_of(features, survey.n_rows, survey.dtype, survey.sparse)
    settings = settle(estimator, facts)
    return Look(survey, RegressionModel.measure_target(settings, weighted))


def merge_looks(looks: Sequence[Look]) -> Look:
    """Return the look at a table, given those at all of its parts.

    Raises
    ------
    ValueError
        If the parts are not parts of one table.
    """
    survey = merge_surveys([one.survey for one in looks])
    return Look(survey, merge_targets([(one.survey.part, one.target) for one in looks]))


@dataclass(frozen=True)
class Agreement:
    """What all parts of a table agree on before training.

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

    def start_model(
        self,
        samples: Sequence[Batch],
        rng: np.random.Generator,
        statistics: Sequence[Statistic] | None = None,
    ) -> Model:
        """Return a model with the encodings of the whole table, and initial parameters.

        Parameters
        ----------
        samples : sequence of Batch
            Rows as numbers, from which quantiles and the effects of levels are estimated, with
            their y and the weights that training uses.
        rng : numpy Generator
            Draws the parameters.
        statistics : sequence of Statistic, optional
            The statistics of the columns, if those of the survey do not have the weights that
            training uses.
        """
        survey = self.survey.with_sample(samples)
        if statistics is not None:
            survey = replace(survey, statistics=list(statistics))
        kind = model_class(self.features.numeric_y)
        return kind.start(self.settings, survey, self.target, rng)


def agree(estimator: BaseEstimator, look: Look) -> Agreement:
    """Return what the parts of a table agree on, given the look at the whole table.

    Raises
    ------
    ValueError
        If the parameters do not suit the table, or if y does not suit the loss.
    """
    survey, known = look
    features = Features.of(estimator, survey)
    facts = facts_of(features, survey.n_rows, survey.dtype, survey.sparse)
    settings = settle(estimator, facts, features.promise)
    kind = model_class(features.numeric_y)
    return Agreement(features, survey, *kind.learn_target(settings, known, survey.dtype))
