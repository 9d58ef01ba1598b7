"""Real clusters, started once for all tests that need one: of threads, and of processes."""

import logging

import dask
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from guards import HANGING
from shards import SHORT, chunked

from sknet.distributed import DaskNNRegressor

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


@pytest.fixture
def frame():
    """A frame with missing values and categories; one level is in the last rows only."""
    rng = np.random.default_rng(1)
    n = 1200
    X = pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "color": pd.Categorical(rng.choice(["blue", "green", "red"], n)),
            "maker": rng.choice([f"m{i:02d}" for i in range(30)], n),
            "age": rng.integers(0, 90, n),
        }
    )
    X["color"] = X["color"].cat.add_categories(["violet"])
    X.loc[n - 5 :, "color"] = "violet"
    signal_ = np.nan_to_num(X["size"]) + (X["color"] == "red") + X["age"] / 45
    return X, pd.Series(np.where(signal_ > 1.3, "yes", "no"))


@pytest.fixture(scope="module")
def plain_fits():
    return []


@pytest.fixture
def plain_fit(client, table, plain_fits):
    """A fit that several tests compare with: the table of numbers on two shards."""
    if not plain_fits:
        plain_fits.append(DaskNNRegressor(**SHORT).fit(*chunked(*table)))
    return plain_fits[0]
