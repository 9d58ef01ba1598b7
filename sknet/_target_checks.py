"""Checks of the user's y, weights and groups of rows, and of the classes of ``partial_fit``."""

from enum import Enum
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from sknet._requirements import check_sample_weight
from sknet.data import frames
from sknet.data.kinds import LABELS, LARGEST, as_array, check_kinds, checking


def check_y(y: Any, numeric: bool, name: str) -> Any:
    """Return y as an array of one dimension if it has one column, else of two, or CSR.

    Raises
    ------
    ValueError
        If y is None, or has missing values, infinity or dates, or is not a valid target of the
        estimator, such as continuous numbers for a classifier.
    """
    if y is None:
        raise ValueError(f"fit requires {name} to be passed, but the target {name} is None.")
    # Dates may be labels.
    allowed = () if numeric else LABELS
    with checking(name):
        check_kinds(y, name, allowed)
    _check_no_missing_labels(y, name)
    y = as_array(y, name, allowed)
    sparse_format = False if numeric else "csr"
    with checking(name):
        y = check_array(y, sparse_format, ensure_2d=False, dtype=None, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if numeric:
            return _check_magnitude(_as_numbers(y, name), name)
        _check_one_type(y, name)
        check_classification_targets(y)
        if y.ndim == 2 and not type_of_target(y).startswith("multilabel"):
            raise ValueError(
                f"{name} has {y.shape[1]} columns of classes (multiclass-multioutput). In a "
                "multi-label y all values are 0 or 1. For several columns of classes, fit a "
                "classifier for each column."
            )
    return y


def _as_numbers(y: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return the targets of a regressor as numbers; text may be of numbers, such as "1.5".

    Raises
    ------
    ValueError
        If a target is not a number.
    """
    try:
        return y.astype(np.float64, copy=False)
    except ValueError as error:
        raise ValueError(
            f"{error}. A regressor predicts numbers: convert {name} to numbers, or fit an "
            "NNClassifier to labels."
        ) from error


def _check_no_missing_labels(y: Any, name: str) -> None:
    """Refuse missing labels (None, NaN and pandas.NA), which cannot be sorted.

    Raises
    ------
    ValueError
        If y has a missing label.
    """
    # Without the dtype, NumPy would turn a NaN in a list of text into the text "nan".
    labels = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if labels.ndim == 0 or labels.dtype.kind not in "OmM":
        return
    missing = [frames.is_missing(label) for label in labels.flat]
    if any(missing):
        raise ValueError(
            f"{name} has missing values, {sum(missing)} of {len(missing)}. Leave these rows "
            "out, or, for classification, give them a class of their own, such as 'unknown'."
        )


def _check_one_type(y: Any, name: str) -> None:
    """Refuse labels of dtype object that are not all text, since their order is not known.

    Raises
    ------
    ValueError
        If the labels are numbers or truth values, or a mixture of these and text.
    """
    types = set(map(type, y.flat)) if y.dtype == object else set()
    known = all(issubclass(one, str | Number | np.bool_) for one in types)
    text = all(issubclass(one, str) and not issubclass(one, Enum) for one in types)
    if text or not known:
        return  # scikit-learn tells of labels that are neither text nor numbers.
    found = ", ".join(sorted(one.__name__ for one in types))
    raise ValueError(
        f"Unknown label type: {name} has dtype object and labels of the type(s) {found}. "
        f"Convert the labels to numbers, for example by {name}.astype(int) or "
        f"{name}.astype(float), or to text, by {name}.astype(str)."
    )


def _check_magnitude(y: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the numbers, or refuse those that are too large to be predicted.

    Raises
    ------
    ValueError
        If the magnitude of a number is above ``LARGEST``.
    """
    if max(y.max(), -y.min()) > LARGEST:
        raise ValueError(
            f"{name} has values from {y.min():.6g} to {y.max():.6g}. Numbers of a magnitude "
            f"above {LARGEST:g} cannot be predicted, since their squares overflow. Give {name} "
            "in larger units."
        )
    return y


def check_partial_fit_classes(y: Any, classes: Any, known: np.ndarray | None) -> None:
    """Refuse missing classes in the first ``partial_fit``, and different ones in later calls.

    ``known`` are the classes of earlier calls, or None in the first call.

    Raises
    ------
    ValueError
        If the first call has neither classes nor a multi-label y, or if the classes of a later
        call differ from the classes of the first.
    """
    if classes is not None:
        with checking("classes"):
            found = as_array(classes, "classes", LABELS)
            if np.ndim(found) != 1 or not np.size(found):
                raise ValueError(f"a list of at least one class is needed, got {classes!r}.")
            found = unique_labels(classes)
    if known is None:
        y = check_y(y, numeric=False, name="y")
        if classes is None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
    elif classes is not None and not np.array_equal(known, found):
        raise ValueError(
            f"classes={classes!r} is not the same as on the last call to partial_fit, was: "
            f"{known!r}"
        )


def check_groups(groups: Any, n_rows: int) -> NDArray[np.intp]:
    """Return the number of the group of each row.

    Raises
    ------
    ValueError
        If there is not one group for each row, or if a group is missing.
    """
    groups = np.asarray(as_array(groups, "groups", LABELS))
    if groups.shape != (n_rows,):
        raise ValueError(
            f"groups must be flat, with a value for each of the {n_rows} rows of X, got the "
            f"shape {groups.shape}."
        )
    numbers = frames.distinct_values(groups)[1]
    if n_missing := (numbers < 0).sum():
        raise ValueError(
            f"groups has missing values, {n_missing} of {n_rows}. Give these rows a group, too."
        )
    return numbers


def check_weight(sample_weight: Any, X: Any, name: str) -> np.ndarray:
    """Return weights as an array of float64 with one number >= 0 for each row of X.

    Raises
    ------
    ValueError
        If the weights are not finite numbers >= 0, or not one for each row.
    """
    sample_weight = as_array(sample_weight, name)
    with checking(name):
        if np.ndim(sample_weight) == 0:
            sample_weight = np.full(X.shape[0], sample_weight)
        return check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
