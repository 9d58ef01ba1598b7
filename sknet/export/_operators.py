"""Activations and inverse links as formulas of ONNX operators.

Each formula takes the counterpart of a rule, the rule itself and a tensor. Where an operator of
ONNX is implemented for float32 alone, the formula is written out.
"""

import math

import numpy as np

from sknet.nn import activations, losses


def identity(rule, z):
    """Return the tensor itself."""
    return z


def softplus(rule, z):
    """Return log(1 + exp(z)) without overflow."""
    return z.maximum(0) + ((-z.op("Abs")).op("Exp") + 1).op("Log")


def _leaky_relu(rule, z):
    return z.maximum(z * rule.slope)


def _expm1_below_zero(z):
    return z.minimum(0).op("Exp") - 1


def _elu(rule, z):
    return z.maximum(_expm1_below_zero(z))


def _selu(rule, z):
    return (z.maximum(0) + _expm1_below_zero(z) * rule.alpha) * rule.scale


def _silu(rule, z):
    return z * ((z * 0.5).op("Tanh") * 0.5 + 0.5)


def _gelu(rule, z):
    # Runtimes have the error function in float32 only.
    u = (z * (1 / math.sqrt(2))).cast(np.float32)
    return z * (u.op("Erf").cast(z.dtype) + 1) * 0.5


def _mish(rule, z):
    # As in sknet.nn.activations: tanh(softplus(z)) by one exponential.
    e = z.minimum(20).op("Exp")
    n = e * (e + 2)
    return z * (n / (n + 2))


ACTIVATIONS = {
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
}


def _quantiles(rule, raw):
    """Return the first quantile, and each further one by a positive step."""
    if not rule.several:
        return raw
    n_quantiles = len(rule.quantile)
    steps = [raw.columns(0, 1), softplus(rule, raw.columns(1, n_quantiles))]
    steps = raw.graph.concat(steps, axis=-1)
    axis = raw.graph.constant(-1, np.int64)
    return steps.op("CumSum", axis)


def _exponential(rule, raw):
    return raw.op("Exp")


INVERSE_LINKS = {
    losses.SquaredError: identity,
    losses.AbsoluteError: identity,
    losses.Huber: identity,
    losses.Pinball: _quantiles,
    losses.HalfPoisson: _exponential,
    losses.HalfGamma: _exponential,
    losses.BinaryLogLoss: lambda rule, raw: raw.op("Sigmoid"),
    losses.MultinomialLogLoss: lambda rule, raw: raw.op("Softmax", axis=-1),
}


def counterpart(table, rule):
    """Return the entry of a table for a rule's very class.

    Raises
    ------
    NotImplementedError
        If there is none: the rule is a user's own.
    """
    try:
        return table[type(rule)]
    except KeyError:
        known = sorted(cls.__name__ for cls in table)
        bases = [cls for cls in type(rule).__mro__ if cls.__module__.startswith("sknet.nn.")]
        kind = bases[-1].__name__.lower()
        raise NotImplementedError(
            f"The {kind} {rule!r} has no counterpart in ONNX operators, so the estimator "
            f"cannot be exported. These can: {', '.join(known)}. Ship it with joblib or skops, "
            "or fit it with one of them."
        ) from None
