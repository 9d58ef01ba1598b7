"""Features: what each says of its columns agrees with what the encoder makes of a table."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sknet import NNRegressor
from sknet.data import frames, tables
from sknet.data.batches import Dataset
from sknet.data.columns.column import Column, Feature, Region
from sknet.data.columns.times import Phases
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader
from sknet.export._encoding import FEATURES
from sknet.inspection import input_gradients, summary


def classes(base=Feature):
    """Return all classes of features that are not abstract."""
    found = {one for sub in base.__subclasses__() for one in classes(sub)}
    return found if inspect.isabstract(base) else {base, *found}


@pytest.fixture(scope="module")
def table():
    """Return a reader, the rows that it read, and an encoder of all kinds of columns."""
    rng, n_rows = np.random.default_rng(0), 1500
    shop = rng.integers(40, size=n_rows)
    hours = pd.to_timedelta(rng.integers(20_000, size=n_rows), unit="h")
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Bonn", "Kiel", "Ulm"], n_rows),
            "opened": pd.Timestamp("2020-01-01") + hours,
            "street": rng.choice([f"s{i}" for i in range(30)], n_rows),
            "shop": shop.astype(float),
            "fee": np.exp(4 * rng.normal(size=n_rows)),
            "rain": np.where(rng.random(n_rows) < 0.5, 0, rng.uniform(1, 9, n_rows)),
            "size": np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(size=n_rows)),
        }
    )
    reader = TableReader.learn(frames.wrapped(frame), "from_dtype")
    X = reader.read(frames.wrapped(frame))
    Y = (rng.normal(size=40)[shop] + 0.1 * rng.normal(size=n_rows))[:, np.newaxis]
    encoder = TableEncoder(True, marks_heavy=True, scores_gaps=True, scores_tails=True)
    encoder.fit_survey(survey_rows(Dataset(X), reader, rng=rng))
    encoder.learn_from_target(Dataset(X), Y, labels=False, finds_codes=True)
    return reader, X, encoder


def test_every_class_is_there_and_has_operators(table):
    """Of ONNX; a class that no table here shows would be tested by nothing below."""
    _, _, encoder = table
    assert {type(one) for one in encoder.features_} == classes() == set(FEATURES)


def test_the_columns_of_each_feature(table):
    reader, X, encoder = table
    names = ["shop", "fee", "rain", "size", "opened", "city", "street"]
    by_column = [*[()] * 4, *reader.levels_]
    for one in encoder.features_:
        assert one.encode(X, np.float64).shape == (len(X), one.width)
        assert len(one.names(names, by_column)) == one.width
    found = encoder.feature_names(names, reader.levels_)
    assert len(set(found)) == len(found) == encoder.n_outputs_
    assert encoder.slopes(X).shape == (len(X), encoder.n_numeric_)


def test_each_encoded_column_depends_on_its_source_alone(table):
    _, X, encoder = table
    rng, encoded = np.random.default_rng(1), encoder.transform(X, np.float64)
    for source in range(X.shape[1]):
        moved = X.copy()
        moved[:, source] = rng.permutation(X[:, source])
        changed = (encoder.transform(moved, np.float64) != encoded).any(axis=0)
        assert_array_equal(changed, encoder.sources_ == source)


def test_regions_follow_each_other(table):
    _, X, encoder = table
    regions = np.concatenate([[one.region] * one.width for one in encoder.features_])
    assert_array_equal(regions, np.sort(regions))
    assert encoder.n_numeric_ == np.count_nonzero(regions == Region.NUMBERS)
    assert encoder.n_plain_ == np.count_nonzero(regions != Region.LEVELS)
    flags = encoder.transform(X, np.float64)[:, encoder.n_numeric_ : encoder.n_plain_]
    assert_array_equal(np.unique(flags), [0, 1])


# A kind of column from outside the package, as the page on extending describes it.


class ClockColumn(Column):
    """Clock times as text, such as "08:30": seconds since midnight, and phases of the day."""

    plural, numeric = "clock times", True

    @classmethod
    def find(cls, X, wanted):
        texts = [(i, X.column(i).dropna()) for i in range(X.shape[1])]
        texts = [(i, x) for i, x in texts if x.size and isinstance(x.iloc[0], str)]
        return [i for i, x in texts if x.str.fullmatch(r"[0-2]\d:[0-5]\d").all()]

    def read(self, X):
        known = (None if frames.is_missing(t) else t for t in X.column(self.position))
        return np.array([t and 3600 * int(t[:2]) + 60 * int(t[3:]) for t in known], float)

    def features(self, found):
        encoder = found.encoder
        made = Phases(np.full(2, found.place), bool(encoder.ordered), cycles=["day"])
        return [made.learned(found.sample, encoder.standardize, {})]

    def on_card(self, name):
        return f"{name} o'clock"


@pytest.fixture
def with_clocks(monkeypatch):
    """Return a network that knows clock times, its table and the clock times as numbers."""
    monkeypatch.setattr(tables, "KINDS", (ClockColumn, *tables.KINDS))
    rng, n_rows = np.random.default_rng(0), 300
    minutes = rng.integers(0, 24 * 60, n_rows)
    X = pd.DataFrame(
        {
            "opens": [f"{m // 60:02}:{m % 60:02}" for m in minutes],
            "city": rng.choice(["Bonn", "Kiel"], n_rows),
            "size": rng.normal(size=n_rows),
        }
    )
    X.loc[::7, "opens"] = None
    y = np.sin(minutes / 1440 * 2 * np.pi)
    return NNRegressor((8,), max_iter=5, random_state=0).fit(X, y), X, minutes * 60.0


def test_a_new_kind_of_column_is_read_encoded_and_shown(with_clocks):
    network, X, seconds = with_clocks
    read = network._last_fit()[0].read(X)
    assert_array_equal(read[:, 1], np.where(X["opens"].isna(), np.nan, seconds))
    names = ["size", "opens", "opens_day_sin", "opens_day_cos", "opens_missing"]
    encoder, reader = network._model.encoder, network._model.reader
    assert encoder.feature_names(["size", "opens", "city"], reader.levels_)[:5] == names
    assert_array_equal(encoder.sources_[:5], [0, 1, 1, 1, 1])
    card = summary(network).card.to_dict()
    assert card["clock times"] == ["opens o'clock"]
    assert card["categories"] == ["city (2 levels)"]


def test_networks_with_a_new_kind_of_column_are_stored_and_explained(with_clocks):
    network, X, _ = with_clocks
    again = pickle.loads(pickle.dumps(network))
    assert_array_equal(again.predict(X), network.predict(X))
    # The entry of a missing value is zero.
    assert_array_equal(input_gradients(network, X[:8])[:, 0] == 0, X["opens"][:8].isna())
