"""Data larger than memory: tables that are read in blocks, and data that come in chunks.

The methods ``fit`` and ``predict`` of the estimators take tables that are read in blocks of
rows (:class:`RowBlocks`). Other data come in chunks: :func:`read_chunks` reads CSV and Parquet
files in chunks, :func:`shuffle_chunks` mixes the rows of chunks for ``partial_fit``, and
:func:`fit_chunks` trains on chunks for many epochs.
"""

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from sklearn.utils import check_random_state

from sknet._auto import Facts
from sknet._base import BaseNN, conclude, fitted, make_scored, observe
from sknet._batching import chunk_batches
from sknet._fitting import FINGERPRINT_ROWS, Run, fingerprint, fit_batches
from sknet._input import (
    WEIGHTS,
    Features,
    has_validation,
    read_rows,
    read_training,
    read_validation,
)
from sknet._model import Model
from sknet._monitoring import CallbackObserver, HeldOut
from sknet._parameters import check_not_balanced
from sknet._persistence import load_checkpoint
from sknet._progress import RowProgress, row_progress
from sknet._requirements import check_count, kind_of
from sknet._settings import Settings
from sknet._sklearn import fit_context
from sknet._starting import continue_model, settle, start_model
from sknet.data.batches import Batch, Dataset, evenly_spaced, n_rows, take
from sknet.data.chunks import KeyedSample, checked, counted, shuffled
from sknet.data.draws import count_validation_rows, most_copied_rows
from sknet.data.files import FileChunks
from sknet.data.row_blocks import RowBlocks
from sknet.data.weights import mean
from sknet.nn.lbfgs import is_stochastic
from sknet.nn.soundness import PROBE_ROWS

__all__ = ["RowBlocks", "fit_chunks", "read_chunks", "shuffle_chunks"]

Estimator = TypeVar("Estimator", bound=BaseNN)


def read_chunks(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    target: str,
    sample_weight: str | None = None,
    columns: Sequence[str] | None = None,
    chunk_size: int = 50_000,
    dtype: Mapping[str, Any] | None = None,
    read_options: Mapping[str, Any] | None = None,
) -> FileChunks:
    """Read CSV or Parquet files in chunks of rows, as many times as needed.

    Columns of text become categories, which have the same levels in all chunks. Columns of
    dates and durations stay as they are. All other columns become float64, with NaN for missing
    values. This call itself makes a pass over those columns of text whose levels are not given,
    to find their levels.

    Parameters
    ----------
    path : path-like or list of path-like
        A file, or several files with the same columns that are read one after another. The
        kind of a file follows from its suffix: .csv (perhaps compressed, such as .csv.gz),
        .tsv or .parquet.
    target : str
        The name of the column to predict.
    sample_weight : str, default=None
        The name of the column of weights, if there is one.
    columns : list of str, default=None
        The names of the columns of features. None means all other columns.
    chunk_size : int, default=50_000
        The number of rows of a chunk. The last chunk of a file may have fewer.
    dtype : dict, default=None
        The dtypes of columns by name, "category" or a ``pandas.CategoricalDtype``, for columns
        that are categories although their values look like numbers. With a dtype that lists
        its levels, any other value counts as missing. Numbers are always float64.
    read_options : dict, default=None
        Further arguments of ``pandas.read_csv``, such as ``{"sep": ";"}``. With
        ``{"parse_dates": ["when"]}`` the column "when" of a CSV file holds dates; otherwise it
        holds text. Arguments that choose rows, columns, dtypes or the index are not allowed.

    Returns
    -------
    iterable of (X, y) or (X, y, sample_weight)
        Each iteration is one pass over the files. X is a pandas frame, and y and sample_weight
        are arrays. The attribute ``classes`` has the sorted values of the target, which
        ``partial_fit`` of a classifier needs; it is found by a pass over that column.

    Raises
    ------
    ImportError
        If pandas is not installed, or if pyarrow is not installed and a file is Parquet.
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file is empty, lacks a column or is of an unknown kind; if a category has more than
        100 000 levels; if ``dtype`` has a dtype of numbers; or if ``read_options`` has an
        argument that this function sets. In an iteration: if a line has too many fields, or if
        a column of numbers holds text. In both: if a file is damaged.

    Warns
    -----
    UserWarning
        If a column is a category because of some text, but has different numbers in most of its
        rows. A column with an entry in ``dtype`` is a choice, and so is a column of categories
        of a Parquet file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sknet import NNRegressor
    >>> from sknet.streaming import read_chunks, shuffle_chunks
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"x": rng.normal(size=4000), "kind": rng.choice(["a", "b"], 4000)})
    >>> frame["y"] = frame["x"] * np.where(frame["kind"] == "a", 1, -1)
    >>> path = Path(tempfile.mkdtemp()) / "table.csv"
    >>> frame.to_csv(path, index=False)
    >>> network = NNRegressor(random_state=0)
    >>> chunks = read_chunks(path, target="y", chunk_size=500)
    >>> for epoch in range(3):
    ...     for X, y in shuffle_chunks(chunks, window=4, random_state=epoch):
    ...         _ = network.partial_fit(X, y)
    >>> network.score(frame[["x", "kind"]], frame["y"]) > 0.9
    True
    """
    return FileChunks(
        path,
        target,
        sample_weight=sample_weight,
        columns=columns,
        chunk_size=chunk_size,
        dtype=dtype,
        read_options=read_options,
    )


