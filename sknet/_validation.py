"""Parameter constraints and checks of X, y and weights.

The only home of scikit-learn's non-public names.
"""

import sys
from inspect import signature
from numbers import Integral, Real

import numpy as np
import sklearn
from scipy import sparse
from sklearn.base import _fit_context as fit_context
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sknet.data import frames
from sknet.data.batches import Dataset
from sknet.data.frames import is_frame
from sknet.data.row_blocks import ChosenRows, RowBlocks, as_row_blocks, distinct_values
from sknet.data.tables import TableReader, categorical_columns
from sknet.nn.activations import ACTIVATIONS, Activation
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.losses import LOSSES, Loss
from sknet.nn.optimizers import OPTIMIZERS, Optimizer
from sknet.nn.schedules import SCHEDULES, Schedule

__all__ = ["SHARED_CONSTRAINTS", "CallbackSupportMixin", "StrOptions", "fit_context"]

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for the mixin of scikit-learn 1.9, where callbacks began."""

        def set_callbacks(self, *callbacks):
            """Refuse callbacks, which the installed scikit-learn does not know.

            Raises
            ------
            NotImplementedError
                With the version that is needed.
            """
            raise NotImplementedError(
                f"set_callbacks needs scikit-learn >= 1.9; {sklearn.__version__} is installed."
            )


#: What scikit-learn's callbacks keep in an estimator while it is fitted, and before.
CALLBACK_ATTRIBUTES = [
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
]

POSITIVE_INT = Interval(Integral, 1, None, closed="left")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
POSITIVE = Interval(Real, 0, None, closed="neither")
OPEN_UNIT_INTERVAL = Interval(Real, 0, 1, closed="neither")
FRACTION = Interval(Real, 0, 1, closed="left")
AUTO = StrOptions({"auto"})

#: What the parameters that both estimators share may be, in scikit-learn's terms.
SHARED_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", POSITIVE_INT],
    "activation": [StrOptions(set(ACTIVATIONS)), Activation, "array-like"],
    "solver": [StrOptions({"lbfgs", *OPTIMIZERS}), Optimizer],
    "alpha": [AUTO, _NOT_NEGATIVE],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "batch_size": [AUTO, POSITIVE_INT],
    "learning_rate": [StrOptions({"adaptive", *SCHEDULES}), Schedule],
    "learning_rate_init": [POSITIVE],
    "power_t": [_NOT_NEGATIVE],
    "max_iter": [AUTO, POSITIVE_INT],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_NOT_NEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": [AUTO, "boolean"],
    "validation_fraction": [AUTO, FRACTION],
    "beta_1": [FRACTION],
    "beta_2": [FRACTION],
    "epsilon": [POSITIVE],
    "n_iter_no_change": [AUTO, POSITIVE_INT, Options(Real, {np.inf})],
    "max_fun": [POSITIVE_INT],
    "dropout": [AUTO, FRACTION, "array-like"],
    "normalization": [StrOptions({"layer"}), None],
    "input_noise": [_NOT_NEGATIVE],
    "mixup": [_NOT_NEGATIVE],
    "ema_decay": [Interval(Real, 0, 1, closed="left"), None],
    "n_members": [POSITIVE_INT, AUTO],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "numeric_embedding": [StrOptions({"auto", *NUMERIC_EMBEDDINGS}), None],
    "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
    "standardize": ["boolean"],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
}


#: What only a stochastic solver can honour, with the values that do nothing.
STOCHASTIC_OPTIONS = {
    "learning_rate": "constant",
    "dropout": 0.0,
    "input_noise": 0.0,
    "mixup": 0.0,
    "ema_decay": None,
}


def loss_constraint(names):
    """Return the constraint of ``loss``: one of the names, or a ``Loss``."""
    return [StrOptions(set(names)), Loss]


def check_layer_options(estimator):
    """Raise for hidden layers that cannot be built, before anything else happens.

    Raises
    ------
    ValueError
        If sizes are not positive integers, or per-layer lists have another length.
    """
    sizes = hidden_layer_sizes(estimator)
    if not all(isinstance(size, Integral) and size >= 1 and size is not True for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers > 0, got {sizes}.")
    activations = per_layer(estimator, "activation")
    for activation in activations:
        named = isinstance(activation, str) and activation in ACTIVATIONS
        if not (named or isinstance(activation, Activation)):
            raise ValueError(
                f"activation has {activation!r}; it takes {sorted(ACTIVATIONS)} or an "
                "Activation instance."
            )
    if isinstance(estimator.dropout, str):
        return
    for rate in per_layer(estimator, "dropout"):
        if not (isinstance(rate, Real) and 0 <= rate < 1):
            raise ValueError(f"dropout has {rate!r}; it takes numbers in [0, 1).")


def hidden_layer_sizes(estimator):
    """Return the sizes of the hidden layers as a list."""
    sizes = estimator.hidden_layer_sizes
    return [sizes] if isinstance(sizes, Integral) or np.ndim(sizes) == 0 else list(sizes)


def per_layer(estimator, name):
    """Return the values of a parameter that is one for all hidden layers, or one for each."""
    value = getattr(estimator, name)
    n_layers = len(hidden_layer_sizes(estimator))
    if isinstance(value, str | Real | Activation):
        return [value] * n_layers
    values = list(value)
    if len(values) != n_layers:
        raise ValueError(
            f"{name} has {len(values)} values for {n_layers} hidden layers: {values}. Give "
            "one value for all, or one for each."
        )
    return values


def check_loss_position(estimator):
    """Raise if a loss's name was given where scikit-learn's regressor takes it.

    Raises
    ------
    ValueError
        With the remedy.
    """
    sizes = estimator.hidden_layer_sizes
    if isinstance(sizes, str) and sizes in LOSSES:
        raise ValueError(
            f"The first positional argument of {type(estimator).__name__} is "
            f"hidden_layer_sizes, got {sizes!r}. Pass the loss by keyword: loss={sizes!r}."
        )


def check_solver_options(estimator):
    """Raise for options that the solver cannot honour.

    Raises
    ------
    ValueError
        With the names of the options.
    """
    if estimator.solver != "lbfgs":
        return
    constant = estimator.learning_rate == SCHEDULES["constant"]()
    unusable = [
        f"{name}={getattr(estimator, name)!r}"
        for name in STOCHASTIC_OPTIONS
        if not _is_neutral(estimator, name) and not (name == "learning_rate" and constant)
    ]
    if unusable:
        raise ValueError(
            f"solver='lbfgs' is not stochastic and cannot honour {', '.join(unusable)}. Use "
            "a stochastic solver such as 'adam', or leave these at their defaults."
        )


def _is_neutral(estimator, name):
    """Whether a stochastic option has its default, or the value that does nothing."""
    value = getattr(estimator, name)
    values = per_layer(estimator, name) if np.ndim(value) else [value]
    default = signature(type(estimator)).parameters[name].default
    return all(one in (default, STOCHASTIC_OPTIONS[name]) for one in values)


def check_class_weight(estimator, classes):
    """Raise for weights of classes that do not exist, and for weights that make no sense.

    Raises
    ------
    ValueError
        With those classes or weights.
    """
    weights = estimator.class_weight
    several = weights if isinstance(weights, list) else [weights]
    for one in several:
        if not isinstance(one, dict):
            continue
        known = {0, 1} if isinstance(weights, list) else set(classes.tolist())
        unknown = [label for label in one if label not in known]
        if unknown:
            raise ValueError(
                f"class_weight has weights for {unknown}, which are not among the classes "
                f"{sorted(known)}."
            )
        if not all(isinstance(value, Real) and 0 <= value < np.inf for value in one.values()):
            raise ValueError(f"class_weight must have weights >= 0, got {weights}.")


def check_not_balanced(estimator, method):
    """Raise for class weights that need all rows at once.

    Raises
    ------
    ValueError
        With the remedy.
    """
    if getattr(estimator, "class_weight", None) == "balanced":
        raise ValueError(
            f"class_weight='balanced' needs all rows at once, which {method} never has. Give "
            "the weights as a dict, for example from "
            "sklearn.utils.class_weight.compute_class_weight."
        )


def check_quantile(estimator):
    """Raise for quantiles that are not sorted, or not between 0 and 1.

    Raises
    ------
    ValueError
        With what is expected.
    """
    levels = np.atleast_1d(np.asarray(estimator.quantile, dtype=float))
    inside = levels.size and ((levels > 0) & (levels < 1)).all()
    if levels.ndim != 1 or not inside or not (np.diff(levels) > 0).all():
        raise ValueError(
            f"quantile must be a number in (0, 1) or an increasing list of these, got "
            f"{estimator.quantile!r}."
        )


def check_domain(loss, y, name):
    """Raise for targets that the loss is not defined for.

    Raises
    ------
    ValueError
        With the loss's domain, or if several quantiles are asked of several outputs.
    """
    if not loss.in_domain(y):
        raise ValueError(
            f"{type(loss).__name__} needs {loss.domain}; {name} has values from {y.min():.6g} "
            f"to {y.max():.6g}."
        )
    n_outputs = 1 if y.ndim == 1 else y.shape[1]
    if n_outputs > 1 and loss.one_output:
        raise ValueError(
            f"A list of quantiles needs one output, but {name} has {n_outputs}. Fit one "
            "regressor for each output, or give one quantile."
        )


def check_training_data(estimator, X, y, sample_weight, *, numeric_y, reset, declared=False):
    """Return validated rows of positive weight as a Dataset.

    X becomes a float array, with categories as level numbers, CSR, or ``RowBlocks``; y stays
    in the user's labels or units, with one dimension if it has one column. If ``reset``,
    ``n_features_in_``, ``feature_names_in_`` and ``_reader`` of ``estimator`` are set, else X
    is held against them. ``declared``: levels that a category dtype declares count even if X
    lacks them.

    Raises
    ------
    ValueError
        As scikit-learn does; and if all weights are zero.
    """
    X = check_features(estimator, X, reset=reset, declared=declared)
    y = check_y(y, numeric_y, "y")
    check_consistent_length(X, y)
    if not reset and isinstance(X, RowBlocks):
        # The pass that learns the encoding would have found it.
        X.check_finite()
    return _without_zero_weights(X, y, sample_weight)


def check_validation_data(estimator, X_val, y_val, sample_weight_val, *, numeric_y):
    """Return the user's validation rows as a Dataset, or None if there are none.

    Raises
    ------
    ValueError
        If one of X_val and y_val is missing, there are fewer than two rows, early stopping
        is switched off, or the rows do not fit the training data.
    """
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return None
    if X_val is None or y_val is None:
        missing, given = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
        raise ValueError(f"{given} is given without {missing}: pass both or neither.")
    if estimator.early_stopping is False:
        raise ValueError(
            "X_val and y_val are given, but early_stopping=False would not use them. Set "
            "early_stopping to 'auto' or True."
        )
    X_val = check_features(estimator, X_val)
    y_val = check_y(y_val, numeric_y, "y_val")
    check_consistent_length(X_val, y_val)
    if isinstance(X_val, RowBlocks):
        X_val.check_finite()
    data = _without_zero_weights(X_val, y_val, sample_weight_val)
    if data.n_rows < 2:
        raise ValueError(
            f"The validation set is too small: X_val has {data.n_rows} row(s) of positive "
            "weight, and early stopping needs at least 2."
        )
    return data


def check_partial_fit_classes(estimator, y, classes):
    """Raise if ``partial_fit`` lacks the classes, or gets others than before.

    Raises
    ------
    ValueError
        With the remedy.
    """
    known = getattr(estimator, "classes_", None)
    if known is None:
        _check_no_missing_labels(y, "y")
        if classes is None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
    elif classes is not None and not np.array_equal(known, unique_labels(classes)):
        raise ValueError(
            f"classes={classes!r} is not the same as on the last call to partial_fit, was: "
            f"{known!r}"
        )


def check_features(estimator, X, *, reset=False, declared=False):
    """Return X as a float array, CSR or ``RowBlocks``, held against the features of training.

    NaN stands for a missing value, in categories also for an unknown level. What is to be
    read in blocks is not read yet, but for the levels of categories if ``reset``.

    Raises
    ------
    ValueError
        As scikit-learn does; for infinity, and for NaN in sparse X.
    """
    frames.check_no_dates(X)
    if not reset and _is_plain(estimator, X):
        return X
    blocks = as_row_blocks(X)
    if reset:
        table = X if blocks is None else blocks
        estimator._reader = _make_reader(estimator, table, declared)
    if blocks is not None:
        validate_data(estimator, blocks, reset=reset, skip_check_array=True)
        return blocks.read_by(estimator._reader)
    if estimator._reader is not None:
        if sparse.issparse(X):
            raise ValueError("X is sparse, but training saw categories in a frame or an array.")
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return estimator._reader.read(X)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
    )
    if sparse.issparse(X) and np.isnan(X.data).any():
        raise ValueError(
            "Sparse X contains NaN. A missing value is imputed in dense X only: fill it in, or "
            "use X.toarray()."
        )
    return X


def _is_plain(estimator, X):
    """Whether X is an array in which scikit-learn's checks, slow for one row, find nothing."""
    if type(X) is not np.ndarray or X.dtype.char not in "fd" or not X.dtype.isnative:
        return False
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] != estimator.n_features_in_:
        return False
    if estimator._reader is not None or hasattr(estimator, "feature_names_in_"):
        return False
    # A sum that is finite has no summand that is not.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))


