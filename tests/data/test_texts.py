"""Columns of text that are numbers or dates are read as such, or said to be unclear."""

import _strptime
import calendar
import datetime
import math
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import NNClassifier, NNRegressor
from sknet.data.frames import wrapped
from sknet.data.texts import (
    DateFormat,
    NumberFormat,
    find_formats,
    formats_of,
    warn_of_formats,
)
from sknet.export import SKOPS_TRUSTED, onnx_inputs, to_onnx
from sknet.inspection import summary
from sknet.streaming import fit_chunks, read_chunks

rng = np.random.default_rng(0)
#: Numbers with two decimals, some of them above a million.
NUMBERS = np.round(rng.lognormal(8, 3, 200), 2)
MINUTES = rng.integers(0, 700_000, 200).tolist()
DATES = [datetime.datetime(2020, 1, 1) + datetime.timedelta(minutes=m) for m in MINUTES]


def shown(x, decimal=".", thousands=""):
    """Return a number with other separators than those of Python's format."""
    return f"{x:,.2f}".translate({ord(","): thousands, ord("."): decimal})


NUMBER_TEXTS = {
    "decimal point": lambda x: shown(x),
    "decimal comma": lambda x: shown(x, ","),
    "thousands with commas": lambda x: shown(x, ".", ","),
    "thousands with points": lambda x: shown(x, ",", "."),
    "thousands with blanks": lambda x: shown(x, ",", " "),
    "thousands with narrow blanks": lambda x: shown(x, ",", "\u202f"),
    "thousands with apostrophes": lambda x: shown(x, ".", "'"),
    "dollars": lambda x: "$" + shown(x, ".", ","),
    "euros": lambda x: shown(x, ",", ".") + " \u20ac",
    "code of a currency": lambda x: "CHF " + shown(x, ".", "'"),
    "percent": lambda x: shown(x) + "%",
    "unit": lambda x: shown(x) + " km/h",
    "signs": lambda x: ("-" if x < 3000 else "+") + shown(x),
    "minus of typesetters": lambda x: "\u2212" + shown(x),
    "powers": lambda x: f"{x:.12e}",
    "powers of whole numbers": lambda x: f"{100 * x:.0f}e-2",
    "capital powers": lambda x: f"{100 * x:.0f}E-02",
    "more digits than a float has": lambda x: f"{x:.18f}",
    "sign after a currency": lambda x: f"${-x if x < 3000 else x:.2f}",
    "sign after a code of a currency": lambda x: "CHF " + shown(-x if x < 3000 else x, ","),
    "parentheses": lambda x: f"({shown(x)})" if x < 3000 else shown(x),
    "parentheses around a currency": lambda x: f"(${shown(x)})" if x < 3000 else f"${x:.2f}",
    "parentheses after a currency": lambda x: f"$({shown(x)})" if x < 3000 else f"${x:.2f}",
    "blanks around": lambda x: f" {shown(x)}  ",
}
DATE_FORMS = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %I:%M %p",
    "%d-%m-%Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
    "%b %Y",
    "%Y.%m.%d",
    "%b %d %Y",
    "%d %b, %Y",
    "%d. %B %Y",
    "%Y %b %d",
    "%Y-%b-%d",
    "%b-%d-%Y",
    "%d/%b/%Y",
    "%a, %d %b %Y",
    "%A %d %b %Y %H:%M",
    "%Y-%m-%d %H:%M UTC",
    "%a, %d %b %Y %H:%M:%S GMT",
]
#: Text that stays a category.
OTHERS = {
    "digits": lambda i: str(i),
    "zip codes": lambda i: f"{i:05d}",
    "codes": lambda i: f"A{i}",
    "hexadecimal": lambda i: f"{i:x}",
    "powers and other codes": lambda i: f"{i % 9 + 1}{'abe'[i % 3]}{i // 3}",
    "long integers": lambda i: str(10**16 + i),
    "long integers that were floats": lambda i: f"{10**16 + 2 * i:.1f}",
    "versions": lambda i: f"{i % 7}.{i % 5}.{i % 3}",
    "telephone": lambda i: f"555-{i:04d}",
    "ranges": lambda i: f"{i}-{i + 5}",
    "two units": lambda i: f"{i}.5 {'kg' if i % 2 else 'g'}",
    "words": lambda i: f"word {i}",
    "times of day": lambda i: f"{i % 24:02d}:{i % 60:02d}",
    "addresses": lambda i: f"10.0.{i % 256}.{i % 7}",
    "versions of a year": lambda i: f"2023.{i % 9 + 1}.{i // 9 + 1}",
    "two forms of dates": lambda i: DATES[i].strftime("%d.%m.%Y" if i % 2 else "%Y-%m-%d"),
}


