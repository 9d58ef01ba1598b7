"""Draw the picture of README and the start page: accuracy against the time of fitting.

The figures are those of the main table of ``docs/accuracy.md``, which also says how they were
measured, and ``accuracy_recorded.csv`` holds a copy of them; a test compares the two. Run
``python benchmarks/accuracy_picture.py`` after a change of the table.
"""

import csv
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from pictures import write

RECORDED = Path(__file__).with_name("accuracy_recorded.csv")
PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "accuracy_and_time.svg"

#: How each model is called in the picture, and the offset of its name from its point.
LABELS = {
    "scikit-learn's MLP, early stopping (reference)": ("MLP", (7, -4)),
    "scikit-learn's MLP, early stopping, three layers of 256": (
        "MLP, three\nlayers of 256",
        (7, -6),
    ),
    "HistGradientBoosting, defaults": ("HistGradientBoosting", (7, -5)),
    "CatBoost, defaults": ("CatBoost", (7, 2)),
    "sknet, fastest": ("sknet, fastest", (7, 1)),
    "sknet, defaults": ("sknet", (-24, -14)),
    "sknet, strongest": ("sknet,\nstrongest", (5, 3)),
}
PANELS = {
    "error": "Classification: error",
    "log_loss": "Classification: log loss",
    "nrmse": "Regression: root of 1 - R2",
}


def read_recorded():
    """Return a dict for each row of the table, all columns but the name as numbers."""
    with RECORDED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {name: value if name == "model" else float(value) for name, value in row.items()}
        for row in rows
    ]


def draw(rows):
    """Return a figure with a panel for each measure."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, layout="constrained")
    for axis, (measure, title) in zip(axes, PANELS.items(), strict=True):
        ours = [row for row in rows if row["model"].startswith("sknet")]
        axis.plot(
            [row["seconds"] for row in ours],
            [row[measure] for row in ours],
            color="tab:blue",
            alpha=0.4,
        )
        for row in rows:
            name, offset = LABELS[row["model"]]
            colour = "tab:blue" if row in ours else "0.35"
            axis.plot(row["seconds"], row[measure], "o", color=colour)
            axis.annotate(
                name,
                (row["seconds"], row[measure]),
                offset,
                textcoords="offset points",
                color=colour,
                fontsize=9,
            )
        axis.set(title=title, xscale="log", xlim=(1.3, 1200))
        axis.margins(y=0.12)
        axis.set_xticks([10, 100, 1000], ["10 s", "100 s", "1000 s"])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("relative to scikit-learn's MLP,\nlower is better")
    figure.supxlabel("time to fit sixteen tables on one thread", fontsize=10)
    return figure


if __name__ == "__main__":
    matplotlib.use("agg")
    write(draw(read_recorded()), PICTURE)
