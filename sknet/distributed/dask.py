"""The estimators for Dask collections."""

from typing import Any

import dask
import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score

from sknet.classifier import NNClassifier
from sknet.distributed.base import DaskNN
from sknet.distributed.partitions import Wanted
from sknet.regressor import NNRegressor, score_predictions


class DaskNNClassifier(ClassifierMixin, DaskNN, local=NNClassifier):
    """``NNClassifier`` on a Dask cluster: each worker trains on its own part of the table.

    {shared}

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
    >>> network = DaskNNClassifier(n_shards=2, max_iter=5, random_state=0)
    >>> network.fit(X, y).predict(X).chunks
    ((500, 500, 500, 500),)
    >>> bool((network.predict(X) == y).mean().compute() > 0.9)
    True
    >>> type(network.to_local()).__name__
    'NNClassifier'
    >>> client.close()
    """

    def predict(self, X: Any) -> Any:
        """Predict the class of each row, or all labels with a probability above 0.5.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_labels), Series or DataFrame
            The most probable class, or 0 or 1 for each label, not yet computed. With
            ``loss="ordinal"``, the median class. For a frame, the result has the same index.
        """
        target = self._learned_model().target
        if target.kind == "multilabel":
            return self._predict(X, Wanted("predict", self._columns(), int))
        return self._predict(X, Wanted("predict", None, target.classes_.dtype))

    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Predict probabilities.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        return_std : bool, default=False
            Whether to also return the standard deviation of the members' probabilities, which
            requires ``n_members`` above 1.

        Returns
        -------
        proba : Dask array of shape (n_samples, n_classes), or DataFrame
            Probabilities, not yet computed. Each column belongs to a class or label; the
            columns of a frame have their names.
        std : Dask collection of the same kind and shape
            The standard deviation of the members' probabilities, not yet computed. Only
            returned if ``return_std`` is True. Computing both with ``dask.compute(proba, std)``
            takes little more time than computing ``proba`` alone.

        Raises
        ------
        ValueError
            If ``return_std`` is True and the network has a single member.
        """
        return self._predict(X, Wanted("predict_proba", self._columns(), float, return_std))

    def decision_function(self, X: Any) -> Any:
        """Return the logits, or log probabilities of three or more ordered classes.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_classes), Series or DataFrame
            Not yet computed. Two classes have one column, the logit of the second class;
            otherwise each column belongs to a class or label.
        """
        columns = None if self._learned_model().target.kind == "binary" else self._columns()
        return self._predict(X, Wanted("decision_function", columns, float))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of the predictions.

        The client computes it, and needs memory for y and for the predictions.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array, Series or DataFrame of shape (n_samples,) or (n_samples, n_outputs)
            True labels of the rows.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        float
            The share of rows with a correct prediction; for several labels, all labels must be
            correct.
        """
        prediction, y, sample_weight = _computed(self.predict(X), y, sample_weight)
        return accuracy_score(y, prediction, sample_weight=sample_weight)

    def _columns(self) -> list[Any]:
        """Return the names of the columns of predictions that have a column for each class."""
        return self._learned_model().target.classes_.tolist()


class DaskNNRegressor(RegressorMixin, DaskNN, local=NNRegressor):
    """``NNRegressor`` on a Dask cluster: each worker trains on its own part of the table.

    {shared}

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
    >>> y = X[:, 0] - X[:, 1]
    >>> network = DaskNNRegressor(n_shards=2, max_iter=5, random_state=0)
    >>> error = network.fit(X, y).predict(X) - y
    >>> bool((error**2).mean().compute() < 0.1)
    True
    >>> client.close()
    """

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        return_std : bool, default=False
            Whether to also return a standard deviation, which requires ``loss="normal"`` or
            ``n_members`` above 1.

        Returns
        -------
        prediction : Dask array of shape (n_samples,) or (n_samples, n_outputs), or frame
            Predictions in the units of y, not yet computed. If the loss has a list of
            quantiles, each column belongs to a quantile. For a Dask DataFrame, the result is a
            Series or DataFrame with the same index.
        std : Dask collection of the same kind and shape
            The standard deviation that :meth:`sknet.NNRegressor.predict` returns, not yet
            computed. Only returned if ``return_std`` is True. Computing both together with
            ``dask.compute(prediction, std)`` takes little more time than ``prediction`` alone.

        Raises
        ------
        ValueError
            If ``return_std`` is True although the loss is not "normal" and the network has a
            single member.
        """
        return self._predict(X, Wanted("predict", self._columns(), float, return_std))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, or the mean D2 of the pinball loss for the quantile loss.

        The client computes it, and needs memory for y and for the predictions.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array, Series or DataFrame of shape (n_samples,) or (n_samples, n_outputs)
            True values of the rows.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        float
            1 for perfect predictions, and 0 for the best constant prediction.
        """
        prediction, y, sample_weight = _computed(self.predict(X), y, sample_weight)
        return score_predictions(self._learned_model(), prediction, y, sample_weight)

    def _columns(self) -> list[Any] | None:
        """Return the names of the predictions' columns, or None if there is one."""
        model = self._learned_model()
        if model.loss.predicts_quantiles:
            return list(model.loss.quantiles)
        n_outputs = model.target.n_outputs
        return list(range(n_outputs)) if n_outputs > 1 else None


def _computed(*collections: Any) -> list[Any]:
    """Return the contents of collections as arrays; None stays None."""
    return [None if one is None else np.asarray(one) for one in dask.compute(*collections)]
