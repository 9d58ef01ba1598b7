"""Callbacks and checkpoints, and their refusal with scikit-learn before 1.9."""

import copy
import itertools
import json
import os
import pickle
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from guards import HANGING, HAS_CALLBACKS, needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet import _base
from sknet._base import fitted_attributes
from sknet._fitting import fit_network, split_off_validation
from sknet._input import read_training
from sknet._monitoring import HeldOut
from sknet._persistence import SEAL_SIZE, save_checkpoint
from sknet._run import Run, fingerprint
from sknet._starting import start_model
from sknet.callbacks import Checkpoint, FitCallback, TimeLimit
from sknet.data import draws
from sknet.data.batches import Batch
from sknet.nn import state
from sknet.streaming import fit_chunks

if HAS_CALLBACKS:
    from sklearn.callback import ScoringMonitor

CONSTANT = {"batch_size": 20, "n_iter_no_change": np.inf, "random_state": 0}


class Recorder(FitCallback):
    """Records its calls."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.calls = []
        self.seen = []
        self.fitted = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(f"begin {context.task_name} {context.task_id}")
        self.seen.append((estimator, X, y, metadata))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        self.seen.append((estimator, X, y, metadata))
        self.fitted.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_at


class Interrupter(FitCallback):
    """Raises an error after some epochs, by default that of Ctrl-C."""

    def __init__(self, epoch, error=KeyboardInterrupt):
        self.epoch = epoch
        self.error = error

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id + 1 == self.epoch:
            raise self.error


@pytest.fixture
def table():
    """A frame with missing values and with few and many levels of categories."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(150, 3)), columns=["a", "b", "c"])
    X["tree"] = rng.choice(["ash", "beech", "yew"], 150)
    X["shop"] = rng.choice([f"shop {i}" for i in range(25)], 150)
    y = (2 * X["a"] + (X["tree"] == "ash") + 0.1 * rng.normal(size=150)).to_numpy()
    X.loc[::7, "b"] = np.nan
    return X, y


def same(one, other, X):
    """Check that two fits have the same parameters, predictions and history, bit for bit."""
    assert_array_equal(one._model.params, other._model.params)
    assert_array_equal(one.predict(X), other.predict(X))
    for name in ("loss", "validation_loss", "validation_score", "learning_rate"):
        assert one.history_.get(name) == other.history_.get(name)
    assert one.n_iter_ == other.n_iter_
    assert one.best_iter_ == other.best_iter_
    assert one.t_ == other.t_


# Without support.


if not HAS_CALLBACKS:

    @pytest.mark.parametrize("callback", [Recorder(), TimeLimit(1), Checkpoint("x")], ids=type)
    def test_set_callbacks_names_the_version_that_it_needs(problem, callback):
        with pytest.raises(NotImplementedError, match=f"1.9; {sklearn.__version__} is"):
            problem.cls().set_callbacks(callback)

    def test_fit_works_without(problem):
        network = problem.cls((4,), max_iter=3, **CONSTANT).fit(problem.X, problem.y)
        assert network.n_iter_ == 3


# The protocol.


@needs_callbacks
def test_the_order_of_calls(problem):
    recorder = Recorder()
    network = problem.cls((4,), max_iter=2, **CONSTANT).set_callbacks(recorder)
    network.fit(problem.X, problem.y)
    assert recorder.calls == [
        "setup", "begin fit 0", "begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1",
        "end fit 0", "teardown",
    ]  # fmt: skip


@needs_callbacks
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_teardown_after_an_error(problem, error):
    recorder = Recorder()
    network = problem.cls((4,), max_iter=5, **CONSTANT)
    network.set_callbacks(recorder, Interrupter(2, error))
    with pytest.raises(error):
        network.fit(problem.X, problem.y)
    assert recorder.calls[0] == "setup" and recorder.calls[-1] == "teardown"
    # The estimator is left as it was and can be fitted.
    assert not hasattr(network, "n_iter_")
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(network))
    assert network.set_callbacks().fit(problem.X, problem.y).n_iter_ == 5


@needs_callbacks
def test_each_fit_has_calls_of_its_own(problem):
    recorder = Recorder()
    network = problem.cls((4,), max_iter=3, **CONSTANT).set_callbacks(recorder)
    network.fit(problem.X, problem.y)
    first, recorder.calls = recorder.calls, []
    network.fit(problem.X, problem.y)
    assert recorder.calls == first
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(network))


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_see_what_the_user_gave(table, solver):
    X, y = table
    y, weight = list(y), np.ones(150)
    recorder = Recorder()
    network = NNRegressor((4,), solver=solver, early_stopping=True, random_state=0)
    network.set_params(max_iter=500, learning_rate_init=0.02)
    network.set_callbacks(recorder).fit(X, y, weight)
    assert len(recorder.seen) == 2 * (network.n_iter_ + 1)
    for estimator, seen_X, seen_y, metadata in recorder.seen:
        assert estimator is network
        assert seen_X is X and seen_y is y
        assert metadata["sample_weight"] is weight
    recorder.seen.clear()
    network.fit(X, y)
    assert all(metadata is None for *_, metadata in recorder.seen)


@needs_callbacks
def test_without_callbacks_nothing_changes(problem):
    network = problem.cls((4,), max_iter=4, **CONSTANT)
    watched = clone(network).set_callbacks(Recorder()).fit(problem.X, problem.y)
    same(watched, network.fit(problem.X, problem.y), problem.X)
    # ``set_callbacks()`` removes callbacks.
    recorder = Recorder()
    network.set_callbacks(recorder).set_callbacks().fit(problem.X, problem.y)
    assert recorder.calls == []


@needs_callbacks
def test_callbacks_follow_the_protocol(problem):
    for other in [3, Recorder, SimpleNamespace(setup=None)]:
        with pytest.raises(TypeError, match="FitCallback"):
            problem.cls().set_callbacks(other)


# The fitted estimator.


@needs_callbacks
def test_the_fitted_estimator_is_as_if_the_fit_had_ended_there(problem):
    recorder = Recorder()
    network = problem.cls((4,), max_iter=5, dropout=0.1, ema_decay=0.8, **CONSTANT)
    clone(network).set_callbacks(recorder).fit(problem.X, problem.y)
    assert len(recorder.fitted) == 6
    for n, fitted in zip([1, 2, 3, 4, 5, 5], recorder.fitted, strict=True):
        assert type(fitted) is type(network)
        expected = clone(network).set_params(max_iter=n).fit(problem.X, problem.y)
        same(fitted, expected, problem.X)
        if problem.cls is NNClassifier:
            assert_array_equal(fitted.classes_, expected.classes_)


