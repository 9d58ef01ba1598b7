"""Columns that were constant where training began, and vary in the rows that follow."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from plain import NNRegressor
from scipy import sparse

import sknet
from sknet.data.batches import Dataset
from sknet.nn.embeddings import MappedPiecewiseLinear, Periodic
from sknet.streaming import RowBlocks

CONSTANTS = [0.0, 1e-3, -4.0, 1e6, -1e12]
EMBEDDINGS = [None, Periodic(), MappedPiecewiseLinear()]


def rows(n, seed=0):
    """Return rows of which the target needs the last two columns, and the target."""
    X = np.random.default_rng(seed).normal(size=(n, 4))
    return X, np.sin(2 * X[:, 2]) + X[:, 3]


def until_late(X, constant, n_late):
    """Return a copy whose last columns are constant; half of the last one is missing."""
    X = X.copy()
    X[:, 4 - n_late :] = constant
    X[::2, 3] = np.nan
    return X


def streamed(network, chunks, n_passes):
    for _ in range(n_passes):
        for X, y in chunks:
            network.partial_fit(X, y)
    return network


# One late column is learned as two are.
@pytest.mark.parametrize(
    ("embedding", "n_late"),
    [*((embedding, 2) for embedding in EMBEDDINGS), (EMBEDDINGS[-1], 1)],
    ids=repr,
)
def test_a_stream_learns_what_it_learns_from_a_first_chunk_that_varies(embedding, n_late):
    """A far constant leaves an offset, which costs some passes; a lost column costs half of R2.

    Without an embedding the offset costs more passes.
    """
    X, y = rows(800)
    chunks = [(X[i : i + 200], y[i : i + 200]) for i in range(0, 800, 200)]
    X_new, y_new = rows(1000, seed=1)
    options = {"learning_rate_init": 0.01, "batch_size": 20, "random_state": 0}

    def score(*first):
        network = NNRegressor((32,), numeric_embedding=embedding, **options)
        network.partial_fit(*first)
        return streamed(network, chunks, n_passes=10).score(X_new, y_new)

    expected = score(X[:200], y[:200])
    assert expected > 0.9
    for constant in CONSTANTS if n_late == 2 else CONSTANTS[1::2]:
        first = until_late(X[:200], constant, n_late)
        far = embedding is None and abs(constant) > 1
        assert score(first, y[:200]) > (0.5 if far else expected - 0.15)


@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize(
    "options",
    [
        *({"numeric_embedding": one} for one in EMBEDDINGS),
        {"numeric_embedding": "periodic", "n_components": 2},
        {"numeric_embedding": "piecewise_linear", "n_members": 3},
        {"normalization": "layer", "n_members": 2},
        {"monotonic_cst": [0, 0, 1, -1]},
        {"numeric_embedding": "periodic", "monotonic_cst": [0, 0, 1, -1]},
        {"interaction_cst": "pairwise", "numeric_embedding": "piecewise_linear"},
        {"dtype": "float32"},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_no_prediction_for_the_rows_before_changes(options, constant):
    X, y = rows(60)
    first = until_late(X, constant, n_late=2)
    network = NNRegressor(**{"hidden_layer_sizes": (6,), "random_state": 0, **options})
    streamed(network, [(first, y)], n_passes=3)
    before = network.predict(first)
    network._model = network._model.with_late_scales(Dataset(X))
    assert (network._model.encoder.numbers_.scale > 0).all()
    assert_array_equal(network.predict(first), before)
    # Rows in another precision, in which the constant is rounded, and rows one by one.
    rounded = first.astype(np.float32)
    np.testing.assert_allclose(network.predict(rounded), before, rtol=1e-3, atol=1e-3)
    one_by_one = [network.predict(row[np.newaxis])[0] for row in first[:4]]
    np.testing.assert_allclose(one_by_one, before[:4], rtol=1e-5)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, RowBlocks], ids=repr)
@pytest.mark.parametrize("weight", [None, np.arange(1.0, 42)], ids=["even", "weighted"])
@pytest.mark.parametrize("constant", CONSTANTS)
def test_center_and_scale_are_those_of_the_first_rows_that_vary(make, weight, constant):
    X, y = rows(41)
    later = X + [0, 0, 5, 0]
    varying = NNRegressor((6,), random_state=0).partial_fit(later, y, weight)
    late = NNRegressor((6,), random_state=0).partial_fit(
        np.where([False, False, True, True], constant, X), y
    )
    encoder = late._model.with_late_scales(Dataset(make(later), y, weight)).encoder
    expected = varying._model.encoder
    assert_array_equal(encoder.numbers_.center[2:], expected.numbers_.center[2:])
    assert_array_equal(encoder.numbers_.scale[2:], expected.numbers_.scale[2:])
    assert_array_equal(encoder.numbers_.center[:2], late._model.encoder.numbers_.center[:2])
    assert_array_equal(encoder.numbers_.scale[:2], late._model.encoder.numbers_.scale[:2])


@pytest.mark.parametrize("constant", [0.0, 0.25, -1e6])
def test_a_second_constant_is_encoded_as_one_half_and_the_first_remains_zero(constant):
    """Rows with a single number say how far it is from the constant, and nothing else."""
    X, y = rows(5)
    X = X.astype(np.float32)
    X[:, 2] = constant
    network = NNRegressor((6,), random_state=0).partial_fit(X, y)
    other = X.copy()
    other[:, 2] = constant - 2
    other[0, 2] = np.nan
    encoder = network._model.with_late_scales(Dataset(other)).encoder
    assert encoder.numbers_.center[2] == np.float32(constant)
    encoded = encoder.transform(np.vstack([X, other]), np.float64)[:, 2]
    assert_array_equal(encoded[:6], 0)
    half = 0.5 / np.sqrt(1 + (0.5 / 3) ** 2)
    np.testing.assert_allclose(np.abs(encoded[6:]), half, rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_late_scale_of_numbers_whose_distance_overflows():
    X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    X[:, 1] = -3e38
    network = NNRegressor((6,), random_state=0).partial_fit(X, X[:, 0])
    encoder = network._model.with_late_scales(Dataset(-X)).encoder
    assert encoder.numbers_.scale[1] == pytest.approx(0.5 / 6e38, rel=1e-5)


@pytest.mark.parametrize("n_steps", range(2, 5))
def test_the_noise_of_rounding_is_no_number_of_its_own(n_steps):
    """It gets no scale at all, or one by which it is no more than one half."""
    X, y = rows(10)
    X[:, 1] = 0.1
    network = NNRegressor((6,), random_state=0).partial_fit(X, y)
    noisy = X.copy()
    noisy[:2, 1] = 0.1 * (1 + n_steps * np.finfo(float).eps)
    encoder = network._model.with_late_scales(Dataset(noisy)).encoder
    encoded = encoder.transform(noisy, np.float64)[:, 1]
    assert np.abs(encoded).max() <= 0.5
    assert_array_equal(encoder.transform(X, np.float64)[:, 1], 0)


def test_a_column_without_numbers_gets_its_median_and_scale_later():
    X = pd.DataFrame({"c": pd.Categorical(list("ab") * 20), "x": np.nan, "z": np.arange(40.0)})
    network = NNRegressor((6,), random_state=0).partial_fit(X, X["z"])
    years = np.random.default_rng(0).permutation(40) + 2000.0
    network.partial_fit(X.assign(x=years), X["z"])
    numbers = network._model.encoder.numbers_
    assert (numbers.center[0], numbers.scale[0]) == (2019, pytest.approx(1 / 20))
    assert numbers.origin[0] == 2019


def test_a_column_that_first_had_no_number_then_one_and_then_many():
    X, y = rows(40)
    network = NNRegressor((6,), random_state=0)
    for constant in np.nan, 7.0:
        network.partial_fit(np.where([False, True, False, False], constant, X), y)
    numbers = network._model.encoder.numbers_
    assert (numbers.center[1], numbers.scale[1]) == (7, 0)
    seven = np.where([False, True, False, False], 7.0, X)
    before = network.predict(seven)
    network._model = network._model.with_late_scales(Dataset(X))
    center = network._model.encoder.numbers_.center
    assert center[1] == np.quantile(X[:, 1], 0.5, method="inverted_cdf")
    assert_array_equal(network.predict(seven), before)


def test_zeros_beside_missing_numbers_are_a_constant():
    """They are no column without numbers, whose median may move."""
    X, y = rows(40)
    first = X.copy()
    first[:, 1] = 0
    first[::2, 1] = np.nan
    network = NNRegressor((6,), random_state=0).partial_fit(first, y)
    before = network.predict(first)
    network._model = network._model.with_late_scales(Dataset(X + 10))
    assert network._model.encoder.numbers_.scale[1] > 0
    assert_array_equal(network.predict(first), before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("first", [0, np.nan, 3e38, -3e38])
@pytest.mark.parametrize("unit", [1e-50, 1, 1e300])
def test_late_scales_are_finite_in_the_precision_of_the_first_call(first, unit):
    X, y = rows(40)
    before = (X * [1, 0, 1, 1] + [0, first, 0, 0]).astype(np.float32)
    network = NNRegressor((6,), random_state=0).partial_fit(before, y)
    encoder = network._model.with_late_scales(Dataset(X * [1, unit, 1, 1])).encoder
    assert np.isfinite(encoder.numbers_.scale).all()
    assert np.isfinite(encoder.numbers_.center).all()
    assert np.isfinite(encoder.transform(X * [1, unit, 1, 1], np.float32)).all()


@pytest.mark.filterwarnings("error")
def test_a_constant_of_double_precision_before_rows_of_single_precision():
    X, y = rows(40)
    first = np.where([False, True, False, False], 1e300, X)
    network = NNRegressor((6,), random_state=0).partial_fit(first, y)
    network.partial_fit(X.astype(np.float32), y)
    assert np.isfinite(network.predict(X.astype(np.float32))).all()


def test_a_date_that_was_constant_may_vary_by_seconds():
    """Seconds are less than the rounding to float32 of the seconds since 1970."""
    z = np.random.default_rng(0).normal(size=201)
    day = pd.DataFrame({"z": z, "date": pd.Timestamp("2024-01-01")})
    seconds = day.assign(date=pd.date_range("2024-01-01", periods=201, freq="s"))
    network = NNRegressor((6,), random_state=0).partial_fit(day, z).partial_fit(seconds, z)
    assert network._model.encoder.numbers_.scale[1] == pytest.approx(1 / 100)


def test_columns_that_remain_constant_are_no_input():
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[:, 1], X[:, 2] = 0.1, np.nan
    network = NNRegressor((6,), random_state=0).partial_fit(X, X[:, 0])
    network.partial_fit(X, X[:, 0]).partial_fit(X.astype(np.float32), X[:, 0])
    assert_array_equal(network._model.encoder.numbers_.scale[1:], 0)


@pytest.mark.parametrize("numeric_embedding", [None, "periodic"])
def test_monotonic_constraints_hold(numeric_embedding):
    """The constant keeps its place in the order of the numbers."""
    X, y = rows(200)
    network = NNRegressor(
        (16,),
        monotonic_cst=[0, 0, 0, 1],
        numeric_embedding=numeric_embedding,
        learning_rate_init=0.01,
        random_state=0,
    )
    network.partial_fit(np.where([False, False, False, True], 2.0, X), y)
    streamed(network, [(X, y)], n_passes=30)
    line = np.repeat(X[:1], 201, axis=0)
    line[:, 3] = np.sort(np.append(np.linspace(-4, 4, 200), 2.0))
    steps = np.diff(network.predict(line))
    assert (steps >= 0).all() and (steps > 0).any()


def test_columns_that_were_constant_are_learned_later_in_a_sorted_stream():
    rng = np.random.default_rng(0)
    months = np.repeat(np.arange(12.0), 50)
    X = np.column_stack([months, rng.normal(size=600)])
    y = np.sin(months / 3) + X[:, 1]
    network = sknet.NNRegressor(random_state=0)
    streamed(network, [(X[i : i + 50], y[i : i + 50]) for i in range(0, 600, 50)], 15)
    assert network.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("make", "constant"),
    [(np.asarray, 0.0), (np.asarray, -1e12), (RowBlocks, 1e6), (RowBlocks, -1e12)],
    ids=repr,
)
def test_a_warm_start_learns_them_too(make, constant):
    X, y = rows(600)
    network = sknet.NNRegressor(random_state=0, warm_start=True, max_iter=60)
    network.fit(until_late(X[:100], constant, 2), y[:100]).fit(make(X), y)
    X_new, y_new = rows(1000, seed=1)
    assert network.score(X_new, y_new) > 0.9


# Costs.


def encoder_of(X):
    return NNRegressor((2,), random_state=0).partial_fit(X, X[:, 0])._model.encoder


def test_no_row_is_looked_at_if_no_column_is_late():
    X, _ = rows(40)
    encoder = encoder_of(X)
    assert encoder.with_late_scales(None) is encoder


def calls(function, *arguments):
    """Return the number of calls of functions, those of C included, that a call makes."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function(*arguments)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("n_rows", [1, 100])
@pytest.mark.parametrize("varies", [False, True])
def test_no_loop_over_columns(n_rows, varies):
    def cost(n_columns):
        X = np.random.default_rng(0).normal(size=(n_rows, n_columns))
        encoder = encoder_of(np.ones((3, n_columns)))
        rows = Dataset(X if varies else np.ones_like(X))
        assert (encoder.with_late_scales(rows) is encoder) == (not varies)
        return calls(encoder.with_late_scales, rows)

    assert cost(1000) == cost(10)
