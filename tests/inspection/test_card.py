"""The card of a fitted network: each line against the data and the parameters of the fit."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet._attributes import ENDINGS
from sknet._base import fitted, fitted_attributes
from sknet._version import __version__
from sknet.inspection import summary
from sknet.nn.losses import LOSSES, Loss, Pinball
from sknet.nn.soundness import Ending
from sknet.streaming import fit_chunks

#: Short training without early stopping.
SHORT = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0, "early_stopping": False}


def said(network):
    """Return the card of a network as a dict."""
    return summary(network).card.to_dict()


@pytest.fixture
def rows():
    """A frame with columns of each kind, and a y that rises with "age"."""
    rng = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Bergen", "Oslo"], n),
            "when": pd.date_range("2024-01-01", periods=n, freq="7h", tz="Europe/Oslo"),
            "age": rng.uniform(18, 90, n),
            "day": pd.date_range("2024-01-01", periods=n),
            "paid": np.where(rng.random(n) < 0.4, 0.0, rng.lognormal(5, 1, n)),
            "took": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
            "street": rng.choice([f"s{i}" for i in range(30)], n),
        }
    )
    frame.loc[::9, "paid"] = np.nan
    frame.loc[::11, "city"] = None
    return frame, np.where(frame["age"] + rng.normal(0, 20, n) > 55, "yes", "no")


# What is predicted.


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_what_it_estimates(name):
    assert LOSSES[name]().estimates.startswith(("the ", "a "))
    assert LOSSES[name]().binary().estimates


def test_long_names_of_targets_are_shortened():
    """A name of 66 characters once left no room for the text of its lines."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    long = "x" * 90
    targets = pd.DataFrame({long: X[:, 0], "a: b": X[:, 1]})
    found = summary(NNMultiTarget(**SHORT).fit(X, targets))
    assert f"{long}: loss" in found.card.to_dict()
    lines = repr(found.card).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("x" * 39 + "\u2026: loss ") for line in lines) == 1
    assert sum(line.startswith("a: b: loss ") for line in lines) == 1
    assert max(map(len, repr(found).splitlines())) <= 100
    assert "x" * 39 + "\u2026: loss" in found._repr_html_()


def test_quantiles_are_named():
    assert Pinball(0.5).estimates == "the quantile 0.5 of y"
    assert Pinball([0.5]).estimates == "the quantile 0.5 of y"
    assert Pinball([0.1, 0.9]).estimates == "the quantiles 0.1, 0.9 of y"


class Own(Loss):
    """A loss that says nothing of what it estimates."""

    def pointwise(self, y, raw, gradient_out):
        """Return (raw - y)^2 / 2 for each row; write the derivative."""
        np.subtract(raw, y, out=gradient_out)
        return 0.5 * np.square(gradient_out).sum(axis=1)


def test_a_loss_without_words_has_no_line(regression):
    card = said(NNRegressor(loss=Own(), **SHORT).fit(*regression))
    assert "predicts" not in card
    assert card["loss"] == "Own()"


@pytest.mark.parametrize(
    ("task", "lines"),
    [
        ("squared_error", {"predicts": "the mean of y", "loss": "SquaredError()"}),
        ("outputs", {"outputs": 2}),
        ("normal", {"return_std": "of y", "outputs": 2, "calibration": "none"}),
        ("quantiles", {"loss": "Pinball(quantile=(0.1, 0.5, 0.9))"}),
        ("binary", {"classes": ["no", "yes"], "calibration": "none"}),
        ("multiclass", {"classes": ["ash", "beech", "cedar"]}),
        ("multilabel", {"labels": ["0", "1"], "loss": "BinaryLogLoss()"}),
    ],
)
def test_predictions(task, lines, fit):
    card = said(fit(task).estimator)
    assert lines.items() <= card.items()


