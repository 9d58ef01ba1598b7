"""The layers of a fitted network: a table of them, and what their units compute."""

from sknet._base import fitted
from sknet._summary import summarize
from sknet.inspection.arguments import check_layer


def hidden_features(estimator, X, layer=-1):
    """Return the outputs of a hidden layer's units.

    Those of the last one are what the output layer is a linear model of: features for another
    model, a nearest-neighbour search or a plot.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted network with at least one hidden layer.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to compute them for.
    layer : int, default=-1
        Which hidden layer, from 0; negative numbers count from the last.

    Returns
    -------
    ndarray of shape (n_samples, n_units) or (n_samples, n_members * n_units)
        The activations (after normalisation, without dropout); with several members, those of
        one after another. float32 for float32 X, else float64.

    Raises
    ------
    ValueError
        If there is no such layer, or X is not what the estimator was fitted to.
    NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.inspection import hidden_features
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NNClassifier((16, 8), n_members=1, max_iter=5, learning_rate="cosine")
    >>> hidden_features(network.fit(X, y), X).shape
    (150, 8)
    """
    features, model = fitted(estimator)
    place = check_layer(model.network, layer)
    (hidden,) = model.map_rows(features.read(X), lambda outputs: (outputs[place],))
    return hidden


def summary(estimator):
    """Return a table of the layers of a fitted network.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted network.

    Returns
    -------
    Summary
        A sequence of layers that prints as a table, with ``to_frame`` for pandas: of each layer
        the columns that it returns, its parameters' shapes, number and memory, and the share of
        its weights that are exactly zero.

    Raises
    ------
    TypeError
        If the estimator is not one of sknet.
    NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNClassifier
    >>> from sknet.inspection import summary
    >>> X, y = load_iris(return_X_y=True)
    >>> network = NNClassifier((16, 8), activation="tanh", dtype="float64", max_iter=5,
    ...                        learning_rate="cosine", numeric_embedding=None, dropout=0,
    ...                        n_members=1)
    >>> table = summary(network.fit(X, y))
    >>> table
    NNClassifier: 4 features, 4 encoded columns, 3 raw predictions, float64
    layer       outputs  parameters  shapes                      zero   memory
    --------------------------------------------------------------------------
    Dense tanh       16          80  weight (4, 16), bias (16,)  0.0%  640.0 B
    Dense tanh        8         136  weight (16, 8), bias (8,)   0.0%  1.1 KiB
    Dense             3          27  weight (8, 3), bias (3,)    0.0%  216.0 B
    --------------------------------------------------------------------------
    total                       243                              0.0%  1.9 KiB
    >>> table[0].n_params
    80
    """
    features, model = fitted(estimator)
    return summarize(type(estimator).__name__, features.n_features, model)
