"""onnxruntime predicts what the estimator predicts."""

from inspect import isabstract
from itertools import product

import numpy as np
import onnx
import pandas as pd
import polars
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx_sessions import session_of
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet._base import fitted
from sknet.export import onnx_inputs, to_onnx
from sknet.export._rules import ACTIVATIONS as ONNX_ACTIVATIONS
from sknet.export._rules import INVERSE_LINKS
from sknet.export._rules import LAYERS as ONNX_LAYERS
from sknet.nn.activations import ACTIVATIONS, LeakyReLU
from sknet.nn.cumulative import CUMULATIVE_LINKS
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.layers import NORMALIZATIONS, Activated, Layer
from sknet.nn.links import Log
from sknet.nn.losses import LOSSES, Loss, Ordinal, Pinball

REGRESSION_LOSSES = [name for name, loss in LOSSES.items() if loss.task == "regression"]


def assert_agrees(outputs, estimator, X, tolerance=1e-5):
    """Hold outputs against predictions: probabilities, or numbers relative to their spread."""
    if isinstance(estimator, NNClassifier):
        expected = estimator.predict_proba(X)
        assert_allclose(outputs["probabilities"], expected, rtol=0, atol=tolerance)
        # A label may differ only where two classes are equally probable up to rounding.
        if outputs["label"].ndim == 1:
            first, second = np.sort(expected, axis=1).T[[-1, -2]]
            clear = first - second > tolerance
            assert clear.mean() > 0.9
            assert_array_equal(outputs["label"][clear], estimator.predict(X)[clear])
        else:
            clear = np.abs(expected - 0.5) > tolerance
            assert_array_equal(outputs["label"][clear], estimator.predict(X)[clear])
    else:
        expected = estimator.predict(X)
        expected = expected.reshape(len(expected), -1)
        assert outputs["variable"].shape == expected.shape
        spread = np.std(expected)
        assert spread > 0
        assert_allclose(outputs["variable"], expected, rtol=0, atol=tolerance * spread)


# The registries.


@pytest.mark.parametrize(
    "registry, table",
    [
        (ACTIVATIONS, ONNX_ACTIVATIONS),
        (NUMERIC_EMBEDDINGS, ONNX_LAYERS),
    ],
)
def test_every_registered_rule_has_a_counterpart(registry, table):
    assert set(registry.values()) <= set(table)


def test_the_link_of_every_loss_has_a_counterpart():
    losses = [*(cls() for cls in LOSSES.values()), Pinball((0.1, 0.9))]
    losses += map(Ordinal, CUMULATIVE_LINKS)
    assert {type(loss.link) for loss in losses} == set(INVERSE_LINKS)


def test_every_layer_of_the_package_has_a_counterpart():
    def subclasses(cls):
        return {cls}.union(*(subclasses(one) for one in cls.__subclasses__()))

    layers = {
        cls
        for cls in subclasses(Layer)
        if cls.__module__.startswith("sknet.") and not isabstract(cls)
    }
    # No estimator has this half of a layer on its own.
    assert layers - {Activated} == set(ONNX_LAYERS)


# ONNX Runtime's Erf, also of float64, has an error of some 1e-7.
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-6)])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, LeakyReLU(0.3)])
def test_activations(make, run, activation, dtype, tolerance):
    X, y = load_diabetes(return_X_y=True)
    network = make(NNRegressor, (8, 4), activation, dtype=dtype).fit(X, y)
    # Large weights reach the far ends of the functions.
    fitted(network)[1].params[:] *= 4
    assert_agrees(run(to_onnx(network), X), network, X, tolerance)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_losses_of_regression(make, run, frame, numbers, loss, members):
    y = np.exp(numbers) if LOSSES[loss]().domain != "any number" else 1e4 + 100 * numbers
    network = make(NNRegressor, loss=loss, n_members=members).fit(frame, y)
    assert_agrees(run(to_onnx(network), frame), network, frame, 1e-9)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("edges", [[0], [-1, 0, 1]])
