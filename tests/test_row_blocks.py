"""Tables that are read in blocks, such as h5py, zarr and memory maps: reads, and fits."""

import os
import pickle
import tracemalloc

import h5py
import numpy as np
import pytest
import zarr
from guards import needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from plain import NETWORKS, SIMPLE
from scipy import sparse
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils import check_array

from sknet import NNClassifier, NNRegressor, _base_model, _prediction
from sknet._input import Features
from sknet._monitoring import ChosenRows
from sknet.callbacks import Checkpoint
from sknet.data import row_blocks
from sknet.data.batches import Batches, Dataset
from sknet.data.row_blocks import as_row_blocks
from sknet.streaming import RowBlocks

N_ARRAY_ROWS = 103


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
    X = np.random.default_rng(0).normal(size=(N_ARRAY_ROWS, 3))
    X[:, 0] = np.arange(N_ARRAY_ROWS)
    return X


CHOICES = {
    "all": slice(None),
    "slice": slice(5, 47),
    "every third": slice(None, None, 3),
    "backwards": slice(None, None, -1),
    "empty": slice(7, 7),
    "shuffled": np.random.default_rng(1).permutation(N_ARRAY_ROWS),
    "repeated": np.array([50, 3, 3, 99, 0, 50]),
    "repeated in order": np.array([3, 3, 5, 50, 50, 52, 53]),
    "mask": np.arange(N_ARRAY_ROWS) % 4 == 1,
    "last": [-1],
    "negative": np.array([-1, 5, -N_ARRAY_ROWS, -2]),
    "descending": np.arange(N_ARRAY_ROWS)[::-7],
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
        (N_ARRAY_ROWS, "must be from -103 to 102, got 103"),
        ([0, -N_ARRAY_ROWS - 1], "must be from -103 to 102, got -104"),
        ([True, False], r"mask of 103 booleans, got dtype bool and shape \(2,\)"),
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
    y = np.arange(N_ARRAY_ROWS, dtype=float)[:, np.newaxis]
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
    "rows", [None, np.flatnonzero(np.arange(N_ARRAY_ROWS) % 3)], ids=["all", "some"]
)
def test_every_row_once_an_epoch(array, batch_size, rows):
    table = RowBlocks(Rows(array), block_rows=10, window_rows=30)
    expected = list(range(N_ARRAY_ROWS)) if rows is None else rows.tolist()
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
    assert blocks.kept.tolist() == [*range(0, N_ARRAY_ROWS, step)]
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
    assert sum(stop - start for start, stop in source.read) == N_ARRAY_ROWS
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


def test_the_levels_of_categories_are_those_of_all_blocks():
    X = np.array([[0.5, 3, 1], [1.5, 3, np.nan], [2.5, 7, 2], [3.5, 3, np.nan]])
    network = NNRegressor(categorical_features=[2, 1])
    features, read = Features.learn(network, RowBlocks(X, block_rows=2))
    assert [levels.tolist() for levels in features.reader.levels_] == [[3, 7], [1, 2]]
    assert_array_equal(read[:], [[0.5, 0, 0], [1.5, 0, np.nan], [2.5, 1, 1], [3.5, 0, np.nan]])


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
        (Lacking(shape=(5, 3), dtype=np.dtype(float)), TypeError, "which lacks __getitem__"),
        (Lacking(shape=(5, 3)), TypeError, "which lacks dtype, __getitem__"),
        (sparse.csr_array((5, 3)), TypeError, "sparse matrix.*without RowBlocks"),
        (sparse.coo_matrix((5, 3)), TypeError, "sparse matrix.*without RowBlocks"),
        (Rows(np.zeros(5)), ValueError, r"Expected 2D X, got shape \(5,\)"),
        (Rows(np.zeros((5, 2, 2))), ValueError, r"Expected 2D X, got shape \(5, 2, 2\)"),
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
    with pytest.raises(
        TypeError, match=r"X\[0:2\] fails, with X of type .*OneByOne: .*sliced by rows"
    ):
        table[:2]


