import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn import kernels
from sknet.nn.kernels import BLOCK_SIZE
from sknet.nn.optimizers import (
    FLUSH_EVERY,
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    RMSprop,
    flush_tiny,
)
from sknet.nn.sets import ElasticNet

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


# The published formulas, one number at a time or one vector; each step is (gradient, rate).


def plain_sgd(x, steps, momentum, nesterov):
    """Sutskever et al. (2013), with the look-ahead folded into the step, v without the rate."""
    v = 0
    for g, lr in steps:
        v = momentum * v + g
        x = x - lr * (g + momentum * v) if nesterov else x - lr * v
    return x


def plain_adam(x, steps, beta_1, beta_2, epsilon_hat, weight_decay=0.0):
    """Kingma and Ba (2015), the text after algorithm 1; AdamW as in Loshchilov and Hutter."""
    m = v = 0
    for t, (g, lr) in enumerate(steps, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        alpha_t = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        x = x - lr * weight_decay * x - alpha_t * m / (np.sqrt(v) + epsilon_hat)
    return x


def plain_rmsprop(x, steps, rho, epsilon):
    """Tieleman and Hinton (2012)."""
    v = 0
    for g, lr in steps:
        v = rho * v + (1 - rho) * g**2
        x = x - lr * g / (np.sqrt(v) + epsilon)
    return x


CASES = [
    (SGD(), plain_sgd, (0.9, True)),
    (SGD(nesterovs_momentum=False), plain_sgd, (0.9, False)),
    (SGD(0.5, True), plain_sgd, (0.5, True)),
    (SGD(0.0, False), plain_sgd, (0.0, False)),
    (SGD(0.0, True), plain_sgd, (0.0, True)),
    (Adam(), plain_adam, (0.9, 0.999, 1e-8)),
    (Adam(0.8, 0.95, 1e-3), plain_adam, (0.8, 0.95, 1e-3)),
    (Adam(0.0, 0.9), plain_adam, (0.0, 0.9, 1e-8)),
    (AdamW(weight_decay=0.1), plain_adam, (0.9, 0.999, 1e-8, 0.1)),
    (AdamW(0.8, 0.95, 1e-3, weight_decay=2.0), plain_adam, (0.8, 0.95, 1e-3, 2.0)),
    (AdamW(weight_decay=0.0), plain_adam, (0.9, 0.999, 1e-8)),
    (RMSprop(), plain_rmsprop, (0.9, 1e-8)),
    (RMSprop(0.5, 1e-3), plain_rmsprop, (0.5, 1e-3)),
]


def make_steps(size, n_steps=50):
    """Return gradients of very different magnitudes, and falling learning rates."""
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-4, 2, size)
    return [(rng.normal(size=size) * scale, 0.02 * 0.97**t) for t in range(n_steps)]


def run(optimizer, x, steps):
    """Return the parameters after the steps, and the state."""
    x, state = x.copy(), optimizer.init(x.size, x.dtype)
    for t, (g, lr) in enumerate(steps, start=1):
        optimizer.step(x, g.astype(x.dtype), state, t, lr)
    return x, state


@pytest.mark.parametrize("size", [7, BLOCK_SIZE + 100], ids=["small", "two-blocks"])
@pytest.mark.parametrize(
    "optimizer, plain, options", CASES, ids=[repr(case[0]) for case in CASES]
)
def test_agrees_with_the_published_formula(optimizer, plain, options, size):
    start, steps = np.random.default_rng(1).normal(size=size), make_steps(size)
    actual, _ = run(optimizer, start, steps)
    assert_allclose(actual, plain(start, steps, *options), rtol=1e-12, atol=1e-12)
    assert np.abs(actual - start).min() > 0


def test_every_optimizer_has_a_plain_formula():
    assert {type(optimizer) for optimizer, _, _ in CASES} == set(OPTIMIZERS.values())


@every_optimizer
def test_blocks_equal_the_whole(name, monkeypatch):
    start, steps = np.random.default_rng(1).normal(size=50), make_steps(50, 5)
    whole, whole_state = run(OPTIMIZERS[name](), start, steps)
    for block_size in (1, 7, 50):
        monkeypatch.setattr(kernels, "BLOCK_SIZE", block_size)
        blocks, state = run(OPTIMIZERS[name](), start, steps)
        assert_allclose(blocks, whole, rtol=1e-14)
        assert_allclose(state, whole_state, rtol=1e-14)


