"""What the workers must agree on before they train: columns, levels, scales and labels.

Each partition is described by itself; the descriptions are small. Categories, classes, missing
columns and the moments of y are merged exactly. Quantiles are taken over a sample of rows.
Nothing here knows of Dask.
"""

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sknet import _validation as checks
from sknet._auto import Table, resolve
from sknet._building import make_loss, make_network
from sknet.data.batches import Dataset
from sknet.data.encoding import Survey, look_through, most_copied_rows
from sknet.data.tables import TableReader
from sknet.data.targets import RegressionTarget


@dataclass
class Features:
    """What a partition shows of X.

    Attributes
    ----------
    n_features : int
    names : list of str or None
    sparse : bool
    reader : TableReader or None
        With the levels of the categories.
    has_nan : ndarray of bool
        Which columns have missing values: numbers first, then categories.
    level_counts : list of ndarray
        How often each level of each category occurs.
    """

    n_features: int
    names: list[str] | None
    sparse: bool
    reader: TableReader | None
    has_nan: np.ndarray
    level_counts: list[np.ndarray]


@dataclass
class Description:
    """What a partition tells: its number, its rows of positive weight, its columns and its y.

    ``row_bytes`` are those of a row of X, as numbers, on average; ``target`` is a
    ``LabelCounts`` or a ``RegressionTarget``.
    """

    number: int
    n_rows: int
    row_bytes: float
    features: Features
    target: Any


@dataclass
class LabelCounts:
    """The labels of a partition, sorted, with their numbers of rows.

    Of a multi-label y, with ``n_columns`` > 1, the counts are of the rows that have a label.
    """

    labels: np.ndarray
    counts: np.ndarray
    n_columns: int

    def merge(self, other):
        """Let another partition's labels join."""
        both = np.concatenate([self.labels, other.labels])
        labels, places = np.unique(both, return_inverse=True)
        counts = np.bincount(places, np.concatenate([self.counts, other.counts]))
        self.labels, self.counts = labels, counts.astype(int)


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
    row_bytes = _n_bytes(data.X) / data.X.shape[0]
    with _naming_partition(number):
        target = _target(model, data)
    return Description(number, data.n_rows, row_bytes, _features(model, data), target)


def _n_bytes(X):
    return X.data.nbytes + X.indices.nbytes if sparse.issparse(X) else X.nbytes


def _features(model, data):
    reader = model._reader
    n_levels = [] if reader is None else reader.n_levels_
    survey = look_through(data, n_levels, chosen=np.array([], dtype=int))
    names = getattr(model, "feature_names_in_", None)
    return Features(
        model.n_features_in_,
        None if names is None else names.tolist(),
        sparse.issparse(data.X),
        reader,
        survey.has_nan,
        survey.level_counts,
    )


def _target(model, data):
    y = data.y
    if model._numeric_y:
        loss = make_loss(model)
        checks.check_domain(loss, y, "y")
        target = RegressionTarget(model.standardize, shift=loss.shifts_y)
        return target.fit(y, data.sample_weight)
    if y.ndim == 1:
        return LabelCounts(*np.unique(y, return_counts=True), n_columns=1)
    n_labels = y.shape[1]
    return LabelCounts(np.arange(n_labels), np.asarray(y.sum(axis=0)).ravel(), n_labels)


def agree(model, descriptions):
    """Give a model the columns, the levels and the target that all partitions share.

    Raises
    ------
    ValueError
        If partitions contradict each other.
    """
    first = descriptions[0]
    for other in descriptions[1:]:
        _check_same_features(first, other)
        _check_same_target(first, other)
    _agree_on_features(model, [one.features for one in descriptions])
    _agree_on_target(model, descriptions)
    model._loss = model._make_loss()


def _agree_on_features(model, features):
    first, *others = features
    model.n_features_in_ = first.n_features
    if first.names is not None:
        model.feature_names_in_ = np.array(first.names, dtype=object)
    model._reader = copy.deepcopy(first.reader)
    if model._reader is not None:
        model._reader.merge([one.reader for one in others])


def _agree_on_target(model, descriptions):
    first, *others = descriptions
    target = copy.deepcopy(first.target)
    for other in others:
        target.merge(other.target)
    if model._numeric_y:
        model._check_scale(target)
        model._target = target
    else:
        model._target = model._make_target(Dataset(None, _some_labels(target)))
        if isinstance(model.class_weight, str):
            model.class_weight = _balanced(target, sum(one.n_rows for one in descriptions))


