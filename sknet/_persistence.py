"""Files of fitted estimators: the version that wrote them, and checkpoints."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from sknet._parameters import FLAT_LIST, changed_parameters
from sknet._requirements import warn
from sknet._run import Run
from sknet._version import __version__
from sknet.exceptions import InconsistentVersionWarning

#: The key of an estimator's state that holds the version of sknet that wrote it.
VERSION = "_sknet_version"

#: The first bytes of a checkpoint, with the version of its format. They are pickle
#: instructions: the protocol, and a byte string that holds the label and a checksum.
#: ``SEAL_END`` drops the string, so that ``joblib.load`` loads a checkpoint like any file.
LABEL = b"sknet checkpoint 1, sha256 "
SEAL_START = b"\x80\x04C" + bytes([len(LABEL) + 64]) + LABEL
SEAL_END = b"0"
SEAL_SIZE = len(SEAL_START) + 64 + len(SEAL_END)

#: The parameters that may change before an interrupted fit is resumed. A run has its own random
#: generators, so ``random_state`` may change too.
FREE_TO_RESUME = {"verbose", "warm_start", "max_iter", "time_limit", "random_state"}

#: Sequences that files keep as they are.
PLAIN = str | bytes | list | tuple | range | np.ndarray


def as_stored(value: Any) -> Any:
    """Return an attribute of an estimator in the form that files keep.

    A sequence from another library, such as a pandas Series in ``monotonic_cst``, becomes a
    list, so that loading a file requires neither that library nor trust in its types.
    Frozensets in ``interaction_cst`` become sets, since skops before 0.16 does not save the
    items of a frozenset.
    """
    if isinstance(value, list | tuple) and any(isinstance(one, frozenset) for one in value):
        sets = (set(one) if isinstance(one, frozenset) else one for one in value)
        return list(sets) if isinstance(value, list) else tuple(sets)
    stays = isinstance(value, PLAIN) or not FLAT_LIST.is_satisfied_by(value)
    return value if stays else list(value)


def unstamped(estimator_class: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an estimator's state without the version of sknet that wrote it.

    It warns with an ``InconsistentVersionWarning`` if that is not the current version.
    """
    made_by = state[VERSION]
    if made_by != __version__:
        warning = InconsistentVersionWarning(estimator_class.__name__, made_by, __version__)
        warn(warning)
    return {name: value for name, value in state.items() if name != VERSION}


def save_checkpoint(estimator: BaseEstimator, path: Path) -> None:
    """Write an estimator to a new file with a checksum, which then replaces the old file."""
    # Threads, and processes of several machines, may write the same checkpoint.
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with open(temporary, "w+b") as file:
            file.write(bytes(SEAL_SIZE))
            joblib.dump(estimator, file)
            seal = _seal(file)
            file.seek(0)
            file.write(seal)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _seal(file: IO[bytes]) -> bytes:
    """Return the first bytes of a checkpoint, given the open file with its content."""
    file.seek(SEAL_SIZE)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return SEAL_START + digest.encode() + SEAL_END


def load_checkpoint(estimator: BaseEstimator, path: Any) -> tuple[Any, Run]:
    """Return the fitted estimator of a checkpoint, and the run of its fit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If ``path`` is not a path.
    ValueError
        If the file is damaged or does not hold a checkpoint of an estimator of this class; if
        its solver, such as lbfgs, cannot continue a fit; or if a parameter that is not in
        ``FREE_TO_RESUME`` has changed.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"resume_from must be the path of a file that an sknet.callbacks.Checkpoint wrote, "
            f"got {path!r}."
        )
    saved = _read_checkpoint(path)
    if type(saved) is not type(estimator):
        raise ValueError(
            f"{path} is not a checkpoint of {type(estimator).__name__}: it holds an object of "
            f"type {type(saved).__name__}. Pass a checkpoint of an estimator of the same class."
        )
    run = saved._run
    if run.state is None:
        raise ValueError(
            f"A fit with solver={saved.solver!r} cannot be resumed; start a new fit."
        )
    if changed := set(changed_parameters(saved, estimator)) - FREE_TO_RESUME:
        raise ValueError(
            f"These parameters have changed since the checkpoint: {sorted(changed)}. Set them "
            "back to resume, or start a new fit."
        )
    return saved, run


def _read_checkpoint(path: Any) -> Any:
    """Return the content of a checkpoint; its checksum is checked before it is unpickled.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a checkpoint, is damaged, or cannot be unpickled.
    """
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder. Pass the file that a Checkpoint wrote.")
    with open(path, "rb") as file:
        _check_seal(file, path)
        file.seek(0)
        try:
            return joblib.load(file)
        except Exception as error:
            # Damaged or foreign pickles raise nearly every kind of error.
            raise ValueError(
                f"{path} cannot be loaded as a checkpoint: {type(error).__name__}: {error}. "
                "Load it with the versions of the packages that wrote it, or start a new fit."
            ) from error


def _check_seal(file: IO[bytes], path: Any) -> None:
    """Refuse a file that is not a checkpoint, or whose checksum does not match its content."""
    found = file.read(SEAL_SIZE)
    if not found.startswith(SEAL_START):
        raise ValueError(
            f"{path} {'is not a checkpoint of sknet' if found else 'is empty'}. Pass a file "
            "that an sknet.callbacks.Checkpoint wrote, or start a new fit without resume_from."
        )
    if found != _seal(file):
        raise ValueError(
            f"{path} is damaged: its checksum does not match its content. Pass an older "
            "checkpoint or a copy, or start a new fit without resume_from."
        )
