"""Several targets in one network, numbers and labels, with gaps."""

import pickle
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from guards import needs_callbacks
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.multioutput import MultiOutputClassifier
from sklearn.utils.multiclass import type_of_target

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet.callbacks import Checkpoint
from sknet.inspection import integrated_gradients, shape_functions
from sknet.nn.losses import BinaryLogLoss, NormalLikelihood, Pinball
from sknet.streaming import fit_chunks

BRIEF = {"hidden_layer_sizes": (16,), "max_iter": 15, "random_state": 0}
CLASSES = {"color": ["blue", "red"], "size": [0, 1, 2]}
TARGETS = {"size": "classification"}


@pytest.fixture(scope="module")
def table():
    """A frame, targets of three kinds, and the same with gaps."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    whole = pd.DataFrame(
        {
            "price": 100 + 20 * X["a"] + 10 * X["b"] ** 2,
            "color": np.where(X["c"] + X["d"] > 0, "red", "blue"),
            "size": np.digitize(X["a"] - X["c"], [-0.7, 0.7]),
        }
    )
    gaps = whole.copy()
    gaps.loc[::3, "price"] = np.nan
    gaps.loc[1::4, "color"] = None
    return X, whole, gaps


def network(**options):
    return NNMultiTarget(**{**BRIEF, "targets": TARGETS, **options})


# What is predicted.


def test_kinds_follow_dtypes_and_the_parameter(table):
    X, whole, gaps = table
    fitted = NNMultiTarget(**BRIEF).fit(X, gaps)
    assert {k: v.tolist() for k, v in fitted.classes_.items()} == {"color": ["blue", "red"]}
    fitted = network().fit(X, gaps.assign(color=gaps["color"].astype("category")))
    assert {k: v.tolist() for k, v in fitted.classes_.items()} == CLASSES
    for dtype in ("int64", "Int64"):
        codes = whole["size"].astype(dtype).astype("category").where(X["a"] > 0)
        fitted = NNMultiTarget(**BRIEF).fit(X, whole.assign(size=codes))
        assert fitted.classes_["size"].dtype == np.int64
    objects = whole.assign(size=whole["size"].astype(object).where(X["a"] > 0, None))
    objects.loc[objects["size"] == 2, "size"] = 2.5
    assert "size" not in NNMultiTarget(**BRIEF).fit(X, objects).classes_


@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
def test_predictions_have_the_form_of_y(table, library):
    X, whole, gaps = table
    if library == "polars":
        polars = pytest.importorskip("polars")
        X, whole, gaps = map(polars.from_pandas, table)
    fitted = network(hidden_layer_sizes=(64,), max_iter=60)
    if library == "array":
        numbers = whole[["price", "size"]].to_numpy()
        fitted.set_params(targets={"y1": "classification"}).fit(X, numbers)
        predicted = fitted.predict(X)
        assert predicted.shape == numbers.shape and predicted.dtype == float
        assert accuracy_score(numbers[:, 1], predicted[:, 1]) > 0.9
        return
    predicted = fitted.fit(X, gaps).predict(X)
    assert type(predicted) is type(whole)
    assert list(predicted.columns) == list(whole.columns)
    assert r2_score(whole["price"], predicted["price"]) > 0.9
    assert accuracy_score(whole["color"], predicted["color"]) > 0.9
    scores = fitted.target_scores(X, whole)
    assert_allclose(scores["price"], r2_score(whole["price"], predicted["price"]))
    assert_allclose(scores["size"], accuracy_score(whole["size"], predicted["size"]))
    assert_allclose(fitted.score(X, whole), np.mean([*scores.values()]))
    if library == "pandas":
        later = X.set_index(X.index + 1000)
        assert_array_equal(fitted.predict(later).index, later.index)


def test_columns_without_names_are_matched_by_position(table):
    """As a score of an array of the columns is that of the frame."""
    X, whole, _ = table
    fitted = network().fit(X, whole)
    assert fitted.target_scores(X, whole.to_numpy()) == fitted.target_scores(X, whole)
    with pytest.raises(ValueError, match=r"must have the targets .* got \['y0', 'y1'\]"):
        NNMultiTarget(**BRIEF).fit(X, whole).score(X, whole.to_numpy()[:, :2])
    for y in (whole["price"], whole["price"].to_numpy()):
        fitted = NNMultiTarget(**BRIEF).fit(X, y)
        assert fitted.score(X, fitted.predict(X)) == 1
        assert fitted.score(X, np.asarray(y)) == fitted.score(X, y)


@pytest.mark.parametrize("scoring", ["loss", "r2"])
def test_columns_of_a_frame_may_have_another_order(table, scoring):
    """After a fit and in its validation rows, each target is found by its name."""
    X, whole, _ = table
    y, other = whole[["price", "size"]], whole[["size", "price"]]
    options = {"targets": None, "early_stopping": True, "scoring": scoring}
    one = network(**options).fit(X, y, X_val=X, y_val=y)
    two = network(**options).fit(X, y, X_val=X, y_val=other)
    assert_array_equal(one.predict(X), two.predict(X))
    assert one.target_scores(X, other) == one.target_scores(X, y)
    assert one.score(X, other) == one.score(X, y)
    for _ in range(2):
        one.partial_fit(X, y)
        two.partial_fit(X, other)
    assert_array_equal(one.predict(X), two.predict(X))
    assert one.predict(X).columns.tolist() == ["price", "size"]


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (iter, TypeError, r"y has type list_iterator, not a sequence: pass list\(y\)"),
        (
            lambda rows: dict(enumerate(rows)),
            ValueError,
            "a data frame.*got type dict and shape",
        ),
        (lambda rows: np.ones((len(rows), 2, 2)), ValueError, r"shape \(20, 2, 2\)"),
    ],
)
def test_a_y_that_is_no_table_is_refused(make, error, match, forbid_training):
    rows = np.random.default_rng(0).normal(size=(20, 2)).tolist()
    forbid_training()
    with pytest.raises(error, match=match):
        NNMultiTarget().fit(rows, make(rows))


def test_a_column_that_y_lacks_is_named(table):
    X, whole, _ = table
    fitted = network().fit(X, whole)
    with pytest.raises(
        ValueError, match=r"y lacks the columns \['size'\], which .* has \['price'\]"
    ):
        fitted.score(X, whole[["price"]])
    with pytest.raises(ValueError, match=r"must have .* got \['price', 'size'\]"):
        fitted.score(X, whole[["price", "size"]])


def test_a_target_that_only_rows_of_zero_weight_have_has_no_score(table):
    X, whole, gaps = table
    fitted = network().fit(X, whole)
    weight = gaps["price"].isna().astype(float)
    scores = fitted.target_scores(X, gaps, weight)
    assert np.isnan(scores["price"]) and scores["color"] > 0
    assert fitted.score(X, gaps, weight) == np.mean([scores["color"], scores["size"]])


@pytest.mark.parametrize("library", ["pandas", "polars", "array", "chunks"])
def test_scorers_get_targets_in_the_form_of_y(table, library):
    """They have the form of predictions, so that scikit-learn's scorers work."""
    X, whole, _ = table
    y, seen = whole[["price", "size"]], []
    if library == "polars":
        polars = pytest.importorskip("polars")
        X, y = polars.from_pandas(X), polars.from_pandas(y)
    y = y.to_numpy() if library == "array" else y

    def scoring(estimator, X, y):
        seen.append((y, estimator.predict(X)))
        return estimator.score(X, y)

    if library == "chunks":
        y = y.set_axis([0, 1], axis=1)
    fitted = NNMultiTarget(**BRIEF, scoring=scoring, validation_fraction=0.3)
    by_name = clone(fitted).set_params(scoring="r2")
    if library == "chunks":
        chunks = [(X[:150], y[:150]), (X[150:], y[150:])]
        fitted, by_name = fit_chunks(fitted, chunks), fit_chunks(by_name, chunks)
    else:
        fitted, by_name = fitted.fit(X, y), by_name.fit(X, y)
    for given, predicted in seen:
        assert type(given) is type(predicted) is type(y)
        assert given.shape == predicted.shape
        if hasattr(given, "index"):
            assert given.columns.equals(predicted.columns)
            assert given.index.equals(predicted.index)
    assert_allclose(by_name.best_validation_score_, fitted.best_validation_score_)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_members": 3, "share_weights": True},
        {"n_members": 2, "share_weights": False},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (), "n_members": 3},
        {"interaction_cst": "pairwise"},
        {"target_weights": {"size": 2}, "n_members": 2},
        {"targets": {"price": NormalLikelihood(), **TARGETS}},
    ],
    ids=str,
)
def test_estimators_of_single_targets_predict_the_same(table, options):
    X, _, gaps = table
    fitted = network(**options).fit(X, gaps)
    predicted, proba = fitted.predict(X), fitted.predict_proba(X)
    estimators = fitted.estimators_
    assert list(map(type, estimators.values())) == [NNRegressor, NNClassifier, NNClassifier]
    assert_allclose(estimators["price"].predict(X), predicted["price"], rtol=1e-5)
    for name in CLASSES:
        assert_allclose(estimators[name].predict_proba(X), proba[name], atol=1e-6)
        assert_array_equal(estimators[name].predict(X), predicted[name])
        assert_allclose(proba[name].sum(axis=1), 1)
    assert integrated_gradients(estimators["price"], X[:5]).shape == (5, 4)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("loss", ["normal", "gamma", "poisson"])
