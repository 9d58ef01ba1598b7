"""Networks whose columns interact in groups only."""

import pickle
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.model_selection import GridSearchCV

import sknet
from sknet.data.choices import interaction_groups
from sknet.nn.groups import GroupColumns, GroupedDense, PairwiseHead

#: A short and exact training of networks that bend.
BRIEFLY = {
    "hidden_layer_sizes": (24, 16),
    "activation": "silu",
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 4,
    "numeric_embedding": "piecewise_linear",
    "dtype": "float64",
    "random_state": 0,
}
CONSTRAINTS = {
    "no_interactions": "no_interactions",
    "pairwise": "pairwise",
    "groups": [{0, 1}, (1, 2)],
}
every_constraint = pytest.mark.parametrize("constraint", CONSTRAINTS)
OPTIONS = {
    "plain": {},
    "members": {"n_members": 3},
    "normalized": {"normalization": "layer", "dropout": 0.2, "ema_decay": 0.9},
    "mixed": {"mixup": 0.4, "input_noise": 0.1},
    "linear": {"hidden_layer_sizes": ()},
    "periodic": {"numeric_embedding": "periodic"},
    "unscaled": {"standardize": False, "numeric_embedding": None},
}


def table(n=120):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5))
    signal = X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + X[:, 3] * X[:, 4]
    return X, signal


def raw_predictions(network, X):
    """Return the prediction before the link, as an array of two dimensions."""
    values = getattr(network, "decision_function", network.predict)(X)
    if getattr(network, "loss", None) == "poisson":
        values = np.log(values)
    return values.reshape(len(values), -1)


def mixed_difference(network, X, columns):
    """Return the alternating sum over the corners at which each column is moved or not.

    It is zero if and only if no term of the prediction depends on all of the columns.
    """
    rng = np.random.default_rng(1)
    moved = rng.normal(size=X.shape)
    total = 0
    for size in range(len(columns) + 1):
        for chosen in combinations(columns, size):
            corner = X.copy()
            corner[:, chosen] = moved[:, chosen]
            total = total + (-1) ** size * raw_predictions(network, corner)
    return np.abs(total).max()


def may_interact(constraint, columns):
    """Return whether a group has all of the columns."""
    if constraint == "pairwise":
        return len(columns) <= 2
    groups = interaction_groups(CONSTRAINTS[constraint], 5)
    return any(set(columns) <= set(group) for group in groups)


@every_constraint
@pytest.mark.parametrize(
    ("task", "options"),
    [
        *(("binary", options) for options in OPTIONS.values()),
        *((task, OPTIONS["plain"]) for task in ("squared_error", "multiclass")),
        ("poisson", OPTIONS["members"]),
    ],
    ids=str,
)
def test_only_the_columns_of_a_group_interact(constraint, options, task):
    """Mixed differences across groups are zero up to rounding, and others are not."""
    X, signal = table()
    if task in ("squared_error", "poisson"):
        network = NNRegressor(loss=task, **{**BRIEFLY, **options})
        y = signal if task == "squared_error" else np.exp(signal / 3)
    else:
        network = NNClassifier(**{**BRIEFLY, **options})
        y = np.digitize(signal, [0] if task == "binary" else [-1, 1])
    network.set_params(interaction_cst=CONSTRAINTS[constraint]).fit(X, y)
    for columns in ((0, 1), (1, 2), (0, 2), (1, 3), (3, 4), (0, 1, 2), (0, 3, 4)):
        difference = mixed_difference(network, X[:30], columns)
        if may_interact(constraint, columns) and network.hidden_layer_sizes:
            assert difference > 1e-6, columns
        else:
            assert difference < 1e-10, columns


