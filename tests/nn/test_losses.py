import math
import tracemalloc
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, special, stats
from sklearn import metrics

from sknet.nn.cumulative import CumulativeLogit
from sknet.nn.joint import JointLoss
from sknet.nn.links import Identity, Increasing, Log, Logit, MeanAndStd, Softmax
from sknet.nn.losses import (
    LOSSES,
    HalfTweedie,
    Huber,
    NormalLikelihood,
    Pinball,
    SquaredError,
)

every_loss = pytest.mark.parametrize("name", LOSSES)


def squared_error(y, raw, weight):
    return y.shape[1] / 2 * metrics.mean_squared_error(y, raw, sample_weight=weight)


def log_loss(y, raw, weight):
    return metrics.log_loss(y, special.softmax(raw, axis=1), sample_weight=weight)


def binary_log_loss(y, raw, weight):
    columns = zip(y.T, special.expit(raw).T, strict=True)
    return sum(metrics.log_loss(a, p, sample_weight=weight, labels=[0, 1]) for a, p in columns)


def absolute_error(y, raw, weight):
    return y.shape[1] * metrics.mean_absolute_error(y, raw, sample_weight=weight)


def huber(y, raw, weight):
    error, delta = np.abs(raw - y), 1.35
    quadratic, linear = error**2 / 2, delta * (error - delta / 2)
    rows = np.where(error <= delta, quadratic, linear).sum(axis=1)
    return np.average(rows, weights=weight)


def quantile(y, raw, weight):
    return y.shape[1] * metrics.mean_pinball_loss(y, raw, sample_weight=weight, alpha=0.5)


def poisson(y, raw, weight):
    return half_deviance(metrics.mean_poisson_deviance, y, raw, weight)


def gamma(y, raw, weight):
    return half_deviance(metrics.mean_gamma_deviance, y, raw, weight)


def tweedie(y, raw, weight):
    deviance = partial(metrics.mean_tweedie_deviance, power=1.5)
    return half_deviance(deviance, y, raw, weight)


def normal(y, raw, weight):
    """Minus the log likelihood, plus the part of the noise, without log sqrt(2 pi)."""
    std = np.exp(raw[:, 1::2])
    rows = -stats.norm.logpdf(y, raw[:, ::2], std) - np.log(2 * np.pi) / 2 + 5e-7 / std**2
    return np.average(rows.sum(axis=1), weights=weight)


def ordinal(y, raw, weight):
    """With thresholds as a sum of steps, which are one times those of equal classes at zero."""
    n_classes = raw.shape[1] + 1
    even = special.logit(np.arange(1, n_classes) / n_classes)
    steps = np.exp(raw[:, 1:]) * np.diff(even)
    z = even[0] - raw[:, :1] + np.hstack([np.zeros_like(raw[:, :1]), np.cumsum(steps, axis=1)])
    z = np.pad(z, [(0, 0), (1, 1)], constant_values=(-np.inf, np.inf))
    classes = np.argmax(np.hstack([1 - y, y]) if y.shape[1] == 1 else y, axis=1)
    labels = np.arange(n_classes)
    # Differences of small numbers, on either side.
    left, right = np.diff(special.expit(z), axis=1), -np.diff(special.expit(-z), axis=1)
    p = np.where(z[:, :-1] < 0, left, right)
    return metrics.log_loss(classes, p, sample_weight=weight, labels=labels)


def half_deviance(deviance, y, raw, weight):
    columns = zip(y.T, np.exp(raw).T, strict=True)
    return sum(deviance(a, mu, sample_weight=weight) for a, mu in columns) / 2


#: Means by scikit-learn's metrics, and by the formula of the paper where it has none.
SKLEARN = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "quantile": quantile,
    "poisson": poisson,
    "gamma": gamma,
    "tweedie": tweedie,
    "normal": normal,
    "log_loss": log_loss,
    "binary_log_loss": binary_log_loss,
    "ordinal": ordinal,
}


def huber_location(y):
    """Return the number from which the errors, clipped at 1.35, add up to zero."""
    return optimize.brentq(lambda at: np.clip(y - at, -1.35, 1.35).sum(), y.min(), y.max())


