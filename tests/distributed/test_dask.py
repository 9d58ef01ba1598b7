"""The Dask estimators on a real cluster, and scikit-learn's searches over it."""

import json
import os
import pickle
import signal
import sys
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
from guards import HANGING
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNRegressor as PlainRegressor
from scipy import sparse
from shards import ESTIMATORS, SHORT, SMALL, chunked
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from sknet import NNClassifier, NNRegressor
from sknet.distributed import DaskNNClassifier, DaskNNRegressor, epochs
from sknet.distributed.partitions import partitions
from sknet.inspection import summary

#: One process of pytest-xdist starts the cluster and runs all tests that need it.
pytestmark = pytest.mark.xdist_group("cluster")


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


@pytest.mark.parametrize("n_shards", [1, 3])
def test_the_card_counts_the_rows_of_all_shards(client, table, n_shards):
    X, y = chunked(*table)
    held_out = {"early_stopping": True, "validation_fraction": 0.2}
    network = DaskNNClassifier(**{**SHORT, **held_out, "n_shards": n_shards}).fit(X, y > 0)
    card = json.loads(json.dumps(summary(network.to_local()).card.to_dict()))
    assert (card["training rows"], card["validation rows"]) == (2400, 600)
    assert card["training ended"] == "after all planned epochs"
    assert card["calibration"].startswith("temperature")


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "sknet.distributed")
    with pytest.raises(ImportError, match=r'distributed.*pip install "\.\[dask\]"'):
        import_module("sknet.distributed")


# Parameters.


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


def test_a_clone_keeps_requests_of_metadata():
    with config_context(enable_metadata_routing=True):
        network = DaskNNRegressor().set_fit_request(sample_weight=True)
        assert clone(network).get_metadata_routing().fit.requests == {"sample_weight": True}


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
        ({"alpha": -1.0}, "'alpha' parameter .* must be"),
        ({"hidden_layer_sizes": (4,), "dropout": [0.1, 0.2]}, "dropout has length 2"),
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


def test_verbose(client, table, capsys):
    DaskNNRegressor(**{**SHORT, "verbose": True}).fit(*chunked(*table))
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


# The agreement of the partitions.


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
    encoded = [one._model.encode(one._last_fit()[0].read(rows)) for one in (network, local)]
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
    both = network.to_local(), local
    encoded = [one._model.encode(one._last_fit()[0].read(X)) for one in both]
    assert_array_equal(*encoded)
    predicted = network.predict_proba(parts[0]).compute()
    assert_same_predictions(predicted, network.to_local().predict_proba(X))


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda when: when.dt.tz_localize(None), "'date in UTC'.*partition 1 has .*'date'"),
        (lambda when: when.dt.tz_convert("Asia/Tokyo"), "UTC.*'date in Asia/Tokyo'"),
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
    with pytest.raises(ValueError, match="{'X': ., 'y': 3}.*compute_chunk_sizes"):
        network.fit(unknown[0], y.rechunk(1000))


def test_known_chunks_that_differ_are_matched(client, plain_fit, table):
    X, y = chunked(*table)
    found = DaskNNRegressor(**SHORT).fit(X.rechunk((500, 2)), y.rechunk(700))
    assert_array_equal(found.coefs_[0], plain_fit.coefs_[0])
    with pytest.raises(ValueError, match="X and y must have equally .* 3000 and 2999"):
        DaskNNRegressor(**SHORT).fit(X, y[:-1])
    with pytest.raises(ValueError, match="X and sample_weight must have equally many"):
        DaskNNRegressor(**SHORT).fit(X, y, y[:-1])


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
    with pytest.raises(ValueError, match="or name all categories in categorical_features"):
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
    with pytest.raises(TypeError, match="must be a Dask array or a collection"):
        DaskNNRegressor(**SHORT).fit(*arguments)


def test_one_dimension(table):
    _, y = chunked(*table)
    with pytest.raises(ValueError, match="two dimensions"):
        DaskNNRegressor(**SHORT).fit(y, y)


# The network, and workers that die.


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


def test_workers_keep_no_partitions_while_they_train(client, table, monkeypatch):
    """They keep encoded shards, so that a table need not fit into memory twice."""
    X, y = chunked(*table)
    submit_round, in_memory = epochs.ClusterEpoch._submit_round, []

    def shapes(dask_worker):
        return [getattr(value, "shape", None) for value in dict(dask_worker.data).values()]

    def submit_round_and_look(epoch, number):
        futures = submit_round(epoch, number)
        in_memory.append(sum(client.run(shapes).values(), []))
        return futures

    monkeypatch.setattr(epochs.ClusterEpoch, "_submit_round", submit_round_and_look)
    DaskNNRegressor(**{**SMALL, "max_iter": 4, "n_shards": 2, "local_steps": 5}).fit(X, y)
    # The first rounds are submitted while shards are built.
    assert len(in_memory) > 8 and in_memory[-1]
    assert (500, X.shape[1]) not in in_memory[-1]


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
