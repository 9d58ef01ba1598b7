"""Files that released versions wrote: they load, with a warning, and predict as they did."""

import copy
import importlib.util
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning as SklearnVersionWarning
from sklearn.pipeline import make_pipeline

import sknet
from sknet import _base
from sknet.exceptions import InconsistentVersionWarning

FILES = Path(__file__).parent / "files"
SAVED = sorted(FILES.glob("sknet-*/*.joblib"))


@pytest.fixture(scope="module")
def maker():
    """The script that made the files."""
    spec = importlib.util.spec_from_file_location("make_files", FILES / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(path):
    """Return what a file holds, and the versions of sknet that the warnings tell of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = joblib.load(path)
    # The encoders inside are scikit-learn's, which warns of its own versions.
    ours = [one.message for one in caught if one.category is InconsistentVersionWarning]
    others = {one.category for one in caught} - {InconsistentVersionWarning}
    assert others <= {SklearnVersionWarning}
    return estimator, ours


def test_there_are_files():
    assert len(SAVED) > 10


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_predicts_as_before(maker, path):
    estimator, told = load(path)
    version = path.parent.name.removeprefix("sknet-")
    for warning in told:
        assert warning.original_version.startswith(version)
    assert told or version == sknet.__version__
    rows = pd.read_csv(path.parent / "rows.csv")
    expected = np.load(path.parent / "predictions.npz")[path.stem]
    predicted = maker.predict(estimator, rows, path.stem)
    # The last bits differ from one processor and version of BLAS to the next.
    digits = 1e-5 if estimator._params.dtype == np.float32 else 1e-10
    assert_allclose(predicted, expected, rtol=digits, atol=digits * np.abs(expected).max())


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_is_a_whole_estimator(path):
    estimator, _ = load(path)
    assert repr(estimator)
    assert clone(estimator).get_params() == estimator.get_params()
    assert len(estimator.coefs_) == len(estimator.intercepts_)
    # Saved anew, it is of this version.
    pickle.loads(pickle.dumps(estimator))


def test_partial_fit_goes_on(maker):
    for path in FILES.glob("sknet-*/partial_fit-array.joblib"):
        estimator, _ = load(path)
        X = pd.read_csv(path.parent / "rows.csv")[maker.NUMBERS].to_numpy()
        n_iter = estimator.n_iter_
        assert estimator.partial_fit(X, X[:, 0]).n_iter_ == n_iter + 1


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
    assert "slots" in vars(fitted._network)
    copied = pickle.loads(pickle.dumps(fitted))
    assert vars(copied._network).keys() == {"layers", "n_inputs", "n_members"}
