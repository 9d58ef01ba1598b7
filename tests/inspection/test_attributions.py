"""Gradients against differences, and integrals along paths against what they must add up to."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_friedman1
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import NNClassifier, NNRegressor
from sknet._base import fitted
from sknet.inspection import input_gradients, integrated_gradients
from sknet.inspection.outputs import is_smooth
from sknet.inspection.paths import NestedRule, level_weights
from sknet.nn.links import Link
from sknet.nn.losses import BinaryLogLoss
from sknet.nn.network import Workspace

KINDS = [
    *("plain", "linear", "unscaled", "normalized", "periodic", "binned", "members", "all"),
    *("additive", "pairs", "groups"),
]
TASKS = [
    "squared_error",
    "outputs",
    "poisson",
    "gamma",
    "normal",
    "quantiles",
    "binary",
    "multiclass",
    "multilabel",
]
#: Tasks with several outputs, each with a target and the place of its output.
TARGETS = {
    "outputs": (1, 1),
    "normal": (1, 1),
    "quantiles": (2, 2),
    "multiclass": ("beech", 1),
    "multilabel": (0, 0),
}


def chosen(task):
    return TARGETS.get(task, (None, 0))


def differences(outputs, X, place, steps):
    """Return the derivatives of an output by each column, by central differences."""
    columns = []
    for j, step in enumerate(steps):
        moved = np.eye(len(steps))[j] * step
        change = outputs(X + moved)[:, place] - outputs(X - moved)[:, place]
        columns.append(change / (2 * step))
    return np.column_stack(columns)


def assert_derivatives_agree(actual, expected):
    assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


# Gradients.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_gradients_are_those_of_the_outputs(task, kind, fit, numbers):
    network, (target, place) = fit(task, kind), chosen(task)
    # Edges of bins are values of training rows; between them the outputs are smooth.
    deviations = numbers.std(axis=0)
    X, steps = numbers[:40] + 1e-3 * deviations, 1e-6 * deviations
    gradients = input_gradients(network.estimator, X, target=target)
    expected = differences(network.outputs, X, place, steps)
    assert gradients.dtype == np.float64
    assert np.count_nonzero(expected) > expected.size / 2
    assert_derivatives_agree(gradients * deviations, expected * deviations)


def test_gradients_by_default_are_those_of_the_predicted_class(fit, numbers):
    network = fit("multiclass")
    places = network.outputs(numbers).argmax(axis=1)
    by_class = [input_gradients(network.estimator, numbers, target=c) for c in ("ash", "beech")]
    given = input_gradients(network.estimator, numbers)
    for place, gradients in enumerate(by_class):
        assert_array_equal(given[places == place], gradients[places == place])


def test_the_first_of_two_classes_has_the_opposite_logit(fit, numbers):
    network = fit("binary").estimator
    yes, no = (input_gradients(network, numbers, target=label) for label in ("yes", "no"))
    assert_array_equal(yes, -no)
    assert_array_equal(yes, input_gradients(network, numbers))


def test_far_values_are_clipped_and_so_is_their_slope(fit, numbers):
    network = fit("squared_error")
    far = numbers[:1] + [1e5, 0, 0, 0, 0]
    near, at = (input_gradients(network.estimator, X)[0, 0] for X in (numbers[:1], far))
    step = 10.0
    moved = np.array([[step, 0, 0, 0, 0]])
    expected = (network.outputs(far + moved) - network.outputs(far - moved))[0, 0] / (2 * step)
    assert abs(at) < 1e-6 * abs(near)
    assert at == pytest.approx(expected, rel=0.1)


def test_gradients_of_sparse_rows(fit, numbers):
    X = np.where(np.abs(numbers) > np.abs(numbers).mean(axis=0), numbers, 0)
    network = fit("squared_error", X=sparse.csr_matrix(X))
    gradients = input_gradients(network.estimator, sparse.csr_matrix(X))
    expected = differences(network.outputs, X, 0, 1e-6 * X.std(axis=0))
    assert_derivatives_agree(gradients, expected)


def test_gradients_of_a_frame_are_in_its_columns_order(fit, frame):
    network = fit("squared_error", X=frame)
    gradients = input_gradients(network.estimator, frame)
    assert gradients.shape == frame.shape
    for j, name in enumerate(frame.columns):
        if name in ("city", "street"):
            continue
        step = 1e-6 * frame[name].std()
        above, below = (frame.assign(**{name: frame[name] + s}) for s in (step, -step))
        expected = (network.outputs(above) - network.outputs(below))[:, 0] / (2 * step)
        known = frame[name].notna()
        assert_derivatives_agree(gradients[known, j], expected[known])


def test_a_linear_network_has_gradients_of_categories_too(fit, frame):
    # Without hidden layers a level's fading in counts as much as the level itself.
    network = fit("squared_error", "linear", X=frame)
    place = list(frame.columns).index("city")
    known = frame["city"].notna()
    gone = network.estimator.encoded_feature_names_.tolist()
    weights = network.estimator.coefs_[0][:, 0] * fitted(network.estimator)[1].target.scale_[0]
    expected = [
        weights[gone.index("city_other" if pd.isna(city) else f"city_{city}")]
        for city in frame["city"]
    ]
    gradients = input_gradients(network.estimator, frame)
    assert known.any() and not known.all()
    assert_allclose(gradients[:, place], expected, rtol=1e-12)


@pytest.fixture
def columns(numbers):
    """A frame with a column of each kind, and a target to which each of them matters."""
    rng = np.random.default_rng(3)
    n_rows = 800
    dates = rng.integers(0, 800 * 86_400, n_rows)
    frame = pd.DataFrame(
        {
            "plain": rng.normal(size=n_rows),
            "missing": np.where(rng.random(n_rows) < 0.3, np.nan, rng.normal(size=n_rows)),
            "heavy": np.where(rng.random(n_rows) < 0.4, 0, rng.exponential(size=n_rows)),
            "code": rng.integers(30, size=n_rows) * 1.0,
            "date": pd.Timestamp("2020-02-03") + pd.to_timedelta(dates, unit="s"),
            "duration": pd.to_timedelta(rng.integers(1, 10_000, n_rows), unit="s"),
            "city": rng.choice(["Bergen", "Oslo", "Tromso"], n_rows),
            "street": [f"s{i:02d}" for i in rng.integers(20, size=n_rows)],
        }
    )
    y = frame["plain"].abs() + 2 * frame["missing"].isna() + 2 * (frame["heavy"] == 0)
    y += rng.normal(scale=2, size=30)[frame["code"].astype(int)] + np.sin(dates / 3e6)
    y += frame["duration"].dt.total_seconds() / 5000 + (frame["city"] == "Oslo")
    return frame, y.to_numpy()


def fit_columns(X, y, **parameters):
    plain = {"hidden_layer_sizes": (12, 8), "activation": "silu", "max_iter": 8}
    plain |= {"numeric_embedding": "periodic", "early_stopping": False, "random_state": 0}
    return NNRegressor(**{**plain, "dtype": "float64", **parameters}).fit(X, y)


@pytest.mark.parametrize("parameters", [{}, {"numeric_embedding": None}, {"n_members": 3}])
def test_the_derivative_of_a_number_holds_indicators_and_levels(columns, parameters):
    """Against differences of the network's outputs, of which only encoded numbers move."""
    X, y = columns
    estimator = fit_columns(X, y, **parameters)
    features, model = fitted(estimator)
    names = estimator.encoded_feature_names_.tolist()
    assert "missing_missing" in names
    assert any(name.startswith("street_") for name in names)
    # Without an embedding of numbers, neither heavy values nor codes are looked for.
    embeds = "numeric_embedding" not in parameters
    assert ("heavy=0" in names) == embeds
    assert any(name.startswith("code_") for name in names) == embeds
    numeric = [name for name in X if name not in ("city", "street")]
    gradients = input_gradients(estimator, X)
    encoder, read = model.encoder, features.read(X)
    held, order = encoder.transform(read, np.float64), list(model.reader.order_)

    def outputs(rows):
        moved = encoder.transform(rows, np.float64)
        moved[:, encoder.n_numeric_ :] = held[:, encoder.n_numeric_ :]
        workspace = Workspace(model.network, len(rows), np.float64)
        raw = model.network.forward(model.params, moved, workspace).astype(np.float64)
        return model.target.inverse_transform(raw.mean(axis=1, keepdims=True))[:, 0]

    for place in [list(X).index(name) for name in numeric]:
        column = order.index(place)
        deviation = np.nanstd(read[:, column])
        step = np.zeros(read.shape[1])
        # A longer step would change the phase of a date too much: this one is two seconds.
        step[column] = 1e-7 * deviation
        # By the deviation of the column. A missing number stays missing: its change is zero.
        expected = (outputs(read + step) - outputs(read - step)) / 2e-7
        assert np.abs(expected).max() > 0
        assert_derivatives_agree(gradients[:, place] * deviation, expected)


@pytest.mark.parametrize("power", [-20, 3])
@pytest.mark.parametrize("numeric_embedding", [None, "periodic", "piecewise_linear"])
def test_gradients_are_in_units_of_the_columns(columns, numeric_embedding, power):
    """In units that are a power of two smaller, a network learns the same, bit for bit."""
    X, y = columns
    scaled = ["plain", "missing", "heavy", "code"]
    factors = np.where(X.columns.isin(scaled), 2.0**power, 1)
    in_units = X.assign(**{name: X[name] * 2.0**power for name in scaled})
    gradients, others = (
        input_gradients(fit_columns(one, y, numeric_embedding=numeric_embedding), one)
        for one in (X, in_units)
    )
    assert (gradients != 0).any(axis=0).all()
    assert_array_equal(gradients, others * factors)


def test_gradients_of_sparse_rows_are_in_units_of_the_columns(fit, numbers):
    X = np.where(np.abs(numbers) > np.abs(numbers).mean(axis=0), numbers, 0)
    factors = 2.0 ** np.array([-20, 20, 3, 0, -1])
    gradients, others = (
        input_gradients(fit("squared_error", X=rows).estimator, rows)
        for rows in (sparse.csr_matrix(X), sparse.csr_matrix(X * factors))
    )
    assert_array_equal(gradients, others * factors)


