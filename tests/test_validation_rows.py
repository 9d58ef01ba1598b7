"""Which rows early stopping validates with: random rows or groups, the last rows, or others."""

import copy
import pickle
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from guards import needs_callbacks
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet import _base
from sknet.callbacks import Checkpoint
from sknet.data.batches import Dataset
from sknet.data.draws import cross_fitted
from sknet.data.splits import FirstSplit, LastRows, RandomRows
from sknet.nn import state
from sknet.streaming import RowBlocks, fit_chunks

N = 120
X = np.random.default_rng(0).normal(size=(N, 3))
LABELS = (X[:, 0] > 0.5).astype(int)
#: Eight groups whose rows follow one another, of 8 to 22 rows.
GROUPS = np.repeat(list("hgfedcba"), [8, 10, 12, 14, 16, 18, 20, 22])
EARLY = {"early_stopping": True, "max_iter": 2, "learning_rate": "cosine", "random_state": 0}
#: Ways to choose validation rows of ``GROUPS``, each of which respects groups.
WAYS = {
    "auto": "auto",
    "fraction": 0.3,
    "last": "last",
    "GroupShuffleSplit": GroupShuffleSplit(1, test_size=0.2, random_state=0),
    "GroupKFold": GroupKFold(4),
    "LeaveOneGroupOut": LeaveOneGroupOut(),
    "PredefinedSplit": PredefinedSplit(np.where(np.isin(GROUPS, ["c", "h"]), 0, -1)),
}


@pytest.fixture
def sides(monkeypatch):
    """Record the training rows and the validation rows of every fit."""
    found, split = [], _base._weigh_and_split

    def recorded(*args):
        found.append(split(*args))
        return found[-1]

    monkeypatch.setattr(_base, "_weigh_and_split", recorded)
    return found


def y_of(made):
    """Return a target of the estimator that the function makes."""
    return LABELS if made is NNClassifier else X[:, 0] + X[:, 1] ** 2


# Groups are never divided.


