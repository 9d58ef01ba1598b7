import gc
import itertools
import math
import warnings
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sknet.data.batches import Batch
from sknet.nn import shares
from sknet.nn.activations import ACTIVATIONS, Identity, ReLU, Tanh
from sknet.nn.epochs import Epoch, UpdateRule
from sknet.nn.layers import Dense, Dropout
from sknet.nn.losses import BinaryLogLoss, MultinomialLogLoss, SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Objective
from sknet.nn.optimizers import OPTIMIZERS, SGD, Adam, AdamW
from sknet.nn.schedules import (
    SCHEDULES,
    Adaptive,
    Constant,
    Cosine,
    CosLog,
    OneCycle,
    Schedule,
)
from sknet.nn.sets import ElasticNet
from sknet.nn.soundness import DivergenceError, Ending, Probe
from sknet.nn.state import (
    Horizon,
    Stopping,
    TrainingState,
    best_epoch,
    memorizes,
)
from sknet.nn.training import COOLING_PLACES, COOLING_PROGRESS, cooling_start, train

# Compared with scikit-learn.


def follow_sklearn(mlp, layers, loss, X, y, Y, run_training):
    """Return the losses of both from the same initial parameters.

    scikit-learn draws its own in a first fit of one epoch; a warm start then goes on from
    those put in their place, with an optimizer that is new.
    """
    network = Network(layers, X.shape[1])
    params = network.init(np.random.default_rng(3))
    options = {"alpha": 0, "batch_size": len(X), "shuffle": False, "max_iter": 1, "tol": 0}
    options |= {"warm_start": True, "n_iter_no_change": 10_000, "activation": "tanh"}
    mlp.set_params(**options, hidden_layer_sizes=[layer.n_units for layer in layers[:-1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp.fit(X, y)
        for ours, W, b in zip(network.views(params), mlp.coefs_, mlp.intercepts_, strict=True):
            W[...], b[...] = ours.weight, ours.bias
        mlp.set_params(max_iter=60).fit(X, y)
    # Some versions begin the list anew.
    expected = mlp.loss_curve_[-60:]
    sgd = SGD(mlp.momentum, mlp.nesterovs_momentum)
    result, _ = run_training(
        (Objective(network, loss, ElasticNet()), params, Batch(X, Y)),
        optimizer=sgd if mlp.solver == "sgd" else Adam(),
        learning_rate=mlp.learning_rate_init,
        max_iter=60,
    )
    return result.history["loss"], expected, result.params, mlp


SOLVERS = pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "nesterovs_momentum": True, "learning_rate_init": 0.02},
        {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.02},
        {
            "solver": "sgd",
            "momentum": 0.0,
            "nesterovs_momentum": False,
            "learning_rate_init": 0.1,
        },
        {"solver": "adam", "learning_rate_init": 0.01},
    ],
    ids=["nesterov", "momentum", "plain", "adam"],
)


@SOLVERS
def test_loss_curve_is_that_of_mlp_regressor(options, run_training):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
    layers = Dense(7, Tanh()), Dense(4, Tanh()), Dense(1, Identity())
    actual, expected, params, mlp = follow_sklearn(
        MLPRegressor(**options), layers, SquaredError(), X, y, y[:, np.newaxis], run_training
    )
    assert len(actual) == 60 and actual[-1] < 0.9 * actual[0]
    assert_allclose(actual, expected, rtol=1e-8)
    for ours, W in zip(Network(layers, 5).views(params), mlp.coefs_, strict=True):
        assert_allclose(ours.weight, W, rtol=1e-7, atol=1e-10)


@SOLVERS
@pytest.mark.parametrize("n_classes", [2, 3])
def test_loss_curve_is_that_of_mlp_classifier(options, n_classes, run_training):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    y = np.digitize(X[:, 0] + X[:, 1] * X[:, 2], [0.0, 0.5][: n_classes - 1])
    binary = n_classes == 2
    Y = y[:, np.newaxis].astype(float) if binary else np.eye(n_classes)[y]
    layers = Dense(7, Tanh()), Dense(Y.shape[1], Identity())
    loss = BinaryLogLoss() if binary else MultinomialLogLoss()
    actual, expected, _, _ = follow_sklearn(
        MLPClassifier(**options), layers, loss, X, y, Y, run_training
    )
    assert actual[-1] < 0.9 * actual[0]
    assert_allclose(actual, expected, rtol=1e-8)


# One epoch, step by step.


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [9, 4, 1])
def test_epochs_are_steps_on_the_batches(
    name, batch_size, make_problem, make_batches, run_training, evaluate_objective
):
    # Written out: the means of loss and penalty before each step, weighted by rows; then a step
    # on all parameters, and a proximal one on the weights.
    optimizer = OPTIMIZERS[name]()
    penalty = ElasticNet(0.05, 0.6)
    problem = make_problem(penalty=penalty, weighted=True)
    objective, params, batch = problem
    result, state = run_training(
        problem, optimizer=optimizer, learning_rate=0.02, batch_size=batch_size, max_iter=3
    )
    params, slots, t = params.copy(), optimizer.init(params.size, np.float64), 0
    losses, penalties, weights = [], [], slice(objective.network.n_penalized)
    for _ in range(3):
        total = total_penalty = 0
        for part in make_batches(*batch[:3], batch_size=batch_size):
            value, gradient = evaluate_objective(objective, params, part)
            penalty_here = objective.penalty_value(params)
            total += (value - penalty_here) * part.X.shape[0] / 9
            total_penalty += penalty_here * part.X.shape[0] / 9
            t += 1
            optimizer.step(params, gradient, slots, t, 0.02)
            threshold = penalty.l1 * optimizer.effective_step(slots[:, weights], t, 0.02)
            w = params[weights]
            w[...] = np.sign(w) * np.maximum(np.abs(w) - threshold, 0)
        losses.append(total)
        penalties.append(total_penalty)
    assert_allclose(result.history["loss"], losses, rtol=1e-12)
    assert_allclose(result.history["penalty"], penalties, rtol=1e-12)
    assert_allclose(result.params, params, rtol=1e-10, atol=1e-13)
    assert (state.n_updates, state.samples_seen) == (t, 27)


