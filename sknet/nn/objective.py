"""The objective that every solver minimizes, and the predictions of an ensemble's members."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

import numpy as np
from numpy.random import Generator
from scipy.optimize import minimize_scalar

from sknet.nn.joint import JointLoss
from sknet.nn.kernels import Array
from sknet.nn.links import Link, spread, total_std
from sknet.nn.losses import Loss
from sknet.nn.network import Network, Workspace
from sknet.nn.sets import ElasticNet

#: A function of the members' raw predictions, an array (rows, members, columns).
OfRaw: TypeAlias = Callable[[Array], Array]
#: A step from a factor of one, in its logarithm, that shows on which side of it a minimum is.
NEARBY = 1e-3
#: The largest logarithm of the factor by which held-out rows correct the certainty.
MOST_LOG_FACTOR = 2.0
#: The sum of losses that a factor above one must save in classification. A parameter without
#: any effect saves half a unit on average (Wilks, 1938).
LEAST_GAIN = 1.0
#: How far the number of rows of a class may be from the predicted number, in standard
#: deviations, if rows are like those of training.
LARGEST_BIAS = 4.0


class Batch(NamedTuple):
    """Rows of a network's input with their targets and weights.

    ``X`` is a dense array or a CSR matrix, and ``y`` an array of shape (n_rows, n_outputs).
    ``sample_weight`` has the shape (n_rows,), or (n_rows, n_members) if the weight of a row
    differs between members. None stands for weights of one. Other objects with these attributes
    serve as well.
    """

    X: Any
    y: Array
    sample_weight: Array | None = None


def _row_weights(batch: Any) -> Array:
    """Return the weight of each row of a batch, as the mean over its members."""
    weight = batch.sample_weight
    if weight is None:
        return np.ones(len(batch.y), batch.y.dtype)
    return weight.mean(axis=1) if weight.ndim == 2 else weight


class BatchIterable(Protocol):
    """The training rows, batch by batch. Each iteration is one epoch."""

    batch_size: int

    @property
    def n_rows(self) -> int: ...  # noqa: D102
    def sample(self, n_rows: int) -> Any:
        """Return a batch of at most ``n_rows`` of the rows, without drawing random numbers."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...


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
        Whether the prediction comes from the mean of the members' raw predictions instead.
    """

    n: int
    link: Link
    before_link: bool = False

    @classmethod
    def of(cls, network: Network, link: Link) -> Self:
        """Return the members of a network, given the link of the loss."""
        return cls(network.n_members, link, network.mean_before_link)

    def split(self, raw: Array) -> Array:
        """Return the members' raw predictions as an array (rows, members, columns)."""
        return raw.reshape(raw.shape[0], self.n, raw.shape[1] // self.n)

    def raw(self, raw: Array) -> Array:
        """Return the raw predictions that stand for the prediction of all members."""
        members = self._before_mean(raw)
        return members[:, 0] if members.shape[1] == 1 else self.link.mean_of_members(members)

    def decision(self, raw: Array) -> Array:
        """Return the columns of the decision function of all members."""
        if (link := self._of_decision(raw)) is None:
            return self.raw(raw)
        return link.link(self.predictions(raw, self.link.inverse)[0])

    def decision_backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient of ``raw``, given the gradient of :meth:`decision`."""
        link = self._of_decision(raw)
        if link is None and (self.n == 1 or self.before_link):
            return self._of_each(delta)
        (prediction,) = self.predictions(raw, self.link.inverse)
        return self.backward(raw, (link or self.link).link_backward(prediction, delta))

    def _of_decision(self, raw: Array) -> Link | None:
        return self.link.of_decision(raw.shape[1] // self.n)

    def predictions(
        self, raw: Array, predict: OfRaw, with_std: bool = False, deviation: OfRaw | None = None
    ) -> tuple[Array, ...]:
        """Return the prediction of all members and, if ``with_std``, a standard deviation.

        Parameters
        ----------
        raw : ndarray of shape (n_rows, n * n_raw)
        predict : callable
            Turns raw predictions, an array (rows, members, columns), into predictions.
        with_std : bool, default=False
        deviation : callable or None, default=None
            Turns raw predictions into the standard deviations of y that the members predict.
            With it, the second result is the standard deviation of y according to all members.
            With None, it is that of the members' predictions.

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
        std = spread(values) if deviation is None else total_std(values, deviation(members))
        return prediction, std

    def backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient of ``raw``, given that of ``predictions(raw, link.inverse)``."""
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


@dataclass(frozen=True)
class Objective:
    """J = sum_i w_i l(y_i, f(x_i)) / sum_i w_i + penalty on the weight matrices + ridges.

    A parameter array p with a ridge r adds r/2 ||p||_2^2 (see
    :class:`~sknet.nn.layers.Parameter`).

    Sample weights have mean one over all training rows. The loss of a batch is divided by the
    number of its rows, so its expected value over random batches is the first term of J.

    Parameters
    ----------
    network : Network
    loss : Loss
    penalty : ElasticNet
    weighs_steps : bool, default=False
        Whether the loss weights the gradients of rows for the steps of a stochastic solver.
        Otherwise, the gradients are the derivatives of the loss and the ridges.
    """

    network: Network
    loss: Loss
    penalty: ElasticNet
    weighs_steps: bool = False

    def adapted(self, unexplained: float) -> Self:
        """Return the objective for the next epoch: see :meth:`Network.adapted`."""
        if not self.network.adapts:
            return self
        return replace(self, network=self.network.adapted(unexplained))

    def loss_and_gradient(
        self,
        params: Array,
        batch: Batch,
        workspace: Workspace,
        gradient_out: Array,
        rng: Generator | None = None,
        share: float = 1.0,
    ) -> float:
        """Return the mean loss of a batch; write its gradient plus that of the ridges.

        If the rows are only a ``share`` of a batch, the loss and the gradients are multiplied
        by it, so that their sums over the shares are those of the batch.
        """
        raw = self.network.forward(params, batch.X, workspace, rng)
        value = self._mean_over_members(batch, raw, workspace.delta)
        if share != 1:
            workspace.delta *= share
        self.network.backward(params, gradient_out, batch.X, workspace)
        for where, factor in self.network.ridges:
            gradient_out[where] += (factor * share) * params[where]
        return value * share

    def penalty_value(self, params: Array) -> float:
        """Return the penalty on the weights plus the ridges.

        The optimizer adds the gradient of the penalty to that of the loss in each step.
        """
        value = self.penalty.value(params[: self.network.n_penalized])
        for where, factor in self.network.ridges:
            value += factor / 2 * float(params[where] @ params[where])
        return value

    def mean_loss(self, params: Array, batches: BatchIterable, workspace: Workspace) -> float:
        """Return the mean loss over all rows of ``batches``, without the penalty.

        For an ensemble, it is the loss of the mean of the members' predictions or, if a row has
        a weight for each member, the mean of the members' losses.
        """
        total = 0.0
        for batch in batches:
            total += batch.X.shape[0] * self.batch_loss(params, batch, workspace)
        return total / batches.n_rows

    def constant_losses(self, batches: Iterable[Any]) -> tuple[float, float]:
        """Return the mean losses of two constant predictions.

        The first is :meth:`Loss.baseline` of the mean of y: the frequencies of the classes or,
        for numbers, raw predictions of zero. For the second, all raw predictions are zero,
        which stands for the mean of a scaled y and for classes of equal probability. Missing
        targets, which are NaN, do not count in the mean.
        """
        total: Any = 0.0
        known: Any = 0.0
        n_rows = 0
        for batch in batches:
            weight = _row_weights(batch)
            n_rows += len(batch.y)
            total += weight @ np.nan_to_num(batch.y)
            known += weight @ ~np.isnan(batch.y)
        raw = self.loss.baseline(total / np.maximum(known, np.finfo(total.dtype).tiny))
        of_mean = of_zero = 0.0
        for batch in batches:
            weight, share = _row_weights(batch), len(batch.y) / n_rows
            of_mean += share * self.loss_of_constant(raw, batch.y, weight)
            of_zero += share * self.loss_of_constant(0.0, batch.y, weight)
        return of_mean, of_zero

    def least_constant_loss(self, batches: Iterable[Any]) -> float:
        """Return the mean loss of the best of two constant predictions, with the rows' weights.

        One is :meth:`Loss.constant`, and the other is :meth:`Loss.baseline`.
        """
        rows = [(batch.y, _row_weights(batch)) for batch in batches]
        y, weight = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        loss = self.loss_of_constant(self.loss.constant(y), y, weight)
        return min(loss, self.constant_losses(batches)[0])

    def loss_of_constant(
        self, raw: float | Array, y: Array, sample_weight: Array | None = None
    ) -> float:
        """Return the mean loss if all rows have the same raw predictions.

        ``raw`` is an array of shape (n_raw,), or one number for all of them.
        """
        same = np.full((y.shape[0], self.loss.link.n_raw(y.shape[1])), raw, y.dtype)
        return self.loss.mean(y, same, sample_weight, np.empty_like(same))

    def batch_loss(self, params: Array, batch: Batch, workspace: Workspace) -> float:
        """Return the mean loss of a batch, as :meth:`mean_loss` does.

        It is NaN if a raw prediction is infinite or NaN, which a bounded loss would not show.
        """
        raw = self.network.forward(params, batch.X, workspace)
        if not np.isfinite(raw).all():
            return math.nan
        if batch.sample_weight is not None and batch.sample_weight.ndim == 2:
            return self._mean_over_members(batch, raw, np.empty_like(raw))
        raw = Members.of(self.network, self.loss.link).raw(raw)
        return self.loss.mean(batch.y, raw, batch.sample_weight, np.empty_like(raw))

    def _mean_over_members(self, batch: Batch, raw: Array, gradient_out: Array) -> float:
        """Return the mean of the members' losses; write its gradient into ``gradient_out``."""
        y, sample_weight = batch.y, batch.sample_weight
        n_members = self.network.n_members
        if n_members > 1:
            y = np.repeat(y, n_members, axis=0)
            if sample_weight is not None and sample_weight.ndim == 1:
                sample_weight = np.repeat(sample_weight, n_members)
            elif sample_weight is not None:
                sample_weight = sample_weight.reshape(-1)
            raw, gradient_out = raw.reshape(len(y), -1), gradient_out.reshape(len(y), -1)
        value = self.loss.mean(y, raw, sample_weight, gradient_out)
        if self.weighs_steps:
            self.loss.weigh_steps(raw, gradient_out)
        return value


def fit_factor(
    loss: Loss,
    members: Members,
    raw: Array,
    y: Array,
    sample_weight: Array | None,
    independent: bool = True,
) -> Any:
    """Return the factor by which to change the predictions' certainty to suit some rows best.

    Networks often memorize classes, and are then too certain of them. Guo, Pleiss, Sun and
    Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2, divide logits by
    a temperature, whose inverse is the factor. The standard deviations of a normal distribution
    are divided by it. Penalties, dropout and label smoothing make predictions less certain. But
    if the network predicts a few held-out rows correctly by chance, their loss keeps falling as
    the factor rises. In classification, the factor is therefore larger than one only if the
    rows are independent and save enough of their loss (:func:`_needed_gain`).

    The factor minimizes the sum of the rows' losses plus log(factor)^2. This penalty stands for
    a normal prior on log(factor) with a mean of zero, so a handful of rows changes little. The
    labels of a row count as one, since they may be copies of each other. The loss of an
    ensemble is that of the mean of its members' predictions.

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
    independent : bool, default=True
        Whether the rows are independent: False if they are of groups.

    Returns
    -------
    float, or tuple of float
        A tuple has one factor for each target of a :class:`~sknet.nn.joint.JointLoss`, or for
        each of several outputs that have a standard deviation.
    """
    fit = partial(fit_factor, independent=independent)
    if isinstance(loss, JointLoss):
        return tuple(
            fit(own, *rows) if own.has_temperature and len(rows[1]) else 1.0
            for own, rows in of_targets(loss, members, raw, y, sample_weight)
        )
    split = members.split(raw.astype(np.float64))
    n_rows, _, n_raw = split.shape
    if loss.link.predicts_std and y.shape[1] > 1:
        # The noise of one output says nothing about that of another.
        parts = (part.reshape(n_rows, -1) for part in np.split(split, y.shape[1], axis=2))
        columns = np.split(y, y.shape[1], axis=1)
        return tuple(
            fit(loss, members, *rows, sample_weight)
            for rows in zip(parts, columns, strict=True)
        )
    n_losses = n_rows if loss.link.exclusive else n_rows / y.shape[1]

    def total(log_factor: float) -> float:
        factor, shift = loss.link.with_certainty(math.exp(log_factor), n_raw)
        scaled = members.raw((split * factor + shift).reshape(n_rows, -1))
        mean = loss.mean(y, scaled, sample_weight, np.empty_like(scaled))
        return n_losses * mean + log_factor**2

    unchanged = total(0.0)
    for sign in (1, -1):
        # A search takes longest if the minimum is at the end of its range, so a near value
        # tells first on which side of one it is. With several members, there may be another
        # minimum, which is not searched for.
        if total(sign * NEARBY) < unchanged:
            ends = sorted((0.0, sign * MOST_LOG_FACTOR))
            found = minimize_scalar(total, bounds=ends, method="bounded")
            needed = 0.0
            if sign > 0 and loss.task == "classification":
                needed = _needed_gain(members, raw, y, sample_weight, independent)
            if unchanged - found.fun > needed:
                return math.exp(found.x)
    return 1.0


def _needed_gain(
    members: Members, raw: Array, y: Array, sample_weight: Array | None, independent: bool
) -> float:
    """Return how much of their losses rows must save before probabilities become more certain.

    Rows of unequal weights are less evidence than as many rows of equal weights (Kish, 1965).
    No gain is enough if the rows are not independent, or if the classes are more or less
    frequent than the probabilities say, by more than chance explains. The rows are then not
    like those of training: they may be of one class only.
    """
    if not independent:
        return math.inf
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    p = members.predictions(raw.astype(np.float64), members.link.inverse)[0]
    if (np.abs(weight @ (y - p)) > LARGEST_BIAS * np.sqrt(weight**2 @ (p * (1 - p)))).any():
        return math.inf
    n_effective = weight.sum() ** 2 / (weight @ weight)
    return float(LEAST_GAIN * len(y) / n_effective)


def of_targets(
    loss: JointLoss, members: Members, raw: Array, y: Array, weight: Array | None, *more: Array
) -> Iterator[tuple[Loss, tuple[Any, ...]]]:
    """Yield the loss of each target, and the other arguments for the rows that have it.

    ``more`` holds further raw predictions.
    """
    for part in loss.parts(y):
        splits = [members.split(one)[part.known, :, part.columns] for one in (raw, *more)]
        own_raw, *own = (one.reshape(len(one), members.n * one.shape[2]) for one in splits)
        own_weight = None if weight is None else weight[part.known]
        link = part.loss.link
        yield part.loss, (replace(members, link=link), own_raw, part.y, own_weight, *own)
