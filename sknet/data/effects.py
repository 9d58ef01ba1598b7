"""How much the levels of a column say about y: the variances within levels and between them.

Their ratio is the strength of the penalty on the effects of a category's levels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet.data.draws import same_positions
from sknet.data.weights import Floats

#: The maximum number of rows that a prior is worth: levels that alone say nothing about y may
#: be informative together with other columns.
MOST_PRIOR_ROWS = 100.0

#: The maximum number of entries of y that the effects are estimated from. It limits the memory
#: and the time that many outputs take.
MOST_NUMBERS = 2**23

#: The variance of slopes counts only if it exceeds its standard deviation under chance by this
#: factor. The limit is high, since there are many columns, and y may vary more within some
#: levels than within others.
LEAST_SLOPE_DEVIATIONS = 10

#: The maximum number of products of y with numeric columns that variances are estimated from.
MOST_PRODUCTS = 2**22

#: If the standard deviation of a numeric column within a level is at most this fraction of its
#: standard deviation over all rows, the column varies within the level only by rounding.
NEGLIGIBLE = 1e-6


class RowsByLevel:
    """Rows by their level: sums, means and variances of columns within each level.

    Parameters
    ----------
    levels : ndarray of shape (n_rows,)
        Numbers of levels, or the values themselves.
    weights : ndarray of shape (n_rows,)
        How often each row counts.

    Attributes
    ----------
    sizes : ndarray of shape (n_found,)
        How many rows count for each level that occurs, in the order of the levels.
    n_rows : float
        How many rows count.
    """

    def __init__(self, levels: NDArray[Any], weights: Floats) -> None:
        self.weights = weights
        found, self._of_row = np.unique(levels, return_inverse=True)
        n_rows = levels.size
        # Its product with columns is their weighted sums within the levels.
        self._summing_matrix = sparse.csc_array(
            (weights, self._of_row, np.arange(n_rows + 1)), shape=(found.size, n_rows)
        )
        self.sizes: Floats = np.bincount(self._of_row, weights).astype(np.float64)
        self.n_rows: float = float(self.sizes.sum())

    def centered(self, values: Floats) -> Floats:
        """Return the deviations of columns from their means within the levels."""
        return values - self.means(values)[self._of_row]

    def standardized(self, values: Floats) -> Floats:
        """Return deviations within levels divided by their standard deviations; 0 if tiny."""
        of_all = np.square(values - np.average(values, axis=0, weights=self.weights))
        negligible = NEGLIGIBLE**2 * np.average(of_all, axis=0, weights=self.weights)
        values = self.centered(values)
        of_levels = self.means(np.square(values))
        of_levels[of_levels <= negligible] = np.inf
        return values / np.sqrt(of_levels)[self._of_row]

    def variances(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the variances of columns within levels, and of the effects of the levels.

        The third result is the standard deviation that the second one has if there is no
        effect.
        """
        values = values - np.average(values, axis=0, weights=self.weights)
        n_others = self.sizes.size - 1
        usual_size = (self.n_rows - np.square(self.sizes).sum() / self.n_rows) / n_others
        of_means = self.sizes @ np.square(self.means(values))
        # Rounding may make the difference of nearly equal sums negative.
        rest = np.maximum(self.weights @ np.square(values) - of_means, 0)
        within = rest / (self.n_rows - self.sizes.size)
        between = (of_means / n_others - within) / usual_size
        # The variance of the square of a mean of c numbers, times c^2, over s^4.
        of_squares = 2 + self.excess_kurtosis(values) * np.mean(1 / self.sizes)
        chance = within * np.sqrt(of_squares / n_others) / usual_size
        return within, between, chance

    def excess_kurtosis(self, values: Floats) -> Floats:
        """Return the excess kurtosis of columns of mean zero; 0 if it is negative."""
        squares = np.square(values)
        second, fourth = self.weights @ squares, self.weights @ np.square(squares)
        least = np.finfo(float).tiny
        return np.maximum(self.n_rows * fourth / np.maximum(second**2, least) - 3, 0)

    def means(self, values: Floats) -> Floats:
        """Return the means of columns within the levels."""
        return (self._summing_matrix @ values) / self.sizes[:, np.newaxis]


