"""``time_limit``: the plan of a fit is made to fit into seconds. No test looks at a clock."""

import math
import pickle
import warnings
from functools import partial
from itertools import count

import joblib
import numpy as np
import pytest
from guards import needs_callbacks
from numpy.testing import assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

import sknet
from sknet import _base, _chunk_fitting
from sknet.callbacks import Checkpoint, FitCallback
from sknet.inspection import summary
from sknet.nn.budget import Budget
from sknet.streaming import RowBlocks, fit_chunks

FORGIVING = pytest.mark.filterwarnings("ignore:Training had time")
PLANNED = {"learning_rate": "one_cycle", "learning_rate_init": 0.01, "batch_size": 20}


@pytest.fixture
def seconds(monkeypatch):
    """Let each reading of the clock take a second, which is that of a step."""

    def make(time_limit):
        return Budget(time_limit, partial(next, count(0.0)))

    for module in (_base, _chunk_fitting):
        monkeypatch.setattr(module, "Budget", make)


def n_steps(network):
    """Return the number of steps of a fit without a cool-down on all rows."""
    n_rows = network._model.provenance.n_rows
    return round(network.t_ / n_rows * math.ceil(n_rows / network.batch_size))


def same(network, other, X):
    assert_array_equal(network.predict(X), other.predict(X))
    for name in network.history_.keys() - {"seconds"}:
        assert_array_equal(network.history_[name], other.history_[name])


@pytest.mark.filterwarnings("ignore:Training ended at iteration 12")
@pytest.mark.parametrize("limit", [1e6, math.inf, np.float32(1e6), 10**6])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_limit_that_suffices_changes_no_bit(problem, solver, limit):
    options = {"solver": solver, "early_stopping": True, "max_iter": 12, "random_state": 0}
    network = problem.cls((6,), **options, **(PLANNED if solver == "adam" else {}))
    expected = clone(network).fit(problem.X, problem.y)
    limited = clone(network).set_params(time_limit=limit).fit(problem.X, problem.y)
    same(limited, expected, problem.X)
    assert limited._model.provenance == expected._model.provenance


@FORGIVING
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("limit", [3, 30, 80])
def test_a_fit_ends_with_its_seconds(problem, seconds, limit, early_stopping):
    """The steps are those that the seconds have room for, also within the first epoch."""
    network = problem.cls((6,), max_iter=60, random_state=0, refit=False, **PLANNED)
    network.set_params(time_limit=limit + 0.5, early_stopping=early_stopping)
    network.fit(problem.X, problem.y)
    # Before the first step and after the last one, the clock is read this often.
    others = 5 + 3 if early_stopping else 1
    assert abs(n_steps(network) - max(limit - others, 1)) <= 2
    assert network._model.provenance.ending == "time_limit"
    assert network.n_iter_ == len(network.loss_curve_)
    rates = network.history_["learning_rate"]
    assert limit < 80 or (max(rates) > 0.005 and rates[-1] < 0.001)


@needs_callbacks
@FORGIVING
def test_the_seconds_are_better_spent_than_by_stopping():
    """A tenth of the steps: the log loss is less than that of an epoch in the full plan."""
    X, y = load_digits(return_X_y=True)
    network = sknet.NNClassifier((32,), batch_size=100, max_iter=60, random_state=0)
    network.fit(X[::2], y[::2])
    usual = log_loss(y[1::2], network.predict_proba(X[1::2]))
    n_epochs = network.n_iter_ // 10

    class Stop(FitCallback):
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id + 1 == n_epochs

    stopped = clone(network).set_callbacks(Stop()).fit(X[::2], y[::2])
    ticks = count(0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_base, "Budget", lambda limit: Budget(limit, partial(next, ticks)))
        # Eight readings of the clock are not those of steps.
        limited = clone(network).set_params(time_limit=8 * n_epochs + 8).fit(X[::2], y[::2])
    assert limited.t_ <= stopped.t_ * 1.05
    loss, other = (log_loss(y[1::2], one.predict_proba(X[1::2])) for one in (limited, stopped))
    assert usual < loss < 0.8 * other


@pytest.mark.parametrize(
    ("limit", "options"),
    [(20, PLANNED), (200, {"learning_rate": "constant", "tol": 0}), (9, {"solver": "lbfgs"})],
)
def test_a_fit_with_too_few_seconds_warns_once(problem, seconds, limit, options):
    options = {"early_stopping": False, "batch_size": 20, **options}
    network = problem.cls((6,), max_iter=500, random_state=0, time_limit=limit, **options)
    with pytest.warns(ConvergenceWarning) as told:
        network.fit(problem.X, problem.y)
    (warning,) = told
    assert warning.filename == __file__
    text = str(warning.message)
    assert text.startswith("Training had time for about ")
    assert f"of 500 epochs (time_limit={limit} seconds)" in text and "Increase" in text
    assert network.n_iter_ < 500
    assert "by time_limit" in str(summary(network))