def test_the_distribution_of_one_target_is_that_of_a_regressor(table, loss, early_stopping):
    """So is its dispersion, which a pass without rows of the target keeps."""
    X, whole, _ = table
    options = {**BRIEF, "early_stopping": early_stopping}
    y = whole[["price"]].clip(lower=1).round()
    one = NNMultiTarget(targets={"price": loss}, **options).fit(X, y).estimators_["price"]
    alone = NNRegressor(loss=loss, **options).fit(X, y["price"])
    assert_array_equal(
        one.predict_quantiles(X, [0.1, 0.9]), alone.predict_quantiles(X, [0.1, 0.9])
    )
    y = whole.assign(price=y["price"])
    fitted = network(targets={"price": loss, **TARGETS}, early_stopping=early_stopping).fit(
        X, y
    )
    before = fitted.estimators_["price"]._model.calibration
    fitted.partial_fit(X, y.assign(price=np.nan))
    kept = fitted.estimators_["price"]._model.calibration
    assert_array_equal(kept, before if loss == "gamma" else None)
    assert fitted.estimators_["price"].sample(X, 3).shape == (300, 3)


def test_a_pass_learns_a_dispersion_that_no_held_out_row_told(table):
    X, whole, _ = table
    y = whole.assign(price=whole["price"].where(whole.index < 2))
    options = {"early_stopping": True, "n_members": 1}
    fitted = network(targets={"price": "gamma", **TARGETS}, **options).fit(X, y)
    with pytest.raises(ValueError, match="no held-out row has"):
        fitted.estimators_["price"].sample(X)
    fitted.partial_fit(X, whole)
    assert fitted.estimators_["price"]._model.calibration.shape == (1, 1)