def test_rows_of_differing_width(array):
    class Ragged(Rows):
        def __getitem__(self, rows):
            block = super().__getitem__(rows)
            return block if rows.start < 50 else block[:, :2]

    table = RowBlocks(Ragged(array), block_rows=10)
    assert_array_equal(table[:50], array[:50])
    message = r"X\[50:60\] has shape \(10, 2\).*promises \(10, 3\). A slice must have all rows"
    with pytest.raises(ValueError, match=message):
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


# The estimators.


N_ROWS = 3000
STEADY = {
    "batch_size": 50, "learning_rate": "cosine", "learning_rate_init": 0.01,
    "early_stopping": False, "random_state": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def table():
    """Six columns of numbers; the third and the last, of level numbers, have missing values."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 6)).astype(np.float32)
    X[::7, 2] = np.nan
    X[:, 5] = rng.integers(0, 5, N_ROWS)
    X[::11, 5] = np.nan
    return X, (2 * X[:, 0] + X[:, 1] ** 2 + 3 * (X[:, 5] == 3)).astype(float)


STORAGES = ["h5py", "h5py chunks across columns", "h5py gzip", "zarr", "blocks"]


@pytest.fixture(params=STORAGES)
def storage(request, tmp_path):
    """Return a function that stores an array and returns it as users would pass it."""
    if request.param == "zarr":
        yield lambda X: zarr.array(X, chunks=(700, X.shape[1]))
    elif request.param == "blocks":
        yield lambda X: RowBlocks(X, block_rows=90)
    else:
        options = {
            "h5py": {},
            "h5py chunks across columns": {"chunks": (250, 4)},
            "h5py gzip": {"chunks": (100, 6), "compression": "gzip"},
        }[request.param]
        with h5py.File(tmp_path / "X.h5", "w") as file:
            yield lambda X: file.create_dataset(f"X{len(file)}", data=X, **options)


@pytest.fixture
def windows(monkeypatch):
    """Limits by which the table is too large to be encoded once, and has four windows."""
    monkeypatch.setattr(_base_model, "ENCODED_BYTES", 0)
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 100 * 24)
    monkeypatch.setattr(row_blocks, "WINDOW_BYTES", 800 * 24)


# The same as an array.


# Every storage is tested with one kind of network, and every kind with one storage.
@pytest.mark.parametrize(
    ("storage", "kind"),
    [
        *((storage, "plain") for storage in STORAGES),
        *(("h5py gzip", kind) for kind in NETWORKS if kind != "plain"),
    ],
    indirect=["storage"],
)
@pytest.mark.parametrize("cls", [NNRegressor, NNClassifier])
def test_small_tables_give_the_fit_of_an_array(table, storage, cls, kind):
    X, y = table
    y = y if cls is NNRegressor else np.where(y > 1, "high", "low")
    network = cls((16,), max_iter=3, **STEADY, **NETWORKS[kind])
    expected = network.fit(X, y)._model.params.copy()
    predicted, score = network.predict(X), network.score(X, y)
    source = storage(X)
    assert_array_equal(network.fit(source, y)._model.params, expected)
    assert_array_equal(network.predict(source), predicted)
    assert network.score(source, y) == score
    if cls is NNClassifier:
        assert_array_equal(network.predict_proba(source), network.predict_proba(X))
    assert network.n_features_in_ == 6


@pytest.mark.parametrize("dtype", ["float64", "int16", "uint8"])
def test_numbers_of_other_types(storage, dtype):
    X = np.random.default_rng(0).integers(0, 50, (500, 6)).astype(dtype)
    network = NNRegressor((8,), max_iter=2, **STEADY, **SIMPLE)
    expected = network.fit(X, X[:, 0]).predict(X)
    predicted = network.fit(storage(X), X[:, 0]).predict(storage(X))
    assert predicted.dtype == expected.dtype == np.float64
    assert_array_equal(predicted, expected)


def test_categories_by_position(table, storage):
    X, y = table
    network = NNRegressor((16,), max_iter=3, categorical_features=[5], **STEADY, **SIMPLE)
    expected = network.fit(X, y).predict(X)
    names = list(network.encoded_feature_names_)
    assert_array_equal(network.fit(storage(X), y).predict(storage(X)), expected)
    assert list(network.encoded_feature_names_) == names
    assert "x5_3.0" in names and "x5_other" in names
    assert_array_equal(network.predict(X), expected)


def test_weights_and_lbfgs(table, storage):
    X, y = table
    weight = np.where(np.arange(N_ROWS) % 3, 1 + np.arange(N_ROWS) / N_ROWS, 0.0)
    for options in ({"solver": "lbfgs", "early_stopping": False, "random_state": 0}, STEADY):
        network = NNRegressor((8,), max_iter=3, tol=0, n_iter_no_change=np.inf)
        network.set_params(**options, **SIMPLE)
        if options is not STEADY:
            network.set_params(max_iter=15, tol=1e3)
        expected = network.fit(X, y, weight).predict(X)
        assert_array_equal(network.fit(storage(X), y, weight).predict(X), expected)


def test_partial_fit_and_warm_start(table, storage):
    X, y = table
    first, second = (NNRegressor((8,), max_iter=2, **STEADY, **SIMPLE) for _ in range(2))
    for _ in range(2):
        first.partial_fit(X, y)
        second.partial_fit(storage(X), y)
    assert_array_equal(first._model.params, second._model.params)
    for network, rows in ((first, X), (second, storage(X))):
        network.set_params(warm_start=True).fit(rows, y)
    assert_array_equal(first._model.params, second._model.params)


def test_columns_that_were_constant_get_the_scale_that_an_array_gives_them(table, storage):
    X, y = table
    first = X.copy()
    first[:, 0] = 2
    networks = [
        NNRegressor(random_state=0, **SIMPLE).partial_fit(first, y).partial_fit(rows, y)
        for rows in (X, storage(X))
    ]
    by_array, by_blocks = (one._model.encoder.numbers_.scale for one in networks)
    assert by_array[0] > 0
    assert_array_equal(by_blocks, by_array)


@pytest.mark.parametrize("shuffle", [False, True])
def test_cross_validation(table, storage, shuffle):
    X, y = table
    folds = KFold(3, shuffle=shuffle, random_state=0 if shuffle else None)
    network = NNRegressor((8,), max_iter=2, **STEADY, **SIMPLE)
    expected = cross_val_score(network, X, y, cv=folds)
    assert_array_equal(cross_val_score(network, RowBlocks(storage(X)), y, cv=folds), expected)


# In windows.


# Windows change the order of the rows, so errors are compared and not parameters.
@pytest.mark.parametrize("kind", ["plain", "members, bins", "mixed, noisy"])
def test_windows_are_as_good_as_an_array(table, windows, kind):
    X, y = table
    errors = []
    for rows in (X[:2000], RowBlocks(X[:2000])):
        networks = [
            NNRegressor(
                (16,), max_iter=10, **{**STEADY, "random_state": seed}, **NETWORKS[kind]
            )
            for seed in range(8)
        ]
        errors.append(
            np.mean([1 - one.fit(rows, y[:2000]).score(X[2000:], y[2000:]) for one in networks])
        )
    assert errors[0] < 0.4
    # The errors with single seeds differ by about 10 %.
    assert errors[1] < 1.1 * errors[0]


def test_windows_are_reproducible(table, storage, windows):
    X, y = table
    network = NNRegressor((16,), max_iter=3, **STEADY, **NETWORKS["dropout, average"])
    params = [network.fit(storage(X), y)._model.params.copy() for _ in range(2)]
    assert_array_equal(*params)
    assert_allclose(network.predict(storage(X)), network.predict(X), rtol=1e-5, atol=1e-5)


def test_scaling_is_learned_as_from_an_array(table, storage, windows, monkeypatch):
    X, y = table
    for most in (500, 10_000):
        monkeypatch.setattr("sknet.data.draws.QUANTILE_ROWS", most)
        network = NNRegressor((4,), max_iter=1, **STEADY, **SIMPLE)
        expected = network.fit(X, y)._model.encoder
        found = network.fit(storage(X), y)._model.encoder
        assert_array_equal(found.numbers_.center, expected.numbers_.center)
        assert_array_equal(found.numbers_.scale, expected.numbers_.scale)
        # The last of them are those of indicators of missing values.
        assert_array_equal(found.sources_, expected.sources_)


def test_sorted_rows_are_mixed(windows):
    # Each block has one class: read in order, the network would learn the last class only.
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 1000)
    X = (rng.normal(size=(4000, 6)) + 2 * y[:, np.newaxis]).astype(np.float32)
    network = NNClassifier((16,), max_iter=5, **STEADY, **SIMPLE)
    assert network.fit(RowBlocks(X), y).score(X, y) > 0.95


@pytest.mark.parametrize(
    ("storage", "scoring"),
    [*((storage, "loss") for storage in STORAGES), ("h5py gzip", "accuracy")],
    indirect=["storage"],
)
def test_early_stopping_holds_the_same_rows_out(table, storage, windows, scoring):
    X, y = table
    labels = np.where(y > 1, "high", "low")
    network = NNClassifier((16,), max_iter=40, tol=0.01, n_iter_no_change=2, **SIMPLE)
    network.set_params(**{**STEADY, "early_stopping": True, "learning_rate": "constant"})
    network.set_params(learning_rate_init=1e-300, scoring=scoring)
    # With this learning rate all scores are those of the initial parameters.
    expected = network.fit(X, labels).validation_scores_
    assert_allclose(network.fit(storage(X), labels).validation_scores_, expected, rtol=1e-5)
    network.set_params(learning_rate_init=0.01).fit(storage(X), labels)
    assert network.n_iter_ < 40
    scores = network.validation_scores_
    assert network.best_validation_score_ == max(scores) > expected[0]


def test_the_best_epoch_is_restored(table, storage, windows):
    X, y = table
    seen = []

    def score(model, rows, y_true):
        value = r2_score(y_true, model.predict(rows))
        seen.append((value, rows.shape, model._model.params.copy()))
        return value

    network = NNRegressor((16,), max_iter=8, scoring=score, **SIMPLE)
    network.set_params(**{**STEADY, "early_stopping": True, "learning_rate": "constant"})
    network.set_params(n_iter_no_change=np.inf, learning_rate_init=0.05).fit(storage(X), y)
    # The first call tries the scorer before training.
    assert {shape for _, shape, _ in seen} == {(300, 6)}
    best = max(seen[1:], key=lambda one: one[0])
    assert network.best_validation_score_ == best[0]
    assert_array_equal(network._model.params, best[2])


def test_validation_rows_of_one_s_own(table, storage, windows):
    X, y = table
    options = {**STEADY, "early_stopping": True, "learning_rate_init": 1e-300}
    network = NNRegressor((16,), max_iter=2, **options, **SIMPLE)
    expected = network.fit(X, y, X_val=X[:500], y_val=y[:500]).validation_scores_
    network.fit(storage(X), y, X_val=storage(X[:500]), y_val=y[:500])
    assert_allclose(network.validation_scores_, expected, rtol=1e-5)


@pytest.mark.parametrize("large", [False, True])
def test_memory_maps_that_main_memory_cannot_hold(table, tmp_path, monkeypatch, windows, large):
    X, y = table
    np.save(tmp_path / "X.npy", X)
    memory_map = np.load(tmp_path / "X.npy", mmap_mode="r")
    network = NNRegressor((16,), max_iter=2, **STEADY, **SIMPLE)
    array, blocks = (network.fit(rows, y)._model.params.copy() for rows in (X, RowBlocks(X)))
    monkeypatch.setattr(row_blocks, "main_memory", lambda: X.nbytes * (1.9 if large else 2.1))
    expected = blocks if large else array
    assert np.abs(array - blocks).max() > 0
    assert_array_equal(network.fit(memory_map, y)._model.params, expected)


# Memory.


class Made:
    """Rows that are computed when they are read."""

    dtype = np.dtype(np.float32)

    def __init__(self, n_rows, n_columns):
        self.shape = (n_rows, n_columns)

    def __getitem__(self, rows):
        rng = np.random.default_rng(rows.start)
        return rng.standard_normal((rows.stop - rows.start, self.shape[1]), np.float32)


class Dates(Made):
    dtype = np.dtype("datetime64[s]")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_memory_is_bounded(monkeypatch, early_stopping):
    n_rows, n_columns = 60_000, 100
    monkeypatch.setattr(_base_model, "ENCODED_BYTES", 0)
    monkeypatch.setattr(_prediction, "WORKSPACE_ELEMENTS", 2**14)
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 2**16)
    monkeypatch.setattr(row_blocks, "WINDOW_BYTES", 2**20)
    monkeypatch.setattr("sknet.data.draws.SAMPLE_BYTES", 2**20)
    X, y = Made(n_rows, n_columns), np.random.default_rng(0).normal(size=n_rows)
    network = NNRegressor((4,), max_iter=1, **{**STEADY, "batch_size": 500}, **SIMPLE)
    network.set_params(early_stopping=early_stopping)
    tracemalloc.start()
    network.fit(X, y)
    fitting = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    network.predict(X)
    predicting = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The memory is for vectors with an entry for each row, a few windows and the network.
    assert fitting < 50 * n_rows + 8 * 2**20 < 0.6 * 4 * n_rows * n_columns
    assert predicting < 20 * n_rows + 6 * 2**20


# Reads.


class Counted:
    """A table that counts how often each of its rows is read."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.counts = np.zeros(len(array), int)
        self.n_reads = 0

    def __getitem__(self, rows):
        self.counts[rows] += 1
        self.n_reads += 1
        return self._array[rows]


#: Options of the fits whose reads are counted.
COUNTED = {
    "default": {},
    "no early stopping": {"early_stopping": False},
    "refit": {"refit": True, "learning_rate": "one_cycle"},
    "class weights": {"class_weight": "balanced"},
    "members": {"n_members": 2},
    "codes": {"numeric_embedding": "piecewise_linear"},
    "weights": {},
}


@pytest.fixture(params=["float32", "float64"])
def counted(request, windows):
    """Return a table of blocks of one row, in which a read is a read of its rows alone."""
    X = np.random.default_rng(0).normal(size=(1500, 4)).astype(request.param)
    return Counted(X), (X[:, 0] > 0.1).astype(int)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("counted", "kind"),
    [*(("float32", kind) for kind in COUNTED), ("float64", "default"), ("float64", "codes")],
    indirect=["counted"],
)
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_each_row_is_read_once_for_the_survey_and_once_an_epoch(counted, kind, cls):
    """Validation rows are read in each epoch as well, and once more to calibrate."""
    source, y = counted
    options = dict(COUNTED[kind])
    if cls is NNRegressor:
        options.pop("class_weight", None)
    network = cls((4,), max_iter=3, batch_size=100, random_state=0, **options)
    weight = np.arange(1.0, len(y) + 1) if kind == "weights" else None
    network.fit(RowBlocks(source, block_rows=1), y, weight)
    n_epochs = network.n_iter_
    n_validation = network._model.provenance.n_validation or 0
    calibrated = cls is NNClassifier and n_validation > 0
    counts, rows = np.unique(source.counts, return_counts=True)
    if not n_validation:
        assert counts.tolist() == [1 + n_epochs]
        return
    # The epochs on all rows read the validation rows to train on them, and not to score.
    assert counts.tolist() == [1 + n_epochs, 1 + n_epochs + calibrated][: 1 + calibrated]
    if calibrated:
        assert rows.tolist() == [len(y) - n_validation, n_validation]


