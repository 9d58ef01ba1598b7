"""What a fit learns about the user's y before there is a model: its encoder and class weights.

Each part of a table is measured, and the measurements are merged. The encoder is learned from
the measurement of the whole y.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from sknet._parameters import check_class_weight
from sknet._requirements import warn
from sknet._settings import Settings
from sknet.data.batches import Batch, Dataset
from sknet.data.joint import JointTarget, columns_of, library_of
from sknet.data.kinds import SINGLE_LIMITS, naming
from sknet.data.targets import ClassTarget, RegressionTarget
from sknet.data.weights import LabelCounts
from sknet.nn.losses import Loss, shown


def measure_target(settings: Settings, data: Dataset, numeric: bool) -> Any:
    """Return what weighted rows, of a table or a part of one, say about y.

    This is the count of each label, or the scale of y, which may be zero. With several targets,
    it is one of the two for each. ``numeric`` tells whether a y of one target holds numbers.

    Raises
    ------
    ValueError
        If :func:`check_domain` refuses y.
    """
    if (counts := data.count_labels(numeric)) is not None:
        return counts
    if data.y.dtype.names is not None or not numeric:
        return _measure_each(settings, data)
    check_domain(settings.loss, data.y, "y")
    loss = settings.loss
    target = RegressionTarget(settings.standardize, loss.shifts_y, loss.robust)
    return target.fit(data.y, data.sample_weight, data.weight_unit)


def _measure_each(settings: Settings, data: Dataset) -> JointTarget:
    """Return what is known about each of several targets, from the rows that have it."""
    weight = np.ones(data.n_rows) if data.sample_weight is None else data.sample_weight
    parts, weights = {}, []
    for name, numeric, known, values in columns_of(data.y):
        rows, own = data.choose(known)._replace(y=values), settings.of_target(name, numeric)
        with naming(f"Target {name!r}"):
            parts[name] = measure_target(own, rows, numeric) if known.any() else None
        weights.append(float(weight[known].sum()))
    sums = np.array([*weights, float(weight.sum())])
    form = f"the targets {', '.join(map(repr, parts))}"
    return JointTarget(parts, sums, data.weight_unit, form, library_of(data.y))


def learn_target(
    settings: Settings, known: Any, dtype: np.dtype[Any], classes: Any = None
) -> tuple[Settings, Any]:
    """Return the settings, with numbers for balanced class weights, and the encoder of y.

    Parameters
    ----------
    settings : Settings
    known : LabelCounts, RegressionTarget or JointTarget
        The result of :func:`measure_target`, merged over all parts of the table.
    dtype : dtype
        The precision of X.
    classes : array-like, or dict of str to array-like, optional
        All classes, for rows that may lack some of them.

    Raises
    ------
    ValueError
        If y has a label that is not among the classes, if float32 cannot hold y, if the loss
        divides y by its mean and all values of an output are zero, if ``class_weight`` does not
        suit the classes, if :func:`check_several_targets` refuses the settings, or if one of
        several targets is missing in all rows.
    """
    if isinstance(known, LabelCounts):
        settings, target = settings.balanced(known), ClassTarget.of(known, classes)
        if isinstance(class_weight := settings.class_weight, dict):
            check_class_weight(class_weight, target)
            target.shares_ = known.weighted(class_weight).shares_of(target.classes_)
        return settings, target
    if isinstance(known, RegressionTarget):
        check_precision(known, settings, dtype)
        if not (known.scale_ > 0).all():
            raise ValueError(f"{shown(settings.loss)} needs a y that is not all zero.")
        return settings, known
    check_several_targets(settings, len(known.parts))
    if lacking := [name for name, part in known.parts.items() if part is None]:
        raise ValueError(
            f"No row of positive weight has the target(s) {lacking}. Leave them out."
        )
    parts = {}
    for name, part in known.parts.items():
        own = settings.of_target(name, isinstance(part, RegressionTarget))
        with naming(f"Target {name!r}"):
            _, parts[name] = learn_target(own, part, dtype, (classes or {}).get(name))
    return settings, replace(known, parts=parts)


def check_several_targets(settings: Settings, n_targets: int) -> None:
    """Refuse settings that several targets do not support.

    Raises
    ------
    ValueError
        If there are class weights or monotonic constraints.
    """
    if settings.class_weight is not None:
        raise ValueError(
            "class_weight is for one column of classes or a multi-label y, but y has "
            f"{n_targets} columns of classes. Pass weights of rows as sample_weight."
        )
    if settings.promise is not None:
        raise ValueError(
            "monotonic_cst cannot be used with NNMultiTarget or several columns of classes. "
            "Fit an NNRegressor or NNClassifier to each target."
        )


def row_weights(settings: Settings, target: Any, rows: Batch | Dataset) -> np.ndarray | None:
    """Return each row's weight times the weight of its class; None if there is neither.

    A regression has no ``class_weight``.
    """
    if (class_weight := settings.class_weight) is None:
        return rows.sample_weight
    check_class_weight(class_weight, target)
    by_class = target.class_weights(class_weight, rows.y)
    return by_class if rows.sample_weight is None else by_class * rows.sample_weight


def weigh(settings: Settings, target: Any, data: Dataset) -> Dataset:
    """Return the rows with class weights applied.

    The products of the weights are then divided by their own unit. They count no rows: if they
    did, each level of a rare class would be a frequent one.

    Raises
    ------
    ValueError
        If no row is left with a positive weight.
    """
    weight = row_weights(settings, target, data)
    if weight is data.sample_weight:
        return data
    weighted, name = data._replace(sample_weight=weight), "class_weight times sample_weight"
    return weighted.in_own_units(name, by_class=True)


def check_domain(loss: Loss, y: np.ndarray, name: str) -> None:
    """Refuse values of y for which the loss is not defined.

    Raises
    ------
    ValueError
        If a value of y is outside the loss's domain, or if a loss of several quantiles is used
        for several outputs.
    """
    if not loss.in_domain(y):
        raise ValueError(
            f"{shown(loss)} needs {loss.domain}; {name} has values from {y.min():.6g} to "
            f"{y.max():.6g}."
        )
    n_outputs = 1 if y.ndim == 1 else y.shape[1]
    if n_outputs > 1 and loss.predicts_quantiles:
        raise ValueError(
            f"A list of quantiles needs one output, but {name} has {n_outputs}. Fit one "
            "regressor for each output, or give one quantile."
        )


def check_precision(target: RegressionTarget, settings: Settings, dtype: np.dtype[Any]) -> None:
    """Refuse a y that predictions for X of this dtype, or the network, could not hold.

    Raises
    ------
    ValueError
        If y is much too large or too small for float32, and either the predictions are float32,
        or the network computes in float32 without scaling y.

    Warns
    -----
    UserWarning
        If predictions in float32 are rounded by a large part of the standard deviation of y.
    """
    low, high = SINGLE_LIMITS
    if not target.fits(dtype):
        raise ValueError(
            "X is float32, and so are the predictions, but float32 cannot hold them: the "
            f"magnitude of an output of the training y is not between {low:g} and {high:g}. "
            "Pass X as float64, or train on y in other units."
        )
    if target.rounds(dtype):
        warn(
            "X is float32, and so are the predictions, but float32 rounds an output of y by a "
            "large part of its standard deviation, since all of its values are close to one "
            "large number. Pass X as float64, or subtract this number from y."
        )
    if not settings.standardize and not target.fits(np.dtype(settings.dtype)):
        raise ValueError(
            "With standardize=False, the network is trained on y as it is, in float32, but the "
            f"magnitude of an output of y is not between {low:g} and {high:g}. Set "
            "dtype='float64' or standardize=True, or train on y in other units."
        )
