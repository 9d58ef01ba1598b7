"""Penalties on the weights, as a smooth part and a proximal step."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sknet.nn.kernels import Array
from sknet.nn.rules import CLOSED_UNIT_INTERVAL, NOT_NEGATIVE, Rule


@dataclass(frozen=True)
class ElasticNet(Rule):
    """alpha (l1_ratio ||w||_1 + (1 - l1_ratio) / 2 ||w||_2^2).

    The quadratic part joins the gradient. The L1 part has no gradient at zero and acts by
    its proximal step alone, so that weights reach exactly zero.

    Parameters
    ----------
    alpha : float >= 0, default=0.0
        The strength of the penalty.
    l1_ratio : float in [0, 1], default=0.0
        The share of the L1 part.
    """

    alpha: Annotated[float, NOT_NEGATIVE] = 0.0
    l1_ratio: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.0

    @property
    def l1(self) -> float:
        """The factor of ||w||_1."""
        return self.alpha * self.l1_ratio

    @property
    def l2(self) -> float:
        """The factor of ||w||_2^2 / 2."""
        return self.alpha * (1 - self.l1_ratio)

    def value(self, w: Array) -> float:
        """Return the penalty of the weights ``w``, a vector."""
        value, l1, l2 = 0.0, self.l1, self.l2
        if l1:
            value += l1 * float(np.abs(w).sum())
        if l2:
            value += l2 / 2 * float(w.dot(w))
        return value

    def add_gradient(self, w: Array, out: Array) -> None:
        """Add the gradient of the smooth part to ``out``."""
        l2 = self.l2
        if l2:
            out += l2 * w

    def prox(self, w: Array, step: float | Array) -> None:
        """Shrink ``w`` in place by soft thresholding: sign(w) max(|w| - step l1, 0).

        ``step`` is the step that the optimizer takes per unit of gradient: one number, or one
        for each weight.
        """
        if self.l1:
            threshold = step * self.l1
            # w minus its projection onto [-threshold, threshold].
            w -= np.clip(w, -threshold, threshold)
