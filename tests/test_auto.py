"""The values that parameters get if they are "auto"."""

from types import MappingProxyType

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknet import NNClassifier, NNRegressor
from sknet._auto import RULES, SHAPING, Facts, bins_for, choose
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.losses import BinaryLogLoss
from sknet.nn.monotone import Promise
from sknet.nn.optimizers import SGD

#: The embeddings of few numbers, and their numbers of waves, or 4 without any, and of outputs.
USUAL_NAMES = {NNClassifier: "periodic", NNRegressor: "piecewise_linear"}
USUAL_SIZES = {NNClassifier: (16, 4), NNRegressor: (4, 16)}


def resolved(
    n_rows,
    n_columns=5,
    cls=NNClassifier,
    as_sparse=False,
    kind=float,
    n_levels=(),
    n_dates=0,
    n_earlier=None,
    minority_share=0.5,
    ordered_y=False,
    grouped=False,
    last=MappingProxyType({}),
    **parameters,
):
    numeric_y, dtype = cls is NNRegressor, np.dtype(kind)
    facts = Facts(n_rows, n_columns, as_sparse, dtype, numeric_y, n_levels, n_dates, n_earlier)
    facts = facts._replace(minority_share=minority_share, ordered_y=ordered_y, grouped=grouped)
    return choose(cls(**parameters).get_params(), facts, last=last)


def test_only_what_is_auto_is_resolved():
    assert set(resolved(500)) == set(RULES)
    chosen = {"batch_size": 7, "max_iter": 3, "dropout": [0.1, 0, 0], "dtype": "float64"}
    assert set(resolved(500, **chosen)) == set(RULES) - set(chosen)
    assert set(RULES) == {k for k, v in NNClassifier().get_params().items() if v == "auto"}


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "max_iter"),
    [
        (10, 10, 60),
        (49, 49, 60),
        (50, 32, 100),
        (1000, 40, 32),
        (5000, 200, 80),
        (10_000, 200, 60),
        (36_000, 360, 60),
        (100_000, 500, 30),
        (125_000, 500, 24),
        (200_000, 800, 15),
        (1_000_000, 1000, 10),
        (100_000_000, 1000, 10),
    ],
)
def test_batches_and_epochs(n_rows, batch_size, max_iter):
    values = resolved(n_rows)
    assert values["batch_size"] == batch_size
    assert values["max_iter"] == max_iter


def test_the_patience_of_long_plans():
    """Of a tenth of the plan, classes by numbers need ten epochs at most."""
    of_numbers = [resolved(500, max_iter=n)["n_iter_no_change"] for n in (20, 80, 500)]
    assert of_numbers == [5, 8, 10]
    for options in ({"cls": NNRegressor}, {"n_levels": (3,)}):
        assert resolved(500, max_iter=500, **options)["n_iter_no_change"] == 50


def test_epochs_follow_the_batch_size_that_is_given():
    assert resolved(4000, batch_size=100)["max_iter"] == 60
    assert resolved(4000, batch_size=200)["max_iter"] == 100
    assert resolved(1000, batch_size=100)["max_iter"] == 80
    assert resolved(10_000, batch_size=50)["max_iter"] == 60


@pytest.mark.parametrize(
    "options",
    [{"learning_rate": "constant"}, {"learning_rate": "adaptive"}, {"solver": "lbfgs"}],
)
def test_without_a_plan_training_ends_as_in_scikit_learn(options):
    values = resolved(5000, **options)
    assert (values["max_iter"], values["n_iter_no_change"]) == (200, 10)
    assert resolved(5000)["n_iter_no_change"] == 8
    assert resolved(5000, max_iter=20)["n_iter_no_change"] == 5
    # An epoch of few rows is a single update.
    of_few = 10 if "solver" in options else 20
    assert resolved(49, **options)["n_iter_no_change"] == of_few


