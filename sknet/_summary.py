"""The card and the layers of a fitted network: as text, as HTML and as data."""

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import chain, zip_longest
from textwrap import TextWrapper, wrap
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from sknet._attributes import FittedAttributes, Value, card_lines
from sknet._model import Model
from sknet._requirements import require
from sknet.nn.kernels import Array

#: The names of the columns of a table of layers, and how their text is aligned.
HEADER = ["layer", "outputs", "parameters", "memory", "zeros", "shapes"]
SIDES = "<>>>><"
#: The largest widths in characters of the table's first and last columns. The other columns
#: together take at most 44.
NAME_WIDTH, SHAPES_WIDTH = 26, 30
#: The largest numbers of names and of groups of names that a card shows. ``value`` has all of
#: them.
MOST_NAMES, MOST_GROUPS = 8, 4
#: The largest number of characters of a name that a card shows.
LONGEST_NAME = 40
#: The width of a card in characters.
WIDTH = 80


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


class Summary(list[LayerSummary]):
    """A list with a :class:`LayerSummary` for each layer, first to last, and a card.

    It prints as the card and a table of the layers below it, at most 100 characters wide.

    Attributes
    ----------
    title : str
        The name of the estimator, the number of columns of X, the numbers of inputs and outputs
        of the network, and the dtype. The inputs are the encoded columns.
    n_params, n_bytes : int
        The number of parameters, and their memory in bytes.
    sparsity : float
        The share of all weights that are exactly zero.
    card : ModelCard
        What the network predicts, which constraints hold, and what it was trained on.
    """

    def __init__(
        self, title: str, layers: Iterable[LayerSummary], sparsity: float, card: "ModelCard"
    ) -> None:
        super().__init__(layers)
        self.title = title
        self.n_params: int = sum(layer.n_params for layer in self)
        self.n_bytes: int = sum(layer.n_bytes for layer in self)
        self.sparsity = sparsity
        self.card = card

    def to_frame(self) -> Any:
        """Return a pandas data frame with one row for each layer.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return require("pandas").DataFrame(list(self), columns=LayerSummary._fields)

    def __repr__(self) -> str:
        rows = [_in_lines(row) for row in self._rows()]
        widths = [max(map(len, column)) for column in zip(*chain(*rows), strict=True)]
        forms = [f"{side}{width}" for side, width in zip(SIDES, widths, strict=True)]
        texts = [["  ".join(map(format, line, forms)).rstrip() for line in row] for row in rows]
        rule = "-" * max(map(len, chain(*texts)))
        head, *body, total = texts
        return "\n".join(
            [self.title, "", repr(self.card), "", *head, rule, *chain(*body), rule, *total]
        )

    def _repr_html_(self) -> str:
        """Return the card and the table as HTML, which notebooks show."""
        return self.card._repr_html_() + self._table_html()

    def _table_html(self) -> str:
        """Return the table of the layers as HTML."""
        head, *body, total = self._rows()
        return (
            f'<table class="sknet-summary"><caption>{escape(self.title)}</caption>'
            f"<thead>{_html_row(head, 'th')}</thead>"
            f"<tbody>{''.join(_html_row(row, 'td') for row in body)}</tbody>"
            f"<tfoot>{_html_row(total, 'th')}</tfoot></table>"
        )

    def _rows(self) -> list[list[str]]:
        """Return the text of each cell: the header, the layers and their total."""
        total = LayerSummary("total", 0, {}, self.n_params, self.sparsity, self.n_bytes)
        return [HEADER, *(_cells(layer) for layer in [*self, total])]


class CardLine(NamedTuple):
    """A line of a :class:`ModelCard`.

    Attributes
    ----------
    name : str
        What the line is about, such as "loss".
    value : str, int, list of str or list of list of str
        What the line says. Long lists are complete here; the text shows only their beginning.
    """

    name: str
    value: Value

    @property
    def text(self) -> str:
        """The value as one line of text."""
        return self.value if isinstance(self.value, str) else _in_short(self.value)


class ModelCard(list[CardLine]):
    """What a fitted network predicts, which constraints hold, and what it was trained on.

    It is a list with a :class:`CardLine` for each fact. It prints at most 80 characters wide.
    """

    def to_dict(self) -> dict[str, Value]:
        """Return the value of each line by its name, in types that JSON supports."""
        return dict(self)

    def __repr__(self) -> str:
        names = [_short_name(line.name) for line in self]
        start = 2 + max(map(len, names))
        wrapper = TextWrapper(WIDTH - start, break_on_hyphens=False)
        return "\n".join(
            name.ljust(start) + ("\n" + " " * start).join(wrapper.wrap(line.text))
            for name, line in zip(names, self, strict=True)
        )

    def _repr_html_(self) -> str:
        """Return the lines as a table in HTML, which notebooks show."""
        left = 'style="text-align: left"'
        tags = f'th scope="row" {left}', f"td {left}"
        rows = "".join(_html_row((_short_name(line.name), line.text), *tags) for line in self)
        return f'<table class="sknet-card"><tbody>{rows}</tbody></table>'


class NotebookMixin(FittedAttributes, BaseEstimator):
    """A fitted estimator whose card and layers notebooks show below scikit-learn's diagram."""

    @property
    def _repr_html_(self) -> Callable[[], str]:
        """Return a function that returns HTML.

        As in scikit-learn, the attribute is missing if scikit-learn's configuration switches
        diagrams off.
        """
        diagram = super()._repr_html_
        return lambda: diagram() + self._fitted_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return the representations that a notebook can choose from, by media type."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._fitted_html()
        return bundle

    def _fitted_html(self) -> str:
        """Return the card, and the layers, which a click opens; "" before the first fit."""
        if not self.__sklearn_is_fitted__():
            return ""
        table = summarize(self, self._model)
        counts = _counted(len(table), "layer"), _counted(table.n_params, "parameter")
        text = ", ".join([*counts, _memory(table.n_bytes)])
        return (
            f"<details open><summary>Model card</summary>{table.card._repr_html_()}</details>"
            f"<details><summary>{text}</summary>{table._table_html()}</details>"
        )


