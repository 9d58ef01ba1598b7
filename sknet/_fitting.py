"""The training of a model's network: the problem, the run and the calls of the solvers."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, cast

import joblib
import numpy as np
from sklearn.utils import check_random_state

from sknet._auto import MANY_ROWS
from sknet._batching import mini_batches, training_blocks
from sknet._model import Model
from sknet._monitoring import EpochPrinter, HeldOut, Validation, held_out_predictions
from sknet._settings import Settings
from sknet._threads import training_threads
from sknet.data.batches import Dataset
from sknet.data.draws import split_rows
from sknet.data.row_blocks import RowBlocks
from sknet.nn.epochs import ReturnToBest, UpdateRule
from sknet.nn.lbfgs import LBFGS, train_lbfgs
from sknet.nn.objective import BatchIterable, Objective, fit_factor
from sknet.nn.optimizers import Optimizer, Solver
from sknet.nn.schedules import Constant
from sknet.nn.soundness import DIVERGED_FACTOR
from sknet.nn.state import Stopping, TrainingResult, TrainingState
from sknet.nn.training import Report, train

#: The smallest number of training rows, evenly spaced, whose hash tells a resumed fit whether
#: its data are the same. A table with fewer rows is hashed as a whole. Of a table in blocks,
#: the rows that it keeps in memory are hashed.
FINGERPRINT_ROWS = 1000

#: The purposes for which a fit draws random numbers. Each has a generator of its own, so that
#: a draw whose number depends on the rows does not shift the draws for another purpose.
PURPOSES = ["tables", "init", "split", "shuffle", "augmentation", "noise"]


@dataclass
class Run:
    """The random generators and the state of a training.

    Together with the data they determine how the training continues. ``params`` and ``state``
    are None before the first epoch. ``n_rows`` and ``fingerprint`` identify the training rows
    of a fit that can be resumed; ``partial_fit`` leaves them empty.
    """

    streams: dict[str, np.random.Generator]
    split_seed: int
    params: np.ndarray | None = None
    state: TrainingState | None = None
    n_rows: int = 0
    fingerprint: str = ""

    @classmethod
    def start(cls, random_state: Any) -> Self:
        """Return the run of a training that has not begun."""
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        generators = np.random.default_rng(seed).spawn(len(PURPOSES))
        streams = dict(zip(PURPOSES, generators, strict=True))
        return cls(streams, int(streams["split"].integers(np.iinfo(np.int32).max)))

    @property
    def vectors(self) -> list[np.ndarray]:
        """The parameter vectors in the state, which a new scale of y must change as well."""
        if self.state is None:
            return []
        known = (self.state.average, self.state.trained)
        return [vector for vector in known if vector is not None]

    def n_seen(self, n_validation: int, history: dict[str, list[float]]) -> int:
        """Return the number of rows that a fit with this record has visited in all epochs."""
        n_refit = 0 if self.state is None else self.state.n_refit
        return self.n_rows * len(history.get("loss", [])) + n_validation * n_refit

    @property
    def iteration(self) -> int:
        """The number of finished epochs."""
        return 0 if self.state is None else self.state.iteration

    @property
    def n_batches_done(self) -> int:
        """The number of batches of the current epoch that are done."""
        begun = None if self.state is None else self.state.begun
        return 0 if begun is None else begun.n_batches

    def visible_params(self) -> np.ndarray:
        """Return the parameters to evaluate, while the training goes on."""
        return cast(TrainingState, self.state).visible(cast(np.ndarray, self.params))

    def expect_rows(self, n_rows: int, identify: Callable[[], str]) -> None:
        """Note the number of training rows of a new run, or check those of a resumed run.

        ``identify()`` returns their fingerprint.

        Raises
        ------
        ValueError
            If a resumed run has other training rows than before.
        """
        if not self.n_rows:
            self.n_rows = n_rows
        elif (self.n_rows, self.fingerprint) != (n_rows, identify()):
            raise ValueError(
                f"The checkpoint was written by a fit to other training rows ({self.n_rows} "
                f"rows; now {n_rows}). Resume with the same data, and those of fit_chunks in "
                "the same chunks and windows, or fit anew."
            )

    def resumable(self, identify: Callable[[], str]) -> Self:
        """Return a copy that a later fit to the same training rows can resume."""
        # Most fits are never resumed, and need not read rows for it.
        self.fingerprint = self.fingerprint or identify()
        return copy.deepcopy(self)


def fingerprint(data: Dataset, *order: Any) -> str:
    """Return a hash of some training rows, by which a resumed fit knows them again.

    ``order`` is what else decides on the order in which rows are trained on.
    """
    step = max(1, data.n_rows // FINGERPRINT_ROWS)
    in_blocks = isinstance(data.X, RowBlocks)
    sample = data.kept_rows() if in_blocks else data.batch(slice(None, None, step))
    return joblib.hash((data.n_rows, data.X.shape, *sample, *order))


@dataclass(frozen=True)
class Problem:
    """The objective of a training, its solver, and the conditions that end it."""

    objective: Objective
    solver: Solver
    stopping: Stopping
    settings: Settings

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return the training problem of a model."""
        settings = model.settings
        solver, penalty = settings.solver.decouple(settings.penalty)
        return cls(
            Objective(model.network, model.loss, penalty, weighs_steps=solver.stochastic),
            solver,
            Stopping(**settings.fields_of(Stopping)),
            settings,
        )

    @property
    def rule(self) -> UpdateRule:
        """The rule that turns gradients into steps, for a stochastic solver."""
        optimizer = cast(Optimizer, self.solver)
        return UpdateRule(optimizer, **self.settings.fields_of(UpdateRule))


