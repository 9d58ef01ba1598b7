"""The common base of the estimators for Dask collections."""

import copy
import inspect
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, Self

from distributed import Client
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted

from sknet._base import BaseNN, fitted, fitted_attributes, set_fitted, warn_of_ending
from sknet._hints import hinting
from sknet._model import Model
from sknet._parameters import constructor, defaults, is_auto, with_parameters
from sknet._requirements import checks_parameters, shorten_requests
from sknet._shared_parameters import with_sections
from sknet.distributed.epochs import OuterStep
from sknet.distributed.fitting import check_supported, fit_on_cluster
from sknet.distributed.partitions import Cluster, Wanted, partitions, predict_lazily
from sknet.nn.budget import Budget
from sknet.nn.rules import FRACTION, POSITIVE, POSITIVE_INT

#: The outer momentum if each shard takes fewer steps than a single machine would, and that in
#: classification if it takes as many.
MOMENTUM_FOR_FEW_STEPS, MOMENTUM_OF_CLASSES = 0.8, 0.6


@with_parameters
class DaskNN(BaseEstimator):
    """The common base of ``DaskNNClassifier`` and ``DaskNNRegressor``, with their shared text.

    Training is local SGD in the form of DiLoCo (Douillard et al., 2023). The table is divided
    into shards. In each round, each shard takes some steps from the shared parameters; the
    shared parameters then move toward the mean of the results, with Nesterov momentum. See the
    page "Training on a Dask cluster" of the documentation for details.

    The solver "lbfgs", ``warm_start=True``, ``frozen_layers`` above 0, a ``scoring`` other than
    "loss" and validation rows that are not drawn at random raise an error. Each shard holds out
    its own rows for early stopping. "auto" values depend on the rows of the whole table; the
    shards divide a ``batch_size`` of "auto".

    Parameters
    ----------
    {local_parameters}
    local_steps : int, default=32
        **Cluster.** The maximum number of mini-batches per shard in a round. A value of 1, with
        ``solver="sgd"``, ``momentum=0`` and ``outer_learning_rate=1``, gives synchronous
        stochastic gradient descent with the momentum ``outer_momentum``.
    outer_learning_rate : float, default=1.0
        How far the shared parameters move in a round, as a fraction of the distance to the mean
        of the shards' parameters.
    outer_momentum : float in [0, 1) or None, default=None
        The Nesterov momentum of the shared parameters. A value of 0, with an
        ``outer_learning_rate`` of 1, gives plain averaging. None means 0.6 in classification
        and 0 in regression. If ``batch_size`` is a number, None means 0.8, since a shard then
        takes fewer steps than a single machine would.
    n_shards : int or None, default=None
        The number of shards; a shard consists of whole partitions. None means one per worker,
        or fewer if a shard would have fewer than ``local_steps`` mini-batches per epoch. A
        single shard has no rounds: it trains like a local network without cross-fitting. The
        result depends on the number of shards, not on the number of workers.
    client : distributed.Client or None, default=None
        The Dask client. None means the current one.

    Attributes
    ----------
    n_shards_ : int
        The number of shards of the fit, at most the number of partitions that have rows.
    coefs_, intercepts_, history_, n_iter_, ...
        All fitted attributes of the local estimator.
    """

    # ``fit`` trains a local estimator and keeps it. This estimator has its fitted attributes as
    # well.

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
        shorten_requests(cls)
        if local is None:
            return
        cls._local_class = local
        own, added = (inspect.signature(one).parameters.values() for one in (local, DaskNN))
        cls.__init__ = constructor(cls.__name__, [*own, *added])  # type: ignore[method-assign]
        cls.__doc__ = with_sections(cls.__doc__ or "", {"shared": _shared_documentation(local)})

    @hinting
    @checks_parameters
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the network to Dask collections, on the workers of the client.

        Parameters
        ----------
        X : Dask array of shape (n_samples, n_features), or Dask DataFrame
            Training rows.
        y : Dask array, Series or DataFrame of shape (n_samples,) or (n_samples, n_outputs)
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
            If there is no client, if ``fit`` is called in a Dask task, if parameters or data
            are invalid, if the partitions are not parts of one table, or if training diverges
            before any epoch has ended well. The estimator is then unchanged.
        """
        budget = Budget(self.time_limit)
        own = self.get_params(deep=False)
        local = self._local_class(**{name: own[name] for name in defaults(self._local_class)})
        local._validate_params()
        check_supported(local)
        parts = partitions(X, y, sample_weight)
        outer = OuterStep(float(self.outer_learning_rate), self._momentum())
        features, model, result, n_shards = fit_on_cluster(
            Cluster(self.client, self.n_shards), local, parts, outer, self.local_steps, budget
        )
        set_fitted(local, fitted_attributes(features, model.trained(result), result.history))
        self.__dict__ |= {"_fitted": local, "n_shards_": n_shards}
        warn_of_ending(local, result.ending)
        return self

    def to_local(self) -> BaseNN:
        """Return the fitted network as an ordinary sknet estimator.

        Returns
        -------
        NNClassifier or NNRegressor
            A copy with all fitted attributes and all parameters, except those that only Dask
            estimators have.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        return copy.deepcopy(self._fitted)

    def _momentum(self) -> float:
        """Return the outer momentum, or the one that None stands for."""
        if self.outer_momentum is not None:
            return float(self.outer_momentum)
        if not is_auto(self.batch_size):
            return MOMENTUM_FOR_FEW_STEPS
        return MOMENTUM_OF_CLASSES if is_classifier(self) else 0.0

    def _predict(self, X: Any, wanted: Wanted) -> Any:
        """Return predictions of the local estimator, not yet computed."""
        self._learned_model().check_std(wanted.with_std)
        return predict_lazily(self._fitted, X, wanted)

    # This is not a property, since NotFittedError is an AttributeError: after one, Python calls
    # __getattr__.
    def _learned_model(self) -> Model:
        """Return the model that the last fit has learned."""
        check_is_fitted(self)
        return fitted(self._fitted)[1]

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in vars(self)

    def __getattr__(self, name: str) -> Any:
        # Python calls this for names that it finds nowhere else.
        local = vars(self).get("_fitted")
        if not (_is_fitted_attribute(name) and hasattr(local, name)):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(local, name)

    def __dir__(self) -> list[str]:
        names = filter(_is_fitted_attribute, dir(vars(self).get("_fitted")))
        return sorted({*super().__dir__(), *names})

    def __sklearn_clone__(self) -> Self:
        # A client is a connection, which is shared and never copied.
        without_client = copy.copy(self)
        return BaseEstimator.__sklearn_clone__(without_client).set_params(client=self.client)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}


def _shared_documentation(local: type[BaseNN]) -> str:
    """Return what both estimators document, with the parameters of the local estimator."""
    _, _, shared = inspect.cleandoc(DaskNN.__doc__ or "").partition("\n\n")
    _, _, sections = (local.__doc__ or "").partition("\nParameters\n----------\n")
    parameters, _, _ = sections.partition("\n\nAttributes\n")
    return with_sections(shared, {"local_parameters": parameters})


def _is_fitted_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")
