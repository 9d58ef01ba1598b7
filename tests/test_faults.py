"""One fault a run: the n-th write, allocation, call of a callback or of a scorer fails.

n is 1, 2, … until a run is not hit any more. Of a fitted estimator, which takes nearly the way
of a new one, each fourth allocation fails. Of the writes of a file, which are alike, each fifth
fails; its opening, flushing and renaming always do. After each fault the estimator is as it was
before, or as after a complete run; files are whole; and nothing of the process has changed.
"""

import builtins
import io
import os
import pkgutil
import sys
import threading
import warnings
from functools import cache

import joblib
import numpy as np
import pytest
from guards import HAS_CALLBACKS
from numpy.testing import assert_array_equal
from plain import NNClassifier, NNRegressor
from threadpoolctl import ThreadpoolController

import sknet
from sknet._requirements import CALLBACK_ATTRIBUTES
from sknet.callbacks import Checkpoint, FitCallback
from sknet.streaming import fit_chunks

pytestmark = pytest.mark.no_cover


class InjectedError(Exception):
    """The error that is raised in a callback or a scorer."""


class Faults:
    """Counts calls, and raises an error in the n-th of them."""

    def __init__(self, error):
        self.error = error
        self.calls = 0
        self.fatal = None

    def __getstate__(self):
        return {}  # An estimator that holds this is the same after any number of calls.

    def call(self):
        self.calls += 1
        if self.calls == self.fatal:
            raise self.error("injected")


# Where the faults are.

#: The functions by which sknet allocates arrays.
ALLOCATIONS = {
    "empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like",
    "concatenate", "repeat", "column_stack", "hstack", "arange", "array",
}  # fmt: skip


def failing(function, faults):
    """Return a function that may fail."""

    def call(*args, **kwargs):
        faults.call()
        return function(*args, **kwargs)

    return call


class FailingNumPy:
    """Stands in for the module numpy, with allocations that may fail."""

    def __init__(self, faults):
        self._faults = faults

    def __getattr__(self, name):
        found = getattr(np, name)
        return failing(found, self._faults) if name in ALLOCATIONS else found


@cache
def modules_with_numpy():
    names = [module.name for module in pkgutil.walk_packages(sknet.__path__, "sknet.")]
    return [sys.modules[name] for name in names if hasattr(sys.modules.get(name), "np")]


def fail_at_allocations(faults, monkeypatch):
    for module in modules_with_numpy():
        monkeypatch.setattr(module, "np", FailingNumPy(faults))


