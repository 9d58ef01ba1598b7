"""The estimator for regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Annotated, Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.metaestimators import available_if

from sknet._base import BaseNN
from sknet._hints import hinting
from sknet._model import Model, RegressionModel
from sknet._parameters import FLAT_LIST, available_with_stochastic_solver, with_parameters
from sknet._requirements import fit_context
from sknet._shared_parameters import shared_documentation
from sknet.nn.losses import LOSSES, QUANTILES, TWEEDIE_POWERS, Loss
from sknet.nn.rules import OPEN_UNIT_INTERVAL, POSITIVE

LOSS_NAMES = {name for name, loss in LOSSES.items() if loss.task == "regression"}


@shared_documentation
@with_parameters
class NNRegressor(RegressorMixin, BaseNN):
    """Neural network for regression, with one output or several.

    A drop-in replacement for :class:`sklearn.neural_network.MLPRegressor`. The first five
    parameters matter most. ``auto_params_`` shows what a fit chose for those that are "auto".

    Parameters
    ----------
    {parameters}
    loss : str or Loss, default="squared_error"
        **Output.** The loss function, summed over outputs, or a ``Loss`` of
        ``sknet.nn.losses``. "poisson", "gamma" and "tweedie" have a log link.

        - "squared_error": for the mean.
        - "absolute_error": for the median.
        - "huber": for the mean, robust to outliers; linear beyond ``delta``.
        - "quantile": for the quantiles in ``quantile``.
        - "poisson": for counts (y >= 0).
        - "gamma": for positive amounts (y > 0).
        - "tweedie": for zeros and positive amounts (y >= 0), with the power ``power``.
        - "normal": for the mean and the standard deviation of y in each row.
    delta : float, default=1.35
        The error beyond which the loss "huber" is linear, in standard deviations of y.
    quantile : float in (0, 1) or sorted list of these, default=0.5
        The quantile that the loss "quantile" predicts, or a list of quantiles that do not
        cross, each with a column of the prediction.
    power : float in [1, 2], default=1.5
        The power of the loss "tweedie": 1 is "poisson", and 2 is "gamma".

    Attributes
    ----------
    {attributes}

    See Also
    --------
    NNClassifier : Neural network for classification.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import NNRegressor
    >>> X, y = make_friedman1(500, random_state=0)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = NNRegressor(random_state=0).fit(X_train, y_train)
    >>> network.score(X_test, y_test) > 0.9
    True
    """

    _: KW_ONLY
    loss: Annotated[str | Loss, LOSS_NAMES, Loss] = "squared_error"
    delta: Annotated[float, POSITIVE] = 1.35
    quantile: Annotated[float | Sequence[float], OPEN_UNIT_INTERVAL, FLAT_LIST] = 0.5
    power: Annotated[float, TWEEDIE_POWERS] = 1.5

    def _validate_params(self) -> None:
        super()._validate_params()
        if not QUANTILES.contains(self.quantile):
            raise ValueError(
                "quantile must be a number in (0, 1) or an increasing list of these, got "
                f"{self.quantile!r}."
            )

    @available_if(available_with_stochastic_solver)
    @hinting
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Update the network by one pass over the given rows.

        The first call fixes the scaling of the inputs. Each call updates the mean and the
        standard deviation of y without a change of the predictions. Layers, encodings and
        constraints must stay. A schedule that ends at zero becomes a constant learning rate.
        ``max_iter`` and the parameters of stopping have no effect, ``random_state`` only in the
        first call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only their ratios matter; None gives all the same weight.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If parameters or data are invalid, or if training diverges. The estimator then stays
            as it was.

        Warns
        -----
        ConvergenceWarning
            If predictions of the rows are still far worse than a constant.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        return_std : bool, default=False
            Whether to return a standard deviation as well. It needs ``loss="normal"`` or more
            than one member.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions in the units of y, with a column for each of several quantiles. The
            dtype is float32 for float32 X, else float64.
        std : ndarray of the same shape
            With ``return_std=True`` and ``loss="normal"``, the standard deviation of y in the
            row: members add the variance of their means to the mean of their variances. With
            another loss, how far the members disagree, not how much y varies.

        Raises
        ------
        ValueError
            If ``return_std`` is True without the loss "normal" or a second member, or if
            float32 cannot hold the predictions.
        """
        model = cast(RegressionModel, self._fitted_model)
        model.check_std(return_std)
        results = self._predict(X, lambda raw: model.predictions(raw, return_std))
        if model.target.n_outputs == 1 and not model.loss.predicts_quantiles:
            results = tuple(result[:, 0] for result in results)
        return results if return_std else results[0]

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2, or D2 of the pinball loss if the loss is one of quantiles.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. None gives each row a weight of one.

        Returns
        -------
        float
            1 for perfect predictions, 0 for the best constant; the mean over quantiles.
        """
        prediction = cast(np.ndarray, self.predict(X))
        return score_predictions(self._model, prediction, y, sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def score_predictions(
    model: Model, prediction: np.ndarray, y: ArrayLike, sample_weight: ArrayLike | None
) -> float:
    """Return R2, or for a loss of quantiles D2 of the pinball loss, averaged over them."""
    levels = model.loss.quantiles
    if not levels:
        return r2_score(y, prediction, sample_weight=sample_weight)
    columns = prediction.T if model.loss.predicts_quantiles else [prediction]
    scores = [
        d2_pinball_score(y, column, sample_weight=sample_weight, alpha=level)
        for level, column in zip(levels, columns, strict=True)
    ]
    return float(np.mean(scores))
