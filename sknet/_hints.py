"""Suggestions for a name or a value that an estimator does not know.

Other libraries have other names for the same thing.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from numbers import Real
from typing import Any

from sknet._requirements import Method, Options
from sknet.nn.losses import LOSSES

#: Parameters of the constructors, each with the names that other libraries have for it.
NAMES: dict[str, tuple[str, ...]] = {
    "hidden_layer_sizes": ("hidden_layers", "hidden_units", "hidden_dim", "hidden", "layers"),
    "solver": ("optimizer", "optim"),
    "n_members": ("n_estimators", "n_models", "ensemble_size"),
    "alpha": ("weight_decay", "l2", "l2_reg", "reg_lambda", "regularization"),
    "learning_rate_init": ("lr", "eta", "eta0", "step_size"),
    "max_iter": (
        *("epochs", "n_epochs", "num_epochs", "max_epochs"),
        *("iterations", "num_iterations", "n_iter"),
    ),
    "n_iter_no_change": ("patience", "early_stopping_rounds"),
    "tol": ("min_delta", "tolerance"),
    "random_state": ("seed", "random_seed"),
    "scoring": ("metric", "metrics", "eval_metric"),
    "loss": ("criterion", "objective", "loss_function"),
    "targets": ("loss", "losses", "criterion", "objective", "loss_function"),
    "standardize": ("normalize", "scaler"),
    "dropout": ("dropout_rate", "p_dropout"),
    "categorical_features": ("cat_features", "cat_cols", "categorical_feature"),
    "monotonic_cst": ("monotone_constraints",),
    "validation_fraction": ("validation_split", "val_size"),
}
#: What to do instead of passing other arguments.
ADVICE: dict[str, tuple[str, ...]] = {
    "Early stopping holds out rows of X. Without Dask, you can also pass validation rows to "
    "fit, as X_val= and y_val=.": ("validation_data", "eval_set"),
    "Set callbacks with the method set_callbacks, which has no effect on partial_fit. Dask "
    "estimators have no callbacks.": ("callbacks",),
    "In the constructor, hidden_layer_sizes=(128, 128) makes two hidden layers.": ("n_layers",),
    "Leave it out: OMP_NUM_THREADS and threadpoolctl limit threads.": ("n_jobs", "n_threads"),
    "Leave it out: sknet runs on the CPU.": ("device", "gpu", "cuda", "task_type"),
}
#: Values of parameters, each with the names that other libraries have for it.
VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "loss": {
        "squared_error": ("mse", "mean_squared_error", "l2", "squared_loss", "rmse"),
        "absolute_error": ("mae", "mean_absolute_error", "l1"),
        "log_loss": ("cross_entropy", "categorical_crossentropy", "binary_crossentropy", "bce"),
        "huber": ("smooth_l1", "huber_loss"),
        "quantile": ("pinball",),
    },
    "activation": {"logistic": ("sigmoid",), "identity": ("linear",), "silu": ("swish",)},
    "solver": {"lbfgs": ("bfgs", "l_bfgs_b"), "sgd": ("gd", "gradient_descent")},
    "numeric_embedding": {"piecewise_linear": ("ple",), "periodic": ("plr",)},
}


@contextmanager
def hints_of_values(estimator: Any, constraints: Mapping[str, list]) -> Iterator[None]:
    """Add a suggestion to an error about a parameter's value."""

    def hint(name: str) -> str:
        options = [one.options for one in constraints[name] if isinstance(one, Options)]
        names = {one for one in set().union(*options) if isinstance(one, str)}
        return hint_of_value(name, getattr(estimator, name), names)

    with _hints(r"The '(\w+)' parameter", hint):
        yield


@contextmanager
def hints_of_names(known: Collection[str]) -> Iterator[None]:
    """Add a suggestion to scikit-learn's error about an unknown parameter."""
    places = dict.fromkeys(known, "")
    with _hints(r"Invalid parameter '(\w+)'", lambda name: hint_of_name(name, places)):
        yield


