import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.activations import Identity, ReLU
from sknet.nn.ensembles import EnsembleHead, EnsembleInput
from sknet.nn.layers import Dense, Dropout
from sknet.nn.links import Link, MeanAndStd
from sknet.nn.losses import LOSSES, Loss, NormalLikelihood, SquaredError
from sknet.nn.network import Network
from sknet.nn.objective import Objective
from sknet.nn.sets import ElasticNet
from sknet.nn.soundness import PROBE_ROWS, DivergenceError, Ending, Judge, Probe

# The verdict, given the losses.


class Losses:
    """A probe whose losses are the parameters themselves; the constant's loss is 1."""

    def loss(self, params):
        return float(params[0])

    def constant_loss(self):
        return 1.0


LAST, BEST = "last", "best"


@pytest.mark.parametrize(
    ("last", "best", "initial", "ending", "kept"),
    [
        # Better than a constant, or not much worse: the last parameters stay.
        (0.1, 0.05, 2.0, Ending.FINISHED, LAST),
        (0.7, 0.01, 2.0, Ending.FINISHED, LAST),
        (0.9, None, 2.0, Ending.FINISHED, LAST),
        (0.9, 0.3, 2.0, Ending.FINISHED, LAST),
        (3.9, None, 2.0, Ending.FINISHED, LAST),
        (3.9, 3.0, 2.0, Ending.FINISHED, LAST),
        (1.5, 0.3, 2.0, Ending.FINISHED, LAST),
        # Far worse than a constant, but not worse than at the beginning, and not immense.
        (5.0, None, 6.0, Ending.FINISHED, LAST),
        (101.0, None, 1e3, Ending.POOR, LAST),
        (5.0, 4.0, 5.0, Ending.FINISHED, LAST),
        # Hardly better than a constant, although a better epoch is known.
        (0.9, 0.2, 2.0, Ending.WORSE, BEST),
        (1.0, 0.2, 2.0, Ending.WORSE, BEST),
        (5.0, 0.2, 2.0, Ending.WORSE, BEST),
        (5.0, 3.0, 2.0, Ending.WORSE, BEST),
        # Poor, and nothing better is known.
        (5.0, None, 2.0, Ending.POOR, LAST),
        (5.0, 6.0, 2.0, Ending.POOR, LAST),
        (5.0, 5.0, 2.0, Ending.POOR, LAST),
        (5.0, math.nan, 2.0, Ending.POOR, LAST),
        # As large as at the beginning: poor, but nothing has diverged.
        (1e9, None, 1e8, Ending.POOR, LAST),
        (1e9, None, math.inf, Ending.POOR, LAST),
        (1e9, None, math.nan, Ending.POOR, LAST),
        # Diverged, with a better epoch.
        (101.0, 0.2, 1.0, Ending.DIVERGED, BEST),
        (101.0, 50.0, 1.0, Ending.DIVERGED, BEST),
        (math.nan, 0.2, 2.0, Ending.DIVERGED, BEST),
        (math.inf, 50.0, 2.0, Ending.DIVERGED, BEST),
    ],
)
def test_verdicts(last, best, initial, ending, kept):
    """The verdict follows from the losses of last, best and initial parameters."""
    best_params = None if best is None else np.array([best])
    judge = Judge(Losses(), initial, "Do better.")
    found, params = judge.verdict(np.array([last]), best_params, Ending.FINISHED)
    assert found is ending
    assert_array_equal(params, [last if kept is LAST else best])


@pytest.mark.parametrize("best", [None, 101.0, math.nan, math.inf])
@pytest.mark.parametrize("last", [101.0, math.nan, math.inf])
def test_nothing_sound_is_an_error(last, best):
    """Where the best parameters have diverged as well, there is an error with the remedy."""
    best_params = None if best is None else np.array([best])
    with pytest.raises(DivergenceError, match="Training diverged.* Do better."):
        Judge(Losses(), 1.0, "Do better.").verdict(
            np.array([last]), best_params, Ending.FINISHED
        )


def test_without_an_epoch_of_a_finite_score_there_is_no_candidate():
    with pytest.raises(DivergenceError, match="before any epoch ended well"):
        Judge(Losses(), 1.0, "").verdict(None, None, Ending.FINISHED)


def test_a_training_that_has_diverged_is_not_asked_for_its_last_parameters():
    """An infinite loss of an epoch is a verdict, even if the parameters are finite."""
    judge = Judge(Losses(), 1.0, "")
    ending, params = judge.verdict(np.array([0.1]), np.array([0.2]), Ending.DIVERGED)
    assert ending is Ending.DIVERGED and params[0] == 0.2


