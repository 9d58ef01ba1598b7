"""Notebooks of the gallery that run in the browser, by JupyterLite.

The site holds a wheel of sknet, so that the notebooks install the version that the site is
about. The build of the wheel and of JupyterLite needs no network; a browser loads Pyodide, and
the packages that it carries, when a notebook is opened.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What examples import besides sknet and its dependencies, as ``%pip install`` names it.
#: Pyodide loads what it carries by itself.
MORE_PACKAGES = {
    "plot_additive": ["plotnine"],
    "plot_imbalance": ["plotnine"],
    "plot_raw_frame": ["pandas", "palmerpenguins"],
}
#: Examples that cannot run in a browser, each with the reason.
NOT_IN_BROWSERS = {
    "plot_dask": "Dask starts processes, which a browser does not have.",
    "plot_onnx": "Pyodide has no onnxruntime.",
    "plot_search": "It shows callbacks of scikit-learn 1.9, and Pyodide carries version 1.8.",
}


def first_cell(name):
    """Return the cell that the notebook of an example begins with."""
    if name in NOT_IN_BROWSERS:
        reason = NOT_IN_BROWSERS[name]
        text = f"**This notebook does not run in the browser.** {reason} Download it instead."
        return {"cell_type": "markdown", "metadata": {}, "source": [text]}
    packages = " ".join(["sknet", "matplotlib", *MORE_PACKAGES.get(name, [])])
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": ["# The browser installs sknet first.\n", f"%pip install -q {packages}"],
    }


def install_first(notebook, path):
    """Put the cell that installs packages before the cells of an example."""
    notebook["cells"].insert(0, first_cell(Path(path).stem))


def take_notebooks_once(app, config):
    """Let JupyterLite take the notebooks from its own folder, into which the gallery puts them.

    jupyterlite-sphinx would copy the gallery's folder into a folder of that name, where the
    links of sphinx-gallery do not lead.
    """
    config.jupyterlite_contents = []


def prepare(app):
    """Build the wheel of sknet, and say how JupyterLite is built."""
    if app.builder.format != "html":
        return
    folder = Path(app.outdir).resolve() / "_jupyterlite"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    options = {
        "LiteBuildConfig": {"no_sourcemaps": True, "no_unused_shared_packages": True},
        "PipliteAddon": {"piplite_urls": [str(wheel) for wheel in folder.glob("*.whl")]},
    }
    (folder / "jupyter_lite_config.json").write_text(json.dumps(options))
    app.config.jupyterlite_dir = str(folder)


def check(app, exception):
    """Fail if a notebook or the wheel is not where the pages and the notebooks look for it."""
    # The build of JupyterLite leaves its record in the folder that it was started in.
    (Path(app.srcdir) / ".jupyterlite.doit.db").unlink(missing_ok=True)
    if exception is not None or app.builder.format != "html":
        return
    lite = Path(app.outdir) / "lite"
    notebooks = sorted(path.stem for path in (lite / "files" / "gallery").glob("*.ipynb"))
    if notebooks != sorted(path.stem for path in (ROOT / "examples").glob("plot_*.py")):
        raise RuntimeError(f"The notebooks of JupyterLite differ from the gallery: {notebooks}")
    if "sknet" not in json.loads((lite / "pypi" / "all.json").read_text()):
        raise RuntimeError("JupyterLite does not offer the wheel of sknet.")


def setup(app):
    """Register what is done before JupyterLite is built, and the check of the result."""
    # sphinx-gallery adds its folder with the priority 900.
    app.connect("config-inited", take_notebooks_once, priority=950)
    app.connect("builder-inited", prepare)
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True}
