"""An epoch of mini-batch steps: the gradient of a batch, the step, and the running average.

The loss and the gradient of a large batch are computed in shares of its rows, and the step in
stretches of the parameters, by a team of threads.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from sknet.nn.kernels import Array, blocks, divided
from sknet.nn.layers import WorkArrays
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Batch, BatchIterable, Objective
from sknet.nn.optimizers import Optimizer
from sknet.nn.schedules import Schedule
from sknet.nn.state import Begun, Horizon, Remembered, TrainingState

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
        A context that each of the other threads enters for as long as it lives, and each epoch
        again, such as a limit of threads. It can be entered many times at once.
    """

    def __init__(
        self, n_threads: int = 1, within: AbstractContextManager[Any] | None = None
    ) -> None:
        self.n_threads: int = n_threads
        self.within: AbstractContextManager[Any] = nullcontext() if within is None else within
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
            return [task() for task in tasks]
        if len(self._others) < self.n_threads - 1:
            self._start()
        n_threads = min(self.n_threads, len(tasks))
        futures: list[Future[list[Result]]] = [Future() for _ in range(1, n_threads)]
        for i, future in enumerate(futures, start=1):
            self._waiting.put((future, tasks[i::n_threads]))
        results: list[Any] = [None] * len(tasks)
        try:
            results[::n_threads] = [task() for task in tasks[::n_threads]]
        finally:
            # Also after an error: no thread may work on the arrays when this call has ended.
            for i, future in enumerate(futures, start=1):
                results[i::n_threads] = future.result()
        return results

    def _start(self) -> None:
        """Start the other threads, or as many as the system allows."""
        try:
            while len(self._others) < self.n_threads - 1:
                other = Thread(target=_work, args=[self._waiting, self.within], daemon=True)
                other.start()
                self._others.append(other)
        except RuntimeError:
            self.n_threads = 1 + len(self._others)


def _work(waiting: SimpleQueue[Any], within: AbstractContextManager[Any]) -> None:
    """Run tasks within a context as they come, until None comes instead.

    Their results, or their error, go to those who wait for them.
    """
    # NumPy need not warn of overflow in this thread: results are checked later.
    with within, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        while (item := waiting.get()) is not None:
            future, tasks = item
            try:
                future.set_result([task() for task in tasks])
            except BaseException as error:
                future.set_exception(error)
            # The last batch need not stay in memory while the thread sleeps.
            del item, future, tasks


#: A share of a batch takes at least about this time for each work array, in nanoseconds.
#: Threads wait for each other at each call of NumPy, and a network with more work arrays makes
#: more calls.
LEAST_WORK = 55_000
#: The largest number of shares, since more threads would mostly wait for the interpreter's
#: lock, and the smallest number of rows of a share, since products of few rows are slower.
MOST_SHARES, LEAST_ROWS = 2, 32
#: The number of multiplications that a product makes while a nanosecond passes.
PRODUCTS_PER_NANOSECOND = 20


