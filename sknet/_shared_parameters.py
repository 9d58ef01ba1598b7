"""The parameters of both estimators, each said once: type, values, default and meaning.

Constructors and constraints follow from the declarations (``sknet._parameters``), and
``shared_documentation`` inserts the docstrings into those of the estimators.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY
from numbers import Real
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer_names

from sknet import _auto, _building
from sknet._attributes import FittedAttributes
from sknet._parameters import AUTO, FLAT_LIST, Class, Off, with_parameters
from sknet._requirements import Options
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, NumericEmbedding
from sknet.nn.layers import NORMALIZATIONS
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.optimizers import OPTIMIZERS, Solver
from sknet.nn.rules import (
    CLOSED_UNIT_INTERVAL,
    FRACTION,
    NOT_NEGATIVE,
    NOT_NEGATIVE_INT,
    POSITIVE,
    POSITIVE_INT,
)
from sknet.nn.schedules import SCHEDULES, Schedule

INFINITY = Options(Real, {np.inf})


@with_parameters
class SharedParameters:
    """The parameters that both estimators have. A name in braces is one of ``PLACEHOLDERS``.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        The number of units of each hidden layer, from the first to the last. ``()`` stands for
        no hidden layer, which is a linear model. With ``interaction_cst``, the units are
        divided among the groups of columns.
    activation : str, Activation or list of these, default="silu"
        The activation function of the hidden layers: one for all of them, or a list with one
        for each. The names are {activations}. An instance of an ``Activation`` of
        ``sknet.nn.activations``, such as ``LeakyReLU(slope=0.1)``, sets its options too.
    solver : str or Optimizer, default="adam"
        The algorithm that minimises the objective. The names are {solvers}. An instance of an
        ``Optimizer`` of ``sknet.nn.optimizers``, such as ``Adam(beta_1=0.8)``, sets its options
        too. All but "lbfgs" are stochastic: each step uses the gradient of one mini-batch.
        "lbfgs" uses all rows in each iteration and computes in float64; ``max_iter`` is then
        the largest number of iterations, and training ends when no component of the projected
        gradient is larger than ``tol``. "adamw" is "adam" with a decoupled L2 penalty: each
        step multiplies the weights by one minus ``alpha * (1 - l1_ratio)`` times the learning
        rate.
    alpha : float or "auto", default="auto"
        The strength of the penalty
        ``alpha * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||_2^2)``, which is added to the
        mean loss. W stands for all weight matrices; biases are not penalised. The penalty does
        not depend on the batch size: scikit-learn's alpha gives the same penalty when it is
        divided by the batch size, or by ``n_samples`` for "lbfgs". "auto" is
        ``{PENALTY} / n_samples``, and for classification more if there are fewer than
        {ROWS_PER_INPUT} rows for each input; it is {ALPHA_OF_FEW} for fewer than {SMALL}
        training rows, ``{PENALTY_OF_GROUPS} / n_samples`` with ``interaction_cst``, and
        {LBFGS_ALPHA} for "lbfgs". In ``partial_fit``, ``n_samples`` counts the rows of all
        calls. Unless alpha is 0, the learned vectors of levels have an L2 penalty of their own,
        which is the stronger, the less the levels tell about y (not with "lbfgs" or in
        ``partial_fit``).
    l1_ratio : float in [0, 1], default=0.0
        The share of the L1 penalty. With 0 the penalty is L2, which keeps all weights small;
        with 1 it is L1, which makes weights exactly zero.
    batch_size : int or "auto", default="auto"
        The largest number of rows of a mini-batch. The rows of an epoch are divided evenly into
        as few batches as that takes. "auto" is all rows for fewer than {SMALL} training rows,
        else ``n_samples / {BATCHES}`` with at least {SMALLEST_BATCH} and at most
        {LARGEST_BATCH} rows; for more than {rows_of_many_batches} training rows it is
        ``n_samples / {BATCHES_OF_MANY}``, at most {LARGEST_BATCH_OF_MANY}; above
        {rows_of_most_batches} it is ``n_samples / {BATCHES_OF_MOST}``, at most
        {LARGEST_BATCH_OF_MOST}. Not used by "lbfgs".
    learning_rate : str or Schedule, default="one_cycle"
        The schedule of the learning rate, which is a factor that ``learning_rate_init`` is
        multiplied by. The names are
        {schedules}. An instance of a ``Schedule`` of ``sknet.nn.schedules``
        sets its options too. All stochastic solvers follow the schedule.

        - "constant": the factor is 1.
        - "invscaling": the factor is ``1 / (t + 1) ** power_t``, where t is the number of rows
          seen in earlier epochs.
        - "cosine": the factor falls from 1 to zero along half a cosine.
        - "one_cycle": the factor rises to 1 in the first part of training, then falls to zero.
        - "coslog": the factor rises and falls in four cycles, each longer than the one before,
          and ends at zero.
        - "adaptive": the learning rate is constant; when training would stop for want of
          improvement, it is divided by five instead, until it is at most 1e-6.

        "cosine", "one_cycle" and "coslog" end after ``max_iter`` epochs.
    learning_rate_init : float or "auto", default="auto"
        The learning rate that the schedule multiplies. It is the highest learning rate of
        training. "auto" is {LEARNING_RATE} for batches of the usual size, which is the
        default ``batch_size`` but at most {LARGEST_BATCH} rows. For batches of another size
        it is multiplied by the square root of ``batch_size`` / usual size, where this quotient
        counts as at most {LARGEST_GROWTH}, and as at most 1 in regression: the noise of a
        gradient falls with the square root of the rows.
    power_t : float, default=0.5
        The exponent of the "invscaling" schedule.
    max_iter : int or "auto", default="auto"
        The largest number of epochs, or of iterations of "lbfgs". "auto" depends on the
        schedule. If the learning rate falls to zero by design, it is {EPOCHS}; on small tables
        more, until there are {MIN_UPDATES} updates or {MOST_EPOCHS} epochs; for more than
        {rows_of_fewer_epochs} training rows fewer, so that {millions_of_visits} million rows
        are visited, but at least {FEWEST_EPOCHS}; and {EPOCHS_OF_FEW} for fewer than {SMALL}
        training rows. For other schedules and for "lbfgs" it is {UNPLANNED_EPOCHS}.
    shuffle : bool, default=True
        Whether each epoch visits the training rows in a new random order.
    random_state : int, RandomState instance or None, default=None
        Determines the initial parameters, the validation split, the order of the rows, dropout,
        noise and mixtures of rows. Two fits with the same integer give bit-identical results;
        for "lbfgs" the number of BLAS threads must be the same, too.
    tol : float, default=1e-4
        The relative tolerance of improvement: an epoch counts as an improvement if it is better
        than the best value so far by more than ``tol`` times that value. For "lbfgs" also the
        bound of the gradient.
    verbose : bool or int, default=False
        Whether to print a line for each epoch. An integer k prints every k-th epoch.
        :func:`~sknet.streaming.fit_chunks` also shows how many rows of an epoch are done.
    warm_start : bool, default=False
        Whether ``fit`` starts from the parameters, the classes and the scaling of the last fit
        instead of from random parameters. The parameters of the layers, of the encodings
        (``standardize``, ``categorical_features``, ``numeric_embedding``, ``n_components``) and
        of the constraints must be those of the last fit. The state of the optimizer, the count
        of epochs without improvement and the history start anew. As in scikit-learn, y must
        have the same classes as in the last fit; ``partial_fit`` takes rows of some of them.
    momentum : float in [0, 1], default=0.9
        The momentum of the "sgd" solver: the share of its velocity that each step keeps.
    nesterovs_momentum : bool, default=True
        Whether the "sgd" solver uses Nesterov's momentum.
    early_stopping : bool or "auto", default="auto"
        Whether to hold out validation rows, compute ``scoring`` on them after each epoch, stop
        after ``n_iter_no_change`` epochs without improvement, and restore the parameters of the
        best epoch, or go on from there (see ``refit``). The validation rows also calibrate the
        probabilities of a classifier: one factor of at most one multiplies its logits. "auto"
        is True for {SMALL} training rows or more. Rows that are given to ``fit`` as ``X_val``
        also switch it on. ``partial_fit`` ignores this parameter.
    validation_fraction : float or "auto", default="auto"
        The share of the training rows that early stopping holds out. The rows are stratified by
        class where each class has enough rows. With ``share_weights=False`` it is the share
        that is held out of each member. "auto" is {VALIDATION_OF_FEW} for fewer than {MANY}
        training rows and for members that share no weights (at most 1 / ``n_members``), else
        {VALIDATION_OF_MANY}.
    refit : bool, default=True
        Whether the training ends on all rows, if early stopping has held some of them out and
        the learning rate falls to zero by plan. Once the score has stopped improving, the
        training then goes back to the best epoch, and the learning rate falls to zero while
        validation rows are trained on, too. The epochs of this cool-down have no validation
        score. With False, and with ``X_val``, no validation row is ever trained on. More than
        {many_rows} training rows, "lbfgs", ``partial_fit``, ``fit_chunks`` and several shards
        of a cluster ignore this parameter.
    beta_1 : float in [0, 1), default=0.9
        The decay rate of the running mean of the gradient in "adam" and "adamw".
    beta_2 : float in [0, 1), default=0.999
        The decay rate of the running mean of the squared gradient in "adam" and "adamw".
    epsilon : float, default=1e-8
        A small number that the solvers "adam", "adamw" and "rmsprop" add to a denominator, so
        that they do not divide by zero.
    n_iter_no_change : int, inf or "auto", default="auto"
        The number of successive epochs without improvement after which training stops. The
        validation score must improve with early stopping, else the objective. If the learning
        rate falls to zero by design ("cosine", "one_cycle", "coslog"), it falls to zero in a
        few epochs first: on all rows as ``refit`` says, else within {COOLING} of ``max_iter``
        epochs. Without early stopping, training with such a learning rate always makes
        ``max_iter`` epochs. The schedule is not shortened as long as the validation loss is not
        below that of a constant by more than chance: some networks learn nothing before the
        learning rate is high. With inf it runs to its end. "auto" is {PLANNED_PATIENCE} of
        ``max_iter`` with such a learning rate, at least {LEAST_PATIENCE} and, for classes by
        numbers alone, at most {PATIENCE}; and {PATIENCE} otherwise.
    max_fun : int, default=15000
        The largest number of evaluations of the objective by the "lbfgs" solver.
    dropout : float in [0, 1), array-like or "auto", default="auto"
        The share of the outputs of a hidden layer that each training step sets to zero at
        random: one number for all hidden layers, or one for each. "auto" is {DROPOUT} for
        {SMALL} training rows or more, else 0. For classification with few rows for each input
        it is up to {LARGEST_DROPOUT}. For "lbfgs" and with ``interaction_cst`` it is 0.
    normalization : "layer" or None, default=None
        With "layer", each hidden layer normalises the weighted sums of each row to mean 0 and
        variance 1 before the activation (layer normalization).
    input_noise : float, default=0.0
        The standard deviation of Gaussian noise that is added to the scaled numeric inputs of
        each training batch.
    mixup : float, default=0.0
        If positive, each training batch consists of mixtures of pairs of rows, whose shares are
        drawn from the distribution Beta(mixup, mixup).
    ema_decay : float in [0, 1) or None, default=0.995
        The decay rate of an exponential moving average of the parameters. Predictions and
        validation use the average. In the first steps the rate is smaller, so that the average
        forgets the initial parameters. None switches the average off.
    n_members : int or "auto", default="auto"
        The number of members of an ensemble that is trained as one network (BatchEnsemble). The
        members share the weight matrices of the hidden layers; each has its own scales of the
        inputs of a layer, its own biases and its own output layer. Training minimises the mean
        of the members' losses, and predictions are the mean of the members' predictions. With
        ``interaction_cst``, each member has networks of its own, and the mean is one of the raw
        predictions, before the link, so that it remains a sum over the groups. "auto" is
        {SEPARATE_MEMBERS} for classification and {SEPARATE_MEMBERS_OF_NUMBERS} for regression
        if the members share no weights, otherwise 2 and 1; it is 1 with ``interaction_cst``.
    share_weights : bool or "auto", default="auto"
        Whether the members of an ensemble share their embeddings and large weight matrices.
        Members that share nothing but the encoding of X take more time, and are more accurate
        where rows are few. Early stopping then holds other rows out of each member, so that it
        judges by more rows (cross-fitting), unless ``X_val`` is given, ``scoring`` is not
        "loss" or ``validation_fraction`` is larger than 1 / ``n_members``. "auto" is False from
        {SMALL} to {last_separate} training rows with the default ``hidden_layer_sizes``, if X
        is dense, numbers are embedded and no constraint ties the columns. Otherwise it is True,
        as for "sgd", "lbfgs" and ``partial_fit``.
    interaction_cst : {"pairwise", "no_interactions"}, list of sets of int or None, default=None
        Groups of columns that may interact, as in scikit-learn's HistGradientBoosting. Each
        group has a network of its own, and their outputs add up before the link. A group is a
        set, list or tuple of positions of columns of X. A column may be in several groups. The
        columns that are in none form one further group. With "no_interactions", each column is
        a group, and the network is an additive model. With "pairwise", it is a sum of functions
        of at most two columns: each column has a network, and the interaction of two columns is
        a sum of products of {N_FACTORS} outputs of their networks, so that the time is
        proportional to the number of columns and not of pairs. The hidden layers of all groups
        together have twice ``hidden_layer_sizes`` units. A group has as many as the others, at
        least {LEAST_UNITS} and at most the given number. Without hidden layers no columns
        interact. None lets all columns interact. :func:`sknet.inspection.shape_functions`
        returns the functions of a fitted network.
    scoring : str, callable or None, default="loss"
        The score of the validation rows that early stopping watches; higher is better. "loss"
        is minus the loss without the penalty. Other values are the name of a scorer of
        scikit-learn, a callable, or None for the ``score`` method of the estimator. A callable
        is called with the estimator, with X and y in the form in which they were given to
        ``fit``, and with ``sample_weight`` if rows have weights.
    standardize : bool, default=True
        Whether to scale the inputs. Each numeric column is centred at its median, divided by
        its interquartile range and clipped smoothly to the range from -3 to 3, so that outliers
        keep their order but do not dominate. Sparse columns are scaled but not centred. The
        regressor scales y too. Without scaling, inputs are cut at 1e15 and -1e15.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        The columns of X that are categories. "from_dtype" takes the columns of a data frame
        that have a category, string or object dtype, except dates and durations, which are
        encoded as such and are never categories. An array-like holds names, positions or a
        boolean mask of the columns. None means that there are none. A category with up to
        {MOST_ONE_HOT_LEVELS} levels is one-hot encoded; one with more levels gets a learned
        embedding of {EMBEDDING_SIZE} numbers for each level. Missing values and levels that
        occur once in training share one level. A level not seen in training counts as missing.
    monotonic_cst : array-like of int, dict of str or None, default=None
        The direction in which the predictions move with each numeric column, all other columns
        being equal: 1 if they never fall as the column rises, -1 if they never rise, 0 for no
        constraint. An array-like has an entry for each column, a dict those of some columns by
        their names. For a classifier it is the direction of the probability of the second
        class. Constraints are for regression and for two classes, and not for categories. For
        the loss "normal" the mean keeps the direction, and the standard deviation is free. Half
        of the units of each hidden layer then see the constrained columns, through weights of
        one sign; where ``activation`` is not monotone, these units use a smooth rectifier. With
        ``interaction_cst``, the function of each group keeps the directions. A missing value is
        not compared with others.
    numeric_embedding : str, NumericEmbedding or None, default="auto"
        The learned features that join each numeric input in the first layer. The names are
        {embeddings}. An instance of a ``NumericEmbedding`` of ``sknet.nn.embeddings``, such as
        ``Periodic(n_frequencies=32)``, sets its options too. "periodic" adds 3 mixtures of
        cosine waves of the number. "piecewise_linear" adds 15 mixtures of the number's
        positions within quantile bins; there is a bin for each {ROWS_PER_BIN} training rows,
        with at least {FEWEST_BINS} and at most {MOST_BINS} bins (with ``interaction_cst``, one
        for each {ROWS_PER_BIN_OF_GROUPS} rows and at most {MOST_BINS_OF_GROUPS}). None adds
        nothing. With "periodic", single values of a column that hold far more rows than the
        values around them, such as a zero that most rows have, get an indicator each. "auto" is
        "periodic" for classification and "piecewise_linear" for regression and with
        ``interaction_cst``; for more than {FULLY_EMBEDDED} numeric columns, or fewer than
        {ROWS_PER_EMBEDDED} rows for each, it has fewer waves and mixtures. It is None for fewer
        than {SMALL} training rows, for sparse X and for "lbfgs".
    n_components : int or "auto", default="auto"
        The largest number of principal components of the scaled numeric columns that join the
        inputs of the first hidden layer. They have mean zero, variance one and no correlation,
        so that the network learns what small differences between similar columns mean.
        Components with less than a millionth of the variance are left out, and so are
        components beyond the number of columns. Columns whose correlations may be chance have
        none. 0 adds none. "auto" is the number of numeric columns, but at most
        {MOST_COMPONENTS}, and at most one for each {ROWS_PER_COMPONENT} training rows in
        regression and {ROWS_PER_COMPONENT_OF_CLASSES} in classification. It is 0 where
        ``numeric_embedding`` is None, for a single numeric column, for fewer than {SMALL}
        training rows, for "lbfgs", and with constraints.
    dtype : {"auto", "float32", "float64"}, default="auto"
        The precision in which the network computes. "auto" is "float64" for "lbfgs", and for X
        of float64 with fewer than {SMALL} training rows, else "float32".
    """

    hidden_layer_sizes: Annotated[int | Sequence[int], FLAT_LIST, POSITIVE_INT] = _auto.SIZES
    activation: Annotated[
        str | Activation | Sequence[str | Activation], ACTIVATIONS, Activation, FLAT_LIST
    ] = "silu"
    _: KW_ONLY
    solver: Annotated[str | Solver, SOLVERS, Solver] = "adam"
    alpha: Annotated[float | str, AUTO, NOT_NEGATIVE] = "auto"
    l1_ratio: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.0
    batch_size: Annotated[int | str, AUTO, POSITIVE_INT] = "auto"
    learning_rate: Annotated[str | Schedule, SCHEDULES, Schedule, Off("constant")] = "one_cycle"
    learning_rate_init: Annotated[float | str, AUTO, POSITIVE] = "auto"
    power_t: Annotated[float, NOT_NEGATIVE] = 0.5
    max_iter: Annotated[int | str, AUTO, POSITIVE_INT] = "auto"
    shuffle: Annotated[bool, "boolean"] = True
    random_state: Annotated[int | np.random.RandomState | None, "random_state"] = None
    tol: Annotated[float, NOT_NEGATIVE] = 1e-4
    verbose: Annotated[bool | int, "verbose"] = False
    warm_start: Annotated[bool, "boolean"] = False
    momentum: Annotated[float, CLOSED_UNIT_INTERVAL] = 0.9
    nesterovs_momentum: Annotated[bool, "boolean"] = True
    early_stopping: Annotated[bool | str, AUTO, "boolean"] = "auto"
    validation_fraction: Annotated[float | str, AUTO, FRACTION] = "auto"
    refit: Annotated[bool, "boolean"] = True
    beta_1: Annotated[float, FRACTION] = 0.9
    beta_2: Annotated[float, FRACTION] = 0.999
    epsilon: Annotated[float, POSITIVE] = 1e-8
    n_iter_no_change: Annotated[float | str, AUTO, POSITIVE_INT, INFINITY] = "auto"
    max_fun: Annotated[int, POSITIVE_INT] = 15000
    dropout: Annotated[float | str | Sequence[float], AUTO, FRACTION, FLAT_LIST, Off()] = "auto"
    normalization: Annotated[str | None, NORMALIZATIONS, None] = None
    input_noise: Annotated[float, NOT_NEGATIVE, Off()] = 0.0
    mixup: Annotated[float, NOT_NEGATIVE, Off()] = 0.0
    ema_decay: Annotated[float | None, FRACTION, None, Off(None)] = 0.995
    n_members: Annotated[int | str, POSITIVE_INT, AUTO] = "auto"
    share_weights: Annotated[bool | str, AUTO, "boolean"] = "auto"
    interaction_cst: Annotated[
        str | Sequence[Collection[int]] | None,
        {"pairwise", "no_interactions"},
        list,
        tuple,
        None,
    ] = None
    scoring: Annotated[str | Callable | None, {"loss", *get_scorer_names()}, callable, None] = (
        "loss"
    )
    standardize: Annotated[bool, "boolean"] = True
    categorical_features: Annotated[str | ArrayLike | None, {"from_dtype"}, FLAT_LIST, None] = (
        "from_dtype"
    )
    monotonic_cst: Annotated[ArrayLike | dict[str, int] | None, "array-like", dict, None] = None
    numeric_embedding: Annotated[
        str | NumericEmbedding | None, {"auto", *NUMERIC_EMBEDDINGS}, NumericEmbedding, None
    ] = "auto"
    n_components: Annotated[int | str, NOT_NEGATIVE_INT, AUTO] = "auto"
    dtype: Annotated[str, {"auto", "float32", "float64"}] = "auto"


def _names(registry: Iterable[str], *others: str) -> str:
    """Return names in braces, as docstrings list them."""
    return "{" + ", ".join(f'"{name}"' for name in [*registry, *others]) + "}"


def _spaced(number: int) -> str:
    """Return an integer with spaces between groups of three digits."""
    return f"{number:,}".replace(",", " ")


#: What stands for the names in braces in the docstring of ``SharedParameters``: the constants
#: of ``sknet._auto`` and ``sknet._building`` by their names, and these.
PLACEHOLDERS: dict[str, Any] = {
    **vars(_building),
    **vars(_auto),
    "activations": _names(ACTIVATIONS),
    "solvers": _names(OPTIMIZERS, "lbfgs"),
    "schedules": _names(SCHEDULES),
    "embeddings": _names(["auto", *NUMERIC_EMBEDDINGS]),
    "rows_of_many_batches": _spaced(_auto.LARGEST_BATCH * _auto.BATCHES_OF_MANY),
    "rows_of_most_batches": _spaced(_auto.LARGEST_BATCH_OF_MANY * _auto.BATCHES_OF_MOST),
    "rows_of_fewer_epochs": _spaced(_auto.ROW_VISITS // _auto.EPOCHS),
    "millions_of_visits": _auto.ROW_VISITS // 10**6,
    "last_separate": _spaced(_auto.SEPARATE_ROWS - 1),
    "many_rows": _spaced(_auto.MANY_ROWS),
}


def shared_documentation(cls: Class) -> Class:
    """Insert the shared sections into a class's docstring, a decorator."""
    entries = _entries(SharedParameters, "Parameters")
    kinds = [one.kind for one in inspect.signature(SharedParameters).parameters.values()]
    n_positional = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    sections = {
        "parameters": "\n".join(entries[:n_positional]),
        "more_parameters": "\n".join(entries[n_positional:]),
        "attributes": "\n".join(_entries(FittedAttributes, "Attributes")),
    }
    cls.__doc__ = with_sections(cls.__doc__ or "", sections)
    return cls


def _entries(cls: type, heading: str) -> list[str]:
    """Return the entries of the last section of a class's docstring."""
    docstring = inspect.cleandoc(cls.__doc__ or "")
    _, _, section = docstring.partition(f"\n{heading}\n{'-' * len(heading)}\n")
    filled = re.sub(r"\{(\w+)\}", lambda found: str(PLACEHOLDERS[found[1]]), section)
    return re.split(r"\n(?=\S)", filled)


def with_sections(docstring: str, sections: Mapping[str, str]) -> str:
    """Return a docstring in which a section replaces each line with its name in braces."""
    by_line = {"{" + name + "}": text for name, text in sections.items()}
    lines = inspect.cleandoc(docstring).splitlines()
    return "\n".join(by_line.get(line.strip(), line) for line in lines)
