import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.activations import Identity
from sknet.nn.embeddings import (
    NUMERIC_EMBEDDINGS,
    Columns,
    Embedding,
    MappedPiecewiseLinear,
    Periodic,
    PiecewiseLinear,
    of_equal_length,
)
from sknet.nn.layers import Dense
from sknet.nn.network import Network, Workspace

EDGES = ((-1.0, 0.0, 2.0), (0.0, 1.0), (-2.0, -0.5, 0.5, 3.0))
NUMERIC = {
    "periodic": Periodic(n_frequencies=5, size=3),
    "piecewise_linear": MappedPiecewiseLinear(of_equal_length(EDGES), size=3),
}


def run(layer, X, params=None):
    """Return the outputs of a single layer, and its views of the parameters."""
    network = Network((layer, Dense(1, Identity())), X.shape[1])
    if params is None:
        params = network.init(np.random.default_rng(0))
    workspace = Workspace(network, X.shape[0], np.float64)
    network.forward(params, X, workspace)
    return workspace.outputs[0], network.views(params)[0]


@pytest.fixture
def assert_gradients(numeric_gradient):
    """Check the gradients of parameters and numeric inputs of a layer under a dense one."""

    def check(layer, X, numeric_columns):
        rng = np.random.default_rng(1)
        network = Network((layer, Dense(2, Identity())), X.shape[1])
        params = network.init(rng)
        weights = rng.normal(size=(X.shape[0], 2))
        results = []
        for input_gradient in (False, True):
            workspace = Workspace(network, X.shape[0], np.float64, input_gradient)

            def value(params, X, workspace=workspace):
                return float((network.forward(params, X, workspace) * weights).sum())

            expected = numeric_gradient(lambda at: value(at, X), params)
            value(params, X)
            workspace.delta[...] = weights
            gradient = np.full_like(params, np.nan)
            inputs = network.backward(params, gradient, X, workspace)
            assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)
            results.append(inputs if inputs is None else inputs.copy())
            if input_gradient:
                value(params, X)
                workspace.delta[...] = weights
                alone = network.backward(params, None, X, workspace)
                assert_array_equal(alone, inputs)
        assert results[0] is None
        expected = numeric_gradient(lambda at: value(params, at), X)
        numbers = np.arange(X.shape[1]) < numeric_columns
        assert_allclose(results[1][:, numbers], expected[:, numbers], rtol=1e-6, atol=1e-7)
        assert_array_equal(results[1][:, ~numbers], 0)

    return check


@pytest.mark.parametrize("name", NUMERIC_EMBEDDINGS)
def test_numeric_gradients(name, assert_gradients):
    layer = NUMERIC[name]
    assert isinstance(layer, NUMERIC_EMBEDDINGS[name])
    assert_gradients(layer, np.random.default_rng(0).normal(size=(8, 3)), 3)


def test_piecewise_linear_gradients(assert_gradients):
    assert_gradients(PiecewiseLinear(EDGES), np.random.default_rng(0).normal(size=(8, 3)), 3)


def test_embedding_gradients(assert_gradients):
    # Level 4 is none of the levels: its vector depends on them all.
    assert_gradients(Embedding(4, 3), np.array([[0.0], [2], [4], [0], [3], [4]]), 0)


@pytest.mark.parametrize("numeric", [*NUMERIC.values(), None], ids=[*NUMERIC, "none"])
def test_columns_gradients(numeric, assert_gradients):
    rng = np.random.default_rng(0)
    levels = np.column_stack([rng.integers(0, 4, 8), rng.integers(0, 6, 8)])
    X = np.hstack([rng.normal(size=(8, 5)), levels])
    parts = (3, numeric), (2, None), (1, Embedding(3, 2)), (1, Embedding(5, 4))
    assert_gradients(Columns(parts), X, 5)


def test_embedding_is_a_table():
    out, views = run(Embedding(3, 2), np.array([[2.0], [0], [3], [2]]))
    table = views.table
    assert_array_equal(out, [table[2], table[0], table.mean(axis=0), table[2]])


