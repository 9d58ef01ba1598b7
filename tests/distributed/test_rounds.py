"""Local SGD by itself, without a cluster, against its formulas."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from dask.sizeof import sizeof
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNRegressor

import sknet
from sknet._input import read_training
from sknet._run import Run
from sknet._starting import start_model
from sknet.data.batches import Batch
from sknet.distributed import epochs
from sknet.distributed.epochs import OuterStep, share_out
from sknet.distributed.fitting import _with_shared_batch, fit_on_cluster
from sknet.distributed.partitions import Partitions
from sknet.distributed.shards import InnerState, Point, Round, make_shard
from sknet.nn.budget import Budget
from sknet.nn.network import Workspace
from sknet.nn.soundness import Ending
from sknet.nn.state import Horizon

X = np.random.default_rng(0).normal(size=(240, 3))
y = X[:, 0] - np.abs(X[:, 1])
weight = np.random.default_rng(1).uniform(0.5, 2, 240)


def start(estimator, y, weight):
    """Return a model that is ready to train on X and y, and the features of X."""
    features, data = read_training(estimator, Batch(X, y, weight))
    return start_model(estimator, features, data, Run.start(0).streams), features


def make_model(**options):
    """Return a regression model that is ready to train."""
    model, _ = start(NNRegressor((5,), **{"dtype": "float64", **options}), y, weight)
    return model


def one_shard(model, number, seed, partitions):
    """Return a shard of arrays."""
    _, features = start(NNRegressor((5,)), y, weight)
    return make_shard(model, features, number, seed, partitions)


def make_shards(model, n_shards, weights=None):
    parts = np.array_split(np.arange(240), n_shards)
    return [
        one_shard(
            model, i, 7, [(i, X[rows], y[rows], None if weights is None else weights[rows])]
        )
        for i, rows in enumerate(parts)
    ]


def first_round(per_epoch=1, number=0, epoch=0, max_iter=10):
    horizon = Horizon(max_iter, max_iter)
    return Round(epoch, number, per_epoch, horizon, samples_seen=0, plateau_factor=1.0)


def gradient_of_all(model, rows, weights):
    """Return the gradient of the objective for some rows, whose weights have the mean one."""
    objective = model.objective
    params = model.params
    batch = Batch(
        model.encoder.transform(X[rows], params.dtype),
        model.target.transform(y[rows], params.dtype),
        None if weights is None else weights[rows] / weights.mean(),
    )
    gradient = np.empty_like(params)
    workspace = Workspace(model.network, len(rows), params.dtype)
    objective.loss_and_gradient(params, batch, workspace, gradient)
    n = model.network.n_penalized
    objective.penalty.add_gradient(params[:n], gradient[:n])
    return gradient


# The outer step.


def test_plain_averaging_is_the_weighted_mean():
    results = [Point(np.array([1.0, 2.0]), 3 * 0.5, 3.0, 0.1)]
    results += [Point(np.array([5.0, 2.0]), 1.5, 1.0, 0.1)]
    point = Point(np.array([0.0, 0.0]), loss=1.0, weight=2.0)
    after = OuterStep(1.0, 0.0).end(point, point, results)
    assert_allclose(after.params, [2.0, 2.0])
    assert (after.loss, after.weight) == (1.0 + 3 * 0.5 + 1.5, 6.0)


def test_a_shard_without_a_batch_in_a_round_has_no_say():
    results = [Point(np.zeros(2)), Point(np.ones(2), 2.0, 2.0, 0.1)]
    point = Point(np.zeros(2))
    after = OuterStep(1.0, 0.0).end(point, point, results)
    assert_allclose(after.params, 1.0)
    assert after.learning_rate == 0.1


@pytest.mark.parametrize(("eta", "mu"), [(0.7, 0.9), (1.0, 0.5), (0.5, 0.0)])
def test_outer_steps_are_sgd_with_nesterov_momentum(eta, mu):
    """The formulas of PyTorch: d = mean - z, v <- mu v + d, z <- z + eta (d + mu v)."""
    goal = np.array([3.0, -1.0])

    def local(z):
        return z + 0.1 * (goal - z) + 0.01 * z**2

    z, v = np.array([1.0, 2.0]), np.zeros(2)
    point = previous = Point(z.copy())
    step = OuterStep(eta, mu)
    for _ in range(5):
        assert_allclose(step.start(point, previous), z, rtol=1e-12)
        result = Point(local(step.start(point, previous)), 0.0, 1.0, 0.1)
        point, previous = step.end(point, previous, [result]), point
        d = local(z) - z
        v = mu * v + d
        z = z + eta * (d + mu * v)


def test_weights_that_are_zero_everywhere_stay_zero():
    params = np.array([0.0, 1 / 3], dtype=np.float32)
    results = [Point(params, 0.0, float(w), 0.1) for w in (1237, 7919, 3)]
    start = Point(np.array([0.1, 0.2], dtype=np.float32))
    after = OuterStep(1.0, 0.5).end(start, Point(-start.params), results)
    assert_array_equal(after.params, params)
    assert after.params.dtype == np.float32


# The steps of a shard in a round.


def test_a_round_has_the_dropout_of_the_unexplained_share():
    (adaptive,), (plain,), (constant,) = (
        make_shards(make_model(dropout=rate), 1) for rate in ("adaptive", 0.0, 0.1)
    )
    begin, round_ = adaptive.model.params, first_round()
    for share, other in (0.0, plain), (1.0, constant):
        mine = adaptive.train(begin, round_._replace(unexplained=share), None).result.params
        assert_array_equal(mine, other.train(begin, round_, None).result.params)
        assert_array_equal(begin, other.model.params)


@pytest.mark.parametrize("weights", [None, weight])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_one_full_step_of_sgd_is_a_synchronous_gradient_step(weights, alpha):
    model = make_model(
        solver="sgd", momentum=0.0, batch_size=240, learning_rate_init=0.05, alpha=alpha
    )
    # The shards have unequal sizes, so that their weights in the mean matter.
    groups = [np.arange(40), np.arange(40, 240)]
    shards = [
        one_shard(model, i, 7, [(i, X[g], y[g], None if weights is None else weights[g])])
        for i, g in enumerate(groups)
    ]
    point = Point(model.params)
    results = [shard.train(point.params, first_round(), None).result for shard in shards]
    after = OuterStep(1.0, 0.0).end(point, point, results)
    expected = model.params - 0.05 * gradient_of_all(model, np.arange(240), weights)
    assert_allclose(after.params, expected, rtol=1e-10, atol=1e-13)


OPTIONS = [
    {},
    {"dropout": 0.3},
    {"input_noise": 0.2, "mixup": 0.5},
    {"n_members": 3, "numeric_embedding": "periodic"},
    {"solver": "sgd", "learning_rate": "cosine", "dtype": "float32"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_round_can_be_made_again_anywhere(options):
    model = make_model(batch_size=16, **options)
    shard = make_shards(model, 2)[1]
    elsewhere = pickle.loads(pickle.dumps(shard))
    round_ = first_round(per_epoch=3, number=1, epoch=2)
    start = model.params.copy()
    earlier = shard.train(model.params, first_round(), None).inner
    slots = earlier.slots.copy()
    first = shard.train(model.params, round_, earlier)
    shard.train(model.params, first_round(), None)
    for one in (shard, elsewhere):
        again = one.train(start, round_, earlier)
        assert_array_equal(again.result.params, first.result.params)
        assert again.result.loss == first.result.loss
        assert again.result.weight == first.result.weight
        assert_array_equal(again.inner.slots, first.inner.slots)
    assert_array_equal(model.params, start)
    assert_array_equal(earlier.slots, slots)
    assert np.abs(first.result.params - start).max() > 1e-4


@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
def test_rounds_of_one_shard_are_an_epoch(solver):
    """The optimizer goes on from round to round."""
    model = make_model(batch_size=10, solver=solver)
    shard = one_shard(model, 0, 7, [(0, X, y, None)])
    whole = shard.train(model.params, first_round(), None)
    params, inner = model.params, None
    for number in range(3):
        result, inner = shard.train(params, first_round(per_epoch=3, number=number), inner)
        params = result.params
    assert_allclose(params, whole.result.params, rtol=1e-12)
    assert_allclose(inner.slots, whole.inner.slots, rtol=1e-12)
    assert inner.n_updates == whole.inner.n_updates == 24


def test_shards_and_rounds_draw_differently():
    model = make_model(batch_size=16, dropout=0.5)
    parts = [(0, X, y, None)]
    one, other = (one_shard(model, i, 7, parts) for i in (0, 1))
    results = [
        one.train(model.params, first_round(), None),
        other.train(model.params, first_round(), None),
        one.train(model.params, first_round(epoch=1), None),
        one_shard(model, 0, 8, parts).train(model.params, first_round(), None),
    ]
    assert len({one.result.params.tobytes() for one in results}) == len(results)


@pytest.mark.parametrize("per_epoch", [1, 2, 4, 8, 11])
def test_the_rounds_of_an_epoch_see_each_row_once(per_epoch):
    shard = make_shards(make_model(batch_size=16), 2)[0]
    rows = [shard._rows(first_round(per_epoch, number)) for number in range(per_epoch)]
    assert_array_equal(np.sort(np.concatenate(rows)), np.arange(120))
    assert all(part.size % 15 == 0 for part in rows)  # 8 batches of 15 rows


@pytest.mark.parametrize("per_epoch", [1, 3, 11])
def test_the_rounds_of_an_epoch_share_the_weight_of_the_shard(per_epoch):
    """They share it in proportion to their rows, of which some rounds have more than others."""
    model = make_model(batch_size=16)
    shard = make_shards(model, 2, weight)[0]
    rounds = [first_round(per_epoch, number) for number in range(per_epoch)]
    sizes = np.array([shard._rows(one).size for one in rounds])
    weights = [shard.train(model.params, one, None).result.weight for one in rounds]
    assert_allclose(weights, weight[:120].sum() * sizes / 120)


def test_rows_keep_their_order_without_shuffling():
    shard = make_shards(make_model(batch_size=16, shuffle=False), 2)[0]
    assert_array_equal(shard._rows(first_round(2, 1)), np.arange(60, 120))


def test_a_round_without_rows():
    model = make_model(batch_size=200)
    shard = make_shards(model, 2)[0]
    inner = InnerState(np.ones((2, model.params.size)), 3)
    result, after = shard.train(model.params, first_round(per_epoch=3), inner)
    assert_array_equal(result.params, model.params)
    assert result.weight == 0
    assert after is inner


def test_the_learning_rate_follows_the_whole_training():
    model = make_model(batch_size=40, learning_rate="cosine", learning_rate_init=0.1)
    shard = make_shards(model, 2)[0]
    # Counted from 0, this is epoch 5 of 10 and round 1 of 3.
    result = shard.train(model.params, first_round(per_epoch=3, number=1, epoch=5), None).result
    progress = (5 * 3 + 1) / 30
    assert_allclose(result.learning_rate, 0.1 * (1 + np.cos(np.pi * progress)) / 2)


def test_validation_losses_of_shards_average_to_that_of_all():
    model = make_model(batch_size=16, early_stopping=True)
    shards = make_shards(model, 3, weight)
    point = Point(model.params)
    losses, weights = zip(*[shard.evaluate(point) for shard in shards], strict=True)
    found = np.average(losses, weights=weights)
    data = [shard.validation.data for shard in shards]
    expected, total = 0.0, 0.0
    for shard, part in zip(shards, data, strict=True):
        workspace = Workspace(model.network, part.n_rows, np.float64)
        raw = model.network.forward(model.params, part.X, workspace)
        own = part.sample_weight * shard.validation_weight / part.n_rows
        expected += np.sum(own * (part.y - raw)[:, 0] ** 2 / 2)
        total += own.sum()
    assert_allclose(found, expected / total)
    assert_allclose(sum(weights) + sum(shard.weight for shard in shards), weight.sum())


def test_a_shard_too_small_to_hold_rows_out_trains_on_all():
    model = make_model(early_stopping=True)
    shard = one_shard(model, 0, 7, [(0, X[:5], y[:5], None)])
    assert shard.validation is None
    assert shard.batches.n_rows == 5
    assert shard.evaluate(Point(model.params)) == (0.0, 0.0)


def test_sizes_by_which_dask_judges_moving():
    model = make_model()
    shard = make_shards(model, 1)[0]
    assert sizeof(shard) >= 240 * 3 * 8
    assert sizeof(Point(np.zeros(1000))) >= 8000
    assert sizeof(InnerState(np.zeros((2, 500)), 1)) >= 8000


# The epochs of several rounds.


class LazyTask:
    """A task that is made when its result is wanted."""

    def __init__(self, function, arguments):
        self.function, self.arguments, self.result = function, arguments, None

    def get(self):
        if self.function is not None:
            self.result = self.function(*map(results_of, self.arguments))
            self.function = None
        return self.result


def results_of(argument):
    if type(argument) in (list, tuple):
        return type(argument)(map(results_of, argument))
    return argument.get() if isinstance(argument, LazyTask) else argument


class LazyCluster:
    """A cluster in this process, which notes when it is asked for the end of a round.

    ``n_ahead`` has the number of rounds that were submitted and had not ended, each time that
    the end of one of them was waited for. ``points`` has the points of all rounds.
    """

    def __init__(self, n_shards):
        self.n_shards = self.n_workers = n_shards
        self.points, self.n_ahead = [], []

    def submit(self, function, *arguments, shard_number=None):
        task = LazyTask(function, arguments)
        if function is OuterStep.end:
            self.points.append(task)
        return task

    def send(self, value):
        return value

    def compute(self, parts, shard_number):
        return [list(part) for part in parts]

    def gather(self, tasks):
        n_open = sum(one.function is not None for one in self.points)
        if n_open and any(one in self.points and one.function is not None for one in tasks):
            self.n_ahead.append(n_open)
        return results_of(list(tasks))

    wait = gather


def fit_lazily(n_shards=2, local_steps=3, budget=None, **options):
    """Return a lazy cluster and the parameters, after a fit of ten steps an epoch."""
    settings = {"dtype": "float64", "batch_size": 12, "max_iter": 2, "random_state": 0}
    estimator = NNRegressor((5,), **{**settings, **options})
    parts = [[X[rows], y[rows], None] for rows in np.array_split(np.arange(240), n_shards)]
    cluster, outer = LazyCluster(n_shards), OuterStep(1.0, 0.0)
    partitions = Partitions(parts, [len(part[1]) for part in parts])
    plan = outer, local_steps, budget
    _, _, result, _ = fit_on_cluster(cluster, estimator, partitions, *plan)
    return cluster, result


class Clock:
    """A clock on which each reading takes a second, and which can be copied."""

    now = -1.0

    def __call__(self):
        self.now += 1
        return self.now


@pytest.mark.parametrize("n_shards", [1, 2])
def test_the_rounds_keep_a_time_limit(n_shards):
    """By this clock, a round takes a second, and so does a step of a single shard."""
    options = {"n_shards": n_shards, "max_iter": 20, "early_stopping": False}
    options |= {"learning_rate": "cosine", "learning_rate_init": 0.01}
    expected = fit_lazily(**options)[1]
    enough = fit_lazily(budget=Budget(1e6, Clock()), **options)[1]
    assert_array_equal(enough.params, expected.params)
    cluster, result = fit_lazily(budget=Budget(30, Clock()), **options)
    assert result.ending is Ending.TIME_LIMIT
    rates = result.history["learning_rate"]
    assert np.all(np.diff(rates) < 0) and rates[-1] < 1e-3
    if n_shards > 1:
        assert 27 <= len(cluster.points) <= 30  # of 80
        assert len(rates) == math.ceil(len(cluster.points) / 4)
        assert result.counted["n_unvisited"] == -len(cluster.points) % 4 * 60


@pytest.mark.parametrize("ema_decay", [None, sknet.NNRegressor().ema_decay])
def test_rounds_are_submitted_before_the_one_before_them_has_ended(ema_decay):
    """The workers need not wait for the client, except at the end of an epoch."""
    cluster, _ = fit_lazily(ema_decay=ema_decay)
    assert cluster.n_ahead == [2, 2, 2, 1] * 2
    assert epochs.ROUNDS_IN_FLIGHT == 2


@pytest.mark.parametrize("ema_decay", [0.5, 0.995])
def test_the_running_average_is_that_of_the_points(ema_decay):
    """Each point counts as often as its round has steps: ten an epoch, in four rounds."""
    cluster, result = fit_lazily(ema_decay=ema_decay)
    points = [one.get().params for one in cluster.points]
    _, plain = fit_lazily(ema_decay=None)
    assert_array_equal(plain.params, points[-1])
    model, _ = start(NNRegressor((5,), dtype="float64", random_state=0), y, None)
    average = model.params
    for number, point in enumerate(points, start=1):
        n_updates = 2.5 * number
        decay = min(ema_decay, (1 + n_updates) / (10 + n_updates)) ** 2.5
        average = decay * average + (1 - decay) * point
    assert_allclose(result.params, average, rtol=1e-9)


# The division of partitions among shards.


@pytest.mark.parametrize("n_shards", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "sizes", [[10] * 12, [1, 100, 1, 1, 1, 1], [100, 1, 1, 1, 1], [1, 1, 1, 1, 100]]
)
def test_share_out(sizes, n_shards):
    groups = share_out(sizes, n_shards)
    assert len(groups) == n_shards
    assert all(groups)
    assert sum(groups, []) == list(range(len(sizes)))


def test_equal_partitions_are_shared_out_equally():
    assert [len(group) for group in share_out([7] * 12, 4)] == [3, 3, 3, 3]
    assert [len(group) for group in share_out([1, 1, 2, 4], 2)] == [3, 1]


@pytest.mark.parametrize(("learning_rate", "momentum"), [(1.0, 0.0), (1.7, 0.0), (0.7, 0.9)])
def test_shared_parameters_stay_in_their_bounds(learning_rate, momentum):
    """An extrapolation of points that have the right signs may have the wrong ones."""
    model = make_model(monotonic_cst=[1, 0, -1])
    network, bounds = model.network, model.network.bounds(np.float64)
    outer = OuterStep(learning_rate, momentum, network)
    free = OuterStep(learning_rate, momentum)
    shards, points, left = make_shards(model, 2), [Point(model.params)] * 2, False
    for epoch in range(5):
        start = outer.start(*points)
        round_ = first_round(epoch=epoch)
        results = [shard.train(start, round_, None).result for shard in shards]
        # Far steps, as a high learning rate of the shards would make them.
        rng = np.random.default_rng(epoch)
        for result in results:
            result.params[:] += rng.normal(size=start.size)
            bounds.project(result.params)
        point = outer.end(*points, results)
        for params in (start, point.params):
            assert (params >= bounds.low).all() and (params <= bounds.high).all()
        outside = free.end(*points, results).params
        left |= bool((outside < bounds.low).any())
        points = [point, points[0]]
    assert left == (learning_rate != 1)


def test_validation_rows_of_shards_have_weights_in_common_units():
    weights = np.r_[np.full(120, 2.0), np.full(120, 6.0)]
    shards = make_shards(make_model(early_stopping=True, validation_fraction=0.25), 2, weights)
    point = Point(np.zeros_like(shards[0].model.params))
    for shard, expected in zip(shards, (2, 6), strict=True):
        raw, Y, weight = shard.predictions(point, 1.0)
        assert_array_equal(weight, np.full(30, expected))
        assert_array_equal(raw, np.zeros((30, 1)))
        assert_array_equal(Y, shard.validation.data.y)
        few = shard.predictions(point, 0.2)[1]
        assert few.shape == (6, 1) and np.isin(few, Y).all()


def test_a_shard_without_validation_rows_predicts_none():
    (shard,) = make_shards(make_model(early_stopping=False), 1)
    assert shard.predictions(Point(shard.model.params), 1.0) is None


def test_a_shared_batch_is_no_larger_than_that_of_the_table():
    model = make_model()
    auto = {"batch_size": 20, "learning_rate_init": 0.01}
    settings = model.settings.with_values(**auto)
    settings = replace(settings, auto={**settings.auto, **auto})
    shared = _with_shared_batch(replace(model, settings=settings), 2).settings
    assert (shared.batch_size, shared.learning_rate_init) == (20, 0.01)
