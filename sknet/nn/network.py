"""A stack of layers over one flat parameter vector."""

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from math import prod
from operator import attrgetter
from types import SimpleNamespace

import numpy as np

from sknet.nn.layers import Layer, Parameter


@dataclass(frozen=True)
class Slot:
    """Where one parameter of one layer lies in the flat vector."""

    layer: int
    name: str
    where: slice
    parameter: Parameter

    @property
    def group(self):
        """What parameters that are updated alike have in common."""
        return self.parameter.penalized, self.parameter.lr_scale


@dataclass(frozen=True)
class ParameterGroup:
    """A stretch of the flat vector whose parameters are updated alike."""

    where: slice
    penalized: bool
    lr_scale: float


@dataclass(frozen=True)
class Network:
    """Layers applied one after another to rows of ``n_inputs`` columns.

    Parameters, gradient and optimizer state are flat vectors of ``n_params`` numbers, the
    ``n_penalized`` weights first. :meth:`views` gives a vector's arrays, layer by layer. With
    ``n_members`` > 1 the outputs are those of the members, one after another.
    """

    layers: tuple[Layer, ...]
    n_inputs: int
    n_members: int = 1

    def __getstate__(self):
        # Without the layout, which follows from the fields.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def widths(self):
        """Columns before the first layer, between layers, and after the last."""
        widths = [self.n_inputs]
        for layer in self.layers:
            widths.append(layer.n_outputs(widths[-1]))
        return widths

    @property
    def n_outputs(self):
        """Columns of the raw predictions."""
        return self.widths[-1]

    @property
    def hidden_ends(self):
        """The place among the layers of the last one of each hidden layer.

        A hidden layer begins with a weight matrix, and includes what follows until the next.
        """
        begins = [
            i
            for i, (layer, width) in enumerate(zip(self.layers, self.widths, strict=False))
            if "weight" in layer.parameters(width)
        ]
        return [begin - 1 for begin in begins[1:]]

    @cached_property
    def slots(self):
        """The layout of the flat vector: penalised parameters first, then by learning rate."""
        declared = [
            (i, name, parameter)
            for i, (layer, width) in enumerate(zip(self.layers, self.widths, strict=False))
            for name, parameter in layer.parameters(width).items()
        ]
        declared.sort(key=lambda item: (not item[2].penalized, item[2].lr_scale))
        slots, start = [], 0
        for i, name, parameter in declared:
            stop = start + prod(parameter.shape)
            slots.append(Slot(i, name, slice(start, stop), parameter))
            start = stop
        return slots

    @cached_property
    def groups(self):
        """Stretches of parameters with equal penalty and learning rate."""
        groups = []
        for (penalized, lr_scale), slots in groupby(self.slots, attrgetter("group")):
            slots = list(slots)
            where = slice(slots[0].where.start, slots[-1].where.stop)
            groups.append(ParameterGroup(where, penalized, lr_scale))
        return groups

    @cached_property
    def n_params(self):
        """Length of the flat vector."""
        return self.slots[-1].where.stop if self.slots else 0

    @cached_property
    def n_penalized(self):
        """Number of leading parameters that the penalty applies to."""
        return sum(
            prod(slot.parameter.shape) for slot in self.slots if slot.parameter.penalized
        )

    def views(self, vector):
        """Return one namespace of named arrays per layer: views of ``vector``."""
        views = [SimpleNamespace() for _ in self.layers]
        for slot in self.slots:
            setattr(
                views[slot.layer], slot.name, vector[slot.where].reshape(slot.parameter.shape)
            )
        return views

    def part(self, params, start, stop=None):
        """Return the layers from ``start`` until ``stop`` as a network, and its parameters.

        The parameters are copied. Without layers it returns what it is given.
        """
        layers = slice(start, stop)
        part = Network(self.layers[layers], self.widths[start], self.n_members)
        copied = np.empty(part.n_params, params.dtype)
        for source, target in zip(self.views(params)[layers], part.views(copied), strict=True):
            for name, array in vars(target).items():
                array[...] = getattr(source, name)
        return part, copied

    def init(self, rng, X=None, dtype=np.float64):
        """Return initial parameters; ``X`` are some encoded rows to fit them to, or None."""
        params = np.zeros(self.n_params, dtype=dtype)
        for layer, views in zip(self.layers, self.views(params), strict=True):
            layer.initialize(views, rng, X)
            X = None
        return params

    def rescale_outputs(self, params, factor, shift):
        """Change the last layer in place, so that raw predictions become raw factor + shift.

        ``factor`` and ``shift`` have one entry for each output of a member.
        """
        last = self.views(params)[-1]
        by_output = last.weight.reshape(-1, factor.size)
        by_output *= factor
        by_output = last.bias.reshape(-1, factor.size)
        by_output *= factor
        by_output += shift

    def forward(self, params, X, workspace, rng=None):
        """Return the raw predictions, a buffer of ``workspace``; ``rng`` only in training."""
        workspace.use_rows(X.shape[0])
        x = X
        for i, (layer, views) in enumerate(
            zip(self.layers, workspace.views(params), strict=True)
        ):
            x = layer.forward(views, x, workspace.buffers[i], rng)
            workspace.outputs[i] = x
        return x

    def backward(self, params, gradient_out, X, workspace):
        """Fill ``gradient_out``, given ``workspace.delta``, after a forward pass over ``X``.

        Return the gradient of the inputs if the workspace was made for it, else None. Where
        that is all that is wanted, ``gradient_out`` is None.
        """
        inputs = [X, *workspace.outputs[:-1]]
        views = workspace.views(params)
        if gradient_out is None:
            grads = [None] * len(self.layers)
        else:
            grads = workspace.views(gradient_out)
        delta = workspace.delta
        for i in reversed(range(len(self.layers))):
            delta = self.layers[i].backward(
                views[i], grads[i], inputs[i], delta, workspace.buffers[i]
            )
        return delta


