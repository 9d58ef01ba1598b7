"""A check of arguments that count something."""

from numbers import Integral


def check_count(name, value):
    """Raise for what is no positive integer.

    Raises
    ------
    ValueError
        With the name and the value.
    """
    if not isinstance(value, Integral) or value is True or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}.")
