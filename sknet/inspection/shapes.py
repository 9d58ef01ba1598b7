"""The curves and surfaces of an additive network, as arrays."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sknet._base import BaseNN, fitted
from sknet._input import Features
from sknet._model import Model
from sknet._target_checks import check_weight
from sknet.data.columns.calendar import seconds, times
from sknet.data.counts import check_count
from sknet.data.row_blocks import RowBlocks
from sknet.inspection.arguments import check_groups, check_percentiles
from sknet.inspection.terms import Floats, Terms

#: The largest number of bins of the histogram of a numeric column.
HISTOGRAM_BINS = 30


class ColumnValues(NamedTuple):
    """The values of one column of X: those that a curve is computed for, and their shares.

    Attributes
    ----------
    column : int
        The position of the column in X.
    name : str
        The name of the column, or "x0" for the first column of an array, and so on.
    is_category : bool
    grid : ndarray of shape (n_points,)
        Increasing numbers in the units of X, dates as datetime64 (what the clocks of the
        column's time zone show), durations as timedelta64, or the levels of a category.
    shares : ndarray of shape (n_points,) or (n_bins,)
        The share of the rows that each level of a category has, or each bin of a histogram.
    bin_edges : ndarray of shape (n_bins + 1,) or None
        The edges of the histogram of a column of numbers, dates or durations, of the type of
        the grid; None for a category.
    missing_share : float
        The share of the rows whose value is missing, or a level that training did not see.
    time_zone : str or None
        The time zone of dates that have one.
    """

    column: int
    name: str
    is_category: bool
    grid: NDArray[Any]
    shares: Floats
    bin_edges: NDArray[Any] | None
    missing_share: float
    time_zone: str | None = None


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
        The mean size of the contribution over the rows.
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
        The mean size of the contribution over the rows.
    """

    values: tuple[ColumnValues, ColumnValues]
    contributions: Floats
    importance: Floats


class ShapeFunctions:
    """An additive network as a constant, curves of single columns and surfaces of pairs.

    :func:`shape_functions` makes it.

    Attributes
    ----------
    intercept : ndarray of shape (n_outputs,)
        The constant.
    terms : list of tuple of int
        The columns of each term: of the groups of ``interaction_cst`` and, for "pairwise", of
        all pairs after them.
    importances : ndarray of shape (n_terms, n_outputs)
        The mean size of the contribution of each term over the rows.
    curves : list of ShapeCurve
        The terms of a single column, in the order of ``terms``.
    surfaces : list of ShapeSurface
        The terms of two columns, the most important first.
    """

    def __init__(
        self,
        features: Features,
        terms: Terms,
        importances: Floats,
        curves: list[ShapeCurve],
        surfaces: list[ShapeSurface],
    ) -> None:
        self._features = features
        self._terms = terms
        self.intercept: Floats = terms.intercept
        self.terms: list[tuple[int, ...]] = list(terms.columns)
        self.importances = importances
        self.curves = curves
        self.surfaces = surfaces

    def contributions(self, X: Any) -> Floats:
        """Return the contribution of each term to the prediction of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_terms, n_outputs)
            Their sum over the terms plus ``intercept`` is the prediction before the link.

        Raises
        ------
        ValueError
            If X does not suit the table that the estimator was fitted to.
        """
        return self._terms.of_all(in_memory(self._features.read(X)))


def shape_functions(
    estimator: BaseNN,
    X: Any,
    *,
    sample_weight: ArrayLike | None = None,
    n_points: int = 100,
    percentiles: tuple[float, float] = (0.005, 0.995),
    max_surfaces: int = 10,
) -> ShapeFunctions:
    """Return the functions of single columns and pairs that an additive network is the sum of.

    The network must have been fitted with ``interaction_cst``. Its prediction before the link
    is ``intercept`` plus the contributions of all terms: the ``decision_function`` of a
    classifier; of a regressor ``predict``, or the logarithm of it for the losses "poisson",
    "gamma" and "tweedie". For several quantiles it is the raw predictions of the network, in
    standard deviations of y: the lowest quantile, and the increments before their softplus. For
    the loss "normal" there are two columns for each output, side by side: the mean, and the
    logarithm of the standard deviation.

    Each contribution is zero on average over the rows of X, since a network keeps no data.
    With ``interaction_cst="pairwise"``, the term of a pair is the interaction alone: whatever
    the value of one of its columns, it is zero on average over the values that the other
    column has in X. The effect of one column alone belongs to the curve of this column. (The
    term of a pair is not quite zero on average over the rows if its columns depend on each
    other.) If groups are listed, nothing is moved: the term of a listed pair is the whole
    function of its two columns.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        An estimator that was fitted with ``interaction_cst``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows whose values stand for the distribution of each column, best the training rows.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of these rows. None gives each row a weight of one.
    n_points : int, default=100
        The number of values of a column of numbers, dates or durations for which its curve is
        computed: half of them evenly spaced, half of them quantiles; or all values, if there
        are not more. A category has a value for each level.
    percentiles : tuple of two float, default=(0.005, 0.995)
        The shares of the rows with lower numbers at both ends of a curve, between 0 and 1, so
        that far outliers do not squeeze the curve. (0, 1) includes all rows.
    max_surfaces : int, default=10
        The number of pairs for which a surface is computed: the most important ones.

    Returns
    -------
    ShapeFunctions

    Raises
    ------
    ValueError
        If the estimator was fitted without ``interaction_cst``, if X does not suit the table
        that it was fitted to, or if weights or numbers are out of range.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of sknet, but a pipeline, for example.

    See Also
    --------
    ShapeFunctionsDisplay : A picture of the curves and surfaces.

    References
    ----------
    Hastie and Tibshirani, "Generalized Additive Models" (1986). Lou, Caruana, Gehrke and
    Hooker, "Accurate Intelligible Models with Pairwise Interactions" (2013). Agarwal et al.,
    "Neural Additive Models: Interpretable Machine Learning with Neural Nets" (2021), section 3
    for the centring. Lengerich, Tan, Chang, Hooker and Caruana, "Purifying Interaction Effects
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
    features, model = fitted(estimator)
    check_groups(model)
    check_count("n_points", n_points, least=2)
    check_percentiles(percentiles)
    check_count("max_surfaces", max_surfaces, least=0)
    rows = in_memory(features.read(X))
    weights = np.ones(rows.shape[0])
    if sample_weight is not None:
        weights = check_weight(sample_weight, rows, "sample_weight")
        # The grids take all rows alike, and a weight of zero stands for no row.
        rows, weights = rows[weights > 0], weights[weights > 0]
    weights = weights / weights.sum()
    terms = Terms(model, rows, weights)
    importances = terms.importances(rows, weights)
    table = _Table(features.shown_names, model, rows, weights, int(n_points), percentiles)
    curves = _curves(terms, table, importances)
    surfaces = _surfaces(terms, table, importances, int(max_surfaces))
    return ShapeFunctions(features, terms, importances, curves, surfaces)


def in_memory(X: Any) -> Any:
    """Return rows as an array or a CSR matrix, also those that are read in blocks."""
    return X[: X.shape[0]] if isinstance(X, RowBlocks) else X


@dataclass(frozen=True)
class _Table:
    """The columns of X, and rows in which they have the values of their grids."""

    names: list[str]
    model: Model
    X: Any
    weights: Floats
    n_points: int
    percentiles: tuple[float, float]
    known: dict[int, ColumnValues] = field(default_factory=dict)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """The place of each column of X among those that are read."""
        return np.argsort(self.model.reader.order_)

    @cached_property
    def typical(self) -> NDArray[Any]:
        """The typical row of the training."""
        return self.model.encoder.typical_row()

    def values(self, column: int) -> ColumnValues:
        """Return the values of a column of X."""
        if column not in self.known:
            place = int(self.places[column])
            x = self.X[:, [place]]
            x = (x.toarray() if sparse.issparse(x) else x)[:, 0].astype(np.float64)
            missing = np.isnan(x)
            is_category = place >= self.model.encoder.n_read_
            describe = self._category if is_category else self._numbers
            grid, shares, edges = describe(place, x[~missing], self.weights[~missing])
            # Rounding may take the sum of all weights above one.
            missing_share = min(1.0, float(self.weights[missing].sum()))
            name = str(self.names[column])
            values = ColumnValues(column, name, is_category, grid, shares, edges, missing_share)
            self.known[column] = self._in_time(values)
        return self.known[column]

    def _in_time(self, values: ColumnValues) -> ColumnValues:
        """Return values as dates or durations, if the column has these instead of numbers."""
        all_times = self.model.reader.times_
        if values.column not in all_times or values.bin_edges is None:
            return values
        kind, zone = all_times[values.column]
        grid, edges = times(values.grid, kind), times(values.bin_edges, kind)
        return values._replace(grid=grid, bin_edges=edges, time_zone=zone)

    def _numbers(
        self, place: int, x: Floats, weights: Floats
    ) -> tuple[NDArray[Any], Floats, Floats]:
        """Return grid, shares and bin edges of a numeric column without missing values."""
        if not x.size:
            x, weights = self.typical[0, [place]].astype(np.float64), np.zeros(1)
        low, high = np.quantile(x, self.percentiles)
        inside = (x >= low) & (x <= high)
        if low < high:
            x, weights = x[inside], weights[inside]
        grid = np.unique(x)
        bins: Any = HISTOGRAM_BINS
        if 1 < grid.size <= HISTOGRAM_BINS:
            # A bin for each number: equal bins would leave gaps between them.
            middles = (grid[1:] + grid[:-1]) / 2
            bins = np.concatenate(
                [2 * grid[:1] - middles[:1], middles, 2 * grid[-1:] - middles[-1:]]
            )
        if grid.size > self.n_points:
            half = self.n_points // 2
            even = np.linspace(grid[0], grid[-1], self.n_points - half)
            inner = np.quantile(x, np.linspace(0, 1, half + 2)[1:-1])
            grid = np.unique(np.concatenate([even, inner]))
        shares, edges = np.histogram(x, bins, weights=weights)
        return grid, shares, edges

    def _category(
        self, place: int, x: Floats, weights: Floats
    ) -> tuple[NDArray[Any], Floats, None]:
        """Return levels and shares of a category without missing values."""
        levels = self.model.reader.levels_[place - self.model.encoder.n_read_]
        shares = np.bincount(x.astype(np.intp), weights, minlength=len(levels))
        return levels, shares.astype(np.float64), None

    def encoded_grid(self, column: int) -> Floats:
        """Return the grid of a column as numbers that the model reads."""
        values = self.values(column)
        if column in self.model.reader.times_:
            return seconds(values.grid)
        grid = np.arange(len(values.grid)) if values.is_category else values.grid
        return grid.astype(np.float64)

    def rows(self, values_of: dict[int, Floats], n_missing: int = 0) -> Floats:
        """Return rows with the given values of some columns, and typical ones of the others.

        Columns with fewer values than others have missing values in the last rows. In the last
        ``n_missing`` rows, the values of all these columns are missing.
        """
        n_rows = max(map(len, values_of.values())) + n_missing
        rows = np.repeat(self.typical.astype(self.X.dtype), n_rows, axis=0)
        for column, values in values_of.items():
            rows[:, self.places[column]] = np.nan
            rows[: len(values), self.places[column]] = values
        return rows


def _curves(terms: Terms, table: _Table, importances: Floats) -> list[ShapeCurve]:
    """Return the terms of a single column."""
    single = [(i, *one) for i, one in enumerate(terms.groups) if len(one) == 1]
    if not single:
        return []
    # All columns walk through their grids at a time, and then are missing: those of different
    # groups do not depend on each other's values.
    grids = {column: table.encoded_grid(column) for _, column in single}
    added = terms.of_groups(table.rows(grids, n_missing=1))
    return [
        ShapeCurve(
            table.values(column), added[: len(grids[column]), i], added[-1, i], importances[i]
        )
        for i, column in single
    ]


def _surfaces(
    terms: Terms, table: _Table, importances: Floats, max_surfaces: int
) -> list[ShapeSurface]:
    """Return the most important terms of two columns."""
    pairs = [i for i, one in enumerate(terms.columns) if len(one) == 2]
    pairs.sort(key=lambda i: -importances[i].max())
    surfaces = []
    for i in pairs[:max_surfaces]:
        first, second = terms.columns[i]
        grids = {column: table.encoded_grid(column) for column in (first, second)}
        if terms.has_pairs:
            heights = _interaction(terms, table, grids)
        else:
            heights = _function_of_two(terms, table, grids, i)
        values = table.values(first), table.values(second)
        surfaces.append(ShapeSurface(values, heights, importances[i]))
    return surfaces


def _interaction(terms: Terms, table: _Table, grids: dict[int, Floats]) -> Floats:
    """Return the product of factors of two columns, for all pairs of their values."""
    factors = terms.factors(table.rows(grids))
    first, second = (
        factors[: len(grid), :, terms.groups.index((column,))] for column, grid in grids.items()
    )
    return terms.of_pair(first, second)


def _function_of_two(
    terms: Terms, table: _Table, grids: dict[int, Floats], group: int
) -> Floats:
    """Return the function of a group of two columns, for all pairs of their values."""
    mesh = np.meshgrid(*grids.values(), indexing="ij")
    values_of = {column: one.ravel() for column, one in zip(grids, mesh, strict=True)}
    added = terms.of_groups(table.rows(values_of))[:, group]
    return added.reshape(*mesh[0].shape, -1)