@pytest.mark.parametrize(
    ("losses", "last", "best", "ending"),
    [
        ([2.0, 1e3, 1.0], 0.9, 0.8, Ending.DIVERGED),
        ([1e3, 1e3, 1.0], 0.9, 0.8, Ending.DIVERGED),
        # The result is good, the rise is small, or one outlier is in all epochs.
        ([2.0, 1e3, 1.0], 0.5, 0.4, Ending.FINISHED),
        ([2.0, 150.0, 1.0], 0.9, 0.8, Ending.FINISHED),
        ([1e9, 1e9, 1e8], 0.9, 0.8, Ending.FINISHED),
        ([], 0.9, 0.8, Ending.FINISHED),
    ],
)
def test_an_epoch_with_an_immense_loss(losses, last, best, ending):
    judge = Judge(Losses(), 2.0, "")
    found, params = judge.verdict(np.array([last]), np.array([best]), Ending.FINISHED, losses)
    assert found is ending
    assert params[0] == (best if ending is Ending.DIVERGED else last)


@pytest.mark.parametrize(
    ("last", "ending"),
    [(0.1, Ending.CONVERGED), (1.0, Ending.CONVERGED), (1.1, Ending.STUCK)],
)
def test_a_line_search_may_fail_at_a_kink(last, ending):
    found, _ = Judge(Losses(), 2.0, "").verdict(np.array([last]), None, Ending.STUCK)
    assert found is ending


def test_an_immense_loss_is_an_error_if_nothing_better_is_known():
    with pytest.raises(DivergenceError):
        Judge(Losses(), 2.0, "").verdict(np.array([0.9]), None, Ending.FINISHED, [1e3, 1.0])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_parameter_that_is_not_finite_is_no_sound_one(bad):
    """Parameters are looked at themselves: a dead unit hides its infinite bias."""
    with pytest.raises(DivergenceError):
        Judge(Losses(), 1.0, "").verdict(np.array([0.1, bad]), None, Ending.CONVERGED)


@pytest.mark.parametrize(
    ("last", "ending"), [(-5.0, Ending.FINISHED), (0.9, Ending.FINISHED), (3.0, Ending.POOR)]
)
def test_negative_losses(last, ending):
    """The loss "normal" may be negative; distances are compared then."""

    class Negative(Losses):
        def constant_loss(self):
            return -0.5

    found, _ = Judge(Negative(), 1.0, "").verdict(np.array([last]), None, Ending.FINISHED)
    assert found is ending


# The probe.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_the_loss_is_that_of_all_rows_of_a_small_table(
    as_sparse, weighted, make_problem, make_batches
):
    """A table that is no larger than the probe is evaluated as a whole, without penalty."""
    options = {"as_sparse": as_sparse, "weighted": weighted, "penalty": ElasticNet(0.5)}
    objective, params, batch = make_problem(n_rows=20, **options)
    batches = make_batches(*batch, batch_size=3, rng=np.random.default_rng(0))
    first, second = objective.network.views(params)
    hidden = np.tanh(batch.X @ first.weight + first.bias)
    error = hidden @ second.weight + second.bias - batch.y
    expected = np.average(error[:, 0] ** 2 / 2, weights=batch.sample_weight)
    assert_allclose(Probe(objective, batches).loss(params), expected, rtol=1e-12)


def test_a_probe_of_many_rows_is_small_and_even(make_problem, make_batches):
    """The first, the last and evenly spaced rows between them are taken."""
    objective, _, batch = make_problem(n_rows=1000)
    sample = make_batches(*batch, batch_size=7).sample(PROBE_ROWS)
    (rows,) = np.nonzero((batch.X[:, np.newaxis] == sample.X).all(axis=2).any(axis=1))
    assert len(rows) == PROBE_ROWS and rows[0] == 0 and rows[-1] == 999
    assert set(np.diff(rows)) == {15, 16}
    assert_array_equal(sample.y, batch.y[rows])


def test_a_probe_draws_nothing(make_problem, make_batches):
    """Neither dropout nor the order of the rows is drawn, so that training stays the same."""
    objective, params, batch = make_problem((Dense(5, ReLU()), Dropout(0.5)), n_rows=30)
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    probe = Probe(objective, make_batches(*batch, batch_size=7, rng=rng))
    assert probe.loss(params) == probe.loss(params)
    assert rng.bit_generator.state == state


def test_infinite_predictions_have_no_loss(make_problem, make_batches):
    """A bounded loss of infinite predictions counts as NaN."""

    class Zero(Loss):
        def pointwise(self, y, raw, gradient_out):
            return np.zeros(len(y))

    objective, params, batch = make_problem((Dense(5, ReLU()),), Zero(), n_rows=30)
    probe = Probe(objective, make_batches(*batch))
    assert probe.loss(params) == 0
    assert math.isnan(probe.loss(params * 1e200))


