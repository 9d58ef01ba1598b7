"""Calls to Dask: the partitions of its collections, and tasks on a :class:`Cluster`."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, get_client, get_worker, wait
from sklearn.exceptions import DataConversionWarning

from sknet._base import BaseNN
from sknet._requirements import warn


class Partitions(NamedTuple):
    """The partitions of a table.

    Attributes
    ----------
    parts : list of [X, y, sample_weight]
        The Delayed objects of each partition; ``sample_weight`` may be None.
    n_rows : list of int
        The number of rows of each partition. If Dask does not know them, all numbers are 1.
    """

    parts: list[list[Any]]
    n_rows: list[int]


def partitions(X: Any, y: Any, sample_weight: Any) -> Partitions:
    """Return the partitions that X, y and sample_weight share.

    Raises
    ------
    TypeError
        If one of them is not a Dask array, DataFrame or Series.
    ValueError
        If X does not have two dimensions, if the partitions cannot be matched, or if this runs
        in a task.
    """
    # In a task, Dask replaces collections with their contents, which would be refused next.
    _check_not_in_a_task()
    check_table(X)
    check_collection(y, "y")
    y = _in_one_dimension(y)
    parts = [_parts(X), _parts(_in_chunks_of(X, y, "y"))]
    if sample_weight is not None:
        check_collection(sample_weight, "sample_weight")
        parts.append(_parts(_in_chunks_of(X, sample_weight, "sample_weight")))
    names, numbers = ("X", "y", "sample_weight"), [len(of_one) for of_one in parts]
    if len(set(numbers)) > 1:
        raise ValueError(
            f"The numbers of partitions, {dict(zip(names, numbers, strict=False))}, differ and "
            "cannot be matched, since some numbers of rows are unknown. Call "
            "compute_chunk_sizes() on Dask arrays, give frames the same divisions with "
            "repartition, or derive X and y from one collection."
        )
    if sample_weight is None:
        parts.append([None] * numbers[0])
    known = is_array(X) and not any(map(math.isnan, X.chunks[0]))
    n_rows = list(X.chunks[0]) if known else [1] * numbers[0]
    return Partitions([list(part) for part in zip(*parts, strict=True)], n_rows)


def is_array(collection: Any) -> bool:
    """Return whether a collection is a Dask array, not a frame."""
    return isinstance(collection, da.Array)


def check_collection(collection: Any, name: str) -> None:
    """Refuse an object that is not a Dask collection, and an X without columns.

    Raises
    ------
    TypeError
        If ``collection`` is not a Dask array, DataFrame or Series.
    """
    is_frame = dask.is_dask_collection(collection) and hasattr(collection, "map_partitions")
    if not (is_array(collection) or is_frame):
        raise TypeError(
            f"{name} must be a Dask array or a collection of dask.dataframe, got "
            f"{type(collection).__name__}. Turn it into one with dask.array.from_array(...) or "
            "dask.dataframe.from_pandas(...). For data in memory, use to_local(), or "
            "NNClassifier and NNRegressor."
        )


def check_table(X: Any) -> None:
    """Check that X is a Dask collection of rows and columns.

    Raises
    ------
    TypeError
        If it is not a Dask array or DataFrame.
    ValueError
        If it does not have two dimensions.
    """
    check_collection(X, "X")
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, got {X.ndim}.")


def _in_one_dimension(y: Any) -> Any:
    """Return a y of one column with one dimension, and any other y as it is."""
    if y.ndim == 1 or y.shape[1] != 1:
        return y
    warn(
        "A column-vector y was passed when a 1d array was expected. Take its column: y[:, 0] "
        "of a Dask array, y.iloc[:, 0] of a Dask DataFrame.",
        DataConversionWarning,
    )
    return y[:, 0] if is_array(y) else y.iloc[:, 0]


def _in_chunks_of(X: Any, other: Any, name: str) -> Any:
    """Return an array in the row chunks of X, if the numbers of rows are known.

    Raises
    ------
    ValueError
        If X and the array have different numbers of rows.
    """
    if not (is_array(X) and is_array(other)) or X.chunks[0] == other.chunks[0]:
        return other
    lengths = X.shape[0], other.shape[0]
    if any(map(math.isnan, lengths)):
        return other
    if lengths[0] != lengths[1]:
        raise ValueError(
            f"X and {name} must have equally many rows, got {lengths[0]} and {lengths[1]}."
        )
    return other.rechunk({0: X.chunks[0]})


def _parts(collection: Any) -> list[Any]:
    """Return the partitions of a collection as Delayed objects."""
    if is_array(collection):
        # The chunks of a partition have all columns.
        whole = collection if collection.ndim == 1 else collection.rechunk({1: -1})
        return list(whole.to_delayed().ravel())
    return collection.to_delayed()


def check_same_table(estimator: BaseNN, X: Any) -> None:
    """Refuse a collection whose columns differ from the training table's, before computing.

    Raises
    ------
    TypeError
        If X is not a Dask collection.
    ValueError
        If the number or the names of the columns of X differ from those of the training table.
    """
    check_table(X)
    if X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but the network was trained on "
            f"{estimator.n_features_in_}."
        )
    expected = getattr(estimator, "feature_names_in_", None)
    names = None if is_array(X) else list(X.columns)
    if expected is not None and names is not None and names != expected.tolist():
        raise ValueError(
            f"X has the columns {names}, but the network was trained on {expected.tolist()}, "
            "in this order."
        )


class Wanted(NamedTuple):
    """The predictions that are wanted from an estimator.

    Parameters
    ----------
    method : str
        The name of the method that predicts.
    columns : list or None
        The names of the columns of the predictions; None if these have one dimension.
    dtype : dtype
        The type of the predictions.
    with_std : bool, default=False
        Whether their standard deviations are wanted as well.
    """

    method: str
    columns: list[Any] | None
    dtype: Any
    with_std: bool = False

    @property
    def empty(self) -> np.ndarray:
        """The predictions for no rows."""
        return np.empty((0,) if self.columns is None else (0, len(self.columns)), self.dtype)

    @property
    def names(self) -> list[str]:
        """The names of the results, if they are series."""
        return ["prediction", "std"] if self.with_std else ["prediction"]

    def of_rows(self, X: Any, estimator: BaseNN) -> list[Any]:
        """Return the results for a partition, which may be empty.

        They are arrays, or frames with the index of the partition.
        """
        results = [self.empty for _ in self.names]
        if X.shape[0]:
            predict = getattr(estimator, self.method)
            found = predict(X, return_std=True) if self.with_std else [predict(X)]
            results = [one.astype(self.dtype, copy=False) for one in found]
        if not hasattr(X, "index"):
            return results
        named = zip(results, self.names, strict=True)
        return [self._frame(values, X.index, name) for values, name in named]

    def collection(self, X: Any, parts: Sequence[Any], name: str) -> Any:
        """Return a result as a collection like X, given the result of each partition."""
        if not is_array(X):
            meta = self._frame(self.empty, None, name)
            return dd.from_delayed(parts, meta, X.divisions, verify_meta=False)
        shapes = [(n_rows, *self.empty.shape[1:]) for n_rows in X.chunks[0]]
        of_parts = zip(parts, shapes, strict=True)
        arrays = [da.from_delayed(part, shape, meta=self.empty) for part, shape in of_parts]
        return da.concatenate(arrays, allow_unknown_chunksizes=True)

    def _frame(self, values: np.ndarray, index: Any, name: str) -> Any:
        """Return predictions as a frame, or as a series if they have one dimension."""
        if self.columns is None:
            return pd.Series(values, index, name=name)
        return pd.DataFrame(values, index, self.columns)


def predict_lazily(estimator: BaseNN, X: Any, wanted: Wanted) -> Any:
    """Return a collection of the predictions for X, with a task for each partition.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted estimator.
    X : Dask array or DataFrame
    wanted : Wanted
        For float32 arrays, floating-point predictions are float32.

    Returns
    -------
    Dask array, or Dask DataFrame or Series with the index of X
        With ``wanted.with_std``, a tuple of two such collections, from the same tasks.
    """
    check_same_table(estimator, X)
    of_numbers = np.issubdtype(wanted.dtype, np.floating)
    if is_array(X) and of_numbers and X.dtype == np.float32:
        wanted = wanted._replace(dtype=np.float32)
    # The estimator is in the graph once, whatever the number of partitions. In some versions of
    # Dask, map_partitions takes no Delayed argument.
    shared = dask.delayed(estimator)
    predict = dask.delayed(wanted.of_rows, nout=len(wanted.names))
    of_parts = zip(*(predict(part, shared) for part in _parts(X)), strict=True)
    named = zip(wanted.names, of_parts, strict=True)
    results = tuple(wanted.collection(X, of_one, name) for name, of_one in named)
    return results if wanted.with_std else results[0]


class Cluster:
    """Runs tasks on a Dask cluster.

    Each shard has a preferred worker, which keeps its rows. If that worker is gone, Dask runs
    the tasks of the shard on another one.

    Parameters
    ----------
    client : distributed.Client or None
        None means the current one.
    n_shards : int or None
        The number of shards that the user wants; None means one for each worker, or fewer.

    Attributes
    ----------
    n_workers : int
        The number of workers when the fit began.

    Raises
    ------
    ValueError
        If there is no client, or if it is closed.
    """

    def __init__(self, client: Client | None, n_shards: int | None):
        self._client = _current_client(client)
        self._client.wait_for_workers(1)
        self._workers = sorted(self._client.nthreads())
        self.n_workers: int = len(self._workers)
        self.n_shards = n_shards

    def submit(self, function: Callable, *args: Any, shard_number: int | None = None) -> Any:
        """Return the future of a function's result.

        With ``shard_number``, the preferred worker of that shard computes it.
        """
        place = {} if shard_number is None else self._preferred(shard_number)
        return self._client.submit(function, *args, pure=False, **place)

    def send(self, value: Any) -> Any:
        """Return a future of ``value``, which outlives its worker, unlike scattered data."""
        # Dask warns about large arguments, because the scheduler keeps them. That is intended:
        # the scheduler can then give the value to another worker.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.submit(_itself, value)

    def compute(self, delayed: Sequence[Sequence[Any]], shard_number: int) -> list[list[Any]]:
        """Return the futures of lists of Delayed objects for a shard; None stays None."""
        flat = [one for part in delayed for one in part if one is not None]
        computed = iter(self._client.compute(flat, **self._preferred(shard_number)))
        return [[None if one is None else next(computed) for one in part] for part in delayed]

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        """Return the results of futures, or raise the error of the first one that failed."""
        self.wait(futures)
        return self._client.gather(futures)

    def wait(self, futures: Iterable[Any]) -> None:
        """Wait for futures, and raise the error of the first one that failed."""
        wait(futures)
        for future in futures:
            if future.status == "error":
                future.result()

    def _preferred(self, shard_number: int) -> dict[str, Any]:
        """Return Dask's options that name the preferred worker of a shard."""
        worker = self._workers[shard_number % self.n_workers]
        return {"workers": [worker], "allow_other_workers": True}


def _check_not_in_a_task() -> None:
    """Refuse a fit in a task, which would hold the thread that its own tasks wait for.

    Raises
    ------
    ValueError
        If this runs in a task on a worker.
    """
    try:
        worker = get_worker()
    except ValueError:
        return
    raise ValueError(
        f"fit was called in a Dask task, on worker {worker.address}, and would wait for its "
        "own thread. Call it from the client. For many parallel fits, as in a search, use the "
        "local estimators of sknet."
    )


def _current_client(client: Client | None) -> Client:
    """Return a client, or the current one for None.

    Raises
    ------
    ValueError
        If there is no client, or if it is closed.
    """
    remedy = (
        "Start one before fit, for example with `from dask.distributed import Client; "
        "client = Client()`, or pass client=..."
    )
    if client is None:
        try:
            return get_client()
        except ValueError as error:
            raise ValueError(f"There is no Dask client. {remedy}") from error
    if client.status == "closed":
        raise ValueError(f"The Dask client is closed: {client!r}. {remedy}")
    return client


def _itself(value: Any) -> Any:
    return value
