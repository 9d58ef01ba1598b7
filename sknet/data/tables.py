"""From the user's X, a frame or an array, to plain numbers."""

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import check_array


class TableReader:
    """Turns frames and arrays with categories into plain float arrays.

    Numeric columns keep their values, and come first. Categories become the numbers of their
    levels; those that are missing, or that training lacks, become NaN.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like of int, str or bool
        As the estimators' parameter.

    Attributes
    ----------
    categorical_ : ndarray of int
        Positions of the categories among the columns of X.
    numeric_ : ndarray of int
        Positions of the other columns.
    """

    def __init__(self, categorical_features):
        self.categorical_features = categorical_features

    def fit(self, X, feature_names, *, declared=False):
        """Learn which columns are categories, and their levels.

        If ``declared``, levels that a category dtype declares count even where X lacks them.
        """
        mask = np.zeros(np.shape(X)[1], dtype=bool)
        mask[categorical_columns(X, self.categorical_features, feature_names)] = True
        self.categorical_ = np.flatnonzero(mask)
        self.numeric_ = np.flatnonzero(~mask)
        self._names = feature_names
        check_has_rows(X)
        self._encoders = []
        for column in self.categorical_:
            try:
                self._encoders.append(_fit_levels(X, column, declared))
            except TypeError as error:
                raise ValueError(
                    f"The levels of column {_name(column, feature_names)} cannot be sorted: "
                    "they must be all text or all numbers."
                ) from error
        return self

    def merge(self, others):
        """Let the levels that others have found in further rows of the table join.

        Raises
        ------
        ValueError
            If a column's levels are text here and numbers there.
        """
        readers = [self, *others]
        for i, column in enumerate(self.categorical_):
            found = [reader.levels_[i] for reader in readers if reader._encoders[i] is not None]
            if len({levels.dtype.kind == "O" for levels in found}) > 1:
                raise ValueError(
                    f"The levels of column {_name(column, self._names)} are text in some "
                    "partitions and numbers in others."
                )
            if found:
                self._encoders[i] = _encoder(np.unique(np.concatenate(found)))
        return self

    @property
    def levels_(self):
        """The levels of each category, sorted, without missing ones."""
        return [
            np.array([], dtype=object) if encoder is None else encoder.categories_[0]
            for encoder in self._encoders
        ]

    @property
    def n_levels_(self):
        """The number of levels of each category."""
        return [len(levels) for levels in self.levels_]

    @property
    def order_(self):
        """Positions in X of the columns that ``read`` returns."""
        return np.concatenate([self.numeric_, self.categorical_])

    def read(self, X):
        """Return a float array with the numeric columns first, then the level numbers.

        Raises
        ------
        ValueError
            If X has no rows, if a category's levels were text in training and are not now or
            the other way round, or a numeric column holds infinity or text.
        """
        check_has_rows(X)
        parts, dtype = [], np.float64
        if self.numeric_.size:
            parts = [_numbers(X, self.numeric_, self._names)]
            dtype = parts[0].dtype
        for column, encoder in zip(self.categorical_, self._encoders, strict=True):
            values, known = _values(X, column)
            if encoder is not None:
                self._check_kind(column, encoder, values[known])
            numbers = _level_numbers(encoder, values, known)
            parts.append(numbers.astype(dtype)[:, np.newaxis])
        return np.hstack(parts)

    def _check_kind(self, column, encoder, values):
        """Raise if numbers stand where training had text, or text where it had numbers."""
        was_text = isinstance(encoder.categories_[0][0], str)
        if values.dtype.kind == "O":
            strange = any(isinstance(value, str) != was_text for value in values)
        else:
            strange = was_text and values.size > 0
        if strange:
            before, now = ("text", "numbers") if was_text else ("numbers", "text")
            raise ValueError(
                f"Column {_name(column, self._names)} is a category whose levels were {before} "
                f"in training, but holds {now} now."
            )


def check_has_rows(X):
    """Raise, as scikit-learn does, for a table without rows."""
    if np.shape(X)[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={np.shape(X)}) while a minimum of 1 is "
            "required."
        )


def _name(column, names):
    return repr(column if names is None else names[column])


def _fit_levels(X, column, declared):
    """Return an encoder of a category's levels, or None if it has none."""
    levels = _declared_levels(X, column) if declared else None
    values, known = _values(X, column)
    if levels is None and not known.any():
        return None
    return _encoder(values[known]) if levels is None else _encoder(levels, levels)


