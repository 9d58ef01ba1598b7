"""Observers of training: early stopping, callbacks and printed progress."""

import copy
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple, Protocol, Self, TypeAlias, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring

from sknet._base_model import CALIBRATION_ROWS
from sknet._model import Model
from sknet._requirements import callbacks_of
from sknet.data import frames
from sknet.data.batches import Batches, Dataset, stack_rows
from sknet.data.draws import same_rows
from sknet.data.row_blocks import RowBlocks, as_row_blocks
from sknet.data.weights import repetitions
from sknet.metrics import as_scorer
from sknet.nn.network import Workspace
from sknet.nn.objective import Members
from sknet.nn.state import append, score_of_learning
from sknet.nn.training import Report

#: The width of a column in the printed line of an epoch.
COLUMN_WIDTH = 34
#: How to mend a scorer, by words of the error that it raises.
SCORER_REMEDIES = {
    "pos_label": "Name the class: make_scorer(..., pos_label=...).",
    "multi_class must be": "For three or more classes, use 'roc_auc_ovr' or 'roc_auc_ovo'.",
    "continuous is not": "This score compares labels. For numbers, use one such as 'r2'.",
    "could not convert": "This score compares numbers. For labels, use one such as 'accuracy'.",
}


#: What a model predicts for held-out rows: the members, their raw predictions, the encoded
#: targets, and the weights of the rows or None.
Predicted: TypeAlias = tuple[Members, np.ndarray, np.ndarray, np.ndarray | None]


class Unseen(Protocol):
    """Held-out rows, which show how certain predictions may be, and how y is distributed."""

    @property
    def independent(self) -> bool:
        """Whether the rows are independent: False if they are of groups."""
        ...

    def predictions(self, model: Model) -> Predicted:
        """Return what a model predicts for the rows, or for a fixed sample of them."""
        ...


class HeldOut(NamedTuple):
    """Rows that are held out for validation.

    ``data`` has the checked rows with their weights. ``of_training`` tells whether they were
    split off from the training table and can be united with its other rows again. Rows held out
    of chunks cannot. The other two fields serve a scorer: ``source`` is the user's X that
    contains the rows, and ``make_estimator(model)`` returns an estimator that predicts with a
    model.
    """

    data: Dataset
    of_training: bool = False
    source: Any = None
    make_estimator: Callable[[Model], BaseEstimator] | None = None

    @property
    def independent(self) -> bool:
        """Whether the rows are independent: False if they are of groups."""
        return self.data.groups is None

    def predictions(self, model: Model) -> Predicted:
        """Return what a model predicts for the rows.

        If there are more than ``CALIBRATION_ROWS`` rows, that many are drawn, always the same
        ones. If a row was held out by one member only, its prediction is that of this member,
        as if there were no others.
        """
        by_member = same_rows(self.data, CALIBRATION_ROWS)
        data = by_member.with_row_weights()
        # Each row is needed only once, so no encoded rows are kept.
        batches = model.blocks(data, encoded_bytes=0, smooth=False)
        raw = raw_predictions(model, batches)
        members = model.members
        if by_member.is_cross_fitted:
            own = cast(np.ndarray, by_member.sample_weight).argmax(axis=1)
            members, raw = replace(members, n=1), members.split(raw)[np.arange(len(raw)), own]
        counts = repetitions(data.sample_weight)
        weight = batches.data.sample_weight if counts is None else counts
        return members, raw, batches.data.y, weight


