"""The estimator for classification."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any, Literal, Self, cast, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from sknet._base import BaseNN
from sknet._model import ClassificationModel
from sknet._parameters import AUTO, one_pass, with_parameters
from sknet._shared_parameters import shared_documentation
from sknet._target_checks import check_partial_fit_classes, check_y
from sknet.nn.losses import Loss, uses_order
from sknet.nn.rules import FRACTION


@shared_documentation
@with_parameters
class NNClassifier(ClassifierMixin, BaseNN):
    """Neural network for classification: binary, multiclass, multi-label, multioutput.

    A drop-in replacement for :class:`sklearn.neural_network.MLPClassifier`. The first five
    parameters matter most. ``auto_params_`` shows the values that a fit chose for "auto".

    Parameters
    ----------
    {parameters}
    loss : {"log_loss", "ordinal"} or Loss, default="log_loss"
        **Output.** The log loss, "ordinal" for ordered classes, or a ``sknet.nn.losses.Loss``.
    class_weight : dict, "balanced", list of dicts or None, default=None
        The weights of the classes, times ``sample_weight``. "balanced" gives all the same
        total. A dict with all classes may also have others. Several labels need a dict each.
    label_smoothing : float in [0, 1) or "auto", default="auto"
        The share of each label that is spread over the classes, in proportion to their weights.
        "auto" is up to 0.02 with early stopping, the log loss and adam; mostly 0 otherwise.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or a list of these for several columns of classes
        The sorted class labels. For a multi-label target, the indices of its columns.
    thresholds_ : ndarray of shape (n_classes - 1,) or (n_members, n_classes - 1)
        With loss="ordinal", the increasing thresholds of the score.
    {attributes}

    See Also
    --------
    NNRegressor : Neural network for regression.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import NNClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = NNClassifier(random_state=0).fit(X_train, y_train)
    >>> network.score(X_test, y_test) > 0.9
    True
    """

    _: KW_ONLY
    loss: Annotated[str | Loss, {"log_loss", "ordinal"}, Loss] = "log_loss"
    class_weight: Annotated[
        dict[Any, float] | list[dict[int, float]] | str | None, {"balanced"}, dict, list, None
    ] = None
    label_smoothing: Annotated[float | str, AUTO, FRACTION] = "auto"

    @property
    def classes_(self) -> np.ndarray:
        """The sorted class labels; a list for several columns of classes."""
        return self._fitted_model.target.classes_

    @property
    def thresholds_(self) -> np.ndarray:
        """With loss="ordinal", the increasing thresholds of the score."""
        return cast(ClassificationModel, self._fitted_model).thresholds

    @one_pass
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Update the network with one pass over the given rows.

        The first call fixes the classes and the scaling of the inputs. Later calls must not
        change layers, encodings or constraints, and ignore ``random_state``. A schedule that
        ends at zero becomes a constant rate; after ``fit``, it is reached slowly. Callbacks,
        ``max_iter``, ``time_limit``, ``tol``, ``n_iter_no_change``, ``early_stopping``,
        ``refit``, ``scoring`` and ``validation_fraction`` have no effect.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The labels of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only ratios within a call matter. None weights all equally.
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls. The first call needs them, unless y is multi-label.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid, or if training diverges. The estimator is then unchanged.
            Predictions far worse than a constant give a ConvergenceWarning.
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once, which partial_fit never has. "
                "Pass a dict (for a multi-label y, a list of dicts), for example of the "
                "weights that sklearn.utils.class_weight.compute_class_weight returns, or use "
                "sknet.streaming.fit_chunks."
            )
        known = self.classes_ if self.__sklearn_is_fitted__() else None
        check_partial_fit_classes(y, classes, known)
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each row, or the labels with a probability above 0.5.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The most probable class (with loss="ordinal" the median), or 0 or 1 for each label.
        """
        features, model = self._last_fit()
        (places,) = model.predict(features.read(X), lambda raw: (model.places(raw),))
        return model.target.labels(places)

    @overload
    def predict_proba(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...
    @overload
    def predict_proba(
        self, X: Any, return_std: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...
    def predict_proba(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        return_std : bool, default=False
            Whether to also return the standard deviation of the members' probabilities. This
            requires several members; otherwise, a ValueError is raised.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), or a list of these, like ``classes_``
            In the order of ``classes_``. No probability is 0 or 1. float32 for float32 X.
        std : ndarray or list of the same shape
            The standard deviations. Only returned with ``return_std=True``.
        """
        features, model = self._last_fit()
        model.check_std(return_std)
        proba, *std = model.predict(
            features.read(X), lambda raw: model.probabilities(raw, return_std)
        )
        results = [model.target.by_target(one) for one in (clipped(proba), *std)]
        return tuple(results) if return_std else results[0]

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or a list of these, like ``classes_``
            The logarithms of the probabilities of ``predict_proba``. All are finite.
        """
        proba = self.predict_proba(X)
        return [*map(np.log, proba)] if isinstance(proba, list) else np.log(proba)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return logits of the classes, or log probabilities of three or more ordered classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes), or a list of these
            The logit of the second of two classes, otherwise a column for each class or label.
            With several members, of their mean probabilities; if additive, the mean logits.
        """
        features, model = self._last_fit()
        (decision,) = model.predict(features.read(X), lambda raw: (model.decision(raw),))
        return model.target.by_target(decision)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy: the share of rows whose labels are all correct.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. None gives each row a weight of one.

        Returns
        -------
        float
            The weighted accuracy, from 0 to 1.
        """
        if self._fitted_model.target.kind != "multioutput":
            return super().score(X, y, sample_weight)
        predicted, labels = self.predict(X), check_y(y, False, "y")
        if labels.shape != predicted.shape:
            raise ValueError(f"y must have the shape {predicted.shape}, got {labels.shape}.")
        right = (predicted == labels).all(axis=1)
        return accuracy_score(np.ones_like(right), right, sample_weight=sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        takes_columns = not uses_order(self.loss)
        tags.classifier_tags.multi_label = tags.target_tags.multi_output = takes_columns
        return tags


def clipped(proba: np.ndarray) -> np.ndarray:
    """Clip probabilities in place, so that none is 0 or 1, and return them.

    Rounding can produce 0 and 1, where the log loss can be infinite.
    """
    limits = np.finfo(proba.dtype)
    return proba.clip(limits.tiny, 1 - limits.epsneg, out=proba)