def rows_of_share(network: Network, batch_size: int, sparse_inputs: bool) -> int:
    """Return the number of rows of a share of a batch.

    It depends on the batch and the network alone, so that a training has the same result on
    each machine, whatever the number of threads. A batch of sparse rows is one share: most of
    its time is spent on the gradient of the weights, of which each share would have its own.
    """
    if sparse_inputs:
        return batch_size
    products = network.n_penalized * network.n_members
    widths = [width for declared in network.work_arrays() for width in _widths(declared)]
    work = batch_size * (products / PRODUCTS_PER_NANOSECOND + sum(widths))
    n_shares = min(work // (LEAST_WORK * len(widths)), batch_size // LEAST_ROWS, MOST_SHARES)
    return -(-batch_size // max(1, int(n_shares)))


def _widths(declared: WorkArrays) -> Iterator[int]:
    """Yield the number of columns of each work array, 0 without a row for each row."""
    for work in declared.values():
        if isinstance(work, dict):
            yield from _widths(work)
        else:
            yield work if isinstance(work, int) else 0


class BatchGradient:
    """Computes the gradients of batches, share by share; the work arrays are made once.

    Parameters
    ----------
    objective : Objective
    batch_size : int
        The largest number of rows of a batch.
    sparse_inputs : bool
        Whether the rows are sparse.
    dtype : dtype
        The dtype of the parameters.
    team : Team
        The threads among which the shares are divided.

    Attributes
    ----------
    n_shares : int
        The number of shares of a whole batch.
    gradients : list of ndarray of shape (n_params,)
        A gradient for each share.
    n_used : int
        The number of shares of the last batch. The sum of so many of the first gradients is
        its gradient.
    """

    def __init__(
        self,
        objective: Objective,
        batch_size: int,
        sparse_inputs: bool,
        dtype: DTypeLike,
        team: Team,
    ) -> None:
        network = objective.network
        self._objective = objective
        self._team = team
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
        n_rows = batch.X.shape[0]
        if n_rows <= self._n_rows:
            self.n_used = 1
            return self._objective.loss_and_gradient(
                params, batch, self._workspaces[0], self.gradients[0], rngs[0]
            )
        tasks = [
            partial(self._of_share, number, params, batch, rngs[number])
            for number in range(-(-n_rows // self._n_rows))
        ]
        self.n_used = len(tasks)
        return sum(self._team.run(tasks))

    def _of_share(self, number: int, params: Array, batch: Batch, rng: Generator) -> float:
        """Return the part of the mean loss of one share of the rows."""
        start, weight = number * self._n_rows, batch.sample_weight
        rows = slice(start, start + self._n_rows)
        own = Batch(batch.X[rows], batch.y[rows], None if weight is None else weight[rows])
        workspace, gradient = self._workspaces[number], self.gradients[number]
        share = own.X.shape[0] / batch.X.shape[0]
        return self._objective.loss_and_gradient(params, own, workspace, gradient, rng, share)


@dataclass(frozen=True)
class UpdateRule:
    """The rule that turns gradients into steps.

    Parameters
    ----------
    optimizer : Optimizer
    schedule : Schedule
    learning_rate_init : float
        The learning rate that the schedule multiplies.
    ema_decay : float d or None, default=None
        With a number, the running average m <- d_t m + (1 - d_t) params of the parameters is
        evaluated and returned. After t updates d_t = min(d, (1 + t) / (10 + t)), so that the
        average forgets the random start (Polyak and Juditsky, 1992, in exponential form).
    """

    optimizer: Optimizer
    schedule: Schedule
    learning_rate_init: float
    ema_decay: float | None = None

    def average_decay(self, n_updates: float) -> float:
        """Return d_t of the running average after so many updates; without one it is 0."""
        return min(self.ema_decay or 0.0, (1 + n_updates) / (10 + n_updates))

    def learning_rate(self, state: TrainingState, progress: float) -> float:
        """Return the learning rate of the next update."""
        factor = self.schedule(progress, state.samples_seen)
        return self.learning_rate_init * state.plateau_factor * factor


@dataclass(frozen=True)
class ReturnToBest:
    """A cool-down that begins at the best epoch, and not at the last one.

    A learning rate that falls to zero by plan does so from there on, once the score has stopped
    improving.

    Parameters
    ----------
    all_batches : callable, optional
        ``all_batches()`` returns batches of the training rows and of those that ``evaluate``
        judges. The cool-down trains on these, without a score, and begins at the latest when
        the plan is nearly over. The last parameters are returned.
    """

    all_batches: Callable[[], BatchIterable] | None = None


class Epochs(ABC):
    """Passes over the training rows, each of which changes the parameters and the state.

    :class:`Epoch` makes them in this process; another class may make them elsewhere.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        The initial parameters; updated in place.
    rule : UpdateRule
    horizon : Horizon
        The number of epochs, and how far each of them is on in the plan.
    state : TrainingState
        Updated in place.
    """

    #: Whether a cool-down can train on the rows that are evaluated, too.
    has_all_rows: bool = False

    def __init__(
        self, params: Array, rule: UpdateRule, horizon: Horizon, state: TrainingState
    ) -> None:
        self.params = params
        self.rule = rule
        self.horizon: Horizon = horizon
        self.state = state
        self.learning_rate: float = math.nan
        if state.trained is not None:
            np.copyto(params, state.trained)
        if rule.ema_decay is not None and state.average is None:
            state.average = params.copy()

    @abstractmethod
    def run(self) -> float:
        """Make one epoch, or the rest of one that has begun; return its mean loss."""

    def _end(self, n_rows: int) -> None:
        """Note in the state that an epoch of so many rows is over."""
        self.state.samples_seen += n_rows
        self.state.iteration += 1
        self.state.begun = None

    def visible_params(self) -> Array:
        """Return the parameters to evaluate: the running average, if there is one."""
        return self.params if self.rule.ema_decay is None else self.state.visible(self.params)

    def begin_cooling(self, n_epochs: int, progress: float | None = None) -> None:
        """Let the rest of the plan take so many epochs, as :meth:`Horizon.cooled` describes."""
        self.horizon = self.horizon.cooled(self.state.iteration, n_epochs, progress)
        self.state.cooling = self.horizon

    @abstractmethod
    def remember(self, visible: Array) -> None:
        """Keep in the state what a return to this epoch needs, if there may be one."""

    def go_back(self, best: Remembered) -> None:
        """Go back to the parameters that were remembered of an epoch."""
        np.copyto(self.params, best.visible)
        if self.state.average is not None:
            np.copyto(self.state.average, best.visible)
        self.state.best = None


class Epoch(Epochs):
    """One pass over the batches, a step on each; work arrays are made once for all epochs.

    Parameters
    ----------
    objective : Objective
    params, rule, horizon, state
        As for :class:`Epochs`.
    batches : iterable with ``n_rows``, ``batch_size`` and a length
        Each iteration is one epoch of batches. If the state has an epoch that is begun, the
        first iteration is the rest of that epoch.
    team : Team, optional
        The threads that share the work of a step.
    return_to_best : ReturnToBest, optional
        As for :func:`sknet.nn.training.train`.
    """

    def __init__(
        self,
        objective: Objective,
        params: Array,
        batches: BatchIterable,
        rule: UpdateRule,
        horizon: Horizon,
        state: TrainingState,
        team: Team | None = None,
        return_to_best: ReturnToBest | None = None,
    ):
        super().__init__(params, rule, horizon, state)
        self.objective = objective
        self.team: Team = team or Team()
        self._bounds = objective.network.bounds(params.dtype)
        self._returns = return_to_best is not None
        self._all_batches = None if return_to_best is None else return_to_best.all_batches
        self.has_all_rows = self._all_batches is not None
        if self._all_batches is not None and state.on_all_rows:
            batches = self._all_batches()
        self._train_on(batches)

    def _train_on(self, batches: BatchIterable) -> None:
        """Make the next epochs passes over these batches; make the work arrays for them."""
        self.batches = batches
        sparse_inputs = not isinstance(batches.sample(1).X, np.ndarray)
        self._gradient_of = BatchGradient(
            self.objective, batches.batch_size, sparse_inputs, self.params.dtype, self.team
        )
        n_missing = self._gradient_of.n_shares - 1 - len(self.state.share_rngs)
        self.state.share_rngs += tuple(self.state.rng.spawn(max(0, n_missing)))
        self._tasks = [self._step_on(*one) for one in self._make_stretches()]

    def remember(self, visible: Array) -> None:
        """Keep in the state what a return to this epoch needs, if there may be one."""
        state = self.state
        if self._returns:
            state.best = Remembered(visible, state.slots.copy(), state.n_updates)

    def go_back(self, best: Remembered) -> None:
        """Go back to an epoch, and train on all rows from there on, if :attr:`has_all_rows`."""
        super().go_back(best)
        np.copyto(self.state.slots, best.slots)
        self.state.n_updates = best.n_updates
        if self._all_batches is not None:
            self.state.on_all_rows = True
            # The old work arrays must leave the memory before the new ones are made.
            del self._gradient_of, self._tasks
            self._train_on(self._all_batches())

    def _make_stretches(self) -> list[tuple[Optimizer, int, int]]:
        """Return the stretches of the parameters, each of which one thread steps on.

        They have an optimizer, a start and an end. The penalised and the other parameters are
        separate stretches only if weight decay tells them apart.
        """
        network, optimizer = self.objective.network, self.rule.optimizer
        n, undecayed = network.n_penalized, optimizer.without_decay()
        wholes = [(optimizer, 0, n), (undecayed, n, network.n_params)]
        if optimizer == undecayed:
            wholes = [(optimizer, 0, network.n_params)]
        return [
            (optimizer, start, stop)
            for optimizer, first, last in wholes
            for start, stop in pairwise(divided(first, last, self.team.n_threads))
        ]

    def run(self) -> float:
        """Make one epoch; return the mean of the objective before each of its steps."""
        state, n_batches = self.state, len(self.batches)
        begun = state.begun = state.begun or Begun()
        rngs = [state.rng, *state.share_rngs]
        # Another library may have changed the number of BLAS's threads since the last epoch.
        with self.team.within:
            for i, batch in enumerate(self.batches, start=begun.n_batches):
                progress = self.horizon.progress(state.iteration + i / n_batches)
                self.learning_rate: float = self.rule.learning_rate(state, progress)
                value = self._gradient_of(self.params, batch, rngs)
                value += self.objective.penalty_value(self.params)
                self._step()
                begun.total += value * batch.X.shape[0]
                begun.n_batches = i + 1
        self._end(self.batches.n_rows)
        return begun.total / self.batches.n_rows

    def _step(self) -> None:
        """Move the parameters, then their running average towards them."""
        self.state.n_updates += 1
        if len(self._tasks) == 1:
            self._tasks[0]()  # The call of a team takes a twentieth of a tiny network's step.
        else:
            self.team.run(self._tasks)

    def _step_on(self, optimizer: Optimizer, start: int, stop: int) -> Callable[[], None]:
        """Return the step of one stretch of the parameters, on views of the vectors."""
        where, average, bounds = slice(start, stop), self.state.average, self._bounds
        params, slots = self.params[where], self.state.slots[:, where]
        gradient, *others = (one[where] for one in self._gradient_of.gradients)
        average = None if average is None else average[where]
        bounds = None if bounds is None else bounds.part(where)
        n_penalized = max(0, min(stop, self.objective.network.n_penalized) - start)

        def step() -> None:
            t, penalty, rate = self.state.n_updates, self.objective.penalty, self.learning_rate
            # There is a gradient for each share of the batch.
            for other in others[: self._gradient_of.n_used - 1]:
                np.add(gradient, other, out=gradient)
            optimizer.step(params, gradient, slots, t, rate, penalty, n_penalized, bounds)
            if average is not None:
                update_average(average, params, self.rule.average_decay(t))

        return step


def update_average(average: Array, params: Array, decay: float) -> None:
    """Move a running average towards the parameters, block by block to stay in cache."""
    for average_block, block in blocks(average, params):
        average_block += (1 - decay) * (block - average_block)