def test_small_tables_draw_nothing_for_single_rows():
    few, enough = resolved(49, 1), resolved(50, 1)
    assert (few["early_stopping"], few["dropout"]) == (False, 0)
    assert (enough["early_stopping"], enough["dropout"]) == (True, 0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": (100,)},
        {"early_stopping": False},
        {"scoring": "accuracy"},
        {"validation_fraction": "last"},
        {"share_weights": True},
        {"n_members": 1},
        {"solver": "sgd"},
        {"as_sparse": True},
        {"interaction_cst": "no_interactions"},
        {"n_earlier": 0},
        {"cls": NNRegressor, "n_columns": 101},
    ],
    ids=str,
)
def test_without_cross_fitting_more_tables_are_small(options):
    """A single split of 50 to 99 rows is no guide, and without one, networks overfit."""
    for n_rows in (50, 99):
        values = options | resolved(n_rows, **options)
        small = resolved(49, **options)
        for name in ("max_iter", "dropout", "numeric_embedding", "alpha", "dtype"):
            if name in small and not (name == "alpha" and "interaction_cst" in options):
                assert values[name] == small[name]
        assert not values["early_stopping"] and values["batch_size"] == n_rows
    usual = options | resolved(100, **options)
    stops = options.get("solver") != "sgd"
    assert usual["early_stopping"] is options.get("early_stopping", stops)
    assert usual["batch_size"] == 32
    cross_fitted = resolved(50, cls=options.get("cls", NNClassifier))
    assert (cross_fitted["early_stopping"], cross_fitted["batch_size"]) == (True, 32)


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
@pytest.mark.parametrize("solver", ["sgd", SGD(momentum=0.5)], ids=["sgd", "SGD"])
def test_sgd_trains_the_plain_network_of_scikit_learn(cls, solver):
    values = resolved(500, 20, cls=cls, solver=solver)
    assert values["hidden_layer_sizes"] == (64, 64)
    assert (values["n_members"], values["share_weights"]) == (1, True)
    assert values["numeric_embedding"] is None
    assert (values["n_components"], values["dropout"]) == (0, 0)
    assert not values["early_stopping"]
    for options in ({"scoring": "r2"}, {"validation_fraction": "last"}, {"n_members": 2}):
        assert resolved(500, 20, cls=cls, solver=solver, **options)["early_stopping"]
    assert resolved(500, 20, cls=cls, solver=solver, share_weights=False)["n_members"] == 1


def test_sgd_has_validation_rows_if_it_continues_a_richer_network():
    last = {"numeric_embedding": "periodic", "n_members": 2}
    assert resolved(500, solver="sgd", last=last)["early_stopping"]


def test_embeddings():
    assert resolved(500)["numeric_embedding"] == "periodic"
    assert resolved(500, cls=NNRegressor)["numeric_embedding"] == "piecewise_linear"
    assert resolved(49)["numeric_embedding"] is None
    for options in ({"as_sparse": True}, {"solver": "lbfgs"}):
        assert resolved(500, **options)["numeric_embedding"] is None


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_embeddings_of_many_numbers_are_smaller_without_a_cliff(cls):
    """One number more or less is treated nearly the same, from few numbers to very many."""
    sizes = []
    for n in [*range(40, 500), 1000, 1001, 20_000]:
        embedding = resolved(500, n, cls=cls)["numeric_embedding"]
        if isinstance(embedding, str):
            assert n <= 50
            embedding = NUMERIC_EMBEDDINGS[embedding]()
        waves = getattr(embedding, "n_frequencies", 4)
        sizes.append((waves, embedding.size))
    assert sizes[0] == USUAL_SIZES[cls]
    assert sizes[-1] == (4, 2)
    steps = np.diff(sizes, axis=0)
    assert ((steps == 0) | (steps == -1)).all()
    few = resolved(100, 40, cls=cls)["numeric_embedding"]
    usual = NUMERIC_EMBEDDINGS[USUAL_NAMES[cls]]()
    assert few == usual.reduced(100 / 10 / 40)
    # A category is no number.
    with_categories = resolved(500, 60, cls=cls, n_levels=[3] * 10)
    assert with_categories["numeric_embedding"] == USUAL_NAMES[cls]


