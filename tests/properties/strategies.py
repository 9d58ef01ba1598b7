"""Strategies for everything that a user gives: parameters, X, y and weights.

The values of a parameter are drawn from its constraint in ``_parameter_constraints``, so a new
parameter is tested without a line here.
"""

from collections import Counter
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from hypothesis import strategies as st
from properties import tables
from properties.tables import (
    ArrayTable,
    Labels,
    Numbers,
    PandasTable,
    PolarsTable,
    SparseTable,
    Table,
    Weights,
)
from sklearn.model_selection import ShuffleSplit, StratifiedKFold
from sklearn.utils._param_validation import HasMethods

from sknet import NNClassifier, NNRegressor
from sknet._parameters import SPLITTER
from sknet._requirements import Interval, Options, StrOptions
from sknet._shared_parameters import SharedParameters
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, NumericEmbedding
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.optimizers import Solver
from sknet.nn.schedules import SCHEDULES, Schedule

#: The largest values of the parameters that decide how long a fit takes, or that need another
#: network.
CAPS = {"hidden_layer_sizes": 4, "max_iter": 4, "n_members": 3, "max_fun": 30}
CAPS |= {"frozen_layers": 0}
#: The classes of rules by the base class that a constraint names.
RULES = {
    Activation: ACTIVATIONS,
    Solver: SOLVERS,
    Schedule: SCHEDULES,
    NumericEmbedding: NUMERIC_EMBEDDINGS,
    Loss: LOSSES,
}


def mostly(common: st.SearchStrategy, rare: st.SearchStrategy) -> st.SearchStrategy:
    """Draw from ``rare`` in one of ten cases."""
    return st.integers(0, 9).flatmap(lambda digit: rare if digit == 9 else common)


# Values of parameters.


@dataclass(frozen=True)
class Values:
    """Draws values that satisfy a parameter's constraint.

    Attributes
    ----------
    name : str
        The parameter's name.
    labels : list
        The labels of y, for dictionaries.
    wild : bool
        Whether numbers may be as large or small as the constraint allows. Otherwise they are
        as large as those that a user would choose.
    """

    name: str
    labels: list = field(default_factory=list)
    wild: bool = True

    def of(self, constraints: list) -> st.SearchStrategy:
        """Return a strategy for a list of constraints, of which one must be satisfied."""
        single = [one for one in constraints if not is_list(one)]
        strategy = st.one_of([self._of_one(one) for one in single])
        if len(single) == len(constraints):
            return strategy
        # The elements of an array are values of the other constraints, or positions.
        numbers = [one for one in single if not isinstance(one, StrOptions) or self._named(one)]
        elements = [self._of_one(one) for one in numbers if one is not None]
        elements = st.one_of(elements) if elements else st.integers(0, 3) | st.booleans()
        return strategy | st.lists(elements, max_size=3).flatmap(
            lambda values: st.sampled_from([values, tuple(values)])
        )

    def _named(self, options: StrOptions) -> bool:
        """Return whether the options name rules, and not a way to choose the value."""
        return not options.options & {"auto", "from_dtype"}

    def _of_one(self, constraint: Any) -> st.SearchStrategy:
        if isinstance(constraint, Interval):
            return self._in_interval(constraint)
        if isinstance(constraint, Options):  # StrOptions, too
            return st.sampled_from(sorted(constraint.options))
        if constraint in RULES:
            return st.sampled_from(sorted(RULES[constraint].values(), key=repr)).flatmap(
                lambda rule: rules(rule, self.wild)
            )
        return {
            None: st.none(),
            "boolean": st.booleans() | st.sampled_from([np.True_, np.False_]),
            "random_state": st.integers(0, 9) | st.integers(0, 9).map(np.random.RandomState),
            "verbose": st.booleans() | st.integers(0, 2),
            callable: st.just(fixed_score) | st.just(true_score),
            SPLITTER: st.just(ShuffleSplit(random_state=0)) | st.just(StratifiedKFold(2)),
            dict: self._weights_of_classes(),
            list: self._list(),
            tuple: self._list().map(tuple),
        }[constraint]

    def _list(self) -> st.SearchStrategy:
        if self.name == "interaction_cst":
            group = st.lists(st.integers(0, 2), min_size=1, max_size=2)
            return st.lists(group.map(tuple) | group.map(set), min_size=1, max_size=3)
        return st.lists(self._weights_of_classes(), min_size=1, max_size=3)

    def _in_interval(self, interval: Interval) -> st.SearchStrategy:
        low, high = interval.left, interval.right
        if self.name == "time_limit":  # Two fits that a clock ends are not equal.
            return st.sampled_from([1000, 1e9])
        if interval.type is Integral:
            cap = CAPS.get(self.name, 300)
            integers = st.integers(low, cap if high is None else high)
            return mostly(integers, integers.map(np.int32))
        ends = {
            "exclude_min": low is not None and interval.closed in ("right", "neither"),
            "exclude_max": high is not None and interval.closed in ("left", "neither"),
        }
        # Numbers of every size and both ends, and the middle of the interval.
        wild = st.floats(low, high, allow_nan=False, allow_infinity=False, **ends)
        calm = st.sampled_from([(low or 0) + share for share in (0.5, 0.01, 0.1, 0.9)])
        calm = calm.filter(interval.is_satisfied_by)
        whole = st.sampled_from([0, 1]).filter(interval.is_satisfied_by)
        others = calm.map(np.float32) | calm.map(np.float64)
        drawn = calm | whole if low == 0 and high == 1 and "both" in interval.closed else calm
        return st.one_of(wild, drawn, mostly(calm, others)) if self.wild else drawn

    def _weights_of_classes(self) -> st.SearchStrategy:
        sizes = st.sampled_from([1, 0.5, 3.0, 0])
        if self.wild:
            sizes |= st.floats(0, 1e300)
        hashable = [label for label in self.labels if label == label]
        return st.dictionaries(st.sampled_from(hashable), sizes) if hashable else st.just({})


