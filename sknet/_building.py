"""The layers of a network, built from settings and an encoder."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sknet._settings import Settings
from sknet.data.encoding import TableEncoder
from sknet.data.tables import TableReader
from sknet.nn.activations import Activation, ByUnit, Identity, Reflected, SmoothReLU
from sknet.nn.columns import ColumnEmbedding, Columns
from sknet.nn.components import PrincipalComponents
from sknet.nn.embeddings import Embedding
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput
from sknet.nn.groups import GroupColumns, GroupedDense
from sknet.nn.layers import NORMALIZATIONS, Dense, Dropout, Layer
from sknet.nn.network import Network
from sknet.nn.pairs import MonotonePairwiseHead, PairwiseHead
from sknet.nn.sets import MonotoneWeights, Stacked

#: The parts of the units of a layer: how many units they have, and their activations.
Parts: TypeAlias = tuple[tuple[int, Activation], ...]
#: The size of the vector that the network learns for each level of a category with many levels.
EMBEDDING_SIZE = 8
#: The size of a hidden layer of all groups of columns together, in sizes of a network without
#: groups, and its smallest size for one group, if it is not set smaller.
UNITS_OF_GROUPS, LEAST_UNITS = 2, 8
#: The number of factors of each column, whose products describe pairs of columns.
N_FACTORS = 32


def make_network(
    settings: Settings,
    encoder: TableEncoder,
    reader: TableReader | None,
    n_raw: int,
    unpromised: tuple[int, ...] = (),
) -> Network:
    """Return the network from an encoded table to ``n_raw`` raw predictions of each member.

    ``unpromised`` has the positions of raw predictions that constraints promise nothing about.
    """
    front = Network(tuple(_input_layers(settings, encoder)), encoder.n_outputs_)
    signs = _encoded_signs(settings, front)
    if settings.groups is None:
        hidden, within = _hidden_layers(settings, signs)
        layers = *hidden, _output_layer(settings, n_raw, within, unpromised)
    else:
        sources = column_sources(encoder, reader)[front.origins]
        inputs = [
            tuple(np.flatnonzero(np.isin(sources, group)).tolist()) for group in settings.groups
        ]
        constraints = _constraints_of_groups(inputs, sources, signs) if signs else None
        layers = tuple(_grouped_layers(settings, inputs, constraints, n_raw, unpromised))
    before_link = settings.groups is not None
    return Network(
        (*front.layers, *layers), encoder.n_outputs_, settings.n_members, before_link
    )


def _input_layers(settings: Settings, encoder: TableEncoder) -> list[Layer]:
    """Return the layers before the first hidden one.

    They are the layer that embeds numbers and categories, if there are some to be embedded, and
    the layer that appends the components of numbers, if there are any.
    """
    layers: list[Layer] = []
    if parts := _embeddings(settings, encoder):
        layers.append(Columns(tuple(parts)))
    if encoder.components_ is not None:
        embedding, n_numbers = settings.numeric_embedding, encoder.n_numeric_
        size = 1 if embedding is None else embedding.output_counts(n_numbers)[0]
        layers.append(PrincipalComponents(*encoder.components_, size))
    return layers


def _embeddings(
    settings: Settings, encoder: TableEncoder
) -> list[tuple[int, ColumnEmbedding | None]]:
    """Return the parts of the layer that embeds columns; an empty list if there are none."""
    unit = settings.level_penalty
    embeddings = [
        (1, Embedding(one.n_levels, EMBEDDING_SIZE, one.prior_rows * unit))
        for one in encoder.embedded_
    ]
    if (settings.numeric_embedding is None or not encoder.n_numeric_) and not embeddings:
        return []
    n_other = encoder.n_plain_ - encoder.n_numeric_
    parts = [
        (encoder.n_numeric_, _numeric_layer(settings, encoder)),
        (n_other, None),
        *embeddings,
    ]
    return [part for part in parts if part[0]]


def column_sources(encoder: TableEncoder, reader: TableReader | None) -> NDArray[np.intp]:
    """Return the position of the column of X that each encoded column comes from."""
    return encoder.sources_ if reader is None else reader.order_[encoder.sources_]


def _numeric_layer(settings: Settings, encoder: TableEncoder) -> ColumnEmbedding | None:
    """Return the embedding of the numeric columns, or None."""
    numeric = settings.numeric_embedding
    if numeric is None:
        return None
    edges = encoder.bin_edges_ if settings.n_bins else ()
    if settings.monotone:
        return numeric.constrained(_signs(settings, encoder.n_numeric_), edges)
    return numeric.with_bins(edges) if numeric.needs_bins else numeric


def _signs(settings: Settings, n_columns: int) -> tuple[int, ...]:
    """Return the constraints of the first encoded columns, of which only numbers have some."""
    return settings.signs + (0,) * (n_columns - len(settings.signs))


def _encoded_signs(settings: Settings, front: Network) -> tuple[int, ...]:
    """Return the monotonic constraint of each input of the first layer that has weights.

    It is empty if there are no constraints.
    """
    if not settings.signs:
        return ()
    signs = np.array(_signs(settings, front.n_inputs))
    return tuple(signs[front.origins].tolist())


def _hidden_layers(
    settings: Settings, signs: tuple[int, ...]
) -> tuple[list[Layer], MonotoneWeights | None]:
    """Return the hidden layers, each with its normalisation and dropout.

    The second result is the set of the weights of the layer that follows. ``signs`` are the
    constraints of the inputs; it is empty if there are none.
    """
    n_members = settings.n_members
    layers: list[Layer] = []
    within = MonotoneWeights(signs) if signs else None
    for size, activation, dropout in zip(
        settings.hidden_layer_sizes, settings.activations, settings.dropout, strict=True
    ):
        following = None
        if within is not None:
            n_free = _n_free(size, within.signs)
            parts, within, following = _monotone(size, activation, within, n_free)
            activation = ByUnit(parts)
        inner = _inner(settings, activation)
        if n_members == 1:
            layers.append(Dense(size, inner, within))
        else:
            kind = EnsembleDense if layers else EnsembleInput
            layers.append(kind(size, inner, n_members, within))
        layers.extend(_after(settings, activation, dropout, n_members))
        within = following
    return layers, within


def _inner(settings: Settings, activation: Activation) -> Activation:
    """Return the activation of the layer with the weights.

    With normalisation, the activation is part of the layer that normalises.
    """
    return activation if settings.normalization is None else Identity()


def _after(
    settings: Settings, activation: Activation, dropout: float, n_networks: int
) -> Iterator[Layer]:
    """Yield the layers that follow those weights: normalisation and dropout."""
    if settings.normalization is not None:
        yield NORMALIZATIONS[settings.normalization](activation, n_networks)
    if dropout:
        yield Dropout(dropout)


def _monotone(
    size: int, activation: Activation, within: MonotoneWeights, n_free: int
) -> tuple[Parts, MonotoneWeights, MonotoneWeights]:
    """Return the parts of a monotone layer's activation, the set of its weights, and the next.

    One half of the monotone units has an activation that never falls, the other half its
    reflection: otherwise a convex activation would make the outputs convex functions of the
    constrained columns (Runje and Shankaranarayana, "Constrained Monotonic Neural Networks",
    2023, section 3).
    """
    rising = activation if activation.monotone else SmoothReLU()
    parts = [
        (n_free, activation),
        (size - n_free, Reflected(rising, (size - n_free) // 2)),
    ]
    following = MonotoneWeights((0,) * n_free + (1,) * (size - n_free))
    return tuple(one for one in parts if one[0]), replace(within, n_free=n_free), following


def _n_free(size: int, signs: tuple[int, ...]) -> int:
    """Return the number of free units of a layer, given the constraints of what it sees.

    Half of the units are free, unless everything is constrained, or nothing.
    """
    if not any(signs):
        return size
    return size // 2 if 0 in signs else 0


def _output_layer(
    settings: Settings,
    n_raw: int,
    within: MonotoneWeights | None = None,
    unpromised: tuple[int, ...] = (),
) -> Layer:
    """Return the layer that maps the last hidden layer to the raw predictions.

    ``within`` is the set of its weights, which those at the positions ``unpromised`` may leave.
    """
    n_members = settings.n_members
    if n_members > 1 and settings.hidden_layer_sizes:
        return EnsembleHead(n_raw, n_members, _leaving_out(within, unpromised))
    unpromised = tuple(n_raw * member + i for member in range(n_members) for i in unpromised)
    return Dense(n_members * n_raw, Identity(), _leaving_out(within, unpromised))


def _leaving_out(
    within: MonotoneWeights | None, positions: tuple[int, ...]
) -> MonotoneWeights | None:
    """Return a set of weights that leaves those of some outputs free."""
    return None if within is None else replace(within, unpromised=positions)


class GroupConstraints(NamedTuple):
    """The constraints of the next layer of each group, for the groups of one member.

    Attributes
    ----------
    sets : tuple of MonotoneWeights
        The set of the weights of each group.
    constrained : tuple of tuple of int
        For each input of each group, zero if the column that it comes from is free. A group
        without a zero needs no free units.
    """

    sets: tuple[MonotoneWeights, ...]
    constrained: tuple[tuple[int, ...], ...]

    @property
    def joined(self) -> MonotoneWeights:
        """The set of the weights of a layer that sees all groups."""
        return MonotoneWeights(tuple(sign for one in self.sets for sign in one.signs))

    def layer(
        self, size: int, activation: Activation, n_members: int
    ) -> tuple[Activation, Stacked, "GroupConstraints"]:
        """Return the activation of a layer, the set of its weights, and what follows."""
        layers = [
            _monotone(size, activation, within, _n_free(size, inputs))
            for within, inputs in zip(self.sets, self.constrained, strict=True)
        ]
        parts, sets, following = zip(*layers, strict=True)
        # A row holds one group after another. Equal groups are like the members of one.
        by_unit = ByUnit(parts[0] if len(set(parts)) == 1 else tuple(chain(*parts)))
        signs = tuple(one.signs for one in following)
        return by_unit, Stacked(sets * n_members), GroupConstraints(following, signs)


def _constraints_of_groups(
    inputs: Sequence[tuple[int, ...]], sources: NDArray[np.intp], signs: tuple[int, ...]
) -> GroupConstraints:
    """Return the constraints of the inputs of each group.

    Parameters
    ----------
    inputs : sequence of tuple of int
        The positions of the inputs of each group.
    sources : ndarray of int
        The position of the column of X that each input comes from.
    signs : tuple of int
        The constraint of each input.
    """
    width = max(map(len, inputs))
    constrained = set(sources[np.flatnonzero(signs)].tolist())
    padded = [tuple(signs[i] for i in one) + (0,) * (width - len(one)) for one in inputs]
    # The indicator of a constrained column's missing values is free, but a monotone unit can
    # tell what it means as well as one that sees nothing else.
    by_column = [tuple(int(sources[i] in constrained) for i in one) for one in inputs]
    return GroupConstraints(tuple(map(MonotoneWeights, padded)), tuple(by_column))


def _grouped_layers(
    settings: Settings,
    inputs: list[tuple[int, ...]],
    constraints: GroupConstraints | None,
    n_raw: int,
    unpromised: tuple[int, ...],
) -> Iterator[Layer]:
    """Yield the layers of groups of columns with networks of their own.

    ``inputs`` has the positions of the inputs of each group. Each member has a network of its
    own for each group, of inputs of its own.
    """
    n_members, n_groups = settings.n_members, len(inputs)
    if not settings.hidden_layer_sizes:
        yield GroupColumns(tuple(inputs))
        yield _output_layer(settings, n_raw, constraints and constraints.joined, unpromised)
        return
    yield GroupColumns(tuple(inputs * n_members))
    n_used = tuple(max(1, len(one)) for one in inputs * n_members)
    for size, activation, dropout in zip(
        settings.hidden_layer_sizes, settings.activations, settings.dropout, strict=True
    ):
        n_units, within = group_size(size, n_groups), None
        if constraints is not None:
            activation, within, constraints = constraints.layer(n_units, activation, n_members)
        inner = _inner(settings, activation)
        yield GroupedDense(n_units, inner, n_groups * n_members, n_used, within)
        yield from _after(settings, activation, dropout, n_groups * n_members)
        n_used = ()
    if settings.pairwise and n_groups > 1:
        yield _pairwise_head(settings, n_groups, constraints, n_raw, unpromised)
    else:
        yield _output_layer(settings, n_raw, constraints and constraints.joined, unpromised)


def _pairwise_head(
    settings: Settings,
    n_groups: int,
    constraints: GroupConstraints | None,
    n_raw: int,
    unpromised: tuple[int, ...],
) -> PairwiseHead:
    """Return the output layer of groups that interact in pairs."""
    if constraints is None:
        return PairwiseHead(n_raw, settings.n_members, n_groups=n_groups, n_factors=N_FACTORS)
    signs = tuple(int(any(one.signs)) for one in constraints.sets)
    # Two free groups have the factors that they would have without constraints.
    n_free = N_FACTORS if signs.count(0) > 1 else 0
    return MonotonePairwiseHead(
        n_raw,
        settings.n_members,
        _leaving_out(constraints.joined, unpromised),
        n_groups=n_groups,
        n_factors=n_free + N_FACTORS,
        signs=signs,
        n_free=n_free,
    )


def group_size(size: int, n_groups: int) -> int:
    """Return the size of a hidden layer of one group, given that without groups."""
    return min(size, max(LEAST_UNITS, math.ceil(UNITS_OF_GROUPS * size / n_groups)))
