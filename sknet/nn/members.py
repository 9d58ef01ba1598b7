"""From raw predictions to predictions: the mean over members of an ensemble, and its certainty.

Networks are often too certain of classes that they have memorised. Guo, Pleiss, Sun and
Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2, divide the logits by
a temperature T. :func:`fit_factor` finds 1 / T from rows that are held out. Here T is at least
one: if no held-out row is wrong, a network would become as certain as one lets it.

The standard deviations of a normal distribution are divided by the factor. They may become
smaller as well: while a network is trained, dropout makes its errors larger.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from sknet.nn.kernels import Array
from sknet.nn.links import Link, spread, total_std
from sknet.nn.losses import Loss


@dataclass(frozen=True)
class Members:
    """The members of an ensemble, whose prediction is the mean of the members' predictions.

    A row of raw predictions holds those of the members one after another. A single network is
    an ensemble of one member.

    Parameters
    ----------
    n : int
        The number of members.
    link : Link
    before_link : bool, default=False
        Whether the prediction is that of the mean of the members' raw predictions instead.
    """

    n: int
    link: Link
    before_link: bool = False

    def split(self, raw: Array) -> Array:
        """Return the members' raw predictions as an array (rows, members, columns)."""
        return raw.reshape(raw.shape[0], self.n, raw.shape[1] // self.n)

    def raw(self, raw: Array) -> Array:
        """Return the raw predictions that stand for the prediction of all members."""
        members = self._before_mean(raw)
        return members[:, 0] if members.shape[1] == 1 else self.link.mean_of_members(members)

    def raw_backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient of ``raw``, given the gradient of the result of :meth:`raw`."""
        if self.n == 1 or self.before_link:
            return self._of_each(delta)
        mean = self.link.inverse(self.split(raw)).mean(axis=1)
        return self.backward(raw, self.link.link_backward(mean, delta))

    def predictions(
        self,
        raw: Array,
        predict: Callable[[Array], Array],
        with_std: bool = False,
        deviation: Callable[[Array], Array] | None = None,
    ) -> tuple[Array, ...]:
        """Return the prediction of all members and, if wanted, a standard deviation.

        Parameters
        ----------
        raw : ndarray of shape (n_rows, n * n_raw)
        predict : callable
            Turns raw predictions, an array (rows, members, columns), into predictions.
        with_std : bool, default=False
        deviation : callable or None, default=None
            Turns raw predictions into the standard deviations of y that the members predict.
            With it, the result is the standard deviation of y by all members. None asks for
            that of the members' predictions.

        Returns
        -------
        tuple of ndarray of shape (n_rows, n_columns)
            (prediction,), or (prediction, standard deviation).
        """
        values = predict(self._before_mean(raw))
        n_values = values.shape[1]
        prediction = values[:, 0] if n_values == 1 else values.sum(axis=1) / n_values
        if not with_std:
            return (prediction,)
        members = self.split(raw)
        if self.before_link:
            values = predict(members)
        if deviation is None:
            return prediction, spread(values)
        return prediction, total_std(values, deviation(members))

    def backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient of ``raw``, given that of the prediction by ``link.inverse``."""
        members = self._before_mean(raw)
        of_each = np.repeat(delta[:, np.newaxis] / members.shape[1], members.shape[1], axis=1)
        gradient = self.link.inverse_backward(members, of_each).reshape(len(raw), -1)
        return self._of_each(gradient) if self.before_link else gradient

    def _before_mean(self, raw: Array) -> Array:
        """Return what the link is applied to: an array (rows, members or 1, columns)."""
        members = self.split(raw)
        if self.before_link and self.n > 1:
            return members.mean(axis=1, keepdims=True)
        return members

    def _of_each(self, delta: Array) -> Array:
        """Return the gradient of the members' values, given the gradient of their mean."""
        return np.tile(delta / self.n, (1, self.n))


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
