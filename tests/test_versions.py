"""Fitted estimators in files: another process loads them, and they predict and go on as before.

The files are those that each release wrote, in ``files``, and such files of this version.
"""

import copy
import importlib.util
import os
import pickle
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from guards import HANGING
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning as SklearnVersionWarning
from sklearn.pipeline import make_pipeline

import sknet
from sknet import _base
from sknet.exceptions import InconsistentVersionWarning
from sknet.export import SKOPS_TRUSTED

FILES = Path(__file__).parent / "files"
RELEASED = sorted(FILES.glob("sknet-*"))


@pytest.fixture(scope="module")
def maker():
    """The script that makes the files."""
    spec = importlib.util.spec_from_file_location("make_files", FILES / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(
    scope="module", params=[*RELEASED, None], ids=lambda one: getattr(one, "name", "here")
)
def folder(request, tmp_path_factory):
    """A folder of files: of a release, or of this version, written by another process."""
    if request.param is not None:
        return request.param
    parent = tmp_path_factory.mktemp("files")
    environment = {**os.environ, "PYTHONPATH": str(Path(sknet.__file__).parents[1])}
    command = [sys.executable, FILES / "make.py", parent]
    subprocess.run(command, env=environment, check=True, timeout=HANGING)
    return parent / f"sknet-{sknet.__version__}"


def load(path, load=joblib.load):
    """Return the content of a file, which warns of its version if that is another one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = load(path)
    ours = [one.message for one in caught if one.category is InconsistentVersionWarning]
    version = path.parent.name.removeprefix("sknet-")
    assert {one.original_version for one in ours} == {version} - {sknet.__version__}
    # The encoders inside are scikit-learn's, which warns of its own versions.
    others = {one.category for one in caught} - {InconsistentVersionWarning}
    assert others <= {SklearnVersionWarning}
    return content


def assert_as_recorded(estimator, predicted, expected):
    """Compare to the digits that do not depend on the processor and the version of BLAS."""
    digits = 1e-5 if estimator.coefs_[0].dtype == np.float32 else 1e-10
    assert_allclose(predicted, expected, rtol=digits, atol=digits * np.abs(expected).max())


def test_estimators_predict_as_before(maker, folder):
    rows = pd.read_csv(folder / "rows.csv")
    recorded = np.load(folder / "predictions.npz")
    assert {path.stem for path in folder.glob("*.joblib")} == set(recorded.files)
    assert len(recorded.files) > 10
    for name, expected in recorded.items():
        estimator = load(folder / f"{name}.joblib")
        assert_as_recorded(estimator, maker.predict(estimator, rows, name), expected)
        assert repr(estimator)
        assert clone(estimator).get_params() == estimator.get_params()
        # This version writes the new file, so loading it does not warn.
        pickle.loads(pickle.dumps(estimator))


def test_estimators_learn_on_as_before(maker, folder):
    rows = pd.read_csv(folder / "rows.csv")
    recorded = np.load(folder / "continued.npz")
    assert recorded.files == maker.CONTINUED
    for name, expected in recorded.items():
        estimator = maker.go_on(load(folder / f"{name}.joblib"), rows, name)
        assert_as_recorded(estimator, maker.predict(estimator, rows, name), expected)


def test_skops_files_predict_as_before(maker, folder):
    rows = pd.read_csv(folder / "rows.csv")
    estimator = load(folder / "multiclass.skops", partial(skops.io.load, trusted=SKOPS_TRUSTED))
    expected = np.load(folder / "predictions.npz")["multiclass"]
    assert_as_recorded(estimator, maker.predict(estimator, rows, "multiclass"), expected)


def test_checkpoints_predict_and_go_on(maker, folder):
    path = folder / "fit.checkpoint"
    if not path.exists():
        assert not maker.HAS_CALLBACKS
        pytest.skip("scikit-learn before 1.9 has no callbacks, and so no checkpoints")
    recorded = np.load(folder / "resumed.npz")
    X, y = recorded["X"], recorded["y"]
    network = load(path)
    assert network.n_iter_ == 4
    assert_as_recorded(network, network.predict(X), recorded["then"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        network = maker.unfinished().fit(X, y, resume_from=path)
    assert network.n_iter_ == 6
    assert_as_recorded(network, network.predict(X), recorded["finished"])


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


def test_unfitted_ones_carry_their_version_too(problem):
    assert problem.cls().__getstate__()["_sknet_version"] == sknet.__version__


def test_the_warning_survives_a_process_boundary():
    warning = InconsistentVersionWarning("NNClassifier", "1.0.0", "1.1.0")
    assert str(pickle.loads(pickle.dumps(warning))) == str(warning)


def test_the_layout_of_the_parameters_is_not_saved(fitted):
    fitted.predict(np.zeros((1, fitted.n_features_in_)))
    assert "slots" in vars(fitted._model.network)
    copied = pickle.loads(pickle.dumps(fitted))
    fields = {"layers", "n_inputs", "n_members", "mean_before_link"}
    assert vars(copied._model.network).keys() == fields
