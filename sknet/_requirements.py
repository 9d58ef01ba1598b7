"""Private names of scikit-learn, optional packages, warnings, counts, and the size of memory.

This is the only module that imports private names of scikit-learn. Others import them from it.
"""

import copy
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from numbers import Integral
from typing import Any, TypeVar, cast

import sklearn
import sklearn.base
from sklearn.base import _fit_context
from sklearn.utils import metaestimators
from sklearn.utils._metadata_requests import RequestMethod
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """The substitute for scikit-learn's mixin in versions before 1.9, which lack it."""

        def set_callbacks(self, *callbacks: Any) -> None:
            """Refuse callbacks, which the installed scikit-learn does not support.

            Raises
            ------
            NotImplementedError
                Always, since callbacks need scikit-learn 1.9 or newer.
            """
            raise NotImplementedError(
                f"set_callbacks needs scikit-learn >= 1.9; {sklearn.__version__} is installed."
            )


#: The files of this package, and the one with the decorators of its methods.
OWN_FILES = (os.path.join(os.path.dirname(__file__), ""), sklearn.base.__file__)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn the user at the line that called sknet, however deep the caller is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OWN_FILES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


Method = TypeVar("Method", bound=Callable[..., Any])


def checks_parameters(method: Method) -> Method:
    """Decorate a method so that it checks the parameters of its estimator before it runs.

    scikit-learn's decorators have no types. With this one, and the next, type checkers know
    the arguments and the result of the method.
    """
    return cast(Method, _fit_context(prefer_skip_nested_validation=True)(method))


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Return a decorator for a method that an estimator has only if the check is True."""
    return cast(Callable[[Method], Method], metaestimators.available_if(check))


#: The attributes in which scikit-learn keeps an estimator's callbacks and their contexts.
CALLBACK_ATTRIBUTES = [
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
]


def n_openmp_threads() -> int:
    """Return the number of threads that scikit-learn's own estimators may use.

    It respects the number of cores of the machine, the CPU quota and affinity of the process,
    limits of threadpoolctl, and environment variables.
    """
    # To count physical cores, joblib starts a program on some machines.
    return _openmp_effective_n_threads(only_physical_cores=False)


def callbacks_of(estimator: Any) -> list[Any]:
    """Return the callbacks that are set on the estimator."""
    return getattr(estimator, "_skl_callbacks", [])


def without_callbacks(estimator: Any) -> Any:
    """Return a shallow copy of the estimator without callbacks, which can be pickled."""
    detached = copy.copy(estimator)
    for name in CALLBACK_ATTRIBUTES:
        vars(detached).pop(name, None)
    return detached


def callback_context(estimator: Any, n_epochs: int) -> Any:
    """Return the context of a fit of ``n_epochs`` epochs, or None if there are no callbacks."""
    if not callbacks_of(estimator):
        return None
    return estimator._init_callback_context(max_subtasks=n_epochs)


class ShortRequest(RequestMethod):
    """A descriptor: scikit-learn's ``set_fit_request`` or a similar method, described briefly.

    scikit-learn creates such a method on each access, with about 45 lines of documentation.
    """

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        request = super().__get__(instance, owner)
        request.__doc__ = (
            f"Choose the arguments of ``{self.name}`` that meta-estimators pass on."
        )
        parameters = inspect.signature(request).parameters.values()
        bare = [one.replace(annotation=one.empty) for one in parameters]
        request.__signature__ = inspect.Signature(bare)
        return request


def shorten_requests(cls: type) -> None:
    """Replace the metadata-routing methods that scikit-learn has just given a class."""
    for name, method in list(vars(cls).items()):
        if isinstance(method, RequestMethod):
            setattr(cls, name, ShortRequest(method.name, method.keys, method.validate_keys))


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Check that an argument is an integer that is not too small.

    Raises
    ------
    ValueError
        If ``value`` is not an integer, is a boolean, or is less than ``least``.
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
        # The package named sknet on PyPI is another project.
        wanted = package if extra is None else f'".[{extra}]" in a clone of sknet'
        raise ImportError(
            f"This needs {package}: install it with python -m pip install {wanted}."
        ) from error


def kind_of(value: Any) -> str:
    """Return the type of a value for a message; for a class, say that it is one."""
    if isinstance(value, type):
        return f"the class {value.__name__} itself instead of an instance"
    return type(value).__name__


def main_memory() -> float:
    """Return the size of main memory in bytes, or infinity if it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf
