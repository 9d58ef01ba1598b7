"""Normal scores: ranks beside columns whose numbers span orders of magnitude."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.metrics import log_loss, r2_score

from sknet import NNClassifier, NNRegressor
from sknet.data.batches import Dataset
from sknet.data.columns.scores import NormalScores
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader
from sknet.inspection import input_gradients
from sknet.nn.embeddings import MappedPiecewiseLinear, Periodic

N_ROWS = 2000


def fitted(X, sample_weight=None, standardize=True, tails=True, **options):
    data = Dataset(X, sample_weight=sample_weight)
    survey = survey_rows(data, TableReader(np.arange(X.shape[1])), rng=np.random.default_rng(0))
    encoder = TableEncoder(standardize, scores_gaps=True, scores_tails=tails, **options)
    return encoder.fit_survey(survey)


def scored(encoder):
    """Return the positions of the columns with scores."""
    return [int(i) for one in encoder.of_kind(NormalScores) for i in one.sources]


def scores_of(encoder, X):
    (feature,) = encoder.of_kind(NormalScores)
    return feature.encode(X, np.float64)


def p_values(n_rows=N_ROWS, n_columns=3, seed=0):
    return 10 ** -np.random.default_rng(seed).exponential(3, size=(n_rows, n_columns))


def two_groups(n_rows, distance, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random(n_rows) + np.where(rng.random(n_rows) < 0.4, distance, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_those_of_ranks(dtype):
    X = p_values().astype(dtype)
    found = scores_of(fitted(X), X)
    u = stats.norm.ppf((stats.rankdata(X, axis=0) - 0.5) / N_ROWS)
    u /= np.diff(stats.norm.ppf([0.25, 0.75]))
    # Outside the outermost quantiles, scores are constant.
    inside = np.abs(u) < 1.7
    assert_allclose(found[inside], (u / np.sqrt(1 + (u / 3) ** 2))[inside], atol=0.07)
    assert np.abs(found).max() < 2
    order = X.argsort(axis=0)
    assert (np.diff(np.take_along_axis(found, order, axis=0), axis=0) >= 0).all()


def test_which_columns_have_them():
    rng = np.random.default_rng(0)
    columns = {
        "normal": rng.normal(size=N_ROWS),
        "lognormal": np.exp(rng.normal(size=N_ROWS)),
        "decades": np.exp(4 * rng.normal(size=N_ROWS)),
        "to the left": -np.exp(4 * rng.normal(size=N_ROWS)),
        "few values": np.floor(np.exp(4 * rng.normal(size=N_ROWS)).clip(0, 30)),
        "few outliers": np.where(np.arange(N_ROWS) % 50, rng.normal(size=N_ROWS), 1e6),
        "a zero in many rows": np.exp(4 * rng.normal(size=N_ROWS)) * (rng.random(N_ROWS) < 0.7),
        "constant": np.ones(N_ROWS),
        "missing": np.full(N_ROWS, np.nan),
        "two groups": two_groups(N_ROWS, 1e3),
        "two groups, not far apart": two_groups(N_ROWS, 5.0),
        "two values": np.where(rng.random(N_ROWS) < 0.5, 1e3, rng.integers(0, 5, N_ROWS)),
    }
    X, names = np.column_stack(list(columns.values())), list(columns)
    found = [names[i] for i in scored(fitted(X, marks_heavy=True))]
    assert found == ["decades", "to the left", "a zero in many rows", "two groups"]
    assert [names[i] for i in scored(fitted(X, tails=False))] == ["two groups"]
    # Rounding of interpolated numbers might reverse their order.
    assert [names[i] for i in scored(fitted(X, ordered=(2,)))][0] == "to the left"
    assert not scored(fitted(X, standardize=False))


@pytest.mark.parametrize("marks_heavy", [False, True])
def test_missing_numbers_and_heavy_values_become_zero(marks_heavy):
    rng = np.random.default_rng(0)
    X = np.exp(4 * rng.normal(size=(N_ROWS, 2)))
    X[rng.random(N_ROWS) < 0.6, 0] = 0
    X[rng.random(N_ROWS) < 0.2, 1] = np.nan
    encoder = fitted(X, marks_heavy=marks_heavy)
    found = scores_of(encoder, X)
    assert (found[X[:, 0] == 0, 0] == 0).all()
    # The zeros have no share in the ranks of the others.
    others = found[X[:, 0] > 0, 0]
    assert_allclose(np.diff(np.quantile(others, [0.25, 0.5, 0.75])), [0.5, 0.5], atol=0.25)
    assert_allclose(others[X[X[:, 0] > 0, 0] < np.quantile(X, 0.01)], others.min(), atol=0.3)
    assert (found[np.isnan(X[:, 1]), 1] == 0).all()
    median = np.nanmedian(X[:, 1])
    assert_allclose(scores_of(encoder, np.array([[0, median]]))[0], 0, atol=0.01)


def test_a_weight_counts_as_rows():
    X, times = p_values(300), np.random.default_rng(1).integers(1, 4, size=300)
    weighted, repeated = fitted(X, times.astype(float)), fitted(np.repeat(X, times, axis=0))
    assert_array_equal(scores_of(weighted, X), scores_of(repeated, X))


def test_slopes_are_those_of_differences():
    X = np.exp(4 * np.random.default_rng(0).normal(size=(N_ROWS, 2)))
    encoder = fitted(X)
    # Quantiles are rows of training, at which slopes have no single value.
    rows = np.exp(4 * np.random.default_rng(1).normal(size=(200, 2)))
    rows = np.vstack([rows, [[np.nan, 1e9]]])
    step = rows * 1e-6
    change = scores_of(encoder, rows + step) - scores_of(encoder, rows - step)
    (feature,) = encoder.of_kind(NormalScores)
    slopes = feature.slopes(rows)
    assert_allclose((slopes * step)[:-1], (change / 2)[:-1], rtol=1e-4, atol=1e-12)
    assert_array_equal(slopes[-1], 0)
    assert (slopes >= 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("span", [(-320, -280), (250, 308), (-320, 308)])
def test_numbers_at_the_limits_of_float64(span):
    exponents = np.random.default_rng(0).uniform(*span, size=(500, 1))
    X = 10.0**exponents
    encoder = fitted(X)
    assert np.isfinite(encoder.transform(X, np.float64)).all()
    assert np.isfinite(encoder.slopes(X)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_ranks_decide_is_learned(dtype):
    X = p_values(3000).astype(dtype)
    y = X[:, :2].min(axis=1) < 1e-6
    train, test = slice(1000), slice(1000, None)
    classifier = NNClassifier(random_state=0).fit(X[train], y[train])
    # The frequencies of the classes have a log loss of 0.57.
    assert log_loss(y[test], classifier.predict_proba(X[test])) < 0.1
    y = np.log10(X[:, 0]) - np.log10(X[:, 1])
    regressor = NNRegressor(random_state=0).fit(X[train], y[train])
    assert r2_score(y[test], regressor.predict(X[test])) > 0.95


def scored_in_a_fit(estimator, X):
    y = X[:, 0] < 1e-3 if isinstance(estimator, NNClassifier) else X[:, 0]
    estimator.set_params(max_iter=1, early_stopping=False).fit(X, y)
    return scored(estimator._model.encoder)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_when_there_are_some(cls):
    assert scored_in_a_fit(cls(), p_values(240)) == [0, 1, 2]
    # All columns may have scores, and there must be 40 rows for each input.
    assert not scored_in_a_fit(cls(), p_values(239))
    assert not scored_in_a_fit(cls(), p_values(9000, 101))
    # One row of the first weights for each column, and edges for each column.
    plain = cls(numeric_embedding=None, n_components=0, n_members=1)
    assert not scored_in_a_fit(plain, p_values(400))
    assert plain.coefs_[0].shape[0] == 3
    edges = MappedPiecewiseLinear(edges=((-2, 0, 2),) * 3)
    given = cls(numeric_embedding=edges, share_weights=True, n_members=1)
    assert not scored_in_a_fit(given, p_values(400))
    assert scored_in_a_fit(cls(numeric_embedding=Periodic()), p_values(400)) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_chunk_may_be_followed_by_many():
    X = p_values(100)
    network = NNRegressor().partial_fit(X, X[:, 0])
    assert scored(network._model.encoder) == [0, 1, 2]


@pytest.mark.parametrize("fill", [1e20, 9.96921e36, -1e300])
def test_a_few_large_numbers_do_not_matter(fill):
    """They once determined the scale of the column, so that all others were nearly equal."""
    X = np.exp(4 * np.random.default_rng(0).normal(size=(N_ROWS, 3)))
    before = fitted(X)
    filled = X.copy()
    filled[:5] = fill
    after = fitted(filled)
    assert scored(after) == scored(before) == [0, 1, 2]
    one, other = (np.hstack([e.transform(X[5:], np.float64)]) for e in (before, after))
    assert_allclose(one, other, atol=0.15)


def test_a_column_of_any_span_has_them():
    exponents = np.random.default_rng(0).uniform(-300, 300, size=(N_ROWS, 2))
    assert scored(fitted(10.0**exponents)) == [0, 1]


def test_components_are_those_of_the_columns_alone():
    """A column is correlated with its own scores."""
    X = np.exp(3 * np.random.default_rng(0).normal(size=(1000, 4)))
    assert fitted(X, n_components=4).components_ is None
    X = np.hstack([X, X[:, :1] * X[:, 1:2]])
    encoder = fitted(X, n_components=4)
    assert len(encoder.components_.center) == 5
    assert encoder.n_numeric_ == 10


def test_gradients_include_them():
    X = p_values(1000)
    y = np.log10(X[:, 0]) + np.log10(X[:, 1])
    model = NNRegressor(random_state=0, max_iter=30, dtype="float64").fit(X, y)
    rows = p_values(100, seed=1)
    rows = rows[(rows > 1e-6).all(axis=1) & (rows < 0.1).all(axis=1)]
    gradients, step = input_gradients(model, rows), rows * 1e-6
    for j in range(3):
        moved = np.zeros_like(rows)
        moved[:, j] = step[:, j]
        change = model.predict(rows + moved) - model.predict(rows - moved)
        assert_allclose(gradients[:, j] * step[:, j], change / 2, rtol=0.05, atol=1e-10)


@pytest.mark.parametrize("distance", [100, 1000])
@pytest.mark.parametrize("n_rows", [300, 1000])
def test_numbers_in_two_groups_far_apart_are_told_apart(distance, n_rows):
    x = two_groups(2 * n_rows, distance)
    y, noise = x % distance, np.random.default_rng(1).normal(size=(2 * n_rows, 3))
    X, train = np.column_stack([x, noise]), np.arange(2 * n_rows) < n_rows
    classifier = NNClassifier(random_state=0).fit(X[train], y[train] > 0.5)
    assert classifier.score(X[~train], y[~train] > 0.5) > 0.9
    regressor = NNRegressor(random_state=0).fit(X[train], y[train])
    assert regressor.score(X[~train], y[~train]) > 0.95
