"""Members that share no weights, and their cross-fitting by early stopping."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx_sessions import session_of
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import log_loss

from sknet import NNClassifier, NNRegressor
from sknet._monitoring import HeldOut
from sknet._run import Run
from sknet.data.batches import Dataset
from sknet.data.draws import cross_fitted
from sknet.export import to_onnx
from sknet.inspection import integrated_gradients, summary
from sknet.nn.columns import Columns, ColumnScales

SEPARATE = {"share_weights": False, "n_members": 3, "random_state": 0}


def table(n_rows=120, seed=0):
    """Return a frame with numbers, a category of few levels and one of many."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 3)), columns=list("abc"))
    X["few"] = pd.Categorical(rng.choice(list("xyz"), n_rows))
    X["many"] = pd.Categorical(rng.integers(20, size=n_rows).astype(str))
    return X, (X["a"] + (X["few"] == "x") + 0.5 * rng.normal(size=n_rows) > 0).astype(int)


def test_each_row_is_held_out_of_one_member():
    data = Dataset(np.zeros((100, 1)), np.zeros(100), np.linspace(1, 2, 100))
    trained, held_out = cross_fitted(data, 5, 5, None, seed=0)
    assert_array_equal(held_out.rows, np.arange(100))
    assert_array_equal((held_out.sample_weight > 0).sum(axis=0), [20] * 5)
    both = trained.sample_weight + held_out.sample_weight
    assert_array_equal(both, np.repeat(data.sample_weight[:, np.newaxis], 5, axis=1))
    assert (trained.sample_weight * held_out.sample_weight == 0).all()


def test_parts_keep_the_shares_of_the_classes():
    y = np.repeat(["often", "seldom", "once"], [88, 11, 1])
    _, held_out = cross_fitted(Dataset(np.zeros((100, 1)), y), 5, 5, y, seed=0)
    of_part = held_out.sample_weight.astype(bool)
    assert {(y[rows] == "seldom").sum() for rows in of_part.T} == {2, 3}


@pytest.mark.parametrize(("n_members", "n_parts"), [(2, 5), (3, 5), (4, 10), (5, 10)])
def test_members_hold_out_their_share_of_a_rare_class(n_members, n_parts):
    """Also where each part has one row of the class at most."""
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [95, 5]))
    data = Dataset(np.zeros((100, 1)), y)
    for seed in range(5):
        _, held_out = cross_fitted(data, n_members, n_parts, y, seed)
        assert abs(held_out.y.sum() - 5 * n_members / n_parts) < 1


def test_with_more_parts_than_members_some_rows_validate_nobody():
    data = Dataset(np.zeros((100, 1)), np.zeros(100))
    trained, held_out = cross_fitted(data, 2, 10, None, seed=0)
    assert trained.n_rows == 100
    assert held_out.n_rows == 20
    assert_array_equal(held_out.sample_weight.sum(axis=1), np.ones(20))


def parameters_of(network, member):
    """Return the arrays of the parameters of one member."""
    model = network._model
    found = []
    for slot in model.network.slots:
        array = slot.of(model.params)
        layer = model.network.layers[slot.layer]
        if isinstance(layer, ColumnScales):
            array = array.reshape(model.n_members, -1)
        # The copies of a column lie side by side; other arrays begin with the members.
        embeds = isinstance(layer, Columns)
        found.append(array[member :: model.n_members] if embeds else array[member])
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"numeric_embedding": "piecewise_linear"},
        {"numeric_embedding": "periodic"},
        {"mixup": 0.4, "input_noise": 0.1},
        {"solver": "adamw", "dropout": 0.2},
        {"normalization": "layer", "n_components": 2},
    ],
    ids=str,
)
def test_a_member_learns_nothing_of_the_rows_that_it_is_judged_by(options):
    """Other y of the part of one member change all members but this one."""
    X, y = np.random.default_rng(0).normal(size=(2, 120, 3))
    y = y[:, 0]
    run = Run.start(0)
    _, held_out = cross_fitted(Dataset(X, y), 3, 5, None, run.split_seed)
    other = y.copy()
    other[held_out.rows[held_out.sample_weight[:, 0] > 0]] += 5
    made = NNRegressor((8, 8), **SEPARATE, max_iter=1, standardize=False, **options)
    first, second = made.fit(X, y), clone(made).fit(X, other)
    pairs = [
        zip(parameters_of(first, i), parameters_of(second, i), strict=True) for i in range(3)
    ]
    assert [all(np.array_equal(a, b) for a, b in one) for one in pairs] == [True, False, False]


