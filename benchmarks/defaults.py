"""Time the fits that people run: default estimators on tables of all sizes.

    python benchmarks/defaults.py [--rounds 3] [--only c1000,r10k,…] [--threads 1] [--load]
    python benchmarks/defaults.py --steps [--threads 1]

Each fit runs in its own process, and the libraries take turns for several rounds. LightGBM and
CatBoost take part if they are installed. ``--out FILE`` appends the medians to a CSV file,
from which ``defaults_picture.py`` draws. With ``--load``, another process computes on each core
at the same time. ``--steps`` times single training steps, and compares them with those of the
same network in PyTorch (extra ``bench``), which has the same batches, updates, loss, optimizer,
schedule and running average. It also compares the final losses.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from workers import run_worker


@dataclass(frozen=True)
class Table:
    """The numbers of training rows, columns and classes (0: regression) of a table.

    A frame has missing values, and some of its columns are categories.
    """

    n: int
    d: int
    classes: int = 2
    frame: bool = False


TABLES = {
    "c150": Table(150, 5, classes=3),
    "c500": Table(500, 30),
    "c1000": Table(1000, 20),
    "c10k": Table(10_000, 20),
    "c10kx200": Table(10_000, 200),
    "c10k frame": Table(10_000, 20, frame=True),
    "c50k": Table(50_000, 40),
    "c100k": Table(100_000, 20),
    "c1M": Table(1_000_000, 50),
    "r500": Table(500, 10, classes=0),
    "r1000": Table(1000, 20, classes=0),
    "r10k": Table(10_000, 20, classes=0),
    "r10k frame": Table(10_000, 20, classes=0, frame=True),
    "r50k": Table(50_000, 40, classes=0),
    "r100k": Table(100_000, 20, classes=0),
    "r1M": Table(1_000_000, 50, classes=0),
}
STEPS = {"c10k", "c50k", "r10k", "r50k"}
PEERS = {"hgb": "sklearn", "lightgbm": "lightgbm", "catboost": "catboost"}
#: The number of epochs of the training whose steps are timed.
EPOCHS_OF_STEPS = 6


def make_table(table, seed=0):
    """Return training rows, and a fifth as many test rows, but at least 200."""
    rng = np.random.default_rng(seed)
    n_test = max(200, table.n // 5)
    X = rng.normal(size=(table.n + n_test, table.d))
    signal = X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3] - np.abs(X[:, 4])
    y = signal + 0.5 * rng.normal(size=len(X))
    if table.classes:
        y = np.searchsorted(np.quantile(signal, np.arange(1, table.classes) / table.classes), y)
    if table.frame:
        X = with_categories(X, rng)
        parts = X.iloc[: table.n], X.iloc[table.n :]
    else:
        parts = X[: table.n], X[table.n :]
    return parts[0], y[: table.n], parts[1], y[table.n :]


def with_categories(X, rng):
    """Return a frame whose first columns are categories, with a tenth of the cells missing."""
    import pandas as pd

    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    frame = frame.mask(rng.random(X.shape) < 0.1)
    for column, n_levels in zip(frame.columns, [3, 10, 40], strict=False):
        levels = pd.cut(frame[column], n_levels, labels=[f"level {i}" for i in range(n_levels)])
        frame[column] = levels
    return frame


def make_estimator(peer, table):
    kind = "Classifier" if table.classes else "Regressor"
    if peer == "sknet":
        import sknet

        return getattr(sknet, f"NN{kind}")(random_state=0)
    if peer == "hgb":
        from sklearn import ensemble

        return getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=0)
    if peer == "lightgbm":
        import lightgbm

        return getattr(lightgbm, f"LGBM{kind}")(random_state=0, verbose=-1)
    import catboost

    columns = [f"x{i}" for i in range(3)] if table.frame else None
    return getattr(catboost, f"CatBoost{kind}")(
        random_state=0, verbose=0, allow_writing_files=False, cat_features=columns
    )


def loss_of(estimator, table, X, y):
    """Return the log loss, or the root of 1 - R2."""
    from sklearn.metrics import log_loss, r2_score

    if table.classes:
        return log_loss(y, estimator.predict_proba(X))
    return max(0.0, 1 - r2_score(y, estimator.predict(X))) ** 0.5


def measure_fit(peer, table):
    """Return the time of a fit in seconds, and the loss on the test rows."""
    X, y, X_test, y_test = make_table(table)
    if peer == "catboost" and table.frame:
        X, X_test = (part.astype({f"x{i}": str for i in range(3)}) for part in (X, X_test))
    estimator = make_estimator(peer, table)
    start = time.perf_counter()
    estimator.fit(X, y)
    return time.perf_counter() - start, loss_of(estimator, table, X_test, y_test)


def measure_steps(peer, table):
    """Return the seconds per step, the last loss, and the number of updates."""
    X, y, *_ = make_table(table)
    X = X.astype(np.float32)
    options = {"early_stopping": False, "n_iter_no_change": np.inf}
    estimator = make_estimator("sknet", table).set_params(**options)
    if peer == "sknet":
        estimator.set_params(max_iter=EPOCHS_OF_STEPS).fit(X, y)
        n_batches = -(-table.n // estimator.auto_params_["batch_size"])
        seconds = statistics.median(estimator.history_["seconds"][1:]) / n_batches
        return seconds, estimator.history_["loss"][-1], n_batches * EPOCHS_OF_STEPS
    import torch
    import torch_twin

    torch.manual_seed(0)
    estimator.set_params(max_iter=1).fit(X, y)
    targets = estimator._model.target.transform(y, np.dtype(np.float32))[:, 0]
    seconds, loss, updates = torch_twin.fit(estimator, X, targets, EPOCHS_OF_STEPS)
    return statistics.median(seconds[1:]) * EPOCHS_OF_STEPS / updates, loss, updates


def work(mode, peer, name):
    """Measure in this process, and print the result for the parent."""
    warnings.simplefilter("ignore")
    measure = measure_steps if mode == "steps" else measure_fit
    print(json.dumps(measure(peer, TABLES[name])))


@contextmanager
def load(wanted):
    """Let another process compute on each core, if that is wanted."""
    spin = "x = 1.0\nwhile True: x = x * 1.0000001 % 3"
    busy = [
        subprocess.Popen([sys.executable, "-c", spin])
        for _ in range(os.cpu_count() if wanted else 0)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()


def compare(mode, name, peers, rounds):
    """Return the measurements of a table by peer. The peers take turns."""
    results = {peer: [] for peer in peers}
    for number in range(rounds):
        for peer in peers if number % 2 else peers[::-1]:
            results[peer].append(run_worker(__file__, mode, peer, name))
    return results


def check_equal_work(name, results):
    """Raise an error if the two libraries did not do the same work."""
    (_, loss, updates), (_, loss_of_twin, updates_of_twin) = (
        results[peer][0] for peer in ("sknet", "torch")
    )
    if updates != updates_of_twin or not 0.8 < loss / loss_of_twin < 1.25:
        raise AssertionError(
            f"{name}: {updates} updates and loss {loss} in sknet, "
            f"{updates_of_twin} updates and loss {loss_of_twin} in PyTorch"
        )


def report(name, results):
    """Print each peer's median time and loss, and sknet's time divided by the peer's."""
    ours = [seconds for seconds, *_ in results["sknet"]]
    cells = [f"{name:<11}"]
    for peer, measured in results.items():
        theirs = [seconds for seconds, *_ in measured]
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        cells.append(
            f"{peer} {statistics.median(theirs):.3g} s, loss {measured[0][1]:.4f}"
            + ("" if peer == "sknet" else f", ratio {ratio:.2f}")
        )
    print("  |  ".join(cells), flush=True)


