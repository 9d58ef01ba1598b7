import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn import kernels
from sknet.nn.activations import (
    ACTIVATIONS,
    INITIALIZERS,
    Activation,
    Reflected,
    ReLU,
    SiLU,
    Tanh,
)
from sknet.nn.layers import Dense
from sknet.nn.monotone import ByUnit, SmoothReLU
from sknet.nn.network import Network, Workspace

# Formulas of one number, as the papers write them.
PLAIN = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": lambda z: (math.exp(2 * z) - 1) / (math.exp(2 * z) + 1),
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "selu": lambda z: 1.0507009873554805 * (
        z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)
    ),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "gelu": lambda z: z * 0.5 * (1 + math.erf(z / math.sqrt(2))),
    "mish": lambda z: z * math.tanh(math.log(1 + math.exp(z))),
    "softplus": lambda z: math.log(1 + math.exp(z)),
}  # fmt: skip

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
# No point is so near to the kinks at zero that a difference straddles it.
POINTS = np.concatenate([np.linspace(-30, 30, 240), [-1e-3, 1e-3, -0.5, 0.5]]).reshape(-1, 4)


def apply(activation, z):
    """Return f(z) and f'(z) as a layer computes them, without a change to ``z``."""
    z = z.copy()
    a = np.empty_like(z) if activation.needs_z else z
    activation.forward(z, a)
    value, delta = a.copy(), np.ones_like(z)
    activation.backward(z, a, delta)
    return value, delta


@every_activation
def test_forward_is_the_formula(name):
    value, _ = apply(ACTIVATIONS[name](), POINTS)
    expected = np.vectorize(PLAIN[name], otypes=[float])(POINTS)
    assert_allclose(value, expected, rtol=1e-12, atol=1e-14)


@every_activation
def test_derivative_agrees_with_differences(name):
    activation = ACTIVATIONS[name]()
    _, derivative = apply(activation, POINTS)
    step = 1e-5
    above, below = apply(activation, POINTS + step)[0], apply(activation, POINTS - step)[0]
    assert_allclose(derivative, (above - below) / (2 * step), rtol=1e-6, atol=1e-9)


@every_activation
def test_the_derivative_of_smooth_ones_has_no_jump(name):
    activation = ACTIVATIONS[name]()
    _, slopes = apply(activation, np.linspace(-8, 8, 1_600_002).reshape(-1, 2))
    jump = np.abs(np.diff(slopes.ravel())).max()
    assert jump < 1e-4 if activation.smooth else jump > 0.1


@every_activation
def test_backward_multiplies_delta(name):
    activation = ACTIVATIONS[name]()
    _, derivative = apply(activation, POINTS)
    z = POINTS.copy()
    a = np.empty_like(z) if activation.needs_z else z
    activation.forward(z, a)
    delta = np.cos(POINTS)
    activation.backward(z, a, delta)
    assert_allclose(delta, derivative * np.cos(POINTS), rtol=1e-14, atol=1e-300)


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits_at_large_inputs(name, dtype):
    # Every function here tends to a constant, or to a line.
    z = np.array([[-1e4, -100, 100, 1e4]], dtype=dtype)
    value, derivative = apply(ACTIVATIONS[name](), z)
    assert np.isfinite(value).all() and np.isfinite(derivative).all()
    slope_left = {"identity": 1, "leaky_relu": 0.01}.get(name, 0)
    slope_right = {"logistic": 0, "tanh": 0, "selu": 1.0507009873554805}.get(name, 1)
    expected = [[slope_left, slope_left, slope_right, slope_right]]
    assert_allclose(derivative, expected, rtol=1e-6, atol=1e-30)
    assert_allclose(value[:, 3] - value[:, 2], (1e4 - 100) * slope_right, rtol=1e-6)
    assert_allclose(value[:, 1] - value[:, 0], (1e4 - 100) * slope_left, rtol=1e-6, atol=1e-30)


@every_activation
def test_float32_agrees_with_float64(name):
    # Away from underflow; arrays made on the way must not be float64 in secret.
    z = POINTS[np.abs(POINTS).max(axis=1) < 10]
    narrow, wide = (
        apply(ACTIVATIONS[name](), z.astype(np.float32)),
        apply(ACTIVATIONS[name](), z),
    )
    for got, expected in zip(narrow, wide, strict=True):
        assert got.dtype == np.float32
        assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


@every_activation
def test_one_array_for_z_and_a(name):
    activation = ACTIVATIONS[name]()
    z, apart = POINTS.copy(), np.empty_like(POINTS)
    activation.forward(z, apart)
    if activation.needs_z:
        # A layer keeps z then: see test_dense_keeps_z_where_it_is_needed.
        assert "z" in Dense(2, activation).buffers(3)
        return
    assert "z" not in Dense(2, activation).buffers(3)
    assert_array_equal(z, POINTS)
    together = POINTS.copy()
    activation.forward(together, together)
    assert_array_equal(together, apart)
    deltas = np.sin(POINTS), np.sin(POINTS)
    activation.backward(together, together, deltas[0])
    activation.backward(z, apart, deltas[1])
    assert_array_equal(*deltas)


