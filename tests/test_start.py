"""A fit that starts from another fitted network: ``init``, frozen layers, gentle layers."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from guards import needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet.callbacks import Checkpoint
from sknet.streaming import fit_chunks

#: Steps of this size leave weights of any float64 as they are, up to 1e-10.
NO_STEP = 1e-12
QUICK = {
    "max_iter": 4,
    "learning_rate_init": 0.01,
    "batch_size": 50,
    "n_iter_no_change": np.inf,
}


@pytest.fixture(scope="module")
def frame():
    """A frame with a category of many levels, one of few, missing numbers, and a y."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    X["few"] = pd.Categorical(rng.choice(["x", "y"], 300))
    X["many"] = pd.Categorical(rng.choice([f"level {i}" for i in range(20)], 300))
    X.loc[::9, "b"] = np.nan
    return X, X["a"].to_numpy() + (X["few"] == "x") + 0.1 * rng.normal(size=300)


def network(cls=NNRegressor, **options):
    return cls((8, 6), **{**QUICK, "random_state": 0, **options})


def labels_of(y):
    return np.array(["low", "middle", "high"])[np.digitize(y, [0.0, 1.0])]


def parameters_of(fitted):
    """Return the arrays of each layer of a network that has any, from the input."""
    network, vector = fitted._model.network, fitted._model.params
    layers = {}
    for slot in network.slots:
        layers.setdefault(slot.layer, {})[slot.name] = slot.of(vector)
    return [layers[i] for i in sorted(layers)]