class Workspace:
    """The work arrays of one network for up to ``n_rows`` rows; of one call, never shared.

    Parameters
    ----------
    network : Network
    n_rows : int
        The largest number of rows of a batch.
    dtype : dtype
        That of the parameters.
    input_gradient : bool, default=False
        Whether the backward pass goes on to the inputs.
    """

    def __init__(self, network, n_rows, dtype, input_gradient=False):
        self._whole = [
            {name: np.empty((n_rows, columns), dtype) for name, columns in widths.items()}
            for widths in self._widths(network, input_gradient)
        ]
        self._whole_delta = np.empty((n_rows, network.n_outputs), dtype)
        self._network = network
        self._cut = {}
        self._views = {}
        self.outputs = [None] * len(network.layers)
        self.use_rows(n_rows)

    @staticmethod
    def _widths(network, input_gradient):
        widths = [
            layer.buffers(width)
            for layer, width in zip(network.layers, network.widths, strict=False)
        ]
        if not input_gradient:
            widths[0].pop("delta", None)
        return widths

    def use_rows(self, n_rows):
        """Make ``buffers``, of each layer, and ``delta``, of the outputs, ``n_rows`` long."""
        if n_rows not in self._cut:
            buffers = [{name: b[:n_rows] for name, b in layer.items()} for layer in self._whole]
            self._cut[n_rows] = buffers, self._whole_delta[:n_rows]
        self.buffers, self.delta = self._cut[n_rows]

    def views(self, vector):
        """Return the network's views of ``vector``, remembered from one step to the next."""
        known = self._views.get(id(vector))
        if known is None or known[0] is not vector:
            # Parameters and gradient; a solver with ever new vectors must not fill the memory.
            if len(self._views) == 2:
                self._views.clear()
            known = self._views[id(vector)] = vector, self._network.views(vector)
        return known[1]
