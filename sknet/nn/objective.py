"""The function that every solver minimises."""

from dataclasses import dataclass

import numpy as np

from sknet.nn.ensembles import mean_of_members
from sknet.nn.losses import Loss
from sknet.nn.network import Network
from sknet.nn.penalties import ElasticNet


@dataclass(frozen=True)
class Objective:
    """J = sum_i w_i l(y_i, f(x_i)) / sum_i w_i + penalty of the weight matrices.

    A batch has ``X``, ``y`` and ``sample_weight``. Weights have mean one over all training
    rows; a batch's mean divides by its number of rows.
    """

    network: Network
    loss: Loss
    penalty: ElasticNet

    def loss_and_gradient(self, params, batch, workspace, gradient_out, rng=None):
        """Return the mean loss of a batch; write its gradient into ``gradient_out``."""
        raw = self.network.forward(params, batch.X, workspace, rng)
        value = self._mean_over_members(batch, raw, workspace.delta)
        self.network.backward(params, gradient_out, batch.X, workspace)
        return value

    def penalty_value(self, params):
        """Return the penalty of the weights among the parameters.

        Its gradient joins that of the loss where a step is made: block by block.
        """
        return self.penalty.value(params[: self.network.n_penalized])

    def mean_loss(self, params, batches, workspace):
        """Return the mean loss over all rows of ``batches``, without penalty.

        Of several members it is the loss of their mean prediction.
        """
        total = 0.0
        for batch in batches:
            raw = self.network.forward(params, batch.X, workspace)
            raw = mean_of_members(raw, self.network.n_members, self.loss)
            total += raw.shape[0] * self.loss.mean(
                batch.y, raw, batch.sample_weight, np.empty_like(raw)
            )
        return total / batches.n_rows

    def _mean_over_members(self, batch, raw, gradient_out):
        """Return the mean loss of the members, each taken as a row of its own."""
        y, sample_weight = batch.y, batch.sample_weight
        n_members = self.network.n_members
        if n_members > 1:
            y = np.repeat(y, n_members, axis=0)
            if sample_weight is not None:
                sample_weight = np.repeat(sample_weight, n_members)
            rows = y.shape[0], raw.shape[1] // n_members
            raw, gradient_out = raw.reshape(rows), gradient_out.reshape(rows)
        return self.loss.mean(y, raw, sample_weight, gradient_out)
