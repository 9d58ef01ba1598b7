import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sknet.nn.schedules import SCHEDULES

every_schedule = pytest.mark.parametrize("name", SCHEDULES)
GRID = np.linspace(0, 1, 1001)


@pytest.mark.parametrize(
    "name, progress, samples_seen, expected",
    [
        ("constant", 0.7, 12345, 1),
        ("adaptive", 0.7, 12345, 1),
        ("invscaling", 0.5, 0, 1),
        ("invscaling", 0.5, 99, 0.1),
        ("invscaling", 0.9, 9999, 0.01),
        ("cosine", 0, 5, 1),
        ("cosine", 1 / 3, 5, 0.75),
        ("cosine", 0.5, 5, 0.5),
        ("cosine", 2 / 3, 5, 0.25),
        ("cosine", 1, 5, 0),
        ("one_cycle", 0, 5, 0.04),
        ("one_cycle", 0.15, 5, 0.52),
        ("one_cycle", 0.3, 5, 1),
        ("one_cycle", 0.65, 5, 0.5),
        ("one_cycle", 1, 5, 0),
        ("coslog", 0, 5, 0),
        ("coslog", 1 / 15, 5, 0),
        ("coslog", 3 / 15, 5, 0),
        ("coslog", 7 / 15, 5, 0),
        ("coslog", 1, 5, 0),
        ("coslog", (math.sqrt(2) - 1) / 15, 5, 1),
        ("coslog", (8 * math.sqrt(2) - 1) / 15, 5, 1),
        ("coslog", (2**3.25 - 1) / 15, 5, 0.5),
    ],
)
def test_values(name, progress, samples_seen, expected):
    assert_allclose(SCHEDULES[name]()(progress, samples_seen), expected, rtol=1e-12, atol=1e-12)


def test_invscaling_power():
    assert_allclose(SCHEDULES["invscaling"](power_t=0.25)(0.5, 15), 0.5, rtol=1e-14)
    assert SCHEDULES["invscaling"](power_t=0)(0.5, 15) == 1


def test_one_cycle_values():
    schedule = SCHEDULES["one_cycle"](warm_up=0.5, start=0.2)
    assert_allclose(
        [schedule(p, 0) for p in (0, 0.25, 0.5, 0.75, 1)], [0.2, 0.6, 1, 0.5, 0], atol=1e-12
    )


def test_one_cycle_rises_then_falls():
    factors = np.array([SCHEDULES["one_cycle"]()(p, 0) for p in GRID])
    peak = factors.argmax()
    assert peak == 300 and factors[peak] == 1
    assert (np.diff(factors[: peak + 1]) > 0).all()
    assert (np.diff(factors[peak:]) < 0).all()


def test_cosine_falls():
    assert (np.diff([SCHEDULES["cosine"]()(p, 0) for p in GRID]) < 0).all()


def test_coslog_has_four_cycles():
    factors = np.array([SCHEDULES["coslog"]()(p, 0) for p in GRID])
    inner = factors[1:-1]
    assert ((inner > factors[:-2]) & (inner > factors[2:])).sum() == 4
    assert ((inner < factors[:-2]) & (inner < factors[2:])).sum() == 3


@every_schedule
def test_factors_are_python_floats_in_0_1(name):
    # A NumPy scalar would turn float32 parameters into float64.
    schedule = SCHEDULES[name]()
    for samples_seen in (0, 1, 10**9):
        factors = [schedule(p, samples_seen) for p in GRID.tolist()]
        assert {type(factor) for factor in factors} == {float}
        assert min(factors) >= -1e-15 and max(factors) <= 1


@every_schedule
def test_horizon_flag_is_what_the_values_do(name):
    schedule = SCHEDULES[name]()
    factors = {schedule(p, 1000) for p in GRID.tolist()}
    if schedule.has_horizon:
        # Nearly zero at the last of many updates, and different on the way.
        assert schedule(0.9999, 1000) < 1e-3
        assert len(factors) > 100
    else:
        assert len(factors) == 1


@every_schedule
def test_only_adaptive_reduces_the_rate_on_a_plateau(name):
    assert SCHEDULES[name].reduces_on_plateau == (name == "adaptive")
