"""Classes that have an order, through the estimators: loss="ordinal"."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from guards import needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier
from scipy import optimize, stats
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV

import sknet
from sknet._base import fitted
from sknet.callbacks import Checkpoint
from sknet.inspection import (
    ShapeFunctionsDisplay,
    input_gradients,
    integrated_gradients,
    shape_functions,
    summary,
)
from sknet.nn.cumulative import CumulativeProbit
from sknet.nn.losses import Ordinal
from sknet.nn.objective import Members, fit_factor
from sknet.streaming import fit_chunks

EXACT = {"solver": "lbfgs", "alpha": 0.0, "tol": 1e-9, "max_iter": 5000, "standardize": False}
DISTRIBUTIONS = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}
#: Coefficients and thresholds by OrderedModel of statsmodels 0.15.0, for ``diabetes``.
STATSMODELS = {
    "logit": [0.850048, 0.376813, 0.761642, -1.887136, -0.566005, 0.876150, 2.540158],
    "probit": [0.503778, 0.227019, 0.455021, -1.116668, -0.341818, 0.512440, 1.483331],
}
#: Networks that train fast, for as many epochs as asked for.
network_of = partial(NNClassifier, learning_rate="cosine", learning_rate_init=0.01)
NAMES = np.array(["poor", "fair", "good", "very good", "excellent"])


@pytest.fixture(scope="module")
def diabetes():
    """Three columns with a deviation of one, and five classes of the progression."""
    X, y = load_diabetes(return_X_y=True)
    X = X[:, [2, 3, 8]]
    return X / X.std(axis=0), np.digitize(y, [80, 120, 180, 250])


def table(n_rows=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 3))
    score = 2 * X[:, 0] + np.sin(2 * X[:, 1]) - X[:, 2] + rng.logistic(size=n_rows)
    return X, np.digitize(score, [-2, -0.5, 0.5, 2])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("link", DISTRIBUTIONS)
def test_without_hidden_layers_it_is_a_cumulative_link_model(diabetes, link, weighted):
    """Against SciPy's maximum of the likelihood, written another way, and statsmodels."""
    X, y = diabetes
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else np.ones(len(y))
    network = NNClassifier((), loss=Ordinal(link=link), **EXACT).fit(X, y, weight)

    def mean_loss(parameters):
        edges = np.r_[-np.inf, np.cumsum(np.r_[parameters[3], parameters[4:] ** 2]), np.inf]
        cdf = DISTRIBUTIONS[link].cdf
        p = cdf(edges[y + 1] - X @ parameters[:3]) - cdf(edges[y] - X @ parameters[:3])
        return -np.average(np.log(p), weights=weight)

    found = optimize.minimize(mean_loss, [0.1] * 3 + [-1, 1, 1, 1], method="BFGS", tol=1e-8)
    thresholds = np.cumsum(np.r_[found.x[3], found.x[4:] ** 2])
    ours = np.r_[network.coefs_[0][:, 0], network.thresholds_ - network.intercepts_[0]]
    assert_allclose(ours, np.r_[found.x[:3], thresholds], atol=1e-4)
    assert_allclose(network.loss_, found.fun, rtol=1e-9)
    if link in STATSMODELS and not weighted:
        assert_allclose(ours, STATSMODELS[link], atol=1e-5)
    assert network.out_activation_ == "cumulative"


def test_two_classes_are_a_logistic_regression(diabetes):
    X, y = diabetes
    ordinal, logistic = (
        NNClassifier((), loss=loss, **EXACT).fit(X, y > 2) for loss in ("ordinal", "log_loss")
    )
    for method in ("predict", "predict_proba", "decision_function"):
        found, expected = (getattr(one, method)(X) for one in (ordinal, logistic))
        assert_allclose(found, expected, atol=1e-5)
    assert ordinal.decision_function(X).shape == (len(X),)


