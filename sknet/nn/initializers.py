"""Random weights whose scale keeps a signal's variance from layer to layer.

To add one, write a function of a generator and a shape, and add a line to :data:`INITIALIZERS`.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

#: A function that draws a matrix of shape (fan_in, fan_out).
Initializer: TypeAlias = Callable[[Generator, tuple[int, ...]], NDArray[np.float64]]


def glorot_uniform(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw from +-sqrt(6 / (fan_in + fan_out)), uniformly: Glorot, Bengio (2010), eq. 16."""
    bound = math.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def lecun_normal(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw from a normal of variance 1 / fan_in: LeCun et al. (1998), equation 16."""
    return rng.normal(0, math.sqrt(1 / shape[0]), shape)


#: Initializers by name.
INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": glorot_uniform,
    "lecun_normal": lecun_normal,
}
