"""Sample weights in units of their own: only the ratios of weights matter.

Weights enter a fit by :func:`in_own_units`, once. Everything behind it sees numbers of moderate
size, and the same ones (up to rounding) whatever the unit of the user's weights is.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

#: Whole multiples of the smallest weight count rows up to this number.
MOST_REPETITIONS = 2**31
#: Relative rounding error of the ratio of two weights that were multiplied by one number.
ROUNDING = 4 * np.finfo(np.float64).eps
#: Products of many weights are cut to the powers of two between minus this and this.
LARGEST_EXPONENT = 900


def in_own_units(weights: Weights) -> tuple[Weights | None, float]:
    """Return weights divided by their unit, and the unit.

    If all weights are whole multiples of the smallest one, it is the unit: the weights count
    repeated rows, exactly. Otherwise the unit is a power of two, so that the division is
    exact, and the largest of the weights is then between 1 and 2.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        Positive weights.

    Returns
    -------
    weights : ndarray of shape (n_rows,), or None
        None if all weights are equal.
    unit : float
    """
    smallest, largest = smallest_and_largest(weights)
    if smallest == largest:
        return None, smallest
    if are_counts(weights, smallest, largest):
        return divided(weights, smallest, True), smallest
    unit = power_of_two(largest)
    return divided(weights, unit, False), unit


def smallest_and_largest(weights: Weights) -> tuple[float, float]:
    """Return the smallest positive weight, infinity if there is none, and the largest one."""
    smallest = np.min(weights, initial=math.inf, where=weights > 0)
    return float(smallest), float(np.max(weights, initial=0.0))


def are_counts(weights: Weights, smallest: float, largest: float) -> bool:
    """Return whether all weights are whole multiples of the smallest one, up to rounding."""
    if largest > MOST_REPETITIONS * smallest:
        return False
    ratios = weights / smallest
    return bool((np.abs(ratios - np.rint(ratios)) <= ROUNDING * ratios).all())


def divided(weights: Weights, unit: float, counts: bool) -> Weights:
    """Return weights divided by a unit, and rounded if they are ``counts`` of it."""
    ratios = weights / unit
    return np.rint(ratios, out=ratios) if counts else ratios


def power_of_two(weight: float) -> float:
    """Return the largest power of two that is not larger than a positive weight."""
    return math.ldexp(1.0, math.frexp(weight)[1] - 1)


def repetitions(weights: NDArray[np.floating] | None) -> NDArray[np.floating] | None:
    """Return how often each row counts where rows are counted, or None for once each.

    ``weights`` are in own units. Weights that are no counts do not say how often a row was
    seen, and each row counts once.
    """
    # Weights that are no counts are less than two, so that those of a part of the rows are
    # whole numbers only if they are one.
    if weights is None or (weights != np.rint(weights)).any():
        return None
    return weights


def mean(weights: Weights) -> float:
    """Return the mean of positive weights, whose sum might overflow."""
    unit = power_of_two(float(weights.max()))
    return float(np.mean(weights / unit)) * unit


def product(factors: Iterable[Weights]) -> Weights:
    """Return the product of weights of at least zero, cut where it would overflow."""
    # Mantissas are multiplied, and exponents added, so that no product in between overflows.
    first, *others = factors
    value, exponent = np.frexp(first)
    for factor in others:
        mantissa, more = np.frexp(factor)
        value, carried = np.frexp(value * mantissa)
        exponent += more + carried
    return np.ldexp(value, np.clip(exponent, -LARGEST_EXPONENT, LARGEST_EXPONENT))
