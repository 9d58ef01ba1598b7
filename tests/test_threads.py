"""Threads change the time of a fit, and neither its result nor the process."""

import multiprocessing
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import joblib
import numpy as np
import pytest
from guards import HANGING
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from threadpoolctl import threadpool_limits

import sknet._run
from sknet import NNClassifier, NNRegressor
from sknet._run import ONE_BLAS_THREAD, BlasLimit, blas_libraries, n_threads
from sknet.nn import kernels, shares, state
from sknet.nn.epochs import Epoch
from sknet.nn.shares import Team


def n_blas_threads():
    """Return the number of threads of each BLAS library."""
    return {one.num_threads for one in blas_libraries()}


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
    # There is a cool-down on all rows although nothing can be learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
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
        monkeypatch.setattr(sknet._run, "n_threads", lambda number=number: number)
        fitted.append(clone(network).fit(X, y, np.arange(300.0)))
    # They are made anew for the cool-down on all rows. The scales of columns, which have their
    # own learning rate, are a further one.
    assert n_stretches == [2, 2, 3, 3, 4, 4]
    for other in fitted[1:]:
        assert_array_equal(other._model.params, fitted[0]._model.params)


@pytest.mark.parametrize("solver", ["adam", "adamw"])
def test_small_networks_take_a_step_in_one_thread(solver, monkeypatch):
    """Also if some parameters have their own rate or no decay: a hand-over takes longer."""
    monkeypatch.setattr(sknet._run, "n_threads", lambda: 2)
    n_tasks, run = [], Team.run
    monkeypatch.setattr(
        Team, "run", lambda team, tasks: n_tasks.append(len(tasks)) or run(team, tasks)
    )
    X = np.random.default_rng(0).normal(size=(300, 4))
    for n_units in (20, 700):
        network = NNRegressor((n_units, n_units), solver=solver, max_iter=1, random_state=0)
        assert len(network.fit(X, X[:, 0]).column_scales_) == 1
        assert (len(n_tasks) > 0) == (n_units == 700)


def test_blas_has_one_thread_until_the_fit_ends(binary, two_blas_threads, watched):
    network = NNClassifier((4,), max_iter=10, early_stopping=True, scoring=watched)
    network.set_params(n_iter_no_change=np.inf).fit(*binary)
    # The scorer is tried before the training, and then called after each epoch but the last
    # ones, which are on all rows.
    assert watched.seen == [{1}] * 9
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


def test_a_limit_of_another_library_that_ends_within_a_training(binary, two_blas_threads):
    """KMeans in another thread gives BLAS its two threads back; the next epoch has one."""
    others, seen = ExitStack(), []
    others.enter_context(threadpool_limits(1, user_api="blas"))

    def score(estimator, X, y):
        others.close()  # The limit of the other library ends before the second epoch.
        return estimator.score(X, y)

    def step(epoch, step=Epoch._step):
        seen.append((epoch.state.iteration, *n_blas_threads()))
        step(epoch)

    options = {"max_iter": 4, "early_stopping": True, "n_iter_no_change": np.inf}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Epoch, "_step", step)
        NNClassifier((4,), **options, scoring=score, refit=False).fit(*binary)
    assert {epoch for epoch, *_ in seen} == {0, 1, 2, 3}
    assert {number for _, number in seen} == {1}
    assert n_blas_threads() == {2}


