"""The estimators on data frames with numbers, strings, categories and missing values."""

import copy
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sknet.nn.columns import Columns, Embedding, PrincipalComponents
from sknet.nn.embeddings import MappedPiecewiseLinear, Periodic
from sknet.nn.network import Workspace

SHORT = {"max_iter": 5, "learning_rate": "cosine", "random_state": 0}
#: Enough to learn the tables of this file.
LONG = {
    "max_iter": 60,
    "learning_rate": "cosine",
    "learning_rate_init": 0.02,
    "batch_size": 25,
    "random_state": 0,
}
TREES = ["ash", "beech", "yew"]


def make_columns(n_rows=160, seed=0):
    """Columns of a table, as lists, and the number that they determine."""
    rng = np.random.default_rng(seed)
    height, age = rng.normal(size=n_rows), rng.gamma(2, 20, n_rows)
    tree, shop = rng.choice(TREES, n_rows), rng.integers(25, size=n_rows)
    y = height + 2 * (tree == "yew") + (shop % 2) + 0.1 * rng.normal(size=n_rows)
    holes = rng.random((3, n_rows)) < 0.1

    def pierced(values, hole):
        return [None if h else value for value, h in zip(values, hole, strict=True)]

    return {
        "height": pierced(height.tolist(), holes[0]),
        "tree": pierced(tree.tolist(), holes[1]),
        "age": age.tolist(),
        "shop": pierced([f"shop {s}" for s in shop], holes[2]),
        "old": (age > 40).tolist(),
        "count": rng.integers(0, 9, n_rows).tolist(),
    }, y


def to_frame(columns, kind):
    if kind == "polars":
        return pl.DataFrame(columns)
    X = pd.DataFrame(columns)
    X["height"] = X["height"].astype(float)
    text = ["tree", "shop"]
    return X.astype(dict.fromkeys(text, {"category": "category", "object": object}[kind]))


@pytest.fixture
def table():
    columns, y = make_columns()
    return to_frame(columns, "category"), y


def outputs(network, X):
    return network.predict_proba(X) if hasattr(network, "classes_") else network.predict(X)


ESTIMATORS = pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])


def target(cls, y):
    return (y > np.median(y)).astype(int) if cls is NNClassifier else y


# Frames of every kind.


@ESTIMATORS
@pytest.mark.parametrize("kind", ["category", "object", "polars"])
def test_raw_frames_are_learned(cls, kind):
    columns, y = make_columns(300)
    X, y = to_frame(columns, kind), target(cls, y)
    network = cls((16,), **LONG).fit(X, y)
    assert network.score(X, y) > 0.85
    assert network.n_features_in_ == 6
    assert list(network.feature_names_in_) == list(columns)
    # Without the categories the score is lower.
    assert network.score(X, y) > cls((16,), categorical_features=[], **LONG).fit(
        X[["height", "age", "count"]], y
    ).score(X[["height", "age", "count"]], y)


@ESTIMATORS
def test_all_kinds_of_frames_give_the_same(cls):
    columns, y = make_columns()
    y = target(cls, y)
    results = []
    for kind in ("category", "object", "polars"):
        X = to_frame(columns, kind)
        network = cls((8,), **SHORT).fit(X, y)
        results.append(outputs(network, X))
        assert np.isfinite(results[-1]).all()
    assert_array_equal(results[0], results[1])
    assert_array_equal(results[0], results[2])


def test_frames_may_change_their_kind_after_the_fit(table):
    X, y = table
    network = NNRegressor((8,), **SHORT).fit(X, y)
    columns, _ = make_columns()
    for kind in ("object", "polars"):
        assert_array_equal(network.predict(to_frame(columns, kind)), network.predict(X))


def test_the_order_of_levels_and_unused_ones_do_not_matter(table):
    X, y = table
    other = X.assign(
        tree=X["tree"].cat.set_categories(["oak", "yew", "beech", "ash"]),
        shop=X["shop"].cat.reorder_categories(X["shop"].cat.categories[::-1]),
    )
    one, two = (NNRegressor((8,), **SHORT).fit(frame, y) for frame in (X, other))
    assert_array_equal(one.predict(X), two.predict(other))
    assert_array_equal(one.predict(other), two.predict(X))


def test_numbers_and_frames_of_numbers_are_the_same(regression):
    X, y = regression
    frame = pd.DataFrame(X, columns=list("abcde"))
    expected = NNRegressor((8,), **SHORT).fit(X, y).predict(X)
    assert_array_equal(NNRegressor((8,), **SHORT).fit(frame, y).predict(frame), expected)
    assert_array_equal(
        NNRegressor((8,), **SHORT).fit(pl.DataFrame(frame.to_dict("list")), y).predict(frame),
        expected,
    )