def test_the_standard_deviation_of_members(fit):
    assert (
        said(fit(kind="members").estimator)["return_std"] == "of the predictions of 3 members"
    )
    both = said(fit("normal", "members").estimator)["return_std"]
    assert both == "of y, with the variation of the means of 3 members"
    assert "return_std" not in said(fit().estimator)


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_temperature_is_the_one_of_the_predictions(cls, solver, request, monkeypatch):
    """It is the change from predictions that the same training gives without one."""
    X, y = request.getfixturevalue("binary" if cls is NNClassifier else "regression")
    rng = np.random.default_rng(0)
    # The validation rows are less certain than the training rows.
    noisy = np.where(rng.random(y.size) < 0.3, 1 - y, y)
    options = {"loss": "normal", "n_members": 1} if cls is NNRegressor else {"n_members": 1}
    network = cls((10,), solver=solver, max_iter=30, random_state=0, **options)
    network.fit(X, y, X_val=X, y_val=noisy)

    def spread():
        if cls is NNClassifier:
            return 1 / network.decision_function(X)
        return network.predict(X, return_std=True)[1]

    corrected = spread()
    text = said(network)["calibration"]
    loss = type(fitted(network)[1].loss)
    monkeypatch.setattr(loss, "has_temperature", False)
    assert "calibration" not in said(network.fit(X, y, X_val=X, y_val=noisy))
    temperature = float(text.split(",")[0].split()[-1])
    assert temperature != 1
    np.testing.assert_allclose(corrected / spread(), temperature, rtol=1e-3)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1, 1: 5}])
def test_class_weights_shift_probabilities(class_weight, binary):
    X, y = binary
    y = (y == np.unique(y)[1]).astype(int)
    network = NNClassifier(**SHORT).set_params(class_weight=class_weight)
    words = "probabilities are those of the weighted classes"
    assert said(network.fit(X, y))["class weights"] == words
    assert "class weights" not in said(NNClassifier(**SHORT).fit(X, y))


# What is promised.


@pytest.mark.parametrize("named", [False, True])
def test_directions_are_those_of_the_columns(named, rows):
    X, y = rows
    signs = {"age": 1, "paid": -1, "took": 1}
    wanted = signs if named else [signs.get(name, 0) for name in X.columns]
    network = NNClassifier(monotonic_cst=wanted, **SHORT).fit(X, y)
    card = said(network)
    assert sorted(card["only rises with"]) == ["age", "took"]
    assert card["only falls with"] == ["paid"]
    assert card["constrained"] == "the probability of yes"


def test_columns_of_arrays_are_named_by_their_positions(regression):
    X, y = regression
    network = NNRegressor(monotonic_cst=[0, 0, -1, 0, 0], **SHORT).fit(X, y)
    assert said(network)["only falls with"] == ["x2"]
    assert "constrained" not in said(network)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (None, "of all columns"),
        ("no_interactions", "none: a sum of functions of one column each"),
        ("pairwise", "of pairs: a sum of functions of at most two columns"),
        ([{0}, {1}, {2}, {3}, {4}], "none: a sum of functions of one column each"),
        ([{0, 4}, {1}], [["x0", "x4"], ["x1"], ["x2", "x3"]]),
    ],
)
def test_interactions(groups, expected, regression):
    network = NNRegressor(interaction_cst=groups, **SHORT).fit(*regression)
    assert said(network)["interactions"] == expected


def test_a_linear_model_has_no_interactions(regression):
    network = NNRegressor(**SHORT | {"hidden_layer_sizes": ()}).fit(*regression)
    assert said(network)["interactions"] == "none"


# What was seen.


def test_kinds_of_columns(rows):
    X, y = rows
    card = said(NNClassifier(n_components=2, **SHORT).fit(X, y))
    assert card["columns"] == 7
    assert card["numbers"] == 2
    assert card["dates"] == ["when (Europe/Oslo)", "day"]
    assert card["durations"] == ["took"]
    assert card["categories"] == ["city (2 levels)", "street (30 levels)"]
    assert card["missing values"] == ["paid"]
    assert card["rare levels"] == ["city"]
    assert card["frequent values"] == ["paid=0"]
    assert card["principal components"] == 2


def test_numbers_that_are_levels_too():
    rng = np.random.default_rng(0)
    shop = rng.integers(40, size=800)
    X = pd.DataFrame({"size": rng.normal(size=800), "shop": shop})
    card = said(NNRegressor(**SHORT).fit(X, rng.normal(size=40)[shop]))
    assert card["numbers"] == 2
    assert card["integer codes"] == ["shop (40 levels)"]


def test_what_is_not_there_has_no_line(regression):
    card = said(NNRegressor(n_components=0, **SHORT).fit(*regression))
    assert card["numbers"] == card["columns"] == 5
    absent = {
        "dates",
        "durations",
        "categories",
        "missing values",
        "frequent values",
        "integer codes",
        "principal components",
    }
    assert not absent & card.keys()


