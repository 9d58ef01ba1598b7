"""The number of threads of a training, and the limit of the threads of BLAS.

The threads of BLAS libraries spin while they wait for each other. If other programs use the
cores, each small product then takes as long as the operating system lets a thread wait. So a
training limits BLAS to one thread and divides its steps itself, among threads that sleep.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Self

from joblib.parallel import get_active_backend
from threadpoolctl import LibController, ThreadpoolController

from sknet._requirements import n_openmp_threads


@lru_cache(maxsize=1)
def blas_libraries() -> list[LibController]:
    """Return the loaded BLAS libraries, NumPy's among them."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def n_threads() -> int:
    """Return the number of threads of a training.

    It is the smaller one of the numbers that scikit-learn's estimators and BLAS may use, and 1
    in a worker of joblib.
    """
    backend, _ = get_active_backend()
    if backend.nesting_level:
        return 1
    return min([n_openmp_threads(), *map(n_threads_of, blas_libraries())])


def n_threads_of(library: LibController) -> int:
    """Return the number of threads of a BLAS library, as the calling thread sees it."""
    # A library without threads may have no number.
    return library.num_threads or 1


def set_threads_of(library: LibController, number: int) -> None:
    """Set the number of threads of a BLAS library, whichever thread of Python asks for it."""
    end_control(library)
    library.set_num_threads(number)


def end_control(library: LibController) -> None:
    """Let every thread of Python set the number of threads of a BLAS library.

    Since threadpoolctl 3.8 the first thread that sets OpenBLAS's number controls it until it
    ends, and the calls of other threads do nothing.
    """
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(force=True)


@lru_cache
def is_process_wide(library: LibController) -> bool:
    """Return whether the number of threads that one thread sets holds for all threads.

    The calling thread has set it to 1, and another one reads it.
    """
    numbers: list[int] = []
    other = threading.Thread(target=lambda: numbers.append(n_threads_of(library)))
    try:
        other.start()
    except RuntimeError:  # The system starts no thread, so there is none that could differ.
        return True
    other.join()
    return numbers == [1]


class _Taken(threading.local):
    """The numbers of threads that the trainings of this thread of Python have to set back."""

    def __init__(self) -> None:
        self.numbers: list[dict[LibController, int]] = []


class BlasLimit:
    """Limits BLAS to one thread for as long as any training of the process is running.

    Most libraries have one number of threads for the whole process. It is set by the first of
    several trainings and set back by the last, whatever threads they run in. Others, such as
    OpenBLAS with OpenMP, have a number for each thread, which each training sets for itself. So
    each thread that computes enters this context.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_trainings = 0
        self._shared: dict[LibController, int] = {}
        self._taken = _Taken()

    def __enter__(self) -> Self:
        with self._lock:
            own: dict[LibController, int] = {}
            for library in blas_libraries():
                before = n_threads_of(library)
                if before > 1:
                    set_threads_of(library, 1)
                    of_whom = self._shared if is_process_wide(library) else own
                    of_whom.setdefault(library, before)
            self._taken.numbers.append(own)
            self._n_trainings += 1
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if not self._taken.numbers:
                return  # This process was forked within the context, which ended its limit.
            _set_back(self._taken.numbers.pop())
            self._n_trainings -= 1
            if self._n_trainings == 0:
                _set_back(self._shared)

    def forget(self) -> None:
        """Lift the limit in a forked process, in which no training of the parent goes on."""
        # A thread of the parent may have held the lock.
        self._lock = threading.Lock()
        for numbers in [*self._taken.numbers, self._shared]:
            _set_back(numbers)
        self._taken = _Taken()
        self._n_trainings = 0


def _set_back(numbers: dict[LibController, int]) -> None:
    """Give BLAS libraries their numbers of threads of before, and empty the record of them."""
    while numbers:
        library, number = numbers.popitem()
        set_threads_of(library, number)
        end_control(library)


ONE_BLAS_THREAD = BlasLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ONE_BLAS_THREAD.forget)


@contextmanager
def training_threads() -> Iterator[Mapping[str, Any]]:
    """Limit BLAS to one thread; yield the arguments of ``train`` that concern threads."""
    number = n_threads()  # The limit would make it 1.
    with ONE_BLAS_THREAD:
        yield {"n_threads": number, "in_threads": ONE_BLAS_THREAD}
