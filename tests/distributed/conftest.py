"""Real clusters, started once for all tests that need one: of threads, and of processes."""

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


def start(**options):
    """Start three workers with one thread each."""
    return LocalCluster(
        n_workers=N_WORKERS,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        **options,
    )


@pytest.fixture(scope="module")
def cluster():
    """Workers in this process, which take a third less time than processes.

    They talk by TCP as workers elsewhere do, so that all they send and get is serialized.
    """
    with dask.config.set(QUIET), start(processes=False, protocol="tcp://") as started:
        yield started


@pytest.fixture(scope="module")
def processes():
    """Workers in processes of their own, which import sknet; one that dies is replaced."""
    with dask.config.set(QUIET), start(processes=True) as started:
        yield started


@pytest.fixture
def client(cluster):
    """A client of the workers in this process; all workers have connected."""
    with Client(cluster) as connected:
        connected.wait_for_workers(N_WORKERS, timeout=HANGING)
        yield connected


@pytest.fixture
def client_of_processes(processes):
    """A client of the workers in other processes; all workers have connected."""
    with Client(processes) as connected:
        connected.wait_for_workers(N_WORKERS, timeout=HANGING)
        yield connected


@pytest.fixture
def table():
    """Arrays of numbers, with a target that is not linear in them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 6))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
