"""Threads change the time of a fit, and neither its result nor the process."""

import multiprocessing
import sys
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from threadpoolctl import threadpool_limits

import sknet._fitting
from sknet import NNClassifier, NNRegressor
from sknet._threads import ONE_BLAS_THREAD, blas_libraries, n_threads
from sknet.nn import kernels, shares
from sknet.nn.epochs import Epoch


def n_blas_threads():
    """Return the number of threads of each BLAS library."""
    return {one.num_threads for one in blas_libraries().lib_controllers}


@pytest.fixture
def two_blas_threads():
    """Let BLAS have two threads, which the other tests do not."""
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture
def watched():
    """Return a scorer that notes the numbers of BLAS threads that it is called with."""
    seen = []

    def score(estimator, X, y):
        seen.append(n_blas_threads())
        return estimator.score(X, y)

    score.seen = seen
    return score


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_the_number_of_threads_does_not_change_a_bit(cls, monkeypatch):
    # Small batches and few parameters are divided here, too.
    monkeypatch.setattr(shares, "LEAST_WORK", 1)
    monkeypatch.setattr(kernels, "BLOCK_SIZE", 100)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 4)), rng.integers(2, size=300)
    network = cls((20,), batch_size=64, max_iter=4, dropout=0.2, random_state=0)
    fitted, n_stretches = [], []
    make_stretches = Epoch._make_stretches

    def count_stretches(epoch):
        stretches = make_stretches(epoch)
        n_stretches.append(len(stretches))
        return stretches

    monkeypatch.setattr(Epoch, "_make_stretches", count_stretches)
    for number in (1, 2, 3):
        monkeypatch.setattr(sknet._fitting, "n_threads", lambda number=number: number)
        fitted.append(clone(network).fit(X, y, np.arange(300.0)))
    # They are made anew for the cool-down on all rows.
    assert n_stretches == [1, 1, 2, 2, 3, 3]
    for other in fitted[1:]:
        assert_array_equal(other._model.params, fitted[0]._model.params)


def test_blas_has_one_thread_until_the_fit_ends(binary, two_blas_threads, watched):
    network = NNClassifier((4,), max_iter=10, early_stopping=True, scoring=watched)
    network.set_params(n_iter_no_change=np.inf).fit(*binary)
    # The scorer is tried before the training, and then called after each epoch but the last
    # ones, which are on all rows.
    assert watched.seen == [{2}] + [{1}] * 8
    assert n_blas_threads() == {2}


def test_an_error_lifts_the_limit(binary, two_blas_threads):
    def fail(estimator, X, y):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        NNClassifier((4,), max_iter=2, early_stopping=True, scoring=fail).fit(*binary)
    assert n_blas_threads() == {2}


def test_the_last_of_several_trainings_lifts_the_limit(two_blas_threads):
    with ONE_BLAS_THREAD:
        with ONE_BLAS_THREAD:
            assert n_blas_threads() == {1}
        assert n_blas_threads() == {1}
    assert n_blas_threads() == {2}


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux forks safely.")
def test_a_process_that_is_forked_during_a_fit_has_no_limit(two_blas_threads):
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    with ONE_BLAS_THREAD, warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads, such as those of pytest-xdist.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = context.Process(target=lambda: results.put(n_blas_threads()))
        child.start()
        assert results.get() == {2}
        child.join()
        assert n_blas_threads() == {1}


def test_limits_and_workers_of_joblib_decide_on_the_number_of_threads(two_blas_threads):
    with threadpool_limits(1):
        assert n_threads() == 1
    with threadpool_limits(1, user_api="openmp"):
        assert n_threads() == 1
    for backend in ("loky", "threading"):
        workers = joblib.Parallel(n_jobs=2, backend=backend)
        assert workers(joblib.delayed(n_threads)() for _ in range(2)) == [1, 1]
