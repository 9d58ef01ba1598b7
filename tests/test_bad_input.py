"""Bad input is refused before training, with a helpful message and without any change."""

import datetime
import decimal
from enum import StrEnum

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sknet import _building
from sknet._parameters import Numbers
from sknet.nn.activations import ACTIVATIONS
from sknet.nn.losses import LOSSES, BinaryLogLoss
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.schedules import SCHEDULES, Cosine

QUICK = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}


def assert_rejected(network, match, X, y, *args, method="fit", **kwargs):
    """Assert that a method refuses its arguments and leaves the estimator as it was."""
    before = joblib.hash(vars(network))
    # scikit-learn raises a TypeError for None or a sparse matrix in the place of an array.
    with pytest.raises((ValueError, TypeError), match=match):
        getattr(network, method)(X, y, *args, **kwargs)
    assert joblib.hash(vars(network)) == before


# Data.


def with_value(X, value):
    X = X.copy()
    X[3, 1] = value
    return X


BAD_DATA = {
    "1-D X": (lambda X, y: (X[:, 0], y), "Expected 2D array, got 1D array instead"),
    "3-D X": (lambda X, y: (X[np.newaxis], y), "Found array with dim 3"),
    "lengths": (lambda X, y: (X[:10], y), "inconsistent numbers of samples"),
    "no rows": (lambda X, y: (X[:0], y[:0]), "0 sample"),
    "dicts": (lambda X, y: ([{"a": 1.0}] * len(y), y), r"holds dicts.*pandas\.DataFrame\(X\)"),
    "a dict": (lambda X, y: ({"a": X[:, 0]}, y), r"holds dicts.*pandas\.DataFrame\(X\)"),
    "frame without columns": (
        lambda X, y: (pd.DataFrame(X).iloc[:, :0], y),
        "X has no columns",
    ),
    "no columns": (lambda X, y: (X[:, :0], y), "0 feature"),
    "inf": (lambda X, y: (with_value(X, np.inf), y), "Input X contains infinity"),
    "sparse inf": (lambda X, y: (sparse.csr_array(with_value(X, np.inf)), y), "infinity"),
    "complex X": (lambda X, y: (X.astype(complex), y), "Complex data not supported"),
    "NaN in y": (
        lambda X, y: (X, np.where(y == y[0], np.nan, y)),
        "Input y contains NaN: it has missing values, .* Leave these rows out",
    ),
    "inf in y": (lambda X, y: (X, np.where(y == y[0], np.inf, y)), "Input y contains inf"),
    "no y": (lambda X, y: (X, None), "requires y to be passed"),
    "3-D y": (lambda X, y: (X, np.zeros((len(y), 2, 2))), "dim 3"),
}


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("change", "match"), list(BAD_DATA.values()), ids=list(BAD_DATA))
def test_data(problem, forbid_training, change, match, fitted):
    network = problem.cls((3,), **QUICK)
    if fitted:
        network.fit(problem.X, problem.y)
    forbid_training()
    assert_rejected(network, match, *change(problem.X, problem.y))


@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan"), pd.NA], ids=repr)
@pytest.mark.parametrize("make", [np.asarray, list, pd.Series, pd.DataFrame])
def test_labels_must_not_be_missing(binary, regression, forbid_training, make, missing):
    forbid_training()
    (X, _), (_, numbers) = binary, regression
    names = np.where(X[:, 0] > 0, "high", "low")
    match = "has missing values, 1 of 120. Leave these rows out, .*'unknown'"
    for cls, values in (
        (NNClassifier, names),
        (NNClassifier, X[:, 0] > 0),
        (NNRegressor, numbers),
    ):
        y = values.astype(object)
        y[77] = missing
        y, complete = make(y), values
        assert_rejected(cls(), f"y {match}", X, y)
        assert_rejected(cls(), f"y {match}", X, y, method="partial_fit")
        network = cls(early_stopping="auto")
        assert_rejected(network, f"y_val {match}", X, complete, X_val=X, y_val=y)


def test_missing_labels_of_pandas_types(binary, forbid_training):
    forbid_training()
    X, y = binary
    labels = pd.Series(y).map({0: "a", 1: "b"}).where(np.arange(len(y)) % 4 > 0)
    for dtype in (object, "string", "category"):
        match = "y has missing values, 30 of 120"
        assert_rejected(NNClassifier(), match, X, labels.astype(dtype))
        assert_rejected(NNClassifier(), match, X, labels.astype(dtype), None, ["a", "b"],
                        method="partial_fit")  # fmt: skip


def test_missing_values_of_one_of_several_targets(multioutput, forbid_training):
    X, Y = multioutput
    Y = np.where(np.arange(Y.size).reshape(Y.shape) == 4, np.nan, Y)
    forbid_training()
    for y in (Y, pd.DataFrame(Y)):
        assert_rejected(NNRegressor(), "has missing values, 1 of .* fit an NNMultiTarget", X, y)


def test_labels_must_be_classes(binary, forbid_training):
    X, _ = binary
    forbid_training()
    assert_rejected(NNClassifier(), "Unknown label type: continuous", X, X[:, 0])
    y = np.column_stack([X[:, 0], X[:, 0] > 1])
    assert_rejected(NNClassifier(), "Unknown label type: continuous-multioutput", X, y)