def in_thread(function, *arguments):
    """Return the result of a call in a new thread, which has ended."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def test_a_fit_in_another_thread_limits_blas_after_one_in_this_thread(
    binary, two_blas_threads, watched
):
    """The thread that was the first to set a limit does not control those of the others."""
    network = NNClassifier((4,), max_iter=3, early_stopping=True, scoring=watched)
    with ONE_BLAS_THREAD:
        pass
    in_thread(network.fit, *binary)
    assert len(watched.seen) > 1
    assert watched.seen == [{1}] * len(watched.seen)
    assert n_blas_threads() == {2}


@pytest.mark.parametrize("ends_first", [0, 1])
def test_overlapping_trainings_in_two_threads_may_end_in_any_order(
    ends_first, two_blas_threads
):
    """The training that ends last lifts the limit, also if its thread did not set it."""
    began = [threading.Event(), threading.Event()]
    may_end = [threading.Event(), threading.Event()]

    def train(i):
        with ONE_BLAS_THREAD:
            began[i].set()
            assert may_end[i].wait(60)
            return n_blas_threads()

    with ThreadPoolExecutor(2) as threads:
        trainings = []
        for i in range(2):
            trainings.append(threads.submit(train, i))
            assert began[i].wait(60)
        for i in (ends_first, 1 - ends_first):
            assert n_blas_threads() == {1}
            may_end[i].set()
            assert trainings[i].result() == {1}
    assert n_blas_threads() == {2}
    assert in_thread(n_blas_threads) == {2}


@pytest.mark.parametrize("n_fits", [2, 8])
def test_fits_in_threads_have_one_blas_thread_and_the_same_bits(
    n_fits, binary, two_blas_threads, watched
):
    """Fits that overlap each other, and predictions, limit BLAS until the last of them ends."""
    X, y = binary
    # Products of this size are computed by two threads of BLAS where there is no limit.
    network = NNClassifier((300,), batch_size=100, max_iter=3, random_state=0)
    network.set_params(early_stopping=True, scoring=watched)
    together = threading.Barrier(n_fits)

    def fit(_):
        together.wait(60)
        return clone(network).fit(X, y)._model.params

    expected = clone(network).fit(X, y)
    with ThreadPoolExecutor(n_fits + 1) as threads:
        fits = [threads.submit(fit, i) for i in range(n_fits)]
        predictions = [threads.submit(expected.predict_proba, X) for _ in range(20)]
        for each in fits:
            assert_array_equal(each.result(), expected._model.params)
        for each in predictions:
            np.testing.assert_allclose(each.result(), expected.predict_proba(X), rtol=1e-6)
    assert len(watched.seen) > 2 * n_fits
    assert watched.seen == [{1}] * len(watched.seen)
    assert n_blas_threads() == {2}


def test_workers_that_are_threads_limit_blas(binary, two_blas_threads, watched):
    """joblib's threads give the bits of this thread, and the limit ends with their fits."""
    X, y = binary
    network = NNClassifier((8,), max_iter=3, early_stopping=True, random_state=0)
    network.set_params(scoring=watched)
    expected = clone(network).fit(X, y).predict_proba(X)
    voting = VotingClassifier([(f"{i}", network) for i in range(4)], voting="soft", n_jobs=2)
    with joblib.parallel_backend("threading"):
        assert_array_equal(voting.fit(X, y).predict_proba(X), expected)
    assert watched.seen == [{1}] * len(watched.seen)
    assert n_blas_threads() == {2}


class Library:
    """A BLAS library with one number of threads for the whole process."""

    def __init__(self, number):
        self.number = number

    @property
    def num_threads(self):
        return self.number

    def set_num_threads(self, number):
        self.number = number


class ThreadLocalLibrary(Library):
    """A library with a number for each thread, as OpenBLAS with OpenMP has."""

    def __init__(self, number):
        self.initial, self.of_thread = number, threading.local()

    @property
    def number(self):
        return getattr(self.of_thread, "number", self.initial)

    @number.setter
    def number(self, number):
        self.of_thread.number = number


class ControlledLibrary(Library):
    """A library that the first thread which sets its number controls (threadpoolctl 3.8)."""

    controller = None

    def clear_controlling_thread(self, force=False):
        if force or self.controller is threading.current_thread():
            self.controller = None

    def set_num_threads(self, number):
        self.controller = self.controller or threading.current_thread()
        if self.controller is threading.current_thread():
            self.number = number


class SingleThreadedLibrary(Library):
    """A library without threads, which knows no number."""

    def __init__(self, number):
        self.number = None

    def set_num_threads(self, number):
        raise AssertionError("There is nothing to limit.")


