"""Kill a fit on a CSV file with SIGKILL at random moments, and resume it each time.

    python benchmarks/killed.py [--mb 300] [--kills 10]

The fit reads the file in chunks and saves its training every second. Each process is killed at
a random moment after it has saved, within an epoch or between two. The script checks that the
last fit has the same parameters, bit for bit, and the same record as a fit that was not
interrupted. It needs a system that can fork, and room for the file in a temporary folder. It
removes the file at the end.
"""

import argparse
import multiprocessing
import tempfile
import time
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from sknet import NNRegressor
from sknet.callbacks import Checkpoint
from sknet.streaming import fit_chunks, read_chunks

BLOCK = 20_000
#: The number of bytes of a row.
ROW = 200


def write_table(path, n_rows):
    """Write a table with numbers, missing values and a category."""
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, BLOCK):
        frame = pd.DataFrame(rng.normal(size=(min(BLOCK, n_rows - start), 10))).add_prefix("x")
        frame["maker"] = rng.choice(["Fiat", "Saab", "Volvo"], len(frame))
        frame["y"] = frame["x0"] * np.where(frame["maker"] == "Saab", 2, 1) + frame["x1"] ** 2
        frame.loc[rng.random(len(frame)) < 0.1, "x2"] = np.nan
        frame.to_csv(path, mode="a", index=False, header=not start)


def fit(table, result, saved=None, resume_from=None):
    """Fit a network and write it to a file; save the training if a file is given for it."""
    network = NNRegressor((32,), max_iter=6, dropout=0.1, early_stopping=True, random_state=0)
    if saved is not None:
        network.set_callbacks(Checkpoint(saved, seconds=1))
    chunks = read_chunks(table, target="y", chunk_size=BLOCK)
    fit_chunks(network, chunks, shuffle_window=4, resume_from=resume_from)
    joblib.dump(network.set_callbacks(), result)


def run_until_killed(make, saved, rng):
    """Start a process, and kill it after a number of saves; return whether it was killed."""
    before, n_saves = saved.stat().st_mtime_ns if saved.exists() else 0, rng.integers(1, 4)
    process = multiprocessing.get_context("fork").Process(target=make)
    process.start()
    while n_saves and process.is_alive():
        time.sleep(0.01)
        now = saved.stat().st_mtime_ns if saved.exists() else before
        n_saves, before = n_saves - (now != before), now
    time.sleep(rng.random())
    process.kill()
    process.join()
    return process.exitcode != 0


def kill_and_resume(table, saved, result, n_kills):
    """Kill a fit ``n_kills`` times, and let the last process finish it."""
    rng = np.random.default_rng(0)
    for number in range(1, n_kills + 1):
        resumed = saved if saved.exists() else None
        assert run_until_killed(partial(fit, table, result, saved, resumed), saved, rng)
        run = joblib.load(saved)._run
        place = f"epoch {run.iteration + 1} after {run.n_batches_done} batches"
        print(f"Kill number {number}: the file was saved in {place}.", flush=True)
    fit(table, result, saved, saved)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=float, default=300)
    parser.add_argument("--kills", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, result = folder / "table.csv", folder / "network.joblib"
        write_table(table, int(arguments.mb * 1e6 / ROW))
        print(f"The file has {table.stat().st_size / 1e6:.0f} MB.", flush=True)
        fit(table, result)
        whole = joblib.load(result)
        kill_and_resume(table, folder / "saved.joblib", result, arguments.kills)
        resumed = joblib.load(result)
    assert np.array_equal(resumed._model.params, whole._model.params)
    assert resumed.history_["loss"] == whole.history_["loss"]
    assert resumed.validation_scores_ == whole.validation_scores_
    print("The parameters and the record are the same to the last bit.")


if __name__ == "__main__":
    main()
