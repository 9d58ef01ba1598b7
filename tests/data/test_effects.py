"""The effects of levels: their variances, their prior, and what networks make of it."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import f_oneway, kurtosis

from sknet import NNClassifier, NNRegressor, _base_model
from sknet.data import encoding
from sknet.data.effects import MOST_PRIOR_ROWS, RowsByLevel, prior_rows, some_rows
from sknet.nn.columns import Columns
from sknet.streaming import RowBlocks, fit_chunks


def draw(n_rows, n_levels, deviation, seed=0):
    """Return the levels of rows, and numbers with effects of the levels and unit noise."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(n_levels, size=n_rows)
    effects = deviation * rng.normal(size=n_levels)
    return levels, effects[levels], effects[levels] + rng.normal(size=n_rows)


def test_balanced_levels_follow_the_f_statistic():
    levels, _, y = draw(400, 20, 0)
    levels = np.repeat(np.arange(20), 20)
    y += np.linspace(0, 1, 20)[levels]
    statistic = f_oneway(*(y[levels == i] for i in range(20))).statistic
    assert_allclose(prior_rows(levels, y[:, np.newaxis], labels=False), 20 / (statistic - 1))


@pytest.mark.parametrize("deviation", [0.5, 1, 3])
def test_unbalanced_levels_recover_the_ratio_of_the_variances(deviation):
    levels, effects, y = draw(40_000, 2000, deviation)
    kept = np.random.default_rng(1).random(len(y)) < 1 / (1 + levels % 7)
    found = prior_rows(levels[kept], y[kept, np.newaxis], labels=False)
    assert found == pytest.approx(1 / deviation**2, rel=0.1)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_labels_recover_the_variance_of_logits(share):
    levels, logits, _ = draw(200_000, 2000, 0.4)
    p = 1 / (1 + np.exp(-logits - np.log(share / (1 - share))))
    y = np.random.default_rng(1).random(len(p)) < p
    two_columns = np.column_stack([~y, y]).astype(float)
    found = prior_rows(levels, two_columns[:, 1:], labels=True)
    assert found == pytest.approx(1 / 0.4**2, rel=0.15)
    assert_allclose(prior_rows(levels, two_columns, labels=True), found)


def test_counts_are_repeated_rows():
    levels, _, y = draw(300, 30, 1)
    counts = np.random.default_rng(1).integers(1, 4, size=300).astype(float)
    repeated = np.repeat(np.arange(300), counts.astype(int))
    assert_allclose(
        prior_rows(levels, y[:, np.newaxis], counts, labels=False),
        prior_rows(levels[repeated], y[repeated, np.newaxis], labels=False),
    )


def test_units_and_offsets_do_not_matter():
    levels, _, y = draw(300, 30, 1)
    Y = np.column_stack([y, y[::-1]])
    found = prior_rows(levels, Y, labels=False)
    assert_allclose(prior_rows(levels, 1e3 * Y + 1e4, labels=False), found, rtol=1e-6)


WITHOUT_EFFECTS = {
    "one level": (np.zeros(50, int), np.arange(50.0)),
    "a level for each row": (np.arange(50), np.arange(50.0)),
    "equal means": (np.repeat([0, 1], 4), np.tile([-1.0, 1.0], 4)),
    "constant": (np.repeat([0, 1], 25), np.zeros(50)),
}


@pytest.mark.parametrize(("levels", "y"), WITHOUT_EFFECTS.values(), ids=WITHOUT_EFFECTS)
def test_the_prior_is_strong_without_effects(levels, y):
    assert prior_rows(levels, y[:, np.newaxis], labels=False) == MOST_PRIOR_ROWS


def test_the_prior_is_weak_if_levels_decide_about_y():
    levels = np.arange(200) % 20
    assert prior_rows(levels, np.sin(levels)[:, np.newaxis], labels=False) < 1e-9


