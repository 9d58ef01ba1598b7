"""The layers of a fitted network: the outputs of hidden layers, and a summary."""

from numbers import Integral
from typing import Any

from sknet._base import BaseNN, fitted
from sknet._summary import Summary, summarize
from sknet.nn.kernels import Array
from sknet.nn.network import Network


def hidden_features(estimator: BaseNN, X: Any, layer: int = -1) -> Array:
    """Return the outputs of the units of a hidden layer.

    The output layer is a linear model of the outputs of the last hidden layer. They can serve
    as features for another model, for a nearest-neighbour search or for a plot.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted estimator with at least one hidden layer.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows for which the outputs are computed.
    layer : int, default=-1
        The number of the hidden layer, from 0; negative numbers count from the last one.

    Returns
    -------
    ndarray of shape (n_samples, n_units) or (n_samples, n_members * n_units)
        The activations, after normalisation and without dropout. The units of the members
        follow one member after another. float32 for float32 X, else float64.

    Raises
    ------
    ValueError
        If the network has no hidden layer of this number, or if X does not suit the table that
        the estimator was fitted to.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is not one of sknet.

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
    position = _end_of(model.network, layer)
    (hidden,) = model.predictor.map_rows(features.read(X), lambda outputs: (outputs[position],))
    return hidden


def _end_of(network: Network, layer: Any) -> int:
    """Return the position among the network's layers at which a hidden layer ends.

    Raises
    ------
    ValueError
        If the network has no hidden layer of this number.
    """
    ends = network.hidden_ends
    valid = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not valid or not -len(ends) <= layer < len(ends):
        there = f"0 to {len(ends) - 1}, or negative from the end" if ends else "none"
        raise ValueError(
            f"layer must be a hidden layer; the network has {there}. Got {layer!r}."
        )
    return ends[layer]


def summary(estimator: BaseNN) -> Summary:
    """Return a table of the layers of a fitted estimator, and its model card.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
        A fitted estimator.

    Returns
    -------
    Summary
        A sequence with an entry for each layer. It prints as a table, and its method
        ``to_frame`` returns a pandas data frame. The table shows for each layer the number of
        columns that it returns, the shapes, the number and the memory of its parameters, and
        the share of its weights that are exactly zero. Its attribute ``card`` is printed below
        the table: a ``ModelCard`` says what predictions are, which constraints hold, which
        columns and rows training saw, how it ended, and which version of sknet fitted the
        network. ``card.to_dict()`` returns the same as data.

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
    >>> estimator = NNClassifier((16, 8), activation="tanh", dtype="float64", max_iter=5,
    ...                          learning_rate="cosine", numeric_embedding=None, dropout=0,
    ...                          n_members=1, early_stopping=False)
    >>> table = summary(estimator.fit(X, y))
    >>> table  # doctest: +ELLIPSIS
    NNClassifier: 4 features, 4 encoded columns, 3 raw predictions, float64
    layer       outputs  parameters  shapes                      zero   memory
    --------------------------------------------------------------------------
    Dense tanh       16          80  weight (4, 16), bias (16,)  0.0%  640.0 B
    Dense tanh        8         136  weight (16, 8), bias (8,)   0.0%  1.1 KiB
    Dense             3          27  weight (8, 3), bias (3,)    0.0%  216.0 B
    --------------------------------------------------------------------------
    total                       243                              0.0%  1.9 KiB
    <BLANKLINE>
    predicts         the probability of each class
    classes          0, 1, 2
    loss             MultinomialLogLoss()
    calibration      none
    interactions     of all columns
    columns          4
    numbers          4
    training rows    150
    validation rows  none
    epochs           5 of at most 5
    ended            all planned epochs were made
    parameters from  the last epoch
    parameters       243
    dtype            float64
    fitted with      sknet ...
    >>> table[0].n_params
    80
    >>> table.card.to_dict()["training rows"]
    150
    """
    features, model = fitted(estimator)
    return summarize(type(estimator).__name__, features.shown_names, model, estimator.history_)
