"""``fit_chunks`` does what ``fit`` does, with rows that come in chunks."""

import tracemalloc
from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NETWORKS, SIMPLE, NNClassifier, NNRegressor
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDRegressor

import sknet
from sknet import _chunk_fitting
from sknet.data import draws
from sknet.streaming import fit_chunks, read_chunks

STEADY = {
    "batch_size": 32, "learning_rate": "cosine", "learning_rate_init": 0.01,
    "early_stopping": False, "random_state": 0, "max_iter": 4,
}  # fmt: skip


def cut(size, *parts):
    """Return chunks of ``size`` rows."""
    n = parts[0].shape[0]
    return [tuple(part[i : i + size] for part in parts) for i in range(0, n, size)]


def network_for(problem, **options):
    return problem.cls((8,), **{**STEADY, **SIMPLE, **options})


# The same as fit.


@pytest.mark.parametrize("size", [7, 50, 1000])
@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_in_file_order_it_is_the_fit_of_an_array(problem, options, size):
    network = problem.cls((8,), shuffle=False, **STEADY, **options)
    expected = network.fit(problem.X, problem.y)._model.params.copy()
    history, best = network.history_, network.best_iter_
    assert fit_chunks(network, cut(size, problem.X, problem.y)) is network
    assert_allclose(network._model.params, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(network.history_["loss"], history["loss"])
    assert network.history_["learning_rate"] == history["learning_rate"]
    assert (network.n_iter_, network.best_iter_, network.t_) == (4, best, 480)


def test_weights_are_those_of_fit(problem):
    # Every third row has a weight of zero, and so have all rows of the third chunk.
    weight = np.where(np.arange(120) % 3, 1 + np.arange(120) / 100, 0.0)
    weight[60:90] = 0
    network = network_for(problem, shuffle=False)
    expected = network.fit(problem.X, problem.y, weight)._model.params.copy()
    chunks = cut(30, problem.X, problem.y, weight)
    empty = tuple(part[:0] for part in chunks[0])
    fit_chunks(network, [empty, *chunks, empty])
    assert_allclose(network._model.params, expected, rtol=1e-6, atol=1e-9)
    assert network.t_ == 4 * 60


@pytest.mark.parametrize("make", [list, pd.Series, pl.Series])
def test_weights_of_any_kind(problem, make):
    X, y = pd.DataFrame(problem.X), problem.y
    weight = 1 + np.arange(120) / 100
    network = network_for(problem)
    expected = fit_chunks(network, cut(50, X, y, weight))._model.params.copy()
    chunks = [(rows, labels, make(w)) for rows, labels, w in cut(50, X, y, weight)]
    assert_array_equal(fit_chunks(network, chunks)._model.params, expected)


@pytest.mark.parametrize("without", [(0,), (1, 2), (3,)], ids=str)
@pytest.mark.parametrize("window", [1, 2, 8, None])
def test_chunks_without_weights_have_weights_of_one(problem, without, window):
    """It does not matter which chunk of a window has none, or whether all have their ones."""
    weight = 3.0 + np.arange(120) / 100
    for i in without:
        weight[30 * i : 30 * (i + 1)] = 1
    network = network_for(problem, shuffle=window is not None)
    chunks, options = cut(30, problem.X, problem.y, weight), {"shuffle_window": window or 8}
    expected = fit_chunks(network, chunks, **options)._model.params.copy()
    chunks = [(*one[:2], None) if i in without else one for i, one in enumerate(chunks)]
    found = fit_chunks(network, chunks, **options)._model.params
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    bare = fit_chunks(network, cut(30, problem.X, problem.y), **options)._model.params
    assert not np.allclose(found, bare, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_negligible_weights_keep_their_rows_in_step(problem, dtype, early_stopping):
    """Weights that vanish beside others are of rows that no other row is mistaken for."""
    weight = np.where(np.arange(120) % 3, 1.0, 1e-300)
    weight[::7] = 1e30
    weight[90:] = 1e-300  # All rows of the last chunk.
    options = {"early_stopping": early_stopping, "dtype": dtype, "batch_size": 1000}
    network = network_for(problem, shuffle=False, **options)
    chunks = cut(30, problem.X, problem.y, weight)
    found = fit_chunks(network, chunks)._model.params.copy()
    expected = fit_chunks(network, [(problem.X, problem.y, weight)])._model.params
    assert_allclose(found, expected, rtol=1e-5 if dtype == "float32" else 1e-9, atol=1e-9)
    if not early_stopping:
        rows = weight == 1e30
        few = network.fit(problem.X[rows], problem.y[rows])._model.encoder.numbers_.center
        of_chunks = fit_chunks(network, chunks)._model.encoder.numbers_.center
        assert_array_equal(few, of_chunks)


def test_weights_of_classes(binary):
    X, y = binary
    network = NNClassifier((8,), class_weight={1: 3.0}, shuffle=False, **STEADY, **SIMPLE)
    expected = network.fit(X, y)._model.params.copy()
    assert_allclose(
        fit_chunks(network, cut(50, X, y))._model.params, expected, rtol=1e-6, atol=1e-9
    )


def test_sparse_and_polars_and_lists(problem):
    X = np.where(np.abs(problem.X) < 0.5, 0, problem.X)
    network = network_for(problem, shuffle=False)
    for make in (sparse.csr_matrix, pl.DataFrame, pd.DataFrame):
        expected = network.fit(make(X), problem.y)._model.params.copy()
        chunks = [(make(rows), y) for rows, y in cut(50, X, problem.y)]
        fit_chunks(network, chunks)
        assert_allclose(network._model.params, expected, rtol=1e-6, atol=1e-9)
    chunks = [(rows.tolist(), y.tolist()) for rows, y in cut(50, X, problem.y)]
    assert_allclose(fit_chunks(network, chunks)._model.params, expected, rtol=1e-6, atol=1e-9)


def test_a_column_of_polars_may_have_another_type_in_each_chunk():
    """The result is that of pandas, which joins any values."""
    rng, count = np.random.default_rng(0), np.arange(60)
    first, second = (
        {"truth": count % 2 == 0, "digits": count, "x": rng.normal(size=60)} for _ in range(2)
    )
    second.update(truth=count, digits=[str(one) for one in count])
    network, y = NNRegressor((4,), **STEADY, **SIMPLE), rng.normal(size=60)
    found = [
        fit_chunks(network, [(make(first), y), (make(second), y)])._model.params.copy()
        for make in (pd.DataFrame, pl.DataFrame)
    ]
    assert_array_equal(*found)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_y_of_several_labels_may_be_dense_or_sparse(multilabel, order):
    X, y = multilabel
    network = NNClassifier((8,), shuffle=False, **STEADY, **SIMPLE)
    halves = cut(-(-len(X) // 2), X, y)
    expected = fit_chunks(network, halves)._model.params.copy()
    kinds = [np.asarray, sparse.csr_array][order]
    chunks = [(rows, make(one)) for make, (rows, one) in zip(kinds, halves, strict=True)]
    assert_allclose(fit_chunks(network, chunks)._model.params, expected)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "multioutput"])
def test_every_task(request, kind):
    X, y = request.getfixturevalue(kind)
    cls = NNRegressor if kind == "multioutput" else NNClassifier
    network = cls((8,), shuffle=False, **STEADY, **SIMPLE)
    expected = network.fit(X, y)._model.params.copy()
    assert_allclose(
        fit_chunks(network, cut(40, X, y))._model.params, expected, rtol=1e-6, atol=1e-9
    )


def test_classes_that_come_late(multiclass):
    X, y = multiclass
    order = np.argsort(y)
    network = NNClassifier((8,), shuffle=False, **STEADY, **SIMPLE)
    expected = network.fit(X[order], y[order]).predict_proba(X)
    fit_chunks(network, cut(30, X[order], y[order]))
    assert network.classes_.tolist() == ["ash", "beech", "cedar"]
    assert_allclose(network.predict_proba(X), expected, rtol=1e-6, atol=1e-9)


# Shuffling.


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_epoch_is_shuffled_anew(shuffle, monkeypatch):
    numbers = np.arange(100.0)
    epochs = []

    def fit_batches(model, batches, validation, run, observer, budget):
        epochs.extend([np.concatenate([batch.y for batch in batches]) for _ in range(3)])
        raise KeyboardInterrupt

    monkeypatch.setattr(_chunk_fitting, "fit_batches", fit_batches)
    network = NNRegressor((4,), shuffle=shuffle, standardize=False, **STEADY, **SIMPLE)
    with pytest.raises(KeyboardInterrupt):
        fit_chunks(network, cut(10, numbers[:, np.newaxis], numbers), shuffle_window=5)
    for epoch in epochs:
        assert_array_equal(np.sort(epoch[:50, 0]), numbers[:50])
        assert_array_equal(np.sort(epoch[50:, 0]), numbers[50:])
        assert (epoch[:, 0] != numbers).any() == shuffle
    assert (epochs[0] != epochs[1]).any() == shuffle


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_y_may_be_flat_or_a_column(problem):
    parts = problem.X[:60], problem.y[:60], problem.X[60:], problem.y[60:]
    first, y_first, second, y_second = parts
    flat, mixed = (
        fit_chunks(network_for(problem), [(first, y_first), (second, y)])
        for y in (y_second, y_second[:, np.newaxis])
    )
    assert_array_equal(flat.predict(problem.X), mixed.predict(problem.X))


def test_it_is_reproducible(problem):
    network = network_for(problem, dropout=0.1)
    chunks = cut(30, problem.X, problem.y)
    params = [fit_chunks(network, chunks)._model.params.copy() for _ in range(2)]
    assert_array_equal(*params)
    network.set_params(random_state=1)
    assert (fit_chunks(network, chunks)._model.params != params[0]).any()


# Early stopping.


@pytest.mark.parametrize("scoring", ["loss", "r2"])
def test_rows_are_held_out_and_the_best_epoch_is_restored(regression, scoring, monkeypatch):
    X, y = regression
    seen = {}

    def spy(model, batches, held_out, run, observer, **options):
        seen["trained"] = np.concatenate([batch.y[:, 0] for batch in batches])
        seen["held_out"] = model.target.transform(held_out.data.y, float)[:, 0]
        return original(model, batches, held_out, run, observer, **options)

    original = _chunk_fitting.fit_batches
    monkeypatch.setattr(_chunk_fitting, "fit_batches", spy)
    options = {"early_stopping": True, "max_iter": 300, "learning_rate": "constant"}
    network = NNRegressor((16,), scoring=scoring, **{**STEADY, **options}, **SIMPLE)
    fit_chunks(network, cut(25, X, y))
    assert network.n_iter_ < 300
    together = np.concatenate([seen["trained"], seen["held_out"]])
    assert seen["held_out"].size == 12
    everything = network._model.target.transform(y, float)[:, 0]
    assert_allclose(np.sort(together), np.sort(everything), rtol=1e-6)
    held_out = np.isin(np.round(everything, 5), np.round(seen["held_out"], 5))
    assert held_out.sum() == 12
    if scoring == "r2":
        score = network.score(X[held_out], y[held_out])
        assert_allclose(score, max(network.validation_scores_), rtol=1e-6)
    assert network.best_validation_score_ == max(network.validation_scores_)
    assert network.history_["validation_score"][network.best_iter_ - 1] == (
        network.best_validation_score_
    )


def test_auto_values_follow_all_rows_and_not_the_sample(regression, monkeypatch):
    network = sknet.NNRegressor((4,), max_iter=1, random_state=0)
    expected = network.fit(*regression).auto_params_
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 20)
    assert fit_chunks(network, cut(25, *regression)).auto_params_ == expected


def test_few_rows_are_held_out(regression):
    X, y = regression
    network = NNRegressor((4,), **{**STEADY, "early_stopping": True}, **SIMPLE)
    assert fit_chunks(network, cut(25, X, y), validation_rows=5).t_ == 4 * 115
    assert fit_chunks(network, cut(25, X, y)).t_ == 4 * 108
    network.set_params(early_stopping="auto", validation_fraction=0.5)
    # "auto" holds rows out if there are at least 100.
    assert fit_chunks(network, cut(25, X, y)).t_ == 4 * 60
    assert fit_chunks(network, cut(25, X[:99], y[:99])).t_ == 4 * 99
    network.set_params(early_stopping=True, validation_fraction=0.001)
    with pytest.raises(ValueError, match="validation set is too small"):
        fit_chunks(network, cut(25, X, y))


def test_given_validation_rows_are_those_of_fit(problem):
    """All rows of the chunks are trained on, and the best epoch is restored."""
    X, y = problem.X, problem.y
    held_out = {"X_val": X[:30], "y_val": y[:30], "sample_weight_val": np.arange(30.0)}
    options = {"early_stopping": "auto", "max_iter": 8, "learning_rate_init": 0.1}
    network = network_for(problem, shuffle=False, **options)
    expected = network.fit(X, y, **held_out)._model.params.copy()
    history, seen = network.history_, network.t_
    fit_chunks(network, cut(50, X, y), **held_out)
    assert_allclose(network._model.params, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(network.validation_scores_, history["validation_score"])
    assert network.t_ == seen == 8 * 120


def test_validation_rows_are_refused_before_a_chunk_is_read(problem):
    class Unread:
        def __iter__(self):
            raise AssertionError("a chunk was read")
            yield

    X, y = problem.X, problem.y
    network = network_for(problem)
    for given, match in [
        ({"X_val": X, "y_val": y}, "early_stopping=False would not use them"),
        ({"X_val": X}, "X_val is given without y_val"),
        ({"sample_weight_val": y}, "sample_weight_val is given without"),
    ]:
        with pytest.raises(ValueError, match=match):
            fit_chunks(network, Unread(), **given)


# Files.


def make_table(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "power": rng.lognormal(4, 1, n_rows),
            "age": np.where(rng.random(n_rows) < 0.1, np.nan, rng.uniform(0, 20, n_rows)),
            "maker": rng.choice(["Fiat", "Saab", "Volvo"], n_rows),
            "model": [f"m{i}" for i in rng.integers(0, 40, n_rows)],
        }
    )
    frame["price"] = (
        np.log(frame["power"]) * np.where(frame["maker"] == "Saab", 3, 1)
        - 0.2 * frame["age"].fillna(10)
        + rng.normal(0, 0.3, n_rows)
    )
    frame["dear"] = np.where(frame["price"] > 3, "yes", "no")
    return frame


@pytest.mark.parametrize("target", ["price", "dear"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_is_learned_as_well_as_a_frame(tmp_path, suffix, target):
    train, test = make_table(2000), make_table(3000, seed=1)
    path = tmp_path / f"cars.{suffix}"
    # The rows are sorted, as files often are.
    train = train.sort_values("maker", ignore_index=True)
    train.to_csv(path, index=False) if suffix == "csv" else train.to_parquet(path)
    features = ["power", "age", "maker", "model"]
    cls = NNRegressor if target == "price" else NNClassifier
    network = cls((32,), **{**STEADY, "max_iter": 12, "early_stopping": True}, **SIMPLE)
    network.fit(train[features], train[target])
    expected = network.score(test[features], test[target])
    chunks = read_chunks(path, target=target, columns=features, chunk_size=250)
    fit_chunks(network, chunks)
    assert network.n_iter_ == 12
    assert list(network.feature_names_in_) == features
    score = network.score(test[features], test[target])
    assert expected > 0.85
    assert score > 0.98 * expected


def test_going_on_with_partial_fit(tmp_path):
    frame = make_table(1000)
    frame.to_csv(tmp_path / "cars.csv", index=False)
    chunks = read_chunks(tmp_path / "cars.csv", target="price", chunk_size=300)
    network = fit_chunks(NNRegressor((8,), **STEADY, **SIMPLE), chunks)
    before = network.n_iter_
    for X, y in chunks:
        network.partial_fit(X, y)
    assert network.n_iter_ == before + 4


class Made:
    """Chunks that are computed when they are read."""

    def __init__(self, n_chunks, n_rows=2000, n_columns=50):
        self.n_chunks, self.shape = n_chunks, (n_rows, n_columns)

    def __iter__(self):
        for seed in range(self.n_chunks):
            X = np.random.default_rng(seed).standard_normal(self.shape, np.float32)
            yield X, X[:, 0]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_memory_is_bounded(monkeypatch, early_stopping):
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 2000)
    network = NNRegressor((4,), **{**STEADY, "max_iter": 1, "batch_size": 200}, **SIMPLE)
    network.set_params(early_stopping=early_stopping, dtype="auto")
    peaks = []
    fit_chunks(network, Made(2), validation_rows=1000)  # The first fit imports modules.
    for n_chunks in (20, 60):
        tracemalloc.start()
        fit_chunks(network, Made(n_chunks), shuffle_window=3, validation_rows=1000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The memory is that of a few windows of three chunks, for any number of rows.
    assert peaks[0] < 12 * 4 * 2000 * 50
    assert peaks[1] < 1.1 * peaks[0]


# Bad input.


# What is learned from all rows.


@pytest.mark.parametrize("weight", [None, "counts", "fractions"])
@pytest.mark.parametrize("size", [40, 77, 1000])
def test_the_encoding_is_that_of_the_whole_table(monkeypatch, size, weight):
    """Also if the sample has a few rows: only medians and quantiles are estimated from it."""
    rng = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame(
        {
            "flat": np.ones(n),
            "holes": np.where(np.arange(n) == 333, np.nan, 1.0),
            "when": np.datetime64("2020-01-01", "s") + np.arange(n).astype("m8[D]"),
            # Each chunk has levels of its own, of which some occur once.
            "city": [f"c{(i // 20) ** 2 % 150}" if i % 9 else f"d{i}" for i in range(n)],
        }
    ).astype({"city": object})
    y = rng.normal(size=n) ** 3
    options = {"counts": rng.integers(1, 3, n), "fractions": rng.uniform(0.5, 1, n)}
    parts = [table, y] if weight is None else [table, y, options[weight].astype(float)]
    network = NNRegressor((4,), **{**STEADY, "max_iter": 1}, **SIMPLE)
    expected = network.fit(*parts)._model
    names = expected.reader.levels_, network.encoded_feature_names_
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 30)
    found = fit_chunks(network, cut(size, *parts))._model
    assert_array_equal(found.reader.levels_[0], names[0][0])
    assert_array_equal(network.encoded_feature_names_, names[1])
    assert_allclose(found.target.mean_, expected.target.mean_, rtol=1e-12)
    assert_allclose(found.target.scale_, expected.target.scale_, rtol=1e-12)


@pytest.mark.parametrize("unit", [1, 2, 0.3])
@pytest.mark.parametrize(
    "make",
    [
        np.ones,
        lambda n: np.where(np.arange(n) % 2, 1.0, 2.0),
        lambda n: np.repeat([1.0, 2.0, 0.5, 3.0], n // 4),
        lambda n: np.linspace(1, 2, n),
    ],
    ids=["equal", "counts", "counts by chunk", "fractions"],
)
def test_the_unit_of_the_weights_does_not_matter(unit, make):
    """A level that occurs in a single row of the smallest weight is rare, as in ``fit``."""
    rng = np.random.default_rng(0)
    city = rng.choice(list("abcd"), 200).astype(object)
    city[::20] = [f"rare {i}" for i in range(10)]
    table, y = pd.DataFrame({"city": city, "x": rng.normal(size=200)}), rng.normal(size=200)
    weight = make(200) * unit
    network = NNRegressor((4,), **{**STEADY, "max_iter": 1}, **SIMPLE)
    expected = network.fit(table, y, weight).encoded_feature_names_
    found = fit_chunks(network, cut(50, table, y, weight)).encoded_feature_names_
    assert_array_equal(found, expected)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "quantile"])
def test_outliers_of_y_may_all_be_in_one_chunk(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 2))
    y = X[:, 0] + 0.1 * rng.normal(size=2000)
    y[-20:] += 1e4
    expected = NNRegressor((4,), loss=loss, **STEADY, **SIMPLE).fit(X, y)._model.target
    found = fit_chunks(NNRegressor((4,), loss=loss, **STEADY, **SIMPLE), cut(200, X, y))
    assert_allclose(found._model.target.scale_, expected.scale_)
    assert_allclose(found._model.target.mean_, expected.mean_)


