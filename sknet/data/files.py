"""CSV and Parquet files, read in chunks by pandas and pyarrow."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet._requirements import check_count, require, warn
from sknet.data import frames
from sknet.data.columns.categories import warn_of_rare_levels
from sknet.data.texts import distinct_list, formats_of, warn_of_formats

#: The maximum number of levels of a category. A column with more is an identifier or free text.
MOST_LEVELS = 100_000
#: The number of rows at the start of a file that tell numeric columns from columns of text.
HEAD_ROWS = 10_000
#: Arguments of ``pandas.read_csv`` that ``read_chunks`` sets itself.
RESERVED_OPTIONS = {
    "chunksize", "dtype", "filepath_or_buffer", "index_col", "iterator", "nrows", "usecols",
}  # fmt: skip


class FileChunks:
    """The chunks of files: see :func:`sknet.streaming.read_chunks`."""

    def __init__(
        self,
        paths: Any,
        target: str,
        sample_weight: str | None,
        columns: Iterable[str] | None,
        chunk_size: int,
        dtype: Mapping[str, Any] | None,
        read_options: Mapping[str, Any] | None,
    ) -> None:
        check_count("chunk_size", chunk_size)
        self.target = target
        self.sample_weight = sample_weight
        self.chunk_size: int = int(chunk_size)
        self._files = [_open(path, read_options or {}) for path in _as_paths(paths)]
        self._extra = [target] if sample_weight is None else [target, sample_weight]
        left_out = {*self._extra, *self._files[0].index}
        others = [name for name in self._files[0].columns if name not in left_out]
        if isinstance(columns, str):
            raise TypeError(f"columns must be a list of names, got {columns!r}.")
        self.columns: list[str] = others if columns is None else list(columns)
        self._check_columns()
        if columns is None and isinstance(self._files[0], CSVFile):
            self._files[0].warn_of_row_numbers()
        self._learn_dtypes(dict(dtype or {}))

    def __repr__(self) -> str:
        paths = [str(file.path) for file in self._files]
        return (
            f"read_chunks({paths if len(paths) > 1 else paths[0]!r}, target={self.target!r}, "
            f"sample_weight={self.sample_weight!r}, columns={self.columns}, "
            f"chunk_size={self.chunk_size})"
        )

    def _check_columns(self) -> None:
        """Check that all files have all columns, and that no column has two uses.

        Raises
        ------
        ValueError
            If a file lacks a column, if a column has two uses, or if there are no features.
        """
        wanted = [*self.columns, *self._extra]
        twice = sorted({str(name) for name in wanted if wanted.count(name) > 1})
        if twice or not self.columns:
            raise ValueError(
                "columns, target and sample_weight must name different columns, and columns "
                f"must not be empty; got columns={self.columns}, target={self.target!r} and "
                f"sample_weight={self.sample_weight!r}."
            )
        for file in self._files:
            missing = [name for name in wanted if name not in file.columns]
            if missing:
                advice = file.advice(missing) if isinstance(file, CSVFile) else ""
                raise ValueError(
                    f"{file.path} lacks columns {missing}; it has {file.columns}.{advice}"
                )

    def _learn_dtypes(self, given: dict[str, Any]) -> None:
        """Decide which columns are categories or dates, and find levels that are not given."""
        known = [*self.columns, self.target]
        _check_dtypes(given, known)
        with naming_file(self._files[0].path):
            # pandas yields the columns in the order of the file.
            head = next(self._files[0].frames(known, [], HEAD_ROWS))[known]
        of_target = head[self.target].dtype
        self._integer_target = of_target.kind in "iu"
        self._boolean_target = of_target.kind == "b"
        # The dtype of a target whose classes have an order.
        declared = given.get(self.target, of_target)
        self._order: Any = declared if getattr(declared, "ordered", False) else None
        of_text = [n for n in known if _is_text(head[n]) or _means_category(given.get(n))]
        table = frames.wrapped(head)
        times = {known[i] for i in table.time_columns}
        # The estimator reads text that is numbers or dates.
        free = {known[i] for i in table.text_columns} - given.keys() - {self.target}
        formats = {name: formats_of(distinct_list(head[name])) for name in free}
        as_text = {name for name, several in formats.items() if len(several) == 1}
        self._as_is = times.difference(of_text) | as_text
        levels = {
            name: np.asarray(dtype.categories)
            for name, dtype in given.items()
            if getattr(dtype, "categories", None) is not None
        }
        # A column whose given levels are numbers is read as numbers.
        self._text = [n for n in of_text if n not in levels or levels[n].dtype.kind in "OUS"]
        features = [name for name in of_text if name in self.columns and name not in as_text]
        found, n_known = self._find_levels([name for name in features if name not in levels])
        for name, its_levels in found.items():
            kind = head[name].dtype
            # A categorical dtype of a Parquet file is the user's choice.
            if name not in given and getattr(kind, "categories", None) is None:
                where = f"Column {name!r} of {self._files[0].path}"
                if not warn_of_formats(where, its_levels, formats.get(name, [])):
                    warn_of_rare_levels(where, kind, its_levels, n_known[name])
        levels.update(found)
        self._categories = {name: _pandas().CategoricalDtype(levels[name]) for name in features}

    def _find_levels(self, names: list[str]) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
        """Return the sorted levels of columns, and how many values each has, from one pass.

        Raises
        ------
        ValueError
            If a column has more than ``MOST_LEVELS`` levels, or levels of text and of numbers.
        """
        levels: dict[str, set[Any]] = {name: set() for name in names}
        n_known = dict.fromkeys(names, 0)
        for frame in self._raw(names) if names else ():
            for name, found in levels.items():
                n_known[name] += int(frame[name].count())
                found.update(frame[name].dropna().unique())
                if len(found) > MOST_LEVELS:
                    raise ValueError(
                        f"Column {name!r} of {self._files[0].path} has more than {MOST_LEVELS} "
                        "levels. Leave it out of columns, or give the levels that matter with "
                        f"dtype={{{name!r}: pandas.CategoricalDtype([...])}}."
                    )
        try:
            ordered = {name: np.array(sorted(found), object) for name, found in levels.items()}
        except TypeError as error:
            raise ValueError(f"Levels of {names} cannot be sorted: {error}") from error
        return ordered, n_known

    def _raw(
        self, names: list[str], convert: Callable[[Any], Any] = lambda frame: frame
    ) -> Iterator[Any]:
        """Yield ``convert(frame)`` for frames of some columns; text is not parsed."""
        text = [name for name in names if name in self._text]
        for file in self._files:
            with naming_file(file.path):
                for frame in file.frames(names, text, self.chunk_size):
                    yield convert(frame)

    @property
    def classes(self) -> NDArray[Any]:
        """The sorted distinct values of the target, found in a pass over its column."""
        return reduce(np.union1d, map(np.unique, self._raw([self.target], self._target_values)))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        def parts(frame: Any) -> tuple[Any, ...]:
            weights = [_numbers(frame, name) for name in self._extra[1:]]
            return self._features(frame), self._target_values(frame), *weights

        return self._raw([*self.columns, *self._extra], parts)

    def _features(self, frame: Any) -> Any:
        """Return the features as a frame of categories, dates, durations, text and float64."""
        pandas = _pandas()
        columns = {}
        for name in self.columns:
            if name in self._categories:
                dtype = self._categories[name]
                codes = dtype.categories.get_indexer(frame[name].astype(object))
                columns[name] = pandas.Categorical.from_codes(codes, dtype=dtype)
            elif name in self._as_is:
                columns[name] = frame[name].array
            else:
                columns[name] = _numbers(frame, name)
        return pandas.DataFrame(columns)

    def _in_order(self, values: Any) -> Any:
        """Return classes as a Categorical with the order that was declared, or found first."""
        known = self._order.categories.tolist()
        if unknown := sorted(set(values.unique()) - set(known)):
            raise ValueError(
                f"The target {self.target!r} has the classes {unknown}, which its order "
                f"{known} lacks. Declare the order of all classes: dtype={{{self.target!r}: "
                "pandas.CategoricalDtype([...], ordered=True)}."
            )
        return values.astype(self._order).array

    def _target_values(self, frame: Any) -> Any:
        """Return the target as an array of text, floats, integers or truth values.

        Numbers are integers if both the first rows of the file and these rows hold integers.
        Classes with an order are a pandas Categorical.
        """
        values = frame[self.target]
        if values.isna().any():
            of_text = self.target in self._text and isinstance(self._files[0], CSVFile)
            advice = (
                " If one of its classes is text such as 'NA', pass read_options="
                "{'keep_default_na': False, 'na_values': ['']}: only empty fields are missing."
            )
            raise ValueError(
                f"The target {self.target!r} has missing values: drop those rows."
                f"{advice * of_text}"
            )
        if self._order is not None:
            return self._in_order(values)
        if self._boolean_target and values.isin([0, 1]).all():
            return values.to_numpy(bool)
        if self.target in self._text:
            return values.to_numpy(dtype=object).astype(str)
        if self._integer_target and values.dtype.kind in "iu":
            # float64 cannot hold all large integers, nor int64 the largest ones.
            if values.max() > np.iinfo(np.int64).max:
                raise ValueError(
                    f"The target {self.target!r} has integers above the largest int64. Read it "
                    f"as text, with dtype={{{self.target!r}: str}}, or store it as floats."
                )
            return values.to_numpy(np.int64)
        numbers = _numbers(frame, self.target)
        integers = self._integer_target and np.array_equal(numbers, np.rint(numbers))
        return numbers.astype(np.int64) if integers else numbers


class CSVFile:
    """A CSV file, which pandas reads.

    Parameters
    ----------
    path : Path
    options : mapping
        Further arguments of ``pandas.read_csv``.
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.path = path
        if options.get("parse_dates") is True:
            raise ValueError(
                f"For {path}, parse_dates must name the columns of dates, got True."
            )
        reserved = sorted(RESERVED_OPTIONS.intersection(options))
        if reserved:
            raise ValueError(
                f"For {path}, read_options has {reserved}, which read_chunks sets itself. All "
                "rows are read, and an index is a column like others. Set the rest with path, "
                "columns, dtype and chunk_size of read_chunks."
            )
        self._options = {"index_col": False, **options}
        self.index: list[str] = []
        try:
            # One row below the header shows whether there are any rows.
            first = _pandas().read_csv(path, nrows=1, **self._options)
        except _pandas().errors.EmptyDataError as error:
            raise ValueError(f"{path} is empty.") from error
        self.columns: list[str] = list(first.columns)
        if first.empty:
            raise ValueError(f"{path} has no rows below its header {self.columns}.")

    def warn_of_row_numbers(self) -> None:
        """Warn if the first column has no name, as the index has if pandas writes a frame."""
        if str(self.columns[0]).startswith("Unnamed: "):
            warn(
                f"The first column of {self.path} has no name, and is read as the feature "
                f"{self.columns[0]!r}. If it holds row numbers, leave it out: name the other "
                "features in columns. If it is a feature, name it in the file."
            )

    def advice(self, missing: list[str]) -> str:
        """Return what to do about missing columns that the file seems to have, or nothing."""
        if len(self.columns) == 1:
            return (
                " If another character separates its columns, pass read_options={'sep': ';'}."
            )
        if {*missing} & {str(name).strip() for name in self.columns}:
            return (
                " Name them with their spaces, or pass read_options={'skipinitialspace': True}."
            )
        return ""

    def frames(self, names: list[str], text: list[str], chunk_size: int) -> Iterator[Any]:
        """Yield frames of at most ``chunk_size`` rows; numbers in ``text`` are not parsed."""
        options = {"low_memory": False, "dtype": dict.fromkeys(text, str), **self._options}
        if set(names) != set(self.columns):
            # Not if all columns are read: with usecols, pandas overlooks lines with too many
            # fields.
            options["usecols"] = names
        if isinstance(options.get("parse_dates"), list):
            # Columns that are not read now are left out; one that does not exist is an error.
            others, dates = set(self.columns) - set(names), options["parse_dates"]
            options["parse_dates"] = [name for name in dates if name not in others]
        with _pandas().read_csv(self.path, chunksize=chunk_size, **options) as reader:
            yield from reader


