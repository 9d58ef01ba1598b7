"""``fit`` and ``partial_fit``, which the estimators share."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sknet._fitting import fit_network, fit_one_pass, split_off_validation
from sknet._hints import hinting, hints_of_names, hints_of_values
from sknet._input import Features, read_training, read_validation, with_groups
from sknet._model import Model
from sknet._monitoring import CallbackObserver, HeldOut
from sknet._parameters import check_together, without_effect
from sknet._persistence import VERSION, as_stored, load_checkpoint, unstamped
from sknet._requirements import (
    CallbackSupportMixin,
    callback_context,
    checks_parameters,
    kind_of,
    shorten_requests,
    warn,
)
from sknet._run import Run, fingerprint
from sknet._shared_parameters import SharedParameters
from sknet._starting import PretrainedNetwork, continue_model, start_model, transfer_model
from sknet._summary import NotebookMixin
from sknet._target_checks import check_y
from sknet._target_learning import weigh
from sknet._version import __version__
from sknet.data.batches import Batch, Dataset
from sknet.data.draws import cross_fitted
from sknet.data.joint import JointTarget
from sknet.data.splits import Given
from sknet.nn.budget import Budget
from sknet.nn.soundness import FAULTS, Ending
from sknet.nn.state import TrainingResult

#: A score on fewer validation rows is mostly chance.
FEW_TO_VALIDATE = 10
#: A fit that makes a smaller share of its planned epochs may leave the network underfitted.
FEW_EPOCHS = 0.1
#: The largest batch of scikit-learn's MLPs with the default ``batch_size``.
MLP_BATCH = 200
#: The attributes that a fit sets. The other public attributes are computed from them.
FITTED = ["_model", "_run", "history_", "n_features_in_", "feature_names_in_"]


class BaseNN(CallbackSupportMixin, SharedParameters, NotebookMixin):
    """Base class of the estimators.

    An estimator keeps its parameters, the model of the last fit in ``_model``, and the record
    of that fit in ``history_``. After ``partial_fit`` and in checkpoints, ``_run`` keeps the
    state of the training. A fit builds a new model and sets all of these attributes in one
    assignment at its end, so that an error or an interrupt leaves the estimator as it was.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Add scikit-learn's metadata-routing methods to a subclass."""
        super().__init_subclass__(**options)
        shorten_requests(cls)

    @classmethod
    def _get_param_names(cls) -> list[str]:
        if "_param_names" not in vars(cls):  # Reading a signature is slow.
            cls._param_names = super()._get_param_names()
        return list(cls._param_names)

    def _validate_params(self) -> None:
        with hints_of_values(self, self._parameter_constraints):
            super()._validate_params()
        check_together(self, "regression" if is_regressor(self) else "classification")

    @hinting
    @checks_parameters
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        resume_from: Any = None,
        init: Any = None,
    ) -> Self:
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training rows, or an object that returns slices of rows (see
            :class:`sknet.streaming.RowBlocks`). NaN means missing; in sparse X, it is an error.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels or numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the rows. Only their ratios matter. None weights all rows equally.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, such as a person. Early stopping holds out whole groups.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Validation rows for early stopping, which otherwise holds out rows of X.
        resume_from : path-like, default=None
            A ``sknet.callbacks.Checkpoint`` file. The fit resumes exactly where it was saved.
        init : fitted sknet estimator or PretrainedNetwork, default=None
            A network fitted to the same columns. The fit starts from its encodings and layers.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid or training diverges at once. The estimator is unchanged.
            Later divergence gives a ConvergenceWarning, and training cut short may give one.
        """
        budget = Budget(self.time_limit)
        before, run = self._to_continue(resume_from, init)
        given = Batch(X, y, cast(Any, sample_weight))
        known = None if before is None else before._last_fit()[0].asked_by(self)
        features, data = read_training(self, given, known)
        data = with_groups(data, groups, used=X_val is None)
        given_val = Batch(X_val, y_val, cast(Any, sample_weight_val))
        held_out = read_validation(features, given_val)
        # Started after the checks, so that an error leaves a given RandomState unchanged.
        run = run or Run.start(self.random_state)
        classes = _labels_of_all_rows(features, y, data)
        model = self._begin(before, features, data, run, classes, is_new=init is not None)
        data, held_out = _weigh_and_split(model, data, held_out, run, (X, y, groups))
        identify = partial(fingerprint, data, held_out)
        run.expect_rows(data.n_rows, identify)
        warn_of_doubts(self, model, held_out, data.y)
        n_validation = 0 if held_out is None else held_out.n_rows
        model = model.begun(data.n_rows, n_validation, data.is_cross_fitted, run.has_begun)
        observer = observe(self, features, model, run, identify, given)
        validation = None
        if held_out is not None:
            source = X if X_val is None else X_val
            make_estimator = partial(scored, self, features)
            validation = HeldOut(held_out, X_val is None, source, make_estimator)
        result = fit_network(model, data, validation, run, observer, budget=budget)
        conclude(self, features, model.trained(result), result, observer)
        return self

    def _to_continue(self, resume_from: Any, init: Any) -> tuple[Any, Run | None]:
        """Return the network that the fit starts from, or None, and its run, or None.

        A checkpoint is continued with its run. A warm start and ``init`` begin a new run.
        """
        if init is not None and resume_from is not None:
            raise ValueError(
                "resume_from continues a fit that has already started. Leave init out."
            )
        if init is not None:
            if not isinstance(init, PretrainedNetwork):
                fitted(init, "init", " or the result of pretrain")
            return init, None
        if resume_from is not None:
            return load_checkpoint(self, resume_from)
        return (self if self.warm_start and self.__sklearn_is_fitted__() else None), None

    def _begin(
        self,
        before: Any,
        features: Features,
        data: Dataset,
        run: Run,
        classes: Any,
        is_new: bool,
    ) -> Model:
        """Return the model to train: that of the fit to be continued, or a new one.

        A new one starts from the layers of ``before``, if given. ``classes`` are the classes,
        or None if they are the labels of the data.
        """
        if before is None:
            return start_model(self, features, data, run.streams, classes=classes)
        if is_new:
            return transfer_model(self, features, before._model, data, run.streams, classes)
        model = continue_model(self, features, before._model, data, run.params)
        model.target.check_all_labels(data.y if classes is None else classes)
        # A resumed fit has the same rows, so no constant column can begin to vary.
        return model.with_late_scales(data) if before is self else model

    def _after_fit(self, fitted: dict[str, Any]) -> dict[str, Any]:
        """Return all attributes of this estimator after a fit, given the fitted ones."""
        own = {name: value for name, value in vars(self).items() if name not in FITTED}
        return {**own, **fitted}

    def _warning(self, ending: Ending) -> str | None:
        """Return the warning for training that ended in this way, or None."""
        settings, n_epochs = self._model.settings, self.n_iter_
        if ending is Ending.MAX_ITER:
            # lbfgs may end earlier, after as many evaluations as it may make.
            early = n_epochs < settings.max_iter
            name, owner = ("max_fun", settings.solver) if early else ("max_iter", settings)
            limit = f"{name}={getattr(owner, name)}"
            return (
                f"Training ended at iteration {n_epochs} ({limit}) and has not converged yet. "
                f"{settings.solver.convergence_remedy}"
            )
        if ending is Ending.TIME_LIMIT:
            return self._time_warning()
        if ending not in FAULTS:
            return None
        happened = "diverged" if ending is Ending.DIVERGED else "failed"
        text = f"Training {happened} at epoch {n_epochs}: {FAULTS[ending]}. "
        if ending.restores_best:
            text += f"The parameters of the best epoch, {self.best_iter_}, are restored. "
        flat = ending is Ending.FLAT
        return text + (self._alpha_remedy() if flat else settings.solver.divergence_remedy)

    def _alpha_remedy(self) -> str:
        """Return what to do about a penalty that is too strong."""
        settings, size = self._model.settings, self._model.provenance.n_rows or 1
        if settings.solver.stochastic:
            auto = "batch_size" in settings.auto
            size = min(size, MLP_BATCH if auto else settings.batch_size)
        return (
            f"scikit-learn's MLPs divide alpha by the batch size ({size} rows here), and sknet "
            f"does not. Their alpha={settings.alpha:g} is alpha={settings.alpha / size:.2g} "
            "here: set this, or alpha='auto'."
        )

    def _time_warning(self) -> str | None:
        """Return the warning for a fit that its time limit has shortened, or None."""
        settings = self._model.settings
        n_made = self.t_ / (self._model.provenance.n_rows or 1)
        planned = settings.solver.stochastic and settings.schedule.has_horizon
        if planned and n_made > FEW_EPOCHS * settings.max_iter:
            return None
        made = f"{n_made:.2g}" if n_made < 100 else f"{n_made:.0f}"
        return (
            f"Training had time for about {made} of {settings.max_iter} epochs "
            f"(time_limit={settings.time_limit:g} seconds), which may be too few. Increase "
            "time_limit, or make epochs faster: use fewer rows or smaller hidden_layer_sizes."
        )

    def _partial_fit(
        self, X: Any, y: ArrayLike, sample_weight: Any, classes: Any = None
    ) -> Self:
        """Make one pass over the given rows, starting from the result of the last call."""
        first = not self.__sklearn_is_fitted__()
        # scikit-learn checks the parameters in the first call only, but set_params may have
        # changed them since.
        self._validate_params()
        given = Batch(X, y, sample_weight)
        known, before = (None, {}) if first else (self._last_fit()[0], self.history_)
        features, data = read_training(self, given, known, declared=True)
        run = copy.deepcopy(vars(self).get("_run")) or Run.start(self.random_state)
        if first:
            model = start_model(self, features, data, run.streams, n_earlier=0, classes=classes)
            warn_of_doubts(self, model)
        else:
            model, n_earlier = self._model, self._model.provenance.n_seen
            model = continue_model(self, features, model, data, run.params, n_earlier=n_earlier)
            model = model.with_late_scales(data).absorb(data, run.vectors)
        data = weigh(model.settings, model.target, data)
        n_before = len(before.get("loss", []))
        result = fit_one_pass(model, data, run, n_before)
        # Another solver, such as lbfgs, may have recorded other quantities.
        gap = [math.nan] * n_before
        history = {name: before.get(name, gap) + new for name, new in result.history.items()}
        result, model = replace(result, history=history), model.passed(result, data.n_rows)
        conclude(self, features, model, result, run=run)
        return self

    # Prediction.

    def _last_fit(self) -> tuple[Features, Any]:
        """Return the columns of the training table and the model, both of the last fit.

        A fit replaces ``__dict__``, so that an object with the present one keeps what belongs
        together while another thread fits this estimator anew.
        """
        self._check_fitted()
        snapshot = object.__new__(type(self))
        snapshot.__dict__ = self.__dict__
        return Features(snapshot, snapshot._model.reader), snapshot._model

    # scikit-learn's methods.

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name and return the estimator."""
        with hints_of_names(self._get_param_names()):
            return super().set_params(**params)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; with ``deep``, also those of nested estimators."""
        return super().get_params(deep)

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks of the next fits (see :mod:`sknet.callbacks`)."""
        return super().set_callbacks(*callbacks)

    def get_metadata_routing(self) -> Any:
        """Return which arguments scikit-learn's meta-estimators pass to which methods."""
        return super().get_metadata_routing()

    # Files.

    def __getstate__(self) -> dict[str, Any]:
        state = {name: as_stored(value) for name, value in super().__getstate__().items()}
        return {**state, VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unstamped(type(self), state))

    # scikit-learn's protocol.

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def observe(
    estimator: BaseNN,
    features: Features,
    model: Model,
    run: Run,
    identify: Callable[[], str],
    given: Batch,
) -> CallbackObserver | None:
    """Return the observer that calls the callbacks of the fit, or None if there are none.

    ``identify()`` returns the fingerprint of the training rows. ``given`` has these rows in the
    user's form.
    """

    def fitted_here(params: np.ndarray, history: dict[str, list]) -> dict[str, Any]:
        known = {} if run.state is None else run.state.counted
        now = model.with_params(params.astype(model.params.dtype), **known)
        return fitted_attributes(features, now, copy.deepcopy(history), run.resumable(identify))

    if (context := callback_context(estimator, model.settings.max_iter)) is None:
        return None
    weight = given.sample_weight
    metadata = None if weight is None else {"sample_weight": weight}
    arguments = {"X": given.X, "y": given.y, "metadata": metadata}
    context.call_on_fit_task_begin(estimator=estimator, **arguments)
    history = {} if run.state is None else copy.deepcopy(run.state.history)
    return CallbackObserver(context, estimator, arguments, history, fitted_here)


