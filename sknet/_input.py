"""The user's X, y and weights, which are checked and read into a ``Dataset``.

``Features`` describes the columns of the training table, against which every later table is
checked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import validate_data

from sknet._target_checks import check_groups, check_targets, check_weight, check_y
from sknet.data.batches import Batch, Dataset
from sknet.data.choices import categorical_columns, column_signs
from sknet.data.columns.numbers import check_columns, check_objects, is_plain
from sknet.data.columns.times import check_times
from sknet.data.frames import Table, declared_order, wrapped
from sknet.data.kinds import check_kinds, checking
from sknet.data.row_blocks import RowBlocks
from sknet.data.survey import Survey
from sknet.data.tables import TableReader
from sknet.nn.monotone import Promise


@dataclass(frozen=True)
class Features:
    """The columns of the training table, against which later tables are checked.

    Attributes
    ----------
    estimator : estimator
        A copy of the estimator with the attributes ``n_features_in_`` and, if X had names,
        ``feature_names_in_``, which scikit-learn's checks read.
    reader : TableReader
        Turns the categories of X into level numbers, and dates and durations into seconds.
    """

    estimator: BaseEstimator
    reader: TableReader

    @classmethod
    def learn(
        cls, estimator: BaseEstimator, X: Any, *, declared: bool = False
    ) -> tuple[Self, Any]:
        """Return the features of a training table, and the table as :meth:`read` returns it.

        The estimator itself is not changed. With ``declared``, all levels that a category
        dtype declares count as levels, even if they do not occur in X.

        Raises
        ------
        ValueError
            If ``categorical_features`` does not suit X, or if X holds infinity, NaN in sparse
            rows, or values of an unsupported kind, such as bytes.
        """
        with checking("X"):
            table = check_kinds(X, "X", with_times=True)
            reader = _make_reader(estimator.categorical_features, table, declared)
            features = cls(_unfitted(estimator), reader)
            return features, features._read(table, reset=True)

    @classmethod
    def of(cls, estimator: BaseEstimator, survey: Survey) -> Self:
        """Return the features of a table, given its survey, which may be a merged one."""
        return cls(_unfitted(estimator, survey.missing.size, survey.names), survey.reader)

    def asked_by(self, estimator: BaseEstimator) -> Self:
        """Return the features of the same columns for another estimator, and for its y."""
        return replace(self, estimator=_unfitted(estimator, self.n_features, self.names))

    def read_part(self, X: Any) -> tuple[Self, Any]:
        """Return the features of another part of the table, with its own levels, and the part.

        The part is in the form that :meth:`read` returns, with the numbers of its own levels.

        Raises
        ------
        ValueError
            If X is not a valid part of the table, as in :meth:`read`.
        """
        if self.reader.only_numbers:
            return self, self.read(X)
        with checking("X"):
            table = self._prepared(check_kinds(X, "X", with_times=True), reset=False)
            table = self._checked(table, reset=False)
            reader = self.reader.of_part(table)
            return replace(self, reader=reader), reader.read(table)

    @property
    def promise(self) -> Promise | None:
        """The promise of the monotonic constraints; None if no column is constrained.

        Raises
        ------
        ValueError
            If ``monotonic_cst`` does not suit the columns, or constrains a category.
        """
        names = None if self.names is None else self.names.tolist()
        signs = column_signs(self.estimator.monotonic_cst, self.n_features, names)
        if constrained := [i for i in self.reader.categorical_.tolist() if signs[i]]:
            found = constrained if names is None else [names[i] for i in constrained]
            raise ValueError(
                "Categorical features cannot have monotonic constraints, but "
                f"monotonic_cst has some for {found}. Set these to 0, or take the columns "
                "out of categorical_features."
            )
        signs = signs[self.reader.numeric_]
        return Promise(tuple(signs.tolist())) if signs.any() else None

    @property
    def n_features(self) -> int:
        """The number of columns of X."""
        return self.estimator.n_features_in_

    @property
    def names(self) -> np.ndarray | None:
        """The names of the columns, or None unless X had names that were all strings."""
        return getattr(self.estimator, "feature_names_in_", None)

    @property
    def numeric_y(self) -> bool:
        """Whether y holds numbers, not labels. True for several targets of any kind."""
        return is_regressor(self.estimator) or self._several_targets

    @property
    def _several_targets(self) -> bool:
        return hasattr(self.estimator, "targets")

    def read_target(self, y: Any, name: str) -> Any:
        """Return y as a checked array; ``name`` is the name of the argument in messages.

        Raises
        ------
        ValueError
            If y is not a valid target of the estimator.
        """
        if self._several_targets:
            return check_targets(y, self.estimator.targets or {}, name)
        return check_y(y, self.numeric_y, name)

    @property
    def shown_names(self) -> list[str]:
        """The names of the columns, or "x0", "x1" and so on if X had none."""
        return shown_names(self.names, self.n_features)

    def without_names(self) -> Self:
        """Return features that check the number of columns of a table, but not their names."""
        return replace(self, estimator=_unfitted(self.estimator, self.n_features))

    def read(self, X: Any, name: str = "X") -> Any:
        """Return X as a float array, CSR or ``RowBlocks``, with categories as level numbers.

        Dates and durations become seconds. NaN stands for a missing value, and among level
        numbers also for an unknown level. ``RowBlocks`` are returned before any of their rows
        are read. ``name`` is the name of the argument in messages.

        Raises
        ------
        ValueError
            If X holds infinity or values of an unsupported kind, if sparse X holds NaN, or if
            the columns of X differ from the columns of the training table.
        """
        only_array = self.reader.only_numbers and self.names is None
        if only_array and is_plain(X) and X.shape[1] == self.n_features:
            return X
        with checking(name):
            return self._read(check_kinds(X, name, with_times=True), reset=False)

    def _read(self, X: Table, reset: bool) -> Any:
        """Return X as :meth:`read` does; with ``reset``, note its columns as the features."""
        if (blocks := X.blocks) is not None:
            validate_data(self.estimator, blocks, reset=reset, skip_check_array=True)
            return blocks.read_by(self.reader.read)
        if not reset and len(X.shape) == 2 and X.shape[1] != self.n_features:
            validate_data(self.estimator, X.given, reset=False, skip_check_array=True)
        X = self._prepared(X, reset)
        if self.reader.only_numbers:
            return self._read_numbers(X, reset)
        return self.reader.read(self._checked(X, reset))

    def _prepared(self, X: Table, reset: bool) -> Table:
        """Return a table in which text is numbers and dates, where it was in training."""
        renamed = self.names is not None and X.names and not self._has_same_names(X)
        if self.reader.formats and renamed and not reset:
            # Text in the wrong columns would give other errors and warnings first.
            validate_data(self.estimator, X.given, reset=False, skip_check_array=True)
        return self.reader.prepared(X)

    def _checked(self, X: Table, reset: bool) -> Table:
        """Return a table with categories or dates, whose names have been checked."""
        if X.is_sparse:
            raise ValueError(
                "X is sparse, but the training table has categories or dates, which sparse X "
                "cannot hold. Pass a data frame or a dense array."
            )
        try:
            X = X.dense()
        except (TypeError, ValueError):
            check_columns(X)
            raise
        if reset or not self._has_same_names(X):
            validate_data(self.estimator, X.given, reset=reset, skip_check_array=True)
        return X

    def _read_numbers(self, X: Table, reset: bool) -> Any:
        """Return a table without categories and dates as a float array or CSR."""
        check_times(X, {}, X.names)
        check_objects(X, X.object_columns, X.names)
        # scikit-learn's checks of a frame take 10 times as long as those of an array.
        if not reset and self._has_same_names(X) and is_plain(numbers := X.numbers()):
            return numbers
        # scikit-learn takes the first dtype unless an array has one of them.
        dtypes = [np.float64, np.float32]
        if X.are_single():
            dtypes.reverse()
        try:
            numbers = validate_data(
                self.estimator,
                X.given,
                reset=reset,
                accept_sparse="csr",
                dtype=dtypes,
                ensure_all_finite="allow-nan",
            )
        except (TypeError, ValueError, OverflowError):
            check_columns(X)
            raise
        if sparse.issparse(numbers) and np.isnan(numbers.data).any():
            raise ValueError(
                "Sparse X contains NaN. Missing values are imputed in dense X only: fill them "
                "in, or pass X.toarray()."
            )
        # check_array leaves the sparse booleans of a frame as they are.
        return numbers if numbers.dtype.kind == "f" else numbers.astype(np.float64)

    def _has_same_names(self, X: Table) -> bool:
        """Return whether X has the names of the training table, in its order."""
        return self.names is not None and list(X.columns) == self.names.tolist()


def shown_names(names: Iterable[str] | None, n_features: int) -> list[str]:
    """Return the names of columns, or "x0", "x1" and so on if they have none."""
    return [f"x{i}" for i in range(n_features)] if names is None else list(names)


def _unfitted(
    estimator: BaseEstimator, n_features: int | None = None, names: Iterable[str] | None = None
) -> Any:
    """Return an estimator with the same parameters (not copies), which knows these columns."""
    unfitted = object.__new__(type(estimator))
    # A subclass may set parameters that its constructor does not have.
    parameters = {k: v for k, v in vars(estimator).items() if not (k[0] == "_" or k[-1] == "_")}
    vars(unfitted).update(parameters)
    if n_features is not None:
        unfitted.n_features_in_ = n_features
    if names is not None:
        unfitted.feature_names_in_ = np.array(names, dtype=object)
    return unfitted


def read_training(
    estimator: BaseEstimator,
    given: Batch,
    known: Features | None = None,
    declared: bool = False,
) -> tuple[Features, Dataset]:
    """Return the features of a training table, and its rows of positive weight.

    Parameters
    ----------
    estimator : NNClassifier, NNRegressor or NNMultiTarget
    given : Batch
        X, y and sample_weight, the arguments of ``fit``.
    known : Features, optional
        The features of an earlier fit that is continued. X is checked against them.
    declared : bool, default=False
        Whether all levels that a category dtype declares count as levels, even if they do not
        occur in X.

    Returns
    -------
    features : Features
    data : Dataset
        The rows, as :func:`read_rows` returns them, with weights in their own unit (see
        ``Dataset.in_own_units``).

    Raises
    ------
    ValueError
        If X, y or the weights are not valid, or if all weights are zero.
    """
    if known is not None:
        return known, read_rows(known, given).with_user_weights(known.numeric_y)
    features, X = Features.learn(estimator, given.X, declared=declared)
    # A check for infinity in blocks would need a further pass over the table; the survey finds
    # infinity.
    data = with_target(features, given._replace(X=X))
    return features, data.with_user_weights(features.numeric_y)


def read_rows(features: Features, given: Batch, suffix: str = "") -> Dataset:
    """Return the rows of positive weight of a table other than the first training table.

    X becomes a float array with categories as level numbers, CSR, or ``RowBlocks``. y keeps
    the user's labels or units and has one dimension if it has one column. The weights also
    keep their unit, since the rows may be a part of a table. ``suffix`` is appended to the
    argument names in error messages.

    Raises
    ------
    ValueError
        If X, y or the weights are not valid, if the columns of X differ from the columns of
        the training table, or if all weights are zero.
    """
    given = given._replace(X=features.read(given.X, f"X{suffix}"))
    if isinstance(given.X, RowBlocks):
        with checking(f"X{suffix}"):
            given.X.check_finite()
    return with_target(features, given, suffix)


def with_target(features: Features, given: Batch, suffix: str = "") -> Dataset:
    """Return the rows as :func:`read_rows` does, given an X that has been read."""
    X, y, sample_weight = given
    y, order = features.read_target(y, f"y{suffix}"), declared_order(y)
    check_consistent_length(X, y)
    if sample_weight is not None:
        sample_weight = check_weight(sample_weight, X, f"sample_weight{suffix}")
    data = Dataset(X, y, sample_weight, order=order).of_positive_weight()
    return data.with_targets(f"y{suffix}")


def with_groups(data: Dataset, groups: Any, used: bool) -> Dataset:
    """Return training rows with the numbers of their groups, if there are any to be used.

    Groups that are not used are checked as well.

    Raises
    ------
    ValueError
        If there is not one group for each row of the table, or if a group is missing.
    """
    if groups is None:
        return data
    numbers = check_groups(groups, data.X.shape[0])[data.positions]
    return data._replace(groups=numbers) if used else data


def read_validation(features: Features, given: Batch) -> Dataset | None:
    """Return the user's validation rows, or None if none were given.

    Raises
    ------
    ValueError
        If :func:`has_validation` raises one, if fewer than two rows have a positive weight, or
        if the rows are not valid for the features.
    """
    if not has_validation(features.estimator, given):
        return None
    data = read_rows(features, given, "_val").with_user_weights(features.numeric_y)
    if data.n_rows < 2:
        raise ValueError(
            f"The validation set is too small: X_val has {data.n_rows} row(s) of positive "
            "weight, and early stopping needs at least 2."
        )
    return data


def has_validation(estimator: BaseEstimator, given: Batch) -> bool:
    """Return whether the user has given validation rows: X_val, y_val and their weights.

    Raises
    ------
    ValueError
        If X_val or y_val is missing, or if early stopping is switched off.
    """
    X_val, y_val, sample_weight_val = given
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is given without X_val and y_val.")
        return False
    if X_val is None or y_val is None:
        missing, there = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
        raise ValueError(f"{there} is given without {missing}: pass both or neither.")
    if not estimator.early_stopping:
        raise ValueError(
            "X_val and y_val are given, but early_stopping=False would not use them. Set "
            "early_stopping to 'auto' or True."
        )
    return True


def _make_reader(wanted: Any, X: Table, declared: bool) -> TableReader:
    """Return the reader of X; ``wanted`` is the parameter ``categorical_features``."""
    if X.names is None and (wanted is None or isinstance(wanted, str)):
        # Only a frame shows which columns are not plain numbers. A later check refuses X if it
        # does not have two dimensions.
        return TableReader(np.arange(X.shape[1] if len(X.shape) == 2 else 0))
    if X.is_sparse:
        raise ValueError("categorical_features cannot be used with sparse X.")
    blocks = X.blocks
    if blocks is None:
        return TableReader.learn(X.dense(), wanted, declared=declared)
    if not categorical_columns(X, wanted).size:
        return TableReader(np.arange(X.shape[1]))
    starts = range(0, len(blocks), blocks.block_rows)
    parts = (blocks[start : start + blocks.block_rows] for start in starts)
    readers = (TableReader.learn(wrapped(part), wanted) for part in parts)
    return reduce(lambda known, further: known.merged([further]), readers)
