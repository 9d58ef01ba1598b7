"""The checks of a checkpoint, which is made here without a callback."""

import copy

import joblib
import numpy as np
import pytest

from sknet._base import fitted_attributes
from sknet._fitting import Run, fit_network, split_off_validation
from sknet._input import read_training
from sknet._monitoring import HeldOut
from sknet._starting import start_model
from sknet.callbacks import Checkpoint


@pytest.fixture
def saved(problem, tmp_path):
    """Return a network and the path of a checkpoint of its fit after two epochs."""
    network = problem.cls((4,), max_iter=2, n_iter_no_change=np.inf, random_state=0)
    features, data = read_training(network, problem.X, problem.y, None)
    run = Run.start(0)
    model = start_model(network, features, data, run.streams)
    data, held_out = split_off_validation(model, data, run.split_seed)
    run.expect_parameters(network)
    run.expect_rows(data)
    result = fit_network(model, data, held_out and HeldOut(held_out), run)
    model = model.with_params(result.params)
    n_seen = 2 * data.n_rows
    state = fitted_attributes(features, model, result.history, n_seen, run)
    interrupted = copy.copy(network)
    vars(interrupted).update(state)
    joblib.dump(interrupted, tmp_path / "network.joblib")
    return network.set_params(max_iter=5), tmp_path / "network.joblib"


def test_resuming_equals_a_fit_without_interruption(saved, problem):
    network, path = saved
    resumed = copy.copy(network).fit(problem.X, problem.y, resume_from=path)
    whole = network.fit(problem.X, problem.y)
    np.testing.assert_array_equal(resumed._model.params, whole._model.params)
    assert resumed.n_iter_ == whole.n_iter_ == 5


def test_other_values_in_as_many_rows(saved, problem):
    network, path = saved
    with pytest.raises(ValueError, match="other training rows"):
        network.fit(problem.X + 1, problem.y, resume_from=path)


@pytest.mark.parametrize(
    "changed",
    [{"learning_rate_init": 0.1}, {"solver": "sgd"}, {"early_stopping": True}],
    ids=str,
)
def test_parameters_that_changed_are_named(saved, problem, changed):
    network, path = saved
    (name,) = changed
    with pytest.raises(ValueError, match=rf"parameters have changed: \['{name}'\]"):
        network.set_params(**changed).fit(problem.X, problem.y, resume_from=path)


def test_a_checkpoint_belongs_to_the_network():
    class Search:
        pass

    with pytest.raises(ValueError, match="not for Search: set it on the network itself"):
        Checkpoint("network.joblib").setup(Search(), None)


def test_a_random_state_of_its_own_is_no_change(saved, problem):
    # The resumed run continues with the generators of the file.
    network, path = saved
    resumed = copy.copy(network).set_params(random_state=np.random.RandomState(7))
    resumed.fit(problem.X, problem.y, resume_from=path)
    whole = network.fit(problem.X, problem.y)
    np.testing.assert_array_equal(resumed._model.params, whole._model.params)
