"""The training loop: epochs, batches, history, early stopping, best parameters."""

import math
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from sknet.nn.kernels import blocks
from sknet.nn.network import Workspace
from sknet.nn.optimizers import Optimizer
from sknet.nn.schedules import Schedule


@dataclass(frozen=True)
class Stopping:
    """When training ends.

    ``tol`` is relative to the best value so far; ``n_iter_no_change`` epochs in a row that
    improve by less end the training.
    """

    max_iter: int
    tol: float
    n_iter_no_change: float


@dataclass(frozen=True)
class UpdateRule:
    """What turns gradients into steps.

    ``adaptive``: on a plateau divide the learning rate by five instead of stopping, until
    it is at most 1e-6, as in scikit-learn.

    ``ema_decay`` d: train on, but evaluate and return the running average
    m <- d_t m + (1 - d_t) params of the parameters, where d_t = min(d, (1 + t) / (10 + t))
    after t updates lets the average forget the random start (Polyak and Juditsky, 1992, in
    exponential form).
    """

    optimizer: Optimizer
    schedule: Schedule
    learning_rate_init: float
    adaptive: bool = False
    ema_decay: float | None = None

    #: The learning rate at which an adaptive rule gives up.
    smallest_learning_rate = 1e-6

    def average_decay(self, n_updates):
        """Return d_t of the running average after so many updates."""
        return min(self.ema_decay, (1 + n_updates) / (10 + n_updates))

    def learning_rate(self, state, progress):
        """Return the learning rate of the next update."""
        factor = self.schedule(progress, state.samples_seen)
        return self.learning_rate_init * state.plateau_factor * factor


@dataclass
class Monitor:
    """Watches one value an epoch, higher is better, and keeps the best parameters."""

    stopping: Stopping
    best_value: float = -math.inf
    best_iter: int = 0
    best_params: np.ndarray | None = None
    n_stalled: int = 0

    def update(self, iteration, value, params):
        """Record an epoch's value and the parameters that it judges."""
        if not math.isfinite(self.best_value):
            improved = math.isfinite(value)
        else:
            improved = value > self.best_value + self.stopping.tol * abs(self.best_value)
        self.n_stalled = 0 if improved else self.n_stalled + 1
        if value > self.best_value:
            self.best_value, self.best_iter = value, iteration
            self.best_params = params.copy()

    @property
    def stalled(self):
        """Whether patience is at its end."""
        return self.n_stalled >= self.stopping.n_iter_no_change

    def restore(self, params):
        """Copy the best parameters, where there are any, into ``params``."""
        if self.best_params is not None:
            np.copyto(params, self.best_params)


@dataclass
class TrainingState:
    """What the next epoch needs besides the parameters; updated in place.

    Together with the parameters and the batches' generators it is all that an interrupted
    training needs to go on as if nothing had happened.

    Attributes
    ----------
    optimizer : type
        The class that ``slots`` belong to.
    slots : ndarray of shape (n_slots, n_params)
    rng : numpy Generator
        For layers that draw, such as dropout.
    n_updates, samples_seen : int
    plateau_factor : float
    average : ndarray of shape (n_params,) or None
        The running average of the parameters.
    trained : ndarray of shape (n_params,) or None
        The parameters that the last call left off with, if it returned their average.
    iteration : int
        Epochs of this training that lie behind.
    stopped : bool
        Whether patience has ended it.
    history : dict of str to list
    monitor : Monitor or None
    """

    optimizer: type[Optimizer]
    slots: np.ndarray
    rng: np.random.Generator
    n_updates: int = 0
    samples_seen: int = 0
    plateau_factor: float = 1.0
    average: np.ndarray | None = None
    trained: np.ndarray | None = None
    iteration: int = 0
    stopped: bool = False
    history: dict[str, list[float]] = field(default_factory=dict)
    monitor: Monitor | None = None

    @classmethod
    def start(cls, optimizer, params, rng):
        """Return the state before the first update of ``params``."""
        return cls(type(optimizer), optimizer.init(params.size, params.dtype), rng)

    def next_training(self):
        """Return the state for a further training with a record of its own."""
        return replace(self, iteration=0, stopped=False, history={}, monitor=None)


