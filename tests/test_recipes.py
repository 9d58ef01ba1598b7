"""The changes that the pages on new rules and parameters show are all that these need."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from guards import HANGING

import sknet

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
TEXT = "".join((DOCS / page).read_text() for page in ("new_rules.md", "new_parameters.md"))
CHANGE = r"^( *)```\{code-block\} diff\n *:caption: (\S+)\n(.*?)^ *```$"
#: The sections with changes, by the check of ``recipes.py``, and how many files they may name.
RECIPES = {
    "activation": ("For example, an activation", 1),
    "loss": ("For example, a loss", 2),
    "parameter": ("For example, a limit on the gradient", 3),
    "constraint": ("A constraint on the predictions", 4),
}


def changes(heading):
    """Return the files that a section of the pages changes, each with its hunks."""
    _, after = re.split(rf"^##+ {heading}\n", TEXT, flags=re.M)
    section = re.split(r"^##", after, flags=re.M)[0]
    return {
        file: re.sub(rf"^{indent}", "", body, flags=re.M).split("@@\n")
        for indent, file, body in re.findall(CHANGE, section, re.M | re.S)
    }


def apply(hunk, path):
    """Replace the lines without a plus, which occur once, with those without a minus."""
    lines, source = hunk.splitlines(keepends=True), path.read_text()
    before, after = ("".join(line[1:] for line in lines if line[0] != sign) for sign in "+-")
    assert source.count(before) == 1, f"{path} has not once:\n{before}"
    path.write_text(source.replace(before, after))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what each check found in a copy of the package with all changes."""
    root = tmp_path_factory.mktemp("changed")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(sknet.__file__).parent, root / "sknet", ignore=ignored)
    for heading, _ in RECIPES.values():
        for file, hunks in changes(heading).items():
            for hunk in hunks:
                apply(hunk, root / file)
    done = subprocess.run(
        [sys.executable, TESTS / "recipes.py"],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=HANGING,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", RECIPES)
def test_it_works_everywhere_after_these_changes_alone(name, found):
    assert found["package"] != str(Path(sknet.__file__).parent)
    assert found[name] == "well"


@pytest.mark.parametrize("heading, most", RECIPES.values())
def test_it_changes_few_files(heading, most):
    assert 0 < len(changes(heading)) <= most
