"""A fitted estimator on disk, in memory, and in several threads."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits

OVERHEAD = 24 * 1024
SHIPPED_DATA = {NNClassifier: load_digits, NNRegressor: load_diabetes}


def through_joblib(network, tmp_path):
    joblib.dump(network, tmp_path / "network")
    return joblib.load(tmp_path / "network")


def through_pickle(network, tmp_path):
    return pickle.loads(pickle.dumps(network))


def through_deepcopy(network, tmp_path):
    return copy.deepcopy(network)


def outputs(network, X):
    """Return all predictions of a fitted network for X."""
    names = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    return [getattr(network, name)(X) for name in names if hasattr(network, name)]


def arrays(thing, seen=None):
    """Yield the memory of all arrays that can be reached, each once."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield from arrays(thing.base, seen) if isinstance(thing.base, np.ndarray) else [thing]
    elif sparse.issparse(thing):
        yield from arrays([thing.data, thing.indices, thing.indptr], seen)
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from arrays(value, seen)
    elif isinstance(thing, list | tuple | set):
        for value in thing:
            yield from arrays(value, seen)
    elif hasattr(thing, "__dict__") and not isinstance(thing, type):
        yield from arrays(vars(thing), seen)


def n_bytes(network):
    return sum(array.nbytes for array in arrays(vars(network)))


def parameter_bytes(network):
    return sum(array.nbytes for array in network.coefs_ + network.intercepts_)


@pytest.mark.parametrize("trip", [through_joblib, through_pickle, through_deepcopy])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_round_trip(problem, tmp_path, trip, solver, early_stopping):
    network = problem.cls(
        (20, 5), solver=solver, early_stopping=early_stopping, tol=0.01, random_state=0
    ).fit(problem.X, problem.y)
    copied = trip(network, tmp_path)
    for now, before in zip(
        outputs(copied, problem.X), outputs(network, problem.X), strict=True
    ):
        assert_array_equal(now, before)
    assert copied.history_ == network.history_
    assert copied.get_params() == network.get_params()
    for name in ["coefs_", "intercepts_"]:
        for now, before in zip(getattr(copied, name), getattr(network, name), strict=True):
            assert_array_equal(now, before)
    # The arrays are views of the parameters that predict, not copies.
    copied.intercepts_[-1][:] += 100
    assert not np.array_equal(outputs(copied, problem.X)[-1], outputs(network, problem.X)[-1])


@pytest.mark.parametrize("trip", [through_joblib, through_pickle, through_deepcopy])
def test_training_goes_on_after_a_round_trip(problem, tmp_path, trip):
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    network = problem.cls((5,), batch_size=20, dropout=0.2, random_state=0)
    network.partial_fit(problem.X, problem.y, **classes)
    copied = trip(network, tmp_path)
    network.partial_fit(problem.X, problem.y)
    copied.partial_fit(problem.X, problem.y)
    assert_array_equal(copied.predict(problem.X), network.predict(problem.X))
    assert copied.loss_curve_ == network.loss_curve_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_size_of_the_file(tmp_path, cls, early_stopping, warm_start):
    X, y = (data[:300] for data in SHIPPED_DATA[cls](return_X_y=True))
    network = cls(
        early_stopping=early_stopping,
        warm_start=warm_start,
        # 200 epochs of history.
        n_iter_no_change=np.inf,
        random_state=np.random.RandomState(0),
    ).fit(X, y)
    assert network.n_iter_ == 200
    joblib.dump(network, tmp_path / "network")
    size = (tmp_path / "network").stat().st_size
    assert parameter_bytes(network) < size <= parameter_bytes(network) + OVERHEAD


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_nothing_of_training_is_kept(problem, solver, early_stopping, as_sparse):
    rng = np.random.default_rng(0)
    X = np.tile(problem.X, (20, 1)) + 0.1 * rng.normal(size=(20 * len(problem.X), 5))
    y = np.tile(problem.y, 20)
    network = problem.cls(
        (100,),
        solver=solver,
        early_stopping=early_stopping,
        learning_rate="constant" if solver == "lbfgs" else "cosine",
        max_iter=3,
        n_iter_no_change=np.inf,
        tol=100.0,  # lbfgs is content at once
        random_state=0,
    )
    network.fit(sparse.csr_matrix(X) if as_sparse else X, y, sample_weight=np.ones(len(y)))
    # Scaling and classes are a few numbers a column.
    assert n_bytes(network) <= parameter_bytes(network) + 1024 < X.nbytes
    # A pickle would hold memory that the walk misses, such as that of a closure.
    assert len(pickle.dumps(network)) <= parameter_bytes(network) + 8 * 1024
    assert n_bytes(clone(network)) == 0