def test_rows(regression):
    X, y = regression
    weights = np.repeat([0.0, 1.0], [20, 100])
    card = said(NNRegressor(**SHORT).fit(X, y, weights))
    assert (card["training rows"], card["validation rows"]) == (100, "none")
    split = NNRegressor(**SHORT).set_params(early_stopping=True, validation_fraction=0.2)
    card = said(split.fit(X, y))
    assert (card["training rows"], card["validation rows"]) == (96, 24)
    card = said(split.fit(X, y, X_val=X[:30], y_val=y[:30]))
    assert (card["training rows"], card["validation rows"]) == (120, 30)


def test_rows_of_chunks(regression):
    X, y = regression
    network = NNRegressor(**SHORT).set_params(early_stopping=True, validation_fraction=0.25)
    card = said(fit_chunks(network, [(X[:70], y[:70]), (X[70:], y[70:])]))
    assert (card["training rows"], card["validation rows"]) == (90, 30)


def test_partial_fit(regression):
    X, y = regression
    network = NNRegressor(**SHORT).partial_fit(X, y).partial_fit(X[:50], y[:50])
    card = said(network)
    assert card["partial_fit"] == "passes: 2, rows: 170"
    assert not {"training rows", "epochs", "training ended", "parameters from"} & card.keys()
    classifier = NNClassifier(**SHORT).partial_fit(X, y > 5, classes=[False, True])
    assert said(classifier)["calibration"] == "none"
    card = said(network.fit(X, y))
    assert "partial_fit" not in card
    assert card["epochs"] == "3 of at most 3"
    card = said(network.partial_fit(X, y))
    assert card["partial_fit"] == "passes: 1, rows: 120"
    assert card["training rows"] == 120
    assert "parameters from" not in card


def test_a_correction_of_certainty_is_not_that_of_a_further_pass(binary):
    network = NNClassifier((30,), early_stopping=True, max_iter=20, random_state=0).fit(*binary)
    assert said(network)["calibration"] != "none"
    assert said(network.partial_fit(*binary))["calibration"] == "none"


# The end of the training.


def test_every_ending_has_words():
    assert set(ENDINGS) == set(Ending)


@pytest.mark.parametrize(
    ("options", "ended", "kept"),
    [
        ({}, Ending.FINISHED, "the last epoch"),
        ({"n_iter_no_change": 1, "tol": 10.0, "learning_rate": "constant", "max_iter": 9},
         Ending.CONVERGED, "the last epoch"),
        ({"early_stopping": True, "n_iter_no_change": 1, "max_iter": 60, "refit": False},
         Ending.CONVERGED, "epoch {best}, with the best validation score"),
    ],
)  # fmt: skip
def test_the_end(options, ended, kept, regression):
    network = NNRegressor(**{**SHORT, **options}).fit(*regression)
    card = said(network)
    assert card["training ended"] == ENDINGS[ended]
    assert card["parameters from"] == kept.format(best=network.best_iter_)
    assert card["epochs"] == f"{network.n_iter_} of at most {network.max_iter}"


def test_parameters_of_a_cool_down_on_all_rows(regression):
    """They are those of the last epoch, and not of the best score."""
    network = NNRegressor(**{**SHORT, "early_stopping": True, "max_iter": 10}).fit(*regression)
    first = 1 + np.isfinite(network.validation_scores_).sum()
    assert said(network)["parameters from"] == (
        f"the last epoch; from epoch {first} on, training also used the validation rows"
    )


@pytest.mark.filterwarnings("ignore:Training ended")
@pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
def test_the_limit_of_lbfgs_is_named(limit, regression):
    network = NNRegressor((6,), solver="lbfgs", early_stopping=False, random_state=0)
    network.set_params(**{limit: 5}).fit(*regression)
    assert said(network)["training ended"].startswith(f"by {limit}, although")


def test_a_training_that_is_not_over_has_no_end(regression):
    """As callbacks see it."""
    network = NNRegressor(**SHORT).fit(*regression)
    features, model = fitted(network)
    running = copy.copy(network)
    vars(running).update(fitted_attributes(features, model.begun(120, 0), network.history_))
    card = said(running)
    assert "training ended" not in card and "parameters from" not in card
    assert card["training rows"] == 120