@pytest.fixture
def data(make_target):
    def make(name, n_outputs, n_rows=40):
        rng = np.random.default_rng(0)
        loss = LOSSES[name]()
        y = make_target(loss, n_rows, n_outputs, rng)
        weight = rng.uniform(0.1, 5, n_rows)
        raw = rng.normal(scale=2, size=(n_rows, loss.link.n_raw(n_outputs)))
        return y, raw, weight / weight.mean()

    return make


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_agrees_with_sklearn(name, n_outputs, weighted, data):
    y, raw, weight = data(name, n_outputs)
    weight = weight if weighted else None
    value = LOSSES[name]().mean(y, raw, weight, np.empty_like(raw))
    assert type(value) is float
    if name == "log_loss" and n_outputs == 1:
        assert value == 0  # a single class cannot be missed
    else:
        assert_allclose(value, SKLEARN[name](y, raw, weight), rtol=1e-12)


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_the_mean(name, n_outputs, weighted, data, numeric_gradient):
    y, raw, weight = data(name, n_outputs, n_rows=6)
    weight = weight if weighted else None
    loss, gradient = LOSSES[name](), np.empty_like(raw)
    loss.mean(y, raw, weight, gradient)
    expected = numeric_gradient(
        lambda at: loss.mean(y, at, weight, np.empty_like(raw)), raw.copy()
    )
    # Differences of a large sum resolve no more beside its largest part.
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("unit", [(500, 10), (-3, 0.01)])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(
    "loss",
    [
        *(LOSSES[name]() for name in LOSSES),
        *(Huber(0.1), Huber(30.0), Pinball(0.9), Pinball((0.05, 0.5, 0.7)), Pinball((0.2,))),
        *(NormalLikelihood(noise=0.5), HalfTweedie(1.2)),
    ],
    ids=repr,
)
def test_the_constant_is_the_best_one(loss, n_outputs, unit, make_target):
    """Against SciPy's minimizer, for each raw prediction; with another link it is zero."""
    n_outputs = 1 if loss.predicts_quantiles else n_outputs
    y = make_target(loss, 30, n_outputs, np.random.default_rng(0))
    if loss.link.out_activation != "identity":
        assert_array_equal(loss.constant(y), np.zeros(loss.link.n_raw(n_outputs)))
        return
    y = unit[0] + unit[1] * y

    def mean(raw):
        same = np.tile(raw, (30, 1))
        return loss.mean(y, same, None, np.empty_like(same))

    found = loss.constant(y)
    assert found.shape == (loss.link.n_raw(n_outputs),)
    start = found + unit[1] / 3
    best = optimize.minimize(mean, start, method="Nelder-Mead", tol=1e-7).fun
    assert mean(found) <= best + 1e-7 * unit[1]


def dense_huber_constant(y, delta):
    """The zero of the derivative, computed at all points between which it is linear."""
    points = np.sort(np.concatenate([y - delta, y + delta]), axis=0)
    slopes = np.clip(points[:, np.newaxis] - y, -delta, delta).sum(axis=1)
    columns = zip(slopes.T, points.T, strict=True)
    return np.array([np.interp(0, slope, point) for slope, point in columns])


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("n_rows", [1, 2, 31, 400])
@pytest.mark.parametrize("delta", [0.1, 1.35, 30.0])
def test_the_constant_of_huber_is_where_its_slope_is_zero(delta, n_rows, repeats):
    """Rows that occur as often as a weight says, outliers and ties included."""
    rng = np.random.default_rng(n_rows)
    y = rng.standard_cauchy((n_rows, 3)) * [1, 1e3, 0] + [0, 1e3, 2.5]
    y = np.repeat(y, rng.integers(1, repeats, n_rows, endpoint=True), axis=0)

    def losses(raw, y):
        columns = zip(np.split(y, 3, axis=1), raw, strict=True)
        pairs = [(column, np.full_like(column, number)) for column, number in columns]
        return [Huber(delta).mean(*pair, None, np.empty_like(pair[0])) for pair in pairs]

    # If several numbers are best, rounding decides which of them is found.
    found, expected = Huber(delta).constant(y), dense_huber_constant(y, delta)
    assert_allclose(losses(found, y), losses(expected, y), rtol=1e-14, atol=1e-15)
    single = y.astype(np.float32)
    found, y = Huber(delta).constant(single), single.astype(float)
    assert found.dtype == np.float32
    expected = losses(dense_huber_constant(y, delta), y)
    assert_allclose(losses(found.astype(float), y), expected, rtol=1e-6, atol=1e-6)


