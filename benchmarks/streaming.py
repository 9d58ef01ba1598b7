"""Measure training on data that are read piece by piece.

    python benchmarks/streaming.py [--only "memory map;h5py;CSV"] [--gb 6]

The first part compares one epoch on a float32 table in a file, by default of 6 GB, with one
epoch of the same network on 1 GB of the table's rows in memory. The second part compares
several epochs on a CSV file of 2 000 000 rows with a fit to the same table in memory. Each
measurement runs in its own process. The memory is the peak of that process's anonymous resident
memory (RssAnon on Linux). Rows per second of processor time depend less on what else the
machine does than rows per second of elapsed time do. The script writes the files to a temporary
folder, which needs room for them, and removes them at the end.
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from memory import MB, PeakMemory
from workers import run_worker

D = 100
BLOCK = 100_000
CSV_EPOCHS = 5


@dataclass(frozen=True)
class Case:
    """The storage of X, and how it is passed to ``fit``."""

    kind: str
    chunks: tuple[int, int] | bool | None = None
    compression: str | None = None
    blocks: bool = False
    early_stopping: bool = False


CASES = {
    "memory map": Case("npy"),
    "memory map, early stopping": Case("npy", early_stopping=True),
    "memory map in blocks": Case("npy", blocks=True),
    "h5py": Case("h5", (1000, D)),
    "h5py, early stopping": Case("h5", (1000, D), early_stopping=True),
    "h5py, its own chunks": Case("h5", True),
    "h5py, contiguous": Case("h5"),
}


def rows(n):
    """Yield blocks of X and y; y depends on three columns and noise."""
    rng = np.random.default_rng(0)
    for start in range(0, n, BLOCK):
        X = rng.standard_normal((min(BLOCK, n - start), D), np.float32)
        noise = rng.standard_normal(len(X), np.float32)
        yield slice(start, start + len(X)), X, X[:, 0] + np.abs(X[:, 1]) * X[:, 2] + noise


def write_table(case, n, folder):
    """Write X to the storage of a case, and y to a file."""
    y = np.empty(n, np.float32)
    if case.kind == "npy":
        X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (n, D))
        for where, block, target in rows(n):
            X[where], y[where] = block, target
        X.flush()
    else:
        import h5py

        with h5py.File(folder / "X.h5", "w") as file:
            options = {"chunks": case.chunks, "compression": case.compression}
            X = file.create_dataset("X", (n, D), "f4", **options)
            for where, block, target in rows(n):
                X[where], y[where] = block, target
    np.save(folder / "y.npy", y)


def open_table(case, folder):
    """Return X as a user would pass it to ``fit``."""
    from sknet.streaming import RowBlocks

    if case.kind == "h5":
        import h5py

        return h5py.File(folder / "X.h5", "r")["X"]
    X = np.load(folder / "X.npy", mmap_mode="r")
    return RowBlocks(X) if case.blocks else X


def make_network(early_stopping, max_iter=1):
    from sknet import NNRegressor

    return NNRegressor(
        (64, 64),
        activation="relu",
        solver="adam",
        batch_size=1000,
        max_iter=max_iter,
        learning_rate="cosine",
        learning_rate_init=0.005,
        early_stopping=early_stopping,
        dropout=0.0,
        ema_decay=None,
        n_members=1,
        numeric_embedding=None,
        random_state=0,
    )


def measure_table(name, n_fit, folder):
    """Return rows per second, rows per second of processor time, peak RssAnon, and test R2.

    The first ``n_fit`` rows are loaded into memory. If ``n_fit`` is 0, the network is trained
    on the file.
    """
    warnings.simplefilter("ignore")
    case, folder = CASES[name], Path(folder)
    X, y = open_table(case, folder), np.load(folder / "y.npy")
    X_test, y_test = np.asarray(X[-BLOCK:]), y[-BLOCK:]
    network = make_network(case.early_stopping)
    # The first fit imports modules and starts threads, whose memory does not count.
    make_network(early_stopping=True).fit(X_test[:2000], y_test[:2000])
    if n_fit:
        X, y = np.array(X[:n_fit]), y[:n_fit]
    start, start_cpu = time.perf_counter(), time.process_time()
    with PeakMemory() as memory:
        network.fit(X, y)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    score = network.score(X_test, y_test)
    return len(y) / seconds, len(y) / cpu, memory.peak, score


def compare_tables(names, gigabytes):
    n = int(gigabytes * 1e9 / (4 * D))
    n_memory = min(n, int(1e9 / (4 * D)))
    print(f"{n} rows of {D} float32 numbers, {gigabytes} GB; {n_memory} rows in memory")
    columns = ["case", "rows/s", "in memory", "share", "of CPU", "RssAnon, MB", "R2"]
    print("{:<27}{:>10}{:>10}{:>7}{:>7}{:>13}{:>7}".format(*columns))
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            write_table(CASES[name], n, Path(folder))
            fast, fast_cpu, _, _ = run_worker(__file__, name, str(n_memory), folder)
            rate, rate_cpu, peak, r2 = run_worker(__file__, name, "0", folder)
        shares = f"{rate / fast:7.2f}{rate_cpu / fast_cpu:7.2f}"
        print(
            f"{name:<27}{rate:10.0f}{fast:10.0f}{shares}{peak / MB:13.0f}{r2:7.3f}", flush=True
        )


def cars(n, seed):
    """Return a frame with eight columns of numbers, two categories, and a price."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.standard_normal((n, 8)).round(4), columns=list("abcdefgh"))
    frame["maker"] = rng.choice(["Fiat", "Saab", "Volvo"], n)
    code = rng.integers(0, 50, n)
    frame["model"] = np.array([f"model {i}" for i in range(50)])[code]
    saab = frame["maker"] == "Saab"
    frame["price"] = (
        frame["a"] * np.where(saab, 3, 1) + np.abs(frame["b"]) * frame["c"] + np.cos(code)
    ) + rng.standard_normal(n)
    frame.loc[rng.random(n) < 0.1, "d"] = np.nan
    return frame


