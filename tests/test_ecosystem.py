"""The estimators inside scikit-learn's own tools."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from plain import NNClassifier, NNRegressor
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import RFE
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from sknet.nn.activations import LeakyReLU
from sknet.nn.losses import SquaredError
from sknet.nn.optimizers import SGD, Adam
from sknet.nn.schedules import Cosine, OneCycle

QUICK = {
    "learning_rate": "cosine",
    "learning_rate_init": 0.02,
    "max_iter": 30,
    "batch_size": 10,
    "random_state": 0,
}


def quick(cls, **parameters):
    return cls((8,), **{**QUICK, **parameters})


# Searches and cross-validation.


def test_searches_and_scores_are_the_same_for_one_and_two_jobs(problem):
    network = quick(problem.cls)
    scores = [
        cross_val_score(network, problem.X, problem.y, cv=3, n_jobs=n_jobs) for n_jobs in [1, 2]
    ]
    assert_array_equal(*scores)
    # The score is better than that of the mean of y, or of the larger class.
    constant = 0.0 if problem.cls is NNRegressor else np.bincount(problem.y).max() / 120
    assert scores[0].min() > constant
    with pytest.raises(AttributeError):
        network.coefs_  # noqa: B018  only clones were fitted
    grid = {
        "hidden_layer_sizes": [(), (8,)],
        "alpha": [1e-6, 1e-2],
        "solver": [Adam(beta_1=0.8), "sgd"],
    }
    one, two = (
        GridSearchCV(network, grid, cv=3, n_jobs=n_jobs).fit(problem.X, problem.y)
        for n_jobs in [1, 2]
    )
    assert one.best_params_ == two.best_params_
    for name in ["mean_test_score", "std_test_score"]:
        assert_array_equal(one.cv_results_[name], two.cv_results_[name])
    assert_array_equal(one.predict(problem.X), two.predict(problem.X))
    assert one.best_score_ > 0.7
    assert len(set(one.cv_results_["mean_test_score"])) > 4


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("solver", [Adam(beta_1=0.8), SGD(momentum=0.5), "adam"]),
        ("activation", [LeakyReLU(slope=0.3), "tanh", ["relu"]]),
        ("learning_rate", [Cosine(), OneCycle(warm_up=0.5), "coslog"]),
        ("loss", [SquaredError(), "squared_error"]),
    ],
)
def test_instances_in_a_grid(regression, name, values):
    X, y = regression
    search = GridSearchCV(quick(NNRegressor), {name: values}, cv=2).fit(X, y)
    assert search.best_params_[name] in values
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    # An instance with other options gives other scores. The loss is the same by name.
    assert len(set(scores)) == (1 if name == "loss" else len(values))
    fitted = search.best_estimator_
    assert getattr(clone(fitted), name) == getattr(fitted, name)


@pytest.mark.filterwarnings("ignore:.*alpha is so strong")  # Some alphas are too strong.
def test_randomized_search(binary):
    search = RandomizedSearchCV(
        quick(NNClassifier), {"alpha": np.logspace(-6, 0, 20)}, n_iter=4, cv=2, random_state=0
    ).fit(*binary)
    expected = cross_val_score(search.best_estimator_, *binary, cv=2).mean()
    assert search.best_score_ == expected == search.cv_results_["mean_test_score"].max()


def test_cross_validate_with_several_scorers(binary):
    result = cross_validate(
        quick(NNClassifier), *binary, cv=2, scoring=["roc_auc", "neg_log_loss", "accuracy"]
    )
    X, y = binary
    for fold, (train, test) in enumerate(StratifiedKFold(2).split(X, y)):
        network = quick(NNClassifier).fit(X[train], y[train])
        proba = network.predict_proba(X[test])
        assert result["test_roc_auc"][fold] == roc_auc_score(y[test], proba[:, 1])
        assert result["test_neg_log_loss"][fold] == pytest.approx(-log_loss(y[test], proba))
        assert result["test_accuracy"][fold] == network.score(X[test], y[test])


def test_cross_val_predict(binary):
    X, y = binary
    proba = cross_val_predict(quick(NNClassifier), X, y, cv=3, method="predict_proba")
    assert proba.shape == (len(y), 2)
    assert np.mean(proba.argmax(axis=1) == y) > 0.7


@pytest.mark.parametrize("exploit", [False, True])
def test_learning_curve(problem, exploit):
    # With ``exploit`` the learning curve uses partial_fit.
    sizes, train, test = learning_curve(
        quick(problem.cls),
        problem.X,
        problem.y,
        cv=2,
        train_sizes=[20, 60],
        exploit_incremental_learning=exploit,
    )
    assert list(sizes) == [20, 60]
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()
    if not exploit:
        assert test[1].mean() > test[0].mean()


@pytest.mark.filterwarnings("ignore:.*alpha is so strong")  # Some alphas are too strong.
def test_validation_curve(problem):
    train, _ = validation_curve(
        quick(problem.cls), problem.X, problem.y, param_name="alpha", param_range=[0, 10], cv=2
    )
    # A penalty this strong leaves a constant prediction.
    assert train[0].mean() > train[1].mean() + 0.1


# Pipelines and set_output.


@pytest.mark.filterwarnings("ignore:.*alpha is so strong")  # Some alphas are too strong.
def test_pipeline(problem):
    pipeline = make_pipeline(StandardScaler(), quick(problem.cls)).fit(problem.X, problem.y)
    assert pipeline.score(problem.X, problem.y) > 0.8
    name = problem.name.lower()
    pipeline.set_params(**{f"{name}__alpha": 10.0})
    assert pipeline.fit(problem.X, problem.y).score(problem.X, problem.y) < 0.8
    search = GridSearchCV(pipeline, {f"{name}__alpha": [1e-6, 10.0]}, cv=2)
    assert search.fit(problem.X, problem.y).best_params_ == {f"{name}__alpha": 1e-6}


def test_pandas_output_in_front(problem):
    X = pd.DataFrame(problem.X, columns=list("abcde"))
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, quick(problem.cls)).fit(X, problem.y)
    assert list(pipeline[-1].feature_names_in_) == list("abcde")
    plain = make_pipeline(StandardScaler(), quick(problem.cls)).fit(problem.X, problem.y)
    assert not hasattr(plain[-1], "feature_names_in_")
    raw = "predict_proba" if problem.cls is NNClassifier else "predict"
    # A frame's rows are not contiguous, which changes sums by rounding.
    expected = getattr(plain, raw)(problem.X)
    assert_allclose(getattr(pipeline, raw)(X), expected, rtol=1e-8)
    # A predictor has no output to set; the pipeline passes the request on to its transformers.
    pipeline.set_output(transform="default")
    assert not hasattr(pipeline[-1], "set_output")


def test_column_transformer_with_sparse_output(binary):
    X, y = binary
    frame = pd.DataFrame(X, columns=list("abcde")).assign(color=np.resize(list("rgb"), len(y)))
    encoder = ColumnTransformer(
        [("color", OneHotEncoder(), ["color"])], remainder="passthrough", sparse_threshold=1.0
    )
    pipeline = make_pipeline(encoder, quick(NNClassifier)).fit(frame, y)
    assert pipeline[-1].n_features_in_ == 8
    rows = encoder.fit_transform(frame)
    assert sparse.issparse(rows)
    expected = quick(NNClassifier).fit(rows, y).predict_proba(rows)
    assert_array_equal(pipeline.predict_proba(frame), expected)


def test_transformed_target(regression):
    X, y = regression
    y = np.exp(y / 4)
    network = TransformedTargetRegressor(quick(NNRegressor), func=np.log, inverse_func=np.exp)
    network.fit(X, y)
    assert_allclose(
        network.predict(X), np.exp(quick(NNRegressor).fit(X, np.log(y)).predict(X)), rtol=1e-6
    )
    assert network.score(X, y) > 0.8


# Metaestimators.


def test_bagging(problem):
    cls = BaggingClassifier if problem.cls is NNClassifier else BaggingRegressor
    weight = np.linspace(0.5, 2, len(problem.y))
    one, two = (
        cls(quick(problem.cls), n_estimators=4, n_jobs=n_jobs, random_state=0).fit(
            problem.X, problem.y, sample_weight=weight
        )
        for n_jobs in (1, 2)
    )
    method = "predict_proba" if problem.cls is NNClassifier else "predict"
    together = getattr(one, method)(problem.X)
    assert_allclose(getattr(two, method)(problem.X), together, rtol=1e-12)
    each = [getattr(member, method)(problem.X) for member in one.estimators_]
    assert_allclose(together, np.mean(each, axis=0))
    assert not np.allclose(each[0], each[1])


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(multiclass, method):
    X, y = multiclass
    network = CalibratedClassifierCV(quick(NNClassifier), method=method, cv=3)
    network.fit(X, y, sample_weight=np.linspace(0.5, 2, len(y)))
    assert network.score(X, y) > 0.8
    assert_allclose(network.predict_proba(X).sum(axis=1), 1)


def test_voting(binary, regression):
    X, y = binary
    members = [("network", quick(NNClassifier)), ("linear", LogisticRegression())]
    soft = VotingClassifier(members, voting="soft").fit(X, y)
    assert_allclose(
        soft.predict_proba(X), np.mean([m.predict_proba(X) for m in soft.estimators_], axis=0)
    )
    assert soft.score(X, y) > 0.7
    X, y = regression
    mean = VotingRegressor([("a", quick(NNRegressor)), ("b", quick(NNRegressor, alpha=0.1))])
    assert mean.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("classes", [True, False])
def test_weighted_mean_of_networks_and_trees_on_a_raw_table(classes):
    """The strongest setting of ``docs/accuracy.md``, with text, missing and unknown levels."""
    rng = np.random.default_rng(0)
    color = rng.choice(["red", "green", "blue"], 300).astype(object)
    X = pd.DataFrame({"size": rng.normal(size=300), "color": color})
    y = X["size"] + 2 * (X["color"] == "red") + 0.1 * rng.normal(size=300)
    X.loc[:5, ["size", "color"]] = None
    y = np.where(y > 0.5, "large", "small") if classes else y
    levels = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encode = make_column_transformer(
        (levels, make_column_selector(dtype_exclude="number")), remainder="passthrough"
    )
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    trees = make_pipeline(encode, boosting(random_state=0))
    cls = NNClassifier if classes else NNRegressor
    models = [(f"network {i}", quick(cls, random_state=i)) for i in range(2)]
    models.append(("boosted trees", trees))
    weights = [1, 1, 2]
    voting = (
        VotingClassifier(models, voting="soft", weights=weights)
        if classes
        else VotingRegressor(models, weights=weights)
    )
    test = X.assign(color=X["color"].where(X.index < 290, "violet"))
    method = "predict_proba" if classes else "predict"
    mean = getattr(voting.fit(X, y), method)(test)
    of_models = [getattr(model, method)(test) for model in voting.estimators_]
    assert_allclose(mean, np.average(of_models, axis=0, weights=weights))
    assert voting.score(X, y) > 0.9


def test_one_vs_rest(multiclass, multilabel):
    X, y = multiclass
    network = OneVsRestClassifier(quick(NNClassifier)).fit(X, y)
    assert network.score(X, y) > 0.8
    assert all(member.out_activation_ == "logistic" for member in network.estimators_)
    X, Y = multilabel
    assert OneVsRestClassifier(quick(NNClassifier)).fit(X, Y).score(X, Y) > 0.5


def test_stacking_and_multioutput(multioutput):
    X, Y = multioutput
    network = MultiOutputRegressor(quick(NNRegressor)).fit(X, Y)
    assert network.predict(X).shape == Y.shape
    stack = StackingRegressor([("a", quick(NNRegressor)), ("b", quick(NNRegressor))], cv=2)
    assert stack.fit(X, Y[:, 0]).score(X, Y[:, 0]) > 0.7


def test_recursive_elimination_by_the_first_layer(regression):
    X, y = regression
    selector = RFE(
        quick(NNRegressor),
        n_features_to_select=2,
        importance_getter=lambda network: np.abs(network.coefs_[0]).sum(axis=1),
    ).fit(X, y)
    assert list(np.flatnonzero(selector.support_)) == [0, 1]


# Inspection.


def test_permutation_importance(regression):
    X, y = regression
    network = quick(NNRegressor).fit(X, y)
    result = permutation_importance(network, X, y, n_repeats=3, random_state=0)
    assert set(np.argsort(result.importances_mean)[-2:]) == {0, 1}


def test_partial_dependence(regression):
    X, y = regression
    network = quick(NNRegressor).fit(X, y)
    curve = partial_dependence(network, X, [0], grid_resolution=5)["average"][0]
    assert (np.diff(curve) > 0).all()


# Metadata.


@pytest.mark.filterwarnings("ignore:.*alpha is so strong")  # Some alphas are too strong.
def test_sample_weight_is_routed(problem):
    weight = np.random.default_rng(0).uniform(0.1, 5, len(problem.y))
    weight[::3] = 0
    with config_context(enable_metadata_routing=True):
        network = quick(problem.cls).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), network)
        pipeline.fit(problem.X, problem.y, sample_weight=weight)
        by_hand = StandardScaler().fit(problem.X, sample_weight=weight)
        Z = by_hand.transform(problem.X)
        expected = quick(problem.cls).fit(Z, problem.y, weight)
        assert_array_equal(pipeline.predict(problem.X), expected.predict(Z))
        search = GridSearchCV(
            clone(network).set_score_request(sample_weight=True), {"alpha": [0.0, 1.0]}, cv=2
        ).fit(problem.X, problem.y, sample_weight=weight)
        unweighted = GridSearchCV(quick(problem.cls), {"alpha": [0.0, 1.0]}, cv=2)
        unweighted.fit(problem.X, problem.y)
    assert not np.allclose(
        search.cv_results_["mean_test_score"], unweighted.cv_results_["mean_test_score"]
    )


def test_partial_fit_s_weights_are_routed(problem):
    with config_context(enable_metadata_routing=True):
        network = quick(problem.cls).set_partial_fit_request(sample_weight=True)
        request = network.get_metadata_routing().partial_fit.requests
    assert request["sample_weight"] is True


@pytest.mark.parametrize("scoring", ["loss", None])
def test_validation_rows_go_through_the_pipeline(problem, scoring):
    X, y, X_val, y_val = problem.X[:90], problem.y[:90], problem.X[90:], problem.y[90:]
    weight = np.linspace(0.5, 2, 30)
    # The columns have an offset, which only the scaler removes.
    X, X_val = X * 100 + 1000, X_val * 100 + 1000
    options = {"early_stopping": "auto", "scoring": scoring, "standardize": False}
    with config_context(enable_metadata_routing=True):
        network = quick(problem.cls, **options).set_fit_request(
            X_val=True, y_val=True, sample_weight_val=True
        )
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("network", network)], transform_input=["X_val"]
        )
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    scaler = StandardScaler().fit(X)
    expected = quick(problem.cls, **options).fit(
        scaler.transform(X),
        y,
        X_val=scaler.transform(X_val),
        y_val=y_val,
        sample_weight_val=weight,
    )
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    assert len(expected.validation_scores_) > 1
    assert_array_equal(pipeline.predict(X), expected.predict(scaler.transform(X)))


# Clones.


def test_clones_with_equal_random_states(problem):
    network = quick(problem.cls, activation=LeakyReLU(slope=0.2), solver=SGD(momentum=0.8))
    network.fit(problem.X, problem.y)
    copied = clone(network)
    assert copied.get_params() == network.get_params()
    assert not hasattr(copied, "n_iter_")
    copied.fit(problem.X, problem.y)
    assert_array_equal(copied.predict(problem.X), network.predict(problem.X))


def test_representation_evaluates_to_the_estimator(problem):
    network = problem.cls((4, 2), ["relu", LeakyReLU(slope=0.2)], solver=Adam(beta_1=0.8))
    # eval is safe here: the text comes from the test's own classes.
    names = {"Adam": Adam, "LeakyReLU": LeakyReLU, problem.name: problem.cls}
    assert eval(repr(network), names).get_params() == network.get_params()
    html = network._repr_html_() if hasattr(network, "_repr_html_") else ""
    assert problem.name in html