@pytest.mark.parametrize("link", CUMULATIVE_LINKS)
def test_classes_that_have_an_order(make, run, frame, numbers, link, edges, members):
    """Two and four classes, in an order that is not the alphabetical one."""
    labels = np.array(["low", "medium", "high", "extreme"])
    loss = Ordinal(link, classes=labels)
    network = make(NNClassifier, loss=loss, n_members=members)
    network.fit(frame, labels[np.digitize(numbers, edges)])
    # ONNX Runtime's Erf has an error of some 1e-7.
    assert_agrees(run(to_onnx(network), frame), network, frame, 1e-6)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_standard_deviation(make, run, frame, numbers, members, n_outputs):
    """The graph also writes what ``predict(X, return_std=True)`` returns."""
    y = np.column_stack([1e4 + 100 * numbers, numbers])[:, :n_outputs]
    network = make(NNRegressor, loss="normal", n_members=members)
    network.fit(frame, y[:, 0] if n_outputs == 1 else y)
    outputs = run(to_onnx(network), frame)
    assert_agrees(outputs, network, frame, 1e-9)
    _, std = network.predict(frame, return_std=True)
    assert_allclose(outputs["std"], std.reshape(-1, n_outputs), rtol=1e-9)


@pytest.mark.parametrize("members", [1, 3])
def test_standard_deviation_of_groups(make, run, frame, numbers, members):
    options = {"n_members": members, "interaction_cst": "no_interactions"}
    network = make(NNRegressor, loss="normal", **options).fit(frame, numbers)
    outputs = run(to_onnx(network), frame)
    assert_agrees(outputs, network, frame, 1e-9)
    _, std = network.predict(frame, return_std=True)
    assert_allclose(outputs["std"], std[:, np.newaxis], rtol=1e-9)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "log_loss"])
@pytest.mark.parametrize(
    "constraint", ["no_interactions", "pairwise", [{0, 1}, {1, 5}]], ids=str
)
def test_groups_of_columns(make, run, frame, later_rows, numbers, constraint, loss, members):
    cls = NNClassifier if loss == "log_loss" else NNRegressor
    y = np.digitize(numbers, [0, 1]) if loss == "log_loss" else np.exp(numbers)
    options = {"numeric_embedding": "piecewise_linear", "normalization": "layer"}
    network = make(cls, loss=loss, n_members=members, interaction_cst=constraint, **options)
    network.fit(frame, y)
    assert_agrees(run(to_onnx(network), later_rows), network, later_rows, 1e-9)


class Relative(Loss):
    """A user's own loss of positive means, with a link of the package."""

    link = Log()
    shifts_y = False

    def pointwise(self, y, raw, gradient_out):
        np.subtract(raw, np.log(y), out=gradient_out)
        return 0.5 * np.square(gradient_out).sum(axis=1)


def test_a_users_own_loss_needs_no_counterpart(make, run, frame, numbers):
    network = make(NNRegressor, loss=Relative(), n_members=2).fit(frame, np.exp(numbers))
    assert_agrees(run(to_onnx(network), frame), network, frame, 1e-9)


@pytest.mark.parametrize("members", [1, 3])
def test_several_quantiles_do_not_cross(make, run, frame, numbers, members):
    network = make(NNRegressor, loss="quantile", quantile=[0.1, 0.5, 0.9], n_members=members)
    network.fit(frame, numbers)
    outputs = run(to_onnx(network), frame)
    assert_agrees(outputs, network, frame, 1e-9)
    assert (np.diff(outputs["variable"], axis=1) >= 0).all()


@pytest.mark.parametrize("members", [1, 3])
def test_multioutput(make, run, frame, numbers, members):
    y = np.column_stack([numbers, 1000 * numbers**2, -numbers])
    network = make(NNRegressor, n_members=members).fit(frame, y)
    assert_agrees(run(to_onnx(network), frame), network, frame, 1e-9)


