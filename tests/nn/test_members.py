"""The prediction of all members of an ensemble, its gradient and its standard deviation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax

from sknet.nn.links import Identity, Increasing, Log, Logit, MeanAndStd, Softmax
from sknet.nn.losses import BinaryLogLoss, MultinomialLogLoss, NormalLikelihood
from sknet.nn.objective import Members, fit_factor

LINKS = [Identity(), Log(), Logit(), Softmax(), Increasing(2), MeanAndStd()]

every_link = pytest.mark.parametrize("link", LINKS, ids=repr)
before_link = pytest.mark.parametrize("before_link", [False, True], ids=["after", "before"])
n_members = pytest.mark.parametrize("n", [1, 2, 3])


def draw(n, link, n_rows=5):
    return np.random.default_rng(0).normal(size=(n_rows, n * link.n_raw(2)))


def each(members, raw):
    """Return the raw predictions of each member."""
    width = raw.shape[1] // members.n
    return [raw[:, m * width : (m + 1) * width] for m in range(members.n)]


def test_a_row_holds_the_members_one_after_another():
    members, raw = Members(3, Log()), draw(3, Log())
    split = members.split(raw)
    assert split.shape == (5, 3, 2)
    for m, one in enumerate(each(members, raw)):
        assert_array_equal(split[:, m], one)


@every_link
@before_link
@n_members
def test_predictions_are_the_mean_after_or_before_the_link(link, before_link, n):
    members, raw = Members(n, link, before_link), draw(n, link)
    (found,) = members.predictions(raw, link.inverse)
    if before_link:
        expected = link.inverse(sum(each(members, raw)) / n)
    else:
        expected = sum(link.inverse(one) for one in each(members, raw)) / n
    assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    again, deviation = members.predictions(raw, link.inverse, with_std=True)
    assert_array_equal(again, found)
    values = np.array([link.inverse(one) for one in each(members, raw)])
    assert_allclose(deviation, values.std(axis=0), rtol=1e-12, atol=1e-15)


@before_link
@n_members
def test_the_standard_deviation_of_y_is_that_of_the_members_mixture(before_link, n):
    members, raw = Members(n, MeanAndStd(), before_link), draw(n, MeanAndStd())
    _, found = members.predictions(raw, lambda raw: raw[..., ::2], True, MeanAndStd().std)
    means = np.array([one[:, ::2] for one in each(members, raw)])
    variances = np.array([np.exp(2 * one[:, 1::2]) for one in each(members, raw)])
    assert_allclose(found**2, variances.mean(axis=0) + means.var(axis=0), rtol=1e-12)


@every_link
@before_link
@n_members
def test_raw_predictions_of_all_members_predict_the_same(link, before_link, n):
    members, raw = Members(n, link, before_link), draw(n, link)
    found = members.raw(raw)
    assert found.shape == (5, link.n_raw(2))
    (expected,) = members.predictions(raw, link.inverse)
    assert_allclose(link.inverse(found), expected, rtol=1e-12)
    if n == 1:
        assert_array_equal(found, raw)


def test_a_mean_before_the_link_is_a_mean_of_logits():
    raw = np.array([[-1.0, 5.0], [0.0, 2.0]])
    assert_array_equal(Members(2, Logit(), before_link=True).raw(raw), [[2.0], [1.0]])
    assert (Members(2, Logit()).raw(raw) < [[2.0], [1.0]]).all()


@every_link
@before_link
@n_members
def test_gradients(link, before_link, n, numeric_gradient):
    members, raw = Members(n, link, before_link), draw(n, link)
    delta = np.random.default_rng(1).normal(size=(5, 2))

    def predicted(at):
        (prediction,) = members.predictions(at, link.inverse)
        return float((prediction * delta).sum())

    expected = numeric_gradient(predicted, raw.copy())
    assert_allclose(members.backward(raw, delta), expected, rtol=1e-6, atol=1e-8)
    if link.predicts_std:
        return  # Only decision functions need the other one.
    decided = numeric_gradient(
        lambda at: float((members.decision(at) * delta).sum()), raw.copy()
    )
    assert_allclose(members.decision_backward(raw, delta), decided, rtol=1e-6, atol=1e-8)


def factor_of(loss, raw, y, sample_weight=None, n_members=1):
    members = Members(n_members, loss.link)
    return fit_factor(loss, members, raw, y, sample_weight)


def draw_targets(n_rows, n_raw, seed=0):
    """Return logits, and one-hot or binary targets that are drawn by their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_rows, n_raw)) * 2
    if n_raw == 1:
        return logits, (rng.random((n_rows, 1)) < expit(logits)).astype(float)
    p = softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) < rng.random((n_rows, 1))).sum(axis=1)
    return logits, np.eye(n_raw)[labels]


