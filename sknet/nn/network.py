"""A stack of layers over one flat parameter vector."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from numbers import Integral
from types import SimpleNamespace
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike, NDArray

from sknet.nn.ensembles import WithConstants
from sknet.nn.kernels import Array, Rows, Views
from sknet.nn.layers import Buffers, Layer, Parameter, WorkArrays
from sknet.nn.sets import Bounds

#: The number of batch lengths for which a workspace keeps its arrays: the full length, the
#: length of the last batch, and the lengths of some blocks of rows.
MOST_LENGTHS = 8


class Slot(NamedTuple):
    """The place of one parameter array in the flat vector.

    Parameters
    ----------
    layer : int
        The position of the layer in the network.
    name : str
        The name of the array in the layer.
    where : slice
        The stretch of the flat vector that holds the array.
    parameter : Parameter
        The layer's declaration.
    """

    layer: int
    name: str
    where: slice
    parameter: Parameter

    def of(self, vector: Array) -> Array:
        """Return the parameter array in a flat vector, as a view."""
        return vector[self.where].reshape(self.parameter.shape)


@dataclass(frozen=True)
class Network:
    """Layers applied one after another to rows of ``n_inputs`` columns.

    The parameters, the gradient and the optimizer's state are flat vectors of ``n_params``
    numbers. The ``n_penalized`` weights come first. :meth:`views` gives the arrays of each
    layer.

    Parameters
    ----------
    layers : tuple of Layer
    n_inputs : int
        The number of columns of the input.
    n_members : int, default=1
        The size of an ensemble. A row of outputs holds the raw predictions of the members one
        after another.
    mean_before_link : bool, default=False
        Whether the prediction of an ensemble comes from the mean of its members' raw
        predictions. Otherwise, it is the mean of the members' predictions.
    """

    layers: tuple[Layer, ...]
    n_inputs: int
    n_members: int = 1
    mean_before_link: bool = False

    def __getstate__(self) -> dict[str, Any]:
        # A pickle holds only the fields, from which the cached layout follows.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def widths(self) -> list[int]:
        """The number of columns before the first layer and after each layer."""
        widths = [self.n_inputs]
        for layer in self.layers:
            widths.append(layer.n_outputs(widths[-1]))
        return widths

    @property
    def n_outputs(self) -> int:
        """The number of columns of the raw predictions."""
        return self.widths[-1]

    @cached_property
    def front(self) -> int:
        """The number of layers that embed single columns, before the first that mixes them."""
        pairs = enumerate(zip(self.layers, self.widths, strict=False))
        mixing = (i for i, (layer, width) in pairs if layer.output_counts(width) is None)
        return next(mixing, len(self.layers))

    @cached_property
    def first_trained(self) -> int:
        """The position of the first layer that has parameters, where a backward pass ends."""
        return min((slot.layer for slot in self.slots), default=0)

    @property
    def origins(self) -> NDArray[np.intp]:
        """The position of the network's input that each output of the front comes from."""
        origins = np.arange(self.n_inputs)
        for layer in self.layers[: self.front]:
            origins = np.repeat(origins, cast(list[int], layer.output_counts(origins.size)))
        return origins

    @property
    def hidden_ends(self) -> list[int]:
        """The position in ``layers`` of the end of each hidden layer.

        A hidden layer begins with a layer that has a weight matrix. It includes the
        normalization and dropout layers that follow.
        """
        begins = sorted(slot.layer for slot in self.slots if slot.name == "weight")
        return [begin - 1 for begin in begins[1:]]

    @property
    def head(self) -> Layer:
        """The layer with the weights of the outputs."""
        last = self.layers[-1]
        return last.head if isinstance(last, WithConstants) else last

    @cached_property
    def slots(self) -> list[Slot]:
        """The layout of the flat vector: penalized parameters first, then the others.

        Of each kind, those with a higher learning rate come last, so that a step can treat
        neighbors alike.
        """
        declared = [
            (i, name, parameter)
            for i, (layer, width) in enumerate(zip(self.layers, self.widths, strict=False))
            for name, parameter in layer.parameters(width).items()
        ]
        declared.sort(key=lambda item: (not item[2].penalized, item[2].rate))
        slots, start = [], 0
        for i, name, parameter in declared:
            stop = start + prod(parameter.shape)
            slots.append(Slot(i, name, slice(start, stop), parameter))
            start = stop
        return slots

    @cached_property
    def n_params(self) -> int:
        """The length of the flat vector."""
        return self.slots[-1].where.stop if self.slots else 0

    @cached_property
    def n_penalized(self) -> int:
        """The number of leading parameters that the penalty applies to."""
        return max((one.where.stop for one in self.slots if one.parameter.penalized), default=0)

    @cached_property
    def ridges(self) -> list[tuple[slice, float]]:
        """The places of the parameters with their own ridge penalty, each with its factor."""
        return [(one.where, one.parameter.ridge) for one in self.slots if one.parameter.ridge]

    def views(self, vector: Array) -> list[Views]:
        """Return one namespace of named arrays per layer: views of ``vector``.

        An array whose name has a dot, such as "0.map", is in a nested namespace.
        """
        views = [SimpleNamespace() for _ in self.layers]
        for slot in self.slots:
            *parts, name = slot.name.split(".")
            owner = views[slot.layer]
            for part in parts:
                owner = vars(owner).setdefault(part, SimpleNamespace())
            setattr(owner, name, slot.of(vector))
        return views

    def work_arrays(self) -> list[WorkArrays]:
        """Return the declarations of each layer's work arrays, which the caller may change."""
        inputs = zip(self.layers, self.widths, strict=False)
        return [dict(layer.buffers(width)) for layer, width in inputs]

    def part(self, params: Array, start: int, stop: int | None = None) -> tuple[Self, Array]:
        """Return the layers ``start:stop`` as a network, and a copy of its parameters.

        A network without layers returns its inputs.
        """
        part = replace(self, layers=self.layers[start:stop], n_inputs=self.widths[start])
        chosen = range(len(self.layers))[start:stop]
        # The arrays have the same order in both networks.
        arrays = (params[slot.where] for slot in self.slots if slot.layer in chosen)
        return part, np.concatenate([params[:0], *arrays])

    def with_outputs(self, params: Array, which: slice, n_raw: int) -> tuple[Self, Array]:
        """Return a network with only some of the outputs, and its parameters.

        ``which`` selects from the ``n_raw`` outputs of each member. Outputs that are the same
        for all rows do not count, and are left out.
        """
        others, last = self.layers[:-1], self.head
        n_units = last.n_units // n_raw * (which.stop - which.start)  # type: ignore[attr-defined]
        fewer = replace(last, n_units=n_units, within=None)  # type: ignore[type-var]
        part = replace(self, layers=(*others, fewer))
        copied = np.empty(part.n_params, params.dtype)
        values = {(slot.layer, slot.name): slot.of(params) for slot in self.slots}
        for slot in part.slots:
            array = values[slot.layer, slot.name]
            if slot.layer == len(others) and slot.name in (*last.output_weights, "bias"):
                array = array.reshape(-1, n_raw)[:, which].reshape(slot.parameter.shape)
            slot.of(copied)[...] = array
        return part, copied

    def copy_layers(
        self, params: Array, other: "Network", others: Array, with_outputs: bool
    ) -> None:
        """Copy into ``params`` the parameters ``others`` of a network with the same layers.

        Dropout layers may differ. The output layer is copied only if ``with_outputs`` is True;
        otherwise, it may differ, too.
        """

        def arrays(network: "Network", vector: Array) -> list[Array]:
            n_layers = len(network.layers) - (not with_outputs)
            return [one.of(vector) for one in network.slots if one.layer < n_layers]

        # Dropout has no parameters, so the arrays of both networks have the same order.
        for mine, theirs in zip(arrays(self, params), arrays(other, others), strict=True):
            mine[...] = theirs

    @property
    def learns_levels(self) -> bool:
        """Whether a layer learns a vector for each level of a category."""
        return any(layer.learns_levels for layer in self.layers)

    @property
    def adapts(self) -> bool:
        """Whether a layer adapts to what the network explains."""
        return any(layer.adapted(0.0) is not layer for layer in self.layers)

    def adapted(self, unexplained: float) -> Self:
        """Return the network for the next epoch, with layers as :meth:`Layer.adapted` has them.

        It has the same parameters and work arrays.
        """
        return replace(self, layers=tuple(one.adapted(unexplained) for one in self.layers))

    def init(self, rng: Generator) -> Array:
        """Return random initial parameters in float64."""
        params = np.zeros(self.n_params)
        for layer, views in zip(self.layers, self.views(params), strict=True):
            layer.initialize(views, rng)
        for slot in self.slots:
            if slot.parameter.within is not None:
                slot.parameter.within.enter(slot.of(params))
        return params

    def bounds(self, dtype: DTypeLike) -> Bounds | None:
        """Return the bounds of the parameters as vectors; None if all parameters are free."""
        pairs = [(slot, slot.parameter.within) for slot in self.slots]
        bounded = [(slot, within) for slot, within in pairs if within is not None]
        if not bounded:
            return None
        low = np.full(self.n_params, -np.inf, dtype)
        bounds = Bounds(low, -low)
        for slot, within in bounded:
            for vector, values in zip(bounds, within.bounds(slot.parameter.shape), strict=True):
                slot.of(vector)[...] = values
        return bounds

    def project(self, params: Array) -> None:
        """Move each parameter to the nearest allowed value, in place."""
        bounds = self.bounds(params.dtype)
        if bounds is not None:
            bounds.project(params)

    def rescale_outputs(self, params: Array, factor: Array, shift: Array) -> None:
        """Change the last layer in place so that raw predictions become factor * raw + shift.

        ``factor`` and ``shift`` have one entry for each output of a member.
        """
        self.layers[-1].rescale(self.views(params)[-1], factor, shift)

    def forward(
        self, params: Array, X: Rows, workspace: "Workspace", rng: Generator | None = None
    ) -> Array:
        """Return the raw predictions.

        Parameters
        ----------
        params : ndarray of shape (n_params,)
        X : ndarray or CSR matrix of shape (n_rows, n_inputs)
        workspace : Workspace
            It keeps the outputs of all layers for :meth:`backward`.
        rng : numpy Generator, optional
            Only for training: the source of random draws of layers such as dropout.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            A work array, which the next call overwrites.
        """
        workspace.use_rows(X.shape[0])
        x = X
        views = workspace.views(params)
        for i, layer in enumerate(self.layers):
            x = workspace.outputs[i] = layer.forward(views[i], x, workspace.buffers[i], rng)
        return x

    def backward(
        self, params: Array, gradient_out: Array | None, X: Rows, workspace: "Workspace"
    ) -> Array | None:
        """Go back through the layers after a forward pass over ``X``.

        Parameters
        ----------
        params : ndarray of shape (n_params,)
        gradient_out : ndarray of shape (n_params,) or None
            The gradient of the parameters is written into this array. With None, it is not
            computed.
        X : ndarray or CSR matrix of shape (n_rows, n_inputs)
        workspace : Workspace
            The workspace of the forward pass. Its ``delta`` is the gradient of the raw
            predictions.

        Returns
        -------
        ndarray of shape (n_rows, n_inputs) or None
            The gradient of ``X`` if the workspace was made with ``input_gradient=True``, else
            None.
        """
        inputs = [X, *workspace.outputs[:-1]]
        views = workspace.views(params)
        grads = None if gradient_out is None else workspace.views(gradient_out)
        delta = workspace.delta
        last = 0 if workspace.input_gradient else self.first_trained
        for i in reversed(range(last, len(self.layers))):
            layer, x, buffers = self.layers[i], inputs[i], workspace.buffers[i]
            delta = layer.backward_shared(views[i], x, delta, buffers)
            if grads is not None and vars(grads[i]):
                layer.backward_params(views[i], grads[i], x, delta, buffers)
            if i > last or workspace.input_gradient:
                delta = layer.backward_inputs(views[i], x, delta, buffers)
        return delta if workspace.input_gradient else None