@pytest.mark.parametrize("kind", NUMBER_TEXTS)
def test_numbers(kind):
    texts = [NUMBER_TEXTS[kind](x) for x in NUMBERS]
    (found,) = formats_of(texts)
    sign = -1 if kind == "minus of typesetters" else 1
    if "sign" in kind or "parentheses" in kind:
        sign = np.where(NUMBERS < 3000, -1, 1)
    assert_allclose([found.read(text.strip()) for text in texts], sign * NUMBERS, rtol=1e-12)


@pytest.mark.parametrize("form", DATE_FORMS)
def test_dates(form):
    texts = [date.strftime(form) for date in DATES]
    (found,) = formats_of(texts)
    expected = [datetime.datetime.strptime(text, form) for text in texts]
    assert [found.read(text) for text in texts] == expected


@pytest.mark.parametrize("form", ["%d %b %Y", "%B %d, %Y", "%m/%d/%Y %I:%M %p"])
def test_dates_do_not_depend_on_the_language_of_the_process(form, monkeypatch):
    """With a German locale, strptime reads neither "Dec" nor "PM"."""
    texts = [date.strftime(form) for date in DATES]
    expected = [datetime.datetime.strptime(text, form) for text in texts]
    monkeypatch.setattr(calendar, "month_abbr", ["", *map("Monat {}".format, range(1, 13))])
    monkeypatch.setattr(_strptime, "_getlang", lambda: "another")
    times = type("Times", (_strptime.LocaleTime,), {"_LocaleTime__calc_am_pm": _no_halves})
    monkeypatch.setattr(_strptime, "LocaleTime", times)
    (found,) = formats_of(texts)
    assert [found.read(text) for text in texts] == expected


def _no_halves(times):
    times.am_pm = ["", ""]


@pytest.mark.parametrize("kind", OTHERS)
def test_other_text_has_no_format(kind):
    assert formats_of(list(dict.fromkeys(map(OTHERS[kind], range(200))))) == []


def test_dates_of_a_zone_are_read_in_utc():
    (found,) = formats_of(["2024-03-31T12:00:00+02:00", "2024-01-01T00:30:00-05:00"])
    assert found.read("2024-03-31T12:00:00+02:00") == datetime.datetime(2024, 3, 31, 10)
    assert found.read("2024-03-31 10:00 UTC") == datetime.datetime(2024, 3, 31, 10)
    assert formats_of(["2024-03-31T12:00:00+02:00 UTC"]) == []


def test_a_few_other_words_are_missing():
    texts = [*map(shown, NUMBERS), "unknown", "?"]
    (found,) = formats_of(texts)
    assert found.read("unknown") is None
    assert formats_of([*texts, *"abcdefghijklm"]) == []
    assert formats_of(["1.5", "none"]) == []


#: Values that are misread, or lost, if a column of decimal numbers has them, too.
STRAY = [
    "12,5",
    "1.5k",
    "-(88.10)",
    "-$-88.10",
    "<0.1",
    "1/2",
    "3:1",
    "007.5",
    "1.50 kg",
    "1e999",
    "$1",
    "0x1F",
]


@pytest.mark.parametrize(
    "stray", [*STRAY, "1234567890123456.5", "\u0661.\u0665", "\uff11.\uff15"]
)
def test_one_value_with_digits_that_does_not_fit_refuses_the_column(stray):
    assert formats_of([*map(shown, NUMBERS), stray]) == []