@every_optimizer
@pytest.mark.parametrize("l1_ratio", [0, 0.3, 1])
@pytest.mark.parametrize("n_penalized", [0, 5, 20, 30])
@pytest.mark.parametrize("block_size", [7, 100])
def test_a_step_with_a_penalty_is_a_proximal_step(
    name, l1_ratio, n_penalized, block_size, monkeypatch
):
    monkeypatch.setattr(kernels, "BLOCK_SIZE", block_size)
    optimizer, penalty = OPTIMIZERS[name](), ElasticNet(0.5, l1_ratio)
    x, penalized = np.random.default_rng(1).normal(size=30), np.arange(30) < n_penalized
    state = optimizer.init(30, x.dtype)
    expected, expected_state = x.copy(), state.copy()
    for t, (g, lr) in enumerate(make_steps(30, 5), start=1):
        optimizer.step(x, g.copy(), state, t, lr, penalty, n_penalized)
        smooth = g + penalty.l2 * np.where(penalized, expected, 0)
        optimizer.step(expected, smooth, expected_state, t, lr)
        threshold = penalty.l1 * optimizer.effective_step(expected_state, t, lr)
        shrunk = np.sign(expected) * np.maximum(np.abs(expected) - threshold, 0)
        expected = np.where(penalized, shrunk, expected)
    assert_allclose(x, expected, rtol=1e-12, atol=1e-15)
    assert_array_equal(x == 0, expected == 0)


@every_optimizer
def test_float32_stays_and_agrees(name):
    optimizer, steps = OPTIMIZERS[name](), make_steps(20)
    start = np.random.default_rng(1).normal(size=20)
    expected, _ = run(optimizer, start, steps)
    actual, state = run(optimizer, start.astype(np.float32), steps)
    assert actual.dtype == state.dtype == np.float32
    assert np.asarray(optimizer.effective_step(state, 50, 0.01)).dtype == (
        np.float64 if name == "sgd" else np.float32  # of SGD it is a Python float
    )
    assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@every_optimizer
def test_state_starts_at_zero_and_gradient_is_left_alone(name):
    optimizer = OPTIMIZERS[name]()
    state = optimizer.init(6, np.float64)
    assert state.shape == (optimizer.n_slots, 6)
    assert_array_equal(state, 0)
    gradient, params = np.arange(6.0), np.ones(6)
    optimizer.step(params, gradient, state, 1, 0.1)
    assert_array_equal(gradient, np.arange(6.0))
    assert np.isfinite(params).all() and params[0] == 1


@every_optimizer
def test_effective_step_is_the_step_per_unit_of_a_steady_gradient(name):
    optimizer, g = OPTIMIZERS[name](), np.array([1e-3, -0.5, 2.0, -300.0])
    x, state = run(optimizer, np.zeros(4), [(g, 0.01)] * 2000)
    before = x.copy()
    optimizer.step(x, g, state, 2001, 0.01)
    step = optimizer.effective_step(state, 2001, 0.01)
    # To what the subtraction leaves of x.
    assert_allclose(before - x, step * g, rtol=1e-8, atol=1e-13 * np.abs(x).max())


def test_effective_step_values():
    state = np.array([[1.0, 1.0], [4.0, 0.25]])
    lr_t = 0.1 * math.sqrt(1 - 0.999**3) / (1 - 0.9**3)
    expected = [lr_t / (2 + 1e-8), lr_t / (0.5 + 1e-8)]
    # Adam keeps m / (1 - beta_1) and v / (1 - beta_2).
    moments = state / [[1 - 0.9], [1 - 0.999]]
    assert_allclose(Adam().effective_step(moments, 3, 0.1), expected, rtol=1e-14)
    assert_allclose(AdamW().effective_step(moments, 3, 0.1), expected, rtol=1e-14)
    assert_allclose(
        RMSprop().effective_step(state[1:], 3, 0.1), [0.1 / (2 + 1e-8), 0.1 / (0.5 + 1e-8)]
    )
    assert_allclose(SGD(0.9).effective_step(state[:1], 3, 0.1), 1.0, rtol=1e-14)
    assert SGD(1.0).effective_step(state[:1], 3, 0.1) == 0.1  # has no sum


