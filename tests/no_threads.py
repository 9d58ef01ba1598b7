"""Fits of each kind; as a script, where no thread starts and no BLAS library is found.

Pyodide, the Python of browsers, is such a place. ``python no_threads.py PATH`` writes what the
fits predict into a file of NumPy, and prints how many threads were asked for in vain.
"""

import multiprocessing
import os
import sys
import threading

import numpy as np

#: The calls of ``Thread.start`` that were refused.
REFUSED: list[threading.Thread] = []


def refuse(thread):
    """Stand in for ``Thread.start``, with the error of Pyodide."""
    REFUSED.append(thread)
    raise RuntimeError("can't start new thread")


def hide_threads():
    """Take away threads, processes, the number of cores, and BLAS libraries to be found."""
    import threadpoolctl

    threading.Thread.start = refuse
    multiprocessing.Process.start = refuse
    # joblib then knows no processes, as in Pyodide, which lacks the module _multiprocessing.
    os.environ["JOBLIB_MULTIPROCESSING"] = "0"
    os.cpu_count = lambda: None
    threadpoolctl.ThreadpoolController._load_libraries = lambda self: None


def divide_all_batches(setting=setattr):
    """Let each training run divide batches and steps that are too small for it."""
    from sknet.nn import kernels, shares

    setting(shares, "LEAST_WORK", 1)
    setting(kernels, "BLOCK_SIZE", 100)


def tables():
    """Return rows with missing values, labels, and numbers to predict."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5))
    number = X[:, 0] * X[:, 1] + rng.normal(scale=0.1, size=400)
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, np.where(number > 0, "high", "low"), number


def predictions():
    """Return what networks predict after training of each kind, by name."""
    from sknet import NNClassifier, NNRegressor
    from sknet.streaming import fit_chunks

    X, y, number = tables()
    few = {"batch_size": 128, "max_iter": 4, "random_state": 0}
    partial = NNClassifier(**few)
    for rows in np.split(np.arange(len(y)), 4):
        partial.partial_fit(X[rows], y[rows], classes=["high", "low"])
    chunks = [(X[:200], number[:200]), (X[200:], number[200:])]
    return {
        "classifier": NNClassifier(**few).fit(X, y).predict_proba(X),
        "regressor": NNRegressor(**few).fit(X, number).predict(X),
        "lbfgs": NNRegressor((4,), solver="lbfgs", tol=0.1, random_state=0)
        .fit(X, number)
        .predict(X),
        "monotone": NNRegressor(monotonic_cst=[1, 0, 0, 0, 0], **few).fit(X, number).predict(X),
        "partial_fit": partial.predict_proba(X),
        "fit_chunks": fit_chunks(NNRegressor(**few), chunks).predict(X),
        **searches(X, y, NNClassifier((16,), **few)),
    }


def searches(X, y, network):
    """Return the scores of a search and of a cross-validation in one process."""
    from sklearn.model_selection import GridSearchCV, cross_val_score

    search = GridSearchCV(network, {"dropout": [0.0, 0.2]}, cv=3, n_jobs=1).fit(X, y)
    return {
        "search": search.cv_results_["mean_test_score"],
        "cross_val_score": cross_val_score(network, X, y, cv=3, n_jobs=1),
    }


if __name__ == "__main__":
    hide_threads()
    from sknet._run import blas_libraries, n_threads

    divide_all_batches()
    np.savez(sys.argv[1], **predictions())
    print(
        f"{n_threads()} threads wanted, {len(REFUSED) > 0}, {len(blas_libraries())} libraries"
    )
