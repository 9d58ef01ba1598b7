"""The estimator for regression."""

from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Annotated, Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.metaestimators import available_if

from sknet._base import BaseNN
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

    A feed-forward network that is trained by backpropagation. It is a replacement of
    :class:`sklearn.neural_network.MLPRegressor` and keeps the names of its parameters and
    attributes. With ``standardize=True`` the network is trained on y scaled to mean 0 and
    standard deviation 1, so that the fit does not depend on the units of y. Losses are reported
    on that scale, predictions in the units of y.

    Parameters
    ----------
    {parameters}
    loss : str or Loss, default="squared_error"
        The loss function, summed over outputs:

        - "squared_error": half the squared error, for the mean.
        - "absolute_error": the absolute error, for the median.
        - "huber": the squared error for small errors and a linear one beyond ``delta``.
        - "quantile": the pinball loss, for the quantiles in ``quantile``.
        - "poisson": half the Poisson deviance (up to a constant) with a log link, for counts
          (y >= 0).
        - "gamma": half the gamma deviance (up to a constant) with a log link, for positive
          amounts (y > 0).
        - "tweedie": half the Tweedie deviance of the power ``power`` (up to a constant) with a
          log link, for zeros and positive amounts (y >= 0).
        - "normal": the negative log likelihood of a normal distribution (up to a constant), for
          the mean and the standard deviation of y in each row. ``predict`` returns the mean,
          and with ``return_std=True`` the standard deviation as well.

        An instance of a ``Loss`` of ``sknet.nn.losses`` is used as it is. With ``standardize``,
        "poisson", "gamma" and "tweedie" divide y by its mean; all others standardise it.
    delta : float, default=1.35
        The error beyond which the loss "huber" is linear, in standard deviations of y.
    quantile : float in (0, 1) or sorted list of these, default=0.5
        The quantile that is predicted with the loss "quantile". With a list, ``predict``
        returns a column for each quantile; the quantiles do not cross, and y must have a single
        column.
    power : float in [1, 2], default=1.5
        The power of the loss "tweedie": the variance of y is taken to be proportional to this
        power of the mean. 1 is the loss "poisson" and 2 is "gamma", which needs y > 0.
    {more_parameters}

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
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Update the network by one pass over the given rows.

        The first call fixes the scaling of the inputs; a column that is constant in it gets its
        center and scale from the first call with other numbers. Each call updates the mean and
        the standard deviation of y, and changes the output layer accordingly, so that the
        update does not change the predictions. (With a list of quantiles, the first call fixes
        the mean and the standard deviation.) There is no early stopping, and a schedule that
        ends at ``max_iter`` is replaced by a constant learning rate.

        Later calls may have other parameters, except for those of the layers, the encodings and
        the constraints. ``max_iter``, ``tol``, ``n_iter_no_change``, ``early_stopping``,
        ``refit``, ``validation_fraction`` and ``scoring`` are about several epochs and have no
        effect, and ``random_state`` acts in the first call only.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only their ratios matter. None gives each row a weight of
            one.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If parameters or data are invalid, if parameters that must stay have changed, or if
            training diverges: loss, parameters or predictions become infinite, NaN or immense.
            The estimator is then unchanged.

        Warns
        -----
        ConvergenceWarning
            If the rows are still predicted far worse than by a constant.
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
            Whether to return also a standard deviation. It requires ``loss="normal"`` or more
            than one member (``n_members``).

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions in the units of y. With a list of quantiles there is a column for
            each quantile. With several members it is the mean of their predictions. The dtype
            is float32 for float32 X, else float64.
        std : ndarray of the same shape
            With ``loss="normal"``, the standard deviation of y in the row. With several
            members its square is the mean of the variances that they predict, which is the
            variation of y, plus the variance of their means, which is their disagreement. With
            any other loss it is the standard deviation of the members' predictions, which
            measures how far the members disagree, not how much y varies. Only returned if
            ``return_std`` is True.

        Raises
        ------
        ValueError
            If ``return_std`` is True, the loss is not "normal" and the network has a single
            member, or if X is float32 and the training y was too large or too small for
            float32.
        """
        model = cast(RegressionModel, self._fitted_model)
        model.check_std(return_std)
        results = self._predict(X, lambda raw: model.predictions(raw, return_std))
        if model.target.n_outputs == 1 and not model.loss.predicts_quantiles:
            results = tuple(result[:, 0] for result in results)
        return results if return_std else results[0]

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination, or D2 for the quantile loss.

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
            R2 of the predictions. With ``loss="quantile"``, and another loss that names its
            ``quantiles``, it is D2 of the pinball loss, averaged over the quantiles. The best
            value is 1, and the best constant prediction has 0.
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
