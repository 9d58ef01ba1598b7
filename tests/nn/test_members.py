"""The prediction of all members of an ensemble, its gradient and its standard deviation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.links import Identity, Increasing, Log, Logit, MeanAndStd, Softmax
from sknet.nn.members import Members

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
    expected = numeric_gradient(lambda at: float((members.raw(at) * delta).sum()), raw.copy())
    assert_allclose(members.raw_backward(raw, delta), expected, rtol=1e-6, atol=1e-8)