@pytest.mark.parametrize("numeric_embedding", [None, "periodic", "piecewise_linear"])
@pytest.mark.parametrize("standardize", [True, False])
def test_numbers_that_are_cut_have_no_slope(fit, numbers, standardize, numeric_embedding):
    options = {"standardize": standardize, "numeric_embedding": numeric_embedding}
    network = fit("squared_error", **options, learning_rate_init=0.001)
    far = np.repeat(numbers[:1], 4, axis=0)
    far[:, 0] = [1e17, -1e17, 1e300, -1e300]
    gradients = input_gradients(network.estimator, far)
    assert_array_equal(network.outputs(far), network.outputs(far * [2, 1, 1, 1, 1]))
    assert_array_equal(gradients[:, 0], 0)


# Integrated gradients.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_attributions_add_up(task, kind, fit, numbers):
    network, (target, place) = fit(task, kind), chosen(task)
    parts = integrated_gradients(network.estimator, numbers, target=target, n_steps=64)
    outputs = network.outputs(numbers)[:, place]
    baseline = np.quantile(numbers, 0.5, axis=0, method="inverted_cdf")[np.newaxis]
    expected = outputs - network.outputs(baseline)[0, place]
    assert_allclose(parts.sum(axis=1), expected, rtol=0, atol=1e-9 * outputs.std())


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("task", ["squared_error", "binary", "poisson"])
def test_the_plain_rule_is_nearly_complete(task, activation, fit, numbers, monkeypatch):
    # Before what is left is shared, all steps taken.
    monkeypatch.setattr("sknet.inspection.attributions.shared", lambda gap, parts: parts)
    network = fit(task, activation=activation)
    parts = integrated_gradients(network.estimator, numbers, n_steps=64, tol=0)
    outputs = network.outputs(numbers)[:, 0]
    baseline = np.quantile(numbers, 0.5, axis=0, method="inverted_cdf")[np.newaxis]
    gap = parts.sum(axis=1) - (outputs - network.outputs(baseline)[0, 0])
    # The kinks of relu make jumps of the gradient.
    bound = {"relu": 0.02, "silu": 1e-9}[activation] * outputs.std()
    assert np.sqrt(np.mean(gap**2)) < bound


