"""A check of arguments that count something."""

from numbers import Integral
from typing import Any


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Check that an argument is an integer that is not too small.

    Raises
    ------
    ValueError
        If ``value`` is not an integer, is a truth value, or is less than ``least``.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}.")
