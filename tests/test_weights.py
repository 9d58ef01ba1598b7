"""Weights are ratios and repetitions, and class weights are weights, on every way to fit."""

from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.ensemble import StackingClassifier
from sklearn.utils.class_weight import compute_sample_weight

import sknet
from sknet.data.batches import Dataset
from sknet.data.columns.categories import Levels
from sknet.data.frames import take_rows
from sknet.data.weights import (
    CLASS_ROWS,
    MOST_REPETITIONS,
    in_own_units,
    mean,
    product,
    repetitions,
    smallest_and_largest,
)
from sknet.streaming import RowBlocks, fit_chunks

UNITS = [1.0, 0.1, 3.0, 1 / 3, 1e-300, 1e300]


@pytest.mark.parametrize("unit", [*UNITS, 5e-324, 1.7e308])
def test_equal_weights_are_none(unit):
    weights, found = in_own_units(np.full(20, unit))
    assert weights is None
    assert found == unit


@pytest.mark.parametrize("unit", UNITS)
def test_multiples_of_the_smallest_weight_become_exact_counts(unit):
    counts = np.random.default_rng(0).integers(1, 1000, 500).astype(float)
    counts[7] = 1
    weights, found = in_own_units(counts * unit)
    assert_array_equal(weights, counts)
    assert found == unit
    assert_array_equal(repetitions(weights), counts)


@pytest.mark.parametrize("unit", UNITS)
def test_other_weights_keep_their_ratios(unit):
    given = np.random.default_rng(0).uniform(0.01, 1, 500)
    weights, found = in_own_units(given * unit)
    assert_allclose(weights / weights[0], given / given[0], rtol=1e-15)
    assert 1 <= weights.max() < 2
    # The division was exact.
    assert_array_equal(weights * found, given * unit)
    assert repetitions(weights) is None


def test_negligible_weights_leave():
    data = Dataset(np.arange(3.0)[:, np.newaxis], None, np.array([1e300, 1e-300, 3e300]))
    assert_array_equal(data.in_own_units("Weights").positions, [0, 2])


@pytest.mark.parametrize(
    "weights, expected",
    [([0, 3, 0.5, 2], (0.5, 3)), ([7], (7, 7)), ([0, 0], (np.inf, 0)), ([], (np.inf, 0))],
    ids=str,
)
def test_the_smallest_weight_is_positive(weights, expected):
    """A part of a table may have no row of positive weight, or no row at all."""
    assert smallest_and_largest(np.array(weights, float)) == expected


def test_weights_of_very_different_sizes_are_no_counts():
    # 2^40 is a multiple of 1, but nobody has this many rows.
    weights, _ = in_own_units(np.array([1.0, 2.0**40]))
    assert repetitions(weights) is None
    # The largest number of rows that weights may count is stated.
    counts = np.array([1.0, MOST_REPETITIONS])
    assert_array_equal(in_own_units(counts)[0], counts)
    assert in_own_units(counts + [0, 1])[0][0] < 1


def test_mean_and_product_do_not_overflow():
    assert mean(np.full(9, 1.5e308)) == pytest.approx(1.5e308)
    weights = product(np.full(2, value) for value in (1e308, 1e308, 3e-308, 1e-308))
    assert_allclose(weights, 3.0, rtol=1e-14)
    assert np.isfinite(product(np.full(2, 1e308) for _ in range(9))).all()


# Fits.


N_ROWS = 90
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(N_ROWS, 3)).round(1)  # With ties.
NUMBERS[::11, 1] = np.nan
FRAME = pd.DataFrame(
    {
        "size": NUMBERS[:, 0],
        "age": NUMBERS[:, 1],
        "color": pd.Categorical(np.array(["blue", "green", "red"])[RNG.integers(0, 3, N_ROWS)]),
        # Many levels are seen once.
        "maker": [f"m{i:02d}" for i in RNG.integers(0, 70, N_ROWS)],
    }
)
SIGNAL = NUMBERS[:, 0] + (FRAME["color"] == "red").to_numpy() + NUMBERS[:, 2] / 4
TARGETS = {
    "regression": SIGNAL,
    "binary": np.where(SIGNAL > 0.8, "yes", "no"),
    "multiclass": np.digitize(SIGNAL, [-0.5, 1]),
    "multilabel": np.column_stack([SIGNAL > 1, SIGNAL > 0, NUMBERS[:, 2] > 0]).astype(int),
}
CLASS_WEIGHTS = {
    "binary": {"yes": 3.0, "no": 0.7},
    "multiclass": {0: 2.0, 1: 1.0, 2: 0.3},
    "multilabel": [{0: 1, 1: 3}, {0: 2, 1: 1}, {0: 1, 1: 1}],
}
#: Nothing here depends on the number of rows.
OPTIONS = {
    "hidden_layer_sizes": (6,),
    "dtype": "float64",
    "batch_size": 1000,
    "learning_rate_init": 0.01,
    "max_iter": 5,
    "n_iter_no_change": np.inf,
    "numeric_embedding": "piecewise_linear",
    "n_components": 2,
    "column_scales": True,
    "random_state": 0,
}

