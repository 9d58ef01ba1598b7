"""Every layer of the package keeps the contract of ``Layer``: the tests find it by themselves.

A layer is built from its fields: a new field name needs an entry in ``VALUES``.
"""

import importlib
import inspect
import pkgutil
import tracemalloc
from dataclasses import MISSING, FrozenInstanceError, fields, replace
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import sknet.nn
from sknet.nn.activations import GELU, Identity, Tanh
from sknet.nn.columns import Columns, Embedding
from sknet.nn.embeddings import MappedPiecewiseLinear, Periodic, RisingPiecewiseLinear
from sknet.nn.ensembles import EnsembleHead
from sknet.nn.groups import PairwiseHead
from sknet.nn.layers import Dense, Layer
from sknet.nn.network import Network, Workspace

N_ROWS, N_COLUMNS = 7, 6
EDGES = ((-1.0, 0.0, 2.0, 2.0), (-2.0, -0.5, 0.5, 3.0)) * (N_COLUMNS // 2)
LEVELS = ((6, 7), None), ((8,), Embedding(3, 2)), ((9,), Embedding(5, 4))
RISING = RisingPiecewiseLinear(EDGES, 3, (1, 0, -1, 0, 0, 1))
TWO_KINDS = Columns(
    (((1, 2, 4), Periodic(5, 3)), ((0, 3, 5), MappedPiecewiseLinear(EDGES[:3], 2)))
)
NUMERIC = (Periodic(5, 3), MappedPiecewiseLinear(EDGES, 3), None, RISING, TWO_KINDS)
LINEAR = Dense(4, Identity())
PAIRS = PairwiseHead(2, 2, n_groups=3, n_factors=2)
#: The values of each field that are tested, by name.
VALUES = {
    "n_units": [4, 1, 2],
    "activation": [Tanh(), GELU()],  # one work array for z and a, and two
    "rate": [0.3],
    "n_members": [2, 1, 6],  # with one member, and with members of one input each
    "n_groups": [1, 3],
    "n_factors": [2],
    # Of different sizes; with columns that are in several groups, and in none.
    "groups": [((0, 4), (1,), (3, 2, 5)), ((0, 2), (5,), (2, 0, 3))],
    "n_levels": [4],
    "size": [3],
    "n_frequencies": [5],
    "edges": [EDGES],
    "center": [(0.5, -1.0, 2.0)],
    "directions": [((1.0, 2.0), (-0.5, 0.0), (0.25, -3.0))],
    "low": [(-2.0, -9.0)],  # most rows are within the limits, and some are outside
    "high": [(9.0, 3.0)],
    "columns": [(0, 2, 4), (0, 1, 5)],
    "parts": [((range(N_COLUMNS), layer), *LEVELS) for layer in NUMERIC] + [TWO_KINDS.parts],
    "signs": [(), RISING.signs],
    "n_constants": [3],
}
#: The values of fields whose name means something else in one class.
VALUES_OF_CLASS = {
    # Columns with several inputs, which need not lie side by side.
    "ColumnScales": {"columns": [(0, 1, 2, 3, 4, 5), (2, 0, 0, 1, 2, 0)]},
    "WithConstants": {"n_members": [2], "head": [EnsembleHead(1, 2), PAIRS, LINEAR]},
    # A sign for each group; linear factors, rectified and reflected ones, or no linear ones.
    "MonotonePairwiseHead": {
        "n_groups": [3],
        "signs": [(1, 0, 0), (1, 1, 1)],
        "n_factors": [4],
        "n_free": [2, 0],
    },
}


def concrete_subclasses(cls):
    """Return all classes of the package that are derived from a class and not abstract."""
    for module in pkgutil.iter_modules(sknet.nn.__path__, "sknet.nn."):
        importlib.import_module(module.name)
    found = {cls}
    while more := {sub for one in found for sub in one.__subclasses__()} - found:
        found |= more
    concrete = {one for one in found if not inspect.isabstract(one)}
    return sorted(
        (one for one in concrete if one.__module__.startswith("sknet.")),
        key=lambda one: one.__name__,
    )


def layers_of(cls):
    """Return instances of a class for all combinations of the values of its fields."""
    names = [f.name for f in fields(cls) if f.name in VALUES or f.default is MISSING]
    values = {**VALUES, **VALUES_OF_CLASS.get(cls.__name__, {})}
    choices = product(*(values[name] for name in names))
    layers = [cls(**dict(zip(names, choice, strict=True))) for choice in choices]
    # The columns of a row are divided among the groups of all members.
    return [one for one in layers if N_COLUMNS % getattr(one, "n_all", 1) == 0]


every_class = pytest.mark.parametrize("cls", concrete_subclasses(Layer))
LAYERS = [layer for cls in concrete_subclasses(Layer) for layer in layers_of(cls)]
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda one: type(one).__name__)
in_training_and_prediction = pytest.mark.parametrize("seed", [None, 5])


