"""Checks of the user's y, weights and groups of rows, and of the classes of ``partial_fit``."""

from collections.abc import Mapping, Sequence, Set
from enum import Enum
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from sknet._requirements import check_sample_weight, kind_of, warn
from sknet.data import frames, joint
from sknet.data.joint import columns_of, is_multioutput, known_rows
from sknet.data.kinds import (
    LABELS,
    LARGEST,
    as_array,
    check_kinds,
    checked_table,
    checking,
    naming,
)
from sknet.data.targets import only_zeros_and_ones
from sknet.data.texts import is_number
from sknet.nn.losses import LOSSES


def check_y(y: Any, numeric: bool, name: str, *, warns: bool = True) -> Any:
    """Return y as an array, with one dimension if it has one column, or as a CSR matrix.

    Unless ``warns`` is False, a column is flattened with a DataConversionWarning.

    Raises
    ------
    ValueError
        If y is None; if it has missing values, infinity or, for regression, dates; or if it is
        not a valid target of the estimator, such as continuous numbers for a classifier.
    """
    if y is None:
        raise ValueError(f"fit requires {name} to be passed, but the target {name} is None.")
    # Dates may be labels.
    allowed = () if numeric else LABELS
    with checking(name):
        check_kinds(y, name, allowed)
    _check_none_missing(y, name)
    y = frames.without_nullable(as_array(y, name, allowed))
    sparse_format = False if numeric else "csr"
    with checking(name):
        y = check_array(y, sparse_format, ensure_2d=False, dtype=None, input_name=name)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=warns)
        if numeric:
            return _check_magnitude(_as_numbers(y, name), name)
        _check_one_type(y, name)
        _check_classes(y, name)
    return y


def check_targets(
    y: Any, wanted: Mapping[str, Any], name: str, names: Sequence[Any] = ()
) -> NDArray[Any]:
    """Return several targets as a structured array with a field for each.

    Numbers become float64, with NaN where a row lacks the target. Labels keep their dtype, or
    become objects with None. The metadata of the dtype has the library of a frame, and the
    names of its columns, which may be numbers.

    Parameters
    ----------
    y : frame, array, or structured array as this function returns it
    wanted : mapping of str to str or Loss
        The parameter ``targets``.
    name : str
        The name of the argument in messages.
    names : tuple, optional
        Names for the columns of a y without names, if there are as many names as columns.

    Raises
    ------
    ValueError
        If a wanted target is not a column of y, or if :func:`check_y` refuses a column.
    """
    columns, library = _columns_of_targets(y, name, names)
    if unknown := [key for key in wanted if key not in columns]:
        raise ValueError(
            f"{name} lacks the columns {unknown}, which are in targets; it has {[*columns]}. "
            "Add these columns, or correct targets."
        )
    fields = {
        key: _check_column(column, wanted.get(key), f"{name}[{key!r}]")
        for key, column in columns.items()
    }
    return joint.structured(fields, library)


def _columns_of_targets(
    y: Any, name: str, names: Sequence[Any]
) -> tuple[dict[Any, Any], str | None]:
    """Return the columns of a y with several targets by name, and the library of a frame.

    A y without names gets ``names``, if there are as many of these as columns.

    Raises
    ------
    TypeError
        If y is a lazy table, a table of pyarrow or an iterator.
    ValueError
        If y is None or a masked array with masked values; if it is sparse, or has no column, no
        row or more than two dimensions; or if a column has no name, or that of another.
    """
    if y is None:
        raise ValueError(f"fit requires {name} to be passed, but the target {name} is None.")
    if getattr(getattr(y, "dtype", None), "names", None):
        return dict(joint.fields_of(y)), joint.library_of(y)
    if isinstance(y, list | tuple):
        y = np.asarray(as_array(y, name, LABELS))
    table = checked_table(y, name)
    if len(table.shape) == 1:
        (own,) = names if len(names) == 1 else ("y",)
        return {str(getattr(y, "name", None) or own): table.data}, None
    if len(table.shape) != 2 or 0 in table.shape or table.is_sparse:
        raise ValueError(
            f"{name} must be a data frame or a dense array, with rows and a column for each "
            f"target, got type {kind_of(y)} and shape {table.shape}."
        )
    n_columns = table.shape[1]
    unnamed = names if len(names) == n_columns else [f"y{i}" for i in range(n_columns)]
    keys = [*table.columns] or [*unnamed]
    if len({*map(str, keys)} - {""}) < n_columns:
        raise ValueError(f"The columns of {name} need different names, got {keys}.")
    return {key: table.column(i) for i, key in enumerate(keys)}, frames.library(y)