def draw_slopes(n_rows, n_levels, deviation, seed=0):
    """Return levels, two numbers, and noise with slopes by the first number that differ."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(n_levels, size=n_rows)
    numbers = rng.normal(size=(n_rows, 2)) * [5, 0.1] + 3
    slopes = deviation * rng.normal(size=n_levels)
    return levels, numbers, slopes[levels] * (numbers[:, 0] - 3) / 5 + rng.normal(size=n_rows)


def test_slopes_recover_the_ratio_of_the_variances():
    levels, numbers, y = draw_slopes(40_000, 1000, 0.5)
    Y = y[:, np.newaxis]
    assert prior_rows(levels, Y, labels=False) == MOST_PRIOR_ROWS
    found = prior_rows(levels, Y, labels=False, numbers=numbers)
    # Other slopes are a part of what varies within a level.
    assert found == pytest.approx((1 + 0.5**2) / 0.5**2, rel=0.15)


def test_slopes_of_some_rows_are_those_of_all(monkeypatch):
    levels, numbers, y = draw_slopes(40_000, 50, 0.5)
    assert some_rows(40_000, 2).size == 40_000
    monkeypatch.setattr("sknet.data.effects.MOST_PRODUCTS", 20_000)
    rows = some_rows(40_000, 2)
    assert len(rows) == 10_000 and (np.diff(rows) > 0).all()
    of_all, of_some = (
        prior_rows(levels, y[:, np.newaxis], labels=False, numbers=numbers[kept], rows=kept)
        for kept in (slice(None), rows)
    )
    assert of_some != of_all and of_some == pytest.approx(of_all, rel=0.2)


@pytest.mark.parametrize("n_levels", [20, 300, 4000])
def test_slopes_are_no_chance(n_levels):
    """Neither tails, nor a column that varies in some levels only, nor one of the levels."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        levels = (n_levels * rng.random(8000) ** 2).astype(int)
        numbers = rng.standard_t(2, size=(8000, 20))
        rare = np.where(levels % 50 == 3, numbers[:, 0], 1.0)
        of_levels = np.cos(levels) + 1e-16 * rng.normal(size=8000)
        numbers = np.column_stack([numbers, rare, of_levels, rng.random(8000) < 0.001])
        y = rng.standard_t(3, size=8000)[:, np.newaxis]
        without = prior_rows(levels, y, labels=False)
        assert prior_rows(levels, y, labels=False, numbers=numbers) == without


@pytest.mark.parametrize("kind", [NNRegressor, NNClassifier])
def test_levels_that_only_change_slopes_are_learned(kind):
    levels, numbers, y = draw_slopes(6000, 40, 2)
    y = y if kind is NNRegressor else y > 0
    X = pd.DataFrame({"a": numbers[:, 0], "level": pd.Categorical(levels.astype(str))})
    network = kind(random_state=0).fit(X[:4000], y[:4000])
    assert embedding(network).ridge < 5 / 4000
    # The slopes themselves have a score of 0.8 and 0.75.
    assert network.score(X[4000:], y[4000:]) > 0.7


def table(effect, n_rows=1500, n_levels=60, *, classes=False, seed=0):
    """Return a frame with a number and a category of many levels, and y."""
    rng = np.random.default_rng(seed)
    levels, effects, y = draw(n_rows, n_levels, effect, seed)
    number = rng.normal(size=n_rows)
    y += number
    X = pd.DataFrame({"number": number, "level": pd.Categorical(levels.astype(str))})
    return X, (y > 0).astype(int) if classes else y


def embedding(estimator):
    """Return the layer of the levels of a fitted network."""
    layers = estimator._model.network.layers
    return next(one for one in layers if isinstance(one, Columns)).parts[-1][1]


def spread_of_levels(network, X):
    """Return the standard deviation of the predictions over the levels."""
    rows = X.assign(number=0.0).drop_duplicates()
    predict = getattr(network, "decision_function", network.predict)
    return predict(rows).std()


@pytest.mark.parametrize("kind", [NNRegressor, NNClassifier])
def test_levels_that_tell_nothing_hardly_change_predictions(kind):
    spreads = []
    for seed in range(2):
        X, y = table(0, n_levels=300, classes=kind is NNClassifier, seed=seed)
        # A learned scale of the column would also act on the level vectors.
        options = {"share_weights": True, "column_scales": False, "random_state": 0}
        network, without = (kind(**options, **one).fit(X, y) for one in ({}, {"alpha": 0}))
        spreads.append([spread_of_levels(one, X) for one in (network, without)])
    with_prior, without_prior = np.mean(spreads, axis=0)
    assert with_prior < 0.85 * without_prior


