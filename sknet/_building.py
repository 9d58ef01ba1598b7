"""The layers of a network, built from settings and an encoder; the memory that it needs."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sknet._requirements import main_memory
from sknet._settings import Settings
from sknet.data.encoding import TableEncoder
from sknet.data.tables import TableReader
from sknet.nn.activations import Activation, Identity
from sknet.nn.columns import (
    ColumnEmbedding,
    Columns,
    ColumnScales,
    Embedding,
    PrincipalComponents,
    Repeated,
)
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput, WithConstants
from sknet.nn.groups import GroupColumns, GroupedDense, Groups, PairwiseHead
from sknet.nn.layers import NORMALIZATIONS, Dense, Layer
from sknet.nn.links import Link
from sknet.nn.monotone import Order
from sknet.nn.network import Network
from sknet.nn.sets import MonotoneWeights, Stacked

#: The size of the vector that the network learns for each level of a category with many levels.
EMBEDDING_SIZE = 8
#: The size of a hidden layer for all groups of columns together, as a multiple of the size
#: without groups; and the smallest size for one group, unless the size is set smaller.
UNITS_OF_GROUPS, LEAST_UNITS = 2, 8
#: The ridge penalty on the scales of columns, as a multiple of ``alpha``.
RIDGE_OF_SCALES = 0.1
#: The number of factors of each group, whose products describe pairs of groups.
N_FACTORS = 32


def make_network(
    settings: Settings, encoder: TableEncoder, reader: TableReader, link: Link, n_outputs: int
) -> Network:
    """Return the network that maps an encoded table to the raw predictions of each member."""
    inputs = Network(tuple(_input_layers(settings, encoder)), encoder.n_outputs_)
    sources = column_sources(encoder, reader)[inputs.origins]
    groups = _groups_of_inputs(settings, sources)
    promise = settings.promise
    order = None if promise is None else promise.order(inputs.origins, sources, groups)
    gathered: list[Layer] = []
    members: Groups = ()
    if settings.n_separate > 1:
        members = _inputs_of_members(inputs, settings.n_separate)
        gathered = [GroupColumns(members)]
    elif groups is not None:
        # With hidden layers, each member has its own network for each group.
        n_copies = settings.n_members if settings.hidden_layer_sizes else 1
        gathered = [GroupColumns(groups * n_copies)]
    scales = _column_scales(settings, sources, inputs.n_outputs, members)
    hidden, order = _hidden_layers(settings, groups, order)
    output = _output_layer(settings, groups, order, link, n_outputs)
    layers = *inputs.layers, *gathered, *scales, *hidden, output
    return Network(layers, encoder.n_outputs_, settings.n_members, groups is not None)


def _input_layers(settings: Settings, encoder: TableEncoder) -> list[Layer]:
    """Return the layers before the first hidden one.

    They are the layer that repeats each column for separate members, the layer that embeds
    numeric columns and categories, and the layer that appends the principal components, which
    the members share. Each is left out if it has nothing to do.
    """
    n_copies = settings.n_separate
    layers: list[Layer] = [Repeated(n_copies)] if n_copies > 1 else []
    numeric = _numeric_layer(settings, encoder)
    layers += _embedding_layers(settings, encoder, numeric)
    if encoder.components_ is not None:
        n = encoder.n_numeric_ * n_copies
        counts = [1] * n if numeric is None else numeric.output_counts(n)
        # The first output for a column is the number itself. The first copies are used. Scores
        # of numbers come last, and have no part in the components.
        columns = (np.cumsum(counts) - counts)[::n_copies].tolist()
        components = encoder.components_
        layers.append(PrincipalComponents(*components, (*columns[: len(components.center)],)))
    return layers


def _inputs_of_members(inputs: Network, n_copies: int) -> Groups:
    """Return the positions of the inputs of each separate member.

    They are the outputs of its own copies of the columns, and the components, which all members
    share. ``inputs`` are the layers before the first hidden one; the first is ``Repeated``.
    """
    of_copies = replace(inputs, layers=inputs.layers[1:], n_inputs=inputs.widths[1])
    copy = of_copies.origins % n_copies
    shared = range(copy.size, inputs.n_outputs)
    return tuple((*np.flatnonzero(copy == i).tolist(), *shared) for i in range(n_copies))


def _embedding_layers(
    settings: Settings, encoder: TableEncoder, numeric: ColumnEmbedding | None
) -> list[Layer]:
    """Return the layer that embeds columns, or an empty list if there are none to embed.

    ``numeric`` is the embedding of the numeric columns.
    """
    n_copies, n_numeric = settings.n_separate, encoder.n_numeric_ * settings.n_separate
    # The objective is the mean of the members' objectives.
    level_penalty = settings.level_penalty / n_copies
    embeddings = [
        Embedding(one.n_levels, EMBEDDING_SIZE, one.prior_rows * level_penalty)
        for one in encoder.embedded_
        for _ in range(n_copies)
    ]
    n_plain = encoder.n_plain_ * n_copies
    plain = (range(n_numeric), numeric), (range(n_numeric, n_plain), None)
    levels = ((range(i, i + 1), one) for i, one in enumerate(embeddings, start=n_plain))
    parts = tuple(part for part in (*plain, *levels) if part[0])
    return [Columns(parts)] if any(layer is not None for _, layer in parts) else []


def column_sources(encoder: TableEncoder, reader: TableReader) -> NDArray[np.intp]:
    """Return the position of the column of X that each encoded column comes from."""
    return reader.order_[encoder.sources_]


def _numeric_layer(settings: Settings, encoder: TableEncoder) -> ColumnEmbedding | None:
    """Return the embedding of the numeric columns, or None."""
    numeric = settings.numeric_embedding
    if numeric is None:
        return None
    edges = encoder.bin_edges_ if settings.n_bins else ()
    edges = tuple(one for one in edges for _ in range(settings.n_separate))
    if settings.promise is not None:
        return numeric.constrained(settings.promise.of_encoded(encoder.n_numeric_), edges)
    return numeric.with_bins(edges) if numeric.needs_bins else numeric


def _column_scales(
    settings: Settings,
    sources: NDArray[np.intp],
    n_inputs: int,
    members: Groups,
) -> list[Layer]:
    """Return the layer that scales columns, or an empty list if there is none.

    ``sources`` has the position of the column of X that each input comes from, except the
    components, which are the last of ``n_inputs`` inputs. Each component counts as a column.
    ``members`` has the positions of the inputs of each separate member, which has its own
    scales; it is empty if there are none.
    """
    if not settings.column_scales:
        return []
    used, columns = np.unique(sources, return_inverse=True)
    columns = np.concatenate([columns, used.size + np.arange(n_inputs - sources.size)])
    if members:
        offsets = (columns.max() + 1) * np.arange(len(members))
        columns = (columns[np.array(members)] + offsets[:, np.newaxis]).ravel()
    # The objective is the mean of the members' objectives.
    ridge = RIDGE_OF_SCALES * settings.alpha / settings.n_separate
    return [ColumnScales((*columns.tolist(),), ridge)]


def _groups_of_inputs(settings: Settings, sources: NDArray[np.intp]) -> Groups | None:
    """Return the positions of the inputs of each group of columns, or None without groups.

    ``sources`` has the position of the column of X that each input comes from.
    """
    if settings.groups is None:
        return None
    found = (np.flatnonzero(np.isin(sources, group)) for group in settings.groups)
    return tuple(tuple(one.tolist()) for one in found)


def _hidden_layers(
    settings: Settings, groups: Groups | None, order: Order | None
) -> tuple[list[Layer], Order | None]:
    """Return the hidden layers, each with its normalization and dropout.

    Parameters
    ----------
    settings : Settings
    groups : tuple of tuple of int or None
        The positions of the inputs of each group.
    order : Order or None
        The order of the inputs, if there are monotonic constraints. The second result is the
        order of the inputs of the next layer.
    """
    n_networks = settings.n_members * (1 if groups is None else len(groups))
    layers: list[Layer] = []
    for size, activation, dropout in zip(
        settings.hidden_layer_sizes, settings.activations, settings.dropout, strict=True
    ):
        n_units = size if groups is None else group_size(size, len(groups))
        weights: tuple[MonotoneWeights, ...] = ()
        if order is not None:
            activation, weights, order = order.layer(n_units, activation)
        # With normalization, the activation is part of the layer that normalizes.
        inner = activation if settings.normalization is None else Identity()
        layers.append(_weights_layer(settings, groups, n_units, inner, weights, not layers))
        if settings.normalization is not None:
            layers.append(NORMALIZATIONS[settings.normalization](activation, n_networks))
        if dropout.rate:
            layers.append(dropout)
    return layers, order


def _weights_layer(
    settings: Settings,
    groups: Groups | None,
    n_units: int,
    activation: Activation,
    weights: tuple[MonotoneWeights, ...],
    is_first: bool,
) -> Layer:
    """Return the part of a hidden layer that has the weights.

    ``weights`` has the set that each group's weights must stay in; without constraints, it is
    empty.
    """
    n_members = settings.n_members
    if groups is not None:
        n_used = tuple(max(1, len(one)) for one in groups) * n_members if is_first else ()
        within = Stacked(weights * n_members) if weights else None
        return GroupedDense(n_units, activation, len(groups) * n_members, n_used, within)
    if settings.n_separate > 1:
        return GroupedDense(n_units, activation, n_members)
    own = weights[0] if weights else None
    if n_members == 1:
        return Dense(n_units, activation, own)
    kind = EnsembleInput if is_first else EnsembleDense
    return kind(n_units, activation, n_members, own)


def _output_layer(
    settings: Settings, groups: Groups | None, order: Order | None, link: Link, n_outputs: int
) -> Layer:
    """Return the layer that maps the last hidden layer to the raw predictions."""
    n_raw = link.n_raw(n_outputs)
    n_constant = link.n_constant(n_raw)
    head = _head(settings, groups, order, n_raw - n_constant, link.unpromised(n_raw))
    return WithConstants(head, settings.n_members, n_constant) if n_constant else head


def _head(
    settings: Settings,
    groups: Groups | None,
    order: Order | None,
    n_raw: int,
    unpromised: tuple[int, ...],
) -> Layer:
    """Return the layer that maps the last hidden layer to ``n_raw`` outputs of each member.

    ``unpromised`` are the positions of outputs about which constraints promise nothing.
    """
    n_members, is_hidden = settings.n_members, bool(settings.hidden_layer_sizes)
    if settings.pairwise and is_hidden and groups is not None and len(groups) > 1:
        if order is not None:
            return order.pairs(n_raw, n_members, N_FACTORS, unpromised)
        return PairwiseHead(n_raw, n_members, n_groups=len(groups), n_factors=N_FACTORS)
    if n_members > 1 and (is_hidden or settings.n_separate > 1):
        return EnsembleHead(n_raw, n_members, order and order.output(unpromised))
    unpromised = tuple(n_raw * member + i for member in range(n_members) for i in unpromised)
    return Dense(n_members * n_raw, Identity(), order and order.output(unpromised))


def group_size(size: int, n_groups: int) -> int:
    """Return the size of a hidden layer of one group, given its size without groups."""
    return min(size, max(LEAST_UNITS, math.ceil(UNITS_OF_GROUPS * size / n_groups)))


def check_memory(network: Network, settings: Settings) -> None:
    """Refuse a network that cannot be trained in main memory, before it is allocated.

    Raises
    ------
    ValueError
        If the parameters, their gradient and the two vectors of an optimizer's state together
        are larger than main memory.
    """
    needed = 4 * network.n_params * np.dtype(settings.dtype).itemsize
    # If the size of memory is unknown, the largest possible array is the limit.
    limit = min(main_memory(), np.iinfo(np.intp).max)
    if needed > limit:
        raise ValueError(
            f"The network would have {Decimal(network.n_params):.4g} parameters. Training "
            f"needs {Decimal(needed) / 2**30:.4g} GiB, but main memory has {limit / 2**30:.4g} "
            f"GiB. Reduce hidden_layer_sizes={settings.hidden_layer_sizes}, "
            f"n_members={settings.n_members} or the number of columns, whichever is large."
        )
