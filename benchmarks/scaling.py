"""Time fits of growing size, long fits, searches and the import.

    python benchmarks/scaling.py [--rounds 5] [--only growth,long,search,import]

The first part doubles the rows, the columns or the epochs of a fit. Ratios are medians of
several rounds, and each round runs in its own processes.
"""

import argparse
import json
import statistics
import sys
import time
import warnings

import numpy as np
from workers import PLAIN, run_worker

#: The sizes that are doubled, one at a time.
BASE = {"n": 200_000, "d": 50, "epochs": 2}


def make_data(n, d):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, X[:, :5].sum(axis=1) + rng.standard_normal(n)


def seconds_of(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def fit_seconds(n, d, epochs):
    """Return the time in seconds of a fit with 100 hidden units in the default dtype."""
    from sknet import NNRegressor

    network = NNRegressor(**PLAIN, max_iter=epochs)
    network.fit(*make_data(2000, d))
    X, y = make_data(n, d)
    return seconds_of(lambda: network.fit(X, y))


def long_fit_ratio():
    """Return the time of the last 100 of 1000 epochs divided by that of the first 100.

    A high learning rate kills units, whose moments then decay toward denormal numbers.
    Also return the number of these units.
    """
    from sknet import NNRegressor

    X, y = make_data(2000, 20)
    options = {"hidden_layer_sizes": (256,), "learning_rate_init": 0.05, "dtype": "float32"}
    network = NNRegressor(**{**PLAIN, **options}, max_iter=1000).fit(X, y)
    encoded = network._model.encode(X)
    active = encoded @ network.coefs_[0] + network.intercepts_[0] > 0
    seconds = network.history_["seconds"]
    ratio = statistics.median(seconds[-100:]) / statistics.median(seconds[:100])
    return ratio, int((~active.any(axis=0)).sum())


def search_seconds(n_jobs):
    """Return the time in seconds of a grid search on as many rows as "default" in speed.py."""
    from sklearn.model_selection import GridSearchCV

    from sknet import NNRegressor

    X, y = make_data(10_000, 20)
    network = NNRegressor(**PLAIN, max_iter=30)
    grid = {"alpha": [1e-7, 1e-6, 1e-5, 1e-4]}
    search = GridSearchCV(network, grid, cv=3, n_jobs=n_jobs, refit=False)
    # Workers are started only once in a session, so this search starts them.
    GridSearchCV(network.set_params(max_iter=1), grid, cv=2, n_jobs=n_jobs).fit(X, y)
    network.set_params(max_iter=30)
    return seconds_of(lambda: search.fit(X, y))


def import_seconds(names):
    """Return the time in seconds that importing the named modules takes."""

    def load():
        for name in names:
            __import__(name)

    return seconds_of(load)


def modules_of_sknet():
    """Return the modules of other packages that sknet itself imports."""
    import ast
    from pathlib import Path

    import sknet

    names = set()
    for path in Path(sknet.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
    loaded = {name for name in names if name in sys.modules}
    return sorted(name for name in loaded if name.split(".")[0] != "sknet")


WORKERS = {
    "fit": fit_seconds,
    "long": long_fit_ratio,
    "search": search_seconds,
    "import": import_seconds,
    "modules": modules_of_sknet,
}


def run(name, *arguments):
    """Run a worker in its own process."""
    return run_worker(__file__, name, json.dumps(arguments))


def show(label, ratios):
    ratios = sorted(ratios)
    print(
        f"{label:<46} {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})",
        flush=True,
    )


def show_growth(rounds):
    for name in BASE:
        doubled = {**BASE, name: 2 * BASE[name]}
        ratios = [
            run("fit", *doubled.values()) / run("fit", *BASE.values()) for _ in range(rounds)
        ]
        show(f"time of a fit when {name} is doubled", ratios)


def show_long(rounds):
    results = [run("long") for _ in range(rounds)]
    show(f"last 100 of 1000 epochs / first 100, {results[0][1]} dead", [r for r, _ in results])


def show_search(rounds):
    show(
        "GridSearchCV with n_jobs=1 / with n_jobs=2",
        [run("search", 1) / run("search", 2) for _ in range(rounds)],
    )


def show_import(rounds):
    modules, ours, theirs = run("modules"), [], []
    for _ in range(4 * rounds):
        ours.append(run("import", ["sknet"]))
        theirs.append(run("import", modules))
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"{'import of sknet / of the modules it imports':<46} {ratio:.2f} (of the medians)")


PARTS = {"growth": show_growth, "long": show_long, "search": show_search, "import": show_import}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help=f"some of {', '.join(PARTS)}, separated by commas")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.worker:
        name, values = arguments.worker
        print(json.dumps(WORKERS[name](*json.loads(values))))
        return
    for name in arguments.only.split(",") if arguments.only else PARTS:
        PARTS[name](arguments.rounds)


if __name__ == "__main__":
    main()
