"""One look at a table: all that a model has to know of X before its training starts.

Parts of one table, such as the partitions of a cluster, are looked at one by one, and their
surveys merged. Missing values, the ranges of dates and the counts of the levels are then exact.
Quantiles and the effects of levels are estimated from a sample of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet.data.batches import Batch, Dataset, join
from sknet.data.dates import Ranges
from sknet.data.row_blocks import RowBlocks
from sknet.data.tables import TableReader
from sknet.data.weights import repetitions

#: Rows from which quantiles are estimated; of larger tables, this many drawn at random.
QUANTILE_ROWS = 100_000
#: Most bytes of the sampled rows where they must be copied: from a table that is read in
#: blocks, or that lies on a cluster.
SAMPLE_BYTES = 2**27


@dataclass(frozen=True, eq=False)
class Survey:
    """The result of one pass over a table, or over a part of one, as plain numbers.

    The columns are in the order of ``TableReader.read``: numeric columns, of which the dates
    are the last, then categories.

    Attributes
    ----------
    n_rows : int
        Rows of positive weight.
    n_features : int
    sparse : bool
        Whether the rows are sparse.
    dtype : dtype
        The precision of the numbers.
    row_bytes : float
        Bytes of a row as numbers, on average.
    missing : ndarray of bool of shape (n_features,)
        Which columns have missing values.
    level_counts : list of ndarray of shape (n_levels,)
        How often each level of each category occurs. A row counts as often as its weight
        says (see :func:`sknet.data.weights.repetitions`).
    reader : TableReader
        Which columns are categories and dates, and the levels of the categories.
    names : list of str or None
        The names of the columns in the order of the user.
    ranges : Ranges or None
        The ranges of the dates and of their phases; None without dates.
    sample : Dataset or None
        Rows from which quantiles and effects are estimated, with their y and their weights.
    part : str
        The name of the part that was looked at, for messages.
    """

    n_rows: int
    n_features: int
    sparse: bool
    dtype: np.dtype[np.floating]
    row_bytes: float
    missing: NDArray[np.bool_]
    level_counts: list[NDArray[np.float64]]
    reader: TableReader
    names: list[str] | None = None
    ranges: Ranges | None = None
    sample: Dataset | None = None
    part: str = "the table"

    def some_rows(self, n_wanted: int) -> Dataset:
        """Return at most so many rows of the sample, which are the same in each call."""
        if self.sample is None:
            raise ValueError("The survey has no sample.")
        return same_rows(self.sample, n_wanted)

    def with_sample(self, batches: Sequence[Batch]) -> "Survey":
        """Return the survey with a sample of rows that were read after it was made."""
        return replace(self, sample=Dataset(*join(batches)))


def survey_rows(
    data: Dataset,
    reader: TableReader,
    names: list[str] | None = None,
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
        The reader that the rows were read by.
    names : list of str or None
        The names of the columns.
    rng : numpy Generator, optional
        Draws the sample. Without it the survey has none.
    part : str
        The name of the part of a table that the rows are.
    """
    X = data.X
    missing = np.zeros(X.shape[1], dtype=bool)
    level_counts = _no_levels(reader)
    repeated = repetitions(data.sample_weight) if level_counts else None
    n_dates = reader.n_dates_
    ranges = Ranges(n_dates) if n_dates else None
    n_numeric = X.shape[1] - len(level_counts)
    chosen = None if rng is None else _draw_sample(data, rng)
    copies = []
    # All columns of a sparse table are numbers, and none is missing.
    for start, block in () if sparse.issparse(X) else data.row_blocks():
        missing |= np.isnan(block).any(axis=0)
        _add_levels(block, _part(repeated, start, block), level_counts)
        if ranges is not None:
            ranges.add(block[:, n_numeric - n_dates : n_numeric])
        if isinstance(X, RowBlocks) and chosen is not None:
            # A second pass to read the sample would cost as much as this one.
            first, last = np.searchsorted(chosen, [start, start + len(block)])
            copies.append(block[chosen[first:last] - start])
    return Survey(
        n_rows=data.n_rows,
        n_features=X.shape[1],
        sparse=sparse.issparse(X),
        dtype=X.dtype,
        row_bytes=_row_bytes(X),
        missing=missing,
        level_counts=level_counts,
        reader=reader,
        names=names,
        ranges=ranges,
        sample=None if chosen is None else _sample(data, chosen, copies),
        part=part,
    )


