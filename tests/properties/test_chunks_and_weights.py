"""Weights are repetitions on every way to fit, and a table is the same however it is cut.

A case that the estimators refuse as one table passes, as in ``test_invariants.py``.
"""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from properties import tables
from properties.invariants import assert_close, check_error, outputs, quiet, strict, take
from properties.strategies import (
    COUNTS,
    EXACT,
    FRAMES,
    SPARSE,
    WEIGHTS,
    arrays,
    cases,
    columns,
)
from properties.tables import ArrayTable, Labels, Numbers, Weights
from scipy import sparse

from sknet import NNClassifier
from sknet.streaming import fit_chunks, shuffle_chunks

pytestmark = pytest.mark.no_cover

LABELS = st.builds(Labels, st.sampled_from(["int", "text", "object", "multi-label"]))
NUMBERS = st.builds(Numbers, st.sampled_from(["normal", "counts", "shifted"]))


def trained(way, network, *data):
    """Return the network after a way to fit, or None if it cannot be trained."""
    with quiet():
        try:
            way(network, *data)
        except (TypeError, ValueError):
            return None
    COUNTS["networks trained"] += 1
    return network


def assert_same_network(found, expected, X):
    """Assert that both networks are trained or none is, and that they predict the same."""
    assert (found is None) == (expected is None)
    if found is not None:
        assert_close(outputs(found, X), outputs(expected, X))


# Weights are repetitions.


def classes_of(y):
    """Return the classes that ``partial_fit`` of a classifier is told of, if it needs any."""
    return {} if y.ndim == 2 or y.dtype.kind == "f" else {"classes": np.unique(y)}


WAYS = {
    "fit": lambda network, X, y, weight: network.fit(X, y, weight),
    "X_val": lambda network, X, y, weight: network.fit(
        X, y, weight, X_val=X, y_val=y, sample_weight_val=weight
    ),
    "partial_fit": lambda network, X, y, weight: network.partial_fit(
        X, y, weight, **classes_of(y)
    ),
    "fit_chunks": lambda network, X, y, weight: fit_chunks(network, [(X, y, weight)]),
}


def assert_a_weight_is_a_number_of_rows(way, case):
    # The rate of invscaling falls with the number of rows that were visited.
    assume("invscaling" not in str(case.parameters.get("learning_rate")).lower())
    weight = case.sample_weight
    # The unit of weights is the smallest one, and a calibration counts its rows in units.
    assume(way != "X_val" or min(weight[weight > 0], default=1) == 1)
    if way == "partial_fit":
        # The first call tells the levels and the classes, also by rows that weigh nothing.
        weight = np.maximum(weight, 1)
    rows = np.repeat(np.arange(case.n_rows), weight).tolist()
    networks = [case.network(early_stopping=way == "X_val") for _ in range(2)]
    X, y = case.X, case.y
    found = trained(WAYS[way], networks[0], X, y, weight)
    expected = trained(WAYS[way], networks[1], take(X, rows), y[rows], None)
    assert_same_network(found, expected, X)


@pytest.mark.parametrize("way", WAYS)
@given(
    case=cases(
        tables=arrays([*tables.ORDINARY, "missing"]) | FRAMES,
        rows=st.integers(1, 40),
        wild=False,
        weights=st.just(Weights("counts")),
        labels=LABELS,
        numbers=NUMBERS,
        class_weight=None,
        **EXACT,
    )
)
def test_a_weight_is_a_number_of_equal_rows(way, case):
    """A row of weight two, or three, is the same as two or three rows."""
    assert_a_weight_is_a_number_of_rows(way, case)


@given(
    case=cases(
        (NNClassifier,),
        # Weights times those of the classes are no counts, by which levels may be rare, or by
        # which the rows of a calibration are counted.
        tables=arrays([*tables.ORDINARY, "missing"]),
        rows=st.integers(1, 40),
        wild=False,
        weights=st.just(Weights("counts")),
        labels=LABELS,
        class_weight="balanced",
        **EXACT,
    )
)
def test_balanced_weights_count_repeated_rows(case):
    """The weights that balance the classes are those of the repeated rows."""
    assert_a_weight_is_a_number_of_rows("fit", case)


# A table is the same however it is cut.

#: Where a table is cut, as shares of its rows.
CUTS = st.lists(st.floats(0, 1), max_size=5).map(sorted)
#: Weights with one number for each row.
ROW_WEIGHTS = WEIGHTS.filter(lambda weights: weights.kind not in {"scalar", "short"})
FREE = ("batch_size", "early_stopping")
IN_ORDER = {name: value for name, value in EXACT.items() if name not in FREE}
IN_ORDER["shuffle"] = False


def cut(case, shares, *parts):
    """Return chunks of parts of a case, which may have no rows; a part may be None."""
    ends = [round(share * case.n_rows) for share in shares]
    rows = np.split(np.arange(case.n_rows), ends)
    return [
        tuple(None if part is None else take(part, one.tolist()) for part in parts)
        for one in rows
    ]


@given(case=cases(weights=ROW_WEIGHTS, wild=False, **IN_ORDER), shares=CUTS)
def test_chunks_in_any_cut_are_one_chunk(case, shares):
    """In the order of the file, chunks of any sizes train the network of a single chunk."""
    data = case.X, case.y, case.sample_weight
    expected = trained(fit_chunks, case.network(), [data])
    try:
        with strict():
            found = fit_chunks(case.network(), cut(case, shares, *data))
    except (ValueError, TypeError) as error:
        found = None
        check_error(error, case)
    assert_same_network(found, expected, case.X)


