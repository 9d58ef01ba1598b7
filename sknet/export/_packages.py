"""What skl2onnx and skops need for the estimators: a converter, and trusted types."""

from typing import Any

import numpy as np

from sknet._joint_model import JointModel
from sknet._model import ClassificationModel, RegressionModel
from sknet._requirements import require
from sknet._run import Run
from sknet._settings import Provenance, Settings
from sknet.classifier import NNClassifier
from sknet.data.columns.scaling import Components
from sknet.data.columns.scores import Curve
from sknet.data.encoding import TableEncoder
from sknet.data.joint import JointTarget
from sknet.data.splits import FirstSplit, LastRows, RandomRows
from sknet.data.tables import KINDS, TableReader
from sknet.data.targets import ClassTarget, RegressionTarget
from sknet.data.texts import DateFormat, NumberFormat
from sknet.export import _onnx
from sknet.export._columns import check_n_columns, dtype_and_width
from sknet.export._encoding import FEATURES, InputColumns
from sknet.export._graph import Graph, Port, Tensor, onnx_type
from sknet.metrics import CRPSScorer, IntervalScorer
from sknet.multi_target import NNMultiTarget
from sknet.nn.network import Network
from sknet.nn.rules import Rule
from sknet.nn.state import TrainingState
from sknet.regressor import NNRegressor

#: The values of each option that the classifier has. skl2onnx itself requires "nocl".
CLASSIFIER_OPTIONS: dict[str, list[Any]] = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [False],
    "raw_scores": [False, True],
}


def register() -> None:
    """Register NNClassifier and NNRegressor with skl2onnx, to export pipelines with them.

    Several columns of classes are not supported.

    Call this function once in each process, before ``skl2onnx.to_onnx``. Importing
    :mod:`sknet.export` does not call it. The classifier has the options ``zipmap``,
    ``output_class_labels`` and ``raw_scores`` of skl2onnx. With ``zipmap=True``, the default,
    probabilities are float32. With ``raw_scores=True``, which ``CalibratedClassifierCV`` needs
    and sets, the scores of ``decision_function`` replace them; those of two classes have two
    columns, the first of which is minus the second.

    Raises
    ------
    ImportError
        If the package skl2onnx is not installed.

    Examples
    --------
    >>> import skl2onnx
    >>> import sknet.export
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknet import NNClassifier
    >>> sknet.export.register()
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = NNClassifier((8,), max_iter=20, learning_rate="cosine", random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), estimator).fit(X, y)
    >>> onnx_model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    >>> [output.name for output in onnx_model.graph.output]
    ['label', 'probabilities']
    """
    skl2onnx = require("skl2onnx", "onnx")
    for cls, options in ((NNClassifier, CLASSIFIER_OPTIONS), (NNRegressor, None)):
        skl2onnx.update_registered_converter(
            cls, f"Sknet{cls.__name__}", _set_output_types, _convert, options=options
        )


def _set_output_types(operator: Any) -> None:
    """Set the types and shapes of the outputs, which skl2onnx needs before the conversion."""
    estimator = operator.raw_operator
    features, model = _onnx.exported(estimator)
    if isinstance(model, JointModel):
        raise NotImplementedError("Several targets need sknet.export.to_onnx, not skl2onnx.")
    inputs = _inputs(operator, Graph())
    check_n_columns(features, sum(one.n_columns for one in inputs))
    n_rows = operator.inputs[0].type.shape[0]
    dtype = InputColumns(features, inputs).precision
    shape = [n_rows, _onnx.n_columns(model)]
    if not model.numeric_y:
        shape_of_labels = shape[:2] if model.target.kind == "multilabel" else shape[:1]
        of_labels = _tensor_type(_onnx.label_dtype(model.target))
        operator.outputs[0].type = of_labels(shape_of_labels)
        if _feeds_zip_map(operator):
            dtype = np.dtype(np.float32)
    operator.outputs[-1].type = _tensor_type(dtype)(shape)


