"""A training run: the plan of its epochs, what ends it, its state, and its result."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.random import Generator

from sknet.nn.kernels import Array
from sknet.nn.optimizers import Optimizer
from sknet.nn.soundness import Ending

#: A network has learned something if its loss is below that of a constant by this fraction,
#: divided by the square root of the number of validation rows. Even if the network learns
#: nothing, some epoch has a gain of that order by chance.
LEAST_GAIN = 1.5
#: A network memorizes if the validation loss is above its minimum by the first share, and above
#: the training loss by the second.
MEMORIZED_RISE, MEMORIZED_GAP = 0.02, 0.1
#: The record of a training run: a list for each quantity, with one entry for each epoch.
History: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True)
class Horizon:
    """The number of training epochs, and how much of the plan is over at each of them.

    Here, epochs are planned epochs, whether they are run or left out to keep to a time limit.

    Parameters
    ----------
    n_planned : int
        The planned number of epochs.
    n_epochs : float
        The number of epochs in the plan as it is now: fewer if it was shortened.
    cooling_since : float, default=0
        The number of epochs after which the plan was shortened.
    cooling_from : float, default=0.0
        The part of the plan that counted as over when it was shortened.
    """

    n_planned: int
    n_epochs: float
    cooling_since: float = 0
    cooling_from: float = 0.0

    def progress(self, epochs: float) -> float:
        """Return the part of the plan, from 0 to 1, that is over after ``epochs`` epochs.

        Within an epoch, ``epochs`` is not an integer.
        """
        before, n_left = self.cooling_from, self.n_epochs - self.cooling_since
        return before + (1 - before) * (epochs - self.cooling_since) / n_left

    def cooled(self, since: float, n_epochs: float, progress: float | None = None) -> "Horizon":
        """Return the horizon in which the rest of the plan takes at most ``n_epochs`` epochs.

        ``progress`` is the part of the plan that counts as over. By default, it is the part
        that is over.
        """
        before = since / self.n_planned if progress is None else progress
        return Horizon(self.n_planned, min(since + n_epochs, self.n_planned), since, before)

    def in_rounds(self, per_epoch: int) -> "Horizon":
        """Return the horizon in rounds instead of epochs."""
        n_planned, n_rounds = self.n_planned * per_epoch, self.n_epochs * per_epoch
        return Horizon(n_planned, n_rounds, self.cooling_since * per_epoch, self.cooling_from)


@dataclass(frozen=True)
class Stopping:
    """The conditions that end training.

    Parameters
    ----------
    max_iter : int
        The largest number of epochs.
    tol : float
        The smallest improvement that counts, relative to the best value so far.
    n_iter_no_change : float
        Training ends after this many epochs in a row that improve by less than ``tol``.
    n_cooling : int or None, default=None
        If there is a score, and the schedule takes the learning rate to zero, training does not
        end at once. First, the rest of the plan is completed in at most this many epochs; on
        all rows, in a number that depends on the best epoch. Once the score has stopped
        improving, more epochs at a high learning rate do not help, but lower rates often do.
        With None, training ends at once.
    least_score : float, default=-inf
        Until a score reaches this value, nothing has been learned, and the plan is not
        shortened.
    least_score_of_refit : float, default=-inf
        If no score reaches this value, the last epochs of a whole plan do not train on all
        rows. It is lower than ``least_score`` if classes are imbalanced: a network may rank
        rows well even before its loss is below that of the frequencies by more than chance.
    constant_loss : float or None, default=None
        The loss of the validation rows for a constant prediction, if something adapts to what
        the network explains: see :meth:`~sknet.nn.objective.Objective.adapted`.
    least_loss : float, default=0.0
        The training loss of the best predictions: see :meth:`~sknet.nn.losses.Loss.least`.
    """

    max_iter: int
    tol: float
    n_iter_no_change: float
    n_cooling: int | None = None
    least_score: float = -math.inf
    least_score_of_refit: float = -math.inf
    constant_loss: float | None = None
    least_loss: float = 0.0

    def horizon(self, cooling: Horizon | None) -> Horizon:
        """Return the horizon, given that of the cool-down if it has begun.

        Resumed training may have a new ``max_iter``, which changes a plan that has not been
        shortened. A cool-down keeps its plan, so that the learning rate does not rise again. It
        ends earlier only if ``max_iter`` requires it.
        """
        if cooling is None:
            return Horizon(self.max_iter, self.max_iter)
        return replace(cooling, n_epochs=min(cooling.n_epochs, self.max_iter))


def score_of_learning(constant_loss: float, n_rows: int) -> float:
    """Return the least validation score of a network that has learned something.

    Its loss, which is minus the score, is below ``constant_loss``, the loss of a constant
    prediction, by more than chance. If ``constant_loss`` is not finite, any score is enough.
    """
    if not math.isfinite(constant_loss):
        return -math.inf
    return LEAST_GAIN / math.sqrt(n_rows) * abs(constant_loss) - constant_loss


@dataclass
class Monitor:
    """Watches one value for each epoch, where higher is better, and keeps the best parameters.

    Attributes
    ----------
    stopping : Stopping
    best_value : float
    best_iter : int
        The epoch of the best value, from 1; 0 before the first one.
    best_params : ndarray of shape (n_params,) or None
    n_stalled : int
        The number of epochs in a row that improved too little.
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