def inputs_of(layer, rng):
    """Return random inputs of a layer, and which of their columns are numbers."""
    if isinstance(layer, Embedding):
        # The number n_levels stands for no level.
        levels = np.append(rng.integers(layer.n_levels, size=N_ROWS - 1), layer.n_levels)
        return levels[:, np.newaxis].astype(float), [False]
    if isinstance(layer, Columns):
        n_columns = sum(len(columns) for columns, _ in layer.parts)
        X, are_numbers = np.empty((N_ROWS, n_columns)), np.empty(n_columns, bool)
        for columns, inner in layer.parts:
            x, kinds = inputs_of(inner, rng)
            X[:, list(columns)] = x[:, : len(columns)]
            are_numbers[list(columns)] = kinds[: len(columns)]
        return X, are_numbers.tolist()
    return rng.normal(size=(N_ROWS, N_COLUMNS)), [True] * N_COLUMNS


class Problem:
    """A layer below a linear one, with a random gradient of the raw predictions."""

    def __init__(self, layer, seed=None, dtype=np.float64):
        rng = np.random.default_rng(0)
        self.seed = seed
        self.X, self.is_number = inputs_of(layer, rng)
        self.X = self.X.astype(dtype)
        self.network = Network((layer, Dense(2, Identity())), self.X.shape[1])
        params = self.network.init(rng)
        self.params = (params + rng.normal(scale=0.1, size=params.size)).astype(dtype)
        self.direction = rng.normal(size=(N_ROWS, 2)).astype(dtype)

    def workspace(self, input_gradient):
        return Workspace(self.network, N_ROWS, self.params.dtype, input_gradient)

    def value(self, params, X, workspace):
        """Return the sum of the raw predictions times the direction."""
        rng = None if self.seed is None else np.random.default_rng(self.seed)
        raw = self.network.forward(params, X, workspace, rng)
        workspace.delta[...] = self.direction
        return float((raw * self.direction).sum())

    def gradients(self, *, of_params, of_inputs):
        """Return the gradients of parameters and inputs; None is not asked for."""
        workspace = self.workspace(of_inputs)
        X = self.X.copy()
        self.value(self.params, X, workspace)
        gradient = np.full_like(self.params, np.nan) if of_params else None
        return gradient, self.network.backward(self.params, gradient, X, workspace)


@every_class
def test_a_layer_is_documented_and_its_fields_have_values(cls):
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")
    assert layers_of(cls)


@every_layer
def test_a_layer_is_a_frozen_value(layer):
    """Networks are compared and cached by their layers, so that nobody may change one."""
    assert layer == replace(layer) and hash(layer) == hash(replace(layer))
    for field in fields(layer):
        with pytest.raises(FrozenInstanceError):
            setattr(layer, field.name, None)
    for parameter in layer.parameters(N_COLUMNS).values():
        with pytest.raises(FrozenInstanceError):
            parameter.shape = ()


@every_layer
def test_declared_shapes_are_those_of_the_arrays(layer):
    problem = Problem(layer)
    workspace = problem.workspace(input_gradient=True)
    problem.value(problem.params, problem.X.copy(), workspace)
    n_inputs = problem.X.shape[1]
    assert workspace.outputs[0].shape == (N_ROWS, layer.n_outputs(n_inputs))
    slots = [slot for slot in problem.network.slots if slot.layer == 0]
    shapes = {slot.name: slot.of(problem.params).shape for slot in slots}
    declared = layer.parameters(n_inputs)
    assert shapes == {k: p.shape for k, p in declared.items()}


