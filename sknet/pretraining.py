"""Pre-training: a network learns the columns of a table from rows without targets.

:func:`pretrain` returns a network that the ``fit`` of an estimator can start from (``init``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from sklearn.base import clone

from sknet._base import BaseNN
from sknet._base_model import Model
from sknet._fitting import fit_network
from sknet._input import Features
from sknet._requirements import kind_of
from sknet._run import Run
from sknet._settings import Settings
from sknet._starting import facts_of, settle
from sknet.data.batches import Dataset
from sknet.data.columns.categories import Levels
from sknet.data.columns.numbers import Numbers
from sknet.data.draws import Corruption
from sknet.data.encoding import TableEncoder
from sknet.data.survey import Survey, survey_rows
from sknet.nn.lbfgs import is_stochastic
from sknet.nn.losses import Loss
from sknet.nn.reconstruction import Reconstruction

__all__ = ["PretrainedNetwork", "pretrain"]


class ColumnsTarget:
    """The columns of a table as a target: encoded numbers, then the places of levels.

    Missing values, and levels that are none of the known ones, are NaN.
    """

    def __init__(self, encoder: TableEncoder) -> None:
        self._numbers = encoder.of_kind(Numbers)
        self._levels = [one for one in encoder.of_kind(Levels) if one.n_levels]
        self.n_levels: tuple[int, ...] = tuple(one.n_levels for one in self._levels)
        sources = [one.sources for one in self._numbers]
        self.sources: NDArray[np.intp] = np.concatenate(
            [*sources, np.array([one.column for one in self._levels], np.intp)]
        )
        self.n_numbers: int = sum(one.size for one in sources)

    @property
    def n_outputs(self) -> int:
        """The number of columns."""
        return self.sources.size

    def transform(self, X: Any, dtype: DTypeLike) -> NDArray[Any]:
        """Return the columns of rows that were read."""
        numbers = [one.encode(X, dtype) for one in self._numbers]
        levels = [one.places(X[:, one.column])[:, np.newaxis] for one in self._levels]
        Y = np.hstack([*numbers, *levels]).astype(dtype)
        Y[np.isnan(X[:, self.sources])] = np.nan
        limits = np.array([np.inf] * self.n_numbers + list(self.n_levels))
        Y[Y >= limits] = np.nan
        return Y


@dataclass(frozen=True, eq=False)
class TableModel(Model):
    """A model of the columns of a table, which it reconstructs from rows with changed cells."""

    share: float = 0.3

    @classmethod
    def start(cls, settings, survey, target, rng, *, keep_rare=False):
        encoder = TableEncoder(**settings.fields_of(TableEncoder)).fit_survey(survey)
        target = ColumnsTarget(encoder)
        return cls.initial(settings, survey.reader, encoder, target, rng)

    @staticmethod
    def choose_loss(settings: Settings, target: ColumnsTarget) -> Loss:
        return Reconstruction(target.n_numbers, target.n_levels)

    def augmentation(self, rng):
        return Corruption(self.share, self.encoder.sources_, self.target.sources, rng, MODE)

    measure_target = learn_target = check_target = None


MODE = "masked"


class PretrainedNetwork:
    def __init__(self, features, model, history):
        self._features, self._model, self.history_ = features, model, history


def pretrain(estimator, X, share=0.3):
    estimator = clone(estimator).set_params(early_stopping=False, frozen_layers=0, hidden_rate_factor=1.0)
    estimator._validate_params()
    features, X = Features.learn(estimator, X)
    data = Dataset(X)
    run = Run.start(estimator.random_state)
    facts = facts_of(features, data.n_rows, X.dtype, sparse.issparse(X))
    settings = settle(estimator, facts, features.promise)
    survey = survey_rows(data, features.reader, features.names, rng=run.streams["tables"])
    model = TableModel.start(settings, survey, None, run.streams["init"])
    from dataclasses import replace
    model = replace(model, share=share)
    result = fit_network(model, data._replace(y=X), None, run)
    return PretrainedNetwork(features, model.trained(result), result.history)
