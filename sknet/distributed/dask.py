"""``DaskNNClassifier`` and ``DaskNNRegressor``: the estimators on Dask's collections."""

import copy
import inspect
from inspect import Parameter

import numpy as np
from distributed import Client, get_client, get_worker
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from sknet._base import fitted, fitted_attributes
from sknet._parameters import FRACTION, POSITIVE, POSITIVE_INT
from sknet._sklearn import fit_context
from sknet.classifier import NNClassifier
from sknet.distributed.cluster import Cluster, fit_on_cluster
from sknet.distributed.partitions import compute_arrays, partitions, predict_lazily
from sknet.distributed.rounds import OuterStep
from sknet.nn.solvers import is_stochastic
from sknet.regressor import NNRegressor, score_predictions

#: Outer momentum where shards make fewer steps than one machine would.
MAKES_UP_FOR_STEPS = 0.8
#: What distribution adds to the local estimators' parameters.
DISTRIBUTION = {
    "local_steps": 32,
    "outer_learning_rate": 1.0,
    "outer_momentum": None,
    "n_shards": None,
    "client": None,
}

PARAMETERS = """
hidden_layer_sizes, activation, ..., dtype
    Those of the local estimator, with its defaults. Not honoured, and an error: the solver
    "lbfgs", ``warm_start``, and a ``scoring`` other than "loss". Rows for early stopping are
    held out in each shard. ``batch_size`` is that of a shard. What is "auto" follows from the
    number of rows of all shards together; they share a ``batch_size`` that is "auto".
local_steps : int, default=32
    Mini-batches that each shard takes in a round, at the most; an epoch has as many rounds as
    the largest shard needs. 1 with ``solver="sgd"``, ``momentum=0`` and
    ``outer_learning_rate=1`` is synchronous stochastic gradient descent.
outer_learning_rate : float, default=1.0
    How far the shared parameters go towards the mean of the shards' parameters.
outer_momentum : float in [0, 1) or None, default=None
    Nesterov momentum of the shared parameters from one round to the next. 0, with an
    ``outer_learning_rate`` of 1, is plain averaging. None is 0 if ``batch_size`` is "auto",
    else 0.8: with a batch of its own each shard makes fewer steps than one machine would.
n_shards : int or None, default=None
    Parts of the table that are trained on side by side, each of whole partitions. None means
    one for each worker, but no more than leave each ``local_steps`` mini-batches an epoch. The
    result depends on it, and not on the workers. A single shard is trained on as a local
    network is, without rounds.
client : distributed.Client or None, default=None
    The Dask client; None means the current one.
""".strip()

ATTRIBUTES = """
n_shards_ : int
    Shards of the fit: no more than there are partitions with rows.
coefs_, intercepts_, history_, n_iter_, ...
    All fitted attributes of the local estimator.
""".strip()


