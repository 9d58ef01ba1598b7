"""The documentation of what both estimators share, written once."""

import inspect

from sknet.nn.activations import ACTIVATIONS
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.schedules import SCHEDULES


def _names(registry, *others):
    return "{" + ", ".join(repr(name) for name in [*registry, *others]) + "}"


PARAMETERS = f"""
hidden_layer_sizes : int or array-like of int, default=(128, 128)
    Units of each hidden layer. ``()`` is a linear model.
activation : str, Activation or list of these, default="silu"
    {_names(ACTIVATIONS)}, or an instance of an ``Activation`` of ``sknet.nn.activations``
    such as ``LeakyReLU(slope=0.1)``; one for all hidden layers, or a list with one for each.
""".strip()

MORE_PARAMETERS = f"""
solver : str or Optimizer, default="adam"
    {_names(OPTIMIZERS, "lbfgs")}, or an instance of an ``Optimizer`` of
    ``sknet.nn.optimizers`` such as ``Adam(beta_1=0.8)``. "lbfgs" minimises over all rows at
    once, in float64; for it ``max_iter`` counts iterations and ``tol`` bounds the projected
    gradient's largest component. "adamw" shrinks the weights by ``alpha * (1 - l1_ratio)``
    times the learning rate in each step, outside of the objective.
alpha : float or "auto", default="auto"
    Strength of the penalty of the weight matrices, added to the mean loss:
    ``alpha * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||_2^2)``. Biases are free. It
    does not depend on the batch size: scikit-learn's alpha divided by the batch size (or,
    for lbfgs, by n_samples) is the same penalty. "auto" is ``0.3 / n_samples``: a
    small table needs more of it; 0.03 below 100 rows. For lbfgs it is 5e-7, scikit-learn's
    default of 1e-4 for batches of 200.
l1_ratio : float in [0, 1], default=0.0
    Share of the L1 penalty. Unlike L2 it makes weights exactly zero.
batch_size : int or "auto", default="auto"
    Rows of a mini-batch; more than there are rows means all of them. "auto": all rows below
    100, else ``n_samples / 25`` between 32 and 200; ``n_samples / 250`` from 50 000 rows on,
    up to 1000.
learning_rate : str or Schedule, default="one_cycle"
    {_names(SCHEDULES)}, or an instance of a ``Schedule`` of
    ``sknet.nn.schedules``: what ``learning_rate_init`` is multiplied by as training goes
    on. "invscaling" divides by ``(t + 1) ** power_t``, t the rows seen in earlier epochs;
    "cosine", "one_cycle" and "coslog" reach zero at ``max_iter``; "adaptive" divides by
    five when progress stalls, instead of stopping, down to 1e-6. All stochastic solvers
    follow it.
learning_rate_init : float, default=0.01
    The learning rate that the schedule multiplies: its highest.
power_t : float, default=0.5
    Exponent of "invscaling".
max_iter : int or "auto", default="auto"
    Epochs at the most. "auto", for a learning rate that falls to zero by plan: 60, or on
    small tables up to 300 for 2000 updates; 40 below 100 rows, where none are held out;
    above 100 000 rows as many as visit 6 million rows, and at least 10. Else 200.
shuffle : bool, default=True
    Whether each epoch visits the rows in a new random order.
random_state : int, RandomState instance or None, default=None
    Determines initial parameters, validation split, order of the rows and dropout. An int
    gives bit-identical results at an equal number of BLAS threads.
tol : float, default=1e-4
    Improvements by less than ``tol`` times the best value do not reset the patience.
verbose : bool or int, default=False
    Whether to print a line an epoch; a number k prints every k-th.
warm_start : bool, default=False
    Whether ``fit`` continues from the parameters, the classes and the scaling of the last
    fit. Optimizer, patience and history start anew.
momentum : float in [0, 1], default=0.9
    Of "sgd".
nesterovs_momentum : bool, default=True
    Whether "sgd" uses Nesterov's momentum.
early_stopping : bool or "auto", default="auto"
    Whether to hold out rows, watch ``scoring`` on them, stop after ``n_iter_no_change``
    epochs without improvement, and go back to the best epoch. "auto": from 100 training rows
    on, or if ``X_val`` is given to ``fit``. ``partial_fit`` leaves it aside.
validation_fraction : float or "auto", default="auto"
    Share of the rows to hold out, stratified by class where that is possible. "auto" is 0.2
    below 500 training rows, else 0.1.
beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
    Decay rates of the moments of "adam" and "adamw".
epsilon : float, default=1e-8
    Term against division by zero of "adam", "adamw" and "rmsprop".
n_iter_no_change : int, inf or "auto", default="auto"
    Epochs in a row without improvement after which training stops; of the validation
    score with early stopping, else of the objective. "auto" is inf where the learning rate
    falls to zero by plan, whose end is worth waiting for, else 10. Without early stopping a
    learning rate that falls to zero ("cosine", "one_cycle", "coslog") runs all ``max_iter``
    epochs.
max_fun : int, default=15000
    Function evaluations of "lbfgs" at the most.
dropout : float in [0, 1), array-like or "auto", default="auto"
    Share of a hidden layer's outputs that is zeroed at random in each training step; one
    for all hidden layers, or one for each. "auto" is 0.1 from 100 training rows on, else 0,
    as for lbfgs.
normalization : "layer" or None, default=None
    Whether each hidden layer normalises its sums row by row, before the activation.
input_noise : float, default=0.0
    Standard deviation of normal noise on the scaled numeric inputs of each training batch.
mixup : float, default=0.0
    If positive, training rows are mixed in pairs, with shares drawn from
    Beta(mixup, mixup).
ema_decay : float in [0, 1) or None, default=0.995
    If not None, predictions come from a running average of the parameters, which keeps this
    share of itself in each step (less in the first steps).
n_members : int or "auto", default="auto"
    Members of an ensemble that is trained as one network: they share the weight matrices
    of the hidden layers and have their own scales of a layer's inputs, biases and output
    layer (BatchEnsemble). Each member's loss counts; predictions are averaged. "auto" is 2
    for classes and 1 for numbers.
scoring : str, callable or None, default="loss"
    What early stopping watches: "loss" is minus the loss without penalty, else a scorer of
    scikit-learn or its name, or None for the estimator's ``score``. A callable gets the
    estimator, X and y as given to ``fit``, and ``sample_weight`` where rows have weights.
standardize : bool, default=True
    Whether to scale inside. Inputs: centred at the median, divided by the interquartile
    range, and clipped smoothly to +-3, so that outliers neither dominate nor disappear
    (sparse ones keep their zeros).
categorical_features : "from_dtype", array-like or None, default="from_dtype"
    Which columns of X are categories: by their dtype (category, string and object columns
    of a data frame), by names, positions or a boolean mask, or none. Up to 16 levels get a
    column each, more levels a learned embedding of 8 numbers each. Levels seen once and
    missing values share a level; unknown levels are taken as missing.
numeric_embedding : str, NumericEmbedding or None, default="auto"
    "auto", "periodic", "piecewise_linear", None, or an instance of a ``NumericEmbedding`` of
    ``sknet.nn.embeddings`` such as ``Periodic(n_frequencies=32)``.
    How numeric inputs enter the first layer: as they are (None), or each with learned
    features next to it, which are mixed from waves ("periodic", 3 features) or from how far
    the number reaches into each of 8 to 48 quantile bins ("piecewise_linear", 15 features; 30
    training rows to a bin at least where there are more than 8). "auto" is "periodic" for
    classes and "piecewise_linear" for numbers, from 100 rows on and up to 50 columns of
    dense X; else, and for lbfgs, None.
dtype : {{"auto", "float32", "float64"}}, default="auto"
    What the network computes in. "auto" is float64 for lbfgs and for fewer than 1000
    training rows of float64, else float32.
""".strip()

