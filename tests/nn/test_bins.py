import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.nn.embeddings import of_equal_length
from sknet.nn.kernels import BinGrid, Interpolation


def edges_of_every_kind(dtype):
    """Return columns of ten increasing edges, near to and far from each other."""
    rng = np.random.default_rng(0)
    tiny = float(np.finfo(dtype).tiny)
    columns = [
        np.arange(10.0),
        np.sort(rng.normal(size=10)),
        10.0 ** np.arange(-5, 5),
        np.concatenate([[-3.0], 1e-6 * np.arange(8), [3.0]]),
        np.arange(10) * 1e4 * tiny,
        1e6 + np.arange(10),
        [0.0, 1.0],
        [0.0, 1.0, 5.0],
        [0.0, 1.0, 2.0, 5.0],
    ]
    return of_equal_length(tuple(tuple(np.array(one, dtype).tolist()) for one in columns))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_are_those_of_a_search(dtype):
    """The grid finds the bin that a search finds, at edges, next to them and far away."""
    edges = edges_of_every_kind(dtype)
    grid = BinGrid(edges, np.dtype(dtype))
    for column, one in enumerate(edges):
        at = np.array(one, dtype)
        around = [np.nextafter(at, dtype(-np.inf)), at, np.nextafter(at, dtype(np.inf))]
        between = np.random.default_rng(1).uniform(at[0] - 1, at[-1] + 1, 200)
        x = np.concatenate([*around, between, [-1e15, 0, 1e15]]).astype(dtype)
        rows = np.zeros((x.size, len(edges)), dtype)
        rows[:, column] = x
        expected = np.searchsorted(np.unique(at)[1:-1], x, side="right")
        n_bins = len(one) - 1
        assert_array_equal(grid.bins(rows)[:, column] - column * n_bins, expected)


@pytest.mark.parametrize("edges", [(0.0, 1.0, 1 + 1e-9, 2.0), (1e6, 1e6 + 0.01, 1e6 + 1, 2e6)])
def test_bins_between_edges_that_are_equal_in_float32(edges):
    """Such a bin is empty, and the bins above it keep their places."""
    at = np.array(edges, np.float32)
    assert np.unique(at).size == 3
    grid = BinGrid((edges,), np.dtype(np.float32))
    x = np.concatenate([at, np.random.default_rng(0).uniform(at[0] - 1, at[-1], 100)])
    x = x.astype(np.float32)
    expected = np.searchsorted(at[1:-1], x, side="right")
    assert_array_equal(grid.bins(x[:, np.newaxis])[:, 0], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_of_infinite_numbers(dtype):
    """They are the outermost bins; NaN, which is in no bin, is no error."""
    edges = edges_of_every_kind(dtype)
    grid = BinGrid(edges, np.dtype(dtype))
    rows = np.full((2, len(edges)), np.inf, dtype)
    rows[0] = -np.inf
    last = [np.unique(np.array(one, dtype)).size - 2 for one in edges]
    first = np.arange(len(edges)) * (len(edges[0]) - 1)
    assert_array_equal(grid.bins(rows), [first, first + last])
    with np.errstate(invalid="ignore"):
        bins = grid.bins(np.full((2, len(edges)), np.nan, dtype))
    assert ((bins >= 0) & (bins < first[-1] + len(edges[0]) - 1)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_interpolation_is_that_of_numpy(dtype):
    """Also for a second batch in the same work arrays."""
    edges = (-1.0, 0.5, 2.0, 4.0), (0.0, 0.25, 0.75, 1.0)
    rng = np.random.default_rng(0)
    interpolation = Interpolation(edges, 50, dtype)
    at_edges = rng.normal(size=(2, 4, 3)).astype(dtype)
    for _ in range(2):
        x = rng.uniform([-1, 0], [4, 1], (50, 2)).astype(dtype)
        interpolation.locate(x)
        values = interpolation.values(at_edges).reshape(50, 2, 3)
        for j, k in np.ndindex(2, 3):
            expected = np.interp(x[:, j], edges[j], at_edges[j, :, k])
            assert_allclose(values[:, j, k], expected, atol=20 * np.finfo(dtype).eps)
        # The backward pass is the transposed map: both give the same bilinear form.
        delta = rng.normal(size=values.shape).astype(dtype)
        back = interpolation.backward(delta.reshape(-1, 3))
        assert_allclose(
            np.sum(back * at_edges), np.sum(delta * values), rtol=1e3 * np.finfo(dtype).eps
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_beyond_the_ends_the_value_goes_on_for_one_width(dtype):
    """Farther away it stays the same, and its slope is zero."""
    edges = ((0.0, 1.0, 3.0),)
    interpolation = Interpolation(edges, 6, dtype)
    interpolation.locate(np.array([[-9.0], [-1], [-0.5], [4], [5], [11]], dtype))
    at_edges = np.array([[[0.0], [2], [6]]], dtype)
    # The first bin rises by 2 for 1, and the last one by 4 for 2.
    assert_array_equal(interpolation.values(at_edges).ravel(), [-2, -2, -1, 8, 10, 10])
    assert_array_equal(interpolation.slopes().ravel(), [0, 0, 1, 0.5, 0, 0])
