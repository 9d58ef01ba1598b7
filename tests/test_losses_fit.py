"""Losses and class weights, through the estimators."""

import pickle
import warnings
from functools import cached_property

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import stats
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_pinball_score, log_loss, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

import sknet
from sknet.nn.losses import Huber, Loss, MultinomialLogLoss


class Quartic(Loss):
    """l = (raw - y)^4 / 4: a loss of the user's own, in a module of the user's own."""

    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def pointwise(self, y, raw, gradient_out):
        error = raw - y
        gradient_out[...] = self.sharpness * error**3
        return self.sharpness * (error**4).sum(axis=1) / 4


EXACT = {"solver": "lbfgs", "alpha": 0.0, "tol": 0.0, "max_iter": 5000, "random_state": 0}


def counts(n_rows=400, family="poisson"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    mean = np.exp(X @ [0.5, -0.3, 0.0, 0.2] + 1)
    if family == "tweedie":
        # The sum of a random number of random amounts: 18 % of them are zero.
        y = rng.gamma(np.maximum(rng.poisson(mean), 1e-300))
    else:
        y = rng.poisson(mean) if family == "poisson" else rng.gamma(2, mean / 2)
    return X, y.astype(float), rng.uniform(0.1, 4, n_rows)


# Generalized linear models.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize(
    "family, peer", [("poisson", PoissonRegressor), ("gamma", GammaRegressor)]
)
def test_without_hidden_layers_it_is_a_generalized_linear_model(family, peer, alpha, weighted):
    X, y, weight = counts(family=family)
    weight = weight if weighted else None
    network = NNRegressor((), loss=family, standardize=False, **{**EXACT, "alpha": alpha})
    network.fit(X, y, weight)
    theirs = peer(alpha=alpha, tol=1e-10, max_iter=10_000).fit(X, y, weight)
    assert_allclose(network.coefs_[0][:, 0], theirs.coef_, atol=1e-3)
    assert_allclose(network.intercepts_[0], theirs.intercept_, atol=1e-3)
    assert_allclose(network.predict(X), theirs.predict(X), rtol=1e-3)
    assert network.out_activation_ == "exp"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("power", [1, 1.5, 2])
def test_without_hidden_layers_it_is_a_tweedie_regressor(power, alpha, weighted):
    X, y, weight = counts(family="tweedie")
    weight = weight if weighted else None
    if power == 2:
        y += 0.1
    else:
        assert 0.05 < np.mean(y == 0) < 0.4
    options = {**EXACT, "alpha": alpha, "standardize": False}
    network = NNRegressor((), loss="tweedie", power=power, **options).fit(X, y, weight)
    theirs = TweedieRegressor(
        power=power, link="log", alpha=alpha, tol=1e-10, max_iter=10_000
    ).fit(X, y, weight)
    assert_allclose(network.coefs_[0][:, 0], theirs.coef_, atol=1e-3)
    assert_allclose(network.intercepts_[0], theirs.intercept_, atol=1e-3)
    assert_allclose(network.predict(X), theirs.predict(X), rtol=1e-3)
    if power != 1.5:
        limit = NNRegressor((), loss={1: "poisson", 2: "gamma"}[power], **options)
        limit.fit(X, y, weight)
        assert_allclose(network.coefs_[0], limit.coefs_[0], atol=1e-4)
        assert_allclose(network.loss_, limit.loss_, rtol=1e-6)


@pytest.mark.parametrize(("power", "limit"), [(1, "poisson"), (2, "gamma")])
def test_a_network_with_a_tweedie_loss_at_its_limits(power, limit):
    X, y, _ = counts(family="gamma")
    options = {"max_iter": 10, "learning_rate": "cosine", "n_members": 2, "random_state": 0}
    options["early_stopping"] = True
    one = NNRegressor((8,), loss="tweedie", power=power, **options).fit(X, y)
    other = NNRegressor((8,), loss=limit, **options).fit(X, y)
    assert_allclose(one.predict(X), other.predict(X), rtol=1e-7)
    assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-7)
    assert one.score(X, y) == r2_score(y, one.predict(X))


