"""``partial_fit`` keeps the encoding of X, and updates the mean and the scale of y."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.datasets import make_classification, make_friedman1
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.utils.class_weight import compute_sample_weight

#: A learning rate that is so low that no parameter changes noticeably.
STILL = 1e-300


# A running mean and scale of y.

WITHOUT_SHIFT = ["poisson", "gamma", "tweedie"]

#: Rows are far outside of the normal distribution that earlier chunks have taught.
unlikely_rows = pytest.mark.filterwarnings(
    "ignore:Training failed:sklearn.exceptions.ConvergenceWarning"
)


def chunks_of_y(loss):
    """Three chunks of y with very different means and scales."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    y = np.exp(X[:, 0]) * np.repeat([1.0, 20.0, 0.3], 30)
    if loss not in WITHOUT_SHIFT:
        y += np.repeat([0.0, 500.0, -40.0], 30)
    return X, y


LOSSES = ["squared_error", "absolute_error", "huber", "normal", *WITHOUT_SHIFT]


@unlikely_rows
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_y_s_mean_and_scale_are_those_of_all_rows(loss, weighted):
    X, y = chunks_of_y(loss)
    weight = np.random.default_rng(1).uniform(0.1, 3, 90) if weighted else np.ones(90)
    network = NNRegressor((4,), loss=loss, random_state=0)
    for start in (0, 30, 60):
        rows = slice(start, start + 30)
        network.partial_fit(X[rows], y[rows], weight[rows] if weighted else None)
        seen = slice(start + 30)
        mean = np.average(y[seen], weights=weight[seen])
        std = np.sqrt(np.average((y[seen] - mean) ** 2, weights=weight[seen]))
        if loss in WITHOUT_SHIFT:
            assert_allclose(network._model.target.scale_, mean)
            assert_array_equal(network._model.target.mean_, 0)
        else:
            assert_allclose(network._model.target.mean_, mean)
            assert_allclose(network._model.target.scale_, std)


@unlikely_rows
@pytest.mark.parametrize("sizes", [(), (6,)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        *({"loss": loss} for loss in LOSSES),
        {"loss": "quantile", "quantile": 0.8},
        {"loss": "quantile", "quantile": [0.1, 0.9]},
        {"n_members": 3},
        {"n_members": 3, "loss": "gamma"},
        {"ema_decay": 0.9},
        {"ema_decay": 0.9, "n_members": 2, "loss": "poisson"},
        {"normalization": "layer", "dropout": 0.2},
        {"standardize": False},
        {"dtype": "float32"},
    ],
    ids=str,
)
def test_the_function_does_not_jump(options, sizes):
    X, y = chunks_of_y(options.get("loss", "squared_error"))
    if not sizes:
        options = {k: v for k, v in options.items() if k not in ("dropout", "normalization")}
    # The running average moves in each step unless it equals the trained parameters.
    rate = STILL if "ema_decay" in options else 0.01
    network = NNRegressor(sizes, learning_rate_init=rate, random_state=0, **options)
    for _ in range(3):
        network.partial_fit(X[:30], y[:30])
    before, scale = network.predict(X), network._model.target.scale_.copy()
    network.set_params(learning_rate_init=STILL)
    for rows in (slice(30, 60), slice(60, 90)):
        network.partial_fit(X[rows], y[rows])
        rtol = 1e-3 if options.get("dtype") else 1e-8
        assert_allclose(network.predict(X), before, rtol=rtol, atol=rtol * np.abs(before).max())
    if options.get("standardize", True) and not isinstance(options.get("quantile"), list):
        assert (network._model.target.scale_ != scale).all()
    else:
        assert_array_equal(network._model.target.scale_, scale)
    # Training goes on in the new units.
    network.set_params(learning_rate_init=0.01).partial_fit(X, y)
    assert np.isfinite(network.predict(X)).all()
    assert np.abs(network.predict(X) - before).max() > 1e-6


