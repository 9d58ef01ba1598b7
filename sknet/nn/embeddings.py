"""Layers at the input: embeddings of categories and of numbers.

To add an embedding of numbers, derive a frozen dataclass from :class:`NumericEmbedding` and add
a line to :data:`NUMERIC_EMBEDDINGS`; ``docs/extending.md`` lists the other places.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from sknet.nn.kernels import cosine, sine
from sknet.nn.layers import Layer, Parameter
from sknet.nn.rules import NOT_NEGATIVE, POSITIVE_INT, Constraint, Interval
from sknet.nn.types import Array, Buffers, Edges, Views


class ColumnEmbedding(Layer):
    """A layer that turns each of its input columns into several columns of its own."""

    @abstractmethod
    def output_counts(self, n_inputs: int) -> list[int]:
        """Return the number of outputs of each input column.

        The outputs of a column lie side by side, in the order of the columns.
        """

    def n_outputs(self, n_inputs: int) -> int:
        return sum(self.output_counts(n_inputs))


class NumericEmbedding(ColumnEmbedding):
    """An embedding of numeric columns: a value of the estimators' ``numeric_embedding``."""

    #: Whether the layer works on quantile bins, which the training data decide.
    needs_bins: ClassVar[bool] = False

    def with_bins(self, edges: Edges) -> Self:
        """Return the layer with the edges of the bins of each column.

        Parameters
        ----------
        edges : tuple of tuple of float
            The increasing edges of each column, whose number may differ.

        Returns
        -------
        NumericEmbedding
            The layer itself if it needs no bins, or has some already.
        """
        return self


def _are_edges(edges: Any) -> bool:
    """Return whether each column has at least two increasing edges."""
    return all(isinstance(one, tuple) and _increase(one) for one in edges)


def _increase(edges: tuple[Any, ...]) -> bool:
    """Return whether edges are finite and increase; only the last may be repeated."""
    if len(edges) < 2 or not all(issubclass(kind, Real) for kind in set(map(type, edges))):
        return False
    n_distinct = edges.index(edges[-1]) + 1
    return (
        n_distinct > 1
        and math.isfinite(edges[0])
        and math.isfinite(edges[-1])
        and all(low < high for low, high in pairwise(edges[:n_distinct]))
        and all(edge == edges[-1] for edge in edges[n_distinct:])
    )


EDGES = Constraint(
    "a tuple of a tuple of at least two finite, increasing numbers for each column, of which "
    "only the last may be repeated",
    (tuple,),
    _are_edges,
)
EQUALLY_MANY_EDGES = Constraint(
    f"{EDGES.text}, with equally many numbers for each column (see of_equal_length)",
    (tuple,),
    lambda edges: _are_edges(edges) and len(set(map(len, edges))) <= 1,
)


@dataclass(frozen=True)
class BinnedEmbedding(NumericEmbedding):
    """An embedding that works on bins of each column.

    Parameters
    ----------
    edges : tuple of tuple of float, default=()
        The increasing bin edges of each column, at least two of them, in units of the scaled
        numbers. Where the last edges are equal, their bins are empty. If there are none, an
        estimator fills in quantiles of the training data.
    """

    edges: Annotated[Edges, EDGES] = ()
    needs_bins: ClassVar[bool] = True

    def with_bins(self, edges: Edges) -> Self:
        """Return the layer with the edges of the bins of each column.

        Raises
        ------
        ValueError
            If the layer has edges already, but for another number of columns.
        """
        if not self.edges:
            return replace(self, edges=of_equal_length(edges))
        if len(self.edges) != len(edges):
            raise ValueError(
                f"{type(self).__name__} has bin edges for {len(self.edges)} columns, but there "
                f"are {len(edges)} numeric columns. Leave edges out to have them computed."
            )
        return self


def _are_parts(parts: Any) -> bool:
    """Return whether each part is a pair of a number of columns and their layer or None."""
    return all(
        isinstance(part, tuple)
        and len(part) == 2
        and isinstance(part[0], Integral)
        and POSITIVE_INT.contains(part[0])
        and isinstance(part[1], ColumnEmbedding | None)
        for part in parts
    )


PARTS = Constraint(
    "a tuple of pairs (an integer >= 1, a ColumnEmbedding or None)", (tuple,), _are_parts
)


class Part(NamedTuple):
    """One layer of :class:`Columns` on its way back, with its own share of the arrays."""

    number: int
    columns: slice
    layer: ColumnEmbedding | None
    params: Views
    buffers: Buffers
    delta: Any


