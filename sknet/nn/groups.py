"""Layers for groups of columns, each with its own network, whose outputs are summed.

A row holds the groups one after another: an array (groups, columns), flattened. With one
column in each group, the sum is a neural additive model (Agarwal et al., "Neural Additive
Models: Interpretable Machine Learning with Neural Nets", 2021). Each layer computes all groups
with one batched product. The last layer needs no class of its own: a sum of linear maps of the
groups is a linear map of the whole row, so it is a ``Dense`` or, for an ensemble, an
``EnsembleHead``. Each member of an ensemble has its own networks for all groups: a row holds
the groups of one member after those of another.

If groups interact in pairs, the output layer is a :class:`PairwiseHead`. A raw prediction is
then the sum of one function for each group, and of products of factors for each pair of groups.
The factors of a group are weighted sums of the units of its last hidden layer. So the raw
prediction is a sum of functions of at most two groups.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sknet.nn.activations import Activation, Draws, small_uniform
from sknet.nn.ensembles import EnsembleHead
from sknet.nn.kernels import Array, Rows, Views, stretches
from sknet.nn.layers import Blocks, Buffers, Layer, Parameter, WorkArrays
from sknet.nn.sets import ParameterSet

#: The positions of the columns of each group.
Groups: TypeAlias = tuple[tuple[int, ...], ...]


class Gathering:
    """Gathers the columns of groups into their places, and scatters the gradients back.

    Parameters
    ----------
    groups : tuple of tuple of int
    n_inputs : int
        The number of columns that the groups choose from.

    Attributes
    ----------
    columns : ndarray of int of shape (n_groups * width,)
        The column that is copied to each place; column 0 at the places of the padding.
    padding : ndarray of int
        The places that hold no column.
    """

    def __init__(self, groups: Groups, n_inputs: int) -> None:
        # One group after another, each padded to the length of the longest.
        columns = np.array([*zip_longest(*groups, fillvalue=-1)], dtype=np.intp).T.ravel()
        self.padding: NDArray[np.intp] = np.flatnonzero(columns < 0)
        self.columns: NDArray[np.intp] = np.maximum(columns, 0)
        # The places of the first column, then those of the second one, and so on.
        places = np.argsort(columns, kind="stable")[self.padding.size :]
        used, counts = np.unique(columns[places], return_counts=True)
        is_once = np.repeat(counts == 1, counts)
        self._once, self._place_of_once = used[counts == 1], places[is_once]
        self._shared, n_places = used[counts > 1], counts[counts > 1]
        self._places_of_shared, self._starts = places[~is_once], n_places.cumsum() - n_places
        self._all_once: bool = self._once.size == n_inputs

    def gather(self, x: Array, out: Array) -> Array:
        """Write the columns of the groups into ``out``, with zeros as padding."""
        # np.take refuses an ``out`` of another dtype; lbfgs computes in float64 from float32.
        np.take(x.astype(out.dtype, copy=False), self.columns, axis=1, out=out, mode="clip")
        out[:, self.padding] = 0
        return out

    def scatter(self, delta: Array, out: Array) -> Array:
        """Write the sum over the places of each column into ``out``."""
        if self._all_once:
            return np.take(delta, self._place_of_once, axis=1, out=out, mode="clip")
        out.fill(0)
        out[:, self._once] = delta[:, self._place_of_once]
        # For columns with one place, sums would take several times as long as the copies above.
        sums = np.add.reduceat(delta[:, self._places_of_shared], self._starts, axis=1)
        out[:, self._shared] = sums
        return out


#: The :class:`Gathering` of some groups, which is remembered and serves batches of any length.
gathering = lru_cache(maxsize=16)(Gathering)


@dataclass(frozen=True)
class GroupColumns(Layer):
    """Gathers the columns of each group, padded with zeros to equal length.

    Parameters
    ----------
    groups : tuple of tuple of int
        The positions of the columns of each group. A column may be in several groups or in
        none.
    """

    words: ClassVar[str] = "columns by group"

    groups: Groups

    def n_outputs(self, n_inputs: int) -> int:
        return len(self.groups) * max(map(len, self.groups))

    def buffers(self, n_inputs: int) -> WorkArrays:
        places = gathering(self.groups, n_inputs)
        return {"out": places.columns.size, "gathering": lambda *_: places, "delta": n_inputs}

    def forward(self, params: Views, x: Rows, buffers: Buffers, rng: Draws = None) -> Array:
        dense = x if isinstance(x, np.ndarray) else x.toarray()
        return buffers["gathering"].gather(dense, out=buffers["out"])

    def backward_inputs(self, params: Views, x: Rows, delta: Array, buffers: Buffers) -> Array:
        return buffers["gathering"].scatter(delta, out=buffers["delta"])


@dataclass(frozen=True)
class GroupedDense(Blocks):
    """A hidden layer for each group: a_g = f(x_g W_g + b_g).

    Parameters
    ----------
    n_units : int >= 1
        The number of outputs of one group.
    activation : Activation
    n_groups : int >= 1
    n_used : tuple of int, default=()
        For the first layer, the number of inputs of each group before its padding. The weights
        of the padding start at zero and stay there.
    within : ParameterSet or None, default=None
        The set that the weight matrices of all groups stay in. None means no constraint.
    """

    words: ClassVar[str] = "dense by group"

    n_units: int
    activation: Activation
    n_groups: int
    n_used: tuple[int, ...] = ()
    within: ParameterSet | None = None

    @property
    def n_blocks(self) -> int:
        return self.n_groups

    def initialize(self, params: Views, rng: Generator) -> None:
        n_used = self.n_used or (params.weight.shape[1],) * self.n_groups
        for weight, bias, n_inputs in zip(params.weight, params.bias, n_used, strict=True):
            weight[:n_inputs] = self.activation.draw_weights(rng, (n_inputs, self.n_units))
            bias[...] = small_uniform(rng, bias.shape, n_inputs)


@dataclass(frozen=True)
class PairwiseHead(EnsembleHead):
    """The output layer for a sum of functions of at most two groups.

    raw = sum_g h_g W_g + b + c sum_(g<k) (u_g * u_k) V, where h_g are the outputs of group g,
    u_g = h_g U_g are its factors, and c = 1 / sqrt(number of pairs). Elementwise, the sum over
    all pairs is ((sum_g u_g)^2 - sum_g u_g^2) / 2, so it costs no more than a sum over the
    groups: Rendle, "Factorization Machines" (2010), lemma 3.1, where u_g is a number times a
    learned vector. Sums of products of functions of one variable approximate functions of two
    variables. With enough factors, the layer can therefore come close to any sum of functions
    of two columns.

    Parameters
    ----------
    n_units : int >= 1
        The number of outputs of one member.
    n_members : int >= 1
    n_groups : int >= 1
        The number of groups of one member.
    n_factors : int >= 1
        The number of factors of each group.
    """

    words: ClassVar[str] = "pairs of groups"

    # Keyword-only, since the base class has a field with a default.
    n_groups: int = field(kw_only=True)
    n_factors: int = field(kw_only=True)
    output_weights: ClassVar[tuple[str, ...]] = ("weight", "strength")

    @property
    def n_all(self) -> int:
        """The number of groups of all members."""
        return self.n_members * self.n_groups

    @property
    def pair_scale(self) -> float:
        """The factor c of the sum over the pairs."""
        return 1 / math.sqrt(max(1, self.n_groups * (self.n_groups - 1) / 2))

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        factor = Parameter((self.n_all, n_inputs // self.n_all, self.n_factors), penalized=True)
        strength = Parameter((self.n_members, self.n_factors, self.n_units), penalized=True)
        return {**super().parameters(n_inputs), "factor": factor, "strength": strength}

    def buffers(self, n_inputs: int) -> WorkArrays:
        factors = dict.fromkeys(("factors", "of_factors"), self.n_all * self.n_factors)
        n_sums = self.n_members * self.n_factors
        sums = dict.fromkeys(("sums", "products", "of_products"), n_sums)
        return {**super().buffers(n_inputs), **factors, **sums}

    def initialize(self, params: Views, rng: Generator) -> None:
        super().initialize(params, rng)
        for matrix in (*params.factor, *params.strength):
            matrix[...] = self.activation.draw_weights(rng, matrix.shape)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        out = super().forward(params, x, buffers, rng)
        self._write_factors(params, x, buffers)
        products = self._write_products(buffers)
        members = stretches(out, self.n_members)
        members += np.matmul(stretches(products, self.n_members), params.strength)
        return out

    def factors(self, buffers: Buffers) -> Array:
        """Return the factors of the last forward pass as (rows, members, groups, factors)."""
        return self._factors(buffers["factors"])

    def _write_factors(self, params: Views, x: Array, buffers: Buffers) -> None:
        """Write the factors of all groups."""
        self._times_each(x, params.factor, out=buffers["factors"])

    def _write_products(self, buffers: Buffers) -> Array:
        """Write c times the sum over all pairs of the products of their factors."""
        factors, products = self.factors(buffers), buffers["products"]
        # The array for the backward pass is free now, so it holds the squares.
        squares = np.square(factors, out=self._factors(buffers["of_factors"]))
        np.sum(factors, axis=2, out=self._sums(buffers["sums"]))
        np.square(buffers["sums"], out=products)
        products -= squares.sum(axis=2).reshape(products.shape)
        products *= self.pair_scale / 2
        return products

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        """Write the gradient of the factors: for each, a multiple of the sum of the others."""
        of_products = buffers["of_products"]
        self._times_each(delta, params.strength.transpose(0, 2, 1), out=of_products)
        of_products *= self.pair_scale
        factors, of_factors = map(self._factors, (buffers["factors"], buffers["of_factors"]))
        np.subtract(self._sums(buffers["sums"])[:, :, np.newaxis], factors, out=of_factors)
        of_factors *= self._sums(of_products)[:, :, np.newaxis]
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        super().backward_params(params, grads, x, delta, buffers)
        self._gradient_of_each(buffers["products"], delta, out=grads.strength)
        self._gradient_of_each(x, buffers["of_factors"], out=grads.factor)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        inputs = super().backward_inputs(params, x, delta, buffers)
        by_group = stretches(inputs, self.n_all)
        of_factors = stretches(buffers["of_factors"], self.n_all)
        by_group += np.matmul(of_factors, params.factor.transpose(0, 2, 1))
        return inputs

    def _factors(self, array: Array) -> Array:
        """Return the view (rows, members, groups, factors)."""
        return array.reshape(array.shape[0], self.n_members, self.n_groups, self.n_factors)

    def _sums(self, array: Array) -> Array:
        """Return the view (rows, members, factors)."""
        return array.reshape(array.shape[0], self.n_members, self.n_factors)