def is_list(constraint: Any) -> bool:
    """Return whether a constraint is that of a list of values."""
    if isinstance(constraint, HasMethods):
        return "__len__" in constraint.methods
    return isinstance(constraint, str) and constraint == "array-like"


def rules(cls: type, wild: bool) -> st.SearchStrategy:
    """Draw instances of a rule, whose fields that name parameters have values of these."""
    drawn = {}
    for one in fields(cls) if is_dataclass(cls) else ():
        if one.name in SharedParameters._parameter_constraints:
            values = SharedParameters._parameter_constraints[one.name]
            drawn[one.name] = Values(one.name, wild=wild).of(values)
        elif one.default is MISSING:
            drawn[one.name] = st.integers(2, 4)
    return st.builds(cls, **drawn)


def true_score(estimator, X, y):
    return estimator.score(X, y)


def fixed_score(estimator, X, y):
    return 0.5


#: The strategies that ``values_of`` has made. Hypothesis takes longer to make one than to draw.
MADE: dict[tuple, st.SearchStrategy] = {}


def values_of(cls: type, name: str, labels: list, wild: bool) -> st.SearchStrategy:
    """Draw values of one parameter of an estimator."""
    # Equal labels of other types, such as 1 and True, are other labels.
    key = cls, name, repr(labels), wild
    if key not in MADE:
        MADE[key] = Values(name, labels, wild).of(cls._parameter_constraints[name])
    return MADE[key]


def parameters(cls: type, labels: list, fixed: dict, *, wild: bool = True) -> st.SearchStrategy:
    """Draw some parameters of an estimator with values that satisfy their constraints.

    ``fixed`` are parameters that are not drawn, of which the estimator may lack some.
    """
    known = cls._parameter_constraints
    fixed = {name: value for name, value in fixed.items() if name in known}
    free = [name for name in known if name not in fixed]

    def values(chosen):
        drawn = {name: values_of(cls, name, labels, wild) for name in chosen}
        return st.fixed_dictionaries(
            {**{name: st.just(value) for name, value in fixed.items()}, **drawn}
        )

    # Few parameters make small examples, and many meet in combinations that are rare.
    sizes = st.integers(0, 4) | st.integers(0, 16)
    names = sizes.flatmap(
        lambda n: st.lists(st.sampled_from(free), unique=True, min_size=n, max_size=n)
    )
    return names.flatmap(values)


# X, y and weights.

ROWS = st.integers(1, 8) | st.integers(0, 40) | st.integers(100, 130) | st.integers(40, 300)


def columns(kinds: list, *, most: int = 4) -> st.SearchStrategy:
    """Draw the kinds of one to four columns, or of as many as forty."""
    many = st.integers(5, 40).flatmap(
        lambda n: st.sampled_from(kinds).map(lambda kind: (kind,) * n)
    )
    few = st.lists(st.sampled_from(kinds), min_size=1, max_size=most).map(tuple)
    return mostly(few, many)


NUMERIC = mostly(columns(tables.ORDINARY), columns(list(tables.COLUMNS)))
MIXED = columns([*tables.ORDINARY, "missing", "date", "category", "category", "category"])

ARRAYS = st.builds(
    ArrayTable,
    columns=NUMERIC,
    dtype=mostly(st.sampled_from(tables.DTYPES), st.sampled_from(tables.ODD_DTYPES)),
    layout=st.sampled_from(list(tables.LAYOUTS)),
)


def arrays(kinds=tables.ORDINARY, **options):
    return st.builds(ArrayTable, columns=columns(list(kinds)), **options)


