"""Scores of predicted distributions and intervals: functions, and scorers for scikit-learn.

Pass :class:`CRPSScorer` or :class:`IntervalScorer` as ``scoring`` to cross-validation or a grid
search. The ``scoring`` of sknet's estimators also accepts the names "neg_crps" and
"neg_interval_score".
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import UNUSED

from sknet._requirements import check_sample_weight
from sknet.nn.distributions import Distribution, PiecewiseNormal
from sknet.nn.kernels import Array
from sknet.nn.rules import OPEN_UNIT_INTERVAL, QUANTILES

__all__ = ["CRPSScorer", "IntervalScorer", "crps", "interval_score"]

#: The losses that estimate a distribution of y, for messages.
DISTRIBUTION_LOSSES = (
    "a loss that estimates a distribution of y: 'normal', 'poisson', 'gamma', 'tweedie', or "
    "'quantile' with at least two quantiles"
)


def crps(
    y_true: ArrayLike,
    quantiles: ArrayLike,
    levels: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean continuous ranked probability score (CRPS) of predicted quantiles.

    The CRPS generalizes the absolute error to distributions. It is in the units of y, and lower
    is better (Gneiting and Raftery, 2007, equation 20). The distribution of a row connects its
    quantiles with pieces of normal distributions, as ``NNRegressor(loss="quantile")`` does. The
    score of this distribution is exact. Two quantiles give a normal distribution. With many
    levels, the score approaches twice the mean pinball loss.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The true targets.
    quantiles : array-like of shape (n_samples, n_levels) or (n_samples, n_outputs, n_levels)
        The predicted quantiles, which must not decrease from one level to the next.
    levels : array-like of shape (n_levels,)
        At least two levels in (0, 1), in increasing order.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the rows.

    Returns
    -------
    float
        The weighted mean of the rows' scores, each of which is a mean over the outputs.

    Examples
    --------
    >>> from sknet.metrics import crps
    >>> round(crps([0.0, 3.0], [[-1.0, 0.0, 1.0]] * 2, [0.1, 0.5, 0.9]), 4)
    1.3711
    """
    y, values = np.asarray(y_true, float), np.asarray(quantiles, float)
    at = np.asarray(levels, float)
    if at.size < 2 or not QUANTILES.allows(at):
        raise ValueError(f"levels must be at least two increasing numbers in (0, 1), got {at}.")
    if values.shape != (*y.shape, at.size):
        raise ValueError(
            "quantiles must have the shape of y_true plus an axis of levels, here "
            f"{(*y.shape, at.size)}; got the shape {values.shape}."
        )
    if (np.diff(values) < 0).any():
        raise ValueError("quantiles must not decrease from one level to the next.")
    distribution = PiecewiseNormal.through(at, values)
    return _average(distribution.crps(y[..., np.newaxis]), sample_weight)


