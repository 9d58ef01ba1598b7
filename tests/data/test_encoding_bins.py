"""The edges of bins, and other numbers of the encoder that no prediction would show."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet.data.batches import Dataset
from sknet.data.columns.categories import Levels
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader


def fit(X, *, standardize=False, n_bins=0, weight=None):
    data, reader = Dataset(X, sample_weight=weight), TableReader(np.arange(X.shape[1]))
    survey = survey_rows(data, reader, rng=np.random.default_rng(0))
    return TableEncoder(standardize, n_bins).fit_survey(survey)


def edges_of(x, n_bins):
    (edges,) = fit(np.asarray(x, float)[:, np.newaxis], n_bins=n_bins).bin_edges_
    return edges


def test_without_a_number_of_bins_there_are_none():
    assert not hasattr(fit(np.ones((3, 1)), standardize=True), "bin_edges_")


@pytest.mark.parametrize("offset", [-1000.0, 0.0, 1000.0])
def test_edges_closer_than_a_thousandth_of_the_range_are_left_out(offset):
    """The range is that of the values, wherever they lie."""
    x = offset + np.array([0, 0.5, 0.9, 1.9, 2.5, 999, 999.5, 1000])
    assert_allclose(edges_of(x, 7), offset + np.array([0, 1.9, 999]))


@pytest.mark.parametrize(("n_values", "n_rows"), [(10, 100), (16, 160), (16, 200)])
def test_a_column_of_few_values_has_an_edge_at_each(n_values, n_rows):
    x = np.r_[np.nan, np.arange(1, n_rows) % n_values]
    assert edges_of(x, 8) == tuple(range(n_values))


@pytest.mark.parametrize(("n_values", "n_rows"), [(10, 99), (16, 159), (17, 1000)])
def test_more_values_or_fewer_rows_share_bins(n_values, n_rows):
    assert len(edges_of(np.arange(n_rows) % n_values, 8)) == 9


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_one_wide_bin_is_enough(offset):
    assert edges_of([offset, offset + 1], 1) == (offset, offset + 1)


@pytest.mark.parametrize("constant", [0.0, -7.0, 1e6])
def test_the_bins_of_a_constant_divide_the_range_of_encoded_numbers(constant):
    """These lie between -3 and 3."""
    expected = (constant + np.array([-3, -1.5, 0, 1.5, 3])).tolist()
    assert edges_of([constant] * 5, 4) == tuple(expected)


def test_the_bins_of_an_immense_constant_have_increasing_edges():
    edges = edges_of([1e15] * 200, 127)
    assert len(edges) > 40
    assert (np.diff(edges) > 0).all()


def test_a_sparse_column_without_numbers_keeps_its_scale():
    """A number that training did not see there is neither lost nor blown up."""
    X = sparse.csr_matrix(np.array([[2.0, 0.0], [4.0, 0.0], [8.0, 0.0]]))
    encoder = fit(X, standardize=True)
    assert encoder.numbers_.scale[1] == 1
    # The median magnitude of the others, 4, becomes one half.
    assert encoder.numbers_.scale[0] == 0.5 / 4


@pytest.mark.parametrize("weight", [None, np.array([1.0, 9, 1, 9, 1])], ids=["even", "uneven"])
def test_stored_zeros_of_sparse_rows_are_no_numbers(weight):
    X = sparse.csr_matrix(np.array([[2.0], [1.0], [4.0], [1.0], [8.0]]))
    X.data[[1, 3]] = 0
    assert X.nnz == 5
    assert_array_equal(fit(X, standardize=True, weight=weight).numbers_.scale, 0.5 / 4)


@pytest.mark.parametrize(
    "counts, has_missing, keep_rare, has_rest, n_levels",
    [
        ([3, 5, 0], False, False, False, 2),
        ([3, 5, 1], False, False, True, 3),
        ([3, 5, 0], True, False, True, 3),
        ([3, 1, 0], False, True, False, 3),
        ([3, 1, 0], True, True, True, 4),
    ],
)
def test_which_levels_share_a_place(counts, has_missing, keep_rare, has_rest, n_levels):
    """A level seen once does, if rare ones are not kept; one that was never seen does not."""
    levels = Levels(0, np.array(counts), has_missing, keep_rare)
    assert levels.has_rest is has_rest
    assert levels.n_levels == n_levels


def test_a_typical_row_of_sparse_rows_is_zero():
    X = sparse.csr_matrix(np.array([[2.0, 0.0], [4.0, 3.0]]))
    assert_array_equal(fit(X).typical_row(), 0)
    assert_array_equal(fit(X, standardize=True).typical_row(), 0)
