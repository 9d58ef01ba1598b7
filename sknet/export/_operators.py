"""Activations and inverse links as formulas of ONNX operators.

A formula is the counterpart of a rule of ``sknet.nn``. It takes the rule and a tensor. Where
runtimes implement an operator of ONNX for float32 only, the formula is written out.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np

from sknet.export._graph import Tensor
from sknet.nn import activations, links, monotone

#: A function of a rule and its input that returns the output.
Formula: TypeAlias = Callable[[Any, Tensor], Tensor]
Entry = TypeVar("Entry")


def identity(rule: object, z: Tensor) -> Tensor:
    """Return the tensor itself."""
    return z


def softplus(rule: object, z: Tensor) -> Tensor:
    """Return log(1 + exp(z)) without overflow."""
    return z.maximum(0) + ((-z.op("Abs")).op("Exp") + 1).op("Log")


def _leaky_relu(rule: activations.LeakyReLU, z: Tensor) -> Tensor:
    return z.maximum(z * rule.slope)


def _expm1_below_zero(z: Tensor) -> Tensor:
    """Return exp(z) - 1 for negative z, else 0."""
    return z.minimum(0).op("Exp") - 1


def _elu(rule: object, z: Tensor) -> Tensor:
    return z.maximum(_expm1_below_zero(z))


def _selu(rule: activations.SELU, z: Tensor) -> Tensor:
    return (z.maximum(0) + _expm1_below_zero(z) * rule.alpha) * rule.scale


def _silu(rule: object, z: Tensor) -> Tensor:
    return z * ((z * 0.5).op("Tanh") * 0.5 + 0.5)


def _gelu(rule: object, z: Tensor) -> Tensor:
    # Runtimes implement the error function for float32 only.
    u = (z * (1 / math.sqrt(2))).cast(np.float32)
    return z * (u.op("Erf").cast(z.dtype) + 1) * 0.5


def _mish(rule: object, z: Tensor) -> Tensor:
    # tanh(softplus(z)) with a single exponential, as in sknet.nn.activations.
    e = z.minimum(20).op("Exp")
    n = e * (e + 2)
    return z * (n / (n + 2))


def _smooth_relu(rule: object, z: Tensor) -> Tensor:
    bend = z.maximum(-2).minimum(2) + 2
    return z.maximum((bend * bend) * 0.125)


def _reflected(rule: monotone.Reflected, z: Tensor) -> Tensor:
    n_units = rule.n_units
    if not n_units:
        return activate(rule.activation, z)
    first = activate(rule.activation, z.columns(0, -n_units))
    last = activate(rule.activation, -z.columns(-n_units, np.iinfo(np.int64).max))
    return z.graph.concat([first, -last], axis=-1)


def _by_unit(rule: monotone.ByUnit, z: Tensor) -> Tensor:
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
    """Return the activation of z, whose last axis has the units, maybe of several members."""
    return counterpart("activation", ACTIVATIONS, activation)(activation, z)


ACTIVATIONS: dict[type[activations.Activation], Formula] = {
    activations.Identity: identity,
    activations.Logistic: lambda rule, z: z.op("Sigmoid"),
    activations.Tanh: lambda rule, z: z.op("Tanh"),
    activations.ReLU: lambda rule, z: z.maximum(0),
    activations.LeakyReLU: _leaky_relu,
    activations.ELU: _elu,
    activations.SELU: _selu,
    activations.SiLU: _silu,
    activations.GELU: _gelu,
    activations.Mish: _mish,
    activations.Softplus: softplus,
    monotone.SmoothReLU: _smooth_relu,
    monotone.Reflected: _reflected,
    monotone.ByUnit: _by_unit,
}


def _increasing(link: links.Increasing, raw: Tensor) -> Tensor:
    """Return the first number, and the sums of it and the positive steps."""
    first, steps = raw.columns(0, 1), raw.columns(1, link.n_values)
    terms = raw.graph.concat([first, softplus(link, steps)], axis=-1)
    axis = raw.graph.constant(-1, np.int64)
    return terms.op("CumSum", axis)


INVERSE_LINKS: dict[type[links.Link], Formula] = {
    links.Identity: identity,
    links.Log: lambda link, raw: raw.op("Exp"),
    links.Logit: lambda link, raw: raw.op("Sigmoid"),
    links.Softmax: lambda link, raw: raw.op("Softmax", axis=-1),
    links.Increasing: _increasing,
    # The log standard deviations stand beside the means.
    links.MeanAndStd: lambda link, raw: raw.every_second(0),
}


def _std(link: links.MeanAndStd, raw: Tensor) -> Tensor:
    low, high = links.LOG_STD_LIMITS
    return raw.every_second(1).maximum(low).minimum(high).op("Exp")


#: The standard deviations of the links that tell one.
STDS: dict[type[links.Link], Formula] = {links.MeanAndStd: _std}


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
        f"exported. Only these have one: {known}. Fit the estimator with one of them, or store "
        "it with joblib or skops."
    )
