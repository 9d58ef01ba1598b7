"""Tasks on a Dask cluster, with a preferred worker for each shard."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dask
from distributed import Client, wait


class Cluster:
    """Tasks on a Dask cluster, with one worker as the home of each shard.

    A home is a preference: Dask runs the tasks of a shard elsewhere if its worker is gone.
    """

    def __init__(self, client: Client, n_shards: int | None = None):
        client.wait_for_workers(1)
        self._client = client
        self._workers = sorted(client.nthreads())
        self.n_shards = n_shards

    @property
    def n_workers(self) -> int:
        """The number of workers at the start."""
        return len(self._workers)

    def submit(
        self, function: Callable, *arguments: Any, shard_number: int | None = None
    ) -> Any:
        """Return the future of a function's result, computed at the shard's worker if given."""
        place = {} if shard_number is None else self._home(shard_number)
        return self._client.submit(function, *arguments, pure=False, **place)

    def send(self, value: Any) -> Any:
        """Return a future of ``value``; unlike scattered data, it outlives its worker."""
        # Dask warns of large arguments, because the scheduler keeps them. Here it is meant to.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self.submit(_itself, value)

    def compute(self, delayed: Sequence[Sequence[Any]], shard_number: int) -> list[list[Any]]:
        """Return the futures of lists of Delayed objects; None stays None."""
        flat = [one for part in delayed for one in part if one is not None]
        computed = iter(self._client.compute(flat, **self._home(shard_number)))
        return [[None if one is None else next(computed) for one in part] for part in delayed]

    def gather(self, futures: Sequence[Any]) -> list[Any]:
        """Return the results of futures; raise the error of the first one that failed."""
        self.wait(futures)
        return self._client.gather(futures)

    def wait(self, futures: Iterable[Any]) -> None:
        """Wait for futures; raise the error of the first one that failed."""
        wait(futures)
        for future in futures:
            if future.status == "error":
                future.result()

    def _home(self, shard_number: int) -> dict[str, Any]:
        worker = self._workers[shard_number % len(self._workers)]
        return {"workers": [worker], "allow_other_workers": True}


def _itself(value: Any) -> Any:
    return value
