"""What the tests of the core share, as factories: importlib mode has no helper modules."""

from itertools import chain, repeat

import numpy as np
import pytest
from scipy import sparse

from sknet.data.batches import Batch, Batches, Dataset
from sknet.nn.activations import ACTIVATIONS, Identity, Tanh
from sknet.nn.columns import Columns, ColumnScales, Embedding
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput
from sknet.nn.epochs import UpdateRule
from sknet.nn.groups import GroupColumns, GroupedDense, PairwiseHead
from sknet.nn.layers import NORMALIZATIONS, Dense, Dropout
from sknet.nn.losses import LOSSES, SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Objective
from sknet.nn.optimizers import SGD
from sknet.nn.schedules import Constant
from sknet.nn.sets import ElasticNet
from sknet.nn.state import Stopping, TrainingState
from sknet.nn.training import train


@pytest.fixture
def make_target():
    """Return a random target that suits a loss, told from what the loss says of itself."""

    def make(loss, n_rows, n_outputs, rng):
        if loss.task == "regression":
            # Positive, for losses with a log link.
            return rng.gamma(2, size=(n_rows, n_outputs))
        if loss.link.exclusive and (n_outputs > 1 or not loss.link.ordered):
            return np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)]
        return rng.integers(2, size=(n_rows, n_outputs)).astype(float)

    return make


@pytest.fixture
def make_batches():
    """Return batches of rows that need no encoding; one of all rows by default."""

    def make(X, y, sample_weight=None, batch_size=None, rng=None):
        data = Dataset(X, y, sample_weight)
        return Batches(data, batch_size or X.shape[0], lambda rows: rows, rng)

    return make


@pytest.fixture
def directional_derivative():
    """Return df(x)/dv by central differences."""

    def derivative(f, x, v, step=1e-6):
        return (f(x + step * v) - f(x - step * v)) / (2 * step)

    return derivative


@pytest.fixture
def numeric_gradient(directional_derivative):
    """Return the gradient of f at an array x, coordinate by coordinate."""

    def gradient(f, x):
        units = np.eye(x.size).reshape(x.size, *x.shape)
        return np.array([directional_derivative(f, x, v) for v in units]).reshape(x.shape)

    return gradient


@pytest.fixture
def evaluate_objective():
    """Return the value of an objective and its gradient, from arrays of their own."""

    def value_and_gradient(objective, params, batch, rng=None):
        workspace = Workspace(objective.network, batch.X.shape[0], params.dtype)
        gradient = np.full_like(params, np.nan)
        value = objective.loss_and_gradient(params, batch, workspace, gradient, rng)
        weights = slice(objective.network.n_penalized)
        objective.penalty.add_gradient(params[weights], gradient[weights])
        return value + objective.penalty_value(params), gradient

    return value_and_gradient


