"""``monotonic_cst``: predictions are monotone in constrained columns, and free in others."""

import pickle
import re
import warnings

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
    pairs,
    predicted,
    target,
    truth,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sknet import NNClassifier, NNRegressor
from sknet._base import fitted
from sknet.callbacks import Checkpoint
from sknet.inspection import input_gradients, integrated_gradients
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, Periodic
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.links import Link
from sknet.nn.losses import SquaredError
from sknet.streaming import RowBlocks, fit_chunks

every_estimator = pytest.mark.parametrize("cls", [NNRegressor, NNClassifier])


@every_estimator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("embedding", ["auto", None, *NUMERIC_EMBEDDINGS])
def test_no_pair_of_rows_is_in_the_wrong_order(cls, dtype, n_members, embedding):
    X = numbers(400)
    network = cls(
        **SMALL,
        monotonic_cst=SIGNS,
        dtype=dtype,
        n_members=n_members,
        numeric_embedding=embedding,
    )
    assert_monotone(network.fit(X, target(cls, X)), numbers(3000, 5))


@every_estimator
@pytest.mark.parametrize("n_members", [1, 2])
def test_with_categories_and_missing_values(cls, n_members):
    X = frame(400, missing=True)
    network = cls(**SMALL, monotonic_cst={"a": 1, "d": -1}, n_members=n_members)
    network.fit(X, target(cls, X.loc[:, "a":"d"]))
    rows = frame(3000, 5, missing=True)
    rows.loc[::7, "few"] = np.nan  # none of the levels
    assert_monotone(network, rows, (("a", 1), ("d", -1)))


@every_estimator
def test_a_row_has_one_prediction_wherever_it_is(cls):
    """Rounding does not depend on the place in a block, or on the rows beside."""
    X = numbers(400)
    network = cls(**SMALL, monotonic_cst=SIGNS).fit(X, target(cls, X))
    rows = numbers(150, 5)
    whole = predicted(network, rows)
    for shift in (1, 13, 64, 149):
        assert_allclose(predicted(network, rows[shift:]), whole[shift:], rtol=0, atol=SLACK)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("n_members", [1, 2])
def test_every_solver(solver, l1_ratio, n_members):
    X = numbers(300)
    network = NNRegressor(
        (8, 8),
        solver=solver,
        alpha=1e-3,
        l1_ratio=l1_ratio,
        max_iter=30,
        n_members=n_members,
        early_stopping=False,
        monotonic_cst=SIGNS,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, target(NNRegressor, X))
    assert_monotone(network, numbers(2000, 5))


@pytest.mark.parametrize(
    "options",
    [
        {"ema_decay": None},
        {"ema_decay": 0.9, "learning_rate": "cosine"},
        {"dropout": 0.3, "mixup": 0.2, "input_noise": 0.1},
        {"standardize": False},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (1, 3, 1)},
        {"batch_size": 17, "shuffle": False},
        {"early_stopping": True, "validation_fraction": 0.3},
    ],
    ids=lambda one: ",".join(one),
)
@every_estimator
def test_with_other_options(cls, options):
    X = numbers(300)
    network = cls(**{**SMALL, **options}, monotonic_cst=SIGNS)
    assert_monotone(network.fit(X, target(cls, X)), numbers(2000, 5))


class Unknown(Activation):
    """An activation that does not say that it is monotone, which it is not."""

    def forward(self, z, a):
        np.sin(z, out=a)

    def backward(self, z, a, delta):
        # Sine from its value alone, as far as the sign matters here.
        delta *= np.sqrt(np.maximum(1 - a**2, 0))


@pytest.mark.parametrize("activation", [*ACTIVATIONS, Unknown()])
def test_every_activation(activation):
    X = numbers(400)
    network = NNRegressor(**SMALL, activation=activation, monotonic_cst=SIGNS)
    # Approximations of exp and log are monotone up to the last bits.
    exact = {"identity", "relu", "leaky_relu", "silu", "gelu", "mish"}
    slack = SLACK if activation in exact else 1e-12
    assert_monotone(network.fit(X, target(NNRegressor, X)), numbers(2000, 5), slack=slack)