@every_activation
def test_blocks_of_rows_equal_the_whole(name, monkeypatch):
    rng = np.random.default_rng(0)
    network = Network((Dense(3, ACTIVATIONS[name]()),), 4)
    params, X, delta = network.init(rng), rng.normal(size=(50, 4)), rng.normal(size=(50, 3))
    results = []
    for block_size in (10_000, 24, 1):
        monkeypatch.setattr(kernels, "BLOCK_SIZE", block_size)
        workspace = Workspace(network, 50, np.float64, input_gradient=True)
        out = network.forward(params, X, workspace).copy()
        workspace.delta[...] = delta
        gradient = np.empty_like(params)
        inputs = network.backward(params, gradient, X, workspace)
        results.append(np.concatenate([out.ravel(), gradient, inputs.ravel()]))
    assert_allclose(results[1], results[0], rtol=1e-14, atol=1e-15)
    assert_allclose(results[2], results[0], rtol=1e-14, atol=1e-15)


@every_activation
def test_more_elements_than_a_block(name):
    # With the real block size: the rows of all blocks are there, the last one too.
    n_rows = kernels.BLOCK_SIZE // 8 * 2 + 5
    rng = np.random.default_rng(0)
    network = Network((Dense(8, ACTIVATIONS[name]()),), 2)
    params, X = network.init(rng), rng.normal(size=(n_rows, 2))
    out = network.forward(params, X, Workspace(network, n_rows, np.float64))
    (views,) = network.views(params)
    expected, _ = apply(ACTIVATIONS[name](), X @ views.weight + views.bias)
    assert_allclose(out, expected, rtol=1e-13, atol=1e-15)


def test_one_work_array_serves_an_activation_that_does_not_read_z():
    """By default a derivative is told from f(z) alone, which saves an array for each layer."""

    class Square(ACTIVATIONS["identity"]):
        pass

    assert set(Dense(3, Square()).buffers(2)) == {"a", "delta"}
    assert set(Dense(3, ACTIVATIONS["gelu"]()).buffers(2)) == {"a", "z", "delta"}


def test_a_leaky_relu_of_slope_zero_is_a_relu():
    value, derivative = apply(ACTIVATIONS["leaky_relu"](slope=0.0), POINTS)
    expected = apply(ACTIVATIONS["relu"](), POINTS)
    assert_array_equal(value, expected[0])
    assert_array_equal(derivative, expected[1])


# Monotone units.


@every_activation
def test_an_activation_says_whether_it_falls(name):
    activation = ACTIVATIONS[name]()
    value, _ = apply(activation, np.linspace(-30, 30, 600_001)[:, np.newaxis])
    # Approximations may fall by the last bit.
    falls = bool((np.diff(value[:, 0]) < -1e-15 * np.maximum(1, abs(value[:-1, 0]))).any())
    assert falls != activation.monotone


def test_an_activation_of_a_user_is_not_taken_for_monotone():
    class Cube(Activation):
        def forward(self, z, a):
            np.power(z, 3, out=a)

        def backward(self, z, a, delta):
            delta *= 3 * np.cbrt(a) ** 2

    assert not Cube().monotone
    assert not Cube.needs_z


def test_an_activation_without_a_derivative_says_so():
    class Half(Activation):
        def forward(self, z, a):
            np.multiply(z, 0.5, out=a)

    with pytest.raises(TypeError, match=r"abstract class Half .*backward"):
        Half()


def test_smooth_relu_is_a_rectifier_with_a_quadratic_bend():
    def plain(z):
        return 0.0 if z < -2 else z if z > 2 else (z + 2) ** 2 / 8

    value, derivative = apply(SmoothReLU(), POINTS)
    assert_allclose(value, np.vectorize(plain, otypes=[float])(POINTS), rtol=1e-14)
    assert_allclose(derivative, np.clip(POINTS / 4 + 0.5, 0, 1), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["smooth", "identity", "relu", "leaky_relu"])
def test_rounding_keeps_order(name, dtype):
    """Neighboring floating-point numbers, at which an approximation would fall."""
    activation = SmoothReLU() if name == "smooth" else ACTIVATIONS[name]()
    activation = ByUnit(((1, Reflected(activation, 1)), (1, activation)))
    z = np.random.default_rng(0).uniform(-3, 3, size=(200_000, 2)).astype(dtype)
    above = np.nextafter(z, dtype(np.inf))
    assert (apply(activation, above)[0] >= apply(activation, z)[0]).all()


