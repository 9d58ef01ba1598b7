"""Optional packages, and what to install for them."""

from importlib import import_module


def require(module, extra):
    """Return an optional package.

    Raises
    ------
    ImportError
        If it is missing, with the extra of sknet that brings it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This needs the package {module}, which is not installed. Install it with "
            f'pip install "sknet[{extra}]".'
        ) from error
