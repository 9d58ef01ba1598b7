"""Codes: numeric columns whose single values have a meaning of their own."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from sknet import NNClassifier, NNRegressor
from sknet.data.batches import Dataset
from sknet.data.columns import single_values
from sknet.data.columns.single_values import Code, find_codes, is_code
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader
from sknet.inspection import input_gradients, integrated_gradients
from sknet.streaming import RowBlocks, fit_chunks


def shops(n_rows=3000, n_shops=60, noise=0.5, seed=0):
    """Return a number, the number of a shop, and y, to which each shop adds something."""
    rng = np.random.default_rng(seed)
    shop = rng.integers(n_shops, size=n_rows)
    number = rng.normal(size=n_rows)
    effects = rng.normal(size=n_shops)
    X = np.column_stack([number, shop.astype(float)])
    return X, number + effects[shop] + noise * rng.normal(size=n_rows)


def is_one(x, y):
    return is_code(np.asarray(x, float), np.asarray(y, float)[:, np.newaxis])


def test_shops_are_codes():
    X, y = shops()
    assert is_one(X[:, 1], y)
    assert is_one(1e6 - 0.01 * X[:, 1], 1e3 * y - 7)
    assert is_code(X[:, 1], np.column_stack([y < 0, y >= 0]).astype(float))


SMOOTH = {
    "a line": lambda x: x / 50,
    "a wave": lambda x: np.sin(x / 8),
    "a step": lambda x: x > 41.5,
    "steep": lambda x: np.exp(x / 10),
    "nothing": lambda x: 0 * x,
}


@pytest.mark.parametrize("function", SMOOTH.values(), ids=SMOOTH)
@pytest.mark.parametrize("tails", [False, True])
def test_values_of_a_smooth_function_are_no_codes(function, tails):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.integers(100, size=5000).astype(float)
        noise = rng.standard_t(2.5, 5000) if tails else rng.normal(size=5000)
        assert not is_one(x, function(x) + noise)


def test_a_trend_does_not_hide_effects():
    X, y = shops()
    assert is_one(X[:, 1], y + X[:, 1] / 20)


def test_few_values_and_few_rows_for_each_are_no_codes():
    X, y = shops(n_shops=16)
    assert not is_one(X[:, 1], y)
    X, y = shops(n_rows=170, n_shops=60, noise=0.01)
    assert not is_one(X[:, 1], y)
    assert not is_one(np.full(100, np.nan), np.arange(100))


def columns_of_codes(X, y, weights=None):
    data = Dataset(X, sample_weight=weights)
    found = find_codes(data, range(X.shape[1]), y[:, np.newaxis], keep_rare=False)
    return [one.column for one in found]


def test_bins_tell_the_values_of_short_codes_apart():
    rng = np.random.default_rng(0)
    effects, codes = rng.normal(size=(2, 16)), rng.integers(16, size=(1000, 2))
    y = effects[0][codes[:, 0]] + effects[1][codes[:, 1]] + 0.1 * rng.normal(size=1000)
    network = NNRegressor(random_state=0).fit(codes[:250], y[:250])
    assert network.score(codes[250:], y[250:]) > 0.95


@pytest.mark.parametrize("noise", np.linspace(0, 8, 9))
def test_weights_and_copies_of_rows_do_not_matter(noise):
    X, y = shops(600)
    y += noise * np.random.default_rng(2).normal(size=600)
    weights = np.random.default_rng(1).integers(1, 20, 600)
    repeated = np.repeat(np.arange(600), weights)
    expected = columns_of_codes(X, y)
    assert columns_of_codes(X, y, weights.astype(float)) == expected
    assert columns_of_codes(X[repeated], y[repeated]) == expected


@pytest.mark.parametrize("classes", [False, True])
def test_copies_of_rows_make_no_code(classes):
    """Neither does a class weight, which counts as so many copies."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(800, 2)), rng.integers(100, size=800)])
    y = rng.random(800) < 0.1
    if classes:
        network = NNClassifier(max_iter=2, random_state=0, class_weight={0: 1, 1: 20})
        assert embedded(network.fit(X, y)) == []
    else:
        rows = np.repeat(np.arange(800), np.where(y, 20, 5))
        network = NNRegressor(max_iter=2, random_state=0).fit(X[rows], y[rows].astype(float))
        assert embedded(network) == []


