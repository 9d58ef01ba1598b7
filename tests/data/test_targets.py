"""Labels and numbers as columns, and back; weights of classes; parts of y."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight

from sknet.data.targets import ClassTarget, RegressionTarget, merge_targets
from sknet.data.weights import LabelCounts
from sknet.nn.links import Logit, Softmax

MULTILABEL = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])


def learned_classes(y, classes=None):
    return ClassTarget.of(LabelCounts.of(y), classes)


# Labels, the kind that they are, and the columns that they become.
CASES = {
    "binary": (np.array([3, 7, 7, 3]), "binary", [[0], [1], [1], [0]]),
    "binary-strings": (np.array(["yes", "no", "no"]), "binary", [[1], [0], [0]]),
    "binary-objects": (np.array(["b", "a"], dtype=object), "binary", [[1], [0]]),
    "booleans": (np.array([True, False, True]), "binary", [[1], [0], [1]]),
    "floats": (np.array([2.0, -1.0, 2.0]), "binary", [[1], [0], [1]]),
    "multiclass": (np.array([5, 9, 1, 5]), "multiclass", np.eye(3)[[1, 2, 0, 1]]),
    "multiclass-strings": (np.array(["c", "a", "b"]), "multiclass", np.eye(3)[[2, 0, 1]]),
    "single": (np.array(["x", "x", "x"]), "multiclass", [[1], [1], [1]]),
    "multilabel": (MULTILABEL, "multilabel", MULTILABEL),
}
every_case = pytest.mark.parametrize("y, kind, columns", CASES.values(), ids=CASES)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_become_columns(y, kind, columns, dtype):
    target = learned_classes(y)
    assert target.kind == kind
    Y = target.transform(y, dtype)
    assert Y.dtype == dtype and Y.flags.c_contiguous
    assert_array_equal(Y, columns)
    assert target.n_outputs == Y.shape[1]
    if kind == "multilabel":
        assert_array_equal(target.classes_, np.arange(3))
    else:
        assert_array_equal(target.classes_, np.unique(y))


@every_case
def test_round_trip_through_logits(y, kind, columns):
    target = learned_classes(y)
    raw = 4.0 * target.transform(y, float) - 2
    labels = target.labels(target.places(raw))
    assert_array_equal(labels, y)
    # scikit-learn's unique_labels makes strings of objects.
    assert labels.dtype.kind == ("U" if y.dtype == object else y.dtype.kind)


def test_sparse_labels():
    target = learned_classes(sparse.csr_matrix(MULTILABEL))
    assert target.kind == "multilabel"
    Y = target.transform(sparse.csr_matrix(MULTILABEL), np.float32)
    assert Y.dtype == np.float32
    assert_array_equal(Y, MULTILABEL)
    target.check_labels(sparse.csr_matrix(MULTILABEL), "y")


def test_classes_that_y_has_only_some_of():
    target = learned_classes(np.array([2, 2]), classes=[4, 2, 3])
    assert target.kind == "multiclass"
    assert_array_equal(target.classes_, [2, 3, 4])
    assert_array_equal(target.transform(np.array([2, 4]), float), [[1, 0, 0], [0, 0, 1]])
    target = learned_classes(np.array(["b", "b"]), classes=["a", "b"])
    assert target.kind == "binary"
    assert_array_equal(target.transform(np.array(["b", "b"]), float), [[1], [1]])
    target = learned_classes(np.array([1, 1]), classes=[1])
    assert_array_equal(target.transform(np.array([1]), float), [[1]])


def test_classes_of_a_multilabel_target():
    # scikit-learn's MLPClassifier.partial_fit takes them, too.
    target = learned_classes(MULTILABEL, classes=[0, 1, 2])
    assert target.kind == "multilabel"
    assert_array_equal(target.transform(MULTILABEL, float), MULTILABEL)


@pytest.mark.parametrize("name", ["binary", "multiclass", "multiclass-strings", "single"])
def test_unknown_labels(name):
    y = CASES[name][0]
    target = learned_classes(y)
    target.check_labels(y[:1], "y_val")
    stranger = np.array(["?"]) if y.dtype.kind == "U" else np.array([-99])
    with pytest.raises(
        ValueError, match="y_val has labels that are not among the classes"
    ) as error:
        target.check_labels(np.append(y, stranger), "y_val")
    message = str(error.value)
    assert str(stranger.tolist()) in message
    assert str(np.unique(y).tolist()) in message


def test_columns_of_labels_where_training_had_classes():
    target = learned_classes(np.array([0, 1, 1]))
    with pytest.raises(ValueError, match=r"y_val must have one class per row, .* \(.*, 3\)"):
        target.check_labels(MULTILABEL, "y_val")


@every_case
def test_every_class_must_occur_where_the_classes_stay(y, kind, columns):
    """Only the columns of a multi-label y may be empty."""
    target = learned_classes(y)
    target.check_all_labels(y)
    target.check_all_labels(y[::-1])
    some = y[:1]
    missing = np.setdiff1d(y, some).tolist()
    if kind == "multilabel" or not missing:
        target.check_all_labels(some)
    else:
        with pytest.raises(ValueError, match="y lacks classes of the last fit") as error:
            target.check_all_labels(some)
        assert f"fit, {missing}, but" in str(error.value)


@pytest.mark.parametrize("bad", [MULTILABEL[:, :2], MULTILABEL[:, 0]])
def test_other_number_of_labels(bad):
    target = learned_classes(MULTILABEL)
    target.check_labels(MULTILABEL[:2], "y_val")
    with pytest.raises(ValueError, match="y_val must have 3 columns"):
        target.check_labels(bad, "y_val")


def test_probabilities():
    raw = np.random.default_rng(0).normal(size=(6, 1))
    binary = learned_classes(np.array([0, 1]))
    p = 1 / (1 + np.exp(-raw[:, 0]))
    proba = binary.probabilities(raw, Logit())
    assert_allclose(proba, np.column_stack([1 - p, p]), rtol=1e-14)
    # Small ones are as exact as large ones: neither is one minus the other.
    tiny = binary.probabilities(np.array([[100.0], [-100.0]]), Logit())
    assert_allclose([tiny[0, 0], tiny[1, 1]], np.exp(-100), rtol=1e-12)
    raw = np.random.default_rng(0).normal(size=(6, 3))
    for y, link in ((np.array([0, 1, 2]), Softmax()), (MULTILABEL, Logit())):
        assert_array_equal(learned_classes(y).probabilities(raw, link), link.inverse(raw))


@every_case
def test_labels_are_the_most_probable(y, kind, columns):
    target = learned_classes(y)
    raw = np.random.default_rng(0).normal(size=(20, target.n_outputs))
    link = Logit() if kind != "multiclass" else Softmax()
    proba = target.probabilities(raw, link)
    if kind == "multilabel":
        assert_array_equal(target.labels(target.places(raw)), proba > 0.5)
    else:
        assert_array_equal(
            target.labels(target.places(raw)), target.classes_[proba.argmax(axis=1)]
        )


@every_case
def test_the_first_of_equally_probable_classes_is_chosen(y, kind, columns):
    """A decision of zero is the first class, or no label, as in scikit-learn."""
    target = learned_classes(y)
    places = target.places(np.zeros((2, target.n_outputs)))
    assert_array_equal(places, np.zeros((2, 3)) if kind == "multilabel" else [0, 0])


@every_case
def test_probabilities_of_several_members(y, kind, columns):
    target = learned_classes(y)
    raw = np.random.default_rng(0).normal(size=(6, 4, target.n_outputs))
    whole = target.probabilities(raw, Logit())
    for m in range(4):
        assert_array_equal(whole[:, m], target.probabilities(raw[:, m], Logit()))


@every_case
@pytest.mark.parametrize("amount", [0.0, 0.1, 1.0])
def test_smoothing_keeps_the_mean_of_each_column(y, kind, columns, amount):
    target = learned_classes(y)
    Y = target.transform(y, float)
    smooth = target.smooth(Y, amount)
    assert_allclose(smooth, (1 - amount) * Y + amount * Y.mean(axis=0))
    if kind == "multiclass":
        assert_allclose(smooth.sum(axis=1), 1)


# Class weights, and the labels of parts of a table.


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_weights_of_rows_with_several_labels(kind):
    target = learned_classes(MULTILABEL)
    found = target.class_weights([{0: 2, 1: 3}, {1: 0.5}, {}], kind(MULTILABEL))
    assert_allclose(found, [2 * 0.5, 3, 2, 3 * 0.5], rtol=1e-14)


def test_weights_of_the_classes():
    y = np.array([5, 9, 1, 5, 5])
    target = learned_classes(y)
    # The weights are relative to a power of two.
    assert_array_equal(target.class_weights({9: 3.0, 1: 0.5}, y) * 4, [1, 3, 0.5, 1, 1])


@pytest.mark.parametrize("units", [(1.0, 3.0), (3.0, 1.0), (1e-300, 3e-300), (1e300, 3e300)])
def test_parts_whose_weights_have_units_of_their_own(units):
    rng = np.random.default_rng(0)
    y, weight = rng.normal(size=40), rng.uniform(1, 2, 40)
    parts = slice(None, 15), slice(15, None)
    ratios = np.where(np.arange(40) < 15, 1, units[1] / units[0])
    target = RegressionTarget(True).fit(y[parts[0]], weight[parts[0]], units[0])
    target = target.merged(RegressionTarget(True).fit(y[parts[1]], weight[parts[1]], units[1]))
    expected = RegressionTarget(True).fit(y, ratios * weight)
    assert_allclose(target.mean_, expected.mean_, rtol=1e-12)
    assert_allclose(target.scale_, expected.scale_, rtol=1e-12)
    # A part without weights counts its rows, in its unit.
    target = target.merged(RegressionTarget(True).fit(y, None, units[1]))
    ones = np.concatenate([ratios * weight, np.full(40, ratios[-1])])
    expected = RegressionTarget(True).fit(np.tile(y, 2), ones)
    assert_allclose(target.mean_, expected.mean_, rtol=1e-12)


def test_a_part_with_negligible_weights_is_negligible():
    """The quotient of the units may be larger than every number."""
    target = RegressionTarget(True).fit(np.array([1.0, 2.0]), None, 1e-300)
    target = target.merged(RegressionTarget(True).fit(np.array([5.0, 9.0]), None, 1e300))
    assert (target.mean_, target.scale_) == (7, 2)


def test_weights_of_classes_of_every_size_are_finite():
    y = np.array([0, 1, 1])
    target = learned_classes(y)
    found = target.class_weights({0: 1e308, 1: 5e307}, y)
    assert_array_equal(found / found[0], [1, 0.5, 0.5])
    labels = [{0: 1e308, 1: 1e-308}] * 3
    assert np.isfinite(learned_classes(MULTILABEL).class_weights(labels, MULTILABEL)).all()


@pytest.mark.parametrize("name", ["binary-strings", "multiclass", "multilabel"])
def test_label_counts_of_parts_are_those_of_the_whole(name):
    y = np.concatenate([CASES[name][0]] * 3)[1:]
    weight = np.arange(1.0, len(y) + 1)
    # Each part has weights in units of its own, and the rows of the last one weigh the same.
    weight[3:] = 4
    whole = LabelCounts.of(y, weight)
    given = [(y[:1], weight[:1] * 8, 1 / 8), (y[1:3], weight[1:3], 1.0), (y[3:], None, 4.0)]
    parts = [LabelCounts.of(*part) for part in given]
    merged = merge_targets([(f"partition {i}", part) for i, part in enumerate(parts)])
    assert_array_equal(merged.labels, whole.labels)
    assert_array_equal(merged.counts * merged.unit, whole.counts)
    assert merged.balanced_weights() == whole.balanced_weights()
    assert parts[0].counts.sum() == 8 * len(whole.counts)
    learned, expected = ClassTarget.of(merged), ClassTarget.of(whole)
    assert learned.kind == expected.kind
    assert_array_equal(learned.classes_, expected.classes_)


@pytest.mark.parametrize("repeats", [None, [1, 2, 3, 1, 5]], ids=str)
def test_balanced_weights_are_scikit_learn_s(repeats):
    """A row of weight two counts twice. Older versions of scikit-learn know no such weights."""
    y = np.array(["b", "a", "b", "c", "b"])
    weights = LabelCounts.of(y, repeats and np.array(repeats, float)).balanced_weights()
    classes, rows = np.array(["a", "b", "c"]), np.repeat(y, repeats or 1)
    expected = compute_class_weight("balanced", classes=classes, y=rows)
    assert weights == dict(zip(classes.tolist(), expected, strict=True))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("repeats", [None, [1, 2, 1, 4]], ids=str)
def test_balanced_weights_of_several_labels(repeats, kind):
    weight = repeats and np.array(repeats, float)
    found = LabelCounts.of(kind(MULTILABEL), weight).balanced_weights()
    for label, weights in zip(
        np.repeat(MULTILABEL, repeats or 1, axis=0).T, found, strict=True
    ):
        expected = compute_class_weight("balanced", classes=np.arange(2), y=label)
        assert weights == dict(enumerate(expected))
    # A label that no row has, or all rows have, has one weight.
    Y = np.array([[0, 1, 1], [0, 1, 0], [0, 1, 0]])
    assert LabelCounts.of(Y).balanced_weights() == [{0: 1}, {1: 1}, {0: 0.75, 1: 1.5}]


def test_balanced_weights_of_negligible_rows_are_finite():
    """Their ratio would overflow, and none of a column is the difference of two large sums."""
    weights = LabelCounts.of(np.array([0, 1]), np.array([1.0, 5e-324])).balanced_weights()
    assert (weights[0], weights[1]) == (0.5, 2.0**900)
    weight = np.array([0.1, 0.2, 0.3, 1e-20])
    for y in (np.array([1, 1, 1, 0]), np.array([0, 0, 0, 1])):
        (found,) = LabelCounts.of(y[:, np.newaxis], weight).balanced_weights()
        assert found[y[3]] == pytest.approx(0.3e20, rel=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (["a", "b"], [1, 2], r"y has 1 column\(s\) of text in p, but 1 .* of numbers in q"),
        ([0, 1], [[0, 1], [1, 1]], r"1 column\(s\) of numbers in p, but 2 column\(s\)"),
    ],
    ids=["kinds", "columns"],
)
def test_labels_of_parts_that_contradict_each_other(first, second, message):
    parts = [("p", LabelCounts.of(np.array(first))), ("q", LabelCounts.of(np.array(second)))]
    with pytest.raises(ValueError, match=message):
        merge_targets(parts)


# Numbers.


def offset_columns(n_outputs, n_rows=50):
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(n_rows, n_outputs)) * 10.0 ** np.arange(n_outputs) + 5
    return Y[:, 0] if n_outputs == 1 else Y


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardized_columns(n_outputs, dtype):
    y = offset_columns(n_outputs)
    target = RegressionTarget(standardize=True).fit(y)
    assert target.n_outputs == n_outputs
    assert_allclose(target.mean_, np.atleast_1d(y.mean(axis=0)), rtol=1e-13)
    assert_allclose(target.scale_, np.atleast_1d(y.std(axis=0)), rtol=1e-13)
    Y = target.transform(y, dtype)
    assert Y.shape == (50, n_outputs) and Y.dtype == dtype
    assert_allclose(Y.mean(axis=0), 0, atol=1e-6)
    assert_allclose(Y.std(axis=0), 1, rtol=1e-6)


def columns(y):
    return y.reshape(len(y), -1)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("shift", [False, True])
def test_regression_round_trip(n_outputs, standardize, shift):
    y = offset_columns(n_outputs)
    target = RegressionTarget(standardize, shift).fit(y)
    back = target.inverse_transform(target.transform(y, np.float64))
    assert_allclose(back, columns(y), rtol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
def test_scaled_but_not_shifted(weighted):
    # For losses with a log link: the sign stays, and the mean becomes one.
    y = np.exp(offset_columns(2) / 10)
    weight = np.random.default_rng(0).uniform(0.1, 2, 50) if weighted else None
    target = RegressionTarget(True, shift=False).fit(y, weight)
    Y = target.transform(y, np.float64)
    assert_allclose(np.average(Y, axis=0, weights=weight), 1, rtol=1e-13)
    assert_allclose(y / Y, np.tile(np.average(y, axis=0, weights=weight), (50, 1)))
    assert_array_equal(target.mean_, 0)


@pytest.mark.parametrize("weighted", [False, True])
def test_outliers_count_as_if_they_were_at_the_fences(weighted):
    y = np.tile(offset_columns(2), (10, 1))
    y[:5] = [1e9, -1e9], [1e11, 0], [2e11, 5], [0, -3e9], [1e5, -2e5]
    counts = np.random.default_rng(1).integers(1, 4, 500) if weighted else np.ones(500, int)
    repeated = np.repeat(y, counts, axis=0)
    low, high = np.quantile(repeated, [0.25, 0.75], axis=0, method="inverted_cdf")
    moved = np.clip(repeated, low - 3 * (high - low), high + 3 * (high - low))
    target = RegressionTarget(True, robust=True).fit(y, counts if weighted else None)
    assert_allclose(target.mean_, moved.mean(axis=0), rtol=1e-12)
    assert_allclose(target.scale_, moved.std(axis=0), rtol=1e-12)


def test_without_outliers_robust_changes_no_bit():
    y = offset_columns(1)
    zeros = np.r_[np.zeros(40), y[:10]]  # The quartiles are equal, so nothing is an outlier.
    for one in (y, zeros):
        robust, plain = (RegressionTarget(True, robust=r).fit(one) for r in (True, False))
        assert_array_equal(robust.mean_, plain.mean_)
        assert_array_equal(robust.scale_, plain.scale_)


def test_a_group_of_far_numbers_is_not_outliers():
    y = np.r_[offset_columns(1), offset_columns(1)[:10] + 1e6]
    robust, plain = (RegressionTarget(True, robust=r).fit(y) for r in (True, False))
    assert_allclose(robust.scale_, plain.scale_, rtol=1e-3)


def test_without_standardizing_y_is_as_it_is():
    y = offset_columns(2)
    target = RegressionTarget(standardize=False).fit(y, np.ones(50))
    assert_array_equal(target.transform(y, np.float64), y)
    assert_array_equal(target.inverse_transform(y), y)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_integer_weights_equal_repetition(n_outputs):
    y, counts = offset_columns(n_outputs), np.random.default_rng(1).integers(1, 5, 50)
    weighted = RegressionTarget(True).fit(y, counts)
    repeated = RegressionTarget(True).fit(np.repeat(y, counts, axis=0))
    assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12)
    assert_allclose(weighted.scale_, repeated.scale_, rtol=1e-12)
    # Only ratios of weights matter.
    scaled = RegressionTarget(True).fit(y, counts * 0.37)
    assert_allclose(scaled.mean_, weighted.mean_, rtol=1e-12)
    assert_allclose(scaled.scale_, weighted.scale_, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-3, 1e3, 1e200, 1e300])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_units_do_not_matter(unit, n_outputs):
    y = offset_columns(n_outputs)
    expected = RegressionTarget(True).fit(y).transform(y, np.float64)
    target = RegressionTarget(True).fit(y * unit)
    actual = target.transform(y * unit, np.float64)
    assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    assert_allclose(target.inverse_transform(actual), columns(y) * unit, rtol=1e-12)


def test_offsets_do_not_matter():
    y = offset_columns(1)
    target = RegressionTarget(True).fit(y + 1e9)
    assert_allclose(target.scale_, y.std(), rtol=1e-6)
    assert_allclose(target.inverse_transform(np.zeros((1, 1))), y.mean() + 1e9, rtol=1e-14)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9, 1e-300, 1e300])
@pytest.mark.parametrize("n_rows", [1, 3, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_y(constant, n_rows, weighted):
    # Its mean may be off by rounding, which must not be blown up to a spread of one.
    weight = np.random.default_rng(0).uniform(0.1, 3, n_rows) if weighted else None
    y = np.full(n_rows, constant)
    target = RegressionTarget(True).fit(y, weight)
    # An output of one is a small deviation in the units of y; a y of zeros has no units.
    assert_allclose(target.scale_, abs(constant) / 1024 or 1, rtol=1e-12)
    Y = target.transform(y, np.float64)
    assert_allclose(Y, 0, atol=1e-10)
    assert_allclose(target.inverse_transform(Y), columns(y), rtol=1e-14)


def test_constant_column_among_others():
    y = offset_columns(3)
    y[:, 1] = 7
    target = RegressionTarget(True).fit(y)
    assert target.scale_[1] == 7 / 1024
    assert_array_equal(target.transform(y, float)[:, 1], 0)
    assert_allclose(target.scale_[[0, 2]], y[:, [0, 2]].std(axis=0), rtol=1e-13)


@pytest.mark.parametrize("n_rows", [2_000, 200_000])
def test_constant_columns_of_many_rows(n_rows):
    # Sums down the rows of a matrix are plain sums: their rounding grows with the rows.
    target = RegressionTarget(True).fit(np.full((n_rows, 2), 0.1))
    assert_allclose(target.scale_, 0.1 / 1024, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [1e-20, 1e-100, 1e-300])
def test_numbers_of_negligible_weight_are_finite(share, dtype):
    """Such a number is many deviations from the mean, but not beyond the range of float32."""
    y = np.array([0.5, 0.8, 1e100])
    target = RegressionTarget(True).fit(y[:2], np.array([share, 1]))
    scaled = target.transform(y, dtype)
    assert np.isfinite(scaled).all()
    assert np.sign(scaled).ravel().tolist() == [-1, np.sign(0.8 - target.mean_[0]), 1]


@pytest.mark.parametrize(
    "values, single",
    [
        ([1e-35, -1e35], True),
        ([-1.0, 0.0], True),
        ([1.0, 1e37], False),
        ([1e37, 1.0], False),
        ([1.0, -1e37], False),
        ([1e-37, 1.0], False),
    ],
    ids=str,
)
def test_float32_must_hold_every_column(values, single):
    """One column of huge or tiny numbers is enough; a column of zeros has no size."""
    target = RegressionTarget(True).fit(np.array([values, values]))
    assert target.fits(np.dtype(np.float32)) is single
    assert target.fits(np.dtype(np.float64))


def test_integers_are_numbers():
    target = RegressionTarget(True).fit(np.arange(5))
    assert_allclose(target.mean_, 2)
    assert_allclose(target.scale_, np.sqrt(2))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_other_number_of_outputs(n_outputs):
    target = RegressionTarget(True).fit(offset_columns(n_outputs))
    target.check_outputs(offset_columns(n_outputs)[:2], "y_val")
    message = f"must be {n_outputs}, as in training, but y_val has 2"
    with pytest.raises(ValueError, match=message):
        target.check_outputs(np.ones((4, 2)), "y_val")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_moments_of_parts_are_those_of_the_whole(n_outputs, weighted):
    y = offset_columns(n_outputs)
    weight = np.random.default_rng(1).uniform(0.1, 2, 50) if weighted else np.ones(50)
    cuts = [slice(0, 1), slice(1, 20), slice(20, 50)]
    parts = [RegressionTarget(True).fit(y[cut], weight[cut]) for cut in cuts]
    before = parts[0].mean_.copy()
    merged = merge_targets([(str(i), part) for i, part in enumerate(parts)])
    whole = RegressionTarget(True).fit(y, weight)
    assert_allclose(merged.mean_, whole.mean_, rtol=1e-12)
    assert_allclose(merged.scale_, whole.scale_, rtol=1e-12)
    assert_array_equal(parts[0].mean_, before)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_rows_that_come_later_count_as_those_before(n_outputs):
    y = offset_columns(n_outputs)
    target = RegressionTarget(True).fit(y[:20])
    target = target.merged(RegressionTarget(True).fit(y[20:30]))
    target = target.merged(RegressionTarget(True).fit(y[30:], np.ones(20)))
    assert_allclose(target.mean_, columns(y).mean(axis=0), rtol=1e-12)
    assert_allclose(target.scale_, columns(y).std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("far", [1e100, -1e100])
def test_a_number_far_from_all_others(far):
    """Its square neither overflows nor takes the place of the others, on either side."""
    share = 1e-200
    target = RegressionTarget(True).fit(np.array([0, 0, far]), np.array([0.5, 0.5, share]))
    assert_allclose(target.mean_, far * share, rtol=1e-12)
    assert_allclose(target.scale_, abs(far) * np.sqrt(share), rtol=1e-12)


def test_numbers_of_parts_that_contradict_each_other():
    parts = [(f"part {n}", RegressionTarget(True).fit(offset_columns(n))) for n in (1, 3)]
    kind = r"column\(s\) of numbers in part"
    with pytest.raises(ValueError, match=f"y has 1 {kind} 1, but 3 {kind} 3"):
        merge_targets(parts)


def test_large_integers_with_and_without_a_sign_are_told_apart():
    classes = np.array([2**53, 2**53 + 1, 2**53 + 2], dtype=np.uint64)
    target = learned_classes(classes[:1], classes=classes)
    assert_array_equal(target.transform(classes.astype(np.int64), float), np.eye(3))
    weights = target.class_weights(
        {2**53: 1, 2**53 + 1: 2, 2**53 + 2: 4}, classes.astype(np.int64)
    )
    assert_array_equal(weights / weights[0], [1, 2, 4])
