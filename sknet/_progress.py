"""How far a pass over chunks is: a bar of rich in a terminal, otherwise a line now and then."""

import sys
from time import perf_counter
from typing import Any, Self

#: The least number of seconds between two lines.
SECONDS_BETWEEN_LINES = 5.0


def row_progress(verbose: int) -> "RowProgress":
    """Return what shows the progress of a fit by rows; it shows nothing unless ``verbose``."""
    if not verbose:
        return RowProgress()
    return RowBar() if _shows_bars() else RowLines()


def _shows_bars() -> bool:
    """Return whether the output is a terminal that can show a bar, and rich is installed."""
    if not sys.stdout.isatty():
        return False
    try:
        from rich.console import Console
    except ImportError:
        return False
    return not Console().is_dumb_terminal


class RowProgress:
    """Base class of what shows how many rows of a pass are done; it shows nothing itself.

    It is a context manager, which a fit enters before its first pass.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """End the display."""

    def __call__(self, name: str, n_done: int, n_rows: int | None = None) -> None:
        """Show how many rows of the pass with this name are done.

        ``n_rows`` is the number of all rows; None in the first pass, which counts them.
        """


class RowLines(RowProgress):
    """Prints a line with the rows done and the rows a second, at most every few seconds."""

    def __init__(self) -> None:
        self._name = ""
        self._told = (0.0, 0)

    def __call__(self, name: str, n_done: int, n_rows: int | None = None) -> None:
        """Print a line, if the pass or the last line began long enough ago."""
        now = perf_counter()
        since, before = self._told
        if name != self._name:
            self._name, self._told = name, (now, n_done)
        elif now - since >= SECONDS_BETWEEN_LINES:
            speed = (n_done - before) / (now - since)
            print(f"{name}: {in_words(n_done, n_rows, speed)}", flush=True)
            self._told = (now, n_done)


class RowBar(RowProgress):
    """Shows a progress bar of rich, which is gone after the fit.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where the bar is shown. The default is a console of its own on the standard output:
        callbacks may have bars as well, and versions of rich before 14.1 refuse two displays
        on one console.
    """

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column
        from rich.text import Text

        class Rows(ProgressColumn):
            def render(self, task: Task) -> Text:
                total = None if task.total is None else int(task.total)
                return Text(in_words(int(task.completed), total, task.speed))

        # In a narrow terminal the bar becomes shorter, and the text is not broken.
        bar = BarColumn(None, table_column=Column(max_width=40))
        rows = Rows(table_column=Column(no_wrap=True))
        columns = (TextColumn("{task.description}"), bar, rows, TimeRemainingColumn())
        self._bar = Progress(*columns, console=console or Console(), transient=True)
        self._task = self._bar.add_task("", total=None)
        self._name = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: Any) -> None:
        """Remove the bar."""
        self._bar.stop()

    def __call__(self, name: str, n_done: int, n_rows: int | None = None) -> None:
        """Move the bar; a new pass begins a new one."""
        if name == self._name:
            self._bar.update(self._task, completed=n_done)
        else:
            self._name = name
            self._bar.reset(self._task, description=name, total=n_rows, completed=n_done)


def in_words(n_done: int, n_rows: int | None, speed: float | None) -> str:
    """Return the text on rows done, all rows and rows a second, as far as they are known."""
    total = "" if n_rows is None else f" of {n_rows:,}"
    rate = "" if speed is None else f", {speed:,.0f} rows/s"
    return f"{n_done:,}{total} rows{rate}"