def test_some_rows_decide_about_many(monkeypatch):
    X, y = shops(6000)
    seen = []

    def watched(x, Y, same):
        seen.append(len(x))
        return is_code(x, Y, same)

    monkeypatch.setattr(single_values, "is_code", watched)
    monkeypatch.setattr(single_values, "MOST_ROWS", 2000)
    (found,) = find_codes(Dataset(X), range(2), y[:, np.newaxis], keep_rare=False)
    assert set(seen) == {2000}
    assert (found.column, found.values.size) == (1, 60)


def fitted(X, y):
    """Return an encoder that has learned its numbers and codes."""
    encoder = TableEncoder(standardize=True)
    reader = TableReader(np.arange(X.shape[1]))
    encoder.fit_survey(survey_rows(Dataset(X), reader, rng=np.random.default_rng(0)))
    encoder.learn_from_target(Dataset(X), y[:, np.newaxis], labels=False, finds_codes=True)
    return encoder


def test_the_level_is_the_place_of_the_value():
    X, y = shops()
    X[X[:, 1] == 7, 1] = np.nan
    X[0, 1] = 1000
    encoder = fitted(X, y)
    encoded = encoder.transform(X, np.float64)
    values = np.array([*range(7), *range(8, 60)], float)
    (code,) = encoder.of_kind(Code)
    assert_array_equal(code.values, [*values, 1000])
    # The value that occurred once shares a level with the missing ones.
    places = np.searchsorted(values, X[:, 1])
    assert_array_equal(encoded[:, -1], np.where(np.isnan(X[:, 1]), 59, places))
    others = encoder.transform(np.array([[0, 3], [0, 3.5], [0, -1], [0, np.nan]]), np.float64)
    assert_array_equal(others[:, -1], [3, 59, 59, 59])
    names = encoder.feature_names(["a", "shop"], [])
    assert names == ["a", "shop", "shop_missing", "shop_value"]
    assert_array_equal(encoder.sources_, [0, 1, 1, 1])


def test_without_missing_values_an_unknown_one_has_no_level():
    X, y = shops()
    encoder = fitted(X, y)
    assert_array_equal(encoder.transform(np.array([[0, 99.0]]), np.float64)[:, -1], [60])


def test_decimal_numbers_are_the_same_in_float32():
    X, y = shops()
    X[:, 1] /= 10
    encoder = fitted(X, y)
    expected = encoder.transform(X, np.float64)[:, -1]
    assert_array_equal(encoder.transform(X.astype(np.float32), np.float64)[:, -1], expected)


def test_a_scaler_in_float32_returns_the_same_values():
    X, y = shops()
    scaler = StandardScaler().fit(X)
    encoder = fitted(scaler.transform(X), y)
    expected = encoder.transform(scaler.transform(X), np.float64)[:, -1]
    in_float32 = scaler.transform(X.astype(np.float32))
    assert in_float32.dtype == np.float32
    assert_array_equal(encoder.transform(in_float32, np.float64)[:, -1], expected)


def test_near_values_are_told_apart():
    X, y = shops()
    X[:, 1] += 2**23
    encoder = fitted(X, y)
    others = np.array([[0, 2**23 + 3], [0, 2**23 + 4], [0, 2**23 + 61], [0, 2**23 - 1]])
    encoded = encoder.transform(others.astype(np.float32), np.float64)[:, -1]
    assert_array_equal(encoded, [3, 4, 60, 60])


def test_a_column_of_float32_may_be_float64_later():
    X, y = shops(1500)
    frame = pd.DataFrame({"a": X[:, 0], "shop": (X[:, 1] / 10).astype(np.float32)})
    network = NNRegressor(max_iter=2, random_state=0).fit(frame, y)
    later = frame.assign(shop=X[:, 1] / 10)
    assert_allclose(network.predict(later), network.predict(frame), atol=1e-5)


@pytest.mark.parametrize("n_others", [1, 3])
def test_a_code_among_discrete_columns_and_noisy_labels(n_others):
    """Rows that are equal in X and y are then observations, not copies."""
    rng = np.random.default_rng(0)
    shop, others = rng.integers(0, 40, 2000), rng.integers(0, 2, (2000, n_others))
    rate = rng.permutation(np.linspace(0.05, 0.95, 40))
    y = rng.random(2000) < rate[shop]
    network = NNClassifier(max_iter=2, random_state=0).fit(np.column_stack([shop, others]), y)
    assert network.encoded_feature_names_[-1].startswith("x0_value")


