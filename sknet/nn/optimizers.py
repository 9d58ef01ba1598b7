"""Update rules for the flat parameter vector, in place and block by block.

To add one: a frozen dataclass with ``n_slots``, ``step_block`` and ``effective_step``, and
a line in :data:`OPTIMIZERS`. A field named like an estimator's parameter takes that
parameter's value.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sknet.nn.kernels import blocks

#: Updates between two searches for numbers so small that they only cost time.
FLUSH_EVERY = 256


def flush_tiny(state):
    """Set numbers that decay towards the denormal, which are slow, to zero.

    The moments of a dead unit, whose gradient is zero, shrink by 0.9^256 = 2e-12 between two
    calls: what is left above the limit now is not denormal by the next.
    """
    limit = 1e13 * np.finfo(state.dtype).tiny
    state *= np.abs(state) > limit


class Optimizer:
    """A rule that turns a gradient into a step; what it remembers is ``state``.

    ``state`` has shape (n_slots, n_params) and the dtype of the parameters. ``t`` counts
    the updates from 1.
    """

    #: Vectors of state.
    n_slots: ClassVar[int]

    def init(self, n_params, dtype):
        """Return the state before the first step."""
        return np.zeros((self.n_slots, n_params), dtype=dtype)

    def step(self, params, gradient, state, t, learning_rate, penalty=None, n_penalized=0):
        """Update ``params`` and ``state`` in place, by a proximal step where penalised.

        ``gradient`` is of the loss; that of the penalty of the first ``n_penalized``
        parameters is added to it, as far as it is smooth.
        """
        # Block by block, which is several times faster than passes over the whole vector.
        walk = blocks(params, gradient, *state)
        scratch = np.empty_like(walk[0][0])
        for p, g, *slots in walk:
            w = p[:n_penalized]
            n_penalized -= w.size
            if w.size:
                penalty.add_gradient(w, g[: w.size])
            self.step_block(p, g, slots, scratch[: p.size], t, learning_rate)
            if w.size and penalty.l1:
                steps = self.effective_step([s[: w.size] for s in slots], t, learning_rate)
                penalty.prox(w, steps)
        if t % FLUSH_EVERY == 0:
            flush_tiny(state)

    def step_block(self, params, gradient, slots, scratch, t, learning_rate):
        """Update one block in place.

        ``slots`` are the block's ``n_slots`` vectors of state, ``scratch`` is one to work in.
        """
        raise NotImplementedError

    def effective_step(self, slots, t, learning_rate):
        """Return the step per unit of gradient, one number or one for each coordinate.

        It is what the threshold of a proximal step must be scaled by.
        """
        raise NotImplementedError

    def decouple(self, penalty):
        """Return the optimizer and the penalty that ``penalty`` amounts to here.

        A rule with decoupled weight decay takes the quadratic part out of the objective.
        """
        return self, penalty

    def without_decay(self):
        """Return the rule for parameters that no penalty touches, such as biases."""
        return self


@dataclass(frozen=True)
class SGD(Optimizer):
    """v <- momentum v + g;  params -= lr v, or lr (momentum v + g) with Nesterov's momentum.

    Sutskever, Martens, Dahl and Hinton (2013), equations 1 to 4, with the gradient taken at
    the parameters themselves. The velocity is kept without the learning rate, which is the
    same at a constant rate. Under a falling one, what is left of earlier and larger steps
    would otherwise carry weights away from the zeros of an L1 penalty.
    """

    momentum: float = 0.9
    nesterovs_momentum: bool = True
    n_slots = 1

    def step_block(self, params, gradient, slots, scratch, t, learning_rate):
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

    def effective_step(self, slots, t, learning_rate):
        # A constant gradient moves the parameters by the sum of its geometric series.
        return learning_rate / (1 - self.momentum) if self.momentum < 1 else learning_rate


@dataclass(frozen=True)
class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  params -= lr_t m / (sqrt(v) + eps).

    Kingma and Ba (2015), end of section 2: lr_t = lr sqrt(1 - b2^t) / (1 - b1^t), with
    epsilon in its "epsilon hat" form, as in scikit-learn. The state is m / (1 - b1) and
    v / (1 - b2), which saves two passes.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_slots = 2

    def step_block(self, params, gradient, slots, scratch, t, learning_rate):
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

    def effective_step(self, slots, t, learning_rate):
        step_size, epsilon = self._step_size_and_epsilon(t, learning_rate)
        return step_size / (np.sqrt(slots[1]) + epsilon)

    def _step_size_and_epsilon(self, t, learning_rate):
        # Both bias corrections are scalars, so they fold into the step size, and so does the
        # root of the factor that v is kept without. math.sqrt, since np.sqrt would turn
        # float32 arrays into float64.
        root = math.sqrt(1 - self.beta_2)
        step_size = learning_rate * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return step_size / root, self.epsilon / root


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: params <- (1 - lr weight_decay) params before a step.

    Loshchilov and Hutter (2019), algorithm 2, with the decay scaled by the learning rate.
    ``weight_decay=None`` stands for alpha (1 - l1_ratio), the quadratic penalty's factor.
    Either way that penalty leaves the objective.
    """

    weight_decay: float | None = None

    def step_block(self, params, gradient, slots, scratch, t, learning_rate):
        if self.weight_decay:
            params *= 1 - learning_rate * self.weight_decay
        super().step_block(params, gradient, slots, scratch, t, learning_rate)

    def decouple(self, penalty):
        decay = penalty.l2 if self.weight_decay is None else self.weight_decay
        return replace(self, weight_decay=decay), replace(
            penalty, alpha=penalty.l1, l1_ratio=1.0
        )

    def without_decay(self):
        return replace(self, weight_decay=0.0)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v <- rho v + (1 - rho) g^2;  params -= lr g / (sqrt(v) + epsilon).

    Tieleman and Hinton (2012), lecture 6.5.
    """

    rho: float = 0.9
    epsilon: float = 1e-8
    n_slots = 1

    def step_block(self, params, gradient, slots, scratch, t, learning_rate):
        (v,) = slots
        v *= self.rho
        np.multiply(gradient, gradient, out=scratch)
        v += np.multiply(scratch, 1 - self.rho, out=scratch)
        np.sqrt(v, out=scratch)
        scratch += self.epsilon
        np.divide(gradient, scratch, out=scratch)
        params -= np.multiply(scratch, learning_rate, out=scratch)

    def effective_step(self, slots, t, learning_rate):
        return learning_rate / (np.sqrt(slots[0]) + self.epsilon)


#: Optimizers by name.
OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}
