"""The loss and the link of several targets: sums and columns of those of each."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.joint import JointLink, JointLoss
from sknet.nn.links import Log, MeanAndStd, Softmax
from sknet.nn.losses import (
    BinaryLogLoss,
    HalfPoisson,
    Huber,
    MultinomialLogLoss,
    NormalLikelihood,
    Pinball,
    SquaredError,
)

#: Losses with their numbers of columns of y, and the sizes of their raw predictions.
LOSSES = ((SquaredError(), 1), (MultinomialLogLoss(), 3), (NormalLikelihood(), 2), (Huber(), 2))
POSITIVE = ((HalfPoisson(), 1), (BinaryLogLoss(), 2), (Pinball(0.3), 1))
WEIGHTS = (0.5, 2.0, 1.0, 4.0)
SMOOTH = ((SquaredError(), 1), (MultinomialLogLoss(), 3), (BinaryLogLoss(), 1))


def columns_for(losses, n_rows, rng):
    """Return encoded targets of which rows lack some, and rows of which all are there."""
    columns = []
    for loss, n in losses:
        if isinstance(loss, MultinomialLogLoss):
            own = np.eye(n)[rng.integers(n, size=n_rows)]
        elif isinstance(loss, BinaryLogLoss):
            own = rng.integers(2, size=(n_rows, n)).astype(float)
        else:
            own = rng.poisson(2, size=(n_rows, n)).astype(float)
        own[rng.random(n_rows) < 0.3] = np.nan
        columns.append(own)
    return np.hstack(columns)


@pytest.mark.parametrize(
    "losses", [LOSSES, POSITIVE, SMOOTH], ids=["four", "positive", "smooth"]
)
def test_the_loss_of_a_row_is_the_sum_over_the_targets_that_it_has(losses):
    rng = np.random.default_rng(0)
    y = columns_for(losses, 40, rng)
    loss = JointLoss(losses, WEIGHTS[: len(losses)])
    raw = rng.normal(size=(40, loss.link.n_raw(y.shape[1])))
    gradient = np.full_like(raw, np.nan)
    value = loss.pointwise(y, raw, gradient)
    expected, start, raw_start = np.zeros(40), 0, 0
    for (one, n), weight in zip(losses, loss.weights, strict=True):
        n_raw = one.link.n_raw(n)
        for i, row in enumerate(y[:, start : start + n]):
            own = np.empty((1, n_raw))
            there = raw[i : i + 1, raw_start : raw_start + n_raw].copy()
            own_value = 0.0
            own[...] = 0
            if not np.isnan(row).any():
                own_value = one.pointwise(row[np.newaxis], there, own)[0]
            expected[i] += weight * own_value
            assert_allclose(
                gradient[i, raw_start : raw_start + n_raw], weight * own[0], rtol=1e-12
            )
        start, raw_start = start + n, raw_start + n_raw
    assert_allclose(value, expected, rtol=1e-12)
    assert np.isfinite(loss.constant(y)).all()


@pytest.mark.parametrize("learned", [False, True])
def test_gradient(learned, numeric_gradient):
    rng = np.random.default_rng(0)
    y = columns_for(SMOOTH, 12, rng)
    loss = JointLoss(SMOOTH, (0.5, 2.0, 1.5), learned)
    raw = rng.normal(size=(12, loss.link.n_raw(5)))
    assert raw.shape[1] == (8 if learned else 5)
    gradient = np.empty_like(raw)
    loss.pointwise(y, raw, gradient)
    scratch = np.empty_like(raw)
    expected = numeric_gradient(lambda r: float(loss.pointwise(y, r, scratch).sum()), raw)
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


def test_the_best_learned_weight_is_the_formula_of_kendall_gal_and_cipolla():
    """The derivative by s_k is zero at s_k = log(2 L_k), with L_k the mean loss of a target."""
    rng = np.random.default_rng(0)
    y = columns_for(SMOOTH, 50, rng)
    raw = rng.normal(size=(50, 8))
    means = []
    for (one, n), start in zip(SMOOTH, (0, 1, 4), strict=True):
        known = ~np.isnan(y[:, start])
        own = raw[known, start : start + n].copy()
        means.append(one.pointwise(y[known, start : start + n], own, np.empty_like(own)).mean())
    raw[:, 5:] = np.log(2 * np.array(means))
    gradient = np.empty_like(raw)
    JointLoss(SMOOTH, (1.0, 1.0, 1.0), learned=True).pointwise(y, raw, gradient)
    assert_allclose(gradient[:, 5:].sum(axis=0), 0, atol=1e-12)


def test_links_stand_side_by_side(numeric_gradient):
    rng = np.random.default_rng(0)
    link = JointLink(((Log(), 1), (MeanAndStd(), 2), (Softmax(), 3)), n_logs=2)
    raw, delta = rng.normal(size=(5, 10)), rng.normal(size=(5, 6))
    parts = [Log().inverse(raw[:, :1]), raw[:, 1:5:2], Softmax().inverse(raw[:, 5:8])]
    assert_allclose(link.inverse(raw), np.hstack(parts))
    assert (link.n_raw(6), link.n_predicted(6)) == (10, 6)
    assert link.unpromised(10) == (2, 4)
    assert link.n_constant(10) == 2
    expected = numeric_gradient(lambda r: float((link.inverse(r) * delta).sum()), raw)
    assert_allclose(link.inverse_backward(raw, delta), expected, rtol=1e-6, atol=1e-8)
    members = rng.normal(size=(5, 3, 10))
    mean = link.mean_of_members(members)
    assert_allclose(mean[:, 5:8], Softmax().mean_of_members(members[:, :, 5:8]))
    factor, shift = link.with_certainty((1.0, 2.0, 0.5), 10)
    assert_array_equal(factor, [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 1, 1])
    assert_allclose(shift, [0, 0, -np.log(2), 0, -np.log(2), 0, 0, 0, 0, 0])
