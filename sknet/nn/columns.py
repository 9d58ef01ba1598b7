"""Layers that treat columns separately, embeddings of categories, and principal components."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sknet.nn.activations import Activation, Draws
from sknet.nn.kernels import Array, SparseRows, Views
from sknet.nn.layers import Buffers, Layer, Parameter, WorkArrays
from sknet.nn.rules import NOT_NEGATIVE, POSITIVE_INT

#: Some columns of a matrix: evenly spaced ones as a slice, or any columns by their positions.
Where: TypeAlias = slice | NDArray[np.intp]
#: The ``delta`` of each part after the shared step of its layer.
Parts: TypeAlias = "list[Any]"
#: The factor of the learning rate of the scales of columns.
RATE_OF_SCALES = 6.0


class ColumnEmbedding(Layer):
    """A layer that turns each input column into several columns."""

    size: int

    def output_counts(self, n_inputs: int) -> list[int]:
        """Return the number of outputs of each input column.

        The outputs of a column lie side by side, in the order of the columns. By default, each
        column has ``size`` outputs.
        """
        return [self.size] * n_inputs

    def n_outputs(self, n_inputs: int) -> int:
        return sum(self.output_counts(n_inputs))

    def by_column(self, array: Array) -> Array:
        """Return outputs, or their gradient, as an array (rows, input columns, size)."""
        return array.reshape(array.shape[0], -1, self.size)


class Place(NamedTuple):
    """The places of the inputs and of the outputs of one part of :class:`Columns`."""

    name: str
    width: int
    columns: Where
    outputs: Where
    layer: ColumnEmbedding | None


#: The parameters of a layer that has none.
NO_PARAMETERS = SimpleNamespace()


@dataclass(frozen=True)
class Columns(ColumnEmbedding):
    """Passes some columns through each of several layers; outputs keep the columns' order.

    Parameters
    ----------
    parts : tuple of pairs (range or tuple of int, ColumnEmbedding or None)
        The positions of some columns, and their layer. None passes the columns on unchanged.
        Each column belongs to exactly one part.
    """

    words: ClassVar[str] = "columns"

    parts: tuple[tuple[range | tuple[int, ...], ColumnEmbedding | None], ...]

    def describe(self) -> str:
        inner = {layer.describe() for layer in self.embeddings()}
        return f"{super().describe()} ({', '.join(sorted(inner))})" if inner else self.words

    def embeddings(self) -> Iterator[ColumnEmbedding]:
        """Yield the layers of the parts, and those of the parts of a part."""
        for _, layer in self.parts:
            if isinstance(layer, Columns):
                yield from layer.embeddings()
            elif layer is not None:
                yield layer

    @property
    def learns_levels(self) -> bool:
        return any(layer.learns_levels for layer in self.embeddings())

    def output_counts(self, n_inputs: int) -> list[int]:
        counts = np.empty(n_inputs, np.intp)
        for columns, layer in self.parts:
            counts[list(columns)] = 1 if layer is None else layer.output_counts(len(columns))
        return counts.tolist()

    @cached_property
    def places(self) -> list[Place]:
        """The places of the parts, whose outputs keep the order of the columns."""
        counts = self.output_counts(sum(len(columns) for columns, _ in self.parts))
        outputs = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
        places = []
        for i, (columns, layer) in enumerate(self.parts):
            own = _neighbors(np.concatenate([outputs[j] for j in columns]))
            where = _neighbors(np.array(columns))
            places.append(Place(str(i), len(columns), where, own, layer))
        return places

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {
            f"{place.name}.{name}": parameter
            for place in self.places
            if place.layer is not None
            for name, parameter in place.layer.parameters(place.width).items()
        }

    def buffers(self, n_inputs: int) -> WorkArrays:
        inner = {name: layer.buffers(width) for name, width, *_, layer in self.places if layer}
        return {**inner, "out": self.n_outputs(n_inputs), "delta": n_inputs}

    def initialize(self, params: Views, rng: Generator) -> None:
        for place in self.places:
            if place.layer is not None:
                place.layer.initialize(of_part(params, place.name), rng)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        out = buffers["out"]
        for name, _, columns, outputs, layer in self.places:
            part = columns_of(x, columns)
            if layer is not None:
                part = layer.forward(of_part(params, name), part, buffers[name], rng)
            if part.shape == out.shape:
                return part  # It is the only part.
            out[:, outputs] = part
        return out

    def backward_shared(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Parts:
        """Return the ``delta`` of each part after the shared step of its layer."""
        deltas = []
        for name, _, columns, outputs, layer in self.places:
            own = np.ascontiguousarray(columns_of(delta, outputs))
            if layer is not None:
                views, part = of_part(params, name), columns_of(x, columns)
                own = layer.backward_shared(views, part, own, buffers[name])
            deltas.append(own)
        return deltas

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Parts, buffers: Buffers
    ) -> None:
        for (name, _, columns, _, layer), own in zip(self.places, delta, strict=True):
            views, of_layer = of_part(params, name), of_part(grads, name)
            if layer is not None and vars(of_layer):
                part = columns_of(x, columns)
                layer.backward_params(views, of_layer, part, own, buffers[name])

    def backward_inputs(self, params: Views, x: Array, delta: Parts, buffers: Buffers) -> Array:
        for (name, _, columns, _, layer), own in zip(self.places, delta, strict=True):
            if layer is not None:
                views, part = of_part(params, name), columns_of(x, columns)
                own = layer.backward_inputs(views, part, own, buffers[name])
            buffers["delta"][:, columns] = own
        return buffers["delta"]


def _neighbors(positions: NDArray[np.intp]) -> Where:
    """Return positions as a slice if they are consecutive."""
    start, stop = int(positions[0]), int(positions[0]) + positions.size
    return slice(start, stop) if (positions == np.arange(start, stop)).all() else positions


def columns_of(x: Array, where: Where) -> Array:
    """Return some columns of a matrix: a view for a slice, a copy for positions."""
    return x[:, where] if isinstance(where, slice) else x.take(where, axis=1)


def of_part(params: Views, name: str) -> Views:
    """Return the arrays of a part, by their names in the layer of the part."""
    return vars(params).get(name, NO_PARAMETERS)


@dataclass(frozen=True)
class Embedding(ColumnEmbedding):
    """A learned vector for each level of a category: the product of a one-hot row and a table.

    Guo and Berkhahn (2016). The input is one column of level numbers, which begin at 0. The
    number ``n_levels`` stands for none of them, as for a value that training lacked; its vector
    is the mean of all vectors.

    Parameters
    ----------
    n_levels : int >= 1
    size : int >= 1
        The length of the vectors.
    ridge : float >= 0, default=0.0
        The factor of half the squared length of the vectors in the objective. It keeps the
        vectors of levels with few rows near zero. Layers that differ only in ``ridge`` compare
        equal, since their outputs are equal.
    """

    words: ClassVar[str] = "level vectors"

    n_levels: Annotated[int, POSITIVE_INT]
    size: Annotated[int, POSITIVE_INT]
    ridge: Annotated[float, NOT_NEGATIVE] = field(default=0.0, compare=False)

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        return {"table": Parameter((self.n_levels, self.size), ridge=self.ridge)}

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {
            "one_hot": lambda n_rows, dtype: SparseRows(n_rows, 1, self.n_levels + 1, dtype),
            "delta": n_inputs,
        }

    def initialize(self, params: Views, rng: Generator) -> None:
        params.table[...] = rng.normal(size=params.table.shape)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        table = np.vstack([params.table, params.table.mean(axis=0)])
        return table[x[:, 0].astype(np.intp)]

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        one_hot = buffers["one_hot"]
        one_hot.places[...] = x
        sums = one_hot.transposed @ delta
        # All levels contribute equally to the mean vector.
        np.add(sums[:-1], sums[-1] * (1 / self.n_levels), out=grads.table)

    @property
    def learns_levels(self) -> bool:
        return True

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        # A level number has no derivative.
        buffers["delta"].fill(0)
        return buffers["delta"]


@dataclass(frozen=True)
class Repeated(ColumnEmbedding):
    """Repeats each column ``size`` times, for members with their own embeddings.

    Parameters
    ----------
    size : int >= 1
    """

    words: ClassVar[str] = "columns repeated"

    size: Annotated[int, POSITIVE_INT]

    def describe(self) -> str:
        return f"{super().describe()} {self.size} times"

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {"out": n_inputs * self.size, "delta": n_inputs}

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        self.by_column(buffers["out"])[...] = x[:, :, np.newaxis]
        return buffers["out"]

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        return np.sum(self.by_column(delta), axis=2, out=buffers["delta"])


@dataclass(frozen=True)
class ColumnScales(Layer):
    """Multiplies all inputs that come from one column by the same learned number, its scale.

    With z_i = x_i u_c for each input i of column c, dJ/dx_i = u_c dJ/dz_i, and dJ/du_c is the
    sum of x_i dJ/dz_i over these inputs and over the rows.

    Only the products V_c = u_c W_c with the weights W_c that follow matter for the outputs. The
    penalty alpha/2 ||W_c||^2 and the ridge r/2 u_c^2 are smallest if u_c^2 = ||V_c|| sqrt(alpha
    / r). Their sum is then sqrt(alpha r) ||V_c||, which is a group lasso by column (Yuan and
    Lin, "Model selection and estimation in regression with grouped variables", 2006, equation
    2.1). Long before this minimum, gradient descent changes V_c by u_c^2 times its gradient,
    plus a term along W_c, so columns whose scale has grown are learned faster. Holzmueller,
    Grinsztajn and Steinwart, "Better by default" (2024), section 3, have a scale for each
    input, without a ridge, and also a higher learning rate for scales.

    Parameters
    ----------
    columns : tuple of int
        For each input, the number of its column. All numbers from 0 on occur.
    ridge : float >= 0, default=0.0
        The factor r of half the squared scales in the objective. Layers that differ only in
        ``ridge`` compare equal, since their outputs are equal.
    """

    words: ClassVar[str] = "column scales"

    columns: tuple[int, ...]
    ridge: float = field(default=0.0, compare=False)

    def output_counts(self, n_inputs: int) -> list[int]:
        return [1] * n_inputs

    def parameters(self, n_inputs: int) -> dict[str, Parameter]:
        shape = (max(self.columns) + 1,)
        return {"column_scale": Parameter(shape, ridge=self.ridge, rate=RATE_OF_SCALES)}

    def buffers(self, n_inputs: int) -> WorkArrays:
        columns = np.array(self.columns)
        # The inputs, ordered by their columns, and the place of the first one of each column.
        order = np.argsort(columns, kind="stable")
        starts = np.unique(columns[order], return_index=True)[1]
        return {
            "columns": lambda *_: columns,
            "order": lambda *_: order,
            "starts": lambda *_: starts,
            "out": n_inputs,
            "delta": n_inputs,
        }

    def initialize(self, params: Views, rng: Generator) -> None:
        params.column_scale.fill(1)

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        buffers["scale"] = params.column_scale.take(buffers["columns"])
        return np.multiply(x, buffers["scale"], out=buffers["out"])

    def backward_params(
        self, params: Views, grads: Views, x: Array, delta: Array, buffers: Buffers
    ) -> None:
        by_input = np.einsum("ni,ni->i", x, delta)[buffers["order"]]
        np.add.reduceat(by_input, buffers["starts"], out=grads.column_scale)

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        return np.multiply(delta, buffers["scale"], out=buffers["delta"])


@dataclass(frozen=True)
class Limited(Activation):
    """f(z) = min(max(z, low), high), with limits for each unit."""

    smooth = False

    low: tuple[float, ...]
    high: tuple[float, ...]

    def forward(self, z: Array, a: Array) -> None:
        np.clip(z, np.array(self.low, z.dtype), np.array(self.high, z.dtype), out=a)

    def backward(self, z: Array, a: Array, delta: Array) -> None:
        delta *= a > np.array(self.low, a.dtype)
        delta *= a < np.array(self.high, a.dtype)


@dataclass(frozen=True)
class PrincipalComponents(Layer):
    """Appends principal components of the numeric columns x of the inputs.

    They are (x - center) D, limited to a range for each component.

    If columns nearly repeat each other, some of their components are small differences between
    them. A step of gradient descent changes the weight of a direction in proportion to its
    variance. Without components, the network would therefore learn what small differences mean
    only after very many steps. The weights of components with variance one are learned as fast
    as those of any input (LeCun, Bottou, Orr and Mueller, "Efficient BackProp", 1998, section
    4.3). A hidden layer can compute the same functions without components. The matrix D is not
    learned. Only rows unlike all rows from which the components were found are outside the
    limits. Within them, the derivative is continuous, so attributions use the rule for smooth
    functions, which is more accurate for all other rows.

    Parameters
    ----------
    center : tuple of float
        The value subtracted from each numeric column.
    directions : tuple of tuple of float
        The matrix D, with a row for each numeric column and a column for each component.
    low, high : tuple of float
        The limits of each component.
    columns : tuple of int
        The positions of the numeric columns among the inputs. After an embedding, they are
        those of the outputs that are the numbers themselves.
    """

    center: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    columns: tuple[int, ...]

    @property
    def n_components(self) -> int:
        """The number of components."""
        return len(self.directions[0])

    def describe(self) -> str:
        return f"principal components ({self.n_components})"

    def n_outputs(self, n_inputs: int) -> int:
        return n_inputs + self.n_components

    def buffers(self, n_inputs: int) -> WorkArrays:
        return {
            "out": self.n_outputs(n_inputs),
            "columns": lambda *_: self._where(),
            "numbers": len(self.center),
            "center": lambda _, dtype: np.array(self.center, dtype),
            "directions": lambda _, dtype: np.array(self.directions, dtype),
            "delta": n_inputs,
        }

    def forward(self, params: Views, x: Array, buffers: Buffers, rng: Draws = None) -> Array:
        out, n_inputs = buffers["out"], x.shape[1]
        out[:, :n_inputs] = x
        np.subtract(x[:, buffers["columns"]], buffers["center"], out=buffers["numbers"])
        components = out[:, n_inputs:]
        components[...] = buffers["numbers"].dot(buffers["directions"])
        Limited(self.low, self.high).forward(components, components)
        return out

    def backward_inputs(self, params: Views, x: Array, delta: Array, buffers: Buffers) -> Array:
        inputs, n_inputs = buffers["delta"], x.shape[1]
        inputs[...] = delta[:, :n_inputs]
        components, delta = buffers["out"][:, n_inputs:], delta[:, n_inputs:]
        Limited(self.low, self.high).backward(components, components, delta)
        inputs[:, buffers["columns"]] += delta.dot(buffers["directions"].T)
        return inputs

    def _where(self) -> Where:
        """Return the positions of the numeric columns, as a slice if they are evenly spaced."""
        positions = np.array(self.columns)
        steps = np.unique(np.diff(positions))
        if steps.size > 1:
            return positions
        return slice(self.columns[0], self.columns[-1] + 1, int(steps[0]) if steps.size else 1)
