"""What holds for every input: a test states it in a sentence, and Hypothesis draws the cases.

A case that the estimators refuse passes all tests but the first, which judges the refusals.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from properties import tables
from properties.invariants import (
    assert_close,
    check_error,
    fingerprint,
    outputs,
    quiet,
    snapshot,
    strict,
    take,
    train,
    unchanged,
)
from properties.strategies import EXACT, FACTORS, SPARSE, Values, arrays, cases, columns
from properties.tables import (
    Labels,
    Numbers,
    PandasTable,
    PolarsTable,
    Weights,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.utils._param_validation import make_constraint
from sklearn.utils.multiclass import unique_labels

from sknet import NNClassifier, NNRegressor
from sknet.streaming import fit_chunks

pytestmark = pytest.mark.no_cover

REPEATABLE = {"random_state": 0, "warm_start": False}


# Errors and soundness.


def classes_of(y):
    """Return the classes that ``partial_fit`` is told of, or None if y has none to tell."""
    try:
        with quiet():
            return unique_labels(y)
    except (ValueError, TypeError):
        return None


PATHS = {
    "fit": lambda network, X, y, weight: network.fit(X, y, weight),
    "partial_fit": lambda network, X, y, weight: network.partial_fit(
        X, y, weight, **({} if isinstance(network, NNRegressor) else {"classes": classes_of(y)})
    ),
    "X_val": lambda network, X, y, weight: network.fit(
        X, y, weight, X_val=X, y_val=y, sample_weight_val=weight
    ),
    "fit_chunks": lambda network, X, y, weight: fit_chunks(
        network, [(X, y) if weight is None else (X, y, weight)] * 2
    ),
}


@pytest.mark.parametrize("path", PATHS)
@given(case=cases())
def test_a_fit_is_refused_clearly_or_is_sound(path, case):
    """An error is a ValueError or TypeError that names its place, and changes nothing; without
    one, all predictions are finite, and probabilities are.
    """
    network = case.network()
    if path == "partial_fit" and not hasattr(network, path):  # as with lbfgs
        return
    before = fingerprint(network)
    try:
        with strict():
            PATHS[path](network, case.X, case.y, case.sample_weight)
    except (ValueError, TypeError) as error:
        check_error(error, case)
        assert fingerprint(network) == before
    else:
        check_prediction(network, case, case.X)


def check_prediction(network, case, X):
    """Assert that rows are predicted soundly or refused clearly, as infinity is."""
    try:
        with strict():
            check_sound(network, X, np.shape(X)[0])
    except (ValueError, TypeError) as error:
        check_error(error, case)


def check_sound(network, X, n_rows):
    predicted = np.asarray(network.predict(X))
    assert len(predicted) == n_rows
    if isinstance(network, NNRegressor):
        assert np.isfinite(predicted).all()
        return
    proba = network.predict_proba(X)
    assert ((proba >= 0) & (proba <= 1)).all()
    assert np.isfinite(network.predict_log_proba(X)).all()
    assert np.isfinite(network.decision_function(X)).all()
    if predicted.ndim == 1:
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
        places = proba.argmax(axis=1)
        if network.loss == "ordinal":
            # The median: as many classes are below it as are exceeded with more than one half.
            places = (1 - proba.cumsum(axis=1) > 0.5).sum(axis=1)
        assert_array_equal(network.classes_[places], predicted)
    else:
        assert_array_equal(proba > 0.5, predicted)


@given(case=cases())
def test_later_rows_are_refused_clearly_or_are_predicted(case):
    """A trained network refuses rows with a clear error, or predicts finite numbers."""
    network = train(case)
    if network is None:
        return
    later = case.table.values(5, case.seed + 1)
    for factor in (1, 1e6, 1e200, np.nan):
        try:
            with np.errstate(all="ignore"):
                X = case.table.wrap(later * factor)
        except OverflowError:
            # Some versions of pandas have no column of whole numbers that are as large.
            continue
        check_prediction(network, case, X)


@given(case=cases())
def test_nothing_that_is_given_is_changed(case):
    """X, y, weights, parameters, NumPy's generator and settings, and warnings stay as given."""
    given = [case.X, case.y, case.sample_weight]
    before = [snapshot(value) for value in given]
    network = case.network(random_state=0)
    parameters = fingerprint(clone(network))
    surroundings = np.geterr(), np.random.get_state()[1].tolist(), list(warnings.filters)
    train(case.change(cls=lambda **_: network), X=given[0], y=given[1], sample_weight=given[2])
    assert all(map(unchanged, given, before))
    assert fingerprint(clone(network)) == parameters
    assert surroundings == (
        np.geterr(), np.random.get_state()[1].tolist(), list(warnings.filters)
    )  # fmt: skip


# Equal bits.


def assert_same(network, other, X):
    """Assert that two networks are both trained, or none, and predict the same bits."""
    assert (network is None) == (other is None)
    if network is not None:
        assert_array_equal(outputs(network, X), outputs(other, X))


