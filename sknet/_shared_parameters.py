"""The parameters of all estimators, each declared once: type, values, default and meaning.

Constructors and constraints follow from the declarations (``sknet._parameters``), and
``shared_documentation`` inserts the docstrings into those of the estimators.
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY
from numbers import Real
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer_names

from sknet import _auto
from sknet._attributes import FittedAttributes
from sknet._parameters import ADAPTIVE, AUTO, FLAT_LIST, SPLITTER, Class, Off, with_parameters
from sknet._requirements import Options
from sknet.data.splits import SPLITS
from sknet.metrics import SCORERS
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, NumericEmbedding
from sknet.nn.layers import NORMALIZATIONS
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.optimizers import Solver
from sknet.nn.rules import (
    CLOSED_UNIT_INTERVAL,
    FRACTION,
    NOT_NEGATIVE,
    NOT_NEGATIVE_INT,
    POSITIVE,
    POSITIVE_INT,
    POSITIVE_OR_INFINITE,
)
from sknet.nn.schedules import SCHEDULES, Schedule

INFINITY = Options(Real, {np.inf})
SCORES = {"loss", *get_scorer_names(), *SCORERS}


@with_parameters
class SharedParameters:
    """The parameters that all estimators have. A name in braces is one of ``PLACEHOLDERS``.

    They are in the order of the signature: the five that matter most, then group by group. The
    description of the first parameter of a group begins with the group's name. The page
    ``docs/api/parameters.md`` and the site's extension ``parameter_groups`` show these names.

    Parameters
    ----------
    hidden_layer_sizes : int, array-like of int or "auto", default="auto"
        The units of each hidden layer; ``()`` stands for none. "auto" is {SIZES}, or
        {SMALL_SIZES} with few rows, mostly in classification, or with "sgd".
    activation : str, Activation or list of these, default="silu"
        The activation function, or a list with one for each hidden layer. The names are
        {activations}.
    n_members : int or "auto", default="auto"
        The number of networks. "auto" is 2 in classification (mostly {several} with few rows)
        and 1 in regression (mostly 2 with few rows), with "sgd" or with ``interaction_cst``.
    learning_rate_init : float or "auto", default="auto"
        The highest learning rate. "auto" is {LEARNING_RATE} unless batches are small or large.
    max_iter : int or "auto", default="auto"
        The maximum number of epochs, or of iterations of "lbfgs". "auto" is {EPOCHS}, other
        numbers for smaller tables, fewer above {large} rows; 200 unless the rate ends at zero.
    normalization : "layer" or None, default=None
        **Network.** With "layer", each hidden layer normalizes every row before its activation.
    numeric_embedding : str, NumericEmbedding or None, default="auto"
        The learned features added to each numeric input: "periodic" (waves),
        "piecewise_linear" (positions between quantiles), or None. "auto" depends on the task.
    n_components : int or "auto", default="auto"
        The maximum number of principal components of the numeric columns to add as inputs.
    column_scales : bool or "auto", default="auto"
        Whether each column has a learned scale for all of its inputs. "auto" is mostly True.
    share_weights : bool or "auto", default="auto"
        Whether members share large matrices. "auto" is mostly False with few rows.
    solver : str or Optimizer, default="adam"
        **Training.** The optimizer: "adam", "adamw" (with decoupled weight decay), "sgd",
        "rmsprop", or "lbfgs", which uses all rows in each step and computes in float64.
    learning_rate : str or Schedule, default="one_cycle"
        The schedule of the learning rate: "constant", "invscaling", "adaptive" (lower when
        training stalls), or "cosine", "one_cycle" or "coslog", which end at zero.
    batch_size : int or "auto", default="auto"
        The maximum number of rows in a mini-batch. "auto" grows with the number of rows.
    random_state : int, RandomState instance or None, default=None
        Determines all random numbers. Fits with the same integer are normally bit-identical.
    shuffle : bool, default=True
        Whether each epoch visits the training rows in a new random order.
    warm_start : bool, default=False
        Whether ``fit`` continues from the parameters, classes and scaling of the last fit.
    frozen_layers : int, default=0
        How many of the first hidden layers keep their weights if training continues from a fit.
    hidden_rate_factor : float, default=1.0
        The factor for the learning rate of all layers before the output layer.
    verbose : bool or int, default=False
        Whether to print a line for each epoch; an integer k prints every k-th epoch.
    momentum : float in [0, 1], default=0.9
        The momentum of "sgd": the share of its velocity that each step keeps.
    nesterovs_momentum : bool, default=True
        Whether "sgd" uses Nesterov's momentum.
    beta_1 : float in [0, 1), default=0.9
        The decay rate of the mean gradient in "adam" and "adamw".
    beta_2 : float in [0, 1), default=0.999
        The decay rate of the mean squared gradient in "adam" and "adamw".
    epsilon : float, default=1e-8
        The number that keeps "adam", "adamw" and "rmsprop" from dividing by zero.
    power_t : float, default=0.5
        The exponent of the schedule "invscaling".
    max_fun : int, default=15000
        The maximum number of evaluations of the objective by "lbfgs".
    early_stopping : bool or "auto", default="auto"
        **Stopping.** Whether to hold out validation rows, stop if scores stall, and calibrate
        probabilities. "auto": from {few}, mostly not with "sgd".
    validation_fraction : float, "auto", "last" or splitter, default="auto"
        The share of rows to hold out. "auto" is {VALIDATION_OF_FEW} below {MANY} rows or if no
        weights are shared (at most ``1 / n_members``), else {VALIDATION_OF_MANY}.
        "last" takes it from the end; a splitter of scikit-learn holds out its first test set.
    refit : bool, default=True
        Whether the last epochs also train on validation rows if the schedule ends at zero. It
        is off with ``X_val``, ``fit_chunks``, several Dask shards or over {many} training rows.
    scoring : str, callable or None, default="loss"
        The score of the validation rows, where higher is better: "loss" (the negative loss), a
        scorer's name (scikit-learn or ``sknet.metrics``), a callable, or None for ``score``.
    n_iter_no_change : int, inf or "auto", default="auto"
        The number of epochs without improvement after which training stops. A schedule that
        ends at zero adds a few epochs to get there; without early stopping, it runs in full.
    tol : float, default=1e-4
        The smallest relative improvement that counts. For "lbfgs", it also bounds the gradient.
    time_limit : float or None, default=None
        The number of seconds that ``fit`` may take. If need be, the schedule runs faster.
    alpha : float or "auto", default="auto"
        **Regularization.** The strength of the penalty on the weights, added to the mean loss:
        ``alpha * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||_2^2)``. For most tables,
        "auto" is ``{PENALTY} / n_samples``. scikit-learn divides its alpha by the batch size.
    l1_ratio : float in [0, 1], default=0.0
        The share of the L1 penalty: 0 keeps all weights small, 1 makes some exactly zero.
    dropout : float in [0, 1), "adaptive", array-like or "auto", default="auto"
        The share of each hidden layer's outputs that a step sets to zero. "auto" is up to
        {LARGEST_DROPOUT} for classes, and mostly "adaptive" for numbers: 0.1, less as R2 rises.
    input_noise : float, default=0.0
        The standard deviation of the noise that training adds to the scaled numeric inputs.
    mixup : float, default=0.0
        If positive, training mixes pairs of rows, in shares drawn from Beta(mixup, mixup).
    ema_decay : float in [0, 1) or None, default=0.995
        The decay rate of the moving average of the parameters that predictions use.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        **Table.** The categorical columns, as names, positions or a boolean mask. "from_dtype"
        takes the category, text and object columns of a data frame, except those that are read
        as numbers or dates. More than {MOST_ONE_HOT_LEVELS} levels get a learned embedding.
    standardize : bool, default=True
        Whether to scale numeric columns robustly, clip them smoothly to [-3, 3] (long tails
        in regression less), and add normal scores of tails and gaps. Regressors also scale y.
    dtype : {"auto", "float32", "float64"}, default="auto"
        The precision. "auto": float32; float64 for "lbfgs" and below {few} of float64.
    monotonic_cst : array-like of int, dict of str or None, default=None
        **Constraints.** A list, or a dict by name. As a numeric column rises, the prediction
        (of the second of two classes) never falls (1), never rises (-1) or is free (0).
    interaction_cst : {"pairwise", "no_interactions"}, list of sets of int or None, default=None
        The groups of columns that may interact, by position. Each has its own network; their
        outputs are summed. "no_interactions": functions of one column; "pairwise": also of two.
    """

    hidden_layer_sizes: Annotated[int | str | Sequence[int], AUTO, FLAT_LIST, POSITIVE_INT] = (
        "auto"
    )
    activation: Annotated[
        str | Activation | Sequence[str | Activation], ACTIVATIONS, Activation, FLAT_LIST
    ] = "silu"
    _: KW_ONLY
    n_members: Annotated[int | str, POSITIVE_INT, AUTO] = "auto"
    learning_rate_init: Annotated[float | str, AUTO, POSITIVE] = "auto"
    max_iter: Annotated[int | str, AUTO, POSITIVE_INT] = "auto"
    # Network.
    normalization: Annotated[str | None, NORMALIZATIONS, None] = None
    numeric_embedding: Annotated[
        str | NumericEmbedding | None, {"auto", *NUMERIC_EMBEDDINGS}, NumericEmbedding, None
    ] = "auto"
    n_components: Annotated[int | str, NOT_NEGATIVE_INT, AUTO] = "auto"
    column_scales: Annotated[bool | str, AUTO, "boolean"] = "auto"
    share_weights: Annotated[bool | str, AUTO, "boolean"] = "auto"
    # Training.
    solver: Annotated[str | Solver, SOLVERS, Solver] = "adam"
    learning_rate: Annotated[str | Schedule, SCHEDULES, Schedule, Off("constant")] = "one_cycle"
    batch_size: Annotated[int | str, AUTO, POSITIVE_INT] = "auto"
    random_state: Annotated[int | np.random.RandomState | None, "random_state"] = None
    shuffle: Annotated[bool, "boolean"] = True
    warm_start: Annotated[bool, "boolean"] = False
    frozen_layers: Annotated[int, NOT_NEGATIVE_INT, Off(0)] = 0
    hidden_rate_factor: Annotated[float, POSITIVE, Off(1.0)] = 1.0
    verbose: Annotated[bool | int, "verbose"] = False
    momentum: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.9
    nesterovs_momentum: Annotated[bool, "boolean"] = True
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, POSITIVE] = 1e-8
    power_t: Annotated[float, NOT_NEGATIVE] = 0.5
    max_fun: Annotated[int, POSITIVE_INT] = 15000
    # Stopping.
    early_stopping: Annotated[bool | str, AUTO, "boolean"] = "auto"
    validation_fraction: Annotated[Any, {"auto", *SPLITS}, FRACTION, SPLITTER] = "auto"
    refit: Annotated[bool, "boolean"] = True
    scoring: Annotated[str | Callable | None, SCORES, callable, None] = "loss"
    n_iter_no_change: Annotated[float | str, AUTO, POSITIVE_INT, INFINITY] = "auto"
    tol: Annotated[float, NOT_NEGATIVE] = 1e-4
    time_limit: Annotated[float | None, POSITIVE_OR_INFINITE, None] = None
    # Regularization.
    alpha: Annotated[float | str, AUTO, NOT_NEGATIVE] = "auto"
    l1_ratio: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.0
    dropout: Annotated[
        float | str | Sequence[float | str], {ADAPTIVE, "auto"}, FRACTION, FLAT_LIST, Off()
    ] = "auto"
    input_noise: Annotated[float, NOT_NEGATIVE, Off()] = 0.0
    mixup: Annotated[float, NOT_NEGATIVE, Off()] = 0.0
    ema_decay: Annotated[float | None, FRACTION, None, Off(None)] = 0.995
    # Table.
    categorical_features: Annotated[str | ArrayLike | None, {"from_dtype"}, FLAT_LIST, None] = (
        "from_dtype"
    )
    standardize: Annotated[bool, "boolean"] = True
    dtype: Annotated[str, {"auto", "float32", "float64"}] = "auto"
    # Constraints.
    monotonic_cst: Annotated[ArrayLike | dict[str, int] | None, "array-like", dict, None] = None
    interaction_cst: Annotated[
        str | Sequence[Collection[int]] | None,
        {"pairwise", "no_interactions"},
        list,
        tuple,
        None,
    ] = None


def _spaced(number: int) -> str:
    """Return an integer with spaces between groups of three digits."""
    return f"{number:,}".replace(",", " ")


#: What replaces the names in braces in the docstring of ``SharedParameters``: the constants of
#: ``sknet._auto``, by their names, and the texts below.
PLACEHOLDERS: dict[str, Any] = {
    **vars(_auto),
    "activations": ", ".join(f'"{name}"' for name in ACTIVATIONS),
    "large": _spaced(_auto.ROW_VISITS // _auto.EPOCHS),
    "many": _spaced(_auto.MANY_ROWS),
    "few": f"{_auto.SMALL} (or {_auto.SMALL_WITHOUT_CROSS_FITTING}) rows",
    "several": f"{_auto.FEWEST_MEMBERS} to {_auto.MOST_MEMBERS}",
}


def shared_documentation(cls: Class) -> Class:
    """Insert the shared sections into a class's docstring; use this as a decorator."""
    sections = {
        "parameters": _section(SharedParameters, "Parameters"),
        "attributes": _section(FittedAttributes, "Attributes"),
    }
    cls.__doc__ = with_sections(cls.__doc__ or "", sections)
    return cls


def _section(cls: type, heading: str) -> str:
    """Return the last section of a class's docstring, without its heading."""
    docstring = inspect.cleandoc(cls.__doc__ or "")
    _, _, section = docstring.partition(f"\n{heading}\n{'-' * len(heading)}\n")
    return re.sub(r"\{(\w+)\}", lambda found: str(PLACEHOLDERS[found[1]]), section)


def with_sections(docstring: str, sections: Mapping[str, str]) -> str:
    """Return a docstring in which a section replaces each line with its name in braces."""
    by_line = {"{" + name + "}": text for name, text in sections.items()}
    lines = inspect.cleandoc(docstring).splitlines()
    return "\n".join(by_line.get(line.strip(), line) for line in lines)
