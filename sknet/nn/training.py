"""The training loop: epochs, their record, early stopping and the cool-down."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from sknet.nn.budget import Budget
from sknet.nn.epochs import Epoch, Epochs, UpdateRule
from sknet.nn.kernels import Array
from sknet.nn.objective import BatchIterable, Objective
from sknet.nn.schedules import Schedule
from sknet.nn.shares import Team
from sknet.nn.soundness import POOR_FACTOR, Ending, Evaluator, Judge, Probe
from sknet.nn.state import (
    Begun,
    Monitor,
    Stopping,
    TrainingResult,
    TrainingState,
    append,
    memorizes,
)

#: The number that a plateau divides the learning rate by.
PLATEAU_DIVISOR = 5
#: A plateau ends training if the learning rate is no larger than this.
SMALLEST_RATE = 1e-6
#: The epochs of a cool-down on all rows, as a fraction of the epochs up to the best one.
COOLING_EPOCHS = 0.3
#: A cool-down from the best epoch begins at this part of the plan, or later.
COOLING_PROGRESS = 0.6
#: The number of places in the rest of a plan that are searched for a low enough learning rate.
COOLING_PLACES = 1000
#: The learning rate rises if it is higher after a further part of the plan of this size.
RISE = 0.001
#: The quantities that the training itself records for each epoch.
OWN_RECORD = ("loss", "penalty", "learning_rate", "seconds")


#: A function that judges parameters after an epoch. It returns values for the history, such as
#: "validation_score", where higher is better.
Evaluate: TypeAlias = Callable[[Array], dict[str, float]]
#: A function that receives the number of each epoch, its record and the parameters. It returns
#: a true value to stop training.
Report: TypeAlias = Callable[[int, dict[str, float], Array], Any]


def train(
    objective: Objective,
    params: Array,
    batches: BatchIterable,
    rule: UpdateRule,
    stopping: Stopping,
    state: TrainingState,
    *,
    evaluate: Evaluate | None = None,
    report: Report | None = None,
    poor: float = POOR_FACTOR,
    team: Team | None = None,
    return_to_best: bool = False,
    all_batches: Callable[[], BatchIterable] | None = None,
    budget: Budget | None = None,
) -> TrainingResult:
    """Minimize the objective by mini-batch steps; ``params`` is updated in place.

    Parameters
    ----------
    objective : Objective
    params : ndarray of shape (n_params,)
        The initial parameters.
    batches : BatchIterable
        Each iteration is one epoch of batches, or the rest of the epoch that ``state`` is in.
    rule : UpdateRule
    stopping : Stopping
    state : TrainingState
        A new state, or the state of an earlier call that is to be continued; updated in place.
    evaluate : callable, optional
        ``evaluate(params)`` is called after each epoch. It returns a dict of values for the
        history, of which early stopping watches "validation_score". The parameters of the best
        epoch are returned. Without ``evaluate``, early stopping watches the objective, and the
        parameters of the last epoch are returned.
    report : callable, optional
        ``report(iteration, record, params)`` is called after each epoch. A true result stops
        training.
    poor : float, default=POOR_FACTOR
        The result is poor if its loss exceeds this multiple of the loss of a constant
        prediction.
    team : Team, optional
        The threads that share the work of a step. The result does not depend on their number.
    return_to_best : bool, default=False
        Whether a cool-down begins at the best epoch, and not at the last one. Once the score
        has stopped improving, a cool-down takes the learning rate to zero, if the schedule
        plans to do so at its end.
    all_batches : callable, optional
        ``all_batches()`` returns batches of the training rows and of the rows that ``evaluate``
        judges. The cool-down trains on these batches, without a score, from the best epoch on.
        If something has been learned, it begins at the latest when the plan is nearly over. The
        last parameters are then returned.
    budget : Budget, optional
        The time that the fit may take. The plan is shortened to stay within it.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        If training diverges before an epoch has ended well (see
        :mod:`sknet.nn.soundness`).
    """
    epoch = Epoch(
        params,
        rule,
        stopping.horizon(state.cooling),
        state,
        objective,
        batches,
        team or Team(),
        return_to_best,
        all_batches=all_batches,
        budget=budget or Budget(),
    )
    # The result is judged on some of these rows, even after a cool-down on all rows.
    probe = Probe(objective, batches)
    return train_epochs(epoch, probe, stopping, evaluate, report, poor)


def train_epochs(
    epoch: Epochs,
    probe: Evaluator,
    stopping: Stopping,
    evaluate: Evaluate | None,
    report: Report | None,
    poor: float = POOR_FACTOR,
) -> TrainingResult:
    """Run epochs until a condition of ``stopping`` holds.

    Parameters
    ----------
    epoch : Epochs
        The object that runs the epochs. :class:`Epoch`, for example, runs them in this process.
    probe : Probe
        Some training rows on which the result is judged, or another object with its methods.
    stopping, evaluate, report, poor
        As for :func:`train`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        If training diverges before an epoch has ended well (see
        :mod:`sknet.nn.soundness`).
    """
    rule, state = epoch.rule, epoch.state
    # The patience of resumed training may differ, since "auto" depends on max_iter.
    monitor = state.monitor = replace(state.monitor or Monitor(stopping), stopping=stopping)
    if state.initial_loss is None:
        state.initial_loss = probe.loss(epoch.visible_params())
    judge = Judge(probe, state.initial_loss, rule.optimizer.divergence_remedy, poor)
    # NumPy need not warn of each overflow: the result is checked after each epoch.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        epoch.budget.begin(evaluate and partial(evaluate, epoch.visible_params()))
        ending = _make_epochs(epoch, monitor, evaluate, report)
    last = epoch.visible_params()
    if rule.ema_decay is not None:
        state.trained = epoch.params.copy()
    scored = evaluate is not None
    # Without a score, the loss is watched. That of epoch 1 belongs to the initial parameters.
    best = monitor.best_params if scored or monitor.best_iter > 1 else None
    # If a cool-down is cut short, the learning rate is still far from zero.
    cooled = state.on_all_rows and ending is not Ending.STOPPED
    candidate = best if scored and not cooled else last
    # A refit also trains on the validation rows, so its losses cannot be compared.
    losses = state.history.get("loss", [])
    compared = losses[: len(losses) - state.n_refit]
    ending, result = judge.verdict(candidate, best, ending, compared)
    np.copyto(epoch.params, result)
    if cooled and best is not None and judge.finds_spoiled(epoch.params, best):
        np.copyto(epoch.params, best)
        ending = Ending.SPOILED
    scored_params = best if scored else None
    return TrainingResult(epoch.params, state.history, ending, scored_params, state.counted)


def _make_epochs(
    epoch: Epochs, monitor: Monitor, evaluate: Evaluate | None, report: Report | None
) -> Ending:
    """Run epochs until a condition of ``monitor.stopping`` holds; return what ended them."""
    state = epoch.state
    # Without a score, a stall does not shorten a plan that takes the learning rate to zero.
    keeps_plan = evaluate is None and epoch.rule.schedule.has_horizon
    while state.position < epoch.horizon.n_epochs and not state.stopped:
        made = _make_epoch(epoch, evaluate)
        if made is None:
            return Ending.DIVERGED
        append(state.history, made.record)
        if not state.on_all_rows:
            monitor.update(state.iteration, made.score, made.judged)
            if (constant := monitor.stopping.constant_loss) is not None:
                state.unexplained = _unexplained(epoch, constant)
        if not keeps_plan:
            _plan_rest(epoch, monitor)
        if report is not None and report(state.iteration, made.record, made.visible):
            return Ending.STOPPED
    return _ending(epoch, monitor.stopping)


def _unexplained(epoch: Epochs, constant: float) -> float:
    """Return the share of the variance of y that the best epoch does not explain.

    The losses are those of the validation rows, since memorized rows say nothing about it.
    """
    losses = filter(math.isfinite, epoch.state.history["validation_loss"])
    return epoch.objective.loss.unexplained(min(losses, default=math.inf), constant)


class Made(NamedTuple):
    """An epoch that has ended: its record, and the parameters to evaluate after it.

    ``score`` belongs to the parameters ``judged``.
    """

    record: dict[str, float]
    visible: Array
    score: float
    judged: Array


def _make_epoch(epoch: Epochs, evaluate: Evaluate | None) -> Made | None:
    """Run one epoch, or the rest of one that has begun; None if it has diverged."""
    state, start = epoch.state, perf_counter()
    if state.begun is None:
        state.begun = Begun(before=None if evaluate else epoch.visible_params().copy())
    before = state.begun.before
    loss, penalty = epoch.run()
    if not (math.isfinite(loss + penalty) and np.isfinite(epoch.params).all()):
        return None
    visible = epoch.visible_params()
    record = {"loss": loss, "penalty": penalty}
    if state.on_all_rows:
        # The rows that would be judged are now training rows.
        record |= {name: math.nan for name in state.history if name not in OWN_RECORD}
        state.n_refit += 1
    elif evaluate is not None:
        record |= evaluate(visible)
    record |= {"learning_rate": epoch.learning_rate, "seconds": perf_counter() - start}
    # The loss of an epoch belongs to the parameters before it, and a score to those after.
    score = record.get("validation_score", -loss - penalty)
    return Made(record, visible, score, visible if before is None else before)


def _ending(epoch: Epochs, stopping: Stopping) -> Ending:
    """Return what has ended training, if no epoch diverged and nobody asked to stop."""
    state, cooling = epoch.state, epoch.state.cooling
    if state.stopped or (cooling is not None and cooling.n_epochs < cooling.n_planned):
        return Ending.CONVERGED
    if state.left_out:
        return Ending.TIME_LIMIT
    planned = epoch.rule.schedule.has_horizon or math.isinf(stopping.n_iter_no_change)
    return Ending.FINISHED if planned else Ending.MAX_ITER


def _plan_rest(epoch: Epochs, monitor: Monitor) -> None:
    """Change the rest of the plan if training has stalled, or if the plan is nearly over."""
    rule, state, best = epoch.rule, epoch.state, monitor.best_params
    n_left = monitor.stopping.max_iter - state.position
    returns = rule.schedule.has_horizon and state.cooling is None
    if returns and best is not None and monitor.best_iter == state.iteration:
        epoch.remember(best)
    # If nothing was learned, the best epoch is best by chance, and a refit would memorize rows.
    refits = monitor.best_value >= monitor.stopping.least_score_of_refit
    # The rest of the plan takes at most as many epochs as a cool-down would.
    nearly_over = 0 < n_left <= (monitor.stopping.n_cooling or 0)
    finishes = epoch.all_batches is not None and refits and nearly_over
    if monitor.stalled and state.cooling is None and not _waits(epoch, monitor):
        if not reduce_learning_rate(rule, state, monitor):
            state.stopped = not cool_down(epoch, monitor)
    elif finishes and state.best is not None:
        epoch.go_back(state.best)
        epoch.begin_cooling(math.inf)


def _waits(epoch: Epochs, monitor: Monitor) -> bool:
    """Return whether a stall does not shorten the plan yet.

    Some networks learn nothing until the learning rate is high, or nothing but the easiest part
    of the signal. While the rate rises, only memorizing shortens the plan. If a network learns
    vectors of levels, not even this does: each vector is learned from few rows, so the network
    may memorize noise in other columns first.
    """
    schedule, state = epoch.rule.schedule, epoch.state
    if not schedule.has_horizon:
        return False
    if monitor.best_value < monitor.stopping.least_score:
        return True
    now = epoch.horizon.progress(state.position)
    rises = now + RISE < 1 and schedule(now + RISE, 0) > schedule(now, 0)
    learns_levels = epoch.objective.network.learns_levels
    memorized = memorizes(state.history, monitor.stopping.least_loss)
    return rises and (learns_levels or not memorized)


def cool_down(epoch: Epochs, monitor: Monitor) -> bool:
    """Shorten the rest of the plan, if there is one; return whether that was done.

    The cool-down begins at the best epoch, if that was remembered. A cool-down on all rows has
    no score. It is so much shorter than the training before it that the network hardly
    memorizes the rows.
    """
    state, n_epochs, progress = epoch.state, monitor.stopping.n_cooling, None
    if n_epochs is None or not epoch.rule.schedule.has_horizon:
        return False
    if state.best is not None:
        if epoch.all_batches is not None:
            n_epochs = math.ceil(COOLING_EPOCHS * monitor.best_iter)
        best = epoch.horizon.progress(state.best.position)
        progress = cooling_start(epoch.rule.schedule, best)
        epoch.go_back(state.best)
    epoch.begin_cooling(n_epochs, progress)
    return True


def cooling_start(schedule: Schedule, best: float) -> float:
    """Return the part of the plan that counts as over when a cool-down begins.

    ``best`` is the part that was over after the best epoch. If the learning rate was still
    rising at that point, it falls from the value that it had reached: a jump to the rate at
    ``COOLING_PROGRESS`` can undo what was learned.
    """
    if best >= 1:
        return best  # The plan is over, and a schedule need not have a rate at its end.
    first, rate = max(COOLING_PROGRESS, best), schedule(best, 0)
    places = np.linspace(first, 1, COOLING_PLACES, endpoint=False).tolist()
    # The rate must not be exceeded later, either: a schedule of several cycles rises again.
    highest = np.maximum.accumulate([schedule(place, 0) for place in reversed(places)])[::-1]
    low_enough = np.flatnonzero(highest <= rate)
    return places[low_enough[0] if low_enough.size else -1]


def reduce_learning_rate(rule: UpdateRule, state: TrainingState, monitor: Monitor) -> bool:
    """Divide the learning rate, if the schedule asks for it; return whether that was done."""
    rate = rule.learning_rate_init * state.plateau_factor
    if not rule.schedule.reduces_on_plateau or rate <= SMALLEST_RATE:
        return False
    state.plateau_factor /= PLATEAU_DIVISOR
    monitor.n_stalled = 0
    return True