def interval_score(
    y_true: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    coverage: float = 0.9,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean interval score (Winkler score) of predicted intervals; lower is better.

    The score of a row is the width of its interval, plus 2 / (1 - coverage) times the distance
    from y to the interval (Gneiting and Raftery, 2007, equation 43). The true quantiles have
    the lowest expected score.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The true targets.
    low, high : array-like of the same shape
        The ends of central intervals, such as the quantiles at 0.05 and 0.95.
    coverage : float in (0, 1), default=0.9
        The probability that y is in the interval.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the rows.

    Returns
    -------
    float
        The weighted mean of the rows' scores, each of which is a mean over the outputs.

    Examples
    --------
    >>> from sknet.metrics import interval_score
    >>> round(interval_score([1.0, 5.0], [0.0, 0.0], [4.0, 4.0], coverage=0.8), 6)
    9.0
    """
    OPEN_UNIT_INTERVAL.check("interval_score", "coverage", coverage)
    y, below, above = (np.asarray(one, float) for one in (y_true, low, high))
    if not y.shape == below.shape == above.shape:
        raise ValueError(
            "y_true, low and high must have the same shape; got the shapes "
            f"{y.shape}, {below.shape} and {above.shape}."
        )
    if (below > above).any():
        raise ValueError("low must not be above high.")
    outside = np.maximum(below - y, 0) + np.maximum(y - above, 0)
    return _average(above - below + 2 / (1 - coverage) * outside, sample_weight)


def _average(scores: Array, sample_weight: ArrayLike | None) -> float:
    """Return the mean of the rows' scores, each of which is the mean over its outputs.

    Raises
    ------
    ValueError
        If there are no rows, if a score is NaN, or if the weights are not one number >= 0 for
        each row, at least one of them positive.
    """
    if scores.size == 0 or np.isnan(scores).any():
        raise ValueError("The score needs at least one row, and no number may be NaN.")
    rows = scores.reshape(len(scores), -1).mean(axis=1)
    if sample_weight is None:
        return float(rows.mean())
    weight = check_sample_weight(sample_weight, rows, dtype=float, ensure_non_negative=True)
    if not weight.any():  # Older versions of scikit-learn accept this.
        raise ValueError("sample_weight must have at least one number > 0.")
    return float(np.average(rows, weights=weight))


def _judged(estimator: Any, X: Any, y: ArrayLike) -> tuple[Distribution, Array]:
    """Return the distributions that a regressor predicts, and y in a shape that suits them.

    The regressor may be in a pipeline or in a fitted search.

    Raises
    ------
    ValueError
        If it predicts no distribution, or if y has the wrong shape.
    """
    if hasattr(estimator, "best_estimator_"):
        return _judged(estimator.best_estimator_, X, y)
    if isinstance(estimator, Pipeline):
        before, last = estimator[:-1], estimator.steps[-1][1]
        return _judged(last, before.transform(X) if before.steps else X, y)
    if not hasattr(estimator, "predict_quantiles"):
        raise ValueError(
            f"The score of a distribution needs an NNRegressor with {DISTRIBUTION_LOSSES}, "
            f"alone, in a pipeline or in a fitted search; got {estimator!r}."
        )
    of_y, n_rows, _ = estimator._distribution(X)
    numbers, shape = np.asarray(y, float), (n_rows, estimator.n_outputs_)
    wanted = shape if shape[1] > 1 else shape[:1]
    if numbers.shape not in (shape, wanted):
        raise ValueError(f"y must have the shape {wanted}, got {numbers.shape}.")
    return of_y, numbers.reshape(*shape, 1)


class CRPSScorer(BaseEstimator):
    """Minus the mean CRPS of the distributions that an NNRegressor predicts (see :func:`crps`).

    The score is computed without drawing samples. The NNRegressor may be the last step of a
    pipeline, or the best estimator of a fitted search. With metadata routing,
    ``set_score_request(sample_weight=True)`` requests the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sknet import NNRegressor
    >>> from sknet.metrics import CRPSScorer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(200, 1))
    >>> y = X[:, 0] + rng.normal(scale=0.1, size=200)
    >>> network = NNRegressor(loss="normal", max_iter=10, random_state=0)
    >>> search = GridSearchCV(network, {"alpha": [1e-4, 1e-2]}, scoring=CRPSScorer(), cv=2)
    >>> bool(search.fit(X, y).best_score_ < 0)
    True
    """

    # scikit-learn reads from ``score`` which arguments can be routed.
    __metadata_request__score = {"estimator": UNUSED}

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the score; scikit-learn calls scorers in this way."""
        return self.score(estimator, X, y, sample_weight)

    def score(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return minus the mean of the rows' scores, each a mean over the outputs."""
        of_y, numbers = _judged(estimator, X, y)
        return -_average(of_y.crps(numbers), sample_weight)


class IntervalScorer(CRPSScorer):
    """Minus the mean interval score of central intervals that an NNRegressor predicts.

    The intervals lie between the quantiles at (1 - coverage) / 2 and (1 + coverage) / 2 (see
    :func:`interval_score`). Use it like :class:`CRPSScorer`.

    Parameters
    ----------
    coverage : float in (0, 1), default=0.9
        The probability that y is in the interval.
    """

    def __init__(self, coverage: float = 0.9) -> None:
        self.coverage = coverage

    def score(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return minus the mean of the rows' scores, each a mean over the outputs."""
        OPEN_UNIT_INTERVAL.check(type(self).__name__, "coverage", self.coverage)
        of_y, numbers = _judged(estimator, X, y)
        levels = np.array([(1 - self.coverage) / 2, (1 + self.coverage) / 2])
        low, high = np.split(of_y.quantiles(levels), 2, axis=-1)
        return -interval_score(
            numbers, low, high, coverage=self.coverage, sample_weight=sample_weight
        )


#: The scorers, by the names that the estimators' ``scoring`` accepts.
SCORERS = {"neg_crps": CRPSScorer(), "neg_interval_score": IntervalScorer()}


def as_scorer(scoring: Any) -> Any:
    """Return the scorer for a name in ``SCORERS``, and any other value unchanged."""
    return SCORERS.get(scoring, scoring) if isinstance(scoring, str) else scoring
