import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.activations import GELU, Identity, ReLU, Tanh
from sknet.nn.columns import Columns
from sknet.nn.embeddings import Periodic
from sknet.nn.ensembles import EnsembleHead, EnsembleInput
from sknet.nn.layers import Dense, Dropout, LayerNorm
from sknet.nn.network import MOST_LENGTHS, Network, Workspace
from sknet.nn.shares import rows_of_share

NETWORK = Network((Dense(4, ReLU()), Dropout(0.5), Dense(3, GELU()), Dense(2, Identity())), 5)


def test_widths_and_sizes():
    assert NETWORK.widths == [5, 4, 4, 3, 2]
    assert NETWORK.n_outputs == 2
    assert NETWORK.n_penalized == 5 * 4 + 4 * 3 + 3 * 2
    assert NETWORK.n_params == NETWORK.n_penalized + 4 + 3 + 2


def test_the_front_embeds_single_columns():
    """Each of its outputs comes from one input of the network; those of others mix them."""
    front = Columns((((0, 1), Periodic(3, 2)), ((2,), None)))
    network = Network((front, *NETWORK.layers), 3)
    assert (network.front, NETWORK.front, Network((front,), 3).front) == (1, 0, 1)
    counts = front.output_counts(3)
    assert counts[0] > 1
    assert_array_equal(network.origins, np.repeat([0, 1, 2], counts))
    assert_array_equal(NETWORK.origins, np.arange(5))


def test_penalized_parameters_come_first_without_gaps():
    slots = NETWORK.slots
    assert [slot.name for slot in slots] == ["weight"] * 3 + ["bias"] * 3
    assert [slot.layer for slot in slots] == [0, 2, 3] * 2
    edges = [0, *(slot.where.stop for slot in slots)]
    assert edges[:-1] == [slot.where.start for slot in slots]
    assert edges[-1] == NETWORK.n_params
    assert edges[3] == NETWORK.n_penalized


def test_views_write_through():
    vector = np.arange(float(NETWORK.n_params))
    views = NETWORK.views(vector)
    assert_array_equal(views[0].weight, np.arange(20).reshape(5, 4))
    assert_array_equal(views[3].bias, vector[-2:])
    assert vars(views[1]) == {}
    views[2].weight[...] = -1
    assert_array_equal(np.flatnonzero(vector == -1), np.arange(20, 32))
    # Each number of the vector is in exactly one view.
    vector[...] = 0
    for layer in views:
        for array in vars(layer).values():
            array += 1
    assert_array_equal(vector, 1)


def test_init_draws_from_the_generator_only():
    first, again = (NETWORK.init(np.random.default_rng(4)) for _ in range(2))
    assert_array_equal(first, again)
    assert (first != NETWORK.init(np.random.default_rng(5))).all()


def test_forward_is_the_composition():
    rng = np.random.default_rng(0)
    network = Network((Dense(4, Tanh()), Dropout(0.5), Dense(2, Identity())), 3)
    params, X = network.init(rng), rng.normal(size=(6, 3))
    first, _, last = network.views(params)
    hidden = np.tanh(X @ first.weight + first.bias)
    out = network.forward(params, X, Workspace(network, 6, np.float64))
    assert_allclose(out, hidden @ last.weight + last.bias, rtol=1e-13)


def test_training_draws_and_prediction_does_not():
    rng = np.random.default_rng(0)
    params, X = NETWORK.init(rng), rng.normal(size=(6, 5))
    workspace = Workspace(NETWORK, 6, np.float64)
    quiet = NETWORK.forward(params, X, workspace).copy()
    assert_array_equal(NETWORK.forward(params, X, workspace), quiet)
    assert (NETWORK.forward(params, X, workspace, rng) != quiet).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_workspace_for_batches_of_all_sizes(dtype):
    # The last batch of an epoch is smaller; nothing of an earlier one may stay.
    rng = np.random.default_rng(0)
    params = NETWORK.init(rng).astype(dtype)
    shared = Workspace(NETWORK, 12, dtype)
    for n_rows in (12, 5, 1, 5, 12):
        X = rng.normal(size=(n_rows, 5)).astype(dtype)
        results = []
        for workspace in (shared, Workspace(NETWORK, n_rows, dtype)):
            out = NETWORK.forward(params, X, workspace)
            assert out.shape == workspace.delta.shape == (n_rows, 2)
            workspace.delta[...] = np.cos(out)
            gradient = np.full_like(params, np.nan)
            NETWORK.backward(params, gradient, X, workspace)
            results.append((out.copy(), gradient))
        for actual, expected in zip(*results, strict=True):
            assert actual.dtype == dtype
            assert_array_equal(actual, expected)


