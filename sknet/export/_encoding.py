"""The encoding of a table as ONNX operators: the work of TableReader and TableEncoder."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sknet._input import Features
from sknet._model import Model
from sknet.data.categories import Category
from sknet.data.codes import Code
from sknet.data.dates import CYCLES, count_phases
from sknet.data.encoding import TableEncoder
from sknet.data.limits import FARTHEST
from sknet.data.scaling import CLIP
from sknet.export._dates import phases
from sknet.export._graph import Tensor

#: The dtype that stands for text.
TEXT = np.dtype(object)


class Input(NamedTuple):
    """One input of an ONNX model: some neighbouring columns of the table."""

    tensor: Tensor
    n_columns: int

    @property
    def is_text(self) -> bool:
        """Whether the columns hold strings."""
        return self.tensor.dtype == TEXT


def encode(features: Features, model: Model, inputs: Sequence[Input]) -> Tensor:
    """Return the encoded rows in the precision of the network.

    Raises
    ------
    ValueError
        If an input is text where training had numbers, or numbers where training had text, or
        if an input of dates is too coarse for them.
    """
    encoder, dtype = model.encoder, model.params.dtype
    reader, numeric = features.reader, features.reader.numeric_.tolist()
    columns = _Columns(inputs, features.names)
    parts: list[Tensor] = []
    if len(numeric):
        columns.check_dates(numeric[len(numeric) - len(encoder.cycles_) :])
        x = columns.numbers(numeric)
        if count_phases(encoder.cycles_):
            x = _with_phases(encoder, x)
        parts.append(_scaled(encoder, x, dtype))
        if encoder.indicated_.size:
            missing = x.take(encoder.indicated_, axis=1).op("IsNaN", dtype=bool)
            parts.append(missing.cast(dtype))
        if encoder.heavy_columns_.size:
            parts.append(_are_heavy(encoder, x).cast(dtype))
    one_hot: list[Tensor] = []
    level_numbers: list[Tensor] = []
    for i, category, of_one in zip(
        reader.categorical_.tolist(), encoder.categories_, reader.levels_, strict=True
    ):
        encoded = level_numbers if category.embedded else one_hot
        encoded.append(_category(category, columns.codes(i, of_one), len(of_one), dtype))
    for code in encoder.codes_:
        level_numbers.append(_code(code, x, encoder.value_dtype(x.dtype), dtype))
    return inputs[0].tensor.graph.concat([*parts, *one_hot, *level_numbers])


def precision(features: Features, inputs: Sequence[Input]) -> np.dtype[Any]:
    """Return the dtype of predictions: float32 if all numeric columns fit it, else float64."""
    return _Columns(inputs).precision(features.reader.numeric_.tolist())


class _Columns:
    """The columns of all inputs, found by their positions in the table."""

    def __init__(self, inputs: Sequence[Input], names: NDArray[Any] | None = None) -> None:
        self._inputs = inputs
        self._names = names
        self._starts = np.cumsum([0, *(one.n_columns for one in inputs[:-1])])

    def _by_input(self, positions: Sequence[int]) -> Iterator[tuple[Input, list[int]]]:
        """Yield each input with some of the columns, and their positions within the input."""
        for one, start in zip(self._inputs, self._starts, strict=True):
            inside = [j - start for j in positions if start <= j < start + one.n_columns]
            if inside:
                yield one, inside

    def precision(self, positions: Sequence[int]) -> np.dtype[Any]:
        """Return float32 if all of these columns fit it, else float64."""
        dtypes = [one.tensor.dtype for one, _ in self._by_input(positions)]
        single = bool(dtypes) and np.result_type(*dtypes) == np.float32
        return np.dtype(np.float32 if single else np.float64)

    def check_dates(self, positions: Sequence[int]) -> None:
        """Refuse inputs of float32 or smaller types for columns of dates.

        Raises
        ------
        ValueError
            If such an input cannot hold the seconds since 1970 exactly.
        """
        for one, _ in self._by_input(positions):
            if one.tensor.dtype not in (np.float64, np.int64) and not one.is_text:
                raise ValueError(
                    f"The input {one.tensor.name!r} holds dates as seconds since 1970, for "
                    f"which {one.tensor.dtype} is too coarse: make it float64 or int64."
                )

    def numbers(self, positions: Sequence[int]) -> Tensor:
        """Return numeric columns side by side in the given order, in one precision."""
        parts, dtype = [], self.precision(positions)
        for one, inside in self._by_input(sorted(positions)):
            if one.is_text:
                raise self._other_kind(positions, "numbers", "text")
            whole = len(inside) == one.n_columns
            tensor = one.tensor if whole else one.tensor.take(inside, axis=1)
            parts.append(tensor.cast(dtype))
        joined = parts[0].graph.concat(parts)
        # They are in the order of the inputs so far, in which dates need not be the last.
        order = np.argsort(np.argsort(positions)).tolist()
        return joined if order == [*range(len(order))] else joined.take(order, axis=1)

    def codes(self, position: int, levels: NDArray[Any]) -> Tensor:
        """Return the number of the level of each row, from 1 on; 0 stands for no level."""
        ((one, inside),) = self._by_input([position])
        text = levels.size > 0 and isinstance(levels[0], str)
        if levels.size and text != one.is_text:
            kinds = ("text", "numbers") if text else ("numbers", "text")
            raise self._other_kind([position], *kinds)
        column = one.tensor if one.n_columns == 1 else one.tensor.take(inside, axis=1)
        if one.is_text:
            return _codes_of_text(column, levels)
        same = column.cast(np.float64).op("Equal", levels.astype(np.float64), dtype=bool)
        return _numbers_of_places(same, levels.size)

    def _other_kind(self, positions: Sequence[int], before: str, now: str) -> ValueError:
        """Return the error that columns have another kind of values than in training."""
        names = [f"x{j}" if self._names is None else self._names[j] for j in positions]
        return ValueError(
            f"Among the columns {names} the inputs of the model have {now} where training had "
            f"{before}. Pass rows like those of training as X, with text as text."
        )


def _numbers_of_places(same: Tensor, n_levels: int) -> Tensor:
    """Return the number of the level that each row equals, from 1 on; 0 stands for none."""
    # A value equals one level at most, so the product is the number of that level, or 0.
    numbers = np.arange(1.0, n_levels + 1)[:, np.newaxis]
    return (same.cast(np.float64) @ numbers).cast(np.int64)


def _codes_of_text(column: Tensor, levels: NDArray[Any]) -> Tensor:
    """Return the number of the level of each row, from 1 on; 0 stands for no level."""
    # The operator needs at least one key. Without levels, a key with the default value is
    # added, which changes nothing.
    keys, values = ([*levels], [*range(1, levels.size + 1)]) if levels.size else ([""], [0])
    return column.op(
        "LabelEncoder",
        dtype=np.int64,
        domain="ai.onnx.ml",
        keys_strings=keys,
        values_int64s=values,
        default_int64=0,
    )


def _scaled(encoder: TableEncoder, x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """Return numeric columns imputed and scaled, in the precision of the network."""
    if encoder.scale_ is None:
        x = _filled(x, 0.0 if encoder.center_ is None else encoder.center_)
        return x.maximum(-FARTHEST).minimum(FARTHEST).cast(dtype)
    dtype_of_rows = x.dtype
    # Centred before the cast, which would lose small differences between large numbers.
    x = x.cast(np.result_type(x.dtype, encoder.scale_))
    u = x if encoder.center_ is None else x - encoder.center_
    u = (u * encoder.scale_).cast(dtype)
    if encoder.origin_ is None:
        # A missing number becomes the median, which is zero after the centring.
        return _clipped(encoder, _filled(u, 0.0))
    origin = encoder.rounded_origin(dtype_of_rows)
    with np.errstate(over="ignore"):
        zero = (origin - cast(NDArray[Any], encoder.center_)) * encoder.scale_
        zero = zero.astype(dtype)
    clipped_zero = _clipped(encoder, x.graph.constant(zero, dtype))
    return _clipped(encoder, _filled(u, zero)) - clipped_zero


def _clipped(encoder: TableEncoder, u: Tensor) -> Tensor:
    """Return scaled numbers after the smooth clip."""
    u = u.maximum(-FARTHEST).minimum(FARTHEST)
    if encoder.ordered:
        # The form in which rounding keeps the order of numbers.
        inverse = (u * u).op("Reciprocal")
        return (inverse + 1 / CLIP**2).op("Sqrt").op("Reciprocal") * u.op("Sign")
    divisor = u * (1 / CLIP)
    return u / (divisor * divisor + 1).op("Sqrt")


def _with_phases(encoder: TableEncoder, x: Tensor) -> Tensor:
    """Return numeric columns, and the phases of the dates, which are the last of them."""
    cycles = [[CYCLES[name] for name in of_one] for of_one in encoder.cycles_]
    dates = x.columns(encoder.n_read_ - len(cycles), encoder.n_read_)
    return x.graph.concat([x, phases(dates, cycles)])


def _are_heavy(encoder: TableEncoder, x: Tensor) -> Tensor:
    """Return for each row whether it has each of the heavy values."""
    x = x.take(encoder.heavy_columns_, axis=1).cast(encoder.value_dtype(x.dtype))
    x = _filled(x, cast(NDArray[Any], encoder.center_)[encoder.heavy_columns_])
    with np.errstate(over="ignore"):
        values = encoder.heavy_values_.astype(x.dtype)
    return x.op("Equal", values, dtype=bool)


def _filled(x: Tensor, value: ArrayLike) -> Tensor:
    """Return x with a value in the place of NaN, or with a value for each column."""
    missing = x.op("IsNaN", dtype=bool)
    return x.graph.add("Where", [missing, x.graph.constant(value, x.dtype), x], x.dtype)


def _category(category: Category, codes: Tensor, n_levels: int, dtype: np.dtype[Any]) -> Tensor:
    """Return the encoded columns of a category: one-hot columns, or one of level numbers."""
    # The first code, 0, stands for no level, as NaN does for the encoder.
    levels = category.levels(np.array([np.nan, *range(n_levels)]))[:, np.newaxis]
    table = levels if category.embedded else levels == np.arange(category.n_levels)
    return codes.graph.constant(table, dtype).take(codes.reshape(-1), axis=0)


def _code(code: Code, x: Tensor, value_dtype: np.dtype[Any], dtype: np.dtype[Any]) -> Tensor:
    """Return the column of level numbers of a numeric column that is a code."""
    values, tolerance, levels = code.compared(value_dtype)
    distances = (x.take([code.column], axis=1).cast(value_dtype) - values).op("Abs")
    codes = _numbers_of_places(distances.op("LessOrEqual", tolerance, dtype=bool), values.size)
    table = codes.graph.constant(levels[:, np.newaxis], dtype)
    return table.take(codes.reshape(-1), axis=0)
