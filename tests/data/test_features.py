"""Features: what each says of its columns agrees with what the encoder makes of a table."""

import inspect

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sknet.data.batches import Dataset
from sknet.data.columns.column import Feature, Region
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.data.tables import TableReader
from sknet.export._encoding import FEATURES


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
            "rain": np.where(rng.random(n_rows) < 0.5, 0, rng.uniform(1, 9, n_rows)),
            "size": np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(size=n_rows)),
        }
    )
    reader = TableReader("from_dtype").fit(frame, list(frame))
    X = reader.read(frame)
    Y = (rng.normal(size=40)[shop] + 0.1 * rng.normal(size=n_rows))[:, np.newaxis]
    encoder = TableEncoder(True, marks_heavy=True)
    encoder.fit_survey(survey_rows(Dataset(X), reader, rng=rng))
    encoder.learn_from_target(Dataset(X), Y, labels=False, finds_codes=True)
    return reader, X, encoder


def test_every_class_is_there_and_has_operators(table):
    """Of ONNX; a class that no table here shows would be tested by nothing below."""
    _, _, encoder = table
    assert {type(one) for one in encoder.features_} == classes() == set(FEATURES)


def test_the_columns_of_each_feature(table):
    reader, X, encoder = table
    names = ["shop", "rain", "size", "opened", "city", "street"]
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
