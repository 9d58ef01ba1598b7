"""Tables, targets and weights of every kind.

Each is a frozen dataclass of a few words and numbers, so that a failing case is printed in full
and can be typed in again. Its data are made by ``make(n_rows, seed)``.
"""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

# Columns of numbers.

#: The kinds of columns, as functions of a generator and the number of rows.
COLUMNS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "flag": lambda rng, n: rng.integers(0, 2, n).astype(float),
    "tied": lambda rng, n: rng.integers(-3, 4, n).astype(float),
    "shifted": lambda rng, n: 1e6 + rng.normal(size=n),
    "constant": lambda rng, n: np.full(n, 2.5),
    "zero": lambda rng, n: np.zeros(n),
    "missing": lambda rng, n: np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
    "empty": lambda rng, n: np.full(n, np.nan),
    "outlier": lambda rng, n: np.where(np.arange(n) == 1, 1e30, rng.normal(size=n)),
    "huge": lambda rng, n: 1e300 * rng.normal(size=n),
    "tiny": lambda rng, n: 1e-300 * rng.normal(size=n),
    "denormal": lambda rng, n: 1e-310 * rng.normal(size=n),
    "every size": lambda rng, n: 10.0 ** rng.uniform(-300, 300, n) * rng.choice([-1, 1], n),
    "infinite": lambda rng, n: np.where(np.arange(n) == 1, np.inf, rng.normal(size=n)),
}
#: The columns whose numbers a float of either precision holds.
ORDINARY = ["normal", "flag", "tied", "shifted", "constant", "zero"]


def cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return numbers in another dtype; numbers that it cannot hold become some that it can."""
    kind = np.dtype(dtype).kind
    with np.errstate(all="ignore"):
        if kind in "iu":
            limits = np.iinfo(dtype)
            return np.clip(np.nan_to_num(values), limits.min / 2, limits.max / 2).astype(dtype)
        if kind == "b":
            return np.nan_to_num(values) > 0
        return values.astype(dtype)


# Arrays.

DTYPES = ["float64", "float32", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
          "uint32", "uint64", "bool", "object", ">f8", "longdouble"]  # fmt: skip
#: Dtypes that the estimators may refuse.
ODD_DTYPES = ["complex128", "str", "datetime64[s]", "S8"]


def strided(values: np.ndarray) -> np.ndarray:
    """Return the values as every second row and column of a larger array."""
    larger = np.zeros(tuple(2 * size for size in values.shape), dtype=values.dtype)
    larger[tuple(slice(None, None, 2) for _ in values.shape)] = values
    return larger[tuple(slice(None, None, 2) for _ in values.shape)]


def read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


#: The layouts of an array in memory.
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": strided,
    "reversed": lambda values: values[::-1].copy()[::-1],
    "read-only": read_only,
    "list": lambda values: values.tolist(),
}


@dataclass(frozen=True)
class Table:
    """A kind of X: the kinds of its columns, and in subclasses the form of the table."""

    columns: tuple[str, ...]
    is_sparse: ClassVar[bool] = False

    def values(self, n_rows: int, seed: int) -> np.ndarray:
        """Return the numbers of the table."""
        rng = np.random.default_rng([seed, 0])
        values = np.empty((n_rows, len(self.columns)))
        for i, kind in enumerate(self.columns):
            values[:, i] = COLUMNS.get(kind, COLUMNS["tied"])(rng, n_rows)
        return values

    def wrap(self, values: np.ndarray) -> Any:
        """Return numbers in the form of this table."""
        raise NotImplementedError

    def make(self, n_rows: int, seed: int) -> Any:
        return self.wrap(self.values(n_rows, seed))


@dataclass(frozen=True)
class ArrayTable(Table):
    dtype: str = "float64"
    layout: str = "C"

    def wrap(self, values):
        return LAYOUTS[self.layout](cast(values, self.dtype))


@dataclass(frozen=True)
class SparseTable(Table):
    """A sparse matrix or array, in which most numbers are zero."""

    format: str = "csr"
    dtype: str = "float64"
    variant: str = "plain"
    is_sparse = True

    def values(self, n_rows, seed):
        values = super().values(n_rows, seed)
        return values * (np.random.default_rng([seed, 1]).random(values.shape) < 0.4)

    def wrap(self, values):
        values = cast(values, self.dtype)
        rows, columns = np.nonzero(values)
        entries = values[rows, columns]
        if self.variant == "duplicates":  # Each entry is the sum of itself and of a zero.
            rows, columns = np.tile(rows, 2), np.tile(columns, 2)
            entries = np.concatenate([entries, np.zeros_like(entries)])
        elif self.variant == "explicit zeros" and values.size:
            rows, columns = np.append(rows, 0), np.append(columns, 0)
            entries = np.append(entries, np.zeros(1, dtype=entries.dtype))
        elif self.variant == "unsorted":
            rows, columns, entries = rows[::-1], columns[::-1], entries[::-1]
        made = sparse.coo_array((entries, (rows, columns)), shape=values.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sparse.SparseEfficiencyWarning)
            made = _without_sums(made) if self.format == "csr" else made.asformat(self.format)
        if self.variant == "int64 indices":
            for name in ("indices", "indptr", "row", "col", "offsets"):
                if isinstance(getattr(made, name, None), np.ndarray):
                    setattr(made, name, getattr(made, name).astype(np.int64))
        return (
            getattr(sparse, f"{self.format}_matrix")(made) if self.variant == "matrix" else made
        )


def _without_sums(coo: sparse.coo_array) -> sparse.csr_array:
    """Return CSR with the duplicates, zeros and order of the entries that COO has."""
    order = np.argsort(coo.row, kind="stable")
    indptr = np.searchsorted(coo.row[order], np.arange(coo.shape[0] + 1))
    return sparse.csr_array((coo.data[order], coo.col[order], indptr), shape=coo.shape)


FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]
VARIANTS = ["plain", "matrix", "duplicates", "explicit zeros", "unsorted", "int64 indices"]

# Frames.

#: The levels of categories, as functions of a whole number.
LEVELS = {
    "text": lambda code: f"level {code + 500}",
    "numbers": lambda code: code,
    "floats": lambda code: code / 2,
    "bools": lambda code: code > 0,
    "mixed": lambda code: code if code % 2 else f"level {code}",
    "tuples": lambda code: (code, "a"),
    "unicode": lambda code: "äöü€ \n\0"[code % 7] * (code % 3),
}
#: The kinds of levels that are categories.
SORTABLE = ["text", "numbers", "floats", "bools", "unicode"]

INDICES = {
    "range": lambda n: pd.RangeIndex(n),
    "reversed": lambda n: pd.RangeIndex(n)[::-1],
    "text": lambda n: pd.Index([f"row {i}" for i in range(n)]),
    "duplicates": lambda n: pd.Index([0] * n),
    "dates": lambda n: pd.date_range("2020", periods=n),
    "multi": lambda n: pd.MultiIndex.from_arrays([np.arange(n) // 2, np.arange(n) % 2]),
}
NAMES = {
    "text": lambda p: [f"c{i}" for i in range(p)],
    "numbers": lambda p: list(range(p)),
    "duplicates": lambda p: ["c"] * p,
    "multi": lambda p: pd.MultiIndex.from_arrays([["a"] * p, [f"c{i}" for i in range(p)]]),
    "mixed": lambda p: [i if i % 2 else f"c{i}" for i in range(p)],
}


def categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose columns of objects and text are categories."""
    chosen = [
        name
        for name, dtype in frame.dtypes.items()
        if pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype)
    ]
    return frame.astype(dict.fromkeys(chosen, "category"))