@pytest.mark.parametrize(
    ("power", "least", "match"),
    [
        (2, 0.0, "loss='tweedie' needs y > 0; y has values from 0 to"),
        (1.5, -1.0, "loss='tweedie' needs y >= 0; y has values from -1 to"),
        (0.5, 1.0, "'power' parameter of NNRegressor must be"),
        (3, 1.0, "'power' parameter of NNRegressor must be"),
    ],
)
def test_y_and_powers_that_tweedie_refuses(power, least, match, forbid_training):
    X, y, _ = counts(family="gamma")
    y[3] = least
    forbid_training()
    network = NNRegressor(loss="tweedie", power=power)
    with pytest.raises(ValueError, match=match):
        network.fit(X, y)
    assert not hasattr(network, "n_features_in_")


def test_the_power_matters_in_a_grid():
    X, y, _ = counts(family="tweedie")
    search = GridSearchCV(
        NNRegressor((), loss="tweedie", **EXACT), {"power": [1, 1.3, 1.8]}, cv=2
    ).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert clone(search.best_estimator_).power == search.best_params_["power"]


@pytest.mark.parametrize("family", ["poisson", "gamma", "tweedie"])
def test_units_of_y_move_nothing_but_the_predictions(family):
    X, y, _ = counts(family=family)
    one, other = (NNRegressor((), loss=family, **EXACT).fit(X, unit * y) for unit in (1, 1000))
    assert_allclose(other.predict(X), 1000 * one.predict(X), rtol=1e-4)
    assert (one.predict(X) > 0).all()


@pytest.mark.parametrize("family", ["poisson", "gamma", "tweedie"])
def test_several_outputs_with_a_log_link(family):
    X, y, _ = counts(family=family)
    Y = np.column_stack([y, 50 * y[::-1]])
    network = NNRegressor((), loss=family, **EXACT).fit(X, Y)
    for column in range(2):
        alone = NNRegressor((), loss=family, **EXACT).fit(X, Y[:, column])
        assert_allclose(network.predict(X)[:, column], alone.predict(X), rtol=1e-3)


@pytest.mark.parametrize("way", ["fit", "partial_fit"])
@pytest.mark.parametrize("offset", [30, 1000, 1e5])
@pytest.mark.parametrize("family", ["poisson", "gamma", "tweedie"])
def test_y_may_vary_by_a_small_share_of_its_mean(family, offset, way):
    """Squared error does not mind the offset, so a log link must not either."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 2))
    truth = offset + X.sum(axis=1)
    y = truth + 0.1 * rng.normal(size=600)
    network = NNRegressor((16,), loss=family, random_state=0, max_iter=60)
    network.set_params(
        learning_rate_init=0.01, alpha=1e-3, batch_size=50, n_iter_no_change=np.inf
    )
    for _ in range(1 if way == "fit" else 60):
        getattr(network, way)(X[:300], y[:300])
    assert r2_score(truth[300:], network.predict(X[300:])) > 0.98
    assert 0 <= network.loss_ < 0.1


@pytest.mark.parametrize("n_first", [1, 50])
@pytest.mark.parametrize("family", ["poisson", "gamma", "tweedie"])
def test_the_units_of_raw_predictions_follow_a_stream(family, n_first):
    """A first call whose y is constant does not say how much y varies."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 2))
    y = rng.poisson(np.exp(X[:, 0])) + 1.0
    network = NNRegressor((16,), loss=family, random_state=0)
    network.set_params(learning_rate_init=0.01, batch_size=50)
    network.partial_fit(X[:n_first], np.full(n_first, 2.0))
    for _ in range(10):
        for start in range(0, 400, 50):
            network.partial_fit(X[start : start + 50], y[start : start + 50])
    whole = np.concatenate([np.full(n_first, 2.0), *[y[:400]] * 10])
    assert_allclose(network._model.loss.spread, min(1, whole.std() / whole.mean()), rtol=1e-6)
    truth = np.exp(X[400:, 0]) + 1
    assert r2_score(truth, network.predict(X[400:])) > 0.8


