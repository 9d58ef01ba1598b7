"""CSV and Parquet files, read in chunks by pandas and pyarrow."""

import importlib
from pathlib import Path

import numpy as np

from sknet.data.counts import check_count

#: Most levels of a category of a file: more are an identifier or free text.
MOST_LEVELS = 100_000
#: Rows from which it is told whether the columns of a CSV hold numbers or text.
HEAD_ROWS = 10_000
#: Arguments of ``pandas.read_csv`` that are set here.
RESERVED_OPTIONS = {
    "chunksize", "dtype", "filepath_or_buffer", "index_col", "iterator", "nrows", "usecols",
}  # fmt: skip


class FileChunks:
    """The chunks of files: see :func:`sknet.streaming.read_chunks`."""

    def __init__(
        self, paths, target, *, sample_weight, columns, chunk_size, dtype, read_options
    ):
        check_count("chunk_size", chunk_size)
        self.paths = _as_paths(paths)
        self.target, self.sample_weight = target, sample_weight
        self.chunk_size = int(chunk_size)
        self._files = [_open(path, read_options or {}) for path in self.paths]
        extra = [target] + ([] if sample_weight is None else [sample_weight])
        others = [name for name in self._files[0].columns if name not in extra]
        self.columns = others if columns is None else list(columns)
        self._check_columns(extra)
        self._learn_dtypes(dict(dtype or {}))

    def __repr__(self):
        paths = [str(path) for path in self.paths]
        return (
            f"read_chunks({paths if len(paths) > 1 else paths[0]!r}, target={self.target!r}, "
            f"sample_weight={self.sample_weight!r}, columns={self.columns}, "
            f"chunk_size={self.chunk_size})"
        )

    def _check_columns(self, extra):
        """Raise if a file lacks a column, or a column is both feature and target."""
        wanted = [*self.columns, *extra]
        twice = sorted({str(name) for name in wanted if wanted.count(name) > 1})
        if twice or not self.columns:
            raise ValueError(
                f"columns, target and sample_weight must name different columns, and at least "
                f"one of features; got columns={self.columns}, and {extra}."
            )
        for file in self._files:
            missing = [name for name in wanted if name not in file.columns]
            if missing:
                raise ValueError(
                    f"{file.path} lacks the columns {missing}; it has {list(file.columns)}."
                )

    def _learn_dtypes(self, given):
        """Decide which columns are categories, and find the levels that are not given."""
        pandas = _pandas()
        known = [*self.columns, self.target]
        strange = [name for name in given if name not in known]
        if strange:
            raise ValueError(f"dtype names {strange}, which are not among {known}.")
        numeric = {name: dtype for name, dtype in given.items() if not _means_category(dtype)}
        if numeric:
            raise ValueError(
                f"dtype has {numeric}, but it only tells which columns are categories, by "
                "'category' or pandas.CategoricalDtype. Numbers are read as float64; leave "
                f"out {list(numeric)}, and choose the network's precision by its own dtype."
            )
        head = self._files[0].head(known)
        self._integer_target = head[self.target].dtype.kind in "iub"
        of_text = [n for n in known if _is_text(head[n]) or _means_category(given.get(n))]
        levels = {
            name: np.asarray(dtype.categories)
            for name, dtype in given.items()
            if getattr(dtype, "categories", None) is not None
        }
        # Numbers may be levels as well; they are read as numbers if their levels are given.
        self._text = [n for n in of_text if n not in levels or levels[n].dtype.kind in "OUS"]
        features = [name for name in of_text if name in self.columns]
        levels.update(self._find_levels([name for name in features if name not in levels]))
        self._categories = {name: pandas.CategoricalDtype(levels[name]) for name in features}

    def _find_levels(self, names):
        """Return the sorted levels of some columns, in one pass over them."""
        levels = {name: set() for name in names}
        for frame in self._raw(names) if names else ():
            for name, found in levels.items():
                found.update(frame[name].dropna().unique())
                if len(found) > MOST_LEVELS:
                    raise ValueError(
                        f"Column {name!r} of {self.paths[0]} has more than {MOST_LEVELS} "
                        "levels. Leave it out by columns=, or give the levels that matter by "
                        f"dtype={{{name!r}: pandas.CategoricalDtype([...])}}."
                    )
        try:
            return {name: np.array(sorted(found), object) for name, found in levels.items()}
        except TypeError as error:
            raise ValueError(f"Levels of {names} cannot be sorted: {error}") from error

    def _raw(self, names):
        """Yield frames with the given columns, text as text and the rest as it is read."""
        text = [name for name in names if name in self._text]
        for file in self._files:
            yield from file.frames(names, text, self.chunk_size)

    @property
    def classes(self):
        """The sorted distinct values of the target, found by a pass over its column."""
        found = np.array([])
        for i, frame in enumerate(self._raw([self.target])):
            values = np.unique(self._target_values(frame))
            found = values if i == 0 else np.union1d(found, values)
        return found

    def __iter__(self):
        extra = [] if self.sample_weight is None else [self.sample_weight]
        for frame in self._raw([*self.columns, self.target, *extra]):
            weights = [self._numbers(frame, name).to_numpy() for name in extra]
            yield self._features(frame), self._target_values(frame), *weights

    def _features(self, frame):
        pandas = _pandas()
        columns = {}
        for name in self.columns:
            if name in self._categories:
                dtype = self._categories[name]
                codes = dtype.categories.get_indexer(frame[name].astype(object))
                columns[name] = pandas.Categorical.from_codes(codes, dtype=dtype)
            else:
                columns[name] = self._numbers(frame, name).to_numpy()
        return pandas.DataFrame(columns)

    def _target_values(self, frame):
        """Return the target as an array: text, or numbers, integers if they were at first."""
        values = frame[self.target]
        if self.target in self._text:
            if values.isna().any():
                raise ValueError(f"The target {self.target!r} has missing values.")
            return values.to_numpy(dtype=object).astype(str)
        values = self._numbers(frame, self.target).to_numpy()
        integers = self._integer_target and np.array_equal(values, np.rint(values))
        return values.astype(np.int64) if integers else values

    @staticmethod
    def _numbers(frame, name):
        try:
            return frame[name].astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {name!r}, which is not of text in the first rows, cannot be read as "
                f"numbers: {error}. If it is a category, give dtype={{{name!r}: 'category'}}."
            ) from error


