"""Learning-rate schedules: factors of ``learning_rate_init``.

To add a schedule, derive a frozen dataclass from :class:`Schedule`, define ``__call__``, and
add a line to :data:`SCHEDULES`. If a field has the name of an estimator's parameter, such as
``power_t``, a schedule that is chosen by name takes the value of that parameter.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

from sknet.nn.rules import CLOSED_UNIT_INTERVAL, NOT_NEGATIVE, OPEN_UNIT_INTERVAL, Rule


class Schedule(Rule, ABC):
    """A factor of the initial learning rate that depends on how far training has come."""

    #: Whether the factor depends on ``progress`` and falls to zero at ``progress=1``.
    has_horizon: ClassVar[bool] = False
    #: Whether a plateau divides the learning rate by five instead of ending training.
    reduces_on_plateau: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, progress: float, samples_seen: int) -> float:
        """Return the factor for the next update.

        Parameters
        ----------
        progress : float in [0, 1)
            The part of the plan that is over. If nothing shortens the plan, it is the number of
            updates so far, divided by the number of updates in ``max_iter`` epochs.
        samples_seen : int
            The number of rows of all earlier epochs.

        Returns
        -------
        float
            A Python float, since a NumPy scalar would turn float32 parameters into float64.
        """


@dataclass(frozen=True)
class Constant(Schedule):
    """The factor is always 1."""

    def __call__(self, progress: float, samples_seen: int) -> float:
        return 1.0


@dataclass(frozen=True)
class Adaptive(Constant):
    """The factor is 1. Each time training stalls, the learning rate is divided by five.

    Training stalls if ``n_iter_no_change`` epochs in a row improve too little. If the learning
    rate is then at most 1e-6, training ends, as in scikit-learn.
    """

    reduces_on_plateau = True


@dataclass(frozen=True)
class InvScaling(Schedule):
    """1 / (samples_seen + 1)^power_t, as in scikit-learn.

    Parameters
    ----------
    power_t : float >= 0, default=0.5
    """

    power_t: Annotated[float, NOT_NEGATIVE] = 0.5

    def __call__(self, progress: float, samples_seen: int) -> float:
        return (samples_seen + 1) ** -self.power_t


@dataclass(frozen=True)
class Cosine(Schedule):
    """(1 + cos(pi progress)) / 2: Loshchilov and Hutter (2017), equation 5, one cycle."""

    has_horizon = True

    def __call__(self, progress: float, samples_seen: int) -> float:
        return 0.5 + 0.5 * math.cos(math.pi * progress)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """A rise from ``start`` to 1, then a fall to zero, each of them half a cosine wave.

    Smith and Topin (2018), without cycling the momentum.

    Parameters
    ----------
    warm_up : float in (0, 1), default=0.3
        The value of ``progress`` at the end of the rise.
    start : float in [0, 1], default=0.04
        The first factor.
    """

    warm_up: Annotated[float, OPEN_UNIT_INTERVAL] = 0.3
    start: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.04
    has_horizon = True

    def __call__(self, progress: float, samples_seen: int) -> float:
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

    def __call__(self, progress: float, samples_seen: int) -> float:
        return 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(1 + 15 * progress))


#: Schedules by name.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "adaptive": Adaptive,
    "invscaling": InvScaling,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "coslog": CosLog,
}