def test_members():
    assert resolved(5000)["n_members"] == 2
    assert resolved(5000, cls=NNRegressor)["n_members"] == 1


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_members_of_few_rows_share_no_weights(cls):
    limit = 1000 if cls is NNRegressor else 4000
    chosen = [resolved(n, cls=cls) for n in (49, 50, limit - 1, limit)]
    shared = [one["share_weights"] for one in chosen]
    assert shared == [cls is NNRegressor, False, False, True]
    members = [1, 2, 2, 1] if cls is NNRegressor else [8, 8, 2, 2]
    assert [one["n_members"] for one in chosen] == members
    assert chosen[2]["validation_fraction"] == 0.2
    others = [
        {"hidden_layer_sizes": (64,)},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"numeric_embedding": None},
        {"interaction_cst": "no_interactions"},
        {"monotonic_cst": Promise((1, 0, 0, 0, 0))},
        {"n_members": 1},
        {"n_earlier": 0},
    ]
    assert all(resolved(500, cls=cls, **one)["share_weights"] for one in others)


def test_small_members_are_for_few_rows_outside_the_largest_class():
    small, usual = ((64, 64), 5, False), ((128, 128), 2, False)

    def found(n_rows, minority_share):
        names = "hidden_layer_sizes", "n_members", "share_weights"
        values = resolved(n_rows, minority_share=minority_share)
        return tuple(values[name] for name in names)

    assert found(1999, 0.5) == found(2000, 0.2) == found(20_000, 0.02) == small
    assert found(2000, 0.5) == found(3100, 0.2) == found(3999, 1.0) == usual
    for case in (4000, 0.5), (20_000, 0.05), (20_001, 0.02):
        assert found(*case) == ((128, 128), 2, True)


def test_small_members_are_for_classes_and_for_many_inputs():
    small, usual = (64, 64), (128, 128)

    def found(**options):
        values = options | resolved(400, **options)
        return values["hidden_layer_sizes"], values["n_members"], values["max_iter"]

    assert found() == found(n_columns=100) == found(batch_size=32) == (small, 8, 62)
    assert found(n_columns=101) == (small, 2, 62)
    assert found(n_columns=101, cls=NNRegressor) == (small, 1, 154)
    assert found(n_columns=101, cls=NNRegressor, n_members=3) == (small, 3, 154)
    assert found(n_columns=101, cls=NNRegressor, as_sparse=True)[0] == usual
    assert found(n_columns=101, cls=NNRegressor, solver="lbfgs")[0] == usual
    assert found(cls=NNRegressor) == found(cls=NNRegressor, n_columns=100) == (usual, 2, 154)
    # Whoever chooses large members gets few, and whoever chooses the number gets small ones.
    assert found(hidden_layer_sizes=usual, share_weights=False) == (usual, 2, 154)
    assert found(n_members=3) == (small, 3, 62)
    assert found(n_members=1, share_weights=False) == (usual, 1, 154)


def test_few_rows_need_a_larger_share_to_validate_with():
    assert resolved(499, share_weights=True)["validation_fraction"] == 0.2
    assert resolved(500, share_weights=True)["validation_fraction"] == 0.1
    assert resolved(500, n_members=10)["validation_fraction"] == 0.1


def test_the_penalty_falls_with_the_rows():
    assert resolved(300)["alpha"] == pytest.approx(1e-3)
    # On small tables the penalty is constant, so that repeated rows equal weights.
    assert resolved(5)["alpha"] == resolved(45)["alpha"] == pytest.approx(0.025)
    assert resolved(4)["alpha"] == resolved(4, cls=NNRegressor)["alpha"] == pytest.approx(5e-7)
    assert resolved(300, solver="lbfgs")["alpha"] == 5e-7


