"""X is never copied whole: neither by fit, nor by predict."""

import tracemalloc

import numpy as np
import pytest

from sknet import NNClassifier, NNRegressor, _batching
from sknet.data import encoding

N_ROWS, N_FEATURES = 40_000, 40


@pytest.fixture(params=["array", "memory map", "fortran"])
def table(request, tmp_path):
    X = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
    if request.param == "memory map":
        np.save(tmp_path / "X.npy", X)
        return np.load(tmp_path / "X.npy", mmap_mode="r")
    return np.asfortranarray(X) if request.param == "fortran" else X


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Sizes that make this table large."""
    monkeypatch.setattr(_batching, "ENCODED_BYTES", 0)
    monkeypatch.setattr(_batching, "BLOCK_ELEMENTS", 2**14)
    monkeypatch.setattr(encoding, "QUANTILE_ROWS", 1000)


def peak_of(function):
    """Return the peak of what NumPy allocates meanwhile, in bytes."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


# Vectors with an entry for each row (y, order, positions) are a few 40ths of X each.


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_does_not_copy_the_table(table, early_stopping, weighted):
    network = NNRegressor((4,), max_iter=1, n_iter_no_change=np.inf, random_state=0)
    network.set_params(early_stopping=early_stopping)
    # Rows of no weight leave: that must not copy the others either.
    weight = np.where(np.arange(N_ROWS) % 7, 1.0, 0.0) if weighted else None
    y = np.asarray(table[:, 0])
    assert peak_of(lambda: network.fit(table, y, weight)) < 0.4 * table.nbytes


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
