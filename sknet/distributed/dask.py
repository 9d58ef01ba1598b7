"""The estimators for Dask collections, and what they have in common."""

import copy
import inspect
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, Self, cast

import numpy as np
from distributed import Client
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from sknet._base import BaseNN, conclude, fitted
from sknet._model import Model, RegressionModel
from sknet._parameters import constructor, defaults, is_auto, with_parameters
from sknet._requirements import fit_context
from sknet._shared_parameters import with_sections
from sknet.classifier import NNClassifier
from sknet.distributed.epochs import OuterStep
from sknet.distributed.fitting import check_supported, fit_on_cluster
from sknet.distributed.partitions import (
    Cluster,
    Wanted,
    compute_arrays,
    partitions,
    predict_lazily,
)
from sknet.nn.rules import FRACTION, POSITIVE, POSITIVE_INT
from sknet.regressor import NNRegressor, score_predictions

#: The outer momentum if each shard makes fewer steps than a single machine would make; and in
#: classification if it makes as many.
MOMENTUM_FOR_FEW_STEPS, MOMENTUM_OF_CLASSES = 0.8, 0.6


@with_parameters
class DaskNN(BaseEstimator):
    """The common base of ``DaskNNClassifier`` and ``DaskNNRegressor``, with what both document.

    Training is local SGD in the form of DiLoCo (Douillard et al., 2023). The table is divided
    into shards. In each round, each shard makes some steps that start from the shared
    parameters; the mean of the results then moves the shared parameters, with Nesterov
    momentum. The page "Training on a cluster" of the documentation has the details.

    Parameters
    ----------
    hidden_layer_sizes, activation, ..., dtype
        The parameters of the local estimator, with its defaults. Three settings raise an error:
        the solver "lbfgs", ``warm_start=True``, and a ``scoring`` other than "loss". Each shard
        holds out rows of its own for early stopping. ``batch_size`` is the number of rows of a
        shard's mini-batches. The values of "auto" depend on the number of rows of the whole
        table; the shards divide a ``batch_size`` that is "auto" among themselves.
    local_steps : int, default=32
        The largest number of mini-batches of a shard in a round. An epoch has as many rounds as
        the largest shard needs. A value of 1, with ``solver="sgd"``, ``momentum=0`` and
        ``outer_learning_rate=1``, is synchronous stochastic gradient descent.
    outer_learning_rate : float, default=1.0
        The share of the way from the shared parameters to the mean of the shards' parameters
        that the shared parameters move in a round.
    outer_momentum : float in [0, 1) or None, default=None
        The Nesterov momentum of the shared parameters from one round to the next. 0, with an
        ``outer_learning_rate`` of 1, is plain averaging. None means 0.6 for classification and
        0 for regression if ``batch_size`` is "auto". Else it means 0.8, since each shard then
        makes fewer steps than a single machine would make.
    n_shards : int or None, default=None
        The number of shards. A shard consists of whole partitions. None means one shard for
        each worker, or fewer if a shard would have less than ``local_steps`` mini-batches an
        epoch. The result depends on the number of shards, not on the workers. With a single
        shard there are no rounds, and the network is trained like a local one.
    client : distributed.Client or None, default=None
        The Dask client. None means the current one.

    Attributes
    ----------
    n_shards_ : int
        The number of shards of the fit, at most the number of partitions that have rows.
    coefs_, intercepts_, history_, n_iter_, ...
        All fitted attributes of the local estimator.
    """

    # ``fit`` trains a local estimator and keeps it. Its fitted attributes are attributes of
    # this estimator, too.

    _local_class: type[BaseNN]
    _fitted: Any
    n_shards_: int

    _: KW_ONLY
    local_steps: Annotated[int, POSITIVE_INT] = 32
    outer_learning_rate: Annotated[float, POSITIVE] = 1.0
    outer_momentum: Annotated[float | None, FRACTION, None] = None
    n_shards: Annotated[int | None, POSITIVE_INT, None] = None
    client: Annotated[Client | None, Client, None] = None

    if TYPE_CHECKING:
        # The constructor is made at run time, where type checkers cannot see its parameters.
        def __init__(self, *args: Any, **parameters: Any) -> None: ...

    def __init_subclass__(cls, local: type[BaseNN] | None = None) -> None:
        """Give an estimator its constructor, and complete its documentation.

        ``local`` is the class of the local estimator. The constructor takes the parameters of
        that class and those that distribution adds.
        """
        super().__init_subclass__()
        if local is None:
            return
        cls._local_class = local
        both = [
            p for one in (local, DaskNN) for p in inspect.signature(one).parameters.values()
        ]
        cls.__init__ = constructor(cls.__name__, both)  # type: ignore[method-assign]
        _, _, shared = inspect.cleandoc(DaskNN.__doc__ or "").partition("\n\n")
        cls.__doc__ = with_sections(cls.__doc__ or "", {"shared": shared})

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to Dask collections, on the workers of the client.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Training rows.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            Labels or numbers to predict, in the same partitions as X.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If X, y or sample_weight is not a Dask collection.
        ValueError
            Before training: if there is no client, if ``fit`` is called in a Dask task, if
            parameters or data are invalid, or if the partitions are not parts of one table. In
            training: if it diverges before any epoch has ended well. The estimator is left as
            it was.
        """
        local = self._make_local()
        local._validate_params()
        check_supported(local)
        parts = partitions(X, y, sample_weight)
        cluster = Cluster(self.client, self.n_shards)
        outer = OuterStep(float(self.outer_learning_rate), self._momentum())
        features, model, result, n_shards = fit_on_cluster(
            cluster, local, parts, outer, self.local_steps
        )
        self._fitted, self.n_shards_ = local, n_shards
        conclude(local, features, model, result)
        return self

    def to_local(self) -> BaseNN:
        """Return the fitted network as an ordinary estimator of sknet.

        Returns
        -------
        NNClassifier or NNRegressor
            A copy, with all fitted attributes and with the parameters of this estimator except
            for those that only Dask estimators have.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        return copy.deepcopy(self._fitted)

    def _momentum(self) -> float:
        """Return the outer momentum, also if the parameter is None."""
        if self.outer_momentum is not None:
            return float(self.outer_momentum)
        if not is_auto(self.batch_size):
            return MOMENTUM_FOR_FEW_STEPS
        return MOMENTUM_OF_CLASSES if is_classifier(self) else 0.0

    def _make_local(self) -> BaseNN:
        """Return a local estimator with the same parameters, which is not fitted."""
        own = self.get_params(deep=False)
        return self._local_class(**{name: own[name] for name in defaults(self._local_class)})

    def _predict(self, X: Any, wanted: Wanted) -> Any:
        """Return predictions of the local estimator, not yet computed."""
        self._learned_model().check_std(wanted.with_std)
        return predict_lazily(self._fitted, X, wanted)

    # A property could not raise NotFittedError: this is an AttributeError, after which Python
    # asks __getattr__.
    def _learned_model(self) -> Model:
        """Return the model that the last fit has learned."""
        check_is_fitted(self)
        return fitted(self._fitted)[1]

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in vars(self)

    def __getattr__(self, name: str) -> Any:
        # Python calls this for names that it does not find otherwise.
        local = vars(self).get("_fitted")
        if not (_is_fitted_attribute(name) and hasattr(local, name)):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(local, name)

    def __dir__(self) -> list[str]:
        names = filter(_is_fitted_attribute, dir(vars(self).get("_fitted")))
        return sorted({*super().__dir__(), *names})

    def __sklearn_clone__(self) -> Self:
        # A client is a connection, which is shared and never copied.
        parameters = self.get_params(deep=False)
        client = parameters.pop("client")
        copies = {k: clone(v, safe=False) for k, v in parameters.items()}
        return type(self)(**copies, client=client)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}