def test_many_epochs_are_counted_without_an_exponent(problem, seconds):
    """The warning names 123 epochs as such."""
    n_epochs, n_batches = 123, -(-len(problem.X) // 20)
    options = {"batch_size": 20, "early_stopping": False, "learning_rate": "constant", "tol": 0}
    network = problem.cls((6,), max_iter=500, random_state=0, **options)
    network.set_params(time_limit=n_epochs * n_batches, n_iter_no_change=np.inf)
    with pytest.warns(ConvergenceWarning, match=r"for about 1[12]\d of 500 epochs"):
        network.fit(problem.X, problem.y)


def test_half_of_the_seconds_give_no_warning(problem, seconds):
    network = problem.cls((6,), max_iter=20, random_state=0, early_stopping=False, **PLANNED)
    n_batches = -(-len(problem.X) // 20)
    network.set_params(time_limit=10 * n_batches)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.fit(problem.X, problem.y)
    assert 9 <= network.n_iter_ <= 11


def test_lbfgs_begins_no_iteration_beyond_the_limit(problem, seconds):
    network = problem.cls((6,), solver="lbfgs", max_iter=500, time_limit=9.5, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Training had time"):
        network.fit(problem.X, problem.y)
    # The clock is read when the fit and the training begin, and after each iteration.
    assert 6 <= network.n_iter_ <= 8
    assert network._model.provenance.ending == "time_limit"
    expected = clone(network).set_params(max_iter=network.n_iter_, time_limit=None)
    with pytest.warns(ConvergenceWarning):
        same(network, expected.fit(problem.X, problem.y), problem.X)


@FORGIVING
@pytest.mark.parametrize("kind", ["sparse", "blocks", "weights", "members"])
def test_other_tables(problem, seconds, kind):
    X, options, fit = problem.X, {}, {}
    if kind == "sparse":
        X = sparse.csr_matrix(X)
    elif kind == "blocks":
        X = RowBlocks(X)
    elif kind == "weights":
        fit["sample_weight"] = np.arange(len(problem.y)) % 3
    else:
        options = {"n_members": 2, "share_weights": False}
    network = problem.cls(
        (6,), max_iter=60, random_state=0, time_limit=30, **PLANNED, **options
    )
    network.set_params(early_stopping=True).fit(X, problem.y, **fit)
    assert network._model.provenance.ending == "time_limit"
    assert np.isfinite(network.predict(problem.X[:3].astype(float)) == 0).all()


@FORGIVING
def test_chunks(problem, seconds):
    """Also an epoch over chunks is cut, and a limit that suffices changes no bit."""
    network = problem.cls((6,), max_iter=30, random_state=0, **PLANNED)
    chunks = [(problem.X[i : i + 30], problem.y[i : i + 30]) for i in range(0, 90, 30)]
    plain = fit_chunks(clone(network), chunks)
    same(fit_chunks(clone(network).set_params(time_limit=1e6), chunks), plain, problem.X)
    limited = fit_chunks(clone(network).set_params(time_limit=20), chunks)
    assert limited._model.provenance.ending == "time_limit"
    assert abs(limited.t_ / 18 - 18) <= 2
    assert fit_chunks(clone(network).set_params(time_limit=1e-9), chunks).t_ == 18


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), True, "3", -math.inf])
def test_limits_are_positive_numbers(problem, limit, forbid_training):
    network = problem.cls((6,), max_iter=3, n_iter_no_change=math.inf).fit(problem.X, problem.y)
    before = dict(vars(network), time_limit=limit)
    network.set_params(time_limit=limit)
    forbid_training()
    with pytest.raises(ValueError, match=r"'time_limit'.*float in the range \(0"):
        network.fit(problem.X, problem.y)
    assert vars(network).keys() == before.keys() and network._model is before["_model"]


@FORGIVING
def test_grids_and_pickles(problem):
    """Each fit of a search has the limit for itself."""
    network = problem.cls((6,), max_iter=4, random_state=0, **PLANNED)
    search = GridSearchCV(network, {"time_limit": [1e-9, None, 1e6]}, cv=2, error_score="raise")
    search.fit(problem.X, problem.y)
    worst, *others = search.cv_results_["mean_test_score"]
    assert worst < others[0] == others[1]
    again = pickle.loads(
        pickle.dumps(network.set_params(time_limit=60).fit(problem.X, problem.y))
    )
    assert again.time_limit == 60
    assert_array_equal(again.predict(problem.X), network.predict(problem.X))


class Interrupter(FitCallback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id + 1 == self.epoch:
            raise KeyboardInterrupt


@needs_callbacks
@FORGIVING
def test_a_resumed_fit_has_its_own_seconds_and_goes_on_in_the_plan(problem, seconds, tmp_path):
    """The plan goes on where it was, so that the learning rate does not rise again."""
    path = tmp_path / "network.joblib"
    network = problem.cls((6,), max_iter=60, random_state=0, time_limit=60, **PLANNED)
    network.set_params(learning_rate="cosine", early_stopping=False)
    with pytest.raises(KeyboardInterrupt):
        clone(network).set_callbacks(Checkpoint(path), Interrupter(5)).fit(problem.X, problem.y)
    saved = joblib.load(path)
    assert saved._run.state.left_out > 0
    for limit in (40, None):
        resumed = clone(network).set_params(time_limit=limit)
        resumed.fit(problem.X, problem.y, resume_from=path)
        rates = resumed.history_["learning_rate"]
        assert np.all(np.diff(rates) < 0) and rates[-1] < 1e-3
        assert resumed.n_iter_ < 60 and resumed.n_iter_ > 6


@needs_callbacks
@FORGIVING
def test_a_checkpoint_counts_the_rows_of_a_cut_epoch(problem, seconds, tmp_path):
    path = tmp_path / "network.joblib"
    network = problem.cls((6,), max_iter=60, random_state=0, time_limit=33, **PLANNED)
    network.set_callbacks(Checkpoint(path)).fit(problem.X, problem.y)
    assert network._model.provenance.n_unvisited > 0
    assert joblib.load(path).t_ == network.t_


@needs_callbacks
@FORGIVING
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_a_callback_can_still_stop_a_fit(cls, seconds):
    X = np.random.default_rng(0).normal(size=(100, 3))

    class Stop(FitCallback):
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch"

    network = cls((6,), max_iter=60, random_state=0, time_limit=40, **PLANNED)
    network.set_callbacks(Stop()).fit(X, X[:, 0] > 0)
    assert network.n_iter_ == 1 and network._model.provenance.ending == "stopped"