def count_levels(data: Dataset, reader: TableReader) -> list[NDArray[np.float64]]:
    """Return how often each level of each category occurs, as in a survey of the rows."""
    level_counts = _no_levels(reader)
    repeated = repetitions(data.sample_weight)
    for start, block in data.row_blocks() if level_counts else ():
        _add_levels(block, _part(repeated, start, block), level_counts)
    return level_counts


def _no_levels(reader: TableReader) -> list[NDArray[np.float64]]:
    """Return counts of zero for each level of each category."""
    return [np.zeros(n_levels) for n_levels in reader.n_levels_]


def _part(
    repeated: NDArray[np.floating] | None, start: int, block: NDArray[np.floating]
) -> NDArray[np.floating] | None:
    """Return how often each row of a block counts, given its first row."""
    return None if repeated is None else repeated[start : start + len(block)]


def _add_levels(
    block: NDArray[np.floating],
    repeated: NDArray[np.floating] | None,
    level_counts: list[NDArray[np.float64]],
) -> None:
    """Add the levels of some rows to those found before, in place.

    ``repeated`` says how often each of the rows counts; None for once each.
    """
    for column, counts in enumerate(level_counts, start=block.shape[1] - len(level_counts)):
        known = ~np.isnan(block[:, column])
        numbers = block[known, column].astype(int)
        here = None if repeated is None else repeated[known]
        counts += np.bincount(numbers, here, minlength=counts.size)


def _draw_sample(data: Dataset, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the increasing numbers of the rows to estimate quantiles from."""
    in_blocks = isinstance(data.X, RowBlocks)
    most = most_copied_rows(_row_bytes(data.X)) if in_blocks else QUANTILE_ROWS
    return draw_rows(data.n_rows, most, rng)


def _sample(data: Dataset, chosen: NDArray[np.intp], copies: list[NDArray[Any]]) -> Dataset:
    """Return the chosen rows, from copies of them if there are any."""
    sample = data if chosen.size == data.n_rows else data.choose(chosen)
    if not copies:
        return sample
    return Dataset(np.concatenate(copies), sample.y, sample.sample_weight)


def draw_rows(n_rows: int, n_wanted: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the increasing numbers of ``n_wanted`` random rows, or of all rows if fewer."""
    if n_rows <= n_wanted:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, n_wanted, replace=False))


def same_rows(data: Dataset, n_wanted: int) -> Dataset:
    """Return at most so many of the rows, which are the same in each call."""
    if data.n_rows <= n_wanted:
        return data
    # Evenly spaced rows of an ordered table might lack most of the levels.
    return data.choose(draw_rows(data.n_rows, n_wanted, np.random.default_rng(0)))


def most_copied_rows(row_bytes: float) -> int:
    """Return the most rows of so many bytes that a sample which is a copy may have."""
    return min(QUANTILE_ROWS, max(1, int(SAMPLE_BYTES / max(1, row_bytes))))


def _row_bytes(X: Any) -> float:
    """Return the bytes of a row, on average."""
    if sparse.issparse(X):
        return (X.data.nbytes + X.indices.nbytes) / X.shape[0]
    return X.shape[1] * X.dtype.itemsize


def merge_surveys(surveys: Sequence[Survey]) -> Survey:
    """Return the survey of a table, given the surveys of all its parts.

    It has a sample if each part has one: their rows one after another, with level numbers of
    the merged levels. The weights of the parts are either all given or all None.

    Raises
    ------
    ValueError
        If two parts differ in their columns, their categories or their dates, if one is sparse
        and another dense, or if the levels of a category are text in one and numbers in
        another.
    """
    first, *others = surveys
    for other in others:
        _check_same_columns(first, other)
    reader = first.reader.merged([one.reader for one in others])
    n_rows = [one.n_rows for one in surveys]
    translations = [_translations(one, reader) for one in surveys]
    merged = Survey(
        n_rows=sum(n_rows),
        n_features=first.n_features,
        sparse=first.sparse,
        dtype=np.result_type(*(one.dtype for one in surveys)),
        row_bytes=float(np.average([one.row_bytes for one in surveys], weights=n_rows)),
        missing=np.any([one.missing for one in surveys], axis=0),
        level_counts=_merge_counts(surveys, translations, reader),
        reader=reader,
        names=first.names,
        ranges=_merge_ranges(surveys),
    )
    samples = [
        _translate(one.sample.batch(), places)
        for one, places in zip(surveys, translations, strict=True)
        if one.sample is not None
    ]
    return merged.with_sample(samples) if len(samples) == len(surveys) else merged


