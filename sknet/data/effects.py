"""How much the levels of a category tell about y: the strength of their penalty."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

#: The largest number of rows that a prior is worth: levels that tell nothing about y by
#: themselves may do so together with other columns.
MOST_PRIOR_ROWS = 100.0

#: The largest number of numbers of y that the effects are estimated from. It limits the memory
#: and the time that many outputs take.
MOST_NUMBERS = 2**23


def prior_rows(
    levels: NDArray[np.intp], Y: Floats, counts: Floats | None = None, *, labels: bool
) -> float:
    """Return how many rows the prior of the effect of a level is worth.

    The effects of the levels on y are taken as draws from a normal distribution with variance
    t^2 around zero, and y varies with variance s^2 within a level. The best estimate of an
    effect from c rows is then c / (c + s^2 / t^2) times the mean difference of these rows: the
    prior is worth s^2 / t^2 rows. Both variances are estimated from an analysis of variance
    (Searle, Casella and McCulloch, "Variance Components", 1992, section 3.6), as the mean
    squares within levels, and between levels less within, which are added over the outputs.

    For labels, a row tells less of an effect on the logit by the factor p (1 - p), which is the
    second derivative of the log loss, and which is estimated by s^2 as well.

    Parameters
    ----------
    levels : ndarray of int of shape (n_rows,)
        The number of the level of each row, from 0 on.
    Y : ndarray of shape (n_rows, n_outputs)
        The target as the loss gets it: standardised numbers, or indicators of classes.
    counts : ndarray of shape (n_rows,), optional
        How often each row counts; None stands for once each.
    labels : bool
        Whether y holds labels.

    Returns
    -------
    float
        Between 0 and ``MOST_PRIOR_ROWS``.
    """
    weights = np.ones(levels.size) if counts is None else counts
    of_all_levels = np.bincount(levels, weights)
    sizes = of_all_levels[of_all_levels > 0]
    n_rows, n_levels = sizes.sum(), sizes.size
    if not 1 < n_levels < n_rows:
        return MOST_PRIOR_ROWS
    squares = [_mean_squares(levels, y, weights, of_all_levels) for y in Y.T]
    within, between = np.sum(squares, axis=0)
    usual_size = (n_rows - np.square(sizes).sum() / n_rows) / (n_levels - 1)
    of_effects = (between - within) / usual_size
    if labels:
        within *= within / Y.shape[1]
    if not of_effects > 0:
        return MOST_PRIOR_ROWS
    # A NumPy scalar would turn the float32 vectors that it is multiplied by into float64.
    return float(min(within / of_effects, MOST_PRIOR_ROWS))


def _mean_squares(
    levels: NDArray[np.intp], y: Floats, weights: Floats, sizes: NDArray[Any]
) -> tuple[float, float]:
    """Return the mean squares of y within the levels, which have these sizes, and between."""
    found = sizes > 0
    y = y - np.average(y, weights=weights)
    means = np.bincount(levels, weights * y)[found] / sizes[found]
    between = float(sizes[found] @ np.square(means))
    total = float(weights @ np.square(y))
    n_levels = np.count_nonzero(found)
    # Rounding may make the difference of nearly equal sums less than zero.
    within = max(total - between, 0.0)
    return within / (float(sizes.sum()) - n_levels), between / (n_levels - 1)