class Remembered(NamedTuple):
    """What a return to an epoch needs: visible parameters, and the state of the optimizer.

    ``position`` is the number of planned epochs that were over.
    """

    visible: Array
    slots: Array
    n_updates: int
    position: float


@dataclass
class Begun:
    """The part of an epoch that is done: numbers of batches and rows, and sums over the rows.

    It is updated in place after each batch, since a new object would take a hundredth of the
    time of a small step.

    ``before`` holds the parameters to evaluate as they were when the epoch began. It is None if
    there is a score, which belongs to the parameters after the epoch.
    """

    n_batches: int = 0
    n_rows: int = 0
    loss: float = 0.0
    penalty: float = 0.0
    before: Array | None = None


#: What another training run takes over from a state, in addition to the state of the optimizer.
KEPT = (
    *("n_updates", "samples_seen", "warm_up", "plateau_factor"),
    *("average", "trained", "share_rngs"),
)


@dataclass
class TrainingState:
    """The state of a training run, apart from the parameters; updated in place.

    Together with the parameters and the generators of the batches, it lets an interrupted run
    continue as if it had not been interrupted.

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
    warm_up : int
        The number of steps over which the learning rate rises from zero; 0 if it need not.
    plateau_factor : float
        The factor of the learning rate after all plateaus so far.
    average : ndarray of shape (n_params,) or None
        The running average of the parameters.
    trained : ndarray of shape (n_params,) or None
        The parameters at the end of the last call, if it returned their average instead.
    iteration : int
        The number of epochs of this training so far. A time limit may cut the last one short.
    left_out : float
        The number of planned epochs that were left out to keep to a time limit.
    stopped : bool
        Whether too many epochs without improvement have ended this training.
    history : dict of str to list
        The record of this training.
    monitor : Monitor or None
        The monitor of this training.
    initial_loss : float or None
        The loss of some training rows at the beginning of this training.
    unexplained : float
        The share of the variance of y in the validation rows that the best epoch does not
        explain; 1 before the first epoch, or without such rows.
    cooling : Horizon or None
        The horizon of the cool-down; None before it has begun.
    share_rngs : tuple of numpy Generator
        The sources of random draws of the shares of a batch, except for the first share, which
        draws from ``rng``.
    best : Remembered or None
        What a return to the best epoch needs; None if there will be no return.
    on_all_rows : bool
        Whether the cool-down also trains on the rows that are evaluated.
    n_refit : int
        The number of epochs of a cool-down on all rows.
    n_unvisited : int
        The number of rows that an epoch cut short by a time limit did not visit.
    begun : Begun or None
        The part of the current epoch that is done; None between epochs.
    """

    optimizer: type[Optimizer]
    slots: Array
    rng: Generator
    n_updates: int = 0
    samples_seen: int = 0
    warm_up: int = 0
    plateau_factor: float = 1.0
    average: Array | None = None
    trained: Array | None = None
    iteration: int = 0
    left_out: float = 0.0
    stopped: bool = False
    history: History = field(default_factory=dict)
    monitor: Monitor | None = None
    initial_loss: float | None = None
    unexplained: float = 1.0
    cooling: Horizon | None = None
    share_rngs: tuple[Generator, ...] = ()
    best: Remembered | None = None
    on_all_rows: bool = False
    n_refit: int = 0
    n_unvisited: int = 0
    begun: Begun | None = None

    @property
    def counted(self) -> dict[str, Any]:
        """The numbers of epochs and rows that the result of this training reports, by name."""
        return {"n_refit": self.n_refit, "n_unvisited": self.n_unvisited}

    @property
    def position(self) -> float:
        """The number of planned epochs that are over: run, or left out."""
        return self.iteration + self.left_out

    @classmethod
    def start(cls, optimizer: Optimizer, params: Array, rng: Generator) -> Self:
        """Return the state before the first update of ``params``."""
        return cls(type(optimizer), optimizer.init(params.size, params.dtype), rng)

    def visible(self, params: Array) -> Array:
        """Return the parameters to evaluate: the running average, if there is one.

        Parameters that an L1 penalty or a bound has just set to zero are also zero in the
        average.
        """
        return params if self.average is None else np.where(params == 0, 0, self.average)

    def suits(self, optimizer: Optimizer, params: Array) -> bool:
        """Whether an optimizer can continue from this state, in the precision of ``params``."""
        return self.optimizer is type(optimizer) and self.slots.dtype == params.dtype

    def next_training(self) -> Self:
        """Return the state for another training run, which has its own record."""
        kept = {name: getattr(self, name) for name in KEPT}
        return type(self)(self.optimizer, self.slots, self.rng, **kept)


