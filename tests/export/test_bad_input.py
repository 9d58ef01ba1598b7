"""What cannot be exported is said before any work, with what is wrong and how to mend it."""

import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sknet import NNClassifier, NNRegressor
from sknet.export import onnx_inputs, register, to_onnx
from sknet.nn.activations import Activation, ReLU
from sknet.nn.embeddings import Periodic
from sknet.nn.links import Logit
from sknet.nn.losses import BinaryLogLoss


@pytest.fixture
def fitted(make, frame, numbers):
    return make(NNRegressor).fit(frame, numbers)


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_not_fitted(cls):
    with pytest.raises(NotFittedError, match=f"{cls.__name__} instance is not fitted"):
        to_onnx(cls())


@pytest.mark.parametrize("other", [LinearRegression(), make_pipeline(NNRegressor()), "a", None])
def test_other_things(other):
    expected = rf"got {type(other).__name__}\. .*For a pipeline.*register\(\).*skl2onnx"
    with pytest.raises(TypeError, match=expected):
        to_onnx(other)


@dataclass(frozen=True)
class Square(Activation):
    power: float = 2.0
    needs_z = True

    def forward(self, z, a):
        np.multiply(z, z, out=a)

    def backward(self, z, a, delta):
        delta *= 2 * z


class MyReLU(ReLU):
    def forward(self, z, a):
        np.maximum(z, 0.1, out=a)


class MyLink(Logit):
    def inverse(self, raw):
        return super().inverse(2 * raw)


class MyLogLoss(BinaryLogLoss):
    link = MyLink()


@pytest.mark.parametrize(
    "activation, named", [(Square(), r"Square\(power=2.0\)"), (MyReLU(), r"MyReLU\(\)")]
)
def test_a_users_own_activation(make, activation, named):
    X, y = load_diabetes(return_X_y=True)
    options = {"activation": ["relu", activation], "learning_rate_init": 1e-4}
    network = make(NNRegressor, (4, 4), **options).fit(X, y)
    message = f"The activation {named} has no counterpart in ONNX operators.*ReLU.*joblib"
    with pytest.raises(NotImplementedError, match=message):
        to_onnx(network)


def test_a_users_own_link(make):
    X, y = load_diabetes(return_X_y=True)
    network = make(NNClassifier, loss=MyLogLoss()).fit(X, y > 100)
    message = r"The link MyLink\(\) has no counterpart.*Increasing, Log, Logit, MeanAndStd"
    with pytest.raises(NotImplementedError, match=message):
        to_onnx(network)


@dataclass(frozen=True)
class MyPeriodic(Periodic):
    pass


def test_a_users_own_layer(make):
    X, y = load_diabetes(return_X_y=True)
    network = make(NNRegressor, numeric_embedding=MyPeriodic()).fit(X, y)
    message = r"The layer MyPeriodic\(.*\) has no counterpart in ONNX operators.*Periodic"
    with pytest.raises(NotImplementedError, match=message):
        to_onnx(network)


def test_wrong_columns(fitted, frame):
    with pytest.raises(ValueError, match=r"(?s)feature names.*model"):
        to_onnx(fitted, frame.drop(columns="model"))
    with pytest.raises(ValueError, match=r"(?s)feature names.*paint"):
        to_onnx(fitted, frame.rename(columns={"color": "paint"}))
    with pytest.raises(ValueError, match=r"(?s)feature names"):
        to_onnx(fitted, frame[frame.columns[::-1]])


def test_wrong_number_of_columns(make):
    X, y = load_diabetes(return_X_y=True)
    network = make(NNRegressor).fit(X, y)
    with pytest.raises(ValueError, match="9 features, but NNRegressor is expecting 10"):
        to_onnx(network, X[:, :9])
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [None, 9])
    with pytest.raises(ValueError, match="must be 10, as in the fit of NNRegressor, got 9"):
        to_onnx(network, initial_types=[("X", kind)])


@pytest.mark.parametrize("shape", [[None], [None, None], [None, 5, 2]])
def test_shapeless_initial_types(make, shape):
    X, y = load_diabetes(return_X_y=True)
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, shape)
    with pytest.raises(ValueError, match="type of the input 'X' must have two dimensions"):
        to_onnx(make(NNRegressor).fit(X, y), initial_types=[("X", kind)])


def test_rows_and_types_at_once(make):
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match="X and initial_types both define"):
        to_onnx(make(NNRegressor).fit(X, y), X, initial_types=[])


def test_columns_with_one_name(make):
    X, y = load_diabetes(return_X_y=True)
    network = make(NNRegressor).fit(X[:, :2], y)
    with pytest.raises(ValueError, match=r"Columns of X have the same name: \['a'\]"):
        to_onnx(network, pd.DataFrame(X[:, :2], columns=["a", "a"]))