SPARSE = st.builds(
    SparseTable,
    columns=columns(tables.ORDINARY),
    format=st.sampled_from(tables.FORMATS),
    dtype=st.sampled_from(["float64", "float32", "int64", "bool"]),
    variant=st.sampled_from(tables.VARIANTS),
)
FRAMES = st.builds(
    PandasTable,
    columns=MIXED,
    dtypes=st.sampled_from(list(tables.FRAME_DTYPES)),
    levels=mostly(st.sampled_from(tables.SORTABLE), st.sampled_from(list(tables.LEVELS))),
    index=st.sampled_from(list(tables.INDICES)),
    names=mostly(st.just("text"), st.sampled_from(list(tables.NAMES))),
) | st.builds(
    PolarsTable,
    columns=MIXED,
    dtypes=st.sampled_from(tables.POLARS_DTYPES),
    levels=mostly(st.sampled_from(tables.SORTABLE), st.sampled_from(list(tables.LEVELS))),
)
TABLES = ARRAYS | SPARSE | FRAMES

LABELS = mostly(
    st.builds(
        Labels,
        kind=st.sampled_from([*tables.LABELS, *tables.MULTI_LABELS]),
        sizes=st.sampled_from(list(tables.CLASS_SIZES)),
        n_classes=st.integers(1, 4),
    ),
    st.builds(Labels, kind=st.sampled_from(list(tables.ODD_LABELS))),
)
NUMBERS = st.builds(
    Numbers,
    kind=mostly(
        st.sampled_from(["normal", "counts", "positive", "shifted", "constant"]),
        st.sampled_from(list(tables.NUMBERS)),
    ),
    form=st.sampled_from(list(tables.FORMS)),
    n_outputs=st.integers(1, 2),
)
FACTORS = st.integers(-300, 300).map(lambda exponent: 10.0**exponent)
WEIGHTS = st.one_of(
    st.just(Weights()),
    st.builds(Weights, kind=st.sampled_from(list(tables.WEIGHTS))),
    st.builds(Weights, st.sampled_from(["uniform", "counts", "series", "list"]), FACTORS),
    mostly(st.just(Weights()), st.builds(Weights, st.sampled_from(list(tables.ODD_WEIGHTS)))),
)


# Cases.

#: How many cases a test has tried, and how many networks it has trained.
COUNTS: Counter = Counter()

#: The parameters of a case that are not drawn: a network that is quickly fitted.
SMALL = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}

#: Parameters that leave the arithmetic of a fit comparable up to rounding: float64, no draw for
#: single rows, and all rows in one batch.
EXACT = {
    "dtype": "float64",
    "batch_size": 300,
    "dropout": 0.0,
    "input_noise": 0.0,
    "mixup": 0.0,
    "early_stopping": False,
    "max_iter": 3,
    "solver": "adam",
    "learning_rate_init": 0.01,
    "epsilon": 1e-3,
    "alpha": 1e-3,
    "numeric_embedding": None,
    "random_state": 0,
    "scoring": "loss",
    "warm_start": False,
}


@dataclass(frozen=True)
class Case:
    """An estimator with its parameters, and the data for a fit."""

    cls: type
    parameters: dict[str, Any]
    n_rows: int
    table: Table
    target: Labels | Numbers
    weights: Weights
    seed: int

    @property
    def X(self) -> Any:  # noqa: N802
        return self.table.make(self.n_rows, self.seed)

    @property
    def values(self) -> np.ndarray:
        """The numbers of X."""
        return self.table.values(self.n_rows, self.seed)

    @property
    def y(self) -> Any:
        return self.target.make(self.n_rows, self.seed)

    @property
    def sample_weight(self) -> Any:
        return self.weights.make(self.n_rows, self.seed)

    def network(self, **changes: Any) -> Any:
        """Return an estimator that is not fitted."""
        return self.cls(**{**SMALL, **self.parameters, **changes})

    def change(self, **changes: Any) -> "Case":
        """Return the case with other fields."""
        return replace(self, **changes)


def cases(
    classes: tuple = (NNClassifier, NNRegressor),
    *,
    tables: st.SearchStrategy = TABLES,
    labels: st.SearchStrategy = LABELS,
    numbers: st.SearchStrategy = NUMBERS,
    weights: st.SearchStrategy = WEIGHTS,
    rows: st.SearchStrategy = ROWS,
    wild: bool = True,
    **fixed: Any,
) -> st.SearchStrategy:
    """Draw cases; ``fixed`` are parameters that are not drawn."""

    def of_target(cls, target):
        return st.builds(
            Case,
            cls=st.just(cls),
            parameters=parameters(cls, target.names, fixed, wild=wild),
            n_rows=rows,
            table=tables,
            target=st.just(target),
            weights=weights,
            seed=st.integers(0, 999),
        )

    def of_class(cls):
        targets = labels if cls is NNClassifier else numbers
        return targets.flatmap(lambda target: of_target(cls, target))

    return st.sampled_from(classes).flatmap(of_class).map(count)


def count(case: Case) -> Case:
    COUNTS["cases tried"] += 1
    return case
