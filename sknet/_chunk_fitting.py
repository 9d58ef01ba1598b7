"""The fit to data in chunks: a first pass that checks them, then the epochs."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sknet._base import BaseNN, conclude, fitted, observe, scored, warn_of_doubts
from sknet._base_model import CALIBRATION_ROWS
from sknet._fitting import encoded_chunk, fit_batches
from sknet._input import Features, has_validation, read_rows, read_validation, with_target
from sknet._model import Model
from sknet._monitoring import CallbackObserver, HeldOut, RowProgress, row_progress
from sknet._parameters import check_random_split
from sknet._persistence import load_checkpoint
from sknet._requirements import check_count, checks_parameters
from sknet._run import FINGERPRINT_ROWS, Run, fingerprint
from sknet._starting import Agreement, Look, agree, continue_model, look_at, merge_looks
from sknet._target_learning import row_weights, weigh
from sknet.data.batches import Batch, Dataset, evenly_spaced, take
from sknet.data.chunks import ChunkBatches, KeyedSample, checked, counted, shuffled
from sknet.data.draws import count_validation_rows, most_copied_rows
from sknet.data.survey import merge_statistics, survey_rows
from sknet.data.weights import are_counts, mean, repetitions
from sknet.nn.budget import Budget
from sknet.nn.lbfgs import is_stochastic
from sknet.nn.soundness import PROBE_ROWS


@checks_parameters
def fit_on_chunks(
    estimator: BaseNN,
    chunks: Iterable[Any],
    window: int,
    validation_rows: int,
    validation: Batch,
    resume_from: Any,
) -> None:
    """Fit a network as ``fit_chunks`` does, within scikit-learn's fit context.

    ``validation`` has X_val, y_val and their weights.
    """
    budget = Budget(estimator.time_limit)
    _check_arguments(estimator, chunks, window, validation_rows)
    most_held_out = 0
    if not has_validation(estimator, validation):
        check_random_split(estimator, ", pass X_val and y_val, such as the last chunk")
        most_held_out = validation_rows
    if resume_from is None:
        before, run = None, Run.start(estimator.random_state)
    else:
        before, run = load_checkpoint(estimator, resume_from)
    with row_progress(estimator.verbose) as progress:
        # The first pass holds copies of rows, which must not stay in memory during training.
        keys = np.random.default_rng(run.split_seed)
        found = FirstPass(estimator, keys, most_held_out, progress).find(chunks)
        found, model = _start(estimator, found, run, before)
        held = _hold_out(estimator, found, model, validation)
        features, held_out = found.agreed.features, None if held is None else held.data
        identify = partial(found.fingerprint, held_out, window)
        run.expect_rows(found.n_training, identify)
        warn_of_doubts(estimator, model, held_out)
        n_validation = 0 if held_out is None else held_out.n_rows
        model = model.begun(found.n_training, n_validation, resumed=run.has_begun)
        observer = observe(estimator, features, model, run, identify, Batch(chunks))
        n_drawn = CALIBRATION_ROWS if model.loss.has_dispersion else PROBE_ROWS
        batches = ChunkBatches(
            partial(_epoch, found, model, chunks, run, window),
            found.n_training,
            model.settings.batch_size,
            partial(encoded_chunk, model, found.mean_weight(model)),
            found.drawn_rows(n_drawn),
            model.augmentation(run.streams["augmentation"]),
            run.n_batches_done,
            _listener(progress, observer, run),
        )
        result = fit_batches(model, batches, held, run, observer, budget=budget)
    conclude(estimator, features, model.trained(result), result, observer)


class Findings(NamedTuple):
    """The findings of the first pass over the chunks.

    Attributes
    ----------
    agreed : Agreement
        What all chunks agree on: columns, settings, and the classes or the scale of y.
    n_training : int
        The number of rows to train on.
    sizes : list of int
        The number of rows of positive weight in each chunk that has any.
    held_out : Batch
        The validation rows that are drawn from the chunks, if any.
    sample : Batch
        Rows to learn the encodings from.
    limit : float
        A row is held out if its key is at most this number.
    """

    agreed: Agreement
    n_training: int
    sizes: list[int]
    held_out: Batch
    sample: Batch
    limit: float

    def mean_weight(self, model: Model) -> float:
        """Return the mean weight of the training rows, estimated from the sample."""
        weights = row_weights(model.settings, model.target, self.sample)
        return 1.0 if weights is None else mean(weights)

    def drawn_rows(self, n_wanted: int) -> Batch:
        """Return checked training rows, at most ``n_wanted`` of the drawn ones."""
        rows = evenly_spaced(self.sample.n_rows, n_wanted)
        return read_rows(self.agreed.features, take(self.sample, rows)).batch()

    def fingerprint(self, held_out: Dataset | None, window: int) -> str:
        """Return a hash of some rows and of the chunks' sizes, for a resumed fit."""
        drawn = Dataset(*self.drawn_rows(FINGERPRINT_ROWS))
        return fingerprint(drawn, held_out, self.sizes, window)


