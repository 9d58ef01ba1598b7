"""The levels of a category that the network tells apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

#: Most levels of a category that get a column each. With more, nearly all entries of the
#: columns are zero, and each level is too rare to learn a weight for every hidden unit; an
#: embedding learns a few numbers for each level instead.
MOST_ONE_HOT_LEVELS = 16


class Category:
    """The levels of one category that the network tells apart.

    Parameters
    ----------
    counts : ndarray of shape (n_levels,)
        How often each level occurs in training, where weights count as repetitions.
    has_missing : bool
        Whether training had missing values.
    keep_rare : bool
        Whether a level that occurs once, or not yet, gets a place of its own.

    Attributes
    ----------
    n_levels : int
        The number of levels told apart. If ``has_rest``, the last of them is shared by rare
        levels and missing values.
    has_rest : bool
        Whether there is such a shared level.
    embedded : bool
        Whether there are too many levels for a column each.
    prior_rows : float
        If so, how many rows the prior of the effect of a level on y is worth; 0 until
        :meth:`TableEncoder.learn_from_target` was called.
    """

    def __init__(self, counts: NDArray[np.float64], has_missing: bool, keep_rare: bool) -> None:
        kept = np.ones(counts.size, bool) if keep_rare else counts > 1
        self.has_rest: bool = bool(has_missing or (counts[~kept] > 0).any())
        self.n_levels: int = int(kept.sum()) + self.has_rest
        self.embedded: bool = self.n_levels > MOST_ONE_HOT_LEVELS
        # A level without a place of its own gets the shared one, or else one past the last.
        rest = self.n_levels - self.has_rest
        self._kept = np.flatnonzero(kept)
        self._position = np.full(counts.size + 1, rest)
        self._position[self._kept] = np.arange(self._kept.size)
        self.prior_rows: float = 0.0

    def levels(self, codes: Floats) -> NDArray[np.intp]:
        """Return the place of each level number; ``n_levels`` stands for none of the levels."""
        unknown = np.isnan(codes)
        return self._position[np.where(unknown, self._position.size - 1, codes).astype(int)]

    def level_names(self, levels: Sequence[Any]) -> list[Any]:
        """Return the names of the levels that are told apart, given the names of all levels."""
        return [levels[i] for i in self._kept.tolist()] + ["other"] * self.has_rest