@pytest.mark.parametrize("kind", ["plain", "members"])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_each_attribution_is_the_integral(activation, kind, fit, numbers):
    """Against another rule with more points, on tables whose path is straight in X."""
    network = fit("squared_error", kind, activation=activation, standardize=False)
    X, baseline = numbers[:20], numbers[20]
    parts = integrated_gradients(network.estimator, X, baseline=baseline, n_steps=128, tol=0)
    if activation == "relu":
        points, weights = (np.arange(1000) + 0.5) / 1000, np.full(1000, 1 / 1000)
    else:
        points, weights = np.polynomial.legendre.leggauss(200)
        points, weights = (points + 1) / 2, weights / 2
    expected = np.zeros_like(parts)
    for t, weight in zip(points, weights, strict=True):
        at = baseline + t * (X - baseline)
        expected += weight * input_gradients(network.estimator, at)
    expected *= X - baseline
    spread = network.outputs(numbers).std()
    assert_allclose(
        parts, expected, rtol=0, atol=(1e-9 if activation == "silu" else 0.01) * spread
    )


@pytest.mark.parametrize("kind", ["periodic", "binned"])
def test_the_path_is_straight_behind_the_embedding(kind, fit, numbers):
    """Against derivatives of the layers behind it, by differences, summed by Gauss's rule."""
    estimator = fit("squared_error", kind, activation="tanh").estimator
    model, X = fitted(estimator)[1], numbers[:21]
    workspace = Workspace(model.network, 21, np.float64)
    model.network.forward(model.params, model.encode(X), workspace)
    embedded, components = workspace.outputs[0], model.network.layers[1]

    def outputs(rows):
        numbers = rows[:, components.columns]
        rows = np.hstack([rows, (numbers - components.center) @ components.directions])
        rows = rows * estimator.column_scales_[0]
        for W, b in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
            rows = np.tanh(rows @ W + b)
        raw = rows @ estimator.coefs_[-1] + estimator.intercepts_[-1]
        return model.target.inverse_transform(raw)[:, 0]

    assert_allclose(outputs(embedded), estimator.predict(X))
    rows, start = embedded[:20], embedded[20]
    expected = np.zeros((20, 5))
    for t, weight in zip(*np.polynomial.legendre.leggauss(50), strict=True):
        at = start + (t + 1) / 2 * (rows - start)
        for j in range(5):
            step = np.zeros_like(rows)
            of_j = np.arange(rows.shape[1]) // (rows.shape[1] // 5) == j
            step[:, of_j] = 1e-5 * (rows - start)[:, of_j]
            expected[:, j] += weight / 2 * (outputs(at + step) - outputs(at - step)) / 2e-5
    parts = integrated_gradients(estimator, X[:20], baseline=X[20], n_steps=128, tol=0)
    assert_allclose(parts, expected, rtol=0, atol=1e-7 * estimator.predict(X).std())


@pytest.mark.parametrize(
    ("activation", "smooth"),
    [("silu", True), ("elu", True), (["silu", "relu"], False), ("selu", False)],
)
def test_one_jump_of_the_derivatives_is_enough(activation, smooth, fit):
    for kind in ("plain", "all"):
        _, model = fitted(fit("squared_error", kind, activation=activation).estimator)
        assert is_smooth(model.network) == smooth