class ParquetFile:
    """A Parquet file, which pyarrow reads.

    Parameters
    ----------
    path : Path
    options : mapping
        Empty: there are no further arguments.
    """

    def __init__(self, path: Path, options: Mapping[str, Any]) -> None:
        self.path = path
        if options:
            raise ValueError(f"read_options are for pandas.read_csv; {path} is a Parquet file.")
        file = self._open()
        self.columns: list[str] = file.schema_arrow.names
        #: The columns in which pandas stored the index of a frame.
        stored = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        self.index: list[str] = [name for name in stored if isinstance(name, str)]
        if file.metadata.num_rows == 0:
            raise ValueError(f"{path} has no rows; its columns are {self.columns}.")

    def _open(self) -> Any:
        """Return the opened file of pyarrow."""
        parquet = require("pyarrow.parquet", extra="files")
        if self.path.stat().st_size == 0:
            raise ValueError(f"{self.path} is empty.")
        # If a file has checksums of its pages, they are verified.
        return parquet.ParquetFile(self.path, page_checksum_verification=True)

    def frames(self, names: list[str], text: list[str], chunk_size: int) -> Iterator[Any]:
        """Yield frames of at most ``chunk_size`` rows; the file itself has the dtypes."""
        with self._open() as file:
            # With the metadata of pandas, columns of the index would become an index again.
            with_index = not set(names).isdisjoint(self.index)
            for batch in file.iter_batches(chunk_size, columns=names):
                yield batch.to_pandas(ignore_metadata=with_index)[names]


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Turn an error in reading a file into a ValueError that names the file.

    The libraries that decompress and parse damaged files raise errors of many kinds.
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, ValueError | TypeError) and str(path) in str(error):
            raise
        advice = ""
        if isinstance(error, UnicodeDecodeError):
            advice = ". Pass its encoding, such as read_options={'encoding': 'latin-1'}."
        raise ValueError(f"{path} cannot be read: {error}{advice}") from error


