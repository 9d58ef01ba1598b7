"""Principal components, and networks that have them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sknet import NNClassifier, NNRegressor
from sknet.data.columns.scaling import principal_components
from sknet.nn.columns import PrincipalComponents


def table(n_rows, n_columns, seed=0):
    """Return strongly correlated columns of different scales and centers."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n_rows, n_columns)) * 0.5 ** np.arange(n_columns)
    mixed = latent @ rng.normal(size=(n_columns, n_columns))
    return mixed + 10 * rng.normal(size=n_columns)


def scores(rows, found):
    return (rows - found.center) @ found.directions


@pytest.mark.parametrize(("n_rows", "n_columns", "most"), [(50, 6, 6), (50, 6, 2), (8, 30, 5)])
def test_against_scikit_learn(n_rows, n_columns, most):
    """Its variance has n - 1 in the denominator, and its signs are arbitrary."""
    rows = table(n_rows, n_columns)
    found = scores(rows, principal_components(rows.copy(), None, most))
    reference = PCA(most, whiten=True).fit_transform(rows) * np.sqrt(n_rows / (n_rows - 1))
    assert_allclose(np.abs(found), np.abs(reference), rtol=1e-6, atol=1e-9)


def test_weights_are_repetitions():
    rows, weights = table(40, 5), np.random.default_rng(1).integers(1, 5, 40)
    weighted = principal_components(rows.copy(), weights.astype(float), 5)
    repeated = principal_components(np.repeat(rows, weights, axis=0), None, 5)
    assert_allclose(weighted.center, repeated.center, rtol=1e-12)
    assert_allclose(weighted.directions, repeated.directions, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 41)], ids=["equal", "weights"])
def test_limits_are_the_range_extended_by_half_of_it_on_either_side(weights):
    rows = table(40, 4)
    found = principal_components(rows.copy(), weights, 4)
    values = scores(rows, found)
    low, high = values.min(axis=0), values.max(axis=0)
    assert_allclose(np.add(found.low, found.high), low + high, rtol=1e-6, atol=1e-8)
    assert_allclose(np.subtract(found.high, found.low), 2 * (high - low), rtol=1e-6)


def test_directions_without_variance_are_left_out():
    rows = table(60, 3)
    doubled = np.hstack([rows, rows[:, :1] + rows[:, 1:2], np.full((60, 1), 7.0)])
    found = principal_components(doubled.copy(), None, 5)
    assert np.shape(found.directions) == (5, 3)
    of_scores = np.cov(scores(doubled, found).T, bias=True)
    assert_allclose(of_scores, np.eye(3), rtol=0, atol=1e-6)
    assert principal_components(np.full((9, 4), 3.0), None, 4) is None


@pytest.mark.parametrize(("n_rows", "n_columns"), [(20_000, 6), (300, 40), (50, 80)])
def test_columns_without_correlation_have_no_components(n_rows, n_columns):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(n_rows, n_columns)) * rng.uniform(0.5, 3, n_columns)
        assert principal_components(rows, None, n_columns) is None


@pytest.mark.parametrize("correlation", [0.2, -0.2])
def test_two_correlated_columns_have_components(correlation):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 5))
    rows[:, 1] += correlation * rows[:, 0]
    assert np.shape(principal_components(rows, None, 5).directions) == (5, 5)


def test_components_are_found_in_copies_of_few_rows_as_in_many():
    """A weight says how many rows there were, which decides what may be chance."""
    rows = np.random.default_rng(0).normal(size=(200, 5))
    rows[:, 1] += 0.2 * rows[:, 0]
    assert principal_components(rows.copy(), None, 5) is None
    assert principal_components(rows, np.full(200, 40.0), 5) is not None