def _check_column(column: Any, wanted: Any, name: str) -> NDArray[Any]:
    """Return a checked target as an array, in which missing values are NaN or None.

    ``wanted`` is the entry of the parameter ``targets``, or None.

    Raises
    ------
    ValueError
        If :func:`check_y` raises it for the rows that have the target, or if dates are missing.
    """
    known, values = _known_values(column)
    numeric = _is_numeric(wanted, column, values)
    found = np.full(known.size, np.nan) if numeric else np.full(known.size, None, object)
    if not known.any():
        return found
    values = check_y(values, numeric, name)
    if not numeric and known.all() and values.dtype.kind not in "Of":
        return values
    if values.dtype.kind in "mM":
        raise ValueError(
            f"{name} has missing dates. Leave out these rows, or turn the dates into text with "
            "None where they are missing."
        )
    found[known] = values if numeric else values.astype(object)
    return found


def _known_values(column: Any) -> tuple[NDArray[np.bool_], Any]:
    """Return which values of a user's column are not missing, and these values.

    If the values between the gaps are objects that are all numbers, booleans or text, they
    become an array of that type.
    """
    values = np.asarray(column)
    if values.dtype == object:
        known = np.array([not frames.is_missing(one) for one in values.tolist()], bool)
        objects = values[known].tolist()
        found: NDArray[Any] = np.array(objects)
        if (
            found.ndim == 1
            and objects
            and (found.dtype.kind in "biuf" or {*map(type, objects)} <= {str, np.str_})
        ):
            return known, found
    else:
        known = known_rows(values)
    return known, frames.take_rows(column, np.flatnonzero(known))


def _is_numeric(wanted: Any, column: Any, values: Any) -> bool:
    """Return whether a target is numeric: as the user says, or else by its dtype.

    ``values`` are those of the column that are not missing. Dates and durations count as
    numeric, so that they are refused as those of a regressor are.
    """
    if isinstance(wanted, str):
        wanted = LOSSES[wanted].task if wanted in LOSSES else wanted
    if wanted is not None:
        return getattr(wanted, "task", wanted) == "regression"
    dtype, array = getattr(column, "dtype", None), np.asarray(values)
    if hasattr(dtype, "categories"):
        return False
    if array.dtype == object and array.size and all(map(is_number, array)):
        return True
    # Dates with a time zone are an array of objects.
    return array.dtype.kind in "iufmM" or getattr(dtype, "kind", "O") in "mM"