@needs_callbacks
def test_the_fitted_estimator_takes_the_user_s_frame(table):
    X, y = table
    recorder = Recorder()
    NNRegressor((4,), max_iter=2, **CONSTANT).set_callbacks(recorder).fit(X, y)
    for fitted in recorder.fitted:
        assert list(fitted.feature_names_in_) == list(X.columns)
        assert np.isfinite(fitted.predict(X)).all()


@needs_callbacks
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_last_fitted_estimator_is_the_result(problem, early_stopping):
    recorder = Recorder()
    network = problem.cls(
        (8,), early_stopping=early_stopping, max_iter=30, batch_size=20, random_state=0,
        learning_rate="cosine", learning_rate_init=0.1, n_iter_no_change=5,
    )  # fmt: skip
    network.set_callbacks(recorder).fit(problem.X, problem.y)
    same(recorder.fitted[-1], network, problem.X)


@needs_callbacks
@pytest.mark.parametrize("option", [{}, {"ema_decay": 0.8}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_callbacks_get_copies(problem, option, early_stopping):
    class Vandal(FitCallback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            for W in [*fitted_estimator.coefs_, *fitted_estimator.intercepts_]:
                W[...] = np.nan
            for values in fitted_estimator.history_.values():
                values.clear()

    options = {**CONSTANT, "early_stopping": early_stopping, "alpha": 0.01, "max_iter": 8}
    if option.get("solver") == "lbfgs":
        options |= {"max_iter": 2000, "n_iter_no_change": 5}
    network = problem.cls((4,), **options, **option)
    harmed = clone(network).set_callbacks(Vandal()).fit(problem.X, problem.y)
    same(harmed, network.fit(problem.X, problem.y), problem.X)


class Keeper(FitCallback):
    """Keeps the fitted estimators that it is given."""

    kept = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.kept.append((fitted_estimator, [W.copy() for W in fitted_estimator.coefs_]))


class RunKeeper(FitCallback):
    """Keeps the states of training that it is given after the epochs, and a copy of each."""

    kept = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            run = fitted_estimator._run
            self.kept.append((run, copy.deepcopy(run)))


@needs_callbacks
def test_later_epochs_leave_earlier_copies_alone(problem, monkeypatch):
    monkeypatch.setattr(Keeper, "kept", [])
    network = problem.cls((4,), max_iter=4, **CONSTANT).set_callbacks(Keeper())
    network.fit(problem.X, problem.y)
    for fitted, coefs in Keeper.kept:
        for now, then in zip(fitted.coefs_, coefs, strict=True):
            assert_array_equal(now, then)
            assert not np.shares_memory(now, network.coefs_[0])
    assert len({fitted.loss_ for fitted, _ in Keeper.kept[:-1]}) == 4


@needs_callbacks
def test_later_epochs_leave_earlier_states_of_training_alone(problem, monkeypatch):
    """A checkpoint that was kept in memory continues from its own epoch, not from the last."""
    monkeypatch.setattr(RunKeeper, "kept", [])
    network = problem.cls((4,), max_iter=4, dropout=0.1, ema_decay=0.9, **CONSTANT)
    network.set_callbacks(RunKeeper()).fit(problem.X, problem.y)
    for iteration, (run, then) in enumerate(RunKeeper.kept, start=1):
        assert run.state.iteration == len(run.state.history["loss"]) == iteration
        assert_array_equal(run.params, then.params)
        assert_array_equal(run.state.slots, then.state.slots)
        assert_array_equal(run.state.average, then.state.average)
        for purpose, stream in run.streams.items():
            assert stream.bit_generator.state == then.streams[purpose].bit_generator.state
    first, last = RunKeeper.kept[0][0], RunKeeper.kept[-1][0]
    assert (first.params != last.params).any()
    assert first.streams["noise"].random() != last.streams["noise"].random()


@needs_callbacks
def test_a_copy_is_made_only_for_those_who_ask(problem, monkeypatch):
    made = []
    original = _base.fitted_attributes

    def spy(features, model, history, run=None):
        if run is not None:
            made.append(1)
        return original(features, model, history, run)

    monkeypatch.setattr(_base, "fitted_attributes", spy)
    network = problem.cls((4,), max_iter=4, **CONSTANT)
    clone(network).set_callbacks(TimeLimit(1000)).fit(problem.X, problem.y)
    assert made == []
    clone(network).set_callbacks(Recorder(), Recorder()).fit(problem.X, problem.y)
    assert len(made) == 4


# Stopping.


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_callback_stops_training(problem, solver, early_stopping):
    network = problem.cls((4,), solver=solver, max_iter=50, early_stopping=early_stopping)
    network.set_params(random_state=0).set_callbacks(Recorder(stop_at=3))
    # There is no ConvergenceWarning, which would be an error here.
    network.fit(problem.X, problem.y)
    assert network.n_iter_ == len(network.loss_curve_) == 3
    assert np.isfinite(network.predict_proba(problem.X) if problem.cls is NNClassifier
                       else network.predict(problem.X)).all()  # fmt: skip


@needs_callbacks
def test_all_callbacks_are_told_of_the_last_epoch(problem):
    first, second = Recorder(stop_at=2), Recorder()
    network = problem.cls((4,), max_iter=9, **CONSTANT).set_callbacks(first, second)
    network.fit(problem.X, problem.y)
    assert second.calls.count("end epoch 1") == 1
    assert second.calls[-2:] == ["end fit 0", "teardown"]


@needs_callbacks
def test_lbfgs_reports_its_iterations(problem):
    recorder = Recorder()
    network = problem.cls((4,), solver="lbfgs", alpha=0.01, max_iter=1000, random_state=0)
    plain = clone(network).fit(problem.X, problem.y)
    network.set_callbacks(recorder).fit(problem.X, problem.y)
    same(network, plain, problem.X)
    assert network.n_iter_ > 5
    assert sum(call.startswith("end epoch") for call in recorder.calls) == network.n_iter_
    losses = [fitted.loss_ for fitted in recorder.fitted]
    assert losses[:-1] == network.loss_curve_


# Callbacks of scikit-learn.


PROGRESS = """
import numpy as np
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sknet import NNRegressor

if __name__ == "__main__":
    X = np.random.default_rng(0).normal(size=(60, 3))
    network = NNRegressor((4,), max_iter=4, learning_rate="cosine", random_state=0)
    for estimator in (
        clone(network),
        make_pipeline(StandardScaler(), clone(network)),
        GridSearchCV(network, {"alpha": [0, 1]}, cv=2, n_jobs=2),
    ):
        estimator.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, X[:, 0])
        print("the end", flush=True)
"""


@needs_callbacks
def test_progress_bars():
    # This runs in another process, since a bar that is not ended would keep pytest from ending.
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(sknet.__file__).parents[1]),
        "OPENBLAS_NUM_THREADS": "1",
        "COLUMNS": "120",
    }
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRESS],
        capture_output=True, text=True, timeout=HANGING, env=environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    alone, pipeline, search, rest = result.stdout.split("the end")
    assert not rest.strip()
    # The search fits two candidates on two folds, and the best one on all rows.
    for output, n_fits in ((alone, 1), (pipeline, 1), (search, 5)):
        bars = [line for line in output.splitlines() if "NNRegressor - fit" in line]
        assert len(bars) >= n_fits
        assert "100%" in bars[-1]


