"""``DaskNNClassifier`` and ``DaskNNRegressor``: the estimators on Dask's collections."""

from typing import Any, cast

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from sknet._model import RegressionModel
from sknet.classifier import NNClassifier
from sknet.distributed.base import DaskNN
from sknet.distributed.partitions import compute_arrays
from sknet.nn.losses import Pinball
from sknet.regressor import NNRegressor, score_predictions


class DaskNNClassifier(ClassifierMixin, DaskNN, local=NNClassifier):
    """``NNClassifier`` on a Dask cluster: each worker trains on its own part of the table.

    Local SGD: from shared parameters each shard of the table makes some steps by itself, the
    results are averaged, and an outer Nesterov momentum carries the average on (DiLoCo,
    Douillard et al., 2023). docs/distributed.md tells more.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sknet.NNClassifier : The same network for data in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sknet.distributed import DaskNNClassifier
    >>> client = Client(n_workers=1, threads_per_worker=2, processes=False,
    ...                 dashboard_address=":0")
    >>> X = da.random.default_rng(0).normal(size=(2000, 4), chunks=(500, 4))
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> network = DaskNNClassifier((16,), max_iter=5, learning_rate="cosine",
    ...                            learning_rate_init=0.01, n_shards=2, random_state=0)
    >>> network.fit(X, y).predict(X).chunks
    ((500, 500, 500, 500),)
    >>> bool((network.predict(X) == y).mean().compute() > 0.9)
    True
    >>> type(network.to_local()).__name__
    'NNClassifier'
    >>> client.close()
    """

    def predict(self, X: Any) -> Any:
        """Predict the most probable class, or the labels that are more probable than not.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_labels), Series or DataFrame
            Labels, not yet computed; for a frame with its index.
        """
        check_is_fitted(self)
        columns = self._columns if self._kind == "multilabel" else None
        return self._predict("predict", X, columns, self._label_dtype)

    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples, n_classes), or DataFrame
            The probability of each class, not yet computed; of a frame, a column each.
        """
        check_is_fitted(self)
        return self._predict("predict_proba", X, self._columns, np.float64)

    def decision_function(self, X: Any) -> Any:
        """Return the logits.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_classes), Series or DataFrame
            As the local estimator returns them, not yet computed.
        """
        check_is_fitted(self)
        columns = None if self._kind == "binary" else self._columns
        return self._predict("decision_function", X, columns, np.float64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; y and the predictions come to the client.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            The true labels or numbers of the rows.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        float
            1 at best; of several labels, the share of rows with all of them right.
        """
        prediction, y, sample_weight = compute_arrays(self.predict(X), y, sample_weight)
        return accuracy_score(y, prediction, sample_weight=sample_weight)

    @property
    def _columns(self) -> list:
        """The names of the columns of predictions by class."""
        return self.classes_.tolist()

    @property
    def _label_dtype(self) -> Any:
        return int if self._kind == "multilabel" else self.classes_.dtype

    @property
    def _kind(self) -> str:
        return self._fitted_model.target.kind


class DaskNNRegressor(RegressorMixin, DaskNN, local=NNRegressor):
    """``NNRegressor`` on a Dask cluster: each worker trains on its own part of the table.

    Local SGD: from shared parameters each shard of the table makes some steps by itself, the
    results are averaged, and an outer Nesterov momentum carries the average on (DiLoCo,
    Douillard et al., 2023). docs/distributed.md tells more.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sknet.NNRegressor : The same network for data in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sknet.distributed import DaskNNRegressor
    >>> client = Client(n_workers=1, threads_per_worker=2, processes=False,
    ...                 dashboard_address=":0")
    >>> X = da.random.default_rng(0).normal(size=(2000, 4), chunks=(500, 4))
    >>> network = DaskNNRegressor((16,), max_iter=5, learning_rate="cosine",
    ...                           learning_rate_init=0.01, n_shards=2, random_state=0)
    >>> error = network.fit(X, X[:, 0] - X[:, 1]).predict(X) - (X[:, 0] - X[:, 1])
    >>> bool((error**2).mean().compute() < 0.1)
    True
    >>> client.close()
    """

    def predict(self, X: Any) -> Any:
        """Predict the target.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_outputs), Series or DataFrame
            In y's units, not yet computed; with a list of quantiles, a column each.
        """
        check_is_fitted(self)
        return self._predict("predict", X, self._columns, np.float64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2; for the quantile loss, the mean D2 of the pinball loss.

        y and the predictions come to the client.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            The true labels or numbers of the rows.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        float
            1 at best; 0 for the best constant.
        """
        prediction, y, sample_weight = compute_arrays(self.predict(X), y, sample_weight)
        return score_predictions(self._regression_model, prediction, y, sample_weight)

    @property
    def _regression_model(self) -> RegressionModel:
        return cast(RegressionModel, self._fitted_model)

    @property
    def _columns(self) -> list | None:
        """The names of the predictions' columns, or None if there is one."""
        model = self._regression_model
        if model.predicts_quantiles:
            return np.atleast_1d(cast(Pinball, model.loss).quantile).tolist()
        n_outputs = self._fitted.n_outputs_
        return list(range(n_outputs)) if n_outputs > 1 else None