def test_versions_are_no_numbers():
    """Their numbers may be equal where they differ."""
    assert formats_of(["1.1", "1.2", "1.10"]) == []
    assert len(formats_of(["1.1", "1.2", "1.3"])) == 1
    assert formats_of(["1e3", "1000", "2e3"]) == []
    # But numbers that round to zero from below are.
    assert len(formats_of(["0.00", "-0.00", "1.25"])) == 1


def test_few_numbers_may_be_written_in_two_ways():
    """Somebody typed "2.5" beside "2.50"."""
    prices = [f"{0.01 * cents:.2f}" for cents in range(100, 299)]
    (found,) = formats_of([*prices, "2.5"])
    assert found.read("2.5") == found.read("2.50") == 2.5
    assert formats_of([*prices, "2.5", "2.4", "2.3"]) == []


@pytest.mark.parametrize("values", [["5.", "2.25"], ["5.", "-7."], ["5.", "7"]])
def test_a_point_at_the_end(values):
    """It may end a number or, if no number has decimals, an ordinal number."""
    found = formats_of(values)
    assert len(found) == ("2.25" in values)
    if found:
        assert found[0].read("5.") == 5


@pytest.mark.parametrize("text", ["1e-05", "1e2", "1E2", "5e+10"])
def test_powers_need_no_decimals(text):
    """Python writes some floats in this way, also among others."""
    for texts in ([text], [text, "2.5"], [text, "7"]):
        (found,) = formats_of(texts)
        assert [found.read(one) for one in texts] == [float(one) for one in texts]


@pytest.mark.parametrize("text", ["3.973e+01", "3,973e+01", ".5e3"])
def test_numbers_with_powers_have_no_thousands(text):
    (found,) = formats_of([text])
    assert found.read(text) == float(text.replace(",", "."))


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 2.0],
        [1.0, 2.0],
        [0.5, 2],
        [np.float32(0.5), np.int64(2)],
        [0.5, Decimal(2)],
        [1, 2, 3, 4, "n/a", "-"],
        [0.5, 2.0, "n/a"],
        [0.5, "2"],
        [1, 2, "3", ""],
        [0.5, "1e-05", "?"],
        [0.5, "2,75"],
        [0.5, "1.234"],
        [0.5, "1 234"],
        [0.5, "$2.75"],
    ],
    ids=str,
)
def test_numbers_among_the_values_are_numbers(values):
    assert [type(one) for one in formats_of(values)] == [NumberFormat]
    # Beside a number, too, thousands are not told from decimals.
    assert len(formats_of([0.5, "1,234"])) == 2


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [True, False],
        [0.5, True],
        [0.5, "n/a"],
        [0.5, 2.0, *"abc"],
        [0.5, 2.0, "A3"],
        [1, 2, "007"],
        [0.5, 2.0, "2024-05-03"],
        [0.5, datetime.date(2024, 5, 3)],
    ],
    ids=str,
)
def test_other_values_beside_numbers_have_no_format(values):
    assert formats_of(values) == []


def test_one_hour_and_two_hours_have_one_unit():
    (found,) = formats_of(["1 hour", "2 hours", "2.5 hours"])
    assert [found.read(one) for one in ("1 hour", "2.5 hours")] == [1, 2.5]
    assert formats_of(["1 hour", "2 hours", "30 min"]) == []


def test_dates_that_fit_two_orders_are_unclear_even_if_both_agree():
    assert len(formats_of(["01/01/2019", "02/02/2020"])) == 2


def test_dates_with_and_without_a_zone_are_not_mixed():
    assert formats_of(["2024-03-31T12:00:00", "2024-03-31T12:00:00+02:00"]) == []


def test_dates_out_of_range_are_no_dates():
    assert formats_of(["2024-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"]) == []


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([f"{x:,.0f}" for x in range(1001, 99_999, 777)], NumberFormat),
        ([f"{x:,.0f}".replace(",", ".") for x in range(501, 99_999, 777)], NumberFormat),
        ([f"{d % 12 + 1:02d}/{d % 11 + 1:02d}/2024" for d in range(100)], DateFormat),
    ],
)
def test_unclear_text_has_several_formats(texts, kind):
    assert [type(one) for one in formats_of(texts)] == [kind, kind]
    # A value that only one of them reads makes it clear.
    clear = "31/12/2023"
    if kind is NumberFormat:
        clear = "1,234,567" if "," in texts[-1] else "1.234.567"
    assert len(formats_of([*texts, clear])) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ["765.650", "573.344", "12.500"],
        ["1", "2", "3.125"],
        ["1500", "2.500", "3.125", "4.375"],
        ["0.125", "1", "2.250", "3.375"],
    ],
)
def test_points_that_cannot_separate_thousands_are_decimal_points(texts):
    """All values have one, few have one, or some number above 999 has none."""
    (found,) = formats_of(texts)
    assert [found.read(one) for one in texts] == [float(one) for one in texts]


