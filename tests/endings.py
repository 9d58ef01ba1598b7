"""Settings with which training goes wrong, and a check that it never does so in silence."""

import math
import re
import warnings

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknet.nn.soundness import DivergenceError

#: Settings of stochastic solvers with which a network of one layer of eight units diverges or
#: ends far worse than a constant, by name.
WILD = {
    "sgd, rate": {"solver": "sgd", "learning_rate_init": 1e4},
    "sgd, rate beyond all bounds": {"solver": "sgd", "learning_rate_init": 1e300},
    "sgd, penalty": {"solver": "sgd", "alpha": 1e6, "learning_rate_init": 1e-3},
    "sgd, no momentum": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 1e5},
    "adam, rate": {"learning_rate_init": 1e3},
    "adam, rate, float32": {"learning_rate_init": 1e30, "dtype": "float32"},
    "adam, average": {"learning_rate_init": 1e8, "ema_decay": 0.9},
    "adam, members": {"learning_rate_init": 1e200, "n_members": 3},
    "adam, deep": {"learning_rate_init": 1e8, "hidden_layer_sizes": (8, 8)},
    "adam, no layers": {"learning_rate_init": 1e5, "hidden_layer_sizes": ()},
    "adamw, decay": {"solver": "adamw", "alpha": 1e6, "learning_rate_init": 1e-3},
    "rmsprop, rate": {"solver": "rmsprop", "learning_rate_init": 1e3},
    "rmsprop, huge rate": {"solver": "rmsprop", "learning_rate_init": 1e200},
    "L1, rate": {"solver": "sgd", "learning_rate_init": 1e4, "alpha": 0.1, "l1_ratio": 1.0},
}
#: What every one of these fits has in common.
BRIEF = {"max_iter": 8, "batch_size": 16, "random_state": 0, "n_iter_no_change": math.inf}

ADVICE = "Lower learning_rate_init or alpha; with standardize=False, scale the data."
ADVICE_LBFGS = "Scale the data, lower alpha, or try a solver such as 'adam'."


def check_ending(estimator, train, predict, advice=ADVICE):
    """Train, and check that the result is sound, or that a message says that it is not.

    There is either an error, and the estimator is as before, or a ConvergenceWarning and
    predictions that are finite. The message has the advice for the solver. Returns what was
    said.
    """
    before = joblib.hash(vars(estimator))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train(estimator)
        except DivergenceError as error:
            said = [str(error)]
            assert joblib.hash(vars(estimator)) == before
        else:
            said = [str(one.message) for one in caught]
            assert {one.category for one in caught} == {ConvergenceWarning}
            # The warning points to the code that called a public function.
            assert {one.filename for one in caught} == {train.__code__.co_filename}
            assert np.isfinite(predict(estimator)).all()
    (text,) = said
    assert re.match("Training (diverged|failed)", text)
    assert text.endswith(advice)
    return text
