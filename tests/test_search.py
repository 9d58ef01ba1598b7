"""Search spaces: what they hold, and searches of scikit-learn and Optuna that use them."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    ParameterSampler,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import NNClassifier, NNRegressor
from sknet.distributed import DaskNNClassifier, DaskNNRegressor
from sknet.search import TABLE, Choice, Integers, LogUniform, Uniform, search_space

ESTIMATORS = [NNClassifier, NNRegressor, DaskNNClassifier, DaskNNRegressor]
#: A space of few small networks, for tests that fit some of them.
SMALL = {"hidden_layer_sizes": Choice(((4,), (2, 2)))}


@pytest.fixture(scope="module")
def rows():
    """Return 120 rows of three columns, and labels."""
    X = np.random.default_rng(0).normal(size=(120, 3))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def small_space(network):
    """Return a space of two numbers of units and a few learning rates."""
    space = search_space(network.set_params(hidden_layer_sizes=(4,)))
    names = set(space.parameters) - {"learning_rate_init", "activation"}
    return space.without(*names).replace(**SMALL)


def ends(distribution):
    """Return all values of a choice, and the bounds of a range."""
    if isinstance(distribution, Choice):
        return distribution.values
    return distribution.low, distribution.high


# The table.


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_default_is_in_the_space(cls):
    """So a search can start from it, and then finds nothing worse."""
    space = search_space(cls())
    assert list(space.parameters) == list(TABLE)
    for name, one in space.parameters.items():
        assert one.contains(cls().get_params()[name]), name


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_every_value_can_be_fitted_in_float32(cls, name, rows):
    """Numbers of NumPy, which scikit-learn's searches draw, do not change the precision."""
    X, y = rows
    for value in ends(TABLE[name]):
        value = np.float64(value) if isinstance(value, float) else value
        network = cls(max_iter=1, random_state=0).set_params(**{name: value})
        network.fit(X.astype(np.float32), y)
        assert network.coefs_[0].dtype == np.float32
        assert np.isfinite(network.predict(X)).all()


def test_the_guide_has_the_table():
    page = Path(__file__).parents[1] / "docs" / "guide" / "searching.md"
    table = page.read_text("utf-8").split("<!-- search space -->")[1].split("\n\n")[1]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE))
    assert list(rows) == list(TABLE)
    for name, one in TABLE.items():
        if isinstance(one, Choice):
            *first, last = map(str, one.values)
            assert rows[name] == f"{', '.join(first)} or {last}"
        else:
            assert rows[name].startswith(f"from {one.low} to {one.high},")
            assert ("logarithmic" in rows[name]) == isinstance(one, LogUniform)


def test_no_resource_of_halving_is_searched():
    assert {"max_iter", "n_iter_no_change"}.isdisjoint(TABLE)


# Distributions.


@pytest.mark.parametrize(
    ("distribution", "to_unit"),
    [
        (Uniform(-1.0, 3.0), lambda x: (x + 1) / 4),
        (LogUniform(0.01, 100.0), lambda x: (np.log10(x) + 2) / 4),
    ],
    ids=["uniform", "logarithmic"],
)
def test_numbers_follow_their_distribution(distribution, to_unit):
    drawn = distribution.for_sampling().rvs(2000, random_state=0)
    assert stats.kstest(to_unit(drawn), "uniform").pvalue > 0.01
    assert all(map(distribution.contains, drawn))


def test_integers_include_both_bounds():
    assert Integers(-1, 2).for_sampling() == [-1, 0, 1, 2]
    many = Integers(0, 10**12)
    assert many.for_sampling().support() == (0, 10**12)
    numbers = {"max_fun": many, "max_iter": many}
    space = search_space(NNClassifier(max_iter=9)).replace(**numbers)
    alone = space.without(*set(space.parameters) - set(numbers))
    assert len(alone.candidates(4, random_state=0)) == 4


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (Choice((0, "auto")), False),
        (Choice((0, "auto")), "0"),
        (Choice(((4,),)), np.array([4])),
        (Choice((np.array([0, 1]),)), np.array([1, 1])),
        (Uniform(0.0, 2.0), True),
        (Uniform(0.0, 2.0), "auto"),
        (Uniform(0.0, 2.0), 2.1),
        (Uniform(0.0, 2.0), float("nan")),
        (Integers(0, 2), 1.0),
        (Integers(0, 2), 3),
    ],
    ids=str,
)
def test_other_values_are_not_contained(distribution, value):
    assert not distribution.contains(value)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Choice([1, 2]), TypeError, "one or more values whose str"),
        (lambda: Choice(()), ValueError, "one or more values whose str"),
        (lambda: Choice((1, "1")), ValueError, "one or more values whose str"),
        (lambda: Uniform(1.0, 1.0), ValueError, "low must be less than high"),
        (lambda: Uniform(0.0, np.inf), ValueError, "high must be a finite number"),
        (lambda: LogUniform(0.0, 1.0), ValueError, "low must be a finite number > 0"),
        (lambda: Integers(0.5, 2), TypeError, "low must be an integer, got 0.5"),
    ],
)
def test_a_distribution_refuses_bounds_without_sense(make, error, message):
    with pytest.raises(error, match=message):
        make()


