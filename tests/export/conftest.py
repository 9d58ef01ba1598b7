"""A table of all kinds of columns, and models run by onnxruntime."""

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx_sessions import session_of

from sknet.export import onnx_inputs

BRIEFLY = {
    "max_iter": 3,
    "learning_rate": "cosine",
    "early_stopping": False,
    "dropout": 0.0,
    "ema_decay": None,
    "n_members": 1,
    "numeric_embedding": None,
    "dtype": "float64",
    "random_state": 0,
}


@pytest.fixture
def make():
    """Return a function that makes an estimator with nothing but what it is told."""

    def make(cls, sizes=(8, 6), activation="silu", **options):
        return cls(sizes, activation, **{**BRIEFLY, **options})

    return make


@pytest.fixture(scope="session")
def frame():
    """Numbers with offsets and holes, a constant, text, many levels, numbers as categories."""
    rng = np.random.default_rng(0)
    n = 300
    return pd.DataFrame(
        {
            "year": 1e6 + rng.normal(size=n),
            "price": np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(size=n)),
            "count": rng.integers(0, 30, n),
            "flag": rng.random(n) < 0.5,
            "constant": np.ones(n),
            "color": rng.choice(["blue", "green", "red", None], n),
            "model": rng.choice([f"model {i}" for i in range(40)], n),
            "grade": pd.Categorical(rng.integers(0, 5, n)),
        }
    )


@pytest.fixture(scope="session")
def later_rows(frame):
    """Other rows: unknown levels, new holes, far values."""
    rows = frame.iloc[::-1].reset_index(drop=True)
    rows.loc[0, "color"] = "violet"
    rows.loc[1, ["color", "model"]] = None
    rows.loc[2, "model"] = "model 1000"
    rows.loc[3, ["year", "price"]] = np.nan
    rows.loc[4, "price"] = 1e30
    rows["grade"] = rows["grade"].astype(float)
    rows.loc[5, "grade"] = 77
    rows.loc[6, "grade"] = np.nan
    return rows


@pytest.fixture(scope="session")
def numbers(frame):
    rng = np.random.default_rng(1)
    return frame["year"].to_numpy() - 1e6 + (frame["color"] == "blue") + rng.normal(size=300)


@pytest.fixture
def run():
    """Return a function that checks a model and returns its outputs by name."""

    def run(model, X):
        onnx.checker.check_model(model, full_check=True)
        session = session_of(model)
        for one in session.get_outputs():
            assert one.type.startswith(("tensor", "seq"))
        names = [one.name for one in session.get_outputs()]
        return dict(zip(names, session.run(None, onnx_inputs(session, X)), strict=True))

    return run
