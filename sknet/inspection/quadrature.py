"""Nested rules of integration along a path: a coarse rule first, finer ones where needed."""

import numpy as np
from numpy.typing import NDArray

#: The smallest number of steps of the coarsest level.
FEWEST_STEPS = 4


class NestedRule:
    """A rule of integration on [0, 1] with ``n_steps`` steps, with half as many, and so on.

    The points of a level are among the points of the next finer level, and all levels have both
    ends of the interval. For smooth functions the rule is that of Clenshaw and Curtis (1960)
    with the points t_k = (1 - cos(pi k / n)) / 2, k = 0..n, which in practice converges as fast
    as a Gauss rule. It gains nothing if the function has jumps. Then the rule is the
    trapezoidal rule, whose longest step is shorter: all its steps are equal.

    Parameters
    ----------
    n_steps : int
        Steps of the finest level. The number is halved as long as the result is an integer and
        at least ``FEWEST_STEPS``.
    smooth : bool, default=True
        Whether the function has no jumps.
    nested : bool, default=True
        Whether there are coarser levels.

    Attributes
    ----------
    points : ndarray of shape (n_steps + 1,)
        The points of the finest level, increasing.
    weights : ndarray of shape (n_levels, n_steps + 1)
        The weights of the points for each level, coarse to fine. They are zero for points that
        a level does not have.
    new_points : list of list of int
        For each level, the positions of the points that the coarser levels lack.
    """

    def __init__(self, n_steps: int, *, smooth: bool = True, nested: bool = True) -> None:
        levels = [n_steps]
        while nested and levels[0] % 2 == 0 and levels[0] // 2 >= FEWEST_STEPS:
            levels.insert(0, levels[0] // 2)
        shares = np.arange(n_steps + 1) / n_steps
        self.points: NDArray[np.float64] = (
            (1 - np.cos(np.pi * shares)) / 2 if smooth else shares
        )
        weights_of = clenshaw_curtis_weights if smooth else trapezoidal_weights
        self.weights: NDArray[np.float64] = np.zeros((len(levels), n_steps + 1))
        self.new_points: list[list[int]] = []
        seen: set[int] = set()
        for weights, n in zip(self.weights, levels, strict=True):
            weights[:: n_steps // n] = weights_of(n)
            points = range(0, n_steps + 1, n_steps // n)
            self.new_points.append([k for k in points if k not in seen])
            seen.update(points)


def clenshaw_curtis_weights(n: int) -> NDArray[np.float64]:
    """Return the weights of the n + 1 points of a level, whose sum is one.

    Waldvogel, "Fast construction of the Fejer and Clenshaw-Curtis quadrature rules" (2006),
    equation 2.5.
    """
    k, j = np.arange(n + 1), np.arange(1, n // 2 + 1)
    b = np.where(2 * j == n, 1, 2) / (4 * j**2 - 1)
    weights = (1 - np.cos(2 * np.pi * np.outer(k, j) / n) @ b) / n
    weights[[0, -1]] /= 2
    return weights


def trapezoidal_weights(n: int) -> NDArray[np.float64]:
    """Return the weights of the n + 1 points of a level, whose sum is one."""
    weights = np.full(n + 1, 1 / n)
    weights[[0, -1]] /= 2
    return weights