class CSVFile:
    """A CSV file, as pandas reads it."""

    def __init__(self, path, options):
        self.path = path
        reserved = sorted(RESERVED_OPTIONS.intersection(options))
        if reserved:
            raise ValueError(
                f"read_options has {reserved}, which read_chunks sets by itself: all rows are "
                "read, and path, columns, dtype and chunk_size of read_chunks say the rest."
            )
        self._options = {"index_col": False, **options}
        try:
            # The first row as well: a header alone is no table.
            first = _pandas().read_csv(path, nrows=1, **self._options)
        except _pandas().errors.EmptyDataError as error:
            raise ValueError(f"{path} is empty.") from error
        self.columns = list(first.columns)
        if first.empty:
            raise ValueError(f"{path} has no rows below its header {self.columns}.")

    def head(self, names):
        """Return the first rows, from which dtypes are told."""
        return next(self.frames(names, [], HEAD_ROWS))

    def frames(self, names, text, chunk_size):
        """Yield frames of at most ``chunk_size`` rows; columns of ``text`` are not parsed."""
        pandas = _pandas()
        options = {"low_memory": False, "dtype": dict.fromkeys(text, str), **self._options}
        if set(names) != set(self.columns):
            # Only then, since it makes pandas overlook lines that are too long.
            options["usecols"] = names
        try:
            with pandas.read_csv(self.path, chunksize=chunk_size, **options) as reader:
                yield from reader
        except pandas.errors.ParserError as error:
            raise ValueError(f"{self.path} cannot be read as a CSV: {error}") from error


class ParquetFile:
    """A Parquet file, as pyarrow reads it."""

    def __init__(self, path, options):
        self.path = path
        if options:
            raise ValueError(f"read_options are those of pandas.read_csv; {path} is Parquet.")
        file = self._open()
        self.columns = file.schema_arrow.names
        if file.metadata.num_rows == 0:
            raise ValueError(f"{path} has no rows; its columns are {self.columns}.")

    def _open(self):
        parquet = _import("pyarrow.parquet")
        if Path(self.path).stat().st_size == 0:
            raise ValueError(f"{self.path} is empty.")
        return parquet.ParquetFile(self.path)

    def head(self, names):
        """Return the first rows, from which dtypes are told."""
        return next(self.frames(names, [], HEAD_ROWS))

    def frames(self, names, text, chunk_size):
        """Yield frames of at most ``chunk_size`` rows; the file knows which are of ``text``."""
        with self._open() as file:
            for batch in file.iter_batches(chunk_size, columns=names):
                yield batch.to_pandas()


def _as_paths(paths):
    several = list(paths) if isinstance(paths, tuple | list) else [paths]
    if not several:
        raise ValueError("No path is given.")
    for path in several:
        if Path(path).is_dir():
            raise FileNotFoundError(
                f"{path} is a folder, not a file. Give the files in it, for example "
                f'sorted(Path({str(path)!r}).glob("*.parquet")).'
            )
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path} is not a file.")
    return [Path(path) for path in several]


def _open(path, options):
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".parquet" in suffixes or ".pq" in suffixes:
        return ParquetFile(path, options)
    if {".csv", ".tsv", ".txt"} & set(suffixes):
        return CSVFile(path, {"sep": "\t", **options} if ".tsv" in suffixes else options)
    raise ValueError(f"{path} must be a .csv, .tsv or .parquet file (.csv.gz works as well).")


def _means_category(dtype):
    """Whether a dtype that the user gives, or None, is one of categories or text."""
    if isinstance(dtype, str | type):
        return dtype in ("category", "str", "string", "object", str, object)
    return dtype is not None and getattr(dtype, "kind", "O") in "OUS"


def _is_text(column):
    """Whether a column holds text or categories, not numbers, truth values or nothing."""
    if column.dtype != object:
        return column.dtype.kind == "O"
    known = column.dropna()
    return len(known) > 0 and isinstance(known.iloc[0], str)


def _pandas():
    return _import("pandas")


def _import(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Reading files in chunks needs {name.split('.')[0]}: "
            'python -m pip install "sknet[files]".'
        ) from error