#: What sparse rows need instead.
OF_SPARSE = {"numeric_embedding": None, "n_components": 0, "column_scales": False}


def make(task, **options):
    kind = NNRegressor if task == "regression" else NNClassifier
    return kind(**{**OPTIONS, **options})


def predictions(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def fit(estimator, X, y, weight):
    return estimator.fit(X, y, weight)


def fit_parts(estimator, X, y, weight):
    """Return the estimator after two passes over two parts of the rows."""
    classes = {} if y.ndim == 2 or y.dtype.kind == "f" else {"classes": np.unique(y)}
    for rows in np.array_split(np.arange(len(y)), 2) * 2:
        part = None if weight is None else weight[rows]
        estimator.partial_fit(X[rows], y[rows], part, **classes)
    return estimator


def fit_in_chunks(estimator, X, y, weight):
    parts = [X, y] if weight is None else [X, y, weight]
    cuts = np.array_split(np.arange(len(y)), 3)
    return fit_chunks(estimator, [tuple(take_rows(a, i) for a in parts) for i in cuts])


SPARSE = sparse.csr_matrix(np.where(np.abs(NUMBERS) > 0.3, NUMBERS, 0).round(1))
SPARSE.data[np.isnan(SPARSE.data)] = 1.0
#: Ways to fit, with a table for each.
PATHS = {
    "array": (fit, NUMBERS),
    "frame": (fit, FRAME),
    "sparse": (fit, SPARSE),
    "blocks": (fit, RowBlocks(NUMBERS, block_rows=20)),
    "parts": (fit_parts, NUMBERS),
    "chunks": (fit_in_chunks, NUMBERS),
}
all_paths = pytest.mark.parametrize("path", PATHS)
all_tasks = pytest.mark.parametrize("task", TARGETS)


def fitted(task, path, weight, **options):
    """Return the predictions of a network after a fit on one of the ways."""
    way, X = PATHS[path]
    if path == "sparse":
        options |= OF_SPARSE
    return predictions(way(make(task, **options), X, TARGETS[task], weight), X)


@cache
def unweighted(task, path):
    return fitted(task, path, None)


# Only ratios matter.


@all_tasks
@all_paths
@pytest.mark.parametrize("unit", [0.1, 1e-300, 1e300])
def test_equal_weights_are_no_weights(task, path, unit):
    found = fitted(task, path, np.full(N_ROWS, unit))
    # In chunks, no step knows that all weights are equal.
    same = partial(assert_allclose, rtol=1e-12) if path == "chunks" else assert_array_equal
    same(found, unweighted(task, path))


@all_tasks
@all_paths
@pytest.mark.parametrize("whole", [True, False])
def test_only_ratios_of_weights_matter(task, path, whole):
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 5, N_ROWS) if whole else rng.uniform(0.1, 1, N_ROWS)
    expected = fitted(task, path, weight)
    for unit in (0.1, 1e-300, 1e300):
        assert_allclose(fitted(task, path, weight * unit), expected, rtol=1e-9)
    assert np.abs(expected - unweighted(task, path)).max() > 1e-4


@pytest.mark.filterwarnings("ignore:Training ended")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_units_do_not_matter_to_early_stopping(task, held_out, solver):
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.1, 1, N_ROWS)
    y, options = TARGETS[task], {"early_stopping": "auto" if held_out else True}
    histories = []
    for unit in (1.0, 0.1, 1e300):
        network = make(task, solver=solver, **options)
        given = weight * unit
        held = {"X_val": FRAME[60:], "y_val": y[60:], "sample_weight_val": given[60:]}
        network.fit(FRAME, y, given, **(held if held_out else {}))
        histories.append(network.history_["validation_loss"])
    for other in histories[1:]:
        assert_allclose(other, histories[0], rtol=1e-9)


@all_tasks
def test_weights_of_the_largest_and_smallest_size_raise_no_warning(task):
    # Warnings are errors in the tests.
    weight = np.random.default_rng(1).uniform(0.1, 1, N_ROWS)
    for unit in (1.7e308, 1e307, 1e-307):
        assert np.isfinite(fitted(task, "array", weight * unit)).all()
    assert np.isfinite(fitted(task, "chunks", weight * 1.7e308)).all()