# Tables.


@pytest.fixture
def tables():
    """Return a frame of text, the frame that it stands for, and numbers to predict."""
    given = pd.DataFrame(
        {
            "when": [date.strftime("%d.%m.%Y %H:%M") for date in DATES],
            "price": [NUMBER_TEXTS["euros"](x) for x in NUMBERS],
            "kind": ["abc"[i % 3] for i in range(200)],
        }
    )
    meant = given.assign(when=pd.to_datetime(DATES), price=NUMBERS)
    y = np.log(NUMBERS) + np.array([date.weekday() < 5 for date in DATES])
    return given, meant, y


OPTIONS = {"max_iter": 5, "random_state": 0}


@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas])
def test_the_fit_is_that_of_numbers_and_dates(tables, library):
    given, meant, y = tables
    network = NNRegressor(**OPTIONS).fit(library(given), y)
    expected = NNRegressor(**OPTIONS).fit(library(meant), y)
    assert_array_equal(network.predict(library(given)), expected.predict(library(meant)))
    # Numbers and dates are read, too.
    assert_array_equal(network.predict(library(meant)), expected.predict(library(meant)))
    assert list(network.feature_names_in_) == list(given.columns)
    assert str(summary(network)).split("dates ")[1].split("\n")[0].strip() == "when"


def test_only_numbers_and_no_category(tables):
    given, meant, y = tables
    network = NNRegressor(**OPTIONS).fit(given[["price"]], y)
    expected = NNRegressor(**OPTIONS).fit(meant[["price"]], y)
    assert_array_equal(network.predict(given[["price"]]), expected.predict(meant[["price"]]))


def test_the_user_s_frame_stays_as_it_is(tables):
    given, _, y = tables
    before = given.copy(deep=True)
    NNRegressor(**OPTIONS).fit(given, y).predict(given)
    pd.testing.assert_frame_equal(given, before)


def test_categorical_features_choose_text(tables):
    given, meant, y = tables
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = NNRegressor(categorical_features=["price", "kind"], **OPTIONS).fit(given, y)
    assert "price (" in str(summary(network))
    other = NNRegressor(categorical_features=["kind"], **OPTIONS).fit(given, y)
    expected = NNRegressor(**OPTIONS).fit(meant, y)
    assert_array_equal(other.predict(given), expected.predict(meant))


def test_columns_in_another_order_are_refused_first(tables):
    """Before the text of the wrong column counts as missing, with a warning."""
    given, _, y = tables
    network = NNRegressor(**OPTIONS).fit(given, y)
    with pytest.raises(ValueError, match="must be in the same order"):
        network.predict(given[given.columns[::-1]])
    with pytest.raises(TypeError, match=r"Pass a frame: pandas\.DataFrame\(X\)"):
        network.predict(dict(given))


def test_a_dtype_of_categories_is_a_choice(tables):
    given, _, y = tables
    given["price"] = given["price"].astype("category")
    assert "price (" in str(summary(NNRegressor(**OPTIONS).fit(given, y)))


def test_values_without_the_format_are_missing(tables):
    given, meant, y = tables
    network = NNRegressor(**OPTIONS).fit(given, y)
    odd, missing = given.head(3).copy(), meant.head(3).copy()
    odd.loc[0, "price"], odd.loc[1, "when"] = "unknown", None
    missing.loc[0, "price"], missing.loc[1, "when"] = np.nan, pd.NaT
    assert_array_equal(network.predict(odd), network.predict(missing))


