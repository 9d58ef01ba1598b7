"""skops writes and reads every estimator, and needs to trust nothing but sknet's own list."""

from collections import deque
from importlib import import_module

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from numpy.testing import assert_array_equal, assert_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet._parameters import FLAT_LIST
from sknet.data.columns.scores import NormalScores
from sknet.export import SKOPS_TRUSTED
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.losses import LOSSES, Ordinal
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.schedules import SCHEDULES

REGRESSION_LOSSES = [name for name, loss in LOSSES.items() if loss.task == "regression"]


@pytest.fixture
def round_trip(tmp_path):
    def round_trip(estimator):
        path = tmp_path / "estimator.skops"
        skops.io.dump(estimator, path)
        assert set(skops.io.get_untrusted_types(file=path)) <= set(SKOPS_TRUSTED)
        return skops.io.load(path, trusted=SKOPS_TRUSTED)

    return round_trip


def assert_same(loaded, estimator, X):
    assert repr(loaded) == repr(estimator)
    assert_equal(loaded.history_, estimator.history_)  # NaN where there is no score.
    for method in ["predict", "predict_proba"]:
        if hasattr(estimator, method):
            assert_array_equal(getattr(loaded, method)(X), getattr(estimator, method)(X))


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_regression(make, round_trip, frame, later_rows, numbers, loss, members):
    network = make(NNRegressor, loss=loss, n_members=members).fit(frame, np.exp(numbers))
    assert_same(round_trip(network), network, later_rows)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("interaction", [None, "no_interactions", "pairwise"])
def test_monotone_networks(make, round_trip, frame, later_rows, numbers, members, interaction):
    options = {"n_members": members, "numeric_embedding": "periodic"}
    options |= {"interaction_cst": interaction}
    network = make(NNClassifier, monotonic_cst={"year": 1, "price": -1}, **options)
    network.fit(frame, numbers > 0)
    assert_same(round_trip(network), network, later_rows)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("embedding", NUMERIC_EMBEDDINGS)
def test_everything_at_once(make, round_trip, frame, later_rows, numbers, embedding, members):
    network = make(
        NNRegressor,
        [4] * len(ACTIVATIONS),
        list(ACTIVATIONS),
        loss="quantile",
        quantile=[0.1, 0.9],
        normalization="layer",
        numeric_embedding=embedding,
        n_members=members,
        dropout=0.1,
        ema_decay=0.9,
        early_stopping=True,
    ).fit(frame, numbers)
    assert_same(round_trip(network), network, later_rows)


def test_several_targets(make, round_trip, frame, later_rows, numbers):
    y = pd.DataFrame({"size": numbers, "tree": np.where(numbers > 0, "ash", "beech")})
    network = make(NNMultiTarget, targets={"size": "huber"}, n_members=2).fit(frame, y)
    loaded = round_trip(network)
    assert loaded.predict(later_rows).equals(network.predict(later_rows))


def test_numbers_that_span_orders_of_magnitude(make, round_trip):
    X = np.exp(4 * np.random.default_rng(0).normal(size=(300, 2)))
    network = make(NNClassifier, numeric_embedding="periodic").fit(X, X[:, 0] > X[:, 1])
    assert network._model.encoder.of_kind(NormalScores)
    assert_same(round_trip(network), network, X)


def test_dates(make, round_trip, frame, numbers):
    days = (40 * np.arange(len(frame))).astype("m8[D]")
    X = frame.assign(day=np.datetime64("1990-01-01", "us") + days, lasts=days.astype("m8[us]"))
    X["day"] = X["day"].dt.tz_localize("UTC")
    network = make(NNRegressor).fit(X, numbers)
    assert_same(round_trip(network), network, X[::-1])


LABELS = {
    "binary": lambda numbers: numbers > 0,
    "multiclass": lambda numbers: np.where(
        numbers > 1, "high", np.where(numbers < 0, "low", "mid")
    ),
    "objects": lambda numbers: np.where(numbers > 1, "high", "low").astype(object),
    "multilabel": lambda numbers: np.column_stack([numbers > 0, numbers > 1]).astype(int),
}


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
def test_classification(make, round_trip, frame, later_rows, numbers, label, members):
    network = make(NNClassifier, n_members=members).fit(frame, label(numbers))
    loaded = round_trip(network)
    assert_same(loaded, network, later_rows)
    assert_array_equal(loaded.classes_, network.classes_)


@pytest.mark.parametrize("members", [1, 3])
def test_classes_that_have_an_order(make, round_trip, frame, later_rows, numbers, members):
    labels = pd.cut(numbers, [-np.inf, -1, 0, np.inf], labels=["low", "medium", "high"])
    network = make(NNClassifier, loss=Ordinal("cloglog"), n_members=members)
    assert_same(round_trip(network.fit(frame, labels)), network, later_rows)


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_partial_fit_goes_on(make, round_trip, solver):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier, solver=solver, ema_decay=0.9, dropout=0.1)
    network.partial_fit(X, y, classes=[0, 1, 2])
    loaded = round_trip(network)
    assert_same(loaded, network, X)
    network.partial_fit(X, y)
    loaded.partial_fit(X, y)
    assert loaded.loss_curve_ == network.loss_curve_
    assert_array_equal(loaded.predict_proba(X), network.predict_proba(X))


