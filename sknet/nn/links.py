"""Links: functions that turn predictions into the raw predictions of a network.

To add one, derive a class from :class:`Link`, write ``inverse`` and its derivative, and name it
in the losses that use it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from scipy import special

from sknet.nn.kernels import Array

#: The limits of a predicted log standard deviation, in units of the standardized y.
LOG_STD_LIMITS = (-20.0, 20.0)
# A change of raw predictions: a factor and a shift, with an entry for each raw prediction.
Change: TypeAlias = tuple[Array, Array]


@dataclass(frozen=True)
class Link(ABC):
    """A function g with g(prediction) = raw, where predictions are means or probabilities.

    A network computes raw predictions, and a loss names the link, whose inverse returns the
    predictions. The last axis of all arrays has the columns of a row.
    """

    #: The inverse's name, as in scikit-learn's ``out_activation_``.
    out_activation: ClassVar[str] = "identity"
    #: Whether the probabilities of several columns sum to one, as those of classes must. Those
    #: of the labels of a multi-label target need not.
    exclusive: ClassVar[bool] = True
    #: Whether no prediction falls when a raw prediction rises, as monotone networks require.
    rising: ClassVar[bool] = False
    #: Whether predictions are the probabilities of ordered classes. Monotonic
    #: constraints then act on the probability of exceeding each class.
    ordered: ClassVar[bool] = False
    #: Whether raw predictions include a standard deviation of y for each row.
    predicts_std: ClassVar[bool] = False

    def n_raw(self, n_outputs: int) -> int:
        """Return the number of raw predictions for ``n_outputs`` columns of y."""
        return n_outputs

    def n_predicted(self, n_outputs: int) -> int:
        """Return the number of columns of predictions for ``n_outputs`` columns of y."""
        return self.n_raw(n_outputs)

    @property
    def units(self) -> tuple[float, ...]:
        """The factor that first multiplies raw predictions: one number, or one per output."""
        return (1.0,)

    def unpromised(self, n_raw: int) -> tuple[int, ...]:
        """Return the positions of raw predictions about which constraints promise nothing.

        ``inverse`` does not read them. By default, there are none.
        """
        return ()

    def n_constant(self, n_raw: int) -> int:
        """Return how many of the last raw predictions are the same for all rows."""
        return 0

    def of_decision(self, n_raw: int) -> "Link | None":
        """Return the link of a decision function. None, the default, means raw predictions."""
        return None

    @abstractmethod
    def inverse(self, raw: Array) -> Array:
        """Return predictions of y, such as means or probabilities, for raw predictions."""

    @abstractmethod
    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient of ``raw``, given the gradient of ``inverse(raw)``."""

    def both(self, raw: Array) -> Array:
        """Return the probabilities of two classes for the raw prediction of the second."""
        return self.inverse(np.concatenate([-raw, raw], axis=-1))

    def link(self, prediction: Array) -> Array:
        """Return raw predictions for predictions: the inverse function of ``inverse``.

        The default :meth:`mean_of_members` needs it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no link, which ensembles need.")

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        """Return the gradient of ``prediction``, given the gradient of ``link(prediction)``."""
        raise NotImplementedError(
            f"{type(self).__name__} has no link_backward, which the decision "
            "function of an ensemble needs for its gradient."
        )

    def mean_of_members(self, members: Array) -> Array:
        """Return the raw predictions that stand for the mean of the members' predictions.

        Parameters
        ----------
        members : ndarray of shape (n_rows, n_members, n_raw)
            Raw predictions.

        Returns
        -------
        ndarray of shape (n_rows, n_raw)
        """
        return self.link(self.inverse(members).mean(axis=1))

    def std(self, raw: Array) -> Array:
        """Return the standard deviations of the standardized y, if ``predicts_std``.

        The last axis of the result has an entry for each output.
        """
        raise NotImplementedError(f"{type(self).__name__} estimates no standard deviation.")

    def rescaling(self, old_scale: Array, new_scale: Array, shift: Array) -> Change | None:
        """Return how to change raw predictions when the scale of the standardized y changes.

        A prediction p in units of ``old_scale`` is p old_scale / new_scale + shift in the new
        units.

        Parameters
        ----------
        old_scale, new_scale, shift : ndarray of shape (n_outputs,)

        Returns
        -------
        pair of ndarray of shape (n_raw,), or None
            The factor and the shift of raw predictions that have this effect. None, the
            default, if there is no such change.
        """
        return None

    def with_certainty(self, factor: Any, n_raw: int) -> Change:
        """Return how to change raw predictions to make them ``factor`` times as certain.

        The factor is a number. If ``predicts_std`` and y has several outputs, it is a tuple
        with a number for each, whose raw predictions must be side by side.

        Returns
        -------
        pair of ndarray of shape (n_raw,)
            A factor and a shift of the raw predictions. By default, these are logits, which are
            multiplied by ``factor``.
        """
        return np.full(n_raw, factor), np.zeros(n_raw)


class Identity(Link):
    """raw = prediction."""

    rising = True

    def inverse(self, raw: Array) -> Array:
        return raw

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        return delta

    def link(self, prediction: Array) -> Array:
        return prediction

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        return delta

    def rescaling(self, old_scale: Array, new_scale: Array, shift: Array) -> Change:
        return old_scale / new_scale, shift


@dataclass(frozen=True)
class Log(Link):
    """raw = log(prediction) / s, for positive predictions.

    Parameters
    ----------
    spread : tuple of float, default=(1.0,)
        The number s, a single one or one for each output: see
        :class:`~sknet.nn.losses.PositiveMean`. Raw predictions differ in their units only, so
        links with different spreads are equal.
    """

    spread: tuple[float, ...] = field(default=(1.0,), compare=False)

    out_activation = "exp"
    rising = True

    @property
    def units(self) -> tuple[float, ...]:
        return self.spread

    def inverse(self, raw: Array) -> Array:
        return np.exp(raw * self._units(raw))

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        units = self._units(raw)
        return delta * np.exp(raw * units) * units

    def link(self, prediction: Array) -> Array:
        return np.log(prediction) / self._units(prediction)

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        return delta / (prediction * self._units(prediction))

    def rescaling(self, old_scale: Array, new_scale: Array, shift: Array) -> Change:
        return np.ones_like(old_scale), np.log(old_scale / new_scale) / np.array(self.spread)

    def _units(self, like: Array) -> Array:
        """Return the spreads in the dtype of an array."""
        return np.asarray(self.spread, like.dtype)


class Logit(Link):
    """raw = log(p / (1 - p)), for the probability p of the second of two classes or a label."""

    out_activation = "logistic"
    exclusive = False
    rising = True

    def inverse(self, raw: Array) -> Array:
        return special.expit(raw)

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        return delta * special.expit(raw) * special.expit(-raw)

    def link(self, prediction: Array) -> Array:
        limits = np.finfo(prediction.dtype)
        return special.logit(np.clip(prediction, limits.tiny, 1 - limits.epsneg))

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        limits = np.finfo(prediction.dtype)
        p = np.clip(prediction, limits.tiny, 1 - limits.epsneg)
        return delta / (p * (1 - p))


class Softmax(Link):
    """raw_k = log(p_k) up to a number that the classes share, for probabilities p_k."""

    out_activation = "softmax"

    def inverse(self, raw: Array) -> Array:
        return special.softmax(raw, axis=-1)

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        p = special.softmax(raw, axis=-1)
        return p * (delta - (p * delta).sum(axis=-1, keepdims=True))

    def link(self, prediction: Array) -> Array:
        return np.log(np.maximum(prediction, np.finfo(prediction.dtype).tiny))

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        return delta / np.maximum(prediction, np.finfo(prediction.dtype).tiny)


@dataclass(frozen=True)
class Increasing(Link):
    """f_1 = raw_1 and f_k = f_(k-1) + log(1 + exp(raw_k)), for predictions f_1 < f_2 < ...

    Parameters
    ----------
    n_values : int
        The number of predictions for a y of one column.
    """

    n_values: int
    rising = True

    def n_raw(self, n_outputs: int) -> int:
        return self.n_values

    def inverse(self, raw: Array) -> Array:
        steps = np.concatenate([raw[..., :1], np.logaddexp(0, raw[..., 1:])], axis=-1)
        return np.cumsum(steps, axis=-1, out=steps)

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        # Through the sums, then through log(1 + exp(raw)).
        delta = np.cumsum(delta[..., ::-1], axis=-1)[..., ::-1].copy()
        delta[..., 1:] *= special.expit(raw[..., 1:])
        return delta

    def link(self, prediction: Array) -> Array:
        # log(exp(s) - 1) for the steps s. Rounding may have made a step zero.
        steps = np.maximum(np.diff(prediction, axis=-1), np.finfo(prediction.dtype).tiny)
        raw = steps + np.log(-np.expm1(-steps))
        return np.concatenate([prediction[..., :1], raw], axis=-1)

    def link_backward(self, prediction: Array, delta: Array) -> Array:
        # d log(exp(s) - 1) / ds = 1 / (1 - exp(-s)), with s a difference of neighbors.
        steps = np.maximum(np.diff(prediction, axis=-1), np.finfo(prediction.dtype).tiny)
        by_step = delta[..., 1:] / -np.expm1(-steps)
        gradient = np.concatenate([delta[..., :1], by_step], axis=-1)
        gradient[..., :-1] -= by_step
        return gradient


class MeanAndStd(Link):
    """raw_1 = m and raw_2 = log(s), for the mean m and the standard deviation s of an output.

    The raw predictions of an output are side by side. Its prediction is the mean, from which
    the standard deviation does not follow, so there is no ``link``.
    """

    rising = True
    predicts_std = True

    def n_raw(self, n_outputs: int) -> int:
        return 2 * n_outputs

    def n_predicted(self, n_outputs: int) -> int:
        return n_outputs

    def unpromised(self, n_raw: int) -> tuple[int, ...]:
        return tuple(range(1, n_raw, 2))

    def inverse(self, raw: Array) -> Array:
        return raw[..., ::2]

    def inverse_backward(self, raw: Array, delta: Array) -> Array:
        gradient = np.zeros_like(raw)
        gradient[..., ::2] = delta
        return gradient

    def mean_of_members(self, members: Array) -> Array:
        """Return the normal distribution that has the moments of the members' mixture."""
        means = members[..., ::2]
        return side_by_side(means.mean(axis=1), np.log(total_std(means, self.std(members))))

    def std(self, raw: Array) -> Array:
        return np.exp(np.clip(raw[..., 1::2], *LOG_STD_LIMITS))

    def rescaling(self, old_scale: Array, new_scale: Array, shift: Array) -> Change:
        ratio = old_scale / new_scale
        return side_by_side(ratio, np.ones_like(ratio)), side_by_side(shift, np.log(ratio))

    def with_certainty(self, factor: Any, n_raw: int) -> Change:
        shift = np.zeros(n_raw // 2) - np.log(factor)
        return np.ones(n_raw), side_by_side(np.zeros_like(shift), shift)


def side_by_side(first: Array, second: Array) -> Array:
    """Return an array whose last axis alternates between the entries of both."""
    return np.stack([first, second], axis=-1).reshape(*first.shape[:-1], -1)


def spread(values: Array) -> Array:
    """Return the standard deviation over the members, which are the second of three axes."""
    return _root_mean_square(values - values.mean(axis=1, keepdims=True))


def _root_mean_square(values: Array) -> Array:
    """Return the root mean square over the second axis, even of very small values.

    Their squares would underflow, so the values are first divided by a power of two, which
    causes no rounding.
    """
    _, exponent = np.frexp(np.abs(values).max(axis=1))
    in_units = np.ldexp(values, -exponent[:, np.newaxis])
    return np.ldexp(np.sqrt(np.square(in_units).mean(axis=1)), exponent)


def total_std(means: Array, stds: Array) -> Array:
    """Return the standard deviation of a mixture of the members' distributions.

    By the law of total variance, the variance is the mean of the members' variances plus the
    variance of their means.

    Parameters
    ----------
    means, stds : ndarray of shape (n_rows, n_members, n_outputs)

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
    """
    return np.hypot(_root_mean_square(stds), spread(means))
