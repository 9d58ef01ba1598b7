"""Check that the sdist and the wheel in a folder contain the package, and nothing else.

``python .ci/check_package.py dist`` compares their contents with the files that git tracks. It
also checks that the wheel is for every system and needs no compiler.
"""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The files that hatchling adds to every sdist.
ADDED_TO_SDIST = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", ".gitignore"}

#: The tag of a wheel without compiled parts.
PURE = "py3-none-any"


def tracked(paths):
    """Return the names of the files below ``paths`` that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *paths],
        cwd=ROOT,
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    return set(listed.stdout.split("\0")) - {""}


def expected_in_sdist():
    """Return the names of the files that the sdist should have."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    return tracked([path.lstrip("/") for path in included]) | ADDED_TO_SDIST


def expected_in_wheel(wheel):
    """Return the names of the files that the wheel should have."""
    name, version, *_ = wheel.name.split("-")
    metadata = ["METADATA", "WHEEL", "RECORD", "licenses/LICENSE"]
    return (
        tracked(["sknet"])
        | {"sknet/py.typed"}
        | {f"{name}-{version}.dist-info/{file}" for file in metadata}
    )


def names_in_sdist(sdist):
    """Return the names of the sdist's files, without the top folder."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if not member.isdir()}


def names_in_wheel(wheel):
    """Return the names of the wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tags(wheel):
    """Return the tags of the systems that the wheel is for."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".dist-info/WHEEL")]
        lines = archive.read(name).decode("utf-8").splitlines()
    return {line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")}


def differences(archive, found, expected):
    """Return a line for each file that is missing or should not be there."""
    return [f"{archive.name} lacks {name}" for name in sorted(expected - found)] + [
        f"{archive.name} should not contain {name}" for name in sorted(found - expected)
    ]


def main(folder):
    """Exit with the differences of the only sdist and the only wheel, if there are any."""
    (sdist,) = Path(folder).glob("*.tar.gz")
    (wheel,) = Path(folder).glob("*.whl")
    problems = differences(sdist, names_in_sdist(sdist), expected_in_sdist())
    problems += differences(wheel, names_in_wheel(wheel), expected_in_wheel(wheel))
    if not wheel.name.endswith(f"-{PURE}.whl") or tags(wheel) != {PURE}:
        problems.append(f"{wheel.name} should be for {PURE} alone, not {sorted(tags(wheel))}")
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main(sys.argv[1])
