"""Which columns an output depends on: gradients, and their integrals along a path."""

from functools import partial

import numpy as np

from sknet._batching import block_rows
from sknet._validation import check_features
from sknet.data.batches import Batches, Dataset, stack_rows
from sknet.data.counts import check_count
from sknet.inspection.checks import (
    check_baseline,
    check_network,
    check_tol,
    choose_output,
)
from sknet.inspection.differentiation import EmbeddedTable, OutputFunction
from sknet.inspection.quadrature import NestedRule


def input_gradients(estimator, X, *, target=None):
    """Return the gradient of an output by the columns of X.

    The function differentiated is ``decision_function`` of a classifier (with several members,
    of their mean probability) or ``predict`` of a regressor, by the backward pass of training
    that goes on through the encoding of X, to X's own units.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted network.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows at which to differentiate.
    target : label or int, default=None
        A class, whose logit is meant, or the index of an output, a label or a quantile. By
        default the only output; of two classes the second; of more, the class predicted for
        each row.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Change of the output per unit of a column. For a category there is no such thing: it is
        the derivative of its level's fading in, by the share of the way from no level at all
        (zeros in place of its one-hot columns, the mean vector in place of its embedding). The
        same holds for the indicator of a missing number, if there is one. float32 for float32
        X, else float64; dense also for sparse X.

    Raises
    ------
    ValueError
        If X is not what the estimator was fitted to, or there is no such target.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not one of sknet, but a pipeline, for example.

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
    >>> network = NNRegressor((16,), max_iter=30, learning_rate="cosine", random_state=0)
    >>> _ = network.fit(X, y)
    >>> input_gradients(network, X).shape
    (442, 10)
    """
    check_network(estimator)
    chosen = choose_output(estimator, target)
    return _by_blocks(estimator, X, partial(_gradients, chosen))


def _gradients(chosen, table, function, X):
    """Return the gradients of a block of rows."""

    def gradient(rows):
        return function.value_and_gradient(rows, _factors(chosen, function, rows))[1]

    return table.gradients(X, gradient)


def integrated_gradients(estimator, X, *, target=None, baseline=None, n_steps=32, tol=0.05):
    """Return what each column contributes to an output, compared with a baseline.

    The contribution of column i is (x_i - b_i) times the mean of the output's i-th partial
    derivative along the straight line from the baseline b to the row x; the contributions of
    all columns add up to f(x) - f(b). The line is straight in the embedded table: scaled
    numbers (with ``numeric_embedding``, their learned features), indicators of missing values,
    one-hot columns and vectors of embedded categories. A column's contribution is the sum over
    all of these that stem from it.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted network.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to explain.
    target : label or int, default=None
        As for :func:`input_gradients`.
    baseline : array-like of shape (n_features,) or (n_baselines, n_features), default=None
        A row in X's units to compare with, or several, over which is averaged; then f(b) is
        the mean over them. By default the typical row: the median of each number in training
        (zero if X is sparse), and categories that are missing.
    n_steps : int, default=32
        Steps of the path at the most, each of which costs a forward and a backward pass.
    tol : float, default=0.05
        A row is done before, with n_steps / 2, n_steps / 4, ... steps (from four on), if its
        contributions add up to within ``tol`` times the range of the output along its path; 5 %
        is the accuracy that the paper names in section 5. With 0 all rows take all steps.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Contributions in units of the output. float32 for float32 X, else float64; dense also
        for sparse X.

    Raises
    ------
    ValueError
        If X is not what the estimator was fitted to, there is no such target, or the baseline
        has another shape.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is not one of sknet, but a pipeline, for example.

    See Also
    --------
    input_gradients : The derivatives at the rows themselves.
    AttributionDisplay : Shows the result.

    Notes
    -----
    Where the derivative has no jumps (any activation but relu, leaky_relu and selu) eight steps
    give some six digits. With jumps the error falls as 1 / n_steps. What the contributions lack
    of f(x) - f(b) in the end is shared in proportion to their sizes, so they always add up; how
    exact each of them is can be seen from a result with more steps and ``tol=0``.

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
    >>> network = NNRegressor((16,), max_iter=30, learning_rate="cosine", random_state=0)
    >>> _ = network.fit(X, y)
    >>> parts = integrated_gradients(network, X, baseline=X[0])
    >>> difference = network.predict(X) - network.predict(X[:1])
    >>> np.allclose(parts.sum(axis=1), difference)
    True
    """
    check_network(estimator)
    chosen = choose_output(estimator, target)
    check_count("n_steps", n_steps)
    check_tol(tol)
    baselines = check_baseline(estimator, baseline)
    explain = partial(_integrals, chosen, baselines, NestedRule(int(n_steps)), tol)
    return _by_blocks(estimator, X, explain)


