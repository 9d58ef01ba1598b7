"""Activation functions and their derivatives, in place, and initializers of weights.

To add an activation, derive a class from :class:`Activation` and add a line to
:data:`ACTIVATIONS`. ``docs/new_rules.md`` lists the other places to change. An initializer
draws weights whose scale preserves the variance of a signal from layer to layer. To add one,
write a function of a generator and a shape, and add a line to :data:`INITIALIZERS`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from sknet.nn.kernels import Array, maximum, negate
from sknet.nn.rules import FRACTION, Constraint, Rule

#: The source of random draws in training; None in prediction, where nothing is drawn.
Draws: TypeAlias = Generator | None


def glorot_uniform(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw uniformly between +-sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio (2010), equation 16.
    """
    bound = math.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def lecun_normal(rng: Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw from a normal distribution of variance 1 / fan_in.

    LeCun et al. (1998), equation 16.
    """
    return rng.normal(0, math.sqrt(1 / shape[0]), shape)


def small_uniform(rng: Generator, shape: tuple[int, ...], fan_in: int) -> NDArray[np.float64]:
    """Draw biases uniformly between +-1 / sqrt(fan_in).

    If all biases were zero, the kinks of all ReLUs would meet at the origin.
    """
    bound = 1 / math.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape)


#: Initializers by name: functions that draw a matrix of shape (fan_in, fan_out).
INITIALIZERS: dict[str, Callable[[Generator, tuple[int, ...]], NDArray[np.float64]]] = {
    "glorot_uniform": glorot_uniform,
    "lecun_normal": lecun_normal,
}


@dataclass(frozen=True)
class Activation(Rule, ABC):
    """An elementwise function a = f(z) and its derivative.

    ``forward`` and ``backward`` receive blocks of rows that are small enough for temporary
    arrays to stay in the processor's cache.
    """

    #: Whether ``backward`` reads ``z``. If it does not, ``z`` and ``a`` may be one array.
    needs_z: ClassVar[bool] = False
    #: Whether the derivative is continuous. If not, attributions use another integration rule.
    smooth: ClassVar[bool] = True
    #: Whether f never falls. If it may fall, monotone units use another activation.
    monotone: ClassVar[bool] = False
    #: The name of the weights' initializer, a key of ``INITIALIZERS``.
    initializer: ClassVar[str] = "glorot_uniform"

    def draw_weights(self, rng: Generator, shape: tuple[int, ...]) -> Array:
        """Return initial weights of a layer that ends in this activation."""
        return INITIALIZERS[self.initializer](rng, shape)

    @abstractmethod
    def forward(self, z: Array, a: Array) -> None:
        """Write f(z) into ``a``.

        Parameters
        ----------
        z : ndarray of shape (n_rows, n_units)
            May be overwritten, for example by a quantity that ``backward`` needs.
        a : ndarray of shape (n_rows, n_units)
            ``z`` itself, unless ``needs_z`` is True.
        """

    @abstractmethod
    def backward(self, z: Array, a: Array, delta: Array) -> None:
        """Multiply ``delta`` by f'(z) in place.

        Parameters
        ----------
        z, a : ndarray of shape (n_rows, n_units)
            As ``forward`` left them. They may be overwritten.
        delta : ndarray of shape (n_rows, n_units)
            The gradient of the outputs, which becomes the gradient of z.
        """

    def operators(self, z: Any) -> Any:
        """Return f(z) in ONNX operators. Each activation of the registry defines this method.

        Parameters
        ----------
        z : Tensor
            A tensor of ``sknet.export``. Its arithmetic and its methods ``maximum`` and
            ``minimum`` make new tensors. ``z.op("Tanh")`` applies any other operator by name.
        """
        raise NotImplementedError


ACTIVATION = Constraint("an instance of Activation", (Activation,))


class Identity(Activation):
    """f(z) = z, f'(z) = 1."""

    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        if a is not z:
            np.copyto(a, z)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        pass

    def operators(self, z: Any) -> Any:
        return z


class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z)), f' = f (1 - f)."""

    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        logistic(z, out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= a
        delta *= np.subtract(1, a, out=a)

    def operators(self, z: Any) -> Any:
        return z.op("Sigmoid")


class Tanh(Activation):
    """f(z) = tanh(z), f' = 1 - f^2."""

    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        np.tanh(z, out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.square(a, out=a)
        delta *= np.subtract(1, a, out=a)

    def operators(self, z: Any) -> Any:
        return z.op("Tanh")


class ReLU(Activation):
    """f(z) = max(z, 0), f' = [z > 0]."""

    smooth = False
    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        maximum(z, 0, out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= np.greater(a, 0)

    def operators(self, z: Any) -> Any:
        return z.maximum(0)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """f(z) = z for z > 0, slope z otherwise; f' = 1 or slope.

    Parameters
    ----------
    slope : float in [0, 1), default=0.01
    """

    slope: Annotated[float, FRACTION] = 0.01
    smooth: ClassVar[bool] = False
    monotone: ClassVar[bool] = True

    def forward(self, z: Array, a: Array) -> None:
        np.maximum(z, z * self.slope, out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.multiply(np.greater(a, 0), 1 - self.slope, out=a, dtype=a.dtype)
        a += self.slope
        delta *= a

    def operators(self, z: Any) -> Any:
        return z.maximum(z * self.slope)


class ELU(Activation):
    """f(z) = z for z > 0, exp(z) - 1 otherwise; f' = 1 + min(f, 0).

    Clevert, Unterthiner and Hochreiter (2016), equation 15, with alpha = 1.
    """

    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        np.maximum(z, np.expm1(np.minimum(z, 0)), out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= np.minimum(a, 0) + 1

    def operators(self, z: Any) -> Any:
        return z.maximum(z.minimum(0).op("Exp") - 1)


class SELU(Activation):
    """f(z) = s z for z > 0, s alpha (exp(z) - 1) otherwise; f' = s, or f + s alpha.

    Klambauer, Unterthiner, Mayr and Hochreiter (2017), equation 2, with their constants
    s = 1.0507 and alpha = 1.6733, for which zero mean and unit variance are a fixed point.
    """

    scale: ClassVar[float] = 1.0507009873554804934193349852946
    alpha: ClassVar[float] = 1.6732632423543772848170429916717
    smooth = False
    monotone = True
    initializer = "lecun_normal"

    def forward(self, z: Array, a: Array) -> None:
        negative = np.expm1(np.minimum(z, 0)) * self.alpha
        np.multiply(np.maximum(z, 0) + negative, self.scale, out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        # Above zero, the sum without the correction is s alpha, not s.
        correction = np.multiply(a > 0, self.scale * (1 - self.alpha), dtype=a.dtype)
        delta *= np.minimum(a, 0) + self.scale * self.alpha + correction

    def operators(self, z: Any) -> Any:
        return (z.maximum(0) + (z.minimum(0).op("Exp") - 1) * self.alpha) * self.scale


class SiLU(Activation):
    """f(z) = z s(z) with the logistic s; f' = s + f (1 - s). Also known as swish."""

    needs_z = True

    def forward(self, z: Array, a: Array) -> None:
        # With h = z / 2, s = (1 + tanh(h)) / 2 and so f = h (1 + tanh(h)).
        z *= 0.5
        twice_s = np.tanh(z)
        twice_s += 1
        np.multiply(z, twice_s, out=a)
        # The derivative needs s, but not z.
        np.multiply(twice_s, 0.5, out=z)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        factor = np.subtract(1, z)
        factor *= a
        delta *= np.add(factor, z, out=factor)

    def operators(self, z: Any) -> Any:
        return z * ((z * 0.5).op("Tanh") * 0.5 + 0.5)


class GELU(Activation):
    """f(z) = z Phi(z), f' = Phi(z) + z phi(z): the exact form, not the tanh approximation.

    Hendrycks and Gimpel (2016), equation 1. Phi and phi are the distribution function and the
    density of the standard normal distribution.
    """

    needs_z = True

    def forward(self, z: Array, a: Array) -> None:
        ndtr(z, out=a)
        a *= z

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        z_density = np.exp(np.square(z) * -0.5) * z * (1 / math.sqrt(2 * math.pi))
        delta *= z_density + ndtr(z)

    def operators(self, z: Any) -> Any:
        return z * z.ndtr()


class Mish(Activation):
    """f(z) = z t(z) with t = tanh(softplus(z)); f' = t + z s (1 - t^2), s the logistic.

    Misra (2020). With e = exp(z) and n = e (e + 2), t = n / (n + 2) takes only one exponential.
    """

    needs_z = True

    def forward(self, z: Array, a: Array) -> None:
        np.multiply(z, self._t(z), out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        t = self._t(z)
        np.subtract(1, np.square(t, out=a), out=a)
        a *= z
        a *= logistic(z, out=z)
        delta *= np.add(a, t, out=a)

    def operators(self, z: Any) -> Any:
        e = z.minimum(20).op("Exp")
        n = e * (e + 2)
        return z * (n / (n + 2))

    @staticmethod
    def _t(z: Array) -> Array:
        # Above 20, t is 1 to the last bit of a float64. For large z, exp would overflow.
        e = np.exp(np.minimum(z, 20.0))
        n = e * (e + 2)
        return np.divide(n, n + 2, out=n)


class Softplus(Activation):
    """f(z) = log(1 + exp(z)), f' = 1 - exp(-f)."""

    monotone = True

    def forward(self, z: Array, a: Array) -> None:
        np.logaddexp(0, z, out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        np.expm1(negate(a), out=a)
        delta *= negate(a)

    def operators(self, z: Any) -> Any:
        return z.maximum(0) + ((-z.op("Abs")).op("Exp") + 1).op("Log")


def logistic(z: Array, out: Array) -> Array:
    """Write 1 / (1 + exp(-z)) into ``out``, without overflow.

    Computed as 0.5 tanh(z / 2) + 0.5, which is several times as fast as SciPy's ``expit``.
    """
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5
    return out


class Composed(Activation):
    """An activation made of others, from which its properties follow."""

    @property
    @abstractmethod
    def inner(self) -> tuple[Activation, ...]:
        """The activations that this one is made of."""

    @property
    def needs_z(self) -> bool:  # type: ignore[override]
        return any(one.needs_z for one in self.inner)

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        return all(one.smooth for one in self.inner)

    @property
    def monotone(self) -> bool:  # type: ignore[override]
        return all(one.monotone for one in self.inner)

    @property
    def initializer(self) -> str:  # type: ignore[override]
        return self.inner[0].initializer


@dataclass(frozen=True)
class Reflected(Composed):
    """f(z) = -g(-z) and f'(z) = g'(-z) for the last units of a layer, f = g for the others.

    The reflection of a convex function is concave, and vice versa.

    Parameters
    ----------
    activation : Activation
        The activation g.
    n_units : int >= 0
        The number of units with the reflection, which are the last ones.
    """

    activation: Activation
    n_units: int

    @property
    def inner(self) -> tuple[Activation, ...]:
        return (self.activation,)

    def forward(self, z: Array, a: Array) -> None:
        self._reflect(z)
        self.activation.forward(z, a)
        self._reflect(a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        self._reflect(a)
        self.activation.backward(z, a, delta)

    def _reflect(self, array: Array) -> None:
        """Change the sign of the last units, in place."""
        negate(array[:, array.shape[1] - self.n_units :])


#: Activations by name.
ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "logistic": Logistic,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "silu": SiLU,
    "gelu": GELU,
    "mish": Mish,
    "softplus": Softplus,
}


def named(activation: Activation) -> str:
    """Return the name of an activation or of its class; if composed, the names of its parts."""
    if isinstance(activation, Composed):
        return " and ".join(dict.fromkeys(map(named, activation.inner)))
    names = {cls: name for name, cls in ACTIVATIONS.items()}
    return names.get(type(activation), type(activation).__name__)
