"""An epoch of mini-batch steps: the gradient of a batch, the step, and the running average.

A team of threads computes the gradient (``sknet.nn.shares``), and updates stretches of the
parameters.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, pairwise

import numpy as np

from sknet.nn.budget import Budget
from sknet.nn.kernels import Array, blocks, divided
from sknet.nn.network import Slot
from sknet.nn.objective import BatchIterable, Objective
from sknet.nn.optimizers import Optimizer
from sknet.nn.schedules import Schedule
from sknet.nn.sets import ElasticNet
from sknet.nn.shares import BatchGradient, Team
from sknet.nn.state import Begun, Horizon, Remembered, TrainingState

#: The running average moves once in this many steps, as far as it would in that many moves.
#: Moving it after each step would take up to 4 % of the time of an epoch, and would be hardly
#: more accurate.
STEPS_OF_AVERAGE = 4


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
        With a number, the running average of the parameters, m <- d_t m + (1 - d_t) params, is
        evaluated and returned. After t updates, d_t = min(d, (1 + t) / (10 + t)), so that the
        average forgets the random start (Polyak and Juditsky, 1992, in exponential form). It
        moves after every :data:`STEPS_OF_AVERAGE` steps, and at the end of an epoch.
    rates_of_layers : tuple of float, default=()
        A factor of the learning rate for each layer of the network. If empty, all factors are
        one. The parameters of a layer with a factor of zero do not change by a single bit: no
        step, decay, penalty or average touches them.
    """

    optimizer: Optimizer
    schedule: Schedule
    learning_rate_init: float
    ema_decay: float | None = None
    rates_of_layers: tuple[float, ...] = ()

    def average_decay(self, n_updates: float) -> float:
        """Return d_t after ``n_updates`` updates; 0 if there is no running average."""
        return min(self.ema_decay or 0.0, (1 + n_updates) / (10 + n_updates))

    def learning_rate(self, state: TrainingState, progress: float) -> float:
        """Return the learning rate of the next update."""
        factor = self.schedule(progress, state.samples_seen)
        if state.n_updates < state.warm_up:
            factor *= (state.n_updates + 1) / state.warm_up
        return self.learning_rate_init * state.plateau_factor * factor


@dataclass(eq=False)
class Epochs(ABC):
    """Passes over the training rows. Each pass changes the parameters and the state.

    :class:`Epoch` makes the passes in this process; another class may make them elsewhere.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        The initial parameters; updated in place.
    rule : UpdateRule
    horizon : Horizon
        The number of epochs, and how much of the plan is over at each of them.
    state : TrainingState
        Updated in place.
    objective : Objective
        What is minimized.
    budget : Budget, optional
        The time that the fit may take. By default, there is no limit.
    """

    params: Array
    rule: UpdateRule
    horizon: Horizon
    state: TrainingState
    objective: Objective
    budget: Budget = field(default_factory=Budget, kw_only=True)
    #: Returns batches of all rows, on which a cool-down can train; None if there are none.
    all_batches: Callable[[], BatchIterable] | None = field(default=None, kw_only=True)
    #: The learning rate of the last step.
    learning_rate: float = field(default=math.nan, init=False)

    def __post_init__(self) -> None:
        if self.state.trained is not None:
            np.copyto(self.params, self.state.trained)
        if self.rule.ema_decay is not None and self.state.average is None:
            self.state.average = self.params.copy()

    @abstractmethod
    def run(self) -> tuple[float, float]:
        """Run one epoch, or the rest of one that has begun; return mean loss and penalty."""

    def _end(self, n_rows: int, n_visited: int) -> None:
        """Record in the state that an epoch has visited ``n_visited`` of ``n_rows`` rows."""
        self.state.samples_seen += n_visited
        self.state.n_unvisited += n_rows - n_visited
        self.state.iteration += 1
        self.state.begun = None

    def _keep_limit(self, n_done: int, n_steps: int) -> None:
        """Leave out planned epochs after a step, if the time limit requires it."""
        n_ahead = (self.horizon.n_epochs - self.state.position) * n_steps - n_done
        self.state.left_out += self.budget.left_out(n_ahead) / n_steps

    def _is_cut(self, n_done: int, n_steps: int) -> bool:
        """Whether the plan is over before all steps of an epoch are made."""
        over = self.state.position + n_done / n_steps >= self.horizon.n_epochs
        return over and n_done < n_steps

    def visible_params(self) -> Array:
        """Return the parameters to evaluate: the running average, if there is one."""
        return self.params if self.rule.ema_decay is None else self.state.visible(self.params)

    def begin_cooling(self, n_epochs: float, progress: float | None = None) -> None:
        """Let the rest of the plan take at most ``n_epochs``, as in :meth:`Horizon.cooled`."""
        self.horizon = self.horizon.cooled(self.state.position, n_epochs, progress)
        self.state.cooling = self.horizon

    @abstractmethod
    def remember(self, visible: Array) -> None:
        """Keep in the state what a return to this epoch needs, if there may be one."""

    def go_back(self, best: Remembered) -> None:
        """Go back to the remembered parameters of an epoch."""
        np.copyto(self.params, best.visible)
        if self.state.average is not None:
            np.copyto(self.state.average, best.visible)
        self.state.best = None


