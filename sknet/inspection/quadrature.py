"""A nested rule to integrate along a path, coarse first and finer where that is needed."""

import numpy as np

#: Fewest steps with which a path may be done.
FEWEST_STEPS = 4


class NestedRule:
    """A rule on [0, 1] with ``n_steps`` steps, and with half as many, a quarter, etc.

    The points of n / 2 steps are among those of n, and the ends of the interval among all of
    them. For smooth functions the rule is Clenshaw and Curtis's (1960) with the points
    t_k = (1 - cos(pi k / n)) / 2, k = 0..n, which in practice converges as fast as Gauss's. For
    functions with jumps, where nothing is gained by that, it is the trapezoidal one: its equal
    steps are the shortest where they are longest in the other.

    Parameters
    ----------
    n_steps : int
        Steps of the finest level. It is halved as long as the result is an integer and at least
        ``FEWEST_STEPS``.
    smooth : bool, default=True
        Whether the function has no jumps.
    nested : bool, default=True
        Whether there are coarser levels.

    Attributes
    ----------
    points : ndarray of shape (n_steps + 1,)
    weights : ndarray of shape (n_levels, n_steps + 1)
        By level, coarse to fine; zero for points that a level does not have.
    new_points : list of list of int
        By level, the points that the coarser levels lack.
    """

    def __init__(self, n_steps, *, smooth=True, nested=True):
        levels = [n_steps]
        while nested and levels[0] % 2 == 0 and levels[0] // 2 >= FEWEST_STEPS:
            levels.insert(0, levels[0] // 2)
        shares = np.arange(n_steps + 1) / n_steps
        self.points = (1 - np.cos(np.pi * shares)) / 2 if smooth else shares
        weights_of = clenshaw_curtis_weights if smooth else trapezoidal_weights
        self.weights = np.zeros((len(levels), n_steps + 1))
        self.new_points = []
        seen: set[int] = set()
        for weights, n in zip(self.weights, levels, strict=True):
            weights[:: n_steps // n] = weights_of(n)
            points = range(0, n_steps + 1, n_steps // n)
            self.new_points.append([k for k in points if k not in seen])
            seen.update(points)


def clenshaw_curtis_weights(n):
    """Return the weights of the n + 1 points of a level; their sum is one.

    As in Waldvogel, "Fast construction of the Fejer and Clenshaw-Curtis quadrature rules"
    (2006), equation 2.5.
    """
    k, j = np.arange(n + 1), np.arange(1, n // 2 + 1)
    b = np.where(2 * j == n, 1, 2) / (4 * j**2 - 1)
    weights = (1 - np.cos(2 * np.pi * np.outer(k, j) / n) @ b) / n
    weights[[0, -1]] /= 2
    return weights


def trapezoidal_weights(n):
    """Return the weights of the n + 1 points of a level; their sum is one."""
    weights = np.full(n + 1, 1 / n)
    weights[[0, -1]] /= 2
    return weights
