"""A real cluster of processes, started once for all tests that need one."""

import logging

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from guards import HANGING

N_WORKERS = 3
#: What Dask measures of itself takes an eighth of a core, also while nothing runs.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "2s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


@pytest.fixture(scope="module")
def cluster():
    """Three worker processes with one thread each; a worker that dies is replaced.

    All tests of the cluster are in one module, at the end of which it is closed.
    """
    with (
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=N_WORKERS,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as started,
    ):
        yield started


@pytest.fixture
def client(cluster):
    """A client of the cluster; all workers have connected."""
    with Client(cluster) as connected:
        connected.wait_for_workers(N_WORKERS, timeout=HANGING)
        yield connected


@pytest.fixture
def table():
    """Arrays of numbers, with a target that is not linear in them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 6))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
