import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.sets import ElasticNet

RATIOS = [0, 0.3, 1]
#: A step for each coordinate.
EACH = np.linspace(0, 2, 30)
W = np.random.default_rng(0).normal(size=30)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_value(l1_ratio):
    penalty = ElasticNet(0.7, l1_ratio)
    expected = sum(0.7 * (l1_ratio * abs(w) + (1 - l1_ratio) / 2 * w**2) for w in W)
    assert_allclose(penalty.value(W), expected, rtol=1e-13)
    assert type(penalty.value(W.astype(np.float32))) is float
    assert_allclose(penalty.l1 * np.abs(W).sum() + penalty.l2 * W @ W / 2, expected, rtol=1e-13)


@pytest.mark.parametrize("l1_ratio", RATIOS)
def test_gradient_is_that_of_the_smooth_part(l1_ratio, numeric_gradient):
    penalty, start = ElasticNet(0.7, l1_ratio), np.cos(W)
    out = start.copy()
    penalty.add_gradient(W, out)
    # At fixed signs the L1 part is linear, with a slope that does not belong to the gradient.
    slope = 0.7 * l1_ratio * np.sign(W)
    expected = start + numeric_gradient(penalty.value, W) - slope
    assert_allclose(out, expected, rtol=1e-6, atol=1e-9)


def test_no_penalty_does_nothing():
    penalty, out, w = ElasticNet(), np.ones(30), W.copy()
    penalty.add_gradient(w, out)
    penalty.prox(w, 10.0)
    assert penalty.value(w) == 0
    assert_array_equal(out, 1)
    assert_array_equal(w, W)


@pytest.mark.parametrize("l1_ratio", RATIOS)
@pytest.mark.parametrize(
    "step", [0.01, 0.5, np.linspace(0, 2, 30)], ids=["low", "high", "each"]
)
def test_prox_is_soft_thresholding(l1_ratio, step):
    w = W.copy()
    ElasticNet(0.7, l1_ratio).prox(w, step)
    threshold = np.broadcast_to(step * 0.7 * l1_ratio, W.shape)
    expected = np.sign(W) * np.maximum(np.abs(W) - threshold, 0)
    assert_allclose(w, expected, rtol=1e-14, atol=1e-15)
    # Exactly zero, not nearly.
    assert_array_equal(w == 0, np.abs(W) <= threshold)


def test_prox_solves_its_minimization():
    penalty = ElasticNet(0.7, 0.6)
    w, step = W.copy(), np.linspace(0.05, 2, 30)
    penalty.prox(w, step)
    grid = np.linspace(-6, 6, 120_001)
    for before, after, s in zip(W, w, step, strict=True):
        cost = (grid - before) ** 2 / (2 * s) + penalty.l1 * np.abs(grid)
        assert abs(after - grid[cost.argmin()]) <= 1e-4


def test_float32_stays():
    w = W.astype(np.float32)
    out = np.zeros_like(w)
    penalty = ElasticNet(0.1, 0.5)
    penalty.add_gradient(w, out)
    penalty.prox(w, np.full(30, 0.1, dtype=np.float32))
    assert w.dtype == out.dtype == np.float32
    assert_allclose(out, 0.05 * W, rtol=1e-6)