def test_a_fit_continued_reads_what_a_fit_reads(counted):
    """The first look, for infinity, takes the place of the survey."""
    source, y = counted
    network = NNRegressor((4,), max_iter=2, **{**STEADY, "batch_size": 100})
    blocks = RowBlocks(source, block_rows=1)
    network.set_params(warm_start=True).fit(blocks, y)
    source.counts[:] = 0
    network.fit(blocks, y)
    assert_array_equal(source.counts, 3)
    source.counts[:] = 0
    network.partial_fit(blocks, y)
    assert_array_equal(source.counts, 2)


@needs_callbacks
@pytest.mark.parametrize("early_stopping", [False, True])
def test_checkpoints_and_a_resumed_fit_read_nothing_more(counted, early_stopping, tmp_path):
    source, y = counted
    path = tmp_path / "network.joblib"
    options = {**STEADY, "batch_size": 100, "early_stopping": early_stopping}
    network = NNRegressor((4,), max_iter=2, n_iter_no_change=np.inf, refit=False, **options)
    blocks = RowBlocks(source, block_rows=1)
    network.set_callbacks(Checkpoint(path)).fit(blocks, y)
    assert_array_equal(source.counts, 3)
    source.counts[:] = 0
    network.set_callbacks().set_params(max_iter=3).fit(blocks, y, resume_from=path)
    assert_array_equal(source.counts, 2)
    assert network.n_iter_ == 3
    source._array = source._array[::-1]
    with pytest.raises(ValueError, match="different training or validation rows"):
        network.fit(blocks, y, resume_from=path)


