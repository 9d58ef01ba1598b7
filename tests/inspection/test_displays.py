"""What the displays draw, read from the drawing."""

import sys

import h5py
import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.cbook import is_math_text
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sknet import NNRegressor
from sknet.inspection import (
    AttributionDisplay,
    LossCurveDisplay,
    ShapeFunctionsDisplay,
    WeightsDisplay,
    hidden_features,
    input_gradients,
    integrated_gradients,
    shape_functions,
)
from sknet.streaming import RowBlocks

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def assert_nothing_is_clipped(figure):
    figure.draw_without_rendering()
    drawn, whole = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 <= whole.x1 and drawn.y1 <= whole.y1


# Loss curves.


def test_loss_curves(fit):
    network = fit("squared_error", early_stopping=True).estimator
    display = LossCurveDisplay.from_estimator(network)
    for name in ("loss", "validation_loss", "learning_rate"):
        x, y = display.lines_[name].get_data()
        assert_array_equal(x, np.arange(1, network.n_iter_ + 1))
        assert_array_equal(y, network.history_[name])
    best = f"best epoch, {network.best_iter_}"
    assert labels(display.ax_) == ["training", "validation", best, "learning rate"]
    assert display.figure_ is display.ax_.figure
    assert display.learning_rate_ax_ is display.lines_["learning_rate"].axes
    # The losses are drawn over the learning rate, whose axes have the background.
    assert display.ax_.get_zorder() > display.learning_rate_ax_.get_zorder()
    assert display.learning_rate_ax_.patch.get_visible()
    assert not display.ax_.patch.get_visible()


def test_loss_curves_without_validation_and_learning_rate(fit):
    options = {"solver": "lbfgs", "learning_rate": "constant", "max_iter": 1000}
    network = fit("squared_error", "linear", **options)
    display = LossCurveDisplay.from_estimator(network.estimator)
    assert list(display.lines_) == ["loss"]
    assert display.learning_rate_ax_ is None


def test_loss_curves_of_a_record_in_given_axes():
    _, ax = plt.subplots()
    history = {"loss": [3.0, 2.0], "learning_rate": [0.1, 0.1]}
    display = LossCurveDisplay.from_history(history, ax=ax, learning_rate=False)
    assert display.ax_ is ax
    assert labels(ax) == ["training"]
    assert display.plot(ax=ax) is display
    assert "learning_rate" in display.lines_


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
def test_a_single_epoch_is_seen(fit, options):
    network = fit("squared_error", max_iter=1, **options).estimator
    lines = LossCurveDisplay.from_estimator(network).lines_
    assert {name: line.get_marker() for name, line in lines.items()} == dict.fromkeys(
        lines, "o"
    )
    several = LossCurveDisplay.from_history(
        {"loss": [2.0, 1.0], "validation_loss": [2.0, np.nan]}
    )
    assert [line.get_marker() for line in several.lines_.values()] == ["", "o"]


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 8, 60])
def test_epochs_are_integers_on_the_axis(n_epochs):
    display = LossCurveDisplay.from_history({"loss": list(range(n_epochs))})
    low, high = display.ax_.get_xlim()
    ticks = [tick for tick in display.ax_.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == round(tick) for tick in ticks)


def test_curves_of_lbfgs_are_by_iteration(fit):
    options = {"solver": "lbfgs", "learning_rate": "constant", "max_iter": 9}
    network = fit("squared_error", "linear", early_stopping=True, **options).estimator
    display = LossCurveDisplay.from_estimator(network)
    assert display.ax_.get_xlabel() == "iteration"
    assert labels(display.ax_)[2] == f"best iteration, {network.best_iter_}"
    of_epochs = LossCurveDisplay.from_estimator(fit("squared_error").estimator)
    assert of_epochs.ax_.get_xlabel() == "epoch"


def test_the_best_epoch_needs_a_validation_score(fit, numbers):
    network = fit("squared_error").estimator
    assert "best" not in " ".join(labels(LossCurveDisplay.from_estimator(network).ax_))
    network.partial_fit(numbers, np.arange(200.0))
    assert "best" not in " ".join(labels(LossCurveDisplay.from_estimator(network).ax_))
    # Whoever names an epoch wants to see it.
    display = LossCurveDisplay.from_history({"loss": [2.0, 1.0]}, best_iter=2)
    assert labels(display.ax_)[-1] == "best iteration, 2"


