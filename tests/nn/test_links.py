"""The links between predictions and raw predictions."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn import links
from sknet.nn.links import Identity, Increasing, Link, Log, Logit, MeanAndStd, Softmax

#: The inverse of each link, written another way.
FORMULAS = {
    Identity(): lambda raw: raw,
    Log(): np.exp,
    Logit(): lambda raw: 1 / (1 + np.exp(-raw)),
    Softmax(): lambda raw: np.exp(raw) / np.exp(raw).sum(axis=-1, keepdims=True),
    Increasing(3): lambda raw: np.cumsum(
        np.concatenate([raw[..., :1], np.log1p(np.exp(raw[..., 1:]))], axis=-1), axis=-1
    ),
    MeanAndStd(): lambda raw: raw[..., ::2],
}

every_link = pytest.mark.parametrize("link", FORMULAS, ids=repr)


def test_every_link_is_tested():
    defined = {cls for cls in vars(links).values() if isinstance(cls, type)}
    defined = {cls for cls in defined if issubclass(cls, Link) and cls is not Link}
    assert {type(link) for link in FORMULAS} == defined


@every_link
@pytest.mark.parametrize("shape", [(40,), (2, 20)])
def test_inverse_is_the_formula(link, shape):
    raw = np.random.default_rng(0).normal(size=(*shape, link.n_raw(3)))
    expected = FORMULAS[link](raw)
    assert expected.shape[-1] == link.n_predicted(3) == 3
    assert link.n_raw(3) == (6 if link.predicts_std else 3)
    assert_allclose(link.inverse(raw.copy()), expected, rtol=1e-13)


@every_link
def test_link_undoes_the_inverse(link):
    raw = np.random.default_rng(0).normal(size=(7, link.n_raw(3)))
    prediction = link.inverse(raw)
    if link.predicts_std:
        with pytest.raises(NotImplementedError, match="MeanAndStd has no link,"):
            link.link(prediction)
        with pytest.raises(NotImplementedError, match="has no link_backward,"):
            link.link_backward(prediction, prediction)
    else:
        assert_allclose(link.inverse(link.link(prediction)), prediction, rtol=1e-12)


@every_link
def test_derivatives(link, numeric_gradient):
    # Axes of rows, members and columns, as an ensemble has them.
    rng = np.random.default_rng(0)
    raw, delta = rng.normal(size=(4, 2, link.n_raw(3))), rng.normal(size=(4, 2, 3))
    prediction = link.inverse(raw)
    functions = [(link.inverse, link.inverse_backward, raw)]
    if not link.predicts_std:
        functions.append((link.link, link.link_backward, prediction))
    for function, backward, at in functions:
        given, kept = at.copy(), delta.copy()
        gradient = backward(given, kept)
        expected = numeric_gradient(lambda x, f=function: float((f(x) * delta).sum()), at)
        assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
        assert_array_equal(given, at)
        assert_array_equal(kept, delta)


def test_the_spread_of_a_log_link(numeric_gradient):
    """Raw predictions are in units of the spread, one for each output."""
    spread, rng = np.array([0.1, 2.0]), np.random.default_rng(0)
    link, raw, delta = Log(tuple(spread.tolist())), *rng.normal(size=(2, 4, 3, 2))
    prediction = link.inverse(raw)
    assert_allclose(prediction, np.exp(raw * spread), rtol=1e-15)
    assert_allclose(link.link(prediction), raw, rtol=1e-12)
    for function, backward, at in (
        (link.inverse, link.inverse_backward, raw),
        (link.link, link.link_backward, prediction),
    ):
        expected = numeric_gradient(lambda x, f=function: float((f(x) * delta).sum()), at)
        assert_allclose(backward(at, delta), expected, rtol=1e-6, atol=1e-8)
    old, new = np.array([2.0, 0.3]), np.array([0.5, 7.0])
    factor, shift = link.rescaling(old, new, np.zeros(2))
    assert_allclose(link.inverse(raw * factor + shift), prediction * old / new, rtol=1e-13)
    # The unit does not matter where links are compared.
    assert link == Log()


@every_link
def test_no_prediction_falls_where_a_link_says_so(link, numeric_gradient):
    """Each prediction against each raw prediction; those that are not read change nothing."""
    raw = np.random.default_rng(0).normal(size=(5, link.n_raw(2)))
    unread = list(link.unpromised(link.n_raw(2)))
    slopes = [
        numeric_gradient(lambda x, k=k: float(link.inverse(x)[:, k].sum()), raw)
        for k in range(link.n_predicted(2))
    ]
    assert_array_equal(np.array(slopes)[..., unread], 0)
    assert link.rising == (np.array(slopes) >= 0).all()
    assert unread == ([1, 3] if link.predicts_std else [])


@every_link
def test_rescaling_changes_predictions_as_it_says(link):
    """raw factor + shift predicts p old_scale / new_scale + shift, in the new units of y."""
    raw = np.random.default_rng(0).normal(size=(5, link.n_raw(2)))
    old, new = np.array([2.0, 0.3]), np.array([0.5, 7.0])
    shift = np.zeros(2) if link == Log() else np.array([1.0, -2.0])
    found = link.rescaling(old, new, shift)
    if isinstance(link, Increasing | Logit | Softmax):
        # A factor and a shift of the increments, or of logits, cannot do it.
        assert found is None
        return
    factor, offset = found
    changed = raw * factor + offset
    assert_allclose(link.inverse(changed), link.inverse(raw) * old / new + shift, rtol=1e-13)
    if link.predicts_std:
        assert_allclose(link.std(changed), link.std(raw) * old / new, rtol=1e-13)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_certainty(factor):
    """Logits are multiplied by the factor; a standard deviation is divided by it."""
    raw = np.random.default_rng(0).normal(size=(6, 4))
    for link in (Logit(), Softmax()):
        scale, shift = link.with_certainty(factor, 4)
        assert_array_equal(raw * scale + shift, raw * factor)
    link = MeanAndStd()
    scale, shift = link.with_certainty(factor, 4)
    assert_allclose(link.inverse(raw * scale + shift), link.inverse(raw))
    assert_allclose(link.std(raw * scale + shift) * factor, link.std(raw))


def test_only_one_link_tells_a_standard_deviation():
    assert [link for link in FORMULAS if link.predicts_std] == [MeanAndStd()]
    with pytest.raises(NotImplementedError, match="Log estimates no standard deviation"):
        Log().std(np.zeros((1, 1)))


def test_the_mean_of_normal_members_has_the_moments_of_their_mixture():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(3, 4, 2))
    link = MeanAndStd()
    mean = link.mean_of_members(raw)
    for row, (m, log_std) in zip(raw, mean, strict=True):
        drawn = rng.normal(row[:, 0], np.exp(row[:, 1]), size=(200_000, 4))
        assert_allclose([m, math.exp(log_std)], [drawn.mean(), drawn.std()], atol=0.02)
    same = np.repeat(raw[:, :1], 4, axis=1)
    assert_allclose(link.mean_of_members(same), raw[:, 0], rtol=1e-12)


@pytest.mark.parametrize("link", [Logit(), Softmax()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_at_huge_logits(link, dtype):
    raw = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    assert_array_equal(link.inverse(raw), [[1, 0], [0, 1]])


@pytest.mark.parametrize("link", [Logit(), Softmax()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_links_of_certain_predictions_are_finite(link, dtype):
    """Members that all are sure have a mean of 0 or 1, whose logit would be infinite."""
    sure = np.array([[0, 1], [1, 0]], dtype)
    assert np.isfinite(link.link(sure)).all()
    assert np.isfinite(link.link_backward(sure, np.ones_like(sure))).all()
    assert link.link(sure)[0, 0] < -80


def test_increasing_predictions_never_cross_at_extremes():
    raw = np.array([[0.0, -1e4, 1e4], [1e4, -1e4, -1e4]])
    predicted = Increasing(3).inverse(raw)
    assert np.isfinite(predicted).all()
    assert (np.diff(predicted, axis=1) >= 0).all()


def test_link_of_increasing_predictions():
    link = Increasing(3)
    raw = 3 * np.random.default_rng(0).normal(size=(7, 3))
    assert_allclose(link.link(link.inverse(raw)), raw, rtol=1e-9, atol=1e-12)
    # Equal predictions are the limit of raw predictions far below zero.
    assert (link.link(np.zeros((1, 3)))[:, 1:] < -500).all()


class Square(Link):
    """A user's own."""

    def inverse(self, raw):
        return raw**2


def test_a_link_needs_the_derivative_of_its_inverse():
    with pytest.raises(TypeError, match="inverse_backward"):
        Square()