@dataclass(frozen=True)
class Columns(ColumnEmbedding):
    """Passes each stretch of columns through a layer of its own, and joins the outputs.

    Parameters
    ----------
    parts : tuple of pairs (int, ColumnEmbedding or None)
        A number of columns, and their layer. None passes the columns on as they are.
    """

    parts: Annotated[tuple[tuple[int, ColumnEmbedding | None], ...], PARTS]

    def describe(self) -> str:
        inner = {layer.describe() for _, layer in self.parts if layer is not None}
        return f"{super().describe()} ({', '.join(sorted(inner))})"

    def output_counts(self, n_inputs: int) -> list[int]:
        return [
            count
            for width, layer in self.parts
            for count in ([1] * width if layer is None else layer.output_counts(width))
        ]

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {
            f"{i}.{name}": parameter
            for i, (width, layer) in enumerate(self.parts)
            if layer is not None
            for name, parameter in layer.parameters(width).items()
        }

    def buffers(self, n_inputs: int) -> dict[str, int]:
        inner = {
            f"{i}.{name}": columns
            for i, (width, layer) in enumerate(self.parts)
            if layer is not None
            for name, columns in layer.buffers(width).items()
        }
        return {**inner, "out": self.n_outputs(n_inputs), "delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        for i, _, _, layer in self.walk():
            if layer is not None:
                layer.initialize(of_part(vars(params), i), rng)

    def forward(
        self, params: Views, x: Array, buffers: Buffers, rng: Generator | None = None
    ) -> Array:
        for i, columns, outputs, layer in self.walk():
            part = x[:, slice(*columns)]
            if layer is not None:
                inner = vars(of_part(buffers, i))
                part = layer.forward(of_part(vars(params), i), part, inner, rng)
            buffers["out"][:, slice(*outputs)] = part
        return buffers["out"]

    def backward_shared(
        self, params: Views, x: Array, delta: Array, buffers: Buffers
    ) -> list[Part]:
        """Return the layers, each with its share of ``delta`` after its own shared step."""
        parts = []
        for i, (start, stop), outputs, layer in self.walk():
            columns = slice(start, stop)
            views, inner = of_part(vars(params), i), vars(of_part(buffers, i))
            own = np.ascontiguousarray(delta[:, slice(*outputs)])
            if layer is not None:
                own = layer.backward_shared(views, x[:, columns], own, inner)
            parts.append(Part(i, columns, layer, views, inner, own))
        return parts

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: list[Part], buffers: Buffers
    ) -> None:
        for i, columns, layer, views, inner, own in delta:
            of_layer = of_part(vars(grads), i)
            if layer is not None and vars(of_layer):
                layer.backward_params(views, of_layer, x[:, columns], own, inner)

    def backward_inputs(
        self, params: Views, x: Array, delta: list[Part], buffers: Buffers
    ) -> Array:
        for _, columns, layer, views, inner, own in delta:
            if layer is not None:
                own = layer.backward_inputs(views, x[:, columns], own, inner)
            buffers["delta"][:, columns] = own
        return buffers["delta"]

    def walk(
        self,
    ) -> Iterator[tuple[int, tuple[int, int], tuple[int, int], ColumnEmbedding | None]]:
        """Yield number, input columns, output columns and layer of each part."""
        start = out = 0
        for i, (width, layer) in enumerate(self.parts):
            out_width = width if layer is None else layer.n_outputs(width)
            yield i, (start, start + width), (out, out + out_width), layer
            start, out = start + width, out + out_width


def of_part(items: dict[str, Any], i: int) -> SimpleNamespace:
    """Return the arrays of part ``i`` by their names in its own layer."""
    prefix = f"{i}."
    return SimpleNamespace(
        **{k.removeprefix(prefix): v for k, v in items.items() if k.startswith(prefix)}
    )