def without_gaps(Y: Floats) -> Floats:
    """Return targets in which the mean of each column replaces its missing values."""
    gaps = np.isnan(Y)
    if not gaps.any():
        return Y
    means = np.where(gaps, 0, Y).sum(axis=0) / np.maximum((~gaps).sum(axis=0), 1)
    return np.where(gaps, means, Y)


def some_rows(n_rows: int, n_products: int) -> NDArray[np.intp]:
    """Return rows with at most ``MOST_PRODUCTS`` products, given the number in each row."""
    return same_positions(n_rows, max(1, MOST_PRODUCTS // max(1, n_products)))


def prior_rows(
    levels: NDArray[np.intp],
    Y: Floats,
    counts: Floats | None = None,
    *,
    labels: bool,
    numbers: Floats | None = None,
    rows: NDArray[np.intp] | slice = slice(None),
) -> float:
    """Return how many rows the prior on the effect of a level is worth.

    The effects of the levels on y are taken as draws from a normal distribution with variance
    t^2 around zero, and y varies with variance s^2 within a level. The best estimate of an
    effect from c rows is then c / (c + s^2 / t^2) times the difference between their mean and
    that of all rows: the prior is worth s^2 / t^2 rows. Both variances are estimated by an
    analysis of variance (Searle, Casella and McCulloch, "Variance Components", 1992, section
    3.6), from the mean squares within levels and between levels. Each variance is summed over
    the outputs.

    A level can also change how y depends on another column. With ``numbers``, the variance of
    the slopes of y is also estimated for each numeric column, in units of the column's standard
    deviation. The largest of these variances replaces t^2 if it is larger and is not due to
    chance.

    For labels, a row says less about an effect on the logit, by the factor p (1 - p). This is
    the second derivative of the log loss, and s^2 also estimates it.

    Parameters
    ----------
    levels : ndarray of int of shape (n_rows,)
        The number of the level of each row, counted from 0.
    Y : ndarray of shape (n_rows, n_outputs)
        The target as the loss gets it: standardized numbers, or indicators of classes.
    counts : ndarray of shape (n_rows,), optional
        How often each row counts; None stands for once each.
    labels : bool
        Whether y holds labels.
    numbers : ndarray of shape (n_some_rows, n_numbers), optional
        Other columns of some of the rows, without missing numbers.
    rows : ndarray of int of shape (n_some_rows,) or slice, default=slice(None)
        The positions of these rows.

    Returns
    -------
    float
        Between 0 and ``MOST_PRIOR_ROWS``.
    """
    weights = np.ones(levels.size) if counts is None else counts
    by_level = RowsByLevel(levels, weights)
    if not 1 < by_level.sizes.size < by_level.n_rows:
        return MOST_PRIOR_ROWS
    within, of_effects, _ = (float(found.sum()) for found in by_level.variances(Y))
    if numbers is not None:
        of_rows = RowsByLevel(levels[rows], weights[rows])
        of_effects = max(of_effects, _variance_of_slopes(of_rows, Y[rows], numbers))
    if labels:
        within *= within / Y.shape[1]
    return min(within / of_effects, MOST_PRIOR_ROWS) if of_effects > 0 else MOST_PRIOR_ROWS


def _variance_of_slopes(by_level: RowsByLevel, Y: Floats, numbers: Floats) -> float:
    """Return the largest variance of the slopes of y on a column; 0 if it may be chance.

    Within a level, the slope is the mean product of the deviations of y and of the column from
    their means within the level, if the column has a variance of one within it.
    """
    if not 1 < by_level.sizes.size < by_level.n_rows:
        return 0.0
    numbers = by_level.standardized(numbers)
    found = [by_level.variances(y[:, np.newaxis] * numbers) for y in by_level.centered(Y).T]
    _, between, chance = np.sum(found, axis=0)
    return float(np.max(between[between > LEAST_SLOPE_DEVIATIONS * chance], initial=0.0))