def nullable(frame: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Return a frame with dtypes of pandas, which may warn when it looks at huge numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return frame.convert_dtypes(**options)


def arrow(frame: pd.DataFrame) -> pd.DataFrame:
    return nullable(frame, dtype_backend="pyarrow")


FRAME_DTYPES = {
    "plain": lambda frame: frame,
    "nullable": nullable,
    "arrow": arrow,
    "category": categories,
    "object": lambda frame: frame.astype(object),
}


@dataclass(frozen=True)
class PandasTable(Table):
    """A frame; a column of the kind "category" has the levels of the table.

    A column of the kind "date" has dates.
    """

    dtypes: str = "plain"
    levels: str = "text"
    index: str = "range"
    names: str = "text"

    def wrap(self, values):
        n_rows, n_columns = values.shape
        data = {i: self._column(i, values) for i in range(n_columns)}
        frame = FRAME_DTYPES[self.dtypes](pd.DataFrame(data, index=range(n_rows)))
        frame.index = INDICES[self.index](n_rows)
        frame.columns = NAMES[self.names](n_columns)
        return frame

    def _column(self, i, values):
        if self.columns[i] == "date":
            return as_dates(values[:, i])
        if self.columns[i] != "category":
            return values[:, i]
        return pd.Series(as_levels(values[:, i], self.levels), dtype=object)


@dataclass(frozen=True)
class PolarsTable(Table):
    dtypes: str = "plain"
    levels: str = "text"

    def wrap(self, values):
        return pl.DataFrame([self._series(i, values[:, i]) for i in range(len(self.columns))])

    def _series(self, i, values):
        if self.columns[i] == "date":
            return pl.Series(f"c{i}", as_dates(values))
        if self.columns[i] != "category":
            series = pl.Series(f"c{i}", values, nan_to_null=True)
            return series.cast(pl.Float32) if self.dtypes == "float32" else series
        series = pl.Series(f"c{i}", as_levels(values, self.levels), strict=False)
        is_text = self.levels in ("text", "unicode") and self.dtypes == "category"
        return series.cast(pl.Categorical) if is_text else series


POLARS_DTYPES = ["plain", "float32", "category"]


def as_dates(values: np.ndarray) -> np.ndarray:
    """Return dates some months apart, NaT for NaN."""
    return np.datetime64("2020-01-01T12", "us") + (values * 5e6).astype("m8[s]")


def as_levels(values: np.ndarray, levels: str) -> list:
    """Return a level for each whole number, and None for NaN."""
    return [None if v != v else LEVELS[levels](int(v)) for v in values]


# Targets.


def _classes(rng, n, n_classes):
    return rng.integers(0, n_classes, n)


#: The sizes of the classes.
CLASS_SIZES = {
    "equal": _classes,
    "one": lambda rng, n, k: np.zeros(n, dtype=int),
    "rare": lambda rng, n, k: np.where(np.arange(n) < k - 1, np.arange(n) + 1, 0),
    "own": lambda rng, n, k: np.arange(n) % 20,
}
#: The kinds of labels, as functions of the numbers of the classes, in the same order.
LABELS = {
    "int": lambda codes: codes,
    "negative": lambda codes: codes - 2,
    "uint8": lambda codes: codes.astype(np.uint8),
    "large": lambda codes: codes * 2**40,
    "bool": lambda codes: codes > 0,
    "float": lambda codes: codes.astype(float),
    "float32": lambda codes: codes.astype(np.float32),
    "text": lambda codes: np.array([f"class {c + 10}" for c in codes], dtype="<U9"),
    "object": lambda codes: np.array([f"class {c + 10}" for c in codes], dtype=object),
    "list": lambda codes: codes.tolist(),
    "column": lambda codes: codes[:, np.newaxis],
    "reversed": lambda codes: codes[::-1].copy()[::-1],
    "series": lambda codes: pd.Series(codes, index=codes.astype(str)),
    "category": lambda codes: pd.Series([f"class {c + 10}" for c in codes], dtype="category"),
    "string": lambda codes: pd.Series([f"class {c + 10}" for c in codes], dtype="string"),
    "nullable": lambda codes: pd.Series(codes).astype("Int64"),
    "arrow": lambda codes: pd.Series(codes).astype("int64[pyarrow]"),
    "polars": lambda codes: pl.Series(codes),
    "polars text": lambda codes: pl.Series([f"class {c + 10}" for c in codes], dtype=pl.String),
}
#: Labels that the estimators may refuse.
ODD_LABELS = {
    "objects": lambda codes: codes.astype(object),
    "mixed": lambda codes: np.array([c if c % 2 else str(c) for c in codes], dtype=object),
    "continuous": lambda codes: codes + 0.5,
    "missing": lambda codes: np.where(codes == 0, np.nan, codes),
    "complex": lambda codes: codes + 1j,
    "dates": lambda codes: codes.astype("datetime64[D]"),
    "tuples": lambda codes: [(c, c) for c in codes.tolist()],
    "masked": lambda codes: np.ma.masked_equal(codes, 0),
    "bytes": lambda codes: codes.astype("S2"),
}
MULTI_LABELS = {
    "multi-label": lambda flags: flags,
    "multi-label bool": lambda flags: flags > 0,
    "multi-label float": lambda flags: flags.astype(float),
    "multi-label sparse": sparse.csr_array,
    "multi-label frame": pd.DataFrame,
}


@dataclass(frozen=True)
class Labels:
    """A kind of y for a classifier."""

    kind: str = "int"
    sizes: str = "equal"
    n_classes: int = 2

    def make(self, n_rows, seed):
        rng = np.random.default_rng([seed, 2])
        if self.kind in MULTI_LABELS:
            return MULTI_LABELS[self.kind](rng.integers(0, 2, (n_rows, self.n_classes)))
        codes = CLASS_SIZES[self.sizes](rng, n_rows, self.n_classes)
        return {**LABELS, **ODD_LABELS}[self.kind](codes)

    @property
    def names(self) -> list:
        """Labels that may occur in ``y``, for ``class_weight``."""
        if self.kind in MULTI_LABELS:
            return [0, 1]
        codes = np.arange(self.n_classes)
        return np.ravel(np.asarray({**LABELS, **ODD_LABELS}[self.kind](codes))).tolist()


#: The kinds of numbers to predict, as functions of a generator and a shape.
NUMBERS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "counts": lambda rng, shape: rng.poisson(2.0, shape).astype(float),
    "positive": lambda rng, shape: np.exp(rng.normal(size=shape)),
    "shifted": lambda rng, shape: 1e9 + rng.normal(size=shape),
    "constant": lambda rng, shape: np.full(shape, 3.25),
    "zero": lambda rng, shape: np.zeros(shape),
    "outlier": lambda rng, shape: np.where(
        np.arange(shape[0])[:, np.newaxis] == 1, 1e30, rng.normal(size=shape)
    ),
    "tiny": lambda rng, shape: 1e-300 * rng.normal(size=shape),
    "denormal": lambda rng, shape: 1e-310 * rng.normal(size=shape),
    "huge": lambda rng, shape: 1e300 * rng.normal(size=shape),
    "largest": lambda rng, shape: 1.7e308 * rng.choice([-1, 0, 1], shape),
    "missing": lambda rng, shape: np.where(rng.random(shape) < 0.3, np.nan, 1.0),
}
#: The forms of y for a regressor, as functions of an array of one or two dimensions.
FORMS = {
    "array": lambda y: y,
    "float32": lambda y: cast(y, "float32"),
    "float16": lambda y: cast(y, "float16"),
    "int": lambda y: cast(y, "int64"),
    "uint8": lambda y: cast(y, "uint8"),
    "bool": lambda y: cast(y, "bool"),
    "object": lambda y: y.astype(object),
    "list": lambda y: y.tolist(),
    "F": np.asfortranarray,
    "strided": strided,
    "read-only": read_only,
    "column": lambda y: y[:, np.newaxis] if y.ndim == 1 else y,
    "pandas": lambda y: pd.DataFrame(y) if y.ndim == 2 else pd.Series(y, index=["i"] * len(y)),
    "arrow": lambda y: arrow(pd.DataFrame(y)),
    "nullable": lambda y: nullable(pd.DataFrame(y)),
    "polars": lambda y: pl.DataFrame(y) if y.ndim == 2 else pl.Series(y),
}