def test_the_penalty_rises_with_the_inputs_of_each_row():
    assert resolved(4000, 100)["alpha"] == pytest.approx(0.3 / 4000)
    assert resolved(4000, 101)["alpha"] == pytest.approx(0.3 / 4000 * 1.01**2)
    assert resolved(4000, 200)["alpha"] == pytest.approx(0.3 / 4000 * 4)
    assert resolved(4000, 200, as_sparse=True)["alpha"] == pytest.approx(0.3 / 4000)
    assert resolved(4000, 5000)["alpha"] == 0.03
    for sizes, most in (
        ((), 0.03),
        (9, 0.03),
        ((9, 9), 0.03),
        ((9, 9, 9), 0.01),
        ([9] * 4, 1 / 300),
    ):
        found = resolved(4000, 5000, hidden_layer_sizes=sizes)["alpha"]
        assert found == pytest.approx(most)
        narrow = resolved(200, 100, hidden_layer_sizes=sizes)["alpha"]
        assert narrow == pytest.approx(min(0.01, most))
        few = resolved(49, hidden_layer_sizes=sizes)["alpha"]
        assert few == pytest.approx(min(0.025, most))
        # The usual penalty of regression does not let weights fall to zero.
        assert resolved(100, cls=NNRegressor, hidden_layer_sizes=sizes)["alpha"] == 0.003
    assert resolved(99, 50)["alpha"] == 0.03 > resolved(100, 50)["alpha"]
    # Three categories of 2, 16 and 1000 levels, beside 200 numbers.
    with_dates = resolved(4000, 203, n_dates=2)["alpha"]
    assert with_dates == resolved(4000, 203 + 2 * 8)["alpha"] > resolved(4000, 203)["alpha"]
    with_categories = resolved(4000, 203, n_levels=[2, 16, 1000])["alpha"]
    assert with_categories == pytest.approx(resolved(4000, 200 + 2 + 16 + 16)["alpha"])


def test_the_penalty_of_regression_rises_with_many_inputs():
    def factor(n_rows, n_columns, **options):
        return resolved(n_rows, n_columns, cls=NNRegressor, **options)["alpha"] * n_rows / 0.3

    assert factor(400, 100) == pytest.approx(1)
    assert factor(4000, 101) == pytest.approx(1.01)
    assert factor(4000, 200) == pytest.approx(2)
    assert factor(4000, 5000) == factor(200, 150) == pytest.approx(10)
    assert factor(4000, 200, as_sparse=True) == pytest.approx(1)
    assert resolved(100, 5000, cls=NNRegressor)["alpha"] == pytest.approx(0.03)


def test_the_dropout_rate_rises_with_the_inputs_of_each_row():
    assert resolved(4000, 100)["dropout"] == pytest.approx(0.1)
    assert resolved(4000, 101)["dropout"] == pytest.approx(0.101)
    assert resolved(4000, 200)["dropout"] == pytest.approx(0.2)
    assert resolved(4000, 5000)["dropout"] == 0.3
    assert resolved(4000, 200, as_sparse=True)["dropout"] == pytest.approx(0.1)
    assert resolved(4000, 200, cls=NNRegressor)["dropout"] == "adaptive"
    # All levels of a category count.
    assert resolved(4000, 5, n_levels=[95, 3])["dropout"] == pytest.approx(0.101)
    assert resolved(4000, 200, ordered_y=True)["dropout"] == 0.1
    assert resolved(4000, 200, solver="lbfgs")["dropout"] == 0
    assert resolved(4000, 200, interaction_cst="no_interactions")["dropout"] == 0


@pytest.mark.parametrize("n_rows", [300, 1999, 3999, 5000])
def test_classes_with_an_order_have_the_members_of_classes_and_the_encoding_of_numbers(n_rows):
    values, of_classes = resolved(n_rows, ordered_y=True), resolved(n_rows)
    of_numbers = resolved(n_rows, cls=NNRegressor)
    for name in ("share_weights", "hidden_layer_sizes", "n_members", "max_iter"):
        assert values[name] == of_classes[name]
    assert values["numeric_embedding"] == of_numbers["numeric_embedding"]
    assert values["n_components"] == of_numbers["n_components"]


