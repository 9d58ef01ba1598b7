"""skl2onnx converts whatever has a network in it."""

import numpy as np
import onnxruntime
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sknet.export
from sknet import NNClassifier, NNRegressor
from sknet.data.columns.single_values import Code
from sknet.nn.activations import Activation
from sknet.nn.embeddings import Periodic


@pytest.fixture(autouse=True, scope="module")
def registered():
    sknet.export.register()
    # A second time changes nothing.
    sknet.export.register()


LABELS = {
    "integers": np.array([2, 5, 7]),
    "text": np.array(["ash", "beech", "cedar"]),
    "booleans": np.array([False, True, True]),
    "floats": np.array([0.0, 1.0, 2.0]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("zipmap", [None, False, "columns"])
def test_pipeline_of_a_classifier(make, run, dtype, labels, zipmap):
    X, y = load_iris(return_X_y=True)
    X, y = X.astype(dtype), labels[y]
    network = make(NNClassifier, n_members=2, numeric_embedding="periodic")
    pipeline = Pipeline([("scale", StandardScaler()), ("net", network)]).fit(X, y)
    options = None if zipmap is None else {"zipmap": zipmap}
    outputs = run(skl2onnx.to_onnx(pipeline, X, options=options), X)
    if zipmap is False:
        assert list(outputs) == ["label", "probabilities"]
        label, proba = outputs.values()
        assert proba.dtype == dtype
    elif zipmap == "columns":
        label, *columns = outputs.values()
        proba = np.column_stack(columns)
    else:
        # As skl2onnx has it by default: a dictionary for each row.
        assert list(outputs) == ["output_label", "output_probability"]
        label, rows = outputs.values()
        assert list(rows[0]) == list(np.unique(y))
        proba = np.array([list(row.values()) for row in rows])
    assert_array_equal(label, pipeline.predict(X))
    assert_allclose(proba, pipeline.predict_proba(X), rtol=0, atol=1e-5)


def test_multilabel(make, run):
    X, y = load_iris(return_X_y=True)
    Y = np.column_stack([y > 0, y > 1]).astype(int)
    pipeline = make_pipeline(StandardScaler(), make(NNClassifier)).fit(X, Y)
    outputs = run(skl2onnx.to_onnx(pipeline, X, options={"zipmap": False}), X)
    assert_array_equal(outputs["label"], pipeline.predict(X))
    assert_allclose(outputs["probabilities"], pipeline.predict_proba(X), rtol=0, atol=1e-9)


def test_class_labels_as_an_output(make, run):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier).fit(X, LABELS["text"][y])
    options = {"zipmap": False, "output_class_labels": True}
    outputs = run(skl2onnx.to_onnx(network, X, options=options), X)
    assert_array_equal(outputs["class_labels"], network.classes_)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_pipeline_of_a_regressor(make, run, n_outputs):
    X, y = load_diabetes(return_X_y=True)
    y = y if n_outputs == 1 else np.column_stack([y, -y])
    pipeline = make_pipeline(StandardScaler(), make(NNRegressor)).fit(X, y)
    outputs = run(skl2onnx.to_onnx(pipeline, X), X)
    assert list(outputs) == ["variable"]
    expected = pipeline.predict(X).reshape(len(X), -1)
    assert_allclose(outputs["variable"], expected, rtol=0, atol=1e-6 * y.std())


def test_frame(make, run, frame, numbers):
    pipeline = Pipeline([("net", make(NNRegressor))]).fit(frame, numbers)
    rows = frame.assign(color=frame["color"].fillna(""), grade=frame["grade"].astype(float))
    model = skl2onnx.to_onnx(pipeline, rows)
    assert [one.name for one in model.graph.input] == list(frame)
    assert_allclose(
        run(model, frame)["variable"][:, 0], pipeline.predict(frame), rtol=0, atol=1e-9
    )


def test_column_transformer(make, run, frame, numbers):
    columns = ColumnTransformer(
        [
            ("scale", StandardScaler(), ["year", "count"]),
            ("spread", OneHotEncoder(sparse_output=False), ["model"]),
        ]
    )
    pipeline = make_pipeline(columns, make(NNClassifier)).fit(frame, numbers > 0)
    rows = frame[["year", "count", "model"]].astype({"count": float})
    outputs = run(skl2onnx.to_onnx(pipeline, rows, options={"zipmap": False}), rows)
    assert_allclose(outputs["probabilities"], pipeline.predict_proba(frame), rtol=0, atol=1e-9)


def test_inside_another_estimator(make, run):
    X, y = load_iris(return_X_y=True)
    members = [("net", make(NNClassifier)), ("linear", LogisticRegression(max_iter=1000))]
    voting = VotingClassifier(members, voting="soft", flatten_transform=False).fit(X, y)
    options = {id(voting): {"zipmap": False}}
    X = X.astype(np.float32)
    outputs = run(skl2onnx.to_onnx(voting, X, options=options), X)
    assert_allclose(list(outputs.values())[1], voting.predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind, dtype", [(FloatTensorType, "f4"), (DoubleTensorType, "f8")])
def test_initial_types_of_skl2onnx(make, kind, dtype):
    X, y = load_diabetes(return_X_y=True)
    network = make(NNRegressor).fit(X, y)
    model = sknet.export.to_onnx(network, initial_types=[("rows", kind([None, 10]))])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (variable,) = session.run(None, {"rows": X.astype(dtype)})
    assert variable.dtype == np.dtype(dtype)
    assert_allclose(variable[:, 0], network.predict(X), rtol=1e-5)


# Refusals.


class Sine(Activation):
    def forward(self, z, a):
        np.sin(z, out=a)

    def backward(self, z, a, delta):
        delta *= 1 + a


def test_a_users_own_activation_is_named(make):
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), make(NNClassifier, activation=Sine()).fit(X, y))
    pipeline.fit(X, y)
    with pytest.raises(NotImplementedError, match=r"activation Sine\(\) has no counterpart"):
        skl2onnx.to_onnx(pipeline, X)


