"""What functions require, and messages if it is missing: counts, packages, kinds, memory."""

import math
import os
from importlib import import_module
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


def require(module: str, extra: str | None = None) -> Any:
    """Return a module of an optional package.

    Parameters
    ----------
    module : str
        The full name of the module.
    extra : str, optional
        The extra of sknet that installs the package. Without one, the message names the
        package itself.

    Raises
    ------
    ImportError
        If the package is not installed. The message contains the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        # The package of the name sknet on PyPI is another project.
        wanted = package if extra is None else f'".[{extra}]" in a clone of sknet'
        raise ImportError(
            f"This needs {package}: install it with python -m pip install {wanted}."
        ) from error


def kind_of(value: Any) -> str:
    """Return the class of a value for a message, which tells a class from its instances."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself instead of an instance of it"
    return type(value).__name__


def main_memory() -> float:
    """Return the bytes of main memory, or infinity if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf
