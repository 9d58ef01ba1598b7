"""More varied training data: noise on the inputs, and mixtures of rows."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sknet.data.batches import Batch


@dataclass(frozen=True)
class Augmentation:
    """Changes encoded mini-batches at random.

    ``input_noise`` is the standard deviation of normal noise on the ``n_numeric`` leading
    columns (of sparse rows, on what is stored). ``mixup`` is a: each row becomes
    lambda row + (1 - lambda) partner, targets and weights alike, with a random partner of its
    batch and lambda drawn from Beta(a, a); Zhang, Cisse, Dauphin and Lopez-Paz (2018). Columns
    from ``n_plain`` on are level numbers, which cannot be mixed: they come from the row with
    probability lambda, else from the partner.
    """

    input_noise: float
    mixup: float
    n_numeric: int
    n_plain: int
    rng: np.random.Generator

    def __call__(self, batch):
        """Return a changed batch; the given one stays as it is."""
        X = batch.X.copy()
        if self.input_noise:
            numbers = X.data if sparse.issparse(X) else X[:, : self.n_numeric]
            noise = self.rng.standard_normal(numbers.shape, dtype=numbers.dtype)
            noise *= self.input_noise
            numbers += noise
        batch = batch._replace(X=X)
        return self._mix(batch) if self.mixup else batch

    def _mix(self, batch):
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
