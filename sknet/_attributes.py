"""The public attributes of a fitted estimator, and the facts of its card.

Both follow from its model and the record of its training.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknet._input import shown_names
from sknet._joint_model import JointModel
from sknet._model import ClassificationModel, Model
from sknet._settings import Provenance
from sknet.data.columns.categories import Levels
from sknet.data.columns.numbers import MissingFlags
from sknet.data.columns.single_values import Code, HeavyFlags
from sknet.nn.columns import ColumnScales
from sknet.nn.soundness import FAULTS, Ending
from sknet.nn.state import best_epoch, objectives

#: What a line of a card says: text, a number, names, or groups of names.
Value = str | int | list[str] | list[list[str]]
#: The lines of a card: the name of each, and what it says.
Lines = Iterator[tuple[str, Value]]

#: What ended training, in words.
ENDINGS = {
    Ending.CONVERGED: "after no further improvement",
    Ending.FINISHED: "after all planned epochs",
    Ending.STOPPED: "by a callback",
    Ending.MAX_ITER: "by max_iter, although more epochs could have helped",
    Ending.TIME_LIMIT: "by time_limit, which shortened the plan",
    **{ending: f"in a poor state: {fault}" for ending, fault in FAULTS.items()},
}


class FittedAttributes:
    """The fitted attributes that are computed from ``_model`` and ``history_``.

    Attributes
    ----------
    history_ : dict of str to list of float
        A number for each epoch, or each iteration of "lbfgs": "loss" (without the penalty),
        "penalty", "validation_loss", "validation_score" (both NaN in epochs that also train on
        the validation rows, see ``refit``), "learning_rate" (not for "lbfgs") and "seconds".
    auto_params_ : dict
        The value that the last fit chose for each parameter that is "auto".
    n_iter_, best_iter_, t_ : int
        The number of epochs, the number of the best one (from 1), and the number of rows seen.
    loss_curve_, validation_scores_ : list of float
        The objective (loss plus penalty) and the validation score of each epoch.
    loss_, best_loss_, best_validation_score_ : float
        The last objective, the lowest one (None with early stopping), and the best validation
        score. Without early stopping, this score and ``validation_scores_`` are None.
    coefs_, intercepts_, member_scales_, column_scales_ : list of ndarray
        The weights and biases of each layer, each member's scales of the inputs of hidden
        layers, and the scales of columns. Weights have shape (n_inputs, n_outputs), mostly with
        a leading axis for members (only in the output layer if they share weights) or groups.
    encoded_feature_names_ : ndarray of str
        A name for each input of the first hidden layer, in the order of ``coefs_[0]``.
    n_layers_, n_outputs_, n_features_in_ : int
        The numbers of layers, of outputs and of columns of X.
    out_activation_ : str
        The activation of the outputs: identity, exp, logistic, softmax, cumulative or joint.
    feature_names_in_ : ndarray of str
        The names of the columns of X, if all of them are strings.
    """

    _model: Model
    history_: dict[str, list[float]]
    n_features_in_: int

    def __sklearn_is_fitted__(self) -> bool:
        return "_model" in vars(self)

    @property
    def auto_params_(self) -> dict[str, Any]:
        model = self._fitted_model
        chosen = dict(model.settings.auto)
        if "early_stopping" in chosen and model.provenance.n_validation:
            chosen["early_stopping"] = True  # X_val switches it on.
        return chosen

    @property
    def n_iter_(self) -> int:
        return len(self.loss_curve_)

    @property
    def t_(self) -> int:
        return self._fitted_model.provenance.n_visited(self.history_)

    @property
    def best_iter_(self) -> int:
        check_is_fitted(self)
        return best_epoch(self.history_)

    @property
    def loss_curve_(self) -> list[float]:
        check_is_fitted(self)
        return objectives(self.history_)

    @property
    def loss_(self) -> float:
        return self.loss_curve_[-1]

    @property
    def best_loss_(self) -> float | None:
        return min(self.loss_curve_) if self.validation_scores_ is None else None

    @property
    def validation_scores_(self) -> list[float] | None:
        check_is_fitted(self)
        return self.history_.get("validation_score")

    @property
    def best_validation_score_(self) -> float | None:
        scores = self.validation_scores_
        return None if scores is None else scores[self.best_iter_ - 1]

    @property
    def coefs_(self) -> list[np.ndarray]:
        return [layer.weight for layer in self._dense_layers()]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        return [layer.bias for layer in self._dense_layers()]

    @property
    def member_scales_(self) -> list[np.ndarray]:
        return [layer.scale for layer in self._dense_layers() if hasattr(layer, "scale")]

    @property
    def column_scales_(self) -> list[np.ndarray]:
        model = self._fitted_model
        pairs = zip(model.network.layers, model.network.views(model.params), strict=True)
        for layer, params in pairs:
            if isinstance(layer, ColumnScales):
                by_input = params.column_scale[list(layer.columns)]
                return [*by_input.reshape(model.settings.n_separate, -1)]
        return []

    @property
    def n_layers_(self) -> int:
        return len(self._dense_layers()) + 1

    @property
    def n_outputs_(self) -> int:
        return self._fitted_model.target.n_outputs

    @property
    def out_activation_(self) -> str:
        return self._fitted_model.loss.link.out_activation

    @property
    def encoded_feature_names_(self) -> np.ndarray:
        names = unique_names(_names_by_origin(self._fitted_model, column_names(self)))
        return np.array(names, dtype=object)

    @property
    def _fitted_model(self) -> Model:
        self._check_fitted()
        return self._model

    def _check_fitted(self) -> None:
        # scikit-learn's check, which raises the error, takes longer than predicting one row.
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def _dense_layers(self) -> list:
        """Return the parameters of each layer that has weights."""
        model = self._fitted_model
        views = model.network.views(model.params)
        return [layer for layer in views if hasattr(layer, "weight")]


def column_names(estimator: FittedAttributes) -> list[str]:
    """Return the names of the columns of X, or "x0", "x1" and so on if X had none."""
    return shown_names(getattr(estimator, "feature_names_in_", None), estimator.n_features_in_)


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names, with a number (2, 3 and so on) appended to each repeated one."""
    taken, found = set(names), dict[str, None]()
    for name in names:
        numbered = (f"{name}_{i}" for i in count(2))
        new = name if name not in found else next(one for one in numbered if one not in taken)
        taken.add(new)
        found[new] = None
    return list(found)


