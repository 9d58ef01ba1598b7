"""Categories, missing values and bins of encoded tables."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet import NNRegressor
from sknet.data import batches
from sknet.data.batches import Dataset
from sknet.data.columns.categories import MOST_ONE_HOT_LEVELS, Levels
from sknet.data.columns.numbers import MissingFlags
from sknet.data.encoding import TableEncoder
from sknet.data.frames import wrapped
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader

NAN = np.nan


def reader_of_levels(n_columns, n_levels):
    """Return a reader whose last columns are categories of some numbers of levels."""
    n_numbers = n_columns - len(n_levels)
    rows = np.zeros((max(n_levels, default=1), n_columns))
    for i, number in enumerate(n_levels, n_numbers):
        rows[:number, i] = np.arange(number)
    return TableReader.learn(wrapped(rows), list(range(n_numbers, n_columns)))


def fit(X, n_levels=(), *, standardize=False, weight=None, n_bins=0, **options):
    data = Dataset(np.asarray(X, dtype=float), sample_weight=weight)
    reader = reader_of_levels(data.X.shape[1], n_levels)
    survey = survey_rows(data, reader, rng=np.random.default_rng(0))
    return TableEncoder(standardize, n_bins, **options).fit_survey(survey)


def encode(encoder, X):
    return encoder.transform(np.asarray(X, dtype=float), np.float64)


def level_numbers(*values):
    return np.array(values, dtype=float)[:, np.newaxis]


# One-hot columns.


def test_one_column_a_level():
    X = level_numbers(0, 1, 2, 2, 1, 0)
    encoder = fit(X, [3])
    assert encoder.n_outputs_ == encoder.n_plain_ == 3
    assert_array_equal(encode(encoder, X), np.eye(3)[[0, 1, 2, 2, 1, 0]])


def test_what_is_unknown_belongs_to_no_level():
    encoder = fit(level_numbers(0, 0, 1, 1), [2])
    assert_array_equal(encode(encoder, level_numbers(NAN, 1)), [[0, 0], [0, 1]])


def test_missing_values_have_a_level_of_their_own():
    encoder = fit(level_numbers(0, NAN, 1, 1, 0), [2])
    assert_array_equal(
        encode(encoder, level_numbers(NAN, 0, 1)), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    )


def test_levels_seen_once_share_the_level_of_missing_values():
    # 1 and 3 are rare, 4 was declared but never seen.
    X = level_numbers(0, 0, 1, 2, 2, 3, NAN)
    encoder = fit(X, [5])
    expected = np.eye(3)[[0, 0, 2, 1, 1, 2, 2]]
    assert_array_equal(encode(encoder, X), expected)
    assert_array_equal(encode(encoder, level_numbers(4, NAN)), [[0, 0, 1], [0, 0, 1]])


def test_rare_levels_alone_make_the_shared_level():
    encoder = fit(level_numbers(0, 0, 1), [2])
    assert_array_equal(encode(encoder, level_numbers(0, 1, NAN)), [[1, 0], [0, 1], [0, 1]])


def test_all_levels_are_rare():
    encoder = fit(level_numbers(0, 1, 2), [3])
    assert_array_equal(encode(encoder, level_numbers(0, 1, 2, NAN)), np.ones((4, 1)))


def test_a_level_of_one_row_with_weight_two_is_seen_twice():
    encoder = fit(level_numbers(0, 0, 1, 2), [3], weight=np.array([1.0, 1.0, 2.0, 1.0]))
    repeated = fit(level_numbers(0, 0, 1, 1, 2), [3])
    rows = level_numbers(0, 1, 2, NAN)
    assert_array_equal(encode(encoder, rows), encode(repeated, rows))
    assert_array_equal(encode(encoder, rows), np.eye(3)[[0, 1, 2, 2]])


def test_weights_that_are_no_counts_do_not_make_a_level_frequent():
    # The level is seen once, since 5.3 is not a number of rows.
    encoder = fit(level_numbers(0, 0, 1), [2], weight=np.array([1.0, 1.0, 5.3]))
    assert_array_equal(encode(encoder, level_numbers(1, NAN)), [[0, 1], [0, 1]])


def test_rare_levels_are_kept_where_more_rows_will_come():
    encoder = fit(level_numbers(0, 0, 1), [3], keep_rare=True)
    assert_array_equal(encode(encoder, level_numbers(0, 1, 2)), np.eye(3))
    # Nothing was missing: what is missing later belongs to no level.
    assert_array_equal(encode(encoder, level_numbers(NAN)), [[0, 0, 0]])
    encoder = fit(level_numbers(0, 0, NAN), [2], keep_rare=True)
    assert_array_equal(encode(encoder, level_numbers(0, 1, NAN)), np.eye(3))


# Embedded levels.


@pytest.mark.parametrize("missing", [False, True])
def test_many_levels_are_embedded(missing):
    # One level more than columns are given to.
    n_levels = MOST_ONE_HOT_LEVELS + 1 - missing
    known = np.repeat(np.arange(n_levels), 2)
    X = level_numbers(*known, *[NAN] * missing)
    encoder = fit(X, [n_levels])
    assert encoder.n_plain_ == 0 and encoder.n_outputs_ == 1
    assert encoder.embedded_[0].n_levels == MOST_ONE_HOT_LEVELS + 1
    encoded = encode(encoder, X)[:, 0]
    assert_array_equal(encoded[: known.size], known)
    # The shared level, or the number that stands for none of the levels.
    assert encode(encoder, level_numbers(NAN))[0, 0] == n_levels


def test_the_most_levels_with_a_column_each():
    X = level_numbers(*np.repeat(np.arange(MOST_ONE_HOT_LEVELS), 2))
    encoder = fit(X, [MOST_ONE_HOT_LEVELS])
    assert encoder.embedded_ == []
    assert_array_equal(encode(encoder, X[::2]), np.eye(MOST_ONE_HOT_LEVELS))


def test_embedded_rare_levels_share_the_last_number():
    n_levels = MOST_ONE_HOT_LEVELS + 5
    frequent = np.repeat(np.arange(2, n_levels), 2)
    encoder = fit(level_numbers(0, 1, *frequent), [n_levels])
    category = encoder.embedded_[0]
    assert category.n_levels == n_levels - 1
    encoded = encode(encoder, level_numbers(0, 1, 2, n_levels - 1, NAN))[:, 0]
    assert_array_equal(encoded, np.array([0, 0, -n_levels + 2, -1, 0]) + n_levels - 2)


def test_level_numbers_are_exact_in_float32():
    n_levels = 5000
    X = np.repeat(np.arange(n_levels, dtype=float), 2)[:, np.newaxis]
    assert_array_equal(fit(X, [n_levels]).transform(X, np.float32), X)


def test_order_of_the_encoded_columns():
    many = MOST_ONE_HOT_LEVELS + 1
    rows = np.arange(2 * many)
    numbers = np.column_stack([rows + 0.5, np.where(rows == 3, NAN, -rows)])
    X = np.column_stack([numbers, rows % many, rows % 2, rows // 2 % many])
    encoder = fit(X, [many, 2, many])
    assert encoder.n_plain_ == 2 + 1 + 2 and encoder.n_outputs_ == 7
    encoded = encode(encoder, X)
    assert_array_equal(encoded[:, 0], rows + 0.5)
    assert_array_equal(encoded[:, 2], rows == 3)
    assert_array_equal(encoded[:, 3:5], np.eye(2)[rows % 2])
    assert_array_equal(encoded[:, 5], rows % many)
    assert_array_equal(encoded[:, 6], rows // 2 % many)


# Missing numbers.


@pytest.mark.parametrize("standardize", [False, True])
def test_missing_numbers_become_the_median(standardize):
    X = np.array([[1, 5], [2, NAN], [NAN, 7], [4, 8], [9, 9], [3, 0]], dtype=float)
    encoder = fit(X, standardize=standardize)
    filled = X.copy()
    filled[2, 0], filled[1, 1] = 3, 7  # of 1 2 3 4 9 and of 0 5 7 8 9
    whole = fit(filled, standardize=standardize)
    encoded = encode(encoder, X)
    assert_array_equal(encoded[:, 2:], np.isnan(X))
    if standardize:
        # The spread is that of what is known.
        assert encoded[2, 0] == encoded[1, 1] == 0
        known = fit(np.delete(X[:, :1], 2, axis=0), standardize=True)
        assert_allclose(
            np.delete(encoded[:, :1], 2, axis=0), encode(known, np.delete(X[:, :1], 2, axis=0))
        )
    else:
        assert_array_equal(encoded[:, :2], encode(whole, filled))


def test_the_median_is_weighted():
    X = level_numbers(1, 2, 3, NAN)
    assert encode(fit(X), level_numbers(NAN))[0, 0] == 2
    assert encode(fit(X, weight=np.array([1.0, 1, 5, 9])), level_numbers(NAN))[0, 0] == 3


@pytest.mark.parametrize("standardize", [False, True])
def test_indicators_only_where_training_had_missing_values(standardize):
    X = np.array([[1, NAN], [2, 5], [3, 6]])
    encoder = fit(X, standardize=standardize)
    (flags,) = encoder.of_kind(MissingFlags)
    assert_array_equal(flags.sources, [1])
    assert encoder.n_outputs_ == 3
    encoded = encode(encoder, [[NAN, 5], [2, NAN]])
    assert_array_equal(encoded[:, 2], [0, 1])
    # Missing where training had none: the median alone.
    assert encoded[0, 0] == encode(encoder, [[2, 5]])[0, 0]


@pytest.mark.parametrize("standardize", [False, True])
def test_no_missing_values_in_training(standardize):
    X = np.array([[1.0, 4], [2, 5], [3, 6]])
    encoder = fit(X, standardize=standardize)
    assert encoder.n_outputs_ == 2
    assert_array_equal(encode(encoder, [[NAN, NAN]]), encode(encoder, [[2, 5]]))


@pytest.mark.parametrize("standardize", [False, True])
def test_a_column_without_values(standardize):
    X = np.array([[1.0, NAN], [2, NAN], [3, NAN]])
    encoder = fit(X, standardize=standardize)
    assert_array_equal(encode(encoder, X)[:, 1:], [[0, 1]] * 3)
    # Nothing is known of its scale.
    later = encode(encoder, [[1, 1e6]])
    assert np.isfinite(later).all() and later[0, 2] == 0
    if standardize:
        assert later[0, 1] == 0


@pytest.mark.parametrize("row", [0, 7, 29])
def test_missing_values_and_levels_in_any_block(row, monkeypatch):
    # Five rows are looked at together.
    monkeypatch.setattr(batches, "BLOCK_ELEMENTS", 15)
    X = np.ones((30, 3))
    X[:, 2] = 0
    X[row, 1], X[row, 2] = NAN, 1
    encoder = fit(X, [2], keep_rare=True)
    (flags,) = encoder.of_kind(MissingFlags)
    assert_array_equal(flags.sources, [1])
    assert encoder.of_kind(Levels)[0].n_levels == 2
    assert encode(encoder, X)[:, 2].tolist() == [float(i == row) for i in range(30)]


def test_sparse_rows_of_a_table_that_had_missing_values():
    X = np.array([[0, NAN], [2, 0], [3, 6.0]])
    encoder = fit(X)
    new = np.array([[0, 5.0], [1, 0]])
    assert_array_equal(
        encoder.transform(sparse.csr_matrix(new), np.float64), encode(encoder, new)
    )


# Bins.


def test_bin_edges_are_quantiles():
    x = np.random.default_rng(0).permutation(1001).astype(float)[:, np.newaxis]
    (edges,) = fit(x, n_bins=4).bin_edges_
    assert_allclose(edges, [0, 250, 500, 750, 1000], atol=1)
    weight = np.where(x[:, 0] < 500, 3.0, 1.0)
    (weighted,) = fit(x, n_bins=4, weight=weight).bin_edges_
    assert_allclose(weighted, [0, 167, 333, 500, 1000], atol=1)


def test_bin_edges_are_of_the_scaled_numbers():
    x = np.random.default_rng(0).gamma(2, size=(500, 1)) * 1e5
    encoder = fit(x, n_bins=8, standardize=True)
    (edges,) = encoder.bin_edges_
    (plain,) = fit(x, n_bins=8).bin_edges_
    assert_allclose(edges, encode(encoder, level_numbers(*plain))[:, 0])


@pytest.mark.parametrize(
    "x", [np.zeros(50), np.repeat([0.0, 1], 25), np.r_[np.zeros(49), 1e-9], np.full(50, NAN)]
)
def test_bin_edges_always_increase(x):
    encoder = fit(x[:, np.newaxis], n_bins=16)
    (edges,) = encoder.bin_edges_
    assert len(edges) >= 2
    assert (np.diff(edges) > 0).all()
    assert all(type(edge) is float for edge in edges)


def test_edges_are_not_much_closer_than_the_range():
    x = np.r_[np.linspace(0, 1e-3, 500), np.linspace(10, 20, 500)]
    (edges,) = fit(x[:, np.newaxis], n_bins=16).bin_edges_
    assert np.diff(edges).min() > 1e-3 * 20
    assert edges[0] == 0 and edges[-1] == 20


# Names.


def test_names():
    many = MOST_ONE_HOT_LEVELS + 1
    rows = np.arange(2 * many)
    numbers = np.column_stack([rows, np.where(rows == 3, NAN, rows)])
    rare = np.where(rows == 0, 2, rows % 2)
    X = np.column_stack([numbers, rows % many, rare])
    found = fit(X, [many, 3]).feature_names(
        ["size", "age", "shop", "tree"], [list(range(many)), ["ash", "beech", "yew"]]
    )
    of_tree = ["tree_ash", "tree_beech", "tree_other"]
    assert found == ["size", "age", "age_missing", *of_tree, "shop"]


@pytest.mark.parametrize("trained", [np.float32, np.float64])
def test_levels_that_are_numbers_are_known_in_another_precision(trained):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 12, 300) / 10, rng.normal(size=300)]).astype(trained)
    X[0, 0] = np.nan
    y = np.sin(40 * np.nan_to_num(X[:, 0])) + X[:, 1] / 10
    network = NNRegressor(max_iter=2, random_state=0, categorical_features=[0]).fit(X, y)
    other = np.float32 if trained == np.float64 else np.float64
    expected = network.predict(X)
    assert np.ptp(expected) > 0.1
    assert_allclose(network.predict(X.astype(other)), expected, rtol=1e-4, atol=1e-5)
    frame = pd.DataFrame({"level": pd.Categorical(X[:, 0]), "x": X[:, 1]})
    network = NNRegressor(max_iter=2, random_state=0).fit(frame, y)
    rows = frame.assign(level=pd.Categorical(X[:, 0].astype(other)))
    assert_allclose(network.predict(rows), network.predict(frame), rtol=1e-4, atol=1e-5)
