"""Layers as ONNX operators: the forward pass once more, without dropout."""

import math

import numpy as np

from sknet.export._operators import ACTIVATIONS, counterpart
from sknet.nn import embeddings, ensembles, layers
from sknet.nn.embeddings import named


def network_outputs(network, params, x):
    """Return the raw predictions of encoded rows, member after member."""
    widths = network.widths
    for layer, views, width in zip(network.layers, network.views(params), widths, strict=False):
        x = counterpart(LAYERS, layer)(layer, views, x, width)
    return x


def activate(activation, z):
    """Return the activation of z."""
    return counterpart(ACTIVATIONS, activation)(activation, z)


def _dense(layer, params, x, width):
    return activate(layer.activation, x @ params.weight + params.bias)


def _dropout(layer, params, x, width):
    return x


def _layer_norm(layer, params, x, width):
    size = width // layer.n_groups
    u = x.reshape(0, layer.n_groups, size)
    u = u - u.sum(-1) * (1 / size)
    variance = (u * u).sum(-1) * (1 / size)
    u = u / (variance + layer.epsilon).op("Sqrt")
    return activate(layer.activation, u.reshape(0, width) * params.gain + params.bias)


def _ensemble_input(layer, params, x, width):
    # Spread out by the graph, not in the file, which would hold the weights of each member.
    weight = x.graph.constant(params.weight[:, np.newaxis, :])
    scaled = weight * params.scale.T[:, :, np.newaxis]
    z = x @ scaled.reshape(width, layer.n_outputs(width)) + params.bias.ravel()
    return activate(layer.activation, z)


def _ensemble_dense(layer, params, x, width):
    members = x.reshape(0, *params.scale.shape) * params.scale
    z = members @ params.weight + params.bias
    return activate(layer.activation, z).reshape(0, layer.n_outputs(width))


def _ensemble_head(layer, params, x, width):
    n_members, n_inputs, _ = params.weight.shape
    members = x.reshape(0, n_members, n_inputs)
    raw = members.einsum("nmi,mij->nmj", params.weight) + params.bias
    return raw.reshape(0, layer.n_outputs(width))


def _columns(layer, params, x, width):
    outputs = []
    for i, (start, stop), _, inner in layer.walk():
        part = x.columns(start, stop)
        if inner is not None:
            convert = counterpart(LAYERS, inner)
            part = convert(inner, named(vars(params), i), part, stop - start)
        outputs.append(part)
    return x.graph.concat(outputs)


def _embedding(layer, params, x, width):
    # The level number past the last stands for none of the levels: the mean.
    table = np.vstack([params.table, params.table.mean(axis=0)])
    levels = x.cast(np.int64).reshape(-1)
    return x.graph.constant(table).take(levels, axis=0)


def _mapped(layer, params, x, features):
    n_columns = params.map.shape[0]
    column = x.reshape(0, n_columns, 1)
    mapped = features.einsum("ndk,dks->nds", params.map) + params.offset
    return x.graph.concat([column, mapped], axis=2).reshape(0, layer.n_outputs(n_columns))


def _periodic(layer, params, x, width):
    # The cosine as a sine a quarter turn ahead, which older runtimes have in float64 too.
    turns = x.reshape(0, width, 1) * params.frequency + (params.phase + 0.25)
    return _mapped(layer, params, x, (turns * (2 * math.pi)).op("Sin"))


def _piecewise_linear(layer, params, x, width):
    column, low, inverse_width, smallest, largest = layer.bins(x.dtype)
    reach = (x.take(column, axis=1) - low) * inverse_width
    return reach.maximum(smallest).minimum(largest)


def _mapped_piecewise_linear(layer, params, x, width):
    reach = _piecewise_linear(layer.encoding, None, x, width)
    return _mapped(layer, params, x, reach.reshape(0, width, layer.n_features))


LAYERS = {
    layers.Dense: _dense,
    layers.Dropout: _dropout,
    layers.LayerNorm: _layer_norm,
    ensembles.EnsembleInput: _ensemble_input,
    ensembles.EnsembleDense: _ensemble_dense,
    ensembles.EnsembleHead: _ensemble_head,
    embeddings.Columns: _columns,
    embeddings.Embedding: _embedding,
    embeddings.Periodic: _periodic,
    embeddings.PiecewiseLinear: _piecewise_linear,
    embeddings.MappedPiecewiseLinear: _mapped_piecewise_linear,
}
