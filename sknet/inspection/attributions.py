"""Which columns an output depends on: gradients, and their integrals along a path."""

from functools import partial

import numpy as np

from sknet._base import fitted
from sknet.data.batches import Batches, Dataset, stack_rows
from sknet.data.counts import check_count
from sknet.inspection.arguments import check_tol, choose_output, read_baseline
from sknet.inspection.differentiation import EmbeddedTable, OutputFunction, is_smooth
from sknet.inspection.quadrature import NestedRule

#: Points of all paths of a block that are computed at once; more where rows have left.
AT_ONCE = 4


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
    features, model = fitted(estimator)
    chosen = choose_output(model, target)
    return _by_blocks(features, model, X, partial(_gradients, chosen))


def _gradients(chosen, table, function, X):
    """Return the gradients of a block of rows."""

    def gradient(rows):
        entered = function.enter(rows)
        factors = _factors(chosen, function, entered)
        return function.leave(function.value_and_gradient(entered, factors)[1])

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
    Where the derivative has no jumps (any activation but relu, leaky_relu and selu) the rule is
    Clenshaw and Curtis's, and eight steps give some six digits. With jumps it is the
    trapezoidal rule, whose error falls as 1 / n_steps. What the contributions lack of
    f(x) - f(b) in the end is shared in proportion to their sizes, so they always add up; how
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
    features, model = fitted(estimator)
    chosen = choose_output(model, target)
    check_count("n_steps", n_steps)
    check_tol(tol)
    baselines = read_baseline(features, model, baseline)
    rule = NestedRule(int(n_steps), smooth=is_smooth(model.network), nested=tol > 0)
    explain = partial(_integrals, chosen, baselines, rule, tol)
    return _by_blocks(features, model, X, explain, AT_ONCE)


def _integrals(chosen, baselines, rule, tol, table, function, X):
    """Return the integrated gradients of a block of rows, the mean over the baselines."""
    rows = table.embed(X)
    entered = function.enter(rows)
    factors = _factors(chosen, function, entered)
    total = np.zeros(rows.shape)
    for start in table.embed(baselines):
        paths = Paths(function, rule, function.enter(start), entered, factors)
        gradients, rises = paths.integrate(tol)
        parts = function.leave(gradients) * (rows - start)
        total += shared(rises - parts.sum(axis=1, dtype=np.float64), parts)
    return table.fold(total / len(baselines))


def _by_blocks(features, model, X, explain, at_once=1):
    """Return ``explain(table, function, X)`` of all rows, block by block.

    The function takes the rows of a block ``at_once`` times, at several points.
    """
    X = features.read(X)
    n_rows = model.block_rows(X)
    blocks = Batches(Dataset(X), max(1, n_rows // at_once), encode=None)
    table = EmbeddedTable(model, features.n_features)
    function = OutputFunction(model, n_rows)
    explained = ((explain(table, function, batch.X),) for batch in blocks)
    return stack_rows(explained, X.shape[0], X.dtype)[0]


def _factors(chosen, function, entered):
    """Return the factor of each output in what is differentiated, for each row."""
    if chosen is None:
        outputs = function(entered.copy())
        return np.eye(outputs.shape[1])[outputs.argmax(axis=1)]
    return np.broadcast_to(chosen, (entered.shape[0], chosen.size))


class Paths:
    """Straight lines from one baseline to each of the rows, along which to integrate.

    They run between what baseline and rows enter the function as. Rows that are done leave;
    ``_rows`` are the positions of the others.
    """

    def __init__(self, function, rule, start, ends, factors):
        self._function = function
        self._rule = rule
        self._start = start
        self._directions = ends - start
        self._factors = factors
        self._rows = np.arange(ends.shape[0])
        # At the points of the rule: the output, and its derivative along the path.
        self._outputs, self._slopes = np.zeros((2, rule.points.size, self._rows.size))
        # One mean gradient by level, each of which weighs the points in its own way.
        self._means = self._contributions_of_start()

    def integrate(self, tol):
        """Return the mean gradient on each path, and how far the output rises along it."""
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

    def _contributions_of_start(self):
        """Return what the start contributes to the means: there all rows are one."""
        each = np.eye(self._factors.shape[1])
        starts = np.tile(self._start, (len(each), 1))
        outputs, jacobian = self._function.value_and_gradient(starts, each)
        gradients = self._factors.astype(jacobian.dtype) @ jacobian
        self._outputs[0] = self._factors @ outputs
        self._slopes[0] = np.einsum("ij,ij->i", gradients, self._directions)
        weights = self._rule.weights[:, 0].astype(gradients.dtype)
        return np.multiply.outer(weights, gradients)

    def _portions(self, points):
        """Return the points but for the start, as many at a time as the function takes."""
        points = [k for k in points if k > 0]
        size = max(1, len(self._function.inputs) // self._rows.size)
        return [points[i : i + size] for i in range(0, len(points), size)]

    def _contributions(self, points, weights):
        """Return what some points contribute to the means of the levels with these weights."""
        inputs = self._at(points)
        factors = np.tile(self._factors, (len(points), 1))
        outputs, gradients = self._function.value_and_gradient(inputs, factors)
        shape = self._directions.shape
        self._outputs[points] = outputs.reshape(len(points), -1)
        self._slopes[points] = np.einsum(
            "kij,ij->ki", gradients.reshape(-1, *shape), self._directions
        )
        weights = weights.astype(gradients.dtype)
        return np.dot(weights, gradients.reshape(len(points), -1)).reshape(-1, *shape)

    def _at(self, points):
        """Return the inputs of all rows at some points, one after another, a work array."""
        n_rows, n_inputs = self._directions.shape
        inputs = self._function.inputs[: len(points) * n_rows]
        shares = self._rule.points[points].astype(inputs.dtype)
        np.multiply.outer(shares, self._directions, out=inputs.reshape(-1, n_rows, n_inputs))
        inputs += self._start
        return inputs

    def _is_done(self, level, rises, tol):
        """Whether the parts add up to within ``tol`` times the output's range, or must do."""
        if level + 1 == len(self._rule.weights):
            return np.ones(rises.size, dtype=bool)
        weights = self._rule.weights[level]
        gaps = rises - weights @ self._slopes
        return np.abs(gaps) <= tol * np.ptp(self._outputs[weights > 0], axis=0)

    def _leave(self, done):
        self._means = self._means[1:, ~done]
        self._directions = self._directions[~done]
        self._factors = self._factors[~done]
        self._rows = self._rows[~done]
        self._outputs, self._slopes = self._outputs[:, ~done], self._slopes[:, ~done]


def shared(gap, parts):
    """Return the parts with what their sum lacks shared in proportion to their sizes."""
    sizes = np.abs(parts)
    total = sizes.sum(axis=1)
    share = np.divide(gap, total, out=np.zeros(gap.shape), where=total > 0)
    return parts + share[:, np.newaxis] * sizes
