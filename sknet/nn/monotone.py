"""Monotonic constraints: predictions that only rise or only fall with some columns.

:class:`Promise` says which columns these are. A network keeps this promise layer by layer. The
weights of a layer stay in :class:`~sknet.nn.sets.MonotoneWeights`, its monotone units have
activations that never fall, and :class:`Order` tells the next layer which of its inputs have a
direction. Embedded columns with a constraint pass through a
:class:`~sknet.nn.embeddings.RisingPiecewiseLinear`. If groups of columns interact in pairs, the
output layer is a :class:`MonotonePairwiseHead`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import accumulate, chain
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sknet.nn.activations import Activation, Composed, Identity, Reflected, small_uniform
from sknet.nn.groups import Groups, PairwiseHead
from sknet.nn.kernels import Array, Views, blocks, column_sums, rounded
from sknet.nn.layers import Buffers, Parameter, WorkArrays
from sknet.nn.losses import Loss
from sknet.nn.rules import Rule
from sknet.nn.sets import MonotoneWeights, Stacked


class SmoothReLU(Activation):
    """f(z) = max(z, t^2 / 8) with t = min(max(z, -2), 2) + 2; f' = t / 4.

    A rectifier with a quadratic bend between -2 and 2, also known as the Huberized ReLU. Its
    derivative is the logistic function approximated by three straight pieces, with the same
    slope at zero. Each step of the computation stays monotone after rounding. So f never falls,
    not even by one unit in the last place, unlike functions computed with approximations.
    """

    needs_z = True
    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        t = np.clip(z, -2, 2) + 2
        np.maximum(z, np.square(t) * 0.125, out=a)
        # The derivative needs t, but not z.
        z[...] = t

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= np.multiply(z, 0.25, out=z)


@dataclass(frozen=True)
class ByUnit(Composed):
    """Different activations for stretches of the units of a layer.

    A row may hold the units of several members one after another. Equal parts are computed
    together, so the number of calls is that of the distinct parts, even with many groups of
    columns.

    Parameters
    ----------
    parts : tuple of pairs (int, Activation)
        A number of units, and their activation.
    """

    parts: tuple[tuple[int, Activation], ...]

    @property
    def inner(self) -> tuple[Activation, ...]:
        return tuple(activation for _, activation in self.parts)

    @cached_property
    def kinds(self) -> dict[tuple[int, Activation], list[slice]]:
        """The distinct parts, and the places of all their units."""
        found: dict[tuple[int, Activation], list[slice]] = {}
        ends = accumulate(n for n, _ in self.parts)
        for part, end in zip(self.parts, ends, strict=True):
            found.setdefault(part, []).append(slice(end - part[0], end))
        return found

    def forward(self, z: Array, a: Array) -> None:
        z_rows, a_rows = self._by_member(z), self._by_member(a)
        for (_, activation), places in self.kinds.items():
            if len(places) == 1:
                activation.forward(z_rows[:, places[0]], a_rows[:, places[0]])
                continue
            z_part = _gather(z_rows, places)
            a_part = np.empty_like(z_part) if activation.needs_z else z_part
            activation.forward(z_part, a_part)
            _scatter(a_part, a_rows, places)
            if activation.needs_z:
                # The derivative may need what ``forward`` wrote into z.
                _scatter(z_part, z_rows, places)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        *_, delta_rows = rows = [self._by_member(one) for one in (z, a, delta)]
        for (_, activation), places in self.kinds.items():
            if len(places) == 1:
                activation.backward(*(one[:, places[0]] for one in rows))
                continue
            *_, delta_part = parts = [_gather(one, places) for one in rows]
            activation.backward(*parts)
            _scatter(delta_part, delta_rows, places)

    def _by_member(self, array: Array) -> Array:
        """Return the view that has a row for each row of each member."""
        return array.reshape(-1, sum(n for n, _ in self.parts))


@lru_cache(maxsize=16)
def _units(n_free: int, free: Activation, n_monotone: int, rising: Activation) -> ByUnit:
    """Return the activation of free and of monotone units; half of the latter are reflected.

    The results are remembered from one batch to the next.
    """
    parts = (n_free, free), (n_monotone, Reflected(rising, n_monotone // 2))
    return ByUnit(tuple(part for part in parts if part[0]))


def _gather(rows: Array, places: list[slice]) -> Array:
    """Return a copy of equally long stretches, with one row for each stretch of each row."""
    together = np.stack([rows[:, where] for where in places], axis=1)
    return together.reshape(-1, together.shape[2])


def _scatter(together: Array, rows: Array, places: list[slice]) -> None:
    """Write gathered stretches back to their places."""
    together = together.reshape(len(rows), len(places), -1)
    for i, where in enumerate(places):
        rows[:, where] = together[:, i]


@dataclass(frozen=True)
class MonotonePairwiseHead(PairwiseHead):
    """A ``PairwiseHead`` whose outputs rise with the inputs of some groups.

    raw = sum_g h_g W_g + b + c sum_(g<k) (u_g * u_k) V, with factors u_g = f(h_g U_g + d_g) of
    three kinds:

    - The first ``n_free`` factors have f(z) = z and any strengths V. Their weights U are zero
      for groups with constraints.
    - Half of the others are rectified: f(z) = r(z) with the smooth rectifier r. Their strengths
      are at least zero.
    - The rest are reflections: f(z) = -r(-z). Their strengths are at most zero.

    In the last two kinds, the weights U of groups with constraints are at least zero. So the
    factors of such a group rise with h_g. Each is multiplied by a factor of another group and a
    strength. The product of these two is at least zero. Rectified factors describe columns that
    strengthen each other, and reflections describe columns that replace each other.

    The sum over all pairs is computed as the sum over g of u_g (u_1 + ... + u_(g-1)). This form
    has no subtraction, whose rounding might break the order.

    Parameters
    ----------
    within : MonotoneWeights or None, default=None
        The set that each member's matrix W stays in. None means no constraint. The strengths of
        its ``unpromised`` outputs are not constrained, either.
    signs : tuple of int
        For each group of one member: 1 if the outputs rise with its inputs, and 0 if it is
        free.
    n_free : int >= 0
        The number of factors that only free groups use.
    """

    within: MonotoneWeights | None = None
    signs: tuple[int, ...] = field(kw_only=True)
    n_free: int = field(kw_only=True)

    @property
    def n_reflected(self) -> int:
        """The number of reflections, which are the last factors."""
        return (self.n_factors - self.n_free) // 2

    @property
    def function(self) -> Activation:
        """The function f of the factors of one group."""
        n_monotone = self.n_factors - self.n_free
        return _units(self.n_free, Identity(), n_monotone, SmoothReLU())

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        declared = super().parameters(n_inputs)
        width = n_inputs // self.n_all
        of_groups = [
            MonotoneWeights((sign,) * width, self.n_free if sign else 0) for sign in self.signs
        ]
        n_rectified = self.n_factors - self.n_free - self.n_reflected
        signs = (0,) * self.n_free + (1,) * n_rectified + (-1,) * self.n_reflected
        unpromised = () if self.within is None else self.within.unpromised
        of_strengths = MonotoneWeights(signs, unpromised=unpromised)
        sets = {"factor": Stacked(tuple(of_groups * self.n_members)), "strength": of_strengths}
        declared |= {name: replace(declared[name], within=one) for name, one in sets.items()}
        return {**declared, "offset": Parameter((self.n_all, self.n_factors))}

    def initialize(self, params: Views, rng: Generator) -> None:
        super().initialize(params, rng)
        params.offset[...] = small_uniform(rng, params.offset.shape, params.factor.shape[1])

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {**super().buffers(n_inputs), "z": self.n_all * self.n_factors}

    def _write_factors(self, params: Views, x: Array, buffers: Buffers) -> None:
        z, factors = buffers["z"], buffers["factors"]
        self._times_each(x, params.factor, out=z)
        for z_block, block in blocks(z, factors):
            z_block += params.offset.reshape(-1)
            self.function.forward(z_block, block)

    def _write_products(self, buffers: Buffers) -> Array:
        factors, product = self.factors(buffers), self._factors(buffers["of_factors"])[:, :, 0]
        sums, products = self._sums(buffers["sums"]), self._sums(buffers["products"])
        sums[...] = products[...] = 0
        for g in range(self.n_groups):
            products += np.multiply(factors[:, :, g], sums, out=product)
            sums += factors[:, :, g]
        products *= self.pair_scale
        return buffers["products"]

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        """Write the gradient of the factors before f is applied."""
        super().backward_shared(params, x, delta, buffers)
        for parts in blocks(buffers["z"], buffers["factors"], buffers["of_factors"]):
            self.function.backward(*parts)
        return delta

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        super().backward_params(params, grads, x, delta, buffers)
        column_sums(buffers["of_factors"], out=grads.offset.reshape(-1))


class Order(NamedTuple):
    """How the outputs of a network move with the inputs of a layer, group by group.

    A network without groups has one group of all inputs.

    Attributes
    ----------
    signs : tuple of tuple of int
        For each input of each group: 1 (outputs rise with it), -1 (they fall) or 0 (free).
    constrained : tuple of tuple of int
        For each input of each group: zero if a free unit should use it, and another number
        otherwise. A group without a zero needs no free units. With groups of columns, no input
        that comes from a constrained column has a zero.
    """

    signs: tuple[tuple[int, ...], ...]
    constrained: tuple[tuple[int, ...], ...]

    def layer(
        self, size: int, activation: Activation
    ) -> tuple[Activation, tuple[MonotoneWeights, ...], "Order"]:
        """Return a layer's activation, the set of each group's weights, and the next order.

        Half of the monotone units of a group have an activation that never falls, and the other
        half have its reflection. Otherwise, a convex activation would make the outputs convex
        functions of the constrained columns (Runje and Shankaranarayana, "Constrained Monotonic
        Neural Networks", 2023, section 3).
        """
        rising = activation if activation.monotone else SmoothReLU()
        units, weights, following = [], [], []
        for signs, constrained in zip(self.signs, self.constrained, strict=True):
            n_free = _n_free(size, constrained)
            n_monotone = size - n_free
            units.append(_units(n_free, activation, n_monotone, rising))
            weights.append(MonotoneWeights(signs, n_free))
            following.append((0,) * n_free + (1,) * n_monotone)
        # A row holds one group after another. Groups with equal units are treated as members.
        parts = units[0].parts if len(set(units)) == 1 else chain(*(one.parts for one in units))
        return ByUnit(tuple(parts)), tuple(weights), Order(tuple(following), tuple(following))

    def output(self, unpromised: tuple[int, ...]) -> MonotoneWeights:
        """Return the set for the weights of an output layer that sees all groups."""
        return MonotoneWeights(tuple(chain(*self.signs)), unpromised=unpromised)

    def pairs(
        self, n_raw: int, n_members: int, n_factors: int, unpromised: tuple[int, ...]
    ) -> MonotonePairwiseHead:
        """Return the output layer of groups that interact in pairs."""
        signs = tuple(int(any(one)) for one in self.signs)
        # Pairs of free groups have the factors that they would have without constraints.
        n_free = n_factors if signs.count(0) > 1 else 0
        counts = {"n_groups": len(signs), "n_factors": n_free + n_factors, "n_free": n_free}
        within = self.output(unpromised)
        return MonotonePairwiseHead(n_raw, n_members, within, signs=signs, **counts)


def _n_free(size: int, constrained: tuple[int, ...]) -> int:
    """Return the number of free units: half if some inputs are constrained, none if all are."""
    if not any(constrained):
        return size
    return size // 2 if 0 in constrained else 0


@dataclass(frozen=True)
class Promise(Rule):
    """The promise that predictions only rise or only fall with some columns, for all rows.

    Parameters
    ----------
    signs : tuple of int
        For each numeric column, in the order of the encoded columns: 1 (predictions rise with
        it), -1 (they fall) or 0 (free).
    """

    signs: tuple[int, ...]
    #: Predictions are computed in float64, for a multiple of this many rows at a time. With
    #: other numbers of rows, the rounding of a row's products may depend on its place in a
    #: block, so that equal predictions become unequal: BLAS computes tiles of rows with one
    #: routine and the remaining rows with others, which round sums differently. All kernels of
    #: OpenBLAS for float64 divide 64 rows into equal tiles.
    tile: ClassVar[int] = 64

    @property
    def columns(self) -> tuple[int, ...]:
        """The positions of the numeric columns with a direction."""
        return tuple(i for i, sign in enumerate(self.signs) if sign)

    def check(self, target: Any, loss: Loss) -> None:
        """Refuse targets and losses for which a direction of the predictions has no meaning.

        Raises
        ------
        ValueError
            If y has several labels or more than two classes, unless the loss uses the order of
            the classes, or if the link of the loss does not declare that predictions rise with
            raw predictions.
        """
        kind = getattr(target, "kind", "binary")
        if kind == "multiclass" and target.n_outputs == 1:
            return  # The probability of a single class is one.
        if kind != "binary" and not loss.link.ordered:
            raise ValueError(
                f"monotonic constraints are not supported for {kind} classification: they "
                "apply to the probability of the second of two classes, but y has "
                f"{target.n_outputs} classes or labels. Set monotonic_cst=None, or fit a "
                "classifier for each class. If each row has one class and the classes have an "
                "order, set loss='ordinal'."
            )
        if not loss.link.rising:
            raise ValueError(
                f"monotonic_cst cannot be used with loss={loss!r}: its predictions need not "
                "rise with each raw prediction. Use another loss. If the loss has a link of "
                "your own whose predictions always rise, set rising = True in the link's class."
            )

    def of_encoded(self, n_columns: int) -> tuple[int, ...]:
        """Return the signs of the first encoded columns; 0 for those that are not numeric."""
        return self.signs + (0,) * (n_columns - len(self.signs))

    def order(
        self, encoded: NDArray[np.intp], sources: NDArray[np.intp], groups: Groups | None
    ) -> Order:
        """Return the order of the inputs of the first layer that mixes columns.

        For each input, ``encoded`` and ``sources`` have the positions of the encoded column and
        of the column of X that it comes from. ``groups`` has the positions of the inputs of
        each group.
        """
        signs = np.array(self.of_encoded(int(encoded.max()) + 1), dtype=int)[encoded]
        if groups is None:
            whole = (tuple(signs.tolist()),)
            return Order(whole, whole)
        width = max(map(len, groups))
        padded = ((*signs[list(one)].tolist(), *[0] * (width - len(one))) for one in groups)
        # The indicator of a constrained column's missing values is free. A monotone unit can
        # use it as well as a free unit, which would see nothing else.
        constrained = np.isin(sources, sources[signs != 0]).astype(int)
        by_column = (tuple(constrained[list(one)].tolist()) for one in groups)
        return Order(tuple(padded), tuple(by_column))

    def settled(self, sums: Any) -> Any:
        """Return float64 sums rounded to 24 bits, since the sums of equal rows may differ."""
        return rounded(sums)

    def described(self, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
        """Yield each direction in words and the names of its columns, if it has any."""
        for words, sign in (("only rises with", 1), ("only falls with", -1)):
            pairs = zip(names, self.signs, strict=False)
            if found := [name for name, its_sign in pairs if its_sign == sign]:
                yield words, found
