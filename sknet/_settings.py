"""The settings of a fit, to which the parameters of an estimator are resolved.

The modules below this one see settings only: no "auto", and no rule that is given by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

from sknet._auto import SHAPING, Facts, bins_for, choose, cooling_epochs, level_penalty
from sknet._parameters import (
    hidden_layer_sizes,
    interaction_groups,
    per_layer,
    plain,
    same_value,
)
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, NumericEmbedding
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.monotone import Promise
from sknet.nn.optimizers import Solver
from sknet.nn.penalties import ElasticNet
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.types import Groups

#: The parameters that fields of ``Settings`` stand for, and those that ``fit`` itself reads.
RESOLVED = {
    *("hidden_layer_sizes", "activation", "dropout", "numeric_embedding"),
    *("interaction_cst", "monotonic_cst", "categorical_features"),
    *("loss", "quantile", "solver", "learning_rate", "random_state", "warm_start"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The parameters of a fit as values that can be computed with.

    A parameter whose value is a number, a name or the like is an attribute with this value, and
    needs no line here: ``values`` has it, with what was chosen for "auto". The fields have the
    others, as follows. Rules are objects. ``activations`` and ``dropout`` have one entry for
    each hidden layer. ``penalty`` stands for ``alpha`` and ``l1_ratio``. ``n_bins`` is the
    number of quantile bins of each number, or 0 if the embedding needs none. ``auto`` maps the
    name of each parameter that is "auto" to its value, in the form in which a user would give
    it. ``level_penalty`` is the strength of the penalty of the vectors of levels, for each row
    that the prior of their effect is worth.
    ``promise`` stands for ``monotonic_cst``; it is None if no column is constrained.
    ``groups`` and ``pairwise`` stand for ``interaction_cst``: groups of columns of X with
    networks of their own, or None, and whether the network has products of pairs of groups.
    """

    values: Mapping[str, Any]
    auto: Mapping[str, Any]
    hidden_layer_sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    dropout: tuple[float, ...]
    numeric_embedding: NumericEmbedding | None
    n_bins: int
    categorical_features: Any
    loss: Loss
    penalty: ElasticNet
    level_penalty: float
    solver: Solver
    schedule: Schedule
    promise: Promise | None
    groups: Groups | None
    pairwise: bool

    def __getattr__(self, name: str) -> Any:
        # Python calls this for names that it does not find otherwise, also for those of its
        # protocols, and before a copy has its values.
        values = vars(self).get("values", {})
        if name not in values:
            raise AttributeError(f"There is no setting {name!r}.")
        return values[name]

    def with_values(self, **values: Any) -> "Settings":
        """Return settings with other values of some parameters."""
        return replace(self, values={**self.values, **values})

    @property
    def marks_heavy(self) -> bool:
        """Whether heavy values of numeric columns get indicators."""
        embedding = self.numeric_embedding
        return embedding is not None and embedding.needs_indicators

    @property
    def finds_codes(self) -> bool:
        """Whether numeric columns whose single values matter become categories besides.

        The curve of such a column in an additive network could not be read.
        """
        return self.numeric_embedding is not None and self.groups is None

    @property
    def n_cooling(self) -> int:
        """The largest number of epochs in which a planned learning rate may fall early."""
        return cooling_epochs(self.max_iter)

    def changed_encodings(self, before: "Settings") -> list[str]:
        """Return the parameters that decide about the encodings and have other values now."""
        names = ["standardize", "categorical_features"]
        return [
            name for name in names if not same_value(getattr(before, name), getattr(self, name))
        ]

    @property
    def shaping(self) -> dict[str, Any]:
        """The values of "auto" parameters that a continued network must keep."""
        return {name: self.auto[name] for name in SHAPING if name in self.auto}


def resolve(
    parameters: Mapping[str, Any],
    facts: Facts,
    kept: Mapping[str, Any] = MappingProxyType({}),
    promise: Promise | None = None,
) -> Settings:
    """Return the settings of a fit.

    Parameters
    ----------
    parameters : mapping of str to object
        Checked parameters of an estimator.
    facts : Facts
        The facts of the training data that the rules of "auto" need.
    kept : mapping of str to object, optional
        The values that "auto" parameters keep from an earlier fit, which is to be continued.
    promise : Promise, optional
        The promise of the monotonic constraints; None if there are none.
    """
    auto = choose({**parameters, "monotonic_cst": promise}, facts, kept)
    # A regressor has no weights of classes.
    known = {"class_weight": None, **parameters, **auto}
    embedding = known["numeric_embedding"]
    if embedding is not None:
        embedding = _rule(embedding, NUMERIC_EMBEDDINGS, known)
    embeddings = [] if embedding is None else [embedding]
    if promise is not None:
        embeddings += [one.rising() for one in embeddings]
    needs_bins = any(one.needs_bins for one in embeddings)
    groups = interaction_groups(known["interaction_cst"], facts.n_columns)
    return Settings(
        values={k: _as_number(v) for k, v in known.items() if k not in RESOLVED},
        auto=auto,
        hidden_layer_sizes=tuple(int(size) for size in hidden_layer_sizes(known)),
        activations=tuple(
            _rule(one, ACTIVATIONS, known) for one in per_layer(known, "activation")
        ),
        dropout=tuple(float(rate) for rate in per_layer(known, "dropout")),
        numeric_embedding=embedding,
        n_bins=bins_for(facts.n_rows, groups is not None) if needs_bins else 0,
        categorical_features=plain(known["categorical_features"]),
        loss=_rule(known["loss"], LOSSES, known),
        penalty=ElasticNet(float(known["alpha"]), float(known["l1_ratio"])),
        level_penalty=level_penalty(known, facts),
        solver=_rule(known["solver"], SOLVERS, known),
        schedule=_rule(known["learning_rate"], SCHEDULES, known),
        promise=promise,
        groups=groups,
        pairwise=known["interaction_cst"] == "pairwise",
    )


def _as_number(value: Any) -> Any:
    """Return a number, of NumPy for example, as an int or float, and other values as given."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _rule(value: Any, registry: Mapping[str, type], known: Mapping[str, Any]) -> Any:
    """Return a rule that is given as an object, or by its name in the registry.

    A field of the registered class takes the value of the parameter of the same name.
    """
    if not isinstance(value, str):
        return value
    cls = registry[value]
    names = [field.name for field in fields(cls) if field.name in known]
    return cls(**{name: known[name] for name in names})