# Spaces.


def test_decided_parameters_are_not_searched():
    network = NNRegressor(dropout=0.0, hidden_layer_sizes=[128, 128])
    assert set(TABLE) - set(search_space(network).parameters) == {
        "dropout",
        "hidden_layer_sizes",
    }


def test_lbfgs_has_no_parameters_of_other_solvers(rows):
    """Each setting that is drawn can be fitted."""
    network = NNClassifier(solver="lbfgs", max_iter=2)
    space = search_space(network)
    assert {"dropout", "batch_size", "learning_rate_init"}.isdisjoint(space.parameters)
    for drawn in ParameterSampler(space.distributions(), 5, random_state=0):
        with warnings.catch_warnings(category=UserWarning, action="ignore"):
            clone(network).set_params(**drawn).fit(*rows)


def test_groups_of_columns_keep_their_own_embedding_members_and_dropout():
    grouped = set(search_space(NNRegressor(interaction_cst="pairwise")).parameters)
    assert set(TABLE) - grouped == {"numeric_embedding", "n_members", "dropout"}


@pytest.mark.parametrize(
    "decided",
    [
        {"activation": ["silu", "relu"]},
        {"dropout": (0.1, 0.2)},
        {"dropout": np.array([0.1, 0.2])},
    ],
    ids=str,
)
def test_values_by_layer_decide_the_number_of_layers(decided, rows):
    network = NNClassifier(max_iter=1, **decided)
    space = search_space(network)
    sizes = space.parameters["hidden_layer_sizes"]
    assert sizes == Choice(("auto", (256, 256)))
    for size in sizes.values:
        clone(network).set_params(hidden_layer_sizes=size).fit(*rows)


@pytest.mark.parametrize(
    "other", [NNClassifier, LogisticRegression(), make_pipeline(NNClassifier()), None]
)
def test_other_estimators_are_refused(other):
    with pytest.raises(TypeError, match="For a pipeline, pass the network inside"):
        search_space(other)


def test_spaces_without_and_with_other_parameters():
    space = search_space(NNClassifier())
    changed = space.without("dropout").replace(mixup=Uniform(0.0, 0.4))
    assert set(changed.parameters) == set(space.parameters) - {"dropout"} | {"mixup"}
    assert "dropout" in space.parameters and "mixup" not in space.parameters
    assert pickle.loads(pickle.dumps(changed)) == changed
    assert "mixup: Uniform(low=0.0, high=0.4)" in repr(changed)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda space: space.without("units"), ValueError, r"lacks \['units'\]; it has \["),
        (lambda space: space.without(["dropout"]), ValueError, r"lacks \[\['dropout'\]\]"),
        (lambda space: space.replace(units=Integers(1, 2)), ValueError, "no parameter 'units'"),
        (lambda space: space.replace(mixup=[0.0, 0.2]), TypeError, "must be a Distribution"),
        (
            lambda space: space.replace(mixup=Uniform(0.1, 0.2)),
            ValueError,
            "contain 0.0, the value of",
        ),
    ],
)
def test_a_space_refuses_changes_without_sense(change, error, message):
    with pytest.raises(error, match=message):
        change(search_space(NNClassifier()))


# Searches of scikit-learn.


@pytest.mark.parametrize("search_class", [GridSearchCV, HalvingGridSearchCV])
def test_the_first_candidate_is_the_estimator_itself(search_class, rows):
    network = NNClassifier(max_iter=2, random_state=0)
    candidates = small_space(network).candidates(4, random_state=0)
    assert candidates[0] == {}
    search = search_class(network, candidates, cv=3, scoring="neg_log_loss").fit(*rows)
    results = search.cv_results_
    assert results["params"][0] == {}
    if search_class is GridSearchCV:
        expected = cross_val_score(network, *rows, cv=3, scoring="neg_log_loss").mean()
        assert_allclose(results["mean_test_score"][0], expected)
        assert len(results["params"]) == 4


