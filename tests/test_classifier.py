"""NNClassifier: labels, probabilities and logits."""

from enum import Enum, StrEnum

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier
from scipy import sparse
from scipy.special import expit, log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sknet.nn.activations import ACTIVATIONS, LeakyReLU
from sknet.nn.losses import BinaryLogLoss
from sknet.streaming import fit_chunks

QUICK = {
    "learning_rate": "cosine",
    "learning_rate_init": 0.02,
    "max_iter": 30,
    "batch_size": 10,
    "random_state": 0,
}


def quick(**parameters):
    return NNClassifier(**{"hidden_layer_sizes": (8,), **QUICK, **parameters})


# Relations between the outputs.


def test_binary_outputs_agree(binary):
    X, y = binary
    network = quick().fit(X, y)
    logit, proba = network.decision_function(X), network.predict_proba(X)
    assert logit.shape == (len(y),)
    assert network.out_activation_ == "logistic"
    assert network.n_outputs_ == 1
    assert_allclose(proba, np.column_stack([expit(-logit), expit(logit)]), rtol=1e-12)
    assert_allclose(network.predict_log_proba(X), np.log(proba))
    assert_array_equal(network.predict(X), (logit > 0).astype(int))
    assert network.score(X, y) > 0.8


def test_multiclass_outputs_agree(multiclass):
    X, y = multiclass
    network = quick().fit(X, y)
    logits, proba = network.decision_function(X), network.predict_proba(X)
    assert logits.shape == (len(y), 3)
    assert network.out_activation_ == "softmax"
    assert list(network.classes_) == ["ash", "beech", "cedar"]
    assert_allclose(proba, softmax(logits, axis=1), rtol=1e-12)
    assert_allclose(network.predict_log_proba(X), log_softmax(logits, axis=1), rtol=1e-9)
    assert_array_equal(network.predict(X), network.classes_[logits.argmax(axis=1)])


def test_multilabel_outputs_agree(multilabel):
    X, Y = multilabel
    network = quick().fit(X, Y)
    logits, proba = network.decision_function(X), network.predict_proba(X)
    assert logits.shape == proba.shape == Y.shape
    assert network.out_activation_ == "logistic"
    assert network.n_outputs_ == 3
    assert_array_equal(network.classes_, [0, 1, 2])
    assert_allclose(proba, expit(logits), rtol=1e-12)
    assert_allclose(network.predict_log_proba(X), np.log(proba))
    assert_array_equal(network.predict(X), (proba > 0.5).astype(int))
    assert np.mean(network.predict(X) == Y) > 0.85


def test_the_reported_loss_is_the_log_loss(binary, multiclass, multilabel):
    def loss_of(X, y):
        # The second fit reports the loss of the parameters that the first fit ended with.
        network = quick(batch_size=1000, alpha=0.0, warm_start=True, max_iter=1).fit(X, y)
        proba = network.predict_proba(X)
        return network.fit(X, y).loss_, proba

    for X, y in [binary, multiclass]:
        loss, proba = loss_of(X, y)
        assert_allclose(loss, log_loss(y, proba), rtol=1e-9)
    X, Y = multilabel
    loss, proba = loss_of(X, Y)
    # The loss of a multi-label target is summed over the labels.
    assert_allclose(loss, sum(log_loss(Y[:, j], proba[:, j]) for j in range(3)), rtol=1e-9)


# Against scikit-learn's own linear model.


@pytest.mark.parametrize("weighted", [False, True])
def test_without_hidden_layers_it_is_logistic_regression(binary, multiclass, weighted):
    for X, y in [binary, multiclass]:
        weight = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else None
        network = NNClassifier(
            (), solver="lbfgs", alpha=0.01, standardize=False, tol=1e-8, max_iter=2000
        ).fit(X, y, sample_weight=weight)
        total = len(y) if weight is None else weight.sum()
        reference = LogisticRegression(C=1 / (0.01 * total), tol=1e-8, max_iter=5000)
        reference.fit(X, y, sample_weight=weight)
        assert_allclose(network.predict_proba(X), reference.predict_proba(X), atol=1e-4)
        coef = network.coefs_[0].T
        if len(coef) == 1:
            assert_allclose(coef, reference.coef_, atol=1e-4)


def test_multilabel_is_one_logistic_regression_a_label(multilabel):
    X, Y = multilabel
    network = NNClassifier(
        (), solver="lbfgs", alpha=0.01, standardize=False, tol=1e-8, max_iter=2000
    ).fit(X, Y)
    for j in range(3):
        reference = LogisticRegression(C=1 / (0.01 * len(Y)), tol=1e-8).fit(X, Y[:, j])
        expected = reference.predict_proba(X)[:, 1]
        assert_allclose(network.predict_proba(X)[:, j], expected, atol=1e-4)