def split_off_validation(
    model: Model, data: Dataset, split_seed: int
) -> tuple[Dataset, Dataset | None]:
    """Return the training rows, and the validation rows or None without early stopping."""
    settings = model.settings
    if not settings.early_stopping:
        return data, None
    strata = model.strata(data.y)
    parts = split_rows(data.n_rows, settings.validation_fraction, strata, split_seed)
    if isinstance(data.X, RowBlocks):
        for rows in parts:
            rows.sort()  # In place, since a copy of many positions takes much memory.
    training, held_out = (data.choose(rows) for rows in parts)
    return training, held_out


def fit_network(
    model: Model, data: Dataset, held: HeldOut | None, run: Run, observe: Report | None = None
) -> TrainingResult:
    """Train a model's network, and return the result.

    Parameters
    ----------
    model : Model
        The model, whose parameters are the initial ones. It is not changed.
    data : Dataset
        The rows to train on, with their weights.
    held : HeldOut or None
        The rows to validate with; None without early stopping.
    run : Run
        A new run, or a run to be continued; updated in place.
    observe : callable, optional
        A function that is called after each epoch, with the arguments of ``train``'s
        ``report``.
    """
    if model.settings.solver.stochastic:
        return fit_rows(model, data, held, run, observe)
    problem = Problem.of(model)
    result = train_lbfgs(
        problem.objective,
        model.params.copy(),
        training_blocks(model, data),
        problem.stopping,
        cast(LBFGS, problem.solver),
        evaluate=None if held is None else Validation(model, problem.objective, held),
        report=_reporter(model.settings.verbose, observe),
    )
    return _with_temperature(model, result, held)


def fit_rows(
    model: Model,
    data: Dataset,
    held: HeldOut | None,
    run: Run,
    observe: Report | None = None,
    encoded_bytes: float | None = None,
) -> TrainingResult:
    """Train a model's network by steps on mini-batches of a data set; return the result.

    Up to ``encoded_bytes`` of encoded rows are kept. The other arguments are documented in
    :func:`fit_network`.
    """
    batches_of = partial(mini_batches, model, streams=run.streams, encoded_bytes=encoded_bytes)
    settings, return_to_best = model.settings, None
    few = data.n_rows <= MANY_ROWS
    cools_down = settings.refit and few and settings.schedule.has_horizon
    if cools_down and held is not None and held.of_training:
        return_to_best = ReturnToBest(lambda: batches_of(data.united(held.data)))
    return fit_batches(model, batches_of(data), held, run, observe, return_to_best)


