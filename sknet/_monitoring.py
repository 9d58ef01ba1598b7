"""What is watched while a network trains: validation rows, and the lines that are printed."""

import copy

import numpy as np
from sklearn.metrics import check_scoring

from sknet.nn.network import Workspace


class Validation:
    """Evaluates parameters on validation rows, for early stopping."""

    def __init__(self, model, objective, data, dtype):
        self._model = copy.copy(model)
        # A scorer passes the validated array: without names, categories as level numbers.
        vars(self._model).pop("feature_names_in_", None)
        self._model._reader = None
        self._objective = objective
        self._data = data
        self._batches = model._blocks(data, dtype)
        self._workspace = Workspace(objective.network, self._batches.batch_size, dtype)
        scoring = model.scoring
        self._scorer = None if scoring == "loss" else check_scoring(model, scoring=scoring)

    def __call__(self, params):
        """Return the loss and the score, higher is better; a dict as ``train`` expects."""
        loss = self._objective.mean_loss(params, self._batches, self._workspace)
        return {"validation_loss": loss, "validation_score": self._score(params, loss)}

    def _score(self, params, loss):
        if self._scorer is None:
            return -loss
        self._model._params = params
        X, y, sample_weight = self._data
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(self._scorer(self._model, X, y, **weights))


class EpochPrinter:
    """Prints one aligned line for every ``every``-th epoch."""

    _LABELS = {
        "validation_loss": "validation loss",
        "validation_score": "validation score",
        "learning_rate": "learning rate",
    }

    _WIDTH = 34

    def __init__(self, every):
        self.every = int(every)

    def __call__(self, iteration, record):
        """Print the line of an epoch."""
        if (iteration - 1) % self.every == 0:
            print(self._line(iteration, dict(record)))

    def _line(self, iteration, record):
        seconds = record.pop("seconds")
        parts = [f"Iteration {iteration}, loss = {record.pop('loss'):.8f}"]
        if record.get("validation_score") == -record.get("validation_loss", np.nan):
            del record["validation_score"]
        parts += [f"{self._LABELS[name]} = {value:.6g}" for name, value in record.items()]
        columns = [f"{part}, ".ljust(self._WIDTH) for part in parts]
        return "".join([*columns, f"{seconds:.3f} s"])
