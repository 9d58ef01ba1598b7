"""The network itself: a summary, and displays of its losses by epoch and of its weights."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknet._base import BaseNN, fitted
from sknet._requirements import require
from sknet._summary import Summary, summarize
from sknet.inspection.axes import (
    draw_curve,
    import_pyplot,
    one_axes,
    panels,
    write_legend,
)
from sknet.inspection.outputs import constant_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D


def summary(estimator: BaseNN) -> Summary:
    """Return the model card of a fitted estimator and a table of its layers.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        A fitted estimator.

    Returns
    -------
    Summary
        Its text is the card above the table, at most 100 characters wide. The card says what
        predictions mean, which constraints hold, which columns and rows the network was trained
        on, how training ended, and which version of sknet fitted the network. The table shows
        each layer's number of outputs, the number, memory and shapes of its parameters, and the
        fraction of weights that are exactly zero. ``card.to_dict()`` returns the card as data.
        The summary is also a sequence of the layers, and ``to_frame`` returns these as a pandas
        data frame.

    Raises
    ------
    TypeError
        If ``estimator`` is not an sknet estimator.
    NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.inspection import summary
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = NNClassifier((16, 8), activation="tanh", dtype="float64", max_iter=5,
    ...                          learning_rate="cosine", numeric_embedding=None, dropout=0,
    ...                          n_members=1, early_stopping=False)
    >>> table = summary(estimator.fit(X, y))
    >>> table  # doctest: +ELLIPSIS
    NNClassifier: 4 columns, 4 inputs, 3 outputs, float64
    <BLANKLINE>
    predicts         the probability of each class
    classes          0, 1, 2
    loss             MultinomialLogLoss()
    calibration      none
    interactions     of all columns
    columns          4
    numbers          4
    training rows    150
    validation rows  none
    epochs           5 of at most 5
    training ended   after all planned epochs
    parameters from  the last epoch
    parameters       243
    dtype            float64
    fitted with      sknet ...
    <BLANKLINE>
    layer          outputs  parameters   memory  zeros  shapes
    ------------------------------------------------------------------------------
    dense tanh          16          80  640.0 B   0.0%  weight (4, 16), bias (16,)
    dense tanh           8         136  1.1 KiB   0.0%  weight (16, 8), bias (8,)
    output, dense        3          27  216.0 B   0.0%  weight (8, 3), bias (3,)
    ------------------------------------------------------------------------------
    total                          243  1.9 KiB   0.0%
    >>> table[0].n_params
    80
    >>> table.card.to_dict()["training rows"]
    150
    """
    _, model = fitted(estimator)
    return summarize(estimator, model)


@dataclass(eq=False, repr=False)
class LossCurveDisplay:
    """Training and validation loss by epoch, the best epoch, and the learning rate.

    The best epoch is marked if there is a validation score. A history without learning rates,
    such as that of "lbfgs", is drawn by iteration.

    Create a display with :meth:`from_estimator` or :meth:`from_history`.

    Parameters
    ----------
    history : dict of str to list of float
        A training record, such as the ``history_`` of an estimator. The curves "loss",
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

    history: dict[str, list[float]]
    _: KW_ONLY
    best_iter: int | None = None

    @classmethod
    def from_estimator(
        cls, estimator: BaseNN, *, ax: "Axes | None" = None, learning_rate: bool = True
    ) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : NNClassifier, NNRegressor or NNMultiTarget
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
            If ``estimator`` is not an sknet estimator.
        """
        fitted(estimator)
        best = None if estimator.validation_scores_ is None else estimator.best_iter_
        display = cls(estimator.history_, best_iter=best)
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
        """Draw the curves of a training record.

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
        if "loss" not in history:
            raise ValueError(
                "history must have the losses by epoch under 'loss', like the history_ of an "
                f"estimator; it has {sorted(history)}."
            )
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
        ticker = require("matplotlib.ticker", extra="plot")
        ax = one_axes(ax, layout="constrained")
        epochs = np.arange(1, len(self.history["loss"]) + 1)
        step = "epoch" if "learning_rate" in self.history else "iteration"
        self.ax_: Axes = ax
        self.figure_: Figure | SubFigure = ax.figure
        self.lines_: dict[str, Line2D] = {
            name: draw_curve(ax, epochs, self.history[name], label=label)
            for name, label in self._LABELS.items()
            if name in self.history
        }
        if self.best_iter is not None:
            label = f"best {step}, {self.best_iter}"
            ax.axvline(self.best_iter, color="0.4", linestyle=":", label=label)
        ax.set(xlabel=step, ylabel="loss")
        options: dict[str, Any] = {"steps": [1, 2, 5, 10], "integer": True, "min_n_ticks": 1}
        ax.xaxis.set_major_locator(ticker.MaxNLocator("auto", **options))
        self.learning_rate_ax_: Axes | None = None
        handles = ax.get_legend_handles_labels()[0]
        if learning_rate and "learning_rate" in self.history:
            handles.append(self._plot_learning_rate(epochs))
        write_legend(ax, handles)
        return self

    def _plot_learning_rate(self, epochs: np.ndarray) -> "Line2D":
        """Draw the learning rate on its own axes, and return its curve."""
        ax, rates = self.ax_.twinx(), self.history["learning_rate"]
        # The marker of a single epoch may be behind that of a loss, so it is larger.
        style: dict[str, Any] = {"linestyle": "--", "color": "0.7", "markersize": 10}
        line = draw_curve(ax, epochs, rates, label="learning rate", **style)
        ax.set(ylabel="learning rate", ylim=(0, None))
        # The losses and their legend are drawn over this curve. Only the axes below may have a
        # background; from version 3.11 on, matplotlib does this itself.
        ax.patch.set_visible(self.ax_.patch.get_visible())
        self.ax_.set_zorder(ax.get_zorder() + 1)
        self.ax_.patch.set_visible(False)
        self.learning_rate_ax_, self.lines_["learning_rate"] = ax, line
        return line