def shuffle_chunks(
    chunks: Iterable[tuple[Any, ...]], *, window: int = 8, random_state: Any = None
) -> Iterator[tuple[Any, ...]]:
    """Shuffle the rows of neighbouring chunks together.

    The rows of files are often sorted, but each mini-batch should be a mixture of rows.

    Parameters
    ----------
    chunks : iterable of (X, y) or (X, y, sample_weight)
        X is a frame of pandas or polars, an array or a sparse matrix; X of all chunks are
        frames of one library, or none is a frame. A chunk without weights among chunks with
        weights has weights of one.
    window : int, default=8
        The number of chunks that are held in memory and shuffled together.
    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows. Pass a different one in each epoch.

    Returns
    -------
    iterator of (X, y) or (X, y, sample_weight)
        As many chunks as ``chunks`` has, of nearly equal sizes within a window. Chunks without
        rows and rows of zero weight are left out. A window has weights if one of its chunks has
        any.

    Raises
    ------
    TypeError
        If ``chunks`` is not iterable. In the iteration: if a chunk is not a tuple or list of
        two or three.
    ValueError
        If ``window`` is not a positive integer, or if ``random_state`` is not valid. In the
        iteration: if X, y and sample_weight of a chunk have different numbers of rows, or if X
        is a frame of another library than in the chunks before.
    """
    check_count("window", window)
    try:
        opened = iter(chunks)
    except TypeError:
        raise TypeError(
            "chunks must be an iterable of (X, y) or (X, y, sample_weight), got "
            f"{type(chunks).__name__}."
        ) from None
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    with_rows = checked(opened, lambda chunk: chunk)
    mixed = shuffled(with_rows, window, np.random.default_rng(seed))
    return (tuple(part for part in chunk if part is not None) for chunk in mixed)


