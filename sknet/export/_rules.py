"""The rules of ``sknet.nn`` as ONNX operators: activations, inverse links and layers.

A formula is the counterpart of an activation or a link: it takes the rule and a tensor. The
function of a layer takes the layer, its parameters, the input and the number of input columns,
and writes the forward pass of prediction, without dropout. Where runtimes implement an ONNX
operator only for float32, the formula is written out, except for the error function.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np

from sknet.export._graph import Tensor
from sknet.nn import activations, embeddings, links
from sknet.nn.activations import Reflected, Softplus
from sknet.nn.columns import (
    Columns,
    ColumnScales,
    Embedding,
    PrincipalComponents,
    Repeated,
    of_part,
)
from sknet.nn.cumulative import (
    LOG_GAP_LIMITS,
    Cumulative,
    CumulativeCLogLog,
    CumulativeLogit,
    CumulativeProbit,
    even_thresholds,
)
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput, WithConstants
from sknet.nn.groups import GroupColumns, GroupedDense, PairwiseHead, gathering
from sknet.nn.kernels import Array, Views, bins_between
from sknet.nn.layers import Blocks, Dense, Dropout, Layer, LayerNorm
from sknet.nn.monotone import ByUnit, MonotonePairwiseHead, SmoothReLU
from sknet.nn.network import Network

#: A function of a rule and its input that returns the output.
Formula: TypeAlias = Callable[[Any, Tensor], Tensor]
Entry = TypeVar("Entry")


def _smooth_relu(rule: object, z: Tensor) -> Tensor:
    bend = z.maximum(-2).minimum(2) + 2
    return z.maximum((bend * bend) * 0.125)


def _reflected(rule: Reflected, z: Tensor) -> Tensor:
    n_units = rule.n_units
    if not n_units:
        return activate(rule.activation, z)
    first = activate(rule.activation, z.columns(0, -n_units))
    last = activate(rule.activation, -z.columns(-n_units))
    return z.graph.concat([first, -last], axis=-1)


def _by_unit(rule: ByUnit, z: Tensor) -> Tensor:
    n_units = sum(n for n, _ in rule.parts)
    by_member = z.op("Reshape", z.graph.constant([-1, n_units], np.int64))
    parts, taken = [], []
    for (n, activation), places in rule.kinds.items():
        where = np.concatenate([np.arange(n_units)[place] for place in places])
        stretches = by_member.take(where, axis=1).reshape(0, len(places), n)
        parts.append(activate(activation, stretches).reshape(0, where.size))
        taken.append(where)
    together = z.graph.concat(parts, axis=-1)
    back = np.argsort(np.concatenate(taken))
    if (np.diff(back) < 0).any():
        together = together.take(back, axis=1)
    return together.op("Reshape", z.op("Shape", dtype=np.int64))


def activate(activation: activations.Activation, z: Tensor) -> Tensor:
    """Return the activation of z, whose last axis has the units of one or several members."""
    return counterpart("activation", ACTIVATIONS, activation)(activation, z)


ACTIVATIONS: dict[type[activations.Activation], Formula] = {
    **{cls: cls.operators for cls in activations.ACTIVATIONS.values()},
    SmoothReLU: _smooth_relu,
    Reflected: _reflected,
    ByUnit: _by_unit,
}


def _increasing(link: links.Increasing, raw: Tensor) -> Tensor:
    """Return the first number, followed by its sums with the positive steps."""
    first, steps = raw.columns(0, 1), raw.columns(1, link.n_values)
    terms = raw.graph.concat([first, Softplus().operators(steps)], axis=-1)
    return terms.op("CumSum", raw.graph.constant(-1, np.int64))


def _cumulative(link: Cumulative, raw: Tensor) -> Tensor:
    """Return the probabilities of classes that have an order, even if there are only two."""
    even = even_thresholds(link, len(link.order) - 1)
    zero = raw.columns(0, 1) * 0
    z = zero + even[0] - raw.columns(0, 1)
    if even.size > 1:
        gaps = raw.columns(1, even.size).maximum(LOG_GAP_LIMITS[0]).minimum(LOG_GAP_LIMITS[1])
        z = raw.graph.concat([z, gaps.op("Exp") * np.diff(even)], axis=-1)
    below = DISTRIBUTIONS[type(link)](z.op("CumSum", raw.graph.constant(-1, np.int64)))
    upper = raw.graph.concat([below, zero + 1], axis=-1)
    p = upper - raw.graph.concat([zero, below], axis=-1)
    return p.take(np.argsort(link.order), axis=-1) if link.is_permuted else p


#: The distribution functions of cumulative links.
DISTRIBUTIONS: dict[type[Cumulative], Callable[[Tensor], Tensor]] = {
    CumulativeLogit: lambda z: z.op("Sigmoid"),
    CumulativeProbit: Tensor.ndtr,
    CumulativeCLogLog: lambda z: -(-z.minimum(80).op("Exp")).op("Exp") + 1,
}


def median(link: Cumulative, proba: Tensor) -> Tensor:
    """Return the position of each row's median among the sorted classes."""
    in_order = proba.take(link.order, axis=1) if link.is_permuted else proba
    below = in_order.op("CumSum", proba.graph.constant(1, np.int64))
    # The last sum is one, up to rounding.
    passed = below.columns(0, len(link.order) - 1).op("Less", 0.5, dtype=bool)
    places = passed.cast(np.int64).sum(1, keepdims=False)
    return places.rows_of(np.array(link.order, np.int64)) if link.is_permuted else places