def test_a_part_without_values_of_a_category(regression):
    X, y = regression
    city = np.where(np.arange(len(y)) % 2, "a", "b").astype(object)
    city[:40] = None
    table = pd.DataFrame({"city": city, "x": X[:, 0]})
    network = NNRegressor((4,), **STEADY, **SIMPLE)
    with pytest.warns(UserWarning, match="'city' of X in the first chunk has no value"):
        (levels,) = fit_chunks(network, cut(40, table, y))._model.reader.levels_
    assert levels.tolist() == ["a", "b"]
    # The remedies: other rows first, and a categorical dtype.
    fit_chunks(network, cut(40, table[::-1], y[::-1]))
    fit_chunks(network, cut(40, table.astype({"city": "category"}), y))


@pytest.mark.parametrize("weight", [None, np.linspace(0.1, 2, 120)], ids=["ones", "weights"])
def test_balanced_class_weights_are_those_of_all_rows(binary, weight, tmp_path):
    X, y = binary
    y = np.where(np.arange(120) < 90, 0, y)
    parts = [X, y] if weight is None else [X, y, weight]
    network = NNClassifier((4,), class_weight="balanced", shuffle=False, **STEADY, **SIMPLE)
    expected = network.fit(*parts)._model
    found = fit_chunks(network, cut(30, *parts))._model
    for one, other in zip(
        found.settings.class_weight.items(), expected.settings.class_weight.items(), strict=True
    ):
        assert_allclose(one, other, rtol=1e-12)
    assert_allclose(found.params, expected.params, rtol=1e-6, atol=1e-9)


