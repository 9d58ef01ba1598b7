"""A check of arguments that count something."""

from numbers import Integral
from typing import Any


def check_count(name: str, value: Any) -> None:
    """Check that an argument is a positive integer.

    Raises
    ------
    ValueError
        If ``value`` is not an integer, is a truth value, or is less than 1.
    """
    if not isinstance(value, Integral) or value is True or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}.")
