"""Every example runs; the gallery's scripts, plot_*.py, run where the site is built.

The quick start takes long, and runs in a step of CI of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from guards import HANGING

import sknet

FOLDER = Path(__file__).parents[1] / "examples"
GALLERY = sorted(FOLDER.glob("plot_*.py"))
QUICK_START = FOLDER / "quickstart.py"
EXAMPLES = sorted(set(FOLDER.glob("*.py")) - {*GALLERY, QUICK_START})


def test_there_are_examples():
    assert FOLDER / "first_network.py" in EXAMPLES
    assert QUICK_START.exists()
    assert GALLERY


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path):
    root = str(Path(sknet.__file__).parents[1])
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": root}
    # Elsewhere, so that nothing is written into the project.
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr
