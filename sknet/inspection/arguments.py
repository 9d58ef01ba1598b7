"""Checks of the arguments of the functions and displays of ``sknet.inspection``."""

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sknet._input import Features
from sknet._model import Model
from sknet.nn.network import Network


def check_tol(tol: Any) -> None:
    """Check the tolerance of integrated gradients.

    Raises
    ------
    ValueError
        If ``tol`` is not a number >= 0.
    """
    if not isinstance(tol, Real) or not float(tol) >= 0:
        raise ValueError(f"tol must be a number >= 0, got {tol!r}.")


def read_baseline(features: Features, model: Model, baseline: Any) -> NDArray[Any]:
    """Return the rows of a baseline, read like X; by default, the typical row of training.

    Raises
    ------
    ValueError
        If the baseline is neither one row nor several rows with the columns of X.
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
            f"got shape {shape}."
        )
    if not hasattr(baseline, "columns"):
        # The columns of a plain row are known by their position, without names.
        features = features.without_names()
    return features.read(baseline)


def output_names(model: Model) -> tuple[list[Any], str]:
    """Return the names of the outputs, and the word for one of them in messages."""
    if model.numeric_y:
        return list(range(model.n_predicted)), "output"
    kind = "label" if model.target.kind == "multilabel" else "class"
    return model.target.classes_.tolist(), kind


def choose_output(model: Model, target: Any) -> NDArray[np.float64]:
    """Return the factors with which the columns of the outputs are summed.

    Only the factor of the chosen output is not zero.

    Raises
    ------
    ValueError
        If ``target`` is no class or output of the model, or if it is None although there are
        several.
    """
    names, kind = output_names(model)
    if target is None:
        if model.n_predicted > 1:
            several = f"{len(names)} {kind}{'es' if kind == 'class' else 's'}"
            raise ValueError(f"There are {several}: choose one by target, of {names}.")
        return np.ones(1)
    is_truth_value = kind == "output" and isinstance(target, bool)
    if np.ndim(target) > 0 or is_truth_value or target not in names:
        article = "an" if kind == "output" else "a"
        raise ValueError(f"target must be {article} {kind}, one of {names}, got {target!r}.")
    position = names.index(target)
    if kind == "class" and len(names) == 2:
        # With two classes, the only column is the logit of the second class.
        return np.array([1.0 if position == 1 else -1.0])
    return np.eye(model.n_predicted)[position]


def choose_by_row(model: Model, target: Any) -> NDArray[np.float64] | None:
    """Return the factors of :func:`choose_output`, or None without a target of several classes.

    None says that each row is to be explained for its predicted class.
    """
    several_classes = model.n_predicted > 1 and output_names(model)[1] == "class"
    return None if target is None and several_classes else choose_output(model, target)


def check_layer(network: Network, layer: Any) -> int:
    """Return the position among the network's layers at which a hidden layer ends.

    Raises
    ------
    ValueError
        If the network has no hidden layer of this number.
    """
    ends = network.hidden_ends
    valid = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not valid or not -len(ends) <= layer < len(ends):
        there = f"0 to {len(ends) - 1}, or negative from the end" if ends else "none"
        raise ValueError(
            f"layer must be a hidden layer; the network has {there}. Got {layer!r}."
        )
    return ends[layer]


def check_groups(model: Model) -> None:
    """Check that a model is a sum of functions of groups of columns.

    Raises
    ------
    ValueError
        If it was fitted without ``interaction_cst``.
    """
    if model.settings.groups is None:
        raise ValueError(
            "The network has no shape functions, since all columns may interact. Set "
            "interaction_cst='no_interactions' or 'pairwise', or list groups of columns, and "
            "fit again."
        )


def check_percentiles(percentiles: Any) -> None:
    """Check the shares of the rows between which curves are computed.

    Raises
    ------
    ValueError
        If they are not two increasing numbers in [0, 1].
    """
    numbers = np.ndim(percentiles) == 1 and all(isinstance(one, Real) for one in percentiles)
    if not (numbers and len(percentiles) == 2 and 0 <= percentiles[0] < percentiles[1] <= 1):
        raise ValueError(
            f"percentiles must be two increasing numbers in [0, 1], got {percentiles!r}."
        )


def check_history(history: Mapping[str, Any]) -> None:
    """Check a record of a training.

    Raises
    ------
    ValueError
        If the record has no losses.
    """
    if "loss" not in history:
        raise ValueError(
            "history must have the losses by epoch under 'loss', like the history_ of an "
            f"estimator; it has {sorted(history)}."
        )


def check_attributions(
    attributions: NDArray[Any],
    feature_names: Collection[str] | None,
    values: Collection[Any] | None,
) -> None:
    """Check that attributions, names and values belong together.

    Raises
    ------
    ValueError
        If the attributions have more than two dimensions, if the number of names or values is
        not the number of columns, or if there are values for several rows.
    """
    if attributions.ndim != 2:
        raise ValueError(
            f"attributions must have shape (n_features,) or (n_samples, n_features), got "
            f"{attributions.shape}."
        )
    n_rows, n_features = attributions.shape
    for name, given in (("feature_names", feature_names), ("values", values)):
        if given is not None and len(given) != n_features:
            raise ValueError(f"{name} has {len(given)} entries for {n_features} features.")
    if values is not None and n_rows > 1:
        raise ValueError(f"values must belong to a single row, but attributions has {n_rows}.")