@contextmanager
def _hints(pattern: str, hint: Callable[[str], str]) -> Iterator[None]:
    """Add a hint to an error whose text matches a pattern with a group for a parameter."""
    try:
        yield
    except ValueError as error:
        named = re.match(pattern, str(error))
        if named is None:
            raise
        raise type(error)(f"{error} {hint(named[1])}".rstrip()) from None


def hinting(method: Method) -> Method:
    """Let a method of an estimator say what to use instead of an unknown argument.

    Raises
    ------
    TypeError
        When the returned method is called with an unknown argument.
    """
    known, name = inspect.signature(method).parameters, method.__name__

    @wraps(method)
    def call(estimator: Any, /, *args: Any, **options: Any) -> Any:
        if unknown := options.keys() - known:
            cls, one = type(estimator), min(unknown)
            called = cls.__name__ if name == "__init__" else f"{cls.__name__}.{name}"
            own, of_fit = (inspect.signature(of).parameters for of in (cls, cls.fit))
            # Each name, and what has a parameter of this name if the called method has none.
            one_pass = "; partial_fit itself makes one pass, without early stopping"
            of_own = f"the constructor{one_pass if name == 'partial_fit' else ''}"
            places = dict.fromkeys(of_fit, "fit") | dict.fromkeys(own, of_own)
            hint = hint_of_name(one, places | dict.fromkeys(known, ""))
            raise TypeError(f"{called}() has no parameter {one!r}. {hint}".rstrip())
        return method(estimator, *args, **options)

    return call  # type: ignore[return-value]


def hint_of_value(parameter: str, value: Any, known: Collection[str]) -> str:
    """Return a sentence that says which value was probably meant, or an empty string.

    Parameters
    ----------
    parameter : str
        The name of the parameter.
    value : object
        A value that the parameter cannot have.
    known : collection of str
        The names that the parameter can have.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if parameter == "learning_rate" and is_number and value > 0:
        return f"Pass a number as learning_rate_init={value}."
    if not isinstance(value, str):
        return ""
    if parameter == "hidden_layer_sizes" and value in LOSSES:
        # scikit-learn's regressor takes its loss as the first argument.
        return (
            "hidden_layer_sizes is the first positional argument. Pass the loss by keyword: "
            f"loss={value!r} (in NNMultiTarget, the losses of targets, as targets=)."
        )
    for name, others in VALUES.get(parameter, {}).items():
        if name in known and _letters(value) in map(_letters, others):
            return f"Did you mean {name!r}?"
    spelled = {_letters(name): name for name in sorted(known)}
    close = get_close_matches(_letters(value), spelled, n=1, cutoff=0.75)
    if parameter == "categorical_features" and not close:
        return f"Pass the names of columns as a list: categorical_features=[{value!r}]."
    return f"Did you mean {spelled[close[0]]!r}?" if close else ""


def hint_of_name(name: str, places: Mapping[str, str]) -> str:
    """Return a sentence that says what replaces an unknown argument, or an empty string.

    Parameters
    ----------
    name : str
        The name of the argument.
    places : mapping of str to str
        The names of parameters, each with the method that has it; an empty text stands for the
        one that was called.
    """
    if place := places.get(name):
        return f"It is a parameter of {place}."
    for advice, names in ADVICE.items():
        if name in names:
            return advice
    for parameter, names in NAMES.items():
        if name in names and parameter in places:
            place = places[parameter]
            where = f"and is a parameter of {place}" if place else "here"
            return f"It is called {parameter} {where}."
    close = get_close_matches(name, places, n=1, cutoff=0.75)
    return f"Did you mean {close[0]}?" if close else ""


def _letters(name: str) -> str:
    """Return the letters and digits of a name in lower case: ReLU and re-lu are the same."""
    return "".join(filter(str.isalnum, name.lower()))
