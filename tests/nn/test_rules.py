"""Every rule of the package refuses values outside of the stated range of each field.

The tests find the rules by themselves. A field without a stated range fails, unless only the
package sets it. A new kind of constraint needs bad values in ``BAD``.
"""

import importlib
import inspect
import math
import pickle
import pkgutil
import re
from dataclasses import MISSING, dataclass, fields, replace
from numbers import Integral, Real
from typing import Annotated

import numpy as np
import pytest

import sknet.nn
from sknet import NNClassifier, NNRegressor
from sknet.nn.activations import ACTIVATION, ACTIVATIONS, Identity, LeakyReLU, Reflected, ReLU
from sknet.nn.columns import Columns, ColumnScales, Limited, PrincipalComponents
from sknet.nn.cumulative import (
    CUMULATIVE_LINK,
    DISTINCT,
    CumulativeCLogLog,
    CumulativeLogit,
    CumulativeProbit,
)
from sknet.nn.embeddings import (
    NUMERIC_EMBEDDINGS,
    MappedPiecewiseLinear,
    Periodic,
    RisingPiecewiseLinear,
)
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput, WithConstants
from sknet.nn.groups import GroupColumns, GroupedDense, PairwiseHead
from sknet.nn.joint import JointLoss, LevelLogLoss
from sknet.nn.layers import Activated, Dense
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.links import Logit
from sknet.nn.losses import LOSSES, QUANTILES, HalfGamma, HalfPoisson, HalfTweedie, Pinball
from sknet.nn.monotone import ByUnit, MonotonePairwiseHead, Promise
from sknet.nn.optimizers import SGD, Adam
from sknet.nn.rules import FRACTION, TRUTH_VALUE, Constraint, Interval, Rule, constraints
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.sets import MonotoneWeights, Signed, Stacked

NAN, INF = math.nan, math.inf
#: Values that each constraint other than an interval must refuse.
BAD = {
    TRUTH_VALUE: [None, 1, 0.0, "yes"],
    ACTIVATION: [None, "relu", ReLU, abs],
    QUANTILES: [
        *(None, "0.5", NAN, 0, 1.0, 1.5, -0.1, True, [], np.array(0.5)),
        *([0.5, 0.5], [0.9, 0.1], (0.1, NAN, 0.9), [0.1, 1.0], ["0.1"], [[0.1, 0.9]]),
    ],
    CUMULATIVE_LINK: [None, 3, "", "identity", CumulativeLogit, Logit()],
    DISTINCT: [None, 3, "abc", [1], ("a", "a"), {1, 2}, [1, 2, 1]],
}


def concrete_rules():
    """Return all classes of rules in the package that are not abstract."""
    for module in pkgutil.iter_modules(sknet.nn.__path__, "sknet.nn."):
        importlib.import_module(module.name)
    found = {Rule}
    while more := {sub for one in found for sub in one.__subclasses__()} - found:
        found |= more
    concrete = {one for one in found if hasattr(one, "__dataclass_fields__")}
    return sorted(
        (
            one
            for one in concrete
            if one.__module__.startswith("sknet.nn.") and not inspect.isabstract(one)
        ),
        key=lambda one: one.__name__,
    )


#: The rules that only the package constructs, from settings and from a table.
BUILT = {
    *(Activated, ByUnit, Columns, ColumnScales, EnsembleDense, EnsembleHead, EnsembleInput),
    *(GroupColumns, GroupedDense, JointLoss, LevelLogLoss, Limited, MonotonePairwiseHead),
    *(MonotoneWeights, PairwiseHead, PrincipalComponents, Promise, Reflected, Signed, Stacked),
    WithConstants,
}
#: The fields that the package sets in the rules that a user may construct.
SET = {
    (CumulativeCLogLog, "order"),
    (CumulativeLogit, "order"),
    (CumulativeProbit, "order"),
    (Dense, "within"),
    (HalfGamma, "spread"),
    (HalfPoisson, "spread"),
    (HalfTweedie, "spread"),
    (MappedPiecewiseLinear, "edges"),
    (RisingPiecewiseLinear, "edges"),
    (RisingPiecewiseLinear, "signs"),
}
RULES = concrete_rules()
ALL_FIELDS = [(cls, field.name) for cls in RULES for field in fields(cls)]
FIELDS = [(cls, name) for cls, name in ALL_FIELDS if not ({cls, (cls, name)} & (BUILT | SET))]
every_field = pytest.mark.parametrize(("cls", "name"), FIELDS)


