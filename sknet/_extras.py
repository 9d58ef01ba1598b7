"""Optional packages: how they are imported, and the message if one is missing."""

from importlib import import_module
from typing import Any


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