def _check_arguments(estimator: Any, chunks: Any, window: int, validation_rows: int) -> None:
    """Refuse arguments that cannot work, and options that chunks do not support.

    Raises
    ------
    TypeError
        If ``chunks`` can be iterated over only once.
    ValueError
        If an argument is not valid, if the solver is not stochastic, or if the estimator has
        ``warm_start=True``.
    """
    if not is_stochastic(estimator.solver):
        raise ValueError(f"fit_chunks needs a stochastic solver, not {estimator.solver!r}.")
    if estimator.warm_start:
        raise ValueError(
            "fit_chunks does not support warm_start=True. Set warm_start=False, or continue "
            "a fitted network with partial_fit, chunk by chunk."
        )
    check_count("shuffle_window", window)
    check_count("validation_rows", validation_rows)
    if not hasattr(chunks, "__iter__") or iter(chunks) is chunks:
        raise TypeError(
            "chunks must allow repeated iteration, like a list or the result of read_chunks; "
            f"got {type(chunks).__name__}. Make your generator the __iter__ method of a class."
        )


@dataclass
class FirstPass:
    """The first pass over the chunks, which looks at each of them and draws a sample.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
    rng : numpy Generator
        Draws the keys of the rows.
    most_held_out : int
        The largest number of validation rows.
    progress : RowProgress
        Shows how many rows have been looked at.
    """

    estimator: BaseNN
    rng: np.random.Generator
    most_held_out: int
    progress: RowProgress
    _sizes: list[int] = field(default_factory=list)
    _features: Features | None = None
    _look: Look | None = None
    _statistics: list[NDArray[Any]] = field(default_factory=list)
    _unit: float = 1.0  # That of all weights so far.
    _count_rows: bool = False
    _sample: KeyedSample = field(init=False)  # Its size depends on the first chunk.

    def find(self, chunks: Iterable[Any]) -> Findings:
        """Return the findings of a pass over the chunks.

        Raises
        ------
        TypeError, ValueError
            If a chunk is not valid, or if no chunk has rows of positive weight.
        """
        for chunk in checked(chunks, self._look_at):
            self._sample.add(chunk, self.rng.random(chunk.n_rows))
            self._sizes.append(chunk.n_rows)
            self.progress("First pass", sum(self._sizes))
        if self._look is None:
            raise ValueError("No chunk has rows of positive weight.")
        agreed = agree(self.estimator, self._look)
        settings, survey, n_held_out = agreed.settings, agreed.survey, 0
        if self._count_rows or self._look.weighs_classes or settings.class_weight is not None:
            survey = replace(survey, statistics=self._statistics)
            agreed = replace(agreed, survey=survey)
        if settings.early_stopping and self.most_held_out:
            n_wanted = count_validation_rows(survey.n_rows, settings.split.fraction)
            n_held_out = min(n_wanted, self.most_held_out)
        n_training = survey.n_rows - n_held_out
        return Findings(agreed, n_training, self._sizes, *self._sample.first(n_held_out))

    def _look_at(self, number: int, chunk: Batch) -> Batch:
        """Look at a chunk, which must suit the earlier chunks; return it."""
        if self._features is None:
            features, X = Features.learn(self.estimator, chunk.X, declared=True)
            self._features = features
            # A float64 number takes 8 bytes.
            n_to_learn = most_copied_rows(8 * features.n_features)
            self._sample = KeyedSample(n_to_learn + self.most_held_out)
        else:
            features, X = self._features.read_part(chunk.X)
        # Weights keep their unit: only all chunks together show which weights are negligible.
        data = with_target(features, chunk._replace(X=X))
        counted = data.with_own_unit()
        look = look_at(features, counted, data.in_own_units(), f"chunk {number}")
        self._include(look, counted)
        # The y that was read replaces the user's: a column of labels in one chunk and a flat y
        # in another could not be joined. Rows that lack all targets are left out.
        chosen = chunk if data.rows is None else take(chunk, data.rows)
        return chosen._replace(y=data.y)

    def _include(self, look: Look, data: Dataset) -> None:
        """Merge the look at a chunk with the looks before it.

        One set of statistics counts rows by their weights, and another counts each row once.
        Only all chunks together show whether the weights are counts of rows.
        """
        statistics, weight = look.survey.statistics, data.sample_weight
        if weight is not None and statistics:
            unweighted = data._replace(sample_weight=None)
            statistics = survey_rows(unweighted, look.survey.reader).statistics
            self._count_rows |= repetitions(weight) is None
        before, own_unit = self._look, data.weight_unit
        if before is None:
            self._look, self._unit = look, own_unit
        else:
            unit, largest = sorted([self._unit, own_unit])
            self._count_rows |= not are_counts(np.array([largest]), unit, largest)
            both = _in_unit(before, self._unit / unit), _in_unit(look, own_unit / unit)
            self._look, self._unit = merge_looks(_both_sparse(*both)), unit
            parts = [(before.survey.reader, self._statistics), (look.survey.reader, statistics)]
            statistics = merge_statistics(self._look.survey.reader, parts)
        self._statistics = statistics


