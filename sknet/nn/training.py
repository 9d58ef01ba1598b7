"""The training loop: epochs, batches, history, early stopping, best parameters."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

import numpy as np
from numpy.random import Generator

from sknet.nn.kernels import blocks, divided
from sknet.nn.objective import BatchIterable, Objective
from sknet.nn.optimizers import Optimizer
from sknet.nn.schedules import Schedule
from sknet.nn.sets import Bounds
from sknet.nn.shares import BatchGradient
from sknet.nn.soundness import POOR_FACTOR, Ending, Evaluator, Judge, Probe
from sknet.nn.threads import Team
from sknet.nn.types import Array

#: The number that a plateau divides the learning rate by.
PLATEAU_DIVISOR = 5
#: A plateau ends the training if the learning rate is no larger than this.
SMALLEST_RATE = 1e-6

#: A cool-down on all rows takes this share of the epochs up to the best one. A cool-down from
#: the best epoch begins in this part of the plan.
COOLING_EPOCHS, COOLING_PROGRESS = 0.3, 0.6
#: So many places of the rest of a plan are looked at for one with a low enough learning rate.
COOLING_PLACES = 1000

#: The quantities that the training itself records of an epoch.
OWN_RECORD = ("loss", "learning_rate", "seconds")

#: The record of a training: a list for each quantity, with one entry an epoch.
History: TypeAlias = dict[str, list[float]]


class Evaluate(Protocol):
    """A function that judges parameters after an epoch."""

    def __call__(self, params: Array, /) -> dict[str, float]:
        """Return values for the history, among them "validation_score", higher is better."""
        ...


class Report(Protocol):
    """A function that is told of each epoch."""

    def __call__(self, iteration: int, record: dict[str, float], params: Array, /) -> Any:
        """Return a true value to stop the training."""
        ...


@dataclass(frozen=True)
class Stopping:
    """The conditions that end a training.

    Parameters
    ----------
    max_iter : int
        The largest number of epochs.
    tol : float
        The smallest improvement that counts, relative to the best value so far.
    n_iter_no_change : float
        So many epochs in a row that improve by less than ``tol`` end the training.
    n_cooling : int or None, default=None
        With a score and a learning rate that falls to zero by plan, they do not end it at once:
        the rest of the plan is passed through in at most so many epochs first. Once the score
        has stopped improving, more epochs at a high learning rate do not help, but lower
        rates often do. None: they end it at once.
    """

    max_iter: int
    tol: float
    n_iter_no_change: float
    n_cooling: int | None = None

    def horizon(self, cooling: "Horizon | None") -> "Horizon":
        """Return the horizon, given that of the cool-down if it has begun.

        A resumed training may have another ``max_iter``. This changes a plan that is not
        shortened yet. A cool-down keeps its plan, so that the learning rate does not rise
        again, and only ends earlier if ``max_iter`` says so.
        """
        return Horizon(self.max_iter) if cooling is None else cooling.within(self.max_iter)


@dataclass(frozen=True)
class Horizon:
    """The number of epochs of a training, and how far each of them is on in the plan.

    Parameters
    ----------
    n_planned : int
        The planned number of epochs.
    cooling_since : int, default=0
        The number of epochs after which the plan was shortened.
    n_cooling : int or None, default=None
        The number of epochs that are made after it; None if the plan was not shortened.
    cooling_from : float or None, default=None
        The part of the plan that counts as over when it was shortened; None stands for the
        part that was over.
    """

    n_planned: int
    cooling_since: int = 0
    n_cooling: int | None = None
    cooling_from: float | None = None

    @property
    def n_epochs(self) -> int:
        """The number of epochs of the whole training."""
        return self.n_planned if self.n_cooling is None else self.cooling_since + self.n_cooling

    @property
    def is_shorter(self) -> bool:
        """Whether fewer epochs are made than were planned."""
        return self.n_epochs < self.n_planned

    def progress(self, epochs: float) -> float:
        """Return the part of the plan, from 0 to 1, that is over after so many epochs.

        It may be asked for within an epoch, too.
        """
        if self.n_cooling is None:
            return epochs / self.n_planned
        before = self.cooling_from
        if before is None:
            before = self.cooling_since / self.n_planned
        return before + (1 - before) * (epochs - self.cooling_since) / self.n_cooling

    def cooled(self, since: int, n_epochs: int, progress: float | None = None) -> "Horizon":
        """Return the horizon in which the rest of the plan takes ``n_epochs`` at most.

        ``progress`` is the part of the plan that counts as over, by default what is over.
        """
        return Horizon(self.n_planned, since, n_epochs, progress).within(self.n_planned)

    def within(self, n_epochs: int) -> "Horizon":
        """Return the horizon whose last epoch is number ``n_epochs`` at most."""
        return replace(self, n_cooling=min(self.n_epochs, n_epochs) - self.cooling_since)

    def in_rounds(self, per_epoch: int) -> "Horizon":
        """Return the horizon with numbers of rounds in the place of numbers of epochs."""
        n_cooling = None if self.n_cooling is None else self.n_cooling * per_epoch
        since = self.cooling_since * per_epoch
        return Horizon(self.n_planned * per_epoch, since, n_cooling, self.cooling_from)


@dataclass(frozen=True)
class UpdateRule:
    """The rule that turns gradients into steps.

    Parameters
    ----------
    optimizer : Optimizer
    schedule : Schedule
    learning_rate_init : float
        The learning rate that the schedule multiplies.
    ema_decay : float d or None, default=None
        With a number, the running average m <- d_t m + (1 - d_t) params of the parameters is
        evaluated and returned. After t updates d_t = min(d, (1 + t) / (10 + t)), so that the
        average forgets the random start (Polyak and Juditsky, 1992, in exponential form).
    """

    optimizer: Optimizer
    schedule: Schedule
    learning_rate_init: float
    ema_decay: float | None = None

    def average_decay(self, n_updates: float) -> float:
        """Return d_t of the running average after so many updates; without one it is 0."""
        return min(self.ema_decay or 0.0, (1 + n_updates) / (10 + n_updates))

    def learning_rate(self, state: "TrainingState", progress: float) -> float:
        """Return the learning rate of the next update."""
        factor = self.schedule(progress, state.samples_seen)
        return self.learning_rate_init * state.plateau_factor * factor


@dataclass
class Monitor:
    """Watches one value an epoch, higher is better, and keeps the best parameters.

    Attributes
    ----------
    stopping : Stopping
    best_value : float
    best_iter : int
        The epoch of the best value, from 1; 0 before the first one.
    best_params : ndarray of shape (n_params,) or None
    n_stalled : int
        Epochs in a row that improved too little.
    """

    stopping: Stopping
    best_value: float = -math.inf
    best_iter: int = 0
    best_params: Array | None = None
    n_stalled: int = 0

    def update(self, iteration: int, value: float, params: Array) -> None:
        """Record the value of an epoch and the parameters that it belongs to."""
        if not math.isfinite(self.best_value):
            improved = math.isfinite(value)
        else:
            improved = value > self.best_value + self.stopping.tol * abs(self.best_value)
        self.n_stalled = 0 if improved else self.n_stalled + 1
        if value > self.best_value:
            self.best_value, self.best_iter = value, iteration
            self.best_params = params.copy()

    @property
    def stalled(self) -> bool:
        """Whether ``n_iter_no_change`` epochs in a row improved too little."""
        return self.n_stalled >= self.stopping.n_iter_no_change

    def best_trained(self, n_untrained: int) -> Array | None:
        """Return the best parameters, or None if these are untrained or if there are none.

        The first ``n_untrained`` values belong to the initial parameters.
        """
        return self.best_params if self.best_iter > n_untrained else None


@dataclass
class TrainingState:
    """The state of a training besides the parameters; updated in place.

    With this, the parameters and the generators of the batches, an interrupted training can go
    on as if it had not been interrupted.

    Attributes
    ----------
    optimizer : type
        The class of the optimizer that ``slots`` belong to.
    slots : ndarray of shape (n_slots, n_params)
        The state of the optimizer.
    rng : numpy Generator
        The source of random draws of layers such as dropout.
    n_updates : int
        The number of steps so far.
    samples_seen : int
        The number of rows of all earlier epochs.
    plateau_factor : float
        The factor of the learning rate that plateaus have left.
    average : ndarray of shape (n_params,) or None
        The running average of the parameters.
    trained : ndarray of shape (n_params,) or None
        The parameters at the end of the last call, if it returned their average instead.
    iteration : int
        The number of finished epochs of this training.
    stopped : bool
        Whether too many epochs without improvement have ended this training.
    history : dict of str to list
        The record of this training.
    monitor : Monitor or None
        The monitor of this training.
    initial_loss : float or None
        The loss of some training rows at the beginning of this training.
    cooling : Horizon or None
        The horizon of the cool-down; None before it has begun.
    share_rngs : tuple of numpy Generator
        The sources of random draws of the shares of a batch, except for the first share, which
        draws from ``rng``.
    best : Remembered or None
        What a return to the best epoch needs; None if there will be none.
    on_all_rows : bool
        Whether the cool-down trains on the rows that are evaluated, too.
    """

    optimizer: type[Optimizer]
    slots: Array
    rng: Generator
    n_updates: int = 0
    samples_seen: int = 0
    plateau_factor: float = 1.0
    average: Array | None = None
    trained: Array | None = None
    iteration: int = 0
    stopped: bool = False
    history: History = field(default_factory=dict)
    monitor: Monitor | None = None
    initial_loss: float | None = None
    cooling: Horizon | None = None
    share_rngs: tuple[Generator, ...] = ()
    best: "Remembered | None" = None
    on_all_rows: bool = False

    @property
    def n_refit(self) -> int:
        """The number of epochs that were made on the rows that are evaluated, too."""
        if self.cooling is None or not self.on_all_rows:
            return 0
        return len(self.history["loss"]) - self.cooling.cooling_since

    @classmethod
    def start(cls, optimizer: Optimizer, params: Array, rng: Generator) -> Self:
        """Return the state before the first update of ``params``."""
        return cls(type(optimizer), optimizer.init(params.size, params.dtype), rng)

    def next_training(self) -> Self:
        """Return the state for a further training, which has a record of its own."""
        return replace(
            self,
            iteration=0,
            stopped=False,
            history={},
            monitor=None,
            initial_loss=None,
            cooling=None,
            best=None,
            on_all_rows=False,
        )


class Remembered(NamedTuple):
    """What a return to an epoch needs: visible parameters, and the state of the optimizer."""

    visible: Array
    slots: Array
    n_updates: int


@dataclass
class TrainingResult:
    """The result of a training.

    Attributes
    ----------
    params : ndarray of shape (n_params,)
    history : dict of str to list
        One entry an epoch.
    best_iter : int
        The best epoch, from 1.
    ending : Ending
        What ended the training. If it is ``Ending.DIVERGED``, ``Ending.WORSE`` or
        ``Ending.SPOILED``, ``params`` are the best ones that the training passed through.
        Otherwise they are the last ones or, with early stopping, the best ones, unless it has
        cooled down on all rows to the end.
    scored_params : ndarray of shape (n_params,) or None
        The parameters of the best score, whose predictions of the validation rows are those of
        unknown rows; None without early stopping.
    n_refit : int
        The number of epochs of a cool-down on all rows; 0 if there was none.
    certainty : float or None
        The factor of the certainty of predictions that was fitted to validation rows after the
        training (see :mod:`sknet.nn.temperature`), and which ``params`` include; None if none
        was fitted.
    """

    params: Array
    history: History
    best_iter: int
    ending: Ending
    scored_params: Array | None = None
    n_refit: int = 0
    certainty: float | None = None


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
    n_threads: int = 1,
    returns: bool = False,
    all_batches: Callable[[], BatchIterable] | None = None,
) -> TrainingResult:
    """Minimise the objective by mini-batch steps; ``params`` is updated in place.

    Parameters
    ----------
    objective : Objective
    params : ndarray of shape (n_params,)
        The initial parameters.
    batches : iterable with ``n_rows``, ``batch_size`` and a length
        Each iteration is one epoch of batches.
    rule : UpdateRule
    stopping : Stopping
    state : TrainingState
        A new one, or the state of an earlier call to be continued; updated in place.
    evaluate : callable, optional
        ``evaluate(params)`` is called after each epoch. It returns a dict of values for the
        history, of which early stopping watches "validation_score". The parameters of the best
        epoch are returned. Without it early stopping watches the objective, and the
        parameters of the last epoch are returned.
    report : callable, optional
        ``report(iteration, record, params)`` is called after each epoch. A true result stops
        the training.
    poor : float, default=POOR_FACTOR
        The result is poor if its loss is so many times the loss of a constant prediction.
    n_threads : int, default=1
        The number of threads that share the work of a step. The result does not depend on it.
    returns : bool, default=False
        Whether a learning rate that falls to zero by plan does so from the best epoch on, once
        the score has stopped improving. Otherwise it does so from the last epoch on.
    all_batches : callable, optional
        ``all_batches()`` returns batches of the training rows and of those that ``evaluate``
        judges. A learning rate that falls to zero by plan does so on these: once the score has
        stopped improving, or the plan is nearly over, the training goes back to the best
        epoch, and cools down without a score. The last parameters are returned.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        If the training diverges before an epoch has ended well (see
        :mod:`sknet.nn.soundness`).
    """
    horizon = stopping.horizon(state.cooling)
    with Team(n_threads) as team:
        epoch = Epoch(
            objective, params, batches, rule, horizon, state, team, returns, all_batches
        )
        return train_epochs(epoch, stopping, evaluate=evaluate, report=report, poor=poor)


class Epochs(Protocol):
    """The attributes and methods of :class:`Epoch` that :func:`train_epochs` uses."""

    params: Array
    rule: UpdateRule
    state: TrainingState
    horizon: Horizon
    learning_rate: float

    @property
    def has_all_rows(self) -> bool:
        """Whether a cool-down can train on the rows that are evaluated, too."""
        return False

    def remember(self, visible: Array) -> None:
        """Keep in the state what a return to this epoch needs, if there may be one."""
        return

    def go_back(self, best: "Remembered") -> None:
        """Go back to an epoch that was remembered, and train on all rows if there are some."""
        return

    def run(self) -> float:
        """Make one epoch; return its mean loss."""
        ...

    def visible_params(self) -> Array:
        """Return the parameters to evaluate."""
        ...

    def make_probe(self) -> Evaluator:
        """Return some training rows, on which the end of the training is judged."""
        ...


def train_epochs(
    epoch: Epochs,
    stopping: Stopping,
    *,
    evaluate: Evaluate | None = None,
    report: Report | None = None,
    poor: float = POOR_FACTOR,
) -> TrainingResult:
    """Make epochs until a condition of ``stopping`` holds.

    Parameters
    ----------
    epoch : Epoch
        Or another object with its attributes and methods (see :class:`Epochs`).
    stopping, evaluate, report, poor
        As for :func:`train`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        If the training diverges before an epoch has ended well (see
        :mod:`sknet.nn.soundness`).
    """
    rule, state = epoch.rule, epoch.state
    # The patience of a resumed training may differ, since "auto" depends on max_iter.
    monitor = state.monitor = replace(state.monitor or Monitor(stopping), stopping=stopping)
    probe = epoch.make_probe()
    if state.initial_loss is None:
        state.initial_loss = probe.loss(epoch.visible_params())
    judge = Judge(probe, state.initial_loss, rule.optimizer.divergence_remedy, poor)
    # NumPy need not warn of each overflow: the result is checked after each epoch.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ending = _make_epochs(epoch, stopping, monitor, evaluate, report)
    last = epoch.visible_params()
    if rule.ema_decay is not None:
        state.trained = epoch.params.copy()
    # The loss of the first epoch, which is watched without a score, is that of its beginning.
    best = monitor.best_trained(n_untrained=int(evaluate is None))
    scored = evaluate is not None
    # A cool-down that was cut short has a learning rate that is far from zero.
    cooled = state.on_all_rows and ending is not Ending.STOPPED
    ending = conclude(judge, epoch.params, last, best, ending, scored=scored and not cooled)
    if cooled and best is not None and judge.finds_spoiled(epoch.params, best):
        np.copyto(epoch.params, best)
        ending = Ending.SPOILED
    return TrainingResult(
        epoch.params,
        state.history,
        monitor.best_iter,
        ending,
        scored_params=best if scored else None,
        n_refit=state.n_refit,
    )


def conclude(
    judge: Judge,
    params: Array,
    last: Array,
    best: Array | None,
    ending: Ending,
    *,
    scored: bool,
) -> Ending:
    """Write what a training returns into ``params``; return what ended it.

    With early stopping, ``scored``, these are the best parameters instead of the last ones.
    """
    if scored and best is None:
        ending = Ending.DIVERGED  # No epoch had a finite score.
    return judge.settle(params, best if scored and best is not None else last, best, ending)


def _make_epochs(
    epoch: Epochs,
    stopping: Stopping,
    monitor: Monitor,
    evaluate: Evaluate | None,
    report: Report | None,
) -> Ending:
    """Make epochs until a condition of ``stopping`` holds; return what ended them."""
    rule, state = epoch.rule, epoch.state
    visible = epoch.visible_params()
    # A learning rate that falls to zero by plan is not cut short, except by a score.
    waits = evaluate is None and rule.schedule.has_horizon
    while state.iteration < epoch.horizon.n_epochs and not state.stopped:
        start = perf_counter()
        before = visible.copy() if evaluate is None else None
        loss = epoch.run()
        if not (math.isfinite(loss) and np.isfinite(epoch.params).all()):
            return Ending.DIVERGED
        visible = epoch.visible_params()
        record = {"loss": loss}
        if evaluate is not None:
            unknown = not state.on_all_rows
            record.update(evaluate(visible) if unknown else _no_score(state.history))
        record["learning_rate"] = epoch.learning_rate
        record["seconds"] = perf_counter() - start
        append(state.history, record)
        # The loss of an epoch belongs to the parameters before it, a score to those after.
        judged = visible if before is None else before
        if not state.on_all_rows:
            monitor.update(state.iteration, record.get("validation_score", -loss), judged)
        if not waits:
            _plan_rest(epoch, stopping, monitor)
        if report is not None and report(state.iteration, record, visible):
            return Ending.STOPPED
    if state.stopped or (state.cooling is not None and state.cooling.is_shorter):
        return Ending.CONVERGED
    planned = rule.schedule.has_horizon or math.isinf(stopping.n_iter_no_change)
    return Ending.FINISHED if planned else Ending.MAX_ITER


def _plan_rest(epoch: Epochs, stopping: Stopping, monitor: Monitor) -> None:
    """Change what is left of a training that has stalled, or whose plan is nearly over."""
    rule, state, best = epoch.rule, epoch.state, monitor.best_params
    if best is not None and monitor.best_iter == state.iteration:
        _keep_best(epoch, best)
    if monitor.stalled and state.cooling is None:
        if not reduce_learning_rate(rule, state, monitor):
            state.stopped = not cool_down(epoch, stopping, monitor)
    elif epoch.has_all_rows and state.best is not None and _is_nearly_over(state, stopping):
        finish_on_all_rows(epoch, state.best)


def _keep_best(epoch: Epochs, visible: Array) -> None:
    """Keep what a return to the best epoch needs, if a cool-down may follow."""
    if epoch.rule.schedule.has_horizon and epoch.state.cooling is None:
        epoch.remember(visible)


def _no_score(history: History) -> dict[str, float]:
    """Return the record of the validation rows after an epoch that was trained on them."""
    return {name: math.nan for name in history if name not in OWN_RECORD}


def _is_nearly_over(state: TrainingState, stopping: Stopping) -> bool:
    """Whether there is a rest of a plan that is no longer than a cool-down."""
    return 0 < stopping.max_iter - state.iteration <= (stopping.n_cooling or 0)


class Epoch(Epochs):
    """One pass over the batches, a step on each; work arrays are made once for all epochs."""

    def __init__(
        self,
        objective: Objective,
        params: Array,
        batches: BatchIterable,
        rule: UpdateRule,
        horizon: Horizon,
        state: TrainingState,
        team: Team | None = None,
        returns: bool = False,
        all_batches: Callable[[], BatchIterable] | None = None,
    ):
        self.objective = objective
        self.params = params
        self.rule = rule
        self.horizon = horizon
        self.state = state
        self.learning_rate: float = math.nan
        self.team = team or Team()
        if state.trained is not None:
            np.copyto(params, state.trained)
        if rule.ema_decay is not None and state.average is None:
            state.average = params.copy()
        self._bounds = objective.network.bounds(params.dtype)
        self._all_batches = all_batches
        self._returns = returns or all_batches is not None
        # The end is judged on the same rows, whether the training was interrupted or not.
        self._probed = batches
        if all_batches is not None and state.on_all_rows:
            batches = all_batches()
        self._train_on(batches)

    def _train_on(self, batches: BatchIterable) -> None:
        """Make the next epochs passes over these batches; make the work arrays for them."""
        self.batches = batches
        sparse_inputs = not isinstance(batches.sample(1).X, np.ndarray)
        self._gradient_of = BatchGradient(
            self.objective, batches.batch_size, sparse_inputs, self.params.dtype, self.team
        )
        n_missing = self._gradient_of.n_shares - 1 - len(self.state.share_rngs)
        self.state.share_rngs += tuple(self.state.rng.spawn(max(0, n_missing)))
        self._tasks = [partial(self._step_on, stretch) for stretch in self._make_stretches()]

    @property
    def has_all_rows(self) -> bool:
        """Whether a cool-down can train on the rows that are evaluated, too."""
        return self._all_batches is not None

    def remember(self, visible: Array) -> None:
        """Keep in the state what a return to this epoch needs, if there may be one."""
        state = self.state
        if self._returns:
            state.best = Remembered(visible, state.slots.copy(), state.n_updates)

    def go_back(self, best: Remembered) -> None:
        """Go back to an epoch, and train on all rows from there on if there are some."""
        state = self.state
        np.copyto(self.params, best.visible)
        np.copyto(state.slots, best.slots)
        state.n_updates, state.best = best.n_updates, None
        if state.average is not None:
            np.copyto(state.average, best.visible)
        if self._all_batches is not None:
            state.on_all_rows = True
            self._train_on(self._all_batches())

    def _make_stretches(self) -> list["Stretch"]:
        """Return the stretches of the parameters, each of which one thread steps on.

        The penalised and the other parameters are separate stretches only if weight decay
        tells them apart.
        """
        network, optimizer = self.objective.network, self.rule.optimizer
        n, undecayed = network.n_penalized, optimizer.without_decay()
        wholes = [(optimizer, 0, n), (undecayed, n, network.n_params)]
        if optimizer == undecayed:
            wholes = [(optimizer, 0, network.n_params)]
        return [
            self._make_stretch(optimizer, slice(start, stop), max(0, min(stop, n) - start))
            for optimizer, first, last in wholes
            for start, stop in pairwise(divided(first, last, self.team.n_threads))
        ]

    def _make_stretch(self, optimizer: Optimizer, where: slice, n_penalized: int) -> "Stretch":
        """Return the stretch at a place of the vectors."""
        average = self.state.average
        return Stretch(
            optimizer,
            self.params[where],
            [gradient[where] for gradient in self._gradient_of.gradients],
            self.state.slots[:, where],
            None if average is None else average[where],
            n_penalized,
            None if self._bounds is None else self._bounds.part(where),
        )

    def run(self) -> float:
        """Make one epoch; return the mean of the objective before each of its steps."""
        state, total, n_batches = self.state, 0.0, len(self.batches)
        rngs = [state.rng, *state.share_rngs]
        for i, batch in enumerate(self.batches):
            progress = self.horizon.progress(state.iteration + i / n_batches)
            self.learning_rate = self.rule.learning_rate(state, progress)
            value = self._gradient_of(self.params, batch, rngs)
            value += self.objective.penalty_value(self.params)
            self._step()
            total += value * batch.X.shape[0]
        state.samples_seen += self.batches.n_rows
        state.iteration += 1
        return total / self.batches.n_rows

    def _step(self) -> None:
        """Move the parameters, then their running average towards them."""
        self.state.n_updates += 1
        if len(self._tasks) == 1:
            self._tasks[0]()  # The call of a team takes a twentieth of a tiny network's step.
        else:
            self.team.run(self._tasks)

    def _step_on(self, stretch: "Stretch") -> None:
        """Make the step of one stretch of the parameters."""
        optimizer, params, gradients, slots, average, n_penalized, bounds = stretch
        t, penalty, gradient = self.state.n_updates, self.objective.penalty, gradients[0]
        for number in range(1, self._gradient_of.n_used):
            gradient += gradients[number]
        rate = self.learning_rate
        optimizer.step(params, gradient, slots, t, rate, penalty, n_penalized, bounds)
        if average is not None:
            update_average(average, params, self.rule.average_decay(t))

    def visible_params(self) -> Array:
        """Return the parameters to evaluate."""
        return visible_params(self.params, self.rule, self.state)

    def make_probe(self) -> Evaluator:
        """Return some training rows, on which the end of the training is judged."""
        return Probe(self.objective, self._probed, self.params.dtype)


class Stretch(NamedTuple):
    """Some consecutive parameters, on which one optimizer steps: views of the vectors.

    There is a gradient for each share of a batch. The penalty applies to the first
    ``n_penalized`` parameters.
    """

    optimizer: Optimizer
    params: Array
    gradients: list[Array]
    slots: Array
    average: Array | None
    n_penalized: int
    bounds: Bounds | None


def visible_params(params: Array, rule: UpdateRule, state: TrainingState) -> Array:
    """Return the parameters to evaluate: the running average, if there is one.

    Parameters that an L1 penalty or a bound has just set to zero are zero in the average, too.
    """
    if rule.ema_decay is None or state.average is None:
        return params
    return np.where(params == 0, 0, state.average)


def update_average(average: Array, params: Array, decay: float) -> None:
    """Move a running average towards the parameters, block by block to stay in cache."""
    for average_block, block in blocks(average, params):
        average_block += (1 - decay) * (block - average_block)


def best_epoch(history: History) -> int:
    """Return the epoch, from 1, with the best validation score, or else the lowest loss."""
    scores = history.get("validation_score")
    best = np.nanargmin(history["loss"]) if scores is None else np.nanargmax(scores)
    return int(best) + 1


def append(history: History, record: dict[str, float]) -> None:
    """Add an epoch's values to the lists of their names."""
    for name, value in record.items():
        history.setdefault(name, []).append(value)