class DaskNN(BaseEstimator):
    """Shared base of ``DaskNNClassifier`` and ``DaskNNRegressor``.

    A fitted one holds the local estimator that it stands for.
    """

    _local_class: type

    _parameter_constraints = {
        "local_steps": [POSITIVE_INT],
        "outer_learning_rate": [POSITIVE],
        "outer_momentum": [FRACTION, None],
        "n_shards": [POSITIVE_INT, None],
        "client": [Client, None],
    }

    def __init_subclass__(cls, local=None):
        """Give a class the constructor of the local estimator, and what distribution adds."""
        super().__init_subclass__()
        if local is None:
            return
        cls._local_class = local
        cls.__init__ = _constructor(local)
        sections = {"{parameters}": PARAMETERS, "{attributes}": ATTRIBUTES}
        lines = inspect.cleandoc(cls.__doc__).splitlines()
        cls.__doc__ = "\n".join(sections.get(line.strip(), line) for line in lines)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the network to Dask collections, on the workers that the client knows.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Training rows.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            Labels or numbers to predict, in the partitions of X.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Weights of the rows, all one by default.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If X, y or sample_weight is no Dask collection.
        ValueError
            If there is no client, ``fit`` is called in a Dask task, parameters or data are
            invalid, or partitions contradict each other, before any training; or if training
            diverges before an epoch ended well.
        """
        local = self._make_local()
        _check_supported(local)
        _check_not_in_a_task()
        local._validate_params()
        parts = partitions(X, y, sample_weight)
        cluster = Cluster(self._get_client(), self.n_shards)
        outer = OuterStep(float(self.outer_learning_rate), self._momentum())
        done = fit_on_cluster(cluster, local, parts, outer, self.local_steps)
        n_seen = done.n_rows * len(done.result.history["loss"])
        attributes = fitted_attributes(done.features, done.model, done.result.history, n_seen)
        self._fitted, self.n_shards_ = local, done.n_shards
        local._finish(attributes, done.result)
        return self

    def to_local(self):
        """Return the fitted network as an ordinary estimator of sknet.

        Returns
        -------
        NNClassifier or NNRegressor
            With the parameters that it shares with this one, and all fitted attributes.
        """
        check_is_fitted(self)
        return copy.deepcopy(self._fitted)

    def _momentum(self):
        if self.outer_momentum is not None:
            return float(self.outer_momentum)
        shared = isinstance(self.batch_size, str)
        return 0.0 if shared else MAKES_UP_FOR_STEPS

    def _make_local(self):
        """Return the local estimator with the same parameters, not fitted."""
        own = self.get_params(deep=False)
        return self._local_class(**{k: v for k, v in own.items() if k not in DISTRIBUTION})

    def _get_client(self):
        remedy = (
            "Start one before fit, for example with `from dask.distributed import Client; "
            "client = Client()`, or pass client=..."
        )
        if self.client is None:
            try:
                return get_client()
            except ValueError as error:
                raise ValueError(f"There is no Dask client. {remedy}") from error
        if self.client.status == "closed":
            raise ValueError(f"The Dask client is closed: {self.client!r}. {remedy}")
        return self.client

    def _predict(self, method, X, columns, dtype):
        check_is_fitted(self)
        return predict_lazily(self._fitted, method, X, columns, dtype)

    def __sklearn_is_fitted__(self):
        return "_fitted" in vars(self)

    def __getattr__(self, name):
        # Fitted attributes are those of the local estimator.
        fitted = vars(self).get("_fitted")
        if not (_is_fitted_attribute(name) and hasattr(fitted, name)):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(fitted, name)

    def __dir__(self):
        fitted = filter(_is_fitted_attribute, dir(vars(self).get("_fitted")))
        return sorted({*super().__dir__(), *fitted})

    def __sklearn_clone__(self):
        # A client is a connection: it is shared, never copied.
        parameters = self.get_params(deep=False)
        client = parameters.pop("client")
        copies = {k: clone(v, safe=False) for k, v in parameters.items()}
        return type(self)(**copies, client=client)

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}


def _is_fitted_attribute(name):
    return name.endswith("_") and not name.startswith("_")


def _constructor(local):
    """Return an ``__init__`` of the local estimator's parameters and ``DISTRIBUTION``."""
    own = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in DISTRIBUTION.items()
    ]
    shared = inspect.signature(local).parameters.values()
    itself = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([itself, *shared, *own])

    def init(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        del bound.arguments["self"]
        vars(self).update(bound.arguments)

    init.__signature__ = signature
    return init


def _check_not_in_a_task():
    """Raise on a worker: there ``fit`` would hold the thread that its own tasks wait for.

    Raises
    ------
    ValueError
        With the remedy.
    """
    try:
        worker = get_worker()
    except ValueError:
        return
    raise ValueError(
        f"fit was called in a Dask task, on worker {worker.address}, whose thread the tasks of "
        "the fit would wait for. Call it from the client. For many fits side by side, as in a "
        "search, let each be that of a local estimator of sknet."
    )


def _check_supported(local):
    """Raise for parameters that have no meaning on a cluster.

    Raises
    ------
    ValueError
        With their names and the remedy.
    """
    if not is_stochastic(local.solver):
        raise ValueError(
            f"solver={local.solver!r} needs all rows at once, which no worker has. Use a "
            "stochastic solver such as 'adam'."
        )
    if local.warm_start:
        raise ValueError("warm_start=True is not possible on a cluster. Fit anew.")
    if not (isinstance(local.scoring, str) and local.scoring == "loss"):
        raise ValueError(
            f"scoring={local.scoring!r} needs all validation rows in one place. On a cluster "
            "early stopping watches scoring='loss'."
        )


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

    def predict(self, X):
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

    def predict_proba(self, X):
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

    def decision_function(self, X):
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

    def score(self, X, y, sample_weight=None):
        """Return the accuracy; y and the predictions come to the client.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            What is true of them.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        float
            1 at best; of several labels, the share of rows with all of them right.
        """
        prediction, y, sample_weight = compute_arrays(self.predict(X), y, sample_weight)
        return accuracy_score(y, prediction, sample_weight=sample_weight)

    @property
    def _columns(self):
        return self.classes_.tolist()

    @property
    def _label_dtype(self):
        return int if self._kind == "multilabel" else self.classes_.dtype

    @property
    def _kind(self):
        _, model = fitted(self._fitted)
        return model.target.kind


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

    def predict(self, X):
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

    def score(self, X, y, sample_weight=None):
        """Return R2; for the quantile loss, the mean D2 of the pinball loss.

        y and the predictions come to the client.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Rows to predict for.
        y : Dask array or Series of shape (n_samples,), or of shape (n_samples, n_outputs)
            What is true of them.
        sample_weight : Dask array or Series of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        float
            1 at best; 0 for the best constant.
        """
        prediction, y, sample_weight = compute_arrays(self.predict(X), y, sample_weight)
        _, model = fitted(self._fitted)
        return score_predictions(model, prediction, y, sample_weight)

    @property
    def _columns(self):
        """The names of the predictions' columns, or None if there is one."""
        _, model = fitted(self._fitted)
        if model.predicts_quantiles:
            return list(model.loss.quantile)
        n_outputs = self._fitted.n_outputs_
        return list(range(n_outputs)) if n_outputs > 1 else None
