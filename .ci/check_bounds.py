"""Check that .ci/oldest.txt pins the lower bounds which pyproject.toml declares.

Whatever users may install is tested in its oldest supported version.
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
#: These extras install tools, whose oldest versions are not tested.
FOR_DEVELOPERS = {"bench", "docs", "lint"}
#: Only the tests of sknet need these.
TEST_TOOLS = {"hypothesis", "pytest", "pytest-cov", "pytest-xdist"}


def pinned_versions():
    """Return the version of each package in .ci/oldest.txt."""
    lines = (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {pin.name: Version(str(pin.specifier).removeprefix("==")) for pin in pins}


def declared_bounds():
    """Return the (package, lower bound) pairs of the dependencies and of the tested extras.

    Requirements of other platforms are left out.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra not in FOR_DEVELOPERS:
            lines += requirements
    declared = [Requirement(line) for line in lines]
    installed = [one for one in declared if one.marker is None or one.marker.evaluate()]
    return {(one.name, Version(str(one.specifier).removeprefix(">="))) for one in installed}


def main():
    """Exit with a sentence for each bound that is not the pinned version."""
    pins = pinned_versions()
    problems = [
        f"pyproject.toml has {package}>={bound}, .ci/oldest.txt {pins.get(package, 'no pin')}."
        for package, bound in sorted(declared_bounds())
        if package not in TEST_TOOLS and pins.get(package) != bound
    ]
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