# Labels.


@pytest.mark.parametrize(
    "labels",
    [
        np.array([False, True]),
        np.array([-1, 1]),
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
        np.array([2.0, 7.0]),
        np.array([10**12, 10**12 + 1]),
    ],
    ids=lambda labels: f"{labels.dtype}",
)
def test_labels_of_any_kind_come_back(binary, labels):
    X, y = binary
    network = quick().fit(X, labels[y])
    predictions = network.predict(X)
    assert_array_equal(network.classes_, labels)
    # scikit-learn's encoder turns an object array of strings into an array of strings.
    assert network.classes_.dtype.kind == ("U" if labels.dtype == object else labels.dtype.kind)
    assert predictions.dtype == network.classes_.dtype
    # The labels' names do not change the fit.
    assert_array_equal(predictions, labels[quick().fit(X, y).predict(X)])
    assert network.fit(X, list(labels[y])).score(X, labels[y]) > 0.8


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:y has a single class")
def test_one_class(binary, solver):
    X, _ = binary
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    network = quick(solver=solver, learning_rate=learning_rate).fit(X, np.full(len(X), "oak"))
    assert list(network.classes_) == ["oak"]
    assert set(network.predict(X)) == {"oak"}
    assert_allclose(network.predict_proba(X), np.ones((len(X), 1)))
    assert np.isfinite(network.predict_log_proba(X)).all()
    assert network.score(X, np.full(len(X), "oak")) == 1


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:y has a single class")
def test_one_row(solver):
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    network = quick(solver=solver, learning_rate=learning_rate).fit([[1.0, 2.0]], ["oak"])
    assert list(network.predict([[1.0, 2.0], [5.0, 5.0]])) == ["oak", "oak"]


def test_a_label_that_no_row_has(multilabel):
    X, Y = multilabel
    Y = np.column_stack([Y, np.zeros(len(Y), int), np.ones(len(Y), int)])
    network = quick(max_iter=60).fit(X, Y)
    assert not network.predict(X)[:, 3].any()
    assert network.predict(X)[:, 4].all()


def test_a_sparse_multilabel_target(multilabel):
    X, Y = multilabel
    dense = quick(early_stopping=True).fit(X, Y)
    for as_sparse in [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array]:
        network = quick(early_stopping=True).fit(X, as_sparse(Y))
        assert_array_equal(network.predict_proba(X), dense.predict_proba(X))


def test_a_sparse_target_has_zeros_and_ones(multilabel, forbid_training):
    X, Y = multilabel
    for strange in (5 * Y, Y + 1, np.vstack([[[1, 2, 0]], Y[1:]]), -Y):
        with pytest.raises(ValueError, match="sparse y must have zeros and ones"):
            quick().fit(X, sparse.csr_matrix(strange))


@pytest.mark.parametrize("values", [(5, 7), (-1, 1), (1, 2), (5.0, 7.0)])
def test_columns_of_two_whole_numbers_are_classes(multilabel, values):
    """For scikit-learn they are multi-label, so that 5 and 7 would be predicted as 1."""
    X, Y = multilabel
    found = quick(max_iter=20).fit(X, np.array(values)[Y]).predict(X)
    assert (found == np.array(values)[Y]).mean() > 0.8
    assert_array_equal(np.unique(found), values)


@pytest.mark.parametrize("later", ["y_val", "partial_fit", "warm_start", "chunks"])
@pytest.mark.parametrize("kind", [int, str])
def test_later_rows_of_a_multilabel_target_have_zeros_and_ones(multilabel, later, kind):
    X, Y = multilabel
    strange = (2 * Y - 1).astype(kind)
    network = quick(early_stopping=True, warm_start=later == "warm_start")
    if later in ("partial_fit", "warm_start"):
        network.partial_fit(X, Y) if later == "partial_fit" else network.fit(X, Y)
    with pytest.raises(ValueError, match="y(_val)? must have zeros and ones"):
        if later == "y_val":
            network.fit(X, Y, X_val=X, y_val=strange)
        elif later == "chunks":
            fit_chunks(network, [(X, Y)], X_val=X, y_val=strange)
        else:
            getattr(network, "partial_fit" if later == "partial_fit" else "fit")(X, strange)


def test_members_of_an_enum_are_labels_only_if_they_are_their_texts():
    """NumPy would cut the names of others to the length of the texts."""
    X = np.arange(40.0)[:, np.newaxis] % 2
    names = {"CAT": "cat", "CATTLE": "cow"}
    network = quick().fit(X, list(StrEnum("Kind", names)) * 20)
    assert_array_equal(network.classes_, ["cat", "cow"])
    with pytest.raises(ValueError, match="members of Kind, whose names NumPy would cut"):
        quick().fit(X, list(Enum("Kind", names, type=str)) * 20)