@pytest.fixture
def make_problem(make_target):
    """Return objective, parameters and batch of a small random problem."""

    def make(
        layers=None,
        loss=None,
        n_outputs=1,
        *,
        n_rows=9,
        n_inputs=4,
        penalty=None,
        weighted=False,
        as_sparse=False,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        loss = loss or SquaredError()
        if layers is None:
            layers = (Dense(5, Tanh()),)
        network = Network((*layers, Dense(loss.link.n_raw(n_outputs), Identity())), n_inputs)
        X = rng.normal(size=(n_rows, n_inputs))
        if as_sparse:
            X = sparse.csr_matrix(X * (rng.random(X.shape) < 0.5))
        weight = rng.uniform(0.2, 3, n_rows) if weighted else None
        if weighted:
            weight /= weight.mean()
        batch = Batch(X, make_target(loss, n_rows, n_outputs, rng), weight)
        params = network.init(rng)
        # Away from the kinks, where differences lie.
        params += rng.normal(scale=0.1, size=params.size)
        return Objective(network, loss, penalty or ElasticNet()), params, batch

    return make


@pytest.fixture
def run_training(make_batches):
    """Return the result of ``train`` on a copy of the parameters, and its state."""

    def run(
        problem,
        *,
        optimizer=None,
        schedule=None,
        learning_rate=0.01,
        ema_decay=None,
        max_iter=10,
        tol=0.0,
        patience=np.inf,
        n_cooling=None,
        least_score=-np.inf,
        of_refit=-np.inf,
        batch_size=None,
        shuffle=None,
        state=None,
        **options,
    ):
        objective, params, batch = problem
        params = params.copy()
        optimizer = optimizer or SGD()
        rule = UpdateRule(optimizer, schedule or Constant(), learning_rate, ema_decay)
        state = state or TrainingState.start(optimizer, params, np.random.default_rng(0))
        batches = make_batches(*batch[:3], batch_size=batch_size, rng=shuffle)
        stopping = Stopping(max_iter, tol, patience, n_cooling, least_score, of_refit)
        return train(objective, params, batches, rule, stopping, state, **options), state

    return run


@pytest.fixture
def scripted():
    """Return an ``evaluate`` that gives the listed scores and keeps what it was shown.

    It also gives validation losses, if they are listed.
    """

    class Script:
        def __init__(self, scores, losses=()):
            self.scores = iter(scores)
            self.losses = iter(losses)
            self.seen = []

        def __call__(self, params):
            self.seen.append(params.copy())
            found = {"validation_score": next(self.scores)}
            loss = next(self.losses, None)
            return found if loss is None else {"validation_loss": loss, **found}

    return Script


@pytest.fixture
def poisoned():
    """Return a problem whose gradient, or value too, is NaN after some steps."""

    class Poisoned(Objective):
        def loss_and_gradient(self, params, batch, workspace, gradient_out, *args, **kwargs):
            value = super().loss_and_gradient(
                params, batch, workspace, gradient_out, *args, **kwargs
            )
            if next(self.steps):
                return value
            gradient_out[self.where] = np.nan
            return np.nan if self.value_too else value

    def poison(problem, n_good, *, value_too, where=slice(None)):
        objective, *rest = problem
        objective = Poisoned(objective.network, objective.loss, objective.penalty)
        vars(objective)["value_too"] = value_too
        vars(objective)["where"] = where
        vars(objective)["steps"] = chain(repeat(True, n_good), repeat(False))
        return objective, *rest

    return poison


@pytest.fixture
def draw_problem(make_target):
    """Return objective, parameters and batch of a network drawn from all registries.

    The layers are those that an estimator builds: embeddings, hidden layers of one network or
    of an ensemble, each with its normalization and dropout, and the output.
    """

    def draw_embeddings(rng, n_numeric):
        edges = tuple(
            tuple(np.sort(rng.normal(size=rng.integers(2, 5))).tolist())
            for _ in range(n_numeric)
        )
        name = rng.choice(["none", *NUMERIC_EMBEDDINGS])
        numeric = None if name == "none" else NUMERIC_EMBEDDINGS[name]().with_bins(edges)
        categories = [((n_numeric,), Embedding(3, 2, ridge=0.3))] * int(rng.integers(2))
        n_columns = n_numeric + len(categories)
        embedded = numeric is not None or categories
        layers = [Columns(((range(n_numeric), numeric), *categories))] if embedded else []
        if rng.random() < 0.5:
            width = Network((*layers,), n_columns).n_outputs
            layers.append(ColumnScales((*(rng.permutation(width) % 3).tolist(),), ridge=0.2))
        return layers, n_columns

    def draw_hidden_layer(rng, n_members, is_first):
        activation = ACTIVATIONS[rng.choice(list(ACTIVATIONS))]()
        size, name = int(rng.integers(1, 5)), rng.choice(["none", *NORMALIZATIONS])
        inner = activation if name == "none" else Identity()
        if n_members == 1:
            layers = [Dense(size, inner)]
        else:
            kind = EnsembleInput if is_first else EnsembleDense
            layers = [kind(size, inner, n_members)]
        if name != "none":
            layers.append(NORMALIZATIONS[name](activation, n_members))
        return [*layers, Dropout(0.3)] if rng.random() < 0.3 else layers

    def draw_layers(rng, n_members, n_raw):
        hidden = [draw_hidden_layer(rng, n_members, i == 0) for i in range(rng.integers(3))]
        if hidden and n_members > 1:
            output = EnsembleHead(n_raw, n_members)
        else:
            output = Dense(n_members * n_raw, Identity())
        return [*sum(hidden, []), output]

    def draw_groups(rng, n_columns, n_members, n_raw):
        n_groups = int(rng.integers(1, 4))
        groups = tuple(
            tuple(rng.integers(n_columns, size=rng.integers(1, 4)).tolist())
            for _ in range(n_groups)
        )
        activation, n_all = ACTIVATIONS[rng.choice(list(ACTIVATIONS))](), n_groups * n_members
        hidden = GroupColumns(groups * n_members), GroupedDense(2, activation, n_all)
        if rng.random() < 0.5:
            return [*hidden, PairwiseHead(n_raw, n_members, n_groups=n_groups, n_factors=2)]
        return [*hidden, EnsembleHead(n_raw, n_members)]

    def draw_loss(rng):
        name = str(rng.choice(list(LOSSES)))
        if name == "quantile" and rng.random() < 0.5:
            return LOSSES[name]((0.1, 0.5, 0.8))
        return LOSSES[name]()

    def draw(seed, n_rows=7):
        rng = np.random.default_rng(seed)
        loss = draw_loss(rng)
        n_outputs = 1 if loss.predicts_quantiles else int(rng.integers(1, 4))
        n_members = int(rng.choice([1, 1, 2, 3]))
        front, n_inputs = draw_embeddings(rng, n_numeric := int(rng.integers(1, 4)))
        layers = draw_layers(rng, n_members, n_raw := loss.link.n_raw(n_outputs))
        before_link = bool(seed % 3 == 0)
        if before_link:
            widths = Network(tuple(front), n_inputs).widths
            layers = draw_groups(rng, widths[-1], n_members, n_raw)
        network = Network((*front, *layers), n_inputs, n_members, before_link)
        X = rng.normal(size=(n_rows, n_inputs))
        # Level numbers, among them the one of unknown levels.
        X[:, n_numeric:] = rng.integers(4, size=(n_rows, n_inputs - n_numeric))
        if not front and rng.random() < 0.3:
            X = sparse.csr_matrix(X * (rng.random(X.shape) < 0.5))
        weight = rng.uniform(0.2, 3, n_rows) if rng.random() < 0.5 else None
        batch = Batch(X, make_target(loss, n_rows, n_outputs, rng), weight)
        params = network.init(rng)
        # Away from the kinks, where differences lie.
        params += rng.normal(scale=0.1, size=params.size)
        penalty = ElasticNet(float(rng.choice([0, 0.01, 0.1])))
        return Objective(network, loss, penalty), params, batch

    return draw
