"""Tables of every kind in onnxruntime: missing text, names, and columns without values."""

import io
import pathlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx_sessions import session_of

from sknet import NNClassifier, NNRegressor
from sknet.data.columns.scores import NormalScores
from sknet.export import onnx_inputs, to_onnx

# Missing text, and text that is empty.

TEXTS = {
    "object, None": lambda values: pd.Series(values, dtype=object),
    "object, NaN": lambda values: pd.Series(with_missing(values, np.nan), dtype=object),
    "object, NA": lambda values: pd.Series(with_missing(values, pd.NA), dtype=object),
    "string": lambda values: pd.Series(values, dtype="string"),
    "string of NaN": lambda values: pd.Series(values, dtype="str"),
    "string of pyarrow": lambda values: pd.Series(values, dtype="string[pyarrow]"),
    "category": lambda values: pd.Series(values, dtype="category"),
    "category of string": lambda values: pd.Series(values, dtype="string").astype("category"),
    "polars string": lambda values: polars.Series(values, dtype=polars.String),
    "polars category": lambda values: polars.Series(values, dtype=polars.Categorical),
    "polars enum": lambda values: polars.Series(
        values, dtype=polars.Enum(sorted({one for one in values if one is not None}))
    ),
}


def with_missing(values, missing):
    return [missing if value is None else value for value in values]


def frame_of(**columns):
    """Return a frame of the library of its columns."""
    of_polars = any(isinstance(column, polars.Series) for column in columns.values())
    return (polars if of_polars else pd).DataFrame(columns)


@pytest.mark.parametrize("trained_with_missing", [False, True])
@pytest.mark.parametrize(
    "levels", [["", "a", "b"], ["", "missing", "missing1"], ["a", "b", "c"]]
)
@pytest.mark.parametrize("kind", TEXTS)
def test_missing_text_is_no_level(make, run, kind, levels, trained_with_missing):
    values = levels * 20 + [None] * 20 * trained_with_missing
    x = frame_of(
        text=TEXTS[kind](values), number=TEXTS[kind]([str(i % 2) for i in range(len(values))])
    )
    y = np.array([(*levels, None).index(value) for value in values], float)
    network = make(NNRegressor, learning_rate_init=0.1, max_iter=40).fit(x, y)
    rows = frame_of(text=TEXTS[kind]([*levels, None]), number=TEXTS[kind](["0", "1", "0", "1"]))
    expected = network.predict(rows)
    assert len(np.unique(np.round(expected, 6))) == 4
    for model in (to_onnx(network), to_onnx(network, x)):
        assert_allclose(run(model, rows)["variable"][:, 0], expected, rtol=0, atol=1e-9)


def test_arrays_with_empty_and_missing_text(make, run):
    X = np.array([[text, 1.0] for text in ["", "a", None] * 20], dtype=object)
    y = np.resize([0.0, 1.0, 2.0], 60)
    network = make(NNRegressor, categorical_features=[0], learning_rate_init=0.1)
    network.fit(X, y)
    assert_allclose(
        run(to_onnx(network, X), X)["variable"][:, 0], network.predict(X), rtol=0, atol=1e-9
    )


# The names of columns.

NAMES = {
    "empty": ["a", "", "b", "c"],
    "empty beside its replacement": ["x1", "", "x11", "x0"],
    "spaces": [" ", "  ", "a b", "\t\n"],
    "of operators": [f"sknet/constant_{i}" for i in range(4)],
    "of a later operator": ["sknet/Sub_2", "sknet/Cast_7", "sknet/Concat_11", "sknet/Mul_4"],
    "of outputs": ["variable", "variable1", "label", "probabilities"],
    "of the input of arrays": ["X", "x0", "x1", "y"],
    "unicode": ["größe", "価格", "🙂", "a\u0301"],
    "numbers": [0, 1, 2, 3],
    "numbers in another order": [3, 1, 0, 2],
    "floats": [0.5, 1.5, np.inf, -1.0],
    "pairs": [("a", 1), ("a", 2), ("b", 1), ("b", 2)],
    "properties": ["sknet.times", "sknet.renamed", "sknet.missing_text", "sknet.times/x"],
    "long": ["a" * 10_000, "b", "a" * 9_999, "c"],
}