def test_a_change_of_units_changes_no_prediction():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 2))
    y = 100 + X.sum(axis=1)
    network = NNRegressor((8,), loss="gamma", random_state=0, max_iter=100)
    network.set_params(learning_rate_init=0.01, batch_size=50, n_iter_no_change=np.inf)
    network.fit(X, y)
    spread, before = network._model.loss.spread, network.predict(X)
    one_step = clone(network).set_params(learning_rate_init=1e-12)
    started = one_step.fit(X, 5 * y - 4 * y.mean(), init=network)
    # The mean is the same, and the deviation is five times as large.
    assert_allclose(started._model.loss.spread, np.multiply(spread, 5), rtol=1e-9)
    assert_allclose(started.predict(X), before, rtol=1e-6)
    network.set_params(learning_rate_init=1e-12).partial_fit(X, 1000 + 500 * X[:, 0])
    assert network._model.loss.spread > np.multiply(spread, 5)
    assert_allclose(network.predict(X), before, rtol=1e-6)


def test_an_amount_that_float32_rounds_to_zero():
    X = np.linspace(-1, 1, 600)[:, np.newaxis]
    y = np.exp(X[:, 0])
    y[300] = 1e-50
    network = NNRegressor((16,), loss="gamma", random_state=0, max_iter=40, dtype="float32")
    network.set_params(learning_rate_init=0.01, batch_size=50, n_iter_no_change=np.inf).fit(
        X, y
    )
    assert network.loss_ < 10
    others = np.arange(600) != 300
    assert np.corrcoef(network.predict(X)[others], y[others])[0, 1] > 0.98


# Robust losses.


def weighted_median(y, weight):
    order = np.argsort(y)
    share = np.cumsum(weight[order]) / weight.sum()
    return y[order][np.searchsorted(share, 0.5)]


