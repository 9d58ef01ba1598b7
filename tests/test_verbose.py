"""The lines that ``verbose`` prints."""

import re

import numpy as np
import pytest
from plain import NNClassifier

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
    for i, (line, loss) in enumerate(zip(lines, network.loss_curve_, strict=True), start=1):
        assert line.startswith(f"Iteration {i}, loss = {loss:.8f},")
        assert re.search(r"learning rate = 0\.001,", line)
        assert re.search(r"\d+\.\d{3} s$", line)
        assert "validation" not in line


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
