"""Embeddings of numbers: layers that turn each number into several.

To add an embedding of numbers, derive a frozen dataclass from :class:`NumericEmbedding` and add
a line to :data:`NUMERIC_EMBEDDINGS`. ``docs/new_rules.md`` lists the other places to change.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.random import Generator

from sknet.nn.activations import Draws, small_uniform
from sknet.nn.columns import ColumnEmbedding, Columns
from sknet.nn.kernels import Array, Edges, Interpolation, Views, cosine, lower_triangle, sine
from sknet.nn.layers import Buffers, Parameter, WorkArrays
from sknet.nn.rules import NOT_NEGATIVE, POSITIVE_INT, Interval
from sknet.nn.sets import Signed


class NumericEmbedding(ColumnEmbedding):
    """An embedding of numeric columns, for the estimators' ``numeric_embedding``."""

    #: Whether the layer needs bins, whose edges are quantiles of the training data.
    needs_bins: ClassVar[bool] = False
    #: Whether a value that occurs in far more rows than the values around it do, such as zero,
    #: needs an indicator, because the layer is a smooth function of the number.
    needs_indicators: ClassVar[bool] = False
    #: Whether the first output of each column is the number itself.
    keeps_numbers: ClassVar[bool] = False

    def with_bins(self, edges: Edges) -> ColumnEmbedding:
        """Return the layer with the bin edges of each column.

        Columns may have different numbers of bins. A layer that needs no bins, or already has
        some, is returned unchanged.
        """
        return self

    def of_columns(self, positions: Sequence[int]) -> Self:
        """Return the layer for some of the columns. By default, it is the layer itself."""
        return self

    def reduced(self, share: float) -> Self:
        """Return a layer with about this share of the outputs, for many numeric columns."""
        return self

    def rising(self) -> "NumericEmbedding":
        """Return the embedding for columns with a constraint; its outputs never fall."""
        return RisingPiecewiseLinear()

    def constrained(self, signs: tuple[int, ...], edges: Edges = ()) -> ColumnEmbedding:
        """Return a layer whose outputs never fall for columns with a monotonic constraint.

        By default, columns with a constraint pass through the layer that :meth:`rising`
        returns, and the others through this layer. ``signs`` has 1, -1 or 0 (no constraint) for
        each numeric column. ``edges`` has the bin edges of all columns, if one of the two
        layers needs bins.
        """
        parts: list[tuple[tuple[int, ...], ColumnEmbedding]] = []
        for layer, chosen in (self, np.equal), (self.rising(), np.not_equal):
            positions = tuple(np.flatnonzero(chosen(signs, 0)).tolist())
            own = layer.of_columns(positions)
            bins = tuple(edges[i] for i in positions) if own.needs_bins else ()
            if positions:
                parts.append((positions, own.with_bins(bins) if own.needs_bins else own))
        return parts[0][1] if len(parts) == 1 else Columns(tuple(parts))


#: The smallest number of waves for each numeric column that :meth:`Periodic.reduced` leaves.
FEWEST_FREQUENCIES = 4
#: The allowed values of ``size``: one output is the number itself, and at least one is mapped.
AT_LEAST_TWO = Interval(Integral, 2)


class MappedFeatures(NumericEmbedding):
    """Each number x becomes x and a learned linear map of features of x.

    A subclass has ``n_features``, the number of features of x, and ``size``, the number of
    outputs including x. It also defines the other methods of a layer.
    """

    size: int
    keeps_numbers: ClassVar[bool] = True

    @property
    @abstractmethod
    def n_features(self) -> int:
        """The number of features computed for each numeric column."""

    def reduced_size(self, share: float) -> int:
        """Return about this share of the number of outputs, but at least two."""
        return max(2, round(self.size * share))

    def rising(self) -> NumericEmbedding:
        """Return a :class:`RisingPiecewiseLinear` with the same number of outputs."""
        return RisingPiecewiseLinear(size=self.size)

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        shape = n_inputs, self.n_features, self.size - 1
        return {"map": Parameter(shape), "offset": Parameter((n_inputs, self.size - 1))}

    def initialize(self, params: Views, rng: Generator) -> None:
        for array in params.map, params.offset:
            array[...] = small_uniform(rng, array.shape, self.n_features)