# Bad input.


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_infinity_is_found_before_training(table, storage, windows, forbid_training, method):
    X, y = table
    X = X.copy()
    X[1234, 1] = np.inf
    forbid_training()
    network = NNRegressor((4,), **STEADY, **SIMPLE)
    before = dict(vars(network))
    with pytest.raises(ValueError, match="infinity .*float32.*, in rows [0-9]+ to [0-9]+"):
        getattr(network, method)(storage(X), y)
    assert vars(network) == before


def test_infinity_later(table, storage, windows, forbid_training):
    X, y = table
    network = NNRegressor((4,), max_iter=1, warm_start=True, **STEADY, **SIMPLE).fit(X, y)
    bad = X.copy()
    bad[2999, 1] = -np.inf
    forbid_training()
    for use in (
        lambda: network.predict(storage(bad)),
        lambda: network.fit(storage(bad), y),
        lambda: network.partial_fit(storage(bad), y),
    ):
        with pytest.raises(ValueError, match="infinity"):
            use()
    network.set_params(early_stopping="auto", warm_start=False)
    with pytest.raises(ValueError, match="^X_val is not valid: .*infinity"):
        network.fit(X, y, X_val=storage(bad), y_val=y)


def test_shapes_must_fit(table, storage, forbid_training):
    X, y = table
    network = NNRegressor((4,), max_iter=1, **STEADY, **SIMPLE).fit(X, y)
    forbid_training()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        network.fit(storage(X), y[:-1])
    with pytest.raises(ValueError, match="2 features, but NNRegressor is expecting 6"):
        network.predict(RowBlocks(X[:, :2]))
    with pytest.raises(ValueError, match="Sample_?[Ww]eights.shape|sample_weight.shape"):
        network.fit(storage(X), y, np.ones(5))
    with pytest.raises(ValueError, match="positions of columns of X, from 0 to 5"):
        network.set_params(categorical_features=[6]).fit(storage(X), y)


def test_dates_and_text(tmp_path, forbid_training):
    forbid_training()
    network = NNRegressor((4,))
    with h5py.File(tmp_path / "X.h5", "w") as file:
        text = file.create_dataset("text", data=np.full((5, 2), b"a"))
        with pytest.raises(ValueError, match="X holds bytes"):
            network.fit(text, np.arange(5))
        with pytest.raises(ValueError, match="must hold real numbers"):
            RowBlocks(text)
        flat = file.create_dataset("flat", data=np.arange(5.0))
        with pytest.raises(ValueError, match="Expected 2D"):
            network.fit(flat, np.arange(5))
    with pytest.raises(ValueError, match="dates"):
        network.fit(Dates(5, 2), np.arange(5))


def test_an_object_without_slicing(forbid_training):
    forbid_training()

    class Unsliceable:
        shape, dtype = (5, 2), np.dtype(float)

    with pytest.raises(
        TypeError, match="Unsliceable, which lacks __getitem__.*slicing by rows"
    ):
        NNRegressor((4,)).fit(Unsliceable(), np.arange(5))
