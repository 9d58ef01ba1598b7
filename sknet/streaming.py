"""Data larger than memory: tables read in blocks, and files read in chunks.

``fit`` and ``predict`` of the estimators take tables that are read in blocks of rows
(:class:`RowBlocks`). What has no shape, or comes as text, is read in chunks:
:func:`read_chunks` makes them of CSV and Parquet files, :func:`shuffle_chunks` mixes them for
``partial_fit``, and :func:`fit_chunks` trains on them for many epochs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import check_random_state

from sknet._auto import Facts
from sknet._base import BaseNN, fitted_attributes
from sknet._batching import chunk_batches
from sknet._fitting import Run, fit_batches
from sknet._input import Features, read_rows, read_training
from sknet._model import Model
from sknet._monitoring import HeldOut
from sknet._parameters import check_not_balanced
from sknet._sklearn import has_callbacks
from sknet._starting import settle, start_model
from sknet.data.batches import Batch
from sknet.data.chunks import KeyedSample, checked, n_rows, shuffled, take
from sknet.data.counts import check_count
from sknet.data.files import FileChunks
from sknet.data.row_blocks import RowBlocks
from sknet.data.splitting import count_validation_rows
from sknet.data.survey import QUANTILE_ROWS
from sknet.nn.solvers import is_stochastic

__all__ = ["RowBlocks", "fit_chunks", "read_chunks", "shuffle_chunks"]

#: Most numbers of the rows that are kept to learn the scaling of the features from.
SAMPLE_ELEMENTS = 2**24


def read_chunks(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    target: str,
    sample_weight: str | None = None,
    columns: Sequence[str] | None = None,
    chunk_size: int = 50_000,
    dtype: Mapping[str, Any] | None = None,
    read_options: Mapping[str, Any] | None = None,
) -> FileChunks:
    """Read CSV or Parquet files in chunks of rows, as often as one likes.

    Text becomes categories whose levels are the same in all chunks; everything else becomes
    float64, with NaN for what is missing. If there is text whose levels are not given, they
    are looked for at once, in a pass over these columns.

    Parameters
    ----------
    path : path-like or list of path-like
        A .csv (also .csv.gz and the like), .tsv or .parquet file, or several with the same
        columns, read one after another.
    target : str
        The column to predict.
    sample_weight : str, default=None
        The column of weights, if there is one.
    columns : list of str, default=None
        The columns of features; all others by default.
    chunk_size : int, default=50_000
        Rows a chunk; the last one of a file may have fewer.
    dtype : dict, default=None
        Columns by name that are categories though they look like numbers, as "category" or
        ``pandas.CategoricalDtype``. What a dtype with levels does not list is missing.
        Numbers are float64 always.
    read_options : dict, default=None
        Further arguments of ``pandas.read_csv``, such as ``{"sep": ";"}``, but not those
        that choose rows, columns, dtypes or the index.

    Returns
    -------
    iterable of (X, y) or (X, y, sample_weight)
        Each iteration is one pass over the files. X is a pandas frame, y and sample_weight
        are arrays. Its ``classes`` are the sorted values of the target, found by a pass over
        that column; ``partial_fit`` of a classifier needs them.

    Raises
    ------
    ImportError
        If pandas, or pyarrow for Parquet, is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file is empty, lacks a column, or is of another kind; if a category has more
        than 100 000 levels; if ``dtype`` has numbers, or ``read_options`` what is set here.
        While reading: if a line has too many fields, or a column of numbers holds text.

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
    >>> network = NNRegressor((16,), learning_rate_init=0.01, random_state=0)
    >>> chunks = read_chunks(path, target="y", chunk_size=500)
    >>> for epoch in range(10):
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
    chunks: Iterable[tuple], *, window: int = 8, random_state: Any = None
) -> Iterator[tuple]:
    """Mix the rows of neighbouring chunks, which files often hold in some order.

    Parameters
    ----------
    chunks : iterable of (X, y) or (X, y, sample_weight)
        Frames of pandas or polars, arrays or sparse matrices.
    window : int, default=8
        Chunks that are held in memory and shuffled together.
    random_state : int, RandomState instance or None, default=None
        Determines the order. Give another one in each epoch.

    Yields
    ------
    (X, y) or (X, y, sample_weight)
        As many chunks, of nearly the same sizes, but for chunks without rows. Rows of zero
        weight are left out.

    Raises
    ------
    TypeError, ValueError
        If a chunk is something else, or its parts have different lengths, with its number.
    """
    check_count("window", window)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    with_rows = checked(chunks, lambda chunk: chunk)
    for chunk in shuffled(with_rows, window, np.random.default_rng(seed)):
        yield tuple(part for part in chunk if part is not None)


