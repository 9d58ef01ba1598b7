"""Curves and surfaces of additive networks, against the predictions that they add up to."""

import matplotlib
import matplotlib.figure
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib import dates
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sknet import NNRegressor
from sknet.data.columns.scores import NormalScores
from sknet.inspection import ShapeFunctionsDisplay, shape_functions
from sknet.inspection.axes import DateScale, DurationScale
from sknet.streaming import RowBlocks

TASKS = [
    *("squared_error", "outputs", "poisson", "gamma", "quantiles"),
    *("binary", "multiclass", "multilabel"),
]
KINDS = {
    "additive": {"interaction_cst": "no_interactions"},
    "pairs": {"interaction_cst": "pairwise"},
    "groups": {"interaction_cst": [{0, 1}, {1}, {3, 4}]},
    "members": {"interaction_cst": "pairwise", "n_members": 2},
    "additive members": {"interaction_cst": "no_interactions", "n_members": 2},
    "linear": {"interaction_cst": "pairwise", "hidden_layer_sizes": ()},
    "linear members": {
        "interaction_cst": "no_interactions",
        "hidden_layer_sizes": (),
        "n_members": 2,
    },
    "binned": {"interaction_cst": "pairwise", "numeric_embedding": "piecewise_linear"},
}


def before_link(task, network, X):
    """Return the prediction before the link."""
    if task in ("poisson", "gamma"):
        return np.log(network.outputs(X))
    if task == "quantiles":
        estimator = network.estimator
        model = estimator._model
        X = estimator._last_fit()[0].read(X)
        raw = model.predictor.map_rows(X, lambda outputs: (outputs[-1],))[0]
        return model.members.raw(raw)
    return network.outputs(X)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_terms_and_intercept_add_up_to_the_prediction(fit, numbers, task, kind):
    network = fit(task, "plain", **kind)
    shapes = shape_functions(network.estimator, numbers[:100])
    expected = before_link(task, network, numbers)
    total = shapes.intercept + shapes.contributions(numbers).sum(axis=1)
    scale = np.abs(expected).max()
    assert_allclose(total, expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("kind", ["additive", "additive members", "groups"])
def test_terms_are_zero_on_average_over_the_rows(fit, numbers, kind):
    network = fit("multiclass", "plain", **KINDS[kind]).estimator
    weights = np.random.default_rng(0).uniform(size=200)
    shapes = shape_functions(network, numbers, sample_weight=weights)
    terms = shapes.contributions(numbers)
    assert_allclose(np.average(terms, axis=0, weights=weights), 0, atol=1e-12)
    sizes = np.average(np.abs(terms), axis=0, weights=weights)
    assert_allclose(shapes.importances, sizes, rtol=1e-9)


def test_interactions_have_no_effects_of_single_columns(fit, numbers):
    """A pair's term is zero on average over each column's values in X, for each other value."""
    network = fit("squared_error", "plain", interaction_cst="pairwise").estimator
    shapes = shape_functions(network, numbers)
    place = shapes.terms.index((2, 3))
    rows = np.repeat(numbers[:5], len(numbers), axis=0)
    rows[:, 2] = np.tile(numbers[:, 2], 5)
    terms = shapes.contributions(rows)[:, place, 0].reshape(5, -1)
    assert np.abs(terms).max() > 1e-3
    assert_allclose(terms.mean(axis=1), 0, atol=1e-12 * np.abs(terms).max() * 100)


def test_curves_are_the_terms_of_their_columns(fit, numbers):
    network = fit("squared_error", "plain", interaction_cst="no_interactions").estimator
    shapes = shape_functions(network, numbers, n_points=20)
    terms = shapes.contributions(numbers)
    for column, curve in enumerate(shapes.curves):
        assert curve.values.column == column and curve.values.name == f"x{column}"
        rows = np.repeat(numbers[:1], len(curve.values.grid), axis=0)
        rows[:, column] = curve.values.grid
        assert_allclose(shapes.contributions(rows)[:, column], curve.contributions, atol=1e-12)
        assert_allclose(curve.importance, np.abs(terms[:, column]).mean(axis=0), rtol=1e-9)
        assert 10 < len(curve.values.grid) <= 20 and (np.diff(curve.values.grid) > 0).all()
        low, high = np.quantile(numbers[:, column], [0.005, 0.995])
        assert low <= curve.values.grid[0] and curve.values.grid[-1] <= high


@pytest.mark.parametrize("n_points", [2, 3])
def test_few_points_include_both_ends(n_points, fit, numbers):
    network = fit("multilabel", "plain", **KINDS["pairs"]).estimator
    shapes = shape_functions(network, numbers, n_points=n_points, percentiles=(0, 1))
    grid = shapes.curves[0].values.grid
    assert len(grid) == n_points
    x = numbers[:, shapes.curves[0].values.column]
    assert_allclose(grid[[0, -1]], [x.min(), x.max()], rtol=1e-6)


@pytest.mark.parametrize("kind", ["pairs", "groups", "members"])
def test_surfaces_are_the_terms_of_their_columns(fit, numbers, kind):
    network = fit("multilabel", "plain", **KINDS[kind]).estimator
    shapes = shape_functions(network, numbers, n_points=6, max_surfaces=2)
    assert len(shapes.surfaces) == 2
    sizes = [surface.importance.max() for surface in shapes.surfaces]
    pairs = [i for i, term in enumerate(shapes.terms) if len(term) == 2]
    assert_array_equal(sizes, np.sort(shapes.importances[pairs].max(axis=1))[:-3:-1])
    for surface in shapes.surfaces:
        first, second = surface.values
        place = shapes.terms.index((first.column, second.column))
        rows = np.repeat(numbers[:1], len(first.grid) * len(second.grid), axis=0)
        rows[:, first.column] = np.repeat(first.grid, len(second.grid))
        rows[:, second.column] = np.tile(second.grid, len(first.grid))
        expected = shapes.contributions(rows)[:, place].reshape(surface.contributions.shape)
        assert_allclose(surface.contributions, expected, atol=1e-12)


def test_ordered_categories_keep_their_order():
    """The curve goes through the levels in the order of the dtype, with their contributions."""
    rng = np.random.default_rng(0)
    names = ["low", "middle", "high"]
    known = pd.Categorical.from_codes(rng.integers(0, 3, 300), names, ordered=True)
    X = pd.DataFrame({"x": rng.normal(size=300), "grade": known})
    y = 2.0 * known.codes + X["x"]
    network = NNRegressor((4,), interaction_cst="no_interactions", random_state=0).fit(X, y)
    curve = next(c for c in shape_functions(network, X).curves if c.values.name == "grade")
    assert_array_equal(curve.values.grid, names)
    assert_allclose(curve.values.shares, [(known == name).mean() for name in names])
    by_level = np.array(
        [network.predict(X.assign(grade=pd.Categorical([name] * 300, names))) for name in names]
    ).mean(axis=1)
    assert_allclose(np.diff(curve.contributions[:, 0]), np.diff(by_level), rtol=1e-4)


@pytest.mark.parametrize("constraint", ["no_interactions", "pairwise"])
def test_categories_and_missing_values(fit, frame, constraint):
    network = fit("binary", "plain", X=frame, interaction_cst=constraint).estimator
    shapes = shape_functions(network, frame, max_surfaces=100)
    curves = {curve.values.name: curve for curve in shapes.curves}
    assert list(curves) == list(frame.columns)
    total = shapes.intercept + shapes.contributions(frame).sum(axis=1)
    assert_allclose(total[:, 0], network.decision_function(frame), rtol=1e-9, atol=1e-9)
    city = curves["city"].values
    assert_array_equal(city.grid, ["Bergen", "Oslo", "Tromso"])
    assert city.is_category and city.bin_edges is None
    assert_allclose(city.shares, [(frame["city"] == one).mean() for one in city.grid])
    assert_allclose(city.missing_share, frame["city"].isna().mean())
    assert_allclose(curves["a"].values.missing_share, frame["a"].isna().mean())
    # A row with each value in turn, in all columns at a time, or with no value at all.
    for name in ("city", "street", "a"):
        curve = curves[name]
        rows = pd.concat([frame.iloc[[0]]] * (len(curve.values.grid) + 1), ignore_index=True)
        rows[name] = [*curve.values.grid, np.nan if name == "a" else None]
        place = shapes.terms.index((curve.values.column,))
        terms = shapes.contributions(rows)[:, place]
        assert_allclose(terms, [*curve.contributions, curve.missing], atol=1e-12)
    if constraint == "pairwise":
        names = {tuple(sorted(one.name for one in s.values)) for s in shapes.surfaces}
        assert ("city", "street") in names and len(names) == 21


def test_few_values_constants_and_columns_without_values(numbers):
    X = numbers.copy()
    X[:, 0], X[:, 1], X[:, 2] = np.arange(200) % 3, 7, np.nan
    network = NNRegressor((4,), interaction_cst="no_interactions", max_iter=2, random_state=0)
    curves = shape_functions(network.fit(X, X[:, 3]), X).curves
    assert_array_equal(curves[0].values.grid, [0, 1, 2])
    assert_array_equal(curves[0].values.bin_edges, [-0.5, 0.5, 1.5, 2.5])
    assert_allclose(curves[0].values.shares, np.bincount(np.arange(200) % 3) / 200)
    assert_array_equal(curves[1].values.grid, [7])
    assert curves[2].values.missing_share == pytest.approx(1)
    assert_allclose(curves[2].missing, 0, atol=1e-6)


def test_tables_of_other_kinds(fit, numbers):
    network = fit("squared_error", "plain", interaction_cst="pairwise").estimator
    expected = shape_functions(network, numbers)
    of_blocks = shape_functions(network, RowBlocks(numbers))
    assert_allclose(of_blocks.intercept, expected.intercept, rtol=1e-12)
    of_sparse = shape_functions(network, sparse.csr_array(numbers))
    assert_allclose(of_sparse.contributions(numbers), expected.contributions(numbers))


def test_a_sparse_table(numbers):
    X = sparse.csr_array(np.where(numbers > 1, numbers, 0))
    network = NNRegressor((8,), interaction_cst="no_interactions", max_iter=3, random_state=0)
    network.fit(X, numbers[:, 0])
    shapes = shape_functions(network, X)
    total = shapes.intercept + shapes.contributions(X).sum(axis=1)
    assert_allclose(total[:, 0], network.predict(X), rtol=1e-4)
    assert len(shapes.curves) == 5


def test_arguments_are_checked(fit, numbers):
    with pytest.raises(ValueError, match="no shape functions.* Set interaction_cst="):
        shape_functions(fit().estimator, numbers)
    with pytest.raises(NotFittedError):
        shape_functions(NNRegressor(interaction_cst="pairwise"), numbers)
    with pytest.raises(TypeError, match="must be a local sknet estimator"):
        shape_functions("network", numbers)
    network = fit(interaction_cst="no_interactions").estimator
    for name, values in {
        "n_points": [1, 2.5, True],
        "max_surfaces": [-1, True],
        "percentiles": [0.5, (0.5, 0.5), (0.9, 0.1), (-0.1, 1), (0, 1, 2), "ab", None],
    }.items():
        for value in values:
            with pytest.raises(ValueError, match=f"^{name} must be"):
                shape_functions(network, numbers, **{name: value})
    with pytest.raises(ValueError, match="sample_weight"):
        shape_functions(network, numbers, sample_weight=np.full(200, -1.0))
    with pytest.raises(ValueError, match="features"):
        shape_functions(network, numbers[:, :3])


@pytest.mark.parametrize("as_sparse", [False, True])
def test_rows_without_weight_are_no_rows(as_sparse):
    X = np.random.default_rng(0).normal(size=(100, 2))
    X = sparse.csr_array(X) if as_sparse else X
    network = NNRegressor((4,), interaction_cst="pairwise", max_iter=3, random_state=0)
    network.fit(X, np.arange(100.0))
    weight = np.arange(100) < 60
    one = shape_functions(network, X, sample_weight=weight.astype(float))
    other = shape_functions(network, X[:60])
    for found, expected in zip(one.curves, other.curves, strict=True):
        assert_array_equal(found.values.grid, expected.values.grid)
        assert_allclose(found.values.shares, expected.values.shares)
        assert_allclose(found.contributions, expected.contributions)


def test_categories_beside_dates_keep_their_levels():
    rng = np.random.default_rng(0)
    minutes = pd.to_timedelta(rng.integers(0, 24 * 60, 200), unit="min")
    X = pd.DataFrame({"when": pd.Timestamp("2024-01-01") + minutes})
    levels = {"a": ["blue", "red"], "b": ["x", "y"], "c": ["no", "yes"]}
    X = X.assign(**{name: rng.choice(of_one, 200) for name, of_one in levels.items()})
    network = NNRegressor((4,), interaction_cst="no_interactions", max_iter=3, random_state=0)
    shapes = shape_functions(network.fit(X, (X["c"] == "yes") * 3.0), X)
    found = {one.values.name: list(one.values.grid) for one in shapes.curves}
    assert {name: found[name] for name in levels} == levels


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_display_of_a_normal_distribution_draws_the_mean(n_outputs):
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = X[:, :n_outputs] * [1.0, 10.0][:n_outputs]
    network = NNRegressor(
        (4,),
        loss="normal",
        interaction_cst="no_interactions",
        max_iter=30,
        dtype="float64",
        random_state=0,
    ).fit(X, y[:, 0] if n_outputs == 1 else y)
    target = n_outputs - 1
    display = ShapeFunctionsDisplay.from_estimator(network, X, target=target)
    shapes = shape_functions(network, X)
    total = shapes.intercept + shapes.contributions(X).sum(axis=1)
    predicted = network.predict(X).reshape(200, -1)[:, target]
    assert_allclose(total @ display.factors, predicted, rtol=1e-6, atol=1e-9)


# Dates and durations.


@pytest.fixture(params=["pandas", "polars"])
def times(request):
    """A frame with dates in June, with and without a time zone, and durations; and a fit."""
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-06-03", "us")
    X = pd.DataFrame(
        {
            "took": rng.integers(60, 9000, 300) * np.timedelta64(1, "s"),
            "x": rng.normal(size=300),
            "there": start + rng.integers(0, 27 * 86_400, 300) * np.timedelta64(1, "s"),
            "here": start + np.arange(300) * np.timedelta64(90, "m"),
        }
    )
    y = X["took"].dt.total_seconds() / 1000 + X["here"].dt.hour / 6 + X["there"].dt.day / 10
    X["there"] = X["there"].dt.tz_localize("Asia/Tokyo")
    X.loc[::9, "took"] = pd.NaT
    X.loc[::7, "here"] = pd.NaT
    X = X if request.param == "pandas" else pl.from_pandas(X)
    network = NNRegressor(
        (8,), interaction_cst="pairwise", max_iter=20, dtype="float64", random_state=0
    )
    return X, network.fit(X, y)


def test_curves_of_times_are_those_at_the_grid(times):
    """The contributions of rows that have the values of the grid, in the column's time zone."""
    X, network = times
    shapes = shape_functions(network, X, n_points=20)
    typical = X[:1] if isinstance(X, pl.DataFrame) else X.iloc[:1]
    typical = typical.to_pandas() if isinstance(X, pl.DataFrame) else typical
    assert [curve.values.name for curve in shapes.curves] == list(X.columns)
    for curve in shapes.curves:
        values, name = curve.values, curve.values.name
        rows = typical.loc[typical.index.repeat(len(values.grid))].reset_index(drop=True)
        column = pd.Series(values.grid)
        zone = values.time_zone
        rows[name] = column if zone is None else column.dt.tz_localize(zone)
        rows = rows if isinstance(X, pd.DataFrame) else pl.from_pandas(rows)
        added = shapes.contributions(rows)[:, values.column]
        assert_allclose(curve.contributions, added, atol=1e-8)


def test_grids_of_times_have_their_type(times):
    X, network = times
    shapes = shape_functions(network, X, n_points=20)
    values = {curve.values.name: curve.values for curve in shapes.curves}
    kinds = {"took": "m", "x": "f", "there": "M", "here": "M"}
    for name, kind in kinds.items():
        one = values[name]
        assert one.grid.dtype.kind == one.bin_edges.dtype.kind == kind
        assert (one.grid[1:] > one.grid[:-1]).all()
    assert {name: one.time_zone for name, one in values.items() if one.time_zone} == {
        "there": "Asia/Tokyo"
    }
    low, high = np.datetime64("2024-06-03"), np.datetime64("2024-07-01")
    for name in ("there", "here"):
        assert low <= values[name].grid[0] < values[name].grid[-1] < high
    assert values["took"].grid[0] < np.timedelta64(5, "m")
    assert values["took"].missing_share == pytest.approx(34 / 300)


def test_a_column_of_times_without_values_has_a_curve_of_one_point(times):
    X, network = times
    if isinstance(X, pl.DataFrame):
        X = X.to_pandas()
    missing = X.assign(here=pd.Series(pd.NaT, X.index, dtype="datetime64[us]"))
    values = shape_functions(network, missing).curves[3].values
    assert values.missing_share == pytest.approx(1)
    assert values.grid.dtype.kind == "M"
    assert values.grid.shape == (1,)


def test_the_display_has_axes_of_dates(times, monkeypatch):
    """Also where matplotlib is told of another time zone."""
    X, network = times
    monkeypatch.setitem(matplotlib.rcParams, "timezone", "America/New_York")
    display = ShapeFunctionsDisplay.from_estimator(network, X, max_surfaces=6)
    display.figure_.draw_without_rendering()
    panels = dict(zip([c.values.name for c in display.curves_], display.axes_, strict=False))
    curves = {curve.values.name: curve for curve in display.curves_}
    for name in ("there", "here"):
        axis, line = panels[name].xaxis, panels[name].lines[1]
        grid = curves[name].values.grid
        assert_allclose(line.get_xdata(), dates.date2num(grid))
        shown = axis.get_major_formatter().format_data_short(line.get_xdata()[0])
        assert shown.startswith(str(grid[0].astype("datetime64[s]")).replace("T", " "))
    assert panels["there"].get_xlabel() == "Asia/Tokyo"
    assert panels["took"].get_xlabel() == "hours"
    hours = curves["took"].values.grid / np.timedelta64(1, "h")
    assert_allclose(panels["took"].lines[1].get_xdata(), hours)
    assert panels["x"].get_xlabel() == panels["here"].get_xlabel() == ""
    for name, n_missing in (("took", 1), ("here", 1), ("there", 0)):
        assert len(panels[name].texts) == n_missing
    labels = {ax.get_xlabel() for ax in display.axes_[4:]}
    labels |= {ax.get_ylabel() for ax in display.axes_[4:]}
    assert labels == {"took (hours)", "x", "there (Asia/Tokyo)", "here"}


def heat_map(ax):
    """Return the limits of the axes and of the colors in them, as two arrays (axes, ends)."""
    edges = ax.collections[0].get_coordinates()
    found = [(edges[..., i].min(), edges[..., i].max()) for i in range(2)]
    return np.array([ax.get_xlim(), ax.get_ylim()]), np.array(found)


def test_heat_maps_of_dates_fill_their_panels(times):
    X, network = times
    display = ShapeFunctionsDisplay.from_estimator(network, X, max_surfaces=6)
    assert len(display.surfaces_) == 6
    for ax in display.axes_[4:]:
        assert_allclose(*heat_map(ax))


@pytest.mark.parametrize("n_days", [0.1, 2.6, 100, 950, 1000, 9000])
def test_there_is_an_interval_of_ticks_for_every_span_of_dates(n_days):
    """Matplotlib warns where none of its intervals suits the largest number of ticks."""
    ax = matplotlib.figure.Figure().subplots()
    ax.plot([19_000, 19_000 + n_days], [0, 1])
    DateScale().write_ticks(ax.xaxis)
    assert 3 <= len(ax.get_xticks()) <= 9


@pytest.mark.parametrize("open_end", ["9999-12-31", "0001-01-01"])
def test_the_first_and_the_last_date_of_the_calendar_can_be_drawn(open_end):
    """A date that stands for an open end is at the end of matplotlib's calendar."""
    days = np.datetime64("2024-01-01") + np.arange(200)
    days[::4] = np.datetime64(open_end)
    X = pd.DataFrame({"until": days.astype("datetime64[s]")})
    network = NNRegressor((4,), interaction_cst="no_interactions", max_iter=3, random_state=0)
    display = ShapeFunctionsDisplay.from_estimator(network.fit(X, np.arange(200.0)), X)
    display.figure_.draw_without_rendering()


def test_a_curve_of_one_point_is_seen(times):
    X, network = times
    same = X.with_columns(x=pl.lit(1.0)) if isinstance(X, pl.DataFrame) else X.assign(x=1.0)
    display = ShapeFunctionsDisplay.from_estimator(network, same)
    lines = [ax.lines[1] for ax in display.axes_[: len(display.curves_)]]
    names = [curve.values.name for curve in display.curves_]
    dotted = [line.get_marker() == "o" for line in lines]
    assert [name for name, one in zip(names, dotted, strict=True) if one] == ["x"]


def test_a_heat_map_of_many_levels_has_no_numbers_on_its_axis():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"code": rng.integers(0, 20, 300).astype(str), "x": rng.normal(size=300)})
    network = NNRegressor((4,), interaction_cst="pairwise", max_iter=3, random_state=0)
    display = ShapeFunctionsDisplay.from_estimator(network.fit(X, X["x"]), X)
    axes = display.axes_[-1]
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"code (20 levels)", "x"}
    is_x = axes.get_xlabel() == "code (20 levels)"
    assert len((axes.xaxis if is_x else axes.yaxis).get_ticklocs()) == 0
    assert_allclose(*heat_map(axes))


