"""The declaration of an estimator's parameters, the values that they may take, and checks.

The checks see the parameters as the user gave them. ``sknet._settings`` resolves checked
parameters into the settings of a fit.
"""

import inspect
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, fields, make_dataclass
from functools import cache
from inspect import Parameter
from numbers import Integral, Real
from typing import Annotated, Any, TypeVar, dataclass_transform, get_args, get_origin

import joblib
import numpy as np

from sknet._hints import hinting
from sknet._requirements import (
    HasMethods,
    Interval,
    Method,
    StrOptions,
    available_if,
    checks_parameters,
)
from sknet.nn import rules
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.lbfgs import SOLVERS, is_stochastic
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.optimizers import Solver
from sknet.nn.rules import FRACTION, NOT_NEGATIVE, POSITIVE_INT
from sknet.nn.schedules import SCHEDULES, Schedule

Class = TypeVar("Class", bound=type)


class Numbers(Interval):
    """The numbers of an interval of ``sknet.nn.rules``, as a constraint of scikit-learn."""

    def __init__(self, numbers: rules.Interval) -> None:
        high = None if numbers.high == math.inf else numbers.high
        super().__init__(numbers.kinds[0], numbers.low, high, closed=numbers.closed)
        self._numbers = numbers

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is a number in the interval."""
        return self._numbers.allows(val)


class Names(StrOptions):
    """Text options, which messages list in alphabetical order."""

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


class FlatList(HasMethods):
    """A one-dimensional list, tuple or array, whose entries are checked elsewhere."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is ordered and has one dimension."""
        if isinstance(val, str | bytes | Mapping | Set):
            return False
        if hasattr(val, "ndim"):
            return val.ndim == 1
        nested = (Sequence, Mapping, Set, np.ndarray)
        return super().is_satisfied_by(val) and not any(
            isinstance(one, nested) and not isinstance(one, str | bytes) for one in val
        )

    def __str__(self) -> str:
        return "a flat list, tuple or array"


class Instances(HasMethods):
    """Objects with certain methods, but not the classes of such objects."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value has the methods and is not a class."""
        return not isinstance(val, type) and super().is_satisfied_by(val)


FLAT_LIST = FlatList(["__len__", "__iter__"])
SPLITTER = Instances(["split", "get_n_splits"])
AUTO = Names({"auto"})
ADAPTIVE = "adaptive"
#: The sizes of the hidden layers that "auto" most often stands for.
SIZES = (128, 128)


@dataclass(frozen=True)
class Off:
    """Marks a declared parameter that acts only with a stochastic solver.

    ``value`` is the value that switches it off, zero by default.
    """

    value: Any = 0.0


#: The parameters declared with ``Off``, each with the value that switches it off.
STOCHASTIC_OPTIONS: dict[str, Any] = {}


def as_constraint(values: Any) -> Any:
    """Return the values of a declaration as a constraint of scikit-learn."""
    if isinstance(values, rules.Interval):
        return Numbers(values)
    return Names(set(values)) if isinstance(values, Mapping | Set) else values


@dataclass_transform(eq_default=False)
def with_parameters(cls: Class) -> Class:
    """Give a class a constructor with the parameters that it declares and inherits.

    A declaration is ``name: Annotated[type, values, ...] = default``. The values are the
    constraints of ``_parameter_constraints``, except that a range is an ``Interval`` of
    ``sknet.nn.rules``, and a set or a registry stands for its names. The last value may be an
    :class:`Off`. As in a dataclass, a parameter after ``_: KW_ONLY`` is passed by keyword. Type
    checkers treat the class as a dataclass. It is not one, since Dask distinguishes instances
    of a dataclass by their fields alone, and would confuse estimators with equal parameters.
    """
    inherited = list(inspect.signature(cls).parameters.values())
    constraints = dict(cls._parameter_constraints) if inherited else {}  # type: ignore[attr-defined]
    declared = []
    kind: Any = Parameter.POSITIONAL_OR_KEYWORD
    for name, hint in inspect.get_annotations(cls, eval_str=True).items():
        if hint is KW_ONLY:
            kind = Parameter.KEYWORD_ONLY
        elif get_origin(hint) is Annotated:
            _, *values = get_args(hint)
            declared.append(Parameter(name, kind, default=getattr(cls, name)))
            if isinstance(values[-1], Off):
                STOCHASTIC_OPTIONS[name] = values.pop().value
            constraints[name] = [as_constraint(one) for one in values]
            delattr(cls, name)
    cls.__init__ = constructor(cls.__name__, [*inherited, *declared])  # type: ignore[misc]
    cls._parameter_constraints = constraints  # type: ignore[attr-defined]
    return cls


