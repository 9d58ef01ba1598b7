"""A custom optimizer."""

from dataclasses import dataclass

import numpy as np

from sknet import NNRegressor
from sknet.nn.optimizers import Optimizer


@dataclass(frozen=True)
class Lion(Optimizer):
    """params -= lr sign(b1 m + (1 - b1) g);  m <- b2 m + (1 - b2) g.

    Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023), algorithm 2, without
    its weight decay.
    """

    beta_1: float = 0.9
    beta_2: float = 0.99
    n_slots = 1

    def step_block(self, params, gradient, slots, scratch, t, learning_rate):
        """Update one block of the parameters in place."""
        (m,) = slots
        np.multiply(m, self.beta_1, out=scratch)
        scratch += (1 - self.beta_1) * gradient
        np.sign(scratch, out=scratch)
        scratch *= learning_rate
        params -= scratch
        m *= self.beta_2
        m += (1 - self.beta_2) * gradient

    def effective_step(self, slots, t, learning_rate):
        """Return the step per unit of gradient, which scales the threshold of an L1 penalty."""
        return learning_rate


X = np.random.default_rng(0).normal(size=(200, 3))
y = np.abs(X[:, 0])
network = NNRegressor(solver=Lion(), random_state=0).fit(X, y)
print(f"R2: {network.score(X, y):.2f}")
