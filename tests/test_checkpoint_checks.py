"""The checks of a checkpoint, which is made here without a callback."""

import copy
from functools import partial

import joblib
import numpy as np
import pytest

from sknet._base import fitted_attributes
from sknet._fitting import fit_network, split_off_validation
from sknet._input import read_training
from sknet._monitoring import HeldOut
from sknet._persistence import SEAL_SIZE, save_checkpoint
from sknet._run import Run, fingerprint
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
    identify = partial(fingerprint, data)
    run.expect_rows(data.n_rows, identify)
    result = fit_network(model, data, held_out and HeldOut(held_out), run)
    model = model.with_params(result.params)
    n_seen = 2 * data.n_rows
    state = run.resumable(identify)
    state = fitted_attributes(features, model, result.history, n_seen, state)
    interrupted = copy.copy(network)
    vars(interrupted).update(state)
    save_checkpoint(interrupted, tmp_path / "network.joblib")
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


# Damaged files, and files that are something else.


def assert_refused(network, problem, path, match):
    """Assert that a fit does not resume from a file, names it, and changes nothing."""
    before = joblib.hash(vars(network))
    with pytest.raises(ValueError, match=match) as error:
        network.fit(problem.X, problem.y, resume_from=path)
    assert str(error.value).startswith(str(path))
    assert joblib.hash(vars(network)) == before


def places(content, how_many):
    """Return positions in a file: all of its first bytes, the last one, and random others."""
    rng = np.random.default_rng(0)
    others = rng.choice(len(content), how_many - SEAL_SIZE - 1, replace=False)
    return [*range(SEAL_SIZE), len(content) - 1, *others.tolist()]


def test_a_flipped_bit_is_found_wherever_it_is(saved, problem, forbid_training):
    network, path = saved
    content = path.read_bytes()
    forbid_training()
    for i, place in enumerate(places(content, 200)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << i % 8
        path.write_bytes(damaged)
        assert_refused(network, problem, path, "is damaged|is not a checkpoint")


def test_a_file_is_refused_wherever_it_is_cut(saved, problem, forbid_training):
    network, path = saved
    content = path.read_bytes()
    forbid_training()
    for place in places(content, 200):
        path.write_bytes(content[:place])
        assert_refused(network, problem, path, "is damaged|is not a checkpoint|is empty")
    path.write_bytes(content + b"0")
    assert_refused(network, problem, path, "is damaged.*fit anew")


@pytest.mark.parametrize("content", [b"", b"x", b"x,y\n1,2\n" * 50, bytes(1000)], ids=len)
def test_a_file_of_something_else_is_refused(saved, problem, content):
    network, path = saved
    path.write_bytes(content)
    assert_refused(network, problem, path, "is not a checkpoint|is empty")


def test_a_folder_is_refused(saved, problem):
    network, path = saved
    assert_refused(network, problem, path.parent, "is a folder. Pass the file")


def test_nothing_is_unpickled_before_the_checksum_agrees(saved, problem, monkeypatch):
    network, path = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    def load(file):
        raise AssertionError("unpickled")

    monkeypatch.setattr(joblib, "load", load)
    assert_refused(network, problem, path, "is damaged")


def test_an_estimator_without_a_checksum_is_refused(saved, problem):
    """A file of ``joblib.dump`` is no checkpoint, whatever the estimator holds."""
    network, path = saved
    joblib.dump(joblib.load(path), path)
    assert_refused(network, problem, path, "is not a checkpoint of sknet")