@pytest.mark.parametrize("members", [1, 3])
def test_several_targets(make, run, frame, later_rows, numbers, members):
    y = pd.DataFrame({"size": 1000 * numbers, "tree": np.where(numbers > 0, "ash", "beech")})
    y["age"], y.loc[::3, "size"] = np.digitize(numbers, [0, 1]), np.nan
    targets = {"age": "classification", "size": "normal"}
    network = make(NNMultiTarget, targets=targets, n_members=members).fit(frame, y)
    outputs = run(to_onnx(network), later_rows)
    predicted, proba = network.predict(later_rows), network.predict_proba(later_rows)
    names = ["size", "tree", "tree_probabilities", "age", "age_probabilities"]
    assert list(outputs) == names
    assert_allclose(outputs["size"][:, 0], predicted["size"], rtol=1e-9)
    for name in ("tree", "age"):
        assert_array_equal(outputs[name], predicted[name])
        assert_allclose(outputs[f"{name}_probabilities"], proba[name], rtol=1e-9)


CLASSES = {
    "binary": np.array([0, 1]),
    "multiclass": np.array([3, 5, 9]),
    "text": np.array(["ash", "beech", "cedar"]),
    "text_objects": np.array(["ash", "beech"], dtype=object),
    "booleans": np.array([False, True]),
    "floats": np.array([0.0, 1.0, 2.0]),
    "negative": np.array([-1, 1]),
    "one": np.array([4]),
}


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
def test_classes(make, run, frame, numbers, classes, members):
    place = np.digitize(
        numbers, np.quantile(numbers, np.arange(1, classes.size) / classes.size)
    )
    network = make(NNClassifier, n_members=members).fit(frame, classes[place])
    outputs = run(to_onnx(network), frame)
    if classes.size > 1:
        assert_agrees(outputs, network, frame, 1e-9)
    assert_array_equal(outputs["label"], network.predict(frame))
    assert outputs["label"].dtype == (object if classes.dtype.kind in "OU" else np.int64)


@pytest.mark.parametrize("members", [1, 3])
def test_multilabel(make, run, frame, numbers, members):
    y = np.column_stack([numbers > 0, numbers > 1, numbers < -1]).astype(int)
    network = make(NNClassifier, n_members=members).fit(frame, y)
    outputs = run(to_onnx(network), frame)
    assert_agrees(outputs, network, frame, 1e-9)
    assert outputs["label"].shape == y.shape


def test_probabilities_are_no_certainties(make, run):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier).fit(X, y)
    fitted(network)[1].params[:] *= 1000
    for dtype in [np.float32, np.float64]:
        proba = run(to_onnx(network, X.astype(dtype)), X)["probabilities"]
        assert proba.dtype == dtype
        assert 0 < proba.min() and proba.max() < 1
        assert_allclose(proba, network.predict_proba(X.astype(dtype)), atol=1e-6, rtol=0)


# The layers, in all combinations of what comes before and after.


@pytest.mark.parametrize(
    ("sizes", "normalization"),
    [((), None), *product([(12,), (16, 12, 10)], [None, *NORMALIZATIONS])],
)
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("embedding", [None, *NUMERIC_EMBEDDINGS])
def test_layers(
    make, run, frame, numbers, later_rows, sizes, members, normalization, embedding
):
    network = make(
        NNRegressor,
        sizes,
        n_members=members,
        normalization=normalization,
        numeric_embedding=embedding,
        dropout=0.1 if sizes else 0.0,
        ema_decay=0.9,
    ).fit(frame, numbers)
    assert_agrees(run(to_onnx(network), later_rows), network, later_rows, 1e-9)
    model = to_onnx(network.set_params(dtype="float32").fit(frame, numbers))
    assert_agrees(run(model, later_rows), network, later_rows)


