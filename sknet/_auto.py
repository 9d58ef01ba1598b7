"""What the parameters that are "auto" become, given the training data.

Each rule may look at the other parameters and at the size and kind of the data, nothing else.
docs/accuracy.md has the measurements behind them.
"""

import math
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sknet.nn.schedules import SCHEDULES

#: Training rows below which nothing is drawn for single rows: weights then act as repeated
#: rows do.
SMALL = 100
#: Updates that a network needs on small tables, and epochs that are enough of them.
MIN_UPDATES, MOST_EPOCHS = 2000, 300
#: Epochs on a table of some thousand rows; rows that are visited in all on large ones, and the
#: fewest epochs then.
EPOCHS, ROW_VISITS, FEWEST_EPOCHS = 60, 6_000_000, 10
#: Epochs where there are no rows to hold out, which would tell when to stop.
EPOCHS_OF_FEW = 40
#: Epochs where the learning rate does not fall to zero by plan, and iterations of lbfgs.
UNPLANNED_EPOCHS = 200
PATIENCE = 10
#: Rows of a mini-batch at the least, if there are so many.
SMALLEST_BATCH = 32
DROPOUT = 0.1
#: Shares of the rows to validate with, of few rows and of many.
VALIDATION_OF_FEW, VALIDATION_OF_MANY, MANY = 0.2, 0.1, 500
#: The penalty's strength times the number of rows; its strength for few of them, of which none
#: is held out; and for lbfgs.
PENALTY, ALPHA_OF_FEW, LBFGS_ALPHA = 0.3, 0.03, 5e-7
#: Columns above which embedding each number costs more than it brings.
MOST_EMBEDDED = 50
#: Training rows to a bin of numeric_embedding="piecewise_linear", and limits of their number.
ROWS_PER_BIN, FEWEST_BINS, MOST_BINS = 30, 8, 48
#: Rows of float64 from which the network computes in float32.
FLOAT32_ROWS = 1000


class Table(NamedTuple):
    """What the rules look at: the number of rows and, for the rest, some of them."""

    n_rows: int
    X: Any


def settings_of(estimator, resolved):
    """Return the parameters, with the resolved value in place of each that is "auto"."""
    parameters = estimator.get_params(deep=False)
    return SimpleNamespace(
        **{
            k: resolved[k] if _is_auto(v) and k in resolved else v
            for k, v in parameters.items()
        }
    )


def resolve(estimator, data, kept=MappingProxyType({})):
    """Return a value for each parameter that is "auto", by name.

    Parameters
    ----------
    estimator : BaseNN
    data : Table
        What is known of the training rows, validation rows included.
    kept : mapping, optional
        Earlier values, which stand: those that a network to be continued was built with.
    """
    settings = estimator.get_params(deep=False)
    resolved = {}
    for name, rule in RULES.items():
        if _is_auto(settings[name]):
            value = kept[name] if name in kept else rule(estimator, settings, data)
            settings[name] = resolved[name] = value
    return resolved


def _is_auto(value):
    return isinstance(value, str) and value == "auto"


def bins_for(n_rows):
    """Return the number of bins of each number with a piecewise-linear embedding."""
    return int(np.clip(n_rows // ROWS_PER_BIN, FEWEST_BINS, MOST_BINS))


def _is_planned(settings):
    """Whether the learning rate falls to zero by plan, for which epochs are made to measure."""
    schedule = settings["learning_rate"]
    if isinstance(schedule, str):
        schedule = SCHEDULES.get(schedule)
    return settings["solver"] != "lbfgs" and getattr(schedule, "has_horizon", False)


def _batch_size(estimator, settings, data):
    if data.n_rows < SMALL:
        return data.n_rows
    return int(
        np.clip(data.n_rows // 25, SMALLEST_BATCH, max(200, min(data.n_rows // 250, 1000)))
    )


def _alpha(estimator, settings, data):
    if settings["solver"] == "lbfgs":
        return LBFGS_ALPHA
    return ALPHA_OF_FEW if data.n_rows < SMALL else PENALTY / data.n_rows


def _max_iter(estimator, settings, data):
    if not _is_planned(settings):
        return UNPLANNED_EPOCHS
    if data.n_rows < SMALL:
        return EPOCHS_OF_FEW
    updates = math.ceil(data.n_rows / settings["batch_size"])
    enough = min(math.ceil(MIN_UPDATES / updates), MOST_EPOCHS)
    most = max(FEWEST_EPOCHS, min(EPOCHS, ROW_VISITS // data.n_rows))
    return max(enough, most)


def _n_iter_no_change(estimator, settings, data):
    return np.inf if _is_planned(settings) else PATIENCE


def _early_stopping(estimator, settings, data):
    return data.n_rows >= SMALL


def _validation_fraction(estimator, settings, data):
    return VALIDATION_OF_FEW if data.n_rows < MANY else VALIDATION_OF_MANY


def _dropout(estimator, settings, data):
    return DROPOUT if data.n_rows >= SMALL and settings["solver"] != "lbfgs" else 0.0


def _numeric_embedding(estimator, settings, data):
    _, n_columns = data.X.shape
    unsuited = sparse.issparse(data.X) or n_columns > MOST_EMBEDDED
    if unsuited or data.n_rows < SMALL or settings["solver"] == "lbfgs":
        return None
    return "piecewise_linear" if estimator._numeric_y else "periodic"


def _n_members(estimator, settings, data):
    return 1 if estimator._numeric_y else 2


def _dtype(estimator, settings, data):
    small = data.n_rows < FLOAT32_ROWS and data.X.dtype == np.float64
    return "float64" if small or settings["solver"] == "lbfgs" else "float32"


#: In this order: a rule sees what those before it chose.
RULES = {
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
#: What shapes the network and its parameters, and so outlives a fit that goes on.
SHAPING = ("dropout", "numeric_embedding", "n_members", "dtype")
