"""The number of threads of a training, and the limit of the threads of BLAS.

The threads of BLAS libraries spin while they wait for each other. If other programs use the
cores, each small product then takes as long as the operating system lets a thread wait. So a
training limits BLAS to one thread and divides its steps itself, among threads that sleep.
"""

import os
import threading
from functools import lru_cache
from typing import Any, Self

from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

from sknet._sklearn import n_openmp_threads


@lru_cache(maxsize=1)
def blas_libraries() -> ThreadpoolController:
    """Return the loaded BLAS libraries, NumPy's among them."""
    return ThreadpoolController().select(user_api="blas")


def n_threads() -> int:
    """Return the number of threads of a training.

    It is the smaller one of the numbers that scikit-learn's estimators and BLAS may use, and 1
    in a worker of joblib.
    """
    backend, _ = get_active_backend()
    if backend.nesting_level:
        return 1
    of_blas = [one.num_threads for one in blas_libraries().lib_controllers]
    return min([n_openmp_threads(), *of_blas])


class BlasLimit:
    """Limits BLAS to one thread for as long as any training of the process is running.

    The limit concerns the whole process. So it is taken by the first of several trainings and
    lifted by the last.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_trainings = 0
        self._limit: Any = None

    def __enter__(self) -> Self:
        with self._lock:
            if self._n_trainings == 0:
                self._limit = blas_libraries().limit(limits=1)
            self._n_trainings += 1
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._n_trainings -= 1
            if self._n_trainings == 0:
                self._limit.restore_original_limits()

    def forget(self) -> None:
        """Lift the limit in a forked process, in which no training of the parent goes on."""
        # A thread of the parent may have held the lock.
        self._lock = threading.Lock()
        if self._n_trainings > 0:
            self._n_trainings = 0
            self._limit.restore_original_limits()


ONE_BLAS_THREAD = BlasLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ONE_BLAS_THREAD.forget)
