"""One look at a table: all that a model has to know about X before its training starts.

Parts of one table, such as the partitions of a cluster, are surveyed one by one, and their
surveys are merged. Missing values and the statistics of columns, such as the counts of levels,
are then exact. Quantiles and the effects of levels are estimated from a sample of rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet.data import draws
from sknet.data.batches import Dataset
from sknet.data.draws import draw_rows, most_copied_rows
from sknet.data.row_blocks import RowBlocks
from sknet.data.tables import TableReader
from sknet.data.weights import Floats, repetitions


@dataclass(frozen=True, eq=False)
class Survey:
    """The result of one pass over a table, or over a part of one, as plain numbers.

    The columns are in the order of ``TableReader.read``.

    Attributes
    ----------
    n_rows : int
        The number of rows of positive weight.
    sparse : bool
        Whether the rows are sparse.
    dtype : dtype
        The precision of the numbers.
    row_bytes : float
        The average number of bytes of a row that has been read as numbers.
    missing : ndarray of bool of shape (n_features,)
        Which columns have missing values.
    statistics : list of ndarray
        What was gathered from each column that is not plain numbers.
    reader : TableReader
        The reader of these columns, which also has the levels of the categories.
    names : list of str or None
        The names of the columns, in the user's order.
    sample : Dataset or None
        Rows from which quantiles and effects are estimated, with their y and weights.
    part : str
        The name of the part that was surveyed, for messages.
    """

    n_rows: int
    sparse: bool
    dtype: np.dtype[np.floating]
    row_bytes: float
    missing: NDArray[np.bool_]
    statistics: list[NDArray[Any]]
    reader: TableReader
    names: list[str] | None = None
    sample: Dataset | None = None
    part: str = "the table"

    def repeated(self, times: float) -> Self:
        """Return the survey of the same rows if each counts ``times`` times as often."""
        found = zip(self.reader.columns_, self.statistics, strict=True)
        return replace(self, statistics=[one.repeated(its, times) for one, its in found])


def survey_rows(
    data: Dataset,
    reader: TableReader,
    names: Iterable[str] | None = None,
    *,
    rng: np.random.Generator | None = None,
    part: str = "the table",
) -> Survey:
    """Return the survey of rows of positive weight.

    Parameters
    ----------
    data : Dataset
        The rows, as ``reader`` reads them.
    reader : TableReader
        The reader that has read the rows.
    names : iterable of str or None
        The names of the columns.
    rng : numpy Generator, optional
        Draws the sample. Without it, the survey has no sample.
    part : str
        The name of the part of the table that these rows form.
    """
    X = data.X
    repeated = repetitions(data.sample_weight) if reader.columns_ else None
    chosen = None if rng is None else _draw_sample(data, rng)
    missing = np.zeros(X.shape[1], dtype=bool)
    statistics: list[NDArray[Any]] = []
    copies: list[NDArray[Any]] = []
    # All columns of a sparse table are numbers, and none is missing.
    for start, block in () if sparse.issparse(X) else data.row_blocks():
        stop = start + len(block)
        missing |= np.isnan(block).any(axis=0)
        here = np.ones(len(block)) if repeated is None else repeated[start:stop]
        statistics = _with_block(statistics, reader, block, here)
        if isinstance(X, RowBlocks) and chosen is not None:
            # A second pass to read the sample would cost as much as this one.
            first, last = np.searchsorted(chosen, [start, stop])
            copies.append(block[chosen[first:last] - start])
    return Survey(
        n_rows=data.n_rows,
        sparse=sparse.issparse(X),
        dtype=X.dtype,
        row_bytes=_row_bytes(X),
        missing=missing,
        statistics=statistics,
        reader=reader,
        names=None if names is None else list(names),
        sample=None if chosen is None else _sample(data, chosen, copies),
        part=part,
    )


def _draw_sample(data: Dataset, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the increasing positions of the rows of the sample."""
    in_blocks = isinstance(data.X, RowBlocks)
    most = most_copied_rows(_row_bytes(data.X)) if in_blocks else draws.QUANTILE_ROWS
    return draw_rows(data.n_rows, most, rng)