@pytest.mark.parametrize("n_raw", [1, 4])
@pytest.mark.parametrize("factor", [0.2, 0.4, 0.9, 1.1, 3.0])
def test_the_scale_of_true_logits_is_found(n_raw, factor):
    loss = BinaryLogLoss() if n_raw == 1 else MultinomialLogLoss()
    logits, y = draw_targets(20_000, n_raw)
    assert_allclose(factor_of(loss, logits / factor, y), factor, rtol=0.05)


def test_it_minimizes_the_loss_of_the_rows_and_the_distance_from_one():
    logits, y = draw_targets(60, 3)
    raw = (3 * logits).astype(np.float32)
    found = factor_of(MultinomialLogLoss(), raw, y)
    factors = np.exp(np.linspace(-2, 2, 3001))
    p = softmax(raw.astype(float) * factors[:, np.newaxis, np.newaxis], axis=2)
    totals = np.log(factors) ** 2 - np.log((p * y).sum(axis=2)).sum(axis=1)
    assert_allclose(found, factors[totals.argmin()], rtol=2e-3)


def test_few_rows_change_little():
    """One wrong row alone would ask for a factor of zero."""
    factor = factor_of(BinaryLogLoss(), np.array([[2.0]]), np.array([[0.0]]))
    assert 0.4 < factor < 0.9


def correct_rows(n_rows):
    """Return the raw predictions of rows of two classes, all predicted correctly, and y."""
    y = np.arange(n_rows)[:, np.newaxis] % 2.0
    return 3 * y - 1.5, y


@pytest.mark.parametrize(("n_rows", "raises"), [(6, False), (60, True)])
def test_a_network_becomes_more_certain_only_with_evidence(n_rows, raises):
    """Rows predicted correctly: a few of them may be due to chance."""
    raw, y = correct_rows(n_rows)
    factor = factor_of(BinaryLogLoss(), raw, y)
    assert factor > 1.5 if raises else factor == 1


def test_rows_that_are_not_like_those_of_training_make_nothing_more_certain():
    logits, y = draw_targets(2000, 1)
    raw = logits / 2
    assert factor_of(BinaryLogLoss(), raw, y) > 1.5
    one_class = y[:, 0] == 0
    assert factor_of(BinaryLogLoss(), raw[one_class], y[one_class]) == 1


def test_a_rare_class_that_no_held_out_row_has_is_no_reason_to_stay_uncertain():
    logits, y = draw_targets(2000, 2)
    raw = np.hstack([logits / 2, np.full((2000, 1), -8.0)])
    assert factor_of(MultinomialLogLoss(), raw, np.hstack([y, np.zeros((2000, 1))])) > 1.5


def test_rows_of_groups_make_nothing_more_certain():
    logits, y = draw_targets(2000, 1)
    members = Members(1, BinaryLogLoss().link)
    for independent in (True, False):
        factor = fit_factor(BinaryLogLoss(), members, logits / 2, y, None, independent)
        assert (factor > 1.5) == independent
    assert fit_factor(BinaryLogLoss(), members, logits * 2, y, None, independent) < 0.7


def test_weights_and_labels_are_not_taken_for_independent_rows():
    raw, y = correct_rows(40)
    assert factor_of(BinaryLogLoss(), raw, y) > 1.5
    # A few rows have nearly all of the weight.
    weight = np.where(np.arange(40) < 4, 9.0, 0.1)
    assert factor_of(BinaryLogLoss(), raw, y, weight / weight.mean()) == 1
    # Ten copies of a label are no more evidence than one.
    raw, y = raw[:6], y[:6]
    assert factor_of(BinaryLogLoss(), np.tile(raw, 10), np.tile(y, 10)) == 1


def test_the_loss_of_an_ensemble_is_that_of_its_mean_probability():
    logits, y = draw_targets(4000, 1)
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
    logits, y = draw_targets(50, 3)
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