@pytest.fixture(
    params=[Library, ThreadLocalLibrary, ControlledLibrary, SingleThreadedLibrary],
    ids=lambda cls: cls.__name__,
)
def library(request, monkeypatch):
    """Let BLAS be a library of each kind, with four threads if it has any."""
    library = request.param(4)
    monkeypatch.setattr(sknet._run, "blas_libraries", lambda: [library])
    return library


def test_an_interrupt_at_the_end_of_a_training_leaves_no_training(library, monkeypatch):
    limit, set_threads = BlasLimit(), sknet._run.set_threads_of

    def interrupted(library, number):
        set_threads(library, number)
        raise KeyboardInterrupt

    with limit:
        assert limit.in_use
        monkeypatch.setattr(sknet._run, "set_threads_of", interrupted)
        n_threads = library.num_threads
        if n_threads:
            with pytest.raises(KeyboardInterrupt):
                limit.__exit__()
        else:
            limit.__exit__()
        monkeypatch.undo()
        assert not limit.in_use
    with limit:
        assert limit.in_use
    assert not limit.in_use


@pytest.mark.parametrize("name", ["set_threads_of", "is_process_wide"])
def test_an_interrupt_at_the_start_of_a_training_leaves_no_limit(name, library, monkeypatch):
    limit, call, n_threads = BlasLimit(), getattr(sknet._run, name), library.num_threads

    def interrupted(*arguments):
        call(*arguments)
        monkeypatch.undo()
        monkeypatch.setattr(sknet._run, "blas_libraries", lambda: [library])
        raise KeyboardInterrupt

    monkeypatch.setattr(sknet._run, name, interrupted)
    if n_threads:
        with pytest.raises(KeyboardInterrupt), limit:
            pass
    assert not limit.in_use
    assert library.num_threads == n_threads


def test_a_training_beside_another_one_has_one_thread(monkeypatch):
    """Whether the limit of BLAS holds for a thread or for the process."""
    monkeypatch.setattr(sknet._run, "blas_libraries", lambda: [ThreadLocalLibrary(4)])
    monkeypatch.setattr(sknet._run, "n_openmp_threads", lambda: 4)
    assert n_threads() == 4
    with ONE_BLAS_THREAD:
        assert in_thread(n_threads) == 1
    assert n_threads() == 4


def test_every_kind_of_library_is_limited_in_every_thread(library):
    """Each training run limits its thread, whether a number holds for a thread or a process."""
    limit, before = BlasLimit(), library.num_threads
    numbers = (before, 1 if before else None)

    def inside():
        with limit, Team(2, limit) as team:
            return [library.num_threads, *team.run([lambda: library.num_threads] * 2)]

    with limit:
        assert library.num_threads == numbers[1]
        assert in_thread(inside) == [numbers[1]] * 3
        assert inside() == [numbers[1]] * 3
        assert library.num_threads == numbers[1]
    assert library.num_threads == before
    assert in_thread(lambda: library.num_threads) == before
    assert in_thread(inside) == [numbers[1]] * 3
    assert library.num_threads == before


def test_other_threads_may_set_limits_after_a_training():
    """Training gives up the control that threadpoolctl 3.8 has given it."""
    library = ControlledLibrary(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sknet._run, "blas_libraries", lambda: [library])
        with BlasLimit():
            assert library.controller is threading.current_thread()
    in_thread(library.set_num_threads, 3)
    assert library.num_threads == 3


def test_a_library_is_limited_where_no_thread_can_be_started(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    library = Library(4)
    monkeypatch.setattr(sknet._run, "blas_libraries", lambda: [library])
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with BlasLimit():
        assert library.num_threads == 1
    assert library.num_threads == 4


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


def test_a_fit_does_not_enable_the_interpreter_s_lock_again():
    """On a build without the lock, a module that is not made for it would enable it."""
    script = """
import sys
import sklearn.neural_network
is_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
before = is_enabled()
import sknet, sknet.callbacks, sknet.export, sknet.inspection, sknet.streaming
sknet.NNClassifier(max_iter=2).fit([[0.0], [1.0]], [0, 1]).predict([[0.0]])
assert is_enabled() == before
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=HANGING)
