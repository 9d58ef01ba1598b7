"""Analytic gradients against central differences, for all pairs of activation and loss."""

from itertools import combinations, product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sknet.nn.activations import ACTIVATIONS, Identity, Tanh
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.layers import NORMALIZATIONS, Dense, Dropout
from sknet.nn.losses import LOSSES
from sknet.nn.optimizers import SGD
from sknet.nn.sets import ElasticNet


def assert_gradients_agree(actual, expected):
    """Check to 1e-6 of each number, or of what differences resolve beside the largest one."""
    assert_allclose(actual, expected, rtol=1e-6, atol=1e-8 * max(np.abs(expected).max(), 1e-2))


#: The factors of a problem. Each pair of values of two factors is tried, not each combination.
FACTORS = {
    "activation": list(ACTIVATIONS),
    "loss": list(LOSSES),
    "n_outputs": [1, 2, 5],
    "weighted": [False, True],
    "alpha": [0, 0.3],
    "as_sparse": [False, True],
}


def case(i, activation, j, loss):
    """Return one case of an activation and a loss: their numbers choose the other factors."""
    n_outputs = FACTORS["n_outputs"][(i + j) % 3]
    weighted, as_sparse = (i + j // 2) % 2 == 1, (i + j // 4) % 2 == 1
    alpha = FACTORS["alpha"][(i // 2 + j) % 2]
    return activation, loss, n_outputs, weighted, alpha, as_sparse


CASES = [
    case(i, activation, j, loss)
    for (i, activation), (j, loss) in product(enumerate(ACTIVATIONS), enumerate(LOSSES))
]


def test_cases_cover_all_pairs_of_values():
    for (i, one), (j, other) in combinations(enumerate(FACTORS.values()), 2):
        assert {(case[i], case[j]) for case in CASES} == set(product(one, other))


@pytest.mark.parametrize("activation, loss, n_outputs, weighted, alpha, as_sparse", CASES)
def test_every_coordinate_of_the_gradient(
    activation,
    loss,
    n_outputs,
    weighted,
    alpha,
    as_sparse,
    make_problem,
    evaluate_objective,
    numeric_gradient,
):
    hidden = ACTIVATIONS[activation]()
    objective, params, batch = make_problem(
        (Dense(3, hidden), Dense(3, hidden)),
        LOSSES[loss](),
        n_outputs,
        n_inputs=3,
        penalty=ElasticNet(alpha),
        weighted=weighted,
        as_sparse=as_sparse,
    )
    _, gradient = evaluate_objective(objective, params, batch)
    # The softmax of one column is constant.
    constant = loss == "log_loss" and n_outputs == 1 and not alpha
    assert gradient.any() != constant
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_gradients_agree(gradient, expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_linear_model(loss, make_problem, evaluate_objective, numeric_gradient):
    objective, params, batch = make_problem((), LOSSES[loss](), 3, penalty=ElasticNet(0.1))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_gradients_agree(gradient, expected)


@pytest.mark.parametrize("seed", range(60))
def test_a_training_step_of_a_drawn_network(
    seed, draw_problem, run_training, evaluate_objective, directional_derivative
):
    """A step of SGD is the gradient, penalty and dropout included, that differences give."""
    objective, params, batch = problem = draw_problem(seed)
    rule = SGD(momentum=0, nesterovs_momentum=False)
    result, _ = run_training(problem, optimizer=rule, learning_rate=0.01, max_iter=1)
    rates = np.empty(params.size)
    for slot in objective.network.slots:
        rates[slot.where] = 0.01 * slot.parameter.rate
    gradient = (params - result.params) / rates

    def value(at):
        # The generator of the training begins at the same place, so the masks are the same.
        return evaluate_objective(objective, at, batch, np.random.default_rng(0))[0]

    directions = np.random.default_rng(seed).normal(size=(8, params.size))
    expected = np.array([directional_derivative(value, params, v) for v in directions])
    assert_gradients_agree(directions @ gradient, expected)


def test_draws_cover_the_registries(draw_problem):
    drawn = [draw_problem(seed)[0] for seed in range(60)]
    text = repr([(one.loss, one.network) for one in drawn])
    for registry in (ACTIVATIONS, LOSSES, NUMERIC_EMBEDDINGS, NORMALIZATIONS):
        for rule in registry.values():
            assert f"{rule.__name__}(" in text
    assert {one.network.n_members for one in drawn} == {1, 2, 3}
    assert "Dropout(" in text and "Embedding(" in text and "ColumnScales(" in text


@pytest.mark.parametrize("activation, loss", [*zip(ACTIVATIONS, [*LOSSES] * 2, strict=False)])
def test_float32_agrees_with_float64(activation, loss, make_problem, evaluate_objective):
    objective, params, batch = make_problem(
        (Dense(5, ACTIVATIONS[activation]()), Dropout(0.2)), LOSSES[loss](), 3, weighted=True
    )
    # Without a generator: masks of the two dtypes differ.
    expected_value, expected = evaluate_objective(objective, params, batch)
    narrow = batch._replace(
        **{k: v.astype(np.float32) for k, v in batch._asdict().items() if v is not None}
    )
    value, gradient = evaluate_objective(objective, params.astype(np.float32), narrow)
    assert gradient.dtype == np.float32
    assert_allclose(value, expected_value, rtol=1e-5)
    assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_user_activation_that_is_not_registered(
    make_problem, evaluate_objective, numeric_gradient
):
    class Cube(Identity):
        needs_z = True

        def forward(self, z, a):
            np.power(z, 3, out=a)

        def backward(self, z, a, delta):
            delta *= 3 * z**2

    objective, params, batch = make_problem((Dense(4, Cube()),))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    assert_gradients_agree(gradient, expected)


def test_a_wrong_gradient_is_noticed(make_problem, evaluate_objective, numeric_gradient):
    # The yardstick itself: an error of 1e-5 in one derivative must fail.
    class Wrong(Tanh):
        def backward(self, z, a, delta):
            super().backward(z, a, delta)
            delta *= 1 + 1e-5

    objective, params, batch = make_problem((Dense(4, Wrong()),))
    _, gradient = evaluate_objective(objective, params, batch)
    expected = numeric_gradient(lambda at: evaluate_objective(objective, at, batch)[0], params)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_gradients_agree(gradient, expected)