def test_default_tolerance_costs_little_accuracy(fit, numbers):
    for activation, bound in [("relu", 0.1), ("silu", 0.01)]:
        network = fit("squared_error", activation=activation)
        exact = integrated_gradients(network.estimator, numbers, n_steps=512, tol=0)
        quick = integrated_gradients(network.estimator, numbers)
        error = np.abs(quick - exact).max(axis=1)
        assert np.quantile(error, 0.9) < bound * network.outputs(numbers).std()


def test_a_linear_network_is_explained_exactly():
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = X @ [1.0, -2.0, 3.0]
    network = NNRegressor(
        (),
        solver="lbfgs",
        standardize=False,
        numeric_embedding=None,
        n_members=1,
        dropout=0,
        ema_decay=None,
        early_stopping=False,
        alpha=0,
        max_iter=500,
    ).fit(X, y)
    parts = integrated_gradients(network, X, baseline=X.mean(axis=0))
    assert_allclose(parts, (X - X.mean(axis=0)) * [1, -2, 3], atol=1e-3)


@pytest.mark.parametrize("kind", ["plain", "all"])
def test_categories_and_holes_are_folded_onto_their_columns(kind, fit, frame):
    network = fit("squared_error", kind, X=frame)
    parts = integrated_gradients(network.estimator, frame)
    assert parts.shape == frame.shape
    # The typical row: medians and missing categories.
    typical = frame.iloc[:1].copy()
    for name in frame.columns:
        known = frame[name].dropna()
        if known.dtype == np.float64:
            typical[name] = np.quantile(known, 0.5, method="inverted_cdf")
        else:
            typical[name] = None
    expected = (network.outputs(frame) - network.outputs(typical))[:, 0]
    assert_allclose(parts.sum(axis=1), expected, atol=1e-9 * expected.std())


@pytest.mark.parametrize("kind", ["plain", "all"])
def test_a_column_that_equals_the_baseline_contributes_nothing(kind, fit, frame):
    network = fit("squared_error", kind, X=frame)
    baseline = frame.iloc[[1]]
    changed = baseline.copy()
    changed["street"] = "s07" if baseline["street"].item() != "s07" else "s08"
    parts = integrated_gradients(network.estimator, changed, baseline=baseline)[0]
    where = list(frame.columns).index("street")
    assert_array_equal(np.flatnonzero(parts), [where])
    expected = (network.outputs(changed) - network.outputs(baseline))[0, 0]
    assert parts[where] == pytest.approx(expected)


def test_baseline_as_array_series_and_frame(fit, frame):
    network = fit("squared_error", X=frame).estimator
    by_frame = integrated_gradients(network, frame, baseline=frame.iloc[[3]])
    assert_array_equal(integrated_gradients(network, frame, baseline=frame.iloc[3]), by_frame)
    row = frame.iloc[3].to_numpy()
    assert_array_equal(integrated_gradients(network, frame, baseline=row), by_frame)


def test_baseline_as_polars_series(fit, numbers):
    pl = pytest.importorskip("polars")
    network, row = fit().estimator, numbers[3]
    expected = integrated_gradients(network, numbers, baseline=row)
    found = integrated_gradients(network, numbers, baseline=pl.Series(row))
    assert_array_equal(found, expected)


def test_several_baselines_are_averaged_over(fit, numbers):
    network = fit("binary", "members").estimator
    several = integrated_gradients(network, numbers, baseline=numbers[:4])
    each = [integrated_gradients(network, numbers, baseline=row) for row in numbers[:4]]
    assert_allclose(several, np.mean(each, axis=0), rtol=1e-10, atol=1e-12)


def test_rows_do_not_depend_on_their_company(fit, numbers):
    network = fit("squared_error", activation="relu").estimator
    together = integrated_gradients(network, numbers)
    alone = np.vstack([integrated_gradients(network, row[np.newaxis]) for row in numbers[:10]])
    assert_allclose(alone, together[:10], rtol=1e-9, atol=1e-9)