INVERSE_LINKS: dict[type[links.Link], Formula] = {
    links.Identity: lambda link, raw: raw,
    links.Log: lambda link, raw: (raw * np.array(link.spread)).op("Exp"),
    links.Logit: lambda link, raw: raw.op("Sigmoid"),
    links.Softmax: lambda link, raw: raw.op("Softmax", axis=-1),
    links.Increasing: _increasing,
    **dict.fromkeys(DISTRIBUTIONS, _cumulative),
    # The log standard deviations stand beside the means.
    links.MeanAndStd: lambda link, raw: raw.columns(0, step=2),
}


def predicted_std(raw: Tensor) -> Tensor:
    """Return the standard deviations that ``links.MeanAndStd`` has beside the means."""
    low, high = links.LOG_STD_LIMITS
    return raw.columns(1, step=2).maximum(low).minimum(high).op("Exp")


def counterpart(kind: str, table: Mapping[type, Entry], rule: object) -> Entry:
    """Return the entry of a table for the class of a rule.

    A subclass of a class in the table has no entry, since it may compute something else.
    ``kind`` is the word for such rules in the message.

    Raises
    ------
    NotImplementedError
        If there is no entry, because the rule is a user's own.
    """
    if type(rule) in table:
        return table[type(rule)]
    known = ", ".join(sorted(cls.__name__ for cls in table))
    raise NotImplementedError(
        f"The {kind} {rule!r} has no counterpart in ONNX operators, so the estimator cannot be "
        f"exported. Only these have one: {known}. Fit the estimator with one of them, or save "
        "it with joblib or skops."
    )


def network_outputs(network: Network, params: Array, x: Tensor) -> Tensor:
    """Return the raw predictions of encoded rows, member by member."""
    widths = network.widths
    for layer, views, width in zip(network.layers, network.views(params), widths, strict=False):
        x = _outputs(layer, views, x, width)
    return x


def _outputs(layer: Layer | None, params: Views, x: Tensor, width: int) -> Tensor:
    """Return the outputs of a layer, by its function in ``LAYERS``."""
    return counterpart("layer", LAYERS, layer)(layer, params, x, width)


def _dense(layer: Dense, params: Views, x: Tensor, width: int) -> Tensor:
    return activate(layer.activation, x @ params.weight + params.bias)


def _dropout(layer: Dropout, params: Views, x: Tensor, width: int) -> Tensor:
    return x


def _layer_norm(layer: LayerNorm, params: Views, x: Tensor, width: int) -> Tensor:
    size = width // layer.n_groups
    u = x.reshape(0, layer.n_groups, size)
    u = u - u.sum(-1) * (1 / size)
    variance = (u * u).sum(-1) * (1 / size)
    u = u / (variance + layer.epsilon).op("Sqrt")
    return activate(layer.activation, u.reshape(0, width) * params.gain + params.bias)


def _ensemble_input(layer: EnsembleInput, params: Views, x: Tensor, width: int) -> Tensor:
    # The graph multiplies the shared weights by the scales of each member: stored products
    # would make the file n_members times as large.
    weight = x.graph.constant(params.weight[:, np.newaxis, :])
    scaled = weight * params.scale.T[:, :, np.newaxis]
    z = x @ scaled.reshape(width, layer.n_outputs(width)) + params.bias.ravel()
    return activate(layer.activation, z)


def _ensemble_dense(layer: EnsembleDense, params: Views, x: Tensor, width: int) -> Tensor:
    members = x.reshape(0, *params.scale.shape) * params.scale
    z = members @ params.weight + params.bias
    return activate(layer.activation, z).reshape(0, layer.n_outputs(width))


def _blocks(layer: Blocks, params: Views, x: Tensor, width: int) -> Tensor:
    n_blocks, n_inputs, _ = params.weight.shape
    z = x.reshape(0, n_blocks, n_inputs).einsum("nmi,mij->nmj", params.weight) + params.bias
    return activate(layer.activation, z).reshape(0, layer.n_outputs(width))


def _with_constants(layer: WithConstants, params: Views, x: Tensor, width: int) -> Tensor:
    n_members, n_constants = params.constant.shape
    n_varying = layer.head.n_outputs(width) // n_members
    members = _outputs(layer.head, params, x, width).reshape(0, n_members, n_varying)
    constants = members.columns(0, 1) * 0 + params.constant
    joined = x.graph.concat([members, constants], axis=-1)
    return joined.reshape(0, n_members * (n_varying + n_constants))


def _group_columns(layer: GroupColumns, params: Views, x: Tensor, width: int) -> Tensor:
    places = gathering(layer.groups, width)
    gathered = x.take(places.columns, axis=1)
    if not places.padding.size:
        return gathered
    kept = np.ones(layer.n_outputs(width), x.dtype)
    kept[places.padding] = 0
    return gathered * kept