@pytest.mark.parametrize("loss", ["absolute_error", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_intercept_alone_is_the_median(loss, weighted):
    rng = np.random.default_rng(0)
    y = np.sort(rng.gamma(1, size=201))
    weight = rng.uniform(0.1, 5, 201) if weighted else np.ones(201)
    network = NNRegressor(
        (), loss=loss, batch_size=201, max_iter=3000, learning_rate="cosine",
        learning_rate_init=0.02, tol=0, n_iter_no_change=np.inf,
        random_state=0,
    )  # fmt: skip
    predicted = network.fit(np.zeros((201, 1)), y, weight).predict(np.zeros((1, 1)))[0]
    # The slope of the loss at the median is at most one row's weight: the minimum is flat.
    place = np.searchsorted(y, weighted_median(y, weight))
    assert y[place - 1] < predicted < y[place + 1]
    assert abs(predicted - y.mean()) > 3 * abs(predicted - y[place])


@pytest.mark.parametrize("level", [0.1, 0.8])
def test_an_intercept_alone_is_the_quantile(level):
    y = np.random.default_rng(0).gamma(1, size=501)
    network = NNRegressor(
        (), loss="quantile", quantile=level, batch_size=501, max_iter=3000,
        learning_rate="cosine", learning_rate_init=0.02, n_iter_no_change=np.inf,
        random_state=0,
    )  # fmt: skip
    predicted = network.fit(np.zeros((501, 1)), y).predict(np.zeros((1, 1)))[0]
    assert np.mean(y < predicted) == pytest.approx(level, abs=0.01)


def test_huber_with_a_large_delta_is_the_squared_error(regression):
    X, y = regression
    squared = NNRegressor((8,), max_iter=20, learning_rate="cosine", random_state=0)
    huber = clone(squared).set_params(loss="huber", delta=1e9).fit(X, y)
    assert_allclose(huber.predict(X), squared.fit(X, y).predict(X), rtol=1e-10)
    assert_allclose(huber.loss_curve_, squared.loss_curve_, rtol=1e-10)
    small = clone(huber).set_params(delta=0.1).fit(X, y)
    assert np.abs(small.predict(X) - huber.predict(X)).max() > 1e-3


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_robust_losses_bear_outliers(regression, loss):
    X, y = regression
    spoiled = y.copy()
    spoiled[::10] += 300
    errors = {}
    for one in ["squared_error", loss]:
        network = NNRegressor(
            (), loss=Huber(0.1) if one == "huber" else one, max_iter=300,
            learning_rate="cosine", learning_rate_init=0.02,
            random_state=0,
        ).fit(X, spoiled)  # fmt: skip
        errors[one] = np.median(np.abs(network.predict(X) - y))
    assert errors[loss] < errors["squared_error"] / 5


# Quantiles.


@pytest.fixture(scope="module")
def quantile_fit():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (20_000, 3))
    # Noise that is skewed, and grows along a column.
    y = 10 * np.sin(3 * X[:, 0]) + np.exp(X[:, 1]) * rng.gamma(1, size=20_000)
    network = NNRegressor(
        (32,), loss="quantile", quantile=[0.05, 0.25, 0.5, 0.9], max_iter=15,
        learning_rate="cosine", learning_rate_init=0.01, random_state=0,
    )  # fmt: skip
    return network.fit(X[:10_000], y[:10_000]), X, y


@pytest.mark.parametrize("part", [slice(10_000), slice(10_000, None)], ids=["seen", "new"])
def test_quantiles_cover_their_share(quantile_fit, part):
    network, X, y = quantile_fit
    predicted = network.predict(X[part])
    covered = (y[part, np.newaxis] <= predicted).mean(axis=0)
    assert_allclose(covered, [0.05, 0.25, 0.5, 0.9], atol=0.06)
    # The shares are right in each part of the table, and not only on the whole.
    for upper in (True, False):
        rows = (X[part, 1] > 0) == upper
        covered = (y[part][rows, np.newaxis] <= predicted[rows]).mean(axis=0)
        assert_allclose(covered, [0.05, 0.25, 0.5, 0.9], atol=0.08)


def test_quantiles_never_cross(quantile_fit):
    network, X, _ = quantile_fit
    far = np.random.default_rng(1).normal(scale=100, size=(2000, 3))
    for rows in (X, far):
        assert (np.diff(network.predict(rows), axis=1) >= 0).all()


def test_quantiles_score_by_the_mean_d2_of_the_pinball_loss(quantile_fit):
    network, X, y = quantile_fit
    X, y = X[10_000:], y[10_000:]
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    predicted = network.predict(X)
    for w in (None, weight):
        expected = np.mean(
            [
                d2_pinball_score(y, column, alpha=level, sample_weight=w)
                for column, level in zip(predicted.T, network.quantile, strict=True)
            ]
        )
        assert network.score(X, y, w) == pytest.approx(expected)
    assert network.score(X, y) > 0.3


class Quantile(Loss):
    """The pinball loss of one level, written by a user."""

    quantiles = (0.7,)

    def pointwise(self, y, raw, gradient_out):
        error = y - raw
        gradient_out[...] = np.where(error < 0, 0.3, -0.7)
        return np.maximum(0.7 * error, -0.3 * error).sum(axis=1)


def test_a_quantile_loss_of_the_users_own_is_scored_as_the_built_in_one(regression):
    X, y = regression
    options = {"max_iter": 20, "learning_rate": "cosine", "random_state": 0}
    own = NNRegressor((8,), loss=Quantile(), **options).fit(X, y)
    built_in = NNRegressor((8,), loss="quantile", quantile=0.7, **options).fit(X, y)
    assert own.score(X, y) == pytest.approx(built_in.score(X, y), rel=1e-3)
    assert own.score(X, y) == d2_pinball_score(y, own.predict(X), alpha=0.7)


def test_one_quantile_scores_by_its_own_d2(regression):
    X, y = regression
    network = NNRegressor(
        (8,), loss="quantile", quantile=0.7, max_iter=50, learning_rate="cosine", random_state=0
    ).fit(X, y)
    assert network.predict(X).shape == y.shape
    expected = d2_pinball_score(y, network.predict(X), alpha=0.7)
    assert network.score(X, y) == pytest.approx(expected)


def test_a_list_of_one_quantile_has_one_column(regression):
    X, y = regression
    options = {"max_iter": 5, "learning_rate": "cosine", "random_state": 0}
    alone = NNRegressor((8,), loss="quantile", quantile=0.7, **options).fit(X, y)
    listed = NNRegressor((8,), loss="quantile", quantile=[0.7], **options).fit(X, y)
    assert_allclose(listed.predict(X), alone.predict(X)[:, np.newaxis])


@pytest.mark.parametrize("n_outputs", [2, 3])
@pytest.mark.parametrize("levels", [[0.5], [0.1, 0.9], [0.1, 0.5, 0.9]], ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_list_of_quantiles_refuses_several_outputs(
    regression, levels, n_outputs, method, forbid_training
):
    X, y = regression
    network = NNRegressor(loss="quantile", quantile=levels)
    forbid_training()
    with pytest.raises(ValueError, match=f"list of quantiles needs one output.*{n_outputs}"):
        getattr(network, method)(X, np.tile(y, (n_outputs, 1)).T)


def test_one_quantile_takes_several_outputs(multioutput):
    X, Y = multioutput
    network = NNRegressor(
        (8,), loss="quantile", quantile=0.5, max_iter=5, learning_rate="cosine", random_state=0
    )
    assert network.fit(X, Y).predict(X).shape == Y.shape
    assert np.isfinite(network.score(X, Y))


@pytest.mark.parametrize(
    "quantile",
    [0, 1, 1.5, -0.1, [0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [], [[0.1, 0.5]],
     np.nan, [0.1, np.nan]],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_quantiles_out_of_order_or_range(regression, quantile, method, forbid_training):
    X, y = regression
    network = NNRegressor(loss="quantile", quantile=quantile)
    forbid_training()
    with pytest.raises(ValueError, match="quantile"):
        getattr(network, method)(X, y)


# Domains.


BAD_Y = [
    ("poisson", -1.0, "loss='poisson' needs y >= 0.* from -1 "),
    ("gamma", 0.0, "loss='gamma' needs y > 0.* from 0 "),
    ("gamma", -2.0, "loss='gamma' needs y > 0.* from -2 "),
]


@pytest.mark.parametrize("loss, value, match", BAD_Y)
@pytest.mark.parametrize("where", ["fit", "y_val", "partial_fit", "second partial_fit"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_targets_out_of_the_domain(loss, value, match, where, n_outputs, forbid_training):
    X, y, _ = counts(60, "gamma")
    y = y if n_outputs == 1 else np.tile(y, (2, 1)).T
    bad = y.copy()
    bad.flat[7] = value
    network = NNRegressor((4,), loss=loss, early_stopping="auto", random_state=0)
    if where == "second partial_fit":
        network.partial_fit(X, y)
    forbid_training()
    name = "y_val" if where == "y_val" else "y"
    match = match.replace(".*", f".*; {name} has values")
    with pytest.raises(ValueError, match=match):
        if where == "y_val":
            network.fit(X, y, X_val=X, y_val=bad)
        elif where == "fit":
            network.fit(X, bad)
        else:
            network.partial_fit(X, bad)


def test_an_output_of_zeros_is_out_of_poisson_s_domain(forbid_training):
    X, y, _ = counts(60)
    forbid_training()
    for target in (np.zeros(60), np.column_stack([y, np.zeros(60)])):
        with pytest.raises(ValueError, match="not all zero"):
            NNRegressor(loss="poisson").fit(X, target)


def test_validation_rows_and_later_chunks_may_be_all_zero():
    # Few rows with a rare event often have no count at all.
    X, y, _ = counts(60)
    options = {"loss": "poisson", "max_iter": 2, "learning_rate": "cosine"}
    network = NNRegressor((4,), early_stopping="auto", **options)
    network.fit(X, y, X_val=X[:10], y_val=np.zeros(10))
    network = NNRegressor((4,), loss="poisson").partial_fit(X, y)
    network.partial_fit(X[:5], np.zeros(5))
    assert np.isfinite(network.predict(X)).all()


# Class weights.


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("class_weight", ["balanced", {"ash": 2.0, "cedar": 0.5}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_weights_of_rows(multiclass, class_weight, weighted, solver):
    X, y = multiclass
    given = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    options = {"solver": solver, "alpha": 1e-3, "learning_rate_init": 0.01, "random_state": 0}
    options |= {"max_iter": 2000} if solver == "lbfgs" else {"max_iter": 20, "tol": 0.0}
    options |= {} if solver == "lbfgs" else {"learning_rate": "cosine"}
    sizes = () if solver == "lbfgs" else (8,)
    # Inputs are scaled by weighted quantiles of the rows as they were given.
    options["standardize"] = False
    network = NNClassifier(sizes, class_weight=class_weight, **options).fit(X, y, given)
    by_hand = np.ones(len(y)) if given is None else given.copy()
    for one in np.unique(y):
        # The classes have the same total weight if they are balanced.
        of_class = y == one
        balanced = class_weight == "balanced"
        factor = 1 / by_hand[of_class].sum() if balanced else class_weight.get(one, 1)
        by_hand[of_class] *= factor
    expected = NNClassifier(sizes, **options).fit(X, y, by_hand)
    assert_allclose(network.predict_proba(X), expected.predict_proba(X), rtol=1e-6)
    plain = NNClassifier(sizes, **options).fit(X, y, given)
    # The classes of some seeds are nearly balanced.
    assert np.abs(network.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4


def test_balanced_of_rare_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = (X[:, 0] + rng.normal(size=400) > 1.8).astype(int)
    assert 0.05 < y.mean() < 0.2
    options = {"max_iter": 200, "solver": "lbfgs", "random_state": 0}
    network = NNClassifier((), class_weight="balanced", **options).fit(X, y)
    # With an intercept the weighted mean of the probabilities is that of y: one half.
    weight = compute_sample_weight("balanced", y)
    mean = np.average(network.predict_proba(X)[:, 1], weights=weight)
    assert mean == pytest.approx(0.5, abs=1e-3)
    recall = network.predict(X)[y == 1].mean()
    assert recall > NNClassifier((), **options).fit(X, y).predict(X)[y == 1].mean() + 0.2


@pytest.mark.parametrize(
    "class_weight", ["balanced", [{0: 1, 1: 5}, {0: 2, 1: 1}, {0: 1, 1: 1}]], ids=str
)
def test_class_weights_of_labels(multilabel, class_weight):
    X, Y = multilabel
    options = {"max_iter": 20, "n_iter_no_change": np.inf, "random_state": 0}
    options["standardize"] = False
    network = NNClassifier((8,), class_weight=class_weight, **options).fit(X, Y)
    by_hand = np.prod(
        [
            compute_sample_weight(class_weight if isinstance(class_weight, str) else one, y)
            for one, y in zip(
                class_weight if isinstance(class_weight, list) else [None] * 3, Y.T, strict=True
            )
        ],
        axis=0,
    )
    expected = NNClassifier((8,), **options).fit(X, Y, by_hand)
    assert_allclose(network.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


@pytest.mark.usefixtures("without_temperature")
def test_class_weights_join_the_validation_loss(binary):
    X, y = binary
    weights = {0: 1.0, 1: 7.0}
    network = NNClassifier(
        (8,),
        class_weight=weights,
        max_iter=5,
        learning_rate="cosine",
        early_stopping="auto",
        random_state=0,
    ).fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    expected = log_loss(
        y[80:],
        network.predict_proba(X[80:]),
        sample_weight=np.where(y[80:] == 1, 7.0, 1.0),
    )
    best = network.history_["validation_loss"][network.best_iter_ - 1]
    assert best == pytest.approx(expected)


def test_validation_rows_may_lack_a_class_that_has_no_weight(binary):
    X, y = binary
    network = NNClassifier(
        (8,),
        class_weight={0: 5.0},
        max_iter=3,
        learning_rate="cosine",
        early_stopping="auto",
        random_state=0,
    )
    network.fit(X, y, X_val=X[y == 1], y_val=y[y == 1])
    assert network.n_iter_ == 3


@pytest.mark.parametrize(
    "class_weight, match",
    [
        ({"ash": 1, "yew": 2}, r"has weights for \['yew'\].*none for .*'beech', 'cedar'"),
        ({0: 1}, r"class_weight has weights for \[0\]"),
        ([{0: 1, 1: 2}] * 3, r"must be a dict with the weights of the classes \['ash', .*\]"),
        ("heavy", "class_weight"),
        (3, "class_weight"),
        ({"ash": -1.0}, "class_weight"),
        ({"ash": 0, "beech": 0, "cedar": 0}, "class_weight"),
    ],
    ids=str,
)
def test_class_weights_of_unknown_classes_or_without_sense(
    multiclass, class_weight, match, forbid_training
):
    X, y = multiclass
    forbid_training()
    with pytest.raises(ValueError, match=match):
        NNClassifier(class_weight=class_weight).fit(X, y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ({0: 1, 1: 2}, "a list with a dict for each of the 3 labels of y or, .* 'balanced'"),
        ([{0: 1, 1: 2}] * 2, "a list with a dict for each of the 3 labels"),
        ([{0: 1, 1: 2}, 2.0, {0: 1, 1: 2}], "a list with a dict for each of the 3 labels"),
        ([{0: 1, 1: 2}, {0: 1, 7: 2}, {0: 1, 1: 2}], r"has weights for \[7\], which are not"),
    ],
    ids=str,
)
def test_class_weights_that_do_not_fit_the_labels(
    multilabel, method, class_weight, match, forbid_training
):
    """A list has one dict for each label, and one dict alone does not say for which."""
    X, Y = multilabel
    forbid_training()
    with pytest.raises(ValueError, match=f"class_weight .*{match}"):
        getattr(NNClassifier(class_weight=class_weight), method)(X, Y)


# A loss of the user's own.


def test_a_loss_of_the_user_in_a_grid_and_on_disk(regression):
    X, y = regression
    options = {"max_iter": 20, "learning_rate": "cosine", "random_state": 0}
    search = GridSearchCV(
        NNRegressor((8,), **options),
        {"loss": [Quartic(), Quartic(5.0), "squared_error"]},
        scoring="neg_mean_squared_error",
        cv=2,
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores)) == 3
    network = NNRegressor((8,), loss=Quartic(2.0), **options).fit(X, y)
    again = pickle.loads(pickle.dumps(network))
    assert again.loss.sharpness == 2.0
    assert_array_equal(again.predict(X), network.predict(X))


def test_a_loss_of_the_user_is_minimized():
    # Of a skewed sample, the quartic's center is beyond the mean.
    y = np.random.default_rng(0).gamma(1, size=300)
    network = NNRegressor((), loss=Quartic(), **EXACT).fit(np.zeros((300, 1)), y)
    expected = minimize_scalar(lambda m: np.mean((y - m) ** 4), bounds=(0, 10)).x
    assert network.predict(np.zeros((1, 1)))[0] == pytest.approx(expected, rel=1e-3)
    assert expected > y.mean() * 1.1


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_networks_beat_the_linear_model_on_curved_rates(loss):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (1000, 2))
    mean = np.exp(np.abs(X[:, 0]) * 1.5)
    y = rng.poisson(mean) + 0.0 if loss == "poisson" else rng.gamma(3, mean / 3)
    correlation = {}
    for sizes in [(), (16,)]:
        network = NNRegressor(
            sizes, loss=loss, max_iter=60, learning_rate="cosine", learning_rate_init=0.02,
            batch_size=50, random_state=0,
        )  # fmt: skip
        predicted = network.fit(X[:500], y[:500]).predict(X[500:])
        correlation[sizes] = stats.spearmanr(predicted, mean[500:]).statistic
    assert correlation[(16,)] > 0.95 > correlation[()] + 0.3


# Outliers.


@pytest.mark.parametrize("size", [1e3, 1e6])
@pytest.mark.parametrize("way", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "loss",
    [{"loss": "huber"}, {"loss": "absolute_error"}, {"loss": "quantile", "quantile": 0.5}],
    ids=lambda loss: loss["loss"],
)
def test_outliers_of_y_hardly_matter(loss, way, size):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 2))
    truth = 50 + 10 * X[:, 0]
    y = truth + rng.normal(size=1200)
    y[:800:100] *= size
    options = {"learning_rate_init": 0.01, "max_iter": 60, "n_iter_no_change": np.inf}
    network = NNRegressor((20,), random_state=0, **options, **loss)
    for _ in range(1 if way == "fit" else 60):
        getattr(network, way)(X[:800], y[:800])
    # With the mean and the standard deviation of all y as its scale, it is 27 to 115 000.
    assert np.sqrt(np.mean((network.predict(X[800:]) - truth[800:]) ** 2)) < 1


@pytest.mark.parametrize(
    "loss", [{"loss": "huber"}, {"loss": "quantile", "quantile": [0.25, 0.5, 0.75]}], ids=str
)
def test_early_stopping_sees_the_other_rows_beside_an_outlier(loss):
    """In float32, a sum with a loss of 1e9 does not show that the others fall."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (800, 2))
    truth = np.sin(2 * X[:, 0]) + X[:, 1]
    y = truth + 0.1 * rng.normal(size=800)
    y[::115] = 999_999_999.0
    network = NNRegressor((32,), random_state=0, max_iter=60, early_stopping=True, **loss)
    network.set_params(learning_rate_init=0.01, batch_size=50, dtype="float32")
    network.set_params(n_iter_no_change=np.inf).fit(X, y)
    middle = network.predict(X).reshape(800, -1)
    assert r2_score(truth, middle[:, middle.shape[1] // 2]) > 0.95


class Focal(MultinomialLogLoss):
    """The log loss, but also for two classes, for which its link has no form."""

    def binary(self):
        return self


@pytest.mark.parametrize("kind", ["two classes", "labels"])
def test_a_link_without_a_form_for_two_classes_is_refused(kind):
    X, y = np.arange(20.0)[:, np.newaxis], np.arange(20) % 2
    y = y if kind == "two classes" else np.column_stack([y, 1 - y])
    with pytest.raises(
        ValueError, match=r"1 - inverse\(raw\), which .* Define the method binary"
    ):
        NNClassifier(loss=Focal()).fit(X, y)


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_an_outlier_among_the_validation_rows_is_no_divergence(loss):
    """The cool-down on all rows has a larger loss than the epochs before it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    y = 0.5 * X[:, 0] + rng.normal(size=600)
    options = {"loss": loss, "scoring": "neg_median_absolute_error", "random_state": 0}
    # With this seed, these rows are held out for validation.
    for outlier in (138, 299, 598):
        y_with = y.copy()
        y_with[outlier] = 1e6
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sknet.NNRegressor(**options).fit(X, y_with)


def test_a_loss_with_a_cached_property_stays_equal():
    class Cached(Quartic):
        def __init__(self, power=4.0):
            self.power = power

        @cached_property
        def half(self):
            return self.power / 2

    loss = Cached()
    assert loss.half == 2 and loss == Cached() != Cached(3.0)