class FailingFile:
    """A file whose writes may fail after half of the bytes, as on a full disk."""

    def __init__(self, file, faults):
        self._file = file
        self._faults = faults
        self._writes = 0

    def write(self, data):
        self._writes += 1
        try:
            if self._writes % 5 == 1:
                self._faults.call()
        except OSError:
            self._file.write(bytes(data)[: len(bytes(data)) // 2])
            raise
        return self._file.write(data)

    def seek(self, *args):
        self._writes = 0  # The first write at another place, such as the seal, may fail.
        return self._file.seek(*args)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def fail_at_writes(faults, monkeypatch):
    original_open = open

    def failing_open(file, mode="r", *args, **kwargs):
        if "w" not in mode:
            return original_open(file, mode, *args, **kwargs)
        faults.call()
        return FailingFile(original_open(file, mode, *args, **kwargs), faults)

    monkeypatch.setattr(builtins, "open", failing_open)
    monkeypatch.setattr(io, "open", failing_open)
    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, failing(getattr(os, name), faults))
    monkeypatch.setattr(os, "fsync", lambda number: faults.call())  # It would take long.


class FailingCallback(FitCallback):
    """A callback each of whose methods may fail."""

    def __init__(self, faults):
        self.faults = faults

    def setup(self, estimator, context):
        self.faults.call()

    def teardown(self, estimator, context):
        self.faults.call()

    def on_fit_task_begin(self, estimator, context):
        self.faults.call()

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.faults.call()


class FailingScorer:
    def __init__(self, faults):
        self.faults = faults

    def __call__(self, estimator, X, y):
        self.faults.call()
        return estimator.score(X, y)


#: What has to be replaced for faults of a kind.
SEAMS = {"allocation": fail_at_allocations, "write": fail_at_writes}
#: The error of each kind of fault.
ERRORS = {
    "allocation": MemoryError,
    "write": OSError,
    "callback": InjectedError,
    "scorer": InjectedError,
}

# What is interrupted.

OPTIONS = {
    "batch_size": 20, "max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0,
    "n_members": 2, "numeric_embedding": "piecewise_linear", "dropout": 0.1, "ema_decay": 0.9,
}  # fmt: skip


def fit(network, X, y):
    network.fit(X, y)


def partial_fit(network, X, y):
    classes = {} if isinstance(network, sknet.NNRegressor) else {"classes": [0, 1]}
    network.partial_fit(X, y, **classes)


def chunks(network, X, y):
    fit_chunks(network, [(X[:30], y[:30]), (X[30:], y[30:])])


CASES = [
    ("allocation", fit),
    ("allocation", partial_fit),
    ("allocation", chunks),
    ("scorer", fit),
]
if HAS_CALLBACKS:
    CASES += [("write", fit), ("write", chunks), ("callback", fit), ("callback", chunks)]


def make(cls, kind, run, faults, path):
    """Return an estimator that the faults hit."""
    network = cls((4,), **OPTIONS)
    if kind == "scorer":
        return network.set_params(early_stopping=True, scoring=FailingScorer(faults))
    if HAS_CALLBACKS:
        ours = [FailingCallback(faults)] if kind == "callback" else []
        network.set_callbacks(*ours, Checkpoint(path))
    return network


def state(network):
    """Return the names of an estimator's attributes, and hashes of what the tests share not."""
    shared = (*CALLBACK_ATTRIBUTES, "scoring")
    kept = {name: value for name, value in vars(network).items() if name not in shared}
    return sorted(vars(network)), joblib.hash(kept)


def surroundings(libraries):
    """Return what a run must not change: threads, their limits, settings and generators."""
    return (
        threading.active_count(),
        [library["num_threads"] for library in libraries.info()],
        np.geterr(),
        np.random.get_state()[1].tolist(),
        list(warnings.filters),
    )


def check_files(folder, path, known):
    """Assert that there is no file but a whole checkpoint; ``known`` are those seen before."""
    left = list(folder.iterdir())
    assert left in ([], [path])
    for file in left:
        content = file.read_bytes()
        if content not in known:
            assert joblib.load(file).n_iter_ in (1, 2)
            known.add(content)


@pytest.mark.parametrize("fitted", [False, True], ids=["new", "fitted"])
@pytest.mark.parametrize(
    ("kind", "run"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_fault_leaves_nothing_half_done(
    kind, run, fitted, binary, regression, tmp_path, monkeypatch
):
    """No fault changes the estimator or the process; a checkpoint is an old or a new one."""
    cls, (X, y) = (NNRegressor, regression) if fitted else (NNClassifier, binary)
    X, y = X[:60], y[:60]
    path = tmp_path / "network.checkpoint"
    faults = Faults(ERRORS[kind])
    network, whole = (make(cls, kind, run, faults, path) for _ in range(2))
    for one in [network, whole] if fitted else []:
        run(one, X[::-1], y[::-1])
    libraries = ThreadpoolController()
    before, around, contents = state(network), surroundings(libraries), set()
    run(whole, X, y)
    path.unlink(missing_ok=True)
    for fatal in range(1, 10_000, 4 if kind == "allocation" and fitted else 1):
        faults.calls, faults.fatal = 0, fatal
        with monkeypatch.context() as patch:
            if kind in SEAMS:
                SEAMS[kind](faults, patch)
            try:
                run(network, X, y)
            except ERRORS[kind] as error:
                assert "injected" in str(error)
            else:
                assert faults.calls < fatal, "a fault was swallowed"
                break
        assert surroundings(libraries) == around
        check_files(tmp_path, path, contents)
        if state(network) != before:
            # Callbacks are also called when the training is complete.
            assert kind == "callback", f"fault {fatal} changed the estimator"
            assert_array_equal(network.predict(X), whole.predict(X))
            before = state(network)
    assert fatal > 3
    assert_array_equal(network.predict(X), whole.predict(X))
