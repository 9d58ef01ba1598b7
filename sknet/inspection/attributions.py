"""The dependence of an output on the columns of X: gradients, and their integrals on a path.

A path leads from a baseline to a row. The rules of integration along it are nested: a coarse
rule comes first, and finer ones where needed.
"""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet._base import BaseNN, fitted
from sknet._input import Features
from sknet._model import Model
from sknet._requirements import check_count
from sknet.data.batches import Batches, Dataset, stack_rows
from sknet.inspection.outputs import (
    EmbeddedTable,
    OutputFunction,
    choose_by_row,
    is_smooth,
    read_baseline,
)
from sknet.nn.kernels import Array

#: The number of points of each path that are computed at once for a block of rows. When some
#: rows are done, the room that they leave is used for further points of the others.
AT_ONCE = 4
#: The smallest number of steps of the coarsest level.
FEWEST_STEPS = 4


def input_gradients(estimator: BaseNN, X: Any, *, target: Any = None) -> Array:
    """Return the gradient of an output with respect to the columns of X.

    The output is the ``decision_function`` of a classifier (for an ensemble, the logit of the
    members' mean probability) or the ``predict`` of a regressor. The backward pass of training
    continues through the encoding of X to the units of X.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted estimator.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows at which to differentiate.
    target : label or int, default=None
        The class whose logit is differentiated; or the label of a multi-label y, or the index
        of an output or quantile. By default it is the only output; with two classes, the second
        class; with more classes, the class that is predicted for each row.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Change of the output per unit of a numeric column, and per second of a date or a
        duration. It is the derivative by the number itself. The indicators of missing numbers
        and of heavy values and the levels of codes jump where they change, and are held: a
        column that is multiplied by a factor has entries that are divided by it. The entry of a
        missing number is zero, and so is that of a number that is cut (1e15 times the scale of
        its column from the median; without scaling, beyond 1e15). A category has no unit: its
        entry is the derivative in the direction from no level at all (zeros in place of the
        one-hot columns, or the mean vector in place of the embedding) to the level of the row,
        not divided by the length of this direction. float32 for float32 X, else float64; dense
        also for sparse X.

    Raises
    ------
    ValueError
        If X does not suit the table that the estimator was fitted to, if ``target`` is no class
        or output of the estimator, or if it is None although there are several outputs.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of sknet, but a pipeline, for example.

    See Also
    --------
    integrated_gradients : Attributions that add up to the output.

    References
    ----------
    Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks: Visualising Image
    Classification Models and Saliency Maps" (2014), section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import input_gradients
    >>> X, y = load_diabetes(return_X_y=True)
    >>> estimator = NNRegressor((16,), max_iter=30, learning_rate="cosine", random_state=0)
    >>> input_gradients(estimator.fit(X, y), X).shape
    (442, 10)
    """
    features, model = fitted(estimator)
    chosen = choose_by_row(model, target)

    def explain(table: EmbeddedTable, function: OutputFunction, X: Any) -> Array:
        return table.gradients(X, function.gradient)

    return _by_blocks(features, model, chosen, X, explain)