@pytest.mark.parametrize("link", DISTRIBUTIONS)
def test_two_classes_in_an_order_of_their_own(diabetes, link):
    """The order decides with "cloglog", whose two classes are not alike."""
    X, y = diabetes
    probabilities = []
    for names in (["a", "b"], ["b", "a"]):
        labels = pd.Categorical.from_codes((y > 2).astype(int), names, ordered=True)
        network = NNClassifier((), loss=Ordinal(link), **EXACT).fit(X, pd.Series(labels))
        proba = network.predict_proba(X)
        assert_allclose(proba.sum(axis=1), 1)
        assert_array_equal(network.predict(X), network.classes_[proba.argmax(axis=1)])
        assert_array_equal(network.decision_function(X) > 0, proba[:, 1] > 0.5)
        probabilities.append(proba[:, [list(network.classes_).index(one) for one in names]])
    assert_allclose(*probabilities, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_members": 3, "hidden_layer_sizes": ()},
        {"n_members": 2, "share_weights": False},
        {"interaction_cst": "pairwise", "n_members": 2},
        {"label_smoothing": 0.1, "mixup": 0.2, "class_weight": "balanced"},
        {"solver": "lbfgs", "learning_rate": "constant", "early_stopping": True},
    ],
    ids=repr,
)
def test_networks_and_their_predictions(options):
    X, y = table()
    network = network_of(**{"loss": "ordinal", "max_iter": 60, "random_state": 0, **options})
    network.fit(X, y)
    proba, decision = network.predict_proba(X), network.decision_function(X)
    assert_allclose(proba.sum(axis=1), 1)
    assert_allclose(decision, np.log(proba), rtol=1e-9)
    below = np.cumsum(proba, axis=1)
    assert_array_equal(network.predict(X), (below < 0.5).sum(axis=1))
    n_members = fitted(network)[1].n_members
    assert network.thresholds_.shape == ((4,) if n_members == 1 else (n_members, 4))
    assert (np.diff(network.thresholds_) > 0).all()
    assert mean_absolute_error(y, network.predict(X)) < 0.95
    assert_array_equal(pickle.loads(pickle.dumps(network)).predict_proba(X), proba)


def test_the_median_has_a_smaller_error_than_the_most_probable_class():
    X, y = table(2000)
    network = network_of(loss="ordinal", max_iter=30, random_state=0).fit(X[:500], y[:500])
    most_probable = network.predict_proba(X).argmax(axis=1)
    error = mean_absolute_error(y, network.predict(X))
    assert error < 0.97 * mean_absolute_error(y, most_probable)


def test_a_weight_of_two_equals_a_repeated_row():
    X, y = table(45)
    weight = np.arange(45) % 3
    repeated = np.repeat(np.arange(45), weight)
    network = sknet.NNClassifier(loss="ordinal", max_iter=20, random_state=0)
    weighted = network.fit(X, y, weight).predict_proba(X)
    assert_allclose(network.fit(X[repeated], y[repeated]).predict_proba(X), weighted, atol=1e-8)


# The order of the classes.


def test_orders_of_text():
    """By an ordered dtype of pandas or polars, or by name; columns as in ``classes_``."""
    X, y = table()
    options = {"max_iter": 5, "random_state": 0}
    codes = network_of(loss="ordinal", **options).fit(X, y)
    category = pd.CategoricalDtype([*NAMES, "unheard of"], ordered=True)
    enum = pl.Series("y", NAMES[y].tolist(), dtype=pl.Enum(NAMES.tolist()))
    ordered = pd.Series(NAMES[y], dtype=category)
    for loss, labels in (
        ("ordinal", ordered),
        ("ordinal", enum),
        (Ordinal(classes=NAMES), NAMES[y]),
        (Ordinal(classes=NAMES), ordered.cat.reorder_categories([*NAMES[::-1], "unheard of"])),
    ):
        network = network_of(loss=loss, **options).fit(X, labels)
        assert_array_equal(network.classes_, np.sort(NAMES))
        assert_array_equal(network.predict(X), NAMES[codes.predict(X)])
        by_name = network.predict_proba(X)[:, [*network.classes_].index("poor")]
        assert_allclose(by_name, codes.predict_proba(X)[:, 0], rtol=1e-12)
        assert_array_equal(network.thresholds_, codes.thresholds_)
    backwards = pd.Series(pd.Categorical(y, np.arange(5)[::-1], ordered=True))
    network = NNClassifier((), loss=Ordinal("cloglog"), **EXACT).fit(X, backwards)
    mirrored = NNClassifier((), loss=Ordinal("cloglog"), **EXACT).fit(X, 4 - y)
    assert_allclose(network.predict_proba(X), mirrored.predict_proba(X)[:, ::-1], atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("ordinal", NAMES[:3], "needs the order of the classes, but"),
        ("ordinal", pd.Series(NAMES[:3], dtype="category"), "Give y an ordered category dtype"),
        (Ordinal(classes=["poor", "good"]), NAMES[:3], r"y has the classes \['fair'\]"),
        ("ordinal", np.eye(3, dtype=int), "needs one class for each row, but y has 3 columns"),
    ],
)
def test_without_an_order_nothing_changes(loss, y, message):
    X, numbers = table(6)
    network = network_of(loss="ordinal", max_iter=3).fit(X, numbers)
    before = network.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        network.set_params(loss=loss).fit(X[:3], y)
    assert_array_equal(network.predict_proba(X), before)


