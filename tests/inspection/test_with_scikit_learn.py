"""scikit-learn's own means of inspection work unchanged; matplotlib is not needed else."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from guards import HANGING
from sklearn.calibration import CalibrationDisplay
from sklearn.inspection import (
    DecisionBoundaryDisplay,
    PartialDependenceDisplay,
    partial_dependence,
    permutation_importance,
)

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("kind", ["plain", "all"])
class TestScikitLearnsInspection:
    def test_permutation_importance(self, kind, fit, numbers):
        network = fit("squared_error", kind, max_iter=60)
        found = permutation_importance(
            network.estimator, numbers, network.y, n_repeats=3, random_state=0
        )
        # The last column plays no part in y.
        assert np.argmin(found.importances_mean) == 4

    def test_permutation_importance_of_a_frame(self, kind, fit, frame):
        network = fit("binary", kind, X=frame)
        found = permutation_importance(network.estimator, frame, network.y, n_repeats=2)
        assert found.importances_mean.shape == (7,)

    def test_partial_dependence(self, kind, fit, numbers):
        network = fit("squared_error", kind)
        display = PartialDependenceDisplay.from_estimator(
            network.estimator, numbers, [0, (1, 2)], grid_resolution=5
        )
        assert display.figure_ is not None
        found = partial_dependence(network.estimator, numbers, [0], grid_resolution=5)
        by_hand = []
        for value in found["grid_values"][0]:
            moved = numbers.copy()
            moved[:, 0] = value
            by_hand.append(network.outputs(moved).mean())
        np.testing.assert_allclose(found["average"][0], by_hand)

    def test_partial_dependence_of_a_frame(self, kind, fit, frame):
        network = fit("binary", kind, X=frame).estimator
        known = frame.dropna()
        display = PartialDependenceDisplay.from_estimator(
            network, known, ["city", "b"], categorical_features=["city"], grid_resolution=5
        )
        assert display.axes_.size >= 2

    def test_calibration(self, kind, fit, numbers):
        network = fit("binary", kind)
        display = CalibrationDisplay.from_estimator(
            network.estimator, numbers, network.y, n_bins=4
        )
        expected = network.estimator.predict_proba(numbers)[:, 1]
        np.testing.assert_array_equal(display.y_prob, expected)

    @pytest.mark.parametrize("task", ["binary", "multiclass", "squared_error"])
    def test_decision_boundary(self, kind, task, fit, numbers):
        network = fit(task, kind, X=numbers[:, :2]).estimator
        display = DecisionBoundaryDisplay.from_estimator(
            network, numbers[:, :2], grid_resolution=8, response_method="predict"
        )
        grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
        predicted = network.predict(grid)
        if task != "squared_error":
            predicted = np.searchsorted(network.classes_, predicted)
        np.testing.assert_array_equal(display.response.ravel(), predicted)


def test_optional_packages_are_imported_by_what_needs_them_only():
    """matplotlib is imported by displays, and packages of files by the functions of each."""
    code = (
        "import sys, sknet.export, sknet.inspection as i, numpy as np;"
        "from sknet import NNRegressor as R;"
        "X = np.eye(5); n = R((2,), max_iter=2, learning_rate='cosine').fit(X, X[:, 0]);"
        "i.integrated_gradients(n, X); i.hidden_features(n, X); repr(i.summary(n));"
        "optional = {'matplotlib', 'onnx', 'skl2onnx', 'onnxruntime', 'skops'};"
        "print(optional & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANGING,
    )
    assert done.stdout.strip() == "set()"
