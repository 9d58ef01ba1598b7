"""The curves and surfaces of an additive network, as arrays."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sknet._base import BaseNN, fitted
from sknet._input import Features
from sknet._model import Model
from sknet._requirements import check_count
from sknet._target_checks import check_weight
from sknet.data.frames import declared_order, wrapped
from sknet.data.row_blocks import RowBlocks
from sknet.inspection.outputs import check_one_target
from sknet.inspection.terms import ColumnGrids, ColumnValues, Floats, Terms


class ShapeCurve(NamedTuple):
    """The contribution of one column, as a function of its value.

    Attributes
    ----------
    values : ColumnValues
        The values, and how often they occur.
    contributions : ndarray of shape (n_points, n_outputs)
        The contribution of each value of the grid.
    missing : ndarray of shape (n_outputs,)
        The contribution of a missing value.
    importance : ndarray of shape (n_outputs,)
        The mean absolute contribution over the rows.
    """

    values: ColumnValues
    contributions: Floats
    missing: Floats
    importance: Floats


class ShapeSurface(NamedTuple):
    """The contribution of two columns together, as a function of both values.

    Attributes
    ----------
    values : tuple of two ColumnValues
    contributions : ndarray of shape (n_points_of_first, n_points_of_second, n_outputs)
    importance : ndarray of shape (n_outputs,)
        The mean absolute contribution over the rows.
    """

    values: tuple[ColumnValues, ColumnValues]
    contributions: Floats
    importance: Floats


@dataclass(eq=False, repr=False)
class ShapeFunctions:
    """An additive network as a constant, curves of single columns and surfaces of pairs.

    Returned by :func:`shape_functions`.

    Attributes
    ----------
    intercept : ndarray of shape (n_outputs,)
        The constant.
    terms : list of tuple of int
        The columns of each term: first the groups of ``interaction_cst`` and then, for
        "pairwise", all pairs.
    importances : ndarray of shape (n_terms, n_outputs)
        The mean absolute contribution of each term over the rows.
    curves : list of ShapeCurve
        The terms of a single column, in the order of ``terms``.
    surfaces : list of ShapeSurface
        Up to ``max_surfaces`` terms of two columns, the most important first.
    """

    intercept: Floats
    terms: list[tuple[int, ...]]
    importances: Floats
    curves: list[ShapeCurve]
    surfaces: list[ShapeSurface]
    _features: Features
    _computed: Terms

    def contributions(self, X: Any) -> Floats:
        """Return the contribution of each term to the prediction of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_terms, n_outputs)
            Their sum over the terms, plus ``intercept``, is the prediction before the inverse
            link.

        Raises
        ------
        ValueError
            If X does not match the table that the estimator was fitted to.
        """
        return self._computed.of_all(in_memory(self._features.read(X)))


def shape_functions(
    estimator: BaseNN,
    X: Any,
    *,
    sample_weight: ArrayLike | None = None,
    n_points: int = 100,
    percentiles: tuple[float, float] = (0.005, 0.995),
    max_surfaces: int = 10,
) -> ShapeFunctions:
    """Return the functions of columns and pairs of columns that an additive network adds up.

    The network must have been fitted with ``interaction_cst``. Its prediction before the
    inverse link is ``intercept`` plus the contributions of all terms. For a classifier, this
    sum is ``decision_function``, or with ``loss="ordinal"`` the score that all classes share.
    For a regressor, it is ``predict``, or the logarithm of ``predict`` for the losses
    "poisson", "gamma" and "tweedie". For several quantiles, it is the raw predictions of the
    network, in units of the standardized y: the lowest quantile, and the increments before the
    softplus function. For the loss "normal", each output has two adjacent columns: the mean,
    and the logarithm of the standard deviation.

    Each contribution averages to zero over the rows of X. With ``interaction_cst="pairwise"``,
    the term of a pair is the interaction alone: for each value of one column, it averages to
    zero over the values that the other column has in X. The effect of one column alone belongs
    to the curve of that column. (If the columns of a pair depend on each other, the average of
    its term over the rows is not quite zero.) If groups are listed, nothing is moved between
    terms: the term of a listed pair is the whole function of its two columns.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        An estimator that was fitted with ``interaction_cst``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows that represent the distribution of each column, ideally the training rows.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of these rows. None gives each row a weight of one.
    n_points : int, default=100
        The number of points on the curve of a column of numbers, dates or durations. Half of
        them are evenly spaced, and half are quantiles. If the column has no more distinct
        values than this within ``percentiles``, all of these are used. A category has a point
        for each level.
    percentiles : tuple of two float, default=(0.005, 0.995)
        The quantiles of a column, between 0 and 1, at which its curve begins and ends. They
        keep outliers from squeezing the curve. (0, 1) includes all rows.
    max_surfaces : int, default=10
        The maximum number of surfaces, which are computed for the most important pairs.

    Returns
    -------
    ShapeFunctions

    Raises
    ------
    ValueError
        If the estimator was fitted without ``interaction_cst`` or to several targets, if X does
        not match the table that it was fitted to, or if weights or numbers are out of range.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If ``estimator`` is not an sknet estimator (for example, a pipeline).

    See Also
    --------
    ShapeFunctionsDisplay : A display of the curves and surfaces.

    References
    ----------
    Hastie and Tibshirani, "Generalized Additive Models" (1986). Lou, Caruana, Gehrke and
    Hooker, "Accurate Intelligible Models with Pairwise Interactions" (2013). Agarwal et al.,
    "Neural Additive Models: Interpretable Machine Learning with Neural Nets" (2021), section 3
    for the centering. Lengerich, Tan, Chang, Hooker and Caruana, "Purifying Interaction Effects
    with the Functional ANOVA" (2020), for terms of pairs without effects of single columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import shape_functions
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> network = NNRegressor(interaction_cst="no_interactions", max_iter=20, random_state=0)
    >>> shapes = shape_functions(network.fit(X, y), X)
    >>> [curve.values.name for curve in shapes.curves[:3]]
    ['age', 'sex', 'bmi']
    >>> total = shapes.intercept + shapes.contributions(X).sum(axis=1)
    >>> np.allclose(total[:, 0], network.predict(X), rtol=1e-4)
    True
    """
    return compute_shapes(
        estimator, X, None, sample_weight, n_points, percentiles, max_surfaces
    )


def compute_shapes(
    estimator: BaseNN,
    X: Any,
    factors: Floats | None,
    sample_weight: ArrayLike | None,
    n_points: int,
    percentiles: tuple[float, float],
    max_surfaces: int,
) -> ShapeFunctions:
    """Return shape functions, with the surfaces that matter most for a sum of the outputs.

    ``factors`` has the factor of each output in this sum. If it is None, surfaces are ranked by
    the output for which each matters most.
    """
    features, model = fitted(estimator)
    check_one_target(model)
    _check_groups(model)
    check_count("n_points", n_points, least=2)
    _check_percentiles(percentiles)
    check_count("max_surfaces", max_surfaces, least=0)
    rows = in_memory(features.read(X))
    weights = np.ones(rows.shape[0])
    if sample_weight is not None:
        weights = check_weight(sample_weight, rows, "sample_weight")
        # The grids ignore the weights, so rows of zero weight are left out.
        rows, weights = rows[weights > 0], weights[weights > 0]
    weights = weights / weights.sum()
    terms = Terms(model, rows, weights)
    importances = terms.importances(rows, weights)
    given = wrapped(X)
    orders = {i: declared_order(given.column(i)) for i in range(len(given.columns))}
    table = ColumnGrids(
        features.shown_names, model, rows, weights, n_points, percentiles, orders
    )
    curves = _curves(terms, table, importances)
    sizes = importances.max(axis=1) if factors is None else importances @ np.abs(factors)
    surfaces = _surfaces(terms, table, importances, sizes, max_surfaces)
    return ShapeFunctions(
        terms.intercept, terms.columns, importances, curves, surfaces, features, terms
    )


def _check_groups(model: Model) -> None:
    """Check that a model is a sum of functions of groups of columns.

    Raises
    ------
    ValueError
        If it was fitted without ``interaction_cst``.
    """
    if model.settings.groups is None:
        raise ValueError(
            "The network has no shape functions, which need interaction_cst. Set "
            "interaction_cst='no_interactions' or 'pairwise', or list groups of columns, and "
            "fit again."
        )


def _check_percentiles(percentiles: Any) -> None:
    """Check the percentiles between which curves are computed.

    Raises
    ------
    ValueError
        If they are not two increasing numbers in [0, 1].
    """
    numbers = np.ndim(percentiles) == 1 and all(isinstance(one, Real) for one in percentiles)
    if not (numbers and len(percentiles) == 2 and 0 <= percentiles[0] < percentiles[1] <= 1):
        raise ValueError(
            f"percentiles must be two increasing numbers in [0, 1], got {percentiles!r}."
        )


def in_memory(X: Any) -> Any:
    """Return rows as an array or a CSR matrix, even if they are read in blocks."""
    return X[: X.shape[0]] if isinstance(X, RowBlocks) else X


def _curves(terms: Terms, table: ColumnGrids, importances: Floats) -> list[ShapeCurve]:
    """Return the terms of a single column."""
    single = [i for i, group in enumerate(terms.groups) if len(group) == 1]
    # All columns step through their grids at once, and are missing in the last row: terms of
    # different groups do not depend on each other's values.
    grids = {column: table.encoded_grid(column) for i in single for column in terms.groups[i]}
    added = terms.of_groups(table.rows(grids, n_missing=1))
    return [
        ShapeCurve(table.values(column), added[: len(grid), i], added[-1, i], importances[i])
        for i, (column, grid) in zip(single, grids.items(), strict=True)
    ]


def _surfaces(
    terms: Terms, table: ColumnGrids, importances: Floats, sizes: Floats, max_surfaces: int
) -> list[ShapeSurface]:
    """Return the terms of two columns that have the largest sizes."""
    pairs = [i for i, one in enumerate(terms.columns) if len(one) == 2]
    pairs.sort(key=lambda i: -sizes[i])
    surfaces = []
    for i in pairs[:max_surfaces]:
        first, second = terms.columns[i]
        values = table.values(first), table.values(second)
        surfaces.append(ShapeSurface(values, _heights(terms, table, i), importances[i]))
    return surfaces


def _heights(terms: Terms, table: ColumnGrids, i: int) -> Floats:
    """Return the term of two columns at position ``i``, for all pairs of their values."""
    grids = {column: table.encoded_grid(column) for column in terms.columns[i]}
    if terms.has_pairs:
        factors = terms.factors(table.rows(grids))
        first, second = (
            factors[: len(grid), :, terms.groups.index((column,))]
            for column, grid in grids.items()
        )
        return terms.of_pair(first, second)
    mesh = np.meshgrid(*grids.values(), indexing="ij")
    values_of = {column: one.ravel() for column, one in zip(grids, mesh, strict=True)}
    return terms.of_groups(table.rows(values_of))[:, i].reshape(*mesh[0].shape, -1)