def _names_by_origin(model: Model, names: Sequence[str]) -> list[str]:
    """Return a name for each column that enters the first layer with a weight matrix.

    ``names`` are those of the columns of X. An output of an embedding is named after its
    column, with a number. Principal components come last.
    """
    encoder, reader = model.encoder, model.reader
    encoded = encoder.feature_names([names[i] for i in reader.order_], reader.levels_)
    # Separate members have their own copies of the columns. The first copy stands for all.
    sizes = np.bincount(model.network.origins) // model.settings.n_separate
    n_embedded = 0 if model.settings.numeric_embedding is None else encoder.n_numeric_
    embedded: list[str] = []
    for i, (name, size) in enumerate(zip(encoded, sizes.tolist(), strict=True)):
        numbered = i < n_embedded or size > 1
        embedded += [f"{name}_{j}" for j in range(size)] if numbered else [name]
    return embedded + [f"component{i}" for i in range(encoder.n_found_components_)]


# The card.


def card_lines(estimator: FittedAttributes, model: Model) -> Lines:
    """Yield the name and the value of each line of the card of an estimator with a model."""
    names = [str(name) for name in column_names(estimator)]
    read_names = [names[i] for i in model.reader.order_]
    yield from _predictions(model)
    yield from _promises(model, names, read_names)
    yield from _columns(model, names, read_names)
    yield from _training(model, estimator.history_)


def _predictions(model: Model) -> Lines:
    """Yield lines on what the model predicts, and how it learned to."""
    if isinstance(model, JointModel):
        yield "targets", list(map(str, model.target.names))
        for name, one in zip(model.target.names, model.models, strict=True):
            yield from ((f"{name}: {line}", value) for line, value in _predictions(one))
        return
    if model.loss.estimates:
        yield "predicts", model.loss.estimates
    if isinstance(model, ClassificationModel):
        of_labels = model.target.kind == "multilabel"
        yield "labels" if of_labels else "classes", list(map(str, model.target.classes_))
    elif model.target.n_outputs > 1:
        yield "outputs", model.target.n_outputs
    if model.predicts_std:
        yield "return_std", _deviation(model)
    yield "loss", repr(model.loss)
    if model.settings.class_weight is not None:
        yield "class weights", "probabilities are those of the weighted classes"
    if model.loss.has_temperature:
        yield "calibration", _calibration(model)


def _deviation(model: Model) -> str:
    """Return words for the standard deviation that ``return_std=True`` asks for."""
    if not model.loss.link.predicts_std:
        return f"of the predictions of {model.n_members} members"
    if model.n_members == 1:
        return "of y"
    return f"of y, with the variation of the means of {model.n_members} members"


