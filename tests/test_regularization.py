"""Regularization: L1, label smoothing, noise, mixup, normalization and averages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.metrics import log_loss

import sknet
import sknet._base_model
from sknet.nn.activations import Identity
from sknet.nn.layers import NORMALIZATIONS
from sknet.nn.objective import Objective

SHORT = {
    "max_iter": 10,
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "random_state": 0,
}


def predictions(network, X):
    """Return probabilities, or the predictions of a regressor."""
    return network.predict_proba(X) if hasattr(network, "classes_") else network.predict(X)


def distance(one, other, X):
    return np.abs(predictions(one, X) - predictions(other, X)).max()


# L1.


@pytest.fixture(scope="module")
def noisy_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 100))
    informative = np.sort(rng.permutation(100)[:10])
    y = X[:, informative] @ rng.choice([-2.0, 2.0], 10) + 0.1 * rng.normal(size=800)
    return X, y, informative


L1 = {"alpha": 0.02, "l1_ratio": 1.0, "batch_size": 100, "max_iter": 60, "tol": 1e-4,
      "n_iter_no_change": np.inf, "random_state": 0}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"ema_decay": 0.99, "learning_rate_init": 0.01},
        {"ema_decay": 0.99, "learning_rate_init": 0.02, "solver": "sgd"},
        # A penalty of 0.02 leaves an R2 of 0.5 for some seeds.
        {"n_members": 3, "learning_rate_init": 0.01, "alpha": 0.01},
        {"input_noise": 0.1, "learning_rate_init": 0.01},
    ],
    ids=str,
)
def test_l1_drops_noise_together_with_other_options(noisy_table, options):
    X, y, informative = noisy_table
    network = NNRegressor((10,), **{**L1, **options}).fit(X, y)
    dropped = ~network.coefs_[0].any(axis=1)
    assert not dropped[informative].any()
    assert dropped.sum() >= 80
    assert network.score(X, y) > 0.8


@pytest.mark.parametrize(
    "solver, sizes, alpha, n_dropped",
    [
        ("adam", (), 0.03, 80),
        ("sgd", (), 0.03, 80),
        ("lbfgs", (), 0.03, 80),
        # With a hidden layer, zero weights throughout are a minimum from which a larger
        # penalty finds no way out.
        ("sgd", (10,), 0.01, 20),
        ("lbfgs", (10,), 0.01, 20),
    ],
)
def test_l1_drops_noise_of_a_classifier(solver, sizes, alpha, n_dropped):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 100))
    informative = np.sort(rng.permutation(100)[:10])
    y = X[:, informative] @ rng.choice([-2.0, 2.0], 10) > 0
    options = {**L1, "solver": solver, "alpha": alpha, "learning_rate_init": 0.02}
    if solver == "lbfgs":
        options |= {"max_iter": 1000, "tol": 1e-6, "n_iter_no_change": 10}
    network = NNClassifier(sizes, **options).fit(X, y)
    dropped = ~network.coefs_[0].any(axis=1)
    assert not dropped[informative].any()
    assert dropped.sum() >= n_dropped
    assert network.score(X, y) > 0.95


def test_without_l1_nothing_is_zero(noisy_table):
    X, y, _ = noisy_table
    network = NNRegressor((10,), **{**L1, "l1_ratio": 0.0, "max_iter": 5}).fit(X, y)
    assert np.count_nonzero(network.coefs_[0]) == network.coefs_[0].size


def test_l1_spares_embedded_numbers_and_biases(regression):
    X, y = regression
    network = NNRegressor(
        (8,), numeric_embedding="periodic", **{**L1, "alpha": 100.0, "max_iter": 5}
    ).fit(X, y)
    assert not any(W.any() for W in network.coefs_)
    assert all(b.all() for b in network.intercepts_)
    (embedding, *_) = network._model.network.views(network._model.params)
    assert vars(embedding)["0"].map.all()


# Label smoothing.


@pytest.mark.parametrize("amount", [0.1, 0.4])
def test_smoothed_labels_keep_probabilities_from_extremes(amount):
    # Where the classes are known for certain, the best answer is the smoothed target.
    n_rows, weight = np.array([10, 20, 20]), np.array([1.0, 2.0, 1.0])
    X = np.repeat(np.eye(3), n_rows, axis=0)
    y, sample_weight = (np.repeat(one, n_rows) for one in (["a", "b", "c"], weight))
    options = {"solver": "lbfgs", "alpha": 0.0, "max_iter": 3000, "tol": 0.0}
    network = NNClassifier((), label_smoothing=amount, **options)
    network.fit(X, y, sample_weight=sample_weight)
    shares = n_rows * weight / (n_rows @ weight)
    assert_allclose(network.predict_proba(X), X * (1 - amount) + amount * shares, atol=1e-3)


@pytest.mark.parametrize("amount", [0.1, 0.4])
def test_smoothed_binary_labels_and_multilabels(amount):
    X = np.repeat(np.eye(2), [30, 10], axis=0)
    y = np.repeat([0, 1], [30, 10])
    options = {"solver": "lbfgs", "alpha": 0.0, "max_iter": 3000, "tol": 0.0}
    expected = y * (1 - amount) + amount / 4
    network = NNClassifier((), label_smoothing=amount, **options).fit(X, y)
    assert_allclose(network.predict_proba(X)[:, 1], expected, atol=1e-3)
    network.fit(X, np.column_stack([y, 1 - y]))
    assert_allclose(
        network.predict_proba(X), np.column_stack([expected, 1 - expected]), atol=1e-3
    )


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_validation_loss_is_that_of_the_true_labels(request, kind):
    X, y = request.getfixturevalue(kind)
    network = NNClassifier((8,), label_smoothing=0.3, early_stopping="auto", **SHORT)
    network.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    proba = network.predict_proba(X[80:])
    best = network.history_["validation_loss"][network.best_iter_ - 1]
    assert best == pytest.approx(log_loss(y[80:], proba, labels=network.classes_))


def test_the_training_loss_is_that_of_the_smoothed_labels(multiclass):
    X, y = multiclass
    # The first epoch of one batch reports the loss of the untrained network.
    options = {"max_iter": 1, "learning_rate": "cosine", "batch_size": 150, "alpha": 0.0}
    start = NNClassifier((8,), learning_rate_init=1e-12, **options, random_state=0).fit(X, y)
    proba = start.predict_proba(X)
    Y = y[:, np.newaxis] == start.classes_
    Y = Y * 0.7 + 0.3 * Y.mean(axis=0)
    network = NNClassifier((8,), label_smoothing=0.3, **options, random_state=0).fit(X, y)
    assert network.loss_ == pytest.approx(-np.mean((Y * np.log(proba)).sum(axis=1)))


# Noise and mixtures.


@pytest.mark.parametrize("option", [{"input_noise": 0.5}, {"mixup": 0.4}], ids=str)
@pytest.mark.parametrize("batch_size", [16, "auto"])
def test_augmentation_changes_the_fit_and_can_be_repeated(problem, option, batch_size):
    network = problem.cls((8,), batch_size=batch_size, **SHORT)
    plain = clone(network).fit(problem.X, problem.y)
    one, other = (
        clone(network).set_params(**option).fit(problem.X, problem.y) for _ in range(2)
    )
    assert_array_equal(predictions(one, problem.X), predictions(other, problem.X))
    assert distance(one, plain, problem.X) > 1e-3
    # Nothing is drawn at predict time.
    assert_array_equal(predictions(one, problem.X), predictions(one, problem.X))


@pytest.mark.parametrize("option", ["input_noise", "mixup"])
def test_augmentation_leaves_other_draws_alone(problem, option, monkeypatch):
    # Tiny noise changes nothing, so initial parameters and order of rows are the same.
    network = problem.cls((8,), batch_size=16, **SHORT)
    plain = clone(network).fit(problem.X, problem.y)
    tiny = clone(network).set_params(**{option: 1e-12}).fit(problem.X, problem.y)
    if option == "input_noise":
        assert distance(tiny, plain, problem.X) < 1e-6
    else:
        # Beta(0, 0) takes one of the two rows whole: a resampled batch.
        assert distance(tiny, plain, problem.X) > 1e-6


@pytest.mark.usefixtures("without_temperature")
@pytest.mark.parametrize("option", [{"input_noise": 0.3}, {"mixup": 0.4}], ids=str)
def test_only_training_batches_are_augmented(problem, option):
    network = problem.cls((8,), early_stopping="auto", **SHORT, **option)
    network.fit(problem.X[:80], problem.y[:80], X_val=problem.X[80:], y_val=problem.y[80:])
    plain = clone(network).set_params(input_noise=0.0, mixup=0.0, warm_start=True)
    # The loss of the same parameters on the same rows.
    vars(plain).update({k: v for k, v in vars(network).items() if k.startswith("_")})
    best = network.history_["validation_loss"][network.best_iter_ - 1]
    (raw,) = network._model.predict(problem.X[80:], lambda raw: (raw,))
    y = network._model.target.transform(problem.y[80:], np.float64)
    gradient = np.empty_like(raw)
    assert best == pytest.approx(network._model.loss.mean(y, raw, None, gradient))


def test_noise_on_inputs_shrinks_a_linear_model():
    # E (y - w (x + e))^2: ridge regression with the noise's variance for alpha.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 1))
    y = 2 * x[:, 0]
    options = {"standardize": False, "max_iter": 40, "learning_rate": "cosine",
               "learning_rate_init": 0.02, "random_state": 0}  # fmt: skip
    network = NNRegressor((), input_noise=1.0, **options).fit(x, y)
    assert network.coefs_[0][0, 0] == pytest.approx(2 * x.var() / (x.var() + 1), rel=0.05)


def test_mixup_keeps_a_linear_model():
    # Mixtures of rows on a line lie on that line.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 1))
    options = {"standardize": False, "max_iter": 100, "learning_rate": "cosine",
               "learning_rate_init": 0.02, "random_state": 0}  # fmt: skip
    network = NNRegressor((), mixup=0.5, **options).fit(x, 2 * x[:, 0] + 1)
    assert network.coefs_[0][0, 0] == pytest.approx(2, rel=1e-2)
    assert network.intercepts_[0][0] == pytest.approx(1, rel=1e-2)


def test_mixup_flattens_probabilities(multiclass):
    X, y = multiclass
    options = {**SHORT, "max_iter": 100, "batch_size": 50}
    plain = NNClassifier((16,), **options).fit(X, y)
    mixed = NNClassifier((16,), mixup=1.0, **options).fit(X, y)
    assert mixed.predict_proba(X).max(axis=1).mean() < (
        plain.predict_proba(X).max(axis=1).mean() - 0.02
    )
    assert mixed.score(X, y) > 0.85


@pytest.mark.parametrize("option", [{"input_noise": 0.3}, {"mixup": 0.4}], ids=str)
def test_augmented_sparse_rows(problem, option):
    X = sparse.csr_matrix(np.where(np.abs(problem.X) < 0.7, 0, problem.X))
    network = problem.cls((8,), batch_size=16, **SHORT, **option).fit(X, problem.y)
    plain = problem.cls((8,), batch_size=16, **SHORT).fit(X, problem.y)
    assert distance(network, plain, X) > 1e-3
    assert np.isfinite(predictions(network, X)).all()


def test_augmentation_is_told_what_is_a_number(monkeypatch):
    given = []

    class Spy(sknet._base_model.Augmentation):
        def __call__(self, batch):
            given.append((self.n_numeric, self.n_plain, batch.X.shape[1]))
            return super().__call__(batch)

    monkeypatch.setattr(sknet._base_model, "Augmentation", Spy)
    rows = np.arange(120)
    X = np.column_stack([rows + 0.5, np.where(rows == 3, np.nan, rows), rows % 3, rows % 40])
    NNRegressor((4,), categorical_features=[2, 3], input_noise=0.1, **SHORT).fit(X, rows)
    # Two numbers; an indicator and three levels; a level number.
    assert set(given) == {(2, 2 + 1 + 3, 2 + 1 + 3 + 1)}


# Adaptive dropout.


DROPOUT = {
    "hidden_layer_sizes": (32, 32),
    "learning_rate_init": 0.01,
    "max_iter": 30,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}


@pytest.fixture
def shares(monkeypatch):
    """The unexplained share in each epoch, in order."""
    shares, adapted = [], Objective.adapted

    def recorded(objective, unexplained):
        shares.append(unexplained)
        return adapted(objective, unexplained)

    monkeypatch.setattr(Objective, "adapted", recorded)
    return shares


def test_adaptive_dropout_is_constant_while_much_is_unexplained(shares):
    """If y is mostly noise, the fit has the bits of a fit with the initial rate."""
    X, y = make_friedman1(400, noise=10.0, random_state=0)
    adaptive, constant = (
        NNRegressor(**DROPOUT, early_stopping=True, dropout=one).fit(X, y)
        for one in ("adaptive", 0.1)
    )
    assert min(shares) > 0.25
    assert_array_equal(adaptive.predict(X), constant.predict(X))


def test_memorized_rows_do_not_lower_the_rate():
    """Without validation rows, a low loss does not mean that y has little noise."""
    X, y = make_friedman1(100, noise=10.0, random_state=0)
    options = {**DROPOUT, "max_iter": 200}
    adaptive, constant = (
        NNRegressor(**options, dropout=one).fit(X, y) for one in ("adaptive", 0.1)
    )
    assert adaptive.score(X, y) > 0.75
    assert_array_equal(adaptive.predict(X), constant.predict(X))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_adaptive_dropout_leaves_little_error_where_y_has_little_noise(loss):
    X, y = make_friedman1(1500, noise=0.1, random_state=0)
    errors = {}
    for rate in ("auto", 0.1):
        network = sknet.NNRegressor(loss=loss, dropout=rate, random_state=0).fit(
            X[:500], y[:500]
        )
        errors[rate] = np.abs(network.predict(X[500:]) - y[500:]).mean()
    assert errors["auto"] < 0.9 * errors[0.1]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_rate_follows_from_the_best_validation_loss(weighted, shares):
    """The unexplained share is 1 - R2 of the validation rows, with their weights."""
    X, y = make_friedman1(400, random_state=0)
    weight = np.random.default_rng(0).choice([0.1, 3.0], 400) if weighted else None
    rows = {"X_val": X[300:], "y_val": y[300:]}
    if weighted:
        rows |= {"sample_weight": weight[:300], "sample_weight_val": weight[300:]}
    options = {**DROPOUT, "early_stopping": True, "dropout": "adaptive"}
    network = NNRegressor(**options).fit(X[:300], y[:300], **rows)
    best = np.minimum.accumulate(network.history_["validation_loss"])[:-1]
    assert len(shares) == network.n_iter_
    below = best < best[0] / 2
    assert_allclose(shares[0], 1)
    assert_allclose(best[below] / np.array(shares[1:])[below], best[-1] / shares[-1])
    epoch = NNRegressor(**{**options, "max_iter": int(best.argmin()) + 1, "refit": False})
    r2 = epoch.fit(X[:300], y[:300], **rows).score(
        X[300:], y[300:], rows.get("sample_weight_val")
    )
    assert_allclose(shares[-1], 1 - r2, rtol=0.05)


def test_a_rate_for_each_layer_may_be_adaptive(regression):
    X, y = regression
    one, each, first = (
        NNRegressor(**DROPOUT, dropout=rate).fit(X, y)
        for rate in ("adaptive", ["adaptive"] * 2, ["adaptive", 0.0])
    )
    assert_array_equal(one.predict(X), each.predict(X))
    assert distance(one, first, X) > 0


# Normalization.


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_normalization_joins_each_hidden_layer(problem, name):
    plain = problem.cls((8, 6), **SHORT).fit(problem.X, problem.y)
    network = problem.cls((8, 6), normalization=name, **SHORT).fit(problem.X, problem.y)
    layers = network._model.network.layers
    kind = NORMALIZATIONS[name]
    assert [type(layer) is kind for layer in layers] == [False, True] * 2 + [False]
    # The activation has moved behind the normalization.
    activations = [layer.activation for layer in layers]
    hidden = type(plain._model.network.layers[0].activation)
    assert [type(one) for one in activations] == [Identity, hidden] * 2 + [Identity]
    assert network.n_layers_ == plain.n_layers_ == 4
    assert distance(network, plain, problem.X) > 1e-3


def test_layer_normalization_by_hand(regression):
    X, y = regression
    network = NNRegressor((8,), normalization="layer", standardize=False, **SHORT).fit(X, y)
    z = X @ network.coefs_[0] + network.intercepts_[0]
    u = (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
    norm = network._model.network.views(network._model.params)[1]
    a = np.maximum(u * norm.gain + norm.bias, 0)
    expected = (a @ network.coefs_[1] + network.intercepts_[1])[:, 0]
    assert_allclose(network.predict(X), expected, rtol=1e-8)


# The running average.


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95, 0.999])
def test_the_average_by_hand(problem, solver, decay):
    # One epoch more each time gives all the steps, for one batch is one step.
    options = {"solver": solver, "batch_size": 500, "n_iter_no_change": np.inf,
               "random_state": 0, "learning_rate_init": 0.01}  # fmt: skip
    average = problem.cls((5,), **{**options, "learning_rate_init": 1e-300}, max_iter=1)
    average = average.fit(problem.X, problem.y)._model.params.copy()
    start = average.copy()
    for t in range(1, 16):
        stepped = (
            problem.cls((5,), max_iter=t, **options).fit(problem.X, problem.y)._model.params
        )
        share = min(decay, (1 + t) / (10 + t))
        average = share * average + (1 - share) * stepped
    network = problem.cls((5,), ema_decay=decay, max_iter=15, **options)
    network.fit(problem.X, problem.y)
    assert_allclose(network._model.params, average, rtol=1e-6, atol=1e-9)
    assert np.abs(network._model.params - start).max() > 1e-3
    if decay == 0:
        assert_allclose(network._model.params, stepped, rtol=1e-12)
    else:
        assert np.abs(network._model.params - stepped).max() > 1e-4


def test_the_average_is_what_early_stopping_judges(regression):
    X, y = regression
    network = NNRegressor(
        (8,), ema_decay=0.9, standardize=False, early_stopping="auto", **SHORT
    )
    network.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    best = network.history_["validation_loss"][network.best_iter_ - 1]
    assert best == pytest.approx(np.mean((network.predict(X[80:]) - y[80:]) ** 2) / 2)


def test_the_average_keeps_zeros(noisy_table):
    X, y, _ = noisy_table
    options = {**L1, "learning_rate_init": 0.01}
    averaged = NNRegressor((10,), ema_decay=0.999, **options).fit(X, y)
    last = NNRegressor((10,), **options).fit(X, y)
    zero = last.coefs_[0] == 0
    assert zero.mean() > 0.8
    assert not averaged.coefs_[0][zero].any()
    assert averaged.coefs_[0][~zero].any()


# Options that go together, and those that do not.


@pytest.mark.parametrize(
    "option", [{"input_noise": 0.1}, {"mixup": 0.2}, {"ema_decay": 0.9}], ids=str
)
def test_options_that_lbfgs_cannot_honor(problem, option, forbid_training):
    forbid_training()
    name = next(iter(option))
    with pytest.raises(ValueError, match=f"lbfgs.* cannot use {name}={option[name]}"):
        problem.cls(solver="lbfgs", **option).fit(problem.X, problem.y)


@pytest.mark.parametrize(
    "option", [{"input_noise": 0.0}, {"mixup": 0}, {"ema_decay": None}], ids=str
)
def test_neutral_options_are_no_matter_for_lbfgs(problem, option):
    network = problem.cls(
        (4,), solver="lbfgs", alpha=0.04, max_iter=3000, random_state=0, **option
    )
    assert network.fit(problem.X, problem.y).n_iter_ > 1


def test_lbfgs_honors_the_rest(binary):
    X, y = binary
    options = {"solver": "lbfgs", "early_stopping": True, "max_iter": 3000, "random_state": 0}
    plain = NNClassifier((4,), activation="tanh", **options).fit(X, y)
    for option in [
        {"normalization": "layer"}, {"label_smoothing": 0.2}, {"class_weight": {1: 3}},
        {"n_members": 2}, {"numeric_embedding": "piecewise_linear"},
    ]:  # fmt: skip
        network = NNClassifier((4,), activation="tanh", **options, **option).fit(X, y)
        assert distance(network, plain, X) > 1e-3


@pytest.mark.parametrize(
    "parameters",
    [
        {"label_smoothing": 1.0}, {"label_smoothing": -0.1}, {"input_noise": -1.0},
        {"mixup": -0.5}, {"ema_decay": 1.0}, {"ema_decay": -0.1}, {"normalization": "batch"},
        {"normalization": True}, {"numeric_embedding": "linear"},
    ],
    ids=str,
)  # fmt: skip
def test_values_out_of_range(binary, parameters, forbid_training):
    X, y = binary
    forbid_training()
    with pytest.raises(ValueError, match=next(iter(parameters))):
        NNClassifier(**parameters).fit(X, y)
