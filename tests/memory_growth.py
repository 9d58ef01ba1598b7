"""Print how many objects a call of each kind leaves behind, as JSON.

The counts need a process without other threads and without a tracer of coverage, which allocate
objects as well.
"""

import gc
import json
import sys

import numpy as np

from sknet import NNClassifier, NNRegressor

#: Options that use the random generator, the averages and the copies of a training run.
OPTIONS = {
    "batch_size": 20, "max_iter": 1, "n_iter_no_change": np.inf, "random_state": 0,
    "dropout": 0.1, "ema_decay": 0.9, "n_members": 2, "early_stopping": True,
    "numeric_embedding": "piecewise_linear",
}  # fmt: skip

#: A call that keeps something leaves one object at least.
BOUND = 0.9


def growth_of(function, n_calls):
    """Return the number of objects that a call leaves behind, the second least of some rounds.

    Caches are filled in the first rounds, and one may be emptied in a later one, but what leaks
    does so in each of them. There are at most eight rounds, and no more once two of them are
    below the bound.
    """
    growths = []
    while len(growths) < 8 and sum(growth < BOUND for growth in growths) < 2:
        before = n_objects()
        for _ in range(n_calls):
            function()
        growths.append((n_objects() - before) / n_calls)
    return sorted(growths)[1]


def n_objects():
    """Return the number of objects that are in use."""
    # Without the interpreter's lock, some memory is given back a collection later.
    gc.collect()
    gc.collect()
    return sys.getallocatedblocks()


def main():
    rng, kept = np.random.default_rng(0), []
    X = rng.normal(size=(40, 4))
    found = {"an array that is kept": growth_of(lambda: kept.append(np.empty(1000)), 100)}
    # The first fits of a process fill its caches; the second estimator finds most of them full.
    for cls, y, n_fits in [(NNClassifier, X[:, 0] > 0, 50), (NNRegressor, X[:, 0], 25)]:
        network = cls((4,), **OPTIONS).fit(X, y)
        found[f"predict of {cls.__name__}"] = growth_of(lambda n=network: n.predict(X[:1]), 100)
        found[f"fit of {cls.__name__}"] = growth_of(lambda n=network, y=y: n.fit(X, y), n_fits)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