@needs_callbacks
def test_scoring_monitor_alone(regression):
    X, y = regression
    monitor = ScoringMonitor(scoring="r2")
    network = NNRegressor((4,), max_iter=4, **CONSTANT).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data
    epochs = [row for row in log if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in epochs] == [0, 1, 2, 3]
    for n, row in enumerate(epochs, 1):
        expected = NNRegressor((4,), max_iter=n, **CONSTANT).fit(X, y)
        assert row["r2"] == pytest.approx(r2_score(y, expected.predict(X)))
    assert network.score(X, y) == pytest.approx(epochs[-1]["r2"])


@needs_callbacks
def test_scoring_monitor_of_frames_and_weights(table):
    X, y = table
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    monitor = ScoringMonitor(scoring="neg_mean_squared_error")
    network = NNRegressor((4,), max_iter=2, **CONSTANT).set_callbacks(monitor)
    network.fit(X, y, weight)
    last = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"][-1]
    expected = -np.average((network.predict(X) - y) ** 2, weights=weight)
    assert last["neg_mean_squared_error"] == pytest.approx(expected)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_search(regression, n_jobs):
    X, y = regression
    monitor = ScoringMonitor(scoring="r2")
    network = NNRegressor((4,), max_iter=3, **CONSTANT).set_callbacks(monitor)
    GridSearchCV(network, {"alpha": [0.0, 0.1]}, cv=2, n_jobs=n_jobs).fit(X, y)
    log = monitor.get_logs().data
    epochs = [row for row in log if row["task_name"] == "epoch"]
    # The search makes five fits of three epochs: two candidates on two folds, and the refit.
    assert len(epochs) == (4 + 1) * 3
    assert len({row["parent_task_id_path"] for row in epochs}) == 5
    assert np.isfinite([row["r2"] for row in epochs]).all()


@needs_callbacks
def test_in_a_pipeline_callbacks_see_transformed_rows(regression):
    X, y = regression
    recorder = Recorder()
    network = NNRegressor((4,), max_iter=2, **CONSTANT).set_callbacks(recorder)
    make_pipeline(StandardScaler(), network).fit(X, y)
    for _, seen, _, _ in recorder.seen:
        assert_allclose(seen.mean(axis=0), 0, atol=1e-12)
    assert recorder.calls[-1] == "teardown"


# TimeLimit.


class Clock(datetime):
    """A clock that stands at ``seconds`` after midnight until a test sets it."""

    seconds = 0.0

    @classmethod
    def now(cls, tz=None):
        return datetime(2026, 1, 1, tzinfo=tz) + timedelta(seconds=cls.seconds)


class Tick(FitCallback):
    """Moves the clock forward at the end of each epoch."""

    def __init__(self, clock, seconds):
        self.clock = clock
        self.seconds = seconds

    def on_fit_task_end(self, estimator, context):
        self.clock.seconds += self.seconds * (context.task_name == "epoch")


@pytest.fixture
def clock(monkeypatch):
    """The clock that ``TimeLimit`` and scikit-learn's callbacks read."""
    monkeypatch.setattr("sknet.callbacks.datetime", Clock)
    monkeypatch.setattr("sklearn.callback._callback_context.datetime", Clock)
    monkeypatch.setattr(Clock, "seconds", 0.0)
    return Clock


@needs_callbacks
@pytest.mark.parametrize("limit, n_iter", [(0.5, 1), (2.5, 3), (3.0, 4)])
def test_time_limit_stops_after_the_first_epoch_beyond_it(problem, clock, limit, n_iter):
    network = problem.cls((4,), max_iter=10**6, n_iter_no_change=10**6, tol=0, random_state=0)
    # By this clock an epoch takes a second.
    network.set_callbacks(Tick(clock, 1.0), TimeLimit(limit)).fit(problem.X, problem.y)
    assert network.n_iter_ == n_iter


@needs_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_time_limit_that_is_not_reached(problem, solver):
    network = problem.cls((4,), solver=solver, alpha=0.01, early_stopping=True, max_iter=2000)
    network.set_params(random_state=0)
    plain = clone(network).fit(problem.X, problem.y)
    same(network.set_callbacks(TimeLimit(1e6)).fit(problem.X, problem.y), plain, problem.X)


@needs_callbacks
def test_time_counts_from_the_start_of_each_fit(problem, clock):
    network = problem.cls((4,), max_iter=9, **CONSTANT)
    network.set_callbacks(Tick(clock, 1.0), TimeLimit(2.5))
    for _ in range(2):
        clock.seconds += 100
        assert network.fit(problem.X, problem.y).n_iter_ == 3


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "3", None, timedelta(seconds=3)])
def test_time_limits_are_positive_numbers(seconds):
    """The message has the name of the argument, its range and what was given."""
    error = ValueError if isinstance(seconds, int | float) else TypeError
    message = f"TimeLimit: seconds must be a number in (0, inf], got {seconds!r}."
    with pytest.raises(error, match=re.escape(message)):
        TimeLimit(seconds)
    assert TimeLimit(np.inf).seconds == np.inf


# Checkpoint.


@pytest.mark.parametrize("every", [0, -2, 1.5, "2", None])
def test_every_is_a_positive_integer(every):
    with pytest.raises(ValueError, match="every must be an integer >= 1"):
        Checkpoint("file", every=every)


@needs_callbacks
@pytest.mark.parametrize("every, last", [(1, 7), (3, 6), (5, 5)])
def test_the_file_holds_an_estimator_of_its_epoch(problem, tmp_path, every, last):
    path = tmp_path / "network.joblib"
    network = problem.cls((4,), max_iter=7, **CONSTANT)
    clone(network).set_callbacks(Checkpoint(path, every=every)).fit(problem.X, problem.y)
    saved = joblib.load(path)
    same(saved, network.set_params(max_iter=last).fit(problem.X, problem.y), problem.X)
    assert "_skl_callbacks" not in vars(saved)
    assert list(tmp_path.iterdir()) == [path]