def fit_batches(
    model: Model,
    batches: BatchIterable,
    held: HeldOut | None,
    run: Run,
    observe: Report | None = None,
    return_to_best: ReturnToBest | None = None,
) -> TrainingResult:
    """Train a model's network by a step on each batch, and return the result.

    Each iteration over the batches is one epoch. The other arguments are documented in
    :func:`fit_network` and in :func:`~sknet.nn.training.train`.
    """
    if return_to_best is None and batches.n_rows > MANY_ROWS:
        return_to_best = ReturnToBest()
    problem = Problem.of(model)
    run.params = model.params.copy()
    rule = problem.rule
    run.state = run.state or TrainingState.start(
        rule.optimizer, run.params, run.streams["noise"]
    )
    # With other numbers of BLAS threads the last bits of scores and temperatures might differ.
    with training_threads() as threads:
        evaluate = None if held is None else Validation(model, problem.objective, held)
        stopping = problem.stopping
        if evaluate is not None:
            stopping = replace(stopping, least_score=evaluate.least_score)
        result = train(
            problem.objective,
            run.params,
            batches,
            rule,
            stopping,
            run.state,
            evaluate=evaluate,
            report=_reporter(model.settings.verbose, observe),
            return_to_best=return_to_best,
            **threads,
        )
        return _with_temperature(model, result, held)


def _with_temperature(
    model: Model, result: TrainingResult, held: HeldOut | None
) -> TrainingResult:
    """Return the result with predictions whose certainty suits the held-out rows.

    The certainty is that of the parameters that were not trained on these rows. The output
    layer is changed, of a copy of the parameters: a training that is resumed goes on from those
    that it had.
    """
    if held is None or not model.loss.has_temperature:
        return result
    scored = result.params if result.scored_params is None else result.scored_params
    raw, y, sample_weight = held_out_predictions(model.with_params(scored), held)
    factor = fit_factor(model.loss, model.members, raw, y, sample_weight)
    params = result.params.copy()
    change = model.loss.link.with_certainty(factor, model.n_raw)
    model.network.rescale_outputs(params, *change)
    return replace(result, params=params, certainty=factor)


def fit_one_pass(model: Model, data: Dataset, run: Run, n_before: int) -> TrainingResult:
    """Make one pass over the rows, and return the result.

    ``n_before`` is the number of passes before this one, for the printer.
    """
    problem = Problem.of(model)
    rule = problem.rule
    if rule.schedule.has_horizon:
        # The number of passes, over which the schedule would extend, is not known.
        rule = replace(rule, schedule=Constant())
    if run.state is None or not run.state.suits(rule.optimizer, model.params):
        run.state = TrainingState.start(rule.optimizer, model.params, run.streams["noise"])
    state = run.state.next_training()
    with training_threads() as threads:
        result = train(
            problem.objective,
            model.params.copy(),
            mini_batches(model, data, run.streams),
            rule,
            Stopping(max_iter=1, tol=0.0, n_iter_no_change=np.inf),
            state,
            report=_reporter(model.settings.verbose, n_before=n_before),
            # The first passes of a wide network may be poor, and further ones make up for it.
            poor=DIVERGED_FACTOR,
            **threads,
        )
    # The estimator keeps the record of this pass, so the run need not.
    run.state = state.next_training()
    return result


def _reporter(verbose: int, observe: Report | None = None, n_before: int = 0) -> Report | None:
    """Return a function that calls the printer and the observer, or None without both."""
    tell = EpochPrinter(verbose) if verbose else None
    listeners = [one for one in (tell, observe) if one is not None]

    def report(iteration: int, record: dict[str, float], params: np.ndarray) -> bool:
        # A list, since any() of a generator would stop at the first listener that ends the
        # training, and those after it would not be told of the last epoch.
        return any([one(n_before + iteration, record, params) for one in listeners])

    return report if listeners else None