@dataclass(frozen=True)
class Periodic(MappedFeatures):
    """Each number x becomes x and a learned linear map of cos(2 pi (w x + b)).

    The frequencies w and the phases b are learned, too. This is "PBLD" of Holzmueller,
    Grinsztajn and Steinwart, "Better by Default" (2024), section 3, after Gorishniy, Rubachev
    and Babenko (2022), section 3.3.

    Parameters
    ----------
    n_frequencies : int >= 1, default=16
        The number of waves for each input number.
    size : int >= 2, default=4
        The number of outputs for each input number. The first output is the input itself.
    deviation : float >= 0, default=0.3
        The standard deviation of the initial frequencies w, in cycles per unit of the scaled
        number.
    """

    words: ClassVar[str] = "periodic waves"

    n_frequencies: Annotated[int, POSITIVE_INT] = 16
    size: Annotated[int, AT_LEAST_TWO] = 4
    deviation: Annotated[float, NOT_NEGATIVE] = 0.3
    needs_indicators: ClassVar[bool] = True

    @property
    def n_features(self) -> int:
        return self.n_frequencies

    def reduced(self, share: float) -> Self:
        fewest = min(self.n_frequencies, FEWEST_FREQUENCIES)
        n_frequencies = max(fewest, round(self.n_frequencies * share))
        return replace(self, n_frequencies=n_frequencies, size=self.reduced_size(share))

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        of_waves = Parameter((n_inputs, self.n_frequencies))
        return {"frequency": of_waves, "phase": of_waves, **super().parameters(n_inputs)}

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {
            "out": n_inputs * self.size,
            "line": n_inputs * 2,
            **dict.fromkeys(("angle", "wave", "wave_gradient"), n_inputs * self.n_frequencies),
            "out_gradient": n_inputs * (self.size - 1),
            "delta": n_inputs,
        }

    def initialize(self, params: Views, rng: Generator) -> None:
        params.frequency[...] = rng.normal(0, self.deviation, params.frequency.shape)
        params.phase[...] = rng.uniform(-0.5, 0.5, params.phase.shape)
        super().initialize(params, rng)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        line, angle, wave, out = _by_column(x, buffers, "line", "angle", "wave", "out")
        line[:, 0], line[:, 1] = x.T, 1
        factors = np.empty((*params.frequency.shape, 2), params.frequency.dtype)
        np.multiply(params.frequency, 2 * math.pi, out=factors[:, :, 0])
        np.multiply(params.phase, 2 * math.pi, out=factors[:, :, 1])
        # One small product for each input column. Its arrays have a row for each wave.
        np.matmul(factors, line, out=angle)
        cosine(angle, out=wave)
        out[:, 0] = x.T
        np.matmul(params.map.transpose(0, 2, 1), wave, out=out[:, 1:])
        out[:, 1:] += params.offset[:, :, np.newaxis]
        return out.reshape(-1, x.shape[0]).T

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        """Return ``delta`` for each number; turn the buffer "angle" into its own gradient."""
        delta = self.by_column(delta)
        names = "angle", "wave_gradient", "out_gradient"
        angle, gradient, of_outputs = _by_column(x, buffers, *names)
        of_outputs[...] = delta[:, :, 1:].transpose(1, 2, 0)
        np.matmul(params.map, of_outputs, out=gradient)
        # The derivative of cos is -sin. The minus sign follows later, on smaller arrays.
        np.multiply(sine(angle), gradient, out=angle)
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        line, of_outputs = _by_column(x, buffers, "line", "out_gradient")
        angle, wave = _by_column(x, buffers, "angle", "wave")
        np.matmul(wave, of_outputs.transpose(0, 2, 1), out=grads.map)
        np.sum(of_outputs, axis=2, out=grads.offset)
        of_factors = -2 * math.pi * np.matmul(angle, line.transpose(0, 2, 1))
        grads.frequency[...], grads.phase[...] = of_factors[:, :, 0], of_factors[:, :, 1]

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        (angle,) = _by_column(x, buffers, "angle")
        inputs = np.einsum("dkn,dk->nd", angle, params.frequency, out=buffers["delta"])
        inputs *= -2 * math.pi
        inputs += delta[:, :, 0]
        return inputs