@given(
    case=cases(weights=st.just(Weights("uniform", 3.0)), wild=False, **IN_ORDER),
    shares=CUTS,
    without=st.sets(st.integers(0, 5)),
    window=st.integers(1, 4),
    shuffle=st.booleans(),
)
def test_chunks_without_weights_have_weights_of_one(case, shares, without, window, shuffle):
    """It does not matter whether the weights of a chunk, all one, are given."""
    chunks = cut(case, shares, case.X, case.y, case.sample_weight)
    ones = [
        (*chunk[:2], np.ones(len(chunk[2]))) if i in without else chunk
        for i, chunk in enumerate(chunks)
    ]
    bare = [chunk[:2] if i in without else chunk for i, chunk in enumerate(chunks)]
    networks = [
        trained(lambda *args: fit_chunks(*args, shuffle_window=window), network, some)
        for network, some in (
            (case.network(shuffle=shuffle), ones), (case.network(shuffle=shuffle), bare)
        )
    ]  # fmt: skip
    assert_same_network(networks[1], networks[0], case.X)


# Windows.


def rows_of(X):
    """Return the rows of a table as text, which equal NaN have in common."""
    if sparse.issparse(X):
        X = X.toarray()
    values = X.rows() if isinstance(X, pl.DataFrame) else np.asarray(X, dtype=object).tolist()
    return list(map(repr, map(tuple, values)))


@given(
    case=cases(tables=arrays(list(tables.COLUMNS)) | FRAMES | SPARSE, weights=ROW_WEIGHTS),
    shares=CUTS,
    window=st.integers(1, 4),
)
def test_a_window_has_the_rows_of_its_chunks(case, shares, window):
    """A window of shuffled chunks has all of their rows, each with its own y and weight."""
    X, numbers = case.X, np.arange(case.n_rows)
    weight = None if case.weights.kind == "none" else np.where(numbers % 3, numbers, 0)
    chunks = cut(case, shares, X, numbers, weight)
    mixed = list(shuffle_chunks(chunks, window=window, random_state=case.seed))
    # Rows of zero weight and chunks without other rows are left out.
    kept = [y if w is None else y[w > 0] for _, y, w in chunks]
    kept = [y for y in kept if y.size]
    assert len(mixed) == len(kept)
    rows = rows_of(X)
    for start in range(0, len(kept), window):
        drawn = np.concatenate([y for _, y, *_ in mixed[start : start + window]])
        assert_array_equal(np.sort(drawn), np.concatenate(kept[start : start + window]))
    for found, y, *weights in mixed:
        assert rows_of(found) == [rows[number] for number in y]
        assert [len(weights), type(found)] == [weight is not None, type(take(X, []))]
        if weights:
            assert_array_equal(weights[0], weight[y])
        if hasattr(X, "dtypes"):
            assert list(found.dtypes) == list(X.dtypes)


# Libraries.

NAMES = list(map(str, range(40)))
KINDS = {
    "an array or sparse matrix": [np.asarray, np.float32, sparse.csr_array, sparse.coo_matrix],
    "a pandas DataFrame": [lambda X: pd.DataFrame(X, columns=NAMES[: X.shape[1]])],
    "a polars DataFrame": [lambda X: pl.DataFrame(X, schema=NAMES[: X.shape[1]])],
}
MAKERS = [(kind, make) for kind, makers in KINDS.items() for make in makers]


@given(
    case=cases(
        tables=st.builds(ArrayTable, columns=columns(["normal", "flag", "tied", "constant"])),
        weights=st.just(Weights()),
        labels=LABELS,
        numbers=NUMBERS,
        wild=False,
        categorical_features=None,
        class_weight=None,
        **IN_ORDER,
    ),
    shares=CUTS,
    places=st.lists(st.integers(0, len(MAKERS) - 1), min_size=6, max_size=6),
)
def test_tables_of_several_libraries_are_refused_or_are_one(case, shares, places):
    """A frame among arrays or among frames of another library is refused, by the names of both.

    Sparse rows among dense ones make a sparse table, and float64 among float32 one of float64.
    """
    X = case.values.astype(np.float32).astype(float)
    chunks = [chunk for chunk in cut(case, shares, X, case.y) if len(chunk[0])]
    assume(chunks)
    makers = [MAKERS[place] for place in places[: len(chunks)]]
    mixed = [(make(x), y) for (_, make), (x, y) in zip(makers, chunks, strict=True)]
    kinds = {kind for kind, _ in makers}
    if len(kinds) > 1:
        for consume in (
            lambda: fit_chunks(case.cls(), mixed),
            lambda: list(shuffle_chunks(mixed)),
        ):
            with pytest.raises(ValueError, match="Use one of them for all chunks") as caught:
                consume()
            said, _ = str(caught.value).split("Use one of them")
            assert sum(kind in said for kind in kinds) == 2
        return
    if any(sparse.issparse(x) for x, _ in mixed):
        X = sparse.csr_array(X)
    else:
        X = (
            makers[0][1](X)
            if "an array or sparse matrix" not in kinds
            else np.concatenate([x for x, _ in mixed])
        )
    expected = trained(fit_chunks, case.network(), [(X, case.y)])
    assert_same_network(trained(fit_chunks, case.network(), mixed), expected, X)
