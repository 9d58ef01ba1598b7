"""Numbers of every size: predictions are finite, or an error says what to do."""

import warnings
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import sknet
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.soundness import DivergenceError
from sknet.streaming import fit_chunks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=60)
FAR = np.array([[1e300, -1e300, 1e308], [1e30, -1e38, 1e39], [-1.7e308] * 3, [1e15, 1, -1e15]])
OPTIONS = {"max_iter": 3, "n_iter_no_change": np.inf, "random_state": 0}
NETWORKS = {
    "relu": {},
    "tanh": {"activation": "tanh"},
    "deep": {"hidden_layer_sizes": (6, 6, 6, 6)},
    "linear": {"hidden_layer_sizes": ()},
    "normalized": {"normalization": "layer"},
    "members": {"n_members": 3},
    "bins": {"numeric_embedding": "piecewise_linear"},
    "waves": {"numeric_embedding": "periodic"},
}


def regressor(**options):
    return NNRegressor(**{"hidden_layer_sizes": (6,), **OPTIONS, **options})


def classifier(**options):
    return NNClassifier(**{"hidden_layer_sizes": (6,), **OPTIONS, **options})


# Far rows. Warnings, such as those of NumPy, are errors in the tests.


#: Sparse rows have no embeddings of numbers.
FORMS = [
    (network, as_sparse)
    for network, options in NETWORKS.items()
    for as_sparse in ([False] if "numeric_embedding" in options else [False, True])
]


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network, as_sparse", FORMS)
def test_predictions_for_far_rows_are_finite(network, dtype, standardize, as_sparse):
    options = {"dtype": dtype, "standardize": standardize, **NETWORKS[network]}
    form = sparse.csr_matrix if as_sparse else np.asarray
    numbers = regressor(**options).fit(form(X), Y)
    classes = classifier(**options).fit(form(X), np.digitize(Y, [-0.5, 0.5]))
    with np.errstate(over="ignore"):
        rows = [form(FAR), form(np.clip(FAR, -3e38, 3e38).astype(np.float32))]
    for far in rows:
        before = far.copy()
        assert np.isfinite(numbers.predict(far)).all()
        proba = classes.predict_proba(far)
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
        assert_array_equal(*(one.toarray() if as_sparse else one for one in (far, before)))


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", "quantile", "normal"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_predictions_of_every_link_are_finite(loss, n_members):
    options = {"loss": loss, "n_members": n_members, "standardize": False}
    options |= {"quantile": [0.1, 0.5, 0.9]} if loss == "quantile" else {}
    network = regressor(**options).fit(X, np.abs(Y) + 0.1)
    for far in (FAR, np.clip(FAR, -3e38, 3e38).astype(np.float32)):
        with_std = n_members > 1 or loss == "normal"
        assert np.isfinite(network.predict(far, return_std=with_std)).all()


def test_rows_beyond_the_bound_are_rows_at_the_bound():
    network = regressor(standardize=False).fit(X, Y)
    assert_array_equal(network.predict(FAR), network.predict(np.clip(FAR, -1e15, 1e15)))


@pytest.mark.parametrize("embedding", [None, "piecewise_linear", "periodic"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-310, 1e-300, 1e-40, 1e-30])
def test_denormal_and_tiny_inputs(size, dtype, standardize, embedding):
    options = {"dtype": dtype, "standardize": standardize, "numeric_embedding": embedding}
    network = regressor(**options).fit(X * size, Y)
    assert np.isfinite(network.predict(X * size)).all()


LARGEST = {"float32": 3.4e38, "float64": 1.79e308}
EXTREMES = {
    "three rows": lambda most: [[most, 0], [-most, 1], [most / 2, -most]],
    "near the limit": lambda most: [
        [most * (1 - 1e-3 * i), -most * (i / 40)] for i in range(40)
    ],
    "one is far": lambda most: [[i, most if i == 7 else i % 3] for i in range(40)],
    "both signs": lambda most: [[most * (-1) ** i, most * (i % 3 - 1)] for i in range(40)],
    "tiny and huge": lambda most: [[most if i % 5 else 1 / most, i / most] for i in range(40)],
    "heavy": lambda most: [[most if i % 2 else i, -most if i < 30 else i] for i in range(90)],
    "missing": lambda most: [[most if i % 3 else np.nan, i] for i in range(40)],
    "codes": lambda most: [[(i % 20) / 20 * most, i] for i in range(100)],
}