def fit_chunks(
    estimator: BaseNN,
    chunks: Iterable[tuple],
    *,
    shuffle_window: int = 8,
    validation_rows: int = 10_000,
) -> BaseNN:
    """Fit a network to data that come in chunks, in bounded memory.

    This is ``fit``, with the estimator's ``max_iter``, learning rate, early stopping, scoring
    and so on, where X never is in memory as a whole. A first pass checks all chunks, counts
    the rows, finds the classes, and draws at random the rows to validate with and up to
    100 000 others, from which the scaling of the features and of y is learned. Each further
    pass is an epoch.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        What to fit. The solver must be stochastic.
    chunks : iterable of (X, y) or (X, y, sample_weight)
        Each iteration must bring the same rows in the same order: what :func:`read_chunks`
        returns, a list, or an object of yours whose ``__iter__`` is a generator. X is a frame
        of pandas or polars, an array or a sparse matrix. Chunks without rows and rows of zero
        weight are left out. In frames, columns of a category dtype have the levels that the
        dtype declares; of other columns of text, those among the drawn rows.
    shuffle_window : int, default=8
        Chunks whose rows are held in memory and shuffled together; ignored if the estimator's
        ``shuffle`` is off.
    validation_rows : int, default=10_000
        Most rows that are held out if early stopping is on; they stay in memory. Their share
        is at most the estimator's ``validation_fraction``.

    Returns
    -------
    estimator : object
        The fitted estimator itself.

    Raises
    ------
    TypeError
        If the estimator is none of sknet's, or ``chunks`` can be gone through only once.
    ValueError
        If parameters or data are invalid, as ``fit``, with the number of the chunk; if the
        passes differ. The estimator is left as it was.

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
    >>> network = NNClassifier((16,), max_iter=10, random_state=0, learning_rate="cosine",
    ...                        learning_rate_init=0.01)
    >>> X_new = np.random.default_rng(10).normal(size=(500, 4))
    >>> fit_chunks(network, Chunks()).score(X_new, X_new[:, 0] > X_new[:, 1]) > 0.95
    True
    """
    _check_arguments(estimator, chunks, shuffle_window, validation_rows)
    run = Run.start(estimator.random_state)
    found = _look_through(estimator, chunks, run.split_seed, validation_rows)
    features, model, held = _start(estimator, found, run)
    batches = chunk_batches(
        model,
        lambda: _epoch(model, features, chunks, run, found.limit, shuffle_window),
        found.n_training,
        found.mean_weight(model),
        run.streams,
    )
    result = fit_batches(model, batches, held, run)
    n_seen = found.n_training * len(result.history["loss"])
    model = model.with_params(result.params)
    estimator._finish(fitted_attributes(features, model, result.history, n_seen), result)
    return estimator


class FirstPass(NamedTuple):
    """What the first pass over the chunks finds.

    ``targets`` are the classes, or the smallest and the largest numbers of each column;
    ``sample`` are rows to learn the encodings from, and ``held_out`` the rows to validate with.
    Rows whose key is at most ``limit`` are held out.
    """

    n_training: int
    targets: np.ndarray
    sample: Batch
    held_out: Batch
    limit: float

    def mean_weight(self, model: Model) -> float:
        """Return the mean weight of the training rows, estimated from the sample."""
        y = self.sample.y
        weights = model.row_weights(y, self.sample.sample_weight, y)
        return 1.0 if weights is None else float(np.mean(weights))


def _check_arguments(
    estimator: Any, chunks: Any, shuffle_window: int, validation_rows: int
) -> None:
    """Raise for arguments that cannot work, and for options that have no effect here."""
    if not isinstance(estimator, BaseNN):
        raise TypeError(f"fit_chunks fits networks of sknet, got {type(estimator).__name__}.")
    estimator._validate_params()
    if not is_stochastic(estimator.solver):
        raise ValueError(
            f"fit_chunks needs a stochastic solver; solver={estimator.solver!r} is not one."
        )
    if has_callbacks(estimator):
        raise ValueError("fit_chunks does not tell callbacks; remove them: set_callbacks().")
    if estimator.warm_start:
        raise ValueError(
            "fit_chunks begins anew and cannot honour warm_start=True. Set warm_start=False, "
            "or go on from a fitted network by partial_fit, chunk by chunk."
        )
    check_not_balanced(getattr(estimator, "class_weight", None), "fit_chunks")
    check_count("shuffle_window", shuffle_window)
    check_count("validation_rows", validation_rows)
    if not hasattr(chunks, "__iter__") or iter(chunks) is chunks:
        raise TypeError(
            "chunks must be something that can be gone through again and again, such as what "
            f"read_chunks returns or a list; got {type(chunks).__name__}, which cannot. Turn "
            "your generator into the __iter__ of a class."
        )


