"""Heavy values: which they are, and what the encoder makes of them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import NNClassifier, NNRegressor
from sknet.data.batches import Dataset
from sknet.data.columns.single_values import LEAST_ROWS, MOST_VALUES, HeavyFlags, heavy_values
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader
from sknet.inspection import integrated_gradients


def found(x, weights=None):
    """Return the heavy values of one column."""
    x = np.asarray(x, float)
    data = Dataset(x[:, np.newaxis], sample_weight=weights)
    of_columns = heavy_values(data if weights is None else data.in_own_units("weights"))
    return of_columns.get(0, np.empty(0))


def smooth(n_rows=1000, seed=0):
    return np.random.default_rng(seed).normal(size=n_rows)


SMOOTH = {
    "normal": smooth(),
    "integers": np.random.default_rng(0).poisson(20, 2000),
    "rounded": np.round(smooth(5000), 1),
    "two values": np.repeat([0.0, 1.0], [990, 10]),
    "constant": np.zeros(500),
    "missing": np.full(500, np.nan),
    "few rows": np.r_[np.zeros(LEAST_ROWS - 1), smooth(100)],
}


@pytest.mark.parametrize("x", SMOOTH.values(), ids=SMOOTH)
def test_columns_without_heavy_values(x):
    assert list(found(x)) == []


HEAVY = {
    "zeros": (np.r_[np.zeros(900), smooth(100)], [0]),
    "a cap": (np.r_[np.minimum(smooth(950), 1), np.ones(50)], [1]),
    "codes": (np.r_[smooth(900) * 1e-3, np.full(50, -9.0), np.full(50, 99.0)], [-9, 99]),
    "with holes": (np.r_[np.full(500, np.nan), np.zeros(50), smooth(400)], [0]),
}


@pytest.mark.parametrize(("x", "expected"), HEAVY.values(), ids=HEAVY)
def test_values_that_stand_out(x, expected):
    assert_array_equal(found(x), expected)
    order = np.random.default_rng(0).permutation(len(x))
    assert_array_equal(found(x[order] * 8), np.multiply(expected, 8))


def test_the_heaviest_values_count():
    x = np.concatenate([np.full(100 + i, float(i)) for i in range(40)] + [smooth(900) + 50])
    between = np.arange(40) + 0.5
    x = np.r_[x, np.repeat(between, 1), between + 0.1, between - 0.1]
    assert_array_equal(found(x), np.arange(40 - MOST_VALUES, 40))


def test_weights_count_as_repetitions_in_any_unit():
    x = np.round(np.r_[np.zeros(40), smooth(400)], 2)
    weights = np.random.default_rng(1).integers(1, 6, x.size).astype(float)
    repeated = np.repeat(x, weights.astype(int))
    assert_array_equal(found(x, weights), found(repeated))
    assert_array_equal(found(x, weights * 1e-7), found(repeated))
    assert_array_equal(found(x, np.full(x.size, 0.1)), found(x))


def test_a_large_weight_alone_makes_no_value_heavy():
    """Weights that are no counts, such as those of rare classes, say nothing of repetitions."""
    x = smooth(500)
    assert list(found(x, np.where(np.arange(500) < 10, 61.7, 0.51))) == []
    zeros = np.r_[np.zeros(100), x]
    weights = np.where(zeros == 0, 0.013, 1.7)
    assert list(found(zeros, weights)) == [0]


def encoder_of(X, **options):
    reader = TableReader(np.arange(X.shape[1]))
    survey = survey_rows(Dataset(X), reader, rng=np.random.default_rng(0))
    return TableEncoder(True, marks_heavy=True, **options).fit_survey(survey)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_indicators_and_the_center_and_scale_of_the_others(dtype):
    others = np.random.default_rng(0).uniform(100, 300, 100)
    X = np.column_stack([smooth(1000), np.r_[np.zeros(900), others]]).astype(dtype)
    encoder = encoder_of(X)
    encoded = encoder.transform(X, dtype)
    assert encoded.shape == (1000, 3)
    assert_array_equal(encoded[:, 2], X[:, 1] == 0)
    low, middle, high = np.quantile(X[900:, 1], [0.25, 0.5, 0.75], method="inverted_cdf")
    u = (np.c_[X[:, 1], np.zeros(1000)] - middle) / (high - low)
    clipped, zero = (u / np.sqrt(1 + (u / 3) ** 2)).T
    assert_allclose(encoded[:, 1], clipped - zero, rtol=1e-5, atol=1e-6)
    assert_array_equal(encoder.sources_, [0, 1, 1])
    assert encoder.feature_names(["a", "b"], []) == ["a", "b", "b=0"]
    # A missing number is the median: here the heavy zero.
    row = np.array([[0.0, np.nan]], dtype)
    assert_array_equal(encoder.transform(row, dtype)[0, 1:], [0, 1])


@pytest.mark.parametrize("of_training", [np.float32, np.float64])
def test_a_decimal_value_is_told_in_float32_and_float64(of_training):
    x = np.r_[np.full(300, 0.1), smooth(700)]
    encoder = encoder_of(x[:, np.newaxis].astype(of_training))
    assert encoder.feature_names(["a"], []) == ["a", "a=0.1"]
    for dtype in (np.float32, np.float64):
        flags = encoder.transform(x[:, np.newaxis].astype(dtype), dtype)[:, 1]
        assert_array_equal(flags, x == 0.1)


@pytest.fixture(scope="module")
def spiked():
    """Rows whose class depends on whether the second column is zero, and a fit to them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 2))
    X[rng.random(1200) < 0.5, 1] = 0
    y = X[:, 1] == 0
    return X, y, NNClassifier((10,), random_state=0).fit(X[:800], y[:800])


