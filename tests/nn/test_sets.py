"""Parameters stay in the sets that their layers declare."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import nnls

from sknet.nn.activations import Identity
from sknet.nn.columns import Columns
from sknet.nn.embeddings import RisingPiecewiseLinear
from sknet.nn.ensembles import EnsembleDense, EnsembleHead, EnsembleInput
from sknet.nn.groups import GroupedDense
from sknet.nn.layers import Dense
from sknet.nn.lbfgs import LBFGS, train_lbfgs
from sknet.nn.losses import SquaredError
from sknet.nn.monotone import MonotonePairwiseHead
from sknet.nn.network import Network
from sknet.nn.objective import Objective
from sknet.nn.optimizers import OPTIMIZERS, SGD
from sknet.nn.sets import Bounds, ElasticNet, MonotoneWeights, Signed, Stacked
from sknet.nn.state import Stopping

INF = np.inf
EDGES = ((-1.0, 0.0, 1.0),)
#: Layers of each kind with sets; the inputs are an embedded rising column and two others.
SIGNS = (1, 1, 0, -1)
FIRST, NEXT = MonotoneWeights(SIGNS, 2), MonotoneWeights((0, 0, 1, 1, 1))
FRONT = Columns((((0,), RisingPiecewiseLinear(EDGES, 2)), ((1, 2), None)))
#: Of two groups with two inputs each, one is constrained.
GROUP_SETS = Stacked((MonotoneWeights((1, 1)), MonotoneWeights((0, 0), 3)))
NETWORKS = {
    "one member": (
        *(FRONT, Dense(5, Identity(), FIRST)),
        *(Dense(5, Identity(), MonotoneWeights(NEXT.signs, 2)), Dense(1, Identity(), NEXT)),
    ),
    "three members": (
        *(FRONT, EnsembleInput(5, Identity(), 3, FIRST)),
        *(EnsembleDense(5, Identity(), 3, MonotoneWeights(NEXT.signs, 2)),),
        EnsembleHead(1, 3, NEXT),
    ),
    "two groups": (
        *(FRONT, GroupedDense(3, Identity(), 2, within=GROUP_SETS)),
        MonotonePairwiseHead(
            *(2, 1, MonotoneWeights((1, 1, 1, 0, 0, 0), unpromised=(1,))),
            **{"n_groups": 2, "n_factors": 7, "signs": (1, 0), "n_free": 3},
        ),
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def make(name):
    return Network(NETWORKS[name], 3, 3 if name == "three members" else 1)


def in_set(network, params):
    bounds = network.bounds(params.dtype)
    return bool((bounds.low <= params).all() and (params <= bounds.high).all())


@pytest.mark.parametrize("axis", [0, -1])
def test_signed_arrays(axis):
    signed, array = Signed((1, 0, -1), axis=axis), np.array([[-1.0, 2, -3], [-4, 5, 6]] * 3)
    array = array[:3] if axis == 0 else array
    projected, entered = array.copy(), array.copy()
    signed.bounds(array.shape).project(projected)
    signed.enter(entered)
    rising, free, falling = (
        (which if axis == 0 else (slice(None), which)) for which in (0, 1, 2)
    )
    assert_array_equal(projected[rising], np.maximum(array[rising], 0))
    assert_array_equal(projected[falling], np.minimum(array[falling], 0))
    assert_array_equal(entered[rising], abs(array[rising]))
    assert_array_equal(entered[falling], -abs(array[falling]))
    assert_array_equal(projected[free], array[free])
    assert_array_equal(entered[free], array[free])


def test_bounds_keep_nan_so_that_divergence_is_seen():
    array = np.array([np.nan, -1.0])
    Bounds(np.zeros(2), np.full(2, INF)).project(array)
    assert_array_equal(array, [np.nan, 0])


@every_network
def test_initial_parameters_are_in_their_sets(name):
    network = make(name)
    params = network.init(np.random.default_rng(0))
    assert in_set(network, params)
    # Weights that start at zero on both sides of a unit would never move.
    bounds = network.bounds(np.float64)
    movable = bounds.high > bounds.low
    assert (params[movable] != 0).all()


def test_networks_without_sets_have_no_bounds():
    assert Network((Dense(2, Identity()),), 3).bounds(np.float32) is None


@every_network
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_step_ends_in_the_sets(name, optimizer, dtype):
    network, rng = make(name), np.random.default_rng(0)
    params = network.init(rng).astype(dtype)
    rule, bounds = OPTIMIZERS[optimizer](), network.bounds(dtype)
    state, average = rule.init(params.size, dtype), params.copy()
    was_at_bound = np.zeros(params.size, bool)
    for t in range(1, 30):
        gradient = rng.normal(size=params.size).astype(dtype)
        rule.step(params, gradient, state, t, 0.1, ElasticNet(0.1, 0.5), 3, bounds)
        average += dtype(0.05) * (params - average)
        assert params.dtype == dtype
        assert in_set(network, params) and in_set(network, average)
        was_at_bound |= (params == bounds.low) & (bounds.low < bounds.high)
    assert was_at_bound.any()


def test_a_step_of_sgd_is_a_projected_gradient_step():
    params, gradient = np.array([0.3, 0.3, -0.2]), np.array([1.0, 0.1, -1.0])
    bounds = Bounds(np.array([0, 0, -INF]), np.array([INF, INF, 0]))
    SGD(momentum=0.0).step(params, gradient, np.zeros((1, 3)), 1, 0.5, bounds=bounds)
    assert_allclose(params, [0, 0.25, 0])


def test_threshold_and_bounds_are_one_proximal_step():
    """The step minimizes (w - v)^2 / 2 + t |w| over w >= 0: found here by trying values."""
    grid = np.linspace(0, 2, 200_001)
    for start in (-0.5, 0.02, 0.7):
        w, gradient = np.array([start]), np.zeros(1)
        bounds = Bounds(np.zeros(1), np.full(1, INF))
        SGD(momentum=0.0).step(
            w, gradient, np.zeros((1, 1)), 1, 0.5, ElasticNet(0.1, 1.0), 1, bounds
        )
        best = grid[np.argmin((grid - start) ** 2 / 2 + 0.5 * 0.1 * grid)]
        assert_allclose(w, best, atol=1e-5)


@pytest.mark.parametrize("l1", [0.0, 0.05])
def test_lbfgs_finds_the_nonnegative_least_squares(make_batches, l1):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = X @ [1.0, -1, 0.5, 0] + 0.1 * rng.normal(size=60)
    network = Network((Dense(1, Identity(), MonotoneWeights((1, 1, -1, 1))),), 4)
    objective = Objective(network, SquaredError(), ElasticNet(l1, 1.0))
    params = network.init(rng)
    result = train_lbfgs(
        objective, params, make_batches(X, y[:, None]), Stopping(500, 1e-10, INF), LBFGS()
    )
    assert in_set(network, result.params)
    # With the signs moved into X, and without the mean, it is a problem that SciPy solves. The
    # L1 penalty is linear there: |X w - y|^2 / 2n + l1 sum(w) is completed to a square.
    signs = np.array([1, 1, -1, 1])
    A, b = (X - X.mean(axis=0)) * signs, y - y.mean()
    root = np.linalg.cholesky(A.T @ A)
    expected, _ = nnls(root.T, np.linalg.solve(root, A.T @ b - 60 * l1))
    assert (expected == 0).any()
    assert_allclose(result.params[:4], expected * signs, atol=1e-6)
