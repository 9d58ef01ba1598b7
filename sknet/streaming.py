"""Data larger than memory: tables that are read in blocks, and data that come in chunks.

The methods ``fit`` and ``predict`` of the estimators take tables that are read in blocks of
rows (:class:`RowBlocks`). Other data come in chunks: :func:`read_chunks` reads CSV and Parquet
files in chunks, :func:`shuffle_chunks` mixes the rows of chunks for ``partial_fit``, and
:func:`fit_chunks` trains on chunks for many epochs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from sklearn.utils import check_random_state

from sknet._auto import Facts
from sknet._base import BaseNN, fitted_attributes, kind_of
from sknet._batching import chunk_batches
from sknet._fitting import Run, fit_batches
from sknet._input import WEIGHTS, Features, read_rows, read_training
from sknet._model import Model
from sknet._monitoring import HeldOut
from sknet._parameters import check_not_balanced
from sknet._settings import Settings
from sknet._sklearn import has_callbacks
from sknet._starting import settle, start_model
from sknet.data.batches import Batch, Dataset, evenly_spaced, n_rows, take
from sknet.data.chunks import KeyedSample, checked, counted, shuffled
from sknet.data.counts import check_count
from sknet.data.files import FileChunks
from sknet.data.row_blocks import RowBlocks
from sknet.data.splitting import count_validation_rows
from sknet.data.survey import most_copied_rows
from sknet.data.weights import mean
from sknet.nn.solvers import is_stochastic
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
) -> Estimator:
    """Fit a network to data that come in chunks, in bounded memory.

    This works like ``fit`` and follows the parameters of the estimator, but X is never in
    memory as a whole. A first pass checks all chunks, counts the rows and finds the classes. It
    also draws random rows: the validation rows, and up to 100 000 others, from which the
    scaling of X and y is learned. Each further pass is an epoch.

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
        on, ``validation_fraction`` of all rows are held out, but at most this many.

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
        effect on chunks, such as callbacks and ``warm_start``; or if a pass has another number
        of rows than the first. If a chunk is at fault, the message has its number. The
        estimator is left as it was.

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
    """
    _check_arguments(estimator, chunks, shuffle_window, validation_rows)
    run = Run.start(estimator.random_state)
    found = FirstLook(estimator, run.split_seed, validation_rows).find(chunks)
    features, model, held = _start(estimator, found, run)
    model = model.begun(found.n_training, n_rows(found.held_out))
    batches = chunk_batches(
        model,
        lambda: _epoch(model, features, chunks, run, found, shuffle_window),
        found.n_training,
        found.mean_weight(model),
        _drawn_rows(features, found),
        run.streams,
    )
    result = fit_batches(model, batches, held, run)
    n_seen = found.n_training * len(result.history["loss"])
    model = model.trained(result)
    fitted = fitted_attributes(features, model, result.history, n_seen)
    estimator._finish(fitted, result, stacklevel=3)
    return estimator


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
    """

    n_training: int
    targets: np.ndarray
    sample: Batch
    held_out: Batch
    limit: float

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
        If the estimator is not one of sknet, or if ``chunks`` can be iterated over only once.
    ValueError
        If a parameter or an argument is not valid, if the solver is not stochastic, if the
        estimator has callbacks or ``warm_start=True``, or if class weights are "balanced".
    """
    if not isinstance(estimator, BaseNN):
        raise TypeError(f"fit_chunks fits networks of sknet, got {kind_of(estimator)}.")
    estimator._validate_params()
    if not is_stochastic(estimator.solver):
        raise ValueError(
            f"fit_chunks needs a stochastic solver; solver={estimator.solver!r} is not one."
        )
    if has_callbacks(estimator):
        raise ValueError(
            "fit_chunks does not support callbacks. Remove them by set_callbacks()."
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
    """

    def __init__(self, estimator: BaseNN, seed: int, validation_rows: int):
        self._estimator = estimator
        self._validation_rows = validation_rows
        self._rng = np.random.default_rng(seed)
        self._n_rows = 0
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
        return FirstPass(self._n_rows - n_held_out, self._targets, learned, held_out, limit)

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

    def _count_held_out(self, settings: Settings) -> int:
        """Return the number of validation rows."""
        if not settings.early_stopping:
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
    estimator: BaseNN, found: FirstPass, run: Run
) -> tuple[Features, Model, HeldOut | None]:
    """Return the features, a model to train, and the validation rows or None."""
    features, data = read_training(estimator, *found.sample, declared=True)
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
    model.check_target(found.targets, "y")
    if found.limit < 0:
        return features, model, None
    rows = read_rows(features, *found.held_out).in_own_units(WEIGHTS)
    held_out = model.weighted(rows)
    held = HeldOut(
        held_out, source=found.held_out.X, make_estimator=estimator._make_scored(features)
    )
    return features, model, held


def _drawn_rows(features: Features, found: FirstPass) -> Batch:
    """Return checked training rows, on which the end of the training is judged."""
    rows = evenly_spaced(n_rows(found.sample), PROBE_ROWS)
    return read_rows(features, *take(found.sample, rows)).batch()


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
    return shuffled(training, window, run.streams["shuffle"])