@every_loss
def test_constants_need_no_memory_for_pairs_of_rows(name, make_target):
    """A pair of rows for each of them would take 30 MB, and more than 10 GB in a large fit."""
    y = make_target(LOSSES[name](), 2_000, 1, np.random.default_rng(0))
    tracemalloc.start()
    LOSSES[name]().constant(y)
    LOSSES[name]().least(y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * y.nbytes


@every_loss
def test_inputs_are_left_alone(name, data):
    y, raw, weight = data(name, 3)
    before = y.copy(), raw.copy(), weight.copy()
    LOSSES[name]().mean(y, raw, weight, np.empty_like(raw))
    LOSSES[name]().constant(y)
    for now, then in zip((y, raw, weight), before, strict=True):
        assert_array_equal(now, then)


@every_loss
def test_weights_are_not_normalized_by_the_batch(name, data):
    # A batch of heavy rows has a larger mean: only so is it unbiased over all batches.
    y, raw, _ = data(name, 3, n_rows=10)
    loss, gradients = LOSSES[name](), np.empty((2, *raw.shape))
    once = loss.mean(y, raw, None, gradients[0])
    twice = loss.mean(y, raw, np.full(10, 2.0), gradients[1])
    assert_allclose(twice, 2 * once, rtol=1e-14)
    assert_allclose(gradients[1], 2 * gradients[0], rtol=1e-14)
    assert loss.mean(y, raw, np.zeros(10), gradients[0]) == 0


@every_loss
def test_float32_agrees_with_float64(name, data):
    y, raw, weight = data(name, 3)
    loss, wide, narrow = LOSSES[name](), np.empty_like(raw), np.empty(raw.shape, np.float32)
    expected = loss.mean(y, raw, weight, wide)
    y, raw, weight = (part.astype(np.float32) for part in (y, raw, weight))
    assert loss.pointwise(y, raw, narrow).dtype == np.float32
    assert_allclose(loss.mean(y, raw, weight, narrow), expected, rtol=1e-5)
    assert_allclose(narrow, wide, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_log_loss_at_huge_logits(dtype):
    raw = np.array([[1e4], [-1e4], [1e4], [-1e4], [0.0]], dtype=dtype)
    y = np.array([[1], [0], [0], [1], [1]], dtype=dtype)
    gradient = np.empty_like(raw)
    value = LOSSES["binary_log_loss"]().pointwise(y, raw, gradient)
    assert_allclose(value, [0, 0, 1e4, 1e4, math.log(2)], rtol=1e-6)
    assert_allclose(gradient[:, 0], [0, 0, 1, -1, -0.5], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_at_huge_logits(dtype):
    raw = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype=dtype)
    y = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=dtype)
    gradient = np.empty_like(raw)
    value = LOSSES["log_loss"]().pointwise(y, raw, gradient)
    assert_allclose(value, [0, 2e4, math.log(3)], rtol=1e-6)
    expected = [[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3]]
    assert_allclose(gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"log_loss"}))
def test_least_loss_is_at_the_estimated_quantity(name, make_target):
    # Mean, median or probability of a column: the best constant, by brute force. (A softmax
    # of one column is constant.)
    loss, rng = LOSSES[name](), np.random.default_rng(0)
    y = make_target(loss, 201, 1, rng)
    grid = np.zeros((4001, loss.link.n_raw(1)))
    grid[:, 0] = np.linspace(-4, 6, 4001)
    same = [np.tile(at, (201, 1)) for at in grid]
    losses = [loss.mean(y, raw, None, np.empty_like(raw)) for raw in same]
    best = loss.link.inverse(grid[np.argmin(losses)])[0]
    estimated = {"absolute_error": np.median, "quantile": np.median, "huber": huber_location}
    assert_allclose(best, estimated.get(name, np.mean)(y), rtol=5e-3)


