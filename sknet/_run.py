"""The run of a training: its random generators and its state, with which it can be resumed."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import joblib
import numpy as np
from sklearn.utils import check_random_state

from sknet.data.batches import Dataset
from sknet.data.row_blocks import RowBlocks
from sknet.nn.state import TrainingState

#: The smallest number of training rows, evenly spaced, whose hash tells a resumed fit whether
#: its data are the same. A table with fewer rows is hashed as a whole. Of a table in blocks,
#: the rows that it keeps in memory are hashed.
FINGERPRINT_ROWS = 1000

#: The purposes for which a fit draws random numbers. Each has a generator of its own, so that
#: a draw whose number depends on the rows does not shift the draws for another purpose.
PURPOSES = ["tables", "init", "split", "shuffle", "augmentation", "noise"]


@dataclass
class Run:
    """The random generators and the state of a training.

    Together with the data they determine how the training continues. ``params`` and ``state``
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
        """Return the run of a training that has not begun."""
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        generators = np.random.default_rng(seed).spawn(len(PURPOSES))
        streams = dict(zip(PURPOSES, generators, strict=True))
        return cls(streams, int(streams["split"].integers(np.iinfo(np.int32).max)))

    @property
    def vectors(self) -> list[np.ndarray]:
        """The parameter vectors in the state, which a new scale of y must change as well."""
        if self.state is None:
            return []
        known = (self.state.average, self.state.trained)
        return [vector for vector in known if vector is not None]

    def n_seen(self, n_validation: int, history: dict[str, list[float]]) -> int:
        """Return the number of rows that a fit with this record has visited in all epochs."""
        n_refit = 0 if self.state is None else self.state.n_refit
        return self.n_rows * len(history.get("loss", [])) + n_validation * n_refit

    @property
    def iteration(self) -> int:
        """The number of finished epochs."""
        return 0 if self.state is None else self.state.iteration

    @property
    def n_batches_done(self) -> int:
        """The number of batches of the current epoch that are done."""
        begun = None if self.state is None else self.state.begun
        return 0 if begun is None else begun.n_batches

    def visible_params(self) -> np.ndarray:
        """Return the parameters to evaluate, while the training goes on."""
        return cast(TrainingState, self.state).visible(cast(np.ndarray, self.params))

    def expect_rows(self, n_rows: int, identify: Callable[[], str]) -> None:
        """Note the number of training rows of a new run, or check those of a resumed run.

        ``identify()`` returns their fingerprint.

        Raises
        ------
        ValueError
            If a resumed run has other training rows than before.
        """
        if not self.n_rows:
            self.n_rows = n_rows
        elif (self.n_rows, self.fingerprint) != (n_rows, identify()):
            raise ValueError(
                f"The checkpoint was written by a fit to other training rows ({self.n_rows} "
                f"rows; now {n_rows}). Resume with the same data, and those of fit_chunks in "
                "the same chunks and windows, or fit anew."
            )

    def resumable(self, identify: Callable[[], str]) -> Self:
        """Return a copy that a later fit to the same training rows can resume."""
        # Most fits are never resumed, and need not read rows for it.
        self.fingerprint = self.fingerprint or identify()
        return copy.deepcopy(self)


def fingerprint(data: Dataset, *order: Any) -> str:
    """Return a hash of some training rows, by which a resumed fit knows them again.

    ``order`` is what else decides on the order in which rows are trained on.
    """
    step = max(1, data.n_rows // FINGERPRINT_ROWS)
    in_blocks = isinstance(data.X, RowBlocks)
    sample = data.kept_rows() if in_blocks else data.batch(slice(None, None, step))
    return joblib.hash((data.n_rows, data.X.shape, *sample, *order))
