"""Chosen rows of a table, and the batches of an epoch."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sknet.data.batches import Batches, Dataset, stack_rows

N_ROWS = 23


@pytest.fixture(params=["dense", "fortran", "csr", "memmap"])
def rows(request, tmp_path):
    """Rows that start with their own number, in each kind of storage."""
    dense = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    dense[:, 0], dense[::2, 1] = np.arange(N_ROWS), 0
    if request.param == "csr":
        return sparse.csr_matrix(dense)
    if request.param == "fortran":
        return np.asfortranarray(dense)
    if request.param == "memmap":
        np.save(tmp_path / "X.npy", dense)
        return np.load(tmp_path / "X.npy", mmap_mode="r")
    return dense


@pytest.fixture
def data(rows):
    numbers = np.arange(float(N_ROWS))
    return Dataset(rows, np.column_stack([10 * numbers, -numbers]), 1 + numbers / 100)


def as_is(X):
    return X


def to_array(X):
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


def row_numbers(batch):
    """Return which rows a batch has, after a check that what belongs together is."""
    X = to_array(batch.X)
    numbers = X[:, 0].astype(int)
    assert_array_equal(batch.y, np.column_stack([10.0 * numbers, -1.0 * numbers]))
    assert_array_equal(batch.sample_weight, 1 + numbers / 100)
    return numbers.tolist()


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 1000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_row_once_an_epoch(data, batch_size, shuffled):
    rng = np.random.default_rng(0) if shuffled else None
    batches = Batches(data, batch_size, as_is, rng)
    assert batches.n_rows == N_ROWS
    assert batches.batch_size <= min(batch_size, N_ROWS)
    for _ in range(3):
        epoch = [row_numbers(batch) for batch in batches]
        assert len(epoch) == len(batches) == -(-N_ROWS // batch_size)
        sizes = [len(rows) for rows in epoch]
        assert max(sizes) - min(sizes) <= 1
        assert 1 <= max(sizes) <= batch_size
        order = sum(epoch, [])
        assert sorted(order) == list(range(N_ROWS))
        assert (order != sorted(order)) == (shuffled and batch_size < N_ROWS)


def test_rows_come_whole(data):
    for batch in Batches(data, 5, as_is, np.random.default_rng(0)):
        assert_array_equal(to_array(batch.X), to_array(data.X)[row_numbers(batch)])


def test_epochs_are_shuffled_anew(data):
    batches = Batches(data, 5, as_is, np.random.default_rng(0))
    orders = [sum((row_numbers(batch) for batch in batches), []) for _ in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    again = Batches(data, 5, as_is, np.random.default_rng(0))
    assert [sum((row_numbers(batch) for batch in again), []) for _ in range(3)] == orders


def test_a_single_batch_draws_nothing(data):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    (batch,) = Batches(data, N_ROWS, as_is, rng)
    assert row_numbers(batch) == list(range(N_ROWS))
    assert rng.bit_generator.state == before


def test_rows_are_encoded_batch_by_batch(data):
    seen = []

    def encode(X):
        seen.append(X.shape[0])
        return 2.0 * to_array(X)

    doubled = [batch.X for batch in Batches(data, 10, encode)]
    assert seen == [7, 8, 8]
    assert_array_equal(np.vstack(doubled), 2 * to_array(data.X))


def test_data_are_left_alone(data):
    before = to_array(data.X).copy(), data.y.copy(), data.sample_weight.copy()
    for batch in Batches(data, 5, as_is, np.random.default_rng(0)):
        row_numbers(batch)
    for now, then in zip((to_array(data.X), *data[1:3]), before, strict=True):
        assert_array_equal(now, then)


def test_batches_of_a_memory_map_in_order_are_views(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((10, 2)))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    for batch in Batches(Dataset(X), 4, as_is):
        assert np.shares_memory(batch.X, X)


def test_parts_may_be_missing(data):
    for batch in Batches(Dataset(data.X), 5, as_is, np.random.default_rng(0)):
        assert batch.y is None and batch.sample_weight is None
    batch = Dataset(data.X, data.y).batch(np.array([3, 1]))
    assert batch.sample_weight is None
    assert_array_equal(batch.y[:, 0], [30, 10])


CHOICES = {
    "slice": slice(2, 5),
    "indices": np.array([2, 3, 4]),
    "mask": np.isin(np.arange(N_ROWS), [2, 3, 4]),
}


@pytest.mark.parametrize("which", CHOICES.values(), ids=CHOICES)
def test_a_batch_of_some_rows(data, which):
    assert row_numbers(data.batch(which)) == [2, 3, 4]


@pytest.mark.parametrize("which", CHOICES.values(), ids=CHOICES)
def test_chosen_rows_of_chosen_rows(data, which):
    chosen = data.choose(np.arange(N_ROWS)[::-1]).choose(which)
    assert chosen.X is data.X, "the table itself is never copied"
    assert chosen.n_rows == 3
    assert chosen.rows.tolist() == [20, 19, 18]
    assert row_numbers(chosen.batch()) == [20, 19, 18]
    assert row_numbers(chosen.batch(np.array([2, 0]))) == [18, 20]
    (batch,) = Batches(chosen, 10, as_is)
    assert row_numbers(batch) == [20, 19, 18]


@pytest.mark.parametrize(
    "n_wanted, expected", [(1, [0]), (2, [0, 22]), (3, [0, 11, 22]), (99, range(N_ROWS))]
)
def test_a_sample_is_evenly_spaced_and_encoded(data, n_wanted, expected):
    """It has the first and the last row, and no more rows than there are; nothing is drawn."""

    def augment(batch):
        raise AssertionError("A sample is not augmented.")

    batches = Batches(data, 5, as_is, np.random.default_rng(0), augment)
    assert row_numbers(batches.sample(n_wanted)) == list(expected)
    assert row_numbers(Batches(data, 5, None).sample(n_wanted)) == list(expected)
    doubled = Batches(data, 5, lambda X: 2.0 * to_array(X)).sample(n_wanted)
    assert_array_equal(doubled.X, 2 * to_array(data.X)[list(expected)])


# Weights of zero.


def test_rows_of_zero_weight_leave(data):
    weight = data.sample_weight.copy()
    weight[[0, 5, 22]] = 0
    kept = data._replace(sample_weight=weight).of_positive_weight("sample_weight")
    assert kept.X is data.X
    assert kept.rows.tolist() == [i for i in range(N_ROWS) if i not in (0, 5, 22)]
    assert row_numbers(kept.batch()) == kept.rows.tolist()
    # Without such rows nothing is copied, and nothing is chosen.
    assert data.of_positive_weight("sample_weight") is data
    none = data._replace(sample_weight=np.zeros(N_ROWS))
    with pytest.raises(
        ValueError, match="sample_weight_val must contain at least one non-zero"
    ):
        none.of_positive_weight("sample_weight_val")


def test_weights_in_own_units(data):
    """The smallest weight becomes one where the others are its multiples; zeros leave."""
    weight = np.where(np.arange(N_ROWS) == 7, 0.0, 0.3)
    weight[9] = 0.9
    found = data._replace(sample_weight=weight).in_own_units("sample_weight")
    assert found.rows.tolist() == [i for i in range(N_ROWS) if i != 7]
    assert found.sample_weight.tolist() == [3.0 if i == 9 else 1.0 for i in found.rows]
    assert found.weight_unit == 0.3
    bare = data._replace(sample_weight=None)
    assert bare.in_own_units("sample_weight") is bare


# Walks through a table.


@pytest.mark.parametrize(
    "n_columns, n_chosen, rows_at_a_time, columns_at_a_time",
    [(3, 5, 4, 2), (100, 5, 1, 2), (3, 23, 4, 1), (4, 12, 3, 1)],
)
def test_walks_look_at_so_many_elements(
    n_columns, n_chosen, rows_at_a_time, columns_at_a_time, monkeypatch
):
    """At most twelve here, but at least one row or one column."""
    monkeypatch.setattr("sknet.data.batches.BLOCK_ELEMENTS", 12)
    X = np.arange(30.0 * n_columns).reshape(30, n_columns)
    rows = np.random.default_rng(0).permutation(30)[:n_chosen]
    data = Dataset(X, rows=rows)
    starts, blocks = zip(*data.row_blocks(), strict=True)
    assert list(starts) == list(range(0, n_chosen, rows_at_a_time))
    assert_array_equal(np.vstack(blocks), X[rows])
    columns, blocks = zip(*data.column_blocks(), strict=True)
    assert [one.start for one in columns] == list(range(0, n_columns, columns_at_a_time))
    assert_array_equal(np.hstack(blocks), X[rows])


def test_blocks_are_stacked():
    """Floating-point numbers get the wanted dtype, and others keep theirs."""
    X, labels = np.arange(14.0).reshape(7, 2), np.arange(7)
    blocks = [(X[:4], labels[:4]), (X[4:5], labels[4:5]), (X[5:], labels[5:])]
    stacked, numbers = stack_rows(iter(blocks), 7, np.float32)
    assert stacked.dtype == np.float32 and numbers.dtype == labels.dtype
    assert_array_equal(stacked, X)
    assert_array_equal(numbers, labels)


def test_the_batch_size_is_that_of_the_largest_batch():
    """Only then are the shares of a batch, one for each thread, equal."""
    for n_rows, batch_size in [(101, 100), (23, 10), (5, 10), (64, 32)]:
        batches = Batches(Dataset(np.zeros((n_rows, 1))), batch_size, None)
        sizes = [batch.X.shape[0] for batch in batches]
        assert batches.batch_size == max(sizes) <= batch_size
        assert len(batches) == len(sizes)