@every_loss
def test_domain(name):
    loss = LOSSES[name]()
    good, zeros, bad = np.array([[1.0, 2.0]]), np.array([[0.0, 1.0]]), np.array([[-1.0, 1.0]])
    assert loss.in_domain(good) is True
    assert loss.in_domain(bad) == (name not in {"poisson", "gamma", "tweedie"})
    assert loss.in_domain(zeros) == (name != "gamma")
    # A log link needs a positive mean: such y may be scaled, but not shifted.
    assert loss.shifts_y == (loss.link.out_activation != "exp")
    assert (loss.domain == "any number") == loss.shifts_y


@pytest.mark.parametrize("delta", [0.1, 1.35, 10.0])
def test_huber_is_between_its_limits(delta, data):
    y, raw, _ = data("huber", 2)
    gradient = np.empty_like(raw)
    value = Huber(delta).pointwise(y, raw, gradient)
    error = np.abs(raw - y)
    expected = np.where(error <= delta, error**2 / 2, delta * error - delta**2 / 2)
    assert_allclose(value, expected.sum(axis=1), rtol=1e-12)
    assert_allclose(gradient, np.clip(raw - y, -delta, delta), rtol=1e-14)


@pytest.mark.parametrize(("power", "name"), [(1, "poisson"), (2, "gamma"), (2.0, "gamma")])
def test_tweedie_at_its_limits(power, name, data):
    """Values, gradients and domain are those of the losses of these distributions."""
    loss, limit = HalfTweedie(power), LOSSES[name]()
    y, raw, _ = data(name, 3)
    gradients = np.empty((2, *raw.shape))
    values = [one.pointwise(y, raw, g) for one, g in zip((loss, limit), gradients, strict=True)]
    assert_allclose(values[0], values[1], rtol=1e-12)
    assert_allclose(gradients[0], gradients[1], rtol=1e-12, atol=1e-14)
    assert loss.domain == limit.domain
    zero = np.zeros((1, 1))
    assert loss.in_domain(zero) == limit.in_domain(zero)


@pytest.mark.parametrize("power", [1.000001, 1.2, 1.5, 1.9, 1.999999])
def test_tweedie_between_its_limits(power, data, numeric_gradient):
    y, raw, weight = data("tweedie", 2)
    loss, gradient = HalfTweedie(power), np.empty_like(raw)
    numeric = numeric_gradient(
        lambda at: loss.mean(y, at, weight, np.empty_like(raw)), raw.copy()
    )
    loss.mean(y, raw, weight, gradient)
    assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)
    y[::3] = 0
    found = loss.mean(y, raw, weight, gradient)
    deviance = partial(metrics.mean_tweedie_deviance, power=power)
    assert_allclose(found, half_deviance(deviance, y, raw, weight), rtol=1e-9)
    of_zeros = np.exp((2 - power) * raw[::3]) * weight[::3, np.newaxis] / len(y)
    assert_allclose(gradient[::3], of_zeros, rtol=1e-12)


