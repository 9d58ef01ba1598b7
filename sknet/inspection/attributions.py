"""How an output depends on the columns of X: gradients, and their integrals along a path."""

from collections.abc import Callable
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from sknet._base import BaseNN, fitted
from sknet._requirements import check_count
from sknet.data.batches import Batches, Dataset, stack_rows
from sknet.inspection.outputs import (
    EmbeddedTable,
    OutputFunction,
    choose_by_row,
    is_smooth,
    read_baseline,
)
from sknet.inspection.paths import NestedRule, Paths
from sknet.nn.kernels import Array

#: The number of points of each path that are computed at once for a block of rows. When some
#: rows are done, the remaining rows use their room for more points.
AT_ONCE = 4
#: A function of a table, an output and rows. It returns an array with one row for each of these
#: rows.
Explain: TypeAlias = Callable[[EmbeddedTable, OutputFunction, Any], Array]


def input_gradients(estimator: BaseNN, X: Any, *, target: Any = None) -> Array:
    """Return the gradient of an output with respect to the columns of X.

    The output is a classifier's ``decision_function`` (for an ensemble without
    ``interaction_cst``, the logit of the members' mean probability) or a regressor's
    ``predict``. The backward pass of training computes the gradient, which the chain rule
    carries on through the encoding to the units of X.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted estimator.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows at which to differentiate.
    target : label or int, default=None
        The class whose logit is differentiated, the label of a multi-label y, or the index of
        an output or quantile. By default, it is the only output; with two classes, the second
        class; with more classes, the most probable class of each row.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        The derivative of the output: per unit of a numeric column, and per second of a date or
        a duration. Some encoded columns change in jumps, and are held constant: indicators of
        missing numbers and of heavy values (which occur in far more rows than the values around
        them do), and the levels of codes (numbers that serve as labels). The entry is zero for
        a missing number, and for a number that is clipped because it is farther from the center
        than 1e15 times the scale of its column (without scaling, because it is beyond 1e15). A
        category has no unit. Its entry is the derivative along the line from no level (zeros in
        the one-hot columns, or the mean vector of the embedding) to the level of the row, not
        divided by the length of this line. The array is always dense, and float32 for float32
        X, else float64.

    Raises
    ------
    ValueError
        If X does not match the table that the estimator was fitted to, if ``target`` is not a
        class or an output of the estimator, or if it is None although there are several
        outputs.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If ``estimator`` is not an sknet estimator (for example, a pipeline).

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

    def explain(table: EmbeddedTable, function: OutputFunction, X: Any) -> Array:
        return table.gradients(X, function.gradient)

    return _by_blocks(estimator, X, target, explain)


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
    all columns add up to f(x) - f(b). The line is straight in the embedded table, which has
    scaled numbers (with ``numeric_embedding``, their embeddings), indicators of missing values,
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
        f(b) are means over the baselines. By default, it is the typical row: the training
        median of each numeric column (zero if X is sparse), with all categories missing.
    n_steps : int, default=32
        The maximum number of steps of a path. Each step costs a forward and a backward pass.
    tol : float, default=0.05
        Each row starts with few steps, and doubles them until the sum of its contributions
        differs from f(x) - f(b) by at most ``tol`` times the range of the output along the
        path. With ``n_steps=32``, the numbers of steps are 4, 8, 16 and 32. In general, the
        first one is ``n_steps``, halved as long as it remains an integer of at least 4. The
        default follows section 5 of Sundararajan et al. With 0, all rows take all steps.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Contributions in the units of the output. The array is always dense, and float32 for
        float32 X, else float64.

    Raises
    ------
    ValueError
        If X does not match the table that the estimator was fitted to, if ``target`` is not a
        class or an output of the estimator, if it is None although there are several outputs,
        if the baseline has a different number of columns, or if ``n_steps`` or ``tol`` is out
        of range.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If ``estimator`` is not an sknet estimator (for example, a pipeline).

    See Also
    --------
    input_gradients : The derivatives at the rows themselves.
    AttributionDisplay : A display of the contributions.

    Notes
    -----
    If the derivative is continuous (with any activation except relu, leaky_relu and selu), the
    Clenshaw-Curtis rule computes the integral, and eight steps give about six digits. If the
    derivative has jumps, the trapezoidal rule is used, and the error falls as 1 / n_steps. In a
    row unlike all training rows, a principal component may be at its limit, where the
    derivative jumps as well: with eight steps, errors of single contributions were up to 17 %.
    A remaining difference from f(x) - f(b) is distributed over the contributions in proportion
    to their sizes, so that they always add up. To check the contributions, compare them with
    those of more steps and ``tol=0``.

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

    return _by_blocks(estimator, X, target, explain, AT_ONCE)


def _by_blocks(
    estimator: BaseNN, X: Any, target: Any, explain: Explain, at_once: int = 1
) -> Array:
    """Return ``explain(table, function, X)`` for all rows, computed block by block.

    Within ``explain``, a call of the function may have ``at_once`` times as many rows as a
    block.
    """
    features, model = fitted(estimator)
    chosen = choose_by_row(model, target)
    X = features.read(X)
    n_rows = model.predictor.block_rows(X)
    blocks = Batches(Dataset(X), max(1, n_rows // at_once), encode=None)
    table = EmbeddedTable(model)
    function = OutputFunction(model, n_rows, chosen)
    explained = ((explain(table, function, batch.X),) for batch in blocks)
    return stack_rows(explained, X.shape[0], X.dtype)[0]


def shared(gap: Array, parts: Array) -> Array:
    """Return the parts of each row, with its gap added in proportion to their sizes.

    ``gap`` has an entry for each row of ``parts``.
    """
    sizes = np.abs(parts)
    total = sizes.sum(axis=1)
    share = np.divide(gap, total, out=np.zeros(gap.shape), where=total > 0)
    return parts + share[:, np.newaxis] * sizes