class Workspace:
    """The work arrays of one network, for one call at a time. Each thread needs its own.

    Parameters
    ----------
    network : Network
    n_rows : int
        The largest number of rows in a batch.
    dtype : dtype
        The dtype of the parameters.
    input_gradient : bool, default=False
        Whether the backward pass continues to the inputs of the network.

    Attributes
    ----------
    buffers : list of dict of str to ndarray
        The work arrays of each layer, as long as the batch.
    outputs : list of ndarray
        The outputs of each layer in the last forward pass.
    delta : ndarray of shape (n_rows, n_outputs)
        The gradient of the raw predictions, from which the backward pass starts.
    """

    def __init__(
        self, network: Network, n_rows: int, dtype: DTypeLike, input_gradient: bool = False
    ):
        self.input_gradient = input_gradient
        self._dtype = dtype
        self._declared = network.work_arrays()
        if not input_gradient:
            for work in self._declared[: network.first_trained + 1]:
                work.pop("delta", None)
        self._network = network
        whole = [_allocate(work, n_rows, dtype) for work in self._declared]
        delta = np.empty((n_rows, network.n_outputs), dtype)
        # The arrays for each batch length, the full length first.
        self._cut: dict[int, tuple[list[Buffers], Array]] = {n_rows: (whole, delta)}
        self._views: dict[int, tuple[Array, list[Views]]] = {}
        self.outputs: list[Any] = [None] * len(network.layers)
        self.buffers: list[Buffers] = whole
        self.delta: Array = delta

    def use_rows(self, n_rows: int) -> None:
        """Give ``buffers`` and ``delta`` a length of ``n_rows``."""
        if n_rows not in self._cut:
            whole, delta = next(iter(self._cut.values()))
            if len(self._cut) == MOST_LENGTHS:
                # Batches of ever-changing lengths must not fill the memory.
                self._cut = dict(list(self._cut.items())[:1])
            pairs = zip(self._declared, whole, strict=True)
            buffers = [_allocate(work, n_rows, self._dtype, one) for work, one in pairs]
            self._cut[n_rows] = buffers, delta[:n_rows]
        self.buffers, self.delta = self._cut[n_rows]

    def views(self, vector: Array) -> list[Views]:
        """Return the network's views of ``vector``, remembered from one step to the next."""
        known = self._views.get(id(vector))
        if known is None or known[0] is not vector:
            # Two vectors, the parameters and the gradient, are enough. A solver that makes new
            # ones for each step must not fill the memory.
            if len(self._views) == 2:
                self._views.clear()
            known = self._views[id(vector)] = vector, self._network.views(vector)
        return known[1]


def _allocate(
    declared: WorkArrays, n_rows: int, dtype: DTypeLike, whole: Buffers | None = None
) -> Buffers:
    """Return the declared work arrays for ``n_rows`` rows.

    If ``whole`` is given, it holds the arrays of a full batch, and arrays with a row for each
    row of the batch are views of those.
    """
    buffers: Buffers = {}
    for name, work in declared.items():
        if isinstance(work, Integral):
            buffers[name] = whole[name][:n_rows] if whole else np.empty((n_rows, work), dtype)
        elif isinstance(work, dict):
            buffers[name] = _allocate(work, n_rows, dtype, whole and whole[name])
        else:
            buffers[name] = work(n_rows, dtype)
    return buffers
