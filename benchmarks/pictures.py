"""The one way in which pictures of recorded figures are written."""

import matplotlib


def write(figure, path):
    """Write a figure as SVG: with a fixed salt and no date, equal figures give equal files."""
    # Text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "sknet", "svg.fonttype": "none"})
    figure.savefig(path, metadata={"Date": None})
    print(path)