@needs_callbacks
@pytest.mark.parametrize(
    ("path", "error", "match"),
    [
        ("missing/file", FileNotFoundError, "there is no folder .*missing. Create it before"),
        ("file/below", FileNotFoundError, "there is no folder .*file. Create it before"),
        (
            "folder",
            IsADirectoryError,
            "folder is a folder. Give Checkpoint the path of a file in it",
        ),
        ("closed/file", PermissionError, "no permission to write to the folder .*closed. Give"),
    ],
)
def test_a_path_that_cannot_be_written_to(
    problem, tmp_path, monkeypatch, forbid_training, path, error, match
):
    """The fit fails before its first epoch, names the folder and leaves nothing behind."""
    forbid_training()
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "closed").mkdir()
    # The superuser may write anywhere.
    monkeypatch.setattr(os, "access", lambda folder, mode: Path(folder).name != "closed")
    before = sorted(tmp_path.rglob("*"))
    network = problem.cls((4,), max_iter=3, **CONSTANT).set_callbacks(
        Checkpoint(tmp_path / path)
    )
    with pytest.raises(error, match=match):
        network.fit(problem.X, problem.y)
    assert not hasattr(network, "history_")
    assert sorted(tmp_path.rglob("*")) == before


@needs_callbacks
def test_a_file_in_the_current_folder_needs_no_folder(problem, tmp_path, monkeypatch):
    """A bare name is a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    network = problem.cls((4,), max_iter=1, **CONSTANT).set_callbacks(Checkpoint("file"))
    network.fit(problem.X, problem.y)
    assert (tmp_path / "file").exists()


@needs_callbacks
def test_no_file_before_an_epoch_is_due(problem, tmp_path):
    path = tmp_path / "network.joblib"
    network = problem.cls((4,), max_iter=3, **CONSTANT)
    network.set_callbacks(Checkpoint(path, every=4)).fit(problem.X, problem.y)
    assert not path.exists()


@needs_callbacks
def test_a_file_is_replaced_whole_or_not_at_all(problem, tmp_path, monkeypatch):
    path = tmp_path / "network.joblib"
    network = problem.cls((4,), max_iter=5, **CONSTANT)
    clone(network).set_callbacks(Checkpoint(path)).fit(problem.X, problem.y)
    before = path.read_bytes()

    def fail(value, file):
        file.write(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr("sknet._persistence.joblib.dump", fail)
    with pytest.raises(OSError, match="disk full"):
        clone(network).set_callbacks(Checkpoint(path)).fit(problem.X, problem.y)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@needs_callbacks
def test_threads_share_a_checkpoint(problem, tmp_path):
    """Each file is written under a name of its own before it replaces the last one."""
    path = tmp_path / "network.joblib"
    network = problem.cls((4,), max_iter=10, **CONSTANT)

    def fit(_):
        return clone(network).set_callbacks(Checkpoint(path)).fit(problem.X, problem.y)

    with ThreadPoolExecutor(4) as threads:
        fitted = list(threads.map(fit, range(8)))
    assert all(one.n_iter_ == 10 for one in fitted)
    assert joblib.load(path).predict(problem.X).shape == problem.y.shape
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def global_generator():
    """Leave NumPy's global generator as it was before the test."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


RESUMED = [
    {},
    {
        # The learning rate falls twice; the third time, training ends.
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 1e-5,
        "n_iter_no_change": 5,
        "tol": 0.5,
        "max_iter": 40,
    },
    {"solver": "rmsprop", "learning_rate": "one_cycle"},
    {"learning_rate": "invscaling", "learning_rate_init": 0.05},
    {"early_stopping": True, "dropout": 0.2, "mixup": 0.3, "ema_decay": 0.9},
    {"n_members": 3, "input_noise": 0.2, "normalization": "layer"},
    {"early_stopping": True, "dropout": "adaptive", "max_iter": 40},
    {"numeric_embedding": "periodic", "dtype": "float32"},
    {"early_stopping": True, "shuffle": False, "alpha": 0.1, "l1_ratio": 0.5},
]


@needs_callbacks
@pytest.mark.parametrize("options", RESUMED, ids=str)
@pytest.mark.parametrize("random_state", [0, None])
def test_an_interrupted_fit_goes_on(table, tmp_path, options, random_state, global_generator):
    X, y = table
    path = tmp_path / "network.joblib"
    network = NNRegressor((6,), **{"max_iter": 16, **CONSTANT, **options})
    network.set_params(random_state=random_state)
    np.random.seed(5)
    whole = clone(network).fit(X, y)
    assert whole.n_iter_ > 9
    np.random.seed(5)
    killed = clone(network).set_callbacks(Checkpoint(path, every=4), Interrupter(10))
    with pytest.raises(KeyboardInterrupt):
        killed.fit(X, y)
    assert joblib.load(path).n_iter_ == 8
    resumed = clone(network).fit(X, y, resume_from=path)
    same(resumed, whole, X)
    assert set(vars(resumed)) == set(vars(whole))


@needs_callbacks
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_an_interrupted_classifier_goes_on(request, kind, tmp_path):
    X, y = request.getfixturevalue(kind)
    path = tmp_path / "network.joblib"
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y))
    network = NNClassifier(
        (6,), max_iter=12, early_stopping=True, label_smoothing=0.1, class_weight="balanced",
        **CONSTANT,
    )  # fmt: skip
    whole = clone(network).fit(X, y, weight)
    with pytest.raises(KeyboardInterrupt):
        clone(network).set_callbacks(Checkpoint(path), Interrupter(5)).fit(X, y, weight)
    resumed = clone(network).fit(X, y, weight, resume_from=str(path))
    same(resumed, whole, X)
    assert_array_equal(resumed.classes_, whole.classes_)


@needs_callbacks
def test_a_column_that_is_constant_in_the_sample_remains_so(tmp_path, monkeypatch):
    """A fit that is resumed has the scales of the fit, though other rows would tell more."""
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 20)
    X = np.random.default_rng(0).normal(size=(150, 3))
    y = X[:, 1].copy()
    X[:, 0] = 0
    X[8, 0] = 5
    path = tmp_path / "network.joblib"
    network = NNRegressor((6,), max_iter=6, **CONSTANT)
    whole = clone(network).fit(X, y)
    assert whole._model.encoder.numbers_.scale[0] == 0
    with pytest.raises(KeyboardInterrupt):
        clone(network).set_callbacks(Checkpoint(path), Interrupter(3)).fit(X, y)
    same(clone(network).fit(X, y, resume_from=path), whole, X)


