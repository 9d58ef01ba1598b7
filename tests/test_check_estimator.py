"""scikit-learn's own checks, for every solver."""

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

from sknet import NNClassifier, NNRegressor
from sknet.nn.optimizers import OPTIMIZERS

ESTIMATORS = [NNClassifier, NNRegressor]
# The defaults' own solver, adam, is checked with the defaults.
OTHER_SOLVERS = sorted({"lbfgs", *OPTIMIZERS} - {"adam"})
#: A small network that takes little time. In more epochs rounding errors of weighted and of
#: repeated rows grow along rmsprop's rough path.
QUICK = {"hidden_layer_sizes": (32,), "n_members": 1, "max_iter": 100}
# scikit-learn skips it unless SCIPY_ARRAY_API is set.
SKIPPED_BY_SKLEARN = {"check_array_api_input", "check_array_api_input_and_values"}
# A random split of repeated rows cannot equal one of weighted rows.
EARLY_STOPPING_FAILS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


def results_by_status(estimator):
    with warnings.catch_warnings():
        # The checks fit with few iterations, and classes of one member.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The validation set is not stratified")
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    by_status = {}
    for result in results:
        exception = result["exception"]
        by_status.setdefault(result["status"], {})[result["check_name"]] = repr(exception)
    return by_status


def assert_only_array_api_skipped(by_status):
    assert set(by_status) <= {"passed", "failed", "skipped"}
    assert set(by_status.get("skipped", {})) <= SKIPPED_BY_SKLEARN
    assert len(by_status["passed"]) > 40


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_defaults(estimator_class):
    by_status = results_by_status(estimator_class())
    assert by_status.get("failed", {}) == {}
    assert_only_array_api_skipped(by_status)


@pytest.mark.parametrize("solver", OTHER_SOLVERS)
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_other_solvers(estimator_class, solver):
    by_status = results_by_status(estimator_class(solver=solver, **QUICK))
    assert by_status.get("failed", {}) == {}
    assert_only_array_api_skipped(by_status)


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_early_stopping(estimator_class):
    by_status = results_by_status(estimator_class(early_stopping=True, **QUICK))
    assert set(by_status.get("failed", {})) <= EARLY_STOPPING_FAILS, by_status["failed"]
    assert_only_array_api_skipped(by_status)
