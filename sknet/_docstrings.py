"""The documentation of what both estimators share, written once.

Numbers of the "auto" rules come from the constants of ``sknet._auto``.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import TypeVar

from sknet import _auto
from sknet._building import LEAST_UNITS, N_FACTORS
from sknet.nn.activations import ACTIVATIONS
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.schedules import SCHEDULES

Class = TypeVar("Class", bound=type)


def _names(registry: Iterable[str], *others: str) -> str:
    """Return names in braces, as docstrings list them."""
    return "{" + ", ".join(f'"{name}"' for name in [*registry, *others]) + "}"


def _spaced(number: int) -> str:
    """Return an integer with spaces between groups of three digits."""
    return f"{number:,}".replace(",", " ")


PARAMETERS = f"""
hidden_layer_sizes : int or array-like of int, default=(128, 128)
    The number of units of each hidden layer, from the first to the last. ``()`` stands for
    no hidden layer, which is a linear model. With ``interaction_cst``, the units are divided
    among the groups of columns.
activation : str, Activation or list of these, default="silu"
    The activation function of the hidden layers: one for all of them, or a list with one for
    each. The names are {_names(ACTIVATIONS)}. An instance of an ``Activation`` of
    ``sknet.nn.activations``, such as ``LeakyReLU(slope=0.1)``, sets its options too.
""".strip()

MORE_PARAMETERS = f"""
solver : str or Optimizer, default="adam"
    The algorithm that minimises the objective. The names are
    {_names(OPTIMIZERS, "lbfgs")}. An instance of an ``Optimizer`` of
    ``sknet.nn.optimizers``, such as ``Adam(beta_1=0.8)``, sets its options too. All but
    "lbfgs" are stochastic: each step uses the gradient of one mini-batch. "lbfgs" uses all
    rows in each iteration and computes in float64; ``max_iter`` is then the largest number of
    iterations, and training ends when no component of the projected gradient is larger than
    ``tol``. "adamw" is "adam" with a decoupled L2 penalty: each step multiplies the weights
    by one minus ``alpha * (1 - l1_ratio)`` times the learning rate.
alpha : float or "auto", default="auto"
    The strength of the penalty
    ``alpha * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||_2^2)``, which is added to the
    mean loss. W stands for all weight matrices; biases are not penalised. The penalty does not
    depend on the batch size: scikit-learn's alpha gives the same penalty when it is divided by
    the batch size, or by ``n_samples`` for "lbfgs". "auto" is
    ``{_auto.PENALTY} / n_samples``, and for classification more if there are fewer than
    {_auto.ROWS_PER_INPUT} rows for each input; it is {_auto.ALPHA_OF_FEW} for fewer than
    {_auto.SMALL} training rows, ``{_auto.PENALTY_OF_GROUPS} / n_samples`` with
    ``interaction_cst``, and {_auto.LBFGS_ALPHA} for "lbfgs". In ``partial_fit``, ``n_samples``
    counts the rows of all calls. Unless alpha is 0, the learned vectors of levels have an L2
    penalty of their own, which is the stronger, the less the levels tell about y (not with
    "lbfgs" or in ``partial_fit``).
l1_ratio : float in [0, 1], default=0.0
    The share of the L1 penalty. With 0 the penalty is L2, which keeps all weights small; with
    1 it is L1, which makes weights exactly zero.
batch_size : int or "auto", default="auto"
    The largest number of rows of a mini-batch. The rows of an epoch are divided evenly into as
    few batches as that takes. "auto" is all rows for fewer than {_auto.SMALL} training rows,
    else ``n_samples / {_auto.BATCHES}`` with at least {_auto.SMALLEST_BATCH} and at most
    {_auto.LARGEST_BATCH} rows; for more than
    {_spaced(_auto.LARGEST_BATCH * _auto.BATCHES_OF_MANY)} training rows it is
    ``n_samples / {_auto.BATCHES_OF_MANY}``, at most {_auto.LARGEST_BATCH_OF_MANY}; above
    {_spaced(_auto.LARGEST_BATCH_OF_MANY * _auto.BATCHES_OF_MOST)} it is
    ``n_samples / {_auto.BATCHES_OF_MOST}``, at most {_auto.LARGEST_BATCH_OF_MOST}. Not used by
    "lbfgs".
