"""The gallery has an order, and what a browser installs and carries suits sknet."""

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
HEADER = (ROOT / "examples" / "GALLERY_HEADER.rst").read_text()
#: The modules that the packages which Pyodide carries are imported as.
CARRIED = {"joblib", "matplotlib", "numpy", "pandas", "scipy", "sklearn"}


@pytest.fixture(scope="module")
def browser():
    """Return the extension of the site that makes notebooks for browsers."""
    path = ROOT / "docs" / "_extensions" / "browser.py"
    spec = importlib.util.spec_from_file_location("browser", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported_packages(path):
    """Return the packages that a script imports, without those of Python itself."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [one.name for node in nodes if isinstance(node, ast.Import) for one in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def test_the_text_of_the_gallery_names_each_example_once():
    """It also gives the order of the pictures."""
    named = re.findall(r"<(plot_\w+)>", HEADER)
    assert sorted(named) == [path.stem for path in EXAMPLES]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_begins_with_what_its_picture_shows(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    title, _, _, beginning, *_ = text.splitlines()
    assert re.match(r"The (first )?picture shows ", beginning), f"{title}: {beginning}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_notebook_installs_what_its_example_imports(path, browser):
    cell = browser.first_cell(path.stem)
    if path.stem in browser.NOT_IN_BROWSERS:
        assert cell["cell_type"] == "markdown"
    else:
        _, _, _, *installed = cell["source"][-1].split()
        assert imported_packages(path) - CARRIED <= set(installed)


def carried_versions():
    """Return the versions of packages in Pyodide, by the page on browsers."""
    page = (ROOT / "docs" / "browser.md").read_text()
    table = page.split("| package | Pyodide | sknet needs |\n")[1].split("\n\n")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines()[1:]]
    return {name.strip(): (there.strip(), needed.strip()) for name, there, needed in rows}


def test_pyodide_carries_versions_that_sknet_accepts():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(line) for line in project["dependencies"]]
    carried = carried_versions()
    needed = {}
    for one in requirements:
        if one.marker is None or one.marker.evaluate({"sys_platform": "emscripten"}):
            assert one.specifier.contains(carried[one.name][0]), one
            needed[one.name] = str(one.specifier).removeprefix(">=")
    assert needed == {name: floor for name, (_, floor) in carried.items()}