def cool_down(epoch: Epochs, stopping: Stopping, monitor: Monitor) -> bool:
    """Shorten the rest of the plan, if there is one; return whether that was done.

    The cool-down begins at the best epoch, if that was remembered. On all rows, without a
    score, it is so short, compared with the epochs before it, that it hardly learns them by
    heart.
    """
    state, n_epochs, progress = epoch.state, stopping.n_cooling, None
    if n_epochs is None or not epoch.rule.schedule.has_horizon:
        return False
    if state.best is not None:
        if epoch.has_all_rows:
            n_epochs = math.ceil(COOLING_EPOCHS * monitor.best_iter)
        progress = cooling_start(epoch.rule.schedule, epoch.horizon.progress(monitor.best_iter))
        epoch.go_back(state.best)
    state.cooling = epoch.horizon.cooled(state.iteration, n_epochs, progress)
    epoch.horizon = state.cooling
    return True


def cooling_start(schedule: Schedule, best: float) -> float:
    """Return the part of the plan that counts as over when a cool-down begins.

    ``best`` is the part that was over after the best epoch. If the learning rate still rose
    there, it falls from what it was: a leap to the rate of ``COOLING_PROGRESS`` can undo what
    was learned.
    """
    if best >= 1:
        return best  # The plan is over, and a schedule need not have a rate there.
    first, rate = max(COOLING_PROGRESS, best), schedule(best, 0)
    places = np.linspace(first, 1, COOLING_PLACES, endpoint=False).tolist()
    return next((place for place in places if schedule(place, 0) <= rate), places[-1])


def finish_on_all_rows(epoch: Epochs, best: Remembered) -> None:
    """Make the rest of the plan on all rows, from the best epoch on."""
    state, horizon = epoch.state, epoch.horizon
    epoch.go_back(best)
    state.cooling = horizon.cooled(state.iteration, horizon.n_epochs - state.iteration)
    epoch.horizon = state.cooling


def reduce_learning_rate(rule: UpdateRule, state: TrainingState, monitor: Monitor) -> bool:
    """Divide the learning rate, if the schedule asks for it; return whether that was done."""
    rate = rule.learning_rate_init * state.plateau_factor
    if not rule.schedule.reduces_on_plateau or rate <= SMALLEST_RATE:
        return False
    state.plateau_factor /= PLATEAU_DIVISOR
    monitor.n_stalled = 0
    return True