def test_far_weights_of_classes_raise_no_warning():
    weight = np.random.default_rng(1).uniform(0.1, 1, N_ROWS) * 1e307
    y = TARGETS["multiclass"]
    equal = make("multiclass").fit(NUMBERS, y, weight)
    for path in ("array", "parts", "chunks"):
        for weights in ({0: 1e308, 1: 1e308, 2: 1e308}, {0: 1e308, 1: 1, 2: 1e-308}):
            found = fitted("multiclass", path, weight, class_weight=weights)
            assert np.isfinite(found).all()
    same = make("multiclass", class_weight=dict.fromkeys(range(3), 1e308))
    found = predictions(same.fit(NUMBERS, y, weight), NUMBERS)
    assert_allclose(found, predictions(equal, NUMBERS), rtol=1e-9)


@pytest.mark.parametrize("path", ["array", "parts", "chunks"])
def test_weights_of_classes_that_a_split_lacks_change_nothing(path):
    """As in scikit-learn, where a fold may lack a rare class."""
    weights = {0: 3.0, 1: 1.0, 2: 0.5}
    found = fitted("multiclass", path, None, class_weight={**weights, 3: 50.0})
    assert_array_equal(found, fitted("multiclass", path, None, class_weight=weights))


# Weights are repetitions.


def levels_of(network):
    """Return the number of levels of each category."""
    return [one.n_levels for one in network._model.encoder.of_kind(Levels)]


def repeated(table, counts):
    """Return a table in which each row occurs as often as its count says."""
    rows = np.repeat(np.arange(N_ROWS), counts)
    return table.iloc[rows].reset_index(drop=True) if table is FRAME else table[rows]


@all_tasks
@pytest.mark.parametrize("unit", [1.0, 0.1, 1e300])
@pytest.mark.parametrize("table", ["array", "frame", "sparse"])
def test_whole_weights_equal_repeated_rows(task, table, unit):
    # One of the counts is one: the smallest weight is that of a row that is not repeated.
    counts = np.random.default_rng(2).integers(0, 4, N_ROWS)
    X, y = PATHS[table][1], TARGETS[task]
    options = OF_SPARSE if table == "sparse" else {}
    weighted = make(task, **options).fit(X, y, counts * unit)
    by_rows = make(task, **options).fit(repeated(X, counts), np.repeat(y, counts, axis=0))
    assert_allclose(predictions(weighted, X), predictions(by_rows, X), rtol=1e-8)
    one, other = weighted._model.encoder, by_rows._model.encoder
    assert_array_equal(one.numbers_.scale, other.numbers_.scale)
    assert levels_of(weighted) == levels_of(by_rows)


# Class weights are weights.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", CLASS_WEIGHTS)
@all_paths
def test_class_weights_equal_weights_by_hand(task, path, weighted):
    given = np.random.default_rng(3).uniform(0.5, 2, N_ROWS) if weighted else None
    class_weight = CLASS_WEIGHTS[task]
    found = fitted(task, path, given, class_weight=class_weight)
    by_hand = compute_sample_weight(class_weight, TARGETS[task])
    by_hand *= 1 if given is None else given
    assert_allclose(found, fitted(task, path, by_hand), rtol=1e-9)
    assert np.abs(found - fitted(task, path, given)).max() > 1e-3


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("task", CLASS_WEIGHTS)
def test_class_weights_equal_weights_by_hand_with_early_stopping(task, held_out):
    y = TARGETS[task]
    by_hand = compute_sample_weight(CLASS_WEIGHTS[task], y)
    held = {"X_val": FRAME[60:], "y_val": y[60:]} if held_out else {}
    options = {"early_stopping": "auto" if held_out else True}
    network = make(task, class_weight=CLASS_WEIGHTS[task], **options).fit(FRAME, y, **held)
    if held_out:
        held["sample_weight_val"] = by_hand[60:]
    expected = make(task, **options).fit(FRAME, y, by_hand, **held)
    losses = [one.history_["validation_loss"] for one in (network, expected)]
    assert_allclose(*losses, rtol=1e-9)
    assert_allclose(predictions(network, FRAME), predictions(expected, FRAME), rtol=1e-9)


def balanced(y, given):
    """Return weights times factors that give all labels of a column the same total weight."""
    weight = given.copy()
    for column in y.reshape(len(y), -1).T:
        for label in np.unique(column):
            weight[column == label] /= given[column == label].sum()
    return weight


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("way", [fit, fit_in_chunks])
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("factor", [1.0, 0.1])
def test_whole_class_weights_count_no_rows(task, way, by_hand, factor):
    """Otherwise a level in one row of a heavy class would be frequent, in a light one rare."""
    y = TARGETS[task]
    order = np.arange(N_ROWS) if task == "multilabel" else np.argsort(y)  # Chunks of a class.
    X, y = FRAME.iloc[order], y[order]
    weights = {
        "binary": {"yes": 10 * factor, "no": factor},
        "multiclass": {0: 2 * factor, 1: 6 * factor, 2: factor},
        "multilabel": [{0: factor, 1: 3 * factor}, {0: 1, 1: 1}, {0: 1, 1: 1}],
    }[task]
    assert min(np.unique(y, return_counts=True)[1]) >= CLASS_ROWS
    given = compute_sample_weight(weights, y) if by_hand else None
    network = make(task, max_iter=1, class_weight=None if by_hand else weights)
    found = levels_of(way(network, X, y, given))
    assert found == levels_of(way(make(task, max_iter=1), X, y, None))
    # Whole weights that do not tell the classes apart count rows.
    counts = np.where(np.arange(N_ROWS) % 2, 2.0, 1.0)
    assert levels_of(way(make(task, max_iter=1), X, y, counts)) > found