def _calibration(model: Model) -> str:
    """Return words for the correction that was fitted to the validation rows."""
    if (certainty := model.provenance.certainty) is None:
        return "none"
    what = "standard deviations times" if model.numeric_y else "temperature"
    numbers = ", ".join(f"{1 / one:.4g}" for one in np.atleast_1d(certainty))
    return f"{what} {numbers}, fitted to the validation rows"


def _promises(model: Model, names: Sequence[str], read_names: Sequence[str]) -> Lines:
    """Yield lines on the constraints that hold for all rows."""
    if (promise := model.settings.promise) is not None:
        yield from promise.described(read_names)
        if isinstance(model, ClassificationModel):
            probability = f"the probability of {model.target.classes_[-1]}"
            yield "constrained", "the class" if model.loss.link.ordered else probability
    yield "interactions", _interactions(model, names)


def _interactions(model: Model, names: Sequence[str]) -> Value:
    """Return which columns may interact."""
    settings = model.settings
    if settings.groups is None:
        return "of all columns" if settings.hidden_layer_sizes and len(names) > 1 else "none"
    if settings.pairwise:
        return "of pairs: a sum of functions of at most two columns"
    if all(len(group) == 1 for group in settings.groups):
        return "none: a sum of functions of one column each"
    return [[names[i] for i in group] for group in settings.groups]


def _columns(model: Model, names: Sequence[str], read_names: Sequence[str]) -> Lines:
    """Yield lines on the kinds of the columns, and on what training found in them."""
    reader, of_kind = model.reader, model.encoder.of_kind
    by_kind: dict[str, list[str]] = {}
    for column in reader.columns_:
        by_kind.setdefault(column.plural, []).append(column.on_card(names[column.position]))
    categories = [one for one in of_kind(Levels) if not isinstance(one, Code)]
    sharing = [one.column for one in categories if one.has_rest]
    flagged = [i for one in of_kind(MissingFlags) for i in one.sources]
    heavy = [name for one in of_kind(HeavyFlags) for name in one.names(read_names, ())]
    codes = [f"{read_names[one.column]} ({one.n_levels} levels)" for one in of_kind(Code)]
    found: dict[str, Value] = {
        "numbers": reader.numbers_.size,
        **by_kind,
        "missing values": [read_names[i] for i in flagged],
        "rare levels": [read_names[i] for i in sorted(sharing)],
        "normal scores": [read_names[i] for i in model.encoder.scored_],
        "frequent values": heavy,
        "integer codes": codes,
        "principal components": model.encoder.n_found_components_,
    }
    yield "columns", len(names)
    yield from ((name, value) for name, value in found.items() if value)


def _training(model: Model, history: dict[str, list[float]]) -> Lines:
    """Yield lines on the training and the parameters that it led to."""
    provenance = model.provenance
    if provenance.n_rows is not None:
        yield "training rows", provenance.n_rows
        n_held = provenance.n_validation or "none"
        yield (
            "validation rows",
            f"{n_held}, each held out by one member" if provenance.cross_fitted else n_held,
        )
    if n_epochs := provenance.n_epochs(history):
        yield "epochs", f"{n_epochs} of at most {model.settings.max_iter}"
    if provenance.n_continued:
        yield "warm start", f"continues earlier fits: {provenance.n_continued}"
    if provenance.ending is not None:
        yield "training ended", _ended(model, Ending(provenance.ending), n_epochs)
        if not provenance.n_passes:
            yield "parameters from", _kept_epoch(provenance, history)
    if provenance.n_passes:
        yield "partial_fit", f"passes: {provenance.n_passes}, rows: {provenance.n_pass_rows:,}"
    yield "parameters", model.params.size
    yield "dtype", str(model.params.dtype)
    yield "fitted with", f"sknet {provenance.version}"


def _ended(model: Model, ending: Ending, n_epochs: int) -> str:
    """Return words for what ended the training."""
    if ending is Ending.MAX_ITER and n_epochs < model.settings.max_iter:
        return "by max_fun, although more evaluations could have helped"
    return ENDINGS[ending]


def _kept_epoch(provenance: Provenance, history: dict[str, list[float]]) -> str:
    """Return words for the epoch whose parameters the model has."""
    ending = Ending(provenance.ending)
    if provenance.n_refit and not ending.restores_best:
        first = len(history["loss"]) - provenance.n_refit + 1
        return f"the last epoch; from epoch {first} on, training also used the validation rows"
    if "validation_score" in history:
        return f"epoch {best_epoch(history)}, with the best validation score"
    if ending.restores_best:
        return f"epoch {best_epoch(history)}, the best one"
    return "the last epoch"