def same_bits(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


# Where the fit begins.


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_it_begins_with_the_weights_of_the_other_network(frame, cls):
    X, y = frame
    y = labels_of(y) if cls is NNClassifier else y
    other = network(cls, max_iter=20).fit(X, y)
    started = network(cls, random_state=1, learning_rate_init=NO_STEP).fit(X, y, init=other)
    for now, then in zip(parameters_of(started), parameters_of(other), strict=True):
        for name in now:
            assert_allclose(now[name], then[name], atol=1e-10)
    assert started._model.encoder.features_[1:] == other._model.encoder.features_[1:]


def test_numbers_in_another_unit_are_predicted_as_before(frame):
    """y of the new rows has its own scale, for which the output layer is changed."""
    X, y = frame
    other = network(max_iter=60, learning_rate_init=0.01).fit(X, y)
    few = X.iloc[:40]
    started = network(learning_rate_init=NO_STEP).fit(few, y[:40], init=other)
    assert started._model.target.scale_ != other._model.target.scale_
    assert_allclose(started.predict(X), other.predict(X), atol=1e-8)


OUTPUTS = {
    "labels": (NNClassifier, labels_of),
    "fewer labels": (NNClassifier, lambda y: y > 0.5),
    "several labels": (NNClassifier, lambda y: np.column_stack([y > 0, y > 1, y > 2])),
    "numbers": (NNRegressor, lambda y: y),
    "another number": (NNRegressor, lambda y: np.random.default_rng(0).normal(size=len(y))),
    "two numbers": (NNRegressor, lambda y: np.column_stack([y, -y])),
}


def test_a_new_output_layer_does_not_begin_with_the_draw_of_the_old_one(frame):
    """With the seed of the other fit, its trained weights would be close to the new ones."""
    X, y = frame
    other = network(NNRegressor, max_iter=20).fit(X, y)
    started = network(NNRegressor, frozen_layers=2, learning_rate_init=NO_STEP)
    started.fit(X, -y + y.mean(), init=other)
    old, new = (parameters_of(one)[-1]["weight"].ravel() for one in (other, started))
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.7


@pytest.mark.parametrize("now", OUTPUTS)
@pytest.mark.parametrize("before", ["labels", "numbers"])
def test_other_outputs_begin_anew(frame, before, now):
    """The layers below are taken over; the output layer only where it predicts this y."""
    X, y = frame
    (cls, make_y), (other_cls, make_other) = OUTPUTS[now], OUTPUTS[before]
    other = network(other_cls, max_iter=20).fit(X, make_other(y))
    started = network(cls, frozen_layers=2, learning_rate_init=NO_STEP)
    started.fit(X, make_y(y), init=other)
    *body, (mine, theirs) = zip(parameters_of(started), parameters_of(other), strict=True)
    assert all(same_bits(*pair) for pair in body)
    same_shape = mine["weight"].shape == theirs["weight"].shape
    kept = same_shape and np.allclose(mine["weight"], theirs["weight"], atol=1e-10)
    assert kept == (now == before)
    started.set_params(learning_rate_init=0.05, max_iter=20).fit(X, make_y(y), init=other)
    assert started.score(X, make_y(y)) > (-0.1 if now == "another number" else 0.5)


def test_the_network_itself_can_be_the_start(frame):
    X, y = frame
    started = network(NNClassifier).fit(X, labels_of(y))
    bits = started.coefs_[0].copy()
    started.set_params(frozen_layers=1).fit(X, y > 0.5, init=started)
    assert_array_equal(started.coefs_[0], bits)
    assert list(started.classes_) == [False, True]


# What stays, and what changes gently.

LEARNS = {
    "plain": {},
    "decay": {"solver": "adamw", "alpha": 0.1, "l1_ratio": 0.5},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.05},
    "average": {"ema_decay": 0.9, "dropout": 0.2},
    "layer": {"normalization": "layer"},
    "default": {
        "learning_rate": "one_cycle",
        "early_stopping": True,
        "numeric_embedding": "periodic",
    },
    "members": {"n_members": 3, "share_weights": True},
    "separate": {
        "n_members": 2,
        "share_weights": False,
        "numeric_embedding": "periodic",
        "early_stopping": True,
    },
    "additive": {"interaction_cst": "no_interactions", "numeric_embedding": "piecewise_linear"},
    "pairs": {"interaction_cst": "pairwise"},
    "monotone": {"monotonic_cst": {"a": 1}},
    "components": {"numeric_embedding": "piecewise_linear", "n_components": 2},
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("options", LEARNS)
def test_frozen_layers_keep_their_bits(frame, options):
    X, y = frame
    options = {"max_iter": 6, **LEARNS[options]}
    other = network(NNRegressor, **options).fit(X, y)
    first = range(other._model.network.hidden_ends[0] + 1)
    n_frozen = len({slot.layer for slot in other._model.network.slots if slot.layer in first})
    started = network(NNClassifier, **options, frozen_layers=1, random_state=1)
    for step in ("init", "partial_fit", "warm_start"):
        if step == "init":
            started.fit(X, y > 0.5, init=other)
        elif step == "partial_fit":
            started.partial_fit(X, y > 0.5)
        else:
            started.set_params(warm_start=True).fit(X, y > 0.5)
        layers = list(zip(parameters_of(started), parameters_of(other), strict=True))
        assert 0 < n_frozen < len(layers)
        assert [same_bits(*pair) for pair in layers[:-1]] == [
            i < n_frozen for i in range(len(layers) - 1)
        ]


@pytest.mark.parametrize("n_frozen", [1, 2])
def test_passes_with_layers_frozen_later_keep_their_bits(frame, n_frozen):
    """The running average of the frozen layers does not move toward their last weights."""
    X, y = frame
    started = network().partial_fit(X, y)
    before = started.coefs_
    started.set_params(frozen_layers=n_frozen).partial_fit(X, y)
    same = [np.array_equal(*pair) for pair in zip(started.coefs_, before, strict=True)]
    assert same == [i < n_frozen for i in range(3)]


def test_gentle_layers_make_smaller_steps(frame):
    """One step of gradient descent: the factor is that of the step."""
    X, y = frame
    other = network().fit(X, y)
    descent = {"solver": "sgd", "momentum": 0, "batch_size": 300, "max_iter": 1, "alpha": 0.0}
    steps = {}
    for factor in (1.0, 0.25):
        options = {**descent, "hidden_rate_factor": factor, "learning_rate_init": 0.1}
        started = network(**options).fit(X, y, init=other)
        steps[factor] = [a - b for a, b in zip(started.coefs_, other.coefs_, strict=True)]
    for whole, gentle in zip(steps[1.0][:-1], steps[0.25][:-1], strict=True):
        assert_allclose(gentle, whole / 4, atol=1e-12)
    assert_allclose(steps[0.25][-1], steps[1.0][-1], atol=1e-12)


def test_two_threads_step_on_the_same_stretches(frame, monkeypatch):
    X, y = frame
    other = network().fit(X, y)
    found = []
    for n_threads in (1, 2):
        monkeypatch.setattr("sknet._run.n_threads", lambda n=n_threads: n)
        started = network(frozen_layers=1, hidden_rate_factor=0.5, solver="adamw", alpha=0.1)
        found.append(started.fit(X, y, init=other)._model.params)
    assert_array_equal(*found)


# What scikit-learn's users expect.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_weight_of_two_is_a_repeated_row(frame):
    X, y = frame
    other = network().fit(X, y)
    weight = np.where(np.arange(300) < 50, 2, 1)
    repeated = X.iloc[np.repeat(np.arange(300), weight)].reset_index(drop=True)
    options = {"solver": "lbfgs", "max_iter": 5}
    one = network(**options).fit(X, 2 * y, sample_weight=weight, init=other)
    two = network(**options).fit(repeated, np.repeat(2 * y, weight), init=other)
    assert_allclose(one.predict(X), two.predict(X), rtol=1e-6)


def test_a_search_over_frozen_layers_in_a_pipeline(frame):
    X, y = frame
    X, y = X[["a", "c"]].to_numpy(), y
    other = network().fit(StandardScaler().fit_transform(X), y)
    grid = {"nnregressor__frozen_layers": [0, 2], "nnregressor__hidden_rate_factor": [0.1, 1.0]}
    with sklearn.config_context(enable_metadata_routing=True):
        last = network().set_fit_request(init=True)
        search = GridSearchCV(make_pipeline(StandardScaler(), last), grid, cv=2)
        search.fit(X, y, init=other)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_[-1]
    assert best._model.encoder is other._model.encoder
    assert not hasattr(best, "init")
    assert_array_equal(pickle.loads(pickle.dumps(best)).coefs_[0], best.coefs_[0])


@needs_callbacks
def test_it_is_resumed_from_a_checkpoint_with_the_same_bits(frame, tmp_path):
    X, y = frame
    path, other = tmp_path / "network.joblib", network().fit(X, y)
    options = {"frozen_layers": 1, "hidden_rate_factor": 0.5, "n_iter_no_change": np.inf}
    whole = network(NNClassifier, **options, max_iter=6).fit(X, y > 0.5, init=other)
    part = network(NNClassifier, **options, max_iter=3).set_callbacks(Checkpoint(path))
    part.fit(X, y > 0.5, init=other)
    resumed = network(NNClassifier, **options, max_iter=6).fit(X, y > 0.5, resume_from=path)
    assert_array_equal(resumed._model.params, whole._model.params)
    with pytest.raises(ValueError, match="Leave init out"):
        part.set_callbacks().fit(X, y > 0.5, resume_from=path, init=other)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix, np.asarray])
