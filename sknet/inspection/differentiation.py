"""The functions that fitted estimators compute, in a form that can be differentiated."""

import numpy as np
from scipy import sparse

from sknet.nn.embeddings import Columns
from sknet.nn.ensembles import by_member, mean_of_members
from sknet.nn.layers import Activated
from sknet.nn.network import Network, Workspace


def n_embedding_layers(network):
    """Return how many layers embed columns, each by itself, before any that mixes them."""
    return int(isinstance(network.layers[0], Columns))


def is_smooth(network):
    """Whether the gradient has no jumps, by the embedded columns."""
    return all(
        layer.activation.smooth for layer in network.layers if hasattr(layer, "activation")
    )


class EmbeddedTable:
    """A model's rows as numbers that its network can be differentiated by, and back.

    An embedded row is an encoded one (scaled numbers, indicators of missing ones, one-hot
    columns, level numbers of categories) after the layer that embeds numbers and categories,
    if there is one. Each of its columns stems from one feature.
    """

    def __init__(self, model, n_features):
        network, encoder, reader = model.network, model.encoder, model.reader
        self._encoder = encoder
        self._n_features = n_features
        self._dtype = model.params.dtype
        n_layers = n_embedding_layers(network)
        self._front, self._params = network.part(model.params, 0, n_layers)
        # For each embedded column the encoded one and the feature that it stems from.
        self._encoded = np.arange(encoder.n_outputs_)
        if n_layers:
            counts = network.layers[0].output_counts(encoder.n_outputs_)
            self._encoded = np.repeat(self._encoded, counts)
        features = encoder.sources_ if reader is None else reader.order_[encoder.sources_]
        self._features = features[self._encoded]
        self._numbers = features[: encoder.n_numeric_]

    def embed(self, X):
        """Return the embedded rows of checked rows, dense."""
        return self._embed(self._encode(X))[0]

    def gradients(self, X, gradient):
        """Return the gradients by the features, given how to compute those by embedded rows.

        Those of numbers go back through the embedding and the encoding. A category's level is
        taken to fade in, from the embedded row of no level at all to its own, and so is the
        indicator of a missing number.
        """
        encoded = self._encode(X)
        rows, workspace = self._embed(encoded)
        workspace.delta[...] = gradient(rows)
        fading = workspace.delta * (rows - self._nothing())
        fading[:, self._encoded < self._encoder.n_numeric_] = 0
        gradients = self.fold(fading)
        back = self._front.backward(self._params, None, encoded, workspace)
        slopes = self._encoder.slopes(X.toarray() if sparse.issparse(X) else X)
        gradients[:, self._numbers] += back[:, : self._encoder.n_numeric_] * slopes
        return gradients

    def _encode(self, X):
        encoded = self._encoder.transform(X, self._dtype)
        return encoded.toarray() if sparse.issparse(encoded) else encoded

    def _embed(self, encoded):
        """Return embedded rows and the workspace to go back with."""
        workspace = Workspace(self._front, len(encoded), self._dtype, input_gradient=True)
        return self._front.forward(self._params, encoded, workspace), workspace

    def _nothing(self):
        """Return an embedded row of no level, and no number missing."""
        encoded = np.zeros((1, self._encoder.n_outputs_), self._dtype)
        encoded[0, self._encoder.n_plain_ :] = [one.n_levels for one in self._encoder.embedded_]
        return self._embed(encoded)[0]

    def fold(self, values):
        """Return the sum over the embedded columns of each feature, in the order of X."""
        if np.array_equal(self._features, np.arange(self._n_features)):
            return values
        n_columns = self._features.size
        ones = np.ones(n_columns, values.dtype)
        places = np.arange(n_columns), self._features
        shape = n_columns, self._n_features
        return values @ sparse.csr_array((ones, places), shape=shape)


