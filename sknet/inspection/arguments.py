"""The arguments of the functions of ``sknet.inspection``, checked."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse


def check_tol(tol):
    """Raise if ``tol`` is not a number >= 0.

    Raises
    ------
    ValueError
        With what was given.
    """
    if not isinstance(tol, Real) or not tol >= 0:
        raise ValueError(f"tol must be a number >= 0, got {tol!r}.")


def read_baseline(features, model, baseline):
    """Return the rows of a baseline as those of X are read; the typical row by default.

    Raises
    ------
    ValueError
        If it is not one row of as many columns as X has, or several.
    """
    if baseline is None:
        return model.encoder.typical_row()
    if hasattr(baseline, "to_frame"):
        baseline = baseline.to_frame().T
    if sparse.issparse(baseline):
        baseline = baseline.toarray()
    if np.ndim(baseline) == 1:
        baseline = np.asarray(baseline)[np.newaxis]
    shape, expected = np.shape(baseline), features.n_features
    if len(shape) != 2 or shape[1] != expected:
        raise ValueError(
            f"baseline must be one row of {expected} features in X's units, or several rows, "
            f"got shape {np.shape(baseline)}."
        )
    if not hasattr(baseline, "columns"):
        # The columns of a plain row are known by their position, without names.
        features = features.without_names()
    return features.read(baseline)


def output_names(model):
    """Return what the outputs are called, and what they are, in words."""
    target = model.target
    if not model.numeric_y:
        kind = "label" if target.kind == "multilabel" else "class"
        return target.classes_.tolist(), kind
    return list(range(model.n_raw)), "output"


def choose_output(model, target):
    """Return the factors of the outputs whose sum is meant, or None for the predicted class.

    Raises
    ------
    ValueError
        If there is no such class or output, or one must be chosen and is not.
    """
    names, kind = output_names(model)
    n_columns = model.n_raw
    if target is None:
        if n_columns > 1 and kind == "class":
            return None
        if n_columns > 1:
            raise ValueError(
                f"There are {n_columns} {kind}s: choose one by target, 0 to {n_columns - 1}."
            )
        return np.ones(1)
    place = _place(names, target)
    if place is None or (kind == "output" and isinstance(target, bool)):
        article = "an" if kind == "output" else "a"
        raise ValueError(f"target must be {article} {kind}, one of {names}, got {target!r}.")
    if kind == "class" and len(names) == 2:
        # The one column speaks for the second class.
        return np.array([1.0 if place == 1 else -1.0])
    return np.eye(n_columns)[place]


def _place(names, target):
    """Return where the target is among the names, or None."""
    if np.ndim(target) > 0:
        return None
    return next((place for place, name in enumerate(names) if name == target), None)


def check_layer(network, layer):
    """Return the place among the network's layers where a hidden layer ends.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    ends = network.hidden_ends
    valid = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not valid or not -len(ends) <= layer < len(ends):
        there = f"0 to {len(ends) - 1}, or negative from the end" if ends else "none"
        raise ValueError(
            f"layer must be a hidden layer; the network has {there}. Got {layer!r}."
        )
    return ends[layer]


def check_history(history):
    """Raise if a record of a training has no losses.

    Raises
    ------
    ValueError
        With what it has.
    """
    if "loss" not in history:
        raise ValueError(
            f"history must have the losses by epoch under 'loss', as an estimator's history_; "
            f"it has {sorted(history)}."
        )


def check_attributions(attributions, feature_names, values):
    """Raise if attributions, names and values do not belong together.

    Raises
    ------
    ValueError
        With their numbers.
    """
    n_features = attributions.shape[-1]
    if attributions.ndim != 2:
        raise ValueError(
            f"attributions must have shape (n_features,) or (n_samples, n_features), got "
            f"{attributions.shape}."
        )
    for name, given in (("feature_names", feature_names), ("values", values)):
        if given is not None and len(given) != n_features:
            raise ValueError(f"{name} has {len(given)} entries for {n_features} features.")
    if values is not None and len(attributions) > 1:
        raise ValueError(f"values are of one row, but there are {len(attributions)}.")