def test_the_network_learns_what_a_smooth_function_cannot(spiked):
    X, y, network = spiked
    assert network.score(X[800:], y[800:]) > 0.99
    names = network.encoded_feature_names_
    assert names[8] == "x1=0"
    assert len(set(names)) == len(names)


def test_names_tell_values_apart_and_have_no_negative_zero():
    values = [-0.0, 1234567.0, 1234568.0]
    x = np.r_[np.repeat(values, 100), smooth(300), np.linspace(1234000, 1235000, 201)]
    names = encoder_of(x[:, np.newaxis]).feature_names(["a"], [])
    assert names == ["a", "a=0", "a=1234567", "a=1234568"]


def test_attributions_give_the_indicator_to_its_column(spiked):
    X, _, network = spiked
    parts = integrated_gradients(network, X[800:850])
    assert np.abs(parts[:, 1]).mean() > 5 * np.abs(parts[:, 0]).mean()


#: Columns in which a single value is far from all others, by name. The other values are 0 to 1,
#: but for a date.
FAR_VALUES = {
    "a zero far from the others": lambda rng, u: np.where(rng.random(u.size) < 0.6, 0, 100 + u),
    "a code for missing values": lambda rng, u: np.where(rng.random(u.size) < 0.6, -999, u),
    "in fewer rows": lambda rng, u: np.where(rng.random(u.size) < 0.3, -9999, u),
    "a typing error beside many zeros": lambda rng, u: np.r_[
        1e4, np.where(rng.random(u.size) < 0.8, 0, u)[1:]
    ],
    "the end of time": lambda rng, u: np.where(
        rng.random(u.size) < 0.6,
        np.datetime64("9999-12-31", "D"),
        np.datetime64("2015-01-01", "D") + (2000 * u).astype(int),
    ),
}


FAR_VALUES["a code beside zeros and ones"] = lambda rng, u: np.where(
    rng.random(u.size) < 0.6, -999, np.where(u < 0.8, 0, 1)
)


def test_far_heavy_values_stay_apart():
    """Bins can separate 0 and 1, which indicators do in the periodic embedding."""
    rng = np.random.default_rng(0)
    x = rng.permutation(np.r_[np.zeros(600), np.ones(600), rng.normal(100, 1, 300)])
    X, y = np.column_stack([x, rng.normal(size=1500)]), (x == 1) + 0.1 * rng.normal(size=1500)
    for options in ({}, {"monotonic_cst": [1, 0]}):
        target = y + (x > 1) if options else y
        network = NNRegressor(max_iter=30, random_state=0, **options)
        assert network.fit(X[:1000], target[:1000]).score(X[1000:], target[1000:]) > 0.9


