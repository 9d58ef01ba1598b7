"""The training of a model's network: its rows and batches, and the calls to the solvers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np

from sknet._auto import MANY_ROWS
from sknet._base_model import CALIBRATION_ROWS
from sknet._model import Model
from sknet._monitoring import HeldOut, Unseen, Validation, reporter
from sknet._run import Run, training_threads
from sknet._target_learning import row_weights
from sknet.data.batches import Batch, Batches, Dataset
from sknet.data.row_blocks import RowBlocks
from sknet.data.splits import Given
from sknet.nn.budget import Budget
from sknet.nn.lbfgs import LBFGS, train_lbfgs
from sknet.nn.network import Workspace
from sknet.nn.objective import BatchIterable, fit_factor
from sknet.nn.schedules import Constant
from sknet.nn.soundness import DIVERGED_FACTOR, FAULTS, PROBE_ROWS, Ending, are_flat
from sknet.nn.state import Stopping, TrainingResult, TrainingState
from sknet.nn.training import Report, train

#: The number of steps over which the learning rate of ``partial_fit`` rises from zero if the
#: optimizer starts anew with a trained network, as after a fit. A new Adam knows no second
#: moments, so its first steps move each parameter by the whole rate: Ma and Yarats, "On the
#: adequacy of untuned warmup for adaptive optimization" (2021), recommend 2 / (1 - beta_2).
WARM_UP = 2000
#: A penalty is strong if it exceeds this number for a weight of one in each layer, which is
#: about what a network needs to pass a signal on. The loss of a constant is about 0.5. A weaker
#: penalty, such as alpha=0.01, may also make weights vanish, but only if little can be learned.
#: Weights have vanished if their penalty is at most the second number times that of the ones.
STRONG_PENALTY, VANISHED = 0.05, 1e-3


def split_off_validation(
    model: Model, data: Dataset, split_seed: int, given: Given = ()
) -> tuple[Dataset, Dataset | None]:
    """Return the training rows, and the validation rows or None without early stopping.

    ``given`` has the user's X, y and groups, for a splitter of scikit-learn.
    """
    settings = model.settings
    if not settings.early_stopping:
        return data, None
    parts = settings.split(data, model.target.strata(data.y), split_seed, given)
    if isinstance(data.X, RowBlocks):
        for rows in parts:
            rows.sort()  # In place, since a copy of many positions takes a lot of memory.
    training, held_out = (data.choose(rows) for rows in parts)
    return training, held_out


def mini_batches(
    model: Model, data: Dataset, streams: Mapping[str, Any], encoded_bytes: float | None = None
) -> Batches:
    """Return the batches of training steps, shuffled and augmented with random ``streams``.

    Up to ``encoded_bytes`` of encoded rows are kept, by default ``ENCODED_BYTES``.
    """
    rng = streams["shuffle"] if model.settings.shuffle else None
    augment = model.augmentation(streams["augmentation"])
    blocks, size = model.blocks(data, encoded_bytes), model.settings.batch_size
    return replace(blocks, batch_size=size, rng=rng, augment=augment)


def encoded_chunk(model: Model, mean_weight: float, chunk: Batch) -> Batch:
    """Return a chunk of checked rows as the encoded input of the network.

    ``mean_weight`` is that of the training rows of all chunks.
    """
    weight = row_weights(model.settings, model.target, chunk)
    if weight is None and mean_weight != 1:
        weight = np.ones(chunk.n_rows)  # Other chunks have weights.
    if weight is not None:
        weight = (weight / mean_weight).astype(model.params.dtype)
    return Batch(model.encode(chunk.X), model.training_targets(chunk.y), weight)


def fit_network(
    model: Model,
    data: Dataset,
    held: HeldOut | None,
    run: Run,
    observe: Report | None = None,
    encoded_bytes: float | None = None,
    budget: Budget | None = None,
) -> TrainingResult:
    """Train a model's network, and return the result.

    Parameters
    ----------
    model : Model
        The model, whose parameters are the initial ones. It is not changed.
    data : Dataset
        The rows to train on, with their weights.
    held : HeldOut or None
        The validation rows; None without early stopping.
    run : Run
        A new run, or a run to be continued; updated in place.
    observe : callable, optional
        A function that is called after each epoch, with the arguments of ``train``'s
        ``report``.
    encoded_bytes : float, optional
        The largest number of bytes of encoded rows that a stochastic solver keeps.
    budget : Budget, optional
        The time that the fit may take.
    """
    settings = model.settings
    if not settings.solver.stochastic:
        all_rows = model.blocks(data)
        result = train_lbfgs(
            model.objective,
            model.params.copy(),
            all_rows,
            settings.stopping,
            cast(LBFGS, settings.solver),
            evaluate=None if held is None else Validation(model, held),
            report=reporter(settings.verbose, observe),
            budget=budget,
        )
        return calibrated(model, _flat_or_not(model, result, all_rows), held, all_rows)
    batches_of = partial(mini_batches, model, streams=run.streams, encoded_bytes=encoded_bytes)
    refits = settings.refit and data.n_rows <= MANY_ROWS and settings.schedule.has_horizon

    def all_batches() -> BatchIterable:
        return batches_of(_all_rows(data, cast(HeldOut, held).data))

    of_all = all_batches if refits and held is not None and held.of_training else None
    return fit_batches(model, batches_of(data), held, run, observe, of_all, budget)


def _all_rows(data: Dataset, held_out: Dataset) -> Dataset:
    """Return the training rows together with the held-out rows."""
    return data.with_row_weights() if data.is_cross_fitted else data.united(held_out)


def fit_batches(
    model: Model,
    batches: BatchIterable,
    held: HeldOut | None,
    run: Run,
    observe: Report | None = None,
    all_batches: Callable[[], BatchIterable] | None = None,
    budget: Budget | None = None,
) -> TrainingResult:
    """Train a model's network with a step on each batch, and return the result.

    Each iteration over the batches is one epoch. The other arguments are documented in
    :func:`fit_network` and in :func:`~sknet.nn.training.train`.
    """
    rule, stopping = model.update_rule, model.settings.stopping
    run.params = model.params.copy()
    run.state = run.state or TrainingState.start(
        rule.optimizer, run.params, run.streams["noise"]
    )
    # With another number of BLAS threads, the last bits of scores and temperatures might
    # differ.
    with training_threads() as team:
        evaluate = None if held is None else Validation(model, held)
        if evaluate is not None:
            stopping = replace(stopping, **evaluate.of_constants)
        result = train(
            model.objective,
            run.params,
            batches,
            rule,
            stopping,
            run.state,
            evaluate=evaluate,
            report=reporter(model.settings.verbose, observe),
            return_to_best=batches.n_rows > MANY_ROWS,
            all_batches=all_batches,
            budget=budget,
            team=team,
        )
        return calibrated(model, _flat_or_not(model, result, batches), held, batches)


def _flat_or_not(
    model: Model, result: TrainingResult, batches: BatchIterable
) -> TrainingResult:
    """Return the result, with the ending FLAT if a strong penalty made the weights vanish.

    Only a quadratic penalty that the user has set counts: that of scikit-learn's MLPs. With
    L1, a network without weights may be one end of a path.
    """
    settings, n_layers = model.settings, 1 + len(model.settings.hidden_layer_sizes)
    if "alpha" in settings.auto or settings.penalty.l1_ratio or result.ending in FAULTS:
        return result
    ones = np.ones(settings.n_separate * n_layers, result.params.dtype)
    of_ones = settings.penalty.value(ones)
    # Early stopping may return the parameters of an epoch before the weights vanished.
    if of_ones <= STRONG_PENALTY or result.history["penalty"][-1] > VANISHED * of_ones:
        return result
    flat = are_flat(model.objective, result.params, batches.sample(PROBE_ROWS))
    return replace(result, ending=Ending.FLAT) if flat else result


def calibrated(
    model: Model, result: TrainingResult, held: Unseen | None, batches: BatchIterable
) -> TrainingResult:
    """Return the result with the temperature, and with the calibration of the distribution.

    Both are estimated from held-out rows. Without such rows, only a dispersion is estimated,
    from some training rows. It is too small if the network has memorized them.
    """
    return _with_distribution(model, _with_temperature(model, result, held), held, batches)


def _with_temperature(
    model: Model, result: TrainingResult, held: Unseen | None
) -> TrainingResult:
    """Return the result with predictions whose certainty suits the held-out rows.

    The certainty is measured with parameters that were not trained on these rows. Only copies
    of the parameters are changed, in the output layer: a resumed run continues from the
    original ones.
    """
    if held is None or not model.loss.has_temperature:
        return result
    rows = held.predictions(model.with_params(result.unseeing_params))
    factor = fit_factor(model.loss, *rows, held.independent)
    change = model.loss.link.with_certainty(factor, model.n_raw)
    vectors = [result.params.copy(), result.unseeing_params.copy()]
    for params in vectors:
        model.network.rescale_outputs(params, *change)
    return replace(result, params=vectors[0], scored_params=vectors[1], certainty=factor)


def _with_distribution(
    model: Model, result: TrainingResult, held: Unseen | None, batches: BatchIterable
) -> TrainingResult:
    """Return the result with a calibration of the distribution of y, if the loss needs it."""
    if not (model.loss.predicts_distribution if held else model.loss.has_dispersion):
        return result
    if held is None:
        batch = batches.sample(CALIBRATION_ROWS)
        workspace = Workspace(model.network, len(batch.y), model.params.dtype)
        raw = model.network.forward(result.params, batch.X, workspace)
        rows: tuple[Any, ...] = (model.members, raw, batch.y, batch.sample_weight)
    else:
        found = (result.params, result.unseeing_params)
        rows, unseen = (held.predictions(model.with_params(one)) for one in found)
        rows = *rows, unseen[1]
    return replace(result, calibration=cast(Any, model).calibration_of(*rows))


def fit_one_pass(model: Model, data: Dataset, run: Run, n_before: int) -> TrainingResult:
    """Make one pass over the rows, and return the result.

    ``n_before`` is the number of epochs and passes before this one. It numbers the printed
    line. If it is positive, the learning rate of a new optimizer rises from zero.
    """
    rule = model.update_rule
    if rule.schedule.has_horizon:
        # The schedule would need the number of passes, which is not known.
        rule = replace(rule, schedule=Constant())
    if run.state is None or not run.state.suits(rule.optimizer, model.params):
        run.state = TrainingState.start(rule.optimizer, model.params, run.streams["noise"])
        run.state.warm_up = WARM_UP if n_before else 0
    state = run.state.next_training()
    batches = mini_batches(model, data, run.streams)
    with training_threads() as team:
        result = train(
            model.objective,
            model.params.copy(),
            batches,
            rule,
            Stopping(max_iter=1, tol=0.0, n_iter_no_change=np.inf),
            state,
            report=reporter(model.settings.verbose, n_before=n_before),
            # The first passes of a wide network may be poor, but later ones make up for it.
            poor=DIVERGED_FACTOR,
            team=team,
        )
        result = calibrated(model, result, None, batches)
    # The estimator keeps the record of this pass, so the run need not.
    run.state = state.next_training()
    return result