def test_groups_of_the_parameter():
    def groups(*wanted):
        return interaction_groups(list(wanted), 5)

    assert interaction_groups(None, 5) is None
    assert interaction_groups("no_interactions", 3) == ((0,), (1,), (2,))
    assert interaction_groups("pairwise", 3) == ((0,), (1,), (2,))
    # The columns that are not listed interact with each other, as in scikit-learn.
    assert groups({1, 0}) == ((0, 1), (2, 3, 4))
    assert groups([4, 0], (2, 1, 2), {3}) == ((0, 4), (1, 2), (3,))
    assert groups({0, 1}, {1, 2}, [3, 4]) == ((0, 1), (1, 2), (3, 4))
    assert groups({0, 1}, [1, 0], range(5)) == ((0, 1), (0, 1, 2, 3, 4))
    assert groups(np.array([0, 2]), {1, np.int64(3), 4}) == ((0, 2), (1, 3, 4))


def test_the_layers_of_the_constraints():
    X, y = table()

    def kinds(**options):
        network = NNRegressor(**{**BRIEFLY, "numeric_embedding": None, **options}).fit(X, y)
        return [type(layer) for layer in network._model.network.layers], network

    found, network = kinds(interaction_cst="no_interactions")
    assert found[:3] == [GroupColumns, GroupedDense, GroupedDense]
    # Twice 24 and 16 units are divided among five columns, with at least eight for each.
    assert [one.shape for one in network.coefs_] == [(5, 1, 10), (5, 10, 8), (40, 1)]
    assert [one.shape for one in network.intercepts_] == [(5, 10), (5, 8), (1,)]
    found, network = kinds(interaction_cst=[{0, 1}, {2}], n_members=2)
    assert [one.shape for one in network.coefs_] == [(6, 2, 16), (6, 16, 11), (2, 33, 1)]
    assert kinds(interaction_cst="pairwise")[0][-1] is PairwiseHead
    # A linear network has no interactions.
    assert PairwiseHead not in kinds(interaction_cst="pairwise", hidden_layer_sizes=())[0]
    # With one column there are no pairs.
    network = NNRegressor(**BRIEFLY, interaction_cst="pairwise").fit(X[:, :1], y)
    assert PairwiseHead not in [type(layer) for layer in network._model.network.layers]


@pytest.mark.parametrize("constraint", ["no_interactions", "pairwise"])
def test_a_frame_of_numbers_categories_and_holes(constraint):
    """The inputs of a column, embedded or not, belong to its group, wherever it stands."""
    rng = np.random.default_rng(0)
    n = 300
    X = pd.DataFrame({"city": rng.choice(["Bergen", "Oslo", None], n)})
    X["x"], X["street"] = rng.normal(size=n), rng.choice([f"s{i}" for i in range(30)], n)
    X["holes"] = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
    y = X["x"] * (X["city"] == "Oslo") + X["holes"].isna()
    network = NNRegressor(**BRIEFLY, interaction_cst=constraint).fit(X, y)
    other = X.sample(frac=1, random_state=1).reset_index(drop=True)
    for columns in (["city", "x"], ["x", "street", "holes"], ["city", "street", "holes"]):
        total = 0
        for size in range(len(columns) + 1):
            for chosen in combinations(columns, size):
                corner = X.copy()
                corner[list(chosen)] = other[list(chosen)]
                total = total + (-1) ** size * network.predict(corner)
        interacts = constraint == "pairwise" and len(columns) == 2
        assert (np.abs(total).max() > 1e-6) == interacts


def test_defaults_learn_what_the_constraint_allows():
    """Friedman's first function has one product; the rest of it is additive."""
    X, y = make_friedman1(1200, n_features=6, noise=0.3, random_state=0)
    scores = {}
    for constraint in ("no_interactions", "pairwise", "groups"):
        groups = [{0, 1}, {2}, {3}, {4}] if constraint == "groups" else constraint
        network = sknet.NNRegressor(interaction_cst=groups, max_iter=25, random_state=0)
        scores[constraint] = network.fit(X[:900], y[:900]).score(X[900:], y[900:])
    # The additive part of sin(pi x0 x1) misses a tenth of the variance.
    assert 0.85 < scores["no_interactions"] < 0.93
    assert scores["pairwise"] > 0.97 and scores["groups"] > 0.97


