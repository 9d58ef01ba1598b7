"""Chunks: what is one, how they are shuffled, sampled and cut into batches."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sknet.data.batches import Batch, join, n_rows, take
from sknet.data.chunks import ChunkBatches, KeyedSample, as_chunk, shuffled
from sknet.streaming import shuffle_chunks

KINDS = {
    "array": np.asarray,
    "csr": sparse.csr_matrix,
    "pandas": lambda X: pd.DataFrame(X, columns=["a", "b"]),
    "polars": lambda X: pl.DataFrame(X, schema=["a", "b"]),
}


def make_chunks(kind, sizes, y_type=np.asarray, weighted=False):
    """Rows that are their own numbers, from one on."""
    numbers = 1.0 + np.arange(sum(sizes))
    chunks = []
    for rows in np.split(numbers, np.cumsum(sizes)[:-1]):
        parts = [KINDS[kind](np.column_stack([rows, -rows])), y_type(rows)]
        chunks.append(tuple([*parts, rows / 10] if weighted else parts))
    return chunks


def row_numbers(chunk):
    """Return the numbers of a chunk's rows, after a check that what belongs together is."""
    X = chunk[0]
    X = X.toarray() if sparse.issparse(X) else np.asarray(X)
    assert_array_equal(X[:, 1], -X[:, 0])
    assert_array_equal(np.asarray(chunk[1]), X[:, 0])
    if len(chunk) == 3 and chunk[2] is not None:
        assert_array_equal(chunk[2], X[:, 0] / 10)
    return X[:, 0].astype(int).tolist()


@pytest.mark.parametrize("y_type", [np.asarray, pd.Series, pl.Series, list])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_stay_whole(kind, y_type):
    chunks = make_chunks(kind, [4, 3, 5], y_type)
    together = join([as_chunk(chunk) for chunk in chunks])
    assert row_numbers(together) == list(range(1, 13))
    assert type(together.X) is type(chunks[0][0])
    assert row_numbers(take(together, np.array([7, 0, 3]))) == [8, 1, 4]
    assert row_numbers(take(together, slice(2, 4))) == [3, 4]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_shuffling_in_windows(kind, weighted):
    chunks = make_chunks(kind, [40, 40, 40, 40, 20], weighted=weighted)
    mixed = list(shuffle_chunks(chunks, window=2, random_state=0))
    assert {len(chunk) for chunk in mixed} == {2 + weighted}
    assert [np.shape(chunk[1])[0] for chunk in mixed] == [40, 40, 40, 40, 20]
    numbers = [row_numbers(chunk) for chunk in mixed]
    for window, rows in enumerate(
        [numbers[0] + numbers[1], numbers[2] + numbers[3], numbers[4]]
    ):
        expected = list(range(80 * window + 1, min(80 * window + 80, 180) + 1))
        assert sorted(rows) == expected != rows
    # Half of a chunk comes from either.
    assert 10 < sum(number > 40 for number in numbers[0]) < 30
    again = shuffle_chunks(chunks, window=2, random_state=0)
    assert [row_numbers(chunk) for chunk in again] == numbers
    other = shuffle_chunks(chunks, window=2, random_state=1)
    assert [row_numbers(chunk) for chunk in other] != numbers


def test_a_window_is_all_that_is_held():
    drawn = []

    def chunks():
        for i, chunk in enumerate(make_chunks("array", [5] * 9)):
            drawn.append(i)
            yield chunk

    mixed = shuffle_chunks(chunks(), window=3, random_state=0)
    next(mixed)
    assert drawn == [0, 1, 2]


# Samples.


def test_a_sample_has_the_rows_of_the_smallest_keys():
    rng = np.random.default_rng(0)
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", [50] * 20)]
    keys = rng.random((20, 50))
    sample = KeyedSample(70)
    for chunk, of_chunk in zip(chunks, keys, strict=True):
        sample.add(chunk, of_chunk)
        assert sum(map(n_rows, sample._chunks)) <= 2 * 70
    first, others, limit = sample.first(20)
    order = np.argsort(keys.ravel())[:70] + 1
    assert row_numbers(first) == order[:20].tolist()
    assert row_numbers(others) == order[20:].tolist()
    assert (keys.ravel() <= limit).sum() == 20
    nothing, all_of_them, limit = sample.first(0)
    assert row_numbers(nothing) == [] and row_numbers(all_of_them) == order.tolist()
    assert not (keys <= limit).any()


# Batches.


@pytest.mark.parametrize("batch_size", [1, 4, 7, 23, 1000])
@pytest.mark.parametrize("sizes", [[23], [4, 4, 4, 11], [1] * 23, [20, 3]], ids=str)
def test_batches_of_equal_size(sizes, batch_size):
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", sizes, weighted=True)]
    seen = []

    def encode(chunk):
        seen.append(n_rows(chunk))
        return chunk

    batches = ChunkBatches(lambda: iter(chunks), 23, batch_size, encode, chunks[0])
    for _ in range(2):
        seen.clear()
        epoch = [row_numbers(batch) for batch in batches]
        assert seen == sizes
        assert sum(epoch, []) == list(range(1, 24))
        assert len(epoch) == len(batches)
        sizes_of_batches = [len(rows) for rows in epoch]
        assert max(sizes_of_batches) <= batch_size
        assert max(sizes_of_batches) - min(sizes_of_batches) <= 1


