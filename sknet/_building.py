"""The layers of a network, built from settings and an encoder."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sknet._settings import Settings
from sknet.data.encoding import TableEncoder
from sknet.data.tables import TableReader
from sknet.nn.activations import Identity
from sknet.nn.embeddings import Columns, Embedding
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput
from sknet.nn.groups import GroupColumns, GroupedDense, PairwiseHead
from sknet.nn.layers import NORMALIZATIONS, Dense, Dropout, Layer
from sknet.nn.network import Network
from sknet.nn.types import Groups

#: The size of the vector that the network learns for each level of a category with many levels.
EMBEDDING_SIZE = 8
#: The size of a hidden layer of all groups of columns together, in sizes of a network without
#: groups, and its smallest size for one group, if it is not set smaller.
UNITS_OF_GROUPS, LEAST_UNITS = 2, 8
#: The number of factors of each column, whose products describe pairs of columns.
N_FACTORS = 32


def make_network(
    settings: Settings, encoder: TableEncoder, reader: TableReader | None, n_raw: int
) -> Network:
    """Return the network from an encoded table to ``n_raw`` raw predictions of each member."""
    front = _input_layers(settings, encoder)
    if settings.groups is None:
        layers = *_hidden_layers(settings), _output_layer(settings, n_raw)
    else:
        sources = column_sources(front, encoder, reader)[1]
        layers = tuple(_grouped_layers(settings, settings.groups, sources, n_raw))
    before_link = settings.groups is not None
    return Network((*front, *layers), encoder.n_outputs_, settings.n_members, before_link)


def _input_layers(settings: Settings, encoder: TableEncoder) -> list[Layer]:
    """Return the layer that embeds numbers and categories; an empty list if there are none."""
    numeric = settings.numeric_embedding
    if numeric is not None and numeric.needs_bins:
        numeric = numeric.with_bins(encoder.bin_edges_)
    embeddings = [(1, Embedding(one.n_levels, EMBEDDING_SIZE)) for one in encoder.embedded_]
    if (numeric is None or not encoder.n_numeric_) and not embeddings:
        return []
    n_other = encoder.n_plain_ - encoder.n_numeric_
    parts = [(encoder.n_numeric_, numeric), (n_other, None), *embeddings]
    return [Columns(tuple(part for part in parts if part[0]))]


def column_sources(
    front: Sequence[Layer], encoder: TableEncoder, reader: TableReader | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each input of the first layer that mixes columns comes from.

    Parameters
    ----------
    front : sequence of Layer
        The layers before, of which there is one at the most: it embeds single columns.
    encoder : TableEncoder
    reader : TableReader or None

    Returns
    -------
    encoded, sources : ndarray of int
        The positions of the encoded column and of the column of X.
    """
    encoded = np.arange(encoder.n_outputs_)
    for layer in front:
        if isinstance(layer, Columns):
            encoded = np.repeat(encoded, layer.output_counts(encoded.size))
    sources = encoder.sources_ if reader is None else reader.order_[encoder.sources_]
    return encoded, sources[encoded]


def _hidden_layers(settings: Settings) -> list[Layer]:
    """Return the hidden layers, each with its normalisation and dropout."""
    n_members = settings.n_members
    layers: list[Layer] = []
    for size, activation, dropout in zip(
        settings.hidden_layer_sizes, settings.activations, settings.dropout, strict=True
    ):
        # With normalisation, the activation is part of the layer that normalises.
        inner = activation if settings.normalization is None else Identity()
        if n_members == 1:
            layers.append(Dense(size, inner))
        else:
            kind = EnsembleDense if layers else EnsembleInput
            layers.append(kind(size, inner, n_members))
        if settings.normalization is not None:
            layers.append(NORMALIZATIONS[settings.normalization](activation, n_members))
        if dropout:
            layers.append(Dropout(dropout))
    return layers


def _output_layer(settings: Settings, n_raw: int) -> Layer:
    """Return the layer that maps the last hidden layer to the raw predictions."""
    if settings.n_members > 1 and settings.hidden_layer_sizes:
        return EnsembleHead(n_raw, settings.n_members)
    return Dense(settings.n_members * n_raw, Identity())


def _grouped_layers(
    settings: Settings, groups: Groups, sources: NDArray[np.intp], n_raw: int
) -> Iterator[Layer]:
    """Yield the layers of groups of columns with networks of their own.

    ``sources`` has the position of the column of X that each input comes from. Each member has
    a network of its own for each group, of inputs of its own.
    """
    inputs = [tuple(np.flatnonzero(np.isin(sources, group)).tolist()) for group in groups]
    if not settings.hidden_layer_sizes:
        yield GroupColumns(tuple(inputs))
        yield _output_layer(settings, n_raw)
        return
    inputs *= settings.n_members
    yield GroupColumns(tuple(inputs))
    n_used = tuple(max(1, len(one)) for one in inputs)
    for size, activation, dropout in zip(
        settings.hidden_layer_sizes, settings.activations, settings.dropout, strict=True
    ):
        inner = activation if settings.normalization is None else Identity()
        yield GroupedDense(group_size(size, len(groups)), inner, len(inputs), n_used)
        if settings.normalization is not None:
            yield NORMALIZATIONS[settings.normalization](activation, len(inputs))
        if dropout:
            yield Dropout(dropout)
        n_used = ()
    if settings.pairwise and len(groups) > 1:
        yield PairwiseHead(n_raw, settings.n_members, len(groups), N_FACTORS)
    else:
        yield _output_layer(settings, n_raw)


def group_size(size: int, n_groups: int) -> int:
    """Return the size of a hidden layer of one group, given that without groups."""
    return min(size, max(LEAST_UNITS, math.ceil(UNITS_OF_GROUPS * size / n_groups)))


def encoded_names(
    network: Network, encoder: TableEncoder, names: Sequence[str], levels: Sequence
) -> list[str]:
    """Return a name for each column that enters the first layer with a weight matrix.

    ``names`` are the names of the numeric columns and then of the categories, and ``levels``
    has the levels of each category. An output of an embedding is named after its column, with
    a number.
    """
    plain, embedded = encoder.feature_names(names, levels)
    front = network.layers[0]
    if not isinstance(front, Columns):
        return plain
    sources = iter([*plain, *embedded])
    encoded = []
    for width, layer in front.parts:
        for j, name in enumerate([next(sources) for _ in range(width)]):
            size = 1 if layer is None else layer.output_counts(width)[j]
            encoded += [name] if layer is None else [f"{name}_{i}" for i in range(size)]
    return encoded