@pytest.fixture
def chunks(regression):
    return cut(30, *regression)


NETWORK = NNRegressor((4,), **STEADY, **SIMPLE)


def refuses(chunks, match, error=ValueError, network=NETWORK, **options):
    before = dict(vars(network))
    with pytest.raises(error, match=match):
        fit_chunks(network, chunks, **options)
    assert vars(network) == before


def test_what_can_be_gone_through_only_once(chunks, forbid_training):
    forbid_training()
    refuses(
        (chunk for chunk in chunks),
        "must allow repeated iteration.*got generator.*__iter__ method of a class",
        TypeError,
    )
    refuses(7, "got int", TypeError)
    refuses([], "No chunk has rows of positive weight")
    X, y = np.zeros((5, 2)), np.zeros(5)
    refuses([(X[:0], y[:0]), (X, y, y)], "No chunk has rows of positive weight")


def test_what_cannot_be_fitted_by_chunks(chunks, binary, forbid_training):
    forbid_training()
    with pytest.raises(TypeError, match="a local sknet estimator, .*got SGDRegressor"):
        fit_chunks(SGDRegressor(), chunks)
    with pytest.raises(TypeError, match="the class NNRegressor itself instead of an instance"):
        fit_chunks(type(NNRegressor()), chunks)
    lbfgs = NNRegressor((4,), solver="lbfgs", **SIMPLE)
    refuses(chunks, "needs a stochastic solver", network=lbfgs)
    warm = NNRegressor((4,), warm_start=True, **SIMPLE)
    refuses(chunks, "warm_start=True.*with partial_fit", network=warm)
    refuses(chunks, "shuffle_window must be an integer >= 1", shuffle_window=0)
    refuses(chunks, "validation_rows must be an integer >= 1", validation_rows=None)
    refuses(chunks, "'alpha' parameter", network=NNRegressor((4,), alpha=-1))


