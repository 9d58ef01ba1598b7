"""The axes that displays draw on: the user's, or new ones."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sknet._extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def import_pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    return require("matplotlib.pyplot", extra="plot")


def one_axes(ax: "Axes | None", **options: Any) -> "Axes":
    """Return the given axes, or those of a new figure that is made with the options."""
    return import_pyplot().subplots(**options)[1] if ax is None else ax


def two_axes(ax: Any) -> "np.ndarray[Any, Any]":
    """Return an array of two axes side by side.

    Parameters
    ----------
    ax : matplotlib Axes, two of them, or None
        Two axes are returned as they are, and one is divided in two. None makes a figure.
    """
    if ax is None:
        return import_pyplot().subplots(1, 2, figsize=(9, 3.6), layout="constrained")[1]
    if np.size(ax) == 2:
        return np.ravel(ax)
    ax.set_axis_off()
    return ax.get_subplotspec().subgridspec(1, 2, wspace=0.35).subplots()


def panels(ax: Any, n_panels: int, n_columns: int) -> "np.ndarray[Any, Any]":
    """Return an array of axes, row by row of a figure or of the given axes.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes that are divided. None makes a figure.
    n_panels : int
    n_columns : int
        The largest number of panels side by side.
    """
    n_columns = min(n_columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    if ax is None:
        figsize = 3.4 * n_columns, 2.6 * n_rows
        figure = import_pyplot().figure(figsize=figsize, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        ax.set_axis_off()
        figure = ax.figure
        grid = ax.get_subplotspec().subgridspec(n_rows, n_columns, wspace=0.35, hspace=0.6)
    places = [divmod(i, n_columns) for i in range(n_panels)]
    return np.array([figure.add_subplot(grid[place]) for place in places])
