"""Encoded numbers: the formula, units, weights, large values, sparse rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats

from sknet import NNRegressor
from sknet.data import draws
from sknet.data.batches import Dataset
from sknet.data.encoding import TableEncoder
from sknet.data.frames import wrapped
from sknet.data.kinds import FARTHEST
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def fit(X, sample_weight=None, standardize=True, seed=0):
    data = Dataset(X, sample_weight=sample_weight)
    reader = TableReader(np.arange(X.shape[1]))
    survey = survey_rows(data, reader, rng=np.random.default_rng(seed))
    return TableEncoder(standardize).fit_survey(survey)


def to_array(X):
    return X.toarray() if sparse.issparse(X) else X


def plain_quantile(x, q):
    """Return the smallest value that a share of at least q of the values do not exceed."""
    x = np.sort(np.asarray(x, dtype=float))
    return x[max(0, int(np.ceil(q * len(x))) - 1)]


def plain_encoding(X):
    """Write the formula of the paper down, column by column, for unweighted dense rows.

    The center and the spread of a column with a heavy value are those of its other values.
    """
    out = np.empty(X.shape)
    for j, x in enumerate(X.T.astype(float)):
        values, counts = np.unique(x, return_counts=True)
        is_heavy = len(values) > 2 and counts.max() >= 20
        others = x[x != values[counts.argmax()]] if is_heavy else x
        spread = plain_quantile(others, 0.75) - plain_quantile(others, 0.25)
        if spread == 0:
            spread = (x.max() - x.min()) / 2
        center = plain_quantile(others, 0.5)
        u = (np.stack([x, np.full(len(x), plain_quantile(x, 0.5))]) - center) / (
            spread or np.inf
        )
        clipped, zero = u / np.sqrt(1 + (u / 3) ** 2)
        out[:, j] = clipped - zero
    return out


def make_table(n_rows=41, dtype=np.float64):
    rng = np.random.default_rng(0)
    columns = [
        rng.normal(size=n_rows),
        np.exp(3 * rng.normal(size=n_rows)),
        rng.normal(size=n_rows) * 1e-6,
        rng.integers(0, 3, n_rows),
        np.r_[np.zeros(n_rows - 2), -3, 5],  # half and more of it is one value
        np.full(n_rows, 4.25),
    ]
    return np.column_stack(columns).astype(dtype)


def make_sparse(dtype=np.float64, n_rows=60):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(n_rows, 5)) * 10.0 ** np.arange(-2, 3)
    return sparse.csr_matrix(dense * (rng.random(dense.shape) < 0.3), dtype=dtype)


# Dense tables.


@DTYPES
def test_dense_formula(dtype):
    X = make_table(dtype=dtype)
    encoded = fit(X).transform(X, dtype)
    assert encoded.dtype == dtype
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(encoded, plain_encoding(X), rtol=rtol, atol=rtol)
    assert np.abs(encoded).max() <= 3
    assert np.abs(encoded).max() > 2  # the long tail of exp


def test_new_rows_are_measured_by_the_training_rows():
    X = make_table()
    encoder = fit(X)
    assert_array_equal(
        encoder.transform(X[3:5], np.float64), encoder.transform(X, np.float64)[3:5]
    )
    u = (X[:1, 0] + 2 - encoder.numbers_.center[0]) * encoder.numbers_.scale[0]
    shifted = encoder.transform(X[:1] + 2, np.float64)
    assert_allclose(shifted[0, 0], u[0] / np.sqrt(1 + u[0] ** 2 / 9), rtol=1e-12)


def test_units_and_offsets_of_columns_do_not_matter():
    X = make_table()
    expected = fit(X).transform(X, np.float64)
    Z = X * 2.0 ** np.array([20, -30, 10, 3, -7, 5]) + np.array([0, 0, 0, 8, -16, 32])
    assert_allclose(fit(Z).transform(Z, np.float64), expected, rtol=1e-12, atol=1e-12)


def test_integer_weights_equal_repetition():
    X, counts = make_table(), np.random.default_rng(1).integers(1, 5, 41)
    weighted, repeated = fit(X, counts.astype(float)), fit(np.repeat(X, counts, axis=0))
    assert_array_equal(weighted.numbers_.center, repeated.numbers_.center)
    assert_array_equal(weighted.numbers_.scale, repeated.numbers_.scale)
    assert (weighted.numbers_.scale != fit(X).numbers_.scale).any()


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e8, 1e300])
@DTYPES
def test_constant_columns_give_zeros(constant, dtype):
    if dtype == np.float32:
        constant = np.clip(constant, -1e30, 1e30)
    X = np.full((20, 2), constant, dtype=dtype)
    encoder = fit(X, np.random.default_rng(0).uniform(0.1, 3, 20))
    assert_array_equal(encoder.transform(X, np.float64), 0)
    # Of a column that never varied, nothing was learned.
    assert_array_equal(encoder.transform(X / 2 + 7, np.float64), 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_quartiles_that_differ_by_rounding_give_way_to_the_range(sign):
    """The numbers are as large as the largest, even if one of them is zero."""
    noisy = np.r_[0, np.full(10, 1.0), np.full(10, 1 + np.finfo(float).eps)]
    assert plain_quantile(noisy, 0.75) > plain_quantile(noisy, 0.25)
    assert_allclose(fit(sign * noisy[:, np.newaxis]).numbers_.scale, 2, rtol=1e-12)


@DTYPES
def test_numbers_far_out_do_not_set_the_scale_of_a_column_of_equal_numbers(dtype):
    """The range counts up to 20 times the median distance of the others."""
    others = np.r_[np.full(8, 1), np.full(3, 2), -1000]
    x = np.r_[np.full(20, 5), 5 + others].astype(dtype)[:, np.newaxis]
    assert_allclose(fit(x).numbers_.scale, 2 / 20, rtol=1e-6)
    twice = fit(x, np.full(len(x), 2.0)).numbers_.scale
    assert_allclose(twice, 2 / 20, rtol=1e-6)
    near = np.r_[np.full(20, 5), 5 + np.clip(others, -18, None)].astype(dtype)[:, np.newaxis]
    assert_allclose(fit(near).numbers_.scale, 2 / 20, rtol=1e-6)
    nearer = np.r_[np.full(20, 5), 5 + np.clip(others, -6, None)].astype(dtype)[:, np.newaxis]
    assert_allclose(fit(nearer).numbers_.scale, 2 / 8, rtol=1e-6)


@DTYPES
def test_rounding_is_no_distance_from_equal_numbers(dtype):
    noise = 3 * np.finfo(np.float32).eps * np.arange(1, 4)
    x = np.r_[np.full(15, 1), 1 - noise, 4.0].astype(dtype)[:, np.newaxis]
    assert_allclose(fit(x).numbers_.scale, 2 / 3, rtol=1e-5)
    # Differences that should be zero.
    x = np.r_[np.zeros(15), noise, 1, 1.0].astype(dtype)[:, np.newaxis]
    assert_allclose(fit(x).numbers_.scale, 2, rtol=1e-5)


def test_rounding_noise_counts_as_constant():
    x = 1e8 + np.array([0, 1, -1, 0, 1]) * 1.5e-8
    assert np.ptp(x) > 0
    assert_array_equal(fit(x[:, np.newaxis]).transform(x[:, np.newaxis], np.float64), 0)


@DTYPES
def test_small_differences_around_large_offsets(dtype):
    # A cast to float32 first would make one value of them.
    step = 8 if dtype == np.float32 else 1e-3
    x = np.array([-3, -2, -1, 0, 1, 2, 3, 4], dtype=dtype)[:, np.newaxis]
    X = (1e8 + step * x).astype(dtype)
    assert np.unique(X).size == 8
    encoded = fit(X).transform(X, np.float32)
    assert encoded.dtype == np.float32
    assert_allclose(encoded, plain_encoding(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("huge", [1e20, 1e200, 1e300])
@pytest.mark.parametrize("to", [np.float32, np.float64])
def test_huge_values_are_finite(huge, to):
    X = make_table()
    encoder = fit(X)
    up, down = (encoder.transform(np.full((1, 6), sign * huge), to) for sign in (1, -1))
    zero = clipped_zeros(X)
    assert_allclose(up[0, :5], 3 - zero, rtol=1e-6)
    assert_allclose(down[0, :5], -3 - zero, rtol=1e-6)
    assert up[0, 5] == down[0, 5] == 0


def clipped_zeros(X):
    """Return c((o - center) s) of the first columns, of which the last has a heavy zero o."""
    others = X[X[:, 4] != 0, 4]
    center, spread = others.min(), np.ptp(others)
    return np.r_[np.zeros(4), -center / spread / np.hypot(1, center / spread / 3)]


def test_huge_float32_values_are_finite():
    X = make_table(dtype=np.float32)
    huge = np.full((1, 6), np.finfo(np.float32).max)
    expected = np.r_[3 - clipped_zeros(X), 0]
    assert_allclose(fit(X).transform(huge, np.float32)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-15, 1e15, 1e100, 1e300])
def test_columns_in_huge_or_tiny_units(unit):
    x = np.random.default_rng(0).normal(size=(30, 1))
    encoded = fit(x * unit).transform(x * unit, np.float64)
    assert_allclose(encoded, plain_encoding(x), rtol=1e-9)


@DTYPES
@pytest.mark.parametrize("shape", ["spread", "ends", "rare"])
def test_columns_over_the_whole_range(shape, dtype):
    # The distance of the quartiles, or of the ends, is more than the largest number.
    x = {
        "spread": np.linspace(-0.9, 0.9, 21),
        "ends": np.repeat([-0.9, 0.1, 0.9], [8, 5, 8]),
        "rare": np.repeat([-0.9, 0.0, 0.9], [1, 19, 1]),
    }[shape][:, np.newaxis]
    X = (x * np.finfo(dtype).max).astype(dtype)
    encoded = fit(X).transform(X, dtype)
    # Differences may overflow, but nothing else: the order of the values stays.
    assert np.isfinite(encoded).all()
    assert (np.diff(encoded, axis=0) >= 0).all()
    assert encoded[0] < -0.4 and encoded[-1] > 0.4


def test_far_from_a_huge_constant():
    X = np.full((5, 1), -1.5e308)
    assert_array_equal(fit(X).transform(-X, np.float64), 0)


@pytest.mark.parametrize("fitted", [np.float32, np.float64])
@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_rows_of_another_dtype(fitted, given):
    X = make_table()
    encoded = fit(X.astype(fitted)).transform(X.astype(given), np.float32)
    assert encoded.dtype == np.float32
    # Column 2 comes in steps of a float32, but so does its spread.
    assert_allclose(encoded, plain_encoding(X), rtol=1e-4, atol=1e-4)


def test_rows_are_left_alone():
    X = make_table()
    X.flags.writeable = False
    S = make_sparse()
    before = S.data.copy()
    fit(X).transform(X, np.float64)
    fit(S).transform(S, np.float64)
    assert_array_equal(S.data, before)


def test_memory_maps(tmp_path):
    X = make_table()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(
        fit(mapped).transform(mapped, np.float64), fit(X).transform(X, np.float64)
    )


# Large tables.


@pytest.mark.parametrize("as_sparse", [False, True])
def test_quantiles_of_large_tables_come_from_some_rows(as_sparse, monkeypatch):
    rng = np.random.default_rng(0)
    X, weight = rng.gamma(2, size=(5000, 2)), rng.uniform(0.5, 2, 5000)
    X = sparse.csr_matrix(X * (rng.random(X.shape) < 0.5)) if as_sparse else X
    whole = fit(X, weight)
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 5000)
    assert_array_equal(fit(X, weight).numbers_.scale, whole.numbers_.scale)
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 2000)
    for some in (fit(X, weight), fit(X)):
        assert (some.numbers_.scale != whole.numbers_.scale).all()
        assert_allclose(some.numbers_.scale, whole.numbers_.scale, rtol=0.1)
    first, again, other = (fit(X, weight, seed=seed).numbers_.scale for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert (first != other).any()


# Sparse tables.


@DTYPES
def test_sparse_formula(dtype):
    X = make_sparse(dtype)
    encoded = fit(X).transform(X, dtype)
    assert sparse.issparse(encoded) and encoded.format == "csr"
    assert encoded.dtype == dtype
    expected = np.zeros(X.shape)
    for j, x in enumerate(X.toarray().astype(float).T):
        u = x / (2 * plain_quantile(np.abs(x[x != 0]), 0.5))
        expected[:, j] = u / np.sqrt(1 + (u / 3) ** 2)
    assert_allclose(encoded.toarray(), expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


def test_sparse_keeps_its_zeros_and_pattern():
    X = make_sparse()
    encoded = fit(X).transform(X, np.float64)
    assert_array_equal(encoded.indices, X.indices)
    assert_array_equal(encoded.indptr, X.indptr)
    assert (encoded.data != 0).all()
    assert_array_equal(np.sign(encoded.data), np.sign(X.data))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_columns_far_from_zero_are_centered(dtype):
    rng = np.random.default_rng(0)
    year = rng.integers(1990, 2025, 200).astype(float)
    dense = np.column_stack([year, -year, rng.normal(size=200), np.ones(200)])
    dense[::9, 1] = 0
    X = sparse.csr_matrix(dense, dtype=dtype)
    encoder = fit(X)
    encoded = encoder.transform(X, dtype)
    assert encoded.format == "csr" and np.isfinite(encoded.data).all()
    found = encoded.toarray()
    # The zero stays zero, and it is as far from the numbers as the clip allows.
    q1, median, q3 = np.quantile(year, [0.25, 0.5, 0.75], method="inverted_cdf")
    u = (year - median) / (q3 - q1)
    assert_allclose(found[:, 0], u / np.sqrt(1 + (u / 3) ** 2) + 3, rtol=1e-3)
    assert (found[::9, 1] == 0).all()
    # Other columns are only scaled, and dense rows are encoded alike.
    assert_allclose(np.median(np.abs(found[:, 2])), 0.5, rtol=0.03)
    assert_allclose(found[:, 3], 0.5 / np.sqrt(1 + 1 / 36), rtol=1e-6)
    assert_allclose(encoder.transform(X.toarray(), dtype), found, rtol=1e-5, atol=1e-6)


def years(n_zeros, n_rows=60):
    """Return sparse rows with a year in those after the first ones."""
    year = np.random.default_rng(0).integers(1990, 2025, n_rows).astype(float)
    year[:n_zeros] = 0
    return sparse.csr_matrix(np.column_stack([year, np.ones(n_rows)]))


@pytest.mark.parametrize("of_zeros", [1, 3])
def test_weights_of_zeros_are_repetitions(of_zeros):
    """Half of the rows are zero: with larger weights, most of them are."""
    X, counts = years(30), np.where(np.arange(60) < 30, of_zeros, 1)
    weighted = fit(X, counts.astype(float)).numbers_
    repeated = fit(X[np.repeat(np.arange(60), counts)]).numbers_
    assert (weighted.center is None) == (repeated.center is None) == (of_zeros == 3)
    assert_array_equal(weighted.scale, repeated.scale)


def test_explicit_zeros_and_duplicates_change_nothing():
    X = years(31)
    expected = fit(X)
    coo = sparse.coo_matrix(X)
    rows, columns = np.r_[coo.row, np.arange(31)], np.r_[coo.col, np.zeros(31, int)]
    with_zeros = sparse.csr_matrix((np.r_[coo.data, np.zeros(31)], (rows, columns)), X.shape)
    assert with_zeros.nnz == X.nnz + 31
    assert fit(with_zeros).numbers_.center is expected.numbers_.center is None
    X = years(5)
    encoder = fit(X)
    twice = sparse.csr_matrix(
        (np.repeat(X.data, 2) * 0.5, np.repeat(X.indices, 2), 2 * X.indptr), X.shape
    )
    assert twice.nnz == 2 * X.nnz
    assert_array_equal(fit(twice).numbers_.center, encoder.numbers_.center)
    assert_allclose(
        encoder.transform(twice, np.float64).toarray(),
        encoder.transform(X, np.float64).toarray(),
        rtol=1e-12,
    )


def test_equal_quartiles_do_not_hide_a_year():
    X = years(0, 200).toarray()
    X[:160, 0] = 2020
    numbers = fit(sparse.csr_matrix(X)).numbers_
    assert numbers.center[0] == 2020
    assert_allclose(numbers.scale[0], 2 / np.ptp(X[:, 0]))


def test_long_tails_are_not_centered():
    """The clip would cut them, although y is often linear in them."""
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=500), rng.standard_t(2, size=500)]
    X = 20 + np.column_stack([*columns, np.where(rng.random(500) < 0.1, 40, columns[0])])
    numbers = fit(sparse.csr_matrix(X)).numbers_
    assert_array_equal(numbers.center > 0, [True, False, False])


def test_a_year_in_a_sparse_matrix_is_learned():
    rng = np.random.default_rng(0)
    year = rng.integers(1990, 2025, 800).astype(float)
    words = sparse.random(800, 30, 0.05, format="csr", random_state=0)
    X = sparse.hstack([sparse.csr_matrix(year[:, np.newaxis]), words]).tocsr()
    y = 0.2 * (year - 2007) + rng.normal(size=800)
    network = NNRegressor(max_iter=20, random_state=0).fit(X[:600], y[:600])
    assert network.score(X[600:], y[600:]) > 0.6


def test_sparse_columns_without_entries():
    X = sparse.csr_matrix(np.array([[0, 1.0], [0, 2.0], [0, 0]]))
    encoder = fit(X)
    assert_array_equal(encoder.transform(X, np.float64).toarray()[:, 0], 0)
    new = encoder.transform(sparse.csr_matrix(np.array([[5.0, 0]])), np.float64).toarray()
    assert np.isfinite(new).all()


def test_stored_zeros_are_zeros():
    X = make_sparse()
    stored = X.copy()
    stored.data[::3] = 0
    pruned = stored.copy()
    pruned.eliminate_zeros()
    assert stored.nnz > pruned.nnz
    assert_array_equal(fit(stored).numbers_.scale, fit(pruned).numbers_.scale)
    assert_array_equal(
        fit(stored).transform(stored, np.float64).toarray(),
        fit(pruned).transform(pruned, np.float64).toarray(),
    )


def test_sparse_integer_weights_equal_repetition():
    X, counts = make_sparse(), np.random.default_rng(1).integers(1, 5, 60)
    weighted = fit(X, counts.astype(float))
    repeated = fit(X[np.repeat(np.arange(60), counts)])
    assert_array_equal(weighted.numbers_.scale, repeated.numbers_.scale)
    assert (weighted.numbers_.scale != fit(X).numbers_.scale).any()


@pytest.mark.parametrize("dtype, huge", [(np.float32, 3e38), (np.float64, 1e308)])
def test_huge_sparse_values_are_finite(dtype, huge):
    X = make_sparse(dtype)
    encoded = fit(X).transform(sparse.csr_matrix(np.full((1, 5), huge, dtype=dtype)), dtype)
    assert_allclose(encoded.toarray(), 3, rtol=1e-6)


@DTYPES
def test_dense_encoder_takes_sparse_rows(dtype):
    X = make_sparse(dtype)
    encoder = fit(X.toarray())
    assert (encoder.numbers_.center != 0).any() or (encoder.numbers_.scale != 0).all()
    encoded = encoder.transform(X, dtype)
    assert not sparse.issparse(encoded)
    assert_array_equal(encoded, encoder.transform(X.toarray(), dtype))


def test_dense_encoder_of_shifted_columns_takes_sparse_rows():
    # The zeros are far from the center here, and must get there.
    X = make_sparse()
    encoder = fit(X.toarray() + 3)
    encoded = encoder.transform(X, np.float64)
    assert_array_equal(encoded, encoder.transform(X.toarray(), np.float64))
    assert (encoded[X.toarray() == 0] < 0).all()


@DTYPES
def test_sparse_encoder_takes_dense_rows(dtype):
    X = make_sparse(dtype)
    encoder = fit(X)
    assert encoder.numbers_.center is None
    encoded = encoder.transform(X.toarray(), dtype)
    assert encoded.dtype == dtype
    assert_array_equal(encoded, encoder.transform(X, dtype).toarray())


def test_sparse_arrays_are_sparse_matrices():
    X = make_sparse()
    encoded = fit(sparse.csr_array(X)).transform(sparse.csr_array(X), np.float64)
    assert_array_equal(encoded.toarray(), fit(X).transform(X, np.float64).toarray())


# No scaling.


@pytest.mark.parametrize("as_sparse", [False, True])
def test_without_standardizing_values_stay(as_sparse):
    X = make_sparse() if as_sparse else make_table()
    encoder = fit(X, standardize=False)
    same = encoder.transform(X, np.float64)
    narrow = encoder.transform(X, np.float32)
    assert narrow.dtype == np.float32
    if as_sparse:
        assert_array_equal(same.toarray(), X.toarray())
        assert_array_equal(narrow.toarray(), X.toarray().astype(np.float32))
    else:
        assert np.shares_memory(same, X)  # no copy of the user's table
        assert_array_equal(narrow, X.astype(np.float32))


@pytest.mark.parametrize("to_rows", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize("huge", [[1e20], [-1e20], [1e20, -1e20], [1e15, 1e300], [-np.inf]])
def test_without_standardizing_huge_values_are_cut(huge, to_rows):
    """On either side and on both, so that the sums and squares in a network are finite."""
    encoder = fit(to_rows(np.array([[1.0], [0.0], [2.0]])), standardize=False)
    column = np.array([[*huge, 0.5, -3.0]]).T
    expected = [[max(min(value, 1e15), -1e15)] for value in column[:, 0].tolist()]
    assert_array_equal(to_array(encoder.transform(to_rows(column), np.float64)), expected)


def test_missing_numbers_are_zeros_for_an_encoder_of_sparse_columns():
    """Training had no medians to put in their place; zero is what most entries were."""
    encoder = fit(make_sparse(), standardize=False)
    rows = np.array([[1.0, np.nan, 0.0, -2.0, np.nan]])
    assert_array_equal(encoder.transform(rows, np.float64), [[1, 0, 0, -2, 0]])


def test_one_output_a_feature():
    assert fit(make_table()).n_outputs_ == 6
    assert fit(make_sparse()).n_outputs_ == 5


def test_encoding_a_single_row_table():
    encoder = fit(np.array([[3.0, -2.0]]))
    assert_array_equal(encoder.transform(np.array([[3.0, -2.0]]), np.float64), [[0, 0]])


# Derivatives.


@pytest.mark.parametrize("standardize", [True, False])
def test_slopes_are_the_derivatives(standardize):
    X = make_table()
    encoder = fit(X, standardize=standardize)
    step = 1e-6 * np.maximum(X.std(axis=0), 1e-3 * np.abs(X).max(axis=0))
    above, below = (encoder.transform(X + s, np.float64) for s in (step, -step))
    expected = (above - below) / (2 * step)
    assert_allclose(encoder.slopes(X) * step, expected * step, rtol=1e-5, atol=1e-14)


def test_slopes_of_sparse_columns():
    X = make_sparse()
    encoder = fit(X)
    dense = X.toarray()
    step = 1e-7 * np.abs(dense).max(axis=0)
    above, below = (
        encoder.transform(sparse.csr_matrix(dense + s), np.float64).toarray()
        for s in (step, -step)
    )
    expected = (above - below) / (2 * step)
    assert_allclose(encoder.slopes(dense) * step, expected * step, rtol=1e-5, atol=1e-13)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_missing_number_has_no_slope(standardize):
    X = np.array([[1.0, np.nan], [2.0, 3.0], [3.0, 5.0], [np.nan, 4.0]])
    slopes = fit(X, standardize=standardize).slopes(X)
    assert_array_equal(slopes == 0, np.isnan(X))


@pytest.mark.parametrize("standardize", [True, False])
def test_a_number_that_is_cut_has_no_slope(standardize):
    """Beyond the limit the encoded number is the same for all numbers."""
    encoder = fit(np.array([[-2.0], [0], [2]]), standardize=standardize)
    X = np.array([[9e14], [-9e14], [9e15], [-9e15], [1e300], [-1e300]])
    inside = np.abs(X) < FARTHEST
    assert_array_equal(encoder.slopes(X) != 0, inside)
    encoded = encoder.transform(X, np.float64)
    assert_array_equal(encoded[2:4], encoder.transform(2 * X[2:4], np.float64))


def test_sources_and_typical_row():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(90, 2))
    numbers[3, 1] = np.nan
    few, many = rng.integers(0, 3, 90), np.arange(90) % 20
    X = np.column_stack([numbers, few, many])
    reader = TableReader.learn(wrapped(X), [2, 3])
    encoder = TableEncoder(True).fit_survey(survey_rows(Dataset(X), reader, rng=rng))
    # Two numbers, an indicator, three levels with a column each, and a level number.
    assert_array_equal(encoder.sources_, [0, 1, 1, 2, 2, 2, 3])
    row = encoder.typical_row()
    medians = [plain_quantile(x[~np.isnan(x)], 0.5) for x in numbers.T]
    assert_array_equal(row, [[*medians, np.nan, np.nan]])
    assert_array_equal(encoder.transform(row, np.float64), [[0, 0, 0, 0, 0, 0, 20]])


# Columns with long tails.


@DTYPES
@pytest.mark.parametrize("ordered", [(), (0,)], ids=["any", "ordered"])
def test_long_tails_have_a_higher_limit(ordered, dtype):
    rng = np.random.default_rng(0)
    n = 4000
    columns = {
        "uniform": rng.uniform(size=n),
        "normal": rng.normal(size=n),
        "lognormal": np.exp(rng.normal(size=n)),
        "to the left": -np.exp(rng.normal(size=n)),
        "longer": np.exp(5 * rng.normal(size=n)),
        "few outliers": np.where(np.arange(n) % 50, rng.normal(size=n), 1e6),
        "a code far from the others": np.where(np.arange(n) % 3, rng.normal(size=n), -999),
        "constant": np.ones(n),
    }
    X = np.column_stack(list(columns.values())).astype(dtype)
    encoder = fit_ordered(X, ordered, keeps_tails=True)
    below, above = (dict(zip(columns, row, strict=True)) for row in encoder.numbers_.limit)
    # The 5 % and 95 % quantiles of a normal distribution are 1.645 deviations from its center,
    # and the interquartile range is 1.349 deviations.
    quartiles, far = np.exp(stats.norm.ppf([0.25, 0.75])), np.exp(stats.norm.ppf(0.95))
    expected = 2 * ((far - 1) / np.diff(quartiles)[0]) ** 2
    assert above["lognormal"] == pytest.approx(expected, rel=0.2)
    assert below["to the left"] == pytest.approx(expected, rel=0.2)
    assert above["longer"] == 30
    # The other side of a long tail has no tail at all.
    assert below["lognormal"] == above["to the left"] == below["longer"] == 3
    for found in (below, above):
        for name in ("normal", "few outliers", "a code far from the others"):
            assert found[name] == pytest.approx(2 * (1.645 / 1.349) ** 2, rel=0.1)
        assert found["uniform"] == found["constant"] == 3
    u = (X[:, 2] - np.median(X[:, 2])) / np.diff(np.quantile(X[:, 2], [0.25, 0.75]))
    encoded = encoder.transform(X, dtype)[:, 2]
    limit = np.where(u < 0, below["lognormal"], above["lognormal"])
    assert_allclose(encoded, u / np.sqrt(1 + (u / limit) ** 2), rtol=1e-3, atol=1e-3)
    # Their slopes are those of differences.
    rows, step = X[:50].astype(np.float64), 1e-4
    before, after = (encoder.transform(rows + h, np.float64) for h in (-step, step))
    found_slopes = (after - before)[:, :5] / 2 / step
    assert_allclose(encoder.slopes(rows)[:, :5], found_slopes, rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("loss", ["squared_error", "normal", "poisson"])
def test_a_code_among_positive_amounts_has_a_bounded_effect(loss):
    """The numbers below the center are within half an interquartile range of it."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.lognormal(3, 1.2, size=1000), rng.normal(size=1000)])
    y = np.log(X[:, 0]) + X[:, 1] + 0.3 * rng.normal(size=1000)
    if loss == "poisson":
        y = rng.poisson(np.exp(0.5 * (X[:, 1] - np.log(X[:, 0]) + 3))).astype(float)
    network = NNRegressor(loss=loss, random_state=0).fit(X, y)
    X[:, 0] = -999
    if loss == "normal":
        _, deviations = network.predict(X, return_std=True)
        assert deviations.max() < 8 * y.std()
    elif loss == "poisson":
        assert network.predict(X).max() < 20 * y.max()
    else:
        assert np.abs(network.predict(X) - y.mean()).max() < 12 * y.std()


