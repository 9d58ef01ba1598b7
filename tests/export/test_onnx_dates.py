"""Dates and durations in ONNX models: inputs in seconds, phases of the calendar."""

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx_sessions import session_of

from sknet import NNClassifier, NNRegressor
from sknet.data.columns import times
from sknet.data.columns.times import CYCLES, DAY, seconds
from sknet.export import onnx_inputs, to_onnx
from sknet.export._encoding import phases
from sknet.export._graph import Graph, Port, Tensor
from sknet.export._onnx import _model_proto

N_ROWS = 300


@pytest.fixture(scope="module")
def frame():
    """Dates before and between other columns: days, and instants with a time zone."""
    rng = np.random.default_rng(0)
    hours = rng.integers(0, 4 * 365 * 24, N_ROWS).astype("m8[h]")
    when = pd.Series(np.datetime64("2022-01-01", "us") + hours)
    return pd.DataFrame(
        {
            "day": when.dt.normalize(),
            "kind": rng.choice(["a", "b"], N_ROWS),
            "when": when.dt.tz_localize("UTC").dt.tz_convert("Europe/Oslo"),
            "price": rng.normal(size=N_ROWS).astype(np.float32),
            "lasts": rng.integers(0, 9000, N_ROWS).astype("m8[s]").astype("m8[us]"),
        }
    )


@pytest.fixture(scope="module")
def later_rows(frame):
    """Other rows, with missing dates, in another time zone."""
    rows = frame[::-1].reset_index(drop=True)
    rows["day"] += np.timedelta64(3, "h")
    rows.loc[[2, 5], "day"] = pd.NaT
    rows.loc[[3, 5], "when"] = pd.NaT
    rows.loc[4, "lasts"] = pd.NaT
    rows["when"] = rows["when"].dt.tz_convert("America/New_York")
    return rows


@pytest.fixture(scope="module")
def y(frame):
    return (frame["when"].dt.hour + frame["price"]).to_numpy()


