"""The distributions of y, against SciPy, numerical integrals and figures of other packages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sknet.nn.distributions import CALIBRATED, Gamma, PiecewiseNormal, Poisson, Tweedie
from sknet.nn.losses import LOSSES, HalfTweedie, Pinball

LEVELS = np.array([0.001, 0.025, 0.3, 0.5, 0.9, 0.999])
MEANS = np.array([0.02, 0.7, 3.0, 40.0, 600.0]).reshape(-1, 1, 1)


def pieces(mean):
    levels = np.array([0.1, 0.4, 0.5, 0.95])
    return PiecewiseNormal.through(levels, mean * [-1, 0.2, 1, 1.2])


#: A distribution of each kind, of given means.
MAKE = {
    "normal": lambda mean: PiecewiseNormal(np.zeros(1), mean - 1, np.sqrt(mean)),
    "pieces": pieces,
    "poisson": Poisson,
    "gamma": lambda mean: Gamma(mean, dispersion=np.array([[0.6]])),
    "tweedie": lambda mean: Tweedie(mean, 1.5, np.array([[0.6]])),
    "tweedie near poisson": lambda mean: Tweedie(mean, 1.1, np.array([[0.6]])),
    "tweedie near gamma": lambda mean: Tweedie(mean, 1.9, np.array([[0.01]])),
}
every = pytest.mark.parametrize("name", MAKE)
#: The same distributions in SciPy.
SCIPY = {
    "normal": stats.norm(MEANS - 1, np.sqrt(MEANS)),
    "poisson": stats.poisson(MEANS),
    "gamma": stats.gamma(1 / 0.6, scale=0.6 * MEANS),
}


@pytest.mark.parametrize("name", SCIPY)
def test_they_are_those_of_scipy(name):
    distribution, expected = MAKE[name](MEANS), SCIPY[name]
    y = np.array([-1.0, 0.0, 0.5, 2.0, 39.0, 700.0])
    assert_allclose(distribution.cdf(y), expected.cdf(y), rtol=1e-12)
    assert_allclose(distribution.quantiles(LEVELS), expected.ppf(LEVELS), rtol=1e-12)


@every
def test_quantiles_are_the_least_numbers_that_reach_the_levels(name):
    distribution = MAKE[name](MEANS)
    found = distribution.quantiles(LEVELS)
    assert (np.diff(found) >= 0).all()
    assert (distribution.cdf(found) >= LEVELS - 1e-9).all()
    below = found - 1e-6 * np.abs(found) - 1e-300
    assert (distribution.cdf(below) < LEVELS + 1e-9).all()


def test_quantiles_of_many_rows_are_interpolated():
    """They are those of the rows alone."""
    means = np.exp(np.random.default_rng(0).normal(0, 2, (400, 1, 1)))
    found = MAKE["tweedie"](means).quantiles(LEVELS)
    assert_allclose(found[:100], MAKE["tweedie"](means[:100]).quantiles(LEVELS), rtol=1e-6)
    scores = MAKE["tweedie"](means).crps(means)
    assert_allclose(scores[:100], MAKE["tweedie"](means[:100]).crps(means[:100]), rtol=1e-6)
    # Near power 1, quantiles are no smooth functions of the mean.
    steep = Tweedie(means[:200], 1.01, np.array([[0.6]]))
    found = steep.quantiles(np.array([0.9]))
    assert_allclose(steep.cdf(found)[found > 0], 0.9, rtol=1e-9)


@pytest.mark.parametrize("power", [1.1, 1.5, 1.9])
def test_a_tweedie_distribution_of_many_jumps(power):
    """It is close to the sum at the number of jumps from which it replaces the sum."""
    mean, apart = np.ones((1, 1, 1)), 1e-6
    few, many = (
        Tweedie(mean, power, np.array([[1 / (300 * factor * (2 - power))]]))
        for factor in (1 - apart, 1 + apart)
    )
    y = few.quantiles(np.linspace(0.001, 0.999, 9))
    assert_allclose(few.cdf(y), many.cdf(y), atol=2e-4)
    assert_allclose(few.crps(mean), many.crps(mean), rtol=1e-3)


@every
@pytest.mark.parametrize("make_rng", [np.random.default_rng, np.random.RandomState])
def test_samples_have_the_distribution(name, make_rng):
    """By a test of Kolmogorov and Smirnov, which is conservative where y has atoms."""
    for mean in MEANS[1:4, np.newaxis]:
        distribution = MAKE[name](mean)
        samples = distribution.sample(500, make_rng(0))
        assert samples.shape == (1, 1, 500)
        values = np.unique(samples)
        shares = np.searchsorted(np.sort(samples[0, 0]), values, side="right") / 500
        difference = np.abs(shares - distribution.cdf(values[np.newaxis, np.newaxis])[0, 0])
        assert difference.max() * np.sqrt(500) < stats.kstwobign.isf(1e-4)


@every
@pytest.mark.parametrize("level", [0.01, 0.5, 0.97])
def test_crps_is_the_integral_of_squared_differences(name, level):
    """By Gauss's formula between the quantiles, the kinks and y; exactly for counts."""
    for mean in MEANS[1:4, np.newaxis]:
        distribution = MAKE[name](mean)
        y = distribution.quantiles(np.array([level])) + (0.0 if name == "poisson" else 0.3)
        ends = distribution.quantiles(np.array([1e-10, 1 - 1e-10])).ravel()
        low, high = min(ends[0], y.item(), 0) - 1, max(ends[1], y.item()) + 1
        if name == "poisson":
            edges, n_nodes = np.arange(low, high + 1), 1
        else:
            kinks = distribution.quantiles(np.append(np.linspace(0.01, 0.99, 40), 0.4)).ravel()
            values = np.ravel(getattr(distribution, "values", 0.0))
            edges = np.unique(np.concatenate([[low, high, 0, y.item()], values, kinks]))
            n_nodes = 20
        nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
        half = np.diff(edges)[:, np.newaxis] / 2
        x = edges[:-1, np.newaxis] + half * (nodes + 1)
        cdf = distribution.cdf(x.reshape(1, 1, -1)).reshape(x.shape)
        expected = (half * weights * (cdf - (y.item() <= x)) ** 2).sum()
        assert distribution.crps(y).item() == pytest.approx(expected, rel=1e-6)


