"""The names of the columns that enter the first layer with a weight matrix."""

from collections.abc import Sequence
from itertools import count

from sknet.data.encoding import TableEncoder
from sknet.nn.columns import Columns
from sknet.nn.network import Network


def encoded_names(
    network: Network, encoder: TableEncoder, names: Sequence[str], levels: Sequence
) -> list[str]:
    """Return a name for each column that enters the first layer with a weight matrix.

    ``names`` are the names of the numeric columns and then of the categories, and ``levels``
    has the levels of each category. An output of an embedding is named after its column, with
    a number. Components of numbers come last. No two names are equal.
    """
    return unique_names(_names_by_origin(network, encoder, names, levels))


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of which those that occur again have a number, from 2, appended."""
    taken, found = set(names), dict[str, None]()
    for name in names:
        numbered = (f"{name}_{i}" for i in count(2))
        new = name if name not in found else next(one for one in numbered if one not in taken)
        taken.add(new)
        found[new] = None
    return list(found)


def _names_by_origin(
    network: Network, encoder: TableEncoder, names: Sequence[str], levels: Sequence
) -> list[str]:
    """Return the names of :func:`encoded_names`, of which some may be equal."""
    encoded = encoder.feature_names(names, levels)
    of_components = [f"component{i}" for i in range(encoder.n_found_components_)]
    front = network.layers[0]
    if not isinstance(front, Columns):
        return encoded + of_components
    sources, embedded = iter(encoded), []
    for width, layer in front.parts:
        for j, name in enumerate([next(sources) for _ in range(width)]):
            size = 1 if layer is None else layer.output_counts(width)[j]
            embedded += [name] if layer is None else [f"{name}_{i}" for i in range(size)]
    return embedded + of_components
