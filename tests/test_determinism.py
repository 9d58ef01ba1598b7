"""Fits with equal seeds are bit-identical, and L1 makes weights exactly zero."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from plain import NNClassifier, NNRegressor
from sklearn.base import clone

from sknet import _fitting
from sknet.nn.optimizers import OPTIMIZERS


def flat(network):
    return np.concatenate([a.ravel() for a in network.coefs_ + network.intercepts_])


def eager(problem, **parameters):
    """Return an estimator that uses every source of randomness."""
    defaults = {
        "batch_size": 16,
        "dropout": 0.2,
        "early_stopping": True,
        "max_iter": 4,
        "n_iter_no_change": np.inf,
    }
    return problem.cls((6, 4), **{**defaults, **parameters})


@pytest.mark.parametrize("solver", list(OPTIMIZERS))
def test_an_int_gives_bit_identical_parameters(problem, solver):
    network = eager(problem, solver=solver, random_state=3)
    first, again = (flat(clone(network).fit(problem.X, problem.y)) for _ in range(2))
    assert_array_equal(first, again)
    # A second fit of the same estimator starts anew.
    assert_array_equal(flat(network.fit(problem.X, problem.y).fit(problem.X, problem.y)), first)
    other = flat(eager(problem, solver=solver, random_state=4).fit(problem.X, problem.y))
    assert not np.isclose(other, first).all()


def test_an_int_gives_bit_identical_parameters_with_lbfgs(problem):
    network = problem.cls((6,), solver="lbfgs", tol=0.01, early_stopping=True, random_state=3)
    first, again = (flat(clone(network).fit(problem.X, problem.y)) for _ in range(2))
    assert_array_equal(first, again)


def test_an_instance_is_advanced_by_each_fit(problem):
    network = eager(problem, random_state=np.random.RandomState(3))
    first = flat(network.fit(problem.X, problem.y))
    second = flat(network.fit(problem.X, problem.y))
    assert not np.isclose(first, second).all()
    network.set_params(random_state=np.random.RandomState(3))
    assert_array_equal(flat(network.fit(problem.X, problem.y)), first)
    # An equal seed and an instance of it are the same, as in scikit-learn.
    assert_array_equal(flat(eager(problem, random_state=3).fit(problem.X, problem.y)), first)


def test_clones_of_an_instance_have_equal_copies(problem):
    network = eager(problem, random_state=np.random.RandomState(3))
    first, second = (flat(clone(network).fit(problem.X, problem.y)) for _ in range(2))
    assert_array_equal(first, second)


def test_none_takes_numpy_s_global_generator(problem):
    network = eager(problem, random_state=None)
    state = np.random.get_state()
    try:
        np.random.seed(7)
        first = flat(network.fit(problem.X, problem.y))
        second = flat(network.fit(problem.X, problem.y))
        np.random.seed(7)
        again = flat(network.fit(problem.X, problem.y))
    finally:
        np.random.set_state(state)
    assert not np.isclose(first, second).all()
    assert_array_equal(first, again)


def test_a_seed_leaves_the_global_generator_alone(problem):
    before = np.random.get_state()[1].copy()
    eager(problem, random_state=0).fit(problem.X, problem.y)
    assert_array_equal(np.random.get_state()[1], before)


def test_partial_fit_can_be_repeated(problem):
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    results = []
    for _ in range(2):
        network = problem.cls((6,), batch_size=16, dropout=0.2, random_state=0)
        for _ in range(3):
            network.partial_fit(problem.X, problem.y, **classes)
        results.append(flat(network))
    assert_array_equal(*results)


def test_shuffling_can_be_switched_off(problem):
    X, y = problem.X[:96], problem.y[:96]
    options = {"batch_size": 16, "max_iter": 1, "learning_rate": "cosine", "random_state": 0}
    # Each batch holds the same rows, in another order.
    order = np.arange(96).reshape(6, 16)[:, ::-1].ravel()
    for shuffle in [False, True]:
        network = problem.cls((6,), shuffle=shuffle, standardize=False, **options)
        first = flat(network.fit(X, y))
        second = flat(network.fit(X[order], y[order]))
        assert np.allclose(first, second, rtol=1e-10, atol=1e-14) is not shuffle


def test_each_epoch_is_shuffled_anew(monkeypatch):
    epochs = []

    def train(objective, params, batches, *args, **kwargs):
        epochs.extend([np.concatenate([batch.y for batch in batches]) for _ in range(3)])
        raise KeyboardInterrupt

    monkeypatch.setattr(_fitting, "train", train)
    numbers = np.arange(100.0)
    network = NNRegressor((4,), batch_size=10, standardize=False, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        network.fit(numbers[:, np.newaxis], numbers)
    for epoch in epochs:
        assert_array_equal(np.sort(epoch[:, 0]), numbers)
    orders = {tuple(epoch[:, 0]) for epoch in epochs} | {tuple(numbers)}
    assert len(orders) == 4


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("adam", {"learning_rate_init": 0.01}),
        ("adam", {"learning_rate_init": 0.01, "learning_rate": "cosine"}),
        ("adamw", {"learning_rate_init": 0.01}),
        # Without a memory of earlier gradients, those of small batches are too noisy.
        ("rmsprop", {"learning_rate_init": 0.01, "batch_size": 1000}),
        ("sgd", {"learning_rate_init": 0.02}),
        ("sgd", {"learning_rate_init": 0.02, "nesterovs_momentum": False}),
        ("sgd", {"learning_rate_init": 0.02, "learning_rate": "cosine"}),
        ("lbfgs", {"max_iter": 500}),
    ],
    ids=str,
)
def test_l1_drops_the_columns_that_say_nothing(solver, options, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1000, 100))
    informative = rng.permutation(100)[:10]
    y = X[:, informative] @ rng.choice([-2.0, 2.0], 10) + 0.1 * rng.normal(size=1000)
    defaults = {
        "batch_size": 100,
        "max_iter": 60,
        "n_iter_no_change": np.inf,
        "tol": 1e-3,
        "random_state": 0,
    }
    network = NNRegressor(
        (10,), solver=solver, alpha=0.01, l1_ratio=1, **{**defaults, **options}
    ).fit(X, y)
    dropped = ~network.coefs_[0].any(axis=1)
    assert not dropped[informative].any()
    assert dropped.sum() >= 80
    score = network.score(X, y)
    assert score > 0.9
    # A column whose weights are zero does not change the predictions.
    X[:, dropped] = 1e6
    assert network.score(X, y) == pytest.approx(score)