def test_numbers_must_be_numbers(regression, forbid_training):
    X, y = regression
    forbid_training()
    assert_rejected(NNRegressor(), "could not convert string", X, np.full(len(y), "a"))
    sparse_y = sparse.csr_array(y[:, np.newaxis])
    assert_rejected(NNRegressor(), "Sparse data was passed for y", X, sparse_y)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        (lambda n: np.where(np.arange(n) == 3, -1.0, 1.0), "Negative values"),
        (lambda n: np.zeros(n), "at least one non-zero"),
        (lambda n: np.ones(n - 1), r"sample_weight.shape == \("),
        (lambda n: np.ones((n, 2)), "Sample weights must be 1D"),
        (lambda n: np.full(n, np.nan), "contains NaN"),
        (lambda n: np.full(n, np.inf), "contains infinity"),
    ],
)
def test_sample_weight(problem, forbid_training, weight, match):
    X, y = problem.X, problem.y
    forbid_training()
    assert_rejected(problem.cls(), match, X, y, sample_weight=weight(len(y)))
    held_out = {"X_val": X, "y_val": y, "sample_weight_val": weight(len(y))}
    assert_rejected(problem.cls(early_stopping="auto"), match, X, y, **held_out)


# Kinds of columns and vectors that are neither numbers nor categories.

DAY = datetime.date(2026, 1, 1)
TIME = datetime.datetime(2026, 1, 1, 12)
SPAN = datetime.timedelta(hours=1)


def arrow(values, dtype):
    return pd.Series(values, dtype=pd.ArrowDtype(dtype))


def objects(value):
    """Return a series of objects, whose dtype does not tell what they are."""
    return pd.Series([value, value], dtype=object)


#: Two rows of each kind, by the word for the kind in messages.
UNREAD = {
    "complex numbers": [
        pd.Series([1 + 1j, 2.0]),
        pd.Series(pd.arrays.SparseArray([1 + 1j, 2.0])),
        pd.Series([1 + 1j, 2.0], dtype="category"),
        objects(1j),
        objects(np.complex64(1j)),
    ],
    "dates or durations": [
        pd.Series([TIME, TIME], dtype="category"),
        pd.Series([SPAN, SPAN], dtype="category"),
    ],
    "times of day or periods": [
        pd.Series(pd.period_range("2026-01", periods=2, freq="M")),
        arrow([TIME.time(), TIME.time()], pa.time64("us")),
        objects(TIME.time()),
        pl.Series([TIME.time(), TIME.time()]),
    ],
    "nested values": [
        objects((1, 2)),
        objects([1, 2]),
        objects({"a": 1}),
        objects({1}),
        objects((1, 2)).astype("category"),
        objects(np.ones(2)),
        arrow([[1], [2]], pa.list_(pa.int64())),
        arrow([{"a": 1}, {"a": 2}], pa.struct([("a", pa.int64())])),
        pl.Series([[1], [2]]),
        pl.Series([[1], [2]], dtype=pl.Array(pl.Int64, 1)),
        pl.Series([{"a": 1}, {"a": 2}]),
    ],
    "integers of 128 bits": [
        pl.Series([1, 2], dtype=pl.Int128),
    ],
    "bytes": [
        objects(b"a"),
        arrow([b"a", b"b"], pa.binary()),
        pl.Series([b"a", b"b"]),
    ],
}
#: Two rows of dates and durations, which only columns of frames may hold.
TIMES = [
    pd.Series([TIME, TIME]),
    pd.Series([TIME, TIME]).dt.tz_localize("UTC"),
    pd.Series([SPAN, SPAN]),
    arrow([TIME, TIME], pa.timestamp("us")),
    arrow([DAY, DAY], pa.date32()),
    arrow([SPAN, SPAN], pa.duration("us")),
    objects(DAY),
    objects(np.datetime64("2026-01-01")),
    objects(np.timedelta64(1, "h")),
    pl.Series([DAY, DAY]),
    pl.Series([TIME, TIME]),
    pl.Series([SPAN, SPAN]),
]


def cases(unread):
    """Return the kinds and the rows as parameters of a test."""
    return [
        pytest.param(what, one, id=f"{what}-{type(one).__module__[:6]}-{one.dtype}-{i}")
        for what, several in unread.items()
        for i, one in enumerate(several)
    ]


