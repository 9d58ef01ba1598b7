"""From the user's X, a frame or an array, to plain numbers."""

import math

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
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
    n_levels_ : list of int
        Levels of each category.
    """

    def __init__(self, categorical_features):
        self.categorical_features = categorical_features

    def fit(self, X, feature_names, *, declared=False):
        """Learn which columns are categories, and their levels.

        If ``declared``, levels that a category dtype declares count even where X lacks them.
        """
        n_features = np.shape(X)[1]
        mask = np.zeros(n_features, dtype=bool)
        mask[categorical_columns(X, self.categorical_features, feature_names)] = True
        self.categorical_ = np.flatnonzero(mask)
        self.numeric_ = np.flatnonzero(~mask)
        self.n_levels_ = []
        self._transformer = None
        if self.categorical_.size:
            self._names = feature_names
            self._transformer = self._make_transformer("auto").fit(X)
            if declared:
                levels = [_declared_levels(X, column) for column in self.categorical_]
                levels = [
                    seen if declared is None else declared
                    for seen, declared in zip(self.levels_, levels, strict=True)
                ]
                self._transformer = self._make_transformer(levels).fit(X)
            self.n_levels_ = [len(levels) for levels in self.levels_]
            self._textual = [
                any(isinstance(level, str) for level in levels) for levels in self.levels_
            ]
        return self

    def _make_transformer(self, levels):
        encoder = OrdinalEncoder(
            categories=levels,
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
        )
        numbers = FunctionTransformer(_check_numbers)
        # scikit-learn's global output configuration must not reach inside.
        return ColumnTransformer(
            [("numbers", numbers, self.numeric_), ("categories", encoder, self.categorical_)]
        ).set_output(transform="default")

    @property
    def levels_(self):
        """The levels of each category, without a missing one."""
        if self._transformer is None:
            return []
        # A missing value counts as a level there, the last one.
        levels = self._transformer.named_transformers_["categories"].categories_
        return [one[: sum(not _is_missing(level) for level in one)] for one in levels]

    def read(self, X):
        """Return a float array with the numeric columns first, then the level numbers.

        Raises
        ------
        ValueError
            If a category's levels were text in training and are numbers now, or a numeric
            column holds infinity or text.
        """
        for column, textual in zip(self.categorical_, self._textual, strict=True):
            if textual and _holds_numbers(X, column):
                name = column if self._names is None else self._names[column]
                raise ValueError(
                    f"Column {name!r} is a category whose levels were text in training, but "
                    "holds numbers now."
                )
        table = self._transformer.transform(X)
        # To OrdinalEncoder None is a level, behind the others.
        levels = table[:, self.numeric_.size :]
        levels[levels >= self.n_levels_] = np.nan
        return table


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
    return None if levels is None else np.sort(np.asarray(levels))


def _is_missing(level):
    return level is None or (isinstance(level, float) and math.isnan(level))


def _holds_numbers(X, column):
    values = np.asarray(_column(X, column))
    if values.dtype.kind in "biu":
        return True
    return values.dtype.kind == "f" and not np.isnan(values).all()


def _check_numbers(X):
    return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
