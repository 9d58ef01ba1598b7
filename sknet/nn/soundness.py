"""The end of training: what ended it, and whether its result is sound.

At its end, training checks once whether the parameters that it is about to return are sound.
They and their predictions must be finite. Their loss on a few of the training rows is compared
with the losses of the initial parameters, of the best parameters of the training, and of a
constant. The losses of an epoch do not show whether parameters are sound, since each batch was
evaluated with other parameters, and dropout and augmentation make the losses larger. They only
show whether training was in a bad state, which explains why nothing was learned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np

from sknet.nn.kernels import Array
from sknet.nn.network import Workspace
from sknet.nn.objective import BatchIterable, Objective

#: The largest number of training rows on which parameters are judged.
PROBE_ROWS = 64
#: Parameters are poor if their loss exceeds this multiple of the loss of a constant prediction.
#: Of 477 random fits to standardized data, most with few rows or few epochs, four were poor.
#: All four had an R2 below -3.
POOR_FACTOR = 4.0
#: Parameters are better than a constant if the loss of a constant prediction exceeds this
#: multiple of their loss. By chance, a network that has collapsed to the mean of y has a lower
#: loss than a raw prediction of zero on half of all samples of ``PROBE_ROWS`` rows. In a fit
#: with an R2 of 0, the network's loss was 0.95 times that of a raw prediction of zero.
BETTER_FACTOR = 1.4
#: Parameters have diverged if their loss exceeds this multiple of the loss of a constant
#: prediction, and this multiple of the loss of the initial parameters. At the default learning
#: rate, a pass of ``partial_fit`` made the loss of networks with 512 units up to 33 times as
#: large, and further passes then led to good networks.
DIVERGED_FACTOR = 100.0
#: A line search that fails at once is a fault if the loss exceeds this multiple of the loss of
#: a constant prediction.
STUCK_FACTOR = 1.01
#: A cool-down on all rows has spoiled the training if the loss is then more than
#: ``SPOILED_FACTOR`` times the loss of the epoch that it began at, and if the difference is
#: more than ``SPOILED_SHARE`` of the loss of a constant prediction. In 99 default fits to 33
#: tables, the loss was 0.2 to 1.2 times that of the epoch. Losses near zero may double if rows
#: are learned perfectly.
SPOILED_FACTOR, SPOILED_SHARE = 2.0, 0.05
#: Predictions are flat if their loss exceeds this multiple of the loss of the best constant.
#: Early stopping may return an epoch before the weights vanished, whose loss was 0.95 times it.
FLAT_FACTOR = 0.9


class Ending(Enum):
    """What ended training. The final six mean that the last parameters are not sound."""

    #: The improvements, or the gradient, became small.
    CONVERGED = "converged"
    #: All epochs were run, and the plan ends with them.
    FINISHED = "finished"
    #: The function that is called after each epoch stopped the training.
    STOPPED = "stopped"
    #: ``max_iter`` ended the training although more epochs could have helped.
    MAX_ITER = "max_iter"
    #: A part of the plan, or of the iterations, was left out to keep to a time limit.
    TIME_LIMIT = "time_limit"
    #: The gradient is not zero, but no step along it lowered the objective.
    STUCK = "stuck"
    #: A strong penalty has made the weights vanish, and the predictions nearly constant.
    FLAT = "flat"
    #: The training rows are predicted far worse than by a constant, and no epoch was better.
    POOR = "poor"
    #: The training rows are predicted hardly better than by a constant, or worse. The best
    #: epoch was better; its parameters are restored.
    WORSE = "worse"
    #: A cool-down without a score made the predictions of the training rows far worse. The
    #: parameters of the best epoch are restored.
    SPOILED = "spoiled"
    #: The loss, parameters or predictions became infinite, NaN or immense. The parameters of
    #: the best epoch are restored.
    DIVERGED = "diverged"

    @property
    def restores_best(self) -> bool:
        """Whether the best parameters are returned, even without early stopping."""
        return self in (Ending.WORSE, Ending.SPOILED, Ending.DIVERGED)


#: What is wrong after an ending, in words.
FAULTS = {
    Ending.STUCK: (
        "no step along the gradient lowered the objective. If you wrote the loss or a layer, "
        "check its gradient with sknet.nn.gradients.largest_error"
    ),
    Ending.FLAT: "the penalty alpha is so strong that predictions are nearly constant",
    Ending.POOR: "predictions of the training rows are far worse than a constant",
    Ending.WORSE: (
        "the last predictions of the training rows are hardly better than a constant, or worse"
    ),
    Ending.SPOILED: (
        "the last epochs (which refit=False leaves out), also trained on the validation rows, "
        "made predictions far worse"
    ),
    Ending.DIVERGED: "the loss, parameters or predictions became infinite, NaN or immense",
}


class DivergenceError(ValueError):
    """Training diverged, and there are no better parameters to return."""


class Probe:
    """Some training rows, on which parameters are evaluated.

    Parameters
    ----------
    objective : Objective
    batches : iterable with ``sample``
        The training rows.
    """

    def __init__(self, objective: Objective, batches: BatchIterable):
        self._objective = objective
        self._rows = batches.sample(PROBE_ROWS)

    def loss(self, params: Array) -> float:
        """Return the mean loss; NaN if a raw prediction is infinite or NaN."""
        return _loss_of(self._objective, params, self._rows)

    def constant_loss(self) -> float:
        """Return the mean loss of a constant prediction, that of :meth:`Loss.constant`.

        If all rows happen to be near the constant, its loss is near zero. So the result is at
        least half the loss of raw predictions that are off by one. If y is the same in all
        rows, the rows say nothing about its spread, and the result is also at least the loss of
        a raw prediction of zero. Raw predictions that are not part of the prediction, such as
        that of a standard deviation, keep their best values.

        All rows have a weight of one here, since the weights of a few rows may all be small.
        """
        loss, loss_of, y = self._objective.loss, self._objective.loss_of_constant, self._rows.y
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            best = loss.constant(y)
            one = np.ones_like(best)
            one[list(loss.link.unpromised(best.size))] = 0
            off_by_one = (loss_of(best + one, y) + loss_of(best - one, y)) / 2
            found = [loss_of(best, y), off_by_one / 2]
            if (y == y[0]).all():
                found.append(loss_of(np.where(one > 0, 0, best), y))
            return max(found)


def are_flat(objective: Objective, params: Array, rows: Any) -> bool:
    """Whether predictions of a batch are hardly better than the best constant, or worse."""
    best = objective.least_constant_loss([rows])
    return _exceeds(_loss_of(objective, params, rows), FLAT_FACTOR, best)


def _loss_of(objective: Objective, params: Array, rows: Any) -> float:
    """Return the mean loss of a batch; NaN if a raw prediction is infinite or NaN."""
    workspace = Workspace(objective.network, rows.X.shape[0], params.dtype)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return objective.batch_loss(params, rows, workspace)


class Evaluator(Protocol):
    """The methods of a :class:`Probe`."""

    def loss(self, params: Array) -> float:
        """Return the mean loss; NaN if a raw prediction is infinite or NaN."""

    def constant_loss(self) -> float:
        """Return the mean loss of a constant prediction."""


@dataclass(frozen=True)
class Judge:
    """Decides what training returns.

    Parameters
    ----------
    probe : Probe
        A probe, or another object with its methods.
    initial_loss : float
        The loss of the probe at the beginning of training.
    remedy : str
        What to change if there is nothing to return.
    poor : float, default=POOR_FACTOR
        Parameters are poor if their loss exceeds this multiple of the loss of a constant
        prediction.
    """

    probe: Evaluator
    initial_loss: float
    remedy: str
    poor: float = POOR_FACTOR

    def verdict(
        self,
        candidate: Array | None,
        best: Array | None,
        ending: Ending,
        losses: Sequence[float] = (),
    ) -> tuple[Ending, Any]:
        """Return the ending, and the candidate or, if it is not sound, the best parameters.

        Parameters
        ----------
        candidate : ndarray of shape (n_params,) or None
            The parameters that the training is about to return: the last ones or, with early
            stopping, the best ones. None if no epoch had a finite score.
        best : ndarray of shape (n_params,) or None
            The best parameters after at least one epoch, if there are any.
        ending : Ending
            What ended the training.
        losses : sequence of float, optional
            The losses of the epochs. If one of them was immense, and the candidate is hardly
            better than a constant, training diverged, even if its predictions are finite.

        Returns
        -------
        ending : Ending
            The given one if the candidate is sound, otherwise what is wrong with it.
        params : ndarray of shape (n_params,)

        Raises
        ------
        DivergenceError
            If the candidate has diverged, and there are no better parameters.
        """
        constant = self.probe.constant_loss()
        loss = math.nan if ending is Ending.DIVERGED else self._loss(candidate)
        if ending is Ending.STUCK and not _exceeds(loss, STUCK_FACTOR, constant):
            # The best parameters may be at a kink of the loss, where its slope is not zero.
            ending = Ending.CONVERGED
        if _exceeds(constant, BETTER_FACTOR, loss):
            return ending, candidate
        best_loss = self._loss(best)
        # An outlier among the rows makes all losses large.
        usual = max(constant, min(losses, default=constant))
        diverged = self._diverged(loss, constant) or self._immense(
            max(losses, default=0), usual
        )
        if diverged and self._diverged(best_loss, constant):
            fault = f"{FAULTS[Ending.DIVERGED]} before any epoch ended well"
            raise DivergenceError(f"Training diverged: {fault}. {self.remedy}")
        poor = self._poor(loss, constant)
        collapsed = _exceeds(constant, self.poor, best_loss)
        if best is not None and (diverged or collapsed or (poor and best_loss < loss)):
            return Ending.DIVERGED if diverged else Ending.WORSE, best
        return Ending.POOR if poor else ending, candidate

    def finds_spoiled(self, params: Array, best: Array) -> bool:
        """Whether a cool-down from the best parameters has made them far worse."""
        loss, before = self._loss(params), self._loss(best)
        noticeable = loss - before > SPOILED_SHARE * self.probe.constant_loss()
        return noticeable and _exceeds(loss, SPOILED_FACTOR, before)

    def _loss(self, params: Array | None) -> float:
        """Return the loss of the probe; NaN without finite parameters."""
        if params is None or not np.isfinite(params).all():
            return math.nan
        return self.probe.loss(params)

    def _poor(self, loss: float, constant: float) -> bool:
        """Whether a loss is far above the loss of a constant, and not only for lack of time.

        If a short run starts from poor parameters, its loss may still be high at the end.
        It is then not above the initial loss, and not immense.
        """
        short = loss <= self.initial_loss and not _exceeds(loss, DIVERGED_FACTOR, constant)
        return _exceeds(loss, self.poor, constant) and not short

    def _diverged(self, loss: float, constant: float) -> bool:
        """Whether a loss is infinite, NaN or immense."""
        return self._immense(loss, constant) or not math.isfinite(loss)

    def _immense(self, loss: float, usual: float) -> bool:
        """Whether a loss is far above a usual one, and above the initial one."""
        initial = self.initial_loss if math.isfinite(self.initial_loss) else math.inf
        return _exceeds(loss, DIVERGED_FACTOR, max(usual, initial))


def _exceeds(loss: float, factor: float, other: float) -> bool:
    """Whether a loss is more than ``factor`` times another one.

    A negative loss has to be exceeded by as much as a positive one of the same size.
    """
    return loss > other + (factor - 1) * abs(other)
