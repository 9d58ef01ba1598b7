"""Pre-training: a network learns the columns of a table from rows without targets.

Pass the result of :func:`pretrain` to the ``fit`` of an estimator as ``init``.
"""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from sknet._auto import choose
from sknet._base import BaseNN
from sknet._base_model import CALIBRATION_ROWS, Model, learn_encoder
from sknet._fitting import fit_network
from sknet._input import Features
from sknet._parameters import parameters_of
from sknet._requirements import checks_parameters, kind_of, warn
from sknet._run import Run
from sknet._settings import Settings
from sknet._starting import PretrainedNetwork, facts_of_rows, settle
from sknet.data.batches import Dataset
from sknet.data.draws import Corruption
from sknet.data.encoding import ColumnsTarget
from sknet.data.survey import survey_rows
from sknet.nn.budget import Budget
from sknet.nn.joint import JointLoss, loss_of_cells
from sknet.nn.lbfgs import is_stochastic
from sknet.nn.rules import OPEN_UNIT_INTERVAL
from sknet.nn.soundness import are_flat

#: The parameters that describe the members of a network. For these, "auto" chooses values as if
#: the table had at most this number of rows, all with targets.
LABELED_ROWS, MEMBERS = 500, ("share_weights", "hidden_layer_sizes", "n_members")

__all__ = ["PretrainedNetwork", "pretrain"]


def pretrain(estimator: BaseNN, X: Any, *, corruption: float = 0.3) -> PretrainedNetwork:
    """Train the layers of a network on rows without targets.

    In each mini-batch, random cells get values from other rows, and the network learns to
    predict their original values from the rest of the row. The loss is the squared error of
    the scaled value for numeric columns (and of normal scores and phases of dates), and the
    cross-entropy of the level for categories. Missing values are not scored. ``fit(X, y,
    init=...)`` then starts from these encodings and layers, with a new output layer. For that
    fit, set ``hidden_rate_factor`` to a value below 1, such as 0.3.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
        The estimator to fit later, which is not changed. Its parameters determine the layers
        and the training, which has no early stopping, ``input_noise`` or ``mixup``. The solver
        must be stochastic.
    X : array-like of shape (n_samples, n_features)
        The rows, as a dense array or a data frame. They may include the rows with targets. All
        rows have the same weight.
    corruption : float in (0, 1), default=0.3
        The probability that a cell gets the value of another row.

    Returns
    -------
    PretrainedNetwork
        The trained layers. Pass them as ``init`` to the ``fit`` of an estimator that has the
        same layers.

    Raises
    ------
    TypeError
        If ``estimator`` is not a local sknet estimator.
    ValueError
        If parameters or X are invalid, if X is sparse or not in memory, or if the estimator
        has ``monotonic_cst`` or ``interaction_cst``: with these, a column cannot be predicted
        from all the others.

    Warns
    -----
    UserWarning
        If changed cells are restored hardly better than constants would restore them.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet import NNRegressor
    >>> from sknet.pretraining import pretrain
    >>> X = np.random.default_rng(0).normal(size=(1000, 3)) @ np.ones((3, 6))
    >>> network = NNRegressor(hidden_rate_factor=0.3, max_iter=20, random_state=0)
    >>> pretrained = pretrain(network, X)
    >>> network.fit(X[:100], X[:100, 0] ** 2, init=pretrained).n_features_in_
    6
    """
    if not isinstance(estimator, BaseNN):
        raise TypeError(
            "pretrain needs a local sknet estimator, such as NNClassifier, got "
            f"{kind_of(estimator)}."
        )
    if not OPEN_UNIT_INTERVAL.allows(corruption):
        raise ValueError(f"corruption must be a number in (0, 1), got {corruption!r}.")
    options = {"frozen_layers": 0, "hidden_rate_factor": 1.0, "early_stopping": False}
    return _pretrained(clone(estimator).set_params(**options), X, corruption)


@checks_parameters
def _pretrained(estimator: BaseNN, X: Any, corruption: float) -> PretrainedNetwork:
    """Return the result of :func:`pretrain`, within scikit-learn's fit context."""
    budget = Budget(estimator.time_limit)
    _check_parameters(estimator)
    features, X = Features.learn(estimator, X)
    if not isinstance(X, np.ndarray):
        kind = "sparse" if sparse.issparse(X) else "read in blocks"
        raise ValueError(
            f"X is {kind}, but pretrain needs dense rows in memory. Pass some of the rows as a "
            "dense array."
        )
    run, data = Run.start(estimator.random_state), Dataset(X)
    facts = facts_of_rows(features, data)
    few = facts._replace(n_rows=min(facts.n_rows, LABELED_ROWS))
    chosen = choose(parameters_of(estimator), few, {})
    members = {name: chosen[name] for name in MEMBERS if name in chosen}
    settings = settle(estimator.set_params(**members), facts)
    survey = survey_rows(data, features.reader, features.names, rng=run.streams["tables"])
    encoder = learn_encoder(settings, survey)
    target = ColumnsTarget(encoder, corruption)
    model = ColumnsModel.start(settings, survey.reader, encoder, target, run.streams["init"])
    data = data._replace(y=X)
    result = fit_network(model, data, None, run, budget=budget)
    change = model.augmentation(run.streams["augmentation"])
    rows = change(model.blocks(data).sample(CALIBRATION_ROWS))
    if are_flat(model.objective, result.params, rows):
        warn(
            "Pre-training restores changed cells hardly better than constants would: the "
            "columns tell hardly anything about each other, alpha is too strong, or there were "
            "too few epochs. Compare with a fit without init, and leave frozen_layers at 0."
        )
    return PretrainedNetwork(features, model.trained(result), result.history)


def _check_parameters(estimator: BaseNN) -> None:
    """Refuse parameters with which the columns cannot be learned.

    Raises
    ------
    ValueError
        If the solver is not stochastic, or if columns are constrained.
    """
    if not is_stochastic(estimator.solver):
        raise ValueError(f"pretrain needs a stochastic solver, not {estimator.solver!r}.")
    for name in ("monotonic_cst", "interaction_cst"):
        if getattr(estimator, name) is not None:
            raise ValueError(
                f"pretrain cannot be used with {name}: each column is predicted from all "
                f"the others. Set {name}=None."
            )


class ColumnsModel(Model):
    """A model of the columns of a table, which it predicts from rows with changed cells."""

    target: ColumnsTarget

    def initial_change(self) -> None:
        """Return no change of the initial raw predictions."""

    @staticmethod
    def choose_loss(settings: Settings, target: ColumnsTarget) -> JointLoss:
        """Return the loss of the columns."""
        return loss_of_cells(target.n_outputs - len(target.n_levels), target.n_levels)

    def augmentation(self, rng: np.random.Generator) -> Corruption:
        """Return the corruption of cells, which replaces noise and mixup."""
        target = self.target
        return Corruption(target.corruption, self.encoder.sources_, target.sources, rng)
