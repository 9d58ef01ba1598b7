"""Temperature scaling: the certainty of all predictions, fitted to rows that are held out.

Networks are often too certain of classes that they have memorised. Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2, divide the logits by
a temperature T. Here the factor is 1 / T, and T is at least one: if no held-out row is wrong,
a network would become as certain as one lets it.

The standard deviations of a normal distribution are divided by the factor. They may become
smaller as well: while a network is trained, dropout makes its errors larger.
"""

import math

import numpy as np
from scipy.optimize import minimize_scalar

from sknet.nn.losses import Loss
from sknet.nn.members import Members
from sknet.nn.types import Array


def fit_factor(
    loss: Loss, members: Members, raw: Array, y: Array, sample_weight: Array | None
) -> float:
    """Return the factor of the certainty of predictions that suits some rows best.

    The factor of logits is one at most. It minimises the sum of the rows' losses plus
    log(factor)^2, the penalty of a normal distribution around a factor of one, so that a
    handful of rows changes little. The loss of an ensemble is that of the mean of its members'
    predictions.

    Parameters
    ----------
    loss : Loss
    members : Members
    raw : ndarray of shape (n_rows, members.n * n_raw)
        Raw predictions of rows that the network was not trained on.
    y : ndarray of shape (n_rows, n_outputs)
        The encoded targets.
    sample_weight : ndarray of shape (n_rows,) or None
        The weights, with a mean of one, or counts of rows; None stands for weights of one.

    Returns
    -------
    float
    """
    split = members.split(raw.astype(np.float64))
    n_rows, _, n_raw = split.shape

    def total(log_factor: float) -> float:
        factor, shift = loss.link.with_certainty(math.exp(log_factor), n_raw)
        scaled = members.raw((split * factor + shift).reshape(n_rows, -1))
        mean = loss.mean(y, scaled, sample_weight, np.empty_like(scaled))
        return n_rows * mean + log_factor**2

    found = minimize_scalar(total, bounds=loss.log_certainty, method="bounded")
    return math.exp(found.x) if found.fun < total(0.0) else 1.0
