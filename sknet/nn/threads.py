"""Threads that share the work of a training step."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

import numpy as np

Result = TypeVar("Result")


class Team:
    """Threads that work on the tasks of a step together; they sleep in between.

    Parameters
    ----------
    n_threads : int, default=1
        The number of threads, of which the calling one is the first.
    """

    def __init__(self, n_threads: int = 1) -> None:
        self.n_threads = n_threads
        self._others: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._others is not None:
            self._others.shutdown()
            self._others = None

    def run(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the results of the tasks in their order, when all of them are done."""
        n_threads = min(self.n_threads, len(tasks))
        if n_threads == 1:
            return [task() for task in tasks]
        if self._others is None:
            self._others = ThreadPoolExecutor(self.n_threads - 1, initializer=_be_silent)
        waiting = [
            self._others.submit(_run_all, tasks[i::n_threads]) for i in range(1, n_threads)
        ]
        results: list[Any] = [None] * len(tasks)
        try:
            results[::n_threads] = _run_all(tasks[::n_threads])
        finally:
            # Also after an error: no thread may work on the arrays when this call has ended.
            for i, future in enumerate(waiting, start=1):
                results[i::n_threads] = future.result()
        return results


def _run_all(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return the results of the tasks."""
    return [task() for task in tasks]


def _be_silent() -> None:
    """Keep NumPy from warning of overflow in this thread: results are checked later."""
    np.seterr(over="ignore", invalid="ignore", divide="ignore")
