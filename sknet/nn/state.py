"""The state of a training, the record of its epochs, and its result."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self, TypeAlias

import numpy as np
from numpy.random import Generator

from sknet.nn.kernels import Array
from sknet.nn.optimizers import Optimizer
from sknet.nn.soundness import Ending
from sknet.nn.stopping import Horizon, Monitor

#: The record of a training: a list for each quantity, with one entry an epoch.
History: TypeAlias = dict[str, list[float]]


class Remembered(NamedTuple):
    """What a return to an epoch needs: visible parameters, and the state of the optimizer."""

    visible: Array
    slots: Array
    n_updates: int


class Begun(NamedTuple):
    """The part of an epoch that is done: the number of batches, and the sum of their losses.

    ``before`` are the parameters to evaluate as they were when the epoch began. They are None
    with a score, which belongs to the parameters after the epoch.
    """

    n_batches: int = 0
    total: float = 0.0
    before: Array | None = None


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
    begun : Begun or None
        The part of the current epoch that is done; None between epochs.
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
    best: Remembered | None = None
    on_all_rows: bool = False
    begun: Begun | None = None

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

    def visible(self, params: Array) -> Array:
        """Return the parameters to evaluate: the running average, if there is one.

        Parameters that an L1 penalty or a bound has just set to zero are zero in the average,
        too.
        """
        return params if self.average is None else np.where(params == 0, 0, self.average)

    def suits(self, optimizer: Optimizer, params: Array) -> bool:
        """Whether an optimizer can go on from this state, in the precision of ``params``."""
        return self.optimizer is type(optimizer) and self.slots.dtype == params.dtype

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
            begun=None,
        )


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
        What ended the training. If ``ending.restores_best``, ``params`` are the best ones that
        the training passed through. Otherwise they are the last ones or, with early stopping,
        the best ones, unless it has cooled down on all rows to the end.
    scored_params : ndarray of shape (n_params,) or None
        The parameters of the best score, whose predictions of the validation rows are those of
        unknown rows; None without early stopping.
    n_refit : int
        The number of epochs of a cool-down on all rows; 0 if there was none.
    certainty : float or None
        The factor of the certainty of predictions that was fitted to validation rows after the
        training (see :mod:`sknet.nn.members`), and which ``params`` include; None if none
        was fitted.
    """

    params: Array
    history: History
    best_iter: int
    ending: Ending
    scored_params: Array | None = None
    n_refit: int = 0
    certainty: float | None = None


def append(history: History, record: dict[str, float]) -> None:
    """Add an epoch's values to the lists of their names."""
    for name, value in record.items():
        history.setdefault(name, []).append(value)


def best_epoch(history: History) -> int:
    """Return the epoch, from 1, with the best validation score, or else the lowest loss."""
    scores = history.get("validation_score")
    best = np.nanargmin(history["loss"]) if scores is None else np.nanargmax(scores)
    return int(best) + 1
