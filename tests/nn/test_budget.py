"""The budget of a training run: its plan ends with the seconds, however long a step takes."""

import math
import pickle
from itertools import accumulate, chain, islice, repeat

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.budget import EVALUATIONS, MEASURED, Budget
from sknet.nn.schedules import Cosine
from sknet.nn.soundness import Ending

STEPS = {
    "even": lambda: repeat(1.0),
    "slow at first": lambda: chain([20.0], repeat(1.0)),
    "slower later": lambda: chain(repeat(1.0, 60), repeat(1.5)),
    "faster later": lambda: chain(repeat(1.0, 60), repeat(0.5)),
}


def clock_of(steps):
    """Return a clock that is at zero first, and one step later each time that it is read."""
    return chain([0.0], accumulate(steps)).__next__


def ticking():
    """Return a clock by which each reading takes a second."""
    return clock_of(repeat(1.0))


def made(budget, n_planned):
    """Return the positions after each step of a plan of so many steps."""
    positions = [0.0]
    while positions[-1] < n_planned:
        position = positions[-1] + 1
        positions.append(position + budget.left_out(n_planned - position))
    return positions[1:]


@pytest.mark.parametrize("limit", [None, math.inf])
def test_without_a_limit_no_step_is_left_out(limit):
    budget = Budget(limit, ticking())
    assert not budget.is_limited
    assert made(budget, 30) == list(range(1, 31))


@pytest.mark.parametrize("n_planned", [205, 1000.5, 10**6])
@pytest.mark.parametrize("steps", STEPS)
def test_a_plan_ends_with_the_seconds(steps, n_planned):
    """Its end is at most a step late, and the part that passes with a step hardly varies."""
    times = list(accumulate(islice(STEPS[steps](), 400)))
    budget = Budget(200.0, clock_of(np.diff(times, prepend=0)))
    positions = made(budget, n_planned)
    assert np.all(np.diff(positions)[:-1] >= 1)
    end = times[len(positions) - 1]
    assert end <= 202 and (end >= 195 or len(positions) > 0.98 * n_planned)
    if steps == "even":
        measured = math.floor(MEASURED * 199)
        assert positions[: measured + 1] == list(range(1, measured + 2))
        per_step = np.diff(positions[measured + 1 : -1])
        assert_allclose(per_step, per_step[0], rtol=1e-6)


@pytest.mark.parametrize("steps", ["even", "slow at first"])
def test_seconds_that_suffice_leave_nothing_out(steps):
    budget = Budget(500.0, clock_of(STEPS[steps]()))
    assert made(budget, 200) == list(range(1, 201))


def test_seconds_that_are_over_end_the_plan_with_the_first_step():
    assert len(made(Budget(0.5, ticking()), 1000)) == 1


def test_seconds_before_the_training_and_after_it_count():
    """Of 100 seconds 40 pass before, and the end of the training takes three evaluations."""
    now = [0.0]
    budget = Budget(100.0, lambda: now[0])
    now[0] = 40.0
    durations = iter([30.0, 5.0])

    def evaluate():
        now[0] += next(durations)  # The first call is a slow one.

    budget.begin(evaluate)
    n_made, position = 0, 0.0
    while position < 10**4:
        now[0] += 0.1
        n_made += 1
        position += 1 + budget.left_out(10**4 - position - 1)
    assert EVALUATIONS == 3
    assert abs(n_made - (100 - 40 - 35 - 15) / 0.1) <= 1


def test_a_pickle_has_the_seconds_that_are_left():
    """The clock of another process may have another zero."""
    budget = Budget(1000.0)
    other = pickle.loads(pickle.dumps(budget))
    assert other.is_limited and other.left_out(7) == 0
    late = pickle.loads(pickle.dumps(Budget(1e-9)))
    assert late.left_out(7) == 7
    assert not pickle.loads(pickle.dumps(Budget())).is_limited


# In training.

PLAN = {"max_iter": 10, "schedule": Cosine(), "learning_rate": 0.1, "batch_size": 3}


@pytest.mark.parametrize("limit", [2, 4, 10, 17])
def test_the_learning_rate_falls_to_zero_within_the_seconds(make_problem, run_training, limit):
    """Thirty steps are planned; the last epoch is cut where the plan is over."""
    rates = []

    class Watched(Cosine):
        def __call__(self, progress, samples_seen):
            rates.append((progress, 0.1 * super().__call__(progress, samples_seen)))
            return super().__call__(progress, samples_seen)

    # One reading of the clock is that at the beginning of the training.
    result, state = run_training(
        make_problem(),
        **{**PLAN, "schedule": Watched()},
        budget=Budget(limit + 1.5, ticking()),
    )
    n_steps = len(rates)
    assert limit - 1 <= n_steps <= limit + 1
    assert result.ending is Ending.TIME_LIMIT
    progress = np.array(rates)[:, 0]
    assert progress[0] == 0 and np.all(np.diff(progress) > 0) and progress[-1] < 1
    assert progress[-1] > 1 - 2 / limit
    assert state.iteration == math.ceil(n_steps / 3) == len(result.history["loss"])
    assert result.counted["n_unvisited"] == (-n_steps % 3) * 3
    assert state.samples_seen == 3 * n_steps
    assert np.isfinite(result.history["loss"]).all() and np.isfinite(result.params).all()


@pytest.mark.parametrize("evaluates", [False, True])
def test_seconds_that_suffice_change_no_bit(make_problem, run_training, scripted, evaluates):
    options = {**PLAN, "n_cooling": 2, "patience": 2, "return_to_best": True}
    script = [0, 0, 1, 2, 3, 1, 1, 4, 5, 6, 7, 8]
    plain = scripted(script[2:]) if evaluates else None
    limited = scripted(script) if evaluates else None  # It is called twice before.
    expected, _ = run_training(make_problem(), evaluate=plain, **options)
    budget = Budget(1e6, ticking())
    result, state = run_training(make_problem(), evaluate=limited, budget=budget, **options)
    assert state.left_out == 0
    assert_array_equal(result.params, expected.params)
    assert result.history["loss"] == expected.history["loss"]
    assert result.ending is expected.ending


def test_a_shorter_plan_still_ends_on_all_rows(make_problem, make_batches, run_training):
    """The last fifth of the seconds goes back to the best epoch and trains on all rows."""
    problem = make_problem(n_rows=40)
    batch = problem[2]
    everything = make_batches(*batch[:3], batch_size=4)
    scores = iter(range(100))
    result, state = run_training(
        problem,
        **{**PLAN, "max_iter": 20, "batch_size": 4},
        n_cooling=4,
        evaluate=lambda params: {"validation_score": float(next(scores))},
        all_batches=lambda: everything,
        budget=Budget(100, ticking()),
    )
    # Evaluations are read twice, and reserve three seconds.
    n_epochs = len(result.history["loss"])
    assert state.on_all_rows and result.counted["n_refit"] in (2, 3) and 9 <= n_epochs <= 10
    assert_array_equal(
        np.isnan(result.history["validation_score"]),
        [False] * (n_epochs - result.counted["n_refit"]) + [True] * result.counted["n_refit"],
    )
    assert np.all(np.diff(result.history["learning_rate"]) < 0)
