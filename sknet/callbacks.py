"""Callbacks for ``set_callbacks``, in the protocol of scikit-learn 1.9's ``FitCallback``."""

import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from numbers import Real
from pathlib import Path
from time import monotonic
from typing import Any

from sknet._base import BaseNN
from sknet._persistence import save_checkpoint
from sknet._requirements import check_count, without_callbacks
from sknet.nn.rules import POSITIVE_OR_INFINITE, Interval


class FitCallback:
    """The base class of callbacks. Subclasses must define ``on_fit_task_end``.

    The methods of this class do nothing.
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing before a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing after a fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing before a task."""

    def on_progress(self, estimator: Any, context: Any, make_fitted: Callable[[], Any]) -> None:
        """Do nothing within an epoch of ``fit_chunks``.

        This method is not part of scikit-learn's protocol. It is called after each batch except
        the last one of an epoch, with the context of the fit. ``make_fitted()`` returns a
        fitted estimator, like ``fitted_estimator`` after an epoch. Its ``history_`` has the
        epochs before this one.
        """


class Checkpoint(FitCallback):
    """Saves the state of a fit every few epochs, to resume an interrupted fit (except "lbfgs").

    The file holds the estimator as if its fit had ended after the saved epoch, so
    ``joblib.load`` returns an estimator that can predict. With the same data and parameters,
    ``fit(..., resume_from=path)`` continues the training. It ends with the same parameters as
    an uninterrupted fit, bit for bit. :func:`~sknet.streaming.fit_chunks` can also resume, and
    can save within an epoch. A new file replaces the old one only when it is complete. The file
    has a checksum, by which ``resume_from`` detects damage.

    Parameters
    ----------
    path : path-like
        The file to write. It is a pickle: load only files from people you trust.
    every : int, default=1
        The number of epochs between two saves.
    seconds : float, default=None
        Within an epoch of :func:`~sknet.streaming.fit_chunks`, the training is also saved when
        this many seconds have passed since it started or was last saved. None saves only after
        epochs, as in ``fit``.

    Raises
    ------
    TypeError
        If ``seconds`` is neither None nor a number.
    ValueError
        If ``every`` is not a positive integer, or if ``seconds`` is not positive.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.callbacks import Checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> path = Path(tempfile.mkdtemp()) / "iris.joblib"
    >>> network = NNClassifier(max_iter=20, early_stopping=False, random_state=0)
    >>> _ = network.set_callbacks(Checkpoint(path, every=5)).fit(X, y)
    >>> network.set_callbacks().fit(X, y, resume_from=path).n_iter_
    20
    """

    def __init__(
        self, path: str | os.PathLike[str], *, every: int = 1, seconds: float | None = None
    ):
        check_count("every", every)
        limits = Interval(Real, 0, math.inf, closed="right", none=True)
        limits.check("Checkpoint", "seconds", seconds)
        self.path: Path = Path(path)
        self.every = every
        self.seconds = seconds
        self._saved_at = -math.inf

    def setup(self, estimator: Any, context: Any) -> None:
        """Check that the callback is set on an sknet estimator, and that it can write its file.

        Raises
        ------
        ValueError
            If the callback is set on another estimator, such as a pipeline or a search.
        OSError
            If the folder of the file does not exist or cannot be written to, or if the path
            is a folder itself.
        """
        if not isinstance(estimator, BaseNN):
            raise ValueError(
                f"Set Checkpoint on the sknet network, not on {type(estimator).__name__}."
            )
        self._check_path()
        self._saved_at = monotonic()

    def _check_path(self) -> None:
        """Refuse an unwritable path before the first epoch, not after it."""
        folder = self.path.parent
        if self.path.is_dir():
            raise IsADirectoryError(
                f"{self.path} is a folder. Give Checkpoint the path of a file in it."
            )
        if not folder.is_dir():
            raise FileNotFoundError(
                f"Checkpoint writes {self.path}, but there is no folder {folder.absolute()}. "
                "Create it before the fit, or give another path."
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(
                f"Checkpoint writes {self.path}, but has no permission to write to the folder "
                f"{folder.absolute()}. Give another path, or change the folder's permissions."
            )

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Save the estimator after every ``every``-th epoch."""
        if context.task_name == "epoch" and (context.task_id + 1) % self.every == 0:
            self._save(fitted_estimator)

    def on_progress(self, estimator: Any, context: Any, make_fitted: Callable[[], Any]) -> None:
        """Save the estimator within an epoch, if enough time has passed since the last save."""
        if self.seconds is not None and monotonic() - self._saved_at >= self.seconds:
            self._save(make_fitted())

    def _save(self, fitted_estimator: Any) -> None:
        save_checkpoint(without_callbacks(fitted_estimator), self.path)
        self._saved_at = monotonic()


class TimeLimit(FitCallback):
    """Stops a fit after the first epoch that ends later than a time limit.

    It cuts off fits that take too long, and changes no others. If you expect a fit to reach the
    limit, set the parameter ``time_limit`` of the estimator instead. ``fit`` then plans the
    training for that many seconds, so that the learning rate falls to zero in time.

    Parameters
    ----------
    seconds : float
        The time limit in seconds, counted from the start of the training: after ``fit`` has
        read the table, or after the first pass of :func:`~sknet.streaming.fit_chunks`. It may
        be infinite.

    Raises
    ------
    TypeError
        If ``seconds`` is not a number.
    ValueError
        If ``seconds`` is not positive.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.callbacks import TimeLimit
    >>> network = NNClassifier(max_iter=1_000_000)
    >>> network.set_callbacks(TimeLimit(0.2)).fit(*load_iris(return_X_y=True)).n_iter_ > 1
    True
    """

    def __init__(self, seconds: float):
        POSITIVE_OR_INFINITE.check("TimeLimit", "seconds", seconds)
        self.seconds = seconds

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Return whether the time limit has passed at the end of an epoch."""
        if context.task_name != "epoch":
            return False
        return (datetime.now(UTC) - context.parent.init_time).total_seconds() > self.seconds
