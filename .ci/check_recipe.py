"""Check that the conda recipe can be rendered, and agrees with pyproject.toml.

rattler-build reads ``recipe/recipe.yaml``, and rejects fields and values that its schema lacks.
The script compares the version, the requirements and the license with those of the package.
"""

import runpy
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from rattler_build import Stage0Recipe

ROOT = Path(__file__).parents[1]


def of_the_recipe():
    """Return what the recipe says about its only package."""
    (variant,) = Stage0Recipe.from_file(ROOT / "recipe" / "recipe.yaml").render()
    recipe = variant.recipe.to_dict()
    return {
        "name": recipe["package"]["name"],
        "version": recipe["package"]["version"],
        "summary": recipe["about"]["summary"],
        "license": recipe["about"]["license"],
        "noarch": recipe["build"]["noarch"],
        "run": sorted(one.replace(" ", "") for one in recipe["requirements"]["run"]),
    }


def of_the_package():
    """Return what the recipe should say."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = [Requirement(line) for line in project["dependencies"]]
    # A conda package is for platforms that have threads.
    everywhere = [one for one in needed if one.marker is None or one.marker.evaluate()]
    run = [
        f"python{project['requires-python']}",
        *(f"{one.name}{one.specifier}" for one in everywhere),
    ]
    return {
        "name": project["name"],
        "version": runpy.run_path(str(ROOT / "sknet" / "_version.py"))["__version__"],
        "summary": project["description"],
        "license": project["license"],
        "noarch": "python",
        "run": sorted(one.replace(" ", "") for one in run),
    }


def main():
    """Exit with a sentence for each difference."""
    recipe, package = of_the_recipe(), of_the_package()
    sys.exit(
        "\n".join(
            f"{field} is {recipe[field]!r} in recipe/recipe.yaml, not {package[field]!r}."
            for field in package
            if recipe[field] != package[field]
        )
        or None
    )


if __name__ == "__main__":
    main()