def test_candidates_are_counted_and_repeatable():
    space = search_space(NNClassifier())
    assert space.candidates(1) == [{}]
    assert space.candidates(6, random_state=1) == space.candidates(6, random_state=1)
    assert space.candidates(6, random_state=1) != space.candidates(6, random_state=2)
    with pytest.raises(ValueError, match="n_candidates must be an integer >= 1"):
        space.candidates(0)


@pytest.mark.parametrize("prefix", ["", "net__"])
def test_candidates_differ_also_in_small_spaces(prefix):
    space = search_space(NNClassifier())
    lists = space.without(*set(space.parameters) - {"activation", "dropout"})
    candidates = lists.candidates(6, random_state=0, prefix=prefix)
    assert len(candidates) == len(set(map(str, candidates))) == 6
    default = {f"{prefix}activation": ["silu"], f"{prefix}dropout": ["auto"]}
    assert candidates[0] == {} and default not in candidates
    assert len(lists.candidates(3, random_state=0, prefix=prefix)) == 3
    assert len(lists.candidates(9, random_state=0, prefix=prefix)) == 6
    numbers = lists.without("activation", "dropout").replace(max_fun=Integers(14999, 15001))
    assert sorted(map(str, numbers.candidates(9, random_state=0))) == sorted(
        ["{}", "{'max_fun': [14999]}", "{'max_fun': [15001]}"]
    )
    assert lists.without("activation", "dropout").candidates(4) == [{}]


def test_random_search_over_a_step_of_a_pipeline(rows):
    network = NNRegressor(max_iter=2, random_state=0)
    search = RandomizedSearchCV(
        make_pipeline(StandardScaler(), network),
        small_space(network).distributions("nnregressor__"),
        n_iter=3,
        cv=2,
        random_state=0,
    ).fit(*rows)
    space = small_space(network)
    for name, value in search.best_params_.items():
        assert space.parameters[name.removeprefix("nnregressor__")].contains(value)


def test_halving_with_epochs_as_its_resource(rows):
    network = NNClassifier(random_state=0)
    search = HalvingRandomSearchCV(
        network,
        small_space(network).distributions(),
        resource="max_iter",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(*rows)
    assert search.best_estimator_.n_iter_ == 4


# Optuna.


@pytest.fixture
def study():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.mark.parametrize("prefix", ["", "net__"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_first_trial_of_optuna_is_the_estimator_itself(cls, prefix, study):
    estimator = cls()
    space = search_space(estimator)
    study.enqueue_trial(space.first_trial(prefix))
    drawn = []
    study.optimize(lambda trial: drawn.append(space.suggest(trial, prefix)) or 0.0, 3)
    expected = {prefix + name: estimator.get_params()[name] for name in space.parameters}
    assert drawn[0] == expected
    for one in drawn:
        assert all(
            space.parameters[name.removeprefix(prefix)].contains(one[name]) for name in one
        )
    assert drawn[1] != expected


def test_optuna_and_scikit_learn_draw_from_the_same_ranges(study):
    """The bounds and values that a trial has noted are those of scipy's distributions."""
    space = search_space(NNClassifier()).replace(
        mixup=Uniform(0.0, 0.4), max_iter=Choice(("auto", 10)), max_fun=Integers(1, 15000)
    )
    study.optimize(lambda trial: space.suggest(trial) and 0.0, 1)
    noted, sampled = study.trials[0].distributions, space.distributions()
    for name in space.parameters:
        if isinstance(sampled[name], list):
            assert list(noted[name].choices) == list(map(str, sampled[name]))
        else:
            assert_allclose([noted[name].low, noted[name].high], sampled[name].support())
            assert noted[name].log == isinstance(space.parameters[name], LogUniform)


def test_a_study_finds_what_its_best_trial_repeats():
    """A study that starts from the defaults, and the network that its best trial describes."""
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[:150], y[:150]
    network = NNClassifier(max_iter=3, random_state=0)
    space = small_space(network)

    def objective(trial):
        candidate = clone(network).set_params(**space.suggest(trial))
        return cross_val_score(candidate, X, y, cv=2, scoring="neg_log_loss").mean()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0)
    )
    study.enqueue_trial(space.first_trial())
    study.optimize(objective, n_trials=4)
    default = cross_val_score(network, X, y, cv=2, scoring="neg_log_loss").mean()
    assert_allclose(study.trials[0].value, default)
    assert_allclose(objective(study.best_trial), study.best_value)