@pytest.mark.parametrize("rows", EXTREMES)
@pytest.mark.parametrize("embedding", [None, *NUMERIC_EMBEDDINGS])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_numbers_make_no_warning(rows, embedding, standardize, dtype):
    """Warnings of NumPy are errors here, in training and in predictions."""
    X = np.array(EXTREMES[rows](LARGEST[dtype]), dtype=dtype)
    y = np.arange(len(X)) % 7.0
    options = {"numeric_embedding": embedding, "standardize": standardize, "dtype": dtype}
    with warnings.catch_warnings():
        # A network of such numbers that are not scaled may learn nothing.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for network, target in [
            (NNRegressor(**options, **OPTIONS), y),
            (sknet.NNRegressor(**options, **OPTIONS), y),
            (sknet.NNClassifier(**options, **OPTIONS), y > 0),
        ]:
            # Without scaling, steps may be so long that training diverges.
            with suppress(*([] if standardize else [DivergenceError])):
                assert np.isfinite(network.fit(X, target).predict(X)).all()
                network.partial_fit(X, target)


def test_large_inputs_of_both_signs():
    large = X / np.abs(X).max() * 1.7e308
    network = regressor(max_iter=50, learning_rate_init=0.01).fit(large, Y)
    assert network.score(large, Y) > 0.5


# Far numbers to predict.


def methods(network):
    """Return the ways to train that check y."""
    return [
        network.fit,
        network.partial_fit,
        lambda X, y: fit_chunks(network, [(X[:30], y[:30]), (X[30:], y[30:])]),
    ]


@pytest.mark.parametrize("way", range(3))
@pytest.mark.parametrize("size", [1e50, 1e37, 1e-37, 1e-50])
def test_y_that_float32_cannot_hold(size, way, forbid_training):
    X_single = X.astype(np.float32)
    network = regressor()
    forbid_training()
    with pytest.raises(ValueError, match="Pass X as float64"):
        methods(network)[way](X_single, Y * size)
    assert not hasattr(network, "n_features_in_")


@pytest.mark.parametrize("size", [1e100, 1e50, 1e-50, 1e-300])
def test_float32_rows_for_a_network_whose_y_float32_cannot_hold(size):
    network = regressor().fit(X, Y * size)
    assert_allclose(network.predict(X) / size, regressor().fit(X, Y).predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="Pass X as float64"):
        network.predict(X.astype(np.float32))


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_y_within_float32(size):
    X_single = X.astype(np.float32)
    found = regressor().fit(X_single, Y * size).predict(X_single)
    assert found.dtype == np.float32
    expected = regressor().fit(X_single, Y).predict(X_single)
    assert_allclose(found / np.float32(size), expected, rtol=1e-4, atol=1e-5)


def test_zeros_fit_float32():
    X_single = X.astype(np.float32)
    network = regressor().fit(X_single, np.column_stack([np.zeros(60), Y]))
    assert np.isfinite(network.predict(X_single)).all()


def test_a_network_in_float32_for_unscaled_y(forbid_training):
    options = {"standardize": False, "dtype": "float32"}
    forbid_training()
    with pytest.raises(ValueError, match="dtype='float64' or standardize=True"):
        regressor(**options).fit(X, Y * 1e50)


@pytest.mark.parametrize("way", range(3))
@pytest.mark.parametrize("size", [1.7e308, 1e200])
def test_y_whose_squares_overflow(size, way, forbid_training):
    y = Y / np.abs(Y).max() * size
    network = regressor()
    forbid_training()
    with pytest.raises(ValueError, match="squares overflow"):
        methods(network)[way](X, y)


def test_y_val_whose_squares_overflow(forbid_training):
    forbid_training()
    with pytest.raises(ValueError, match="y_val has values .* squares overflow"):
        regressor(early_stopping=True).fit(X, Y, X_val=X, y_val=Y * 1e200)


def test_the_largest_y():
    y = Y / np.abs(Y).max() * 1e150
    network = regressor(max_iter=50, learning_rate_init=0.01).fit(X, y)
    assert np.abs(network.predict(FAR)).max() <= 1e150
    assert network.score(X, y) > 0.5


def test_raw_predictions_of_every_size_have_probabilities():
    """Differences of raw predictions that overflow do not warn."""
    network = classifier(hidden_layer_sizes=(), dtype="float64", n_iter_no_change=np.inf)
    network.fit(X, np.digitize(Y, [-0.5, 0.5]))
    network.intercepts_[-1][:] = [-1.5e308, 1.5e308, 0]
    assert_allclose(network.predict_proba(X), [[0, 1, 0]] * len(X), rtol=0, atol=1e-12)
    assert_array_equal(network.predict(X), np.ones(len(X)))
