"""Draw the time of fits with default settings against the number of rows.

``python benchmarks/defaults.py --out FILE`` wrote ``defaults_recorded.csv``. Run ``python
benchmarks/defaults_picture.py`` after you measure again.
"""

import csv
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from pictures import write

RECORDED = Path(__file__).with_name("defaults_recorded.csv")
PICTURE = Path(__file__).with_name("defaults.svg")
LABELS = {
    "sknet": ("sknet", "tab:blue"),
    "hgb": ("HistGradientBoosting", "0.35"),
    "lightgbm": ("LightGBM", "0.6"),
    "catboost": ("CatBoost", "0.75"),
}
PANELS = {"c": "Classification", "r": "Regression"}


def read_recorded():
    """Return a dict for each row of the file, without frames and tables of over 50 columns."""
    with RECORDED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if "frame" not in row["table"] and int(row["columns"]) <= 50]


def draw(rows):
    """Return a figure with a panel for each task."""
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 3.6), sharex=True, sharey=True, layout="constrained"
    )
    for axis, (kind, title) in zip(axes, PANELS.items(), strict=True):
        for peer, (label, color) in LABELS.items():
            ours = [row for row in rows if row["model"] == peer and row["table"][0] == kind]
            ours.sort(key=lambda row: int(row["rows"]))
            if ours:
                axis.loglog(
                    [int(row["rows"]) for row in ours],
                    [float(row["seconds"]) for row in ours],
                    marker="o",
                    markersize=4,
                    color=color,
                    label=label,
                )
        axis.set(title=title, xlabel="rows")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("seconds of a default fit")
    axes[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    matplotlib.use("agg")
    write(draw(read_recorded()), PICTURE)
