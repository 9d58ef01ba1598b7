"""Configuration of the documentation; the build needs no network.

``python -m sphinx -W -n docs docs/_build`` builds the site into ``docs/_build``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import sknet

project = "sknet"
author = "The sknet developers"
copyright = f"2026, {author}"
version = release = sknet.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "online_references",
    "parameter_groups",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
# Names in single backquotes of docstrings need no role: they are shown as code.
default_role = "code"

# Markdown.

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

# The API reference.

autosummary_generate = True
# A package says by __all__ what of its modules is public.
autosummary_ignore_module_all = False
autodoc_member_order = "groupwise"
autodoc_typehints = "none"
numpydoc_show_class_members = False

# The gallery.

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "ignore_pattern": r"(^|/)(?!plot_)[^/]*\.py$",
    "gallery_dirs": "gallery",
    "reset_modules": ("matplotlib", "strict_scripts.reset"),
    "reset_modules_order": "both",
    "abort_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1,
    "image_scrapers": ("matplotlib",),
}

# HTML.

html_theme = "pydata_sphinx_theme"
html_title = "sknet"
html_static_path = ["_static"]
html_css_files = ["sknet.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "quickstart": [], "changelog": []}