def _column_scales(layer: ColumnScales, params: Views, x: Tensor, width: int) -> Tensor:
    return x * params.column_scale[list(layer.columns)]


def _pairwise_head(layer: PairwiseHead, params: Views, x: Tensor, width: int) -> Tensor:
    by_group = x.reshape(0, layer.n_all, width // layer.n_all)
    factors = by_group.einsum("ngi,gij->ngj", params.factor)
    if isinstance(layer, MonotonePairwiseHead):
        factors = activate(layer.function, factors + params.offset)
    factors = factors.reshape(0, layer.n_members, layer.n_groups, layer.n_factors)
    if isinstance(layer, MonotonePairwiseHead):
        # Without a subtraction, as in the layer itself, so that rounding keeps the order.
        before = factors.op("CumSum", x.graph.constant(2, np.int64), exclusive=1)
        products = (factors * before).sum(2, keepdims=False) * layer.pair_scale
    else:
        sums = factors.sum(2, keepdims=False)
        squares = (factors * factors).sum(2, keepdims=False)
        products = (sums * sums - squares) * (layer.pair_scale / 2)
    pairs = products.einsum("nmk,mkj->nmj", params.strength)
    return _blocks(layer, params, x, width) + pairs.reshape(0, layer.n_outputs(width))


def _repeated(layer: Repeated, params: Views, x: Tensor, width: int) -> Tensor:
    return x.take(np.repeat(np.arange(width), layer.size), axis=1)


def _columns(layer: Columns, params: Views, x: Tensor, width: int) -> Tensor:
    outputs, order = [], np.arange(layer.n_outputs(width))
    for name, n_columns, where, _, inner in layer.places:
        if isinstance(where, slice):
            part = x.columns(where.start, where.stop)
        else:
            part = x.take(where, axis=1)
        if inner is not None:
            part = _outputs(inner, of_part(params, name), part, n_columns)
        outputs.append(part)
    places = np.concatenate([order[place.outputs] for place in layer.places])
    joined = x.graph.concat(outputs)
    return joined if (places == order).all() else joined.take(np.argsort(places), axis=1)


def _components(layer: PrincipalComponents, params: Views, x: Tensor, width: int) -> Tensor:
    numbers = x.take(np.array(layer.columns), axis=1)
    centered = numbers - np.array(layer.center)
    components = centered @ np.array(layer.directions)
    limited = components.maximum(np.array(layer.low)).minimum(np.array(layer.high))
    return x.graph.concat([x, limited])


def _embedding(layer: Embedding, params: Views, x: Tensor, width: int) -> Tensor:
    # The level number after the last one stands for none of the levels. Its vector is the mean.
    table = np.vstack([params.table, params.table.mean(axis=0)])
    return x.cast(np.int64).rows_of(table)


def _mapped(
    layer: embeddings.MappedFeatures, params: Views, x: Tensor, basis: Tensor
) -> Tensor:
    """Return each number, followed by linear combinations of its features.

    ``basis`` holds the features of the numbers, in the shape (rows, numbers, features).
    """
    n_numbers = params.map.shape[0]
    number = x.reshape(0, n_numbers, 1)
    mapped = basis.einsum("ndk,dks->nds", params.map) + params.offset
    return x.graph.concat([number, mapped], axis=2).reshape(0, layer.n_outputs(n_numbers))


def _periodic(layer: embeddings.Periodic, params: Views, x: Tensor, width: int) -> Tensor:
    # cos(u) = sin(u + pi / 2): older runtimes implement only the sine for float64.
    turns = x.reshape(0, width, 1) * params.frequency + (params.phase + 0.25)
    return _mapped(layer, params, x, (turns * (2 * math.pi)).op("Sin"))


def _piecewise_linear(
    layer: embeddings.MappedPiecewiseLinear, params: Views, x: Tensor, width: int
) -> Tensor:
    column, low, inverse_width, smallest, largest = bins_between(layer.edges, x.dtype)
    reach = (x.take(column, axis=1) - low) * inverse_width
    reach = reach.maximum(smallest).minimum(largest)
    return _mapped(layer, params, x, reach.reshape(0, width, layer.n_features))


#: The function for each class of layers.
LAYERS: dict[type[Layer], Callable[[Any, Views, Tensor, int], Tensor]] = {
    Dense: _dense,
    Dropout: _dropout,
    LayerNorm: _layer_norm,
    EnsembleInput: _ensemble_input,
    EnsembleDense: _ensemble_dense,
    EnsembleHead: _blocks,
    WithConstants: _with_constants,
    PrincipalComponents: _components,
    GroupColumns: _group_columns,
    ColumnScales: _column_scales,
    GroupedDense: _blocks,
    PairwiseHead: _pairwise_head,
    MonotonePairwiseHead: _pairwise_head,
    Repeated: _repeated,
    Columns: _columns,
    Embedding: _embedding,
    embeddings.Periodic: _periodic,
    embeddings.MappedPiecewiseLinear: _piecewise_linear,
    embeddings.RisingPiecewiseLinear: _piecewise_linear,
}