def _by_column(x: Array, buffers: Buffers, *names: str) -> list[Array]:
    """Return work arrays in the shape (columns of x, work columns of each, rows)."""
    return [buffers[name].reshape(x.shape[1], -1, x.shape[0]) for name in names]


def of_equal_length(edges: Edges) -> Edges:
    """Return the same number of edges for all columns, by repeating the last edge of each."""
    longest = max(map(len, edges), default=0)
    return tuple(one + one[-1:] * (longest - len(one)) for one in edges)


@dataclass(frozen=True)
class MappedPiecewiseLinear(MappedFeatures):
    """Each number becomes itself and a learned linear map of features, one for each bin.

    A feature is 0 below its bin, 1 above it, and linear inside. The feature of the first bin
    continues below the bin, and that of the last bin above it, but only for one width of the
    bin: far from a narrow bin, it would become very large. Gorishniy, Rubachev and Babenko, "On
    Embeddings for Numerical Features in Tabular Deep Learning" (2022), apply the linear map
    (section 3.4) to these features (equation 1). The number itself is our addition.

    A bin adds its row of the map once the number is above the bin. So the value at an edge is
    the sum of the rows of the bins below it. Between two edges, the value is interpolated,
    which reads two rows instead of all.

    Parameters
    ----------
    edges : tuple of tuple of float, default=()
        The increasing bin edges of each column, in units of the scaled numbers. Each column has
        at least two edges, and all columns have equally many (see :func:`of_equal_length`).
        If the last edges of a column are equal, the bins between them are empty. If ``edges``
        is empty, an estimator fills in quantiles of the training data.
    size : int >= 2, default=16
        The number of outputs for each input number. The first output is the input itself.
    """

    words: ClassVar[str] = "piecewise linear"

    edges: Edges = ()
    size: Annotated[int, AT_LEAST_TWO] = 16
    needs_bins: ClassVar[bool] = True

    @property
    def n_features(self) -> int:
        return len(self.edges[0]) - 1

    def with_bins(self, edges: Edges) -> ColumnEmbedding:
        """Return the layer with the bin edges of each column.

        A column with a single bin, such as a column of two values, is passed on unchanged,
        since its outputs would be linear in the number within the bin.

        Raises
        ------
        ValueError
            If the layer already has edges for a different number of columns.
        """
        several = tuple(i for i, one in enumerate(edges) if len(one) > 2)
        if self.edges or len(several) == len(edges):
            return self._filled(edges)
        if not several:
            return Columns(((range(len(edges)), None),))
        layer = self._filled(tuple(edges[i] for i in several))
        single = tuple(i for i, one in enumerate(edges) if len(one) <= 2)
        return Columns(((several, layer), (single, None)))

    def _filled(self, edges: Edges) -> Self:
        """Return the layer with the bin edges of each column, as ``with_bins`` does."""
        if not self.edges:
            return replace(self, edges=of_equal_length(edges))
        if len(self.edges) != len(edges):
            raise ValueError(
                f"The edges of {type(self).__name__} must have length {len(edges)}, with an "
                "entry for each numeric column, or for each copy of it if members have copies, "
                f"got length {len(self.edges)}. Leave edges out to have them computed."
            )
        return self

    def of_columns(self, positions: Sequence[int]) -> Self:
        edges = tuple(self.edges[i] for i in positions) if self.edges else ()
        return replace(self, edges=edges)

    def reduced(self, share: float) -> Self:
        return replace(self, size=self.reduced_size(share))

    def constrained(self, signs: tuple[int, ...], edges: Edges = ()) -> ColumnEmbedding:
        """Return one layer for all columns, which differ only in the sets of their maps."""
        return RisingPiecewiseLinear(self.edges, self.size, signs).with_bins(edges)

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {
            "interpolation": lambda n_rows, dtype: Interpolation(self.edges, n_rows, dtype),
            # The outputs at all edges, with zeros in place of the number.
            "at_edges": lambda _, dtype: np.zeros((*np.shape(self.edges), self.size), dtype),
            "delta": n_inputs,
        }

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        interpolation, at_edges = buffers["interpolation"], buffers["at_edges"]
        interpolation.locate(x)
        np.matmul(lower_triangle(self.n_features, x.dtype), params.map, out=at_edges[:, 1:, 1:])
        at_edges[:, 1:, 1:] += params.offset[:, np.newaxis]
        at_edges[:, 0, 1:] = params.offset
        out = interpolation.values(at_edges).reshape(x.shape[0], -1)
        self.by_column(out)[:, :, 0] = x
        return out

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        of_edges = buffers["interpolation"].backward(delta.reshape(-1, self.size))[:, :, 1:]
        # The two weights of a number sum to one, so its value includes the whole offset.
        np.sum(of_edges, axis=1, out=grads.offset)
        # A row of the map is part of the values at all later edges.
        running_sum = lower_triangle(self.n_features, of_edges.dtype)
        np.matmul(running_sum.T, of_edges[:, 1:], out=grads.map)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        interpolation, delta = buffers["interpolation"], self.by_column(delta)
        rise = params.map.reshape(-1, self.size - 1)[interpolation.bins]
        inputs = np.einsum("ndk,ndk->nd", delta[:, :, 1:], rise, out=buffers["delta"])
        inputs *= interpolation.slopes()
        inputs += delta[:, :, 0]
        return inputs


