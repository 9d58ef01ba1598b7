"""One training of a model's network, from the first batch to the result."""

import re
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from sknet._batching import mini_batches, training_blocks
from sknet._building import (
    make_optimizer_and_penalty,
    make_stopping,
    make_update_rule,
    random_streams,
)
from sknet._monitoring import EpochPrinter, Validation
from sknet.data.row_blocks import RowBlocks
from sknet.data.splitting import split_rows
from sknet.nn.lbfgs import train_lbfgs
from sknet.nn.objective import Objective
from sknet.nn.training import Stopping, TrainingState, train

#: Rows, evenly spread, by which a resumed fit knows its data.
FINGERPRINT_ROWS = 1000


@dataclass
class Run:
    """What a training draws and remembers; with the data, all that is needed to go on.

    ``params`` and ``state`` are None before the first epoch.
    """

    streams: dict[str, np.random.Generator]
    split_seed: int
    params: np.ndarray | None = None
    state: TrainingState | None = None
    n_rows: int = 0
    parameters: dict[str, str] | None = None
    fingerprint: str = ""

    @classmethod
    def start(cls, random_state):
        """Return a run that has not begun."""
        streams = random_streams(random_state)
        return cls(streams, int(streams["split"].integers(np.iinfo(np.int32).max)))

    def expect(self, estimator, data):
        """Remember parameters and data, or hold those that a run goes on with against them.

        Raises
        ------
        ValueError
            If a run that has begun would go on with others.
        """
        # A run has its own generators; what has an address is another object each time.
        free = {"verbose", "warm_start", "max_iter", "random_state"}
        parameters = {
            name: re.sub(" at 0x[0-9a-f]+", "", repr(value))
            for name, value in estimator.get_params(deep=False).items()
            if name not in free
        }
        step = max(1, data.n_rows // FINGERPRINT_ROWS)
        sample = data.batch(slice(None, None, step))
        fingerprint = joblib.hash((data.n_rows, data.X.shape, *sample))
        if self.parameters is None:
            self.n_rows, self.parameters = data.n_rows, parameters
            self.fingerprint = fingerprint
        changed = [k for k, v in parameters.items() if self.parameters[k] != v]
        if changed:
            raise ValueError(
                f"Since the checkpoint these parameters have changed: {changed}. Set them back "
                "to resume, or fit anew."
            )
        if self.fingerprint != fingerprint:
            raise ValueError(
                f"The checkpoint's fit was of other training rows ({self.n_rows} of them; now "
                f"{data.n_rows}). Resume with the same data, or fit anew."
            )


def load_checkpoint(estimator, path):
    """Return the estimator that a checkpoint's file holds.

    Raises
    ------
    ValueError
        If it holds something else, or a solver that cannot go on.
    """
    saved = joblib.load(path)
    run = getattr(saved, "_run", None)
    # partial_fit keeps a run as well, but none of a fit.
    if type(saved) is not type(estimator) or run is None or run.parameters is None:
        raise ValueError(
            f"{path} is not a checkpoint of {type(estimator).__name__}: it holds {saved!r}."
        )
    if run.state is None:
        raise ValueError("solver='lbfgs' cannot go on from a checkpoint; fit anew.")
    return saved


def split_off_validation(model, data, run):
    """Return the training rows, and the validation rows or None, as early_stopping says."""
    if not model._settings.early_stopping:
        return data, None
    strata = model._strata(data.y)
    parts = split_rows(data.n_rows, model._settings.validation_fraction, strata, run.split_seed)
    if isinstance(data.X, RowBlocks):
        for rows in parts:
            rows.sort()  # in place: of many rows a copy would be felt
    return tuple(data.choose(rows) for rows in parts)


def fit_network(model, data, validation, run, observe=None):
    """Train ``model._network`` from ``model._params`` on, and return the result.

    Parameters
    ----------
    model : BaseNN
        Encoders, network and initial parameters; its parameters are updated in place.
    data : Dataset
        Rows to train on.
    validation : pair of Dataset or None, and the user's X
        Rows to watch, and where they are found in the form that the user gave.
    run : Run
        A new one, or one to go on with.
    observe : callable, optional
        Called after each epoch as ``train`` calls its ``report``.
    """
    if model.solver != "lbfgs":
        batches = mini_batches(model, data, run.streams)
        return fit_batches(model, batches, validation, run, observe)
    solver, penalty = make_optimizer_and_penalty(model._settings)
    objective = Objective(model._network, model._loss, penalty)
    # In float64 throughout: a line search compares nearly equal values.
    dtype, model._params = model._params.dtype, model._params.astype(np.float64)
    result = train_lbfgs(
        objective,
        model._params,
        training_blocks(model, data),
        make_stopping(model._settings),
        solver,
        **_watchers(model, objective, validation, observe),
    )
    model._params = result.params.astype(dtype)
    return result


def fit_batches(model, batches, validation, run, observe=None):
    """Train ``model._network`` by a step on each batch, and return the result.

    The arguments are those of :func:`fit_network`, but for the batches, each iteration over
    which is one epoch.
    """
    optimizer, penalty = make_optimizer_and_penalty(model._settings)
    objective = Objective(model._network, model._loss, penalty)
    run.params = model._params
    run.state = run.state or TrainingState.start(optimizer, run.params, run.streams["noise"])
    return train(
        objective,
        run.params,
        batches,
        make_update_rule(model._settings, optimizer),
        make_stopping(model._settings),
        run.state,
        **_watchers(model, objective, validation, observe),
    )


def _watchers(model, objective, validation, observe):
    """Return who evaluates the parameters after an epoch, and who is told, as options."""
    watchers: dict[str, Any] = {"report": _reporter(model, observe)}
    if validation[0] is not None:
        watchers["evaluate"] = Validation(model, objective, *validation)
    return watchers


def fit_one_pass(model, data, run):
    """Make one pass over the rows, from ``model._params`` on, and return the result."""
    optimizer, penalty = make_optimizer_and_penalty(model._settings)
    if run.state is None or run.state.optimizer is not type(optimizer):
        run.state = TrainingState.start(optimizer, model._params, run.streams["noise"])
    state = run.state.next_training()
    result = train(
        Objective(model._network, model._loss, penalty),
        model._params,
        mini_batches(model, data, run.streams),
        make_update_rule(model._settings, optimizer, horizon=False),
        Stopping(max_iter=1, tol=0.0, n_iter_no_change=np.inf),
        state,
        report=_reporter(model, n_before=vars(model).get("n_iter_", 0)),
    )
    # Without the record of this pass, which the estimator keeps.
    run.state = state.next_training()
    return result


def _reporter(model, observe=None, n_before=0):
    """Return a function that tells the printer and the observer of an epoch, or None."""
    tell = EpochPrinter(model.verbose) if model.verbose else None
    listeners = [one for one in (tell, observe) if one is not None]

    def report(iteration, record, params):
        return any([one(n_before + iteration, record, params) for one in listeners])

    return report if listeners else None