@dataclass(frozen=True)
class Numbers:
    """A kind of y for a regressor."""

    kind: str = "normal"
    form: str = "array"
    n_outputs: int = 1
    names: ClassVar[list] = [0, 1]

    def values(self, n_rows, seed):
        rng = np.random.default_rng([seed, 2])
        values = NUMBERS[self.kind](rng, (n_rows, self.n_outputs))
        return values[:, 0] if self.n_outputs == 1 else values

    def make(self, n_rows, seed):
        return FORMS[self.form](self.values(n_rows, seed))


# Weights.

#: The kinds of weights, as functions of a generator and the number of rows.
WEIGHTS = {
    "none": lambda rng, n: None,
    "uniform": lambda rng, n: rng.uniform(0.1, 2, n),
    # One weight is one: the smallest weight is the unit, by which a level is seen once.
    "counts": lambda rng, n: np.where(np.arange(n) == n // 2, 1, rng.integers(0, 4, n)),
    "bool": lambda rng, n: rng.random(n) < 0.7,
    "float32": lambda rng, n: rng.uniform(0.1, 2, n).astype(np.float32),
    "every size": lambda rng, n: 10.0 ** rng.uniform(-300, 300, n),
    "one": lambda rng, n: (np.arange(n) == n // 2).astype(float),
    "series": lambda rng, n: pd.Series(rng.uniform(0.1, 2, n), index=["w"] * n),
    "polars": lambda rng, n: pl.Series(rng.uniform(0.1, 2, n)),
    "list": lambda rng, n: rng.uniform(0.1, 2, n).tolist(),
    "object": lambda rng, n: rng.uniform(0.1, 2, n).astype(object),
    "scalar": lambda rng, n: 2.0,
    "strided": lambda rng, n: strided(rng.uniform(0.1, 2, n)),
}
#: Weights that the estimators may refuse.
ODD_WEIGHTS = {
    "zero": lambda rng, n: np.zeros(n),
    "negative": lambda rng, n: rng.normal(size=n),
    "missing": lambda rng, n: np.full(n, np.nan),
    "infinite": lambda rng, n: np.full(n, np.inf),
    "short": lambda rng, n: np.ones(max(n - 1, 0)),
    "column": lambda rng, n: np.ones((n, 1)),
    "text": lambda rng, n: np.full(n, "a"),
    "dates": lambda rng, n: np.full(n, "2020-01-01", dtype="datetime64[s]"),
    "complex": lambda rng, n: np.full(n, 1 + 1j),
}


@dataclass(frozen=True)
class Weights:
    """A kind of weights, all of which are multiplied by a number."""

    kind: str = "none"
    factor: float = 1.0

    def make(self, n_rows, seed):
        rng = np.random.default_rng([seed, 3])
        weights = {**WEIGHTS, **ODD_WEIGHTS}[self.kind](rng, n_rows)
        if self.factor == 1:
            return weights
        scaled = np.asarray(weights) * self.factor
        return scaled.tolist() if isinstance(weights, list) else scaled