def write_csv(n, path):
    for i, start in enumerate(range(0, n, BLOCK)):
        frame = cars(min(BLOCK, n - start), seed=i)
        frame.to_csv(path, index=False, mode="a" if i else "w", header=not i)


def measure_csv(how, path):
    """Return the rows of all epochs per second, the peak of RssAnon, and R2 on other rows."""
    import pandas as pd

    from sknet.streaming import fit_chunks, read_chunks

    warnings.simplefilter("ignore")
    network, test = make_network(early_stopping=True, max_iter=CSV_EPOCHS), cars(BLOCK, 10**6)
    features = list(test.columns.drop("price"))
    start = time.perf_counter()
    with PeakMemory() as memory:
        if how == "in chunks":
            fit_chunks(network, read_chunks(path, target="price"))
        else:
            frame = pd.read_csv(path)
            network.fit(frame[features], frame["price"])
    seconds = time.perf_counter() - start
    score = network.score(test[features], test["price"])
    return network.t_ / seconds, memory.peak, score


def compare_csv(n):
    print(f"CSV of {n} rows, {CSV_EPOCHS} epochs, including the time to read")
    columns = ["how", "rows/s", "RssAnon, MB", "R2"]
    print("{:<27}{:>10}{:>13}{:>8}".format(*columns))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "cars.csv")
        write_csv(n, path)
        for how in ["in memory", "in chunks"]:
            rate, peak, r2 = run_worker(__file__, "CSV", how, path)
            print(f"{how:<27}{rate:10.0f}{peak / MB:13.0f}{r2:8.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of cases, separated by semicolons")
    parser.add_argument("--gb", type=float, default=6, help="size of the table in gigabytes")
    parser.add_argument("--csv-rows", type=int, default=2_000_000, help="rows of the CSV file")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, how, path = arguments.worker
        result = (
            measure_csv(how, path) if name == "CSV" else measure_table(name, int(how), path)
        )
        print(json.dumps(result))
        return
    names = arguments.only.split(";") if arguments.only else [*CASES, "CSV"]
    tables = [name for name in names if name != "CSV"]
    if tables:
        compare_tables(tables, arguments.gb)
    if "CSV" in names:
        compare_csv(arguments.csv_rows)


if __name__ == "__main__":
    main()
