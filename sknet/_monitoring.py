"""Functions that are called after each epoch: early stopping, callbacks and the printer."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring

from sknet._batching import validation_blocks
from sknet._input import take_rows
from sknet._model import Model
from sknet._sklearn import callback_context, callbacks_of
from sknet.data.batches import Dataset, stack_rows
from sknet.data.draws import same_rows
from sknet.data.weights import repetitions
from sknet.nn.network import Workspace
from sknet.nn.objective import Objective
from sknet.nn.state import append
from sknet.nn.stopping import score_of_learning

#: The largest number of held-out rows by which probabilities are calibrated.
CALIBRATION_ROWS = 10_000

#: Returns an estimator that predicts with a model.
MakeEstimator = Callable[[Model], BaseEstimator]


def _no_estimator(model: Model) -> BaseEstimator:
    raise NotImplementedError("Only the loss can be watched here: a scorer needs an estimator.")


@dataclass(frozen=True)
class HeldOut:
    """Rows that are held out to validate with.

    ``data`` are the checked rows with their weights. ``of_training`` tells whether they were
    split off from the training table. The other two fields serve a scorer: ``source`` is the
    user's X that contains the rows, and ``make_estimator`` returns an estimator for a model.
    """

    data: Dataset
    of_training: bool = False
    source: Any = None
    make_estimator: MakeEstimator = _no_estimator


class Validation:
    """Evaluates parameters on validation rows, for early stopping.

    Parameters
    ----------
    model : Model
        The model before training; its settings and its encodings are used.
    objective : Objective
    held_out : HeldOut
    """

    def __init__(self, model: Model, objective: Objective, held_out: HeldOut):
        self._model = model
        self._objective = objective
        self._held_out = held_out
        self._batches = validation_blocks(model, held_out.data)
        self._workspace = Workspace(
            objective.network, self._batches.batch_size, model.params.dtype
        )
        self._scorer: Any = None
        if model.settings.scoring != "loss":
            self._scorer = self._make_scorer()
            self._try_scorer()

    @property
    def least_score(self) -> float:
        """The score that shows that something has been learned.

        Scorers have none: what they return for a constant is not known.
        """
        if self._scorer is not None:
            return -math.inf
        # With extreme numbers a loss may overflow, which says nothing about learning.
        with np.errstate(over="ignore", invalid="ignore"):
            constant = self._objective.constant_loss(self._batches.without_columns())
        return score_of_learning(constant, self._batches.n_rows)

    def _make_scorer(self) -> Callable[[BaseEstimator], float]:
        """Return a function that scores an estimator on the user's validation rows."""
        data = self._held_out.data
        scorer = check_scoring(
            self._estimator(self._model.params), scoring=self._model.settings.scoring
        )
        rows = take_rows(self._held_out.source, data.positions)
        weights = {} if data.sample_weight is None else {"sample_weight": data.sample_weight}
        return lambda estimator: scorer(estimator, rows, data.y, **weights)

    def _estimator(self, params: np.ndarray) -> BaseEstimator:
        """Return a fitted estimator with these parameters of the network."""
        return self._held_out.make_estimator(self._model.with_params(params))

    def __call__(self, params: np.ndarray) -> dict[str, float]:
        """Return the validation loss and the score, higher is better, as ``train`` expects.

        A scorer is not asked for parameters whose loss is infinite or NaN.
        """
        loss = self._objective.mean_loss(params, self._batches, self._workspace)
        score = -loss
        if self._scorer is not None and math.isfinite(loss):
            score = self._score(params)
        return {"validation_loss": loss, "validation_score": score}

    def _try_scorer(self) -> None:
        """Score the initial parameters, so that an unsuitable scorer fails before training.

        Raises
        ------
        ValueError
            If the scorer raises an error, or returns a number that is not finite.
        """
        try:
            self._score(self._model.params)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"scoring={self._model.settings.scoring!r} does not work on the validation "
                f"rows: {error}"
            ) from error

    def _score(self, params: np.ndarray) -> float:
        score = float(self._scorer(self._estimator(params)))
        if not math.isfinite(score):
            raise ValueError(
                f"scoring={self._model.settings.scoring!r} returned {score} on the validation "
                "rows, which early stopping cannot compare."
            )
        return score


