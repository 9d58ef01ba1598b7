"""The function that every solver minimises."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from sknet.nn.kernels import Array
from sknet.nn.losses import Loss
from sknet.nn.network import Network, Workspace
from sknet.nn.sets import ElasticNet


class Batch(Protocol):
    """Rows of a network's input with their targets and weights; None stands for weights of one.

    ``X`` is a dense array or a CSR matrix, ``y`` an array of shape (n_rows, n_outputs).
    """

    @property
    def X(self) -> Any: ...  # noqa: D102, N802
    @property
    def y(self) -> Any: ...  # noqa: D102
    @property
    def sample_weight(self) -> Array | None: ...  # noqa: D102


class BatchIterable(Protocol):
    """The training rows, batch by batch. Each iteration is one epoch."""

    @property
    def n_rows(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102
    def sample(self, n_rows: int) -> Any:
        """Return a batch of at most ``n_rows`` of the rows; nothing random is drawn."""
        ...

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True)
class Objective:
    """J = sum_i w_i l(y_i, f(x_i)) / sum_i w_i + penalty of the weight matrices + ridges.

    Parameters that declare a factor r of their own add r/2 ||p||_2^2 (see
    :class:`~sknet.nn.layers.Parameter`).

    Weights have mean one over all training rows. The loss of a batch is divided by the number
    of its rows, so its expected value over random batches is J's.

    Parameters
    ----------
    network : Network
    loss : Loss
    penalty : ElasticNet
    weighs_steps : bool, default=False
        Whether the loss weights the gradients of rows for the steps of a stochastic solver.
        Otherwise they are the derivatives of J.
    """

    network: Network
    loss: Loss
    penalty: ElasticNet
    weighs_steps: bool = False

    def loss_and_gradient(
        self,
        params: Array,
        batch: Batch,
        workspace: Workspace,
        gradient_out: Array,
        rng: Generator | None = None,
        share: float = 1.0,
    ) -> float:
        """Return the mean loss of a batch and the ridges; write their gradient.

        If the rows are only a ``share`` of a batch, all are multiplied by it: the sum over the
        shares is the loss of the batch.
        """
        raw = self.network.forward(params, batch.X, workspace, rng)
        value = self._mean_over_members(batch, raw, workspace.delta)
        if share != 1:
            workspace.delta *= share
        self.network.backward(params, gradient_out, batch.X, workspace)
        return (value + self._add_ridges(params, gradient_out, share)) * share

    def _add_ridges(self, params: Array, gradient_out: Array, share: float) -> float:
        """Return the sum of the ridges; add a share of their gradient."""
        value = 0.0
        for where, factor in self.network.ridges:
            p = params[where]
            value += factor / 2 * float(p @ p)
            gradient_out[where] += (factor * share) * p
        return value

    def penalty_value(self, params: Array) -> float:
        """Return the penalty of the weights among the parameters.

        The optimizer adds its gradient to the gradient of the loss in each step.
        """
        return self.penalty.value(params[: self.network.n_penalized])

    def mean_loss(self, params: Array, batches: BatchIterable, workspace: Workspace) -> float:
        """Return the mean loss over all rows of ``batches``, without penalty.

        For an ensemble it is the loss of the mean of the members' predictions.
        """
        total = 0.0
        for batch in batches:
            total += batch.X.shape[0] * self.batch_loss(params, batch, workspace)
        return total / batches.n_rows

    def constant_loss(self, batches: BatchIterable) -> float:
        """Return the mean loss of all rows if each raw prediction is zero.

        That stands for the mean of a standardised y and for classes of equal probability.
        """
        total = 0.0
        for batch in batches:
            loss = self.loss_of_constant(0.0, batch.y, batch.sample_weight, batch.y.dtype)
            total += loss * batch.y.shape[0]
        return total / batches.n_rows

    def loss_of_constant(
        self, raw: float | Array, y: Array, sample_weight: Array | None, dtype: DTypeLike
    ) -> float:
        """Return the mean loss if all rows have the same raw predictions.

        ``raw`` is an array of shape (n_raw,), or one number for all of them.
        """
        same = np.full((y.shape[0], self.loss.link.n_raw(y.shape[1])), raw, dtype)
        return self.loss.mean(y, same, sample_weight, np.empty_like(same))

    def batch_loss(self, params: Array, batch: Batch, workspace: Workspace) -> float:
        """Return the mean loss of a batch, as :meth:`mean_loss` does.

        It is NaN if a raw prediction is infinite or NaN, which a bounded loss would not show.
        """
        raw = self.network.forward(params, batch.X, workspace)
        if not np.isfinite(raw).all():
            return math.nan
        raw = self.network.members(self.loss.link).raw(raw)
        return self.loss.mean(batch.y, raw, batch.sample_weight, np.empty_like(raw))

    def _mean_over_members(self, batch: Batch, raw: Array, gradient_out: Array) -> float:
        """Return the mean of the members' losses; write its gradient into ``gradient_out``."""
        y, sample_weight = batch.y, batch.sample_weight
        n_members = self.network.n_members
        if n_members > 1:
            y = np.repeat(y, n_members, axis=0)
            if sample_weight is not None:
                sample_weight = np.repeat(sample_weight, n_members)
            rows = y.shape[0], raw.shape[1] // n_members
            raw, gradient_out = raw.reshape(rows), gradient_out.reshape(rows)
        value = self.loss.mean(y, raw, sample_weight, gradient_out)
        if self.weighs_steps:
            self.loss.weigh_steps(raw, gradient_out)
        return value
