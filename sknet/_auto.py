"""The values that "auto" parameters get, given the training data.

Each rule may look at the other parameters and at the facts of the table, at nothing else.
``docs/accuracy.md`` has the rules in one table, and the measurements behind them.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sknet._parameters import is_auto
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.solvers import is_stochastic

#: Below this number of training rows nothing is drawn at random for single rows, so that a
#: weight of two equals a repeated row.
SMALL = 100
#: On small tables: the updates that a network needs, and the largest number of epochs to make
#: them in.
MIN_UPDATES, MOST_EPOCHS = 2000, 300
#: Epochs on a table of some thousand rows. On large tables: the number of rows that training
#: visits, counted with repetition, and the smallest number of epochs.
EPOCHS, ROW_VISITS, FEWEST_EPOCHS = 60, 6_000_000, 10
#: Epochs on tables below ``SMALL``, where no held-out rows tell when to stop.
EPOCHS_OF_FEW = 40
#: Epochs where the learning rate does not fall to zero by plan, and iterations of lbfgs.
UNPLANNED_EPOCHS = 200
#: Epochs without an improvement after which a training without such a plan ends.
PATIENCE = 10
#: The smallest number of rows of a mini-batch, if the table has as many.
SMALLEST_BATCH = 32
#: The dropout rate.
DROPOUT = 0.1
#: Shares of the rows to validate with: below ``MANY`` rows, and from ``MANY`` on.
VALIDATION_OF_FEW, VALIDATION_OF_MANY, MANY = 0.2, 0.1, 500
#: The penalty's strength: times the number of rows; on tables below ``SMALL``; for lbfgs.
PENALTY, ALPHA_OF_FEW, LBFGS_ALPHA = 0.3, 0.03, 5e-7
#: The number of columns above which an embedding of each number costs more than it gains.
MOST_EMBEDDED = 50
#: Training rows to a quantile bin of a number, and the limits of the number of bins.
ROWS_PER_BIN, FEWEST_BINS, MOST_BINS = 30, 8, 48
#: The number of float64 rows from which the network computes in float32.
FLOAT32_ROWS = 1000


class Facts(NamedTuple):
    """What the rules know of the training data.

    ``n_rows`` counts the rows of positive weight, including those to be held out.
    """

    n_rows: int
    n_columns: int
    is_sparse: bool
    dtype: np.dtype
    numeric_y: bool

    @classmethod
    def of(cls, X: Any, n_rows: int, numeric_y: bool) -> "Facts":
        """Return the facts of a table of ``n_rows`` rows, of which X are some or all."""
        return cls(n_rows, X.shape[1], sparse.issparse(X), np.dtype(X.dtype), numeric_y)


def choose(
    parameters: Mapping[str, Any],
    facts: Facts,
    kept: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return a value for each parameter that is "auto", by name.

    Parameters
    ----------
    parameters : mapping of str to object
        All parameters of an estimator.
    facts : Facts
    kept : mapping of str to object, optional
        Values of an earlier fit that must stay, since its network is to be continued.
    """
    known = dict(parameters)
    chosen = {}
    for name, rule in RULES.items():
        if is_auto(known[name]):
            chosen[name] = known[name] = kept[name] if name in kept else rule(known, facts)
    return chosen


def bins_for(n_rows: int) -> int:
    """Return the number of quantile bins of each number."""
    return int(np.clip(n_rows // ROWS_PER_BIN, FEWEST_BINS, MOST_BINS))


def _is_planned(known: Mapping[str, Any]) -> bool:
    """Return whether the learning rate falls to zero over ``max_iter`` epochs by plan."""
    schedule = known["learning_rate"]
    if not isinstance(schedule, Schedule):
        schedule = SCHEDULES[schedule]
    return is_stochastic(known["solver"]) and schedule.has_horizon


def _batch_size(known: Mapping[str, Any], facts: Facts) -> int:
    if facts.n_rows < SMALL:
        return facts.n_rows
    largest = max(200, min(facts.n_rows // 250, 1000))
    return int(np.clip(facts.n_rows // 25, SMALLEST_BATCH, largest))


def _alpha(known: Mapping[str, Any], facts: Facts) -> float:
    if not is_stochastic(known["solver"]):
        return LBFGS_ALPHA
    return ALPHA_OF_FEW if facts.n_rows < SMALL else PENALTY / facts.n_rows


def _max_iter(known: Mapping[str, Any], facts: Facts) -> int:
    if not _is_planned(known):
        return UNPLANNED_EPOCHS
    if facts.n_rows < SMALL:
        return EPOCHS_OF_FEW
    updates = math.ceil(facts.n_rows / known["batch_size"])
    enough = min(math.ceil(MIN_UPDATES / updates), MOST_EPOCHS)
    affordable = max(FEWEST_EPOCHS, min(EPOCHS, ROW_VISITS // facts.n_rows))
    return max(enough, affordable)


def _n_iter_no_change(known: Mapping[str, Any], facts: Facts) -> float:
    return np.inf if _is_planned(known) else PATIENCE


def _early_stopping(known: Mapping[str, Any], facts: Facts) -> bool:
    return facts.n_rows >= SMALL


def _validation_fraction(known: Mapping[str, Any], facts: Facts) -> float:
    return VALIDATION_OF_FEW if facts.n_rows < MANY else VALIDATION_OF_MANY


def _dropout(known: Mapping[str, Any], facts: Facts) -> float:
    suited = facts.n_rows >= SMALL and is_stochastic(known["solver"])
    return DROPOUT if suited else 0.0


def _numeric_embedding(known: Mapping[str, Any], facts: Facts) -> str | None:
    unsuited = facts.is_sparse or facts.n_columns > MOST_EMBEDDED
    if unsuited or facts.n_rows < SMALL or not is_stochastic(known["solver"]):
        return None
    return "piecewise_linear" if facts.numeric_y else "periodic"


def _n_members(known: Mapping[str, Any], facts: Facts) -> int:
    return 1 if facts.numeric_y else 2


def _dtype(known: Mapping[str, Any], facts: Facts) -> str:
    small = facts.n_rows < FLOAT32_ROWS and facts.dtype == np.float64
    return "float64" if small or not is_stochastic(known["solver"]) else "float32"


Rule = Callable[[Mapping[str, Any], Facts], Any]

#: The rules by parameter. Their order matters: a rule sees the values that the rules before it
#: chose.
RULES: dict[str, Rule] = {
    "alpha": _alpha,
    "batch_size": _batch_size,
    "max_iter": _max_iter,
    "n_iter_no_change": _n_iter_no_change,
    "early_stopping": _early_stopping,
    "validation_fraction": _validation_fraction,
    "dropout": _dropout,
    "numeric_embedding": _numeric_embedding,
    "n_members": _n_members,
    "dtype": _dtype,
}

#: The parameters that shape the network: their values are kept by a fit that continues it.
SHAPING = ("dropout", "numeric_embedding", "n_members", "dtype")