@needs_callbacks
def test_a_fit_can_be_resumed_twice_and_with_given_validation_rows(problem, tmp_path):
    path = tmp_path / "network.joblib"
    X, y = problem.X, problem.y
    held_out = {"X_val": X[:20], "y_val": y[:20]}
    network = problem.cls((6,), max_iter=15, dropout=0.1, early_stopping="auto", **CONSTANT)
    whole = clone(network).fit(X, y, **held_out)
    with pytest.raises(KeyboardInterrupt):
        clone(network).set_callbacks(Checkpoint(path), Interrupter(5)).fit(X, y, **held_out)
    resumed = clone(network).set_callbacks(Checkpoint(path), Interrupter(4))
    with pytest.raises(KeyboardInterrupt):
        resumed.fit(X, y, **held_out, resume_from=path)
    # An estimator whose fit failed takes nothing over from the file.
    assert not hasattr(resumed, "n_iter_")
    # Before each interrupt, the file of the last epoch was written.
    assert joblib.load(path).n_iter_ == 5 + 4
    resumed = clone(network).fit(X, y, **held_out, resume_from=path)
    same(resumed, whole, X)
    # It is one fit, not a continued one.
    assert resumed._model.provenance == whole._model.provenance
    for other in ({"X_val": X[:30], "y_val": y[:30]}, {"X_val": -X[:20], "y_val": y[:20]}):
        with pytest.raises(ValueError, match="different training or validation rows"):
            clone(network).fit(X, y, **other, resume_from=path)


@needs_callbacks
def test_callbacks_go_on_with_a_resumed_fit(problem, tmp_path):
    path = tmp_path / "network.joblib"
    network = problem.cls((6,), max_iter=9, **CONSTANT)
    with pytest.raises(KeyboardInterrupt):
        clone(network).set_callbacks(Checkpoint(path), Interrupter(6)).fit(problem.X, problem.y)
    recorder = Recorder()
    resumed = clone(network).set_callbacks(recorder, Checkpoint(path))
    resumed.fit(problem.X, problem.y, resume_from=path)
    assert resumed.n_iter_ == 9
    assert [fitted.n_iter_ for fitted in recorder.fitted][-2:] == [9, 9]
    assert joblib.load(path).n_iter_ == 9
    # The estimator has its own callbacks and not those of the file.
    assert resumed._skl_callbacks[0] is recorder


@needs_callbacks
def test_rows_seen_in_a_cool_down_on_all_rows(regression, tmp_path, monkeypatch):
    """A checkpoint counts the rows that were held out before as the fit itself does."""
    # The few validation rows cannot show that something has been learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
    path = tmp_path / "network.joblib"
    network = NNRegressor(
        (6,), max_iter=10, learning_rate="cosine", early_stopping=True, random_state=0
    )
    network.set_callbacks(Checkpoint(path)).fit(*regression)
    assert np.isnan(network.validation_scores_).any()
    assert joblib.load(path).t_ == network.t_


@needs_callbacks
def test_a_finished_fit_can_be_resumed(problem, tmp_path):
    path = tmp_path / "network.joblib"
    network = problem.cls((6,), max_iter=6, **CONSTANT)
    whole = clone(network).set_callbacks(Checkpoint(path)).fit(problem.X, problem.y)
    same(clone(network).fit(problem.X, problem.y, resume_from=path), whole, problem.X)
    longer = clone(network).set_params(max_iter=9)
    resumed = clone(longer).fit(problem.X, problem.y, resume_from=path)
    same(resumed, longer.fit(problem.X, problem.y), problem.X)


@needs_callbacks
@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_a_fit_that_stopped_early_does_not_go_on(regression, tmp_path, ema_decay):
    # A process may be killed after the last file is written and before the fit ends.
    X, y = regression
    path = tmp_path / "network.joblib"
    network = NNRegressor(
        (8,), early_stopping=True, n_iter_no_change=2, tol=0.05, max_iter=300, batch_size=20,
        learning_rate_init=0.05, ema_decay=ema_decay, random_state=0,
    )  # fmt: skip
    whole = clone(network).set_callbacks(Checkpoint(path)).fit(X, y)
    assert whole.n_iter_ < 300
    same(clone(network).fit(X, y, resume_from=path), whole, X)


@needs_callbacks
def test_resume_with_warm_start_goes_by_the_file(problem, tmp_path):
    path = tmp_path / "network.joblib"
    network = problem.cls((6,), max_iter=8, warm_start=True, **CONSTANT)
    whole = clone(network).fit(problem.X, problem.y)
    with pytest.raises(KeyboardInterrupt):
        clone(network).set_callbacks(Checkpoint(path), Interrupter(4)).fit(problem.X, problem.y)
    other = clone(network).fit(problem.X[:50], problem.y[:50])
    same(other.fit(problem.X, problem.y, resume_from=path), whole, problem.X)


def make_checkpoint(problem, path, **options):
    network = problem.cls((6,), **{"max_iter": 4, **CONSTANT, **options})
    return network.set_callbacks(Checkpoint(path)).fit(problem.X, problem.y).set_callbacks()


@needs_callbacks
def test_files_that_are_no_checkpoints(problem, tmp_path, forbid_training):
    path = tmp_path / "network.joblib"
    make_checkpoint(problem, path)
    other = NNClassifier if problem.cls is NNRegressor else NNRegressor
    fitted = problem.cls((6,), max_iter=2, **CONSTANT).fit(problem.X, problem.y)
    forbid_training()
    with pytest.raises(ValueError, match=f"is not a checkpoint of {other.args[0].__name__}"):
        other((6,)).fit(problem.X, (problem.y > 0).astype(int), resume_from=path)
    for value in [{"a": 1}, StandardScaler(), fitted, copy.copy(problem.cls((6,)))]:
        joblib.dump(value, tmp_path / "other.joblib")
        with pytest.raises(ValueError, match="is not a checkpoint"):
            problem.cls((6,)).fit(problem.X, problem.y, resume_from=tmp_path / "other.joblib")
    with pytest.raises(FileNotFoundError):
        problem.cls((6,)).fit(problem.X, problem.y, resume_from=tmp_path / "none.joblib")
    with pytest.raises(TypeError, match="resume_from must be the path of a file .* got 3"):
        problem.cls((6,)).fit(problem.X, problem.y, resume_from=3)


@needs_callbacks
def test_a_pickle_of_partial_fit_is_no_checkpoint(problem, tmp_path):
    # Its state belongs to a pass over one chunk, and its encoder keeps rare levels.
    network = problem.cls((6,), **CONSTANT)
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    network.partial_fit(problem.X, problem.y, **classes)
    joblib.dump(network, tmp_path / "partial.joblib")
    with pytest.raises(ValueError, match="is not a checkpoint"):
        clone(network).fit(problem.X, problem.y, resume_from=tmp_path / "partial.joblib")


