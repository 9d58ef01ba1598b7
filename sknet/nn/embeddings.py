"""Layers at the input: embeddings of categories and of numbers."""

import math
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
from scipy import sparse

from sknet.nn.layers import Layer, Parameter


class ColumnEmbedding(Layer):
    """A layer that turns each of its input columns into several of its own."""

    def output_counts(self, n_inputs):
        """Return the number of outputs of each input column, whose outputs are neighbours."""
        raise NotImplementedError

    def n_outputs(self, n_inputs):
        return sum(self.output_counts(n_inputs))


@dataclass(frozen=True)
class Columns(ColumnEmbedding):
    """Each stretch of columns through a layer of its own, side by side.

    ``parts`` are pairs of a number of columns and a layer, or None for columns that pass.
    """

    parts: tuple[tuple[int, ColumnEmbedding | None], ...]

    def output_counts(self, n_inputs):
        return [
            count
            for width, layer in self.parts
            for count in ([1] * width if layer is None else layer.output_counts(width))
        ]

    def parameters(self, n_inputs):
        return {
            f"{i}.{name}": parameter
            for i, (width, layer) in enumerate(self.parts)
            if layer is not None
            for name, parameter in layer.parameters(width).items()
        }

    def buffers(self, n_inputs):
        inner = {
            f"{i}.{name}": columns
            for i, (width, layer) in enumerate(self.parts)
            if layer is not None
            for name, columns in layer.buffers(width).items()
        }
        return {**inner, "out": self.n_outputs(n_inputs), "delta": n_inputs}

    def initialize(self, params, rng, X):
        for i, columns, _, layer in self.walk():
            if layer is not None:
                part = None if X is None else X[:, slice(*columns)]
                layer.initialize(named(vars(params), i), rng, part)

    def forward(self, params, x, buffers, rng=None):
        for i, columns, outputs, layer in self.walk():
            part = x[:, slice(*columns)]
            if layer is not None:
                inner = vars(named(buffers, i))
                part = layer.forward(named(vars(params), i), part, inner, rng)
            buffers["out"][:, slice(*outputs)] = part
        return buffers["out"]

    def backward(self, params, grads, x, delta, buffers):
        wanted = buffers.get("delta")
        for i, columns, outputs, layer in self.walk():
            part = np.ascontiguousarray(delta[:, slice(*outputs)])
            if layer is not None:
                inner = vars(named(buffers, i))
                if wanted is None:
                    inner.pop("delta", None)
                part = layer.backward(
                    named(vars(params), i),
                    None if grads is None else named(vars(grads), i),
                    x[:, slice(*columns)],
                    part,
                    inner,
                )
            if wanted is not None:
                wanted[:, slice(*columns)] = part
        return wanted

    def walk(self):
        """Yield number, input columns, output columns and layer of each part."""
        start = out = 0
        for i, (width, layer) in enumerate(self.parts):
            out_width = width if layer is None else layer.n_outputs(width)
            yield i, (start, start + width), (out, out + out_width), layer
            start, out = start + width, out + out_width


def named(items, i):
    """Return the entries of part ``i``."""
    prefix = f"{i}."
    return SimpleNamespace(
        **{k.removeprefix(prefix): v for k, v in items.items() if k.startswith(prefix)}
    )


