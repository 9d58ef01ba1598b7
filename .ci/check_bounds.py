"""Check that .ci/oldest.txt pins the lower bounds that pyproject.toml declares.

Every package that users may install is tested in its oldest supported version. No bound leaves
out a version that SPEC 0 of Scientific Python would still support.
"""

import sys
import tomllib
from datetime import date
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
#: These extras install tools, whose oldest versions are not tested.
FOR_DEVELOPERS = {"bench", "docs", "lint"}
#: Only sknet's tests need these packages.
TEST_TOOLS = {"hypothesis", "pytest", "pytest-cov", "pytest-xdist"}

#: Packages of SPEC 0: the lower bound, and the date of the last feature release below it.
LAST_BELOW = {
    "python": ("3.11", date(2021, 10, 4)),
    "matplotlib": ("3.9", date(2023, 9, 15)),
    "numpy": ("2.0", date(2023, 9, 16)),
    "pandas": ("2.2.2", date(2023, 8, 30)),
    "scikit-learn": ("1.6", date(2024, 5, 21)),
    "scipy": ("1.14", date(2024, 4, 2)),
}
#: The number of years for which SPEC 0 supports a feature release.
YEARS, YEARS_OF_PYTHON = 2, 3


def pinned_versions():
    """Return the version of each package in .ci/oldest.txt."""
    lines = (ROOT / ".ci" / "oldest.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {pin.name: Version(str(pin.specifier).removeprefix("==")) for pin in pins}


def read_project():
    """Return what pyproject.toml says about the package."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def declared_bounds():
    """Return the (package, lower bound) pairs of the dependencies and of the tested extras.

    Requirements of other platforms are left out.
    """
    project = read_project()
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra not in FOR_DEVELOPERS:
            lines += requirements
    declared = [Requirement(line) for line in lines]
    installed = [one for one in declared if one.marker is None or one.marker.evaluate()]
    return {(one.name, Version(str(one.specifier).removeprefix(">="))) for one in installed}


def early_bounds(today):
    """Yield a sentence for each bound that leaves out a version that is still supported."""
    python = Version(read_project()["requires-python"].removeprefix(">="))
    declared = {("python", python), *declared_bounds()}
    for package, (bound, released) in LAST_BELOW.items():
        years = YEARS_OF_PYTHON if package == "python" else YEARS
        if (package, Version(bound)) not in declared:
            yield f"LAST_BELOW has {package}>={bound}, but pyproject.toml has another bound."
        elif released.replace(year=released.year + years) > today:
            yield f"{package}>={bound}: SPEC 0 still supports a lower version, of {released}."


def main():
    """Exit with a sentence for each bound that is too new, or not the pinned version."""
    pins = pinned_versions()
    problems = [
        f"{package}: {bound} in pyproject.toml, {pins.get(package, 'no pin')} in oldest.txt."
        for package, bound in sorted(declared_bounds())
        if package not in TEST_TOOLS and pins.get(package) != bound
    ]
    problems += early_bounds(date.today())
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
