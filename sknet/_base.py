"""What the two estimators share: ``fit``, ``partial_fit`` and what a fitted network shows."""

import copy
import inspect
import warnings
from abc import ABCMeta, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sknet import _validation as checks
from sknet._auto import SHAPING, Table, bins_for, resolve, settings_of
from sknet._batching import prediction_blocks
from sknet._building import encoded_names, make_network
from sknet._fitting import (
    Run,
    fit_network,
    fit_one_pass,
    load_checkpoint,
    split_off_validation,
)
from sknet._monitoring import CallbackObserver
from sknet._summary import NotebookMixin
from sknet._version import __version__
from sknet.data.batches import stack_rows
from sknet.data.encoding import TableEncoder
from sknet.data.survey import survey_rows
from sknet.exceptions import InconsistentVersionWarning
from sknet.nn.network import Workspace
from sknet.nn.training import best_epoch


class BaseNN(checks.CallbackSupportMixin, NotebookMixin, BaseEstimator, metaclass=ABCMeta):
    """Shared base of ``NNClassifier`` and ``NNRegressor``.

    A fitted estimator stores the flat vector ``_params``, the rules to read it
    (``_network``, ``_loss``) and the encoders of X and y (``_table``, ``_target``).
    ``fit`` and ``partial_fit`` work on a copy and hand over its attributes at the end, so an
    error or an interrupt leaves the estimator as it was.
    """

    # What the subclasses tell apart.

    @abstractmethod
    def _make_target(self, data, classes=None):
        """Return the encoder of y, fitted to the training data."""

    @abstractmethod
    def _make_loss(self):
        """Return the loss, given the target."""

    @abstractmethod
    def _check_target(self, y, name):
        """Raise if y does not suit the target that was learned before."""

    @abstractmethod
    def _strata(self, y):
        """Return the classes that a validation split should keep the shares of, or None."""

    _numeric_y: bool

    # Fitting.

    def _validate_params(self):
        checks.check_loss_position(self)
        super()._validate_params()
        checks.check_layer_options(self)
        checks.check_solver_options(self)

    @checks.fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        resume_from=None,
    ):
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows: an array, a data frame, or a sparse matrix; or anything with
            ``shape``, ``dtype`` and slicing by rows, such as a data set of h5py, which is
            read in blocks (see :class:`sknet.streaming.RowBlocks`). NaN is a missing value,
            but an error in sparse X.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, all one by default. Only their ratios matter, and a weight
            of zero leaves a row out.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Rows for early stopping to watch, instead of rows split off from X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their labels or numbers.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.
        resume_from : path-like, default=None
            File of a ``sknet.callbacks.Checkpoint`` of an earlier fit with the same data
            and parameters, to go on from. The result is the same as without the
            interruption, bit for bit.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If parameters or data are invalid, before any training; or if training diverges
            before an epoch ended well. The estimator is left as it was.
        """
        model = copy.copy(self)
        vars(model).pop("_run", None)
        warm = self.warm_start and self.__sklearn_is_fitted__()
        run = None
        if resume_from is not None:
            run, warm = model._adopt(resume_from), True
        data = model._check_training_data(X, y, sample_weight, reset=not warm)
        held_out = checks.check_validation_data(
            model, X_val, y_val, sample_weight_val, numeric_y=self._numeric_y
        )
        # Drawn after the checks, so that an error leaves a given RandomState as it was.
        run = run or Run.start(self.random_state)
        model._start(data, run, warm=warm)
        if held_out is not None:
            model._check_target(held_out.y, "y_val")
            source, held_out = X_val, model._weighted(held_out, data)
            data = model._weighted(data, data)
        else:
            source = X
            data, held_out = split_off_validation(model, model._weighted(data, data), run)
        run.expect(self, data)
        observer = CallbackObserver.start(self, model, run, X, y, sample_weight)
        result = fit_network(model, data, (held_out, source), run, observer)
        model._set_record(result.history, data.n_rows)
        if observer is not None:
            observer.finish(model)
        self._become(model)
        self._warn_of(result)
        return self

    def _become(self, model):
        """Take over a model's attributes, all at once; callbacks' own stay as they are."""
        callbacks = checks.CALLBACK_ATTRIBUTES
        own = {name: value for name, value in vars(self).items() if name in callbacks}
        others = {name: value for name, value in vars(model).items() if name not in callbacks}
        self.__dict__ = {**others, **own}

    def _adopt(self, path):
        """Take over what a checkpoint knows, and return its run."""
        saved = load_checkpoint(self, path)
        parameters = self.get_params(deep=False)
        kept = {k: v for k, v in vars(saved).items() if k not in parameters}
        run = kept.pop("_run")
        vars(self).update(kept)
        return run

    def _without_callbacks(self):
        """Return a copy that no callback is attached to, fit to be saved."""
        detached = copy.copy(self)
        for name in checks.CALLBACK_ATTRIBUTES:
            vars(detached).pop(name, None)
        return detached

    def _check_training_data(self, X, y, sample_weight, *, reset, declared=False):
        return checks.check_training_data(
            self,
            X,
            y,
            sample_weight,
            numeric_y=self._numeric_y,
            reset=reset,
            declared=declared,
        )

    def _update_target(self, data, run):
        """Let further rows join what is known of y, without changing the predictions."""

    def _class_weights(self, y, training_y):
        """Return what each row's class adds as a factor to its weight, or None."""
        return None

    def _row_weights(self, y, sample_weight, training_y):
        """Return the weight of each row, its class's included, or None."""
        by_class = self._class_weights(y, training_y)
        if by_class is None:
            return sample_weight
        return by_class if sample_weight is None else by_class * sample_weight

    def _weighted(self, data, training):
        """Return the rows with the weights that they shall have, given the training rows."""
        weight = self._row_weights(data.y, data.sample_weight, training.y)
        if weight is data.sample_weight:
            return data
        weighted = data._replace(sample_weight=weight)
        return checks.positive_weights(weighted, "class_weight times sample_weight")

    def _smoothed(self, y):
        """Return the encoded target as training shall see it."""
        return y

    def _start(self, data, run, *, warm, partial=False, classes=None, n_rows=None):
        """Learn the encodings and draw the parameters; if ``warm``, keep what there is."""
        before = vars(self).get("auto_params_", {}) if warm else {}
        kept = {name: before[name] for name in SHAPING if name in before}
        # The data may be a sample of so many rows.
        table = Table(n_rows or data.n_rows, data.X)
        self.auto_params_ = resolve(self, table, kept)
        if warm:
            self._loss = self._make_loss()
            self._check_target(data.y, "y")
            self._check_same_network()
            params = self._params if run.params is None else run.params
            self._params = params.astype(params.dtype if partial else self._settings.dtype)
            return
        self._table = self._make_table(
            data, table.n_rows, run.streams["tables"], keep_rare=partial
        )
        self._target = self._make_target(data, classes)
        self._loss = self._make_loss()
        self._network = make_network(self._settings, self._table, self._n_raw)
        params = self._network.init(run.streams["init"])
        self._params = params.astype(self._settings.dtype)

    @property
    def _settings(self):
        """The parameters, with a value in place of each "auto"."""
        return settings_of(self, self.auto_params_)

    def _make_table(self, data, n_rows, rng, *, keep_rare):
        """Return the encoder of X, fitted to the training data."""
        survey = survey_rows(data, self._reader, rng=rng)
        return self._new_table(data.X, n_rows).fit_survey(survey, keep_rare=keep_rare)

    def _new_table(self, X, n_rows):
        """Return an encoder, not yet fitted, for a table of ``n_rows`` such as those of X."""
        embedding = self._settings.numeric_embedding
        checks.check_embedding(embedding, X)
        n_bins = bins_for(n_rows) if embedding == "piecewise_linear" else 0
        return TableEncoder(self.standardize, n_bins)

    def _check_same_network(self):
        if make_network(self._settings, self._table, self._n_raw) != self._network:
            raise ValueError(
                "The layers have changed since the last fit (hidden_layer_sizes, activation, "
                "dropout, normalization, n_members or numeric_embedding), so its parameters "
                "cannot be continued from. Set warm_start=False, or fit a clone."
            )

    @property
    def _n_raw(self):
        """Columns of the raw predictions."""
        return self._loss.n_raw(self._target.n_outputs)

    def _set_record(self, history, n_rows):
        """Set the attributes that tell how training went over ``n_rows`` rows."""
        self.history_ = history
        self.n_iter_ = len(history["loss"])
        self.best_iter_ = best_epoch(history)
        self.t_ = self.n_iter_ * n_rows
        self.n_outputs_ = self._target.n_outputs

    def _warn_of(self, result):
        """Warn of what the user should know of a training, and can act on."""
        if result.diverged:
            warnings.warn(
                f"Training diverged after {self.n_iter_} epochs. The parameters of epoch "
                f"{self.best_iter_}, the best, are restored. Lower learning_rate_init, or "
                "scale the data.",
                ConvergenceWarning,
                stacklevel=4,
            )
        elif not result.converged:
            remedy = (
                "Increase max_iter and max_fun, or tol."
                if self.solver == "lbfgs"
                else "Increase max_iter, choose a learning_rate that decays to zero such as "
                "'cosine', or set n_iter_no_change=numpy.inf to train exactly max_iter epochs."
            )
            warnings.warn(
                f"Training ended after {self.n_iter_} iterations "
                f"(max_iter={self._settings.max_iter}) "
                f"and has not converged yet. {remedy}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """Make one pass over the given rows, continuing from the last call."""
        model = copy.copy(self)
        first = not self.__sklearn_is_fitted__()
        # scikit-learn checks parameters in the first call only, and set_params may follow.
        self._validate_params()
        run = copy.deepcopy(vars(self).get("_run")) or Run.start(self.random_state)
        data = model._check_training_data(X, y, sample_weight, reset=first, declared=True)
        model._start(data, run, warm=not first, partial=True, classes=classes)
        if not first:
            model._update_target(data, run)
        result = fit_one_pass(model, model._weighted(data, data), run)
        model._run = run
        model._extend_record(vars(self), result.history, data.n_rows)
        self._become(model)
        return self

    def _extend_record(self, before, history, n_rows):
        """Set the attributes that tell how training went, after one more pass."""
        earlier = before.get("history_", {})
        together = {name: [*earlier.get(name, []), *values] for name, values in history.items()}
        self._set_record(together, n_rows)
        self.t_ = before.get("t_", 0) + n_rows

    # Prediction.

    def _predict(self, X, finish):
        """Return arrays with a row for each row of X, made block by block.

        ``finish(raw)`` turns a block's raw predictions, in float64, into a tuple of arrays.
        Numbers get the precision of X.
        """
        check_is_fitted(self)
        X = checks.check_features(self, X)
        blocks = prediction_blocks(self, X)
        workspace = Workspace(self._network, blocks.batch_size, self._params.dtype)
        raw = (self._network.forward(self._params, batch.X, workspace) for batch in blocks)
        finished = (finish(block.astype(np.float64)) for block in raw)
        return stack_rows(finished, X.shape[0], X.dtype)

    # On disk.

    def __getstate__(self):
        return {**super().__getstate__(), "_sknet_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        # 0.1.0 did not note it.
        made_by = state.pop("_sknet_version", "0.1.0 or before")
        if made_by != __version__:
            warnings.warn(
                InconsistentVersionWarning(type(self).__name__, made_by, __version__),
                stacklevel=2,
            )
            # Parameters that the other version did not have.
            parameters = inspect.signature(type(self)).parameters
            defaults = {k: v.default for k, v in parameters.items() if v.default is not v.empty}
            state = {**defaults, **state}
        super().__setstate__(state)

    # What a fitted network shows.

    def __sklearn_is_fitted__(self):
        return "_params" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def _dense_layers(self):
        check_is_fitted(self)
        return [one for one in self._network.views(self._params) if hasattr(one, "weight")]

    @property
    def coefs_(self):
        """Weight matrices, one per layer: views of the fitted vector."""
        return [layer.weight for layer in self._dense_layers()]

    @property
    def intercepts_(self):
        """Bias vectors, one per layer: views of the fitted vector."""
        return [layer.bias for layer in self._dense_layers()]

    @property
    def member_scales_(self):
        """What the members multiply a hidden layer's inputs by, one array per layer."""
        return [layer.scale for layer in self._dense_layers() if hasattr(layer, "scale")]

    @property
    def encoded_feature_names_(self):
        """A name for each column that enters the first layer with weights."""
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x{i}" for i in range(self.n_features_in_)]
        levels = []
        if self._reader is not None:
            names, levels = [names[i] for i in self._reader.order_], self._reader.levels_
        return np.array(encoded_names(self._network, self._table, names, levels), dtype=object)

    @property
    def n_layers_(self):
        """Number of layers, input and output included."""
        return len(self._dense_layers()) + 1

    @property
    def out_activation_(self):
        """Name of the output's activation, the inverse link of the loss."""
        check_is_fitted(self)
        return self._loss.out_activation

    @property
    def loss_curve_(self):
        """The objective of each epoch, the mean over its batches before their steps."""
        check_is_fitted(self)
        return self.history_["loss"]

    @property
    def loss_(self):
        """The last value of ``loss_curve_``."""
        return self.loss_curve_[-1]

    @property
    def best_loss_(self):
        """The lowest value of ``loss_curve_``; None with early stopping."""
        return min(self.loss_curve_) if self.validation_scores_ is None else None

    @property
    def validation_scores_(self):
        """The score of each epoch, higher is better; None without early stopping."""
        check_is_fitted(self)
        return self.history_.get("validation_score")

    @property
    def best_validation_score_(self):
        """The highest of ``validation_scores_``; None without early stopping."""
        scores = self.validation_scores_
        return None if scores is None else scores[self.best_iter_ - 1]


def is_stochastic(estimator):
    """Whether the solver takes steps, which ``partial_fit`` needs.

    Raises
    ------
    AttributeError
        If it does not.
    """
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit needs a stochastic solver; solver='lbfgs' is not one."
        )
    return True