def _merge_ranges(surveys: Sequence[Survey]) -> Ranges | None:
    """Return the ranges of the dates of all parts."""
    ranges = [one.ranges for one in surveys if one.ranges is not None]
    return Ranges.merged(ranges) if ranges else None


def _translations(survey: Survey, reader: TableReader) -> list[NDArray[np.intp]]:
    """Return for each category the numbers among the merged levels of the levels of a part."""
    return [
        np.searchsorted(merged, own)
        for merged, own in zip(reader.levels_, survey.reader.levels_, strict=True)
    ]


def _merge_counts(
    surveys: Sequence[Survey],
    translations: list[list[NDArray[np.intp]]],
    reader: TableReader,
) -> list[NDArray[np.float64]]:
    """Return how often each merged level of each category occurs in all parts."""
    sums = _no_levels(reader)
    for survey, places_of_levels in zip(surveys, translations, strict=True):
        for total, places, counts in zip(
            sums, places_of_levels, survey.level_counts, strict=True
        ):
            total[places] += counts
    return sums


def _translate(batch: Batch, places_of_levels: list[NDArray[np.intp]]) -> Batch:
    """Return a copy of rows of a part with the numbers of the merged levels."""
    if not places_of_levels:
        return batch
    X = batch.X.copy()
    categories = X[:, X.shape[1] - len(places_of_levels) :]
    for codes, places in zip(categories.T, places_of_levels, strict=True):
        known = ~np.isnan(codes)
        codes[known] = places[codes[known].astype(int)]
    return batch._replace(X=X)


def _check_same_columns(first: Survey, other: Survey) -> None:
    """Raise ValueError if two surveys cannot be of parts of one table."""
    columns = [one.names or one.n_features for one in (first, other)]
    if columns[0] != columns[1]:
        raise _difference(first, other, *(f"the columns {found}" for found in columns))
    if first.sparse != other.sparse:
        kinds = ["sparse" if one.sparse else "dense" for one in (first, other)]
        raise _difference(first, other, *(f"{kind} rows" for kind in kinds))
    categories = [_categories(one) for one in (first, other)]
    if categories[0] != categories[1]:
        either = sorted({*categories[0], *categories[1]}, key=str)
        raise _difference(
            first,
            other,
            *(f"the categories {found}" for found in categories),
            remedy="A column without a value in a partition looks like numbers; name the "
            f"categories: categorical_features={either}.",
        )
    times = [_times(one) for one in (first, other)]
    if times[0] != times[1]:
        raise _difference(
            first,
            other,
            *(f"the dates and durations {found}" for found in times),
            remedy="Give each of these columns one dtype in all partitions, such as "
            "datetime64[us].",
        )


def _times(survey: Survey) -> dict[Any, str]:
    """Return the kind and the time zone of each column of durations or dates, by its name."""
    return {
        survey.names[i] if survey.names else i: kind if zone is None else f"{kind} of {zone}"
        for i, (kind, zone) in survey.reader.times_.items()
    }


def _categories(survey: Survey) -> list[Any]:
    """Return the names of the columns that are categories, or else their positions."""
    positions = survey.reader.categorical_.tolist()
    return [survey.names[i] for i in positions] if survey.names else positions


def _difference(
    first: Survey, other: Survey, expected: str, found: str, *, remedy: str = ""
) -> ValueError:
    """Return the error that tells how two parts differ."""
    return ValueError(
        f"Partitions differ: {first.part} has {expected}, but {other.part} has {found}. "
        f"All partitions must be parts of one table. {remedy}".rstrip()
    )
