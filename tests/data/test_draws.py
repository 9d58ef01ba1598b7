"""Splits of rows, and random changes of batches."""

import warnings
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import kstest
from sklearn.model_selection import train_test_split

from sknet.data import draws
from sknet.data.batches import Batch
from sknet.data.draws import Augmentation, split_rows


def assert_partition(train, validation, n_rows):
    assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(n_rows))


@pytest.mark.parametrize(
    "n_rows, fraction, n_validation",
    [(100, 0.1, 10), (101, 0.1, 11), (10, 0.1, 2), (15, 0.1, 2), (3, 0.4, 2), (8, 0.75, 6)],
)
def test_sizes(n_rows, fraction, n_validation):
    train, validation = split_rows(n_rows, fraction, None, 0)
    assert len(validation) == n_validation
    assert_partition(train, validation, n_rows)


@pytest.mark.parametrize("labels", [None, np.repeat(["a", "b", "c"], [60, 30, 10])])
@pytest.mark.parametrize("seed", range(2))
def test_the_split_is_that_of_train_test_split(labels, seed):
    expected = train_test_split(
        np.arange(100), test_size=15, stratify=labels, random_state=seed
    )
    for part, rows in zip(split_rows(100, 0.15, labels, seed), expected, strict=True):
        assert_array_equal(part, rows)


def test_many_rows_are_not_stratified(monkeypatch):
    labels = np.repeat(["a", "b"], [70, 30])
    monkeypatch.setattr(draws, "STRATIFIED_ROWS", 99)
    for part, rows in zip(
        split_rows(100, 0.15, labels, 0), split_rows(100, 0.15, None, 0), strict=True
    ):
        assert_array_equal(part, rows)


@pytest.mark.parametrize("seed", range(2))
def test_shares_of_the_classes_are_kept(seed):
    labels = np.repeat(["a", "b", "c"], [600, 300, 100])
    train, validation = split_rows(1000, 0.2, labels, seed)
    assert_partition(train, validation, 1000)
    for part, size in ((train, 800), (validation, 200)):
        counts = np.unique(labels[part], return_counts=True)[1]
        assert_array_equal(counts, np.array([0.6, 0.3, 0.1]) * size)


def test_rows_are_drawn_at_random():
    first, again, other = (split_rows(50, 0.2, None, seed)[1] for seed in (0, 0, 1))
    assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(first) != set(range(40, 50))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0] * 10 + [1] * 9 + [2]),  # a class of one row
        np.arange(20) // 2,  # more classes than validation rows
        np.array(["x"] * 19 + ["y"]),
    ],
    ids=["single-row", "many-classes", "strings"],
)
def test_without_strata_where_there_cannot_be_any(labels):
    with pytest.warns(UserWarning, match="not stratified.*more rows of each class, or change"):
        train, validation = split_rows(20, 0.2, labels, 0)
    assert len(validation) == 4
    assert_partition(train, validation, 20)


