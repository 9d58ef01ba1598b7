"""The regressor."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sknet._base import BaseNN
from sknet._docstrings import shared_documentation
from sknet._model import RegressionModel
from sknet._parameters import (
    OPEN_UNIT_INTERVAL,
    POSITIVE,
    SHARED_CONSTRAINTS,
    available_with_stochastic_solver,
    check_quantile,
    loss_constraint,
)
from sknet._sklearn import fit_context
from sknet.nn.losses import LOSSES, Pinball


@shared_documentation
class NNRegressor(RegressorMixin, BaseNN):
    """Neural network for regression, with one output or several.

    A feed-forward network in NumPy, trained by backpropagation. It takes the place of
    :class:`sklearn.neural_network.MLPRegressor`, whose parameters and attributes keep their
    names here. Inside, y has mean zero and standard deviation one (``standardize``), so
    that the fit does not depend on its units; losses are reported on that scale.

    Parameters
    ----------
    {parameters}
    loss : str or Loss, default="squared_error"
        "squared_error" (half of it), "absolute_error" (for the median), "huber",
        "quantile", "poisson" (y >= 0) and "gamma" (y > 0), both with a log link; or an
        instance of a ``Loss`` of ``sknet.nn.losses``. Summed over outputs, on standardised
        y; poisson and gamma divide y by its mean instead.
    delta : float, default=1.35
        Error beyond which "huber" is linear, in standard deviations of y.
    quantile : float in (0, 1) or sorted list of these, default=0.5
        What "quantile" estimates. A list gives one column for each, which do not cross; y
        must then have one column.
    {more_parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    NNClassifier : The same network for classes.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import NNRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = NNRegressor((16,), alpha=0.1, max_iter=100, learning_rate="cosine",
    ...                       learning_rate_init=0.01, random_state=0)
    >>> network.fit(X_train, y_train).score(X_test, y_test) > 0.3
    True
    """

    _parameter_constraints = {
        **SHARED_CONSTRAINTS,
        "loss": loss_constraint(
            name for name, loss in LOSSES.items() if loss.task == "regression"
        ),
        "delta": [POSITIVE],
        "quantile": [OPEN_UNIT_INTERVAL, "array-like"],
    }
    _model: RegressionModel

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        activation="silu",
        *,
        loss="squared_error",
        delta=1.35,
        quantile=0.5,
        solver="adam",
        alpha="auto",
        l1_ratio=0.0,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction="auto",
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change="auto",
        max_fun=15000,
        dropout="auto",
        normalization=None,
        input_noise=0.0,
        mixup=0.0,
        ema_decay=0.995,
        n_members="auto",
        scoring="loss",
        standardize=True,
        categorical_features="from_dtype",
        numeric_embedding="auto",
        dtype="auto",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.delta = delta
        self.quantile = quantile
        self.solver = solver
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.normalization = normalization
        self.input_noise = input_noise
        self.mixup = mixup
        self.ema_decay = ema_decay
        self.n_members = n_members
        self.scoring = scoring
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.numeric_embedding = numeric_embedding
        self.dtype = dtype

    def _validate_params(self):
        super()._validate_params()
        check_quantile(self.quantile)

    @available_if(available_with_stochastic_solver)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Update the network by one pass over the given rows.

        The first call fixes the scaling of the inputs. The mean and the standard deviation
        of y go on running; the output layer is changed with them so that predictions do not
        jump (not for a list of quantiles, for which the first call fixes them). Early
        stopping is left aside, and a schedule that ends at ``max_iter`` is replaced by a
        constant rate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, relative to each other.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If parameters or data are invalid, or training diverges. The estimator is left
            as it was.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X, return_std=False):
        """Predict the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.
        return_std : bool, default=False
            Whether to return the standard deviation of the members' predictions as well,
            which needs ``n_members`` > 1. It says how far the members disagree, not how
            noisy y is.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In y's units; with a list of quantiles, one column for each. The mean of the
            members, if there are several. float32 for float32 X, else float64.
        std : ndarray of the same shape
            With ``return_std``.

        Raises
        ------
        ValueError
            If ``return_std`` is asked of a network without members.
        """
        self._check_std(return_std)
        results = self._predict(X, lambda raw: self._model.predictions(raw, return_std))
        if self._model.target.n_outputs == 1 and not self._model.predicts_quantiles:
            results = tuple(result[:, 0] for result in results)
        return results if return_std else results[0]

    def score(self, X, y, sample_weight=None):
        """Return R2; for the quantile loss, the mean D2 of the pinball loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is true of them.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        float
            1 at best; 0 for the best constant.
        """
        check_is_fitted(self)
        return score_predictions(self._model, self.predict(X), y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def score_predictions(model, prediction, y, sample_weight):
    """Return R2; for the quantile loss, the mean D2 of the pinball loss over the quantiles."""
    if not isinstance(model.loss, Pinball):
        return r2_score(y, prediction, sample_weight=sample_weight)
    levels = np.atleast_1d(model.loss.quantile)
    columns = prediction.T if model.predicts_quantiles else [prediction]
    scores = [
        d2_pinball_score(y, column, sample_weight=sample_weight, alpha=level)
        for level, column in zip(levels, columns, strict=True)
    ]
    return float(np.mean(scores))