@pytest.mark.parametrize("kind", [NNRegressor, NNClassifier])
def test_levels_that_tell_much_are_learned(kind):
    X, y = table(3, 3000, classes=kind is NNClassifier)
    train, test = slice(0, 1500), slice(1500, None)
    network = kind(random_state=0).fit(X[train], y[train])
    assert embedding(network).ridge < 1 / 1500
    assert network.score(X[test], y[test]) > (0.85 if kind is NNRegressor else 0.8)


def test_the_penalty_keeps_the_types_of_numbers():
    X, y = table(1)
    network = NNRegressor(random_state=0, max_iter=2).fit(X, y)
    assert embedding(network).ridge > 0 and type(embedding(network).ridge) is float
    assert {type(loss) for loss in network.history_["loss"]} == {float}


def test_many_outputs_are_estimated_from_some_rows(monkeypatch):
    X, y = table(1, 4000, 20)
    labels = np.digitize(y, [-1, 0, 1])
    whole = embedding(NNClassifier(max_iter=1, random_state=0).fit(X, labels)).ridge
    seen = []

    def watched(levels, Y, *args, **kwargs):
        seen.append(Y.shape)
        return prior_rows(levels, Y, *args, **kwargs)

    monkeypatch.setattr(_base_model, "MOST_NUMBERS", 8000)
    monkeypatch.setattr(encoding, "prior_rows", watched)
    network = NNClassifier(max_iter=1, random_state=0).fit(X, labels)
    assert seen == [(2000, 4)]
    assert embedding(network).ridge == pytest.approx(whole, rel=0.5)


def test_the_strength_is_the_prior_for_each_row():
    X, y = table(1)
    network = NNRegressor(random_state=0, share_weights=True).fit(X, y)
    levels = X["level"].cat.codes.to_numpy()
    expected = prior_rows(levels, y[:, np.newaxis], labels=False) / len(y)
    assert embedding(network).ridge == pytest.approx(expected)


def test_chunks_and_blocks_find_the_same_strength():
    X, y = table(1)
    whole = embedding(NNRegressor(random_state=0).fit(X, y)).ridge
    chunks = [(X[i : i + 500], y[i : i + 500]) for i in range(0, 1500, 500)]
    streamed = fit_chunks(NNRegressor(random_state=0, max_iter=1), chunks)
    assert embedding(streamed).ridge == pytest.approx(whole, rel=0.5)
    codes = np.column_stack([X["number"], X["level"].cat.codes])
    blocks = NNRegressor(random_state=0, max_iter=1, categorical_features=[1])
    blocks.fit(RowBlocks(codes, block_rows=400), y)
    assert embedding(blocks).ridge == pytest.approx(whole)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("change", [{"alpha": 0}, {"solver": "lbfgs"}])
def test_no_prior_where_alpha_is_zero_and_for_lbfgs(change):
    X, y = table(0, 300)
    assert embedding(NNRegressor(max_iter=2, **change).fit(X, y)).ridge == 0


def test_no_prior_in_partial_fit():
    X, y = table(0, 300)
    assert embedding(NNRegressor().partial_fit(X, y)).ridge == 0


def test_a_weight_of_two_is_as_strong_as_two_rows():
    X, y = table(1, 300)
    counts = np.random.default_rng(1).integers(1, 4, size=300)
    rows = np.repeat(np.arange(300), counts)
    network = NNRegressor(max_iter=1, random_state=0)
    weighted = embedding(network.fit(X, y, counts)).ridge
    repeated = embedding(network.fit(X.iloc[rows], y[rows])).ridge
    assert weighted == pytest.approx(repeated) and weighted > 0


def test_a_value_of_alpha_keeps_the_prior():
    X, y = table(1)
    ridges = [
        embedding(NNRegressor(max_iter=1, random_state=0, alpha=alpha).fit(X, y)).ridge
        for alpha in ("auto", 0.01)
    ]
    assert ridges[0] == ridges[1] > 0


def test_a_warm_start_may_set_alpha():
    X, y = table(0, 300)
    network = NNRegressor(max_iter=2, warm_start=True, random_state=0).fit(X, y)
    assert embedding(network).ridge > 0
    assert embedding(network.set_params(alpha=0.0).fit(X, y)).ridge == 0