def test_unclear_text_is_said(tables):
    given, _, y = tables
    given["price"] = [f"{1000 + 37 * i:,d}" for i in range(200)]
    with pytest.warns(
        UserWarning, match=r"'price' of X .* 1234\.5 or .* 1234,5, .* Convert it to numbers"
    ):
        NNRegressor(**OPTIONS).fit(given[["price", "kind"]], y)
    given["when"] = [f"{d % 12 + 1:02d}/{d % 11 + 1:02d}/2024" for d in range(200)]
    with pytest.warns(
        UserWarning, match="'when' of X .* %d/%m/%Y or .* %m/%d/%Y.* it to dates"
    ):
        NNRegressor(**OPTIONS).fit(given[["when", "kind"]], y)


CHUNKS = {
    "partial_fit": lambda X, y: NNRegressor(**OPTIONS).partial_fit(X, y).partial_fit(X, y),
    "fit_chunks": lambda X, y: fit_chunks(NNRegressor(**OPTIONS), [(X, y), (X, y)]),
}
DOUBTS = {
    "is text that may be numbers": lambda i: f"{1000 + 37 * i:,d}",
    "is read as a category, since": lambda i: f"{i} km" if i else "0 m",
    "has no value": lambda i: None,
}


@pytest.mark.parametrize("message", DOUBTS)
@pytest.mark.parametrize("fit", CHUNKS)
def test_doubts_about_the_first_chunk_are_said_once(fit, message):
    X = frame_of_objects(pd, [*map(DOUBTS[message], range(200))]).assign(b=np.arange(200.0))
    with pytest.warns(UserWarning, match="'a' of X in the first chunk " + message) as caught:
        CHUNKS[fit](X, np.arange(200.0))
    assert len(caught) == 1


def test_names_that_training_lacked_are_said_once():
    X = pd.DataFrame({0: [f"{i}.5 km" for i in range(200)]})
    network = NNRegressor(**OPTIONS).fit(X, np.arange(200.0))
    with pytest.warns(UserWarning, match="fitted without feature names") as caught:
        network.predict(X.rename(columns=str))
    assert len(caught) == 1


def test_ambiguity_in_a_file_is_said(tmp_path):
    texts = [f"{1000 + 37 * i:,d}" for i in range(200)]
    pd.DataFrame({"a": texts, "y": np.arange(200.0)}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.warns(UserWarning, match=r"'a' of .*a\.csv is text that may be numbers"):
        read_chunks(tmp_path / "a.csv", target="y")


@pytest.mark.parametrize("missing", [0, 6])
def test_names_of_rows_are_said(tables, missing):
    """Also if some rows have no name."""
    given, _, y = tables
    given["name"] = [None if i < missing else f"person {i}" for i in range(200)]
    n = 200 - missing
    with pytest.warns(UserWarning, match=f"'name' of X is a category with {n} levels in {n}"):
        NNRegressor(**OPTIONS).fit(given, y)


#: Values of a column that nearly has a format, and an odd one.
ODD = {
    "impossible date": ([f"{d:%d.%m.%Y}" for d in DATES], "30.02.2020"),
    "placeholder": ([f"{d:%Y-%m-%d}" for d in DATES], "0000-00-00"),
    "other form": ([f"{d:%d %B %Y}" for d in DATES], "2020.05.03"),
    "other unit": ([f"{x:.2f} km" for x in NUMBERS], "800.5 m"),
    "bound": ([shown(x, ",") for x in NUMBERS], "<0,1"),
}


@pytest.mark.parametrize("place", [0, 50, 199])
@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas])
@pytest.mark.parametrize("kind", ODD)
def test_one_odd_value_is_said(kind, library, place):
    """The remedy makes the column numbers or dates."""
    values, odd = ODD[kind]
    X = library(pd.DataFrame({"a": [*values[:place], odd, *values[place + 1 :]]}))
    with pytest.warns(UserWarning, match="'a' of X is read as a category, since") as caught:
        NNRegressor(**OPTIONS).fit(X, np.arange(200.0))
    remedy = str(caught[0].message).split("example with ")[1].split(" or na_values")[0]
    mended = eval(remedy, {"column": X["a"]})
    fitted = NNRegressor(**OPTIONS).fit(library(pd.DataFrame({"a": mended})), np.arange(200.0))
    assert "a (" not in str(summary(fitted))


