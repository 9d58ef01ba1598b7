"""What the workers must agree on before they train: columns, levels, scales and labels.

Each partition is described by itself; the descriptions are small. ``sknet.data`` merges the
surveys of X and what is known of y. Quantiles are estimated from a sample of rows, which is
read when the levels of the categories are agreed on. Nothing here knows of Dask.
"""

import copy
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from sknet import _validation as checks
from sknet._auto import Table, resolve
from sknet._building import make_loss, make_network
from sknet.data.batches import Dataset
from sknet.data.survey import Survey, draw_rows, merge_surveys, most_copied_rows, survey_rows
from sknet.data.targets import LabelCounts, RegressionTarget, merge_targets


@dataclass(frozen=True)
class Description:
    """What a partition tells: its number, the survey of its X, and what is known of its y."""

    number: int
    survey: Survey
    target: LabelCounts | RegressionTarget

    @property
    def n_rows(self):
        """Rows of positive weight."""
        return self.survey.n_rows


def read(model, number, X, y, sample_weight, *, reset):
    """Return a partition's rows of positive weight as a Dataset, or None without any.

    Raises
    ------
    ValueError
        As ``fit`` does, with the partition's number.
    """
    with _naming_partition(number):
        lengths = {part.shape[0] for part in (X, y, sample_weight) if part is not None}
        if len(lengths) > 1:
            raise ValueError(f"X, y and sample_weight differ in their rows: {sorted(lengths)}.")
        if not X.shape[0] or (sample_weight is not None and not np.any(sample_weight)):
            return None
        return model._check_training_data(X, y, sample_weight, reset=reset)


@contextmanager
def _naming_partition(number):
    """Let errors tell in which partition they are."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"Partition {number}: {error}") from error


def describe(model, number, X, y, sample_weight):
    """Return the description of a partition, or None if it has no rows."""
    model = copy.copy(model)
    data = read(model, number, X, y, sample_weight, reset=True)
    if data is None:
        return None
    with _naming_partition(number):
        target = _target(model, data)
    names = getattr(model, "feature_names_in_", None)
    survey = survey_rows(
        data,
        model._reader,
        None if names is None else names.tolist(),
        part=f"partition {number}",
    )
    return Description(number, survey, target)


def _target(model, data):
    y = data.y
    if model._numeric_y:
        loss = make_loss(model)
        checks.check_domain(loss, y, "y")
        target = RegressionTarget(model.standardize, shift=loss.shifts_y)
        return target.fit(y, data.sample_weight)
    return LabelCounts.of(y)


def agree(model, descriptions):
    """Give a model the columns, the levels and the target that all partitions share.

    Returns
    -------
    Survey
        The survey of all partitions, without a sample.

    Raises
    ------
    ValueError
        If partitions contradict each other.
    """
    survey = merge_surveys([one.survey for one in descriptions])
    target = merge_targets([(one.survey.part, one.target) for one in descriptions])
    model.n_features_in_ = survey.n_features
    if survey.names is not None:
        model.feature_names_in_ = np.array(survey.names, dtype=object)
    model._reader = survey.reader
    _set_target(model, target)
    model._loss = model._make_loss()
    return survey


def _set_target(model, target):
    if model._numeric_y:
        model._check_scale(target)
        model._target = target
        return
    model._target = model._make_target(Dataset(None, target.labels_as_y()))
    if isinstance(model.class_weight, str):
        model.class_weight = target.balanced_weights()


def sample(model, number, n_wanted, seed, X, y, sample_weight):
    """Return up to ``n_wanted`` rows of a partition, without y, as arrays of numbers."""
    data = read(model, number, X, y, sample_weight, reset=False)
    chosen = draw_rows(data.n_rows, n_wanted, np.random.default_rng((seed, number)))
    return data.choose(chosen).batch()._replace(y=None)


def shares_of_sample(descriptions, survey):
    """Return how many rows each partition gives, so that all fit the memory of the client."""
    most = most_copied_rows(survey.row_bytes)
    if survey.n_rows <= most:
        return [one.n_rows for one in descriptions]
    return [max(1, most * one.n_rows // survey.n_rows) for one in descriptions]


def build(model, survey, samples, rng):
    """Give a model that agrees with all partitions its encoder, network and parameters.

    Parameters
    ----------
    model : NNClassifier or NNRegressor
        The model after ``agree``.
    survey : Survey
        The survey of all partitions, as ``agree`` returned it.
    samples : list of Batch
        Rows of all partitions, from which quantiles are estimated.
    rng : numpy Generator
        Draws the parameters.
    """
    survey = survey.with_sample(samples)
    X = survey.sample.X
    model.auto_params_ = resolve(model, Table(survey.n_rows, X))
    model._table = model._new_table(X, survey.n_rows).fit_survey(survey)
    model._network = make_network(model._settings, model._table, model._n_raw)
    model._params = model._network.init(rng).astype(model._settings.dtype)