@dataclass(frozen=True)
class Embedding(ColumnEmbedding):
    """A learned vector for each level of a category: the product of a one-hot row and a table.

    The input is one column of level numbers, of which ``n_levels`` stands for none of the
    levels and gets the mean vector. Guo and Berkhahn (2016).
    """

    n_levels: int
    size: int

    def output_counts(self, n_inputs):
        return [self.size] * n_inputs

    def parameters(self, n_inputs):
        return {"table": Parameter((self.n_levels, self.size))}

    def buffers(self, n_inputs):
        return {"delta": n_inputs}

    def initialize(self, params, rng, X):
        params.table[...] = rng.normal(size=params.table.shape)

    def forward(self, params, x, buffers, rng=None):
        table = np.vstack([params.table, params.table.mean(axis=0)])
        return table[x[:, 0].astype(np.intp)]

    def backward(self, params, grads, x, delta, buffers):
        if grads is not None:
            sums = self._one_hot(x, delta.dtype).T @ delta
            grads.table[...] = sums[:-1]
            # The mean vector belongs to all levels alike.
            grads.table += sums[-1] * (1 / self.n_levels)
        if "delta" not in buffers:
            return None
        # A level number has no derivative.
        buffers["delta"].fill(0)
        return buffers["delta"]

    def _one_hot(self, x, dtype):
        """Return a sparse matrix with a one in the column of each row's level."""
        n_rows = x.shape[0]
        levels, ones = x[:, 0].astype(np.int32), np.ones(n_rows, dtype)
        shape = n_rows, self.n_levels + 1
        return sparse.csr_array((ones, levels, np.arange(n_rows + 1)), shape=shape)


class MappedFeatures(ColumnEmbedding):
    """Each number x becomes x and a learned linear map of features of x.

    A subclass has the features, ``n_features`` of each number, and ``size``, the number of a
    number's outputs, itself included.
    """

    n_features: int
    size: int

    def output_counts(self, n_inputs):
        return [self.size] * n_inputs

    def parameters(self, n_inputs):
        return {
            "map": Parameter((n_inputs, self.n_features, self.size - 1)),
            "offset": Parameter((n_inputs, self.size - 1)),
        }

    def buffers(self, n_inputs):
        return {"out": n_inputs * self.size, "delta": n_inputs}

    def initialize(self, params, rng, X):
        bound = 1 / math.sqrt(self.n_features)
        params.map[...] = rng.uniform(-bound, bound, params.map.shape)
        params.offset[...] = rng.uniform(-bound, bound, params.offset.shape)

    def mapped(self, params, x, buffers):
        """Return the mapped features, (rows, numbers, size - 1)."""
        raise NotImplementedError

    def mapped_backward(self, params, grads, x, delta, buffers):
        """Fill ``grads`` but for the offset; return the gradient of ``x`` if it is wanted."""
        raise NotImplementedError

    def forward(self, params, x, buffers, rng=None):
        out = by_number(buffers["out"], x)
        out[:, :, 0] = x
        np.add(self.mapped(params, x, buffers), params.offset, out=out[:, :, 1:])
        return buffers["out"]

    def backward(self, params, grads, x, delta, buffers):
        delta = by_number(delta, x)
        if grads is not None:
            np.sum(delta[:, :, 1:], axis=0, out=grads.offset)
        inputs = self.mapped_backward(params, grads, x, delta[:, :, 1:], buffers)
        if inputs is not None:
            inputs += delta[:, :, 0]
        return inputs


def by_number(array, x):
    """Return a view of shape (rows, numbers of x, columns of a number)."""
    return array.reshape(*x.shape, -1)