def test_chunks_that_do_not_fit_together(regression, binary, forbid_training):
    forbid_training()
    X, y = regression
    refuses([(X, y), (X[:, :3], y)], "Chunk 1, counted from 0: X has 3 features.*expecting 5")
    refuses([(X, y), (X, y[:-1])], r"Chunk 1, counted from 0.* \(120, 5\), \(119,\)")
    refuses([(X, y), X], r"Chunk 1, counted from 0.*must be \(X, y\)", TypeError)
    refuses(
        [(X, y), (X, np.column_stack([y, y]))], r"y has 1 col.* chunk 0, but 2 col.* chunk 1"
    )
    frame = pd.DataFrame(X, columns=list("abcde"))
    refuses([(frame, y), (frame[list("abced")], y)], "Chunk 1.*feature names")
    refuses([(frame, y), (frame.assign(a="text"), y)], "Chunk 1.*text")
    text = frame.assign(a="text")
    refuses([(text, y), (frame, y)], "Chunk 1.*'a'.*numbers now")
    dates = frame.assign(a=pd.Timestamp("2026-01-01"))
    match = "Chunk 1.*Column 'a' of X held numbers or categories in earlier training rows"
    refuses([(frame, y), (dates, y)], f"{match}, but holds dates now")
    polars = pl.DataFrame(dict(frame))
    kinds = {
        "an array or sparse matrix": X,
        "a pandas DataFrame": frame,
        "a polars DataFrame": polars,
    }
    for (one, first), (other, second) in permutations(kinds.items(), 2):
        refuses([(first, y), (second, y)], f"Chunk 1.*X is {other}, but was {one} in ")
    refuses([(frame, y), (frame + 1j, y)], "Chunk 1.*Column 'a' of X holds complex numbers")
    refuses([(X, y), (X, dates["a"])], "Chunk 1.*y holds dates")
    classifier = NNClassifier((4,), **STEADY, **SIMPLE)
    X, y = binary
    refuses([(X, y), (X, y + 0.5)], "Chunk 1.*continuous", network=classifier)
    text = np.where(y == 1, "yes", "no")
    refuses(
        [(X, y), (X, text)], "of numbers in chunk 0.*of text in chunk 1", network=classifier
    )
    refuses(
        [(X, text), (X, y)], "of text in chunk 0.*of numbers in chunk 1", network=classifier
    )
    chunks = [(X[:0], text[:0]), (X, text), (X[:0], text[:0]), (X, y)]
    refuses(chunks, "of text in chunk 1.*of numbers in chunk 3", network=classifier)
    days = np.datetime64("2026-01-01") + y.astype(int)
    since = days - days.min()
    for one, other in [(days, "dates"), (since, "durations")]:
        match = f"of numbers in chunk 0.*of {other} in chunk 1"
        refuses([(X, y), (X, one)], match, network=classifier)
        match = f"of {other} in chunk 0.*of text in chunk 1"
        refuses([(X, one), (X, text)], match, network=classifier)
    refuses([(X, days), (X, since)], "of dates .*of durations ", network=classifier)