def test_periodic_formula():
    layer = NUMERIC["periodic"]
    X = np.random.default_rng(0).normal(size=(6, 2))
    out, views = run(layer, X)
    assert out.shape == (6, 6)
    for j in range(2):
        wave = np.cos(2 * np.pi * (np.outer(X[:, j], views.frequency[j]) + views.phase[j]))
        expected = np.column_stack([X[:, j], wave @ views.map[j] + views.offset[j]])
        assert_allclose(out[:, 3 * j : 3 * j + 3], expected, rtol=1e-12)


def test_piecewise_linear_formula():
    x = np.array([-5.0, -1, -0.25, 0, 1, 2, 4])
    out, _ = run(PiecewiseLinear(((-1.0, 0.0, 2.0),)), x[:, np.newaxis])
    # The first bin goes on below, and the last one above, by one width.
    first = [-1, 0, 0.75, 1, 1, 1, 1]
    last = [0, 0, 0, 0, 0.5, 1, 2]
    assert_allclose(out, np.column_stack([first, last]), rtol=1e-14)


def test_piecewise_linear_of_one_bin_is_linear_for_three_widths():
    x = np.linspace(-3, 3, 9)[:, np.newaxis]
    out, _ = run(PiecewiseLinear(((-1.0, 1.0),)), x)
    assert_allclose(out, (x + 1) / 2, rtol=1e-14)


def test_empty_bins_stay_zero():
    x = np.array([[-5.0], [0.5], [1], [3]])
    out, _ = run(PiecewiseLinear(((0.0, 1.0, 1.0, 1.0),)), x)
    alone, _ = run(PiecewiseLinear(((0.0, 1.0),)), x)
    assert_array_equal(out, np.hstack([alone, np.zeros((4, 2))]))


def test_mapped_piecewise_linear_formula():
    layer = NUMERIC["piecewise_linear"]
    X = np.random.default_rng(0).normal(size=(6, 3))
    out, views = run(layer, X)
    assert out.shape == (6, 3 * 3)
    for j, edges in enumerate(EDGES):
        reach, _ = run(PiecewiseLinear((edges,)), X[:, [j]])
        # Columns with fewer bins than the others have no use for the last rows of the map.
        mapped = reach @ views.map[j, : len(edges) - 1] + views.offset[j]
        expected = np.column_stack([X[:, j], mapped])
        assert_allclose(out[:, 3 * j : 3 * j + 3], expected, rtol=1e-12)


def test_edges_of_equal_length():
    assert of_equal_length(((0.0, 1.0), (0.0, 1.0, 2.0))) == ((0.0, 1.0, 1.0), (0.0, 1.0, 2.0))
    assert of_equal_length(()) == ()


def test_columns_go_side_by_side():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(6, 3)), rng.integers(0, 3, (6, 1))])
    layer = Columns(((2, NUMERIC["periodic"]), (1, None), (1, Embedding(3, 2))))
    out, _ = run(layer, X)
    network = Network((layer, Dense(1, Identity())), 4)
    params = network.init(np.random.default_rng(0))
    parts = vars(network.views(params)[0])
    assert out.shape == (6, 6 + 1 + 2)
    assert_array_equal(out[:, [0, 3]], X[:, :2])
    assert_array_equal(out[:, 6], X[:, 2])
    assert_array_equal(out[:, 7:], parts["2.table"][X[:, 3].astype(int)])
    # None of these is a weight matrix of the penalty.
    assert network.n_penalized == 9


def test_output_counts_say_which_column_an_output_stems_from():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(1, 4)), [[0]]])
    layer = Columns(((2, NUMERIC["periodic"]), (2, None), (1, Embedding(3, 2))))
    sources = np.repeat(np.arange(5), layer.output_counts(5))
    before, _ = run(layer, X)
    for j in range(5):
        moved = X.copy()
        moved[0, j] += 1
        after, _ = run(layer, moved)
        assert_array_equal(np.flatnonzero(after[0] != before[0]), np.flatnonzero(sources == j))