def _encoder(values, levels=None):
    """Return an encoder of the levels among the values, or of those given."""
    encoder = OrdinalEncoder(
        categories="auto" if levels is None else [levels],
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
    ).set_output(transform="default")
    return encoder.fit(values[:, np.newaxis])


def _level_numbers(encoder, values, known):
    """Return the number of each value's level, NaN for missing and unknown ones."""
    numbers = np.full(values.shape[0], np.nan)
    if encoder is not None and known.any():
        numbers[known] = encoder.transform(values[known][:, np.newaxis])[:, 0]
    return numbers


def _values(X, column):
    """Return a category's values as an array, and which of them are not missing."""
    values = _column(X, column)
    if hasattr(values, "isna"):
        missing = values.isna().to_numpy()
    elif hasattr(values, "is_null"):
        missing = values.is_null().to_numpy()
    else:
        missing = np.array([value is None for value in values])
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        array = np.asarray(values, dtype=object)
        # A NaN among objects: the only value that differs from itself.
        missing = missing | np.array([isinstance(v, float) and v != v for v in array])
    elif array.dtype.kind == "f":
        missing = missing | np.isnan(array)
    return array, ~missing


def _numbers(X, columns, names):
    """Return the given columns as a float array that may hold NaN, but not infinity."""
    if not is_frame(X):
        chosen = np.asarray(X)[:, columns]
    else:
        chosen = X.iloc[:, columns] if hasattr(X, "iloc") else X[:, columns.tolist()]
    try:
        return _check_numbers(chosen)
    except (TypeError, ValueError) as error:
        for column in columns:
            try:
                _check_numbers(np.asarray(_column(X, column))[:, np.newaxis])
            except (TypeError, ValueError) as reason:
                raise ValueError(
                    f"Column {_name(column, names)} is not a category, but cannot be read as "
                    f"finite numbers: {reason}"
                ) from reason
        raise error


def _check_numbers(X):
    return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


def categorical_columns(X, wanted, feature_names):
    """Return the positions of the categories that the user means.

    Raises
    ------
    ValueError
        If a position or a name does not exist, or a mask has another length.
    """
    if wanted is None or (isinstance(wanted, str) and not is_frame(X)):
        return np.array([], dtype=int)
    if isinstance(wanted, str):
        return np.flatnonzero([_is_category(X, column) for column in range(X.shape[1])])
    n_features = np.shape(X)[1]
    wanted = np.asarray(wanted)
    if wanted.size == 0:
        return np.array([], dtype=int)
    if wanted.dtype.kind == "b":
        if wanted.shape != (n_features,):
            raise ValueError(
                f"categorical_features as a mask must have one entry for each of the "
                f"{n_features} features, got shape {wanted.shape}."
            )
        return np.flatnonzero(wanted)
    if wanted.dtype.kind in "iu":
        if wanted.min() < 0 or wanted.max() >= n_features:
            raise ValueError(
                f"categorical_features must be positions in [0, {n_features - 1}], got "
                f"{wanted.tolist()}."
            )
        return wanted
    known = {} if feature_names is None else {name: i for i, name in enumerate(feature_names)}
    unknown = [name for name in wanted.tolist() if name not in known]
    if unknown:
        raise ValueError(
            f"categorical_features names {unknown}, which are not among the feature names"
            + (": X has none." if feature_names is None else f" {list(feature_names)}.")
        )
    return np.array([known[name] for name in wanted.tolist()])


def is_frame(X):
    """Whether X is a data frame (pandas, polars): it has columns with a dtype each."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _dtype(X, column):
    return X.dtypes.iloc[column] if hasattr(X.dtypes, "iloc") else X.dtypes[column]


def _column(X, column):
    if not is_frame(X):
        return np.asarray(X)[:, column]
    return X.iloc[:, column] if hasattr(X, "iloc") else X[:, int(column)]


def _is_category(X, column):
    """Whether a frame's column holds categories, strings or objects by its dtype."""
    dtype = _dtype(X, column)
    if hasattr(X, "iloc"):
        # pandas: categories and strings are extension types with this kind as well.
        return getattr(dtype, "kind", "O") in "OUS"
    return str(dtype).split("(")[0] in {"Categorical", "Enum", "String", "Object"}


def _declared_levels(X, column):
    """Return the levels that a category dtype declares, sorted, or None."""
    levels = getattr(_dtype(X, column), "categories", None) if is_frame(X) else None
    if levels is None or np.ndim(levels) == 0 or len(levels) == 0:
        return None
    levels = np.asarray(levels)
    return np.sort(levels if levels.dtype.kind in "biuf" else levels.astype(object))