@pytest.mark.parametrize("label_size", [8, 10, 16])
@pytest.mark.parametrize("layout", ["new", "constrained", "tight", None])
def test_the_legend_covers_nothing(layout, label_size, fit, monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "axes.labelsize", label_size)
    ax = None if layout == "new" else plt.subplots(layout=layout)[1]
    network = fit("squared_error", early_stopping=True).estimator
    display = LossCurveDisplay.from_estimator(network, ax=ax)
    figure, ax = display.figure_, display.ax_
    figure.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    assert figure.bbox.y0 <= legend.y0
    # Without a layout engine, nothing would make room below the axes.
    below = (
        ax.get_window_extent().y1 if layout is None else ax.xaxis.label.get_window_extent().y0
    )
    assert legend.y1 <= below
    twin = display.learning_rate_ax_.get_window_extent()
    assert_allclose(twin.bounds, ax.get_window_extent().bounds)
    if layout is not None:
        assert_nothing_is_clipped(figure)


def test_a_record_without_losses():
    with pytest.raises(ValueError, match="history must have the losses .* it has .'accuracy'"):
        LossCurveDisplay.from_history({"accuracy": [1.0]})


# Weights.


def test_weights(fit, numbers):
    network = fit("squared_error", alpha=0.05, l1_ratio=1).estimator
    display = WeightsDisplay.from_estimator(network)
    zeros = [np.mean(weight == 0) for weight in network.coefs_]
    assert display.sparsity == zeros
    assert display.axes_[0] is display.ax_
    heights = [bar.get_height() for bar in display.axes_[1].containers[0]]
    assert_allclose(heights, zeros)
    assert display.figure_ is display.ax_.figure