learning_rate : str or Schedule, default="one_cycle"
    The schedule of the learning rate, which is a factor that ``learning_rate_init`` is
    multiplied by. The names are
    {_names(SCHEDULES)}. An instance of a ``Schedule`` of ``sknet.nn.schedules``
    sets its options too. All stochastic solvers follow the schedule.

    - "constant": the factor is 1.
    - "invscaling": the factor is ``1 / (t + 1) ** power_t``, where t is the number of rows
      seen in earlier epochs.
    - "cosine": the factor falls from 1 to zero along half a cosine.
    - "one_cycle": the factor rises to 1 in the first part of training, then falls to zero.
    - "coslog": the factor rises and falls in four cycles, each longer than the one before, and
      ends at zero.
    - "adaptive": the learning rate is constant; when training would stop for want of
      improvement, it is divided by five instead, until it is at most 1e-6.

    "cosine", "one_cycle" and "coslog" end after ``max_iter`` epochs.
learning_rate_init : float or "auto", default="auto"
    The learning rate that the schedule multiplies. It is the highest learning rate of
    training. "auto" is {_auto.LEARNING_RATE} for batches of the usual size, which is the
    default ``batch_size`` but at most {_auto.LARGEST_BATCH} rows. For batches of another size
    it is multiplied by the square root of ``batch_size`` / usual size, where this quotient
    counts as at most {_auto.LARGEST_GROWTH}: the noise of a gradient falls with the square root
    of the rows.
power_t : float, default=0.5
    The exponent of the "invscaling" schedule.
