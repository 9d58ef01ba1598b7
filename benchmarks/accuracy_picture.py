"""Draw the pictures of the README and the start page: accuracy against the time to fit.

The figures are those of the main table of ``docs/accuracy.md``, which also says how they were
measured. ``accuracy_recorded.csv`` has a copy of them, and a test compares the two. Run
``python benchmarks/accuracy_picture.py`` after you change the table.
"""

import csv
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.ticker import MultipleLocator
from pictures import write

RECORDED = Path(__file__).with_name("accuracy_recorded.csv")
PICTURE = Path(__file__).parents[1] / "docs" / "_static" / "accuracy_and_time.svg"
#: The same picture with one panel below the other, so that its text can be read on a phone.
TALL_PICTURE = PICTURE.with_name("accuracy_and_time_tall.svg")

#: The name of each model in the picture, and its offsets from the model's marker in the two
#: panels, in typographic points.
LABELS = {
    "scikit-learn's MLP, early stopping (reference)": ("MLP", [(8, -4), (8, -4)]),
    "scikit-learn's MLP, early stopping, three layers of 256": (
        "MLP, three\nlayers of 256",
        [(8, -7), (8, -7)],
    ),
    "HistGradientBoosting, defaults": ("HistGradientBoosting", [(8, 3), (8, -4)]),
    "CatBoost, defaults": ("CatBoost", [(9, -4), (9, -4)]),
    "sknet, fastest": ("sknet,\nfastest", [(-28, -34), (7, 5)]),
    "sknet, defaults": ("sknet, default", [(-66, -20), (-66, -20)]),
    "sknet, strongest": ("sknet, strongest", [(-62, -20), (-62, -20)]),
}
PANELS = {
    "error": "Classification: wrong labels",
    "nrmse": "Regression: root of 1 - R2",
}


def read_recorded():
    """Return a dict for each row of the table, with all columns but the name as numbers."""
    with RECORDED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {name: value if name == "model" else float(value) for name, value in row.items()}
        for row in rows
    ]


def draw_panel(axis, rows, measure, panel):
    """Draw one measure of each model against its fit time; join the markers of sknet."""
    ours = [row for row in rows if row["model"].startswith("sknet")]
    seconds, values = [row["seconds"] for row in ours], [100 * row[measure] for row in ours]
    axis.plot(seconds, values, color="tab:blue", alpha=0.4)
    for row in rows:
        name, offsets = LABELS[row["model"]]
        color = "tab:blue" if row in ours else "0.3"
        point = row["seconds"], 100 * row[measure]
        axis.plot(*point, "o", color=color)
        axis.annotate(
            name, point, offsets[panel], textcoords="offset points", color=color, fontsize=12
        )


def draw(rows, tall=False):
    """Return a figure with a panel for each measure: side by side, or one below the other."""
    shape, size = ((2, 1), (5, 7.6)) if tall else ((1, 2), (9, 4.2))
    figure, axes = plt.subplots(*shape, figsize=size, sharex=True, layout="constrained")
    for panel, (measure, title) in enumerate(PANELS.items()):
        axis = axes[panel]
        draw_panel(axis, rows, measure, panel)
        axis.set_title(title, fontsize=13)
        axis.set(xscale="log", xlim=(3, 700))
        axis.margins(y=0.15)
        axis.yaxis.set_major_locator(MultipleLocator(5 if measure == "nrmse" else 10))
        axis.set_xticks([5, 10, 30, 100, 300], ["5 s", "10 s", "30 s", "100 s", "300 s"])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter("{x:.0f} %")
        axis.tick_params(labelsize=11)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supylabel("error, in % of that of scikit-learn's MLP", fontsize=12)
    figure.supxlabel("time to fit all 16 tables on one thread", fontsize=12)
    return figure


if __name__ == "__main__":
    matplotlib.use("agg")
    recorded = read_recorded()
    write(draw(recorded), PICTURE)
    write(draw(recorded, tall=True), TALL_PICTURE)
