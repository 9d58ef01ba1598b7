"""The functions that fitted estimators compute, in a form that can be differentiated."""

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier

from sknet.nn.embeddings import Columns, after_look_up
from sknet.nn.ensembles import by_member, mean_of_members
from sknet.nn.network import Workspace


class EmbeddedTable:
    """An estimator's rows as numbers that its network can be differentiated by, and back.

    An embedded row is an encoded one (scaled numbers, indicators of missing ones, one-hot
    columns) in which the level numbers of categories are replaced by their learned vectors.

    Attributes
    ----------
    n_columns : int
        Columns of embedded rows.
    """

    def __init__(self, estimator):
        self._table = estimator._table
        self._n_features = estimator.n_features_in_
        self._dtype = estimator._params.dtype
        front = estimator._network.layers[0]
        self._front = front if isinstance(front, Columns) and front.looks_up else None
        self._front_params = estimator._network.views(estimator._params)[0]
        sources = self._table.sources_
        if self._front is not None:
            n_plain = self._table.n_plain_
            sizes = [layer.size for _, layer in self._front.parts[-(sources.size - n_plain) :]]
            sources = np.concatenate([sources[:n_plain], np.repeat(sources[n_plain:], sizes)])
        self.n_columns = sources.size
        reader = estimator._reader
        self._sources = sources if reader is None else reader.order_[sources]

    def embed(self, X):
        """Return the embedded rows of checked rows, dense."""
        encoded = self._table.transform(X, self._dtype)
        if sparse.issparse(encoded):
            return encoded.toarray()
        return encoded if self._front is None else self._look_up(encoded)

    def _look_up(self, encoded):
        return self._front.look_up(self._front_params, encoded)

    def directions(self, X, embedded):
        """Return what the gradient of embedded rows is multiplied by, column by column.

        For numbers it is the slope of the encoding. A category's level is taken to fade in,
        from the encoding of no level at all to its own, and so is the indicator of a missing
        number.
        """
        X = X.toarray() if sparse.issparse(X) else X
        directions = embedded - self._nothing()
        n_numeric = self._table.n_numeric_
        directions[:, :n_numeric] = self._table.slopes(X)
        return directions

    def _nothing(self):
        """Return an embedded row of no level, and no number missing."""
        encoded = np.zeros((1, self._table.n_outputs_), self._dtype)
        if self._front is None:
            return encoded
        encoded[0, self._table.n_plain_ :] = [one.n_levels for one in self._table.embedded_]
        return self._look_up(encoded)

    def fold(self, values):
        """Return the sum over the embedded columns of each feature, in the order of X."""
        if np.array_equal(self._sources, np.arange(self._n_features)):
            return values
        ones = np.ones(self.n_columns, values.dtype)
        places = np.arange(self.n_columns), self._sources
        shape = self.n_columns, self._n_features
        return values @ sparse.csr_array((ones, places), shape=shape)


class DecisionFunction:
    """The ``decision_function`` of a classifier, given raw predictions."""

    def __init__(self, estimator):
        self._loss = estimator._loss
        self._n_members = estimator._network.n_members
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

    def __init__(self, estimator):
        self._loss = estimator._loss
        self._target = estimator._target
        self._n_members = estimator._network.n_members
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
    """What an estimator computes from embedded rows, with its gradient.

    A classifier's ``decision_function`` or a regressor's ``predict``, with a column for each
    output. Work arrays belong to the instance, which serves one thread at a time.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
    n_rows : int
        The most rows of a call.
    """

    def __init__(self, estimator, n_rows):
        self._output = (DecisionFunction if is_classifier(estimator) else Prediction)(estimator)
        self._network, self._params = after_look_up(estimator._network, estimator._params)
        dtype = self._params.dtype
        self._workspace = Workspace(self._network, n_rows, dtype, input_gradient=True)

    def __call__(self, rows):
        """Return the outputs."""
        return self._output.values(self._raw(rows))

    def value_and_gradient(self, rows, chosen):
        """Return the sum of the outputs times ``chosen``, of each row, and its gradient.

        The gradient by the embedded rows is a work array.
        """
        raw = self._raw(rows)
        values = np.einsum("ij,ij->i", self._output.values(raw), chosen)
        self._workspace.delta[...] = self._output.backward(raw, chosen)
        return values, self._network.backward(self._params, None, rows, self._workspace)

    def _raw(self, rows):
        raw = self._network.forward(self._params, rows, self._workspace)
        return raw.astype(np.float64)