def _is_fitted_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


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
        """Predict the most probable class, or the labels that are more probable than not.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_labels), Series or DataFrame
            Labels, not yet computed. For a frame they have its index.
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
            Whether to return also the standard deviation of the members' probabilities. It
            requires more than one member (``n_members``).

        Returns
        -------
        proba : Dask array of shape (n_samples, n_classes), or DataFrame
            Probabilities, not yet computed. Each column belongs to a class; the columns of a
            frame have the names of the classes.
        std : Dask collection of the same kind and shape
            The standard deviation of the members' probabilities, not yet computed. Only
            returned if ``return_std`` is True. Computed together with the probabilities, it
            takes hardly more time.

        Raises
        ------
        ValueError
            If ``return_std`` is True and the network has a single member.
        """
        wanted = Wanted("predict_proba", self._columns(), np.float64, return_std)
        return self._predict(X, wanted)

    def decision_function(self, X: Any) -> Any:
        """Return the logits.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.

        Returns
        -------
        Dask array of shape (n_samples,) or (n_samples, n_classes), Series or DataFrame
            Logits, not yet computed. Two classes have one column, in which positive numbers
            stand for the second class; otherwise each column belongs to a class.
        """
        is_binary = self._learned_model().target.kind == "binary"
        columns = None if is_binary else self._columns()
        return self._predict(X, Wanted("decision_function", columns, np.float64))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of the predictions.

        The client computes it, and needs memory for y and for the predictions.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            True labels of the rows.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        float
            The share of rows whose prediction is right, in a multi-label problem in all
            labels.
        """
        prediction, y, sample_weight = compute_arrays(self.predict(X), y, sample_weight)
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
            Whether to return also a standard deviation. It requires ``loss="normal"`` or more
            than one member (``n_members``).

        Returns
        -------
        prediction : Dask array of shape (n_samples,) or (n_samples, n_outputs), or frame
            Predictions in the units of y, not yet computed. If the loss has a list of
            quantiles, each column belongs to a quantile. For a Dask DataFrame it is a Series or
            DataFrame with the same index.
        std : Dask collection of the same kind and shape
            The standard deviation that :meth:`sknet.NNRegressor.predict` returns, not yet
            computed. Only returned if ``return_std`` is True. Computed together with the
            prediction, by ``dask.compute(prediction, std)``, it takes hardly more time.

        Raises
        ------
        ValueError
            If ``return_std`` is True, the loss is not "normal" and the network has a single
            member.
        """
        return self._predict(X, Wanted("predict", self._columns(), np.float64, return_std))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, or for the quantile loss the mean D2 of the pinball loss.

        The client computes it, and needs memory for y and for the predictions.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            True values of the rows.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        float
            1 for perfect predictions, and 0 for those of the best constant.
        """
        prediction, y, sample_weight = compute_arrays(self.predict(X), y, sample_weight)
        model = cast(RegressionModel, self._learned_model())
        return score_predictions(model, prediction, y, sample_weight)

    def _columns(self) -> list[Any] | None:
        """Return the names of the predictions' columns, or None if there is one."""
        model = cast(RegressionModel, self._learned_model())
        if model.loss.predicts_quantiles:
            return list(model.loss.quantiles)
        n_outputs = model.target.n_outputs
        return list(range(n_outputs)) if n_outputs > 1 else None
