"""The Dask estimators on a real cluster, and scikit-learn's searches over it."""

import json
import math
import os
import pickle
import signal
import sys
from dataclasses import dataclass
from importlib import import_module

import cloudpickle
import dask
import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
from distributed import Client
from endings import BRIEF, WILD, check_ending
from guards import HANGING
from numpy.testing import assert_allclose, assert_array_equal
from plain import PLAIN
from plain import NNRegressor as PlainRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from sknet import NNClassifier, NNRegressor
from sknet._starting import Agreement
from sknet.data import draws
from sknet.data.columns.categories import Levels
from sknet.distributed import DaskNNClassifier, DaskNNRegressor, epochs
from sknet.distributed.partitions import partitions
from sknet.inspection import summary
from sknet.nn.columns import PrincipalComponents
from sknet.nn.schedules import Schedule

#: One process of pytest-xdist starts the cluster and runs all tests that need it.
pytestmark = pytest.mark.xdist_group("cluster")

#: Small plain networks, without early stopping.
SMALL = {
    **PLAIN,
    "hidden_layer_sizes": (16,),
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 6,
    "batch_size": 100,
    "n_iter_no_change": np.inf,
    "dtype": "auto",
    "random_state": 0,
}
#: Short fits on two shards.
SHORT = {**SMALL, "max_iter": 2, "n_shards": 2, "local_steps": 8}


def chunked(*arrays, size=500):
    return [da.from_array(a, chunks=(size, *a.shape[1:])) for a in arrays]


