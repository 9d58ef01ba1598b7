"""Update rules for the flat parameter vector, in place and block by block.

To add an optimizer, derive a frozen dataclass from :class:`Optimizer`, define ``n_slots``,
``step_block`` and ``effective_step``, and add a line to :data:`OPTIMIZERS`. If a field has the
name of an estimator's parameter, such as ``momentum``, an optimizer that is chosen by name
takes the value of that parameter.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat, starmap
from numbers import Real
from typing import Annotated, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from sknet.nn.kernels import Array, blocks
from sknet.nn.rules import CLOSED_UNIT_INTERVAL, FRACTION, POSITIVE, TRUTH_VALUE, Interval, Rule
from sknet.nn.sets import Bounds, ElasticNet

# The state vectors of an optimizer, or a stretch of each.
Slots: TypeAlias = Sequence[Array]
#: The number of updates between two searches for numbers that are nearly denormal.
FLUSH_EVERY = 256


def flush_tiny(state: Array) -> None:
    """Set to zero the numbers that would become denormal, since arithmetic on those is slow.

    The moments of a dead unit, whose gradient is zero, shrink by a factor of 0.9^256 = 2e-12
    between two calls. So numbers above the limit now are not yet denormal at the next call.
    """
    limit = 1e13 * np.finfo(state.dtype).tiny
    state *= np.abs(state) > limit


class Solver(Rule):
    """A method that minimizes the objective: a value of the estimators' ``solver``."""

    #: Whether the solver makes a step after each mini-batch. Only then does it use a learning
    #: rate, dropout, input noise and mixup, and support ``partial_fit``.
    stochastic: ClassVar[bool]
    #: What to change if training diverges.
    divergence_remedy: ClassVar[str]
    #: What to change if training ends before it has converged.
    convergence_remedy: ClassVar[str]

    def decouple(self, penalty: ElasticNet) -> tuple[Self, ElasticNet]:
        """Return the solver and the penalty that is left to the objective.

        An optimizer with decoupled weight decay takes over the quadratic part. By default, both
        are returned unchanged.
        """
        return self, penalty


