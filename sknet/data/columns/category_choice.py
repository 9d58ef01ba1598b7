"""The columns of a table that are categories: the choice of ``categorical_features``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknet.data import frames
from sknet.data.frames import is_frame


def categorical_columns(
    X: Any, wanted: Any, feature_names: Sequence[str] | None
) -> NDArray[np.intp]:
    """Return the positions of the categories that ``categorical_features`` chooses.

    Parameters
    ----------
    X : frame, or array-like of shape (n_rows, n_columns)
    wanted : "from_dtype", None or array-like of int, str or bool
        The parameter ``categorical_features`` of the estimators.
    feature_names : sequence of str or None

    Raises
    ------
    ValueError
        If a position or a name does not exist, or if a mask does not have one entry for each
        column.
    """
    if wanted is None or (isinstance(wanted, str) and not is_frame(X)):
        return np.array([], dtype=int)
    if isinstance(wanted, str):
        return frames.category_columns(X)
    wanted = np.asarray(wanted)
    if wanted.size == 0:
        return np.array([], dtype=int)
    if wanted.dtype.kind == "b":
        return _masked(wanted, np.shape(X)[1])
    if wanted.dtype.kind in "iu":
        return _positioned(wanted, np.shape(X)[1])
    return _named(wanted.tolist(), feature_names)


def _masked(wanted: NDArray[np.bool_], n_features: int) -> NDArray[np.intp]:
    """Return the positions that a mask chooses."""
    if wanted.shape != (n_features,):
        raise ValueError(
            f"categorical_features as a mask must have one entry for each of the "
            f"{n_features} features, got shape {wanted.shape}."
        )
    return np.flatnonzero(wanted)


def _positioned(wanted: NDArray[np.integer], n_features: int) -> NDArray[np.intp]:
    """Return the positions, all of which exist."""
    if wanted.min() < 0 or wanted.max() >= n_features:
        raise ValueError(
            f"categorical_features must be positions in [0, {n_features - 1}], got "
            f"{wanted.tolist()}."
        )
    return wanted.astype(np.intp)


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
            f"categorical_features names {unknown}, which are not among the feature names"
            + (": X has none." if feature_names is None else f" {list(feature_names)}.")
        )
    return np.array([known[name] for name in wanted])
