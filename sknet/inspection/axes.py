"""The axes that displays draw on, given or new, and the scales of columns on these axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknet._requirements import require
from sknet._summary import shortened
from sknet.inspection.terms import ColumnValues, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.lines import Line2D

#: The maximum number of levels of a category whose names are shown.
MOST_LEVELS = 12
#: The maximum number of characters of a level's name, of a column's name, and of a column's
#: name with its unit or its value.
LONGEST_LEVEL, LONGEST_NAME, LONGEST_LABEL = 12, 24, 38
#: The units in which durations are drawn, from the longest, with their lengths in seconds.
DURATION_UNITS = [("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)]


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


def panels(
    ax: Any,
    n_panels: int,
    n_columns: int,
    size: tuple[float, float] = (3.4, 2.6),
    note: str = "",
) -> "np.ndarray[Any, Any]":
    """Return an array of new axes, row by row, in a figure or in the place of the given axes.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes to divide. None makes a new figure.
    n_panels : int
    n_columns : int
        The maximum number of panels side by side.
    size : tuple of two float, default=(3.4, 2.6)
        The width and the height, in inches, of a panel in a new figure.
    note : str, default=""
        A line below all panels.
    """
    n_columns = min(n_columns, n_panels)
    n_rows = -(-n_panels // n_columns)
    # The note is the title of a flat row: a text of given axes could overlap the panels' texts.
    heights = [1] * n_rows + [0.01] * bool(note)
    options: dict[str, Any] = {"height_ratios": heights}
    if ax is None:
        figsize = size[0] * n_columns, size[1] * n_rows
        figure = import_pyplot().figure(figsize=figsize, layout="constrained")
        divide = figure.add_gridspec
    else:
        ax.set_axis_off()
        figure, place = ax.figure, ax.get_subplotspec()
        if place is None:
            box = ax.get_position()
            divide = figure.add_gridspec
            options |= {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        else:
            divide = place.subgridspec
        engine = figure.get_layout_engine()
        # The constrained layout finds the spaces itself.
        if engine is None or engine.adjust_compatible:
            options |= {"wspace": 0.35, "hspace": 0.6 * len(heights) / n_rows}
    grid = divide(len(heights), n_columns, **options)
    if note:
        row = figure.add_subplot(grid[-1, :])
        row.set_axis_off()
        row.set_title(note, fontsize="small", color="0.4", wrap=True)
    return np.array([figure.add_subplot(grid[i]) for i in range(n_panels)])


def draw_curve(ax: "Axes", x: ArrayLike, y: ArrayLike, **style: Any) -> "Line2D":
    """Draw a curve. A single point, for which no line is visible, gets a marker."""
    marker = "o" if np.isfinite(y).sum() == 1 else ""
    return ax.plot(x, y, marker=marker, **style)[0]


def make_room_below(ax: "Axes") -> None:
    """Make room for two lines below axes, unless the figure has a layout engine for that."""
    place = ax.get_subplotspec()
    if ax.figure.get_layout_engine() is None and place is not None:
        ax.set_subplotspec(place.subgridspec(2, 1, height_ratios=(6, 1), hspace=0)[0])


def write_legend(ax: "Axes", handles: list[Any]) -> None:
    """Write a legend below the axes or, if no layout engine makes room there, inside them."""
    style: dict[str, Any] = {"loc": "best"}
    if ax.figure.get_layout_engine() is not None:
        # The pad, in units of the font size, is the height of the axis, ticks and label.
        style = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 3.8}
        style |= {"fontsize": ax.xaxis.label.get_fontsize(), "ncols": 2, "frameon": False}
    ax.legend(handles=handles, **style)


def note_on_rest(*counts: tuple[int, int, str]) -> str:
    """Return "12 of 60 columns, largest effects first", for example, or "" if all are drawn.

    Each argument has the number that is drawn, the total number, and what they are.
    """
    parts = [f"{n} of {n_all} {things}" for n, n_all, things in counts if 0 < n < n_all]
    return f"{' and '.join(parts)}, largest effects first" if parts else ""


@dataclass(frozen=True)
class Scale:
    """Where an axis shows the values of a column, and its labels. This class is for numbers.

    Parameters
    ----------
    unit : str, default=""
        The unit of the numbers, or another note, such as a time zone.
    """

    unit: str = ""

    def places(self, values: NDArray[Any]) -> Floats:
        """Return the place of each value on the axis."""
        return values.astype(np.float64)

    def beyond(self, edges: Floats) -> tuple[float, tuple[float, float]]:
        """Return a place to the right of a histogram, and the limits of an axis for both."""
        span = edges[-1] - edges[0]
        return edges[-1] + 0.1 * span, (edges[0] - 0.04 * span, edges[-1] + 0.2 * span)

    def write_ticks(self, axis: "Axis") -> None:
        """Set the ticks of an axis; numbers keep those of matplotlib."""

    def title(self, name: str) -> str:
        """Return the name of the column with the unit."""
        return column_label(name, f" ({self.unit})" if self.unit else "")


@dataclass(frozen=True)
class LogScale(Scale):
    """Positive numbers on a logarithmic axis."""

    def beyond(self, edges: Floats) -> tuple[float, tuple[float, float]]:
        """Return a place and limits that look as those of numbers do on a linear axis."""
        place, limits = super().beyond(np.log(edges))
        return math.exp(place), (math.exp(limits[0]), math.exp(limits[1]))

    def write_ticks(self, axis: "Axis") -> None:
        """Make the axis logarithmic."""
        ax = axis.axes
        (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")


@dataclass(frozen=True)
class DateScale(Scale):
    """Dates as numbers of days, with matplotlib's ticks for dates."""

    def places(self, values: NDArray[Any]) -> Floats:
        """Return matplotlib's number for each date."""
        return require("matplotlib.dates", extra="plot").date2num(values)

    def write_ticks(self, axis: "Axis") -> None:
        """Let the axis show dates."""
        dates = require("matplotlib.dates", extra="plot")
        # The dates are clock times, which a time zone set in matplotlib would shift. With fewer
        # ticks, no interval of the locator suits a range of 31 to 35 months, for example.
        locator = dates.AutoDateLocator("UTC", minticks=3, maxticks=7)
        locator.maxticks[dates.YEARLY] = 6
        # The places are plain numbers. axis.axis_date would discard the limits of a heat map.
        axis.set_major_locator(locator)
        axis.set_major_formatter(dates.ConciseDateFormatter(locator, "UTC"))
        # The locator accepts only these years. A margin of the axis may go beyond them.
        calendar = dates.date2num(np.array(["0001-01-01", "9999-12-31"], "datetime64[D]"))
        low, high = np.clip(axis.get_view_interval(), *calendar)
        axis.set_view_interval(low, high, ignore=True)