@dataclass(frozen=True)
class RisingPiecewiseLinear(MappedPiecewiseLinear):
    """A :class:`MappedPiecewiseLinear` with outputs that rise with some or all columns.

    The outputs of a number rise if all entries of its map are at least zero. Each output is the
    value at the lower edge of the number's bin, plus the share of the bin that lies below the
    number times the bin's entry in the map. So no output falls, even after rounding. An
    interpolation between two values might fall.

    Parameters
    ----------
    edges, size
        As for :class:`MappedPiecewiseLinear`.
    signs : tuple of int, default=()
        For each numeric column: 0 if its outputs are free, and 1 or -1 if they rise. With -1,
        it is the next layer that makes predictions fall. If ``signs`` is empty, all outputs
        rise.
    """

    signs: tuple[int, ...] = ()

    def with_bins(self, edges: Edges) -> Self:
        """Return the layer with the bin edges of each column, even of those with one bin."""
        return self._filled(edges)

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        declared = super().parameters(n_inputs)
        within = Signed(tuple(map(abs, self.signs)) or (1,), axis=0)
        return {**declared, "map": replace(declared["map"], within=within)}

    def initialize(self, params: Views, rng: Generator) -> None:
        """Let each rising output rise by three over all bins, mostly within a few of them."""
        super().initialize(params, rng)
        rising = np.array(self.signs or (1,) * len(params.map)) != 0
        # Powers differ more from bin to bin than magnitudes, so the outputs differ more, too.
        rises = np.abs(params.map[rising]) ** 4
        params.map[rising] = 3 * rises / rises.sum(axis=1, keepdims=True)
        params.offset[rising] -= 1.5

    def buffers(self, n_inputs: int) -> WorkArrays:
        n_mapped = n_inputs * (self.size - 1)
        return {**super().buffers(n_inputs), "out": n_inputs * self.size, "mapped": n_mapped}

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        interpolation, at_edges = buffers["interpolation"], buffers["at_edges"]
        interpolation.locate(x)
        at_edges[:, 0, 1:], at_edges[:, 1:, 1:] = params.offset, params.map
        np.cumsum(at_edges, axis=1, out=at_edges)
        bins, out = interpolation.bins, self.by_column(buffers["out"])
        at_edges[:, :-1].reshape(-1, self.size).take(bins, axis=0, out=out, mode="clip")
        mapped = buffers["mapped"].reshape(*x.shape, -1)
        params.map.reshape(-1, self.size - 1).take(bins, axis=0, out=mapped, mode="clip")
        mapped *= interpolation.share_of_bin()[:, :, np.newaxis]
        out[:, :, 0] = x
        out[:, :, 1:] += mapped
        return buffers["out"]


#: Embeddings of numbers by name.
NUMERIC_EMBEDDINGS: dict[str, type[NumericEmbedding]] = {
    "periodic": Periodic,
    "piecewise_linear": MappedPiecewiseLinear,
}
