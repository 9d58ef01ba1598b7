"""What NNRegressor predicts of the distribution of y, in the units of y."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNRegressor
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import sknet
from sknet.nn.distributions import Tweedie
from sknet.nn.losses import HalfTweedie, NormalLikelihood
from sknet.streaming import fit_chunks

LEVELS = [0.05, 0.5, 0.9]
BRIEF = {"max_iter": 8, "learning_rate": "cosine", "learning_rate_init": 0.01}
BRIEF |= {"random_state": 0}
OPTIONS = {
    "normal": {},
    "quantile": {"quantile": [0.1, 0.25, 0.5, 0.75, 0.9]},
    "poisson": {},
    "gamma": {},
    "tweedie": {"power": 1.6},
}
every = pytest.mark.parametrize("loss", OPTIONS)
dispersed = pytest.mark.parametrize("loss", ["gamma", "tweedie"])


def rows(loss, n_rows, seed=0):
    """Return X and a y that is drawn from the distribution of a loss."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n_rows, 2))
    mean = 3 * np.exp(X[:, 0])
    if loss == "poisson":
        return X, rng.poisson(mean).astype(float)
    if loss == "tweedie":
        return X, np.array([rng.gamma(2, 0.5, n).sum() for n in rng.poisson(mean)])
    return X, rng.gamma(2, mean / 2)


def fitted(loss, X, y, weight=None, **options):
    return NNRegressor((8,), loss=loss, **{**OPTIONS[loss], **BRIEF, **options}).fit(
        X, y, weight
    )


@every
def test_the_three_methods_agree(loss):
    """Quantiles invert probabilities, and samples have the distribution, in each row."""
    X, y = rows(loss, 300)
    network = fitted(loss, X, y, early_stopping=True)
    quantiles = network.predict_quantiles(X, LEVELS)
    assert quantiles.shape == (300, 3)
    probabilities = network.predict_cdf(X, quantiles)
    if loss in ("poisson", "tweedie"):  # with atoms
        assert (probabilities >= np.array(LEVELS) - 1e-6).all()
    else:
        assert_allclose(probabilities, np.tile(LEVELS, (300, 1)), rtol=1e-8)
    assert_array_equal(network.predict_cdf(X, quantiles[:, 1]), probabilities[:, 1])
    assert_array_equal(
        network.predict_cdf(X, [[1.0, 2.0]])[:, 1], network.predict_cdf(X, np.full(300, 2.0))
    )
    samples = network.sample(X[:3], n_samples=400, random_state=0)
    assert_array_equal(samples, network.sample(X[:3], n_samples=400, random_state=0))
    for one, sample in zip(X[:3], samples, strict=True):
        values = np.unique(sample)
        shares = np.searchsorted(np.sort(sample), values, side="right") / 400
        difference = np.abs(shares - network.predict_cdf([one], values[np.newaxis])[0])
        assert difference.max() * np.sqrt(400) < stats.kstwobign.isf(1e-4)


@pytest.mark.parametrize("loss", ["normal", "quantile"])
def test_without_validation_rows_the_distribution_is_that_of_predict(loss):
    X, y = rows(loss, 200)
    network = fitted(loss, X, y, early_stopping=False)
    if loss == "normal":
        mean, std = network.predict(X, return_std=True)
        expected = stats.norm.ppf(LEVELS, mean[:, np.newaxis], std[:, np.newaxis])
        assert_allclose(network.predict_quantiles(X, LEVELS), expected, rtol=1e-10)
        return
    levels, predicted = np.array(OPTIONS[loss]["quantile"]), network.predict(X)
    assert_allclose(network.predict_quantiles(X, levels), predicted, rtol=1e-10)
    # Beyond the levels, the tails are those of the normal distribution through the last two.
    z = stats.norm.ppf([0.75, 0.9, 0.99])
    slope = (predicted[:, 4] - predicted[:, 3]) / (z[1] - z[0])
    tail = network.predict_quantiles(X, [0.99])[:, 0]
    assert_allclose(tail, predicted[:, 4] + slope * (z[2] - z[1]), rtol=1e-10)