def fit_chunks(
    estimator: Estimator,
    chunks: Iterable[tuple[Any, ...]],
    *,
    shuffle_window: int = 8,
    validation_rows: int = 10_000,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
    resume_from: Any = None,
) -> Estimator:
    """Fit a network to data that come in chunks, in bounded memory.

    This works like ``fit`` and follows the parameters of the estimator, but X is never in
    memory as a whole. A first pass checks all chunks, counts the rows and finds the classes. It
    also draws random rows: the validation rows, and up to 100 000 others, from which the
    scaling of X and y is learned. Each further pass is an epoch.

    If the estimator has ``verbose=True``, progress is shown within a pass by rows: as a bar in
    a terminal if rich is installed, and otherwise by a line every five seconds. Callbacks are
    called as in ``fit``, with the chunks as X and None as y, so that those which score X and y
    themselves, such as scikit-learn's ``ScoringMonitor``, have nothing to score.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        The estimator to fit. Its solver must be stochastic.
    chunks : iterable of (X, y) or (X, y, sample_weight)
        The result of :func:`read_chunks`, a list, or an object of your own whose ``__iter__``
        is a generator. Each iteration must yield the same rows in the same order. X is a frame
        of pandas or polars, an array or a sparse matrix; X of all chunks are frames of one
        library, or none is a frame. A chunk without weights among chunks with weights has
        weights of one. Chunks without rows and rows of zero weight are left out. A column of a
        frame with a category dtype has the levels that the dtype declares; any other column of
        text has the levels that occur in the drawn rows.
    shuffle_window : int, default=8
        The number of chunks that are held in memory and shuffled together. It is not used if
        the estimator has ``shuffle=False``.
    validation_rows : int, default=10_000
        The largest number of validation rows, which are held in memory. If early stopping is
        on, ``validation_fraction`` of all rows are held out, but at most this many. It is not
        used if ``X_val`` is given.
    X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
        The rows that early stopping evaluates after each epoch. With them, all rows of the
        chunks are trained on. None holds rows out of the chunks.
    y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
        The labels or numbers of the rows of ``X_val``.
    sample_weight_val : array-like of shape (n_val,), default=None
        The weights of the rows of ``X_val``. None gives each row a weight of one.
    resume_from : path-like, default=None
        A file that a :class:`sknet.callbacks.Checkpoint` wrote during an earlier call with the
        same data, parameters and arguments. The fit is continued from there, and its result is
        bit-identical to the result of a fit without the interruption. The first pass is made
        again. An epoch that was saved unfinished is read from its first chunk on, but the rows
        before the saved batch are not trained on again.

    Returns
    -------
    estimator : object
        The fitted estimator itself.

    Raises
    ------
    TypeError
        If the estimator is not one of sknet, or if ``chunks`` can be iterated over only once.
    ValueError
        If parameters or data are invalid, as in ``fit``; if an option of the estimator has no
        effect on chunks, such as ``warm_start``; if a pass has another number of rows than the
        first; or if ``resume_from`` is of a fit to other rows or chunks. If a chunk is at
        fault, the message has its number. The estimator is left as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet import NNClassifier
    >>> from sknet.streaming import fit_chunks
    >>> class Chunks:
    ...     def __iter__(self):
    ...         for seed in range(10):
    ...             X = np.random.default_rng(seed).normal(size=(500, 4))
    ...             yield X, X[:, 0] > X[:, 1]
    >>> network = NNClassifier(max_iter=3, random_state=0)
    >>> X_new = np.random.default_rng(10).normal(size=(500, 4))
    >>> fit_chunks(network, Chunks()).score(X_new, X_new[:, 0] > X_new[:, 1]) > 0.95
    True

    A fit that was interrupted goes on from a checkpoint. Here the file is that of the last
    save, since nothing has interrupted the fit:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sknet.callbacks import Checkpoint
    >>> path = Path(tempfile.mkdtemp()) / "chunks.joblib"
    >>> network = NNClassifier(max_iter=3, random_state=0)
    >>> _ = fit_chunks(network.set_callbacks(Checkpoint(path, seconds=60)), Chunks())
    >>> fit_chunks(network.set_callbacks(), Chunks(), resume_from=path).n_iter_
    3
    """
    if not isinstance(estimator, BaseNN):
        raise TypeError(f"fit_chunks fits networks of sknet, got {kind_of(estimator)}.")
    validation = (X_val, y_val, sample_weight_val)
    _fit(estimator, chunks, shuffle_window, validation_rows, validation, resume_from)
    return estimator