@pytest.mark.parametrize(
    "loss", ["absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie"]
)
@pytest.mark.parametrize("n_members", [1, 2])
def test_every_loss(loss, n_members):
    X = numbers(400)
    network = NNRegressor(**SMALL, loss=loss, n_members=n_members, monotonic_cst=SIGNS)
    y = np.exp(target(NNRegressor, X) / 3)
    # The approximation of exp is monotone up to the last bits.
    assert_monotone(network.fit(X, y), numbers(2000, 5), slack=1e-12)


def test_several_quantiles_and_several_outputs():
    X = numbers(400)
    y = target(NNRegressor, X)
    levels = NNRegressor(
        **SMALL, loss="quantile", quantile=[0.1, 0.5, 0.9], monotonic_cst=SIGNS
    ).fit(X, y)
    both = NNRegressor(**SMALL, monotonic_cst=SIGNS).fit(X, np.column_stack([y, 5 * y + 1]))
    for network, n_columns in ((levels, 3), (both, 2)):
        for i in range(n_columns):
            column = lambda one, rows, i=i: one.predict(rows)[:, i]  # noqa: E731
            assert_monotone(network, numbers(2000, 5), slack=1e-12, predict=column)


@every_estimator
def test_logits_and_labels(cls):
    X = numbers(400)
    network = NNClassifier(**SMALL, n_members=2, monotonic_cst=SIGNS)
    network.fit(X, target(NNClassifier, X))
    rows = numbers(2000, 5)
    # An ensemble's logit is the logarithm of its mean probability.
    assert_monotone(network, rows, slack=1e-12, predict=lambda one, X: one.decision_function(X))
    is_yes = lambda one, X: (one.predict(X) == "yes").astype(float)  # noqa: E731
    low, high = pairs(rows, 0)
    assert (is_yes(network, high) >= is_yes(network, low)).all()


def test_sparse_rows():
    rng = np.random.default_rng(0)
    X = numbers(400) * (rng.random((400, 4)) < 0.5)
    network = NNRegressor(**SMALL, monotonic_cst=SIGNS)
    network.fit(sparse.csr_array(X), target(NNRegressor, X))
    as_sparse = lambda one, rows: one.predict(sparse.csr_array(rows))  # noqa: E731
    assert_monotone(network, numbers(2000, 5), predict=as_sparse)
    assert_monotone(network, numbers(2000, 5))


def test_float32_rows():
    X = numbers(400).astype(np.float32)
    network = NNRegressor(**SMALL, monotonic_cst=SIGNS).fit(X, target(NNRegressor, X))
    assert network.predict(X).dtype == np.float32
    assert_monotone(network, numbers(2000, 5).astype(np.float32))


# Ways to train.


@every_estimator
def test_after_each_call_of_partial_fit(cls):
    X = numbers(900)
    y = target(cls, X)
    network = cls(**SMALL, monotonic_cst=SIGNS)
    for start in range(0, 900, 300):
        rows = slice(start, start + 300)
        # The scale of y changes, and the output layer with it.
        scaled = y[rows] * (1 + start) if cls is NNRegressor else y[rows]
        options = {} if cls is NNRegressor else {"classes": ["no", "yes"]}
        network.partial_fit(X[rows], scaled, **options)
        assert_monotone(network, numbers(1000, 5))


@every_estimator
def test_continued_fits(cls, tmp_path):
    X = numbers(400)
    y = target(cls, X)
    network = cls(**SMALL, warm_start=True, monotonic_cst=SIGNS).fit(X, y)
    assert_monotone(network.fit(X, y), numbers(1000, 5))
    with pytest.raises(ValueError, match=r"layers have changed.*monotonic_cst"):
        network.set_params(monotonic_cst=None).fit(X, y)


@needs_callbacks
def test_a_resumed_fit_is_the_same(tmp_path):
    X = numbers(400)
    y = target(NNRegressor, X)
    network = NNRegressor(**SMALL, monotonic_cst=SIGNS)
    network.set_callbacks(Checkpoint(tmp_path / "fit.joblib", every=3)).fit(X, y)
    resumed = clone(NNRegressor(**SMALL, monotonic_cst=SIGNS))
    resumed.fit(X, y, resume_from=tmp_path / "fit.joblib")
    assert_array_equal(resumed.predict(X), network.predict(X))
    assert_monotone(resumed, numbers(1000, 5))


