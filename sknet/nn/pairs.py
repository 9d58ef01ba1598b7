"""Output layers of groups of columns that interact in pairs.

A raw prediction sums up the groups' own functions, and a product of factors for each pair of
groups, where the factors of a group are weighted sums of its last units. So it is a sum of
functions of at most two groups.
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from numpy.random import Generator

from sknet.nn.ensembles import EnsembleHead
from sknet.nn.initializers import INITIALIZERS
from sknet.nn.kernels import stretches
from sknet.nn.layers import Parameter
from sknet.nn.rules import POSITIVE_INT
from sknet.nn.types import Array, Buffers, Views, WorkArrays


@dataclass(frozen=True)
class PairwiseHead(EnsembleHead):
    """The output layer of a sum of functions of at most two groups.

    raw = sum_g h_g W_g + b + c sum_(g<k) (u_g * u_k) V, with factors u_g = h_g U_g of the
    outputs h_g of each group, and c = 1 / sqrt(number of pairs). The sum over all pairs costs
    no more than one over the groups, since it is ((sum_g u_g)^2 - sum_g u_g^2) / 2 elementwise:
    Rendle, "Factorization Machines" (2010), lemma 3.1, where u_g is a number times a learned
    vector. A function of two variables is a sum of products of functions of one variable, so
    with enough factors the layer comes close to any sum of functions of two columns.

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

    # By keyword alone: the head before has a field with a default.
    n_groups: Annotated[int, POSITIVE_INT] = field(kw_only=True)
    n_factors: Annotated[int, POSITIVE_INT] = field(kw_only=True)
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
        factor = self.n_all, n_inputs // self.n_all, self.n_factors
        strength = self.n_members, self.n_factors, self.n_units
        return {
            **super().parameters(n_inputs),
            "factor": Parameter(factor, penalized=True),
            "strength": Parameter(strength, penalized=True),
        }

    def buffers(self, n_inputs: int) -> WorkArrays:
        n_sums = self.n_members * self.n_factors
        return {
            **super().buffers(n_inputs),
            "factors": self.n_groups * n_sums,
            "of_factors": self.n_groups * n_sums,
            "sums": n_sums,
            "products": n_sums,
            "of_products": n_sums,
        }

    def initialize(self, params: Views, rng: Generator) -> None:
        super().initialize(params, rng)
        draw = INITIALIZERS["glorot_uniform"]
        for matrix in (*params.factor, *params.strength):
            matrix[...] = draw(rng, matrix.shape)

    def forward(
        self, params: Views, x: Array, buffers: Buffers, rng: Generator | None = None
    ) -> Array:
        out = super().forward(params, x, buffers, rng)
        self._write_factors(params, x, buffers)
        products = self._write_products(buffers)
        members = stretches(out, self.n_members)
        members += np.matmul(stretches(products, self.n_members), params.strength)
        return out

    def factors(self, buffers: Buffers) -> Array:
        """Return the factors of the last forward pass: (rows, members, groups, factors)."""
        return self._factors(buffers["factors"])

    def _write_factors(self, params: Views, x: Array, buffers: Buffers) -> None:
        """Write the factors of all groups."""
        self._multiply(params, x, buffers["factors"])

    def _multiply(self, params: Views, x: Array, out: Array) -> None:
        """Write the product of the outputs of each group with its matrix of factors."""
        np.matmul(stretches(x, self.n_all), params.factor, out=stretches(out, self.n_all))

    def _write_products(self, buffers: Buffers) -> Array:
        """Write c times the sum over all pairs of the products of their factors."""
        factors, sums, products = buffers["factors"], buffers["sums"], buffers["products"]
        # The arrays of the backward pass have room for squares and for their sums.
        squares, sums_of_squares = buffers["of_factors"], buffers["of_products"]
        np.multiply(factors, factors, out=squares)
        np.sum(self._factors(factors), axis=2, out=self._sums(sums))
        np.sum(self._factors(squares), axis=2, out=self._sums(sums_of_squares))
        np.multiply(sums, sums, out=products)
        products -= sums_of_squares
        products *= self.pair_scale / 2
        return products

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        """Write the gradient of the factors, whose derivative is that of all other groups."""
        of_products = buffers["of_products"]
        by_member = stretches(of_products, self.n_members)
        strength = params.strength.transpose(0, 2, 1)
        np.matmul(stretches(delta, self.n_members), strength, out=by_member)
        of_products *= self.pair_scale
        factors, of_factors = map(self._factors, (buffers["factors"], buffers["of_factors"]))
        np.subtract(self._sums(buffers["sums"])[:, :, np.newaxis], factors, out=of_factors)
        of_factors *= self._sums(of_products)[:, :, np.newaxis]
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        super().backward_params(params, grads, x, delta, buffers)
        products = stretches(buffers["products"], self.n_members).transpose(0, 2, 1)
        np.matmul(products, stretches(delta, self.n_members), out=grads.strength)
        inputs = stretches(x, self.n_all).transpose(0, 2, 1)
        np.matmul(inputs, stretches(buffers["of_factors"], self.n_all), out=grads.factor)

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
