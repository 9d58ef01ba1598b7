"""A training run: its random generators and its state, and the threads that it uses.

With its state, a run can be resumed.

The threads of BLAS libraries spin while they wait for each other. If other programs use the
cores, each small product then takes as long as the operating system keeps a thread waiting. So
training limits BLAS to one thread, and divides its steps among threads that sleep while they
wait.
"""

import copy
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, cast

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn.utils import check_random_state
from threadpoolctl import LibController, ThreadpoolController

from sknet._requirements import n_openmp_threads
from sknet.data.batches import Dataset
from sknet.data.row_blocks import RowBlocks
from sknet.nn.shares import Team
from sknet.nn.state import TrainingState

#: The smallest number of training rows, evenly spaced, whose hash tells a resumed fit whether
#: its data are the same. A table with fewer rows is hashed as a whole. For a table in blocks,
#: the rows that it keeps in memory are hashed.
FINGERPRINT_ROWS = 1000

#: The purposes for which a fit draws random numbers. Each has its own generator, so that draws
#: whose number depends on the rows do not shift the draws for another purpose.
PURPOSES = ["tables", "init", "split", "shuffle", "augmentation", "noise"]


@dataclass
class Run:
    """The random generators and the state of a training run.

    Together with the data, they determine how the training continues. ``params`` and ``state``
    are None before the first epoch. ``n_rows`` and ``fingerprint`` identify the training rows
    of a fit that can be resumed; ``partial_fit`` leaves them empty.
    """

    streams: dict[str, np.random.Generator]
    split_seed: int
    params: np.ndarray | None = None
    state: TrainingState | None = None
    n_rows: int = 0
    fingerprint: str = ""

    @classmethod
    def start(cls, random_state: Any) -> Self:
        """Return a run that has not begun."""
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        generators = np.random.default_rng(seed).spawn(len(PURPOSES))
        streams = dict(zip(PURPOSES, generators, strict=True))
        return cls(streams, int(streams["split"].integers(np.iinfo(np.int32).max)))

    @property
    def vectors(self) -> list[np.ndarray]:
        """The parameter vectors in the state, which a new scale of y must change as well."""
        known = () if self.state is None else (self.state.average, self.state.trained)
        return [vector for vector in known if vector is not None]

    @property
    def iteration(self) -> int:
        """The number of finished epochs."""
        return 0 if self.state is None else self.state.iteration

    @property
    def has_begun(self) -> bool:
        """Whether some of the training is done, as it is when a resumed run starts."""
        return self.state is not None

    @property
    def n_batches_done(self) -> int:
        """The number of batches of the current epoch that are done."""
        begun = None if self.state is None else self.state.begun
        return 0 if begun is None else begun.n_batches

    def visible_params(self) -> np.ndarray:
        """Return the parameters to evaluate while the training continues."""
        return cast(TrainingState, self.state).visible(cast(np.ndarray, self.params))

    def expect_rows(self, n_rows: int, identify: Callable[[], str]) -> None:
        """Note the number of training rows of a new run, or check the rows of a resumed run.

        ``identify()`` returns the fingerprint of the rows.

        Raises
        ------
        ValueError
            If a resumed run has different training or validation rows than before.
        """
        if not self.n_rows:
            self.n_rows = n_rows
        elif (self.n_rows, self.fingerprint) != (n_rows, identify()):
            same = self.n_rows == n_rows
            counts = "" if same else f" ({self.n_rows} training rows; now {n_rows})"
            raise ValueError(
                "The checkpoint was written by a fit to different training or validation rows, "
                f"weights or chunks{counts}. Resume with the same data, and for fit_chunks "
                "with the same chunks and shuffle_window, or start a new fit."
            )

    def resumable(self, identify: Callable[[], str]) -> Self:
        """Return a copy that a later fit to the same training rows can resume."""
        # Most fits are never resumed, so the rows are read only now.
        self.fingerprint = self.fingerprint or identify()
        return copy.deepcopy(self)


def fingerprint(data: Dataset, held_out: Dataset | None, *order: Any) -> str:
    """Return a hash of some training and validation rows, by which a resumed fit knows them.

    ``order`` is whatever else determines the order of the training rows.
    """
    known = [_some_rows(one) for one in (data, held_out) if one is not None]
    return joblib.hash((*known, *order))


