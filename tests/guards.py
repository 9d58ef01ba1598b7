"""What tests need: time for other processes, and features of optional or newer libraries."""

from importlib.util import find_spec

import pytest

#: Seconds. On a busy machine a process may import its libraries for minutes.
HANGING = 900
HAS_CALLBACKS = find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="needs scikit-learn 1.9")