@pytest.mark.parametrize("make_column", FAR_VALUES.values(), ids=FAR_VALUES)
@pytest.mark.parametrize("estimator", [NNClassifier, NNRegressor])
def test_a_far_value_does_not_hide_the_others(estimator, make_column):
    rng = np.random.default_rng(0)
    u = rng.random(2000)
    x = make_column(rng, u)
    values, counts = np.unique(x, return_counts=True)
    is_other = x != values[counts.argmax()]
    y = np.where(is_other, np.sin(8 * u) if np.unique(x).size > 3 else x, 0)
    X = pd.DataFrame({"x": pd.Series(x), "noise": rng.normal(size=2000)})
    y = y > 0.3 if estimator is NNClassifier else y
    network = estimator(max_iter=30, random_state=0).fit(X[:1500], y[:1500])
    assert network.score(X[1500:], y[1500:]) > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_far", "far"), [(1, -9999), (20, -999_999)])
@pytest.mark.parametrize("largest", [1, 3])
def test_numbers_far_out_do_not_hide_a_flag_or_a_count(n_far, far, largest, dtype):
    """Although most numbers of the column are equal, so that its quartiles tell nothing."""
    rng = np.random.default_rng(0)
    x = np.clip(rng.integers(-12, largest + 1, 1500), 0, None).astype(float)
    y = x + 0.1 * rng.normal(size=1500)
    x[:n_far] = far
    X = np.column_stack([x, rng.normal(size=1500)]).astype(dtype)
    network = NNRegressor(max_iter=30, random_state=0).fit(X[:1000], y[:1000])
    unexplained = 0.01 / y[1000:].var()
    assert network.score(X[1000:], y[1000:]) > 1 - 1.5 * unexplained


@pytest.mark.parametrize("scaled", [np.float32, np.float64])
def test_heavy_values_are_known_after_a_scaler_that_rounds(scaled):
    """A scaler may compute in another precision than in training, or in another order."""
    rng = np.random.default_rng(0)
    X = np.where(rng.random((600, 2)) < 0.6, 0, rng.lognormal(3, 1, (600, 2)))
    y = (X == 0).all(axis=1)
    mean, std = (one.astype(scaled) for one in (X.mean(axis=0), X.std(axis=0)))
    rows = (X.astype(scaled) - mean) / std
    network = NNClassifier(max_iter=2, random_state=0).fit(rows, y)
    encoded = network._model.encode(network._last_fit()[0].read(rows))
    others = [
        rows.astype(np.float32).astype(float),
        ((X.astype(np.float32) - mean.astype(np.float32)) / std.astype(np.float32)),
        X / std - mean / std,
        np.nextafter(rows, np.inf),
    ]
    for other in others:
        found = network._model.encode(network._last_fit()[0].read(other))
        assert_allclose(found, encoded, atol=1e-4)


def test_close_numbers_are_no_heavy_values():
    """Numbers of training are never confused with a heavy value, however close they are."""
    x = np.r_[np.ones(50), 1 + np.arange(1, 200) * 1e-9]
    data = Dataset(np.column_stack([x, x]))
    flags = HeavyFlags(heavy_values(data), data, np.median(data.X, axis=0), {})
    assert_array_equal(flags.encode(data.X, np.float32), data.X == 1)
    assert not flags.encode(np.full((1, 2), 1 + 3e-10), np.float32).any()
    assert flags.encode(np.full((1, 2), 1 + 2e-10), np.float32).all()


def test_no_float32_number_is_a_heavy_value_that_float32_cannot_hold():
    x = np.r_[np.full(50, 1e60), np.linspace(0, 1, 200)]
    data = Dataset(np.column_stack([x, x]))
    flags = HeavyFlags(heavy_values(data), data, np.median(data.X, axis=0), {})
    assert_array_equal(flags.encode(data.X, np.float32), data.X == 1e60)
    with np.errstate(over="ignore"):
        rows = data.X.astype(np.float32)
    assert not flags.encode(np.where(np.isinf(rows), 3e38, rows), np.float32).any()


def test_an_outlier_does_not_widen_the_tolerance():
    x = np.r_[np.zeros(50), np.linspace(10, 50, 200), 1e12]
    data = Dataset(np.column_stack([x, x]))
    flags = HeavyFlags(heavy_values(data), data, np.median(data.X, axis=0), {})
    assert flags.encode(np.zeros((1, 2)), np.float32).all()
    assert not flags.encode(np.full((1, 2), 0.01), np.float32).any()
