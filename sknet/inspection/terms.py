"""The terms of a model of groups of columns, and the values at which they are computed.

The terms add up to the prediction before the inverse link.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet._model import Model
from sknet._prediction import WORKSPACE_ELEMENTS
from sknet.data.columns.times import seconds, times
from sknet.nn.ensembles import EnsembleHead
from sknet.nn.groups import PairwiseHead

Floats = NDArray[np.float64]
#: The values of a column for which a curve is computed, the shares of its levels or bins, and
#: the edges of the bins (None for a category).
Histogram: TypeAlias = tuple[NDArray[Any], Floats, Any]

#: The maximum number of bins in the histogram of a numeric column.
HISTOGRAM_BINS = 30


class Terms:
    """A fitted model as a sum of terms that are zero on average over some rows.

    The last layer of a model of groups of columns is linear in the outputs h_g of each group,
    and possibly also in products of two groups' factors, which are functions of h_g. So the
    terms follow from h_g and the factors minus their means over the rows, without any
    approximation. With products, the term of a column includes the products of its factors with
    the mean factors of the other columns. The term of a pair is the rest: the product of the
    centered factors, whose mean over either column is zero, whatever the value of the other.

    Parameters
    ----------
    model : Model
        A model that was fitted with ``interaction_cst``.
    X : ndarray or CSR matrix
        The rows, as ``Features.read`` returns them, over which terms are centered.
    sample_weight : ndarray of float64 of shape (n_rows,)
        The weights of the rows.

    Attributes
    ----------
    groups : tuple of tuple of int
        The columns of X of each group of the network.
    columns : list of tuple of int
        The columns of X of each term: those of the groups, then those of the pairs.
    has_pairs : bool
        Whether there are terms of pairs of groups.
    intercept : ndarray of shape (n_outputs,)
        The constant, before the inverse link.
    """

    def __init__(self, model: Model, X: Any, sample_weight: Floats) -> None:
        groups = model.settings.groups
        assert groups is not None
        factor, shift = _units(model)
        weight, bias, strength = _last_parameters(model, len(groups))
        self._weight, self._strength = weight * factor, strength * factor
        self.has_pairs: bool = strength.shape[1] > 0
        self._model = model
        self.groups = groups
        self.columns: list[tuple[int, ...]] = list(groups)
        if self.has_pairs:
            self.columns += [(*a, *b) for a, b in combinations(groups, 2)]
        self._mean, self._mean_factors = self._means(X, sample_weight)
        # A factor adds its products with the mean factors of all other columns. They are summed
        # without a subtraction, so that the sums keep their signs.
        others = np.einsum("gh,mhk->mgk", 1 - np.eye(len(groups)), self._mean_factors)
        self._of_factors = np.einsum("mgk,mko->mgko", others, self._strength)
        of_groups = np.einsum("mgw,mgwo->o", self._mean, self._weight)
        of_pairs = np.einsum("mgk,mgko->o", self._mean_factors, self._of_factors) / 2
        self.intercept: Floats = of_groups + of_pairs + bias * factor + shift

    def _means(self, X: Any, sample_weight: Floats) -> tuple[Floats, Floats]:
        """Return the means of the last layer's inputs and factors, without the axis of rows."""
        sum_hidden, sum_factors = np.zeros(()), np.zeros(())
        start, total = 0, sample_weight.sum()
        for hidden, factors in self._last_layer(X):
            weights = sample_weight[start : start + len(hidden)]
            sum_hidden = sum_hidden + np.tensordot(weights, hidden, axes=1)
            sum_factors = sum_factors + np.tensordot(weights, factors, axes=1)
            start += len(weights)
        return sum_hidden / total, sum_factors / total

    def _last_layer(self, X: Any) -> Iterator[tuple[Floats, Floats]]:
        """Yield blocks of inputs of the last layer, and of its factors.

        The inputs have shape (rows, members, groups, width), and the factors have shape (rows,
        members, groups, factors). Without pairs, there are no factors.
        """
        layer, shape = self._model.network.head, self._weight.shape[:3]
        for workspace, n_rows in self._model.predictor.forward_blocks(X):
            hidden = workspace.outputs[-2][:n_rows].reshape(n_rows, *shape)
            factors = hidden[..., :0]
            if isinstance(layer, PairwiseHead):
                factors = layer.factors(workspace.buffers[-1])[:n_rows]
            yield hidden.astype(np.float64), factors.astype(np.float64)

    def of_groups(self, X: Any) -> Floats:
        """Return the terms of the groups: an array (rows, groups, outputs)."""
        return np.concatenate([self._of_groups(*arrays) for arrays in self._last_layer(X)])

    def _of_groups(self, hidden: Floats, factors: Floats) -> Floats:
        """Return the terms of the groups, given the last layer's inputs and factors."""
        centered = hidden - self._mean
        terms = np.einsum("nmgw,mgwo->ngo", centered, self._weight, optimize=True)
        if self.has_pairs:
            centered = factors - self._mean_factors
            terms += np.einsum("nmgk,mgko->ngo", centered, self._of_factors, optimize=True)
        return self._model.predictor.settled(terms)

    def factors(self, X: Any) -> Floats:
        """Return the centered factors: an array (rows, members, groups, factors)."""
        return np.concatenate([one for _, one in self._last_layer(X)]) - self._mean_factors

    def of_pair(self, first: Floats, second: Floats) -> Floats:
        """Return the term of a pair of groups, for all pairs of rows of their factors.

        Parameters
        ----------
        first, second : ndarray of shape (n, members, factors) and (m, members, factors)

        Returns
        -------
        ndarray of shape (n, m, n_raw)
        """
        return np.einsum("imk,jmk,mko->ijo", first, second, self._strength, optimize=True)

    def of_all(self, X: Any) -> Floats:
        """Return all terms in the order of ``columns``: an array (rows, terms, outputs)."""
        if not self.has_pairs:
            return self.of_groups(X)
        return np.concatenate([self.of_groups(X), self._of_pairs(self.factors(X))], axis=1)

    def _of_pairs(self, factors: Floats) -> Floats:
        """Return the terms of all pairs for rows of factors: (rows, pairs, outputs)."""
        n_rows, _, n_groups, _ = factors.shape
        first, second = np.triu_indices(n_groups, 1)
        pairs = np.empty((n_rows, first.size, self.intercept.size))
        right = factors.transpose(0, 1, 3, 2).reshape(n_rows, -1, n_groups)
        for output in range(self.intercept.size):
            left = factors * self._strength[:, np.newaxis, :, output]
            products = left.transpose(0, 2, 1, 3).reshape(n_rows, n_groups, -1) @ right
            pairs[:, :, output] = products[:, first, second]
        return pairs

    def importances(self, X: Any, sample_weight: Floats) -> Floats:
        """Return the mean absolute value of each term: an array (terms, outputs).

        The weights must sum to one.
        """
        step = max(1, WORKSPACE_ELEMENTS // (len(self.columns) * self.intercept.size))
        total = np.zeros((len(self.columns), self.intercept.size))
        for start in range(0, X.shape[0], step):
            block = slice(start, start + step)
            total += np.tensordot(sample_weight[block], np.abs(self.of_all(X[block])), axes=1)
        return total


def n_varying(model: Model) -> int:
    """Return the number of raw predictions that differ from row to row."""
    return model.n_raw - model.loss.link.n_constant(model.n_raw)


def _last_parameters(model: Model, n_groups: int) -> tuple[Floats, Floats, Floats]:
    """Return the parameters of the last layer, divided by the number of members.

    Returns
    -------
    weight : ndarray of shape (n_members, n_groups, width, n_raw)
        Without hidden layers, the members share the inputs, and count as one.
    bias : ndarray of shape (n_raw,)
    strength : ndarray of shape (n_members, n_factors, n_raw)
        The weights of the products of two groups' factors; without pairs, there are none.
    """
    network, n_raw = model.network, n_varying(model)
    views, layer, n_members = network.views(model.params)[-1], network.head, 1
    weight = views.weight.astype(np.float64)
    if isinstance(layer, EnsembleHead):
        n_members = network.n_members
        weight = weight.reshape(n_members, n_groups, -1, n_raw) / n_members
    else:
        weight = weight.reshape(1, n_groups, -1, network.n_members, n_raw).mean(axis=3)
    bias = views.bias.reshape(network.n_members, n_raw).mean(axis=0, dtype=np.float64)
    strength = np.zeros((n_members, 0, n_raw))
    if isinstance(layer, PairwiseHead):
        strength = views.strength.astype(np.float64) * (layer.pair_scale / n_members)
    return weight, bias, strength


def _units(model: Model) -> tuple[Floats, Floats]:
    """Return the factor and the shift from raw predictions to y before the inverse link.

    The raw predictions of a classifier, and those of several quantiles, stay as they are.
    """
    target, changed = model.target, None
    if model.numeric_y:
        ones = np.ones_like(target.scale_)
        changed = model.loss.link.rescaling(target.scale_, ones, target.mean_)
    factor, shift = changed or (np.ones(n_varying(model)), np.zeros(n_varying(model)))
    units = model.loss.link.units
    return np.multiply(factor, units, dtype=float), np.multiply(shift, units, dtype=float)


class ColumnValues(NamedTuple):
    """The values of one column of X for which a curve is computed, and their frequencies.

    Attributes
    ----------
    column : int
        The position of the column in X.
    name : str
        The name of the column, or "x0" for the first column of an array, and so on.
    is_category : bool
    grid : ndarray of shape (n_points,)
        Increasing numbers in the units of X, dates as datetime64 (clock times in the time zone
        of the column), durations as timedelta64, or the levels of a category. An ordered
        category dtype determines their order; otherwise, they are sorted.
    shares : ndarray of shape (n_points,) or (n_bins,)
        The share of the rows in each level of a category, or in each bin of a histogram.
    bin_edges : ndarray of shape (n_bins + 1,) or None
        The edges of the histogram of a column of numbers, dates or durations, in the dtype of
        the grid; None for a category.
    missing_share : float
        The share of the rows with a missing value, or with a level that training did not see.
    time_zone : str or None
        The time zone of dates that have one.
    logarithmic : bool
        Whether the numbers are positive and the network also has their normal scores. The
        evenly spaced points of the grid and the edges of the bins then have equal ratios
        instead of equal distances.
    """

    column: int
    name: str
    is_category: bool
    grid: NDArray[Any]
    shares: Floats
    bin_edges: NDArray[Any] | None
    missing_share: float
    time_zone: str | None = None
    logarithmic: bool = False


@dataclass(frozen=True)
class ColumnGrids:
    """The columns of X, and rows in which they have the values of their grids.

    ``orders`` has the levels of ordered categories, in their order, by column.
    """

    names: list[str]
    model: Model
    X: Any
    weights: Floats
    n_points: int
    percentiles: tuple[float, float]
    orders: Mapping[int, Sequence[Any]] = field(default_factory=dict)
    known: dict[int, ColumnValues] = field(default_factory=dict)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """The place of each column of X in the order in which the model reads them."""
        return np.argsort(self.model.reader.order_)

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
            kind, zone = self.model.reader.times_.get(column, (None, None))
            if kind is not None:
                grid, edges = times(grid, kind), times(edges, kind)
            # Rounding may push the sum of all weights above one.
            missing_share = min(1.0, float(self.weights[missing].sum()))
            name = str(self.names[column])
            log = self._is_logarithmic(place, grid)
            self.known[column] = ColumnValues(
                column, name, is_category, grid, shares, edges, missing_share, zone, log
            )
        return self.known[column]

    def _numbers(self, place: int, x: Floats, weights: Floats) -> Histogram:
        """Return the grid, shares and bin edges of a numeric column without missing values."""
        if not x.size:
            typical_row = self.model.encoder.typical_row()
            x, weights = typical_row[0, [place]].astype(np.float64), np.zeros(1)
        low, high = np.quantile(x, self.percentiles)
        inside = (x >= low) & (x <= high)
        if low < high:
            x, weights = x[inside], weights[inside]
        grid = np.unique(x)
        logarithmic = self._is_logarithmic(place, grid)
        spread = np.geomspace if logarithmic else np.linspace
        bins: Any = HISTOGRAM_BINS
        if logarithmic:
            bins = spread(grid[0], grid[-1], HISTOGRAM_BINS + 1)
        elif 1 < grid.size <= HISTOGRAM_BINS:
            # A bin for each number: equal bins would leave gaps between them.
            middles = (grid[1:] + grid[:-1]) / 2
            bins = [2 * grid[0] - middles[0], *middles, 2 * grid[-1] - middles[-1]]
        if grid.size > self.n_points:
            # Both ends are among the points that are evenly spaced.
            n_inner = min(self.n_points // 2, self.n_points - 2)
            even = spread(grid[0], grid[-1], self.n_points - n_inner)
            inner = np.quantile(x, np.linspace(0, 1, n_inner + 2)[1:-1])
            grid = np.unique(np.concatenate([even, inner]))
        return grid, *np.histogram(x, bins, weights=weights)

    def _is_logarithmic(self, place: int, grid: NDArray[Any]) -> bool:
        """Return whether a column has normal scores, and values that are positive numbers."""
        is_time = int(self.model.reader.order_[place]) in self.model.reader.times_
        is_scored = place in self.model.encoder.scored_
        return is_scored and not is_time and bool(0 < grid[0] < grid[-1])

    def _category(self, place: int, x: Floats, weights: Floats) -> Histogram:
        """Return the levels and shares of a category without missing values."""
        levels = self._levels(place)
        shares = np.bincount(x.astype(np.intp), weights, minlength=len(levels))
        declared = self.orders.get(int(self.model.reader.order_[place]), ())
        places = {level: i for i, level in enumerate(declared)}
        # Levels of other rows, which the dtype of X does not declare, come last.
        order = sorted(range(len(levels)), key=lambda i: places.get(levels[i], len(places)))
        return levels[order], shares[order].astype(np.float64), None

    def _levels(self, place: int) -> NDArray[Any]:
        """Return the levels of a category by their numbers."""
        return self.model.reader.levels_[place - self.model.encoder.n_read_]

    def encoded_grid(self, column: int) -> Floats:
        """Return the grid of a column as numbers that the model reads."""
        values = self.values(column)
        if column in self.model.reader.times_:
            return seconds(values.grid)
        if values.is_category:
            levels = self._levels(int(self.places[column]))
            numbers = {level: i for i, level in enumerate(levels)}
            return np.array([numbers[level] for level in values.grid], dtype=np.float64)
        return values.grid.astype(np.float64)

    def rows(self, values_of: dict[int, Floats], n_missing: int = 0) -> Floats:
        """Return rows with the given values in some columns, and typical values in the others.

        Columns with fewer values than others have missing values in the last rows. In the last
        ``n_missing`` rows, the values of all these columns are missing.
        """
        n_rows = max(map(len, values_of.values()), default=0) + n_missing
        rows = np.repeat(self.model.encoder.typical_row().astype(self.X.dtype), n_rows, axis=0)
        for column, values in values_of.items():
            rows[:, self.places[column]] = np.nan
            rows[: len(values), self.places[column]] = values
        return rows
