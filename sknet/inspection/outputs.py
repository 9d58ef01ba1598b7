"""What a fitted model computes: the outputs of hidden layers, and its own, with gradients.

Before an output is differentiated, it is chosen, and the table is embedded, so that its rows
are numbers.
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet._base import BaseNN, fitted
from sknet._building import column_sources
from sknet._input import Features
from sknet._joint_model import JointModel
from sknet._model import Model
from sknet.nn.kernels import Array
from sknet.nn.layers import Activated, Affine
from sknet.nn.network import Network, Workspace


def hidden_features(estimator: BaseNN, X: Any, layer: int = -1) -> Array:
    """Return the outputs of the units of a hidden layer.

    The network predicts from the outputs of its last hidden layer. They can serve as features
    for another model, for a nearest-neighbor search or for a plot.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        A fitted estimator with at least one hidden layer.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows for which the outputs are computed.
    layer : int, default=-1
        The number of the hidden layer, from 0; negative numbers count from the last one.

    Returns
    -------
    ndarray of shape (n_samples, n_members * n_groups * n_units)
        The activations, after normalization and without dropout. The units of each member
        follow those of the previous member. Without ``interaction_cst``, there is one group.
        The array is float32 for float32 X, else float64.

    Raises
    ------
    ValueError
        If the network has no hidden layer with this number, or if X does not match the table
        that the estimator was fitted to.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If ``estimator`` is not an sknet estimator.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.inspection import hidden_features
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator = NNClassifier((16, 8), n_members=1, max_iter=5, learning_rate="cosine")
    >>> hidden_features(estimator.fit(X, y), X).shape
    (150, 8)
    """
    features, model = fitted(estimator)
    ends = model.network.hidden_ends
    valid = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not valid or not -len(ends) <= layer < len(ends):
        there = f", from {-len(ends)} to {len(ends) - 1}" if ends else "; the network has none"
        raise ValueError(f"layer must be the number of a hidden layer{there}, got {layer!r}.")
    end = ends[layer]
    return model.predictor.map_rows(features.read(X), lambda outputs: (outputs[end],))[0]


def constant_units(estimator: BaseNN, X: Any) -> list[float]:
    """Return the fraction of units in each hidden layer with the same output for all rows."""
    n_hidden = len(estimator.coefs_) - 1
    outputs = [hidden_features(estimator, X, layer) for layer in range(n_hidden)]
    return [float(np.mean(np.ptp(units, axis=0) == 0)) for units in outputs]


def check_one_target(model: Model) -> None:
    """Refuse a model of several targets, since an explanation is about one target.

    Raises
    ------
    ValueError
        If the model has several targets.
    """
    if isinstance(model, JointModel):
        raise ValueError(
            "An explanation is about one target. Pass one of the estimators_ of the "
            f"NNMultiTarget, whose targets are {list(model.target.names)}."
        )


def output_names(model: Model) -> tuple[list[Any], str]:
    """Return the names of the outputs, and the word for them in messages."""
    check_one_target(model)
    if model.numeric_y:
        return list(range(model.n_predicted)), "outputs"
    kind = "labels" if model.target.kind == "multilabel" else "classes"
    return model.target.classes_.tolist(), kind


def choose_output(model: Model, target: Any) -> NDArray[np.float64]:
    """Return the factors for summing the columns of the outputs.

    Only the factor of the chosen output is nonzero.

    Raises
    ------
    ValueError
        If ``target`` is not a class or an output of the model, or if it is None although there
        are several.
    """
    names, kind = output_names(model)
    if target is None and model.n_predicted == 1:
        return np.ones(1)
    if target is None:
        raise ValueError(f"There are {len(names)} {kind}. Set target to one of {names}.")
    is_truth_value = model.numeric_y and isinstance(target, bool)
    if np.ndim(target) > 0 or is_truth_value or target not in names:
        raise ValueError(f"target must be one of the {kind} {names}, got {target!r}.")
    position = names.index(target)
    if kind == "classes" and len(names) == 2:
        # With two classes, the only column is the logit of the second class.
        return np.array([1.0 if position == 1 else -1.0])
    return np.eye(model.n_predicted)[position]


def choose_by_row(model: Model, target: Any) -> NDArray[np.float64] | None:
    """Return the factors of :func:`choose_output`; None for several classes without a target.

    With None, each row is explained for its most probable class.
    """
    several_classes = model.n_predicted > 1 and output_names(model)[1] == "classes"
    return None if target is None and several_classes else choose_output(model, target)


def read_baseline(features: Features, model: Model, baseline: Any) -> NDArray[Any]:
    """Return the rows of a baseline, read like X; by default, the typical row of training.

    Raises
    ------
    ValueError
        If the baseline is neither one row nor several rows with the columns of X.
    """
    if baseline is None:
        return model.encoder.typical_row()
    # A Series of pandas has the names of columns as its index, one of polars has no names.
    if hasattr(baseline, "to_frame") and hasattr(baseline, "index"):
        baseline = baseline.to_frame().T
    if sparse.issparse(baseline):
        baseline = baseline.toarray()
    if np.ndim(baseline) == 1:
        baseline = np.asarray(baseline)[np.newaxis]
    shape, expected = np.shape(baseline), features.n_features
    if len(shape) != 2 or shape[1] != expected:
        raise ValueError(
            f"baseline must be one row of {expected} features in the units of X, or several "
            f"such rows, got shape {shape}."
        )
    if not hasattr(baseline, "columns"):
        # The columns of a plain row are identified by their positions, without names.
        features = features.without_names()
    return features.read(baseline, "baseline")


def is_smooth(network: Network) -> bool:
    """Return whether the gradient with respect to the embedded columns is continuous."""
    return all(layer.smooth for layer in network.layers[network.front :])


class EmbeddedTable:
    """The rows of a table as numbers with respect to which a network can be differentiated.

    An encoded row holds scaled numbers, indicators of missing numbers, one-hot columns, and the
    level numbers of categories. An embedded row is the output of the layers that treat each
    column on its own, such as embeddings, or the encoded row if there are none. Each embedded
    column comes from one column of X.
    """

    def __init__(self, model: Model) -> None:
        network, encoder = model.network, model.encoder
        self._encoder = encoder
        self._embedding, self._params = network.part(model.params, 0, network.front)
        sources = column_sources(encoder, model.reader)
        # For each embedded column, the position of the column of X that it comes from.
        self._sources = sources[network.origins]
        # The columns of X that the encoded numeric columns come from.
        self._numeric = sources[: encoder.n_numeric_]

    def embed(self, X: Any) -> Array:
        """Return the dense embedded rows for rows that ``Features.read`` has returned."""
        return self._embed(self._encode(X))[0]

    def gradients(self, X: Any, gradient: Callable[[Array], Array]) -> Array:
        """Return the gradients of a function of the embedded rows with respect to X.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_rows, n_features)
            Rows as ``Features.read`` returns them.
        gradient : callable
            ``gradient(rows)`` returns the gradients with respect to the embedded rows.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            The gradient with respect to a numeric column is carried back through the embedding
            and the encoding. Indicators and levels that come from a numeric column change in
            jumps, and are held constant. The derivative with respect to a category is taken
            along the straight line from the embedded row without a level to the embedded row
            with the category's level.
        """
        encoded = self._encode(X)
        rows, workspace = self._embed(encoded)
        workspace.delta[...] = gradient(rows)
        along_line = workspace.delta * (rows - self._no_level())
        along_line[:, np.isin(self._sources, self._numeric)] = 0
        gradients = self.sum_by_feature(along_line)
        back = cast(Array, self._embedding.backward(self._params, None, encoded, workspace))
        slopes = self._encoder.slopes(X.toarray() if sparse.issparse(X) else X)
        # A column is also the source of its phases or scores, so sources may be repeated.
        products = back[:, : self._encoder.n_numeric_] * slopes
        np.add.at(gradients.T, self._numeric, products.T)
        return gradients

    def _encode(self, X: Any) -> Array:
        """Return the dense encoded rows."""
        encoded = self._encoder.transform(X, self._params.dtype)
        return encoded.toarray() if sparse.issparse(encoded) else encoded

    def _embed(self, encoded: Array) -> tuple[Array, Workspace]:
        """Return the embedded rows, and the workspace for the backward pass."""
        workspace = Workspace(self._embedding, len(encoded), encoded.dtype, input_gradient=True)
        return self._embedding.forward(self._params, encoded, workspace), workspace

    def _no_level(self) -> Array:
        """Return the embedded row in which no category has a level."""
        encoded = np.zeros((1, self._encoder.n_outputs_), self._params.dtype)
        # The number of levels is the level number that stands for none of them.
        encoded[0, self._encoder.n_plain_ :] = [one.n_levels for one in self._encoder.embedded_]
        return self._embed(encoded)[0]

    def sum_by_feature(self, values: Array) -> Array:
        """Return, for each column of X in order, the sum over its embedded columns."""
        n_features = self._encoder.n_columns_
        if np.array_equal(self._sources, np.arange(n_features)):
            return values
        one_hot = sparse.eye_array(n_features, dtype=values.dtype, format="csr")
        return values @ one_hot[self._sources]


def affine_part(network: Network, params: Array) -> tuple[Affine, int]:
    """Return the affine map that follows the front of a network, and where it ends.

    The second result is the position of the first layer that is not part of the map. If no
    layer has such a map there, it is the identity.
    """
    place = network.front
    layer, width = network.layers[place], network.widths[place]
    affine = layer.affine(network.views(params)[place], width, params.dtype)
    if affine is not None:
        return affine, place + 1
    identity = sparse.eye_array(width, dtype=params.dtype, format="csr")
    return Affine(identity, np.zeros(width, params.dtype)), place


class OutputFunction:
    """The outputs of a model as a function of embedded rows, with their gradient.

    The outputs are a classifier's ``decision_function`` or a regressor's ``predict``. The
    function begins with :meth:`enter`, the affine part of the first layer. This part keeps a
    straight line straight, so that only the rest has to be computed for each point of a line.
    Work arrays belong to the instance, which serves one thread at a time.

    Parameters
    ----------
    model : Model
    n_rows : int
        The maximum number of rows per call.
    chosen : ndarray of shape (n_outputs,) or None
        The factors for summing the outputs. None chooses the largest output of each row.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, n_inputs)
        A work array in which callers prepare the argument ``entered``.
    """

    def __init__(self, model: Model, n_rows: int, chosen: NDArray[np.float64] | None) -> None:
        self._chosen, self._model, params = chosen, model, model.params
        self._first, stop = affine_part(model.network, params)
        rest, self._params = model.network.part(params, stop)
        activation = self._first.activation
        layers = rest.layers if activation is None else (Activated(activation), *rest.layers)
        self._network = Network(layers, rest.n_inputs, rest.n_members)
        n_rows = max(n_rows, model.n_predicted)
        self._workspace = Workspace(self._network, n_rows, params.dtype, input_gradient=True)
        self.inputs: Array = np.empty((n_rows, rest.n_inputs), params.dtype)

    def enter(self, rows: Array) -> Array:
        """Return the result of the affine part for embedded rows, which the rest receives."""
        return rows @ self._first.matrix + self._first.bias

    def leave(self, gradients: Array) -> Array:
        """Return the gradients with respect to embedded rows, given those for entered rows."""
        return gradients @ self._first.matrix.T

    def factors(self, entered: Array) -> NDArray[np.float64]:
        """Return, for each row, the factors for summing its outputs."""
        if self._chosen is None:
            outputs = self._outputs(self._raw(entered.copy()))
            return np.eye(outputs.shape[1])[outputs.argmax(axis=1)]
        return np.broadcast_to(self._chosen, (entered.shape[0], self._chosen.size))

    def gradient(self, rows: Array) -> Array:
        """Return the gradients of the chosen outputs with respect to embedded rows."""
        entered = self.enter(rows)
        return self.leave(self.value_and_gradient(entered, self.factors(entered))[1])

    def value_and_gradient(
        self, entered: Array, factors: NDArray[np.float64]
    ) -> tuple[Array, Array]:
        """Return, for each row, the sum of the outputs times ``factors``, and its gradient.

        The gradient, which is a work array, is with respect to ``entered``. ``entered`` is
        overwritten.
        """
        raw = self._raw(entered)
        values = np.einsum("ij,ij->i", self._outputs(raw), factors)
        self._workspace.delta[...] = self._outputs_backward(raw, factors)
        gradient = self._network.backward(self._params, None, entered, self._workspace)
        return values, cast(Array, gradient)

    def _outputs(self, raw: Array) -> Array:
        """Return the outputs for raw predictions."""
        members = self._model.members
        if not self._model.numeric_y:
            return members.decision(raw)
        (prediction,) = members.predictions(raw, members.link.inverse)
        return self._model.target.inverse_transform(prediction)

    def _outputs_backward(self, raw: Array, delta: Array) -> Array:
        """Return the gradient with respect to ``raw``, given the gradient of the outputs."""
        if self._model.numeric_y:
            return self._model.members.backward(raw, delta * self._model.target.scale_)
        return self._model.members.decision_backward(raw, delta)

    def _raw(self, entered: Array) -> Array:
        """Return the raw predictions in float64."""
        return self._network.forward(self._params, entered, self._workspace).astype(np.float64)