def test_sparse_rows_are_compared_with_zero(fit, numbers):
    X = np.where(np.abs(numbers) > np.abs(numbers).mean(axis=0), numbers, 0)
    network = fit("squared_error", X=sparse.csr_matrix(X))
    parts = integrated_gradients(network.estimator, sparse.csr_matrix(X))
    expected = (network.outputs(X) - network.outputs(np.zeros((1, 5))))[:, 0]
    assert_array_equal(parts != 0, X != 0)
    assert_allclose(parts.sum(axis=1), expected, atol=1e-9 * expected.std())


def test_float32_rows_give_float32(fit, numbers):
    network = fit("squared_error", dtype="float32")
    X = numbers.astype(np.float32)
    for explain in (input_gradients, integrated_gradients):
        parts = explain(network.estimator, X)
        assert parts.dtype == np.float32
        expected = explain(network.estimator, numbers)
        assert_allclose(parts, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["plain", "all"])
def test_relevant_columns_rank_first(kind, fit):
    X, y = make_friedman1(500, 15, noise=0.3, random_state=0)
    order = np.random.default_rng(0).permutation(15)
    network = NNRegressor(
        (32,),
        activation="silu",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        max_iter=60,
        early_stopping=False,
        ema_decay=None,
        alpha=1e-3,
        dropout=0.0,
        n_members=4 if kind == "all" else 1,
        numeric_embedding="periodic" if kind == "all" else None,
        random_state=0,
    ).fit(X[:, order], y)
    relevant = set(np.flatnonzero(order < 5))
    for parts in (
        integrated_gradients(network, X[:, order]),
        input_gradients(network, X[:, order]),
    ):
        ranking = np.argsort(-np.abs(parts).mean(axis=0))
        assert set(ranking[:5]) == relevant


def test_relevant_columns_of_a_classifier_with_noise():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    noisy = np.hstack([X[:, [7, 20, 22, 27]], rng.normal(size=(len(X), 8))])
    network = NNClassifier(
        (16,),
        learning_rate="cosine",
        learning_rate_init=0.01,
        max_iter=30,
        alpha=1e-3,
        dropout=0.0,
        ema_decay=None,
        early_stopping=False,
        n_members=1,
        numeric_embedding=None,
        random_state=0,
    ).fit(noisy, y)
    ranking = np.argsort(-np.abs(integrated_gradients(network, noisy)).mean(axis=0))
    assert set(ranking[:4]) == {0, 1, 2, 3}


# The rule of integration.


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 32])
def test_clenshaw_curtis_is_exact_for_polynomials(n):
    weights = level_weights(n, smooth=True)
    points = NestedRule(n).points
    for power in range(n + 1):
        assert weights @ points**power == pytest.approx(1 / (power + 1), abs=1e-12)


@pytest.mark.parametrize("n", [1, 4, 32])
def test_the_trapezoidal_rule_joins_the_points_by_straight_lines(n):
    rule = NestedRule(n, smooth=False)
    values = np.random.default_rng(0).normal(size=n + 1)
    expected = np.trapezoid(values, np.linspace(0, 1, n + 1))
    assert_array_equal(rule.points, np.linspace(0, 1, n + 1))
    assert rule.weights[-1] @ values == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("n", [1, 6, 8, 10, 32])
def test_levels_are_nested(n, smooth):
    rule = NestedRule(n, smooth=smooth)
    assert sorted(sum(rule.new_points, [])) == list(range(n + 1))
    assert_allclose(rule.weights.sum(axis=1), 1)
    for level, weights in enumerate(rule.weights):
        seen = sorted(sum(rule.new_points[: level + 1], []))
        assert_array_equal(np.flatnonzero(weights), seen)
    finest = NestedRule(n, smooth=smooth, nested=False)
    assert_array_equal(finest.weights, rule.weights[-1:])
    assert finest.new_points == [list(range(n + 1))]


# What goes wrong.


