"""The time that a fit may take, and the planned steps to leave out for lack of time."""

import math
from collections.abc import Callable
from time import perf_counter
from typing import Any

#: For this first fraction of the time of a training run, steps are only measured.
MEASURED = 0.05
#: The work after the last step takes as long as this many evaluations: the result is evaluated,
#: and the certainty of predictions is fitted to rows that are encoded again.
EVALUATIONS = 3


class Budget:
    """The number of seconds that a fit may take, from the moment when this object is made.

    If that is too few for the plan, some planned steps are left out after each step. At the
    speed measured so far, the plan then ends when the time is up.

    Parameters
    ----------
    seconds : float or None, default=None
        None and infinity set no limit.
    clock : callable, default=time.perf_counter
        ``clock()`` returns the time in seconds.
    """

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = perf_counter):
        self._clock = clock
        self._begun = clock()
        self._end = self._begun + (math.inf if seconds is None else seconds)
        self._n_steps = -1

    def __reduce__(self) -> tuple[Any, ...]:
        # Clocks of other machines have other zeros, so the time left counts from unpickling.
        return Budget, (self._end - self._clock(), self._clock)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._end < math.inf

    def begin(self, evaluate: Callable[[], Any] | None = None) -> None:
        """Begin to measure the steps of a training run, and reserve time for the work after it.

        Calls of ``evaluate()`` estimate this time. None reserves no time.
        """
        if self.is_limited and evaluate is not None:
            # The first call may take far longer than those that follow.
            self._end -= EVALUATIONS * min(self._seconds_of(evaluate) for _ in range(2))
        self._begun = self._clock()

    def _seconds_of(self, task: Callable[[], Any]) -> float:
        """Return how long a task takes."""
        before = self._clock()
        task()
        return self._clock() - before

    def left_out(self, n_ahead: float) -> float:
        """Return how many planned steps to leave out after the step that was just made.

        If n planned steps are ahead and the time left allows f steps, each of these stands for
        n / f planned steps, so n / f - 1 are left out.

        Parameters
        ----------
        n_ahead : float
            The number of planned steps ahead.
        """
        now = self._clock()
        self._n_steps += 1
        if self._n_steps == 0:
            # The first step may take far longer than those that follow.
            self._begun = now
        spent, left = now - self._begun, self._end - now
        if left <= 0:
            return n_ahead
        if spent <= MEASURED * (spent + left):
            return 0.0
        n_each = n_ahead * spent / (self._n_steps * left)
        return min(max(n_each - 1, 0.0), n_ahead)
