"""The gradient of a batch, computed in shares of its rows by a team of threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from numbers import Integral
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from sknet.nn.kernels import Array
from sknet.nn.layers import WorkArrays
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Batch, BatchIterable, Objective

Result = TypeVar("Result")


class Team:
    """Threads that work on the tasks of a step together, and sleep in between.

    They are not those of a ``ThreadPoolExecutor``, which accepts no tasks once the main thread
    of the program has ended, although other threads may still be training.

    Parameters
    ----------
    n_threads : int, default=1
        The number of threads, including the calling one. There are fewer if the system cannot
        start that many.
    within : context manager, optional
        A context such as a limit on the threads of BLAS. The other threads enter it for as long
        as they live, and the calling thread enters it for each epoch. So it must be possible to
        enter it several times at once.
    """

    def __init__(self, n_threads: int = 1, within: AbstractContextManager[Any] | None = None):
        self.n_threads: int = n_threads
        self.within: AbstractContextManager[Any] = nullcontext() if within is None else within
        self._others: list[Thread] = []
        self._waiting: SimpleQueue[Any] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting.put(None)
        for other in self._others:
            # An interrupt may have come between the making of a thread and its start.
            if other.ident is not None:
                other.join()
        self._others, self._waiting = [], SimpleQueue()

    def run(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the results of the tasks in their order, once all of them are done."""
        if self.n_threads == 1 or len(tasks) <= 1:
            return [task() for task in tasks]
        self._start(len(tasks) - 1)
        n_threads = min(self.n_threads, len(tasks))
        futures: list[Future[list[Result]]] = [Future() for _ in range(1, n_threads)]
        for i, future in enumerate(futures, start=1):
            self._waiting.put((future, tasks[i::n_threads]))
        results: list[Any] = [None] * len(tasks)
        try:
            results[::n_threads] = [task() for task in tasks[::n_threads]]
        finally:
            # Even after an error, no thread may work on the arrays once this call has ended.
            for future in futures:
                future.exception()
        for i, future in enumerate(futures, start=1):
            results[i::n_threads] = future.result()
        return results

    def _start(self, n_useful: int) -> None:
        """Start the missing threads of ``n_useful`` ones, or as many as the system allows."""
        try:
            while len(self._others) < min(n_useful, self.n_threads - 1):
                other = Thread(target=_work, args=[self._waiting, self.within], daemon=True)
                # If an interrupt ends this call, no thread that runs may be unknown.
                self._others.append(other)
                other.start()
        except RuntimeError:
            self._others.pop()
            self.n_threads = 1 + len(self._others)


def _work(waiting: SimpleQueue[Any], within: AbstractContextManager[Any]) -> None:
    """Run tasks within a context as they arrive, until None arrives instead.

    Their results, or their error, go into the future that arrives with them. None is passed on
    to the next thread.
    """
    with ExitStack() as entered:
        failure: BaseException | None = None
        try:
            entered.enter_context(within)
        except BaseException as error:
            failure = error  # Nobody may wait in vain for the results of this thread.
        # NumPy need not warn of overflow in this thread: results are checked later.
        entered.enter_context(np.errstate(over="ignore", invalid="ignore", divide="ignore"))
        while (item := waiting.get()) is not None:
            future, tasks = item
            try:
                if failure is not None:
                    raise failure
                future.set_result([task() for task in tasks])
            except BaseException as error:
                future.set_exception(error)
            # The last batch need not stay in memory while the thread sleeps.
            del item, future, tasks
        waiting.put(None)


#: The least time that a share of a batch should take for each work array, in nanoseconds.
#: Threads wait for each other at each call of NumPy, and a network with more work arrays makes
#: more calls.
LEAST_WORK = 55_000
#: The largest number of shares, and the smallest number of rows of a share. More threads would
#: mostly wait for the interpreter's lock, and products of fewer rows are slower.
MOST_SHARES, LEAST_ROWS = 2, 32
#: The number of multiplications that a matrix product makes in one nanosecond.
PRODUCTS_PER_NANOSECOND = 20


def rows_of_share(network: Network, batch_size: int, sparse_inputs: bool) -> int:
    """Return the number of rows of a share of a batch.

    It depends only on the batch and the network, so the number of threads of a machine does not
    change the result of training. A batch of sparse rows is one share. Most of its time is
    spent on the gradient of the weights, and each share would have its own.
    """
    if sparse_inputs:
        return batch_size
    products = network.n_penalized * network.n_members
    widths = [width for declared in network.work_arrays() for width in _widths(declared)]
    work = batch_size * (products / PRODUCTS_PER_NANOSECOND + sum(widths))
    n_shares = min(work // (LEAST_WORK * len(widths)), batch_size // LEAST_ROWS, MOST_SHARES)
    return -(-batch_size // max(1, int(n_shares)))


def _widths(declared: WorkArrays) -> Iterator[int]:
    """Yield the width of each work array, or 0 if its rows are not those of the batch."""
    for work in declared.values():
        if isinstance(work, dict):
            yield from _widths(work)
        else:
            yield int(work) if isinstance(work, Integral) else 0


class BatchGradient:
    """Computes the gradients of batches, share by share, in work arrays that are made once.

    Parameters
    ----------
    objective : Objective
    batches : iterable with ``batch_size`` and ``sample``
        The batches.
    dtype : dtype
        The dtype of the parameters.
    team : Team
        The threads among which the shares are divided.

    Attributes
    ----------
    objective : Objective
        It may be replaced by one with other layers that have the same work arrays.
    n_shares : int
        The number of shares of a full batch.
    gradients : list of ndarray of shape (n_params,)
        A gradient for each share.
    n_used : int
        The number of shares of the last batch, whose gradient is the sum of the first
        ``n_used`` gradients.
    """

    def __init__(
        self, objective: Objective, batches: BatchIterable, dtype: DTypeLike, team: Team
    ):
        network, batch_size = objective.network, batches.batch_size
        self.objective = objective
        self._team = team
        sparse_inputs = not isinstance(batches.sample(1).X, np.ndarray)
        self._n_rows = rows_of_share(network, batch_size, sparse_inputs)
        self.n_shares: int = -(-batch_size // self._n_rows)
        numbers, n_params = range(self.n_shares), network.n_params
        self._workspaces = [Workspace(network, self._n_rows, dtype) for _ in numbers]
        self.gradients: list[Array] = [np.empty(n_params, dtype) for _ in numbers]
        self.n_used: int = 0

    def __call__(self, params: Array, batch: Batch, rngs: list[Generator]) -> float:
        """Return the mean loss of a batch; write its gradient into ``gradients``.

        Each share draws from its own generator.
        """
        self.n_used = -(-batch.X.shape[0] // self._n_rows)
        if self.n_used == 1:
            return self.objective.loss_and_gradient(
                params, batch, self._workspaces[0], self.gradients[0], rngs[0]
            )
        tasks = [partial(self._of_share, i, params, batch, rngs[i]) for i in range(self.n_used)]
        return sum(self._team.run(tasks))

    def _of_share(self, number: int, params: Array, batch: Batch, rng: Generator) -> float:
        """Return what one share of the rows contributes to the mean loss of the batch."""
        start, weight = number * self._n_rows, batch.sample_weight
        rows = slice(start, start + self._n_rows)
        own = Batch(batch.X[rows], batch.y[rows], None if weight is None else weight[rows])
        workspace, gradient = self._workspaces[number], self.gradients[number]
        share = own.X.shape[0] / batch.X.shape[0]
        return self.objective.loss_and_gradient(params, own, workspace, gradient, rng, share)