@dataclass(frozen=True)
class DurationScale(Scale):
    """Durations as numbers of a unit of ``length`` seconds."""

    length: int = 1

    @classmethod
    def of(cls, values: NDArray[np.timedelta64]) -> "DurationScale":
        """Return the scale of the longest unit that fits twice into the longest duration."""
        longest = np.abs(values).max() / np.timedelta64(1, "s")
        fitting = (one for one in DURATION_UNITS if longest >= 2 * one[1])
        return cls(*next(fitting, DURATION_UNITS[-1]))

    def places(self, values: NDArray[Any]) -> Floats:
        """Return the number of units of each duration."""
        return values / np.timedelta64(self.length, "s")


@dataclass(frozen=True)
class LevelScale(Scale):
    """Levels at 0, 1, 2 and so on, with their names unless there are too many."""

    names: tuple[Any, ...] = ()

    def places(self, values: NDArray[Any]) -> Floats:
        """Return 0, 1, 2 and so on."""
        return np.arange(len(values), dtype=np.float64)

    def write_ticks(self, axis: "Axis") -> None:
        """Write the names of the levels, if any; the places of levels are not values of X."""
        write_levels(axis, self.names)


def scale_of(values: ColumnValues) -> Scale:
    """Return the scale on which a column is drawn."""
    if values.is_category:
        if len(values.grid) > MOST_LEVELS:
            return LevelScale(f"{len(values.grid)} levels")
        return LevelScale(names=tuple(values.grid))
    if values.grid.dtype.kind == "M":
        return DateScale(values.time_zone or "")
    if values.grid.dtype.kind == "m":
        return DurationScale.of(values.grid)
    return LogScale() if values.logarithmic else Scale()


def written(text: str) -> str:
    """Return a text with its dollar signs escaped.

    Matplotlib reads the text between two of them as mathematics.
    """
    return text.replace("$", r"\$")


def short(name: Any, longest: int = LONGEST_LEVEL) -> str:
    """Return the name of a level or a column, without its middle if it is long.

    Long names in a table often differ only at the end.
    """
    text, n_last = str(name), longest // 3
    if len(text) <= longest:
        return text
    return f"{text[: longest - n_last - 1]}\u2026{text[-n_last:]}"


def column_label(name: Any, note: str = "") -> str:
    """Return the name of a column and its unit or its value, as displays write them."""
    text = short(name, LONGEST_NAME)
    return written(text + shortened(note, LONGEST_LABEL - len(text)))


def write_levels(axis: "Axis", names: Sequence[Any]) -> None:
    """Write the names of levels at 0, 1, 2 and so on, slanted if they would overlap."""
    texts = list(map(short, names))
    is_crowded = axis is axis.axes.xaxis and sum(map(len, texts)) > 24
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    style: dict[str, Any] = slanted if is_crowded else {}
    axis.set_ticks(range(len(texts)), list(map(written, texts)), fontsize="small", **style)
