"""Chunks: what is one, how they are shuffled, sampled and cut into batches."""

from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sknet.data.batches import Batch, join, take
from sknet.data.chunks import ChunkBatches, KeyedSample, as_chunk, counted, shuffled
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


def test_chunks_are_opened_once():
    opened = []

    class Chunks:
        def __iter__(self):
            opened.append(self)
            return iter([(np.eye(3), np.arange(3))])

    ((_, y),) = shuffle_chunks(Chunks(), random_state=0)
    assert len(opened) == 1
    assert_array_equal(np.sort(y), np.arange(3))


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


@pytest.mark.parametrize("without", [(0,), (1,), (0, 1)], ids=str)
def test_chunks_without_weights_have_weights_of_one(without):
    """It does not matter which chunk of a window has none; a window without any has none."""
    chunks = [chunk[:2] if i in without else (*chunk[:2], np.full(5, 7.0))
              for i, chunk in enumerate(make_chunks("array", [5] * 4))]  # fmt: skip
    mixed = list(shuffle_chunks(chunks, window=2, random_state=0))
    for i, chunk in enumerate(mixed):
        numbers = np.array(row_numbers(chunk[:2]))
        if i < 2 and without == (0, 1):
            assert len(chunk) == 2
        else:
            of_one = np.isin((numbers - 1) // 5, without)
            assert_array_equal(chunk[2], np.where(of_one, 1.0, 7.0))


def test_joined_weights_keep_their_dtype():
    batches = [
        Batch(np.ones((2, 1)), None, weight) for weight in (None, np.ones(2, np.float32))
    ]
    for some in (batches, batches[::-1]):
        assert join(some).sample_weight.dtype == np.float32
    assert join(batches[:1] * 2).sample_weight is None


KINDS_OF_Y = [np.asarray, pd.Series, pl.Series, list, lambda y: pd.Series(y, index=y)]


@pytest.mark.parametrize("one", KINDS_OF_Y)
@pytest.mark.parametrize("other", KINDS_OF_Y)
def test_targets_of_several_kinds_are_shuffled_together(one, other):
    chunks = [
        *make_chunks("array", [4], one), *make_chunks("array", [5], other),
    ]  # fmt: skip
    mixed = shuffle_chunks(chunks, window=2, random_state=0)
    assert sorted(sum(map(row_numbers, mixed), [])) == sorted([*range(1, 5), *range(1, 6)])


@pytest.mark.parametrize("window", [1, 2])
def test_tables_of_several_libraries_are_refused(window):
    """The message has the chunk, both kinds and a remedy. Empty chunks may be of any kind."""
    kinds = {kind: f"a {kind} DataFrame" for kind in ("pandas", "polars")}
    kinds["array"] = kinds["csr"] = "an array or sparse matrix"
    for one, other in permutations(kinds, 2):
        if kinds[one] == kinds[other]:
            continue
        chunks = [*make_chunks(one, [4, 3]), *make_chunks(other, [3])]
        empty = tuple(part[:0] for part in chunks[2])
        match = f"Chunk 3.*X is {kinds[other]}, but was {kinds[one]} in the previous chunk.*to_"
        with pytest.raises(ValueError, match=match):
            list(shuffle_chunks([empty, *chunks], window=window))
        shuffled = shuffle_chunks([empty, *chunks[:2]], window=window)
        assert all(type(chunk[0]) is type(chunks[0][0]) for chunk in shuffled)


def test_sparse_and_dense_rows_are_shuffled_together():
    chunks = [*make_chunks("array", [4]), *make_chunks("csr", [5])]
    mixed = list(shuffle_chunks(chunks, window=2, random_state=0))
    assert all(sparse.issparse(chunk[0]) for chunk in mixed)
    assert sorted(sum(map(row_numbers, mixed), [])) == sorted([*range(1, 5), *range(1, 6)])


def test_columns_of_polars_may_be_of_other_numbers():
    """A file's column of whole numbers may have fractions, or no value, in another chunk."""
    first, second = ({"a": [1, 2], "b": [None, None]}, {"a": [0.5, None], "b": ["x", "y"]})
    chunks = [(pl.DataFrame(data), [0, 1]) for data in (first, second)]
    mixed = list(shuffle_chunks(chunks, window=2, random_state=0))
    together = pl.concat([chunk[0] for chunk in mixed]).sort("a", nulls_last=True)
    assert together["a"].to_list() == [0.5, 1.0, 2.0, None]
    assert sorted(together["b"].drop_nulls()) == ["x", "y"]


def test_numbers_of_polars_do_not_become_text():
    chunks = [(pl.DataFrame({"a": values}), [0, 1]) for values in ([1, 2], ["x", "y"])]
    mixed = shuffle_chunks(chunks, window=2, random_state=0)
    values = sum((chunk[0]["a"].to_list() for chunk in mixed), [])
    assert sorted(values, key=str) == [1, 2, "x", "y"]


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
        assert sum(one.n_rows for one in sample._chunks) <= 2 * 70
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
        seen.append(chunk.n_rows)
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


@pytest.mark.parametrize("sizes", [[23], [4, 4, 4, 11], [1] * 23, [20, 3]], ids=str)
@pytest.mark.parametrize("n_done", [0, 1, 2, 5])
def test_an_epoch_goes_on_after_the_batches_that_are_done(sizes, n_done):
    """Their chunks are read and not encoded; the epoch after it has all batches."""
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", sizes)]
    encoded, told = [], []

    def encode(chunk):
        encoded.append(chunk.n_rows)
        return chunk

    options = {"n_done": n_done, "tell": told.append}
    batches = ChunkBatches(lambda: iter(chunks), 23, 4, encode, chunks[0], **options)
    rest = [row_numbers(batch) for batch in batches]
    starts = [23 * number // 6 for number in range(6)]
    assert sum(rest, []) == list(range(starts[n_done] + 1, 24))
    passed = [end for end in np.cumsum(sizes).tolist() if end <= starts[n_done]]
    assert encoded == sizes[len(passed) :]
    assert told == [*passed, *starts[n_done:]]
    assert [row_numbers(batch) for batch in batches][n_done:] == rest


@pytest.mark.parametrize("n_chunks", [0, 1, 2])
def test_a_pass_with_fewer_rows_is_refused_at_its_end(n_chunks):
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", [10, 10, 10])]
    passed = counted(chunks[:n_chunks], 30)
    for chunk in chunks[:n_chunks]:
        assert next(passed) is chunk
    match = f"had 30 rows of .* first pass and {10 * n_chunks} in a later one"
    with pytest.raises(ValueError, match=match):
        next(passed)


@pytest.mark.parametrize("expected, n_good", [(19, 1), (20, 2), (21, 2)])
def test_a_surplus_row_is_refused_when_it_is_seen(expected, n_good):
    """Neither the chunk with the first surplus row is passed on, nor is another one read."""
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", [10] * 5)]
    read = []
    passed = counted((read.append(chunk) or chunk for chunk in chunks), expected)
    assert [next(passed) for _ in range(n_good)] == chunks[:n_good]
    with pytest.raises(ValueError, match=f"had {expected} rows .* and more in a later one"):
        next(passed)
    assert len(read) == n_good + 1


def test_a_pass_with_the_same_rows_is_passed_on():
    chunks = [as_chunk(chunk) for chunk in make_chunks("array", [10, 10])]
    assert list(counted(chunks, 20)) == chunks


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
        ((np.zeros((3, 2)), np.zeros(4)), ValueError, r"rows, got .* \(3, 2\), \(4,\)"),
        ((np.zeros((3, 2)), np.zeros(3), np.zeros(2)), ValueError, r"\(3, 2\), \(3,\), \(2,\)"),
        ((np.zeros((3, 2)), np.zeros(0)), ValueError, r"rows, got .* \(3, 2\), \(0,\)"),
        (
            ("text", np.zeros(3)),
            ValueError,
            r"have the same number of rows, .* \(\), \(3,\)",
        ),
        (([[1], [1, 2]], np.zeros(2)), ValueError, "X is not valid"),
        ((pl.DataFrame({"x": [1]}).lazy(), np.zeros(1)), TypeError, "X is a lazy LazyFrame"),
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
    assert as_chunk(second).n_rows == as_chunk(empty).n_rows == 0
    mixed = list(shuffle_chunks([empty, first, second, third, empty], window=5))
    assert sorted(sum(map(row_numbers, mixed), [])) == [1, 4, 8, 9, 10, 11, 12]


@pytest.mark.parametrize(
    ("chunks", "options", "error", "message"),
    [
        ([], {"window": 0}, ValueError, "window must be an integer >= 1"),
        ([], {"window": -3}, ValueError, "window must be an integer >= 1"),
        ([], {"window": 1.5}, ValueError, "window must be an integer >= 1"),
        ([], {"window": True}, ValueError, "window must be an integer >= 1"),
        ([], {"random_state": "seven"}, ValueError, "cannot be used to seed"),
        (5, {}, TypeError, "chunks must be an iterable of .* got int"),
    ],
)
def test_arguments_are_refused_by_the_call(chunks, options, error, message):
    """Not by the iteration, which may be far away."""
    with pytest.raises(error, match=message):
        shuffle_chunks(chunks, **options)


def test_a_window_of_no_chunks():
    assert list(shuffled([], 2, np.random.default_rng(0))) == []


def test_weights_of_two_dimensions_are_left_to_the_check_of_weights():
    """Their zeros are no rows, so that none is taken away before the error comes."""
    X, y, weight = np.ones((3, 2)), np.ones(3), np.array([[1.0, 0], [0, 0], [1, 1]])
    assert_array_equal(as_chunk((X, y, weight)).sample_weight, weight)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_chunks_of_other_columns_are_not_shuffled_together(make, window):
    """pandas would fill what a chunk lacks with NaN, and the network would learn from it."""
    whole, y = make({"a": [1.0, 2.0], "b": [3.0, 4.0]}), np.arange(2)
    for other in ({"a": [1.0, 2.0]}, {"b": [1.0, 2.0], "a": [3.0, 4.0]}):
        chunks = [(whole, y), (make(other), y)]
        with pytest.raises(
            ValueError, match=r"Chunk 1.*columns \[.*but had the columns \['a', 'b'"
        ):
            list(shuffle_chunks(chunks, window=window))
    array = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"Chunk 1.*X has rows of shape \(3,\), but .*\(2,\)"):
        list(shuffle_chunks([(array[:, :2], y), (array, y)], window=window))
    with pytest.raises(ValueError, match=r"Chunk 1.*y has rows of shape \(3,\), but .*\(\)"):
        list(shuffle_chunks([(array, y), (array, array)], window=window))


class OwnFrame(pd.DataFrame):
    """A frame of a user's own class, which is defined outside pandas."""

    @property
    def _constructor(self):
        return OwnFrame


def test_chunks_of_the_users_own_frames():
    numbers = np.arange(6.0)
    chunks = [(OwnFrame({"a": part}), part) for part in np.split(numbers, 3)]
    mixed = list(shuffle_chunks(chunks, window=3, random_state=0))
    assert_array_equal(np.sort(np.concatenate([X["a"] for X, _ in mixed])), numbers)
