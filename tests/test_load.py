"""Many threads, processes and calls: results are equal to the last bit, and memory is flat."""

import json
import multiprocessing
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from guards import HANGING
from joblib import Parallel, delayed
from joblib import hash as hash_of
from memory_growth import BOUND, OPTIONS
from numpy.testing import assert_array_equal
from plain import NNClassifier
from sklearn.base import clone

import sknet

#: Options that use the random generator, the averages and the copies of a training run.
EAGER = {**OPTIONS, "max_iter": 4}


def outputs(network, X):
    return getattr(network, "predict_proba", network.predict)(X)


def refitted(network, X, y):
    """Return what a new fit predicts, and what the given network predicts."""
    return outputs(clone(network).fit(X, y), X), outputs(network, X)


def test_sixteen_threads_predict_while_others_fit(problem):
    """Threads that share a network, and fits beside them, give the bits of a single thread."""
    X, y = problem.X, problem.y
    network = problem.cls((8,), **EAGER).fit(X, y)
    expected = outputs(network, X)

    def predict(first):
        rows = slice(first, first + 40)
        return all(
            np.array_equal(outputs(network, X[rows]), outputs(network, X[rows].copy()))
            and np.array_equal(outputs(network, X), expected)
            for _ in range(20)
        )

    def fit(_):
        return np.array_equal(outputs(clone(network).fit(X, y), X), expected)

    with ThreadPoolExecutor(18) as threads:
        results = [threads.submit(predict, 5 * i) for i in range(16)]
        results += [threads.submit(fit, i) for i in range(6)]
        assert all(result.result() for result in results)


class FittingWhenRead:
    """Rows that fit a network to another table at the moment in which it reads them."""

    def __init__(self, rows, network, other):
        self.rows, self.network, self.other = rows, network, other
        self.shape = rows.shape

    def __array__(self, dtype=None, copy=None):
        self.network.fit(*self.other)
        return np.array(self.rows, dtype)


@pytest.mark.parametrize(
    ("cls", "method", "arguments"),
    [
        (sknet.NNClassifier, "predict", []),
        (sknet.NNClassifier, "predict_proba", []),
        (sknet.NNClassifier, "decision_function", []),
        (sknet.NNRegressor, "predict", []),
        (sknet.NNRegressor, "predict_quantiles", [[0.1, 0.9]]),
        (sknet.NNRegressor, "sample", [3, 0]),
        (sknet.NNMultiTarget, "predict", []),
        (sknet.NNMultiTarget, "predict_proba", []),
    ],
)
def test_a_prediction_is_of_one_fit(cls, method, arguments):
    """A fit to other columns and classes in the meantime does not change a prediction."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    y, other = np.arange(60) % 3, (np.arange(60) % 2)
    options = {**OPTIONS, **({"loss": "normal"} if cls is sknet.NNRegressor else {})}
    if cls is sknet.NNMultiTarget:
        options |= {"targets": {"y0": "log_loss"}}
        y, other = (np.column_stack([one, X[:, 0]]) for one in (y, other))
    network = cls((8,), **options).fit(X, y)
    expected = getattr(network, method)(X, *arguments)
    rows = FittingWhenRead(X, network, (X[:, :2], other))
    found = getattr(network, method)(rows, *arguments)
    assert network.n_features_in_ == 2
    assert hash_of(found) == hash_of(expected)


def test_memory_is_flat():
    """Hundreds of predictions and of fits leave nothing behind."""
    root = str(Path(sknet.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("memory_growth.py")],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=True,
    )
    objects = json.loads(done.stdout)
    assert objects.pop("an array that is kept") > BOUND
    assert len(objects) == 4
    assert max(objects.values()) < BOUND, objects


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux forks safely.")
def test_a_forked_process_fits_and_predicts(problem):
    """A process that is forked after a fit computes the same bits."""
    X, y = problem.X, problem.y
    network = problem.cls((8,), **EAGER).fit(X, y)
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads, such as those of pytest-xdist.
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.starmap_async(refitted, [(network, X, y)] * 4).get(timeout=HANGING)
    for again, predicted in results:
        assert_array_equal(again, outputs(network, X))
        assert_array_equal(predicted, outputs(network, X))


# joblib does not start processes from threads.
@pytest.mark.parametrize(
    ("outer", "inner"), [("threading", "threading"), ("loky", "threading"), ("loky", "loky")]
)
def test_nested_workers_of_joblib(binary, outer, inner):
    """Fits in workers that have workers of their own give the bits of a fit without any.

    The processes of loky are spawned: each begins with a fresh interpreter.
    """
    X, y = binary
    network = NNClassifier((8,), **EAGER).fit(X, y)
    expected = outputs(network, X)
    tasks = [delayed(in_workers)(inner, network, X, y) for _ in range(2)]
    for results in Parallel(n_jobs=2, backend=outer)(tasks):
        for again, predicted in results:
            assert_array_equal(again, expected)
            assert_array_equal(predicted, expected)


def in_workers(backend, network, X, y):
    tasks = [delayed(refitted)(network, X, y) for _ in range(2)]
    return Parallel(n_jobs=2, backend=backend)(tasks)