def test_names_and_labels_come_back_as_they_were(table):
    """Columns may have numbers as names, and labels any dtype, with and without gaps."""
    X, whole, _ = table
    red = (whole["color"] == "red").astype("boolean")
    y = pd.DataFrame({0: whole["price"], 1: red, "1.": red.where(red.index > 9), 3: red})
    y[3] = y[3].astype(object).where(red.index > 9, None)
    fitted = NNMultiTarget(targets={1: "classification"}, **BRIEF).fit(X, y)
    assert fitted.predict(X).columns.tolist() == [0, 1, "1.", 3] == [*fitted.target_weights_]
    assert {k: v.tolist() for k, v in fitted.classes_.items()} == {
        name: [False, True] for name in (1, "1.", 3)
    }
    assert NNClassifier(**BRIEF).fit(X, red).classes_.dtype == bool


# Gaps and weights.


@pytest.mark.parametrize("name", ["price", "color"])
def test_one_target_with_gaps_is_bit_identical_to_the_rows_that_have_it(table, name):
    X, _, gaps = table
    known = gaps[name].notna()
    with_gaps = network(targets=None).fit(X, gaps[[name]])
    without = network(targets=None).fit(X[known], gaps.loc[known, [name]])
    assert_array_equal(with_gaps._model.params, without._model.params)
    assert_array_equal(with_gaps.predict(X), without.predict(X))


