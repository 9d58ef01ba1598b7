"""The card of a model: what it predicts, what is promised of it, and what its training saw."""

from collections.abc import Iterator, Sequence

from sknet._model import ClassificationModel, Model
from sknet._settings import Provenance
from sknet.data.columns.numbers import MissingFlags
from sknet.data.columns.single_values import Code, HeavyFlags
from sknet.data.tables import TableReader
from sknet.nn.soundness import FAULTS, Ending
from sknet.nn.state import best_epoch

#: What a line of a card says: a text, a number, names, or groups of names.
Value = str | int | list[str] | list[list[str]]

#: What ended a training, in words.
ENDINGS = {
    Ending.CONVERGED: "training had stopped improving",
    Ending.FINISHED: "all planned epochs were made",
    Ending.STOPPED: "a callback asked for it",
    Ending.MAX_ITER: "max_iter, although more epochs could have helped",
    **{ending: f"badly: {fault}" for ending, fault in FAULTS.items()},
}


def card_lines(
    names: Sequence[str], model: Model, history: dict[str, list[float]]
) -> Iterator[tuple[str, Value]]:
    """Yield the name and the value of each line of a model's card.

    Parameters
    ----------
    names : sequence of str
        The names of the columns of X.
    model : Model
    history : dict of str to list of float
        The record of the epochs.
    """
    read_names = [str(names[i]) for i in model.reader.order_]
    yield from _predictions(model)
    yield from _promises(model, names, read_names)
    yield from _columns(model, names, read_names)
    yield from _training(model, history)


def _predictions(model: Model) -> Iterator[tuple[str, Value]]:
    """Yield lines on what the model predicts, and how it learned to."""
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
    """Return words for the correction of the certainty that validation rows have led to."""
    certainty = model.provenance.certainty
    if certainty is None:
        return "none"
    what = "standard deviations times" if model.numeric_y else "temperature"
    return f"{what} {1 / certainty:.4g}, fitted to the validation rows"


def _promises(
    model: Model, names: Sequence[str], read_names: Sequence[str]
) -> Iterator[tuple[str, Value]]:
    """Yield lines on the constraints that hold for all rows."""
    promise = model.settings.promise
    if promise is not None:
        yield from promise.described(read_names)
        if isinstance(model, ClassificationModel):
            yield "constrained", f"the probability of {model.target.classes_[-1]}"
    yield "interactions", _interactions(model, names)


def _interactions(model: Model, names: Sequence[str]) -> Value:
    """Return which columns may interact."""
    settings = model.settings
    if settings.groups is None:
        return "of all columns"
    if settings.pairwise:
        return "of pairs: a sum of functions of at most two columns"
    if all(len(group) == 1 for group in settings.groups):
        return "none: a sum of functions of one column"
    return [[str(names[i]) for i in group] for group in settings.groups]


def _special_columns(reader: TableReader, names: Sequence[str]) -> dict[str, list[str]]:
    """Return what is said of each column that is no plain number, by the plural of its kind."""
    said: dict[str, list[str]] = {}
    for one in reader.columns_:
        said.setdefault(one.plural, []).append(one.on_card(str(names[one.position])))
    return said


def _columns(
    model: Model, names: Sequence[str], read_names: Sequence[str]
) -> Iterator[tuple[str, Value]]:
    """Yield lines on the kinds of the columns, and on what training found in them."""
    encoder, reader = model.encoder, model.reader
    found: dict[str, Value] = {
        "numbers": reader.numbers_.size,
        **_special_columns(reader, names),
        "missing numbers": [
            read_names[i] for one in encoder.of_kind(MissingFlags) for i in one.sources
        ],
        "missing or rare": [
            name
            for name, one in zip(
                read_names[encoder.n_read_ :], encoder.categories_, strict=True
            )
            if one.has_rest
        ],
        "heavy values": [
            name for one in encoder.of_kind(HeavyFlags) for name in one.names(read_names, ())
        ],
        "numbers as levels": [
            f"{read_names[one.column]} ({one.category.n_levels} levels)"
            for one in encoder.of_kind(Code)
        ],
        "components": encoder.n_found_components_,
    }
    yield "columns", len(names)
    yield from ((name, value) for name, value in found.items() if value)


def _training(model: Model, history: dict[str, list[float]]) -> Iterator[tuple[str, Value]]:
    """Yield lines on the training and the parameters that it led to."""
    provenance = model.provenance
    if provenance.n_rows is not None:
        yield "training rows", provenance.n_rows
        yield "validation rows", provenance.n_validation or "none"
    if n_epochs := len(history.get("loss", [])) - provenance.n_passes:
        yield "epochs", f"{n_epochs} of at most {model.settings.max_iter}"
    if provenance.n_continued:
        yield "warm start", f"goes on from earlier fits: {provenance.n_continued}"
    if provenance.ending is not None:
        yield "ended", _ended(model, Ending(provenance.ending), n_epochs)
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
        return "max_fun, although more evaluations could have helped"
    return ENDINGS[ending]


def _kept_epoch(provenance: Provenance, history: dict[str, list[float]]) -> str:
    """Return words for the epoch whose parameters the model has."""
    ending = Ending(provenance.ending)
    if provenance.n_refit and not ending.restores_best:
        first = len(history["loss"]) - provenance.n_refit + 1
        return f"the last epoch; from epoch {first} on also trained on the validation rows"
    if "validation_score" in history:
        return f"epoch {best_epoch(history)}, of the best validation score"
    if ending.restores_best:
        return f"epoch {best_epoch(history)}, the best one"
    return "the last epoch"
