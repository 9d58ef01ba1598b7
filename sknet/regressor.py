"""The estimator for regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from typing import Annotated, Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import check_random_state

from sknet._base import BaseNN
from sknet._model import Model
from sknet._parameters import FLAT_LIST, one_pass, parameters_of, with_parameters
from sknet._requirements import available_if, check_count
from sknet._settings import loss_of
from sknet._shared_parameters import shared_documentation
from sknet._target_checks import check_y
from sknet.metrics import DISTRIBUTION_LOSSES
from sknet.nn.distributions import Distribution
from sknet.nn.losses import LOSSES, QUANTILES, TWEEDIE_POWERS, Loss
from sknet.nn.rules import OPEN_UNIT_INTERVAL, POSITIVE

LOSS_NAMES = {name for name, loss in LOSSES.items() if loss.task == "regression"}


def predicts_distribution(estimator: Any) -> bool:
    """Return True if the loss estimates a distribution, for ``available_if``.

    The loss is that of the last fit, if there was one.

    Raises
    ------
    AttributeError
        If the loss estimates no distribution.
    """
    model = vars(estimator).get("_model")
    loss = loss_of(parameters_of(estimator)) if model is None else model.loss
    if not loss.predicts_distribution:
        raise AttributeError(f"This method needs {DISTRIBUTION_LOSSES}; got {loss!r}.")
    return True


@shared_documentation
@with_parameters
class NNRegressor(RegressorMixin, BaseNN):
    """Neural network for regression, with one output or several.

    A drop-in replacement for :class:`sklearn.neural_network.MLPRegressor`. The first five
    parameters matter most. ``auto_params_`` shows the values that a fit chose for "auto".

    Parameters
    ----------
    {parameters}
    loss : str or Loss, default="squared_error"
        **Output.** The loss function, summed over the outputs, or a ``Loss`` from
        ``sknet.nn.losses``. "poisson", "gamma" and "tweedie" have a log link.

        - "squared_error": for the mean.
        - "absolute_error": for the median.
        - "huber": for the mean, robust to outliers; linear beyond ``delta``.
        - "quantile": for the quantiles in ``quantile``.
        - "poisson": for counts (y >= 0).
        - "gamma": for positive amounts (y > 0).
        - "tweedie": for zeros and positive amounts (y >= 0; y > 0 if ``power`` is 2).
        - "normal": for the mean and the standard deviation of y in each row.
    delta : float, default=1.35
        The error beyond which "huber" is linear, in units of y as scaled by ``standardize``.
    quantile : float in (0, 1) or increasing list of these, default=0.5
        The quantile that "quantile" predicts. For a list, predictions have a column for each.
    power : float in [1, 2], default=1.5
        The power of "tweedie": 1 is "poisson", and 2 is "gamma".

    Attributes
    ----------
    {attributes}

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

    @one_pass
    def partial_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Update the network with one pass over the given rows.

        The first call fixes the scaling of the inputs; each call may update that of y. Later
        calls must not change layers, encodings or constraints, and ignore ``random_state``. A
        schedule that ends at zero becomes a constant rate; after ``fit``, it is reached slowly.
        Callbacks, ``max_iter``, ``time_limit``, ``tol``, ``n_iter_no_change``,
        ``early_stopping``, ``refit``, ``scoring`` and ``validation_fraction`` have no effect.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only ratios within a call matter. None weights all equally.

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
        return self._partial_fit(X, y, sample_weight)

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...
    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...
    def predict(
        self, X: Any, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        return_std : bool, default=False
            Whether to also return a standard deviation. This requires ``loss="normal"`` or
            several members; otherwise, a ValueError is raised.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions, in the units of y. For a list of quantiles, there is a column for
            each. The dtype is float32 for float32 X, otherwise float64.
        std : ndarray of the same shape
            With ``loss="normal"``, the standard deviation of y in the row. With another loss,
            that of the members' predictions, which does not show how much y varies.
        """
        features, model = self._last_fit()
        model.check_std(return_std)
        rows = features.read(X)
        results = model.predict(rows, lambda raw: model.predictions(raw, return_std))
        if model.target.n_outputs == 1 and not model.loss.predicts_quantiles:
            results = tuple(result[:, 0] for result in results)
        return results if return_std else results[0]

    @available_if(predicts_distribution)
    def predict_quantiles(self, X: Any, levels: ArrayLike) -> np.ndarray:
        """Predict quantiles of y at any levels, for some losses calibrated on held-out rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        levels : array-like of shape (n_levels,)
            The levels of the quantiles, in (0, 1).

        Returns
        -------
        ndarray of shape (n_samples, n_levels) or (n_samples, n_outputs, n_levels)
            The quantiles, in the units of y.
        """
        at = np.asarray(levels, np.float64)
        if at.ndim != 1 or not ((at > 0) & (at < 1)).all():
            raise ValueError(f"levels must be a list of numbers in (0, 1), got {levels!r}.")
        of_y, _, shaped = self._distribution(X)
        return shaped(of_y.quantiles(at))

    @available_if(predicts_distribution)
    def predict_cdf(self, X: Any, y: ArrayLike) -> np.ndarray:
        """Predict the probability of values up to y, calibrated as in ``predict_quantiles``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows to predict for.
        y : array-like of shape (n_samples,), (n_samples, k) or (1, k)
            One or k numbers for each row, or k for all rows. Several outputs are on axis 1.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, k); several outputs are on axis 1
            The probabilities.
        """
        of_y, n_rows, shaped = self._distribution(X)
        numbers, single = numbers_of_rows(y, n_rows, self.n_outputs_)
        found = shaped(of_y.cdf(numbers))
        return found[..., 0] if single else found

    @available_if(predicts_distribution)
    def sample(self, X: Any, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw samples of y from the distribution that ``predict_quantiles`` describes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
            The rows to draw for.
        n_samples : int, default=1
            The number of independent samples for each row.
        random_state : int, RandomState instance or None, default=None
            The seed of the draws.

        Returns
        -------
        ndarray of shape (n_samples_X, n_samples) or (n_samples_X, n_outputs, n_samples)
            The samples, in the units of y.
        """
        check_count("n_samples", n_samples)
        rng = check_random_state(random_state)
        of_y, _, shaped = self._distribution(X)
        return shaped(of_y.sample(n_samples, rng))

    def _distribution(
        self, X: Any
    ) -> tuple[Distribution, int, Callable[[np.ndarray], np.ndarray]]:
        """Return the rows' distributions, their number, and a function that shapes results."""
        features, model = self._last_fit()
        rows = features.read(X)

        def shaped(found: np.ndarray) -> np.ndarray:
            found = found[:, 0] if model.target.n_outputs == 1 else found
            return found.astype(rows.dtype, copy=False)

        return model.distribution(rows), rows.shape[0], shaped

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R2, or D2 of the pinball loss if the loss estimates quantiles.

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
            The mean over outputs or quantiles: 1 if all are perfect, 0 for the best constant.
        """
        prediction = self.predict(X)
        try:
            return score_predictions(self._model, prediction, y, sample_weight)
        except (TypeError, ValueError):
            check_y(y, numeric=True, name="y")
            raise

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def numbers_of_rows(y: ArrayLike, n_rows: int, n_outputs: int) -> tuple[np.ndarray, bool]:
    """Return y with axes (rows, outputs, numbers), and whether it has one number for each row.

    Raises
    ------
    ValueError
        If y has neither the shape of a prediction nor one more axis, or if it contains NaN.
    """
    numbers = np.asarray(y, np.float64)
    outputs = () if n_outputs == 1 else (n_outputs,)
    single = numbers.shape == (n_rows, *outputs)
    several = numbers.ndim == 2 + len(outputs) and numbers.shape[1:-1] == outputs
    if not (single or (several and len(numbers) in (1, n_rows))) or np.isnan(numbers).any():
        raise ValueError(
            f"y must be an array of numbers of shape {(n_rows, *outputs)}, without NaN. A last "
            "axis may be added for several numbers in each row; if the first axis then has "
            "length 1, all rows have the same numbers. Got "
            f"{'NaN' if np.isnan(numbers).any() else f'shape {numbers.shape}'}."
        )
    return numbers.reshape(len(numbers), n_outputs, -1), single


def score_predictions(
    model: Model, prediction: np.ndarray, y: ArrayLike, sample_weight: ArrayLike | None
) -> float:
    """Return R2, or the mean D2 of the pinball loss over the quantiles of the loss."""
    levels = model.loss.quantiles
    if not levels:
        return r2_score(y, prediction, sample_weight=sample_weight)
    columns = prediction.T if model.loss.predicts_quantiles else [prediction]
    scores = [
        d2_pinball_score(y, column, sample_weight=sample_weight, alpha=level)
        for level, column in zip(levels, columns, strict=True)
    ]
    return float(np.mean(scores))
