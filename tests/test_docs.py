"""Every Python block of the README and of each page runs, in order, page by page."""

import ast
import csv
import inspect
import re
from pathlib import Path

import pytest

import sknet
from sknet import NNClassifier, NNRegressor
from sknet.distributed import DaskNNClassifier, DaskNNRegressor

ROOT = Path(__file__).parents[1]
#: Folders that the build of the site writes into.
BUILT = {"_build", "gallery", "generated"}
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")] + [
    page for page in sorted((ROOT / "docs").rglob("*.md")) if BUILT.isdisjoint(page.parts)
]


def name(page):
    return str(page.relative_to(ROOT))


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [p for p in PAGES if python_blocks(p)], ids=name)
def test_code_blocks_run(page):
    namespace = {"__name__": "__main__"}
    for block in python_blocks(page):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "literalinclude" in p.read_text()], ids=name
)
def test_code_that_a_page_includes_exists(page):
    """Such as a method that has another name now."""
    included = re.findall(r"{literalinclude} (\S+)\n(.*?)```", page.read_text(), re.DOTALL)
    for path, options in included:
        # The package may be installed, without its source tree beside the tests.
        _, of_package, module = path.partition("../sknet/")
        file = Path(sknet.__file__).parent / module if of_package else page.parent / path
        body = ast.parse(file.read_text()).body
        for wanted in re.findall(r":pyobject: (\S+)", options):
            for part in wanted.split("."):
                found = [node for node in body if getattr(node, "name", None) == part]
                assert found, f"{path} has no {wanted}"
                body = getattr(found[0], "body", [])


def test_pages_on_libraries_show_each_of_their_scripts_once():
    """CI runs the scripts, whose assertions are what the pages promise."""
    scripts = [path.name for path in (ROOT / "examples" / "libraries").glob("*.py")]
    pages = (ROOT / "docs" / "libraries").glob("*.md")
    shown = [
        script
        for page in pages
        for script in re.findall(r"{literalinclude} \S+/libraries/(\S+)\n", page.read_text())
    ]
    assert sorted(shown) == sorted(scripts)


def test_the_citation_names_the_version():
    assert f"\nversion: {sknet.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_readme_has_three_commands():
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert [block.count("\n") for block in blocks] == [1, 1, 1]


def test_page_of_parameters_has_each_parameter_once():
    estimators = [NNClassifier, NNRegressor, DaskNNClassifier, DaskNNRegressor]
    parameters = {name for cls in estimators for name in inspect.signature(cls).parameters}
    page = (ROOT / "docs" / "api" / "parameters.md").read_text()
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.M)) == sorted(parameters)


def test_picture_of_the_start_page_shows_the_recorded_figures():
    """The file that the picture is drawn from equals the table of ``docs/accuracy.md``."""
    page = (ROOT / "docs" / "accuracy.md").read_text()
    table = page.split("| | error | log loss | nrmse | seconds of fitting |\n")[1]
    _, *lines = table.split("\n\n")[0].splitlines()
    in_page = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    with (ROOT / "benchmarks" / "accuracy_recorded.csv").open(newline="") as file:
        _, *in_file = csv.reader(file)
    assert in_file == in_page