def test_a_scorer_may_look_at_the_card(regression):
    """The estimator of a scorer has no record of epochs yet."""
    seen = []

    def look(estimator, X, y):
        seen.append(said(estimator))
        return 0.0

    options = {**SHORT, "early_stopping": True, "scoring": look}
    NNRegressor(**options).fit(*regression)
    assert seen[0]["predicts"] == "the mean of y"
    assert not {"epochs", "training ended"} & seen[-1].keys()


def test_a_warm_start_says_that_it_goes_on(regression):
    X, y = regression
    network = NNRegressor(**SHORT, warm_start=True).fit(X, y)
    assert "warm start" not in said(network)
    assert said(network.fit(X, y))["warm start"] == "continues earlier fits: 1"
    network.partial_fit(X, y)
    assert said(network.fit(X, y))["warm start"] == "continues earlier fits: 2"
    assert "warm start" not in said(network.set_params(warm_start=False).fit(X, y))


def test_a_warm_start_has_a_training_of_its_own(regression):
    X, y = regression
    network = NNRegressor(**SHORT, warm_start=True).fit(X, y).fit(X[:80], y[:80])
    assert said(network)["training rows"] == 80


# Versions.


def test_the_version_of_the_fit_stays(regression):
    """It is that of the fit, whichever version saves and loads the network afterwards."""
    network = NNRegressor(**SHORT).fit(*regression)
    assert said(network)["fitted with"] == f"sknet {__version__}"
    network._model = network._model.with_params(network._model.params, version="0.9.7")
    loaded = pickle.loads(pickle.dumps(network))
    assert said(loaded)["fitted with"] == "sknet 0.9.7"
    assert said(loaded.partial_fit(*regression))["fitted with"] == f"sknet {__version__}"


# Views.


@pytest.fixture(scope="module")
def wide():
    """A network of 500 columns, all of which are constrained or in one of many groups."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 500)))
    name = "<b>a column & its rather long name"
    X.columns = [f"{name}, {i}" if i != 1 else 4 * name for i in range(500)]
    constrained = NNRegressor(monotonic_cst=dict.fromkeys(X.columns, 1), **SHORT)
    grouped = NNRegressor(interaction_cst=[{i, i + 1} for i in range(499)], **SHORT)
    networks = [one.set_params(max_iter=10) for one in (constrained, grouped)]
    return X, [one.fit(X, X.iloc[:, 0]) for one in networks]


def test_a_wide_card_is_readable(wide):
    X, (constrained, grouped) = wide
    assert said(constrained)["only rises with"] == X.columns.tolist()
    assert len(said(grouped)["interactions"]) == 499
    for network, rest in ((constrained, "and 492 more"), (grouped, "and 495 more")):
        text = repr(summary(network).card)
        lines = text.splitlines()
        assert max(map(len, lines)) <= 80
        assert len(lines) < 40
        assert rest in " ".join(text.split())


def test_html_is_escaped(wide):
    _, networks = wide
    for network in networks:
        card = summary(network).card
        for html in (card._repr_html_(), network._repr_html_().split("Model card")[1]):
            assert "<b>" not in html
            assert "&lt;b&gt;a column &amp; its" in html
            assert html.count("<table") == html.count("</table>")
            assert html.count("<tr>") == html.count("</tr>")


def test_views_say_the_same(rows):
    X, y = rows
    card = summary(NNClassifier(**SHORT).fit(X, y)).card
    text, html = repr(card), card._repr_html_()
    assert [line.name for line in card] == list(card.to_dict())
    for line in card[:]:
        assert line.name in text
        assert f">{line.name}</th>" in html
        assert f">{line.text}</td>" in html
    assert json.loads(json.dumps(card.to_dict())) == card.to_dict()
    assert card[0].value == "the probability of a class or label"


def test_a_notebook_shows_the_card(regression):
    network = NNRegressor(**SHORT)
    assert "Model card" not in network._repr_html_()
    html = network.fit(*regression)._repr_html_()
    assert html.index("Model card") < html.index("sknet-card") < html.index("sknet-summary")
    opened = [part.partition("</summary>")[0] for part in html.split("<details open>")[1:]]
    assert opened == ["<summary>Model card"]
