"""Every Python block of the README and of each page runs, in order, page by page."""

import ast
import csv
import inspect
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

import sknet
from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet.distributed import DaskNNClassifier, DaskNNRegressor

ROOT = Path(__file__).parents[1]
FENCE = re.DOTALL | re.MULTILINE
#: Folders that the build of the site writes into.
BUILT = {"_build", "gallery", "generated"}
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")] + [
    page for page in sorted((ROOT / "docs").rglob("*.md")) if BUILT.isdisjoint(page.parts)
]

#: Pages that record: a study of many tables, and every change.
LONG = {"study.md", "CHANGELOG.md"}


def name(page):
    return str(page.relative_to(ROOT))


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), FENCE)


def has_nested_blocks(page):
    """Whether a Python block is within a directive, such as a grid, and so no cell."""
    depth = 0
    for mark in re.findall(r"^(:{3,}\{|:{3,}$|```python$)", page.read_text(), re.MULTILINE):
        if mark == "```python" and depth:
            return True
        depth += 0 if mark == "```python" else 1 if mark.endswith("{") else -1
    return False


def runs_in_the_site(page):
    """Whether the build of the site runs all blocks of a page, to show what they print."""
    switched_off = "execution_mode" in page.read_text()
    in_site = page.is_relative_to(ROOT / "docs")
    return in_site and not switched_off and not has_nested_blocks(page)


def run_blocks(page):
    namespace = {"__name__": "__main__"}
    for block in python_blocks(page):
        exec(compile(block, str(page), "exec"), namespace)


#: The blocks of README.md run where their output is compared.
WITH_CODE = [page for page in PAGES if python_blocks(page) and page != ROOT / "README.md"]


@pytest.mark.parametrize("page", [p for p in WITH_CODE if runs_in_the_site(p)], ids=name)
def test_code_blocks_of_the_site_run(page):
    """CI leaves this to the build of the site where it runs both with the same versions."""
    run_blocks(page)


@pytest.mark.parametrize("page", [p for p in WITH_CODE if not runs_in_the_site(p)], ids=name)
def test_code_blocks_outside_the_site_run(page):
    run_blocks(page)


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
    """CI runs the scripts, whose assertions check the main results of the pages."""
    scripts = [path.name for path in (ROOT / "examples" / "libraries").glob("*.py")]
    pages = (ROOT / "docs" / "libraries").glob("*.md")
    shown = [
        script
        for page in pages
        for script in re.findall(r"{literalinclude} \S+/libraries/(\S+)\n", page.read_text())
    ]
    assert sorted(shown) == sorted(scripts)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in LONG], ids=name)
def test_page_is_short(page):
    assert len(page.read_text().split()) <= 2500


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_installation_has_the_address_of_the_repository():
    """Which is a placeholder in one place, until its owner fills it in."""
    found = {
        name(page): re.findall(r"git\+(https://[^\s`\"']+)", page.read_text()) for page in PAGES
    }
    address = PROJECT["urls"]["Repository"]
    assert {page: addresses for page, addresses in found.items() if addresses} == {
        page: [address] for page in ("README.md", "docs/index.md", "docs/quickstart.md")
    }


def test_badges_of_the_readme_say_what_the_package_says():
    badges = re.findall(
        r"^!\[\w+ (.+)\]\(https://img\.shields\.io/badge/(\w+)-(.+)-\w+\)$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    shown = {badge: unquote(value).replace("--", "-") for _, badge, value in badges}
    assert shown == {
        "version": sknet.__version__,
        "python": PROJECT["requires-python"],
        "license": PROJECT["license"],
    }
    texts = {badge: text for text, badge, _ in badges}
    assert texts["version"] == shown["version"]
    assert texts["python"] == f"{shown['python'].removeprefix('>=')} or newer"
    assert texts["license"] == shown["license"]


def test_example_of_the_readme_prints_what_the_readme_says(capsys):
    """Up to 0.02, since processors round differently."""
    readme = (ROOT / "README.md").read_text()
    found = re.findall(r"^```python\n(.*?)```\n\n```text\n(.*?)```$", readme, FENCE)
    ((example, output),) = found
    exec(compile(example, "README.md", "exec"), {})
    *words, value = capsys.readouterr().out.split()
    *expected_words, expected = output.split()
    assert words == expected_words
    assert float(value) == pytest.approx(float(expected), abs=0.02)


def test_readme_has_three_commands():
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert [block.count("\n") for block in blocks] == [1, 1, 1]


def test_page_of_parameters_has_each_parameter_once():
    estimators = [
        *(NNClassifier, NNMultiTarget, NNRegressor),
        *(DaskNNClassifier, DaskNNRegressor),
    ]
    parameters = {name for cls in estimators for name in inspect.signature(cls).parameters}
    page = (ROOT / "docs" / "api" / "parameters.md").read_text()
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.M)) == sorted(parameters)


def test_picture_of_the_start_page_shows_the_recorded_figures():
    """The file that the picture is drawn from equals the table of ``docs/accuracy.md``."""
    page = (ROOT / "docs" / "accuracy.md").read_text()
    table = page.split("| | error | log loss | nrmse | fitting time (s) |\n")[1]
    _, *lines = table.split("\n\n")[0].splitlines()
    in_page = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    with (ROOT / "benchmarks" / "accuracy_recorded.csv").open(newline="") as file:
        _, *in_file = csv.reader(file)
    assert in_file == in_page


DESIGN = (ROOT / "docs" / "design.md").read_text()


def glossary():
    """Return the rows of the table of words: the word, its meaning, what it replaces."""
    table = DESIGN.split("| word | meaning | instead of |\n")[1]
    _, *rows = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def unbroken(source):
    """Return a source in lower case, without breaks of lines and marks of comments."""
    return re.sub(r"\s*\n\s*(#:?\s*)?", " ", source).lower()


def source_of_the_package():
    files = sorted(Path(sknet.__file__).parent.rglob("*.py"))
    return unbroken("\n".join(path.read_text() for path in files))


def occurs(word, text):
    """Whether a word occurs, also as the beginning of a longer word."""
    # A search for the word alone is many times faster than one that looks at what is before it.
    starts = (found.start() for found in re.finditer(re.escape(word), text))
    return any(start == 0 or not "a" <= text[start - 1] <= "z" for start in starts)


def test_page_on_the_architecture_is_short():
    assert len(DESIGN.splitlines()) <= 200


def test_glossary_has_few_words_each_of_which_the_package_uses():
    words = [word for word, _, _ in glossary()]
    assert 20 <= len(words) <= 40
    assert len(set(words)) == len(words)
    package = source_of_the_package()
    assert [word for word in words if not occurs(word, package)] == []


def test_words_that_the_glossary_replaces_do_not_occur_in_the_package():
    replaced = [word for _, _, instead in glossary() for word in instead.split(", ") if word]
    assert len(replaced) >= 20
    package = source_of_the_package()
    assert [word for word in replaced if occurs(word, package)] == []


def test_a_replaced_word_is_found_across_lines_and_comments():
    assert occurs("by heart", unbroken("#: Rows are learned\n#: By\n    # heart."))
    assert not occurs("heart", "the sweetheart of the party")
