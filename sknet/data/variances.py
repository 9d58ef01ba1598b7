"""The analysis of variance: how much columns vary within levels and between them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet.data.survey import draw_rows

Floats = NDArray[np.floating]

#: The largest number of products of y with other numbers that variances are estimated from.
MOST_PRODUCTS = 2**22

#: A number whose standard deviation within a level is such a part of that of all rows, or less,
#: does not vary there but for rounding.
NEGLIGIBLE = 1e-6


class Variances(NamedTuple):
    """The variances of columns within levels, and of the effects of the levels on them.

    ``chance`` is the standard deviation of the estimate of the latter if there is no effect.
    """

    within: Floats
    between: Floats
    chance: Floats


class Groups:
    """Rows grouped by their level.

    Parameters
    ----------
    levels : ndarray of shape (n_rows,)
        Numbers of levels, or the values themselves.
    weights : ndarray of shape (n_rows,)
        How often each row counts.

    Attributes
    ----------
    sizes : ndarray of shape (n_groups,)
        How many rows count for each level that occurs, in the order of the levels.
    n_rows : float
        How many rows count.
    """

    def __init__(self, levels: NDArray[Any], weights: Floats) -> None:
        self.weights = weights
        found, self._of_row = np.unique(levels, return_inverse=True)
        n_rows = levels.size
        # Its product with columns has their weighted sums within the levels.
        self._summing_matrix = sparse.csc_array(
            (weights, self._of_row, np.arange(n_rows + 1)), shape=(found.size, n_rows)
        )
        self.sizes: Floats = np.bincount(self._of_row, weights).astype(np.float64)
        self.n_rows: float = float(self.sizes.sum())

    def centred(self, values: Floats) -> Floats:
        """Return the deviations of columns from their means within the levels."""
        return values - self.means(values)[self._of_row]

    def standardized(self, values: Floats) -> Floats:
        """Return these deviations over the standard deviations, 0 for what hardly varies."""
        of_all = np.square(values - np.average(values, axis=0, weights=self.weights))
        negligible = NEGLIGIBLE**2 * np.average(of_all, axis=0, weights=self.weights)
        values = self.centred(values)
        of_levels = self.means(np.square(values))
        of_levels[of_levels <= negligible] = np.inf
        return values / np.sqrt(of_levels)[self._of_row]

    def variances(self, values: Floats) -> Variances:
        """Return the variances of each column."""
        values = values - np.average(values, axis=0, weights=self.weights)
        n_others = self.sizes.size - 1
        usual_size = (self.n_rows - np.square(self.sizes).sum() / self.n_rows) / n_others
        of_means = self.sizes @ np.square(self.means(values))
        # Rounding may make the difference of nearly equal sums less than zero.
        rest = np.maximum(self.weights @ np.square(values) - of_means, 0)
        within = rest / (self.n_rows - self.sizes.size)
        between = (of_means / n_others - within) / usual_size
        # The variance of the square of a mean of c numbers, times c^2, over s^4.
        of_squares = 2 + self.excess_kurtosis(values) * np.mean(1 / self.sizes)
        chance = within * np.sqrt(of_squares / n_others) / usual_size
        return Variances(within, between, chance)

    def excess_kurtosis(self, values: Floats) -> Floats:
        """Return the excess kurtosis of columns of mean zero; 0 if it is negative."""
        squares = np.square(values)
        second, fourth = self.weights @ squares, self.weights @ np.square(squares)
        least = np.finfo(float).tiny
        return np.maximum(self.n_rows * fourth / np.maximum(second**2, least) - 3, 0)

    def means(self, values: Floats) -> Floats:
        """Return the means of columns within the levels."""
        return (self._summing_matrix @ values) / self.sizes[:, np.newaxis]


def some_rows(n_rows: int, n_products: int) -> NDArray[np.intp] | slice:
    """Return rows with at most ``MOST_PRODUCTS`` products, given their number in each."""
    n_wanted = max(1, MOST_PRODUCTS // max(1, n_products))
    if n_rows <= n_wanted:
        return slice(None)
    # Evenly spaced rows of an ordered table might lack most of the levels.
    return draw_rows(n_rows, n_wanted, np.random.default_rng(0))
