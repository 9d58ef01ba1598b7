"""Layers of columns: each becomes columns of its own, the join of several, and components."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from sknet.nn.activations import Draws
from sknet.nn.kernels import Array, Views
from sknet.nn.layers import Affine, Buffers, Layer, Parameter, WorkArrays
from sknet.nn.rules import FINITE, POSITIVE_INT, Constraint, TupleOf

#: Some columns of a matrix: neighbours, or those at some positions.
Where: TypeAlias = slice | NDArray[np.intp]


class ColumnEmbedding(Layer):
    """A layer that turns each of its input columns into several columns of its own."""

    size: int

    def output_counts(self, n_inputs: int) -> list[int]:
        """Return the number of outputs of each input column.

        The outputs of a column lie side by side, in the order of the columns. By default each
        column has ``size`` outputs.
        """
        return [self.size] * n_inputs

    def n_outputs(self, n_inputs: int) -> int:
        return sum(self.output_counts(n_inputs))


def _are_parts(parts: Any) -> bool:
    """Return whether each part is a pair of a number of columns and their layer or None."""
    return all(
        isinstance(part, tuple)
        and len(part) == 2
        and isinstance(part[0], Integral)
        and POSITIVE_INT.contains(part[0])
        and isinstance(part[1], ColumnEmbedding | None)
        for part in parts
    )


PARTS = Constraint(
    "a tuple of pairs (an integer >= 1, a ColumnEmbedding or None)", (tuple,), _are_parts
)


class Part(NamedTuple):
    """One layer of :class:`Columns` on its way back, with its own share of the arrays."""

    name: str
    columns: Where
    layer: ColumnEmbedding | None
    params: Views
    buffers: Buffers
    delta: Any


#: The parameters of a layer that has none.
NO_PARAMETERS = SimpleNamespace()


@dataclass(frozen=True)
class Columns(ColumnEmbedding):
    """Passes each stretch of columns through a layer of its own, and joins the outputs.

    Parameters
    ----------
    parts : tuple of pairs (int, ColumnEmbedding or None)
        A number of columns, and their layer. None passes the columns on as they are.
    """

    parts: Annotated[tuple[tuple[int, ColumnEmbedding | None], ...], PARTS]

    def describe(self) -> str:
        inner = {layer.describe() for _, layer in self.parts if layer is not None}
        return f"{super().describe()} ({', '.join(sorted(inner))})"

    def output_counts(self, n_inputs: int) -> list[int]:
        return [
            count
            for width, layer in self.parts
            for count in ([1] * width if layer is None else layer.output_counts(width))
        ]

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {
            f"{i}.{name}": parameter
            for i, (width, layer) in enumerate(self.layers())
            if layer is not None
            for name, parameter in layer.parameters(width).items()
        }

    def buffers(self, n_inputs: int) -> WorkArrays:
        inner = {
            str(i): layer.buffers(width)
            for i, (width, layer) in enumerate(self.layers())
            if layer is not None
        }
        return {**inner, "out": self.n_outputs(n_inputs), "delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        for name, _, _, layer in self.walk():
            if layer is not None:
                layer.initialize(of_part(params, name), rng)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        out = buffers["out"]
        for name, columns, outputs, layer in self.walk():
            part = columns_of(x, columns)
            if layer is not None:
                part = layer.forward(of_part(params, name), part, buffers[name], rng)
            if part.shape == out.shape:
                return part  # It is the only part.
            out[:, outputs] = part
        return out

    def backward_shared(
        self, params: Views, x: Array, delta: Array, buffers: Buffers
    ) -> list[Part]:
        """Return the layers, each with its share of ``delta`` after its own shared step."""
        parts = []
        for name, columns, outputs, layer in self.walk():
            views, inner = of_part(params, name), buffers.get(name, {})
            own = np.ascontiguousarray(columns_of(delta, outputs))
            if layer is not None:
                own = layer.backward_shared(views, columns_of(x, columns), own, inner)
            parts.append(Part(name, columns, layer, views, inner, own))
        return parts

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: list[Part], buffers: Buffers
    ) -> None:
        for name, columns, layer, views, inner, own in delta:
            of_layer = of_part(grads, name)
            if layer is not None and vars(of_layer):
                layer.backward_params(views, of_layer, columns_of(x, columns), own, inner)

    def backward_inputs(
        self, params: Views, x: Array, delta: list[Part], buffers: Buffers
    ) -> Array:
        for _, columns, layer, views, inner, own in delta:
            if layer is not None:
                own = layer.backward_inputs(views, columns_of(x, columns), own, inner)
            buffers["delta"][:, columns] = own
        return buffers["delta"]

    def layers(self) -> list[tuple[int, ColumnEmbedding | None]]:
        """Return the number of columns and the layer of each part."""
        return list(self.parts)

    def walk(self) -> Iterator[tuple[str, Where, Where, ColumnEmbedding | None]]:
        """Yield name, input columns, output columns and layer of each part."""
        start = out = 0
        for i, (width, layer) in enumerate(self.parts):
            out_width = width if layer is None else layer.n_outputs(width)
            yield str(i), slice(start, start + width), slice(out, out + out_width), layer
            start, out = start + width, out + out_width


def columns_of(x: Array, where: Where) -> Array:
    """Return some columns of a matrix: a view for a slice, a copy for positions."""
    return x[:, where] if isinstance(where, slice) else x.take(where, axis=1)


def _are_scattered(parts: Any) -> bool:
    """Return whether parts are pairs of positions and a layer, with each position once."""
    pairs = all(
        isinstance(part, tuple)
        and len(part) == 2
        and isinstance(part[0], tuple)
        and isinstance(part[1], ColumnEmbedding)
        for part in parts
    )
    return pairs and sorted(i for part in parts for i in part[0]) == [
        *range(sum(len(part[0]) for part in parts))
    ]


SCATTERED = Constraint(
    "a tuple of pairs (positions, a ColumnEmbedding), in which each position from 0 on occurs "
    "once",
    (tuple,),
    _are_scattered,
)


@dataclass(frozen=True)
class Scattered(Columns):
    """Passes columns at stated positions through a layer; outputs keep the order of columns.

    Parameters
    ----------
    parts : tuple of pairs (tuple of int, ColumnEmbedding)
        The positions of some columns, and their layer. Each column belongs to one part.
    """

    parts: Annotated[  # type: ignore[assignment]
        tuple[tuple[tuple[int, ...], ColumnEmbedding], ...], SCATTERED
    ]

    def layers(self) -> list[tuple[int, ColumnEmbedding | None]]:
        return [(len(positions), layer) for positions, layer in self.parts]

    def output_counts(self, n_inputs: int) -> list[int]:
        counts = np.empty(n_inputs, np.intp)
        for positions, layer in self.parts:
            counts[list(positions)] = layer.output_counts(len(positions))
        return counts.tolist()

    def walk(self) -> Iterator[tuple[str, Where, Where, ColumnEmbedding | None]]:
        yield from places_of(self)


@lru_cache(maxsize=16)
def places_of(scattered: Scattered) -> list[tuple[str, Where, Where, ColumnEmbedding | None]]:
    """Return name, input columns, output columns and layer of each part."""
    counts = scattered.output_counts(sum(len(positions) for positions, _ in scattered.parts))
    stops = np.cumsum(counts)
    outputs = [np.arange(stop - count, stop) for stop, count in zip(stops, counts, strict=True)]
    return [
        (str(i), np.array(places), np.concatenate([outputs[j] for j in places]), layer)
        for i, (places, layer) in enumerate(scattered.parts)
    ]


def of_part(params: Views, name: str) -> Views:
    """Return the arrays of a part by their names in its own layer."""
    return vars(params).get(name, NO_PARAMETERS)


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

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
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