def test_default_classifier_separates_classes_that_differ_by_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 4))
    y = np.where(np.abs(X[:, 0]) + X[:, 1] > 0.8, "in", "out")
    network = sknet.NNClassifier(interaction_cst="no_interactions", random_state=0)
    assert network.fit(X[:600], y[:600]).score(X[600:], y[600:]) > 0.93
    assert network.auto_params_["n_members"] == 1


@every_constraint
def test_clone_grid_pickle_and_warm_start(constraint):
    X, y = table()
    wanted = CONSTRAINTS[constraint]
    network = NNRegressor(**BRIEFLY, interaction_cst=wanted)
    assert clone(network).interaction_cst == wanted
    network.fit(X, y)
    again = pickle.loads(pickle.dumps(network))
    assert_array_equal(again.predict(X), network.predict(X))
    search = GridSearchCV(network, {"interaction_cst": [None, wanted]}, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 2
    again.set_params(warm_start=True, learning_rate_init=1e-9, max_iter=1).fit(X, y)
    assert_allclose(again.predict(X), network.predict(X), atol=1e-5)


@every_constraint
def test_partial_fit_keeps_predictions_when_the_scale_of_y_moves(constraint):
    """The output layer of groups is rescaled exactly, products of pairs included."""
    X, y = table()
    network = NNRegressor(**{**BRIEFLY, "learning_rate_init": 1e-9})
    network.set_params(interaction_cst=CONSTRAINTS[constraint]).partial_fit(X, y)
    before = network.predict(X)
    network.partial_fit(X, 100 * y + 1000)
    assert network._model.target.scale_ > 10
    assert_allclose(network.predict(X), before, atol=1e-3)


@every_constraint
def test_sparse_rows_are_dense_rows(constraint):
    X, y = table()
    X = X * (np.abs(X) > 0.7)
    options = {**BRIEFLY, "numeric_embedding": None, "standardize": False}
    network = NNRegressor(**options, interaction_cst=CONSTRAINTS[constraint])
    dense = clone(network).fit(X, y).predict(X)
    of_sparse = network.fit(sparse.csr_array(X), y)
    assert_allclose(of_sparse.predict(sparse.csr_array(X)), dense, rtol=1e-9)


# The number of iterations that it takes depends on the version of SciPy.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_constraint
@pytest.mark.parametrize(("dtype", "embedding"), [("auto", "auto"), ("float32", None)])
def test_lbfgs_fits_groups(constraint, dtype, embedding):
    """Also the groups of columns of float32, although it computes in float64."""
    X, y = table()
    options = {"learning_rate": "constant", "max_iter": 300, "alpha": 1e-3, "tol": 1e-3}
    options |= {"dtype": dtype, "numeric_embedding": embedding}
    network = NNRegressor((16,), "tanh", solver="lbfgs", random_state=0, **options)
    network.set_params(interaction_cst=CONSTRAINTS[constraint]).fit(X, y)
    assert network.score(X, y) > 0.3


def test_members_are_averaged_before_the_link():
    X, signal = table()
    network = NNClassifier(**BRIEFLY, n_members=3, interaction_cst="no_interactions")
    network.fit(X, signal > 0)
    proba, spread = network.predict_proba(X, return_std=True)
    logit = network.decision_function(X)
    assert_allclose(proba[:, 1], 1 / (1 + np.exp(-logit)), rtol=1e-6)
    members = network._model.predictor.map_rows(X, lambda outputs: (outputs[-1],))[0]
    assert_allclose(logit, members.mean(axis=1), rtol=1e-6)
    assert_allclose(spread[:, 1], (1 / (1 + np.exp(-members))).std(axis=1), rtol=1e-4)


def test_weights_are_repeated_rows():
    X, y = table(40)
    counts = np.arange(40) % 3
    options = {**BRIEFLY, "batch_size": 200, "interaction_cst": "pairwise"}
    weighted = NNRegressor(**options).fit(X, y, sample_weight=counts)
    repeated = NNRegressor(**options).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_a_network_without_groups_is_that_of_before():
    """None builds the layers that a network without the parameter has."""
    X, y = table()
    layers = NNRegressor(**BRIEFLY).fit(X, y)._model.network.layers
    assert not any(isinstance(one, GroupColumns | GroupedDense) for one in layers)
