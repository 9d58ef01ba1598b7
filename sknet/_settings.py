"""The settings of a fit, and the record of the training that made a model.

The parameters of an estimator are resolved into settings once. Code that gets settings sees
neither "auto" nor the name of a rule.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Self

from sknet._auto import (
    COOLING,
    DROPOUT,
    RULES,
    SHAPING,
    Facts,
    bins_for,
    choose,
    keeps_tails,
    level_penalty,
    scores_gaps,
    scores_tails,
)
from sknet._parameters import (
    ADAPTIVE,
    check_layers,
    hidden_layer_sizes,
    parameters_of,
    per_layer,
    plain,
)
from sknet._version import __version__
from sknet.data.choices import interaction_groups
from sknet.data.splits import SPLITS, FirstSplit, RandomRows, Split
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, NumericEmbedding
from sknet.nn.groups import Groups
from sknet.nn.layers import Dropout
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.losses import LOSSES, Loss, MultinomialLogLoss, SquaredError
from sknet.nn.monotone import Promise
from sknet.nn.optimizers import Solver
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.sets import ElasticNet
from sknet.nn.state import Stopping


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The record of the training that made a model.

    Attributes
    ----------
    version : str
        The version of sknet that trained the model last.
    n_rows : int or None
        The number of rows of positive weight that the last ``fit`` was trained on; None if
        there was only ``partial_fit``.
    n_validation : int or None
        The number of validation rows of that fit; 0 without early stopping, and None if
        ``n_rows`` is None.
    ending : str or None
        What ended that fit: a value of :class:`sknet.nn.soundness.Ending`. None until it has
        ended.
    certainty : float, tuple of float or None
        The factor that corrects the certainty of predictions, fitted to the validation rows
        (see :func:`sknet.nn.objective.fit_factor`); with several targets, or outputs with a
        standard deviation, one for each. None if no factor was fitted.
    n_refit : int
        The number of epochs at the end of that fit that also trained on the validation rows.
    n_unvisited : int
        The number of rows that the last epoch of that fit did not visit, because time ran out.
    n_passes : int
        The number of passes of ``partial_fit`` since that fit.
    n_pass_rows : int
        The total number of rows of these passes.
    n_continued : int
        The number of earlier fits that the last one continued with ``warm_start``. Passes of
        ``partial_fit`` before the first ``fit`` count as one.
    cross_fitted : bool
        Whether each member held out its own validation rows.
    """

    version: str = __version__
    n_rows: int | None = None
    n_validation: int | None = None
    ending: str | None = None
    certainty: Any = None
    n_refit: int = 0
    n_unvisited: int = 0
    n_passes: int = 0
    n_pass_rows: int = 0
    n_continued: int = 0
    cross_fitted: bool = False

    @property
    def n_seen(self) -> int:
        """The number of rows of the last fit and of the passes since."""
        return (self.n_rows or 0) + self.n_pass_rows

    def begun(
        self, n_rows: int, n_validation: int, cross_fitted: bool, resumed: bool
    ) -> "Provenance":
        """Return the provenance of a fit that begins from here, with these numbers of rows.

        ``resumed`` tells whether it is the fit that began last, which was interrupted.
        """
        goes_on = not resumed and (self.n_rows is not None or self.n_passes > 0)
        return Provenance(
            n_rows=n_rows,
            n_validation=n_validation,
            n_continued=self.n_continued + goes_on,
            cross_fitted=cross_fitted,
        )

    def n_epochs(self, history: Mapping[str, list[float]]) -> int:
        """Return the number of epochs of the last fit, given the record with all passes."""
        return len(history.get("loss", [])) - self.n_passes

    def n_visited(self, history: Mapping[str, list[float]]) -> int:
        """Return the number of rows visited in the epochs and passes of this record."""
        of_fit = (self.n_rows or 0) * self.n_epochs(history) - self.n_unvisited
        n_more = 0 if self.cross_fitted else self.n_validation or 0
        return of_fit + n_more * self.n_refit + self.n_pass_rows

    def passed(self, n_rows: int) -> Self:
        """Return the provenance after another pass of ``partial_fit``, over ``n_rows`` rows.

        The pass changes the logits, so the correction that was fitted to them no longer holds.
        """
        return replace(
            self,
            version=__version__,
            certainty=None,
            n_passes=self.n_passes + 1,
            n_pass_rows=self.n_pass_rows + n_rows,
        )


