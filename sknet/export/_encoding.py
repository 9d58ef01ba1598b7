"""The encoding of a table as ONNX operators: the work of TableReader and TableEncoder.

The phases of dates follow the same formulas as in :mod:`sknet.data.columns.times`.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknet._input import Features
from sknet._model import Model
from sknet.data.columns.categories import CategoryColumn, Levels
from sknet.data.columns.column import Feature
from sknet.data.columns.numbers import MissingFlags, Numbers
from sknet.data.columns.scores import NormalScores
from sknet.data.columns.single_values import Code, HeavyFlags
from sknet.data.columns.times import CYCLES, DAY, Cycle, DateColumn, Phases
from sknet.data.kinds import FARTHEST
from sknet.export._graph import Port, Tensor
from sknet.export._rules import counterpart

#: The dtype that stands for text.
TEXT = np.dtype(object)


def encode(table: "InputColumns", model: Model) -> Tensor:
    """Return the encoded rows in the precision of the network.

    Raises
    ------
    ValueError
        If an input is text where training had numbers, or numbers where training had text, if
        the type of an input is too coarse for dates, or if float64 cannot tell levels apart.
    """
    dtype = model.params.dtype
    table.check_dates()
    encoded = [
        counterpart("feature", FEATURES, one)(one, table, dtype).cast(dtype)
        for one in model.encoder.features_
        if one.width
    ]
    return encoded[0].graph.concat(encoded)


@dataclass(eq=False)
class InputColumns:
    """The columns of all inputs, as ``TableReader.read`` returns them.

    Parameters
    ----------
    features : Features
    inputs : sequence of Port
        Each holds one or more consecutive columns, in the order of training.
    """

    features: Features
    inputs: Sequence[Port]

    def _by_input(self, positions: Collection[int]) -> Iterator[tuple[Port, list[int]]]:
        """Yield each input with some of the columns, and their positions within the input."""
        starts = np.cumsum([0, *(one.n_columns for one in self.inputs[:-1])])
        for one, start in zip(self.inputs, starts, strict=True):
            inside = [j - start for j in positions if start <= j < start + one.n_columns]
            if inside:
                yield one, inside

    def _is_text(self, position: int) -> bool:
        """Return whether the input with a column holds text."""
        ((one, _),) = self._by_input([position])
        return one.tensor.dtype == TEXT

    @property
    def precision(self) -> np.dtype[Any]:
        """The dtype of predictions: float32 if numeric columns promote to it, else float64."""
        dtypes = [one.tensor.dtype for one, _ in self._by_input(self.features.reader.numeric_)]
        single = bool(dtypes) and np.result_type(*dtypes) == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def check_dates(self) -> None:
        """Refuse inputs of types of less than 64 bits for columns of dates.

        Raises
        ------
        ValueError
            If there is such an input. float32 cannot hold the seconds since 1970 exactly.
        """
        dates = [one.position for one in self.features.reader.of_kind(DateColumn)]
        for one, _ in self._by_input(dates):
            if one.tensor.dtype not in (np.float64, np.int64, TEXT):
                raise ValueError(
                    f"The input {one.tensor.name!r} holds dates as seconds since 1970, for "
                    f"which {one.tensor.dtype} is too coarse: make it float64 or int64."
                )

    @cached_property
    def numbers(self) -> Tensor:
        """The numeric columns side by side, in one precision."""
        positions, dtype, parts = self.features.reader.numeric_.tolist(), self.precision, []
        for one, inside in self._by_input(sorted(positions)):
            if one.tensor.dtype == TEXT:
                of_text = [*filter(self._is_text, positions)]
                raise self._other_kind(of_text, "numbers, dates or durations", "text")
            whole = len(inside) == one.n_columns
            tensor = one.tensor if whole else one.tensor.take(inside, axis=1)
            parts.append(tensor.cast(dtype))
        joined = parts[0].graph.concat(parts)
        # So far they are in the order of the inputs, in which dates need not be last.
        order = np.argsort(np.argsort(positions)).tolist()
        return joined if order == [*range(len(order))] else joined.take(order, axis=1)

    def codes(self, column: int) -> tuple[Tensor, int]:
        """Return the number of the level of each row, counted from 1, and the number of levels.

        0 stands for no level.
        """
        category = cast(CategoryColumn, self.features.reader.places_[column])
        position, levels = category.position, category.levels
        ((one, inside),) = self._by_input([position])
        text, is_text = levels.size > 0 and isinstance(levels[0], str), one.tensor.dtype == TEXT
        if levels.size and text != is_text:
            kinds = ("text", "numbers") if text else ("numbers", "text")
            raise self._other_kind([position], *kinds)
        tensor = one.tensor if one.n_columns == 1 else one.tensor.take(inside, axis=1)
        if is_text:
            return _codes_of_text(tensor, levels), levels.size
        numbers = levels.astype(np.float64)
        if np.unique(numbers).size < levels.size:
            (name,) = self._names([position])
            raise ValueError(
                f"Column {name!r} has categories that are such large integers that float64, in "
                "which an ONNX model compares numbers, cannot tell them apart. Train with the "
                "column as text."
            )
        compared = category.compared(tensor.dtype)
        if compared.dtype != np.float32:
            compared = numbers
        # Of levels that float32 cannot tell apart, the first counts, as in prediction.
        compared = np.where(np.r_[False, np.diff(compared) == 0], np.nan, compared)
        same = tensor.cast(compared.dtype).op("Equal", compared, dtype=bool)
        return _numbers_of_places(same, levels.size), levels.size

    def _names(self, positions: Sequence[int]) -> list[str]:
        """Return the names of columns."""
        return [self.features.shown_names[j] for j in positions]

    def _other_kind(self, positions: Sequence[int], before: str, now: str) -> ValueError:
        """Return an error for columns with a different kind of values than in training."""
        names = self._names(positions)
        return ValueError(
            f"For the columns {names}, the inputs of the model have {now} where training had "
            f"{before}. Pass an X whose columns have the same kinds of values as in training."
        )


def _numbers_of_places(same: Tensor, n_levels: int) -> Tensor:
    """Return the number of the level that each row equals, counted from 1; 0 means none."""
    # A value equals one level at most, so the product is the number of that level, or 0.
    numbers = np.arange(1.0, n_levels + 1)[:, np.newaxis]
    return (same.cast(np.float64) @ numbers).cast(np.int64)


def _codes_of_text(column: Tensor, levels: NDArray[Any]) -> Tensor:
    """Return the number of the level of each row, counted from 1; 0 stands for no level."""
    # The operator needs at least one key. Without levels, a key with the default value is
    # added, which changes nothing.
    keys, values = ([*levels], [*range(1, levels.size + 1)]) if levels.size else ([""], [0])
    return column.labels(np.int64, keys_strings=keys, values_int64s=values, default_int64=0)


def _numbers(feature: Numbers, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    return _scaled(feature, table.numbers, dtype)


def _phases(feature: Phases, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    date = table.numbers.columns(feature.place, feature.place + 1)
    return _scaled(feature, phases(date, [CYCLES[name] for name in feature.cycles]), dtype)


def _normal_scores(feature: NormalScores, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    scores = []
    for column, (numbers, of_numbers) in zip(feature.sources, feature.curves, strict=True):
        x = table.numbers.take([column], axis=1).cast(np.float64)
        # The share of each interval that is below the number, from 0 to 1.
        shares = ((x - numbers[:-1]) / np.diff(numbers)).maximum(0.0).minimum(1.0)
        scores.append(shares @ np.diff(of_numbers)[:, np.newaxis] + of_numbers[0])
    return _scaled(feature, table.numbers.graph.concat(scores), dtype)


def _scaled(feature: Numbers, x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """Return numbers imputed and scaled, in the precision of the network."""
    center, scale = feature.center, feature.scale
    if scale is None:
        x = _filled(x, 0.0 if center is None else center)
        return x.maximum(-FARTHEST).minimum(FARTHEST).cast(dtype)
    dtype_of_rows = x.dtype
    # Centered before the cast, which would lose small differences between large numbers.
    x = x.cast(np.result_type(x.dtype, scale))
    u = x if center is None else x - center
    u = (u * scale).cast(dtype)
    if feature.origin is None:
        # A missing number becomes the median, which is zero after centering.
        return _clipped(feature, _filled(u, 0.0))
    origin = feature.rounded_origin(dtype_of_rows)
    with np.errstate(over="ignore"):
        zero = ((origin - cast(NDArray[Any], center)) * scale).astype(dtype)
    clipped_zero = _clipped(feature, x.graph.constant(zero, dtype))
    return _clipped(feature, _filled(u, zero)) - clipped_zero


def _clipped(feature: Numbers, u: Tensor) -> Tensor:
    """Return scaled numbers after the smooth clip."""
    u = u.maximum(-FARTHEST).minimum(FARTHEST)
    of_limit = _inverse_limit(feature, u)
    if feature.in_order:
        # The form in which rounding keeps the order of numbers.
        inverse = (u * u).op("Reciprocal")
        return (inverse + of_limit * of_limit).op("Sqrt").op("Reciprocal") * u.op("Sign")
    divisor = u * of_limit
    return u / (divisor * divisor + 1).op("Sqrt")


def _inverse_limit(feature: Numbers, u: Tensor) -> Any:
    """Return 1 / L for the limit L of each number, or of all of them."""
    inverse = 1 / feature.clip_limit
    if isinstance(inverse, float):
        return inverse
    below, above = (u.graph.constant(one, u.dtype) for one in inverse)
    return u.graph.add("Where", [u.op("Less", 0.0, dtype=bool), below, above], u.dtype)


def _filled(x: Tensor, value: ArrayLike) -> Tensor:
    """Return x with NaN replaced by one value, or by a value for each column."""
    missing = x.op("IsNaN", dtype=bool)
    return x.graph.add("Where", [missing, x.graph.constant(value, x.dtype), x], x.dtype)


def _missing_flags(feature: MissingFlags, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    return table.numbers.take(feature.sources, axis=1).op("IsNaN", dtype=bool)


def _heavy_flags(feature: HeavyFlags, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    x = table.numbers.take(feature.sources, axis=1)
    values, medians, near = feature.compared(x.dtype)
    distances = (_filled(x.cast(values.dtype), medians) - values).op("Abs")
    return distances.op("LessOrEqual", near, dtype=bool)


def _category(feature: Levels, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    codes, n_levels = table.codes(feature.column)
    # The first code, 0, stands for no level, as NaN does for the encoder.
    return codes.rows_of(feature.encode_column(np.array([np.nan, *range(n_levels)])), dtype)


def _code(feature: Code, table: InputColumns, dtype: np.dtype[Any]) -> Tensor:
    x = table.numbers.take([feature.column], axis=1)
    values, tolerance, levels = feature.compared(x.dtype)
    distances = (x.cast(values.dtype) - values).op("Abs")
    codes = _numbers_of_places(distances.op("LessOrEqual", tolerance, dtype=bool), values.size)
    return codes.rows_of(levels[:, np.newaxis], dtype)


#: The function for each class of features. It returns the encoded columns, in the precision of
#: the network or as booleans.
FEATURES: dict[type[Feature], Callable[[Any, InputColumns, np.dtype[Any]], Tensor]] = {
    Numbers: _numbers,
    NormalScores: _normal_scores,
    Phases: _phases,
    MissingFlags: _missing_flags,
    HeavyFlags: _heavy_flags,
    Levels: _category,
    Code: _code,
}


#: Days from 0001-01-01, when a cycle of 400 years begins, to 1970-01-01 in the Gregorian
#: calendar.
DAYS_BEFORE_1970 = 719_162
#: The mean number of days of a year.
DAYS_OF_YEAR = 365.2425
#: The days of a common year on which each month and the next year begin.
FIRST_DAYS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
#: The days by which they move in a leap year.
SHIFTS = np.array([0, 0, *[1] * 11])


def phases(dates: Tensor, cycles: Sequence[Cycle]) -> Tensor:
    """Return the sine and the cosine of the phases of a column of dates in some cycles."""
    columns = []
    for cycle in cycles:
        phase = (_even_phase if cycle.unit is None else _calendar_phase)(cycle, dates)
        # cos(u) = sin(u + pi / 2): older runtimes implement only the sine for float64.
        columns += [(phase + quarter) * (2 * math.pi) for quarter in (0.0, 0.25)]
    return dates.graph.concat([angle.op("Sin") for angle in columns])


def _even_phase(cycle: Cycle, t: Tensor) -> Tensor:
    turns = (t - cycle.begin) / cycle.length
    return turns - turns.op("Floor")


def _calendar_phase(cycle: Cycle, t: Tensor) -> Tensor:
    """Return the phase of each date in its year, or in its month."""
    now = t / DAY + DAYS_BEFORE_1970
    days = now.op("Floor")
    # Years of the mean length begin less than two days off, so the year is one of three.
    candidates = (days / DAYS_OF_YEAR).op("Floor") + np.array([-1.0, 0.0, 1.0, 2.0])
    begin, end = _enclosing(days, _first_day(candidates), 4)
    if cycle.unit == "M":
        first_days = begin + (end - begin - 365.0) * SHIFTS + FIRST_DAYS
        begin, end = _enclosing(days, first_days, FIRST_DAYS.size)
    return (now - begin) / (end - begin)


def _first_day(years: Tensor) -> Tensor:
    """Return the number of days in the given numbers of years after 0001-01-01."""
    days = years * 365.0
    for sign, every in ((1.0, 4.0), (-1.0, 100.0), (1.0, 400.0)):
        days = days + (years / every).op("Floor") * sign
    return days


def _enclosing(days: Tensor, edges: Tensor, n_edges: int) -> tuple[Tensor, Tensor]:
    """Return the last of increasing edges at or before each day, and the first one after it."""
    low, high = edges.columns(0, n_edges - 1), edges.columns(1, n_edges)
    passed = [one.op("LessOrEqual", days, dtype=bool).cast(days.dtype) for one in (low, high)]
    here = passed[0] - passed[1]
    return (low * here).sum(1), (high * here).sum(1)
