"""Search spaces: the parameters that are worth searching on a table, and their ranges.

:func:`search_space` returns the space of an estimator. The same space works for scikit-learn's
searches (:meth:`SearchSpace.distributions`, :meth:`SearchSpace.candidates`) and for Optuna's
trials (:meth:`SearchSpace.suggest`). This module does not import Optuna; it only uses the
trials that it gets.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Annotated, Any

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterSampler

from sknet._auto import LEARNING_RATE
from sknet._parameters import defaults, hidden_layer_sizes, is_auto, never_steps, same_value
from sknet._requirements import check_count
from sknet.nn.embeddings import Periodic
from sknet.nn.rules import FINITE, POSITIVE, Constraint, Interval, Rule

__all__ = [
    "Choice", "Distribution", "Integers", "LogUniform", "SearchSpace", "Uniform",
    "search_space",
]  # fmt: skip

FINITE_INT = Interval(Integral, -math.inf, closed="neither")
CHOICES = Constraint(
    "a tuple of one or more values whose str() differ",
    (tuple,),
    lambda values: len(values) == len(set(map(str, values))) > 0,
)


@dataclass(frozen=True)
class Choice(Rule):
    """One of several values, all equally likely and in no order.

    Parameters
    ----------
    values : tuple
        The values. Optuna can store neither tuples nor rules such as an embedding. It therefore
        stores ``str(value)``, which must differ between the values.
    """

    values: Annotated[tuple[Any, ...], CHOICES]

    def for_sampling(self) -> list[Any]:
        """Return the values as a list."""
        return list(self.values)

    def suggest(self, trial: Any, name: str) -> Any:
        """Return the value whose text an Optuna trial chooses."""
        by_text = {str(value): value for value in self.values}
        return by_text[trial.suggest_categorical(name, list(by_text))]

    def contains(self, value: Any) -> bool:
        """Return whether a value is one of the values."""
        # The texts tell the values apart and, unlike ==, also compare arrays as a whole.
        return any(type(value) is type(one) and str(value) == str(one) for one in self.values)

    def stored(self, value: Any) -> str:
        """Return the text of a value, which Optuna stores."""
        return str(value)


@dataclass(frozen=True)
class Uniform(Rule):
    """Numbers between two bounds (inclusive), all equally likely.

    Parameters
    ----------
    low, high : float
        The bounds, of which ``low`` is the smaller one.
    """

    low: Annotated[float, FINITE]
    high: Annotated[float, FINITE]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"{self}: low must be less than high.")

    def for_sampling(self) -> Any:
        """Return the distribution from ``scipy.stats``."""
        return stats.uniform(self.low, self.high - self.low)

    def suggest(self, trial: Any, name: str) -> Any:
        """Return the number that an Optuna trial chooses."""
        return trial.suggest_float(name, self.low, self.high)

    def contains(self, value: Any) -> bool:
        """Return whether a number lies between the bounds."""
        return Interval(Real, self.low, self.high, closed="both").allows(value)

    def stored(self, value: Any) -> Any:
        """Return the number that Optuna stores for a value."""
        return value


@dataclass(frozen=True)
class LogUniform(Uniform):
    """Positive numbers between two bounds, with a uniform distribution of their logarithms.

    Parameters
    ----------
    low, high : float > 0
        The bounds, of which ``low`` is the smaller one.
    auto : float or None, default=None
        The number that stands for "auto" in Optuna: a trial with this number uses "auto". A
        range for a parameter that is "auto" needs such a number. With None, the parameter
        cannot be "auto".
    """

    low: Annotated[float, POSITIVE]
    high: Annotated[float, POSITIVE]
    auto: Annotated[float | None, Interval(Real, 0, closed="neither", none=True)] = None

    def for_sampling(self) -> Any:
        """Return the distribution from ``scipy.stats``."""
        return stats.loguniform(self.low, self.high)

    def suggest(self, trial: Any, name: str) -> Any:
        """Return the number that an Optuna trial chooses, or "auto" if it is ``auto``."""
        number = trial.suggest_float(name, self.low, self.high, log=True)
        return "auto" if number == self.auto else number

    def contains(self, value: Any) -> bool:
        """Return whether a value is "auto", if that is allowed, or lies between the bounds."""
        return self.auto is not None if is_auto(value) else super().contains(value)

    def stored(self, value: Any) -> Any:
        """Return the number that Optuna stores for a value: ``auto`` if the value is "auto"."""
        return self.auto if is_auto(value) else value


@dataclass(frozen=True)
class Integers(Uniform):
    """Whole numbers between two bounds, all equally likely.

    Parameters
    ----------
    low, high : int
        The bounds, of which ``low`` is the smaller one.
    """

    low: Annotated[int, FINITE_INT]
    high: Annotated[int, FINITE_INT]

    def for_sampling(self) -> Any:
        """Return the numbers, or their distribution from ``scipy.stats`` if there are many.

        If all parameters are listed, scikit-learn draws each combination only once.
        """
        if self.high - self.low < MOST_LISTED:
            return list(range(self.low, self.high + 1))
        return stats.randint(self.low, self.high + 1)

    def suggest(self, trial: Any, name: str) -> int:
        """Return the number that an Optuna trial chooses."""
        return trial.suggest_int(name, self.low, self.high)

    def contains(self, value: Any) -> bool:
        """Return whether an integer lies between the bounds."""
        return isinstance(value, Integral) and super().contains(value)


#: The values that a search may give to one parameter, and how likely they are.
Distribution = Choice | Uniform

#: Up to this many whole numbers are listed.
MOST_LISTED = 100
#: The sizes of hidden layers that are searched.
SIZES = "auto", (256, 256), (128, 128, 128)
#: The distribution of each parameter that is searched, for all estimators. Each contains the
#: default of the parameter. ``docs/guide/searching.md`` has the table, with the reasons.
TABLE: dict[str, Distribution] = {
    "learning_rate_init": LogUniform(0.003, 0.02, auto=LEARNING_RATE),
    "hidden_layer_sizes": Choice(SIZES),
    "activation": Choice(("silu", "relu")),
    "numeric_embedding": Choice(
        ("auto", "periodic", "piecewise_linear", Periodic(n_frequencies=32, size=8))
    ),
    "n_members": Choice(("auto", 4, 8)),
    "dropout": Choice(("auto", 0.0, 0.2)),
}

#: The parameter with the sizes of the hidden layers, and the parameters that may have one value
#: for each hidden layer.
LAYERS, BY_LAYER = "hidden_layer_sizes", ("activation", "dropout")
#: Parameters that need other values with groups of columns, since a group has only a few units.
NOT_FOR_GROUPS = {"numeric_embedding", "n_members", "dropout"}
#: Parameters that only a stochastic solver uses.
FOR_STOCHASTIC_SOLVERS = {"learning_rate_init", "dropout"}


@dataclass(frozen=True, repr=False)
class SearchSpace:
    """Distributions of an estimator's parameters, for searches with scikit-learn and Optuna.

    :func:`search_space` makes a space. A space does not change; :meth:`without` and
    :meth:`replace` return new ones.

    Parameters
    ----------
    parameters : dict of str to Distribution
        The distribution of each parameter that is searched.
    start : dict of str to object
        The values of all parameters of the estimator, from which a search starts.

    Examples
    --------
    >>> from sknet import NNRegressor
    >>> from sknet.search import Uniform, search_space
    >>> space = search_space(NNRegressor())
    >>> space.parameters["learning_rate_init"]
    LogUniform(low=0.003, high=0.02, auto=0.01)
    >>> "mixup" in space.replace(mixup=Uniform(0.0, 0.3)).parameters
    True
    """

    parameters: Mapping[str, Distribution]
    start: Mapping[str, Any] = field(compare=False)

    def __repr__(self) -> str:
        lines = "".join(f"    {name}: {one!r}\n" for name, one in self.parameters.items())
        return f"SearchSpace(\n{lines})"

    def without(self, *names: str) -> "SearchSpace":
        """Return the space without some of its parameters.

        Parameters
        ----------
        *names : str

        Returns
        -------
        SearchSpace

        Raises
        ------
        ValueError
            If a name is not in the space.
        """
        if unknown := [name for name in names if name not in list(self.parameters)]:
            raise ValueError(f"The space lacks {unknown}; it has {list(self.parameters)}.")
        kept = {name: one for name, one in self.parameters.items() if name not in names}
        return SearchSpace(kept, self.start)

    def replace(self, **distributions: Distribution) -> "SearchSpace":
        """Return the space with other distributions, or with additional parameters.

        Parameters
        ----------
        **distributions : Distribution
            The distribution of each parameter by its name.

        Returns
        -------
        SearchSpace

        Raises
        ------
        TypeError
            If a value is not a ``Distribution``.
        ValueError
            If the estimator has no such parameter, or if the distribution does not contain the
            value that the estimator has.
        """
        for name, one in distributions.items():
            if not isinstance(one, Distribution):
                raise TypeError(
                    f"{name} must be a Distribution from sknet.search, such as "
                    f"Choice((0.1, 0.2)), got {one!r}."
                )
            if name not in self.start:
                raise ValueError(f"The estimator has no parameter {name!r}.")
            if not one.contains(self.start[name]):
                raise ValueError(
                    f"{name}={one!r} does not contain {self.start[name]!r}, the value of the "
                    "estimator, so the search may end with a worse setting than it began with. "
                    "Include this value, or set another one on the estimator first."
                )
        return SearchSpace({**self.parameters, **distributions}, self.start)

    def distributions(self, prefix: str = "") -> dict[str, Any]:
        """Return what ``RandomizedSearchCV`` and ``HalvingRandomSearchCV`` draw from.

        Parameters
        ----------
        prefix : str, default=""
            Text in front of each name, such as ``"nnclassifier__"`` for a step of a pipeline.

        Returns
        -------
        dict of str to list or distribution from ``scipy.stats``
            The argument ``param_distributions``.

        Examples
        --------
        >>> from sknet import NNClassifier
        >>> from sknet.search import search_space
        >>> search_space(NNClassifier()).distributions("net__")["net__activation"]
        ['silu', 'relu']
        """
        return {prefix + name: one.for_sampling() for name, one in self.parameters.items()}

    def candidates(
        self, n_candidates: int, *, random_state: Any = None, prefix: str = ""
    ) -> list[dict[str, list[Any]]]:
        """Return the estimator's own setting, followed by random settings.

        Passed as ``param_grid`` to ``GridSearchCV`` or ``HalvingGridSearchCV``, they make a
        random search that also tries the estimator as it is.

        Parameters
        ----------
        n_candidates : int
            The number of settings, including the first one. There are fewer if the space has
            only a few combinations of values.
        random_state : int, RandomState instance or None, default=None
            Determines the other settings.
        prefix : str, default=""
            Text in front of each name, such as ``"nnclassifier__"`` for a step of a pipeline.

        Returns
        -------
        list of dict of str to list
            A grid with one point for each setting. The first grid is empty and stands for the
            estimator as it is.

        Raises
        ------
        ValueError
            If ``n_candidates`` is not a positive integer.
        """
        check_count("n_candidates", n_candidates)
        if not self.parameters:
            return [{}]
        own = {prefix + name: str(self.start[name]) for name in self.parameters}
        space = self.distributions(prefix)
        # One more than is needed, since the estimator itself may be drawn from a list.
        n_drawn = n_candidates
        if not any(hasattr(one, "rvs") for one in space.values()):
            n_drawn = min(n_drawn, math.prod(map(len, space.values())))
        drawn = ParameterSampler(space, n_drawn, random_state=random_state)
        others = [one for one in drawn if {name: str(one[name]) for name in one} != own]
        grids = [{name: [value] for name, value in one.items()} for one in others]
        return [{}, *grids[: n_candidates - 1]]

    def suggest(self, trial: Any, prefix: str = "") -> dict[str, Any]:
        """Return the parameters that an Optuna trial chooses.

        Parameters
        ----------
        trial : optuna.trial.Trial
            A running trial, or a finished one such as ``study.best_trial``, whose choices are
            repeated.
        prefix : str, default=""
            Text in front of each name, such as ``"nnclassifier__"`` for a step of a pipeline.

        Returns
        -------
        dict of str to object
            The arguments of ``set_params``.
        """
        named = {prefix + name: one for name, one in self.parameters.items()}
        return {name: one.suggest(trial, name) for name, one in named.items()}

    def first_trial(self, prefix: str = "") -> dict[str, Any]:
        """Return the values of the estimator itself, in the form that Optuna stores.

        Parameters
        ----------
        prefix : str, default=""
            The same as in :meth:`suggest`.

        Returns
        -------
        dict of str to object
            The argument of ``study.enqueue_trial``, so that the first trial is the estimator as
            it is.
        """
        stored = {name: one.stored(self.start[name]) for name, one in self.parameters.items()}
        return {prefix + name: value for name, value in stored.items()}


def search_space(estimator: Any) -> SearchSpace:
    """Return the parameters of an estimator that are worth searching, with their ranges.

    A parameter that differs from its default is not searched. With ``solver="lbfgs"``, the
    space leaves out parameters that this solver does not use. With ``interaction_cst``, it
    leaves out ``numeric_embedding``, ``n_members`` and ``dropout``. If ``activation`` or
    ``dropout`` has a value for each hidden layer, only networks with that many layers are
    searched. For sparse X, set ``numeric_embedding=None``, since sparse columns cannot be
    embedded. ``max_iter`` is not searched, so that it can be the resource of successive
    halving.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor, NNMultiTarget or one of the Dask estimators
        The estimator, fitted or not. It is not changed.

    Returns
    -------
    SearchSpace
        The distribution of each parameter is in its attribute ``parameters``.

    Raises
    ------
    TypeError
        If ``estimator`` is not an sknet estimator, but, for example, a pipeline or a class.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import RandomizedSearchCV
    >>> from sknet import NNClassifier
    >>> from sknet.search import search_space
    >>> X, y = load_wine(return_X_y=True)
    >>> network = NNClassifier(max_iter=10, random_state=0)
    >>> search = RandomizedSearchCV(
    ...     network, search_space(network).distributions(), n_iter=2, cv=2, random_state=0
    ... )
    >>> search.fit(X, y).best_params_["activation"] in {"silu", "relu"}
    True
    """
    is_instance = isinstance(estimator, BaseEstimator)
    parameters = estimator.get_params(deep=False) if is_instance else {}
    if not TABLE.keys() <= parameters.keys():
        raise TypeError(
            f"search_space takes an sknet estimator, such as NNClassifier(), got "
            f"{estimator!r}. For a pipeline, pass the network inside it, and give the name of "
            "its step to the space: distributions(prefix='nnclassifier__')."
        )
    unused = FOR_STOCHASTIC_SOLVERS if never_steps(parameters["solver"]) else set()
    if parameters["interaction_cst"] is not None:
        unused = unused | NOT_FOR_GROUPS
    usual = defaults(type(estimator))
    open_to_search = {
        name: one
        for name, one in TABLE.items()
        if name not in unused and same_value(parameters[name], usual[name])
    }
    if LAYERS in open_to_search and any(np.ndim(parameters[name]) for name in BY_LAYER):
        n_layers = len(hidden_layer_sizes(parameters))
        fitting = [one for one in SIZES if len(hidden_layer_sizes({LAYERS: one})) == n_layers]
        open_to_search[LAYERS] = Choice(tuple(fitting))
    return SearchSpace(open_to_search, parameters)
