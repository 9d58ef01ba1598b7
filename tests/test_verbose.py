"""The lines that ``verbose`` prints."""

import io
import itertools
import re

import numpy as np
import pytest
from plain import NNClassifier, NNRegressor

from sknet import _monitoring
from sknet.nn import state
from sknet.streaming import fit_chunks

NUMBER = r"-?[\d.]+(?:e[+-]\d+)?"


def lines_of(capsys):
    return capsys.readouterr().out.splitlines()


def options(**parameters):
    defaults = {"max_iter": 12, "n_iter_no_change": np.inf, "random_state": 0}
    return {**defaults, "verbose": True, **parameters}


def test_a_line_an_epoch(problem, capsys):
    network = problem.cls((4,), **options()).fit(problem.X, problem.y)
    lines = lines_of(capsys)
    assert len(lines) == 12
    for i, (line, loss) in enumerate(
        zip(lines, network.history_["loss"], strict=True), start=1
    ):
        assert line.startswith(f"Iteration {i}, loss = {loss:.8f},")
        assert re.search(r"learning rate = 0\.001,", line)
        assert re.search(r"\d+\.\d{3} s$", line)
        assert "validation" not in line


def test_the_last_epochs_say_that_they_train_on_all_rows(problem, capsys, monkeypatch):
    """Their lines have no validation loss, which would otherwise look like a fault."""
    # The few epochs cannot show that something has been learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
    planned = options(early_stopping=True, n_iter_no_change=2, max_iter=20)
    network = problem.cls((4,), **planned, learning_rate="one_cycle", refit=True)
    network.fit(problem.X, problem.y)
    on_all_rows = np.isnan(network.history_["validation_loss"])
    assert 0 < on_all_rows.sum() < on_all_rows.size
    for line, expected in zip(lines_of(capsys), on_all_rows, strict=True):
        assert ("trained on all rows" in line) == expected == ("validation" not in line)


@pytest.mark.parametrize("scoring", ["loss", None])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_columns_are_aligned(problem, capsys, scoring, solver):
    parameters = options(early_stopping=True, scoring=scoring, solver=solver)
    if solver == "lbfgs":
        parameters |= {"max_iter": 400, "tol": 0.01}
    network = problem.cls((4,), **parameters).fit(problem.X, problem.y)
    lines = lines_of(capsys)
    assert len(lines) == network.n_iter_ > 9  # one and two digits
    labels = ["loss =", "validation loss ="]
    labels += ["validation score ="] if scoring is None else []
    labels += ["learning rate ="] if solver == "adam" else []
    for label in labels[1:]:
        assert len({line.index(label) for line in lines}) == 1, label
    # In this order, and with these values.
    pattern = ".*".join(f"{label} ({NUMBER})," for label in labels)
    names = ["loss", "validation_loss", "validation_score"][: 3 if scoring is None else 2]
    for i, line in enumerate(lines):
        values = [float(value) for value in re.search(pattern, line).groups()]
        expected = [network.history_[name][i] for name in names]
        assert values[: len(names)] == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_validation_score_is_shown_once_where_it_is_the_loss(problem, capsys):
    problem.cls((4,), **options(early_stopping=True)).fit(problem.X, problem.y)
    assert "validation score" not in "".join(lines_of(capsys))


@pytest.mark.parametrize(("verbose", "shown"), [(1, 12), (5, 3), (100, 1)])
def test_every_kth_line(problem, capsys, verbose, shown):
    problem.cls((4,), **options(verbose=verbose)).fit(problem.X, problem.y)
    lines = lines_of(capsys)
    assert len(lines) == shown
    assert [int(re.search(r"Iteration (\d+)", line)[1]) for line in lines] == list(
        range(1, 13, verbose)
    )


@pytest.mark.parametrize("verbose", [False, 0])
def test_silence(problem, capsys, verbose):
    problem.cls((4,), **options(verbose=verbose)).fit(problem.X, problem.y)
    assert lines_of(capsys) == []


def test_passes_of_partial_fit_are_counted(problem, capsys):
    # As scikit-learn's, which prints the n_iter_ of the estimator.
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    network = problem.cls((4,), verbose=True, random_state=0)
    for _ in range(3):
        network.partial_fit(problem.X, problem.y, **classes)
    starts = [line.split(",")[0] for line in lines_of(capsys)]
    assert starts == ["Iteration 1", "Iteration 2", "Iteration 3"]


# Rows within a pass over chunks.


@pytest.fixture
def chunks():
    X = np.random.default_rng(0).normal(size=(500, 4))
    return [(X[i : i + 50], X[i : i + 50, 0]) for i in range(0, 500, 50)]


def chunk_lines(capsys, chunks, **parameters):
    """Return the lines of a fit, without what follows the number of an epoch."""
    fit_chunks(NNRegressor((4,), **options(batch_size=50, max_iter=2, **parameters)), chunks)
    return [line.partition(", loss")[0] for line in lines_of(capsys)]


def test_rows_are_shown_every_few_seconds(chunks, capsys, monkeypatch):
    """By this clock, each chunk of the first pass and each batch takes a second."""
    monkeypatch.setattr(_monitoring, "perf_counter", itertools.count().__next__)
    assert chunk_lines(capsys, chunks) == [
        "First pass: 300 rows, 50 rows/s",
        "Iteration 1: 250 of 500 rows, 50 rows/s",
        "Iteration 1",
        "Iteration 2: 250 of 500 rows, 50 rows/s",
        "Iteration 2",
    ]
    assert chunk_lines(capsys, chunks, verbose=False) == []


def test_a_short_pass_has_no_line_of_its_own(chunks, capsys):
    assert chunk_lines(capsys, chunks) == ["Iteration 1", "Iteration 2"]


def test_a_terminal_shows_a_bar(monkeypatch):
    rich = pytest.importorskip("rich.console")
    monkeypatch.setenv("TERM", "xterm")
    console = rich.Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(rich, "Console", lambda: console)
    with _monitoring.RowBar() as show:
        show("First pass", 50)
        show._bar.refresh()
        for n_done in (0, 1250):
            show("Iteration 1", n_done, 5000)
        show._bar.refresh()
    text = console.file.getvalue()
    assert "First pass" in text and "50 rows" in text
    assert "Iteration 1" in text and "1,250 of 5,000 rows" in text


@pytest.mark.parametrize(
    ("verbose", "terminal", "kind"), [(1, "xterm", "RowBar"), (1, "dumb", "RowLines"),
                                      (1, None, "RowLines"), (0, "xterm", "RowProgress")]
)  # fmt: skip
def test_the_display_suits_the_output(verbose, terminal, kind, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", terminal or "")
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal is not None)
    assert type(_monitoring.row_progress(verbose)).__name__ == kind
