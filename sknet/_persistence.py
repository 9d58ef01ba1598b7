"""Files of fitted estimators: those of other versions, and checkpoints."""

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

#: Where a state notes the version that wrote it.
VERSION = "_sknet_version"

#: Fitted attributes that estimators kept one by one until they became fields of a ``Model``,
#: with the names of these fields.
FIELDS = {
    "_reader": "reader",
    "_table": "encoder",
    "_target": "target",
    "_loss": "loss",
    "_network": "network",
    "_params": "params",
}
#: Fitted attributes that are derived from the model and the record today.
DERIVED = ["auto_params_", "n_iter_", "best_iter_", "n_outputs_", "classes_"]


def upgraded(estimator_class: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's state in the form of this version, given that of any version.

    An ``InconsistentVersionWarning`` tells of a state that another version wrote.
    """
    state = dict(state)
    # Version 0.1.0 did not note itself.
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
    """Return a state with a model in place of the fields that estimators used to keep."""
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
    """Return the fitted estimator, with the run of its fit, that a checkpoint's file holds.

    Raises
    ------
    ValueError
        If the file holds another object, or a fit by a solver that cannot go on.
    """
    saved = joblib.load(path)
    run = getattr(saved, "_run", None) if type(saved) is type(estimator) else None
    # partial_fit keeps a run as well, but one without the parameters of a fit.
    if run is None or run.parameters is None:
        raise ValueError(
            f"{path} is not a checkpoint of {type(estimator).__name__}: it holds {saved!r}."
        )
    if run.state is None:
        raise ValueError(
            f"A fit with solver={saved.solver!r} cannot go on from a checkpoint; fit anew."
        )
    return saved