@needs_callbacks
@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": (7,)},
        {"activation": "tanh"},
        {"n_members": 2},
        {"numeric_embedding": "periodic"},
        {"solver": "lbfgs"},
        {"solver": "sgd"},
        {"solver": "rmsprop"},
        {"solver": "adamw"},
    ],
    ids=str,
)
def test_parameters_that_changed(problem, tmp_path, change, forbid_training):
    path = tmp_path / "network.joblib"
    network = make_checkpoint(problem, path).set_params(max_iter=8, **change)
    forbid_training()
    (name,) = change
    with pytest.raises(
        ValueError, match=rf"parameters have changed since the checkpoint: \['{name}'\]"
    ):
        network.fit(problem.X, problem.y, resume_from=path)


@needs_callbacks
@pytest.mark.parametrize("early_stopping", [False, True])
def test_data_that_changed(problem, tmp_path, early_stopping, forbid_training):
    path = tmp_path / "network.joblib"
    network = make_checkpoint(problem, path, early_stopping=early_stopping)
    network.set_params(max_iter=8)
    forbid_training()
    X, y = problem.X, problem.y
    with pytest.raises(ValueError, match="rows"):
        network.fit(X[:-1], y[:-1], resume_from=path)
    with pytest.raises(ValueError, match="features"):
        network.fit(X[:, 1:], y, resume_from=path)
    if problem.cls is NNClassifier:
        with pytest.raises(ValueError, match="labels that are not among the classes"):
            network.fit(X, y + 1, resume_from=path)


@needs_callbacks
def test_lbfgs_saves_but_cannot_go_on(problem, tmp_path):
    path = tmp_path / "network.joblib"
    # Each iteration writes the file, so there are few.
    network = problem.cls((6,), solver="lbfgs", alpha=0.01, tol=1e-2, random_state=0)
    network.set_callbacks(Checkpoint(path)).fit(problem.X, problem.y)
    saved = joblib.load(path)
    assert saved.n_iter_ == network.n_iter_
    assert_allclose(saved.predict(problem.X), network.predict(problem.X))
    with pytest.raises(ValueError, match="lbfgs.* cannot be resumed"):
        network.fit(problem.X, problem.y, resume_from=path)


@needs_callbacks
def test_an_estimator_with_callbacks_is_pickled(problem, tmp_path):
    network = problem.cls((6,), max_iter=2, **CONSTANT)
    network.set_callbacks(TimeLimit(1000), Checkpoint(tmp_path / "file")).fit(
        problem.X, problem.y
    )
    again = pickle.loads(pickle.dumps(network))
    assert_array_equal(again.predict(problem.X), network.predict(problem.X))


# A process that is killed.


#: Windows has no SIGKILL. There, any signal of ``os.kill`` ends a process at once.
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

KILLED = """
import json, os, signal, sys
import numpy as np
from sknet.callbacks import Checkpoint, FitCallback
from threadpoolctl import threadpool_limits
import plain

class Killer(FitCallback):
    def on_fit_task_end(self, estimator, context):
        if context.task_id == 6:
            os.kill(os.getpid(), int(sys.argv[5]))

data = np.load(sys.argv[1])
network = getattr(plain, sys.argv[2])((8,), **json.loads(sys.argv[3]))
with threadpool_limits(1, user_api="blas"):
    network.set_callbacks(Checkpoint(sys.argv[4], every=2), Killer()).fit(data["X"], data["y"])
print("not killed")
"""


def run_killed(code, arguments):
    """Run code in a process that kills itself."""
    folders = [Path(sknet.__file__).parents[1], Path(__file__).parent]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=HANGING,
    )  # fmt: skip
    assert abs(done.returncode) == KILL, done.stderr
    assert done.stdout == ""


@needs_callbacks
def test_a_killed_process_s_fit_goes_on(tmp_path):
    X, y = make_regression(300, 6, noise=5.0, random_state=0)
    X[::9, 2] = np.nan
    np.savez(tmp_path / "data.npz", X=X, y=y)
    options = {
        "early_stopping": True, "dropout": 0.2, "mixup": 0.3, "ema_decay": 0.9,
        "max_iter": 20, "learning_rate": "cosine", "n_iter_no_change": 20, "random_state": 0,
    }  # fmt: skip
    path = tmp_path / "network.joblib"
    run_killed(
        KILLED, [tmp_path / "data.npz", "NNRegressor", json.dumps(options), path, int(KILL)]
    )
    assert joblib.load(path).n_iter_ == 6
    network = NNRegressor((8,), **options)
    resumed = clone(network).fit(X, y, resume_from=path)
    same(resumed, network.fit(X, y), X)


# Chunks.


