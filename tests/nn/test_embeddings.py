import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import NNClassifier, NNRegressor
from sknet.nn.activations import Identity
from sknet.nn.columns import Columns, Embedding
from sknet.nn.embeddings import (
    NUMERIC_EMBEDDINGS,
    MappedPiecewiseLinear,
    Periodic,
    RisingPiecewiseLinear,
    of_equal_length,
)
from sknet.nn.layers import Dense
from sknet.nn.network import Network, Workspace

EDGES = ((-1.0, 0.0, 2.0), (0.0, 1.0), (-2.0, -0.5, 0.5, 3.0))
NUMERIC = {
    "periodic": Periodic(n_frequencies=5, size=3),
    "piecewise_linear": MappedPiecewiseLinear(of_equal_length(EDGES), size=3),
}
#: For each name, an instance with another number of outputs than by default.
OTHER_OPTIONS = {
    "periodic": Periodic(size=7),
    "piecewise_linear": MappedPiecewiseLinear(size=7),
}


def run(layer, X, params=None):
    """Return the outputs of a single layer, and its views of the parameters."""
    network = Network((layer, Dense(1, Identity())), X.shape[1])
    if params is None:
        params = network.init(np.random.default_rng(0))
    workspace = Workspace(network, X.shape[0], np.float64)
    network.forward(params, X, workspace)
    return workspace.outputs[0], network.views(params)[0]


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


def features_of_bins(x, edges):
    """Return the feature of each bin: 0 below it, 1 above it, and linear inside."""
    low, high = np.array(edges[:-1]), np.array(edges[1:])
    # The first bin goes on below, and the last one above, by one width.
    least, most = np.zeros(low.size), np.ones(low.size)
    least[0], most[-1] = -1, 2
    return np.clip((x[:, np.newaxis] - low) / (high - low), least, most)


def test_mapped_piecewise_linear_formula():
    layer = NUMERIC["piecewise_linear"]
    X = np.random.default_rng(0).normal(0, 3, size=(40, 3))
    out, views = run(layer, X)
    assert out.shape == (40, 3 * 3)
    for j, edges in enumerate(EDGES):
        reach = features_of_bins(X[:, j], edges)
        assert {-1, 2} <= set(reach.ravel())
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
    layer = Columns((((0, 1), NUMERIC["periodic"]), ((2,), None), ((3,), Embedding(3, 2))))
    out, _ = run(layer, X)
    network = Network((layer, Dense(1, Identity())), 4)
    params = network.init(np.random.default_rng(0))
    parts = vars(network.views(params)[0])
    assert out.shape == (6, 6 + 1 + 2)
    assert_array_equal(out[:, [0, 3]], X[:, :2])
    assert_array_equal(out[:, 6], X[:, 2])
    assert_array_equal(out[:, 7:], parts["2"].table[X[:, 3].astype(int)])
    # None of these is a weight matrix of the penalty.
    assert network.n_penalized == 9


def test_output_counts_say_which_column_an_output_stems_from():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(1, 4)), [[0]]])
    layer = Columns((((0, 1), NUMERIC["periodic"]), ((2, 3), None), ((4,), Embedding(3, 2))))
    sources = np.repeat(np.arange(5), layer.output_counts(5))
    before, _ = run(layer, X)
    for j in range(5):
        moved = X.copy()
        moved[0, j] += 1
        after, _ = run(layer, moved)
        assert_array_equal(np.flatnonzero(after[0] != before[0]), np.flatnonzero(sources == j))


def test_only_bins_come_from_the_data():
    edges = (0.0, 0.5, 1.0), (0.0, 1.0, 2.0, 3.0)
    mapped = MappedPiecewiseLinear(size=5).with_bins(edges)
    assert mapped == MappedPiecewiseLinear(of_equal_length(edges), size=5)
    assert Periodic(3).with_bins(edges) == Periodic(3)


def test_a_column_with_a_single_bin_passes_on_unchanged():
    edges = (0.0, 1.0), (0.0, 1.0, 2.0), (-1.0, 3.0)
    layer = MappedPiecewiseLinear(size=5).with_bins(edges)
    assert layer.output_counts(3) == [1, 5, 1]
    X = np.random.default_rng(0).normal(size=(7, 3))
    outputs, _ = run(layer, X)
    assert_array_equal(outputs[:, [0, 1, 6]], X)
    only = MappedPiecewiseLinear(size=5).with_bins(edges[::2])
    assert_array_equal(run(only, X[:, ::2])[0], X[:, ::2])
    # A layer that shall rise with each column keeps its outputs for all of them.
    assert (
        MappedPiecewiseLinear(size=5).constrained((1, 1, 0), edges).output_counts(3) == [5] * 3
    )


def test_bins_that_are_given_stay():
    given = MappedPiecewiseLinear(((-1.0, 1.0), (-1.0, 1.0)))
    assert given.with_bins(((0.0, 1.0), (0.0, 2.0))) == given
    with pytest.raises(ValueError, match="edges of MappedPie.* must have length 1.*length 2"):
        given.with_bins(((0.0, 1.0),))


