"""A learned scale for each column, by which its inputs are multiplied."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from test_auto import resolved

from sknet import NNClassifier, NNRegressor
from sknet.nn.columns import RATE_OF_SCALES, ColumnScales
from sknet.nn.optimizers import Adam

SEPARATE = {"share_weights": False, "n_members": 3}


def table(n_rows=300, n_useless=30, seed=0):
    """Return numbers of which two determine y."""
    X = np.random.default_rng(seed).normal(size=(n_rows, 2 + n_useless))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] ** 2


def layer_of(network):
    """Return the layer that scales columns, and its parameters."""
    model = network._model
    pairs = zip(model.network.layers, model.network.views(model.params), strict=True)
    ((layer, params),) = [pair for pair in pairs if isinstance(pair[0], ColumnScales)]
    return layer, params.column_scale


def test_useless_columns_are_kept_out():
    X, y = table(1300)
    errors = []
    for scales in (False, True):
        network = NNRegressor(max_iter=100, random_state=0, column_scales=scales)
        network.fit(X[:300], y[:300])
        errors.append(1 - network.score(X[300:], y[300:]))
    assert errors[1] < 0.7 * errors[0]
    names = network.encoded_feature_names_.tolist()
    for scales in network.column_scales_:
        sizes = [abs(scales[names.index(f"x{i}_0")]) for i in range(X.shape[1])]
        assert min(sizes[:2]) > 1.5 > 0.9 > max(sizes[2:])


def test_a_prediction_by_hand():
    """With one member, no embedding and no scaling of X."""
    X, y = table(200, 2)
    network = NNRegressor(
        (5,), "tanh", column_scales=True, numeric_embedding=None, standardize=False,
        random_state=0, dtype="float64", alpha=1e-4,
    ).fit(X, y)  # fmt: skip
    (scales,), target = network.column_scales_, network._model.target
    assert scales.shape == (4,)
    hidden = np.tanh(X * scales @ network.coefs_[0] + network.intercepts_[0])
    raw = hidden @ network.coefs_[1] + network.intercepts_[1]
    assert_allclose(network.predict(X), target.inverse_transform(raw)[:, 0], rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"n_members": 3}, SEPARATE], ids=str)
def test_the_inputs_of_a_column_have_one_scale(options):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    X["kind"] = pd.Categorical(rng.choice(list("uvw"), 200))
    X["c"] += 2 * X["a"]  # Otherwise, there would be no components.
    X.loc[::5, "b"] = np.nan
    y = X["a"] + (X["kind"] == "u") + X["c"] ** 2
    network = NNRegressor((8,), n_components=2, max_iter=9, random_state=0, **options)
    found = network.fit(X, y).column_scales_
    assert len(found) == (3 if options is SEPARATE else 1)
    names = network.encoded_feature_names_
    columns = ["a", "b", "c", "kind"]
    of_column = [
        [name.startswith((f"{c}_", f"missing_{c}")) for name in names] for c in columns
    ]
    assert "b_missing" in names or any("missing" in name for name in names)
    for scales in found:
        assert scales.shape == names.shape
        for chosen in of_column:
            assert np.unique(scales[chosen]).size == 1
        assert np.unique(scales).size == 4 + 2
    assert len({tuple(one) for one in found}) == len(found)


def test_without_scales_there_are_none():
    X, y = table(100, 1)
    assert NNRegressor(max_iter=1, column_scales=False).fit(X, y).column_scales_ == []


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_plain_networks_have_no_scales(cls):
    assert resolved(1000, cls=cls)["column_scales"] is True
    assert resolved(1000, cls=cls, n_earlier=0)["column_scales"] is True
    for options in (
        *({"solver": "sgd"}, {"solver": "lbfgs"}, {"hidden_layer_sizes": ()}),
        *({"numeric_embedding": None}, {"as_sparse": True}, {"monotonic_cst": [1] * 5}),
        *({"interaction_cst": "no_interactions"}, {"interaction_cst": "pairwise"}),
    ):
        assert resolved(1000, cls=cls, **options)["column_scales"] is False, options
    assert resolved(49, cls=cls)["column_scales"] is False


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({}, "sparse X"),
        ({"monotonic_cst": [1, 0, 0, 0]}, "monotonic_cst"),
        ({"interaction_cst": "no_interactions"}, "interaction_cst"),
    ],
)
@pytest.mark.parametrize("value", [True, np.True_])
def test_what_scales_cannot_be_used_with(options, what, value):
    X, y = table(100, 2)
    network = NNRegressor(column_scales=value, **options)
    message = (
        f"column_scales=True cannot be used with {what}. Set column_scales=False, or 'auto'"
    )
    with pytest.raises(ValueError, match=message):
        network.fit(X if options else csr_array(X), y)
    assert not hasattr(network, "_model")
    network.set_params(column_scales=False, max_iter=1).fit(X if options else csr_array(X), y)


@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop", "sgd", "lbfgs"])
def test_every_solver_learns_scales(solver):
    X, y = table(300, 3)
    network = NNRegressor(
        (20,), solver=solver, column_scales=True, numeric_embedding=None, alpha=0.01,
        max_iter=100, random_state=0,
    )  # fmt: skip
    (scales,) = network.fit(X, y).column_scales_
    assert np.abs(scales[1]) > 1.5 * np.abs(scales[2:]).max()
    assert network.score(X, y) > 0.7


def test_scales_have_their_own_learning_rate():
    """The first step of Adam moves each parameter by the learning rate."""
    X, y = table(200, 2)
    options = {"batch_size": 200, "early_stopping": False, "ema_decay": None, "max_iter": 1}
    network = NNRegressor(
        (5,), solver=Adam(epsilon=1e-30), learning_rate="constant", learning_rate_init=1e-3,
        random_state=0, n_iter_no_change=np.inf, dtype="float64", **options,
    )  # fmt: skip
    after = layer_of(network.fit(X, y))[1]
    assert_allclose(np.abs(after - 1), 1e-3 * RATE_OF_SCALES, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.01])
@pytest.mark.parametrize("options", [{"n_members": 2}, SEPARATE], ids=str)
def test_the_ridge_follows_alpha(alpha, options):
    X, y = table(100, 1)
    network = NNRegressor((4,), alpha=alpha, max_iter=1, random_state=0, **options).fit(X, y)
    expected = 0.1 * alpha / (3 if options is SEPARATE else 1)
    assert layer_of(network)[0].ridge == pytest.approx(expected)
    # The loss is that of the network's outputs, so another alpha may continue the fit.
    layer = layer_of(network.set_params(alpha=0.02, warm_start=True).fit(X, y))[0]
    assert layer.ridge > expected


def test_a_fit_that_goes_on_keeps_its_scales():
    X, y = table(200, 2)
    first = NNRegressor(max_iter=5, random_state=0).fit(X, y)
    frozen = NNRegressor(max_iter=2, frozen_layers=1, random_state=1).fit(X, y, init=first)
    for one, other in zip(first.column_scales_, frozen.column_scales_, strict=True):
        assert_array_equal(one, other)
    # "auto" would have none with sgd.
    first.set_params(warm_start=True, solver="sgd", learning_rate_init=1e-4).fit(X, y)
    assert len(first.column_scales_) == len(frozen.column_scales_) > 0
    with pytest.raises(ValueError, match="column_scales is False, but True in the fitted"):
        clone(first).set_params(column_scales=False).fit(X, y, init=frozen)
