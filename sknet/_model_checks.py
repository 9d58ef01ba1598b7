"""Refusals of networks, targets and losses that no model can be made of."""

from decimal import Decimal
from typing import Any

import numpy as np

from sknet._settings import Settings
from sknet.data.limits import SINGLE_LIMITS
from sknet.data.row_blocks import main_memory
from sknet.data.targets import RegressionTarget
from sknet.nn.losses import Loss
from sknet.nn.network import Network


def check_memory(network: Network, settings: Settings) -> None:
    """Refuse a network that cannot be trained in the main memory, before it is allocated.

    Raises
    ------
    ValueError
        If the parameters, their gradient and the two vectors of the state of an optimizer are
        larger than the main memory.
    """
    needed = 4 * network.n_params * np.dtype(settings.dtype).itemsize
    # Without a known size of the memory, the largest array is the limit.
    limit = min(main_memory(), np.iinfo(np.intp).max)
    if needed > limit:
        raise ValueError(
            f"The network would have {Decimal(network.n_params):.4g} parameters. To train them "
            f"takes {Decimal(needed) / 2**30:.4g} GiB, but the main memory has "
            f"{limit / 2**30:.4g} GiB. "
            f"Choose smaller hidden_layer_sizes={settings.hidden_layer_sizes}, fewer "
            f"n_members={settings.n_members}, or fewer columns."
        )


def check_domain(loss: Loss, y: np.ndarray, name: str) -> None:
    """Refuse targets that the loss is not defined for.

    Raises
    ------
    ValueError
        If a value of y is outside of the loss's domain, or if a loss of several quantiles is
        used for several outputs.
    """
    if not loss.in_domain(y):
        raise ValueError(
            f"{type(loss).__name__} needs {loss.domain}; {name} has values from {y.min():.6g} "
            f"to {y.max():.6g}."
        )
    n_outputs = 1 if y.ndim == 1 else y.shape[1]
    if n_outputs > 1 and loss.predicts_quantiles:
        raise ValueError(
            f"A list of quantiles needs one output, but {name} has {n_outputs}. Fit one "
            "regressor for each output, or give one quantile."
        )


def check_precision(target: RegressionTarget, settings: Settings, dtype: np.dtype[Any]) -> None:
    """Refuse numbers that predictions for X of a dtype, or the network, could not hold.

    Raises
    ------
    ValueError
        If the predictions are float32, or if y is not scaled and the network computes in
        float32, and y is much too large or too small for float32.
    """
    low, high = SINGLE_LIMITS
    if not target.fits(dtype):
        raise ValueError(
            "X is float32, and so are its predictions, but float32 cannot hold them: the "
            f"magnitude of an output of the training y is not between {low:g} and {high:g}. "
            "Pass X as float64, or train on y in other units."
        )
    if not settings.standardize and not target.fits(np.dtype(settings.dtype)):
        raise ValueError(
            "With standardize=False the network is trained on y as it is, in float32, but the "
            f"magnitude of an output of y is not between {low:g} and {high:g}. Set "
            "dtype='float64' or standardize=True, or train on y in other units."
        )


def check_scale(target: RegressionTarget, loss: Loss) -> RegressionTarget:
    """Return the target after a check that its scale is positive.

    Raises
    ------
    ValueError
        If the loss divides y by its mean, and all values of an output are zero.
    """
    if not (target.scale_ > 0).all():
        raise ValueError(f"{type(loss).__name__} needs y that are not all zero.")
    return target
