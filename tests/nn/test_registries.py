"""Every registered rule is a small frozen value: equal, hashable, picklable, documented."""

import ast
import copy
import pickle
import re
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from sknet.nn.activations import ACTIVATIONS, INITIALIZERS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, NumericEmbedding
from sknet.nn.layers import Dense, Dropout
from sknet.nn.lbfgs import SOLVERS, is_stochastic
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.network import Network
from sknet.nn.objective import Objective
from sknet.nn.optimizers import OPTIMIZERS, Optimizer, Solver
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.sets import ElasticNet

BASES = {
    Activation: ACTIVATIONS,
    Loss: LOSSES,
    NumericEmbedding: NUMERIC_EMBEDDINGS,
    Optimizer: OPTIMIZERS,
    Solver: SOLVERS,
    Schedule: SCHEDULES,
}
REGISTERED = [
    pytest.param(base, cls, id=f"{base.__name__}-{name}")
    for base, registry in BASES.items()
    for name, cls in registry.items()
]


@pytest.mark.parametrize("base, cls", REGISTERED)
def test_is_documented_subclass(base, cls):
    assert issubclass(cls, base)
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")


@pytest.mark.parametrize("base, cls", REGISTERED)
def test_is_frozen_value(base, cls):
    rule = cls()
    for other in (cls(), copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert other == rule
        assert hash(other) == hash(rule)
    for field in fields(cls):
        with pytest.raises(FrozenInstanceError):
            setattr(rule, field.name, None)


@pytest.mark.parametrize(
    "rule, change",
    [
        (OPTIMIZERS["adam"](), {"beta_1": 0.5}),
        (OPTIMIZERS["sgd"](), {"nesterovs_momentum": False}),
        (ACTIVATIONS["leaky_relu"](), {"slope": 0.2}),
        (SCHEDULES["one_cycle"](), {"warm_up": 0.5}),
        (ElasticNet(1.0, 0.5), {"l1_ratio": 0.0}),
        (Dropout(0.5), {"rate": 0.25}),
    ],
)
def test_other_values_are_unequal(rule, change):
    assert replace(rule, **change) != rule


def documented_defaults(cls):
    """Return the defaults in a class's docstring, by name."""
    found = re.findall(r"^ *(\w+) : .*default=([\w.()-]+)$", cls.__doc__, re.MULTILINE)
    return {name: ast.literal_eval(value) for name, value in found}


@pytest.mark.parametrize("base, cls", REGISTERED)
def test_defaults_are_the_documented_ones(base, cls):
    documented = documented_defaults(cls)
    own = {field.name: field.default for field in fields(cls) if field.name in documented}
    assert own == documented
    if "Parameters" in cls.__doc__:
        assert documented


def test_rules_of_different_classes_are_unequal():
    rules = [
        cls() for registry in (ACTIVATIONS, LOSSES, SCHEDULES) for cls in registry.values()
    ]
    for i, rule in enumerate(rules):
        assert all(rule != other for other in rules[:i])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_has_initializer(name):
    assert ACTIVATIONS[name]().initializer in INITIALIZERS


def test_network_and_objective_are_frozen_values():
    dense = Dense(3, ACTIVATIONS["relu"]())
    network = Network((dense,), 2)
    objective = Objective(network, LOSSES["squared_error"](), ElasticNet())
    assert network.n_params == 9  # the cached layout must not take part in ==
    assert objective == Objective(Network((dense,), 2), LOSSES["squared_error"](), ElasticNet())
    assert network != Network((dense,), 3)
    assert pickle.loads(pickle.dumps(objective)) == objective
    with pytest.raises(FrozenInstanceError):
        objective.penalty.alpha = 1.0
    with pytest.raises(FrozenInstanceError):
        network.n_inputs = 5
    with pytest.raises(FrozenInstanceError):
        objective.loss = None


@pytest.mark.parametrize("name", SOLVERS)
def test_all_solvers_but_lbfgs_are_stochastic(name):
    assert is_stochastic(name) == is_stochastic(SOLVERS[name]()) == (name != "lbfgs")
    assert issubclass(SOLVERS[name], Optimizer) == is_stochastic(name)
