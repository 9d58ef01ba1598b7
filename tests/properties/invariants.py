"""What is compared in the tests of invariants, and how a case is trained."""

import copy
import re
import warnings
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
from numpy.testing import assert_allclose
from properties.strategies import COUNTS, Case
from scipy import sparse
from sklearn.utils import check_array


@contextmanager
def strict():
    """Turn the warnings of NumPy into errors, and ignore those that are meant for users."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        # Older versions of scikit-learn deprecate such labels, and newer ones refuse them.
        warnings.filterwarnings("ignore", "Support for labels represented as bytes")
        yield


@contextmanager
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


GIVEN = object()


def train(case: Case, *, X: Any = GIVEN, y: Any = GIVEN, sample_weight: Any = GIVEN, **changes):
    """Return the fitted network of a case, or None if it cannot be trained.

    ``test_a_fit_is_refused_clearly_or_is_sound`` judges whether that is right.
    """
    data = {
        name: getattr(case, name) if value is GIVEN else value
        for name, value in [("X", X), ("y", y), ("sample_weight", sample_weight)]
    }
    with quiet():
        try:
            network = case.network(**changes).fit(**data)
        except Exception:
            return None
    COUNTS["networks trained"] += 1
    return network


def outputs(network: Any, X: Any) -> np.ndarray:
    """Return the probabilities or numbers that a network predicts, as columns."""
    predict = getattr(network, "predict_proba", network.predict)
    with quiet():
        found = predict(X)
    return np.asarray(found).reshape(len(found), -1)


def assert_close(found, expected):
    """Compare predictions up to rounding, for each output in units of its largest number.

    Smaller numbers than 1e-30 count as zero: float32 and float64 have other smallest
    probabilities.
    """
    finite = np.isfinite(expected).all() and np.isfinite(found).all()
    if finite and expected.size:  # The first test asks for finite numbers.
        scale = np.abs(expected).max(axis=0) + 1e-30
        assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-6)


def take(X, rows):
    """Return rows of X in X's own form."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if isinstance(X, list):
        return [X[row] for row in rows]
    return X.tocsr()[rows] if hasattr(X, "tocsr") else X[rows]


def raw_parameters(network) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in network.coefs_ + network.intercepts_])


# Errors.

#: What a message may name instead of a parameter.
PLACES = (
    r"X|y|sample_weight|weights?|class_weight|columns?|features?|samples?|rows?|labels?|"
    r"class(es)?|target|Sparse|sparse|categor\w+"
)


def check_error(error: Exception, case: Case) -> None:
    """Fail unless an error is of the right type and names what is wrong."""
    assert isinstance(error, ValueError | TypeError), repr(error)
    names = "|".join(case.cls._parameter_constraints)
    message = str(error)
    named = re.search(rf"\b({PLACES}|{names})\b", message)
    known = any(words in message for words in words_of_scikit_learn(case))
    assert named or known, f"obscure: {error!r}"


def words_of_scikit_learn(case: Case) -> list[str]:
    """Return what scikit-learn's own checks say of the data, which users know."""
    said = []
    for values in (case.X, case.y, case.sample_weight):
        try:
            with quiet():
                check_array(values, accept_sparse=True, ensure_2d=False, dtype=float)
        except Exception as error:
            said.append(str(error))
    return said


# Copies.


def snapshot(value: Any) -> Any:
    """Return a copy of X, y or weights that ``unchanged`` compares with."""
    return copy.deepcopy(value)


def unchanged(value: Any, before: Any) -> bool:
    """Return whether X, y or weights are, to the last bit, what they were."""
    if sparse.issparse(value):
        parts = [name for name, part in vars(before).items() if isinstance(part, np.ndarray)]
        return value.format == before.format and all(
            unchanged(getattr(value, name), getattr(before, name)) for name in parts
        )
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.flags == before.flags or value.tobytes() == before.tobytes()
    if hasattr(value, "iloc"):
        return value.equals(before) and value.index.equals(before.index)
    if hasattr(value, "equals"):
        return value.equals(before)
    return repr(value) == repr(before)


def fingerprint(estimator: Any) -> str:
    """Return a hash of an estimator, without the state of a given random generator.

    Training that has begun has drawn from the generator, even if it cannot be completed.
    """
    state = vars(estimator)
    if isinstance(estimator.random_state, np.random.RandomState):
        state = {**state, "random_state": None}
    return joblib.hash(state)
