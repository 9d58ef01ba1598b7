"""What is drawn at random: samples of rows, validation rows, and changes to batches."""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from sknet._requirements import warn
from sknet.data.batches import Batch, Dataset
from sknet.data.copies import class_numbers, with_copies_grouped
from sknet.data.joint import known_targets

Labels = NDArray[Any] | None

#: The number of rows from which quantiles are estimated; larger tables are sampled at random.
QUANTILE_ROWS = 100_000
#: The maximum size, in bytes, of a sample that must be copied, such as one from a table that is
#: read in blocks, comes in chunks, or is on a cluster.
SAMPLE_BYTES = 2**27
#: The maximum number of rows of a stratified split, which makes a Python object for each row. A
#: random split of more rows keeps the shares of the classes nearly as well.
STRATIFIED_ROWS = 2**22
#: The number of times that groups are dealt out at random; the most even deal is chosen.
DEALS = 20


def draw_rows(n_rows: int, n_wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the increasing positions of ``n_wanted`` random rows, or of all if fewer exist."""
    if n_rows <= n_wanted:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, n_wanted, replace=False))


def same_positions(n_rows: int, n_wanted: int) -> NDArray[np.intp]:
    """Return the positions of rows as :func:`draw_rows` does, the same ones in each call."""
    # Evenly spaced rows of an ordered table might lack most of the levels.
    return draw_rows(n_rows, n_wanted, np.random.default_rng(0))


def same_rows(data: Dataset, n_wanted: int) -> Dataset:
    """Return at most ``n_wanted`` of the rows, the same ones in each call."""
    if data.n_rows <= n_wanted:
        return data
    return data.choose(same_positions(data.n_rows, n_wanted))


def most_copied_rows(row_bytes: float) -> int:
    """Return the maximum number of rows of a copied sample, given the bytes of a row."""
    return min(QUANTILE_ROWS, max(1, int(SAMPLE_BYTES / max(1, row_bytes))))


def count_validation_rows(n_rows: int, fraction: float) -> int:
    """Return how many of ``n_rows`` rows to validate with, at least two.

    Raises
    ------
    ValueError
        If the fraction is less than one row, or if no row is left to train on.
    """
    n_validation = max(2, math.ceil(n_rows * fraction))
    if n_rows * fraction < 1 or n_validation >= n_rows:
        raise ValueError(
            "The validation set is too small, or leaves no rows to train on: "
            f"the fraction {fraction} of n_samples={n_rows} of positive weight is "
            f"{n_rows * fraction:.3g}. It must be at least 1; early stopping holds out two "
            "rows or more, and needs others to train on. Change validation_fraction, give more "
            "rows, or set early_stopping=False."
        )
    return n_validation


def split_rows(
    n_rows: int, fraction: float, labels: Labels, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the rows to train on, and of the rows to validate with.

    Parameters
    ----------
    n_rows : int
    fraction : float
        The share of the rows to validate with. Their number is rounded up, and at least two.
    labels : array of shape (n_rows,) or None
        Classes whose shares both parts keep, if there are at most ``STRATIFIED_ROWS`` rows.
    seed : int

    Raises
    ------
    ValueError
        If the fraction is less than one row, or if no row is left to train on.

    Warns
    -----
    UserWarning
        If the classes cannot keep their shares: one has a single row, or there are more
        classes than validation rows or training rows.
    """
    n_validation = count_validation_rows(n_rows, fraction)
    if labels is not None and not _can_stratify(labels, n_validation):
        warn(
            "The validation set is not stratified, since a class has a single row or there "
            "are more classes than validation rows or training rows. To stratify it, give more "
            "rows of each class, or change validation_fraction."
        )
        labels = None
    stratified = labels is not None and n_rows <= STRATIFIED_ROWS
    splitter = StratifiedShuffleSplit if stratified else ShuffleSplit
    # train_test_split would make the same split, but would copy the rows.
    rows = np.broadcast_to(0.0, n_rows)
    return next(splitter(1, test_size=n_validation, random_state=seed).split(rows, labels))


def deal_rows(n_rows: int, n_parts: int, labels: Labels, seed: int) -> NDArray[np.intp]:
    """Divide rows into equal parts, and return the number of the part of each row.

    The shuffled rows are dealt out like cards, one class after another, so that the numbers of
    rows of a class in any two parts differ by at most one.
    """
    order = np.random.default_rng(seed).permutation(n_rows)
    if labels is not None:
        classes = class_numbers(labels, n_rows)
        order = order[np.argsort(classes[order], kind="stable")]
    parts = np.empty(n_rows, np.intp)
    parts[order] = np.arange(n_rows) % n_parts
    return parts


def deal_groups(
    data: Dataset, shares: NDArray[np.float64], labels: Labels, seed: int
) -> NDArray[np.intp]:
    """Divide whole groups into parts, and return the number of the part of each row.

    The shuffled groups are dealt out ``DEALS`` times. The result is the deal in which the parts
    come closest to their shares of the rows of each class, or of the rows that have the same
    targets if there are several with gaps.

    Parameters
    ----------
    data : Dataset
        The rows, with the number of the group of each.
    shares : ndarray of shape (n_parts,)
        The requested shares of the parts. There are at least as many groups as parts, and each
        part gets at least one group.
    labels : array of shape (n_rows,) or None
    seed : int
    """
    of_row = np.unique(cast(Any, data.groups), return_inverse=True)[1]
    if labels is None and data.y is not None and data.y.dtype.names is not None:
        labels = np.unique(known_targets(data.y), axis=0, return_inverse=True)[1].ravel()
    classes = class_numbers(labels, of_row.size)
    n_groups, n_parts, sizes = of_row.max() + 1, shares.size, np.bincount(classes)
    least = np.arange(1, n_parts)
    limits = np.rint(np.cumsum(shares)[:-1] * n_groups).clip(least, least + n_groups - n_parts)
    parts = np.searchsorted(limits, np.arange(n_groups), side="right")

    def unevenness(dealt: NDArray[np.intp]) -> float:
        cells = dealt[of_row] * sizes.size + classes
        counts = np.bincount(cells, minlength=n_parts * sizes.size)
        found = counts.reshape(n_parts, sizes.size) / sizes
        return float(np.abs(found - shares[:, np.newaxis]).sum())

    rng = np.random.default_rng(seed)
    return min((rng.permutation(parts) for _ in range(DEALS)), key=unevenness)[of_row]


def cross_fitted(
    data: Dataset, n_members: int, n_parts: int, labels: Labels, seed: int
) -> tuple[Dataset, Dataset]:
    """Return all rows with training weights, and held-out rows with validation weights.

    The rows, or whole groups, are divided into parts, and each member has one of them. Each row
    has a weight for each member: a member is trained on the rows of all other parts, and scored
    on those of its own part. So no member is scored on a row that it was trained on.

    Parameters
    ----------
    data : Dataset
    n_members : int
    n_parts : int >= n_members
    labels : array of shape (n_rows,) or None
        Classes whose shares all parts keep.
    seed : int
    """
    data = with_copies_grouped(data, labels, 1 / n_parts)
    if data.groups is None:
        parts = deal_rows(data.n_rows, n_parts, labels, seed)
        # The rows of a rare class are in consecutive parts, so the members' parts are spread
        # out.
        of_members = np.arange(n_members) * n_parts // n_members
    else:
        of_members = np.arange(n_members)
        rest = [1 - n_members / n_parts] if n_members < n_parts else []
        shares = np.array([1 / n_parts] * n_members + rest)
        parts = deal_groups(data, shares, labels, seed)
    held_out = parts[:, np.newaxis] == of_members
    weight = np.ones(data.n_rows) if data.sample_weight is None else data.sample_weight
    column = weight[:, np.newaxis]
    trained = data._replace(sample_weight=column * ~held_out)
    validating = data._replace(sample_weight=column * held_out)
    return trained, validating.choose(np.flatnonzero(held_out.any(axis=1)))


def _can_stratify(labels: NDArray[Any], n_validation: int) -> bool:
    """Whether each class has two rows, and each side of the split has room for all classes."""
    counts = np.unique(labels, return_counts=True)[1]
    smaller_part = min(n_validation, labels.shape[0] - n_validation)
    return bool(counts.min() >= 2 and counts.size <= smaller_part)


@dataclass(frozen=True)
class Augmentation:
    """Random changes to encoded mini-batches.

    Mixup replaces each row with lambda row + (1 - lambda) partner, where the partner is a
    random row of the batch and lambda is drawn from Beta(a, a); targets and weights are mixed
    likewise. Level numbers cannot be mixed: with probability lambda, a row keeps its own, and
    otherwise it takes the level number of its partner. Zhang, Cisse, Dauphin and Lopez-Paz,
    "mixup: Beyond Empirical Risk Minimization" (2018). In cross-fitting, both rows are held out
    for the same member, or neither is held out.

    Parameters
    ----------
    input_noise : float
        The standard deviation of normal noise on the numeric columns; in sparse rows, on the
        stored numbers. 0 means no noise.
    mixup : float
        The parameter a of the Beta distribution. 0 means no mixup.
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
        share = self.rng.beta(self.mixup, self.mixup, X.shape[0]).astype(y.dtype)
        partner = self._partners(sample_weight, share.size)
        column = share[:, np.newaxis]
        if sparse.issparse(X):
            mixed = (X.multiply(column) + X[partner].multiply(1 - column)).tocsr()
        else:
            mixed = X * column + X[partner] * (1 - column)
            levels = X[:, self.n_plain :]
            own = self.rng.random(levels.shape) < column
            mixed[:, self.n_plain :] = np.where(own, levels, levels[partner])
        y = y * column + y[partner] * (1 - column)
        if sample_weight is not None:
            own = share if sample_weight.ndim == 1 else column
            sample_weight = sample_weight * own + sample_weight[partner] * (1 - own)
        return Batch(mixed, y, sample_weight)

    def _partners(
        self, sample_weight: NDArray[np.floating] | None, n_rows: int
    ) -> NDArray[np.intp]:
        """Return the position of the random partner of each row.

        In cross-fitting, a row and its partner are held out for the same member. If they were
        not, a member would learn from the targets that it is scored on.
        """
        order = self.rng.permutation(n_rows)
        if sample_weight is None or sample_weight.ndim == 1:
            return order
        held_out = sample_weight == 0
        member = np.where(held_out.any(axis=1), held_out.argmax(axis=1), -1)
        partner = np.empty_like(order)
        by_member = np.argsort(member, kind="stable")
        partner[by_member] = order[np.argsort(member[order], kind="stable")]
        return partner


@dataclass(frozen=True)
class Corruption:
    """Replaces random cells of encoded mini-batches with those of other rows of the batch.

    All encoded columns of a cell change together. Only changed cells remain targets: the others
    become NaN, which is not scored. Values of other rows keep the distribution of each column:
    Bahri, Jiang, Tay and Metzler, "SCARF" (2022), section 3. Predicting the original values is
    the second pretext task of Yoon, Zhang, Jordon and van der Schaar, "VIME" (2020), section 4.

    Parameters
    ----------
    share : float
        The probability that a cell is changed.
    sources : ndarray of int of shape (n_encoded,)
        The column of the table that each encoded column comes from.
    of_targets : ndarray of int of shape (n_targets,)
        The column of the table that each target holds.
    rng : numpy Generator
        Draws everything.
    """

    share: float
    sources: NDArray[np.intp]
    of_targets: NDArray[np.intp]
    rng: np.random.Generator

    def __call__(self, batch: Batch) -> Batch:
        """Return a changed copy of a batch."""
        X, y = batch.X, batch.y
        shape = len(X), 1 + int(self.sources.max())
        changed = self.rng.random(shape) < self.share
        others = self.rng.integers(len(X), size=shape)[:, self.sources]
        mixed = np.where(changed[:, self.sources], np.take_along_axis(X, others, axis=0), X)
        targets = np.where(changed[:, self.of_targets], y, y.dtype.type(np.nan))
        return Batch(mixed, targets, batch.sample_weight)