def test_workspace_makes_no_arrays_after_the_first_epoch():
    workspace = Workspace(NETWORK, 12, np.float64)
    workspace.use_rows(5)
    first = workspace.buffers
    workspace.use_rows(12)
    workspace.use_rows(5)
    assert workspace.buffers is first
    # Short batches and long ones share their arrays.
    short = first[0]["a"]
    workspace.use_rows(12)
    assert np.shares_memory(short, workspace.buffers[0]["a"])


def test_the_gradient_of_the_inputs_takes_memory_only_if_asked_for():
    first, *others = Workspace(NETWORK, 3, np.float64).buffers
    wide_first, *wide_others = Workspace(NETWORK, 3, np.float64, input_gradient=True).buffers
    assert set(wide_first) - set(first) == {"delta"}
    assert wide_first["delta"].shape == (3, 5)
    assert [set(layer) for layer in wide_others] == [set(layer) for layer in others]


def test_the_declarations_of_a_layer_are_only_read(monkeypatch):
    declared = {"a": 3, "delta": 2}
    monkeypatch.setattr(Dropout, "buffers", lambda layer, n_inputs: declared)
    Workspace(Network((Dropout(0.5), Dense(1, Identity())), 2), 3, np.float64)
    assert declared == {"a": 3, "delta": 2}


class CountedByNumPy(Dense):
    """A user's layer whose number of outputs is an integer of NumPy."""

    def buffers(self, n_inputs):
        return {name: np.int64(width) for name, width in super().buffers(n_inputs).items()}


def test_the_width_of_a_work_array_may_be_any_integer():
    network = Network((CountedByNumPy(4, Tanh()), Dense(1, Identity())), 3)
    plain = Network((Dense(4, Tanh()), Dense(1, Identity())), 3)
    params, X = plain.init(np.random.default_rng(0)), np.ones((5, 3))
    found, expected = (
        one.forward(params, X, Workspace(one, 5, np.float64)) for one in (network, plain)
    )
    assert_array_equal(found, expected)
    assert rows_of_share(network, 10**6, False) == rows_of_share(plain, 10**6, False) < 10**6


def test_a_backward_pass_ends_at_the_first_layer_with_parameters():
    """No work array and no gradient is made below it, unless the caller asks for it."""
    network = Network((Dropout(0.2), Dense(4, Tanh()), Dense(1, Identity())), 3)
    params, X = network.init(np.random.default_rng(0)), np.ones((2, 3))
    found = []
    for wanted in (False, True):
        workspace = Workspace(network, 2, np.float64, input_gradient=wanted)
        assert ["delta" in one for one in workspace.buffers] == [False, wanted, True]
        network.forward(params, X, workspace, np.random.default_rng(1))
        workspace.delta.fill(1)
        found.append(np.empty_like(params))
        gradient = network.backward(params, found[-1], X, workspace)
        assert (gradient is not None) == wanted
    assert_array_equal(*found)
    assert gradient.shape == X.shape


def test_workspaces_share_nothing():
    # predict runs in several threads, each with a workspace.
    pair = Workspace(NETWORK, 3, np.float64), Workspace(NETWORK, 3, np.float64)
    arrays = [[w.delta, *(b for layer in w.buffers for b in layer.values())] for w in pair]
    assert len(arrays[0]) == 8
    assert not any(np.shares_memory(a, b) for a in arrays[0] for b in arrays[1])


def test_parameters_are_only_read():
    rng = np.random.default_rng(0)
    params, X = NETWORK.init(rng), rng.normal(size=(6, 5))
    params.flags.writeable = False
    workspace = Workspace(NETWORK, 6, np.float64)
    NETWORK.forward(params, X, workspace)
    workspace.delta[...] = 1
    gradient = np.empty_like(params)
    NETWORK.backward(params, gradient, X, workspace)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("cut", range(5))
