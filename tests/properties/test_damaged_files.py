"""Files that were cut, or in which a bit was flipped: none is taken for a whole one.

A process of its own reads the files, with limits of time and of memory: a broken file must
neither hang nor fill the memory. Its number of files is that of the cases of a property.
"""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from guards import HANGING
from hypothesis import settings
from plain import NNRegressor

import sknet
from sknet.callbacks import Checkpoint

pytestmark = pytest.mark.no_cover

try:
    import sklearn.callback  # noqa: F401

    SUPPORTED = True
except ImportError:  # scikit-learn before 1.9 has no callbacks, and so no checkpoints.
    SUPPORTED = False

OPTIONS = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0, "batch_size": 20}


def damaged(content, rng):
    """Yield what a file may become: another one, a part of it, one with a flipped bit."""
    yield "empty", b""
    yield "text", b"a file of something else\n"
    yield "zeros", bytes(len(content))
    yield "doubled", content + content
    while True:
        cut = int(rng.integers(1, len(content)))
        yield f"cut at {cut}", content[:cut]
        position, bit = int(rng.integers(len(content))), int(rng.integers(8))
        flipped = bytearray(content)
        flipped[position] ^= 1 << bit
        yield f"bit {bit} of byte {position} flipped", bytes(flipped)


READER = """
import json, sys, warnings
from pathlib import Path
import joblib, numpy as np, skops.io
from plain import NNRegressor
from sknet.export import SKOPS_TRUSTED

try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
except ImportError:  # Windows
    pass
warnings.simplefilter("ignore")
kind, folder, data, options = sys.argv[1:]
data = np.load(data)

def resume(path):
    network = NNRegressor((3,), **json.loads(options))
    return network.fit(data["X"], data["y"], resume_from=path).predict(data["X"])

def load(path):
    return skops.io.load(path, trusted=SKOPS_TRUSTED).predict(data["X"])

for path in sorted(Path(folder).iterdir()):
    print(path.name, end="\\t", flush=True)
    try:
        found = {"checkpoint": resume, "skops": load}[kind](path)
        print("same" if np.array_equal(found, data["expected"]) else "SILENTLY OTHER")
    except BaseException as error:
        print(json.dumps([type(error).__name__, str(error)[:500]]))
"""


def read_all(kind, files, folder, data):
    """Return what a process of its own says of each file, by the file's name."""
    (folder / kind).mkdir()
    for number, content in enumerate(files):
        (folder / kind / f"{number:05}.{kind}").write_bytes(content)
    paths = [Path(sknet.__file__).parents[1], Path(__file__).parents[1]]
    done = subprocess.run(
        [sys.executable, "-c", READER, kind, folder / kind, data, json.dumps(OPTIONS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=HANGING,
    )
    assert done.returncode == 0, f"{done.stdout[-300:]}\n{done.stderr[-3000:]}"
    return dict(line.split("\t", 1) for line in done.stdout.splitlines())


@pytest.fixture
def damaged_files(regression, tmp_path):
    """Return a function that damages a file of a kind, and tells what reading it has led to."""
    X, y = regression
    rng = np.random.default_rng(0 if settings.default.derandomize else None)

    def read(kind, content, expected):
        data = tmp_path / "data.npz"
        np.savez(data, X=X, y=y, expected=expected)
        files = dict(islice(damaged(content, rng), settings.default.max_examples))
        said = read_all(kind, files.values(), tmp_path, data)
        return zip(files, said.items(), strict=True)

    return read


if SUPPORTED:

    def test_damaged_checkpoints(regression, damaged_files, tmp_path):
        """A damaged checkpoint is refused with a ValueError that names the file."""
        network = NNRegressor((3,), **OPTIONS)
        path = tmp_path / "network.checkpoint"
        network.set_callbacks(Checkpoint(path)).fit(*regression)
        whole = path.read_bytes()
        expected = network.predict(regression[0])
        assert joblib.load(path).n_iter_ == 2
        wrong = [
            (damage, outcome)
            for damage, (name, outcome) in damaged_files("checkpoint", whole, expected)
            if not (outcome.startswith('["ValueError"') and name in outcome)
        ]
        assert not wrong, f"{len(wrong)} files, such as {wrong[:3]}"


def test_damaged_files_of_skops(regression, damaged_files, tmp_path):
    """A damaged file of skops is refused, or read as if it were whole: never as another."""
    network = NNRegressor((3,), **OPTIONS).fit(*regression)
    skops.io.dump(network, tmp_path / "network.skops")
    whole = (tmp_path / "network.skops").read_bytes()
    expected = network.predict(regression[0])
    wrong = [
        (damage, outcome)
        for damage, (_, outcome) in damaged_files("skops", whole, expected)
        if outcome == "SILENTLY OTHER" or "MemoryError" in outcome
    ]
    assert not wrong, f"{len(wrong)} files, such as {wrong[:3]}"
