"""Measure fits on a Dask cluster of one and of two workers, and estimate the time on 64.

    python benchmarks/cluster.py [--rounds 3] [--only speed-up,loss]

Every worker is a process with one BLAS thread. The speed-up is the time of an epoch on one
worker divided by the time on two, for 400 000 rows of 100 columns and hidden layers (256, 256).
The time of an epoch is half the difference in time between a fit of three epochs and a fit of
one. The figures are medians of several rounds. These fits, and fits of a tiny network, give the
constants of the formula in docs/distributed.md, which is evaluated for 64 workers and 10^9
rows.
"""

import argparse
import statistics
import time
import warnings

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from workers import PLAIN

from sknet import NNRegressor
from sknet.distributed import DaskNNRegressor
from sknet.inspection import summary

N_ROWS, N_FEATURES, LAYERS = 400_000, 100, (256, 256)
BATCH_SIZE, LOCAL_STEPS = 200, 100
#: The estimate is for this many workers and rows.
WORKERS, ROWS = 64, 10**9
#: Assumptions: the bytes per second that a worker sends or receives, and the time in seconds
#: until an answer arrives. They suit 10-gigabit Ethernet at nine tenths of its speed, and a
#: scheduler in the same room.
BANDWIDTH, LATENCY = 1.1e9, 0.5e-3

SETTINGS = {
    **PLAIN,
    "hidden_layer_sizes": LAYERS,
    "alpha": "auto",
    "batch_size": BATCH_SIZE,
    "learning_rate": "cosine",
    "learning_rate_init": 0.003,
}


def make_data(n_rows, n_features, chunk):
    """Return Dask arrays of rows, and of a target that is not linear in them."""
    rng = da.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features), chunks=(chunk, n_features)).astype(np.float32)
    noise = 0.3 * rng.normal(size=n_rows, chunks=chunk)
    y = da.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + abs(X[:, 3]) + X[:, 4:10].sum(axis=1) + noise
    return X, y


def started(n_workers):
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")


def seconds_of_fit(X, y, epochs, local_steps=LOCAL_STEPS):
    network = DaskNNRegressor(**SETTINGS, max_iter=epochs, local_steps=local_steps)
    start = time.perf_counter()
    network.fit(X, y)
    return time.perf_counter() - start, network


def bytes_sent(client):
    return sum(
        client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total).values()
    )


def measure(n_workers, rounds):
    """Return seconds per epoch, bytes sent per epoch, and the bytes of the parameters."""
    with started(n_workers) as cluster, Client(cluster) as client:
        X, y = client.persist(make_data(N_ROWS, N_FEATURES, N_ROWS // 8))
        seconds_of_fit(X, y, 1)
        seconds, sent = [], []
        for _ in range(rounds):
            counts, times = [bytes_sent(client)], []
            for epochs in (1, 3):
                elapsed, network = seconds_of_fit(X, y, epochs)
                counts.append(bytes_sent(client))
                times.append(elapsed)
            seconds.append((times[1] - times[0]) / 2)
            sent.append((counts[2] - 2 * counts[1] + counts[0]) / 2)
        n_bytes = summary(network.to_local()).n_bytes
    return statistics.median(seconds), statistics.median(sent), n_bytes


def round_overhead():
    """Return the time of a round in seconds, apart from its steps, with two workers.

    A tiny network takes the same steps in many rounds of one step and in one long round. Its
    steps take hardly any time, so the difference is the time of the rounds.
    """
    with started(2) as cluster, Client(cluster) as client:
        X, y = client.persist(make_data(40_000, 10, 5000))
        tiny = {**SETTINGS, "hidden_layer_sizes": (2,), "max_iter": 4}
        times, n_rounds = [], []
        for local_steps in (1000, 1):
            network = DaskNNRegressor(**tiny, n_shards=2, local_steps=local_steps)
            network.fit(X, y)
            times.append(statistics.median(network.history_["seconds"]))
            n_rounds.append(-(-100 // local_steps))
    return (times[1] - times[0]) / (n_rounds[1] - n_rounds[0])


def extrapolate(step, overhead, n_bytes):
    """Return the seconds of computation and of communication per epoch, on ``WORKERS``."""
    steps = ROWS / (WORKERS * BATCH_SIZE)
    rounds = steps / LOCAL_STEPS
    # One worker receives all results. The number of workers with the mean then doubles in each
    # step.
    transfer = n_bytes / BANDWIDTH * (WORKERS - 1 + np.log2(WORKERS))
    # A round has two tasks for each worker, and one task that averages.
    tasks = overhead * (2 * WORKERS + 1) / 5
    return steps * step, rounds * (transfer + tasks + 2 * LATENCY)


def show_speed_up(rounds):
    one, _, _ = measure(1, rounds)
    two, sent, n_bytes = measure(2, rounds)
    n_rounds = N_ROWS / 2 / BATCH_SIZE / LOCAL_STEPS
    step = one / (N_ROWS / BATCH_SIZE)
    overhead = round_overhead()
    print(f"seconds per epoch, one worker         {one:10.2f}")
    print(f"seconds per epoch, two workers        {two:10.2f}")
    print(f"speed-up                              {one / two:10.2f}")
    print(f"bytes a round / (workers x parameters){sent / n_rounds / 2 / n_bytes:10.2f}")
    print(f"step: milliseconds                    {1e3 * step:10.2f}")
    print(f"overhead of a round: milliseconds     {1e3 * overhead:10.2f}")
    print(f"parameters: bytes                     {n_bytes:10d}")
    compute, communication = extrapolate(step, overhead, n_bytes)
    print(
        f"an epoch of {ROWS:.0e} rows on {WORKERS} workers: {compute:.0f} s of computation, "
        f"{communication:.0f} s of communication, efficiency "
        f"{compute / (compute + communication):.0%}"
    )


def show_loss(rounds):
    """Print the test loss of a fit on two workers, divided by that of a local fit.

    There is a line for each seed. The training table has 200 000 rows of 50 columns.
    """
    X, y = (part.compute() for part in make_data(250_000, 50, 25_000))
    X, X_test, y, y_test = X[:200_000], X[200_000:], y[:200_000], y[200_000:]
    with started(2) as cluster, Client(cluster):
        for seed in range(rounds):
            settings = {**SETTINGS, "hidden_layer_sizes": (64, 64), "random_state": seed}
            local = NNRegressor(**settings, max_iter=20).fit(X, y)
            network = DaskNNRegressor(**settings, max_iter=20)
            network.fit(da.from_array(X, chunks=(25_000, 50)), da.from_array(y, chunks=25_000))
            losses = [
                np.mean((one.predict(X_test) - y_test) ** 2)
                for one in (network.to_local(), local)
            ]
            print(f"test loss / local test loss, seed {seed}  {losses[0] / losses[1]:.4f}")


PARTS = {"speed-up": show_speed_up, "loss": show_loss}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help=f"some of {', '.join(PARTS)}, separated by commas")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in arguments.only.split(",") if arguments.only else PARTS:
        PARTS[name](arguments.rounds)


if __name__ == "__main__":
    main()
