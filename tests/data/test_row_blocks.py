"""Tables that are read in blocks: what is read, in which order, and what is refused."""

import os
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.utils import check_array

from sknet._monitoring import ChosenRows
from sknet.data import row_blocks
from sknet.data.batches import Batches, Dataset
from sknet.data.row_blocks import RowBlocks, as_row_blocks, rows_of_values

N_ROWS = 103


class Rows:
    """The least that the protocol asks for; it remembers what was read."""

    def __init__(self, array, **attributes):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.read = []
        vars(self).update(attributes)

    def __getitem__(self, rows):
        assert isinstance(rows, slice) and rows.step is None
        self.read.append((rows.start, rows.stop))
        return self._array[rows]


@pytest.fixture
def array():
    """Rows that start with their own number."""
    X = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    X[:, 0] = np.arange(N_ROWS)
    return X


CHOICES = {
    "all": slice(None),
    "slice": slice(5, 47),
    "every third": slice(None, None, 3),
    "backwards": slice(None, None, -1),
    "empty": slice(7, 7),
    "shuffled": np.random.default_rng(1).permutation(N_ROWS),
    "repeated": np.array([50, 3, 3, 99, 0, 50]),
    "mask": np.arange(N_ROWS) % 4 == 1,
    "last": [-1],
    "negative": np.array([-1, 5, -N_ROWS, -2]),
    "descending": np.arange(N_ROWS)[::-7],
    "no rows": [],
    "small integers": np.array([100, 3, -3], np.int8),
    "unsigned": np.array([7, 3], np.uint8),
    "one": 5,
    "one from the end": np.int64(-3),
    "rows and all columns": ([4, 2], slice(None)),
    "rows and dots": (slice(90, 3, -4), ...),
}