class Chunks:
    """Chunks whose reading ends before some chunk of some pass, as if by Ctrl-C.

    Parameters
    ----------
    X, y : array
    size : int, default=50
        The number of rows of a chunk.
    when : tuple of int, default=None
        The numbers of the pass, which is 1 for the first one, and of the chunk, from 0.
    """

    def __init__(self, X, y, size=50, when=None):
        self.X, self.y, self.size, self.when = X, y, size, when
        self.n_passes = 0

    def __iter__(self):
        self.n_passes += 1
        for start in range(0, len(self.X), self.size):
            if (self.n_passes, start // self.size) == self.when:
                raise KeyboardInterrupt
            yield self.X[start : start + self.size], self.y[start : start + self.size]


@pytest.fixture
def long_table():
    """Return 500 rows."""
    X = np.random.default_rng(0).normal(size=(500, 4))
    return X, X[:, 0] * X[:, 1] + X[:, 2]


CHUNKED = {**CONSTANT, "batch_size": 40, "max_iter": 3, "learning_rate": "cosine"}
WINDOW = {"shuffle_window": 3}


def interrupt(network, chunks, path, **options):
    """Fit a network, save its training after every second batch, and be interrupted."""
    network.set_callbacks(Checkpoint(path, seconds=2))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("sknet.callbacks.monotonic", itertools.count().__next__)
        fit_chunks(network, chunks, **options)
    assert "_model" not in vars(network)
    return network.set_callbacks()


@needs_callbacks
def test_fit_chunks_calls_callbacks_as_fit_does(long_table):
    recorder, chunks = Recorder(stop_at=2), Chunks(*long_table)
    network = NNRegressor((8,), **CHUNKED).set_callbacks(recorder)
    fit_chunks(network, chunks)
    assert recorder.calls == [
        "setup", "begin fit 0", "begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1",
        "end fit 0", "teardown",
    ]  # fmt: skip
    assert network.n_iter_ == 2
    for estimator, X, y, metadata in recorder.seen:
        assert estimator is network and X is chunks and y is metadata is None
    assert [one.n_iter_ for one in recorder.fitted] == [1, 2, 2]
    assert [one.t_ for one in recorder.fitted] == [500, 1000, 1000]
    same(recorder.fitted[-1], network, long_table[0])


@needs_callbacks
def test_fit_chunks_tears_down_after_an_error(long_table, tmp_path):
    recorder = Recorder()
    network = NNRegressor((8,), **CHUNKED).set_callbacks(recorder)
    with pytest.raises(KeyboardInterrupt):
        fit_chunks(network, Chunks(*long_table, when=(2, 5)))
    assert recorder.calls[-1] == "teardown"
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & set(vars(network))
    network.set_callbacks(Checkpoint(tmp_path / "missing" / "file"))
    with pytest.raises(FileNotFoundError, match="no folder"):
        fit_chunks(network, Chunks(*long_table))


@needs_callbacks
@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2, "input_noise": 0.1, "mixup": 0.3},
        {"shuffle": False, "ema_decay": 0.9},
        {"early_stopping": True, "dropout": "adaptive", "n_members": 2},
        {"early_stopping": True, "ema_decay": 0.9, "solver": "sgd", "dtype": "float32"},
    ],
    ids=str,
)
@pytest.mark.parametrize("when", [(2, 4), (3, 0), (3, 8), (4, 9)], ids=str)
def test_an_interrupted_fit_of_chunks_goes_on(long_table, tmp_path, options, when):
    """It may be interrupted in any window of any pass, and has the same bits."""
    X, y = long_table
    path = tmp_path / "network.joblib"
    network = NNRegressor((8,), **{**CHUNKED, **options})
    whole = fit_chunks(clone(network), Chunks(X, y), **WINDOW)
    interrupt(network, Chunks(X, y, when=when), path, **WINDOW)
    saved = joblib.load(path)
    assert saved.n_iter_ == when[0] - 2
    assert (saved._run.n_batches_done > 0) == (when[1] > 0)
    assert np.isfinite(saved.predict(X)).all()
    resumed = fit_chunks(clone(network), Chunks(X, y), **WINDOW, resume_from=path)
    same(resumed, whole, X)
    assert set(vars(resumed)) == set(vars(whole))


@needs_callbacks
def test_a_fit_of_chunks_is_resumed_again_and_again(table, tmp_path):
    """An interrupt while the rows that are done are passed over loses nothing."""
    X, y = table
    path = tmp_path / "network.joblib"
    network = NNRegressor((8,), dropout=0.2, **CHUNKED)
    whole = fit_chunks(clone(network), Chunks(X, y, 30), shuffle_window=2)
    options = {"shuffle_window": 2}
    for when in [(3, 3), (2, 1), (2, 4), (1, 2), (3, 1)]:
        interrupt(network, Chunks(X, y, 30, when=when), path, **options)
        options["resume_from"] = path
    same(fit_chunks(network, Chunks(X, y, 30), **options), whole, X)


@needs_callbacks
def test_a_fit_of_chunks_with_validation_rows_goes_on(multiclass, tmp_path):
    X, y = multiclass
    path = tmp_path / "network.joblib"
    held_out = {"X_val": X[:30], "y_val": y[:30]}
    network = NNClassifier((8,), early_stopping="auto", dropout=0.1, **CHUNKED)
    whole = fit_chunks(clone(network), Chunks(X, y, 30), **held_out)
    assert len(whole.validation_scores_) == 3
    interrupt(network, Chunks(X, y, 30, when=(3, 2)), path, **held_out)
    resumed = fit_chunks(network, Chunks(X, y, 30), **held_out, resume_from=path)
    same(resumed, whole, X)


@needs_callbacks
def test_chunks_that_changed_are_refused(long_table, tmp_path, forbid_training):
    X, y = long_table
    path = tmp_path / "network.joblib"
    network = NNRegressor((8,), **CHUNKED)
    interrupt(network, Chunks(X, y, when=(3, 4)), path)
    forbid_training()
    for chunks, options in [
        (Chunks(X[:-1], y[:-1]), {}),
        (Chunks(X + 1, y), {}),
        (Chunks(X[::-1], y[::-1]), {}),
        (Chunks(X, y, 60), {}),
        (Chunks(X, y), {"shuffle_window": 7}),
    ]:
        with pytest.raises(ValueError, match="different training or validation rows"):
            fit_chunks(network, chunks, **options, resume_from=path)
    with pytest.raises(ValueError, match="different training or validation rows"):
        network.fit(X, y, resume_from=path)


class Counter(FitCallback):
    """Notes how many batches are done each time that it is told of progress."""

    def __init__(self):
        self.n_done = []

    def on_fit_task_end(self, estimator, context):
        pass

    def on_progress(self, estimator, context, make_fitted):
        self.n_done.append(make_fitted()._run.n_batches_done)


@needs_callbacks
def test_progress_is_told_after_each_batch_but_the_last(long_table, tmp_path):
    """Nothing is told while a resumed fit passes over rows that are done."""
    path, counter = tmp_path / "network.joblib", Counter()
    network = NNRegressor((8,), **CHUNKED)
    interrupt(network, Chunks(*long_table, when=(3, 4)), path, **WINDOW)
    fit_chunks(network.set_callbacks(counter), Chunks(*long_table), **WINDOW, resume_from=path)
    n_done = joblib.load(path)._run.n_batches_done
    assert n_done > 0
    assert counter.n_done == [*range(n_done + 1, 13), *range(1, 13)]


@needs_callbacks
def test_a_checkpoint_within_an_epoch_waits(long_table, tmp_path):
    """It is written when its seconds have passed, and never for a fit in memory."""
    path = tmp_path / "network.joblib"
    network = NNRegressor((8,), **CHUNKED)
    network.set_callbacks(Checkpoint(path, every=9, seconds=1000))
    fit_chunks(network, Chunks(*long_table))
    assert not path.exists()
    network.set_callbacks(Checkpoint(path, every=9, seconds=1e-9)).fit(*long_table)
    assert not path.exists()


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "3", timedelta(seconds=3)])
def test_seconds_between_saves_are_a_positive_number(seconds):
    error = ValueError if isinstance(seconds, int | float) else TypeError
    with pytest.raises(error, match="Checkpoint: seconds must be"):
        Checkpoint("file", seconds=seconds)