@fit_context(prefer_skip_nested_validation=True)
def _fit(
    estimator: BaseNN,
    chunks: Iterable[Any],
    window: int,
    validation_rows: int,
    validation: tuple[Any, Any, Any],
    resume_from: Any,
) -> None:
    """Fit a network as :func:`fit_chunks` does, within scikit-learn's context of a fit.

    ``validation`` are X_val, y_val and their weights.
    """
    _check_arguments(estimator, chunks, window, validation_rows)
    most_held_out = 0 if has_validation(estimator, *validation) else validation_rows
    if resume_from is None:
        before, run = None, Run.start(estimator.random_state)
    else:
        before, run = load_checkpoint(estimator, resume_from)
    with row_progress(estimator.verbose) as progress:
        # The look has copies of rows, which must not be in memory while the network is trained.
        found = FirstLook(estimator, run.split_seed, most_held_out, progress).find(chunks)
        features, model = _start(estimator, found, run, before)
        held = _hold_out(estimator, features, model, found, validation)
        identify = partial(_fingerprint, features, found, window)
        run.expect_rows(found.n_training, identify)
        model = model.begun(found.n_training, 0 if held is None else held.data.n_rows)
        observer = observe(estimator, features, model, run, identify, chunks)
        batches = chunk_batches(
            model,
            partial(_epoch, model, features, chunks, run, found, window),
            found.n_training,
            found.mean_weight(model),
            _drawn_rows(features, found, PROBE_ROWS),
            run.streams,
            run.n_batches_done,
            _listener(progress, observer, run),
        )
        result = fit_batches(model, batches, held, run, observer)
    conclude(estimator, features, model, run, result, observer, stacklevel=6)


class FirstPass(NamedTuple):
    """The findings of the first pass over the chunks.

    Attributes
    ----------
    n_training : int
        The number of rows to train on.
    targets : ndarray
        The classes, or the smallest and the largest number of each column of y; for a
        multi-label y, one of its rows.
    sample : Batch
        Rows to learn the encodings from.
    held_out : Batch
        The validation rows; there are none without early stopping.
    limit : float
        A row is held out if its key is at most this number.
    sizes : list of int
        The number of rows of positive weight of each chunk that has any.
    """

    n_training: int
    targets: np.ndarray
    sample: Batch
    held_out: Batch
    limit: float
    sizes: list[int]

    @property
    def n_rows(self) -> int:
        """The number of all rows of positive weight."""
        return self.n_training + n_rows(self.held_out)

    def mean_weight(self, model: Model) -> float:
        """Return the mean weight of the training rows, estimated from the sample."""
        y, sample_weight = self.sample.y, self.sample.sample_weight
        weights = model.row_weights(model.settings, model.target, y, sample_weight)
        return 1.0 if weights is None else mean(weights)


def _check_arguments(
    estimator: Any, chunks: Any, shuffle_window: int, validation_rows: int
) -> None:
    """Refuse arguments that cannot work, and options that have no effect on chunks.

    Raises
    ------
    TypeError
        If ``chunks`` can be iterated over only once.
    ValueError
        If an argument is not valid, if the solver is not stochastic, if the estimator has
        ``warm_start=True``, or if class weights are "balanced".
    """
    if not is_stochastic(estimator.solver):
        raise ValueError(
            f"fit_chunks needs a stochastic solver; solver={estimator.solver!r} is not one."
        )
    if estimator.warm_start:
        raise ValueError(
            "fit_chunks does not support warm_start=True. Set warm_start=False, or continue "
            "from a fitted network by partial_fit, chunk by chunk."
        )
    check_not_balanced(getattr(estimator, "class_weight", None), "fit_chunks")
    check_count("shuffle_window", shuffle_window)
    check_count("validation_rows", validation_rows)
    if not hasattr(chunks, "__iter__") or iter(chunks) is chunks:
        raise TypeError(
            "chunks must be an iterable that can be iterated over many times, such as a list "
            f"or the result of read_chunks; got {type(chunks).__name__}, which cannot. Turn "
            "your generator into the __iter__ of a class."
        )


