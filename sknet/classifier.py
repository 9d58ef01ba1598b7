"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from sknet import _validation as checks
from sknet._base import BaseNN, is_stochastic
from sknet._building import make_loss
from sknet._docstrings import shared_documentation
from sknet.data.targets import ClassTarget


@shared_documentation
class NNClassifier(ClassifierMixin, BaseNN):
    """Neural network for classification: binary, multiclass and multi-label.

    A feed-forward network in NumPy, trained by backpropagation on the log loss. It takes
    the place of :class:`sklearn.neural_network.MLPClassifier`, whose parameters and
    attributes keep their names here.

    Parameters
    ----------
    {parameters}
    loss : "log_loss" or Loss, default="log_loss"
        The log loss through softmax (more than two classes) or logistic (two classes, or
        labels that do not exclude each other); or an instance of a ``Loss`` of
        ``sknet.nn.losses``, which for two classes gets one raw column and must have an
        inverse link h with h(-raw) = 1 - h(raw).
    {more_parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for a multi-label target, the numbers of its columns.
    {attributes}

    See Also
    --------
    NNRegressor : The same network for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import NNClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = NNClassifier((32,), max_iter=50, learning_rate="cosine",
    ...                        learning_rate_init=0.01, random_state=0)
    >>> network.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints = {
        **checks.SHARED_CONSTRAINTS,
        "loss": checks.loss_constraint({"log_loss"}),
    }
    _numeric_y = False

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        loss="log_loss",
        solver="adam",
        alpha=5e-7,
        l1_ratio=0.0,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dropout=0.0,
        scoring="loss",
        standardize=True,
        dtype="auto",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.solver = solver
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.scoring = scoring
        self.standardize = standardize
        self.dtype = dtype

    def _make_target(self, data, classes=None):
        target = ClassTarget().fit(data.y, classes)
        self.classes_ = target.classes_
        target.check_labels(data.y, "y")
        return target

    def _make_loss(self):
        # Two classes have one column, and labels one each: both are sums of binary losses.
        multiclass = self._target.kind == "multiclass"
        return make_loss(self, "log_loss" if multiclass else "binary_log_loss")

    def _check_target(self, y, name):
        self._target.check_labels(y, name)

    def _strata(self, y):
        return None if self._target.kind == "multilabel" else y

    @available_if(is_stochastic)
    @checks.fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Update the network by one pass over the given rows.

        The first call fixes the classes and the scaling of the inputs. Early stopping is
        left aside, and a schedule that ends at ``max_iter`` is replaced by a constant rate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, relative to each other.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will bring. Needed in the first call, unless y is
            multi-label.

        Returns
        -------
        self : object
            The updated estimator.

        Raises
        ------
        ValueError
            If parameters or data are invalid, y has a class that is not in ``classes``, or
            training diverges. The estimator is left as it was.
        """
        checks.check_partial_fit_classes(self, y, classes)
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X):
        """Predict the most probable class, or the labels that are more probable than not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels; 0 and 1 for a multi-label target.
        """
        raw, _ = self._raw_predict(X)
        return self._target.labels(raw)

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probability of each class, in the order of ``classes_``; for a multi-label
            target, of each label. float32 for float32 X, else float64.
        """
        raw, dtype = self._raw_predict(X)
        proba = self._target.probabilities(raw, self._loss.inverse_link).astype(dtype)
        # Rounding must not turn a probability into a certainty, whose log loss is infinite.
        limits = np.finfo(dtype)
        return np.clip(proba, limits.tiny, 1 - limits.epsneg, out=proba)

    def predict_log_proba(self, X):
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The logarithms of what ``predict_proba`` returns; all are finite.
        """
        return np.log(self.predict_proba(X))

    def decision_function(self, X):
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, the logit of the second; else one column for each class or
            label. A softmax's logits are defined up to a constant of the row.
        """
        raw, dtype = self._raw_predict(X)
        logits = raw.astype(dtype, copy=False)
        return logits[:, 0] if self._target.kind == "binary" else logits

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
