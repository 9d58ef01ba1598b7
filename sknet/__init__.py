"""Neural networks for tables, as scikit-learn estimators."""

from sknet._version import __version__
from sknet.classifier import NNClassifier
from sknet.regressor import NNRegressor

__all__ = ["NNClassifier", "NNRegressor", "__version__"]