max_iter : int or "auto", default="auto"
    The largest number of epochs, or of iterations of "lbfgs". "auto" depends on the schedule.
    If the learning rate falls to zero by design, it is {_auto.EPOCHS}; on small tables more,
    until there are {_auto.MIN_UPDATES} updates or {_auto.MOST_EPOCHS} epochs; for more than
    {_spaced(_auto.ROW_VISITS // _auto.EPOCHS)} training rows fewer, so that
    {_auto.ROW_VISITS // 10**6} million rows are visited, but at least {_auto.FEWEST_EPOCHS};
    and {_auto.EPOCHS_OF_FEW} for fewer than {_auto.SMALL} training rows. For other
    schedules and for "lbfgs" it is {_auto.UNPLANNED_EPOCHS}.
shuffle : bool, default=True
    Whether each epoch visits the training rows in a new random order.
random_state : int, RandomState instance or None, default=None
    Determines the initial parameters, the validation split, the order of the rows, dropout,
    noise and mixtures of rows. Two fits with the same integer give bit-identical results; for
    "lbfgs" the number of BLAS threads must be the same, too.
tol : float, default=1e-4
    The relative tolerance of improvement: an epoch counts as an improvement if it is better
    than the best value so far by more than ``tol`` times that value. For "lbfgs" also the
    bound of the gradient.
verbose : bool or int, default=False
    Whether to print a line for each epoch. An integer k prints every k-th epoch.
warm_start : bool, default=False
    Whether ``fit`` starts from the parameters, the classes and the scaling of the last fit
    instead of from random parameters. The parameters of the layers, of the encodings
    (``standardize``, ``categorical_features``, ``numeric_embedding``, ``n_components``) and of
    the constraints must be those of the last fit. The state of the optimizer, the count of
    epochs without improvement and the history start anew. As in scikit-learn, y must have the
    same classes as in the last fit; ``partial_fit`` takes rows of some of them.
momentum : float in [0, 1], default=0.9
    The momentum of the "sgd" solver: the share of its velocity that each step keeps.
nesterovs_momentum : bool, default=True
    Whether the "sgd" solver uses Nesterov's momentum.
early_stopping : bool or "auto", default="auto"
    Whether to hold out validation rows, compute ``scoring`` on them after each epoch, stop
    after ``n_iter_no_change`` epochs without improvement, and restore the parameters of the
    best epoch, or go on from there (see ``refit``). The validation rows also calibrate the
    probabilities of a classifier: one factor of at most one multiplies its logits. "auto" is
    True for {_auto.SMALL} training rows or more. Rows that are given to ``fit`` as ``X_val``
    also switch it on. ``partial_fit`` ignores this parameter.
validation_fraction : float or "auto", default="auto"
    The share of the training rows that early stopping holds out. The rows are stratified by
    class where each class has enough rows. "auto" is {_auto.VALIDATION_OF_FEW} for fewer than
    {_auto.MANY} training rows, else {_auto.VALIDATION_OF_MANY}.
refit : bool, default=True
    Whether the training ends on all rows, if early stopping has held some of them out and the
    learning rate falls to zero by plan. Once the score has stopped improving, the training
    then goes back to the best epoch, and the learning rate falls to zero while validation rows
    are trained on, too. The epochs of this cool-down have no validation score. With False, and
    with ``X_val``, no validation row is ever trained on. More than
    {_spaced(_auto.MANY_ROWS)} training rows, "lbfgs", ``partial_fit``, ``fit_chunks`` and
    several shards of a cluster ignore this parameter.
beta_1 : float in [0, 1), default=0.9
    The decay rate of the running mean of the gradient in the solvers "adam" and "adamw".
beta_2 : float in [0, 1), default=0.999
    The decay rate of the running mean of the squared gradient in the solvers "adam" and
    "adamw".
epsilon : float, default=1e-8
    A small number that the solvers "adam", "adamw" and "rmsprop" add to a denominator, so
    that they do not divide by zero.
n_iter_no_change : int, inf or "auto", default="auto"
    The number of successive epochs without improvement after which training stops. The
    validation score must improve with early stopping, else the objective. If the learning rate
    falls to zero by design ("cosine", "one_cycle", "coslog"), it falls to zero in a few epochs
    first: on all rows as ``refit`` says, else within {_auto.COOLING} of ``max_iter`` epochs.
    Without early stopping, training with such a learning rate always makes ``max_iter`` epochs.
    The schedule is not shortened as long as the validation loss is not below that of a constant
    by more than chance: some networks learn nothing before the learning rate is high. With inf
    it runs to its end. "auto" is {_auto.PLANNED_PATIENCE} of ``max_iter``, but at least
    {_auto.LEAST_PATIENCE}, if the learning rate falls to zero by design; else it is
    {_auto.PATIENCE}.
max_fun : int, default=15000
    The largest number of evaluations of the objective by the "lbfgs" solver.
dropout : float in [0, 1), array-like or "auto", default="auto"
    The share of the outputs of a hidden layer that each training step sets to zero at random:
    one number for all hidden layers, or one for each. "auto" is {_auto.DROPOUT} for
    {_auto.SMALL} training rows or more, else 0. For classification with few rows for each
    input it is up to {_auto.LARGEST_DROPOUT}. For "lbfgs" and with ``interaction_cst`` it is 0.
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
    inputs of a layer, its own biases and its own output layer. Training minimises the mean of
    the members' losses, and predictions are the mean of the members' predictions. With
    ``interaction_cst``, each member has networks of its own, and the mean is one of the raw
    predictions, before the link, so that it remains a sum over the groups. "auto" is 2 for
    classification and 1 for regression and with ``interaction_cst``.
interaction_cst : {{"pairwise", "no_interactions"}}, list of sets of int or None, default=None
    Groups of columns that may interact, as in scikit-learn's HistGradientBoosting. Each group
    has a network of its own, and their outputs add up before the link. A group is a set, list
    or tuple of positions of columns of X. A column may be in several groups. The columns that
    are in none form one further group. With "no_interactions", each column is a group, and the
    network is an additive model. With "pairwise", it is a sum of functions of at most two
    columns: each column has a network, and the interaction of two columns is a sum of products
    of {N_FACTORS} outputs of their networks, so that the time is proportional to the number of
    columns and not of pairs. The hidden layers of all groups together have
    twice ``hidden_layer_sizes`` units. A group has as many as the others, at least
    {LEAST_UNITS} and at most the given number. Without hidden layers no columns interact. None
    lets all columns interact.
    :func:`sknet.inspection.shape_functions` returns the functions of a fitted network.
scoring : str, callable or None, default="loss"
    The score of the validation rows that early stopping watches; higher is better. "loss" is
    minus the loss without the penalty. Other values are the name of a scorer of scikit-learn,
    a callable, or None for the ``score`` method of the estimator. A callable is called with
    the estimator, with X and y in the form in which they were given to ``fit``, and with
    ``sample_weight`` if rows have weights.
standardize : bool, default=True
    Whether to scale the inputs. Each numeric column is centred at its median, divided by its
    interquartile range and clipped smoothly to the range from -3 to 3, so that outliers keep
    their order but do not dominate. Sparse columns are scaled but not centred. The regressor
    scales y too. Without scaling, inputs are cut at 1e15 and -1e15.
categorical_features : "from_dtype", array-like or None, default="from_dtype"
    The columns of X that are categories. "from_dtype" takes the columns of a data frame that
    have a category, string or object dtype, except dates and durations, which are encoded as
    such and are never categories. An array-like holds names, positions or a boolean mask of
    the columns. None means that there are none. A category with up to 16 levels is one-hot
    encoded; one with more levels gets a learned embedding of 8 numbers for each level. Missing
    values and levels that occur once in training share one level. A level that training did
    not see is treated as missing.
monotonic_cst : array-like of int, dict of str or None, default=None
    The direction in which the predictions move with each numeric column, all other columns
    being equal: 1 if they never fall as the column rises, -1 if they never rise, 0 for no
    constraint. An array-like has an entry for each column, a dict those of some columns by
    their names. For a classifier it is the direction of the probability of the second class.
    Constraints are for regression and for two classes, and not for categories. For the loss
    "normal" the mean keeps the direction, and the standard deviation is free. Half of the
    units of each hidden layer then see the constrained columns, through weights of one sign;
    where ``activation`` is not monotone, these units use a smooth rectifier. With
    ``interaction_cst``, the function of each group keeps the directions. A missing value is
    not compared with others.
numeric_embedding : str, NumericEmbedding or None, default="auto"
    The learned features that join each numeric input in the first layer. The names are
    {_names(["auto", *NUMERIC_EMBEDDINGS])}. An instance of a ``NumericEmbedding`` of
    ``sknet.nn.embeddings``, such as ``Periodic(n_frequencies=32)``, sets its options too.
    "periodic" adds 3 mixtures of cosine waves of the number. "piecewise_linear" adds 15
    mixtures of the number's positions within quantile bins; there is a bin for each
    {_auto.ROWS_PER_BIN} training rows, with at least {_auto.FEWEST_BINS} and at most
    {_auto.MOST_BINS} bins (with ``interaction_cst``, one for each
    {_auto.ROWS_PER_BIN_OF_GROUPS} rows and at most {_auto.MOST_BINS_OF_GROUPS}). None adds
    nothing. With "periodic", single values of a column that
    hold far more rows than the values around them, such as a zero that most rows have, get an
    indicator each. "auto" is "periodic" for classification and "piecewise_linear" for
    regression and with ``interaction_cst``; for more than {_auto.FULLY_EMBEDDED} numeric
    columns, or fewer than {_auto.ROWS_PER_EMBEDDED} rows for each, it has fewer waves and
    mixtures. It is None for
    fewer than {_auto.SMALL} training rows, for sparse X and for "lbfgs".
n_components : int or "auto", default="auto"
    The largest number of principal components of the scaled numeric columns that join the
    inputs of the first hidden layer. They have mean zero, variance one and no correlation, so
    that the network learns what small differences between similar columns mean. Components
    with less than a millionth of the variance are left out, and so are components beyond the
    number of columns. Columns whose correlations may be chance have none. 0 adds none.
    "auto" is the number of numeric columns, but at most {_auto.MOST_COMPONENTS}, and at most
    one for each {_auto.ROWS_PER_COMPONENT} training rows in regression and
    {_auto.ROWS_PER_COMPONENT_OF_CLASSES} in classification.
    It is 0 where ``numeric_embedding`` is None, for a single numeric column, for fewer than
    {_auto.SMALL} training rows, for "lbfgs", and with constraints.
dtype : {{"auto", "float32", "float64"}}, default="auto"
    The precision in which the network computes. "auto" is "float64" for "lbfgs" and for fewer
    than {_auto.FLOAT32_ROWS} training rows of float64, else "float32".
""".strip()

ATTRIBUTES = """
coefs_ : list of arrays of shape (n_inputs, n_outputs)
    The ``n_layers_ - 1`` weight matrices, which are views of the fitted parameters. The rows
    of the first matrix belong to the encoded inputs, see ``encoded_feature_names_``. With
    several members the last matrix has the shape (n_members, n_inputs, n_outputs). With
    ``interaction_cst``, a hidden layer has an array (n_groups, n_inputs, n_outputs), with the
    groups of one member after those of another. Groups of fewer inputs than others have rows
    of zeros in the first array. The rows of the last matrix are the units of the first group,
    then those of the second, and so on; the arrays of "pairwise" for interactions are not
    included.
intercepts_ : list of arrays of shape (n_outputs,)
    The bias vectors. With several members their shape is (n_members, n_outputs), and for a
    hidden layer with ``interaction_cst`` it is (n_groups, n_outputs).
member_scales_ : list of arrays of shape (n_members, n_inputs)
    The factors by which each member multiplies the inputs of each hidden layer. The list is
    empty for a single member.
encoded_feature_names_ : ndarray of str
    A name for each row of ``coefs_[0]``. With ``interaction_cst``, a name for each input before
    the inputs are divided among the groups. No two names are equal: a name that would occur
    again, because a column of X has a name like that of an encoding, has a number appended,
    such as "component0_2".
history_ : dict of str to list of float
    The record of training. Each list has one entry for each epoch, or for each iteration of
    "lbfgs":

    - "loss": the objective, averaged over the batches of the epoch.
    - "validation_loss": the loss of the validation rows without the penalty (with early
      stopping).
    - "validation_score": the score of the validation rows; higher is better (with early
      stopping). Both are NaN in the epochs of a cool-down that trains on these rows (see
      ``refit``).
    - "learning_rate": the learning rate of the last step (not for "lbfgs").
    - "seconds": the duration.
loss_curve_ : list of float
    The objective of each epoch, which is ``history_["loss"]``.
loss_ : float
    The last value of ``loss_curve_``.
best_loss_ : float or None
    The lowest value of ``loss_curve_``; None with early stopping.
validation_scores_ : list of float or None
    The score of the validation rows in each epoch, which is ``history_["validation_score"]``;
    None without early stopping.
best_validation_score_ : float or None
    The highest value of ``validation_scores_``, which is the score of the best epoch before
    probabilities are calibrated; None without early stopping.
auto_params_ : dict
    The value that the last fit chose for each parameter that is "auto".
n_iter_ : int
    The number of epochs of the last fit, or of all calls of ``partial_fit``.
best_iter_ : int
    The number of the best epoch, counted from 1: the one with the highest validation score, or
    without early stopping the one with the lowest loss.
t_ : int
    The number of training rows seen; a row counts again in each epoch.
n_layers_ : int
    The number of layers, with the input and the output layer.
n_outputs_ : int
    The number of outputs: of columns of y for regression, of labels for a multi-label target,
    and otherwise of classes, but 1 for two classes.
out_activation_ : str
    The name of the function that turns the output layer's values into predictions:
    "identity", "exp", "logistic" or "softmax".
n_features_in_ : int
    The number of features seen during fit.
feature_names_in_ : ndarray of shape (``n_features_in_``,)
    The names of the features seen during fit. Defined only if all names of X are strings.
""".strip()


def shared_documentation(cls: Class) -> Class:
    """Insert the shared sections into a class's docstring, a decorator."""
    sections = {
        "parameters": PARAMETERS,
        "more_parameters": MORE_PARAMETERS,
        "attributes": ATTRIBUTES,
    }
    cls.__doc__ = with_sections(cls.__doc__ or "", sections)
    return cls


def with_sections(docstring: str, sections: Mapping[str, str]) -> str:
    """Return a docstring in which a section replaces each line with its name in braces."""
    by_line = {"{" + name + "}": text for name, text in sections.items()}
    lines = inspect.cleandoc(docstring).splitlines()
    return "\n".join(by_line.get(line.strip(), line) for line in lines)