def repeat(series, n):
    """Return a series of n rows that repeats two."""
    if isinstance(series, pl.Series):
        return pl.concat([series] * (n // 2))
    return pd.concat([series] * (n // 2), ignore_index=True)


def frame_with(series, X):
    """Return a frame of the columns of X with a further column, "odd"."""
    columns = {name: X[:, i] for i, name in enumerate("abcde")}
    library = pl if isinstance(series, pl.Series) else pd
    return library.DataFrame({**columns, "odd": series})


@pytest.mark.parametrize(("what", "series"), cases(UNREAD))
def test_a_column_that_is_not_read_is_named(problem, forbid_training, what, series):
    X, y = problem.X, problem.y
    odd = frame_with(repeat(series, len(y)), X)
    numbers = frame_with(type(series)(X[:, 0]), X)
    fitted = problem.cls((3,), **QUICK).fit(numbers, y)
    forbid_training()
    match = f"Column 'odd' of X holds {what} .*[.] [A-Z].*[.]$"
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    for chosen in ("from_dtype", ["odd"]):
        network = problem.cls(categorical_features=chosen)
        assert_rejected(network, match, odd, y)
        assert_rejected(network, match, odd, y, method="partial_fit", **classes)
    # Where training had numbers, objects are no numbers, whatever they are.
    match = f"Column 'odd' of X(_val)? (holds {what}|is not a category, but cannot be read)"
    assert_rejected(fitted, match, odd, y, method="score")
    assert_rejected(problem.cls(categorical_features=None), match, odd, y)
    network = problem.cls(early_stopping="auto")
    assert_rejected(network, match, numbers, y, X_val=odd, y_val=y)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("dates", np.datetime64("2026-01-01")),
        ("dates", np.datetime64("NaT", "s")),
        ("dates", np.timedelta64(1, "h")),
        ("complex", 1j),
    ],
    ids=repr,
)
def test_lists_and_arrays_of_objects_that_are_not_read(forbid_training, what, value):
    """NumPy would convert such values to numbers without a word."""
    rows = np.array([[1.0, value]] * 4, dtype=object)
    forbid_training()
    for X in [rows, rows.tolist(), [[value]] * 4]:
        assert_rejected(NNRegressor(), f"X holds {what}", X, range(4))
    rows[:, 0] = "a"
    assert_rejected(NNRegressor(categorical_features=[0]), f"X holds {what}", rows, range(4))


@pytest.mark.parametrize(
    ("what", "series"), [*cases(UNREAD), *cases({"dates or durations": TIMES})]
)
def test_a_y_or_weight_that_is_not_read_is_named(regression, forbid_training, what, series):
    X, y = regression
    odd = repeat(series, len(y))
    forbid_training()
    network = NNRegressor(early_stopping="auto")
    assert_rejected(network, f"y holds {what}", X, odd)
    assert_rejected(network, f"y holds {what}", X, odd, method="partial_fit")
    assert_rejected(network, f"y_val holds {what}", X, y, X_val=X, y_val=odd)
    assert_rejected(network, f"sample_weight holds {what}", X, y, sample_weight=odd)
    held_out = {"X_val": X, "y_val": y, "sample_weight_val": odd}
    assert_rejected(network, f"sample_weight_val holds {what}", X, y, **held_out)
    assert_rejected(network, f"sample_weight holds {what}", X, y, odd, method="partial_fit")


@pytest.mark.parametrize(
    "what", [what for what in UNREAD if not what.startswith(("dates", "times"))]
)
def test_labels_that_are_not_read_are_named(binary, forbid_training, what):
    X, y = binary
    forbid_training()
    for series in UNREAD[what]:
        odd = repeat(series, len(y))
        assert_rejected(NNClassifier(), f"y holds {what}", X, odd)
        assert_rejected(
            NNClassifier(), f"y holds {what}", X, odd, classes=[0, 1], method="partial_fit"
        )


def test_dates_may_be_labels(binary):
    X, y = binary
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")
    network = NNClassifier((3,), **QUICK).fit(X, days[y])
    assert_array_equal(network.classes_, days)
    assert set(network.predict(X).tolist()) <= set(days.tolist())


def test_a_date_that_is_missing_is_no_label(binary, forbid_training):
    X, y = binary
    forbid_training()
    days = np.array(["2026-01-01", "NaT"], dtype="datetime64[D]")[y]
    assert_rejected(NNClassifier(), f"y has missing values, {y.sum()} of 120", X, days)


@pytest.mark.parametrize(
    "values",
    [
        [decimal.Decimal("0.5"), decimal.Decimal(2)],
        pd.array([1, None], dtype="Int64"),
        pd.array([0.5, 2.0], dtype="Float64"),
        pd.array([True, None], dtype="boolean"),
        arrow([decimal.Decimal("0.5"), decimal.Decimal(2)], pa.decimal128(5, 2)),
        pd.Categorical(pd.cut([0.0, 1.0], 2)),
        pd.Categorical([1.5, 2.5]),
        np.array([0.5, 1.0], np.longdouble),
    ],
    ids=lambda values: str(getattr(values, "dtype", "decimal")),
)
def test_what_holds_numbers_or_categories_is_read(regression, values):
    # The kinds that are refused are no more than these.
    X, y = regression
    column = pd.concat([pd.Series(values)] * (len(y) // 2), ignore_index=True)
    network = NNRegressor((3,), learning_rate="cosine", max_iter=2, random_state=0)
    frame = frame_with(column, X)
    assert np.isfinite(network.fit(frame, y).predict(frame)).all()


MASKED = np.ma.masked_array(np.arange(1.0, 121), np.arange(120) == 7)
RECORDS = np.zeros(120, dtype=[("a", float), ("b", float)])


def test_masks_and_records_are_not_lost(problem, forbid_training):
    X, y = problem.X, problem.y
    forbid_training()
    masked_X = np.ma.masked_array(X, X > 2)
    match = "is a masked array with masked values.*in an X of numbers, .*filled"
    assert_rejected(problem.cls(), f"X {match}", masked_X, y)
    assert_rejected(problem.cls(), f"y {match}", X, np.ma.masked_array(y, MASKED.mask))
    assert_rejected(problem.cls(), f"sample_weight {match}", X, y, MASKED)
    match = "holds records .*Give each field its own column, as in a data frame"
    assert_rejected(problem.cls(), f"X {match}", RECORDS, y)
    assert_rejected(problem.cls(), f"y {match}", X, RECORDS)
    assert_rejected(problem.cls(), f"sample_weight {match}", X, y, RECORDS)


def test_without_masked_values_a_masked_array_is_an_array(regression):
    X, y = regression
    network = NNRegressor((3,), learning_rate="cosine", max_iter=2, random_state=0)
    expected = network.fit(X, y).predict(X)
    assert_array_equal(network.fit(np.ma.masked_array(X), y).predict(X), expected)


@pytest.mark.parametrize("make", [pa.table, pa.RecordBatch.from_pydict])
def test_tables_of_pyarrow_are_to_be_frames(problem, forbid_training, make):
    """As arrays, they would lose the names and dtypes of their columns."""
    X, y = problem.X, problem.y
    table = make({f"x{i}": column for i, column in enumerate(X.T)})
    fitted = problem.cls((3,), **QUICK).fit(X, y)
    forbid_training()
    match = r"^X is a \w+ of pyarrow: pass X.to_pandas\(\) or polars.from_arrow\(X\)"
    assert_rejected(problem.cls(), match, table, y)
    assert_rejected(fitted, match, table, y, method="score")
    assert_rejected(problem.cls(), match.replace("X", "y"), X, table)


def test_lazy_tables_are_to_be_collected(problem, forbid_training):
    X, y = problem.X, problem.y
    lazy = pl.DataFrame(X).lazy()
    fitted = problem.cls((3,), **QUICK).fit(X, y)
    forbid_training()
    match = r"X is a lazy LazyFrame: use X.collect\(\) first"
    assert_rejected(problem.cls(), match, lazy, y)
    assert_rejected(fitted, match, lazy, y, method="score")
    assert_rejected(fitted, match.replace("X", "y"), X, lazy, method="partial_fit")
    assert_rejected(problem.cls(), "sample_weight is a lazy LazyFrame", X, y, lazy)


def test_bytes_of_an_array_are_not_read(problem, forbid_training):
    X, y = problem.X, problem.y
    fitted = problem.cls((3,), **QUICK).fit(X, y)
    forbid_training()
    match = r"X holds bytes \(dtype .*Decode them to text, or convert numbers with astype"
    assert_rejected(problem.cls(), match, X.astype("S"), y)
    assert_rejected(fitted, match, X.astype("S"), y, method="score")


@pytest.mark.parametrize("make", [iter, lambda rows: dict(enumerate(rows)).values()])
def test_iterators_are_to_be_lists(problem, forbid_training, make):
    X, y = problem.X, problem.y
    forbid_training()
    for i, name in enumerate(["X", "y", "sample_weight"]):
        given = [X, y, np.ones(len(y))]
        given[i] = make(given[i])
        match = rf"^{name} has type \w+, not a sequence: pass list\({name}\)"
        assert_rejected(problem.cls(), match, *given)


def test_objects_that_are_no_tables(problem, forbid_training):
    X, y = problem.X, problem.y
    forbid_training()
    rows = {
        "text": "abc",
        "a set": {1, 2},
        "a dict": {"a": [1.0] * len(y)},
        "an object": object(),
        "a class": int,
        "ragged": [[1.0] * (1 + i % 2) for i in range(len(y))],
        "a large integer": np.array([[10**400, 1.0]] * len(y), dtype=object),
    }
    for strange in rows.values():
        assert_rejected(problem.cls(), r"\bX\b", strange, y)
        network = problem.cls(early_stopping="auto")
        assert_rejected(network, r"\bX_val\b", X, y, X_val=strange, y_val=y)
        assert_rejected(problem.cls(), "sample_weight", X, y, strange)
        assert_rejected(problem.cls(), r"\by\b", X, strange)


def test_the_column_of_an_array_that_is_no_number_is_named(problem, forbid_training):
    X = problem.X.astype(object)
    X[5, 2] = "text"
    forbid_training()
    match = "Column 2 of X is not a category, but cannot be read as finite numbers"
    assert_rejected(problem.cls(), match, X, problem.y)
    assert_rejected(problem.cls(), match, X.tolist(), problem.y)


def test_a_column_after_nullable_booleans_is_named(problem, forbid_training):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(problem.X).add_prefix("x")
    X.insert(0, "member", pd.array([True, None] * len(X), "boolean")[: len(X)])
    X.loc[5, "x2"] = np.inf
    forbid_training()
    match = "Column 'x2' of X is not a category, but cannot be read as finite numbers"
    assert_rejected(problem.cls(categorical_features=[]), match, X, problem.y)


def test_levels_are_finite(problem, forbid_training):
    X = problem.X.copy()
    X[3, 1] = np.inf
    forbid_training()
    network = problem.cls(categorical_features=[1])
    assert_rejected(network, "Column 1 of X is a category with infinity", X, problem.y)


@pytest.mark.parametrize("make", [list, tuple])
def test_text_and_numbers_are_not_mixed(binary, forbid_training, make):
    # NumPy would turn the numbers into text.
    X, y = binary
    forbid_training()
    y = make("a" if label else 1 for label in y)
    match = r"y is not valid: a list must be all text or all numbers, got \['int', 'str'\]"
    assert_rejected(NNClassifier(), match, X, y)


class Answer(StrEnum):
    """Labels of an enumeration."""

    NO = "no"
    YES = "yes"


@pytest.mark.parametrize(
    "labels, types",
    [
        ((0, 1), "int"),
        ((False, True), "bool"),
        ((np.False_, 1.5), "bool, float"),
        ((1, "a"), "int, str"),
        ((Answer.NO, Answer.YES), "Answer"),
    ],
)
def test_labels_of_dtype_object(binary, forbid_training, labels, types):
    """Text is read, but numbers have no common order with text, which may be no numbers."""
    X, y = binary
    forbid_training()
    y = np.array([labels[int(label)] for label in y], dtype=object)
    to = "to (an integer or float dtype|text)"
    match = rf"y has labels of the type\(s\) {types}\. Convert the labels {to}"
    assert_rejected(NNClassifier(), match, X, y)


@pytest.mark.parametrize(
    "make, kind",
    [
        (lambda y: pd.cut(y, 2), "Interval"),
        (lambda y: pd.Series(pd.cut(y, 2)), "Interval"),
        (lambda y: pd.Series(pd.to_datetime(y, unit="D", utc=True)), "Timestamp"),
        (lambda y: pd.Series(pd.to_datetime(y, unit="D")).dt.to_period("D"), "Period"),
    ],
    ids=["intervals", "series of intervals", "dates with a time zone", "periods"],
)
def test_labels_that_are_to_become_text(binary, forbid_training, make, kind):
    X, y = binary
    labels = make(y)
    assert set(NNClassifier((3,), **QUICK).fit(X, labels.astype(str)).classes_.tolist()) == {
        *labels.astype(str)
    }
    forbid_training()
    match = rf"^Unknown label type: y .* type\(s\) {kind}. .* labels to text .*y.astype\(str\)"
    assert_rejected(NNClassifier(), match, X, labels)


def test_labels_of_another_type_than_the_classes(binary, forbid_training):
    X, y = binary
    fitted = NNClassifier((3,), warm_start=True, **QUICK).fit(X, y)
    forbid_training()
    text = np.where(y, "a", "b")
    match = r"y has labels that are not among the classes \[0, 1\]: \['a', 'b'\]"
    assert_rejected(fitted, match, X, text)
    assert_rejected(fitted, match, X, text, method="partial_fit")
    for classes in (["a", 1], [], [[0, 1]], 3, [1j, 2]):
        assert_rejected(NNClassifier(), "classes", X, y, classes=classes, method="partial_fit")


SPARSE = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("kind", SPARSE)
@pytest.mark.parametrize("container", ["array", "matrix"])
def test_every_sparse_format_is_read_and_scored(problem, kind, container):
    X, y = sparse.csr_array(problem.X * (problem.X > 0)), problem.y
    options = {"early_stopping": True, "scoring": None, **QUICK}
    network = problem.cls((3,), **options)
    expected = network.fit(X, y)
    scores, predicted = expected.validation_scores_, expected.predict(X)
    other = getattr(sparse, f"{kind}_{container}")(X)
    assert network.fit(other, y).validation_scores_ == scores
    assert_array_equal(network.predict(other), predicted)


# Validation rows.


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_validation_data(problem, forbid_training, solver):
    X, y = problem.X, problem.y
    network = problem.cls(solver=solver, early_stopping="auto")
    forbid_training()
    assert_rejected(network, "X_val is given without y_val", X, y, X_val=X)
    assert_rejected(network, "y_val is given without X_val", X, y, y_val=y)
    weight = np.ones(len(y))
    match = "sample_weight_val is given without X_val"
    assert_rejected(network, match, X, y, sample_weight_val=weight)
    match = "The validation set is too small"
    assert_rejected(network, match, X, y, X_val=X[:1], y_val=y[:1])
    one = np.where(np.arange(len(y)) == 4, 1.0, 0.0)
    assert_rejected(network, match, X, y, X_val=X, y_val=y, sample_weight_val=one)
    assert_rejected(network, "inconsistent numbers", X, y, X_val=X, y_val=y[:-1])
    match = f"X has 4 features, but {problem.name} is expecting 5"
    assert_rejected(network, match, X, y, X_val=X[:, :4], y_val=y)
    inf = with_value(X, np.inf)
    assert_rejected(network, "contains infinity", X, y, X_val=inf, y_val=y)
    y_nan = np.where(y == y[0], np.nan, y)
    assert_rejected(network, "y_val contains NaN", X, y, X_val=X, y_val=y_nan)


@pytest.mark.parametrize("off", [False, np.False_], ids=["bool", "numpy"])
def test_validation_data_that_would_not_be_used(problem, off, forbid_training):
    X, y = problem.X, problem.y
    forbid_training()
    match = "early_stopping=False would not use them"
    assert_rejected(problem.cls(early_stopping=off), match, X, y, X_val=X, y_val=y)


def test_validation_labels_that_training_lacks(multiclass, multilabel, forbid_training):
    X, y = multiclass
    forbid_training()
    y_val = np.where(y == "ash", "yew", y)
    match = "y_val has labels that are not among the classes .*: .*yew"
    assert_rejected(NNClassifier(early_stopping="auto"), match, X, y, X_val=X, y_val=y_val)
    X, Y = multilabel
    match = "y_val must have 3 columns"
    assert_rejected(NNClassifier(early_stopping="auto"), match, X, Y, X_val=X, y_val=Y[:, :2])


def test_validation_outputs_that_training_lacks(multioutput, forbid_training):
    X, Y = multioutput
    forbid_training()
    match = "must be 3, as in training, but y_val has 2"
    assert_rejected(NNRegressor(early_stopping="auto"), match, X, Y, X_val=X, y_val=Y[:, :2])
    match = "must be 3, as in training, but y_val has 1"
    assert_rejected(NNRegressor(early_stopping="auto"), match, X, Y, X_val=X, y_val=Y[:, 0])


@pytest.mark.parametrize(("n_rows", "fraction"), [(1, 0.5), (2, 0.5), (20, 0.01), (20, 0)])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_rows_too_few_to_split(problem, forbid_training, solver, n_rows, fraction):
    network = problem.cls(early_stopping=True, validation_fraction=fraction, solver=solver)
    forbid_training()
    match = "The validation set is too small"
    assert_rejected(network, match, problem.X[:n_rows], problem.y[:n_rows])


@pytest.mark.parametrize("fraction", [0, 0.0, 5e-324, 0.01])
def test_a_fraction_too_small_to_split_for_members(problem, forbid_training, fraction):
    # Members without shared weights, as by default on few rows.
    network = problem.cls(
        early_stopping=True, validation_fraction=fraction, n_members=2, share_weights=False
    )
    forbid_training()
    assert_rejected(network, "The validation set is too small", problem.X[:50], problem.y[:50])


# Parameters.


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("solver", ["lbfgs", *OPTIMIZERS]),
        ("activation", list(ACTIVATIONS)),
        ("learning_rate", ["adaptive", *SCHEDULES]),
        ("batch_size", ["auto"]),
        ("early_stopping", ["auto"]),
        ("scoring", ["loss", "r2", "accuracy"]),
        ("dtype", ["auto", "float32", "float64"]),
        ("loss", {NNClassifier: ["log_loss"], NNRegressor: ["squared_error"]}),
    ],
)
def test_an_unknown_string_is_answered_with_the_valid_ones(
    problem, forbid_training, name, valid
):
    network = problem.cls(**{name: "nonsense"})
    forbid_training()
    for option in valid[problem.cls] if isinstance(valid, dict) else valid:
        match = f"The '{name}' parameter of {problem.name} must .*'{option}'"
        assert_rejected(network, match, problem.X, problem.y)


def test_a_loss_for_the_other_task_is_refused(problem, forbid_training):
    wrong = "squared_error" if problem.cls is NNClassifier else "log_loss"
    forbid_training()
    assert_rejected(problem.cls(loss=wrong), "The 'loss' parameter", problem.X, problem.y)


def test_an_instance_of_a_loss_for_the_other_task_is_refused(problem, forbid_training):
    task = "classification" if problem.cls is NNClassifier else "regression"
    others = [loss() for loss in LOSSES.values() if loss.task != task]
    assert others
    forbid_training()
    for loss in others:
        network = problem.cls((3,), loss=loss, **QUICK)
        match = f"is a loss for {loss.task}, but {problem.name} needs one for {task}"
        assert_rejected(network, match, problem.X, problem.y)
        assert_rejected(network, match, problem.X, problem.y, method="partial_fit")


def test_a_loss_of_two_classes_is_refused_for_others(multiclass, multilabel, forbid_training):
    """Its probabilities of three classes, or of one, would not sum to one."""
    network = NNClassifier((3,), loss=BinaryLogLoss(), **QUICK)
    network.fit(*multilabel)
    X, y = multiclass
    forbid_training()
    for labels in (y, np.full(len(y), "ash")):
        assert_rejected(network, "needs two classes or a multi-label y", X, labels)


BAD_VALUES = [
    {"hidden_layer_sizes": 0},
    {"hidden_layer_sizes": -1},
    {"hidden_layer_sizes": 2.5},
    {"hidden_layer_sizes": (10, 0)},
    {"hidden_layer_sizes": (10, -5)},
    {"hidden_layer_sizes": (10, 2.5)},
    {"hidden_layer_sizes": [[10]]},
    {"hidden_layer_sizes": np.array(3)},
    {"hidden_layer_sizes": None},
    {"activation": ["relu"], "hidden_layer_sizes": (3, 3)},
    {"activation": ["relu", "nonsense"], "hidden_layer_sizes": (3, 3)},
    {"activation": ["relu", ["relu"]], "hidden_layer_sizes": (3, 3)},
    {"activation": 3},
    {"dropout": 1.0},
    {"dropout": -0.1},
    {"dropout": np.nan},
    {"dropout": [0.1], "hidden_layer_sizes": (3, 3)},
    {"dropout": [0.1, 1.0], "hidden_layer_sizes": (3, 3)},
    {"dropout": [0.1, "a"], "hidden_layer_sizes": (3, 3)},
    {"batch_size": 0},
    {"batch_size": 2.5},
    {"categorical_features": [["a"]]},
    {"categorical_features": [[0], [1, 2]]},
    {"categorical_features": {0}},
    {"activation": np.array("relu")},
    {"dropout": np.array(0.5)},
    {"hidden_layer_sizes": [[1], [1, 2]]},
    {"hidden_layer_sizes": {3}},
    {"alpha": -1.0},
    {"alpha": np.nan},
    {"l1_ratio": 1.5},
    {"learning_rate_init": 0},
    {"learning_rate_init": -1e-3},
    {"max_iter": 0},
    {"tol": -1.0},
    {"verbose": -1},
    {"momentum": 1.5},
    {"validation_fraction": 1.0},
    {"beta_1": 1.0},
    {"beta_2": -0.1},
    {"epsilon": 0},
    {"n_iter_no_change": 0},
    {"n_iter_no_change": 2.5},
    {"n_iter_no_change": -np.inf},
    {"max_fun": 0},
    {"power_t": -1},
    {"shuffle": "yes"},
    {"standardize": None},
    {"random_state": "seed"},
    {"solver": None},
    {"loss": None},
    {"interaction_cst": "all"},
    {"interaction_cst": 1},
    {"interaction_cst": {0, 1}},
    {"interaction_cst": []},
    {"interaction_cst": [0, 1]},
    {"interaction_cst": [{0, 1}, []]},
    {"interaction_cst": [{0, 10**6}]},
    {"interaction_cst": [{-1}]},
    {"interaction_cst": [(0.0, 1.0)]},
    {"interaction_cst": [("x0",), "x1"]},
    {"interaction_cst": [(True,)]},
    {"interaction_cst": [[[0, 1]]]},
    {"interaction_cst": [np.eye(2, dtype=int)]},
]


@pytest.mark.parametrize("parameters", BAD_VALUES, ids=str)
def test_values(problem, forbid_training, parameters):
    network = problem.cls(**parameters)
    name = next(iter(parameters))
    forbid_training()
    assert_rejected(network, name, problem.X, problem.y)
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    assert_rejected(network, name, problem.X, problem.y, method="partial_fit", **classes)


def numeric_parameters(cls):
    """Return the names of the parameters that take numbers, but no truth values."""
    constraints = cls.args[0]._parameter_constraints
    return [
        name
        for name, several in constraints.items()
        if any(isinstance(one, Numbers) for one in several) and "boolean" not in several
    ]


@pytest.mark.parametrize("value", [True, False, np.True_, 10**400, -(10**400)], ids=str)
def test_truth_values_and_endless_integers_are_no_numbers(problem, forbid_training, value):
    forbid_training()
    names = numeric_parameters(problem.cls)
    assert {"batch_size", "alpha", "n_members", "max_iter"} <= set(names)
    for name in names:
        match = f"The '{name}' parameter of {problem.name} must be"
        assert_rejected(problem.cls(**{name: value}), match, problem.X, problem.y)


@pytest.mark.parametrize(
    "quantile",
    [["a"], "a", [[0.1]], [], [0.5, 0.5], [0.5, 0.1], [0.1, np.nan], [0.0, 0.5], [True],
     np.array(0.5)],
    ids=str,
)  # fmt: skip
def test_quantiles_are_increasing_numbers(regression, forbid_training, quantile):
    X, y = regression
    forbid_training()
    assert_rejected(NNRegressor(loss="quantile", quantile=quantile), "quantile", X, y)


@pytest.mark.parametrize(
    ("class_weight", "match"),
    [
        ([1, 2], "class_weight must be a dict with the weights of the classes"),
        ([{0: 1}], "class_weight must be a dict with the weights of the classes"),
        ([], "class_weight must be a dict with the weights of the classes"),
        ({0: "a"}, "class_weight must have finite numbers >= 0"),
        ({0: True}, "class_weight must have finite numbers >= 0"),
        ({0: np.inf, 1: 1}, "class_weight must have finite numbers >= 0"),
        ({0: np.nan}, "class_weight must have finite numbers >= 0"),
        ({2: 1.0}, r"weights for \[2\], .* none for the class\(es\) \[0, 1\]"),
        ({1: 1.0, "1": 1.0}, r"weights for \['1'\], .* none for the class\(es\) \[0\]"),
    ],
    ids=str,
)
def test_class_weight(binary, forbid_training, class_weight, match):
    X, y = binary
    network = NNClassifier(class_weight=class_weight)
    forbid_training()
    assert_rejected(network, match, X, y)
    assert_rejected(network, match, X, y, method="partial_fit", classes=[0, 1])


def test_names_that_several_columns_have_choose_none(problem, forbid_training):
    X = pd.DataFrame(problem.X, columns=list("aabcd"))
    forbid_training()
    network = problem.cls(categorical_features=["a"])
    assert_rejected(network, "names .*'a'.*several columns.*positions", X, problem.y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (10**7, 10**7)},
        {"hidden_layer_sizes": (10**30,)},
        {"hidden_layer_sizes": (10**300, 10**300)},
        {"n_members": 10**12},
    ],
    ids=str,
)
def test_a_network_beyond_the_memory_is_refused(problem, forbid_training, parameters):
    forbid_training()
    match = r"would have \S+ parameters.* GiB.*hidden_layer_sizes=.*n_members="
    network = problem.cls(**parameters)
    assert_rejected(network, match, problem.X, problem.y)
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    assert_rejected(network, match, problem.X, problem.y, method="partial_fit", **classes)


