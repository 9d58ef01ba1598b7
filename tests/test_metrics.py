"""Scores of distributions and intervals, and their scorers."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from plain import NNRegressor
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet.metrics import SCORERS, CRPSScorer, IntervalScorer, crps, interval_score

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (120, 2))
y = X[:, 0] + np.exp(X[:, 1]) * rng.normal(size=120)
WEIGHT = rng.integers(1, 4, 120).astype(float)
BRIEF = {"max_iter": 5, "learning_rate": "cosine", "random_state": 0}


@pytest.fixture(scope="module")
def network():
    return NNRegressor((8,), loss="normal", **BRIEF).fit(X, y)


def test_crps_of_two_quantiles_is_that_of_a_normal_distribution():
    """By the closed form of Gneiting and Raftery (2007), equation 21."""
    mean, std = X[:, 0], np.exp(X[:, 1])
    z = (y - mean) / std
    rows = std * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)
    levels = [0.2, 0.7]
    quantiles = stats.norm.ppf(levels, mean[:, np.newaxis], std[:, np.newaxis])
    assert crps(y, quantiles, levels) == pytest.approx(rows.mean(), rel=1e-12)
    expected = np.average(rows, weights=WEIGHT)
    assert crps(y, quantiles, levels, sample_weight=WEIGHT) == pytest.approx(expected)


def test_crps_of_many_quantiles_is_twice_the_pinball_loss():
    levels = (np.arange(400) + 0.5) / 400
    quantiles = stats.gamma.ppf(levels, 2) + X[:, :1]
    losses = [
        mean_pinball_loss(y, q, alpha=a) for q, a in zip(quantiles.T, levels, strict=True)
    ]
    assert crps(y, quantiles, levels) == pytest.approx(2 * np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("y", [-100.0, 0.0, 1.5, 2.0, 100.0])
def test_crps_of_equal_quantiles_is_that_of_an_atom(y):
    """They are the limit of quantiles that differ little. No overflow is told of."""
    assert_allclose(crps([y], [[2.0, 2.0]], [0.1, 0.9]), abs(y - 2.0), atol=1e-12)
    levels, close = [0.1, 0.2, 0.5, 0.9], [[1.0, 1.0 + 1e-9, 2.0, 2.0 + 1e-9]]
    found = crps([y], [[1.0, 1.0, 2.0, 2.0]], levels)
    assert_allclose(found, crps([y], close, levels), atol=1e-7)


def test_interval_score():
    """The figures are those of scoringrules 0.10.0."""
    assert interval_score([5.0], [0.0], [4.0], coverage=0.8) == pytest.approx(14)
    assert interval_score([-1.0], [0.0], [4.0], coverage=0.9) == pytest.approx(24)
    low, high = np.array([0.0, 0.0]), np.array([4.0, 2.0])
    assert interval_score([1.0, 1.0], low, high, sample_weight=[3, 1]) == 3.5


def test_the_true_quantiles_have_the_best_interval_score():
    sample = rng.normal(size=20_000)
    scores = [
        interval_score(sample, np.full(20_000, -z), np.full(20_000, z), coverage=0.8)
        for z in stats.norm.ppf([0.85, 0.9, 0.93])
    ]
    assert scores[1] == min(scores)


def test_scorers_agree_with_the_functions(network):
    mean, std = network.predict(X, return_std=True)
    levels = stats.norm.cdf([-1, 1])
    quantiles = mean[:, np.newaxis] + std[:, np.newaxis] * [-1, 1]
    score = crps(y, quantiles, levels, sample_weight=WEIGHT)
    assert CRPSScorer()(network, X, y, WEIGHT) == pytest.approx(-score)
    low, high = network.predict_quantiles(X, [0.25, 0.75]).T
    score = interval_score(y, low, high, coverage=0.5, sample_weight=WEIGHT)
    assert IntervalScorer(coverage=0.5)(network, X, y, sample_weight=WEIGHT) == -score


@pytest.mark.parametrize("scorer", [CRPSScorer(), IntervalScorer(coverage=0.5)])
def test_scorers_of_outputs_pipelines_and_searches(network, scorer):
    Y = np.column_stack([y, -y])
    both = NNRegressor((8,), loss="normal", early_stopping=False, **BRIEF).fit(X, Y)
    score = crps(Y, both.predict_quantiles(X, [0.2, 0.7]), [0.2, 0.7])
    assert CRPSScorer()(both, X, Y) == pytest.approx(-score)
    assert scorer(both, X, Y) < 0
    assert scorer(network, X, y[:, np.newaxis]) == scorer(network, X, y)
    expected = scorer(network, X, y)
    pipeline = make_pipeline("passthrough", clone(network))
    search = GridSearchCV(pipeline, {"nnregressor__alpha": [1e-4, 10.0]}, scoring=scorer, cv=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert scorer(search, X, y) == scorer(search.best_estimator_, X, y)
    assert scorer(make_pipeline(clone(network)).fit(X, y), X, y) == expected
    scaled = make_pipeline(StandardScaler(), clone(network)).fit(X, y)
    assert scorer(scaled, X, y) == scorer(scaled[-1], scaled[0].transform(X), y)
    named = {"one": scorer, "other": SCORERS["neg_crps"]}
    assert np.isfinite(cross_validate(network, X, y, scoring=named, cv=2)["test_one"]).all()


def test_weights_are_routed(network):
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = CRPSScorer().set_score_request(sample_weight=True)
        weighted = clone(network).set_fit_request(sample_weight=False)
        options = {"cv": 2, "return_estimator": True, "return_indices": True}
        params = {"params": {"sample_weight": WEIGHT}, **options}
        found = cross_validate(weighted, X, y, scoring=clone(scorer), **params)
    (one, _), (rows, _) = found["estimator"], found["indices"]["test"]
    assert found["test_score"][0] == scorer(one, X[rows], y[rows], WEIGHT[rows])
    assert found["test_score"][0] != scorer(one, X[rows], y[rows])


@pytest.mark.parametrize("name", SCORERS)
def test_names_are_values_of_scoring(name):
    network = NNRegressor((8,), loss="normal", early_stopping=True, **BRIEF)
    by_name = clone(network).set_params(scoring=name).fit(X, y)
    by_scorer = clone(network).set_params(scoring=SCORERS[name]).fit(X, y)
    assert_allclose(by_name.validation_scores_, by_scorer.validation_scores_)


def test_what_is_refused(network):
    for scorer in SCORERS.values():
        with pytest.raises(ValueError, match="needs an NNRegressor with a loss that estimates"):
            scorer(LinearRegression().fit(X, y), X, y)
    for levels in ([0.5], [0.5, 0.1], [0.0, 0.5], 0.5):
        with pytest.raises(ValueError, match="levels must be at least two increasing numbers"):
            crps(y, np.zeros((120, 2)), levels)
    for quantiles in (np.zeros((120, 3)), np.zeros(120)):
        with pytest.raises(ValueError, match="quantiles must have the shape"):
            crps(y, quantiles, [0.1, 0.9])
    with pytest.raises(ValueError, match=r"^quantiles must not decrease from one level to the"):
        crps(y, np.tile([1.0, 0.0], (120, 1)), [0.1, 0.9])
    for numbers in ([np.nan], []):
        with pytest.raises(ValueError, match="at least one row, and no number may be NaN"):
            interval_score(numbers, np.zeros(len(numbers)), np.ones(len(numbers)))
    for scorer in SCORERS.values():
        with pytest.raises(ValueError, match="y must have the shape"):
            scorer(network, X, np.column_stack([y, y]))
    for weight in (-WEIGHT, np.zeros(120), WEIGHT[:5], WEIGHT[:, np.newaxis]):
        with pytest.raises(ValueError, match=r"weight|inconsistent numbers"):
            interval_score(y, y, y + 1, sample_weight=weight)
    with pytest.raises(ValueError, match="low must not be above high"):
        interval_score(y, y + 1, y)
    with pytest.raises(ValueError, match="coverage must be a number in"):
        interval_score(y, y, y, coverage=90)
    with pytest.raises(ValueError, match="coverage must be a number in"):
        IntervalScorer(coverage=1.0)(network, X, y)


@pytest.mark.parametrize("shape", [(1, 120), (60, 2), (240,)])
def test_scorers_refuse_a_y_of_another_shape(network, shape):
    strange = np.resize(y, shape)
    with pytest.raises(ValueError, match=r"y must have the shape \(120,\)"):
        CRPSScorer()(network, X, strange)
    assert CRPSScorer()(network, X, y[:, np.newaxis]) == CRPSScorer()(network, X, y)