@pytest.mark.parametrize("name", ["poisson", "gamma", "tweedie"])
def test_the_spread_is_the_unit_of_raw_predictions(name, data):
    y, raw, weight = data(name, 2)
    spread = 0.5, 1e-3
    loss = LOSSES[name]().of_spread(spread)
    assert_array_equal(loss.link.inverse(raw), np.exp(raw * spread))
    gradients = np.empty((2, *raw.shape))
    for k, one in enumerate(spread):
        column = slice(k, k + 1)
        alone = LOSSES[name]().of_spread((one,))
        found = alone.mean(y[:, column], raw[:, column], weight, gradients[0][:, column])
        expected = SKLEARN[name](y[:, column], raw[:, column] * one, weight) / one**2
        assert_allclose(found, expected, rtol=1e-9)
    loss.mean(y, raw, weight, gradients[1])
    assert_array_equal(*gradients)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_float32_holds_the_small_loss_of_a_nearly_right_mean(power):
    rng = np.random.default_rng(0)
    y = 1 + 1e-3 * rng.normal(size=(500, 1)).astype(np.float32)
    raw = rng.normal(size=(500, 1)).astype(np.float32)
    loss = HalfTweedie(power).of_spread((1e-3,))
    single, double = np.empty_like(raw), np.empty(raw.shape)
    found = loss.pointwise(y, raw, single)
    expected = loss.pointwise(y.astype(float), raw.astype(float), double)
    assert found.dtype == single.dtype == np.float32
    assert_allclose(found.mean(), expected.mean(), rtol=1e-3)
    assert_allclose(single, double, rtol=1e-3, atol=1e-3)
    # As with squared error, whose loss is half the square of the error.
    assert_allclose(expected, np.square(raw - (y - 1) * 1e3)[:, 0] / 2, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", ["tweedie", "normal"])
def test_fields_that_are_numpy_scalars_keep_float32(name, data):
    fields = {"tweedie": {"power": np.float64(1.3)}, "normal": {"noise": np.float64(0.1)}}
    loss = LOSSES[name](**fields[name])
    y, raw, _ = (part.astype(np.float32) for part in data(name, 2))
    gradient = np.empty_like(raw)
    assert loss.pointwise(y, raw, gradient).dtype == np.float32
    loss.weigh_steps(raw, gradient)
    assert np.isfinite(gradient).all()


# The normal distribution.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("noise", [1e-3, 1e-300])
def test_normal_likelihood_does_not_overflow(noise, dtype):
    """Neither tiny nor huge standard deviations, nor far values, give infinity or NaN."""
    far = [1e6, 1e12] if noise == 1e-3 else [100]
    log_std, y = np.meshgrid([-1e4, -90, -9, 0, 9, 90, 1e4], [0, 1e-3, 1, *far])
    y = y.reshape(-1, 1).astype(dtype)
    raw = np.column_stack([np.zeros(len(y)), log_std.ravel()]).astype(dtype)
    loss, gradient = NormalLikelihood(noise=noise), np.empty_like(raw)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value = loss.pointwise(y, raw, gradient)
        assert np.isfinite(value).all() and np.isfinite(gradient).all()
        loss.weigh_steps(raw, gradient)
        assert np.isfinite(gradient).all()
        std = loss.link.std(raw)
    assert np.isfinite(std).all() and (std > 0).all()


def test_normal_likelihood_far_below_the_noise(numeric_gradient):
    """The loss is smooth there, and its gradient points back to the noise."""
    rng = np.random.default_rng(0)
    y, raw = rng.normal(size=(9, 2)), rng.normal(size=(9, 4))
    raw[:, 1::2] = np.linspace(-30, -7, 18).reshape(9, 2)
    y -= 0.999 * (y - raw[:, ::2])
    loss, gradient = NormalLikelihood(), np.empty_like(raw)
    loss.pointwise(y, raw, gradient)
    expected = numeric_gradient(
        lambda at: float(loss.pointwise(y, at, np.empty_like(at)).sum()), raw.copy()
    )
    assert_allclose(gradient, expected, rtol=1e-5)
    assert (gradient[:, 1::2] < 0).all()


def test_least_normal_likelihood_is_at_the_moments_of_y():
    """With the noise, whose variance adds to that of y."""
    y = np.random.default_rng(0).normal(3, 0.5, size=(200, 1))
    loss, gradient = NormalLikelihood(noise=0.2), np.empty((200, 2))
    raw = np.tile([y.mean(), math.log(y.var() + 0.04) / 2], (200, 1))
    loss.mean(y, raw, None, gradient)
    assert_allclose(gradient.sum(axis=0), 0, atol=1e-14)


@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_weights_of_the_steps(beta, data):
    """The gradient of both raw predictions is multiplied by s^(2 beta), the value stays."""
    y, raw, _ = data("normal", 2)
    loss, gradient = NormalLikelihood(beta=beta), np.empty_like(raw)
    loss.pointwise(y, raw, gradient)
    weighted = gradient.copy()
    loss.weigh_steps(raw, weighted)
    expected = gradient * np.repeat(np.exp(raw[:, 1::2]) ** (2 * beta), 2, axis=1)
    assert_allclose(weighted, expected, rtol=1e-12)


def test_other_losses_leave_steps_alone(data):
    y, raw, _ = data("gamma", 2)
    gradient = raw.copy()
    LOSSES["gamma"]().weigh_steps(raw, gradient)
    assert_array_equal(gradient, raw)


def test_a_normal_distribution_starts_at_that_of_y():
    """Whatever the network predicts; a constant y starts at its scale."""
    mean, std = np.array([3.0, -1.0]), np.array([0.5, 0.0])
    loss, raw = NormalLikelihood(), np.random.default_rng(0).normal(size=(6, 4))
    factor, shift = loss.initial_outputs(mean, std)
    assert_allclose(loss.link.inverse(raw * factor + shift), np.tile(mean, (6, 1)))
    assert_allclose(loss.link.std(raw * factor + shift), np.tile([0.5, 1.0], (6, 1)))
    assert LOSSES["squared_error"]().initial_outputs(mean, std) is None


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_single_quantile(level, data):
    y, raw, weight = data("quantile", 2)
    value = Pinball(level).mean(y, raw, weight, np.empty_like(raw))
    expected = 2 * metrics.mean_pinball_loss(y, raw, sample_weight=weight, alpha=level)
    assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_several_quantiles(weighted, numeric_gradient):
    levels, rng = [0.1, 0.5, 0.75, 0.9], np.random.default_rng(0)
    loss = Pinball(levels)
    assert loss == Pinball(tuple(levels)) and hash(loss) == hash(Pinball(tuple(levels)))
    assert loss.link == Increasing(4)
    y, raw = rng.gamma(2, size=(12, 1)), rng.normal(size=(12, 4))
    weight = rng.uniform(0.2, 2, 12) if weighted else None
    predicted = loss.link.inverse(raw)
    plain = np.cumsum(np.hstack([raw[:, :1], np.log1p(np.exp(raw[:, 1:]))]), axis=1)
    assert_allclose(predicted, plain, rtol=1e-13)
    assert (np.diff(predicted, axis=1) > 0).all()
    columns = zip(predicted.T, levels, strict=True)
    losses = [(np.maximum(q * (y[:, 0] - f), (q - 1) * (y[:, 0] - f))) for f, q in columns]
    expected = np.sum(losses, axis=0) @ (np.ones(12) if weight is None else weight) / 12
    gradient = np.empty_like(raw)
    assert_allclose(loss.mean(y, raw, weight, gradient), expected, rtol=1e-12)
    numeric = numeric_gradient(
        lambda at: loss.mean(y, at, weight, np.empty_like(raw)), raw.copy()
    )
    assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_two_classes_are_one_difference_of_logits(data):
    # Softmax over (0, r) is the logistic function of r: both losses must say the same.
    _, raw, weight = data("binary_log_loss", 1)
    y = (raw > 0.3).astype(float)
    binary = LOSSES["binary_log_loss"]().mean(y, raw, weight, np.empty_like(raw))
    two, onehot = np.hstack([np.zeros_like(raw), raw]), np.hstack([1 - y, y])
    assert_allclose(
        LOSSES["log_loss"]().mean(onehot, two, weight, np.empty_like(two)), binary, rtol=1e-12
    )


def test_smoothed_targets(data):
    # Rows of probabilities, as label smoothing makes them, are targets like any other.
    y, raw, weight = data("log_loss", 4)
    y = 0.9 * y + 0.1 / 4
    value = LOSSES["log_loss"]().mean(y, raw, weight, np.empty_like(raw))
    cross_entropy = -(y * special.log_softmax(raw, axis=1)).sum(axis=1)
    assert_allclose(value, np.average(cross_entropy, weights=weight), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "n_outputs"), [("log_loss", 3), ("binary_log_loss", 1), ("binary_log_loss", 3)]
)
def test_least_loss_of_smoothed_labels(name, n_outputs, data):
    """It is the loss of predictions that equal the labels, where the gradient is zero."""
    y, _, _ = data(name, n_outputs)
    loss = LOSSES[name]()
    smoothed = 0.9 * y + 0.1 / (n_outputs if loss.link.exclusive else 2)
    raw = np.log(smoothed) if loss.link.exclusive else special.logit(smoothed)
    gradient = np.empty_like(raw)
    expected = loss.pointwise(smoothed, raw, gradient)
    assert_allclose(loss.least(smoothed), expected, rtol=1e-12)
    assert_allclose(gradient, 0, atol=1e-12)
    assert_array_equal(loss.least(y), 0)