def test_an_odd_value_of_a_file_is_said(tmp_path):
    values, odd = ODD["impossible date"]
    path = tmp_path / "odd.csv"
    pd.DataFrame({"a": [*values[:-1], odd], "y": np.arange(200.0)}).to_csv(path, index=False)
    with pytest.warns(UserWarning, match=f"'a' of .*odd.csv is read as .*'{odd}'"):
        read_chunks(path, target="y")
    read_chunks(path, target="y", dtype={"a": "category"})


@pytest.mark.parametrize("kind", OTHERS)
def test_other_text_is_not_nearly_of_a_format(kind):
    levels = np.array(sorted({*map(OTHERS[kind], range(200))}), dtype=object)
    assert not warn_of_formats("Column", levels, [])


@pytest.mark.parametrize("odd", ["V45", "007"])
def test_codes_of_diseases_are_categories_without_a_warning(odd):
    levels = [odd, *(f"{i // 10}.{i % 10}" for i in range(1000, 1200))]
    assert not warn_of_formats("Column", np.array(levels, dtype=object), [])


def test_chunks_of_a_file(tables, tmp_path):
    given, meant, y = tables
    given.assign(y=y).to_csv(tmp_path / "given.csv", index=False)
    meant.assign(y=y).to_parquet(tmp_path / "meant.parquet")
    predictions = []
    for path, frame in ((tmp_path / "given.csv", given), (tmp_path / "meant.parquet", meant)):
        chunks = read_chunks(path, target="y", chunk_size=100)
        predictions.append(fit_chunks(NNRegressor(**OPTIONS), chunks).predict(frame))
    assert_allclose(*predictions, rtol=1e-4)


@pytest.mark.parametrize("chunk_size", [7, 200])
def test_words_among_long_floats_in_a_file(tmp_path, chunk_size):
    x = rng.normal(size=200) * np.where(np.arange(200) % 10, 1, 1e-5)
    frame = pd.DataFrame(
        {"a": ["-" if i % 20 == 0 else one for i, one in enumerate(x.tolist())]}
    )
    meant = pd.to_numeric(frame["a"], errors="coerce").to_frame()
    predictions = []
    for name, X in (("given", frame), ("meant", meant)):
        X.assign(y=x).to_csv(tmp_path / f"{name}.csv", index=False)
        chunks = read_chunks(tmp_path / f"{name}.csv", target="y", chunk_size=chunk_size)
        predictions.append(fit_chunks(NNRegressor(**OPTIONS), chunks).predict(X))
    assert_allclose(*predictions, rtol=1e-4)


def test_partial_fit_keeps_the_formats(tables):
    given, meant, y = tables
    labels = y > np.median(y)
    network, expected = (NNClassifier(**OPTIONS) for _ in range(2))
    for part in (slice(0, 100), slice(100, 200)):
        network.partial_fit(given[part], labels[part], classes=[False, True])
        expected.partial_fit(meant[part], labels[part], classes=[False, True])
    assert_array_equal(network.predict_proba(given), expected.predict_proba(meant))


def test_later_values_of_another_format_are_said(tables):
    given, meant, y = tables
    network = NNRegressor(**OPTIONS).fit(given, y)
    other, missing = given.head(3).copy(), meant.head(3).copy()
    other.loc[1, "price"], missing.loc[1, "price"] = "$5.50", np.nan
    with pytest.warns(UserWarning, match=r"'price' of X .* '\$5\.50', .* missing.* 1234,5€"):
        assert_array_equal(network.predict(other), network.predict(missing))


def test_small_numbers_tell_how_large_ones_are_read(tables):
    _, _, y = tables
    small = pd.DataFrame({"price": [f"${x:.2f}" for x in np.linspace(1, 999, 200)]})
    network = NNRegressor(**OPTIONS).fit(small, y)
    large = network.predict(pd.DataFrame({"price": ["$1,200.00"]}))
    assert_array_equal(large, network.predict(pd.DataFrame({"price": [1200.0]})))