def test_members_with_their_own_copies_of_the_columns_need_their_own_bins():
    rng = np.random.default_rng(0)
    X, given = rng.normal(size=(60, 3)), MappedPiecewiseLinear(((-1.0, 0.0, 1.0),) * 3)
    options = {"numeric_embedding": given, "n_members": 2, "max_iter": 1}
    with pytest.raises(ValueError, match="length 6, .* or for each copy of it.*got length 3"):
        NNRegressor(share_weights=False, **options).fit(X, X[:, 0])
    given = MappedPiecewiseLinear(given.edges * 2)
    options["learning_rate"] = "cosine"
    NNRegressor(share_weights=False, **{**options, "numeric_embedding": given}).fit(X, X[:, 0])


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
@pytest.mark.parametrize("name", NUMERIC_EMBEDDINGS)
def test_an_instance_can_take_the_place_of_a_name(name, cls):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(2, size=60)
    options = {"max_iter": 2, "learning_rate": "cosine", "random_state": 0}
    by_name = cls((4,), numeric_embedding=name, **options).fit(X, y)
    instance = cls((4,), numeric_embedding=NUMERIC_EMBEDDINGS[name](), **options).fit(X, y)
    assert_array_equal(instance.predict(X), by_name.predict(X))
    other = OTHER_OPTIONS[name]
    wide = cls((4,), numeric_embedding=other, **options).fit(X, y)
    assert wide.coefs_[0].shape == (other.n_outputs(3), 4) != by_name.coefs_[0].shape


# Columns with monotonic constraints.

UNEQUAL = of_equal_length(EDGES)


def test_rising_bins_are_the_mapped_bins():
    """The formula is the same; only the order of its operations differs."""
    X = np.random.default_rng(0).normal(0, 3, size=(200, 3))
    network = Network((MappedPiecewiseLinear(UNEQUAL, 4), Dense(1, Identity())), 3)
    params = network.init(np.random.default_rng(0))
    expected, _ = run(MappedPiecewiseLinear(UNEQUAL, 4), X, params)
    out, _ = run(RisingPiecewiseLinear(UNEQUAL, 4, (1, 0, -1)), X, params)
    assert_allclose(out, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rising_outputs_never_fall_after_rounding(dtype):
    """At edges, beside them and beyond the last ones, for neighboring numbers."""
    rng = np.random.default_rng(0)
    edges = (tuple(np.sort(rng.normal(size=9)).tolist()), (0.1, 0.2, 0.3, 0.7, 0.7, *[0.7] * 4))
    network = Network((RisingPiecewiseLinear(edges, 5), Dense(1, Identity())), 2)
    params = network.init(rng).astype(dtype)
    at_edges = np.array(edges).T.astype(dtype)
    x = np.vstack([rng.normal(size=(20_000, 2)), at_edges, at_edges * 1e6]).astype(dtype)
    # Before an edge, at it, and after it.
    ordered = [np.nextafter(x, dtype(-np.inf)), x, np.nextafter(x, dtype(np.inf)), x + 1]
    outputs = []
    for rows in ordered:
        workspace = Workspace(network, len(rows), dtype)
        network.forward(params, rows, workspace)
        outputs.append(workspace.outputs[0].copy())
    for low, high in zip(outputs, outputs[1:], strict=False):
        assert (high >= low).all()
    assert (outputs[3] > outputs[0]).any(axis=0).all()


def test_rising_outputs_start_different_and_of_a_common_size():
    _, views = run(RisingPiecewiseLinear(UNEQUAL, 6, (1, 0, 1)), np.zeros((1, 3)))
    assert_allclose(views.map[[0, 2]].sum(axis=1), 3, rtol=1e-12)
    assert (views.map[[0, 2]] >= 0).all() and (views.map[1] < 0).any()
    assert np.ptp(views.map[0], axis=1).min() > 0


@pytest.mark.parametrize("numeric", NUMERIC.values(), ids=repr)
def test_constrained_columns_of_any_embedding_rise(numeric):
    layer = numeric.constrained((1, 0, -1), UNEQUAL)
    X = np.random.default_rng(0).normal(0, 2, size=(500, 3))
    counts, start = layer.output_counts(3), 0
    before, _ = run(layer, X)
    assert before.shape[1] == sum(counts) == layer.n_outputs(3)
    for j in range(3):
        moved = X.copy()
        moved[:, j] += 0.3
        rise = run(layer, moved)[0] - before
        own = slice(start, start + counts[j])
        start += counts[j]
        assert not np.delete(rise, own, axis=1).any()
        assert (rise[:, own] > 0).any()
        assert j == 1 or (rise[:, own] >= 0).all()


def test_scattered_columns_pass_through_their_own_layers():
    X = np.random.default_rng(0).normal(size=(6, 3))
    periodic, bins = Periodic(5, 3), MappedPiecewiseLinear(EDGES[1:2], 2)
    out, views = run(Columns((((2, 0), periodic), ((1,), bins))), X)
    of_bins = vars(views)["1"]
    mapped = features_of_bins(X[:, 1], EDGES[1]) @ of_bins.map[0] + of_bins.offset[0]
    assert out.shape == (6, 8)
    assert_array_equal(out[:, [0, 3, 5]], X)
    assert_allclose(out[:, 4:5], mapped, rtol=1e-12)
    for place, column, start in ((0, 2, 5), (1, 0, 0)):
        of_layer = vars(views)["0"]
        angle = np.outer(X[:, column], of_layer.frequency[place]) + of_layer.phase[place]
        expected = np.cos(2 * np.pi * angle) @ of_layer.map[place] + of_layer.offset[place]
        assert_allclose(out[:, start + 1 : start + 3], expected, rtol=1e-10, atol=1e-12)


def test_columns_that_are_all_constrained_have_one_layer():
    layer = Periodic(5, 3).constrained((1, -1), EDGES[:2])
    assert layer == RisingPiecewiseLinear(of_equal_length(EDGES[:2]), 3)


def test_edges_that_are_given_are_those_of_each_column():
    """A user's edges of all columns are divided among the two kinds of columns."""
    given = MappedPiecewiseLinear(UNEQUAL, 3)
    assert given.constrained((0, 1, 0), EDGES) == RisingPiecewiseLinear(UNEQUAL, 3, (0, 1, 0))
    assert given.of_columns((2, 0)).edges == (UNEQUAL[2], UNEQUAL[0])