def _as_numbers(y: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return the targets of a regressor as numbers; text may hold numbers, such as "1.5".

    Raises
    ------
    ValueError
        If a target is not a number.
    """
    try:
        numbers = y.astype(np.float64, copy=False)
    except ValueError as error:
        raise ValueError(
            f"{error}. Convert {name} to numbers, or predict labels: with an NNClassifier, or "
            "in an NNMultiTarget with the loss 'log_loss'."
        ) from error
    # The text "nan" has passed the check for missing targets.
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{name} has values that are not finite numbers, such as 'nan' as text."
        )
    return numbers


def _check_none_missing(y: Any, name: str) -> None:
    """Refuse missing targets: NaN, and among objects also None and pandas.NA.

    Raises
    ------
    ValueError
        If y has a missing target.
    """
    # Without this dtype, NumPy would turn a NaN in a list of text into the text "nan".
    labels = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if labels.ndim == 0 or labels.dtype.kind not in "OmMf":
        return
    is_float = labels.dtype.kind == "f"
    if is_float:
        n_missing = int(np.isnan(labels).sum())
    else:
        n_missing = sum(frames.is_missing(label) for label in labels.flat)
    if n_missing:
        # scikit-learn's message for numbers, with advice added.
        start = f"Input {name} contains NaN: it" if is_float else name
        advice = "in classification, give them a class of their own, such as 'unknown'."
        if labels.ndim == 2 and labels.shape[1] > 1:
            advice = (
                "for several targets, fit an NNMultiTarget, which accepts them, with targets="
                "{name: 'classification', ...} for classes that are numbers."
            )
        raise ValueError(
            f"{start} has missing values, {n_missing} of {labels.size}. Leave these rows out, "
            f"or, {advice}"
        )


def _check_one_type(y: Any, name: str) -> None:
    """Refuse labels of dtype object that are not all text, since their order is unknown.

    Dates with a time zone, periods and intervals are such labels.

    Raises
    ------
    ValueError
        If a label is not text.
    """
    types = set(map(type, y.flat)) if y.dtype == object else set()
    if all(issubclass(one, str) and not issubclass(one, Enum) for one in types):
        return
    numbers = all(issubclass(one, Number | np.bool_) for one in types)
    to_numbers = "to an integer or float dtype, or "
    found = ", ".join(sorted(one.__name__ for one in types))
    raise ValueError(
        f"Unknown label type: {name} has labels of the type(s) {found}. Convert the labels "
        f"{to_numbers if numbers else ''}to text (in NumPy and pandas, {name}.astype(str))."
    )


def _check_classes(y: Any, name: str) -> None:
    """Refuse labels that are not classes; warn of more classes than half the number of rows.

    The warning replaces that of scikit-learn, which does not name the target.

    Raises
    ------
    ValueError
        If the labels are continuous numbers, or if y is sparse and has other numbers than zero
        and one.
    """
    if sparse.issparse(y) and not only_zeros_and_ones(y):
        raise ValueError(
            f"A sparse {name} must have zeros and ones, which tell the labels of a row. This "
            "one has other values: pass columns of classes as an array."
        )
    kind, n_rows = type_of_target(y, input_name=name), y.shape[0]
    if not kind.startswith("multiclass"):
        check_classification_targets(y)
    elif n_rows > 20 and (n_classes := np.unique(y).size) > round(0.5 * n_rows):
        warn(
            "The number of unique classes is greater than 50% of the number of samples: "
            f"{name} has {n_classes} classes in {n_rows} rows. If they are numbers to predict, "
            "use regression; if they are names of the rows, choose another target."
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
            f"{name} has values from {y.min():.6g} to {y.max():.6g}. Numbers with a magnitude "
            f"above {LARGEST:g} cannot be predicted, since their squares overflow. Give {name} "
            "in larger units."
        )
    return y


def check_partial_fit_classes(y: Any, classes: Any, known: Any) -> None:
    """Refuse a first ``partial_fit`` without classes, and later ones with different classes.

    ``known`` are the classes of earlier calls, as a list with those of each column if there are
    several columns, or None in the first call.

    Raises
    ------
    ValueError
        If the first call has neither classes nor a multi-label y, or a y of several columns of
        classes, or if the classes of a later call differ from those of the first.
    """
    if known is not None:
        _check_same(known, classes)
        return
    if classes is not None:
        _distinct_classes(classes)
    # It is checked again, with a warning, when X is.
    y = check_y(y, numeric=False, name="y", warns=False)
    if is_multioutput(y):
        raise ValueError(
            "partial_fit takes one column of classes or a multi-label y, but y has "
            f"{y.shape[1]} columns of classes. Use NNMultiTarget, with targets={{name: "
            "'classification', ...} for classes that are numbers, or fit on all rows."
        )
    if classes is None and not type_of_target(y).startswith("multilabel"):
        raise ValueError("classes must be passed on the first call to partial_fit.")


def _check_same(known: Any, classes: Any) -> None:
    """Refuse classes of a later ``partial_fit``, unless None, that differ from those known."""
    if classes is not None and not _are_same(known, classes):
        shown = [np.asarray(one).tolist() for one in known]
        raise ValueError(
            f"classes={classes!r} differs from the classes of the fitted network, {shown}."
        )


def _are_same(known: Any, classes: Any) -> bool:
    """Return whether the classes of a later call of ``partial_fit`` are those of the first."""
    if isinstance(known, list):
        listed = hasattr(classes, "__len__") and len(classes) == len(known)
        return listed and all(map(_are_same, known, classes))
    return np.array_equal(known, _distinct_classes(classes))


def _distinct_classes(classes: Any) -> NDArray[Any]:
    """Return the distinct classes, sorted; raise ValueError unless given a list of classes."""
    with checking("classes"):
        found = (
            () if isinstance(classes, Set | Mapping) else as_array(classes, "classes", LABELS)
        )
        if np.ndim(found) != 1 or not np.size(found):
            raise ValueError(f"a list of at least one class is needed, got {classes!r}.")
        if any(map(frames.is_missing, np.asarray(found, object).tolist())):
            raise ValueError(f"a class in {classes!r} is a missing value. Leave it out.")
        return unique_labels(classes)


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
            f"groups must have one dimension and a value for each of the {n_rows} rows of X, "
            f"got the shape {groups.shape}."
        )
    numbers = frames.distinct_values(groups)[1]
    if n_missing := (numbers < 0).sum():
        raise ValueError(
            f"groups has missing values, {n_missing} of {n_rows}. Give these rows a group too."
        )
    return numbers


def check_partial_fit_targets(y: NDArray[Any], classes: Any, known: Any) -> None:
    """Refuse a first ``partial_fit`` without classes, and later ones with different classes.

    ``known`` is a dict with the classes of earlier calls by target, or None in the first call.

    Raises
    ------
    ValueError
        If ``classes`` is not a dict, if the first call lacks the classes of a target that has
        labels, if it has classes of another target, or if the classes of a later call differ.
    """
    if not isinstance(classes, dict | None):
        raise ValueError(
            "classes must be a dict with the classes of each target that has labels, such as "
            f"classes={{'color': ['blue', 'red']}}, got {classes!r}."
        )
    given = classes or {}
    if known is not None:
        names = [*known]
    else:
        # A target without any value is refused later, whatever its kind.
        columns = list(columns_of(y))
        names = [one.name for one in columns if not (one.numeric and one.known.any())]
        required = [one.name for one in columns if not one.numeric and one.known.any()]
        if lacking := [name for name in required if name not in given]:
            raise ValueError(
                "The first call of partial_fit needs the classes of each target that has "
                f"labels, as a dict such as classes={{'color': ['blue', 'red']}}; it lacks "
                f"{lacking}."
            )
    if others := [name for name in given if name not in names]:
        raise ValueError(
            f"classes has entries for {others}, but the targets that have labels are {names}."
        )
    for name, one in given.items():
        with naming(f"Target {name!r}"):
            if known is None:
                _distinct_classes(one)
            else:
                _check_same(known[name], one)


def check_weight(sample_weight: Any, X: Any, name: str) -> np.ndarray:
    """Return weights as a float64 array with a number >= 0 for each row of X.

    Raises
    ------
    ValueError
        If a weight is not a finite number >= 0, or if the number of weights is not the number
        of rows.
    """
    sample_weight = as_array(sample_weight, name)
    with checking(name):
        if np.ndim(sample_weight) == 0:
            sample_weight = np.full(X.shape[0], sample_weight)
        return check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