@pytest.mark.parametrize("value", [5, 5.0, Decimal(5), "5.00"])
def test_objects_that_are_numbers_are_read(value):
    values = pd.Series([Decimal(i) / 4 for i in range(200)], dtype=object)
    network = NNRegressor(**OPTIONS).fit(pd.DataFrame({"a": values}), np.arange(200.0))
    one = pd.DataFrame({"a": pd.Series([value], dtype=object)})
    assert_array_equal(network.predict(one), network.predict(pd.DataFrame({"a": [5.0]})))


#: A column of objects, given the numbers that it means, in which NaN is missing.
OBJECTS = {
    "floats": lambda x: x.tolist(),
    "floats and None": lambda x: [None if math.isnan(one) else one for one in x.tolist()],
    "floats and words": lambda x: ["n/a" if math.isnan(one) else one for one in x.tolist()],
    "floats and blanks": lambda x: ["" if math.isnan(one) else one for one in x.tolist()],
    "floats, text of numbers and words": lambda x: [
        "unknown" if math.isnan(one) else one if i % 2 else str(one)
        for i, one in enumerate(x.tolist())
    ],
    "text of numbers": lambda x: [None if math.isnan(one) else str(one) for one in x.tolist()],
}


def frame_of_objects(library, values):
    """Return a frame with one column of objects."""
    if library is pd:
        return pd.DataFrame({"a": pd.Series(values, dtype=object)})
    return pl.DataFrame({"a": pl.Series(values, dtype=pl.Object)})


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_are_the_numbers_that_they_hold(kind, library):
    """Also in chunks, in later rows, and with another choice of categories."""
    # Seventeen digits, and some numbers that Python writes as powers.
    x = rng.normal(size=200) * np.where(np.arange(200) % 10, 1, 1e-5)
    x[::10] = np.nan
    y = np.nan_to_num(x)
    given, meant = frame_of_objects(library, OBJECTS[kind](x)), library.DataFrame({"a": x})
    if library is pl:
        meant = meant.fill_nan(None)
    fits = {
        "fit": lambda X: NNRegressor(**OPTIONS).fit(X, y),
        "None": lambda X: NNRegressor(categorical_features=None, **OPTIONS).fit(X, y),
        "partial_fit": lambda X: (
            NNRegressor(**OPTIONS).partial_fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
        ),
        "fit_chunks": lambda X: fit_chunks(
            NNRegressor(**OPTIONS), [(X[:100], y[:100]), (X[100:], y[100:])]
        ),
    }
    for fit in fits.values():
        network, expected = fit(given), fit(meant).predict(meant)
        assert_array_equal(network.predict(given), expected)
        assert_array_equal(network.predict(meant), expected)
        assert_array_equal(network.predict(given[:3]), network.predict(meant[:3]))
    chosen = NNRegressor(categorical_features=["a"], **OPTIONS)
    if "words" in kind or "blanks" in kind:
        with pytest.raises(ValueError, match="levels of column 'a'"):
            chosen.fit(given, y)
    else:
        assert "a (180 levels)" in str(summary(chosen.fit(given, y)))


def test_integers_of_objects_are_categories_unless_there_is_text():
    """A few words in thousands of rows are found."""
    values: list = [i % 7 for i in range(5000)]
    X, y = frame_of_objects(pd, values), np.arange(5000.0)
    assert "a (7 levels)" in str(summary(NNRegressor(**OPTIONS).fit(X, y)))
    values[3333] = "n/a"
    meant = pd.DataFrame({"a": [np.nan if one == "n/a" else one for one in values]})
    network = NNRegressor(**OPTIONS).fit(frame_of_objects(pd, values), y)
    expected = NNRegressor(**OPTIONS).fit(meant, y).predict(meant)
    assert_array_equal(network.predict(X.assign(a=values)), expected)


def test_the_advice_about_text_among_numbers_works():
    x = rng.normal(size=200)
    X = frame_of_objects(pd, ["A3" if i % 9 == 0 else one for i, one in enumerate(x.tolist())])
    with pytest.raises(
        ValueError, match=r"pandas\.to_numeric with errors='coerce'.*astype\(str"
    ):
        NNRegressor(**OPTIONS).fit(X, x)
    NNRegressor(**OPTIONS).fit(X.apply(pd.to_numeric, errors="coerce"), x)
    with pytest.warns(UserWarning, match="'a' of X is read as a category"):
        NNRegressor(**OPTIONS).fit(X.astype(str), x)


