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
