import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sknet.nn import kernels


@pytest.fixture(params=[np.float32, np.float64])
def dtype(request):
    return request.param


def normal(shape, dtype, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


SHAPES = {
    "ordinary": (5, 4, 3),
    "column times row": (5, 1, 3),
    "column times long row": (5, 1, kernels.LONG_ROW),
    "columns times long rows": (5, 4, kernels.LONG_ROW + 1),
    "to one column": (5, 4, 1),
    "one row": (1, 4, 3),
}


@pytest.mark.parametrize("n, k, m", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_matmul(n, k, m, transposed, storage, dtype):
    x, w = normal((n, k), dtype), normal((m, k), dtype, 1).T
    out = np.empty((n, m), dtype)
    given = storage(x.T.copy()).T if transposed else storage(x)
    assert kernels.matmul(given, w, out) is out
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    expected = [[sum(x[i] * w[:, j]) for j in range(m)] for i in range(n)]
    assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_sums_and_maxima(dtype):
    x = normal((7, 5), dtype)
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    assert_allclose(kernels.column_sums(x), x.sum(axis=0), rtol=tolerance, atol=tolerance)
    assert_allclose(kernels.row_sums(x), x.sum(axis=1), rtol=tolerance, atol=tolerance)
    assert_array_equal(kernels.row_maxima(x), x.max(axis=1))
    out = np.empty(5, dtype)
    assert kernels.column_sums(x, out=out) is out
    assert kernels.column_sums(x).dtype == kernels.row_maxima(x).dtype == dtype


def test_maximum_passes_nan_on():
    x = np.array([[-1.0, 0.0, 2.0, np.nan, np.inf, -np.inf]])
    assert_array_equal(kernels.maximum(x, 0, out=x), [[0, 0, 2, np.nan, np.inf, 0]])


def test_constants_cannot_be_changed(dtype):
    ones = kernels.constant(1, (3,), np.dtype(dtype))
    assert_array_equal(ones, np.ones(3))
    assert ones.dtype == dtype
    with pytest.raises(ValueError, match="read-only"):
        ones[0] = 2


def test_small_constants_are_remembered(monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK_SIZE", 10)
    kind = np.dtype(float)
    assert kernels.constant(3, (5, 2), kind) is kernels.constant(3, (5, 2), kind)
    # A large one would stay in memory for good.
    assert kernels.constant(3, (11,), kind) is not kernels.constant(3, (11,), kind)


@pytest.mark.parametrize("block_size", [1, 3, 4, 10, 100])
def test_blocks_are_views_of_all_elements(block_size, monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK_SIZE", block_size)
    x, y = np.arange(10.0), np.arange(10.0, 20.0)
    pieces = kernels.blocks(x, y)
    for x_block, y_block in pieces:
        assert np.shares_memory(x_block, x) and x_block.size <= block_size
        assert_array_equal(y_block, x_block + 10)
    assert_array_equal(np.concatenate([x_block for x_block, _ in pieces]), x)


@pytest.mark.parametrize("block_size", [1, 3, 7, 100])
def test_blocks_of_matrices_are_views_of_all_rows(block_size, monkeypatch):
    monkeypatch.setattr(kernels, "BLOCK_SIZE", block_size)
    x = np.arange(30.0).reshape(10, 3)
    pieces = kernels.blocks(x, 2 * x)
    for x_block, y_block in pieces:
        assert np.shares_memory(x_block, x)
        n_rows = max(1, block_size // 3)
        assert x_block.shape[0] == min(n_rows, 10) or x_block is pieces[-1][0]
        assert x_block.size <= max(3, block_size), "one row at the least"
        assert_array_equal(y_block, 2 * x_block)
    assert_array_equal(np.vstack([x_block for x_block, _ in pieces]), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosine_and_sine(dtype):
    """Both are those of NumPy, also where the half angle has no tangent."""
    special = np.pi * np.array([0, 0.5, 1, -1, 1.5, 2, -3, 101])
    angle = np.concatenate([np.linspace(-40, 40, 1001), special]).astype(dtype)
    changed, cosine = angle.copy(), np.empty_like(angle)
    kernels.cosine(changed, out=cosine)
    tolerance = 4 * np.finfo(dtype).eps
    assert_allclose(cosine, np.cos(angle), rtol=0, atol=tolerance)
    assert_allclose(kernels.sine(changed), np.sin(angle), rtol=0, atol=tolerance)
    assert cosine.dtype == changed.dtype == dtype


@pytest.mark.parametrize("n_rows", [1, 400, 1000])
def test_maximum_of_small_and_large_matrices(n_rows):
    x = np.random.default_rng(0).normal(size=(n_rows, 100))
    assert_array_equal(kernels.maximum(x, 0.5, out=np.empty_like(x)), np.maximum(x, 0.5))


def test_rounded_is_the_nearest_number_of_float32():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=10_000) * 10.0 ** rng.integers(-9, 9, 10_000), [0.0]])
    assert_array_equal(kernels.rounded(x), x.astype(np.float32).astype(np.float64))
    far = kernels.rounded(x[:100] * 1e200) / 1e200
    assert_allclose(far, x[:100], rtol=1e-7)
    assert (np.diff(kernels.rounded(np.sort(x))) >= 0).all()