def test_the_validation_loss_is_that_of_predictions_of_unseen_rows():
    X, y = table()
    network = NNClassifier(**SEPARATE, refit=False, max_iter=3).fit(X, y)
    model = network._model
    _, held_out = cross_fitted(
        Dataset(X, y.to_numpy()), 3, 5, y.to_numpy(), Run.start(0).split_seed
    )
    rows = network._last_fit()[0].read(X)
    (raw,) = model.predict(rows, lambda raw: (model.members.split(raw),))
    own = held_out.sample_weight.argmax(axis=1)
    # The temperature, which a fit ends with, is that of the output layer.
    logits = raw[held_out.rows, own, 0] / model.provenance.certainty
    found = log_loss(y[held_out.rows], expit(logits))
    assert_allclose(found, min(network.history_["validation_loss"]), rtol=1e-5)


@pytest.mark.parametrize("largest", [2, 2.5])
def test_the_certainty_is_fitted_with_the_weights_of_rows(largest):
    """Weights that count rows remain counts, and others have a mean of one."""
    X, y = table()
    weight = np.where(np.arange(120) % 3, 1, largest)
    network = NNClassifier(**SEPARATE, max_iter=1).fit(X, y, sample_weight=weight)
    data = Dataset(network._last_fit()[0].read(X), y.to_numpy(), weight)
    _, held_out = cross_fitted(data, 3, 5, data.y, Run.start(0).split_seed)
    *_, found = HeldOut(held_out).predictions(network._model)
    expected = weight[held_out.rows]
    if largest == 2.5:
        expected = expected / expected.mean()
    assert_allclose(found, expected, rtol=1e-6)


def test_the_objective_is_the_mean_of_those_of_the_members():
    """So members are as strongly penalized as a single network is."""
    X, y = np.random.default_rng(0).normal(size=(2, 120, 3))
    options = {"numeric_embedding": None, "early_stopping": False, "alpha": 0.5}
    network = NNRegressor((4,), **SEPARATE, **options, max_iter=1).fit(X, y[:, 0])
    model = network._model
    objective = model.objective
    weights = model.params[: model.network.n_penalized]
    expected = 0.5 / 2 * float(weights @ weights) / 3
    assert_allclose(objective.penalty_value(model.params), expected, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"n_members": 8, "validation_fraction": 0.1}])
def test_predictions_survive_files_and_onnx(options, tmp_path):
    X, y = table()
    network = NNClassifier(max_iter=5, random_state=0, **options).fit(X, y)
    assert network.auto_params_["share_weights"] is False
    path = joblib.dump(network, tmp_path / "network.joblib")[0]
    expected = network.predict_proba(X)
    assert_array_equal(joblib.load(path).predict_proba(X), expected)
    inputs = {name: X[[name]].to_numpy() for name in "abc"}
    inputs |= {name: X[[name]].astype(object).to_numpy() for name in ("few", "many")}
    probabilities = session_of(to_onnx(network, X)).run(None, inputs)[1]
    assert_allclose(probabilities, expected, atol=1e-5)


def test_attributions_add_up_to_the_change_of_the_prediction():
    X, y = table()
    network = NNClassifier(max_iter=5, random_state=0).fit(X, y)
    found = integrated_gradients(network, X, baseline=X[:1], n_steps=256, tol=0)
    logits = network.decision_function(X)
    assert_allclose(found.sum(axis=1), logits - logits[0], atol=2e-3)


def test_names_of_inputs_are_those_of_one_member():
    X, y = table()
    options = {"max_iter": 1, "random_state": 0, "n_members": 2}
    names = [
        NNClassifier(share_weights=shares, **options).fit(X, y).encoded_feature_names_
        for shares in (True, False)
    ]
    assert_array_equal(*names)
    separate = NNClassifier(share_weights=False, **options).fit(X, y)
    assert separate.coefs_[0].shape == (2, names[0].size, 64)


def test_a_fit_goes_on_with_more_rows_than_are_few():
    X, y = table(2500)
    network = NNClassifier(warm_start=True, max_iter=1, random_state=0).fit(X[:200], y[:200])
    assert not network.fit(X, y).auto_params_["share_weights"]


@pytest.mark.parametrize(
    ("options", "is_sparse", "what"),
    [
        ({"interaction_cst": "no_interactions"}, False, "interaction_cst"),
        ({"monotonic_cst": [1, 0, 0]}, False, "monotonic_cst"),
        ({}, True, "sparse X"),
        ({"share_weights": np.False_}, True, "sparse X"),
    ],
)
def test_what_members_without_common_weights_cannot_do(options, is_sparse, what):
    X = np.random.default_rng(0).normal(size=(120, 3))
    y = X[:, 0]
    with pytest.raises(ValueError, match=f"share_weights=False cannot be used with {what}"):
        NNRegressor(**{**SEPARATE, **options}).fit(csr_array(X) if is_sparse else X, y)


def test_the_card_tells_that_each_row_validates_one_member():
    X, y = table()
    assert "120, each held out by one member" in str(
        summary(NNClassifier(max_iter=1, random_state=0).fit(X, y))
    )
