"""The checks of a checkpoint, which is made by hand, so that no callback is needed."""

import copy

import joblib
import numpy as np
import pytest

from sknet._fitting import Run, fit_network, split_off_validation
from sknet.callbacks import Checkpoint


@pytest.fixture
def saved(problem, tmp_path):
    """Return a network and the path of a checkpoint of its fit after two epochs."""
    network = problem.cls((4,), max_iter=2, n_iter_no_change=np.inf, random_state=0)
    model, run = copy.copy(network), Run.start(0)
    data = model._check_training_data(problem.X, problem.y, None, reset=True)
    model._start(data, run, warm=False)
    data, held_out = split_off_validation(model, data, run)
    run.expect(network, data)
    result = fit_network(model, data, (held_out, problem.X), run)
    model._set_record(result.history, data.X.shape[0])
    model._run = run
    joblib.dump(model, tmp_path / "network.joblib")
    return network.set_params(max_iter=5), tmp_path / "network.joblib"


def test_resuming_equals_a_fit_without_interruption(saved, problem):
    network, path = saved
    resumed = copy.copy(network).fit(problem.X, problem.y, resume_from=path)
    whole = network.fit(problem.X, problem.y)
    np.testing.assert_array_equal(resumed._params, whole._params)
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
    # A resumed run keeps its own random generators.
    network, path = saved
    resumed = copy.copy(network).set_params(random_state=np.random.RandomState(7))
    resumed.fit(problem.X, problem.y, resume_from=path)
    np.testing.assert_array_equal(resumed._params, network.fit(problem.X, problem.y)._params)