def test_held_out_rows_calibrate_the_distribution():
    """Of a y that is not normal, with a network that has memorized its training rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6300, 4))
    y = X[:, 0] + rng.standard_t(2, 6300)
    network = sknet.NNRegressor(loss="normal", refit=False, max_iter=30, random_state=0)
    network.fit(X[:300], y[:300], X_val=X[300:3300], y_val=y[300:3300])
    low, high = network.predict_quantiles(X[3300:], [0.25, 0.75]).T
    assert np.mean((low < y[3300:]) & (y[3300:] < high)) == pytest.approx(0.5, abs=0.05)
    mean, std = network.predict(X[3300:], return_std=True)
    assert np.mean(np.abs(y[3300:] - mean) < 0.674 * std) > 0.6
    # A pass of partial_fit makes another network, which no held-out rows have judged.
    mean, std = network.partial_fit(X, y).predict(X, return_std=True)
    assert_allclose(network.predict_quantiles(X, [0.5])[:, 0], mean, rtol=1e-6)


@pytest.mark.parametrize("loss", sorted(OPTIONS.keys() - {"poisson"}))  # A count has no unit.
def test_the_units_of_y_are_undone(loss):
    X, y = rows(loss, 200)
    one = fitted(loss, X, y, dtype="float64")
    other = fitted(loss, X, 1e-3 * y, dtype="float64")
    expected = 1e-3 * one.predict_quantiles(X, LEVELS)
    assert_allclose(other.predict_quantiles(X, LEVELS), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("loss", sorted(OPTIONS.keys() - {"quantile"}))
def test_several_outputs(loss):
    """The first of two outputs has the axis of outputs, and its own dispersion."""
    X, y = rows(loss, 200)
    Y = np.column_stack([y, 5 * y])
    network = fitted(loss, X, Y, early_stopping=True)
    quantiles = network.predict_quantiles(X, LEVELS)
    assert quantiles.shape == (200, 2, 3)
    assert network.predict_cdf(X, Y).shape == (200, 2)
    at = network.predict_cdf(X, np.tile([[1.0, 4.0]], (1, 2, 1)))
    assert_array_equal(at[:, 1, 0], network.predict_cdf(X, np.ones((200, 2)))[:, 1])
    assert network.sample(X, 7, random_state=0).shape == (200, 2, 7)
    assert quantiles[:, 1, 1].mean() > quantiles[:, 0, 1].mean()


@dispersed
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.filterwarnings("ignore:Training ended at:sklearn.exceptions.ConvergenceWarning")
def test_the_dispersion_is_that_of_pearson(loss, solver, early_stopping):
    """Of the held-out rows, or without these of the training rows; weighted."""
    X, y = rows(loss, 400)
    weight = np.random.default_rng(1).integers(1, 4, 400).astype(float)
    options = {"refit": False, "dtype": "float64"}
    brief = {**BRIEF, "learning_rate": "constant"} if solver == "lbfgs" else BRIEF
    network = NNRegressor((8,), loss=loss, solver=solver, **OPTIONS[loss], **brief, **options)
    held = {"X_val": X[:150], "y_val": y[:150], "sample_weight_val": weight[:150]}
    network.set_params(early_stopping=early_stopping)
    network.fit(X[150:], y[150:], weight[150:], **(held if early_stopping else {}))
    used = slice(150) if early_stopping else slice(150, 400)
    mean, power = network.predict(X[used]), OPTIONS[loss].get("power", 2)
    expected = np.average((y[used] - mean) ** 2 / mean**power, weights=weight[used])
    assert network._model.calibration.item() == pytest.approx(expected, rel=1e-5)


@every
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_weight_of_two_is_a_repeated_row(loss, early_stopping):
    X, y = rows(loss, 150)
    weight = np.random.default_rng(1).integers(1, 3, 150)
    options = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 500, "dtype": "float64"}
    networks = []
    for repeat in (False, True):
        network = NNRegressor((), loss=loss, random_state=0, **OPTIONS[loss], **options)
        network.set_params(early_stopping=early_stopping)
        held = {}
        if early_stopping:
            held = {"X_val": X[:50], "y_val": y[:50], "sample_weight_val": weight[:50]}
            if repeat:
                held = {k: np.repeat(v, weight[:50], axis=0) for k, v in held.items()}
                del held["sample_weight_val"]
        counts = weight[50:] if repeat else np.ones(100, int)
        repeated = [np.repeat(one[50:], counts, axis=0) for one in (X, y)]
        networks.append(network.fit(*repeated, None if repeat else weight[50:], **held))
    found, expected = (one.predict_quantiles(X, LEVELS) for one in networks)
    # The minimum of the pinball loss is flat.
    tolerance = 1e-2 if loss == "quantile" else 1e-4
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@every
def test_kinds_of_rows_and_copies(loss, tmp_path):
    X, y = rows(loss, 200)
    network = fitted(loss, X, y, early_stopping=True)
    expected = network.predict_quantiles(X, LEVELS)
    again = pickle.loads(pickle.dumps(network))
    assert_array_equal(again.predict_quantiles(X, LEVELS), expected)
    assert_array_equal(clone(network).fit(X, y).sample(X, 2, 3), network.sample(X, 2, 3))
    single = X.astype("f")
    for found in (network.predict_quantiles(single, LEVELS), network.predict_cdf(single, y)):
        assert found.dtype == np.float32
    assert network.sample(single, random_state=0).dtype == np.float32
    in_sparse = fitted(loss, sparse.csr_array(X), y)
    assert in_sparse.predict_quantiles(sparse.csr_array(X), LEVELS).shape == (200, 3)


@dispersed
def test_chunks_and_passes_have_a_dispersion(loss):
    X, y = rows(loss, 600)
    chunks = [(X[:300], y[:300]), (X[300:], y[300:])]
    for early_stopping in (False, True):
        network = NNRegressor((8,), loss=loss, early_stopping=early_stopping, **BRIEF)
        fit_chunks(network, chunks)
        assert 0.1 < network._model.calibration.item() < 3
    network = NNRegressor((8,), loss=loss, **BRIEF)
    found = [network.partial_fit(*chunk)._model.calibration.item() for chunk in chunks]
    alone = clone(network).partial_fit(*chunks[0])._model.calibration.item()
    assert found[0] == alone != found[1] and 0.1 < found[1] < 10
    # One more row among many changes it little.
    network.partial_fit(X[:1], y[:1])
    assert network._model.calibration.item() == pytest.approx(found[1], rel=0.2)


@every
def test_early_stopping_by_the_crps(loss):
    X, y = rows(loss, 300)
    network = fitted(loss, X, y, early_stopping=True, scoring="neg_crps")
    assert np.nanmax(network.validation_scores_) < 0


# What is refused.


@pytest.mark.parametrize("loss", ["squared_error", "quantile", "huber"])
def test_other_losses_have_no_distribution(loss):
    network = NNRegressor(loss=loss, **BRIEF)
    for name in ("predict_quantiles", "predict_cdf", "sample"):
        assert not hasattr(network, name)
    with pytest.raises(AttributeError) as caught:
        network.sample  # noqa: B018
    assert "'quantile' with at least two quantiles" in str(caught.value.__cause__)
    X, y = rows("normal", 40)
    with pytest.raises(ValueError, match=r"scoring='neg_crps' does not work .* 'tweedie'"):
        network.set_params(scoring="neg_crps", early_stopping=True).fit(X, y)


def test_tweedie_of_power_one_predicts_a_poisson_distribution():
    """It has no dispersion that a fit would have to estimate."""
    X, y = rows("poisson", 200)
    network = fitted("tweedie", X, y, power=1, scoring="neg_crps", early_stopping=True)
    assert_allclose(
        network.predict_quantiles(X, LEVELS),
        stats.poisson.ppf(LEVELS, network.predict(X)[:, np.newaxis]),
    )


def test_the_loss_of_the_fit_counts():
    X, y = rows("normal", 40)
    network = NNRegressor(loss=NormalLikelihood(), **BRIEF).fit(X, y)
    assert network.set_params(loss="huber").sample(X).shape == (40, 1)
    assert hasattr(NNRegressor(loss=HalfTweedie(1.2)), "sample")


def test_invalid_arguments():
    X, y = rows("normal", 40)
    network = NNRegressor(loss="normal", **BRIEF)
    for call in (network.sample, lambda X: network.predict_cdf(X, y)):
        with pytest.raises(NotFittedError):
            call(X)
    network.fit(X, y)
    for levels in (0.5, [0.0, 0.5], [1.0], [np.nan], [[0.1, 0.2]]):
        with pytest.raises(ValueError, match="levels must be a list of numbers in"):
            network.predict_quantiles(X, levels)
    for numbers in (
        1.0,
        [1.0, 2.0],
        np.ones((39, 2)),
        np.full(40, np.nan),
        np.ones((40, 1, 2)),
    ):
        with pytest.raises(ValueError, match=r"y must be an array of numbers of shape \(40,\)"):
            network.predict_cdf(X, numbers)
    for n_samples in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="n_samples must be an integer"):
            network.sample(X, n_samples)


def test_a_dispersion_has_the_units_of_its_loss():
    X, y = rows("gamma", 600)
    y = 1e4 * y
    network = NNRegressor((8,), loss="gamma", **BRIEF).fit(X, y)
    network.set_params(loss="tweedie", power=1.5).partial_fit(X, y)
    mean = network.predict(X)
    pearson = np.mean((y - mean) ** 2 / mean**1.5)
    assert network._model.calibration.item() == pytest.approx(pearson, rel=0.01)


@pytest.mark.parametrize("power", [1.05, 1.5, 1.8, 1.95])
def test_no_probability_of_tweedie_is_above_one(power):
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.1, 3, size=(200, 1, 1))
    found = Tweedie(mean, power, np.array([[1.3]])).cdf(np.array([5.0, 50, 1e3, 1e9]))
    assert found.max() == 1
