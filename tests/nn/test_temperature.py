"""The factor of raw predictions that held-out rows suit best."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, softmax

from sknet.nn.losses import BinaryLogLoss, MultinomialLogLoss, NormalLikelihood
from sknet.nn.members import Members
from sknet.nn.temperature import fit_factor


def factor_of(loss, raw, y, sample_weight=None, n_members=1):
    members = Members(n_members, loss.link)
    return fit_factor(loss, members, raw, y, sample_weight)


def draw(n_rows, n_raw, seed=0):
    """Return logits, and one-hot or binary targets that are drawn by their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_rows, n_raw)) * 2
    if n_raw == 1:
        return logits, (rng.random((n_rows, 1)) < expit(logits)).astype(float)
    p = softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) < rng.random((n_rows, 1))).sum(axis=1)
    return logits, np.eye(n_raw)[labels]


@pytest.mark.parametrize("n_raw", [1, 4])
@pytest.mark.parametrize("factor", [0.2, 0.4, 0.9])
def test_the_scale_of_true_logits_is_found(n_raw, factor):
    loss = BinaryLogLoss() if n_raw == 1 else MultinomialLogLoss()
    logits, y = draw(20_000, n_raw)
    assert_allclose(factor_of(loss, logits / factor, y), factor, rtol=0.05)


def test_it_minimises_the_loss_of_the_rows_and_the_distance_from_one():
    logits, y = draw(60, 3)
    raw = (3 * logits).astype(np.float32)
    found = factor_of(MultinomialLogLoss(), raw, y)
    factors = np.exp(np.linspace(-2, 0, 3001))
    p = softmax(raw.astype(float) * factors[:, np.newaxis, np.newaxis], axis=2)
    totals = np.log(factors) ** 2 - np.log((p * y).sum(axis=2)).sum(axis=1)
    assert_allclose(found, factors[totals.argmin()], rtol=2e-3)


def test_few_rows_change_little():
    """One wrong row alone would ask for a factor of zero."""
    factor = factor_of(BinaryLogLoss(), np.array([[2.0]]), np.array([[0.0]]))
    assert 0.4 < factor < 0.9


def test_a_network_does_not_become_more_certain():
    logits, y = draw(5000, 1)
    assert factor_of(BinaryLogLoss(), logits / 3, y) == 1


def test_the_loss_of_an_ensemble_is_that_of_its_mean_probability():
    logits, y = draw(4000, 1)
    # Two members whose probabilities are far apart, but whose mean is the truth.
    p = expit(logits)
    apart = 0.9 * np.minimum(p, 1 - p)
    members = np.hstack([p - apart, p + apart])
    raw = np.log(members / (1 - members))
    assert_allclose(factor_of(BinaryLogLoss(), raw, y, n_members=2), 1, rtol=0.1)
    # Each for itself is much too certain.
    each = factor_of(BinaryLogLoss(), raw.reshape(-1, 1), np.repeat(y, 2, axis=0))
    assert each < 0.8


def test_weights_equal_repetitions():
    logits, y = draw(50, 3)
    weight = np.where(logits.argmax(axis=1) == y.argmax(axis=1), 1.0, 3.0)
    rows = np.repeat(np.arange(50), weight.astype(int))
    once = factor_of(MultinomialLogLoss(), logits * 3, y, weight / weight.mean())
    repeated = factor_of(MultinomialLogLoss(), logits[rows] * 3, y[rows])
    # The penalty of the factor counts less against more rows.
    assert_allclose(once, repeated, rtol=0.05)
    unweighted = factor_of(MultinomialLogLoss(), logits * 3, y)
    assert abs(once / unweighted - 1) > 0.05


def test_without_a_gain_the_factor_is_exactly_one():
    raw = np.zeros((10, 1))
    assert factor_of(BinaryLogLoss(), raw, np.ones((10, 1))) == 1


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_scale_of_true_standard_deviations_is_found(factor):
    """It may be smaller or larger, and that of an ensemble's members is found alike."""
    rng = np.random.default_rng(0)
    mean, log_std = rng.normal(size=(20_000, 2)), rng.normal(size=(20_000, 2)) / 2
    y = rng.normal(mean, np.exp(log_std))
    raw = np.stack([mean, log_std + np.log(factor)], axis=-1).reshape(len(y), -1)
    loss = NormalLikelihood()
    for n_members in (1, 2):
        found = factor_of(loss, np.tile(raw, n_members), y, n_members=n_members)
        assert_allclose(found, factor, rtol=0.02)
    changed = raw * (parts := loss.link.with_certainty(factor, 4))[0] + parts[1]
    assert_allclose(loss.link.std(changed), np.exp(log_std), rtol=1e-12)
    assert_allclose(loss.link.inverse(changed), mean, rtol=1e-12)
