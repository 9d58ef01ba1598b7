"""Learning-rate schedules: factors of ``learning_rate_init``.

To add one: a frozen dataclass with ``__call__`` and a line in :data:`SCHEDULES`. A field
named like an estimator's parameter takes that parameter's value.
"""

import math
from dataclasses import dataclass
from typing import ClassVar


class Schedule:
    """A factor of the initial learning rate, given how far training has come.

    ``progress`` in [0, 1) is the share of all updates that lie behind, with ``max_iter``
    epochs as the whole; ``samples_seen`` counts the rows of all earlier epochs.
    """

    #: Whether the factor depends on ``progress`` and goes to zero at its end.
    has_horizon: ClassVar[bool] = False

    def __call__(self, progress, samples_seen):
        """Return the factor for the next update."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """1."""

    def __call__(self, progress, samples_seen):
        return 1.0


@dataclass(frozen=True)
class InvScaling(Schedule):
    """1 / (samples_seen + 1)^power_t, as in scikit-learn."""

    power_t: float = 0.5

    def __call__(self, progress, samples_seen):
        return (samples_seen + 1) ** -self.power_t


@dataclass(frozen=True)
class Cosine(Schedule):
    """(1 + cos(pi progress)) / 2: Loshchilov and Hutter (2017), equation 5, one cycle."""

    has_horizon = True

    def __call__(self, progress, samples_seen):
        return 0.5 + 0.5 * math.cos(math.pi * progress)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From ``start`` up to 1 over the first ``warm_up`` of training, then down to zero.

    Both legs are half cosines. Smith and Topin (2018), without the cycle of the momentum.
    """

    warm_up: float = 0.3
    start: float = 0.04
    has_horizon = True

    def __post_init__(self):
        if not 0 < self.warm_up < 1:
            raise ValueError(f"warm_up must be in (0, 1), got {self.warm_up!r}.")

    def __call__(self, progress, samples_seen):
        if progress < self.warm_up:
            rise = 0.5 - 0.5 * math.cos(math.pi * progress / self.warm_up)
            return self.start + (1 - self.start) * rise
        return 0.5 + 0.5 * math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))


@dataclass(frozen=True)
class CosLog(Schedule):
    """1/2 - cos(2 pi log2(1 + 15 progress)) / 2: four ever longer cycles that end at zero.

    Holzmueller, Grinsztajn and Steinwart, "Better by Default" (2024), section 3.
    """

    has_horizon = True

    def __call__(self, progress, samples_seen):
        return 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + 15 * progress))


#: Schedules by name.
SCHEDULES = {
    "constant": Constant,
    "invscaling": InvScaling,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "coslog": CosLog,
}
