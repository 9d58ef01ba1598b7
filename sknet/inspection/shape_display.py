"""A display of the curves and surfaces of an additive network."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknet._base import BaseNN, fitted
from sknet._requirements import check_count
from sknet.inspection.axes import (
    MOST_LEVELS,
    column_label,
    draw_curve,
    import_pyplot,
    note_on_rest,
    panels,
    scale_of,
    write_levels,
)
from sknet.inspection.outputs import choose_output
from sknet.inspection.shapes import ShapeCurve, ShapeFunctions, ShapeSurface, compute_shapes
from sknet.inspection.terms import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

#: The largest fraction of a panel's height that the distribution of the rows takes.
DISTRIBUTION_HEIGHT = 0.16


@dataclass(eq=False, repr=False)
class ShapeFunctionsDisplay:
    """The contribution of each column of an additive network, with a panel for each column.

    A curve shows the contribution of a number, a date or a duration. Its axis is logarithmic if
    the network has normal scores of the column, and the numbers are positive. Bars show the
    contributions of the levels of a category. The gray bars below show the distribution of the
    rows. If values are missing, a red diamond or bar shows their contribution. All these panels
    have the same limits, so that you can compare heights. Heat maps show the most important
    pairs of columns. Create a display with :meth:`from_estimator`.

    Parameters
    ----------
    shapes : ShapeFunctions
        The curves and surfaces, as :func:`shape_functions` returns them.
    factors : ndarray of shape (n_outputs,)
        The factors for summing the contributions to each output. Exactly one of them is
        nonzero.

    Attributes
    ----------
    curves_ : list of ShapeCurve
        The curves that are shown, the most important first.
    surfaces_ : list of ShapeSurface
        The surfaces that are shown, the most important first.
    axes_ : ndarray of matplotlib Axes
        The panels of the curves, then those of the surfaces.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet import NNRegressor
    >>> from sknet.inspection import ShapeFunctionsDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> network = NNRegressor(interaction_cst="no_interactions", random_state=0).fit(X, y)
    >>> display = ShapeFunctionsDisplay.from_estimator(network, X, max_features=2)
    >>> sorted(curve.values.name for curve in display.curves_)
    ['bmi', 's5']
    """

    shapes: ShapeFunctions
    _: KW_ONLY
    factors: NDArray[np.float64]

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseNN,
        X: Any,
        *,
        target: Any = None,
        sample_weight: ArrayLike | None = None,
        n_points: int = 100,
        percentiles: tuple[float, float] = (0.005, 0.995),
        max_features: int = 12,
        max_surfaces: int = 3,
        n_cols: int = 3,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the shape functions of a fitted estimator.

        Parameters
        ----------
        estimator : NNClassifier or NNRegressor
            An estimator that was fitted with ``interaction_cst``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows that represent the distribution of each column, ideally the training rows.
        target : label or int, default=None
            The class, label or output to explain. Required if there are several, except that
            the second of two classes is the default. Ignored for ordered classes, which share
            one score.
        sample_weight, n_points, percentiles
            Passed to :func:`shape_functions`.
        max_features : int, default=12
            The maximum number of curves. The most important columns are shown.
        max_surfaces : int, default=3
            The maximum number of heat maps. The most important pairs are shown.
        n_cols : int, default=3
            The number of panels side by side.
        ax : matplotlib Axes, default=None
            Axes that are divided into the panels; by default, a new figure is made.

        Returns
        -------
        ShapeFunctionsDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If ``estimator`` is not an sknet estimator.
        ValueError
            If the estimator was fitted without ``interaction_cst`` or to several targets, if X
            does not match the table that it was fitted to, if there are no functions of one or
            two columns, or if one of the other parameters is not valid.
        """
        import_pyplot()
        _, model = fitted(estimator)
        # Classes that have an order share one score.
        ordered = model.loss.link.ordered
        factors = np.ones(1) if ordered else choose_output(model, target)
        if factors.size < model.n_raw and not ordered:
            # The loss "normal" also has functions of the spread, which are not drawn.
            zeros = np.zeros((1, model.n_raw))
            factors = model.loss.link.inverse_backward(zeros, factors[np.newaxis])[0]
        shapes = compute_shapes(
            estimator, X, factors, sample_weight, n_points, percentiles, max_surfaces
        )
        return cls(shapes, factors=factors).plot(
            ax, max_features=max_features, max_surfaces=max_surfaces, n_cols=n_cols
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        max_features: int = 12,
        max_surfaces: int = 3,
        n_cols: int = 3,
    ) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes that are divided into the panels; by default, a new figure is made.
        max_features : int, default=12
            The maximum number of curves. The most important columns are shown.
        max_surfaces : int, default=3
            The maximum number of heat maps. The most important pairs are shown.
        n_cols : int, default=3
            The number of panels side by side.

        Returns
        -------
        self : ShapeFunctionsDisplay

        Raises
        ------
        ValueError
            If there are no functions of one or two columns, or if a number is out of range.
        """
        check_count("max_features", max_features)
        check_count("max_surfaces", max_surfaces, least=0)
        check_count("n_cols", n_cols)
        self.curves_: list[ShapeCurve] = self._ranked(self.shapes.curves)[:max_features]
        self.surfaces_: list[ShapeSurface] = self._ranked(self.shapes.surfaces)[:max_surfaces]
        n_panels = len(self.curves_) + len(self.surfaces_)
        if not n_panels:
            raise ValueError(
                "Nothing to draw: no group of interaction_cst has a single column, and no pair "
                "of columns is drawn. Raise max_surfaces if there are pairs."
            )
        n_pairs = sum(len(term) == 2 for term in self.shapes.terms)
        note = note_on_rest(
            (len(self.curves_), len(self.shapes.curves), "columns"),
            (len(self.surfaces_), n_pairs, "pairs"),
        )
        self.axes_: NDArray[Any] = panels(ax, n_panels, n_cols, note=note)
        self.figure_: Figure | SubFigure = self.axes_[0].figure
        for panel, curve in zip(self.axes_, self.curves_, strict=False):
            self._plot_curve(panel, curve)
        self._share_limits()
        for panel, surface in zip(self.axes_[len(self.curves_) :], self.surfaces_, strict=True):
            self._plot_surface(panel, surface)
        for panel in self.axes_[: len(self.curves_) : n_cols]:
            panel.set_ylabel("contribution")
        return self

    def _ranked(self, functions: list[Any]) -> list[Any]:
        """Return curves or surfaces, those with the largest contributions to the output first.

        A category that was always missing is left out, since it has no levels to draw.
        """
        drawn = [one for one in functions if one.contributions.size]
        return sorted(drawn, key=lambda one: -(one.importance @ np.abs(self.factors)))

    def _plot_curve(self, ax: "Axes", curve: ShapeCurve) -> None:
        ax.axhline(0, color="0.7", linewidth=0.8, zorder=1)
        ax.set_title(column_label(curve.values.name), fontsize="medium")
        plot = self._plot_levels if curve.values.is_category else self._plot_numbers
        plot(ax, curve)

    def _plot_numbers(self, ax: "Axes", curve: ShapeCurve) -> None:
        values = curve.values
        assert values.bin_edges is not None
        scale = scale_of(values)
        places, edges = scale.places(values.grid), scale.places(values.bin_edges)
        draw_curve(ax, places, curve.contributions @ self.factors, color="C0", zorder=3)
        _draw_distribution(ax, edges[:-1], values.shares, np.diff(edges))
        if values.missing_share:
            place, limits = scale.beyond(edges)
            missing = float(curve.missing @ self.factors)
            ax.plot([place], [missing], "D", color="C3", markersize=5, zorder=3)
            style: dict[str, Any] = {"ha": "center", "color": "C3", "fontsize": "small"}
            ax.annotate(
                "missing", (place, missing), (0, 6), textcoords="offset points", **style
            )
            ax.set_xlim(limits)
        scale.write_ticks(ax.xaxis)
        ax.set_xlabel(scale.unit, fontsize="small")

    def _plot_levels(self, ax: "Axes", curve: ShapeCurve) -> None:
        values = curve.values
        # The most frequent levels, in the order of the levels.
        shown = np.sort(np.argsort(-values.shares, kind="stable")[:MOST_LEVELS])
        heights = (curve.contributions @ self.factors)[shown].tolist()
        names = list(values.grid[shown])
        shares, colors = values.shares[shown].tolist(), ["C0"] * len(names)
        if values.missing_share:
            heights.append(float(curve.missing @ self.factors))
            names.append("missing")
            shares.append(values.missing_share)
            colors.append("C3")
        places = np.arange(len(names))
        ax.bar(places, heights, 0.7, color=colors, alpha=0.9, zorder=3)
        _draw_distribution(ax, places - 0.35, np.array(shares), 0.7)
        write_levels(ax.xaxis, names)
        if len(shown) < len(values.grid):
            ax.set_xlabel(f"{len(shown)} of {len(values.grid)} levels", fontsize="small")

    def _share_limits(self) -> None:
        """Give all panels of curves the same limits, with room for the distributions."""
        axes = self.axes_[: len(self.curves_)]
        low = min((ax.get_ylim()[0] for ax in axes), default=0)
        high = max((ax.get_ylim()[1] for ax in axes), default=0)
        room = DISTRIBUTION_HEIGHT / (1 - DISTRIBUTION_HEIGHT) * (high - low)
        for ax in axes:
            ax.set_ylim(low - room, high)

    def _plot_surface(self, ax: "Axes", surface: ShapeSurface) -> None:
        heights = surface.contributions @ self.factors
        limit = float(np.abs(heights).max()) or 1.0
        pairs = [(scale_of(one), one) for one in surface.values]
        x, y = (scale.places(one.grid) for scale, one in pairs)
        style: dict[str, Any] = {"cmap": "RdBu_r", "shading": "nearest", "rasterized": True}
        colors = ax.pcolormesh(x, y, heights.T, vmin=-limit, vmax=limit, **style)
        ax.figure.colorbar(colors, ax=ax)
        for (scale, one), axis in zip(pairs, (ax.xaxis, ax.yaxis), strict=True):
            axis.set_label_text(scale.title(one.name), fontsize="small")
            scale.write_ticks(axis)


def _draw_distribution(ax: "Axes", left: NDArray[Any], shares: Floats, widths: Any) -> None:
    """Draw the shares of rows as gray bars at the lower edge of the panel."""
    highest = shares.max()
    if highest > 0:
        heights = shares * (0.9 * DISTRIBUTION_HEIGHT / highest)
        style: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "color": "0.8"}
        ax.bar(left, heights, widths, align="edge", zorder=0, **style)