@every_activation
@pytest.mark.parametrize("n_units", [0, 1, 4])
def test_a_reflection_turns_the_last_units_around(name, n_units):
    reflected = Reflected(ACTIVATIONS[name](), n_units)
    value, derivative = apply(reflected, POINTS)
    plain, slope = apply(ACTIVATIONS[name](), POINTS)
    turned, turned_slope = apply(ACTIVATIONS[name](), -POINTS)
    kept = 4 - n_units
    assert_array_equal(value, np.hstack([plain[:, :kept], -turned[:, kept:]]))
    assert_array_equal(derivative, np.hstack([slope[:, :kept], turned_slope[:, kept:]]))


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_unit_of_rows_of_any_width(name, dtype):
    """Some functions of NumPy misread a column of rows of certain widths."""
    activation = ACTIVATIONS[name]()
    for n_units in range(2, 10):
        layer = ByUnit(((n_units - 1, Tanh()), (1, Reflected(activation, 1))))
        z = np.random.default_rng(0).normal(size=(42, n_units)).astype(dtype)
        value, derivative = apply(layer, z)
        turned, slope = apply(activation, -z[:, -1:])
        assert_allclose(value[:, -1:], -turned, rtol=1e-6)
        assert_allclose(derivative[:, -1:], slope, rtol=1e-6)


@pytest.mark.parametrize("parts", [((1, SiLU()), (2, Tanh())), ((2, ReLU()), (1, Tanh()))])
def test_activations_by_unit_for_each_member(parts):
    """A row holds the units of two members one after another."""
    z = np.random.default_rng(0).normal(size=(20, 6))
    value, derivative = apply(ByUnit(parts), z)
    (n_first, first), (_, second) = parts
    for start in (0, 3):
        for columns, one in (
            (slice(start, start + n_first), first),
            (slice(start + n_first, start + 3), second),
        ):
            expected = apply(one, z[:, columns])
            assert_array_equal(value[:, columns], expected[0])
            assert_array_equal(derivative[:, columns], expected[1])
    assert ByUnit(parts).monotone == all(one.monotone for _, one in parts)
    assert ByUnit(parts).smooth == all(one.smooth for _, one in parts)


@pytest.mark.parametrize("free", [SiLU(), Tanh(), ReLU()])
def test_equal_parts_are_computed_together_and_each_by_itself(free):
    """A reflection turns the last units of each stretch around, not those of all stretches."""
    monotone = 3, Reflected(SmoothReLU(), 1)
    parts = ((2, free), monotone, (2, free), (1, Tanh()), monotone)
    z = np.random.default_rng(0).normal(0, 2, size=(20, 22))
    value, derivative = apply(ByUnit(parts), z)
    start = 0
    for n_units, one in (*parts, *parts):  # of two members
        columns = slice(start, start := start + n_units)
        expected = apply(one, z[:, columns])
        assert_array_equal(value[:, columns], expected[0])
        assert_array_equal(derivative[:, columns], expected[1])
    assert len(ByUnit(parts).kinds) == 3
    # What was worked out is no part of a file.
    known = ByUnit(parts)
    assert known.kinds and len(pickle.dumps(known)) == len(pickle.dumps(ByUnit(parts)))


SHAPE = 300, 200
# Variance of the draws, and their largest magnitude.
EXPECTED = {
    "glorot_uniform": (2 / (300 + 200), math.sqrt(6 / (300 + 200))),
    "lecun_normal": (1 / 300, math.inf),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_moments_and_bound(name):
    variance, bound = EXPECTED[name]
    draws = INITIALIZERS[name](np.random.default_rng(0), SHAPE)
    assert draws.shape == SHAPE
    # 60 000 draws: six standard errors.
    assert abs(draws.mean()) < 6 * math.sqrt(variance / draws.size)
    assert_allclose(draws.var(), variance, rtol=6 * math.sqrt(2 / draws.size))
    assert np.abs(draws).max() <= bound
    if math.isfinite(bound):
        assert np.abs(draws).max() > 0.99 * bound
    else:
        assert np.abs(draws).max() > 3.5 * math.sqrt(variance)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_draws_come_from_the_generator(name):
    first, again, other = (
        INITIALIZERS[name](np.random.default_rng(seed), (3, 4)) for seed in (1, 1, 2)
    )
    assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_draws_as_its_activation_asks(name):
    activation = ACTIVATIONS[name]()
    network = Network((Dense(7, activation),), 5)
    (views,) = network.views(network.init(np.random.default_rng(3)))
    rng = np.random.default_rng(3)
    assert_array_equal(views.weight, INITIALIZERS[activation.initializer](rng, (5, 7)))
    assert np.abs(views.bias).max() <= 1 / math.sqrt(5)
    assert np.unique(views.bias).size == 7


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"softplus", "logistic"}))
def test_signal_neither_explodes_nor_vanishes(name):
    # Ten layers deep; logistic and softplus have a fixed point far from zero.
    rng = np.random.default_rng(0)
    network = Network(tuple(Dense(128, ACTIVATIONS[name]()) for _ in range(10)), 128)
    X = rng.normal(size=(200, 128))
    out = network.forward(network.init(rng), X, Workspace(network, 200, np.float64))
    assert 0.02 < out.std() < 20
