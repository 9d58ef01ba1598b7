"""Categories: how columns are read as level numbers, surveyed and encoded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from numbers import Number
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknet._requirements import warn
from sknet.data import frames
from sknet.data.choices import categorical_columns
from sknet.data.columns.column import Column, Feature, Region, Surveyed
from sknet.data.columns.scaling import coarser
from sknet.data.kinds import check_values
from sknet.data.weights import Floats

#: The maximum number of levels of a category that get a column each. With more, nearly all
#: entries of the columns are zero, and each level is too rare to learn a weight for every
#: hidden unit; an embedding learns a few numbers for each level instead.
MOST_ONE_HOT_LEVELS = 16
#: Fewer levels than this say nothing about whether a column of text holds numbers.
FEWEST_ROWS_OF_NUMBERS = 20
#: If more than this share of the rows have different levels, and there are at least this many
#: rows, the levels are names of the rows.
NEARLY_ALL, FEWEST_ROWS_OF_NAMES = 0.95, 100
#: In at least this many rows, it is said if none of the levels is known.
FEWEST_UNKNOWN = 20

# Columns.


class CategoryColumn(Column):
    """A column of categories, which is read as the numbers of its levels.

    Attributes
    ----------
    levels : ndarray of shape (n_levels,)
        The sorted levels, numbers or objects. A missing value is not a level.

    Raises
    ------
    ValueError
        If the levels cannot be compared, such as text and numbers.
    """

    plural: ClassVar[str] = "categories"
    numeric: ClassVar[bool] = False

    def __init__(self, X: Any, position: int, declared: bool = False) -> None:
        super().__init__(X, position)
        with self._comparing_levels():
            values = X.column(position)
            levels = frames.declared_levels(values) if declared else None
            found = self._distinct_values(values)[0] if levels is None else levels
            self.levels: NDArray[Any] = np.sort(found)

    @classmethod
    def find(cls, X: Any, wanted: Any) -> list[int]:
        """Return the positions of the columns that ``categorical_features`` chooses.

        Raises
        ------
        ValueError
            If a position or a name does not exist, or if a mask does not have one entry for
            each column.
        """
        return sorted(set(categorical_columns(X, wanted).tolist()))

    def of_part(self, X: Any) -> Self:
        """Return the column with the levels of another part of the table.

        A categorical dtype brings all levels that it declares.

        Raises
        ------
        ValueError
            If the levels cannot be compared, such as text and numbers, or if they are text here
            and numbers in that part, or the reverse.
        """
        column = type(self)(X, self.position, declared=True)
        self._check_kind(column.levels)
        return column

    def merged(self, others: Sequence[Self]) -> Self:
        """Return the column with the levels that this one and those of other parts have.

        Raises
        ------
        ValueError
            If the levels are text for some parts and numbers for others.
        """
        merged = copy(self)
        found = [one.levels for one in (self, *others) if one.levels.size] or [self.levels]
        with self._comparing_levels():
            merged.levels = np.unique(np.concatenate(found))
        return merged

    def read(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers of the levels; NaN for values that are missing or not levels.

        Raises
        ------
        ValueError
            If the levels were text in training and are numbers now, or the reverse, or cannot
            be compared with the values.

        Warns
        -----
        UserWarning
            If none of the values is a level, in at least ``FEWEST_UNKNOWN`` rows, and if there
            are several values, which repeat.
        """
        with self._comparing_levels():
            values, positions = self._distinct_values(X.column(self.position))
            numbers = self._numbers_of(values)
        if self.levels.size and np.isnan(numbers).all():
            # Names of rows do not repeat, and are other ones in each table. A single value may
            # be a new one, or a constant beside a column whose effect is looked at.
            n_rows = np.count_nonzero(positions >= 0)
            if n_rows >= FEWEST_UNKNOWN and 1 < values.size <= n_rows / 2:
                known, others = (one[:2].tolist() for one in (self.levels, values))
                warn(
                    f"Column {self.label} of X has no level that it had in training, such as "
                    f"{known}. Its values, such as {others}, count as missing. If they mean "
                    "the same, give them the dtype and the spelling that the levels had."
                )
        # Position -1, which stands for a missing value, is the last.
        return np.append(numbers, np.nan)[positions]

    def _distinct_values(self, column: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Return the distinct values, and the position of each row's value among them.

        The position of a missing value is -1.

        Raises
        ------
        ValueError
            If the column has infinity, or values that are neither numbers nor text.
        TypeError
            If it has an object of another kind that cannot be hashed.
        """
        where = f"Column {self.label} of X"
        try:
            values, positions = frames.distinct_values(column)
        except TypeError:
            # An object that cannot be hashed, such as a list.
            check_values(np.asarray(column, dtype=object), where)
            raise
        if values.dtype == object:
            check_values(values, where)
        elif np.isinf(values).any():
            raise ValueError(f"{where} is a category with infinity among its levels.")
        return values, positions

    def _numbers_of(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the number of the level that each value is; NaN if it is not a level."""
        self._check_kind(values)
        if not self.levels.size:
            return np.full(values.size, np.nan)
        levels = self.compared(values.dtype)
        if values.dtype.kind == levels.dtype.kind == "f":
            values = values.astype(levels.dtype, copy=False)
        numbers = np.minimum(np.searchsorted(levels, values), levels.size - 1)
        return np.where(levels[numbers] == values, numbers, np.nan)

    def compared(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the levels in the dtype in which values of a dtype are compared with them.

        A level such as 0.1 is the same in float32 and in float64.
        """
        if not dtype.kind == self.levels.dtype.kind == "f":
            return self.levels
        return self.levels.astype(coarser(dtype, self.levels.dtype), copy=False)

    def _check_kind(self, values: NDArray[Any]) -> None:
        """Refuse numbers where the levels are text, and the reverse."""
        if not self.levels.size:
            return
        was_text = isinstance(self.levels[0], str)
        if any(isinstance(value, str) != was_text for value in values.tolist()):
            before, now = ("text", "numbers") if was_text else ("numbers", "text")
            raise ValueError(
                f"Column {self.label} is a category whose levels were {before} in earlier "
                f"training rows, but holds {now} now. Convert it to {before}."
            )

    @contextmanager
    def _comparing_levels(self) -> Iterator[None]:
        """Raise an error that names the column if its levels cannot be hashed or compared."""
        try:
            yield
        # Comparing a signaling NaN of Decimal raises an ArithmeticError.
        except (TypeError, ArithmeticError) as error:
            raise ValueError(
                f"The levels of column {self.label} cannot be compared: they must be all text "
                "or all numbers, in all parts of the table. Convert the column: "
                "pandas.to_numeric with errors='coerce' turns text that is not a number into "
                "missing values, and astype(str) turns all values into text."
            ) from error

    def statistic(self, x: Floats, repeated: Floats) -> NDArray[Any]:
        """Return how often each level occurs.

        A row counts as often as its weight says (see :func:`sknet.data.weights.repetitions`).
        """
        known = ~np.isnan(x)
        return np.bincount(x[known].astype(int), repeated[known], minlength=self.levels.size)

    def of_both(self, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of two counts."""
        return one + other

    def repeated(self, statistic: NDArray[Any], times: float) -> NDArray[Any]:
        """Return the counts of the same rows if each counts ``times`` times as often."""
        return statistic * times

    def translated(self, statistic: NDArray[Any], part: Self) -> NDArray[Any]:
        """Return the counts of this column's levels, given those of a part's levels."""
        counts = np.zeros(self.levels.size)
        counts[np.searchsorted(self.levels, part.levels)] = statistic
        return counts

    def features(self, found: Surveyed) -> list[Feature]:
        """Return one-hot columns, or level numbers if there are many levels."""
        keep_rare = found.encoder.keep_rare
        return [Levels(found.place, found.statistic, found.has_missing, keep_rare)]

    def on_card(self, name: str) -> str:
        """Return the name of the column with the number of its levels."""
        return f"{name} ({self.levels.size} levels)"


# Features.


class Levels(Feature):
    """The levels of a column that the network tells apart.

    If there are few levels, each has an encoded column. Otherwise, their numbers are one
    encoded column, and the network learns an embedding for them.

    Parameters
    ----------
    column : int
        The position of the column.
    counts : ndarray of shape (n_levels,)
        How often each level occurs in training, where weights count as repetitions.
    has_missing : bool
        Whether training had missing values.
    keep_rare : bool
        Whether a level that occurs once, or has not occurred yet, gets its own place.

    Attributes
    ----------
    n_levels : int
        The number of levels told apart. If ``has_rest``, the last of them is shared by rare
        levels and missing values.
    has_rest : bool
        Whether there is such a shared level.
    embedded : bool
        Whether there are too many levels for a column each.
    prior_rows : float
        If ``embedded``, how many rows the prior on the effect of a level on y is worth; 0 until
        :meth:`TableEncoder.learn_from_target` is called.
    """

    def __init__(self, column: int, counts: Floats, has_missing: bool, keep_rare: bool) -> None:
        self.column: int = column
        self._kept = np.flatnonzero((counts > 1) | keep_rare)
        self.has_rest: bool = bool(has_missing or np.delete(counts, self._kept).any())
        self.n_levels: int = self._kept.size + self.has_rest
        self.embedded: bool = self.n_levels > MOST_ONE_HOT_LEVELS
        self.region: Region = Region.LEVELS if self.embedded else Region.FLAGS
        self.sources: NDArray[np.intp] = np.full(1 if self.embedded else self.n_levels, column)
        # A level without its own place gets the shared one, or else one past the last.
        self._position = np.full(counts.size + 1, self._kept.size)
        self._position[self._kept] = np.arange(self._kept.size)
        self.prior_rows: float = 0.0

    def places(self, x: Floats) -> NDArray[np.intp]:
        """Return the place of each level number; ``n_levels`` stands for none of the levels."""
        # Position -1, which stands for a missing value, is the last.
        return self._position[np.where(np.isnan(x), -1, x).astype(int)]

    def encode(self, X: Floats, dtype: DTypeLike) -> NDArray[Any]:
        """Return whether rows of an array have each level, or the places of their levels."""
        return self.encode_column(X[:, self.column])

    def encode_column(self, x: Floats) -> NDArray[Any]:
        """Return the encoded columns, given the column."""
        places = self.places(x)[:, np.newaxis]
        return places if self.embedded else places == np.arange(self.n_levels)

    def names(self, names: Sequence[str], levels: Sequence[Sequence[Any]]) -> list[str]:
        """Return the column's name with each level, or the name alone if it is embedded."""
        if self.embedded:
            return [names[self.column]]
        kept = [levels[self.column][i] for i in self._kept.tolist()]
        return [f"{names[self.column]}_{level}" for level in kept + ["other"] * self.has_rest]


# Levels.


def warn_of_rare_levels(where: str, dtype: Any, levels: NDArray[Any], n_known: int) -> None:
    """Warn if most levels of a column of text or objects occur once.

    Such levels say as little as missing values. They are numbers, perhaps with text such as
    "?" among them, or names of rows. Text that is only digits does not count as a number, since
    it is often an identifier. ``where`` names the column, which has ``n_known`` values that are
    not missing.
    """
    # With fewer levels, at least half of the rows share one with other rows.
    if 2 * levels.size <= n_known or levels.size < FEWEST_ROWS_OF_NUMBERS:
        return
    n_numbers = sum(map(_is_number, levels.tolist()))
    if 2 * n_numbers > n_known:
        warn(
            f"{where} is read as a category because of its dtype, {dtype}, but has {n_numbers} "
            f"different numbers in {n_known} rows. A level that occurs once tells the network "
            "nothing. If the column holds quantities, replace any other text, such as '?', "
            "with missing values, and convert it to numbers (na_values of pandas.read_csv, "
            "astype(float)). If it is a category, give it a categorical dtype."
        )
    elif levels.size > NEARLY_ALL * n_known and n_known >= FEWEST_ROWS_OF_NAMES:
        warn(
            f"{where} is a category with {levels.size} levels in {n_known} rows. Most of them "
            "occur only once, and tell the network nothing. Leave the column out, or keep the "
            "part of its text that repeats."
        )


def _is_number(level: Any) -> bool:
    """Whether a level is a number, or text of a number that is not only digits, such as 0.5."""
    if not isinstance(level, str):
        return isinstance(level, Number)
    if "_" in level:
        return False  # Python reads 2024_0001 as a number, but people read it as an identifier.
    try:
        float(level)
    except ValueError:
        return False
    return not level.isdigit()