def test_partial_fit_keeps_what_the_next_needs_and_fit_lets_it_go(problem):
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    network = problem.cls((100,), random_state=0, learning_rate="cosine", max_iter=2)
    network.partial_fit(problem.X, problem.y, **classes)
    # Adam's two moments; the generators have no arrays.
    weights = parameter_bytes(network)
    assert 3 * weights <= n_bytes(network) <= 3 * weights + 1024
    network.fit(problem.X, problem.y)
    assert n_bytes(network) <= weights + 1024


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("sizes", [(), (30,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predict_on_read_only_memory_maps(problem, tmp_path, standardize, sizes, dtype):
    network = problem.cls(
        sizes,
        standardize=standardize,
        max_iter=3,
        n_iter_no_change=np.inf,
        random_state=0,
    ).fit(problem.X.astype(dtype), problem.y)
    expected = outputs(network, problem.X.astype(dtype))
    joblib.dump((network, problem.X.astype(dtype)), tmp_path / "both")
    mapped, X = joblib.load(tmp_path / "both", mmap_mode="r")
    assert isinstance(X, np.memmap)
    assert not X.flags.writeable
    assert isinstance(mapped._model.params, np.memmap)
    for now, before in zip(outputs(mapped, X), expected, strict=True):
        assert_array_equal(now, before)


def test_training_goes_on_from_read_only_memory_maps(problem, tmp_path):
    classes = {"classes": [0, 1]} if problem.cls is NNClassifier else {}
    options = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}
    network = problem.cls((30,), warm_start=True, batch_size=30, **options)
    network.partial_fit(problem.X, problem.y, **classes)
    joblib.dump((network, problem.X, problem.y), tmp_path / "all")
    mapped, X, y = joblib.load(tmp_path / "all", mmap_mode="r")
    for method in ["partial_fit", "fit"]:
        getattr(network, method)(problem.X, problem.y)
        getattr(mapped, method)(X, y)
        assert mapped.loss_curve_ == network.loss_curve_


def test_fit_leaves_its_arguments_alone(problem):
    weight = np.ones(len(problem.y))
    frozen = [problem.X.copy(), problem.y.copy(), weight]
    for array in frozen:
        array.setflags(write=False)
    X, y, weight = frozen
    network = problem.cls(
        (5,), learning_rate="cosine", max_iter=2, early_stopping="auto", random_state=0
    )
    for standardize in [True, False]:
        network.set_params(standardize=standardize).fit(
            X, y, weight, X_val=X, y_val=y, sample_weight_val=weight
        )
        outputs(network, X)
    assert_array_equal(X, problem.X)


def test_eight_threads_predict_at_once(problem):
    network = problem.cls((64, 64), learning_rate="cosine", max_iter=2, random_state=0)
    network.fit(problem.X, problem.y)
    rng = np.random.default_rng(0)
    # Of different lengths, and longer than a block of rows.
    tables = [rng.normal(size=(5000 + 37 * i, 5)) for i in range(24)]
    expected = [network.predict(X) for X in tables]
    # The layout of the parameters is computed on first use: let the threads meet there too.
    fresh = pickle.loads(pickle.dumps(network))
    with ThreadPoolExecutor(8) as pool:
        for now, before in zip(pool.map(fresh.predict, tables), expected, strict=True):
            assert_array_equal(now, before)