def constructor(class_name: str, parameters: Iterable[Parameter]) -> Callable[..., None]:
    """Return an ``__init__`` that keeps each parameter as an attribute, positionals first."""
    specifications = []
    for one in sorted(parameters, key=lambda one: one.kind):
        declared = field(default=one.default, kw_only=one.kind is one.KEYWORD_ONLY)
        specifications.append((one.name, Any, declared))
    made: Any = make_dataclass(class_name, specifications, eq=False, repr=False)
    # Signatures show names and defaults. Type checkers read the declarations.
    made.__init__.__annotations__ = {}
    return hinting(made.__init__)


def is_auto(value: Any) -> bool:
    """Return whether a parameter's value is "auto"."""
    return isinstance(value, str) and value == "auto"


#: Returns a signature. Reading it is slow, so each is read once.
_signature_of: Any = cache(inspect.signature)


def defaults(estimator_class: type) -> dict[str, Any]:
    """Return the default of each parameter of an estimator.

    The constructor of a subclass may have other parameters. It sets those of the class that the
    subclass derives from, and they keep the defaults of that class.
    """
    of_package = (one for one in estimator_class.__mro__ if one.__module__.startswith("sknet."))
    parameters = _signature_of(next(of_package)).parameters
    return {name: one.default for name, one in parameters.items()}


def parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the value of each parameter of an estimator, as :func:`defaults` lists them."""
    return {name: getattr(estimator, name) for name in defaults(type(estimator))}


def plain(value: Any) -> Any:
    """Return a value with its sequences and arrays as tuples, which cannot be changed."""
    if isinstance(value, str | bytes):
        return value
    if hasattr(value, "__array__"):
        value = np.asarray(value).tolist()
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return tuple(map(plain, value)) if isinstance(value, Sequence) else value


def same_value(one: Any, other: Any) -> bool:
    """Return whether two values of a parameter are equal.

    Arrays, lists and tuples are equal if their entries are. An object whose class defines no
    comparison is equal to another of its class with equal attributes.
    """
    one, other = plain(one), plain(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(one[k], other[k]) for k in one)
    with suppress(TypeError, ValueError):  # Entries such as arrays have no single truth value.
        if one is other or one == other:
            return True
    # Other objects are compared by their pickles, whatever the order of dicts and sets. Some
    # objects, such as a lambda, cannot be pickled.
    with suppress(pickle.PicklingError, AttributeError, TypeError):
        return type(one) is type(other) and joblib.hash(one) == joblib.hash(other)
    return False


def changed_parameters(before: Any, now: Any) -> list[str]:
    """Return the names of the parameters in which two estimators of a class differ."""
    values, others = parameters_of(before), parameters_of(now)
    return [name for name, value in values.items() if not same_value(value, others[name])]


def check_together(estimator: Any, task: str) -> None:
    """Refuse parameters that do not suit the task or each other, though each is valid alone.

    Raises
    ------
    ValueError
        If ``loss`` is a ``Loss`` for the other task, or if ``check_layers`` or
        ``check_solver_options`` raises it.
    """
    parameters = parameters_of(estimator)
    loss = parameters.get("loss")
    if isinstance(loss, Loss) and loss.task != task:
        raise ValueError(
            f"loss={loss!r} is a loss for {loss.task}, but {type(estimator).__name__} needs "
            f"one for {task}. If you wrote this loss, set task = {task!r} in its class."
        )
    # "auto" may stand for the layers of another network, which are not known yet.
    if not is_auto(parameters["hidden_layer_sizes"]):
        check_layers(parameters)
    check_solver_options(estimator)


def without_effect(estimator: Any) -> Iterator[str]:
    """Yield a warning for each option that is set, but that another parameter switches off."""
    yield from _of_another_loss(estimator)
    parameters, neutral = parameters_of(estimator), defaults(type(estimator))
    idle = []
    if not hidden_layer_sizes(parameters):
        layers = "there are no hidden layers. Give hidden_layer_sizes at least one size"
        idle += [("dropout", layers), ("normalization", layers)]
    if parameters["early_stopping"] is False:
        idle.append(("scoring", "early stopping is off. Set early_stopping=True"))
    for name, reason in idle:
        value = parameters[name]
        if not any(same_value(value, off) for off in (neutral[name], None, 0.0, ())):
            yield (
                f"{name}={value!r} has no effect, since {reason}, or leave {name} at its "
                "default."
            )


def _of_another_loss(estimator: Any) -> Iterator[str]:
    """Yield a warning for each option that is set but belongs to another loss."""
    loss, neutral = getattr(estimator, "loss", None), defaults(type(estimator))
    options = {key: {one.name for one in fields(cls)} for key, cls in LOSSES.items()}
    for name in sorted(neutral.keys() & set().union(*options.values())):
        value = getattr(estimator, name)
        takers = [key for key, names in options.items() if name in names]
        if loss not in takers and not same_value(value, neutral[name]):
            yield (
                f"{name}={value!r} has no effect with loss={loss!r}. Set "
                f"loss={' or '.join(map(repr, takers))}, or leave {name} at its default."
            )


def check_layers(parameters: Mapping[str, Any]) -> None:
    """Refuse hidden layers that cannot be built.

    Raises
    ------
    ValueError
        If a size is not a positive integer, if more layers are frozen than there are, if an
        activation or a dropout rate is not valid, or if a list of activations or rates does
        not have one entry for each hidden layer.
    """
    sizes = hidden_layer_sizes(parameters)
    if not all(map(POSITIVE_INT.allows, sizes)):
        raise ValueError(f"hidden_layer_sizes must be integers > 0, got {sizes}.")
    if (n_frozen := parameters["frozen_layers"]) > len(sizes):
        raise ValueError(
            f"frozen_layers={n_frozen} is more than the number of hidden layers, {len(sizes)}. "
            "The output layer is never frozen."
        )
    for activation in per_layer(parameters, "activation"):
        named = isinstance(activation, str) and activation in ACTIVATIONS
        if not (named or isinstance(activation, Activation)):
            raise ValueError(
                f"activation must be one of {sorted(ACTIVATIONS)} or an Activation, got "
                f"{activation!r}."
            )
    rates = [] if is_auto(parameters["dropout"]) else per_layer(parameters, "dropout")
    for rate in rates:
        if rate != ADAPTIVE and not FRACTION.allows(rate):
            raise ValueError(
                f"dropout rates must be numbers in [0, 1) or {ADAPTIVE!r}, got {rate!r}."
            )


def hidden_layer_sizes(parameters: Mapping[str, Any]) -> list:
    """Return the sizes of the hidden layers as a list; "auto" counts as its usual sizes."""
    sizes = parameters["hidden_layer_sizes"]
    if is_auto(sizes):
        return list(SIZES)
    return [sizes] if isinstance(sizes, Integral) or np.ndim(sizes) == 0 else list(sizes)


def per_layer(parameters: Mapping[str, Any], name: str) -> list:
    """Return a parameter's value for each hidden layer, from one value or a list of values.

    Raises
    ------
    ValueError
        If a list does not have one entry for each hidden layer.
    """
    value = parameters[name]
    n_layers = len(hidden_layer_sizes(parameters))
    if isinstance(value, str | Real | Activation):
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"{name} has length {len(value)}, but the number of hidden layers is {n_layers}. "
            f"Give one value for all layers, or one for each; got {list(value)}."
        )
    return list(value)


def check_solver_options(estimator: Any) -> None:
    """Refuse parameters that have no effect with the solver.

    A parameter passes if it is switched off or has its default.

    Raises
    ------
    ValueError
        If the solver is not stochastic, and a parameter of ``STOCHASTIC_OPTIONS`` is neither
        switched off nor at its default.
    """
    if is_stochastic(estimator.solver):
        return
    parameters, neutral = parameters_of(estimator), defaults(type(estimator))
    unusable = [
        f"{name}={parameters[name]!r}"
        for name in STOCHASTIC_OPTIONS
        if not _is_neutral(name, parameters, neutral[name])
    ]
    if unusable:
        raise ValueError(
            f"solver={parameters['solver']!r} is not stochastic and cannot use "
            f"{', '.join(unusable)}. Use a stochastic solver such as 'adam', or leave these "
            "at their defaults."
        )


def _is_neutral(name: str, parameters: Mapping[str, Any], default: Any) -> bool:
    """Return whether an option of ``STOCHASTIC_OPTIONS`` is switched off or at its default."""
    value = parameters[name]
    if isinstance(value, Schedule):
        return value == SCHEDULES["constant"]()
    values = value if np.ndim(value) else [value]
    return all(one in (default, STOCHASTIC_OPTIONS[name]) for one in values)


def check_random_split(estimator: Any, remedy: str) -> None:
    """Refuse ways to choose validation rows that need all rows in one place.

    Raises
    ------
    ValueError
        If early stopping may be on and ``validation_fraction`` is neither "auto" nor a number.
        ``remedy`` continues the advice of the message.
    """
    wanted = estimator.validation_fraction
    if estimator.early_stopping and not (is_auto(wanted) or FRACTION.allows(wanted)):
        raise ValueError(
            f"validation_fraction={wanted!r} needs all rows in one place. Give a number"
            f"{remedy}, or set early_stopping=False."
        )


def check_class_weight(class_weight: Any, target: Any) -> None:
    """Refuse what looks like a wrong label, and weights that are not finite numbers >= 0.

    ``target`` is the encoder of y. As in scikit-learn, a dict may have weights for further
    classes, which the rows of a split may lack.

    Raises
    ------
    ValueError
        If ``class_weight`` is not a dict or, for a multi-label y, a list with a dict for each
        label; if a dict lacks a class but has a label that is not among the classes; or if a
        weight is not a finite number >= 0.
    """
    classes, multilabel = target.classes_.tolist(), target.kind == "multilabel"
    by_label, n_dicts = (class_weight, len(classes)) if multilabel else ([class_weight], 1)
    # The entries of a dict for a multi-label y are its labels, not dicts.
    if [isinstance(one, dict) for one in by_label] != [True] * n_dicts:
        wanted = f"a dict with the weights of the classes {classes}, as y is not multi-label"
        if multilabel:
            wanted = (
                f"a list with a dict for each of the {n_dicts} labels of y or, except in "
                "partial_fit, 'balanced'"
            )
        raise ValueError(f"class_weight must be {wanted}; got {class_weight}.")
    known = {0, 1} if multilabel else set(classes)
    for one in by_label:
        unknown, missing = [label for label in one if label not in known], known - set(one)
        if unknown and missing:
            raise ValueError(
                f"class_weight has weights for {unknown}, which are not among the classes, but "
                f"none for the class(es) {sorted(missing)}. Correct the names, or give each "
                "class of y a weight."
            )
        if not all(NOT_NEGATIVE.allows(value) for value in one.values()):
            raise ValueError(
                f"class_weight must have finite numbers >= 0 as weights, got {class_weight}."
            )


def available_with_stochastic_solver(estimator: Any) -> bool:
    """Return True if the solver is stochastic, as ``partial_fit`` needs, for ``available_if``.

    Raises
    ------
    AttributeError
        If the solver is not stochastic.
    """
    if never_steps(estimator.solver):
        raise AttributeError(
            f"partial_fit needs a stochastic solver; solver={estimator.solver!r} is not one."
        )
    return True


def one_pass(method: Method) -> Method:
    """Decorate ``partial_fit``: only stochastic solvers have it, and it checks parameters."""
    return available_if(available_with_stochastic_solver)(hinting(checks_parameters(method)))


def never_steps(solver: Any) -> bool:
    """Return whether a value of ``solver``, checked or not, is a solver but not stochastic.

    Values that are not solvers are left to the check of the parameters in ``fit``.
    """
    known = isinstance(solver, Solver) or (isinstance(solver, str) and solver in SOLVERS)
    return known and not is_stochastic(solver)