@dataclass
class TrainingResult:
    """What training gives back.

    ``history`` maps names to lists with one entry an epoch; ``best_iter`` counts from 1.
    ``converged`` is False where the last epoch could have been followed by useful others.
    """

    params: np.ndarray
    history: dict[str, list[float]]
    best_iter: int
    converged: bool
    diverged: bool = False


class DivergenceError(ValueError):
    """Loss or parameters became infinite or NaN, and no earlier parameters are good."""


def train(objective, params, batches, rule, stopping, state, *, evaluate=None, report=None):
    """Minimise the objective by mini-batch steps; ``params`` is updated in place.

    Parameters
    ----------
    objective : Objective
    params : ndarray of shape (n_params,)
        Where to start.
    batches : iterable with ``n_rows``, ``batch_size`` and a length
        Each iteration is one epoch of batches.
    rule : UpdateRule
    stopping : Stopping
    state : TrainingState
        A new one, or that of an earlier call that is to be continued; updated in place.
    evaluate : callable, optional
        ``evaluate(params)`` returns a dict with "validation_score", which early stopping
        watches and whose best epoch is restored. Without it the objective is watched, and
        the last epoch stays.
    report : callable, optional
        ``report(iteration, record, params)`` is told of each epoch; True stops training.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        If the objective becomes infinite or NaN before any epoch was good.
    """
    epoch = Epoch(objective, params, batches, rule, stopping.max_iter, state)
    return train_epochs(epoch, stopping, evaluate=evaluate, report=report)


def train_epochs(epoch, stopping, *, evaluate=None, report=None):
    """Make epochs until it is time to stop.

    Parameters
    ----------
    epoch : Epoch
        Or something else with its ``params``, ``rule``, ``state``, ``learning_rate``, ``run()``
        and ``visible_params()``.
    stopping, evaluate, report
        As for ``train``.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        As ``train`` does.
    """
    params, rule, state = epoch.params, epoch.rule, epoch.state
    monitor = state.monitor = state.monitor or Monitor(stopping)
    visible = epoch.visible_params()
    diverged, stopped = False, state.stopped
    # Overflow is looked for once an epoch.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        while state.iteration < stopping.max_iter and not stopped:
            start = perf_counter()
            before = visible.copy() if evaluate is None else None
            loss = epoch.run()
            diverged = not (math.isfinite(loss) and np.isfinite(params).all())
            if diverged:
                break
            visible = epoch.visible_params()
            record = {"loss": loss}
            if evaluate is not None:
                record.update(evaluate(visible))
            record["learning_rate"] = epoch.learning_rate
            record["seconds"] = perf_counter() - start
            append(state.history, record)
            # An epoch's loss judges the parameters that it began with, a score those it left.
            judged = before if evaluate is None else visible
            monitor.update(state.iteration, record.get("validation_score", -loss), judged)
            # A rate that falls to zero by plan runs its course, unless a score says stop.
            waits = evaluate is None and rule.schedule.has_horizon
            stalled = monitor.stalled and not waits
            state.stopped = stopped = stalled and not reduce_learning_rate(rule, state, monitor)
            if report is not None:
                stopped |= bool(report(state.iteration, record, visible))
    if rule.ema_decay is not None:
        state.trained = params.copy()
    if diverged:
        restore_after_divergence(params, monitor, n_untrained=int(evaluate is None))
    elif evaluate is not None:
        monitor.restore(params)
    else:
        params[...] = visible
    endless = math.isinf(stopping.n_iter_no_change)
    converged = stopped or rule.schedule.has_horizon or endless
    return TrainingResult(params, state.history, monitor.best_iter, converged, diverged)