def test_parts_one_after_another_are_the_network(cut):
    rng = np.random.default_rng(0)
    params, X = NETWORK.init(rng), rng.normal(size=(6, 5))
    workspace = Workspace(NETWORK, 6, np.float64, input_gradient=True)
    expected = NETWORK.forward(params, X, workspace).copy()
    delta = rng.normal(size=expected.shape)
    workspace.delta[...] = delta
    expected_delta = NETWORK.backward(params, None, X, workspace)
    rows, parts = X, []
    for start, stop in [(0, cut), (cut, None)]:
        part, copied = NETWORK.part(params, start, stop)
        workspace = Workspace(part, 6, np.float64, input_gradient=True)
        parts.append((part, copied, rows, workspace))
        rows = part.forward(copied, rows, workspace)
    assert_array_equal(rows, expected)
    for part, copied, rows, workspace in reversed(parts):
        workspace.delta[...] = delta
        delta = part.backward(copied, None, rows, workspace)
    assert_array_equal(delta, expected_delta)


@pytest.mark.parametrize("n_members", [1, 3])
def test_outputs_are_rescaled(n_members):
    """Each output of each member becomes raw factor + shift, and no other layer changes."""
    rng = np.random.default_rng(0)
    hidden, n_raw = Dense(4, Tanh()), 2
    output = Dense(n_members * n_raw, Identity())
    if n_members > 1:
        hidden, output = EnsembleInput(4, Tanh(), n_members), EnsembleHead(n_raw, n_members)
    network = Network((hidden, output), 5, n_members)
    params, X = network.init(rng), rng.normal(size=(6, 5))
    workspace = Workspace(network, 6, np.float64)
    before = network.forward(params, X, workspace).copy().reshape(6, n_members, n_raw)
    first = network.views(params.copy())[0]
    factor, shift = np.array([2.0, -0.3]), np.array([0.5, 7.0])
    network.rescale_outputs(params, factor, shift)
    after = network.forward(params, X, workspace).reshape(6, n_members, n_raw)
    assert_allclose(after, before * factor + shift, rtol=1e-13)
    for name, array in vars(network.views(params)[0]).items():
        assert_array_equal(array, getattr(first, name))


def test_ends_of_hidden_layers():
    """A hidden layer goes on to the next weight matrix, with its dropout and normalization."""
    layers = (Dense(4, Identity()), LayerNorm(ReLU()), Dropout(0.5), Dense(3, Tanh()))
    network = Network((*layers, Dropout(0.1), Dense(2, Identity())), 5)
    assert network.hidden_ends == [2, 4]
    assert NETWORK.hidden_ends == [1, 2]
    assert Network((Dense(2, Identity()),), 5).hidden_ends == []
    embedded = (Columns(((range(5), Periodic()),)), Dense(4, ReLU()), Dense(2, Identity()))
    assert Network(embedded, 5).hidden_ends == [1]


def test_views_are_remembered_for_two_vectors():
    """Parameters and gradient are the two; a new vector gets views of its own."""
    workspace = Workspace(NETWORK, 3, np.float64)
    params, gradient, other = (np.zeros(NETWORK.n_params) for _ in range(3))
    views = workspace.views(params), workspace.views(gradient)
    assert workspace.views(params) is views[0] and workspace.views(gradient) is views[1]
    assert np.shares_memory(workspace.views(other)[0].weight, other)
    assert np.shares_memory(workspace.views(params)[0].weight, params)
    assert len(workspace._views) <= 2


def test_batches_of_many_lengths_do_not_fill_the_memory():
    """The arrays of few lengths are kept, the whole one among them, and all are right."""
    workspace = Workspace(NETWORK, 50, np.float64)
    whole = workspace.buffers
    for n_rows in range(1, 50):
        workspace.use_rows(n_rows)
        assert len(workspace.buffers[0]["a"]) == len(workspace.delta) == n_rows
    assert len(workspace._cut) <= MOST_LENGTHS
    workspace.use_rows(50)
    assert workspace.buffers is whole
