"""How much the levels of a category tell about y: the strength of their penalty."""

import numpy as np
from numpy.typing import NDArray

from sknet.data.variances import Groups

Floats = NDArray[np.floating]

#: The largest number of rows that a prior is worth: levels that tell nothing about y by
#: themselves may do so together with other columns.
MOST_PRIOR_ROWS = 100.0

#: The largest number of numbers of y that the effects are estimated from. It limits the memory
#: and the time that many outputs take.
MOST_NUMBERS = 2**23

#: The variance of slopes counts if it is so many of the standard deviations that it has by
#: chance. There are many columns, and y may vary more within some levels than within others.
LEAST_SLOPE_DEVIATIONS = 10


def prior_rows(
    levels: NDArray[np.intp],
    Y: Floats,
    counts: Floats | None = None,
    *,
    labels: bool,
    numbers: Floats | None = None,
    rows: NDArray[np.intp] | slice = slice(None),
) -> float:
    """Return how many rows the prior of the effect of a level is worth.

    The effects of the levels on y are taken as draws from a normal distribution with variance
    t^2 around zero, and y varies with variance s^2 within a level. The best estimate of an
    effect from c rows is then c / (c + s^2 / t^2) times the mean difference of these rows: the
    prior is worth s^2 / t^2 rows. Both variances are estimated from an analysis of variance
    (Searle, Casella and McCulloch, "Variance Components", 1992, section 3.6), as the mean
    squares within levels, and between levels less within, which are added over the outputs.

    A level can also change how y depends on another column. With ``numbers``, t^2 is the
    variance of the slopes of y by the number, divided by its standard deviation, for which it
    is largest, if that is larger than the variance of the effects and no chance.

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
    numbers : ndarray of shape (n_some_rows, n_numbers), optional
        Other columns of some of the rows, without missing numbers.
    rows : ndarray of int of shape (n_some_rows,) or slice, default=slice(None)
        Which rows these are.

    Returns
    -------
    float
        Between 0 and ``MOST_PRIOR_ROWS``.
    """
    weights = np.ones(levels.size) if counts is None else counts
    groups = Groups(levels, weights)
    if not 1 < groups.sizes.size < groups.n_rows:
        return MOST_PRIOR_ROWS
    found = groups.variances(Y)
    within, of_effects = found.within.sum(), found.between.sum()
    if numbers is not None:
        of_rows = Groups(levels[rows], weights[rows])
        of_effects = max(of_effects, _variance_of_slopes(of_rows, Y[rows], numbers))
    if labels:
        within *= within / Y.shape[1]
    if not of_effects > 0:
        return MOST_PRIOR_ROWS
    # A NumPy scalar would turn the float32 vectors that it is multiplied by into float64.
    return float(min(within / of_effects, MOST_PRIOR_ROWS))


def _variance_of_slopes(groups: Groups, Y: Floats, numbers: Floats) -> float:
    """Return the largest variance of the slopes of y by a number; 0 if it may be chance.

    Within a level, the slope is the mean product of the deviations of y and of the number from
    their means there, if the number has a variance of one there.
    """
    if not 1 < groups.sizes.size < groups.n_rows:
        return 0.0
    numbers = groups.standardized(numbers)
    found = [groups.variances(y[:, np.newaxis] * numbers) for y in groups.centred(Y).T]
    between, chance = np.sum([(one.between, one.chance) for one in found], axis=0)
    return float(np.max(between[between > LEAST_SLOPE_DEVIATIONS * chance], initial=0.0))