@pytest.fixture(scope="module")
def collinear():
    """Columns that repeat each other, and a target that is a small difference of them."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(400, 1))
    differences = rng.normal(size=(400, 3))
    X = base + 0.01 * differences @ rng.normal(size=(3, 8))
    return X, differences[:, 0]


def test_small_differences_of_similar_columns_are_learned(collinear):
    X, y = collinear
    fits = [
        NNRegressor(n_components=n, random_state=0).fit(X[:300], y[:300]) for n in ("auto", 0)
    ]
    with_components, without = (one.score(X[300:], y[300:]) for one in fits)
    assert with_components > 0.9 > without + 0.2


@pytest.mark.parametrize("way", ["partial_fit", "warm_start", "init"])
def test_further_training_rows_widen_the_limits(way):
    """Two columns differ by a small number, which begins to be larger."""
    rng = np.random.default_rng(0)

    def rows(n, level):
        a, small = rng.normal(size=n), rng.normal(scale=0.02, size=n)
        return np.column_stack([a, a + level + small, rng.normal(size=n)]), 50 * small + a

    network = NNRegressor(n_components=3, random_state=0, warm_start=way == "warm_start")
    (X, y), (later, y_later), test = rows(1000, 0), rows(2000, 0.4), rows(500, 0.4)
    if way == "partial_fit":
        for chunk in np.split(np.arange(1000), 5):
            network.partial_fit(X[chunk], y[chunk])
        for _ in range(8):
            for chunk in np.split(np.arange(2000), 10):
                network.partial_fit(later[chunk], y_later[chunk])
    else:
        source = network.fit(X, y)
        options = {"init": source} if way == "init" else {}
        network = NNRegressor(n_components=3, random_state=0) if way == "init" else network
        network.fit(later, y_later, **options)
    assert network.score(*test) > 0.9


@pytest.mark.parametrize("n_rows", [100, 1000])
def test_a_missing_part_of_a_difference_has_a_bounded_effect(n_rows):
    """In training, the numbers are known, and the third is the difference of the others."""
    rng = np.random.default_rng(0)
    rate = np.round(6 + np.cumsum(rng.normal(scale=0.2, size=n_rows + 101)), 1)
    X = np.column_stack([rate[1:], rate[:-1], np.diff(rate), rng.normal(size=n_rows + 100)])
    y = X[:, 0] + X[:, 3] + rng.normal(scale=0.3, size=len(X))
    order = rng.permutation(len(X))
    train, test = order[:n_rows], order[n_rows:]
    network = NNRegressor(random_state=0).fit(X[train], y[train])
    assert network._model.encoder.n_found_components_ == 4
    for column in range(3):
        rows = X[test].copy()
        rows[:, column] = np.nan
        distances = np.abs(network.predict(rows) - y[train].mean())
        assert distances.max() < 0.7 * np.ptp(y[train])


@pytest.mark.filterwarnings("ignore:Training ended at:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("options", "n_columns", "expected"),
    [
        ({}, 8, 8),
        ({"n_components": 3}, 8, 3),
        ({"n_components": 20}, 8, 8),
        ({"n_components": 0}, 8, 0),
        ({"numeric_embedding": None}, 8, 0),
        ({"numeric_embedding": None, "n_components": 2}, 8, 2),
        ({"solver": "lbfgs"}, 8, 0),
        ({}, 1, 0),
    ],
    ids=str,
)
def test_the_number_of_components(options, n_columns, expected):
    X = table(200, n_columns)
    network = NNRegressor((4,), max_iter=2, random_state=0, **options).fit(X, X[:, 0])
    layers = [one for one in network._model.network.layers if type(one) is PrincipalComponents]
    assert [one.n_components for one in layers] == [expected] * (expected > 0)
    names = [name for name in network.encoded_feature_names_ if name.startswith("component")]
    assert names == [f"component{i}" for i in range(expected)]
    assert network.coefs_[0].shape[0] == len(network.encoded_feature_names_)


def test_constant_columns_have_no_component():
    X = np.ones((150, 4))
    network = NNClassifier((4,), max_iter=2, random_state=0).fit(X, np.arange(150) % 2)
    assert np.isfinite(network.predict_proba(X)).all()
    assert not any(name.startswith("component") for name in network.encoded_feature_names_)


def test_one_row_more_changes_the_number_by_one_at_most():
    chosen = []
    for n_rows in (100, 109, 110, 640, 650):
        X = table(n_rows, 70)
        network = NNRegressor((2,), max_iter=1, random_state=0).fit(X, X[:, 0])
        chosen.append(network.auto_params_["n_components"])
    assert_array_equal(chosen, [10, 10, 11, 64, 64])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_another_number_cannot_continue_a_network(method):
    X = table(200, 4)
    options = {"warm_start": True, "max_iter": 2, "random_state": 0, "n_components": 2}
    network = NNRegressor((4,), **options).fit(X, X[:, 0])
    before = network.predict(X)
    for changed in (0, 4, "auto"):
        network.set_params(n_components=changed)
        with pytest.raises(ValueError, match="n_components"):
            getattr(network, method)(X, X[:, 0])
    assert_array_equal(network.predict(X), before)
    getattr(network.set_params(n_components=2), method)(X, X[:, 0])


def test_a_single_column_has_no_correlation_whatever_its_rounding():
    for seed in range(100):
        rows = np.random.default_rng(seed).normal(size=(300 + seed, 1))
        assert principal_components(rows, None, 1) is None


def test_the_rounding_of_constant_columns_is_no_correlation():
    rows = np.random.default_rng(0).normal(size=(800, 4))
    rows[:, 2:] = 0.1, 0.3
    assert principal_components(rows, None, 4) is None


def test_a_row_with_all_of_the_weight_gives_no_component():
    """Its neighbors would have huge components, which float32 cannot hold."""
    rows = np.random.default_rng(0).normal(size=(50, 1)) + np.zeros(3)
    assert principal_components(rows.copy(), np.r_[3.5, np.ones(49)], 2) is not None
    assert principal_components(rows.copy(), np.r_[1e20, np.ones(49)], 2) is None
    X = np.random.default_rng(0).normal(size=(100, 3)) + rows[0]
    weight = np.r_[1e80, np.ones(99)]
    network = NNClassifier(max_iter=3, random_state=0).fit(X, X[:, 0] > rows[0, 0], weight)
    assert np.isfinite(network.predict_proba(X)).all()


def test_a_small_difference_of_two_columns_is_learned():
    """The difference has a millionth of the variance, and more than rounding."""
    rng = np.random.default_rng(0)
    size, difference = rng.normal(size=(2, 900))
    X = np.column_stack([size, size + 0.001 * difference, rng.normal(size=(900, 2))])
    network = NNRegressor(random_state=0).fit(X[:600], difference[:600])
    assert network.score(X[600:], difference[600:]) > 0.98