@pytest.mark.parametrize("schedule", SCHEDULES.values())
@pytest.mark.parametrize("solver", OPTIMIZERS.values())
def test_rules_as_parameters(make, round_trip, solver, schedule):
    X, y = load_iris(return_X_y=True)
    activations = [cls() for cls in ACTIVATIONS.values()]
    network = make(
        NNClassifier,
        [3] * len(activations),
        activations,
        solver=solver(),
        learning_rate=schedule(),
        max_iter=1,
        tol=1e9,
        n_iter_no_change=np.inf,
    ).fit(X, y)
    assert_same(round_trip(network), network, X)


def test_a_pipeline_and_an_unfitted_estimator(make, round_trip):
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), make(NNClassifier)).fit(X, y)
    assert_array_equal(round_trip(pipeline).predict_proba(X), pipeline.predict_proba(X))
    assert repr(round_trip(make(NNClassifier))) == repr(make(NNClassifier))


#: Makers of what a constraint of the parameters accepts, by the name of the form. Each takes a
#: list of values.
FLAT_FORMS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "pandas series": pd.Series,
    "pandas index": pd.Index,
    "polars series": pl.Series,
    "deque": deque,
}
GROUP_FORMS = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "range": lambda columns: range(columns[0], columns[-1] + 1),
    "array": np.array,
}
#: Values of the parameters that may be sequences.
SEQUENCES = {
    "hidden_layer_sizes": [4, 3],
    "activation": ["tanh", "relu"],
    "dropout": [0.1, 0.2],
    "monotonic_cst": [1, 0, -1, 0],
    "categorical_features": [1, 3],
    "quantile": [0.1, 0.9],
}


def test_every_parameter_that_takes_a_sequence_is_tried():
    """A new constraint of that kind belongs into the list above."""
    constraints = NNRegressor._parameter_constraints | NNClassifier._parameter_constraints
    found = {
        name
        for name, several in constraints.items()
        if any(one is FLAT_LIST or one in ("array-like", list, tuple) for one in several)
    }
    assert found - {"interaction_cst", "class_weight"} <= set(SEQUENCES)


@pytest.mark.parametrize("form", FLAT_FORMS)
@pytest.mark.parametrize("name", SEQUENCES)
def test_every_form_of_a_sequence(round_trip, name, form):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(60, 1)), rng.integers(3, size=(60, 3))])
    value = FLAT_FORMS[form](SEQUENCES[name])
    options = {"hidden_layer_sizes": (4, 3), "loss": "quantile", "max_iter": 3, name: value}
    network = NNRegressor(**options, learning_rate="cosine", random_state=0).fit(X, X[:, 0])
    loaded = round_trip(network)
    assert getattr(network, name) is value
    assert list(getattr(loaded, name)) == SEQUENCES[name]
    assert_array_equal(loaded.predict(X), network.predict(X))
    assert_array_equal(clone(loaded).fit(X, X[:, 0]).predict(X), network.predict(X))


@pytest.mark.parametrize("outer", [list, tuple])
@pytest.mark.parametrize("form", GROUP_FORMS)
def test_every_form_of_groups(make, round_trip, form, outer):
    X = np.random.default_rng(0).normal(size=(60, 4))
    groups = outer([GROUP_FORMS[form]([0, 1]), GROUP_FORMS[form]([1, 2])])
    network = make(NNRegressor, interaction_cst=groups).fit(X, X[:, 0])
    loaded = round_trip(network)
    assert network.interaction_cst is groups
    kept = set if form == "frozenset" else type(groups[0])
    assert [type(one) for one in loaded.interaction_cst] == [kept, kept]
    assert all(map(np.array_equal, map(list, loaded.interaction_cst), map(list, groups)))
    assert_array_equal(loaded.predict(X), network.predict(X))
    assert_array_equal(clone(loaded).fit(X, X[:, 0]).predict(X), network.predict(X))


class Sine(Activation):
    def forward(self, z, a):
        np.sin(z, out=a)

    def backward(self, z, a, delta):
        delta *= 1 + a


def test_a_users_own_class_is_not_trusted(make, tmp_path):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier, activation=Sine()).fit(X, y)
    skops.io.dump(network, tmp_path / "network")
    untrusted = set(skops.io.get_untrusted_types(file=tmp_path / "network"))
    (own,) = untrusted - set(SKOPS_TRUSTED)
    assert own.endswith("Sine")
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException, match="Sine"):
        skops.io.load(tmp_path / "network", trusted=SKOPS_TRUSTED)


def test_the_list_has_types_of_sknet_and_containers_of_python_alone():
    assert SKOPS_TRUSTED == sorted(set(SKOPS_TRUSTED))
    others = [name for name in SKOPS_TRUSTED if not name.startswith("sknet.")]
    assert others == ["builtins.frozenset", "builtins.range"]
    for registry in [ACTIVATIONS, LOSSES, OPTIMIZERS, SCHEDULES, NUMERIC_EMBEDDINGS]:
        for cls in registry.values():
            assert f"{cls.__module__}.{cls.__name__}" in SKOPS_TRUSTED


def test_types_are_found_where_files_of_any_version_look_for_them():
    for module, _, cls in (name.rpartition(".") for name in SKOPS_TRUSTED):
        assert isinstance(getattr(import_module(module), cls), type)