class FirstLook:
    """The first pass over the chunks, which checks and counts them and draws a sample.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
    seed : int
        The seed of the keys of the rows.
    validation_rows : int
        The largest number of validation rows.
    progress : RowProgress
        Shows how many rows have been looked at.
    """

    def __init__(
        self, estimator: BaseNN, seed: int, validation_rows: int, progress: RowProgress
    ):
        self._estimator = estimator
        self._validation_rows = validation_rows
        self._progress = progress
        self._rng = np.random.default_rng(seed)
        self._n_rows = 0
        self._sizes: list[int] = []
        self._features: Features | None = None
        self._targets = np.array([])
        self._sample: KeyedSample | None = None

    def find(self, chunks: Iterable[Any]) -> FirstPass:
        """Return the findings of a pass over the chunks.

        Raises
        ------
        TypeError, ValueError
            If a chunk is not valid, or if no chunk has rows of positive weight.
        """
        data = None
        for chunk, data in checked(chunks, self._read):
            self._add(chunk, n_columns=data.X.shape[1])
        if data is None:
            raise ValueError("chunks has no chunks with rows of positive weight.")
        features = cast(Features, self._features)
        numeric_y = features.numeric_y
        facts = Facts.of(data.X, self._n_rows, numeric_y, features.n_levels, features.n_dates)
        n_held_out = self._count_held_out(settle(self._estimator, facts, features.promise))
        held_out, learned, limit = cast(KeyedSample, self._sample).first(n_held_out)
        n_training = self._n_rows - n_held_out
        return FirstPass(n_training, self._targets, learned, held_out, limit, self._sizes)

    def _read(self, chunk: Batch) -> tuple[Batch, Dataset]:
        """Return a chunk, and its rows as numbers; it must suit the earlier chunks."""
        if self._features is None:
            self._features, _ = Features.learn(self._estimator, chunk.X, declared=True)
        # Weights keep their unit: only all chunks together tell which of them are negligible.
        data = read_rows(self._features, *chunk)
        self._targets = _join_targets(self._targets, data.y, self._features.numeric_y)
        # A column of labels in one chunk and a flat y in another could not be joined.
        return chunk._replace(y=data.y), data

    def _add(self, chunk: Batch, n_columns: int) -> None:
        """Count the rows of a chunk, and draw some of them for the sample."""
        if self._sample is None:
            # As float64, a number takes eight bytes.
            n_to_learn = most_copied_rows(8 * n_columns)
            self._sample = KeyedSample(n_to_learn + self._validation_rows)
        self._sample.add(chunk, _keys(chunk, self._rng))
        self._n_rows += n_rows(chunk)
        self._sizes.append(n_rows(chunk))
        self._progress("First pass", self._n_rows)

    def _count_held_out(self, settings: Settings) -> int:
        """Return the number of validation rows."""
        if not (settings.early_stopping and self._validation_rows):
            return 0
        n_wanted = count_validation_rows(self._n_rows, settings.validation_fraction)
        return min(n_wanted, self._validation_rows)


def _keys(chunk: Batch, rng: np.random.Generator) -> np.ndarray:
    """Return a random key for each row of a chunk.

    With a generator of the same seed, each pass over the chunks draws the same keys.
    """
    return rng.random(n_rows(chunk))


def _join_targets(known: np.ndarray, y: Any, numeric: bool) -> np.ndarray:
    """Return the targets of the chunks so far, as ``FirstPass`` has them.

    Raises
    ------
    ValueError
        If y has another number of columns than the targets of earlier chunks, or labels of
        another kind.
    """
    if known.shape[0] and known.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"y has shape {y.shape}, but y of the first chunk has "
            f"{1 if known.ndim == 1 else known.shape[1]} column(s)."
        )
    if numeric:
        together = np.concatenate([known, y]) if len(known) else y
        return np.stack([together.min(axis=0), together.max(axis=0)])
    if y.ndim == 2:
        return y[:1]
    labels = np.unique(y)
    if not len(known):
        return labels
    kind, first = _kind_of_labels(labels), _kind_of_labels(known)
    if kind != first:
        raise ValueError(
            f"y has {kind} as labels, but y of the chunks before has {first}. The labels of "
            "all chunks must be of one kind."
        )
    return np.union1d(known, labels)


def _kind_of_labels(labels: np.ndarray) -> str:
    """Return the kind of sorted labels, for messages. NumPy cannot sort two kinds together."""
    if labels.dtype.kind in "mM":
        return "dates" if labels.dtype.kind == "M" else "durations"
    return "text" if isinstance(labels[0], str) else "numbers"


