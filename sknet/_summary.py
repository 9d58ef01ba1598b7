"""A fitted network as a table of its layers, in text, in HTML and as data."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np


class LayerSummary(NamedTuple):
    """A row of a summary: one layer.

    ``n_outputs`` counts columns (of all members), ``shapes`` has the parameters' shapes by
    name, ``sparsity`` is the share of weights that are exactly zero (None without weights), and
    ``n_bytes`` the memory of the parameters.
    """

    name: str
    n_outputs: int
    shapes: dict[str, tuple[int, ...]]
    n_params: int
    sparsity: float | None
    n_bytes: int


class Summary(Sequence):
    """The layers of a fitted network; prints as a table.

    A sequence of one :class:`LayerSummary` for each layer, first to last.

    Attributes
    ----------
    title : str
        The estimator's name and what goes in and out.
    n_params, n_bytes : int
        Parameters, and the memory that they take.
    sparsity : float
        Share of all weights that are exactly zero.
    """

    _HEADER = ["layer", "outputs", "parameters", "shapes", "zero", "memory"]

    def __init__(self, title, layers, sparsity):
        self.title = title
        self._layers = list(layers)
        self.n_params = sum(layer.n_params for layer in layers)
        self.n_bytes = sum(layer.n_bytes for layer in layers)
        self.sparsity = sparsity

    def __len__(self):
        return len(self._layers)

    def __getitem__(self, index):
        return self._layers[index]

    def to_frame(self):
        """Return a pandas data frame with one row for each layer.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: python -m pip install pandas.") from error
        return pd.DataFrame(self._layers, columns=LayerSummary._fields)

    def __repr__(self):
        rows = [self._HEADER, *self._cells(), self._total()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i in (0, 3) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([self.title, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def _repr_html_(self):
        """Return the table as HTML, which notebooks show."""
        cells = [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._cells()
        ]
        head = "".join(f"<th>{cell}</th>" for cell in self._HEADER)
        foot = "".join(f"<th>{escape(cell)}</th>" for cell in self._total())
        return (
            f'<table class="sknet-summary"><caption>{escape(self.title)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(cells)}</tbody>"
            f"<tfoot><tr>{foot}</tr></tfoot></table>"
        )

    def _cells(self):
        """Return the text of each cell, row by row."""
        return [
            [
                layer.name,
                f"{layer.n_outputs:,}",
                f"{layer.n_params:,}",
                ", ".join(f"{name} {shape}" for name, shape in layer.shapes.items()),
                "" if layer.sparsity is None else f"{layer.sparsity:.1%}",
                _memory(layer.n_bytes),
            ]
            for layer in self
        ]

    def _total(self):
        return [
            "total",
            "",
            f"{self.n_params:,}",
            "",
            f"{self.sparsity:.1%}",
            _memory(self.n_bytes),
        ]


class NotebookMixin:
    """Lets notebooks show a fitted network's layers below scikit-learn's diagram."""

    @property
    def _repr_html_(self):
        """Return a function that returns HTML; absent unless diagrams are to be displayed."""
        diagram = super()._repr_html_
        return lambda: diagram() + self._layers_html()

    def _repr_mimebundle_(self, **kwargs):
        """Return what notebooks show, by type."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._layers_html()
        return bundle

    def _layers_html(self):
        if not self.__sklearn_is_fitted__():
            return ""
        table = summarize(type(self).__name__, self.n_features_in_, self._model)
        text = f"{len(table)} layers, {table.n_params:,} parameters, {_memory(table.n_bytes)}"
        return f"<details><summary>{text}</summary>{table._repr_html_()}</details>"


def summarize(name, n_features, model):
    """Return the :class:`Summary` of a model of so many features, under a name."""
    network, params = model.network, model.params
    weights = params[: network.n_penalized]
    title = (
        f"{name}: {n_features} features, {network.n_inputs} encoded columns, "
        f"{network.n_outputs} raw predictions, {params.dtype}"
    )
    layers = [
        _layer_summary(layer, vars(views), n_outputs)
        for layer, views, n_outputs in zip(
            network.layers, network.views(params), network.widths[1:], strict=True
        )
    ]
    return Summary(title, layers, float(np.mean(weights == 0)))


def _layer_summary(layer, arrays, n_outputs):
    """Return the row of one layer, given its parameters by name."""
    weight = arrays.get("weight")
    return LayerSummary(
        _layer_name(layer),
        n_outputs,
        {name: array.shape for name, array in arrays.items()},
        sum(array.size for array in arrays.values()),
        None if weight is None else float(np.mean(weight == 0)),
        sum(array.nbytes for array in arrays.values()),
    )


def _layer_name(layer):
    """Return the kind of layer, with its activation or what it consists of."""
    name = type(layer).__name__
    activation = type(getattr(layer, "activation", None)).__name__
    if hasattr(layer, "parts"):
        inner = {type(part).__name__ for _, part in layer.parts if part is not None}
        return f"{name} ({', '.join(sorted(inner))})"
    if hasattr(layer, "rate"):
        return f"{name} {layer.rate:g}"
    return name if activation in ("NoneType", "Identity") else f"{name} {activation.lower()}"


def _memory(n_bytes):
    """Return a number of bytes in a unit that suits it."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
