"""scikit-learn's searches over a Dask cluster, through joblib."""

import os

import joblib
import pytest
from numpy.testing import assert_allclose
from plain import NNRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

# As in test_dask.py, one process of pytest-xdist starts the cluster.
pytestmark = pytest.mark.xdist_group("cluster")


def make_search(kind, **options):
    network = NNRegressor(
        (8,),
        max_iter=5,
        learning_rate="cosine",
        learning_rate_init=0.01,
        dtype="float64",
        random_state=0,
    )
    if kind is HalvingGridSearchCV:
        options = {"random_state": 0, "min_resources": 200, **options}
    return kind(network, {"alpha": [1e-6, 1e-2, 1.0]}, cv=3, error_score="raise", **options)


@pytest.mark.parametrize("kind", [GridSearchCV, HalvingGridSearchCV])
def test_search(client, table, kind):
    X, y = table
    local = make_search(kind).fit(X, y)
    with joblib.parallel_config(backend="dask"):
        search = make_search(kind).fit(X, y)
    assert search.best_params_ == local.best_params_
    scores = [one.cv_results_["mean_test_score"] for one in (search, local)]
    assert_allclose(*scores, rtol=1e-6)


@pytest.mark.parametrize("kind", [GridSearchCV, HalvingGridSearchCV])
def test_the_workers_do_the_work(client, table, kind):
    def process(estimator, X, y):
        return os.getpid()

    with joblib.parallel_config(backend="dask"):
        results = make_search(kind, scoring=process).fit(*table).cv_results_
    found = {pid for i in range(3) for pid in results[f"split{i}_test_score"].astype(int)}
    assert found <= set(client.run(os.getpid).values())