def test_the_average_and_what_is_trained_are_rescaled_alike():
    X, y = chunks_of_y("squared_error")
    # Without hidden layers the predictions are linear in the parameters.
    trained, averaged = (
        NNRegressor((), learning_rate_init=0.01, ema_decay=decay, random_state=0)
        for decay in (None, 0.9)
    )
    for network in (trained, averaged):
        for _ in range(3):
            network.partial_fit(X[:30], y[:30])
    before = trained.predict(X), averaged.predict(X)
    assert np.abs(before[0] - before[1]).max() > 1e-3
    averaged.set_params(learning_rate_init=STILL).partial_fit(X[30:], y[30:])
    # This is the fourth update of the average, with the decay (1 + 4) / (10 + 4).
    expected = 5 / 14 * before[1] + 9 / 14 * before[0]
    assert_allclose(averaged.predict(X), expected, rtol=1e-8)


@unlikely_rows
@pytest.mark.parametrize("n_members", [1, 3])
def test_the_standard_deviation_does_not_jump(n_members):
    X, y = chunks_of_y("normal")
    Y = np.column_stack([y, -1000 * y[::-1]])
    network = NNRegressor(
        (6,), loss="normal", n_members=n_members, learning_rate_init=0.01, random_state=0
    )
    for _ in range(5):
        network.partial_fit(X[:30], Y[:30])
    before = network.predict(X, return_std=True)
    scale = network._model.target.scale_.copy()
    network.set_params(learning_rate_init=STILL).partial_fit(X[30:], Y[30:])
    after = network.predict(X, return_std=True)
    for now, then in zip(after, before, strict=True):
        assert_allclose(now, then, rtol=1e-8, atol=1e-8 * np.abs(then).max())
    assert (network._model.target.scale_ / scale > 2).all()


def test_several_outputs_do_not_jump():
    X, y = chunks_of_y("squared_error")
    Y = np.column_stack([y, -1000 * y[::-1], np.full(90, 7.0)])
    for options in ({}, {"n_members": 2}):
        network = NNRegressor((6,), learning_rate_init=0.01, random_state=0, **options)
        network.partial_fit(X[:30], Y[:30])
        before = network.predict(X)
        network.set_params(learning_rate_init=STILL).partial_fit(X[30:], Y[30:])
        assert_allclose(network.predict(X), before, rtol=1e-8, atol=1e-6)
        assert_allclose(network._model.target.mean_, Y.mean(axis=0))
        assert_allclose(network._model.target.scale_[:2], Y.std(axis=0)[:2])
        assert network._model.target.scale_[2] == 7 / 1024


def test_after_a_constant_first_chunk_the_scale_is_learned():
    X, y = chunks_of_y("squared_error")
    network = NNRegressor((6,), random_state=0).partial_fit(X[:30], np.full(30, 5.0))
    network.partial_fit(X[30:], y[30:])
    seen = np.r_[np.full(30, 5.0), y[30:]]
    assert_allclose(network._model.target.mean_, seen.mean())
    assert_allclose(network._model.target.scale_, seen.std())


@pytest.mark.parametrize("ema_decay", [None, 0.95])
def test_it_keeps_what_it_learned_when_the_mean_moves(ema_decay):
    # The chunks are sorted by y, so that each of them pulls the network its own way.
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (2000, 2))
    y = 100 * X[:, 0] + 10 * X[:, 1] ** 2
    chunks = np.array_split(np.argsort(y), 8)
    network = NNRegressor(
        (32,), batch_size=25, learning_rate_init=0.002, ema_decay=ema_decay, random_state=0
    )
    scores = []
    for _ in range(12):
        for chunk in rng.permutation(len(chunks)):
            network.partial_fit(X[chunks[chunk]], y[chunks[chunk]])
            scores.append(network.score(X, y))
    assert np.median(scores[-len(chunks) :]) > 0.3


def test_outputs_must_stay_in_the_domain():
    X, y = chunks_of_y("gamma")
    network = NNRegressor((4,), loss="gamma", random_state=0).partial_fit(X[:30], y[:30])
    before = network.predict(X)
    with pytest.raises(ValueError, match="loss='gamma' needs y > 0; y has values from -1 "):
        network.partial_fit(X, np.r_[y[:-1], -1.0])
    assert_array_equal(network.predict(X), before)
    assert_allclose(network._model.target.scale_, y[:30].mean())


# Tasks.


@pytest.mark.parametrize("to", [np.asarray, sparse.csr_matrix], ids=["array", "csr"])
def test_multilabel_targets_of_either_kind(multilabel, to):
    X, Y = multilabel
    network = NNClassifier((10,), batch_size=10, learning_rate_init=0.02, random_state=0)
    for _ in range(15):
        for rows in np.array_split(np.arange(len(X)), 3):
            network.partial_fit(X[rows], to(Y[rows]))
    assert np.mean(network.predict(X) == Y) > 0.85
    with pytest.raises(ValueError, match="3 columns"):
        network.partial_fit(X, to(Y[:, :2]))