@pytest.mark.parametrize("value", [True, datetime.date(2024, 5, 3), "0x1F"])
def test_later_objects_that_are_no_numbers_are_said(value):
    X = frame_of_objects(pd, rng.normal(size=200).tolist())
    network = NNRegressor(**OPTIONS).fit(X, np.arange(200.0))
    with pytest.warns(UserWarning, match="'a' of X has values such as .* missing: in earlier"):
        found = network.predict(frame_of_objects(pd, [0.5, value]))
    assert_array_equal(found, network.predict(pd.DataFrame({"a": [0.5, np.nan]})))


def test_the_order_of_the_rows_does_not_matter(tables):
    given, _, _ = tables
    column = pd.Series([None] * 50 + ["?"] + given["price"].tolist())
    for frame in (pd.DataFrame({"a": column}), pd.DataFrame({"a": column[::-1]})):
        assert [len(one) for one in find_formats(wrapped(frame), "from_dtype").values()] == [1]


@pytest.mark.parametrize("first", ["n/a", "0", "a b c d e".split()])
def test_the_first_look_may_miss_the_numbers(first):
    """Every fifth of 5000 rows is a word, or a digit that may be a code."""
    values = [f"{x:.2f}" for x in rng.normal(size=5000)]
    values[::5] = np.resize(first, 1000).tolist()
    found = find_formats(wrapped(pd.DataFrame({"a": values})), "from_dtype")
    assert [*map(len, found.values())] == [1]


@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_pandas])
def test_dates_of_a_zone_are_also_read_from_other_text_and_from_dates(library):
    """Dates without a zone are refused, since their clock times may be those of any zone."""
    when = pd.to_datetime(pd.Series(DATES)).dt.tz_localize("Asia/Tokyo")
    texts = [one.isoformat() for one in when]
    given, y = library(pd.DataFrame({"a": texts})), np.array([d.hour for d in DATES])
    network = NNRegressor(**OPTIONS).fit(given, y)
    expected = network.predict(given)
    for zone in ("Asia/Tokyo", "UTC", "America/New_York"):
        meant = library(pd.DataFrame({"a": when.dt.tz_convert(zone)}))
        assert_array_equal(network.predict(meant), expected)
    assert "a (UTC)" in str(summary(network))
    with pytest.raises(ValueError, match=r"time zone UTC .* no time zone now.* another zone"):
        network.predict(library(pd.DataFrame({"a": when.dt.tz_localize(None)})))


def test_an_onnx_model_takes_numbers(tables):
    """The example may have the text of training."""
    onnx = pytest.importorskip("onnx")
    given, meant, y = tables
    network = NNRegressor(**OPTIONS).fit(given, y)
    models = [to_onnx(network, X) for X in (given, meant, None)]
    types = [[one.type.tensor_type.elem_type for one in model.graph.input] for model in models]
    double, text = onnx.TensorProto.DOUBLE, onnx.TensorProto.STRING
    assert types == [[double, double, text]] * 3


def test_an_onnx_model_of_objects_takes_numbers():
    pytest.importorskip("onnx")
    sessions = pytest.importorskip("onnxruntime")
    X = frame_of_objects(pd, ["n/a", *rng.normal(size=199).tolist()])
    network = NNRegressor(**OPTIONS).fit(X, np.arange(200.0))
    for model in (to_onnx(network), to_onnx(network, X)):
        session = sessions.InferenceSession(model.SerializeToString())
        (found,) = session.run(None, onnx_inputs(session, X[1:]))
        assert_allclose(found[:, 0], network.predict(X[1:]), rtol=1e-4)
        with pytest.raises(ValueError, match="Column 'a' of X held numbers in training"):
            onnx_inputs(session, X)


def test_files_of_skops(tables):
    skops = pytest.importorskip("skops.io")
    given, _, y = tables
    network = NNRegressor(**OPTIONS).fit(given, y)
    loaded = skops.loads(skops.dumps(network), trusted=SKOPS_TRUSTED)
    assert_array_equal(loaded.predict(given), network.predict(given))