def test_dead_units_without_rows():
    W1 = np.array([[1.0, 0.0, 2.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    W2 = np.array([[1.0], [1.0], [0.0], [3.0]])
    display = WeightsDisplay.from_weights([W1, W2])
    assert display.sparsity == [0.375, 0.25]
    assert display.dead_units is None
    network = NNRegressor(
        (4,),
        solver="sgd",
        learning_rate="cosine",
        max_iter=1,
        learning_rate_init=1e-12,
        standardize=False,
        n_members=1,
        numeric_embedding=None,
        ema_decay=None,
        dropout=0.0,
        early_stopping=False,
    ).fit(np.eye(2), [0.0, 1.0])
    for weight, value in zip(network.coefs_, (W1, W2), strict=True):
        weight[...] = value
    # One that nothing enters, one that nothing leaves.
    assert WeightsDisplay.from_estimator(network).dead_units == [0.5]


def test_dead_units_of_members():
    rng = np.random.default_rng(0)
    network = NNRegressor(
        (4,),
        learning_rate="cosine",
        max_iter=1,
        n_members=3,
        numeric_embedding=None,
        early_stopping=False,
        dropout=0.0,
        ema_decay=None,
    ).fit(rng.normal(size=(20, 2)), rng.normal(size=20))
    network.coefs_[1][:, 2] = 0
    assert WeightsDisplay.from_estimator(network).dead_units == [0.25]


def test_dead_units_by_rows(fit, numbers):
    network = fit("squared_error", activation="relu").estimator
    network.intercepts_[0][:3] = -1000
    dead = [
        float((hidden_features(network, numbers, i).std(axis=0) == 0).mean()) for i in (0, 1)
    ]
    assert dead[0] >= 0.25
    assert WeightsDisplay.from_estimator(network, numbers).dead_units == dead


def test_weights_in_given_axes(fit):
    network = fit("squared_error", "members").estimator
    _, two = plt.subplots(1, 2)
    assert list(WeightsDisplay.from_estimator(network, ax=two).axes_) == list(two)
    figure, one = plt.subplots()
    display = WeightsDisplay.from_estimator(network, ax=one)
    assert display.figure_ is figure
    assert len(display.axes_) == 2


def test_weights_in_axes_without_a_grid_stay_inside(fit):
    figure = plt.figure()
    ax = figure.add_axes((0.2, 0.1, 0.5, 0.4))
    display = WeightsDisplay.from_estimator(fit("squared_error", "members").estimator, ax=ax)
    left, right = (panel.get_position() for panel in display.axes_)
    assert_allclose([left.x0, left.y0, right.x1, right.y1], [0.2, 0.1, 0.7, 0.5], atol=0.05)


def test_a_layer_without_weights_left():
    display = WeightsDisplay.from_weights([np.zeros((2, 3)), np.ones((3, 1))])
    assert display.sparsity == [1.0, 0.0]


# Attributions.


def test_attributions_of_one_row(fit, frame):
    network = fit("squared_error", X=frame).estimator
    row = frame.iloc[[5]]
    display = AttributionDisplay.from_estimator(network, row, max_features=4)
    parts = integrated_gradients(network, row)[0]
    order = np.argsort(-np.abs(parts))[:4]
    assert_array_equal(display.order_, order)
    assert_allclose([bar.get_width() for bar in display.bars_], parts[order])
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    for tick, i in zip(ticks, order, strict=True):
        value = row.iloc[0, i]
        assert tick == f"{frame.columns[i]} = " + (
            f"{value:.4g}" if isinstance(value, float) else value
        )


def test_attributions_of_many_rows(fit, numbers):
    network = fit("multiclass").estimator
    _, ax = plt.subplots()
    display = AttributionDisplay.from_estimator(network, numbers, target="ash", ax=ax)
    parts = integrated_gradients(network, numbers, target="ash")
    assert_array_equal(display.attributions, parts)
    expected = np.sort(np.abs(parts).mean(axis=0))[::-1]
    assert_allclose([bar.get_width() for bar in display.bars_], expected)
    assert display.ax_ is ax
    assert {text.get_text() for text in ax.get_yticklabels()} == {f"x{i}" for i in range(5)}


def test_attributions_of_ones_own():
    display = AttributionDisplay.from_attributions(
        [0.5, -2.0], feature_names=["dose", "age"], values=[3.25, 40]
    )
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert ticks == ["age = 40", "dose = 3.25"]
    several = AttributionDisplay.from_attributions([[1.0, -1.0], [2.0, 1.0]])
    assert_allclose(several.importances, [1.5, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature_names": ["a"]}, "feature_names must have length 2, .* got length 1"),
        ({"values": [1, 2, 3]}, "values must have length 2, .* got length 3"),
        (
            {"attributions": np.zeros((2, 2)), "values": [1, 2]},
            "single row, but attributions has 2",
        ),
        ({"attributions": np.zeros((1, 2, 2))}, "attributions must have shape"),
    ],
)
def test_attributions_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        AttributionDisplay.from_attributions(**{"attributions": [1.0, 2.0], **arguments})


@pytest.fixture
def table(numbers, tmp_path):
    """Return the first rows of a table in each form that X may have."""
    file = h5py.File(tmp_path / "X.h5", "w")
    pandas = pd.DataFrame(numbers, columns=list("abcde"))

    def table(form, n_rows):
        X = numbers[:n_rows]
        forms = {
            "array": lambda: X,
            "list": X.tolist,
            "float32": lambda: X.astype(np.float32),
            "pandas": lambda: pandas[:n_rows],
            "polars": lambda: pl.DataFrame(pandas[:n_rows].to_dict("list")),
            "CSR": lambda: sparse.csr_matrix(X),
            "COO": lambda: sparse.coo_array(X),
            "blocks": lambda: RowBlocks(X, block_rows=2),
            "h5py": lambda: file.create_dataset(f"first {n_rows}", data=X),
        }
        return forms[form]()

    yield table
    file.close()


FORMS = ["array", "list", "float32", "pandas", "polars", "CSR", "COO", "blocks", "h5py"]


@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize("form", FORMS)
def test_attributions_of_every_form_of_a_table(fit, numbers, table, form, n_rows):
    X = table(form, n_rows)
    named = form in ("pandas", "polars")
    network = fit("squared_error", X=table(form, 200) if named else None).estimator
    reference = fit("squared_error").estimator
    display = AttributionDisplay.from_estimator(network, X)
    rtol = 1e-4 if form == "float32" else 1e-9
    expected = integrated_gradients(reference, numbers[:n_rows])
    assert_allclose(
        display.attributions, expected, rtol=rtol, atol=rtol * np.abs(expected).max()
    )
    slopes = input_gradients(reference, numbers[:n_rows])
    assert_allclose(input_gradients(network, X), slopes, rtol=rtol)
    hidden = hidden_features(reference, numbers[:n_rows])
    assert_allclose(hidden_features(network, X), hidden, rtol=rtol, atol=rtol)
    names = list("abcde") if named else [f"x{i}" for i in range(5)]
    shown = [text.get_text() for text in display.ax_.get_yticklabels()]
    with_values = [f"{names[i]} = {numbers[0, i]:.4g}" for i in display.order_]
    assert shown == (with_values if n_rows == 1 else [names[i] for i in display.order_])


@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize("form", FORMS)
def test_shape_functions_of_every_form_of_a_table(fit, numbers, table, form, n_rows):
    options = {"interaction_cst": "no_interactions", "numeric_embedding": None}
    named = form in ("pandas", "polars")
    X = table(form, n_rows)
    network = fit("squared_error", X=table(form, 200) if named else None, **options).estimator
    display = ShapeFunctionsDisplay.from_estimator(network, X, n_points=5)
    reference = fit("squared_error", **options).estimator
    expected = shape_functions(reference, numbers[:n_rows], n_points=5)
    found = sorted(display.curves_, key=lambda curve: curve.values.column)
    for curve, other in zip(found, expected.curves, strict=True):
        scale = np.abs(other.contributions).max()
        assert_allclose(curve.contributions, other.contributions, atol=1e-4 * (scale + 1))


# What all have in common.


NAMES = ["price_$ / tax_$", "fee ($) of tax ($)", "$", r"back\$lash$", "plain"]
LONG = [f"Mean monthly revenue, net of tax, of region {i} WWWW {i}" for i in range(5)]


def table_of(names, numbers):
    """Return a table of numbers and of a category, of which one level is missing at times."""
    X = pd.DataFrame(numbers, columns=names)
    brackets = ["$0-$25,000", "$25,000-$50,000", "over $$50,000", None]
    X[names[1]] = np.resize(np.array(brackets, object), 200)
    return X


@pytest.fixture
def drawn(numbers, fit):
    """Return a function that draws each display of columns for a table with the names."""

    def drawn(names):
        X = table_of(names, numbers)
        network = fit("squared_error", X=X, interaction_cst="pairwise").estimator
        return [
            ShapeFunctionsDisplay.from_estimator(network, X, n_points=9, max_surfaces=9),
            AttributionDisplay.from_estimator(network, X),
            AttributionDisplay.from_estimator(network, X[:1]),
        ]

    return drawn


def test_dollars_are_no_mathematics(drawn):
    shapes, several, one = drawn(NAMES)
    for display in (shapes, several, one):
        display.figure_.draw_without_rendering()
        texts = [text.get_text() for text in display.figure_.findobj(matplotlib.text.Text)]
        assert not any(map(is_math_text, texts))
    escaped = {name.replace("$", r"\$") for name in NAMES}
    assert {ax.get_title() for ax in shapes.axes_[:5]} == escaped
    assert {ax.get_xlabel() for ax in shapes.axes_[5:]} <= escaped
    assert {text.get_text() for text in several.ax_.get_yticklabels()} == escaped
    assert r"fee (\$) of tax (\$) = \$0-\$25,000" in {
        text.get_text() for text in one.ax_.get_yticklabels()
    }
    (levels,) = (ax for ax in shapes.axes_ if ax.get_title().startswith("fee"))
    names = [text.get_text() for text in levels.get_xticklabels()]
    assert names == [
        "\\$0-\\$25,000",
        "\\$25,000\u2026,000",
        "over \\$\\$\u2026,000",
        "missing",
    ]


def test_long_names_are_cut_and_nothing_is_clipped(drawn):
    shapes, several, one = drawn(LONG)
    cut = {f"Mean monthly re\u2026{i} WWWW {i}" for i in range(5)}
    assert {ax.get_title() for ax in shapes.axes_[:5]} == cut
    assert {text.get_text() for text in several.ax_.get_yticklabels()} == cut
    for display in (shapes, several, one):
        assert_nothing_is_clipped(display.figure_)
    for display in (several, one):
        assert display.ax_.get_position().width > 0.45


def test_names_of_levels_do_not_overlap_on_a_heat_map(drawn):
    shapes = drawn(list("abcde"))[0]
    (panel, *_) = (ax for ax in shapes.axes_[5:] if ax.get_xlabel() == "b")
    assert {text.get_rotation() for text in panel.get_xticklabels()} == {40}


def test_a_picture_says_how_many_columns_it_leaves_out(fit, numbers):
    network = fit("squared_error", interaction_cst="pairwise").estimator

    def note(n_curves, n_surfaces, ax=None):
        options = {"max_features": n_curves, "max_surfaces": n_surfaces, "n_points": 5}
        display = ShapeFunctionsDisplay.from_estimator(network, numbers, ax=ax, **options)
        titles = [axes.get_title() for axes in display.figure_.axes]
        return [title for title in titles if "of" in title]

    assert note(3, 10) == ["3 of 5 columns, largest effects first"]
    both = ["3 of 5 columns and 4 of 10 pairs, largest effects first"]
    assert note(3, 4) == note(3, 4, ax=plt.subplots()[1]) == both
    assert note(5, 10) == note(5, 0) == []


@pytest.mark.parametrize("layout", ["constrained", None])
def test_bars_say_how_many_columns_they_leave_out(layout):
    parts = np.arange(60.0)
    _, ax = plt.subplots(layout=layout)
    display = AttributionDisplay.from_attributions(parts, ax=ax)
    assert ax.get_xlabel() == "contribution\n10 of 60 columns, largest effects first"
    assert_nothing_is_clipped(display.figure_)
    display = AttributionDisplay.from_attributions(parts, max_features=60)
    assert display.ax_.get_xlabel() == "contribution"


@pytest.mark.parametrize("layout", ["new", "constrained", "tight", None])
def test_the_note_is_below_all_panels(layout, fit, numbers):
    X = table_of(list("abcde"), numbers)
    network = fit("squared_error", X=X, interaction_cst="pairwise").estimator
    ax = None if layout == "new" else plt.subplots(layout=layout)[1]
    options = {"max_features": 4, "max_surfaces": 2, "n_points": 5}
    display = ShapeFunctionsDisplay.from_estimator(network, X, ax=ax, **options)
    display.figure_.draw_without_rendering()
    (note,) = (axes.title for axes in display.figure_.axes if "of" in axes.get_title())
    lowest = min(panel.get_tightbbox().y0 for panel in display.axes_)
    assert display.figure_.bbox.y0 <= note.get_window_extent().y0
    assert note.get_window_extent().y1 <= lowest + 1


@pytest.mark.parametrize("display", [LossCurveDisplay, WeightsDisplay, AttributionDisplay])
def test_unfitted(display, numbers):
    more = [numbers] if display is AttributionDisplay else []
    with pytest.raises(NotFittedError, match="not fitted yet"):
        display.from_estimator(NNRegressor(), *more)


@pytest.mark.parametrize(
    "draw",
    [
        lambda network, X: LossCurveDisplay.from_estimator(network),
        lambda network, X: LossCurveDisplay.from_history({"loss": [1.0]}),
        lambda network, X: WeightsDisplay.from_estimator(network),
        lambda network, X: WeightsDisplay.from_weights([np.eye(2)]),
        lambda network, X: AttributionDisplay.from_estimator(network, X),
        lambda network, X: AttributionDisplay.from_attributions([1.0]),
    ],
)
def test_without_matplotlib(draw, fit, numbers, monkeypatch):
    network = fit().estimator
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "\.\[plot\]"'):
        draw(network, numbers)


@pytest.mark.parametrize("n_members", [1, 2])
def test_units_of_groups_that_are_disconnected(fit, n_members):
    options = {"interaction_cst": [{0, 1}, {2}], "n_members": n_members}
    network = fit("squared_error", **options).estimator
    first, second, _ = network.coefs_
    # Three units in one group lose what enters them, and another one what leaves it.
    first[0, :, :3] = 0
    second[-1, 0] = 0
    shares = WeightsDisplay.from_estimator(network).dead_units
    assert_allclose(shares, [4 / (first.shape[0] * first.shape[2]), 0])


# Shape functions.


def test_shape_functions_of_columns(fit, frame):
    network = fit("binary", "plain", X=frame, interaction_cst="no_interactions").estimator
    display = ShapeFunctionsDisplay.from_estimator(network, frame, target="yes", n_points=30)
    shapes = shape_functions(network, frame, n_points=30)
    order = np.argsort(-shapes.importances[:, 0])
    assert [curve.values.column for curve in display.curves_] == order.tolist()
    panels = dict(zip([c.values.name for c in display.curves_], display.axes_, strict=True))
    assert [ax.get_title() for ax in display.axes_] == list(panels)
    curves = {curve.values.name: curve for curve in shapes.curves}
    x, y = panels["b"].lines[1].get_data()
    assert_array_equal(x, curves["b"].values.grid)
    assert_array_equal(y, curves["b"].contributions[:, 0])
    # The marker of missing values is to the right of the curve.
    (x_missing,), (y_missing,) = panels["a"].lines[2].get_data()
    assert x_missing > curves["a"].values.grid[-1] and y_missing == curves["a"].missing[0]
    assert [text.get_text() for text in panels["a"].texts] == ["missing"]
    bars, shares = panels["city"].containers
    expected = [*curves["city"].contributions[:, 0], curves["city"].missing[0]]
    assert_array_equal([bar.get_height() for bar in bars], expected)
    names = [label.get_text() for label in panels["city"].get_xticklabels()]
    assert names == ["Bergen", "Oslo", "Tromso", "missing"]
    assert_allclose(
        [bar.get_height() for bar in shares][0] / shares[1].get_height(),
        curves["city"].values.shares[0] / curves["city"].values.shares[1],
    )
    # Only the most frequent of twenty streets.
    assert panels["street"].get_xlabel() == "12 of 20 levels"
    assert len({ax.get_ylim() for ax in display.axes_}) == 1
    assert display.figure_ is display.axes_[0].figure


def test_shape_functions_of_the_first_class_have_the_other_sign(fit, numbers):
    network = fit("binary", "plain", interaction_cst="no_interactions").estimator
    of_yes = ShapeFunctionsDisplay.from_estimator(network, numbers).axes_[0].lines[1]
    of_no = (
        ShapeFunctionsDisplay.from_estimator(network, numbers, target="no").axes_[0].lines[1]
    )
    assert_array_equal(of_no.get_ydata(), -of_yes.get_ydata())


def test_shape_functions_of_pairs_in_given_axes(fit, numbers):
    network = fit("multiclass", "plain", interaction_cst="pairwise").estimator
    _, ax = plt.subplots()
    display = ShapeFunctionsDisplay.from_estimator(
        network, numbers, target="beech", max_features=2, max_surfaces=1, n_points=9, ax=ax
    )
    assert len(display.axes_) == 3 and display.figure_ is ax.figure
    (surface,) = display.surfaces_
    (mesh,) = display.axes_[2].collections
    assert_array_equal(
        mesh.get_array().reshape(surface.contributions.shape[1::-1]),
        surface.contributions[:, :, 1].T,
    )
    names = [one.name for one in surface.values]
    assert [display.axes_[2].get_xlabel(), display.axes_[2].get_ylabel()] == names
    assert mesh.get_clim()[0] == -mesh.get_clim()[1]
    again = display.plot(max_features=1, max_surfaces=0)
    assert again is display and len(display.axes_) == 1 and not display.surfaces_


def test_heat_maps_are_of_the_pairs_that_matter_for_the_target(fit, numbers):
    """Another output, for which other pairs matter more, changes nothing."""
    network = fit("outputs", "plain", interaction_cst="pairwise").estimator
    shapes = shape_functions(network, numbers, n_points=5, max_surfaces=10)
    largest = []
    for target in (0, 1):
        options = {"target": target, "n_points": 5, "max_surfaces": 2}
        display = ShapeFunctionsDisplay.from_estimator(network, numbers, **options)
        expected = sorted(shapes.surfaces, key=lambda one: -one.importance[target])[:2]
        columns = [[one.column for one in surface.values] for surface in expected]
        assert [[one.column for one in s.values] for s in display.surfaces_] == columns
        largest.append(columns)
    assert largest[0] != largest[1]


def test_shape_functions_that_cannot_be_drawn(fit, numbers):
    network = fit("multiclass", "plain", interaction_cst="pairwise").estimator
    with pytest.raises(ValueError, match="Set target to one of .'ash', 'beech', 'cedar'."):
        ShapeFunctionsDisplay.from_estimator(network, numbers)
    network = fit(interaction_cst=[{0, 1, 2, 3, 4}]).estimator
    with pytest.raises(ValueError, match="Nothing to draw"):
        ShapeFunctionsDisplay.from_estimator(network, numbers)
    for name in ("max_features", "max_surfaces", "n_cols"):
        with pytest.raises(ValueError, match=f"^{name} must be"):
            ShapeFunctionsDisplay.from_estimator(network, numbers, **{name: -1})
