"""Pictures of a fitted network, in scikit-learn's Display convention; they need matplotlib."""

import numpy as np

from sknet._base import fitted
from sknet._input import take_rows
from sknet.data.counts import check_count
from sknet.data.tables import is_frame
from sknet.inspection.arguments import check_attributions, check_history
from sknet.inspection.attributions import integrated_gradients
from sknet.inspection.layers import hidden_features


def import_pyplot():
    """Return ``matplotlib.pyplot``.

    Raises
    ------
    ImportError
        With the extra to install, if matplotlib is missing.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Displays need matplotlib: python -m pip install "sknet[plot]".'
        ) from error
    return plt


class LossCurveDisplay:
    """Training and validation loss by epoch, the best epoch, and the learning rate.

    Make one by :meth:`from_estimator` or :meth:`from_history`.

    Parameters
    ----------
    history : dict of str to list of float
        As the estimators' ``history_``: "loss", and if there are such "validation_loss" and
        "learning_rate".
    best_iter : int, default=None
        The epoch, from 1, to mark.

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
    >>> network = NNRegressor((16,), max_iter=20, learning_rate="cosine", early_stopping=True,
    ...                       random_state=0).fit(*load_diabetes(return_X_y=True))
    >>> display = LossCurveDisplay.from_estimator(network)
    >>> sorted(display.lines_)
    ['learning_rate', 'loss', 'validation_loss']
    """

    _LABELS = {"loss": "training", "validation_loss": "validation"}

    def __init__(self, history, *, best_iter=None):
        self.history = history
        self.best_iter = best_iter

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, learning_rate=True):
        """Draw the curves of a fitted network.

        Parameters
        ----------
        estimator : NNClassifier or NNRegressor
            A fitted network.
        ax : matplotlib Axes, default=None
            Where to draw; by default in a new figure.
        learning_rate : bool, default=True
            Whether to draw the learning rate as well.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        NotFittedError
            If the estimator is not fitted.
        """
        import_pyplot()
        fitted(estimator)
        display = cls(estimator.history_, best_iter=estimator.best_iter_)
        return display.plot(ax=ax, learning_rate=learning_rate)

    @classmethod
    def from_history(cls, history, *, best_iter=None, ax=None, learning_rate=True):
        """Draw the curves of a training's record.

        Parameters
        ----------
        history : dict of str to list of float
            As the estimators' ``history_``.
        best_iter : int, default=None
            The epoch, from 1, to mark.
        ax : matplotlib Axes, default=None
            Where to draw; by default in a new figure.
        learning_rate : bool, default=True
            Whether to draw the learning rate as well.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If the history has no losses.
        """
        import_pyplot()
        check_history(history)
        return cls(history, best_iter=best_iter).plot(ax=ax, learning_rate=learning_rate)

    def plot(self, ax=None, *, learning_rate=True):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default in a new figure.
        learning_rate : bool, default=True
            Whether to draw the learning rate as well.

        Returns
        -------
        self : LossCurveDisplay
        """
        ax = ax or import_pyplot().subplots()[1]
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
        self.learning_rate_ax_ = None
        handles = ax.get_legend_handles_labels()[0]
        if learning_rate and "learning_rate" in self.history:
            handles.append(self._plot_learning_rate(epochs))
        ax.legend(handles=handles, loc="best")
        return self

    def _plot_learning_rate(self, epochs):
        self.learning_rate_ax_ = self.ax_.twinx()
        (line,) = self.learning_rate_ax_.plot(
            epochs,
            self.history["learning_rate"],
            color="0.7",
            linestyle="--",
            label="learning rate",
        )
        self.learning_rate_ax_.set(ylabel="learning rate", ylim=(0, None))
        self.lines_["learning_rate"] = line
        return line


