"""What the installed scikit-learn is too old for: callbacks' doctests need version 1.9."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("sklearn.callback") else ["sknet/callbacks.py"]