@every_layer
@in_training_and_prediction
def test_gradients_agree_with_differences(layer, seed, numeric_gradient):
    problem = Problem(layer, seed)
    gradient, inputs = problem.gradients(of_params=True, of_inputs=True)
    workspace = problem.workspace(input_gradient=False)
    of_params = numeric_gradient(
        lambda at: problem.value(at, problem.X.copy(), workspace), problem.params
    )
    of_inputs = numeric_gradient(
        lambda at: problem.value(problem.params, at, workspace), problem.X
    )
    assert_allclose(gradient, of_params, rtol=1e-6, atol=1e-7)
    numbers = np.array(problem.is_number)
    assert_allclose(inputs[:, numbers], of_inputs[:, numbers], rtol=1e-6, atol=1e-7)
    # A level number has no derivative.
    assert_array_equal(inputs[:, ~numbers], 0)
    # A gradient that is zero throughout would agree with a layer that ignores its inputs.
    assert gradient.any() and inputs.any() == numbers.any()


@every_layer
@in_training_and_prediction
def test_gradients_are_equal_alone_and_together(layer, seed):
    problem = Problem(layer, seed)
    gradient, inputs = problem.gradients(of_params=True, of_inputs=True)
    alone, none = problem.gradients(of_params=True, of_inputs=False)
    assert none is None
    assert_array_equal(alone, gradient)
    assert_array_equal(problem.gradients(of_params=False, of_inputs=True)[1], inputs)


@pytest.mark.parametrize("layer", LAYERS)
@in_training_and_prediction
def test_inputs_and_parameters_are_only_read(layer, seed):
    # The first layer sees rows of the user's data, maybe a read-only memory map.
    problem = Problem(layer, seed)
    problem.X.flags.writeable = problem.params.flags.writeable = False
    workspace = problem.workspace(input_gradient=True)
    problem.value(problem.params, problem.X, workspace)
    gradient = np.empty_like(problem.params)
    problem.network.backward(problem.params, gradient, problem.X, workspace)


@every_layer
def test_float32_stays_float32(layer):
    # NumPy makes float64 of float32 times a NumPy scalar of float64.
    problem, exact = Problem(layer, seed=5, dtype=np.float32), Problem(layer, seed=5)
    if "rate" in {field.name for field in fields(layer)}:
        # Masks of the two dtypes differ.
        problem.seed = exact.seed = None
    gradient, inputs = problem.gradients(of_params=True, of_inputs=True)
    assert gradient.dtype == inputs.dtype == np.float32
    for narrow, wide in zip(
        (gradient, inputs), exact.gradients(of_params=True, of_inputs=True), strict=True
    ):
        assert_allclose(narrow, wide, rtol=1e-3, atol=1e-4)


def bytes_of_arrays():
    """Return the size of all NumPy arrays that were made since tracing began and still live."""
    of_numpy = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([of_numpy]).traces
    return sum(trace.size for trace in traces)


@every_layer
def test_no_array_outlives_its_step(layer):
    problem = Problem(layer, seed=5)
    workspace = problem.workspace(input_gradient=True)
    gradient = np.empty_like(problem.params)

    def steps(n_steps):
        for n_rows in [N_ROWS, N_ROWS - 2] * n_steps:
            X = problem.X[:n_rows].copy()
            problem.network.forward(problem.params, X, workspace, np.random.default_rng(0))
            workspace.delta[...] = 1
            problem.network.backward(problem.params, gradient, X, workspace)
        workspace.outputs[:] = [None] * 2  # the outputs of the last step may be no work arrays
        return bytes_of_arrays()

    tracemalloc.start()
    try:
        assert steps(2) == steps(5)
    finally:
        tracemalloc.stop()


def test_a_layer_that_forgets_its_gradients_says_so():
    class Half(Layer):
        def forward(self, params, x, buffers, rng=None):
            return x

    with pytest.raises(TypeError, match="backward_inputs"):
        Half()

    class Forgetful(Dense):
        backward_params = Layer.backward_params

    problem = Problem(Forgetful(3, Tanh()))
    with pytest.raises(NotImplementedError, match="Forgetful has parameters"):
        problem.gradients(of_params=True, of_inputs=False)
