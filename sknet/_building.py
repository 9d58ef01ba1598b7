"""From constructor parameters to layers, optimizer, schedule and penalty."""

from dataclasses import fields

import numpy as np
from sklearn.utils import check_random_state

from sknet._validation import hidden_layer_sizes, per_layer
from sknet.nn.activations import ACTIVATIONS, Identity
from sknet.nn.layers import Dense, Dropout
from sknet.nn.losses import LOSSES
from sknet.nn.network import Network
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.penalties import ElasticNet
from sknet.nn.schedules import SCHEDULES
from sknet.nn.training import Stopping, UpdateRule

#: Training rows of float64 from which the network computes in float32.
FLOAT32_ROWS = 1000


def make_network(estimator, n_inputs, n_outputs):
    """Return hidden layers, each with its dropout, and a linear output layer."""
    layers = []
    for size, activation, dropout in zip(
        hidden_layer_sizes(estimator),
        per_layer(estimator, "activation"),
        per_layer(estimator, "dropout"),
        strict=True,
    ):
        layers.append(Dense(int(size), _instance(activation, ACTIVATIONS, estimator)))
        if dropout:
            layers.append(Dropout(dropout))
    return Network((*layers, Dense(n_outputs, Identity())), n_inputs)


def make_loss(estimator, name=None):
    """Return the estimator's loss; ``name`` is the registered one if not its parameter."""
    given = estimator.loss
    return _instance(name or given if isinstance(given, str) else given, LOSSES, estimator)


def make_optimizer_and_penalty(estimator):
    """Return the optimizer (None for lbfgs) and the penalty that is left to the objective."""
    penalty = ElasticNet(float(estimator.alpha), float(estimator.l1_ratio))
    if estimator.solver == "lbfgs":
        return None, penalty
    return _instance(estimator.solver, OPTIMIZERS, estimator).decouple(penalty)


def make_update_rule(estimator, optimizer, *, horizon=True):
    """Return the update rule; without ``horizon``, schedules that need one are constant."""
    adaptive = estimator.learning_rate == "adaptive"
    name = "constant" if adaptive else estimator.learning_rate
    schedule = _instance(name, SCHEDULES, estimator)
    if schedule.has_horizon and not horizon:
        schedule = SCHEDULES["constant"]()
    return UpdateRule(optimizer, schedule, float(estimator.learning_rate_init), adaptive)


def make_stopping(estimator):
    """Return when to stop."""
    return Stopping(estimator.max_iter, float(estimator.tol), estimator.n_iter_no_change)


def choose_dtype(estimator, data):
    """Return the dtype to compute in, given the training data."""
    if estimator.dtype != "auto":
        return np.dtype(estimator.dtype)
    small = data.X.shape[0] < FLOAT32_ROWS and data.X.dtype == np.float64
    return np.dtype(np.float64 if small or estimator.solver == "lbfgs" else np.float32)


def random_streams(random_state):
    """Return independent generators by purpose.

    One purpose's draws, whose number may depend on the rows, do not shift another's.
    """
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    purposes = ["tables", "init", "split", "shuffle", "noise"]
    return dict(zip(purposes, np.random.default_rng(seed).spawn(len(purposes)), strict=True))


def _instance(value, registry, estimator):
    """Return ``value``, or the registered class of that name with the estimator's values.

    A field of the class takes the value of the estimator's parameter of the same name.
    """
    if not isinstance(value, str):
        return value
    cls = registry[value]
    names = [field.name for field in fields(cls) if hasattr(estimator, field.name)]
    return cls(**{name: getattr(estimator, name) for name in names})