def _feeds_zip_map(operator: Any) -> bool:
    """Return whether ZipMap, which makes a dictionary of each row, takes the probabilities.

    It takes only float32. The operators around a nested classifier expect the dtype of X.
    """
    name = operator.outputs[-1].full_name
    zip_maps = (
        one for one in operator.scope_inst.operators.values() if one.type == "SklearnZipMap"
    )
    return any(name in [taken.full_name for taken in one.inputs] for one in zip_maps)


def _tensor_type(dtype: np.dtype[Any]) -> Any:
    """Return the class of skl2onnx for tensors of a dtype."""
    types = require("skl2onnx.common.data_types", "onnx")
    names = {"float32": "Float", "float64": "Double", "int64": "Int64", "object": "String"}
    return getattr(types, f"{names[dtype.name]}TensorType")


def _inputs(operator: Any, graph: Graph) -> list[Port]:
    """Return the inputs of an operator of skl2onnx as tensors of a graph."""
    names_and_types = [(one.full_name, one.type) for one in operator.inputs]
    described = [(name, *dtype_and_width(name, kind)) for name, kind in names_and_types]
    return [Port(Tensor(graph, name, dtype), width) for name, dtype, width in described]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the operators of an estimator to the container of skl2onnx.

    Raises
    ------
    ValueError
        If the target opset is too old.
    """
    if container.target_opset < _onnx.OLDEST_OPSET:
        raise ValueError(
            f"target_opset must be at least {_onnx.OLDEST_OPSET} for sknet estimators, got "
            f"{container.target_opset}."
        )
    features, model = _onnx.exported(operator.raw_operator)
    graph = Graph(scope.get_unique_variable_name)
    dtype, _ = dtype_and_width("output", operator.outputs[-1].type)
    table = InputColumns(features, _inputs(operator, graph))
    has_scores = (
        not model.numeric_y
        and scope.get_options(operator.raw_operator, {"raw_scores": False})["raw_scores"]
    )
    outputs = _onnx.write_predictions(table, model, dtype, raw_scores=has_scores)
    for port, variable in zip(outputs.values(), operator.outputs, strict=True):
        port.tensor.op("Identity", output=variable.full_name)
    for name, value in graph.constants.items():
        container.add_initializer(name, onnx_type(value.dtype), value.shape, value.ravel())
    for op_type, inputs, output, domain, attributes in graph.nodes:
        version = _onnx.ML_OPSET if domain else None
        name = scope.get_unique_operator_name(op_type)
        container.add_node(op_type, inputs, output, domain, version, name, **attributes)


def _rules(cls: type[Rule]) -> set[type[Rule]]:
    """Return a class of rules and its subclasses, without a user's own."""
    below = set().union(*map(_rules, cls.__subclasses__()))
    return below | {cls} if cls.__module__.startswith("sknet.") else below


_CLASSES = [
    NNClassifier, NNRegressor, NNMultiTarget,
    # The model that a fit has learned, its settings, and the record of its training.
    ClassificationModel, RegressionModel, JointModel, Settings, Provenance,
    RandomRows, LastRows, FirstSplit,
    # The encoders of X and y.
    TableReader, *KINDS, NumberFormat, DateFormat, TableEncoder, *FEATURES, Curve, Components,
    ClassTarget, RegressionTarget, JointTarget,
    # The network, its layers, and what may be given as an object.
    Network, *_rules(Rule),
    # The state with which partial_fit continues.
    Run, TrainingState,
    # What may be given as scoring.
    CRPSScorer, IntervalScorer,
    # Python containers in which parameters may be given, and which skops does not know.
    frozenset, range,
]  # fmt: skip

#: The names of the types that a fitted estimator may consist of, to be used as
#: ``skops.io.load(file, trusted=SKOPS_TRUSTED)``: the estimators, the encoders of X and y,
#: the network with the layers, activations and losses of sknet, optimizers and schedules, the
#: state with which ``partial_fit`` continues, scorers, and two Python containers. Loading an
#: object of these types runs no code from the file. You must decide whether to trust your own
#: classes, callbacks, and scikit-learn's splitters and scorers.
SKOPS_TRUSTED: list[str] = sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in _CLASSES)
