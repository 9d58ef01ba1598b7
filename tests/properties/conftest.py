"""The budgets of the property tests, and the number of cases that they tried.

The profile "suite" tries the same few cases in every run. The profile "long" draws new ones:

    python -m pytest tests/properties --hypothesis-profile=long -n 2
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, settings
from properties.strategies import COUNTS

COMMON = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    # The phase "explain" traces every line, which takes minutes.
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("suite", max_examples=20, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=2000, **COMMON)
settings.load_profile("suite")

COUNTED = ("cases tried", "networks trained")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Note on a test how many cases it tried and how many networks it trained."""
    COUNTS.clear()
    try:
        return (yield)
    finally:
        item.user_properties.extend(COUNTS.items())


def pytest_terminal_summary(terminalreporter):
    """Print the sums of the notes, which come from all processes."""
    total = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, number in getattr(report, "user_properties", []):
                total[name] += number if name in COUNTED else 0
    if total:
        counts = ", ".join(f"{number} {name}" for name, number in total.items())
        terminalreporter.write_line(f"Property tests: {counts}.")
