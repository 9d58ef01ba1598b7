"""A batch in shares has the loss and the gradient of the whole, by any number of threads."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn import shares
from sknet.nn.activations import Identity, ReLU
from sknet.nn.layers import Dense, Dropout
from sknet.nn.losses import SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Batch
from sknet.nn.shares import BatchGradient, Team, rows_of_share


@pytest.fixture(autouse=True)
def small_shares(monkeypatch):
    """Divide the small batches of these tests, too."""
    monkeypatch.setattr(shares, "LEAST_WORK", 1)
    monkeypatch.setattr(shares, "LEAST_ROWS", 2)


@pytest.fixture
def gradient_in_shares(make_batches):
    """Return loss and gradient, computed in shares, and the number of shares."""

    def compute(problem, n_threads):
        objective, params, batch = problem
        batches = make_batches(*batch[:3])
        with Team(n_threads) as team:
            of_batch = BatchGradient(objective, batches, params.dtype, team)
            rngs = [np.random.default_rng(i) for i in range(of_batch.n_shares)]
            loss = of_batch(params, batch, rngs)
            return loss, sum(of_batch.gradients[: of_batch.n_used]), of_batch.n_shares

    return compute


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [6, 7])
def test_shares_add_up(n_rows, weighted, make_problem, gradient_in_shares):
    problem = make_problem(n_rows=n_rows, weighted=weighted)
    objective, params, batch = problem
    workspace = Workspace(objective.network, n_rows, params.dtype)
    expected = np.empty_like(params)
    value = objective.loss_and_gradient(params, batch, workspace, expected)
    loss, gradient, n_shares = gradient_in_shares(problem, n_threads=1)
    assert n_shares == 2
    assert_allclose(loss, value, rtol=1e-12)
    assert_allclose(gradient, expected, rtol=1e-9, atol=1e-14)


def test_a_short_batch_has_no_gradient_of_the_batch_before(make_problem, make_batches):
    """The last batch of an epoch may have too few rows for a second share."""
    objective, params, batch = make_problem(n_rows=6)
    few = Batch(batch.X[:2], batch.y[:2])
    with Team() as team:
        assert team.n_threads == 1
        of_batch = BatchGradient(objective, make_batches(*batch[:3]), params.dtype, team)
        rngs = [np.random.default_rng(i) for i in range(of_batch.n_shares)]
        of_batch(params, batch, rngs)
        loss = of_batch(params, few, rngs)
    expected = np.empty_like(params)
    workspace = Workspace(objective.network, 2, params.dtype)
    assert loss == objective.loss_and_gradient(params, few, workspace, expected)
    assert_array_equal(sum(of_batch.gradients[: of_batch.n_used]), expected)


def test_threads_do_not_change_a_bit(make_problem, gradient_in_shares):
    network = Network((Dense(40, ReLU()), Dropout(0.5), Dense(1, Identity())), 3)
    problem = make_problem(layers=network.layers, n_inputs=3, loss=SquaredError(), n_rows=50)
    (one, of_one, _), (two, of_two, _) = (gradient_in_shares(problem, n) for n in (1, 2))
    assert one == two
    assert_array_equal(of_one, of_two)


def test_small_batches_and_sparse_ones_are_one_share(monkeypatch):
    network = Network((Dense(4, ReLU()), Dense(1, Identity())), 3)
    assert rows_of_share(network, 100, sparse_inputs=False) == 50
    assert rows_of_share(network, 100, sparse_inputs=True) == 100
    monkeypatch.setattr(shares, "LEAST_WORK", 10**9)
    assert rows_of_share(network, 100, sparse_inputs=False) == 100


class WithOtherArrays(Dense):
    """A layer with a work array that an inner layer declares, and one that a function makes."""

    def buffers(self, n_inputs):
        others = {"inner": {"out": 10}, "other": lambda n_rows, dtype: np.empty(3, dtype)}
        return {**super().buffers(n_inputs), **others}


def test_work_is_that_of_products_and_of_the_columns_of_work_arrays(monkeypatch):
    network = Network((WithOtherArrays(4, ReLU()), Dense(1, Identity())), 3, n_members=2)
    # 16 weights of 2 members at 20 products a nanosecond; outputs and gradients of the inputs
    # of both layers, 4 + 3 + 1 + 4 columns, and 10 of the inner layer. There are six arrays.
    work = 100 * (16 * 2 / 20 + 12 + 10)
    monkeypatch.setattr(shares, "LEAST_WORK", work / 2 / 6)
    assert rows_of_share(network, 100, sparse_inputs=False) == 50
    monkeypatch.setattr(shares, "LEAST_WORK", work / 2 / 6 + 1)
    assert rows_of_share(network, 100, sparse_inputs=False) == 100


def test_overflow_in_a_thread_is_silent():
    """Training checks its result, and the settings of NumPy belong to a single thread."""
    with Team(2) as team, np.errstate(over="ignore"):
        results = team.run([lambda: np.exp(np.array([1e4]))] * 2)
    assert np.isinf(results).all()


def test_tasks_keep_their_order_and_threads_end():
    before = threading.active_count()
    with Team(3) as team:
        for n_tasks in (1, 2, 3, 7):
            results = team.run([lambda i=i: (i, threading.get_ident()) for i in range(n_tasks)])
            assert [i for i, _ in results] == list(range(n_tasks))
        assert len({ident for _, ident in results}) > 1
    assert threading.active_count() == before


ENDING = """
import threading
from sknet.nn.shares import Team