class Waves(Periodic):
    pass


def test_a_users_own_layer_is_named(make):
    X, y = load_iris(return_X_y=True)
    network = make(NNClassifier, numeric_embedding=Waves()).fit(X, y)
    with pytest.raises(NotImplementedError, match=r"layer Waves\(.*\) has no counterpart"):
        sknet.export.to_onnx(network)


def test_old_opset(make):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="target_opset must be at least 13.*got 12"):
        skl2onnx.to_onnx(make(NNRegressor).fit(X, y), X, target_opset=12)


def test_wrong_number_of_columns(make):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="must be 10, as in the fit of NNRegressor, got 9"):
        skl2onnx.to_onnx(make(NNRegressor).fit(X, y), X[:, :9])


def test_unknown_option_is_named(make):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(NameError, match="Option 'cutoff' not in"):
        skl2onnx.to_onnx(make(NNClassifier).fit(X, y), X, options={"cutoff": True})


def test_target_transformer_is_left_to_skl2onnx(make):
    X, y = load_diabetes(return_X_y=True)
    model = TransformedTargetRegressor(make(NNRegressor), func=np.log, inverse_func=np.exp)
    with pytest.raises(Exception, match="TransformedTargetRegressor"):
        skl2onnx.to_onnx(model.fit(X, y), X)


def test_codes_behind_a_scaler(make):
    rng = np.random.default_rng(0)
    shop = rng.integers(40, size=1500)
    X = np.column_stack([rng.normal(size=1500), shop]).astype(np.float32)
    y = rng.normal(size=40)[shop] + 0.1 * rng.normal(size=1500)
    network = make(NNRegressor, numeric_embedding="piecewise_linear", max_iter=30)
    pipeline = make_pipeline(StandardScaler(), network).fit(X.astype(np.float64), y)
    assert pipeline[-1]._model.encoder.of_kind(Code)
    session = onnxruntime.InferenceSession(
        skl2onnx.to_onnx(pipeline, X[:1]).SerializeToString()
    )
    (found,) = session.run(None, {"X": X})
    assert_allclose(found[:, 0], pipeline.predict(X), rtol=0, atol=1e-5)
    assert_allclose(found[:, 0], pipeline.predict(X.astype(np.float64)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "around",
    [
        lambda network: CalibratedClassifierCV(network, cv=2),
        lambda network: OneVsRestClassifier(network),
        lambda network: BaggingClassifier(network, 2, random_state=0),
    ],
    ids=["calibrated", "one against rest", "bagging"],
)
def test_classifiers_inside_another_estimator(make, run, around, n_classes, dtype):
    """The calibration takes the decision function, and all of them the dtype of X."""
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes].astype(dtype), y[y < n_classes]
    estimator = around(make(NNClassifier, max_iter=3)).fit(X, y)
    model = skl2onnx.to_onnx(estimator, X[:1], options={"zipmap": False})
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})
    assert_array_equal(found[0], estimator.predict(X))
    assert_allclose(found[1], estimator.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("groups", [None, "no_interactions"])
@pytest.mark.parametrize("loss", ["log_loss", "ordinal"])
@pytest.mark.parametrize("kind", ["two classes", "three classes", "labels"])
def test_raw_scores_are_the_decision_function(make, kind, loss, groups, members):
    X, y = load_iris(return_X_y=True)
    if kind == "two classes":
        y = y > 0
    elif kind == "labels":
        y, loss = np.column_stack([y == 0, y > 1]).astype(int), "log_loss"
    options = {"loss": loss, "n_members": members, "interaction_cst": groups}
    network = make(NNClassifier, max_iter=3, **options).fit(X, y)
    options = {id(network): {"zipmap": False, "raw_scores": True}}
    model = skl2onnx.to_onnx(network, X[:1], options=options)
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})[1]
    expected = network.decision_function(X)
    if expected.ndim == 1:
        expected = np.column_stack([-expected, expected])
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_of_many_rows_behind_a_scaler_that_rounds(make, run, dtype):
    """ONNX scales in the precision of its input: the zero of many rows is rounded otherwise."""
    rng = np.random.default_rng(0)
    X = np.where(rng.random((600, 3)) < 0.6, 0, rng.lognormal(3, 1, (600, 3)))
    y = (X == 0).sum(axis=1) > 1
    network = make(NNClassifier, numeric_embedding="periodic", max_iter=20)
    pipeline = make_pipeline(StandardScaler(), network).fit(X.astype(dtype), y)
    rows = X.astype(np.float32)
    _, found = run(skl2onnx.to_onnx(pipeline, rows, options={"zipmap": False}), rows).values()
    assert_allclose(found, pipeline.predict_proba(X), atol=1e-3)
    assert np.ptp(found[:, 0]) > 0.2