# The tables.


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_iris, load_diabetes])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("as_frame", [False, True])
def test_bundled_data(make, run, load, dtype, as_frame):
    X, y = load(return_X_y=True, as_frame=as_frame)
    X = X.astype(dtype)
    cls = NNRegressor if load is load_diabetes else NNClassifier
    network = make(cls, numeric_embedding="periodic", n_members=2).fit(X, y)
    for model in [to_onnx(network), to_onnx(network, X)]:
        assert len(model.graph.input) == (X.shape[1] if as_frame else 1)
        outputs = run(model, X)
        assert_agrees(outputs, network, X)
        assert list(outputs.values())[-1].dtype == dtype


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_frames(make, run, frame, numbers, later_rows, cls, standardize):
    columns = [name for name in frame if standardize or name not in ("year", "price")]
    y = numbers > 0 if cls is NNClassifier else numbers
    network = make(cls, standardize=standardize).fit(frame[columns], y)
    for model in [to_onnx(network), to_onnx(network, frame[columns])]:
        assert [one.name for one in model.graph.input] == columns
        assert_agrees(run(model, later_rows[columns]), network, later_rows[columns], 1e-9)


def test_holes_without_scaling(make, run):
    X, y = load_iris(return_X_y=True)
    X[::7, 1] = np.nan
    network = make(NNClassifier, standardize=False).fit(X, y)
    X[3] = np.nan
    assert_agrees(run(to_onnx(network), X), network, X, 1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("standardize", [False, True])
def test_heavy_values(make, run, standardize, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    X[rng.random(300) < 0.5, 0] = 0.1
    X[rng.random(300) < 0.2, 1] = 7
    y = (X[:, 0] == 0.1) ^ (X[:, 1] > 1)
    network = make(NNClassifier, standardize=standardize, numeric_embedding="periodic")
    network.fit(X.astype(dtype), y)
    assert list(network.encoded_feature_names_[12:14]) == ["x0=0.1", "x1=7"]
    X[:3, :2] = np.nan
    for rows in (X, X.astype(np.float32)):
        assert_agrees(run(to_onnx(network, rows), rows), network, rows)


@pytest.mark.parametrize("monotone", [None, [1, 0, 0]], ids=["free", "monotonic"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_with_a_long_tail(make, run, dtype, monotone):
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(size=(300, 3)) * [0.5, 1, 2]).astype(dtype)
    X[::2, 1] = 0
    network = make(NNRegressor, monotonic_cst=monotone).fit(X, X.sum(axis=1))
    X[:5, 0] = [np.nan, 0, -100, 1e6, 1e20]
    assert_agrees(run(to_onnx(network, X), X), network, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("standardize", [False, True])
def test_codes(make, run, standardize, dtype):
    rng = np.random.default_rng(0)
    shop = rng.integers(30, size=600)
    X = np.column_stack([rng.normal(size=600), shop / 10]).astype(dtype)
    y = rng.normal(size=30)[shop] + X[:, 0]
    X[:40, 1] = np.nan
    network = make(NNRegressor, standardize=standardize, numeric_embedding="periodic")
    network.fit(X, y)
    assert list(network.encoded_feature_names_[-1:]) == ["x1_value_7"]
    X[40:50, 1] = 77
    for rows in (X, X.astype(np.float32)):
        assert_agrees(run(to_onnx(network, rows), rows), network, rows)


def test_far_values_without_scaling(make, run):
    X = np.random.default_rng(0).normal(size=(60, 3))
    network = make(NNClassifier, standardize=False, dtype="float64").fit(X, X[:, 0] > 0)
    far = np.concatenate([X, [[1e300, -1e300, 1.0], [1e16, 1e15, -1e14]]])
    assert_agrees(run(to_onnx(network), far), network, far)


def test_the_other_byte_order(make, run):
    X, y = load_diabetes(return_X_y=True)
    other = X.astype(X.dtype.newbyteorder())
    network = make(NNRegressor).fit(other, y)
    for model in [to_onnx(network), to_onnx(network, other)]:
        assert_agrees(run(model, X), network, X, 1e-9)


def test_large_offsets_need_doubles(make, run, frame, numbers):
    # A float32 has steps of 1/16 around a million, a sixteenth of the column's spread.
    X = frame[["year"]].to_numpy()
    network = make(NNRegressor, dtype="float32", max_iter=20).fit(X, numbers)
    assert_agrees(run(to_onnx(network), X), network, X)
    coarse = X.astype(np.float32)
    # Rounded inputs give the same rounded answer as those of predict.
    outputs = run(to_onnx(network, coarse), coarse)
    assert_agrees(outputs, network, coarse)
    assert np.abs(outputs["variable"][:, 0] - network.predict(X)).max() > 1e-3


def test_integers_and_booleans_as_inputs(make, run):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 9, (100, 3))
    network = make(NNRegressor).fit(X, X[:, 0] * 1.0)
    for dtype in [np.int64, np.int32, bool]:
        outputs = run(to_onnx(network, X.astype(dtype)), X.astype(dtype))
        assert_agrees(outputs, network, X.astype(dtype), 1e-9)
        assert outputs["variable"].dtype == np.float64


@pytest.mark.parametrize("trained", [np.float32, np.float64])
def test_levels_that_are_numbers_in_another_precision(make, run, trained):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 12, 300) / 10, rng.normal(size=300)]).astype(trained)
    X[0, 0] = 0.1 + 1e-9  # In float32, this is another level.
    y = np.sin(40 * X[:, 0]) + X[:, 1] / 10
    network = make(NNRegressor, categorical_features=[0]).fit(X, y)
    for rows in (X.astype(np.float32), X.astype(np.float64)):
        assert_agrees(run(to_onnx(network, rows), rows), network, rows)


