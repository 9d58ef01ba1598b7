"""The patience of early stopping, which begins when something has been learned."""

import numpy as np
import pandas as pd
import pytest

from sknet import NNRegressor
from sknet._monitoring import HeldOut, Validation
from sknet.data.batches import Dataset
from sknet.nn.objective import Objective
from sknet.nn.sets import ElasticNet


def many_categories(seed):
    """Return rows of many categories, of which few matter, and y."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(26, size=(1400, 40))
    y = (levels[:, 0] < 10) + (levels[:, 1] > 12) * (levels[:, 2] > 12.0)
    X = pd.DataFrame(
        {f"c{i}": pd.Categorical(one.astype(str)) for i, one in enumerate(levels.T)}
    )
    return X, y + 0.1 * rng.normal(size=1400)


def test_patience_begins_when_something_is_learned():
    X, y = many_categories(seed=3)
    network = NNRegressor(random_state=3).fit(X[:400], y[:400])
    assert network.score(X[400:], y[400:]) > 0.4


def test_a_training_that_learns_nothing_cools_down_at_the_end():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.normal(size=300)
    network = NNRegressor(random_state=0, max_iter=40).fit(X, y)
    assert 32 < network.n_iter_ <= 40
    assert abs(network.predict(X).mean() - y.mean()) < 0.2


def test_a_constant_learning_rate_ends_as_it_is_asked_to():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.normal(size=300)
    network = NNRegressor(
        random_state=0, learning_rate="constant", early_stopping=True, n_iter_no_change=4
    )
    assert network.fit(X, y).n_iter_ < 40


@pytest.mark.parametrize("weighted", [False, True])
def test_the_least_score_is_that_of_the_mean_and_a_little(weighted):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), 5 + 3 * rng.normal(size=200)
    weights = rng.uniform(0.5, 2, 200) if weighted else None
    network = NNRegressor(random_state=0, max_iter=1, n_iter_no_change=np.inf)
    network.fit(X, y, weights)
    model = network._model
    held = HeldOut(Dataset(X[:50], y[:50], None if weights is None else weights[:50]))
    objective = Objective(model.network, model.loss, ElasticNet(0.0, 0.0))
    found = Validation(model, objective, held).least_score
    of_rows = np.square(model.target.transform(y[:50], float)[:, 0]) / 2
    constant = np.average(of_rows, weights=None if weights is None else weights[:50])
    assert found == pytest.approx(-constant * (1 - 1.5 / np.sqrt(50)), rel=1e-6)