def scored(estimator: BaseNN, features: Features, model: Model) -> BaseNN:
    """Return an estimator that predicts with a model, for a scorer."""
    copied = object.__new__(type(estimator))
    copied.__dict__ = estimator._after_fit(fitted_attributes(features, model, {}))
    return copied


def conclude(
    estimator: BaseNN,
    features: Features,
    model: Model,
    result: TrainingResult,
    observer: CallbackObserver | None = None,
    run: Run | None = None,
) -> None:
    """End a fit: tell the callbacks, set the attributes, and warn if it did not end well.

    ``model`` is the trained one, and ``run`` is as in :func:`fitted_attributes`.
    """
    fitted = fitted_attributes(features, model, result.history, run)
    if observer is not None:
        observer.finish(fitted)
    set_fitted(estimator, fitted)
    warn_of_ending(estimator, result.ending)


def set_fitted(estimator: BaseNN, fitted: dict[str, Any]) -> None:
    """Set the fitted attributes by one assignment, which no error can interrupt."""
    estimator.__dict__ = estimator._after_fit(fitted)


def warn_of_ending(estimator: BaseNN, ending: Ending) -> None:
    """Warn if the training of a fitted estimator did not end well."""
    if (message := estimator._warning(ending)) is not None:
        warn(message, ConvergenceWarning)


