"""A graph of ONNX operators under construction, and tensors whose arithmetic adds to it."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sknet._requirements import require

#: What a tensor is combined with: another tensor, or numbers that become a constant.
Operand: TypeAlias = "Tensor | ArrayLike"
#: The end of a slice that goes on to the last column.
END = np.iinfo(np.int64).max


class Node(NamedTuple):
    """One operator: its type, the names of its inputs and its output, and its attributes."""

    op_type: str
    inputs: list[str]
    output: str
    domain: str
    attributes: dict[str, Any]


def onnx_type(dtype: DTypeLike) -> int:
    """Return the number that ONNX gives to a NumPy dtype; object stands for text."""
    return require("onnx", "onnx").helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def numbered_names(taken: Collection[str] = ()) -> Callable[[str], str]:
    """Return a function that turns a hint into a name, a new one in each call.

    No name is among those that are taken.
    """
    numbers = count()

    def unique(hint: str) -> str:
        names = (f"sknet/{hint}_{number}" for number in numbers)
        return next(name for name in names if name not in taken)

    return unique


@dataclass
class Graph:
    """Nodes and constants in the order in which they were made.

    Parameters
    ----------
    unique : callable
        ``unique(hint)`` returns a name that nothing else in the ONNX model has.
    """

    unique: Callable[[str], str] = field(default_factory=numbered_names)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def constant(self, value: ArrayLike, dtype: DTypeLike | None = None) -> "Tensor":
        """Return a constant; by default, of the array's own type."""
        array = np.asarray(value, dtype=dtype)
        name = self.unique("constant")
        self.constants[name] = array
        return Tensor(self, name, array.dtype)

    def add(
        self,
        op_type: str,
        inputs: Iterable["Tensor"],
        dtype: DTypeLike,
        *,
        output: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> "Tensor":
        """Add a node with one output, and return the output."""
        output = output or self.unique(op_type)
        names = [one.name for one in inputs]
        self.nodes.append(Node(op_type, names, output, domain, attributes))
        return Tensor(self, output, np.dtype(dtype))

    def concat(self, tensors: Sequence["Tensor"], axis: int = 1) -> "Tensor":
        """Return tensors of one type, joined along an axis."""
        if len(tensors) == 1:
            return tensors[0]
        return self.add("Concat", tensors, tensors[0].dtype, axis=axis)


@dataclass(frozen=True)
class Tensor:
    """A value in a graph. Arithmetic with it adds a node to the graph and returns the result.

    The operands are tensors, numbers or arrays. Numbers and arrays become constants of the
    tensor's type. All operators have the form that they have in opset 13.

    Two patterns are avoided: z * Sigmoid(z), and a transpose before a product. Older runtimes
    fuse each of them into an operator that they do not have in float64.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def op(
        self, op_type: str, *others: Operand, dtype: DTypeLike | None = None, **options: Any
    ) -> "Tensor":
        """Return the result of an operator for the tensor and further operands.

        By default the result has the type of the tensor.
        """
        inputs = [self, *(self._operand(other) for other in others)]
        return self.graph.add(op_type, inputs, dtype or self.dtype, **options)

    def _operand(self, other: Operand) -> "Tensor":
        """Return the operand as a tensor."""
        return other if isinstance(other, Tensor) else self.graph.constant(other, self.dtype)

    def __add__(self, other: Operand) -> "Tensor":
        return self.op("Add", other)

    def __sub__(self, other: Operand) -> "Tensor":
        return self.op("Sub", other)

    def __mul__(self, other: Operand) -> "Tensor":
        return self.op("Mul", other)

    def __truediv__(self, other: Operand) -> "Tensor":
        return self.op("Div", other)

    def __matmul__(self, other: Operand) -> "Tensor":
        return self.op("MatMul", other)

    def __neg__(self) -> "Tensor":
        return self.op("Neg")

    def minimum(self, other: Operand) -> "Tensor":
        """Return the smaller of each pair."""
        return self.op("Min", other)

    def maximum(self, other: Operand) -> "Tensor":
        """Return the larger of each pair."""
        return self.op("Max", other)

    def cast(self, dtype: DTypeLike) -> "Tensor":
        """Return the values as ``dtype``."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return self.op("Cast", dtype=dtype, to=onnx_type(dtype))

    def ndtr(self) -> "Tensor":
        """Return the distribution function of the normal distribution."""
        # Runtimes implement the error function for float32 only.
        u = (self * math.sqrt(0.5)).cast(np.float32)
        return (u.op("Erf").cast(self.dtype) + 1) * 0.5

    def sum(self, axis: int, *, keepdims: bool = True) -> "Tensor":
        """Return sums along an axis."""
        return self.op("ReduceSum", self._indices([axis]), keepdims=int(keepdims))

    def reshape(self, *shape: int) -> "Tensor":
        """Return the values in another shape; 0 keeps the length of the axis at its place."""
        return self.op("Reshape", self._indices(shape))

    def einsum(self, equation: str, other: Operand) -> "Tensor":
        """Return sums of products, given an equation like that of numpy.einsum."""
        return self.op("Einsum", other, equation=equation)

    def columns(self, start: int, stop: int = END, step: int = 1) -> "Tensor":
        """Return a slice of the last axis."""
        places = (start, stop, -1) if step == 1 else (start, stop, -1, step)
        return self.op("Slice", *(self._indices([i]) for i in places))

    def take(self, indices: "Tensor | Iterable[int]", axis: int) -> "Tensor":
        """Return the slices at positions of an axis, given as numbers or an int64 tensor."""
        if not isinstance(indices, Tensor):
            indices = self._indices(indices)
        return self.op("Gather", indices, axis=axis)

    def labels(self, dtype: DTypeLike, **maps: Any) -> "Tensor":
        """Return the values to which the attributes of LabelEncoder map the tensor's values."""
        return self.op("LabelEncoder", dtype=dtype, domain="ai.onnx.ml", **maps)

    def rows_of(self, table: ArrayLike, dtype: DTypeLike | None = None) -> "Tensor":
        """Return the rows of a table at the tensor's positions, which are a column of int64."""
        return self.graph.constant(table, dtype).take(self.reshape(-1), axis=0)

    def _indices(self, values: Iterable[int]) -> "Tensor":
        """Return integers as a constant."""
        return self.graph.constant(list(values), np.int64)


class Port(NamedTuple):
    """An input or an output of an ONNX model.

    Attributes
    ----------
    tensor : Tensor
    n_columns : int
        The number of columns; 0 if the tensor has one dimension.
    """

    tensor: Tensor
    n_columns: int