@pytest.mark.parametrize("options", [{}, {"loss": "huber"}, {"loss": "quantile"}], ids=str)
def test_multioutput_by_chunks(multioutput, options):
    X, Y = multioutput
    network = NNRegressor((20,), batch_size=10, learning_rate_init=0.01, random_state=0)
    network.set_params(**options)
    for _ in range(30):
        for rows in np.array_split(np.arange(len(X)), 4):
            network.partial_fit(X[rows], Y[rows])
    assert network.predict(X).shape == Y.shape
    # The first output is not linear in X, so no linear model comes as close to it.
    bent = 1 - np.mean((network.predict(X) - Y)[:, 0] ** 2) / Y[:, 0].var()
    assert bent > LinearRegression().fit(X, Y[:, 0]).score(X, Y[:, 0])


def test_a_list_of_quantiles_by_chunks():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 2))
    y = 3 * X[:, 0] + rng.normal(size=4000)
    network = NNRegressor(
        (16,), loss="quantile", quantile=[0.1, 0.5, 0.9], batch_size=50,
        learning_rate_init=0.005, random_state=0,
    )  # fmt: skip
    for rate in (0.005, 0.005, 0.005, 0.001, 0.0002):
        network.set_params(learning_rate_init=rate)
        for rows in np.array_split(np.arange(4000), 5):
            network.partial_fit(X[rows], y[rows])
    predicted = network.predict(X)
    assert (np.diff(predicted, axis=1) >= 0).all()
    assert_allclose((y[:, np.newaxis] < predicted).mean(axis=0), [0.1, 0.5, 0.9], atol=0.04)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_class_weights_by_hand(request, kind):
    X, y = request.getfixturevalue(kind)
    class_weight = {
        "binary": {0: 1.0, 1: 4.0},
        "multiclass": {"ash": 3.0, "beech": 1.0, "cedar": 0.5},
        "multilabel": [{0: 1, 1: 3}, {0: 2, 1: 1}, {0: 1, 1: 1}],
    }[kind]
    classes = None if kind == "multilabel" else np.unique(y)
    options = {"batch_size": 16, "standardize": False, "random_state": 0}
    weighted, by_hand, plain = (
        NNClassifier((6,), class_weight=weight, **options)
        for weight in (class_weight, None, None)
    )
    for rows in np.array_split(np.arange(len(X)), 3):
        weighted.partial_fit(X[rows], y[rows], classes=classes)
        weight = compute_sample_weight(class_weight, y[rows])
        by_hand.partial_fit(X[rows], y[rows], weight, classes=classes)
        plain.partial_fit(X[rows], y[rows], classes=classes)
    assert_allclose(weighted.predict_proba(X), by_hand.predict_proba(X), rtol=1e-6)
    assert np.abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4


def test_a_chunk_may_lack_classes_that_have_a_weight(multiclass):
    X, y = multiclass
    network = NNClassifier((6,), class_weight={"ash": 2.0}, random_state=0)
    network.partial_fit(X, y, classes=np.unique(y))
    # A chunk may lack one class or two.
    for lacking in (["ash"], ["beech"], ["ash", "cedar"]):
        rows = ~np.isin(y, lacking)
        network.partial_fit(X[rows], y[rows])
    assert network.n_iter_ == 4


def test_a_chunk_may_lack_labels_that_have_a_weight(multilabel):
    X, Y = multilabel
    network = NNClassifier((6,), class_weight=[{1: 3}, {0: 2}, {0: 1, 1: 1}], random_state=0)
    network.partial_fit(X, Y)
    for rows in (Y[:, 0] == 0, Y[:, 1] == 1, Y[:, 2] == 0):
        network.partial_fit(X[rows], Y[rows])
    assert network.n_iter_ == 4


