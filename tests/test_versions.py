"""Files that released versions wrote: they load, with a warning, and predict as they did."""

import copy
import importlib.util
import pickle
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning as SklearnVersionWarning
from sklearn.pipeline import make_pipeline

import sknet
from sknet import NNRegressor, _base
from sknet._parameters import changed_parameters
from sknet.exceptions import InconsistentVersionWarning
from sknet.export import SKOPS_TRUSTED

FILES = Path(__file__).parent / "files"
SAVED = sorted(FILES.glob("sknet-*/*.joblib"))
SKOPS = sorted(FILES.glob("sknet-*/*.skops"))
CHECKPOINTS = sorted(FILES.glob("sknet-*/*.checkpoint"))
CONTINUED = sorted(FILES.glob("sknet-*/continued.npz"))


def named_by_folder(path):
    """Return the name of a test's case."""
    return f"{path.parent.name}-{path.stem}"


@pytest.fixture(scope="module")
def maker():
    """The script that made the files."""
    spec = importlib.util.spec_from_file_location("make_files", FILES / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(path, load=joblib.load):
    """Return the content of a file, and the versions of sknet that the warnings name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = load(path)
    # The encoders inside are scikit-learn's, which warns of its own versions.
    ours = [one.message for one in caught if one.category is InconsistentVersionWarning]
    others = {one.category for one in caught} - {InconsistentVersionWarning}
    assert others <= {SklearnVersionWarning}
    return estimator, ours


def version_in(path):
    """Return the version of sknet that a file names.

    The folder 0.2.0.dev0 was written before the version's number was raised.
    """
    version = path.parent.name.removeprefix("sknet-")
    return "0.1.0" if version == "0.2.0.dev0" else version


def check_warnings(told, path):
    """Check the warnings of loading a file against the version that wrote it."""
    written_by = version_in(path)
    for warning in told:
        assert warning.original_version.startswith(written_by)
    assert told or written_by == sknet.__version__


def assert_as_recorded(estimator, predicted, expected):
    """Compare to the digits that do not depend on the processor and the version of BLAS."""
    digits = 1e-5 if estimator.coefs_[0].dtype == np.float32 else 1e-10
    assert_allclose(predicted, expected, rtol=digits, atol=digits * np.abs(expected).max())


def test_there_are_files():
    assert len(SAVED) > 10
    assert SKOPS
    assert CHECKPOINTS
    assert CONTINUED


@pytest.mark.parametrize("path", SAVED, ids=named_by_folder)
def test_predicts_as_before(maker, path):
    estimator, told = load(path)
    check_warnings(told, path)
    rows = pd.read_csv(path.parent / "rows.csv")
    expected = np.load(path.parent / "predictions.npz")[path.stem]
    assert_as_recorded(estimator, maker.predict(estimator, rows, path.stem), expected)


@pytest.mark.parametrize("path", SAVED, ids=named_by_folder)
def test_is_a_whole_estimator(path):
    estimator, _ = load(path)
    assert repr(estimator)
    assert clone(estimator).get_params() == estimator.get_params()
    assert len(estimator.coefs_) == len(estimator.intercepts_)
    # A new file is written by this version, so loading it does not warn.
    pickle.loads(pickle.dumps(estimator))


def test_partial_fit_goes_on(maker):
    for path in FILES.glob("sknet-*/partial_fit-array.joblib"):
        estimator, _ = load(path)
        X = pd.read_csv(path.parent / "rows.csv")[maker.NUMBERS].to_numpy()
        n_iter = estimator.n_iter_
        assert estimator.partial_fit(X, X[:, 0]).n_iter_ == n_iter + 1


@pytest.mark.parametrize("path", CONTINUED, ids=named_by_folder)
def test_learns_on_as_before(maker, path):
    rows = pd.read_csv(path.parent / "rows.csv")
    for name, expected in np.load(path).items():
        estimator, _ = load(path.parent / f"{name}.joblib")
        estimator = maker.go_on(estimator, rows, name)
        assert_as_recorded(estimator, maker.predict(estimator, rows, name), expected)


@pytest.mark.parametrize("path", SKOPS, ids=named_by_folder)
def test_skops_files_predict_as_before(maker, path):
    estimator, told = load(path, partial(skops.io.load, trusted=SKOPS_TRUSTED))
    check_warnings(told, path)
    rows = pd.read_csv(path.parent / "rows.csv")
    expected = np.load(path.parent / "predictions.npz")[path.stem]
    assert_as_recorded(estimator, maker.predict(estimator, rows, path.stem), expected)


@pytest.mark.parametrize("path", CHECKPOINTS, ids=named_by_folder)
def test_checkpoints_predict_and_go_on(maker, path):
    recorded = np.load(path.parent / "resumed.npz")
    X, y = recorded["X"], recorded["y"]
    network, told = load(path)
    check_warnings(told, path)
    assert network.n_iter_ == 4
    assert_as_recorded(network, network.predict(X), recorded["then"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        # This was the default then; an unchanged script is told that the default has changed.
        network = maker.unfinished().set_params(learning_rate_init=0.01)
        network.fit(X, y, resume_from=path)
    assert network.n_iter_ == 6
    # Dropout draws other masks since then, and batches have other sizes, so the last two epochs
    # are not quite the same. Four epochs alone are farther away.
    expected = recorded["finished"]
    distance = np.abs(network.predict(X) - expected).max()
    assert distance < 0.05 * np.abs(expected).max()
    assert distance < np.abs(recorded["then"] - expected).max() / 2


def test_a_checkpoint_of_before_a_parameter_existed_counts_as_its_default():
    state = sknet.NNRegressor().__getstate__()
    del state["mixup"]
    before = sknet.NNRegressor()
    del before.mixup
    before.__setstate__(state)
    assert changed_parameters(before, sknet.NNRegressor()) == []
    assert changed_parameters(before, sknet.NNRegressor(mixup=0.5)) == ["mixup"]


def test_the_script_makes_such_estimators(maker):
    frame = maker.make_rows(np.random.default_rng(0))
    assert set(maker.fitted_estimators(frame)) == {path.stem for path in SAVED}


# The warning.


@pytest.fixture
def fitted(problem):
    return problem.cls((2,), learning_rate="cosine", max_iter=1).fit(problem.X, problem.y)


def test_same_version_is_silent(fitted):
    for copied in [
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        copy.copy(fitted),
    ]:
        assert vars(copied).keys() == vars(fitted).keys()


@pytest.mark.parametrize("version", ["0.0.7", "7.1"])
def test_other_version_warns(monkeypatch, fitted, version):
    monkeypatch.setattr(_base, "__version__", version)
    saved = pickle.dumps(make_pipeline(fitted))
    monkeypatch.undo()
    name = type(fitted).__name__
    message = f"{name} was saved by sknet {version} and is loaded by sknet {sknet.__version__}"
    with pytest.warns(InconsistentVersionWarning, match=message) as caught:
        pickle.loads(saved)
    (warning,) = caught
    assert warning.message.estimator_name == name
    assert warning.message.original_version == version
    assert warning.message.current_version == sknet.__version__


def test_parameters_that_came_later_have_their_defaults(fitted):
    state = fitted.__getstate__()
    del state["ema_decay"], state["_sknet_version"]
    loaded = type(fitted).__new__(type(fitted))
    with pytest.warns(InconsistentVersionWarning, match="0.1.0 or before"):
        loaded.__setstate__(state)
    assert loaded.ema_decay is type(fitted)().ema_decay
    assert loaded.max_iter == 1


def test_unfitted_ones_carry_their_version_too(problem):
    assert problem.cls().__getstate__()["_sknet_version"] == sknet.__version__


def test_the_warning_survives_a_process_boundary():
    warning = InconsistentVersionWarning("NNClassifier", "0.1.0", "0.2.0")
    assert str(pickle.loads(pickle.dumps(warning))) == str(warning)


def test_the_layout_of_the_parameters_is_not_saved(fitted):
    fitted.predict(np.zeros((1, fitted.n_features_in_)))
    assert "slots" in vars(fitted._model.network)
    copied = pickle.loads(pickle.dumps(fitted))
    fields = {"layers", "n_inputs", "n_members", "mean_before_link"}
    assert vars(copied._model.network).keys() == fields


def test_a_file_from_before_the_last_parameter_of_this_version():
    """Without a release between them, its version is the same."""
    network = NNRegressor((4,), max_iter=2)
    state = network.__getstate__()
    del state["refit"]
    loaded = NNRegressor()
    del loaded.refit
    loaded.__setstate__(state)
    assert loaded.get_params() == network.get_params()