@dataclass(eq=False, repr=False)
class WeightsDisplay:
    """The distribution of each layer's weights, and the fractions of zeros and dead units.

    Create a display with :meth:`from_estimator` or :meth:`from_weights`.

    Parameters
    ----------
    weights : list of ndarray
        Weight matrices, one for each layer.
    dead_units : list of float, default=None
        Fraction of dead units in each hidden layer, as :meth:`from_estimator` defines them.

    Attributes
    ----------
    sparsity : list of float
        Fraction of weights in each layer that are exactly zero.
    ax_ : matplotlib Axes
        Axes of the distributions of nonzero weights: a box from the first to the third
        quartile, a line at the median, and whiskers from the lowest to the highest weight.
    axes_ : ndarray of two matplotlib Axes
        The axes of the distributions, and the axes of the fractions.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import WeightsDisplay
    >>> estimator = NNRegressor((16,), alpha=0.1, l1_ratio=1, max_iter=50,
    ...                         learning_rate="cosine", learning_rate_init=0.01)
    >>> _ = estimator.fit(*load_diabetes(return_X_y=True))
    >>> WeightsDisplay.from_estimator(estimator).sparsity[0] > 0.3
    True
    """

    weights: list[NDArray[Any]]
    _: KW_ONLY
    dead_units: list[float] | None = None

    @property
    def sparsity(self) -> list[float]:
        """Fraction of weights in each layer that are exactly zero."""
        return [float(np.mean(weight == 0)) for weight in self.weights]

    @classmethod
    def from_estimator(cls, estimator: BaseNN, X: Any = None, *, ax: Any = None) -> Self:
        """Draw the weights of a fitted estimator.

        Parameters
        ----------
        estimator : NNClassifier, NNRegressor or NNMultiTarget
            A fitted estimator.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            A unit is dead if its output is the same for all these rows. Without X, a unit is
            dead if all its incoming or all its outgoing weights are zero.
        ax : matplotlib Axes or two of them, default=None
            The axes to draw on; one is divided into two. By default, a new figure is made.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If ``estimator`` is not an sknet estimator.
        ValueError
            If X does not match the table that the estimator was fitted to.
        """
        import_pyplot()
        fitted(estimator)
        weights = estimator.coefs_
        dead = disconnected_units(weights) if X is None else constant_units(estimator, X)
        return cls(weights, dead_units=dead).plot(ax=ax)

    @classmethod
    def from_weights(cls, weights: list[ArrayLike], *, ax: Any = None) -> Self:
        """Draw weight matrices, for example from several stages of training.

        Parameters
        ----------
        weights : list of ndarray
            Weight matrices, one for each layer.
        ax : matplotlib Axes or two of them, default=None
            The axes to draw on; one is divided into two. By default, a new figure is made.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return cls([np.asarray(weight) for weight in weights]).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the distributions and the fractions.

        Parameters
        ----------
        ax : matplotlib Axes or two of them, default=None
            The axes to draw on; one is divided into two. By default, a new figure is made.

        Returns
        -------
        self : WeightsDisplay
        """
        both = np.ravel(ax) if np.size(ax) == 2 else panels(ax, 2, 2, size=(4.5, 3.6))
        self.axes_: NDArray[Any] = both
        self.ax_: Axes = both[0]
        self.figure_: Figure | SubFigure = self.ax_.figure
        self._plot_distributions(self.ax_)
        self._plot_shares(self.axes_[1])
        return self

    def _plot_distributions(self, ax: "Axes") -> None:
        used = [weight[weight != 0] for weight in self.weights]
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.boxplot([w.ravel() if w.size else [0.0] for w in used], whis=(0, 100))
        ax.set(xlabel="layer", ylabel="weights that are not zero")

    def _plot_shares(self, ax: "Axes") -> None:
        layers = np.arange(1, len(self.weights) + 1)
        ax.bar(layers - 0.2, self.sparsity, width=0.4, label="weights that are zero")
        if self.dead_units is not None:
            places = layers[: len(self.dead_units)] + 0.2
            ax.bar(places, self.dead_units, width=0.4, label="dead units")
        ax.set(xlabel="layer", ylabel="share", ylim=(0, 1), xticks=layers)
        ax.legend(loc="best")


def disconnected_units(weights: list[NDArray[Any]]) -> list[float]:
    """Return each hidden layer's fraction of units that lack incoming or outgoing weights.

    The last matrix of members that share weights has a leading axis of members, which share the
    units. The matrices of separate members, and those of hidden layers of groups of columns,
    have a leading axis of these, each with its own units.
    """
    shares = []
    for entering, leaving in zip(weights[:-1], weights[1:], strict=True):
        entered = (entering != 0).any(axis=-2)
        units_are_shared = entering.ndim == 2 and leaving.ndim == 3
        left = (leaving != 0).any(axis=(0, 2) if units_are_shared else -1)
        in_use = entered.ravel() & left.ravel()
        shares.append(float(np.mean(~in_use)))
    return shares
