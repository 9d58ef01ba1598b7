"""What the two estimators share: ``fit``, ``partial_fit`` and what a fitted network shows."""

import copy
import warnings
from abc import ABCMeta, abstractmethod
from functools import partial

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sknet import _validation as checks
from sknet._building import (
    choose_dtype,
    encoded_names,
    make_network,
    make_optimizer_and_penalty,
    make_stopping,
    make_update_rule,
    random_streams,
)
from sknet._monitoring import EpochPrinter, Validation
from sknet.data.augmentation import Augmentation
from sknet.data.batches import Batch, Batches
from sknet.data.encoding import TableEncoder
from sknet.data.splitting import split_rows
from sknet.nn.lbfgs import train_lbfgs
from sknet.nn.network import Workspace
from sknet.nn.objective import Objective
from sknet.nn.training import Stopping, TrainingState, train

#: Rows of training data above which early_stopping="auto" is on.
EARLY_STOPPING_ROWS = 10_000
#: Rows of a mini-batch with batch_size="auto".
AUTO_BATCH_SIZE = 200
#: Bins of a number with numeric_embedding="piecewise_linear".
N_BINS = 16
#: Most bytes of encoded rows that are kept, instead of encoding them batch by batch.
ENCODED_BYTES = 32 * 2**20
#: Elements of the widest work array where rows are processed in blocks, outside of steps.
BLOCK_ELEMENTS = 2**18