def test_the_order_stays_that_of_the_fit():
    """Until the next fit from the start. An order that the loss names is the only one."""
    X, y = table(60)
    labels, other = (
        pd.Series(pd.Categorical(NAMES[y], names, ordered=True))
        for names in (NAMES, NAMES[::-1])
    )
    network = network_of(loss="ordinal", max_iter=2, random_state=0).fit(X, labels)
    match = r"declares the order \('excellent', .* was fitted with the order \('poor',"
    with pytest.raises(ValueError, match="y " + match):
        network.partial_fit(X, other)
    with pytest.raises(ValueError, match="y_val " + match):
        sknet.NNClassifier(loss="ordinal").fit(X, labels, X_val=X, y_val=other)
    some = labels[y < 3].cat.remove_unused_categories()
    network.partial_fit(X[y < 3], some).partial_fit(X, NAMES[y])
    network.set_params(loss=Ordinal(classes=NAMES)).fit(X, labels).partial_fit(X, other)
    assert network._model.loss.classes == tuple(NAMES)


def test_other_losses_have_no_thresholds():
    X, y = table(30)
    assert not hasattr(network_of(max_iter=2).fit(X, y), "thresholds_")
    single = network_of(loss="ordinal", max_iter=2)
    with pytest.warns(UserWarning, match="single class"):
        assert_array_equal(single.fit(X, np.ones(30)).predict(X), 1)


def test_class_weights_are_weights_of_rows():
    X, y = table(200)
    class_weight = {k: w for k, w in zip(np.unique(y).tolist(), [3, 1, 0.5, 2, 1], strict=True)}
    weight = np.array([class_weight[k] for k in y.tolist()])
    options = {"loss": "ordinal", "max_iter": 5, "early_stopping": False, "random_state": 0}
    one = network_of(class_weight=class_weight, **options).fit(X, y)
    other = network_of(**options).fit(X, y, weight)
    assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-5)


# Rows that come in other ways, and training that continues.


def test_chunks_with_and_without_an_order():
    X, y = table(300)
    ordered = pd.Series(pd.Categorical.from_codes(y, NAMES, ordered=True))
    network = network_of(loss="ordinal", max_iter=2, random_state=0)
    chunks = [(X[:150], ordered[:150]), (X[150:], NAMES[y[150:]])]
    for order in (chunks, chunks[::-1]):
        assert fit_chunks(network, order)._model.loss.classes == tuple(NAMES)
    # A dtype may lack a class that the rows lack.
    fewer = ordered[y > 0].cat.remove_unused_categories()
    for order in ([(X[y > 0], fewer), (X, ordered)], [(X, ordered), (X[y > 0], fewer)]):
        assert fit_chunks(network, order)._model.loss.classes == tuple(NAMES)
    backward = ordered[150:].cat.reorder_categories(NAMES[::-1], ordered=True)
    with pytest.raises(ValueError, match="Chunk 1.* y declares the order .* but the network"):
        fit_chunks(network, [chunks[0], (X[150:], backward)])
    # Other losses do not ask for an order.
    fit_chunks(network.set_params(loss="log_loss"), [chunks[0], (X[150:], backward)])


def test_chunks_and_partial_fit():
    X, y = table(400)
    labels = pd.Series(pd.Categorical.from_codes(y, NAMES, ordered=True))
    parts = [slice(0, 150), slice(150, 400)]
    for loss, of_y in (("ordinal", labels), (Ordinal(classes=NAMES), NAMES[y])):
        network = network_of(loss=loss, max_iter=20, random_state=0, batch_size=50)
        fit_chunks(network, [(X[part], of_y[part]) for part in parts])
        assert np.mean(network.predict(X) == NAMES[y]) > 0.4
        passes = network_of(loss=loss, random_state=0, batch_size=50)
        for _ in range(10):
            for part in parts:
                passes.partial_fit(X[part], of_y[part], classes=NAMES)
        assert np.mean(passes.predict(X) == NAMES[y]) > 0.4


@needs_callbacks
def test_a_warm_start_and_a_checkpoint_continue(tmp_path):
    X, y = table()
    options = {"loss": Ordinal("probit"), "random_state": 0}
    network = network_of(max_iter=3, warm_start=True, **options).fit(X, y)
    before = network.thresholds_.copy()
    assert not np.array_equal(network.fit(X, y).thresholds_, before)
    whole = network_of(max_iter=6, **options).fit(X, y)
    stopped = network_of(max_iter=6, **options)
    stopped.set_callbacks(Checkpoint(tmp_path / "file", every=4)).fit(X, y)
    resumed = network_of(max_iter=6, **options).fit(X, y, resume_from=tmp_path / "file")
    assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))


