"""Integrals of the gradient of an output along paths from a baseline to rows.

The integration rules are nested: a coarse rule comes first, and finer ones follow if needed.
"""

from dataclasses import InitVar, dataclass

import numpy as np
from numpy.typing import NDArray

from sknet.inspection.outputs import OutputFunction
from sknet.nn.kernels import Array

#: The smallest number of steps to which halving may lead.
FEWEST_STEPS = 4


class NestedRule:
    """An integration rule on [0, 1] with ``n_steps`` steps, with half as many, and so on.

    The points of a level are among the points of the next finer level, and all levels have both
    ends of the interval. For smooth functions, the rule is that of Clenshaw and Curtis (1960)
    with the points t_k = (1 - cos(pi k / n)) / 2, k = 0..n, which in practice converges as fast
    as a Gauss rule. It gains nothing if the function has jumps. The trapezoidal rule is then
    used instead: its steps are equal, so its longest step is shorter.

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
        shifted = (1 - np.cos(np.pi * shares)) / 2
        self.points: NDArray[np.float64] = shifted if smooth else shares
        self.weights: NDArray[np.float64] = np.zeros((len(levels), n_steps + 1))
        self.new_points: list[list[int]] = []
        for weights, n in zip(self.weights, levels, strict=True):
            step = n_steps // n
            weights[::step] = level_weights(n, smooth=smooth)
            points = list(range(0, n_steps + 1, step))
            # Every second point belongs to the previous level, if there is one.
            self.new_points.append(points[1::2] if self.new_points else points)


def level_weights(n: int, *, smooth: bool) -> NDArray[np.float64]:
    """Return the weights of the n + 1 points of a level; they sum to one.

    For smooth functions, they follow Waldvogel, "Fast construction of the Fejer and
    Clenshaw-Curtis quadrature rules" (2006), equation 2.5. Otherwise they are those of the
    trapezoidal rule.
    """
    weights = np.full(n + 1, 1 / n)
    if smooth:
        k, j = np.arange(n + 1), np.arange(1, n // 2 + 1)
        b = np.where(2 * j == n, 1, 2) / (4 * j**2 - 1)
        weights = (1 - np.cos(2 * np.pi * np.outer(k, j) / n) @ b) / n
    weights[[0, -1]] /= 2
    return weights


@dataclass(eq=False)
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
        The factors for summing the outputs of each row.
    """

    function: OutputFunction
    rule: NestedRule
    start: Array
    ends: InitVar[Array]
    factors: NDArray[np.float64]

    def __post_init__(self, ends: Array) -> None:
        # Like the factors, these arrays have an entry for each row that is not done yet.
        self._directions = ends - self.start
        self._rows = np.arange(ends.shape[0])
        # At each point of the rule: the output, and its derivative along the path.
        self._outputs, self._slopes = np.zeros((2, self.rule.points.size, ends.shape[0]))
        # The mean gradients for each level that is still to come, since levels' weights differ.
        self._means = self._contributions_of_start()

    def integrate(self, tol: float) -> tuple[Array, Array]:
        """Return the mean gradient along each path, and the rise of the output."""
        means, rises = np.empty_like(self._directions), np.empty(self._rows.size)
        for level, points in enumerate(self.rule.new_points):
            for some in self._portions(points):
                self._means += self._contributions(some, self.rule.weights[level:, some])
            rise = self._outputs[-1] - self._outputs[0]
            done = self._is_done(level, rise, tol)
            rows = self._rows[done]
            means[rows], rises[rows] = self._means[0][done], rise[done]
            if done.all():
                break
            self._leave(done)
        return means, rises

    def _contributions_of_start(self) -> Array:
        """Return what the start adds to the means of all levels.

        All rows have the same start, so the gradient of each output at the start is computed
        only once.
        """
        each = np.eye(self.factors.shape[1])
        starts = np.tile(self.start, (len(each), 1))
        outputs, jacobian = self.function.value_and_gradient(starts, each)
        gradients = self.factors.astype(jacobian.dtype) @ jacobian
        self._outputs[0] = self.factors @ outputs
        self._slopes[0] = np.einsum("ij,ij->i", gradients, self._directions)
        return np.multiply.outer(self.rule.weights[:, 0].astype(gradients.dtype), gradients)

    def _portions(self, points: list[int]) -> list[list[int]]:
        """Return the points except the start, in parts that the function takes at once."""
        points = [k for k in points if k > 0]
        size = max(1, len(self.function.inputs) // self._rows.size)
        return [points[i : i + size] for i in range(0, len(points), size)]

    def _contributions(self, points: list[int], weights: NDArray[np.float64]) -> Array:
        """Return what some points add to the means of the levels with these weights."""
        inputs = self._at(points)
        factors = np.tile(self.factors, (len(points), 1))
        outputs, gradients = self.function.value_and_gradient(inputs, factors)
        gradients = gradients.reshape(-1, *self._directions.shape)
        self._outputs[points] = outputs.reshape(len(points), -1)
        self._slopes[points] = np.einsum("kij,ij->ki", gradients, self._directions)
        return np.tensordot(weights.astype(gradients.dtype), gradients, axes=1)

    def _at(self, points: list[int]) -> Array:
        """Return the inputs of all rows at the first point, then at the next one, and so on.

        The result is a work array of the function.
        """
        n_rows, n_inputs = self._directions.shape
        inputs = self.function.inputs[: len(points) * n_rows]
        shares = self.rule.points[points].astype(inputs.dtype)
        np.multiply.outer(shares, self._directions, out=inputs.reshape(-1, n_rows, n_inputs))
        inputs += self.start
        return inputs

    def _is_done(self, level: int, rises: Array, tol: float) -> NDArray[np.bool_]:
        """Return, for each row, whether its contributions add up well enough.

        At the last level, all rows are done.
        """
        if level + 1 == len(self.rule.weights):
            return np.ones(rises.size, dtype=bool)
        weights = self.rule.weights[level]
        gaps = rises - weights @ self._slopes
        return np.abs(gaps) <= tol * np.ptp(self._outputs[weights > 0], axis=0)

    def _leave(self, done: NDArray[np.bool_]) -> None:
        """Drop the rows that are done, and the level that is complete."""
        self._means = self._means[1:, ~done]
        self._directions = self._directions[~done]
        self.factors = self.factors[~done]
        self._rows = self._rows[~done]
        self._outputs, self._slopes = self._outputs[:, ~done], self._slopes[:, ~done]
