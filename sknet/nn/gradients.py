"""A check of the gradients of a loss, an activation or a layer by finite differences."""

import numpy as np

from sknet.nn.activations import Activation, Identity, Tanh
from sknet.nn.embeddings import NumericEmbedding
from sknet.nn.kernels import Array
from sknet.nn.layers import Dense, Layer
from sknet.nn.losses import Loss, SquaredError
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Batch, Objective
from sknet.nn.sets import ElasticNet

#: The size of the problem, the step of a difference, and the bins of an embedding.
N_ROWS, N_INPUTS, STEP = 64, 3, 1e-6
EDGES = ((-2.0, -0.5, 0.5, 2.0),) * N_INPUTS


def largest_error(rule: Loss | Activation | Layer, random_state: int = 0) -> float:
    """Return how far the gradient of a rule is from slopes computed by finite differences.

    A small network with the rule computes the loss of a few random rows, and its gradient with
    respect to all parameters. A mistake in a gradient does not always show in a fit, which may
    merely learn less. The error of a correct rule is below 1e-6. It may be larger if the
    derivative has a jump that is within a step of one of the random numbers; another
    ``random_state`` then gives a small error. A mistake that concerns only extreme numbers, or
    the gradient of the inputs of an embedding, is not found.

    Parameters
    ----------
    rule : Loss, Activation or Layer
        A loss is a function of two columns of y, or of one if it predicts quantiles. They are
        0 or 1 for classification. Otherwise, they are the first of these kinds that the loss
        accepts: normally distributed, between 0.5 and 2, or between 0 and 1. An embedding of
        numbers receives three numeric columns. Embeddings of categories cannot be checked.
    random_state : int, default=0
        The seed of the rows and of the parameters.

    Returns
    -------
    float
        The largest difference, divided by the largest slope.

    Raises
    ------
    ValueError
        If the loss accepts no such y.

    Examples
    --------
    >>> from sknet.nn.activations import SiLU
    >>> from sknet.nn.gradients import largest_error
    >>> largest_error(SiLU()) < 1e-6
    True
    """
    rng = np.random.default_rng(random_state)
    loss = rule if isinstance(rule, Loss) else SquaredError()
    y = _targets(loss, rng)
    output = Dense(loss.link.n_raw(y.shape[1]), Identity())
    network = Network((*_layers_with(rule), output), N_INPUTS)
    objective = Objective(network, loss, ElasticNet())
    batch = Batch(rng.normal(size=(N_ROWS, N_INPUTS)), y)
    params, workspace = network.init(rng), Workspace(network, N_ROWS, np.dtype(np.float64))
    # Raw predictions are as large as those of a trained network, or larger.
    params += rng.normal(size=params.size)

    def value(params: Array, gradient: Array) -> float:
        return objective.loss_and_gradient(params, batch, workspace, gradient)

    gradient, unused = np.zeros((2, params.size))
    value(params, gradient)
    steps = STEP * np.eye(params.size)
    slopes = [(value(params + s, unused) - value(params - s, unused)) / 2 / STEP for s in steps]
    return float(np.abs(gradient - slopes).max() / np.abs(slopes).max())


def _targets(loss: Loss, rng: np.random.Generator) -> Array:
    """Return targets for which the loss is defined."""
    n_columns = 1 if loss.predicts_quantiles else 2
    if loss.task == "classification":
        return np.eye(n_columns)[rng.integers(n_columns, size=N_ROWS)]
    size = N_ROWS, n_columns
    for y in (rng.normal(size=size), rng.uniform(0.5, 2, size), rng.uniform(size=size)):
        if loss.in_domain(y):
            return y
    raise ValueError(f"{loss!r} is not defined for the random y. Its domain is {loss.domain}.")


def _layers_with(rule: Loss | Activation | Layer) -> list[Layer]:
    """Return hidden layers that have parameters before and after the rule, if possible."""
    before = Dense(N_INPUTS, Tanh())
    if isinstance(rule, NumericEmbedding):
        # The numbers themselves are the inputs of an embedding.
        return [rule.with_bins(EDGES) if rule.needs_bins else rule]
    if isinstance(rule, Layer):
        return [before, rule]
    return [before, Dense(4, rule if isinstance(rule, Activation) else Tanh())]