class DecisionFunction:
    """The ``decision_function`` of a classifier, given raw predictions."""

    def __init__(self, model):
        self._loss = model.loss
        self._n_members = model.n_members
        if self._n_members > 1:
            check_derivative(self._loss, "inverse_link")
            check_derivative(self._loss, "link")

    def values(self, raw):
        """Return the outputs, a column each."""
        return mean_of_members(raw, self._n_members, self._loss)

    def backward(self, raw, delta):
        """Return the gradient of ``raw``, given that of the outputs."""
        if self._n_members == 1:
            return delta
        members = by_member(raw, self._n_members)
        mean = self._loss.inverse_link(members).mean(axis=1)
        delta = self._loss.link_backward(mean, delta)
        return through_mean(self._loss, members, delta)


class Prediction:
    """The ``predict`` of a regressor, given raw predictions."""

    def __init__(self, model):
        self._loss = model.loss
        self._target = model.target
        self._n_members = model.n_members
        check_derivative(self._loss, "inverse_link")

    def values(self, raw):
        """Return the outputs in y's units, a column each."""
        members = self._loss.inverse_link(by_member(raw, self._n_members))
        return self._target.inverse_transform(members.mean(axis=1))

    def backward(self, raw, delta):
        """Return the gradient of ``raw``, given that of the outputs."""
        members = by_member(raw, self._n_members)
        return through_mean(self._loss, members, delta * self._target.scale_)


def through_mean(loss, members, delta):
    """Return the gradient of raw predictions, given that of the mean over the members."""
    of_each = np.repeat(delta[:, np.newaxis] / members.shape[1], members.shape[1], axis=1)
    gradient = loss.inverse_link_backward(members, of_each)
    return gradient.reshape(members.shape[0], -1)


def check_derivative(loss, name):
    """Raise if a user's loss has a link of its own without the derivative.

    Raises
    ------
    NotImplementedError
        With the method that is missing.
    """
    for cls in type(loss).__mro__:
        if f"{name}_backward" in vars(cls):
            return
        if name in vars(cls):
            raise NotImplementedError(
                f"{cls.__name__} defines {name}, but not its derivative: write "
                f"{name}_backward, as the losses of sknet.nn.losses do."
            )


class OutputFunction:
    """What a model computes from embedded rows, with its gradient.

    A classifier's ``decision_function`` or a regressor's ``predict``, with a column for each
    output. It begins with a product, :meth:`enter`, which leaves a straight line straight: only
    what follows need be computed at each point of it. Work arrays belong to the instance, which
    serves one thread at a time.

    Parameters
    ----------
    model : Model
    n_rows : int
        The most rows of a call.

    Attributes
    ----------
    inputs : ndarray of shape (n_rows, n_inputs)
        Room for what is entered.
    """

    def __init__(self, model, n_rows):
        self._output = Prediction(model) if model.numeric_y else DecisionFunction(model)
        network, params = model.network, model.params
        place = n_embedding_layers(network)
        first, views = network.layers[place], network.views(params)[place]
        self._matrix, self._bias = first.matrix(views), views.bias.reshape(-1)
        rest, self._params = network.part(params, place + 1)
        layers = Activated(first.activation), *rest.layers
        self._network = Network(layers, rest.n_inputs, rest.n_members)
        n_rows = max(n_rows, model.n_raw)
        self._workspace = Workspace(self._network, n_rows, params.dtype, input_gradient=True)
        self.inputs = np.empty((n_rows, rest.n_inputs), params.dtype)

    def enter(self, rows):
        """Return the inputs of the first activation at embedded rows."""
        return rows @ self._matrix + self._bias

    def leave(self, gradients):
        """Return the gradients by embedded rows, given those by what they enter as."""
        return gradients @ self._matrix.T

    def __call__(self, entered):
        """Return the outputs; ``entered`` is overwritten."""
        return self._output.values(self._raw(entered))

    def value_and_gradient(self, entered, chosen):
        """Return the sum of the outputs times ``chosen``, of each row, and its gradient.

        The gradient is a work array; ``entered`` is overwritten.
        """
        raw = self._raw(entered)
        values = np.einsum("ij,ij->i", self._output.values(raw), chosen)
        self._workspace.delta[...] = self._output.backward(raw, chosen)
        return values, self._network.backward(self._params, None, entered, self._workspace)

    def _raw(self, entered):
        raw = self._network.forward(self._params, entered, self._workspace)
        return raw.astype(np.float64)