@pytest.mark.parametrize("n_columns", [1, 3])
def test_least_loss_of_ordered_classes(n_columns):
    y = 0.7 * np.eye(3)[:, :n_columns] + 0.1
    p = np.hstack([1 - y, y]) if n_columns == 1 else y
    assert_allclose(LOSSES["ordinal"]().least(y), stats.entropy(p, axis=1))


@pytest.mark.parametrize("learned", [False, True])
def test_least_loss_of_several_targets(learned):
    """A missing target has no loss, and learned weights make the smallest loss unknown."""
    losses = ((LOSSES["log_loss"](), 2), (LOSSES["squared_error"](), 1))
    y = np.array([[0.9, 0.1, 3.0], [np.nan, np.nan, 1.0]])
    least = JointLoss(losses, (0.25, 0.75), learned).least(y)
    assert_allclose(least, [0 if learned else 0.25 * stats.entropy([0.9, 0.1]), 0])


#: The link of each loss that is not the identity.
LINKS = {
    "poisson": Log(),
    "gamma": Log(),
    "tweedie": Log(),
    "normal": MeanAndStd(),
    "log_loss": Softmax(),
    "binary_log_loss": Logit(),
    "ordinal": CumulativeLogit(),
}


@every_loss
def test_link(name):
    assert LOSSES[name]().link == LINKS.get(name, Identity())


