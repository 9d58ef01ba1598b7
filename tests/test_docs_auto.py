"""The numbers of the "auto" rules in the documentation are the numbers of the code."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_architecture import documented
from test_auto import resolved

from sknet import NNClassifier, NNRegressor, _auto
from sknet._parameters import SIZES

PAGE = Path(__file__).parents[1] / "docs" / "default_settings.md"


def table(marker):
    """Return the cells of the table of the page that follows a marker, row by row."""
    _, after = PAGE.read_text().split(f"<!-- {marker} -->\n\n")
    lines = after.split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header, _, *body = rows
    return header, {name.strip("`"): cells for name, *cells in body}


def numbers(text):
    """Return the numbers of a text, in which thousands may be set apart by spaces."""
    text = text.replace("&nbsp;", " ")
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
            _auto.MOST_NARROW,
            _auto.ROWS_PER_INPUT,
            _auto.STRONGEST_OF_NUMBERS,
            _auto.ALPHA_OF_FEW,
            _auto.SMALL,
            _auto.LARGEST_ALPHA,
            _auto.ALPHA_DIVISOR,
            _auto.SMALL_WITHOUT_CROSS_FITTING,
            _auto.MOST_NARROW,
            _auto.ALPHA_DIVISOR,
            _auto.PENALTY_OF_GROUPS,
            _auto.WEAK_ALPHA,
            _auto.FEWEST,
        ],
        "max_iter": [
            _auto.EPOCHS,
            _auto.MIN_UPDATES,
            _auto.MOST_EPOCHS,
            _auto.SMALL_UPDATES,
            _auto.SMALL_EPOCHS,
            _auto.ROW_VISITS // _auto.EPOCHS,
            _auto.ROW_VISITS,
            _auto.FEWEST_EPOCHS,
            _auto.EPOCHS_OF_FEW,
            _auto.SMALL,
            _auto.UNPLANNED_EPOCHS,
        ],
        "n_iter_no_change": [
            _auto.PLANNED_PATIENCE,
            _auto.LEAST_PATIENCE,
            _auto.PATIENCE_OF_GROUPS,
            _auto.PATIENCE,
            _auto.PATIENCE,
            _auto.PATIENCE_OF_SINGLE_UPDATES,
            _auto.SMALL,
            _auto.PATIENCE,
        ],
        "early_stopping": [_auto.SMALL],
        "validation_fraction": [
            _auto.VALIDATION_OF_FEW,
            _auto.MANY,
            _auto.VALIDATION_OF_MANY,
            _auto.VALIDATION_OF_FEW,
            1,
        ],
        "hidden_layer_sizes": [
            *SIZES,
            *_auto.SMALL_SIZES,
            _auto.FEW_ROWS - 1,
            _auto.MOST_IMBALANCED_ROWS,
            _auto.FEW_OUTSIDE,
            _auto.MOST_NARROW,
            _auto.SMALL,
            _auto.SEPARATE_ROWS_OF_NUMBERS - 1,
        ],
        "n_members": [
            2,
            1,
            _auto.SEPARATE_MEMBERS,
            _auto.ROWS_OF_MEMBERS,
            _auto.FEWEST_MEMBERS,
            _auto.MOST_MEMBERS,
            _auto.MOST_NARROW,
            1,
        ],
        "share_weights": [
            _auto.SEPARATE_ROWS - 1,
            _auto.SMALL,
            _auto.SEPARATE_ROWS_OF_NUMBERS - 1,
            _auto.MOST_NARROW,
            _auto.SMALL,
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
        "label_smoothing": [
            round(1 / _auto.SMOOTHING_PER_ROW),
            _auto.MOST_SMOOTHING,
            0,
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


def test_the_rule_of_batch_size():
    small, divisor, least, usual, *of_many = numbers(RULES["batch_size"])
    many, divisor_of_many, most_of_many, more, divisor_of_more, most = of_many
    assert small == _auto.SMALL
    sizes = [10, 99, 100, 700, 3000, 20_000, 20_100, 49_000, 60_000, 125_000, 126_000, 10**6]
    for n_rows in sizes:
        if n_rows < small:
            expected = n_rows
        elif n_rows <= many:
            expected = np.clip(n_rows // divisor, least, usual)
        elif n_rows <= more:
            expected = min(n_rows // divisor_of_many, most_of_many)
        else:
            expected = min(n_rows // divisor_of_more, most)
        assert resolved(n_rows)["batch_size"] == expected, n_rows


@pytest.mark.parametrize("n_rows", [50, 150, 10_000, 40_000, 10**6])
@pytest.mark.parametrize("batch_size", ["auto", 1, 40, 300, 10**7])
def test_the_rule_of_the_learning_rate(n_rows, batch_size):
    """A batch that is larger than the table has the rows of the table."""
    rate, largest, growth, *_ = numbers(RULES["learning_rate_init"])
    usual = min(resolved(n_rows)["batch_size"], largest)
    if batch_size == "auto":
        batch_size = resolved(n_rows)["batch_size"]
    expected = rate * min(min(batch_size, n_rows) / usual, growth) ** 0.5
    found = resolved(n_rows, batch_size=batch_size)["learning_rate_init"]
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_the_docstring_has_the_numbers_of_members(cls):
    sizes = (10_000, NNClassifier), (1500, NNClassifier), (200, NNClassifier)
    sizes = *sizes, (10_000, NNRegressor), (500, NNRegressor)
    expected = [resolved(n, cls=cls)["n_members"] for n, cls in sizes]
    assert numbers(rule_in_docstring(cls, "n_members")) == expected


@SOURCES
def test_the_rule_of_the_precision(rule):
    # The names of the types have digits too.
    found = numbers(re.sub(r"float\d\d", "", rule("dtype")))
    # The page says once for all rules that the limit may be the second number.
    assert found[0] == _auto.SMALL
    assert found[1:] in ([], [_auto.SMALL_WITHOUT_CROSS_FITTING])


def shown(value):
    """Return a value as the page shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_resolved_values_of_the_page():
    header, rows = table("values of auto")
    sizes = [int(size) for column in header[1:] for size in numbers(column)]
    assert len(sizes) == len(header) - 1
    assert set(rows) == set(_auto.RULES) - {"numeric_embedding"}
    for name, cells in rows.items():
        assert cells == [shown(resolved(n)[name]) for n in sizes], name