class Interrupted:
    """Batches of which one, counted over all epochs, is never made."""

    def __init__(self, batches, at):
        self.batches, self.n_left = batches, at
        self.n_rows, self.batch_size = batches.n_rows, batches.batch_size
        self.sample = batches.sample

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            if not self.n_left:
                raise KeyboardInterrupt
            self.n_left -= 1
            yield batch


class Rest(Interrupted):
    """Batches whose first epoch begins after some that are done."""

    def __iter__(self):
        n_done, self.n_left = self.n_left, 0
        yield from list(self.batches)[n_done:]


@pytest.mark.parametrize("ema_decay", [None, 0.8])
@pytest.mark.parametrize(
    "n_batches, at", [(3, 1), (3, 4), (3, 8), (9, 3), (9, 4), (9, 6), (9, 17)]
)
def test_an_epoch_that_has_begun_goes_on(n_batches, at, ema_decay, make_problem, make_batches):
    """With the state of an interrupted training, the rest of it has the same bits."""
    objective, params, batch = make_problem((Dense(5, Tanh()), Dropout(0.3)))
    rule = UpdateRule(Adam(), Cosine(), 0.02, ema_decay)
    batches = make_batches(*batch[:2], batch_size=9 // n_batches)
    assert len(batches) == n_batches
    stopping = Stopping(3, 0.0, 2)

    def start():
        return TrainingState.start(Adam(), params, np.random.default_rng(0))

    undisturbed = start()
    whole = train(objective, params.copy(), batches, rule, stopping, undisturbed)
    now, state = params.copy(), start()
    with pytest.raises(KeyboardInterrupt):
        train(objective, now, Interrupted(batches, at), rule, stopping, state)
    n_done = at % n_batches
    assert (state.iteration, state.begun.n_batches) == (at // n_batches, n_done)
    result = train(objective, now, Rest(batches, n_done), rule, stopping, state)
    assert_array_equal(result.params, whole.params)
    assert result.history["loss"] == whole.history["loss"]
    assert state.monitor.best_iter == undisturbed.monitor.best_iter
    assert result.ending is whole.ending
    assert state.begun is None


def test_history_has_one_entry_an_epoch(make_problem, run_training):
    reported = []

    def report(iteration, record, params):
        reported.append((iteration, dict(record)))

    result, _ = run_training(make_problem(), max_iter=4, report=report)
    assert list(result.history) == ["loss", "penalty", "learning_rate", "seconds"]
    assert {len(values) for values in result.history.values()} == {4}
    assert min(result.history["seconds"]) > 0
    assert [iteration for iteration, _ in reported] == [1, 2, 3, 4]
    for key, values in result.history.items():
        assert [record[key] for _, record in reported] == values


def test_history_has_what_evaluate_returns(make_problem, run_training):
    scores = iter([1.0, 2.0, 3.0])

    def evaluate(params):
        return {"validation_loss": 7.0, "validation_score": next(scores)}

    result, _ = run_training(make_problem(), max_iter=3, evaluate=evaluate)
    assert set(result.history) == {
        "loss",
        "penalty",
        "validation_loss",
        "validation_score",
        "learning_rate",
        "seconds",
    }
    assert result.history["validation_loss"] == [7.0] * 3
    assert result.history["validation_score"] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_schedules_act_under_every_optimizer(name, optimizer, make_problem, run_training):
    class Spy(Schedule):
        has_horizon = SCHEDULES[name].has_horizon

        def __init__(self):
            self.calls = []

        def __call__(self, progress, samples_seen):
            self.calls.append(
                (progress, samples_seen, SCHEDULES[name]()(progress, samples_seen))
            )
            return self.calls[-1][2]

    spy = Spy()
    # Nine rows in batches of four are three updates an epoch.
    problem = make_problem()
    result, _ = run_training(
        problem,
        optimizer=OPTIMIZERS[optimizer](),
        schedule=spy,
        learning_rate=0.05,
        max_iter=4,
        batch_size=4,
    )
    assert_allclose([progress for progress, _, _ in spy.calls], np.arange(12) / 12, atol=1e-14)
    assert [seen for _, seen, _ in spy.calls] == [0] * 3 + [9] * 3 + [18] * 3 + [27] * 3
    # That of the last update of each epoch.
    expected = [0.05 * factor for _, _, factor in spy.calls[2::3]]
    assert_allclose(result.history["learning_rate"], expected, rtol=1e-14)
    constant, _ = run_training(
        problem, optimizer=OPTIMIZERS[optimizer](), learning_rate=0.05, max_iter=4, batch_size=4
    )
    assert (name in {"constant", "adaptive"}) == bool((constant.params == result.params).all())


def test_decoupled_decay_spares_biases(make_problem, run_training):
    objective, params, batch = make_problem()
    decayed, _ = run_training(
        (objective, params, batch), optimizer=AdamW(weight_decay=0.5), max_iter=1
    )
    plain, _ = run_training((objective, params, batch), optimizer=Adam(), max_iter=1)
    n = objective.network.n_penalized
    assert_array_equal(decayed.params[n:], plain.params[n:])
    assert_allclose(plain.params[:n] - decayed.params[:n], 0.01 * 0.5 * params[:n], rtol=1e-9)


# When training ends.


@pytest.mark.parametrize("best", [1, 4])
@pytest.mark.parametrize("patience", [1, 2, 5])
def test_patience_is_exact(patience, best, make_problem, run_training, scripted):
    evaluate = scripted([*range(best), *[best - 1.0] * 20])
    result, state = run_training(
        make_problem(), evaluate=evaluate, patience=patience, max_iter=20
    )
    assert len(result.history["loss"]) == best + patience
    assert state.monitor.best_iter == best
    assert result.ending is Ending.CONVERGED


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_with_the_objective(patience, make_problem, run_training):
    # The rate is zero after the third epoch, so that the fourth loss is the last new one.
    class Halting(Schedule):
        def __call__(self, progress, samples_seen):
            return 1.0 if samples_seen < 27 else 0.0

    result, _ = run_training(
        make_problem(), schedule=Halting(), optimizer=SGD(0.0), patience=patience, max_iter=20
    )
    losses = result.history["loss"]
    assert losses[0] > losses[1] > losses[2] > losses[3] == losses[4 - 1 + patience]
    assert len(losses) == 4 + patience
    assert result.ending is Ending.CONVERGED


def test_an_improvement_starts_patience_anew(make_problem, run_training, scripted):
    evaluate = scripted([0, -1, -1, 1, 0, 0, 2, 1, 1, 1, 9])
    result, state = run_training(make_problem(), evaluate=evaluate, patience=3, max_iter=11)
    assert len(result.history["loss"]) == 10
    assert state.monitor.best_iter == 7


@pytest.mark.parametrize("scale", [-1e6, -1.0, -1e-6, 1e-6, 1e6])
def test_tol_is_relative(scale, make_problem, run_training, scripted):
    # Steps of the best value's 1.5 % count at tol=1 %, steps of 0.5 % do not.
    growth = 1 if scale > 0 else -1
    scores = [scale]
    for share in (0.015, 0.015, 0.005, 0.005, 0.005):
        scores.append(scores[-1] * (1 + growth * share))
    result, state = run_training(
        make_problem(), evaluate=scripted(scores), tol=0.01, patience=2, max_iter=6
    )
    assert len(result.history["loss"]) == 5
    # What is too small to go on for is the best all the same.
    assert state.monitor.best_iter == 5


def test_best_parameters_are_restored(make_problem, run_training, scripted):
    evaluate = scripted([0, 3, 1, 2, 3, 2])
    result, state = run_training(make_problem(), evaluate=evaluate, max_iter=6)
    assert state.monitor.best_iter == 2
    assert_array_equal(result.params, evaluate.seen[1])
    assert (evaluate.seen[1] != evaluate.seen[-1]).any()


def test_without_evaluation_the_last_epoch_stays(make_problem, run_training):
    problem = make_problem()
    # Momentum overshoots: the best of 40 losses is not the last.
    result, state = run_training(
        problem, optimizer=SGD(0.99, False), learning_rate=0.05, max_iter=40
    )
    longer, _ = run_training(
        problem, optimizer=SGD(0.99, False), learning_rate=0.05, max_iter=41
    )
    assert state.monitor.best_iter < 40
    assert state.monitor.best_iter == np.argmin(result.history["loss"]) + 1
    objective, _, batch = problem
    workspace = Workspace(objective.network, 9, np.float64)
    raw = objective.network.forward(result.params, batch.X, workspace)
    last = objective.loss.mean(batch.y, raw, None, workspace.delta)
    assert_allclose(last, longer.history["loss"][-1], rtol=1e-13)


@pytest.mark.parametrize(
    "history, expected",
    [
        ({"loss": [3.0, math.nan, 1.0, 2.0], "penalty": [0.0] * 4}, 3),
        ({"loss": [3.0, 1.0, 2.0], "penalty": [0.0, 2.5, 0.5]}, 3),
        ({"loss": [1.0, 1.0], "penalty": [0.0, 0.0]}, 1),
        ({"loss": [3.0, 2.0, 1.0], "validation_score": [0.1, 0.5, math.nan]}, 2),
    ],
    ids=["loss", "objective", "first", "score"],
)
def test_the_best_epoch_has_the_lowest_objective_or_the_highest_score(history, expected):
    """The first one of equal epochs is the best; NaN never is."""
    assert best_epoch(history) == expected


def test_nan_scores_are_no_improvement(make_problem, run_training, scripted):
    evaluate = scripted([math.nan, 1.0, math.nan, math.nan, 5.0])
    result, state = run_training(make_problem(), evaluate=evaluate, patience=2, max_iter=5)
    assert len(result.history["loss"]) == 4
    assert state.monitor.best_iter == 2
    assert_array_equal(result.params, evaluate.seen[1])


@pytest.mark.parametrize("name", SCHEDULES)
def test_convergence_at_max_iter(name, make_problem, run_training):
    result, _ = run_training(
        make_problem(), schedule=SCHEDULES[name](), patience=50, max_iter=5
    )
    assert len(result.history["loss"]) == 5
    planned = name in {"cosine", "one_cycle", "coslog"}
    assert result.ending is (Ending.FINISHED if planned else Ending.MAX_ITER)


def test_endless_patience_means_max_iter(make_problem, run_training, scripted):
    result, _ = run_training(
        make_problem(), evaluate=scripted([0.0] * 30), patience=math.inf, max_iter=30
    )
    assert len(result.history["loss"]) == 30
    assert result.ending is Ending.FINISHED


# The adaptive rate.


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.parametrize("learning_rate", [1e-3, 0.2, 1e-6])
def test_adaptive_rate_falls_by_five(
    learning_rate, patience, make_problem, run_training, scripted
):
    result, state = run_training(
        make_problem(),
        learning_rate=learning_rate,
        schedule=Adaptive(),
        evaluate=scripted([0.0] * 200),
        patience=patience,
        max_iter=200,
    )
    expected, rate = [learning_rate] * (1 + patience), learning_rate
    while rate > 1e-6:
        rate /= 5
        expected += [rate] * patience
    assert_allclose(result.history["learning_rate"], expected, rtol=1e-12)
    assert result.ending is Ending.CONVERGED
    assert_allclose(state.plateau_factor * learning_rate, rate, rtol=1e-12)


def test_adaptive_rate_stays_while_there_is_progress(make_problem, run_training, scripted):
    result, _ = run_training(
        make_problem(),
        learning_rate=0.01,
        schedule=Adaptive(),
        evaluate=scripted([0, 1, 2, 2, 2, 3, 4, 4]),
        patience=2,
        max_iter=8,
    )
    assert_allclose(result.history["learning_rate"], [0.01] * 5 + [0.002] * 3)
    assert result.ending is Ending.MAX_ITER


#: A plan of ten epochs of gradient descent, and a cool-down after two without improvement.
COOLED = {
    "schedule": Cosine(),
    "max_iter": 10,
    "patience": 2,
    "n_cooling": 3,
    "learning_rate": 1.0,
    "optimizer": SGD(momentum=0.0),
}


def rates_at(progress):
    """Return the learning rates of that plan at parts of it."""
    return [0.5 + 0.5 * np.cos(np.pi * one) for one in progress]


def test_a_cool_down_brings_the_planned_rate_to_zero_early(
    make_problem, run_training, scripted
):
    """After two epochs without improvement, the last seven of ten are passed in three."""
    script = scripted([1, 0, 0, 0, 0, 5])
    result, state = run_training(make_problem(), evaluate=script, **COOLED)
    rates = rates_at([0, 0.1, 0.2, 0.3, 0.3 + 0.7 / 3, 0.3 + 1.4 / 3])
    assert_allclose(result.history["learning_rate"], rates, rtol=1e-12)
    assert state.cooling.cooling_since == 3 and result.ending is Ending.CONVERGED
    assert_array_equal(result.params, script.seen[-1])


def test_a_cool_down_that_returns_begins_at_the_best_epoch(
    make_problem, run_training, scripted
):
    """The best of ten epochs was the fourth; the last 0.4 are passed in three from there."""
    script = scripted([1, 2, 3, 4, 0, 0, 0, 0, 5])
    objective, params, batch = make_problem()
    problem = objective, params, batch
    result, state = run_training(problem, evaluate=script, return_to_best=True, **COOLED)
    rates = rates_at([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6 + 0.4 / 3, 0.6 + 0.8 / 3])
    assert_allclose(result.history["learning_rate"], rates, rtol=1e-12)
    assert state.cooling.cooling_since == 6 and result.ending is Ending.CONVERGED
    best, gradient = script.seen[3].copy(), np.empty_like(params)
    workspace = Workspace(objective.network, batch.X.shape[0], params.dtype)
    objective.loss_and_gradient(best, batch, workspace, gradient)
    assert_allclose(script.seen[6], best - rates[6] * gradient, rtol=1e-10)
    assert_array_equal(result.params, script.seen[-1])


def test_a_cool_down_never_makes_a_training_longer(make_problem, run_training, scripted):
    """Nor does it begin without a score, or with a rate that does not fall by plan."""
    kept, _ = run_training(
        make_problem(), schedule=Cosine(), max_iter=6, evaluate=scripted([1] * 6)
    )
    cooled, state = run_training(
        make_problem(),
        schedule=Cosine(),
        max_iter=6,
        patience=2,
        n_cooling=30,
        evaluate=scripted([1] * 6),
    )
    assert state.cooling.cooling_since == 3
    assert_allclose(cooled.params, kept.params, rtol=1e-12)
    unscored, state = run_training(
        make_problem(), schedule=Cosine(), max_iter=6, tol=1.0, patience=1, n_cooling=1
    )
    assert state.cooling is None and len(unscored.history["loss"]) == 6
    constant, state = run_training(
        make_problem(), max_iter=6, patience=1, n_cooling=3, evaluate=scripted([1] * 6)
    )
    assert state.cooling is None and len(constant.history["loss"]) == 2


def resumed_rates(make_problem, run_training, scripted, n_before, max_iter, **options):
    """Return the learning rates of a training run that goes on with another ``max_iter``."""
    options = {"schedule": Cosine(), "n_cooling": 4, "patience": 2, **options}
    before = scripted([1] + [0] * (n_before - 1))
    objective, _, batch = problem = make_problem()

    def interrupt(iteration, record, params):
        return iteration == n_before

    first, state = run_training(
        problem, max_iter=20, evaluate=before, report=interrupt, **options
    )
    resumed, _ = run_training(
        (objective, first.params, batch),
        max_iter=max_iter,
        evaluate=scripted([0] * 200),
        state=state,
        **options | {"n_cooling": -(-max_iter // 5)},
    )
    return resumed.history["learning_rate"]


@pytest.mark.parametrize("n_before", [3, 5, 7])
def test_a_cool_down_goes_on_as_planned_with_another_max_iter(
    n_before, make_problem, run_training, scripted
):
    """The learning rate does not rise again, and a finished run has no more epochs."""
    same = resumed_rates(make_problem, run_training, scripted, n_before, 20)
    assert len(same) == 3 + 4
    for max_iter in (7, 40, 200):
        other = resumed_rates(make_problem, run_training, scripted, n_before, max_iter)
        assert other == same


@pytest.mark.parametrize(("max_iter", "n_epochs"), [(6, 6), (5, 5), (4, 5), (1, 5)])
def test_a_cool_down_respects_a_smaller_max_iter(
    max_iter, n_epochs, make_problem, run_training, scripted
):
    rates = resumed_rates(make_problem, run_training, scripted, 5, max_iter)
    assert len(rates) == n_epochs
    assert (np.diff(rates) < 0).all()


def test_a_resumed_training_has_its_own_patience(make_problem, run_training, scripted):
    """The first training run would have waited longer."""
    objective, _, batch = problem = make_problem()
    first, state = run_training(
        problem, max_iter=4, patience=9, evaluate=scripted([1, 0, 0, 0])
    )
    resumed, _ = run_training(
        (objective, first.params, batch),
        max_iter=20,
        patience=5,
        evaluate=scripted([0] * 20),
        state=state,
    )
    assert len(resumed.history["loss"]) == 6


# The cool-down on all rows.


@pytest.fixture
def refit(make_problem, make_batches, run_training, scripted):
    """Return the result of training with further rows for its cool-down, and its state."""
    objective, params, batch = make_problem(n_rows=15)
    some = batch._replace(X=batch.X[:9], y=batch.y[:9])

    def run(scores, problem=(objective, params, some), losses=(), **options):
        defaults = {"schedule": Cosine(), "optimizer": Adam(), "max_iter": 10, "patience": 2}
        return run_training(
            problem,
            evaluate=scripted(scores, losses),
            all_batches=lambda: make_batches(*batch[:3]),
            **{**defaults, "n_cooling": 2, "learning_rate": 0.1, **options},
        )

    run.problem = objective, params, batch
    return run


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_cool_down_on_all_rows_goes_back_to_the_best_epoch(refit, ema_decay):
    """A step at 0.6 of the plan with all rows, from the state after the second epoch."""
    result, state = refit([1, 2, 0, 0], ema_decay=ema_decay)
    rates = [0.05 + 0.05 * np.cos(np.pi * part) for part in (0, 0.1, 0.2, 0.3, 0.6)]
    assert_allclose(result.history["learning_rate"], rates, rtol=1e-12)
    assert_array_equal(result.history["validation_score"], [1, 2, 0, 0, np.nan])
    assert (state.monitor.best_iter, result.ending) == (2, Ending.CONVERGED)

    stop = {"report": lambda iteration, record, params: iteration == 2}
    best, state = refit([1, 2], ema_decay=ema_decay, **stop)
    assert_array_equal(result.scored_params, best.params)
    objective, _, batch = refit.problem
    params, gradient = best.params.copy(), np.empty_like(best.params)
    workspace = Workspace(objective.network, batch.X.shape[0], params.dtype)
    objective.loss_and_gradient(params, batch, workspace, gradient)
    Adam().step(params, gradient, state.slots, 3, rates[-1])
    if ema_decay is not None:
        decay = min(ema_decay, 4 / 13)  # of the third update
        params = decay * best.params + (1 - decay) * params
    assert_allclose(result.params, params, rtol=1e-12)


@pytest.mark.parametrize("patience", [2, 20])
def test_without_a_gain_there_is_no_cool_down_on_all_rows(refit, patience):
    """An epoch is the best by chance: the whole plan is scored, and this epoch is returned."""
    scores = [1, 2, *[0] * 8]
    learned, _ = refit(scores, patience=patience, least_score=2, of_refit=2)
    assert np.isnan(learned.history["validation_score"][-1])
    result, state = refit(scores, patience=patience, least_score=2.1, of_refit=2.1)
    assert_array_equal(result.history["validation_score"], scores)
    assert not state.on_all_rows
    best, _ = refit(scores[:2], report=lambda iteration, record, params: iteration == 2)
    assert_array_equal(result.params, best.params)


def test_a_cool_down_does_not_raise_the_learning_rate(refit):
    """After the second of twenty epochs the rate rises; it falls from what it was by then."""
    losses = [1e9, 1e9, 2e9, 2e9]  # It memorizes, so that it does not wait.
    options = {"schedule": OneCycle(), "max_iter": 20, "n_cooling": 4}
    result, _ = refit([1, 2, 0, 0], losses=losses, **options)
    *rising, falling = result.history["learning_rate"]
    assert len(rising) == 4 and np.all(np.diff(rising) > 0)
    assert_allclose(falling, 0.1 * OneCycle()(0.1, 0), rtol=0.01)
    assert falling <= 0.1 * OneCycle()(0.1, 0) < 0.1 * OneCycle()(0.6, 0)


@pytest.mark.parametrize(
    ("losses", "n_epochs"),
    [
        ([1e9] * 20, 7),
        ([1e9, 1e9, 1.01e9, 1.01e9, 1.03e9, 1e9, 1e9], 6),
        ([1e-9, 1e-9, *[2e-9] * 18], 7),
        ([], 7),
    ],
    ids=["no rise", "a small rise, then a large one", "less than in training", "none"],
)
def test_a_stall_waits_while_the_learning_rate_rises(refit, losses, n_epochs):
    """The rate rises in the first six of twenty epochs; a cool-down of one epoch follows."""
    options = {"schedule": OneCycle(), "max_iter": 20, "n_cooling": 4}
    result, state = refit([1, 2, *[0] * 18], losses=losses, **options)
    assert len(result.history["loss"]) == n_epochs
    assert state.monitor.best_iter == 2 and result.ending == Ending.CONVERGED


@pytest.mark.parametrize(("least_loss", "found"), [(0.0, False), (0.08, True)])
def test_memorizing_shows_in_the_excess_of_the_training_loss(least_loss, found):
    history = {"loss": [0.3, 0.1], "validation_loss": [0.05, 0.06]}
    assert memorizes(history, least_loss) is found


@pytest.mark.parametrize("losses", list(itertools.permutations([np.nan, 0.05, 0.5])))
def test_memorizing_does_not_depend_on_the_place_of_a_nan(losses):
    """An epoch without a validation loss does not count, wherever it is in the record."""
    history = {"loss": [0.1] * 4, "validation_loss": [*losses, 0.06]}
    assert memorizes(history, 0.08) is True
    history = {"loss": [0.1] * 4, "validation_loss": [np.nan] * 4}
    assert memorizes(history, 0.08) is False


@pytest.mark.parametrize(("learns_levels", "n_epochs"), [(False, 5), (True, 7)])
def test_vectors_of_levels_are_waited_for(refit, monkeypatch, learns_levels, n_epochs):
    """While the rate rises, memorizing ends the training of other networks only."""
    monkeypatch.setattr(Network, "learns_levels", learns_levels)
    options = {"schedule": OneCycle(), "max_iter": 20, "n_cooling": 4}
    result, _ = refit([1, 2, *[0] * 18], losses=[1e9, 1e9, *[2e9] * 18], **options)
    assert len(result.history["loss"]) == n_epochs


@pytest.mark.parametrize("schedule", [OneCycle(), Cosine()], ids=type)
def test_a_cool_down_starts_at_the_first_place_with_no_higher_rate(schedule):
    for best in np.arange(0.01, 0.99, 0.01):
        start, rate = cooling_start(schedule, best), schedule(best, 0)
        first = max(COOLING_PROGRESS, best)
        space = (1 - first) / COOLING_PLACES
        assert first <= start < 1 and schedule(start, 0) <= rate
        if start > first:
            assert schedule(start - space, 0) > rate


@pytest.mark.parametrize("best", [0.1, 0.35, 0.6, 0.9])
def test_in_a_cool_down_a_schedule_of_several_cycles_never_rises_above_its_first_rate(best):
    schedule = CosLog()
    start, rate = cooling_start(schedule, best), schedule(best, 0)
    assert max(schedule(place, 0) for place in np.linspace(start, 1, 500)) <= rate


@dataclass(frozen=True)
class Listed(Schedule):
    """A factor for each fifth of the plan; there is none at its end."""

    has_horizon = True

    def __call__(self, progress, samples_seen):
        return (1.0, 0.8, 0.6, 0.4, 0.2)[int(5 * progress + 1e-9)]


def test_a_training_that_stalls_in_its_last_epoch_asks_for_no_further_rate(
    make_problem, run_training, scripted
):
    """Each of the five epochs is the best by less than the tolerance."""
    script = scripted([1, 1.01, 1.02, 1.03, 1.04])
    options = {**COOLED, "max_iter": 5, "patience": 4, "tol": 0.1}
    options |= {"schedule": Listed(), "evaluate": script, "return_to_best": True}
    result, state = run_training(make_problem(), **options)
    assert (state.monitor.best_iter, result.ending) == (5, Ending.FINISHED)


def test_a_plan_that_is_nearly_over_is_finished_on_all_rows(refit):
    """The last fifth of the plan is as planned, but the best of the epochs before begins it."""
    result, state = refit([1, 2, 3, 4, 5, 6, 8, 7], patience=5)
    rates = [0.05 + 0.05 * np.cos(np.pi * epoch / 10) for epoch in range(10)]
    assert_allclose(result.history["learning_rate"], rates, rtol=1e-12)
    assert_array_equal(np.isnan(result.history["validation_score"]), [False] * 8 + [True] * 2)
    assert (state.monitor.best_iter, result.ending) == (7, Ending.FINISHED)


def test_a_rate_that_does_not_fall_by_plan_has_no_cool_down_on_all_rows(refit):
    result, state = refit([1, 2, 0, 0], schedule=Constant())
    assert result.history["validation_score"] == [1, 2, 0, 0]
    assert_array_equal(result.params, result.scored_params)
    assert state.cooling is None


@pytest.mark.parametrize("n_before", [8, 9, 10])
def test_a_cool_down_on_all_rows_can_be_interrupted(refit, n_before):
    """Before it, when it has just begun, and within it."""
    scores = [1, 2, 3, 4, 5, 6, 7, 0, 0]
    options = {"max_iter": 20, "n_cooling": 4}
    whole, _ = refit(scores, **options)
    assert len(whole.history["loss"]) == 9 + 3
    visible = []

    def stop(iteration, record, params):
        visible.append(params.copy())
        return iteration == n_before

    _, state = refit(scores, **options, report=stop)
    objective, _, batch = refit.problem
    some = batch._replace(X=batch.X[:9], y=batch.y[:9])
    rest, _ = refit(scores[n_before:], (objective, visible[-1], some), state=state, **options)
    assert_allclose(rest.params, whole.params, rtol=1e-12)


@pytest.mark.parametrize("n_before", [3])
def test_a_cool_down_without_a_best_epoch_can_be_interrupted(refit, n_before):
    """It trains on the same rows after the interruption as before it."""
    scores = [np.nan, np.nan, 3, 4]
    stop = {"report": lambda iteration, record, params: iteration == n_before}
    whole, state = refit(scores, n_cooling=2)
    assert not state.on_all_rows
    first, state = refit(scores, n_cooling=2, **stop)
    objective, _, batch = refit.problem
    some = batch._replace(X=batch.X[:9], y=batch.y[:9])
    current = state.trained if state.trained is not None else first.params
    rest, _ = refit(scores[n_before:], (objective, current, some), state=state, n_cooling=2)
    assert_array_equal(rest.history["loss"], whole.history["loss"])
    assert_array_equal(rest.history["validation_score"], scores)


def test_the_end_of_a_resumed_cool_down_is_judged_on_the_same_rows(
    refit, make_batches, monkeypatch
):
    """These are training rows that were not held out."""
    judged = []
    monkeypatch.setattr(
        "sknet.nn.training.Probe",
        lambda objective, batches: judged.append(batches.n_rows) or Probe(objective, batches),
    )
    options = {"max_iter": 20, "n_cooling": 4}
    scores = [1, 2, 3, 4, 5, 0, 0]
    _, state = refit(scores, **options, report=lambda iteration, record, params: iteration == 8)
    assert state.on_all_rows
    refit([], **options, state=state)
    assert judged == [9, 9]


@pytest.mark.parametrize("max_iter", [1, 2])
def test_nothing_is_made_on_all_rows_after_the_last_epoch(refit, max_iter):
    result, state = refit([1, 2], max_iter=max_iter, n_cooling=1)
    assert result.counted["n_refit"] == max_iter - 1
    assert state.on_all_rows == (max_iter == 2)


def test_a_cool_down_on_all_rows_that_is_stopped_is_undone(refit):
    """The learning rate was still high."""
    scores = [1, 2, 3, 4, 5, 6, 7, 0, 0]
    stop = {"report": lambda iteration, record, params: iteration == 10}
    result, state = refit(scores, max_iter=20, n_cooling=4, **stop)
    assert result.ending is Ending.STOPPED and state.monitor.best_iter == 7
    assert_array_equal(result.params, result.scored_params)


def test_a_cool_down_on_all_rows_that_diverges_is_undone(refit):
    """The parameters are those of the best epoch."""
    result, _ = refit([1, 2, 0, 0], optimizer=SGD(0.0), schedule=Late(1e200))
    assert result.ending is Ending.DIVERGED
    assert_array_equal(result.params, result.scored_params)


def test_a_cool_down_on_all_rows_that_spoils_the_predictions_is_undone(refit):
    """Its steps are too long, but nothing diverges."""
    options = {"optimizer": SGD(0.0), "max_iter": 10, "learning_rate": 0.3}
    result, _ = refit([1, 2, 0, 0], schedule=Late(12.0), **options)
    assert result.ending is Ending.SPOILED and result.counted["n_refit"] == 1
    assert_array_equal(result.params, result.scored_params)
    sound, _ = refit([1, 2, 0, 0], schedule=Late(0.5), **options)
    assert sound.ending is Ending.CONVERGED


@dataclass(frozen=True)
class Late(Schedule):
    """1 for the first half of the plan, then a factor."""

    factor: float
    has_horizon = True

    def __call__(self, progress, samples_seen):
        return 1.0 if progress < 0.5 else self.factor


def test_a_horizon_in_rounds_is_the_same_plan():
    whole = Horizon(10, 10)
    for horizon in (whole, whole.cooled(4, 3), whole.cooled(4, 3, 0.6)):
        rounds = horizon.in_rounds(5)
        assert rounds.n_epochs == 5 * horizon.n_epochs
        for place in np.arange(horizon.cooling_since, horizon.n_epochs, 0.2):
            assert_allclose(rounds.progress(5 * place), horizon.progress(place), rtol=1e-12)
        assert horizon.progress(horizon.n_epochs) == 1


# Divergence.


@dataclass(frozen=True)
class Exploding(Schedule):
    """1 up to a number of rows, then beyond all bounds."""

    rows: int

    def __call__(self, progress, samples_seen):
        return 1.0 if samples_seen < self.rows else 1e250


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("batch_size", [9, 3])
def test_divergence_in_the_first_epoch_raises(
    evaluated, batch_size, make_problem, run_training, scripted
):
    options = {"evaluate": scripted([0.0] * 5)} if evaluated else {}
    problem = make_problem((Dense(5, ReLU()),))
    with pytest.raises(DivergenceError, match="Training diverged.*Lower learning_rate_init"):
        # Two full batches: the first step leaves finite numbers, whose loss is not.
        run_training(
            problem,
            learning_rate=1e308 if evaluated else 1e200,
            batch_size=batch_size,
            max_iter=5,
            **options,
        )


def test_divergence_error_is_a_value_error():
    # As scikit-learn's MLPs raise.
    assert issubclass(DivergenceError, ValueError)


def test_divergence_later_restores_the_best_scored(make_problem, run_training, scripted):
    evaluate = scripted([0, 2, 1, 0, 0])
    result, state = run_training(
        make_problem(),
        schedule=Exploding(27),
        evaluate=evaluate,
        max_iter=10,
        patience=1000,
    )
    assert result.ending is Ending.DIVERGED
    assert state.monitor.best_iter == 2
    assert_array_equal(result.params, evaluate.seen[1])
    # The epoch that failed is no part of the history.
    assert len(result.history["loss"]) == len(evaluate.seen) < 6
    assert np.isfinite(result.history["loss"]).all()


def test_divergence_later_restores_the_lowest_objective(make_problem, run_training):
    problem = make_problem()
    result, state = run_training(problem, schedule=Exploding(27), max_iter=10, patience=1000)
    # The objective of the fourth epoch, whose step goes wrong, is the best that was seen.
    assert result.ending is Ending.DIVERGED
    assert state.monitor.best_iter == len(result.history["loss"]) == 4
    expected, _ = run_training(problem, max_iter=3)
    assert_array_equal(result.params, expected.params)


@pytest.mark.parametrize("where", [slice(None), -1], ids=["all", "one"])
def test_divergence_of_the_parameters_alone_is_seen(
    where, make_problem, poisoned, run_training, scripted
):
    # The third epoch's loss is finite; its step is not.
    evaluate = scripted([1, 2, 3, 4, 5])
    problem = poisoned(make_problem(), 2, value_too=False, where=where)
    result, state = run_training(problem, evaluate=evaluate, max_iter=5)
    assert result.ending is Ending.DIVERGED
    assert len(result.history["loss"]) == state.monitor.best_iter == 2
    assert_array_equal(result.params, evaluate.seen[1])


# Training that goes on.


@pytest.mark.parametrize("ema_decay", [None, 0.9])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [9, 4])
@pytest.mark.parametrize("in_shares", [False, True])
def test_two_halves_equal_the_whole(
    in_shares, name, batch_size, ema_decay, make_problem, run_training, monkeypatch
):
    if in_shares:
        monkeypatch.setattr(shares, "LEAST_WORK", 1)
        monkeypatch.setattr(shares, "LEAST_ROWS", 1)
    options = {"optimizer": OPTIMIZERS[name](), "batch_size": batch_size}
    options["ema_decay"] = ema_decay
    objective, params, batch = problem = make_problem((Dense(5, ReLU()), Dropout(0.3)))
    whole, whole_state = run_training(
        problem, max_iter=10, shuffle=np.random.default_rng(1), **options
    )
    rng = np.random.default_rng(1)
    first, state = run_training(problem, max_iter=5, shuffle=rng, **options)
    losses = list(first.history["loss"])
    second, state = run_training(
        (objective, first.params, batch),
        max_iter=5,
        shuffle=rng,
        state=state.next_training(),
        **options,
    )
    assert_array_equal(second.params, whole.params)
    assert losses + second.history["loss"] == whole.history["loss"]
    assert_array_equal(state.slots, whole_state.slots)
    assert state.n_updates == whole_state.n_updates == 10 * -(-9 // batch_size)
    assert state.samples_seen == 90
    assert len(state.share_rngs) == int(in_shares)


@pytest.mark.parametrize("ema_decay", [None, 0.9])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_stopped_training_goes_on_as_if_it_had_not(
    schedule, ema_decay, make_problem, run_training
):
    options = {"schedule": SCHEDULES[schedule](), "ema_decay": ema_decay, "batch_size": 4}
    objective, _, batch = problem = make_problem((Dense(5, ReLU()), Dropout(0.3)))
    whole, of_whole = run_training(problem, shuffle=np.random.default_rng(1), **options)
    rng = np.random.default_rng(1)
    first, state = run_training(
        problem, shuffle=rng, report=lambda i, record, params: i == 4, **options
    )
    assert len(first.history["loss"]) == state.iteration == 4
    second, _ = run_training(
        (objective, first.params, batch), shuffle=rng, state=state, **options
    )
    assert_array_equal(second.params, whole.params)
    # One record of one training run.
    assert second.history["loss"] == whole.history["loss"]
    assert state.monitor.best_iter == of_whole.monitor.best_iter


def test_patience_goes_on_with_the_training(make_problem, run_training, scripted):
    evaluate = scripted([5, 1, 1, 1, 1, 1])
    problem = make_problem()
    options = {"evaluate": evaluate, "patience": 3}
    first, state = run_training(problem, max_iter=3, **options)
    best = evaluate.seen[0]
    assert_array_equal(first.params, best)
    second, _ = run_training(problem, max_iter=9, state=state, **options)
    assert len(second.history["loss"]) == 4
    assert state.monitor.best_iter == 1
    assert_array_equal(second.params, best)


def test_report_can_stop(make_problem, run_training):
    result, _ = run_training(
        make_problem(), max_iter=9, patience=50, report=lambda i, record, params: i == 2
    )
    assert len(result.history["loss"]) == 2


# The running average.


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_average_is_the_published_recursion(decay, make_problem, run_training, scripted):
    problem = make_problem(n_rows=8)
    trained = scripted([0.0] * 6)
    run_training(problem, max_iter=6, batch_size=8, evaluate=trained)
    seen = scripted([0.0] * 6)
    run_training(problem, max_iter=6, batch_size=8, evaluate=seen, ema_decay=decay)
    average = problem[1].copy()
    for t, (params, visible) in enumerate(zip(trained.seen, seen.seen, strict=True), start=1):
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * params
        assert_allclose(visible, average, rtol=1e-12, atol=1e-15)


class Watched(Interrupted):
    """Batches before each of which the parameters are copied."""

    def __init__(self, batches, params):
        super().__init__(batches, -1)
        self.params, self.seen = params, []

    def __iter__(self):
        for batch in super().__iter__():
            self.seen.append(self.params.copy())
            yield batch


@pytest.mark.parametrize("n_batches", [1, 2, 3, 4, 5, 8, 9])
def test_average_moves_after_every_fourth_step_and_after_epochs(
    n_batches, make_problem, make_batches
):
    objective, params, batch = make_problem(n_rows=2 * n_batches)
    average, state = params.copy(), TrainingState.start(SGD(), params, np.random.default_rng(0))
    batches = Watched(make_batches(*batch[:2], batch_size=2), params)
    rule = UpdateRule(SGD(), Constant(), 0.02, 0.6)
    train(objective, params, batches, rule, Stopping(3, 0.0, np.inf), state)
    after = [*batches.seen[1:], state.trained]
    assert len(after) == state.n_updates == 3 * n_batches
    for start in range(0, 3 * n_batches, n_batches):
        last = start
        for t in sorted({*range(start + 4, start + n_batches, 4), start + n_batches}):
            d = min(0.6, (1 + t) / (10 + t)) ** (t - last)
            average, last = d * average + (1 - d) * after[t - 1], t
    assert_allclose(state.average, average, rtol=1e-12, atol=1e-15)


def test_average_is_returned_and_training_goes_on_beside_it(make_problem, run_training):
    problem = make_problem()
    plain, _ = run_training(problem)
    averaged, state = run_training(problem, ema_decay=0.9)
    assert averaged.history["loss"] == plain.history["loss"]
    assert_array_equal(state.trained, plain.params)
    assert_array_equal(averaged.params, state.average)
    assert (averaged.params != plain.params).all()


def test_average_keeps_exact_zeros(sparse_truth, run_training):
    result, state = run_training(
        sparse_truth, optimizer=Adam(), ema_decay=0.99, learning_rate=0.01, max_iter=400
    )
    assert ((state.trained == 0) == (result.params == 0)).all()
    assert (result.params == 0).sum() >= 20
    assert (state.average != 0).all()


def test_state_starts_empty():
    params, rng = np.zeros(5, dtype=np.float32), np.random.default_rng(0)
    state = TrainingState.start(Adam(0.5), params, rng)
    assert state.optimizer is Adam
    assert state.rng is rng
    assert (state.n_updates, state.samples_seen, state.plateau_factor) == (0, 0, 1.0)
    assert state.slots.dtype == np.float32
    assert_array_equal(state.slots, np.zeros((2, 5)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_generators_give_equal_bits(name, make_problem, run_training):
    problem = make_problem((Dense(5, ReLU()), Dropout(0.3)))
    results = [
        run_training(
            problem,
            optimizer=OPTIMIZERS[name](),
            batch_size=4,
            shuffle=np.random.default_rng(seed),
        )[0].params
        for seed in (0, 0, 1)
    ]
    assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


# What training is for.


@pytest.mark.parametrize(
    "activation, name", [*zip(ACTIVATIONS, [*OPTIMIZERS] * 3, strict=False)]
)
def test_float32_trains_and_stays_float32(name, activation, make_problem, run_training):
    objective, params, batch = make_problem(
        (Dense(8, ACTIVATIONS[activation]()),), penalty=ElasticNet(1e-4, 0.5), n_rows=40
    )
    batch = batch._replace(X=batch.X.astype(np.float32), y=batch.y.astype(np.float32))
    result, state = run_training(
        (objective, params.astype(np.float32), batch),
        optimizer=OPTIMIZERS[name](),
        learning_rate=0.005,
        batch_size=16,
        max_iter=30,
        shuffle=np.random.default_rng(0),
    )
    assert result.params.dtype == state.slots.dtype == np.float32
    assert result.history["loss"][-1] < 0.9 * result.history["loss"][0]


@pytest.fixture
def sparse_truth():
    """Return a linear problem of which 10 of 40 columns matter, and the penalty's factor."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 40))
    truth = np.where(np.arange(40) < 10, rng.choice([-1, 1], 40) * rng.uniform(1, 2, 40), 0)
    y = X @ truth + 1 + 0.5 * rng.normal(size=300)
    network = Network((Dense(1, Identity()),), 40)
    objective = Objective(network, SquaredError(), ElasticNet(0.1, 1.0))
    return objective, network.init(rng), Batch(X, y[:, np.newaxis])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_proximal_steps_find_the_lasso(name, schedule, sparse_truth, run_training):
    objective, _, batch = sparse_truth
    lasso = Lasso(alpha=0.1, tol=1e-10).fit(batch.X, batch.y[:, 0])
    result, _ = run_training(
        sparse_truth,
        optimizer=OPTIMIZERS[name](),
        schedule=SCHEDULES[schedule](),
        learning_rate=0.005,
        max_iter=3000,
    )
    (views,) = objective.network.views(result.params)
    w = views.weight[:, 0]
    assert_allclose(w, lasso.coef_, atol=0.01)
    assert_allclose(views.bias[0], lasso.intercept_, atol=0.01)
    # Exact zeros, where the Lasso has them.
    assert 25 <= (lasso.coef_ == 0).sum() <= 30
    assert ((w == 0) == (lasso.coef_ == 0)).mean() >= 0.9


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_mini_batches_drop_noise_columns_exactly(name, schedule, sparse_truth, run_training):
    objective, _, batch = sparse_truth
    result, _ = run_training(
        sparse_truth,
        optimizer=OPTIMIZERS[name](),
        schedule=SCHEDULES[schedule](),
        learning_rate=0.005,
        batch_size=50,
        max_iter=200,
        shuffle=np.random.default_rng(0),
    )
    w = objective.network.views(result.params)[0].weight[:, 0]
    assert (w[10:] == 0).sum() >= 20
    assert (w[:10] != 0).all()


@pytest.mark.parametrize("failing", [False, True])
def test_work_arrays_are_freed_at_the_end_of_training(failing, make_problem, run_training):
    """A cycle of references would keep them until a garbage collection, fit after fit."""

    def report(*epoch):
        if failing:
            raise KeyboardInterrupt

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(KeyboardInterrupt) if failing else nullcontext():
            run_training(make_problem(), report=report)
        assert not [one for one in gc.get_objects() if isinstance(one, Epoch)]
    finally:
        gc.enable()