@dataclass(frozen=True)
class Periodic(MappedFeatures):
    """Each number x becomes x and a linear map of cos(2 pi (w x + b)), all learned.

    "PBLD" of Holzmueller, Grinsztajn and Steinwart, "Better by Default" (2024), section 3,
    after Gorishniy, Rubachev and Babenko (2022), section 3.3. ``size`` counts the outputs of
    a number, itself included.
    """

    n_frequencies: int = 16
    size: int = 4
    deviation: float = 0.3

    @property
    def n_features(self):
        return self.n_frequencies

    def parameters(self, n_inputs):
        return {
            "frequency": Parameter((n_inputs, self.n_frequencies)),
            "phase": Parameter((n_inputs, self.n_frequencies)),
            **super().parameters(n_inputs),
        }

    def buffers(self, n_inputs):
        waves = n_inputs * self.n_frequencies
        return {**super().buffers(n_inputs), "angle": waves, "wave": waves}

    def initialize(self, params, rng, X):
        params.frequency[...] = rng.normal(0, self.deviation, params.frequency.shape)
        params.phase[...] = rng.uniform(-0.5, 0.5, params.phase.shape)
        super().initialize(params, rng, X)

    def mapped(self, params, x, buffers):
        angle, wave = by_number(buffers["angle"], x), by_number(buffers["wave"], x)
        np.multiply(x[:, :, np.newaxis], params.frequency, out=angle)
        angle += params.phase
        angle *= 2 * math.pi
        np.cos(angle, out=wave)
        # One small product for each input column.
        return np.matmul(wave.transpose(1, 0, 2), params.map).transpose(1, 0, 2)

    def mapped_backward(self, params, grads, x, delta, buffers):
        angle, wave = by_number(buffers["angle"], x), by_number(buffers["wave"], x)
        through = delta.transpose(1, 0, 2)
        if grads is not None:
            np.matmul(wave.transpose(1, 2, 0), through, out=grads.map)
        # d cos(2 pi u) / du = -2 pi sin(2 pi u) with u = w x + b.
        np.sin(angle, out=angle)
        angle *= -2 * math.pi
        angle *= np.matmul(through, params.map.transpose(0, 2, 1)).transpose(1, 0, 2)
        if grads is not None:
            np.einsum("nd,ndk->dk", x, angle, out=grads.frequency)
            np.sum(angle, axis=0, out=grads.phase)
        if "delta" not in buffers:
            return None
        return np.einsum("ndk,dk->nd", angle, params.frequency, out=buffers["delta"])


@dataclass(frozen=True)
class PiecewiseLinear(ColumnEmbedding):
    """Each number becomes how far it reaches into each of its bins: 0 below, 1 above.

    Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning" (2022), equation 1. ``edges`` are the increasing bin edges of each column; where
    the last ones are equal, their bins are empty and stay zero. The first bin goes on below
    and the last one above, here by one width: far values must not explode in a narrow bin.
    """

    edges: tuple[tuple[float, ...], ...]

    def output_counts(self, n_inputs):
        return [len(edges) - 1 for edges in self.edges]

    def buffers(self, n_inputs):
        return {"out": self.n_outputs(n_inputs), "delta": n_inputs}

    def bins(self, dtype):
        """Return for each output: its column, bin's start, 1 / width, and limits."""
        return bins_between(self.edges, np.dtype(dtype))

    def forward(self, params, x, buffers, rng=None):
        column, low, inverse_width, smallest, largest = self.bins(x.dtype)
        out = np.take(x, column, axis=1, out=buffers["out"], mode="clip")
        out -= low
        out *= inverse_width
        np.maximum(out, smallest, out=out)
        return np.minimum(out, largest, out=out)

    def backward(self, params, grads, x, delta, buffers):
        if "delta" not in buffers:
            return None
        column, _, inverse_width, smallest, largest = self.bins(x.dtype)
        inside = (buffers["out"] > smallest) & (buffers["out"] < largest)
        delta = delta * inside * inverse_width
        starts = np.searchsorted(column, np.arange(len(self.edges)))
        return np.add.reduceat(delta, starts, axis=1, out=buffers["delta"])


@lru_cache(maxsize=16)
def bins_between(edges, dtype):
    """Return column, start, 1 / width (0 if empty) and limits of the bins of all columns."""
    n_bins = [len(one) - 1 for one in edges]
    column = np.repeat(np.arange(len(edges)), n_bins)
    low = np.concatenate([one[:-1] for one in edges]).astype(dtype)
    width = np.concatenate([np.diff(one) for one in edges]).astype(dtype)
    inverse_width = np.divide(1, width, out=np.zeros_like(width), where=width > 0)
    first = np.cumsum(n_bins) - n_bins
    last = first + np.add.reduceat(width > 0, first, dtype=np.intp) - 1
    smallest, largest = np.zeros_like(low), np.ones_like(low)
    smallest[first], largest[last] = -1, 2
    return column, low, inverse_width, smallest, largest


@lru_cache(maxsize=16)
def inner_edges(edges, dtype):
    """Return the edges between the bins of each column."""
    return [np.unique(np.array(one, dtype))[1:-1] for one in edges]


