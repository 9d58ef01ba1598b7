"""Files of fitted estimators: files that other versions wrote, and checkpoints."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import joblib
from sklearn.base import BaseEstimator

from sknet._auto import Facts
from sknet._model import model_class
from sknet._parameters import defaults
from sknet._settings import resolve
from sknet._version import __version__
from sknet.data.targets import RegressionTarget
from sknet.exceptions import InconsistentVersionWarning

#: The key of a state under which the version that wrote it is noted.
VERSION = "_sknet_version"

#: The fitted attributes that estimators had before there was a ``Model``, with the names of
#: the fields of a model that replace them.
FIELDS = {
    "_reader": "reader",
    "_table": "encoder",
    "_target": "target",
    "_loss": "loss",
    "_network": "network",
    "_params": "params",
}
#: The former fitted attributes that are computed from the model and the record now.
DERIVED = ["auto_params_", "n_iter_", "best_iter_", "n_outputs_", "classes_"]


def upgraded(estimator_class: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's state in the form of this version, given the state of any version.

    It warns with an ``InconsistentVersionWarning`` if another version wrote the state.
    """
    state = dict(state)
    # Version 0.1.0 did not write its version.
    made_by = state.pop(VERSION, "0.1.0 or before")
    if made_by != __version__:
        warnings.warn(
            InconsistentVersionWarning(estimator_class.__name__, made_by, __version__),
            stacklevel=3,
        )
        # A state lacks the parameters that its version did not have.
        state = {**defaults(estimator_class), **state}
    return _with_model(estimator_class, state) if "_params" in state else state


def _with_model(estimator_class: type, state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with a model, given a state in which its fields are attributes."""
    state = dict(state)
    fields = {field: state.pop(name) for name, field in FIELDS.items()}
    kind = model_class(isinstance(fields["target"], RegressionTarget))
    derived = {name: state.pop(name, None) for name in DERIVED}
    # Version 0.1.0 did not keep the values of "auto" parameters.
    auto = derived["auto_params_"] or {}
    facts = Facts(
        n_rows=state["t_"] // derived["n_iter_"],
        n_columns=state["n_features_in_"],
        is_sparse=fields["encoder"].keeps_sparse,
        dtype=fields["params"].dtype,
        numeric_y=kind.numeric_y,
    )
    parameters = {name: state[name] for name in defaults(estimator_class)}
    settings = replace(resolve(parameters, facts, kept=auto), auto=auto)
    return {**state, "_model": kind(settings=settings, **fields)}


def load_checkpoint(estimator: BaseEstimator, path: Any) -> BaseEstimator:
    """Return the fitted estimator of a checkpoint, which holds the run of its fit.

    Raises
    ------
    ValueError
        If the file does not hold a checkpoint of such an estimator, or if its solver, such as
        lbfgs, cannot continue a fit.
    """
    saved = joblib.load(path)
    run = getattr(saved, "_run", None) if type(saved) is type(estimator) else None
    # An estimator that partial_fit has trained has a run as well, but without ``parameters``.
    if run is None or run.parameters is None:
        raise ValueError(
            f"{path} is not a checkpoint of {type(estimator).__name__}: it holds {saved!r}."
        )
    if run.state is None:
        raise ValueError(
            f"A fit with solver={saved.solver!r} cannot go on from a checkpoint; fit anew."
        )
    return saved