class Validation:
    """Evaluates parameters on validation rows, for early stopping.

    Parameters
    ----------
    model : Model
        The model before training; its objective, settings and encodings are used.
    held_out : HeldOut
    """

    def __init__(self, model: Model, held_out: HeldOut):
        self._model = model
        self._objective = model.objective
        self._batches = model.blocks(held_out.data, smooth=False)
        rows = held_out.data.with_row_weights()
        least = model.loss.least(model.training_targets(rows.y))
        self._least_loss = float(np.average(least, weights=rows.sample_weight))
        self._workspace = Workspace(model.network, self._batches.batch_size, model.params.dtype)
        self._scorer: Any = None
        if model.settings.scoring != "loss":
            self._make_scorer(held_out)

    @property
    def of_constants(self) -> dict[str, Any]:
        """What constant and best predictions say about training (see ``Stopping``).

        The lowest scores that show that something has been learned are minus infinity for
        scorers, since their score of a constant prediction is unknown.
        """
        found: dict[str, Any] = {"least_loss": self._least_loss}
        objective = self._objective
        batches = self._batches.without_columns()
        # With extreme numbers, a loss may overflow, which says nothing about learning.
        with np.errstate(over="ignore", invalid="ignore"):
            if objective.network.adapts:
                found["constant_loss"] = objective.least_constant_loss(batches)
            if self._scorer is None:
                losses = objective.constant_losses(batches)
                least, of_refit = (score_of_learning(loss, batches.n_rows) for loss in losses)
                found |= {"least_score": least, "least_score_of_refit": of_refit}
        return found

    def _make_scorer(self, held_out: HeldOut) -> None:
        """Make the scorer of the user's validation rows, and score the initial parameters.

        An unsuitable scorer therefore fails before training.

        Raises
        ------
        ValueError
            If the scorer raises an error, or returns a number that is not finite.
        """
        data, scoring = held_out.data, self._model.settings.scoring
        make_estimator = cast(Callable[[Model], BaseEstimator], held_out.make_estimator)
        scorer = check_scoring(make_estimator(self._model), scoring=as_scorer(scoring))
        rows = _take_rows(held_out.source, data.positions)
        weights = {} if data.sample_weight is None else {"sample_weight": data.sample_weight}
        y = self._model.target.as_given(data.y, rows)
        self._scorer = lambda model: scorer(make_estimator(model), rows, y, **weights)
        self._score(self._model.params)

    def __call__(self, params: np.ndarray) -> dict[str, float]:
        """Return the validation loss and the score (higher is better), as ``train`` expects.

        A scorer is not called for parameters whose loss is infinite or NaN.
        """
        loss = self._objective.mean_loss(params, self._batches, self._workspace)
        scores = self._scorer is not None and math.isfinite(loss)
        score = self._score(params) if scores else -loss
        return {"validation_loss": loss, "validation_score": score}

    def _score(self, params: np.ndarray) -> float:
        model = self._model.with_params(params)
        if model.loss.has_dispersion:
            rows, raw = self._batches.data, raw_predictions(model, self._batches)
            found = cast(Any, model).calibration_of(
                model.members, raw, rows.y, rows.sample_weight
            )
            model = replace(model, calibration=found)
        scoring = self._model.settings.scoring
        try:
            score = float(self._scorer(model))
        except (TypeError, ValueError, AttributeError) as error:
            happened = str(error)
            remedies = (mend for words, mend in SCORER_REMEDIES.items() if words in happened)
            raise ValueError(
                f"scoring={scoring!r} does not work on the validation rows: "
                f"{'. '.join([happened.rstrip('.'), *remedies])}"
            ) from error
        if not math.isfinite(score):
            raise ValueError(
                f"scoring={scoring!r} returned {score} on the validation rows, and early "
                "stopping cannot compare such a score."
            )
        return score


def _take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return rows of the user's X, which are read in blocks if X is."""
    blocks = as_row_blocks(X)
    return frames.take_rows(X, rows) if blocks is None else ChosenRows(blocks, rows)


class ChosenRows:
    """Some rows of a table that is read in blocks, given their increasing positions."""

    def __init__(self, blocks: RowBlocks, positions: np.ndarray) -> None:
        self._blocks = blocks
        self._positions = positions
        self.shape = (positions.size, blocks.shape[1])
        self.dtype = blocks.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._blocks[self._positions[rows]]


def raw_predictions(model: Model, batches: Batches) -> np.ndarray:
    """Return the raw predictions of the members for all rows of the batches."""
    workspace = Workspace(model.network, batches.batch_size, model.params.dtype)
    blocks = ((model.network.forward(model.params, one.X, workspace),) for one in batches)
    (raw,) = stack_rows(blocks, batches.n_rows, model.params.dtype)
    return raw