@dataclass
class TrainingResult:
    """The result of a training run.

    Attributes
    ----------
    params : ndarray of shape (n_params,)
    history : dict of str to list
        A list for each quantity, with one entry for each epoch.
    ending : Ending
        What ended the training. If ``ending.restores_best``, ``params`` are the best parameters
        of the training. They are also the best ones with early stopping, unless a cool-down on
        all rows was completed. In all other cases, they are the last ones.
    scored_params : ndarray of shape (n_params,) or None
        The parameters of the best score, which were not trained on the validation rows; None
        without early stopping.
    counted : dict of str to int
        What the state has counted: see :attr:`TrainingState.counted`.
    certainty : float, tuple of float or None
        The factor by which predictions were made more or less certain. It was fitted to
        validation rows by :func:`~sknet.nn.objective.fit_factor`, and ``params`` include it.
        A tuple has one for each target or output. None if no factor was fitted.
    calibration : ndarray of shape (n_outputs, n_numbers), tuple of these or None
        A correction of the predicted distributions of y: see :mod:`sknet.nn.distributions`.
    """

    params: Array
    history: History
    ending: Ending
    scored_params: Array | None = None
    counted: dict[str, int] = field(default_factory=dict)
    certainty: float | tuple[float, ...] | None = None
    calibration: Any = None

    @property
    def unseeing_params(self) -> Array:
        """The parameters that were not trained on validation rows, even if ``params`` were."""
        return self.params if self.scored_params is None else self.scored_params


def append(history: History, record: dict[str, float]) -> None:
    """Append an epoch's values to the lists with their names."""
    for name, value in record.items():
        history.setdefault(name, []).append(value)


def objectives(history: History) -> list[float]:
    """Return the objective of each epoch: the sum of its loss and its penalty."""
    parts = history.get("loss", []), history.get("penalty", [])
    return [loss + penalty for loss, penalty in zip(*parts, strict=True)]


def best_epoch(history: History) -> int:
    """Return the epoch, counted from 1, with the best validation score.

    Without validation scores, it is the epoch with the lowest objective.
    """
    scores = history.get("validation_score")
    best = np.nanargmin(objectives(history)) if scores is None else np.nanargmax(scores)
    return int(best) + 1


def memorizes(history: History, least_loss: float) -> bool:
    """Return whether the validation loss has risen, and exceeds that of training.

    The labels of validation rows are not smoothed, so their loss is compared with the excess of
    the training loss over ``least_loss``.
    """
    losses = history.get("validation_loss", ())
    if not losses:
        return False
    excess, validation = history["loss"][-1] - least_loss, losses[-1]
    best = float(np.fmin.reduce(losses))  # A NaN does not count.
    risen = validation > best + MEMORIZED_RISE * abs(best)
    return risen and excess < validation - MEMORIZED_GAP * abs(validation)