@given(case=cases(**REPEATABLE))
def test_a_second_fit_a_clone_and_a_pickle_predict_the_same_bits(case):
    """The same data and seed give the same network, and a file or a copy of it is the same."""
    network = train(case)
    if network is not None:
        first = outputs(network, case.X)
        for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
            assert_array_equal(outputs(other, case.X), first)
        again = train(case.change(cls=lambda **_: network))
        assert_array_equal(outputs(again, case.X), first)
        assert_array_equal(outputs(train(case), case.X), first)


#: The kinds of labels that have a name for each class.
NAMES = [kind for kind in tables.LABELS if kind != "bool"]


@given(
    case=cases(
        (NNClassifier,),
        labels=st.builds(Labels, st.sampled_from(NAMES), n_classes=st.integers(2, 4)),
        class_weight=None,
        scoring="loss",
        **REPEATABLE,
    ),
    other=st.sampled_from(NAMES),
)
def test_names_of_classes_do_not_matter(case, other):
    """Other names for the classes, in the same order, give the same probabilities."""
    renamed = case.change(target=Labels(other, case.target.sizes, case.target.n_classes))
    assert_same(train(case), train(renamed), case.X)


@given(
    case=cases(
        tables=st.builds(
            PandasTable,
            columns=columns(["category", "normal"]),
            dtypes=st.sampled_from(["plain", "category"]),
            levels=st.sampled_from(["text", "numbers", "floats"]),
        ),
        categorical_features="from_dtype",
        **REPEATABLE,
    )
)
def test_names_of_categories_do_not_matter(case):
    """Other names for the levels of categories, in the same order, predict the same."""
    named = case.change(table=PandasTable(case.table.columns, "category", "text"))
    table = PandasTable(case.table.columns, "category", "numbers")
    numbered = case.change(table=table)
    network, other = train(named), train(numbered)
    assert (network is None) == (other is None)
    if network is not None:
        assert_array_equal(outputs(network, named.X), outputs(other, numbered.X))


POWERS = st.integers(-30, 30)


@given(
    case=cases(
        tables=arrays(["normal", "flag", "tied", "shifted", "constant", "missing"]),
        standardize=True,
        categorical_features=None,
        **REPEATABLE,
    ),
    powers=st.lists(POWERS, min_size=40, max_size=40),
)
def test_units_of_columns_do_not_matter(case, powers):
    """Columns in other units, by factors that are powers of two, predict the same bits."""
    values = case.values
    scaled = np.ldexp(values, powers[: values.shape[1]])
    network, other = train(case, X=values), train(case, X=scaled)
    assert (network is None) == (other is None)
    if network is not None:
        assert_array_equal(outputs(network, values), outputs(other, scaled))


@given(
    case=cases(
        (NNRegressor,),
        numbers=st.builds(
            Numbers,
            st.sampled_from(["normal", "counts", "positive", "shifted", "constant"]),
            n_outputs=st.integers(1, 2),
        ),
        standardize=True,
        scoring="loss",
        loss="squared_error",
        **REPEATABLE,
    ),
    power=st.integers(-60, 60),
)
def test_units_of_y_do_not_matter(case, power):
    """y in other units, by a power of two, predicts the same bits in these units.

    A column of zeros has no units. Rows of weight zero are left out.
    """
    y = case.y
    network, other = train(case, y=y), train(case, y=np.ldexp(y, power))
    assert (network is None) == (other is None)
    if network is not None and (y[of_positive_weight(case)] != 0).any(axis=0).all():
        # Predictions for float32 rows are rounded, and are then denormal sooner.
        rtol = 1e-6 if outputs(network, case.X).dtype == np.float32 else 0
        assert_allclose(
            np.ldexp(outputs(other, case.X).astype(float), -power),
            outputs(network, case.X), rtol=rtol, atol=0,
        )  # fmt: skip


def of_positive_weight(case):
    """Return which rows have a positive weight, given valid weights."""
    weight = 1.0 if case.sample_weight is None else case.sample_weight
    return np.broadcast_to(np.asarray(weight, dtype=float), case.n_rows) > 0


WEIGHED = ["uniform", "counts", "float32", "series"]


@given(
    case=cases(weights=st.builds(Weights, st.sampled_from(WEIGHED)), **REPEATABLE),
    power=st.integers(-900, 900),
)
def test_units_of_weights_do_not_matter(case, power):
    """Weights times a power of two give the same bits, since only their ratios matter."""
    weight = np.asarray(case.sample_weight, dtype=float)
    other = train(case, sample_weight=np.ldexp(weight, power))
    assert_same(train(case, sample_weight=weight), other, case.X)


@given(case=cases(weights=st.just(Weights()), wild=False, **EXACT), factor=FACTORS)
def test_equal_weights_are_no_weights(case, factor):
    """The same weight for all rows, of any size, is the same as none."""
    network = train(case)
    other = train(case, sample_weight=np.full(case.n_rows, factor))
    assert (network is None) == (other is None)
    if network is not None:
        assert_close(outputs(other, case.X), outputs(network, case.X))


