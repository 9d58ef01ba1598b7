"""Principal components of the numbers, as further inputs of the first hidden layer."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike

from sknet.nn.layers import Affine, Layer
from sknet.nn.rules import FINITE, POSITIVE_INT, Constraint, TupleOf
from sknet.nn.types import Array, Buffers, Views, WorkArrays

NUMBERS = TupleOf("a tuple of at least one finite number", FINITE, least=1)
ROWS = TupleOf("a tuple of tuples of at least one finite number", NUMBERS, least=1)
DIRECTIONS = Constraint(
    "a tuple of equally long tuples of at least one finite number",
    (tuple,),
    lambda rows: ROWS.contains(rows) and len(set(map(len, rows))) == 1,
)


@dataclass(frozen=True)
class PrincipalComponents(Layer):
    """Appends to the inputs components of the numbers among them: (numbers - center) D.

    The components of columns that nearly repeat each other are small differences of them. A
    step of gradient descent changes the weight of a direction in proportion to its variance.
    So the network would learn what small differences mean only after very many steps.
    Components with variance one are learned as fast as any input (LeCun, Bottou, Orr and
    Mueller, "Efficient BackProp", 1998, section 4.3). They add no function to those that a
    hidden layer can compute, and they are not learned.

    Parameters
    ----------
    center : tuple of float
        The number that is subtracted from each number.
    directions : tuple of tuple of float
        The matrix D, with a row for each number and a column for each component.
    spacing : int >= 1, default=1
        The numbers are the columns 0, ``spacing``, 2 ``spacing`` and so on of the inputs.
        Behind an embedding whose first output is the number itself, it is the number of outputs
        of each number.
    """

    center: Annotated[tuple[float, ...], NUMBERS]
    directions: Annotated[tuple[tuple[float, ...], ...], DIRECTIONS]
    spacing: Annotated[int, POSITIVE_INT] = 1

    @property
    def n_components(self) -> int:
        """The number of components."""
        return len(self.directions[0])

    def describe(self) -> str:
        return f"{type(self).__name__} ({self.n_components})"

    def n_outputs(self, n_inputs: int) -> int:
        return n_inputs + self.n_components

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {
            "out": self.n_outputs(n_inputs),
            "numbers": len(self.center),
            "center": self._center,
            "directions": self._directions,
            "delta": n_inputs,
        }

    def forward(
        self, params: Views, x: Array, buffers: Buffers, rng: Generator | None = None
    ) -> Array:
        out, n_inputs = buffers["out"], x.shape[1]
        out[:, :n_inputs] = x
        np.subtract(self._numbers(x), buffers["center"], out=buffers["numbers"])
        out[:, n_inputs:] = buffers["numbers"].dot(buffers["directions"])
        return out

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        inputs, n_inputs = buffers["delta"], x.shape[1]
        inputs[...] = delta[:, :n_inputs]
        of_numbers = self._numbers(inputs)
        of_numbers += delta[:, n_inputs:].dot(buffers["directions"].T)
        return inputs

    def affine(self, params: Views, n_inputs: int, dtype: DTypeLike) -> Affine:
        appended = np.zeros((n_inputs, self.n_components), dtype)
        directions = self._directions(0, dtype)
        self._numbers(appended.T).T[...] = directions
        shift = np.concatenate([np.zeros(n_inputs), -self._center(0, np.float64) @ directions])
        matrix = np.hstack([np.eye(n_inputs, dtype=dtype), appended])
        return Affine(matrix, shift.astype(dtype))

    def _numbers(self, x: Array) -> Array:
        """Return the columns of the numbers, as a view."""
        return x[:, : len(self.center) * self.spacing : self.spacing]

    def _center(self, n_rows: int, dtype: DTypeLike) -> Array:
        return np.array(self.center, dtype)

    def _directions(self, n_rows: int, dtype: DTypeLike) -> Array:
        return np.array(self.directions, dtype)