def predict(model, inputs):
    session = session_of(model)
    return session.run(None, inputs(session) if callable(inputs) else inputs)[-1]


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("time", [0.0, 0.5, DAY - 1e-3])
def test_phases_of_three_thousand_years(time, opset):
    graph = Graph()
    t = Tensor(graph, "t", np.dtype(np.float64))
    codes = phases(t, list(CYCLES.values())).op("Identity", output="codes")
    inputs, outputs = [Port(t, 1)], [Port(codes, 2 * len(CYCLES))]
    model = _model_proto("phases", graph, inputs, outputs, opset)
    days = np.arange(np.datetime64("0001"), np.datetime64("3001"), dtype="datetime64[D]")
    # All days of two centuries, one of which begins without a leap day, and some of all others.
    days = np.concatenate([days[::97], days[1895 * 365 : 2105 * 365]])
    inputs = seconds(days) + time
    expected = times.phases(inputs, list(CYCLES))
    assert_allclose(predict(model, {"t": inputs[:, np.newaxis]}), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("embedding", [None, "periodic", "piecewise_linear"])
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
@pytest.mark.parametrize("library", [pd, pl])
def test_frames_with_dates(make, run, frame, later_rows, y, library, cls, embedding):
    target = y if cls is NNRegressor else y > 12
    X, rows = (pl.from_pandas(one) if library is pl else one for one in (frame, later_rows))
    network = make(cls, numeric_embedding=embedding).fit(X, target)
    if not hasattr(network, "feature_names_in_"):
        # scikit-learn 1.6 does not read the names of newer frames of polars.
        names = {name: f"x{i}" for i, name in enumerate(X.columns)}
        X, rows = X.rename(names), rows.rename(names)
    expected = network.predict(rows) if cls is NNRegressor else network.predict_proba(rows)
    for model in [to_onnx(network), to_onnx(network, X), to_onnx(network, target_opset=13)]:
        found = list(run(model, rows).values())[-1]
        assert found.dtype == np.float64
        assert_allclose(found, expected.reshape(found.shape), rtol=0, atol=1e-7)


def test_inputs_are_seconds_of_the_clocks_of_training(make, frame, later_rows, y):
    model = to_onnx(make(NNRegressor).fit(frame, y), frame)
    session = session_of(model)
    types = {one.name: one.type for one in session.get_inputs()}
    assert [types[name] for name in ("day", "when", "lasts")] == ["tensor(double)"] * 3
    ((name, told),) = session.get_modelmeta().custom_metadata_map.items()
    kinds = {"day": "date", "when": "date Europe/Oslo", "lasts": "duration"}
    assert (name, json.loads(told)) == ("sknet.times", kinds)
    inputs = onnx_inputs(session, later_rows)
    clocks = later_rows["when"].dt.tz_convert("Europe/Oslo").dt.tz_localize(None)
    assert_array_equal(inputs["when"].ravel(), seconds(clocks.to_numpy()))
    assert_array_equal(inputs["lasts"].ravel(), later_rows["lasts"].dt.total_seconds())
    with pytest.raises(ValueError, match="'when' of X had the time zone Europe/Oslo"):
        onnx_inputs(session, later_rows.assign(when=clocks))
    with pytest.raises(ValueError, match="'price' of X held numbers or .* but holds dates now"):
        onnx_inputs(session, later_rows.assign(price=clocks))
    with pytest.raises(ValueError, match="'lasts' of X held durations .* but holds dates now"):
        onnx_inputs(session, later_rows.assign(lasts=clocks))
    numbers = later_rows.assign(when=inputs["when"])
    assert_array_equal(onnx_inputs(session, numbers)["when"], inputs["when"])


def test_rows_for_a_model_that_says_nothing_of_dates(frame):
    """Such as a pipeline that skl2onnx has exported."""
    one = SimpleNamespace(name="when", type="tensor(double)")
    inputs = onnx_inputs(SimpleNamespace(get_inputs=lambda: [one]), frame[["when"]])
    clocks = frame["when"].dt.tz_localize(None).to_numpy()
    assert_array_equal(inputs["when"].ravel(), seconds(clocks))


def declared(frame, kind, **others):
    """Return the types of inputs, of which those of dates have a given one."""
    kinds = dict.fromkeys(frame, onnx.TensorProto.DOUBLE)
    kinds |= {"kind": onnx.TensorProto.STRING, "day": kind, "when": kind, **others}
    return [
        (name, onnx.helper.make_tensor_type_proto(one, [None, 1]))
        for name, one in kinds.items()
    ]


def test_dates_as_integers(make, frame, y):
    network = make(NNRegressor).fit(frame, y)
    model = to_onnx(network, initial_types=declared(frame, onnx.TensorProto.INT64))
    whole = onnx_inputs(SimpleNamespace(get_inputs=lambda: []), frame[[]])
    for name in frame:
        values = frame[name]
        if name == "when":
            values = values.dt.tz_localize(None)
        if values.dtype.kind in "mM":
            values = seconds(values.to_numpy())
        dtype = {"day": np.int64, "when": np.int64, "kind": object}.get(name, np.float64)
        whole[name] = np.asarray(values, dtype=dtype)[:, np.newaxis]
    for inputs in (whole, lambda session: onnx_inputs(session, frame)):
        assert_allclose(predict(model, inputs).ravel(), network.predict(frame), atol=1e-9)
    with pytest.raises(ValueError, match="'day' .* takes int64, which cannot hold .*missing"):
        predict(model, lambda session: onnx_inputs(session, frame.assign(day=pd.NaT)))


def in_seconds(X):
    """Return an array of a frame whose columns but "price" are times."""
    return np.column_stack(
        [seconds(X[name].to_numpy()) if name != "price" else X[name] for name in X]
    )


def test_one_wide_input(make, frame, y):
    """Dates need not be the last of its columns."""
    X = frame[["day", "price", "lasts"]]
    network = make(NNRegressor).fit(X, y)
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.DOUBLE, [None, 3])
    model = to_onnx(network, initial_types=[("X", kind)])
    rows = in_seconds(X)
    for inputs in ({"X": rows}, lambda session: onnx_inputs(session, X)):
        assert_allclose(predict(model, inputs).ravel(), network.predict(X), atol=1e-9)


def test_an_array_of_seconds_stands_for_dates(make, frame, y):
    """Its columns have the names of training."""
    X = frame[["day", "price", "lasts"]]
    network = make(NNRegressor).fit(X, y)
    rows = in_seconds(X)
    with pytest.warns(UserWarning, match="valid feature names"):
        model = to_onnx(network, rows)
    found = predict(model, lambda session: onnx_inputs(session, X))
    assert_allclose(found.ravel(), network.predict(X), atol=1e-9)


def test_text_without_a_word_is_a_missing_date(make, frame, y):
    model = to_onnx(make(NNRegressor).fit(frame, y), frame)
    session = session_of(model)
    inputs = onnx_inputs(session, frame.assign(day="nan"))
    assert np.isnan(inputs["day"]).all()


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT, onnx.TensorProto.INT32])
def test_coarse_inputs_of_dates_are_refused(make, frame, y, kind):
    network = make(NNRegressor).fit(frame, y)
    with pytest.raises(ValueError, match="'day' holds dates as seconds .* float64 or int64"):
        to_onnx(network, initial_types=declared(frame, kind))
    with pytest.raises(ValueError, match="text where training had numbers"):
        to_onnx(network, initial_types=declared(frame, onnx.TensorProto.STRING))