def test_other_encoders_have_one_limit():
    X = np.exp(np.random.default_rng(0).normal(size=(300, 1)))
    assert_allclose(fit(X).transform(X, np.float64), plain_encoding(X), atol=1e-12)


# Columns whose order must be kept.


def fit_ordered(X, ordered, standardize=True, **options):
    reader = TableReader(np.arange(X.shape[1]))
    survey = survey_rows(Dataset(X), reader, rng=np.random.default_rng(0))
    return TableEncoder(standardize, ordered=ordered, **options).fit_survey(survey)


@DTYPES
def test_the_clip_in_order_is_the_same_function(dtype):
    X = make_table(dtype=dtype)
    plain, ordered = fit(X), fit_ordered(X, (0,))
    rows = np.vstack([X, X * 1e3, X * 1e12, np.zeros((1, X.shape[1]))]).astype(dtype)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    assert_allclose(
        ordered.transform(rows, dtype), plain.transform(rows, dtype), rtol=tolerance
    )


@DTYPES
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 30, 1e4, 1e12, 1e20])
def test_the_clip_in_order_keeps_the_order_of_neighbors(dtype, scale):
    """The other form exchanges neighboring numbers; far ones often."""
    X = np.random.default_rng(0).normal(size=(100_000, 1)).astype(dtype)
    encoder, plain = fit_ordered(X, (0,)), fit(X)
    low = (X * dtype(scale)).astype(dtype)
    high = np.nextafter(low, dtype(np.inf))
    rises = encoder.transform(high, dtype) - encoder.transform(low, dtype)
    assert (rises >= 0).all()
    if scale == 30:
        assert (plain.transform(high, dtype) < plain.transform(low, dtype)).any()


@DTYPES
def test_the_clip_in_order_at_the_ends(dtype):
    encoder = fit_ordered(np.array([[-1.0], [0.0], [1.0]], dtype), (0,))
    largest, tiny = np.finfo(dtype).max, np.finfo(dtype).tiny
    x = np.array([[-largest], [-tiny], [-0.0], [0.0], [tiny], [largest]], dtype)
    encoded = encoder.transform(x, dtype)[:, 0]
    assert (np.diff(encoded) >= 0).all()
    assert_allclose(encoded[[0, 5]], [-3, 3], rtol=1e-6)
    assert_allclose(encoded[1:5], 0, atol=1e-30)
    missing = encoder.transform(np.array([[np.nan]], dtype), dtype)
    assert_array_equal(missing, [[0]])


def test_columns_in_order_have_no_indicators_of_heavy_values():
    X = np.random.default_rng(0).normal(size=(300, 2))
    X[::2] = 0
    assert_array_equal(fit_ordered(X, (), marks_heavy=True).sources_, [0, 1, 0, 1])
    assert_array_equal(fit_ordered(X, (1,), marks_heavy=True).sources_, [0, 1, 0])
