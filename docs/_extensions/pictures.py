"""The order of the gallery's examples, and thumbnails whose letters can be read.

Most figures have several panels, and are as wide as a page. A thumbnail shows one panel, which
is drawn again in a smaller figure, so that its letters are larger beside it.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.transforms import Bbox
from sphinx_gallery.scrapers import matplotlib_scraper
from sphinx_gallery.utils import scale_image

HEADER = Path(__file__).parents[2] / "examples" / "GALLERY_HEADER.rst"
#: The panels of the first figure that a thumbnail shows; of other examples the first one.
PANELS = {
    "plot_attributions": slice(1, 2),
    "plot_autoencoder": slice(1, 2),
    "plot_calibration": slice(1, 2),
    "plot_decision_boundary": slice(2, 3),
    "plot_ensemble_uncertainty": slice(1, 2),
    "plot_losses": slice(1, 2),
    "plot_onnx": slice(1, 2),
    "plot_weights": slice(0, 32),
}
#: The width of a panel that is drawn for a thumbnail, in inches, and the smallest size of its
#: figure, in units of the size that it has on the page.
WIDTH, LEAST_SIZE = 3.4, 0.5


def names():
    """Return the names of the examples in the order in which the gallery's text has them."""
    return re.findall(r"<(plot_\w+)>", HEADER.read_text())


def place(path):
    """Return the place of an example in the gallery."""
    return names().index(Path(path).stem)


def scrape(block, block_vars, gallery_conf, **kwargs):
    """Save the figures of a block as sphinx-gallery does, and the panel of the thumbnail."""
    if plt.get_fignums() and not len(block_vars["image_path_iterator"]):
        name = Path(block_vars["src_file"]).stem
        figure = plt.figure(plt.get_fignums()[0])
        save_panels(figure, PANELS.get(name, slice(1)), panel_path(gallery_conf, name))
    return matplotlib_scraper(block, block_vars, gallery_conf, **kwargs)


def panel_path(gallery_conf, name):
    """Return where the panel of an example is kept; its folder is made."""
    folder = Path(gallery_conf["src_dir"]) / gallery_conf["gallery_dirs"] / "images" / "panels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


def extent(panels):
    """Return the rectangle of some panels with their labels, in inches."""
    pixels = Bbox.union([panel.get_tightbbox() for panel in panels])
    return pixels.padded(6).transformed(
        panels[0].get_figure(root=True).dpi_scale_trans.inverted()
    )


def save_panels(figure, chosen, path):
    """Save some panels of a figure, drawn smaller; the figure itself stays as it is."""
    panels = figure.axes[chosen]
    others = [axes for axes in figure.axes if axes not in panels and axes.get_visible()]
    size = figure.get_size_inches().copy()
    figure.canvas.draw()
    smaller = min(1, max(LEAST_SIZE, WIDTH / extent(panels).width))
    figure.set_size_inches(smaller * size)
    figure.canvas.draw()
    layout = figure.get_layout_engine()
    figure.set_layout_engine("none")  # Else the panels would grow into the place of the others.
    for axes in others:  # Their labels may reach into the rectangle.
        axes.set_visible(False)
    figure.savefig(path, dpi=200, bbox_inches=extent(panels))
    for axes in others:
        axes.set_visible(True)
    figure.set_layout_engine(layout)
    figure.set_size_inches(size)


def replace_thumbnails(app):
    """Replace the thumbnails of sphinx-gallery by the panels."""
    conf = app.config.sphinx_gallery_conf
    for panel in (Path(app.srcdir) / conf["gallery_dirs"] / "images" / "panels").glob("*.png"):
        thumbnail = panel.parents[1] / "thumb" / f"sphx_glr_{panel.stem}_thumb.png"
        scale_image(panel, thumbnail, *conf["thumbnail_size"])


def setup(app):
    """Register the replacement, which follows the runs of the gallery's scripts."""
    app.connect("builder-inited", replace_thumbnails, priority=900)
    return {"parallel_read_safe": True}