def test_more_classes_than_training_rows():
    # Stratifying needs a row of each class in either part.
    with pytest.warns(UserWarning, match="not stratified"):
        train, validation = split_rows(10, 0.7, np.arange(10) // 2, 0)
    assert (len(train), len(validation)) == (3, 7)


@pytest.mark.parametrize("labels", [None, np.zeros(20), np.array([0, 1] * 10)])
def test_no_warning_where_strata_work(labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, validation = split_rows(20, 0.25, labels, 0)
    assert_partition(train, validation, 20)


def test_as_many_classes_as_validation_rows():
    labels = np.tile([0, 1, 2, 3], 5)
    _, validation = split_rows(20, 0.2, labels, 0)
    assert sorted(labels[validation]) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "n_rows, fraction", [(5, 0.1), (9, 0.1), (1, 0.5), (2, 0.5), (4, 0.99)]
)
def test_too_few_rows(n_rows, fraction):
    with pytest.raises(ValueError, match="The validation set is too small") as error:
        split_rows(n_rows, fraction, None, 0)
    message = str(error.value)
    assert f"the fraction {fraction} of n_samples={n_rows} of positive weight is" in message
    # Not all estimators take X_val.
    assert message.endswith("give more rows, or set early_stopping=False.")


N_ROWS = 4000


def make_batch(weighted=False, dtype=np.float64):
    """Three numbers, a one-hot pair, and two columns of level numbers."""
    rng = np.random.default_rng(0)
    one_hot = np.eye(2)[rng.integers(2, size=N_ROWS)]
    levels = rng.integers(100, 120, (N_ROWS, 2))
    X = np.column_stack([rng.normal(size=(N_ROWS, 3)), one_hot, levels]).astype(dtype)
    y = rng.normal(size=(N_ROWS, 2)).astype(dtype)
    weight = rng.uniform(0.2, 3, N_ROWS).astype(dtype) if weighted else None
    return Batch(X, y, weight)


def augmentation(noise=0.0, mixup=0.0, seed=1):
    return Augmentation(noise, mixup, 3, 5, np.random.default_rng(seed))


@pytest.mark.parametrize("scale", [0.1, 2.0])
def test_noise_is_normal_and_on_numbers_alone(scale):
    batch = make_batch(weighted=True)
    noisy = augmentation(noise=scale)(batch)
    noise = (noisy.X - batch.X)[:, :3]
    assert kstest(noise.ravel() / scale, "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.06
    assert_array_equal(noisy.X[:, 3:], batch.X[:, 3:])
    assert_array_equal(noisy.y, batch.y)
    assert_array_equal(noisy.sample_weight, batch.sample_weight)


def test_noise_differs_from_batch_to_batch():
    augment, batch = augmentation(noise=1.0), make_batch()
    assert not np.isclose(augment(batch).X[:, :3], augment(batch).X[:, :3]).all(axis=0).any()


def test_noise_on_sparse_rows_is_on_what_is_stored():
    dense = np.random.default_rng(0).normal(size=(200, 30))
    X = sparse.csr_matrix(dense * (np.random.default_rng(1).random(dense.shape) < 0.3))
    noisy = augmentation(noise=0.5)(Batch(X, np.zeros((200, 1)))).X
    assert_array_equal(noisy.indices, X.indices)
    assert_array_equal(noisy.indptr, X.indptr)
    assert kstest((noisy.data - X.data) / 0.5, "norm").pvalue > 1e-4


def shares(batch, mixed):
    """Return each row's lambda and partner, found from y alone."""
    # y has two columns: of all partners, only one lies on the line through the mixture.
    own, y = batch.y[:, np.newaxis], mixed.y[:, np.newaxis]
    across = batch.y[np.newaxis] - own
    offset = y - own
    area = across[..., 0] * offset[..., 1] - across[..., 1] * offset[..., 0]
    length = np.linalg.norm(across, axis=2)
    distance = np.abs(area) / np.where(length > 0, length, np.inf)
    share = 1 - np.einsum("ijk,ijk->ij", across, np.broadcast_to(offset, across.shape)) / (
        np.where(length > 0, length, np.inf) ** 2
    )
    distance[(length == 0) | (share < -1e-9) | (share > 1 + 1e-9)] = np.inf
    partner = distance.argmin(axis=1)
    return share[np.arange(len(partner)), partner], partner


def small(batch, n=300):
    return Batch(*(None if part is None else part[:n] for part in batch))


@pytest.mark.parametrize("weighted", [False, True])
def test_mixup_is_linear_in_rows_targets_and_weights(weighted):
    batch = small(make_batch(weighted))
    mixed = augmentation(mixup=1.0)(batch)
    share, partner = shares(batch, mixed)
    # A row that is its own partner says nothing of its share, and need not.
    apart = ~np.isclose(mixed.y, batch.y).all(axis=1)
    assert apart.mean() > 0.95
    share, partner = share[apart], partner[apart]
    assert len(set(partner)) == apart.sum()  # a permutation
    column = share[:, np.newaxis]
    expected = column * batch.X[apart, :5] + (1 - column) * batch.X[partner, :5]
    assert_allclose(mixed.X[apart, :5], expected, rtol=1e-6, atol=1e-6)
    if weighted:
        weight = batch.sample_weight
        expected = share * weight[apart] + (1 - share) * weight[partner]
        assert_allclose(mixed.sample_weight[apart], expected, rtol=1e-6)
    else:
        assert mixed.sample_weight is None


def make_pairs(n_rows=N_ROWS):
    """Rows whose parts show where a mixture came from: y is 0 or 1, and so are the levels."""
    side = (np.arange(n_rows) % 2).astype(float)
    X = np.column_stack([np.tile(side, (5, 1)).T, 200 + side])
    return Batch(X, side[:, np.newaxis])


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha):
    batch = make_pairs(20_000)
    mixed = Augmentation(0.0, alpha, 5, 5, np.random.default_rng(0))(batch)
    # Of rows of the first kind with a partner of the other, y is 1 - lambda.
    first = (batch.y[:, 0] == 0) & (mixed.y[:, 0] > 0)
    assert 0.4 < first.sum() / (batch.y[:, 0] == 0).sum() < 0.6
    assert kstest(1 - mixed.y[first, 0], "beta", args=(alpha, alpha)).pvalue > 1e-4


def test_level_numbers_come_from_one_of_the_rows_as_often_as_the_share_says():
    batch = make_pairs(40_000)
    mixed = Augmentation(0.0, 1.0, 5, 5, np.random.default_rng(0))(batch)
    level, share = mixed.X[:, 5] - 200, mixed.y[:, 0]
    assert set(level) == {0.0, 1.0}
    # y is the expected value of the level in each row: the means agree bin by bin.
    mixture = (share > 0) & (share < 1)
    bins = np.digitize(share, np.linspace(0, 1, 6)[1:-1])
    for one in range(5):
        of_bin = mixture & (bins == one)
        assert of_bin.sum() > 1000
        assert level[of_bin].mean() == pytest.approx(share[of_bin].mean(), abs=0.05)
    # A mixture of equal rows has no choice.
    assert_array_equal(level[~mixture], share[~mixture])


def test_level_numbers_are_drawn_column_by_column():
    batch = make_pairs()
    X = np.column_stack([batch.X, batch.X[:, 5:]])
    mixed = Augmentation(0.0, 4.0, 5, 5, np.random.default_rng(0))(batch._replace(X=X))
    assert 0.1 < np.mean(mixed.X[:, 5] != mixed.X[:, 6]) < 0.4


def test_sparse_mixtures_equal_dense_ones():
    batch = small(make_batch(weighted=True))
    X = np.where(np.abs(batch.X[:, :5]) < 0.6, 0, batch.X[:, :5])
    dense = augmentation(mixup=0.5)(batch._replace(X=X))
    mixed = augmentation(mixup=0.5)(batch._replace(X=sparse.csr_matrix(X)))
    assert sparse.issparse(mixed.X) and mixed.X.format == "csr"
    assert_allclose(mixed.X.toarray(), dense.X, rtol=1e-12)
    assert_array_equal(mixed.y, dense.y)
    assert_array_equal(mixed.sample_weight, dense.sample_weight)


def test_noise_comes_before_the_mixture():
    batch = make_batch()
    both = augmentation(noise=0.3, mixup=0.5)(batch)
    rng = np.random.default_rng(1)
    noisy = Augmentation(0.3, 0.0, 3, 5, rng)(batch)
    mixed = Augmentation(0.0, 0.5, 3, 5, rng)(noisy)
    assert_array_equal(both.X, mixed.X)
    assert_array_equal(both.y, mixed.y)


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("options", [{"noise": 1.0}, {"mixup": 0.5}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_left_alone_and_dtypes_stay(options, as_sparse, dtype):
    batch = make_batch(weighted=True, dtype=dtype)
    if as_sparse:
        batch = batch._replace(X=sparse.csr_matrix(batch.X))
    before = Batch(batch.X.copy(), batch.y.copy(), batch.sample_weight.copy())
    result = augmentation(**options)(batch)
    for given, kept in zip(batch, before, strict=True):
        if sparse.issparse(given):
            given, kept = given.toarray(), kept.toarray()
        assert_array_equal(given, kept)
    assert result.X.dtype == result.y.dtype == result.sample_weight.dtype == dtype
    assert result.X.shape == batch.X.shape


def test_equal_generators_give_equal_batches():
    one, other = (augmentation(0.5, 0.5)(make_batch(weighted=True)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert_array_equal(a, b)


def test_another_generator_draws_the_same_kind_of_change():
    batch, augment = make_batch(weighted=True), augmentation(noise=0.5, mixup=0.4, seed=1)
    other = replace(augment, rng=np.random.default_rng(2))
    expected = augmentation(noise=0.5, mixup=0.4, seed=2)
    assert_array_equal(other(batch).X, expected(batch).X)
    assert (augment(batch).X != expected(batch).X).any()
    with pytest.raises(FrozenInstanceError):
        augment.mixup = 0.0