class Optimizer(Solver, ABC):
    """A rule that turns a gradient into a step. It has no state: ``state`` is an argument.

    ``state`` is an array of shape (n_slots, n_params) with the dtype of the parameters. ``t``
    counts the updates from 1.
    """

    stochastic = True
    divergence_remedy = (
        "Lower learning_rate_init or alpha; with standardize=False, scale the data."
    )
    convergence_remedy = (
        "Increase max_iter, choose a learning_rate that decays to zero, such as 'cosine', or "
        "set n_iter_no_change=numpy.inf to train exactly max_iter epochs."
    )
    #: The number of state vectors.
    n_slots: ClassVar[int]

    def init(self, n_params: int, dtype: DTypeLike) -> Array:
        """Return the state before the first step: zeros."""
        return np.zeros((self.n_slots, n_params), dtype=dtype)

    def step(
        self,
        params: Array,
        gradient: Array,
        state: Array,
        t: int,
        learning_rate: float,
        penalty: ElasticNet | None = None,
        n_penalized: int = 0,
        bounds: Bounds | None = None,
    ) -> None:
        """Update ``params`` and ``state`` in place.

        Parameters
        ----------
        params : ndarray of shape (n_params,)
        gradient : ndarray of shape (n_params,)
            The gradient of the loss. The gradient of the penalty's smooth part is added to it.
        state : ndarray of shape (n_slots, n_params)
        t : int
            The number of this update, from 1.
        learning_rate : float
        penalty : ElasticNet, optional
            The penalty on the leading parameters. Its L1 part acts through a proximal step.
        n_penalized : int, default=0
            The number of parameters that the penalty applies to.
        bounds : Bounds, optional
            The parameters are moved into these bounds after the step.
        """
        # Block by block, which is several times as fast as passes over the whole vector.
        walk = blocks(params, gradient, *state)
        walk_of_bounds = repeat(None) if bounds is None else starmap(Bounds, blocks(*bounds))
        scratch = np.empty_like(walk[0][0])
        for (p, g, *slots), allowed in zip(walk, walk_of_bounds, strict=False):
            w = p[:n_penalized]
            n_penalized -= w.size
            if penalty is not None and w.size:
                penalty.add_gradient(w, g[: w.size])
            self.decay_weights(p, learning_rate)
            self.step_block(p, g, slots, scratch[: p.size], t, learning_rate)
            if penalty is not None and w.size and penalty.l1:
                steps = self.effective_step([s[: w.size] for s in slots], t, learning_rate)
                penalty.prox(w, steps)
            if allowed is not None:
                # The threshold and the bounds act on each parameter separately, so shrinking
                # it and then bounding it is the proximal step of both together.
                allowed.project(p)
        if t % FLUSH_EVERY == 0:
            flush_tiny(state)

    def decay_weights(self, params: Array, learning_rate: float) -> None:
        """Shrink parameters before a step, in place. By default, they are left unchanged."""

    @abstractmethod
    def step_block(
        self,
        params: Array,
        gradient: Array,
        slots: Slots,
        scratch: Array,
        t: int,
        learning_rate: float,
    ) -> None:
        """Update one block of the parameters and its state in place.

        Parameters
        ----------
        params, gradient : ndarray of shape (n_block,)
        slots : sequence of ``n_slots`` ndarrays of shape (n_block,)
            The state of the block.
        scratch : ndarray of shape (n_block,)
            Room for intermediate results.
        t : int
        learning_rate : float
        """

    def effective_step(self, slots: Slots, t: int, learning_rate: float) -> float | Array:
        """Return the step per unit of gradient: one number, or one for each parameter.

        The threshold of the proximal step is this step times the factor of the L1 penalty.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define effective_step, or l1_ratio must be 0."
        )

    def without_decay(self) -> Self:
        """Return the optimizer without weight decay, for parameters such as biases."""
        return self


@dataclass(frozen=True)
class SGD(Optimizer):
    """v <- momentum v + g;  params -= lr v, or lr (momentum v + g) with Nesterov's momentum.

    Sutskever, Martens, Dahl and Hinton (2013), equations 1 to 4, with the gradient taken at
    the parameters themselves. The velocity does not include the learning rate. At a constant
    rate, this makes no difference. At a falling rate, a velocity that includes the rate would
    remember larger steps, and carry weights away from the zeros of an L1 penalty.

    Parameters
    ----------
    momentum : float in [0, 1], default=0.9
    nesterovs_momentum : bool, default=True
    """

    momentum: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.9
    nesterovs_momentum: Annotated[bool, TRUTH_VALUE] = True
    n_slots = 1

    def step_block(
        self,
        params: Array,
        gradient: Array,
        slots: Slots,
        scratch: Array,
        t: int,
        learning_rate: float,
    ) -> None:
        (velocity,) = slots
        velocity *= self.momentum
        velocity += gradient
        if self.nesterovs_momentum:
            np.multiply(velocity, self.momentum, out=scratch)
            scratch += gradient
            scratch *= learning_rate
        else:
            np.multiply(velocity, learning_rate, out=scratch)
        params -= scratch

    def effective_step(self, slots: Slots, t: int, learning_rate: float) -> float | Array:
        # Each gradient moves the parameters by a geometric series of steps; this is its sum.
        return learning_rate / (1 - self.momentum) if self.momentum < 1 else learning_rate


@dataclass(frozen=True)
class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  params -= lr_t m / (sqrt(v) + eps).

    Kingma and Ba (2015), end of section 2: lr_t = lr sqrt(1 - b2^t) / (1 - b1^t), with
    epsilon in its "epsilon hat" form, as in scikit-learn. The state is m / (1 - b1) and
    v / (1 - b2), which saves two passes over the arrays.

    Parameters
    ----------
    beta_1 : float in [0, 1), default=0.9
    beta_2 : float in [0, 1), default=0.999
    epsilon : float > 0, default=1e-8
    """

    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, POSITIVE] = 1e-8
    n_slots = 2

    def step_block(
        self,
        params: Array,
        gradient: Array,
        slots: Slots,
        scratch: Array,
        t: int,
        learning_rate: float,
    ) -> None:
        m, v = slots
        step_size, epsilon = self._step_size_and_epsilon(t, learning_rate)
        m *= self.beta_1
        m += gradient
        v *= self.beta_2
        v += np.multiply(gradient, gradient, out=scratch)
        np.sqrt(v, out=scratch)
        scratch += epsilon
        np.divide(m, scratch, out=scratch)
        scratch *= step_size * (1 - self.beta_1)
        params -= scratch

    def effective_step(self, slots: Slots, t: int, learning_rate: float) -> float | Array:
        step_size, epsilon = self._step_size_and_epsilon(t, learning_rate)
        return step_size / (np.sqrt(slots[1]) + epsilon)

    def _step_size_and_epsilon(self, t: int, learning_rate: float) -> tuple[float, float]:
        # Both bias corrections are scalars, so they fold into the step size. So does the root
        # of 1 - beta_2, the factor that the stored v lacks. np.sqrt instead of math.sqrt would
        # turn float32 arrays into float64.
        root = math.sqrt(1 - self.beta_2)
        step_size = learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return step_size / root, self.epsilon / root


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: params <- (1 - lr weight_decay) params before a step.

    Loshchilov and Hutter (2019), algorithm 2, with the decay scaled by the learning rate. The
    decay replaces the quadratic penalty of the objective.

    Parameters
    ----------
    beta_1, beta_2, epsilon
        As for :class:`Adam`.
    weight_decay : float >= 0 or None, default=None
        None stands for alpha (1 - l1_ratio), the factor of the quadratic penalty.
    """

    weight_decay: Annotated[float | None, Interval(Real, 0, none=True)] = None

    def decay_weights(self, params: Array, learning_rate: float) -> None:
        if self.weight_decay:
            params *= 1 - learning_rate * self.weight_decay

    def decouple(self, penalty: ElasticNet) -> tuple[Self, ElasticNet]:
        decay = penalty.l2 if self.weight_decay is None else self.weight_decay
        rest = replace(penalty, alpha=penalty.l1, l1_ratio=1.0)
        return replace(self, weight_decay=decay), rest

    def without_decay(self) -> Self:
        return replace(self, weight_decay=0.0)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v <- rho v + (1 - rho) g^2;  params -= lr g / (sqrt(v) + epsilon).

    Tieleman and Hinton (2012), lecture 6.5.

    Parameters
    ----------
    rho : float in [0, 1), default=0.9
    epsilon : float > 0, default=1e-8
    """

    rho: Annotated[float, FRACTION] = 0.9
    epsilon: Annotated[float, POSITIVE] = 1e-8
    n_slots = 1

    def step_block(
        self,
        params: Array,
        gradient: Array,
        slots: Slots,
        scratch: Array,
        t: int,
        learning_rate: float,
    ) -> None:
        (v,) = slots
        v *= self.rho
        np.multiply(gradient, gradient, out=scratch)
        v += np.multiply(scratch, 1 - self.rho, out=scratch)
        np.sqrt(v, out=scratch)
        scratch += self.epsilon
        np.divide(gradient, scratch, out=scratch)
        params -= np.multiply(scratch, learning_rate, out=scratch)

    def effective_step(self, slots: Slots, t: int, learning_rate: float) -> float | Array:
        return learning_rate / (np.sqrt(slots[0]) + self.epsilon)


#: Optimizers by name.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
