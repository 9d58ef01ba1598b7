"""Configuration of the documentation; the build needs no network.

``python -m sphinx -j auto -W -n docs docs/_build`` builds the site into ``docs/_build``.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
# Pages and scripts run side by side. OpenBLAS reads this when it is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import sknet

# The kernels that run the pages import the package that this process has imported.
os.environ["PYTHONPATH"] = str(Path(sknet.__file__).parents[1])
# Optuna imports tqdm, which asks for the widgets of Jupyter.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"

project = "sknet"
author = "The sknet developers"
copyright = f"2026, {author}"
version = release = sknet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "pictures",
    "mathml",
    "online_references",
    "run_pages",
    "parameter_groups",
]
# The gallery leaves a notebook beside each of its pages, which is to be downloaded.
exclude_patterns = ["_build", "gallery/*.ipynb"]
templates_path = ["_templates"]
# Names in single backquotes of docstrings need no role: they are shown as code.
default_role = "code"

# Markdown.

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

# The Python blocks of the pages run, and show what they print. An error stops the build, and
# what is written to stderr, such as a warning, fails it under -W.

nb_custom_formats = {".md": ("run_pages.read", {"extensions": myst_enable_extensions})}
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
# The limit for one block, in seconds, on a machine that does other things as well.
nb_execution_timeout = 300
nb_merge_streams = True
nb_output_stderr = "warn"

# The API reference.

autosummary_generate = True
# The __all__ of a package says which names of its modules are public.
autosummary_ignore_module_all = False
autodoc_member_order = "groupwise"
autodoc_typehints = "none"
# "fit()" in the list of a page's headings, where "NNClassifier.fit()" is too wide.
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False

# The gallery. Its notebooks run in the browser, where the packages for that are installed.

HAS_JUPYTERLITE = all(map(find_spec, ["jupyterlite_sphinx", "jupyterlite_pyodide_kernel"]))
if HAS_JUPYTERLITE:
    extensions += ["jupyterlite_sphinx", "browser"]
jupyterlite_content_dir = "_build/notebooks"
in_browser = {
    "use_jupyter_lab": False,
    "jupyterlite_contents": jupyterlite_content_dir,
    "notebook_modification_function": "browser.install_first",
}
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "gallery_dirs": "gallery",
    "reset_modules": ("matplotlib", "strict_scripts.reset"),
    "reset_modules_order": "both",
    "abort_on_example_error": True,
    # As many scripts at once as pages, by -j.
    "parallel": True,
    "within_subsection_order": "pictures.place",
    "download_all_examples": False,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1,
    "image_scrapers": ("pictures.scrape",),
    "thumbnail_size": (600, 420),
    "jupyterlite": in_browser if HAS_JUPYTERLITE else None,
}

# HTML.

html_theme = "pydata_sphinx_theme"
# Behind the title of a page in the title of its window, which search engines show.
html_title = "sknet, neural networks for tables"
html_static_path = ["_static"]
html_css_files = ["sknet.css"]
html_show_sourcelink = False
html_search_scorer = str(Path(__file__).parent / "search_scorer.js")
html_theme_options = {
    "logo": {"text": project},
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",
    # All entries of the start page's toctree.
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "quickstart": [], "accuracy": [], "changelog": []}