@every_optimizer
@pytest.mark.parametrize("l1_ratio", [0, 0.4, 1])
def test_decouple_takes_the_quadratic_part_once(name, l1_ratio):
    penalty = ElasticNet(0.5, l1_ratio)
    optimizer, rest = OPTIMIZERS[name]().decouple(penalty)
    assert_allclose(rest.l1, penalty.l1, rtol=1e-14)
    assert_allclose(rest.l2 + getattr(optimizer, "weight_decay", 0), penalty.l2, rtol=1e-14)
    if name == "adamw":
        assert rest.l2 == 0
    else:
        assert (optimizer, rest) == (OPTIMIZERS[name](), penalty)


def test_decouple_with_a_decay_of_its_own():
    optimizer, rest = AdamW(weight_decay=0.3).decouple(ElasticNet(0.5, 0.4))
    assert optimizer == AdamW(weight_decay=0.3)
    assert rest == ElasticNet(0.2, 1.0)
    optimizer, rest = AdamW(weight_decay=0.0).decouple(ElasticNet(0.5))
    assert optimizer == AdamW(weight_decay=0.0)
    assert rest.value(np.ones(3)) == 0


@every_optimizer
def test_without_decay(name):
    rule = OPTIMIZERS[name]()
    if name == "adamw":
        rule = replace(rule, weight_decay=0.5)
        assert rule.without_decay() == replace(rule, weight_decay=0.0)
    else:
        assert rule.without_decay() == rule
    zero, params = np.zeros(3), np.ones(3)
    rule.without_decay().step(params, zero, rule.init(3, np.float64), 1, 0.1)
    assert_array_equal(params, 1)


@every_optimizer
def test_minimizes_a_badly_scaled_bowl(name):
    scale = np.array([0.5, 2.0, 8.0])
    x, state = np.ones(3), OPTIMIZERS[name]().init(3, np.float64)
    for t in range(1, 2001):
        OPTIMIZERS[name]().step(x, scale * x, state, t, 0.02 * 0.997**t)
    assert np.abs(x).max() < 1e-3


# Numbers so small that they only cost time.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_numbers_near_the_smallest_one_are_flushed(dtype):
    tiny = float(np.finfo(dtype).tiny)
    state = np.array([[0, 1e14 * tiny, 1e12 * tiny], [-1, -1e14 * tiny, -tiny]], dtype)
    expected = state.copy()
    expected[:, 2] = 0
    flush_tiny(state)
    assert_array_equal(state, expected)


@every_optimizer
def test_state_is_flushed_before_a_moment_becomes_denormal(name):
    """A dead unit's moments shrink in each step; every 256 steps the smallest become zero."""
    optimizer = OPTIMIZERS[name]()
    params, gradient = np.ones(3), np.zeros(3)
    state = optimizer.init(3, np.float64)
    for t, is_kept in [(255, True), (257, True), (2 * FLUSH_EVERY, False), (513, False)]:
        if is_kept:
            state[...] = 1e-296
        optimizer.step(params, gradient, state, t, 0.01)
        assert (state != 0).all() == state.any() == is_kept
    # What is left by one flush does not become denormal until the next.
    limits = np.finfo(np.float64)
    assert 1e13 * limits.tiny * 0.9**FLUSH_EVERY > limits.tiny


# The arguments of a penalty.


@every_optimizer
def test_a_penalty_applies_to_no_parameter_unless_told(name):
    optimizer, rng = OPTIMIZERS[name](), np.random.default_rng(0)
    params, gradient = rng.normal(size=(2, 5))
    results = []
    for arguments in [(), (ElasticNet(10.0, 0.5),), (None, 3), (ElasticNet(10.0, 0.5), 0)]:
        moved = params.copy()
        state = optimizer.init(5, np.float64)
        optimizer.step(moved, gradient.copy(), state, 1, 0.1, *arguments)
        results.append(moved)
    for result in results[1:]:
        assert_array_equal(result, results[0])