def test_values_that_make_no_sense(regression, forbid_training):
    forbid_training()
    X, y = regression
    for bad, match in [(np.inf, "infinity"), (-np.inf, "infinity")]:
        later = X.copy()
        later[77, 2] = bad
        refuses(cut(30, later, y), f"Chunk 2.*{match}")
    later = y.copy()
    later[77] = np.nan
    refuses(cut(30, X, later), "Chunk 2.*Input y contains NaN")
    refuses(cut(30, X, y, -np.ones(120)), "Chunk 0.*[Nn]egative")
    labels = np.where(y > 0, "high", "low").astype(object)
    labels[77] = None
    classifier = NNClassifier((4,), **STEADY, **SIMPLE)
    refuses(cut(30, X, labels), "Chunk 2.*y has missing values, 1 of 30", network=classifier)
    # Rows from which the scaling is not learned are checked, too.
    counts = np.abs(y)
    counts[77] = -1
    poisson = NNRegressor((4,), loss="poisson", **STEADY, **SIMPLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "QUANTILE_ROWS", 5)
        refuses(cut(30, X, counts), "needs y >= 0; y has values from -1", network=poisson,
                validation_rows=1)  # fmt: skip


def test_passes_that_differ(regression):
    X, y = regression

    class Fewer:
        passes = 0

        def __iter__(self):
            self.passes += 1
            return iter(cut(30, X, y)[: 4 - (self.passes > 2)])

    refuses(Fewer(), "120 rows of positive weight in the first pass and 90 in a later one")


