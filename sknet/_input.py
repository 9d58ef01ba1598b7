"""The user's X, y and weights: checked, and read into a ``Dataset``.

``Features`` are the columns that training saw. Every later table is held against them.
"""

import sys
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from sknet._sklearn import check_sample_weight
from sknet.data import frames
from sknet.data.batches import Dataset
from sknet.data.row_blocks import ChosenRows, RowBlocks, as_row_blocks, distinct_values
from sknet.data.survey import Survey, survey_rows
from sknet.data.tables import TableReader, categorical_columns


@dataclass(frozen=True)
class Features:
    """The columns of the training table, against which further tables are held.

    Attributes
    ----------
    estimator : estimator
        Has ``n_features_in_`` and, if X had names, ``feature_names_in_``, as scikit-learn's
        checks ask for them.
    reader : TableReader or None
        Reads the categories of X, if there are any.
    """

    estimator: BaseEstimator
    reader: TableReader | None

    @classmethod
    def learn(
        cls, estimator: BaseEstimator, X: Any, *, declared: bool = False
    ) -> tuple[Self, Any]:
        """Return the features of a training table, and the table as :meth:`read` returns it.

        The estimator itself is left alone. If ``declared``, the levels that a category dtype
        declares count even if X lacks them.

        Raises
        ------
        ValueError
            If ``categorical_features`` does not suit X, and as :meth:`read` does.
        """
        frames.check_no_dates(X)
        blocks = as_row_blocks(X)
        wanted = estimator.categorical_features
        reader = _make_reader(wanted, X if blocks is None else blocks, declared)
        features = cls(_unfitted(estimator), reader)
        return features, features._read(X, reset=True)

    @classmethod
    def of(cls, estimator: BaseEstimator, survey: Survey) -> Self:
        """Return the features of a table that was surveyed, perhaps in parts."""
        owner = _unfitted(estimator)
        owner.n_features_in_ = survey.n_features
        if survey.names is not None:
            owner.feature_names_in_ = np.array(survey.names, dtype=object)
        return cls(owner, survey.reader)

    def survey(
        self, data: Dataset, rng: np.random.Generator | None = None, part: str = "the table"
    ) -> Survey:
        """Return the survey of rows that were read, with a sample if there is an ``rng``."""
        names = None if self.names is None else self.names.tolist()
        return survey_rows(data, self.reader, names, rng=rng, part=part)

    @property
    def n_features(self) -> int:
        """The number of columns of X."""
        return self.estimator.n_features_in_

    @property
    def names(self) -> np.ndarray | None:
        """The names of the columns, or None if X had no names that are all strings."""
        return getattr(self.estimator, "feature_names_in_", None)

    @property
    def numeric_y(self) -> bool:
        """Whether y holds numbers, and not labels."""
        return is_regressor(self.estimator)

    def without_names(self) -> Self:
        """Return features that hold a table against the positions of the columns only."""
        nameless = _unfitted(self.estimator)
        nameless.n_features_in_ = self.n_features
        return replace(self, estimator=nameless)

    def read(self, X: Any) -> Any:
        """Return X as a float array, CSR or ``RowBlocks``, with categories as level numbers.

        NaN stands for a missing value, in categories also for an unknown level. A table that
        is read in blocks is not read yet.

        Raises
        ------
        ValueError
            If X holds dates or infinity, if sparse X holds NaN, or if X has other columns
            than training had.
        """
        frames.check_no_dates(X)
        return X if self._is_plain(X) else self._read(X, reset=False)

    def _read(self, X: Any, reset: bool) -> Any:
        """Return X as :meth:`read` does; ``reset`` notes the columns of a training table."""
        blocks = as_row_blocks(X)
        if blocks is not None:
            validate_data(self.estimator, blocks, reset=reset, skip_check_array=True)
            return blocks.read_by(self.reader)
        if self.reader is None:
            return self._read_numbers(X, reset)
        if sparse.issparse(X):
            raise ValueError("X is sparse, but training saw categories in a frame or an array.")
        validate_data(self.estimator, X, reset=reset, skip_check_array=True)
        return self.reader.read(X)

    def _read_numbers(self, X: Any, reset: bool) -> Any:
        """Return a table without categories as a float array or CSR."""
        X = validate_data(
            self.estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )
        if sparse.issparse(X) and np.isnan(X.data).any():
            raise ValueError(
                "Sparse X contains NaN. A missing value is imputed in dense X only: fill it "
                "in, or use X.toarray()."
            )
        return X

    def _is_plain(self, X: Any) -> bool:
        """Return whether X is an array in which scikit-learn's checks would find nothing.

        Those checks take most of the time of a prediction for one row.
        """
        if type(X) is not np.ndarray or X.dtype.char not in "fd" or not X.dtype.isnative:
            return False
        if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] != self.n_features:
            return False
        if self.reader is not None or self.names is not None:
            return False
        # A finite sum has no summand that is not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(X.sum()))


def _unfitted(estimator: BaseEstimator) -> Any:
    """Return an estimator with the same parameters and nothing else."""
    unfitted = object.__new__(type(estimator))
    vars(unfitted).update(estimator.get_params(deep=False))
    return unfitted