def test_arrays_with_categories(make, run):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), rng.integers(0, 4, 200), rng.normal(size=200)])
    y = X[:, 0] + (X[:, 1] == 2)
    network = make(NNRegressor, categorical_features=[1]).fit(X, y)
    X[0, 1] = np.nan
    X[1, 1] = 99
    model = to_onnx(network)
    assert [one.name for one in model.graph.input] == ["X"]
    assert_agrees(run(model, X), network, X, 1e-9)
    # Text has a type of its own, so that each column is an input.
    X = X.astype(object)
    X[:, 1] = [f"level {value}" for value in X[:, 1]]
    network.fit(X, y)
    for model in [to_onnx(network), to_onnx(network, X)]:
        assert [one.name for one in model.graph.input] == ["x0", "x1", "x2"]
        assert_agrees(run(model, X), network, X, 1e-9)


def test_categories_alone_and_without_levels(make, run, frame, numbers):
    X = frame[["color", "model"]].assign(nothing=pd.Series([None] * 300, dtype=object))
    network = make(NNRegressor).fit(X, numbers)
    for model in [to_onnx(network), to_onnx(network, X)]:
        outputs = run(model, X)
        assert_agrees(outputs, network, X, 1e-9)
        assert outputs["variable"].dtype == np.float64


def test_objects_that_are_booleans(make, run, numbers):
    X = pd.DataFrame({"open": np.resize(np.array([True, False, None], dtype=object), 300)})
    network = make(NNRegressor).fit(X, numbers)
    assert_agrees(run(to_onnx(network, X), X), network, X, 1e-9)


def test_pandas_own_types(make, run, frame, numbers):
    X = frame.convert_dtypes()
    X.loc[4, "count"] = pd.NA
    X.loc[5, "color"] = pd.NA
    network = make(NNRegressor).fit(X, numbers)
    for model in [to_onnx(network), to_onnx(network, X)]:
        assert_agrees(run(model, X), network, X, 1e-9)


