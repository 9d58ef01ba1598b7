"""Random weights whose scale keeps a signal's variance from layer to layer.

To add one: a function of a generator and a shape, and a line in :data:`INITIALIZERS`.
"""

import math


def glorot_uniform(rng, shape):
    """Draw from +-sqrt(6 / (fan_in + fan_out)), uniformly: Glorot, Bengio (2010), eq. 16."""
    bound = math.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def lecun_normal(rng, shape):
    """Draw from a normal of variance 1 / fan_in: LeCun et al. (1998), equation 16."""
    return rng.normal(0, math.sqrt(1 / shape[0]), shape)


#: Initializers by name.
INITIALIZERS = {
    "glorot_uniform": glorot_uniform,
    "lecun_normal": lecun_normal,
}
