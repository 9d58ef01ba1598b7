"""The settings of a fit, to which the parameters of an estimator are resolved.

The modules below this one see settings only: no "auto", and no rule that is given by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
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
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.monotone import Promise
from sknet.nn.optimizers import Solver
from sknet.nn.penalties import ElasticNet
from sknet.nn.schedules import SCHEDULES, Schedule
from sknet.nn.solvers import SOLVERS
from sknet.nn.types import Groups


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The parameters of a fit as values that can be computed with.

    The fields have the names and meanings of the estimators' parameters, with these
    differences. Rules are objects. ``activations`` and ``dropout`` have one entry for each
    hidden layer. ``penalty`` stands for ``alpha`` and ``l1_ratio``. ``n_bins`` is the number of
    quantile bins of each number, or 0 if the embedding needs none. ``auto`` maps the name of
    each parameter that is "auto" to its value, in the form in which a user would give it.
    ``level_penalty`` is the strength of the penalty of the vectors of levels, for each row that
    the prior of their effect is worth.
    ``promise`` stands for ``monotonic_cst``; it is None if no column is constrained.
    ``groups`` and ``pairwise`` stand for ``interaction_cst``: groups of columns of X with
    networks of their own, or None, and whether the network has products of pairs of groups.
    """

    # The network.
    hidden_layer_sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    dropout: tuple[float, ...]
    normalization: str | None
    n_members: int
    numeric_embedding: NumericEmbedding | None
    n_bins: int
    n_components: int
    dtype: str
    groups: Groups | None
    pairwise: bool
    # The data.
    standardize: bool
    categorical_features: Any
    class_weight: Any
    label_smoothing: float
    input_noise: float
    mixup: float
    shuffle: bool
    # Training.
    loss: Loss
    penalty: ElasticNet
    level_penalty: float
    solver: Solver
    schedule: Schedule
    learning_rate_init: float
    batch_size: int
    ema_decay: float | None
    max_iter: int
    tol: float
    n_iter_no_change: float
    early_stopping: bool
    validation_fraction: float
    refit: bool
    scoring: Any
    verbose: int
    auto: Mapping[str, Any]
    promise: Promise | None

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
    known = {**parameters, **auto}
    embedding = known["numeric_embedding"]
    if embedding is not None:
        embedding = _rule(embedding, NUMERIC_EMBEDDINGS, known)
    embeddings = [] if embedding is None else [embedding]
    if promise is not None:
        embeddings += [one.rising() for one in embeddings]
    needs_bins = any(one.needs_bins for one in embeddings)
    groups = interaction_groups(known["interaction_cst"], facts.n_columns)
    return Settings(
        hidden_layer_sizes=tuple(int(size) for size in hidden_layer_sizes(known)),
        activations=tuple(
            _rule(one, ACTIVATIONS, known) for one in per_layer(known, "activation")
        ),
        dropout=tuple(float(rate) for rate in per_layer(known, "dropout")),
        normalization=known["normalization"],
        n_members=int(known["n_members"]),
        numeric_embedding=embedding,
        n_bins=bins_for(facts.n_rows, groups is not None) if needs_bins else 0,
        n_components=int(known["n_components"]),
        dtype=known["dtype"],
        groups=groups,
        pairwise=known["interaction_cst"] == "pairwise",
        standardize=known["standardize"],
        categorical_features=plain(known["categorical_features"]),
        class_weight=known.get("class_weight"),
        label_smoothing=float(known.get("label_smoothing", 0.0)),
        input_noise=float(known["input_noise"]),
        mixup=float(known["mixup"]),
        shuffle=known["shuffle"],
        loss=_rule(known["loss"], LOSSES, known),
        penalty=ElasticNet(float(known["alpha"]), float(known["l1_ratio"])),
        level_penalty=level_penalty(known, facts),
        solver=_rule(known["solver"], SOLVERS, known),
        schedule=_rule(known["learning_rate"], SCHEDULES, known),
        learning_rate_init=float(known["learning_rate_init"]),
        batch_size=known["batch_size"],
        ema_decay=known["ema_decay"],
        max_iter=known["max_iter"],
        tol=float(known["tol"]),
        n_iter_no_change=known["n_iter_no_change"],
        early_stopping=known["early_stopping"],
        validation_fraction=known["validation_fraction"],
        refit=known["refit"],
        scoring=known["scoring"],
        verbose=int(known["verbose"]),
        auto=auto,
        promise=promise,
    )


def _rule(value: Any, registry: Mapping[str, type], known: Mapping[str, Any]) -> Any:
    """Return a rule that is given as an object, or by its name in the registry.

    A field of the registered class takes the value of the parameter of the same name.
    """
    if not isinstance(value, str):
        return value
    cls = registry[value]
    names = [field.name for field in fields(cls) if field.name in known]
    return cls(**{name: known[name] for name in names})