def assert_same_predictions(found, expected):
    """Check that labels are equal, and numbers up to the rounding of a float32 network.

    The partitions have fewer rows than the local blocks, and the last bits of a matrix product
    depend on the number of rows.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype.kind == "f":
        assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    else:
        assert_array_equal(found, expected)


@pytest.fixture
def frame():
    """A frame with missing values and categories; one level is in the last rows only."""
    rng = np.random.default_rng(1)
    n = 1200
    X = pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "color": pd.Categorical(rng.choice(["blue", "green", "red"], n)),
            "maker": rng.choice([f"m{i:02d}" for i in range(30)], n),
            "age": rng.integers(0, 90, n),
        }
    )
    X["color"] = X["color"].cat.add_categories(["violet"])
    X.loc[n - 5 :, "color"] = "violet"
    signal_ = np.nan_to_num(X["size"]) + (X["color"] == "red") + X["age"] / 45
    return X, pd.Series(np.where(signal_ > 1.3, "yes", "no"))


@pytest.mark.parametrize("n_shards", [1, 3])
def test_the_card_counts_the_rows_of_all_shards(client, table, n_shards):
    X, y = chunked(*table)
    held_out = {"early_stopping": True, "validation_fraction": 0.2}
    network = DaskNNClassifier(**{**SHORT, **held_out, "n_shards": n_shards}).fit(X, y > 0)
    card = json.loads(json.dumps(summary(network.to_local()).card.to_dict()))
    assert (card["training rows"], card["validation rows"]) == (2400, 600)
    assert card["training ended"] == "after all planned epochs"
    # Each of several shards holds out rows of its own, to which no temperature is fitted.
    assert (card["calibration"] == "none") == (n_shards > 1)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "sknet.distributed")
    with pytest.raises(ImportError, match=r'distributed.*pip install "\.\[dask\]"'):
        import_module("sknet.distributed")


# Parameters.


ESTIMATORS = [(DaskNNClassifier, NNClassifier), (DaskNNRegressor, NNRegressor)]


@pytest.mark.parametrize(("cls", "local"), ESTIMATORS)
def test_parameters_are_the_local_ones_and_a_few(cls, local):
    ours, theirs = cls().get_params(), local().get_params()
    assert {k: v for k, v in ours.items() if k in theirs} == theirs
    assert set(ours) - set(theirs) == {
        "local_steps",
        "outer_learning_rate",
        "outer_momentum",
        "n_shards",
        "client",
    }


@pytest.mark.parametrize(("cls", "local"), ESTIMATORS)
def test_behaves_as_an_estimator(cls, local):
    network = cls((8, 4), "tanh", alpha=1e-3, local_steps=5)
    assert network.hidden_layer_sizes == (8, 4)
    assert network.set_params(local_steps=7).get_params()["local_steps"] == 7
    assert repr(network) == (
        f"{cls.__name__}(activation='tanh', alpha=0.001, hidden_layer_sizes=(8, 4),\n"
        + " " * (len(cls.__name__) + 1)
        + "local_steps=7)"
    )
    assert clone(network).get_params() == network.get_params()
    with pytest.raises(TypeError, match="no_such"):
        cls(no_such=1)


def test_a_clone_shares_the_client_and_a_pickle_leaves_it(client):
    network = DaskNNRegressor(client=client)
    assert clone(network).client is client
    assert pickle.loads(pickle.dumps(network)).client is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"local_steps": 0}, "local_steps"),
        ({"outer_momentum": 1.0}, "outer_momentum"),
        ({"outer_learning_rate": 0.0}, "outer_learning_rate"),
        ({"n_shards": 0}, "n_shards"),
        ({"client": "address:8786"}, "'client' parameter .* instance of .*Client"),
        ({"alpha": -1.0}, "alpha"),
        ({"hidden_layer_sizes": (4,), "dropout": [0.1, 0.2]}, "dropout has 2 values"),
        ({"solver": "lbfgs"}, "needs all rows at once"),
        ({"solver": "lamb"}, "'solver' parameter .* Got 'lamb'"),
        ({"warm_start": True}, "warm_start"),
        ({"early_stopping": True, "scoring": "r2"}, "scoring='loss'"),
        ({"validation_fraction": "last"}, "needs all rows in one place"),
    ],
)
def test_parameters_are_checked_before_anything_else(options, message):
    with pytest.raises(ValueError, match=message):
        DaskNNRegressor(**options).fit(None, None)


def test_not_fitted():
    network = DaskNNClassifier()
    X = da.zeros((10, 2))
    for method in (network.predict, network.predict_proba, network.decision_function):
        with pytest.raises(NotFittedError):
            method(X)
    with pytest.raises(NotFittedError):
        network.to_local()
    with pytest.raises(AttributeError, match="coefs_"):
        _ = network.coefs_


# Fits.


@pytest.fixture(scope="module")
def plain_fits():
    return []


@pytest.fixture
def plain_fit(client, table, plain_fits):
    """A fit that several tests compare with: the table of numbers on two shards."""
    if not plain_fits:
        plain_fits.append(DaskNNRegressor(**SHORT).fit(*chunked(*table)))
    return plain_fits[0]


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
    settings = {"max_iter": 8, "random_state": 0}
    network = cls(**settings, **options).fit(*chunked(X, y))
    expected = local(**settings).fit(X, y)
    assert network.n_shards_ == 1
    assert_array_equal(network.to_local()._model.params, expected._model.params)
    assert_array_equal(network.validation_scores_, expected.validation_scores_)
    assert network.t_ == expected.t_


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


def test_attributes_are_the_local_ones(client, plain_fit):
    network = plain_fit
    assert "coefs_" not in dir(DaskNNRegressor(**SHORT))
    assert {"coefs_", "history_", "n_features_in_", "n_shards_", "fit"} <= set(dir(network))
    for name in dir(network.to_local()):
        if name.endswith("_") and not name.startswith("_"):
            assert hasattr(network, name) == hasattr(network.to_local(), name)
    for name in ("coef_", "feature_names_in_"):
        with pytest.raises(AttributeError, match=f"'DaskNNRegressor' object .* '{name}'"):
            getattr(network, name)


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


def test_verbose(client, table, capsys):
    DaskNNRegressor(**{**SHORT, "verbose": True}).fit(*chunked(*table))
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


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
    """The values of "auto" are the local ones, with a divided batch; the score is as good."""
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


# The agreement of the partitions.


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


def test_statistics_are_those_of_all_rows(client, frame):
    X, y = frame
    weight = pd.Series(np.random.default_rng(2).uniform(0, 1, len(X)).round())
    parts = [dd.from_pandas(part, npartitions=5) for part in (X, y, weight)]
    settings = {**SHORT, "numeric_embedding": "piecewise_linear"}
    network = DaskNNClassifier(**settings).fit(*parts).to_local()
    settings = {k: v for k, v in settings.items() if k in NNClassifier().get_params()}
    local = NNClassifier(**settings).fit(X, y, weight)
    ours, theirs = network._model.encoder, local._model.encoder
    for name in ("sources_", "bin_edges_"):
        assert_array_equal(getattr(ours, name), getattr(theirs, name))
    for name in ("center", "scale"):
        assert_array_equal(getattr(ours.numbers_, name), getattr(theirs.numbers_, name))
    assert network._model.network == local._model.network
    rows = X.sample(100, random_state=0)
    encoded = [one._model.encode(one._features.read(rows)) for one in (network, local)]
    assert_array_equal(*encoded)
    assert_array_equal(network.encoded_feature_names_, local.encoded_feature_names_)
    assert_array_equal(network.classes_, local.classes_)
    assert_array_equal(network.feature_names_in_, local.feature_names_in_)


def with_dates(X):
    """Return the frame in the order of dates over two years, some of which are missing."""
    n = len(X)
    hours = np.sort(np.random.default_rng(3).integers(0, 2 * 365 * 24, n)).astype("m8[h]")
    when = pd.Series(np.datetime64("2024-01-01", "us") + hours).dt.tz_localize("UTC")
    return X.assign(when=when.where(np.arange(n) % 7 > 0), lasts=hours.astype("m8[us]"))


@pytest.mark.parametrize("n_shards", [1, 2])
def test_dates_are_those_of_all_rows(client, frame, n_shards):
    """No partition spans three quarters of a year."""
    X, y = frame
    X = with_dates(X)
    parts = [dd.from_pandas(part, npartitions=5) for part in (X, y)]
    network = DaskNNClassifier(**{**SHORT, "n_shards": n_shards}).fit(*parts)
    settings = {k: v for k, v in SHORT.items() if k in NNClassifier().get_params()}
    local = NNClassifier(**settings).fit(X, y)
    assert "when_year_cos" in network.to_local().encoded_feature_names_
    assert_array_equal(network.to_local().encoded_feature_names_, local.encoded_feature_names_)
    encoded = [one._model.encode(one._features.read(X)) for one in (network.to_local(), local)]
    assert_array_equal(*encoded)
    predicted = network.predict_proba(parts[0]).compute()
    assert_same_predictions(predicted, network.to_local().predict_proba(X))


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda when: when.dt.tz_localize(None), "'date of UTC'.*partition 1 has .*'date'"),
        (lambda when: when.dt.tz_convert("Asia/Tokyo"), "UTC.*'date of Asia/Tokyo'"),
        (
            lambda when: when.astype("i8"),
            "UTC.*partition 1 has the dates and durations {'lasts'",
        ),
    ],
)
def test_dates_that_differ_between_partitions(client, frame, change, match):
    X, y = frame
    X = with_dates(X)
    frames = [X[:600], X[600:].assign(when=change(X["when"][600:]))]
    dX = dd.from_map(lambda i: frames[i], [0, 1], meta=X[:0], enforce_metadata=False)
    with pytest.raises(ValueError, match=f"The parts differ: .*{match}.*one dtype"):
        DaskNNClassifier(**SHORT).fit(dX, dd.from_pandas(y, npartitions=2))


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


def test_several_labels(client, table):
    X, y = table
    Y = np.column_stack([y > 0, y > 1, X[:, 0] > 0]).astype(int)
    network = DaskNNClassifier(**{**SHORT, "class_weight": "balanced"})
    network.fit(*chunked(X, Y))
    proba = network.predict_proba(chunked(X)[0]).compute()
    assert proba.shape == (3000, 3)
    assert_array_equal(network.predict(chunked(X)[0]).compute(), proba > 0.5)


def test_sparse_rows(client, table):
    X, y = table
    X = np.where(np.abs(X) > 1, X, 0)
    blocks, target = chunked(X, y)
    network = DaskNNRegressor(**SHORT).fit(blocks.map_blocks(sparse.csr_matrix), target)
    assert network.to_local()._model.encoder.keeps_sparse
    found = network.predict(blocks.map_blocks(sparse.csr_matrix)).compute()
    assert_allclose(found, network.to_local().predict(sparse.csr_matrix(X)))


# Predictions.


@pytest.mark.parametrize("kind", ["numbers", "bools", "text"])
def test_predicted_labels_have_the_dtype_that_dask_was_told(client, table, kind):
    X, y = table
    labels = {"numbers": y > 0, "bools": y > 0, "text": np.where(y > 0, "up", "down")}[kind]
    labels = labels.astype(int) if kind == "numbers" else labels
    network = DaskNNClassifier(**SHORT).fit(*chunked(X, labels))
    lazy = network.predict(chunked(X)[0])
    assert lazy.dtype == lazy.compute().dtype == labels.dtype
    lazy = network.predict(dd.from_pandas(pd.DataFrame(X), npartitions=2))
    assert lazy.dtype == lazy.compute().dtype


def test_predictions_of_arrays_are_lazy_and_the_local_ones(client, table):
    X, y = table
    labels = np.digitize(y, [-0.5, 0.5])
    dX, dlabels = chunked(X, labels)
    network = DaskNNClassifier(**SHORT).fit(dX, dlabels)
    local = network.to_local()
    assert type(local) is NNClassifier
    for method, shape in [
        ("predict", (3000,)),
        ("predict_proba", (3000, 3)),
        ("decision_function", (3000, 3)),
    ]:
        lazy = getattr(network, method)(dX)
        assert isinstance(lazy, da.Array)
        assert lazy.shape == shape
        assert lazy.numblocks[0] == 6
        assert_same_predictions(lazy.compute(), getattr(local, method)(X))
    single = network.predict_proba(dX.astype(np.float32))
    assert single.dtype == single.compute().dtype == np.float32


def test_predictions_of_frames_keep_the_index(client, frame):
    X, y = frame
    X.index = y.index = np.arange(len(X)) + 100
    dX = dd.from_pandas(X, npartitions=3)
    network = DaskNNClassifier(**SHORT).fit(dX, dd.from_pandas(y, npartitions=3))
    local = network.to_local()
    for method in ("predict", "predict_proba", "decision_function"):
        lazy = getattr(network, method)(dX)
        assert lazy.divisions == dX.divisions
        found, expected = lazy.compute(), getattr(local, method)(X)
        assert_array_equal(found.index, X.index)
        assert_same_predictions(found, expected)
        # Dask knows the types before it computes anything.
        assert type(lazy._meta) is type(found)
        assert_array_equal(lazy._meta.dtypes, found.dtypes)
    assert list(network.predict_proba(dX).columns) == ["no", "yes"]


@pytest.mark.parametrize("as_frame", [False, True], ids=["array", "frame"])
def test_the_network_is_once_in_the_graph_of_predictions(client, table, as_frame):
    X, y = chunked(*table, size=300)
    network = DaskNNRegressor(**{**SHORT, "hidden_layer_sizes": (128, 128), "max_iter": 1})
    if as_frame:
        X, y = dd.from_dask_array(X), dd.from_dask_array(y)
    lazy = network.fit(X, y).predict(X)
    lazy = lazy.optimize() if as_frame else dask.optimize(lazy)[0]
    # Dask serializes each task by itself, so only one task may contain the network.
    sizes = [len(cloudpickle.dumps(task)) for task in dict(lazy.__dask_graph__()).values()]
    of_network = len(pickle.dumps(network.to_local()))
    assert np.sum(np.array(sizes) > of_network / 2) == 1
    assert lazy.compute().shape == (3000,)


WITH_STD = {
    "members": (DaskNNRegressor, {"n_members": 3}, 1),
    "outputs": (DaskNNRegressor, {"n_members": 2}, 2),
    "normal": (DaskNNRegressor, {"loss": "normal", "n_members": 1}, 1),
    "normal members": (DaskNNRegressor, {"loss": "normal", "n_members": 2}, 2),
    "probabilities": (DaskNNClassifier, {"n_members": 2}, 1),
}


@pytest.mark.parametrize(("cls", "options", "n_outputs"), WITH_STD.values(), ids=WITH_STD)
def test_standard_deviations_are_lazy_and_the_local_ones(
    client, table, cls, options, n_outputs
):
    X, y = (part[:600] for part in table)
    y = np.column_stack([y, 3 - 100 * y]) if n_outputs > 1 else y
    y = y > 0 if cls is DaskNNClassifier else y
    rows, y = chunked(X, y, size=200)
    network = cls(**{**SHORT, **options, "max_iter": 1}).fit(rows, y)
    method = "predict_proba" if cls is DaskNNClassifier else "predict"
    expected = getattr(network.to_local(), method)(X, return_std=True)
    for kind in (rows, rows.astype(np.float32), dd.from_dask_array(rows)):
        lazy = getattr(network, method)(kind, return_std=True)
        assert isinstance(lazy, tuple)
        single = isinstance(kind, da.Array) and kind.dtype == np.float32
        for one, values, other in zip(lazy, dask.compute(*lazy), expected, strict=True):
            assert type(one) is type(getattr(network, method)(kind))
            assert one.ndim == values.ndim == other.ndim
            assert np.asarray(values).dtype == (np.float32 if single else np.float64)
            assert_allclose(values, other, rtol=1e-3, atol=1e-6 * np.abs(other).max())


# Older versions of Dask ask why the cluster is not used: its calls could not be counted.
@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")
def test_one_pass_computes_predictions_and_standard_deviations(client, table, monkeypatch):
    X, y = chunked(*table)
    network = DaskNNRegressor(**SHORT, loss="normal").fit(X, y)
    calls, predict = [], NNRegressor.predict

    def counted(self, X, return_std=False):
        calls.append(len(X))
        return predict(self, X, return_std)

    monkeypatch.setattr(NNRegressor, "predict", counted)
    frame = dd.from_dask_array(X)
    for rows in (X, frame, frame[frame[0] > 100]):
        lazy = network.predict(rows, return_std=True)
        assert not calls
        mean, std = dask.compute(*lazy, scheduler="synchronous")
        assert len(mean) == len(std) == sum(calls)
        calls.clear()
    assert lazy[0].name == "prediction" and lazy[1].name == "std"


def test_no_standard_deviation(client, plain_fit, table):
    X, _ = chunked(*table)
    with pytest.raises(ValueError, match="return_std=True needs a network that predicts"):
        plain_fit.predict(X, return_std=True)
    with pytest.raises(NotFittedError):
        DaskNNRegressor().predict(X, return_std=True)


def test_predictions_need_no_client(cluster, table):
    X, y = chunked(*table)
    with Client(cluster):
        network = DaskNNRegressor(**SHORT).fit(X, y)
    found = network.predict(X).compute(scheduler="synchronous")
    assert_same_predictions(found, network.to_local().predict(table[0]))


def test_several_outputs_and_quantiles(client, table):
    X, y = table
    dX, dY = chunked(X, np.column_stack([y, -y]))
    network = DaskNNRegressor(**SHORT).fit(dX, dY)
    assert network.predict(dX).compute().shape == (3000, 2)
    network = DaskNNRegressor(**SHORT, loss="quantile", quantile=[0.1, 0.9])
    assert network.fit(dX, dY[:, 0]).predict(dX).compute().shape == (3000, 2)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (DaskNNClassifier, {}),
        (DaskNNRegressor, {}),
        (DaskNNRegressor, {"loss": "quantile", "quantile": [0.1, 0.9]}),
    ],
    ids=str,
)
def test_scores_are_the_local_ones(client, table, cls, options):
    X, y = table
    y = y > 0 if cls is DaskNNClassifier else y
    weight = np.random.default_rng(0).uniform(size=3000)
    names = [f"x{i}" for i in range(6)]
    frames = pd.DataFrame(X, columns=names), pd.Series(y), pd.Series(weight)
    collections = [dd.from_pandas(frame, npartitions=2) for frame in frames]
    network = cls(**SHORT, **options).fit(*collections)
    local = network.to_local()
    assert_allclose(network.score(*collections[:2]), local.score(*frames[:2]), rtol=1e-12)
    assert_allclose(network.score(*collections), local.score(*frames), rtol=1e-12)
    with pytest.raises(NotFittedError):
        clone(network).score(*collections)


def test_prediction_of_other_columns(client, frame):
    X, y = frame
    dX = dd.from_pandas(X, npartitions=2)
    network = DaskNNClassifier(**SHORT).fit(dX, dd.from_pandas(y, npartitions=2))
    with pytest.raises(ValueError, match="3 features"):
        network.predict(dX[["size", "color", "age"]])
    with pytest.raises(ValueError, match="in this order"):
        network.predict(dX[["age", "size", "color", "maker"]])
    with pytest.raises(TypeError, match="Dask"):
        network.predict(X)


# Odd and bad input.


@pytest.mark.parametrize("as_frame", [False, True], ids=["array", "frame"])
def test_y_of_one_column(client, plain_fit, table, as_frame):
    X, _ = chunked(*table)
    column = chunked(table[1][:, np.newaxis])[0]
    column = dd.from_dask_array(column, columns=["y"]) if as_frame else column
    with pytest.warns(DataConversionWarning, match="column-vector") as caught:
        network = DaskNNRegressor(**SHORT).fit(X, column)
    assert [one.filename for one in caught] == [__file__]
    # The workers get a y of one dimension, about which they do not warn again.
    with pytest.warns(DataConversionWarning):
        parts = partitions(X, column, None).parts
    assert {part[1].compute().ndim for part in parts} == {1}
    assert_array_equal(network.coefs_[0], plain_fit.coefs_[0])


def test_unknown_chunk_sizes(client, plain_fit, table):
    X, y = chunked(*table)
    known = plain_fit
    unknown = [dd.from_dask_array(a).to_dask_array() for a in (X, y)]
    assert np.isnan(unknown[0].shape[0])
    network = DaskNNRegressor(**SHORT).fit(*unknown)
    assert_array_equal(network.coefs_[0], known.coefs_[0])
    assert_array_equal(
        network.predict(unknown[0]).compute(), known.to_local().predict(table[0])
    )
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        network.fit(unknown[0], y.rechunk(1000))


def test_known_chunks_that_differ_are_matched(client, plain_fit, table):
    X, y = chunked(*table)
    found = DaskNNRegressor(**SHORT).fit(X.rechunk((500, 2)), y.rechunk(700))
    assert_array_equal(found.coefs_[0], plain_fit.coefs_[0])
    with pytest.raises(ValueError, match="3000 rows, but y or sample_weight has 2999"):
        DaskNNRegressor(**SHORT).fit(X, y[:-1])


def test_partitions_of_unequal_length(client, frame):
    X, y = frame
    with pytest.raises(ValueError, match=r"Partition 0: .* the shapes \(600, 4\), \(550,\)\."):
        DaskNNClassifier(**SHORT).fit(
            dd.from_pandas(X, npartitions=2), dd.from_pandas(y[:-100], npartitions=2)
        )


def test_partitions_without_rows(client, frame):
    X, y = frame
    dX, dy = (dd.from_pandas(part, npartitions=4) for part in (X, y))
    # The last two of four partitions become empty.
    young = [part.map_partitions(lambda rows: rows.loc[:599]) for part in (dX, dy)]
    network = DaskNNClassifier(**SHORT).fit(*young)
    assert network.n_shards_ == 2
    whole = (dd.from_pandas(part[:600], npartitions=2) for part in (X, y))
    expected = DaskNNClassifier(**SHORT).fit(*whole)
    assert_array_equal(network.coefs_[0], expected.coefs_[0])
    assert len(network.predict(young[0]).compute()) == 600
    assert len(network.predict_proba(young[0]).compute()) == 600
    with pytest.raises(ValueError, match="no rows"):
        network.fit(*(part.map_partitions(lambda rows: rows.loc[:-1]) for part in young))


def test_rows_without_weight_are_no_rows(client, table):
    X, y = table
    weight = np.ones(3000)
    weight[:500] = 0
    y_odd = np.where(weight > 0, y, 1e6)
    ours = DaskNNRegressor(**SHORT).fit(*chunked(X, y_odd, weight))
    theirs = DaskNNRegressor(**SHORT).fit(*chunked(X[500:], y[500:], weight[500:]))
    assert_array_equal(ours.coefs_[0], theirs.coefs_[0])


def test_a_partition_that_lacks_a_class(client, table):
    X, y = table
    order = np.argsort(y)
    labels = np.array(["high", "low", "middle"])[np.digitize(y, [-1, 0.5])]
    dX, dlabels = chunked(X[order], labels[order])
    network = DaskNNClassifier(**{**SMALL, "max_iter": 12}, n_shards=2, local_steps=4)
    network.fit(dX, dlabels)
    assert_array_equal(network.classes_, ["high", "low", "middle"])
    assert network.predict_proba(dX).shape == (3000, 3)
    # Although the rows are sorted by class, the loss is far below that of constant guesses.
    shares = np.unique(labels, return_counts=True)[1] / 3000
    loss = log_loss(labels, network.to_local().predict_proba(X))
    assert loss < 0.8 * -np.sum(shares * np.log(shares))


def test_columns_that_differ_between_partitions(client):
    frames = [
        pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]}),
        pd.DataFrame({"a": [1.0, 2.0], "c": [1.0, 2.0]}),
    ]
    X = dd.from_map(lambda i: frames[i], [0, 1], meta=frames[0])
    y = dd.from_pandas(pd.Series([0.0, 1.0, 2.0, 3.0]), npartitions=2)
    with pytest.raises(ValueError, match=r"partition 1 has the columns \['a', 'c'\]"):
        DaskNNRegressor(**SHORT).fit(X, y)


def test_kinds_that_differ_between_partitions(client):
    frames = [pd.DataFrame({"a": ["x", "y"]}), pd.DataFrame({"a": [1.0, 2.0]})]
    X = dd.from_map(lambda i: frames[i], [0, 1], meta=frames[0])
    y = dd.from_pandas(pd.Series([0.0, 1.0, 2.0, 3.0]), npartitions=2)
    with pytest.raises(ValueError, match=r"categories \['a'\], but partition 1 .* \[\]"):
        DaskNNRegressor(**SHORT).fit(X, y)
    both = [pd.DataFrame({"a": pd.Categorical(f["a"])}) for f in frames]
    X = dd.from_map(lambda i: both[i], [0, 1], meta=both[0])
    with pytest.raises(ValueError, match="levels .* cannot be compared: .* in all parts"):
        DaskNNRegressor(**SHORT).fit(X, y)


def test_a_category_without_a_value_in_a_partition(client, frame):
    X, y = frame
    X["color"] = X["color"].astype(object)
    frames = [X[:600], X[600:].assign(color=np.nan)]
    dX = dd.from_map(lambda i: frames[i], [0, 1], meta=X[:0])
    dy = dd.from_pandas(y, npartitions=2)
    with pytest.raises(ValueError, match=r"categorical_features=\['color', 'maker'\]"):
        DaskNNClassifier(**SHORT).fit(dX, dy)
    named = DaskNNClassifier(**SHORT, categorical_features=["color", "maker"]).fit(dX, dy)
    assert_array_equal(named.to_local()._model.reader.levels_[0], ["blue", "green", "red"])


def test_rows_that_are_sparse_in_some_partitions(client, table):
    X, y = chunked(*table, size=1500)
    mixed = X.map_blocks(
        lambda rows, block_info: (
            sparse.csr_matrix(rows) if block_info[0]["chunk-location"][0] else rows
        ),
        dtype=float,
    )
    with pytest.raises(ValueError, match="partition 0 has dense rows, but partition 1 has sp"):
        DaskNNRegressor(**SHORT).fit(mixed, y)


def test_labels_that_differ_between_partitions(client):
    parts = [np.array(["a", "b"]), np.array([1, 2])]
    blocks = [da.from_delayed(dask.delayed(part), (2,), dtype=object) for part in parts]
    y = da.concatenate(blocks)
    X = da.zeros((4, 1), chunks=(2, 1))
    with pytest.raises(ValueError, match="text in partition 0, but 1 column"):
        DaskNNClassifier(**SHORT).fit(X, y)


def test_bad_values_name_their_partition(client, table):
    X, y = table
    X[1700, 0] = np.inf
    with pytest.raises(ValueError, match="Partition 3: Input X contains infinity"):
        DaskNNRegressor(**SHORT).fit(*chunked(X, y))


def test_kinds_that_are_not_read_name_their_partition(client, table):
    X, y = table
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    dates = pd.Series(pd.date_range("2026-01-01", periods=len(y)))
    good = [dd.from_pandas(part, npartitions=2) for part in (frame, pd.Series(y))]
    bad = dd.from_pandas(frame.assign(x1=frame["x1"] + 1j), npartitions=2)
    with pytest.raises(ValueError, match="Partition .: Column 'x1' of X holds complex"):
        DaskNNRegressor(**SHORT).fit(bad, good[1])
    with pytest.raises(ValueError, match="Partition .: sample_weight holds dates"):
        DaskNNRegressor(**SHORT).fit(*good, dd.from_pandas(dates, npartitions=2))
    network = DaskNNRegressor(**SHORT).fit(*good)
    with pytest.raises(ValueError, match="Column 'x1' of X holds complex"):
        network.predict(bad).compute()


def test_y_that_the_loss_does_not_know_names_its_partition(client, table):
    X, y = table
    y = np.abs(y)
    y[1700] = -1
    with pytest.raises(ValueError, match="Partition 3: loss='poisson' needs"):
        DaskNNRegressor(**SHORT, loss="poisson").fit(*chunked(X, y))


def test_no_client(table):
    with pytest.raises(ValueError, match="no Dask client.*client = Client"):
        DaskNNRegressor(**SHORT).fit(*chunked(*table))


def test_a_fit_in_a_task(client, table):
    X, y = chunked(*table)
    future = client.submit(lambda: DaskNNRegressor(**SHORT).fit(X, y), pure=False)
    with pytest.raises(ValueError, match="in a Dask task.*from the client"):
        future.result(timeout=HANGING)


def test_a_client_that_is_closed(cluster, table):
    with Client(cluster) as closed:
        pass
    with pytest.raises(ValueError, match="client is closed.*client = Client"):
        DaskNNRegressor(**SHORT, client=closed).fit(*chunked(*table))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_no_dask_collection(table, which):
    arguments = chunked(*table, np.ones(3000))
    arguments[which] = np.ones((3000, 6)) if which == 0 else np.ones(3000)
    with pytest.raises(TypeError, match="must be a Dask array, DataFrame or Series"):
        DaskNNRegressor(**SHORT).fit(*arguments)


def test_one_dimension(table):
    _, y = chunked(*table)
    with pytest.raises(ValueError, match="two dimensions"):
        DaskNNRegressor(**SHORT).fit(y, y)


# The network, and workers that die.


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


def test_a_worker_dies(client_of_processes, table, monkeypatch):
    X, y = chunked(*table, size=250)
    settings = {**SMALL, "max_iter": 4, "batch_size": 20, "early_stopping": True}
    settings |= {"n_shards": 3, "local_steps": 5}
    # Another worker must draw the same random numbers and restore the same state.
    settings |= {"dropout": 0.2, "n_members": 2, "numeric_embedding": "periodic"}
    settings |= {"ema_decay": 0.9}
    undisturbed = DaskNNRegressor(**settings).fit(X, y)
    worker, pid = sorted(client_of_processes.run(os.getpid).items())[1]
    submit_round, submitted = epochs.ClusterEpoch._submit_round, []

    def submit_round_and_kill(epoch, number):
        futures = submit_round(epoch, number)
        submitted.append(number)
        # This is the middle of the second epoch of nine rounds, while this round is computed.
        if len(submitted) == 14:
            # Windows has no SIGKILL. There, any signal of os.kill ends a process at once.
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        return futures

    monkeypatch.setattr(epochs.ClusterEpoch, "_submit_round", submit_round_and_kill)
    disturbed = DaskNNRegressor(**settings).fit(X, y)
    assert len(submitted) == 4 * 9
    assert worker not in client_of_processes.nthreads()
    assert disturbed.loss_curve_ == undisturbed.loss_curve_
    assert disturbed.validation_scores_ == undisturbed.validation_scores_
    assert_array_equal(disturbed.to_local()._model.params, undisturbed.to_local()._model.params)


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


def test_constraints_are_checked_against_the_columns(client, frame):
    X, y = (dd.from_pandas(one, npartitions=3) for one in frame)
    for cst, message in (
        ({"color": 1}, "Categorical features cannot have"),
        ({"height": 1}, "contains 1 unexpected feature names: \\['height'\\]"),
    ):
        with pytest.raises(ValueError, match=message):
            DaskNNClassifier(**SHORT, monotonic_cst=cst).fit(X, y)


# Searches, through joblib.


def process(estimator, X, y):
    return os.getpid()


@pytest.mark.parametrize("kind", [GridSearchCV, HalvingGridSearchCV])
def test_search(client_of_processes, table, kind):
    """The workers do the work, and the best parameters and scores are the local ones."""
    network = PlainRegressor(
        (8,),
        max_iter=5,
        learning_rate="cosine",
        learning_rate_init=0.01,
        dtype="float64",
        random_state=0,
    )
    options = {"cv": 3, "error_score": "raise"}
    if kind is HalvingGridSearchCV:
        options |= {"random_state": 0, "min_resources": 200}
    alphas = {"alpha": [1e-6, 1e-2, 1.0]}
    local = kind(network, alphas, **options).fit(*table)
    with joblib.parallel_config(backend="dask"):
        search = kind(network, alphas, **options).fit(*table)
        processes = kind(network, alphas, scoring=process, **options).fit(*table).cv_results_
    assert search.best_params_ == local.best_params_
    scores = [one.cv_results_["mean_test_score"] for one in (search, local)]
    assert_allclose(*scores, rtol=1e-6)
    found = {pid for i in range(3) for pid in processes[f"split{i}_test_score"].astype(int)}
    assert found <= set(client_of_processes.run(os.getpid).values())


def test_text_that_is_numbers_or_dates(client):
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(600), unit="h")
    numbers = np.random.default_rng(0).lognormal(5, 2, 600).round(2)
    rate = np.where(np.arange(600) % 9, numbers / 7, np.nan)
    meant = pd.DataFrame({"day": days, "price": numbers, "rate": rate})
    text = [f"{x:,.2f} EUR" for x in numbers]
    given = pd.DataFrame({"day": days.strftime("%d.%m.%Y %H:%M"), "price": text})
    # Objects that are floats and words, as in a sheet of Excel.
    given["rate"] = pd.Series(rate, dtype=object).fillna("n/a")
    y = dd.from_pandas(pd.Series(np.log(numbers)), npartitions=3)
    fitted = [
        DaskNNRegressor(**SHORT).fit(dd.from_pandas(X, npartitions=3), y).to_local()
        for X in (given, meant)
    ]
    assert_array_equal(fitted[0].predict(given), fitted[1].predict(meant))


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