GIVEN = np.random.default_rng(3).uniform(0.5, 2, N_ROWS) * np.where(SIGNAL > 0.8, 5, 1)


@pytest.mark.parametrize("task", CLASS_WEIGHTS)
@pytest.mark.parametrize("path", ["array", "frame", "sparse", "blocks"])
def test_balanced_weights_count_weighted_rows(task, path):
    found = fitted(task, path, GIVEN, class_weight="balanced")
    assert_allclose(found, fitted(task, path, balanced(TARGETS[task], GIVEN)), rtol=1e-9)


@pytest.mark.parametrize("task", CLASS_WEIGHTS)
def test_balanced_weights_of_validation_rows_are_those_of_training(task):
    """The rows of ``X_val`` get the weights that the training rows give the classes."""
    y, rows = TARGETS[task], slice(None, 60)
    # Without the classes' shares in the rows of X_val, each label's factor is that of training.
    by_hand = GIVEN.copy()
    for column in y.reshape(N_ROWS, -1).T:
        for label in np.unique(column[rows]):
            of_label = column == label
            by_hand[of_label] /= GIVEN[rows][of_label[rows]].sum()
    networks = []
    for weight, options in ((GIVEN, {"class_weight": "balanced"}), (by_hand, {})):
        network = make(task, early_stopping="auto", **options)
        held_out = {"X_val": FRAME[60:], "y_val": y[60:], "sample_weight_val": weight[60:]}
        networks.append(network.fit(FRAME[:60], y[:60], weight[:60], **held_out))
    losses = [one.history_["validation_loss"] for one in networks]
    assert_allclose(*losses, rtol=1e-9)
    assert_allclose(*(predictions(one, FRAME) for one in networks), rtol=1e-9)


@pytest.mark.parametrize("task", CLASS_WEIGHTS)
def test_balanced_weights_of_a_warm_start_are_those_of_its_rows(task):
    y, networks = TARGETS[task], []
    for options, weigh in (({"class_weight": "balanced"}, lambda given: given), ({}, None)):
        network = make(task, warm_start=True, **options)
        for given in (GIVEN, 1 / GIVEN):
            network.fit(NUMBERS, y, balanced(y, given) if weigh is None else given)
        networks.append(network)
    assert_allclose(*(predictions(one, NUMBERS) for one in networks), rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_balanced_weights_with_default_settings(dtype):
    # One class has nine rows of ten, so that weighted medians are far from those of the rows.
    X = np.random.default_rng(4).normal(size=(400, 5))
    y = (X[:, 0] + X[:, 1] > 1.8).astype(int)
    options = {"max_iter": 3, "dtype": dtype, "random_state": 0}
    network = sknet.NNClassifier(class_weight="balanced", **options).fit(X, y)
    by_hand = compute_sample_weight("balanced", y)
    expected = sknet.NNClassifier(**options).fit(X, y, by_hand)
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    assert_allclose(network.predict_proba(X), expected.predict_proba(X), rtol=tolerance)


def test_a_label_whose_rows_have_no_weight_stays_a_class():
    """As in scikit-learn, so that ensembles get a probability for each label."""
    X, y = np.random.default_rng(0).normal(size=(300, 4)), np.arange(300) % 3
    weight = (y != 2).astype(float)
    options = {"max_iter": 5, "random_state": 0, "warm_start": True}
    network = sknet.NNClassifier(**options).fit(X, y, weight)
    assert_array_equal(network.classes_, [0, 1, 2])
    proba = network.predict_proba(X)
    assert proba.shape == (300, 3) and proba[:, 2].max() < 0.2
    assert_array_equal(network.fit(X, y, weight).classes_, [0, 1, 2])
    started = sknet.NNClassifier(max_iter=2, random_state=0).fit(X, y, weight, init=network)
    assert_array_equal(started.classes_, [0, 1, 2])
    stack = StackingClassifier([("network", sknet.NNClassifier(max_iter=2))], cv=2)
    assert stack.fit(X, y, sample_weight=weight).predict(X).shape == (300,)