def test_the_memory_is_that_of_the_machine(problem, monkeypatch):
    # The parameters, their gradient and the state of adam are four vectors of float64.
    network = problem.cls((3,), **QUICK).fit(problem.X, problem.y)
    needed = 4 * 8 * sum(array.size for array in [*network.coefs_, *network.intercepts_])
    monkeypatch.setattr(_building, "main_memory", lambda: needed)
    network.fit(problem.X, problem.y)
    monkeypatch.setattr(_building, "main_memory", lambda: needed - 1)
    assert_rejected(network, "Reduce hidden_layer_sizes", problem.X, problem.y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"dropout": 0.1},
        {"dropout": [0.0, 0.1], "hidden_layer_sizes": (3, 3)},
        {"learning_rate": "cosine"},
        {"learning_rate": Cosine()},
        {"learning_rate": "adaptive"},
    ],
    ids=str,
)
def test_options_that_lbfgs_cannot_honor(problem, forbid_training, parameters):
    network = problem.cls(solver="lbfgs", **parameters)
    forbid_training()
    name = next(iter(parameters))
    assert_rejected(network, f"(?s)lbfgs.*cannot use {name}", problem.X, problem.y)


# Arguments that must suit an earlier call.


@pytest.mark.parametrize("method", ["predict", "score", "fit", "partial_fit"])
def test_feature_names_and_number(problem, forbid_training, method):
    X, y = pd.DataFrame(problem.X, columns=list("abcde")), problem.y
    network = problem.cls((3,), warm_start=True, **QUICK).fit(X, y)
    forbid_training()
    args = () if method == "predict" else (y,)

    def call(X):
        before = joblib.hash(vars(network))
        with pytest.raises(ValueError) as error:
            getattr(network, method)(X, *args)
        assert joblib.hash(vars(network)) == before
        return str(error.value)

    assert "feature names should match" in call(X.rename(columns={"a": "z"}))
    assert "feature names should match" in call(X[list("edcba")])


