"""Temperature scaling: one factor of all raw predictions, fitted to rows that are held out.

Networks are often too certain of classes that they have memorised. Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2, divide the logits by
a temperature T. Here the factor is 1 / T, and T is at least one: if no held-out row is wrong,
a network would become as certain as one lets it.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from sknet.nn.ensembles import mean_of_members
from sknet.nn.losses import Loss
from sknet.nn.types import Array

#: The limits of log(1 / T).
LOG_LIMITS = (-2.0, 0.0)


def fit_factor(
    loss: Loss,
    raw: Array,
    y: Array,
    sample_weight: Array | None,
    n_members: int = 1,
    before_link: bool = False,
) -> float:
    """Return the factor of raw predictions, one at most, that suits some rows best.

    It minimises the sum of the rows' losses plus log(factor)^2, the penalty of a normal
    distribution around a factor of one, so that a handful of rows changes little. The loss of
    an ensemble is that of the mean of its members' predictions.

    Parameters
    ----------
    loss : Loss
    raw : ndarray of shape (n_rows, n_members * n_raw)
        Raw predictions of rows that the network was not trained on.
    y : ndarray of shape (n_rows, n_outputs)
        The encoded targets.
    sample_weight : ndarray of shape (n_rows,) or None
        The weights, with a mean of one; None stands for weights of one.
    n_members : int, default=1
    before_link : bool, default=False
        Whether the mean is one of raw predictions.

    Returns
    -------
    float
    """
    raw = raw.astype(np.float64)
    n_rows = len(raw)

    def total(log_factor: float) -> float:
        scaled = mean_of_members(raw * math.exp(log_factor), n_members, loss, before_link)
        mean = loss.mean(y, scaled, sample_weight, np.empty_like(scaled))
        return n_rows * mean + log_factor**2

    found = minimize_scalar(total, bounds=LOG_LIMITS, method="bounded")
    return math.exp(found.x) if found.fun < total(0.0) else 1.0