def _some_rows(data: Dataset) -> tuple[Any, ...]:
    """Return the size of a dataset, and evenly spaced rows of it."""
    step = max(1, data.n_rows // FINGERPRINT_ROWS)
    in_blocks = isinstance(data.X, RowBlocks)
    sample = data.kept_rows() if in_blocks else data.batch(slice(None, None, step))
    return data.n_rows, data.X.shape, *sample


# Threads.


@lru_cache(maxsize=1)
def blas_libraries() -> list[LibController]:
    """Return the loaded BLAS libraries, including NumPy's."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def n_threads() -> int:
    """Return the number of threads of a training run.

    It is the smaller of the numbers that scikit-learn's estimators and BLAS may use. It is 1 in
    a joblib worker, and if another training run has begun in this process.
    """
    backend, _ = get_active_backend()
    if backend.nesting_level or ONE_BLAS_THREAD.in_use:
        return 1
    return min([n_openmp_threads(), *map(n_threads_of, blas_libraries())])


def n_threads_of(library: LibController) -> int:
    """Return the number of threads of a BLAS library, as the calling thread sees it."""
    # A library without threads may have no number.
    return library.num_threads or 1


def set_threads_of(library: LibController, number: int) -> None:
    """Set the number of threads of a BLAS library, whichever Python thread asks for it."""
    end_control(library)
    library.set_num_threads(number)


def end_control(library: LibController) -> None:
    """Let every Python thread set the number of threads of a BLAS library.

    Since threadpoolctl 3.8, the first thread that sets OpenBLAS's number controls it until that
    thread ends, and the calls of other threads do nothing.
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
    """The numbers of threads that training in this Python thread must restore."""

    def __init__(self) -> None:
        self.numbers: list[dict[LibController, int]] = []


class BlasLimit:
    """Limits BLAS to one thread for as long as training runs anywhere in the process.

    Most libraries have one number of threads for the whole process. The first of several
    training runs sets it and the last restores it, whatever threads they use. Others, such as
    OpenBLAS with OpenMP, have a number for each thread, which each run sets for itself. So
    each thread that computes enters this context.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_trainings = 0
        self._shared: dict[LibController, int] = {}
        self._taken = _Taken()

    def __enter__(self) -> None:
        with self._lock:
            self._taken.numbers.append({})
            self._n_trainings += 1
            try:
                self._limit(self._taken.numbers[-1])
            except BaseException:  # An interrupt would leave the limit for good.
                self._leave()
                raise

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._taken.numbers:
                self._leave()
            # Otherwise this process was forked within the context, and ``forget`` was called.

    def _limit(self, own: dict[LibController, int]) -> None:
        """Limit the libraries; ``own`` becomes the numbers of those that count by thread."""
        for library in blas_libraries():
            if (before := n_threads_of(library)) > 1:
                own[library] = before
                set_threads_of(library, 1)
                if is_process_wide(library):
                    self._shared.setdefault(library, own.pop(library))

    def _leave(self) -> None:
        """End a training run of this thread."""
        own = self._taken.numbers.pop()
        # It counts first, so that an interrupt of the rest leaves no training that never ends.
        self._n_trainings -= 1
        try:
            _set_back(own)
        finally:
            if self._n_trainings == 0:
                _set_back(self._shared)

    @property
    def in_use(self) -> bool:
        """Whether training runs in this process."""
        return self._n_trainings > 0

    def forget(self) -> None:
        """Lift the limit in a forked process, in which no training of the parent continues."""
        # A thread of the parent may have held the lock.
        self._lock = threading.Lock()
        for numbers in [*self._taken.numbers, self._shared]:
            _set_back(numbers)
        self._taken = _Taken()
        self._n_trainings = 0


def _set_back(numbers: dict[LibController, int]) -> None:
    """Restore the numbers of threads of BLAS libraries, and empty the record of them."""
    while numbers:
        library, number = numbers.popitem()
        set_threads_of(library, number)
        end_control(library)


ONE_BLAS_THREAD = BlasLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ONE_BLAS_THREAD.forget)


@contextmanager
def training_threads() -> Iterator[Team]:
    """Limit BLAS to one thread; yield the threads of a training run."""
    number = n_threads()  # The limit would make it 1.
    with ONE_BLAS_THREAD, Team(number, ONE_BLAS_THREAD) as team:
        yield team