@dataclass(eq=False)
class CallbackObserver:
    """Tells scikit-learn's callbacks about a fit and its epochs.

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

    context: Any
    estimator: BaseEstimator
    arguments: dict[str, Any]
    history: dict[str, list]
    attributes_after: Callable[[np.ndarray, dict[str, list]], dict[str, Any]]

    def __call__(self, iteration: int, record: Mapping[str, float], params: np.ndarray) -> bool:
        """Tell the callbacks about an epoch; return whether one of them asks to stop."""
        append(self.history, dict(record))
        epoch = self.context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.arguments)
        return epoch.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.attributes_after(params, self.history),
            **self.arguments,
        )

    def progress(self, visible_params: Callable[[], np.ndarray]) -> None:
        """Tell the callbacks that an epoch is not over yet.

        ``visible_params()`` returns the parameters to evaluate.
        """

        def make_fitted() -> BaseEstimator:
            fitted = copy.copy(self.estimator)
            vars(fitted).update(self.attributes_after(visible_params(), self.history))
            return fitted

        for callback in callbacks_of(self.estimator):
            # scikit-learn's callbacks are only told about whole epochs.
            if hasattr(callback, "on_progress"):
                callback.on_progress(self.estimator, self.context, make_fitted)

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Tell the callbacks about the end of the fit, given the attributes that it sets."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: copy.deepcopy(dict(attributes)),
            **self.arguments,
        )


def reporter(verbose: int, observe: Report | None = None, n_before: int = 0) -> Report | None:
    """Return a function that prints every ``verbose``-th epoch and calls the observer, or None.

    ``n_before`` is the number of epochs before this training, which printed numbers include.
    """

    def report(iteration: int, record: dict[str, float], params: np.ndarray) -> bool:
        number = n_before + iteration
        if verbose and (number - 1) % verbose == 0:
            print(epoch_line(number, record))
        return observe is not None and observe(iteration, record, params)

    return report if verbose or observe is not None else None


def epoch_line(number: int, record: Mapping[str, float]) -> str:
    """Return the printed line of an epoch, whose columns align with those of other epochs."""
    shown = {name: value for name, value in record.items() if not math.isnan(value)}
    seconds, loss = shown.pop("seconds"), shown.pop("loss")
    if shown.get("validation_score") == -shown.get("validation_loss", np.nan):
        del shown["validation_score"]
    parts = [f"Iteration {number}, loss = {loss:.8f}"]
    parts += [f"{name.replace('_', ' ')} = {value:.6g}" for name, value in shown.items()]
    if math.isnan(record.get("validation_loss", 0.0)):
        parts.append("trained on all rows")
    columns = [f"{part}, ".ljust(COLUMN_WIDTH) for part in parts]
    return "".join([*columns, f"{seconds:.3f} s"])


#: The smallest number of seconds between two lines.
SECONDS_BETWEEN_LINES = 5.0


def row_progress(verbose: int) -> "RowProgress":
    """Return a display of the number of processed rows; it shows nothing unless ``verbose``.

    It is a bar if rich is installed and the output is a terminal that can show one.
    """
    if verbose and sys.stdout.isatty():
        with suppress(ImportError):
            from rich.console import Console

            if not Console().is_dumb_terminal:
                return RowBar()
    return RowLines() if verbose else RowProgress()


class RowProgress(AbstractContextManager):
    """Base class of displays of how many rows of a pass are done. It shows nothing itself.

    It is a context manager, which a fit enters before its first pass.
    """

    def __exit__(self, *error: object) -> None:
        """End the display."""

    def __call__(self, name: str, n_done: int, n_rows: int | None = None) -> None:
        """Show how many rows of the pass with this name are done.

        ``n_rows`` is the number of all rows; None in the first pass, which counts them.
        """


class RowLines(RowProgress):
    """Prints a line with the rows done and the rows per second, at most every few seconds."""

    def __init__(self) -> None:
        self._name = ""
        self._told = (0.0, 0)

    def __call__(self, name: str, n_done: int, n_rows: int | None = None) -> None:
        """Print a line if the pass began, or the last line was printed, long enough ago."""
        now = perf_counter()
        since, before = self._told
        if name != self._name:
            self._name, self._told = name, (now, n_done)
        elif now - since >= SECONDS_BETWEEN_LINES:
            speed = (n_done - before) / (now - since)
            print(f"{name}: {in_words(n_done, n_rows, speed)}", flush=True)
            self._told = (now, n_done)


class RowBar(RowProgress):
    """Shows rich's progress bar, which disappears after the fit."""

    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console
        from rich.table import Column

        # In a narrow terminal, the bar becomes shorter, and the text is not broken.
        bar = progress.BarColumn(None, table_column=Column(max_width=40))
        name = progress.TextColumn("{task.description}")
        rows = progress.TextColumn("{task.fields[rows]}")
        left = progress.TimeRemainingColumn()
        # Callbacks may also have bars, and rich before 14.1 refuses two on one console.
        columns = name, bar, rows, left
        self._bar = progress.Progress(*columns, console=Console(), transient=True)
        self._task = self._bar.add_task("", total=None, rows="")
        self._name = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: Any) -> None:
        """Remove the bar."""
        self._bar.stop()

    def __call__(self, name: str, n_done: int, n_rows: int | None = None) -> None:
        """Move the bar; a new pass begins a new bar."""
        if name != self._name:
            self._name = name
            self._bar.reset(self._task, description=name, total=n_rows, completed=n_done)
        self._bar.update(self._task, completed=n_done)
        rows = in_words(n_done, n_rows, self._bar.tasks[0].speed)
        self._bar.update(self._task, rows=rows)


def in_words(n_done: int, n_rows: int | None, speed: float | None) -> str:
    """Return the rows done, and if known, all rows and the rows per second, as text."""
    total = "" if n_rows is None else f" of {n_rows:,}"
    rate = "" if speed is None else f", {speed:,.0f} rows/s"
    return f"{n_done:,}{total} rows{rate}"