# Equal up to rounding.


@given(case=cases(wild=False))
def test_rows_are_predicted_alone_as_together(case):
    """Predictions of a row depend neither on the other rows nor on their order."""
    network = train(case, solver="adam", learning_rate_init=0.01, dtype="float64")
    if network is None:
        return
    X, together = case.X, outputs(network, case.X)
    for row in range(min(case.n_rows, 3)):
        assert_close(outputs(network, take(X, [row])), together[[row]])
    order = np.random.default_rng(case.seed).permutation(case.n_rows)
    assert_close(outputs(network, take(X, order.tolist())), together[order])


@given(
    case=cases(
        labels=st.builds(Labels, st.sampled_from(["int", "text", "object"])),
        numbers=st.builds(Numbers, st.sampled_from(["normal", "counts", "shifted"])),
        weights=st.just(Weights()),
        wild=False,
        shuffle=False,
        **EXACT,
    )
)
def test_the_order_of_training_rows_does_not_matter(case):
    """With all rows in one batch, a fit on the rows in another order predicts the same."""
    order = np.random.default_rng(case.seed).permutation(case.n_rows).tolist()
    network = train(case)
    other = train(case, X=take(case.X, order), y=case.y[order])
    assert (network is None) == (other is None)
    if network is not None:
        assert_close(outputs(other, case.X), outputs(network, case.X))


@given(
    case=cases(
        tables=SPARSE,
        wild=False,
        standardize=False,
        categorical_features=None,
        **EXACT,
        n_components=0,
        column_scales=False,
        share_weights=True,
    )
)
def test_sparse_rows_are_dense_rows(case):
    """Without scaling, a sparse table in any format trains and predicts as a dense one."""
    dense = case.X.toarray()
    network, other = train(case), train(case, X=dense)
    assert (network is None) == (other is None)
    if network is not None:
        assert_close(outputs(network, case.X), outputs(other, dense))
        assert_close(outputs(other, case.X), outputs(other, dense))


@given(case=cases(tables=SPARSE, wild=False, categorical_features=None, **EXACT))
def test_the_format_of_sparse_rows_does_not_matter(case):
    """A sparse table in any format, with duplicates or zeros, is the same as its plain CSR."""
    csr = sparse.csr_array(case.X.toarray())
    network, other = train(case), train(case, X=csr)
    assert (network is None) == (other is None)
    if network is not None:
        assert_close(outputs(network, case.X), outputs(other, csr))


#: Numbers to predict that float32 holds.
ORDINARY_Y = st.builds(Numbers, st.sampled_from(["normal", "counts", "shifted"]))


@given(case=cases(tables=arrays(
    dtype=st.sampled_from(["float64", "float32", "int64", "bool", "object", ">f8"]),
    layout=st.sampled_from(list(tables.LAYOUTS)),
), numbers=ORDINARY_Y, wild=False, **EXACT))  # fmt: skip
def test_layout_and_dtype_do_not_matter(case):
    """The same numbers in another layout or dtype train the same network."""
    X = np.ascontiguousarray(case.X, dtype=float)
    network, other = train(case), train(case, X=X)
    assert (network is None) == (other is None)
    if network is not None:
        assert_close(outputs(network, case.X), outputs(other, X))


NUMBERS_ONLY = columns([*tables.ORDINARY, "missing"])


@given(case=cases(tables=st.builds(
    PandasTable,
    columns=NUMBERS_ONLY,
    dtypes=st.sampled_from(["plain", "nullable", "arrow"]),
    index=st.sampled_from(list(tables.INDICES)),
    names=st.sampled_from(["text", "numbers", "multi"]),
) | st.builds(PolarsTable, columns=NUMBERS_ONLY), wild=False,
    **EXACT, categorical_features="from_dtype", monotonic_cst=None))  # fmt: skip
def test_a_frame_of_numbers_is_an_array(case):
    """A frame of numbers of any dtype trains and predicts as the array of the same numbers."""
    network, other = train(case), train(case, X=case.values)
    assert (network is None) == (other is None)
    if network is not None:
        assert_close(outputs(network, case.X), outputs(other, case.values))


# The strategies themselves.


def values_of_all_parameters(cls):
    """Return a strategy for a value of each parameter of an estimator."""
    known = cls._parameter_constraints
    return st.fixed_dictionaries({name: Values(name, [0, 1]).of(known[name]) for name in known})


@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
def test_every_parameter_is_drawn_from_its_constraint(cls):
    """A value that is drawn for a parameter satisfies the parameter's constraint."""
    known = cls._parameter_constraints
    made = {name: [make_constraint(one) for one in known[name]] for name in known}

    @given(values=values_of_all_parameters(cls))
    def check(values):
        for name, value in values.items():
            assert any(one.is_satisfied_by(value) for one in made[name]), name

    check()
