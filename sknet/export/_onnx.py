"""From a fitted estimator to an ONNX model."""

import numpy as np

from sknet._extras import require
from sknet._version import __version__
from sknet.export._columns import input_columns
from sknet.export._encoding import Input, precision
from sknet.export._estimators import exported, write_predictions
from sknet.export._graph import Graph, Tensor

#: The oldest opset whose operators the graphs use, and the one that is written by default:
#: any runtime of the last years reads it.
OLDEST_OPSET = 13
DEFAULT_OPSET = 17
#: The same for the domain "ai.onnx.ml", whose LabelEncoder turns text into numbers and back.
ML_OPSET = 2


def to_onnx(estimator, X=None, *, initial_types=None, target_opset=None):
    """Return a fitted estimator as an ONNX model, which predicts without Python.

    The model takes the raw table: scaling, missing values and categories are part of it. It
    consists of the standard's own operators, so that any runtime can run it. What it predicts
    agrees with ``predict`` and ``predict_proba`` up to rounding.

    An array is one input, "X". A frame is one input of shape (n_rows, 1) for each column, of
    the column's name, as with skl2onnx; an array in which columns are text is as well, and they
    are called "x0", "x1" and so on. In a text column a missing value is any text that was no
    level in training, such as "". See :func:`onnx_inputs`.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted one. A pipeline goes through :func:`register` and ``skl2onnx.to_onnx``.
    X : {array-like, data frame}, default=None
        Some rows, of which only columns and dtypes count: they say what the inputs are. By
        default, the inputs are those of training. Give float64 rows where digits matter:
        float32 has seven, too few for small differences around large offsets.
    initial_types : list of pairs of a name and a type, default=None
        In the place of X: the inputs as skl2onnx has them, such as
        ``("X", FloatTensorType([None, 4]))``; or a ``TypeProto`` as the type.
    target_opset : int, default=None
        Version of the operators, 13 at least; by default 17.

    Returns
    -------
    onnx.ModelProto
        With the outputs "label" and "probabilities", or "variable" of shape
        (n_rows, n_outputs). Labels are text or int64, also for booleans and for floats, which
        as classes are whole numbers. Probabilities and numbers are float32 where all numeric
        inputs are, else float64. Where a column has an output's name, the output gets a 1 at
        its end, as with skl2onnx.

    Raises
    ------
    ImportError
        If the onnx package is missing.
    NotFittedError
        If the estimator is not fitted.
    NotImplementedError
        If an activation or the loss is a user's own; the message names it.
    TypeError
        If it is not an estimator of sknet.
    ValueError
        If columns or options are not right.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.export import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NNClassifier((8,), max_iter=20, learning_rate="cosine", random_state=0)
    >>> model = to_onnx(network.fit(X, y))
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    onnx = require("onnx", "onnx")
    features, model = exported(estimator)
    opset = _check_opset(target_opset, onnx.defs.onnx_opset_version())
    columns = input_columns(features, model, X, initial_types)
    graph = Graph()
    inputs = [Input(Tensor(graph, one.name, one.dtype), one.n_columns) for one in columns]
    outputs = write_predictions(features, model, inputs, precision(features, inputs))
    outputs = {_free_name(name, columns): output for name, output in outputs.items()}
    for name, output in outputs.items():
        output.tensor.op("Identity", output=name)
    return _model(onnx, type(estimator).__name__, graph, columns, outputs, opset)


def _free_name(name, columns):
    """Return an output's name, made longer where an input has it."""
    taken = {one.name for one in columns}
    while name in taken:
        name += "1"
    return name


def _check_opset(target_opset, newest):
    if target_opset is None:
        return min(DEFAULT_OPSET, newest)
    if target_opset not in range(OLDEST_OPSET, newest + 1):
        raise ValueError(
            f"target_opset must be from {OLDEST_OPSET} to {newest}, the newest that the "
            f"installed onnx knows, got {target_opset!r}."
        )
    return target_opset


def _model(onnx, name, graph, columns, outputs, opset):
    """Return nodes, constants, inputs and outputs as a ModelProto."""
    nodes = [
        onnx.helper.make_node(
            node.op_type,
            node.inputs,
            [node.output],
            name=node.output,
            domain=node.domain,
            **{key: onnx_attribute(value) for key, value in node.attributes.items()},
        )
        for node in graph.nodes
    ]
    constants = [onnx.numpy_helper.from_array(v, k) for k, v in graph.constants.items()]
    proto = onnx.helper.make_graph(
        nodes,
        name,
        [_value(onnx, one.name, one.dtype, one.n_columns) for one in columns],
        [_value(onnx, k, v.tensor.dtype, v.n_columns) for k, v in outputs.items()],
        initializer=constants,
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    if any(node.domain for node in graph.nodes):
        opsets.append(onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    return onnx.helper.make_model(
        proto,
        opset_imports=opsets,
        # The oldest format that has these operators: runtimes refuse one newer than theirs.
        ir_version=onnx.helper.find_min_ir_version_for(opsets),
        producer_name="sknet",
        producer_version=__version__,
    )


def _value(onnx, name, dtype, n_columns):
    """Return an input or output of any number of rows."""
    shape = [None] if n_columns is None else [None, n_columns]
    return onnx.helper.make_tensor_value_info(name, onnx_type(dtype), shape)


def onnx_type(dtype):
    """Return ONNX's number of a NumPy dtype, of which object stands for text."""
    return require("onnx", "onnx").helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def onnx_attribute(value):
    """Return an attribute of a node as ONNX has it."""
    return onnx_type(value) if isinstance(value, np.dtype) else value