def test_polars(make, run, frame, numbers):
    columns = ["price", "count", "flag", "color", "model"]
    X = polars.DataFrame({name: frame[name].tolist() for name in columns}, strict=False)
    network = make(NNRegressor).fit(X, numbers)
    if not hasattr(network, "feature_names_in_"):
        # scikit-learn 1.6 does not read the names of newer frames of polars.
        X = X.rename({name: f"x{i}" for i, name in enumerate(X.columns)})
    for model in [to_onnx(network), to_onnx(network, X)]:
        assert_agrees(run(model, X), network, X, 1e-9)


def test_sparse_training(make, run):
    rng = np.random.default_rng(0)
    X = sparse.random(200, 10, density=0.2, format="csr", random_state=0)
    y = X.toarray()[:, 0] + rng.normal(size=200)
    for standardize in [True, False]:
        network = make(NNRegressor, standardize=standardize).fit(X, y)
        for model in [to_onnx(network), to_onnx(network, X)]:
            assert_agrees(run(model, X.toarray()), network, X, 1e-9)


def test_after_partial_fit(make, run):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier).partial_fit(X, y, classes=[0, 1, 2, 3])
    network.partial_fit(X, y)
    assert_agrees(run(to_onnx(network), X), network, X, 1e-9)


def test_any_number_of_rows(make, frame, numbers):
    network = make(NNRegressor, n_members=2, numeric_embedding="periodic").fit(frame, numbers)
    session = session_of(to_onnx(network))
    for n_rows in [1, 2, 300]:
        inputs = onnx_inputs(session, frame[:n_rows])
        (variable,) = session.run(None, inputs)
        assert variable.shape == (n_rows, 1)


# The model.


def test_columns_with_the_names_of_outputs(make, run, frame, numbers):
    X = frame[["price", "count", "color"]]
    X.columns = ["label", "probabilities", "variable"]
    model = to_onnx(make(NNClassifier).fit(X, numbers > 0), X)
    assert list(run(model, X)) == ["label1", "probabilities1"]
    assert list(run(to_onnx(make(NNRegressor).fit(X, numbers), X), X)) == ["variable1"]


def test_narrow_columns_of_a_frame(make, run, frame, numbers):
    X = frame[["price", "count"]].astype({"price": np.float32, "count": np.int16})
    network = make(NNRegressor).fit(X, numbers)
    outputs = run(to_onnx(network, X), X)
    assert outputs["variable"].dtype == network.predict(X).dtype == np.float32
    assert_agrees(outputs, network, X)


@pytest.mark.parametrize("opset", [13, 15, 18, 21])
def test_opsets(make, run, frame, numbers, opset):
    network = make(
        NNRegressor, n_members=2, normalization="layer", numeric_embedding="periodic"
    ).fit(frame, numbers)
    model = to_onnx(network, target_opset=opset)
    assert {one.domain: one.version for one in model.opset_import}[""] == opset
    assert_agrees(run(model, frame), network, frame, 1e-9)


def test_only_the_standard_operators(make, frame, numbers):
    network = make(NNClassifier, n_members=2, numeric_embedding="periodic")
    model = to_onnx(network.fit(frame, np.where(numbers > 0, "yes", "no")))
    assert {node.op_type for node in model.graph.node if node.domain} == {"LabelEncoder"}
    assert {node.domain for node in model.graph.node} == {"", "ai.onnx.ml"}
    assert model.producer_name == "sknet"


def test_members_share_their_weights_in_the_file(make):
    X, y = load_breast_cancer(return_X_y=True)
    network = make(NNClassifier, (64, 64), n_members=8).fit(X, y)
    size = len(to_onnx(network).SerializeToString())
    assert size < fitted(network)[1].params.nbytes + 16 * 1024