@every_estimator
def test_validation_rows_and_weights(cls):
    X = numbers(400)
    y = target(cls, X)
    weight = np.random.default_rng(0).exponential(size=400)
    network = cls(**SMALL, monotonic_cst=SIGNS)
    network.fit(X, y, weight, X_val=X[:50], y_val=y[:50])
    assert_monotone(network, numbers(1000, 5))


def test_rows_in_blocks_and_chunks():
    X = numbers(400)
    y = target(NNRegressor, X)
    network = NNRegressor(**SMALL, monotonic_cst=SIGNS)
    in_blocks = clone(network).fit(RowBlocks(X, block_rows=100), y)
    assert_monotone(in_blocks, numbers(1000, 5))
    assert_array_equal(in_blocks.predict(RowBlocks(X, block_rows=33)), in_blocks.predict(X))
    chunks = [(X[i : i + 100], y[i : i + 100]) for i in range(0, 400, 100)]
    assert_monotone(fit_chunks(clone(network), chunks), numbers(1000, 5))


# What a constraint is.


@every_estimator
def test_zeros_are_no_constraint(cls):
    X = numbers(200)
    y = target(cls, X)
    plain = cls(**SMALL).fit(X, y)
    for nothing in ([0, 0, 0, 0], {}):
        zeros = cls(**SMALL, monotonic_cst=nothing).fit(X, y)
        assert_array_equal(predicted(zeros, X), predicted(plain, X))
        assert_array_equal(fitted(zeros)[1].params, fitted(plain)[1].params)


def test_names_and_positions_are_the_same():
    X = frame(200)
    y = target(NNRegressor, X.loc[:, "a":"d"])
    by_name = NNRegressor(**SMALL, monotonic_cst={"a": 1, "d": -1, "b": 0}).fit(X, y)
    in_order = NNRegressor(**SMALL, monotonic_cst=np.array([0, 1, 0, 0, -1, 0])).fit(X, y)
    assert_array_equal(by_name.predict(X), in_order.predict(X))


def test_the_direction_is_that_of_the_second_class():
    X = numbers(400)
    y = truth(X) > 0
    for labels in (["a", "z"], ["z", "a"]):
        network = NNClassifier(**SMALL, monotonic_cst=[1 if labels[0] == "a" else -1, 0, 0, 0])
        network.fit(X, np.where(y, labels[1], labels[0]))
        assert network.score(X, np.where(y, labels[1], labels[0])) > 0.8


def test_a_constraint_against_the_data_holds():
    """The best function that rises where the data fall is constant there."""
    X = numbers(600)
    y = -3 * X[:, 0] + np.sin(2 * X[:, 1])
    network = NNRegressor((32, 32), max_iter=30, monotonic_cst=[1, 0, 0, 0], random_state=0)
    network.fit(X, y)
    low, high = np.tile(X[:100], (2, 1, 1))
    low[:, 0], high[:, 0] = -2, 2
    rise = network.predict(high) - network.predict(low)
    assert (rise >= 0).all() and rise.mean() < 0.2


def test_free_columns_are_free():
    """The constraint on one column leaves any function of the others, and interactions."""
    X = numbers(1500)
    y = np.sin(3 * X[:, 1]) * np.sign(X[:, 2]) + np.where(X[:, 1] > 0, X[:, 0], 0.0)
    options = {"hidden_layer_sizes": (64, 64), "max_iter": 40, "random_state": 0}
    free = NNRegressor(**options).fit(X, y)
    constrained = NNRegressor(**options, monotonic_cst=[1, 0, 0, 0]).fit(X, y)
    other = numbers(1000, 9)
    y = np.sin(3 * other[:, 1]) * np.sign(other[:, 2]) + np.where(
        other[:, 1] > 0, other[:, 0], 0
    )
    assert constrained.score(other, y) > free.score(other, y) - 0.02 > 0.9