class Epoch:
    """One pass over the batches, a step on each; work arrays are made once for all epochs."""

    def __init__(self, objective, params, batches, rule, max_iter, state):
        self.objective = objective
        self.params = params
        self.batches = batches
        self.rule = rule
        self.max_iter = max_iter
        self.state = state
        self.learning_rate = math.nan
        if state.trained is not None:
            np.copyto(params, state.trained)
        if rule.ema_decay is not None and state.average is None:
            state.average = params.copy()
        self._workspace = Workspace(objective.network, batches.batch_size, params.dtype)
        self._gradient = np.empty_like(params)
        self._stretches = self._make_stretches()

    def _make_stretches(self):
        """Return the stretches of the parameters that one optimizer each steps on.

        Each has the optimizer, its parameters, gradient and slots, and the number of its
        leading parameters that the penalty applies to. The penalised and the other parameters
        are one stretch unless weight decay tells them apart.
        """
        network, optimizer = self.objective.network, self.rule.optimizer
        n, undecayed = network.n_penalized, optimizer.without_decay()
        stretches = [(optimizer, slice(n), n), (undecayed, slice(n, network.n_params), 0)]
        if optimizer == undecayed:
            stretches = [(optimizer, slice(network.n_params), n)]
        params, gradient, slots = self.params, self._gradient, self.state.slots
        return [
            (optimizer, (params[where], gradient[where], slots[:, where]), n_penalized)
            for optimizer, where, n_penalized in stretches
        ]

    def run(self):
        """Return the mean over the batches of the objective before each step."""
        total = 0.0
        for i, batch in enumerate(self.batches):
            progress = (self.state.iteration + i / len(self.batches)) / self.max_iter
            self.learning_rate = self.rule.learning_rate(self.state, progress)
            value = self.objective.loss_and_gradient(
                self.params, batch, self._workspace, self._gradient, self.state.rng
            )
            value += self.objective.penalty_value(self.params)
            self._step()
            total += value * batch.X.shape[0]
        self.state.samples_seen += self.batches.n_rows
        self.state.iteration += 1
        return total / self.batches.n_rows

    def _step(self):
        """Move the parameters, and their running average after them."""
        state = self.state
        state.n_updates += 1
        t = state.n_updates
        for optimizer, vectors, n_penalized in self._stretches:
            penalty = self.objective.penalty
            optimizer.step(*vectors, t, self.learning_rate, penalty, n_penalized)
        if self.rule.ema_decay is not None:
            update_average(state.average, self.params, self.rule.average_decay(t))

    def visible_params(self):
        """Return the parameters to evaluate."""
        return visible_params(self.params, self.rule, self.state)


def visible_params(params, rule, state):
    """Return the parameters to evaluate: the average, with the zeros of those trained."""
    if rule.ema_decay is None:
        return params
    return np.where(params == 0, 0, state.average)


def update_average(average, params, decay):
    """Move a running average towards the parameters, block by block to stay in cache."""
    for average_block, block in blocks(average, params):
        average_block += (1 - decay) * (block - average_block)


def best_epoch(history):
    """Return the epoch, from 1, with the best validation score, or else the lowest loss."""
    scores = history.get("validation_score")
    best = np.nanargmin(history["loss"]) if scores is None else np.nanargmax(scores)
    return int(best) + 1


def append(history, record):
    """Add an epoch's values to the lists of their names."""
    for name, value in record.items():
        history.setdefault(name, []).append(value)


def reduce_learning_rate(rule, state, monitor):
    """Divide an adaptive rule's learning rate by five; return whether that was possible."""
    rate = rule.learning_rate_init * state.plateau_factor
    if not rule.adaptive or rate <= rule.smallest_learning_rate:
        return False
    state.plateau_factor /= 5
    monitor.n_stalled = 0
    return True


def restore_after_divergence(params, monitor, n_untrained):
    """Go back to the best parameters; raise where the best are none or untrained ones.

    The parameters of the first ``n_untrained`` records are those that training began with.
    """
    if monitor.best_iter <= n_untrained:
        raise DivergenceError(
            "Training diverged: the loss or the parameters became infinite or NaN before an "
            "epoch ended well. Lower learning_rate_init, or scale the data."
        )
    monitor.restore(params)