def test_passes_must_agree():
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", [10, 10])]
    for opened in (lambda: iter(chunks[:1]), lambda: iter([*chunks, chunks[0]])):
        with pytest.raises(
            ValueError, match="had 20 rows .* first pass and (10|30) in a later"
        ):
            list(ChunkBatches(opened, 20, 5, lambda chunk: chunk, chunks[0]))


def test_batches_are_augmented():
    (chunk,) = map(as_chunk, make_chunks("array", [6]))
    doubled = ChunkBatches(
        lambda: [chunk], 6, 4, lambda c: c, chunk, lambda b: Batch(2 * b.X, b.y)
    )
    assert_array_equal(np.vstack([batch.X for batch in doubled]), 2 * chunk.X)


@pytest.mark.parametrize("n_wanted, expected", [(100, range(6)), (3, [0, 2, 5]), (1, [0])])
def test_a_sample_is_taken_from_the_drawn_rows(n_wanted, expected):
    """A sample has evenly spaced rows, encoded but not augmented, and opens no chunk."""
    (chunk,) = map(as_chunk, make_chunks("array", [6], weighted=True))

    def doubled(batch):
        return batch._replace(X=2 * batch.X)

    def opened():
        raise AssertionError("a chunk was opened")

    batches = ChunkBatches(opened, 6, 4, doubled, chunk, doubled)
    sample = batches.sample(n_wanted)
    assert_array_equal(sample.X, 2 * chunk.X[list(expected)])
    assert_array_equal(sample.y, chunk.y[list(expected)])
    assert_array_equal(sample.sample_weight, chunk.sample_weight[list(expected)])


# What is no chunk.


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (np.zeros((3, 2)), TypeError, "must be .X, y. .*, got ndarray"),
        ((np.zeros((3, 2)),), TypeError, "got tuple of 1"),
        ((np.zeros((3, 2)), np.zeros(4)), ValueError, r"have \[3, 4\] rows"),
        ((np.zeros((3, 2)), np.zeros(3), np.zeros(2)), ValueError, r"have \[3, 3, 2\] rows"),
        ((np.zeros((3, 2)), np.zeros(0)), ValueError, r"have \[3, 0\] rows"),
        (("text", np.zeros(3)), ValueError, "must be arrays with a row each"),
        (([[1], [1, 2]], np.zeros(2)), ValueError, "X is not valid"),
        ((pl.DataFrame({"x": [1]}).lazy(), np.zeros(1)), TypeError, "X is a LazyFrame"),
        ((np.zeros((3, 2)), [1, "a", 2]), ValueError, "y is not valid.*all text or all num"),
        ((np.zeros((1, 1)), np.zeros(1), ["a"]), ValueError, "sample_weight is not valid"),
        (
            (np.zeros((2, 1)), np.zeros(2), np.array([1, 2], "datetime64[s]")),
            ValueError,
            "sample_weight holds dates",
        ),
        (
            (np.zeros((2, 1)), np.zeros(2), [1j, 2]),
            ValueError,
            "sample_weight holds complex numbers",
        ),
    ],
)
def test_no_chunk(parts, error, message):
    with pytest.raises(error, match=message):
        as_chunk(parts)
    good = (np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(error, match=f"Chunk 2, counted from 0.*{message}"):
        list(shuffle_chunks([good, good, parts]))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_zero_weight_are_left_out(kind):
    first, second, third = make_chunks(kind, [4, 3, 5], weighted=True)
    first[2][1:3] = 0
    second[2][:] = 0
    empty = tuple(part[:0] for part in third)
    chunk = as_chunk(first)
    assert row_numbers(chunk) == [1, 4]
    assert n_rows(as_chunk(second)) == n_rows(as_chunk(empty)) == 0
    mixed = list(shuffle_chunks([empty, first, second, third, empty], window=5))
    assert sorted(sum(map(row_numbers, mixed), [])) == [1, 4, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("window", [0, 1.5, True])
def test_windows_are_counted(window):
    with pytest.raises(ValueError, match="window must be an integer >= 1"):
        list(shuffle_chunks([], window=window))
    assert list(shuffled([], 2, np.random.default_rng(0))) == []


def test_weights_of_two_dimensions_are_left_to_the_check_of_weights():
    """Their zeros are no rows, so that none is taken away before the error comes."""
    X, y, weight = np.ones((3, 2)), np.ones(3), np.array([[1.0, 0], [0, 0], [1, 1]])
    assert_array_equal(as_chunk((X, y, weight)).sample_weight, weight)