def _make_reader(estimator, X, declared):
    """Return a fitted reader of X, or None if X has no categories."""
    wanted = estimator.categorical_features
    if wanted is None or (isinstance(wanted, str) and not is_frame(X)):
        return None
    if sparse.issparse(X):
        raise ValueError("categorical_features cannot be used with sparse X.")
    if not (is_frame(X) or isinstance(X, RowBlocks)):
        X = check_array(X, dtype=None, ensure_all_finite=False)
    names = frames.column_names(X)
    categories = categorical_columns(X, wanted, names)
    if categories.size == 0:
        return None
    if isinstance(X, RowBlocks):
        X = distinct_values(X, categories)
    return TableReader(wanted).fit(X, names, declared=declared)


def has_callbacks(estimator):
    """Whether callbacks are set on the estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def callback_context(estimator, n_epochs):
    """Return the callbacks' context of a fit of so many epochs, or None without callbacks."""
    if not has_callbacks(estimator):
        return None
    return estimator._init_callback_context(max_subtasks=n_epochs)


def check_std(estimator, return_std):
    """Raise if a deviation is asked for, but there are no members to disagree.

    Raises
    ------
    ValueError
        With the remedy.
    """
    if not return_std:
        return
    check_is_fitted(estimator)
    if estimator._network.n_members == 1:
        raise ValueError(
            "return_std=True needs the spread of several members: set n_members, for example "
            "to 8, and fit again."
        )


