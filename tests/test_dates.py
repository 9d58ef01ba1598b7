"""Data frames with columns of dates and durations: fits, predictions, errors, attributions."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet.data.columns.calendar import CYCLES, phases, seconds
from sknet.inspection import AttributionDisplay, input_gradients, integrated_gradients
from sknet.nn.embeddings import MappedPiecewiseLinear
from sknet.streaming import fit_chunks

QUICK = {"max_iter": 4, "learning_rate": "cosine", "random_state": 0}
N_ROWS = 200


@pytest.fixture
def frame():
    """A frame of numbers, dates over three years, durations and categories."""
    rng = np.random.default_rng(0)
    minutes = rng.integers(0, 3 * 365 * 24 * 60, N_ROWS)
    return pd.DataFrame(
        {
            "x": rng.normal(size=N_ROWS),
            "when": (np.datetime64("2020-01-01", "us") + minutes.astype("m8[m]")),
            "kind": rng.choice(["a", "b"], N_ROWS),
            "lasts": rng.integers(0, 9000, N_ROWS).astype("m8[s]").astype("m8[us]"),
        }
    )


@pytest.fixture
def y(frame):
    hours = frame["when"].dt.hour + frame["when"].dt.minute / 60
    return (np.sin(2 * np.pi * hours / 24) + 0.1 * frame["x"]).to_numpy()


@pytest.fixture
def fitted(frame, y):
    return NNRegressor((6,), **QUICK).fit(frame, y)


def in_zone(frame, zone="Europe/Oslo"):
    """Return the frame with the same instants of UTC in another time zone."""
    return frame.assign(when=frame["when"].dt.tz_localize("UTC").dt.tz_convert(zone))


# What the network gets.


def test_a_daily_course_is_learned(frame, y):
    # The test rows follow the training rows in time.
    order = np.argsort(frame["when"].to_numpy())
    train, test = order[:150], order[150:]
    network = sknet.NNRegressor(random_state=0, max_iter=100)
    assert network.fit(frame.iloc[train], y[train]).score(frame.iloc[test], y[test]) > 0.9


def test_columns_and_their_names(fitted):
    assert fitted.n_features_in_ == 4
    assert fitted.feature_names_in_.tolist() == ["x", "when", "kind", "lasts"]
    cycles = [f"when_{name}_{f}" for name in CYCLES for f in ("sin", "cos")]
    expected = ["x", "lasts", "when", *cycles, "kind_a", "kind_b"]
    assert fitted.encoded_feature_names_.tolist() == expected


@pytest.mark.parametrize("embedding", [None, "periodic", MappedPiecewiseLinear()])
def test_a_date_is_its_number_and_its_phases(frame, y, embedding):
    """The network is that of a table with these columns in the place of the date."""
    when = seconds(frame["when"].to_numpy())
    codes = phases(when[:, np.newaxis], [list(CYCLES)])
    spelled_out = np.column_stack([frame["x"], frame["lasts"].dt.total_seconds(), when, codes])
    columns = frame[["x", "lasts", "when"]]
    networks = [
        NNRegressor((6,), numeric_embedding=embedding, **QUICK).fit(X, y)
        for X in (columns, spelled_out)
    ]
    assert_array_equal(networks[0].predict(columns), networks[1].predict(spelled_out))


@pytest.mark.parametrize("cls", [sknet.NNRegressor, sknet.NNClassifier])
def test_all_libraries_and_units_are_the_same(frame, y, cls):
    frame.loc[3, "when"] = pd.NaT
    target = y if cls is sknet.NNRegressor else y > 0
    objects = {"when": frame["when"].astype(object), "lasts": frame["lasts"].astype(object)}
    same = [
        frame,
        frame.assign(when=frame["when"].astype("M8[ns]")),
        frame.assign(lasts=frame["lasts"].astype("m8[ns]")),
        frame.assign(when=frame["when"].astype(pd.ArrowDtype(pa.timestamp("us")))),
        frame.assign(lasts=frame["lasts"].astype(pd.ArrowDtype(pa.duration("us")))),
        frame.assign(**objects),
        pl.from_pandas(frame),
        pl.from_pandas(frame).with_columns(pl.col("when").cast(pl.Datetime("ns"))),
    ]
    networks = [cls(**QUICK).fit(X, target) for X in same]
    expected = networks[0].predict(frame)
    for network, X in zip(networks, same, strict=True):
        assert_array_equal(network.predict(frame), expected)
        assert_array_equal(networks[0].predict(X), expected)


def test_days_without_a_time_of_day(frame, y):
    days = frame["when"].dt.normalize()
    same = [
        frame.assign(when=days),
        frame.assign(when=days.dt.date),
        frame.assign(when=days.dt.date.astype(pd.ArrowDtype(pa.date32()))),
        pl.from_pandas(frame).with_columns(pl.col("when").cast(pl.Date)),
    ]
    networks = [NNRegressor((6,), **QUICK).fit(X, y) for X in same]
    assert not any("when_day" in name for name in networks[0].encoded_feature_names_)
    for network, X in zip(networks, same, strict=True):
        assert_array_equal(network.predict(X), networks[0].predict(same[0]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_near_dates_are_told_apart_beside_columns_of_float32(dtype):
    """In float32 seconds since 1970 have a distance of 128."""
    when = np.datetime64("2026-01-01", "ms") + np.arange(200)
    frame = pd.DataFrame({"x": np.zeros(200, np.float32), "when": when})
    network = NNRegressor((6,), dtype=dtype, **QUICK).fit(frame, np.arange(200.0))
    prediction = network.predict(frame)
    assert prediction.dtype == np.float64
    assert np.unique(prediction).size == 200


def test_heavy_dates_are_named(frame):
    when = frame["when"].where(np.arange(N_ROWS) % 4 > 0, pd.Timestamp("1900-01-01"))
    network = NNClassifier((6,), numeric_embedding="periodic", **QUICK)
    network.fit(frame.assign(when=when), frame["x"] > 0)
    assert "when=1900-01-01" in network.encoded_feature_names_


def test_cycles_are_those_of_training_rows(frame, y):
    weight = (frame["when"] < "2020-03-01").to_numpy().astype(float)
    assert 10 < weight.sum() < 50
    network = NNRegressor((6,), **QUICK).fit(frame, y, weight)
    few = NNRegressor((6,), **QUICK).fit(frame[weight > 0], y[weight > 0])
    assert not any("year" in name for name in network.encoded_feature_names_)
    assert_array_equal(network.predict(frame), few.predict(frame))


# Missing values.


def test_a_missing_date_has_an_indicator(frame, y):
    frame.loc[::5, "when"] = pd.NaT
    frame.loc[::7, "lasts"] = pd.NaT
    network = NNRegressor((6,), **QUICK).fit(frame, y)
    names = network.encoded_feature_names_.tolist()
    assert [name for name in names if "missing" in name] == ["lasts_missing", "when_missing"]
    assert np.isfinite(network.predict(frame)).all()


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NaT, "polars"])
def test_a_column_without_any_date_is_missing(frame, fitted, nothing):
    missing = frame.assign(when=pd.Series([pd.NaT] * N_ROWS, dtype="M8[us]"))
    other = frame.assign(when=[nothing] * N_ROWS)
    if nothing == "polars":
        other = pl.from_pandas(frame).with_columns(pl.lit(None).alias("when"))
    assert_array_equal(fitted.predict(other), fitted.predict(missing))


# Time zones.


def test_clocks_of_the_time_zone_of_training_count(frame, y):
    zoned = in_zone(frame)
    network = NNRegressor((6,), **QUICK).fit(zoned, y)
    clocks = frame.assign(when=zoned["when"].dt.tz_localize(None))
    naive = NNRegressor((6,), **QUICK).fit(clocks, y)
    expected = naive.predict(clocks)
    for X in (zoned, in_zone(frame, "Asia/Tokyo"), pl.from_pandas(in_zone(frame, "UTC"))):
        assert_array_equal(network.predict(X), expected)


@pytest.mark.parametrize("polars", [False, True])
def test_dates_with_and_without_a_time_zone_do_not_mix(frame, y, polars):
    with_zone, without = in_zone(frame), frame
    if polars:
        with_zone, without = pl.from_pandas(with_zone), pl.from_pandas(without)
    network = NNRegressor((6,), **QUICK)
    with pytest.raises(ValueError, match=r"Column 'when' of X held dates of the time zone Eur"):
        network.fit(with_zone, y).predict(without)
    with pytest.raises(ValueError, match=r"without a time zone.* has the time zone Europe/Os"):
        network.fit(without, y).predict(with_zone)


def test_a_time_zone_that_is_not_known(frame, y):
    offset = datetime.timezone(datetime.timedelta(hours=2))
    network = NNRegressor((6,), **QUICK).fit(in_zone(frame, offset), y)
    expected = network.predict(in_zone(frame, offset))
    assert_array_equal(network.predict(in_zone(frame)), expected)
    # polars knows no zones but those with names.
    with pytest.raises(
        ValueError, match=r"Column 'when' of X cannot be read as dates: .*02:00"
    ):
        network.predict(pl.from_pandas(in_zone(frame)))


# Errors.


@pytest.mark.parametrize("chosen", [["when"], [1], [False, True, False, False], ["lasts"]])
def test_a_date_is_no_category(frame, y, chosen):
    kind, name = ("duration", "lasts") if chosen == ["lasts"] else ("date", "when")
    match = f"categorical_features chooses column '{name}' of X, which holds {kind}s.*text"
    with pytest.raises(ValueError, match=match):
        NNRegressor(categorical_features=chosen).fit(frame, y)


@pytest.mark.parametrize("chosen", [None, ["kind"], "from_dtype"])
def test_dates_are_read_whatever_categories_are_chosen(frame, y, chosen):
    X = frame if chosen else frame.drop(columns="kind")
    network = NNRegressor((6,), categorical_features=chosen, **QUICK).fit(X, y)
    assert "when_day_sin" in network.encoded_feature_names_


@pytest.mark.parametrize(
    "change, match",
    [
        ({"when": 1.0}, "'when' of X held dates in training, but holds numbers or categories"),
        (
            {"when": "2026-01-01"},
            "'when' of X held dates in training, but holds numbers or cat",
        ),
        ({"when": datetime.timedelta(1)}, "'when' of X held dates .* but holds durations now"),
        ({"lasts": datetime.datetime(2026, 1, 1)}, "'lasts' of X held durations .* dates now"),
        ({"x": datetime.datetime(2026, 1, 1)}, "'x' of X held numbers or categories .* dates"),
        ({"kind": datetime.date(2026, 1, 1)}, "'kind' of X held numbers or cat.* holds dates"),
    ],
)
@pytest.mark.parametrize("polars", [False, True])
def test_a_column_that_changes_its_kind(frame, fitted, polars, change, match):
    ((name, value),) = change.items()
    odd = frame.assign(**{name: [value] * N_ROWS})
    with pytest.raises(ValueError, match=f"Column {match}"):
        fitted.predict(pl.from_pandas(odd) if polars else odd)


@pytest.mark.parametrize("moment", [np.datetime64("2026-01-01"), datetime.timedelta(1)])
def test_dates_where_training_had_only_numbers(moment):
    numbers = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [0.0, 1, 0, 1]})
    network = NNRegressor((6,), **QUICK).fit(numbers, numbers["a"])
    kind = "durations" if isinstance(moment, datetime.timedelta) else "dates"
    match = f"Column 'b' of X held numbers or categories in training, but holds {kind}"
    with pytest.raises(ValueError, match=match):
        network.predict(numbers.assign(b=[moment] * 4))


def test_an_array_in_the_place_of_a_frame(fitted):
    with pytest.raises(ValueError, match="X must be a data frame, since column 'lasts' held"):
        with pytest.warns(UserWarning, match="feature names"):
            fitted.predict(np.zeros((2, 4)))


@pytest.mark.parametrize("dtype", ["datetime64[s]", "timedelta64[s]", object])
def test_arrays_of_dates_are_refused(dtype):
    X = np.array([["2026-01-01"], ["2026-01-02"]], "datetime64[s]")
    X = X - X[0] if dtype == "timedelta64[s]" else X.astype(dtype)
    match = "X holds dates or durations .*columns of a data frame X that have such a dtype"
    with pytest.raises(ValueError, match=match):
        NNRegressor().fit(X, [1.0, 2.0])


def test_text_among_dates_is_named(frame, y):
    values = frame["when"].astype(object)
    values[5] = "soon"
    with pytest.raises(ValueError, match="Column 'when' of X cannot be read as dates: .*'str'"):
        NNRegressor().fit(frame.assign(when=values), y)


def test_dates_need_a_scale(frame, y):
    with pytest.raises(ValueError, match="standardize=False passes columns on.*dates"):
        NNRegressor(standardize=False).fit(frame, y)
    durations = frame.drop(columns="when").assign(lasts=frame["lasts"] / 9000)
    network = NNRegressor((6,), standardize=False, **QUICK).fit(durations, y)
    assert "lasts" in network.encoded_feature_names_


def test_columns_in_another_order(frame, fitted):
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["when", "x", "kind", "lasts"]])


# Estimators with such frames.


def test_pickle_and_clone(frame, y, fitted):
    expected = fitted.predict(frame)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(frame), expected)
    assert_array_equal(clone(fitted).fit(frame, y).predict(frame), expected)


def test_validation_rows(frame, y):
    network = NNRegressor((6,), early_stopping=True, **QUICK)
    held_out = {"X_val": pl.from_pandas(frame[150:]), "y_val": y[150:]}
    network.fit(frame[:150], y[:150], **held_out)
    assert len(network.validation_scores_) == network.n_iter_
    with pytest.raises(ValueError, match="Column 'when' of X held dates in training"):
        network.fit(frame, y, X_val=frame.assign(when=1.0), y_val=y)


def test_a_pipeline_with_frames(frame, y, fitted):
    columns = ColumnTransformer(
        [("scale", StandardScaler(), ["x"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(columns, NNRegressor((6,), **QUICK)).set_output(transform="pandas")
    found = pipeline.fit(frame, y).predict(frame)
    assert_allclose(found, fitted.predict(frame), rtol=1e-6)


def test_a_search(frame, y):
    search = GridSearchCV(NNRegressor((6,), **QUICK), {"alpha": [0, 1e-3]}, cv=3)
    assert np.isfinite(search.fit(frame, y).cv_results_["mean_test_score"]).all()


def test_a_warm_start_keeps_the_cycles(frame, y):
    network = NNRegressor((6,), warm_start=True, **QUICK).fit(frame, y)
    names = network.encoded_feature_names_
    network.fit(frame[:40], y[:40])
    assert_array_equal(network.encoded_feature_names_, names)


def test_the_first_chunk_decides(frame, y):
    first = frame.assign(when=frame["when"].dt.normalize())
    network = NNRegressor((6,), random_state=0).partial_fit(first, y)
    names = network.encoded_feature_names_
    network.partial_fit(frame, y)
    assert_array_equal(network.encoded_feature_names_, names)
    assert not any("when_day" in name for name in names)


def test_chunks_are_the_whole_table(frame, y):
    """Each chunk of a month knows nothing of years."""
    order = np.argsort(frame["when"].to_numpy())
    chunks = [(frame.iloc[rows], y[rows]) for rows in np.array_split(order, 20)]
    network = fit_chunks(NNRegressor((6,), **QUICK), chunks)
    whole = NNRegressor((6,), **QUICK).fit(frame, y)
    assert_array_equal(network.encoded_feature_names_, whole.encoded_feature_names_)
    ours, expected = (one._model.encoder.numbers_ for one in (network, whole))
    assert_array_equal(ours.center, expected.center)


# Attributions.


def test_gradients_by_dates_are_derivatives(frame, y):
    network = NNRegressor((6,), activation="tanh", **QUICK).fit(frame, y)
    step = np.timedelta64(10, "s")
    for place, name in ((1, "when"), (3, "lasts")):
        up, down = (frame.assign(**{name: frame[name] + s}) for s in (step, -step))
        expected = (network.predict(up) - network.predict(down)) / 20
        assert_allclose(input_gradients(network, frame)[:, place], expected, rtol=1e-4)


def test_attributions_are_those_of_the_columns_of_the_user(frame, y):
    network = NNRegressor((6,), **QUICK).fit(frame, y)
    parts = integrated_gradients(network, frame, baseline=frame[:1])
    assert parts.shape == frame.shape
    difference = network.predict(frame) - network.predict(frame[:1])
    assert_allclose(parts.sum(axis=1), difference, atol=1e-9)
    # A row that differs from the baseline in its date only.
    other = frame[:1].assign(when=frame["when"][1])
    parts = integrated_gradients(network, other, baseline=frame.iloc[0])
    assert np.abs(parts[0, 1]) > 0
    assert_array_equal(parts[0, [0, 2, 3]], 0)


def test_the_default_baseline_has_the_median_date(frame, y):
    odd = frame[1:]
    network = NNRegressor((6,), **QUICK).fit(odd, y[1:])
    medians = {name: odd[name].median() for name in ["x", "when", "lasts"]}
    typical = odd[:1].assign(kind=[None], **medians)
    parts = integrated_gradients(network, frame)
    assert_allclose(parts, integrated_gradients(network, frame, baseline=typical), atol=1e-9)


def test_a_display_shows_the_date(frame, fitted):
    pytest.importorskip("matplotlib").use("agg")
    display = AttributionDisplay.from_estimator(fitted, frame[:1])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert f"when = {frame['when'][0]}" in labels
