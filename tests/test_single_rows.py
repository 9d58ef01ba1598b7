"""Predictions for one row: right for every layout of its table, and in threads."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pandas as pd
import polars
import pytest
from numpy.testing import assert_array_equal

from sknet import NNClassifier, NNRegressor
from sknet._prediction import MOST_SPARE

BRIEFLY = {
    "max_iter": 2,
    "early_stopping": False,
    "learning_rate": "cosine",
    "random_state": 0,
    "n_members": 2,
}


@pytest.fixture(scope="module")
def customers():
    """Nine columns, of which two are dates and three are categories."""
    rng = np.random.default_rng(0)
    n = 150
    seen = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 10**7, n), unit="s")
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n).astype(float),
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(10, 1, n)),
            "visits": rng.integers(0, 9, n),
            "score": rng.normal(size=n),
            "since": seen,
            "seen": seen[::-1].tz_localize("UTC").tz_convert("Europe/Oslo"),
            "city": rng.choice(["Bergen", "Oslo", None], n),
            "plan": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "shop": rng.choice([f"shop {i}" for i in range(30)], n),
        }
    )


@pytest.fixture(scope="module")
def network(customers):
    y = (customers["age"] > 50) ^ (customers["plan"] == "a")
    return NNClassifier((16,), **BRIEFLY).fit(customers, y)


def test_every_layout_of_a_row_has_its_own_prediction(network, customers):
    """One network gets rows in changing layouts, and predicts what a fresh copy of it does."""
    plan = customers["plan"]
    layouts = [
        customers,
        customers.assign(plan=plan.cat.reorder_categories(["c", "a", "b"])),
        customers.assign(plan=plan.cat.add_categories(["d"])),
        customers.assign(plan=plan.cat.rename_categories({"a": "b", "b": "a"})),
        customers.assign(plan=plan.astype(object), city=customers["city"].astype("category")),
        customers.astype({"visits": float, "age": int, "city": "string"}),
        customers.astype({"visits": "Int64", "income": "Float64", "shop": "category"}),
        customers.assign(seen=customers["seen"].dt.tz_convert("Asia/Tokyo")),
        customers.astype({"since": "M8[s]", "seen": "datetime64[us, UTC]"}),
        customers.assign(since=customers["since"].astype(object)),
        customers.assign(income=pd.Series([None] * 150, dtype=object)),
        polars.from_pandas(customers),
    ]
    for _ in range(2):
        for X in layouts:
            fresh = pickle.loads(pickle.dumps(network))
            expected = [fresh.predict_proba(X[i : i + 1]) for i in range(5)]
            found = [network.predict_proba(X[i : i + 1]) for i in range(5)]
            assert_array_equal(found, expected)
    usual = network.predict_proba(customers[:5])
    swapped = network.predict_proba(layouts[3][:5])
    assert (usual[plan[:5] != "c"] != swapped[plan[:5] != "c"]).all()
    for same in (1, 2, 4, 7, 8, 9):
        assert_array_equal(network.predict_proba(layouts[same][:5]), usual)


def test_layouts_that_are_refused_are_refused_after_others(network, customers):
    row = customers[:1]
    for _ in range(2):
        network.predict_proba(row)
        with pytest.raises(ValueError, match="feature names"):
            network.predict_proba(row[row.columns[::-1]])
        with pytest.raises(ValueError, match="feature names"):
            network.predict_proba(row.rename(columns={"age": "years"}))
        with pytest.raises(ValueError, match="feature names"):
            network.predict_proba(row.drop(columns="age"))
        with pytest.raises(ValueError, match=r"'since' of X held dates .* numbers"):
            network.predict_proba(row.assign(since=1.0))
        with pytest.raises(ValueError, match=r"'plan' is a category .* text .* numbers"):
            network.predict_proba(row.assign(plan=pd.Categorical([1])))
        with pytest.raises(ValueError, match="'age' of X"):
            network.predict_proba(row.assign(age=np.inf))
        with pytest.raises(ValueError, match="'age' of X"):
            network.predict_proba(row.assign(age="old"))
        with pytest.raises(ValueError, match="'score' of X holds complex"):
            network.predict_proba(row.assign(score=1j))
        with pytest.raises(ValueError, match="0 sample"):
            network.predict_proba(row[:0])


def test_a_frame_of_numbers_is_checked_like_an_array():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    network = NNRegressor((8,), **BRIEFLY).fit(X, X["a"])
    for rows in (X[:1], X.astype("float32"), X.astype({"a": "float32"})):
        expected = NNRegressor((8,), **BRIEFLY).fit(X.to_numpy(), X["a"])
        assert_array_equal(network.predict(rows), expected.predict(rows.to_numpy()))
        assert network.predict(rows).dtype == rows.to_numpy().dtype
    with pytest.raises(ValueError, match="'b' of X"):
        network.predict(X[:1].assign(b=-np.inf))
    with pytest.raises(ValueError, match="feature names"):
        network.predict(X[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="valid feature names"):
        network.predict(X.to_numpy())
    with pytest.raises(ValueError, match="0 sample"):
        network.predict(X[:0])


def test_pickles_and_copies_hold_no_work_arrays(network, customers):
    fresh = pickle.loads(pickle.dumps(network))
    before = pickle.dumps(fresh)
    fresh.predict_proba(customers[:1])
    assert len(pickle.dumps(fresh)) == len(before)
    assert "predictor" in vars(fresh._model)
    assert "predictor" not in vars(pickle.loads(pickle.dumps(fresh))._model)


@pytest.mark.parametrize("monotonic_cst", [None, [1, 0, 0]])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_that_are_changed_in_place(monotonic_cst, dtype):
    X = np.random.default_rng(0).normal(size=(60, 3))
    network = NNRegressor((8,), monotonic_cst=monotonic_cst, dtype=dtype, **BRIEFLY)
    network.fit(X, X[:, 0])
    before = network.predict(X[:1])
    network._model.params[:] *= 1.5
    after = network.predict(X[:1])
    assert after != before
    assert_array_equal(after, pickle.loads(pickle.dumps(network)).predict(X[:1]))


@pytest.mark.parametrize("monotonic_cst", [None, [1, 0, 0]])
def test_threads_share_a_network(monotonic_cst):
    X = np.random.default_rng(0).normal(size=(60, 3))
    network = NNRegressor((64, 64), monotonic_cst=monotonic_cst, **BRIEFLY).fit(X, X[:, 0])
    expected = [pickle.loads(pickle.dumps(network)).predict(X[i : i + 1]) for i in range(60)]
    n_threads = MOST_SPARE + 2
    barrier = Barrier(n_threads)

    def predict(_):
        barrier.wait()
        return [network.predict(X[i : i + 1]) for _ in range(3) for i in range(60)]

    with ThreadPoolExecutor(n_threads) as pool:
        for found in pool.map(predict, range(n_threads)):
            assert_array_equal(found, expected * 3)


def test_few_small_work_arrays_are_kept():
    X = np.random.default_rng(0).normal(size=(300, 3))
    network = NNRegressor((8,), **BRIEFLY).fit(X, X[:, 0])
    predictor = network._model.predictor
    network.predict(X)
    assert not predictor._spare
    blocks = [predictor.forward_blocks(X[:1]) for _ in range(2 * MOST_SPARE)]
    workspaces = [next(block)[0] for block in blocks]
    assert len({id(workspace) for workspace in workspaces}) == 2 * MOST_SPARE
    for block in blocks:
        assert next(block, None) is None
    assert len(predictor._spare) <= MOST_SPARE
    assert all(len(workspace.delta) == 1 for workspace in predictor._spare)
    network.predict(X)
    spare = set(map(id, predictor._spare))
    network.predict(X[:1])
    assert spare == set(map(id, predictor._spare))