def test_balanced_weights_need_all_rows(binary, forbid_training):
    X, y = binary
    forbid_training()
    with pytest.raises(ValueError, match="balanced.*needs all rows at once.*dict"):
        NNClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize(
    "options", [{}, {"n_members": 2}, {"mixup": 0.2}, {"input_noise": 0.1}], ids=str
)
def test_a_changed_learning_rate_acts_in_every_task(multilabel, options):
    X, Y = multilabel
    network = NNClassifier((6,), batch_size=500, random_state=0, **options).partial_fit(X, Y)
    slow, fast = copy.deepcopy(network), copy.deepcopy(network)
    fast.set_params(learning_rate_init=0.01)
    for one in (slow, fast):
        one.partial_fit(X, Y)
    steps = [one.coefs_[0] - network.coefs_[0] for one in (slow, fast)]
    assert_allclose(steps[1], 10 * steps[0], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("first", ["dense", "sparse"])
def test_sparse_and_dense_chunks_may_follow_each_other(problem, first):
    X = np.where(np.abs(problem.X) < 0.5, 0, problem.X)
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    chunks = [X, sparse.csr_matrix(X)] if first == "dense" else [sparse.csr_matrix(X), X]
    network, expected = (problem.cls((6,), batch_size=16, random_state=0) for _ in range(2))
    for chunk in chunks:
        network.partial_fit(chunk, problem.y, **classes)
        expected.partial_fit(chunks[0], problem.y, **classes)
    assert_allclose(network.coefs_[0], expected.coefs_[0], rtol=1e-6, atol=1e-9)
    assert_allclose(network.predict(chunks[0]), network.predict(chunks[1]), rtol=1e-6)


def test_smoothing_and_augmentation_act_in_each_pass(binary):
    X, y = binary
    options = {"batch_size": 16, "random_state": 0}
    plain = NNClassifier((6,), **options)
    for option in ({"label_smoothing": 0.4}, {"mixup": 0.5}, {"input_noise": 0.5}):
        network = NNClassifier((6,), **options, **option)
        for one in (network, plain):
            one.partial_fit(X, y, classes=[0, 1])
        assert np.abs(network.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4


# Frames.


def make_frame(frame, n_rows=120, seed=0, trees=("ash", "beech")):
    """Return a chunk with some of the four levels that the dtype of a category declares."""
    rng = np.random.default_rng(seed)
    tree = rng.choice(trees, n_rows)
    height = rng.normal(size=n_rows)
    known = ["ash", "beech", "cedar", "yew"]
    if frame == "pandas":
        X = pd.DataFrame({"height": height, "tree": pd.Categorical(tree, categories=known)})
    elif frame == "polars":
        X = pl.DataFrame({"height": height, "tree": pl.Series(tree, dtype=pl.Enum(known))})
    else:
        X = pd.DataFrame({"height": height, "tree": tree.astype(object)})
    effect = {"ash": 0.0, "beech": 3.0, "cedar": -3.0, "yew": 6.0, "oak": 0.0}
    return X, height + np.array([effect[one] for one in tree])


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_levels_that_the_dtype_declares_are_learned_later(frame):
    X, y = make_frame(frame)
    network = NNRegressor((16,), batch_size=20, learning_rate_init=0.01, random_state=0)
    network.partial_fit(X, y)
    names = list(network.encoded_feature_names_)
    assert names == ["height", "tree_ash", "tree_beech", "tree_cedar", "tree_yew"]
    later, y_later = make_frame(frame, seed=1, trees=("cedar", "yew"))
    for _ in range(40):
        network.partial_fit(later, y_later)
        network.partial_fit(X, y)
    assert network.score(later, y_later) > 0.9
    assert network.score(X, y) > 0.9
    assert list(network.encoded_feature_names_) == names


@pytest.mark.filterwarnings("ignore:Column .* of X has no level")
def test_levels_that_the_first_chunk_lacks_are_taken_as_missing():
    X, y = make_frame("object")
    network = NNRegressor((6,), learning_rate_init=0.01, random_state=0).partial_fit(X, y)
    later, y_later = make_frame("object", seed=1, trees=("cedar", "oak", "ash"))
    network.partial_fit(later, y_later)
    assert list(network.encoded_feature_names_) == ["height", "tree_ash", "tree_beech"]
    unknown = later[(later["tree"] != "ash").to_numpy()]
    missing = unknown.assign(tree=pd.Series(None, index=unknown.index, dtype=object))
    assert_array_equal(network.predict(unknown), network.predict(missing))
    assert np.isfinite(network.predict(later)).all()


def test_levels_seen_once_in_the_first_chunk_are_kept():
    X, y = make_frame("object", trees=("ash", "beech"))
    X.loc[3, "tree"] = "yew"
    network = NNRegressor((6,), random_state=0).partial_fit(X, y)
    assert "tree_yew" in network.encoded_feature_names_
    fitted = NNRegressor((6,), max_iter=1, learning_rate="cosine").fit(X, y)
    assert "tree_yew" not in fitted.encoded_feature_names_


def test_many_declared_levels_are_embedded_and_learned_later():
    levels = [f"shop {i}" for i in range(40)]
    rng = np.random.default_rng(0)
    effect = rng.normal(size=40)

    def chunk(numbers):
        code = rng.choice(numbers, 400)
        shop = pd.Categorical([levels[i] for i in code], categories=levels)
        return pd.DataFrame({"shop": shop}), effect[code]

    network = NNRegressor((16,), batch_size=20, learning_rate_init=0.01, random_state=0)
    network.partial_fit(*chunk(np.arange(20)))
    assert list(network.encoded_feature_names_) == [f"shop_{i}" for i in range(8)]
    for _ in range(10):
        network.partial_fit(*chunk(np.arange(20)))
        network.partial_fit(*chunk(np.arange(20, 40)))
    assert network.score(*chunk(np.arange(20, 40))) > 0.9


def test_indicators_are_those_of_the_first_chunk():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    X[::5, 0] = np.nan
    network = NNRegressor((6,), random_state=0).partial_fit(X, rng.normal(size=60))
    assert list(network.encoded_feature_names_) == ["x0", "x1", "x0_missing"]
    X[::4, 1] = np.nan
    network.partial_fit(X, rng.normal(size=60))
    assert network.coefs_[0].shape[0] == 3
    assert np.isfinite(network.predict(X)).all()


def test_bins_are_those_of_the_first_chunk():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    network = NNRegressor((6,), numeric_embedding="piecewise_linear", random_state=0)
    network.partial_fit(X, X[:, 0])
    layers = network._model.network.layers
    network.partial_fit(100 * X, X[:, 0])
    assert network._model.network.layers == layers
    assert np.isfinite(network.predict(1000 * X)).all()


def test_columns_must_stay(problem):
    X, y = make_frame("pandas")
    network = NNRegressor((6,), random_state=0).partial_fit(X, y)
    before = network.predict(X)
    with pytest.raises(ValueError, match="feature names"):
        network.partial_fit(X[["tree", "height"]], y)
    with pytest.raises(ValueError, match="numbers now"):
        network.partial_fit(X.assign(tree=1.0), y)
    assert_array_equal(network.predict(X), before)


# Accuracy.


def by_chunks(network, X, y, epochs, rng, **kwargs):
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(X)), 20):
            network.partial_fit(X[rows], y[rows], **kwargs)
    return network


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_twenty_shuffled_chunks_are_as_good_as_a_fit(task):
    if task == "regression":
        X, y = make_friedman1(8000, noise=1.0, random_state=0)
        cls, kwargs = NNRegressor, {}
    else:
        X, y = make_classification(
            8000, 12, n_informative=8, n_classes=3, flip_y=0.1, random_state=0
        )
        cls, kwargs = NNClassifier, {"classes": [0, 1, 2]}
    train, test = slice(2000), slice(4000, None)
    epochs, losses = 10, {"fit": [], "chunks": []}
    for seed in range(2):
        options = {"batch_size": 25, "n_iter_no_change": np.inf, "random_state": seed}
        whole = cls((32,), max_iter=epochs, **options).fit(X[train], y[train])
        rng = np.random.default_rng(seed)
        chunked = by_chunks(cls((32,), **options), X[train], y[train], epochs, rng, **kwargs)
        for name, one in (("fit", whole), ("chunks", chunked)):
            if task == "regression":
                losses[name].append(mean_squared_error(y[test], one.predict(X[test])))
            else:
                losses[name].append(log_loss(y[test], one.predict_proba(X[test])))
    assert np.mean(losses["chunks"]) < 1.1 * np.mean(losses["fit"])
    # Both are far better than a constant prediction.
    constant = np.var(y[test]) if task == "regression" else np.log(3)
    assert np.mean(losses["fit"]) < 0.6 * constant
