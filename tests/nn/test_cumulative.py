"""Cumulative links: probabilities of classes that have an order, and the loss of them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from sknet.nn.cumulative import CUMULATIVE_LINKS
from sknet.nn.losses import MultinomialLogLoss, Ordinal

#: The distribution of each link by SciPy.
DISTRIBUTIONS = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}
every_link = pytest.mark.parametrize("name", CUMULATIVE_LINKS)


def bound(name, order):
    return CUMULATIVE_LINKS[name](tuple(order))


@every_link
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 2, 3), (2, 0, 3, 1)])
@pytest.mark.parametrize("shape", [(9,), (3, 2)])
def test_probabilities(name, order, shape):
    """Differences of the distribution function at ordered thresholds, by sorted classes."""
    link, n = bound(name, order), len(order)
    raw = np.random.default_rng(0).normal(size=(*shape, n - 1))
    z = link.thresholds(raw)
    assert (np.diff(z, axis=-1) > 0).all()
    assert_allclose(np.diff(z[..., :1] + raw[..., :1], axis=0), 0, atol=1e-12)
    padded = np.pad(z, [(0, 0)] * len(shape) + [(1, 1)], constant_values=(-np.inf, np.inf))
    expected = np.diff(DISTRIBUTIONS[name].cdf(padded), axis=-1)[..., np.argsort(order)]
    assert_allclose(link.both(raw), expected, rtol=1e-9)
    assert_array_equal(link.inverse(raw), link.both(raw)[..., 1 if n == 2 else 0 :])
    assert_allclose(link.both(np.zeros_like(raw)), 1 / n)
    assert_allclose(link.link(link.inverse(raw)), raw, rtol=1e-7, atol=1e-9)
    more = link.exceeding(raw)
    assert_allclose(more, DISTRIBUTIONS[name].sf(z), rtol=1e-12)
    below = np.cumsum(expected[..., list(order)], axis=-1)
    assert_array_equal(link.median(more), np.array(order)[(below < 0.5).sum(axis=-1)])
    factor, shift = link.with_certainty(0.3, n - 1)
    assert_allclose(link.thresholds(raw * factor + shift), 0.3 * z, rtol=1e-12)


@every_link
@pytest.mark.parametrize("order", [(0, 1), (2, 0, 3, 1)])
def test_derivatives(name, order, numeric_gradient):
    """Of the loss, also for smoothed classes, and of the probabilities."""
    loss, n = Ordinal(bound(name, order)), len(order)
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=(7, n - 1)), rng.dirichlet(np.ones(n), size=7)
    y, gradient = y[:, 1 if n == 2 else 0 :], np.empty_like(raw)
    loss.pointwise(y, raw, gradient)
    for function, found in (
        (lambda at: loss.pointwise(y, at, np.empty_like(at)).sum(), gradient),
        (lambda at: (loss.link.inverse(at) * y).sum(), loss.link.inverse_backward(raw, y)),
    ):
        assert_allclose(found, numeric_gradient(function, raw.copy()), rtol=1e-6, atol=1e-9)


def log_integral(log_density, low, width):
    """Return the logarithm of an integral by Gauss's rule, in panels."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = width / 800
    middles = low + half * (2 * np.arange(400) + 1)
    logs = log_density(middles[:, np.newaxis] + half * nodes) + np.log(half * weights)
    return special.logsumexp(logs)


@every_link
def test_log_probabilities_far_from_the_thresholds(name):
    """Against integrals of the density: narrow classes, and probabilities that vanish."""
    link, log_density = bound(name, (0, 1, 2)), DISTRIBUTIONS[name].logpdf
    far = 6 if name == "cloglog" else 35
    raw = np.array([[f, g] for f in (-far, -3, 0, 0.5, 3, far) for g in (-25, -16, -11, 0, 3)])
    for row, found in zip(raw, link.log_probabilities(raw), strict=True):
        low, high = link.thresholds(row)
        gap = np.exp(row[1]) * np.diff(link.thresholds(np.zeros(2)))[0]
        # The upper tail of "cloglog" is as much narrower.
        tail = 60 * min(1, np.exp(-high)) if name == "cloglog" else 60
        limits = [(low - 60, 60), (low, gap), (high, tail)]
        expected = [log_integral(log_density, *pair) for pair in limits]
        assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@every_link
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_raw_predictions(name, dtype):
    far = np.array([-1e30, -1e4, -90, 0, 90, 1e4, 1e30], dtype)
    raw = np.stack(np.meshgrid(far, far, far[1:-1]), axis=-1).reshape(-1, 3)
    loss, gradient = Ordinal(name), np.empty_like(raw)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for y in np.eye(4, dtype=dtype):
            value = loss.pointwise(np.tile(y, (len(raw), 1)), raw, gradient)
            assert value.dtype == dtype and np.isfinite(value).all()
            assert np.isfinite(gradient).all()
        raw = loss.link.link(loss.link.inverse(raw))
    assert np.isfinite(raw).all()


@every_link
def test_training_starts_at_the_frequencies(name):
    """But for a hundredth, which a class that does not occur has a share of."""
    for shares in (np.array([0.5, 0.0, 0.3, 0.2]), np.array([0.9])):
        loss = Ordinal(name)
        factor, shift = loss.initial_outputs(shares, shares)
        assert_array_equal(factor, 1)
        expected = 0.99 * shares + 0.01 / max(2, shares.size)
        assert_allclose(loss.link.inverse(shift), expected, rtol=1e-12)


def test_the_order_of_the_classes():
    """Numbers by value; text by the dtype of y or by the field; a single class needs none."""
    numbers, text = np.array([-1, 3, 7]), np.array(["a", "b", "c"])
    assert Ordinal().of_classes(numbers, ()).link.order == (0, 1, 2)
    assert Ordinal().of_classes(numbers, (7, 3, 5, -1)).classes == (7, 3, -1)
    assert Ordinal("probit").of_classes(text, ("b", "x", "c", "a")).link.order == (1, 2, 0)
    named = Ordinal(classes=["c", "a", "b"])
    assert named.of_classes(text, ("a", "b", "c")).link.order == (2, 0, 1)
    assert repr(named) == "Ordinal(link='logit', classes=('c', 'a', 'b'))"
    assert Ordinal().of_classes(text[:1], ()) == MultinomialLogLoss()
    with pytest.raises(ValueError, match="needs the order of the classes, but .* are text"):
        Ordinal().of_classes(text, ())
    with pytest.raises(ValueError, match=r"classes \['b'\], which are not among the ordered"):
        Ordinal(classes=["c", "a"]).of_classes(text, ())