BOOLEANS, LARGE = [True, False] * 20, [2**60, 2**60 + 1] * 20


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (pd.Series(BOOLEANS, dtype="boolean").to_frame(), [False, True]),
        (pd.Series(BOOLEANS).astype("category"), [False, True]),
        (pd.Series(LARGE, dtype="Int64").to_frame(), LARGE[:2]),
    ],
    ids=["nullable frame", "category", "nullable integers"],
)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_labels_keep_their_type(y, classes):
    X = np.arange(40.0)[:, np.newaxis] % 2
    network = NNClassifier((8,), **SHORT).fit(X, y)
    assert network.classes_.tolist() == classes
    assert network.classes_.dtype == network.predict(X).dtype == np.array(classes).dtype


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_nullable_numbers(dtype):
    rng = np.random.default_rng(0)
    values = rng.integers(2, size=100).astype(float)
    values[::9] = np.nan
    plain = pd.DataFrame({"x": values, "tree": rng.choice(TREES, 100)})
    nullable = plain.assign(x=pd.array([None if np.isnan(v) else v for v in values], dtype))
    assert nullable["x"].isna().sum() == plain["x"].isna().sum() > 0
    y = np.nan_to_num(values)
    one, other = (NNRegressor((8,), **SHORT).fit(X, y) for X in (plain, nullable))
    assert_array_equal(one.predict(plain), other.predict(nullable))


@pytest.mark.parametrize("with_text", [False, True])
def test_pandas_own_missing_value_among_objects(with_text):
    """A single row of nullable columns is a row of objects."""
    X = pd.DataFrame(
        {
            "n": pd.array([1, None, 3] * 20, "Int64"),
            "b": pd.array([True, None, False] * 20, "boolean"),
        }
    )
    X = X.assign(tree=["oak", "elm"] * 30) if with_text else X
    network = NNRegressor((8,), **SHORT).fit(X, np.arange(60.0))
    expected = network.predict(X)
    assert_array_equal(network.predict(X.astype(object)), expected)
    assert_array_equal(network.predict(X.iloc[1].to_frame().T), expected[1:2])


@pytest.mark.parametrize("dtype", ["string", "object"])
def test_pandas_own_missing_value_in_text(dtype):
    columns, y = make_columns()
    X = to_frame(columns, "object")
    other = X.copy()
    for name in ("tree", "shop"):
        values = [pd.NA if value is None else value for value in columns[name]]
        other[name] = pd.Series(values, dtype=dtype)
    network = NNRegressor((8,), **SHORT).fit(X, y)
    assert_array_equal(
        NNRegressor((8,), **SHORT).fit(other, y).predict(other), network.predict(X)
    )


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist])
def test_pandas_own_missing_value_in_an_array(make):
    X = np.random.default_rng(0).normal(size=(60, 2)).astype(object)
    X[::3, 1] = pd.NA
    network = NNRegressor((8,), **SHORT).fit(make(X), X[:, 0])
    expected = network.predict(np.where(pd.isna(X), np.nan, X).astype(float))
    assert_array_equal(network.predict(make(X)), expected)
    assert X[0, 1] is pd.NA


def test_labels_of_variable_length():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(X[:, 0] > 0, "a", "long name")
    network = NNClassifier((8,), **SHORT)
    expected = network.fit(X, y).predict(X)
    assert_array_equal(network.fit(X, y.astype(np.dtypes.StringDType())).predict(X), expected)


def test_float32_frames():
    columns, y = make_columns()
    X = to_frame(columns, "category").astype({"height": "float32", "age": "float32"})
    network = NNRegressor((8,), **SHORT).fit(X, y)
    assert np.isfinite(network.predict(X)).all()
    plain = X[["height", "age"]]
    assert NNRegressor((8,), **SHORT).fit(plain, y).predict(plain).dtype == np.float32


def test_nothing_is_written_into_the_frame(table):
    X, y = table
    before = X.copy(deep=True)
    NNRegressor((8,), **SHORT).fit(X, y).predict(X)
    pd.testing.assert_frame_equal(X, before)


# Columns.


@ESTIMATORS
@pytest.mark.parametrize("kind", ["category", "polars"])
def test_shuffled_or_missing_columns(cls, kind, forbid_training):
    columns, y = make_columns()
    X, y = to_frame(columns, kind), target(cls, y)
    network = cls((8,), **SHORT).fit(X, y)
    forbid_training()
    names = list(columns)
    for wrong in (names[::-1], names[:-1], names[1:]):
        with pytest.raises(ValueError, match="feature names should match"):
            network.predict(X[wrong])
        with pytest.raises(ValueError, match="feature names should match"):
            cls((8,), early_stopping="auto", **SHORT).fit(X, y, X_val=X[wrong], y_val=y)