def read_training(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    known: Features | None = None,
    declared: bool = False,
) -> tuple[Features, Dataset]:
    """Return the features of a training table, and its rows of positive weight.

    Parameters
    ----------
    estimator : NNClassifier or NNRegressor
    X, y, sample_weight
        As given to ``fit``.
    known : Features, optional
        Those of an earlier fit that is continued. X is held against them.
    declared : bool, default=False
        Whether the levels that a category dtype declares count even if X lacks them.

    Returns
    -------
    features : Features
    data : Dataset
        As :func:`read_rows` returns it.

    Raises
    ------
    ValueError
        If X, y or the weights are not valid, or if all weights are zero.
    """
    if known is not None:
        return known, read_rows(known, X, y, sample_weight)
    features, X = Features.learn(estimator, X, declared=declared)
    # Infinity in blocks need not be looked for: the pass that learns the encoding finds it.
    return features, _with_target(features, X, y, sample_weight, "y")


def read_rows(
    features: Features, X: Any, y: Any, sample_weight: Any, y_name: str = "y"
) -> Dataset:
    """Return the rows of positive weight of a further table.

    X becomes a float array with categories as level numbers, CSR, or ``RowBlocks``. y stays
    in the user's labels or units, with one dimension if it has one column.

    Raises
    ------
    ValueError
        If X, y or the weights are not valid, if X has other columns than training had, or if
        all weights are zero.
    """
    X = features.read(X)
    if isinstance(X, RowBlocks):
        X.check_finite()
    return _with_target(features, X, y, sample_weight, y_name)


def _with_target(
    features: Features, X: Any, y: Any, sample_weight: Any, y_name: str
) -> Dataset:
    """Return the rows of positive weight of X, which ``Features.read`` has returned."""
    y = check_y(y, features.numeric_y, y_name)
    check_consistent_length(X, y)
    if sample_weight is None:
        return Dataset(X, y)
    sample_weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    return Dataset(X, y, sample_weight).of_positive_weight("Sample weights")


def read_validation(
    features: Features,
    X_val: Any,
    y_val: Any,
    sample_weight_val: Any,
) -> Dataset | None:
    """Return the user's validation rows, or None if there are none.

    Raises
    ------
    ValueError
        If one of X_val and y_val is missing, if fewer than two rows have a positive weight,
        if early stopping is switched off, or if the rows do not fit the training data.
    """
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return None
    if X_val is None or y_val is None:
        missing, given = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
        raise ValueError(f"{given} is given without {missing}: pass both or neither.")
    if features.estimator.early_stopping is False:
        raise ValueError(
            "X_val and y_val are given, but early_stopping=False would not use them. Set "
            "early_stopping to 'auto' or True."
        )
    data = read_rows(features, X_val, y_val, sample_weight_val, "y_val")
    if data.n_rows < 2:
        raise ValueError(
            f"The validation set is too small: X_val has {data.n_rows} row(s) of positive "
            "weight, and early stopping needs at least 2."
        )
    return data


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return rows of the user's X: a frame, an array, a list or a sparse matrix.

    A table that is read in blocks becomes an object that is read in blocks, too.
    """
    blocks = as_row_blocks(X)
    if blocks is not None:
        return ChosenRows(blocks, rows)
    return frames.take_rows(X, rows)


def check_y(y: Any, numeric: bool, name: str) -> Any:
    """Return y as an array of one dimension if it has one column, else of two, or CSR.

    Raises
    ------
    ValueError
        If y is missing or has missing values, if it is not finite, or if it is of a kind that
        no estimator takes.
    """
    if y is None:
        raise ValueError(f"fit requires {name} to be passed, but the target {name} is None.")
    check_no_missing_labels(y, name)
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


def check_no_missing_labels(y: Any, name: str) -> None:
    """Refuse None, NaN and pandas.NA among objects, which cannot be sorted.

    Raises
    ------
    ValueError
        If y has such a value.
    """
    # NumPy would turn NaN in a list with text into the text "nan".
    labels = np.asarray(y, dtype=object if isinstance(y, list | tuple) else None)
    if labels.dtype != object or labels.ndim == 0:
        return
    # y can hold pandas.NA only if pandas has been imported.
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


def check_partial_fit_classes(y: Any, classes: Any, known: np.ndarray | None) -> None:
    """Refuse a call of ``partial_fit`` that lacks the classes, or has others than before.

    ``known`` are the classes of earlier calls, or None in the first call.

    Raises
    ------
    ValueError
        If the first call has neither classes nor a multi-label y, or if a later call has
        other classes than the first.
    """
    if known is None:
        check_no_missing_labels(y, "y")
        if classes is None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
    elif classes is not None and not np.array_equal(known, unique_labels(classes)):
        raise ValueError(
            f"classes={classes!r} is not the same as on the last call to partial_fit, was: "
            f"{known!r}"
        )


def _make_reader(wanted: Any, X: Any, declared: bool) -> TableReader | None:
    """Return a fitted reader of X, or None if X has no categories.

    ``wanted`` is the parameter ``categorical_features``.
    """
    if wanted is None or (isinstance(wanted, str) and not frames.is_frame(X)):
        return None
    if sparse.issparse(X):
        raise ValueError("categorical_features cannot be used with sparse X.")
    if not (frames.is_frame(X) or isinstance(X, RowBlocks)):
        X = check_array(X, dtype=None, ensure_all_finite=False)
    names = frames.column_names(X)
    categories = categorical_columns(X, wanted, names)
    if categories.size == 0:
        return None
    if isinstance(X, RowBlocks):
        X = distinct_values(X, categories.tolist())
    return TableReader(wanted).fit(X, names, declared=declared)
