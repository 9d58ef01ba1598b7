"""Measure how much memory fit and predict need beyond their input.

    python benchmarks/memory.py [--only "fit dense,predict"]

Each measurement runs in its own process. The result is the peak of the anonymous resident
memory during the call, sampled every few milliseconds, minus the value before the call. This
memory (RssAnon on Linux) is what the process has allocated, without mapped files. The networks
are plain ones, so that scikit-learn can do the same work.
"""

import argparse
import json
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from workers import PLAIN, run_worker

MB = 1e6


@dataclass(frozen=True)
class Case:
    """Rows, columns, storage of X, the method to measure, hidden layers and batch size."""

    n: int
    d: int
    storage: str
    method: str = "fit"
    hidden: tuple[int, ...] = (32,)
    batch: int = 200


CASES = {
    "fit dense": Case(1_000_000, 50, "float64"),
    "fit dense float32": Case(1_000_000, 50, "float32"),
    "fit sparse": Case(500_000, 2000, "csr"),
    "fit memory map": Case(10_000_000, 100, "memmap", batch=1000),
    "predict": Case(600_000, 50, "float64", "predict"),
    "predict more rows": Case(3_000_000, 20, "float64", "predict"),
    "predict_proba": Case(600_000, 50, "float64", "predict_proba"),
}
#: Cases that only sknet runs: a pass of scikit-learn over 4 GB would show nothing new.
ALONE = {"fit memory map"}


class PeakMemory:
    """The peak of RssAnon inside a ``with`` block, and its value before the block, in bytes."""

    def __enter__(self):
        self.before = self.peak = rss_anon()
        self._running = True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._running = False
        self._thread.join()

    def _watch(self):
        while self._running:
            self.peak = max(self.peak, rss_anon())
            time.sleep(0.003)

    @property
    def added(self):
        """The peak minus the value before the block."""
        return self.peak - self.before


def rss_anon():
    """Return the anonymous resident memory of this process in bytes."""
    with open("/proc/self/status") as status:
        return next(
            int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon")
        )


def make_table(case, folder):
    """Return X in the storage of a case; a memory map is written block by block."""
    rng = np.random.default_rng(0)
    if case.storage == "csr":
        from scipy import sparse

        return sparse.random(case.n, case.d, 0.01, format="csr", random_state=0)
    if case.storage == "memmap":
        path = Path(folder) / "X.npy"
        X = np.lib.format.open_memmap(path, "w+", np.float32, (case.n, case.d))
        for start in range(0, case.n, 100_000):
            X[start : start + 100_000] = rng.standard_normal((100_000, case.d), np.float32)
        X.flush()
        return np.load(path, mmap_mode="r")
    return rng.standard_normal((case.n, case.d), np.dtype(case.storage).type)


def make_estimator(peer, case):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    from sknet import NNClassifier, NNRegressor

    classifies = case.method == "predict_proba"
    ours, theirs = (NNClassifier, MLPClassifier) if classifies else (NNRegressor, MLPRegressor)
    options = {"hidden_layer_sizes": case.hidden, "batch_size": case.batch, "max_iter": 1}
    return ours(**{**PLAIN, **options}) if peer == "sknet" else theirs(**options)


def measure(peer, name, folder):
    """Return bytes added, bytes of X and of the result, and seconds."""
    warnings.simplefilter("ignore")
    case = CASES[name]
    X = make_table(case, folder)
    y = np.asarray(X[:, :3].sum(axis=1)).ravel()
    y = y > 0 if case.method == "predict_proba" else y
    # The first fit imports modules and starts threads, whose memory does not count.
    model = make_estimator(peer, case).fit(X[:2000], y[:2000])
    result = None
    start = time.perf_counter()
    with PeakMemory() as memory:
        if case.method == "fit":
            model.fit(X, y)
        else:
            result = getattr(model, case.method)(X)
    seconds = time.perf_counter() - start
    n_bytes = X.data.nbytes + X.indices.nbytes if case.storage == "csr" else X.nbytes
    return memory.added, n_bytes, 0 if result is None else result.nbytes, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of cases, separated by commas")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(measure(*arguments.worker)))
        return
    names = arguments.only.split(",") if arguments.only else list(CASES)
    print(
        f"{'case':<20} {'X, MB':>8} {'result':>8}  added, MB (share of X): sknet, scikit-learn"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            cells = []
            for peer in ["sknet"] if name in ALONE else ["sknet", "sklearn"]:
                added, of_X, of_result, seconds = run_worker(__file__, peer, name, folder)
                cells.append(f"{added / MB:8.0f} ({added / of_X:.2f}) in {seconds:.1f} s")
            print(
                f"{name:<20} {of_X / MB:8.0f} {of_result / MB:8.0f}  " + "   ".join(cells),
                flush=True,
            )


if __name__ == "__main__":
    main()