def _look_through(
    estimator: BaseNN, chunks: Iterable, seed: int, validation_rows: int
) -> FirstPass:
    """Return what the first pass finds; it checks every chunk."""
    rng = np.random.default_rng(seed)
    n_total, sample, targets = 0, None, np.array([])
    known = None

    def look_at(chunk: Batch) -> tuple:
        nonlocal known, targets
        known, data = read_training(estimator, *chunk, known=known, declared=True)
        targets = _join_targets(targets, data.y, known.numeric_y)
        return chunk, data.X

    for chunk, X in checked(chunks, look_at):
        if sample is None:
            n_columns = max(1, X.shape[1])
            n_rows_to_learn = min(QUANTILE_ROWS, max(1, SAMPLE_ELEMENTS // n_columns))
            sample = KeyedSample(n_rows_to_learn + validation_rows)
        keys = _keys(chunk, rng)
        sample.add(chunk, keys)
        n_total += keys.size
    if sample is None:
        raise ValueError("chunks has no chunks with rows of positive weight.")
    n_held_out = 0
    settings = settle(estimator, Facts.of(X, n_total, is_regressor(estimator)))
    if settings.early_stopping:
        n_held_out = count_validation_rows(n_total, settings.validation_fraction)
        n_held_out = min(n_held_out, validation_rows)
    held_out, learned, limit = sample.first(n_held_out)
    return FirstPass(n_total - n_held_out, targets, learned, held_out, limit)


def _keys(chunk: Batch, rng: np.random.Generator) -> np.ndarray:
    """Return keys of a chunk's rows, which are the same in each pass with such an ``rng``."""
    return rng.random(n_rows(chunk))


def _join_targets(known: np.ndarray, y: Any, numeric: bool) -> np.ndarray:
    """Return the classes so far, or the extremes of each column; of labels in columns, one."""
    if len(known) and known.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"y has shape {y.shape}, but that of the first chunk has "
            f"{1 if known.ndim == 1 else known.shape[1]} column(s)."
        )
    if numeric:
        together = np.concatenate([known, y]) if len(known) else y
        return np.stack([together.min(axis=0), together.max(axis=0)])
    if y.ndim == 2:
        return y[:1]
    return np.union1d(known, y) if len(known) else np.unique(y)


def _start(
    estimator: BaseNN, found: FirstPass, run: Run
) -> tuple[Features, Model, HeldOut | None]:
    """Return the features and a model to train, and the rows to validate with or None."""
    features, data = read_training(estimator, *found.sample, declared=True)
    labels = None if features.numeric_y or found.targets.ndim == 2 else found.targets
    n_total = found.n_training + n_rows(found.held_out)
    model = start_model(
        estimator, features, data, run.streams, n_rows=n_total, classes=labels, keep_rare=True
    )
    model.check_target(found.targets, "y")
    if found.limit < 0:
        return features, model, None
    held_out = model.weighted(read_rows(features, *found.held_out), data.y)
    held = HeldOut(held_out, found.held_out.X, estimator._make_scored(features))
    return features, model, held


def _epoch(
    model: Model,
    features: Features,
    chunks: Iterable,
    run: Run,
    limit: float,
    window: int,
) -> Iterator[Batch]:
    """Return an iterator over the chunks of one epoch, without the rows held out."""
    rng = np.random.default_rng(run.split_seed)

    def read(chunk: Batch) -> Batch:
        data = read_rows(features, *chunk)
        model.check_target(data.y, "y")
        return take(data.batch(), np.flatnonzero(_keys(chunk, rng) > limit))

    training = (chunk for chunk in checked(chunks, read) if n_rows(chunk))
    if not model.settings.shuffle:
        return training
    return shuffled(training, window, run.streams["shuffle"])
