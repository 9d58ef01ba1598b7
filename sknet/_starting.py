"""The start of a model: settings, encodings and initial parameters from checked data.

For a table in memory, ``start_model`` looks at y before it surveys X, because the survey counts
rows with the weights of their classes.

Other tables come in parts: chunks of a stream, or partitions on a cluster. ``look_at`` returns
what matters about a part: a small :class:`Look`. ``merge_looks`` turns the looks at all parts
into one look at the whole table, with exact levels, classes and scale of y. Quantiles, and the
scale of y for robust losses, are estimated from a sample of rows, which is read when the levels
of all parts are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from sknet._auto import RULES, Facts
from sknet._base_model import learn_encoder
from sknet._input import Features
from sknet._joint_model import KINDS
from sknet._model import Model
from sknet._parameters import is_auto, parameters_of, plain
from sknet._settings import Settings, resolve
from sknet._target_learning import learn_target, measure_target, weigh
from sknet.data.batches import Batch, Dataset, join
from sknet.data.columns.times import DateColumn
from sknet.data.survey import Survey, merge_statistics, merge_surveys, survey_rows
from sknet.data.targets import merge_targets
from sknet.data.weights import LabelCounts
from sknet.nn.embeddings import NumericEmbedding
from sknet.nn.losses import uses_order
from sknet.nn.monotone import Promise


def facts_of(
    features: Features,
    n_rows: int,
    dtype: np.dtype[Any],
    is_sparse: bool,
    target: Any = None,
    **known: Any,
) -> Facts:
    """Return the facts of a table that the values of "auto" depend on.

    ``n_rows`` is the number of rows of the whole table, ``target`` is what is known about its
    y, if anything, and ``known`` are other facts.
    """
    if isinstance(target, LabelCounts):
        known["minority_share"] = target.minority_share
    reader, numeric_y = features.reader, features.numeric_y
    n_levels, n_dates = list(map(len, reader.levels_)), len(reader.of_kind(DateColumn))
    # Each of several targets has its own loss.
    known["ordered_y"] = uses_order(getattr(features.estimator, "loss", None))
    n_columns = features.n_features
    return Facts(n_rows, n_columns, is_sparse, dtype, numeric_y, n_levels, n_dates, **known)


def facts_of_rows(
    features: Features, data: Dataset, n_rows: int | None = None, **known: Any
) -> Facts:
    """Return the facts of a table in memory, or of the larger one that it is a sample of.

    ``n_rows`` is the number of rows of the larger table, and ``known`` are other facts.
    """
    X, grouped = data.X, data.groups is not None
    n_rows = n_rows or data.n_rows
    return facts_of(features, n_rows, X.dtype, sparse.issparse(X), grouped=grouped, **known)


def settle(estimator: BaseEstimator, facts: Facts, promise: Promise | None = None) -> Settings:
    """Return the settings of a new fit.

    ``promise`` is that of the monotonic constraints, or None if there are none.

    Raises
    ------
    ValueError
        If ``frozen_layers`` is positive, or if a parameter of the layers does not suit X or the
        constraints.
    """
    parameters = parameters_of(estimator)
    if n_frozen := parameters["frozen_layers"]:
        raise ValueError(
            f"frozen_layers={n_frozen} needs a fitted network whose layers it keeps. Pass one "
            "as init to the method fit of an estimator without Dask, or set frozen_layers=0."
        )
    _check_suited(parameters, facts.is_sparse, promise is not None)
    return resolve(estimator, facts, {}, promise)


def _check_suited(parameters: Mapping[str, Any], is_sparse: bool, monotone: bool) -> None:
    """Refuse layers that do not suit the table, or that cannot keep a constraint on columns.

    Raises
    ------
    ValueError
        If ``numeric_embedding`` is set with sparse X, or does not pass on the numbers that
        components need; if, with sparse X or constraints, there are components, several members
        share no weights or columns have scales; or if ``normalization`` is set with
        ``monotonic_cst``.
    """
    constraint = None if parameters["interaction_cst"] is None else "interaction_cst"
    unsuited = "sparse X" if is_sparse else "monotonic_cst" if monotone else constraint
    stays_sparse = "sparse X: sparse columns would not stay sparse" if is_sparse else None
    lowers = "monotonic_cst: a unit that rises lowers the others in its row"
    for name, unaffected, obstacle in (
        ("numeric_embedding", None, stays_sparse),
        ("n_components", 0, unsuited),
        ("share_weights", True, None if parameters["n_members"] == 1 else unsuited),
        ("column_scales", False, unsuited),
        ("normalization", None, lowers if monotone else None),
    ):
        value = plain(parameters[name])
        if obstacle and not is_auto(value) and value != unaffected:
            or_auto = ", or 'auto'" if name in RULES else ""
            raise ValueError(
                f"{name}={value!r} cannot be used with {obstacle}. Set "
                f"{name}={unaffected}{or_auto}."
            )
    embedding, n_components = parameters["numeric_embedding"], parameters["n_components"]
    drops_numbers = isinstance(embedding, NumericEmbedding) and not embedding.keeps_numbers
    if drops_numbers and not is_auto(n_components) and n_components > 0:
        raise ValueError(
            f"n_components={n_components} needs the numeric columns themselves, but "
            f"numeric_embedding={embedding!r} does not pass them on. Use "
            "n_components=0, or 'auto'. If the first output of the embedding for each column "
            "is the number itself, set keeps_numbers=True in its class."
        )


def start_model(
    estimator: BaseEstimator,
    features: Features,
    data: Dataset,
    streams: Mapping[str, np.random.Generator],
    *,
    n_earlier: int | None = None,
    classes: Any = None,
) -> Model:
    """Return a model with encodings learned from the data, and initial parameters.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        The estimator whose parameters are used.
    features : Features
        The columns of the training table.
    data : Dataset
        The training rows.
    streams : mapping of str to numpy Generator
        The random generators of the run.
    n_earlier : int, optional
        The number of rows of earlier chunks, if the data are a chunk of a stream. A level that
        occurs once or never in a chunk then remains a level of its own, because further rows
        may contain it. Without ``n_earlier``, it is treated as missing.
    classes : array-like, optional
        All classes, if the data may lack some of them.

    Raises
    ------
    ValueError
        If y does not suit the loss, if a parameter does not suit X, or if monotonic constraints
        do not suit the task.
    """
    counts = data.count_labels(features.numeric_y)
    facts = facts_of_rows(features, data, target=counts, n_earlier=n_earlier)
    settings = settle(estimator, facts, features.promise)
    known = counts or measure_target(settings, data, features.numeric_y)
    settings, target = learn_target(settings, known, data.X.dtype, classes)
    # The encodings are learned with the weights that training uses.
    data = weigh(settings, target, data)
    survey = survey_rows(data, features.reader, features.names, rng=streams["tables"])
    encoder = learn_encoder(settings, survey, target, keep_rare=n_earlier is not None)
    rng = streams["init"]
    return KINDS[type(target)].start(settings, features.reader, encoder, target, rng)


def continue_model(
    estimator: BaseEstimator,
    features: Features,
    model: Model,
    data: Dataset,
    params: np.ndarray | None,
    *,
    n_rows: int | None = None,
    n_earlier: int | None = None,
) -> Model:
    """Return a model that is to be trained further, with the estimator's settings.

    ``params`` are the parameters from which training continues; None stands for those of the
    model. The two differ if predictions use a running average. ``n_rows`` is the number of
    training rows if the data are a sample, and ``n_earlier`` is as in :func:`start_model`.

    Raises
    ------
    ValueError
        If the estimator's parameters describe other encodings or other layers, or if y does not
        suit the target that the model has learned.
    """
    # For a further chunk of a stream, no rule depends on the labels.
    counts = data.count_labels(features.numeric_y) if n_earlier is None else None
    facts = facts_of_rows(features, data, n_rows, target=counts, n_earlier=n_earlier)
    settings = resolve(estimator, facts, model.settings.auto, features.promise)
    model = model.continued(settings)
    if settings.class_weight == "balanced":
        known = counts or measure_target(settings, data, features.numeric_y)
        model = replace(model, settings=settings.balanced(known))
    model.check_target(data.y, "y", data.order)
    params = model.params if params is None else params
    return model.with_params(params.astype(settings.dtype, copy=False))


@dataclass(frozen=True, eq=False, repr=False)
class PretrainedNetwork:
    """A network that has learned the columns of a table. Pass it to ``fit`` as ``init``.

    :func:`sknet.pretraining.pretrain` returns it. It can be pickled, but makes no predictions.

    Attributes
    ----------
    history_ : dict of str to list of float
        The record of the pre-training, in the form of an estimator's record.
    """

    _features: Features
    _model: Model
    history_: dict[str, list[float]]

    def _last_fit(self) -> tuple[Features, Model]:
        """Return the columns and the model, as an estimator does."""
        return self._features, self._model


def transfer_model(
    estimator: BaseEstimator,
    features: Features,
    source: Model,
    data: Dataset,
    streams: Mapping[str, np.random.Generator],
    classes: Any = None,
) -> Model:
    """Return a model that starts from the encodings and layers of another, fitted one.

    The scale of y is learned from the given y, which may be of another kind. The other
    arguments are as in :func:`start_model`.

    Raises
    ------
    ValueError
        If the estimator's parameters describe other encodings or other layers, or if y does not
        suit the loss.
    """
    counts = data.count_labels(features.numeric_y)
    facts = facts_of_rows(features, data, target=counts)
    settings = resolve(estimator, facts, source.settings.shape, features.promise)
    source.check_layers(settings)
    known = counts or measure_target(settings, data, features.numeric_y)
    settings, target = learn_target(settings, known, data.X.dtype, classes)
    encoder = source.encoder.with_late_scales(data).covering(data)
    # With the seed of the source, a new output layer would otherwise start from the draw of the
    # old one, whose trained weights fit the layers below.
    (rng,) = streams["init"].spawn(1)
    model = KINDS[type(target)].start(settings, source.reader, encoder, target, rng)
    return model.with_layers_of(source, weigh(settings, target, data))


# A table that comes in parts.


class Look(NamedTuple):
    """The result of one look at a part of a table.

    Attributes
    ----------
    survey : Survey
        The survey of its X, without a sample.
    target : LabelCounts, RegressionTarget or JointTarget
        The weighted counts of the labels in its y, or the scale of its y; with several targets,
        one of these for each.
    """

    survey: Survey
    target: Any

    @property
    def weighs_classes(self) -> bool:
        """Whether the weights of the rows tell classes apart, and so count no rows."""
        return isinstance(self.target, LabelCounts) and self.target.weighs_classes


def look_at(features: Features, data: Dataset, weighted: Dataset, part: str) -> Look:
    """Return the look at a part of a table.

    Parameters
    ----------
    features : Features
        The columns of the part.
    data : Dataset
        Its rows, as ``features`` reads them. If weights are counts of a unit, they count rows.
    weighted : Dataset
        The same rows, with weights in their own unit (see ``Dataset.in_own_units``).
    part : str
        The name of the part, for messages.

    Raises
    ------
    ValueError
        If y does not suit the loss, or a parameter does not suit X.
    """
    survey = survey_rows(data, features.reader, features.names, part=part)
    facts = facts_of(features, survey.n_rows, survey.dtype, survey.sparse)
    settings = settle(features.estimator, facts)
    return Look(survey, measure_target(settings, weighted, features.numeric_y))


def merge_looks(looks: Sequence[Look]) -> Look:
    """Return the look at a table, given the looks at all of its parts.

    Raises
    ------
    ValueError
        If the parts are not parts of one table.
    """
    survey = merge_surveys([one.survey for one in looks])
    target = merge_targets([(one.survey.part, one.target) for one in looks])
    return Look(survey, target)


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
    target : ClassTarget, RegressionTarget or JointTarget
        The encoder of y.
    """

    features: Features
    survey: Survey
    settings: Settings
    target: Any

    def start_model(
        self, samples: Sequence[Batch], rng: np.random.Generator, statistics: Sequence[Any] = ()
    ) -> Model:
        """Return a model with the encodings of the whole table, and initial parameters.

        Parameters
        ----------
        samples : sequence of Batch
            Rows as numbers, from which quantiles, the effects of levels and robust moments of y
            are estimated, with their y and the weights that training uses.
        rng : numpy Generator
            Draws the parameters.
        statistics : sequence, default=()
            The statistics of each part, with the weights that training uses, or None for a part
            without weights. If there are any, they replace those of the survey.
        """
        sample = Dataset(*join(samples))
        survey = replace(self.survey, sample=sample)
        if weighted := [(survey.reader, one) for one in statistics if one is not None]:
            survey = replace(survey, statistics=merge_statistics(survey.reader, weighted))
        target = self.target.refined(sample.y, sample.sample_weight)
        encoder = learn_encoder(self.settings, survey, target)
        return KINDS[type(target)].start(self.settings, survey.reader, encoder, target, rng)


def agree(estimator: BaseEstimator, look: Look) -> Agreement:
    """Return what the parts of a table agree on, given the look at the whole table.

    Raises
    ------
    ValueError
        If the parameters do not suit the table, or if y does not suit the loss.
    """
    survey, known = look
    features = Features.of(estimator, survey)
    facts = facts_of(features, survey.n_rows, survey.dtype, survey.sparse, known)
    settings = settle(estimator, facts, features.promise)
    return Agreement(features, survey, *learn_target(settings, known, survey.dtype))