def test_sparse_and_dense_rows_start_from_each_other(make):
    X = np.random.default_rng(0).poisson(0.5, (200, 6)).astype(float)
    y = X[:, 0] - X[:, 1]
    for other in (
        sknet.NNRegressor((8,), max_iter=3).fit(one, y) for one in (X, sparse.csr_array(X))
    ):
        started = sknet.NNRegressor((8,), max_iter=3, frozen_layers=1, random_state=0)
        started.fit(make(X), y, init=other)
        assert_allclose(started.coefs_[0], other.coefs_[0])


def test_levels_that_the_other_network_lacks_are_missing_values(frame):
    X, y = frame
    other = network().fit(X[X["few"] == "x"], y[X["few"] == "x"])
    started = network(NNClassifier).fit(X, labels_of(y), init=other)
    assert started.predict(X).shape == y.shape


def test_layers_that_auto_takes_from_the_other_network(frame):
    """Whatever describes each layer must suit them, and not the usual two layers."""
    X, y = frame
    other = network().set_params(hidden_layer_sizes=(8, 6, 4)).fit(X, y)
    started = network().set_params(hidden_layer_sizes="auto", frozen_layers=3)
    started.set_params(activation=["relu"] * 3, dropout=[0.1] * 3).fit(X, y, init=other)
    assert started.auto_params_["hidden_layer_sizes"] == (8, 6, 4)
    for now, then in zip(started.coefs_[:3], other.coefs_[:3], strict=True):
        assert_array_equal(now, then)


# What is refused before any training.