def test_arrays_after_a_frame_warn_once(table):
    X, y = table
    network = NNRegressor((8,), **SHORT).fit(X, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names") as record:
        predicted = network.predict(X.to_numpy())
    assert_array_equal(predicted, network.predict(X))
    assert ["NNRegressor was fitted" in str(one.message) for one in record] == [True]


@pytest.mark.filterwarnings("ignore:Column .* of X has no level")
@ESTIMATORS
def test_an_unseen_category_predicts_as_a_missing_one(cls, table):
    X, y = table
    network = cls((8,), **SHORT).fit(X, target(cls, y))
    unseen, missing = X.copy(), X.copy()
    for name in ("tree", "shop"):
        unseen[name] = pd.Categorical(["unseen"] * len(X))
        missing[name] = pd.Categorical([None] * len(X), categories=["ash"])
    assert np.isfinite(outputs(network, unseen)).all()
    assert_array_equal(outputs(network, unseen), outputs(network, missing))
    assert np.abs(outputs(network, unseen) - outputs(network, X)).max() > 1e-6


def test_one_row_whose_category_is_missing(table):
    # pandas makes such a column one of floats.
    X, y = table
    network = NNRegressor((8,), **SHORT).fit(X, y)
    row = {"height": 1.0, "tree": "ash", "age": 3.0, "shop": np.nan, "old": True, "count": 1}
    one = pd.DataFrame([row])
    assert one["shop"].dtype == float
    other = one.astype({"shop": object})
    assert_array_equal(network.predict(one), network.predict(other))


@pytest.mark.parametrize("n_known", [0, 1])
@pytest.mark.parametrize("n_rows", [19, 20])
def test_a_category_without_any_known_level_is_said(n_known, n_rows):
    """Integers that became floats before they became text have other levels."""
    numbers = pd.Series(np.arange(60) % 3 + 1)
    network = NNRegressor((4,), **SHORT).fit(
        pd.DataFrame({"shop": numbers.astype(str)}), numbers
    )
    network.predict(pd.DataFrame({"shop": ["a new one"] * 30}))  # A warning would be an error.
    text = numbers.astype(float).astype(str)[: n_rows + 5]
    text[:5] = None
    text[5 : 5 + n_known] = "1"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network.predict(pd.DataFrame({"shop": text}))
    expected = n_rows == 20 and not n_known
    assert len(caught) == expected
    if expected:
        match = r"Column 'shop' of X has no level .*\['1', '2'\]. Its .*\['[123].0', .*spelling"
        assert re.search(match, str(caught[0].message))


def test_an_unknown_level_of_an_embedding_is_the_mean_vector():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"shop": rng.permutation(np.repeat([f"s{i:02}" for i in range(20)], 10))})
    y = X["shop"].str[1:].astype(float).to_numpy()
    network = NNRegressor((), standardize=False, **LONG).fit(X, y)
    levels = pd.DataFrame({"shop": [f"s{i:02}" for i in range(20)]})
    predicted = network.predict(pd.DataFrame({"shop": ["none of them"]}))
    # Without hidden layers the prediction is linear in the vector of the level.
    assert predicted[0] == pytest.approx(network.predict(levels).mean(), rel=1e-5)


@ESTIMATORS
@pytest.mark.parametrize("numbers", [1, 2.5, pd.Categorical([3] * 160)], ids=str)
def test_a_category_that_became_numeric(cls, table, numbers, forbid_training):
    X, y = table
    network = cls((8,), early_stopping="auto", **SHORT).fit(X, target(cls, y))
    forbid_training()
    with pytest.raises(ValueError, match="'tree' is a category .* text .* numbers now"):
        network.predict(X.assign(tree=numbers))
    with pytest.raises(ValueError, match="'tree' is a category .* text .* numbers now"):
        network.fit(X, target(cls, y), X_val=X.assign(tree=numbers), y_val=target(cls, y))


@ESTIMATORS
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["category", "polars"])
def test_infinity_is_an_error(cls, bad, kind, forbid_training):
    columns, y = make_columns()
    good, y = to_frame(columns, kind), target(cls, y)
    network = cls((8,), **SHORT).fit(good, y)
    columns["age"][5] = bad
    forbid_training()
    for method in (network.predict, lambda X: network.fit(X, y)):
        with pytest.raises(ValueError, match="infinity"):
            method(to_frame(columns, kind))