def _start(
    estimator: BaseNN, found: FirstPass, run: Run, before: BaseNN | None
) -> tuple[Features, Model]:
    """Return the features and the model to train.

    It is a new model, or that of the fit to be continued, ``before``.
    """
    known, model = (None, None) if before is None else fitted(before)
    features, data = read_training(estimator, *found.sample, known=known, declared=True)
    if model is None:
        labels = None if features.numeric_y or found.targets.ndim == 2 else found.targets
        model = start_model(
            estimator,
            features,
            data,
            run.streams,
            n_rows=found.n_rows,
            classes=labels,
            keep_rare=True,
        )
    else:
        n_all = found.n_rows
        model = continue_model(estimator, features, model, data, run.params, n_rows=n_all)
    model.check_target(found.targets, "y")
    return features, model


def _hold_out(
    estimator: BaseNN,
    features: Features,
    model: Model,
    found: FirstPass,
    validation: tuple[Any, Any, Any],
) -> HeldOut | None:
    """Return the rows to validate with: those of the user, rows of the chunks, or None."""
    source, data = validation[0], read_validation(features, *validation)
    if data is not None:
        model.check_target(data.y, "y_val")
    elif found.limit >= 0:
        source = found.held_out.X
        data = read_rows(features, *found.held_out).in_own_units(WEIGHTS)
    else:
        return None
    scored = make_scored(estimator, features)
    return HeldOut(model.weighted(data), source=source, make_estimator=scored)


def _drawn_rows(features: Features, found: FirstPass, n_wanted: int) -> Batch:
    """Return checked training rows, at most ``n_wanted`` of the drawn ones."""
    rows = evenly_spaced(n_rows(found.sample), n_wanted)
    return read_rows(features, *take(found.sample, rows)).batch()


def _fingerprint(features: Features, found: FirstPass, window: int) -> str:
    """Return a hash of some drawn rows and of the chunks, for a resumed fit."""
    rows = Dataset(*_drawn_rows(features, found, FINGERPRINT_ROWS))
    return fingerprint(rows, found.sizes, window)


def _listener(
    progress: RowProgress, observer: CallbackObserver | None, run: Run
) -> Callable[[int], None]:
    """Return a function that is told how many rows of an epoch are done."""
    n_before = run.n_batches_done

    def tell(n_done: int) -> None:
        nonlocal n_before
        progress(f"Iteration {run.iteration + 1}", n_done, run.n_rows)
        # Nothing changes while rows that are done are passed over.
        if observer is not None and run.n_batches_done not in (0, n_before):
            n_before = run.n_batches_done
            observer.progress(run.visible_params)

    return tell


def _epoch(
    model: Model,
    features: Features,
    chunks: Iterable[Any],
    run: Run,
    found: FirstPass,
    window: int,
) -> Iterator[Batch]:
    """Return an iterator over the chunks of one epoch, without the rows held out."""
    rng = np.random.default_rng(run.split_seed)

    def read(chunk: Batch) -> Batch:
        data = read_rows(features, *chunk)
        model.check_target(data.y, "y")
        return data.batch()

    # Counted before they are shuffled: rows without end must not fill a window.
    whole = counted(checked(chunks, read), found.n_rows)
    training = (take(one, np.flatnonzero(_keys(one, rng) > found.limit)) for one in whole)
    training = (chunk for chunk in training if n_rows(chunk))
    if not model.settings.shuffle:
        return training
    return _shuffled_anew(training, window, run)


def _shuffled_anew(chunks: Iterable[Batch], window: int, run: Run) -> Iterator[Batch]:
    """Yield the chunks of an epoch with their rows shuffled.

    Until the epoch ends, the run has the generator with which it began: a resumed fit draws
    the same order of rows again, and goes on after those that are done.
    """
    rng = copy.deepcopy(run.streams["shuffle"])
    yield from shuffled(chunks, window, rng)
    run.streams["shuffle"] = rng