def test_predictions_are_computed_in_the_precision_of_the_result(make_problem, make_batches):
    """Finite parameters whose predictions overflow in float32 are not sound there."""
    objective, params, batch = make_problem((Dense(5, ReLU()),), n_rows=30)
    wide = Probe(objective, make_batches(*batch))
    assert math.isfinite(wide.loss(params * 1e25))
    batch = batch._replace(X=batch.X.astype(np.float32), y=batch.y.astype(np.float32))
    narrow = Probe(objective, make_batches(*batch))
    assert math.isfinite(narrow.loss(params.astype(np.float32)))
    assert math.isnan(narrow.loss((params * 1e25).astype(np.float32)))


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    [
        ("squared_error", [[-1.0], [1.0]], 0.5),
        # All rows are at the mean: half the loss of a prediction that is off by one.
        ("squared_error", [[0.0], [0.0]], 0.25),
        # A number that all rows have tells nothing about the spread of y.
        ("squared_error", [[30.0], [30.0]], 450.0),
        ("absolute_error", [[30.0], [30.0]], 30.0),
        ("absolute_error", [[-1.0], [1.0]], 1.0),
        ("poisson", [[1.0], [1.0]], (math.cosh(1) - 1) / 2),
        ("gamma", [[1.0], [1.0]], (math.cosh(1) - 1) / 2),
        ("tweedie", [[1.0], [1.0]], 2 * (math.cosh(0.5) - 1)),
        ("binary_log_loss", [[1.0], [0.0]], math.log(2)),
        ("log_loss", [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], math.log(3)),
        # Where y is not standardized, the constant is its mean, median or quantile.
        ("squared_error", [[499.0], [501.0]], 0.5),
        ("absolute_error", [[499.0], [501.0]], 1.0),
        ("huber", [[499.0], [501.0]], 0.5),
        ("quantile", [[499.0], [501.0]], 0.5),
        # The standard deviation is one, and remains so for a mean that is off by one.
        ("normal", [[499.0], [501.0]], math.log(1 + 1e-6) / 2 + 0.5),
        ("normal", [[490.0], [510.0]], math.log(100 + 1e-6) / 2 + 0.5),
        ("normal", [[0.9], [1.1]], (math.log(0.010001) / 2 + 0.5 + 0.5 / 0.010001) / 2),
    ],
)
def test_loss_of_a_constant(loss, y, expected, make_batches):
    """The loss is the one of the mean of y or of classes of equal probability."""
    y = np.array(y)
    network = Network((Dense(LOSSES[loss]().link.n_raw(y.shape[1]), Identity()),), 1)
    objective = Objective(network, LOSSES[loss](), ElasticNet())
    for weight in (None, np.array([1e-9, 1e-9])):
        probe = Probe(objective, make_batches(np.zeros((2, 1)), y, weight))
        assert_allclose(probe.constant_loss(), expected, rtol=1e-12)


class Square(Link):
    """Predicts the square of what the network computes."""

    def inverse(self, raw):
        return raw**2

    def inverse_backward(self, raw, delta):
        return 2 * raw * delta


@pytest.mark.parametrize("link", [Square(), MeanAndStd()], ids=repr)
def test_the_constant_of_a_loss_with_another_link(link):
    """The mean of y is none of its raw predictions."""

    own = type("Own", (SquaredError,), {"link": link})()
    y = np.array([[499.0, 3.0], [501.0, 5.0]])
    assert_array_equal(own.constant(y), np.zeros(link.n_raw(2)))


@pytest.mark.parametrize(
    ("off", "ending"), [(0.0, Ending.FINISHED), (1.0, Ending.FINISHED), (13.0, Ending.POOR)]
)
def test_a_wide_normal_distribution_far_off_is_poor(off, ending, make_batches):
    """Its loss is small, since the standard deviation makes up for the mean."""
    y = np.random.default_rng(0).normal(size=(200, 1))
    network = Network((Dense(2, Identity()),), 1)
    objective = Objective(network, NormalLikelihood(), ElasticNet())
    probe = Probe(objective, make_batches(np.zeros((200, 1)), y))
    params = np.array([0, 0, off, math.log(math.hypot(1, off))])
    judge = Judge(probe, probe.loss(np.zeros(4)), "")
    assert judge.verdict(params, None, Ending.FINISHED)[0] is ending


def test_loss_of_an_ensemble_is_that_of_its_mean(make_batches):
    """A probe judges what users get: the mean prediction of the members."""
    network = Network((EnsembleInput(3, ReLU(), 4), EnsembleHead(1, 4)), 2, n_members=4)
    rng = np.random.default_rng(0)
    X, y, params = rng.normal(size=(9, 2)), 2 * rng.normal(size=(9, 1)), network.init(rng)
    probe = Probe(Objective(network, SquaredError(), ElasticNet()), make_batches(X, y))
    first, head = network.views(params)
    members = [
        np.maximum((X * first.scale[m]) @ first.weight + first.bias[m], 0) @ head.weight[m]
        + head.bias[m]
        for m in range(4)
    ]
    error = np.mean(members, axis=0) - y
    assert_allclose(probe.loss(params), (error**2).mean() / 2, rtol=1e-12)
    assert_allclose(probe.constant_loss(), y.var() / 2, rtol=1e-12)
