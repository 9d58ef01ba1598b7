"""A graph of ONNX operators under construction, and formulas that write into it."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import numpy as np


class Node(NamedTuple):
    """One operator: its type, what it reads and writes, and its attributes.

    A NumPy dtype among the attributes stands for ONNX's number of that type.
    """

    op_type: str
    inputs: list[str]
    output: str
    domain: str
    attributes: dict[str, Any]


@dataclass
class Graph:
    """Nodes and constants in the order in which they were made.

    ``unique`` turns a hint into a name that nothing else in the model has. Nothing here needs
    the onnx package.
    """

    unique: Any = None
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        if self.unique is None:
            numbers = count()
            # No column of a frame is likely to be called so.
            self.unique = lambda hint: f"sknet/{hint}_{next(numbers)}"

    def constant(self, value, dtype=None):
        """Return a constant, of the array's own type by default."""
        value = np.asarray(value, dtype=dtype)
        name = self.unique("constant")
        self.constants[name] = value
        return Tensor(self, name, value.dtype)

    def add(self, op_type, inputs, dtype, *, output=None, domain="", **attributes):
        """Add a node of one output, and return that."""
        output = output or self.unique(op_type)
        names = [one.name for one in inputs]
        self.nodes.append(Node(op_type, names, output, domain, attributes))
        return Tensor(self, output, np.dtype(dtype))

    def concat(self, tensors, axis=1):
        """Return tensors of one type side by side."""
        if len(tensors) == 1:
            return tensors[0]
        return self.add("Concat", tensors, tensors[0].dtype, axis=axis)


@dataclass(frozen=True)
class Tensor:
    """A value in a graph. What is computed from it becomes a node.

    Arithmetic takes tensors, numbers and arrays; the latter two become constants of the
    tensor's type. Operators keep to the forms that they have from opset 13 on. Older runtimes
    fuse z * Sigmoid(z), and a transpose with the product that follows, into operators that they
    lack in float64, so neither is used.
    """

    graph: Graph
    name: str
    dtype: np.dtype

    def op(self, op_type, *others, dtype=None, **options):
        """Return what the operator makes of the tensor and of others, of the same type."""
        inputs = [self, *(self._operand(other) for other in others)]
        return self.graph.add(op_type, inputs, dtype or self.dtype, **options)

    def _operand(self, other):
        return other if isinstance(other, Tensor) else self.graph.constant(other, self.dtype)

    def __add__(self, other):
        return self.op("Add", other)

    def __sub__(self, other):
        return self.op("Sub", other)

    def __mul__(self, other):
        return self.op("Mul", other)

    def __truediv__(self, other):
        return self.op("Div", other)

    def __matmul__(self, other):
        return self.op("MatMul", other)

    def __neg__(self):
        return self.op("Neg")

    def minimum(self, other):
        """Return the smaller one of each pair."""
        return self.op("Min", other)

    def maximum(self, other):
        """Return the larger one of each pair."""
        return self.op("Max", other)

    def cast(self, dtype):
        """Return the values as ``dtype``."""
        dtype = np.dtype(dtype)
        return self if dtype == self.dtype else self.op("Cast", dtype=dtype, to=dtype)

    def sum(self, axis, *, keepdims=True):
        """Return sums along an axis."""
        return self.op("ReduceSum", self._indices([axis]), keepdims=int(keepdims))

    def reshape(self, *shape):
        """Return the values in another shape; 0 stands for the axis that was there."""
        return self.op("Reshape", self._indices(shape))

    def einsum(self, equation, other):
        """Return sums of products, as numpy.einsum has them."""
        return self.op("Einsum", other, equation=equation)

    def columns(self, start, stop):
        """Return a slice of the last axis."""
        return self.op("Slice", *(self._indices([i]) for i in (start, stop, -1)))

    def take(self, indices, axis):
        """Return the slices at the given places of an axis; a list, or a tensor of int64."""
        if not isinstance(indices, Tensor):
            indices = self._indices(indices)
        return self.op("Gather", indices, axis=axis)

    def _indices(self, values):
        return self.graph.constant(list(values), np.int64)
