"""Columns of text or objects that are numbers or dates, and that are read as such.

A column of text has a format if each of its values that has a digit fits it, and if no other
format fits all of them as well. "1,500" and "2,750" may be thousands or have a decimal comma,
and "03/04/2020" may be in March or in April. Such a column stays a category, with a warning.
Values without a digit, such as "unknown", count as missing if they are few.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice, product
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sknet._requirements import warn
from sknet.data.choices import categorical_columns
from sknet.data.frames import Table, distinct_values, name_of

#: The largest share of distinct values that are words (text without a digit), and a number of
#: words that is allowed if there are at least twice as many other values.
MOST_WORDS, FEW_WORDS = 0.05, 3
#: The largest share of distinct values whose number another value has as well, such as "2.5"
#: and "2.50". Versions and codes exceed it.
MOST_EQUAL = 0.01
#: The largest share of odd values among the distinct ones with a digit of a column that nearly
#: has a format, and how many values show its formats or are shown.
MOST_ODD, N_SHOWN = 0.05, 5
#: The smallest number of distinct values with points that may separate thousands.
LEAST_GROUPED = 3
#: At least this many evenly spaced rows show whether a column of text may have a format.
FIRST_ROWS = 1000

#: Decimal separators, each with the thousands separators that suit it; spaces may be narrow or
#: non-breaking ones.
SEPARATORS = {".": ",' \u00a0\u202f", ",": ".' \u00a0\u202f"}
CURRENCIES = "[$\u20ac\u00a3\u00a5\u20b9]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD)"
#: Units of length, area, weight, volume, speed, time, temperature, energy, data and more.
UNITS = (
    "%|[mcdk]?m|in|ft|mi|k?m\u00b2|ha|m?g|kg|t|oz|lbs?|[mc]?l|m\u00b3|km/h|mph|m/s|ms|sec|s|min|h|hours?|"
    "days?|weeks?|months?|years?|\u00b0[CF]?|[kM]?Wh?|V|[MG]?Hz|[kMGT]B|bar|h?Pa|hp|px"
)  # fmt: skip
#: Forms of dates other than ISO 8601, as directives of ``strptime``.
DAYS = [
    "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y",
    "%d-%b-%Y", "%b %d, %Y", "%b %Y", "%Y.%m.%d", "%b %d %Y", "%d %b, %Y", "%d. %b %Y",
    "%Y %b %d", "%Y-%b-%d", "%b-%d-%Y", "%d/%b/%Y",
]  # fmt: skip
DIGIT = re.compile(r"\d")
#: The form of most numbers, in which Python reads them as well.
PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d+)?", re.ASCII)
#: The form of negative numbers in accounting, such as "(5.00)" and "$(5.00)".
NEGATIVE = re.compile(r"\((.*)\)$")
#: The name of a month, whose first three letters are enough.
MONTH = re.compile("([A-Z][a-z]{2})[a-z]+")
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
SHORT_MONTH = re.compile("|".join(MONTHS), re.IGNORECASE)
#: The half of the day at the end of a date.
HALF = re.compile(r"\s+([ap])m$", re.IGNORECASE)
#: The name of a weekday before a date, and the names of its time zone after it.
WEEKDAY = re.compile("(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? ", re.IGNORECASE)
ZONES = (" UTC", " GMT")
CLOCKS = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p"]
#: The forms of dates, by the characters between their parts.
FORMS: dict[str, list[str]] = {}
for _form in map("".join, product(DAYS, CLOCKS)):
    FORMS.setdefault(re.sub("%[a-zA-Z]", "", _form), []).append(_form)


@cache
def _number_pattern(decimal: str) -> re.Pattern[str]:
    """Return the pattern of numbers with a decimal separator."""
    grouped = rf"[1-9]\d{{0,2}}(?P<by>[{SEPARATORS[decimal]}])\d{{3}}(?:(?P=by)\d{{3}})*"
    digits = rf"({grouped}|0|[1-9]\d*|)(?:[{decimal}](\d*))?((?:[eE][-+]?\d+)?)"
    sign, before = r"([-+\u2212]?)", f"((?:{CURRENCIES})?)"
    after = f"((?:{CURRENCIES}|{UNITS})?)"
    return re.compile(rf"{sign}{before} ?{sign}{digits}[ \u00a0]?{after}", re.ASCII)


@dataclass(frozen=True)
class NumberFormat:
    """Numbers with a decimal separator, all with the same currency or unit."""

    dtype: ClassVar[str] = "float64"

    decimal: str
    before: str = ""
    after: str = ""

    @classmethod
    def of(cls, value: str) -> "list[NumberFormat]":
        """Return the formats that a value has."""
        found = ((decimal, _parts(value, decimal)) for decimal in SEPARATORS)
        return [cls(decimal, *one[1:]) for decimal, one in found if one is not None]

    def read(self, value: str) -> float | None:
        """Return the number that a value stands for, or None if it does not have the format."""
        found = _parts(value, self.decimal)
        if found is None or found[1:] != (self.before, self.after):
            return None
        return found[0]

    def suits(self, values: Mapping[str, Any]) -> bool:
        """Whether text and the numbers read from it are quantities, not identifiers.

        Without a unit, identifiers are only digits or groups of digits, or too many of them
        differ although their numbers are equal, like the versions 1.1 and 1.10 or the codes 1e3
        and 1000.
        """
        if self.before or self.after:
            return True
        # A point at the end may stand for an ordinal number.
        if any(self.decimal in one[:-1] or "e" in one.lower() for one in values):
            # As text, since 0.00 and -0.00 are not versions.
            n_equal = len(values) - len(set(map(str, values.values())))
            return n_equal <= MOST_EQUAL * len(values)
        if self.decimal == ".":
            return any("," in one for one in values)
        # Beside 950, 1.500 may be 1500. But thousands have points in all values above 999.
        n_digits = [len(re.sub(r"\D", "", one)) for one in values if "." not in one]
        n_grouped = len(values) - len(n_digits)
        return n_grouped >= LEAST_GROUPED and 0 < max(n_digits, default=0) < 4

    def __str__(self) -> str:
        return f"numbers such as {self.before}1234{self.decimal}5{self.after}"


def _parts(value: str, decimal: str) -> tuple[float, str, str] | None:
    """Return a number, the text before it and its unit; None if the value is not a number."""
    if decimal == "." and PLAIN.fullmatch(value):
        return float(value), "", ""
    found = _number_pattern(decimal).fullmatch(NEGATIVE.sub(r"-\1", value))
    if found is None:
        return None
    first, before, second, whole, _, rest, power, after = found.groups("")
    if power and re.search(r"\D", whole):
        return None  # A number with an exponent has no thousands separators.
    sign, whole = first + second, re.sub(r"\D", "", whole)
    # The plural of a unit is the same unit, as in 1 hour and 2 hours.
    after = after.removesuffix("s") if len(after) > 2 else after
    size = float(f"{whole or 0}.{rest or 0}{power}")
    # float64 tells all integers of 15 digits apart. Longer ones are identifiers.
    fits = whole + rest and len(whole) <= 15 and len(sign) < 2 and math.isfinite(size)
    return (size if sign in ("", "+") else -size, before, after) if fits else None


@dataclass(frozen=True)
class DateFormat:
    """Dates that ``strptime`` reads with this form or, without one, those of ISO 8601."""

    dtype: ClassVar[str] = "datetime64[us]"

    form: str = ""
    zoned: bool = False

    @classmethod
    def of(cls, value: str) -> "list[DateFormat]":
        """Return the formats that a value has."""
        text, has_zone = _date_parts(value)
        # Eight digits without hyphens may be a number.
        forms = [""] if text[4:5] == "-" else []
        forms += FORMS.get(re.sub("[a-zA-Z0-9]", "", text), [])
        found = [cls(form, zoned) for form in forms for zoned in (False, True)[has_zone:]]
        return [one for one in found if one.read(value) is not None]

    def read(self, value: str) -> datetime | None:
        """Return the date that a value stands for, in UTC if it has a time zone, or None."""
        text, has_zone = _date_parts(value)
        try:
            if self.form.startswith("%Y.") and len(text) < 10:
                return None  # Without leading zeros, such as 2023.1.2, it is a version.
            found = _strptime(text, self.form) if self.form else datetime.fromisoformat(text)
            if has_zone + (found.tzinfo is not None) != self.zoned:
                return None
            return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
        except (ValueError, OverflowError):
            return None

    def __str__(self) -> str:
        return f"dates of the form {self.form or 'ISO 8601'}"


def _strptime(text: str, form: str) -> datetime:
    """Return the date of a text with English names, whatever the language of the process is.

    Raises
    ------
    ValueError
        If the text does not have the form.
    """
    half = HALF.search(text) if form.endswith(" %p") else None
    if half:
        text, form = text[: half.start()], form.removesuffix(" %p")
    if "%b" in form and (month := SHORT_MONTH.search(text)):
        number = f"{MONTHS.index(month[0].lower()) + 1:02d}"
        text, form = text.replace(month[0], number, 1), form.replace("%b", "%m")
    # Without its half, an hour is that of a morning.
    afternoon = timedelta(hours=12 if half and half[1] in "pP" else 0)
    return datetime.strptime(text, form) + afternoon


def _date_parts(value: str) -> tuple[str, bool]:
    """Return a date with a short month, without weekday and UTC, and whether it had UTC."""
    text = MONTH.sub(r"\1", value)
    weekday, has_zone = WEEKDAY.match(text), text.endswith(ZONES)
    return text[weekday.end() if weekday else 0 : -4 if has_zone else None], has_zone


Format = NumberFormat | DateFormat


def formats_of(values: list[Any]) -> list[Format]:
    """Return the formats that suit distinct values, none of which is missing.

    There may be numbers among the values. A format suits them only if each value with a digit
    fits it, and if only a few values have no digit. Integers without text may be codes, as
    may text of digits alone.
    """
    texts = [one for one in values if isinstance(one, str)]
    figures = figures_of(texts)
    n_numbers, n_words = sum(map(is_number, values)), len(texts) - len(figures)
    most_words = max(MOST_WORDS * len(values), min(FEW_WORDS, (len(values) - n_words) / 2))
    if n_words > most_words or n_numbers + len(texts) < len(values):
        return []
    if not figures:
        are_codes = all(isinstance(one, Integral) for one in values)
        return [] if are_codes else [NumberFormat(".")]
    # Without other numbers, digits alone are codes, and parentheses may mean something else.
    if not n_numbers and any(all(map(of, figures)) for of in (str.isdigit, NEGATIVE.search)):
        return []
    found: dict[Any, Format] = {}
    for form in candidates(figures[0], with_dates=not n_numbers):
        read = {one: form.read(one) for one in figures}
        if None in read.values():
            continue
        if isinstance(form, DateFormat):
            found[form] = form
        elif form.suits(read) or (n_numbers and form.decimal == "."):
            # Without decimals and thousands, both separators give the same numbers.
            found.setdefault(tuple(read.values()), form)
    return list(found.values())


def figures_of(texts: Iterable[Any]) -> list[str]:
    """Return the values of text that have a digit, without spaces around them."""
    return [one.strip() for one in texts if isinstance(one, str) and DIGIT.search(one)]


def candidates(figure: str, with_dates: bool = True) -> list[Format]:
    """Return the formats that one value has."""
    return [*NumberFormat.of(figure), *(DateFormat.of(figure) if with_dates else ())]


def may_have_format(values: list[Any]) -> bool:
    """Whether a column may have a format, given some of its distinct values.

    It cannot have one if no format reads all of these values that have a digit.
    """
    figures = figures_of(values)
    return not figures or any(
        None not in map(form.read, figures) for form in candidates(figures[0])
    )


def nearly_fitting(values: list[Any]) -> tuple[list[Format], list[str]]:
    """Return the formats of all distinct values but a few odd ones with digits, and these.

    Both are empty if there are none. The values are text. Plain numbers do not count, since
    codes such as 250.1 and V45 have odd values, too.
    """
    figures = [one for one in values if DIGIT.search(one)]
    most = int(MOST_ODD * len(figures))
    # Several values show the formats, since any of them may be odd.
    some = figures[:: max(1, len(figures) // N_SHOWN)] if most else []
    of_some = [form for one in some if not one.isdigit() for form in candidates(one.strip())]
    for form in dict.fromkeys(of_some):
        unread = (one for one in figures if form.read(one.strip()) is None)
        odd = list(islice(unread, most + 1))
        if len(odd) <= most:
            found = formats_of(list({*values} - {*odd}))
            if found and found != [NumberFormat(".")]:
                return found, odd
    return [], []


def is_number(value: Any) -> bool:
    """Return whether an object is a real number or a ``Decimal``, but not a truth value."""
    if type(value) is str:  # The checks of the last line take longer.
        return False
    if type(value) is float:
        return True
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def find_formats(X: Table, wanted: Any) -> dict[int, list[Format]]:
    """Return the formats of the columns of text that may be numbers or dates, by position.

    A column with several formats is ambiguous. Columns that ``wanted``, the parameter
    ``categorical_features``, names are categories.
    """
    named: Any = [] if isinstance(wanted, str) else categorical_columns(X, wanted)
    found = {}
    for i in np.setdiff1d(X.text_columns, named).tolist():
        column = X.column(i)
        first = distinct_list(column[:: max(1, len(column) // FIRST_ROWS)])
        # A few rows show that most columns with digits have no format. Whether words are few
        # can only be told from all rows.
        if may_have_format(first):
            found[i] = formats_of(distinct_list(column))
    return found


def distinct_list(column: Any) -> list[Any]:
    """Return the distinct values; none if they cannot be compared, which is an error later."""
    try:
        return distinct_values(column)[0].tolist()
    except (TypeError, ArithmeticError):
        return []


def warn_of_formats(where: str, levels: NDArray[Any], found: list[Format]) -> bool:
    """Warn about a category with several formats, or with one but for a few odd values.

    Parameters
    ----------
    where : str
        The column, for messages.
    levels : ndarray
        Its distinct values.
    found : list of Format
        Its formats.

    Returns
    -------
    bool
        Whether there was a warning.
    """
    odd: list[str] = []
    if not found and levels.size and isinstance(levels[0], str):
        found, odd = nearly_fitting(levels.tolist())
    if not found:
        return False
    names = " or ".join(map(str, found))
    if odd:
        warn(
            f"{where} is read as a category, since some of its values, such as {odd[0]!r}, are "
            f"not {names} like the others. Make such values missing, for example with "
            f"column.replace({odd[:N_SHOWN]}, None) or na_values of pandas.read_csv, or give "
            "the column a categorical dtype."
        )
    else:
        kind = "dates" if isinstance(found[0], DateFormat) else "numbers"
        warn(
            f"{where} is text that may be {names}, so it is read as a category. Convert it to "
            f"{kind}, or give it a categorical dtype."
        )
    return True


def read_texts(X: Any, formats: Mapping[int, Format]) -> Any:
    """Return a ``Table`` in which the columns of text with formats are numbers and dates.

    Columns that are already numbers or dates stay as they are.

    Warns
    -----
    UserWarning
        If a column has values that do not fit its format, and are not text without a digit.
        They count as missing.
    """
    arrays = {}
    for i in sorted(formats.keys() & {*X.text_columns}):
        form, column = formats[i], X.column(i)
        try:
            values, positions = distinct_values(column)
        except TypeError:  # Nested values, which are an error later.
            continue
        read = [_read(form, value) for value in values.tolist()]
        pairs = zip(values, read, strict=True)
        lost = [value for value, number in pairs if number is None]
        odd = [one for one in lost if not isinstance(one, str) or DIGIT.search(one)]
        if odd:
            warn(
                f"Column {name_of(i, X.names)} of X has values such as {odd[0]!r}, which count "
                f"as missing: in earlier training rows it had {form}."
            )
        # Position -1, which stands for a missing value, is the last.
        arrays[i] = np.array([*read, None], dtype=form.dtype)[positions]
    in_utc = {i for i in arrays if getattr(formats[i], "zoned", False)}
    return X.with_columns(arrays, in_utc) if arrays else X


def _read(form: Format, value: Any) -> Any:
    """Return the number or date that a value stands for; it may be a number already."""
    if isinstance(value, str):
        return form.read(value.strip())
    if not (is_number(value) and isinstance(form, NumberFormat)):
        return None
    try:
        return float(value)
    except OverflowError:  # An immense integer.
        return None
