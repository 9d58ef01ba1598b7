"""Integrals of the gradient of an output along paths from a baseline to rows.

The rules of integration are nested: a coarse rule comes first, and finer ones where needed.
"""

import numpy as np
from numpy.typing import NDArray

from sknet.inspection.outputs import OutputFunction
from sknet.nn.kernels import Array

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


class Paths:
    """Straight lines from one baseline to each of several rows, along which to integrate.

    Parameters
    ----------
    function : OutputFunction
        The function whose gradient is integrated.
    rule : NestedRule
    start : ndarray of shape (n_inputs,)
        The baseline, as :meth:`OutputFunction.enter` returns it.
    ends : ndarray of shape (n_rows, n_inputs)
        The rows, as :meth:`OutputFunction.enter` returns them.
    factors : ndarray of shape (n_rows, n_outputs)
        The factors with which the outputs of each row are summed.
    """

    def __init__(
        self,
        function: OutputFunction,
        rule: NestedRule,
        start: Array,
        ends: Array,
        factors: NDArray[np.float64],
    ) -> None:
        self._function = function
        self._rule = rule
        self._start = start
        # The following arrays have an entry for each row that is not done yet.
        self._directions = ends - start
        self._factors = factors
        self._rows = np.arange(ends.shape[0])
        # At each point of the rule: the output, and its derivative along the path.
        self._outputs, self._slopes = np.zeros((2, rule.points.size, self._rows.size))
        # The mean gradients by each level that is still to come, whose weights differ.
        self._means = self._contributions_of_start()

    def integrate(self, tol: float) -> tuple[Array, Array]:
        """Return the mean gradient on each path, and the rise of the output along it."""
        means, rises = np.empty_like(self._directions), np.empty(self._rows.size)
        for level, points in enumerate(self._rule.new_points):
            for some in self._portions(points):
                self._means += self._contributions(some, self._rule.weights[level:, some])
            rise = self._outputs[-1] - self._outputs[0]
            done = self._is_done(level, rise, tol)
            rows = self._rows[done]
            means[rows], rises[rows] = self._means[0][done], rise[done]
            if done.all():
                break
            self._leave(done)
        return means, rises

    def _contributions_of_start(self) -> Array:
        """Return the terms of the start in the means of all levels.

        All rows have the same start, so the gradient of each output is computed once there.
        """
        each = np.eye(self._factors.shape[1])
        starts = np.tile(self._start, (len(each), 1))
        outputs, jacobian = self._function.value_and_gradient(starts, each)
        gradients = self._factors.astype(jacobian.dtype) @ jacobian
        self._outputs[0] = self._factors @ outputs
        self._slopes[0] = np.einsum("ij,ij->i", gradients, self._directions)
        weights = self._rule.weights[:, 0].astype(gradients.dtype)
        return np.multiply.outer(weights, gradients)

    def _portions(self, points: list[int]) -> list[list[int]]:
        """Return the points except the start, as many at a time as the function takes."""
        points = [k for k in points if k > 0]
        size = max(1, len(self._function.inputs) // self._rows.size)
        return [points[i : i + size] for i in range(0, len(points), size)]

    def _contributions(self, points: list[int], weights: NDArray[np.float64]) -> Array:
        """Return the terms of some points in the means of the levels with these weights."""
        inputs = self._at(points)
        factors = np.tile(self._factors, (len(points), 1))
        outputs, gradients = self._function.value_and_gradient(inputs, factors)
        shape = self._directions.shape
        self._outputs[points] = outputs.reshape(len(points), -1)
        self._slopes[points] = np.einsum(
            "kij,ij->ki", gradients.reshape(-1, *shape), self._directions
        )
        terms = np.dot(weights.astype(gradients.dtype), gradients.reshape(len(points), -1))
        return terms.reshape(-1, *shape)

    def _at(self, points: list[int]) -> Array:
        """Return the inputs of all rows at the first point, then at the next one, and so on.

        The result is a work array of the function.
        """
        n_rows, n_inputs = self._directions.shape
        inputs = self._function.inputs[: len(points) * n_rows]
        shares = self._rule.points[points].astype(inputs.dtype)
        np.multiply.outer(shares, self._directions, out=inputs.reshape(-1, n_rows, n_inputs))
        inputs += self._start
        return inputs

    def _is_done(self, level: int, rises: Array, tol: float) -> NDArray[np.bool_]:
        """Return for each row whether its contributions add up well enough.

        At the last level, all rows are done.
        """
        if level + 1 == len(self._rule.weights):
            return np.ones(rises.size, dtype=bool)
        weights = self._rule.weights[level]
        gaps = rises - weights @ self._slopes
        return np.abs(gaps) <= tol * np.ptp(self._outputs[weights > 0], axis=0)

    def _leave(self, done: NDArray[np.bool_]) -> None:
        """Drop the rows that are done, and the level that is complete."""
        self._means = self._means[1:, ~done]
        self._directions = self._directions[~done]
        self._factors = self._factors[~done]
        self._rows = self._rows[~done]
        self._outputs, self._slopes = self._outputs[:, ~done], self._slopes[:, ~done]