def _with_block(
    earlier: list[NDArray[Any]], reader: TableReader, block: NDArray[Any], repeated: Floats
) -> list[NDArray[Any]]:
    """Return the statistics of a block of rows, and of earlier rows if there are any."""
    columns = zip(reader.columns_, block[:, reader.numbers_.size :].T, strict=True)
    found = [column.statistic(x, repeated) for column, x in columns]
    if not earlier:
        return found
    both = zip(reader.columns_, earlier, found, strict=True)
    return [column.of_both(*pair) for column, *pair in both]


def _sample(data: Dataset, chosen: NDArray[np.intp], copies: list[NDArray[Any]]) -> Dataset:
    """Return the chosen rows, from copies if there are any."""
    sample = data if chosen.size == data.n_rows else data.choose(chosen)
    return sample._replace(X=np.concatenate(copies), rows=None) if copies else sample


def _row_bytes(X: Any) -> float:
    """Return the average number of bytes of a row."""
    if sparse.issparse(X):
        return (X.data.nbytes + X.indices.nbytes) / X.shape[0]
    return X.shape[1] * X.dtype.itemsize


def merge_surveys(surveys: Sequence[Survey]) -> Survey:
    """Return the survey of a table, given the surveys of all its parts.

    It has no sample: that is read when the levels of all parts are known.

    Raises
    ------
    ValueError
        If two parts differ in their columns, their categories, their dates or the formats of
        their text, if one is sparse and another dense, or if the levels of a category are text
        in one and numbers in another.
    """
    first, *others = surveys
    for other in others:
        _check_same_columns(first, other)
    reader = first.reader.merged([one.reader for one in others])
    n_rows = [one.n_rows for one in surveys]
    return replace(
        first,
        n_rows=sum(n_rows),
        dtype=np.result_type(*(one.dtype for one in surveys)),
        row_bytes=float(np.average([one.row_bytes for one in surveys], weights=n_rows)),
        missing=np.any([one.missing for one in surveys], axis=0),
        statistics=merge_statistics(reader, [(one.reader, one.statistics) for one in surveys]),
        reader=reader,
        sample=None,
    )


def merge_statistics(
    reader: TableReader, parts: Sequence[tuple[TableReader, Sequence[NDArray[Any]]]]
) -> list[NDArray[Any]]:
    """Return the statistics of a table, given the reader and the statistics of each part."""
    merged = []
    for i, column in enumerate(reader.columns_):
        of_parts = (column.translated(found[i], part.columns_[i]) for part, found in parts)
        merged.append(reduce(column.of_both, of_parts))
    return merged


def _check_same_columns(first: Survey, other: Survey) -> None:
    """Raise ValueError if two surveys cannot be of parts of one table."""
    remedies = [
        "",
        "",
        "Convert these columns to numbers or dates.",
        "An empty column may look like one of another kind. Give each column one dtype in all "
        "parts, or name all categories in categorical_features.",
        "Give each of these columns one dtype in all parts, such as datetime64[us].",
    ]
    forms = zip(_form(first).items(), _form(other).values(), remedies, strict=True)
    for (words, before), now, remedy in forms:
        if before != now:
            raise ValueError(
                f"The parts differ: {first.part} has {words.format(before)}, but {other.part} "
                f"has {words.format(now)}. All must be parts of one table. {remedy}".rstrip()
            )


def _form(survey: Survey) -> dict[str, Any]:
    """Return what parts of one table must have in common, with the words for it in messages."""
    times = survey.reader.times_
    kinds = [kind if zone is None else f"{kind} in {zone}" for kind, zone in times.values()]
    formats = survey.reader.formats
    shown, n_columns = map(str, formats.values()), survey.missing.size
    return {
        "{}": f"the columns {survey.names}" if survey.names else f"rows of length {n_columns}",
        "{} rows": "sparse" if survey.sparse else "dense",
        "text of the formats {}": dict(zip(_named(survey, formats), shown, strict=True)),
        "the categories {}": _named(survey, survey.reader.categorical_.tolist()),
        "the dates and durations {}": dict(zip(_named(survey, times), kinds, strict=True)),
    }


def _named(survey: Survey, positions: Iterable[int]) -> list[Any]:
    """Return the names of columns, or their positions if names are missing."""
    return [survey.names[i] if survey.names else i for i in positions]
