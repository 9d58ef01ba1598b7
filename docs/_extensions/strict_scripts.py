"""Gallery scripts fail if they warn, as the tests do."""

import contextlib
import multiprocessing
import warnings

guard = contextlib.ExitStack()


def reset(gallery_conf, script, when):
    """Turn warnings into errors before a script, and back after it."""
    guard.close()
    if when == "before":
        guard.enter_context(warnings.catch_warnings(action="error"))
        # Dask finds the disk slow if the whole machine is.
        warnings.filterwarnings("ignore", "Creating scratch directories")
        if multiprocessing.get_start_method() == "loky":
            # Scripts run in workers of joblib, whose way to start processes Dask's do not know.
            multiprocessing.set_start_method("spawn", force=True)