def test_a_single_label(multilabel):
    X, Y = multilabel
    network = quick().fit(X, Y[:, :2])
    assert network.predict(X).shape == (len(X), 2)


# Numbers.


def test_extreme_logits_stay_finite(binary, multiclass, multilabel):
    for X, y in [binary, multiclass, multilabel]:
        network = quick(max_iter=1, warm_start=True, learning_rate_init=1e-6).fit(X, y)
        signs = np.resize([1.0, -1.0], network.n_outputs_)
        network.coefs_[-1][:] = 0
        for bias in [1e4, -1e4]:
            network.intercepts_[-1][:] = bias * signs
            proba = network.predict_proba(X)
            assert_allclose(np.abs(network.decision_function(X)), 1e4)
            assert np.isfinite(proba).all()
            assert (proba >= 0).all()
            assert (proba <= 1).all()
            # The probabilities are certain and wrong, but the loss is finite.
            assert np.isfinite(network.predict_log_proba(X)).all()
            # Training continues from such probabilities, and says that they stay bad.
            with pytest.warns(ConvergenceWarning, match="far worse than a constant"):
                assert np.isfinite(network.fit(X, y).loss_)
            assert network.loss_ > 1e3
            network.coefs_[-1][:] = 0


@pytest.mark.parametrize("n_rows", [150, 1500])
@pytest.mark.parametrize("fit_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("predict_dtype", [np.float32, np.float64, np.int64])
def test_dtypes_of_probabilities(multiclass, n_rows, fit_dtype, predict_dtype):
    X, y = np.resize(multiclass[0], (n_rows, 4)), np.resize(multiclass[1], n_rows)
    network = quick(max_iter=1, batch_size=100).fit(X.astype(fit_dtype), y)
    expected = np.float32 if predict_dtype is np.float32 else np.float64
    for name in ["predict_proba", "predict_log_proba", "decision_function"]:
        assert getattr(network, name)(X.astype(predict_dtype)).dtype == expected


@pytest.mark.parametrize(
    ("solver", "dtype", "n_rows", "X_dtype", "expected"),
    [
        ("adam", "auto", 49, np.float64, np.float64),
        ("adam", "auto", 100, np.float64, np.float32),
        ("adam", "auto", 49, np.float32, np.float32),
        ("adam", "auto", 49, np.int32, np.float64),
        ("lbfgs", "auto", 100, np.float64, np.float64),
        ("lbfgs", "auto", 49, np.float32, np.float64),
        ("adam", "float32", 49, np.float64, np.float32),
        ("adam", "float64", 100, np.float32, np.float64),
        ("lbfgs", "float32", 49, np.float64, np.float32),
    ],
)
def test_dtypes_of_parameters(binary, solver, dtype, n_rows, X_dtype, expected):
    X, y = np.resize(binary[0], (n_rows, 5)), np.resize(binary[1], n_rows)
    network = NNClassifier(
        (3,), solver=solver, dtype=dtype, max_iter=2, n_iter_no_change=np.inf, tol=100.0
    ).fit(X.astype(X_dtype), y)
    assert {W.dtype for W in network.coefs_ + network.intercepts_} == {np.dtype(expected)}


# Sparse rows.


@pytest.mark.parametrize("as_sparse", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_sparse_rows_equal_dense_ones(multiclass, as_sparse, solver):
    X, y = multiclass
    X = np.where(np.abs(X) < 0.5, 0, X)
    learning_rate = "constant" if solver == "lbfgs" else "cosine"
    options = {"standardize": False, "solver": solver, "learning_rate": learning_rate}
    options |= {"early_stopping": True, "tol": 0.01, "dropout": 0.0}
    dense = quick(**options).fit(X, y)
    network = quick(**options).fit(as_sparse(X), y)
    assert_allclose(network.coefs_[0], dense.coefs_[0], rtol=1e-6, atol=1e-9)
    assert_allclose(network.predict_proba(as_sparse(X)), dense.predict_proba(X), rtol=1e-6)
    assert_allclose(network.predict_proba(X), network.predict_proba(as_sparse(X)), rtol=1e-9)


@pytest.mark.parametrize("fit_sparse", [False, True])
def test_rows_may_change_their_format_after_the_fit(multiclass, fit_sparse):
    X, y = multiclass
    X = np.where(np.abs(X) < 0.5, 0, X)
    network = quick().fit(sparse.csr_matrix(X) if fit_sparse else X, y)
    assert network.score(X, y) > 0.8
    assert_allclose(network.predict_proba(sparse.csr_matrix(X)), network.predict_proba(X))


# Layers.


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_activation_learns(binary, activation):
    # The border between the classes is a parabola.
    X, y = binary
    network = quick(activation=activation, hidden_layer_sizes=(8, 8), max_iter=100).fit(X, y)
    linear = LogisticRegression().fit(X, y).score(X, y)
    if activation == "identity":
        assert network.score(X, y) == pytest.approx(linear, abs=0.03)
    else:
        assert network.score(X, y) > linear + 0.03


def forward(network, X, functions):
    """Recompute the logits, layer by layer."""
    layers = zip(functions, network.coefs_, network.intercepts_, strict=True)
    for function, W, b in layers:
        X = function(X @ W + b)
    return X


def test_an_activation_for_each_layer(multiclass):
    X, y = multiclass
    network = quick(
        hidden_layer_sizes=(8, 6, 4),
        activation=["tanh", LeakyReLU(slope=0.3), "logistic"],
        standardize=False,
    ).fit(X, y)
    functions = [np.tanh, lambda z: np.where(z > 0, z, 0.3 * z), expit, lambda z: z]
    assert_allclose(forward(network, X, functions), network.decision_function(X), rtol=1e-9)
    assert network.n_layers_ == 5
    assert [W.shape for W in network.coefs_] == [(4, 8), (8, 6), (6, 4), (4, 3)]


def test_one_activation_for_all_layers(multiclass):
    X, y = multiclass
    network = quick(hidden_layer_sizes=[8, 4], activation="tanh", standardize=False).fit(X, y)
    functions = [np.tanh, np.tanh, lambda z: z]
    assert_allclose(forward(network, X, functions), network.decision_function(X), rtol=1e-9)


@pytest.mark.parametrize("sizes", [8, np.int64(8), [8], (8,), np.array([8])])
def test_ways_to_give_sizes(multiclass, sizes):
    X, y = multiclass
    network = quick(hidden_layer_sizes=sizes).fit(X, y)
    expected = quick(hidden_layer_sizes=(8,)).fit(X, y)
    assert_array_equal(network.predict_proba(X), expected.predict_proba(X))


def test_dropout(multiclass):
    X, y = multiclass
    options = {"hidden_layer_sizes": (30, 30), "max_iter": 60, "learning_rate": "cosine"}
    plain, same, first, both = (
        quick(dropout=dropout, **options).fit(X, y) for dropout in [0.0, [0, 0], [0.4, 0], 0.4]
    )
    assert_array_equal(same.predict_proba(X), plain.predict_proba(X))
    assert not np.allclose(first.predict_proba(X), both.predict_proba(X), rtol=0.01)
    # Predictions are not random.
    assert_array_equal(both.predict_proba(X), both.predict_proba(X))
    # A network that is trained with noise fits the training rows less closely.
    losses = [np.mean(network.loss_curve_[-10:]) for network in [plain, first, both]]
    assert 3 * losses[0] < min(losses[1:])
    assert both.score(X, y) > 0.85
    assert_allclose(
        forward(both.set_params(standardize=False).fit(X, y), X, [relu, relu, lambda z: z]),
        both.decision_function(X),
        rtol=1e-9,
    )


def relu(z):
    return np.maximum(z, 0)


# A user's own loss.


class Hesitant(BinaryLogLoss):
    """The log loss with labels smoothed, which needs no parameter of the estimator."""

    def pointwise(self, y, raw, gradient_out):
        return super().pointwise(0.8 * y + 0.1, raw, gradient_out)


def test_a_loss_of_the_user(binary):
    X, y = binary
    options = {"hidden_layer_sizes": (16,), "max_iter": 200, "learning_rate_init": 0.05}
    sure = quick(**options).fit(X, y)
    hesitant = quick(loss=Hesitant(), **options).fit(X, y)
    assert sure.predict_proba(X).max() > 0.99
    assert 0.85 < np.median(hesitant.predict_proba(X).max(axis=1)) < 0.93
    assert hesitant.score(X, y) > 0.9


def test_labels_keep_their_precision():
    # float32 cannot represent 16 777 217: labels must not be converted to its precision.
    X = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    y = np.where(X[:, 0] > 0, 16_777_217.0, 16_777_219.0)
    network = NNClassifier((8,), max_iter=50, n_iter_no_change=np.inf, random_state=0).fit(X, y)
    predicted = network.predict(X)
    assert predicted.dtype == np.float64
    best = network.predict_proba(X).argmax(axis=1)
    assert_array_equal(predicted, np.array([16_777_217.0, 16_777_219.0])[best])