def _in_unit(look: Look, ratio: float) -> Look:
    """Return a look whose weights are in another unit, given the ratio of its unit to that."""
    return look._replace(survey=look.survey.repeated(ratio))


def _both_sparse(*looks: Look) -> list[Look]:
    """Return the looks at two parts, with both marked as sparse if one of them is."""
    is_sparse = any(one.survey.sparse for one in looks)
    return [one._replace(survey=replace(one.survey, sparse=is_sparse)) for one in looks]


def _start(
    estimator: BaseNN, found: Findings, run: Run, before: BaseNN | None
) -> tuple[Findings, Model]:
    """Return the findings and the model to train.

    The model is new, or it is that of the fit to be continued, ``before``. In the second case,
    the findings get the features of that fit.
    """
    agreed = found.agreed
    features, model = (agreed.features, None) if before is None else fitted(before)
    data = read_rows(features, found.sample).with_user_weights(features.numeric_y)
    if model is None:
        weighted = weigh(agreed.settings, agreed.target, data)
        return found, agreed.start_model([weighted.batch()], run.streams["init"])
    n_all = agreed.survey.n_rows
    model = continue_model(estimator, features, model, data, run.params, n_rows=n_all)
    # Balanced weights are computed from all rows.
    settings = model.settings.with_values(class_weight=agreed.settings.class_weight)
    found = found._replace(agreed=replace(agreed, features=features))
    return found, replace(model, settings=settings)


def _hold_out(
    estimator: BaseNN, found: Findings, model: Model, validation: Batch
) -> HeldOut | None:
    """Return the validation rows: the user's, rows of the chunks, or None."""
    source, data = validation.X, read_validation(found.agreed.features, validation)
    if data is not None:
        model.check_target(data.y, "y_val", data.order)
    elif found.limit >= 0:
        source = found.held_out.X
        features = found.agreed.features
        data = read_rows(features, found.held_out).with_user_weights(features.numeric_y)
    else:
        return None
    data = weigh(model.settings, model.target, data)
    return HeldOut(data, False, source, partial(scored, estimator, found.agreed.features))


def _listener(
    progress: RowProgress, observer: CallbackObserver | None, run: Run
) -> Callable[[int], None]:
    """Return a function that is told how many rows of an epoch are done."""
    n_before = run.n_batches_done

    def tell(n_done: int) -> None:
        nonlocal n_before
        progress(f"Iteration {run.iteration + 1}", n_done, run.n_rows)
        # Nothing changes while a resumed fit skips rows that are done.
        if observer is not None and run.n_batches_done not in (0, n_before):
            n_before = run.n_batches_done
            observer.progress(run.visible_params)

    return tell


def _epoch(
    found: Findings, model: Model, chunks: Iterable[Any], run: Run, window: int
) -> Iterator[Batch]:
    """Yield the chunks of one epoch, without the rows held out.

    Until the epoch ends, the run keeps the generator with which its shuffling began. A resumed
    fit therefore draws the same order of rows again, and skips the rows that are done.
    """
    rng = np.random.default_rng(run.split_seed)

    def read(_: int, chunk: Batch) -> Batch:
        data = read_rows(found.agreed.features, chunk)
        model.check_target(data.y, "y", data.order)
        return data.batch()

    # Counted before they are shuffled, so that an endless stream does not fill a window.
    whole = counted(checked(chunks, read), found.agreed.survey.n_rows)
    # The keys of the first pass are drawn again.
    chosen = ((one, rng.random(one.n_rows) > found.limit) for one in whole)
    training = (take(one, np.flatnonzero(rows)) for one, rows in chosen)
    training = (chunk for chunk in training if chunk.n_rows)
    if not model.settings.shuffle:
        yield from training
        return
    order = copy.deepcopy(run.streams["shuffle"])
    yield from shuffled(training, window, order)
    run.streams["shuffle"] = order