class Endless:
    """Chunks whose first pass ends, while later ones never do.

    Parameters
    ----------
    chunks : list of (X, y)
    surplus : (X, y)
        The chunk that follows for ever in later passes.
    """

    def __init__(self, chunks, surplus):
        self.chunks, self.surplus = chunks, surplus
        self.n_passes = self.n_surplus = 0

    def __iter__(self):
        self.n_passes += 1
        yield from self.chunks
        while self.n_passes > 1:
            self.n_surplus += 1
            assert self.n_surplus < 100
            yield self.surplus


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"early_stopping": True}], ids=str)
@pytest.mark.parametrize("n_surplus", [1, 30])
def test_a_later_pass_without_end_is_refused_at_its_first_surplus_row(
    regression, options, n_surplus
):
    X, y = regression
    endless = Endless(cut(30, X, y), (X[:n_surplus], y[:n_surplus]))
    network = NNRegressor((4,), **{**STEADY, **SIMPLE, **options})
    match = "120 rows of positive weight in the first pass and more in a later one"
    with pytest.raises(ValueError, match=match):
        fit_chunks(network, endless)
    assert (endless.n_passes, endless.n_surplus) == (2, 1)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda X, y: (np.where(X == X[5, 1], np.inf, X), y), "infinity"),
        (lambda X, y: (X, np.where(y == y[5], np.nan, y)), "Input y contains NaN"),
        (lambda X, y: (X[:, :4], y), "4 features"),
        (lambda X, y: (X, y[1:]), r"rows, got .* \(30, 5\), \(29,\)"),
        (lambda X, y: (X, y, -np.ones(30)), "[Nn]egative"),
        (lambda X, y: (X, np.column_stack([y, y])), "outputs must be 1.*y has 2"),
    ],
)
def test_errors_of_later_passes_have_the_number_of_the_chunk(regression, spoil, match):
    class Spoiled:
        passes = 0

        def __iter__(self):
            self.passes += 1
            for i, chunk in enumerate(cut(30, *regression)):
                yield spoil(*chunk) if (self.passes, i) == (4, 2) else chunk

    refuses(Spoiled(), f"Chunk 2, counted from 0.*{match}")


def test_an_error_leaves_the_estimator_as_it_was(regression):
    X, y = regression
    network = NNRegressor((4,), **STEADY, **SIMPLE).fit(X, y)
    before, params = dict(vars(network)), network._model.params.copy()
    with pytest.raises(ValueError, match="Chunk 1"):
        fit_chunks(network, [(X, y), (X[:, :2], y)])
    assert vars(network) == before
    assert_array_equal(network._model.params, params)


def test_a_warning_names_the_line_of_the_caller(regression):
    network = NNRegressor((4,), learning_rate="constant", max_iter=1, random_state=0)
    for fit in (lambda: network.fit(*regression), lambda: fit_chunks(network, [regression])):
        with pytest.warns(ConvergenceWarning) as caught:
            fit()
        code = fit.__code__
        assert [(one.filename, one.lineno) for one in caught] == [
            (code.co_filename, code.co_firstlineno)
        ]
