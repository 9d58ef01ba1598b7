"""What all tests share, doctests included: threads, and what needs a newer scikit-learn."""

import os
from importlib.util import find_spec

# OpenBLAS and OpenMP read this once, when they are loaded. The worker processes of pytest-xdist
# and the scripts that tests start inherit it; with more threads than cores they would wait for
# each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The examples in the docstrings of callbacks need scikit-learn 1.9.
collect_ignore = [] if find_spec("sklearn.callback") else ["sknet/callbacks.py"]
