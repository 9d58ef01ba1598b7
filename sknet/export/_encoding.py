"""The encoding of tables as ONNX operators: what TableReader and TableEncoder do."""

from typing import NamedTuple

import numpy as np

from sknet.data.encoding import BOUND, CLIP
from sknet.export._graph import Tensor

TEXT = np.dtype(object)


class Input(NamedTuple):
    """One input of a model: some neighbouring columns of the table."""

    tensor: Tensor
    n_columns: int

    @property
    def is_text(self):
        """Whether the columns hold strings."""
        return self.tensor.dtype == TEXT


def encode(features, model, inputs):
    """Return the encoded rows in the network's precision.

    Raises
    ------
    ValueError
        If text stands where training had numbers, or the other way round.
    """
    encoder, dtype = model.encoder, model.params.dtype
    numeric, categorical, levels = _kinds_of_columns(features)
    columns = _Columns(inputs, features.names)
    parts = []
    if len(numeric):
        x = columns.numbers(numeric)
        parts.append(_scaled(encoder, x, dtype))
        if encoder.indicated_.size:
            missing = x.take(encoder.indicated_, axis=1).op("IsNaN", dtype=bool)
            parts.append(missing.cast(dtype))
    one_hot, level_numbers = [], []
    for i, category, of_one in zip(categorical, encoder.categories_, levels, strict=True):
        target = level_numbers if category.embedded else one_hot
        target.append(_category(category, columns.codes(i, of_one), len(of_one), dtype))
    return inputs[0].tensor.graph.concat([*parts, *one_hot, *level_numbers])


def precision(features, inputs):
    """Return the type of predictions: float32 if all numeric columns fit it, else float64."""
    numeric, _, _ = _kinds_of_columns(features)
    return _Columns(inputs).precision(numeric)


def _kinds_of_columns(features):
    """Return the positions of numeric columns and of categories, and the latter's levels."""
    reader = features.reader
    if reader is None:
        return range(features.n_features), [], []
    return reader.numeric_, reader.categorical_, reader.levels_


class _Columns:
    """The columns of all inputs, by their position in the table."""

    def __init__(self, inputs, names=None):
        self._inputs = inputs
        self._names = names
        self._starts = np.cumsum([0, *(one.n_columns for one in inputs[:-1])])

    def _by_input(self, positions):
        """Yield each input that has some of the columns, and where in it they are."""
        for one, start in zip(self._inputs, self._starts, strict=True):
            inside = [j - start for j in positions if start <= j < start + one.n_columns]
            if inside:
                yield one, inside

    def precision(self, positions):
        """Return float32 if all of these columns fit it, else float64."""
        dtypes = [one.tensor.dtype for one, _ in self._by_input(positions)]
        common = np.result_type(*dtypes) if dtypes else None
        return np.dtype(np.float32 if common == np.float32 else np.float64)

    def numbers(self, positions):
        """Return numeric columns side by side, in one precision."""
        parts, dtype = [], self.precision(positions)
        for one, inside in self._by_input(positions):
            if one.is_text:
                raise self._strange(positions, "numbers", "text")
            whole = len(inside) == one.n_columns
            tensor = one.tensor if whole else one.tensor.take(inside, axis=1)
            parts.append(tensor.cast(dtype))
        return parts[0].graph.concat(parts)

    def codes(self, position, levels):
        """Return which level each row of a category has, from 1 on; 0 for none of them."""
        ((one, inside),) = self._by_input([position])
        text = levels.size > 0 and isinstance(levels[0], str)
        if levels.size and text != one.is_text:
            kinds = ("text", "numbers") if text else ("numbers", "text")
            raise self._strange([position], *kinds)
        column = one.tensor if one.n_columns == 1 else one.tensor.take(inside, axis=1)
        if one.is_text:
            return _codes_of_text(column, levels)
        same = column.cast(np.float64).op("Equal", levels.astype(np.float64), dtype=bool)
        # At most one level is the same, so the sum of their numbers is its number.
        numbers = np.arange(1.0, levels.size + 1)[:, np.newaxis]
        return (same.cast(np.float64) @ numbers).cast(np.int64)

    def _strange(self, positions, before, now):
        names = [f"x{j}" if self._names is None else self._names[j] for j in positions]
        return ValueError(
            f"Among the columns {names} the inputs of the model have {now} where training had "
            f"{before}. Pass rows like those of training as X, with text as text."
        )


def _codes_of_text(column, levels):
    # An operator without keys is not allowed; the key of an unseen level changes nothing.
    keys, values = ([*levels], [*range(1, levels.size + 1)]) if levels.size else ([""], [0])
    return column.op(
        "LabelEncoder",
        dtype=np.int64,
        domain="ai.onnx.ml",
        keys_strings=keys,
        values_int64s=values,
        default_int64=0,
    )


def _scaled(encoder, x, dtype):
    """Return numeric columns imputed and scaled, in the network's precision."""
    if encoder.scale_ is None:
        return _filled(x, 0.0 if encoder.center_ is None else encoder.center_).cast(dtype)
    # Centred before the cast, which would lose small differences around large offsets.
    x = x.cast(np.result_type(x.dtype, encoder.scale_))
    u = x if encoder.center_ is None else x - encoder.center_
    # A missing number is the median, which is zero now.
    u = _filled((u * encoder.scale_).cast(dtype), 0.0)
    u = u.maximum(-BOUND).minimum(BOUND)
    divisor = u * (1 / CLIP)
    return u / (divisor * divisor + 1).op("Sqrt")


def _filled(x, value):
    """Return x with values in the place of NaN."""
    missing = x.op("IsNaN", dtype=bool)
    return x.graph.add("Where", [missing, x.graph.constant(value, x.dtype), x], x.dtype)


def _category(category, codes, n_levels, dtype):
    """Return a category's one-hot columns, or its level numbers."""
    levels = category.levels(np.array([np.nan, *range(n_levels)]))[:, np.newaxis]
    table = levels if category.embedded else levels == np.arange(category.n_levels)
    return codes.graph.constant(table, dtype).take(codes.reshape(-1), axis=0)
