"""Augmentation of the training rows: noise on the inputs, and mixup."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy import sparse

from sknet.data.batches import Batch


@dataclass(frozen=True)
class Augmentation:
    """Random changes of encoded mini-batches.

    Mixup replaces each row by lambda row + (1 - lambda) partner, where the partner is a random
    row of the batch and lambda is drawn from Beta(a, a); targets and weights are mixed
    likewise. Level numbers cannot be mixed: with probability lambda the row keeps its own, else
    it takes the level number of the partner. Zhang, Cisse, Dauphin and Lopez-Paz,
    "mixup: Beyond Empirical Risk Minimization" (2018).

    Parameters
    ----------
    input_noise : float
        The standard deviation of normal noise on the numeric columns; in sparse rows, on the
        stored numbers. 0: no noise.
    mixup : float
        The parameter a of the Beta distribution. 0: no mixup.
    n_numeric : int
        The number of numeric columns, which come first.
    n_plain : int
        The number of columns before the level numbers.
    rng : numpy Generator
        Draws everything.
    """

    input_noise: float
    mixup: float
    n_numeric: int
    n_plain: int
    rng: np.random.Generator

    def with_rng(self, rng: np.random.Generator) -> Self:
        """Return the same augmentation, drawn by another generator."""
        return replace(self, rng=rng)

    def __call__(self, batch: Batch) -> Batch:
        """Return a changed copy of a batch."""
        X = batch.X.copy()
        if self.input_noise:
            numbers = X.data if sparse.issparse(X) else X[:, : self.n_numeric]
            noise = self.rng.standard_normal(numbers.shape, dtype=numbers.dtype)
            noise *= self.input_noise
            numbers += noise
        batch = batch._replace(X=X)
        return self._mix(batch) if self.mixup else batch

    def _mix(self, batch: Batch) -> Batch:
        """Return the mixup of a batch."""
        X, y, sample_weight = batch.X, batch.y, batch.sample_weight
        n_rows = X.shape[0]
        share = self.rng.beta(self.mixup, self.mixup, n_rows).astype(y.dtype)
        partner = self.rng.permutation(n_rows)
        column = share[:, np.newaxis]
        if sparse.issparse(X):
            mixed = (X.multiply(column) + X[partner].multiply(1 - column)).tocsr()
        else:
            mixed = X * column + X[partner] * (1 - column)
            own = self.rng.random((n_rows, X.shape[1] - self.n_plain)) < column
            levels = X[:, self.n_plain :]
            mixed[:, self.n_plain :] = np.where(own, levels, levels[partner])
        y = y * column + y[partner] * (1 - column)
        if sample_weight is not None:
            sample_weight = sample_weight * share + sample_weight[partner] * (1 - share)
        return Batch(mixed, y, sample_weight)