def outside(interval):
    """Return values that are not in an interval, near its bounds and far from them."""
    low, high = interval.low, interval.high
    step = 1 if Integral in interval.kinds else 1e-9
    numbers = [low - step, -INF, high + step, INF, NAN, -1e300, low - 1, 2 * high + 1, 10**400]
    numbers += [low] if interval.closed in ("right", "neither") else []
    numbers += [high] if interval.closed in ("left", "neither") else []
    fractions = [low + 0.5] if Integral in interval.kinds else []
    others = [True, "0.5", [0.5], (), {}, 0.5j, np.array([0.5]), np.bool_(True)]
    return [*numbers, *fractions, *others] + [None] * (type(None) not in interval.kinds)


def inside(constraint):
    """Return values that a constraint allows, its bounds included if they are closed."""
    if not isinstance(constraint, Interval):
        return {
            ACTIVATION: [Identity()],
            CUMULATIVE_LINK: [CumulativeProbit(), CumulativeCLogLog((1, 0, 2))],
            DISTINCT: [(), ("low", "high"), (2, 1, 3)],
        }.get(constraint, [])
    low, high = constraint.low, constraint.high
    if Integral in constraint.kinds:
        return [low, low + 1, np.int64(low + 2)]
    below = min(high, 10)
    values = [low + share * (below - low) for share in (1e-9, 0.25, 0.75, 1 - 1e-9)]
    values += [low] if constraint.closed in ("left", "both") else []
    values += [high] if constraint.closed in ("right", "both") else []
    return [*values, np.float32(values[1])] + [None] * (type(None) in constraint.kinds)


def build(cls, **values):
    """Return a rule with the given values, and an allowed one for any other field in need."""
    needed = {f.name for f in fields(cls) if f.default is MISSING} - set(values)
    return cls(**values, **{name: inside(constraints(cls)[name])[0] for name in needed})


@every_field
def test_every_field_states_its_values(cls, name):
    """A new rule cannot forget to say which values its fields may have."""
    assert isinstance(constraints(cls).get(name), Constraint)


def test_no_other_field_states_its_values():
    """A rule that only the package constructs is not checked at each construction."""
    others = set(ALL_FIELDS) - set(FIELDS)
    assert {cls for cls, _ in others} == BUILT | {cls for cls, _ in SET}
    assert [name for cls, name in others if name in constraints(cls)] == []


@every_field
def test_values_out_of_range_are_refused(cls, name):
    """The message has the class, the field, the allowed values and what was given."""
    constraint = constraints(cls)[name]
    for value in outside(constraint) if isinstance(constraint, Interval) else BAD[constraint]:
        message = f"{cls.__name__}: {name} must be {constraint.text}, got {value!r}."
        right_type = isinstance(value, constraint.kinds)
        with pytest.raises(ValueError if right_type else TypeError) as caught:
            build(cls, **{name: value})
        assert str(caught.value) == message


@every_field
def test_values_in_range_are_taken(cls, name):
    """The bounds of a closed interval belong to it, and NumPy's numbers are numbers."""
    for value in inside(constraints(cls)[name]):
        rule = build(cls, **{name: value})
        assert getattr(rule, name) == value
        assert replace(rule) == pickle.loads(pickle.dumps(rule)) == rule


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Interval(Integral, 1), "an integer >= 1"),
        (Interval(Integral, -math.inf, closed="neither"), "an integer"),
        (Interval(Real, -math.inf, closed="neither"), "a finite number"),
        (Interval(Real, 0), "a finite number >= 0"),
        (Interval(Real, 0, closed="neither"), "a finite number > 0"),
        (Interval(Real, 0, math.inf, closed="right"), "a number in (0, inf]"),
        (Interval(Real, 0, 1), "a number in [0, 1)"),
        (Interval(Real, 0, 1, closed="both", none=True), "a number in [0, 1] or None"),
    ],
)
def test_an_interval_is_told_in_words(kind, words):
    """The bounds in the message are those of the interval."""
    assert repr(kind) == words


