"""From settings to layers, loss, optimizer, schedule and penalty.

Settings are an estimator's parameters, with a value in place of each "auto".
"""

from dataclasses import fields

import numpy as np
from sklearn.utils import check_random_state

from sknet._validation import hidden_layer_sizes, per_layer
from sknet.nn.activations import ACTIVATIONS, Identity
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, Columns, Embedding
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput
from sknet.nn.layers import Dense, Dropout, LayerNorm
from sknet.nn.losses import LOSSES
from sknet.nn.network import Network
from sknet.nn.penalties import ElasticNet
from sknet.nn.schedules import SCHEDULES
from sknet.nn.solvers import SOLVERS
from sknet.nn.training import Stopping, UpdateRule

#: Numbers that the network learns for each level of a category with many levels.
EMBEDDING_SIZE = 8


def make_network(settings, table, n_raw):
    """Return the layers between an encoded table and ``n_raw`` raw predictions a member."""
    n_members = int(settings.n_members)
    front = _input_layers(settings, table)
    hidden = _hidden_layers(settings, n_members)
    if n_members > 1 and hidden:
        output = EnsembleHead(n_raw, n_members)
    else:
        output = Dense(n_members * n_raw, Identity())
    return Network((*front, *hidden, output), table.n_outputs_, n_members)


def _input_layers(settings, table):
    """Return a layer that embeds numbers and categories, if there are any to be embedded."""
    numeric = _instance(settings.numeric_embedding, NUMERIC_EMBEDDINGS, settings)
    if numeric is not None and numeric.needs_bins:
        numeric = numeric.with_bins(table.bin_edges_)
    embeddings = [(1, Embedding(one.n_levels, EMBEDDING_SIZE)) for one in table.embedded_]
    if (numeric is None or not table.n_numeric_) and not embeddings:
        return []
    n_other = table.n_plain_ - table.n_numeric_
    parts = [(table.n_numeric_, numeric), (n_other, None), *embeddings]
    return [Columns(tuple(part for part in parts if part[0]))]


def encoded_names(network, table, names, levels):
    """Return a name for each output of the input layers.

    ``names`` are those of the numeric columns, then of the categories, whose ``levels`` follow.
    What a number or a category is embedded as is numbered.
    """
    front = network.layers[0]
    plain, embedded = table.feature_names(names, levels)
    if not isinstance(front, Columns):
        return plain
    sources = iter([*plain, *embedded])
    encoded = []
    for width, layer in front.parts:
        for j, name in enumerate([next(sources) for _ in range(width)]):
            size = 1 if layer is None else layer.output_counts(width)[j]
            encoded += [name] if layer is None else [f"{name}_{i}" for i in range(size)]
    return encoded


def _hidden_layers(settings, n_members):
    """Return the hidden layers, each with its normalisation and dropout."""
    layers = []
    for size, activation, dropout in zip(
        hidden_layer_sizes(settings),
        per_layer(settings, "activation"),
        per_layer(settings, "dropout"),
        strict=True,
    ):
        activation = _instance(activation, ACTIVATIONS, settings)
        # The activation follows the normalisation.
        inner = activation if settings.normalization is None else Identity()
        if n_members == 1:
            layers.append(Dense(int(size), inner))
        else:
            kind = EnsembleDense if layers else EnsembleInput
            layers.append(kind(int(size), inner, n_members))
        if settings.normalization == "layer":
            layers.append(LayerNorm(activation, n_members))
        if dropout:
            layers.append(Dropout(float(dropout)))
    return layers


def make_loss(settings, name=None):
    """Return the loss; ``name`` is the registered one if not its parameter."""
    loss = settings.loss
    if name is not None and isinstance(loss, str):
        loss = name
    return _instance(loss, LOSSES, settings)


def make_optimizer_and_penalty(settings):
    """Return the solver and the penalty that is left to the objective."""
    penalty = ElasticNet(float(settings.alpha), float(settings.l1_ratio))
    return _instance(settings.solver, SOLVERS, settings).decouple(penalty)


def make_update_rule(settings, optimizer, *, horizon=True):
    """Return the update rule; without ``horizon``, schedules that need one are constant."""
    schedule = _instance(settings.learning_rate, SCHEDULES, settings)
    if schedule.has_horizon and not horizon:
        schedule = SCHEDULES["constant"]()
    return UpdateRule(
        optimizer, schedule, float(settings.learning_rate_init), settings.ema_decay
    )


def make_stopping(settings):
    """Return when to stop."""
    return Stopping(settings.max_iter, float(settings.tol), settings.n_iter_no_change)


def random_streams(random_state):
    """Return independent generators by purpose.

    One purpose's draws, whose number may depend on the rows, do not shift another's.
    """
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    purposes = ["tables", "init", "split", "shuffle", "augmentation", "noise"]
    return dict(zip(purposes, np.random.default_rng(seed).spawn(len(purposes)), strict=True))


def _instance(value, registry, settings):
    """Return ``value``, or the registered class of that name with the settings' values.

    A field of the class takes the value of the setting of the same name.
    """
    if not isinstance(value, str):
        return value
    cls = registry[value]
    names = [field.name for field in fields(cls) if hasattr(settings, field.name)]
    return cls(**{name: getattr(settings, name) for name in names})
