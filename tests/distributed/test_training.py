"""What the shards of a cluster learn together, compared with a local fit."""

import math
from dataclasses import dataclass

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from endings import BRIEF, WILD, check_ending
from numpy.testing import assert_allclose, assert_array_equal
from plain import PLAIN
from shards import ESTIMATORS, SHORT, SMALL, chunked
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from sknet import NNClassifier, NNRegressor
from sknet._starting import Agreement
from sknet.data import draws
from sknet.data.columns.categories import Levels
from sknet.distributed import DaskNNClassifier, DaskNNRegressor, epochs
from sknet.distributed.shards import Round
from sknet.nn.columns import PrincipalComponents
from sknet.nn.schedules import Schedule

#: One process of pytest-xdist starts the cluster and runs all tests that need it.
pytestmark = pytest.mark.xdist_group("cluster")


def test_as_good_as_a_local_fit(client_of_processes):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25_000, 6))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * rng.normal(size=25_000)
    settings = {**SMALL, "max_iter": 12, "batch_size": 50}
    network = DaskNNRegressor(**settings, n_shards=2).fit(*chunked(X[:5000], y[:5000]))
    local = NNRegressor(**settings).fit(X[:5000], y[:5000])
    errors = [
        np.mean((m.predict(X[5000:]) - y[5000:]) ** 2) for m in (network.to_local(), local)
    ]
    assert errors[0] < 1.02 * errors[1]
    # No linear function of X is as good: the product of two columns is half of y's variance.
    assert errors[1] < 0.5 * np.var(y[5000:])
    assert network.n_iter_ == 12
    assert network.t_ == 12 * 5000


@pytest.mark.parametrize(("cls", "local"), ESTIMATORS)
@pytest.mark.parametrize("options", [{}, {"n_shards": 1, "outer_momentum": 0.5}], ids=str)
def test_a_small_table_is_one_shard_and_a_local_fit(client, table, cls, local, options):
    X, y = table
    y = y > 0 if cls is DaskNNClassifier else y
    # Members that share no weights would be cross-fitted in the local fit.
    settings = {"max_iter": 8, "share_weights": True, "random_state": 0}
    network = cls(**settings, **options).fit(*chunked(X, y))
    expected = local(**settings).fit(X, y)
    assert network.n_shards_ == 1
    assert_array_equal(network.to_local()._model.params, expected._model.params)
    assert_array_equal(network.validation_scores_, expected.validation_scores_)
    assert network.t_ == expected.t_


def test_one_shard_holds_out_the_rows_of_a_local_fit_with_copies(client, table):
    X, y = (np.repeat(one[:200], 3, axis=0) for one in table)
    settings = {**SMALL, "early_stopping": True}
    network = DaskNNRegressor(**settings, n_shards=1).fit(*chunked(X, y))
    expected = NNRegressor(**settings).fit(X, y)
    assert_array_equal(network.to_local()._model.params, expected._model.params)


@pytest.mark.parametrize(("batch_size", "n_shards"), [(90, 1), (40, 2), (25, 3), (10, 3)])
def test_each_shard_has_a_round_of_full_length(client, table, batch_size, n_shards):
    """The default number of shards for 2700 training rows and three workers."""
    settings = {**SMALL, "batch_size": batch_size, "max_iter": 1}
    settings |= {"early_stopping": True, "validation_fraction": 0.1}
    assert DaskNNRegressor(**settings).fit(*chunked(*table)).n_shards_ == n_shards
    if n_shards == 1:
        fixed = DaskNNRegressor(**settings, n_shards=2).fit(*chunked(*table))
        assert fixed.n_shards_ == 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dropout": 0.2, "ema_decay": 0.9, "n_members": 3, "numeric_embedding": "periodic"},
        {"numeric_embedding": "piecewise_linear", "learning_rate": "adaptive"},
        {"solver": "sgd", "input_noise": 0.1, "mixup": 0.2, "normalization": "layer"},
    ],
    ids=str,
)
def test_the_same_again(client_of_processes, table, options):
    X, y = chunked(*table)
    settings = {**SHORT, "early_stopping": True, **options}
    first, second = (DaskNNRegressor(**settings).fit(X, y) for _ in range(2))
    for ours, theirs in zip(first.coefs_, second.coefs_, strict=True):
        assert_array_equal(ours, theirs)
    if not options:
        other = DaskNNRegressor(**{**settings, "random_state": 1}).fit(X, y)
        assert np.abs(other.coefs_[0] - first.coefs_[0]).max() > 1e-3
    names = set(first.history_) - {"seconds"}
    assert {name: first.history_[name] for name in names} == {
        name: second.history_[name] for name in names
    }
    assert first.best_validation_score_ == max(first.validation_scores_)


