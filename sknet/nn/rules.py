"""Rules: small immutable objects, such as optimizers, whose fields declare allowed values.

Activations, losses, optimizers, schedules, penalties and layers are rules: frozen dataclasses,
most of which a user may construct. A field declares its allowed values in its type, such as
``beta_1: Annotated[float, FRACTION] = 0.9``, and :class:`Rule` refuses other values at
construction. A field that only the package sets declares none. The parameters of an estimator
are checked in ``fit`` instead, as in scikit-learn, since ``set_params`` may change them. A rule
cannot be changed.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise
from numbers import Integral, Real
from types import NoneType
from typing import Any, get_args

import numpy as np


class Constraint:
    """The values that a field of a rule may have.

    Parameters
    ----------
    text : str
        The values in words, which complete the sentence "The field must be ...".
    kinds : tuple of type
        The types that a value may have.
    contains : callable, default=None
        A function that returns whether a value of one of these types is allowed. None allows
        all of them.
    """

    def __init__(
        self, text: str, kinds: tuple[type, ...], contains: Callable[[Any], bool] | None = None
    ):
        self.text = text
        self.kinds = kinds
        self._contains = contains

    def __repr__(self) -> str:
        return self.text

    def contains(self, value: Any) -> bool:
        """Return whether a value of one of the types is allowed."""
        return self._contains is None or self._contains(value)

    def allows(self, value: Any) -> bool:
        """Return whether a value has one of the types and is allowed."""
        return isinstance(value, self.kinds) and self.contains(value)

    def check(self, owner: str, name: str, value: Any) -> None:
        """Refuse a value that is not allowed.

        Parameters
        ----------
        owner, name : str
            The names of the class and of its field, for the message.
        value : object

        Raises
        ------
        TypeError
            If the value has none of the types.
        ValueError
            If the value has one of the types, but is not allowed.
        """
        if not self.allows(value):
            error = ValueError if isinstance(value, self.kinds) else TypeError
            raise error(f"{owner}: {name} must be {self.text}, got {value!r}.")


@dataclass(repr=False, eq=False)
class Interval(Constraint):
    """Numbers between two bounds. NaN, True and False are not allowed.

    Parameters
    ----------
    kind : type
        ``numbers.Real`` or ``numbers.Integral``.
    low, high : float
        The bounds. ``high`` is infinite by default.
    closed : {"left", "right", "both", "neither"}, default="left"
        Which of the bounds are allowed.
    none : bool, default=False
        Whether None is allowed as well.
    """

    kind: type
    low: float
    high: float = math.inf
    closed: str = "left"
    none: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        kinds = (self.kind, NoneType) if self.none else (self.kind,)
        super().__init__(f"{self._words()} or None" if self.none else self._words(), kinds)

    def _words(self) -> str:
        """Return the allowed numbers in words."""
        integral = self.kind is Integral
        if self.high < math.inf or self.closed in ("right", "both"):
            left = "[" if self.closed in ("left", "both") else "("
            right = "]" if self.closed in ("right", "both") else ")"
            noun = "an integer" if integral else "a number"
            return f"{noun} in {left}{self.low}, {self.high}{right}"
        noun = "an integer" if integral else "a finite number"
        if self.low == -math.inf:
            return noun
        return f"{noun} {'>=' if self.closed == 'left' else '>'} {self.low}"

    def contains(self, value: Any) -> bool:
        """Return whether a value is None, or a number between the bounds."""
        if value is None:
            return True
        if isinstance(value, bool):
            return False
        try:
            number = float(value)
        except OverflowError:  # Python's integers have no limit.
            return False
        above = number > self.low or (number == self.low and self.closed in ("left", "both"))
        below = number < self.high or (number == self.high and self.closed in ("right", "both"))
        return above and below


POSITIVE_INT = Interval(Integral, 1)
NOT_NEGATIVE_INT = Interval(Integral, 0)
POSITIVE = Interval(Real, 0, closed="neither")
POSITIVE_OR_INFINITE = Interval(Real, 0, math.inf, closed="right")
NOT_NEGATIVE = Interval(Real, 0)
FRACTION = Interval(Real, 0, 1)
OPEN_UNIT_INTERVAL = Interval(Real, 0, 1, closed="neither")
CLOSED_UNIT_INTERVAL = Interval(Real, 0, 1, closed="both")
FINITE = Interval(Real, -math.inf, closed="neither")
TRUTH_VALUE = Constraint("True or False", (bool, np.bool_))


def _are_quantiles(value: Any) -> bool:
    """Return whether a value is a number in (0, 1) or an increasing sequence of these."""
    levels = list(value) if np.iterable(value) else [value]
    in_range = bool(levels) and all(map(OPEN_UNIT_INTERVAL.allows, levels))
    return in_range and all(low < high for low, high in pairwise(levels))


QUANTILES = Constraint(
    "a number in (0, 1) or an increasing sequence of these", (Real, Iterable), _are_quantiles
)


def _same_attributes(one: Any, other: Any) -> bool:
    """Return whether two rules have the same class and equal attributes."""
    return type(one) is type(other) and Rule.__getstate__(one) == Rule.__getstate__(other)


class Rule:
    """A frozen dataclass that checks its fields when it is constructed.

    A field is checked if its type is ``Annotated`` with a :class:`Constraint`. The fields of
    your own subclasses need none. A subclass with its own ``__post_init__`` must call the
    inherited one, or its fields are not checked. An annotation that is a string is not read:
    ``from __future__ import annotations`` turns all annotations into strings.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls) and "__eq__" not in vars(cls):
            # The inherited method compares fields, which such a class need not have. To a type
            # checker, an assignment would hide the types of all subclasses.
            setattr(cls, "__eq__", _same_attributes)  # noqa: B010

    def __post_init__(self) -> None:
        for name, constraint in constraints(type(self)).items():
            value = getattr(self, name)
            constraint.check(type(self).__name__, name, value)
            if isinstance(value, np.integer):  # A product of np.int8 might overflow.
                object.__setattr__(self, name, int(value))

    def __getstate__(self) -> dict[str, Any]:
        # What a cached property has stored follows from the other attributes, so it is neither
        # pickled nor compared.
        cls, own = type(self), vars(self)
        cached = {x for x in own if isinstance(getattr(cls, x, None), cached_property)}
        return {name: value for name, value in own.items() if name not in cached}


def constraints(cls: Any) -> dict[str, Constraint]:
    """Return the constraints of a dataclass's fields, by name, for the fields that have one."""
    return {
        one.name: constraint
        for one in fields(cls)
        for constraint in get_args(one.type)
        if isinstance(constraint, Constraint)
    }