@pytest.mark.parametrize("method", ["predict", "score", "fit", "partial_fit"])
def test_number_of_features(problem, forbid_training, method):
    network = problem.cls((3,), warm_start=True, **QUICK).fit(problem.X, problem.y)
    forbid_training()
    before = joblib.hash(vars(network))
    with pytest.raises(ValueError, match="X has 3 features, but .* is expecting 5 features"):
        getattr(network, method)(
            problem.X[:, :3], *(() if method == "predict" else [problem.y])
        )
    assert joblib.hash(vars(network)) == before


def test_feature_names_of_the_validation_rows(problem, forbid_training):
    X = pd.DataFrame(problem.X, columns=list("abcde"))
    forbid_training()
    renamed = X.rename(columns={"a": "z"})
    match = "feature names should match"
    assert_rejected(
        problem.cls(early_stopping="auto"), match, X, problem.y, X_val=renamed, y_val=problem.y
    )


def test_predict_needs_a_fit(problem):
    network = problem.cls()
    with pytest.raises(NotFittedError):
        network.predict(problem.X)
    for name in ["coefs_", "intercepts_", "loss_", "out_activation_", "validation_scores_"]:
        with pytest.raises((NotFittedError, AttributeError)):
            getattr(network, name)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_layer_sizes": (4,)},
        {"hidden_layer_sizes": (3, 3)},
        {"activation": "tanh"},
        {"dropout": 0.5},
        {"interaction_cst": "no_interactions"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_layers_that_changed(problem, forbid_training, method, change):
    network = problem.cls((3,), warm_start=True, **QUICK).fit(problem.X, problem.y)
    forbid_training()
    network.set_params(**change)
    name = next(iter(change))
    match = f"{name} is .*, but .* fitted network|{name} differs from|{name} has changed since"
    assert_rejected(network, match, problem.X, problem.y, method=method)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_classes_that_are_new(multiclass, multilabel, forbid_training, method):
    X, y = multiclass
    network = NNClassifier((3,), warm_start=True, **QUICK).fit(X, y)
    labels = NNClassifier((3,), warm_start=True, **QUICK).fit(*multilabel)
    forbid_training()
    new = np.where(y == "ash", "yew", y)
    match = "y has labels that are not among the classes .*: .*yew"
    assert_rejected(network, match, X, new, method=method)
    assert_rejected(labels, "y must have 3 columns", X, multilabel[1][:, :2], method=method)
    match = "y must have one class per row, as in training"
    assert_rejected(network, match, X, multilabel[1], method=method)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_outputs_that_are_new(multioutput, forbid_training, method):
    X, Y = multioutput
    network = NNRegressor((3,), warm_start=True, **QUICK).fit(X, Y)
    forbid_training()
    match = "must be 3, as in training, but y has 2"
    assert_rejected(network, match, X, Y[:, :2], method=method)


def test_classes_of_partial_fit(multiclass, forbid_training):
    X, y = multiclass
    fitted = NNClassifier((3,), random_state=0).partial_fit(X, y, classes=np.unique(y))
    forbid_training()
    match = "classes must be passed on the first call"
    assert_rejected(NNClassifier(), match, X, y, method="partial_fit")
    match = "y has labels that are not among the classes .*: .*cedar"
    classes = {"classes": ["ash", "beech"]}
    assert_rejected(NNClassifier(), match, X, y, method="partial_fit", **classes)
    assert_rejected(fitted, "differs from the classes", X, y, method="partial_fit", **classes)
