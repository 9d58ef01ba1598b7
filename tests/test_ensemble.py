"""Several members in one network."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse, special
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss

from sknet.nn.ensembles import EnsembleLayer
from sknet.nn.layers import NORMALIZATIONS, Dense

MEMBERS = 4
OPTIONS = {"n_members": MEMBERS, "max_iter": 8, "learning_rate": "cosine", "random_state": 0}


def members_by_hand(network, X):
    """Return raw predictions (members, rows, columns) of plain standardize=False networks."""
    raw = []
    for m in range(network.n_members):
        a = X
        if not network.hidden_layer_sizes:
            width = network.coefs_[0].shape[1] // network.n_members
            columns = slice(m * width, (m + 1) * width)
            raw.append(X @ network.coefs_[0][:, columns] + network.intercepts_[0][columns])
            continue
        for W, b, scale in zip(
            network.coefs_[:-1], network.intercepts_[:-1], network.member_scales_, strict=True
        ):
            a = np.maximum((a * scale[m]) @ W + b[m], 0)
        raw.append(a @ network.coefs_[-1][m] + network.intercepts_[-1][m])
    return np.array(raw)


SIZES = pytest.mark.parametrize("sizes", [(), (6,), (7, 5)], ids=str)


# One member.


@pytest.mark.parametrize("sizes", [(), (6,), (7, 5)], ids=str)
def test_one_member_is_a_plain_network(problem, sizes):
    options = {"max_iter": 5, "learning_rate": "cosine", "random_state": 0}
    network = problem.cls(sizes, n_members=1, **options).fit(problem.X, problem.y)
    assert [type(layer) for layer in network._model.network.layers] == [Dense] * (
        len(sizes) + 1
    )
    assert network.member_scales_ == []
    plain = problem.cls(sizes, **options).fit(problem.X, problem.y)
    assert_array_equal(network.predict(problem.X), plain.predict(problem.X))
    assert network.loss_curve_ == plain.loss_curve_


# Widths.


@pytest.mark.parametrize(
    ("solver", "embedding"),
    [("adam", None), ("adam", "periodic"), ("lbfgs", None), ("lbfgs", "piecewise_linear")],
)
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("sizes", [1, 2, (1, 1), (2, 1), (1, 2), (1, 1, 1)], ids=str)
def test_narrow_layers(problem, sizes, n_members, solver, embedding):
    """Layers of one and of two units are trained and predict, with any number of members.

    Single rows, single columns and float32 are among the shapes.
    """
    options = {"n_members": n_members, "numeric_embedding": embedding, "max_iter": 2}
    options |= {"solver": solver, "early_stopping": False, "learning_rate_init": 1e-3}
    for n_columns, dtype in [(1, None), (5, None), (5, "float32")]:
        X = problem.X[:, :n_columns]
        network = problem.cls(sizes, **options, dtype=dtype or "auto", random_state=0)
        network.set_params(normalization=None if dtype else "layer")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(X, problem.y)
        widths = [W.shape[-1] for W in network.coefs_]
        assert widths == [*np.atleast_1d(sizes), 1]
        assert_allclose(network.predict(X[:1]), network.predict(X)[:1], rtol=1e-4)


# Attributes.


@SIZES
def test_shapes_of_the_attributes(multioutput, sizes):
    X, Y = multioutput
    network = NNRegressor(sizes, **OPTIONS).fit(X, Y)
    widths = [X.shape[1], *sizes]
    assert network.n_layers_ == len(sizes) + 2
    assert len(network.member_scales_) == len(sizes)
    for i, size in enumerate(sizes):
        assert network.coefs_[i].shape == (widths[i], size)
        assert network.intercepts_[i].shape == (MEMBERS, size)
        assert network.member_scales_[i].shape == (MEMBERS, widths[i])
        assert isinstance(network._model.network.layers[i], EnsembleLayer)
    if sizes:
        assert network.coefs_[-1].shape == (MEMBERS, widths[-1], 3)
        assert network.intercepts_[-1].shape == (MEMBERS, 3)
    else:
        assert network.coefs_[0].shape == (X.shape[1], MEMBERS * 3)


def test_the_large_matrices_are_shared(regression):
    X, y = regression
    plain, network = (
        NNRegressor((50, 50), **{**OPTIONS, "n_members": k}).fit(X, y) for k in (1, MEMBERS)
    )
    n_plain, n_members = (n._model.params.size for n in (plain, network))
    # Scales, biases and output layers have far fewer numbers than as many networks.
    assert n_plain < n_members < n_plain + MEMBERS * (5 + 4 * 50 + 50) < 2 * n_plain


# Predictions.


@SIZES
def test_the_prediction_is_the_members_mean(regression, sizes):
    X, y = regression
    network = NNRegressor(sizes, standardize=False, **OPTIONS).fit(X, y)
    members = members_by_hand(network, X)[..., 0]
    predicted, std = network.predict(X, return_std=True)
    assert_array_equal(predicted, network.predict(X))
    assert_allclose(predicted, members.mean(axis=0), rtol=1e-8)
    assert_allclose(std, members.std(axis=0), rtol=1e-7, atol=1e-9)
    assert (std > 1e-3).all()


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_the_spread_is_in_y_s_units(regression, factor):
    X, y = regression
    network = NNRegressor((6,), **OPTIONS).fit(X, factor * y)
    (raw,) = network._model.predict(X, lambda raw: (raw,))
    predicted, std = network.predict(X, return_std=True)
    assert_allclose(std, raw.std(axis=1) * factor * y.std(), rtol=1e-8)
    expected = raw.mean(axis=1) * factor * y.std() + factor * y.mean()
    assert_allclose(predicted, expected, rtol=1e-8)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_members_are_averaged_after_the_link(regression, loss):
    X, y = regression
    y = np.exp(y / 4)
    network = NNRegressor((6,), loss=loss, **OPTIONS).fit(X, y)
    (raw,) = network._model.predict(X, lambda raw: (raw,))
    members = np.exp(raw * network._model.loss.spread) * y.mean()
    predicted, std = network.predict(X, return_std=True)
    assert_allclose(predicted, members.mean(axis=1), rtol=1e-8)
    assert_allclose(std, members.std(axis=1), rtol=1e-7)


@SIZES
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_probabilities_are_averaged(request, kind, sizes):
    X, y = request.getfixturevalue(kind)
    network = NNClassifier(sizes, standardize=False, **OPTIONS).fit(X, y)
    raw = members_by_hand(network, X)
    if kind == "binary":
        positive = special.expit(raw)
        members = np.concatenate([1 - positive, positive], axis=2)
    else:
        members = special.softmax(raw, axis=2) if kind == "multiclass" else special.expit(raw)
    proba, std = network.predict_proba(X, return_std=True)
    assert_array_equal(proba, network.predict_proba(X))
    assert_allclose(proba, members.mean(axis=0), rtol=1e-8)
    assert_allclose(std, members.std(axis=0), rtol=1e-6, atol=1e-9)
    assert_allclose(network.predict_log_proba(X), np.log(proba))
    if kind != "multilabel":
        assert_allclose(proba.sum(axis=1), 1)
    # The mean of the logits differs from the logit of the mean.
    assert (
        np.abs(special.expit(raw.mean(axis=0)) - special.expit(raw).mean(axis=0)).max() > 1e-4
    )


@SIZES
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_decision_function_ranks_as_the_probabilities(request, kind, sizes):
    X, y = request.getfixturevalue(kind)
    network = NNClassifier(sizes, **OPTIONS).fit(X, y)
    # This holds also far from the data, where the members' logits differ most.
    X = np.vstack([X, 5 * X])
    decision, proba = network.decision_function(X), network.predict_proba(X)
    predicted = network.predict(X)
    if kind == "binary":
        assert decision.shape == (len(X),)
        assert_allclose(special.expit(decision), proba[:, 1], rtol=1e-8)
        assert_array_equal(predicted, network.classes_[(decision > 0).astype(int)])
        decision, proba = decision[:, np.newaxis], proba[:, 1:]
    elif kind == "multiclass":
        assert_array_equal(predicted, network.classes_[decision.argmax(axis=1)])
        assert_array_equal(predicted, network.classes_[proba.argmax(axis=1)])
        assert_allclose(special.softmax(decision, axis=1), proba, rtol=1e-8)
    else:
        assert_array_equal(predicted, decision > 0)
        assert_array_equal(predicted, proba > 0.5)
    for one, other in zip(decision.T, proba.T, strict=True):
        order = np.argsort(one)
        assert (np.diff(other[order]) >= 0).all()


@pytest.mark.parametrize("to", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@SIZES
def test_shapes_and_dtypes(multioutput, multilabel, sizes, to, dtype):
    X, Y = multioutput
    X = to(X.astype(dtype))
    for y in (Y[:, 0], Y):
        predicted, std = NNRegressor(sizes, **OPTIONS).fit(X, y).predict(X, return_std=True)
        assert predicted.shape == std.shape == y.shape
        assert predicted.dtype == std.dtype == dtype
        assert (std >= 0).all() and (std > 0).any()
    network = NNRegressor(sizes, loss="quantile", quantile=[0.1, 0.5, 0.9], **OPTIONS)
    predicted, std = network.fit(X, Y[:, 0]).predict(X, return_std=True)
    assert predicted.shape == std.shape == (X.shape[0], 3)
    assert (np.diff(predicted, axis=1) >= 0).all()
    X, Y = multilabel
    proba, std = (
        NNClassifier(sizes, **OPTIONS)
        .fit(to(X.astype(dtype)), Y)
        .predict_proba(to(X.astype(dtype)), return_std=True)
    )
    assert proba.shape == std.shape == Y.shape
    assert proba.dtype == std.dtype == dtype


@SIZES
def test_sparse_rows_equal_dense_ones(multioutput, sizes):
    X, Y = multioutput
    X = np.where(np.abs(X) < 0.7, 0, X)
    dense, of_sparse = (
        NNRegressor(sizes, standardize=False, **OPTIONS).fit(rows, Y)
        for rows in (X, sparse.csr_matrix(X))
    )
    one, other = dense.predict(X, return_std=True), of_sparse.predict(X, return_std=True)
    assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_they_learn(multiclass, regression):
    options = {"n_members": 6, "max_iter": 60, "learning_rate": "cosine", "random_state": 0,
               "learning_rate_init": 0.02, "batch_size": 20}  # fmt: skip
    X, y = multiclass
    assert NNClassifier((16,), **options).fit(X, y).score(X, y) > 0.95
    X, y = regression
    assert NNRegressor((16,), **options).fit(X, y).score(X, y) > 0.97


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
def test_every_solver_and_normalization(regression, solver, normalization):
    X, y = regression
    options = {"max_iter": 30, "learning_rate": "cosine"}
    if solver == "lbfgs":
        options = {"max_iter": 3000, "early_stopping": True}
    network = NNRegressor(
        (8, 8), "tanh", n_members=3, solver=solver, normalization=normalization,
        learning_rate_init=0.1 if solver == "sgd" else 0.02, batch_size=20, random_state=0,
        **options,
    )  # fmt: skip
    # The score of twelve rows may end lbfgs early.
    linear = LinearRegression().fit(X, y).score(X, y)
    assert network.fit(X, y).score(X, y) > (0.7 if solver == "lbfgs" else linear)
    assert (network.predict(X, return_std=True)[1] > 0).all()


@pytest.mark.usefixtures("without_temperature")
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_watches_the_mean_prediction(binary, weighted):
    X, y = binary
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else np.ones(len(y))
    network = NNClassifier(
        (6,), early_stopping="auto", **{**OPTIONS, "standardize": False, "alpha": 0.0}
    )
    network.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:], sample_weight_val=weight[80:])
    raw = members_by_hand(network, X[80:])[..., 0]
    proba = (1 / (1 + np.exp(-raw))).mean(axis=0)
    expected = log_loss(y[80:], proba, sample_weight=weight[80:])
    best = network.history_["validation_loss"][network.best_iter_ - 1]
    assert best == pytest.approx(expected)


def test_each_member_s_loss_counts_in_training(binary):
    # One batch an epoch: the first loss is of the initial parameters, which a rate next to
    # nothing leaves as they are.
    X, y = binary
    options = {**OPTIONS, "standardize": False, "alpha": 0.0, "learning_rate_init": 1e-12}
    network = NNClassifier((6,), **{**options, "batch_size": len(y)}).fit(X, y)
    raw = members_by_hand(network, X)[..., 0]
    expected = (np.logaddexp(0, raw) - y * raw).mean()
    assert network.loss_curve_[0] == pytest.approx(expected, rel=1e-6)


def test_dropout_differs_among_members(regression):
    # Dropout that is shared would drop the same units in all members.
    X, y = regression
    one, other = (
        NNRegressor((20,), **{**OPTIONS, "dropout": rate}).fit(X, y) for rate in (0, 0.5)
    )
    assert np.abs(one.predict(X) - other.predict(X)).max() > 1e-3


def test_members_disagree_more_outside_of_the_training_range():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 1))
    y = np.sin(3 * x[:, 0]) + 0.05 * rng.normal(size=600)
    network = NNRegressor(
        (32, 32), n_members=8, standardize=False, max_iter=100, learning_rate="cosine",
        learning_rate_init=0.01, batch_size=50, random_state=0,
    )  # fmt: skip
    network.fit(x, y)
    inside = np.linspace(-0.9, 0.9, 50)[:, np.newaxis]
    outside = np.r_[np.linspace(-4, -2, 25), np.linspace(2, 4, 25)][:, np.newaxis]
    _, std_inside = network.predict(inside, return_std=True)
    _, std_outside = network.predict(outside, return_std=True)
    assert np.median(std_outside) > 3 * np.median(std_inside)


def test_classifiers_disagree_most_at_the_border():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = (X[:, 0] > 0).astype(int)
    network = NNClassifier(
        (16,), **{**OPTIONS, "max_iter": 100}, batch_size=40, learning_rate_init=0.02
    ).fit(X, y)
    _, std = network.predict_proba(X, return_std=True)
    # The probabilities of two classes add up to one, so their deviations are equal.
    assert_allclose(std[:, 0], std[:, 1], atol=1e-12)
    near = np.abs(X[:, 0]) < 0.2
    assert std[near, 1].mean() > std[np.abs(X[:, 0]) > 1, 1].mean()


# Refusals.


def test_one_member_has_no_standard_deviation(regression, binary):
    """The message names first what estimates the variation of y."""
    X, y = regression
    network = NNRegressor((4,), max_iter=2, learning_rate="cosine").fit(X, y)
    with pytest.raises(ValueError, match="needs .*loss='normal'.*n_members=8.*no interval"):
        network.predict(X, return_std=True)
    X, y = binary
    network = NNClassifier((4,), max_iter=2, learning_rate="cosine").fit(X, y)
    with pytest.raises(
        ValueError, match="return_std=True needs .* members: set n_members"
    ) as e:
        network.predict_proba(X, return_std=True)
    assert "normal" not in str(e.value)


def test_one_member_has_no_standard_deviation_of_several_columns_of_classes(binary):
    X, y = binary
    Y = np.column_stack([y, np.arange(len(y)) % 3])
    network = NNClassifier((4,), n_members=1, max_iter=2, learning_rate="cosine").fit(X, Y)
    with pytest.raises(ValueError, match="return_std=True needs several members"):
        network.predict_proba(X, return_std=True)


@pytest.mark.parametrize("n_members", [0, -1, 2.5, "two", None])
def test_members_are_a_positive_integer(problem, n_members, forbid_training):
    forbid_training()
    with pytest.raises(ValueError, match="'n_members' parameter .* must be an int"):
        problem.cls(n_members=n_members).fit(problem.X, problem.y)


def test_numpy_s_integers_are_integers(regression):
    X, y = regression
    one = NNRegressor((4,), **{**OPTIONS, "n_members": np.int64(3)}).fit(X, y)
    other = NNRegressor((4,), **{**OPTIONS, "n_members": 3}).fit(X, y)
    assert_array_equal(one.predict(X), other.predict(X))
