"""``monotonic_cst`` and ``interaction_cst`` together: sums of functions that keep an order."""

import pickle
import warnings
from itertools import combinations

import numpy as np
import pytest
from guards import needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from orders import (
    SIGNS,
    SLACK,
    SMALL,
    assert_monotone,
    frame,
    numbers,
    predicted,
    target,
    truth,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sknet import NNClassifier, NNRegressor
from sknet.callbacks import Checkpoint
from sknet.data.choices import interaction_groups
from sknet.inspection import (
    input_gradients,
    integrated_gradients,
    shape_functions,
)
from sknet.nn.activations import ACTIVATIONS
from sknet.nn.lbfgs import SOLVERS
from sknet.streaming import RowBlocks, fit_chunks

#: Columns 0 and 3 are constrained: apart, together, or each beside a free column.
INTERACTIONS = {
    "no_interactions": "no_interactions",
    "pairwise": "pairwise",
    "apart": [{0, 1}, {2, 3}],
    "together": [{0, 3}, {1, 2}],
    "in several": [{0, 1}, {0, 3}, {1, 2, 3}],
}
every_estimator = pytest.mark.parametrize("cls", [NNRegressor, NNClassifier])
every_interaction = pytest.mark.parametrize("interaction", INTERACTIONS)


def make(cls, interaction, **options):
    cst = {"monotonic_cst": SIGNS, "interaction_cst": INTERACTIONS[interaction]}
    return cls(**{**SMALL, "max_iter": 4, **cst, **options})


def raw_predictions(network, X):
    return getattr(network, "decision_function", network.predict)(X)


@every_estimator
@every_interaction
@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": "float64", "n_members": 3},
        {"numeric_embedding": None, "n_members": 2},
        {"numeric_embedding": "periodic"},
        {"hidden_layer_sizes": (), "n_members": 2},
        {"hidden_layer_sizes": (4, 3, 4), "standardize": False, "max_iter": 8},
        {"dropout": 0.3, "mixup": 0.2, "input_noise": 0.1, "ema_decay": 0.9},
    ],
    ids=lambda one: ",".join(one),
)
def test_no_pair_of_rows_is_in_the_wrong_order(cls, interaction, options):
    X = numbers(300)
    network = make(cls, interaction, **options)
    assert_monotone(network.fit(X, target(cls, X)), numbers(1000, 5))


@every_interaction
def test_columns_of_different_groups_do_not_interact(interaction):
    """Mixed differences across groups are zero up to rounding, and others are not."""
    X, rng = numbers(300), np.random.default_rng(1)
    network = make(NNClassifier, interaction, dtype="float64")
    network.fit(X, target(NNClassifier, X))
    groups = interaction_groups(INTERACTIONS[interaction], 4)
    rows, moved = numbers(40, 5), rng.normal(0, 1.5, size=(40, 4))
    for columns in (*combinations(range(4), 2), (0, 1, 2), (1, 2, 3)):
        total = 0
        for size in range(len(columns) + 1):
            for chosen in combinations(columns, size):
                corner = rows.copy()
                corner[:, chosen] = moved[:, chosen]
                total = total + (-1) ** size * raw_predictions(network, corner)
        interact = any(set(columns) <= set(group) for group in groups)
        if interaction == "pairwise":
            interact = len(columns) == 2
        # The predictions are rounded to 24 bits.
        assert (np.abs(total).max() > 1e-4) if interact else (np.abs(total).max() < 5e-6)


@every_estimator
@pytest.mark.parametrize("interaction", ["no_interactions", "pairwise", [{1, 2}, {0, 4, 5}]])
@pytest.mark.parametrize("n_members", [1, 2])
def test_with_categories_and_missing_values(cls, interaction, n_members):
    X = frame(400, missing=True)
    options = {"monotonic_cst": {"a": 1, "d": -1}, "interaction_cst": interaction}
    network = cls(**{**SMALL, "max_iter": 4}, **options, n_members=n_members)
    network.fit(X, target(cls, X.loc[:, "a":"d"]))
    rows = frame(2000, 5, missing=True)
    rows["few"] = rows["few"].cat.add_categories("new")
    rows.loc[::7, "few"] = "new"
    rows.loc[::11, "many"] = None
    assert_monotone(network, rows, (("a", 1), ("d", -1)))


