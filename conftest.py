"""What all tests share, doctests included: processes, threads, and the age of scikit-learn."""

import gc
import os
from importlib.util import find_spec

import pytest

# OpenBLAS and OpenMP read this once, when they are loaded. The worker processes of pytest-xdist
# and the scripts that tests start inherit it; with more threads than cores they would wait for
# each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Workers of Dask are forked from one process that has imported the libraries: each new
# interpreter would take seconds to import them again. Windows has no such process.
if os.name == "posix":
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD", "forkserver")

# Modules and thousands of tests are made and kept; collections of garbage, which look at all of
# them again and again, took a quarter of the time before the first test.
gc.disable()


def pytest_collection_finish():
    """Collect garbage again, but among what the tests make only."""
    gc.freeze()
    gc.enable()


# Examples with callbacks in docstrings need scikit-learn 1.9.
WITH_CALLBACKS = ["sknet/callbacks.py", "sknet/streaming.py"]
collect_ignore = [] if find_spec("sklearn.callback") else WITH_CALLBACKS


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Let one process run all cases of a test, which share what is computed once.

    Tests that share a cluster, or files of another process, are also run by one process. The
    order is that of the files, so that what a module shares is not made twice in a process.

    pytest-xdist 3.8 ignores its own marker for this, ``xdist_group``, under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            for together in ("tests/distributed", "tests/test_versions.py"):
                if nodeid.startswith(together):
                    return together
            # The pages of the documentation take seconds each, and share nothing.
            page = nodeid.startswith("tests/test_docs.py")
            return nodeid if page else nodeid.partition("[")[0]

        def _assign_work_unit(self, node):
            # After each test pytest-xdist counts what is pending in all scopes of a process,
            # which takes half a minute for thousands of scopes that are complete.
            scopes = self.assigned_work[node]
            for scope in [name for name, cases in scopes.items() if all(cases.values())]:
                del scopes[scope]
            super()._assign_work_unit(node)

    config.option.loadscopereorder = False
    return Scheduler(config, log)