@pytest.mark.parametrize(
    ("longest", "unit"),
    [("47 hours", "hours"), ("48 hours", "days"), ("90 s", "seconds"), ("0 s", "seconds")],
)
def test_durations_have_a_unit_of_their_size(longest, unit):
    values = np.array([-1, 1]) * pd.Timedelta(longest).to_timedelta64()
    scale = DurationScale.of(values)
    assert scale.title("took") == f"took ({unit})"
    assert_allclose(scale.places(values), values / pd.Timedelta(1, unit[:-1]).to_timedelta64())


# Numbers that span orders of magnitude.


@pytest.fixture(scope="module")
def spanning():
    """Return a network and its rows, in which a column has zeros, and one missing numbers."""
    rng, n = np.random.default_rng(0), 600
    X = pd.DataFrame(
        {
            "price": np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(0, 4, n)),
            "bytes": np.where(rng.random(n) < 0.1, 0, rng.lognormal(0, 4, n)),
            "length": rng.normal(10, 1, n),
            "wait": pd.to_timedelta(rng.lognormal(5, 4, n), unit="s"),
        }
    )
    y = np.nan_to_num(np.log(X["price"])) + X["length"]
    network = NNRegressor(interaction_cst="pairwise", max_iter=3, random_state=0)
    return network.fit(X, y), X