#: Values of ``targets`` that name a task and leave the loss to the kind of the target.
TASKS = ("regression", "classification")
#: The parameters that fields of ``Settings`` stand for, and those that ``fit`` itself reads.
RESOLVED = {
    *("hidden_layer_sizes", "activation", "dropout", "numeric_embedding"),
    *("interaction_cst", "monotonic_cst", "categorical_features"),
    *("loss", "targets", "quantile", "solver", "learning_rate", "random_state", "warm_start"),
    "validation_fraction",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The parameters of a fit as values that can be computed with.

    A parameter with a simple value, such as a number or a name, needs no field: it is an
    attribute, whose value is in ``values``. The other parameters have fields, in which rules
    are objects.

    Attributes
    ----------
    values : mapping of str to object
        The parameters without a field, with the values that were chosen for "auto".
    auto : mapping of str to object
        The value chosen for each parameter that is "auto", in the form that a user would give.
    activations, dropout : tuple
        An entry for each hidden layer.
    n_bins : int
        The number of quantile bins of each numeric column, or 0 if the embedding needs none.
    keeps_tails : bool
        Whether numeric columns with a long tail are clipped farther from their center.
    scores_gaps, scores_tails : bool
        Whether numeric columns with a gap, and also those with a very long tail, have normal
        scores beside them.
    solver, penalty : Solver, ElasticNet
        The penalty stands for ``alpha`` and ``l1_ratio``. A solver with decoupled weight decay
        has taken over the quadratic part of the penalty.
    loss : Loss, or dict of str to Loss
        Several targets have a dict, which may lack some of them.
    level_penalty : float
        The strength of the penalty on the levels' vectors, per row that the prior on the effect
        of a level is worth.
    split : Split
        Stands for ``validation_fraction``.
    promise : Promise or None
        Stands for ``monotonic_cst``; None if no column is constrained.
    groups : tuple of tuple of int or None
        Stands for ``interaction_cst``: the groups of columns of X that have their own networks,
        or None.
    pairwise : bool
        Whether the network has products of pairs of groups.
    """

    values: Mapping[str, Any]
    auto: Mapping[str, Any]
    hidden_layer_sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    dropout: tuple[Dropout, ...]
    numeric_embedding: NumericEmbedding | None
    n_bins: int
    keeps_tails: bool
    scores_gaps: bool
    scores_tails: bool
    categorical_features: Any
    loss: Any
    penalty: ElasticNet
    level_penalty: float
    solver: Solver
    schedule: Schedule
    split: Split
    promise: Promise | None
    groups: Groups | None
    pairwise: bool

    def __getattr__(self, name: str) -> Any:
        # Python calls this for names that it finds nowhere else, including those of its
        # protocols, and also before a copy has its values.
        values = vars(self).get("values", {})
        if name not in values:
            raise AttributeError(f"There is no setting {name!r}.")
        return values[name]

    @property
    def shape(self) -> dict[str, Any]:
        """The values of parameters that shape the network, which "auto" keeps with ``init``.

        Dropout is left out: it has no weights, and its rate follows the new table.
        """
        names = [name for name in SHAPING if name != "dropout"]
        return {name: self.auto.get(name, getattr(self, name)) for name in names}

    @property
    def stopping(self) -> Stopping:
        """The conditions that end training."""
        return Stopping(**self.fields_of(Stopping))

    def fields_of(self, cls: Any) -> dict[str, Any]:
        """Return the settings that a dataclass has as fields, by name."""
        names = [one.name for one in fields(cls) if hasattr(self, one.name)]
        return {name: getattr(self, name) for name in names}

    def with_values(self, **values: Any) -> "Settings":
        """Return settings with other values of some parameters."""
        return replace(self, values={**self.values, **values})

    def of_target(self, name: Any, numeric: bool) -> "Settings":
        """Return the settings of the model of one of several targets."""
        loss: Any = self.loss
        if not isinstance(loss, Loss):
            loss = loss.get(name) or (SquaredError() if numeric else MultinomialLogLoss())
        return replace(self, loss=loss)

    def balanced(self, known: Any) -> "Settings":
        """Return settings with numbers for ``class_weight="balanced"``.

        ``known`` is what is known about y. Only labels have class weights.
        """
        if self.class_weight != "balanced":
            return self
        return self.with_values(class_weight=known.balanced_weights())

    @property
    def n_separate(self) -> int:
        """The number of members that share no parameter; 1 if members share some."""
        return 1 if self.share_weights else self.n_members

    @property
    def cross_fits(self) -> bool:
        """Whether early stopping holds out different rows for each member.

        With a scorer, this is impossible, since it predicts with all members at once.
        """
        by_loss = self.early_stopping and self.scoring == "loss" and self.solver.stochastic
        return by_loss and self.split.is_random and 1 < self.n_separate <= self.n_parts

    @property
    def n_parts(self) -> int:
        """The number of parts of the rows, one of which early stopping holds out."""
        # A fraction of zero is refused where the rows are counted.
        return round(1 / max(self.split.fraction, sys.float_info.min))

    @property
    def marks_heavy(self) -> bool:
        """Whether heavy (frequent) values of numeric columns get indicators."""
        embedding = self.numeric_embedding
        return embedding is not None and embedding.needs_indicators

    @property
    def finds_codes(self) -> bool:
        """Whether numeric columns whose single values matter also become categories.

        With groups of columns, no column does: its curve could not be read.
        """
        return self.numeric_embedding is not None and self.groups is None

    @property
    def n_cooling(self) -> int:
        """The largest number of epochs of a cool-down, unless it trains on all rows."""
        return math.ceil(COOLING * self.max_iter)


def resolve(
    estimator: Any, facts: Facts, last: Mapping[str, Any], promise: Promise | None
) -> Settings:
    """Return the settings of a fit.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        The estimator whose parameters are resolved. They have been checked.
    facts : Facts
        The facts of the training data that the rules of "auto" need.
    last : mapping of str to object
        The values that were chosen for "auto" in the last fit, if it is to be continued;
        otherwise empty.
    promise : Promise or None
        The promise of the monotonic constraints; None if there are none.

    Raises
    ------
    ValueError
        If the other parameters do not suit the hidden layers that "auto" stands for, or if
        ``interaction_cst`` does not suit the columns.
    """
    parameters = parameters_of(estimator)
    auto = choose({**parameters, "monotonic_cst": promise}, facts, last)
    # A regressor has no class weights.
    known = {"class_weight": None, **parameters, **auto}
    if "hidden_layer_sizes" in auto:  # Given sizes were checked with the other parameters.
        check_layers(known)
    embedding = _rule(known["numeric_embedding"], NUMERIC_EMBEDDINGS, known)
    needs_bins = embedding is not None and (
        embedding.needs_bins or (promise is not None and embedding.rising().needs_bins)
    )
    activations = [_rule(one, ACTIVATIONS, known) for one in per_layer(known, "activation")]
    groups = interaction_groups(known["interaction_cst"], facts.n_columns)
    penalty = ElasticNet(float(known["alpha"]), float(known["l1_ratio"]))
    solver, penalty = _rule(known["solver"], SOLVERS, known).decouple(penalty)
    if not known["share_weights"]:
        # The objective is the mean of the members' objectives.
        penalty = replace(penalty, alpha=penalty.alpha / known["n_members"])
    return Settings(
        values={k: _as_number(v) for k, v in known.items() if k not in RESOLVED},
        auto=auto,
        hidden_layer_sizes=tuple(int(size) for size in hidden_layer_sizes(known)),
        activations=tuple(activations),
        dropout=tuple(map(_dropout, per_layer(known, "dropout"))),
        numeric_embedding=embedding,
        n_bins=bins_for(facts.n_rows, groups is not None) if needs_bins else 0,
        keeps_tails=keeps_tails(facts),
        scores_gaps=scores_gaps(embedding, facts),
        scores_tails=scores_tails(facts),
        categorical_features=plain(known["categorical_features"]),
        loss=loss_of(known),
        penalty=penalty,
        level_penalty=level_penalty(known, facts),
        solver=solver,
        schedule=_rule(known["learning_rate"], SCHEDULES, known),
        split=_split(known, facts),
        promise=promise,
        groups=groups,
        pairwise=known["interaction_cst"] == "pairwise",
    )


def _split(known: Mapping[str, Any], facts: Facts) -> Split:
    """Return how validation rows are chosen; "last" holds out as many rows as "auto"."""
    given = known["validation_fraction"]
    if isinstance(given, Real):
        return RandomRows(float(given))
    usual = RULES["validation_fraction"](known, facts)
    return SPLITS[given](usual) if isinstance(given, str) else FirstSplit(usual, given)


def _as_number(value: Any) -> Any:
    """Return a number, such as one of NumPy, as an int or float, and other values as given."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def loss_of(known: Mapping[str, Any]) -> Any:
    """Return the loss, or a dict with the losses of several targets by name."""
    if "targets" not in known:
        return _rule(known["loss"], LOSSES, known)
    given = (known["targets"] or {}).items()
    return {k: _rule(v, LOSSES, known) for k, v in given if v not in TASKS}


def _dropout(rate: float | str) -> Dropout:
    """Return the dropout of a hidden layer, which may have a rate of zero."""
    return Dropout(DROPOUT, adapts=True) if rate == ADAPTIVE else Dropout(float(rate))


def _rule(value: Any, registry: Mapping[str, type], known: Mapping[str, Any]) -> Any:
    """Return a rule that is given as an object, as None, or by its name in the registry.

    A field of the registered class takes the value of the parameter of the same name.
    """
    if not isinstance(value, str):
        return value
    cls = registry[value]
    names = [field.name for field in fields(cls) if field.name in known]
    return cls(**{name: known[name] for name in names})