def table(names, kinds):
    """Return 60 rows of four columns of these names: numbers, and text or dates if wanted."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 4)))
    if "text" in kinds:
        X[1] = rng.choice(["", "a", "b"], 60)
    if "date" in kinds:
        X[2] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, 60), unit="D")
    X.columns = pd.Index(names, tupleize_cols=False)
    return X


@pytest.mark.parametrize("kinds", ["numbers", "text", "date", "text, date"])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_names_of_columns(make, run, names, kinds):
    X = table(names, kinds)
    network = make(NNRegressor).fit(X, X.iloc[:, 0])
    expected = network.predict(X)
    for model in (to_onnx(network), to_onnx(network, X)):
        outputs = run(model, X)
        assert len(outputs) == 1
        assert_allclose(*outputs.values(), expected[:, np.newaxis], rtol=0, atol=1e-9)
        if isinstance(names[0], str):
            (answers,) = run(model, X.assign(more="text")[["more", *reversed(names)]]).values()
            assert_allclose(answers[:, 0], expected, rtol=0, atol=1e-9)


def test_a_frame_with_a_column_of_the_name_of_the_whole_input(make, run):
    X = table(["X", "a", "b", "c"], "numbers")
    network = make(NNRegressor).fit(X.to_numpy(), X["a"])
    outputs = run(to_onnx(network), X)
    expected = network.predict(X.to_numpy())
    assert_allclose(outputs["variable"][:, 0], expected, rtol=0, atol=1e-9)


def test_equal_names_are_refused(make):
    X = table(["a", "b", "a", "c"], "numbers")
    network = make(NNRegressor).fit(X.to_numpy(), X["b"])
    with pytest.raises(ValueError, match=r"Columns of X have the same name: \['a'\]"):
        to_onnx(network, X)


# Examples without values.

NULLABLE = {
    "Int64": pd.array([1, 2, None], "Int64"),
    "UInt8": pd.array([1, 2, None], "UInt8"),
    "Float32": pd.array([1.5, 2, None], "Float32"),
    "Float64": pd.array([1.5, 2, None], "Float64"),
    "boolean": pd.array([True, False, None], "boolean"),
    "string": pd.array(["a", "b", None], "string"),
    "str": pd.array(["a", "b", None], "str"),
    "string[pyarrow]": pd.array(["a", "b", None], "string[pyarrow]"),
    "int64[pyarrow]": pd.array([1, 2, None], "int64[pyarrow]"),
    "double[pyarrow]": pd.array([1.5, 2, None], "double[pyarrow]"),
    "bool[pyarrow]": pd.array([True, False, None], "bool[pyarrow]"),
    "category of text": pd.Categorical(["a", "b", None]),
    "category of numbers": pd.Categorical([1, 2, None]),
    "category of Int64": pd.Categorical(pd.array([1, 2, None], "Int64")),
    "object of text": np.array(["a", "b", None], object),
    "object of numbers": np.array([1, 2.5, None], object),
    "object of truth values": np.array([True, False, None], object),
    "float": np.array([1.5, 2, np.nan]),
    "datetime64": pd.array(["2024-01-01", "2024-03-05", None], "datetime64[ns]"),
    "datetime64 of a zone": pd.array(
        ["2024-01-01", "2024-03-05", None], "datetime64[ns, Europe/Oslo]"
    ),
    "timedelta64": pd.array([1, 2, None], "timedelta64[ns]"),
    "timestamp[pyarrow]": pd.array(
        [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-03-05"), None], "timestamp[us][pyarrow]"
    ),
}


@pytest.mark.parametrize(
    "empty", ["of the same dtype", "of NA", "of None", "of NaN", "no rows"]
)
@pytest.mark.parametrize("kind", NULLABLE)
def test_an_example_without_values(make, run, kind, empty):
    column = pd.Series(NULLABLE[kind])
    X = pd.DataFrame(
        {"x": np.linspace(0, 1, 60), "c": column.iloc[np.resize([0, 1, 2], 60)].array}
    )
    network = make(NNRegressor).fit(X, np.resize([0.0, 1.0, 5.0], 60))
    example = X[2:3]
    if empty == "no rows":
        example = X[:0]
    elif empty != "of the same dtype":
        value = {"of NA": pd.NA, "of None": None, "of NaN": np.nan}[empty]
        dtype = float if empty == "of NaN" else object
        example = example.assign(c=pd.Series([value], index=example.index, dtype=dtype))
    outputs = run(to_onnx(network, example), X)
    assert_allclose(outputs["variable"][:, 0], network.predict(X), rtol=0, atol=1e-9)
    # Rows without a value may have the dtype of the example, too, if predict can read it.
    if len(example) and empty != "of NA":
        outputs = run(to_onnx(network, X), example)
        assert_allclose(outputs["variable"][:, 0], network.predict(example), rtol=0, atol=1e-9)


# Other things than tables.


@pytest.mark.parametrize(
    "wrong, got",
    [
        ("m.onnx", "str"),
        (b"m.onnx", "bytes"),
        (pathlib.Path("m.onnx"), "Path"),
        (io.BytesIO(), "BytesIO"),
        (17, "int"),
        (17.5, "float"),
        (True, "bool"),
        ({"a": [1.0]}, "dict"),
        ({1.0}, "set"),
        (iter([[1.0]]), "list_iterator"),
        (NNRegressor, "the class NNRegressor itself"),
        (NNRegressor(), "NNRegressor"),
        ([1.0, 2.0], r"list of shape \(2,\)"),
        (["a", "b"], r"list of shape \(2,\)"),
        ([("X", object()), ("Y", object())], r"list of shape \(2, 2\)"),
        ([[[1.0]]], r"list of shape \(1, 1, 1\)"),
        (np.zeros(3), r"ndarray of shape \(3,\)"),
        (np.zeros((2, 2, 2)), r"ndarray of shape \(2, 2, 2\)"),
        (np.float64(1), "float64"),
        (pd.Series([1.0]), r"Series of shape \(1,\)"),
        (polars.Series([1.0]), r"Series of shape \(1,\)"),
    ],
)
def test_other_things_than_rows(make, wrong, got):
    X = np.random.default_rng(0).normal(size=(30, 2))
    network = make(NNRegressor).fit(X, X[:, 0])
    message = (
        rf"X must be rows like those of training, .* \(n_rows, 2\), got [A-Za-z]*{got}"
        r".*\. Pass the types.*initial_types.*write_bytes"
    )
    with pytest.raises((TypeError, ValueError), match=message):
        to_onnx(network, wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (np.zeros((2, 2), complex), "complex"),
        (np.zeros((2, 2), "M8[D]"), "dates"),
        (np.zeros((2, 2), bytes), "X holds bytes"),
        (np.zeros((2, 2), str), "text where training had numbers"),
        (polars.LazyFrame({"a": [1.0]}), "collect"),
        (np.zeros((2, 3)), "3 features"),
    ],
)
def test_rows_of_other_kinds(make, wrong, message):
    X = np.random.default_rng(0).normal(size=(30, 2))
    network = make(NNRegressor).fit(X, X[:, 0])
    with pytest.raises((TypeError, ValueError), match=message):
        to_onnx(network, wrong)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_span_orders_of_magnitude(make, run, dtype):
    rng = np.random.default_rng(0)
    X = 10 ** -rng.exponential(4, size=(500, 3))
    X[rng.random(500) < 0.2, 1] = 0
    X[rng.random(500) < 0.2, 2] = np.nan
    X = X.astype(dtype)
    network = make(NNRegressor, numeric_embedding="periodic").fit(X, np.log10(X[:, 0]))
    assert len(network._model.encoder.of_kind(NormalScores)[0].sources) == 3
    far = np.array([[0, 0, 1e-30], [-1e20, 1e30, 1e-300], [np.nan] * 3], dtype)
    for rows in (X, far, 3 * X):
        expected = network.predict(rows)
        found = run(to_onnx(network, rows), rows)["variable"].ravel()
        assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


# Rows of a service.


@pytest.fixture(scope="module")
def customers():
    """Nine columns, of which two are dates and three are categories."""
    rng = np.random.default_rng(0)
    n = 200
    seen = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 10**7, n), unit="s")
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n).astype(float),
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(10, 1, n)),
            "visits": rng.integers(0, 9, n),
            "score": rng.normal(size=n),
            "since": seen,
            "seen": seen[::-1].tz_localize("UTC").tz_convert("Europe/Oslo"),
            "city": rng.choice(["Bergen", "Oslo", None], n),
            "plan": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "shop": rng.choice([f"shop {i}" for i in range(30)], n),
        }
    )


@pytest.fixture(scope="module")
def classifier(customers):
    options = {"early_stopping": False, "learning_rate": "cosine", "random_state": 0}
    network = NNClassifier((8,), max_iter=3, **options)
    return network.fit(customers, customers["age"] > 50)


def test_a_dict_as_a_frame(classifier, customers, run):
    model = to_onnx(classifier, customers.astype({"visits": float}))
    for i in range(3):
        row = customers.iloc[i].to_dict()
        frame = pd.DataFrame([row])
        expected = classifier.predict_proba(customers[i : i + 1])
        assert_array_equal(classifier.predict_proba(frame), expected)
        assert_allclose(run(model, frame)["probabilities"], expected, rtol=0, atol=1e-5)


def test_a_dict_itself(classifier, customers):
    session = session_of(to_onnx(classifier, customers))
    with pytest.raises(
        TypeError, match=r"got dict\. For a row .* pandas\.DataFrame\(\[row\]\)"
    ):
        onnx_inputs(session, customers.iloc[0].to_dict())


@pytest.mark.parametrize(
    "column, value, advice",
    [
        ("since", "2024-01-01", r"dates in training.*'2024-01-01'.*pandas\.to_datetime"),
        ("since", "20240101", r"dates in training.*'20240101'.*pandas\.to_datetime"),
        ("since", "soon", r"dates in training.*'soon'"),
        ("age", "old", "numbers in training.*'old'"),
        ("age", "1.234", "numbers in training.*'1.234'"),
        ("age", [1.0, 2.0], "numbers in training"),
    ],
)
def test_text_in_place_of_numbers_or_dates(classifier, customers, column, value, advice):
    session = session_of(to_onnx(classifier, customers))
    rows = customers[:2].assign(**{column: pd.Series([value, None], dtype=object)})
    with pytest.raises(ValueError, match=f"Column '{column}' of X held {advice}"):
        onnx_inputs(session, rows)


def test_a_lazy_frame_is_refused(classifier, customers):
    session = session_of(to_onnx(classifier, customers))
    with pytest.raises(TypeError, match=r"X is a lazy LazyFrame.*collect\(\)"):
        onnx_inputs(session, polars.from_pandas(customers).lazy())


def test_columns_of_one_name_are_refused_if_they_are_needed(classifier, customers):
    session = session_of(to_onnx(classifier, customers))
    other = pd.DataFrame({"more": np.ones(len(customers))})
    twice = pd.concat([customers, other, other], axis=1)
    assert onnx_inputs(session, twice).keys() == onnx_inputs(session, customers).keys()
    with pytest.raises(ValueError, match=r"several columns named \['age'\]"):
        onnx_inputs(session, pd.concat([customers, customers[["age"]]], axis=1))


@pytest.mark.parametrize("shape", [[None, None], ["N", "M"], [None, 2]])
def test_one_input_of_columns_that_are_not_counted(shape):
    """As the models have that other programs write."""
    one = SimpleNamespace(name="X", type="tensor(double)", shape=shape)
    X = np.arange(6.0).reshape(3, 2)
    for table in (X, pd.DataFrame(X, columns=["X", "b"])):
        inputs = onnx_inputs(SimpleNamespace(get_inputs=lambda: [one]), table)
        assert_array_equal(inputs["X"], X)


def test_dates_for_an_input_of_text_of_another_program():
    one = SimpleNamespace(name="a", type="tensor(string)")
    X = pd.DataFrame({"a": pd.to_datetime(["2024-01-01"])})
    inputs = onnx_inputs(SimpleNamespace(get_inputs=lambda: [one]), X)
    assert inputs["a"].tolist() == [[""]]


@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_a_column_without_a_name_in_the_example_only(make, run):
    X = table(["a", "", "b", "c"], "numbers")
    network = make(NNRegressor).fit(X.to_numpy(), X["a"])
    outputs = run(to_onnx(network, X), X)
    expected = network.predict(X.to_numpy())
    assert_allclose(outputs["variable"][:, 0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("members", [1, 2])
def test_columns_of_two_values(make, run, members):
    """With bins, they pass the embedding unchanged, and lie between columns that do not."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X[:, 1], X[:, 3] = X[:, 0] > 0, X[:, 2] > 1
    network = make(NNRegressor, n_members=members, n_components=3, max_iter=3)
    network.set_params(numeric_embedding="piecewise_linear").fit(X, X[:, 0] * X[:, 1])
    found = run(to_onnx(network, X), X[:20])["variable"][:, 0]
    assert_allclose(found, network.predict(X[:20]), atol=1e-5)
