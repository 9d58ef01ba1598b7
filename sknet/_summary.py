"""The layers and the card of a fitted network: as text, as HTML and as data."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, NamedTuple, overload

import numpy as np
from sklearn.base import BaseEstimator

from sknet._attributes import FittedAttributes
from sknet._card import ModelCard, make_card
from sknet._model import Model
from sknet._requirements import require
from sknet.nn.layers import Layer
from sknet.nn.network import named_arrays
from sknet.nn.types import Array


class LayerSummary(NamedTuple):
    """One layer, a row of a :class:`Summary`.

    Attributes
    ----------
    name : str
        The kind of the layer, with its activation.
    n_outputs : int
        The number of columns that the layer returns, for all members together.
    shapes : dict of str to tuple of int
        The shapes of the parameter arrays, by name.
    n_params : int
        The number of parameters.
    sparsity : float or None
        The share of the weights that are exactly zero; None if the layer has no weights.
    n_bytes : int
        The memory of the parameters in bytes.
    """

    name: str
    n_outputs: int
    shapes: dict[str, tuple[int, ...]]
    n_params: int
    sparsity: float | None
    n_bytes: int


class Summary(Sequence[LayerSummary]):
    """A sequence of a :class:`LayerSummary` for each layer, first to last, and a card.

    It prints as a table of the layers and the card below it.

    Attributes
    ----------
    title : str
        The name of the estimator, the numbers of columns that go into the network and come out
        of it, and the dtype.
    n_params, n_bytes : int
        The number of parameters, and their memory in bytes.
    sparsity : float
        The share of all weights that are exactly zero.
    card : ModelCard
        What the network predicts, what is promised of it, and what its training saw.
    """

    _HEADER = ["layer", "outputs", "parameters", "shapes", "zero", "memory"]

    def __init__(
        self, title: str, layers: Iterable[LayerSummary], sparsity: float, card: ModelCard
    ) -> None:
        self.title = title
        self._layers = list(layers)
        self.n_params: int = sum(layer.n_params for layer in self)
        self.n_bytes: int = sum(layer.n_bytes for layer in self)
        self.sparsity = sparsity
        self.card = card

    def __len__(self) -> int:
        return len(self._layers)

    @overload
    def __getitem__(self, index: int) -> LayerSummary: ...

    @overload
    def __getitem__(self, index: slice) -> list[LayerSummary]: ...

    def __getitem__(self, index: int | slice) -> LayerSummary | list[LayerSummary]:
        return self._layers[index]

    def to_frame(self) -> Any:
        """Return a pandas data frame with one row for each layer.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return require("pandas").DataFrame(self._layers, columns=LayerSummary._fields)

    def __repr__(self) -> str:
        return f"{self._table()}\n\n{self.card!r}"

    def _table(self) -> str:
        """Return the table of the layers as text."""
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

    def _repr_html_(self) -> str:
        """Return the table and the card as HTML, which notebooks show."""
        return self._table_html() + self.card._repr_html_()

    def _table_html(self) -> str:
        """Return the table of the layers as HTML."""
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

    def _cells(self) -> list[list[str]]:
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

    def _total(self) -> list[str]:
        """Return the text of the cells of the last row."""
        return [
            "total",
            "",
            f"{self.n_params:,}",
            "",
            f"{self.sparsity:.1%}",
            _memory(self.n_bytes),
        ]


class NotebookMixin(FittedAttributes, BaseEstimator):
    """A fitted estimator whose card and layers notebooks show below scikit-learn's diagram."""

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Return a function that returns HTML.

        As in scikit-learn, the attribute is missing if its configuration asks for no diagrams.
        """
        diagram = super()._repr_html_
        return lambda: diagram() + self._fitted_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return the representations among which notebooks choose, by media type."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._fitted_html()
        return bundle

    def _fitted_html(self) -> str:
        """Return the card and the layers, which open on a click; empty before the first fit."""
        if not self.__sklearn_is_fitted__():
            return ""
        table = summarize(type(self).__name__, self._column_names, self._model, self.history_)
        text = f"{len(table)} layers, {table.n_params:,} parameters, {_memory(table.n_bytes)}"
        return (
            f"<details><summary>Model card</summary>{table.card._repr_html_()}</details>"
            f"<details><summary>{text}</summary>{table._table_html()}</details>"
        )


def summarize(
    name: str,
    column_names: Sequence[str],
    model: Model,
    history: dict[str, list[float]],
) -> Summary:
    """Return the :class:`Summary` of a model.

    Parameters
    ----------
    name : str
        The name of the estimator's class.
    column_names : sequence of str
        The names of the columns of X.
    model : Model
    history : dict of str to list of float
        The record of the epochs.
    """
    network, params = model.network, model.params
    weights = params[: network.n_penalized]
    title = (
        f"{name}: {len(column_names)} features, {network.n_inputs} encoded columns, "
        f"{network.n_outputs} raw predictions, {params.dtype}"
    )
    layers = [
        _layer_summary(layer, named_arrays(views), n_outputs)
        for layer, views, n_outputs in zip(
            network.layers, network.views(params), network.widths[1:], strict=True
        )
    ]
    card = make_card(column_names, model, history)
    return Summary(title, layers, float(np.mean(weights == 0)), card)


def _layer_summary(layer: Layer, arrays: dict[str, Array], n_outputs: int) -> LayerSummary:
    """Return the row of one layer, given its parameter arrays by name."""
    weight = arrays.get("weight")
    return LayerSummary(
        layer.describe(),
        n_outputs,
        {name: array.shape for name, array in arrays.items()},
        sum(array.size for array in arrays.values()),
        None if weight is None else float(np.mean(weight == 0)),
        sum(array.nbytes for array in arrays.values()),
    )


def _memory(n_bytes: int) -> str:
    """Return a number of bytes as text, in B, KiB, MiB or GiB."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
