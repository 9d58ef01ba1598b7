"""The survey of a table, and of its parts."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from sknet.data import draws
from sknet.data.batches import Batch, Dataset, join
from sknet.data.columns.times import varying_cycles
from sknet.data.draws import draw_rows
from sknet.data.frames import wrapped
from sknet.data.row_blocks import RowBlocks
from sknet.data.survey import merge_surveys, survey_rows
from sknet.data.tables import TableReader

CUTS = [(7,), (1, 2, 30), (20, 20, 20)]


def random_frame(seed, n_rows=45):
    """Return a frame with holes, whose rare levels are in some rows only."""
    rng = np.random.default_rng(seed)
    levels = np.array(["common", "other", *(f"rare {i}" for i in range(12))])
    shares = rng.dirichlet(np.r_[10, 10, np.ones(12)])
    text = rng.choice(levels, n_rows, p=shares).astype(object)
    text[rng.random(n_rows) < 0.2] = None
    numbers = rng.normal(size=(n_rows, 2))
    numbers[rng.integers(n_rows, size=2), [0, 1]] = np.nan
    code = rng.integers(0, 20, n_rows).astype(float)
    return pd.DataFrame({"text": text, "x": numbers[:, 0], "code": code, "z": numbers[:, 1]})


def survey_frame(X, part="the table", weight=None, seed=0):
    """Return the survey of a frame whose categories are named, with all rows as sample."""
    X = wrapped(X)
    names = X.names
    reader = TableReader.learn(X, ["text", "code"])
    data = Dataset(reader.read(X), sample_weight=weight)
    return survey_rows(data, reader, names, rng=np.random.default_rng(seed), part=part)


def cut(X, places):
    """Return the parts of rows of any kind, some of which are empty and left out."""
    edges = [0, *places, X.shape[0]]
    parts = [X[start:stop] for start, stop in zip(edges, edges[1:], strict=False)]
    return [part for part in parts if part.shape[0]]


def merge_with_samples(surveys, parts, weights=None):
    """Return the merged survey, with a sample of all rows, read with the merged levels."""
    merged = merge_surveys(list(surveys))
    read = map(merged.reader.read, parts)
    weights = [None] * len(parts) if weights is None else weights
    sample = join([Batch(X, None, w) for X, w in zip(read, weights, strict=True)])
    return replace(merged, sample=Dataset(*sample))


def assert_same_survey(one, other):
    """Compare everything that two surveys say, levels and sampled rows included."""
    for name in ["n_rows", "sparse", "dtype", "names"]:
        assert getattr(one, name) == getattr(other, name), name
    assert one.row_bytes == pytest.approx(other.row_bytes)
    assert_array_equal(one.missing, other.missing)
    for statistic, expected in zip(one.statistics, other.statistics, strict=True):
        assert_array_equal(statistic, expected)
    assert_array_equal(one.reader.order_, other.reader.order_)
    for levels, expected in zip(one.reader.levels_, other.reader.levels_, strict=True):
        assert_array_equal(levels, expected)
    if other.sample is None:
        assert one.sample is None
        return
    ours, theirs = (survey.sample.batch() for survey in (one, other))
    dense = [X.toarray() if sparse.issparse(X) else X for X in (ours.X, theirs.X)]
    assert_array_equal(*dense)
    assert_array_equal(ours.sample_weight, theirs.sample_weight)


# A table and its parts.


@pytest.mark.parametrize("places", CUTS, ids=str)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("polars", [False, True])
def test_parts_of_a_frame_make_the_survey_of_the_whole(polars, seed, places):
    X = random_frame(seed)
    weight = np.random.default_rng(seed).uniform(1, 2, 45)
    X = pl.from_pandas(X) if polars else X
    whole = survey_frame(X, weight=weight)
    parts, weights = cut(X, places), cut(weight, places)
    surveys = [survey_frame(one, weight=w) for one, w in zip(parts, weights, strict=True)]
    # There is something to translate: a level that not all parts have.
    n_levels, *of_parts = [list(map(len, one.reader.levels_)) for one in (whole, *surveys)]
    assert any(of_part != n_levels for of_part in of_parts)
    assert_same_survey(merge_with_samples(surveys, parts, weights), whole)


@pytest.mark.parametrize("places", CUTS, ids=str)
@pytest.mark.parametrize("kind", [np.asarray, np.float32, sparse.csr_matrix])
def test_parts_of_numbers_make_the_survey_of_the_whole(kind, places):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(45, 4)) * (rng.random((45, 4)) < 0.4)
    if kind is not sparse.csr_matrix:
        X[40, 2] = np.nan
    X = kind(X)
    reader = TableReader(np.arange(4))
    parts = cut(X, places)
    merged = merge_with_samples([survey_rows(Dataset(one), reader) for one in parts], parts)
    assert_same_survey(merged, survey_rows(Dataset(X), reader, rng=rng))


@pytest.mark.parametrize("places", CUTS, ids=str)
@pytest.mark.parametrize("polars", [False, True])
def test_parts_of_a_frame_with_dates(polars, places):
    X = random_frame(0)
    X["when"] = np.datetime64("2025-01-01", "us") + (10 * np.arange(45)).astype("m8[D]")
    X["lasts"] = np.arange(45).astype("m8[s]")
    X.loc[[3, 30], "when"] = pd.NaT
    X = pl.from_pandas(X) if polars else X
    whole = survey_frame(X)
    parts = cut(X, places)
    merged = merge_with_samples(map(survey_frame, parts), parts)
    assert_same_survey(merged, whole)
    _, dates, *_ = merged.statistics
    assert varying_cycles(dates) == ["week", "month", "year"]
    # Durations and dates are the last numbers, before the categories.
    assert whole.missing.tolist() == [True, True, False, True, True, False]


def test_parts_with_other_dates_do_not_fit_together():
    X = random_frame(0).assign(when=np.datetime64("2025-01-01", "us"))
    other = X.assign(when=X["when"].dt.tz_localize("UTC"))
    match = "has the dates and durations {'when': 'date'}, but .* {'when': 'date in UTC'}"
    with pytest.raises(ValueError, match=match):
        merge_surveys([survey_frame(X), survey_frame(other)])
    match = "has the dates and durations {'when': 'date'}, but .* {}"
    with pytest.raises(ValueError, match=match):
        merge_surveys([survey_frame(X), survey_frame(X.assign(when=1.0))])


def test_a_column_of_dates_that_is_empty_in_one_part():
    """An empty column of objects looks like a category. The remedy is its dtype."""
    X = pd.DataFrame({"x": np.arange(9.0), "when": np.datetime64("2025-01-01", "us")})

    def merge_with(other):
        tables = [wrapped(one) for one in (X, other)]
        readers = [TableReader.learn(table, "from_dtype") for table in tables]
        pairs = zip(readers, tables, strict=True)
        merge_surveys([survey_rows(Dataset(one.read(X)), one, X.names) for one, X in pairs])

    empty = X.assign(when=None)
    with pytest.raises(
        ValueError, match=r"\['when'\].*Give each column one dtype in all parts"
    ):
        merge_with(empty)
    merge_with(empty.astype({"when": "datetime64[us]"}))


def test_surveys_can_be_merged_in_steps():
    first, second, third = (survey_frame(part) for part in cut(random_frame(0), (9, 27)))
    steps = merge_surveys([merge_surveys([first, second]), third])
    assert_same_survey(steps, merge_surveys([first, second, third]))


def test_merging_leaves_the_parts_alone():
    X = random_frame(0)
    parts = [survey_frame(part) for part in cut(X, (9,))]
    merge_surveys(parts)
    for survey, part in zip(parts, cut(X, (9,)), strict=True):
        assert_same_survey(survey, survey_frame(part))


def test_a_sample_read_with_the_merged_levels():
    # As on a cluster, where the rows are read again once the levels are agreed on.
    X = random_frame(1)
    bare = []
    for part in map(wrapped, cut(X, (15, 30))):
        reader = TableReader.learn(part, ["text", "code"])
        bare.append(survey_rows(Dataset(reader.read(part)), reader, part.names))
    assert merge_surveys(bare).sample is None
    assert_same_survey(merge_with_samples(bare, cut(X, (15, 30))), survey_frame(X))


def test_a_category_without_a_value_in_one_part():
    X = random_frame(2)
    X.loc[:19, "text"] = None
    parts = cut(X, (20,))
    merged = merge_with_samples(map(survey_frame, parts), parts)
    assert_same_survey(merged, survey_frame(X))


# One table.


def test_missing_values_and_levels_are_counted():
    X = pd.DataFrame({"text": ["b", None, "a", "b"], "code": [7.0, 7, 3, 7], "x": [1.0] * 4})
    survey = survey_frame(X)
    # The numeric column first, then the categories.
    assert_array_equal(survey.missing, [False, True, False])
    assert [one.tolist() for one in survey.statistics] == [[1, 2], [1, 3]]


@pytest.mark.parametrize("rows", [None, np.arange(3, 40, 2)], ids=["all", "some"])
def test_row_blocks_give_the_survey_of_the_array(rows, monkeypatch):
    monkeypatch.setattr(draws, "QUANTILE_ROWS", 11)
    X = np.random.default_rng(0).normal(size=(45, 3))
    X[35, 1] = np.nan
    weight = np.arange(1.0, 1 + (45 if rows is None else rows.size))
    found = [
        survey_rows(
            Dataset(table, sample_weight=weight, rows=rows),
            TableReader(np.arange(3)),
            rng=np.random.default_rng(0),
        )
        for table in (X, RowBlocks(X, block_rows=7))
    ]
    assert found[0].sample.n_rows == 11
    # The sample of a table that is read in blocks is in memory: it is read once.
    assert isinstance(found[1].sample.X, np.ndarray)
    assert_array_equal(found[0].missing, [False, True, False])
    assert_same_survey(*found)


def test_row_blocks_need_no_sample():
    X = np.arange(12.0).reshape(6, 2)
    survey = survey_rows(Dataset(RowBlocks(X, block_rows=4)), TableReader(np.arange(2)))
    assert survey.sample is None
    assert (survey.n_rows, survey.missing.size, survey.row_bytes) == (6, 2, 16)


@pytest.mark.parametrize("n_wanted", [1, 30, 99])
def test_drawn_rows_are_distinct_and_increase(n_wanted):
    rows = draw_rows(100, n_wanted, np.random.default_rng(0))
    assert rows.size == n_wanted
    assert (np.diff(rows) > 0).all() and 0 <= rows[0] and rows[-1] < 100


@pytest.mark.parametrize("n_wanted", [100, 101])
def test_all_rows_are_taken_without_a_draw(n_wanted):
    """Otherwise the size of the sample would decide about the draws that follow."""
    rng = np.random.default_rng(0)
    assert_array_equal(draw_rows(100, n_wanted, rng), np.arange(100))
    assert rng.random() == np.random.default_rng(0).random()


# Parts that contradict each other.


def survey_array(X, part, names=None):
    return survey_rows(Dataset(X), TableReader(np.arange(X.shape[1])), names, part=part)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            survey_array(np.ones((2, 2)), "partition 0"),
            survey_array(np.ones((2, 3)), "partition 4"),
            "partition 0 has rows of length 2, but partition 4 has rows of length 3",
        ),
        (
            survey_array(np.ones((2, 2)), "partition 0"),
            survey_array(sparse.csr_matrix(np.ones((2, 2))), "partition 1"),
            "partition 0 has dense rows, but partition 1 has sparse rows",
        ),
        (
            survey_frame(random_frame(0), "partition 1"),
            survey_frame(random_frame(0)[["x", "code", "text", "z"]], "partition 2"),
            r"partition 2 has the columns \['x', 'code', 'text', 'z'\]",
        ),
        (
            survey_frame(random_frame(0), "partition 1"),
            survey_array(np.ones((2, 4)), "b", ["text", "x", "code", "z"]),
            r"has the categories \['text', 'code'\], but b has the categories \[\].*"
            "name all categories in categorical_features",
        ),
        (
            survey_frame(random_frame(0)),
            survey_frame(random_frame(0).assign(text=1.0)),
            "levels of column 'text' cannot be compared: .* in all parts of the table",
        ),
    ],
    ids=["width", "sparse", "order", "categories", "levels"],
)
def test_contradictions(first, second, message):
    with pytest.raises(ValueError, match=message):
        merge_surveys([first, second])