def test_positive_numbers_with_scores_have_a_logarithmic_axis(spanning):
    network, X = spanning
    assert len(network._model.encoder.of_kind(NormalScores)[0].sources) == 3
    display = ShapeFunctionsDisplay.from_estimator(network, X)
    scales = {ax.get_title(): ax.get_xscale() for ax in display.axes_[:4]}
    assert scales == {"price": "log", "bytes": "linear", "length": "linear", "wait": "linear"}
    (curve,) = [one for one in display.curves_ if one.values.name == "price"]
    grid, edges = curve.values.grid, curve.values.bin_edges
    low, high = np.nanquantile(X["price"], [0.005, 0.995])
    assert low <= grid[0] == edges[0] < edges[-1] == grid[-1] <= high
    ratios = edges[1:] / edges[:-1]
    assert_allclose(ratios, ratios[0])
    assert (np.diff(grid) > 0).all()
    # The curve is that of the model at the grid.
    rows = X.iloc[[0] * len(grid)].assign(price=grid)
    effects = shape_functions(network, X).contributions(rows)
    names = [one.values.name for one in shape_functions(network, X).curves]
    assert_allclose(effects[:, names.index("price")], curve.contributions, atol=1e-4)
    # The mark of missing numbers is beside the histogram.
    (ax,) = [ax for ax in display.axes_[:4] if ax.get_title() == "price"]
    (mark,) = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"]
    assert np.log(mark / edges[-1]) == pytest.approx(0.1 * np.log(edges[-1] / edges[0]))
    assert ax.get_xlim()[0] < edges[0] and mark < ax.get_xlim()[1]


def test_heat_maps_of_such_columns_have_logarithmic_axes(spanning):
    network, X = spanning
    display = ShapeFunctionsDisplay.from_estimator(network, X, max_surfaces=6)
    found = {}
    for ax in display.axes_[4:]:
        found[ax.get_xlabel()] = ax.get_xscale()
        found[ax.get_ylabel()] = ax.get_yscale()
    assert found.pop("price") == "log"
    assert set(found.values()) == {"linear"}
