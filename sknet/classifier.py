"""The estimator for classification."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from sknet._base import BaseNN
from sknet._model import ClassificationModel
from sknet._parameters import available_with_stochastic_solver, with_parameters
from sknet._requirements import fit_context
from sknet._shared_parameters import shared_documentation
from sknet._target_checks import check_partial_fit_classes
from sknet.nn.losses import Loss
from sknet.nn.rules import FRACTION


@shared_documentation
@with_parameters
class NNClassifier(ClassifierMixin, BaseNN):
    """Neural network for classification: binary, multiclass and multi-label.

    A drop-in replacement for :class:`sklearn.neural_network.MLPClassifier`. The first five
    parameters matter most. ``auto_params_`` shows what a fit chose for those that are "auto".

    Parameters
    ----------
    {parameters}
    loss : "log_loss" or Loss, default="log_loss"
        **Output.** The loss function: the log loss, or a ``Loss`` of ``sknet.nn.losses``.
    class_weight : dict, "balanced", list of dicts or None, default=None
        The weights of the classes, which multiply ``sample_weight``. "balanced" makes their
        total weights equal. For a multi-label target, a list has a dict for each label.
    label_smoothing : float in [0, 1), default=0.0
        The share of each training target that is spread evenly over all classes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels. For a multi-label target, the indices of its columns.
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
    loss: Annotated[str | Loss, {"log_loss"}, Loss] = "log_loss"
    class_weight: Annotated[
        dict[Any, float] | list[dict[int, float]] | str | None, {"balanced"}, dict, list, None
    ] = None
    label_smoothing: Annotated[float, FRACTION] = 0.0

    @property
    def classes_(self) -> np.ndarray:
        """The class labels. For a multi-label target, the indices of its columns."""
        return self._fitted_model.target.classes_

    @available_if(available_with_stochastic_solver)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Update the network by one pass over the given rows.

        The first call fixes the classes and the scaling of the inputs. There is no early
        stopping, and a schedule that ends at zero is replaced by a constant learning rate.
        Layers, encodings and constraints must stay the same in later calls. ``max_iter``,
        ``tol``, ``n_iter_no_change``, ``early_stopping``, ``refit``, ``validation_fraction``
        and ``scoring`` have no effect; ``random_state`` acts in the first call only.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The labels of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only their ratios matter; None gives all the same weight.
        classes : array-like of shape (n_classes,), default=None
            All classes of any call, needed in the first call unless y is multi-label.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If an argument is invalid or training diverges. The estimator stays as it was.

        Warns
        -----
        ConvergenceWarning
            If predictions of the rows are still far worse than a constant.
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once, which partial_fit never has. "
                "Give a dict, for example with the weights that compute_class_weight of "
                "sklearn.utils.class_weight returns, or use sknet.streaming.fit_chunks."
            )
        known = self.classes_ if self.__sklearn_is_fitted__() else None
        check_partial_fit_classes(y, classes, known)
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class, or the labels with a probability above 0.5.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The class labels. For a multi-label target, 1 for each predicted label, else 0.
        """
        model = cast(ClassificationModel, self._fitted_model)
        (places,) = self._predict(X, lambda raw: (model.places(raw),))
        return model.target.labels(places)

    def predict_proba(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        return_std : bool, default=False
            Whether to return the standard deviation of the members' probabilities as well.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``, and never 0 or 1. They are float32 for float32 X.
        std : ndarray of shape (n_samples, n_classes)
            The standard deviation, with ``return_std=True``.

        Raises
        ------
        ValueError
            If ``return_std`` is True and the network has a single member.
        """
        model = cast(ClassificationModel, self._fitted_model)
        model.check_std(return_std)
        proba, *std = self._predict(X, lambda raw: model.probabilities(raw, return_std))
        # The log loss can be infinite at 0 and 1, which rounded probabilities may be.
        limits = np.finfo(proba.dtype)
        proba.clip(limits.tiny, 1 - limits.epsneg, out=proba)
        return (proba, *std) if return_std else proba

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The logarithms of the probabilities of ``predict_proba``. All are finite.
        """
        proba = cast(np.ndarray, self.predict_proba(X))
        return np.log(proba, out=proba)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The logit of the second of two classes, or else a column for each class or label.
            With several members, it follows from the mean of their probabilities.
        """
        model = cast(ClassificationModel, self._fitted_model)
        (decision,) = self._predict(X, lambda raw: (model.decision(raw),))
        return decision[:, 0] if model.target.kind == "binary" else decision

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy: the share of rows whose labels are all right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        y, sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
            The true labels and the weights of the rows.

        Returns
        -------
        float
            The weighted share, from 0 to 1.
        """
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
