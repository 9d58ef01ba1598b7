"""The losses of a training by epoch."""

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sknet._base import BaseNN, fitted
from sknet.inspection.arguments import check_history
from sknet.inspection.displays.axes import import_pyplot, one_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class LossCurveDisplay:
    """Training and validation loss by epoch, the best epoch, and the learning rate.

    Create a display with :meth:`from_estimator` or :meth:`from_history`.

    Parameters
    ----------
    history : dict of str to list of float
        A record of a training, such as the ``history_`` of an estimator. The curves "loss",
        "validation_loss" and "learning_rate" are drawn; the last two may be missing.
    best_iter : int, default=None
        The epoch that is marked, counted from 1.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the losses.
    learning_rate_ax_ : matplotlib Axes or None
        Axes of the learning rate, on the right.
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        The curves, by their names in the history.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import LossCurveDisplay
    >>> estimator = NNRegressor((16,), max_iter=20, learning_rate="cosine", early_stopping=True,
    ...                         random_state=0).fit(*load_diabetes(return_X_y=True))
    >>> display = LossCurveDisplay.from_estimator(estimator)
    >>> sorted(display.lines_)
    ['learning_rate', 'loss', 'validation_loss']
    """

    _LABELS: ClassVar = {"loss": "training", "validation_loss": "validation"}

    def __init__(self, history: dict[str, list[float]], *, best_iter: int | None = None):
        self.history = history
        self.best_iter = best_iter

    @classmethod
    def from_estimator(
        cls, estimator: BaseNN, *, ax: "Axes | None" = None, learning_rate: bool = True
    ) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : NNClassifier or NNRegressor
            A fitted estimator.
        ax : matplotlib Axes, default=None
            The axes to draw on; by default, those of a new figure.
        learning_rate : bool, default=True
            Whether to draw the learning rate as well.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not one of sknet.
        """
        import_pyplot()
        fitted(estimator)
        display = cls(estimator.history_, best_iter=estimator.best_iter_)
        return display.plot(ax=ax, learning_rate=learning_rate)

    @classmethod
    def from_history(
        cls,
        history: dict[str, list[float]],
        *,
        best_iter: int | None = None,
        ax: "Axes | None" = None,
        learning_rate: bool = True,
    ) -> Self:
        """Draw the curves of a record of a training.

        Parameters
        ----------
        history : dict of str to list of float
            A record like the ``history_`` of an estimator.
        best_iter : int, default=None
            The epoch that is marked, counted from 1.
        ax : matplotlib Axes, default=None
            The axes to draw on; by default, those of a new figure.
        learning_rate : bool, default=True
            Whether to draw the learning rate as well.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the history has no losses.
        """
        import_pyplot()
        check_history(history)
        return cls(history, best_iter=best_iter).plot(ax=ax, learning_rate=learning_rate)

    def plot(self, ax: "Axes | None" = None, *, learning_rate: bool = True) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; by default, those of a new figure.
        learning_rate : bool, default=True
            Whether to draw the learning rate as well.

        Returns
        -------
        self : LossCurveDisplay
        """
        ax = one_axes(ax)
        epochs = np.arange(1, len(self.history["loss"]) + 1)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {
            name: ax.plot(epochs, self.history[name], label=label)[0]
            for name, label in self._LABELS.items()
            if name in self.history
        }
        if self.best_iter is not None:
            label = f"best epoch, {self.best_iter}"
            ax.axvline(self.best_iter, color="0.4", linestyle=":", label=label)
        ax.set(xlabel="epoch", ylabel="loss")
        self.learning_rate_ax_: Axes | None = None
        handles = ax.get_legend_handles_labels()[0]
        if learning_rate and "learning_rate" in self.history:
            handles.append(self._plot_learning_rate(epochs))
        ax.legend(handles=handles, loc="best")
        return self

    def _plot_learning_rate(self, epochs: np.ndarray) -> "Line2D":
        """Draw the learning rate on axes of its own, and return its curve."""
        ax = self.learning_rate_ax_ = self.ax_.twinx()
        (line,) = ax.plot(
            epochs,
            self.history["learning_rate"],
            color="0.7",
            linestyle="--",
            label="learning rate",
        )
        ax.set(ylabel="learning rate", ylim=(0, None))
        self.lines_["learning_rate"] = line
        return line
