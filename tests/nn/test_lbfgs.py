import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from sknet.data.batches import Batch
from sknet.nn.activations import Identity, Tanh
from sknet.nn.layers import Dense
from sknet.nn.lbfgs import LBFGS, SplitProblem, train_lbfgs
from sknet.nn.losses import BinaryLogLoss, HalfPoisson, SquaredError
from sknet.nn.network import Network
from sknet.nn.objective import Objective
from sknet.nn.sets import ElasticNet
from sknet.nn.soundness import FAULTS, DivergenceError, Ending
from sknet.nn.state import Stopping, best_epoch, objectives


@pytest.fixture
def minimize(make_batches):
    def run(
        objective,
        params,
        batch,
        *,
        block_rows=None,
        max_iter=5000,
        tol=1e-10,
        patience=math.inf,
        max_fun=50_000,
        **options,
    ):
        batches = make_batches(*batch[:3], batch_size=block_rows)
        stopping = Stopping(max_iter, tol, patience)
        solver = LBFGS(max_fun)
        return train_lbfgs(objective, params.copy(), batches, stopping, solver, **options)

    return run


@pytest.fixture
def linear_problem():
    def make(penalty, loss=None, n_outputs=1, weighted=False):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 8))
        truth = rng.normal(size=(8, n_outputs)) * (rng.random((8, n_outputs)) < 0.5)
        y = X @ truth + 2 + 0.3 * rng.normal(size=(60, n_outputs))
        weight = rng.uniform(0.2, 3, 60) if weighted else None
        if weighted:
            weight /= weight.mean()
        network = Network((Dense(n_outputs, Identity()),), 8)
        objective = Objective(network, loss or SquaredError(), penalty)
        return objective, network.init(rng), Batch(X, y, weight)

    return make


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_ridge_closed_form(alpha, n_outputs, weighted, linear_problem, minimize):
    objective, params, batch = linear_problem(ElasticNet(alpha), None, n_outputs, weighted)
    result = minimize(objective, params, batch)
    # Normal equations about the weighted means, since the bias is free.
    weight = batch.sample_weight if weighted else np.ones(60)
    x_mean = np.average(batch.X, axis=0, weights=weight)
    y_mean = np.average(batch.y, axis=0, weights=weight)
    X, y = batch.X - x_mean, batch.y - y_mean
    gram = (X.T * weight) @ X / 60 + alpha * np.eye(8)
    W = np.linalg.solve(gram, (X.T * weight) @ y / 60)
    (views,) = objective.network.views(result.params)
    assert_allclose(views.weight, W, rtol=1e-6, atol=1e-6)
    assert_allclose(views.bias, y_mean - x_mean @ W, rtol=1e-6)
    assert result.ending is Ending.CONVERGED


@pytest.mark.parametrize("l1_ratio", [1.0, 0.7, 0.2])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_elastic_net_of_sklearn(alpha, l1_ratio, weighted, linear_problem, minimize):
    # The same objective: both halve the squared error and the quadratic penalty.
    objective, params, batch = linear_problem(ElasticNet(alpha, l1_ratio), weighted=weighted)
    result = minimize(objective, params, batch)
    reference = SklearnElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-13, max_iter=100_000)
    reference.fit(batch.X, batch.y[:, 0], sample_weight=batch.sample_weight)
    (views,) = objective.network.views(result.params)
    assert_allclose(views.weight[:, 0], reference.coef_, rtol=1e-5, atol=1e-6)
    assert_allclose(views.bias[0], reference.intercept_, rtol=1e-5)
    assert_array_equal(views.weight[:, 0] == 0, reference.coef_ == 0)


def test_the_lasso_above_has_zeros(linear_problem, minimize):
    # So that the comparison of zeros says something; biases are free even of a huge penalty.
    objective, params, batch = linear_problem(ElasticNet(0.3, 1.0))
    (views,) = objective.network.views(minimize(objective, params, batch).params)
    assert 0 < np.count_nonzero(views.weight) < 8
    objective, params, batch = linear_problem(ElasticNet(1e3, 1.0))
    (views,) = objective.network.views(minimize(objective, params, batch).params)
    assert not views.weight.any()
    assert_allclose(views.bias[0], batch.y.mean(), rtol=1e-6)