REFUSED = {
    "hidden_layer_sizes": (
        (8, 7),
        "hidden_layer_sizes is .8, 7., but .* in the fitted network",
    ),
    "activation": ("tanh", "activation is .*, but .* in the fitted network"),
    "standardize": (False, "standardize is .*, but .* in the fitted network"),
    "numeric_embedding": ("periodic", "numeric_embedding is .*, but .* in the fitted network"),
    "n_members": (2, "n_members is .*, but .* in the fitted network"),
    "categorical_features": (
        ["few"],
        "categorical_features is .*, but .* in the fitted network",
    ),
    "monotonic_cst": ({"a": 1}, "monotonic_cst differs from that in the fitted network"),
    "interaction_cst": ("pairwise", "interaction_cst differs from that in the fitted network"),
    "frozen_layers": (3, "more than the number of hidden layers, 2"),
    "solver": ("lbfgs", "cannot use frozen_layers=1"),
    "loss": ("poisson", "NNRegressor|loss='poisson'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_layers_are_refused(frame, forbid_training, name):
    X, y = frame
    other = network().fit(X, y)
    value, message = REFUSED[name]
    started = network(frozen_layers=1).set_params(**{name: value})
    before = joblib.hash(vars(started))
    forbid_training()
    with pytest.raises(ValueError, match=message):
        started.fit(X, y, init=other)
    assert joblib.hash(vars(started)) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda X: X.rename(columns={"b": "bb"}),
            r"unseen at fit time:\n- bb\n.*missing:\n- b\n",
        ),
        (lambda X: X.drop(columns="c"), r"(?s)missing:\n- c|- c"),
        (lambda X: X[["c", "b", "a", "few", "many"]], "same order"),
        (lambda X: X.assign(few=1.0), "few"),
        (lambda X: X.assign(d=1.0), "unseen at fit time:\n- d"),
        (lambda X: X.assign(d="text"), "unseen at fit time:\n- d"),
        (lambda X: X.assign(d=np.datetime64("2026", "s")), "unseen at fit time:\n- d"),
    ],
)
def test_other_columns_are_refused(frame, forbid_training, change, message):
    X, y = frame
    other = network().fit(X, y)
    forbid_training()
    with pytest.raises(ValueError, match=message):
        network().fit(change(X), y, init=other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frozen_layers": 2}, "frozen_layers=2 is more than the number of hidden layers, 1"),
        ({"activation": ["silu"] * 2}, "activation has length 2, but the number of .* is 1"),
        ({"dropout": [0.1] * 2}, "dropout has length 2, but the number of hidden layers is 1"),
    ],
)
def test_what_does_not_suit_the_layers_of_auto_is_refused(
    frame, forbid_training, options, message
):
    X, y = frame
    other = network().set_params(hidden_layer_sizes=8).fit(X, y)
    started = network().set_params(hidden_layer_sizes="auto", **options)
    forbid_training()
    with pytest.raises(ValueError, match=message):
        started.fit(X, y, init=other)


def test_what_is_no_fitted_network_is_refused(frame, forbid_training):
    X, y = frame
    forbid_training()
    with pytest.raises(TypeError, match="^init must be .*got Pipeline"):
        network().fit(X, y, init=make_pipeline(network()))
    with pytest.raises(sklearn.exceptions.NotFittedError, match="^init: this NNRegressor"):
        network().fit(X, y, init=network())


@pytest.mark.parametrize("way", ["fit", "partial_fit", "chunks"])
def test_frozen_layers_without_a_start_are_refused(frame, forbid_training, way):
    X, y = frame
    started = network(frozen_layers=1)
    forbid_training()
    with pytest.raises(ValueError, match="Pass one as init to the method fit"):
        if way == "chunks":
            fit_chunks(started, [(X, y)])
        else:
            getattr(started, way)(X, y)


# What it is for.


def test_fine_tuning_on_few_rows_of_a_shifted_table():
    """200 rows of a table whose relation has changed a little: less than 0.9 of the error."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 5))

    def y_of(X, shift):
        return np.sin(2 * X[:, 0] + shift) + X[:, 1] * X[:, 2] + shift * X[:, 3]

    other = sknet.NNRegressor(max_iter=30, random_state=0).fit(X[:3000], y_of(X[:3000], 0.0))
    few, test = X[3000:3200], X[3200:]
    options = {"n_members": 1, "share_weights": True, "random_state": 0}
    fresh = sknet.NNRegressor(**options).fit(few, y_of(few, 0.3))
    tuned = clone(fresh).set_params(hidden_rate_factor=0.5).fit(few, y_of(few, 0.3), init=other)
    errors = [mean_squared_error(y_of(test, 0.3), one.predict(test)) for one in (tuned, fresh)]
    assert errors[0] < 0.9 * errors[1]