@given(
    groups=st.lists(st.integers(0, 9), min_size=30, max_size=60),
    n_classes=st.integers(0, 3),
    fraction=st.sampled_from([0.05, 0.2, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.filterwarnings("ignore:The training rows lack the classes")
@hypothesis_settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_no_way_to_split_divides_a_group(groups, n_classes, fraction, seed):
    groups = np.array(groups)
    labels = np.arange(groups.size) % n_classes if n_classes else None
    table = np.zeros((groups.size, 1)), np.arange(groups.size) % 3, groups
    ways = [
        RandomRows(fraction),
        LastRows(fraction),
        FirstSplit(fraction, GroupShuffleSplit(1, random_state=seed)),
        FirstSplit(fraction, KFold(2)),
    ]
    for order in (slice(None), np.argsort(groups, kind="stable")):
        for split in ways:
            data = Dataset(table[0], groups=groups[order])
            try:
                training, held_out = split(data, labels, seed, (*table[:2], groups[order]))
            except ValueError as error:
                assert re.search(
                    "divides groups|cannot split|with [01] of|train on 0", str(error)
                )
                continue
            assert not np.intersect1d(data.groups[training], data.groups[held_out]).size
            assert_array_equal(np.sort([*training, *held_out]), np.arange(groups.size))
    if (n_parts := np.unique(groups).size) > 1:
        data = Dataset(*table[:2], groups=groups)
        trained, validating = cross_fitted(data, 2, n_parts, labels, seed)
        of_member = [groups[rows > 0] for rows in trained.sample_weight.T]
        judged = [validating.groups[rows > 0] for rows in validating.sample_weight.T]
        for seen, unseen in zip(of_member, judged, strict=True):
            assert unseen.size and not np.intersect1d(seen, unseen).size
        assert not np.intersect1d(*judged).size


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize("made", [NNClassifier, NNRegressor])
@pytest.mark.parametrize("way", WAYS)
def test_a_fit_equals_one_with_these_validation_rows(made, way, sides):
    """With rows of zero weight among the others, and without what is learned of all rows."""
    network = made(**EARLY, validation_fraction=WAYS[way], standardize=False, refit=False)
    if made is NNClassifier:
        network.set_params(label_smoothing=0.0)  # by the classes of all rows
    weight = np.where(np.arange(N) % 7, 1 + np.arange(N) % 2, 0)
    y = y_of(made)
    network.fit(X, y, weight, groups=GROUPS)
    ((training, held_out),) = sides
    assert not {*GROUPS[training.rows]} & {*GROUPS[held_out.rows]}
    assert (weight[training.rows] > 0).all() and (weight[held_out.rows] > 0).all()
    if way == "last":
        assert_array_equal(np.r_[training.rows, held_out.rows], np.flatnonzero(weight))
    elif way == "PredefinedSplit":
        assert {*GROUPS[held_out.rows]} == {"c", "h"}
    rows, others = training.rows, held_out.rows
    expected = clone(network).set_params(validation_fraction=0.1)
    given_val = {"X_val": X[others], "y_val": y[others], "sample_weight_val": weight[others]}
    expected.fit(X[rows], y[rows], weight[rows], **given_val)
    assert_allclose(network.predict(X), expected.predict(X), rtol=1e-12)
    assert_allclose(network.validation_scores_, expected.validation_scores_, rtol=1e-12)


# Which rows are held out.


@pytest.mark.parametrize("fraction", [0.1, 0.35, 0.8])
def test_groups_are_held_out_in_the_shares_of_rows_and_classes(fraction):
    """Groups of unequal sizes, and a rare class that occurs in few of them."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 60, size=60))
    labels = (groups % 6 == 0) & (rng.random(groups.size) < 0.5)
    found = []
    for seed in range(5):
        data = Dataset(np.zeros((groups.size, 1)), groups=groups)
        _, rows = RandomRows(fraction)(data, labels, seed, ())
        found.append([np.isin(np.flatnonzero(labels == one), rows).mean() for one in (0, 1)])
    assert_allclose(found, fraction, atol=0.06)
    assert len({tuple(one) for one in found}) == 5


def test_the_last_rows_begin_where_no_group_is_divided():
    data = Dataset(np.zeros((100, 1)), groups=np.arange(100) // 7)
    training, held_out = LastRows(0.2)(data, None, 0, ())
    assert_array_equal([training[-1], held_out[0], held_out[-1]], [76, 77, 99])
    # Groups a and b alternate in time, and so do c and d.
    groups = np.repeat([0, 1, 0, 1, 2, 3, 2, 3], 10)
    _, held_out = LastRows(0.1)(Dataset(np.zeros((80, 1)), groups=groups), None, 0, ())
    assert_array_equal(held_out, np.arange(40, 80))


@pytest.mark.parametrize(
    ("groups", "weight"),
    [
        (list(GROUPS), None),
        (pd.Series(GROUPS, dtype="category"), None),
        (pd.Series(GROUPS, index=np.arange(N)[::-1]), None),
        (np.repeat(np.arange(8.0), [8, 10, 12, 14, 16, 18, 20, 22])[::-1][::-1], None),
        (pd.to_datetime(pd.Series(GROUPS).map(lambda one: f"2024-01-0{ord(one) - 96}")), None),
        (pd.Series([date(2024, 1, ord(one) - 96) for one in GROUPS]), None),
        (GROUPS, np.ones(N)),
    ],
    ids=["list", "category", "series", "numbers", "dates", "Python's dates", "weights"],
)
def test_the_form_of_groups_does_not_matter(groups, weight):
    network = NNRegressor(**EARLY)
    y = y_of(NNRegressor)
    expected = clone(network).fit(X, y, groups=GROUPS).predict(X)
    assert_array_equal(network.fit(X, y, weight, groups=groups).predict(X), expected)


@pytest.mark.parametrize("way", ["auto", "last"])
def test_rows_of_zero_weight_change_nothing(way):
    network = NNClassifier(**EARLY, validation_fraction=way)
    rows = np.arange(N) % 3 > 0
    expected = clone(network).fit(X[rows], LABELS[rows], groups=GROUPS[rows])
    network.fit(X, LABELS, rows.astype(float), groups=GROUPS)
    assert_array_equal(network.predict_proba(X), expected.predict_proba(X))


def test_every_kind_of_table_has_the_same_validation_rows(sides):
    tables = [X, X.tolist(), pd.DataFrame(X), sparse.csr_array(X), RowBlocks(X, block_rows=9)]
    for way in ("auto", "last", GroupKFold(4)):
        for table in tables:
            options = {**EARLY, "validation_fraction": way}
            NNClassifier(**options).fit(table, LABELS, groups=GROUPS)
        found = [np.sort(held_out.rows) for _, held_out in sides[-len(tables) :]]
        for rows in found[1:]:
            assert_array_equal(rows, found[0])


@pytest.mark.parametrize(
    ("n_groups", "options", "cross_fits"),
    [
        (30, {}, True),
        (5, {}, True),
        (4, {}, False),
        (30, {"validation_fraction": "last"}, False),
    ],
)
def test_members_have_groups_of_their_own(sides, n_groups, options, cross_fits):
    """Unless there are fewer groups than parts, or the validation rows are not drawn."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(300, 3)), np.arange(300) * n_groups // 300
    network = sknet.NNRegressor(max_iter=3, random_state=0, **options)
    network.fit(X, X[:, 0], groups=groups)
    ((training, held_out),) = sides
    assert not network.auto_params_["share_weights"]
    assert training.is_cross_fitted == network._model.provenance.cross_fitted == cross_fits
    if not cross_fits:
        assert not np.intersect1d(groups[training.rows], groups[held_out.rows]).size
        assert held_out.n_rows == (75 if n_groups == 4 else 60)


def test_the_last_epochs_train_on_all_rows(monkeypatch):
    united, unite = [], Dataset.united

    def recorded(*parts):
        united.append(unite(*parts))
        return united[-1]

    monkeypatch.setattr(Dataset, "united", recorded)
    # The few validation rows cannot show that something has been learned.
    monkeypatch.setattr(state, "LEAST_GAIN", -np.inf)
    weight = np.where(np.arange(N) % 7, 1.0, 0.0)
    options = {**EARLY, "max_iter": 30, "n_iter_no_change": 2, "learning_rate": "one_cycle"}
    network = NNClassifier(**options, tol=0.1, validation_fraction="last")
    network.fit(X, LABELS, weight, groups=GROUPS)
    assert network._model.provenance.n_refit > 0
    assert_array_equal(united[0].rows, np.flatnonzero(weight))
    assert_array_equal(united[0].y, LABELS[united[0].rows])


@pytest.mark.parametrize("labels", [False, True])
def test_a_group_of_most_rows_is_trained_on(labels):
    """Also where there are few groups, of which each must be on some side."""
    for n_groups in range(2, 8):
        groups = np.maximum(np.arange(100) // 2 - 50 + n_groups, 0)
        data = Dataset(np.zeros((100, 1)), np.arange(100) % 2, groups=groups)
        strata = data.y if labels else None
        training, _ = RandomRows(0.2)(data, strata, 0, ())
        assert training[0] == 0
        for n_members in range(2, n_groups - 1):
            _, held_out = cross_fitted(data, n_members, n_groups, strata, 0)
            assert held_out.n_rows == 2 * n_members


def test_a_splitter_sees_what_fit_was_given():
    class Spatial(KFold):
        def split(self, *given):
            seen.append(given)
            north = given[0]["north"].to_numpy() > 0
            yield np.flatnonzero(north), ~north  # positions or a mask

    seen, frame = [], pd.DataFrame(X, columns=["north", "east", "height"])
    network = NNClassifier(**EARLY, validation_fraction=Spatial()).fit(frame, LABELS)
    ((given_X, given_y, groups),) = seen
    assert given_X is frame and given_y is LABELS and groups is None
    assert network._model.provenance.n_validation == (X[:, 0] <= 0).sum()


@pytest.mark.parametrize(
    ("early_stopping", "given_val"),
    [(False, {}), ("auto", {"X_val": X[:30], "y_val": LABELS[:30]})],
    ids=["without early stopping", "X_val"],
)
def test_groups_have_no_other_use(early_stopping, given_val):
    network = NNClassifier(**{**EARLY, "early_stopping": early_stopping})
    expected = clone(network).fit(X, LABELS, **given_val).predict_proba(X)
    network.fit(X, LABELS, groups=GROUPS, **given_val)
    assert_array_equal(network.predict_proba(X), expected)


def test_the_score_of_groups_has_more_patience():
    """In regression, unless it is set or X_val is what early stopping watches."""
    y, found = y_of(NNRegressor), {}
    validating = {"groups": GROUPS, "X_val": X[:30], "y_val": y[:30]}
    options = {"groups": {"groups": GROUPS}, "X_val": validating}
    for name, given_val in {"rows": {}, **options}.items():
        network = NNRegressor(**{**EARLY, "max_iter": 30}, n_iter_no_change="auto")
        network.fit(X, y, **given_val)
        found[name] = network.auto_params_["n_iter_no_change"]
    assert found == {"rows": 5, "groups": 15, "X_val": 5}


def test_a_warning_tells_of_rows_that_are_not_used():
    splitter = TimeSeriesSplit(5)
    network = NNRegressor(**EARLY, validation_fraction=splitter)
    with pytest.warns(
        UserWarning, match="leaves out 80 of 120 rows.*validation_fraction='last'"
    ):
        network.fit(X, y_of(NNRegressor))


@pytest.mark.parametrize("options", [{}, {"validation_fraction": "last"}], ids=str)
def test_a_warning_tells_of_classes_that_are_held_out(options):
    labels = np.repeat(["one", "two", "three"], 40)
    with pytest.warns(UserWarning, match="The training rows lack the classes .* of validation"):
        NNClassifier(**{**EARLY, **options}).fit(X, labels, groups=labels)


# scikit-learn and files.


def test_groups_are_routed_through_a_pipeline_and_cross_validation(sides):
    numbers = np.arange(N) // 6
    with config_context(enable_metadata_routing=True):
        network = NNClassifier(**EARLY).set_fit_request(groups=True)
        pipeline = make_pipeline(StandardScaler(), network)
        options = {"cv": GroupKFold(3), "params": {"groups": numbers}}
        cross_validate(pipeline, X, LABELS, **options, error_score="raise")
        grid = {"nnclassifier__validation_fraction": [0.25, "last", GroupShuffleSplit(1)]}
        search = GridSearchCV(pipeline, grid, cv=GroupKFold(2), error_score="raise")
        search.fit(X, LABELS, groups=numbers)
    assert len(sides) == 3 + 2 * 3 + 1
    for training, held_out in sides:
        assert not np.intersect1d(training.groups, held_out.groups).size
        assert held_out.groups.size


@pytest.mark.parametrize("way", ["last", GroupShuffleSplit(1, random_state=0)], ids=str)
def test_the_way_is_copied_and_kept_in_files(way):
    network = NNRegressor(**EARLY, validation_fraction=way)
    y = y_of(NNRegressor)
    for one in (clone(network), copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert str(one.validation_fraction) == str(way)
        assert repr(one) == repr(network)
        expected = one.fit(X, y, groups=GROUPS).predict(X)
        again = pickle.loads(pickle.dumps(one))
        assert_array_equal(again.predict(X), expected)
        assert_array_equal(again.fit(X, y, groups=GROUPS).predict(X), expected)


@needs_callbacks
@pytest.mark.filterwarnings("ignore:Training ended at")
def test_a_resumed_fit_needs_the_same_groups(tmp_path):
    path, y = tmp_path / "checkpoint", y_of(NNRegressor)
    network = NNRegressor(**{**EARLY, "learning_rate": "constant"}, batch_size=20)
    clone(network).set_callbacks(Checkpoint(path)).fit(X, y, groups=GROUPS)
    network.set_params(max_iter=4)
    resumed = clone(network).fit(X, y, groups=GROUPS, resume_from=path)
    assert_array_equal(resumed.predict(X), network.fit(X, y, groups=GROUPS).predict(X))
    with pytest.raises(ValueError, match="different training or validation rows"):
        network.fit(X, y, groups=GROUPS[::-1], resume_from=path)


# What is refused.


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize(
    ("options", "groups", "message"),
    [
        ({}, np.zeros(N), r"of the 120 rows in 1 undivided group\(s\).*pass X_val and y_val"),
        ({}, GROUPS[:-1], "value for each of the 120 rows of X, got the shape .119,."),
        ({}, GROUPS[:, np.newaxis], r"one dimension.* shape \(120, 1\)"),
        ({}, "a", r"one dimension.* shape \(\)"),
        ({}, [None, np.nan, *GROUPS[2:]], "missing values, 2 of 120"),
        (
            {"early_stopping": False},
            np.where(np.arange(N), 1.0, np.nan),
            "missing values, 1 of 120",
        ),
        ({"validation_fraction": "last"}, np.arange(N) % 2, "consecutive rows if valid"),
        (
            {"validation_fraction": "first"},
            None,
            "{'auto', 'last'}.*'split' and 'get_n_splits'",
        ),
        ({"validation_fraction": GroupKFold}, GROUPS, "'split' and 'get_n_splits'"),
        ({"validation_fraction": GroupKFold(9)}, GROUPS, "cannot split the rows: .*n_splits=9"),
        ({"validation_fraction": GroupKFold(2)}, None, "'groups' parameter should not be None"),
        ({"validation_fraction": TimeSeriesSplit(2)}, np.arange(N) % 9, "divides groups"),
        (
            {"validation_fraction": PredefinedSplit([0] * 121)},
            None,
            "index 120 is out of bounds",
        ),
        (
            {"validation_fraction": LeaveOneOut()},
            None,
            r"validate with 1 of the 120 rows, but .* Change the splitter, .*LeaveOneOut\(\)",
        ),
        # It leaves out most rows, but the error says what is wrong, without a warning before.
        (
            {"validation_fraction": ShuffleSplit(1, train_size=1, test_size=1)},
            None,
            "would train on 1 and validate with 1 .* Change the splitter",
        ),
        (
            {"validation_fraction": 0.0},
            GROUPS,
            "the fraction 0.0 of n_samples=120",
        ),
    ],
    ids=str,
)
def test_what_is_refused(options, groups, message):
    network = NNRegressor(**EARLY).set_params(**options)
    before = dict(vars(network))
    with pytest.raises(ValueError, match=message):
        network.fit(X, y_of(NNRegressor), groups=groups)
    assert vars(network) == before


@pytest.mark.parametrize("way", ["last", KFold(5)], ids=str)
def test_chunks_need_rows_that_are_drawn_at_random(way):
    network = NNClassifier(**EARLY, validation_fraction=way)
    chunks = [(X[:80], LABELS[:80]), (X[80:], LABELS[80:])]
    with pytest.raises(ValueError, match="needs all rows in one place.*the last chunk"):
        fit_chunks(network, chunks)
    fit_chunks(network, chunks[:1], X_val=X[80:], y_val=LABELS[80:])
    assert network._model.provenance.n_validation == 40
    fit_chunks(network.set_params(early_stopping=False), chunks)
