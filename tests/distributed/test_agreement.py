"""The agreement of partitions by itself, without a cluster."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from plain import NNClassifier

from sknet._model import ClassificationModel
from sknet._starting import agree, merge_looks
from sknet.data.batches import Dataset
from sknet.data.columns.categories import CategoryColumn
from sknet.distributed.fitting import describe, sample

N = 120
rng = np.random.default_rng(0)
NUMBERS = {"size": np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N))}
DATES = {"when": np.datetime64("2026-01-01", "us") + rng.integers(0, 900, N).astype("m8[D]")}
CATEGORIES = {"color": rng.choice(["blue", "red", None], N), "shape": rng.choice([*"abcd"], N)}
KINDS = {
    "numbers": NUMBERS,
    "dates": DATES,
    "categories": CATEGORIES,
    "numbers, dates": NUMBERS | DATES,
    "numbers, categories": NUMBERS | CATEGORIES,
    "dates, categories": DATES | CATEGORIES,
    "all": NUMBERS | DATES | CATEGORIES,
}
y = np.where(rng.normal(size=N) > 0, "yes", "no")
WEIGHTS = {
    "no weights": None,
    "counts": rng.integers(1, 4, N).astype(float),
    "fractions": rng.uniform(0.5, 1.5, N),
}


def agreed(columns, weight, n_parts=3):
    """Return the agreement of a table in partitions, and their samples."""
    table, estimator = pd.DataFrame(columns), NNClassifier((5,))
    parts = [
        (i, table.iloc[rows], y[rows], None if weight is None else weight[rows])
        for i, rows in enumerate(np.array_split(np.arange(N), n_parts))
    ]
    looks = [describe(estimator, part) for part in parts]
    agreement = agree(estimator, merge_looks(looks))
    samples = [sample(agreement.features, N, 0, part) for part in parts]
    return agreement, samples


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_looked_at_once(kind, weight, monkeypatch):
    """Only statistics of rows whose weights are known later are gathered in a second pass."""
    looks, row_blocks = Counter(), Dataset.row_blocks

    def counted(data):
        for start, block in row_blocks(data):
            looks.update(rows=len(block))
            yield start, block

    monkeypatch.setattr(Dataset, "row_blocks", counted)
    agreed(KINDS[kind], WEIGHTS[weight])
    again = kind != "numbers"
    assert looks["rows"] == N * (2 if again and WEIGHTS[weight] is not None else 1)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_levels_are_counted_as_in_one_table(kind, weight, monkeypatch):
    """Counts are repetitions, and other weights count each row once."""
    agreement, samples = agreed(KINDS[kind], WEIGHTS[weight])
    started = []
    monkeypatch.setattr(
        "sknet._starting.learn_encoder", lambda *arguments: started.append(arguments)
    )
    monkeypatch.setattr(ClassificationModel, "start", lambda *arguments: None)
    rows, statistics = zip(*samples, strict=True)
    agreement.start_model(rows, np.random.default_rng(0), statistics)
    ((_, survey, *_),) = started
    repeated = WEIGHTS[weight] if weight == "counts" else np.ones(N)
    categories = [name for name in CATEGORIES if name in KINDS[kind]]
    columns = zip(survey.reader.columns_, survey.statistics, strict=True)
    found = [one for column, one in columns if isinstance(column, CategoryColumn)]
    assert len(found) == len(categories)
    for counts, name in zip(found, categories, strict=True):
        expected = pd.Series(repeated).groupby(KINDS[kind][name]).sum()
        assert_array_equal(counts, expected.sort_index())