def fitted_attributes(
    features: Features, model: Model, history: dict[str, list], run: Run | None = None
) -> dict[str, Any]:
    """Return the attributes of a fitted estimator.

    ``run`` is given if a resumed fit or a further ``partial_fit`` is to continue the training.
    """
    columns = {"n_features_in_": features.n_features, "feature_names_in_": features.names}
    fitted = {"_model": model, "_run": run, "history_": history, **columns}
    return {name: value for name, value in fitted.items() if value is not None}


def _weigh_and_split(
    model: Model, data: Dataset, held_out: Dataset | None, run: Run, given: Given
) -> tuple[Dataset, Dataset | None]:
    """Return the training rows, and the validation rows or None, with class weights applied.

    ``held_out`` has the user's validation rows. If it is None, early stopping splits rows off
    ``data``. ``given`` has the user's X, y and groups.
    """
    settings, target = model.settings, model.target
    weighted = weigh(settings, target, data)
    if held_out is None and settings.cross_fits and weighted.n_groups >= settings.n_parts:
        n_members, strata = settings.n_members, target.strata(weighted.y)
        return cross_fitted(weighted, n_members, settings.n_parts, strata, run.split_seed)
    if held_out is None:
        return split_off_validation(model, weighted, run.split_seed, given)
    model.check_target(held_out.y, "y_val", held_out.order)
    return weighted, weigh(settings, target, held_out)


