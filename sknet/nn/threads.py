"""Threads that share the work of a training step."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar

import numpy as np

Result = TypeVar("Result")


class Team:
    """Threads that work on the tasks of a step together; they sleep in between.

    They are not those of a ``ThreadPoolExecutor``, which takes no more tasks once the main
    thread of the program has ended, though other threads may still be training.

    Parameters
    ----------
    n_threads : int, default=1
        The number of threads, of which the calling one is the first. There are fewer if the
        system does not start so many.
    within : context manager, optional
        A context that each of the other threads enters for as long as it lives, such as a limit
        that holds for one thread only.
    """

    def __init__(
        self, n_threads: int = 1, within: AbstractContextManager[Any] | None = None
    ) -> None:
        self.n_threads = n_threads
        self._within = nullcontext() if within is None else within
        self._others: list[Thread] = []
        self._waiting: SimpleQueue[Any] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for _ in self._others:
            self._waiting.put(None)
        for other in self._others:
            other.join()
        self._others = []

    def run(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the results of the tasks in their order, when all of them are done."""
        if self.n_threads == 1 or len(tasks) == 1:
            return _run_all(tasks)
        if len(self._others) < self.n_threads - 1:
            self._start()
        n_threads = min(self.n_threads, len(tasks))
        futures: list[Future[list[Result]]] = [Future() for _ in range(1, n_threads)]
        for i, future in enumerate(futures, start=1):
            self._waiting.put((future, tasks[i::n_threads]))
        results: list[Any] = [None] * len(tasks)
        try:
            results[::n_threads] = _run_all(tasks[::n_threads])
        finally:
            # Also after an error: no thread may work on the arrays when this call has ended.
            for i, future in enumerate(futures, start=1):
                results[i::n_threads] = future.result()
        return results

    def _start(self) -> None:
        """Start the other threads, or as many as the system allows."""
        try:
            while len(self._others) < self.n_threads - 1:
                other = Thread(target=_work, args=[self._waiting, self._within], daemon=True)
                other.start()
                self._others.append(other)
        except RuntimeError:
            self.n_threads = 1 + len(self._others)


def _run_all(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Return the results of the tasks."""
    return [task() for task in tasks]


def _work(waiting: SimpleQueue[Any], within: AbstractContextManager[Any]) -> None:
    """Run tasks within a context as they come, until None comes instead."""
    # NumPy need not warn of overflow in this thread: results are checked later.
    with within, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        while (item := waiting.get()) is not None:
            _fulfil(*item)
            del item  # The last batch need not stay in memory while the thread sleeps.


def _fulfil(future: Future[list[Result]], tasks: Sequence[Callable[[], Result]]) -> None:
    """Run tasks; give their results, or their error, to those who wait for them."""
    try:
        results = _run_all(tasks)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(results)