def train():
    threading.main_thread().join()
    with Team(2) as team:
        print(team.run([lambda: 1, lambda: 2]))

threading.Thread(target=train).start()
"""


def test_a_team_works_after_the_main_thread_has_ended():
    result = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[1, 2]\n", "")


def test_a_team_is_smaller_if_no_thread_can_be_started(monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    with Team(3) as team:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            assert team.run([lambda: 1, lambda: 2]) == [1, 2]
        assert team.n_threads == 1
        assert team.run([lambda: 3, lambda: 4]) == [3, 4]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_waits_for_the_other_tasks(failing):
    """The call does not end before them; the end of the team would wait for them anyway."""
    done = threading.Semaphore(0)

    def fail():
        raise ValueError("broken")

    def work():
        threading.Event().wait(0.05)
        done.release()

    tasks = [work, work, work]
    tasks[failing] = fail
    with Team(3) as team:
        with pytest.raises(ValueError, match="broken"):
            team.run(tasks)
        assert all(done.acquire(blocking=False) for _ in range(2))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_while_threads_start_leaves_none_behind(at, monkeypatch):
    """The last thread that has begun to run is ended, too, and the end waits for no other."""
    before, start, n_started = set(threading.enumerate()), threading.Thread.start, []

    def interrupted(thread):
        start(thread)
        n_started.append(thread)
        if len(n_started) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), Team(4) as team:
        team.run([lambda: 1] * 4)
    assert len(n_started) == at
    assert set(threading.enumerate()) == before


def test_a_team_starts_no_more_threads_than_there_are_tasks():
    before = threading.active_count()
    with Team(16) as team:
        assert team.run([]) == []
        assert team.run([lambda: 1]) == [1]
        assert threading.active_count() == before
        assert team.run([lambda: 1, lambda: 2]) == [1, 2]
        assert threading.active_count() == before + 1
        assert team.run([lambda: 3] * 5) == [3] * 5
        assert threading.active_count() == before + 4
    assert threading.active_count() == before


def test_a_context_that_a_thread_cannot_enter_is_an_error_and_no_wait():
    main = threading.current_thread()

    class Narrow:
        def __enter__(self):
            if threading.current_thread() is not main:
                raise MemoryError("no room")

        def __exit__(self, *error):
            pass

    with Team(3, Narrow()) as team:
        for _ in range(2):
            with pytest.raises(MemoryError, match="no room"):
                team.run([lambda: 1] * 3)