def test_amounts_are_no_counts():
    with pytest.raises(ValueError, match=r"at most 5e\+08, got 1e\+09"):
        Poisson(np.full((1, 1, 1), 1e9)).quantiles(LEVELS)
    largest = Poisson(np.full((1, 1, 1), 5e8))
    assert_allclose(largest.cdf(largest.quantiles(LEVELS)), [[LEVELS]], atol=1e-4)
    # As of a normal distribution.
    assert_allclose(
        largest.crps(largest.mean) / 5e8**0.5, 2 * stats.norm.pdf(0) - np.pi**-0.5, rtol=1e-6
    )


def one(*numbers):
    return [np.reshape(number, (1, 1, 1)) for number in numbers]


#: Scores by scoringrules 0.10.0, and of the normal one by properscoring 0.1 as well.
FIGURES = [
    (PiecewiseNormal(np.zeros(1), *one(1.0, 2.0)), 0.3, 0.564145132218),
    (Poisson(*one(2.5)), 3.0, 0.457608520497),
    (Poisson(*one(0.4)), 0.0, 0.112540945886),
    (Gamma(*one(1.4), dispersion=0.5), 1.2, 0.211480023169),
    (Gamma(*one(1.5), dispersion=2.0), 0.1, 0.472356906550),
]


@pytest.mark.parametrize(("distribution", "y", "expected"), FIGURES)
def test_crps_of_other_packages(distribution, y, expected):
    assert distribution.crps(*one(y)).item() == pytest.approx(expected, abs=1e-11)


def test_calibration_makes_shares_equal_to_levels():
    """A distribution that is far too narrow, and to the left, becomes that of its rows."""
    y = np.random.default_rng(0).gamma(2, size=(100_000, 1, 1))
    plain = PiecewiseNormal(np.zeros(1), np.zeros_like(y), np.full_like(y, 0.2))
    weight = np.where(y[:, 0, 0] < 1, 2.0, 1.0)
    repeated = np.repeat(y, weight.astype(int), axis=0)
    many = PiecewiseNormal(np.zeros(1), np.zeros_like(repeated), np.full_like(repeated, 0.2))
    for found in (plain.calibration(y, weight), many.calibration(repeated, None)):
        quantiles = plain.calibrated(found).quantiles(CALIBRATED)[0, 0]
        shares = [(repeated <= one).mean() for one in quantiles]
        assert_allclose(shares, CALIBRATED, atol=2e-3)
    assert_allclose(plain.calibration(y, weight), many.calibration(repeated, None), rtol=1e-12)
    # A handful of rows changes little.
    few = PiecewiseNormal(np.zeros(1), np.zeros((2, 1, 1)), np.ones((2, 1, 1)))
    assert_allclose(few.calibration(y[:2], None)[0], stats.norm.ppf(CALIBRATED), atol=0.3)


@pytest.mark.parametrize("power", [1.2, 1.5, 2.0])
def test_the_dispersion_is_estimated(power):
    rng, mean = np.random.default_rng(0), np.exp(np.linspace(0, 2, 40_000)).reshape(-1, 1, 1)
    plain = HalfTweedie(power).distribution(mean[..., 0])
    y = plain.calibrated(np.array([[0.7]])).sample(1, rng)
    assert plain.calibration(y, None).item() == pytest.approx(0.7, rel=0.05)


@pytest.mark.parametrize("unit", [1e-30, 1e30])
@pytest.mark.parametrize("power", [1.2, 1.5, 2.0])
def test_the_units_of_a_dispersion(power, unit):
    """Its least value is in the units of y, too, so that no unit hides a dispersion."""
    mean, y = np.ones((4, 1, 1)), np.array([0.5, 1.5, 0.9, 1.1]).reshape(-1, 1, 1)
    of_unit = HalfTweedie(power).distribution(unit * mean[..., 0])
    for amounts in (y, mean):
        expected = HalfTweedie(power).distribution(mean[..., 0]).calibration(amounts, None)
        found = of_unit.calibration(unit * amounts, None)
        assert_allclose(found, expected * unit ** (2 - power), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"quantile"}))
def test_the_distribution_of_a_loss(name):
    """A loss that says that it predicts one does, and the others refuse."""
    loss, prediction = LOSSES[name](), np.ones((3, 2))
    std = [prediction] if loss.link.predicts_std else []
    if loss.predicts_distribution:
        assert loss.distribution(prediction, *std).cdf(np.ones((3, 2, 1))).shape == (3, 2, 1)
    else:
        with pytest.raises(NotImplementedError, match="estimates no distribution"):
            loss.distribution(prediction, *std)


def test_which_losses_predict_distributions():
    named = {name for name, loss in LOSSES.items() if loss().predicts_distribution}
    assert named == {"normal", "poisson", "gamma", "tweedie"}
    assert Pinball((0.1, 0.9)).predicts_distribution
    assert not Pinball((0.1,)).predicts_distribution
    kinds = [type(HalfTweedie(power).distribution(np.ones((1, 1)))) for power in (1, 1.5, 2)]
    assert kinds == [Poisson, Tweedie, Gamma]