class WeightsDisplay:
    """The distribution of each layer's weights, and how many of them and of its units are idle.

    Make one by :meth:`from_estimator` or :meth:`from_weights`.

    Parameters
    ----------
    weights : list of ndarray
        Weight matrices, one for each layer.
    dead_units : list of float, default=None
        Share of dead units of each hidden layer.

    Attributes
    ----------
    sparsity : list of float
        Share of weights of each layer that are exactly zero.
    ax_ : matplotlib Axes
        Axes of the distributions: a box from the first to the third quartile with a line at the
        median, and whiskers from the lowest to the highest weight that is not zero.
    axes_ : ndarray of two matplotlib Axes
        The same, and those of the shares.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import WeightsDisplay
    >>> network = NNRegressor((16,), alpha=0.1, l1_ratio=1, max_iter=50, learning_rate="cosine",
    ...                       learning_rate_init=0.01).fit(*load_diabetes(return_X_y=True))
    >>> WeightsDisplay.from_estimator(network).sparsity[0] > 0.3
    True
    """

    def __init__(self, weights, *, dead_units=None):
        self.weights = weights
        self.dead_units = dead_units

    @property
    def sparsity(self):
        """Share of weights of each layer that are exactly zero."""
        return [float(np.mean(weight == 0)) for weight in self.weights]

    @classmethod
    def from_estimator(cls, estimator, X=None, *, ax=None):
        """Draw the weights of a fitted network.

        Parameters
        ----------
        estimator : NNClassifier or NNRegressor
            A fitted network.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows by which units are judged: one is dead whose output is the same for all of
            them. Without X it is dead if all weights that enter it are zero, or all that leave
            it.
        ax : matplotlib Axes or two of them, default=None
            Where to draw; one is divided in two. By default in a new figure.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        NotFittedError
            If the estimator is not fitted.
        """
        import_pyplot()
        fitted(estimator)
        weights = estimator.coefs_
        if X is None:
            dead = disconnected_units(weights)
        else:
            dead = [
                float(np.mean(np.ptp(hidden_features(estimator, X, layer), axis=0) == 0))
                for layer in range(len(weights) - 1)
            ]
        return cls(weights, dead_units=dead).plot(ax=ax)

    @classmethod
    def from_weights(cls, weights, *, ax=None):
        """Draw weight matrices, such as those of several stages of a training.

        Parameters
        ----------
        weights : list of ndarray
            One for each layer.
        ax : matplotlib Axes or two of them, default=None
            Where to draw; one is divided in two. By default in a new figure.

        Returns
        -------
        WeightsDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        import_pyplot()
        return cls([np.asarray(weight) for weight in weights]).plot(ax=ax)

    def plot(self, ax=None):
        """Draw distributions and shares.

        Parameters
        ----------
        ax : matplotlib Axes or two of them, default=None
            Where to draw; one is divided in two. By default in a new figure.

        Returns
        -------
        self : WeightsDisplay
        """
        self.axes_ = two_axes(ax)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self._plot_distributions(self.axes_[0])
        self._plot_shares(self.axes_[1])
        return self

    def _plot_distributions(self, ax):
        used = [weight[weight != 0] for weight in self.weights]
        ax.axhline(0, color="0.8", linewidth=0.8)
        ax.boxplot([w.ravel() if w.size else [0.0] for w in used], whis=(0, 100))
        ax.set(xlabel="layer", ylabel="weights that are not zero")

    def _plot_shares(self, ax):
        layers = np.arange(1, len(self.weights) + 1)
        ax.bar(layers - 0.2, self.sparsity, width=0.4, label="weights that are zero")
        if self.dead_units is not None:
            places = layers[: len(self.dead_units)] + 0.2
            ax.bar(places, self.dead_units, width=0.4, label="dead units")
        ax.set(xlabel="layer", ylabel="share", ylim=(0, 1), xticks=layers)
        ax.legend(loc="best")


def disconnected_units(weights):
    """Return the share of units of each hidden layer that nothing enters or leaves.

    The last matrix of an ensemble has an axis of members in front.
    """
    shares = []
    for entering, leaving in zip(weights[:-1], weights[1:], strict=True):
        in_use = (entering != 0).any(axis=0)
        axes = (0, 2) if leaving.ndim == 3 else 1
        in_use &= (leaving != 0).any(axis=axes)
        shares.append(float(np.mean(~in_use)))
    return shares


def two_axes(ax):
    """Return two axes side by side: new ones, those given, or one divided."""
    if ax is None:
        return import_pyplot().subplots(1, 2, figsize=(9, 3.6), layout="constrained")[1]
    if np.size(ax) == 2:
        return np.ravel(ax)
    ax.set_axis_off()
    return ax.get_subplotspec().subgridspec(1, 2, wspace=0.35).subplots()


class AttributionDisplay:
    """Which columns made a prediction, or matter over many rows, as bars.

    Of one row the bars are its contributions, with their signs; of several rows the means of
    their sizes. Make one by :meth:`from_estimator` or :meth:`from_attributions`.

    Parameters
    ----------
    attributions : ndarray of shape (n_samples, n_features)
        As :func:`integrated_gradients` returns them.
    feature_names : list of str
        Names of the columns.
    values : list, default=None
        Of one row, the values of its columns, shown behind the names.

    Attributes
    ----------
    importances : ndarray of shape (n_features,)
        Lengths of the bars.
    order_ : ndarray of int
        The columns that are shown, the largest first.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import AttributionDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> network = NNRegressor((16,), max_iter=100, learning_rate="cosine", alpha=0.1,
    ...                       learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> display = AttributionDisplay.from_estimator(network, X)
    >>> sorted(X.columns[display.order_[:2]])
    ['bmi', 's5']
    """

    def __init__(self, attributions, *, feature_names, values=None):
        self.attributions = attributions
        self.feature_names = feature_names
        self.values = values

    @property
    def importances(self):
        """Lengths of the bars: of one row with their signs, of several means of sizes."""
        if len(self.attributions) == 1:
            return self.attributions[0]
        return np.abs(self.attributions).mean(axis=0)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        target=None,
        baseline=None,
        n_steps=32,
        tol=0.05,
        max_features=10,
        ax=None,
    ):
        """Draw the integrated gradients of a fitted network.

        Parameters
        ----------
        estimator : NNClassifier or NNRegressor
            A fitted network.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            One row to explain, or several whose contributions are summed up.
        target, baseline, n_steps, tol
            As for :func:`integrated_gradients`.
        max_features : int, default=10
            Bars at the most; the features with the largest are shown.
        ax : matplotlib Axes, default=None
            Where to draw; by default in a new figure.

        Returns
        -------
        AttributionDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            As :func:`integrated_gradients` does.
        """
        import_pyplot()
        attributions = integrated_gradients(
            estimator, X, target=target, baseline=baseline, n_steps=n_steps, tol=tol
        )
        names = getattr(estimator, "feature_names_in_", None)
        values = row_values(X) if len(attributions) == 1 else None
        display = cls(
            attributions, feature_names=default_names(names, attributions), values=values
        )
        return display.plot(ax=ax, max_features=max_features)

    @classmethod
    def from_attributions(
        cls, attributions, *, feature_names=None, values=None, max_features=10, ax=None
    ):
        """Draw attributions that were computed before, of whatever kind.

        Parameters
        ----------
        attributions : array-like of shape (n_features,) or (n_samples, n_features)
            One row, or several.
        feature_names : list of str, default=None
            Names of the columns; x0, x1, ... by default.
        values : list, default=None
            Of one row, the values of its columns.
        max_features : int, default=10
            Bars at the most.
        ax : matplotlib Axes, default=None
            Where to draw; by default in a new figure.

        Returns
        -------
        AttributionDisplay

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If names or values are not as many as columns.
        """
        import_pyplot()
        attributions = np.atleast_2d(attributions)
        check_attributions(attributions, feature_names, values)
        names = default_names(feature_names, attributions)
        display = cls(attributions, feature_names=names, values=values)
        return display.plot(ax=ax, max_features=max_features)

    def plot(self, ax=None, *, max_features=10):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default in a new figure.
        max_features : int, default=10
            Bars at the most.

        Returns
        -------
        self : AttributionDisplay
        """
        check_count("max_features", max_features)
        ax = ax or import_pyplot().subplots(layout="constrained")[1]
        importances = self.importances
        self.order_ = np.argsort(-np.abs(importances), kind="stable")[:max_features]
        shown = importances[self.order_]
        places = np.arange(len(shown))
        one = len(self.attributions) == 1
        colors = np.where(shown < 0, "C0", "C3") if one else "C0"
        self.bars_ = ax.barh(places, shown, color=colors)
        ax.axvline(0, color="0.4", linewidth=0.8)
        ax.set_yticks(places, [self._label(i) for i in self.order_])
        ax.invert_yaxis()
        ax.set(xlabel="contribution" if one else "mean size of contribution")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _label(self, i):
        name = str(self.feature_names[i])
        if self.values is None:
            return name
        value = self.values[i]
        shown = f"{value:.4g}" if isinstance(value, float | np.floating) else f"{value}"
        return f"{name} = {shown}"


def default_names(names, attributions):
    """Return names of the columns, made up where there are none."""
    return [f"x{i}" for i in range(attributions.shape[1])] if names is None else list(names)


def row_values(X):
    """Return the values of a table's only row as a list."""
    row = take_rows(X, [0])
    if is_frame(row):
        return [row[name].to_list()[0] for name in row.columns]
    row = row.toarray() if hasattr(row, "toarray") else np.asarray(row)
    return list(row[0])
