"""What all tests share, doctests included: processes, threads, and the age of scikit-learn."""

import os
from importlib.util import find_spec

import pytest

# OpenBLAS and OpenMP read this once, when they are loaded. The worker processes of pytest-xdist
# and the scripts that tests start inherit it; with more threads than cores they would wait for
# each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Examples with callbacks in docstrings need scikit-learn 1.9.
WITH_CALLBACKS = ["sknet/callbacks.py", "sknet/streaming.py"]
collect_ignore = [] if find_spec("sklearn.callback") else WITH_CALLBACKS


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one process run all tests of the Dask cluster, so that one cluster is started.

    pytest-xdist 3.8 ignores its own marker for this, ``xdist_group``, under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            folder = "tests/distributed"
            return folder if nodeid.startswith(folder) else nodeid

    return Scheduler(config, log)