@dataclass(eq=False)
class Epoch(Epochs):
    """One pass over the batches, with a step on each. All epochs use the same work arrays.

    Parameters
    ----------
    params, rule, horizon, state, objective, budget
        As for :class:`Epochs`.
    batches : BatchIterable
        Each iteration is one epoch of batches. If an epoch has begun according to ``state``,
        the first iteration is the rest of that epoch.
    team : Team, optional
        The threads that share the work of a step.
    return_to_best : bool, default=False
        As for :func:`sknet.nn.training.train`. ``all_batches`` implies it.
    """

    batches: BatchIterable
    team: Team = field(default_factory=Team)
    return_to_best: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._bounds = self.objective.network.bounds(self.params.dtype)
        if self.all_batches is not None and self.state.on_all_rows:
            self.batches = self.all_batches()
        self._train_on(self.batches)

    def _train_on(self, batches: BatchIterable) -> None:
        """Use these batches in the next epochs, and make the work arrays for them."""
        self.batches = batches
        self._gradient_of = BatchGradient(self.objective, batches, self.params.dtype, self.team)
        n_missing = self._gradient_of.n_shares - 1 - len(self.state.share_rngs)
        self.state.share_rngs += tuple(self.state.rng.spawn(max(0, n_missing)))
        parts = divided(0, self.params.size, self.team.n_threads)
        self._is_shared: bool = len(parts) > 2
        stretches = self._make_stretches()
        self._steps = [self._step_on(*one) for one in stretches]
        self._moving = [slice(start, stop) for *_, start, stop in stretches]

    def remember(self, visible: Array) -> None:
        """Keep in the state what a return to this epoch needs, if there may be one."""
        state = self.state
        if self.return_to_best or self.all_batches is not None:
            slots = state.slots.copy()
            state.best = Remembered(visible, slots, state.n_updates, state.position)

    def go_back(self, best: Remembered) -> None:
        """Go back to an epoch. If ``all_batches`` is given, train on all rows from there on."""
        super().go_back(best)
        np.copyto(self.state.slots, best.slots)
        self.state.n_updates = best.n_updates
        if self.all_batches is not None:
            self.state.on_all_rows = True
            # Free the memory of the old work arrays before the new ones are made.
            self._steps.clear()
            del self._gradient_of
            self._train_on(self.all_batches())

    def _make_stretches(self) -> list[tuple[Optimizer, float, int, int]]:
        """Return the stretches of the parameters, each of which is updated by one thread.

        A stretch has an optimizer, a factor of the learning rate, a start and an end. Penalized
        and other parameters have separate stretches only if there is weight decay, and layers
        and arrays only if their factors differ. Parameters with a factor of zero are in none.
        """
        network, optimizer = self.objective.network, self.rule.optimizer
        undecayed = optimizer.without_decay()
        factors = self.rule.rates_of_layers or [1.0] * len(network.layers)

        def how(slot: Slot) -> tuple[bool, float]:
            decays = optimizer != undecayed and slot.parameter.penalized
            return decays, factors[slot.layer] * slot.parameter.rate

        found = []
        for (decays, factor), slots in groupby(network.slots, how):
            places = [slot.where for slot in slots]
            whole = places[0].start, places[-1].stop
            ends = divided(*whole, self.team.n_threads) if factor else []
            own = optimizer if decays else undecayed
            found += [(own, factor, start, stop) for start, stop in pairwise(ends)]
        return found

    def run(self) -> tuple[float, float]:
        """Run one epoch; return the means of the loss and of the penalty before each step.

        The epoch is cut short if a time limit ends the plan.
        """
        state, n_batches = self.state, len(self.batches)
        begun = state.begun = state.begun or Begun()
        rngs = [state.rng, *state.share_rngs]
        self._gradient_of.objective = self.objective.adapted(state.unexplained)
        # Another library may have changed the number of BLAS threads since the last epoch.
        with self.team.within:
            for i, batch in enumerate(self.batches, start=begun.n_batches):
                progress = self.horizon.progress(state.position + i / n_batches)
                self.learning_rate: float = self.rule.learning_rate(state, progress)
                n_rows, loss = batch.X.shape[0], self._gradient_of(self.params, batch, rngs)
                begun.loss += loss * n_rows
                begun.penalty += self.objective.penalty_value(self.params) * n_rows
                self._step()
                if (i + 1) % STEPS_OF_AVERAGE == 0:
                    self._average(STEPS_OF_AVERAGE)
                begun.n_batches = i + 1
                begun.n_rows += n_rows
                if self.budget.is_limited:
                    self._keep_limit(i + 1, n_batches)
                    if self._is_cut(i + 1, n_batches):
                        break
            self._average(begun.n_batches % STEPS_OF_AVERAGE)
        self._end(self.batches.n_rows, begun.n_rows)
        return begun.loss / begun.n_rows, begun.penalty / begun.n_rows

    def _step(self) -> None:
        """Move the parameters."""
        self.state.n_updates += 1
        n_others = self._gradient_of.n_used - 1
        now = self.state.n_updates, self.learning_rate, self.objective.penalty, n_others
        if self._is_shared:
            self.team.run([partial(step, *now) for step in self._steps])
        else:
            # Calling the team would take a tenth of the time of a small network's step.
            for step in self._steps:
                step(*now)

    def _step_on(
        self, optimizer: Optimizer, factor: float, start: int, stop: int
    ) -> Callable[[int, float, ElasticNet, int], None]:
        """Return the step of one stretch of the parameters, on views of the vectors.

        It does not refer to this object. In a cycle of references, the work arrays would stay
        in memory until a garbage collection.
        """
        where, bounds = slice(start, stop), self._bounds
        params, slots = self.params[where], self.state.slots[:, where]
        gradient, *others = (one[where] for one in self._gradient_of.gradients)
        bounds = None if bounds is None else bounds.part(where)
        n_penalized = max(0, min(stop, self.objective.network.n_penalized) - start)

        def step(t: int, learning_rate: float, penalty: ElasticNet, n_others: int) -> None:
            # There is a gradient for each share of the batch.
            for other in others[:n_others]:
                np.add(gradient, other, out=gradient)
            rate = learning_rate * factor
            optimizer.step(params, gradient, slots, t, rate, penalty, n_penalized, bounds)

        return step

    def _average(self, n_steps: int) -> None:
        """Move the running average, if there is one, as far as ``n_steps`` moves would."""
        if n_steps and (average := self.state.average) is not None:
            decay = self.rule.average_decay(self.state.n_updates) ** n_steps
            for where in self._moving:
                update_average(average[where], self.params[where], decay)


def update_average(average: Array, params: Array, decay: float) -> None:
    """Move a running average toward the parameters, block by block to stay in cache."""
    for average_block, block in blocks(average, params):
        average_block += (1 - decay) * (block - average_block)
