"""Tasks on a Dask cluster, with a preferred worker for each shard."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dask
from distributed import wait


class Cluster:
    """Runs tasks on a Dask cluster.

    Each shard has a preferred worker, which keeps its rows. If that worker is gone, Dask runs
    the tasks of the shard on another one.

    Parameters
    ----------
    client : distributed.Client
    n_shards : int or None
        The number of shards that the user wants; None means one for each worker, or fewer.
    """

    def __init__(self, client: Any, n_shards: int | None = None):
        client.wait_for_workers(1)
        self._client = client
        self._workers = sorted(client.nthreads())
        self.n_shards = n_shards

    @property
    def n_workers(self) -> int:
        """The number of workers when the fit began."""
        return len(self._workers)

    def submit(
        self, function: Callable, *arguments: Any, shard_number: int | None = None
    ) -> Any:
        """Return the future of a function's result.

        With ``shard_number``, the preferred worker of that shard computes it.
        """
        place = {} if shard_number is None else self._preferred(shard_number)
        return self._client.submit(function, *arguments, pure=False, **place)

    def send(self, value: Any) -> Any:
        """Return a future of ``value``, which outlives its worker, unlike scattered data."""
        # Dask warns of large arguments, because the scheduler keeps them. That is intended: the
        # scheduler can then give the value to another worker.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.submit(_itself, value)

    def compute(self, delayed: Sequence[Sequence[Any]], shard_number: int) -> list[list[Any]]:
        """Return the futures of lists of Delayed objects, computed for a shard.

        None stays None.
        """
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
        worker = self._workers[shard_number % len(self._workers)]
        return {"workers": [worker], "allow_other_workers": True}


def _itself(value: Any) -> Any:
    return value