class BaseNN(BaseEstimator, metaclass=ABCMeta):
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
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
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
        warm = self.warm_start and self.__sklearn_is_fitted__()
        data = model._check_training_data(X, y, sample_weight, reset=not warm)
        held_out = checks.check_validation_data(
            model, X_val, y_val, sample_weight_val, numeric_y=self._numeric_y
        )
        streams = random_streams(self.random_state)
        model._start(data, streams, warm=warm)
        data = model._weighted(data)
        if held_out is not None:
            model._check_target(held_out.y, "y_val")
            held_out = model._weighted(held_out)
        elif self._stops_early(data):
            data, held_out = model._split(data, streams["split"])
        dtype = model._params.dtype
        result = model._train(data, held_out, streams)
        model._params = result.params.astype(dtype, copy=False)
        model._finish(result, data.X.shape[0])
        self.__dict__ = model.__dict__
        return self

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

    def _weighted(self, data):
        """Return the rows with the weights that they shall have in training."""
        return data

    def _smoothed(self, y):
        """Return the encoded target as training shall see it."""
        return y

    def _start(self, data, streams, *, warm, partial=False, classes=None):
        """Learn the encodings and draw the parameters; if ``warm``, keep what there is."""
        self.__dict__.pop("_training", None)
        if warm:
            self._loss = self._make_loss()
            self._check_target(data.y, "y")
            self._check_same_network()
            self._params = self._params.copy()
            return
        self._table = self._make_table(data, streams["tables"], keep_rare=partial)
        self._target = self._make_target(data, classes)
        self._loss = self._make_loss()
        self._network = make_network(self, self._table, self._n_raw)
        self._params = self._network.init(streams["init"]).astype(choose_dtype(self, data))

    def _make_table(self, data, rng, *, keep_rare):
        """Return the encoder of X, fitted to the training data."""
        n_levels = [] if self._reader is None else self._reader.n_levels_
        n_bins = N_BINS if self.numeric_embedding == "piecewise_linear" else 0
        checks.check_embedding(self, data.X)
        table = TableEncoder(self.standardize, n_levels, n_bins)
        return table.fit(data.X, data.sample_weight, rng, keep_rare=keep_rare)

    def _check_same_network(self):
        if make_network(self, self._table, self._n_raw) != self._network:
            raise ValueError(
                "The layers have changed since the last fit (hidden_layer_sizes, activation, "
                "dropout, normalization, n_members or numeric_embedding), so its parameters "
                "cannot be continued from. Set warm_start=False, or fit a clone."
            )

    @property
    def _n_raw(self):
        """Columns of the raw predictions."""
        return self._loss.n_raw(self._target.n_outputs)

    def _stops_early(self, data):
        if self.early_stopping == "auto":
            return data.X.shape[0] > EARLY_STOPPING_ROWS
        return self.early_stopping

    def _split(self, data, rng):
        """Return the training and the validation rows."""
        seed = int(rng.integers(np.iinfo(np.int32).max))
        rows = split_rows(data.X.shape[0], self.validation_fraction, self._strata(data.y), seed)
        return tuple(data.take(part) for part in rows)

    def _train(self, data, held_out, streams):
        """Minimise the objective over the training rows, from ``_params`` on."""
        optimizer, penalty = make_optimizer_and_penalty(self)
        objective = Objective(self._network, self._loss, penalty)
        if optimizer is None:
            # In float64 throughout: a line search compares nearly equal values.
            self._params = self._params.astype(np.float64)
        dtype = self._params.dtype
        options = {
            "evaluate": held_out and Validation(self, objective, held_out, dtype),
            "report": EpochPrinter(self.verbose) if self.verbose else None,
        }
        stopping = make_stopping(self)
        if optimizer is None:
            batches = self._batches(data, self._block_rows, dtype, training=True)
            return train_lbfgs(
                objective, self._params, batches, stopping, self.max_fun, **options
            )
        batches = self._mini_batches(data, streams)
        rule = make_update_rule(self, optimizer)
        state = TrainingState.start(optimizer, self._params, streams["noise"])
        return train(objective, self._params, batches, rule, stopping, state, **options)

    def _mini_batches(self, data, streams):
        """Return the batches to make steps on."""
        batch_size = AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size
        augment = None
        if self.input_noise or self.mixup:
            augment = Augmentation(
                self.input_noise,
                self.mixup,
                self._table.n_numeric_,
                self._table.n_plain_,
                streams["augmentation"],
            )
        return self._batches(
            data,
            batch_size,
            self._params.dtype,
            training=True,
            rng=streams["shuffle"] if self.shuffle else None,
            augment=augment,
        )

    def _blocks(self, data, dtype):
        """Return blocks of rows to evaluate."""
        return self._batches(data, self._block_rows, dtype)

    def _batches(self, data, batch_size, dtype, *, training=False, **options):
        """Return batches of encoded rows, with weights of mean one."""
        X, y, weight = data
        encode = partial(self._table.transform, dtype=dtype)
        if y is not None:
            y = self._target.transform(y, dtype)
            if training:
                y = self._smoothed(y)
            # Rows that are used again and again are encoded once, where memory allows.
            n_bytes = X.shape[0] * self._table.n_outputs_ * dtype.itemsize
            if n_bytes <= ENCODED_BYTES and not sparse.issparse(X):
                X, encode = encode(X), None
        if weight is not None:
            weight = (weight / weight.mean()).astype(dtype)
        return Batches(Batch(X, y, weight), batch_size, encode, **options)

    @property
    def _block_rows(self):
        return max(1, BLOCK_ELEMENTS // max(self._network.widths))

    def _finish(self, result, n_rows):
        """Set the attributes of a fit, and warn of what the user should know."""
        self.history_ = result.history
        self.n_iter_ = len(result.history["loss"])
        self.best_iter_ = result.best_iter
        self.t_ = self.n_iter_ * n_rows
        self.n_outputs_ = self._target.n_outputs
        if result.diverged:
            warnings.warn(
                f"Training diverged after {self.n_iter_} epochs. The parameters of epoch "
                f"{result.best_iter}, the best, are restored. Lower learning_rate_init, or "
                "scale the data.",
                ConvergenceWarning,
                stacklevel=4,
            )
        elif not result.converged:
            warnings.warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization has not "
                "converged yet. Increase max_iter, choose a learning_rate that decays to zero "
                "such as 'cosine', or set n_iter_no_change=numpy.inf to train exactly "
                "max_iter epochs.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """Make one pass over the given rows, continuing from the last call."""
        model = copy.copy(self)
        first = not self.__sklearn_is_fitted__()
        data = model._check_training_data(X, y, sample_weight, reset=first, declared=True)
        state, streams = copy.deepcopy(vars(self).get("_training", (None, None)))
        streams = streams or random_streams(self.random_state)
        model._start(data, streams, warm=not first, partial=True, classes=classes)
        optimizer, penalty = make_optimizer_and_penalty(self)
        if state is None or state.optimizer is not type(optimizer):
            state = TrainingState.start(optimizer, model._params, streams["noise"])
        state = state.next_training()
        result = train(
            Objective(model._network, model._loss, penalty),
            model._params,
            model._mini_batches(model._weighted(data), streams),
            make_update_rule(self, optimizer, horizon=False),
            Stopping(max_iter=1, tol=0.0, n_iter_no_change=np.inf),
            state,
            report=EpochPrinter(self.verbose) if self.verbose else None,
        )
        model._training = state, streams
        model._continue(self, result, data.X.shape[0])
        self.__dict__ = model.__dict__
        return self

    def _continue(self, before, result, n_rows):
        """Set the attributes of one more pass."""
        self.history_ = copy.deepcopy(vars(before).get("history_", {}))
        for name in set(self.history_) - set(result.history):
            del self.history_[name]
        for name, values in result.history.items():
            self.history_.setdefault(name, []).extend(values)
        self.n_iter_ = vars(before).get("n_iter_", 0) + 1
        self.t_ = vars(before).get("t_", 0) + n_rows
        self.best_iter_ = int(np.argmin(self.history_["loss"])) + 1
        self.n_outputs_ = self._target.n_outputs

    # Prediction.

    def _raw_predict(self, X):
        """Return raw predictions in float64 and the dtype that predictions should have."""
        check_is_fitted(self)
        X = checks.check_features(self, X)
        blocks = self._blocks(Batch(X), self._params.dtype)
        workspace = Workspace(self._network, blocks.batch_size, self._params.dtype)
        raw = np.empty((X.shape[0], self._network.n_outputs))
        start = 0
        for batch in blocks:
            stop = start + batch.X.shape[0]
            raw[start:stop] = self._network.forward(self._params, batch.X, workspace)
            start = stop
        return raw, X.dtype

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
            order = np.concatenate([self._reader.numeric_, self._reader.categorical_])
            names, levels = [names[i] for i in order], self._reader.levels_
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