def test_replace_refuses_what_the_constructor_refuses():
    """A rule that is made from another one is checked too."""
    with pytest.raises(ValueError, match=re.escape("Adam: beta_1 must be a number in [0, 1)")):
        replace(Adam(), beta_1=1.0)


def test_a_sequence_of_quantiles_becomes_a_tuple():
    """The conversion of Pinball comes after its check, which must not use up a generator."""
    once = (level for level in [0.1, 0.9])
    for given in ([0.1, 0.9], np.array([0.1, 0.9]), (np.float64(0.1), 0.9), once):
        assert Pinball(given).quantile == (0.1, 0.9)
    with pytest.raises(ValueError, match=re.escape("got (0.9, 0.1)")):
        Pinball(iter([0.9, 0.1]))


def test_integers_of_numpy_become_those_of_python():
    """A product with a small type, such as the number of a layer's outputs, would overflow."""
    rule = Periodic(n_frequencies=np.uint8(16), size=np.int8(100))
    assert type(rule.size) is type(rule.n_frequencies) is int
    assert rule.buffers(3)["out"] == 300


# Rules of a user.


@dataclass(frozen=True)
class Steep(LeakyReLU):
    """A subclass with a field that states nothing, and one that does."""

    anything: float = 1.0
    share: Annotated[float, FRACTION] = 0.5


@dataclass(frozen=True)
class Unchecked(Schedule):
    """A subclass that knows nothing of constraints, and has a ``__post_init__``."""

    warm_up: float = 0.1

    def __post_init__(self):
        object.__setattr__(self, "warm_up", 2 * self.warm_up)

    def __call__(self, progress, samples_seen):
        return 1.0


class Handwritten(SGD):
    """A subclass with a constructor of its own, which calls nothing."""

    def __init__(self, rate):
        object.__setattr__(self, "momentum", rate)


def test_a_users_rule_need_not_state_anything():
    """Only the fields that state their values are checked; the inherited ones are."""
    assert Steep(anything="anything").anything == "anything"
    for bad in ({"slope": 2.0}, {"share": 1.0}):
        (name,) = bad
        with pytest.raises(ValueError, match=f"Steep: {name} must be a number in"):
            Steep(**bad)
    assert Unchecked(0.2).warm_up == 0.4
    assert Handwritten(0.3).momentum == 0.3


# The same ranges in the estimators.

REGISTERED = [
    pytest.param(
        estimator, cls, field.name, id=f"{estimator.__name__}-{cls.__name__}-{field.name}"
    )
    for estimator in (NNClassifier, NNRegressor)
    for registry in (ACTIVATIONS, LOSSES, NUMERIC_EMBEDDINGS, SCHEDULES, SOLVERS)
    for cls in registry.values()
    for field in fields(cls)
    if field.name in estimator().get_params()
]


NAME_OF_LOSS = {cls: name for name, cls in LOSSES.items()}


@pytest.mark.parametrize(("estimator", "cls", "name"), REGISTERED)
def test_parameters_have_the_range_of_the_field_that_they_become(estimator, cls, name):
    """A rule that is chosen by name never meets a value that it refuses, and misses none."""
    tiny = np.nextafter(0, 1)
    probes = [-INF, -1, -tiny, 0, tiny, 0.5, 1 - 1e-16, 1, 1.5, 2, 1e300, INF, NAN]
    probes += ["a", [0.1, 0.9], [0.9, 0.1], [0.5, 0.5], np.float32(0.5), None]
    # A warning tells that an option of a loss has no effect without it.
    of_loss = {"loss": NAME_OF_LOSS[cls]} if cls in NAME_OF_LOSS else {}
    for value in probes:
        network = estimator(**{name: value}, **of_loss)
        taken = is_taken(lambda value=value: cls(**{name: value}))
        assert taken == is_taken(network._validate_params), value


def is_taken(call):
    try:
        call()
    except (TypeError, ValueError):
        return False
    return True