class Focal(BinaryLogLoss):
    """A loss of a user."""


def test_labels_are_smoothed_where_held_out_rows_correct_the_certainty():
    for n_rows, expected in (50, 0.0005), (1999, 0.01999), (2000, 0.02), (10**6, 0.02):
        assert resolved(n_rows)["label_smoothing"] == pytest.approx(expected)
    assert resolved(200, loss=BinaryLogLoss())["label_smoothing"] == pytest.approx(0.002)
    assert resolved(200, solver="adamw")["label_smoothing"] == pytest.approx(0.002)
    without = [
        {"n_rows": 49}, {"early_stopping": False}, {"grouped": True}, {"n_earlier": 0},
        {"solver": "sgd"}, {"solver": "lbfgs", "early_stopping": True},
        {"loss": "ordinal"}, {"loss": Focal()}, {"minority_share": 1.0},
    ]  # fmt: skip
    for case in without:
        assert resolved(**{"n_rows": 200, **case})["label_smoothing"] == 0, case
    assert "label_smoothing" not in resolved(200, cls=NNRegressor)


@pytest.mark.filterwarnings("ignore:Training ended at")
def test_a_warm_start_smooths_labels_as_the_first_fit_does():
    X = np.random.default_rng(0).normal(size=(200, 3))
    network = NNClassifier((4,), max_iter=2, warm_start=True, random_state=0)
    for _ in range(2):
        network.fit(X, X[:, 0] > 0)
        assert network.auto_params_["label_smoothing"] == pytest.approx(0.002)


def test_the_dropout_rate_rises_if_few_rows_are_not_of_the_largest_class():
    for share, expected in (0.5, 0.1), (0.25, 0.2), (0.2, 0.25), (0.01, 0.3):
        found = resolved(4000, 100, minority_share=share)
        assert found["dropout"] == pytest.approx(expected)
        assert found["alpha"] == resolved(4000, 100)["alpha"]


@pytest.mark.parametrize("as_text", [False, True])
def test_the_share_of_the_largest_class_counts_rows(as_text):
    """Weights do not count, as in all rules; labels of several columns have no share."""
    X = np.random.default_rng(0).normal(size=(600, 30))
    even, rare = (np.arange(600) % n == 0 for n in (2, 3))
    for y, weighted, expected in (
        *((even, False, 0.2), (even, True, 0.2), (rare, False, 0.3), (rare, True, 0.3)),
        (np.column_stack([rare, even]).astype(int), False, 0.2),
    ):
        labels = np.where(y, "yes", "no") if as_text and y.ndim == 1 else y
        weights = np.where(y, 1.0, 3.0) if weighted else None
        network = NNClassifier((4,), max_iter=1, random_state=0).fit(X, labels, weights)
        assert network.auto_params_["dropout"] == pytest.approx(expected)


def test_a_chunk_does_not_tell_how_scarce_rows_are():
    first = resolved(200, 20, n_earlier=0)
    assert (first["alpha"], first["dropout"]) == (pytest.approx(0.3 / 200), 0.1)
    later = resolved(200, 20, n_earlier=9800)
    assert later["alpha"] == pytest.approx(0.3 / 10_000)
    assert later["batch_size"] == resolved(200)["batch_size"]
    assert resolved(50, n_earlier=40)["alpha"] == 0.025
    assert resolved(50, n_earlier=50)["alpha"] == pytest.approx(0.3 / 100)
    grouped = {"n_earlier": 800, "interaction_cst": "no_interactions"}
    assert resolved(200, **grouped)["alpha"] == pytest.approx(0.003 / 1000)