def test_text_where_numbers_were(fitted, frame):
    X = frame.assign(year=frame["year"].astype(str))
    message = r"columns \['year'\], the inputs of the model have text where training had num"
    with pytest.raises(ValueError, match=message):
        to_onnx(fitted, X)


def test_numbers_where_text_was(fitted, frame):
    message = (
        r"columns \['color'\], the inputs of the model have numbers where training had text"
    )
    with pytest.raises(ValueError, match=message):
        to_onnx(fitted, frame.assign(color=1.0))


def test_text_where_level_numbers_were(fitted, frame):
    message = (
        r"columns \['grade'\], the inputs of the model have text where training had numbers"
    )
    with pytest.raises(ValueError, match=message):
        to_onnx(fitted, frame.assign(grade="1"))


@pytest.mark.parametrize("opset", [0, 12, 14.5, 1000])
def test_opset(fitted, opset):
    newest = onnx.defs.onnx_opset_version()
    message = f"target_opset must be from 13 to {newest}.*got {opset}"
    with pytest.raises(ValueError, match=message):
        to_onnx(fitted, target_opset=opset)


# Rows for a session.


@pytest.fixture
def session(fitted, frame):
    return onnxruntime.InferenceSession(to_onnx(fitted, frame).SerializeToString())


def test_inputs_without_a_column(session, frame):
    with pytest.raises(ValueError, match=r"needs the columns \['color', 'model'\]"):
        onnx_inputs(session, frame.drop(columns=["color", "model"]))


def test_inputs_of_another_number(session, frame):
    with pytest.raises(ValueError, match="has 8 inputs, but X has 3 columns"):
        onnx_inputs(session, frame.to_numpy()[:, :3])


def test_floats_in_the_place_of_integers(session, frame):
    X = frame.assign(count=frame["count"].astype(float))
    message = "'count' .* takes int64, which cannot hold fractions or missing values.*float64"
    with pytest.raises(ValueError, match=message):
        onnx_inputs(session, X)


def test_integers_beyond_the_range_of_their_input(frame, make):
    X = frame.assign(count=(frame["count"] % 100).astype("int8"))
    network = make(NNRegressor, max_iter=1).fit(X, np.arange(len(X)))
    session = onnxruntime.InferenceSession(to_onnx(network, X).SerializeToString())
    wide = X.assign(count=X["count"].astype("int64"))
    assert onnx_inputs(session, wide)["count"].dtype == np.int8
    wide.loc[3, "count"] = 300
    with pytest.raises(ValueError, match="'count' .* takes int8, which cannot hold 300.*int64"):
        onnx_inputs(session, wide)


def test_a_model_in_the_place_of_its_session(fitted, frame):
    with pytest.raises(
        TypeError, match=r"InferenceSession, got ModelProto\..*SerializeToString"
    ):
        onnx_inputs(to_onnx(fitted, frame), frame)


def test_inputs_of_a_list():
    session = SimpleNamespace(
        get_inputs=lambda: [SimpleNamespace(name="X", type="tensor(float)")]
    )
    (array,) = onnx_inputs(session, [[1.0, 2.0]]).values()
    assert array.dtype == np.float32


def test_categories_that_float64_cannot_tell_apart():
    ids = 2**53 + np.arange(4)
    X = pd.DataFrame({"id": pd.Categorical(np.tile(ids, 30))})
    network = NNRegressor((2,), max_iter=1, random_state=0).fit(X, np.arange(120) % 4)
    with pytest.raises(ValueError, match="Column 'id' has categories .* Train with the column"):
        to_onnx(network, X)
    as_text = X.astype(str)
    to_onnx(network.fit(as_text, np.arange(120) % 4), as_text)


# Missing packages.


@pytest.mark.parametrize(
    "package, call",
    [
        (
            "onnx",
            lambda: to_onnx(NNClassifier((2,), max_iter=1).fit(*load_iris(return_X_y=True))),
        ),
        ("skl2onnx", register),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_missing_extra_is_named(monkeypatch, package, call):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf'needs {package}: .* pip install "\.\[onnx\]"'
    with pytest.raises(ImportError, match=message):
        call()


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["2020-01-01", "2021-01-01"], "M8[D]"),
        np.array([1, 2], "m8[D]"),
        np.array([1, 2**63], np.uint64),
    ],
    ids=["dates", "durations", "large integers"],
)
def test_labels_that_no_type_of_onnx_holds(make, labels):
    X, y = np.arange(20.0)[:, np.newaxis], labels[np.arange(20) % 2]
    network = make(NNClassifier, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"no type for labels like .* y\.astype\(str\)"):
        to_onnx(network)