@every_interaction
def test_a_missing_value_of_a_promised_column_may_be_better_or_worse(interaction):
    """Its indicator is a free input, in a group without free columns as well."""
    X = numbers(400)
    is_missing = np.random.default_rng(0).random(400) < 0.3
    for shift in (-8.0, 8.0):
        y = np.tanh(X[:, 0]) + shift * is_missing
        holes = X.copy()
        holes[is_missing, 0] = np.nan
        network = make(NNRegressor, interaction, max_iter=20).fit(holes, y)
        rows = np.zeros((1, 4)), np.array([[np.nan, 0, 0, 0]])
        known, missing = (float(network.predict(row)[0]) for row in rows)
        assert missing - known == pytest.approx(shift, abs=1.5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("interaction", ["no_interactions", "pairwise"])
def test_every_solver(solver, interaction):
    X = numbers(300)
    options = {"solver": solver, "alpha": 1e-3, "l1_ratio": 0.5, "early_stopping": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network = make(NNRegressor, interaction, **options, max_iter=20)
        network.fit(X, target(NNRegressor, X))
    assert_monotone(network, numbers(1000, 5))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    X = numbers(300)
    network = make(NNRegressor, "pairwise", activation=activation)
    # Approximations of exp and log are monotone up to the last bits.
    exact = {"identity", "relu", "leaky_relu", "silu", "gelu", "mish"}
    slack = SLACK if activation in exact else 1e-12
    assert_monotone(network.fit(X, target(NNRegressor, X)), numbers(1000, 5), slack=slack)


def test_sparse_rows():
    X = numbers(400) * (np.random.default_rng(0).random((400, 4)) < 0.5)
    for interaction in INTERACTIONS:
        network = make(NNRegressor, interaction)
        network.fit(sparse.csr_array(X), target(NNRegressor, X))
        as_sparse = lambda one, rows: one.predict(sparse.csr_array(rows))  # noqa: E731
        assert_monotone(network, numbers(1000, 5), predict=as_sparse)


# Ways to train.


@every_estimator
@every_interaction
def test_after_each_call_of_partial_fit(cls, interaction):
    X = numbers(600)
    y = target(cls, X)
    network = make(cls, interaction)
    for start in (0, 300):
        rows = slice(start, start + 300)
        # The scale of y changes, and the output layer with it.
        scaled = y[rows] * (1 + start) if cls is NNRegressor else y[rows]
        options = {} if cls is NNRegressor else {"classes": ["no", "yes"]}
        network.partial_fit(X[rows], scaled, **options)
        assert_monotone(network, numbers(1000, 5))


@needs_callbacks
@every_interaction
def test_continued_fits(interaction, tmp_path):
    X = numbers(300)
    y = target(NNRegressor, X)
    network = make(NNRegressor, interaction, warm_start=True)
    network.set_callbacks(Checkpoint(tmp_path / "fit.joblib", every=3)).fit(X, y)
    resumed = make(NNRegressor, interaction, warm_start=True)
    resumed.fit(X, y, resume_from=tmp_path / "fit.joblib")
    assert_array_equal(resumed.predict(X), network.predict(X))
    assert_monotone(resumed.fit(X, y), numbers(1000, 5))
    for change in ({"monotonic_cst": None}, {"interaction_cst": [{0, 2}]}):
        with pytest.raises(ValueError, match="layers have changed"):
            clone(resumed).fit(X, y).set_params(**change).fit(X, y)


@pytest.mark.parametrize("interaction", ["no_interactions", "pairwise"])
def test_rows_in_blocks_and_chunks(interaction):
    X = numbers(400)
    y = target(NNRegressor, X)
    network = make(NNRegressor, interaction)
    in_blocks = clone(network).fit(RowBlocks(X, block_rows=100), y)
    assert_monotone(in_blocks, numbers(1000, 5))
    assert_array_equal(in_blocks.predict(RowBlocks(X, block_rows=33)), in_blocks.predict(X))
    chunks = [(X[i : i + 100], y[i : i + 100]) for i in range(0, 400, 100)]
    assert_monotone(fit_chunks(clone(network), chunks), numbers(1000, 5))


@every_interaction
def test_a_pickle_and_a_clone_and_a_search(interaction):
    X = numbers(200)
    y = target(NNClassifier, X)
    network = make(NNClassifier, interaction, max_iter=2).fit(X, y)
    loaded = pickle.loads(pickle.dumps(network))
    assert_array_equal(predicted(loaded, X), predicted(network, X))
    assert clone(network).get_params() == network.get_params()
    search = GridSearchCV(network, {"monotonic_cst": [None, SIGNS]}, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 2


@every_interaction
def test_zeros_are_no_constraint(interaction):
    X = numbers(200)
    y = target(NNRegressor, X)
    plain = make(NNRegressor, interaction, monotonic_cst=None).fit(X, y)
    zeros = make(NNRegressor, interaction, monotonic_cst=[0] * 4).fit(X, y)
    assert_array_equal(zeros.predict(X), plain.predict(X))


# What the curves show.


@every_estimator
@pytest.mark.parametrize("interaction", ["no_interactions", "pairwise", [{3, 4}, {0, 1}, {2}]])
@pytest.mark.parametrize("options", [{"dtype": "float32"}, {"n_members": 2}], ids=str)
def test_the_curves_of_promised_columns_rise_at_every_point(cls, interaction, options):
    X = frame(300, missing=True)
    options = {"monotonic_cst": {"a": 1, "d": -1}, "interaction_cst": interaction, **options}
    network = cls(**SMALL, **options).fit(X, target(cls, X.loc[:, "a":"d"]))
    shapes = shape_functions(network, X, n_points=1000, percentiles=(0, 1))
    curves = {one.values.name: one.contributions[:, 0] for one in shapes.curves}
    found = 0
    for name, sign in (("a", 1), ("d", -1)):
        if name in curves:
            steps = sign * np.diff(curves[name])
            assert (steps >= -SLACK).all() and (steps > 0).any()
            found += 1
    assert found == (2 if isinstance(interaction, str) else 0)
    total = shapes.intercept + shapes.contributions(X).sum(axis=1)
    assert_allclose(total[:, 0], raw_predictions(network, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("interaction", ["pairwise", "in several"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_attributions(interaction, n_members):
    X = numbers(200)
    network = make(NNRegressor, interaction, n_members=n_members, dtype="float64")
    network.fit(X, target(NNRegressor, X))
    slopes = input_gradients(network, X)
    assert (slopes[:, 0] >= 0).all() and (slopes[:, 3] <= 0).all()
    assert (slopes[:, 2] < 0).any() and (slopes[:, 2] > 0).any()
    explained = integrated_gradients(network, X).sum(axis=1)
    # What is left is the prediction of the baseline, which is the same for all rows.
    assert_allclose(np.ptp(network.predict(X) - explained), 0, atol=1e-4)


# What can be learned.


def additive(X):
    return np.tanh(2 * X[:, 0]) + np.sin(2 * X[:, 1]) + 0.5 * X[:, 2] ** 2 - np.floor(X[:, 3])


def strengthening(X):
    return additive(X) + 2 / (1 + np.exp(-2 * X[:, 0])) * (X[:, 1] > 0) + X[:, 1] * X[:, 2]


def replacing(X):
    """Of two reasons that rise, one is nearly enough."""
    return additive(X) - 2 / (1 + np.exp(3 * X[:, 0])) / (1 + np.exp(-3 * X[:, 3]))


def test_the_error_is_not_larger_where_the_truth_keeps_the_promise():
    """Free columns have their full freedom: waves, parabolas, and interactions of them."""
    ratios = []
    for function, interaction in (
        (additive, "no_interactions"),
        (strengthening, "pairwise"),
        (replacing, "pairwise"),
        (strengthening, [{0, 1, 2}]),
    ):
        X, other = np.random.default_rng(0).normal(size=(2, 800, 4))
        y = function(X) + 0.3 * np.random.default_rng(1).normal(size=800)
        options = {"interaction_cst": interaction, "max_iter": 30, "random_state": 0}
        errors = []
        for signs in (None, SIGNS):
            network = NNRegressor((32, 32), monotonic_cst=signs, **options).fit(X, y)
            error = network.predict(other) - function(other)
            errors.append(np.sqrt(np.mean(error**2)))
        assert errors[0] < 0.4
        ratios.append(errors[1] / errors[0])
    # It is 1.0 on average over seeds, and differs by a tenth from seed to seed.
    assert np.mean(ratios) < 1.1


@pytest.mark.parametrize("interaction", ["no_interactions", "pairwise", "apart"])
def test_as_histogram_gradient_boosting(interaction):
    """Both parameters mean the same as there: one network and its trees agree on new rows."""
    X, other = numbers(1000), numbers(500, 5)
    y = truth(X)
    options = {"monotonic_cst": SIGNS, "interaction_cst": INTERACTIONS[interaction]}
    trees = HistGradientBoostingRegressor(**options, max_iter=60, random_state=0).fit(X, y)
    network = NNRegressor((32, 32), **options, max_iter=20, random_state=0).fit(X, y)
    assert np.corrcoef(trees.predict(other), network.predict(other))[0, 1] > 0.95
    # Turned around, both can only ignore the two columns.
    options["monotonic_cst"] = [-1, 0, 0, 1]
    for model in (trees, network):
        turned = clone(model).set_params(**options).fit(X, y)
        assert turned.score(other, truth(other)) < model.score(other, truth(other)) - 0.3


# The loss "normal" promises the mean.


def test_the_mean_keeps_the_order_and_the_deviation_is_free():
    """The noise shrinks along the column with which the mean rises."""
    X, other = np.random.default_rng(0).uniform(-1, 1, size=(2, 3000, 2))
    std = lambda X: np.exp(-1.5 * X[:, 0])  # noqa: E731
    y = 3 * X[:, 0] + np.sin(4 * X[:, 1])
    y = y + std(X) * np.random.default_rng(1).normal(size=3000)
    network = NNRegressor(
        (32, 32), loss="normal", monotonic_cst=[1, 0], max_iter=30, random_state=0
    )
    assert_monotone(network.fit(X, y), other, ((0, 1),))
    _, found = network.predict(other, return_std=True)
    assert np.mean(np.abs(found / std(other) - 1)) < 0.15


@pytest.mark.parametrize("interaction", [None, *INTERACTIONS])
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("sizes", [(), (16, 12)])
def test_the_normal_loss_with_groups_and_members(interaction, n_members, sizes):
    X = numbers(400)
    y = target(NNRegressor, X)
    network = NNRegressor(
        **{**SMALL, "hidden_layer_sizes": sizes, "max_iter": 4},
        loss="normal",
        n_members=n_members,
        monotonic_cst=SIGNS,
        interaction_cst=INTERACTIONS.get(interaction),
    )
    assert_monotone(network.fit(X, y), numbers(1000, 5))
    both = network.fit(X, np.column_stack([y, 100 * y + 5]))
    for i in range(2):
        column = lambda one, rows, i=i: one.predict(rows)[:, i]  # noqa: E731
        assert_monotone(both, numbers(1000, 5), predict=column)
    network.partial_fit(X, np.column_stack([3 * y, y]))
    assert_monotone(network, numbers(1000, 5), predict=lambda one, X: one.predict(X)[:, 0])
