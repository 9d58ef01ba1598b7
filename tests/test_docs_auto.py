"""The numbers of the "auto" rules in the documentation are the numbers of the code."""

import re
from pathlib import Path

import numpy as np
import pytest
from test_architecture import documented
from test_auto import resolved

from sknet import NNClassifier, NNRegressor, _auto

PAGE = Path(__file__).parents[1] / "docs" / "accuracy.md"


def table(marker):
    """Return the cells of the table of the page that follows a marker, row by row."""
    _, after = PAGE.read_text().split(f"<!-- {marker} -->\n\n")
    lines = after.split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header, _, *body = rows
    return header, {name.strip("`"): cells for name, *cells in body}


def numbers(text):
    """Return the numbers of a text, in which thousands may be set apart by spaces."""
    found = re.findall(r"(\d{1,3}(?: \d{3})+|\d[\d.]*(?:e-?\d+)?)( million)?", text)
    return [
        float(digits.replace(" ", "").rstrip(".")) * (10**6 if million else 1)
        for digits, million in found
    ]


RULES = {name: text for name, (text,) in table("rules of auto")[1].items()}


def rule_in_docstring(cls, name):
    """Return a parameter's documentation from its last mention of "auto" on."""
    return documented(cls, "Parameters")[name].rpartition('"auto"')[2]


def test_every_rule_is_on_the_page():
    assert set(RULES) == set(_auto.RULES)


@pytest.mark.parametrize(
    ("name", "constants"),
    {
        "alpha": [
            _auto.PENALTY,
            _auto.ROWS_PER_INPUT,
            _auto.MOST_ONE_HOT_LEVELS,
            _auto.ROWS_PER_INPUT,
            _auto.ALPHA_OF_FEW,
            _auto.ALPHA_OF_FEW,
            _auto.SMALL,
            _auto.PENALTY_OF_GROUPS,
            _auto.LBFGS_ALPHA,
        ],
        "max_iter": [
            _auto.EPOCHS,
            _auto.MIN_UPDATES,
            _auto.MOST_EPOCHS,
            _auto.ROW_VISITS // _auto.EPOCHS,
            _auto.ROW_VISITS,
            _auto.FEWEST_EPOCHS,
            _auto.EPOCHS_OF_FEW,
            _auto.SMALL,
            _auto.UNPLANNED_EPOCHS,
        ],
        "n_iter_no_change": [_auto.PLANNED_PATIENCE, _auto.LEAST_PATIENCE, _auto.PATIENCE],
        "early_stopping": [_auto.SMALL],
        "validation_fraction": [
            _auto.VALIDATION_OF_FEW,
            _auto.MANY,
            _auto.VALIDATION_OF_MANY,
        ],
        "dropout": [
            _auto.DROPOUT,
            _auto.SMALL,
            _auto.ROWS_PER_INPUT,
            _auto.ROWS_PER_INPUT,
            _auto.LARGEST_DROPOUT,
            0,
            _auto.SMALL,
        ],
        "n_components": [
            _auto.MOST_COMPONENTS,
            _auto.ROWS_PER_COMPONENT,
            _auto.ROWS_PER_COMPONENT_OF_CLASSES,
            0,
            _auto.SMALL,
        ],
        "numeric_embedding": [
            _auto.ROWS_PER_BIN,
            _auto.FEWEST_BINS,
            _auto.MOST_BINS,
            _auto.ROWS_PER_BIN_OF_GROUPS,
            _auto.MOST_BINS_OF_GROUPS,
            _auto.FULLY_EMBEDDED,
            _auto.ROWS_PER_EMBEDDED,
            _auto.SMALL,
        ],
    }.items(),
)
def test_rules_of_the_page_have_the_constants(name, constants):
    assert numbers(RULES[name]) == constants


SOURCES = pytest.mark.parametrize(
    "rule",
    [
        lambda name: RULES[name],
        lambda name: rule_in_docstring(NNClassifier, name),
        lambda name: rule_in_docstring(NNRegressor, name),
    ],
    ids=["page", "classifier", "regressor"],
)


@SOURCES
def test_the_rule_of_batch_size(rule):
    small, divisor, least, usual, many, divisor_of_many, most = numbers(rule("batch_size"))
    assert small == _auto.SMALL
    for n_rows in [10, 99, 100, 700, 3000, 49_000, 50_000, 60_000, 150_000, 10**6]:
        if n_rows < small:
            expected = n_rows
        elif n_rows <= many:
            expected = np.clip(n_rows // divisor, least, usual)
        else:
            expected = min(n_rows // divisor_of_many, most)
        assert resolved(n_rows)["batch_size"] == expected, n_rows


@SOURCES
def test_the_rule_of_members(rule):
    expected = [resolved(500, cls=cls)["n_members"] for cls in (NNClassifier, NNRegressor)]
    assert numbers(rule("n_members")) == expected


@SOURCES
def test_the_rule_of_the_precision(rule):
    # The names of the types have digits too.
    (rows,) = numbers(re.sub(r"float\d\d", "", rule("dtype")))
    assert rows == _auto.FLOAT32_ROWS


def shown(value):
    """Return a value as the page shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_resolved_values_of_the_page():
    header, rows = table("values of auto")
    sizes = [int(size) for column in header[1:] for size in numbers(column)]
    assert len(sizes) == len(header) - 1
    assert set(rows) == set(_auto.RULES) - {"n_members", "numeric_embedding"}
    for name, cells in rows.items():
        assert cells == [shown(resolved(n)[name]) for n in sizes], name
