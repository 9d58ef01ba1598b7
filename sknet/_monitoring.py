"""Who watches while a network trains: early stopping, callbacks, and the printer."""

import copy
import math
from functools import partial

import numpy as np
from sklearn.metrics import check_scoring

from sknet import _validation as checks
from sknet._batching import validation_blocks
from sknet.nn.network import Workspace
from sknet.nn.training import append


class Validation:
    """Evaluates parameters on validation rows, for early stopping.

    A scorer gets the rows in the form in which the user gave them, from ``source``.
    """

    def __init__(self, model, objective, data, source):
        self._objective = objective
        self._batches = validation_blocks(model, data)
        n_rows, dtype = self._batches.batch_size, model._params.dtype
        self._workspace = Workspace(objective.network, n_rows, dtype)
        self._scorer = None
        if model.scoring != "loss":
            self._model = copy.copy(model)
            self._scorer = check_scoring(model, scoring=model.scoring)
            self._arguments = [checks.take_rows(source, data.positions), data.y]
            if data.sample_weight is not None:
                self._scorer = partial(self._scorer, sample_weight=data.sample_weight)
            self._try_scorer(model._params)

    def __call__(self, params):
        """Return the loss and the score, higher is better; a dict as ``train`` expects."""
        loss = self._objective.mean_loss(params, self._batches, self._workspace)
        score = -loss if self._scorer is None else self._score(params)
        return {"validation_loss": loss, "validation_score": score}

    def _try_scorer(self, params):
        """Score the initial parameters: what fails should fail before training."""
        try:
            self._score(params)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"scoring={self._model.scoring!r} does not work on the validation rows: {error}"
            ) from error

    def _score(self, params):
        self._model._params = params
        score = float(self._scorer(self._model, *self._arguments))
        if not math.isfinite(score):
            raise ValueError(
                f"scoring={self._model.scoring!r} returned {score} on the validation rows, "
                "which early stopping cannot compare."
            )
        return score


class CallbackObserver:
    """Tells scikit-learn's callbacks of a fit and of its epochs.

    They see the user's X and y, and a fitted copy that is made only if they ask for one.
    """

    def __init__(self, context, estimator, model, run, arguments):
        self._context = context
        self._estimator = estimator
        self._model = model
        self._run = run
        self._arguments = arguments
        self._history = copy.deepcopy(run.state.history) if run.state else {}
        context.call_on_fit_task_begin(estimator=estimator, **arguments)

    @classmethod
    def start(cls, estimator, model, run, X, y, sample_weight):
        """Return an observer, or None if the estimator has no callbacks."""
        context = checks.callback_context(estimator, model._settings.max_iter)
        if context is None:
            return None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        return cls(context, estimator, model, run, {"X": X, "y": y, "metadata": metadata})

    def __call__(self, iteration, record, params):
        """Report an epoch; return whether a callback wants to stop."""
        append(self._history, record)
        epoch = self._context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self._estimator, **self._arguments)
        return epoch.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=lambda: self._fitted_attributes(params),
            **self._arguments,
        )

    def finish(self, model):
        """Report the end of the fit."""
        self._context.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=lambda: _attributes(copy.deepcopy(vars(model)), model),
            **self._arguments,
        )

    def _fitted_attributes(self, params):
        """Return the attributes of a fit that ended here, and its run, all of them copies."""
        model = copy.copy(self._model)
        model._params = params.astype(model._params.dtype)
        model._set_record(copy.deepcopy(self._history), self._run.n_rows)
        model._run = copy.deepcopy(self._run)
        return _attributes(vars(model), model)


def _attributes(attributes, model):
    """Return those that are neither parameters nor a callback's."""
    others = {*model.get_params(deep=False), *checks.CALLBACK_ATTRIBUTES}
    return {name: value for name, value in attributes.items() if name not in others}


class EpochPrinter:
    """Prints one aligned line for every ``every``-th epoch."""

    _LABELS = {
        "validation_loss": "validation loss",
        "validation_score": "validation score",
        "learning_rate": "learning rate",
    }

    _WIDTH = 34

    def __init__(self, every):
        self.every = int(every)

    def __call__(self, iteration, record, params):
        """Print the line of an epoch."""
        if (iteration - 1) % self.every == 0:
            print(self._line(iteration, dict(record)))

    def _line(self, iteration, record):
        seconds = record.pop("seconds")
        parts = [f"Iteration {iteration}, loss = {record.pop('loss'):.8f}"]
        if record.get("validation_score") == -record.get("validation_loss", np.nan):
            del record["validation_score"]
        parts += [f"{self._LABELS[name]} = {value:.6g}" for name, value in record.items()]
        columns = [f"{part}, ".ljust(self._WIDTH) for part in parts]
        return "".join([*columns, f"{seconds:.3f} s"])
