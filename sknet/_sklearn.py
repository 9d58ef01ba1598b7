"""The only module that imports non-public names of scikit-learn."""

import copy
from typing import Any

import sklearn
from sklearn.base import _fit_context as fit_context
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "CALLBACK_ATTRIBUTES",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "Options",
    "StrOptions",
    "callback_context",
    "callbacks_of",
    "check_sample_weight",
    "fit_context",
    "n_openmp_threads",
    "without_callbacks",
]

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


#: The attributes in which scikit-learn keeps an estimator's callbacks and their contexts.
CALLBACK_ATTRIBUTES = [
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
]


def n_openmp_threads() -> int:
    """Return the number of threads that scikit-learn's own estimators may use.

    It respects the cores of the machine, the quota and the affinity of the process, limits of
    threadpoolctl and environment variables.
    """
    # To tell physical cores apart, joblib starts a program on some machines.
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