def check_embedding(embedding, X):
    """Raise for an embedding of numbers that X does not allow.

    Raises
    ------
    ValueError
        If X is sparse.
    """
    if embedding is not None and sparse.issparse(X):
        raise ValueError(
            f"numeric_embedding={embedding!r} needs dense X; sparse columns "
            "would not stay sparse. Use numeric_embedding=None, or 'auto'."
        )


def take_rows(X, rows):
    """Return rows of what the user gave as X: a frame, an array, a list or a sparse matrix.

    Of what is read in blocks, it returns an object to be read in blocks.
    """
    blocks = as_row_blocks(X)
    if blocks is not None:
        return ChosenRows(blocks, rows)
    return frames.take_rows(X, rows)


def check_y(y, numeric, name):
    """Return y as an array of one dimension if it has one column, else of two, or CSR.

    Raises
    ------
    ValueError
        If y is missing or has missing values, is not finite, or of a kind that no estimator
        takes.
    """
    if y is None:
        raise ValueError(f"fit requires {name} to be passed, but the target {name} is None.")
    _check_no_missing_labels(y, name)
    sparse_format = None if numeric else "csr"
    y = check_array(
        y, accept_sparse=sparse_format, ensure_2d=False, dtype=None, input_name=name
    )
    if numeric and frames.is_date(y.dtype):
        raise ValueError(f"{name} holds dates or durations. Turn them into numbers first.")
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if numeric:
        return y.astype(np.float64, copy=False)
    check_classification_targets(y)
    return y


def _check_no_missing_labels(y, name):
    """Raise for None, NaN and pandas.NA among objects, which cannot be sorted."""
    # Of a list with text, NumPy would make the name "nan".
    labels = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if labels.dtype != object or labels.ndim == 0:
        return
    # Whoever has made such a value has imported pandas.
    na = getattr(sys.modules.get("pandas"), "NA", None)
    missing = [
        label is None or label is na or (isinstance(label, Real) and label != label)
        for label in labels.flat
    ]
    if any(missing):
        raise ValueError(
            f"{name} has missing values, {sum(missing)} of {len(missing)}. Leave these rows "
            "out; in a classification they may be a class of their own, such as 'unknown'."
        )


def _without_zero_weights(X, y, sample_weight):
    data = Dataset(X, y)
    if sample_weight is None:
        return data
    sample_weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    return positive_weights(data._replace(sample_weight=sample_weight), "Sample weights")


def positive_weights(data, name):
    """Return the rows of positive weight.

    Raises
    ------
    ValueError
        If there are none.
    """
    keep = data.sample_weight > 0
    if not keep.any():
        raise ValueError(f"{name} must contain at least one non-zero number.")
    return data if keep.all() else data.choose(keep)
