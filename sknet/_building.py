"""The layers of a network, built from settings and an encoder."""

from collections.abc import Sequence

from sknet._settings import Settings
from sknet.data.encoding import TableEncoder
from sknet.nn.activations import Identity
from sknet.nn.components import PrincipalComponents
from sknet.nn.embeddings import ColumnEmbedding, Columns, Embedding
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput
from sknet.nn.layers import NORMALIZATIONS, Dense, Dropout, Layer
from sknet.nn.network import Network

#: The size of the vector that the network learns for each level of a category with many levels.
EMBEDDING_SIZE = 8


def make_network(settings: Settings, encoder: TableEncoder, n_raw: int) -> Network:
    """Return the network from an encoded table to ``n_raw`` raw predictions of each member."""
    n_members = settings.n_members
    hidden = _hidden_layers(settings)
    if n_members > 1 and hidden:
        output: Layer = EnsembleHead(n_raw, n_members)
    else:
        output = Dense(n_members * n_raw, Identity())
    layers = (*_input_layers(settings, encoder), *hidden, output)
    return Network(layers, encoder.n_outputs_, n_members)


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
    numeric = settings.numeric_embedding
    if numeric is not None and numeric.needs_bins:
        numeric = numeric.with_bins(encoder.bin_edges_)
    embeddings = [(1, Embedding(one.n_levels, EMBEDDING_SIZE)) for one in encoder.embedded_]
    if (numeric is None or not encoder.n_numeric_) and not embeddings:
        return []
    n_other = encoder.n_plain_ - encoder.n_numeric_
    parts = [(encoder.n_numeric_, numeric), (n_other, None), *embeddings]
    return [part for part in parts if part[0]]


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


def encoded_names(
    network: Network, encoder: TableEncoder, names: Sequence[str], levels: Sequence
) -> list[str]:
    """Return a name for each column that enters the first layer with a weight matrix.

    ``names`` are the names of the numeric columns and then of the categories, and ``levels``
    has the levels of each category. An output of an embedding is named after its column, with
    a number. Components of numbers come last.
    """
    plain, embedded = encoder.feature_names(names, levels)
    components = encoder.components_
    appended = [] if components is None else range(len(components.directions[0]))
    of_components = [f"component{i}" for i in appended]
    front = network.layers[0]
    if not isinstance(front, Columns):
        return plain + of_components
    sources = iter([*plain, *embedded])
    encoded = []
    for width, layer in front.parts:
        for j, name in enumerate([next(sources) for _ in range(width)]):
            size = 1 if layer is None else layer.output_counts(width)[j]
            encoded += [name] if layer is None else [f"{name}_{i}" for i in range(size)]
    return encoded + of_components