@every_loss
def test_the_form_of_a_loss_for_two_classes(name):
    loss = LOSSES[name]()
    assert loss.binary() == (LOSSES["binary_log_loss"]() if name == "log_loss" else loss)


# The unexplained share.


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "quantile", "huber"])
def test_the_unexplained_share_is_that_of_the_variance(name):
    """If errors shrink to a fifth, a twenty-fifth of the variance is left."""
    errors = np.random.default_rng(0).normal(size=(2000, 1)) / 10
    loss, raw = LOSSES[name](), np.zeros_like(errors)
    large, small = (loss.mean(y, raw, None, raw.copy()) for y in (errors, errors / 5))
    assert loss.unexplained(small, large) == pytest.approx(1 / 25)
    assert loss.unexplained(large, large) == 1


def test_the_unexplained_share_of_counts_is_that_of_the_deviance():
    assert LOSSES["poisson"]().unexplained(0.2, 0.8) == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("loss", "constant"),
    [(0.9, 0.8), (0.0, 0.0), (-0.1, 0.8), (np.nan, 0.8), (0.1, np.nan), (0.1, np.inf)],
)
def test_all_is_unexplained_if_the_losses_say_nothing_else(loss, constant):
    for one in SquaredError(), LOSSES["absolute_error"]():
        assert one.unexplained(loss, constant) == 1


@pytest.mark.parametrize("learned", [False, True])
def test_the_unexplained_share_is_unknown_if_a_loss_may_be_negative(learned):
    assert NormalLikelihood().unexplained(0.1, 0.5) == 1
    squared, normal = (SquaredError(), 1), (NormalLikelihood(), 1)
    assert JointLoss((squared, normal), (1.0, 1.0), learned).unexplained(0.1, 0.5) == 1
    numbers = JointLoss((squared, squared), (1.0, 1.0), learned)
    assert numbers.unexplained(0.1, 0.5) == pytest.approx(1 if learned else 1 / 5)
    medians = JointLoss(((LOSSES["absolute_error"](), 1),) * 2, (1.0, 1.0))
    assert medians.unexplained(0.1, 0.5) == pytest.approx(1 / 25)