def test_a_warm_start_may_set_alpha_back_to_auto():
    X, y = table(1, 300)
    expected = embedding(NNRegressor(max_iter=2, random_state=0).fit(X, y)).ridge
    network = NNRegressor(max_iter=2, warm_start=True, random_state=0, alpha=1e-4).fit(X, y)
    assert embedding(network.set_params(alpha="auto").fit(X, y)).ridge == expected


# The analysis of variance.


@pytest.fixture
def grouped():
    """Return the levels of 60 rows in four levels of unequal size, and two columns."""
    rng = np.random.default_rng(0)
    levels = rng.permutation(np.repeat([7, 2, 4, 9], [30, 15, 10, 5]))
    return levels, rng.normal(size=(60, 2)) + 0.5 * levels[:, np.newaxis]


def test_means_and_deviations_are_those_of_each_level(grouped):
    levels, values = grouped
    by_level = RowsByLevel(levels, np.ones(60))
    means = np.array([values[levels == level].mean(axis=0) for level in (2, 4, 7, 9)])
    assert_array_equal(by_level.sizes, [15, 10, 30, 5])
    assert_allclose(by_level.means(values), means)
    of_rows = means[np.searchsorted([2, 4, 7, 9], levels)]
    assert_allclose(by_level.centered(values), values - of_rows)
    standardized = by_level.standardized(values)
    for level in (2, 4, 7, 9):
        assert_allclose(standardized[levels == level].std(axis=0), 1)


def test_a_column_that_hardly_varies_within_a_level_is_zero_there(grouped):
    levels, values = grouped
    values[levels == 9] = 3.0
    standardized = RowsByLevel(levels, np.ones(60)).standardized(values)
    assert not standardized[levels == 9].any() and standardized[levels != 9].all()


def test_the_variances_are_those_of_the_f_test(grouped):
    """F = (within + usual size * between) / within, for the size in the mean of its square."""
    levels, values = grouped
    found_within, between, _ = RowsByLevel(levels, np.ones(60)).variances(values)
    parts = [values[levels == level] for level in np.unique(levels)]
    sizes = np.array([len(part) for part in parts])
    within = sum(np.square(part - part.mean(axis=0)).sum(axis=0) for part in parts) / 56
    usual_size = (60 - np.square(sizes).sum() / 60) / 3
    assert_allclose(found_within, within)
    assert_allclose(1 + usual_size * between / within, f_oneway(*parts).statistic)


def test_the_chance_is_the_deviation_of_the_estimate_without_effects():
    levels = np.repeat(np.arange(20), 50)
    draws = np.random.default_rng(0).normal(size=(1000, 2000))
    _, between, chance = RowsByLevel(levels, np.ones(1000)).variances(draws)
    assert between.std() == pytest.approx(chance.mean(), rel=0.1)


def test_a_weight_of_two_equals_a_repeated_row(grouped):
    levels, values = grouped
    weights = np.where(np.arange(60) % 3, 1.0, 2.0)
    weighted = RowsByLevel(levels, weights)
    repeated = RowsByLevel(np.repeat(levels, weights.astype(int)), np.ones(80))
    found = weighted.variances(values)
    assert_allclose(found, repeated.variances(np.repeat(values, weights.astype(int), axis=0)))


def test_the_excess_kurtosis_is_that_of_scipy_or_zero():
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.standard_exponential(500), rng.uniform(size=500)])
    values -= values.mean(axis=0)
    found = RowsByLevel(np.zeros(500), np.ones(500)).excess_kurtosis(values)
    assert_allclose(found, [kurtosis(values[:, 0]), 0])


def test_some_rows_have_no_more_products_than_are_allowed(monkeypatch):
    monkeypatch.setattr("sknet.data.effects.MOST_PRODUCTS", 300)
    assert_array_equal(some_rows(100, 3), np.arange(100))
    rows = some_rows(101, 3)
    assert np.unique(rows).size == 100 and 0 <= rows.min() and rows.max() <= 100
    assert_array_equal(rows, some_rows(101, 3))
    assert np.size(some_rows(101, 1000)) == 1