def test_the_number_of_workers_does_not_matter(cluster, client, table):
    X, y = chunked(*table)
    ours = DaskNNRegressor(**{**SHORT, "n_shards": 4}).fit(X, y)
    with Client(n_workers=1, processes=False, dashboard_address=":0") as other:
        theirs = DaskNNRegressor(**{**SHORT, "n_shards": 4}, client=other).fit(X, y)
    assert_array_equal(ours.coefs_[0], theirs.coefs_[0])
    assert ours.n_shards_ == 4


def test_one_step_rounds_of_sgd_are_sgd_on_all_rows(client, table):
    X, y = table
    settings = {
        **SMALL,
        "solver": "sgd",
        "momentum": 0.0,
        "shuffle": False,
        "learning_rate": "constant",
        "learning_rate_init": 0.05,
        "max_iter": 4,
        "dtype": "float64",
    }
    # The batches of the three shards together have all rows.
    local = NNRegressor(**{**settings, "batch_size": 3000}).fit(X, y)
    network = DaskNNRegressor(
        **{**settings, "batch_size": 1000}, n_shards=3, local_steps=1, outer_momentum=0.0
    ).fit(*chunked(X, y))
    for ours, theirs in zip(network.coefs_, local.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
    assert_allclose(network.loss_curve_, local.loss_curve_, rtol=1e-8)


def test_early_stopping_keeps_the_best_epoch(client, table):
    X, y = chunked(*table)
    settings = {**SHORT, "max_iter": 40, "early_stopping": True, "n_iter_no_change": 2}
    network = DaskNNRegressor(
        **{**settings, "learning_rate_init": 0.3, "learning_rate": "constant"}
    )
    network.fit(X, y)
    assert network.n_iter_ < 40
    assert network.n_iter_ == network.best_iter_ + 2
    shorter = {**settings, "learning_rate_init": 0.3, "learning_rate": "constant"}
    shorter["max_iter"] = network.best_iter_
    same = DaskNNRegressor(**{**shorter, "n_iter_no_change": np.inf}).fit(X, y)
    assert_array_equal(same.coefs_[0], network.coefs_[0])


def test_the_rounds_have_the_dropout_of_the_best_epoch(client, table, monkeypatch):
    shares = []

    def recorded(*place):
        shares.append(Round(*place).unexplained)
        return Round(*place)

    monkeypatch.setattr(epochs, "Round", recorded)
    options = {**SHORT, "max_iter": 6, "early_stopping": True, "dropout": "adaptive"}
    network = DaskNNRegressor(**options).fit(*chunked(*table))
    losses = np.minimum.accumulate(network.history_["validation_loss"])
    assert shares[0] == 1 > shares[-1]
    assert_allclose(shares[-1] / shares[-2 * len(shares) // 6], losses[4] / losses[3])


@dataclass(frozen=True)
class Spoiling(Schedule):
    """1 in the first tenth of the plan, then far too much, and nearly zero from 0.6 on."""

    has_horizon = True

    def __call__(self, progress, samples_seen):
        return 1.0 if progress < 0.1 else 15.0 if progress < 0.6 else 1e-12


@pytest.mark.parametrize(("ema_decay", "outer_momentum"), [(None, 0.5), (0.5, 0.0)])
def test_a_cool_down_begins_at_the_best_epoch(client, table, ema_decay, outer_momentum):
    settings = {**SHORT, "max_iter": 20, "early_stopping": True, "n_iter_no_change": 2}
    options = {"learning_rate": Spoiling(), "ema_decay": ema_decay}
    options |= {"learning_rate_init": 0.05, "outer_momentum": outer_momentum}
    network = DaskNNRegressor(**{**settings, **options}).fit(*chunked(*table))
    losses = np.array(network.history_["validation_loss"])
    cools = np.array(network.history_["learning_rate"]) < 1e-10
    assert cools.any() and network.n_iter_ < 20
    best = losses[~cools].min()
    assert losses[~cools][-1] > 1.2 * best
    assert_allclose(losses[cools], best, rtol=1e-5)


@pytest.mark.parametrize(
    ("cls", "batch_size", "momentum"),
    [
        (DaskNNClassifier, "auto", 0.6),
        (DaskNNRegressor, "auto", 0.0),
        (DaskNNClassifier, 100, 0.8),
        (DaskNNRegressor, 100, 0.8),
    ],
)
def test_the_outer_momentum_that_none_stands_for(client, table, cls, batch_size, momentum):
    X, y = (one[:2000] for one in table)
    X, y = chunked(X, y > 0 if cls is DaskNNClassifier else y)
    network = cls(**{**SHORT, "batch_size": batch_size})
    curves = [
        clone(network).set_params(outer_momentum=one).fit(X, y).loss_curve_
        for one in (None, momentum, 0.3)
    ]
    assert curves[0] == curves[1] != curves[2]


@dataclass(frozen=True)
class Late(Schedule):
    """Nearly zero in the first half of the plan, and 1 after it."""

    has_horizon = True

    def __call__(self, progress, samples_seen):
        return 1e-12 if progress < 0.5 else 1.0


def test_patience_begins_when_something_is_learned(client, table):
    """As in a local training, a plan is not shortened before the shards predict anything."""
    settings = {**SHORT, "max_iter": 16, "early_stopping": True, "n_iter_no_change": 2}
    options = {"learning_rate": Late(), "learning_rate_init": 0.05}
    network = DaskNNRegressor(**{**settings, **options}).fit(*chunked(*table))
    losses = network.history_["validation_loss"]
    assert network.n_iter_ > 8
    assert min(losses[8:]) < 0.5 * losses[7]


def test_a_chain_of_rounds_is_cut_without_a_trace(client, plain_fit, table, monkeypatch):
    monkeypatch.setattr(epochs, "LONGEST_CHAIN", 2)
    cut = DaskNNRegressor(**SHORT).fit(*chunked(*table))
    assert_array_equal(plain_fit.coefs_[0], cut.coefs_[0])


# A fit on a cluster takes its time.
@pytest.mark.parametrize(
    ("wild", "n_shards"), [(wild, 1 + number % 2) for number, wild in enumerate([*WILD][::2])]
)
def test_a_training_that_goes_wrong_says_so(client, table, wild, n_shards):
    """On a cluster as in a local fit, no training ends in garbage without a warning."""
    X, y = table[0][:400], table[1][:400]
    options = {**PLAIN, "hidden_layer_sizes": (8,), **BRIEF, "max_iter": 3, **WILD[wild]}
    network = DaskNNRegressor(**options, n_shards=n_shards, local_steps=8)
    check_ending(
        network,
        lambda one: one.fit(*chunked(X, y, size=100)),
        lambda one: one.to_local().predict(X),
    )


def test_the_best_epoch_is_restored(client, table):
    """With early stopping the best epoch is known, also if a later one diverges."""
    X, y = chunked(*table)
    options = {**SHORT, "max_iter": 6, "early_stopping": True, "learning_rate": Exploding()}
    options["learning_rate_init"] = 1e-3
    network = DaskNNRegressor(**options)
    with pytest.warns(ConvergenceWarning, match="Training diverged.*are restored") as caught:
        network.fit(X, y)
    assert caught[0].filename == __file__
    assert network.best_iter_ == 3
    expected = DaskNNRegressor(**options).set_params(learning_rate="constant", max_iter=3)
    assert_array_equal(network.coefs_[0], expected.fit(X, y).coefs_[0])


@dataclass(frozen=True)
class Exploding(Schedule):
    """1 in the first half of the training, then a rate beyond all bounds."""

    def __call__(self, progress, samples_seen):
        return 1.0 if progress < 0.5 else 1e30


@pytest.mark.parametrize(("cls", "local"), ESTIMATORS)
def test_the_defaults(client_of_processes, frame, cls, local):
    """The values of "auto" are the local ones, with a divided batch and unchanged labels."""
    X, labels = frame
    y = labels if cls is DaskNNClassifier else X["age"] * (X["color"] == "red")
    parts = [dd.from_pandas(part, npartitions=4) for part in (X, y)]
    # With the default number of epochs the test would take longer and show the same. The
    # validation rows differ, and so does the epoch in which their score stalls.
    few = {"max_iter": 15, "n_iter_no_change": 15, "random_state": 0}
    network = cls(**few, n_shards=2).fit(*parts)
    expected = local(**few).fit(X, y)
    batch_size = expected.auto_params_["batch_size"]
    share = max(32, batch_size // 2)
    like = 2 * batch_size if cls is DaskNNClassifier else share
    rate = 0.01 * math.sqrt(like / batch_size)
    shared = {"batch_size": share, "learning_rate_init": rate}
    assert network.auto_params_ == {**expected.auto_params_, **shared}
    found, known = (one._model.network.layers for one in (network._fitted, expected))
    for layer, known_layer in zip(found, known, strict=True):
        if isinstance(layer, PrincipalComponents):
            # The partitions have the rows in the same order, but not the sums over them.
            assert_allclose(layer.directions, known_layer.directions, rtol=1e-9)
        else:
            assert layer == known_layer
    assert network.n_iter_ == expected.n_iter_
    assert set(network.history_) == set(expected.history_)
    ours, theirs = (m.score(X, y) for m in (network.to_local(), expected))
    assert ours > theirs - 0.05


@pytest.mark.parametrize(("cls", "local"), ESTIMATORS)
def test_the_prior_of_levels_is_that_of_all_rows(client, cls, local):
    rng = np.random.default_rng(0)
    levels = rng.integers(40, size=900)
    X = pd.DataFrame({"x": rng.normal(size=900), "level": pd.Categorical(levels.astype(str))})
    y = pd.Series(0.5 * rng.normal(size=40)[levels] + rng.normal(size=900))
    y = (y > 0).map({True: "yes", False: "no"}) if cls is DaskNNClassifier else y
    parts = [dd.from_pandas(part, npartitions=3) for part in (X, y)]
    found = cls(max_iter=1, random_state=0, share_weights=True).fit(*parts).to_local()
    known = local(max_iter=1, random_state=0, share_weights=True).fit(X, y)
    ridges = [one._model.network.ridges[0][1] for one in (found, known)]
    assert ridges[1] > 1 / 900
    assert_allclose(*ridges)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "tweedie", "normal"])
def test_the_scale_of_y_is_that_of_all_rows(client, table, loss):
    X, y = table
    y = np.sort(y - y.min())
    y[:500] = 0  # a partition that poisson could not scale
    settings = {**SHORT, "loss": loss}
    target = DaskNNRegressor(**settings).fit(*chunked(X, y)).to_local()._model.target
    settings = {k: v for k, v in settings.items() if k in NNRegressor().get_params()}
    expected = NNRegressor(**settings).fit(X, y)._model.target
    assert_allclose(
        [target.mean_, target.scale_], [expected.mean_, expected.scale_], rtol=1e-12
    )


@pytest.mark.parametrize("limit", [("QUANTILE_ROWS", 4000), ("SAMPLE_BYTES", 4000 * 8)])
def test_quantiles_come_from_a_bounded_sample(client, monkeypatch, limit):
    rng = np.random.default_rng(0)
    X = np.sort(rng.normal(size=(40_000, 1)), axis=0)
    monkeypatch.setattr(draws, *limit)
    sizes = []
    start_model = Agreement.start_model

    def start_and_count(agreed, samples, *arguments):
        sizes.extend(sample.X.shape[0] for sample in samples)
        return start_model(agreed, samples, *arguments)

    monkeypatch.setattr(Agreement, "start_model", start_and_count)
    network = DaskNNRegressor(**{**SHORT, "max_iter": 1, "local_steps": 1000})
    fitted = network.fit(*chunked(X, X[:, 0], size=5000)).to_local()
    numbers = fitted._model.encoder.numbers_
    assert sizes == [500] * 8
    assert_allclose(numbers.center, np.median(X), atol=0.05)
    assert_allclose(1 / numbers.scale, np.subtract(*np.quantile(X, [0.75, 0.25])), rtol=0.05)


@pytest.mark.parametrize("class_weight", ["balanced", {"no": 1.0, "yes": 5.0}])
def test_class_weights(client, frame, class_weight):
    X, y = frame
    settings = {**SMALL, "class_weight": class_weight, "max_iter": 12}
    network = DaskNNClassifier(**settings, n_shards=2, local_steps=4)
    network.fit(*(dd.from_pandas(part, npartitions=4) for part in (X, y)))
    local = NNClassifier(**settings).fit(X, y)
    shares = [(m.predict(X) == "yes").mean() for m in (network.to_local(), local)]
    assert_allclose(shares[0], shares[1], atol=0.05)
    assert network.to_local().class_weight == class_weight


def fit_weighted(frame, weight, n_shards, **options):
    """Return the local form of a network after a weighted fit on a cluster, in float64."""
    X, y = frame
    settings = {**SHORT, "n_shards": n_shards, "dtype": "float64", **options}
    parts = [dd.from_pandas(part, npartitions=4) for part in (X, y, pd.Series(weight))]
    return DaskNNClassifier(**settings).fit(*parts).to_local()


@pytest.mark.parametrize("n_shards", [1, 2])
def test_only_ratios_of_weights_matter(client, frame, n_shards):
    X, _ = frame
    whole = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
    weight, unit = (whole, 0.1) if n_shards == 1 else (whole / 7 + 0.1, 1e300)
    expected = fit_weighted(frame, weight, n_shards).predict_proba(X)
    found = fit_weighted(frame, weight * unit, n_shards).predict_proba(X)
    assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("class_weight", "n_shards"),
    [("balanced", 1), ("balanced", 2), ({"no": 0.7, "yes": 5.0}, 2), ({"yes": 2.0}, 1)],
)
def test_class_weights_equal_weights_by_hand(client, frame, class_weight, n_shards):
    X, y = frame
    # Levels that occur once: whether they are rare depends on the weights of the classes.
    X["maker"] = [f"m{i:03d}" for i in np.random.default_rng(2).integers(0, 900, len(X))]
    frame = X, y
    given = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
    network = fit_weighted(frame, given, n_shards, class_weight=class_weight)
    by_class = class_weight
    if class_weight == "balanced":  # A weight of two is a row twice.
        classes, rows = np.unique(y), np.repeat(y, given.astype(int))
        by_class = compute_class_weight(class_weight, classes=classes, y=rows)
        by_class = dict(zip(classes, by_class, strict=True))
    by_hand = given * compute_sample_weight(by_class, y)
    expected = fit_weighted(frame, by_hand, n_shards)
    assert_allclose(network.predict_proba(X), expected.predict_proba(X), rtol=1e-9)
    local = NNClassifier(
        **{k: v for k, v in SHORT.items() if k not in ("n_shards", "local_steps", "dtype")},
        dtype="float64",
        class_weight=class_weight,
    ).fit(X, y, given)
    found = [one._model.encoder.of_kind(Levels) for one in (network, local)]
    for one, other in zip(*found, strict=True):
        assert (one.n_levels, one.has_rest) == (other.n_levels, other.has_rest)
    if n_shards == 1:
        assert_allclose(network.predict_proba(X), local.predict_proba(X), rtol=1e-6)


def test_a_partition_whose_classes_have_no_weight_is_left_out(client):
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = np.repeat([0, 1, 2], 100)
    options = {**SHORT, "batch_size": 20}
    network = DaskNNClassifier(**options, class_weight={0: 0, 1: 2})
    network.fit(*chunked(X, y, size=100))
    # The class is known, but no row of it was trained on.
    assert network.classes_.tolist() == [0, 1, 2]
    assert (network.to_local().predict_proba(X)[:, 0] < 0.5).all()
    with pytest.raises(ValueError, match="class_weight times sample_weight"):
        DaskNNClassifier(**options, class_weight=dict.fromkeys(range(3), 0)).fit(
            *chunked(X, y, size=100)
        )


@pytest.mark.parametrize("n_shards", [1, 2])
def test_balanced_weights_of_several_labels(client, table, n_shards):
    """A row of weight two is a row twice for the weights of the labels of all partitions."""
    X, y = table
    Y = np.column_stack([y > 0, y > 1, X[:, 0] > 0]).astype(int)
    given = np.where(Y[:, 1], 3.0, 1.0) + np.arange(len(X)) % 2
    by_hand = given.copy()
    for label in Y.T:
        for one in (0, 1):
            by_hand[label == one] /= given[label == one].sum()
    options = {**SHORT, "n_shards": n_shards, "dtype": "float64"}
    found = DaskNNClassifier(**options, class_weight="balanced").fit(*chunked(X, Y, given))
    expected = DaskNNClassifier(**options).fit(*chunked(X, Y, by_hand))
    proba = [one.to_local().predict_proba(X) for one in (found, expected)]
    assert_allclose(*proba, rtol=1e-9)


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_bytes_of_a_round(client_of_processes, table, ema_decay):
    """The workers count the bytes that they send to each other and to the client."""
    X, y = client_of_processes.persist(chunked(*table))
    settings = {**SMALL, "hidden_layer_sizes": (256, 256), "n_shards": 3, "local_steps": 5}
    settings["ema_decay"] = ema_decay
    counts = []
    for n_epochs in (1, 1, 6):
        network = DaskNNRegressor(**{**settings, "max_iter": n_epochs}).fit(X, y)
        sent = client_of_processes.run(
            lambda dask_worker: dask_worker.transfer_outgoing_bytes_total
        )
        counts.append(sum(sent.values()))
    # The difference of two fits leaves out the bytes that are sent before and after training.
    n_rounds = 5 * 2
    per_round = ((counts[2] - counts[1]) - (counts[1] - counts[0])) / n_rounds
    of_params = network.to_local()._model.params.nbytes
    # At least two results go to the worker that averages, and two copies of the mean leave it.
    assert 4 * of_params < per_round < 2.5 * 3 * of_params


# The outer step, which only several shards have, meets both kinds of layers.
@pytest.mark.parametrize(
    ("n_shards", "options", "interaction"),
    [
        (1, {}, None),
        (2, {}, "pairwise"),
        (2, {"outer_momentum": 0.8, "outer_learning_rate": 1.3}, None),
        (2, {"outer_momentum": 0.8, "outer_learning_rate": 1.3}, "pairwise"),
    ],
)
def test_monotone_networks(client, table, options, n_shards, interaction):
    X, y = table
    cst = [1] + [0] * (X.shape[1] - 1)
    settings = {**SHORT, "n_shards": n_shards, "monotonic_cst": cst, "n_members": 2, **options}
    settings |= {"interaction_cst": interaction}
    network = DaskNNClassifier(**settings).fit(*chunked(X, y > 0)).to_local()
    low = X.copy()
    low[:, 0] -= np.random.default_rng(0).exponential(size=len(X))
    assert (network.predict_proba(low)[:, 1] <= network.predict_proba(X)[:, 1]).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_validation_rows_of_all_shards_correct_the_certainty(client, monkeypatch, weighted):
    """Strong smoothing makes the probabilities of separable classes far too uncertain."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 3))
    y = X[:, 0] > X[:, 1]
    rows = (*chunked(X, y), chunked(rng.uniform(1, 3, 1500))[0] if weighted else None)
    options = {**SHORT, "early_stopping": True, "label_smoothing": 0.4, "max_iter": 20}
    losses = []
    for _ in range(2):
        network = DaskNNClassifier(**options).fit(*rows).to_local()
        losses.append(log_loss(y, network.predict_proba(X)))
        monkeypatch.setattr("sknet._fitting.fit_factor", lambda *args: 1.0)
    assert losses[0] < 0.5 * losses[1]


def test_validation_rows_of_all_shards_calibrate_quantiles(client):
    """The noise is exponential, so the low quantiles of a normal distribution are too low."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2))
    y = X[:, 0] + rng.exponential(size=4000)
    options = {**SHORT, "early_stopping": True, "max_iter": 20, "loss": "normal"}
    rows = chunked(X[:2000], y[:2000])
    network = DaskNNRegressor(**options).fit(*rows).to_local()
    low = network.predict_quantiles(X[2000:], [0.1])[:, 0]
    assert np.mean(y[2000:] < low) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("n_shards", [1, 2])
def test_the_dispersion_is_that_of_the_rows_of_all_shards(client, n_shards):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1000, 2))
    y = rng.gamma(2, np.exp(X[:, 0]))
    network = DaskNNRegressor(loss="gamma", **{**SHORT, "n_shards": n_shards})
    local = network.fit(*chunked(X, y)).to_local()
    expected = np.mean((y / local.predict(X) - 1) ** 2)
    assert local._model.calibration.item() == pytest.approx(expected, rel=1e-5)
    assert_allclose(local.predict_cdf(X, local.predict_quantiles(X, [0.1])), 0.1)