def _labels_of_all_rows(features: Features, y: Any, data: Dataset) -> Any:
    """Return all labels of a one-column y if rows were left out for their weight, else None.

    As in scikit-learn, a label is a class even if no row with it has a positive weight.
    """
    is_column = data.y.ndim == 1 and data.y.dtype.names is None
    if features.numeric_y or not is_column or data.n_rows == data.X.shape[0]:
        return None
    return np.unique(check_y(y, numeric=False, name="y", warns=False))


def warn_of_doubts(
    estimator: BaseNN, model: Model, held_out: Dataset | None = None, y: Any = None
) -> None:
    """Warn about what the user can hardly have meant, before the training.

    ``held_out`` has the validation rows, and ``y`` the targets of all training rows, if known.
    """
    for doubt in _doubts(estimator, model, held_out, y):
        warn(doubt)


def _doubts(estimator: BaseNN, model: Model, held_out: Dataset | None, y: Any) -> Iterator[str]:
    """Yield the texts of the warnings."""
    yield from without_effect(estimator)
    several = getattr(model.target, "of_labels", {}).items()
    targets = {f"Target {name!r}": one for name, one in several} or {"y": model.target}
    for name, one in targets.items():
        classes: Any = getattr(one, "classes_", ())
        if len(classes) == 1:
            only = repr(classes.item())
            yield f"{name} has a single class, {only}, which is predicted for all rows."
    if isinstance(model.target, JointTarget) and held_out is not None and y is not None:
        for name in model.target.held_back(y, held_out.y):
            yield (
                f"Target {name!r} is missing in all training rows, since only validation rows "
                "have it, so it is not learned. Choose a validation_fraction or groups that "
                "leave rows with each target for training, pass X_val and y_val to fit, or set "
                "early_stopping=False."
            )
    if held_out is not None and held_out.n_rows < FEW_TO_VALIDATE:
        yield (
            f"Early stopping has {held_out.n_rows} validation rows, too few to find the best "
            "epoch. Pass more rows as X_val, or set early_stopping=False."
        )


def fitted(
    estimator: Any, name: str = "estimator", alternative: str = ""
) -> tuple[Features, Model]:
    """Return the features and the model of a fitted sknet estimator.

    In messages, ``name`` is the name of the argument, and ``alternative`` says what it may be
    instead of an estimator.

    Raises
    ------
    TypeError
        If ``estimator`` is not an sknet estimator (for example, a pipeline).
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(estimator, BaseNN):
        raise TypeError(
            f"{name} must be a local sknet estimator{alternative}, got "
            f"{kind_of(estimator)}. For a Dask estimator, pass its to_local(). For a pipeline, "
            "pass its last step, pipeline[-1], and X transformed by the steps before it, "
            "pipeline[:-1].transform(X). For a search, pass its best_estimator_."
        )
    message = f"{name}: this %(name)s instance is not fitted yet. Call its fit method first."
    check_is_fitted(estimator, msg=message)
    return estimator._last_fit()
