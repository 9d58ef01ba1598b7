"""The function that writes all pictures of recorded results."""

import matplotlib


def write(figure, path):
    """Write a figure as SVG. With a fixed salt and no date, equal figures give equal files."""
    # Text is written as text, not as outlines.
    matplotlib.rcParams.update({"svg.hashsalt": "sknet", "svg.fonttype": "none"})
    figure.savefig(path, metadata={"Date": None})
    print(path)
