"""The public attributes of a fitted estimator that follow from its model and its record.

:func:`encoded_names` names the columns that enter the first layer with a weight matrix.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknet._input import shown_names
from sknet._model import Model
from sknet.data.encoding import TableEncoder
from sknet.nn.columns import Columns
from sknet.nn.network import Network
from sknet.nn.state import best_epoch


class FittedAttributes:
    """The fitted attributes that are computed from ``_model`` and ``history_``.

    Attributes
    ----------
    coefs_ : list of arrays of shape (n_inputs, n_outputs)
        The ``n_layers_ - 1`` weight matrices, which are views of the fitted parameters. The
        rows of the first matrix belong to the encoded inputs, see ``encoded_feature_names_``.
        With several members the last matrix has the shape (n_members, n_inputs, n_outputs).
        With ``interaction_cst``, a hidden layer has an array (n_groups, n_inputs, n_outputs),
        with the groups of one member after those of another. Groups of fewer inputs than others
        have rows of zeros in the first array. The rows of the last matrix are the units of the
        first group, then those of the second, and so on; the arrays of "pairwise" for
        interactions are not included.
    intercepts_ : list of arrays of shape (n_outputs,)
        The bias vectors. With several members their shape is (n_members, n_outputs), and for a
        hidden layer with ``interaction_cst`` it is (n_groups, n_outputs).
    member_scales_ : list of arrays of shape (n_members, n_inputs)
        The factors by which each member multiplies the inputs of each hidden layer. The list is
        empty for a single member.
    encoded_feature_names_ : ndarray of str
        A name for each row of ``coefs_[0]``. With ``interaction_cst``, a name for each input
        before the inputs are divided among the groups. No two names are equal: a name that
        would occur again, because a column of X has a name like that of an encoding, has a
        number appended, such as "component0_2".
    history_ : dict of str to list of float
        The record of training. Each list has one entry for each epoch, or for each iteration of
        "lbfgs":

        - "loss": the objective, averaged over the batches of the epoch.
        - "validation_loss": the loss of the validation rows without the penalty (with early
          stopping).
        - "validation_score": the score of the validation rows; higher is better (with early
          stopping). Both are NaN in the epochs of a cool-down that trains on these rows (see
          ``refit``).
        - "learning_rate": the learning rate of the last step (not for "lbfgs").
        - "seconds": the duration.
    loss_curve_ : list of float
        The objective of each epoch, which is ``history_["loss"]``.
    loss_ : float
        The last value of ``loss_curve_``.
    best_loss_ : float or None
        The lowest value of ``loss_curve_``; None with early stopping.
    validation_scores_ : list of float or None
        The score of the validation rows in each epoch, which is
        ``history_["validation_score"]``; None without early stopping.
    best_validation_score_ : float or None
        The highest value of ``validation_scores_``, which is the score of the best epoch before
        probabilities are calibrated; None without early stopping.
    auto_params_ : dict
        The value that the last fit chose for each parameter that is "auto".
    n_iter_ : int
        The number of epochs of the last fit, or of all calls of ``partial_fit``.
    best_iter_ : int
        The number of the best epoch, counted from 1: the one with the highest validation score,
        or without early stopping the one with the lowest loss.
    t_ : int
        The number of training rows seen; a row counts again in each epoch.
    n_layers_ : int
        The number of layers, with the input and the output layer.
    n_outputs_ : int
        The number of outputs: of columns of y for regression, of labels for a multi-label
        target, and otherwise of classes, but 1 for two classes.
    out_activation_ : str
        The name of the function that turns the output layer's values into predictions:
        "identity", "exp", "logistic" or "softmax".
    n_features_in_ : int
        The number of features seen during fit.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        The names of the features seen during fit. Defined only if all names of X are strings.
    """

    _model: Model
    history_: dict[str, list[float]]
    n_features_in_: int

    def __sklearn_is_fitted__(self) -> bool:
        return "_model" in vars(self)

    @property
    def auto_params_(self) -> dict[str, Any]:
        """The value that the last fit chose for each parameter that is "auto"."""
        return dict(self._fitted_model.settings.auto)

    @property
    def n_iter_(self) -> int:
        """The number of epochs of the last fit, or of all passes of ``partial_fit``."""
        return len(self.loss_curve_)

    @property
    def best_iter_(self) -> int:
        """The number of the best epoch, from 1: by validation score, or else by loss."""
        check_is_fitted(self)
        return best_epoch(self.history_)

    @property
    def loss_curve_(self) -> list[float]:
        """The objective of each epoch: the mean over its batches, each before its step."""
        check_is_fitted(self)
        return self.history_.get("loss", [])

    @property
    def loss_(self) -> float:
        """The last value of ``loss_curve_``."""
        return self.loss_curve_[-1]

    @property
    def best_loss_(self) -> float | None:
        """The lowest value of ``loss_curve_``; None with early stopping."""
        return min(self.loss_curve_) if self.validation_scores_ is None else None

    @property
    def validation_scores_(self) -> list[float] | None:
        """The validation score of each epoch, higher is better; None without early stopping."""
        check_is_fitted(self)
        return self.history_.get("validation_score")

    @property
    def best_validation_score_(self) -> float | None:
        """The best value of ``validation_scores_``; None without early stopping."""
        scores = self.validation_scores_
        return None if scores is None else scores[self.best_iter_ - 1]

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weight matrices, one for each layer: views of the fitted parameters."""
        return [layer.weight for layer in self._dense_layers()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The bias vectors, one for each layer: views of the fitted parameters."""
        return [layer.bias for layer in self._dense_layers()]

    @property
    def member_scales_(self) -> list[np.ndarray]:
        """The factors by which the members multiply the inputs of each hidden layer."""
        return [layer.scale for layer in self._dense_layers() if hasattr(layer, "scale")]

    @property
    def n_layers_(self) -> int:
        """The number of layers, including the input and the output layer."""
        return len(self._dense_layers()) + 1

    @property
    def n_outputs_(self) -> int:
        """The number of outputs: columns of y, labels, or classes (1 for two classes)."""
        return self._fitted_model.target.n_outputs

    @property
    def out_activation_(self) -> str:
        """The name of the output layer's activation, which is the loss's inverse link."""
        return self._fitted_model.loss.link.out_activation

    @property
    def encoded_feature_names_(self) -> np.ndarray:
        """The name of each input of the first layer that has a weight matrix."""
        model = self._fitted_model
        names, reader = self._column_names, model.reader
        read_names = [names[i] for i in reader.order_]
        encoded = encoded_names(model.network, model.encoder, read_names, reader.levels_)
        return np.array(encoded, dtype=object)

    @property
    def _column_names(self) -> list[str]:
        return shown_names(getattr(self, "feature_names_in_", None), self.n_features_in_)

    @property
    def _fitted_model(self) -> Model:
        # scikit-learn's check, which raises the error, takes longer than one row's arithmetic.
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        return self._model

    def _dense_layers(self) -> list:
        """Return the parameters of each layer that has weights."""
        model = self._fitted_model
        views = model.network.views(model.params)
        return [layer for layer in views if hasattr(layer, "weight")]


def encoded_names(
    network: Network, encoder: TableEncoder, names: Sequence[str], levels: Sequence
) -> list[str]:
    """Return a name for each column that enters the first layer with a weight matrix.

    ``names`` are the names of the numeric columns and then of the categories, and ``levels``
    has the levels of each category. An output of an embedding is named after its column, with
    a number. Components of numbers come last. No two names are equal.
    """
    return unique_names(_names_by_origin(network, encoder, names, levels))


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names of which those that occur again have a number, from 2, appended."""
    taken, found = set(names), dict[str, None]()
    for name in names:
        numbered = (f"{name}_{i}" for i in count(2))
        new = name if name not in found else next(one for one in numbered if one not in taken)
        taken.add(new)
        found[new] = None
    return list(found)


def _names_by_origin(
    network: Network, encoder: TableEncoder, names: Sequence[str], levels: Sequence
) -> list[str]:
    """Return the names of :func:`encoded_names`, of which some may be equal."""
    encoded = encoder.feature_names(names, levels)
    of_components = [f"component{i}" for i in range(encoder.n_found_components_)]
    front = network.layers[0]
    if not isinstance(front, Columns):
        return encoded + of_components
    sources, embedded = iter(encoded), []
    for width, layer in front.parts:
        for j, name in enumerate([next(sources) for _ in range(width)]):
            size = 1 if layer is None else layer.output_counts(width)[j]
            embedded += [name] if layer is None else [f"{name}_{i}" for i in range(size)]
    return embedded + of_components