def integrated_gradients(
    estimator: BaseNN,
    X: Any,
    *,
    target: Any = None,
    baseline: Any = None,
    n_steps: int = 32,
    tol: float = 0.05,
) -> Array:
    """Return the contribution of each column to an output, compared with a baseline.

    The contribution of column i is (x_i - b_i) times the mean of the output's i-th partial
    derivative along the straight line from the baseline b to the row x. The contributions of
    all columns add up to f(x) - f(b). The line is straight in the embedded table: scaled
    numbers (with ``numeric_embedding``, their embeddings), indicators of missing values,
    one-hot columns, and vectors of embedded categories. The contribution of a column of X is
    the sum over all columns of the embedded table that come from it.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted estimator.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to explain.
    target : label or int, default=None
        The output to explain, as for :func:`input_gradients`.
    baseline : array-like of shape (n_features,) or (n_baselines, n_features), default=None
        The row to compare with, in the units of X. With several rows, the contributions and
        f(b) are means over the baselines. By default it is the typical row: the median of each
        number in training (zero if X is sparse), and missing categories.
    n_steps : int, default=32
        The largest number of steps of the path. Each costs a forward and a backward pass.
    tol : float, default=0.05
        The path of a row is tried with few steps first: n_steps / 2, n_steps / 4 and so on,
        but at least four. A row is done as soon as the sum of its contributions differs from
        f(x) - f(b) by at most ``tol`` times the range of the output along the path. Section 5
        of the paper names an accuracy of 5 %. With 0, all rows take all steps.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Contributions in the units of the output. float32 for float32 X, else float64; dense
        also for sparse X.

    Raises
    ------
    ValueError
        If X does not suit the table that the estimator was fitted to, if ``target`` is no class
        or output of the estimator, if it is None although there are several outputs, if the
        baseline has another number of columns, or if ``n_steps`` or ``tol`` is out of range.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of sknet, but a pipeline, for example.

    See Also
    --------
    input_gradients : The derivatives at the rows themselves.
    AttributionDisplay : A picture of the contributions.

    Notes
    -----
    If the derivative is continuous (with any activation but relu, leaky_relu and selu), the
    integral is computed by the rule of Clenshaw and Curtis, and eight steps give about six
    digits. If the derivative has jumps, the trapezoidal rule is used, whose error falls as
    1 / n_steps. The rest by which the contributions differ from f(x) - f(b) in the end is
    shared among them in proportion to their sizes, so that they always add up. To see how exact
    the contributions are, compare them with a result for more steps and ``tol=0``.

    References
    ----------
    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks" (2017), equation 1;
    completeness is proposition 1. Averaging over baselines: Erion, Janizek, Sturmfels, Lundberg
    and Lee, "Improving performance of deep learning models with axiomatic attribution priors
    and expected gradients" (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import integrated_gradients
    >>> X, y = load_diabetes(return_X_y=True)
    >>> estimator = NNRegressor((16,), max_iter=30, learning_rate="cosine", random_state=0)
    >>> _ = estimator.fit(X, y)
    >>> parts = integrated_gradients(estimator, X, baseline=X[0])
    >>> difference = estimator.predict(X) - estimator.predict(X[:1])
    >>> np.allclose(parts.sum(axis=1), difference, atol=1e-3)
    True
    """
    features, model = fitted(estimator)
    chosen = choose_by_row(model, target)
    check_count("n_steps", n_steps)
    if not isinstance(tol, Real) or not float(tol) >= 0:
        raise ValueError(f"tol must be a number >= 0, got {tol!r}.")
    baselines = read_baseline(features, model, baseline)
    rule = NestedRule(int(n_steps), smooth=is_smooth(model.network), nested=tol > 0)

    def explain(table: EmbeddedTable, function: OutputFunction, X: Any) -> Array:
        rows = table.embed(X)
        entered = function.enter(rows)
        factors = function.factors(entered)
        total = np.zeros(rows.shape)
        for start in table.embed(baselines):
            paths = Paths(function, rule, function.enter(start), entered, factors)
            gradients, rises = paths.integrate(tol)
            parts = function.leave(gradients) * (rows - start)
            total += shared(rises - parts.sum(axis=1, dtype=np.float64), parts)
        return table.sum_by_feature(total / len(baselines))

    return _by_blocks(features, model, chosen, X, explain, AT_ONCE)


def _by_blocks(
    features: Features,
    model: Model,
    chosen: NDArray[np.float64] | None,
    X: Any,
    explain: Callable[[EmbeddedTable, OutputFunction, Any], Array],
    at_once: int = 1,
) -> Array:
    """Return ``explain(table, function, X)`` for all rows, made block by block.

    Within ``explain``, a call of the function may have ``at_once`` times the rows of a block.
    """
    X = features.read(X)
    n_rows = model.block_rows(X)
    blocks = Batches(Dataset(X), max(1, n_rows // at_once), encode=None)
    table = EmbeddedTable(model, features.n_features)
    function = OutputFunction(model, n_rows, chosen)
    explained = ((explain(table, function, batch.X),) for batch in blocks)
    return stack_rows(explained, X.shape[0], X.dtype)[0]


def shared(gap: Array, parts: Array) -> Array:
    """Return the parts, to which the gap is added in proportion to their sizes.

    ``gap`` has an entry for each row of ``parts``.
    """
    sizes = np.abs(parts)
    total = sizes.sum(axis=1)
    share = np.divide(gap, total, out=np.zeros(gap.shape), where=total > 0)
    return parts + share[:, np.newaxis] * sizes


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