KILLED_CHUNKS = """
import json, os, sys
import numpy as np
from sknet.callbacks import Checkpoint
from sknet.streaming import fit_chunks
from threadpoolctl import threadpool_limits
import plain

class Killer:
    n_passes = 0

    def __iter__(self):
        self.n_passes += 1
        for i, start in enumerate(range(0, 500, 50)):
            if (self.n_passes, i) == (3, 7):
                os.kill(os.getpid(), int(sys.argv[3]))
            yield data["X"][start : start + 50], data["y"][start : start + 50]

data = np.load(sys.argv[1])
network = plain.NNRegressor((8,), **json.loads(sys.argv[4]))
with threadpool_limits(1, user_api="blas"):
    network.set_callbacks(Checkpoint(sys.argv[2], seconds=1e-9))
    fit_chunks(network, Killer(), shuffle_window=3)
print("not killed")
"""


@needs_callbacks
def test_a_killed_process_s_fit_of_chunks_goes_on(long_table, tmp_path):
    X, y = long_table
    np.savez(tmp_path / "data.npz", X=X, y=y)
    path = tmp_path / "network.joblib"
    options = {"dropout": 0.2, "batch_size": 20, "max_iter": 3, "learning_rate": "cosine"}
    options["random_state"] = 0
    arguments = [tmp_path / "data.npz", path, int(KILL), json.dumps(options)]
    run_killed(KILLED_CHUNKS, arguments)
    assert joblib.load(path)._run.n_batches_done > 0
    network = NNRegressor((8,), **options)
    resumed = fit_chunks(clone(network), Chunks(X, y), **WINDOW, resume_from=path)
    same(resumed, fit_chunks(network, Chunks(X, y), **WINDOW), X)


# The checks of a checkpoint, which is made here without a callback.


@pytest.fixture
def saved(problem, tmp_path):
    """Return a network and the path of a checkpoint of its fit after two epochs."""
    network = problem.cls((4,), max_iter=2, n_iter_no_change=np.inf, random_state=0)
    features, data = read_training(network, Batch(problem.X, problem.y))
    run = Run.start(0)
    model = start_model(network, features, data, run.streams)
    data, held_out = split_off_validation(model, data, run.split_seed)
    identify = partial(fingerprint, data, None)
    run.expect_rows(data.n_rows, identify)
    result = fit_network(model, data, held_out and HeldOut(held_out), run)
    model = model.with_params(result.params)
    state = fitted_attributes(features, model, result.history, run.resumable(identify))
    interrupted = copy.copy(network)
    vars(interrupted).update(state)
    save_checkpoint(interrupted, tmp_path / "network.joblib")
    return network.set_params(max_iter=5), tmp_path / "network.joblib"


def test_resuming_equals_a_fit_without_interruption(saved, problem):
    network, path = saved
    resumed = copy.copy(network).fit(problem.X, problem.y, resume_from=path)
    whole = network.fit(problem.X, problem.y)
    np.testing.assert_array_equal(resumed._model.params, whole._model.params)
    assert resumed.n_iter_ == whole.n_iter_ == 5


def test_other_values_in_as_many_rows(saved, problem):
    network, path = saved
    with pytest.raises(ValueError, match="different training or validation rows"):
        network.fit(problem.X + 1, problem.y, resume_from=path)


@pytest.mark.parametrize(
    "changed",
    [{"learning_rate_init": 0.1}, {"solver": "sgd"}, {"early_stopping": True}],
    ids=str,
)
def test_parameters_that_changed_are_named(saved, problem, changed):
    network, path = saved
    (name,) = changed
    with pytest.raises(
        ValueError, match=rf"parameters have changed since the checkpoint: \['{name}'\]"
    ):
        network.set_params(**changed).fit(problem.X, problem.y, resume_from=path)


def test_a_checkpoint_belongs_to_the_network():
    class Search:
        pass

    with pytest.raises(ValueError, match="Set Checkpoint on the sknet network, not on Search"):
        Checkpoint("network.joblib").setup(Search(), None)


def test_a_random_state_of_its_own_is_no_change(saved, problem):
    # The resumed run continues with the generators of the file.
    network, path = saved
    resumed = copy.copy(network).set_params(random_state=np.random.RandomState(7))
    resumed.fit(problem.X, problem.y, resume_from=path)
    whole = network.fit(problem.X, problem.y)
    np.testing.assert_array_equal(resumed._model.params, whole._model.params)


# Damaged files, and files that are something else.


def assert_refused(network, problem, path, match):
    """Assert that a fit does not resume from a file, names it, and changes nothing."""
    before = joblib.hash(vars(network))
    with pytest.raises(ValueError, match=match) as error:
        network.fit(problem.X, problem.y, resume_from=path)
    assert str(error.value).startswith(str(path))
    assert joblib.hash(vars(network)) == before


def places(content, how_many):
    """Return positions in a file: all of its first bytes, the last one, and random others."""
    rng = np.random.default_rng(0)
    others = rng.choice(len(content), how_many - SEAL_SIZE - 1, replace=False)
    return [*range(SEAL_SIZE), len(content) - 1, *others.tolist()]


def test_a_flipped_bit_is_found_wherever_it_is(saved, problem, forbid_training):
    network, path = saved
    content = path.read_bytes()
    forbid_training()
    for i, place in enumerate(places(content, 200)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << i % 8
        path.write_bytes(damaged)
        assert_refused(network, problem, path, "is damaged|is not a checkpoint")


def test_a_file_is_refused_wherever_it_is_cut(saved, problem, forbid_training):
    network, path = saved
    content = path.read_bytes()
    forbid_training()
    for place in places(content, 200):
        path.write_bytes(content[:place])
        assert_refused(network, problem, path, "is damaged|is not a checkpoint|is empty")
    path.write_bytes(content + b"0")
    assert_refused(network, problem, path, "is damaged.*start a new fit")


@pytest.mark.parametrize("content", [b"", b"x", b"x,y\n1,2\n" * 50, bytes(1000)], ids=len)
def test_a_file_of_something_else_is_refused(saved, problem, content):
    network, path = saved
    path.write_bytes(content)
    assert_refused(network, problem, path, "is not a checkpoint|is empty")


def test_a_folder_is_refused(saved, problem):
    network, path = saved
    assert_refused(network, problem, path.parent, "is a folder. Pass the file")


def test_nothing_is_unpickled_before_the_checksum_agrees(saved, problem, monkeypatch):
    network, path = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    def load(file):
        raise AssertionError("unpickled")

    monkeypatch.setattr(joblib, "load", load)
    assert_refused(network, problem, path, "is damaged")


def test_an_estimator_without_a_checksum_is_refused(saved, problem):
    """A file of ``joblib.dump`` is no checkpoint, whatever the estimator holds."""
    network, path = saved
    joblib.dump(joblib.load(path), path)
    assert_refused(network, problem, path, "is not a checkpoint of sknet")
