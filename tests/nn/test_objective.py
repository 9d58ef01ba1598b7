import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet.data.batches import Dataset
from sknet.nn.activations import ReLU
from sknet.nn.layers import Dense, Dropout
from sknet.nn.losses import LOSSES
from sknet.nn.network import Workspace
from sknet.nn.sets import ElasticNet


@pytest.mark.parametrize("l1_ratio", [0, 0.5, 1])
def test_value_is_mean_loss_plus_penalty(l1_ratio, make_problem, evaluate_objective):
    objective, params, batch = make_problem(
        (), n_outputs=2, penalty=ElasticNet(0.3, l1_ratio), weighted=True
    )
    (views,) = objective.network.views(params)
    W = views.weight
    error = batch.X @ W + views.bias - batch.y
    J = np.average((error**2).sum(axis=1) / 2, weights=batch.sample_weight)
    J += 0.3 * (l1_ratio * np.abs(W).sum() + (1 - l1_ratio) / 2 * (W**2).sum())
    value, gradient = evaluate_objective(objective, params, batch)
    assert type(value) is float
    assert_allclose(value, J, rtol=1e-13)
    # L1 acts by its proximal step alone, so it is absent here.
    weighted = error * batch.sample_weight[:, np.newaxis] / len(error)
    expected = batch.X.T @ weighted + 0.3 * (1 - l1_ratio) * W
    (grads,) = objective.network.views(gradient)
    assert_allclose(grads.weight, expected, rtol=1e-12)
    assert_allclose(grads.bias, weighted.sum(axis=0), rtol=1e-12)


def test_biases_are_free(make_problem, evaluate_objective):
    free, params, batch = make_problem()
    penalized, _, _ = make_problem(penalty=ElasticNet(0.3, 0.0))
    n = free.network.n_penalized
    (_, without), (_, with_penalty) = (
        evaluate_objective(objective, params, batch) for objective in (free, penalized)
    )
    assert_array_equal(with_penalty[n:], without[n:])
    assert_allclose(with_penalty[:n] - without[:n], 0.3 * params[:n], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "loss, batch_size, weighted, as_sparse",
    [
        (loss, batch_size, (i + j) % 2 == 1, (i // 2 + j) % 2 == 1)
        for i, loss in enumerate(LOSSES)
        for j, batch_size in enumerate([1, 4, 9])
    ],
)
def test_batches_average_to_the_whole(
    loss, batch_size, weighted, as_sparse, make_problem, make_batches, evaluate_objective
):
    objective, params, batch = make_problem(
        loss=LOSSES[loss](), n_outputs=3, as_sparse=as_sparse, weighted=weighted
    )
    whole, gradient = evaluate_objective(objective, params, batch)
    batches = make_batches(*batch[:3], batch_size=batch_size)
    parts = [(*evaluate_objective(objective, params, b), b.X.shape[0] / 9) for b in batches]
    assert len(parts) == -(-9 // batch_size)
    assert_allclose(sum(share * value for value, _, share in parts), whole, rtol=1e-12)
    assert_allclose(sum(share * g for _, g, share in parts), gradient, rtol=1e-10, atol=1e-14)
    workspace = Workspace(objective.network, batch_size, np.float64)
    assert_allclose(objective.mean_loss(params, batches, workspace), whole, rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_integer_weights_equal_repetition(loss, make_problem, evaluate_objective):
    objective, params, batch = make_problem(loss=LOSSES[loss](), n_outputs=3)
    counts = np.array([1, 2, 3, 1, 1, 4, 1, 2, 3])
    repeated = Dataset(*batch).batch(np.repeat(np.arange(9), counts))
    weighted = batch._replace(sample_weight=counts / counts.mean())
    results = [evaluate_objective(objective, params, b) for b in (weighted, repeated)]
    assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    assert_allclose(results[0][1], results[1][1], rtol=1e-10, atol=1e-14)


def test_mean_loss_is_without_penalty_and_dropout(
    make_problem, make_batches, evaluate_objective
):
    stack = (Dense(6, ReLU()), Dropout(0.5))
    free, params, batch = make_problem(stack)
    objective, _, _ = make_problem(stack, penalty=ElasticNet(1.0, 0.5))
    expected, _ = evaluate_objective(free, params, batch)
    workspace = Workspace(objective.network, 4, np.float64)
    mean = objective.mean_loss(params, make_batches(*batch[:3], batch_size=4), workspace)
    assert_allclose(mean, expected, rtol=1e-13)
    noisy, _ = evaluate_objective(free, params, batch, np.random.default_rng(0))
    assert noisy != expected


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "quantile", "poisson"])
def test_the_least_constant_loss(loss, weighted, make_problem, make_batches):
    """No better constant is found by a search, except that quantiles do not see the weights."""
    objective, _, batch = make_problem(loss=LOSSES[loss](), n_rows=40, weighted=weighted)
    batches = make_batches(*batch, batch_size=7)
    found = objective.least_constant_loss(batches)
    constants = np.linspace(-4, 4, 4001)
    weight = batch.sample_weight
    losses = [objective.loss_of_constant(one, batch.y, weight) for one in constants]
    if loss == "squared_error":
        # The better one of the mean without weights and of zero.
        means = [objective.loss_of_constant(m, batch.y, weight) for m in (batch.y.mean(), 0.0)]
        assert found == pytest.approx(min(means))
    elif loss == "poisson":
        assert found == pytest.approx(objective.loss_of_constant(0.0, batch.y, weight))
    elif not weighted:
        assert found == pytest.approx(min(losses), rel=1e-3)
    assert found >= min(losses) - 1e-3