def record(out, name, results):
    """Append the median time in seconds and the loss of each peer to a CSV file."""
    table, new = TABLES[name], not os.path.exists(out)
    with open(out, "a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["table", "rows", "columns", "model", "seconds", "loss"])
        for peer, measured in results.items():
            seconds = statistics.median(seconds for seconds, *_ in measured)
            loss = measured[0][1]
            writer.writerow([name, table.n, table.d, peer, f"{seconds:.3g}", f"{loss:.4f}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names of tables, separated by commas")
    parser.add_argument("--threads", help="the number of threads of each library")
    parser.add_argument("--load", action="store_true", help="keep each core busy meanwhile")
    parser.add_argument("--steps", action="store_true", help="compare steps with PyTorch's")
    parser.add_argument("--out", help="a CSV file to which the medians are appended")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = arguments.threads
    names = arguments.only.split(",") if arguments.only else list(TABLES)
    peers = ["sknet", *(peer for peer, module in PEERS.items() if find_spec(module))]
    if arguments.steps:
        names, peers = [name for name in names if name in STEPS], ["sknet", "torch"]
    with load(arguments.load):
        for name in names:
            mode = "steps" if arguments.steps else "fits"
            results = compare(mode, name, peers, arguments.rounds)
            if arguments.steps:
                check_equal_work(name, results)
            report(name, results)
            if arguments.out:
                record(arguments.out, name, results)


if __name__ == "__main__":
    main()