def held_out_predictions(
    model: Model, held_out: HeldOut
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return raw predictions, encoded targets and weights of held-out rows.

    Of many rows, ``CALIBRATION_ROWS`` are drawn: always the same ones.
    """
    data = same_rows(held_out.data, CALIBRATION_ROWS)
    # Each row is needed once, so that no encoded rows are kept.
    batches = validation_blocks(model, data, encoded_bytes=0)
    workspace = Workspace(model.network, batches.batch_size, model.params.dtype)
    blocks = ((model.network.forward(model.params, one.X, workspace),) for one in batches)
    (raw,) = stack_rows(blocks, batches.n_rows, model.params.dtype)
    counts = repetitions(data.sample_weight)
    return raw, batches.data.y, batches.data.sample_weight if counts is None else counts


class CallbackObserver:
    """Tells scikit-learn's callbacks of a fit and of its epochs.

    Callbacks get the user's X and y. The attributes of a fitted estimator are computed only if
    a callback asks for them.

    Parameters
    ----------
    context : CallbackContext
        The context of the fit.
    estimator : estimator
        The estimator that is being fitted.
    arguments : dict
        X, y and metadata, in the form in which ``fit`` got them.
    history : dict of str to list
        The record of the epochs before the checkpoint, in a resumed fit; otherwise empty.
    attributes_after : callable
        ``attributes_after(params, history)`` returns the fitted attributes for these
        parameters and this record.
    """

    def __init__(
        self,
        context: Any,
        estimator: BaseEstimator,
        arguments: dict[str, Any],
        history: dict[str, list],
        attributes_after: Callable[[np.ndarray, dict[str, list]], dict[str, Any]],
    ):
        self._context = context
        self._estimator = estimator
        self._arguments = arguments
        self._history = history
        self._attributes_after = attributes_after
        # Callbacks of scikit-learn are told of whole epochs alone.
        self._watching = [one for one in callbacks_of(estimator) if hasattr(one, "on_progress")]
        context.call_on_fit_task_begin(estimator=estimator, **arguments)

    @classmethod
    def start(
        cls,
        estimator: BaseEstimator,
        n_epochs: int,
        X: Any,
        y: Any,
        sample_weight: Any,
        history: dict[str, list],
        attributes_after: Callable[[np.ndarray, dict[str, list]], dict[str, Any]],
    ) -> Self | None:
        """Return an observer of at most ``n_epochs`` epochs, or None without callbacks."""
        context = callback_context(estimator, n_epochs)
        if context is None:
            return None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        arguments = {"X": X, "y": y, "metadata": metadata}
        return cls(context, estimator, arguments, copy.deepcopy(history), attributes_after)

    def __call__(self, iteration: int, record: Mapping[str, float], params: np.ndarray) -> bool:
        """Tell the callbacks of an epoch; return whether one of them asks to stop."""
        append(self._history, dict(record))
        epoch = self._context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self._estimator, **self._arguments)
        return epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=lambda: self._attributes_after(params, self._history),
            **self._arguments,
        )

    def progress(self, visible_params: Callable[[], np.ndarray]) -> None:
        """Tell the callbacks that an epoch goes on; ``visible_params()`` are its parameters."""

        def make_fitted() -> BaseEstimator:
            fitted = copy.copy(self._estimator)
            vars(fitted).update(self._attributes_after(visible_params(), self._history))
            return fitted

        for callback in self._watching:
            callback.on_progress(self._estimator, self._context, make_fitted)

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Tell the callbacks of the end of the fit, given the attributes that it will set."""
        self._context.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=lambda: copy.deepcopy(dict(attributes)),
            **self._arguments,
        )


class EpochPrinter:
    """Prints one aligned line for every ``every``-th epoch."""

    _LABELS = {
        "validation_loss": "validation loss",
        "validation_score": "validation score",
        "learning_rate": "learning rate",
    }
    _WIDTH = 34

    def __init__(self, every: int):
        self.every = int(every)

    def __call__(self, iteration: int, record: Mapping[str, float], params: np.ndarray) -> None:
        """Print the line of an epoch."""
        if (iteration - 1) % self.every == 0:
            print(self._line(iteration, dict(record)))

    def _line(self, iteration: int, record: dict[str, float]) -> str:
        seconds = record.pop("seconds")
        record = {name: value for name, value in record.items() if not math.isnan(value)}
        parts = [f"Iteration {iteration}, loss = {record.pop('loss'):.8f}"]
        if record.get("validation_score") == -record.get("validation_loss", np.nan):
            del record["validation_score"]
        parts += [f"{self._LABELS[name]} = {value:.6g}" for name, value in record.items()]
        columns = [f"{part}, ".ljust(self._WIDTH) for part in parts]
        return "".join([*columns, f"{seconds:.3f} s"])