def test_logistic_regression_of_sklearn(linear_problem, minimize):
    objective, params, batch = linear_problem(ElasticNet(0.1), BinaryLogLoss())
    batch = batch._replace(y=(batch.y > 2).astype(float))
    result = minimize(objective, params, batch)
    # C multiplies the sum of the losses there, alpha the penalty of their mean here.
    reference = LogisticRegression(C=1 / (0.1 * 60), tol=1e-10, max_iter=10_000)
    reference.fit(batch.X, batch.y[:, 0])
    (views,) = objective.network.views(result.params)
    assert_allclose(views.weight[:, 0], reference.coef_[0], rtol=1e-5, atol=1e-6)
    assert_allclose(views.bias, reference.intercept_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("penalty", [ElasticNet(0.01), ElasticNet(0.01, 0.5)])
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("block_rows", [7, 20, 1])
def test_blocks_of_rows_equal_one_block(
    block_rows, as_sparse, penalty, make_problem, make_batches
):
    objective, params, batch = make_problem(
        n_rows=40, n_outputs=2, weighted=True, penalty=penalty, as_sparse=as_sparse
    )
    results = []
    for rows in (40, block_rows):
        problem = SplitProblem(objective, make_batches(*batch[:3], batch_size=rows))
        value, gradient = problem.value_and_gradient(problem.split(params))
        results.append(np.append(gradient, value))
    assert_allclose(results[1], results[0], rtol=1e-10, atol=1e-14)


def test_blocks_of_rows_reach_the_same_minimum(linear_problem, minimize):
    problem = linear_problem(ElasticNet(0.1, 0.5))
    one, many = minimize(*problem), minimize(*problem, block_rows=7)
    assert_allclose(many.params, one.params, rtol=1e-5, atol=1e-7)
    assert_allclose(many.history["loss"][-1], one.history["loss"][-1], rtol=1e-9)


def test_sparse_equals_dense(linear_problem, minimize):
    objective, params, batch = linear_problem(ElasticNet(0.1))
    X = batch.X * (np.abs(batch.X) > 0.7)
    results = [
        minimize(objective, params, batch._replace(X=rows)).params
        for rows in (X, sparse.csr_matrix(X))
    ]
    assert_allclose(results[1], results[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_gradient_of_the_split_problem(l1_ratio, make_problem, make_batches, numeric_gradient):
    objective, params, batch = make_problem(penalty=ElasticNet(0.3, l1_ratio), weighted=True)
    problem = SplitProblem(objective, make_batches(*batch[:3], batch_size=4))
    x = problem.split(params)
    assert_array_equal(problem.join(x), params)
    # Inside the bounds, where p and n are both positive.
    x = x + np.linspace(0.1, 0.5, x.size)
    _, gradient = problem.value_and_gradient(x)
    expected = numeric_gradient(lambda at: problem.value_and_gradient(at)[0], x)
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


def test_split_only_where_there_is_l1(make_problem, make_batches):
    objective, params, batch = make_problem(penalty=ElasticNet(0.3, 0.5))
    n = objective.network.n_penalized
    problem = SplitProblem(objective, make_batches(*batch[:3]))
    x = problem.split(params)
    assert x.size == params.size + n
    assert_array_equal(problem.bounds.lb, [0] * (2 * n) + [-np.inf] * (params.size - n))
    assert_array_equal(problem.bounds.ub, [np.inf] * x.size)
    assert (x[: 2 * n] >= 0).all()
    assert not np.minimum(x[:n], x[n : 2 * n]).any()
    objective, params, batch = make_problem(penalty=ElasticNet(0.3))
    problem = SplitProblem(objective, make_batches(*batch[:3]))
    assert np.isinf([problem.bounds.lb, problem.bounds.ub]).all()
    assert_array_equal(problem.split(params), params)


@pytest.mark.parametrize("penalty", [ElasticNet(0.01), ElasticNet(0.01, 0.7)])
def test_history_is_the_objective_of_each_iteration(
    penalty, make_problem, minimize, evaluate_objective
):
    objective, params, batch = make_problem(penalty=penalty, n_rows=30)
    seen, reported = [], []

    def evaluate(params):
        seen.append(params.copy())
        return {"validation_score": float(len(seen))}

    result = minimize(
        objective,
        params,
        batch,
        max_iter=15,
        evaluate=evaluate,
        report=lambda i, record, params: reported.append((i, record["loss"])),
    )
    assert set(result.history) == {"loss", "penalty", "validation_score", "seconds"}
    values = objectives(result.history)
    assert len(values) == len(seen) == len(result.history["seconds"]) == 15
    assert reported == list(enumerate(result.history["loss"], start=1))
    expected = [evaluate_objective(objective, at, batch)[0] for at in seen]
    assert_allclose(values, expected, rtol=1e-12)
    assert (np.diff(values) < 0).all()
    penalties = [objective.penalty_value(at) for at in seen]
    assert_allclose(result.history["penalty"], penalties, rtol=1e-12)
    assert_array_equal(result.params, seen[-1])


def test_max_iter_and_max_fun_end_without_convergence(make_problem, minimize):
    problem = make_problem((Dense(5, Tanh()),), n_rows=30)
    short = minimize(*problem, max_iter=3)
    assert len(short.history["loss"]) == 3 and short.ending is Ending.MAX_ITER
    few = minimize(*problem, max_fun=5)
    assert 1 <= len(few.history["loss"]) <= 5 and few.ending is Ending.MAX_ITER
    longer = minimize(*problem, max_iter=30)
    assert longer.history["loss"][:3] == short.history["loss"]


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_early_stopping_restores_the_best(patience, make_problem, minimize, scripted):
    problem = make_problem((Dense(5, Tanh()),), n_rows=30)
    evaluate = scripted([0, 1, 3, 2, 3, 3, 1, 2, 2, 2])
    result = minimize(*problem, evaluate=evaluate, patience=patience)
    assert len(result.history["loss"]) == len(evaluate.seen) == 3 + patience
    assert best_epoch(result.history) == 3
    assert result.ending is Ending.CONVERGED
    assert_array_equal(result.params, evaluate.seen[2])
    assert (evaluate.seen[2] != evaluate.seen[-1]).any()


def test_without_evaluation_patience_does_not_act(make_problem, minimize):
    problem = make_problem((Dense(5, Tanh()),), n_rows=30)
    patient, hasty = (
        minimize(*problem, patience=patience, max_iter=40) for patience in (math.inf, 1)
    )
    assert hasty.history["loss"] == patient.history["loss"]
    assert len(hasty.history["loss"]) > 10
    # The objective falls in each iteration, so the last one is the best.
    assert best_epoch(hasty.history) == len(hasty.history["loss"])


def test_start_at_the_minimum_has_one_record(linear_problem, minimize):
    objective, params, batch = linear_problem(ElasticNet(0.2))
    first = minimize(objective, params, batch)
    again = minimize(objective, first.params, batch, tol=1e-3)
    assert len(again.history["loss"]) == best_epoch(again.history) == 1
    assert_allclose(again.params, first.params, rtol=1e-6, atol=1e-8)
    assert again.ending is Ending.CONVERGED


def test_a_gradient_of_the_wrong_sign_is_named(linear_problem, minimize):
    class FlippedError(SquaredError):
        def pointwise(self, y, raw, gradient_out):
            value = super().pointwise(y, raw, gradient_out)
            np.negative(gradient_out, out=gradient_out)
            return value

    result = minimize(*linear_problem(ElasticNet(0.0), FlippedError()))
    assert result.ending is Ending.STUCK
    assert "largest_error" in FAULTS[Ending.STUCK]


def test_tol_bounds_the_gradient(linear_problem, minimize, evaluate_objective):
    objective, params, batch = linear_problem(ElasticNet(0.2))
    coarse, fine = (minimize(objective, params, batch, tol=tol) for tol in (1e-2, 1e-6))
    assert len(coarse.history["loss"]) < len(fine.history["loss"])
    for result, tol in ((coarse, 1e-2), (fine, 1e-6)):
        _, gradient = evaluate_objective(objective, result.params, batch)
        assert np.abs(gradient).max() <= tol


def test_divergence_from_the_start_raises(linear_problem, minimize):
    objective, params, batch = linear_problem(ElasticNet(0.0))
    with pytest.raises(DivergenceError, match="Training diverged"):
        minimize(objective, params, batch._replace(y=np.full((60, 1), 1e200)))


def test_divergence_later_restores(make_problem, poisoned, minimize, scripted):
    evaluate = scripted([1, 3, 2, 1, 1, 1, 1])
    problem = poisoned(make_problem(n_rows=30), 6, value_too=True)
    result = minimize(*problem, evaluate=evaluate)
    assert np.isfinite(result.params).all()
    assert best_epoch(result.history) == 2
    assert_array_equal(result.params, evaluate.seen[1])


def test_two_runs_give_equal_bits(make_problem, minimize):
    problem = make_problem((Dense(5, Tanh()),), n_rows=30, penalty=ElasticNet(0.01, 0.5))
    first, second = (minimize(*problem, max_iter=50) for _ in range(2))
    assert_array_equal(first.params, second.params)
    assert first.history["loss"] == second.history["loss"]


def test_a_failed_line_search_begins_anew(minimize, make_problem):
    # On a column up to 80 the first step goes where exp(raw) is immense.
    rng = np.random.default_rng(0)
    X = np.c_[rng.uniform(18, 80, 500), rng.normal(size=500)]
    y = rng.poisson(np.exp(-1 + 0.02 * X[:, 0] + 0.3 * X[:, 1])).astype(float)
    objective = Objective(Network((Dense(1, Identity()),), 2), HalfPoisson(), ElasticNet(0.0))
    batch = Batch(X, y[:, None], None)
    reference = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000)
    reference.fit(X / [50, 1], y)  # its own line search needs scaled columns
    for seed in range(12):
        params = objective.network.init(np.random.default_rng(seed))
        result = minimize(objective, params, batch, tol=1e-6)
        assert_allclose(
            np.exp(X @ result.params[:2] + result.params[2]),
            reference.predict(X / [50, 1]),
            rtol=1e-4,
        )
        assert (np.diff(result.history["loss"]) <= 0).all()