@pytest.mark.parametrize(
    "shape",
    [np.exp, lambda x: -np.exp(-x), lambda x: np.tanh(3 * x), np.floor],
    ids=["convex", "concave", "s-shaped", "steps"],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_any_monotone_shape_can_be_learned(shape, sign):
    """Weights of one sign with a convex activation alone would give convex functions."""
    x = np.random.default_rng(0).uniform(-2, 2, size=(800, 1))
    y = sign * shape(x[:, 0])
    network = NNRegressor(random_state=0, max_iter=40, monotonic_cst=[sign]).fit(x, y)
    assert network.score(x, y) > 0.985


def test_as_histogram_gradient_boosting():
    """The test of scikit-learn's trees: noisy waves around a trend, and categories between."""
    rng = np.random.default_rng(0)
    rising, falling = rng.random((2, 1000))
    other = rng.integers(0, 9, size=(3, 1000))
    X = np.column_stack([other[0], rising, other[1], falling, other[2]])
    y = 5 * rising + np.sin(10 * np.pi * rising) - 5 * falling - np.cos(10 * np.pi * falling)
    options = {"monotonic_cst": [0, 1, 0, -1, 0], "categorical_features": [0, 2, 4]}
    network = NNRegressor(**SMALL, **options).fit(X, y)
    line, constant = np.linspace(0, 1, 100), np.full(100, 0.5)
    rows = np.column_stack([constant, line, constant, constant, constant])
    assert (np.diff(network.predict(rows)) >= -SLACK).all()
    rows = np.column_stack([constant, constant, constant, line, constant])
    assert (np.diff(network.predict(rows)) <= SLACK).all()


# What a fitted network shows.


def test_coefs_have_the_signs():
    X = numbers(400)
    network = NNRegressor(
        (8, 6), numeric_embedding=None, monotonic_cst=SIGNS, max_iter=20, random_state=0
    ).fit(X, target(NNRegressor, X))
    first, second, last = network.coefs_
    # Half of the units are free: they do not see the constrained columns.
    assert not first[[0, 3], :4].any() and not second[4:, :3].any()
    assert (first[0, 4:] >= 0).all() and (first[3, 4:] <= 0).all()
    assert (second[4:, 3:] >= 0).all() and (last[3:] >= 0).all()
    for free in (first[1:3], second[:4]):
        assert (free > 0).any() and (free < 0).any()


def test_scales_of_members_keep_the_order():
    X = numbers(400)
    network = NNRegressor(
        (8, 6), numeric_embedding=None, monotonic_cst=SIGNS, n_members=5, max_iter=20,
        learning_rate_init=0.1, random_state=0,
    ).fit(X, target(NNRegressor, X))  # fmt: skip
    first, second = network.member_scales_
    assert (first[:, [0, 3]] >= 0).all() and (first[:, 1:3] < 0).any()
    assert (second[:, 4:] >= 0).all()


def test_columns_with_constraints_have_no_indicators_of_heavy_values():
    """An indicator would let the prediction jump at a single value."""
    X = numbers(500)
    X[::3] = 0.0
    y = target(NNClassifier, X)
    plain = NNClassifier(**SMALL).fit(X, y).encoded_feature_names_.tolist()
    network = NNClassifier(**SMALL, monotonic_cst=SIGNS).fit(X, y)
    names = network.encoded_feature_names_.tolist()
    assert {"x0=0", "x1=0"} <= set(plain)
    assert "x0=0" not in names and "x1=0" in names
    assert_monotone(network, numbers(1000, 5))


def test_names_of_encoded_columns_keep_the_order_of_the_columns():
    X = numbers(300)
    network = NNClassifier(**SMALL, numeric_embedding=Periodic(size=3), monotonic_cst=SIGNS)
    names = network.fit(X, target(NNClassifier, X)).encoded_feature_names_
    assert names.tolist() == [f"x{i}_{j}" for i in range(4) for j in range(3)]


@every_estimator
def test_a_pickle_and_a_clone_and_a_search(cls):
    X = numbers(300)
    y = target(cls, X)
    network = cls(**SMALL, monotonic_cst=SIGNS).fit(X, y)
    loaded = pickle.loads(pickle.dumps(network))
    assert_array_equal(predicted(loaded, X), predicted(network, X))
    assert clone(network).monotonic_cst == SIGNS
    grid = {"monotonic_cst": [None, SIGNS, {}]}
    search = GridSearchCV(cls(**SMALL), {"monotonic_cst": grid["monotonic_cst"][:2]}, cv=2)
    assert search.fit(X, y).best_params_["monotonic_cst"] in grid["monotonic_cst"]


@pytest.mark.parametrize("n_members", [1, 2])
def test_attributions(n_members):
    X = frame(300, missing=True)
    network = NNRegressor(**SMALL, n_members=n_members, monotonic_cst={"a": 1, "d": -1})
    network.fit(X, target(NNRegressor, X.loc[:, "a":"d"]))
    slopes = input_gradients(network, X)
    assert (slopes[:, 1] >= 0).all() and (slopes[:, 4] <= 0).all()
    assert (slopes[:, 2] < 0).any() and (slopes[:, 2] > 0).any()
    explained = integrated_gradients(network, X).sum(axis=1)
    # What is left is the prediction of the baseline, which is the same for all rows.
    assert_allclose(np.ptp(network.predict(X) - explained), 0, atol=1e-4)


# Errors.

ERRORS = {
    "shape": (
        [1, 0, -1],
        r"monotonic_cst has shape \(3,\) but the input data X has 4 features",
    ),
    "2-D": ([[1, 0, 0, -1]], r"monotonic_cst has shape \(1, 4\)"),
    "two": ([2, 0, 0, 0], r"array-like of -1, 0 or 1. Observed values: \[2\]"),
    "fraction": ([0.3, -0.7, 0, 0], r"Observed values: \[-0.7, 0.3\]"),
    "text": (["+", 0, 0, 0], r"Observed values: \['\+'\]"),
    "NaN": ([np.nan, 0, 0, 0], r"Observed values: \[nan\]"),
    "no names": ({"a": 1}, r"was not fitted on data with feature names. Pass monotonic_cst as"),
    "a number": (1, "The 'monotonic_cst' parameter of"),
}


@every_estimator
@pytest.mark.parametrize(("cst", "message"), ERRORS.values(), ids=ERRORS)
def test_constraints_that_do_not_suit_an_array(cls, cst, message):
    X = numbers(60)
    network = cls(**SMALL, monotonic_cst=cst)
    with pytest.raises(ValueError, match=message):
        network.fit(X, target(cls, X))
    assert not hasattr(network, "n_features_in_")


NAMED = {
    "unknown": ({"z": 1, "a": 1, "y": -1}, "contains 2 unexpected feature names: ['y', 'z']."),
    "many": (
        dict.fromkeys("efghijk", 1),
        "contains 7 unexpected feature names: ['e', 'f', 'g', 'h', 'i', '...'].",
    ),
    "not a sign": ({"a": "+"}, "monotonic_cst['a'] must be either -1, 0 or 1. Got '+'."),
    "category": ({"few": 1}, "Categorical features cannot have monotonic constraints"),
    "categories": ([1, 0, 0, 0, 0, 1], "monotonic_cst has some for ['few', 'many']"),
    "number of a list": ([1] * 5, "monotonic_cst has shape (5,) but the input data X has 6"),
}


@pytest.mark.parametrize(("cst", "message"), NAMED.values(), ids=NAMED)
def test_constraints_that_do_not_suit_a_frame(cst, message):
    X = frame(60)
    network = NNRegressor(**SMALL, monotonic_cst=cst)
    with pytest.raises(ValueError, match=re.escape(message)):
        network.fit(X, target(NNRegressor, X.loc[:, "a":"d"]))


class Cosine(Link):
    """An inverse link that falls."""

    def inverse(self, raw):
        return np.cos(raw)

    def inverse_backward(self, raw, delta):
        return -np.sin(raw) * delta


class Falling(SquaredError):  # noqa: N818
    """A loss whose inverse link falls."""

    link = Cosine()


@pytest.mark.parametrize(
    ("cls", "options", "y", "message"),
    [
        (NNClassifier, {}, np.arange(60) % 3, "not supported for multiclass classification"),
        (NNClassifier, {}, np.eye(60, 2, dtype=int), "not supported for multilabel"),
        (NNRegressor, {"normalization": "layer"}, np.arange(60.0), "Set normalization=None"),
        (NNRegressor, {"loss": Falling()}, np.arange(60.0), "rising = True"),
    ],
)
def test_constraints_that_do_not_suit_the_task(cls, options, y, message):
    network = cls(**SMALL, **options, monotonic_cst=SIGNS)
    with pytest.raises(ValueError, match=message):
        network.fit(numbers(60), y)
    assert not hasattr(network, "history_")
    if cls is NNClassifier:
        # All zeros is no constraint.
        network.set_params(monotonic_cst=[0] * 4).fit(numbers(60), y)


def test_a_single_class_has_a_constant_probability():
    network = NNClassifier(**SMALL, monotonic_cst=SIGNS).fit(numbers(20), np.zeros(20))
    assert_array_equal(network.predict(numbers(5)), 0)
