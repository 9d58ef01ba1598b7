"""Data larger than memory: tables that are read in blocks, and data that come in chunks.

The methods ``fit`` and ``predict`` of the estimators take tables that are read in blocks of
rows (:class:`RowBlocks`). For other data there are chunks: :func:`read_chunks` reads CSV and
Parquet files in chunks, :func:`shuffle_chunks` mixes the rows of chunks for ``partial_fit``,
and :func:`fit_chunks` trains on chunks for many epochs.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state

from sknet._base import BaseNN
from sknet._chunk_fitting import fit_on_chunks
from sknet._requirements import check_count, kind_of
from sknet.data.batches import Batch
from sknet.data.chunks import checked, shuffled
from sknet.data.files import FileChunks
from sknet.data.row_blocks import RowBlocks

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

    Text columns become categories with the same levels in all chunks, except text that is read
    as numbers or dates. Dates and durations stay as they are. All other columns become float64,
    with NaN for missing values. The call itself makes one pass over the text columns whose
    levels are not given, to find their levels.

    Parameters
    ----------
    path : path-like or list of path-like
        A file, or several files with the same columns, which are read one after another. The
        suffix determines the format: .csv, .tsv or .txt (possibly compressed, such as .csv.gz),
        or .parquet.
    target : str
        The name of the column to predict.
    sample_weight : str, default=None
        The name of the column with sample weights, if there is one.
    columns : list of str, default=None
        The names of the feature columns. None means all other columns.
    chunk_size : int, default=50_000
        The number of rows of a chunk. The last chunk of a file may have fewer.
    dtype : dict, default=None
        The dtype of columns by name: "category", ``str`` or a ``pandas.CategoricalDtype``. Use
        it for categories whose values look like numbers. If a dtype lists its levels, any other
        value counts as missing. Numbers of X are always float64.
    read_options : dict, default=None
        Further arguments for ``pandas.read_csv``, such as ``{"sep": ";"}``. With
        ``{"parse_dates": ["when"]}``, the column "when" of a CSV file is read as dates;
        otherwise, it is text. Arguments that set the number of rows, the columns, dtypes or the
        index are not allowed.

    Returns
    -------
    iterable of (X, y) or (X, y, sample_weight)
        Each iteration is one pass over the files. X is a pandas frame; y and sample_weight are
        arrays. The attribute ``classes`` has the sorted values of the target, which
        ``partial_fit`` of a classifier needs. Reading it makes a pass over that column.

    Raises
    ------
    ImportError
        If pandas is not installed, or if pyarrow is not installed and a file is Parquet.
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file is empty or damaged, lacks a column, or has an unknown format; if a category
        has more than 100 000 levels; if ``dtype`` has a numeric dtype; or if ``read_options``
        has an argument that this function sets. During iteration: if a file is damaged, if a
        line has too many fields, or if a numeric column holds text.

    Warns
    -----
    UserWarning
        If a column becomes a category because of some text, although most of its rows hold
        different numbers, or if nearly every row of a text column has its own level. There is
        no warning for columns in ``dtype`` or for categories in a Parquet file. Also if
        ``columns`` is None and the first column of a CSV file has no name.

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
    return FileChunks(path, target, sample_weight, columns, chunk_size, dtype, read_options)


def shuffle_chunks(
    chunks: Iterable[tuple[Any, ...]], *, window: int = 8, random_state: Any = None
) -> Iterator[tuple[Any, ...]]:
    """Shuffle the rows of neighboring chunks together.

    The rows of a file are often sorted, but each mini-batch should mix rows from everywhere.

    Parameters
    ----------
    chunks : iterable of (X, y) or (X, y, sample_weight)
        X is a pandas or polars frame, an array or a sparse matrix. Either all X are frames of
        the same library, or none is a frame. If only some chunks have weights, the others have
        weights of one.
    window : int, default=8
        The number of chunks that are held in memory and shuffled together.
    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows. Pass a different one in each epoch.

    Returns
    -------
    iterator of (X, y) or (X, y, sample_weight)
        One chunk for each of ``chunks`` that has rows, of nearly equal sizes within a window.
        Rows with zero weight are left out. A window has weights if any of its chunks has
        weights.

    Raises
    ------
    TypeError
        If ``chunks`` is not iterable. During iteration: if a chunk is not a tuple or list of
        length two or three.
    ValueError
        If ``window`` is not a positive integer, or if ``random_state`` is not valid. During
        iteration: if X, y and sample_weight of a chunk have different numbers of rows, if the
        columns of X or y or the type of X change, or if weights are not numbers.
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
    with_rows = checked(opened, lambda _, chunk: chunk, same_columns=True)
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

    This works like ``fit`` and respects the parameters of the estimator except ``refit``, but X
    is never in memory as a whole. A first pass checks all chunks. It learns the classes, the
    scale of y, the levels of categories, missing values and the ranges of dates from all rows.
    It also draws the validation rows at random, and some 100 000 other rows to estimate the
    scaling of X. Each further pass is an epoch.

    With ``verbose=True``, the progress within a pass is counted in rows. It is shown as a bar
    in a terminal if rich is installed, and otherwise as a line every five seconds. Callbacks
    are called as in ``fit``, with the chunks as X and None as y. Callbacks that score X and y
    themselves, such as scikit-learn's ``ScoringMonitor``, therefore have nothing to score.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        The estimator to fit. Its solver must be stochastic.
    chunks : iterable of (X, y) or (X, y, sample_weight)
        The result of :func:`read_chunks`, a list, or your own object whose ``__iter__`` is a
        generator. Each iteration must yield the same rows in the same order. X is a pandas or
        polars frame, an array or a sparse matrix. Either all X are frames of the same library,
        or none is a frame. If only some chunks have weights, the others have weights of one.
        Chunks without rows and rows with zero weight are left out.
    shuffle_window : int, default=8
        The number of chunks that are held in memory and shuffled together. Ignored if the
        estimator has ``shuffle=False``.
    validation_rows : int, default=10_000
        The maximum number of validation rows, which are held in memory. If early stopping is
        on, the share ``validation_fraction`` of all rows is held out, up to this number.
        Ignored if ``X_val`` is given.
    X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
        The rows that early stopping evaluates after each epoch. If given, all rows of the
        chunks are used for training. With None, rows of the chunks are held out.
    y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
        The labels or numbers of the rows of ``X_val``.
    sample_weight_val : array-like of shape (n_val,), default=None
        The weights of the rows of ``X_val``. None gives each row a weight of one.
    resume_from : path-like, default=None
        A file that an :class:`sknet.callbacks.Checkpoint` wrote during an earlier call with the
        same data, parameters and arguments. The fit continues from the saved state, and its
        result is bit-identical to that of an uninterrupted fit. The first pass is repeated. An
        epoch that was saved unfinished is read again from its first chunk, but training skips
        the rows that it had already used.

    Returns
    -------
    estimator : object
        The fitted estimator itself.

    Raises
    ------
    TypeError
        If ``estimator`` is not an sknet estimator, if ``chunks`` can be iterated over only
        once, or if a chunk is not a tuple or list of length two or three.
    FileNotFoundError
        If the file ``resume_from`` does not exist.
    ValueError
        If parameters or data are invalid, as in ``fit``; if a parameter of the estimator does
        not work on chunks, such as ``warm_start``; if passes differ in their number of rows; or
        if ``resume_from`` is from a fit to different rows or chunks. If a chunk is invalid,
        the message gives its number. The estimator is then unchanged.

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

    An interrupted fit continues from a checkpoint. Nothing has interrupted this fit, so the
    file is the last one that it saved:

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
        raise TypeError(
            "fit_chunks needs a local sknet estimator, such as NNClassifier, got "
            f"{kind_of(estimator)}."
        )
    validation = Batch(X_val, y_val, sample_weight_val)
    fit_on_chunks(estimator, chunks, shuffle_window, validation_rows, validation, resume_from)
    return estimator