@pytest.mark.parametrize("block_rows", [1, 10, 1000])
@pytest.mark.parametrize("rows", CHOICES.values(), ids=CHOICES)
def test_it_gives_the_rows_that_an_array_gives(array, rows, block_rows):
    source = Rows(array)
    assert_array_equal(RowBlocks(source, block_rows=block_rows)[rows], array[rows])
    # Never across a block, and never twice.
    assert all(start // block_rows == (stop - 1) // block_rows for start, stop in source.read)
    assert len({start // block_rows for start, _ in source.read}) == len(source.read)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (N_ROWS, "Rows 103 to 103 are asked of 103"),
        ([0, -N_ROWS - 1], "Rows -104 to 0 are asked of 103"),
        ([True, False], r"mask of 103 truth values, got dtype bool and shape \(2,\)"),
        ([0.5], "dtype float64"),
        ([[0, 1]], r"shape \(1, 2\)"),
        ((slice(None), [0, 1]), r"by rows only.*X\[rows\]\[:, columns\]"),
    ],
)
def test_no_rows(array, rows, message):
    source = Rows(array)
    with pytest.raises(IndexError, match=message):
        RowBlocks(source)[rows]
    assert source.read == []


def test_it_becomes_an_array(array):
    table = RowBlocks(Rows(array), block_rows=10)
    assert_array_equal(np.asarray(table), array)
    assert np.asarray(table, dtype=np.float32).dtype == np.float32
    assert_array_equal(np.array(list(table)), array)
    with pytest.raises(ValueError, match="copy=False"):
        table.__array__(copy=False)


def test_what_it_shows(array):
    table = RowBlocks(Rows(array), block_rows=10, window_rows=50)
    expected = "RowBlocks(shape=(103, 3), dtype=float64, block_rows=10, window_rows=50)"
    assert repr(table) == expected


def test_only_the_rows_from_the_first_to_the_last_of_a_block_are_read(array):
    source = Rows(array)
    RowBlocks(source, block_rows=10)[np.array([14, 12, 17, 60])]
    assert source.read == [(12, 18), (60, 61)]


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", ">f8", "f2", "i2", "u1", "?"])
def test_blocks_are_of_the_float_type_that_scikit_learn_makes(array, dtype):
    X = array.astype(dtype)
    table = RowBlocks(Rows(X))
    expected = check_array(X, dtype=[np.float64, np.float32])
    assert table.dtype == table[:5].dtype == expected.dtype
    assert_array_equal(table[:], expected)


def test_blocks_are_whole_chunks(array):
    big = np.broadcast_to(np.float32(0), (10**6, 64))  # 256 bytes a row, 4096 rows a MiB
    assert RowBlocks(Rows(big)).block_rows == 4096
    assert RowBlocks(Rows(big, chunks=(1000, 64))).block_rows == 4000
    assert RowBlocks(Rows(big, chunks=(10_000, 8))).block_rows == 10_000
    assert RowBlocks(Rows(big, chunks=((300, 500, 200), (64,)))).block_rows == 4000
    assert RowBlocks(Rows(big, chunks=None)).block_rows == 4096
    assert RowBlocks(Rows(big)).window_rows == 64 * 4096
    assert RowBlocks(Rows(big, chunks=(500_000, 64))).window_rows == 500_000


# The order of an epoch.


def epoch(table, batch_size, rng=None, rows=None):
    y = np.arange(N_ROWS, dtype=float)[:, np.newaxis]
    data = Dataset(table, y, 1 + y[:, 0])
    data = data if rows is None else data.choose(rows)
    batches = Batches(data, batch_size, lambda X: X, rng)
    numbers = []
    for batch in batches:
        assert_array_equal(batch.X[:, :1], batch.y)
        assert_array_equal(batch.sample_weight, 1 + batch.y[:, 0])
        numbers.append(batch.y[:, 0].astype(int).tolist())
    assert len(numbers) == len(batches)
    assert max(map(len, numbers)) <= batches.batch_size
    return numbers


@pytest.mark.parametrize("batch_size", [1, 7, 20, 102, 500])
@pytest.mark.parametrize(
    "rows", [None, np.flatnonzero(np.arange(N_ROWS) % 3)], ids=["all", "some"]
)
def test_every_row_once_an_epoch(array, batch_size, rows):
    table = RowBlocks(Rows(array), block_rows=10, window_rows=30)
    expected = list(range(N_ROWS)) if rows is None else rows.tolist()
    assert sum(epoch(table, batch_size, rows=rows), []) == expected
    shuffled = sum(epoch(table, batch_size, np.random.default_rng(0), rows), [])
    assert sorted(shuffled) == expected
    assert (shuffled == expected) == (batch_size >= len(expected))


@pytest.mark.parametrize(("n_bytes", "step"), [(2**23, 6), (0, 11)])
def test_evenly_spaced_rows_that_were_read_stay_in_memory(array, monkeypatch, n_bytes, step):
    """There are at most so many, of so many bytes, but not fewer than the fewest."""
    monkeypatch.setattr(row_blocks, "MOST_KEPT", 20)
    monkeypatch.setattr(row_blocks, "FEWEST_KEPT", 10)
    monkeypatch.setattr(row_blocks, "KEPT_BYTES", n_bytes)
    blocks = RowBlocks(Rows(array), block_rows=10)
    assert not blocks.kept.size
    assert blocks.kept_rows(blocks.kept).shape == (0, 3)
    blocks[45:60]
    assert blocks.kept.tolist() == [i for i in range(45, 60) if i % step == 0]
    blocks.check_finite()
    assert blocks.kept.tolist() == [*range(0, N_ROWS, step)]
    assert_array_equal(blocks.kept_rows(blocks.kept[2:4]), array[[2 * step, 3 * step]])
    assert not pickle.loads(pickle.dumps(blocks)).kept.size


def test_blocks_come_in_random_order_and_rows_are_shuffled_in_a_window(array):
    table = RowBlocks(Rows(array[:100]), block_rows=10, window_rows=30)
    rng = np.random.default_rng(0)
    orders = [np.concatenate(epoch(table, 5, rng)) for _ in range(20)]
    windows = np.array([order[:30] for order in orders])
    assert len(np.unique(windows, axis=0)) == 20
    for window in windows:
        # Three whole blocks, mixed.
        assert np.unique(window // 10, return_counts=True)[1].tolist() == [10, 10, 10]
        assert len(set(window[:10] // 10)) > 1
    # Each block is in the first window of about three epochs of ten.
    firsts = np.bincount(np.unique(windows // 10 + 10 * np.arange(20)[:, None]) % 10)
    assert firsts.sum() == 60 and firsts.min() >= 1


def test_an_epoch_reads_each_row_once_and_holds_a_window(array):
    source = Rows(array)
    table = RowBlocks(source, block_rows=10, window_rows=30)
    for _ in Batches(Dataset(table), 10, None, np.random.default_rng(0)):
        pass
    assert sum(stop - start for start, stop in source.read) == N_ROWS
    batches = iter(Batches(Dataset(table), 10, None, np.random.default_rng(0)))
    source.read.clear()
    for _ in range(3):
        next(batches)
    assert sum(stop - start for start, stop in source.read) <= 30


def test_a_window_that_holds_all_rows_is_shuffled_as_an_array_is(array):
    # All rows are equally likely to come first.
    table = RowBlocks(Rows(array), block_rows=10)
    batches = Batches(Dataset(table), 1, None, np.random.default_rng(0))
    first = [next(iter(batches)).X[0, 0] for _ in range(200)]
    # About 88 different ones are expected, with a standard deviation of 4.
    assert len(set(first)) > 60


# What is read in blocks, and what is not.


class Array:
    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array


def test_what_is_taken_for_a_table_in_blocks(array, tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", array)
    memory_map = np.load(tmp_path / "X.npy", mmap_mode="r")
    for X in (array, array.tolist(), sparse.csr_array(array), Array(array), memory_map, None):
        assert as_row_blocks(X) is None
    assert as_row_blocks(array[0, 0]) is None
    blocks = as_row_blocks(Rows(array))
    assert isinstance(blocks, RowBlocks)
    assert as_row_blocks(blocks) is blocks
    # A memory map that main memory cannot hold, with room for other things.
    monkeypatch.setattr(row_blocks, "main_memory", lambda: 1.9 * array.nbytes)
    assert isinstance(as_row_blocks(memory_map), RowBlocks)
    assert as_row_blocks(np.asarray(memory_map)) is None


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="the system does not tell")
def test_main_memory_is_known():
    assert 2**26 < row_blocks.main_memory() < 2**60


def test_unknown_main_memory_is_unlimited(monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert row_blocks.main_memory() == np.inf


def test_chosen_rows_are_a_table_again(array):
    positions = np.array([2, 3, 50, 101])
    chosen = ChosenRows(RowBlocks(Rows(array), block_rows=10), positions)
    table = as_row_blocks(chosen)
    assert table.shape == (4, 3)
    assert_array_equal(table[1:], array[positions[1:]])


def test_distinct_values_of_columns():
    X = np.array([[0.5, 3, 1], [1.5, 3, np.nan], [2.5, 7, 2], [3.5, 3, np.nan]])
    out = rows_of_values(RowBlocks(X, block_rows=2), [2, 1])
    assert_array_equal(out, [[0, 3, 1], [0, 7, 2], [0, 7, np.nan]])


# Bad tables.


class Lacking:
    def __init__(self, **attributes):
        vars(self).update(attributes)


class OneByOne(Lacking):
    def __getitem__(self, row):
        return np.zeros(3)[int(row)]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (Lacking(shape=(5, 3), dtype=np.dtype(float)), TypeError, "without __getitem__"),
        (Lacking(shape=(5, 3)), TypeError, "without dtype, __getitem__"),
        (sparse.csr_array((5, 3)), TypeError, "sparse matrix.*without RowBlocks"),
        (sparse.coo_matrix((5, 3)), TypeError, "sparse matrix.*without RowBlocks"),
        (Rows(np.zeros(5)), ValueError, r"Expected 2D X, got 1 dimension\(s\): shape \(5,\)"),
        (Rows(np.zeros((5, 2, 2))), ValueError, "Expected 2D X, got 3"),
        (Rows(np.zeros((5, 3)), shape=(np.nan, 3)), ValueError, "columns of X is unknown"),
        (Rows(np.zeros((0, 3))), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\)"),
        (Rows(np.zeros((5, 0))), ValueError, r"0 feature\(s\) \(shape=\(5, 0\)\)"),
        (Rows(np.zeros((5, 3), dtype="U2")), ValueError, "real numbers.*got dtype <U2"),
        (Rows(np.zeros((5, 3), dtype=complex)), ValueError, "got dtype complex128"),
    ],
)  # fmt: skip
def test_no_table(source, error, message):
    with pytest.raises(error, match=message):
        RowBlocks(source)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "many"])
@pytest.mark.parametrize("name", ["block_rows", "window_rows"])
def test_sizes_are_positive_integers(array, name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got {value!r}"):
        RowBlocks(array, **{name: value})


def test_a_table_that_cannot_be_sliced():
    table = RowBlocks(OneByOne(shape=(5, 3), dtype=np.dtype(float)))
    with pytest.raises(TypeError, match=r"OneByOne, of which X\[0:2\] fails.*sliced by rows"):
        table[:2]


def test_rows_of_differing_width(array):
    class Ragged(Rows):
        def __getitem__(self, rows):
            block = super().__getitem__(rows)
            return block if rows.start < 50 else block[:, :2]

    table = RowBlocks(Ragged(array), block_rows=10)
    assert_array_equal(table[:50], array[:50])
    with pytest.raises(ValueError, match=r"X\[50:60\] has shape \(10, 2\).*promises \(10, 3\)"):
        table[:]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_found_with_its_rows(array, value):
    array[57, 1] = value
    array[57, 2] = array[20, 1] = np.nan
    table = RowBlocks(Rows(array), block_rows=10)
    assert np.isnan(table[20:21][0, 1])
    with pytest.raises(ValueError, match="infinity.*float64, in rows 50 to 59"):
        table[:]
    with pytest.raises(ValueError, match="infinity"):
        table.check_finite()


def test_numbers_whose_sum_overflows_are_finite():
    X = np.full((5, 2), np.finfo(np.float32).max, dtype=np.float32)
    assert_array_equal(RowBlocks(X)[:], X)


def test_the_last_window_has_no_small_batch(array):
    """The rows of an epoch are divided evenly, also where windows are read one by one."""
    table = RowBlocks(Rows(array), block_rows=10, window_rows=30)
    sizes = [len(rows) for rows in epoch(table, 15, rows=np.arange(91))]
    assert sum(sizes) == 91
    assert min(sizes) >= 12
    assert len(sizes) == 7