@pytest.mark.parametrize(
    "categorical_features, match",
    [
        (["tree", "weather"], r"names \['weather'\]"),
        ([6], r"from 0 to 5, got"),
        ([-1], r"from 0 to 5, got"),
        ([True] * 5, r"mask must have one entry for each of the 6"),
        ("tree", "categorical_features"),
        (3, "categorical_features"),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_categories_that_do_not_exist(
    table, categorical_features, match, method, forbid_training
):
    X, y = table
    forbid_training()
    with pytest.raises(ValueError, match=match):
        getattr(NNRegressor(categorical_features=categorical_features), method)(X, y)


def test_sparse_rows_have_no_categories(regression, forbid_training):
    X, y = regression
    forbid_training()
    with pytest.raises(ValueError, match="categorical_features cannot be used with sparse X"):
        NNRegressor(categorical_features=[0]).fit(sparse.csr_matrix(X), y)


def test_text_that_is_no_category(table, forbid_training):
    X, y = table
    forbid_training()
    for network in (NNRegressor(categorical_features=["shop"]),
                    NNRegressor(categorical_features=None)):  # fmt: skip
        with pytest.raises(ValueError, match="(?i)convert string|cast (str|object)"):
            network.fit(X, y)


@pytest.mark.parametrize(
    "categorical_features",
    [["tree", "shop"], ["shop", "tree"], [1, 3], [3, 1], np.array([1, 3]),
     [False, True, False, True, False, False]],
    ids=str,
)  # fmt: skip
def test_ways_to_name_categories(table, categorical_features):
    X, y = table
    expected = NNRegressor((8,), **SHORT).fit(X, y).predict(X)
    network = NNRegressor((8,), categorical_features=categorical_features, **SHORT)
    assert_array_equal(network.fit(X, y).predict(X), expected)


@pytest.mark.parametrize("none", [None, [], [False] * 5], ids=str)
def test_no_categories(regression, none):
    X, y = regression
    network = NNRegressor((8,), categorical_features=none, **SHORT).fit(X, y)
    assert_array_equal(network.predict(X), NNRegressor((8,), **SHORT).fit(X, y).predict(X))


@pytest.mark.parametrize("to", [np.asarray, np.ndarray.tolist], ids=["array", "list"])
@pytest.mark.parametrize("wanted", [[1], [False, True, False]], ids=str)
def test_categories_of_arrays(to, wanted):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=100), rng.integers(5, size=100), rng.normal(size=100)])
    y = np.array([3.0, -1, 4, -1, 5])[X[:, 1].astype(int)]
    network = NNRegressor((), categorical_features=wanted, **LONG).fit(to(X), y)
    # A level has a weight of its own: no line through the numbers would do.
    assert network.score(to(X), y) > 0.95
    assert NNRegressor((), **LONG).fit(X, y).score(X, y) < 0.5
    assert network.coefs_[0].shape == (2 + 5, 1)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(int).astype(str), "c": X[:, 2]})
    other = NNRegressor((), **LONG).fit(frame, y)
    assert_allclose(other.predict(frame), network.predict(to(X)))


def test_an_object_array_is_cast_to_numbers(regression, forbid_training):
    X, y = regression
    network = NNRegressor((8,), **SHORT).fit(X.astype(object), y)
    assert_array_equal(
        network.predict(X.astype(object)), NNRegressor((8,), **SHORT).fit(X, y).predict(X)
    )
    X = X.astype(object)
    X[3, 2] = "three"
    forbid_training()
    with pytest.raises(ValueError, match="could not convert string to float"):
        NNRegressor((8,)).fit(X, y)


# Names and shapes of what is encoded.


def test_encoded_names(table):
    X, y = table
    network = NNRegressor((8,), **SHORT).fit(X, y)
    assert list(network.encoded_feature_names_) == [
        "height", "age", "old", "count", "height_missing",
        "tree_ash", "tree_beech", "tree_yew", "tree_other",
        *(f"shop_{i}" for i in range(8)),
    ]  # fmt: skip
    assert network.coefs_[0].shape == (len(network.encoded_feature_names_), 8)


@pytest.mark.parametrize("numeric_embedding", [None, "periodic", "piecewise_linear"])
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("sizes", [(), (8,)], ids=str)
@pytest.mark.parametrize("columns", [["height", "age"], ["tree", "shop"], None], ids=str)
def test_names_match_the_first_layer(table, numeric_embedding, n_members, sizes, columns):
    X, y = table
    X = X if columns is None else X[columns]
    network = NNRegressor(
        sizes, numeric_embedding=numeric_embedding, n_members=n_members, **SHORT
    ).fit(X, y)
    names = network.encoded_feature_names_
    assert len(names) == len(set(names)) == network.coefs_[0].shape[0]
    assert np.isfinite(network.predict(X)).all()
    # Each encoded name begins with the name of a column, but for those of components.
    starts = (*X.columns, "component")
    assert all(name.startswith(starts) for name in names)


def test_names_of_arrays(regression):
    X, y = regression
    X = X.copy()
    X[::6, 2] = np.nan
    network = NNRegressor((4,), **SHORT).fit(X, y)
    expected = ["x0", "x1", "x2", "x3", "x4", "x2_missing"]
    assert list(network.encoded_feature_names_) == expected