@pytest.mark.parametrize("how", ["all rows", "one class"])
def test_copies_of_discrete_rows_make_no_code(how):
    """The effect is smooth; oversampling copies the rows of a rare class."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, other = rng.integers(0, 40, 600), rng.integers(0, 2, 600)
        y = rng.random(600) < 0.1 + 0.3 * x / 40
        rows = np.tile(np.arange(600), 20)
        if how == "one class":
            rows = np.concatenate([np.arange(600), rng.choice(np.flatnonzero(y), 600)])
        X = np.column_stack([x, other])[rows]
        network = NNClassifier(max_iter=1, random_state=0).fit(X, y[rows])
        assert not any("_value" in name for name in network.encoded_feature_names_)


@pytest.mark.parametrize("kind", [NNRegressor, NNClassifier])
def test_a_network_learns_what_each_shop_means(kind):
    X, y = shops(3500)
    y = y if kind is NNRegressor else y > 0
    train, test = slice(0, 1500), slice(1500, None)
    network = kind(random_state=0).fit(X[train], y[train])
    category = pd.DataFrame({"a": X[:, 0], "shop": pd.Categorical(X[:, 1].astype(int))})
    reference = kind(random_state=0).fit(category[train], y[train])
    found = network.score(X[test], y[test])
    assert found > reference.score(category[test], y[test]) - 0.02
    assert list(network.encoded_feature_names_)[-1].startswith("x1_value")


def embedded(network):
    return [one.n_levels for one in network._model.encoder.embedded_]


@pytest.mark.parametrize(
    "parameters",
    [{"numeric_embedding": None}, {"interaction_cst": "no_interactions"}, {"solver": "lbfgs"}],
)
def test_numbers_that_stay_numbers(parameters):
    X, y = shops(400)
    parameters = {"max_iter": 2, "random_state": 0, **parameters}
    network = NNRegressor(**parameters)
    if parameters.get("solver") == "lbfgs":
        with pytest.warns(UserWarning):
            network.fit(X, y)
    else:
        network.fit(X, y)
    assert embedded(network) == []


def test_a_constrained_column_is_no_code():
    X, y = shops(400)
    network = NNRegressor(max_iter=2, random_state=0, monotonic_cst=[0, 1]).fit(X, y)
    assert embedded(network) == []
    network = NNRegressor(max_iter=2, random_state=0, monotonic_cst=[1, 0]).fit(X, y)
    assert embedded(network) == [60]


def test_blocks_chunks_and_weights_find_the_same_codes():
    X, y = shops(1500)
    network = NNRegressor(max_iter=2, random_state=0)
    of_levels = network.fit(X, y)._model.encoder.embedded_[0].prior_rows
    in_blocks = network.fit(RowBlocks(X, block_rows=400), y)._model.encoder.embedded_[0]
    assert in_blocks.n_levels == 60
    assert_allclose(in_blocks.prior_rows, of_levels)
    chunks = [(X[i : i + 500], y[i : i + 500]) for i in range(0, 1500, 500)]
    assert embedded(fit_chunks(network, chunks)) == [60]
    assert embedded(NNRegressor(random_state=0).partial_fit(X[:800], y[:800])) == [60]
    assert embedded(network.fit(X, y, np.full(1500, 0.3))) == [60]


def test_the_same_after_pickling():
    X, y = shops(1500)
    network = NNRegressor(max_iter=2, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(network))
    assert_array_equal(again.predict(X), network.predict(X))


def test_attributions_belong_to_the_column():
    X, y = shops(1500)
    network = NNRegressor(max_iter=20, random_state=0).fit(X, y)
    parts = integrated_gradients(network, X[:20], n_steps=64)
    assert parts.shape == (20, 2)
    assert np.abs(parts[:, 1]).mean() > 0.3
    assert input_gradients(network, X[:20]).shape == (20, 2)


def test_dates_are_no_codes():
    rng = np.random.default_rng(0)
    days = rng.integers(60, size=3000)
    y = rng.normal(size=60)[days]
    X = pd.DataFrame({"day": pd.Timestamp("2024-01-01") + pd.to_timedelta(days, "D")})
    assert embedded(NNRegressor(max_iter=2, random_state=0).fit(X, y)) == []
