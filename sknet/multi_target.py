"""The estimator for several targets of different kinds."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score

from sknet._base import BaseNN, fitted_attributes
from sknet._joint_model import LEARNED, JointModel
from sknet._parameters import AUTO, defaults, is_auto, one_pass, parameters_of, with_parameters
from sknet._requirements import available_if
from sknet._settings import TASKS
from sknet._shared_parameters import shared_documentation
from sknet._target_checks import check_partial_fit_targets, check_targets, check_weight
from sknet.classifier import NNClassifier, clipped
from sknet.data.joint import side_by_side
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.rules import POSITIVE
from sknet.regressor import NNRegressor, score_predictions


def _has_labels(estimator: Any) -> bool:
    """Return True if the estimator is fitted to a target with labels, for ``available_if``.

    Raises
    ------
    AttributeError
        If it is not.
    """
    if not (estimator.__sklearn_is_fitted__() and estimator.classes_):
        raise AttributeError("predict_proba needs a fitted network that has labels to predict.")
    return True


@shared_documentation
@with_parameters
class NNMultiTarget(BaseNN):
    """Neural network for several targets: numbers, labels or both, with missing values.

    The targets share all layers but the last. The loss is the weighted sum of the targets' mean
    losses, each without rows whose target is NaN or None. ``monotonic_cst`` is not supported.

    Parameters
    ----------
    {parameters}
    targets : dict of str to str or Loss, or None, default=None
        **Output.** For columns of y, by name: "regression", "classification", or a loss of
        ``NNRegressor`` or ``NNClassifier`` (a name or an object), except "ordinal" and lists of
        quantiles. Other columns of numbers (also as objects) are numbers, the rest labels,
        dates only if listed as such. The columns of an array are called "y0", "y1" and so on.
    target_weights : dict of str to float, "learned", "auto" or None, default="auto"
        The weight of the loss of each target. Targets without a weight get 1; with None, all
        targets do. "learned" weighs targets by their uncertainty (Kendall, Gal and Cipolla,
        2018): the loss of target k becomes exp(-s_k) l_k + s_k / 2, and training learns s_k.
        The loss "normal" and constant targets keep a weight of 1. "auto" is None for a single
        target, or if all losses are squared errors and y is standardized, otherwise "learned".

    Attributes
    ----------
    classes_ : dict of str to ndarray
        The classes of each target that has labels.
    estimators_ : dict of str to estimator
        For each target, an NNRegressor or NNClassifier with equal predictions (up to rounding).
    target_weights_ : dict of str to float
        The weight of the mean loss of each target; a learned one is exp(-s_k).
    {attributes}

    See Also
    --------
    NNRegressor : Neural network for regression; also for several outputs with one loss.
    NNClassifier : Neural network for classification; also for several columns of classes.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.datasets import load_iris
    >>> from sknet import NNMultiTarget
    >>> X, species = load_iris(return_X_y=True, as_frame=True)
    >>> y = pd.DataFrame({"width": X.pop("petal width (cm)"), "species": species.astype(str)})
    >>> network = NNMultiTarget(random_state=0).fit(X, y)
    >>> network.predict(X).columns.tolist()
    ['width', 'species']
    >>> network.score(X, y) > 0.9
    True
    """

    _: KW_ONLY
    targets: Annotated[dict[str, str | Loss] | None, dict, None] = None
    target_weights: Annotated[dict[str, float] | str | None, {LEARNED}, AUTO, dict, None] = (
        "auto"
    )

    def _validate_params(self) -> None:
        super()._validate_params()
        names = {*TASKS, *LOSSES}
        for name, one in (self.targets or {}).items():
            if not (isinstance(one, Loss) or (isinstance(one, str) and one in names)):
                # "binary_log_loss" is the log loss of two classes; "ordinal" needs one target.
                offered = sorted(names - {"binary_log_loss", "ordinal"})
                raise ValueError(
                    f"targets[{name!r}] must be a Loss or one of {offered}, got {one!r}."
                )
        weights = self.target_weights if isinstance(self.target_weights, dict) else {}
        for name, weight in weights.items():
            if not POSITIVE.allows(weight):
                raise ValueError(
                    f"target_weights[{name!r}] must be a finite number > 0, got {weight!r}."
                )

    @property
    def auto_params_(self) -> dict[str, Any]:
        """The value that the last fit chose for each parameter that is "auto"."""
        chosen = super().auto_params_
        if is_auto(self._joint.settings.values["target_weights"]):
            chosen["target_weights"] = LEARNED if self._joint.loss.learned else None
        return chosen

    @property
    def classes_(self) -> dict[str, np.ndarray]:
        """The classes of each target that has labels."""
        return {name: one.classes_ for name, one in self._joint.target.of_labels.items()}

    @property
    def target_weights_(self) -> dict[str, float]:
        """The weight of the mean loss of each target, given or learned."""
        return dict(zip(self._joint.target.names, self._joint.target_weights, strict=True))

    @property
    def estimators_(self) -> dict[str, NNClassifier | NNRegressor]:
        """For each target, a fitted estimator with equal predictions (up to rounding)."""
        (features, joint), own = self._last_fit(), parameters_of(self)
        estimators = {}
        for number, name in enumerate(joint.target.names):
            model = joint.separated(number)
            cls = NNRegressor if model.numeric_y else NNClassifier
            shared = {key: own[key] for key in defaults(cls) if key in own}
            estimators[name] = cls(**shared, loss=model.loss)
            fitted: Any = fitted_attributes(features, model, self.history_)
            estimators[name].__dict__.update(fitted)
        return estimators

    @one_pass
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: dict[str, ArrayLike] | None = None,
    ) -> Self:
        """Update the network with one pass over the given rows.

        The first call fixes the classes and the scaling of the inputs, and needs rows with each
        target. Otherwise, this method works like ``partial_fit`` of :class:`NNRegressor`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows.
        y : frame or array of shape (n_samples, n_targets)
            The targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only their ratios matter. None weights all rows equally.
        classes : dict of str to array-like, default=None
            All classes of each target that has labels. The first call needs them, and those of
            later calls must be the same.

        Returns
        -------
        self : object
            The updated estimator.
        """
        known = self.classes_ if self.__sklearn_is_fitted__() else None
        if known is None or classes is not None:
            check_partial_fit_targets(self._read_y(y), classes, known)
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> Any:
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        frame or ndarray of shape (n_samples, n_targets)
            A pandas or polars frame if the y of training was one, otherwise an array. Numbers
            are in the units of y. For labels, the most probable class is predicted.
        """
        features, joint = self._last_fit()
        return side_by_side(joint.predict_by_name(features.read(X)), joint.target.library, X)

    @available_if(_has_labels)
    def predict_proba(self, X: Any) -> dict[str, np.ndarray]:
        """Predict the probability of each class of the targets that have labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.

        Returns
        -------
        dict of str to ndarray of shape (n_samples, n_classes)
            For each target, a column for each of its ``classes_``. No probability is 0 or 1.
        """
        features, joint = self._last_fit()
        rows, target = features.read(X), joint.target
        (proba,) = joint.predict(rows, lambda raw: joint.probabilities(raw, False))
        return dict(zip(target.of_labels, target.by_target(clipped(proba)), strict=True))

    def target_scores(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> dict[str, float]:
        """Return the score of each target: R2 for numeric targets, accuracy for labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        y : frame or array of shape (n_samples, n_targets)
            The true targets. A row that lacks a target does not count in its score. The columns
            of an array are those of training, in the same order. A frame may have them in any
            order.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. None gives each row a weight of one.

        Returns
        -------
        dict of str to float
            The score of each target, NaN if no row of positive weight has it. With the loss
            "quantile", the score is D2 of the pinball loss.
        """
        (features, joint), read = self._last_fit(), self._read_y(y)
        joint.target.check_columns(read, "y")
        if sample_weight is not None:
            sample_weight = check_weight(sample_weight, read, "sample_weight")
        predicted = joint.predict_by_name(features.read(X))
        scores = {}
        for model, (name, _, known, values) in joint.columns(read):
            own_weight = None if sample_weight is None else sample_weight[known]
            counted = known if own_weight is None else own_weight
            own = values, predicted[name][known], own_weight
            scores[name] = _score(model, *own) if counted.any() else np.nan
        return scores

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean of the targets' scores (see ``target_scores``).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        y : frame or array of shape (n_samples, n_targets)
            The true targets.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. None gives each row a weight of one.

        Returns
        -------
        float
            The mean over the targets that at least one row has; NaN if there are none.
        """
        scores = [*self.target_scores(X, y, sample_weight).values()]
        known = [score for score in scores if not np.isnan(score)]
        return float(np.mean(known)) if known else np.nan

    @property
    def _joint(self) -> JointModel:
        return cast(JointModel, self._fitted_model)

    def _read_y(self, y: Any) -> np.ndarray:
        names = self._joint.target.names if self.__sklearn_is_fitted__() else []
        return check_targets(y, self.targets or {}, "y", names)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


def _score(model: Any, y: Any, prediction: Any, sample_weight: Any) -> float:
    """Return the score of one target."""
    if model.numeric_y:
        return score_predictions(model, prediction, y, sample_weight)
    return accuracy_score(y, prediction, sample_weight=sample_weight)