def test_encoded_names_differ_whatever_columns_are_called():
    """Columns keep their names, and encodings that would have the same get a number."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        rng.normal(size=(200, 4)), columns=["a", "component0", "a_missing", "b_c_2"]
    )
    X.loc[::5, "a"] = np.nan
    X["b_c"] = rng.normal(size=200)
    X["b"] = rng.choice(["c", "d"], 200)
    X["when"] = pd.date_range("2024-01-01", periods=200, freq="h")
    X["when_day_sin"] = rng.normal(size=200)
    X["component0"] += X["b_c_2"]  # Columns without correlation have no components.
    network = NNRegressor((4,), numeric_embedding=None, n_components=2, max_iter=1)
    network.set_params(n_iter_no_change=np.inf, learning_rate="cosine").fit(X, X["b_c"])
    names = network.encoded_feature_names_.tolist()
    assert names == [
        *("a", "component0", "a_missing", "b_c_2", "b_c", "when_day_sin", "when"),
        *("when_day_sin_2", "when_day_cos", "when_week_sin", "when_week_cos"),
        *("a_missing_2", "b_c_3", "b_d", "component0_2", "component1"),
    ]
    assert network.coefs_[0].shape[0] == len(names)


@ESTIMATORS
@pytest.mark.parametrize(
    "name, layer", [("periodic", Periodic), ("piecewise_linear", MappedPiecewiseLinear)]
)
def test_numeric_embeddings_see_what_a_line_cannot(cls, name, layer):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 2))
    y = target(cls, np.abs(X[:, 0]) + (np.abs(X[:, 1]) < 0.3))
    network = cls((), numeric_embedding=name, **LONG).fit(X, y)
    plain = cls((), **LONG).fit(X, y)
    assert network.score(X, y) > plain.score(X, y) + 0.2
    front = network._model.network.layers[0]
    assert isinstance(front, Columns) and isinstance(front.parts[0][1], layer)
    if name == "piecewise_linear":
        assert front.parts[0][1].n_features == 13  # 30 of the 400 rows to a bin


@pytest.mark.parametrize("members", [1, 2])
def test_bins_leave_columns_of_two_values_alone(members):
    """A flag has one input, and the components are those of all numeric columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    X[:, 1], X[:, 3] = X[:, 0] + X[:, 2] > 0, rng.random(300) < 0.01
    X[:5, 1] = np.nan
    y = X[:, 0] * (X[:, 1] == 1) + X[:, 3]
    options = {"n_components": 2, "share_weights": False, "n_members": members}
    network = NNRegressor((8,), numeric_embedding="piecewise_linear", **options, **SHORT)
    network.fit(X, y)
    assert network.coefs_[0].shape[-2] == 3 * 16 + 2 + 1 + 2
    encoder, layers = network._model.encoder, network._model.network.layers
    components = next(layer for layer in layers if isinstance(layer, PrincipalComponents))
    encoded = network._model.encode(X[:20])
    workspace = Workspace(network._model.network, 20, encoded.dtype)
    network._model.network.forward(network._model.params, encoded, workspace)
    before = workspace.outputs[layers.index(components) - 1]
    assert_array_equal(before[:, components.columns], encoded[:, : encoder.n_numeric_])


def test_embeddings_of_numbers_and_categories_stand_side_by_side(table):
    X, y = table
    network = NNRegressor((8,), numeric_embedding="periodic", **SHORT).fit(X, y)
    parts = [(len(own), type(layer)) for own, layer in network._model.network.layers[0].parts]
    # The numbers; an indicator and the trees' levels; the shops.
    assert parts == [(4, Periodic), (1 + 4, type(None)), (1, Embedding)]