@dataclass(frozen=True)
class Embedding(ColumnEmbedding):
    """A learned vector for each level of a category: the product of a one-hot row and a table.

    Guo and Berkhahn (2016). The input is one column of level numbers from 0 on; the number
    ``n_levels`` stands for a level that training did not see, and gets the mean of all vectors.

    Parameters
    ----------
    n_levels : int >= 1
    size : int >= 1
        The length of the vectors.
    """

    n_levels: Annotated[int, POSITIVE_INT]
    size: Annotated[int, POSITIVE_INT]

    def output_counts(self, n_inputs: int) -> list[int]:
        return [self.size] * n_inputs

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {"table": Parameter((self.n_levels, self.size))}

    def buffers(self, n_inputs: int) -> dict[str, int]:
        return {"delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        params.table[...] = rng.normal(size=params.table.shape)

    def forward(
        self, params: Views, x: Array, buffers: Buffers, rng: Generator | None = None
    ) -> Array:
        table = np.vstack([params.table, params.table.mean(axis=0)])
        return table[x[:, 0].astype(np.intp)]

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        sums = self._one_hot(x, delta.dtype).T @ delta
        grads.table[...] = sums[:-1]
        # The mean vector belongs to all levels alike.
        grads.table += sums[-1] * (1 / self.n_levels)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        # A level number has no derivative.
        buffers["delta"].fill(0)
        return buffers["delta"]

    def _one_hot(self, x: Array, dtype: DTypeLike) -> sparse.csr_array:
        """Return a sparse matrix with a one in the column of each row's level."""
        n_rows = x.shape[0]
        levels, ones = x[:, 0].astype(np.int32), np.ones(n_rows, dtype)
        shape = n_rows, self.n_levels + 1
        return sparse.csr_array((ones, levels, np.arange(n_rows + 1)), shape=shape)


#: The numbers of outputs of :class:`MappedFeatures`: the input itself and others.
AT_LEAST_TWO = Interval(Integral, 2)


class MappedFeatures(NumericEmbedding):
    """Each number x becomes x and a learned linear map of features of x.

    A subclass has ``n_features``, the number of features of a number, and ``size``, the number
    of its outputs, x itself included. It defines :meth:`mapped` and
    :meth:`mapped_backward_inputs`, and extends :meth:`backward_params`.
    """

    size: int

    @property
    @abstractmethod
    def n_features(self) -> int:
        """The number of features of a number."""

    def output_counts(self, n_inputs: int) -> list[int]:
        return [self.size] * n_inputs

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {
            "map": Parameter((n_inputs, self.n_features, self.size - 1)),
            "offset": Parameter((n_inputs, self.size - 1)),
        }

    def buffers(self, n_inputs: int) -> dict[str, int]:
        return {"out": n_inputs * self.size, "delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        bound = 1 / math.sqrt(self.n_features)
        params.map[...] = rng.uniform(-bound, bound, params.map.shape)
        params.offset[...] = rng.uniform(-bound, bound, params.offset.shape)

    @abstractmethod
    def mapped(self, params: Views, x: Array, buffers: Buffers) -> Array:
        """Return the mapped features, without the offset: (rows, numbers, size - 1)."""

    @abstractmethod
    def mapped_backward_inputs(
        self, params: Views, x: Array, delta: Array, buffers: Buffers
    ) -> Array:
        """Return the gradient of ``x``, given the gradient ``delta`` of the mapped features."""

    def forward(
        self, params: Views, x: Array, buffers: Buffers, rng: Generator | None = None
    ) -> Array:
        out = by_number(buffers["out"], x)
        out[:, :, 0] = x
        np.add(self.mapped(params, x, buffers), params.offset, out=out[:, :, 1:])
        return buffers["out"]

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        """Return ``delta`` as an array (rows, numbers, size)."""
        return by_number(delta, x)

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        """Write the gradient of the offset. A subclass adds the gradients of its features."""
        np.sum(delta[:, :, 1:], axis=0, out=grads.offset)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        inputs = self.mapped_backward_inputs(params, x, delta[:, :, 1:], buffers)
        inputs += delta[:, :, 0]
        return inputs


def by_number(array: Array, x: Array) -> Array:
    """Return a view of shape (rows, numbers of x, columns of a number)."""
    return array.reshape(*x.shape, -1)


@dataclass(frozen=True)
class Periodic(MappedFeatures):
    """Each number x becomes x and a linear map of cos(2 pi (w x + b)), all learned.

    "PBLD" of Holzmueller, Grinsztajn and Steinwart, "Better by Default" (2024), section 3,
    after Gorishniy, Rubachev and Babenko (2022), section 3.3.

    Parameters
    ----------
    n_frequencies : int >= 1, default=16
        The number of waves of each input number.
    size : int >= 2, default=4
        The number of outputs of each input number; the first of them is the input itself.
    deviation : float >= 0, default=0.3
        The standard deviation of the initial frequencies w, in waves per unit of the scaled
        number.
    """

    n_frequencies: Annotated[int, POSITIVE_INT] = 16
    size: Annotated[int, AT_LEAST_TWO] = 4
    deviation: Annotated[float, NOT_NEGATIVE] = 0.3

    @property
    def n_features(self) -> int:
        return self.n_frequencies

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {
            "frequency": Parameter((n_inputs, self.n_frequencies)),
            "phase": Parameter((n_inputs, self.n_frequencies)),
            **super().parameters(n_inputs),
        }

    def buffers(self, n_inputs: int) -> dict[str, int]:
        waves = n_inputs * self.n_frequencies
        return {**super().buffers(n_inputs), "angle": waves, "wave": waves}

    def initialize(self, params: Views, rng: Generator) -> None:
        params.frequency[...] = rng.normal(0, self.deviation, params.frequency.shape)
        params.phase[...] = rng.uniform(-0.5, 0.5, params.phase.shape)
        super().initialize(params, rng)

    def mapped(self, params: Views, x: Array, buffers: Buffers) -> Array:
        angle, wave = by_number(buffers["angle"], x), by_number(buffers["wave"], x)
        np.multiply(x[:, :, np.newaxis], params.frequency, out=angle)
        angle += params.phase
        angle *= 2 * math.pi
        cosine(angle, out=wave)
        # One small product for each input column.
        return np.matmul(wave.transpose(1, 0, 2), params.map).transpose(1, 0, 2)

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        """Return ``delta`` by number; turn the buffer "angle" into the gradient of w x + b."""
        delta = super().backward_shared(params, x, delta, buffers)
        through = delta[:, :, 1:].transpose(1, 0, 2)
        # d cos(2 pi u) / du = -2 pi sin(2 pi u) with u = w x + b.
        angle = sine(by_number(buffers["angle"], x))
        angle *= -2 * math.pi
        angle *= np.matmul(through, params.map.transpose(0, 2, 1)).transpose(1, 0, 2)
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        super().backward_params(params, grads, x, delta, buffers)
        angle, wave = by_number(buffers["angle"], x), by_number(buffers["wave"], x)
        through = delta[:, :, 1:].transpose(1, 0, 2)
        np.matmul(wave.transpose(1, 2, 0), through, out=grads.map)
        np.einsum("nd,ndk->dk", x, angle, out=grads.frequency)
        np.sum(angle, axis=0, out=grads.phase)

    def mapped_backward_inputs(
        self, params: Views, x: Array, delta: Array, buffers: Buffers
    ) -> Array:
        angle = by_number(buffers["angle"], x)
        return np.einsum("ndk,dk->nd", angle, params.frequency, out=buffers["delta"])


@dataclass(frozen=True)
class PiecewiseLinear(BinnedEmbedding):
    """Each number gets an output for each bin: 0 below the bin, 1 above it, linear inside.

    Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning" (2022), equation 1. The first output goes on below its bin and the last one above,
    here for one width of the bin only: far from a narrow bin it would become very large. The
    output of an empty bin is zero. The columns may have different numbers of bins.

    Parameters
    ----------
    edges : tuple of tuple of float, default=()
        As for :class:`BinnedEmbedding`.
    """

    def output_counts(self, n_inputs: int) -> list[int]:
        return [len(edges) - 1 for edges in self.edges]

    def buffers(self, n_inputs: int) -> dict[str, int]:
        return {"out": self.n_outputs(n_inputs), "delta": n_inputs}

    def bins(self, dtype: DTypeLike) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
        """Return for each output: its column, bin's start, 1 / width, and limits."""
        return bins_between(self.edges, np.dtype(dtype))

    def forward(
        self, params: Views, x: Array, buffers: Buffers, rng: Generator | None = None
    ) -> Array:
        column, low, inverse_width, smallest, largest = self.bins(x.dtype)
        out = np.take(x, column, axis=1, out=buffers["out"], mode="clip")
        out -= low
        out *= inverse_width
        np.maximum(out, smallest, out=out)
        return np.minimum(out, largest, out=out)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        column, _, inverse_width, smallest, largest = self.bins(x.dtype)
        inside = (buffers["out"] > smallest) & (buffers["out"] < largest)
        delta = delta * inside * inverse_width
        starts = np.searchsorted(column, np.arange(len(self.edges)))
        np.add.reduceat(delta, starts, axis=1, out=buffers["delta"])
        return buffers["delta"]


@lru_cache(maxsize=16)
def bins_between(
    edges: Edges, dtype: np.dtype[Any]
) -> tuple[NDArray[np.intp], Array, Array, Array, Array]:
    """Return column, start, 1 / width (0 if empty) and limits of the bins of all columns."""
    n_bins = np.array([len(one) - 1 for one in edges], dtype=np.intp)
    column = np.repeat(np.arange(len(edges)), n_bins)
    low = np.concatenate([one[:-1] for one in edges]).astype(dtype)
    width = np.concatenate([np.diff(one) for one in edges]).astype(dtype)
    inverse_width = np.divide(1, width, out=np.zeros_like(width), where=width > 0)
    first = np.cumsum(n_bins) - n_bins
    last = first + np.add.reduceat(width > 0, first, dtype=np.intp) - 1
    smallest, largest = np.zeros_like(low), np.ones_like(low)
    smallest[first], largest[last] = -1, 2
    return column, low, inverse_width, smallest, largest


class BinGrid:
    """Finds the bins of numbers, for many columns at once and without a search.

    The range between the bins of a column is divided into equal cells. Each cell knows how many
    of the edges between bins lie in the cells below it; the edges in the cell itself are
    compared with the number. A cell holds one edge at most if no two edges are closer than
    1 / ``N_CELLS`` of the range, as those of estimators are.

    Parameters
    ----------
    edges : tuple of tuple of float
        The edges of the bins of each column, equally many of each.
    dtype : dtype
        The dtype of the numbers.
    """

    N_CELLS = 1024
    #: A limit of the factor from numbers to cells, so that no product overflows in float32.
    LARGEST_SCALE = 1e20

    def __init__(self, edges: Edges, dtype: np.dtype[Any]) -> None:
        n_columns, n_bins = len(edges), len(edges[0]) - 1
        # No number is above NaN, which follows the last edge of a column.
        self._inner = np.full((n_columns, n_bins), np.nan, dtype)
        # One edge or none between the bins has no range, and may be in a cell of any size.
        self._low, self._scale = np.zeros(n_columns, dtype), np.ones(n_columns, dtype)
        for column, of_column in enumerate(edges):
            inner = np.unique(np.array(of_column, dtype))[1:-1]
            self._inner[column, : inner.size] = inner
            if inner.size > 1:
                per_cell = (inner[-1] - inner[0]) / self.N_CELLS
                self._low[column] = inner[0]
                self._scale[column] = 1 / max(per_cell, 1 / self.LARGEST_SCALE)
        # Two more cells are for the numbers beyond the edges.
        self._first_cells = np.arange(n_columns, dtype=np.int32) * (self.N_CELLS + 2) + 1
        self._first_bins = np.arange(n_columns, dtype=np.int32) * n_bins
        self._bins, self._most_edges = self._fill_cells()

    def _fill_cells(self) -> tuple[NDArray[np.int32], int]:
        """Return the lowest bin of each cell, and the largest number of edges in a cell."""
        n_columns = self._low.size
        inner = self._inner.T
        cells = self._cells(np.where(np.isfinite(inner), inner, 0))[np.isfinite(inner)]
        counts = np.bincount(cells, minlength=n_columns * (self.N_CELLS + 2))
        counts = counts.reshape(n_columns, -1)
        lowest = np.cumsum(counts, axis=1) - counts + self._first_bins[:, np.newaxis]
        return lowest.ravel().astype(np.int32), int(counts.max())

    def _cells(self, x: Array) -> NDArray[np.int32]:
        """Return the cell of each number. It never falls when the number rises."""
        place = np.subtract(x, self._low)
        place *= self._scale
        np.clip(place, -1, self.N_CELLS, out=place)
        cells = place.astype(np.int32)
        cells += self._first_cells
        return cells

    def bins(self, x: Array) -> NDArray[np.int32]:
        """Return the place of each number's bin among the bins of all columns.

        Parameters
        ----------
        x : ndarray of shape (n_rows, n_columns)
        """
        # NaN, whose cell is not defined, gets any bin.
        bins = self._bins.take(self._cells(x), mode="clip")
        inner = self._inner.ravel()
        for _ in range(self._most_edges):
            bins += x >= inner.take(bins)
        return bins


@lru_cache(maxsize=16)
def bin_grid(edges: Edges, dtype: np.dtype[Any]) -> BinGrid:
    """Return the grid that finds the bins of numbers of a dtype."""
    return BinGrid(edges, dtype)


@lru_cache(maxsize=16)
def lower_triangle(size: int, dtype: np.dtype[Any]) -> Array:
    """Return a matrix with ones on and below the diagonal: its product is a running sum."""
    return np.tri(size, dtype=dtype)


@dataclass(frozen=True)
class MappedPiecewiseLinear(MappedFeatures, BinnedEmbedding):
    """Each number becomes itself and a learned linear map of its piecewise-linear outputs.

    :class:`PiecewiseLinear` computes these outputs. Gorishniy, Rubachev and
    Babenko (2022), section 3.4 on top of equation 1; the number itself is our addition. A bin's
    row of the map is added when x crosses the bin. So the sum of the rows before an edge is the
    value at this edge, and between two edges the value is interpolated, which reads two rows
    instead of all.

    Parameters
    ----------
    edges : tuple of tuple of float, default=()
        As for :class:`BinnedEmbedding`, and equally many of each column (see
        :func:`of_equal_length`).
    size : int >= 2, default=16
        The number of outputs of each input number; the first of them is the input itself.
    """

    edges: Annotated[Edges, EQUALLY_MANY_EDGES] = ()
    size: Annotated[int, AT_LEAST_TWO] = 16

    @property
    def n_features(self) -> int:
        return len(self.edges[0]) - 1

    @property
    def encoding(self) -> PiecewiseLinear:
        """The layer whose outputs are the features."""
        return PiecewiseLinear(self.edges)

    def buffers(self, n_inputs: int) -> dict[str, int]:
        return {**super().buffers(n_inputs), "bin": n_inputs, "share": n_inputs}

    def mapped(self, params: Views, x: Array, buffers: Buffers) -> Array:
        self._locate(x, buffers["bin"], buffers["share"])
        at_edges = np.zeros((len(self.edges), self.n_features + 1, self.size - 1), x.dtype)
        running_sum = lower_triangle(self.n_features, x.dtype)
        np.matmul(running_sum, params.map, out=at_edges[:, 1:])
        between = self._interpolation(buffers) @ at_edges.reshape(-1, self.size - 1)
        return by_number(between, x)

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        super().backward_params(params, grads, x, delta, buffers)
        of_edges = self._interpolation(buffers).T @ delta[:, :, 1:].reshape(-1, self.size - 1)
        of_edges = of_edges.reshape(len(self.edges), -1, self.size - 1)
        # A row of the map is part of the values at all later edges.
        running_sum = lower_triangle(self.n_features, of_edges.dtype)
        np.matmul(running_sum.T, of_edges[:, 1:], out=grads.map)

    def mapped_backward_inputs(
        self, params: Views, x: Array, delta: Array, buffers: Buffers
    ) -> Array:
        bins, share = buffers["bin"].astype(np.int32), buffers["share"]
        rise = params.map.reshape(-1, self.size - 1)[bins]
        _, _, inverse_width, *_ = bins_between(self.edges, x.dtype)
        slope = inverse_width[bins] * ((share > -1) & (share < 2))
        return np.multiply(np.einsum("ndk,ndk->nd", delta, rise), slope, out=buffers["delta"])

    def _locate(self, x: Array, bins: Array, share: Array) -> None:
        """Write the bin of each number, and the share of its width that is below the number.

        The bins of a column follow those of the column before it.
        """
        flat = bin_grid(self.edges, x.dtype).bins(x)
        bins[...] = flat
        _, low, inverse_width, *_ = bins_between(self.edges, x.dtype)
        np.subtract(x, low.take(flat), out=share)
        share *= inverse_width.take(flat)
        # Farther than one width of a bin beyond the ends, the value stays the same.
        np.clip(share, -1, 2, out=share)

    def _interpolation(self, buffers: Buffers) -> sparse.csr_array:
        """Return a sparse matrix that maps values at all edges to values at the numbers."""
        share = buffers["share"].ravel()
        # Each column has one more edge than bins.
        before = buffers["bin"].astype(np.int32) + np.arange(len(self.edges), dtype=np.int32)
        places = np.repeat(before.ravel(), 2)
        places[1::2] += 1
        weights = np.empty(places.size, share.dtype)
        np.subtract(1, share, out=weights[::2])
        weights[1::2] = share
        rows = np.arange(0, places.size + 1, 2)
        shape = share.size, len(self.edges) * (self.n_features + 1)
        return sparse.csr_array((weights, places, rows), shape=shape)


def of_equal_length(edges: Edges) -> Edges:
    """Return the edges of each column, the last one repeated to the length of the longest."""
    longest = max(map(len, edges), default=0)
    return tuple(one + one[-1:] * (longest - len(one)) for one in edges)


#: Embeddings of numbers by name.
NUMERIC_EMBEDDINGS: dict[str, type[NumericEmbedding]] = {
    "periodic": Periodic,
    "piecewise_linear": MappedPiecewiseLinear,
}
