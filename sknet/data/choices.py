"""Columns that the user chooses: categories, monotonic constraints, groups that interact."""

from collections.abc import Mapping, Sequence, Set
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet.data.frames import Table


def categorical_columns(X: Table, wanted: Any) -> NDArray[np.intp]:
    """Return the positions of the categories that ``categorical_features`` chooses.

    Parameters
    ----------
    X : Table
    wanted : "from_dtype", None or array-like of int, str or bool
        The parameter ``categorical_features`` of the estimators.

    Raises
    ------
    ValueError
        If a position or a name does not exist, if several columns share a name, if names and
        positions are mixed, or if a mask does not have one entry for each column.
    """
    if isinstance(wanted, str):
        # The columns of an array have no dtypes of their own that could mark categories.
        return np.array([], np.intp) if X.names is None else X.object_columns
    # Plain values, whatever library the sequence comes from.
    wanted = () if wanted is None else wanted
    wanted = wanted.tolist() if hasattr(wanted, "tolist") else list(wanted)
    # NumPy would turn the numbers into text.
    if len({isinstance(one, str) for one in wanted if isinstance(one, str | Integral)}) > 1:
        raise ValueError(
            f"categorical_features mixes names with positions or truth values: {wanted}. "
            "Choose columns of X either by name or by position."
        )
    wanted = np.array(wanted)
    n_features = X.shape[1]
    if wanted.dtype.kind == "b":
        if wanted.shape != (n_features,):
            raise ValueError(
                f"categorical_features as a mask must have one entry for each of the "
                f"{n_features} columns of X, got shape {wanted.shape}."
            )
        return np.flatnonzero(wanted)
    if wanted.dtype.kind in "iu":
        if wanted.min() < 0 or wanted.max() >= n_features:
            raise ValueError(
                "categorical_features must be positions of columns of X, from 0 to "
                f"{n_features - 1}, got {wanted.tolist()}."
            )
        return wanted.astype(np.intp)
    return _named(wanted.tolist(), X.names)


def _named(wanted: list[Any], feature_names: Sequence[str] | None) -> NDArray[np.intp]:
    """Return the positions of the columns with the given names."""
    known = {name: i for i, name in enumerate(feature_names or ())}
    unknown = [name for name in wanted if not isinstance(name, str) or name not in known]
    twice = [name for name in wanted if (feature_names or []).count(name) > 1]
    if twice:
        raise ValueError(
            f"categorical_features names {twice}, but several columns of X have this name. "
            "Choose columns by their positions, or rename them."
        )
    if unknown:
        raise ValueError(
            f"categorical_features names {unknown}, but "
            + (f"X has {[*feature_names]}." if feature_names else "X has no feature names.")
        )
    return np.array([known[name] for name in wanted], np.intp)


#: The maximum number of unknown names that a message shows.
MOST_NAMES = 5


def column_signs(wanted: Any, n_columns: int, names: Sequence[str] | None) -> NDArray[np.intp]:
    """Return the constraint of each column of X: 1 (rising), -1 (falling) or 0 (none).

    The messages are those of scikit-learn's ``HistGradientBoostingRegressor``.

    Parameters
    ----------
    wanted : array-like of int, mapping of str to int, or None
        The parameter ``monotonic_cst`` of the estimators.
    n_columns : int
        The number of columns of X.
    names : sequence of str or None
        The names of the columns, if they have names.

    Raises
    ------
    ValueError
        If a name does not exist, if there is not one entry for each column, or if an entry is
        not -1, 0 or 1.
    """
    if wanted is None or (isinstance(wanted, Mapping) and not wanted):
        return np.zeros(n_columns, np.intp)
    if isinstance(wanted, Mapping):
        return _named_signs(wanted, names)
    given = np.array(wanted, dtype=object)
    unexpected = sorted({repr(one) for one in given.ravel() if not _is_sign(one)})
    if unexpected:
        raise ValueError(
            "monotonic_cst must be an array-like of -1, 0 or 1. Observed values: "
            f"[{', '.join(unexpected)}]."
        )
    if given.shape != (n_columns,):
        raise ValueError(
            f"monotonic_cst has shape {given.shape} but the input data X has {n_columns} "
            "features. Give one entry for each feature, or a dict with feature names as keys."
        )
    return given.astype(np.intp)


def _named_signs(wanted: Mapping[str, Any], names: Sequence[str] | None) -> NDArray[np.intp]:
    """Return the constraint of each column, given those of some columns by name."""
    if names is None:
        raise ValueError(
            "The estimator was not fitted on data with feature names. Pass monotonic_cst as an "
            "integer array instead."
        )
    unknown = sorted((name for name in wanted if name not in names), key=str)
    if unknown:
        shown = [*unknown[:MOST_NAMES], "..."] if len(unknown) > MOST_NAMES else unknown
        raise ValueError(
            f"monotonic_cst contains {len(unknown)} unexpected feature names: {shown}."
        )
    for name, sign in wanted.items():
        if not _is_sign(sign):
            raise ValueError(
                f"monotonic_cst[{name!r}] must be either -1, 0 or 1. Got {sign!r}."
            )
    return np.array([int(wanted.get(name, 0)) for name in names], np.intp)


def _is_sign(value: Any) -> bool:
    """Return whether a value is the number -1, 0 or 1."""
    return np.ndim(value) == 0 and not isinstance(value, str | bytes) and value in (-1, 0, 1)


def interaction_groups(wanted: Any, n_columns: int) -> tuple[tuple[int, ...], ...] | None:
    """Return the groups of columns that the parameter ``interaction_cst`` allows to interact.

    With "no_interactions" and "pairwise", each column is its own group, and "pairwise" allows
    all pairs of groups. The columns that a list leaves out form one further group. With None,
    there are no groups.

    Raises
    ------
    ValueError
        If the list has no groups, or if a group is empty or has an entry that is not the
        position of a column.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return tuple((column,) for column in range(n_columns))
    groups = list(dict.fromkeys(_checked_group(one, n_columns) for one in wanted))
    if not groups:
        raise ValueError(
            "interaction_cst is empty. List groups of columns, or use 'no_interactions' for an "
            "additive network, or None to let all columns interact."
        )
    rest = set(range(n_columns)).difference(*groups)
    return (*groups, tuple(sorted(rest))) if rest else tuple(groups)


def _checked_group(group: Any, n_columns: int) -> tuple[int, ...]:
    """Return the sorted positions of the columns of one group of ``interaction_cst``."""
    is_group = isinstance(group, list | tuple | Set | range | np.ndarray)
    columns = list(group) if is_group else []
    valid = all(
        isinstance(one, Integral) and not isinstance(one, bool) and 0 <= int(one) < n_columns
        for one in columns
    )
    if not columns or not valid:
        raise ValueError(
            "interaction_cst must be a list of groups of columns, such as [{0, 1}, {2}], by "
            f"positions in [0, {n_columns - 1}], but one group is {group!r}. "
            "X.columns.get_loc(name) returns the position of a column."
        )
    return tuple(sorted({int(one) for one in columns}))
