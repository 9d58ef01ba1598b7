"""A custom learning-rate schedule."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sknet import NNRegressor
from sknet.nn.rules import OPEN_UNIT_INTERVAL
from sknet.nn.schedules import Schedule


@dataclass(frozen=True)
class WarmUpThenLine(Schedule):
    """A rise over the fraction ``warm_up`` of training, then a straight line down to zero."""

    warm_up: Annotated[float, OPEN_UNIT_INTERVAL] = 0.1
    has_horizon = True

    def __call__(self, progress, samples_seen):
        """Return the factor of ``learning_rate_init``; ``progress`` is in [0, 1)."""
        return min(progress / self.warm_up, (1 - progress) / (1 - self.warm_up))


X = np.random.default_rng(0).normal(size=(200, 3))
y = np.abs(X[:, 0])
network = NNRegressor(learning_rate=WarmUpThenLine(), random_state=0).fit(X, y)
print(f"R2: {network.score(X, y):.2f}")