def _check_same_features(first, other):
    """Raise if two partitions are not of one table."""
    ours, theirs = first.features, other.features
    columns = [one.names or one.n_features for one in (ours, theirs)]
    if columns[0] != columns[1]:
        raise _difference(first, other, "the columns {}", *columns)
    if ours.sparse != theirs.sparse:
        kinds = ["sparse" if one.sparse else "dense" for one in (ours, theirs)]
        raise _difference(first, other, "{} rows", *kinds)
    categories = [_categories(one) for one in (ours, theirs)]
    if categories[0] != categories[1]:
        either = sorted({*categories[0], *categories[1]}, key=str)
        raise _difference(
            first,
            other,
            "the categories {}",
            *categories,
            remedy="A column without a value in a partition looks like numbers; name the "
            f"categories: categorical_features={either}.",
        )


def _categories(features):
    """Return the names of the columns that are categories, or else their positions."""
    positions = [] if features.reader is None else features.reader.categorical_.tolist()
    return [features.names[i] for i in positions] if features.names else positions


def _difference(first, other, what, expected, found, remedy=""):
    """Return the error that tells of a difference between partitions."""
    return ValueError(
        f"Partitions differ: partition {first.number} has {what.format(expected)}, but "
        f"partition {other.number} has {what.format(found)}. All partitions must be parts of "
        f"one table. {remedy}".rstrip()
    )


def _check_same_target(first, other):
    """Raise if y has another form in two partitions."""
    targets = first.target, other.target
    if isinstance(targets[0], RegressionTarget):
        forms = [f"{one.n_outputs} column(s)" for one in targets]
    else:
        kinds = ["text" if isinstance(one.labels[0], str) else "numbers" for one in targets]
        forms = [
            f"{one.n_columns} column(s) of {kind}"
            for one, kind in zip(targets, kinds, strict=True)
        ]
    if forms[0] != forms[1]:
        raise ValueError(
            f"Partitions differ: y has {forms[0]} in partition {first.number}, but {forms[1]} "
            f"in partition {other.number}."
        )


def _some_labels(target):
    """Return a y from which a classifier learns the same labels as from all rows."""
    if target.n_columns == 1:
        return target.labels
    return np.zeros((1, target.n_columns), dtype=int)


def _balanced(target, n_rows):
    """Return the weights that "balanced" stands for: n_rows / (n_classes * count)."""

    def weights(labels, counts):
        return {
            label: n_rows / (np.count_nonzero(counts) * count)
            for label, count in zip(labels, counts, strict=True)
            if count
        }

    if target.n_columns == 1:
        return weights(target.labels.tolist(), target.counts.tolist())
    return [weights([0, 1], [n_rows - count, count]) for count in target.counts.tolist()]


def sample(model, number, n_wanted, seed, X, y, sample_weight):
    """Return up to ``n_wanted`` rows of a partition, without y, as arrays of numbers."""
    data = read(model, number, X, y, sample_weight, reset=False)
    if data.n_rows > n_wanted:
        rng = np.random.default_rng((seed, number))
        data = data.choose(np.sort(rng.choice(data.n_rows, n_wanted, replace=False)))
    return data.batch()._replace(y=None)


def shares_of_sample(descriptions):
    """Return how many rows each partition gives, so that all fit the memory of the client."""
    n_rows = [one.n_rows for one in descriptions]
    row_bytes = np.average([one.row_bytes for one in descriptions], weights=n_rows)
    n_total, most = sum(n_rows), most_copied_rows(row_bytes)
    if n_total <= most:
        return n_rows
    return [max(1, most * n // n_total) for n in n_rows]


def build(model, descriptions, samples, rng):
    """Give a model that agrees with all partitions its encoder, network and parameters.

    Parameters
    ----------
    model : NNClassifier or NNRegressor
        As ``agree`` left it.
    descriptions : list of Description
    samples : list of Batch
        Rows to take quantiles of.
    rng : numpy Generator
        Draws the parameters.
    """
    n_rows = sum(one.n_rows for one in descriptions)
    survey = _survey(model, [one.features for one in descriptions], samples)
    X = survey.sample.X
    model.auto_params_ = resolve(model, Table(n_rows, X))
    model._table = model._new_table(X, n_rows).fit_survey(survey)
    model._network = make_network(model._settings, model._table, model._n_raw)
    model._params = model._network.init(rng).astype(model._settings.dtype)


def _survey(model, features, samples):
    """Return what one pass over all partitions would have found."""
    X = [one.X for one in samples]
    X = sparse.vstack(X).tocsr() if features[0].sparse else np.vstack(X)
    weights = None
    if samples[0].sample_weight is not None:
        weights = np.concatenate([one.sample_weight for one in samples])
    has_nan = np.any([one.has_nan for one in features], axis=0)
    return Survey(has_nan, _level_counts(model, features), Dataset(X, sample_weight=weights))


def _level_counts(model, features):
    """Return the sums of the partitions' level counts, by the levels of all."""
    if model._reader is None:
        return []
    sums = [np.zeros(n_levels, dtype=int) for n_levels in model._reader.n_levels_]
    for one in features:
        for i, counts in enumerate(one.level_counts):
            places = np.searchsorted(model._reader.levels_[i], one.reader.levels_[i])
            sums[i][places] += counts
    return sums
