"""Without threads, as in a browser, fits take one thread and have the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import no_threads
import numpy as np
import pytest
from guards import HANGING
from numpy.testing import assert_array_equal

import sknet

#: Two threads are wanted. BLAS has one, since predictions leave its threads as they are.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONPATH": str(Path(sknet.__file__).parents[1]),
}


@pytest.fixture(scope="module")
def without_threads(tmp_path_factory):
    """Return the arrays that a process without threads has computed, and what it printed."""
    path = tmp_path_factory.mktemp("no_threads") / "results.npz"
    done = subprocess.run(
        [sys.executable, "-W", "error", no_threads.__file__, path],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(path) as results:
        return dict(results), done.stdout


def test_threads_are_wanted_and_refused(without_threads):
    """Else the other tests of this module would compare a fit with itself."""
    _, printed = without_threads
    assert printed == "2 threads wanted, True, 0 libraries\n"


def test_results_without_threads_have_the_same_bits(without_threads):
    results, _ = without_threads
    with pytest.MonkeyPatch.context() as patch:
        no_threads.divide_all_batches(patch.setattr)
        expected = no_threads.predictions()
    assert results.keys() == expected.keys()
    for name, array in expected.items():
        assert_array_equal(results[name], array, err_msg=name)
