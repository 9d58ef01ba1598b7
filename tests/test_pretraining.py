"""Networks that learn the columns of a table from rows without targets."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss, r2_score
from sklearn.semi_supervised import SelfTrainingClassifier

from sknet import NNClassifier, NNRegressor
from sknet.data.batches import Batch
from sknet.data.draws import Corruption
from sknet.nn.joint import loss_of_cells
from sknet.pretraining import pretrain

# Most networks here are trained for a few epochs only.
pytestmark = pytest.mark.filterwarnings("ignore:Pre-training restores changed cells hardly")


@pytest.fixture(scope="module")
def frame():
    """A frame whose columns tell about each other, with missing values and rare levels."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(600, 2))
    X = pd.DataFrame(hidden @ rng.normal(size=(2, 4)), columns=list("abcd"))
    X["few"] = pd.Categorical(np.where(hidden[:, 0] > 0, "x", "y"))
    X["many"] = pd.Categorical(
        [f"level {i}" for i in np.digitize(hidden[:, 1], np.linspace(-2, 2, 20))]
    )
    X["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, 600), "D")
    X.loc[::7, "b"] = np.nan
    X.loc[::11, "few"] = np.nan
    return X, hidden[:, 0] * hidden[:, 1]


def network(cls=NNRegressor, **options):
    return cls((16, 8), **{"max_iter": 5, "random_state": 0, "n_members": 1, **options})


# The loss.


def test_the_loss_is_the_mean_over_columns_of_known_losses():
    rng = np.random.default_rng(0)
    y = np.column_stack(
        [rng.normal(size=(30, 2)), rng.integers(0, 3, 30), rng.integers(0, 2, 30)]
    )
    raw, gradient = rng.normal(size=(30, 7)), np.empty((30, 7))
    value = loss_of_cells(2, (3, 2)).mean(y, raw, None, gradient)
    numbers = ((raw[:, :2] - y[:, :2]) ** 2).sum(axis=1).mean() / 2
    classes = [
        log_loss(y[:, i], np.exp(one) / np.exp(one).sum(axis=1, keepdims=True))
        for i, one in [(2, raw[:, 2:5]), (3, raw[:, 5:])]
    ]
    assert value == pytest.approx((numbers + sum(classes)) / 4)


@pytest.mark.parametrize("n_numbers", [0, 2, 4])
def test_its_gradient_is_that_of_differences(n_numbers):
    """Cells that are NaN add nothing to the value or to the gradient."""
    rng = np.random.default_rng(1)
    loss = loss_of_cells(n_numbers, (3,) * (4 - n_numbers))
    y = rng.integers(0, 3, (20, 4)).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    raw = rng.normal(size=(20, loss.link.n_raw(4)))
    gradient, scratch, along = (
        np.empty_like(raw),
        np.empty_like(raw),
        rng.normal(size=raw.shape),
    )
    loss.mean(y, raw, None, gradient)
    up, down = (loss.mean(y, raw + step * along, None, scratch) for step in (1e-6, -1e-6))
    assert (gradient * along).sum() == pytest.approx((up - down) / 2e-6, rel=1e-6)
    assert loss.mean(np.full_like(y, np.nan), raw, None, gradient) == 0
    assert not gradient.any()


# The changes of cells.


def test_changed_cells_have_values_of_other_rows_and_only_they_are_targets():
    rng = np.random.default_rng(2)
    X = np.arange(3000.0).reshape(1000, 3)  # The columns 1 and 2 come from one column.
    y = X[:, :2].copy()
    change = Corruption(0.3, np.array([0, 1, 1]), np.array([0, 1]), rng)
    changed = change(Batch(X, y))
    scored = ~np.isnan(changed.y)
    assert scored.mean() == pytest.approx(0.3, abs=0.03)
    assert_array_equal(changed.y[scored], y[scored])
    assert_array_equal(changed.X[:, :2][~scored], X[:, :2][~scored])
    assert (changed.X[:, :2][scored] != X[:, :2][scored]).mean() > 0.99
    assert np.isin(changed.X, X).all(axis=0).all()
    assert_array_equal(changed.X[:, 2] - changed.X[:, 1], 1)


# The network that results.


def test_it_predicts_columns_from_the_others(frame):
    """Cells of new rows that it does not see: what a line explains, most of it is explained."""
    X = frame[0][["a", "c", "d"]].to_numpy()
    options = {"max_iter": 60, "dropout": 0.0, "numeric_embedding": None}
    model = pretrain(network(**options), X[:500], corruption=0.2)._model
    encoded = model.encode(X)
    for column, whole in enumerate(encoded[500:].T):
        hidden = X[500:].copy()
        hidden[:, column] = np.random.default_rng(0).permutation(hidden[:, column])
        (predicted,) = model.predict(hidden, lambda raw: (raw,))
        others = np.delete(encoded, column, axis=1)
        line = LinearRegression().fit(others[:500], encoded[:500, column])
        assert line.score(others[500:], whole) > 0.95
        assert r2_score(whole, predicted[:, column]) > 0.6


def test_missing_values_and_unknown_levels_are_not_scored(frame):
    X, _ = frame
    model = pretrain(network(max_iter=1), X)._model
    Y = model.target.transform(model.reader.read(X), np.float64)
    found = dict(zip(model.target.sources.tolist(), np.isnan(Y).T.tolist(), strict=True))
    order = [X.columns[i] for i in model.reader.order_]
    for name in ("a", "b", "few", "many"):
        assert found[order.index(name)] == X[name].isna().tolist(), name
    assert (
        Y.shape[1] == model.target.n_outputs == 4 + 2 + len(order) - 6 + Y.shape[1] - len(order)
    )


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
@pytest.mark.parametrize(
    "options", [{}, {"n_members": 2}, {"n_members": 2, "share_weights": False}]
)
def test_a_fit_starts_from_its_layers(frame, cls, options):
    X, y = frame
    y = y > 0 if cls is NNClassifier else y
    estimator = network(cls, **options)
    before = joblib.hash(vars(estimator))
    pretrained = pretrain(estimator, X)
    assert joblib.hash(vars(estimator)) == before
    pretrained = pickle.loads(pickle.dumps(pretrained))
    fitted = network(cls, **options, frozen_layers=2).fit(X[:120], y[:120], init=pretrained)
    found = []
    for model in (fitted._model, pretrained._model):
        *hidden, _ = range(len(model.network.layers))
        slots = [one for one in model.network.slots if one.layer in hidden]
        found.append([(one.name, one.of(model.params)) for one in slots])
    assert len(found[0]) > 3
    for (name, array), (other_name, other) in zip(*found, strict=True):
        assert name == other_name
        assert_array_equal(array, other)
    assert fitted.predict(X).shape == y.shape


def test_the_same_seed_gives_the_same_bits(frame):
    X, _ = frame
    one, other, third = (pretrain(network(random_state=i), X)._model.params for i in (0, 0, 1))
    assert_array_equal(one, other)
    assert (one != third).any()


def test_a_few_numbers_far_out_are_not_most_of_the_loss(frame):
    """The targets of columns with a long tail are clipped, though the inputs are not."""
    rng = np.random.default_rng(0)
    X = np.exp(2 * rng.normal(size=(300, 3)))
    source = pretrain(network(), X)
    assert (source._model.encoder.numbers_.limit[1] > 10).all()
    targets = source._model.target.transform(X, np.float64)
    assert abs(targets).max() < 3 < abs(source._model.encode(X)).max()


def test_parameters_of_labels_do_not_matter(frame):
    X, _ = frame
    found = [pretrain(network(NNClassifier, label_smoothing=a), X).history_ for a in (0, 0.1)]
    assert found[0]["loss"] == found[1]["loss"]


def test_it_has_a_time_limit(frame):
    pretrained = pretrain(NNRegressor(max_iter=50, time_limit=1e-9), frame[0])
    assert len(pretrained.history_["loss"]) == 1


def test_members_are_those_of_few_rows():
    """A table of many rows would get members that share weights."""
    X = np.random.default_rng(0).normal(size=(2500, 4))
    estimator = NNClassifier(max_iter=1, random_state=0)
    pretrained = pretrain(estimator, X)
    fitted = estimator.fit(X[:150], X[:150, 0] > 0, init=pretrained)
    chosen = NNClassifier(max_iter=1).fit(X[:150], X[:150, 0] > 0).auto_params_
    for name in ("n_members", "share_weights", "hidden_layer_sizes"):
        assert fitted.auto_params_[name] == chosen[name]


def test_it_gains_where_columns_tell_of_what_y_depends_on():
    """Two hidden causes, 20 noisy columns, 60 labeled rows: at most 0.9 of the log loss."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(4000, 2))
    X = np.tanh(causes @ rng.normal(size=(2, 20))) + 0.5 * rng.normal(size=(4000, 20))
    y = causes[:, 0] * causes[:, 1] > 0
    estimator = NNClassifier(max_iter=30, random_state=0)
    gentle = NNClassifier(max_iter=30, random_state=0, hidden_rate_factor=0.3)
    pretrained = pretrain(estimator, X[:2000])
    plain = estimator.fit(X[:60], y[:60])
    started = gentle.fit(X[:60], y[:60], init=pretrained)
    losses = [log_loss(y[2000:], one.predict_proba(X[2000:])) for one in (started, plain)]
    assert losses[0] < 0.9 * losses[1]


@pytest.mark.parametrize("rho, warns", [(0.0, True), (0.5, False)])
def test_it_says_so_if_columns_tell_nothing_about_each_other(rho, warns):
    """Its hidden units are then nearly constant, so a fit with frozen layers learns little."""
    X = np.random.default_rng(0).multivariate_normal(
        np.zeros(5), rho + (1 - rho) * np.eye(5), size=1000
    )
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        pretrain(network(max_iter=20), X)
    texts = [str(one.message) for one in record]
    assert len(texts) == warns and all("leave frozen_layers at 0" in text for text in texts)


def test_self_training_of_scikit_learn():
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = np.where(np.arange(300) < 60, X[:, 0] > 0, -1)
    trained = SelfTrainingClassifier(NNClassifier((8,), max_iter=100, random_state=0)).fit(X, y)
    assert (trained.predict(X) == (X[:, 0] > 0)).mean() > 0.9


# What is refused.


@pytest.mark.parametrize(
    ("options", "make", "message"),
    [
        ({"solver": "lbfgs"}, None, "stochastic solver"),
        ({"monotonic_cst": {"a": 1}}, None, "Set monotonic_cst=None"),
        ({"interaction_cst": "pairwise"}, None, "Set interaction_cst=None"),
        ({"alpha": -1}, None, "'alpha' parameter"),
        ({}, lambda X: sparse.csr_array(X[["a", "c"]].to_numpy()), "X is sparse"),
        ({}, lambda X: X.assign(a=np.inf), "infinity"),
    ],
)
def test_it_refuses_what_it_cannot_learn(frame, forbid_training, options, make, message):
    X, _ = frame
    forbid_training()
    with pytest.raises(ValueError, match=message):
        pretrain(network(**options), X if make is None else make(X))


@pytest.mark.parametrize("corruption", [0, 1, -0.1, "a", None])
def test_it_refuses_other_shares(frame, forbid_training, corruption):
    forbid_training()
    with pytest.raises(ValueError, match="corruption must be a number in .0, 1.,"):
        pretrain(network(), frame[0], corruption=corruption)
    with pytest.raises(TypeError, match="a local sknet estimator, .* got LinearRegression"):
        pretrain(LinearRegression(), frame[0])


def test_other_columns_and_layers_are_refused(frame, forbid_training):
    X, y = frame
    pretrained = pretrain(network(max_iter=1), X)
    forbid_training()
    with pytest.raises(ValueError, match="missing:\n- b"):
        network().fit(X.drop(columns="b"), y, init=pretrained)
    with pytest.raises(
        ValueError, match="hidden_layer_sizes is .*, but .* in the fitted network"
    ):
        network().set_params(hidden_layer_sizes=(9,)).fit(X, y, init=pretrained)


def test_it_needs_no_level_to_be_seen_twice():
    """All levels of a column may be rare, and all values missing."""
    X = pd.DataFrame({"a": np.arange(40.0), "b": pd.Categorical([str(i) for i in range(40)])})
    X["c"] = np.nan
    pretrained = pretrain(network(max_iter=2), X)
    assert np.isfinite(pretrained._model.params).all()
    assert_allclose(network(max_iter=2).fit(X, X["a"], init=pretrained).predict(X).shape, 40)