def test_initial_types_may_name_what_training_did_not(make):
    """The columns of a frame are then found by the names of the inputs."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.DOUBLE, [None, 1])
    types = [(f"input of {name}", kind) for name in X]
    rows = X.rename(columns="input of {}".format).assign(other=0)[::-1]
    for training, known in [(X, [X, rows]), (X.to_numpy(), [rows])]:
        network = make(NNClassifier).fit(training, y)
        model = to_onnx(network, initial_types=types)
        session = session_of(model)
        for frame in known:
            inputs = onnx_inputs(session, frame)
            found = np.hstack([inputs[name] for name, _ in types])
            assert_array_equal(found, frame[frame.columns[:4]])


def test_initial_types(make, run):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier).fit(X, y)
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [None, 2])
    model = to_onnx(network, initial_types=[("left", kind), ("right", kind)])
    session = session_of(model)
    X = X.astype(np.float32)
    _, proba = session.run(None, {"left": X[:, :2], "right": X[:, 2:]})
    assert_allclose(proba, network.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("embedding", [None, *NUMERIC_EMBEDDINGS])
@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_monotone_networks(
    make, run, frame, later_rows, numbers, embedding, members, activation
):
    """The order of rows is that of the estimator, also in the last bits.

    The tangent of a runtime is an approximation, which falls by its last bit now and then.
    """
    options = {"numeric_embedding": embedding, "n_members": members, "dtype": "float32"}
    network = make(
        NNRegressor,
        activation=activation,
        monotonic_cst={"year": 1, "price": -1},
        **options,
    ).fit(frame, numbers)
    model = to_onnx(network, frame)
    assert_keeps_the_order_of_prices(run, model, network, frame, later_rows, activation)


def assert_keeps_the_order_of_prices(run, model, network, frame, later_rows, activation):
    # Both round their raw predictions to float32.
    assert_agrees(run(model, later_rows), network, later_rows, 1e-6)
    low, high = frame.copy(), frame.copy()
    low["price"] = np.geomspace(1e-3, 1e6, len(frame))
    high["price"] = np.nextafter(low["price"], np.inf)
    rises = run(model, high)["variable"] - run(model, low)["variable"]
    assert rises.max() <= (0 if activation == "silu" else 1e-12)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("loss", ["squared_error", "normal"])
@pytest.mark.parametrize("interaction", ["no_interactions", "pairwise", [{0, 1, 2}]])
def test_monotone_networks_of_groups(
    make, run, frame, later_rows, numbers, interaction, loss, members
):
    network = make(
        NNRegressor,
        activation="silu",
        loss=loss,
        monotonic_cst={"year": 1, "price": -1},
        interaction_cst=interaction,
        numeric_embedding="piecewise_linear",
        n_members=members,
    ).fit(frame, numbers)
    model = to_onnx(network, frame)
    assert_keeps_the_order_of_prices(run, model, network, frame, later_rows, "silu")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("constant", [0.0, 1e6 + 0.1, -1e12])
@pytest.mark.parametrize("monotonic_cst", [None, [0, 0, 1]])
def test_columns_that_were_constant_in_the_first_call(run, dtype, constant, monotonic_cst):
    """The constant, and a missing number, remain zero in the ONNX model too."""
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(dtype)
    first = X.copy()
    first[:, 2] = constant
    first[::2, 2] = np.nan
    network = NNRegressor((6,), monotonic_cst=monotonic_cst, random_state=0)
    network.partial_fit(first, X[:, 0])
    for _ in range(3):
        network.partial_fit(X, X[:, 0] + X[:, 2])
    rows = np.vstack([X, first])
    for given in (rows, rows.astype(np.float32)):
        assert_agrees(run(to_onnx(network, given), given), network, given)


@pytest.mark.parametrize("names", [("X", "X1"), ("X1", "X"), ("a", "b")])
def test_outputs_have_names_of_their_own(names):
    X = np.arange(60.0)[:, np.newaxis]
    y = pd.DataFrame({name: X[:, 0] for name in names})
    file = to_onnx(NNMultiTarget((4,), max_iter=2).fit(X, y))
    onnx.checker.check_model(file, full_check=True)
    found = [one.name for one in file.graph.output]
    assert len({"X", *found}) == 3