def test_one_target_of_numbers_is_bit_identical_to_a_regressor(table):
    X, whole, _ = table
    one = NNMultiTarget(**BRIEF).fit(X, whole[["price"]])
    assert_array_equal(
        one.predict(X)["price"], NNRegressor(**BRIEF).fit(X, whole["price"]).predict(X)
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_distributions_of_targets_are_calibrated(table, early_stopping):
    """Those of one target are the regressor's; of several, those of the rows that have it."""
    X, whole, gaps = table
    options = {**BRIEF, "early_stopping": early_stopping, "n_members": 2}
    for loss in ("gamma", "normal"):
        one = NNMultiTarget(**options, targets={"price": loss}).fit(X, whole[["price"]])
        regressor = NNRegressor(**options, loss=loss).fit(X, whole["price"])
        for _ in range(2):
            found = one.estimators_["price"].predict_quantiles(X, [0.05, 0.5])
            assert_array_equal(found, regressor.predict_quantiles(X, [0.05, 0.5]))
            one.partial_fit(X[:50], whole[["price"]][:50])
            regressor.partial_fit(X[:50], whole["price"][:50])
    targets = {**TARGETS, "price": "gamma"}
    joint = network(early_stopping=early_stopping, refit=False, targets=targets)
    held = {"X_val": X, "y_val": gaps} if early_stopping else {}
    price = joint.fit(X, gaps, **held).estimators_["price"]
    known = gaps["price"].notna()
    error = (gaps["price"] / price.predict(X) - 1)[known]
    assert_allclose(price._model.calibration, [[np.mean(error**2)]], rtol=1e-4)


@pytest.mark.parametrize("weights", [None, "learned", {"price": 3.0}], ids=str)
def test_a_weight_of_two_equals_a_repeated_row(table, weights):
    X, _, gaps = (part[:30] for part in table)
    counts = 1 + np.arange(30) % 2
    rows = np.repeat(np.arange(30), counts)
    weighted = network(target_weights=weights).fit(X, gaps, counts)
    repeated = network(target_weights=weights).fit(
        X.iloc[rows].reset_index(drop=True), gaps.iloc[rows].reset_index(drop=True)
    )
    assert_allclose(weighted._model.params, repeated._model.params, rtol=1e-7, atol=1e-10)


def test_each_target_is_standardized_by_its_own_rows_and_has_the_same_say(table):
    X, _, gaps = table
    fitted = network(target_weights=None).fit(X, gaps)
    scale = fitted._model.target.targets[0]
    assert_allclose(
        [scale.mean_[0], scale.scale_[0]], [gaps["price"].mean(), gaps["price"].std(ddof=0)]
    )
    known = gaps.notna().mean()
    assert_allclose(fitted._model.loss.weights, 1 / known[["price", "color", "size"]])
    assert fitted.target_weights_ == {"price": 1, "color": 1, "size": 1}


def test_learned_weights_are_smaller_for_a_target_of_noise(table):
    X, whole, _ = table
    noise = np.random.default_rng(0).normal(size=len(X))
    y = whole[["price"]].assign(noise=noise)
    options = {"target_weights": "learned", "max_iter": 60, "random_state": 0}
    fitted = NNMultiTarget((32,), **options).fit(X, y)
    weights = fitted.target_weights_
    assert weights["price"] > 3 * weights["noise"]
    assert fitted.target_scores(X, y)["price"] > 0.95


@pytest.mark.parametrize("loss", ["squared_error", "huber", "labels"])
def test_weights_are_learned_unless_all_losses_are_squared_errors(table, loss):
    X, whole, _ = table
    y = whole[["price", "color" if loss == "labels" else "price"]].set_axis(
        ["one", "two"], axis=1
    )
    targets = {"two": loss} if loss != "labels" else None
    fitted = network(targets=targets, max_iter=5).fit(X, y)
    learned = loss != "squared_error"
    assert fitted.auto_params_["target_weights"] == ("learned" if learned else None)
    assert all((weight != 1) == learned for weight in fitted.target_weights_.values())


def test_small_tables_of_numbers_are_not_memorized():
    """Each target is hardly predictable, so that learned weights grow with memorizing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1150, 6))
    y = pd.DataFrame(X[:, :3] + 1.2 * rng.normal(size=(1150, 3)), columns=["a", "b", "c"])
    together, learned = (
        NNMultiTarget(random_state=0, column_scales=False, **options).fit(X[:150], y[:150])
        for options in ({}, {"target_weights": "learned"})
    )
    equal = NNRegressor(random_state=0, column_scales=False).fit(X[:150], y[:150])
    assert_allclose(together.predict(X), equal.predict(X), rtol=1e-4, atol=1e-4)
    assert together.score(X[150:], y[150:]) > learned.score(X[150:], y[150:])


def test_losses_without_a_best_weight_keep_a_weight_of_one(table):
    X, whole, _ = table
    weights = network(targets={"price": "normal", **TARGETS}).fit(X, whole).target_weights_
    assert weights["price"] == 1
    assert weights["color"] != 1


@pytest.mark.filterwarnings("ignore:Target .* has a single class")
@pytest.mark.parametrize("constant", [7.0, "same"])
def test_a_constant_target_leaves_the_others_as_they_are(table, constant):
    """Early stopping restores an epoch from before the others got worse."""
    X, whole, _ = table
    noise = whole["price"] + 40 * np.random.default_rng(0).normal(size=len(X))
    y = pd.DataFrame({"noise": noise, "constant": constant})
    fitted = NNMultiTarget((32,), max_iter=150, early_stopping=True, random_state=0).fit(X, y)
    equal = clone(fitted).set_params(target_weights=None).fit(X, y)
    assert fitted.target_weights_["constant"] == 1
    assert fitted.best_iter_ < 1.5 * equal.best_iter_
    of_one = fitted.estimators_["noise"]
    assert_allclose(of_one.predict(X), fitted.predict(X)["noise"], rtol=1e-6)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("cst", ["pairwise", "no_interactions"])
def test_additive_networks_learn_weights(table, cst, members):
    """The estimators of the targets predict as the whole does."""
    X, whole, _ = table
    fitted = network(interaction_cst=cst, n_members=members).fit(X, whole)
    assert all(weight != 1 for weight in fitted.target_weights_.values())
    found = fitted.predict(X)
    for name, alone in fitted.estimators_.items():
        if hasattr(alone, "classes_"):
            assert_array_equal(alone.predict(X), found[name])
        else:
            assert_allclose(alone.predict(X), found[name], rtol=1e-5)


def test_a_target_of_a_few_rows(table):
    """Validation rows, batches and blocks may lack it."""
    X, whole, _ = table
    few = np.arange(len(X)) % 60 == 0
    y = whole.assign(color=whole["color"].where(few), size=whole["size"].where(few))
    fitted = network(max_iter=40).fit(X, y)
    assert np.isfinite(fitted._model.params).all()
    assert fitted.target_scores(X, whole)["price"] > 0.8
    assert np.isnan(fitted.target_scores(X[1:3], y[1:3])["color"])
    assert fitted.target_scores(X, whole.assign(color="unknown"))["color"] == 0
    assert np.isnan(
        fitted.score(X[1:3], whole[1:3].assign(price=np.nan, color=None, size=None))
    )


def test_groups_are_dealt_out_so_that_each_target_has_training_rows(table):
    """Warnings are errors, so no seed leaves a target to the validation rows."""
    X, whole, _ = table
    site = np.arange(len(X)) % 8
    y = whole.assign(price=whole["price"].where(site == 5))
    for seed in range(20):
        network(max_iter=1, early_stopping=True, random_state=seed).fit(X, y, groups=site)


@pytest.mark.parametrize(
    "fraction", ["last", PredefinedSplit(np.where(np.arange(300) < 250, -1, 0))]
)
@pytest.mark.parametrize("name", ["price", "color"])
def test_a_target_that_only_validation_rows_have_causes_a_warning(table, name, fraction):
    X, whole, _ = table
    late = whole.assign(**{name: whole[name].where(np.arange(len(X)) >= 290)})
    fitted = network(max_iter=1, early_stopping=True, validation_fraction=fraction)
    with pytest.warns(UserWarning, match=f"Target '{name}' is missing in all training rows"):
        fitted.fit(X, late)
    with pytest.raises(ValueError, match=rf"No row .* has the target\(s\) \['{name}'\]"):
        fitted.fit(X[:290], late[:290], X_val=X[290:], y_val=late[290:])


# Ways to fit.


class Chunks:
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __iter__(self):
        for start in range(0, len(self.X), 100):
            yield self.X[start : start + 100], self.y[start : start + 100]


def test_chunks_one_of_which_lacks_a_target(table):
    X, whole, gaps = table
    gaps = gaps.copy()
    gaps.loc[:99, "price"] = np.nan
    gaps.loc[100:199, "color"] = None
    gaps.loc[::50, ["price", "color", "size"]] = None
    fitted = fit_chunks(network(max_iter=30), Chunks(X, gaps))
    assert min(fitted.target_scores(X, whole).values()) > 0.8
    with pytest.raises(
        ValueError, match=r"No row of positive weight has the target\(s\) \['price'\]"
    ):
        fit_chunks(network(), Chunks(X, gaps.assign(price=np.nan)))


def test_partial_fit(table):
    X, whole, gaps = table
    fitted = network()
    with pytest.raises(ValueError, match=r"classes of each target .* lacks \['size'\]"):
        fitted.partial_fit(X, gaps, classes={"color": ["blue", "red"]})
    with pytest.raises(ValueError, match="classes must be a dict .* got 5"):
        fitted.partial_fit(X, gaps, classes=5)
    with pytest.raises(
        ValueError, match=r"No row of positive weight has the target\(s\) \['color'\]"
    ):
        fitted.partial_fit(X, gaps.assign(color=np.nan), classes=CLASSES)
    for _ in range(15):
        for rows, y in Chunks(X, gaps):
            fitted.partial_fit(rows, y, classes=CLASSES)
    assert min(fitted.target_scores(X, whole).values()) > 0.8
    scale = fitted._model.target.targets[0]
    assert_allclose(scale.mean_, gaps["price"].mean(), rtol=1e-9)
    assert_allclose(scale.scale_, gaps["price"].std(ddof=0), rtol=1e-9)
    with pytest.raises(
        ValueError, match=r"y must have the targets \['price', 'color', 'size'\]"
    ):
        fitted.partial_fit(X, gaps[["price", "size"]])
    # The classes of a later call are those of the first, in any order.
    fitted.partial_fit(X, gaps, classes={"color": CLASSES["color"][::-1]})
    with pytest.raises(ValueError, match=r"classes must be a dict .* got \['blue'\]"):
        fitted.partial_fit(X, gaps, classes=["blue"])
    with pytest.raises(ValueError, match=r"Target 'color': classes=\['pink'\] differs"):
        fitted.partial_fit(X, gaps, classes={"color": ["pink"]})
    for one in (fitted, network()):
        with pytest.raises(ValueError, match=r"classes has entries for \['price'\]"):
            one.partial_fit(X, gaps, classes={**CLASSES, "price": [1.0]})


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("name", "missing"), [("color", np.nan), ("price", None)], ids=["labels", "numbers"]
)
def test_a_chunk_may_lack_a_target(table, name, missing, first):
    """Without a value, the dtype of the column does not tell whether it holds labels."""
    X, whole, _ = table
    without = whole.iloc[:40].copy()
    without[name] = np.full(40, missing, float if missing is np.nan else object)
    chunks = [(X[:40], without), (X[40:], whole.iloc[40:])]
    fitted = fit_chunks(network(), chunks if first else chunks[::-1])
    assert fitted.target_scores(X[40:], whole.iloc[40:])[name] > 0.5


def test_a_start_keeps_the_outputs_of_the_same_targets(table):
    """Predictions are those of the start, whatever the scales of the new rows are."""
    X, y, _ = table
    known = network().fit(X, y)
    rows = slice(0, 100)
    still = {"learning_rate_init": 1e-12, "max_iter": 1, "early_stopping": False}
    for targets, same in [(y, True), (y.rename(columns={"price": "cost"}), False)]:
        fitted = network(**still).fit(X[rows], targets[rows], init=known)
        assert fitted._model.target.targets[0].scale_ != known._model.target.targets[0].scale_
        found, expected = (one.predict(X).iloc[:, 0] for one in (fitted, known))
        assert np.allclose(found, expected, rtol=1e-4) == same


@needs_callbacks
def test_checkpoint_and_files(table, tmp_path):
    X, _, gaps = table
    whole = network().fit(X, gaps)
    path = tmp_path / "fit.joblib"

    network().set_callbacks(Checkpoint(path)).fit(X, gaps)
    resumed = network().fit(X, gaps, resume_from=path)
    assert_array_equal(resumed._model.params, whole._model.params)
    loaded = pickle.loads(pickle.dumps(whole))
    assert loaded.predict(X).equals(whole.predict(X))
    assert clone(loaded).get_params() == whole.get_params()


@pytest.mark.parametrize(
    "options", [{"solver": "lbfgs"}, {"mixup": 0.3}, {"warm_start": True}], ids=str
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_other_ways_of_training(table, options):
    X, whole, gaps = table
    options = {"max_iter": 40, "target_weights": "learned", **options}
    fitted = network(**options).fit(X, gaps).fit(X, gaps)
    assert min(fitted.target_scores(X, whole).values()) > 0.7


def test_a_fit_starts_from_the_outputs_of_the_same_targets(table):
    """Numbers may have another range; with other targets the output layer begins anew."""
    X, _, gaps = table
    source = network(max_iter=60).fit(X, gaps)
    later = gaps.assign(price=1.1 * gaps["price"])
    gentle = network(max_iter=1, learning_rate_init=1e-6)
    tuned = clone(gentle).fit(X, later, init=source)
    assert_allclose(tuned.predict(X)["price"], source.predict(X)["price"], rtol=0.01)
    assert_allclose(tuned.predict_proba(X)["size"], source.predict_proba(X)["size"], atol=0.1)
    weights = source.target_weights_
    assert tuned.target_weights_ == pytest.approx(weights, rel=0.01)
    other = clone(gentle).fit(X, later.drop(columns="color"), init=source)
    assert other.target_scores(X, later.drop(columns="color"))["price"] < 0.5


def test_grid_over_the_new_parameters(table):
    X, _, gaps = table
    grid = {
        "target_weights": [None, "learned"],
        "targets": [TARGETS, {**TARGETS, "price": "huber"}],
    }
    search = GridSearchCV(network(max_iter=5), grid, cv=2, error_score="raise").fit(X, gaps)
    assert len(search.cv_results_["params"]) == 4


# What is refused before training.


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({}, {"price": np.nan}, r"No row of positive weight has the target\(s\) \['price'\]"),
        ({}, {"price": np.inf}, r"y\['price'\] contains infinity"),
        ({"targets": {"wrong": "regression"}}, {}, r"y lacks the columns \['wrong'\], which"),
        ({"targets": {"price": "poison"}}, {}, r"targets\['price'\] must be a Loss or one of"),
        ({"targets": {"price": "classification"}}, {}, r"y\['price'\] .*continuous"),
        ({"targets": {"color": "regression"}}, {}, r"could not convert.* y\['color'\] to"),
        (
            {"targets": {"price": "gamma"}},
            {"price": -1.0},
            r"Target 'price': loss='gamma' needs y > 0",
        ),
        (
            {"targets": {"price": Pinball((0.1, 0.9))}},
            {},
            "Target 'price': Pinball.* predicts a list",
        ),
        ({"targets": {"price": Pinball((0.3,))}}, {}, "predicts a list of quantiles. Give it"),
        ({}, {"price": pd.Series([(1, 2)] * 300)}, r"^y\['price'\] holds nested values"),
        ({"target_weights": {"price": 0}}, {}, r"target_weights\['price'\] must be a finite"),
        ({"target_weights": {"price": np.inf}}, {}, r"must be a finite number > 0, got inf"),
        ({"target_weights": {"wrong": 1}}, {}, r"target_weights has \['wrong'\]"),
        ({"monotonic_cst": {"a": 1}}, {}, "monotonic_cst cannot be used with NNMultiTarget"),
    ],
    ids=str,
)
def test_refused(table, forbid_training, options, change, message):
    X, whole, _ = table
    fitted = network().fit(X, whole)
    before = fitted._model
    forbid_training()
    fitted.set_params(**options)
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, whole.assign(**change))
    assert fitted._model is before


def test_a_mask_is_not_lost(table):
    X, whole, _ = table
    numbers = np.ma.masked_less(whole[["price", "price"]].to_numpy(), 0)
    numbers[0, 0] = np.ma.masked
    with pytest.raises(ValueError, match="y is a masked array with masked values"):
        NNMultiTarget(**BRIEF).fit(X, numbers)


def test_a_loss_that_changed_is_named(table):
    X, whole, _ = table
    fitted = network(warm_start=True, max_iter=3).fit(X, whole)
    fitted.set_params(targets={"price": "huber"})
    with pytest.raises(ValueError, match=r"losses of the targets \['price'\] have changed"):
        fitted.fit(X, whole)


def test_a_loss_of_two_classes_names_its_target(table):
    X, whole, _ = table
    message = r"Target 'size': .* needs two classes .* y has 3 class\(es\)"
    with pytest.raises(ValueError, match=message):
        network(targets={"size": BinaryLogLoss()}).fit(X, whole)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["blue"], "y has labels that are not among the classes"),
        ("blue", "a list of at least one class is needed"),
    ],
)
def test_classes_of_the_first_partial_fit_that_do_not_suit(table, classes, message):
    X, whole, _ = table
    with pytest.raises(ValueError, match=f"Target 'color': .*{message}"):
        network(targets={}).partial_fit(X, whole[["color"]], classes={"color": classes})


DAYS = pd.Series(pd.date_range("2026-01-01", periods=300))


@pytest.mark.parametrize(
    "times",
    [DAYS, DAYS.where(DAYS.index > 9), DAYS.dt.tz_localize("Europe/Berlin"), DAYS - DAYS[0]],
    ids=["dates", "with gaps", "with a time zone", "durations"],
)
def test_times_are_refused_as_those_of_a_regressor(table, forbid_training, times):
    """Without the user's word that they are labels, each date would be a class."""
    X, whole, _ = table
    forbid_training()
    with pytest.raises(ValueError, match=r"^y\['when'\] holds dates or durations .* numbers"):
        network().fit(X, whole.assign(when=times))


def test_times_are_labels_if_the_user_says_so(table, forbid_training):
    X, whole, _ = table
    months = DAYS.dt.to_period("M").dt.to_timestamp()
    y = whole.assign(when=months)
    fitted = network(targets={**TARGETS, "when": "classification"}).fit(X, y)
    assert fitted.classes_["when"].tolist() == np.unique(months.to_numpy()).tolist()
    y["when"] = months.where(months.index > 9)
    forbid_training()
    with pytest.raises(ValueError, match="missing dates. Leave out .* None where they are"):
        fitted.fit(X, y)
    y["when"] = y["when"].astype(str).where(months.index > 9, None)
    with pytest.raises(AssertionError, match="training was reached"):
        fitted.fit(X, y)


def test_warnings_about_classes_name_the_target(table):
    X, whole, _ = table
    y = whole.assign(color="red", size=X.index)
    with pytest.warns(UserWarning) as record:
        network(max_iter=1).fit(X, y)
    texts = " ".join(str(one.message) for one in record)
    assert "Target 'color' has a single class, 'red'" in texts
    assert "unique classes" in texts and "y['size'] has 300 classes in 300 rows" in texts


def test_decimals_are_numbers(table):
    X, whole, _ = table
    exact = whole["price"].round(2).map(lambda price: Decimal(str(price)))
    for y in (exact, exact.where(exact.index > 9, None)):
        fitted = network().fit(X, whole.assign(price=y))
        numbers = network().fit(X, whole.assign(price=y.astype(float)))
        assert [*fitted.classes_] == ["color", "size"]
        assert_array_equal(fitted.predict(X)["price"], numbers.predict(X)["price"])


def test_only_losses_that_work_are_offered(table, forbid_training):
    X, whole, _ = table
    forbid_training()
    with pytest.raises(ValueError, match="must be a Loss or one of") as raised:
        network(targets={"price": "poison"}).fit(X, whole)
    offered = re.findall(r"'(\w+)'", str(raised.value).partition("one of")[2])
    assert {"regression", "classification", "poisson", "log_loss"} < {*offered}
    assert not {"binary_log_loss", "ordinal"} & {*offered}
    with pytest.raises(ValueError, match="loss='ordinal' needs a network of"):
        network(targets={"size": "ordinal"}).fit(X, whole)


def test_rows_that_mix_text_and_numbers_are_refused(table, forbid_training):
    forbid_training()
    with pytest.raises(ValueError, match="a list must be all text or all numbers"):
        network(targets=None).fit(table[0][:2], [[1.5, "red"], [2.5, "blue"]])


def test_an_explanation_is_about_one_target(table):
    X, whole, _ = table
    fitted = network(interaction_cst="no_interactions", max_iter=2).fit(X, whole)
    for explain in (integrated_gradients, shape_functions):
        with pytest.raises(ValueError, match="about one target.*estimators_"):
            explain(fitted, X)


# Several columns of classes in NNClassifier.


@pytest.fixture(scope="module")
def classes(table):
    X, whole, _ = table
    Y = np.column_stack([whole["size"], whole["color"] == "red", np.digitize(X["b"], [0, 1])])
    assert type_of_target(Y) == "multiclass-multioutput"
    return X.to_numpy(), Y


@pytest.mark.parametrize("text", [False, True])
def test_several_columns_of_classes_have_the_form_of_scikit_learn(classes, text):
    X, Y = classes
    Y = np.array(["low", "mid", "top"])[Y] if text else Y
    ours = NNClassifier((32,), max_iter=60, random_state=0).fit(X, Y)
    theirs = MultiOutputClassifier(NNClassifier(**BRIEF)).fit(X, Y)
    for own, other in zip(ours.classes_, theirs.classes_, strict=True):
        assert_array_equal(own, other)
    for own, other in zip(ours.predict_proba(X), theirs.predict_proba(X), strict=True):
        assert own.shape == other.shape
        assert_allclose(own.sum(axis=1), 1)
    predicted = ours.predict(X)
    assert (predicted.shape, predicted.dtype) == (Y.shape, theirs.predict(X).dtype)
    assert ours.score(X, Y) == (predicted == Y).all(axis=1).mean() > 0.8
    assert [one.shape for one in ours.decision_function(X)] == [(300, 3), (300,), (300, 3)]
    ours.partial_fit(X, Y, classes=ours.classes_)
    with pytest.raises(ValueError, match="differs from the classes of the fitted"):
        ours.partial_fit(X, Y, classes=ours.classes_[:2])
    with pytest.raises(ValueError, match=r"y must have the shape \(300, 3\), got \(300,\)"):
        ours.score(X, Y[:, 0])
    for log_proba, proba in zip(ours.predict_log_proba(X), ours.predict_proba(X), strict=True):
        assert_allclose(log_proba, np.log(proba), rtol=1e-6)


def test_what_several_columns_of_classes_cannot_have(classes, forbid_training):
    X, Y = classes
    forbid_training()
    with pytest.raises(ValueError, match="class_weight is for one column"):
        NNClassifier(class_weight="balanced").fit(X, Y)
    with pytest.raises(ValueError, match="cannot be used with .* several columns of classes"):
        NNClassifier(monotonic_cst=[1] * X.shape[1]).fit(X, Y)
    with pytest.raises(ValueError, match="Use NNMultiTarget"):
        NNClassifier().partial_fit(X, Y)


@pytest.mark.parametrize("class_weight", ["balanced", {"a": 2.0}])
def test_a_warm_start_of_several_columns_of_classes_refuses_class_weight(classes, class_weight):
    X, Y = classes
    network = NNClassifier(warm_start=True, **BRIEF).fit(X, Y)
    with pytest.raises(ValueError, match="class_weight is for one column"):
        network.set_params(class_weight=class_weight).fit(X, Y)


def test_smoothed_labels_are_those_of_each_column(classes):
    X, Y = classes
    fitted = NNClassifier(label_smoothing=0.3, **BRIEF).fit(X, Y)
    target = fitted._model.target
    encoded, plain = fitted._model.training_targets(Y), target.transform(Y, np.float64)
    assert_allclose(encoded, 0.7 * plain + 0.3 * plain.mean(axis=0), rtol=1e-6)


def test_a_target_stays_numbers():
    X = np.arange(60.0)[:, np.newaxis]
    y = pd.DataFrame({"a": X[:, 0], "b": ["x", "y"] * 30})
    with pytest.raises(ValueError, match="y_val\\['a'\\] has labels, but .* numbers"):
        NNMultiTarget((4,), max_iter=2).fit(X, y, X_val=X[:9], y_val=y[:9].astype(str))


def test_columns_of_classes_are_not_validated_by_a_sparse_matrix(multilabel):
    X, Y = multilabel
    with pytest.raises(ValueError, match=r"y_val must have the targets .*got a sparse matrix"):
        NNClassifier((4,), max_iter=2).fit(X, Y + 1, X_val=X, y_val=sparse.csr_array(Y))


@pytest.mark.parametrize("offset, unit", [(0.0, 1e40), (1e9, 1.0)])
def test_numbers_that_float32_cannot_hold(offset, unit):
    """X in float32 means predictions in float32, as for a single target."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = pd.DataFrame({"price": offset + unit * X[:, 0], "size": X[:, 1]})
    network = NNMultiTarget(**BRIEF).fit(X, y)
    assert np.corrcoef(network.predict(X)["price"], y["price"])[0, 1] > 0.5
    if unit > 1:
        with pytest.raises(ValueError, match="Target 'price': X is float32.*cannot hold"):
            network.predict(X.astype(np.float32))
    else:
        with pytest.warns(UserWarning, match="float32 rounds an output of y"):
            network.predict(X.astype(np.float32))


def test_classes_of_several_columns_may_be_in_any_order():
    X = np.random.default_rng(0).normal(size=(60, 2))
    Y = np.column_stack([np.where(X[:, 0] > 0, "b", "a"), np.where(X[:, 1] > 0, "y", "x")])
    network = NNClassifier(**BRIEF).fit(X, Y)
    network.partial_fit(X, Y, classes=[["b", "a"], ["x", "y"]])
    for other in ([["a", "b"]], [["a", "c"], ["x", "y"]], 2):
        with pytest.raises(ValueError, match="differs from the classes of the fitted network"):
            network.partial_fit(X, Y, classes=other)