def summarize(estimator: FittedAttributes, model: Model) -> Summary:
    """Return the :class:`Summary` of a fitted estimator and of its model."""
    network, params = model.network, model.params
    weights = params[: network.n_penalized]
    counts = (
        _counted(estimator.n_features_in_, "column"),
        _counted(network.n_inputs, "input"),
        _counted(network.n_outputs, "output"),
    )
    title = f"{type(estimator).__name__}: {', '.join(counts)}, {params.dtype}"
    arrays: list[dict[str, Array]] = [{} for _ in network.layers]
    for slot in network.slots:
        arrays[slot.layer][slot.name] = slot.of(params)
    names = [layer.describe() for layer in network.layers]
    names[-1] = f"output, {names[-1]}"
    layers = map(_layer_summary, names, arrays, network.widths[1:])
    card = ModelCard(CardLine(*line) for line in card_lines(estimator, model))
    return Summary(title, layers, float(np.mean(weights == 0)), card)


def _layer_summary(name: str, arrays: dict[str, Array], n_outputs: int) -> LayerSummary:
    """Return the row of one layer, given its parameter arrays by name."""
    weight = arrays.get("weight")
    return LayerSummary(
        name,
        n_outputs,
        {name: array.shape for name, array in arrays.items()},
        sum(array.size for array in arrays.values()),
        None if weight is None else float(np.mean(weight == 0)),
        sum(array.nbytes for array in arrays.values()),
    )


def _cells(layer: LayerSummary) -> list[str]:
    """Return the text of each cell in the row of a layer, or in that of the total."""
    return [
        layer.name,
        f"{layer.n_outputs:,}" if layer.n_outputs else "",  # outputs have no total
        f"{layer.n_params:,}",
        _memory(layer.n_bytes),
        "" if layer.sparsity is None else f"{layer.sparsity:.1%}",
        # Arrays of an inner layer have its position before their name, such as "0.table".
        ", ".join(f"{key.rpartition('.')[2]} {one}" for key, one in layer.shapes.items()),
    ]


def _in_lines(cells: Sequence[str]) -> list[tuple[str, ...]]:
    """Return a row of a table as lines of text, with its first and last cells wrapped."""
    name, *numbers, shapes = cells
    names = wrap(name, NAME_WIDTH, subsequent_indent="  ") or [""]
    # Lines break between shapes, not within a shape.
    whole = re.sub(r"(?<!\),) ", "\xa0", shapes)
    columns = [[one] for one in numbers]
    lines = wrap(whole, SHAPES_WIDTH, break_long_words=False)
    columns.append([line.replace("\xa0", " ") for line in lines])
    return list(zip_longest(names, *columns, fillvalue=""))


def _counted(number: int, noun: str) -> str:
    """Return a number of things as text."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _memory(n_bytes: int) -> str:
    """Return a number of bytes as text, in B, KiB, MiB or GiB."""
    size = float(n_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _in_short(value: int | Sequence[str | list[str]]) -> str:
    """Return a number, names or groups of names as text: the first ones, and how many more."""
    if isinstance(value, int):
        return f"{value:,}"
    parts = [
        shortened(one, LONGEST_NAME) if isinstance(one, str) else f"({_in_short(one)})"
        for one in value
    ]
    most = MOST_NAMES if isinstance(value[0], str) else MOST_GROUPS
    rest = f" and {len(parts) - most:,} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + rest


def _short_name(name: str) -> str:
    """Return the name of a line of a card; a target's name before its colon is shortened."""
    target, colon, rest = name.rpartition(": ")
    return shortened(target, LONGEST_NAME) + colon + rest


def shortened(name: str, longest: int) -> str:
    """Return a name, cut to at most ``longest`` characters."""
    return name if len(name) <= longest else name[: longest - 1] + "\u2026"


def _html_row(cells: Sequence[str], *tags: str) -> str:
    """Return a row of a table as HTML, with a tag for each cell; the last tag repeats."""
    pairs = zip_longest(cells, tags, fillvalue=tags[-1])
    texts = [f"<{tag}>{escape(cell)}</{tag.split()[0]}>" for cell, tag in pairs]
    return f"<tr>{''.join(texts)}</tr>"