def _as_paths(paths: Any) -> list[Path]:
    """Return one path, or several, as a list.

    Raises
    ------
    ValueError
        If there is no path.
    FileNotFoundError
        If a path is not a file.
    """
    is_one = isinstance(paths, str | bytes | os.PathLike) or hasattr(paths, "read")
    several = list(paths) if isinstance(paths, Iterable) and not is_one else [paths]
    if not several:
        raise ValueError("No path is given.")
    for path in several:
        if Path(path).is_dir():
            raise FileNotFoundError(
                f"{path} is a folder, not a file. Pass the files in it, for example "
                f'sorted(Path({str(path)!r}).glob("*.parquet")).'
            )
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} is not a file.")
    return [Path(path) for path in several]


def _open(path: Path, options: Mapping[str, Any]) -> CSVFile | ParquetFile:
    """Return a file in the format that its suffixes name."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    with naming_file(path):
        if ".parquet" in suffixes or ".pq" in suffixes:
            return ParquetFile(path, options)
        if {".csv", ".tsv", ".txt"} & set(suffixes):
            return CSVFile(path, {"sep": "\t", **options} if ".tsv" in suffixes else options)
    raise ValueError(
        f"{path} must be a .csv, .tsv, .txt or .parquet file (.csv.gz works as well)."
    )


def _check_dtypes(given: dict[str, Any], known: list[str]) -> None:
    """Check the argument ``dtype`` of ``read_chunks``.

    Raises
    ------
    ValueError
        If it names an unknown column, or gives a column a numeric dtype.
    """
    strange = [name for name in given if name not in known]
    if strange:
        raise ValueError(f"dtype names {strange}, which are not among {known}.")
    numeric = {name: dtype for name, dtype in given.items() if not _means_category(dtype)}
    if numeric:
        raise ValueError(
            f"dtype has {numeric}, but it can only mark columns as categories, with "
            "'category', str or pandas.CategoricalDtype. Numbers are read as float64: leave "
            "them out, and set the precision of the network with the dtype of the estimator."
        )


def _means_category(dtype: Any) -> bool:
    """Whether a dtype that the user gives is a dtype of categories or text; False for None."""
    if isinstance(dtype, str | type):
        return dtype in ("category", "str", "string", "object", str, object)
    return dtype is not None and getattr(dtype, "kind", "O") in "OUS"


def _is_text(column: Any) -> bool:
    """Whether a series holds text or categories; False if it has only missing objects."""
    if column.dtype != object:
        return column.dtype.kind == "O"
    return isinstance(next(iter(column.dropna()), None), str)


def _numbers(frame: Any, name: str) -> NDArray[np.float64]:
    """Return a column as an array of float64."""
    try:
        return frame[name].astype(np.float64).to_numpy()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name!r}, which holds no text in the first rows, cannot be read as "
            f"numbers: {str(error).rstrip('.')}. If it is a category, pass "
            f"dtype={{{name!r}: 'category'}}."
        ) from error


def _pandas() -> Any:
    return require("pandas", extra="files")