def test_a_search_over_links():
    X, y = table()
    links = [Ordinal(link) for link in DISTRIBUTIONS]
    grid = {"loss": ["ordinal", *links, "log_loss"]}
    network = network_of((), max_iter=20, random_state=0)
    search = GridSearchCV(network, grid, cv=2, scoring="neg_mean_absolute_error").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_allclose(*search.cv_results_["mean_test_score"][:2])


# Constraints, calibration and inspection.


@pytest.mark.parametrize("interaction", [None, "pairwise"])
@pytest.mark.parametrize("members", [1, 3])
def test_classes_rise_with_a_column(interaction, members):
    """No probability of more than a class falls, and no predicted class."""
    X, y = table()
    labels = pd.Series(pd.Categorical.from_codes(y, NAMES, ordered=True))
    network = sknet.NNClassifier(
        (16,),
        **{"loss": "ordinal", "monotonic_cst": [1, 0, -1], "interaction_cst": interaction},
        **{"n_members": members, "max_iter": 40, "random_state": 0},
    ).fit(X, labels)
    for column, sign in ((0, 1), (2, -1)):
        rows = np.repeat(X[:20], 50, axis=0)
        rows[:, column] = np.tile(np.linspace(-4, 4, 50)[::sign], 20)
        in_order = network.predict_proba(rows)[:, np.argsort(np.argsort(NAMES))]
        more = np.cumsum(in_order[:, ::-1], axis=1).reshape(20, 50, 5)
        assert (np.diff(more, axis=1) > -1e-12).all() and np.ptp(more, axis=1).max() > 0.01
        places = pd.Categorical(network.predict(rows), NAMES).codes.reshape(20, 50)
        assert (np.diff(places, axis=1) >= 0).all()
    card = summary(network).card.to_dict()
    assert card["constrained"] == "the class"
    assert card["loss"].startswith("Ordinal(link='logit', classes=('poor', 'fair',")


@pytest.mark.parametrize("members", [1, 2])
def test_the_temperature_that_is_right(members):
    """Classes drawn from predictions that are then made three times as certain."""
    rng = np.random.default_rng(0)
    link = CumulativeProbit((0, 1, 2, 3))
    raw = np.tile(rng.normal(size=(4000, 3)), members)
    draws = rng.random((4000, 1)) > np.cumsum(link.inverse(raw[:, :3]), axis=1)
    certain = raw * np.tile(link.with_certainty(3, 3)[0], members)
    certain += np.tile(link.with_certainty(3, 3)[1], members)
    y = np.eye(4)[draws.sum(axis=1)]
    found = fit_factor(Ordinal(link), Members(members, link), certain, y, None)
    assert_allclose(found, 1 / 3, rtol=0.05)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("sizes", [(), (8,)])
def test_attributions_are_of_log_probabilities(sizes, members):
    X, y = table()
    network = network_of(sizes, "tanh", loss="ordinal", max_iter=20, n_members=members)
    network.set_params(standardize=False, random_state=0).fit(X, y)
    rows = X[:5]
    found = input_gradients(network, rows, target=3)
    steps = 1e-5 * np.eye(3)[:, np.newaxis]
    up, down = (network.decision_function((rows + s * steps).reshape(-1, 3)) for s in (1, -1))
    assert_allclose(found, (up - down)[:, 3].reshape(3, 5).T / 2e-5, atol=1e-6)
    total = integrated_gradients(network, rows, target=3, baseline=np.zeros(3), tol=1e-6)
    changes = network.decision_function(rows) - network.decision_function(np.zeros((1, 3)))
    assert_allclose(total.sum(axis=1), changes[:, 3], atol=1e-3)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("sizes", [(), (8,)])
def test_shape_functions_add_up_to_the_score(sizes, members):
    X, y = table()
    options = {"interaction_cst": "pairwise", "n_members": members, "max_iter": 20}
    network = network_of(sizes, loss="ordinal", random_state=0, **options).fit(X, y)
    shapes = shape_functions(network, X)
    score = shapes.intercept + shapes.contributions(X).sum(axis=1)
    assert score.shape == (300, 1)
    # Members' scores are averaged, and so are the logarithms of the thresholds' distances.
    gaps = np.exp(np.log(np.diff(np.atleast_2d(network.thresholds_))).mean(axis=0))
    thresholds = np.cumsum(np.r_[np.atleast_2d(network.thresholds_)[0, 0], gaps])
    below = np.cumsum(network.predict_proba(X), axis=1)[:, :-1]
    assert_allclose(below, stats.logistic.cdf(thresholds - score), atol=1e-9)
    display = ShapeFunctionsDisplay.from_estimator(network, X)
    assert len(display.curves_) == 3