@pytest.mark.parametrize("n_rows", [50, 100, 200])
def test_small_chunks_of_many_columns_are_learned(n_rows):
    """With the penalty of a table of so few rows, all weights fall to zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 20))
    y = X[:, 0] * X[:, 1] > 0
    network = NNClassifier((32,), random_state=0)
    for _ in range(2):
        for start in range(0, 4000, n_rows):
            rows = slice(start, start + n_rows)
            network.partial_fit(X[rows], y[rows], classes=[False, True])
    assert network.score(X, y) > 0.85
    assert network.auto_params_["alpha"] == pytest.approx(0.3 / 8000)


def test_rows_of_a_fit_count_in_later_passes():
    X = np.random.default_rng(0).normal(size=(400, 3))
    network = NNRegressor((4,), max_iter=2, early_stopping=False, random_state=0)
    network.fit(X, X[:, 0]).partial_fit(X[:200], X[:200, 0])
    assert network.auto_params_["alpha"] == pytest.approx(0.3 / 600)


def test_bins_have_rows_enough():
    assert [bins_for(n) for n in (10, 300, 600, 1440, 10**6)] == [8, 10, 20, 48, 48]
    assert [bins_for(n, True) for n in (10, 300, 600, 10**6)] == [8, 60, 120, 128]


def test_dtype():
    assert resolved(49)["dtype"] == "float64"
    assert resolved(49, kind=np.float32)["dtype"] == "float32"
    assert resolved(50)["dtype"] == "float32"
    assert resolved(1000, solver="lbfgs")["dtype"] == "float64"


def test_a_fit_tells_what_it_chose_and_follows_it(binary):
    network = NNClassifier((4,), random_state=0).fit(*binary)
    share = np.bincount(binary[1]).min() / 120
    expected = resolved(120, hidden_layer_sizes=(4,), minority_share=share)
    assert network.auto_params_ == expected
    assert network.n_iter_ <= network.auto_params_["max_iter"]
    assert network.max_iter == "auto"
    explicit = NNClassifier((4,), random_state=0, **network.auto_params_).fit(*binary)
    assert explicit.auto_params_ == {}
    assert_array_equal(explicit.predict_proba(binary[0]), network.predict_proba(binary[0]))


def test_validation_rows_switch_early_stopping_on(binary):
    X, y = binary
    held = {"X_val": X[40:], "y_val": y[40:]}
    network = NNClassifier((4,), max_iter=2, random_state=0)
    assert network.fit(X[:40], y[:40]).auto_params_["early_stopping"] is False
    chosen = network.fit(X[:40], y[:40], **held).auto_params_
    assert chosen["early_stopping"] is True
    explicit = NNClassifier((4,), max_iter=2, random_state=0, **chosen)
    explicit.fit(X[:40], y[:40], **held)
    assert_array_equal(explicit.predict_proba(X), network.predict_proba(X))


def test_what_shapes_a_network_outlives_a_warm_start(binary):
    X, y = binary
    network = NNClassifier((4,), max_iter=2, warm_start=True, random_state=0).fit(
        X[:40], y[:40]
    )
    before = network.auto_params_
    assert (before["dropout"], before["batch_size"]) == (0, 40)
    after = network.fit(X, y).auto_params_
    kept = set(SHAPING) - {"hidden_layer_sizes"}
    assert {k: after[k] for k in kept} == {k: before[k] for k in kept}
    assert after["batch_size"] == 32
    # "No embedding" is kept as well, though the new solver would get one.
    without = NNClassifier((4,), solver="lbfgs", warm_start=True, max_iter=500, tol=0.01)
    without.fit(X, y).set_params(solver="adam", max_iter=2, dropout=0, ema_decay=None)
    assert without.fit(X, y).auto_params_["numeric_embedding"] is None
    # A parameter that is no longer "auto" takes its own value.
    with pytest.raises(ValueError, match="dropout has changed since"):
        network.set_params(dropout=0.3).fit(X, y)