@pytest.mark.parametrize("name", ["periodic", "piecewise_linear"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_numeric_embeddings_need_dense_rows(regression, name, method, forbid_training):
    X, y = regression
    network = NNRegressor(numeric_embedding=name)
    forbid_training()
    with pytest.raises(
        ValueError, match=f"numeric_embedding='{name}' cannot be used with sparse X"
    ):
        getattr(network, method)(sparse.csr_matrix(X), y)


# Missing numbers.


@ESTIMATORS
@pytest.mark.parametrize("standardize", [False, True])
def test_that_a_value_is_missing_can_be_learned(cls, standardize):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    missing = rng.random(300) < 0.3
    X[missing, 0] = np.nan
    y = target(cls, 3.0 * missing + 0.1 * X[:, 1])
    network = cls((), standardize=standardize, **LONG).fit(X, y)
    assert network.score(X, y) > 0.65
    filled = np.nan_to_num(X)
    assert cls((), standardize=standardize, **LONG).fit(filled, y).score(filled, y) < (
        network.score(X, y) - 0.05
    )


def test_missing_values_where_training_had_none_are_medians(regression):
    X, y = regression
    X = X[:119]  # an odd number of rows has a row in its middle
    network = NNRegressor((8,), **SHORT).fit(X, y[:119])
    holes, filled = X.copy(), X.copy()
    holes[:, 1], filled[:, 1] = np.nan, np.median(X[:, 1])
    assert_allclose(network.predict(holes), network.predict(filled), rtol=1e-10)


@pytest.mark.parametrize("dtype", [bool, np.int8])
def test_sparse_dummies_of_a_frame(dtype):
    levels = pd.Series(np.random.default_rng(0).choice(list("abc"), 120))
    X = pd.get_dummies(levels, sparse=True, dtype=dtype)
    y = (levels == "b").to_numpy(float)
    # Some versions of scikit-learn make them dense, which trains another network.
    predicted = NNRegressor((8,), **LONG).fit(X, y).predict(X)
    assert predicted[y == 1].min() > predicted[y == 0].max()


@pytest.mark.parametrize("other", ["numbers", "text"])
def test_sparse_columns_beside_others_are_read_as_dense_ones(other):
    """scikit-learn would warn of them beside numbers, and refuses them beside text."""
    levels = pd.Series(np.random.default_rng(0).choice(list("abc"), 60))
    beside = np.arange(60) % 7 if other == "numbers" else levels
    sparse_X, X = (pd.get_dummies(levels, sparse=one).assign(z=beside) for one in (True, False))
    y = (levels == "b").to_numpy(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = NNRegressor((8,), **SHORT).fit(sparse_X, y)
        assert_array_equal(network.predict(sparse_X), network.predict(X))


def test_missing_values_in_sparse_rows_are_an_error(regression, forbid_training):
    X, y = regression
    X = sparse.csr_matrix(X)
    X.data[7] = np.nan
    forbid_training()
    with pytest.raises(ValueError, match="NaN"):
        NNRegressor().fit(X, y)


def test_dense_rows_with_holes_after_a_sparse_fit(regression):
    X, y = regression
    X = np.where(np.abs(X) < 0.7, 0, X)
    network = NNRegressor((8,), **SHORT).fit(sparse.csr_matrix(X), y)
    assert_allclose(network.predict(X), network.predict(sparse.csr_matrix(X)))
    holes = np.where(X == 0, np.nan, X)
    assert_allclose(network.predict(holes), network.predict(X))


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_sparse_one_hot_columns_equal_categories(cls):
    columns, y = make_columns()
    X = pd.DataFrame({"tree": columns["tree"]}).fillna("none")
    y = target(cls, y)
    # A category's columns are not scaled, nor are they here.
    encode = OneHotEncoder(categories=[["ash", "beech", "none", "yew"]])
    ours, theirs = (
        cls((8,), **{**SHORT, "standardize": False}),
        make_pipeline(encode, cls((8,), **{**SHORT, "standardize": False})),
    )
    assert_allclose(outputs(ours.fit(X, y), X), outputs_of(theirs.fit(X, y), X), rtol=1e-6)


def outputs_of(pipeline, X):
    return outputs(pipeline[-1], pipeline[:-1].transform(X))


# The ecosystem.


@ESTIMATORS
@pytest.mark.parametrize("scoring", ["loss", None, "scorer"])
def test_early_stopping_on_frames(cls, table, scoring):
    X, y = table
    y = target(cls, y)
    if scoring == "scorer":
        scoring = "accuracy" if cls is NNClassifier else "r2"
    options = {**SHORT, "max_iter": 15, "scoring": scoring}
    network = cls((8,), early_stopping=True, **options).fit(X, y)
    assert len(network.validation_scores_) == network.n_iter_
    network = cls((8,), early_stopping="auto", **options)
    network.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    best = network.best_validation_score_
    if scoring != "loss":
        assert best == pytest.approx(network.score(X[100:], y[100:]))
    assert best == max(network.validation_scores_)
    # Scoring on the validation rows has left the names of the columns in place.
    assert list(network.feature_names_in_) == list(X.columns)
    assert np.isfinite(outputs(network, X)).all()


@pytest.mark.parametrize("kind", ["category", "object", "polars"])
def test_validation_rows_are_a_frame_of_any_kind(kind):
    columns, y = make_columns()
    held_out = to_frame(columns, kind)
    X = to_frame(columns, "category")
    network = NNRegressor((8,), early_stopping="auto", **SHORT).fit(
        X, y, X_val=held_out, y_val=y
    )
    expected = NNRegressor((8,), early_stopping="auto", **SHORT).fit(X, y, X_val=X, y_val=y)
    assert network.history_["validation_loss"] == expected.history_["validation_loss"]


@ESTIMATORS
def test_searches_and_cross_validation(cls, table):
    X, y = table
    y = target(cls, y)
    scores = cross_val_score(cls((8,), **SHORT), X, y, cv=3)
    assert np.isfinite(scores).all()
    search = GridSearchCV(
        cls((8,), **SHORT),
        {
            "numeric_embedding": [None, "piecewise_linear"],
            "categorical_features": ["from_dtype", ["tree", "shop"]],
        },
        cv=2,
    ).fit(X, y)
    # The two ways to name categories say the same, the two embeddings do not.
    by_dtype, by_name = search.cv_results_["split0_test_score"].reshape(2, 2)
    assert_array_equal(by_dtype, by_name)
    if cls is NNRegressor:
        assert by_dtype[0] != by_dtype[1]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(outputs(search.best_estimator_, X)).all()


def test_pipelines_that_keep_frames(table):
    X, y = table
    pipeline = make_pipeline(FunctionTransformer(), NNRegressor((8,), **SHORT))
    assert_array_equal(
        pipeline.fit(X, y).predict(X), NNRegressor((8,), **SHORT).fit(X, y).predict(X)
    )
    selecting = make_pipeline(
        make_column_transformer(
            ("passthrough", make_column_selector(dtype_include=["category"])),
            verbose_feature_names_out=False,
        ).set_output(transform="pandas"),
        NNRegressor((8,), **SHORT),
    )
    assert selecting.fit(X, y)[-1].encoded_feature_names_[0] == "tree_ash"


def test_permutation_importance_of_categories():
    columns, y = make_columns(300)
    X = to_frame(columns, "category")
    network = NNRegressor((16,), **LONG).fit(X, y)
    result = permutation_importance(network, X, y, n_repeats=2, random_state=0)
    importance = dict(zip(X.columns, result.importances_mean, strict=True))
    assert min(importance[name] for name in ("height", "tree", "shop")) > 2 * max(
        importance[name] for name in ("age", "count", "old")
    )


@ESTIMATORS
@pytest.mark.parametrize("kind", ["category", "object", "polars"])
def test_copies(cls, kind):
    columns, y = make_columns()
    X, y = to_frame(columns, kind), target(cls, y)
    network = cls((8,), **SHORT).fit(X, y)
    expected = outputs(network, X)
    for again in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert_array_equal(outputs(again, X), expected)
        assert list(again.encoded_feature_names_) == list(network.encoded_feature_names_)
    assert_array_equal(outputs(clone(network).fit(X, y), X), expected)


@pytest.mark.filterwarnings("ignore:Column .* of X has no level")
def test_warm_start_keeps_the_levels(table):
    X, y = table
    network = NNRegressor((8,), warm_start=True, **SHORT).fit(X, y)
    names = list(network.encoded_feature_names_)
    network.fit(X.assign(tree="oak"), y)
    assert list(network.encoded_feature_names_) == names
    with pytest.raises(ValueError, match="numbers now"):
        network.fit(X.assign(tree=1), y)


def test_a_new_fit_learns_new_columns(table):
    X, y = table
    network = NNRegressor((8,), **SHORT).fit(X, y)
    network.fit(X[["age", "tree"]], y)
    assert network.n_features_in_ == 2
    network.fit(X[["age"]].to_numpy(), y)
    assert list(network.encoded_feature_names_) == ["x0"]
    assert np.isfinite(network.predict(X[["age"]].to_numpy())).all()


def test_lbfgs_and_members_on_frames(table):
    X, y = table
    network = NNRegressor(
        (8,), "tanh", solver="lbfgs", early_stopping=True, max_iter=2000, random_state=0
    )
    assert np.isfinite(network.fit(X, y).predict(X)).all()
    network = NNRegressor((8,), n_members=3, mixup=0.2, input_noise=0.1, **SHORT).fit(X, y)
    predicted, std = network.predict(X, return_std=True)
    assert np.isfinite(predicted).all() and (std > 0).all()


# Tables that look like real ones.


def spoil(X, seed=0):
    """Return a frame whose first two columns are cut into words, and that has holes."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(np.asarray(X)).rename(columns=lambda i: f"c{i}")
    words = np.array(["low", "medium", "high", "extreme"])
    for name, kind in (("c0", "category"), ("c1", object)):
        cuts = np.quantile(X[name], [0.25, 0.5, 0.9])
        X[name] = pd.Series(words[np.digitize(X[name], cuts)]).astype(kind)
    return X.mask(rng.random(X.shape) < 0.05)


@pytest.mark.parametrize("kind", ["iris", "classification", "diabetes"])
def test_data_sets_with_words_and_holes(kind):
    options = {**LONG, "alpha": 1e-2, "learning_rate_init": 0.01, "max_iter": 30}
    cls, linear = NNClassifier, LogisticRegression()
    if kind == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        cls, linear = NNRegressor, Ridge()
    elif kind == "iris":
        X, y = load_iris(return_X_y=True)
        y = np.array(["setosa", "versicolor", "virginica"])[y]
    else:
        X, y = make_classification(600, 8, n_informative=6, class_sep=2, random_state=0)
    X = spoil(X)
    assert X.isna().any().all()
    # The peer needs a pipeline for the categories and the missing values.
    words = OneHotEncoder(handle_unknown="ignore"), ["c0", "c1"]
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    peer = make_pipeline(make_column_transformer(words, remainder=numbers), linear)
    ours, theirs = (
        cross_val_score(one, X, y, cv=3).mean() for one in (cls((32,), **options), peer)
    )
    assert ours > theirs - 0.06


def make_real_table(seed):
    """Return a frame with every kind of column that real tables have."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(60, 400))
    words = [f"w{i}" for i in range(n)]
    hole = rng.random((n, 14)) < rng.choice([0.0, 0.05, 0.5])
    heavy = rng.standard_cauchy(n) * 10.0 ** rng.integers(-8, 12)
    X = pd.DataFrame(
        {
            "normal": rng.normal(size=n),
            "heavy": heavy,
            "integers": rng.integers(-5, 1000, n),
            "flag": rng.random(n) < 0.2,
            "constant": np.full(n, 3.25),
            "empty": np.full(n, np.nan),
            "nearly constant": np.where(np.arange(n) == 5, 1.0, 0.0),
            "float32": rng.normal(size=n).astype(np.float32),
            "few": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "skewed": rng.choice(["often", "rare", "once"], n, p=[0.97, 0.025, 0.005]),
            "many": pd.Categorical(rng.choice(words[:60], n)),
            "unique": words,
            "one": pd.Categorical(["same"] * n),
            "absent": pd.Series([None] * n, dtype=object),
        }
    )
    for i, name in enumerate(X.columns):
        if X[name].dtype.kind not in "bi":
            X[name] = X[name].mask(hole[:, i])
    # The order of the columns and the index do not matter.
    X = X[rng.permutation(X.columns)].set_index(rng.permutation(n) * 3)
    return X, np.nan_to_num(X["normal"].to_numpy()) + (X["few"] == "a").to_numpy()


@pytest.mark.filterwarnings("ignore:Column 'unique' of X is a category")
@pytest.mark.parametrize("seed", range(6))
@ESTIMATORS
def test_default_estimators_on_tables_like_real_ones(cls, seed):
    X, y = make_real_table(seed)
    if cls is NNClassifier:
        y = np.array(["no", "maybe", "yes"])[np.digitize(y, np.quantile(y, [0.2, 0.7]))]
    before = X.copy(deep=True)
    options = {"random_state": seed, "n_iter_no_change": np.inf, "max_iter": 10}
    one, other = (cls(**options).fit(X, pd.Series(y, index=X.index)) for _ in range(2))
    pd.testing.assert_frame_equal(X, before)
    first = outputs(one, X)
    assert np.isfinite(first).all()
    assert_array_equal(first, outputs(other, X))
    assert len(one.encoded_feature_names_) == one.coefs_[0].shape[0]
    # Predictions for single rows equal predictions for all rows.
    rows = [outputs(one, X.iloc[[i]])[0] for i in range(5)]
    assert_allclose(rows, first[:5], rtol=1e-6)
    # Other rows, with words that training did not have.
    new, _ = make_real_table(seed + 100)
    assert np.isfinite(outputs(one, new[X.columns])).all()
    for bad in (np.inf, -np.inf):
        with pytest.raises(ValueError, match="infinity"):
            one.predict(X.assign(normal=bad))
        with pytest.raises(ValueError, match="infinity"):
            cls(**options).fit(X.assign(heavy=bad), y)


@pytest.mark.filterwarnings("ignore:Column 'unique' of X is a category")
def test_columns_that_say_nothing_do_no_harm():
    columns, y = make_columns(300)
    X = to_frame(columns, "category")
    noisy = X.assign(
        constant=1.0,
        empty=np.nan,
        unique=[f"id {i}" for i in range(300)],
        one=pd.Categorical(["same"] * 300),
    )
    labels = target(NNClassifier, y)
    scores = [
        accuracy_score(labels[200:], NNClassifier((16,), **LONG).fit(Z[:200], labels[:200])
                       .predict(Z[200:]))
        for Z in (X, noisy)
    ]  # fmt: skip
    assert scores[1] > scores[0] - 0.08 > 0.65


def test_sparse_rows_after_categories_are_refused():
    X = pd.DataFrame({"c": ["a", "b", "a", "b"], "x": [1.0, 2, 3, 4]})
    network = NNRegressor((3,), max_iter=2, learning_rate="cosine").fit(X, X["x"])
    with pytest.raises(ValueError, match="X is sparse, but the training table has categories"):
        network.predict(sparse.csr_array(np.eye(2)))
