"""Neither ``fit`` nor ``predict`` copies the whole of X."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from plain import NNClassifier, NNRegressor
from scipy import sparse

import sknet
from sknet import _base_model, _fitting, _prediction
from sknet.data import batches, draws, encoding

N_ROWS, N_FEATURES = 40_000, 40


@pytest.fixture(params=["array", "memory map", "fortran"])
def table(request, tmp_path):
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
    if request.param == "memory map":
        np.save(tmp_path / "X.npy", X)
        return np.load(tmp_path / "X.npy", mmap_mode="r")
    return np.asfortranarray(X) if request.param == "fortran" else X


@pytest.fixture(autouse=True, params=[1000, 100_000])
def small_blocks(request, monkeypatch):
    """Limits by which this table is large; its quantiles are those of some rows or of all."""
    monkeypatch.setattr(_base_model, "ENCODED_BYTES", 0)
    monkeypatch.setattr(_prediction, "WORKSPACE_ELEMENTS", 2**14)
    monkeypatch.setattr(batches, "BLOCK_ELEMENTS", 2**14)
    monkeypatch.setattr(draws, "QUANTILE_ROWS", request.param)
    monkeypatch.setattr(encoding, "COMPONENT_ROWS", 1000)


def peak_of(function):
    """Return the peak of the memory that is allocated during a call, in bytes."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


# X has 40 columns, so a vector with an entry for each row has about a 40th of its size.


def assert_fit_does_not_copy(table, early_stopping, weighted, **options):
    network = NNRegressor((4,), max_iter=1, n_iter_no_change=np.inf, random_state=0, **options)
    network.set_params(early_stopping=early_stopping)
    # Leaving out rows of zero weight must not copy the other rows.
    weight = np.where(np.arange(N_ROWS) % 7, 1.0, 0.0) if weighted else None
    y = np.asarray(table[:, 0])
    assert peak_of(lambda: network.fit(table, y, weight)) < 0.4 * table.nbytes


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_does_not_copy_the_table(table, early_stopping, weighted):
    assert_fit_does_not_copy(table, early_stopping, weighted, batch_size=200)


@pytest.mark.parametrize("table", ["array"], indirect=True)
def test_bins_do_not_copy_the_table(table):
    # The batches are small, since the work arrays of a batch are as wide as the bins of all
    # columns. An array suffices here: tables of all kinds are read before bins are used.
    options = {"numeric_embedding": "piecewise_linear", "batch_size": 25, "dtype": "auto"}
    assert_fit_does_not_copy(table, True, True, **options)


def test_predict_does_not_copy_the_table(table):
    network = NNRegressor((4,), max_iter=1, n_iter_no_change=np.inf, random_state=0)
    network.fit(table[:1000], table[:1000, 0])
    result = network.predict(table)
    assert peak_of(lambda: network.predict(table)) < result.nbytes + 0.1 * table.nbytes


def test_labels_are_found_block_by_block(table):
    labels = np.where(table[:1000, 0] > 0, "a", "b")
    network = NNClassifier((4,), max_iter=1, n_iter_no_change=np.inf, random_state=0)
    network.fit(table[:1000], labels)
    result = network.predict(table)
    assert result.dtype == labels.dtype
    assert peak_of(lambda: network.predict(table)) < result.nbytes + 0.1 * table.nbytes
    assert (result == network.classes_[network.predict_proba(table).argmax(axis=1)]).all()


def test_sparse_rows_for_a_network_of_dense_ones():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 400))
    network = NNRegressor((4,), max_iter=1, n_iter_no_change=np.inf, random_state=0)
    network.fit(X, X[:, 0])
    rows = sparse.random(20_000, 400, 0.01, format="csr", random_state=0)
    dense_bytes = 8 * 20_000 * 400
    result = network.predict(rows)
    assert peak_of(lambda: network.predict(rows)) < 0.1 * dense_bytes
    assert_allclose(result[:50], network.predict(rows[:50].toarray()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cls", [sknet.NNClassifier, sknet.NNRegressor])
def test_a_default_fit_needs_little_more_than_its_training(cls, monkeypatch):
    """Neither what is learned from the table before, nor the calibration afterwards."""
    peaks = []

    def peak():
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()

    def watched(*args, **options):
        peak()
        result = train(*args, **options)
        peak()
        return result

    train = _fitting.train
    monkeypatch.setattr(_fitting, "train", watched)
    X = np.random.default_rng(0).standard_normal((2500, 300), np.float32)
    network = cls(max_iter=1, random_state=0)
    tracemalloc.start()
    network.fit(X, X[:, 0] > 0 if cls is sknet.NNClassifier else X[:, 0])
    peak()
    tracemalloc.stop()
    before, training, afterwards = peaks
    assert max(before, afterwards) < 1.3 * training