@pytest.mark.parametrize("explain", [input_gradients, integrated_gradients])
class TestBadInput:
    def test_unfitted(self, explain, numbers):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            explain(NNRegressor(), numbers)

    def test_another_estimator(self, explain, numbers):
        other = LinearRegression().fit(numbers, numbers[:, 0])
        with pytest.raises(TypeError, match="must be a local sknet estimator, got Linear"):
            explain(other, numbers)

    def test_a_pipeline(self, explain, numbers, fit):
        pipeline = make_pipeline(StandardScaler(), fit().estimator)
        with pytest.raises(TypeError, match=r"pipeline\[-1\]"):
            explain(pipeline, numbers)

    def test_wrong_columns(self, explain, numbers, fit):
        with pytest.raises(ValueError, match="has 3 features, but NNRegressor is expecting 5"):
            explain(fit().estimator, numbers[:, :3])

    def test_wrong_names(self, explain, frame, fit):
        estimator = fit(X=frame).estimator
        with pytest.raises(ValueError, match="feature names"):
            explain(estimator, frame.rename(columns={"a": "z"}))

    @pytest.mark.parametrize("target", ["oak", 1, 1.5, ["ash"], object()])
    def test_no_such_class(self, explain, target, numbers, fit):
        with pytest.raises(ValueError, match="target must be one of the classes .*ash"):
            explain(fit("multiclass").estimator, numbers, target=target)

    @pytest.mark.parametrize("target", [3, -1, "first", True])
    def test_no_such_output(self, explain, target, numbers, fit):
        with pytest.raises(ValueError, match=r"target must be one of the outputs \[0, 1\]"):
            explain(fit("outputs").estimator, numbers, target=target)

    @pytest.mark.parametrize(
        ("task", "what"),
        [("outputs", "2 outputs"), ("quantiles", "3 outputs"), ("multilabel", "2 labels")],
    )
    def test_an_output_must_be_chosen(self, explain, task, what, numbers, fit):
        with pytest.raises(ValueError, match=f"There are {what}. Set target to one of "):
            explain(fit(task).estimator, numbers)

    def test_a_link_without_the_derivative_that_an_ensemble_needs(self, explain, numbers):
        class Odds(Link):
            exclusive = False

            def inverse(self, raw):
                return 1 / (1 + np.exp(-raw))

            def inverse_backward(self, raw, delta):
                return delta * self.inverse(raw) * self.inverse(-raw)

            def link(self, prediction):
                return np.log(prediction / (1 - prediction))

        class Own(BinaryLogLoss):
            link = Odds()

        options = {"loss": Own(), "learning_rate": "cosine", "max_iter": 2, "random_state": 0}
        options["label_smoothing"] = 0.0
        y = numbers[:, 0] > 0
        own = NNClassifier((3,), n_members=1, **options).fit(numbers, y)
        plain = clone(own).set_params(loss="log_loss").fit(numbers, y)
        assert_allclose(explain(own, numbers), explain(plain, numbers), rtol=1e-6, atol=1e-9)
        own.set_params(n_members=2).fit(numbers, y)
        with pytest.raises(NotImplementedError, match="Odds has no link_backward"):
            explain(own, numbers)


@pytest.mark.parametrize("baseline", [[1.0, 2.0], np.zeros((2, 3)), 0.0, np.zeros((1, 5, 1))])
def test_baseline_of_wrong_shape(baseline, numbers, fit):
    with pytest.raises(ValueError, match="baseline must be one row of 5 features .* got shape"):
        integrated_gradients(fit().estimator, numbers, baseline=baseline)


def test_baseline_of_no_rows(numbers, fit):
    with pytest.raises(ValueError, match="0 sample"):
        integrated_gradients(fit().estimator, numbers, baseline=np.zeros((0, 5)))


@pytest.mark.parametrize("n_steps", [0, -3, 2.5, "many", True])
def test_number_of_steps(n_steps, numbers, fit):
    with pytest.raises(ValueError, match="n_steps must be an integer >= 1"):
        integrated_gradients(fit().estimator, numbers, n_steps=n_steps)


@pytest.mark.parametrize("tol", [-0.1, "tight", float("nan")])
def test_tolerance(tol, numbers, fit):
    with pytest.raises(ValueError, match="tol must be a number >= 0"):
        integrated_gradients(fit().estimator, numbers, tol=tol)
