"""scikit-learn's own checks: all of them for the defaults, and once more where they can differ.

Each check is a test, so that pytest-xdist shares them out. Each kind of fit below takes
another way through the package, and runs the checks whose outcome depends on that way.
"""

from unittest import SkipTest

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.utils.estimator_checks import estimator_checks_generator

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet.nn.optimizers import OPTIMIZERS

pytestmark = pytest.mark.no_cover

ESTIMATORS = [NNClassifier, NNRegressor]
#: A small network that takes little time. In more epochs rounding errors of weighted and of
#: repeated rows grow along rmsprop's rough path.
QUICK = {"hidden_layer_sizes": (16,), "n_members": 1, "max_iter": 30}
# scikit-learn skips it unless SCIPY_ARRAY_API is set.
SKIPPED_BY_SKLEARN = {"check_array_api_input", "check_array_api_input_and_values"}
WEIGHT_EQUIVALENCE = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
#: These end before training begins: they look at parameters, tags and the refusal of bad data.
BEFORE_TRAINING = {
    "check_all_zero_sample_weights_error",
    "check_classifiers_regression_target",
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_requires_y_none",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
    *SKIPPED_BY_SKLEARN,
}
#: These compare the numbers that training ends in, have gradients of zero, or go on from an
#: optimizer's state. All others meet the optimizers, which see gradients only, through one
#: loop, which the defaults' optimizer has been through.
OF_THE_UPDATE_RULE = {
    "check_classifiers_one_label",
    "check_classifiers_train",
    "check_estimators_partial_fit_n_features",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_regressors_train",
    *WEIGHT_EQUIVALENCE,
}
#: In these, the precision also meets labels, weights and columns of other types.
OF_THE_DTYPE = OF_THE_UPDATE_RULE | {
    "check_class_weight_classifiers",
    "check_classifiers_classes",
    "check_classifiers_one_label_sample_weights",
    "check_dtype_object",
    "check_regressors_int",
}


def name_of(check):
    return getattr(check, "func", check).__name__


def everything(name):
    return True


def trains(name):
    return name not in BEFORE_TRAINING


def depends_on_the_update_rule(name):
    return name in OF_THE_UPDATE_RULE


def depends_on_the_dtype(name):
    # These compare up to 1e-7, which float32 cannot resolve: a library of linear algebra may
    # add up the products of a row in an order that depends on the place of the row.
    return name in OF_THE_DTYPE - WEIGHT_EQUIVALENCE


#: Kinds of fits: their parameters, and the checks that can differ from those of the defaults.
KINDS = {
    "defaults": ({}, everything),
    # lbfgs has another training loop, which uses all rows at once.
    "lbfgs": ({"solver": "lbfgs", **QUICK}, trains),
    # The checks' tables are small: by default no rows would be held out.
    "early_stopping": ({"early_stopping": True, **QUICK}, trains),
    # By default tables below 50 rows are trained in float64.
    "float32": ({"dtype": "float32", **QUICK}, depends_on_the_dtype),
    # The defaults' own solver is adam.
    **{
        solver: ({"solver": solver, **QUICK}, depends_on_the_update_rule)
        for solver in sorted(set(OPTIMIZERS) - {"adam"})
    },
}


def has_an_order(name):
    # Classes that are text have none.
    return trains(name) and name != "check_classifiers_classes"


#: Kinds of fits of classifiers.
OF_CLASSIFIERS = {"ordinal": ({"loss": "ordinal", **QUICK}, has_an_order)}
#: With several targets, the checks have one column of numbers, whose training is that of a
#: regressor with the defaults: a small network shows what differs.
KINDS_OF_SEVERAL = {"quick": (QUICK, everything), "lbfgs": KINDS["lbfgs"]}


def all_checks():
    for cls in [*ESTIMATORS, NNMultiTarget]:
        kinds = KINDS | (OF_CLASSIFIERS if cls is NNClassifier else {})
        if cls is NNMultiTarget:
            kinds = KINDS_OF_SEVERAL
        for kind, (parameters, wanted) in kinds.items():
            for estimator, check in estimator_checks_generator(cls(**parameters)):
                name = name_of(check)
                if wanted(name):
                    yield pytest.param(
                        estimator, check, kind, id=f"{cls.__name__}-{kind}-{name}"
                    )


# The checks fit with few iterations, and have classes with a single row.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The validation set is not stratified")
@pytest.mark.parametrize(("estimator", "check", "kind"), list(all_checks()))
def test_check(estimator, check, kind):
    name = name_of(check)
    # A random split of repeated rows cannot equal one of weighted rows. The labels can be told
    # apart, so that logits of lbfgs grow until different ones have the same probability, 1.
    differs = {"early_stopping": WEIGHT_EQUIVALENCE, "lbfgs": {"check_classifier_multioutput"}}
    if name in differs.get(kind, ()):
        with pytest.raises(AssertionError):
            check(estimator)
        return
    try:
        check(estimator)
    except SkipTest as skipped:
        assert name in SKIPPED_BY_SKLEARN, skipped


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_lists_of_checks_name_checks_that_exist(cls):
    names = {name_of(check) for _, check in estimator_checks_generator(cls())}
    assert len(names) > 40
    assert len(names & OF_THE_UPDATE_RULE) >= 8
    assert len(names & OF_THE_DTYPE) >= 10
    assert len(names & BEFORE_TRAINING) >= 14


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_in_float32_the_order_of_rows_changes_rounding_only(cls):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(53, 4))
    network = cls(dtype="float32", random_state=0, **QUICK).fit(X, np.arange(53) % 3)
    predict = getattr(network, "predict_proba", network.predict)
    order = rng.permutation(53)
    assert_allclose(predict(X[order]), predict(X)[order], rtol=1e-5, atol=1e-6)