ATTRIBUTES = """
coefs_ : list of arrays of shape (n_inputs, n_outputs)
    Weight matrices, ``n_layers_ - 1`` of them, views of the fitted parameters. Those of the
    first layer belong to the encoded inputs, see ``encoded_feature_names_``. With several
    members the last has shape (n_members, n_inputs, n_outputs).
intercepts_ : list of arrays of shape (n_outputs,)
    Bias vectors; with several members of shape (n_members, n_outputs).
member_scales_ : list of arrays of shape (n_members, n_inputs)
    With several members, what each hidden layer multiplies its inputs by.
encoded_feature_names_ : ndarray of str
    A name for each row of the first of ``coefs_``.
history_ : dict of str to list of float
    One entry an epoch (an iteration of lbfgs): "loss", the objective averaged over the
    epoch's batches; with early stopping "validation_loss", without penalty, and
    "validation_score", higher is better; "learning_rate", of the last step (not for
    lbfgs); "seconds".
loss_curve_ : list of float
    ``history_["loss"]``.
loss_, best_loss_ : float
    Its last and its lowest value (the latter None with early stopping).
validation_scores_ : list of float or None
    ``history_["validation_score"]``; None without early stopping.
best_validation_score_ : float or None
    The highest of them, to which the fitted parameters belong.
auto_params_ : dict
    What the parameters that are "auto" were in the last fit.
n_iter_ : int
    Epochs of the last fit, or of all passes of ``partial_fit``.
best_iter_ : int
    The epoch, from 1, with the best validation score, or else the lowest loss.
t_ : int
    Training rows seen, counted with repetition.
n_layers_ : int
    Layers, input and output included.
n_outputs_ : int
    Outputs: numbers to predict, labels, or classes (one for two classes).
out_activation_ : str
    What turns raw predictions into predictions: "identity", "exp", "logistic", "softmax".
n_features_in_ : int
    Features seen during fit.
feature_names_in_ : ndarray of shape (``n_features_in_``,)
    Their names, where X has names that are all strings.
""".strip()


def shared_documentation(cls):
    """Insert the shared sections into a class's docstring, a decorator.

    Lines that consist of a section's name in braces are replaced by it.
    """
    sections = {
        "{parameters}": PARAMETERS,
        "{more_parameters}": MORE_PARAMETERS,
        "{attributes}": ATTRIBUTES,
    }
    lines = inspect.cleandoc(cls.__doc__).splitlines()
    cls.__doc__ = "\n".join(sections.get(line.strip(), line) for line in lines)
    return cls