def _integrals(chosen, baselines, rule, tol, table, function, X):
    """Return the integrated gradients of a block of rows, the mean over the baselines."""
    rows = table.embed(X)
    factors = _factors(chosen, function, rows)
    total = np.zeros(rows.shape)
    for start in table.embed(baselines):
        total += Paths(function, start, rows, factors).integrate(rule, tol)
    return table.fold(total / len(baselines))


def _by_blocks(estimator, X, explain):
    """Return ``explain(table, function, X)`` of all rows, block by block."""
    X = check_features(estimator, X)
    blocks = Batches(Dataset(X), block_rows(estimator, X), encode=None)
    table = EmbeddedTable(estimator)
    function = OutputFunction(estimator, blocks.batch_size)
    explained = ((explain(table, function, batch.X),) for batch in blocks)
    return stack_rows(explained, X.shape[0], X.dtype)[0]


def _factors(chosen, function, rows):
    """Return the factor of each output in what is differentiated, for each row."""
    if chosen is None:
        outputs = function(rows)
        return np.eye(outputs.shape[1])[outputs.argmax(axis=1)]
    return np.broadcast_to(chosen, (rows.shape[0], chosen.size))


class Paths:
    """Straight lines from one baseline to each of the rows, along which to integrate.

    Rows that are done leave; ``_rows`` are the positions of the others.
    """

    def __init__(self, function, start, rows, factors):
        self._function = function
        self._start = start
        self._differences = rows - start
        self._factors = factors
        self._rows = np.arange(rows.shape[0])
        # Outputs at the start and at the end, and the lowest and the highest on the way.
        self._ends = np.empty((2, rows.shape[0]))
        self._range = np.array([[np.inf], [-np.inf]]).repeat(rows.shape[0], axis=1)

    def integrate(self, rule, tol):
        """Return the differences times the mean gradients, an array like the rows."""
        result = np.empty(self._differences.shape)
        # One mean gradient by level, each of which weighs the points in its own way.
        means = np.zeros((len(rule.weights), *result.shape), self._differences.dtype)
        for level, points in enumerate(rule.new_points):
            for k in points:
                gradient = self._gradient(rule.points[k])
                for mean, weight in zip(means[level:], rule.weights[level:, k], strict=True):
                    mean += self._differences.dtype.type(weight) * gradient
            parts = means[level] * self._differences
            gap = self._gap(parts)
            done = np.abs(gap) <= tol * (self._range[1] - self._range[0])
            done |= level + 1 == len(rule.new_points)
            result[self._rows[done]] = shared(gap[done], parts[done])
            if done.all():
                break
            means = means[:, ~done]
            self._leave(done)
        return result

    def _gradient(self, t):
        """Return the gradient at the share ``t`` of the way, a work array."""
        points = self._start + self._differences.dtype.type(t) * self._differences
        values, gradient = self._function.value_and_gradient(points, self._factors)
        if t in (0, 1):
            self._ends[int(t)] = values
        np.minimum(self._range[0], values, out=self._range[0])
        np.maximum(self._range[1], values, out=self._range[1])
        return gradient

    def _gap(self, parts):
        """Return what the sum of the parts lacks of the difference of the outputs."""
        return self._ends[1] - self._ends[0] - parts.sum(axis=1, dtype=np.float64)

    def _leave(self, done):
        self._differences = self._differences[~done]
        self._factors = self._factors[~done]
        self._rows = self._rows[~done]
        self._ends, self._range = self._ends[:, ~done], self._range[:, ~done]


def shared(gap, parts):
    """Return the parts with what their sum lacks shared in proportion to their sizes."""
    sizes = np.abs(parts)
    total = sizes.sum(axis=1)
    share = np.divide(gap, total, out=np.zeros(gap.shape), where=total > 0)
    return parts + share[:, np.newaxis] * sizes
