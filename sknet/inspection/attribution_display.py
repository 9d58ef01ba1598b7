"""A display of the contributions of the columns of X to predictions."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknet._base import BaseNN, fitted
from sknet._input import shown_names
from sknet._requirements import check_count
from sknet.data.frames import wrapped
from sknet.inspection.attributions import integrated_gradients
from sknet.inspection.axes import (
    column_label,
    import_pyplot,
    make_room_below,
    note_on_rest,
    one_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.figure import Figure, SubFigure


@dataclass(eq=False, repr=False)
class AttributionDisplay:
    """Bars for the contributions of the columns of X to one or more predictions.

    For one row, a bar is the signed contribution of a column. For several rows, a bar is the
    mean absolute contribution of a column. Create a display with :meth:`from_estimator` or
    :meth:`from_attributions`.

    Parameters
    ----------
    attributions : ndarray of shape (n_samples, n_features)
        Contributions as :func:`integrated_gradients` returns them.
    feature_names : list of str
        Names of the columns.
    values : list, default=None
        The values of the columns, shown next to the names. Only for attributions of a single
        row.

    Attributes
    ----------
    importances : ndarray of shape (n_features,)
        Lengths of the bars.
    order_ : ndarray of int
        The positions of the columns that are shown, the longest bar first.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import AttributionDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> estimator = NNRegressor((16,), max_iter=100, learning_rate="cosine", alpha=0.1,
    ...                         learning_rate_init=0.01, n_components=0,
    ...                         random_state=0).fit(X, y)
    >>> display = AttributionDisplay.from_estimator(estimator, X)
    >>> sorted(X.columns[display.order_[:2]])
    ['bmi', 's5']
    """

    attributions: NDArray[Any]
    _: KW_ONLY
    feature_names: list[str]
    values: list[Any] | None = None

    @property
    def importances(self) -> NDArray[Any]:
        """The contributions of a single row, or the mean absolute ones of several rows."""
        rows = self.attributions
        return rows[0] if len(rows) == 1 else np.abs(rows).mean(axis=0)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseNN,
        X: Any,
        *,
        target: Any = None,
        baseline: Any = None,
        n_steps: int = 32,
        tol: float = 0.05,
        max_features: int = 10,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the integrated gradients of a fitted estimator.

        Parameters
        ----------
        estimator : NNClassifier or NNRegressor
            A fitted estimator.
        X : {array-like, sparse matrix, RowBlocks} of shape (n_samples, n_features)
            The row to explain, or several rows.
        target, baseline, n_steps, tol
            Passed to :func:`integrated_gradients`.
        max_features : int, default=10
            The maximum number of bars. The columns with the longest bars are shown.
        ax : matplotlib Axes, default=None
            The axes to draw on; by default, those of a new figure.

        Returns
        -------
        AttributionDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If ``estimator`` is not an sknet estimator.
        ValueError
            If X does not match the table that the estimator was fitted to, or if one of the
            other parameters is not valid.
        """
        import_pyplot()
        attributions = integrated_gradients(
            estimator, X, target=target, baseline=baseline, n_steps=n_steps, tol=tol
        )
        names = fitted(estimator)[0].shown_names
        values = None
        if len(attributions) == 1:
            table = wrapped(X)
            values = table.first_row() if table.blocks is None else list(table.blocks[0])
        display = cls(attributions, feature_names=names, values=values)
        return display.plot(ax=ax, max_features=max_features)

    @classmethod
    def from_attributions(
        cls,
        attributions: ArrayLike,
        *,
        feature_names: list[str] | None = None,
        values: list[Any] | None = None,
        max_features: int = 10,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw attributions that were computed by any method.

        Parameters
        ----------
        attributions : array-like of shape (n_features,) or (n_samples, n_features)
            The contributions of the columns, for one row or for several.
        feature_names : list of str, default=None
            Names of the columns; by default, "x0", "x1" and so on.
        values : list, default=None
            The values of the columns. Only for attributions of a single row.
        max_features : int, default=10
            The maximum number of bars. The columns with the longest bars are shown.
        ax : matplotlib Axes, default=None
            The axes to draw on; by default, those of a new figure.

        Returns
        -------
        AttributionDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the attributions have a wrong shape, if the number of names or values differs
            from the number of columns, if ``values`` is given for several rows, or if
            ``max_features`` is not a positive integer.
        """
        rows = np.atleast_2d(attributions)
        if rows.ndim != 2:
            raise ValueError(
                "attributions must have shape (n_features,) or (n_samples, n_features), got "
                f"{rows.shape}."
            )
        n_rows, n_features = rows.shape
        for name, given in (("feature_names", feature_names), ("values", values)):
            if given is not None and len(given) != n_features:
                raise ValueError(
                    f"{name} must have length {n_features}, with an entry for each feature, "
                    f"got length {len(given)}."
                )
        if values is not None and n_rows > 1:
            raise ValueError(
                f"values are for a single row, but attributions has {n_rows} rows."
            )
        names = shown_names(feature_names, n_features)
        return cls(rows, feature_names=names, values=values).plot(ax, max_features=max_features)

    def plot(self, ax: "Axes | None" = None, *, max_features: int = 10) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; by default, those of a new figure.
        max_features : int, default=10
            The maximum number of bars. The columns with the longest bars are shown.

        Returns
        -------
        self : AttributionDisplay
        """
        check_count("max_features", max_features)
        ax = one_axes(ax, layout="constrained")
        importances = self.importances
        by_size = np.argsort(-np.abs(importances), kind="stable")
        self.order_: NDArray[np.intp] = by_size[:max_features]
        shown = importances[self.order_]
        places = np.arange(len(shown))
        one = len(self.attributions) == 1
        colors = np.where(shown < 0, "C0", "C3") if one else "C0"
        self.bars_: BarContainer = ax.barh(places, shown, color=colors)
        ax.axvline(0, color="0.4", linewidth=0.8)
        ax.set_yticks(places, [self._label(i) for i in self.order_])
        ax.invert_yaxis()
        label = "contribution" if one else "mean absolute contribution"
        note = note_on_rest((len(shown), len(importances), "columns"))
        if note:
            make_room_below(ax)
        ax.set_xlabel(f"{label}\n{note}" if note else label)
        self.ax_: Axes = ax
        self.figure_: Figure | SubFigure = ax.figure
        return self

    def _label(self, i: int) -> str:
        """Return the label of a bar: the name of the column, and its value if there is one."""
        name = self.feature_names[i]
        if self.values is None:
            return column_label(name)
        value = self.values[i]
        shown = f"{value:.4g}" if isinstance(value, float | np.floating) else f"{value}"
        return column_label(name, f" = {shown}")