@dataclass(frozen=True)
class MappedPiecewiseLinear(MappedFeatures):
    """Each number becomes itself and a learned linear map of how far it reaches into its bins.

    Gorishniy, Rubachev and Babenko (2022), section 3.4 on top of equation 1; the number itself
    is ours. All columns have equally many edges: see :func:`of_equal_length`.

    A bin's row of the map is what crossing it adds, so the sum of the rows before an edge is
    the value there, and between two edges it is interpolated: two rows instead of all.
    """

    edges: tuple[tuple[float, ...], ...]
    size: int = 16

    @property
    def n_features(self):
        return len(self.edges[0]) - 1

    @property
    def encoding(self):
        """The layer whose outputs are the features."""
        return PiecewiseLinear(self.edges)

    def buffers(self, n_inputs):
        return {**super().buffers(n_inputs), "bin": n_inputs, "share": n_inputs}

    def mapped(self, params, x, buffers):
        self._locate(x, buffers["bin"], buffers["share"])
        at_edges = np.zeros((len(self.edges), self.n_features + 1, self.size - 1), x.dtype)
        np.cumsum(params.map, axis=1, out=at_edges[:, 1:])
        between = self._interpolation(buffers) @ at_edges.reshape(-1, self.size - 1)
        return by_number(between, x)

    def mapped_backward(self, params, grads, x, delta, buffers):
        if grads is not None:
            of_edges = self._interpolation(buffers).T @ delta.reshape(-1, self.size - 1)
            of_edges = of_edges.reshape(len(self.edges), -1, self.size - 1)
            # A row of the map is part of the values at all later edges.
            grads.map[...] = np.cumsum(of_edges[:, :0:-1], axis=1)[:, ::-1]
        if "delta" not in buffers:
            return None
        bins, share = self._flat_bins(buffers["bin"]), buffers["share"]
        rise = params.map.reshape(-1, self.size - 1)[bins]
        _, _, inverse_width, *_ = self.encoding.bins(x.dtype)
        slope = inverse_width[bins] * ((share > -1) & (share < 2))
        return np.multiply(np.einsum("ndk,ndk->nd", delta, rise), slope, out=buffers["delta"])

    def _locate(self, x, bins, share):
        """Write the bin of each number, and the share of it that the number reaches into."""
        for j, edges in enumerate(inner_edges(self.edges, x.dtype)):
            bins[:, j] = np.searchsorted(edges, x[:, j], side="right")
        _, low, inverse_width, *_ = self.encoding.bins(x.dtype)
        flat = self._flat_bins(bins)
        np.subtract(x, low[flat], out=share)
        share *= inverse_width[flat]
        # More than a bin's width beyond the ends nothing changes any more.
        np.clip(share, -1, 2, out=share)

    def _flat_bins(self, bins):
        """Return the place of each number's bin among the bins of all columns."""
        starts = np.arange(len(self.edges), dtype=np.int32) * self.n_features
        return bins.astype(np.int32) + starts

    def _interpolation(self, buffers):
        """Return a sparse matrix from the values at all edges to those at the numbers."""
        share = buffers["share"].ravel()
        # Each column has one more edge than bins.
        before = self._flat_bins(buffers["bin"]) + np.arange(len(self.edges), dtype=np.int32)
        places = np.repeat(before.ravel(), 2)
        places[1::2] += 1
        weights = np.empty(places.size, share.dtype)
        np.subtract(1, share, out=weights[::2])
        weights[1::2] = share
        rows = np.arange(0, places.size + 1, 2)
        shape = share.size, len(self.edges) * (self.n_features + 1)
        return sparse.csr_array((weights, places, rows), shape=shape)


def of_equal_length(edges):
    """Return the edges of each column, the last one repeated to the length of the longest."""
    longest = max(map(len, edges), default=0)
    return tuple(one + one[-1:] * (longest - len(one)) for one in edges)


NUMERIC_EMBEDDINGS = {"periodic": Periodic, "piecewise_linear": MappedPiecewiseLinear}
